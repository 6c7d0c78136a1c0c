/* What a rank may use: the smallest of what the machine, the control group and Slurm give, shared by the ranks of the node. */
#include "unit.h"

#include "farm/resources.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define MB ((uint64_t)1 << 20)

static void test_cores(void **state) {
    (void)state;
    rad_resources r = rad_resources_choose(&(rad_host){.cores = 12, .mates = 2}, 0);
    assert_true(r.threads == 12 && r.loaders == 12); /* the share of the mask is a share already */
    assert_string_equal(r.cores_from, "affinity");
    r = rad_resources_choose(&(rad_host){.cores = 12, .mates = 2, .quota = 6.5}, 0);
    assert_true(r.threads == 3);
    assert_string_equal(r.cores_from, "quota of the control group");
    r = rad_resources_choose(&(rad_host){.cores = 12, .mates = 2, .quota = 0.5, .slurm_node = 8}, 0);
    assert_int_equal(r.threads, 1);
    r = rad_resources_choose(&(rad_host){.cores = 12, .mates = 2, .slurm_node = 16, .slurm_task = 4}, 0);
    assert_int_equal(r.threads, 4);
    assert_string_equal(r.cores_from, "SLURM_CPUS_PER_TASK");
    r = rad_resources_choose(&(rad_host){.cores = 2, .slurm_node = 8, .slurm_task = 8}, 0);
    assert_int_equal(r.threads, 2); /* a cluster that promises more than there is */
    r = rad_resources_choose(&(rad_host){.cores = 2, .slurm_task = 1}, 200);
    assert_true(r.threads == 200 && r.loaders == RAD_MAX_LOADERS);
    r = rad_resources_choose(&(rad_host){0}, 0);
    assert_true(r.threads == 1 && r.loaders == 1 && r.memory == 0 && r.work >= 64 * MB);
}

static void test_memory(void **state) {
    (void)state;
    char text[256];
    rad_resources r = rad_resources_choose(&(rad_host){.cores = 8, .mates = 4, .ram = 65536 * MB}, 0);
    assert_true(r.memory == 16384 * MB && r.work == 2048 * MB && r.idle == 256 * MB && r.batch == 512 * MB); /* 256 MB per loader */
    r = rad_resources_choose(&(rad_host){.cores = 8, .mates = 4, .ram = 65536 * MB, .cgroup = 4096 * MB, .slurm_memory = 8192 * MB}, 0);
    assert_true(r.memory == 1024 * MB && r.work == 256 * MB && r.idle == 32 * MB && r.batch == 64 * MB);
    assert_string_equal(r.memory_from, "control group");
    r = rad_resources_choose(&(rad_host){.cores = 8, .ram = 65536 * MB, .slurm_node = 8, .slurm_memory_cpu = 512 * MB}, 0);
    assert_true(r.memory == 4096 * MB);
    assert_string_equal(r.memory_from, "SLURM_MEM_PER_CPU");
    r = rad_resources_choose(&(rad_host){.cores = 8, .ram = 100 * MB}, 0);
    assert_true(r.work == 64 * MB && r.idle == 16 * MB && r.batch == 32 * MB); /* below that nothing would run */
    (void)rad_resources_text(&r, text, sizeof text);
    assert_non_null(strstr(text, "8 inference threads and as many that read and prepare (affinity), 67 MB of 0.1 GB (machine)"));
}

static void put(const char *root, const char *folder, const char *name, const char *line) {
    char path[1024];
    (void)snprintf(path, sizeof path, "%s%s", root, folder);
    assert_int_equal(rad_mkdirs(path, NULL), RAD_OK);
    (void)snprintf(path, sizeof path, "%s%s/%s", root, folder, name);
    assert_int_equal(rad_file_write_atomic(path, line, strlen(line), NULL), RAD_OK);
}

static void test_look(void **state) {
    (void)state;
    rad_host h;
    const char *root = unit_folder();
    assert_int_equal(unsetenv("SLURM_CPUS_PER_TASK") | unsetenv("SLURM_MEM_PER_CPU") | unsetenv("SLURM_CPUS_ON_NODE"), 0);
    assert_int_equal(setenv("SLURM_MEM_PER_NODE", "2000", 1), 0);
    rad_host_look(root, &h); /* nothing there */
    assert_true(h.ram == 0 && h.cgroup == 0 && h.quota == 0 && h.slurm_memory == 2000 * MB);
    put(root, "/proc", "meminfo", "MemTotal:       24576000 kB\nMemFree: 1 kB\n");
    put(root, "/proc/self", "cgroup", "0::/slurm/job_1/step_0\n");
    put(root, "/sys/fs/cgroup/slurm/job_1/step_0", "memory.max", "max\n");
    put(root, "/sys/fs/cgroup/slurm/job_1/step_0", "cpu.max", "max 100000\n");
    put(root, "/sys/fs/cgroup/slurm/job_1", "memory.max", "3221225472\n");
    put(root, "/sys/fs/cgroup/slurm", "cpu.max", "250000 100000\n");
    put(root, "/sys/fs/cgroup", "memory.max", "9999999999\n");
    rad_host_look(root, &h);
    assert_true(h.ram == (uint64_t)24576000 << 10 && h.cgroup == 3072 * MB && h.quota == 2.5);
    put(root, "/proc/self", "cgroup", "5:memory:/docker/x\n4:cpu,cpuacct:/docker/x\n3:cpuset:/\n");
    put(root, "/sys/fs/cgroup/memory/docker/x", "memory.limit_in_bytes", "1073741824\n");
    put(root, "/sys/fs/cgroup/memory", "memory.limit_in_bytes", "9223372036854771712\n");
    put(root, "/sys/fs/cgroup/cpu/docker/x", "cpu.cfs_quota_us", "-1\n");
    put(root, "/sys/fs/cgroup/cpu/docker", "cpu.cfs_quota_us", "400000\n");
    put(root, "/sys/fs/cgroup/cpu/docker", "cpu.cfs_period_us", "100000\n");
    rad_host_look(root, &h);
    assert_true(h.cgroup == 1024 * MB && h.quota == 4);
    put(root, "/proc/self", "cgroup", "0::/../../etc\nnonsense\n");
    rad_host_look(root, &h);
    assert_true(h.cgroup == 0 && h.quota == 0);
    unit_remove(root);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_cores), cmocka_unit_test(test_memory), cmocka_unit_test(test_look)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

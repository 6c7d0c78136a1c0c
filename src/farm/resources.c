/* resources.c: see resources.h. */
#include "resources.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MB ((uint64_t)1 << 20)
#define MAX_PATH 1024
#define MAX_LINE 1024
#define NO_LIMIT ((uint64_t)1 << 60) /* version 1 says "none" by a number like this */

/* Bounds of the shares: below, a CT of 512 x 512 x 200 voxels would go alone; above, more would not be used. */
#define WORK_LEAST (64 * MB)
#define WORK_PER_LOADER (256 * MB)
#define IDLE_LEAST (16 * MB)
#define IDLE_MOST (256 * MB)
#define BATCH_LEAST (32 * MB)
#define BATCH_MOST (512 * MB)

/* ---------------------------------------------------------------- what there is */

static bool read_line(const char *root, const char *folder, const char *name, char line[MAX_LINE]) {
    char path[3 * MAX_PATH];
    (void)snprintf(path, sizeof path, "%s%s/%s", root, folder, name);
    FILE *f = fopen(path, "re");
    const bool got = f && fgets(line, MAX_LINE, f);
    if (f)
        (void)fclose(f);
    return got;
}

/* The number that a line starts with; false where it is another word ("max"). */
static bool read_number(const char *line, int64_t *ret) {
    char word[32];
    size_t n = strspn(line, "0123456789");
    if (n == 0 || n >= sizeof word)
        return false;
    memcpy(word, line, n);
    word[n] = '\0';
    return rad_parse_int(word, ret);
}

static uint64_t least(uint64_t a, uint64_t b) {
    return a == 0 ? b : b == 0 ? a : a < b ? a : b;
}

static void look_at_group(const char *root, const char *folder, bool first_version, rad_host *n) {
    char line[MAX_LINE];
    int64_t v, period;
    if (read_line(root, folder, first_version ? "memory.limit_in_bytes" : "memory.max", line) && read_number(line, &v) &&
        (uint64_t)v < NO_LIMIT)
        n->cgroup = least(n->cgroup, (uint64_t)v);
    bool got = read_line(root, folder, first_version ? "cpu.cfs_quota_us" : "cpu.max", line) && read_number(line, &v);
    if (got && first_version)
        got = read_line(root, folder, "cpu.cfs_period_us", line) && read_number(line, &period);
    else if (got)
        got = strchr(line, ' ') && read_number(strchr(line, ' ') + 1, &period);
    if (got && v > 0 && period > 0) {
        const double q = (double)v / (double)period;
        n->quota = n->quota == 0 || q < n->quota ? q : n->quota;
    }
}

/* A group and all above it: each of them may limit. `below`: /sys/fs/cgroup or a controller's folder in it. */
static void look_at_groups(const char *root, const char *below, const char *group, bool first_version, rad_host *n) {
    char folder[2 * MAX_PATH];
    (void)snprintf(folder, sizeof folder, "%s%s", below, group);
    for (size_t top = strlen(below);;) {
        look_at_group(root, folder, first_version, n);
        char *slash = strrchr(folder, '/');
        if (!slash || (size_t)(slash - folder) < top)
            break;
        *slash = '\0';
    }
}

static void look_at_cgroup(const char *root, rad_host *n) {
    char path[MAX_PATH], line[MAX_LINE];
    (void)snprintf(path, sizeof path, "%s/proc/self/cgroup", root);
    FILE *f = fopen(path, "re");
    while (f && fgets(line, sizeof line, f)) { /* 0::/group, or N:controllers:/group */
        line[strcspn(line, "\n")] = '\0';
        char *controllers = strchr(line, ':'), *group = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!group || strlen(group) >= MAX_PATH || strstr(group, ".."))
            continue;
        *group++ = '\0';
        controllers++;
        if (controllers[0] == '\0')
            look_at_groups(root, "/sys/fs/cgroup", group, false, n);
        else if (strcmp(controllers, "memory") == 0)
            look_at_groups(root, "/sys/fs/cgroup/memory", group, true, n);
        else if (strstr(controllers, "cpu") && !strstr(controllers, "cpuset"))
            look_at_groups(root, "/sys/fs/cgroup/cpu", group, true, n);
    }
    if (f)
        (void)fclose(f);
}

static int64_t from_environment(const char *name) {
    const char *text = getenv(name);
    int64_t v = 0;
    return text && rad_parse_int(text, &v) && v > 0 && v < INT64_MAX / (int64_t)MB ? v : 0;
}

void rad_host_look(const char *root, rad_host *ret) {
    rad_host n = {0};
    char line[MAX_LINE];
    int64_t kb;
    if (read_line(root, "/proc", "meminfo", line) && strncmp(line, "MemTotal:", 9) == 0 &&
        read_number(line + 9 + strspn(line + 9, " "), &kb))
        n.ram = (uint64_t)kb << 10;
    look_at_cgroup(root, &n);
    n.slurm_node = from_environment("SLURM_CPUS_ON_NODE");
    n.slurm_task = from_environment("SLURM_CPUS_PER_TASK");
    n.slurm_memory = (uint64_t)from_environment("SLURM_MEM_PER_NODE") * MB;
    n.slurm_memory_cpu = (uint64_t)from_environment("SLURM_MEM_PER_CPU") * MB;
    *ret = n;
}

/* ---------------------------------------------------------------- who gets what */

static uint64_t clamp(uint64_t v, uint64_t low, uint64_t high) {
    return v < low ? low : v > high ? high : v;
}

static void take_cores(double cores, const char *from, rad_resources *r) {
    const int n = cores < 1 ? 1 : cores > RAD_MAX_THREADS_A_RANK ? RAD_MAX_THREADS_A_RANK : (int)cores;
    if (cores > 0 && (r->threads == 0 || n < r->threads)) {
        r->threads = n;
        r->cores_from = from;
    }
}

static void take_memory(uint64_t bytes, const char *from, rad_resources *r) {
    if (bytes > 0 && (r->memory == 0 || bytes < r->memory)) {
        r->memory = bytes;
        r->memory_from = from;
    }
}

rad_resources rad_resources_choose(const rad_host *n, int threads) {
    const int mates = n->mates > 0 ? n->mates : 1;
    rad_resources r = {.cores_from = "one core", .memory_from = "not known"};
    take_cores(n->cores, "affinity", &r);
    take_cores(n->quota / mates, "quota of the control group", &r);
    take_cores((double)n->slurm_node / mates, "SLURM_CPUS_ON_NODE", &r);
    take_cores((double)n->slurm_task, "SLURM_CPUS_PER_TASK", &r);
    if (threads > 0) {
        r.threads = threads;
        r.cores_from = "--threads";
    }
    r.threads = r.threads > 0 ? r.threads : 1;
    r.loaders = r.threads < RAD_MAX_LOADERS ? r.threads : RAD_MAX_LOADERS;
    take_memory(n->ram, "machine", &r);
    take_memory(n->cgroup, "control group", &r);
    take_memory(n->slurm_memory, "SLURM_MEM_PER_NODE", &r);
    if (n->slurm_node > 0 && n->slurm_memory == 0)
        take_memory(n->slurm_memory_cpu * (uint64_t)n->slurm_node, "SLURM_MEM_PER_CPU", &r);
    r.memory /= (uint64_t)mates;
    /* the networks take what is left: their weights and scratch are not known before they are built */
    const uint64_t most = (uint64_t)r.loaders * WORK_PER_LOADER, known = r.memory > 0 ? r.memory : 4096 * MB;
    r.work = (size_t)clamp(known / 4, WORK_LEAST, most > WORK_LEAST ? most : WORK_LEAST);
    r.idle = (size_t)clamp(known / 32, IDLE_LEAST, IDLE_MOST);
    r.batch = (size_t)clamp(known / 16, BATCH_LEAST, BATCH_MOST);
    return r;
}

rad_resources rad_resources_find(int cores, int mates, int threads) {
    rad_host n;
    rad_host_look("", &n);
    n.cores = cores;
    n.mates = mates;
    return rad_resources_choose(&n, threads);
}

size_t rad_resources_text(const rad_resources *r, char *buf, size_t cap) {
    char memory[64] = "";
    if (r->memory > 0)
        (void)snprintf(memory, sizeof memory, " of %.1f GB (%s)", (double)r->memory / 1e9, r->memory_from);
    const int n =
        snprintf(buf, cap, "%d inference thread%s and as many that read and prepare%s (%s), %.0f MB%s for volumes and samples", r->threads,
                 r->threads == 1 ? "" : "s", r->loaders < r->threads ? " (64 at most)" : "", r->cores_from, (double)r->work / 1e6, memory);
    return n < 0 ? 0 : (size_t)n;
}

/* Where a database may lie: file systems by the kernel's list of mounts, locks that keep nobody out, and a file that is built on a scratch
 * disk and published as a whole. */
#include "store_fixture.h"

#include "store/place.h"

#include <dirent.h>
#include <sys/stat.h>

static const char MOUNTS[] =
    "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw,errors=remount-ro\n"
    "30 22 0:45 / /home rw,relatime shared:7 master:2 - nfs4 server:/home rw,vers=4.2,hard,local_lock=none,addr=10.0.0.1\n"
    "31 22 0:46 / /old rw - nfs server:/old rw,vers=3,nolock,proto=tcp\n"
    "32 22 0:47 / /lustre rw,noatime - lustre 10.0.0.1@o2ib:/fs rw,flock,lazystatfs\n"
    "33 22 0:48 / /scratch2 rw,noatime - lustre 10.0.0.1@o2ib:/s rw,localflock\n"
    "34 22 0:49 / /mnt\\040x rw - fuse.sshfs user@host:/x rw,user_id=0\n"
    "35 22 0:50 / /gpfs rw,relatime - gpfs gpfs0 rw\n"
    "36 22 0:51 / /share rw,relatime - cifs //s/x rw,nobrl\n"
    "37 22 8:1 /sub /bind rw,relatime - ext4 /dev/sda1 rw\n"
    "damaged line\n38 22 0:52 / /last rw - tmpfs tmpfs rw";

static void file_systems(void **state) {
    (void)state;
    const struct {
        unsigned major, minor;
        const char *type;
        bool network, local_lock;
    } want[] = {{8, 1, "ext4", false, false},   {0, 45, "nfs4", true, false},  {0, 46, "nfs", true, true},
                {0, 47, "lustre", true, false}, {0, 48, "lustre", true, true}, {0, 49, "fuse.sshfs", true, false},
                {0, 50, "gpfs", true, false},   {0, 51, "cifs", true, true},   {0, 52, "tmpfs", false, false},
                {9, 9, "", false, false}};
    for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
        rad_place p = rad_place_parse(MOUNTS, want[i].major, want[i].minor);
        assert_string_equal(p.type, want[i].type);
        assert_true(p.network == want[i].network && p.local_lock == want[i].local_lock);
    }
    assert_string_equal(rad_place_parse("", 8, 1).type, "");
    assert_string_not_equal(rad_place_of("/proc").type, "");
    assert_string_equal(rad_place_of("/no/such/place").type, "");
}

static void locks_are_tried(void **state) {
    (void)state;
    rad_error err;
    char path[128];
    const char *top = unit_folder();
    snprintf(path, sizeof path, "%s/r.sqlite", top);
    assert_ok(rad_place_probe_locks(path, &err));
    DIR *d = opendir(top);
    int n = 0;
    while (d && readdir(d))
        n++;
    closedir(d);
    assert_int_equal(n, 2); /* nothing is left behind */
    snprintf(path, sizeof path, "%s/no/r.sqlite", top);
    assert_fails(rad_place_probe_locks(path, &err), RAD_E_STORE, "must exist and be writable");
    unit_remove(top);
}

static int64_t count_files(const char *dir) {
    int64_t n = 0;
    DIR *d = opendir(dir);
    for (struct dirent *e; d && (e = readdir(d));)
        n += e->d_name[0] != '.';
    closedir(d);
    return n;
}

static void scratch(void **state) {
    (void)state;
    rad_error err;
    rad_store *st = NULL, *reader = NULL;
    const char *top = unit_folder();
    char path[128], node[128], id[RAD_STORE_ID_TEXT], again[RAD_STORE_ID_TEXT];
    snprintf(path, sizeof path, "%s/shared/r.sqlite", top);
    snprintf(node, sizeof node, "%s/node", top);
    (void)umask(022);
    const rad_store_opts o = {.scratch = node, .file_mode = 0640};
    assert_ok(rad_store_open_opts(path, RAD_STORE_WRITE, &o, &st, &err));
    assert_ok(rad_store_get_id(st, id, &err));
    assert_false(rad_store_is_durable(st)); /* the schema was made, and nobody sees it yet */
    assert_int_equal(count_files(node), 1);
    assert_ok(rad_store_flush(st, &err)); /* the first one publishes at once */
    assert_true(rad_store_is_durable(st));
    assert_ok(rad_store_open(path, RAD_STORE_READ, &reader, &err));
    assert_ok(rad_store_get_id(reader, again, &err));
    assert_string_equal(id, again);
    rad_store_close(&st);
    assert_int_equal(count_files(node), 0); /* nothing of a patient stays on the node */
    struct stat s;
    assert_int_equal(stat(path, &s), 0);
    assert_int_equal(s.st_mode & 0777, 0640);
    assert_ok(rad_store_open_opts(path, RAD_STORE_WRITE, &o, &st, &err)); /* what is published is taken up */
    assert_ok(rad_store_get_id(st, again, &err));
    assert_string_equal(id, again);
    rad_store_close(&st);
    rad_store_close(&reader);
    unit_remove(top);
}

int main(void) {
    const struct CMUnitTest test[] = {
        cmocka_unit_test(file_systems),
        cmocka_unit_test(locks_are_tried),
        cmocka_unit_test(scratch),
    };
    return cmocka_run_group_tests(test, NULL, NULL);
}

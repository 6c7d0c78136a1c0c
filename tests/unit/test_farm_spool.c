/* Spool files and journals: what was put comes back, every cut and every damaged byte is noticed and nothing behind it is believed, files
 * of other runs are left alone, a full disk leaves whole records, and a journal holds exactly what was not committed. */
#include "unit.h"

#include "farm/journal.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define OTHER "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210"

struct seen {
    int64_t n;
    char text[8192];
    rad_spool_head head;
};

static rad_status collect(void *state, const rad_spool_head *head, const void *message, size_t size, rad_error *err) {
    struct seen *s = state;
    size_t used = strlen(s->text);
    (void)err;
    if (size < 64)
        snprintf(s->text + used, sizeof s->text - used, "%.*s,", (int)size, (const char *)message);
    s->head = *head;
    s->n++;
    return RAD_OK;
}

static rad_spool_head head_of(const char *identity) {
    rad_spool_head h = {.space = RAD_SPOOL_POSITIONS, .host = "n1", .device = "AVX2 at 3 GHz", .rank = 7};
    snprintf(h.identity, sizeof h.identity, "%s", identity);
    return h;
}

static struct seen read_all(const char *dir, const char *space, rad_spool_report *ret) {
    rad_error err;
    struct seen s = {0};
    assert_ok(rad_spool_read(dir, ID, space, collect, &s, ret, &err));
    return s;
}

/* The one spool file of a folder. */
static void only_file(const char *dir, char path[512]) {
    DIR *d = opendir(dir);
    path[0] = 0;
    for (struct dirent *e; d && (e = readdir(d));)
        if (strstr(e->d_name, RAD_SPOOL_SUFFIX)) {
            assert_int_equal(path[0], 0);
            snprintf(path, 512, "%s/%s", dir, e->d_name);
        }
    closedir(d);
    assert_int_not_equal(path[0], 0);
}

static void round_trip(void **state) {
    (void)state;
    rad_error err;
    rad_spool_report r;
    char dir[128], path[512];
    const char *top = unit_folder();
    snprintf(dir, sizeof dir, "%s/a/b", top);
    assert_int_equal(read_all(dir, NULL, &r).n, 0); /* no folder, no results */
    rad_spool_head h = head_of(ID);
    rad_spool *s;
    assert_ok(rad_spool_create(dir, "shard-1", &h, &s, &err));
    only_file(dir, path);
    struct stat f, d;
    assert_true(stat(path, &f) == 0 && stat(dir, &d) == 0);
    assert_true((f.st_mode & 0777) == 0600 && (d.st_mode & 0777) == 0700);
    assert_ok(rad_spool_put(s, "one", 3, &err));
    assert_ok(rad_spool_put(s, "", 0, &err));
    assert_ok(rad_spool_put(s, "three", 5, &err));
    struct seen got = read_all(dir, RAD_SPOOL_POSITIONS, &r); /* while it is being written */
    assert_string_equal(got.text, "one,,three,");
    assert_true(r.files == 1 && r.records == 3 && r.complete == 0 && r.damaged == 0 && r.foreign == 0);
    assert_true(got.head.rank == 7);
    assert_string_equal(got.head.device, "AVX2 at 3 GHz");
    assert_ok(rad_spool_finish(s, &err));
    rad_spool_close(&s, false);
    got = read_all(dir, NULL, &r);
    assert_true(got.n == 3 && r.complete == 1 && r.damaged == 0);
    assert_int_equal(read_all(dir, "another database", &r).n, 0);
    assert_int_equal(r.foreign, 1);
    h = head_of(OTHER);
    assert_ok(rad_spool_create(dir, "shard-1", &h, &s, &err));
    assert_ok(rad_spool_put(s, "foreign", 7, &err));
    rad_spool_close(&s, false);
    assert_int_equal(read_all(dir, NULL, &r).n, 3);
    assert_int_equal(r.foreign, 1);
    rad_spool_remove(dir, OTHER);
    assert_int_equal(read_all(dir, NULL, &r).n, 3);
    assert_int_equal(r.foreign, 0);
    rad_spool_remove(dir, NULL);
    assert_int_not_equal(stat(dir, &d), 0);
    unit_remove(top);
}

/* Every cut keeps the records before it; every flipped byte costs at most what is behind it, and nothing false comes out. */
static void cuts_and_damage(void **state) {
    (void)state;
    rad_error err;
    rad_spool_report r;
    char path[512], *data;
    size_t size;
    const char *top = unit_folder();
    rad_spool_head h = head_of(ID);
    rad_spool *s;
    assert_ok(rad_spool_create(top, "x", &h, &s, &err));
    only_file(top, path);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    const size_t head = (size_t)st.st_size;
    assert_ok(rad_spool_put(s, "alpha", 5, &err));
    assert_ok(rad_spool_put(s, "beta", 4, &err));
    assert_ok(rad_spool_finish(s, &err));
    rad_spool_close(&s, false);
    assert_ok(rad_file_read(path, 1 << 20, &data, &size, &err));
    const size_t frame = 4 + 8 + 32, first = head + frame + 5, second = first + frame + 4;
    assert_int_equal(size, second + 12);
    for (size_t n = 0; n < size; n++) {
        assert_ok(rad_file_write_atomic(path, data, n, &err));
        struct seen got = read_all(top, NULL, &r);
        assert_int_equal(got.n, n < first ? 0 : n < second ? 1 : 2);
        assert_int_equal(r.complete, 0);
        assert_int_equal(r.damaged, n == head || n == first || n == second ? 0 : 1);
    }
    for (size_t i = 0; i < size; i++) {
        data[i] = (char)(data[i] ^ 0x20);
        assert_ok(rad_file_write_atomic(path, data, size, &err));
        struct seen got = read_all(top, NULL, &r);
        data[i] = (char)(data[i] ^ 0x20);
        assert_int_equal(got.n, i < head ? 0 : i < first ? 0 : i < second ? 1 : 2);
        assert_int_equal(r.complete, 0);
        assert_true(r.damaged + r.foreign == 1);
        assert_true(strcmp(got.text, "") == 0 || strcmp(got.text, "alpha,") == 0 || strcmp(got.text, "alpha,beta,") == 0);
    }
    free(data);
    unit_remove(top);
}

static void full_disk(void **state) {
    (void)state;
    rad_error err;
    rad_spool_report r;
    const char *top = unit_folder();
    char big[4096];
    rad_spool_head h = head_of(ID);
    rad_spool *s;
    memset(big, 'x', sizeof big);
    struct rlimit before, small;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = before;
    small.rlim_cur = 3000;
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_ok(rad_spool_create(top, "x", &h, &s, &err));
    assert_ok(rad_spool_put(s, "whole", 5, &err));
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    assert_fails(rad_spool_put(s, big, sizeof big, &err), RAD_E_IO, "cannot write");
    assert_fails(rad_spool_put(s, "more", 4, &err), RAD_E_IO, "an earlier write failed");
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    rad_spool_close(&s, false);
    struct seen got = read_all(top, NULL, &r);
    assert_string_equal(got.text, "whole,");
    assert_int_equal(r.damaged, 0);
    unit_remove(top);
}

static void put_text(rad_journal *j, const char *text) {
    rad_error err;
    rad_buf b;
    rad_buf_init(&b, 1 << 22);
    assert_ok(rad_buf_put(&b, text, strlen(text), &err));
    rad_journal_put(j, &b);
    rad_buf_release(&b);
}

static void journal_keeps_what_is_not_committed(void **state) {
    (void)state;
    rad_error err;
    rad_spool_report r;
    const char *top = unit_folder();
    char database[128], *dir;
    snprintf(database, sizeof database, "%s/r.sqlite", top);
    dir = rad_journal_dir(database);
    rad_spool_head h = head_of(ID);
    rad_journal *j;
    rad_journal_put(NULL, NULL);
    rad_journal_committed(NULL, 3);
    assert_ok(rad_journal_open(database, &h, &j, &err));
    put_text(j, "a");
    put_text(j, "b");
    rad_journal_committed(j, 1); /* one of two: both stay, a second time does no harm */
    assert_string_equal(read_all(dir, NULL, &r).text, "a,b,");
    rad_journal_committed(j, 2);
    assert_int_equal(read_all(dir, NULL, &r).n, 0);
    /* a file that is full is left for the other one, which is emptied later than the first */
    char *big = malloc(RAD_JOURNAL_BYTES + 2);
    memset(big, 'y', RAD_JOURNAL_BYTES + 1);
    big[RAD_JOURNAL_BYTES + 1] = 0;
    put_text(j, big); /* 3 */
    put_text(j, "c"); /* 4, in the other file */
    put_text(j, "d"); /* 5 */
    assert_int_equal(read_all(dir, NULL, &r).n, 3);
    rad_journal_committed(j, 3);
    assert_string_equal(read_all(dir, NULL, &r).text, "c,d,");
    free(big);
    rad_journal_close(&j);
    assert_string_equal(read_all(dir, NULL, &r).text, "c,d,"); /* stays for the next session */
    rad_spool_remove(dir, ID);
    assert_ok(rad_journal_open(database, &h, &j, &err));
    put_text(j, "e");
    rad_journal_committed(j, 1);
    rad_journal_close(&j);
    (void)read_all(dir, NULL, &r);
    assert_int_equal(r.files, 0);
    free(dir);
    unit_remove(top);
}

int main(void) {
    const struct CMUnitTest test[] = {
        cmocka_unit_test(round_trip),
        cmocka_unit_test(cuts_and_damage),
        cmocka_unit_test(full_disk),
        cmocka_unit_test(journal_keeps_what_is_not_committed),
    };
    return cmocka_run_group_tests(test, NULL, NULL);
}

/* Promise 4: a run that is killed anywhere and started again ends with the same results. Killed at every step of the protocol, then at
 * seeded moments by SIGKILL, and with a file system that refuses to write. */
#include "store_fixture.h"

#include <math.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

static const fx_shape SHAPE = {.n_center = 2, .n_patient = 12, .n_lesion = 2, .n_class = 2, .n_model = 2, .n_slice = 3, .trouble = true};

static char path[128];
static const char *folder;
static int setup(void **state) {
    (void)state;
    folder = unit_folder();
    snprintf(path, sizeof path, "%s/s.sqlite", folder);
    return 0;
}
static int teardown(void **state) {
    (void)state;
    unit_remove(folder);
    return 0;
}

/* One session: leases of four, results, a flush now and then, the end. Leaves by _exit before step `kill_at` (-1: never). */
static int session(const fixture *f, const char *db, int kill_at) {
    rad_store *st = NULL;
    rad_pending_case *p = NULL;
    int64_t run, n, excluded;
    bool resumed, finished;
    int step = 0;
    fx_result *b = malloc(sizeof *b);
#define STEP(call)                                                                                                                         \
    do {                                                                                                                                   \
        if (step++ == kill_at)                                                                                                             \
            _exit(9);                                                                                                                      \
        rad_error err = {0};                                                                                                               \
        if ((call) != RAD_OK) {                                                                                                            \
            fprintf(stderr, "step %d: %s\n", step, err.text);                                                                              \
            _exit(1);                                                                                                                      \
        }                                                                                                                                  \
    } while (0)
    STEP(rad_store_open(db, RAD_STORE_WRITE, &st, &err));
    STEP(rad_store_begin_run(st, &f->info, &run, &resumed, &finished, &p, &n, &err));
    for (int64_t i = 0; i < n; i += 4) {
        int64_t id[4], m = n - i < 4 ? n - i : 4;
        for (int64_t k = 0; k < m; k++)
            id[k] = p[i + k].case_id;
        STEP(rad_store_lease(st, run, id, m, 1, &err));
        for (int64_t k = 0; k < m; k++)
            STEP(rad_store_put_result(st, run, fx_make(f, p[i + k].manifest_index, id[k], -1, b), &err));
        if (i % 8 == 0)
            STEP(rad_store_flush(st, &err));
    }
    if (!finished)
        STEP(rad_store_finish_run(st, run, &f->job, &excluded, &err));
    if (step++ == kill_at)
        _exit(9);
    rad_store_close(&st);
    _exit(0);
}

static int run_child(const fixture *f, const char *db, int kill_at) {
    int status = 0;
    pid_t child = fork();
    if (child == 0)
        session(f, db, kill_at);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void hash_of(const char *db, char hash[RAD_SHA256_HEX]) {
    rad_error err;
    rad_store *st = NULL;
    assert_ok(rad_store_open(db, RAD_STORE_READ, &st, &err));
    assert_ok(rad_store_result_hash(st, 1, hash, &err));
    rad_store_close(&st);
    assert_number(db, "SELECT count(*) FROM run", 1);
    assert_number(db, "SELECT count(*) FROM v_manifest_check WHERE n_case <> n_scored + n_excluded", 0);
    assert_number(db, "SELECT count(*) FROM v_exclusion WHERE reason = 'quarantine'", 0);
}

static void killed_at_every_step(void **state) {
    (void)state;
    fixture f;
    char want[RAD_SHA256_HEX], got[RAD_SHA256_HEX], db[160];
    fx_create(&f, SHAPE);
    fx_run_all(&f, path, want);
    int k = 0;
    for (int code = 9; code == 9; k++) {
        snprintf(db, sizeof db, "%s/k%d.sqlite", folder, k);
        code = run_child(&f, db, k);
        assert_true(code == 9 || code == 0);
        assert_int_equal(run_child(&f, db, -1), 0);
        hash_of(db, got);
        assert_string_equal(got, want);
        (void)unlink(db);
    }
    assert_true(k > 30);
    /* and one file through all of it: each session gets a little further */
    snprintf(db, sizeof db, "%s/all.sqlite", folder);
    for (int i = 0, code = 9; code == 9; i++)
        code = run_child(&f, db, 3 + i);
    hash_of(db, got);
    assert_string_equal(got, want);
    fx_destroy(&f);
}

static void killed_at_any_moment(void **state) {
    (void)state;
    fixture f;
    char want[RAD_SHA256_HEX], got[RAD_SHA256_HEX];
    int kills = 0, status = 1;
    fx_create(&f, (fx_shape){.n_center = 3, .n_patient = 150, .n_lesion = 2, .n_class = 2, .n_model = 2, .n_slice = 8});
    char first[160];
    snprintf(first, sizeof first, "%s/first.sqlite", folder);
    const double begun = rad_clock_seconds();
    fx_run_all(&f, first, want);
    const double whole = rad_clock_seconds() - begun; /* kills are spread over what a run takes here, with sanitizers or without */
    for (uint64_t i = 1; status != 0; i++) {
        pid_t child = fork();
        if (child == 0)
            session(&f, path, -1);
        const double after = whole * ((double)(fx_hash(want + i % 60) % 1000) / 1000 + (double)i) / 32;
        const struct timespec t = {(time_t)after, (long)((after - floor(after)) * 1e9)};
        nanosleep(&t, NULL);
        (void)kill(child, SIGKILL);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
        kills += WIFSIGNALED(status);
        assert_true(i < 500);
    }
    hash_of(path, got);
    assert_string_equal(got, want);
    assert_number(path, "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check <> 'ok'", 0);
    print_message("killed %d times\n", kills);
    assert_true(kills >= 2);
    fx_destroy(&f);
}

/* A write that fails (here: the file may not grow) is an error with the way out; the file stays whole and the run goes on afterwards. */
static void a_full_disk_is_survived(void **state) {
    (void)state;
    fixture f;
    char want[RAD_SHA256_HEX], got[RAD_SHA256_HEX], first[160];
    int status;
    fx_create(&f, SHAPE);
    snprintf(first, sizeof first, "%s/first.sqlite", folder);
    fx_run_all(&f, first, want);
    (void)run_child(&f, path, 2);
    pid_t child = fork();
    if (child == 0) {
        rad_error err = {0};
        rad_store *st = NULL;
        rad_pending_case *p = NULL;
        int64_t run, n = 0;
        bool a, b;
        fx_result *r = malloc(sizeof *r);
        (void)signal(SIGXFSZ, SIG_IGN);
        if (rad_store_open(path, RAD_STORE_WRITE, &st, &err) != RAD_OK ||
            rad_store_begin_run(st, &f.info, &run, &a, &b, &p, &n, &err) != RAD_OK)
            _exit(1);
        struct rlimit limit = {4096, 4096};
        if (setrlimit(RLIMIT_FSIZE, &limit) != 0)
            _exit(2);
        rad_status s = RAD_OK;
        for (int64_t i = 0; i < n && s == RAD_OK; i++)
            s = rad_store_put_result(st, run, fx_make(&f, p[i].manifest_index, p[i].case_id, -1, r), &err);
        if (s == RAD_OK)
            s = rad_store_flush(st, &err);
        if (s != RAD_E_STORE || !strstr(err.text, "start again"))
            _exit(4);
        if (rad_store_lease(st, run, &p[0].case_id, 1, 1, &err) != RAD_E_STORE || !strstr(err.text, "an earlier write failed"))
            _exit(5);
        rad_store_close(&st);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_int_equal(run_child(&f, path, -1), 0);
    hash_of(path, got);
    assert_string_equal(got, want);
    fx_destroy(&f);
}

int main(void) {
    const struct CMUnitTest t[] = {
        cmocka_unit_test_setup_teardown(killed_at_every_step, setup, teardown),
        cmocka_unit_test_setup_teardown(killed_at_any_moment, setup, teardown),
        cmocka_unit_test_setup_teardown(a_full_disk_is_survived, setup, teardown),
    };
    return cmocka_run_group_tests(t, NULL, NULL);
}

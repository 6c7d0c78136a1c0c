/* Opening: what is taken, what is refused and with which way out; the writer lock; reading while another process writes. */
#include "store_fixture.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

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

static void make(const char *p) {
    rad_error err;
    rad_store *st = NULL;
    assert_ok(rad_store_open(p, RAD_STORE_WRITE, &st, &err));
    rad_store_close(&st);
    assert_null(st);
}

static void a_new_file_is_private_and_complete(void **state) {
    (void)state;
    struct stat sb;
    mode_t old = umask(0);
    make(path);
    umask(old);
    assert_int_equal(stat(path, &sb), 0);
    assert_int_equal(sb.st_mode & 0777, 0600);
    assert_number(path, "SELECT application_id FROM pragma_application_id", 1380009027);
    assert_number(path, "SELECT user_version FROM pragma_user_version", 1);
    assert_number(path, "SELECT journal_mode = 'delete' FROM pragma_journal_mode", 1);
    assert_number(path, "SELECT count(*) > 200 FROM data_dictionary", 1);
    char lock[160];
    snprintf(lock, sizeof lock, "%s.lock", path);
    assert_int_equal(access(lock, F_OK), -1); /* nothing is left lying about */
    make(path);                               /* and it opens again */
    rad_error err;
    rad_store *st = NULL;
    int64_t run;
    assert_ok(rad_store_open(path, RAD_STORE_READ, &st, &err));
    assert_fails(rad_store_last_run(st, &run, &err), RAD_E_NOTFOUND, "no run yet");
    assert_fails(rad_store_stop_run(st, 1, &err), RAD_E_STORE, "open for reading");
    rad_store_close(&st);
    rad_store_close(&st);
}

static void an_empty_file_becomes_one(void **state) {
    (void)state;
    rad_error err;
    rad_store *st = NULL;
    int fd = open(path, O_CREAT | O_WRONLY, 0600); /* a run killed at its very start leaves this */
    close(fd);
    assert_fails(rad_store_open(path, RAD_STORE_READ, &st, &err), RAD_E_USAGE, "is empty");
    assert_null(st);
    make(path);
    assert_number(path, "SELECT user_version FROM pragma_user_version", 1);
}

static void strangers_are_refused(void **state) {
    (void)state;
    rad_error err;
    rad_store *st = NULL;
    assert_fails(rad_store_open(path, RAD_STORE_READ, &st, &err), RAD_E_NOTFOUND, "no database");
    fx_sql(path, "CREATE TABLE t (x)");
    assert_fails(rad_store_open(path, RAD_STORE_WRITE, &st, &err), RAD_E_USAGE, "of another program");
    assert_fails(rad_store_open(path, RAD_STORE_READ, &st, &err), RAD_E_USAGE, "of another program");
    assert_number(path, "SELECT count(*) FROM sqlite_schema", 1); /* untouched */

    char other[160];
    snprintf(other, sizeof other, "%s/text", folder);
    FILE *f = fopen(other, "w");
    for (int i = 0; i < 200; i++)
        fputs("this is not a database\n", f);
    fclose(f);
    assert_fails(rad_store_open(other, RAD_STORE_WRITE, &st, &err), RAD_E_USAGE, "not a radcohort result file");
    assert_fails(rad_store_open(folder, RAD_STORE_WRITE, &st, &err), RAD_E_STORE, "not a regular file");

    snprintf(other, sizeof other, "%s/new", folder);
    make(other);
    fx_sql(other, "PRAGMA user_version = 99");
    assert_fails(rad_store_open(other, RAD_STORE_WRITE, &st, &err), RAD_E_STORE, "made by a newer radcohort");
    assert_fails(rad_store_open(other, RAD_STORE_READ, &st, &err), RAD_E_STORE, "update it");
    snprintf(other, sizeof other, "%s/wal", folder);
    make(other);
    fx_sql(other, "PRAGMA journal_mode = WAL");
    assert_fails(rad_store_open(other, RAD_STORE_WRITE, &st, &err), RAD_E_USAGE, "PRAGMA journal_mode = DELETE");
    assert_fails(rad_store_open(other, RAD_STORE_READ, &st, &err), RAD_E_USAGE, "network file systems");
    snprintf(other, sizeof other, "%s/text/below/s.sqlite", folder);
    assert_fails(rad_store_open(other, RAD_STORE_WRITE, &st, &err), RAD_E_STORE, "cannot create");
}

static void an_older_file_is_brought_forward(void **state) {
    (void)state;
    rad_error err;
    rad_store *st = NULL;
    fx_sql(path, "PRAGMA application_id = 1380009027"); /* version 0: ours, but without a schema */
    assert_fails(rad_store_open(path, RAD_STORE_READ, &st, &err), RAD_E_STORE, "older schema version 0");
    make(path);
    assert_number(path, "SELECT user_version FROM pragma_user_version", 1);
    assert_number(path, "SELECT count(*) FROM sqlite_schema WHERE name = 'v_case_score'", 1);
}

/* The writer is another process: its lock is told with its process number, readers see what is committed, and the lock dies with it. */
static void one_writer_many_readers(void **state) {
    (void)state;
    int ready[2], go[2];
    assert_int_equal(pipe(ready), 0);
    assert_int_equal(pipe(go), 0);
    fixture f;
    rad_error err;
    fx_create(&f, (fx_shape){.n_center = 1, .n_patient = 5, .n_class = 2, .n_model = 1, .n_slice = 1});
    pid_t child = fork();
    if (child == 0) {
        (void)alarm(60); /* a failed parent must not leave it waiting */
        rad_store *st = NULL;
        rad_pending_case *p = NULL;
        int64_t run, n;
        bool a, b;
        fx_result *r = malloc(sizeof *r);
        char c = 'x';
        bool ok = rad_store_open(path, RAD_STORE_WRITE, &st, NULL) == RAD_OK &&
                  rad_store_begin_run(st, &f.info, &run, &a, &b, &p, &n, NULL) == RAD_OK &&
                  rad_store_lease(st, run, &p[0].case_id, 1, 1, NULL) == RAD_OK &&
                  rad_store_put_result(st, run, fx_make(&f, 0, p[0].case_id, -1, r), NULL) == RAD_OK && write(ready[1], &c, 1) == 1 &&
                  read(go[0], &c, 1) == 1 && rad_store_flush(st, NULL) == RAD_OK && write(ready[1], &c, 1) == 1 && read(go[0], &c, 1) == 1;
        _exit(ok ? 0 : 1);
    }
    char c;
    rad_store *st = NULL, *reader = NULL;
    rad_run_status s;
    assert_int_equal(read(ready[0], &c, 1), 1);
    char want[64];
    snprintf(want, sizeof want, "process %ld", (long)child);
    assert_fails(rad_store_open(path, RAD_STORE_WRITE, &st, &err), RAD_E_STORE, want);
    assert_ok(rad_store_open(path, RAD_STORE_READ, &reader, &err));
    assert_ok(rad_store_run_status(reader, 1, &s, &err)); /* the result is in an open transaction: not there yet */
    assert_int_equal(s.n_done, 0);
    assert_int_equal(s.n_leased, 1);
    assert_int_equal(s.n_pending, 4);
    assert_true(s.writer);
    assert_string_equal(s.state, "running");
    assert_int_equal(write(go[1], "x", 1), 1);
    assert_int_equal(read(ready[0], &c, 1), 1);
    assert_ok(rad_store_run_status(reader, 1, &s, &err));
    assert_int_equal(s.n_done, 1);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_ok(rad_store_run_status(reader, 1, &s, &err));
    assert_false(s.writer);
    make(path); /* the stale lock file does not matter */
    rad_store_close(&reader);
    fx_destroy(&f);
    for (int i = 0; i < 2; i++) {
        close(ready[i]);
        close(go[i]);
    }
}

/* Each allocation of opening and beginning fails once: an error, nothing written, nothing leaked (sanitizers), and then it works. */
static void out_of_memory_leaves_the_file_alone(void **state) {
    (void)state;
    fixture f;
    rad_error err;
    rad_status s = RAD_E_NOMEM;
    int failures = 0;
    make(path);
    fx_create(&f, (fx_shape){.n_center = 2, .n_patient = 4, .n_lesion = 2, .n_class = 2, .n_model = 2, .n_slice = 2, .trouble = true});
    fx_result *r = malloc(sizeof *r);
    for (int64_t k = 1; s != RAD_OK; k += 1 + k / 40) { /* the first ones all, later ones in steps */
        rad_store *st = NULL;
        rad_pending_case *p = NULL;
        int64_t run = -1, n = -1, excluded = -1;
        bool a, b;
        assert_true(k < 100000);
        err = (rad_error){0};
        rad_mem_fail_after(k);
        s = rad_store_open(path, RAD_STORE_WRITE, &st, &err);
        if (s == RAD_OK)
            s = rad_store_begin_run(st, &f.info, &run, &a, &b, &p, &n, &err);
        if (s != RAD_OK)
            assert_true(run == -1 && n == -1 && p == NULL);
        for (int64_t i = 0; i < n && s == RAD_OK; i++)
            s = rad_store_put_result(st, run, fx_make(&f, p[i].manifest_index, p[i].case_id, -1, r), &err);
        if (s == RAD_OK)
            s = rad_store_finish_run(st, run, &f.job, &excluded, &err);
        rad_mem_fail_after(0);
        if (s != RAD_OK) {
            assert_int_equal(s, RAD_E_NOMEM);
            assert_int_equal(err.code, RAD_E_NOMEM);
            assert_number(path, "SELECT count(*) FROM case_score", 0);
            failures++;
        }
        rad_store_close(&st);
        free(p);
    }
    assert_true(failures > 10);
    assert_number(path, "SELECT state = 'finished' FROM run", 1);
    free(r);
    fx_destroy(&f);
}

int main(void) {
    const struct CMUnitTest t[] = {
        cmocka_unit_test_setup_teardown(a_new_file_is_private_and_complete, setup, teardown),
        cmocka_unit_test_setup_teardown(an_empty_file_becomes_one, setup, teardown),
        cmocka_unit_test_setup_teardown(strangers_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(an_older_file_is_brought_forward, setup, teardown),
        cmocka_unit_test_setup_teardown(one_writer_many_readers, setup, teardown),
        cmocka_unit_test_setup_teardown(out_of_memory_leaves_the_file_alone, setup, teardown),
    };
    return cmocka_run_group_tests(t, NULL, NULL);
}

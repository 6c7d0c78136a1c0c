/* The last note of a process that a case takes down, and how the next session reads it. */
#include "unit.h"

#include "farm/crash.h"

#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

struct crash {
    int slot; /* -1: the thread does not say who it is, like those of a library; -2: the main thread */
    int64_t id[3];
    int64_t n;
};

static void *crashing_thread(void *p) {
    const struct crash *c = p;
    if (c->slot >= 0)
        rad_crash_at(c->slot, c->id, c->n);
    raise(SIGSEGV);
    return NULL;
}

/* Crashes in a child; returns the signal that ended it. */
static int crash(const char *db, struct crash c) {
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct rlimit none = {0, 0};
        setrlimit(RLIMIT_CORE, &none);
        if (rad_crash_install(db, "aa 1", NULL) != RAD_OK)
            _exit(1);
        int64_t others[2] = {500, 501}; /* what the inference is at meanwhile */
        pthread_t t;
        if (c.slot == -2)
            raise(SIGABRT);
        if (c.slot == -1) {
            rad_crash_at(0, others, 2);
            raise(SIGBUS); /* this thread claimed slot 0 */
        }
        pthread_create(&t, NULL, crashing_thread, &c);
        pthread_join(t, NULL);
        _exit(2);
    }
    int status = 0;
    waitpid(pid, &status, 0);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void notes_are_left_and_counted(void **state) {
    (void)state;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    skip(); /* the sanitizer keeps these signals */
#endif
    rad_error err = {0};
    const char *dir = unit_folder();
    char db[128];
    snprintf(db, sizeof db, "%s/x.sqlite", dir);
    int64_t id[] = {7, 8, 500, 1234567890123};
    int count[4];
    assert_ok(rad_crash_read(db, "aa 1", id, 4, count, &err)); /* no note, no crash */
    assert_true(count[0] == 0 && count[3] == 0);
    assert_int_equal(crash(db, (struct crash){.slot = 3, .id = {7}, .n = 1}), SIGSEGV);
    assert_int_equal(crash(db, (struct crash){.slot = 0, .id = {8, 7, 1234567890123}, .n = 3}), SIGSEGV);
    assert_int_equal(crash(db, (struct crash){.slot = 5, .n = 0}), SIGSEGV); /* between two cases: nobody's fault */
    assert_int_equal(crash(db, (struct crash){.slot = -1}), SIGBUS);
    assert_int_equal(crash(db, (struct crash){.slot = -2}), SIGABRT); /* the main thread works on no case */
    assert_ok(rad_crash_read(db, "aa 1", id, 4, count, &err));
    assert_int_equal(count[0], 2);
    assert_int_equal(count[1], 1);
    assert_int_equal(count[2], 1);
    assert_int_equal(count[3], 1);
    rad_crash_forget(db, "aa 1");
    assert_ok(rad_crash_read(db, "aa 1", id, 4, count, &err));
    assert_int_equal(count[0], 0);
    unit_remove(dir);
}

static void damaged_notes_are_harmless(void **state) {
    (void)state;
    rad_error err = {0};
    const char *dir = unit_folder();
    char db[128], note[140];
    snprintf(db, sizeof db, "%s/x.sqlite", dir);
    snprintf(note, sizeof note, "%s.crash", db);
    static const char text[] = "aa 1 7\n\n-\naa 1 99999999999999999999999\naa 1 abc\n7\naa 1 7\naa 1 8aa 1 8\naa 1  8\naa 8\naa 18\naa 1 8";
    assert_ok(rad_file_write_atomic(note, text, sizeof text - 1, &err));
    int64_t id[] = {8, 7, 0};
    int count[3];
    assert_ok(rad_crash_read(db, "aa 1", id, 3, count, &err));
    assert_int_equal(count[0], 0); /* cut in mid-line: may have been 81 */
    assert_int_equal(count[1], 2);
    assert_int_equal(count[2], 0);
    char longer[5000];
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = 0;
    assert_fails(rad_crash_install(longer, "aa 1", &err), RAD_E_LIMIT, "path");
    unit_remove(dir);
}

/* A file of the same name may be left by an earlier database, or by another run of this one. */
static void foreign_notes_do_not_count(void **state) {
    (void)state;
    rad_error err = {0};
    const char *dir = unit_folder();
    char db[128], note[140], *text;
    size_t size;
    snprintf(db, sizeof db, "%s/x.sqlite", dir);
    snprintf(note, sizeof note, "%s.crash", db);
    static const char before[] = "7\nbb 1 7\naa 2 7\naa 1 7\naa 11 7\n";
    assert_ok(rad_file_write_atomic(note, before, sizeof before - 1, &err));
    int64_t id[] = {7};
    int count[1];
    assert_ok(rad_crash_read(db, "aa 1", id, 1, count, &err));
    assert_int_equal(count[0], 1);
    rad_crash_forget(db, "aa 1");
    assert_ok(rad_file_read(note, 1000, &text, &size, &err));
    assert_string_equal(text, "7\nbb 1 7\naa 2 7\naa 11 7\n");
    free(text);
    rad_crash_forget(db, NULL);
    assert_int_equal(rad_file_read(note, 1000, &text, &size, NULL), RAD_E_NOTFOUND);
    unit_remove(dir);
}

int main(void) {
    const struct CMUnitTest t[] = {cmocka_unit_test(notes_are_left_and_counted), cmocka_unit_test(damaged_notes_are_harmless),
                                   cmocka_unit_test(foreign_notes_do_not_count)};
    return cmocka_run_group_tests(t, NULL, NULL);
}

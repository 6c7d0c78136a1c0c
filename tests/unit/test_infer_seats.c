/* Where a team may run: its leader on one processor, the others on any but that; and the leader gets its processors back. */
#define _GNU_SOURCE /* affinity of threads */
#include "unit.h"

#if __has_include(<oneapi/dnnl/dnnl.h>)
#include "infer/onednn/seats.h"

#include <dirent.h>
#include <sched.h>

#ifndef __SANITIZE_THREAD__
/* Every other thread of the process may run where the leader might before, but not where it is now. */
static void check_others(const cpu_set_t *before, const cpu_set_t *leader) {
    cpu_set_t others, its;
    int seen = 0;
    CPU_XOR(&others, before, leader);
    DIR *d = opendir("/proc/self/task");
    assert_non_null(d);
    for (struct dirent *e = readdir(d); e; e = readdir(d)) {
        const int id = atoi(e->d_name);
        if (id <= 0 || id == getpid())
            continue;
        assert_int_equal(sched_getaffinity(id, sizeof its, &its), 0);
        assert_true(CPU_EQUAL(&its, &others));
        seen++;
    }
    closedir(d);
    assert_int_equal(seen, 1);
}
#endif

static void take_and_leave(void **state) {
    (void)state;
    cpu_set_t before, now;
    struct dn_seats *s = dn_seats_create();
    assert_non_null(s);
    assert_int_equal(sched_getaffinity(0, sizeof before, &before), 0);
    if (CPU_COUNT(&before) < 2) {
        print_message("SKIP: one processor\n");
        free(s);
        skip();
    }
    dn_seats_leave(s); /* nothing was taken */
    for (int round = 0; round < 2; round++) {
        dn_seats_take(s, 2);
        assert_int_equal(sched_getaffinity(0, sizeof now, &now), 0);
        assert_int_equal(CPU_COUNT(&now), 1);
        assert_true(CPU_ISSET((size_t)sched_getcpu(), &now));
#ifndef __SANITIZE_THREAD__ /* there the team is one thread, and the sanitizer has its own */
        check_others(&before, &now);
#endif
        dn_seats_leave(s);
        assert_int_equal(sched_getaffinity(0, sizeof now, &now), 0);
        assert_true(CPU_EQUAL(&now, &before));
    }
    free(s);
}

static void too_few_processors(void **state) {
    (void)state;
    cpu_set_t before, now;
    struct dn_seats *s = dn_seats_create();
    assert_non_null(s);
    assert_int_equal(sched_getaffinity(0, sizeof before, &before), 0);
    dn_seats_take(s, CPU_COUNT(&before) + 1);
    assert_int_equal(sched_getaffinity(0, sizeof now, &now), 0);
    assert_true(CPU_EQUAL(&now, &before));
    dn_seats_leave(s);
    free(s);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(take_and_leave), cmocka_unit_test(too_few_processors)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
#else
int main(void) {
    puts("SKIP: built without oneDNN");
    return 77;
}
#endif

/* The lease state machine: order, attempts, suspects, silence, and a long random walk in which nothing may be lost or done twice. */
#include "unit.h"

#include "radcohort/sched.h"

#include <stdlib.h>
#include <string.h>

static const rad_sched_opts NO_DEADLINE = {0};

static rad_sched *make(const double *cost, const int *attempts, int64_t n, int n_rank, const rad_sched_opts *opts) {
    rad_sched_case item[64] = {{0}};
    for (int64_t i = 0; i < n; i++)
        item[i] = (rad_sched_case){.id = 100 + i, .cost = cost[i], .attempts = attempts ? attempts[i] : 0};
    rad_sched *s = NULL;
    rad_error err = {0};
    assert_int_equal(rad_sched_create(item, n, n_rank, opts, &s, &err), RAD_OK);
    return s;
}

static void largest_first_then_index(void **state) {
    (void)state;
    double cost[] = {1, 5, 5, -3, 9, 0.0 / 1.0};
    rad_sched *s = make(cost, NULL, 6, 1, &NO_DEADLINE);
    int64_t got[6], want[] = {4, 1, 2, 0, 3, 5};
    assert_int_equal(rad_sched_lease(s, 0, 10, 0, got), 6);
    assert_memory_equal(got, want, sizeof want);
    assert_int_equal(rad_sched_count(s).leased, 6);
    assert_true(rad_sched_count(s).cost_total == 20);
    assert_int_equal(rad_sched_lease(s, 0, 10, 0, got), 0);
    assert_int_equal(rad_sched_get(s, 4)->id, 104);
    assert_null(rad_sched_get(s, 6));
    rad_sched_destroy(&s);
    assert_null(s);
}

static void second_result_is_ignored(void **state) {
    (void)state;
    double cost[] = {1, 2};
    rad_sched *s = make(cost, NULL, 2, 2, &NO_DEADLINE);
    int64_t got[2];
    assert_int_equal(rad_sched_lease(s, 0, 2, 0, got), 2);
    assert_true(rad_sched_complete(s, 0, 0));
    assert_false(rad_sched_complete(s, 0, 1));
    assert_false(rad_sched_complete(s, 99, 1));
    assert_int_equal(rad_sched_count(s).done, 1);
    assert_true(rad_sched_count(s).cost_done == 1);
    rad_sched_destroy(&s);
}

/* A rank that falls silent with several cases makes suspects of them, and condemns nobody; one that it held alone counts. */
static void vanished_rank(void **state) {
    (void)state;
    double cost[] = {3, 2, 1};
    rad_sched *s = make(cost, NULL, 3, 5, &NO_DEADLINE);
    int64_t got[3];
    assert_int_equal(rad_sched_lease(s, 0, 2, 0, got), 2);
    assert_int_equal(rad_sched_rank_vanished(s, 0), 2);
    assert_true(rad_sched_attempts(s, 0) == 0 && rad_sched_attempts(s, 1) == 0);
    assert_false(rad_sched_rank_usable(s, 0));
    assert_int_equal(rad_sched_lease(s, 1, 3, 0, got), 1); /* the one that nobody suspects; suspects go alone */
    assert_int_equal(got[0], 2);
    assert_true(rad_sched_complete(s, 2, 1));
    for (int r = 1; r < 3; r++) { /* case 0 takes two ranks more */
        assert_int_equal(rad_sched_lease(s, r, 3, 0, got), 1);
        assert_int_equal(got[0], r == 1 ? 0 : 1);
        if (r == 2)
            assert_true(rad_sched_complete(s, 1, 2));
        else
            assert_int_equal(rad_sched_rank_vanished(s, r), 1);
    }
    assert_int_equal(rad_sched_attempts(s, 0), 1);
    assert_int_equal(rad_sched_lease(s, 3, 3, 0, got), 1);
    assert_int_equal(rad_sched_rank_vanished(s, 3), 1);
    assert_int_equal(rad_sched_take_quarantined(s, 3, got), 1);
    assert_int_equal(got[0], 0);
    assert_int_equal(rad_sched_rank_vanished(s, 4), 0);
    assert_int_equal(rad_sched_rank_vanished(s, 99), 0);
    rad_sched_destroy(&s);
}

static void quarantined_after_two_losses(void **state) {
    (void)state;
    double cost[] = {1, 2, 3};
    int attempts[] = {0, 2, 1}; /* case 1 used its attempts in an earlier life, case 2 has one left */
    rad_sched *s = make(cost, attempts, 3, 3, &NO_DEADLINE);
    int64_t got[3];
    assert_int_equal(rad_sched_take_quarantined(s, 3, got), 1);
    assert_int_equal(got[0], 1);
    assert_int_equal(rad_sched_take_quarantined(s, 3, got), 0);
    /* the suspect goes last, and alone */
    assert_int_equal(rad_sched_lease(s, 0, 3, 0, got), 1);
    assert_int_equal(got[0], 0);
    assert_int_equal(rad_sched_lease(s, 0, 3, 0, got), 0);
    assert_int_equal(rad_sched_lease(s, 1, 3, 0, got), 1);
    assert_int_equal(got[0], 2);
    assert_int_equal(rad_sched_rank_lost(s, 0, true), 1);
    assert_int_equal(rad_sched_attempts(s, 0), 1);
    assert_int_equal(rad_sched_lease(s, 0, 3, 0, got), 0); /* out */
    assert_false(rad_sched_rank_usable(s, 0));
    assert_int_equal(rad_sched_lease(s, 1, 3, 0, got), 0); /* holds a suspect */
    assert_int_equal(rad_sched_rank_lost(s, 1, true), 1);
    assert_int_equal(rad_sched_take_quarantined(s, 3, got), 1);
    assert_int_equal(got[0], 2);
    assert_false(rad_sched_complete(s, 2, 1)); /* the exclusion stands */
    assert_int_equal(rad_sched_lease(s, 2, 3, 0, got), 1);
    assert_true(rad_sched_complete(s, 0, 2));
    rad_sched_counts c = rad_sched_count(s);
    assert_true(c.pending == 0 && c.leased == 0 && c.done == 1 && c.quarantined == 2);
    rad_sched_destroy(&s);
}

static void lost_twice_goes_alone_in_the_farm(void **state) {
    (void)state;
    rad_sched_case item[] = {{.id = 1, .cost = 9, .lost = 2},
                             {.id = 2, .cost = 5, .lost = 1},
                             {.id = 3, .cost = 1},
                             {.id = 4, .cost = 8, .lost = 7},
                             {.id = 5, .cost = 4, .lost = 1}};
    rad_sched *s = NULL;
    rad_error err = {0};
    int64_t got[5];
    assert_int_equal(rad_sched_create(item, 5, 2, &NO_DEADLINE, &s, &err), RAD_OK);
    assert_int_equal(rad_sched_lease(s, 0, 5, 0, got), 1);
    assert_int_equal(got[0], 2);                           /* the one that was never lost */
    assert_int_equal(rad_sched_lease(s, 1, 5, 0, got), 1); /* lost once: alone on its rank */
    assert_int_equal(got[0], 1);
    assert_true(rad_sched_complete(s, 2, 0));
    assert_int_equal(rad_sched_lease(s, 0, 5, 0, got), 1);
    assert_int_equal(got[0], 4);
    assert_true(rad_sched_complete(s, 4, 0));
    assert_int_equal(rad_sched_lease(s, 0, 5, 0, got), 0); /* lost twice: nobody else may hold anything */
    assert_true(rad_sched_complete(s, 1, 1));
    assert_int_equal(rad_sched_lease(s, 0, 5, 0, got), 1);
    assert_int_equal(got[0], 0);
    assert_int_equal(rad_sched_lease(s, 1, 5, 0, got), 0);
    assert_int_equal(rad_sched_rank_lost(s, 0, false), 1); /* and for no longer than it is out */
    assert_int_equal(rad_sched_lease(s, 1, 5, 0, got), 1);
    assert_int_equal(got[0], 0);
    rad_sched_destroy(&s);
}

static void given_back_does_not_count(void **state) {
    (void)state;
    double cost[] = {4, 3, 2};
    rad_sched *s = make(cost, NULL, 3, 2, &NO_DEADLINE);
    int64_t got[3], held[3];
    for (int k = 0; k < 5; k++) {
        assert_int_equal(rad_sched_lease(s, 0, 2, 0, got), 2);
        assert_int_equal(rad_sched_held(s, 0, 3, held), 2);
        assert_int_equal(rad_sched_held(s, 1, 3, held), 0);
        rad_sched_return(s, got[0], 1); /* not its to give back */
        assert_int_equal(rad_sched_state(s, got[0]), RAD_LEASE_LEASED);
        rad_sched_return(s, got[0], 0);
        rad_sched_return(s, got[1], 0);
    }
    assert_int_equal(rad_sched_attempts(s, 0), 0);
    assert_int_equal(rad_sched_lease(s, 0, 2, 0, got), 2);
    assert_int_equal(rad_sched_rank_lost(s, 0, false), 2);
    assert_int_equal(rad_sched_lease(s, 1, 3, 0, got), 3);
    rad_sched_drain(s);
    rad_sched_return(s, 2, 1);
    assert_int_equal(rad_sched_lease(s, 1, 3, 0, got), 0);
    assert_int_equal(rad_sched_count(s).pending, 1);
    rad_sched_destroy(&s);
}

static void deadline_grows_with_cost(void **state) {
    (void)state;
    double cost[] = {10, 1, 0};
    rad_sched_opts o = {.deadline_base_s = 5, .deadline_per_cost_s = 1};
    rad_sched *s = make(cost, NULL, 3, 2, &o);
    int64_t got[2];
    assert_int_equal(rad_sched_lease(s, 0, 2, 100, got), 2);
    assert_int_equal(rad_sched_expire(s, 105.9), 0);
    assert_int_equal(rad_sched_expire(s, 106), 1); /* case 1: 100 + 5 + 1 */
    assert_int_equal(rad_sched_state(s, 1), RAD_LEASE_PENDING);
    assert_int_equal(rad_sched_lease(s, 0, 2, 106, got), 0); /* silent */
    assert_false(rad_sched_rank_usable(s, 0));
    assert_int_equal(rad_sched_lease(s, 1, 2, 106, got), 1);
    assert_int_equal(got[0], 2);
    assert_true(rad_sched_complete(s, 2, 1));
    assert_int_equal(rad_sched_lease(s, 1, 2, 106, got), 1);
    assert_int_equal(got[0], 1);
    assert_true(rad_sched_complete(s, 1, 0)); /* the late answer is an answer, and the rank is back */
    assert_false(rad_sched_complete(s, 1, 1));
    assert_true(rad_sched_rank_usable(s, 0));
    assert_int_equal(rad_sched_expire(s, 115), 1);
    assert_int_equal(rad_sched_attempts(s, 0), 1);
    assert_int_equal(rad_sched_lease(s, 1, 2, 115, got), 1);
    assert_int_equal(rad_sched_expire(s, 200), 1);
    assert_int_equal(rad_sched_take_quarantined(s, 2, got), 1);
    assert_int_equal(got[0], 0);
    rad_sched_destroy(&s);
}

static void bad_sizes_and_memory(void **state) {
    (void)state;
    rad_error err = {0};
    rad_sched *s = NULL;
    rad_sched_case one = {.id = 1, .cost = 1};
    assert_int_equal(rad_sched_create(&one, -1, 1, &NO_DEADLINE, &s, &err), RAD_E_INTERNAL);
    assert_int_equal(rad_sched_create(&one, 1, 0, &NO_DEADLINE, &s, &err), RAD_E_INTERNAL);
    assert_int_equal(rad_sched_create(NULL, 0, 1, &NO_DEADLINE, &s, &err), RAD_OK);
    int64_t got[1];
    assert_int_equal(rad_sched_lease(s, 0, 1, 0, got), 0);
    assert_int_equal(rad_sched_lease(s, 5, 1, 0, got), 0);
    rad_sched_destroy(&s);
    for (int64_t k = 1;; k++) {
        rad_mem_fail_after(k);
        rad_status st = rad_sched_create(&one, 1, 1, &NO_DEADLINE, &s, &err);
        rad_mem_fail_after(0);
        if (st == RAD_OK)
            break;
        assert_int_equal(st, RAD_E_NOMEM);
        assert_null(s);
        assert_true(k < 20);
    }
    rad_sched_destroy(&s);
}

/* ---------------------------------------------------------------- random walk against a model kept by hand */

static uint64_t rng;
static uint64_t draw(uint64_t below) {
    rng ^= rng << 13;
    rng ^= rng >> 7;
    rng ^= rng << 17;
    return rng % below;
}

enum { CASES = 60, RANKS = 5 };

struct shadow {
    rad_lease_state state[CASES];
    int rank[CASES], losses[CASES], lost[CASES], stored[CASES], condemned[CASES];
    bool out[RANKS];
};

static void check(rad_sched *s, const struct shadow *m, int n) {
    rad_sched_counts want = {0}, c = rad_sched_count(s);
    for (int i = 0; i < n; i++) {
        assert_int_equal(rad_sched_state(s, i), m->state[i]);
        assert_int_equal(rad_sched_attempts(s, i), m->losses[i]);
        want.pending += m->state[i] == RAD_LEASE_PENDING;
        want.leased += m->state[i] == RAD_LEASE_LEASED;
        want.done += m->state[i] == RAD_LEASE_DONE;
        want.quarantined += m->state[i] == RAD_LEASE_QUARANTINED;
    }
    assert_true(c.pending == want.pending && c.leased == want.leased && c.done == want.done && c.quarantined == want.quarantined);
    assert_true(c.pending + c.leased + c.done + c.quarantined == n);
}

static void lose(struct shadow *m, int i, bool guilty) {
    m->losses[i] += guilty;
    m->lost[i] += guilty;
    m->state[i] = m->losses[i] >= RAD_MAX_ATTEMPTS ? RAD_LEASE_QUARANTINED : RAD_LEASE_PENDING;
    m->rank[i] = -1;
}

static void take_condemned(rad_sched *s, struct shadow *m) {
    int64_t got[4], k;
    while ((k = rad_sched_take_quarantined(s, 4, got)) > 0)
        for (int64_t j = 0; j < k; j++)
            m->condemned[got[j]]++;
}

static void leased(struct shadow *m, int rank, const int64_t *got, int64_t k, int n) {
    int held = 0, suspects = 0, all = 0, alone = 0;
    for (int64_t j = 0; j < k; j++) {
        assert_int_equal(m->state[got[j]], RAD_LEASE_PENDING);
        m->state[got[j]] = RAD_LEASE_LEASED;
        m->rank[got[j]] = rank;
    }
    for (int i = 0; i < n; i++) {
        if (m->state[i] != RAD_LEASE_LEASED)
            continue;
        all++;
        alone += m->lost[i] > 1;
        held += m->rank[i] == rank;
        suspects += m->rank[i] == rank && m->lost[i] > 0;
    }
    assert_true(suspects == 0 || held == 1); /* alone on the rank */
    assert_true(alone == 0 || all == 1);     /* alone in the farm */
}

static void walk(uint64_t seed) {
    rng = seed * 2654435761u + 88172645463325252u;
    int n = (int)draw(CASES) + 1, n_rank = (int)draw(RANKS) + 1;
    rad_sched_case item[CASES] = {{0}};
    for (int i = 0; i < n; i++)
        item[i] = (rad_sched_case){.id = i, .cost = (double)draw(10), .lost = (int)(draw(3) * draw(2))};
    rad_sched_opts o = {.deadline_base_s = 20, .deadline_per_cost_s = 1};
    rad_sched *s = NULL;
    rad_error err = {0};
    assert_int_equal(rad_sched_create(item, n, n_rank, &o, &s, &err), RAD_OK);
    struct shadow m = {0};
    for (int i = 0; i < n; i++) {
        m.rank[i] = -1;
        m.lost[i] = item[i].lost;
    }
    double now = 0;
    int64_t got[CASES];
    for (int step = 0; step < 400; step++) {
        int rank = (int)draw((uint64_t)n_rank), i = (int)draw((uint64_t)n);
        now += (double)draw(3);
        switch (draw(12)) {
        case 0:
        case 1:
        case 2:
        case 3:
            leased(&m, rank, got, rad_sched_lease(s, rank, (int64_t)draw(6), now, got), n);
            break;
        case 4:
        case 5:
        case 6:
        case 7: { /* a result, sometimes late, sometimes of a case that nobody asked for */
            bool first = m.state[i] == RAD_LEASE_LEASED || m.state[i] == RAD_LEASE_PENDING;
            if (m.state[i] == RAD_LEASE_PENDING && draw(4))
                break;
            assert_int_equal(rad_sched_complete(s, i, rank), first);
            m.stored[i] += first;
            if (first)
                m.state[i] = RAD_LEASE_DONE;
            break;
        }
        case 8:
            if (m.state[i] == RAD_LEASE_LEASED) {
                rad_sched_return(s, i, m.rank[i]);
                lose(&m, i, false);
            } else {
                rad_sched_return(s, i, rank);
            }
            break;
        case 9:
            if (rank > 0 && draw(4) == 0) { /* rank 0 survives, so that the end is reached */
                bool guilty = draw(2);
                for (int k = 0; k < n; k++)
                    if (m.state[k] == RAD_LEASE_LEASED && m.rank[k] == rank)
                        lose(&m, k, guilty);
                rad_sched_rank_lost(s, rank, guilty);
            }
            break;
        default: {
            int64_t leases = rad_sched_count(s).leased, dropped = rad_sched_expire(s, now);
            assert_int_equal(rad_sched_count(s).leased, leases - dropped);
            for (int k = 0; k < n; k++)
                if (m.state[k] == RAD_LEASE_LEASED && rad_sched_state(s, k) != RAD_LEASE_LEASED)
                    lose(&m, k, true);
            break;
        }
        }
        check(s, &m, n);
        take_condemned(s, &m);
    }
    for (int step = 0; step < 10 * CASES && rad_sched_count(s).pending + rad_sched_count(s).leased > 0; step++) {
        for (int i = 0; i < n; i++)
            if (m.state[i] == RAD_LEASE_LEASED) {
                assert_true(rad_sched_complete(s, i, m.rank[i]));
                m.stored[i]++;
                m.state[i] = RAD_LEASE_DONE;
            }
        rad_sched_complete(s, -1, 0); /* a sign of life wakes a silent rank */
        leased(&m, 0, got, rad_sched_lease(s, 0, 3, now, got), n);
    }
    take_condemned(s, &m);
    for (int i = 0; i < n; i++) { /* every case has one end: stored once, or condemned once */
        assert_int_equal(m.stored[i] + m.condemned[i], 1);
        assert_int_equal(m.condemned[i], m.losses[i] >= RAD_MAX_ATTEMPTS && !m.stored[i]);
    }
    rad_sched_counts c = rad_sched_count(s);
    assert_true(c.cost_done == c.cost_total);
    rad_sched_destroy(&s);
}

static void random_walks(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 500; seed++)
        walk(seed);
}

int main(void) {
    const struct CMUnitTest t[] = {cmocka_unit_test(largest_first_then_index),
                                   cmocka_unit_test(second_result_is_ignored),
                                   cmocka_unit_test(quarantined_after_two_losses),
                                   cmocka_unit_test(vanished_rank),
                                   cmocka_unit_test(lost_twice_goes_alone_in_the_farm),
                                   cmocka_unit_test(given_back_does_not_count),
                                   cmocka_unit_test(deadline_grows_with_cost),
                                   cmocka_unit_test(bad_sizes_and_memory),
                                   cmocka_unit_test(random_walks)};
    return cmocka_run_group_tests(t, NULL, NULL);
}

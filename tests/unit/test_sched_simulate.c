/* The simulation of a cluster: conservation, the promised efficiency, deaths, a coordinator that is the limit, the same for the same seed.
 */
#include "unit.h"

#include "radcohort/simulate.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static rad_sim_opts opts(int n_rank) {
    return (rad_sim_opts){.n_rank = n_rank,
                          .window = 4,
                          .latency_s = 5e-4,
                          .result_s = 9e-5,
                          .lease_s = 3e-5,
                          .lease_case_s = 1.5e-5,
                          .commit_s = 0.02,
                          .silence_s = 60,
                          .seed = 1};
}

static rad_sim_result go(int64_t n, double spread, const rad_sim_opts *o) {
    double *cost = malloc((size_t)n * sizeof *cost);
    rad_sim_result r;
    rad_error err = {0};
    rad_sim_costs(cost, n, 1, spread, o->seed);
    assert_int_equal(rad_sim_run(cost, n, o, &r, &err), RAD_OK);
    free(cost);
    assert_int_equal(r.n_done + r.n_left + r.n_quarantined, n);
    return r;
}

static void costs_have_their_mean_and_spread(void **state) {
    (void)state;
    enum { N = 200000 };
    double *cost = malloc(N * sizeof *cost), sum = 0, low = HUGE_VAL, high = 0;
    rad_sim_costs(cost, N, 2, 50, 7);
    for (int i = 0; i < N; i++) {
        sum += cost[i];
        low = fmin(low, cost[i]);
        high = fmax(high, cost[i]);
    }
    assert_true(fabs(sum / N - 2) < 0.02);
    assert_true(high / low > 49.5 && high / low <= 50);
    rad_sim_costs(cost, 3, 2, 1, 7);
    assert_true(cost[0] == 2 && cost[2] == 2);
    free(cost);
}

static void efficient_with_fifty_fold_costs(void **state) {
    (void)state;
    const int ranks[] = {1, 64, 1024};
    for (int i = 0; i < 3; i++) {
        rad_sim_opts o = opts(ranks[i]);
        rad_sim_result r = go(60000, 50, &o);
        assert_int_equal(r.n_done, 60000);
        assert_true(r.efficiency >= 0.97 && r.efficiency <= 1);
        assert_true(r.seconds >= r.work_s / ranks[i]);
        assert_true(r.coordinator_s <= r.seconds);
        rad_sim_result again = go(60000, 50, &o);
        assert_memory_equal(&r, &again, sizeof r);
    }
}

static void dead_ranks_cost_time_and_no_case(void **state) {
    (void)state;
    rad_sim_opts o = opts(64);
    o.fail_rate = 0.25;
    rad_sim_result r = go(20000, 50, &o);
    assert_int_equal(r.n_done + r.n_quarantined, 20000);
    assert_true(r.n_lost_rank >= 8 && r.n_lost_rank <= 28);
    assert_true(r.n_repeated >= r.n_lost_rank);
    assert_true(r.efficiency < 0.97 && r.efficiency > 0.6);
    o.n_rank = 2;
    o.fail_rate = 0.999999;
    r = go(20000, 50, &o);
    assert_true(r.n_left > 0 && r.n_lost_rank == 2); /* nobody is left */
}

static void slow_coordinator_is_the_limit(void **state) {
    (void)state;
    rad_sim_opts o = opts(1024);
    o.result_s = 0.01; /* a hundred results per second, and ranks for a thousand */
    rad_sim_result r = go(20000, 1, &o);
    assert_true(r.efficiency < 0.15);
    assert_true(r.coordinator_s / r.seconds > 0.95);
}

static void what_a_rank_may_have(void **state) {
    (void)state;
    enum { N = 1000 };
    rad_sched_case item[N];
    const rad_sched_opts never = {0};
    rad_sched *s = NULL;
    rad_error err = {0};
    int64_t got[RAD_SCHED_MAX_HOLD];
    for (int i = 0; i < N; i++)
        item[i] = (rad_sched_case){.id = i, .cost = 1};
    assert_int_equal(rad_sched_create(item, N, 4, &never, &s, &err), RAD_OK);
    assert_int_equal(rad_sched_want(s, 1, 10, 0, 4), 10);
    assert_int_equal(rad_sched_want(s, 1, 10, 50, 4), 50);   /* what it does in a second */
    assert_int_equal(rad_sched_want(s, 1, 10, 1e9, 4), 125); /* half of the even share */
    assert_int_equal(rad_sched_want(s, 1, 10, 1e9, 1), RAD_SCHED_MAX_HOLD);
    assert_int_equal(rad_sched_want(s, 1, 10, 0, 400), 2); /* not less than two */
    assert_int_equal(rad_sched_lease(s, 1, 6, 0, got), 6);
    assert_int_equal(rad_sched_want(s, 1, 10, 0, 4), 0); /* more than half of it is there still */
    assert_true(rad_sched_complete(s, got[0], 1));
    assert_int_equal(rad_sched_want(s, 1, 10, 0, 4), 5);
    rad_sched_destroy(&s);
}

static void refuses_nonsense(void **state) {
    (void)state;
    const double cost = 1;
    rad_sim_result r;
    rad_error err = {0};
    rad_sim_opts o = opts(0);
    assert_int_equal(rad_sim_run(&cost, 1, &o, &r, &err), RAD_E_USAGE);
    o = opts(1);
    assert_int_equal(rad_sim_run(&cost, 0, &o, &r, &err), RAD_E_USAGE);
    o.fail_rate = 1;
    assert_int_equal(rad_sim_run(&cost, 1, &o, &r, &err), RAD_E_USAGE);
    for (int64_t n = 1; n < 8; n++) {
        o = opts(1);
        rad_mem_fail_after(n);
        rad_status st = rad_sim_run(&cost, 1, &o, &r, &err);
        rad_mem_fail_after(0);
        assert_true(st == RAD_E_NOMEM || st == RAD_OK);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(costs_have_their_mean_and_spread),
        cmocka_unit_test(efficient_with_fifty_fold_costs),
        cmocka_unit_test(dead_ranks_cost_time_and_no_case),
        cmocka_unit_test(slow_coordinator_is_the_limit),
        cmocka_unit_test(what_a_rank_may_have),
        cmocka_unit_test(refuses_nonsense),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Which resource was the limit, from where the time went. */
#include "unit.h"

#include "radcohort/farm.h"

static rad_limit limit(double read, double prepare, double infer, double write, double busy[RAD_N_LIMIT]) {
    const rad_farm_outcome o = {
        .seconds = 100, .n_rank = 4, .n_loader = 8, .read_s = read, .prepare_s = prepare, .infer_s = infer, .write_s = write};
    return rad_farm_limit(&o, busy);
}

static void the_busiest_is_the_limit(void **state) {
    (void)state;
    double busy[RAD_N_LIMIT];
    assert_int_equal(limit(100, 100, 380, 10, busy), RAD_LIMIT_INFER);
    assert_true(busy[RAD_LIMIT_INFER] == 0.95 && busy[RAD_LIMIT_READ] == 0.125 && busy[RAD_LIMIT_DATABASE] == 0.1);
    assert_int_equal(limit(500, 280, 380, 10, busy), RAD_LIMIT_READ); /* loaders 97.5 % */
    assert_int_equal(limit(280, 500, 380, 10, busy), RAD_LIMIT_PREPARE);
    assert_int_equal(limit(100, 100, 200, 99, busy), RAD_LIMIT_DATABASE); /* there is one of it */
    assert_int_equal(limit(100, 100, 100, 10, busy), RAD_LIMIT_WAIT);
    assert_true(busy[RAD_LIMIT_WAIT] == 0.75);
    assert_int_equal(limit(0, 0, 0, 0, busy), RAD_LIMIT_WAIT);
    assert_int_equal(limit(0, 0, 4000, 0, busy), RAD_LIMIT_INFER); /* several at once on a device */
    assert_true(busy[RAD_LIMIT_INFER] == 1);
    /* what the loaders do is one line: its largest part names it */
    const rad_farm_outcome packed = {
        .seconds = 100, .n_rank = 4, .n_loader = 8, .read_s = 200, .inflate_s = 300, .map_s = 100, .infer_s = 290};
    assert_int_equal(rad_farm_limit(&packed, busy), RAD_LIMIT_INFLATE);
    assert_true(busy[RAD_LIMIT_INFLATE] == 0.375 && busy[RAD_LIMIT_MAPS] == 0.125 && busy[RAD_LIMIT_READ] == 0.25);
    const rad_farm_outcome drawn = {.seconds = 100, .n_rank = 4, .n_loader = 8, .prepare_s = 200, .map_s = 300};
    assert_int_equal(rad_farm_limit(&drawn, busy), RAD_LIMIT_MAPS);
    assert_string_equal(rad_limit_name(RAD_LIMIT_MAPS), "maps");
    const rad_farm_outcome nothing = {0};
    assert_int_equal(rad_farm_limit(&nothing, busy), RAD_LIMIT_WAIT);
    assert_string_equal(rad_limit_name(RAD_LIMIT_WAIT), "waiting");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_busiest_is_the_limit)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

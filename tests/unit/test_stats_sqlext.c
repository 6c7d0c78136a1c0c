/* RAD_TEST_LINK: rad_sqlext
 * The statistics linked into a program: one call registers them with a connection. */
#include <math.h>

#include <sqlite3.h>

#include "unit.h"

#include "radcohort/sqlext.h"
#include "radcohort/stats.h"

static double value(sqlite3 *db, const char *sql) {
    sqlite3_stmt *q = NULL;
    if (sqlite3_prepare_v2(db, sql, -1, &q, NULL) != SQLITE_OK || sqlite3_step(q) != SQLITE_ROW)
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    const double x = sqlite3_column_type(q, 0) == SQLITE_NULL ? NAN : sqlite3_column_double(q, 0);
    sqlite3_finalize(q);
    return x;
}

static void test_register(void **state) {
    (void)state;
    rad_error err = {0};
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
    assert_ok(rad_sqlext_register(db, &err));
    assert_true(value(db, "SELECT count(*) FROM radstats_functions") == (double)rad_stat_function_count());
    assert_true(value(db, "SELECT auc(y, x) FROM (SELECT 1 y, 2 x UNION ALL SELECT 0, 1 UNION ALL SELECT 0, 2)") == 0.75);
    assert_true(isnan(value(db, "SELECT auc(1, 2)")));
    assert_true(value(db, "SELECT max(tpr) FROM roc_points('SELECT 1, 2 UNION ALL SELECT 0, 1')") == 1);
    /* the same number through C */
    const int8_t y[3] = {1, 0, 0};
    const double x[3] = {2, 1, 2};
    rad_estimate e;
    assert_ok(rad_auc(y, x, 3, 0.95, &e, &err));
    assert_true(e.est == 0.75);
    sqlite3_close(db);
}

/* Memory that runs out inside a statement is an error of that statement, and nothing leaks (run under the sanitizers). */
static void test_memory(void **state) {
    (void)state;
    rad_error err = {0};
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
    assert_ok(rad_sqlext_register(db, &err));
    const char *const sql[] = {
        "SELECT auc_json(y, x) FROM (SELECT 1 y, 2 x UNION ALL SELECT 0, 1 UNION ALL SELECT 0, 2)",
        "SELECT kappa_json(a, b) FROM (SELECT 'u' a, 'v' b UNION ALL SELECT 'v', 'v')",
        "SELECT document FROM logistic('SELECT 1, 2 UNION ALL SELECT 0, 1 UNION ALL SELECT 1, 0 UNION ALL SELECT 0, 3')"};
    for (size_t k = 0; k < sizeof sql / sizeof *sql; k++)
        for (int64_t n = 1, ok = 0; n < 400 && !ok; n++) {
            sqlite3_stmt *q = NULL;
            rad_mem_fail_after(n);
            int rc = sqlite3_prepare_v2(db, sql[k], -1, &q, NULL);
            if (rc == SQLITE_OK)
                rc = sqlite3_step(q);
            rad_mem_fail_after(0);
            ok = rc == SQLITE_ROW;
            if (!ok)
                assert_true(rc == SQLITE_NOMEM || rc == SQLITE_ERROR);
            sqlite3_finalize(q);
        }
    sqlite3_close(db);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_register), cmocka_unit_test(test_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

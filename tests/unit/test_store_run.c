/* A run through the store: counts, promise 2 (once), promise 3 (nothing disappears), order of arrival, aggregation. */
#include "store_fixture.h"

#include "radcohort/stats.h"

static const fx_shape SHAPE = {.n_center = 3, .n_patient = 60, .n_lesion = 2, .n_class = 2, .n_model = 2, .n_slice = 3, .trouble = true};

static char path[128];
static const char *folder;
static int setup(void **state) {
    (void)state;
    folder = unit_folder();
    snprintf(path, sizeof path, "%s/deep/er/s.sqlite", folder);
    return 0;
}
static int teardown(void **state) {
    (void)state;
    unit_remove(folder);
    return 0;
}

static void everything_is_scored_or_excluded(void **state) {
    (void)state;
    fixture f;
    char hash[RAD_SHA256_HEX];
    fx_create(&f, SHAPE);
    int64_t run = fx_run_all(&f, path, hash);
    assert_int_equal(run, 1);
    assert_int_equal(strlen(hash), 64);
    assert_number(path, "SELECT state = 'finished' FROM run", 1);
    assert_number(path, "SELECT count(*) FROM manifest", 120);
    assert_number(path,
                  "SELECT count(*) FROM v_manifest_check WHERE n_case = n_scored + n_excluded AND n_neither = 0 AND n_both = 0"
                  " AND n_patient = n_patient_scored + n_patient_excluded",
                  2);
    /* cases 5, 22, ... fail at intake: odd ones for both models (one row), even ones for net0 */
    assert_number(path, "SELECT count(*) FROM exclusion WHERE stage = 'intake' AND run_model_id IS NULL", 4);
    assert_number(path, "SELECT count(*) FROM exclusion WHERE stage = 'intake' AND run_model_id IS NOT NULL", 3);
    assert_number(path, "SELECT count(*) FROM v_exclusion WHERE stage = 'infer' AND reason = 'nonfinite' AND model = 'net1'",
                  6); /* 3, 22, 41, ...; one of them is also out for another reason */
    assert_number(path, "SELECT count(*) FROM v_exclusion WHERE stage = 'load' AND model IS NULL", 9);
    assert_number(path, "SELECT count(*) FROM unused_image", 1);
    assert_true(fx_number(path, "SELECT count(*) FROM warning") > 3);
    assert_number(path, "SELECT count(*) FROM pragma_foreign_key_check", 0);
    assert_number(path, "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check <> 'ok'", 0);
    /* two-class jobs: rows of the positive class only, and labels */
    assert_number(path, "SELECT count(DISTINCT class) FROM v_case_score", 1);
    assert_number(path, "SELECT count(*) FROM v_case_score WHERE label IS NULL OR label NOT IN (0, 1)", 0);
    assert_number(path, "SELECT count(*) FROM v_call WHERE unit = 'lesion' AND (score >= 0.5) <> call", 0);
    /* a score's way back */
    assert_number(path, "SELECT count(*) FROM v_slice_score WHERE length(model_sha256) <> 64 OR length(result_key) <> 64", 0);
    assert_number(path, "SELECT count(*) FROM v_source WHERE result_key IS NOT NULL AND content IS NULL", 0);
    /* a patient is positive when one lesion is */
    assert_number(path,
                  "SELECT count(*) FROM v_case_score p WHERE unit = 'patient' AND label <> (SELECT max(k.class_index = 1) FROM manifest k"
                  " JOIN patient q ON q.patient_id = k.patient_id WHERE q.patient = p.patient)",
                  0);
    fx_destroy(&f);
}

static void aggregation_follows_the_rules(void **state) {
    (void)state;
    fixture f;
    char hash[RAD_SHA256_HEX];
    fx_create(&f, SHAPE);
    fx_run_all(&f, path, hash);
    assert_number(path,
                  "SELECT count(*) FROM v_case_score s WHERE unit = 'lesion' AND score <> (SELECT max(score) FROM v_slice_score v"
                  " WHERE v.model = s.model AND v.patient = s.patient AND v.lesion = s.lesion)",
                  0);
    assert_number(path,
                  "SELECT count(*) FROM v_case_score s WHERE unit = 'patient' AND abs(score - (SELECT avg(score) FROM v_case_score v"
                  " WHERE v.model = s.model AND v.patient = s.patient AND v.unit = 'lesion')) > 1e-15",
                  0);
    assert_number(path, "SELECT count(*) FROM case_score WHERE unit = 'patient' AND n_part + n_missing <> 2", 0);
    assert_true(fx_number(path, "SELECT count(*) FROM case_score WHERE unit = 'patient' AND n_missing = 1") > 0);
    fx_destroy(&f);

    double x[] = {3, 1, 2, 10}, y[] = {0.1, 0.2, 0.3, 1e16, -1e16}, z[] = {-1e16, 0.3, 1e16, 0.2, 0.1};
    assert_true(rad_aggregate_scores("median", x, 4) == 2.5);
    assert_true(rad_aggregate_scores("median", x, 3) == 2);
    assert_true(rad_aggregate_scores("max", x, 4) == 10);
    assert_true(rad_aggregate_scores("mean", y, 5) == rad_aggregate_scores("mean", z, 5)); /* any order */
    assert_true(isnan(rad_aggregate_scores("mean", x, 0)));
    assert_true(rad_aggregate_is_rule("mean"));
    assert_false(rad_aggregate_is_rule("average"));
}

/* Cases arrive in a shuffled order, some twice, in batches of every size: same hash, same tables. */
static void order_of_arrival_does_not_matter(void **state) {
    (void)state;
    fixture f;
    char want[RAD_SHA256_HEX], got[RAD_SHA256_HEX], other[160];
    fx_create(&f, SHAPE);
    fx_run_all(&f, path, want);
    for (int round = 0; round < 3; round++) {
        rad_error err;
        rad_store *st = NULL;
        rad_pending_case *p = NULL;
        int64_t run, n, excluded;
        bool resumed, finished;
        fx_result *b = malloc(sizeof *b);
        snprintf(other, sizeof other, "%s/o%d.sqlite", folder, round);
        assert_ok(rad_store_open(other, RAD_STORE_WRITE, &st, &err));
        assert_ok(rad_store_begin_run(st, &f.info, &run, &resumed, &finished, &p, &n, &err));
        assert_false(resumed || finished);
        for (int64_t i = n - 1; i > 0; i--) {
            int64_t j = (int64_t)(fx_hash(other + (i % 7)) * (uint64_t)(i + round) % (uint64_t)(i + 1));
            rad_pending_case t = p[i];
            p[i] = p[j];
            p[j] = t;
        }
        for (int64_t i = 0; i < n; i++) {
            assert_ok(rad_store_put_result(st, run, fx_make(&f, p[i].manifest_index, p[i].case_id, -1, b), &err));
            if (i % 5 == round) { /* the second result of a case, and a late quarantine, change nothing */
                b->score[0][0] = 0.123;
                assert_ok(rad_store_put_result(st, run, &b->r, &err));
                assert_ok(rad_store_put_exclusion(st, run, p[i].case_id, "farm", RAD_E_QUARANTINE, "late", &err));
            }
            if (i % 9 == round)
                assert_ok(rad_store_flush(st, &err));
        }
        assert_ok(rad_store_finish_run(st, run, &f.job, &excluded, &err));
        assert_ok(rad_store_result_hash(st, run, got, &err));
        assert_string_equal(got, want);
        rad_run_status status;
        assert_ok(rad_store_run_status(st, run, &status, &err));
        assert_int_equal(status.n_done, 120);
        assert_int_equal(status.n_excluded, excluded);
        assert_string_equal(status.state, "finished");
        assert_true(status.writer);
        /* the same job again: nothing to do, same run */
        free(p);
        assert_ok(rad_store_begin_run(st, &f.info, &run, &resumed, &finished, &p, &n, &err));
        assert_true(finished);
        assert_int_equal(n, 0);
        assert_int_equal(run, 1);
        rad_store_close(&st);
        free(p);
        free(b);
    }
    fx_destroy(&f);
}

/* Promise 2: the same voxels under two patients are one result; so are those of a second job over the same models. */
static void results_are_stored_once(void **state) {
    (void)state;
    fixture f;
    rad_error err;
    rad_store *st = NULL;
    rad_pending_case *p = NULL;
    int64_t run, n, excluded;
    bool resumed, finished;
    char hash[RAD_SHA256_HEX];
    fx_result *b = malloc(sizeof *b);
    fx_create(&f, (fx_shape){.n_center = 2, .n_patient = 10, .n_lesion = 0, .n_class = 3, .n_model = 2, .n_slice = 4});
    assert_ok(rad_store_open(path, RAD_STORE_WRITE, &st, &err));
    assert_ok(rad_store_begin_run(st, &f.info, &run, &resumed, &finished, &p, &n, &err));
    assert_int_equal(n, 10);
    for (int64_t i = 0; i < n; i++)
        assert_ok(rad_store_put_result(st, run, fx_make(&f, i, p[i].case_id, i == 7 ? 2 : -1, b), &err));
    assert_ok(rad_store_finish_run(st, run, &f.job, &excluded, &err));
    assert_int_equal(excluded, 0);
    assert_number(path, "SELECT count(*) FROM result", 18);
    assert_number(path, "SELECT count(*) FROM run_result", 20);
    assert_number(path, "SELECT n_patient FROM v_shared_volume", 2);
    assert_number(path, "SELECT count(*) FROM v_shared_volume WHERE patients = 'P0002, P0007'", 2);
    assert_number(path, "SELECT count(DISTINCT class) FROM v_case_score", 3);
    free(p);

    f.job.text[0] = 'N'; /* another text that says the same: the same run */
    f.job.sha256[0] = f.job.sha256[0] == '0' ? '1' : '0';
    f.job.batch++;
    assert_ok(rad_store_begin_run(st, &f.info, &run, &resumed, &finished, &p, &n, &err));
    assert_true(run == 1 && finished && n == 0);
    free(p);
    f.info.files_sha256 = "g"; /* another file under the same name: another run */
    assert_ok(rad_store_begin_run(st, &f.info, &run, &resumed, &finished, &p, &n, &err));
    assert_int_equal(run, 2);
    assert_false(resumed || finished);
    for (int64_t i = 0; i < n; i++) {
        fx_make(&f, i, p[i].case_id, i == 7 ? 2 : -1, b);
        if (i == 4)
            b->score[1][0] = 0.25; /* a machine that computes differently: kept out, and told */
        assert_ok(rad_store_put_result(st, run, &b->r, &err));
    }
    assert_ok(rad_store_finish_run(st, run, &f.job, &excluded, &err));
    assert_number(path, "SELECT count(*) FROM result", 18);
    assert_number(path, "SELECT count(*) FROM warning WHERE run_id = 2 AND stage = 'store'", 1);
    char first[RAD_SHA256_HEX];
    assert_ok(rad_store_result_hash(st, 1, first, &err));
    assert_ok(rad_store_result_hash(st, 2, hash, &err));
    assert_string_equal(first, hash);
    rad_store_close(&st);
    free(p);
    free(b);
    fx_destroy(&f);
}

/* What the file holds is told to workers, and a result that is only named is linked; one that is not there is an error. */
static void stored_results_are_used(void **state) {
    (void)state;
    fixture f;
    rad_error err = {0};
    rad_store *st = NULL;
    rad_pending_case *p = NULL;
    rad_run_status status;
    int64_t run, n, excluded, n_key = -1;
    bool resumed, finished;
    uint8_t *key = NULL;
    char first[RAD_SHA256_HEX], hash[RAD_SHA256_HEX];
    fx_result *b = malloc(sizeof *b);
    fx_create(&f, (fx_shape){.n_center = 2, .n_patient = 10, .n_lesion = 0, .n_class = 3, .n_model = 2, .n_slice = 4});
    fx_run_all(&f, path, first);
    f.info.files_sha256 = "g";
    assert_ok(rad_store_open(path, RAD_STORE_WRITE, &st, &err));
    assert_ok(rad_store_begin_run(st, &f.info, &run, &resumed, &finished, &p, &n, &err));
    assert_ok(rad_store_known_keys(st, run, 100, &key, &n_key, &err));
    assert_int_equal(n_key, 20);
    for (int64_t i = 1; i < n_key; i++)
        assert_true(memcmp(key + (i - 1) * RAD_SHA256_BYTES, key + i * RAD_SHA256_BYTES, RAD_SHA256_BYTES) < 0);
    free(key);
    assert_ok(rad_store_known_keys(st, run, 7, &key, &n_key, &err));
    assert_int_equal(n_key, 7);
    free(key);
    for (int64_t i = 0; i < n; i++) {
        fx_make(&f, i, p[i].case_id, -1, b);
        for (int m = 0; m < 2; m++)
            if (i < 8 || m == 0) { /* two cases are computed by half */
                b->model[m].stored = true;
                b->model[m].n_slice = 0;
            }
        assert_ok(rad_store_put_result(st, run, &b->r, &err));
    }
    assert_ok(rad_store_finish_run(st, run, &f.job, &excluded, &err));
    assert_ok(rad_store_run_status(st, run, &status, &err));
    assert_true(status.n_result == 20 && status.n_reused == 18 && status.n_case_reused == 8);
    assert_number(path, "SELECT n_reused FROM v_run WHERE run_id = 2", 18);
    assert_ok(rad_store_result_hash(st, run, hash, &err));
    assert_string_equal(first, hash);
    free(p);

    f.info.files_sha256 = "h";
    assert_ok(rad_store_begin_run(st, &f.info, &run, &resumed, &finished, &p, &n, &err));
    fx_make(&f, 0, p[0].case_id, -1, b);
    b->model[0].stored = true;
    b->model[0].n_slice = 0;
    memset(b->model[0].key, '0', RAD_SHA256_HEX - 1);
    assert_fails(rad_store_put_result(st, run, &b->r, &err), RAD_E_STORE, "not there any more");
    rad_store_close(&st);
    free(p);
    free(b);
    fx_destroy(&f);
}

static void promise_three_fails_the_run(void **state) {
    (void)state;
    fixture f;
    rad_error err;
    rad_store *st = NULL;
    rad_pending_case *p = NULL;
    int64_t run, n, excluded;
    bool resumed, finished;
    fx_result *b = malloc(sizeof *b);
    fx_create(&f, (fx_shape){.n_center = 2, .n_patient = 6, .n_lesion = 1, .n_class = 2, .n_model = 1, .n_slice = 1});
    assert_ok(rad_store_open(path, RAD_STORE_WRITE, &st, &err));
    assert_ok(rad_store_begin_run(st, &f.info, &run, &resumed, &finished, &p, &n, &err));
    for (int64_t i = 0; i < n; i++)
        if (i != 4)
            assert_ok(rad_store_put_result(st, run, fx_make(&f, i, p[i].case_id, -1, b), &err));
    assert_fails(rad_store_finish_run(st, run, &f.job, &excluded, &err), RAD_E_STORE, "first: patient 'P0004', lesion L0");
    assert_number(path, "SELECT state = 'failed' FROM run", 1);
    assert_number(path, "SELECT count(*) FROM case_score", 0);
    /* a row that vanished behind our back is found, too, and done again */
    fx_sql(path, "DELETE FROM run_result WHERE case_id = 1");
    free(p);
    assert_ok(rad_store_begin_run(st, &f.info, &run, &resumed, &finished, &p, &n, &err));
    assert_true(resumed);
    assert_int_equal(n, 2);
    assert_int_equal(p[0].manifest_index, 0);
    fx_sql(path, "DELETE FROM time_ledger WHERE case_id = 1");
    for (int64_t i = 0; i < n; i++)
        assert_ok(rad_store_put_result(st, run, fx_make(&f, p[i].manifest_index, p[i].case_id, -1, b), &err));
    assert_ok(rad_store_finish_run(st, run, &f.job, &excluded, &err));
    assert_number(path, "SELECT state = 'finished' FROM run", 1);
    rad_store_close(&st);
    free(p);
    free(b);
    fx_destroy(&f);
}

static void leases_and_quarantine(void **state) {
    (void)state;
    fixture f;
    rad_error err;
    rad_store *st = NULL;
    rad_pending_case *p = NULL;
    int64_t run, n, excluded;
    bool resumed, finished;
    fx_result *b = malloc(sizeof *b);
    fx_create(&f, (fx_shape){.n_center = 1, .n_patient = 4, .n_lesion = 0, .n_class = 2, .n_model = 1, .n_slice = 1});
    assert_ok(rad_store_open(path, RAD_STORE_WRITE, &st, &err));
    assert_ok(rad_store_begin_run(st, &f.info, &run, &resumed, &finished, &p, &n, &err));
    int64_t id[4];
    for (int i = 0; i < 4; i++)
        id[i] = p[i].case_id;
    free(p);
    assert_ok(rad_store_lease(st, run, id, 2, 3, &err)); /* committed: another connection sees it */
    assert_number(path, "SELECT count(*) FROM work WHERE state = 'leased' AND rank = 3 AND attempts = 1", 2);
    assert_ok(rad_store_return(st, run, id, 1, &err));
    assert_number(path, "SELECT attempts FROM work WHERE case_id = 1", 0);
    assert_ok(rad_store_lease(st, run, id + 1, 1, 2, &err)); /* its first rank was lost */
    assert_number(path, "SELECT attempts FROM work WHERE case_id = 2", 2);
    assert_ok(rad_store_put_exclusion(st, run, id[1], "farm", RAD_E_QUARANTINE, "took its rank down twice", &err));
    assert_ok(rad_store_put_result(st, run, fx_make(&f, 0, id[0], -1, b), &err));
    assert_fails(rad_store_lease(st, run, id, 1, 1, &err), RAD_E_INTERNAL, "cannot be leased");
    rad_store_close(&st);
    /* the failed lease rolled the open batch back: result and quarantine are to be done again */
    assert_ok(rad_store_open(path, RAD_STORE_WRITE, &st, &err));
    assert_ok(rad_store_begin_run(st, &f.info, &run, &resumed, &finished, &p, &n, &err));
    assert_true(resumed);
    assert_int_equal(n, 4);
    assert_int_equal(p[1].attempts, 1); /* the lost rank counts, the lease of the dead session does not */
    assert_ok(rad_store_put_exclusion(st, run, id[1], "farm", RAD_E_QUARANTINE, "took its rank down twice", &err));
    for (int64_t i = 0; i < n; i++)
        assert_ok(rad_store_put_result(st, run, fx_make(&f, i, id[i], -1, b), &err)); /* too late for id[1] */
    assert_ok(rad_store_finish_run(st, run, &f.job, &excluded, &err));
    assert_int_equal(excluded, 1);
    assert_number(path, "SELECT count(*) FROM v_exclusion WHERE reason = 'quarantine' AND stage = 'farm' AND patient = 'P0001'", 1);
    assert_number(path, "SELECT count(*) FROM work WHERE state = 'quarantined'", 1);
    rad_store_close(&st);
    free(p);
    free(b);
    fx_destroy(&f);
}

/* Sessions that die with a case on lease: forgiven as long as they finish something; three that do not condemn it. */
static void fruitless_sessions_are_counted(void **state) {
    (void)state;
    fixture f;
    rad_error err;
    fx_create(&f, (fx_shape){.n_center = 1, .n_patient = 9, .n_lesion = 0, .n_class = 2, .n_model = 1, .n_slice = 1});
    fx_result *b = malloc(sizeof *b);
    for (int session = 0; session < 8; session++) {
        rad_store *st = NULL;
        rad_pending_case *p = NULL;
        int64_t run, n;
        bool resumed, finished;
        assert_ok(rad_store_open(path, RAD_STORE_WRITE, &st, &err));
        assert_ok(rad_store_begin_run(st, &f.info, &run, &resumed, &finished, &p, &n, &err));
        assert_int_equal(p[n - 1].attempts, session < 7 ? 0 : 1000);
        assert_int_equal(p[n - 1].lost, session);
        assert_ok(rad_store_lease(st, run, &p[n - 1].case_id, 1, 0, &err));
        if (session < 4) {
            assert_ok(rad_store_put_result(st, run, fx_make(&f, p[0].manifest_index, p[0].case_id, -1, b), &err));
            assert_ok(rad_store_flush(st, &err));
        }
        rad_store_close(&st); /* as if killed */
        free(p);
    }
    free(b);
    fx_destroy(&f);
}

static void stop_gives_leases_back(void **state) {
    (void)state;
    fixture f;
    rad_error err;
    rad_store *st = NULL;
    rad_pending_case *p = NULL;
    int64_t run, n;
    bool resumed, finished;
    fx_create(&f, (fx_shape){.n_center = 1, .n_patient = 3, .n_lesion = 0, .n_class = 2, .n_model = 1, .n_slice = 1});
    assert_ok(rad_store_open(path, RAD_STORE_WRITE, &st, &err));
    assert_ok(rad_store_begin_run(st, &f.info, &run, &resumed, &finished, &p, &n, &err));
    assert_ok(rad_store_lease(st, run, &p[0].case_id, 1, 0, &err));
    assert_ok(rad_store_stop_run(st, run, &err));
    assert_number(path, "SELECT count(*) FROM work WHERE state = 'pending' AND attempts = 0", 3);
    assert_number(path, "SELECT state = 'stopped' FROM run", 1);
    assert_fails(rad_store_compute_statistics(st, run, &err), RAD_E_STORE, "is not finished");
    rad_store_close(&st);
    free(p);
    fx_destroy(&f);
}

int main(void) {
    const struct CMUnitTest t[] = {
        cmocka_unit_test_setup_teardown(everything_is_scored_or_excluded, setup, teardown),
        cmocka_unit_test_setup_teardown(aggregation_follows_the_rules, setup, teardown),
        cmocka_unit_test_setup_teardown(order_of_arrival_does_not_matter, setup, teardown),
        cmocka_unit_test_setup_teardown(results_are_stored_once, setup, teardown),
        cmocka_unit_test_setup_teardown(stored_results_are_used, setup, teardown),
        cmocka_unit_test_setup_teardown(promise_three_fails_the_run, setup, teardown),
        cmocka_unit_test_setup_teardown(leases_and_quarantine, setup, teardown),
        cmocka_unit_test_setup_teardown(fruitless_sessions_are_counted, setup, teardown),
        cmocka_unit_test_setup_teardown(stop_gives_leases_back, setup, teardown),
    };
    return cmocka_run_group_tests(t, NULL, NULL);
}

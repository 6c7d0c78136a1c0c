/* Statistics through the database: the reference values of ../shared/stats (pROC) to 1e-10, strata, contrasts, clustering, and the query
 * that each row keeps. */
#include "store_fixture.h"

#define MAX_ROWS 4096

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

/* A cohort of patients, lesions and slices taken from a table: label, score, center, patient. */
typedef struct observed {
    char patient[32], center[32];
    int label;
    double score;
} observed;

static char *shared(const char *name) {
    const char *root = getenv("RADCOHORT_SHARED"), *source = getenv("RAD_SOURCE");
    char file[512];
    rad_error err = {0};
    char *text = NULL;
    size_t size;
    if (root)
        snprintf(file, sizeof file, "%s/stats/%s", root, name);
    else
        snprintf(file, sizeof file, "%s/../shared/stats/%s", source ? source : ".", name);
    return rad_file_read(file, (size_t)64 << 20, &text, &size, &err) == RAD_OK ? text : NULL;
}

/* Cuts the next line off *rest; NULL at the end. */
static char *next_line(char **rest) {
    char *line = *rest, *end = strchr(line, '\n');
    if (!*line)
        return NULL;
    *rest = end ? end + 1 : line + strlen(line);
    if (end)
        *end = 0;
    return line;
}

/* Fields by comma, no quotes: the format of the reference data. */
static int read_table(const char *name, const char *patient, const char *center, const char *label, const char *score, bool flip,
                      observed *ret) {
    char in_data[64];
    snprintf(in_data, sizeof in_data, "data/%s", name);
    char *text = shared(in_data), *rest = text, *line;
    int column[4] = {-1, -1, -1, -1}, n = 0;
    const char *const want[4] = {patient, center, label, score};
    if (!text)
        return 0;
    line = next_line(&rest);
    for (int c = 0; line; c++) {
        char *end = strchr(line, ',');
        size_t len = end ? (size_t)(end - line) : strlen(line);
        for (int i = 0; i < 4; i++)
            if (want[i] && strlen(want[i]) == len && strncmp(line, want[i], len) == 0)
                column[i] = c;
        line = end ? end + 1 : NULL;
    }
    while ((line = next_line(&rest)) && n < MAX_ROWS) {
        observed *o = &ret[n++];
        *o = (observed){.label = -1, .score = NAN};
        snprintf(o->center, sizeof o->center, "internal");
        for (int c = 0; line; c++) {
            char *end = strchr(line, ',');
            if (end)
                *end = 0;
            if (c == column[0])
                snprintf(o->patient, sizeof o->patient, "%s", line);
            if (c == column[1])
                snprintf(o->center, sizeof o->center, "%s", line);
            int64_t l;
            if (c == column[2] && rad_parse_int(line, &l))
                o->label = l > 0;
            double v;
            if (c == column[3] && rad_parse_double(line, &v))
                o->score = flip ? -v : v;
            line = end ? end + 1 : NULL;
        }
    }
    free(text);
    return n;
}

/* A job over the rows: consecutive rows of one patient are slices (slices), lesions, or the patient. The score is that of class 1. */
static void run_job(const observed *o, int n, rad_unit unit, bool slices, const char *rule, const char *db) {
    fixture f;
    rad_error err;
    rad_store *st = NULL;
    rad_pending_case *p = NULL;
    int64_t run, n_case = 0, excluded;
    bool resumed, finished;
    fx_create(&f, (fx_shape){.n_center = 1, .n_patient = 1, .n_lesion = unit == RAD_UNIT_LESION, .n_class = 2, .n_model = 1, .n_slice = 1});
    snprintf(f.job.lesion_rule, sizeof f.job.lesion_rule, "%s", rule);
    snprintf(f.job.patient_rule, sizeof f.job.patient_rule, "%s", rule);
    rad_cohort *c = &f.cohort;
    free(c->patient[0].covariate);
    free(c->center);
    free(c->patient);
    free(c->lesion);
    for (int64_t i = 0; i < f.manifest.n_case; i++)
        free(f.manifest.item[i].input);
    free(f.manifest.item);
    c->center = calloc((size_t)n, sizeof *c->center);
    c->patient = calloc((size_t)n, sizeof *c->patient);
    c->lesion = calloc((size_t)n + 1, sizeof *c->lesion);
    f.manifest.item = calloc((size_t)n, sizeof *f.manifest.item);
    c->n_center = c->n_patient = c->n_lesion = f.manifest.n_case = 0;
    int *first = calloc((size_t)n + 1, sizeof *first);
    for (int i = 0; i < n; i++) {
        int64_t k = 0;
        bool same = i > 0 && strcmp(o[i].patient, o[i - 1].patient) == 0;
        while (k < c->n_center && strcmp(c->center[k].id, o[i].center) != 0)
            k++;
        if (k == c->n_center)
            c->center[c->n_center++] = (rad_center){.id = fx_text(&f, "%s", o[i].center), .external = strcmp(o[i].center, "internal") != 0};
        if (!same)
            c->patient[c->n_patient++] =
                (rad_patient){.id = fx_text(&f, "%s", o[i].patient),
                              .center = k,
                              .fold = -1,
                              .age = NAN,
                              .label = unit == RAD_UNIT_LESION || o[i].label < 0 ? NULL : f.job.class_name[o[i].label]};
        if (unit == RAD_UNIT_LESION)
            c->lesion[c->n_lesion++] = (rad_lesion){
                .patient = c->n_patient - 1, .id = fx_text(&f, "L%d", i), .label = f.job.class_name[o[i].label], .size_mm = NAN};
        if (same && slices)
            continue;
        first[f.manifest.n_case] = i;
        f.manifest.item[f.manifest.n_case++] = (rad_case){.patient = c->n_patient - 1,
                                                          .lesion = unit == RAD_UNIT_LESION ? c->n_lesion - 1 : -1,
                                                          .study = "s1",
                                                          .label = o[i].label,
                                                          .input = fx_inputs()};
    }
    first[f.manifest.n_case] = n;
    assert_ok(rad_store_open(db, RAD_STORE_WRITE, &st, &err));
    assert_ok(rad_store_begin_run(st, &f.info, &run, &resumed, &finished, &p, &n_case, &err));
    for (int64_t i = 0; i < n_case; i++) {
        int64_t slice[128], box[128][4] = {{0}};
        double score[128][2];
        rad_model_result m = {.n_slice = first[i + 1] - first[i],
                              .slice = slice,
                              .stored_slice = slice,
                              .box = (const int64_t(*)[4])box,
                              .score = &score[0][0]};
        rad_case_result r = {.case_id = p[i].case_id, .n_model = 1, .model = &m};
        char key[32];
        snprintf(key, sizeof key, "row %d", first[i]);
        if (rad_sha256(key, strlen(key), m.key, NULL) != RAD_OK)
            fail();
        for (int64_t s = 0; s < m.n_slice; s++) {
            slice[s] = s;
            score[s][1] = o[first[i] + s].score;
            score[s][0] = 1 - score[s][1];
        }
        if (isnan(score[0][1]))
            m = (rad_model_result){.status = RAD_E_TRUNCATED, .stage = "load", .why = "short"};
        assert_ok(rad_store_put_result(st, run, &r, &err));
    }
    assert_ok(rad_store_finish_run(st, run, &f.job, &excluded, &err));
    assert_ok(rad_store_compute_statistics(st, run, &err)); /* again: the same rows, once */
    rad_store_close(&st);
    free(p);
    free(first);
    fx_destroy(&f);
}

/* Number `key` of check `id` in the reference; NaN when null. */
static double reference(const char *json, const char *id, const char *key) {
    sqlite3 *db = NULL;
    sqlite3_stmt *q = NULL;
    double v = NAN;
    if (sqlite3_open(":memory:", &db) != SQLITE_OK ||
        sqlite3_prepare_v2(db,
                           "SELECT json_extract(value, '$.expect.' || ?3) FROM json_each(?1, '$.checks')"
                           " WHERE json_extract(value, '$.id') = ?2",
                           -1, &q, NULL) != SQLITE_OK)
        fail();
    sqlite3_bind_text(q, 1, json, -1, SQLITE_STATIC);
    sqlite3_bind_text(q, 2, id, -1, SQLITE_STATIC);
    sqlite3_bind_text(q, 3, key, -1, SQLITE_STATIC);
    if (sqlite3_step(q) != SQLITE_ROW)
        fail_msg("no check '%s'", id);
    if (sqlite3_column_type(q, 0) != SQLITE_NULL)
        v = sqlite3_column_double(q, 0);
    sqlite3_finalize(q);
    sqlite3_close(db);
    return v;
}

static void compare(const char *what, double got, double want) {
    if (isnan(got) != isnan(want) || fabs(got - want) > 1e-10)
        fail_msg("%s: got %.17g, want %.17g", what, got, want);
}

/* Row `where` of v_statistic against a reference check. */
static void agree(const char *where, const char *json, const char *id, const char *const key[][2]) {
    for (int i = 0; key[i][0]; i++) {
        char sql[400], what[500];
        snprintf(sql, sizeof sql, "SELECT %s FROM v_statistic WHERE %s", key[i][0], where);
        snprintf(what, sizeof what, "%s of %s", key[i][1], id);
        compare(what, fx_number(path, sql), reference(json, id, key[i][1]));
    }
}

static const char *const AUC_KEYS[][2] = {{"est", "auc"}, {"se", "se"},       {"lower", "lower"}, {"upper", "upper"},
                                          {"n", "n"},     {"n_pos", "n_pos"}, {NULL, NULL}};
static const char *const CLUSTER_KEYS[][2] = {
    {"est", "auc"}, {"se", "se"}, {"lower", "lower"}, {"upper", "upper"}, {"n", "n"}, {"n_cluster", "n_clusters"}, {NULL, NULL}};
static const char *const ESTIMATE[][2] = {{"est", "auc"}, {NULL, NULL}};

static void sites_as_centers(void **state) {
    (void)state;
    observed *o = calloc(MAX_ROWS, sizeof *o);
    char *json = shared("expected/01_auc.json");
    int n = read_table("sites.csv", "patient_id", "site", "truth", "score", false, o);
    if (!json || n == 0)
        skip();
    run_job(o, n, RAD_UNIT_PATIENT, false, "max", path);
    agree("stratum = 'all' AND name = 'auc'", json, "auc/sites/pooled/delong", AUC_KEYS);
    for (int i = 1; i <= 9; i++) {
        char where[64], id[64];
        snprintf(where, sizeof where, "stratum = 'site%02d' AND name = 'auc'", i);
        snprintf(id, sizeof id, "auc/sites/site%02d/delong", i);
        agree(where, json, id, AUC_KEYS);
    }
    assert_number(path, "SELECT count(*) FROM v_statistic WHERE name LIKE 'auc%' AND stratum <> 'centers'",
                  11); /* all, external, nine centers; no contrast without an internal cohort */
    assert_number(path,
                  "SELECT count(*) FROM v_statistic WHERE (name = 'auc' AND method <> 'DeLong') OR n_cluster <> n"
                  " OR (name IN ('sensitivity', 'specificity', 'accuracy', 'ppv', 'npv') AND point = 'half' AND method <> 'Wilson')",
                  0);
    free(json);
    free(o);
}

static void internal_against_external(void **state) {
    (void)state;
    static const char *const KEYS[][2] = {{"est", "diff"},      {"se", "se_diff"},    {"p", "p_z"},
                                          {"lower", "lower_z"}, {"upper", "upper_z"}, {NULL, NULL}};
    observed *o = calloc(MAX_ROWS, sizeof *o);
    char *json = shared("expected/01_auc.json");
    int n = read_table("liver.csv", "patient_id", "site", "truth", "t2dwi_p0", true, o), m = 0;
    if (!json || n == 0)
        skip();
    for (int i = 0; i < n; i++) /* two sites at a time, as the reference does */
        if (strcmp(o[i].center, "extB") != 0)
            o[m++] = o[i];
    run_job(o, m, RAD_UNIT_PATIENT, false, "max", path);
    agree("name = 'auc_difference' AND versus IS NULL", json, "auc_unpaired/liver/t2dwi_p0/internal_vs_extA", KEYS);
    agree("name = 'auc_difference' AND versus = 'extA'", json, "auc_unpaired/liver/t2dwi_p0/internal_vs_extA", KEYS);
    assert_number(path, "SELECT p_adjusted = p FROM v_statistic WHERE name = 'auc_difference' AND versus = 'extA'", 1);
    agree("stratum = 'internal' AND name = 'auc'", json, "auc/liver/t2dwi_malignant/internal/delong", AUC_KEYS);
    agree("stratum = 'extA' AND name = 'auc'", json, "auc/liver/t2dwi_malignant/extA/delong", AUC_KEYS);
    agree("stratum = 'external' AND name = 'auc'", json, "auc/liver/t2dwi_malignant/extA/delong", AUC_KEYS);
    free(json);
    free(o);
}

static void lesions_of_patients(void **state) {
    (void)state;
    observed *o = calloc(MAX_ROWS, sizeof *o);
    char *json = shared("expected/01_auc.json");
    int n = read_table("renal.csv", "patient_id", NULL, "malignant", "s_cmp", false, o);
    if (!json || n == 0)
        skip();
    /* lesions of one patient must be neighbours, as they are in a manifest */
    for (int i = 1; i < n; i++)
        for (int j = i; j > 0 && strcmp(o[j - 1].patient, o[j].patient) > 0; j--) {
            observed t = o[j];
            o[j] = o[j - 1];
            o[j - 1] = t;
        }
    run_job(o, n, RAD_UNIT_LESION, false, "max", path);
    agree("stratum = 'all' AND unit = 'lesion' AND name = 'auc'", json, "auc/renal/s_cmp/delong", AUC_KEYS);
    agree("stratum = 'all' AND unit = 'lesion' AND name = 'auc_clustered'", json, "auc_cluster/renal/s_cmp", CLUSTER_KEYS);
    assert_number(path,
                  "SELECT count(*) FROM v_statistic WHERE unit = 'lesion' AND stratum = 'all' AND name = 'auc' AND n_cluster < n"
                  " AND method = 'DeLong (units treated as independent)'",
                  1);
    assert_number(path, "SELECT count(*) FROM v_statistic WHERE unit = 'patient' AND name = 'auc' AND method <> 'DeLong'", 0);
    free(json);
    free(o);
}

static void slices_get_no_interval(void **state) {
    (void)state;
    observed *o = calloc(MAX_ROWS, sizeof *o);
    char *json = shared("expected/01_auc.json");
    int n = read_table("slices.csv", "patient_id", NULL, "malignant", "prob", false, o);
    if (!json || n == 0)
        skip();
    run_job(o, n, RAD_UNIT_PATIENT, true, "max", path);
    agree("unit = 'patient' AND stratum = 'all' AND name = 'auc'", json, "auc/slices/per_patient_max", ESTIMATE);
    agree("unit = 'slice' AND stratum = 'all' AND name = 'auc'", json, "auc/slices/naive_per_slice/delong", ESTIMATE);
    agree("unit = 'slice' AND stratum = 'all' AND name = 'auc_clustered'", json, "auc_cluster/slices", CLUSTER_KEYS);
    assert_number(path,
                  "SELECT count(*) FROM v_statistic WHERE unit = 'slice' AND name NOT LIKE '%clustered' AND (se IS NOT NULL OR lower IS "
                  "NOT NULL OR p IS NOT NULL"
                  " OR reason IS NULL)",
                  0);
    char mean[160];
    snprintf(mean, sizeof mean, "%s/mean.sqlite", folder);
    run_job(o, n, RAD_UNIT_PATIENT, true, "mean", mean);
    compare("mean by patient", fx_number(mean, "SELECT est FROM v_statistic WHERE unit = 'patient' AND stratum = 'all' AND name = 'auc'"),
            reference(json, "auc/slices/per_patient_mean", "auc"));
    free(json);
    free(o);
}

/* Every row's query returns the rows it was computed from, missing ones apart; every row states unit and method. All classes together
 * return one row per unit and class. */
static void rows_keep_their_query(void **state) {
    (void)state;
    fixture f;
    char hash[RAD_SHA256_HEX];
    fx_create(&f, (fx_shape){.n_center = 3, .n_patient = 90, .n_lesion = 2, .n_class = 3, .n_model = 3, .n_slice = 3, .trouble = true});
    fx_run_all(&f, path, hash);
    sqlite3 *db = NULL;
    sqlite3_stmt *q = NULL, *sub = NULL;
    int rows = 0;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, "SELECT query, n, n_pos, name, class IS NULL FROM v_statistic", -1, &q, NULL), SQLITE_OK);
    while (sqlite3_step(q) == SQLITE_ROW) {
        char *sql =
            sqlite3_mprintf("SELECT count(*), sum(label) FROM (%s) WHERE label IS NOT NULL", (const char *)sqlite3_column_text(q, 0));
        const char *name = (const char *)sqlite3_column_text(q, 3);
        const int per_unit = sqlite3_column_int(q, 4) ? 3 : 1;
        assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &sub, NULL), SQLITE_OK);
        assert_int_equal(sqlite3_step(sub), SQLITE_ROW);
        if (sqlite3_column_int(sub, 0) != per_unit * sqlite3_column_int(q, 1))
            fail_msg("%s: %d of %d rows: %s", name, sqlite3_column_int(sub, 0), per_unit * sqlite3_column_int(q, 1), sql);
        if (per_unit == 1 && strcmp(name, "recall") != 0) /* there n_pos counts correct calls */
            assert_int_equal(sqlite3_column_int(sub, 1), sqlite3_column_int(q, 2));
        sqlite3_finalize(sub);
        sqlite3_free(sql);
        rows += strcmp(name, "auc") == 0 || strcmp(name, "auc_clustered") == 0;
    }
    sqlite3_finalize(q);
    sqlite3_close(db);
    /* 3 models x 3 classes x (all + 2 cohorts + 3 centers) x (patients; lesions and slices naive and clustered) */
    assert_int_equal(rows, 3 * 3 * 6 * 5);
    /* 3 pairs x 3 classes x 6 strata x (patients; lesions naive and clustered); the overall test once per class, stratum and unit */
    assert_number(path, "SELECT count(*) FROM v_statistic WHERE name LIKE 'auc_paired_difference%'", 3 * 3 * 6 * 3);
    assert_number(path, "SELECT count(*) FROM v_statistic WHERE name = 'auc_equality' AND (p IS NULL) = (reason IS NOT NULL)", 3 * 6 * 2);
    assert_true(fx_number(path, "SELECT min(n_missing) FROM v_statistic WHERE unit = 'lesion' AND stratum = 'all'") > 0);
    assert_number(
        path, "SELECT count(*) FROM v_statistic s WHERE unit = 'lesion' AND stratum = 'all' AND name <> 'recall' AND n + n_missing <> 180",
        0);
    fx_destroy(&f);
}

static double of_all(const char *column, const char *name) {
    char sql[200];
    snprintf(sql, sizeof sql, "SELECT %s FROM v_statistic WHERE unit = 'patient' AND stratum = 'all' AND name = '%s'", column, name);
    return fx_number(path, sql);
}

/* Means over classes from the rows of the classes, Hand and Till's from all pairs of units, calls from the largest score: in SQL. */
static void three_classes(void **state) {
    (void)state;
    fixture f;
    char hash[RAD_SHA256_HEX];
    fx_create(&f, (fx_shape){.n_center = 2, .n_patient = 40, .n_class = 3, .n_model = 1, .n_slice = 2, .trouble = true});
    fx_run_all(&f, path, hash);
    compare("macro", of_all("est", "auc_macro"), of_all("avg(est)", "auc"));
    compare("weighted", of_all("est", "auc_weighted"), of_all("sum(est * n_pos) / sum(n_pos)", "auc"));
    compare("Hand and Till", of_all("est", "auc_hand_till"),
            fx_number(path, "WITH t AS (SELECT patient, class FROM v_case_score WHERE unit = 'patient' AND label = 1),"
                            " s AS (SELECT v.patient, v.class, v.score, t.class AS truth FROM v_case_score v JOIN t USING (patient)"
                            "       WHERE v.unit = 'patient'),"
                            " a AS (SELECT p.class AS i, n.truth AS j, avg((p.score > n.score) + 0.5 * (p.score = n.score)) AS a FROM s p"
                            "       JOIN s n ON n.class = p.class AND p.truth = p.class AND n.truth <> p.class GROUP BY 1, 2)"
                            " SELECT avg(a) FROM a"));
    compare("accuracy", of_all("est", "multiclass_accuracy"),
            fx_number(path, "SELECT avg(label) FROM (SELECT patient, label, max(score) FROM v_case_score WHERE unit = 'patient'"
                            " GROUP BY patient) WHERE label IS NOT NULL"));
    compare("balanced accuracy", of_all("est", "multiclass_balanced_accuracy"), of_all("avg(est)", "recall"));
    compare("correct calls", of_all("sum(n_pos)", "recall"), of_all("round(est * n)", "multiclass_accuracy"));
    assert_true(of_all("lower", "auc_macro") < of_all("est", "auc_macro") && of_all("est", "auc_macro") < of_all("upper", "auc_macro"));
    fx_destroy(&f);
}

/* A row that cannot be true is named and nothing is kept. The trigger stands for a mistake of ours between computing and storing. */
static void a_corrupted_row_is_found(void **state) {
    (void)state;
    static const char *const MISTAKE[][3] = {
        {"name = 'sensitivity' AND stratum = 'all'", "est = est - 0.1", "sensitivity at half"},
        {"name = 'accuracy' AND stratum = 'internal'", "n_pos = n_pos - 1, est = (n_pos - 1.0) / n", "accuracy at half"},
        {"name = 'auc' AND stratum = 'C01'", "lower = upper, upper = 1", "stratum C01, auc"},
        {"name = 'sensitivity_vs_reader' AND stratum = 'all'", "p = 1e-9", "sensitivity_vs_reader against R1"},
    };
    for (size_t i = 0; i < sizeof MISTAKE / sizeof *MISTAKE; i++) {
        fixture f;
        char hash[RAD_SHA256_HEX], sql[400];
        rad_error err;
        rad_store *st = NULL;
        unlink(path);
        fx_create(&f, (fx_shape){.n_center = 2, .n_patient = 60, .n_class = 2, .n_model = 1, .n_slice = 2});
        fx_run_all(&f, path, hash);
        fx_sql(path, "INSERT INTO reading (reader, patient_id, call) SELECT 'R2', patient_id, iif(patient_id % 3, label, 'benign')"
                     " FROM patient");
        snprintf(sql, sizeof sql,
                 "CREATE TRIGGER mistake AFTER INSERT ON statistic WHEN new.unit = 'patient' AND coalesce(new.point, 'half') = 'half'"
                 " BEGIN UPDATE statistic SET %s WHERE statistic_id = new.statistic_id AND %s; END",
                 MISTAKE[i][1], MISTAKE[i][0]);
        fx_sql(path, sql);
        const double before = fx_number(path, "SELECT total(est) FROM statistic");
        assert_ok(rad_store_open(path, RAD_STORE_WRITE, &st, &err));
        rad_status got = rad_store_compute_statistics(st, 1, &err);
        if (got != RAD_E_INTERNAL || !strstr(err.text, MISTAKE[i][2]))
            fail_msg("mistake %zu: status %d, '%s'", i, (int)got, got == RAD_OK ? "" : err.text);
        rad_store_close(&st);
        assert_number(path, "SELECT total(est) FROM statistic", before);
        fx_sql(path, "DROP TRIGGER mistake");
        assert_ok(rad_store_open(path, RAD_STORE_WRITE, &st, &err));
        assert_ok(rad_store_compute_statistics(st, 1, &err));
        rad_store_close(&st);
        fx_destroy(&f);
    }
}

static void a_degenerate_stratum_is_null_with_a_reason(void **state) {
    (void)state;
    observed o[] = {{"P1", "internal", 1, 0.4}, {"P2", "internal", 0, 0.3}, {"P3", "internal", 1, 0.9}, {"P4", "internal", 0, 0.5},
                    {"P5", "out", 1, 0.5},      {"P6", "out", 1, 0.7},      {"P7", "out", 1, NAN},      {"P8", "out", -1, 0.3}};
    run_job(o, 8, RAD_UNIT_PATIENT, false, "max", path);
    assert_number(path,
                  "SELECT est IS NULL AND lower IS NULL AND reason IS NOT NULL AND n = 2 AND n_pos = 2 AND n_missing = 2"
                  " FROM v_statistic WHERE stratum = 'external' AND name = 'auc'",
                  1);
    assert_number(path, "SELECT est IS NULL AND reason IS NOT NULL FROM v_statistic WHERE name = 'auc_difference'", 1);
    assert_number(path, "SELECT est FROM v_statistic WHERE stratum = 'internal' AND name = 'auc'", 0.75);
    /* no negative outside: specificity is undefined there, not 0 */
    assert_number(path,
                  "SELECT est IS NULL AND reason IS NOT NULL AND n = 0 FROM v_statistic WHERE stratum = 'external'"
                  " AND name = 'specificity'",
                  1);
}

/* Calls at an operating point (score >= threshold, the tie is positive) against v_call, and Wilson's limits against their formula. */
static void operating_points(void **state) {
    (void)state;
    observed o[] = {{"P1", "internal", 1, 0.5}, {"P2", "internal", 0, 0.5}, {"P3", "internal", 1, 0.9}, {"P4", "internal", 0, 0.1},
                    {"P5", "internal", 1, 0.2}, {"P6", "internal", 0, 0.3}, {"P7", "internal", 1, 0.7}, {"P8", "internal", 0, 0.4}};
    run_job(o, 8, RAD_UNIT_PATIENT, false, "max", path);
    assert_number(path, "SELECT est FROM v_statistic WHERE stratum = 'all' AND name = 'sensitivity' AND point = 'half'", 0.75);
    assert_number(path, "SELECT est FROM v_statistic WHERE stratum = 'all' AND name = 'specificity' AND point = 'half'", 0.75);
    assert_number(path, "SELECT n_pos FROM v_statistic WHERE stratum = 'all' AND name = 'accuracy'", 6);
    assert_number(path, "SELECT count(*) FROM v_call WHERE outcome = 'TP'", 3);
    assert_number(path, "SELECT count(*) FROM v_call WHERE outcome = 'FP' AND score = 0.5", 1);
    double n = 4, p = 0.75, z = 1.959963984540054, half = z * sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n);
    double mid = (p + z * z / (2 * n)) / (1 + z * z / n);
    compare("Wilson lower", fx_number(path, "SELECT lower FROM v_statistic WHERE stratum = 'all' AND name = 'sensitivity'"), mid - half);
    compare("Wilson upper", fx_number(path, "SELECT upper FROM v_statistic WHERE stratum = 'all' AND name = 'sensitivity'"), mid + half);
}

int main(void) {
    const struct CMUnitTest t[] = {
        cmocka_unit_test_setup_teardown(sites_as_centers, setup, teardown),
        cmocka_unit_test_setup_teardown(internal_against_external, setup, teardown),
        cmocka_unit_test_setup_teardown(lesions_of_patients, setup, teardown),
        cmocka_unit_test_setup_teardown(slices_get_no_interval, setup, teardown),
        cmocka_unit_test_setup_teardown(rows_keep_their_query, setup, teardown),
        cmocka_unit_test_setup_teardown(three_classes, setup, teardown),
        cmocka_unit_test_setup_teardown(a_corrupted_row_is_found, setup, teardown),
        cmocka_unit_test_setup_teardown(operating_points, setup, teardown),
        cmocka_unit_test_setup_teardown(a_degenerate_stratum_is_null_with_a_reason, setup, teardown),
    };
    return cmocka_run_group_tests(t, NULL, NULL);
}

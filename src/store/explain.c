/* explain.c: see explain.h. The key becomes a condition over the views; every section is one query under that condition. */
#include "db.h"

#include "radcohort/explain.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_PARTS = 12, MIN_KEY_DIGITS = 8, MAX_TOLD = 6 };

typedef struct explanation {
    struct rad_store *st;
    int64_t run;
    int (*row)(const rad_explain_row *r, void *payload);
    void *payload;
    bool stop;
} explanation;

static rad_status no_memory(rad_error *err) {
    return rad_error_set(err, RAD_E_NOMEM, "out of memory to explain a number");
}

static rad_status failed(const explanation *e, rad_error *err) {
    return rad_sql_fail(e->st, sqlite3_extended_errcode(e->st->db), "explaining a number", err);
}

/* Runs `sql` (released here) and hands its rows on. */
static rad_status tell(explanation *e, const char *section, char *sql, rad_error *err) {
    sqlite3_stmt *q = NULL;
    rad_explain_cell cell[RAD_EXPLAIN_COLUMNS];
    if (!sql)
        return no_memory(err);
    int rc = sqlite3_prepare_v2(e->st->db, sql, -1, &q, NULL);
    sqlite3_free(sql);
    while (rc == SQLITE_OK || rc == SQLITE_ROW) {
        rc = e->stop ? SQLITE_DONE : sqlite3_step(q);
        if (rc != SQLITE_ROW)
            break;
        const int n = sqlite3_column_count(q) < RAD_EXPLAIN_COLUMNS ? sqlite3_column_count(q) : RAD_EXPLAIN_COLUMNS;
        for (int i = 0; i < n; i++) {
            const int type = sqlite3_column_type(q, i);
            cell[i] = (rad_explain_cell){.name = sqlite3_column_name(q, i),
                                         .type = type == SQLITE_NULL      ? RAD_EXPLAIN_NULL
                                                 : type == SQLITE_INTEGER ? RAD_EXPLAIN_INTEGER
                                                 : type == SQLITE_FLOAT   ? RAD_EXPLAIN_REAL
                                                                          : RAD_EXPLAIN_TEXT,
                                         .integer = sqlite3_column_int64(q, i),
                                         .real = sqlite3_column_double(q, i)};
            cell[i].text = cell[i].type == RAD_EXPLAIN_TEXT ? (const char *)sqlite3_column_text(q, i) : NULL;
        }
        const rad_explain_row r = {section, n, cell};
        e->stop = e->row(&r, e->payload) != 0;
    }
    rad_status st = rc == SQLITE_DONE ? RAD_OK : failed(e, err);
    (void)sqlite3_finalize(q);
    return st;
}

/* First column of the first row as text (caller frees with free), NULL when there is none. Releases `sql`. */
static rad_status find_text(explanation *e, char *sql, char **ret, rad_error *err) {
    sqlite3_stmt *q = NULL;
    rad_status st = RAD_OK;
    *ret = NULL;
    if (!sql)
        return no_memory(err);
    int rc = sqlite3_prepare_v2(e->st->db, sql, -1, &q, NULL);
    sqlite3_free(sql);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(q);
    if (rc != SQLITE_ROW && rc != SQLITE_DONE)
        st = failed(e, err);
    const char *text = rc == SQLITE_ROW ? (const char *)sqlite3_column_text(q, 0) : NULL;
    if (st == RAD_OK && text && !(*ret = rad_strdup(text)))
        st = no_memory(err);
    (void)sqlite3_finalize(q);
    return st;
}

/* ---------------------------------------------------------------- what the key means */

/* The parts of a key between slashes, in place. */
static int split(char *key, char *part[MAX_PARTS]) {
    int n = 0;
    for (char *at = key; at && n < MAX_PARTS;) {
        part[n++] = at;
        at = strchr(at, '/');
        if (at)
            *at++ = '\0';
    }
    return n;
}

/* "center=C3": the value when `what` stands before the sign. */
static const char *named(const char *part, const char *what) {
    const size_t n = strlen(what);
    return strncmp(part, what, n) == 0 && part[n] == '=' ? part + n + 1 : NULL;
}

static char *add_part(char *sql, const char *p) {
    static const char *const STRATUM[] = {"center", "cohort", "fold", "contrast"}, *const FIELD[] = {"model", "class", "point", "versus",
                                                                                                     "unit"};
    for (size_t i = 0; i < sizeof STRATUM / sizeof *STRATUM; i++)
        if (named(p, STRATUM[i]))
            return sqlite3_mprintf("%z AND v.stratum_kind = %Q AND v.stratum = %Q", sql, STRATUM[i], named(p, STRATUM[i]));
    for (size_t i = 0; i < sizeof FIELD / sizeof *FIELD; i++)
        if (named(p, FIELD[i]))
            return sqlite3_mprintf("%z AND v.%s = %Q", sql, FIELD[i], named(p, FIELD[i]));
    if (strcmp(p, "all") == 0)
        return sqlite3_mprintf("%z AND v.stratum_kind = 'all'", sql);
    return sqlite3_mprintf(
        "%z AND %Q IN (v.model, v.unit, coalesce(v.class, ''), coalesce(v.point, ''), v.stratum, coalesce(v.versus, ''))", sql, p);
}

/* The key under which a row of v_statistic v is found again. */
#define KEY_OF                                                                                                                             \
    "v.name || '/' || v.model || '/' || iif(v.stratum_kind = 'all', 'all', v.stratum_kind || '=' || v.stratum) || '/' || v.unit"           \
    " || coalesce('/point=' || v.point, '') || coalesce('/class=' || v.class, '') || coalesce('/versus=' || v.versus, '')"
/* v_statistic has no ids: they belong to the table. */
#define STATISTIC                                                                                                                          \
    "(SELECT t.statistic_id, t.run_id, rm.model, k.class, t.unit, t.stratum_kind, t.stratum, t.cohort, t.point, t.name, t.method, t.n,"    \
    " t.n_pos, t.n_missing, t.n_cluster, t.est, t.se, t.lower, t.upper, t.level, t.p, t.p_adjusted, t.reason, t.query, t.versus"           \
    " FROM statistic t JOIN run_model rm ON rm.run_model_id = t.run_model_id LEFT JOIN run_class k ON k.run_id = t.run_id"                 \
    " AND k.class_index = t.class_index)"

static rad_status not_found(explanation *e, const char *key, const char *first, rad_error *err) {
    const char *known[512];
    char *all = NULL, *near = NULL;
    int n = 0;
    rad_status st = find_text(e,
                              sqlite3_mprintf("SELECT group_concat(name, '/') FROM (SELECT DISTINCT name FROM statistic WHERE run_id = %lld"
                                              " UNION SELECT patient FROM run_patient JOIN patient USING (patient_id) WHERE run_id = %lld"
                                              " AND patient LIKE substr(%Q, 1, 1) || '%%' LIMIT 500)",
                                              (long long)e->run, (long long)e->run, first),
                              &all, err);
    if (st != RAD_OK)
        return st;
    for (char *at = all; at && n < 511;) {
        known[n++] = at;
        at = strchr(at, '/');
        if (at)
            *at++ = '\0';
    }
    known[n] = NULL;
    const char *word = rad_nearest_word(first, known);
    near = word && strcmp(word, first) != 0 ? rad_asprintf(": did you mean '%s'?", word) : rad_strdup(".");
    st = rad_error_set(err, RAD_E_USAGE,
                       "'%s' is nothing of run %" PRId64
                       "%s A key is a statistic as name/model/center=C/unit (or its number), a patient, patient/lesion, or a result key; "
                       "'radcohort stats' lists the statistics",
                       key, e->run, near ? near : "");
    free(near);
    free(all);
    return st;
}

/* The condition that picks one row of STATISTIC v, or an error that tells the candidates. *ret_id 0: there is none. */
static rad_status find_statistic(explanation *e, const char *key, char *const *part, int n, int64_t *ret_id, rad_error *err) {
    char *where = sqlite3_mprintf("v.run_id = %lld AND v.name = %Q", (long long)e->run, part[0]), *count = NULL, *told = NULL, *id = NULL;
    bool versus = false;
    rad_status st = RAD_OK;
    for (int i = 1; i < n && where; i++) {
        where = add_part(where, part[i]);
        versus = versus || named(part[i], "versus") != NULL;
    }
    if (!where)
        return no_memory(err);
    RAD_TRY(find_text(e, sqlite3_mprintf("SELECT count(*) FROM " STATISTIC " v WHERE %s", where), &count, err));
    if (strcmp(count, "1") != 0 && strcmp(count, "0") != 0) {
        RAD_TRY(find_text(e,
                          sqlite3_mprintf("SELECT group_concat(k, ', ') FROM (SELECT " KEY_OF " AS k FROM " STATISTIC
                                          " v WHERE %s ORDER BY v.versus IS NOT NULL, v.statistic_id LIMIT %d)",
                                          where, MAX_TOLD),
                          &told, err));
        st = rad_error_set(err, RAD_E_USAGE, "'%s' could be %s statistics of run %" PRId64 ": say more of %s%s", key, count, e->run,
                           told ? told : "", strcmp(count, "6") > 0 || strlen(count) > 1 ? ", ..." : "");
        goto out;
    }
    RAD_TRY(find_text(e, sqlite3_mprintf("SELECT v.statistic_id FROM " STATISTIC " v WHERE %s", where), &id, err));
    if (!id || !rad_parse_int(id, ret_id))
        *ret_id = 0;
out:
    sqlite3_free(where);
    free(count);
    free(told);
    free(id);
    return st;
}

/* ---------------------------------------------------------------- sections */

/* What stands behind rows of v_source that `where` picks: files, networks, machines, and the run. */
static rad_status tell_origin(explanation *e, const char *where, const char *cases, rad_error *err) {
    const long long run = e->run;
    rad_status st =
        tell(e, "image",
             sqlite3_mprintf("SELECT DISTINCT patient, lesion, study, input, channel, sequence, path, volumes, content, type, dims,"
                             " orientation FROM v_source WHERE run_id = %lld AND %s ORDER BY patient, lesion, study, input, channel",
                             run, where),
             err);
    if (st == RAD_OK)
        st = tell(e, "network",
                  sqlite3_mprintf("SELECT s.model, s.file, s.model_sha256 AS sha256, m.graph_hash, m.opset, m.parameters, count(DISTINCT"
                                  " s.result_key) AS results, min(s.result_key) AS a_result_key FROM v_source s LEFT JOIN model m"
                                  " ON m.sha256 = s.model_sha256 WHERE run_id = %lld AND s.model_sha256 IS NOT NULL AND %s"
                                  " GROUP BY s.model, s.file, s.model_sha256 ORDER BY s.model, s.file",
                                  run, where),
                  err);
    if (st == RAD_OK)
        st = tell(
            e, "machine",
            sqlite3_mprintf("SELECT t.host, t.device, count(*) AS cases, min(t.stored) AS first, max(t.stored) AS last FROM manifest m"
                            " JOIN time_ledger t ON t.case_id = m.case_id JOIN patient p ON p.patient_id = m.patient_id LEFT JOIN"
                            " lesion l ON l.lesion_id = m.lesion_id WHERE m.run_id = %lld AND %s GROUP BY t.host, t.device ORDER BY 1, 2",
                            run, cases),
            err);
    if (st == RAD_OK)
        st = tell(e, "run",
                  sqlite3_mprintf("SELECT run_id AS run, job, state, started, finished, backend, backend_version, precision,"
                                  " radcohort_version, host, n_rank, threads, lesion_rule, patient_rule, job_path, cohort_dir, job_sha256,"
                                  " cohort_sha256, identity, result_sha256, command_line FROM run WHERE run_id = %lld",
                                  run),
                  err);
    return st;
}

static bool has_column(sqlite3_stmt *q, const char *name) {
    for (int i = 0; i < sqlite3_column_count(q); i++)
        if (strcmp(sqlite3_column_name(q, i), name) == 0)
            return true;
    return false;
}

static rad_status tell_statistic(explanation *e, int64_t id, char **ret_query, rad_error *err) {
    char *query = NULL, *model = NULL, *where = NULL, *cases = NULL;
    sqlite3_stmt *q = NULL;
    rad_status st = RAD_OK;
    RAD_TRY(tell(e, "statistic",
                 sqlite3_mprintf("SELECT " KEY_OF " AS key, v.* FROM " STATISTIC " v WHERE v.statistic_id = %lld", (long long)id), err));
    RAD_TRY(find_text(e, sqlite3_mprintf("SELECT query FROM statistic WHERE statistic_id = %lld", (long long)id), &query, err));
    RAD_TRY(find_text(
        e, sqlite3_mprintf("SELECT model FROM statistic JOIN run_model USING (run_model_id) WHERE statistic_id = %lld", (long long)id),
        &model, err));
    if (sqlite3_prepare_v2(e->st->db, query, -1, &q, NULL) != SQLITE_OK)
        RAD_TRY(failed(e, err));
    const bool patients = has_column(q, "patient") && sqlite3_stmt_readonly(q);
    (void)sqlite3_finalize(q);
    RAD_TRY(tell(e, "case", sqlite3_mprintf("%s", query), err));
    where = patients ? sqlite3_mprintf("model = %Q AND patient IN (SELECT patient FROM (%s))", model, query)
                     : sqlite3_mprintf("model = %Q", model);
    cases = patients ? sqlite3_mprintf("p.patient IN (SELECT patient FROM (%s))", query) : sqlite3_mprintf("1");
    st = !where || !cases ? no_memory(err)
                          : tell(e, "slice",
                                 sqlite3_mprintf("SELECT patient, lesion, study, slice, stored_slice, class, score, x0, y0, x1, y1, file,"
                                                 " result_key FROM v_slice_score WHERE run_id = %lld AND %s ORDER BY 1, 2, 3, 4",
                                                 (long long)e->run, where),
                                 err);
    if (st == RAD_OK)
        st = tell_origin(e, where, cases, err);
    if (st == RAD_OK) {
        *ret_query = query;
        query = NULL;
    }
out:
    sqlite3_free(where);
    sqlite3_free(cases);
    free(query);
    free(model);
    return st;
}

/* `where` over columns patient, lesion, model (views); `cases` over p, l. */
static rad_status tell_case(explanation *e, const char *where, const char *slices, const char *any, const char *cases, rad_error *err) {
    static const struct {
        const char *section, *sql;
        bool by_slice, by_model;
    } PART[] = {
        {"score", "SELECT model, unit, center, cohort, patient, lesion, class, score, label, fold FROM v_case_score", false, true},
        {"call", "SELECT model, unit, patient, lesion, class, point, threshold, score, call, label, outcome FROM v_call", false, true},
        {"grade", "SELECT model, unit, patient, lesion, label, grade, call FROM v_case_grade", false, true},
        {"slice",
         "SELECT model, patient, lesion, study, slice, stored_slice, x0, y0, x1, y1, mismatch_mm, class, score, file, model_sha256,"
         " result_key FROM v_slice_score",
         true, true},
        {"map", "SELECT model, patient, lesion, class, slice, deciding, score, peak_x, peak_y, peak_z, peak_inside, iou, file FROM v_cam",
         true, true},
        {"exclusion", "SELECT model, unit, patient, lesion, study, stage, reason, text FROM v_exclusion", false, false},
        {"warning", "SELECT patient, lesion, path, stage, text FROM v_warning", false, false},
        {"reading", "SELECT reader, unit, patient, lesion, session, call, rating FROM v_reading", false, false},
    };
    rad_status st = RAD_OK;
    for (size_t i = 0; i < sizeof PART / sizeof *PART && st == RAD_OK; i++)
        st = tell(e, PART[i].section,
                  sqlite3_mprintf("%s WHERE run_id = %lld AND %s%s", PART[i].sql, (long long)e->run,
                                  PART[i].by_slice   ? slices
                                  : PART[i].by_model ? where
                                                     : any,
                                  PART[i].by_slice ? " ORDER BY model, patient, lesion, slice, class" : ""),
                  err);
    return st == RAD_OK ? tell_origin(e, where, cases, err) : st;
}

/* patient[/lesion][/model][/class=C][/slice=K]; *ret_found false: the first part is no patient of the run. */
static rad_status tell_patient(explanation *e, const char *key, char *const *part, int n, bool *ret_found, rad_error *err) {
    char *known = NULL, *is = NULL, *any = sqlite3_mprintf("patient = %Q", part[0]), *cases = sqlite3_mprintf("p.patient = %Q", part[0]),
         *model = sqlite3_mprintf(""), *slice = sqlite3_mprintf("");
    rad_status st = RAD_OK;
    if (!any || !cases || !model || !slice)
        RAD_TRY(no_memory(err));
    RAD_TRY(
        find_text(e,
                  sqlite3_mprintf("SELECT patient FROM run_patient JOIN patient USING (patient_id) WHERE run_id = %lld AND patient = %Q",
                                  (long long)e->run, part[0]),
                  &known, err));
    *ret_found = known != NULL;
    for (int i = 1; i < n && known; i++) {
        int64_t number;
        const char *p = part[i];
        free(is);
        RAD_TRY(find_text(e,
                          sqlite3_mprintf("SELECT CASE WHEN EXISTS (SELECT 1 FROM lesion JOIN patient USING (patient_id) WHERE patient = %Q"
                                          " AND lesion = %Q) THEN 'lesion' WHEN EXISTS (SELECT 1 FROM run_model WHERE run_id = %lld AND"
                                          " model = %Q) THEN 'model' ELSE '' END",
                                          part[0], named(p, "lesion") ? named(p, "lesion") : p, (long long)e->run,
                                          named(p, "model") ? named(p, "model") : p),
                          &is, err));
        if (named(p, "slice") && rad_parse_int(named(p, "slice"), &number))
            slice = sqlite3_mprintf("%z AND slice = %lld", slice, (long long)number);
        else if (named(p, "class"))
            slice = sqlite3_mprintf("%z AND class = %Q", slice, named(p, "class"));
        else if (strcmp(is, "lesion") == 0) {
            const char *lesion = named(p, "lesion") ? named(p, "lesion") : p;
            any = sqlite3_mprintf("%z AND lesion = %Q", any, lesion);
            cases = sqlite3_mprintf("%z AND l.lesion = %Q", cases, lesion);
        } else if (strcmp(is, "model") == 0)
            model = sqlite3_mprintf("%z AND model = %Q", model, named(p, "model") ? named(p, "model") : p);
        else
            RAD_TRY(rad_error_set(err, RAD_E_USAGE,
                                  "'%s': patient '%s' has no lesion '%s', and no model has that name; slice=K and class=C are "
                                  "the other parts",
                                  key, part[0], p));
        if (!any || !cases || !model || !slice)
            RAD_TRY(no_memory(err));
    }
    if (known) {
        char *where = sqlite3_mprintf("%s%s", any, model), *slices = sqlite3_mprintf("%s%s%s", any, model, slice);
        st = where && slices ? tell_case(e, where, slices, any, cases, err) : no_memory(err);
        sqlite3_free(where);
        sqlite3_free(slices);
    }
out:
    sqlite3_free(any);
    sqlite3_free(cases);
    sqlite3_free(model);
    sqlite3_free(slice);
    free(known);
    free(is);
    return st;
}

static rad_status tell_result(explanation *e, const char *key, bool *ret_found, rad_error *err) {
    char *full = NULL, *n = NULL;
    rad_status st = RAD_OK;
    *ret_found = false;
    if (strlen(key) < MIN_KEY_DIGITS || strspn(key, "0123456789abcdef") != strlen(key))
        return RAD_OK;
    RAD_TRY(find_text(e, sqlite3_mprintf("SELECT min(result_key) FROM result WHERE result_key GLOB %Q || '*'", key), &full, err));
    RAD_TRY(find_text(e, sqlite3_mprintf("SELECT count(*) FROM result WHERE result_key GLOB %Q || '*'", key), &n, err));
    if (full && strcmp(n, "1") != 0)
        RAD_TRY(rad_error_set(err, RAD_E_USAGE, "'%s' begins %s result keys; give more digits", key, n));
    *ret_found = full != NULL;
    if (full) {
        char *where = sqlite3_mprintf("result_key = %Q", full);
        char *cases =
            sqlite3_mprintf("m.case_id IN (SELECT case_id FROM run_result JOIN result USING (result_id) WHERE result_key = %Q)", full);
        st = !where || !cases
                 ? no_memory(err)
                 : tell(e, "slice",
                        sqlite3_mprintf(
                            "SELECT model, center, cohort, patient, lesion, study, slice, stored_slice, x0, y0, x1, y1, mismatch_mm,"
                            " class, score, label, result_key FROM v_slice_score WHERE run_id = %lld AND %s"
                            " ORDER BY model, patient, lesion, study, slice, class",
                            (long long)e->run, where),
                        err);
        if (st == RAD_OK)
            st = tell_origin(e, where, cases, err);
        sqlite3_free(where);
        sqlite3_free(cases);
    }
out:
    free(full);
    free(n);
    return st;
}

/* ---------------------------------------------------------------- the whole */

rad_status rad_store_explain(rad_store *st, int64_t run, const char *key, int (*row)(const rad_explain_row *r, void *payload),
                             void *payload, int64_t *ret_run, char **ret_query, rad_error *err) {
    explanation e = {.st = st, .run = run, .row = row, .payload = payload};
    char *parts[MAX_PARTS], *own = rad_strdup(key), *of_run = NULL;
    int64_t id = 0;
    bool found = false;
    rad_status s = own ? RAD_OK : no_memory(err);
    const bool number = rad_parse_int(key, &id) && id > 0;
    *ret_query = NULL;
    if (s == RAD_OK && number)
        s = find_text(&e, sqlite3_mprintf("SELECT run_id FROM statistic WHERE statistic_id = %lld", (long long)id), &of_run, err);
    if (s == RAD_OK && of_run && run == 0 && !rad_parse_int(of_run, &e.run))
        e.run = 0;
    if (s == RAD_OK && e.run == 0)
        s = rad_store_last_run(st, &e.run, err);
    const int n = s == RAD_OK ? split(own, parts) : 0;
    if (s == RAD_OK)
        s = tell_patient(&e, key, parts, n, &found, err);
    if (s == RAD_OK && !found && !of_run)
        s = tell_result(&e, key, &found, err);
    if (s == RAD_OK && !found && !of_run)
        s = find_statistic(&e, key, parts, n, &id, err);
    if (s == RAD_OK && !found && id > 0 && (of_run || !number))
        s = tell_statistic(&e, id, ret_query, err);
    else if (s == RAD_OK && !found)
        s = not_found(&e, key, parts[0], err);
    if (s == RAD_OK)
        *ret_run = e.run;
    free(own);
    free(of_run);
    return s;
}

/* report.c: opens the file, writes the page. */
#include "parts.h"

#include "radcohort/sqlext.h"
#include "radcohort/store.h"

extern const char rad_embedded_report_css[];
extern const char rad_embedded_report_js[];

enum { BUSY_MS = 30000, K_DEFAULT = 5 };

static void put_top(rp_page *p) {
    rp_put(p,
           "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width, "
           "initial-scale=1\">\n"
           "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; script-src "
           "'unsafe-inline'; img-src data:\">\n"
           "<meta name=\"generator\" content=\"radcohort {}\">\n<link rel=\"icon\" href=\"data:,\">\n<title>{}: report of run "
           "{}</title>\n<style>\n{!}</style>\n</head>\n<body>\n",
           rad_version(), p->job, RP_NUM("%lld", (long long)p->run), rad_embedded_report_css);
    rp_put(p,
           "<a class=\"skip\" href=\"#result\">To the result</a>\n<header class=\"top\"><h1>{}</h1>\n<p class=\"meta\">Run {}, finished "
           "{} UTC{}</p></header>\n<main>\n",
           p->job, RP_NUM("%lld", (long long)p->run), p->finished, p->o->is_public ? "; public report" : "");
}

/* Sections first: the contents list only those that have something to show. */
static void put_page(rp_page *p) {
    rp_section_flow(p);
    rp_section_table1(p);
    rp_section_roc(p);
    rp_section_forest(p);
    rp_section_cohorts(p);
    rp_section_confusion(p);
    rp_section_points(p);
    rp_section_grades(p);
    rp_section_calibration(p);
    rp_section_readers(p);
    rp_section_regressions(p);
    rp_section_folds(p);
    rp_section_aggregation(p);
    rp_section_cams(p);
    rp_section_drift(p);
    rp_section_exclusions(p);
    rp_section_words(p);
    rp_section_checklists(p);
    rp_section_provenance(p);
    rp_section_end(p);
    if (p->absent.size > 0) {
        rp_section(p, "absent", "Not part of this run");
        rp_put(p, "<dl class=\"absences\">\n");
        if (p->st == RAD_OK)
            p->st = rad_buf_put(&p->html, p->absent.data, p->absent.size, p->err);
        rp_put(p, "</dl>\n");
        rp_section_end(p);
    }
    const rad_buf body = p->html;
    rad_buf_init(&p->html, RAD_REPORT_MAX_BYTES);
    put_top(p);
    rp_section_headline(p);
    rp_put(p, "<nav class=\"toc\" aria-label=\"Contents\"><ul>\n<li><a href=\"#result\">Result</a></li>\n");
    if (p->st == RAD_OK && p->toc.size > 0)
        p->st = rad_buf_put(&p->html, p->toc.data, p->toc.size, p->err);
    rp_put(p, "</ul></nav>\n");
    rp_controls(p);
    if (p->st == RAD_OK)
        p->st = rad_buf_put(&p->html, body.data, body.size, p->err);
    rad_buf done = body;
    rad_buf_release(&done);
    rp_put(
        p,
        "</main>\n<footer><p>Made by radcohort {} from the result file alone. Every figure and table has its data as CSV and the SQL that "
        "made it; functions in it that SQLite does not have are those of the extension radstats.</p></footer>\n<div id=\"live\" "
        "class=\"hide\" aria-live=\"polite\"></div>\n<script>\n{!}</script>\n</body>\n</html>\n",
        rad_version(), rad_embedded_report_js);
}

/* What is shown first. Not chosen by what is seen outside: the AUC of the internal cohort decides. */
static void read_first(rp_page *p) {
    p->main_class =
        rp_one_text(p, sqlite3_mprintf("SELECT k.class FROM run_class k JOIN run r ON r.run_id = k.run_id WHERE k.run_id = %lld AND"
                                       " coalesce(r.positive_class = k.class_index, k.rule IS NOT NULL)"
                                       " ORDER BY k.rule = 'argmax', k.class_index LIMIT 1",
                                       (long long)p->run));
    p->main_model = rp_one_text(
        p,
        sqlite3_mprintf("SELECT m.model FROM run_model m LEFT JOIN v_statistic s ON s.run_id = m.run_id AND s.model = m.model AND s.unit ="
                        " 'patient' AND s.name = %Q AND s.class IS %Q AND s.point IS NULL AND s.versus IS NULL AND s.stratum = %Q"
                        " WHERE m.run_id = %lld ORDER BY s.est IS NULL, s.est DESC, m.position LIMIT 1",
                        p->main_class ? "auc" : "auc_macro", p->main_class, p->has_internal && p->has_external ? "internal" : "all",
                        (long long)p->run));
    if (p->st == RAD_OK && !p->main_model)
        rp_fail(p, RAD_E_INTERNAL, "run %lld has no model", (long long)p->run);
}

/* The views join many tables for every row; the page asks them hundreds of times. Tables of the same names in the temporary schema, which
 * SQL finds before the file's own, hold this run's rows: the queries beside the figures stay those of the file. */
static void read_views(rp_page *p) {
    static const char *const MAKE[] = {
        "CREATE TEMP TABLE v_case_score AS SELECT * FROM main.v_case_score WHERE run_id = %lld AND unit IN ('lesion', 'patient')",
        "CREATE INDEX temp.case_score_choice ON v_case_score (run_id, unit, model, class, cohort)",
        "CREATE TEMP TABLE v_manifest_check AS SELECT * FROM main.v_manifest_check WHERE run_id = %lld",
        "CREATE TEMP TABLE v_statistic AS SELECT * FROM main.v_statistic WHERE run_id = %lld",
        "CREATE INDEX temp.statistic_choice ON v_statistic (run_id, model, unit, name, stratum_kind, stratum, point, versus)"};
    for (size_t i = 0; i < sizeof MAKE / sizeof *MAKE && p->st == RAD_OK; i++) {
        char *sql = sqlite3_mprintf(MAKE[i], (long long)p->run);
        if (!sql || sqlite3_exec(p->db, sql, NULL, NULL, NULL) != SQLITE_OK)
            rp_fail(p, RAD_E_STORE, "cannot read the result file: %s (in: %s)", sqlite3_errmsg(p->db), MAKE[i]);
        sqlite3_free(sql);
    }
}

/* What every section asks about the run. */
static void read_run(rp_page *p) {
    rp_rows r;
    if (p->run == 0) {
        const double last = rp_one(p, sqlite3_mprintf("SELECT max(run_id) FROM run WHERE state = 'finished'"));
        if (p->st == RAD_OK && isnan(last))
            rp_fail(p, RAD_E_USAGE, "the file has no finished run; 'radcohort run' finishes one, 'radcohort status' says how far it is");
        p->run = isnan(last) ? 0 : (int64_t)last;
    }
    rp_query(
        p,
        sqlite3_mprintf("SELECT r.state, r.job, r.case_unit, coalesce(strftime('%%Y-%%m-%%d %%H:%%M', r.finished), '') AS finished, "
                        "k.class AS positive,"
                        " EXISTS (SELECT 1 FROM statistic s WHERE s.run_id = r.run_id AND s.stratum_kind = 'cohort' AND s.stratum = "
                        "'internal' AND s.name = 'auc' AND s.n > 0) AS internal,"
                        " EXISTS (SELECT 1 FROM statistic s WHERE s.run_id = r.run_id AND s.stratum_kind = 'cohort' AND s.stratum = "
                        "'external' AND s.name = 'auc' AND s.n > 0) AS external,"
                        " NOT EXISTS (SELECT 1 FROM run_model m WHERE m.run_id = r.run_id AND m.activation = 'none') AS probabilities,"
                        " (SELECT count(*) FROM run_model m WHERE m.run_id = r.run_id) AS n_model,"
                        " (SELECT count(DISTINCT center_id) FROM run_patient q WHERE q.run_id = r.run_id) AS n_center,"
                        " (SELECT count(DISTINCT cohort) FROM run_patient q WHERE q.run_id = r.run_id) AS n_cohort,"
                        " (SELECT count(*) FROM run_class c WHERE c.run_id = r.run_id AND c.rule IS NULL) AS n_class,"
                        " EXISTS (SELECT 1 FROM manifest f WHERE f.run_id = r.run_id GROUP BY f.patient_id HAVING count(*) > 1) AS several,"
                        " EXISTS (SELECT 1 FROM run_model m JOIN case_score c ON c.run_model_id = m.run_model_id WHERE m.run_id = "
                        "r.run_id) AS scored, EXISTS (SELECT 1 FROM statistic s WHERE s.run_id = r.run_id) AS counted "
                        "FROM run r LEFT JOIN run_class k ON"
                        " k.run_id = r.run_id AND k.class_index = r.positive_class WHERE r.run_id = %lld",
                        (long long)p->run),
        &r);
    if (p->st == RAD_OK && r.n == 0)
        rp_fail(p, RAD_E_USAGE, "the file has no run %lld; 'radcohort status' names the newest", (long long)p->run);
    if (p->st == RAD_OK && strcmp(rp_text_at(&r, 0, "state"), "finished") != 0)
        rp_fail(p, RAD_E_USAGE, "run %lld is %s: only a finished run has a report; the same 'radcohort run' command goes on with it",
                (long long)p->run, rp_text_at(&r, 0, "state"));
    if (p->st == RAD_OK) {
        p->job = rad_strdup(rp_text_at(&r, 0, "job"));
        p->case_unit = rad_strdup(rp_text_at(&r, 0, "case_unit"));
        p->finished = rad_strdup(rp_text_at(&r, 0, "finished"));
        p->positive = rp_at(&r, 0, "positive")->text ? rad_strdup(rp_text_at(&r, 0, "positive")) : NULL;
        if (!p->job || !p->case_unit || !p->finished || (rp_at(&r, 0, "positive")->text && !p->positive))
            rp_fail(p, RAD_E_NOMEM, "out of memory for the report");
        p->has_internal = rp_num(&r, 0, "internal") == 1;
        p->has_external = rp_num(&r, 0, "external") == 1;
        p->probabilities = rp_num(&r, 0, "probabilities") == 1;
        p->n_model = (int)rp_num(&r, 0, "n_model");
        p->n_center = (int)rp_num(&r, 0, "n_center");
        p->n_cohort = (int)rp_num(&r, 0, "n_cohort");
        p->n_class = (int)rp_num(&r, 0, "n_class");
        p->nothing = rp_num(&r, 0, "scored") != 1    ? "No case was scored: Exclusions and failures says why."
                     : rp_num(&r, 0, "counted") != 1 ? "The file has no statistics of this run; 'radcohort stats' computes them."
                                                     : NULL;
        p->several = rp_num(&r, 0, "several") == 1 && strcmp(p->case_unit, "lesion") == 0;
    }
    rp_rows_release(&r);
}

/* rad_store_open says what is wrong with a file that is none of ours, and rolls back the journal of a writer that was killed. */
static rad_status open_file(const char *path, sqlite3 **ret, rad_error *err) {
    rad_store *store = NULL;
    sqlite3 *db = NULL;
    rad_status st = rad_store_open(path, RAD_STORE_READ, &store, err);
    rad_store_close(&store);
    if (st != RAD_OK)
        return st;
    if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK) {
        st = rad_error_set(err, RAD_E_STORE, "cannot open '%s': %s", path, db ? sqlite3_errmsg(db) : "no memory");
        (void)sqlite3_close(db);
        return st;
    }
    (void)sqlite3_busy_timeout(db, BUSY_MS);
    st = rad_sqlext_register(db, err);
    /* one snapshot: a run that goes on meanwhile does not make two halves of a report */
    if (st == RAD_OK && sqlite3_exec(db, "PRAGMA temp_store = MEMORY; PRAGMA cache_size = -65536; BEGIN; SELECT count(*) FROM run", NULL,
                                     NULL, NULL) != SQLITE_OK)
        st = rad_error_set(err, RAD_E_STORE, "cannot read '%s': %s", path, sqlite3_errmsg(db));
    if (st != RAD_OK) {
        (void)sqlite3_close(db);
        return st;
    }
    *ret = db;
    return RAD_OK;
}

static void page_release(rp_page *p) {
    rp_ledger_destroy(&p->ledger);
    (void)sqlite3_close(p->out);
    (void)sqlite3_close(p->db);
    rad_buf_release(&p->html);
    rad_buf_release(&p->toc);
    rad_buf_release(&p->absent);
    rad_buf_release(&p->undrawn);
    free(p->main_model);
    free(p->main_class);
    free(p->job);
    free(p->case_unit);
    free(p->finished);
    free(p->positive);
}

rad_status rad_report_find_run(const char *path, int64_t *run, rad_error *err) {
    rp_page p = {.run = *run, .err = err};
    p.st = open_file(path, &p.db, err);
    if (p.st == RAD_OK)
        read_run(&p);
    if (p.st == RAD_OK)
        *run = p.run;
    page_release(&p);
    return p.st;
}

/* The page's buffers, the database at `path` and its run; `own` gets its k. */
static void page_open(rp_page *p, rad_report_opts *own, const char *path) {
    rad_buf_init(&p->html, RAD_REPORT_MAX_BYTES);
    rad_buf_init(&p->toc, RAD_REPORT_MAX_BYTES);
    rad_buf_init(&p->absent, RAD_REPORT_MAX_BYTES);
    rad_buf_init(&p->undrawn, RAD_REPORT_MAX_BYTES);
    own->k = own->k ? own->k : K_DEFAULT;
    if (own->k < 2)
        rp_fail(p, RAD_E_USAGE, "k is %d: suppression begins at 2 (counts of 1)", own->k);
    if (p->st == RAD_OK)
        p->st = open_file(path, &p->db, p->err);
    if (p->st == RAD_OK)
        read_run(p);
}

rad_status rad_report_write(const char *path, const rad_report_opts *o, rad_report_summary *ret, rad_error *err) {
    rad_report_opts own = *o;
    rp_page p = {.run = o->run, .o = &own, .err = err};
    char *csv = rad_path_join(o->dir, "csv"), *index = rad_path_join(o->dir, "index.html");
    if (!csv || !index)
        rp_fail(&p, RAD_E_NOMEM, "out of memory for a path");
    page_open(&p, &own, path);
    if (p.st == RAD_OK)
        p.st = rad_mkdirs(csv, err);
    if (p.st == RAD_OK) {
        read_views(&p);
        read_first(&p);
        rp_ledger_create(&p);
        put_page(&p);
    }
    if (p.st == RAD_OK)
        p.st = rad_file_write_atomic_mode(index, own.is_public ? 0644 : 0600, p.html.data, p.html.size, err);
    if (p.st == RAD_OK)
        *ret = (rad_report_summary){p.run, p.n_figure, p.n_table, p.n_csv, rp_ledger_hidden(&p), p.html.size};
    page_release(&p);
    free(csv);
    free(index);
    return p.st;
}

rad_status rad_report_export(const char *path, const rad_report_opts *o, const char *to, rad_report_summary *ret, rad_error *err) {
    rad_report_opts own = *o;
    rp_page p = {.run = o->run, .o = &own, .err = err};
    page_open(&p, &own, path);
    rp_publish_open(&p, to);
    if (p.st == RAD_OK) {
        read_views(&p);
        read_first(&p);
        rp_ledger_create(&p);
        if (own.is_public)
            put_page(&p);
        else
            rp_section_checklists(&p);
    }
    rp_publish_close(&p);
    if (p.st == RAD_OK)
        *ret = (rad_report_summary){p.run, p.n_figure, p.n_table, p.n_csv, rp_ledger_hidden(&p), p.html.size};
    page_release(&p);
    return p.st;
}

/* flow.c: where every patient went. The counts must add up, or there is no report. */
#include "parts.h"

enum { STEP = 92, BOX_H = 56 };

static void must(rp_page *p, bool ok, const char *what) {
    if (p->st == RAD_OK && !ok)
        rp_fail(p, RAD_E_INTERNAL, "the flow of patients does not add up: %s; please report this with the result file", what);
}

static void put_box(rp_page *p, double x, double y, double w, const char *css, const char *title, const char *count, const char *more) {
    rp_printf(p, "<rect x=\"%.0f\" y=\"%.0f\" width=\"%.0f\" height=\"%d\" rx=\"5\" class=\"%s\"/>\n", x, y, w, BOX_H, css);
    rp_label(p, x + w / 2, y + (more[0] ? 17 : 22), "middle", "", title, w - 12);
    rp_label(p, x + w / 2, y + (more[0] ? 34 : 42), "middle", "big", count, w - 12);
    if (more[0])
        rp_label(p, x + w / 2, y + 49, "middle", "small soft", more, w - 12);
}

static const char *count_text(const rp_rows *r, int64_t i, char to[64]) {
    return rp_at(r, i, "n")->hidden ? "suppressed" : rp_format(to, "n = %.0f", rp_num(r, i, "n"));
}

static double count(const rp_rows *r, int64_t i) {
    return rp_at(r, i, "n")->num;
}

/* A step that left nobody out is told in the caption: its boxes would repeat the one above. */
static void draw(rp_page *p, const rp_rows *r, const char *why) {
    static const struct {
        const char *out, *left;
        int row, left_row;
    } BOX[] = {{"Not selected by the job", "Selected", 1, 2},
               {"Without any score", "Scored by at least one model", 3, 4},
               {"Scored by some models only", "Scored by all models", 5, 6}};
    const bool both = count(r, 7) > 0 && count(r, 8) > 0;
    char to[64], caption[300] = "";
    int steps = 0, y = 6;
    for (size_t b = 0; b < 3; b++)
        steps += count(r, BOX[b].row) > 0 && !(b == 2 && p->n_model < 2);
    const rp_tags tags = {0};
    rp_figure(
        p, "flow-diagram", &tags, "Flow of patients",
        "From the cohort tables to the patients scored by all models, with the numbers left out at each step; the data have every step.",
        720, (steps + both) * STEP + BOX_H + 12);
    rp_put(p, "<defs><marker id=\"arrow\" viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\" markerWidth=\"7\" markerHeight=\"7\" "
              "orient=\"auto\"><path d=\"M0 0 8 4 0 8Z\" fill=\"currentColor\"/></marker></defs>\n");
    put_box(p, 30, y, 280, "box",
            steps > 0        ? "In the cohort tables"
            : p->n_model > 1 ? "In the cohort tables, scored by all models"
                             : "In the cohort tables, all scored",
            count_text(r, 0, to), "");
    y += STEP;
    for (size_t b = 0; b < 3; b++) {
        if (!(count(r, BOX[b].row) > 0) || (b == 2 && p->n_model < 2))
            continue;
        const double at = y - (STEP - BOX_H) / 2.0;
        rp_rule(p, 170, at, 376, at, "arrow");
        put_box(p, 380, at - BOX_H / 2.0, 330, "out", BOX[b].out, count_text(r, BOX[b].row, to), b == 1 ? why : "");
        rp_rule(p, 170, y - (STEP - BOX_H), 170, y - 2, "arrow");
        put_box(p, 30, y, 280, "box", p->n_model < 2 && b == 1 ? "Scored" : BOX[b].left, count_text(r, BOX[b].left_row, to), "");
        y += STEP;
    }
    if (both) {
        rp_rule(p, 170, y - (STEP - BOX_H), 96, y - 2, "arrow");
        rp_rule(p, 170, y - (STEP - BOX_H), 300, y - 2, "arrow");
        put_box(p, 6, y, 180, "box", "Internal", count_text(r, 7, to), "");
        put_box(p, 210, y, 180, "box", "External", count_text(r, 8, to), "");
    }
    const bool none[] = {count(r, 1) == 0, count(r, 3) == 0, p->n_model > 1 && count(r, 3) == 0 && count(r, 5) == 0};
    (void)snprintf(caption, sizeof caption, "%s%s", none[0] ? "No patient was left out by the job's selection. " : "",
                   none[2]   ? "All were scored by all models."
                   : none[1] ? "None was without any score."
                             : "");
    rp_figure_end(p, "flow-diagram", caption, r);
}

static char *reasons(rp_page *p) {
    return rp_one_text(
        p, sqlite3_mprintf(
               "SELECT coalesce(group_concat(reason || ' ' || n, ', '), '') FROM (SELECT reason, count(*) AS n FROM"
               " (SELECT e.patient_id, min(e.reason) AS reason FROM exclusion e WHERE e.run_id = %lld AND NOT EXISTS"
               " (SELECT 1 FROM case_score s JOIN run_model m ON m.run_model_id = s.run_model_id WHERE m.run_id = e.run_id"
               " AND s.unit = 'patient' AND s.patient_id = e.patient_id) GROUP BY e.patient_id) GROUP BY reason ORDER BY n DESC, reason)",
               (long long)p->run));
}

char *rp_flow_query(rp_page *p) {
    return sqlite3_mprintf("WITH s AS (SELECT c.patient_id, count(DISTINCT c.run_model_id) AS n FROM case_score c JOIN run_model m ON"
                           " m.run_model_id = c.run_model_id WHERE m.run_id = %lld AND c.unit = 'patient' GROUP BY c.patient_id),"
                           " f AS (SELECT rp.cohort, coalesce(s.n, 0) AS n FROM run_patient rp LEFT JOIN s ON s.patient_id = rp.patient_id"
                           " WHERE rp.run_id = %lld), k AS (SELECT count(*) AS n FROM run_model WHERE run_id = %lld),"
                           " u AS (SELECT count(*) AS n FROM unselected_patient WHERE run_id = %lld)\n"
                           "SELECT 'in the cohort tables' AS step, (SELECT count(*) FROM f) + u.n AS n FROM u\n"
                           "UNION ALL SELECT 'not selected', u.n FROM u\n"
                           "UNION ALL SELECT 'of the run', count(*) FROM f\n"
                           "UNION ALL SELECT 'without any score', count(*) FROM f WHERE n = 0\n"
                           "UNION ALL SELECT 'scored by at least one model', count(*) FROM f WHERE n > 0\n"
                           "UNION ALL SELECT 'scored by some models only', count(*) FROM f, k WHERE f.n > 0 AND f.n < k.n\n"
                           "UNION ALL SELECT 'scored by all models', count(*) FROM f, k WHERE f.n = k.n\n"
                           "UNION ALL SELECT 'scored by all, internal', count(*) FROM f, k WHERE f.n = k.n AND f.cohort = 'internal'\n"
                           "UNION ALL SELECT 'scored by all, external', count(*) FROM f, k WHERE f.n = k.n AND f.cohort = 'external'",
                           (long long)p->run, (long long)p->run, (long long)p->run, (long long)p->run);
}

void rp_section_flow(rp_page *p) {
    rp_rows r, c;
    rp_section(p, "flow", "Flow of patients");
    rp_query(p, rp_flow_query(p), &r);
    must(p, r.n == 9, "a step is missing");
    must(p, count(&r, 0) == count(&r, 1) + count(&r, 2), "tables are not unselected and selected patients");
    must(p, count(&r, 2) == count(&r, 3) + count(&r, 4), "patients of the run are not those with and those without a score");
    must(p, count(&r, 4) == count(&r, 5) + count(&r, 6), "scored patients are not those of some and those of all models");
    must(p, count(&r, 6) == count(&r, 7) + count(&r, 8), "the cohorts do not make up the scored patients");
    for (int64_t i = 0; i < r.n && p->st == RAD_OK; i++) {
        char key[256];
        if (rp_is_hidden(p, rp_key(key, sizeof key, "flow", "", rp_text_at(&r, i, "step"))))
            rp_hide(&r, i, "n");
    }
    char *why = p->st == RAD_OK && !p->o->is_public ? reasons(p) : NULL;
    draw(p, &r, why ? why : "");
    free(why);
    rp_query(
        p,
        sqlite3_mprintf("SELECT v.model AS network, v.case_unit, v.n_case, v.n_scored, v.n_excluded, v.n_neither, v.n_both, v.n_patient,"
                        " v.n_patient_scored, v.n_patient_excluded, v.n_patient_neither FROM v_manifest_check v JOIN run_model m ON"
                        " m.run_id = v.run_id AND m.model = v.model WHERE v.run_id = %lld ORDER BY m.position",
                        (long long)p->run),
        &c);
    for (int64_t i = 0; i < c.n; i++) {
        static const char *const COLUMN[] = {"n_scored", "n_excluded", "n_patient_scored", "n_patient_excluded"};
        must(p, rp_num(&c, i, "n_case") == rp_num(&c, i, "n_scored") + rp_num(&c, i, "n_excluded") - rp_num(&c, i, "n_both"),
             "cases of a model");
        must(p, rp_num(&c, i, "n_neither") == 0 && rp_num(&c, i, "n_patient_neither") == 0, "a case is neither scored nor excluded");
        must(p, rp_num(&c, i, "n_patient") == rp_num(&c, i, "n_patient_scored") + rp_num(&c, i, "n_patient_excluded"),
             "patients of a model");
        for (int k = 0; k < 4; k++) {
            char key[256];
            if (rp_is_hidden(p, rp_key(key, sizeof key, "check", rp_text_at(&c, i, "network"), COLUMN[k])))
                rp_hide(&c, i, COLUMN[k]);
        }
    }
    const bool lesions = strcmp(p->case_unit, "lesion") == 0;
    const rp_spec spec[] = {{"Network", RP_TEXT, "network", 0, 0},
                            {lesions ? "Lesions" : "Cases", RP_INT, "n_case", 0, 0},
                            {"scored", RP_INT, "n_scored", 0, 0},
                            {"excluded", RP_INT, "n_excluded", 0, 0},
                            {"Patients", RP_INT, "n_patient", 0, 0},
                            {"scored", RP_INT, "n_patient_scored", 0, 0},
                            {"excluded", RP_INT, "n_patient_excluded", 0, 0}};
    rp_table(p, "flow-models", lesions ? "Lesions and patients by network" : "Cases and patients by network", &c, spec, 7);
    rp_rows_release(&c);
    rp_rows_release(&r);
}

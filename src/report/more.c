/* more.c: aggregation sensitivity, maps, drift, exclusions, provenance. */
#include "parts.h"

/* ---------------------------------------------------------------- aggregation */

/* As `radcohort stats` has it in the file. Where lesions share a patient the interval is that of the clustered row, or none. */
static char *aggregation_sql(rp_page *p, const rp_rows *combo, int64_t i) {
    return sqlite3_mprintf(
        "SELECT s.model, s.class, s.unit, s.stratum_kind, s.stratum, s.cohort, s.point, s.name, s.versus, s.versus AS rule, s.n, s.n_pos,"
        " s.est, iif(s.n_cluster < s.n, c.lower, s.lower) AS lower, iif(s.n_cluster < s.n, c.upper, s.upper) AS upper,"
        " coalesce(c.method, s.method) AS method, s.reason FROM v_statistic s LEFT JOIN v_statistic c ON c.run_id = s.run_id AND"
        " c.model = s.model AND c.unit = s.unit AND c.class = s.class AND c.stratum_kind = s.stratum_kind AND c.stratum = s.stratum AND"
        " c.versus = s.versus AND c.point IS NULL AND c.name = 'exploratory_auc_clustered' WHERE s.run_id = %lld AND s.model = %Q AND"
        " s.class = %Q AND s.unit = %Q AND s.stratum_kind = %Q AND s.name = 'exploratory_auc' ORDER BY"
        " instr('max, mean, median, top-3, noisy-or, majority', s.versus) = 0, instr('max, mean, median, top-3, noisy-or, majority',"
        " s.versus), s.versus, s.stratum = 'external'",
        (long long)p->run, rp_text_at(combo, i, "model"), rp_text_at(combo, i, "class"), p->case_unit, rp_cohort_kind(p));
}

static void aggregation_figure(rp_page *p, const rp_rows *combo, int64_t i, const char *declared) {
    const char *model = rp_text_at(combo, i, "model"), *class_name = rp_text_at(combo, i, "class");
    char id[200], title[256];
    rp_rows r;
    rp_query(p, aggregation_sql(p, combo, i), &r);
    rp_protect_statistics(p, &r);
    for (int64_t k = 0; p->o->is_public && k < r.n; k++) { /* counts: in the ledger's tables, where they are shown */
        rp_hide(&r, k, "n");
        rp_hide(&r, k, "n_pos");
    }
    (void)snprintf(id, sizeof id, "aggregation-%s-%s", RP_ID(model), RP_ID(class_name));
    (void)snprintf(title, sizeof title, "%.80s: %.80s by rule, per %s", model, class_name, p->case_unit);
    if (rp_filled(&r, "est", "lower") == 0) {
        char why[200];
        rp_undrawn(p, title, rp_why_empty(p, why, p->case_unit, model, class_name, "all", 0));
        rp_rows_release(&r);
        return;
    }
    const rp_axes a = rp_forest_axes(&r, r.n);
    const rp_tags tags = {.model = model, .class_name = class_name};
    rp_figure(p, id, &tags, title, "AUC with 95% CI if slice scores were brought together by each rule.", RP_FOREST_WIDTH,
              a.top + a.height + 48);
    const bool by_cohort = p->n_cohort > 1 && strcmp(rp_cohort_kind(p), "cohort") == 0;
    double y = rp_forest_frame(p, &a, by_cohort ? "Rule, cohort" : "Rule");
    for (int64_t k = 0; k < r.n; k++, y += RP_FOREST_ROW) {
        char name[200];
        const char *rule = rp_text_at(&r, k, "rule");
        const bool external = strcmp(rp_text_at(&r, k, "cohort"), "external") == 0;
        (void)snprintf(name, sizeof name, "%.40s%s%s", rule, strcmp(rule, declared) == 0 ? " (declared)" : "",
                       !by_cohort ? ""
                       : external ? ", external"
                                  : ", internal");
        rp_forest_row(p, &a, &r, k, y, name, external ? 1 : 0, "ci");
    }
    rp_figure_end(p, id, "", &r);
    rp_rows_release(&r);
}

void rp_section_aggregation(rp_page *p) {
    rp_rows combo;
    rp_section(p, "aggregation", "Sensitivity to the aggregation");
    if (p->nothing) {
        rp_absent(p, p->nothing);
        return;
    }
    char *rule = rp_one_text(
        p, sqlite3_mprintf("SELECT CASE case_unit WHEN 'lesion' THEN lesion_rule ELSE patient_rule END FROM run WHERE run_id = %lld",
                           (long long)p->run));
    const double slices =
        rp_one(p, sqlite3_mprintf("SELECT max(n_slice) FROM result re JOIN run_result rr ON rr.result_id = re.result_id JOIN manifest m ON "
                                  "m.case_id = rr.case_id WHERE m.run_id = %lld",
                                  (long long)p->run));
    if (!(slices >= 2)) { /* NaN: none at all */
        rp_absent(p, isnan(slices) ? "No slice was scored: Exclusions and failures says why."
                                   : "Every case has one slice: all rules give the same score.");
        free(rule);
        return;
    }
    rp_query(
        p,
        sqlite3_mprintf(
            "SELECT rm.model, k.class FROM run_model rm JOIN run r ON r.run_id = rm.run_id JOIN run_class k ON k.run_id = rm.run_id AND"
            " (r.positive_class IS NULL OR r.positive_class = k.class_index) AND k.rule IS NOT 'argmax' WHERE rm.run_id = %lld"
            " ORDER BY k.class_index, rm.position",
            (long long)p->run),
        &combo);
    rp_put(p,
           "<p>The AUC per {} had the scores of slices been brought together by another rule; the job declares <em>{}</em>. Intervals take "
           "patients as clusters (Obuchowski).</p>\n<div class=\"forests\">\n",
           p->case_unit, rule ? rule : "");
    for (int64_t i = 0; i < combo.n && p->st == RAD_OK; i++)
        aggregation_figure(p, &combo, i, rule ? rule : "");
    rp_put(p, "</div>\n");
    rp_rows_release(&combo);
    free(rule);
}

/* ---------------------------------------------------------------- class activation maps */

static void put_base64(rp_page *p, const unsigned char *b, size_t n) {
    static const char DIGIT[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char line[4097];
    size_t at = 0;
    for (size_t i = 0; i < n; i += 3) {
        const unsigned v = (unsigned)b[i] << 16 | (i + 1 < n ? (unsigned)b[i + 1] << 8 : 0) | (i + 2 < n ? b[i + 2] : 0u);
        line[at++] = DIGIT[v >> 18];
        line[at++] = DIGIT[v >> 12 & 63];
        line[at++] = i + 1 < n ? DIGIT[v >> 6 & 63] : '=';
        line[at++] = i + 2 < n ? DIGIT[v & 63] : '=';
        if (at == sizeof line - 1 || i + 3 >= n) {
            line[at] = '\0';
            rp_put(p, "{!}", line);
            at = 0;
        }
    }
}

void rp_section_cams(rp_page *p) {
    rp_section(p, "maps", "Class activation maps");
    if (p->o->is_public) {
        rp_absent(p, "Left out of public reports: a map is drawn on the image of one patient.");
        return;
    }
    rp_rows r;
    rp_query(p,
             sqlite3_mprintf("SELECT model, cohort, class AS of_class, count(*) AS n, avg(energy_inside) AS energy_inside, "
                             "avg(peak_inside) AS peak_inside, avg(iou) AS iou FROM v_cam"
                             " WHERE run_id = %lld AND deciding GROUP BY model, cohort, class ORDER BY model, cohort DESC, class",
                             (long long)p->run),
             &r);
    if (r.n == 0) {
        rp_absent(p, "The job asked for no class activation maps.");
    } else {
        /* maps are of classes, also where the choice is of an endpoint, and those of the only model with maps are always shown */
        const bool one = strcmp(rp_text_at(&r, 0, "model"), rp_text_at(&r, r.n - 1, "model")) == 0;
        const rp_spec spec[] = {{one ? "Network" : "Model", RP_TEXT, "model", 0, 0},
                                {"Cohort", RP_TEXT, "cohort", 0, 0},
                                {"Class", RP_TEXT, "of_class", 0, 0},
                                {"Maps", RP_INT, "n", 0, 0},
                                {"Energy on the lesion", RP_NUM3, "energy_inside", 0, 0},
                                {"Peak on the lesion", RP_NUM3, "peak_inside", 0, 0},
                                {"Overlap (IoU)", RP_NUM3, "iou", 0, 0}};
        for (int i = 0; i < p->o->n_image; i++) {
            const rad_report_image *m = &p->o->image[i];
            const char *tag = one ? NULL : m->model;
            rp_put(p, "<figure class=\"montage\"{!}{}{!}><p class=\"name\">{}</p>", tag ? " data-model=\"" : "", tag ? tag : "",
                   tag ? "\"" : "", m->title);
            rp_printf(p, "<img width=\"%d\" height=\"%d\"", m->width, m->height);
            rp_put(p, " alt=\"{}\" src=\"data:image/png;base64,", m->caption);
            put_base64(p, m->png, m->size);
            rp_put(p, "\"><figcaption>{}</figcaption></figure>\n", m->caption);
            p->n_figure++;
        }
        if (p->o->n_image == 0)
            rp_absent(p, p->o->no_image ? p->o->no_image : "The maps have numbers but no overlay files.");
        rp_table(p, "maps-table", "Where the maps of the deciding slices lie: means over cases with a lesion there", &r, spec, 7);
    }
    rp_rows_release(&r);
}

/* ---------------------------------------------------------------- drift since the run before */

static void drift_tables(rp_page *p, long long before) {
    rp_rows r;
    rp_query(p,
             sqlite3_mprintf("SELECT s.model, s.unit, s.class, s.stratum_kind, s.stratum, s.point, s.name, iif(s.name = 'auc', 'AUC', "
                             "s.name) AS measure, s.versus, s.n, s.n_pos, b.n AS "
                             "n_before, b.est AS before, s.est, s.est - b.est AS change"
                             " FROM v_statistic s JOIN main.v_statistic b ON b.run_id = %lld AND b.model = s.model AND b.unit = s.unit AND "
                             "b.class IS s.class AND b.stratum_kind = s.stratum_kind"
                             " AND b.stratum = s.stratum AND b.point IS s.point AND b.name = s.name AND b.versus IS s.versus WHERE "
                             "s.run_id = %lld AND s.name IN ('auc', 'sensitivity', 'specificity')"
                             " AND s.unit IN (%s) AND s.est IS NOT b.est ORDER BY abs(s.est - b.est) DESC, s.model, "
                             "s.unit, s.stratum, s.name",
                             before, (long long)p->run, rp_units(p)),
             &r);
    static const rp_spec SPEC[] = {{"Model", RP_TEXT, "model", 0, 0},           {"Class", RP_TEXT, "class", 0, 0},
                                   {"Measure", RP_TEXT, "measure", 0, 0},       {"Patients", RP_TEXT, "stratum", 0, 0},
                                   {"Operating point", RP_TEXT, "point", 0, 0}, {"Unit", RP_TEXT, "unit", 0, 0},
                                   {"n before", RP_INT, "n_before", 0, 0},      {"n", RP_INT, "n", 0, 0},
                                   {"Before", RP_NUM3, "before", 0, 0},         {"Now", RP_NUM3, "est", 0, 0},
                                   {"Change", RP_NUM3, "change", 0, 0}};
    if (r.n == 0)
        rp_absent(p, "No AUC, sensitivity or specificity moved since the run before.");
    else
        rp_table(p, "drift-numbers", "Numbers that moved since the run before", &r, SPEC, 11);
    rp_rows_release(&r);
    rp_query(
        p,
        sqlite3_mprintf("SELECT a.model, a.unit, a.center, a.cohort, a.point, count(*) AS n, sum(a.call <> b.call) AS flipped, "
                        "sum(a.call > b.call) AS to_positive FROM v_call a JOIN v_call b"
                        " ON b.run_id = %lld AND b.model = a.model AND b.unit = a.unit AND b.patient = a.patient AND b.lesion IS "
                        "a.lesion AND b.class = a.class AND b.point = a.point"
                        " WHERE a.run_id = %lld AND a.unit IN (%s) GROUP BY a.model, a.unit, a.center, a.cohort, a.point HAVING flipped > 0"
                        " ORDER BY flipped DESC, a.model, a.center",
                        before, (long long)p->run, rp_units(p)),
        &r);
    static const rp_spec FLIP[] = {{"Model", RP_TEXT, "model", 0, 0},
                                   {"Center", RP_TEXT, "center", 0, 0},
                                   {"Operating point", RP_TEXT, "point", 0, 0},
                                   {"Unit", RP_TEXT, "unit", 0, 0},
                                   {"n", RP_INT, "n", 0, 0},
                                   {"Calls that flipped", RP_INT, "flipped", 0, 0},
                                   {"to positive", RP_INT, "to_positive", 0, 0}};
    if (r.n == 0)
        rp_absent(p, "No call flipped on a case that both runs scored.");
    else
        rp_table(p, "drift-flips", "Calls that flipped since the run before", &r, FLIP, 7);
    rp_rows_release(&r);
}

/* What `radcohort nightly` wrote down of the night that made this run. */
static void night(rp_page *p) {
    rp_rows r;
    char *headline = rp_one_text(
        p, sqlite3_mprintf("SELECT headline FROM nightly WHERE run_id = %lld ORDER BY nightly_id DESC LIMIT 1", (long long)p->run));
    if (headline)
        rp_put(p, "<p>The night's headline: {}</p>\n", headline);
    free(headline);
    rp_query(p,
             sqlite3_mprintf("SELECT center, unit, variable, n_base, n_recent, psi, test, p, p_adjusted, iif(alarm, 'alarm', '') AS alarm, "
                             "reason FROM drift WHERE nightly_id ="
                             " (SELECT max(nightly_id) FROM nightly WHERE run_id = %lld) ORDER BY drift.alarm DESC, p_adjusted IS NULL, "
                             "p_adjusted, center, variable, unit",
                             (long long)p->run),
             &r);
    static const rp_spec SPEC[] = {
        {"Center", RP_TEXT, "center", 0, 0},        {"Variable", RP_TEXT, "variable", 0, 0}, {"Unit", RP_TEXT, "unit", 0, 0},
        {"n before", RP_INT, "n_base", 0, 0},       {"n recent", RP_INT, "n_recent", 0, 0},  {"PSI", RP_NUM3, "psi", 0, 0},
        {"P, Holm", RP_PVALUE, "p_adjusted", 0, 0}, {"Alarm", RP_TEXT, "alarm", 0, 0}};
    if (r.n > 0)
        rp_table(p, "drift-variables",
                 "What drifted where, as the night saw it: population stability index and test, by center and variable", &r, SPEC, 8);
    rp_rows_release(&r);
}

void rp_section_drift(rp_page *p) {
    rp_section(p, "drift", "Drift since the run before");
    const double before = rp_one(p, sqlite3_mprintf("SELECT max(b.run_id) FROM run b JOIN run r ON r.job = b.job WHERE r.run_id = %lld AND "
                                                    "b.run_id < r.run_id AND b.state = 'finished'",
                                                    (long long)p->run));
    if (isnan(before)) {
        rp_absent(p, "No earlier run of this job is in the file.");
    } else if (p->o->is_public) {
        rp_absent(p, "Left out of public reports: the difference of two nights can be one patient.");
    } else {
        rp_put(p, "<p>Against run {}.</p>\n", RP_NUM("%.0f", before));
        night(p);
        drift_tables(p, (long long)before);
    }
}

/* ---------------------------------------------------------------- exclusions */

void rp_section_exclusions(rp_page *p) {
    rp_rows r;
    rp_section(p, "exclusions", "Exclusions and failures");
    rp_query(
        p,
        sqlite3_mprintf(
            "SELECT center, cohort, unit, coalesce(model, 'all models') AS model_or_all, stage, reason, CASE stage WHEN 'intake' THEN "
            "'matching "
            "of images' WHEN 'load' THEN 'reading' WHEN 'prepare' THEN 'preparation' WHEN 'infer' THEN 'network' WHEN 'farm' THEN 'run' "
            "WHEN 'aggregate' THEN 'case to patient' ELSE stage END AS step, CASE reason WHEN 'channel' THEN 'sequence missing or not "
            "unique' WHEN 'region' THEN 'no region' WHEN 'shape' THEN 'geometry' ELSE reason END AS because, count(*) AS n, min(text) AS "
            "example FROM v_exclusion WHERE run_id = %lld"
            " GROUP BY center, cohort, unit, model_or_all, stage, reason ORDER BY n DESC, center, unit, model_or_all, stage, reason",
            (long long)p->run),
        &r);
    for (int64_t i = 0; i < r.n && p->st == RAD_OK; i++) {
        char family[256], what[256], key[700];
        (void)snprintf(family, sizeof family, "exclusion|%s|%s", rp_text_at(&r, i, "unit"), rp_text_at(&r, i, "model_or_all"));
        (void)snprintf(what, sizeof what, "%s:%s", rp_text_at(&r, i, "stage"), rp_text_at(&r, i, "reason"));
        if (rp_is_hidden(p, rp_key(key, sizeof key, family, rp_text_at(&r, i, "center"), what)))
            rp_hide(&r, i, "n");
        if (p->o->is_public) /* names files and patients */
            rp_hide(&r, i, "example");
    }
    static const rp_spec SPEC[] = {{"Center", RP_TEXT, "center", 0, 0},        {"Unit", RP_TEXT, "unit", 0, 0},
                                   {"Network", RP_TEXT, "model_or_all", 0, 0}, {"Step", RP_TEXT, "step", 0, 0},
                                   {"Reason", RP_TEXT, "because", 0, 0},       {"n", RP_INT, "n", 0, 0},
                                   {"One of them", RP_TEXT, "example", 0, 0}};
    if (r.n == 0)
        rp_absent(p, "Nothing was excluded: every case and patient has a score of every model.");
    else
        rp_table(p, "exclusions-table", "What could not be scored, and why", &r, SPEC, p->o->is_public ? 6 : 7);
    rp_rows_release(&r);
    if (p->o->is_public)
        return;
    rp_query(p,
             sqlite3_mprintf(
                 "SELECT stage, text, count(*) AS n FROM v_warning WHERE run_id = %lld GROUP BY stage, text ORDER BY n DESC, stage, text",
                 (long long)p->run),
             &r);
    static const rp_spec WARN[] = {{"Stage", RP_TEXT, "stage", 0, 0}, {"Warning", RP_TEXT, "text", 0, 0}, {"n", RP_INT, "n", 0, 0}};
    if (r.n > 0)
        rp_table(p, "warnings", "Warnings", &r, WARN, 3);
    rp_rows_release(&r);
}

/* ---------------------------------------------------------------- provenance */

void rp_section_provenance(rp_page *p) {
    rp_rows r;
    rp_section(p, "provenance", "Provenance");
    rp_query(
        p,
        sqlite3_mprintf("SELECT 'run' AS item, CAST(run_id AS TEXT) AS value FROM run WHERE run_id = %lld UNION ALL SELECT 'identity', "
                        "identity FROM run WHERE run_id = %lld"
                        " UNION ALL SELECT 'job file, SHA-256', job_sha256 FROM run WHERE run_id = %lld UNION ALL SELECT 'cohort tables, "
                        "SHA-256', cohort_sha256 FROM run WHERE run_id = %lld"
                        " UNION ALL SELECT 'started', started FROM run WHERE run_id = %lld UNION ALL SELECT 'finished', finished FROM run "
                        "WHERE run_id = %lld"
                        " UNION ALL SELECT 'backend', backend || ', ' || backend_version || ', ' || precision FROM run WHERE run_id = %lld"
                        " UNION ALL SELECT 'ranks, threads', n_rank || ', ' || threads FROM run WHERE run_id = %lld UNION ALL SELECT "
                        "'radcohort', radcohort_version FROM run WHERE run_id = %lld"
                        "%s",
                        (long long)p->run, (long long)p->run, (long long)p->run, (long long)p->run, (long long)p->run, (long long)p->run,
                        (long long)p->run, (long long)p->run, (long long)p->run,
                        p->o->is_public ? "" : " UNION ALL SELECT 'result file', value FROM meta WHERE key = 'file_id'"),
        &r);
    static const rp_spec SPEC[] = {{"Item", RP_TEXT, "item", 0, 0}, {"Value", RP_TEXT, "value", 0, 0}};
    rp_table(p, "provenance-run", "The run", &r, SPEC, 2);
    rp_rows_release(&r);
    rp_query(p,
             sqlite3_mprintf("SELECT rm.model, f.file, f.fold, mo.sha256, mo.opset, mo.parameters, mo.input_shape, rm.activation "
                             "FROM run_model rm JOIN run_model_file f ON"
                             " f.run_model_id = rm.run_model_id JOIN model mo ON mo.model_id = f.model_id WHERE rm.run_id = %lld ORDER BY "
                             "rm.position, f.position",
                             (long long)p->run),
             &r);
    static const rp_spec MODEL[] = {{"Network", RP_TEXT, "model", 0, 0},     {"File", RP_TEXT, "file", 0, 0},
                                    {"Fold", RP_INT, "fold", 0, 0},          {"Parameters", RP_INT, "parameters", 0, 0},
                                    {"Input", RP_TEXT, "input_shape", 0, 0}, {"Activation", RP_TEXT, "activation", 0, 0},
                                    {"SHA-256", RP_HASH, "sha256", 0, 0}};
    rp_table(p, "provenance-models", "The networks' files", &r, MODEL, 7);
    rp_rows_release(&r);
    rp_query(
        p,
        sqlite3_mprintf("SELECT group_concat(model, ', ') AS models, input_text FROM (SELECT model, input_text, position FROM run_model"
                        " WHERE run_id = %lld ORDER BY position) GROUP BY input_text ORDER BY min(position)",
                        (long long)p->run),
        &r);
    static const rp_spec INPUT[] = {{"Networks", RP_TEXT, "models", 0, 0}, {"Preparation", RP_TEXT, "input_text", 0, 0}};
    rp_table(p, "provenance-inputs", "Preparation of the networks' input, in the words of the job file", &r, INPUT, 2);
    rp_rows_release(&r);
    if (p->o->is_public)
        return;
    char *text = rp_one_text(p, sqlite3_mprintf("SELECT job_text FROM run WHERE run_id = %lld", (long long)p->run)),
         *line = rp_one_text(p, sqlite3_mprintf("SELECT command_line FROM run WHERE run_id = %lld", (long long)p->run));
    rp_put(p,
           "<p>Command: <code>{}</code></p>\n<details><summary>The job file</summary><pre tabindex=\"0\"><code>{}</code></pre></details>\n",
           line ? line : "", text ? text : "");
    free(text);
    free(line);
}

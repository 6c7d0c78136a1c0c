/* protect.c: fills the ledger of a public report, and takes out of rows what it suppresses. */
#include "ledger.h"

enum { KEY = 1200, PARTS = 512 };

static int64_t find3(const rp_page *p, const char *family, const char *stratum, const char *what) {
    char key[KEY];
    return rp_ledger_find(p->ledger, rp_key(key, sizeof key, family, stratum, what));
}

static void add3(rp_page *p, const char *family, const char *stratum, const char *what, double value) {
    char key[KEY];
    rp_ledger_add(p, rp_key(key, sizeof key, family, stratum, what), value);
}

static void sum2(rp_page *p, int64_t whole, int64_t a, int64_t b) {
    rp_ledger_sum(p, (const int64_t[]){whole, a, b}, 3);
}

static void same(rp_page *p, int64_t a, int64_t b) {
    if (a != b && a >= 0 && b >= 0)
        rp_ledger_sum(p, (const int64_t[]){a, b}, 2);
}

/* whole = cohorts, cohort = its centers; and whole = centers. Strata are "all:all", "cohort:internal", "center:NAME". */
static void connect_strata(rp_page *p, const rp_rows *center, const char *family, const char *what) {
    static const char *const COHORT[] = {"internal", "external"};
    int64_t part[PARTS], whole = find3(p, family, "all:all", what), n = 1;
    char stratum[300];
    sum2(p, whole, find3(p, family, "cohort:internal", what), find3(p, family, "cohort:external", what));
    for (int c = 0; c < 2; c++) {
        (void)snprintf(stratum, sizeof stratum, "cohort:%s", COHORT[c]);
        part[0] = find3(p, family, stratum, what);
        n = 1;
        for (int64_t i = 0; i < center->n && n < PARTS; i++)
            if (strcmp(rp_text_at(center, i, "cohort"), COHORT[c]) == 0) {
                (void)snprintf(stratum, sizeof stratum, "center:%.250s", rp_text_at(center, i, "center"));
                const int64_t at = find3(p, family, stratum, what);
                if (at >= 0) /* a center without any is 0 */
                    part[n++] = at;
            }
        rp_ledger_sum(p, part, n);
    }
    part[0] = whole;
    n = 1;
    for (int64_t i = 0; i < center->n && n < PARTS; i++) {
        (void)snprintf(stratum, sizeof stratum, "center:%.250s", rp_text_at(center, i, "center"));
        const int64_t at = find3(p, family, stratum, what);
        if (at >= 0)
            part[n++] = at;
    }
    rp_ledger_sum(p, part, n);
}

static void stratum_of(const rp_rows *r, int64_t i, char to[300]) {
    (void)snprintf(to, 300, "%.40s:%.250s", rp_text_at(r, i, "stratum_kind"), rp_text_at(r, i, "stratum"));
}

/* ---------------------------------------------------------------- filling */

static void add_population(rp_page *p, const rp_rows *center) {
    rp_rows r;
    double all = 0;
    int64_t part[PARTS], n = 1;
    for (int64_t i = 0; i < center->n; i++) {
        add3(p, "population", rp_text_at(center, i, "center"), "patients", rp_num(center, i, "n"));
        all += rp_num(center, i, "n");
    }
    add3(p, "population", "", "patients", all);
    part[0] = find3(p, "population", "", "patients");
    for (int64_t i = 0; i < center->n && n < PARTS; i++)
        part[n++] = find3(p, "population", rp_text_at(center, i, "center"), "patients");
    rp_ledger_sum(p, part, n);
    char *inner = rp_table1_query(p);
    rp_query(p,
             sqlite3_mprintf("SELECT \"group\", variable, level, count FROM table_one(%Q) WHERE count IS NOT NULL ORDER BY 1, 2, 3",
                             inner ? inner : ""),
             &r);
    sqlite3_free(inner);
    for (int64_t i = 0, end; i < r.n && p->st == RAD_OK; i = end) {
        const char *group = rp_text_at(&r, i, "group");
        part[0] = find3(p, "population", group, "patients");
        n = 1;
        for (end = i; end < r.n && strcmp(rp_text_at(&r, end, "group"), group) == 0 &&
                      strcmp(rp_text_at(&r, end, "variable"), rp_text_at(&r, i, "variable")) == 0;
             end++) {
            char what[300];
            (void)snprintf(what, sizeof what, "%.120s=%.120s", rp_text_at(&r, end, "variable"), rp_text_at(&r, end, "level"));
            add3(p, "table1", group, what, rp_num(&r, end, "count"));
            if (n < PARTS)
                part[n++] = find3(p, "table1", group, what);
        }
        rp_ledger_sum(p, part, n);
    }
    rp_rows_release(&r);
}

/* Cases of the class and others, of every AUC; models and Table 1 give the same counts where nothing is missing. */
static void add_denominators(rp_page *p, const rp_rows *center) {
    rp_rows r;
    rp_query(p,
             sqlite3_mprintf(
                 "SELECT s.model, s.unit, s.class, s.stratum_kind, s.stratum, s.n, s.n_pos FROM v_statistic s JOIN run_model m ON m.run_id "
                 "= s.run_id AND m.model = s.model"
                 " WHERE s.run_id = %lld AND s.name = 'auc' AND s.unit IN ('lesion', 'patient') AND s.stratum_kind IN ('all', 'cohort', "
                 "'center') ORDER BY s.unit, s.class, m.position",
                 (long long)p->run),
             &r);
    static const char *const WHAT[] = {"n", "pos", "neg"};
    char first[KEY] = "", last[KEY] = "";
    for (int64_t i = 0; i <= r.n && p->st == RAD_OK; i++) {
        char family[KEY] = "", stratum[300], what[300];
        if (i < r.n)
            (void)snprintf(family, sizeof family, "auc|%.300s|%.20s|%.300s", rp_text_at(&r, i, "model"), rp_text_at(&r, i, "unit"),
                           rp_text_at(&r, i, "class"));
        if (strcmp(last, family) != 0) {
            for (int w = 0; last[0] && w < 3; w++)
                connect_strata(p, center, last, WHAT[w]);
            memcpy(last, family, sizeof last);
        }
        if (i == r.n)
            break;
        const double n = rp_num(&r, i, "n"), pos = rp_num(&r, i, "n_pos");
        stratum_of(&r, i, stratum);
        add3(p, family, stratum, "n", n);
        add3(p, family, stratum, "pos", pos);
        add3(p, family, stratum, "neg", n - pos);
        sum2(p, find3(p, family, stratum, "n"), find3(p, family, stratum, "pos"), find3(p, family, stratum, "neg"));
        if (i == 0 || strcmp(rp_text_at(&r, i, "unit"), rp_text_at(&r, i - 1, "unit")) != 0 ||
            strcmp(rp_text_at(&r, i, "class"), rp_text_at(&r, i - 1, "class")) != 0)
            memcpy(first, family, sizeof first);
        same(p, find3(p, first, stratum, "pos"), find3(p, family, stratum, "pos"));
        same(p, find3(p, first, stratum, "neg"), find3(p, family, stratum, "neg"));
        if (strcmp(rp_text_at(&r, i, "unit"), "patient") == 0 && strcmp(rp_text_at(&r, i, "stratum_kind"), "center") == 0) {
            (void)snprintf(what, sizeof what, "label=%.200s", rp_text_at(&r, i, "class"));
            same(p, find3(p, family, stratum, "pos"), find3(p, "table1", rp_text_at(&r, i, "stratum"), what));
            same(p, find3(p, family, stratum, "n"), find3(p, "population", rp_text_at(&r, i, "stratum"), "patients"));
        }
    }
    rp_rows_release(&r);
}

/* True and false calls: of operating points, and of readers. `sensitivity` and `specificity` are the names of their rows. */
static void add_calls(rp_page *p, const rp_rows *center, bool readers) {
    rp_rows r;
    static const char *const WHAT[] = {"tp", "fn", "tn", "fp"};
    char last[KEY] = "";
    rp_query(p,
             sqlite3_mprintf("SELECT a.model, a.unit, a.class, coalesce(a.point, a.versus) AS point, a.stratum_kind, a.stratum, a.n, "
                             "a.n_pos, b.n AS n_neg, b.n_pos AS tn FROM v_statistic a"
                             " JOIN v_statistic b ON b.run_id = a.run_id AND b.model = a.model AND b.unit = a.unit AND b.class IS a.class "
                             "AND b.point IS a.point AND b.versus IS a.versus"
                             " AND b.stratum_kind = a.stratum_kind AND b.stratum = a.stratum AND b.name = %Q WHERE a.run_id = %lld AND "
                             "a.name = %Q AND a.unit IN ('lesion', 'patient') AND a.stratum_kind IN ('all', 'cohort', 'center')"
                             " ORDER BY a.model, a.unit, a.class, 4",
                             readers ? "reader_specificity" : "specificity", (long long)p->run,
                             readers ? "reader_sensitivity" : "sensitivity"),
             &r);
    for (int64_t i = 0; i <= r.n && p->st == RAD_OK; i++) {
        char family[KEY] = "", auc[KEY], stratum[300];
        if (i < r.n)
            (void)snprintf(family, sizeof family, "%s|%.250s|%.20s|%.250s|%.250s", readers ? "reader" : "point", rp_text_at(&r, i, "model"),
                           rp_text_at(&r, i, "unit"), rp_text_at(&r, i, "class"), rp_text_at(&r, i, "point"));
        if (strcmp(last, family) != 0) {
            for (int w = 0; last[0] && w < 4; w++)
                connect_strata(p, center, last, WHAT[w]);
            memcpy(last, family, sizeof last);
        }
        if (i == r.n)
            break;
        const double tp = rp_num(&r, i, "n_pos"), tn = rp_num(&r, i, "tn"),
                     count[] = {tp, rp_num(&r, i, "n") - tp, tn, rp_num(&r, i, "n_neg") - tn};
        stratum_of(&r, i, stratum);
        for (int w = 0; w < 4; w++)
            add3(p, family, stratum, WHAT[w], count[w]);
        add3(p, family, stratum, "pos", rp_num(&r, i, "n"));
        add3(p, family, stratum, "neg", rp_num(&r, i, "n_neg"));
        const int64_t pos = find3(p, family, stratum, "pos"), neg = find3(p, family, stratum, "neg");
        sum2(p, pos, find3(p, family, stratum, "tp"), find3(p, family, stratum, "fn"));
        sum2(p, neg, find3(p, family, stratum, "tn"), find3(p, family, stratum, "fp"));
        (void)snprintf(auc, sizeof auc, "auc|%.300s|%.20s|%.300s", rp_text_at(&r, i, "model"), rp_text_at(&r, i, "unit"),
                       rp_text_at(&r, i, "class"));
        const int64_t apos = find3(p, auc, stratum, "pos"), aneg = find3(p, auc, stratum, "neg");
        if (apos >= 0 && aneg >= 0) {
            same(p, apos, pos);
            same(p, aneg, neg);
        }
    }
    rp_rows_release(&r);
}

static void add_flow(rp_page *p) {
    static const char *const STEP[] = {"in the cohort tables",
                                       "not selected",
                                       "of the run",
                                       "without any score",
                                       "scored by at least one model",
                                       "scored by some models only",
                                       "scored by all models",
                                       "scored by all, internal",
                                       "scored by all, external"};
    int64_t at[9];
    rp_rows r;
    char *sql = rp_flow_query(p);
    rp_query(p, sql, &r);
    for (int i = 0; i < 9; i++) {
        add3(p, "flow", "", STEP[i], rp_num(&r, i, "n"));
        at[i] = find3(p, "flow", "", STEP[i]);
    }
    rp_rows_release(&r);
    sum2(p, at[0], at[1], at[2]);
    sum2(p, at[2], at[3], at[4]);
    sum2(p, at[4], at[5], at[6]);
    sum2(p, at[6], at[7], at[8]);
    same(p, at[2], find3(p, "population", "", "patients"));
    rp_query(p,
             sqlite3_mprintf("SELECT model, n_case, n_scored, n_excluded, n_patient, n_patient_scored, n_patient_excluded FROM "
                             "v_manifest_check WHERE run_id = %lld",
                             (long long)p->run),
             &r);
    for (int64_t i = 0; i < r.n; i++) {
        static const char *const COLUMN[] = {"n_case", "n_scored", "n_excluded", "n_patient", "n_patient_scored", "n_patient_excluded"};
        int64_t c[6];
        for (int k = 0; k < 6; k++) {
            add3(p, "check", rp_text_at(&r, i, "model"), COLUMN[k], rp_num(&r, i, COLUMN[k]));
            c[k] = find3(p, "check", rp_text_at(&r, i, "model"), COLUMN[k]);
        }
        sum2(p, c[0], c[1], c[2]);
        sum2(p, c[3], c[4], c[5]);
        same(p, c[3], find3(p, "population", "", "patients"));
        same(p, c[4], at[4]);
        same(p, c[4], at[6]);
        same(p, c[5], at[3]);
    }
    rp_rows_release(&r);
}

/* Excluded units by center and reason; patients excluded from a model are the missing ones of its AUC. */
static void add_exclusions(rp_page *p) {
    rp_rows r;
    rp_query(p,
             sqlite3_mprintf("SELECT unit, coalesce(model, 'all models') AS model, center, stage || ':' || reason AS what, count(*) AS n "
                             "FROM v_exclusion WHERE run_id = %lld GROUP BY 1, 2, 3, 4",
                             (long long)p->run),
             &r);
    int64_t part[PARTS], n = 1;
    for (int64_t i = 0; i < r.n && p->st == RAD_OK; i++) {
        char family[KEY];
        (void)snprintf(family, sizeof family, "exclusion|%.20s|%.300s", rp_text_at(&r, i, "unit"), rp_text_at(&r, i, "model"));
        add3(p, family, rp_text_at(&r, i, "center"), rp_text_at(&r, i, "what"), rp_num(&r, i, "n"));
        if (n < PARTS)
            part[n++] = find3(p, family, rp_text_at(&r, i, "center"), rp_text_at(&r, i, "what"));
        if (i + 1 == r.n || strcmp(rp_text_at(&r, i + 1, "unit"), rp_text_at(&r, i, "unit")) != 0 ||
            strcmp(rp_text_at(&r, i + 1, "model"), rp_text_at(&r, i, "model")) != 0) {
            const bool patient = strcmp(rp_text_at(&r, i, "unit"), "patient") == 0;
            part[0] = find3(p, "check", rp_text_at(&r, i, "model"), patient ? "n_patient_excluded" : "n_excluded");
            if (part[0] >= 0)
                rp_ledger_sum(p, part, n);
            n = 1;
        }
    }
    rp_rows_release(&r);
}

static void add_matrices(rp_page *p) {
    rp_rows r;
    rp_query(p, rp_matrix_query(p), &r);
    for (int64_t i = 0, end; i < r.n && p->st == RAD_OK; i = end) {
        char family[KEY], auc[KEY], stratum[300], what[400];
        int64_t part[PARTS], n = 1;
        (void)snprintf(family, sizeof family, "matrix|%.300s|%.20s", rp_text_at(&r, i, "model"), rp_text_at(&r, i, "unit"));
        (void)snprintf(auc, sizeof auc, "auc|%.300s|%.20s|%.300s", rp_text_at(&r, i, "model"), rp_text_at(&r, i, "unit"),
                       rp_text_at(&r, i, "truth"));
        (void)snprintf(stratum, sizeof stratum, "cohort:%s", rp_text_at(&r, i, "cohort"));
        for (end = i; end < r.n && strcmp(rp_text_at(&r, end, "model"), rp_text_at(&r, i, "model")) == 0 &&
                      strcmp(rp_text_at(&r, end, "unit"), rp_text_at(&r, i, "unit")) == 0 &&
                      strcmp(rp_text_at(&r, end, "cohort"), rp_text_at(&r, i, "cohort")) == 0 &&
                      strcmp(rp_text_at(&r, end, "truth"), rp_text_at(&r, i, "truth")) == 0;
             end++) {
            (void)snprintf(what, sizeof what, "%.190s>%.190s", rp_text_at(&r, end, "truth"), rp_text_at(&r, end, "call"));
            add3(p, family, rp_text_at(&r, i, "cohort"), what, rp_num(&r, end, "n"));
            if (n < PARTS)
                part[n++] = find3(p, family, rp_text_at(&r, i, "cohort"), what);
        }
        part[0] = find3(p, auc, stratum, "pos");
        if (part[0] < 0)
            part[0] = find3(p, auc, "all:all", "pos");
        rp_ledger_sum(p, part, n);
    }
    rp_rows_release(&r);
}

void rp_ledger_create(rp_page *p) {
    rp_rows center;
    if (p->st != RAD_OK || !p->o->is_public)
        return;
    p->ledger = rad_calloc(1, sizeof *p->ledger);
    if (!p->ledger) {
        rp_fail(p, RAD_E_NOMEM, "out of memory for the counts of a public report");
        return;
    }
    rp_query(p,
             sqlite3_mprintf("SELECT c.center, rp.cohort, count(*) AS n FROM run_patient rp JOIN center c ON c.center_id = rp.center_id "
                             "WHERE rp.run_id = %lld GROUP BY c.center, rp.cohort ORDER BY c.center",
                             (long long)p->run),
             &center);
    if (center.n >= PARTS)
        rp_fail(p, RAD_E_LIMIT, "%lld centers: a public report takes at most %d", (long long)center.n, PARTS - 1);
    add_population(p, &center);
    add_denominators(p, &center);
    add_calls(p, &center, false);
    add_calls(p, &center, true);
    add_flow(p);
    add_exclusions(p);
    if (!p->positive)
        add_matrices(p);
    rp_rows_release(&center);
    rp_ledger_solve(p);
}

/* ---------------------------------------------------------------- taking out */

static bool any_hidden(const rp_page *p, const char *family, const char *stratum, const char *const *what, int n) {
    char key[KEY];
    for (int i = 0; i < n; i++)
        if (rp_is_hidden(p, rp_key(key, sizeof key, family, stratum, what[i])))
            return true;
    return false;
}

/* Both classes must be there in numbers of at least k: an AUC of one case is its score's rank. */
static bool auc_is_hidden(const rp_page *p, const char *model, const char *unit, const char *class_name, const char *stratum) {
    static const char *const WHAT[] = {"n", "pos", "neg"};
    char family[KEY], key[KEY];
    (void)snprintf(family, sizeof family, "auc|%.300s|%.20s|%.300s", model, unit, class_name);
    if (any_hidden(p, family, stratum, WHAT, 3))
        return true;
    for (int i = 1; i < 3; i++)
        if (p->ledger->item[rp_ledger_find(p->ledger, rp_key(key, sizeof key, family, stratum, WHAT[i]))].value < p->o->k)
            return true;
    return false;
}

/* Every class of the model in that stratum. */
static bool classes_are_hidden(const rp_page *p, const char *model, const char *unit, const char *stratum) {
    char prefix[KEY], suffix[400];
    const int n = snprintf(prefix, sizeof prefix, "auc|%.300s|%.20s|", model, unit),
              m = snprintf(suffix, sizeof suffix, "|%s|pos", stratum);
    for (int64_t i = 0; i < p->ledger->n; i++) {
        const char *key = p->ledger->item[i].key;
        const size_t length = strlen(key);
        if (strncmp(key, prefix, (size_t)n) == 0 && length > (size_t)m && strcmp(key + length - (size_t)m, suffix) == 0 &&
            (p->ledger->item[i].hidden || p->ledger->item[i].value < p->o->k))
            return true;
    }
    return false;
}

static bool row_is_hidden(const rp_page *p, const rp_rows *r, int64_t i) {
    static const char *const CALL[] = {"tp", "fn", "tn", "fp"};
    const char *model = rp_text_at(r, i, "model"), *unit = rp_text_at(r, i, "unit"), *class_name = rp_text_at(r, i, "class"),
               *point = rp_text_at(r, i, "point"), *versus = rp_text_at(r, i, "versus"), *name = rp_text_at(r, i, "name");
    char family[KEY], stratum[300];
    stratum_of(r, i, stratum);
    if (strcmp(rp_text_at(r, i, "stratum_kind"), "contrast") == 0) {
        char other[300] = "cohort:external";
        if (versus[0])
            (void)snprintf(other, sizeof other, "center:%.250s", versus);
        if (strncmp(name, "auc_centers", 11) == 0) /* pooled over all centers: no center can be told from it unless it is one of few */
            return auc_is_hidden(p, model, unit, class_name, "all:all") && auc_is_hidden(p, model, unit, class_name, "cohort:internal");
        return auc_is_hidden(p, model, unit, class_name, "cohort:internal") || auc_is_hidden(p, model, unit, class_name, other);
    }
    if (!class_name[0])
        return classes_are_hidden(p, model, unit, stratum);
    if (auc_is_hidden(p, model, unit, class_name, stratum))
        return true;
    bool hidden = false;
    if (point[0]) {
        (void)snprintf(family, sizeof family, "point|%.250s|%.20s|%.250s|%.250s", model, unit, class_name, point);
        hidden = any_hidden(p, family, stratum, CALL, 4);
    }
    if (versus[0] && (strncmp(name, "reader_", 7) == 0 || strstr(name, "_vs_reader") != NULL)) {
        (void)snprintf(family, sizeof family, "reader|%.250s|%.20s|%.250s|%.250s", model, unit, class_name, versus);
        hidden |= any_hidden(p, family, stratum, CALL, 4);
    }
    return hidden;
}

void rp_protect_statistics(rp_page *p, rp_rows *r) {
    static const char *const NUMBER[] = {"n",
                                         "n_pos",
                                         "n_neg",
                                         "n_cluster",
                                         "tn",
                                         "est",
                                         "lower",
                                         "upper",
                                         "p",
                                         "p_adjusted",
                                         "sensitivity",
                                         "specificity",
                                         "sensitivity_lower",
                                         "sensitivity_upper",
                                         "k_sensitivity",
                                         "k_specificity",
                                         "k_accuracy",
                                         "k_ppv",
                                         "k_npv",
                                         "n_sensitivity",
                                         "of_reader",
                                         "exact_p",
                                         "n_specificity",
                                         "specificity_lower",
                                         "specificity_upper",
                                         "n_accuracy",
                                         "accuracy",
                                         "accuracy_lower",
                                         "accuracy_upper",
                                         "n_ppv",
                                         "ppv",
                                         "ppv_lower",
                                         "ppv_upper",
                                         "n_npv",
                                         "npv",
                                         "npv_lower",
                                         "npv_upper"};
    if (p->st != RAD_OK || !p->o->is_public)
        return;
    for (int64_t i = 0; i < r->n; i++) {
        const bool contrast = strcmp(rp_text_at(r, i, "stratum_kind"), "contrast") == 0;
        const bool hidden = row_is_hidden(p, r, i);
        rp_hide(r, i, "n_cluster");
        for (size_t k = 0; k < sizeof NUMBER / sizeof *NUMBER; k++)
            if (hidden || (contrast && k < 4))
                rp_hide(r, i, NUMBER[k]);
    }
}

static bool apart(double a, double b, int k) {
    return a == b || fabs(a - b) >= k;
}

void rp_protect_curve(rp_page *p, rp_rows *r) {
    if (p->st != RAD_OK || !p->o->is_public)
        return;
    int64_t out = 0;
    for (int64_t i = 0, end; i < r->n; i = end) {
        end = rp_group_end(r, i, "line");
        const double k = p->o->k, tp_all = rp_num(r, end - 1, "tp") + rp_num(r, end - 1, "fn"),
                     fp_all = rp_num(r, end - 1, "fp") + rp_num(r, end - 1, "tn");
        double tp = 0, fp = 0;
        if (!(tp_all >= k) || !(fp_all >= k)) /* too few cases of a class: no curve */
            continue;
        for (int64_t j = i; j < end; j++) {
            const double a = rp_num(r, j, "tp"), b = rp_num(r, j, "fp");
            const bool ends = j == end - 1 || (a == 0 && b == 0);
            if (!ends && (!apart(a, tp, p->o->k) || !apart(b, fp, p->o->k) || !apart(a, tp_all, p->o->k) || !apart(b, fp_all, p->o->k)))
                continue;
            tp = a;
            fp = b;
            for (int c = 0; c < r->n_col; c++) { /* rows that stay move up; what they replace is freed with the rest */
                const rp_cell t = r->cell[out * r->n_col + c];
                r->cell[out * r->n_col + c] = r->cell[j * r->n_col + c];
                r->cell[j * r->n_col + c] = t;
            }
            static const char *const CELL[] = {"threshold", "tp", "fp", "fn", "tn"};
            for (int c = 0; c < 5; c++)
                rp_hide(r, out, CELL[c]);
            out++;
        }
    }
    for (int64_t i = out * r->n_col; i < r->n * r->n_col; i++)
        free(r->cell[i].text);
    r->n = out;
}

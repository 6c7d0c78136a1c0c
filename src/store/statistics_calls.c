/* statistics_calls.c: jobs of more than two classes: readers who call a class beside the class of the model's highest score (of several the
 * first), on the units that both have judged and whose truth is known. Share of right calls, of each class found and of the others not
 * called it, each reader's and the model's minus his; agreement of model and reader and of two readers, weighted where the classes are
 * grades. */
#include "statistics_reading.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char SQL_GRADED[] = "SELECT count(*) FROM run_class WHERE run_id = ?1 AND grade IS NOT NULL";

typedef struct calls { /* what the parts share */
    const rad_reading_set *s;
    int *truth, *call;  /* [n_obs]; -1: not known */
    double *a, *b;      /* [n_obs] of a stratum */
    char (*number)[8];  /* classes by number: their names may hold commas */
    const char **level; /* the same */
    char *list;         /* "0,1,2" */
    bool graded;
} calls;

/* Truth and call from the scores of the classes. */
static rad_status read_model(rad_computation *c, calls *k, rad_error *err) {
    double *best = NULL;
    rad_status s = RAD_OK;
    for (c->class_index = 0; c->class_index < c->n_class && s == RAD_OK; c->class_index++) {
        s = rad_statistics_read(c, err);
        if (s == RAD_OK && !best) {
            const size_t n = (size_t)c->n_obs + 1;
            best = rad_calloc(n, sizeof *best);
            k->truth = rad_calloc(n, sizeof *k->truth);
            k->call = rad_calloc(n, sizeof *k->call);
            k->a = rad_calloc(n, sizeof *k->a);
            k->b = rad_calloc(n, sizeof *k->b);
            if (!best || !k->truth || !k->call || !k->a || !k->b)
                s = rad_statistics_no_memory(c, err);
        }
        for (int64_t i = 0; i < c->n_obs && s == RAD_OK; i++) {
            if (c->class_index == 0)
                k->truth[i] = k->call[i] = -1;
            if (c->obs[i].label == 1)
                k->truth[i] = c->class_index;
            if (!isnan(c->obs[i].score) && (k->call[i] < 0 || c->obs[i].score > best[i])) {
                best[i] = c->obs[i].score;
                k->call[i] = c->class_index;
            }
        }
    }
    free(best);
    c->class_index = -1;
    return s;
}

static rad_status name_levels(const rad_computation *c, calls *k, rad_error *err) {
    const size_t n = (size_t)c->n_class;
    size_t at = 0;
    k->number = rad_calloc(n, sizeof *k->number);
    k->level = rad_calloc(n, sizeof *k->level);
    k->list = rad_calloc(n, sizeof *k->number);
    if (!k->number || !k->level || !k->list)
        return rad_statistics_no_memory(c, err);
    for (size_t i = 0; i < n; i++) {
        snprintf(k->number[i], sizeof k->number[i], "%d", (int)i);
        k->level[i] = k->number[i];
        at += (size_t)snprintf(k->list + at, n * sizeof *k->number - at, "%s%d", i ? "," : "", (int)i);
    }
    return RAD_OK;
}

/* ---------------------------------------------------------------- rows */

/* Which units a row is about: their label is (1) or is not (0) class `cls`, or any (-1). */
typedef struct choice {
    const rad_stratum *g;
    int label, cls;
    const rad_reader_row *x, *y; /* y NULL: the model beside x */
} choice;

static char *calls_query(const rad_computation *c, const choice *w) {
    char *place = rad_statistics_place(w->g, "r.center", "r.cohort"), *query = NULL, *of = NULL, *who = NULL;
    of = w->label < 0 ? sqlite3_mprintf("r.label_class IS NOT NULL")
                      : sqlite3_mprintf("r.label_class %s %Q", w->label ? "=" : "<>", c->class_name[w->cls]);
    who = w->y ? sqlite3_mprintf(
                     " AND EXISTS (SELECT 1 FROM v_reading q WHERE q.run_id = r.run_id AND q.unit = r.unit AND q.patient = r.patient"
                     " AND q.lesion IS r.lesion AND q.reader = %Q AND q.repeat = 0 AND q.call IN (SELECT k.class FROM run_class k"
                     " WHERE k.run_id = r.run_id AND k.rule IS NULL))",
                     w->y->name)
               : sqlite3_mprintf("");
    if (place && of && who)
        query = sqlite3_mprintf(
            "SELECT r.cohort, r.patient, r.lesion, r.label_class, r.call FROM v_reading r WHERE r.run_id = %lld AND r.unit = '%s' AND"
            " r.reader = %Q AND r.repeat = 0 AND r.call IN (SELECT k.class FROM run_class k WHERE k.run_id = r.run_id AND k.rule IS NULL)"
            " AND %s%s%s AND EXISTS (SELECT 1 FROM v_case_score s WHERE s.run_id = r.run_id AND s.model = %Q AND s.unit = r.unit AND"
            " s.patient = r.patient AND s.lesion IS r.lesion AND s.score IS NOT NULL)",
            (long long)c->run, rad_unit_name(c->unit), w->x->name, of, place, who, c->model[c->at_model].name);
    sqlite3_free(place);
    sqlite3_free(of);
    sqlite3_free(who);
    return query;
}

static rad_status put(rad_computation *c, const choice *w, rad_row_text *t, const rad_measure *v, rad_error *err) {
    char *query = calls_query(c, w);
    if (!query)
        return rad_statistics_no_memory(c, err);
    t->query = query;
    c->class_index = w->cls;
    rad_status s = rad_statistics_put(c, w->g, t, v, err);
    c->class_index = -1;
    sqlite3_free(query);
    return s;
}

/* Calls of the chosen units into k->a (the model's, or x's) and k->b (x's, or y's); classes, or with `right` whether they are as the truth
 * wants: the class itself, or for a choice of one class whether that class is called. Returns their number. */
static int64_t gather(const rad_computation *c, const calls *k, const choice *w, bool right, int64_t *ret_missing, int64_t *ret_cluster) {
    const int *first = w->y ? w->x->call : k->call, *second = w->y ? w->y->call : w->x->call;
    int64_t n = 0, last = -1;
    *ret_missing = *ret_cluster = 0;
    for (int64_t i = 0; i < c->n_obs; i++) {
        if (!rad_statistics_holds(w->g, &c->obs[i]) || (w->label >= 0 && (k->truth[i] == w->cls) != (w->label == 1)))
            continue;
        if (k->truth[i] < 0 || k->call[i] < 0 || first[i] < 0 || second[i] < 0) {
            ++*ret_missing;
            continue;
        }
        *ret_cluster += c->obs[i].patient != last;
        last = c->obs[i].patient;
        const int want = w->label < 0 ? k->truth[i] : w->cls;
        const bool wanted = w->label != 0;
        k->a[n] = right ? (first[i] == want) == wanted : first[i];
        k->b[n++] = right ? (second[i] == want) == wanted : second[i];
    }
    return n;
}

static const struct {
    const char *reader, *against;
    int label;
} SHARE[] = {
    {"reader_multiclass_accuracy", "multiclass_accuracy_vs_reader", -1},
    {"reader_recall", "recall_vs_reader", 1},
    {"reader_class_specificity", "class_specificity_vs_reader", 0},
};

static rad_status put_share(rad_computation *c, const calls *k, const choice *w, size_t row, rad_error *err) {
    const rad_arg level = {RAD_STORE_LEVEL, NULL};
    int64_t missing, n_cluster;
    rad_doc *doc = NULL;
    rad_measure v;
    rad_status st;
    const int64_t n = gather(c, k, w, true, &missing, &n_cluster);
    if (n == 0)
        return RAD_OK;
    const char *dependent = n_cluster < n ? RAD_STATISTICS_INDEPENDENT : "";
    char method[200], name[64];
    RAD_TRY(rad_measure_proportion(k->b, n, &v, err));
    v.e.n_missing = missing;
    snprintf(method, sizeof method, "Wilson%s", dependent);
    rad_row_text t = {.name = SHARE[row].reader, .method = method, .versus = w->x->name, .n_cluster = n_cluster};
    RAD_TRY(put(c, w, &t, &v, err));
    const rad_column column[] = {{"model", k->a, NULL, 0}, {"reader", k->b, NULL, 0}};
    RAD_TRY(rad_measure_call("mcnemar_json", &(rad_frame){n, 2, column}, &level, 1, &doc, err));
    v = (rad_measure){.e = {.est = rad_doc_get(doc, "diff"),
                            .se = NAN,
                            .lower = rad_doc_get(doc, "newcombe10_lower"),
                            .upper = rad_doc_get(doc, "newcombe10_upper"),
                            .p = rad_doc_get(doc, "p_exact"),
                            .n = n,
                            .n_missing = missing}};
    for (int64_t i = 0; i < n; i++)
        v.e.n_pos += k->a[i] > 0;
    snprintf(method, sizeof method, "largest score, model minus reader, Newcombe 1998 method 10; exact McNemar test%s", dependent);
    t.name = SHARE[row].against;
    RAD_TRY(put(c, w, &t, &v, err));
    t.name = name;
    t.kind = RAD_ROW_BARE;
    v.e.est = v.e.p = rad_doc_get(doc, "p_midp");
    snprintf(name, sizeof name, "%s_midp", SHARE[row].against);
    snprintf(method, sizeof method, "largest score, mid-p McNemar test (Fagerland 2013)%s", dependent);
    RAD_TRY(put(c, w, &t, &v, err));
    v.e.p = NAN;
    v.e.est = rad_doc_get(doc, "smallest_p_exact");
    snprintf(name, sizeof name, "%s_smallest_p", SHARE[row].against);
    snprintf(method, sizeof method, "smallest exact p that this many discordant pairs can give");
    RAD_TRY(put(c, w, &t, &v, err));
    v.e.est = rad_doc_get(doc, "b");
    snprintf(name, sizeof name, "%s_n10", SHARE[row].against);
    snprintf(method, sizeof method, "units that the model has right and the reader wrong");
    RAD_TRY(put(c, w, &t, &v, err));
    v.e.est = rad_doc_get(doc, "c");
    snprintf(name, sizeof name, "%s_n01", SHARE[row].against);
    snprintf(method, sizeof method, "units that the model has wrong and the reader right");
    RAD_TRY(put(c, w, &t, &v, err));
out:
    rad_doc_destroy(&doc);
    return st;
}

static rad_status put_kappa(rad_computation *c, const calls *k, const choice *w, const char *versus, bool weighted, rad_error *err) {
    int64_t missing, n_cluster;
    char method[160];
    rad_measure v;
    const int64_t n = gather(c, k, w, false, &missing, &n_cluster);
    if (n == 0)
        return RAD_OK;
    rad_status s = rad_measure_kappa(k->a, k->b, n, k->level, c->n_class, weighted ? "quadratic" : "none", k->list, &v, err);
    if (s != RAD_OK)
        return s;
    v.e.n_missing = missing;
    snprintf(method, sizeof method, "%s of the calls%s%s", weighted ? "quadratic-weighted kappa" : "Cohen's kappa",
             w->y ? "" : ", the model's by largest score", n_cluster < n ? RAD_STATISTICS_INDEPENDENT : "");
    rad_row_text t = {.name = w->y       ? weighted ? "kappa_quadratic_between_readers" : "kappa_between_readers"
                              : weighted ? "kappa_quadratic_vs_reader"
                                         : "kappa_vs_reader",
                      .method = method,
                      .versus = versus,
                      .n_cluster = n_cluster};
    return put(c, w, &t, &v, err);
}

static rad_status put_stratum(rad_computation *c, const rad_stratum *g, void *payload, rad_error *err) {
    const calls *k = payload;
    rad_status s = RAD_OK;
    for (int r = 0; r < k->s->n_reader && s == RAD_OK; r++) {
        choice w = {.g = g, .label = -1, .cls = -1, .x = &k->s->reader[r]};
        s = put_share(c, k, &w, 0, err);
        for (int weighted = 0; weighted <= k->graded && s == RAD_OK; weighted++)
            s = put_kappa(c, k, &w, w.x->name, weighted, err);
        for (w.cls = 0; w.cls < c->n_class && s == RAD_OK; w.cls++)
            for (size_t row = 1; row < sizeof SHARE / sizeof *SHARE && s == RAD_OK; row++) {
                w.label = SHARE[row].label;
                s = put_share(c, k, &w, row, err);
            }
        for (int q = r + 1; q < k->s->n_reader && s == RAD_OK; q++) {
            const choice both = {.g = g, .label = -1, .cls = -1, .x = &k->s->reader[r], .y = &k->s->reader[q]};
            char *versus = rad_asprintf("%s and %s", both.x->name, both.y->name);
            if (!versus)
                return rad_statistics_no_memory(c, err);
            for (int weighted = 0; weighted <= k->graded && s == RAD_OK; weighted++)
                s = put_kappa(c, k, &both, versus, weighted, err);
            free(versus);
        }
    }
    return s;
}

rad_status rad_statistics_calls(rad_computation *c, rad_error *err) {
    rad_reading_set set = {0};
    calls k = {.s = &set};
    int64_t graded = 0;
    rad_status st;
    RAD_TRY(read_model(c, &k, err));
    RAD_TRY(rad_reading_set_read(c, &set, err));
    if (set.n_reader == 0)
        goto out;
    RAD_TRY(name_levels(c, &k, err));
    rad_query q = rad_query_start(c->st, SQL_GRADED);
    rad_bind_int(&q, c->run);
    RAD_TRY(rad_query_int(&q, &graded, err));
    k.graded = graded > 0;
    RAD_TRY(rad_statistics_each_stratum(c, put_stratum, &k, err));
out:
    c->class_index = -1;
    rad_reading_set_release(&set);
    free(k.truth);
    free(k.call);
    free(k.a);
    free(k.b);
    free(k.number);
    free(k.level);
    free(k.list);
    return st;
}

/* multiclass: one probability per class. Classes are named in the order of their score columns. */
#include "agreement.h"
#include "curve.h"
#include "impl.h"
#include "placement.h"
#include "proportion.h"

typedef struct classes {
    int64_t k, n, n_missing;
    char *names; /* NUL-separated copy of the list */
    const char *name[RAD_SCALE_MAX];
    int64_t *truth, *pred;
    double *p;     /* k x n */
    double *count; /* cases by class */
    double *table; /* k x k, rows = truth, columns = predicted */
} classes;

static void release(classes *c) {
    free(c->names);
    free(c->truth);
    free(c->pred);
    free(c->p);
    free(c->count);
    free(c->table);
}

/* Columns: truth, then k scores; cases complete in all. */
static rad_status init(const rad_frame *f, const char *list, classes *c, rad_error *err) {
    const int64_t k = f->n_column - 1;
    rad_scale s = {0};
    rad_status st;
    RAD_TRY(rad_scale_init(f, 0, 1, list, &s, err));
    if (s.n_level != k || k < 2)
        RAD_TRY(rad_error_set(err, RAD_E_USAGE,
                              "classes '%s' name %lld classes, but there are %lld score columns (at least 2, one per class)", list,
                              (long long)s.n_level, (long long)k));
    c->k = k;
    c->names = rad_strdup(list);
    c->truth = rad_new_ints(f->n);
    c->pred = rad_new_ints(f->n);
    c->p = rad_new_doubles(k * f->n);
    c->count = rad_new_doubles(k);
    c->table = rad_new_doubles(k * k);
    if (!c->names || !c->truth || !c->pred || !c->p || !c->count || !c->table) {
        st = rad_no_memory(err);
        goto out;
    }
    char *at = c->names;
    for (int64_t j = 0; j < k; j++) {
        const size_t len = strcspn(at, ",");
        at[len] = 0;
        c->name[j] = at;
        at += len + 1;
    }
    int64_t n = 0;
    for (int64_t i = 0; i < f->n; i++) { /* counted first: p is laid out by column of n */
        bool ok = s.code[i] >= 0;
        for (int64_t j = 0; j < k && ok; j++)
            ok = !isnan(f->column[1 + j].value[i]);
        if (ok)
            c->pred[n++] = i;
    }
    c->n = n;
    c->n_missing = f->n - n;
    for (int64_t i = 0; i < n; i++) {
        const int64_t row = c->pred[i];
        int64_t best = 0;
        c->truth[i] = s.code[row];
        for (int64_t j = 0; j < k; j++) {
            c->p[j * n + i] = f->column[1 + j].value[row];
            if (c->p[j * n + i] > c->p[best * n + i]) /* ties go to the first class */
                best = j;
        }
        c->pred[i] = best;
        c->count[c->truth[i]]++;
        c->table[c->truth[i] * k + best]++;
    }
out:
    rad_scale_release(&s);
    return st;
}

static void put_list(rad_doc *doc, const char *name, const double *x, int64_t n) {
    rad_doc_open_list(doc, name);
    for (int64_t i = 0; i < n; i++)
        rad_doc_num(doc, NULL, x[i]);
    rad_doc_close(doc);
}

static rad_status put_table(rad_doc *doc, const double *t, int64_t k, double level, rad_error *err) {
    double all = 0, right = 0, row[RAD_SCALE_MAX] = {0}, col[RAD_SCALE_MAX] = {0}, recall[RAD_SCALE_MAX], precision[RAD_SCALE_MAX],
           f1[RAD_SCALE_MAX];
    rad_doc_open_list(doc, "matrix");
    for (int64_t i = 0; i < k; i++) {
        put_list(doc, NULL, t + i * k, k);
        for (int64_t j = 0; j < k; j++) {
            row[i] += t[i * k + j];
            col[j] += t[i * k + j];
            all += t[i * k + j];
        }
        right += t[i * k + i];
    }
    rad_doc_close(doc);
    double balanced = 0, present = 0, macro = 0, weighted = 0, pt = 0, pp = 0, tt = 0;
    for (int64_t i = 0; i < k; i++) {
        recall[i] = row[i] > 0 ? t[i * k + i] / row[i] : NAN;
        precision[i] = col[i] > 0 ? t[i * k + i] / col[i] : NAN;
        f1[i] = row[i] + col[i] > 0 ? 2 * t[i * k + i] / (row[i] + col[i]) : NAN;
        if (row[i] > 0) {
            balanced += recall[i];
            present++;
        }
        macro += f1[i];
        weighted += row[i] > 0 ? f1[i] * row[i] : 0;
        pt += row[i] * col[i];
        pp += col[i] * col[i];
        tt += row[i] * row[i];
    }
    double lo, hi;
    rad_doc_num(doc, "accuracy", all > 0 ? right / all : NAN);
    rad_proportion_interval(RAD_WILSON, right, all, level, &lo, &hi);
    rad_doc_num(doc, "wilson_lower", lo);
    rad_doc_num(doc, "wilson_upper", hi);
    rad_proportion_interval(RAD_CLOPPER_PEARSON, right, all, level, &lo, &hi);
    rad_doc_num(doc, "cp_lower", lo);
    rad_doc_num(doc, "cp_upper", hi);
    rad_doc_num(doc, "balanced_accuracy", balanced / present);
    put_list(doc, "recall_per_class", recall, k);
    rad_doc_open_list(doc, "recall_intervals");
    for (int64_t i = 0; i < k; i++) {
        rad_proportion_interval(RAD_WILSON, t[i * k + i], row[i], level, &lo, &hi);
        rad_doc_open_list(doc, NULL);
        rad_doc_num(doc, NULL, lo);
        rad_doc_num(doc, NULL, hi);
        rad_doc_close(doc);
    }
    rad_doc_close(doc);
    put_list(doc, "precision_per_class", precision, k);
    put_list(doc, "f1_per_class", f1, k);
    rad_doc_num(doc, "f1_macro", macro / (double)k);
    rad_doc_num(doc, "f1_weighted", all > 0 ? weighted / all : NAN);
    rad_doc_num(doc, "f1_micro", all > 0 ? right / all : NAN);
    const double root = sqrt(all * all - pp) * sqrt(all * all - tt);
    rad_doc_num(doc, "mcc", root > 0 ? (right * all - pt) / root : NAN);
    static const char *const names[] = {"kappa", "kappa_linear", "kappa_quadratic"};
    for (int w = 0; w < 3; w++) {
        rad_kappa kappa;
        const rad_status st = rad_kappa_of(t, k, (rad_weights)w, &kappa, err);
        if (st != RAD_OK)
            return st;
        rad_doc_num(doc, names[w], kappa.kappa);
    }
    return RAD_OK;
}

/* AUC of column `score` for class `pos` against `neg` (-1: all others). */
static rad_status class_auc(const classes *c, const double *score, int64_t pos, int64_t neg, double level, int8_t *label, rad_estimate *e,
                            rad_error *err) {
    for (int64_t i = 0; i < c->n; i++)
        label[i] = c->truth[i] == pos ? 1 : neg < 0 || c->truth[i] == neg ? 0 : -1;
    return rad_auc(label, score, c->n, level, e, err);
}

/* Standard errors of the macro and weighted mean from each case's share in all k AUCs (influence function; weights taken as fixed). */
static rad_status mean_errors(const classes *c, const double *w, double *ret_se, rad_error *err) {
    rad_status st = RAD_OK;
    double *share = rad_new_doubles(c->n), *label = rad_new_doubles(c->n), var = 0;
    if (!share || !label) {
        st = rad_no_memory(err);
        goto out;
    }
    for (int64_t j = 0; j < c->k; j++) {
        rad_placement p = {0};
        for (int64_t i = 0; i < c->n; i++)
            label[i] = c->truth[i] == j;
        const rad_column col[2] = {{.value = label}, {.value = c->p + j * c->n}};
        const rad_frame f = {.n = c->n, .n_column = 2, .column = col};
        RAD_TRY(rad_placement_init(&f, 1, 1, -1, &p, err));
        const double n1 = (double)p.n_pos, n0 = (double)p.n_neg;
        for (int64_t i = 0; i < c->n; i++)
            share[i] += w[j] * (sqrt(n1 / (n1 - 1)) * p.a[i] + sqrt(n0 / (n0 - 1)) * p.b[i]);
        rad_placement_release(&p);
    }
    for (int64_t i = 0; i < c->n; i++)
        var += share[i] * share[i];
    *ret_se = sqrt(var);
out:
    free(share);
    free(label);
    return st;
}

static rad_status put_pairs(const classes *c, int8_t *label, rad_doc *doc, rad_error *err) {
    double m = 0, weighted = 0, weights = 0, pairs = 0;
    rad_status st = RAD_OK;
    rad_doc_open(doc, "pairs");
    for (int64_t i = 0; i < c->k; i++)
        for (int64_t j = i + 1; j < c->k; j++) {
            rad_estimate a, b;
            char name[80];
            RAD_TRY(class_auc(c, c->p + i * c->n, i, j, 0.95, label, &a, err));
            RAD_TRY(class_auc(c, c->p + j * c->n, j, i, 0.95, label, &b, err));
            const double mean = (a.est + b.est) / 2, w = c->count[i] + c->count[j];
            snprintf(name, sizeof name, "%.36s_%.36s", c->name[i], c->name[j]);
            rad_doc_open(doc, name);
            rad_doc_num(doc, "a_ij", a.est);
            rad_doc_num(doc, "a_ji", b.est);
            rad_doc_num(doc, "a", mean);
            rad_doc_close(doc);
            m += mean;
            weighted += w * mean;
            weights += w;
            pairs++;
        }
    rad_doc_close(doc);
    rad_doc_num(doc, "hand_till", m / pairs);
    rad_doc_num(doc, "ovo_weighted", weighted / weights);
out:
    return st;
}

static rad_status put_micro(const classes *c, double level, rad_doc *doc, rad_error *err) {
    const int64_t n = c->k * c->n;
    rad_estimate e;
    int8_t *label = rad_malloc((size_t)n + 1);
    if (!label)
        return rad_no_memory(err);
    for (int64_t j = 0; j < c->k; j++)
        for (int64_t i = 0; i < c->n; i++)
            label[j * c->n + i] = c->truth[i] == j;
    const rad_status st = rad_auc(label, c->p, n, level, &e, err);
    if (st == RAD_OK)
        rad_doc_num(doc, "micro", e.est); /* n x k dependent pairs: an interval would be false */
    free(label);
    return st;
}

static void put_scores(const classes *c, rad_doc *doc) {
    double brier = 0, loss = 0;
    for (int64_t i = 0; i < c->n; i++) {
        double sum = 0, mine = 0;
        for (int64_t j = 0; j < c->k; j++) {
            const double p = c->p[j * c->n + i], y = c->truth[i] == j;
            const double clipped = fmin(1 - 1e-15, fmax(1e-15, p));
            sum += clipped;
            mine += y * clipped;
            brier += (p - y) * (p - y);
        }
        loss -= log(mine / sum);
    }
    rad_doc_num(doc, "log_loss", c->n ? loss / (double)c->n : NAN);
    rad_doc_num(doc, "brier_sum", c->n ? brier / (double)c->n : NAN);
}

static rad_status multiclass_doc(const rad_frame *f, const rad_arg *arg, int n_arg, rad_doc *doc, rad_error *err) {
    classes c = {0};
    double level, *w = NULL;
    rad_estimate *e = NULL;
    int8_t *label = rad_malloc((size_t)f->n + 1);
    rad_status st;
    if (!label)
        return rad_no_memory(err);
    RAD_TRY(rad_arg_fraction(arg, n_arg, 1, "level", 0.95, &level, err));
    RAD_TRY(init(f, rad_arg_text(arg, n_arg, 0, ""), &c, err));
    e = rad_calloc((size_t)c.k, sizeof *e);
    w = rad_new_doubles(c.k);
    if (!e || !w) {
        st = rad_no_memory(err);
        goto out;
    }
    rad_doc_int(doc, "n", c.n);
    rad_doc_int(doc, "n_missing", c.n_missing);
    double macro = 0, weighted = 0;
    const double z = rad_z_level(1 - (1 - level) / (double)c.k); /* Bonferroni: k intervals hold together */
    rad_doc_open(doc, "class");
    for (int64_t j = 0; j < c.k; j++) {
        RAD_TRY(class_auc(&c, c.p + j * c.n, j, -1, level, label, &e[j], err));
        rad_doc_open(doc, c.name[j]);
        rad_doc_int(doc, "n_pos", e[j].n_pos);
        rad_doc_num(doc, "auc", e[j].est);
        rad_doc_num(doc, "se", e[j].se);
        rad_doc_num(doc, "lower", e[j].lower);
        rad_doc_num(doc, "upper", e[j].upper);
        rad_doc_num(doc, "simultaneous_lower", rad_at_least(e[j].est - z * e[j].se, 0));
        rad_doc_num(doc, "simultaneous_upper", rad_at_most(e[j].est + z * e[j].se, 1));
        rad_doc_close(doc);
        if (e[j].reason)
            rad_doc_reason(doc, "class '%s': %s", c.name[j], e[j].reason);
        macro += e[j].est / (double)c.k;
        weighted += e[j].est * c.count[j] / (double)c.n;
    }
    rad_doc_close(doc);
    rad_doc_open_list(doc, "auc_per_class");
    for (int64_t j = 0; j < c.k; j++)
        rad_doc_num(doc, NULL, e[j].est);
    rad_doc_close(doc);
    double se[2] = {NAN, NAN};
    const double q = rad_z_level(level);
    if (!isnan(macro)) {
        for (int64_t j = 0; j < c.k; j++)
            w[j] = 1 / (double)c.k;
        RAD_TRY(mean_errors(&c, w, &se[0], err));
        for (int64_t j = 0; j < c.k; j++)
            w[j] = c.count[j] / (double)c.n;
        RAD_TRY(mean_errors(&c, w, &se[1], err));
    }
    rad_doc_num(doc, "macro", macro);
    rad_doc_num(doc, "macro_se", se[0]);
    rad_doc_num(doc, "macro_lower", rad_at_least(macro - q * se[0], 0));
    rad_doc_num(doc, "macro_upper", rad_at_most(macro + q * se[0], 1));
    rad_doc_num(doc, "weighted", weighted);
    rad_doc_num(doc, "weighted_se", se[1]);
    RAD_TRY(put_micro(&c, level, doc, err));
    RAD_TRY(put_pairs(&c, label, doc, err));
    rad_doc_open_list(doc, "average_precision_per_class");
    for (int64_t j = 0; j < c.k; j++) {
        rad_curve curve = {0};
        double ap = c.count[j] > 0 ? 0 : NAN;
        for (int64_t i = 0; i < c.n; i++)
            label[i] = c.truth[i] == j;
        RAD_TRY(rad_curve_init(label, c.p + j * c.n, c.n, &curve, err));
        for (int64_t t = 1; t < curve.n_point && curve.n_pos; t++)
            ap += (double)(curve.tp[t] - curve.tp[t - 1]) / (double)curve.n_pos * (double)curve.tp[t] / (double)(curve.tp[t] + curve.fp[t]);
        rad_curve_release(&curve);
        rad_doc_num(doc, NULL, ap);
    }
    rad_doc_close(doc);
    RAD_TRY(put_table(doc, c.table, c.k, level, err));
    put_scores(&c, doc);
out:
    release(&c);
    free(e);
    free(w);
    free(label);
    return st;
}

static rad_status confusion_doc(const rad_frame *f, const rad_arg *arg, int n_arg, rad_doc *doc, rad_error *err) {
    double level, *t = NULL;
    rad_scale s = {0};
    rad_status st;
    RAD_TRY(rad_arg_fraction(arg, n_arg, 1, "level", 0.95, &level, err));
    RAD_TRY(rad_scale_init(f, 0, 2, rad_arg_text(arg, n_arg, 0, NULL), &s, err));
    t = rad_new_doubles(s.n_level * s.n_level);
    if (!t) {
        st = rad_no_memory(err);
        goto out;
    }
    int64_t n = 0;
    for (int64_t i = 0; i < f->n; i++)
        if (s.code[i] >= 0 && s.code[f->n + i] >= 0) {
            t[s.code[i] * s.n_level + s.code[f->n + i]]++;
            n++;
        }
    rad_doc_int(doc, "n", n);
    rad_doc_int(doc, "n_missing", f->n - n);
    rad_doc_open_list(doc, "classes");
    for (int64_t k = 0; k < s.n_level; k++)
        rad_doc_text(doc, NULL, s.level[k]);
    rad_doc_close(doc);
    if (n == 0)
        rad_doc_reason(doc, "no complete case");
    RAD_TRY(put_table(doc, t, s.n_level, level, err));
out:
    rad_scale_release(&s);
    free(t);
    return st;
}

/* Mean AUC of one score over all pairs of classes, the later class positive (pROC::multiclass.roc with a vector). */
static rad_status univariate_doc(const rad_frame *f, const rad_arg *arg, int n_arg, rad_doc *doc, rad_error *err) {
    rad_scale s = {0};
    rad_status st;
    int8_t *label = rad_malloc((size_t)f->n + 1);
    if (!label)
        return rad_no_memory(err);
    RAD_TRY(rad_scale_init(f, 0, 1, rad_arg_text(arg, n_arg, 0, NULL), &s, err));
    double sum = 0, pairs = 0;
    for (int64_t a = 0; a < s.n_level; a++)
        for (int64_t b = a + 1; b < s.n_level; b++) {
            rad_estimate e;
            for (int64_t i = 0; i < f->n; i++)
                label[i] = s.code[i] == b ? 1 : s.code[i] == a ? 0 : -1;
            RAD_TRY(rad_auc(label, f->column[1].value, f->n, 0.95, &e, err));
            sum += e.est;
            pairs++;
        }
    if (!(pairs > 0) || isnan(sum))
        rad_doc_reason(doc, "a class without a scored case");
    rad_doc_num(doc, "auc", pairs > 0 ? sum / pairs : NAN);
out:
    rad_scale_release(&s);
    free(label);
    return st;
}

#define MULTI(name, what, field)                                                                                                           \
    { name, "classes, level, truth, p1, p2, ...", what, field, "cn+", "tn", 5, 0, RAD_STAT_AGGREGATE, multiclass_doc }

static const rad_stat_function functions[] = {
    MULTI("multiclass_macro_auc", "unweighted mean of the one-vs-rest AUCs; NULL when a class is absent", "macro"),
    MULTI("multiclass_macro_lower", "lower limit of the macro AUC from per-case influence over all classes", "macro_lower"),
    MULTI("multiclass_macro_upper", "upper limit of the macro AUC", "macro_upper"),
    MULTI("multiclass_weighted_auc", "prevalence-weighted mean of the one-vs-rest AUCs", "weighted"),
    MULTI("multiclass_micro_auc", "AUC of the pooled one-hot table", "micro"),
    MULTI("multiclass_hand_till", "Hand & Till 2001: mean over pairs of (A(i|j) + A(j|i)) / 2", "hand_till"),
    MULTI("multiclass_json",
          "classes 'a,b,c' in the order of the score columns: one-vs-rest AUCs with DeLong and Bonferroni-simultaneous limits, "
          "macro, weighted, micro, Hand-Till pairs, average precision, confusion matrix of the largest probability (first "
          "class wins ties), F1, MCC, kappas, log loss, Brier score",
          NULL),
    {"confusion_json", "truth, predicted[, classes[, level = 0.95]]",
     "confusion matrix, rows = truth, with accuracy limits (Wilson, Clopper-Pearson) and per-class recall limits", NULL, "cc", "tn", 2,
     RAD_STAT_ORDER_FREE, RAD_STAT_AGGREGATE, confusion_doc},
    {"multiclass_univariate", "truth, score[, classes]", "mean AUC of one score over all pairs of classes, the later class positive", "auc",
     "cn", "t", 2, RAD_STAT_ORDER_FREE, RAD_STAT_AGGREGATE, univariate_doc},
    {"multiclass_univariate_json", "truth, score[, classes]", "the same as JSON", NULL, "cn", "t", 2, RAD_STAT_ORDER_FREE,
     RAD_STAT_AGGREGATE, univariate_doc},
};
RAD_STAT_TOPIC(rad_topic_multiclass, functions);

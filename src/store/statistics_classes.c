/* statistics_classes.c: jobs of more than two classes: means over classes and the confusion matrix of the largest score. */
#include "statistics.h"

#include <math.h>
#include <stdlib.h>

typedef struct class_table {
    double *score;      /* n_class x n_obs */
    int8_t *truth;      /* [n_obs]; -1 = unknown */
    double *column;     /* (n_class + 1) x n_obs of the stratum */
    rad_column *frame;  /* truth, scores */
    char (*number)[8];  /* classes by number: their names may hold commas */
    const char **level; /* the same, sorted by number */
    char *list;         /* "0,1,2" */
} class_table;

static void release(class_table *t) {
    free(t->score);
    free(t->truth);
    free(t->column);
    free(t->frame);
    free(t->number);
    free(t->level);
    free(t->list);
}

static rad_status read_classes(rad_computation *c, class_table *t, rad_error *err) {
    rad_status st = RAD_OK;
    const size_t k = (size_t)c->n_class;
    int64_t n = 0;
    for (c->class_index = 0; c->class_index < c->n_class; c->class_index++) {
        RAD_TRY(rad_statistics_read(c, err));
        if (c->class_index == 0) {
            n = c->n_obs;
            const size_t rows = (size_t)n + 1;
            t->score = rad_calloc(k * rows, sizeof *t->score);
            t->truth = rad_calloc(rows, sizeof *t->truth);
            t->column = rad_calloc((k + 1) * rows, sizeof *t->column);
            t->frame = rad_calloc(k + 1, sizeof *t->frame);
            t->number = rad_calloc(k, sizeof *t->number);
            t->level = rad_calloc(k, sizeof *t->level);
            t->list = rad_calloc(k, sizeof *t->number);
            if (!t->score || !t->truth || !t->column || !t->frame || !t->number || !t->level || !t->list) {
                st = rad_statistics_no_memory(c, err);
                goto out;
            }
            for (int64_t i = 0; i < n; i++)
                t->truth[i] = -1;
        }
        for (int64_t i = 0; i < n; i++) {
            t->score[c->class_index * n + i] = c->obs[i].score;
            if (c->obs[i].label == 1)
                t->truth[i] = (int8_t)c->class_index;
        }
    }
    size_t at = 0;
    for (size_t j = 0; j < k; j++) {
        snprintf(t->number[j], sizeof t->number[j], "%d", (int)j);
        t->level[j] = t->number[j];
        at += (size_t)snprintf(t->list + at, k * sizeof *t->number - at, "%s%d", j ? "," : "", (int)j);
    }
out:
    return st;
}

static const struct {
    const char *name, *field, *se, *lower, *upper, *method;
    bool independent; /* its limits take units for independent */
} WHOLE[] = {
    {"auc_macro", "macro", "macro_se", "macro_lower", "macro_upper", "mean of one-vs-rest AUCs, limits by influence over all classes",
     true},
    {"auc_weighted", "weighted", NULL, NULL, NULL, "one-vs-rest AUCs weighted by the size of the class", false},
    {"auc_hand_till", "hand_till", NULL, NULL, NULL, "Hand and Till 2001", false},
    {"multiclass_accuracy", "accuracy", NULL, "wilson_lower", "wilson_upper", "largest score; Wilson", true},
    {"multiclass_balanced_accuracy", "balanced_accuracy", NULL, NULL, NULL, "largest score; mean recall of the classes", false},
    {"multiclass_f1_macro", "f1_macro", NULL, NULL, NULL, "largest score; mean of the classes", false},
    {"multiclass_mcc", "mcc", NULL, NULL, NULL, "largest score; Matthews correlation of k classes (Gorodkin 2004)", false},
    {"multiclass_kappa", "kappa", NULL, NULL, NULL, "largest score; Cohen's kappa", false},
};

/* Share of each class that the largest score finds. */
static rad_status put_recall(rad_computation *c, const rad_stratum *g, const rad_doc *doc, int64_t missing, const int64_t *n_cluster,
                             rad_error *err) {
    rad_status s = RAD_OK;
    for (int k = 0; k < c->n_class && s == RAD_OK; k++) {
        char path[48];
        double right = 0, n = 0;
        for (int j = 0; j < c->n_class; j++) {
            snprintf(path, sizeof path, "matrix[%d][%d]", k, j);
            const double x = rad_doc_get(doc, path);
            n += isnan(x) ? 0 : x;
            right += j == k && !isnan(x) ? x : 0;
        }
        rad_measure v = {.e = {.se = NAN, .p = NAN, .n = (int64_t)n, .n_pos = (int64_t)right, .n_missing = missing}};
        snprintf(path, sizeof path, "recall_per_class[%d]", k);
        v.e.est = rad_doc_get(doc, path);
        snprintf(path, sizeof path, "recall_intervals[%d][0]", k);
        v.e.lower = rad_doc_get(doc, path);
        snprintf(path, sizeof path, "recall_intervals[%d][1]", k);
        v.e.upper = rad_doc_get(doc, path);
        if (isnan(v.e.est))
            snprintf(v.reason, sizeof v.reason, "no unit of this class");
        c->class_index = k;
        const rad_row_text t = {.name = "recall",
                                .method =
                                    n_cluster[k] < v.e.n ? "largest score; Wilson" RAD_STATISTICS_INDEPENDENT : "largest score; Wilson",
                                .n_cluster = n_cluster[k],
                                .where = " AND label = 1"};
        s = rad_statistics_put(c, g, &t, &v, err);
    }
    return s;
}

static rad_status put_classes(rad_computation *c, const rad_stratum *g, void *payload, rad_error *err) {
    class_table *t = payload;
    rad_doc *doc = NULL;
    const int64_t all = c->n_obs;
    int64_t n = 0, missing = 0, n_cluster = 0, last = -1, in_class[RAD_MAX_CLASSES] = {0}, last_in[RAD_MAX_CLASSES];
    for (int j = 0; j < c->n_class; j++)
        last_in[j] = -1;
    for (int64_t i = 0; i < all; i++) {
        if (!rad_statistics_holds(g, &c->obs[i]))
            continue;
        const int truth = t->truth[i];
        bool complete = truth >= 0;
        for (int j = 0; j < c->n_class && complete; j++)
            complete = !isnan(t->score[j * all + i]);
        if (!complete) {
            missing++;
            continue;
        }
        n_cluster += c->obs[i].patient != last;
        last = c->obs[i].patient;
        in_class[truth] += c->obs[i].patient != last_in[truth];
        last_in[truth] = c->obs[i].patient;
        t->column[n] = truth;
        for (int j = 0; j < c->n_class; j++)
            t->column[(j + 1) * all + n] = t->score[j * all + i];
        n++;
    }
    if (n + missing == 0)
        return RAD_OK;
    t->frame[0] = (rad_column){"truth", t->column, t->level, c->n_class};
    for (int j = 0; j < c->n_class; j++)
        t->frame[1 + j] = (rad_column){"score", t->column + (j + 1) * all, NULL, 0};
    const rad_arg arg[] = {{NAN, t->list}, {RAD_STORE_LEVEL, NULL}};
    rad_status s = rad_measure_call("multiclass_json", &(rad_frame){n, c->n_class + 1, t->frame}, arg, 2, &doc, err);
    const char *why = s == RAD_OK ? rad_doc_get_reason(doc) : NULL;
    c->class_index = -1;
    for (size_t i = 0; i < sizeof WHOLE / sizeof *WHOLE && s == RAD_OK; i++) {
        rad_measure v = {.e = {.est = rad_doc_get(doc, WHOLE[i].field),
                               .se = WHOLE[i].se ? rad_doc_get(doc, WHOLE[i].se) : (double)NAN,
                               .lower = WHOLE[i].lower ? rad_doc_get(doc, WHOLE[i].lower) : (double)NAN,
                               .upper = WHOLE[i].upper ? rad_doc_get(doc, WHOLE[i].upper) : (double)NAN,
                               .p = NAN,
                               .n = n,
                               .n_missing = missing}};
        if (isnan(v.e.est))
            snprintf(v.reason, sizeof v.reason, "%s", n == 0 ? "no unit" : why ? why : "a class without a unit");
        char method[200];
        snprintf(method, sizeof method, "%s%s", WHOLE[i].method, WHOLE[i].independent && n_cluster < n ? RAD_STATISTICS_INDEPENDENT : "");
        const rad_row_text text = {.name = WHOLE[i].name,
                                   .method = method,
                                   .n_cluster = n_cluster,
                                   .where = " AND label IS NOT NULL",
                                   .kind = WHOLE[i].lower ? RAD_ROW_INTERVAL : RAD_ROW_BARE};
        s = rad_statistics_put(c, g, &text, &v, err);
    }
    if (s == RAD_OK)
        s = put_recall(c, g, doc, missing, in_class, err);
    rad_doc_destroy(&doc);
    return s;
}

rad_status rad_statistics_classes(rad_computation *c, rad_error *err) {
    class_table t = {0};
    rad_status s = read_classes(c, &t, err);
    if (s == RAD_OK)
        s = rad_statistics_each_stratum(c, put_classes, &t, err);
    release(&t);
    c->class_index = -1;
    return s;
}

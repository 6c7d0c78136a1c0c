/* cv: AUC of cross-validated scores. Pooling the scores of different fold models is another question than the mean of the folds' AUCs. */
#include "impl.h"

typedef struct rows {
    int64_t n, n_fold, n_id;
    int8_t *label;
    double *score;
    int64_t *fold, *id;
} rows;

static void release(rows *r) {
    free(r->label);
    free(r->score);
    free(r->fold);
    free(r->id);
}

static rad_status init(const rad_frame *f, rows *r, rad_error *err) {
    r->label = rad_malloc((size_t)f->n + 1);
    r->score = rad_new_doubles(f->n);
    r->fold = rad_new_ints(f->n);
    r->id = rad_new_ints(f->n);
    if (!r->label || !r->score || !r->fold || !r->id)
        return rad_no_memory(err);
    r->n_fold = f->column[2].n_level;
    r->n_id = f->n_column > 3 ? f->column[3].n_level : 0;
    for (int64_t i = 0; i < f->n; i++) {
        const double y = f->column[0].value[i], x = f->column[1].value[i], k = f->column[2].value[i];
        if ((y != 0 && y != 1) || isnan(x) || isnan(k) || (r->n_id && isnan(f->column[3].value[i])))
            continue;
        r->label[r->n] = (int8_t)y;
        r->score[r->n] = x;
        r->fold[r->n] = (int64_t)k;
        r->id[r->n++] = r->n_id ? (int64_t)f->column[3].value[i] : 0;
    }
    return RAD_OK;
}

/* Influence values of one fold: w1 (share of negatives below - AUC) for a positive, w0 (share of positives above - AUC) for a negative;
 * ties count `tie` (1/2, or 0 for the strict comparison of the R package cvAUC). */
static rad_status influence(const rows *r, int64_t fold, double auc, double w1, double w0, double tie, double *value, rad_error *err) {
    int64_t *who = rad_new_ints(r->n), *order = rad_new_ints(r->n), m = 0;
    double *x = rad_new_doubles(r->n), n1 = 0, n0 = 0, below0 = 0, below1 = 0;
    rad_status st = who && order && x ? RAD_OK : rad_no_memory(err);
    for (int64_t i = 0; i < r->n && st == RAD_OK; i++)
        if (r->fold[i] == fold) {
            n1 += r->label[i];
            n0 += 1 - r->label[i];
            x[m] = r->score[i];
            who[m++] = i;
        }
    if (st == RAD_OK)
        st = rad_order(x, m, order, err);
    for (int64_t i = 0, j; i < m && st == RAD_OK; i = j) {
        double t1 = 0, t0 = 0;
        for (j = i; j < m && x[order[j]] == x[order[i]]; j++)
            *(r->label[who[order[j]]] ? &t1 : &t0) += 1;
        for (int64_t k = i; k < j; k++) {
            const int64_t c = who[order[k]];
            value[c] = r->label[c] ? w1 * ((below0 + tie * t0) / n0 - auc) : w0 * ((n1 - below1 - t1 + tie * t1) / n1 - auc);
        }
        below0 += t0;
        below1 += t1;
    }
    free(who);
    free(order);
    free(x);
    return st;
}

/* sigma^2 = mean over folds of the mean squared influence of the independent units; with ids a unit is the rows of one id in the fold,
 * their influences added and divided by the mean number of rows per id (cvAUC::ci.pooled.cvAUC). */
static rad_status standard_error(const rows *r, const double *value, double *ret_se, rad_error *err) {
    /* slot of (fold, unit): rows themselves, or ids within folds */
    const int64_t units = r->n_id ? r->n_id : r->n;
    double *sum = rad_new_doubles(units), s = 0, folds = 0, ids = 0;
    int64_t *seen = rad_new_ints(units), *ever = rad_new_ints(units);
    if (!sum || !seen || !ever) {
        free(sum);
        free(seen);
        free(ever);
        return rad_no_memory(err);
    }
    for (int64_t i = 0; i < r->n; i++) {
        int64_t *e = &ever[r->n_id ? r->id[i] : i];
        ids += *e == 0;
        *e = 1;
    }
    const double per_id = (double)r->n / ids;
    for (int64_t k = 0; k < r->n_fold; k++) {
        double squares = 0, count = 0;
        for (int64_t i = 0; i < r->n; i++)
            if (r->fold[i] == k) {
                const int64_t u = r->n_id ? r->id[i] : i;
                sum[u] = (seen[u] == k + 1 ? sum[u] : 0) + value[i] / per_id;
                seen[u] = k + 1;
            }
        for (int64_t u = 0; u < units; u++)
            if (seen[u] == k + 1) {
                squares += sum[u] * sum[u];
                count++;
            }
        if (count > 0) {
            s += squares / count;
            folds++;
        }
    }
    *ret_se = sqrt(s / folds / ids);
    free(sum);
    free(seen);
    free(ever);
    return RAD_OK;
}

static rad_status cv_doc(const rad_frame *f, const rad_arg *arg, int n_arg, rad_doc *doc, rad_error *err) {
    double level, *value = NULL;
    rows r = {0};
    rad_estimate pooled;
    rad_status st;
    int8_t *part = rad_malloc((size_t)f->n + 1);
    double *aucs = rad_new_doubles(f->column[2].n_level);
    if (!part || !aucs) {
        st = rad_no_memory(err);
        goto out;
    }
    RAD_TRY(rad_arg_fraction(arg, n_arg, 0, "level", 0.95, &level, err));
    RAD_TRY(init(f, &r, err));
    RAD_TRY(rad_auc(r.label, r.score, r.n, level, &pooled, err));
    value = rad_new_doubles(r.n);
    if (!value) {
        st = rad_no_memory(err);
        goto out;
    }
    rad_doc_int(doc, "n", r.n);
    rad_doc_int(doc, "n_missing", f->n - r.n);
    rad_doc_num(doc, "pooled_auc", pooled.est);
    rad_doc_num(doc, "pooled_lower", pooled.lower);
    rad_doc_num(doc, "pooled_upper", pooled.upper);
    rad_doc_int(doc, "n_folds", r.n_fold);
    double sum = 0, pairs = 0, weighted = 0;
    int64_t defined = 0;
    rad_doc_open_list(doc, "folds");
    for (int64_t k = 0; k < r.n_fold; k++) {
        rad_estimate e;
        double id;
        for (int64_t i = 0; i < r.n; i++)
            part[i] = r.fold[i] == k ? r.label[i] : -1;
        RAD_TRY(rad_auc(part, r.score, r.n, level, &e, err));
        const double n1 = (double)e.n_pos, n0 = (double)(e.n - e.n_pos);
        rad_doc_open(doc, NULL);
        if (rad_parse_double(f->column[2].level[k], &id))
            rad_doc_num(doc, "fold", id);
        else
            rad_doc_text(doc, "fold", f->column[2].level[k]);
        rad_doc_num(doc, "n_pos", n1);
        rad_doc_num(doc, "n_neg", n0);
        rad_doc_num(doc, "auc", e.est);
        rad_doc_close(doc);
        if (isnan(e.est)) {
            rad_doc_reason(doc, "fold '%s': %s", f->column[2].level[k], e.reason);
            continue;
        }
        aucs[defined++] = e.est;
        sum += e.est;
        pairs += n1 * n0;
        weighted += n1 * n0 * e.est;
    }
    rad_doc_close(doc);
    double mean, var, se = NAN, strict = NAN;
    rad_mean_var(aucs, defined, &mean, &var);
    const bool all = defined == r.n_fold && defined > 0;
    if (all) {
        const double w1 = (double)r.n / (double)pooled.n_pos, w0 = (double)r.n / (double)(pooled.n - pooled.n_pos);
        for (int pass = 0; pass < 2; pass++) {
            int64_t at = 0;
            for (int64_t k = 0; k < r.n_fold; k++)
                RAD_TRY(influence(&r, k, aucs[at++], w1, w0, pass == 0 ? 0.5 : 0, value, err));
            RAD_TRY(standard_error(&r, value, pass == 0 ? &se : &strict, err));
        }
    }
    const double z = rad_z_level(level), cv = all ? mean : NAN;
    rad_doc_int(doc, "n_folds_defined", defined);
    rad_doc_num(doc, "fold_mean", cv);
    rad_doc_num(doc, "fold_mean_defined", mean);
    rad_doc_num(doc, "fold_sd", sqrt(var));
    rad_doc_num(doc, "fold_weighted_by_pairs", pairs > 0 ? weighted / pairs : NAN);
    rad_doc_num(doc, "cvauc", cv);
    rad_doc_num(doc, "se", se);
    rad_doc_num(doc, "se_strict", strict);
    rad_doc_num(doc, "lower", rad_at_least(cv - z * se, 0));
    rad_doc_num(doc, "upper", rad_at_most(cv + z * se, 1));
    /* one answer outside the other's interval: the fold models put their scores on different scales */
    const bool differ = all && (cv < pooled.lower || cv > pooled.upper || pooled.est < cv - z * se || pooled.est > cv + z * se);
    rad_doc_bool(doc, "disagree", differ);
    if (differ)
        rad_doc_reason(doc, "pooled and fold-averaged AUC disagree: the folds' scores are not on one scale");
out:
    release(&r);
    free(part);
    free(aucs);
    free(value);
    return st;
}

#define CV(name, what, field)                                                                                                              \
    { name, "label, score, fold[, level = 0.95]", what, field, "nnc", "n", 3, 0, RAD_STAT_AGGREGATE, cv_doc }

static const rad_stat_function functions[] = {
    CV("cv_auc", "mean of the AUCs within folds; NULL when a fold has one class", "cvauc"),
    CV("cv_auc_se", "influence-curve standard error (LeDell, Petersen & van der Laan 2015), ties 1/2", "se"),
    CV("cv_auc_lower", "lower influence-curve limit, truncated to [0,1]", "lower"),
    CV("cv_auc_upper", "upper influence-curve limit, truncated to [0,1]", "upper"),
    CV("cv_auc_json", "pooled and fold-averaged AUC with a warning where they disagree; se_strict counts ties as cvAUC does", NULL),
    {"cv_auc_clustered_json", "label, score, fold, cluster[, level = 0.95]", "the same, influences added within clusters", NULL, "nncc",
     "n", 4, 0, RAD_STAT_AGGREGATE, cv_doc},
};
RAD_STAT_TOPIC(rad_topic_cv, functions);

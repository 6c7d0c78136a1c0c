/* compare: differences of AUCs on the same cases (DeLong 1988) and on different cases, second opinion by bootstrap. */
#include "curve.h"
#include "impl.h"
#include "multiplicity.h"
#include "placement.h"

/* z and p of a difference; identical scores give z = 0, p = 1. */
static void difference(double d, double var, double level, rad_doc *doc) {
    const double se = sqrt(var), q = rad_z_level(level);
    double z = NAN, p = NAN;
    if (var > 0) {
        z = d / se;
        p = rad_p_two_sided(z);
    } else if (var == 0 && d == 0) {
        z = 0;
        p = 1;
    } else if (var == 0) {
        rad_doc_reason(doc, "the variance of the difference is 0: no test");
    }
    rad_doc_num(doc, "diff", d);
    rad_doc_num(doc, "se_diff", se);
    rad_doc_num(doc, "z", z);
    rad_doc_num(doc, "p", p);
    rad_doc_num(doc, "lower", d - q * se);
    rad_doc_num(doc, "upper", d + q * se);
}

static void put_pair(const rad_placement *p, double level, double margin, rad_doc *doc) {
    const bool some = rad_placement_explain(p, doc);
    const double var1 = some ? rad_placement_cov(p, 0, 0) : NAN, var2 = some ? rad_placement_cov(p, 1, 1) : NAN;
    const double d = p->auc[0] - p->auc[1], var = some ? rad_placement_var_difference(p, 0, 1) : NAN;
    rad_doc_int(doc, "n", p->n);
    rad_doc_int(doc, "n_pos", p->n_pos);
    rad_doc_int(doc, "n_neg", p->n_neg);
    rad_doc_int(doc, "n_missing", p->n_missing);
    rad_doc_int(doc, "n_clusters", p->n_cluster);
    rad_doc_num(doc, "auc1", p->auc[0]);
    rad_doc_num(doc, "auc2", p->auc[1]);
    rad_doc_num(doc, "se1", sqrt(var1));
    rad_doc_num(doc, "se2", sqrt(var2));
    rad_doc_num(doc, "cov", some ? rad_placement_cov(p, 0, 1) : NAN);
    difference(d, var, level, doc);
    rad_doc_num(doc, "level", level);
    if (!isnan(margin)) {
        const double se = sqrt(var), p_low = var > 0 ? gsl_cdf_ugaussian_Q((d + margin) / se) : NAN;
        const double p_high = var > 0 ? gsl_cdf_ugaussian_P((d - margin) / se) : NAN;
        rad_doc_num(doc, "margin", margin);
        rad_doc_num(doc, "noninferiority_z", var > 0 ? (d + margin) / se : NAN);
        rad_doc_num(doc, "noninferiority_p", p_low);
        rad_doc_num(doc, "equivalence_p", fmax(p_low, p_high));
        /* the interval that belongs to two one-sided tests at 1 - level each */
        const double q1 = gsl_cdf_ugaussian_Pinv(level);
        rad_doc_num(doc, "tost_lower", d - q1 * se);
        rad_doc_num(doc, "tost_upper", d + q1 * se);
    }
}

static rad_status paired_doc(const rad_frame *f, const rad_arg *arg, int n_arg, rad_doc *doc, rad_error *err) {
    double level;
    rad_placement p = {0};
    rad_status st = rad_arg_fraction(arg, n_arg, 0, "level", 0.95, &level, err);
    if (st == RAD_OK)
        st = rad_placement_init(f, 1, 2, f->n_column > 3 ? 3 : -1, &p, err);
    if (st != RAD_OK)
        return st;
    put_pair(&p, level, NAN, doc);
    rad_placement_release(&p);
    return RAD_OK;
}

static rad_status margin_doc(const rad_frame *f, const rad_arg *arg, int n_arg, rad_doc *doc, rad_error *err) {
    double level, margin;
    rad_placement p = {0};
    rad_status st = rad_arg_fraction(arg, n_arg, 0, "margin", NAN, &margin, err);
    if (st == RAD_OK)
        st = rad_arg_fraction(arg, n_arg, 1, "level", 0.95, &level, err);
    if (st == RAD_OK)
        st = rad_placement_init(f, 1, 2, f->n_column > 3 ? 3 : -1, &p, err);
    if (st != RAD_OK)
        return st;
    put_pair(&p, level, margin, doc);
    rad_placement_release(&p);
    return RAD_OK;
}

/* Overall test of k equal AUCs: successive contrasts L, chi-square (L t)' (L V L')^- (L t), df = rank. */
static rad_status overall(const rad_placement *p, const double *cov, rad_doc *doc, rad_error *err) {
    const int64_t m = p->k - 1;
    double *d = rad_new_doubles(m), *v = rad_new_doubles(m * m), chisq = NAN;
    int64_t rank = 0;
    rad_status st = RAD_OK;
    if (!d || !v) {
        st = rad_no_memory(err);
    } else {
        for (int64_t i = 0; i < m; i++) {
            d[i] = p->auc[i] - p->auc[i + 1];
            for (int64_t j = 0; j < m; j++)
                v[i * m + j] = cov[i * p->k + j] - cov[i * p->k + j + 1] - cov[(i + 1) * p->k + j] + cov[(i + 1) * p->k + j + 1];
        }
        if (!isnan(cov[0]))
            st = rad_quadratic_pinv(v, d, m, &chisq, &rank, err);
    }
    rad_doc_num(doc, "chisq", rank > 0 ? chisq : NAN);
    rad_doc_int(doc, "df", rank);
    rad_doc_num(doc, "p", rank > 0 ? rad_p_chisq(chisq, (double)rank) : NAN);
    if (st == RAD_OK && rank == 0)
        rad_doc_reason(doc, "no variance between the curves: no test");
    free(d);
    free(v);
    return st;
}

/* Constants first: adjustment, level. Columns: label, scores. */
static rad_status many_doc(const rad_frame *f, const rad_arg *arg, int n_arg, rad_doc *doc, rad_error *err) {
    double level;
    int method;
    rad_placement p = {0};
    const int64_t k = f->n_column - 1;
    double *cov = NULL, *pv = NULL, *adjusted = NULL;
    rad_status st;
    RAD_TRY(rad_arg_word(rad_arg_text(arg, n_arg, 0, "holm"), "adjustment", rad_adjust_methods, &method, err));
    RAD_TRY(rad_arg_fraction(arg, n_arg, 1, "level", 0.95, &level, err));
    RAD_TRY(rad_placement_init(f, 1, k, -1, &p, err));
    cov = rad_new_doubles(k * k);
    pv = rad_new_doubles(k * k);
    adjusted = rad_new_doubles(k * k);
    if (!cov || !pv || !adjusted) {
        st = rad_no_memory(err);
        goto out;
    }
    const bool some = rad_placement_explain(&p, doc);
    for (int64_t i = 0; i < k; i++)
        for (int64_t j = 0; j < k; j++)
            cov[i * k + j] = some ? rad_placement_cov(&p, i, j) : NAN;
    rad_doc_int(doc, "n", p.n);
    rad_doc_int(doc, "n_pos", p.n_pos);
    rad_doc_int(doc, "n_missing", p.n_missing);
    rad_doc_open_list(doc, "auc");
    for (int64_t i = 0; i < k; i++)
        rad_doc_num(doc, NULL, p.auc[i]);
    rad_doc_close(doc);
    rad_doc_open_list(doc, "cov");
    for (int64_t i = 0; i < k; i++) {
        rad_doc_open_list(doc, NULL);
        for (int64_t j = 0; j < k; j++)
            rad_doc_num(doc, NULL, cov[i * k + j]);
        rad_doc_close(doc);
    }
    rad_doc_close(doc);
    RAD_TRY(overall(&p, cov, doc, err));
    int64_t m = 0;
    for (int64_t i = 0; i < k; i++)
        for (int64_t j = i + 1; j < k; j++) {
            const double v = some ? rad_placement_var_difference(&p, i, j) : NAN, d = p.auc[i] - p.auc[j];
            pv[m++] = v > 0 ? rad_p_two_sided(d / sqrt(v)) : v == 0 && d == 0 ? 1 : NAN;
        }
    RAD_TRY(rad_p_adjust(pv, m, method, adjusted, err));
    rad_doc_text(doc, "adjust", rad_adjust_methods[method]);
    rad_doc_open_list(doc, "rows");
    m = 0;
    for (int64_t i = 0; i < k; i++)
        for (int64_t j = i + 1; j < k; j++) {
            rad_doc_open(doc, NULL);
            rad_doc_int(doc, "model1", i + 1);
            rad_doc_int(doc, "model2", j + 1);
            difference(p.auc[i] - p.auc[j], some ? rad_placement_var_difference(&p, i, j) : NAN, level, doc);
            rad_doc_num(doc, "p_adjusted", adjusted[m++]);
            rad_doc_close(doc);
        }
    rad_doc_close(doc);
out:
    rad_placement_release(&p);
    free(cov);
    free(pv);
    free(adjusted);
    return st;
}

static rad_status unpaired_doc(const rad_frame *f, const rad_arg *arg, int n_arg, rad_doc *doc, rad_error *err) {
    double level;
    rad_status st = rad_arg_fraction(arg, n_arg, 2, "level", 0.95, &level, err);
    if (st != RAD_OK)
        return st;
    const rad_column *g = &f->column[2];
    int8_t *label = rad_malloc((size_t)f->n + 1);
    if (!label)
        return rad_no_memory(err);
    rad_estimate e[2];
    for (int side = 0; side < 2; side++) {
        const char *name = rad_arg_text(arg, n_arg, side, NULL);
        int64_t want = -1;
        for (int64_t i = 0; name && i < g->n_level; i++)
            if (strcmp(g->level[i], name) == 0)
                want = i;
        rad_labels(&f->column[0], f->n, label);
        for (int64_t i = 0; i < f->n; i++)
            if (g->value[i] != (double)want)
                label[i] = -1;
        RAD_TRY(rad_auc(label, f->column[1].value, f->n, level, &e[side], err));
        if (e[side].reason)
            rad_doc_reason(doc, "group '%s': %s", name ? name : "NULL", e[side].reason);
    }
    rad_estimate d;
    RAD_TRY(rad_auc_difference(&e[0], &e[1], level, &d, err));
    const double v1 = e[0].se * e[0].se, v2 = e[1].se * e[1].se, q = rad_z_level(level);
    const double n1 = (double)e[0].n, n2 = (double)e[1].n, df = (v1 + v2) * (v1 + v2) / (v1 * v1 / (n1 - 1) + v2 * v2 / (n2 - 1));
    const double t = d.se > 0 ? d.est / d.se : NAN;
    const double qt = isnan(t) ? NAN : rad_q_t(0.5 + level / 2, df);
    rad_doc_num(doc, "auc1", e[0].est);
    rad_doc_num(doc, "auc2", e[1].est);
    rad_doc_num(doc, "se1", e[0].se);
    rad_doc_num(doc, "se2", e[1].se);
    rad_doc_int(doc, "n1", e[0].n);
    rad_doc_int(doc, "n2", e[1].n);
    rad_doc_num(doc, "diff", d.est);
    rad_doc_num(doc, "se_diff", d.se);
    rad_doc_num(doc, "t", t);
    rad_doc_num(doc, "df", isnan(t) ? NAN : df);
    rad_doc_num(doc, "p_t", rad_p_t_two_sided(t, df));
    rad_doc_num(doc, "lower_t", d.est - qt * d.se);
    rad_doc_num(doc, "upper_t", d.est + qt * d.se);
    rad_doc_num(doc, "z", t);
    rad_doc_num(doc, "p_z", rad_p_two_sided(t));
    rad_doc_num(doc, "lower_z", d.est - q * d.se);
    rad_doc_num(doc, "upper_z", d.est + q * d.se);
out:
    free(label);
    return st;
}

static rad_status clustered_doc(const rad_frame *f, const rad_arg *arg, int n_arg, rad_doc *doc, rad_error *err) {
    double level;
    rad_placement p = {0};
    rad_status st = rad_arg_fraction(arg, n_arg, 0, "level", 0.95, &level, err);
    if (st == RAD_OK)
        st = rad_placement_init(f, 1, 1, 2, &p, err);
    if (st != RAD_OK)
        return st;
    const bool some = rad_placement_explain(&p, doc);
    const double var = some ? rad_placement_cov(&p, 0, 0) : NAN, naive_var = some ? p.plain[0] : NAN;
    const double q = rad_z_level(level), se = sqrt(var);
    if (var == 0)
        rad_doc_reason(doc, "variance is 0: the interval is a point, not evidence of certainty");
    rad_doc_int(doc, "n", p.n);
    rad_doc_int(doc, "n_pos", p.n_pos);
    rad_doc_int(doc, "n_neg", p.n_neg);
    rad_doc_int(doc, "n_missing", p.n_missing);
    rad_doc_int(doc, "n_clusters", p.n_cluster);
    rad_doc_int(doc, "n_clusters_pos", p.n_cluster_pos);
    rad_doc_int(doc, "n_clusters_neg", p.n_cluster_neg);
    rad_doc_num(doc, "auc", p.auc[0]);
    rad_doc_num(doc, "var", var);
    rad_doc_num(doc, "se", se);
    rad_doc_num(doc, "lower", p.auc[0] - q * se);
    rad_doc_num(doc, "upper", p.auc[0] + q * se);
    const double lse = se / (p.auc[0] * (1 - p.auc[0]));
    const bool inner = var > 0 && p.auc[0] > 0 && p.auc[0] < 1;
    rad_doc_num(doc, "logit_lower", inner ? rad_expit(rad_logit(p.auc[0]) - q * lse) : NAN);
    rad_doc_num(doc, "logit_upper", inner ? rad_expit(rad_logit(p.auc[0]) + q * lse) : NAN);
    rad_doc_num(doc, "naive_se", sqrt(naive_var));
    rad_doc_num(doc, "naive_lower", rad_at_least(p.auc[0] - q * sqrt(naive_var), 0));
    rad_doc_num(doc, "naive_upper", rad_at_most(p.auc[0] + q * sqrt(naive_var), 1));
    rad_doc_num(doc, "design_effect", naive_var > 0 ? var / naive_var : NAN);
    rad_doc_num(doc, "level", level);
    rad_placement_release(&p);
    return RAD_OK;
}

#define LEVEL_ARG "[, level = 0.95]"
#define PAIR_FN(name, what, field)                                                                                                         \
    { name, "label, score1, score2" LEVEL_ARG, what, field, "nnn", "n", 3, 0, RAD_STAT_AGGREGATE, paired_doc }
#define PAIR_CLUSTER_FN(name, what, field)                                                                                                 \
    { name, "label, score1, score2, cluster" LEVEL_ARG, what, field, "nnnc", "n", 4, 0, RAD_STAT_AGGREGATE, paired_doc }
#define CLUSTER_FN(name, what, field)                                                                                                      \
    { name, "label, score, cluster" LEVEL_ARG, what, field, "nnc", "n", 3, RAD_STAT_ORDER_FREE, RAD_STAT_AGGREGATE, clustered_doc }

static const rad_stat_function functions[] = {
    PAIR_FN("auc_diff", "AUC1 - AUC2 on cases complete in both scores (paired DeLong 1988)", "diff"),
    PAIR_FN("auc_diff_se", "standard error of the paired difference (DeLong)", "se_diff"),
    PAIR_FN("auc_diff_lower", "lower limit of the paired difference, normal", "lower"),
    PAIR_FN("auc_diff_upper", "upper limit of the paired difference, normal", "upper"),
    PAIR_FN("auc_diff_p", "two-sided p of the paired DeLong test; identical scores give 1", "p"),
    PAIR_FN("auc_diff_reason", "why the difference or its test is NULL", "reason"),
    PAIR_FN("auc_diff_json", "paired DeLong test with both AUCs and their covariance", NULL),
    {"auc_margin_json", "label, score1, score2, margin[, level = 0.95]",
     "non-inferiority (H0: AUC1 - AUC2 <= -margin, one-sided z) and equivalence (two one-sided tests) on the paired DeLong difference",
     NULL, "nnn", "nn", 4, 0, RAD_STAT_AGGREGATE, margin_doc},
    {"auc_noninferiority_p", "label, score1, score2, margin[, level = 0.95]", "one-sided p of H0: AUC1 - AUC2 <= -margin",
     "noninferiority_p", "nnn", "nn", 4, 0, RAD_STAT_AGGREGATE, margin_doc},
    {"auc_equivalence_p", "label, score1, score2, margin[, level = 0.95]", "larger p of two one-sided tests within +- margin",
     "equivalence_p", "nnn", "nn", 4, 0, RAD_STAT_AGGREGATE, margin_doc},
    {"auc_compare_json", "adjust, level, label, score1, score2, ...",
     "k AUCs on the same cases: covariance matrix, overall chi-square (df = rank), all pairs with adjusted p (DeLong 1988 eq. 5)", NULL,
     "nn+", "tn", 5, 0, RAD_STAT_AGGREGATE, many_doc},
    {"auc_compare_p", "adjust, level, label, score1, score2, ...", "p of the overall test that k AUCs are equal", "p", "nn+", "tn", 5, 0,
     RAD_STAT_AGGREGATE, many_doc},
    {"auc_compare", "'SELECT label, score1, score2, ...'[, adjust = 'holm'[, level = 0.95]]", "all pairs of k models, adjusted p",
     "model1,model2,diff,se_diff,z,p,lower,upper,p_adjusted", "nn+", "tn", 1, 0, RAD_STAT_TABLE, many_doc},
    {"auc_unpaired_json", "label, score, group, group1, group2[, level = 0.95]",
     "AUC of two independent groups: z test with V1 + V2, and Student t with Satterthwaite df as pROC does", NULL, "nnc", "ttn", 5, 0,
     RAD_STAT_AGGREGATE, unpaired_doc},
    {"auc_unpaired_p", "label, score, group, group1, group2[, level = 0.95]", "two-sided p (z) of equal AUCs in two independent groups",
     "p_z", "nnc", "ttn", 5, 0, RAD_STAT_AGGREGATE, unpaired_doc},
    CLUSTER_FN("auc_clustered", "AUC of clustered cases (slices or lesions in patients); the estimate is the plain AUC", "auc"),
    CLUSTER_FN("auc_clustered_var", "variance by Obuchowski 1997; clusters are independent, cases in a cluster need not be", "var"),
    CLUSTER_FN("auc_clustered_se", "standard error by Obuchowski 1997", "se"),
    CLUSTER_FN("auc_clustered_lower", "lower limit by Obuchowski 1997, normal, not truncated", "lower"),
    CLUSTER_FN("auc_clustered_upper", "upper limit by Obuchowski 1997, normal, not truncated", "upper"),
    CLUSTER_FN("auc_clustered_reason", "why the clustered AUC or its variance is NULL", "reason"),
    CLUSTER_FN("auc_clustered_json",
               "clustered AUC beside the naive interval, with the design effect; logit limits cover better below some 200 clusters", NULL),
    PAIR_CLUSTER_FN("auc_diff_clustered", "AUC1 - AUC2 of clustered cases", "diff"),
    PAIR_CLUSTER_FN("auc_diff_clustered_p", "p of the paired difference, Obuchowski 1997", "p"),
    PAIR_CLUSTER_FN("auc_diff_clustered_json", "paired difference of clustered AUCs, Obuchowski 1997", NULL),
    {"auc_margin_clustered_json", "label, score1, score2, cluster, margin[, level = 0.95]",
     "non-inferiority and equivalence on the clustered paired difference", NULL, "nnnc", "nn", 5, 0, RAD_STAT_AGGREGATE, margin_doc},
};
RAD_STAT_TOPIC(rad_topic_compare, functions);

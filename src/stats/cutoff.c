/* cutoff: operating points and what a 2 x 2 table says. The rule is score >= threshold everywhere. */
#include "curve.h"
#include "impl.h"
#include "proportion.h"

static double ratio(double a, double b) /* 0/0 is undefined, x/0 infinite */
{
    return b > 0 ? a / b : a > 0 ? INFINITY : NAN;
}

static void put_share(rad_doc *doc, const char *name, double k, double n, double level) {
    rad_doc_open(doc, name);
    rad_proportion_put(doc, k, n, level);
    rad_doc_close(doc);
}

/* exp(log(x) -+ z se); NaN when a cell is empty. */
static void put_ratio(rad_doc *doc, const char *name, const char *lower, const char *upper, double x, double var, double z) {
    rad_doc_num(doc, name, x);
    const bool ok = isfinite(var) && x > 0 && isfinite(x);
    rad_doc_num(doc, lower, ok ? exp(log(x) - z * sqrt(var)) : NAN);
    rad_doc_num(doc, upper, ok ? exp(log(x) + z * sqrt(var)) : NAN);
}

static void put_metrics(rad_doc *doc, double tp, double fp, double fn, double tn, double level, double prevalence) {
    const double n = tp + fp + fn + tn, p1 = tp + fn, n0 = fp + tn, z = rad_z_level(level);
    const double sens = ratio(tp, p1), spec = ratio(tn, n0), ppv = ratio(tp, tp + fp), npv = ratio(tn, tn + fn);
    const double root = sqrt(tp + fp) * sqrt(tp + fn) * sqrt(tn + fp) * sqrt(tn + fn);
    rad_doc_int(doc, "tp", (int64_t)tp);
    rad_doc_int(doc, "fp", (int64_t)fp);
    rad_doc_int(doc, "fn", (int64_t)fn);
    rad_doc_int(doc, "tn", (int64_t)tn);
    rad_doc_int(doc, "n", (int64_t)n);
    rad_doc_num(doc, "sens", sens);
    rad_doc_num(doc, "spec", spec);
    rad_doc_num(doc, "ppv", ppv);
    rad_doc_num(doc, "npv", npv);
    rad_doc_num(doc, "accuracy", ratio(tp + tn, n));
    rad_doc_num(doc, "balanced_accuracy", (sens + spec) / 2);
    rad_doc_num(doc, "f1", ratio(2 * tp, 2 * tp + fp + fn));
    rad_doc_num(doc, "mcc", root > 0 ? (tp * tn - fp * fn) / root : NAN);
    rad_doc_num(doc, "youden", sens + spec - 1);
    rad_doc_num(doc, "prevalence", ratio(p1, n));
    put_ratio(doc, "lr_pos", "lr_pos_lower", "lr_pos_upper", ratio(sens, 1 - spec), 1 / tp - 1 / p1 + 1 / fp - 1 / n0, z);
    put_ratio(doc, "lr_neg", "lr_neg_lower", "lr_neg_upper", ratio(1 - sens, spec), 1 / fn - 1 / p1 + 1 / tn - 1 / n0, z);
    put_ratio(doc, "dor", "dor_lower", "dor_upper", ratio(tp * tn, fp * fn), 1 / tp + 1 / fp + 1 / fn + 1 / tn, z);
    rad_doc_open(doc, "haldane"); /* one half added to every cell, only here and by name */
    put_ratio(doc, "dor", "dor_lower", "dor_upper", (tp + 0.5) * (tn + 0.5) / ((fp + 0.5) * (fn + 0.5)),
              1 / (tp + 0.5) + 1 / (fp + 0.5) + 1 / (fn + 0.5) + 1 / (tn + 0.5), z);
    rad_doc_close(doc);
    if (!isnan(prevalence)) {
        const double q = prevalence;
        rad_doc_open(doc, "at_prevalence");
        rad_doc_num(doc, "prevalence", q);
        rad_doc_num(doc, "ppv", ratio(sens * q, sens * q + (1 - spec) * (1 - q)));
        rad_doc_num(doc, "npv", ratio(spec * (1 - q), spec * (1 - q) + (1 - sens) * q));
        rad_doc_close(doc);
    }
    rad_doc_num(doc, "level", level);
    put_share(doc, "sens_ci", tp, p1, level);
    put_share(doc, "spec_ci", tn, n0, level);
    put_share(doc, "ppv_ci", tp, tp + fp, level);
    put_share(doc, "npv_ci", tn, tn + fn, level);
    put_share(doc, "accuracy_ci", tp + tn, n, level);
    if (p1 == 0 || n0 == 0)
        rad_doc_reason(doc, p1 == 0 ? "no positive case" : "no negative case");
    if (n > 0 && (tp + fp == 0 || tn + fn == 0))
        rad_doc_reason(doc,
                       tp + fp == 0 ? "nothing called positive: PPV and MCC undefined" : "nothing called negative: NPV and MCC undefined");
}

static rad_status level_prevalence(const rad_arg *arg, int n_arg, int at, double *ret_level, double *ret_prevalence, rad_error *err) {
    *ret_prevalence = rad_arg_num(arg, n_arg, at + 1, NAN);
    if (!isnan(*ret_prevalence) && !(*ret_prevalence > 0 && *ret_prevalence < 1))
        return rad_error_set(err, RAD_E_USAGE, "prevalence %g: expected a number between 0 and 1", *ret_prevalence);
    return rad_arg_fraction(arg, n_arg, at, "level", 0.95, ret_level, err);
}

static rad_status table_doc(const rad_frame *f, const rad_arg *arg, int n_arg, rad_doc *doc, rad_error *err) {
    (void)f;
    double c[4], level, prevalence;
    const rad_status st = level_prevalence(arg, n_arg, 4, &level, &prevalence, err);
    if (st != RAD_OK)
        return st;
    for (int i = 0; i < 4; i++) {
        c[i] = rad_arg_num(arg, n_arg, i, NAN);
        if (!(c[i] >= 0 && c[i] < 1e15 && floor(c[i]) == c[i]))
            return rad_error_set(err, RAD_E_USAGE, "count %d is %g: expected tp, fp, fn, tn as whole numbers", i + 1, c[i]);
    }
    put_metrics(doc, c[0], c[1], c[2], c[3], level, prevalence);
    const int64_t tp = (int64_t)c[0], fp = (int64_t)c[1], fn = (int64_t)c[2], tn = (int64_t)c[3];
    double odds, lower, upper;
    rad_fisher_odds_ratio(tp, fp, fn, tn, level, &odds, &lower, &upper);
    rad_doc_num(doc, "fisher_or", odds);
    rad_doc_num(doc, "fisher_or_lower", lower);
    rad_doc_num(doc, "fisher_or_upper", upper);
    rad_doc_num(doc, "fisher_p", rad_fisher_p(tp, fp, fn, tn));
    return RAD_OK;
}

static rad_status threshold_doc(const rad_frame *f, const rad_arg *arg, int n_arg, rad_doc *doc, rad_error *err) {
    double level, prevalence, c[4] = {0}, missing = 0;
    const rad_status st = level_prevalence(arg, n_arg, 1, &level, &prevalence, err);
    if (st != RAD_OK)
        return st;
    const double threshold = rad_arg_num(arg, n_arg, 0, 0.5);
    for (int64_t i = 0; i < f->n; i++) {
        const double y = f->column[0].value[i], x = f->column[1].value[i];
        if (isnan(x) || (y != 0 && y != 1)) {
            missing++;
            continue;
        }
        c[x >= threshold ? (y == 1 ? 0 : 1) : (y == 1 ? 2 : 3)]++;
    }
    rad_doc_num(doc, "threshold", threshold);
    rad_doc_num(doc, "n_missing", missing);
    put_metrics(doc, c[0], c[1], c[2], c[3], level, prevalence);
    return RAD_OK;
}

/* ---------------------------------------------------------------- finding a threshold */

static const char *const criteria[] = {"youden", "closest", "sensitivity", "specificity", NULL};
typedef enum criterion { YOUDEN, CLOSEST, AT_SENSITIVITY, AT_SPECIFICITY } criterion;

/* Larger is better. Whole numbers: equal optima must compare equal. long double holds them to 2^64, n of about 60,000 per class for
 * CLOSEST, beyond which ties may be missed by rounding, never invented wrongly by more than 1e-19 relative. */
static long double merit(criterion how, int64_t tp, int64_t fp, int64_t n1, int64_t n0) {
    if (how == CLOSEST) {
        const long double miss = (long double)(n1 - tp) * (long double)n0, alarm = (long double)fp * (long double)n1;
        return -(miss * miss + alarm * alarm);
    }
    return (long double)tp * (long double)n0 - (long double)fp * (long double)n1;
}

/* The best point; for a target sensitivity (specificity) the point that reaches it with the best other value. First of ties from the
 * highest threshold down. */
static int64_t best_point(const int64_t *tp, const int64_t *fp, int64_t n_point, int64_t n1, int64_t n0, criterion how, double target) {
    int64_t best = 0;
    if (how == AT_SENSITIVITY) {
        while (best < n_point - 1 && (double)tp[best] / (double)n1 < target)
            best++;
        return best;
    }
    for (int64_t j = 1; j < n_point; j++) {
        if (how == AT_SPECIFICITY ? (double)(n0 - fp[j]) / (double)n0 >= target && tp[j] > tp[best]
                                  : merit(how, tp[j], fp[j], n1, n0) > merit(how, tp[best], fp[best], n1, n0))
            best = j;
    }
    return best;
}

static void put_point(rad_doc *doc, const rad_curve *c, int64_t j) {
    const double here = c->threshold[j], low = j + 1 < c->n_point ? c->threshold[j + 1] : -INFINITY;
    rad_doc_num(doc, "threshold_mid", isinf(here) ? INFINITY : isinf(low) ? -INFINITY : (here + low) / 2);
    rad_doc_num(doc, "threshold_observed", here);
    rad_doc_num(doc, "interval_low", low);
    rad_doc_num(doc, "sens", (double)c->tp[j] / (double)c->n_pos);
    rad_doc_num(doc, "spec", (double)(c->n_neg - c->fp[j]) / (double)c->n_neg);
}

typedef struct tuning {
    rad_curve curve;
    int8_t *label;
    criterion how;
    double target;
} tuning;

static void tuning_release(tuning *t) {
    rad_curve_release(&t->curve);
    free(t->label);
}

static rad_status tuning_init(const rad_frame *f, const rad_arg *arg, int n_arg, tuning *t, rad_error *err) {
    int how;
    rad_status st = rad_arg_word(rad_arg_text(arg, n_arg, 0, "youden"), "criterion", criteria, &how, err);
    if (st != RAD_OK)
        return st;
    t->how = (criterion)how;
    if (how == AT_SENSITIVITY || how == AT_SPECIFICITY) {
        st = rad_arg_fraction(arg, n_arg, 1, criteria[how], NAN, &t->target, err);
        if (st != RAD_OK)
            return st;
    }
    t->label = rad_malloc((size_t)f->n + 1);
    if (!t->label)
        return rad_no_memory(err);
    rad_labels(&f->column[0], f->n, t->label);
    return rad_curve_init(t->label, f->column[1].value, f->n, &t->curve, err);
}

static bool explain(const rad_curve *c, rad_doc *doc) {
    if (c->n_pos && c->n_neg)
        return true;
    rad_doc_reason(doc, c->n_pos + c->n_neg == 0 ? "no scored case" : c->n_pos == 0 ? "no positive case" : "no negative case");
    return false;
}

static rad_status cutoff_doc(const rad_frame *f, const rad_arg *arg, int n_arg, rad_doc *doc, rad_error *err) {
    tuning t = {0};
    const rad_status st = tuning_init(f, arg, n_arg, &t, err);
    const rad_curve *c = &t.curve;
    if (st == RAD_OK && explain(c, doc)) {
        const int64_t best = best_point(c->tp, c->fp, c->n_point, c->n_pos, c->n_neg, t.how, t.target);
        const double n1 = (double)c->n_pos, n0 = (double)c->n_neg;
        const double sens = (double)c->tp[best] / n1, spec = (double)(c->n_neg - c->fp[best]) / n0;
        rad_doc_text(doc, "criterion_name", criteria[t.how]);
        /* from whole numbers: (tp n0 - fp n1) / (n1 n0) */
        rad_doc_num(doc, "criterion",
                    t.how == CLOSEST  ? (double)(-merit(CLOSEST, c->tp[best], c->fp[best], c->n_pos, c->n_neg)) / (n1 * n1 * n0 * n0)
                    : t.how == YOUDEN ? (double)merit(YOUDEN, c->tp[best], c->fp[best], c->n_pos, c->n_neg) / (n1 * n0)
                                      : t.target);
        rad_doc_num(doc, "threshold", c->threshold[best]);
        rad_doc_num(doc, "sens", sens);
        rad_doc_num(doc, "spec", spec);
        int64_t ties = 0;
        rad_doc_open_list(doc, "cutoffs"); /* from the lowest threshold up */
        for (int64_t j = c->n_point; j-- > 0;) {
            const bool tied =
                t.how == AT_SENSITIVITY || t.how == AT_SPECIFICITY
                    ? j == best
                    : merit(t.how, c->tp[j], c->fp[j], c->n_pos, c->n_neg) == merit(t.how, c->tp[best], c->fp[best], c->n_pos, c->n_neg);
            if (!tied)
                continue;
            ties++;
            rad_doc_open(doc, NULL);
            put_point(doc, c, j);
            rad_doc_close(doc);
        }
        rad_doc_close(doc);
        rad_doc_int(doc, "n_optimal", ties);
        if (ties > 1)
            rad_doc_reason(doc, "%lld thresholds are equally good; the highest one is reported", (long long)ties);
    }
    tuning_release(&t);
    return st;
}

/* Sensitivity where specificity is x: linear on the polyline, and the best observed point that keeps the specificity. */
static void sens_at_spec(const int64_t *tp, const int64_t *fp, int64_t n_point, double n1, double n0, double x, double *ret_line,
                         double *ret_step) {
    int64_t j = 0;
    while (j + 1 < n_point && (n0 - (double)fp[j + 1]) / n0 >= x)
        j++;
    const double spec = (n0 - (double)fp[j]) / n0, sens = (double)tp[j] / n1;
    *ret_step = sens;
    *ret_line = sens;
    if (spec > x && j + 1 < n_point) {
        const double spec2 = (n0 - (double)fp[j + 1]) / n0, sens2 = (double)tp[j + 1] / n1;
        *ret_line = sens + (spec - x) / (spec - spec2) * (sens2 - sens);
    }
}

static void spec_at_sens(const int64_t *tp, const int64_t *fp, int64_t n_point, double n1, double n0, double x, double *ret_line,
                         double *ret_step) {
    int64_t j = 0;
    while (j + 1 < n_point && (double)tp[j] / n1 < x)
        j++;
    const double spec = (n0 - (double)fp[j]) / n0, sens = (double)tp[j] / n1;
    *ret_step = spec;
    *ret_line = spec;
    if (sens > x && j > 0) {
        const double sens0 = (double)tp[j - 1] / n1, spec0 = (n0 - (double)fp[j - 1]) / n0;
        *ret_line = spec0 + (x - sens0) / (sens - sens0) * (spec - spec0);
    }
}

static rad_status at_fixed(const rad_frame *f, const rad_arg *arg, int n_arg, bool want_sens, rad_doc *doc, rad_error *err) {
    double x, level;
    rad_curve c = {0};
    rad_status st;
    int64_t *pp = NULL, *pn = NULL, *gp = NULL, *gn = NULL;
    double *value = NULL;
    RAD_TRY(rad_arg_fraction(arg, n_arg, 0, want_sens ? "specificity" : "sensitivity", NAN, &x, err));
    RAD_TRY(rad_arg_fraction(arg, n_arg, 1, "level", 0.95, &level, err));
    const double reps = rad_arg_num(arg, n_arg, 2, 0), seed = rad_arg_num(arg, n_arg, 3, RAD_STAT_SEED);
    if (!(reps >= 0 && reps <= RAD_STAT_BOOT_MAX) || !(seed >= 0 && seed < 9e15))
        RAD_TRY(rad_error_set(err, RAD_E_USAGE, "bootstrap: %g replicates, seed %g: expected 0 to %d and a seed of at least 0", reps, seed,
                              RAD_STAT_BOOT_MAX));
    RAD_TRY(rad_curve_of_frame(f, &c, err));
    double line = NAN, step = NAN, lower = NAN, upper = NAN;
    const double n1 = (double)c.n_pos, n0 = (double)c.n_neg;
    if (explain(&c, doc)) {
        (want_sens ? sens_at_spec : spec_at_sens)(c.tp, c.fp, c.n_point, n1, n0, x, &line, &step);
        if (reps >= 2) {
            const int64_t b = (int64_t)reps;
            pp = rad_new_ints(c.n_pos);
            pn = rad_new_ints(c.n_neg);
            gp = rad_new_ints(c.n_point);
            gn = rad_new_ints(c.n_point);
            value = rad_new_doubles(b);
            if (!pp || !pn || !gp || !gn || !value) {
                st = rad_no_memory(err);
                goto out;
            }
            rad_curve_points_of(&c, pp, pn);
            for (int64_t r = 0; r < b; r++) {
                double unused;
                (void)rad_curve_resample(&c, pp, pn, (uint64_t)seed, (uint64_t)r, gp, gn);
                for (int64_t j = 1; j < c.n_point; j++) { /* counts become a curve */
                    gp[j] += gp[j - 1];
                    gn[j] += gn[j - 1];
                }
                (want_sens ? sens_at_spec : spec_at_sens)(gp, gn, c.n_point, n1, n0, x, &value[r], &unused);
            }
            rad_sort_doubles(value, b);
            lower = rad_quantile7(value, b, (1 - level) / 2);
            upper = rad_quantile7(value, b, (1 + level) / 2);
        }
    }
    rad_doc_num(doc, want_sens ? "spec" : "sens", x);
    rad_doc_num(doc, want_sens ? "sens_interpolated" : "spec_interpolated", line);
    rad_doc_num(doc, want_sens ? "sens_step" : "spec_step", step);
    rad_doc_num(doc, "lower", lower);
    rad_doc_num(doc, "upper", upper);
    rad_doc_int(doc, "replicates", (int64_t)reps);
out:
    rad_curve_release(&c);
    free(pp);
    free(pn);
    free(gp);
    free(gn);
    free(value);
    return st;
}

static rad_status sens_doc(const rad_frame *f, const rad_arg *arg, int n_arg, rad_doc *doc, rad_error *err) {
    return at_fixed(f, arg, n_arg, true, doc, err);
}

static rad_status spec_doc(const rad_frame *f, const rad_arg *arg, int n_arg, rad_doc *doc, rad_error *err) {
    return at_fixed(f, arg, n_arg, false, doc, err);
}

/* ---------------------------------------------------------------- tuned on one cohort, used on others */

typedef struct optimism {
    double sens, spec;
} optimism;

/* Harrell's bootstrap: tune on a resample, compare its apparent value with the value of that threshold on the original cohort. */
static rad_status find_optimism(const tuning *t, int64_t b, uint64_t seed, optimism *ret, rad_error *err) {
    const rad_curve *c = &t->curve;
    rad_status st = RAD_OK;
    int64_t *pp = rad_new_ints(c->n_pos), *pn = rad_new_ints(c->n_neg), *gp = rad_new_ints(c->n_point), *gn = rad_new_ints(c->n_point);
    if (!pp || !pn || !gp || !gn) {
        st = rad_no_memory(err);
    } else {
        const double n1 = (double)c->n_pos, n0 = (double)c->n_neg;
        double s = 0, p = 0;
        rad_curve_points_of(c, pp, pn);
        for (int64_t r = 0; r < b; r++) {
            (void)rad_curve_resample(c, pp, pn, seed, (uint64_t)r, gp, gn);
            for (int64_t j = 1; j < c->n_point; j++) {
                gp[j] += gp[j - 1];
                gn[j] += gn[j - 1];
            }
            const int64_t j = best_point(gp, gn, c->n_point, c->n_pos, c->n_neg, t->how, t->target);
            s += (double)(gp[j] - c->tp[j]) / n1;
            p += (double)(c->fp[j] - gn[j]) / n0;
        }
        *ret = (optimism){s / (double)b, p / (double)b};
    }
    free(pp);
    free(pn);
    free(gp);
    free(gn);
    return st;
}

/* Columns label, score, cohort; constants: cohort tuned on, criterion, target, level. */
static rad_status transfer_doc(const rad_frame *f, const rad_arg *arg, int n_arg, rad_doc *doc, rad_error *err) {
    const char *name = rad_arg_text(arg, n_arg, 0, "");
    const rad_column *g = &f->column[2];
    double level;
    tuning t = {0};
    int64_t want = -1;
    rad_status st;
    double *score = rad_new_doubles(f->n);
    rad_column column[2] = {f->column[0], {.value = score}};
    if (!score)
        return rad_no_memory(err);
    RAD_TRY(rad_arg_fraction(arg, n_arg, 3, "level", 0.95, &level, err));
    for (int64_t i = 0; i < g->n_level; i++)
        if (strcmp(g->level[i], name) == 0)
            want = i;
    for (int64_t i = 0; i < f->n; i++)
        score[i] = g->value[i] == (double)want ? f->column[1].value[i] : NAN;
    const rad_frame only = {.n = f->n, .n_column = 2, .column = column};
    RAD_TRY(tuning_init(&only, arg + 1, n_arg > 1 ? n_arg - 1 : 0, &t, err));
    const rad_curve *c = &t.curve;
    rad_doc_text(doc, "tuned_on", name);
    rad_doc_text(doc, "criterion_name", criteria[t.how]);
    if (!explain(c, doc)) {
        rad_doc_reason(doc, "cohort '%s' cannot be tuned on", name);
        goto out;
    }
    const int64_t best = best_point(c->tp, c->fp, c->n_point, c->n_pos, c->n_neg, t.how, t.target);
    const double threshold = c->threshold[best];
    optimism o = {0};
    RAD_TRY(find_optimism(&t, 500, RAD_STAT_SEED, &o, err));
    rad_doc_num(doc, "threshold", threshold);
    rad_doc_open_list(doc, "rows");
    for (int64_t k = 0; k < g->n_level; k++) {
        double cell[4] = {0};
        for (int64_t i = 0; i < f->n; i++) {
            const double y = f->column[0].value[i], x = f->column[1].value[i];
            if (g->value[i] == (double)k && !isnan(x) && (y == 0 || y == 1))
                cell[x >= threshold ? (y == 1 ? 0 : 1) : (y == 1 ? 2 : 3)]++;
        }
        const double n1 = cell[0] + cell[2], n0 = cell[1] + cell[3];
        double lo, hi;
        rad_doc_open(doc, NULL);
        rad_doc_text(doc, "cohort", g->level[k]);
        rad_doc_text(doc, "tuned_on", name);
        rad_doc_num(doc, "threshold", threshold);
        rad_doc_num(doc, "n", n1 + n0);
        rad_doc_num(doc, "sens", ratio(cell[0], n1));
        rad_proportion_interval(RAD_WILSON, cell[0], n1, level, &lo, &hi);
        rad_doc_num(doc, "sens_lower", lo);
        rad_doc_num(doc, "sens_upper", hi);
        rad_doc_num(doc, "spec", ratio(cell[3], n0));
        rad_proportion_interval(RAD_WILSON, cell[3], n0, level, &lo, &hi);
        rad_doc_num(doc, "spec_lower", lo);
        rad_doc_num(doc, "spec_upper", hi);
        rad_doc_num(doc, "accuracy", ratio(cell[0] + cell[3], n1 + n0));
        /* only where it was tuned is the apparent value too good */
        rad_doc_num(doc, "sens_corrected", k == want ? ratio(cell[0], n1) - o.sens : NAN);
        rad_doc_num(doc, "spec_corrected", k == want ? ratio(cell[3], n0) - o.spec : NAN);
        rad_doc_close(doc);
    }
    rad_doc_close(doc);
out:
    tuning_release(&t);
    free(score);
    return st;
}

#define AT "label, score[, threshold = 0.5[, level = 0.95[, prevalence]]]"
#define METRIC(name, what, field)                                                                                                          \
    { name, AT, what, field, "nn", "nnn", 2, 0, RAD_STAT_AGGREGATE, threshold_doc }
#define CUT "label, score[, criterion = 'youden'[, target]]"
#define TABLE2(name, what, field)                                                                                                          \
    { name, "tp, fp, fn, tn[, level = 0.95[, prevalence]]", what, field, "", "nnnnnn", 4, 0, RAD_STAT_SCALAR, table_doc }

static const rad_stat_function functions[] = {
    METRIC("sensitivity", "TP / (TP + FN), positive is score >= threshold; a 0/1 call is its own score", "sens"),
    METRIC("sensitivity_lower", "lower Wilson limit of the sensitivity", "sens_ci.wilson_lower"),
    METRIC("sensitivity_upper", "upper Wilson limit of the sensitivity", "sens_ci.wilson_upper"),
    METRIC("specificity", "TN / (TN + FP)", "spec"),
    METRIC("specificity_lower", "lower Wilson limit of the specificity", "spec_ci.wilson_lower"),
    METRIC("specificity_upper", "upper Wilson limit of the specificity", "spec_ci.wilson_upper"),
    METRIC("ppv", "TP / (TP + FP) in this sample", "ppv"),
    METRIC("npv", "TN / (TN + FN) in this sample", "npv"),
    METRIC("accuracy", "(TP + TN) / n", "accuracy"),
    METRIC("balanced_accuracy", "(sensitivity + specificity) / 2", "balanced_accuracy"),
    METRIC("f1", "2 TP / (2 TP + FP + FN)", "f1"),
    METRIC("mcc", "Matthews correlation (phi)", "mcc"),
    METRIC("youden", "sensitivity + specificity - 1", "youden"),
    METRIC("lr_pos", "sensitivity / (1 - specificity); infinite for specificity 1, no silent correction", "lr_pos"),
    METRIC("lr_neg", "(1 - sensitivity) / specificity", "lr_neg"),
    METRIC("dor", "diagnostic odds ratio TP TN / (FP FN)", "dor"),
    METRIC("ppv_at", "positive predictive value at a stated prevalence (Bayes)", "at_prevalence.ppv"),
    METRIC("npv_at", "negative predictive value at a stated prevalence (Bayes)", "at_prevalence.npv"),
    METRIC("diagnostic_json", "2 x 2 table at a threshold and everything that follows from it, with all intervals", NULL),
    METRIC("diagnostic_reason", "why a number of the 2 x 2 table is NULL", "reason"),
    TABLE2("table2x2_json",
           "the same from counts, with log-method intervals of LR and DOR (Simel 1991; Woolf 1955), Haldane's DOR, Fisher's test", NULL),
    {"cutoff", CUT,
     "threshold by criterion: 'youden', 'closest' to (0,1), 'sensitivity' or 'specificity' at least target; ties decided in whole "
     "numbers, the highest is returned",
     "threshold", "nn", "tn", 2, RAD_STAT_ORDER_FREE, RAD_STAT_AGGREGATE, cutoff_doc},
    {"cutoff_json", CUT, "the criterion, every tied threshold with its interval of equivalent values, sensitivity and specificity", NULL,
     "nn", "tn", 2, RAD_STAT_ORDER_FREE, RAD_STAT_AGGREGATE, cutoff_doc},
    {"sens_at_spec", "label, score, spec[, level = 0.95[, replicates = 0[, seed]]]",
     "sensitivity at a specificity, linear on the ROC curve", "sens_interpolated", "nn", "nnnn", 3, RAD_STAT_ORDER_FREE, RAD_STAT_AGGREGATE,
     sens_doc},
    {"sens_at_spec_json", "label, score, spec[, level = 0.95[, replicates = 0[, seed]]]",
     "interpolated and step value; stratified bootstrap limits when replicates > 0", NULL, "nn", "nnnn", 3, RAD_STAT_ORDER_FREE,
     RAD_STAT_AGGREGATE, sens_doc},
    {"spec_at_sens", "label, score, sens[, level = 0.95[, replicates = 0[, seed]]]",
     "specificity at a sensitivity, linear on the ROC curve", "spec_interpolated", "nn", "nnnn", 3, RAD_STAT_ORDER_FREE, RAD_STAT_AGGREGATE,
     spec_doc},
    {"spec_at_sens_json", "label, score, sens[, level = 0.95[, replicates = 0[, seed]]]", "interpolated and step value, bootstrap limits",
     NULL, "nn", "nnnn", 3, RAD_STAT_ORDER_FREE, RAD_STAT_AGGREGATE, spec_doc},
    {"operating_points", "'SELECT label, score, cohort ...', tuned_on[, criterion = 'youden'[, target[, level = 0.95]]]",
     "one threshold tuned on a named cohort and applied to every cohort; on the tuned cohort also corrected for optimism (Harrell's "
     "bootstrap, "
     "500 replicates)",
     "cohort,tuned_on,threshold,n,sens,sens_lower,sens_upper,spec,spec_lower,spec_upper,accuracy,sens_corrected,spec_corrected", "nnc",
     "ttnn", 2, 0, RAD_STAT_TABLE, transfer_doc},
    {"operating_points_json", "label, score, cohort, tuned_on[, criterion = 'youden'[, target[, level = 0.95]]]", "as operating_points",
     NULL, "nnc", "ttnn", 4, 0, RAD_STAT_AGGREGATE, transfer_doc},
};
RAD_STAT_TOPIC(rad_topic_cutoff, functions);

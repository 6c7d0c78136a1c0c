/* nightly_drift.c: are the recent files of a center like those before? Everything that is known of them is compared: the scores, what the
 * networks saw, the geometry of the images, and what the tables say of them (scanner, kernel, field strength). A change of scanner shows in
 * several at once, and at one center. */
#include "measure.h"
#include "nightly_impl.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define BUCKETS 1024
#define MAX_LEVELS 20 /* numbers with so few different values (spacings, matrix sizes) are compared as categories */
#define MAX_SERIES 20000
#define BASE "base"
#define RECENT "recent"

/* The nights from which on files count as recent: those after the run of the last night but RAD_NIGHT_WINDOW, else after the first. */
static const char SQL_LIMIT[] =
    "SELECT coalesce((SELECT n.run_id FROM nightly n JOIN run r ON r.run_id = n.run_id WHERE r.job = ?1 AND n.run_id < ?2"
    "                  ORDER BY n.nightly_id DESC LIMIT 1 OFFSET ?3),"
    " (SELECT min(f.since_run) FROM file_stamp f), 0)";
/* ?1 the run, ?2 the limit */
static const char SQL_IMAGES[] =
    "SELECT DISTINCT c.center, i.sequence, coalesce(f.since_run, ?1) > ?2, i.image_id, v.spacing_x, v.spacing_y, v.spacing_z, v.nx, v.ny,"
    "       v.nz, v.orientation, v.type"
    "  FROM manifest m JOIN run_patient rp ON rp.run_id = m.run_id AND rp.patient_id = m.patient_id"
    "  JOIN center c ON c.center_id = rp.center_id JOIN image_use u ON u.case_id = m.case_id JOIN image i ON i.image_id = u.image_id"
    "  JOIN volume v ON v.volume_id = u.volume_id LEFT JOIN file_stamp f ON f.path = i.path WHERE m.run_id = ?1";
static const char SQL_COVARIATES[] =
    "SELECT DISTINCT c.center, i.sequence, coalesce(f.since_run, ?1) > ?2, i.image_id, k.name, k.value"
    "  FROM manifest m JOIN run_patient rp ON rp.run_id = m.run_id AND rp.patient_id = m.patient_id"
    "  JOIN center c ON c.center_id = rp.center_id JOIN image_use u ON u.case_id = m.case_id JOIN image i ON i.image_id = u.image_id"
    "  JOIN image_covariate k ON k.image_id = i.image_id LEFT JOIN file_stamp f ON f.path = i.path WHERE m.run_id = ?1";
#define RECENT_CASES                                                                                                                       \
    "WITH late AS (SELECT m.case_id, m.patient_id, m.lesion_id, max(coalesce(f.since_run, ?1) > ?2) AS recent"                             \
    "  FROM manifest m JOIN image_use u ON u.case_id = m.case_id JOIN image i ON i.image_id = u.image_id"                                  \
    "  LEFT JOIN file_stamp f ON f.path = i.path WHERE m.run_id = ?1 GROUP BY m.case_id) "
static const char SQL_INPUTS[] =
    RECENT_CASES "SELECT c.center, rm.model, t.recent, re.input_mean, re.input_sd, r.case_unit"
                 "  FROM late t JOIN run r ON r.run_id = ?1 JOIN run_patient rp ON rp.run_id = ?1 AND rp.patient_id = t.patient_id"
                 "  JOIN center c ON c.center_id = rp.center_id JOIN run_result rr ON rr.case_id = t.case_id"
                 "  JOIN run_model rm ON rm.run_model_id = rr.run_model_id JOIN result re ON re.result_id = rr.result_id";
static const char SQL_SCORES[] = RECENT_CASES
    "SELECT c.center, rm.model, t.recent, s.score, k.class, r.positive_class IS NULL, s.unit"
    "  FROM run r JOIN run_model rm ON rm.run_id = r.run_id JOIN case_score s ON s.run_model_id = rm.run_model_id"
    "  JOIN run_class k ON k.run_id = r.run_id AND k.class_index = s.class_index"
    "  JOIN run_patient rp ON rp.run_id = r.run_id AND rp.patient_id = s.patient_id JOIN center c ON c.center_id = rp.center_id"
    "  JOIN (SELECT case_id, patient_id, max(recent) AS recent FROM late GROUP BY patient_id, lesion_id) t"
    "    ON t.patient_id = s.patient_id AND (s.case_id IS NULL OR s.case_id = t.case_id)"
    " WHERE r.run_id = ?1 AND s.unit = r.case_unit AND (r.positive_class IS NULL OR r.positive_class = s.class_index)";

struct series {
    char *center, *variable;
    char unit[8];
    rad_column_builder *value, *period;
    int64_t n_base, n_recent, next; /* next: in the bucket, -1 at its end */
};

struct drift {
    struct series *item;
    int64_t n, bucket[BUCKETS];
};

static void release(struct drift *d) {
    for (int64_t i = 0; i < d->n; i++) {
        free(d->item[i].center);
        free(d->item[i].variable);
        rad_column_builder_destroy(&d->item[i].value);
        rad_column_builder_destroy(&d->item[i].period);
    }
    free(d->item);
}

static uint64_t hash(const char *a, const char *b) {
    uint64_t h = 1469598103934665603u;
    for (; *a; a++)
        h = (h ^ (uint8_t)*a) * 1099511628211u;
    for (h = (h ^ 31) * 1099511628211u; *b; b++)
        h = (h ^ (uint8_t)*b) * 1099511628211u;
    return h;
}

static rad_status find(struct drift *d, const char *center, const char *variable, const char *unit, struct series **ret, rad_error *err) {
    int64_t *slot = &d->bucket[hash(center, variable) % BUCKETS];
    for (int64_t i = *slot; i >= 0; i = d->item[i].next)
        if (strcmp(d->item[i].center, center) == 0 && strcmp(d->item[i].variable, variable) == 0) {
            *ret = &d->item[i];
            return RAD_OK;
        }
    if (d->n == MAX_SERIES)
        return rad_error_set(err, RAD_E_LIMIT, "more than %d variables and centers to look for drift", MAX_SERIES);
    if (!rad_night_grow((void **)&d->item, d->n, sizeof *d->item))
        return rad_night_no_memory(err);
    struct series *s = &d->item[d->n];
    *s = (struct series){.center = rad_strdup(center), .variable = rad_strdup(variable), .next = *slot};
    snprintf(s->unit, sizeof s->unit, "%s", unit);
    *slot = d->n++;
    if (!s->center || !s->variable)
        return rad_night_no_memory(err);
    rad_status st = rad_column_builder_create('a', &s->value, err);
    if (st == RAD_OK)
        st = rad_column_builder_create('c', &s->period, err);
    *ret = s;
    return st;
}

static rad_status put(struct drift *d, const char *center, const char *unit, bool recent, double number, const char *text, rad_error *err,
                      const char *fmt, ...) RAD_PRINTF(8, 9);
static rad_status put(struct drift *d, const char *center, const char *unit, bool recent, double number, const char *text, rad_error *err,
                      const char *fmt, ...) {
    char variable[256];
    struct series *s = NULL;
    va_list ap;
    if (!text && isnan(number))
        return RAD_OK;
    va_start(ap, fmt);
    (void)vsnprintf(variable, sizeof variable, fmt, ap);
    va_end(ap);
    rad_status st = find(d, center, variable, unit, &s, err);
    if (st == RAD_OK)
        st = text ? rad_column_builder_put_text(s->value, text, err) : rad_column_builder_put_number(s->value, number, err);
    if (st == RAD_OK)
        st = rad_column_builder_put_text(s->period, recent ? RECENT : BASE, err);
    if (st != RAD_OK)
        return st;
    s->n_base += !recent;
    s->n_recent += recent;
    return RAD_OK;
}

/* ---------------------------------------------------------------- what is there */

typedef rad_status take_fn(struct drift *d, rad_query *q, rad_error *err);

static rad_status take_image(struct drift *d, rad_query *q, rad_error *err) {
    static const char *const NAME[] = {"spacing x", "spacing y", "spacing z", "voxels x", "voxels y", "voxels z"};
    const char *center = rad_column_text(q, 0), *sequence = rad_column_text(q, 1);
    const bool recent = sqlite3_column_int(q->stmt, 2) != 0;
    rad_status s = RAD_OK;
    for (int i = 0; i < 6 && s == RAD_OK; i++)
        s = put(d, center, "image", recent, rad_column_real(q, 4 + i), NULL, err, "%.100s %s", sequence, NAME[i]);
    if (s == RAD_OK)
        s = put(d, center, "image", recent, (double)NAN, rad_column_text(q, 10), err, "%.100s orientation", sequence);
    return s == RAD_OK ? put(d, center, "image", recent, (double)NAN, rad_column_text(q, 11), err, "%.100s voxel type", sequence) : s;
}

static rad_status take_covariate(struct drift *d, rad_query *q, rad_error *err) {
    return put(d, rad_column_text(q, 0), "image", sqlite3_column_int(q->stmt, 2) != 0, (double)NAN, rad_column_text(q, 5), err,
               "%.100s %.100s", rad_column_text(q, 1), rad_column_text(q, 4));
}

static rad_status take_input(struct drift *d, rad_query *q, rad_error *err) {
    const char *center = rad_column_text(q, 0), *model = rad_column_text(q, 1), *unit = rad_column_text(q, 5);
    const bool recent = sqlite3_column_int(q->stmt, 2) != 0;
    rad_status s = put(d, center, unit, recent, rad_column_real(q, 3), NULL, err, "input mean %.64s", model);
    return s == RAD_OK ? put(d, center, unit, recent, rad_column_real(q, 4), NULL, err, "input sd %.64s", model) : s;
}

static rad_status take_score(struct drift *d, rad_query *q, rad_error *err) {
    const char *center = rad_column_text(q, 0), *model = rad_column_text(q, 1), *class_name = rad_column_text(q, 4);
    const bool recent = sqlite3_column_int(q->stmt, 2) != 0, many = sqlite3_column_int(q->stmt, 5) != 0;
    return put(d, center, rad_column_text(q, 6), recent, rad_column_real(q, 3), NULL, err, "score %.64s%s%.64s", model, many ? " " : "",
               many ? class_name : "");
}

static rad_status each(rad_store *st, const char *sql, int64_t run, int64_t limit, take_fn *take, struct drift *d, rad_error *err) {
    bool row = false;
    rad_status s;
    rad_query q = rad_query_start(st, sql);
    rad_bind_int(&q, run);
    rad_bind_int(&q, limit);
    while ((s = rad_query_row(&q, &row, err)) == RAD_OK && row)
        if ((s = take(d, &q, err)) != RAD_OK)
            break;
    rad_query_end(&q);
    return s;
}

/* ---------------------------------------------------------------- one variable at one center */

static int by_value(const void *x, const void *y) {
    const double a = *(const double *)x, b = *(const double *)y;
    return (a > b) - (a < b);
}

/* Quantile of type 7 of x [n], ascending. */
static double quantile(const double *x, int64_t n, double p) {
    const double h = (double)(n - 1) * p, low = floor(h);
    const int64_t i = (int64_t)low;
    return i + 1 < n ? x[i] + (h - low) * (x[i + 1] - x[i]) : x[i];
}

/* Median and quartiles, or the most frequent level; `sorted` has room for all. */
static void describe(const rad_column *v, const rad_column *g, int64_t n, double period, double *sorted, char ret[80]) {
    int64_t k = 0, best = 0, best_n = 0;
    for (int64_t i = 0; i < n; i++)
        if (g->value[i] == period && !isnan(v->value[i]))
            sorted[k++] = v->value[i];
    if (k == 0)
        return;
    qsort(sorted, (size_t)k, sizeof *sorted, by_value);
    for (int64_t i = 0, from = 0; i < k; i++) {
        from = i > 0 && sorted[i] == sorted[i - 1] ? from : i;
        if (i - from + 1 > best_n) {
            best_n = i - from + 1;
            best = i;
        }
    }
    if (v->level)
        snprintf(ret, 80, "%.50s (%.0f %%)", v->level[(int64_t)sorted[best]], 100.0 * (double)best_n / (double)k);
    else
        snprintf(ret, 80, "%.4g (%.4g to %.4g)", quantile(sorted, k, 0.5), quantile(sorted, k, 0.25), quantile(sorted, k, 0.75));
}

/* Numbers with few different values become levels: deciles of a constant tell nothing. Owned by the caller: value, level, text. */
struct levels {
    double *value;
    const char **level;
    char (*text)[32];
    int64_t n;
};

static bool few_levels(const rad_column *v, int64_t n, double *sorted, struct levels *ret) {
    int64_t k = 0, n_level = 0;
    for (int64_t i = 0; i < n; i++)
        if (!isnan(v->value[i]))
            sorted[k++] = v->value[i];
    qsort(sorted, (size_t)k, sizeof *sorted, by_value);
    for (int64_t i = 0; i < k; i++)
        if (i == 0 || sorted[i] != sorted[i - 1]) {
            if (n_level == MAX_LEVELS)
                return false;
            sorted[n_level++] = sorted[i];
        }
    ret->value = rad_calloc((size_t)n + 1, sizeof *ret->value);
    ret->level = rad_calloc(MAX_LEVELS, sizeof *ret->level);
    ret->text = rad_calloc(MAX_LEVELS, sizeof *ret->text);
    if (!ret->value || !ret->level || !ret->text)
        return false;
    ret->n = n_level;
    for (int64_t i = 0; i < n_level; i++) {
        snprintf(ret->text[i], sizeof ret->text[i], "%.17g", sorted[i]);
        ret->level[i] = ret->text[i];
    }
    for (int64_t i = 0; i < n; i++) {
        const double *at = isnan(v->value[i]) ? NULL : bsearch(&v->value[i], sorted, (size_t)n_level, sizeof *sorted, by_value);
        ret->value[i] = at ? (double)(at - sorted) : (double)NAN;
    }
    return true;
}

static rad_status measure(const struct series *s, rad_night_drift *d, rad_error *err) {
    static const rad_arg PERIOD[] = {{(double)NAN, BASE}, {(double)NAN, RECENT}};
    rad_column column[2];
    struct levels few = {0};
    rad_doc *psi = NULL, *ks = NULL;
    rad_status st = RAD_OK;
    const int64_t n = rad_column_builder_count(s->value);
    double *sorted = rad_calloc((size_t)n + 1, sizeof *sorted);
    if (!sorted)
        return rad_night_no_memory(err);
    RAD_TRY(rad_column_builder_view(s->value, &column[0], err));
    RAD_TRY(rad_column_builder_view(s->period, &column[1], err));
    for (int g = 0; g < 2; g++)
        for (int64_t l = 0; l < column[1].n_level; l++)
            if (strcmp(column[1].level[l], PERIOD[g].text) == 0)
                describe(&column[0], &column[1], n, (double)l, sorted, g == 0 ? d->base : d->recent);
    if (!column[0].level && few_levels(&column[0], n, sorted, &few))
        column[0] = (rad_column){column[0].name, few.value, few.level, few.n};
    const bool category = column[0].level != NULL;
    const rad_frame f = {n, 2, column};
    d->test = rad_strdup(category ? "chisq" : "ks");
    if (!d->test) {
        st = rad_night_no_memory(err);
        goto out;
    }
    if (s->n_base < RAD_NIGHT_MIN_BASE || s->n_recent < RAD_NIGHT_MIN_RECENT) {
        snprintf(d->reason, sizeof d->reason, "fewer than %d values before or %d recent ones", RAD_NIGHT_MIN_BASE, RAD_NIGHT_MIN_RECENT);
        goto out;
    }
    RAD_TRY(rad_measure_call(category ? "psi_categorical_json" : "psi_json", &f, PERIOD, 2, &psi, err));
    d->psi = rad_doc_get(psi, "psi");
    if (category) {
        d->statistic = rad_doc_get(psi, "chi2");
        d->p = rad_doc_get(psi, "p");
        d->p = d->psi == 0 && isnan(d->p) ? 1 : d->p; /* one level, both times */
    } else {
        RAD_TRY(rad_measure_call("two_groups_json", &f, PERIOD, 2, &ks, err));
        d->statistic = rad_doc_get(ks, "D");
        d->p = rad_doc_get(ks, "p_exact");
        d->p = isnan(d->p) ? rad_doc_get(ks, "p_asymptotic") : d->p;
    }
    d->p = d->p < 0 ? 0 : d->p > 1 ? 1 : d->p;
    if (isnan(d->psi))
        snprintf(d->reason, sizeof d->reason, "no index can be computed");
out:
    rad_doc_destroy(&psi);
    rad_doc_destroy(&ks);
    free(few.value);
    free(few.level);
    free(few.text);
    free(sorted);
    return st;
}

static int by_name(const void *x, const void *y) {
    const rad_night_drift *a = x, *b = y;
    if (a->alarm != b->alarm)
        return a->alarm ? -1 : 1;
    const int c = strcmp(a->center, b->center);
    return c != 0 ? c : strcmp(a->variable, b->variable);
}

static rad_status judge(rad_night_report *r, rad_error *err) {
    double *p = rad_calloc((size_t)r->n_drift + 1, sizeof *p), *q = rad_calloc((size_t)r->n_drift + 1, sizeof *q);
    rad_status st = p && q ? RAD_OK : rad_night_no_memory(err);
    for (int64_t i = 0; i < r->n_drift && st == RAD_OK; i++)
        p[i] = r->drift[i].p;
    if (st == RAD_OK && r->n_drift > 0)
        st = rad_measure_holm(p, r->n_drift, q, err);
    for (int64_t i = 0; i < r->n_drift && st == RAD_OK; i++) {
        r->drift[i].p_adjusted = q[i];
        r->drift[i].alarm = r->drift[i].psi >= RAD_NIGHT_PSI && q[i] < RAD_NIGHT_P;
        r->n_alarm += r->drift[i].alarm;
    }
    if (st == RAD_OK && r->n_drift > 0)
        qsort(r->drift, (size_t)r->n_drift, sizeof *r->drift, by_name);
    free(p);
    free(q);
    return st;
}

rad_status rad_night_find_drift(rad_store *st, const char *job, rad_night_report *r, rad_error *err) {
    rad_status s = RAD_OK;
    int64_t limit = 0;
    struct drift d = {0};
    for (int i = 0; i < BUCKETS; i++)
        d.bucket[i] = -1;
    rad_query q = rad_query_start(st, SQL_LIMIT);
    rad_bind_text(&q, job);
    rad_bind_int(&q, r->run);
    rad_bind_int(&q, RAD_NIGHT_WINDOW - 1);
    s = rad_query_int(&q, &limit, err);
    if (s == RAD_OK)
        s = each(st, SQL_IMAGES, r->run, limit, take_image, &d, err);
    if (s == RAD_OK)
        s = each(st, SQL_COVARIATES, r->run, limit, take_covariate, &d, err);
    if (s == RAD_OK)
        s = each(st, SQL_INPUTS, r->run, limit, take_input, &d, err);
    if (s == RAD_OK)
        s = each(st, SQL_SCORES, r->run, limit, take_score, &d, err);
    for (int64_t i = 0; i < d.n && s == RAD_OK; i++) {
        if (d.item[i].n_recent == 0)
            continue; /* nothing came */
        if (!rad_night_grow((void **)&r->drift, r->n_drift, sizeof *r->drift)) {
            s = rad_night_no_memory(err);
            break;
        }
        rad_night_drift *e = &r->drift[r->n_drift++];
        *e = (rad_night_drift){.center = rad_strdup(d.item[i].center),
                               .variable = rad_strdup(d.item[i].variable),
                               .unit = rad_strdup(d.item[i].unit),
                               .n_base = d.item[i].n_base,
                               .n_recent = d.item[i].n_recent,
                               .psi = (double)NAN,
                               .statistic = (double)NAN,
                               .p = (double)NAN,
                               .p_adjusted = (double)NAN};
        s = e->center && e->variable && e->unit ? measure(&d.item[i], e, err) : rad_night_no_memory(err);
    }
    release(&d);
    return s == RAD_OK ? judge(r, err) : s;
}

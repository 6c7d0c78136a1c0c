/* aggregation.c: see aggregation.h. */
#include "aggregation.h"

#include "radcohort/stats.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const char SQL_RULES[] = "SELECT case_unit, lesion_rule, patient_rule, vote_threshold, coalesce(positive_class, -1) FROM run"
                                " WHERE run_id = ?1";
static const char SQL_CLASSES[] = "SELECT class_index, coalesce(rule, '') FROM run_class WHERE run_id = ?1 ORDER BY class_index";
static const char SQL_PARTS[] = "SELECT class_index, part_index FROM run_class_part WHERE run_id = ?1";
static const char SQL_CASES[] =
    "SELECT m.case_id, m.patient_id, rr.result_id FROM manifest m"
    " JOIN run_result rr ON rr.case_id = m.case_id AND rr.run_model_id = ?2 WHERE m.run_id = ?1 ORDER BY m.position";
/* By its key, result by result: a join of all slices would bring the case along with each, and an order of theirs would sort them all. */
static const char SQL_SCORES[] = "SELECT score FROM slice_score WHERE result_id = ?1 ORDER BY class_index, slice";
static const char SQL_SCORES_OF[] = "SELECT score FROM slice_score WHERE result_id = ?1 AND class_index = ?2 ORDER BY slice";

/* ---------------------------------------------------------------- declarations */

static rad_status read_endpoints(struct rad_store *st, int64_t run, rad_scheme *s, rad_error *err) {
    bool row = false;
    rad_status st_code;
    rad_query q = rad_query_start(st, SQL_CLASSES);
    rad_bind_int(&q, run);
    while ((st_code = rad_query_row(&q, &row, err)) == RAD_OK && row) {
        const char *rule = rad_column_text(&q, 1);
        if (rule[0] == '\0')
            s->n_class++;
        else if (s->n_endpoint < RAD_MAX_ENDPOINTS)
            s->endpoint[s->n_endpoint++].argmax = strcmp(rule, "argmax") == 0;
    }
    rad_query_end(&q);
    if (st_code != RAD_OK)
        return st_code;
    q = rad_query_start(st, SQL_PARTS);
    rad_bind_int(&q, run);
    while ((st_code = rad_query_row(&q, &row, err)) == RAD_OK && row) {
        const int64_t e = sqlite3_column_int64(q.stmt, 0) - s->n_class, part = sqlite3_column_int64(q.stmt, 1);
        if (e >= 0 && e < s->n_endpoint && part >= 0 && part < RAD_MAX_CLASSES)
            s->endpoint[e].of |= (uint64_t)1 << part;
    }
    rad_query_end(&q);
    return st_code;
}

rad_status rad_scheme_read(struct rad_store *st, int64_t run, rad_scheme *ret, rad_error *err) {
    bool row = false;
    rad_scheme s = {.only = -1};
    rad_query q = rad_query_start(st, SQL_RULES);
    rad_bind_int(&q, run);
    rad_status code = rad_query_row(&q, &row, err);
    if (code != RAD_OK)
        return code;
    if (!row)
        return rad_error_set(err, RAD_E_STORE, "'%s' has no run %" PRId64, st->path, run);
    s.lesions = strcmp(rad_column_text(&q, 0), "lesion") == 0;
    snprintf(s.case_rule, sizeof s.case_rule, "%s", rad_column_text(&q, s.lesions ? 1 : 2));
    snprintf(s.patient_rule, sizeof s.patient_rule, "%s", rad_column_text(&q, 2));
    s.vote_threshold = sqlite3_column_double(q.stmt, 3);
    s.positive = sqlite3_column_int(q.stmt, 4);
    rad_query_end(&q);
    if (!rad_aggregate_is_rule(s.case_rule) || !rad_aggregate_is_rule(s.patient_rule))
        return rad_error_set(err, RAD_E_STORE, "'%s': run %" PRId64 " has an unknown aggregation rule", st->path, run);
    code = read_endpoints(st, run, &s, err);
    if (code == RAD_OK)
        *ret = s;
    return code;
}

void rad_scheme_narrow(rad_scheme *s) {
    if (s->positive < 0 || s->n_endpoint > 0)
        return;
    s->only = s->positive;
    s->positive = 0;
    s->n_class = 1;
}

int rad_scheme_rows(const rad_scheme *s) {
    return s->n_class + s->n_endpoint;
}

/* ---------------------------------------------------------------- arithmetic */

/* The highest of the classes' scores in column `i`; of several the lowest index. */
static int highest(const rad_scheme *s, const double *part, int64_t n, int64_t i) {
    int best = 0;
    for (int k = 1; k < s->n_class; k++)
        if (part[k * n + i] > part[best * n + i])
            best = k;
    return best;
}

static bool has_class(const rad_scheme *s, int endpoint, int k) {
    return s->endpoint[endpoint].of >> k & 1;
}

void rad_scheme_collapse(const rad_scheme *s, double *part, int64_t n) {
    for (int e = 0; e < s->n_endpoint; e++)
        for (int64_t i = 0; i < n; i++) {
            double sum = 0;
            for (int k = 0; k < s->n_class && !s->endpoint[e].argmax; k++)
                sum += has_class(s, e, k) ? part[k * n + i] : 0;
            part[(s->n_class + e) * n + i] = s->endpoint[e].argmax ? has_class(s, e, highest(s, part, n, i)) : sum;
        }
}

/* Does part `i` vote for row `k`? */
static bool votes(const rad_scheme *s, const double *part, int64_t n, int k, int64_t i) {
    if (k >= s->n_class)
        return part[k * n + i] >= s->vote_threshold;
    if (s->positive < 0)
        return highest(s, part, n, i) == k;
    return (part[s->positive * n + i] >= s->vote_threshold) == (k == s->positive);
}

void rad_scheme_reduce(const rad_scheme *s, const char *rule, const double *part, int64_t n, double *scratch, double *ret) {
    const bool vote = strcmp(rule, "majority") == 0;
    for (int k = 0; k < rad_scheme_rows(s); k++) {
        if (k >= s->n_class && s->endpoint[k - s->n_class].argmax) {
            ret[k] = has_class(s, k - s->n_class, highest(s, ret, 1, 0));
            continue;
        }
        for (int64_t i = 0; i < n; i++)
            scratch[i] = vote ? votes(s, part, n, k, i) : part[k * n + i];
        ret[k] = rad_aggregate_scores(rule, scratch, n);
    }
}

/* ---------------------------------------------------------------- cases */

struct scores { /* of the case at hand, class after class */
    double *item;
    size_t n, cap;
};

static rad_status add_score(struct scores *l, double score, rad_error *err) {
    if (l->n == l->cap) {
        size_t more = l->cap ? l->cap * 2 : 1024;
        double *p = rad_realloc(l->item, more, sizeof *p);
        if (!p)
            return rad_error_set(err, RAD_E_NOMEM, "out of memory for %zu scores", more);
        l->item = p;
        l->cap = more;
    }
    l->item[l->n++] = score;
    return RAD_OK;
}

static rad_status read_scores(struct rad_store *st, int64_t result, int only, struct scores *l, rad_error *err) {
    bool row = false;
    rad_status s;
    rad_query q = rad_query_start(st, only < 0 ? SQL_SCORES : SQL_SCORES_OF);
    rad_bind_int(&q, result);
    if (only >= 0)
        rad_bind_int(&q, only);
    while ((s = rad_query_row(&q, &row, err)) == RAD_OK && row)
        if ((s = add_score(l, sqlite3_column_double(q.stmt, 0), err)) != RAD_OK)
            break;
    rad_query_end(&q);
    return s;
}

static rad_status close_case(const rad_scheme *s, struct scores *l, int64_t case_id, int64_t patient, rad_case_fn *each, void *payload,
                             rad_error *err) {
    const size_t n = l->n / (size_t)s->n_class;
    rad_status st = RAD_OK;
    if (l->n == 0)
        return RAD_OK;
    if (n * (size_t)s->n_class != l->n)
        return rad_error_set(err, RAD_E_STORE, "case %" PRId64 ": a slice lacks the score of a class", case_id);
    while (l->n < n * (size_t)rad_scheme_rows(s) && st == RAD_OK)
        st = add_score(l, 0, err);
    if (st == RAD_OK) {
        rad_scheme_collapse(s, l->item, (int64_t)n);
        st = each(payload, case_id, patient, l->item, (int64_t)n, err);
    }
    l->n = 0;
    return st;
}

rad_status rad_scheme_each_case(struct rad_store *st, const rad_scheme *s, int64_t run, int64_t run_model, rad_case_fn *each, void *payload,
                                rad_error *err) {
    struct scores list = {0};
    bool row = false;
    rad_status code;
    rad_query q = rad_query_start(st, SQL_CASES);
    rad_bind_int(&q, run);
    rad_bind_int(&q, run_model);
    while ((code = rad_query_row(&q, &row, err)) == RAD_OK && row) {
        code = read_scores(st, sqlite3_column_int64(q.stmt, 2), s->only, &list, err);
        if (code == RAD_OK)
            code = close_case(s, &list, sqlite3_column_int64(q.stmt, 0), sqlite3_column_int64(q.stmt, 1), each, payload, err);
        if (code != RAD_OK)
            break;
    }
    rad_query_end(&q);
    free(list.item);
    return code;
}

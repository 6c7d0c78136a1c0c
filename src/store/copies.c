/* copies.c: the same image under two patients, exactly or nearly.
 *
 * Signatures of one sequence are compared. They are unit vectors; what all images of a sequence have in common (a head is a head) is taken
 * off by subtracting their mean, and what is left, scaled to length 1 again, is each patient's own. A cosine of at least s means a distance
 * of at most r = sqrt(2 - 2 s). Coordinates are put in the order of their variance and the volumes in that of the first one: a pair can
 * only be near while their first coordinates are within r, and is given up as soon as the squared differences so far pass r^2. Exact, no
 * pair is missed; at worst all pairs are begun, a few operations each: 50,000 volumes take some seconds (test_store_copies --time). */
#include "copies.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char SQL_CLEAR[] = "DELETE FROM near_copy WHERE run_id = ?1";
/* One row per volume and patient of the run. */
static const char SQL_VOLUMES[] =
    "SELECT v.volume_id, i.patient_id, min(i.image_id), p.patient, v.signature, min(i.sequence) FROM manifest m JOIN image_use u ON "
    "u.case_id = m.case_id"
    " JOIN volume v ON v.volume_id = u.volume_id JOIN image i ON i.image_id = u.image_id JOIN patient p ON p.patient_id = i.patient_id"
    " WHERE m.run_id = ?1 GROUP BY v.volume_id, i.patient_id ORDER BY p.patient, v.volume_id";
static const char SQL_PUT[] = "INSERT INTO near_copy (run_id, image_a, image_b, similarity, same) VALUES (?1, ?2, ?3, ?4, ?5)"
                              " ON CONFLICT (run_id, image_a, image_b) DO UPDATE SET similarity = max(similarity, excluded.similarity), "
                              "same = max(same, excluded.same)";
/* Cases of two patients whose prepared pixels have the same mean and deviation to the last bit: the network saw the same, whatever the
 * files look like. The only sign of a copy in another encoding where no file is read whole. Of models that share an input the first. */
static const char SQL_SEEN[] =
    "WITH seen AS (SELECT rr.run_model_id AS model, u.image_id AS image, p.patient, re.input_mean AS mean, re.input_sd AS sd, re.n_slice "
    "AS n"
    "  FROM run_model rm JOIN run_result rr ON rr.run_model_id = rm.run_model_id JOIN result re ON re.result_id = rr.result_id"
    "  JOIN manifest m ON m.case_id = rr.case_id JOIN image_use u ON u.case_id = m.case_id AND u.input = rm.input AND u.channel = 0"
    "  JOIN patient p ON p.patient_id = m.patient_id WHERE rm.run_id = ?1 AND re.input_sd > 0 AND rm.position ="
    "  (SELECT min(o.position) FROM run_model o WHERE o.run_id = rm.run_id AND o.input = rm.input))"
    " INSERT INTO near_copy (run_id, image_a, image_b, similarity, same)"
    " SELECT DISTINCT ?1, a.image, b.image, 1, 0 FROM seen a JOIN seen b ON b.model = a.model AND b.mean = a.mean AND b.sd = a.sd AND b.n "
    "= a.n"
    " WHERE b.patient > a.patient ORDER BY 2, 3 LIMIT ?2 ON CONFLICT DO NOTHING";
static const char SQL_WARN[] =
    "INSERT INTO warning (run_id, stage, text) SELECT run_id, 'copies',"
    " iif(leakage, 'leakage: ', '') || 'patient ''' || patient_a || ''' and patient ''' || patient_b || ''' have '"
    " || iif(same, 'the same image', printf('nearly the same image (similarity %.3f)', similarity)) || ': ''' || path_a || ''' and '''"
    " || path_b || '''' || iif(leakage, printf(', in folds %d and %d', fold_a, fold_b), '')"
    " FROM v_near_copy WHERE run_id = ?1 ORDER BY leakage DESC, patient_a, patient_b, path_a, path_b LIMIT ?2 ON CONFLICT DO NOTHING";

/* ---------------------------------------------------------------- pairs */

enum { HEAD = 16 }; /* coordinates compared first: one cache line of each volume */

typedef struct entry {
    double first;
    int64_t at;
} entry;

static int by_first(const void *x, const void *y) {
    const entry *a = x, *b = y;
    if (a->first != b->first)
        return a->first < b->first ? -1 : 1;
    return (a->at > b->at) - (a->at < b->at);
}

static int64_t length_of(const rad_copy_item *item) {
    return item->signature ? (int64_t)strlen(item->signature) / 2 : 0;
}

static int digit(char c) {
    return c >= 'a' ? c - 'a' + 10 : c - '0';
}

/* The signature as a vector of length 1; false when it is none. */
static bool unpack(const char *hex, int64_t n, float *ret) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        const int byte = digit(hex[2 * i]) * 16 + digit(hex[2 * i + 1]);
        const int value = byte < 128 ? byte : byte - 256;
        ret[i] = (float)value;
        sum += (double)value * value;
    }
    for (int64_t i = 0; i < n && sum > 0; i++)
        ret[i] = (float)((double)ret[i] / sqrt(sum));
    return sum > 0;
}

/* Coordinates by falling variance, into order [n]. */
static void order_coordinates(const float *x, int64_t rows, int64_t n, int64_t *order) {
    double var[RAD_STORE_SIGNATURE];
    for (int64_t k = 0; k < n; k++) {
        double sum = 0, squares = 0;
        for (int64_t i = 0; i < rows; i++) {
            sum += (double)x[i * n + k];
            squares += (double)x[i * n + k] * (double)x[i * n + k];
        }
        var[k] = squares - sum * sum / (double)rows;
        int64_t at = k;
        for (; at > 0 && var[order[at - 1]] < var[k]; at--)
            order[at] = order[at - 1];
        order[at] = k;
    }
}

/* Squared distance of the first coordinates; most pairs end here. */
static float head_distance(const float *a, const float *b) {
    float sum = 0;
    for (int k = 0; k < HEAD; k++)
        sum += (a[k] - b[k]) * (a[k] - b[k]);
    return sum;
}

/* `sum` and the squared distance of the others, or a number above `limit` once that is passed. */
static float whole_distance(float sum, const float *a, const float *b, int64_t n, float limit) {
    for (int64_t i = 0; i < n && sum <= limit; i++)
        sum += (a[i] - b[i]) * (a[i] - b[i]);
    return sum;
}

/* Takes the mean of `rows` vectors off each and scales what is left to length 1; `own` [rows, n]. */
static void take_mean(const float *x, int64_t rows, int64_t n, float *own) {
    double mean[RAD_STORE_SIGNATURE] = {0};
    for (int64_t i = 0; i < rows; i++)
        for (int64_t k = 0; k < n; k++)
            mean[k] += (double)x[i * n + k] / (double)rows;
    for (int64_t i = 0; i < rows; i++) {
        double sum = 0;
        for (int64_t k = 0; k < n; k++) {
            const double d = (double)x[i * n + k] - mean[k];
            own[i * n + k] = (float)d;
            sum += d * d;
        }
        for (int64_t k = 0; k < n && sum > 0; k++)
            own[i * n + k] = (float)((double)own[i * n + k] / sqrt(sum));
    }
}

typedef struct matrix { /* signatures of one length and sequence, and room for what is done with them */
    int64_t rows, n;
    int64_t *item;        /* [rows] */
    float *raw, *own, *x; /* [rows, n] as they are, without the mean, sorted */
    float *head;          /* [rows, HEAD] the first coordinates of x */
    entry *e;
} matrix;

static void release(matrix *m) {
    free(m->item);
    free(m->raw);
    free(m->own);
    free(m->x);
    free(m->head);
    free(m->e);
}

static double cosine(const float *a, const float *b, int64_t n) {
    double sum = 0;
    for (int64_t k = 0; k < n; k++)
        sum += (double)a[k] * (double)b[k];
    return sum;
}

static rad_status sweep(const rad_copy_item *item, matrix *m, rad_copy_fn *each, void *payload, rad_error *err) {
    const int64_t n = m->n, rows = m->rows;
    const bool many = rows >= RAD_COPY_MEAN_OF;
    const float *base = many ? m->own : m->raw;
    const double least = many ? RAD_NEAR_COPY_OWN : RAD_NEAR_COPY, reach = sqrt(2 - 2 * least);
    const float limit = (float)(2 - 2 * least);
    int64_t order[RAD_STORE_SIGNATURE] = {0};
    rad_status st = RAD_OK;
    if (many)
        take_mean(m->raw, rows, n, m->own);
    order_coordinates(base, rows, n, order);
    for (int64_t i = 0; i < rows; i++)
        m->e[i] = (entry){(double)base[i * n + order[0]], i};
    if (rows > 0)
        qsort(m->e, (size_t)rows, sizeof *m->e, by_first);
    for (int64_t i = 0; i < rows; i++)
        for (int64_t k = 0; k < n; k++)
            *(k < HEAD ? &m->head[i * HEAD + k] : &m->x[i * n + k]) = base[m->e[i].at * n + order[k]];
    for (int64_t i = 0; i < rows && st == RAD_OK; i++)
        for (int64_t j = i + 1; j < rows && m->e[j].first - m->e[i].first <= reach && st == RAD_OK; j++) {
            float d = head_distance(m->head + i * HEAD, m->head + j * HEAD);
            if (d > limit)
                continue;
            d = n > HEAD ? whole_distance(d, m->x + i * n + HEAD, m->x + j * n + HEAD, n - HEAD, limit) : d;
            const int64_t p = m->e[i].at, q = m->e[j].at, a = m->item[p], b = m->item[q];
            if (d <= limit && item[a].patient != item[b].patient && item[a].volume != item[b].volume &&
                cosine(m->raw + p * n, m->raw + q * n, n) >= RAD_NEAR_COPY)
                st = each(payload, a < b ? a : b, a < b ? b : a, 1 - (double)d / 2, false, err);
        }
    return st;
}

/* The signatures like that of item `first`, from there on. */
static rad_status gather(const rad_copy_item *item, int64_t n_item, int64_t first, bool *done, matrix *m, rad_error *err) {
    const int64_t n = length_of(&item[first]);
    const size_t all = (size_t)(n_item - first), floats = all * (size_t)n;
    *m = (matrix){.n = n,
                  .item = rad_calloc(all, sizeof *m->item),
                  .raw = rad_calloc(floats, sizeof *m->raw),
                  .own = rad_calloc(floats, sizeof *m->own),
                  .x = rad_calloc(floats, sizeof *m->x),
                  .head = rad_calloc(all * HEAD, sizeof *m->head),
                  .e = rad_calloc(all, sizeof *m->e)};
    if (!m->item || !m->raw || !m->own || !m->x || !m->head || !m->e)
        return rad_error_set(err, RAD_E_NOMEM, "out of memory for the signatures of %" PRId64 " volumes", n_item);
    for (int64_t i = first; i < n_item; i++) {
        if (done[i] || length_of(&item[i]) != n || strcmp(item[i].sequence, item[first].sequence) != 0)
            continue;
        done[i] = true;
        if (unpack(item[i].signature, n, m->raw + m->rows * n))
            m->item[m->rows++] = i;
    }
    return RAD_OK;
}

rad_status rad_copies_find(const rad_copy_item *item, int64_t n_item, rad_copy_fn *each, void *payload, rad_error *err) {
    rad_status st = RAD_OK;
    bool *done = rad_calloc((size_t)n_item + 1, sizeof *done);
    entry *e = rad_malloc((size_t)(n_item + 1) * sizeof *e);
    if (!e || !done) {
        st = rad_error_set(err, RAD_E_NOMEM, "out of memory for %" PRId64 " volumes", n_item);
        goto out;
    }
    for (int64_t i = 0; i < n_item; i++)
        e[i] = (entry){(double)item[i].volume, i};
    if (n_item > 0)
        qsort(e, (size_t)n_item, sizeof *e, by_first);
    for (int64_t i = 0; i < n_item; i++)
        for (int64_t j = i + 1; j < n_item && e[j].first == e[i].first; j++)
            if (item[e[i].at].patient != item[e[j].at].patient)
                RAD_TRY(each(payload, e[i].at, e[j].at, 1, true, err));
    for (int64_t i = 0; i < n_item; i++) {
        const int64_t n = length_of(&item[i]);
        matrix m;
        if (done[i] || n < 1 || n > RAD_STORE_SIGNATURE)
            continue;
        st = gather(item, n_item, i, done, &m, err);
        if (st == RAD_OK)
            st = sweep(item, &m, each, payload, err);
        release(&m);
        if (st != RAD_OK)
            goto out;
    }
out:
    free(e);
    free(done);
    return st;
}

/* ---------------------------------------------------------------- the run */

typedef struct finding {
    struct rad_store *st;
    int64_t run, n_pair;
    rad_copy_item *item;
    int64_t n, cap;
} finding;

static rad_status put_pair(void *payload, int64_t a, int64_t b, double similarity, bool same, rad_error *err) {
    finding *f = payload;
    if (f->n_pair++ >= RAD_MAX_COPY_PAIRS)
        return RAD_OK;
    rad_query q = rad_query_start(f->st, SQL_PUT);
    rad_bind_int(&q, f->run);
    rad_bind_int(&q, f->item[a].image);
    rad_bind_int(&q, f->item[b].image);
    rad_bind_real(&q, similarity);
    rad_bind_int(&q, same);
    return rad_query_exec(&q, err);
}

static rad_status read_items(finding *f, rad_error *err) {
    bool row = false;
    rad_status s;
    rad_query q = rad_query_start(f->st, SQL_VOLUMES);
    rad_bind_int(&q, f->run);
    while ((s = rad_query_row(&q, &row, err)) == RAD_OK && row) {
        if (f->n == f->cap) {
            int64_t cap = f->cap ? 2 * f->cap : 256;
            rad_copy_item *p = rad_realloc(f->item, (size_t)cap, sizeof *p);
            if (!p) {
                s = rad_error_set(err, RAD_E_NOMEM, "out of memory for %" PRId64 " volumes", cap);
                break;
            }
            f->item = p;
            f->cap = cap;
        }
        const char *text = rad_column_text(&q, 4), *sequence = rad_column_text(&q, 5);
        rad_copy_item *i = &f->item[f->n];
        *i = (rad_copy_item){.volume = sqlite3_column_int64(q.stmt, 0),
                             .patient = sqlite3_column_int64(q.stmt, 1),
                             .image = sqlite3_column_int64(q.stmt, 2),
                             .signature = text ? rad_strdup(text) : NULL,
                             .sequence = rad_strdup(sequence)};
        f->n++;
        if ((text && !i->signature) || !i->sequence) {
            s = rad_error_set(err, RAD_E_NOMEM, "out of memory for a signature");
            break;
        }
    }
    rad_query_end(&q);
    return s;
}

static rad_status run_sql(struct rad_store *st, const char *sql, int64_t run, int64_t limit, rad_error *err) {
    rad_query q = rad_query_start(st, sql);
    rad_bind_int(&q, run);
    if (limit > 0)
        rad_bind_int(&q, limit);
    return rad_query_exec(&q, err);
}

rad_status rad_finish_copies(struct rad_store *st, int64_t run, rad_error *err) {
    finding f = {.st = st, .run = run};
    rad_status s = run_sql(st, SQL_CLEAR, run, 0, err);
    if (s == RAD_OK)
        s = read_items(&f, err);
    if (s == RAD_OK)
        s = rad_copies_find(f.item, f.n, put_pair, &f, err);
    if (s == RAD_OK)
        s = run_sql(st, SQL_SEEN, run, RAD_MAX_COPY_PAIRS, err);
    if (s == RAD_OK)
        s = run_sql(st, SQL_WARN, run, RAD_MAX_COPY_WARNINGS, err);
    for (int64_t i = 0; i < f.n; i++) {
        free(f.item[i].signature);
        free(f.item[i].sequence);
    }
    free(f.item);
    return s;
}

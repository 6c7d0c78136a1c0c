/* verify.c: does the file still hold what was sealed? Reads row by row, without a transaction around it: results and finished runs do not
 * change any more, and a run at work is not kept from committing. */
#include "seal_marks.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const char SQL_NEXT_RESULT[] = "SELECT re.result_id, re.result_key, rs.seal FROM result re"
                                      " LEFT JOIN result_seal rs ON rs.result_id = re.result_id WHERE re.result_id > ?1"
                                      " ORDER BY re.result_id LIMIT 1";
static const char SQL_RESULT_MARKS[] = "SELECT marks, n_slice, n_class FROM result_seal JOIN result USING (result_id) WHERE result_id = ?1";
static const char SQL_RESULT_USE[] =
    "SELECT rm.run_id, rm.model||' / '||coalesce(p.patient, '?')||coalesce(' / '||l.lesion, '')||' / '||coalesce(m.study, '')"
    " FROM run_result rr JOIN run_model rm ON rm.run_model_id = rr.run_model_id LEFT JOIN manifest m ON m.case_id = rr.case_id"
    " LEFT JOIN patient p ON p.patient_id = m.patient_id LEFT JOIN lesion l ON l.lesion_id = m.lesion_id WHERE rr.result_id = ?1"
    " ORDER BY rm.run_id, 2 LIMIT 1";
static const char SQL_LOST_RESULT[] =
    "SELECT id FROM (SELECT result_id AS id FROM result_seal UNION SELECT result_id FROM run_result UNION SELECT result_id FROM slice"
    " UNION SELECT result_id FROM slice_score) WHERE id > ?1 AND id NOT IN (SELECT result_id FROM result) ORDER BY id LIMIT 1";
static const char SQL_SLICES[] = "SELECT slice, stored_slice, x0, y0, x1, y1, mismatch_mm FROM slice WHERE result_id = ?1 ORDER BY slice";
static const char SQL_RUNS[] = "SELECT run_id, state, identity FROM run WHERE run_id > ?1 ORDER BY run_id LIMIT 1";
static const char SQL_SEALS[] =
    "SELECT s.seal_id, s.run_id, s.object, s.n_row, s.content, s.previous, s.seal, r.identity, r.job FROM seal s"
    " LEFT JOIN run r ON r.run_id = s.run_id WHERE s.seal_id > ?1 ORDER BY s.seal_id LIMIT 1";
static const char SQL_LAST[] = "SELECT seal_id, n_row, content FROM seal WHERE run_id = ?1 AND object = ?2 ORDER BY seal_id DESC LIMIT 1";
static const char SQL_LAST_COHORT[] = "SELECT seal_id, n_row, content, run_id FROM seal WHERE object = ?1 ORDER BY seal_id DESC LIMIT 1";
static const char SQL_HAS_LINK[] = "SELECT count(*) FROM seal WHERE seal = ?1 AND object NOT IN " RAD_SEAL_ASIDE;

struct check {
    struct rad_store *st;
    int (*found)(const rad_seal_finding *f, void *payload);
    void *payload;
    rad_seal_report *report;
};

static rad_status tell(struct check *c, int64_t run, const char *table, const char *what, const char *row, rad_error *err) {
    char text[RAD_MAX_SEAL_NAME + 64];
    size_t n = 0;
    for (const char *p = row; *p && n + 4 < sizeof text; p++) {
        if (*p == RAD_SEAL_BREAK) {
            memcpy(text + n, " / ", 3);
            n += 3;
        } else {
            text[n++] = *p;
        }
    }
    text[n] = 0;
    c->report->n_finding++;
    const rad_seal_finding f = {run, table, what, text};
    return c->found(&f, c->payload) == 0 ? RAD_OK : rad_error_set(err, RAD_E_STOPPED, "stopped by the caller");
}

/* ---------------------------------------------------------------- results */

/* Who uses a result, for people. */
static rad_status use_of(struct check *c, int64_t result, const char *key, int64_t *ret_run, char *ret, size_t cap, rad_error *err) {
    bool row = false;
    rad_query q = rad_query_start(c->st, SQL_RESULT_USE);
    rad_bind_int(&q, result);
    rad_status s = rad_query_row(&q, &row, err);
    *ret_run = s == RAD_OK && row ? sqlite3_column_int64(q.stmt, 0) : 0;
    if (s == RAD_OK)
        snprintf(ret, cap, "%.900s%s%.16s%s", row ? rad_column_text(&q, 1) : "", row ? " (result " : "result ", key, row ? ")" : "");
    rad_query_end(&q);
    return s;
}

static uint32_t mark_at(const rad_buf *b, size_t i) {
    const uint8_t *p = (const uint8_t *)b->data + i * RAD_SEAL_TAG;
    return (size_t)(i + 1) * RAD_SEAL_TAG <= b->size ? (uint32_t)(p[0] | p[1] << 8 | p[2] << 16) | (uint32_t)p[3] << 24 : 0;
}

/* Slices by their numbers in both marks, ascending. */
static rad_status compare_slices(struct check *c, int64_t run, const char *use, const rad_buf *was, size_t n_was, const rad_buf *is,
                                 size_t n_is, int64_t *ret_told, rad_error *err) {
    rad_status s = RAD_OK;
    char text[1200];
    for (size_t i = 0, k = 0; (i < n_was || k < n_is) && s == RAD_OK;) {
        const uint32_t a = mark_at(was, 2 * i), b = mark_at(is, 2 * k);
        const bool gone = i < n_was && (k == n_is || a < b), added = k < n_is && (i == n_was || b < a);
        if (gone || added || mark_at(was, 2 * i + 1) != mark_at(is, 2 * k + 1)) {
            snprintf(text, sizeof text, "%s, slice %u", use, gone ? a : b);
            s = tell(c, run, "slice", gone ? "deleted" : added ? "inserted" : "changed", text, err);
            ++*ret_told;
        }
        i += !added;
        k += !gone;
    }
    return s;
}

/* Scores stand class by class, in the order of the slices. */
static rad_status compare_scores(struct check *c, int64_t result, int64_t run, const char *use, const rad_buf *was, size_t n_was,
                                 const rad_buf *is, size_t n_is, size_t n_class, int64_t *ret_told, rad_error *err) {
    static const char SQL_SCORES[] = "SELECT class_index, slice FROM slice_score WHERE result_id = ?1 ORDER BY class_index, slice";
    rad_status s = RAD_OK;
    char text[1200];
    bool row = false;
    size_t at = 0, seen = 0; /* among the sealed ones; among those that are there */
    const size_t n = n_was * n_class;
    rad_query q = rad_query_start(c->st, SQL_SCORES);
    rad_bind_int(&q, result);
    s = rad_query_row(&q, &row, err);
    while ((at < n || row) && s == RAD_OK) {
        const int64_t k = at < n ? (int64_t)(at / n_was) : INT64_MAX, slice = at < n ? (int64_t)mark_at(was, 2 * (at % n_was)) : INT64_MAX;
        const int64_t k2 = row ? sqlite3_column_int64(q.stmt, 0) : INT64_MAX, slice2 = row ? sqlite3_column_int64(q.stmt, 1) : INT64_MAX;
        const bool gone = k < k2 || (k == k2 && slice < slice2), added = k2 < k || (k == k2 && slice2 < slice);
        if (gone || added || mark_at(was, 2 * n_was + at) != mark_at(is, 2 * n_is + seen)) {
            snprintf(text, sizeof text, "%s, slice %" PRId64 ", class %" PRId64, use, gone ? slice : slice2, gone ? k : k2);
            s = tell(c, run, "slice_score", gone ? "deleted" : added ? "inserted" : "changed", text, err);
            ++*ret_told;
        }
        at += !added;
        seen += !gone;
        if (!gone && s == RAD_OK)
            s = rad_query_row(&q, &row, err);
    }
    rad_query_end(&q);
    return s;
}

/* A result that is not what was sealed: which of its rows is it? */
static rad_status find_in_result(struct check *c, int64_t result, const char *key, const rad_buf *is, rad_error *err) {
    int64_t run = 0, told = 0, n_is = 0, n_was = 0, n_class = 0;
    bool row = false;
    char use[1024];
    rad_buf was;
    rad_buf_init(&was, (size_t)1 << 29);
    rad_status s = use_of(c, result, key, &run, use, sizeof use, err);
    rad_query q = rad_query_start(c->st, SQL_RESULT_MARKS);
    rad_bind_int(&q, result);
    if (s == RAD_OK)
        s = rad_query_row(&q, &row, err);
    if (s == RAD_OK && row) {
        const void *marks = sqlite3_column_blob(q.stmt, 0);
        const size_t n = (size_t)sqlite3_column_bytes(q.stmt, 0);
        n_class = sqlite3_column_int64(q.stmt, 2);
        if (n_class < 1 || n_class > RAD_MAX_CLASSES)
            n_class = 0;                                     /* it was changed itself */
        n_was = (int64_t)(n / RAD_SEAL_TAG) / (n_class + 2); /* per slice: number, tag, and a tag per class */
        s = n > 0 ? rad_buf_put(&was, marks, n, err) : RAD_OK;
    }
    rad_query_end(&q);
    q = rad_query_start(c->st, SQL_SLICES);
    rad_bind_int(&q, result);
    while (s == RAD_OK && (s = rad_query_row(&q, &row, err)) == RAD_OK && row)
        n_is++;
    rad_query_end(&q);
    if (s == RAD_OK && n_class > 0 && n_was * (n_class + 2) * RAD_SEAL_TAG == (int64_t)was.size) {
        s = compare_slices(c, run, use, &was, (size_t)n_was, is, (size_t)n_is, &told, err);
        if (s == RAD_OK)
            s = compare_scores(c, result, run, use, &was, (size_t)n_was, is, (size_t)n_is, (size_t)n_class, &told, err);
    }
    if (s == RAD_OK && told == 0)
        s = tell(c, run, "result", "changed", use, err);
    rad_buf_release(&was);
    return s;
}

static rad_status check_results(struct check *c, rad_error *err) {
    int64_t id = 0, run = 0;
    bool row = true;
    char key[RAD_SHA256_HEX], sealed[RAD_SHA256_HEX], is[RAD_SHA256_HEX], use[1024];
    rad_buf mark;
    rad_buf_init(&mark, (size_t)1 << 29);
    rad_status s = RAD_OK;
    while (s == RAD_OK) {
        rad_query q = rad_query_start(c->st, SQL_NEXT_RESULT);
        rad_bind_int(&q, id);
        s = rad_query_row(&q, &row, err);
        if (s != RAD_OK || !row)
            break;
        id = sqlite3_column_int64(q.stmt, 0);
        snprintf(key, sizeof key, "%s", rad_column_text(&q, 1));
        snprintf(sealed, sizeof sealed, "%s", rad_column_text(&q, 2) ? rad_column_text(&q, 2) : "");
        rad_query_end(&q);
        rad_buf_clear(&mark);
        c->report->n_result++;
        if (!sealed[0]) {
            s = use_of(c, id, key, &run, use, sizeof use, err);
            s = s == RAD_OK ? tell(c, run, "result", "inserted", use, err) : s;
            continue;
        }
        s = rad_seal_read_result(c->st, id, is, &mark, err);
        if (s == RAD_OK && strcmp(is, sealed) != 0)
            s = find_in_result(c, id, key, &mark, err);
    }
    for (id = 0; s == RAD_OK;) {
        rad_query q = rad_query_start(c->st, SQL_LOST_RESULT);
        rad_bind_int(&q, id);
        s = rad_query_row(&q, &row, err);
        if (s != RAD_OK || !row)
            break;
        id = sqlite3_column_int64(q.stmt, 0);
        rad_query_end(&q);
        snprintf(key, sizeof key, "%" PRId64, id);
        s = use_of(c, id, key, &run, use, sizeof use, err);
        s = s == RAD_OK ? tell(c, run, "result", "deleted", use, err) : s;
    }
    rad_buf_release(&mark);
    return s;
}

/* ---------------------------------------------------------------- rows of a run */

static rad_status find_in_rows(struct check *c, int64_t run, const rad_seal_object *o, int64_t seal, rad_error *err) {
    const int64_t before = c->report->n_finding;
    bool row = false;
    rad_seal_row *r = rad_calloc(1, sizeof *r);
    rad_seal_marks *m = NULL;
    rad_buf scratch;
    rad_buf_init(&scratch, RAD_MAX_SEAL_PART);
    rad_status s = r ? rad_seal_marks_open(c->st, seal, &m, err) : rad_error_set(err, RAD_E_NOMEM, "out of memory for a row");
    rad_query q = rad_seal_start(c->st, o, run);
    if (s == RAD_OK) {
        s = rad_seal_marks_next(m, err);
        if (s == RAD_OK)
            s = rad_seal_next(&q, &scratch, &row, r, err);
    }
    while (s == RAD_OK && (row || m->there)) {
        const int by = !row ? 1 : !m->there ? -1 : rad_seal_name_order(r->name, r->n_name, m->name, m->n_name);
        if (by != 0)
            s = tell(c, run, o->name, by < 0 ? "inserted" : "deleted", by < 0 ? r->name : m->name, err);
        else if (memcmp(r->digest, m->tag, RAD_SEAL_TAG) != 0)
            s = tell(c, run, o->name, "changed", r->name, err);
        if (by >= 0 && s == RAD_OK)
            s = rad_seal_marks_next(m, err);
        if (by <= 0 && s == RAD_OK)
            s = rad_seal_next(&q, &scratch, &row, r, err);
    }
    rad_query_end(&q);
    if (s == RAD_OK && c->report->n_finding == before)
        s = tell(c, run, o->name, "changed", "a row that cannot be told from its neighbours", err);
    rad_seal_marks_close(&m);
    rad_buf_release(&scratch);
    free(r);
    return s;
}

static rad_status check_object(struct check *c, int64_t run, const rad_seal_object *o, rad_error *err) {
    bool row = false, full;
    int64_t seal = 0, n_row = 0;
    char content[RAD_SHA256_HEX] = "";
    const bool cohort = o->kind == RAD_SEAL_COHORT;
    rad_query q = rad_query_start(c->st, cohort ? SQL_LAST_COHORT : SQL_LAST);
    if (!cohort)
        rad_bind_int(&q, run);
    rad_bind_text(&q, o->name);
    rad_status s = rad_query_row(&q, &row, err);
    if (s == RAD_OK && row) {
        seal = sqlite3_column_int64(q.stmt, 0);
        n_row = sqlite3_column_int64(q.stmt, 1);
        snprintf(content, sizeof content, "%s", rad_column_text(&q, 2));
        run = cohort ? sqlite3_column_int64(q.stmt, 3) : run;
    }
    rad_query_end(&q);
    if (s != RAD_OK)
        return s;
    if (seal == 0)
        return tell(c, run, "seal", "deleted", o->name, err);
    rad_seal_row *r = rad_calloc(1, sizeof *r);
    if (!r)
        return rad_error_set(err, RAD_E_NOMEM, "out of memory for a row");
    rad_buf scratch;
    rad_buf_init(&scratch, RAD_MAX_SEAL_PART);
    rad_seal_sum sum;
    rad_seal_sum_init(&sum);
    q = rad_seal_start(c->st, o, run);
    while ((s = rad_seal_next(&q, &scratch, &row, r, err)) == RAD_OK && row)
        if ((s = rad_seal_sum_add(&sum, r, &full, err)) != RAD_OK)
            break;
    rad_query_end(&q);
    if (s == RAD_OK)
        s = rad_seal_sum_end(&sum, err);
    c->report->n_row += sum.n;
    if (s == RAD_OK && (sum.n != n_row || strcmp(sum.content, content) != 0))
        s = find_in_rows(c, run, o, seal, err);
    rad_seal_sum_release(&sum);
    rad_buf_release(&scratch);
    free(r);
    return s;
}

/* The seal and its rows as they stood at one moment: a night that is just being written is there with both or with none. */
static rad_status check_whole(struct check *c, int64_t run, const rad_seal_object *o, rad_error *err) {
    rad_status s = rad_sql_script(c->st, "BEGIN", "reading seals", err);
    if (s != RAD_OK)
        return s;
    s = check_object(c, run, o, err);
    (void)sqlite3_exec(c->st->db, "COMMIT", NULL, NULL, NULL);
    return s;
}

static rad_status check_runs(struct check *c, rad_error *err) {
    int64_t run = 0, first = 0;
    bool row = false;
    rad_status s = RAD_OK;
    while (s == RAD_OK) {
        rad_query q = rad_query_start(c->st, SQL_RUNS);
        rad_bind_int(&q, run);
        s = rad_query_row(&q, &row, err);
        if (s != RAD_OK || !row)
            break;
        run = sqlite3_column_int64(q.stmt, 0);
        const bool finished = strcmp(rad_column_text(&q, 1), "finished") == 0;
        rad_query_end(&q);
        c->report->n_run += finished;
        c->report->n_open += !finished;
        for (int i = 0; rad_seal_object_at(i) && s == RAD_OK; i++) {
            const rad_seal_object *o = rad_seal_object_at(i);
            if (o->kind == RAD_SEAL_COHORT ? first == 0 : finished) /* the cohort's tables stand there once */
                s = check_whole(c, run, o, err);
        }
        first = first == 0 ? run : first;
    }
    return s;
}

/* ---------------------------------------------------------------- the chain */

static rad_status check_chain(struct check *c, rad_error *err) {
    int64_t id = 0;
    bool row = false;
    char last[RAD_SHA256_HEX] = "", link[RAD_SHA256_HEX], text[128];
    rad_status s = RAD_OK;
    while (s == RAD_OK) {
        rad_query q = rad_query_start(c->st, SQL_SEALS);
        rad_bind_int(&q, id);
        s = rad_query_row(&q, &row, err);
        if (s != RAD_OK || !row)
            break;
        const int64_t before = id, run = sqlite3_column_int64(q.stmt, 1);
        const char *object = rad_column_text(&q, 2), *previous = rad_column_text(&q, 5), *seal = rad_column_text(&q, 6),
                   *identity = rad_column_text(&q, 7);
        id = sqlite3_column_int64(q.stmt, 0);
        c->report->n_seal++;
        s = rad_seal_link(previous, identity ? identity : "", object, sqlite3_column_int64(q.stmt, 3), rad_column_text(&q, 4), link, err);
        const char *what = id != before + 1                    ? "deleted before"
                           : !identity                         ? "without its run:"
                           : strcmp(previous, last) != 0       ? "not linked to the one before it:"
                           : s == RAD_OK && strcmp(link, seal) ? "changed"
                                                               : NULL;
        snprintf(text, sizeof text, "seal %" PRId64 " (%.60s)", id, object);
        if (!rad_seal_is_aside(object))
            snprintf(last, sizeof last, "%s", seal);
        rad_query_end(&q);
        if (s == RAD_OK && what)
            s = tell(c, run, "seal", what, text, err);
    }
    memcpy(c->report->head, last, sizeof last);
    return s;
}

rad_status rad_store_verify(rad_store *st, const char *head, int (*found)(const rad_seal_finding *f, void *payload), void *payload,
                            rad_seal_report *ret, rad_error *err) {
    *ret = (rad_seal_report){0};
    struct check c = {st, found, payload, ret};
    int64_t has_head = 1;
    rad_status s = check_chain(&c, err);
    if (s == RAD_OK && head) {
        rad_query q = rad_query_start(st, SQL_HAS_LINK);
        rad_bind_text(&q, head);
        s = rad_query_int(&q, &has_head, err);
    }
    if (s == RAD_OK && has_head == 0)
        s = tell(&c, 0, "seal", "not in the chain:", head, err);
    if (s == RAD_OK)
        s = check_results(&c, err);
    return s == RAD_OK ? check_runs(&c, err) : s;
}

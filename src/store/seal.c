/* seal.c: see seal.h. */
#include "seal.h"

#include "seal_marks.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char SQL_RESULT[] = "SELECT re.result_key, mo.sha256, re.n_slice, re.n_class, re.input_mean, re.input_sd FROM result re"
                                 " LEFT JOIN model mo ON mo.model_id = re.model_id WHERE re.result_id = ?1";
static const char SQL_SLICES[] = "SELECT slice, stored_slice, x0, y0, x1, y1, mismatch_mm FROM slice WHERE result_id = ?1 ORDER BY slice";
static const char SQL_SCORES[] = "SELECT class_index, slice, score FROM slice_score WHERE result_id = ?1 ORDER BY class_index, slice";
static const char SQL_PUT_RESULT[] = "INSERT INTO result_seal (result_id, seal, marks) VALUES (?1, ?2, ?3)";
static const char SQL_IDENTITY[] = "SELECT identity FROM run WHERE run_id = ?1";
static const char SQL_FINISHED[] = "SELECT count(*) FROM run WHERE run_id = ?1 AND state = 'finished'";
static const char SQL_NEXT_ID[] = "SELECT coalesce(max(seal_id), 0) + 1 FROM seal";
static const char SQL_LAST_LINK[] = "SELECT seal FROM seal WHERE object NOT IN " RAD_SEAL_ASIDE " ORDER BY seal_id DESC LIMIT 1";
static const char SQL_LAST_CONTENT[] = "SELECT content FROM seal WHERE run_id = ?1 AND object = ?2 ORDER BY seal_id DESC LIMIT 1";
static const char SQL_LAST_COHORT[] = "SELECT content FROM seal WHERE object = ?1 ORDER BY seal_id DESC LIMIT 1";
static const char SQL_DROP_MARKS[] = "DELETE FROM seal_marks WHERE seal_id = ?1";
static const char SQL_PUT[] =
    "INSERT INTO seal (seal_id, run_id, object, n_row, content, previous, seal) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";

/* ---------------------------------------------------------------- bytes */

static rad_status put_le(rad_buf *b, uint64_t v, size_t n, rad_error *err) {
    uint8_t bytes[8];
    for (size_t i = 0; i < n; i++)
        bytes[i] = (uint8_t)(v >> (8 * i));
    return rad_buf_put(b, bytes, n, err);
}

/* A value with its type: no two rows have the same bytes. */
static rad_status put_column(rad_buf *b, sqlite3_stmt *q, int i, rad_error *err) {
    const int type = sqlite3_column_type(q, i);
    double real = 0;
    uint64_t bits = 0;
    rad_status s = put_le(b, (uint64_t)type, 1, err);
    if (s != RAD_OK || type == SQLITE_NULL)
        return s;
    switch (type) {
    case SQLITE_INTEGER:
        return put_le(b, (uint64_t)sqlite3_column_int64(q, i), 8, err);
    case SQLITE_FLOAT:
        real = sqlite3_column_double(q, i);
        memcpy(&bits, &real, sizeof bits);
        return put_le(b, bits, 8, err);
    default: {
        const void *text = sqlite3_column_blob(q, i); /* first: its size is that of what was asked for last */
        const size_t n = (size_t)sqlite3_column_bytes(q, i);
        s = put_le(b, n, 8, err);
        return s == RAD_OK && n > 0 ? rad_buf_put(b, text, n, err) : s;
    }
    }
}

static rad_status hash(const rad_buf *b, uint8_t ret[RAD_SHA256_BYTES], rad_error *err) {
    char hex[RAD_SHA256_HEX];
    rad_status s = rad_sha256(b->data, b->size, hex, err);
    if (s == RAD_OK && !rad_sha256_bytes(hex, ret))
        s = rad_error_set(err, RAD_E_INTERNAL, "a hash without digits");
    return s;
}

/* FNV-1a: finds the row, the SHA-256 over all proves it. */
static uint32_t tag_of(const char *p, size_t n) {
    uint32_t h = 2166136261u;
    for (size_t i = 0; i < n; i++)
        h = (h ^ (uint8_t)p[i]) * 16777619u;
    return h;
}

/* ---------------------------------------------------------------- rows and sums */

rad_query rad_seal_start(struct rad_store *st, const rad_seal_object *o, int64_t run) {
    rad_query q = rad_query_start(st, o->sql);
    if (o->kind != RAD_SEAL_COHORT)
        rad_bind_int(&q, run);
    return q;
}

bool rad_seal_is_aside(const char *object) {
    char quoted[64];
    const int n = snprintf(quoted, sizeof quoted, "'%s'", object);
    return n < (int)sizeof quoted && strstr(RAD_SEAL_ASIDE, quoted);
}

rad_status rad_seal_next(rad_query *q, rad_buf *b, bool *ret_row, rad_seal_row *ret, rad_error *err) {
    rad_status s = rad_query_row(q, ret_row, err);
    if (s != RAD_OK || !*ret_row)
        return s;
    const char *name = rad_column_text(q, 0);
    const size_t n = name ? (size_t)sqlite3_column_bytes(q->stmt, 0) : 0;
    rad_buf_clear(b);
    for (int i = 0; i < sqlite3_column_count(q->stmt) && s == RAD_OK; i++)
        s = put_column(b, q->stmt, i, err);
    if (s == RAD_OK)
        s = hash(b, ret->digest, err);
    name = rad_column_text(q, 0);
    ret->n_name = n < RAD_MAX_SEAL_NAME ? n : RAD_MAX_SEAL_NAME - 1; /* a longer one is told by its beginning */
    memcpy(ret->name, name ? name : "", ret->n_name);
    ret->name[ret->n_name] = 0;
    return s;
}

void rad_seal_sum_init(rad_seal_sum *s) {
    *s = (rad_seal_sum){0};
    rad_buf_init(&s->digests, RAD_SEAL_ROWS * RAD_SHA256_BYTES + RAD_SHA256_HEX);
}

void rad_seal_sum_release(rad_seal_sum *s) {
    rad_buf_release(&s->digests);
}

/* A full part goes into the hash together with the hash so far. */
static rad_status fold(rad_seal_sum *s, rad_error *err) {
    rad_status st = rad_buf_put(&s->digests, s->content, strlen(s->content), err);
    if (st == RAD_OK)
        st = rad_sha256(s->digests.data, s->digests.size, s->content, err);
    rad_buf_clear(&s->digests);
    return st;
}

rad_status rad_seal_sum_add(rad_seal_sum *s, const rad_seal_row *r, bool *ret_full, rad_error *err) {
    rad_status st = rad_buf_put(&s->digests, r->digest, RAD_SHA256_BYTES, err);
    *ret_full = ++s->n % RAD_SEAL_ROWS == 0;
    return st == RAD_OK && *ret_full ? fold(s, err) : st;
}

rad_status rad_seal_sum_end(rad_seal_sum *s, rad_error *err) {
    return s->n == 0 || s->n % RAD_SEAL_ROWS != 0 ? fold(s, err) : RAD_OK;
}

rad_status rad_seal_link(const char *previous, const char *identity, const char *object, int64_t n, const char *content,
                         char ret[RAD_SHA256_HEX], rad_error *err) {
    rad_buf b;
    rad_buf_init(&b, 4096);
    rad_status s = rad_buf_printf(&b, err, "radcohort seal 1\n%s\n%s\n%s\n%" PRId64 "\n%s\n", previous, identity, object, n, content);
    if (s == RAD_OK)
        s = rad_sha256(b.data, b.size, ret, err);
    rad_buf_release(&b);
    return s;
}

/* ---------------------------------------------------------------- a result */

static rad_status add_rows(struct rad_store *st, const char *sql, int64_t result, bool slices, rad_buf *b, rad_buf *mark, rad_error *err) {
    bool row = false;
    rad_status s;
    rad_query q = rad_query_start(st, sql);
    rad_bind_int(&q, result);
    while ((s = rad_query_row(&q, &row, err)) == RAD_OK && row) {
        const size_t from = b->size;
        for (int i = 0; i < sqlite3_column_count(q.stmt) && s == RAD_OK; i++)
            s = put_column(b, q.stmt, i, err);
        if (s == RAD_OK && slices)
            s = put_le(mark, (uint64_t)sqlite3_column_int64(q.stmt, 0), RAD_SEAL_TAG, err);
        if (s == RAD_OK)
            s = put_le(mark, tag_of(b->data + from, b->size - from), RAD_SEAL_TAG, err);
        if (s != RAD_OK)
            break;
    }
    rad_query_end(&q);
    return s;
}

rad_status rad_seal_read_result(struct rad_store *st, int64_t result, char ret[RAD_SHA256_HEX], rad_buf *mark, rad_error *err) {
    bool row = false;
    rad_buf b;
    rad_buf_init(&b, (size_t)1 << 30);
    rad_status s = rad_buf_printf(&b, err, "radcohort result 1\n");
    rad_query q = rad_query_start(st, SQL_RESULT);
    rad_bind_int(&q, result);
    if (s == RAD_OK)
        s = rad_query_row(&q, &row, err);
    for (int i = 0; row && i < sqlite3_column_count(q.stmt) && s == RAD_OK; i++)
        s = put_column(&b, q.stmt, i, err);
    rad_query_end(&q);
    if (s == RAD_OK)
        s = add_rows(st, SQL_SLICES, result, true, &b, mark, err);
    if (s == RAD_OK)
        s = add_rows(st, SQL_SCORES, result, false, &b, mark, err);
    if (s == RAD_OK)
        s = rad_sha256(b.data, b.size, ret, err);
    rad_buf_release(&b);
    return s;
}

rad_status rad_seal_result(struct rad_store *st, int64_t result, rad_error *err) {
    char seal[RAD_SHA256_HEX];
    rad_buf mark;
    rad_buf_init(&mark, (size_t)1 << 29);
    rad_status s = rad_seal_read_result(st, result, seal, &mark, err);
    if (s == RAD_OK) {
        rad_query q = rad_query_start(st, SQL_PUT_RESULT);
        rad_bind_int(&q, result);
        rad_bind_text(&q, seal);
        rad_bind_blob(&q, &mark);
        s = rad_query_exec(&q, err);
    }
    rad_buf_release(&mark);
    return s;
}

/* ---------------------------------------------------------------- a run */

/* One text, "" when there is no row. */
static rad_status read_hex(rad_query *q, char ret[RAD_SHA256_HEX], rad_error *err) {
    bool row = false;
    rad_status s = rad_query_row(q, &row, err);
    snprintf(ret, RAD_SHA256_HEX, "%s", s == RAD_OK && row ? rad_column_text(q, 0) : "");
    rad_query_end(q);
    return s;
}

static rad_status seal_object(struct rad_store *st, int64_t run, const char *identity, const rad_seal_object *o, rad_error *err) {
    int64_t id = 0;
    char last[RAD_SHA256_HEX], previous[RAD_SHA256_HEX], link[RAD_SHA256_HEX];
    rad_seal_sum sum;
    rad_seal_sum_init(&sum);
    rad_query q = rad_query_start(st, SQL_NEXT_ID);
    rad_status s = rad_query_int(&q, &id, err);
    if (s == RAD_OK)
        s = rad_seal_put_marks(st, run, o, id, &sum, err);
    if (s == RAD_OK) {
        q = rad_query_start(st, o->kind == RAD_SEAL_COHORT ? SQL_LAST_COHORT : SQL_LAST_CONTENT);
        if (o->kind != RAD_SEAL_COHORT)
            rad_bind_int(&q, run);
        rad_bind_text(&q, o->name);
        s = read_hex(&q, last, err);
    }
    if (s == RAD_OK && strcmp(last, sum.content) == 0) { /* sealed already */
        q = rad_query_start(st, SQL_DROP_MARKS);
        rad_bind_int(&q, id);
        s = rad_query_exec(&q, err);
    } else if (s == RAD_OK) {
        q = rad_query_start(st, SQL_LAST_LINK);
        s = read_hex(&q, previous, err);
        if (s == RAD_OK)
            s = rad_seal_link(previous, identity, o->name, sum.n, sum.content, link, err);
        if (s == RAD_OK) {
            q = rad_query_start(st, SQL_PUT);
            rad_bind_int(&q, id);
            rad_bind_int(&q, run);
            rad_bind_text(&q, o->name);
            rad_bind_int(&q, sum.n);
            rad_bind_text(&q, sum.content);
            rad_bind_text(&q, previous);
            rad_bind_text(&q, link);
            s = rad_query_exec(&q, err);
        }
    }
    rad_seal_sum_release(&sum);
    return s;
}

/* Those of the kinds first to last. */
static rad_status seal_kinds(struct rad_store *st, int64_t run, rad_seal_kind first, rad_seal_kind last, rad_error *err) {
    char identity[RAD_SHA256_HEX];
    rad_query q = rad_query_start(st, SQL_IDENTITY);
    rad_bind_int(&q, run);
    rad_status s = read_hex(&q, identity, err);
    for (int i = 0; rad_seal_object_at(i) && s == RAD_OK; i++) {
        const rad_seal_object *o = rad_seal_object_at(i);
        if (o->kind >= first && o->kind <= last)
            s = seal_object(st, run, identity, o, err);
    }
    return s;
}

rad_status rad_seal_run(struct rad_store *st, int64_t run, rad_error *err) {
    return seal_kinds(st, run, RAD_SEAL_RUN, RAD_SEAL_NIGHT, err);
}

rad_status rad_seal_nights(struct rad_store *st, int64_t run, rad_error *err) {
    int64_t finished = 0;
    rad_query q = rad_query_start(st, SQL_FINISHED);
    rad_bind_int(&q, run);
    rad_status s = rad_query_int(&q, &finished, err);
    return s == RAD_OK && finished > 0 ? seal_kinds(st, run, RAD_SEAL_NIGHT, RAD_SEAL_NIGHT, err) : s;
}

rad_status rad_seal_cohort(struct rad_store *st, int64_t run, rad_error *err) {
    return seal_kinds(st, run, RAD_SEAL_COHORT, RAD_SEAL_COHORT, err);
}

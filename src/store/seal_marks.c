/* seal_marks.c: see seal_marks.h. */
#include "seal_marks.h"

#include <stdlib.h>
#include <string.h>

enum { STEP = 0xffff, COPY = 0, SKIP = 1, RETAG = 2 };
#define WORTH 5 /* against a base marks take at most this part of the base's own, else they become a base themselves */

static const char SQL_MARKS[] = "SELECT marks, base_id FROM seal_marks WHERE seal_id = ?1 AND part = ?2";
static const char SQL_PUT[] = "INSERT INTO seal_marks (seal_id, part, marks, base_id) VALUES (?1, ?2, ?3, ?4)";
static const char SQL_DROP[] = "DELETE FROM seal_marks WHERE seal_id = ?1";
static const char SQL_BASE[] = "SELECT s.seal_id, (SELECT sum(length(k.marks)) FROM seal_marks k WHERE k.seal_id = s.seal_id) FROM seal s"
                               " JOIN run r ON r.run_id = s.run_id AND r.job = (SELECT job FROM run WHERE run_id = ?1)"
                               " JOIN seal_marks m ON m.seal_id = s.seal_id AND m.part = 0 AND m.base_id IS NULL"
                               " WHERE s.object = ?2 ORDER BY s.seal_id DESC LIMIT 1";

int rad_seal_name_order(const char *a, size_t n, const char *b, size_t m) {
    const int c = memcmp(a, b, n < m ? n : m);
    return c != 0 ? c : (n > m) - (n < m);
}

static rad_status put_le(rad_buf *b, uint64_t v, size_t n, rad_error *err) {
    uint8_t bytes[8];
    for (size_t i = 0; i < n; i++)
        bytes[i] = (uint8_t)(v >> (8 * i));
    return rad_buf_put(b, bytes, n, err);
}

/* ---------------------------------------------------------------- reading */

static rad_status no_memory(rad_error *err) {
    return rad_error_set(err, RAD_E_NOMEM, "out of memory for the marks of a seal");
}

rad_status rad_seal_marks_open(struct rad_store *st, int64_t seal, rad_seal_marks **ret, rad_error *err) {
    rad_seal_marks *m = rad_calloc(1, sizeof *m);
    if (!m)
        return no_memory(err);
    *m = (rad_seal_marks){.st = st, .seal = seal, .may_have_base = true};
    rad_buf_init(&m->b, RAD_MAX_SEAL_PART);
    *ret = m;
    return RAD_OK;
}

void rad_seal_marks_close(rad_seal_marks **m) {
    if (!*m)
        return;
    rad_seal_marks_close(&(*m)->base);
    rad_buf_release(&(*m)->b);
    free(*m);
    *m = NULL;
}

static rad_status load_part(rad_seal_marks *m, rad_error *err) {
    bool row = false;
    int64_t base = -1;
    rad_query q = rad_query_start(m->st, SQL_MARKS);
    rad_bind_int(&q, m->seal);
    rad_bind_int(&q, m->part++);
    rad_status s = rad_query_row(&q, &row, err);
    rad_buf_clear(&m->b);
    m->at = 0;
    m->n_name = 0;
    if (s == RAD_OK && row) {
        const void *bytes = sqlite3_column_blob(q.stmt, 0);
        base = rad_column_index(&q, 1);
        if (bytes)
            s = rad_buf_put(&m->b, bytes, (size_t)sqlite3_column_bytes(q.stmt, 0), err);
    }
    rad_query_end(&q);
    if (s == RAD_OK && base >= 0 && !m->base && m->may_have_base && (s = rad_seal_marks_open(m->st, base, &m->base, err)) == RAD_OK)
        m->base->may_have_base = false; /* whatever somebody has written there: this comes to an end */
    return s;
}

/* What follows cannot be told. */
static rad_status damaged(rad_seal_marks *m) {
    m->there = false;
    m->copy = 0;
    m->at = m->b.size;
    return RAD_OK;
}

/* The next row of the base becomes this one's; its tag too unless `tag` is another. */
static rad_status take_base(rad_seal_marks *m, const uint8_t *tag, rad_error *err) {
    rad_status s = m->base ? rad_seal_marks_next(m->base, err) : RAD_OK;
    if (s != RAD_OK || !m->base || !m->base->there)
        return s != RAD_OK ? s : damaged(m);
    memcpy(m->name, m->base->name, m->base->n_name + 1);
    m->n_name = m->base->n_name;
    memcpy(m->tag, tag ? tag : m->base->tag, RAD_SEAL_TAG);
    m->there = true;
    return RAD_OK;
}

/* A step at m->at; *ret_again: it gave no row. */
static rad_status take_step(rad_seal_marks *m, bool *ret_again, rad_error *err) {
    const uint8_t *p = (const uint8_t *)m->b.data + m->at;
    if (m->at + 7 > m->b.size || p[0] > RETAG || !m->base)
        return damaged(m);
    const uint32_t n = (uint32_t)(p[3] | p[4] << 8 | p[5] << 16) | (uint32_t)p[6] << 24;
    rad_status s = RAD_OK;
    m->at += 7;
    if (p[0] == RETAG)
        return take_base(m, p + 3, err);
    if (p[0] == COPY) {
        m->copy = n;
    } else {
        for (uint32_t i = 0; i < n && s == RAD_OK; i++)
            if ((s = rad_seal_marks_next(m->base, err)) == RAD_OK && !m->base->there)
                return damaged(m);
    }
    *ret_again = true;
    return s;
}

rad_status rad_seal_marks_next(rad_seal_marks *m, rad_error *err) {
    for (bool again = true; again;) {
        again = false;
        if (m->copy > 0) {
            m->copy--;
            return take_base(m, NULL, err);
        }
        rad_status s = m->at == m->b.size ? load_part(m, err) : RAD_OK;
        m->there = s == RAD_OK && m->at + 3 <= m->b.size;
        if (!m->there)
            return s;
        const uint8_t *p = (const uint8_t *)m->b.data + m->at;
        const size_t same = p[0], more = (size_t)p[1] | (size_t)p[2] << 8;
        if (more == STEP) {
            s = take_step(m, &again, err);
            if (s != RAD_OK || !again)
                return s;
            continue;
        }
        if (same > m->n_name || same + more >= RAD_MAX_SEAL_NAME || m->at + 3 + more + RAD_SEAL_TAG > m->b.size)
            return damaged(m);
        memcpy(m->name + same, p + 3, more);
        m->n_name = same + more;
        m->name[m->n_name] = 0;
        memcpy(m->tag, p + 3 + more, RAD_SEAL_TAG);
        m->at += 3 + more + RAD_SEAL_TAG;
    }
    return RAD_OK;
}

/* ---------------------------------------------------------------- writing */

struct writer {
    struct rad_store *st;
    int64_t seal, base_id; /* base_id -1: none */
    rad_buf part;
    rad_seal_marks *base;
    uint32_t copy, skip; /* rows of the base since the last step that was written */
    uint64_t bytes, most;
};

/* Name and tag of a row behind those of the row before it: what they share is not said again. */
static rad_status put_row(rad_buf *b, const rad_seal_row *last, const rad_seal_row *r, rad_error *err) {
    size_t same = 0;
    while (same < 255 && same < last->n_name && same < r->n_name && last->name[same] == r->name[same])
        same++;
    rad_status s = put_le(b, same, 1, err);
    if (s == RAD_OK)
        s = put_le(b, r->n_name - same, 2, err);
    if (s == RAD_OK && r->n_name > same)
        s = rad_buf_put(b, r->name + same, r->n_name - same, err);
    return s == RAD_OK ? rad_buf_put(b, r->digest, RAD_SEAL_TAG, err) : s;
}

static rad_status put_step(rad_buf *b, int step, uint32_t n, rad_error *err) {
    rad_status s = put_le(b, (uint64_t)step, 1, err);
    if (s == RAD_OK)
        s = put_le(b, STEP, 2, err);
    return s == RAD_OK ? put_le(b, n, 4, err) : s;
}

/* At most one of the two is not 0. */
static rad_status put_pending(struct writer *w, rad_error *err) {
    rad_status s = w->copy > 0 ? put_step(&w->part, COPY, w->copy, err) : RAD_OK;
    if (s == RAD_OK && w->skip > 0)
        s = put_step(&w->part, SKIP, w->skip, err);
    w->copy = w->skip = 0;
    return s;
}

static rad_status put_part(struct writer *w, int64_t part, rad_error *err) {
    rad_status s = put_pending(w, err);
    if (s != RAD_OK || w->part.size == 0)
        return s;
    rad_query q = rad_query_start(w->st, SQL_PUT);
    rad_bind_int(&q, w->seal);
    rad_bind_int(&q, part);
    rad_bind_blob(&q, &w->part);
    rad_bind_index(&q, w->base_id);
    s = rad_query_exec(&q, err);
    w->bytes += w->part.size;
    rad_buf_clear(&w->part);
    return s;
}

/* A row behind `last`, against the base when there is one. */
static rad_status put_mark(struct writer *w, const rad_seal_row *last, const rad_seal_row *r, rad_error *err) {
    int by = -1;
    rad_status s = RAD_OK;
    while (w->base && w->base->there &&
           (by = rad_seal_name_order(r->name, r->n_name, w->base->name, w->base->n_name)) > 0) { /* rows that are gone */
        if (w->copy > 0 && (s = put_pending(w, err)) != RAD_OK)
            return s;
        w->skip++;
        if ((s = rad_seal_marks_next(w->base, err)) != RAD_OK)
            return s;
    }
    if (!w->base || !w->base->there || by < 0) {
        s = put_pending(w, err);
        return s == RAD_OK ? put_row(&w->part, last, r, err) : s;
    }
    const bool same = memcmp(r->digest, w->base->tag, RAD_SEAL_TAG) == 0;
    if (w->skip > 0 || !same)
        s = put_pending(w, err);
    if (same)
        w->copy++;
    else if (s == RAD_OK) {
        s = put_le(&w->part, RETAG, 1, err);
        if (s == RAD_OK)
            s = put_le(&w->part, STEP, 2, err);
        if (s == RAD_OK)
            s = rad_buf_put(&w->part, r->digest, RAD_SEAL_TAG, err);
    }
    return s == RAD_OK ? rad_seal_marks_next(w->base, err) : s;
}

static rad_status find_base(struct writer *w, int64_t run, const rad_seal_object *o, rad_error *err) {
    bool row = false;
    rad_query q = rad_query_start(w->st, SQL_BASE);
    rad_bind_int(&q, run);
    rad_bind_text(&q, o->name);
    rad_status s = rad_query_row(&q, &row, err);
    if (s == RAD_OK && row) {
        w->base_id = sqlite3_column_int64(q.stmt, 0);
        w->most = (uint64_t)sqlite3_column_int64(q.stmt, 1) / WORTH;
    }
    rad_query_end(&q);
    if (s == RAD_OK && row)
        s = rad_seal_marks_open(w->st, w->base_id, &w->base, err);
    if (s == RAD_OK && row) {
        w->base->may_have_base = false;
        s = rad_seal_marks_next(w->base, err);
    }
    return s;
}

/* One pass over the rows. */
static rad_status put_all(struct writer *w, int64_t run, const rad_seal_object *o, rad_seal_sum *sum, rad_error *err) {
    bool row = false, full = true;
    int at = 0;
    rad_buf scratch;
    rad_seal_row *pair = rad_calloc(2, sizeof *pair);
    if (!pair)
        return no_memory(err);
    rad_buf_init(&scratch, RAD_MAX_SEAL_PART);
    rad_query q = rad_seal_start(w->st, o, run);
    rad_status s;
    while ((s = rad_seal_next(&q, &scratch, &row, &pair[at], err)) == RAD_OK && row) {
        if (full)
            pair[1 - at].n_name = 0; /* every part begins anew */
        s = put_mark(w, &pair[1 - at], &pair[at], err);
        if (s == RAD_OK)
            s = rad_seal_sum_add(sum, &pair[at], &full, err);
        if (s == RAD_OK && full)
            s = put_part(w, sum->n / RAD_SEAL_ROWS - 1, err);
        if (s != RAD_OK)
            break;
        at = 1 - at;
    }
    rad_query_end(&q);
    if (s == RAD_OK)
        s = put_part(w, sum->n / RAD_SEAL_ROWS, err);
    if (s == RAD_OK)
        s = rad_seal_sum_end(sum, err);
    rad_buf_release(&scratch);
    free(pair);
    return s;
}

rad_status rad_seal_put_marks(struct rad_store *st, int64_t run, const rad_seal_object *o, int64_t seal, rad_seal_sum *sum,
                              rad_error *err) {
    struct writer w = {.st = st, .seal = seal, .base_id = -1};
    rad_buf_init(&w.part, RAD_MAX_SEAL_PART);
    rad_status s = find_base(&w, run, o, err);
    if (s == RAD_OK)
        s = put_all(&w, run, o, sum, err);
    if (s == RAD_OK && w.base && w.bytes > w.most) { /* too much is new */
        rad_query q = rad_query_start(st, SQL_DROP);
        rad_bind_int(&q, seal);
        s = rad_query_exec(&q, err);
        rad_seal_marks_close(&w.base);
        w = (struct writer){.st = st, .seal = seal, .base_id = -1, .part = w.part};
        rad_seal_sum_release(sum);
        rad_seal_sum_init(sum);
        if (s == RAD_OK)
            s = put_all(&w, run, o, sum, err);
    }
    rad_seal_marks_close(&w.base);
    rad_buf_release(&w.part);
    return s;
}

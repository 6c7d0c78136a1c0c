/* nightly_keep.c: what a night writes around its run: cases that are taken over, the last look at each file, failures that last. */
#include "db.h"
#include "radcohort/nightly.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const char SQL_LINK[] = "UPDATE image_use SET volume_id = (SELECT volume_id FROM volume v WHERE v.content = ?3"
                               " AND v.volumes = image_use.volumes)"
                               " WHERE case_id = ?1 AND image_id = ?2";
static const char SQL_WARNINGS[] = "INSERT INTO warning (run_id, case_id, image_id, stage, text)"
                                   " SELECT ?1, ?2, image_id, stage, text FROM warning WHERE case_id = ?3 AND stage = 'load'"
                                   " ON CONFLICT DO NOTHING";
static const char SQL_CONTENT[] = "SELECT DISTINCT u.image_id, v.content FROM manifest m JOIN image_use u ON u.case_id = m.case_id"
                                  "  JOIN volume v ON v.volume_id = u.volume_id WHERE m.run_id = ?1 ORDER BY u.image_id";
static const char SQL_FAILURE[] =
    "INSERT INTO failed_result (result_key, stage, reason, text)"
    " SELECT ?4, e.stage, e.reason, e.text FROM manifest m"
    "   JOIN run_model rm ON rm.run_id = m.run_id AND rm.position = ?3"
    "   JOIN exclusion e ON e.case_id = m.case_id AND (e.run_model_id IS NULL OR e.run_model_id = rm.run_model_id)"
    "  WHERE m.run_id = ?1 AND m.position = ?2 AND e.stage IN ('load', 'prepare', 'infer')"
    "    AND (e.reason NOT IN ('io', 'notfound', 'quarantine') OR ?5) LIMIT 1"
    " ON CONFLICT (result_key) DO UPDATE SET stage = excluded.stage, reason = excluded.reason, text = excluded.text";
static const char SQL_STAMP[] =
    "INSERT INTO file_stamp (path, bytes, inode, seconds, nanoseconds, content, since_run) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)"
    " ON CONFLICT (path) DO UPDATE SET bytes = excluded.bytes, inode = excluded.inode, seconds = excluded.seconds,"
    " nanoseconds = excluded.nanoseconds, content = excluded.content, since_run = excluded.since_run";
static const char SQL_GONE[] = "DELETE FROM file_stamp WHERE path = ?1";

rad_status rad_night_carry(rad_store *st, int64_t run, const rad_case_result *r, int64_t prior_case, int64_t n_image, const int64_t *image,
                           const char *const *content, rad_error *err) {
    rad_status s = rad_tx_begin(st, err);
    if (s != RAD_OK)
        return s;
    if (st->run != run)
        s = rad_error_set(err, RAD_E_INTERNAL, "run %" PRId64 " was not begun through this handle", run);
    for (int64_t i = 0; i < n_image && s == RAD_OK; i++) {
        rad_query q = rad_query_start(st, SQL_LINK);
        rad_bind_int(&q, r->case_id);
        rad_bind_int(&q, st->image_id[image[i]]);
        rad_bind_text(&q, content[i]);
        s = rad_query_exec(&q, err);
    }
    if (s == RAD_OK && prior_case > 0) {
        rad_query q = rad_query_start(st, SQL_WARNINGS);
        rad_bind_int(&q, run);
        rad_bind_int(&q, r->case_id);
        rad_bind_int(&q, prior_case);
        s = rad_query_exec(&q, err);
    }
    s = rad_tx_end(st, s);
    return s == RAD_OK ? rad_store_put_result(st, run, r, err) : s;
}

struct place { /* of an image: its row's id, and which of the cohort's it is */
    int64_t id, at;
};

static int by_id(const void *x, const void *y) {
    const struct place *a = x, *b = y;
    return (a->id > b->id) - (a->id < b->id);
}

rad_status rad_night_learn(rad_store *st, int64_t run, int64_t n_image, rad_night_file *file, rad_error *err) {
    bool row = false;
    int64_t at = 0;
    if (st->run != run || st->n_image != n_image)
        return rad_error_set(err, RAD_E_INTERNAL, "run %" PRId64 " was not begun through this handle", run);
    struct place *place = rad_calloc((size_t)n_image + 1, sizeof *place);
    if (!place)
        return rad_error_set(err, RAD_E_NOMEM, "out of memory for %" PRId64 " images", n_image);
    for (int64_t i = 0; i < n_image; i++)
        place[i] = (struct place){st->image_id[i], i};
    qsort(place, (size_t)n_image, sizeof *place, by_id);
    rad_query q = rad_query_start(st, SQL_CONTENT);
    rad_bind_int(&q, run);
    rad_status s;
    while ((s = rad_query_row(&q, &row, err)) == RAD_OK && row) {
        const int64_t id = sqlite3_column_int64(q.stmt, 0);
        while (at < n_image && place[at].id < id)
            at++;
        for (int64_t i = at; i < n_image && place[i].id == id; i++) {
            rad_night_file *f = &file[place[i].at];
            if (f->path && !f->content[0])
                snprintf(f->content, sizeof f->content, "%s", rad_column_text(&q, 1));
        }
    }
    rad_query_end(&q);
    free(place);
    return s;
}

rad_status rad_night_keep_failure(rad_store *st, int64_t run, int64_t position, int model, const char *key, bool absent, rad_error *err) {
    rad_status s = rad_tx_begin(st, err);
    if (s != RAD_OK)
        return s;
    rad_query q = rad_query_start(st, SQL_FAILURE);
    rad_bind_int(&q, run);
    rad_bind_int(&q, position);
    rad_bind_int(&q, model);
    rad_bind_text(&q, key);
    rad_bind_int(&q, absent);
    return rad_tx_end(st, rad_query_exec(&q, err));
}

static rad_status keep_file(rad_store *st, int64_t run, const rad_night_file *f, rad_error *err) {
    if (f->look.error != 0) {
        rad_query q = rad_query_start(st, SQL_GONE);
        rad_bind_text(&q, f->path);
        return rad_query_exec(&q, err);
    }
    const bool same = f->since > 0 && f->before[0] && strcmp(f->before, f->content) == 0;
    rad_query q = rad_query_start(st, SQL_STAMP);
    rad_bind_text(&q, f->path);
    rad_bind_int(&q, (int64_t)f->look.bytes);
    rad_bind_int(&q, (int64_t)f->look.inode);
    rad_bind_int(&q, f->look.seconds);
    rad_bind_int(&q, f->look.nanoseconds);
    rad_bind_text(&q, f->content[0] ? f->content : NULL);
    rad_bind_int(&q, same ? f->since : run);
    return rad_query_exec(&q, err);
}

rad_status rad_night_keep_files(rad_store *st, int64_t run, const rad_night *n, rad_error *err) {
    rad_status s = rad_tx_begin(st, err);
    if (s != RAD_OK)
        return s;
    for (int64_t i = 0; i < n->n_file && s == RAD_OK; i++)
        if (n->file[i].path && (n->file[i].moved || !n->file[i].before[0]))
            s = keep_file(st, run, &n->file[i], err);
    if (s == RAD_OK)
        s = rad_tx_commit(st, err);
    return rad_tx_end(st, s);
}

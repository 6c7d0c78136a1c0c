/* cam.c: class activation maps in the file, and whether the overlays that it names are still there. Maps belong to results: a run refers to
 * them, and one that another run made serves it too. */
#include "db.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A file that was made again may have other bytes (another version of the compressor): the size that is there now counts. */
static const char SQL_CAM[] =
    "INSERT INTO cam (cam_key, result_id, rule, class_index, deciding_slice, depth, height, width, file, file_bytes, file_sha256, scale)"
    " SELECT ?3, rr.result_id, rm.cam_rule, ?4, ?5, nullif(?6, 0), ?7, ?8, ?9, ?10, ?11, ?12 FROM run_result rr"
    " JOIN run_model rm ON rm.run_model_id = rr.run_model_id WHERE rr.case_id = ?1 AND rr.run_model_id = ?2"
    " ON CONFLICT (cam_key) DO UPDATE SET file_bytes = excluded.file_bytes, file_sha256 = excluded.file_sha256 RETURNING cam_id";
static const char SQL_CAM_SLICE[] =
    "INSERT INTO cam_slice (cam_id, slice, peak_i, peak_j, peak_k, peak_x, peak_y, peak_z, peak_value, low_value, energy, energy_inside,"
    " peak_inside, iou) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14) ON CONFLICT DO NOTHING";
static const char SQL_WANTED[] = "SELECT cam_rule IS NOT NULL FROM run_model WHERE run_model_id = ?1";
static const char SQL_CAM_OLD[] = "SELECT cam_id FROM cam WHERE cam_key = ?1";
static const char SQL_RUN_CAM[] = "INSERT INTO run_cam (case_id, run_model_id, cam_id) VALUES (?1, ?2, ?3)";
static const char SQL_FILES[] =
    "SELECT rc.case_id, c.file, c.file_bytes FROM manifest m JOIN run_cam rc ON rc.case_id = m.case_id JOIN cam c ON c.cam_id = rc.cam_id"
    " WHERE m.run_id = ?1 AND c.file IS NOT NULL ORDER BY m.position, rc.run_model_id";
/* A case that is done again: exclusions stay, results and maps are taken or made anew. */
static const char SQL_DROP_CAMS[] = "DELETE FROM run_cam WHERE case_id = ?1";
static const char SQL_DROP_RESULTS[] = "DELETE FROM run_result WHERE case_id = ?1";
static const char SQL_DROP_TIMES[] = "DELETE FROM time_ledger WHERE case_id = ?1";
/* It had been done: what it took then does not speak against it. */
static const char SQL_REOPEN_CASE[] =
    "UPDATE work SET state = 'pending', rank = NULL, attempts = 0, lost = 0, interrupted = 0 WHERE case_id = ?1";
static const char SQL_REOPEN_RUN[] = "UPDATE run SET state = 'stopped', finished = NULL WHERE run_id = ?1";

char *rad_store_cam_dir(const char *path) {
    static const char *const ending[] = {".sqlite", ".sqlite3", ".db"};
    size_t n = strlen(path);
    for (size_t i = 0; i < sizeof ending / sizeof *ending; i++) {
        size_t m = strlen(ending[i]);
        if (n > m && strcmp(path + n - m, ending[i]) == 0 && path[n - m - 1] != '/')
            return rad_asprintf("%.*s.cams", (int)(n - m), path);
    }
    return rad_asprintf("%s.cams", path);
}

static rad_status put_slices(struct rad_store *st, int64_t cam, const rad_cam_result *c, rad_error *err) {
    rad_status s = RAD_OK;
    for (int64_t i = 0; i < c->n_slice && s == RAD_OK; i++) {
        const rad_cam_slice *p = &c->slice[i];
        rad_query q = rad_query_start(st, SQL_CAM_SLICE);
        rad_bind_int(&q, cam);
        rad_bind_int(&q, p->slice);
        for (int a = 0; a < 3; a++)
            rad_bind_int(&q, p->peak[a]);
        for (int a = 0; a < 3; a++)
            rad_bind_real(&q, p->peak_mm[a]);
        rad_bind_real(&q, p->peak_value);
        rad_bind_real(&q, p->low_value);
        rad_bind_real(&q, p->energy);
        rad_bind_real(&q, p->energy_inside);
        rad_bind_index(&q, p->peak_inside);
        rad_bind_real(&q, p->iou);
        s = rad_query_exec(&q, err);
    }
    return s;
}

rad_status rad_store_put_cam(struct rad_store *st, int64_t case_id, int64_t run_model, const rad_cam_result *c, rad_error *err) {
    int64_t cam = 0, wanted = 0;
    bool row = false;
    rad_query q = rad_query_start(st, SQL_WANTED); /* the file may stand in for another model, whose maps are wanted */
    rad_bind_int(&q, run_model);
    rad_status s = rad_query_int(&q, &wanted, err);
    if (s != RAD_OK || !wanted)
        return s;
    q = rad_query_start(st, c->stored ? SQL_CAM_OLD : SQL_CAM);
    if (c->stored) {
        rad_bind_text(&q, c->key);
    } else {
        rad_bind_int(&q, case_id);
        rad_bind_int(&q, run_model);
        rad_bind_text(&q, c->key);
        rad_bind_int(&q, c->class_index);
        rad_bind_int(&q, c->deciding_slice);
        rad_bind_int(&q, c->depth);
        rad_bind_int(&q, c->height);
        rad_bind_int(&q, c->width);
        rad_bind_text(&q, c->file);
        rad_bind_index(&q, c->file ? c->file_bytes : -1);
        rad_bind_text(&q, c->file ? c->file_sha256 : NULL);
        rad_bind_real(&q, c->scale);
    }
    s = rad_query_row(&q, &row, err);
    if (s == RAD_OK && row)
        cam = sqlite3_column_int64(q.stmt, 0);
    rad_query_end(&q);
    if (s != RAD_OK)
        return s;
    if (!row)
        return rad_error_set(err, RAD_E_STORE,
                             "'%s': case %" PRId64 ": the stored class activation map %.64s is not there any more; did another program "
                             "change the file? Start again: what is missing is computed",
                             st->path, case_id, c->key);
    s = put_slices(st, cam, c, err);
    if (s != RAD_OK)
        return s;
    q = rad_query_start(st, SQL_RUN_CAM);
    rad_bind_int(&q, case_id);
    rad_bind_int(&q, run_model);
    rad_bind_int(&q, cam);
    return rad_query_exec(&q, err);
}

/* ---------------------------------------------------------------- the files */

typedef struct lost_list {
    int64_t *item, n, cap; /* cases, each once */
    int64_t files, lost;
} lost_list;

/* Those whose file is gone or of another size than recorded; with `remove` the latter are deleted. */
static rad_status find_lost(struct rad_store *st, int64_t run, bool remove, lost_list *l, rad_error *err) {
    bool row = false;
    rad_status s;
    char *dir = rad_store_cam_dir(st->path);
    rad_query q = rad_query_start(st, SQL_FILES);
    rad_bind_int(&q, run);
    while ((s = rad_query_row(&q, &row, err)) == RAD_OK && row) {
        int64_t id = sqlite3_column_int64(q.stmt, 0), bytes = sqlite3_column_int64(q.stmt, 2);
        struct stat info;
        char *path = dir ? rad_path_join(dir, rad_column_text(&q, 1)) : NULL;
        bool there = path && stat(path, &info) == 0, whole = there && S_ISREG(info.st_mode) && info.st_size == bytes;
        if (there && !whole && remove && S_ISREG(info.st_mode))
            (void)unlink(path);
        l->files++;
        l->lost += !whole;
        bool ok = path != NULL;
        free(path);
        if (ok && !whole && (l->n == 0 || l->item[l->n - 1] != id)) {
            if (l->n == l->cap) {
                int64_t cap = l->cap ? 2 * l->cap : 64, *more = rad_realloc(l->item, (size_t)cap, sizeof *more);
                ok = more != NULL;
                l->item = ok ? more : l->item;
                l->cap = ok ? cap : l->cap;
            }
            if (ok)
                l->item[l->n++] = id;
        }
        if (!ok) {
            s = rad_error_set(err, RAD_E_NOMEM, "out of memory for the files of run %" PRId64, run);
            break;
        }
    }
    rad_query_end(&q);
    free(dir);
    return s;
}

rad_status rad_store_check_cams(rad_store *st, int64_t run, int64_t *ret_files, int64_t *ret_lost, rad_error *err) {
    lost_list l = {0};
    rad_status s = find_lost(st, run, false, &l, err);
    if (s == RAD_OK) {
        *ret_files = l.files;
        *ret_lost = l.lost;
    }
    free(l.item);
    return s;
}

rad_status rad_store_reopen_cams(rad_store *st, int64_t run, int64_t *ret_n, rad_error *err) {
    static const char *const SQL[] = {SQL_DROP_CAMS, SQL_DROP_RESULTS, SQL_DROP_TIMES, SQL_REOPEN_CASE};
    lost_list l = {0};
    rad_query q;
    rad_status s = find_lost(st, run, true, &l, err);
    if (s != RAD_OK || l.n == 0)
        goto out;
    s = rad_tx_begin(st, err);
    if (s != RAD_OK)
        goto out;
    for (int64_t i = 0; i < l.n; i++)
        for (size_t k = 0; k < sizeof SQL / sizeof *SQL && s == RAD_OK; k++) {
            q = rad_query_start(st, SQL[k]);
            rad_bind_int(&q, l.item[i]);
            s = rad_query_exec(&q, err);
        }
    if (s == RAD_OK) {
        q = rad_query_start(st, SQL_REOPEN_RUN);
        rad_bind_int(&q, run);
        s = rad_query_exec(&q, err);
    }
    if (s == RAD_OK)
        s = rad_tx_commit(st, err);
    s = rad_tx_end(st, s);
out:
    if (s == RAD_OK)
        *ret_n = l.n;
    free(l.item);
    return s;
}

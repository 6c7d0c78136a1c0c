/* result.c: what workers send, into the file. A result is stored once under its content key and runs refer to it; a case's second
 * result changes nothing. */
#include "seal.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

static const char SQL_CASE[] =
    "SELECT w.state, m.patient_id, r.case_unit, (SELECT count(*) FROM exclusion e WHERE e.case_id = m.case_id)"
    " FROM manifest m JOIN work w ON w.case_id = m.case_id JOIN run r ON r.run_id = m.run_id WHERE m.case_id = ?1 AND m.run_id = ?2";
static const char SQL_VOLUME[] =
    "INSERT INTO volume (content, volumes, type, n_dim, dims, nx, ny, nz, spacing_x, spacing_y, spacing_z, orientation, affine, file_bytes,"
    " signature)"
    " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)"
    " ON CONFLICT (content, volumes) DO UPDATE SET signature = coalesce(signature, excluded.signature) RETURNING volume_id";
static const char SQL_IMAGE_READ[] = "UPDATE image_use SET volume_id = ?3 WHERE case_id = ?1 AND image_id = ?2 AND volumes = ?4";
static const char SQL_WARNING[] =
    "INSERT INTO warning (run_id, case_id, image_id, stage, text) VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING";
static const char SQL_RESULT[] =
    "INSERT INTO result (result_key, model_id, n_slice, n_class, input_mean, input_sd) VALUES (?1, ?2, ?3, ?4, ?5, ?6)"
    " ON CONFLICT (result_key) DO NOTHING RETURNING result_id";
static const char SQL_RESULT_OLD[] = "SELECT result_id, n_slice, n_class FROM result WHERE result_key = ?1";
static const char SQL_SLICE[] = "INSERT INTO slice (result_id, slice, stored_slice, x0, y0, x1, y1, mismatch_mm)"
                                " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
static const char SQL_SCORE[] = "INSERT INTO slice_score (result_id, class_index, slice, score) VALUES (?1, ?2, ?3, ?4)";
static const char SQL_SCORE_OLD[] = "SELECT score FROM slice_score WHERE result_id = ?1 AND class_index = ?2 AND slice = ?3";
static const char SQL_RUN_RESULT[] = "INSERT INTO run_result (case_id, run_model_id, result_id, reused) VALUES (?1, ?2, ?3, ?4)";
static const char SQL_IS_EXCLUDED[] = "SELECT count(*) FROM exclusion WHERE case_id = ?1 AND (run_model_id IS NULL OR run_model_id = ?2)";
static const char SQL_EXCLUSION[] = "INSERT INTO exclusion (run_id, unit, patient_id, case_id, run_model_id, stage, reason, text)"
                                    " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
static const char SQL_TIME[] =
    "INSERT INTO time_ledger (case_id, rank, host, device, read_s, inflate_s, prepare_s, wait_s, infer_s, write_s,"
    " read_bytes, stored) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";
static const char SQL_DONE[] = "UPDATE work SET state = ?2, rank = ?3 WHERE case_id = ?1";
static const char SQL_WORK_RANK[] = "SELECT coalesce(rank, -1) FROM work WHERE case_id = ?1";

/* The case that is being written. */
typedef struct open_case {
    int64_t run, id, patient;
    char unit[16];
    int64_t n_excluded; /* exclusions of it that are there already */
    bool open;          /* false: it has its result, nothing is to be done */
} open_case;

static rad_status find_case(struct rad_store *st, int64_t run, int64_t case_id, open_case *ret, rad_error *err) {
    bool row = false;
    if (st->run != run)
        return rad_error_set(err, RAD_E_INTERNAL, "run %" PRId64 " was not begun through this handle", run);
    rad_query q = rad_query_start(st, SQL_CASE);
    rad_bind_int(&q, case_id);
    rad_bind_int(&q, run);
    rad_status s = rad_query_row(&q, &row, err);
    if (s != RAD_OK)
        return s;
    if (!row)
        return rad_error_set(err, RAD_E_INTERNAL, "case %" PRId64 " is not in run %" PRId64, case_id, run);
    const char *state = rad_column_text(&q, 0);
    *ret = (open_case){.run = run,
                       .id = case_id,
                       .patient = sqlite3_column_int64(q.stmt, 1),
                       .n_excluded = sqlite3_column_int64(q.stmt, 3),
                       .open = state && (strcmp(state, "pending") == 0 || strcmp(state, "leased") == 0)};
    snprintf(ret->unit, sizeof ret->unit, "%s", rad_column_text(&q, 2));
    rad_query_end(&q);
    return RAD_OK;
}

static rad_status put_warning(struct rad_store *st, const open_case *c, int64_t image, const char *stage, const char *text,
                              rad_error *err) {
    rad_query q = rad_query_start(st, SQL_WARNING);
    rad_bind_int(&q, c->run);
    rad_bind_int(&q, c->id);
    rad_bind_index(&q, image);
    rad_bind_text(&q, stage);
    rad_bind_text(&q, text);
    return rad_query_exec(&q, err);
}

static rad_status put_exclusion(struct rad_store *st, const open_case *c, int model, const char *stage, rad_status why, const char *text,
                                rad_error *err) {
    rad_query q = rad_query_start(st, SQL_EXCLUSION);
    rad_bind_int(&q, c->run);
    rad_bind_text(&q, c->unit);
    rad_bind_int(&q, c->patient);
    rad_bind_int(&q, c->id);
    rad_bind_index(&q, model < 0 ? -1 : st->run_model_id[model]);
    rad_bind_text(&q, stage ? stage : "farm");
    rad_bind_text(&q, rad_status_reason(why));
    rad_bind_text(&q, text ? text : "");
    return rad_query_exec(&q, err);
}

static rad_status is_excluded(struct rad_store *st, const open_case *c, int model, bool *ret, rad_error *err) {
    int64_t n = 0;
    if (c->n_excluded == 0) {
        *ret = false;
        return RAD_OK;
    }
    rad_query q = rad_query_start(st, SQL_IS_EXCLUDED);
    rad_bind_int(&q, c->id);
    rad_bind_int(&q, st->run_model_id[model]);
    rad_status s = rad_query_int(&q, &n, err);
    *ret = n > 0;
    return s;
}

/* ---------------------------------------------------------------- images */

static void image_text(const rad_image_record *im, char dims[256], char affine[512]) {
    size_t used = 0;
    for (int i = 0; i < im->n_dim && i < 7 && used < 250; i++)
        used += (size_t)snprintf(dims + used, 256 - used, "%s%" PRId64, i ? "," : "[", im->dim[i]);
    snprintf(dims + used, 256 - used, "]");
    used = 0;
    for (int i = 0; i < 12 && used < 480; i++) {
        double v = im->affine[i / 4][i % 4];
        used += (size_t)snprintf(affine + used, 512 - used, "%s%.17g", i ? "," : "[", isfinite(v) ? v : 0.0);
    }
    snprintf(affine + used, 512 - used, "]");
}

static rad_status put_image(struct rad_store *st, const open_case *c, const rad_image_record *im, rad_error *err) {
    char dims[256], affine[512];
    int64_t volume = 0;
    if (im->image < 0 || im->image >= st->n_image)
        return rad_error_set(err, RAD_E_INTERNAL, "case %" PRId64 ": image %" PRId64 " is not in the cohort", c->id, im->image);
    image_text(im, dims, affine);
    rad_query q = rad_query_start(st, SQL_VOLUME);
    rad_bind_text(&q, im->content);
    rad_bind_text(&q, im->volumes ? im->volumes : "");
    rad_bind_text(&q, im->type ? im->type : "unknown");
    rad_bind_int(&q, im->n_dim);
    rad_bind_text(&q, dims);
    for (int i = 0; i < 3; i++)
        rad_bind_int(&q, i < im->n_dim ? im->dim[i] : 1);
    for (int i = 0; i < 3; i++)
        rad_bind_real(&q, im->spacing[i]);
    rad_bind_text(&q, im->orientation);
    rad_bind_text(&q, affine);
    rad_bind_int(&q, im->file_bytes);
    rad_bind_text(&q, im->signature[0] ? im->signature : NULL);
    rad_status s = rad_query_int(&q, &volume, err);
    if (s != RAD_OK)
        return s;
    q = rad_query_start(st, SQL_IMAGE_READ);
    rad_bind_int(&q, c->id);
    rad_bind_int(&q, st->image_id[im->image]);
    rad_bind_int(&q, volume);
    rad_bind_text(&q, im->volumes ? im->volumes : "");
    s = rad_query_exec(&q, err);
    if (s == RAD_OK && im->warning)
        s = put_warning(st, c, st->image_id[im->image], "load", im->warning, err);
    return s;
}

/* ---------------------------------------------------------------- scores */

static rad_status put_slices(struct rad_store *st, int64_t result, const rad_model_result *r, rad_error *err) {
    rad_status s = RAD_OK;
    for (int64_t i = 0; i < r->n_slice && s == RAD_OK; i++) {
        rad_query q = rad_query_start(st, SQL_SLICE);
        rad_bind_int(&q, result);
        rad_bind_int(&q, r->slice[i]);
        rad_bind_int(&q, r->stored_slice[i]);
        for (int b = 0; b < 4; b++)
            rad_bind_int(&q, r->box[i][b]);
        rad_bind_real(&q, r->mismatch_mm ? r->mismatch_mm[i] : 0);
        s = rad_query_exec(&q, err);
        for (int k = 0; k < st->n_class && s == RAD_OK; k++) {
            q = rad_query_start(st, SQL_SCORE);
            rad_bind_int(&q, result);
            rad_bind_int(&q, k);
            rad_bind_int(&q, r->slice[i]);
            rad_bind_real(&q, r->score[i * st->n_class + k]);
            s = rad_query_exec(&q, err);
        }
    }
    return s;
}

/* The key is known: are the new scores the stored ones, bit for bit? (Equal as numbers: SQLite does not keep the sign of zero.) */
static rad_status same_as_stored(struct rad_store *st, const rad_model_result *r, int64_t *ret_result, bool *ret_same, rad_error *err) {
    bool row = false;
    rad_query q = rad_query_start(st, SQL_RESULT_OLD);
    rad_bind_text(&q, r->key);
    rad_status s = rad_query_row(&q, &row, err);
    if (s != RAD_OK)
        return s;
    *ret_result = row ? sqlite3_column_int64(q.stmt, 0) : 0;
    bool same = row && sqlite3_column_int64(q.stmt, 1) == r->n_slice && sqlite3_column_int64(q.stmt, 2) == st->n_class;
    rad_query_end(&q);
    for (int64_t i = 0; same && i < r->n_slice; i++)
        for (int k = 0; same && k < st->n_class; k++) {
            q = rad_query_start(st, SQL_SCORE_OLD);
            rad_bind_int(&q, *ret_result);
            rad_bind_int(&q, k);
            rad_bind_int(&q, r->slice[i]);
            if ((s = rad_query_row(&q, &row, err)) != RAD_OK)
                return s;
            same = row && sqlite3_column_double(q.stmt, 0) == r->score[i * st->n_class + k];
            rad_query_end(&q);
        }
    *ret_same = same;
    return RAD_OK;
}

static rad_status use_result(struct rad_store *st, const open_case *c, int model, int64_t result, bool reused, rad_error *err) {
    rad_query q = rad_query_start(st, SQL_RUN_RESULT);
    rad_bind_int(&q, c->id);
    rad_bind_int(&q, st->run_model_id[model]);
    rad_bind_int(&q, result);
    rad_bind_int(&q, reused);
    return rad_query_exec(&q, err);
}

static rad_status use_stored(struct rad_store *st, const open_case *c, int model, const rad_model_result *r, rad_error *err) {
    bool row = false;
    rad_query q = rad_query_start(st, SQL_RESULT_OLD);
    rad_bind_text(&q, r->key);
    rad_status s = rad_query_row(&q, &row, err);
    if (s != RAD_OK)
        return s;
    int64_t result = row ? sqlite3_column_int64(q.stmt, 0) : 0;
    bool fits = row && sqlite3_column_int64(q.stmt, 2) == st->n_class;
    rad_query_end(&q);
    if (!fits)
        return rad_error_set(err, RAD_E_STORE,
                             "'%s': case %" PRId64 ", model %d: the stored result %.64s is not there any more; did another program change "
                             "the file? Start again: what is missing is computed",
                             st->path, c->id, model, r->key);
    return use_result(st, c, model, result, true, err);
}

static rad_status put_scores(struct rad_store *st, const open_case *c, int model, const rad_model_result *r, rad_error *err) {
    bool row = false, same = true;
    rad_query q = rad_query_start(st, SQL_RESULT);
    rad_bind_text(&q, r->key);
    rad_bind_int(&q, st->file_model_id[r->file]);
    rad_bind_int(&q, r->n_slice);
    rad_bind_int(&q, st->n_class);
    rad_bind_real(&q, r->input_mean);
    rad_bind_real(&q, r->input_sd);
    rad_status s = rad_query_row(&q, &row, err);
    if (s != RAD_OK)
        return s;
    int64_t result = row ? sqlite3_column_int64(q.stmt, 0) : 0;
    rad_query_end(&q);
    s = row ? put_slices(st, result, r, err) : same_as_stored(st, r, &result, &same, err);
    if (s == RAD_OK && row)
        s = rad_seal_result(st, result, err);
    if (s == RAD_OK && !same)
        s = put_warning(st, c, -1, "store",
                        "a result under the same key came with other scores; the first is kept: two machines of this run compute "
                        "differently under one engine version",
                        err);
    return s == RAD_OK ? use_result(st, c, model, result, false, err) : s;
}

/* A worker must not send these as scores; they are excluded rather than lost. */
static bool is_finite(const rad_model_result *r, int n_class) {
    for (int64_t i = 0; i < r->n_slice * n_class; i++)
        if (!isfinite(r->score[i]))
            return false;
    return true;
}

static bool all_fail_alike(const rad_case_result *r) {
    for (int m = 0; m < r->n_model; m++) {
        const rad_model_result *a = &r->model[0], *b = &r->model[m];
        if (b->status == RAD_OK || b->status != a->status || strcmp(a->stage ? a->stage : "", b->stage ? b->stage : "") != 0 ||
            strcmp(a->why ? a->why : "", b->why ? b->why : "") != 0)
            return false;
    }
    return true;
}

static rad_status put_models(struct rad_store *st, const open_case *c, const rad_case_result *r, rad_error *err) {
    rad_status s = RAD_OK;
    if (c->n_excluded == 0 && all_fail_alike(r))
        return put_exclusion(st, c, -1, r->model[0].stage, r->model[0].status, r->model[0].why, err);
    for (int m = 0; m < r->n_model && s == RAD_OK; m++) {
        const rad_model_result *mr = &r->model[m];
        bool excluded = false;
        if ((s = is_excluded(st, c, m, &excluded, err)) != RAD_OK || excluded)
            continue;
        if (mr->status != RAD_OK)
            s = put_exclusion(st, c, m, mr->stage, mr->status, mr->why, err);
        else if (mr->file < 0 || mr->file >= st->n_file)
            s = rad_error_set(err, RAD_E_INTERNAL, "case %" PRId64 ", model %d: scored by file %d", c->id, m, mr->file);
        else if (mr->stored)
            s = use_stored(st, c, m, mr, err);
        else if (mr->n_slice <= 0 || strlen(mr->key) != RAD_SHA256_HEX - 1)
            s = rad_error_set(err, RAD_E_INTERNAL, "case %" PRId64 ", model %d: a result without slices or key", c->id, m);
        else if (!is_finite(mr, st->n_class))
            s = put_exclusion(st, c, m, "infer", RAD_E_NONFINITE, "the network gave NaN or Inf", err);
        else
            s = put_scores(st, c, m, mr, err);
        if (s == RAD_OK && mr->has_cam && mr->status == RAD_OK)
            s = rad_store_put_cam(st, c->id, st->run_model_id[m], &mr->cam, err);
    }
    return s;
}

static rad_status close_case(struct rad_store *st, const open_case *c, const char *state, int rank, rad_error *err) {
    rad_query q = rad_query_start(st, SQL_DONE);
    rad_bind_int(&q, c->id);
    rad_bind_text(&q, state);
    rad_bind_index(&q, rank);
    rad_status s = rad_query_exec(&q, err);
    st->batch_cases++;
    if (s == RAD_OK && (st->batch_cases >= RAD_STORE_BATCH_CASES || rad_clock_seconds() - st->batch_since >= RAD_STORE_BATCH_SECONDS))
        s = rad_tx_offer(st, false, err);
    return s;
}

rad_status rad_store_put_result(rad_store *st, int64_t run, const rad_case_result *r, rad_error *err) {
    open_case c;
    char now[RAD_TIME_TEXT];
    const double begun = rad_clock_seconds();
    rad_status s = rad_tx_begin(st, err);
    if (s != RAD_OK)
        return s;
    s = find_case(st, run, r->case_id, &c, err);
    if (s != RAD_OK || !c.open)
        return rad_tx_end(st, s);
    if (r->n_model != st->n_model)
        s = rad_error_set(err, RAD_E_INTERNAL, "case %" PRId64 ": %d model results where the job has %d", c.id, r->n_model, st->n_model);
    for (int64_t i = 0; i < r->n_image && s == RAD_OK; i++)
        s = put_image(st, &c, &r->image[i], err);
    if (s == RAD_OK)
        s = put_models(st, &c, r, err);
    if (s == RAD_OK && !r->carried) {
        rad_clock_utc(now);
        rad_query q = rad_query_start(st, SQL_TIME);
        rad_bind_int(&q, c.id);
        rad_bind_int(&q, r->rank);
        rad_bind_text(&q, r->host);
        rad_bind_text(&q, r->device);
        rad_bind_real(&q, r->read_s);
        rad_bind_real(&q, r->inflate_s);
        rad_bind_real(&q, r->prepare_s);
        rad_bind_real(&q, r->wait_s);
        rad_bind_real(&q, r->infer_s);
        rad_bind_real(&q, r->finish_s + rad_clock_seconds() - begun);
        rad_bind_int(&q, r->read_bytes);
        rad_bind_text(&q, now);
        s = rad_query_exec(&q, err);
    }
    if (s == RAD_OK)
        s = close_case(st, &c, "done", r->rank, err);
    return rad_tx_end(st, s);
}

rad_status rad_store_put_exclusion(rad_store *st, int64_t run, int64_t case_id, const char *stage, rad_status why, const char *text,
                                   rad_error *err) {
    open_case c;
    int64_t rank = -1;
    rad_status s = rad_tx_begin(st, err);
    if (s != RAD_OK)
        return s;
    s = find_case(st, run, case_id, &c, err);
    if (s != RAD_OK || !c.open)
        return rad_tx_end(st, s);
    if (c.n_excluded == 0)
        s = put_exclusion(st, &c, -1, stage, why, text, err);
    for (int m = 0; c.n_excluded > 0 && m < st->n_model && s == RAD_OK; m++) {
        bool excluded = false;
        s = is_excluded(st, &c, m, &excluded, err);
        if (s == RAD_OK && !excluded)
            s = put_exclusion(st, &c, m, stage, why, text, err);
    }
    if (s == RAD_OK) {
        rad_query q = rad_query_start(st, SQL_WORK_RANK);
        rad_bind_int(&q, c.id);
        s = rad_query_int(&q, &rank, err);
    }
    if (s == RAD_OK)
        s = close_case(st, &c, why == RAD_E_QUARANTINE ? "quarantined" : "done", (int)rank, err);
    return rad_tx_end(st, s);
}

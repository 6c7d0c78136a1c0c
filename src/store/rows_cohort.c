/* rows_cohort.c: the cohort tables into the database. Rows are found by their names and brought up to date; rows that are no longer in
 * the tables stay, because older runs refer to them. */
#include "db.h"

#include <math.h>
#include <stdlib.h>

static const char SQL_CENTER[] =
    "INSERT INTO center (center, cohort, name, country) VALUES (?1, ?2, ?3, ?4)"
    " ON CONFLICT (center) DO UPDATE SET cohort = excluded.cohort, name = excluded.name, country = excluded.country RETURNING center_id";
static const char SQL_PATIENT[] =
    "INSERT INTO patient (patient, center_id, label, fold, age, sex) VALUES (?1, ?2, ?3, ?4, ?5, ?6)"
    " ON CONFLICT (patient) DO UPDATE SET center_id = excluded.center_id, label = excluded.label, fold = excluded.fold,"
    " age = excluded.age, sex = excluded.sex RETURNING patient_id";
static const char SQL_LESION[] =
    "INSERT INTO lesion (patient_id, lesion, label, i0, j0, k0, i1, j1, k1, point_i, point_j, point_k, mask, size_mm, slices)"
    " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)"
    " ON CONFLICT (patient_id, lesion) DO UPDATE SET label = excluded.label, i0 = excluded.i0, j0 = excluded.j0, k0 = excluded.k0,"
    " i1 = excluded.i1, j1 = excluded.j1, k1 = excluded.k1, point_i = excluded.point_i, point_j = excluded.point_j,"
    " point_k = excluded.point_k, mask = excluded.mask, size_mm = excluded.size_mm, slices = excluded.slices RETURNING lesion_id";
static const char SQL_IMAGE[] =
    "INSERT INTO image (patient_id, lesion_id, study, sequence, path, slices) VALUES (?1, ?2, ?3, ?4, ?5, ?6)"
    " ON CONFLICT (patient_id, coalesce(lesion_id, 0), study, sequence, path) DO UPDATE SET slices = excluded.slices RETURNING image_id";
static const char SQL_ALL_FEATURES_CLEAR[] = "DELETE FROM reading_feature";
static const char SQL_READING_CLEAR[] = "DELETE FROM reading";
static const char SQL_READING[] = "INSERT INTO reading (reader, patient_id, lesion_id, session, repeat, call, rating, experience_years)"
                                  " VALUES (?1, ?2, ?3, ?4, 0, ?5, ?6, ?7) RETURNING reading_id";
/* 0 for a reader's first reading of a case: without session, then sessions that are numbers in their order, then the others in theirs. */
static const char SQL_REPEATS[] =
    "UPDATE reading SET repeat = o.n FROM (SELECT reading_id, row_number() OVER (PARTITION BY reader, patient_id, lesion_id"
    " ORDER BY session IS NOT NULL, session GLOB '*[^0-9]*', iif(session GLOB '*[^0-9]*', 0, CAST(session AS INTEGER)), session) - 1 AS n"
    " FROM reading) o WHERE o.reading_id = reading.reading_id AND o.n > 0";
static const char SQL_FEATURE_CLEAR[] = "DELETE FROM reading_feature WHERE reading_id = ?1";
static const char SQL_FEATURE[] = "INSERT INTO reading_feature (reading_id, name, value, number) VALUES (?1, ?2, ?3, ?4)";
static const char SQL_PATIENT_COVARIATE_CLEAR[] = "DELETE FROM patient_covariate WHERE patient_id = ?1";
static const char SQL_PATIENT_COVARIATE[] = "INSERT INTO patient_covariate (patient_id, name, value, number) VALUES (?1, ?2, ?3, ?4)";
static const char SQL_LESION_COVARIATE_CLEAR[] = "DELETE FROM lesion_covariate WHERE lesion_id = ?1";
static const char SQL_IMAGE_COVARIATE_CLEAR[] = "DELETE FROM image_covariate WHERE image_id = ?1";
static const char SQL_IMAGE_COVARIATE[] = "INSERT INTO image_covariate (image_id, name, value, number) VALUES (?1, ?2, ?3, ?4)";
static const char SQL_LESION_COVARIATE[] = "INSERT INTO lesion_covariate (lesion_id, name, value, number) VALUES (?1, ?2, ?3, ?4)";

static rad_status put_covariates(struct rad_store *st, const char *clear, const char *insert, int64_t owner, const rad_covariate *item,
                                 int64_t n, rad_error *err) {
    rad_query q = rad_query_start(st, clear);
    rad_bind_int(&q, owner);
    rad_status s = rad_query_exec(&q, err);
    for (int64_t i = 0; i < n && s == RAD_OK; i++) {
        double number = NAN;
        if (!rad_parse_double(item[i].value, &number) || !isfinite(number))
            number = NAN;
        q = rad_query_start(st, insert);
        rad_bind_int(&q, owner);
        rad_bind_text(&q, item[i].name);
        rad_bind_text(&q, item[i].value);
        rad_bind_real(&q, number);
        s = rad_query_exec(&q, err);
    }
    return s;
}

static rad_status put_patient(struct rad_store *st, const rad_patient *p, int64_t center, int64_t *ret_id, rad_error *err) {
    rad_query q = rad_query_start(st, SQL_PATIENT);
    rad_bind_text(&q, p->id);
    rad_bind_int(&q, center);
    rad_bind_text(&q, p->label);
    rad_bind_index(&q, p->fold);
    rad_bind_real(&q, p->age);
    rad_bind_text(&q, p->sex);
    rad_status s = rad_query_int(&q, ret_id, err);
    if (s == RAD_OK)
        s = put_covariates(st, SQL_PATIENT_COVARIATE_CLEAR, SQL_PATIENT_COVARIATE, *ret_id, p->covariate, p->n_covariate, err);
    return s;
}

static rad_status put_lesion(struct rad_store *st, const rad_lesion *l, int64_t patient, int64_t *ret_id, rad_error *err) {
    rad_query q = rad_query_start(st, SQL_LESION);
    rad_bind_int(&q, patient);
    rad_bind_text(&q, l->id);
    rad_bind_text(&q, l->label);
    for (int i = 0; i < 6; i++)
        if (l->has_box)
            rad_bind_int(&q, l->box[i]);
        else
            rad_bind_null(&q);
    for (int i = 0; i < 3; i++)
        rad_bind_real(&q, l->has_point ? l->point[i] : (double)NAN);
    rad_bind_text(&q, l->has_mask ? l->mask : NULL);
    rad_bind_real(&q, l->size_mm);
    rad_bind_text(&q, l->slices);
    rad_status s = rad_query_int(&q, ret_id, err);
    if (s == RAD_OK)
        s = put_covariates(st, SQL_LESION_COVARIATE_CLEAR, SQL_LESION_COVARIATE, *ret_id, l->covariate, l->n_covariate, err);
    return s;
}

static rad_status put_readings(struct rad_store *st, const rad_cohort *c, const rad_row_ids *ids, rad_error *err) {
    rad_query q = rad_query_start(st, SQL_ALL_FEATURES_CLEAR);
    rad_status s = rad_query_exec(&q, err);
    if (s == RAD_OK) {
        q = rad_query_start(st, SQL_READING_CLEAR);
        s = rad_query_exec(&q, err);
    }
    for (int64_t i = 0; i < c->n_reading && s == RAD_OK; i++) {
        const rad_reading *r = &c->reading[i];
        q = rad_query_start(st, SQL_READING);
        rad_bind_text(&q, r->reader);
        rad_bind_int(&q, ids->patient[r->patient]);
        rad_bind_index(&q, r->lesion < 0 ? -1 : ids->lesion[r->lesion]);
        rad_bind_text(&q, r->session);
        rad_bind_text(&q, r->call);
        rad_bind_real(&q, r->rating);
        rad_bind_real(&q, r->experience_years);
        int64_t id = 0;
        s = rad_query_int(&q, &id, err);
        if (s == RAD_OK && r->n_feature > 0)
            s = put_covariates(st, SQL_FEATURE_CLEAR, SQL_FEATURE, id, r->feature, r->n_feature, err);
    }
    if (s == RAD_OK) {
        q = rad_query_start(st, SQL_REPEATS);
        s = rad_query_exec(&q, err);
    }
    return s;
}

static int64_t *new_ids(int64_t n) {
    return rad_calloc((size_t)n + 1, sizeof(int64_t)); /* + 1: an empty table is not a failed allocation */
}

rad_status rad_rows_upsert_cohort(struct rad_store *st, const rad_cohort *c, rad_row_ids *ret, rad_error *err) {
    rad_status s = RAD_OK;
    rad_row_ids ids = {new_ids(c->n_center), new_ids(c->n_patient), new_ids(c->n_lesion), new_ids(c->n_image)};
    if (!ids.center || !ids.patient || !ids.lesion || !ids.image)
        s = rad_error_set(err, RAD_E_NOMEM, "out of memory for the cohort's %lld images", (long long)c->n_image);
    for (int64_t i = 0; i < c->n_center && s == RAD_OK; i++) {
        rad_query q = rad_query_start(st, SQL_CENTER);
        rad_bind_text(&q, c->center[i].id);
        rad_bind_text(&q, c->center[i].external ? "external" : "internal");
        rad_bind_text(&q, c->center[i].name);
        rad_bind_text(&q, c->center[i].country);
        s = rad_query_int(&q, &ids.center[i], err);
    }
    for (int64_t i = 0; i < c->n_patient && s == RAD_OK; i++)
        s = put_patient(st, &c->patient[i], ids.center[c->patient[i].center], &ids.patient[i], err);
    for (int64_t i = 0; i < c->n_lesion && s == RAD_OK; i++)
        s = put_lesion(st, &c->lesion[i], ids.patient[c->lesion[i].patient], &ids.lesion[i], err);
    for (int64_t i = 0; i < c->n_image && s == RAD_OK; i++) {
        const rad_image *im = &c->image[i];
        rad_query q = rad_query_start(st, SQL_IMAGE);
        rad_bind_int(&q, ids.patient[im->patient]);
        rad_bind_index(&q, im->lesion < 0 ? -1 : ids.lesion[im->lesion]);
        rad_bind_text(&q, im->study ? im->study : "");
        rad_bind_text(&q, im->sequence);
        rad_bind_text(&q, im->path);
        rad_bind_text(&q, im->slices);
        s = rad_query_int(&q, &ids.image[i], err);
        if (s == RAD_OK)
            s = put_covariates(st, SQL_IMAGE_COVARIATE_CLEAR, SQL_IMAGE_COVARIATE, ids.image[i], im->covariate, im->n_covariate, err);
    }
    if (s == RAD_OK)
        s = put_readings(st, c, &ids, err);
    if (s == RAD_OK)
        *ret = ids;
    else
        rad_row_ids_release(&ids);
    return s;
}

void rad_row_ids_release(rad_row_ids *ids) {
    free(ids->center);
    free(ids->patient);
    free(ids->lesion);
    free(ids->image);
    *ids = (rad_row_ids){0};
}

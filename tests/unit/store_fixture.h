/* store_fixture.h: cohorts, jobs and results made in memory, so that the store is tested without files or networks. Scores are a
 * function of names alone: whoever computes a case gets the same bits. */
#ifndef RAD_STORE_FIXTURE_H
#define RAD_STORE_FIXTURE_H

#include "unit.h"

#include <math.h>
#include <sqlite3.h>

#include "radcohort/store.h"

typedef struct fx_shape {
    int n_center, n_patient, n_lesion; /* n_lesion per patient, 0: the case is the patient */
    int n_class, n_model, n_slice;
    bool trouble; /* some cases fail at intake, loading or inference */
} fx_shape;

typedef struct fixture {
    fx_shape shape;
    rad_cohort cohort;
    rad_job job;
    rad_manifest manifest;
    rad_run_model *model;
    rad_run_info info;
    char **owned;
    size_t n_owned, cap_owned;
} fixture;

static inline char *fx_text(fixture *f, const char *fmt, ...) RAD_PRINTF(2, 3);
static inline char *fx_text(fixture *f, const char *fmt, ...) {
    char buf[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(buf, sizeof buf, fmt, ap);
    va_end(ap);
    if (f->n_owned == f->cap_owned) {
        f->cap_owned = f->cap_owned ? 2 * f->cap_owned : 64;
        f->owned = realloc(f->owned, f->cap_owned * sizeof *f->owned);
    }
    return f->owned[f->n_owned++] = strdup(buf);
}

static inline uint64_t fx_hash(const char *s) {
    uint64_t h = 1469598103934665603u;
    for (; *s; s++)
        h = (h ^ (uint8_t)*s) * 1099511628211u;
    h ^= h >> 29;
    h *= 0xbf58476d1ce4e5b9u;
    h ^= h >> 32;
    return h;
}

static inline double fx_unit_interval(uint64_t h) {
    return ((double)(h >> 11) + 0.5) / 9007199254740992.0;
}

static inline void fx_job(fixture *f) {
    rad_job *j = &f->job;
    j->name = fx_text(f, "fixture");
    j->path = fx_text(f, "fixture.yaml");
    j->text = fx_text(f, "name: fixture # %d %d %d", f->shape.n_class, f->shape.n_model, f->shape.n_lesion);
    if (rad_sha256(j->text, strlen(j->text), j->sha256, NULL) != RAD_OK)
        fail();
    j->cohort_dir = fx_text(f, "cohort");
    j->case_unit = f->shape.n_lesion ? RAD_UNIT_LESION : RAD_UNIT_PATIENT;
    j->n_class = f->shape.n_class;
    for (int i = 0; i < j->n_class; i++)
        j->class_name[i] = fx_text(f, j->n_class == 2 ? (i ? "malignant" : "benign") : "class%d", i);
    j->positive = j->n_class == 2 ? 1 : -1;
    j->n_input = 2;
    j->input = calloc(2, sizeof *j->input);
    for (int i = 0; i < 2; i++) {
        j->input[i].name = fx_text(f, "in%d", i);
        j->input[i].n_channel = 1;
        j->input[i].n_plane = 1;
        j->input[i].canonical = fx_text(f, "channels=T%d:0 region=auto", i + 1);
    }
    j->n_model = f->shape.n_model;
    j->model = calloc((size_t)j->n_model, sizeof *j->model);
    f->model = calloc((size_t)j->n_model, sizeof *f->model);
    for (int i = 0; i < j->n_model; i++) {
        j->model[i].name = fx_text(f, "net%d", i);
        j->model[i].file = fx_text(f, "net%d.onnx", i);
        j->model[i].input = i % 2;
        j->model[i].activation = RAD_ACT_SOFTMAX;
        char sha[RAD_SHA256_HEX];
        if (rad_sha256(j->model[i].name, strlen(j->model[i].name), sha, NULL) != RAD_OK)
            fail();
        f->model[i] = (rad_run_model){.sha256 = fx_text(f, "%s", sha),
                                      .graph_hash = "g",
                                      .summary = "a net",
                                      .opset = 13,
                                      .parameters = 10,
                                      .input_shape = "1,8,8",
                                      .output_shape = "2"};
    }
    snprintf(j->lesion_rule, sizeof j->lesion_rule, "max");
    snprintf(j->patient_rule, sizeof j->patient_rule, "%s", f->shape.n_lesion ? "mean" : "max");
    j->vote_threshold = 0.5;
    j->n_point = 1;
    j->point[0] = (rad_operating_point){.name = fx_text(f, "half"), .threshold = 0.5};
    j->by_all = j->by_cohort = j->by_center = true;
}

static inline void fx_cohort(fixture *f) {
    rad_cohort *c = &f->cohort;
    int nl = f->shape.n_lesion;
    c->dir = f->job.cohort_dir;
    memset(c->sha256, 'c', RAD_SHA256_HEX - 1);
    c->n_center = f->shape.n_center;
    c->n_patient = f->shape.n_patient;
    c->n_lesion = (int64_t)f->shape.n_patient * nl;
    c->n_image = 2 * (int64_t)f->shape.n_patient + 1; /* the last one serves nobody */
    c->n_reading = 1;
    c->center = calloc((size_t)c->n_center, sizeof *c->center);
    c->patient = calloc((size_t)c->n_patient, sizeof *c->patient);
    c->lesion = calloc((size_t)c->n_lesion + 1, sizeof *c->lesion);
    c->image = calloc((size_t)c->n_image, sizeof *c->image);
    c->reading = calloc(1, sizeof *c->reading);
    for (int i = 0; i < c->n_center; i++)
        c->center[i] = (rad_center){.id = fx_text(f, "C%02d", i), .external = i > 0, .name = i ? NULL : fx_text(f, "Hospital of Łódź")};
    for (int i = 0; i < c->n_patient; i++) {
        rad_patient *p = &c->patient[i];
        uint64_t h = fx_hash(p->id = fx_text(f, "P%04d", i));
        *p = (rad_patient){.id = p->id, .center = i % c->n_center, .fold = -1, .age = i % 5 ? 40 + i % 40 : (double)NAN};
        p->label = nl ? NULL : f->job.class_name[h % (uint64_t)f->job.n_class];
        p->n_covariate = 1;
        p->covariate = calloc(1, sizeof *p->covariate);
        p->covariate[0] = (rad_covariate){"bmi", fx_text(f, "%d.5", 20 + i % 9)};
        for (int k = 0; k < 2; k++)
            c->image[2 * i + k] = (rad_image){.patient = i,
                                              .lesion = -1,
                                              .study = fx_text(f, "s1"),
                                              .sequence = fx_text(f, "T%d", k + 1),
                                              .path = fx_text(f, "img/%s_T%d.nii.gz", p->id, k + 1)};
        for (int l = 0; l < nl; l++) {
            rad_lesion *le = &c->lesion[i * nl + l];
            *le = (rad_lesion){.patient = i, .id = fx_text(f, "L%d", l), .size_mm = NAN, .has_box = true, .box = {1, 2, 3, 4, 5, 6}};
            le->label = f->job.class_name[fx_hash(fx_text(f, "%s/%d", p->id, l)) % (uint64_t)f->job.n_class];
        }
    }
    c->image[c->n_image - 1] = (rad_image){
        .patient = 0, .lesion = -1, .study = fx_text(f, "s1"), .sequence = fx_text(f, "FLAIR"), .path = fx_text(f, "img/flair.nii.gz")};
    c->reading[0] = (rad_reading){
        .reader = fx_text(f, "R1"), .patient = 0, .lesion = -1, .call = f->job.class_name[0], .rating = 3, .experience_years = NAN};
}

/* Of a case: two inputs of one image, the first of the table. */
static inline rad_case_input *fx_inputs(void) {
    rad_case_input *in = calloc(1, 2 * sizeof *in + 2 * sizeof *in->image);
    for (int c = 0; c < 2; c++)
        in[c].image = (int64_t *)(in + 2) + c;
    return in;
}

static inline void fx_manifest(fixture *f) {
    int nl = f->shape.n_lesion, per = nl ? nl : 1;
    rad_manifest *m = &f->manifest;
    m->n_case = (int64_t)f->shape.n_patient * per;
    m->item = calloc((size_t)m->n_case, sizeof *m->item);
    for (int64_t i = 0; i < m->n_case; i++) {
        rad_case *k = &m->item[i];
        *k = (rad_case){.patient = i / per, .lesion = nl ? i : -1, .study = "s1"};
        const char *label = nl ? f->cohort.lesion[i].label : f->cohort.patient[k->patient].label;
        k->label = -1;
        for (int c = 0; label && c < f->job.n_class; c++)
            if (strcmp(f->job.class_name[c], label) == 0)
                k->label = c;
        k->input = fx_inputs();
        for (int c = 0; c < 2; c++)
            k->input[c].image[0] = 2 * k->patient + c;
        if (f->shape.trouble && i % 17 == 5) /* one input, or both */
            for (int c = 0; c < 1 + (int)(i % 2); c++) {
                k->input[c].status = RAD_E_CHANNEL;
                k->input[c].why = fx_text(f, "no image with sequence T1");
            }
    }
    m->n_unused = 1;
    m->unused = calloc(1, sizeof *m->unused);
    m->unused[0] = (rad_unused_image){f->cohort.n_image - 1, fx_text(f, "no channel takes sequence FLAIR")};
}

static inline void fx_create(fixture *f, fx_shape shape) {
    memset(f, 0, sizeof *f);
    f->shape = shape;
    fx_job(f);
    fx_cohort(f);
    fx_manifest(f);
    f->info = (rad_run_info){.job = &f->job,
                             .cohort = &f->cohort,
                             .manifest = &f->manifest,
                             .model = f->model,
                             .backend = "ref",
                             .backend_version = "ref 1",
                             .precision = "fp32",
                             .files_sha256 = "f",
                             .rules = 1,
                             .host = "node1",
                             .launch_mode = "single",
                             .command_line = "radcohort run fixture.yaml",
                             .versions_json = "{\"sqlite\":\"3\"}",
                             .n_rank = 1,
                             .threads = 1};
}

static inline void fx_destroy(fixture *f) {
    for (int64_t i = 0; i < f->cohort.n_patient; i++)
        free(f->cohort.patient[i].covariate);
    for (int64_t i = 0; i < f->manifest.n_case; i++)
        free(f->manifest.item[i].input);
    free(f->cohort.center);
    free(f->cohort.patient);
    free(f->cohort.lesion);
    free(f->cohort.image);
    free(f->cohort.reading);
    free(f->manifest.item);
    free(f->manifest.unused);
    free(f->job.input);
    free(f->job.model);
    free(f->model);
    for (size_t i = 0; i < f->n_owned; i++)
        free(f->owned[i]);
    free(f->owned);
}

/* ---------------------------------------------------------------- results */

#define FX_MAX_MODEL 4
#define FX_MAX_SLICE 256
#define FX_MAX_CLASS 4
typedef struct fx_result {
    rad_case_result r;
    rad_model_result model[FX_MAX_MODEL];
    rad_image_record image[2];
    int64_t slice[FX_MAX_SLICE], stored[FX_MAX_SLICE], box[FX_MAX_SLICE][4];
    double score[FX_MAX_MODEL][FX_MAX_SLICE * FX_MAX_CLASS];
} fx_result;

/* Score of one class, a positive case a little higher; classes of a slice sum to 1. */
static inline void fx_scores(const fixture *f, const char *who, int model, int label, int64_t n_slice, double *out) {
    int nc = f->job.n_class;
    for (int64_t s = 0; s < n_slice; s++) {
        double sum = 0;
        for (int c = 0; c < nc; c++) {
            char key[96];
            snprintf(key, sizeof key, "%s/%d/%d/%lld", who, model, c, (long long)s);
            sum += out[s * nc + c] = fx_unit_interval(fx_hash(key)) + (c == label ? 0.4 : 0);
        }
        for (int c = 0; c < nc; c++)
            out[s * nc + c] /= sum;
    }
}

/* What a worker would send for case `index` of the manifest. `twin` >= 0: the voxels are those of case `twin`. */
static inline rad_case_result *fx_make(const fixture *f, int64_t index, int64_t case_id, int64_t twin, fx_result *b) {
    const rad_case *k = &f->manifest.item[index];
    memset(b, 0, sizeof *b);
    int64_t source = twin >= 0 ? twin : index;
    int64_t n_slice = 1 + source % f->shape.n_slice;
    char who[64];
    snprintf(who, sizeof who, "case%lld", (long long)source);
    for (int64_t s = 0; s < n_slice; s++) {
        b->slice[s] = s + 3;
        b->stored[s] = (f->shape.n_slice > 41 ? f->shape.n_slice - 1 : 40) - s;
        b->box[s][0] = -1;
        b->box[s][2] = b->box[s][3] = 9;
    }
    for (int i = 0; i < 2; i++) {
        rad_image_record *im = &b->image[i];
        *im = (rad_image_record){.image = k->input[i].image[0],
                                 .n_dim = 3,
                                 .dim = {8, 8, 41, 1, 1, 1, 1},
                                 .spacing = {1, 1, 3},
                                 .orientation = "LAS",
                                 .type = "int16",
                                 .file_bytes = 1000 + source};
        im->affine[0][0] = -1;
        snprintf(im->content, sizeof im->content, "%016llx%016d", (unsigned long long)fx_hash(who), i);
        im->warning = source % 11 == 0 ? "sform and qform disagree by 2.5 mm" : NULL;
    }
    for (int m = 0; m < f->job.n_model; m++) {
        rad_model_result *r = &b->model[m];
        char text[128];
        if (k->input[f->job.model[m].input].status != RAD_OK)
            continue; /* zeroed: the store knows it from intake */
        if (f->shape.trouble && index % 13 == 7) {
            *r = (rad_model_result){.status = RAD_E_TRUNCATED, .stage = "load", .why = "file ends early"};
            continue;
        }
        if (f->shape.trouble && m == 1 && index % 19 == 3) {
            *r = (rad_model_result){.status = RAD_E_NONFINITE, .stage = "infer", .why = "output is NaN"};
            continue;
        }
        snprintf(text, sizeof text, "%s %s", who, f->job.model[m].name);
        if (rad_sha256(text, strlen(text), r->key, NULL) != RAD_OK)
            fail();
        fx_scores(f, who, m, f->manifest.item[source].label, n_slice, b->score[m]);
        r->file = m;
        r->n_slice = n_slice;
        r->slice = b->slice;
        r->stored_slice = b->stored;
        r->box = (const int64_t(*)[4])b->box;
        r->score = b->score[m];
    }
    b->r = (rad_case_result){.case_id = case_id,
                             .rank = 1,
                             .host = "node1",
                             .device = "cpu",
                             .n_image = 2,
                             .image = b->image,
                             .n_model = f->job.n_model,
                             .model = b->model,
                             .read_s = 0.1,
                             .prepare_s = 0.2,
                             .infer_s = 0.3,
                             .read_bytes = 2000};
    return &b->r;
}

/* ---------------------------------------------------------------- helpers for tests */

static inline double fx_number(const char *path, const char *sql) {
    sqlite3 *db = NULL;
    sqlite3_stmt *q = NULL;
    if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL) != SQLITE_OK || sqlite3_prepare_v2(db, sql, -1, &q, NULL) != SQLITE_OK ||
        sqlite3_step(q) != SQLITE_ROW)
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    double v = sqlite3_column_type(q, 0) == SQLITE_NULL ? (double)NAN : sqlite3_column_double(q, 0);
    sqlite3_finalize(q);
    sqlite3_close(db);
    return v;
}
static inline void fx_sql(const char *path, const char *sql) {
    sqlite3 *db = NULL;
    if (sqlite3_open(path, &db) != SQLITE_OK || sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    sqlite3_close(db);
}
#define assert_number(path, sql, want)                                                                                                     \
    do {                                                                                                                                   \
        double got_ = fx_number(path, sql);                                                                                                \
        if (got_ != (double)(want))                                                                                                        \
            fail_msg("%s: got %.17g, want %.17g", sql, got_, (double)(want));                                                              \
    } while (0)

/* The whole job in one go, cases in manifest order. */
static inline int64_t fx_run_all(const fixture *f, const char *path, char hash[RAD_SHA256_HEX]) {
    rad_error err = {0};
    rad_store *st = NULL;
    rad_pending_case *p = NULL;
    int64_t run = 0, n = 0, excluded = 0;
    bool resumed = false, finished = false;
    fx_result *b = malloc(sizeof *b);
    assert_ok(rad_store_open(path, RAD_STORE_WRITE, &st, &err));
    assert_ok(rad_store_begin_run(st, &f->info, &run, &resumed, &finished, &p, &n, &err));
    for (int64_t i = 0; i < n; i++) {
        assert_ok(rad_store_lease(st, run, &p[i].case_id, 1, 1, &err));
        assert_ok(rad_store_put_result(st, run, fx_make(f, p[i].manifest_index, p[i].case_id, -1, b), &err));
    }
    if (!finished)
        assert_ok(rad_store_finish_run(st, run, &f->job, &excluded, &err));
    assert_ok(rad_store_result_hash(st, run, hash, &err));
    rad_store_close(&st);
    free(p);
    free(b);
    return run;
}

#endif

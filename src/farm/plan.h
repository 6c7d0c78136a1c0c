/* plan.h (private to src/farm): what rank 0 knows before the first lease: job, cohort, manifest, models checked against the backend, and
 * how a case becomes a self-contained lease. */
#ifndef RAD_FARM_PLAN_H
#define RAD_FARM_PLAN_H

#include "crash.h"
#include "radcohort/farm.h"
#include "radcohort/folds.h"
#include "radcohort/infer.h"
#include "ready.h"
#include "wire.h"

typedef struct rad_plan_model {
    char *summary, *input_shape, *output_shape;
    char sha256[RAD_SHA256_HEX], graph_hash[RAD_SHA256_HEX];
} rad_plan_model;

typedef struct rad_plan {
    rad_job *job;
    rad_cohort *cohort;
    rad_manifest *manifest;
    rad_files *files;         /* the job as the workers run it: one model per file */
    rad_plan_model *model;    /* [files->job.n_model] */
    rad_run_model *run_model; /* the same as the store wants it */
    const char **sha256, **graph_hash;
    char *backend, *backend_version;
    rad_precision precision;
    int batch;
    rad_ready *ready; /* [files->job.n_model] for the worker of this process, which takes them; NULL: it has none */
    bool with_worker; /* before rad_plan_complete: it will have one */
    int threads;      /* before rad_plan_complete: so many models are checked side by side; 0: one */
    char *database;
    char *cam_dir;                 /* beside it */
    char crash_tag[RAD_CRASH_TAG]; /* once the run has begun */
    double *cost;                  /* [manifest->n_case], bytes of the case's files */
    uint64_t *stamp;               /* [manifest->n_case], of the case's files (stamp.h) */
    rad_file_look *look;           /* [cohort->n_image + cohort->n_lesion]: images in use, then masks of cases; NULL: not looked at */
    char files_sha256[RAD_SHA256_HEX];
    char identity[RAD_SHA256_HEX]; /* of the run */
} rad_plan;

/* The job alone, with the options on top of it: what every rank does. Issues go to stderr when `loud`. Errors: CONFIG, USAGE, NOTFOUND. */
rad_status rad_plan_read_job(const rad_farm_opts *o, bool loud, rad_plan *ret, rad_error *err) RAD_MUST_CHECK;
/* Cohort, manifest, models, backend and files: rank 0 only. Errors: CONFIG, MODEL (names the model, the node, the reason), DEVICE, USAGE.
 */
rad_status rad_plan_complete(const rad_farm_opts *o, rad_plan *p, rad_error *err) RAD_MUST_CHECK;
void rad_plan_release(rad_plan *p);
/* What the plan says of a run; host, launch mode, command line, versions, ranks and threads are left to the caller. Borrows from `p`. */
rad_run_info rad_plan_run_info(const rad_plan *p);

/* One look at every image and mask that the manifest uses, each once: fills `cost`, `stamp`, and `files_sha256` from their paths, sizes and
 * times of change (or that they are missing). Part of rad_plan_complete. */
rad_status rad_plan_files(rad_plan *p, rad_error *err) RAD_MUST_CHECK;

/* The same for many processes that score parts of one run: the first to come writes what it found to `path`, the others take it from there
 * without a look at the files, while job and tables are the same. Errors: as rad_plan_files, IO. */
rad_status rad_plan_files_shared(rad_plan *p, const char *path, rad_error *err) RAD_MUST_CHECK;
/* Class activation maps have files beside the database: makes their folder, and opens the cases whose files are lost again, also of a
 * finished run; *ret_n says how many. Errors: STORE, NOMEM. */
rad_status rad_plan_lost_cams(const rad_plan *p, rad_store *st, int64_t run, int64_t *ret_n, rad_error *err) RAD_MUST_CHECK;

/* Warns of images and masks in use that are not there, if this process has looked. */
void rad_plan_tell_missing(const rad_plan *p);

/* Warns of cases whose files changed under the run, and says what to do. */
void rad_plan_tell_moved(int64_t n);

/* False when the intake excludes the case for every model. */
bool rad_plan_wants(const rad_plan *p, int64_t manifest_index);

/* Packs cases as one LEASE message into *ret. index[k] is the position in `pending`. */
rad_status rad_plan_pack_lease(const rad_plan *p, const rad_pending_case *pending, const int64_t *index, int64_t n, rad_buf *ret,
                               rad_error *err) RAD_MUST_CHECK;

#endif

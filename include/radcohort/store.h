/* store: the one SQLite file. Only rank 0 opens it for writing. Schema: schemas/schema.sql (embedded at build time), versioned by
 * user_version, described in the data_dictionary table.
 *
 * Promise 2: scores live under a content key and are stored once; a run refers to them. Promise 3: rad_store_finish_run checks that every
 * case and model of the manifest is a result or an exclusion. Promise 5: journal_mode DELETE, one writer, never WAL.
 */
#ifndef RADCOHORT_STORE_H
#define RADCOHORT_STORE_H

#include "radcohort/base.h"
#include "radcohort/cohort.h"
#include "radcohort/job.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rad_store rad_store;
typedef enum rad_store_mode { RAD_STORE_READ, RAD_STORE_WRITE /* creates, migrates, takes the writer lock */ } rad_store_mode;

/* Errors: USAGE (not a radcohort file, WAL mode), STORE (newer schema, locked by another writer, read-only: each says the way out),
 * NOTFOUND (READ). A new file is made with mode 0600, its folder too when it is missing. The writer holds PATH.lock, which dies with the
 * process.
 * A handle is used by one thread at a time; a process opens a file for writing once. After a failed write the handle refuses further
 * ones: what was committed stays, and a new begin_run goes on from there. */
rad_status rad_store_open(const char *path, rad_store_mode mode, rad_store **ret, rad_error *err) RAD_MUST_CHECK;
/* The same with a say in where and how; `o` NULL is rad_store_open. */
typedef struct rad_store_opts {
    /* A folder on a disk of this node, for RAD_STORE_WRITE: the file is built there and published at `path` as a whole (copy, fsync,
     * rename) every RAD_STORE_PUBLISH_SECONDS and at the end of every run, so that `path` may lie where locks cannot be trusted and its
     * readers see a consistent file at any moment. What was committed after the last publication is lost with the node. NULL: none. */
    const char *scratch;
    unsigned file_mode; /* of a new file; 0: 0600. The umask takes from it. */
} rad_store_opts;
rad_status rad_store_open_opts(const char *path, rad_store_mode mode, const rad_store_opts *o, rad_store **ret,
                               rad_error *err) RAD_MUST_CHECK;
void rad_store_close(rad_store **st);
/* A random name of the file, given when it was made: tells what belongs to it from what an earlier file of the same path left behind.
 * Errors: STORE. */
#define RAD_STORE_ID_TEXT 33
rad_status rad_store_get_id(rad_store *st, char ret_hex[RAD_STORE_ID_TEXT], rad_error *err) RAD_MUST_CHECK;

/* True while another program's transaction keeps a batch from being committed: it stays open, and rad_store_flush tries again. Also after
 * a call that failed for that reason. */
bool rad_store_is_held(const rad_store *st);

/* True when all that is committed is where it survives the loss of this node's scratch (always, without scratch). */
bool rad_store_is_durable(const rad_store *st);

/* ---------------------------------------------------------------- a run */

typedef struct rad_run_model {                 /* what the coordinator found in each model file */
    const char *sha256, *graph_hash, *summary; /* summary: rad_graph_describe */
    int opset;
    int64_t parameters;
    const char *input_shape, *output_shape; /* text, one sample */
} rad_run_model;

typedef struct rad_run_info {
    const rad_job *job;
    const rad_cohort *cohort;
    const rad_manifest *manifest;
    const rad_run_model *model; /* per file (folds.h) */
    const char *backend, *backend_version, *precision, *host, *launch_mode, *command_line, *versions_json;
    const char *files_sha256; /* of path, size and time of change (or 'missing') of every file that the manifest uses */
    int rules;                /* revision of what the program does beyond the declared rules */
    int n_rank, threads;
} rad_run_info;

/* What makes two runs the same one: SHA-256 over all that decides a result (see rad_store_begin_run). Errors: NOMEM, LIMIT. */
rad_status rad_store_identify(const rad_run_info *info, char ret_hex[RAD_SHA256_HEX], rad_error *err) RAD_MUST_CHECK;

typedef struct rad_pending_case {
    int64_t case_id, manifest_index;
    int attempts; /* leases lost by what is surely its own fault */
    int lost;     /* sessions that died while it was leased */
} rad_pending_case;

/* In one transaction: upserts the cohort tables, finds an unfinished run of the same identity and takes it up again, or makes a new one
 * with its manifest, intake exclusions and unused images; other unfinished runs are then marked stopped. Identity: what the job declares
 * (read, not as text: no comments, batch or paths), the tables, the files as they are now, model files, backend version, precision.
 * *ret_pending: the cases still without result, manifest order; caller frees. *ret_resumed tells which. A finished run of the same identity
 * gives *ret_run and no pending case, *ret_finished true. */
rad_status rad_store_begin_run(rad_store *st, const rad_run_info *info, int64_t *ret_run, bool *ret_resumed, bool *ret_finished,
                               rad_pending_case **ret_pending, int64_t *ret_n, rad_error *err) RAD_MUST_CHECK;
/* Commits that these cases are leased to `rank` BEFORE their work is sent; counts the attempt. Not committed yet (the work must not be
 * sent) when rad_store_is_held says so afterwards. */
rad_status rad_store_lease(rad_store *st, int64_t run, const int64_t *case_id, int64_t n, int rank, rad_error *err) RAD_MUST_CHECK;
/* The same without the commit, which is rad_store_flush: leases of many ranks cost one. */
rad_status rad_store_put_lease(rad_store *st, int64_t run, const int64_t *case_id, int64_t n, int rank, rad_error *err) RAD_MUST_CHECK;
/* The leases came back without the case's fault: the attempt does not count. */
rad_status rad_store_return(rad_store *st, int64_t run, const int64_t *case_id, int64_t n, rad_error *err) RAD_MUST_CHECK;

#define RAD_STORE_SIGNATURE 164   /* bytes, RAD_MAX_SIGNATURE of load.h */
typedef struct rad_image_record { /* what the worker read */
    int64_t image;                /* index into cohort->image */
    char content[RAD_XXH128_HEX];
    const char *volumes; /* of a 4-D image those whose mean was taken (rad_pick.text); NULL, "": the image as it is */
    int n_dim;
    int64_t dim[7];
    double spacing[3], affine[4][4];
    char orientation[4];
    const char *type;    /* voxel type name */
    const char *warning; /* or NULL */
    int64_t file_bytes;
    char signature[2 * RAD_STORE_SIGNATURE + 1]; /* rad_signature as hexadecimal digits, "": none */
} rad_image_record;

typedef struct rad_cam_slice {    /* the class activation map of one slice, or of a volume, on the image's own pixels */
    int64_t slice;                /* of a volume the one nearest to its centre */
    int64_t peak[3];              /* stored voxel of the largest value; the first in the reoriented slice's row-major order */
    double peak_mm[3];            /* RAS+ */
    double peak_value, low_value; /* largest and smallest value of the region */
    double energy;                /* sum of the positive values */
    double energy_inside, iou;    /* share of it on the lesion; overlap of {value >= peak / 2} with the lesion; NaN: no lesion here */
    int peak_inside;              /* 0, 1, or -1: no lesion here */
} rad_cam_slice;

typedef struct rad_cam_result { /* of one model on one case */
    char key[RAD_SHA256_HEX];
    bool stored; /* the file has it under `key`: nothing below is set */
    int class_index;
    int64_t deciding_slice;       /* the slice with the highest score of the class */
    int64_t depth, height, width; /* size of the map before it was resized; depth 0: maps of slices */
    const char *file;             /* below the folder of maps, or NULL: none was to be written */
    char file_sha256[RAD_SHA256_HEX];
    int64_t file_bytes;
    double scale; /* value = scale * stored voxel */
    int64_t n_slice;
    const rad_cam_slice *slice;
} rad_cam_result;

typedef struct rad_model_result { /* one model on one case */
    rad_status status;            /* RAD_OK, or why there is no score (study scope) */
    const char *stage;            /* "load", "prepare", "infer" when not OK */
    const char *why;
    /* content key: H(image contents, region, input canonical text, model hash, activation, precision, engine version) */
    char key[RAD_SHA256_HEX];
    int file;    /* which file (folds.h) scored: the model's own, or that of the one that stood in (rad_model_spec.when_missing) */
    bool stored; /* nothing was computed: the file has the result under `key`; no slices here */
    int64_t n_slice;
    const int64_t *slice, *stored_slice; /* [n_slice] */
    const int64_t (*box)[4];             /* [n_slice] */
    const double *mismatch_mm;           /* [n_slice] how far slices of images on other grids were at most; NULL: all 0 */
    const double *score;                 /* [n_slice, n_class] after the activation */
    double input_mean, input_sd;         /* of the samples that the network saw; NaN: not known */
    bool has_cam;
    rad_cam_result cam;
} rad_model_result;

typedef struct rad_case_result {
    int64_t case_id;
    int rank;
    const char *host, *device;
    int64_t n_image;
    const rad_image_record *image;
    int n_model;
    const rad_model_result *model; /* job->n_model */
    /* Time ledger, seconds on the rank: they add up to the time from the lease's arrival to the result. `wait`: no thread was at this case.
     * `finish`: class activation maps and the result's bytes. */
    double read_s, inflate_s, prepare_s, wait_s, infer_s, finish_s;
    int64_t read_bytes;
    bool carried; /* taken over from an earlier run without work: no time ledger */
} rad_case_result;

/* The content keys of the stored results of the networks (by their graphs) of a run, as bytes, ascending: what a worker need not compute.
 * At most `max`, the newest. *ret [*ret_n, RAD_SHA256_BYTES] is the caller's to free, NULL when there are none. Errors: STORE, NOMEM. */
rad_status rad_store_known_keys(rad_store *st, int64_t run, int64_t max, uint8_t **ret, int64_t *ret_n, rad_error *err) RAD_MUST_CHECK;

/* Idempotent: a second result of a case changes nothing. STORE when a result that is said to be stored is not there. Grouped into
 * transactions; rad_store_flush commits. */
rad_status rad_store_put_result(rad_store *st, int64_t run, const rad_case_result *r, rad_error *err) RAD_MUST_CHECK;
/* A case without result, whole: quarantine. */
rad_status rad_store_put_exclusion(rad_store *st, int64_t run, int64_t case_id, const char *stage, rad_status why, const char *text,
                                   rad_error *err) RAD_MUST_CHECK;
/* Commits; waits for readers only shortly, see rad_store_is_held. The same holds for finish_run and stop_run. */
rad_status rad_store_flush(rad_store *st, rad_error *err) RAD_MUST_CHECK;
/* *ret_excluded: units that lack a score, cases and patients without a case.
 * Aggregates slices to cases and patients (job rules), checks promise 3 (STORE error naming the first case that is neither), computes the
 * statistics of the job, marks the run finished. */
rad_status rad_store_finish_run(rad_store *st, int64_t run, const rad_job *job, int64_t *ret_excluded, rad_error *err) RAD_MUST_CHECK;
/* Marks it stopped (resumable). */
rad_status rad_store_stop_run(rad_store *st, int64_t run, rad_error *err) RAD_MUST_CHECK;

/* ---------------------------------------------------------------- class activation maps */

/* The folder of a result file's overlays: its name with .cams for the ending. Caller frees; NULL when memory is out. */
char *rad_store_cam_dir(const char *path);
/* How many overlays the run refers to, and how many of them are gone or of another size than recorded. Errors: STORE, NOMEM. */
rad_status rad_store_check_cams(rad_store *st, int64_t run, int64_t *ret_files, int64_t *ret_lost, rad_error *err) RAD_MUST_CHECK;
/* Cases whose overlays are lost in this way are done again, whether or not the run is finished: rad_store_begin_run then takes it up.
 * *ret_n: how many. Errors: STORE, NOMEM. */
rad_status rad_store_reopen_cams(rad_store *st, int64_t run, int64_t *ret_n, rad_error *err) RAD_MUST_CHECK;

typedef struct rad_cam_row { /* one map of a run with all that is needed to show it; strings live for the call */
    const char *model, *patient, *lesion, *study, *class_name, *cohort; /* lesion NULL: the case is a patient */
    double score;                                                       /* of the class in this slice */
    int label;                                                          /* 1: of the class, 0: not, -1: not known */
    int64_t slice, region[4], peak[3];
    bool deep; /* of a volume: the peak may lie in another slice than `slice` */
    bool deciding;
    double peak_value, energy_inside, iou, scale; /* NaN as in rad_cam_slice */
    int peak_inside;
    const char *file;                      /* below the folder of maps; NULL: none */
    const char *image, *mask, *cohort_dir; /* of the first channel entry, and of the lesion; below cohort_dir; NULL: none */
    char orientation[4];                   /* of the input: how slice and region lie */
    bool has_box;
    int64_t box[6];   /* of the lesion */
    double threshold; /* the first operating point; NaN: none */
} rad_cam_row;
/* In the order of models, patients, lesions and slices. A non-zero return stops. Errors: STORE. */
rad_status rad_store_each_cam(rad_store *st, int64_t run, int (*row)(const rad_cam_row *r, void *payload), void *payload,
                              rad_error *err) RAD_MUST_CHECK;

/* ---------------------------------------------------------------- seals */

typedef struct rad_seal_finding { /* a row that is not what was sealed; strings live for the call */
    int64_t run;                  /* 0: of no run */
    const char *table, *what;     /* changed, deleted, inserted; of table seal also how the chain is broken */
    const char *row;              /* by its names: model, unit, patient, lesion, ... */
} rad_seal_finding;
typedef struct rad_seal_report {
    int64_t n_result, n_row, n_seal, n_finding; /* results, rows of finished runs, seals, and how many were found wanting */
    int64_t n_run, n_open;                      /* finished runs; others, whose tables are sealed when they end */
    char head[RAD_SHA256_HEX];                  /* the chain's last link, "" without one */
} rad_seal_report;
/* Every result is sealed by SHA-256 when it is stored, the tables of every run when it is finished, each seal over the one before it.
 * Recomputes all of them and tells every row that was changed, deleted or inserted by other means. A file whose chain was computed anew
 * after a change is only told by its head: `head`, when not NULL, is one noted earlier and must be a link of the chain. A non-zero return
 * of `found` stops. Errors: STORE, NOMEM, STOPPED. */
rad_status rad_store_verify(rad_store *st, const char *head, int (*found)(const rad_seal_finding *f, void *payload), void *payload,
                            rad_seal_report *ret, rad_error *err) RAD_MUST_CHECK;

/* ---------------------------------------------------------------- reading */

/* SHA-256 over all case and slice scores and exclusions of a run in a fixed order, without times, ranks, hosts and ids: equal for equal
 * results however they were computed. */
rad_status rad_store_result_hash(rad_store *st, int64_t run, char ret_hex[RAD_SHA256_HEX], rad_error *err) RAD_MUST_CHECK;
/* The newest run (of any state), or NOTFOUND. */
rad_status rad_store_last_run(rad_store *st, int64_t *ret_run, rad_error *err) RAD_MUST_CHECK;

/* Cases of the run `identity` (rad_store_identify) that are neither scored nor excluded; *ret_known false: the file has no such run. */
rad_status rad_store_count_left(rad_store *st, const char *identity, bool *ret_known, int64_t *ret, rad_error *err) RAD_MUST_CHECK;

typedef struct rad_run_status {
    int64_t run;
    char state[16]; /* running, stopped, finished, failed */
    char job[128], backend[32], precision[16], case_unit[16], started[RAD_TIME_TEXT], finished[RAD_TIME_TEXT];
    /* n_case = n_done + n_leased + n_pending; n_done counts cases that are scored or excluded, n_excluded those among them that at
     * least one model could not score */
    int64_t n_case, n_done, n_scored, n_excluded, n_leased, n_pending, n_warning;
    int64_t n_no_case;      /* patients without a case: excluded at intake, not among n_case */
    int64_t n_copy, n_leak; /* pairs of images that two patients share, exactly or nearly; those of different folds among them */
    /* scores of models on cases so far; those among them that the file had already; cases all of whose scores it had */
    int64_t n_result, n_reused, n_case_reused;
    double read_s, inflate_s, prepare_s, wait_s, infer_s, write_s; /* sums of the time ledger */
    bool writer;                    /* a process is writing the file now; a running run without one was interrupted */
    int64_t sessions, session_done; /* cases that were done before the latest session */
    double session_s;               /* seconds since the latest session began (to its end for a finished run) */
} rad_run_status;
rad_status rad_store_run_status(rad_store *st, int64_t run, rad_run_status *ret, rad_error *err) RAD_MUST_CHECK;

typedef struct rad_exclusion_count {
    const char *unit, *stage, *reason, *example; /* example: the text of one of them */
    int64_t n;                                   /* distinct cases (unit of the job) or patients */
} rad_exclusion_count;
/* Exclusions by unit, stage and reason, most frequent first. A non-zero return stops. Strings live for the call. */
rad_status rad_store_each_exclusion(rad_store *st, int64_t run, int (*row)(const rad_exclusion_count *c, void *payload), void *payload,
                                    rad_error *err) RAD_MUST_CHECK;

/* Cases of the run without result and exclusion, in the manifest's order. `lesion` may be NULL. A non-zero return stops. Strings live for
 * the call. */
rad_status rad_store_each_left(rad_store *st, int64_t run,
                               int (*row)(const char *patient, const char *lesion, const char *study, void *payload), void *payload,
                               rad_error *err);

typedef struct rad_warning_count {
    const char *stage, *text, *example; /* example: a patient (and lesion) or a file that it is about, or NULL */
    int64_t n;                          /* cases or files of which it is said */
} rad_warning_count;
/* Warnings by stage and text, most frequent first. A non-zero return stops. Strings live for the call. */
rad_status rad_store_each_warning(rad_store *st, int64_t run, int (*row)(const rad_warning_count *c, void *payload), void *payload,
                                  rad_error *err) RAD_MUST_CHECK;

/* (Re)computes the statistics of a finished run into the statistic table (schemas/README.md lists the numbers), and audits them: rows
 * that cannot all be true are not kept. Errors: STORE (not finished, open for reading), INTERNAL (the audit, naming the row). */
rad_status rad_store_compute_statistics(rad_store *st, int64_t run, rad_error *err) RAD_MUST_CHECK;
typedef struct rad_statistic_row {
    const char *model, *unit, *stratum, *name, *method;
    const char *class_name;                             /* NULL: all classes together */
    const char *reason;                                 /* why something is NULL or degenerate, or NULL */
    const char *stratum_kind;                           /* all, cohort, center, contrast */
    const char *cohort;                                 /* internal, external, or NULL: both */
    const char *point;                                  /* operating point, or NULL */
    const char *versus;                                 /* model, reader or center compared with, or NULL */
    const char *query;                                  /* SQL that returns the rows behind the number */
    int64_t n, n_pos, n_missing, n_cluster;             /* n_cluster: patients among n */
    double est, se, lower, upper, level, p, p_adjusted; /* NaN = NULL */
} rad_statistic_row;
/* Calls `row` in a fixed order: model, unit, class, then all, cohorts, centers, contrast. A non-zero return stops. Strings live for the
 * call. */
rad_status rad_store_each_statistic(rad_store *st, int64_t run, int (*row)(const rad_statistic_row *r, void *payload), void *payload,
                                    rad_error *err) RAD_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif

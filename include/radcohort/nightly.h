/* nightly: what moved in an archive since the last run of a job, what has to be scored because of it, and what came of it.
 *
 * The plan is made by the farm (it knows how a result's key is made), kept here as plain data, and written and compared by the store.
 * A case is kept when the database holds the result (or the lasting failure) that the case would get: the key of every model is made from
 * the contents of its files as the walk found them. Files whose size, inode and time of change are those of the last look keep the content
 * that was known then, and are not opened.
 */
#ifndef RADCOHORT_NIGHTLY_H
#define RADCOHORT_NIGHTLY_H

#include "radcohort/base.h"
#include "radcohort/cohort.h"
#include "radcohort/store.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum rad_night_action {
    RAD_NIGHT_KEEP,    /* its results are stored, or its failure is known and lasts */
    RAD_NIGHT_RUN,     /* is leased to a worker */
    RAD_NIGHT_EXCLUDED /* by intake, for all models */
} rad_night_action;

/* Why: bits. */
typedef enum rad_night_reason {
    RAD_NIGHT_NEW_PATIENT = 1 << 0,
    RAD_NIGHT_NEW_LESION = 1 << 1,
    RAD_NIGHT_NEW_STUDY = 1 << 2,
    RAD_NIGHT_IMAGE = 1 << 3, /* other images, or other content */
    RAD_NIGHT_MASK = 1 << 4,
    RAD_NIGHT_REGION = 1 << 5,      /* box, point or listed slices */
    RAD_NIGHT_MODEL = 1 << 6,       /* new, or other weights or graph */
    RAD_NIGHT_PREPARATION = 1 << 7, /* input, output or activation */
    RAD_NIGHT_ENGINE = 1 << 8,      /* backend version or precision */
    RAD_NIGHT_RETRY = 1 << 9,       /* failed for a reason that may have passed */
    RAD_NIGHT_MAP = 1 << 10,        /* a class activation map is wanted that is not there */
    RAD_NIGHT_RESULT = 1 << 11,     /* nothing moved that is seen from here, and the result is not there */
    RAD_NIGHT_MOVED = 1 << 12,      /* kept: something moved, but what comes of it is stored */
    RAD_NIGHT_FAILED = 1 << 13,     /* kept: failed before, and would again */
    RAD_NIGHT_INTAKE = 1 << 14      /* excluded: the tables do not hold what the models need */
} rad_night_reason;
#define RAD_NIGHT_REASONS 15
#define RAD_NIGHT_REASONS_TEXT 200
/* "image, model"; "unchanged" for none. */
void rad_night_reasons_text(unsigned reasons, char ret[RAD_NIGHT_REASONS_TEXT]);

typedef struct rad_night_case {
    char *patient, *lesion, *study, *center; /* lesion NULL: the case is a patient; owned */
    rad_night_action action;
    unsigned reasons;
    char detail[120];
    int64_t prior_case; /* in the last finished run; 0: none */
} rad_night_case;

typedef struct rad_night_file { /* one that the manifest uses; images, then masks */
    char *path;                 /* as in the tables; owned */
    rad_file_look look;
    char content[RAD_XXH128_HEX]; /* known before, or read this night; "" when neither */
    char before[RAD_XXH128_HEX];  /* at the last look, or "" */
    int64_t since;                /* run in which this content was first seen; 0: the one of this night */
    bool moved, read;             /* not as at the last look (or never looked at); its content was read for the plan */
} rad_night_file;

typedef enum rad_night_gone_kind { RAD_NIGHT_GONE_FILE, RAD_NIGHT_GONE_LESION, RAD_NIGHT_GONE_PATIENT } rad_night_gone_kind;
typedef struct rad_night_gone { /* was in the last finished run (files: was there at the last look) and is not now */
    rad_night_gone_kind kind;
    char *patient, *lesion, *path; /* owned, or NULL */
} rad_night_gone;

typedef struct rad_night {
    char *job;
    int64_t prior_run; /* the last finished run of the job; 0: none */
    int64_t n_case;    /* as the manifest */
    rad_night_case *item;
    int n_model;
    char (*key)[RAD_SHA256_HEX]; /* [n_case, n_model] result keys; "" where they are not known before the files are read */
    int64_t n_file;              /* n_image + n_lesion of the cohort; path NULL: not in use */
    rad_night_file *file;
    int64_t n_gone;
    rad_night_gone *gone;
    int64_t n_run, n_keep, n_excluded; /* cases by action */
    int64_t n_walked, n_moved, n_read; /* files */
    double walk_s, read_s, plan_s;
} rad_night;
void rad_night_release(rad_night *n);

/* ---------------------------------------------------------------- what the database knows (all errors: STORE, NOMEM) */

/* From `on` to off one state of the file is looked at, and its locks are taken once instead of for every question. */
rad_status rad_night_hold(rad_store *st, bool on, rad_error *err) RAD_MUST_CHECK;
/* The last finished run of a job before run `before` (0: of all), or 0. */
rad_status rad_night_prior_run(rad_store *st, const char *job, int64_t before, int64_t *ret, rad_error *err) RAD_MUST_CHECK;
/* The file at its last look; *ret_found false: never. Fills `look`, `before` and `since`. */
rad_status rad_night_find_file(rad_store *st, const char *path, rad_night_file *ret, bool *ret_found, rad_error *err) RAD_MUST_CHECK;
rad_status rad_night_has_result(rad_store *st, const char *key, bool *ret, rad_error *err) RAD_MUST_CHECK;
rad_status rad_night_has_cam(rad_store *st, const char *cam_key, bool *ret, rad_error *err) RAD_MUST_CHECK;
typedef struct rad_night_failure {
    rad_status status;
    char stage[16], text[RAD_ERROR_TEXT];
} rad_night_failure;
rad_status rad_night_find_failure(rad_store *st, const char *key, rad_night_failure *ret, bool *ret_found, rad_error *err) RAD_MUST_CHECK;
/* The case in run `run`, or 0. `ret_seen`: bits of the RAD_NIGHT_NEW_ reasons that do not hold (patient known, lesion known). */
rad_status rad_night_find_case(rad_store *st, int64_t run, const char *patient, const char *lesion, const char *study, int64_t *ret,
                               unsigned *ret_seen, rad_error *err) RAD_MUST_CHECK;
/* True when the file holds any result: only then is there a reason to read files before they are scored. */
rad_status rad_night_has_any(rad_store *st, bool *ret, rad_error *err) RAD_MUST_CHECK;

typedef struct rad_night_now { /* one model on one case, as it is this night */
    const char *model, *input_text, *output, *activation, *graph_hash, *precision, *backend_version;
    int n_channel;
    const char *const *content; /* [n_channel]; NULL: planes of zeros */
    const char *const *volumes; /* [n_channel] of a 4-D image those whose mean is taken; "" */
    const rad_lesion *lesion;   /* or NULL */
    const char *slices;         /* of the first channel entry's image row, or NULL */
    bool uses_mask, mask_moved;
} rad_night_now;
/* Adds to *reasons (and to `detail`, when it is empty) what differs from the case `prior_case` of run `run`. */
rad_status rad_night_explain(rad_store *st, int64_t run, int64_t prior_case, const rad_night_now *now, unsigned *reasons, char detail[120],
                             rad_error *err) RAD_MUST_CHECK;
/* Rows of the last finished run's manifest, in its order. A non-zero return stops. */
rad_status rad_night_each_prior(rad_store *st, int64_t run, int (*row)(const char *patient, const char *lesion, void *payload),
                                void *payload, rad_error *err) RAD_MUST_CHECK;

/* ---------------------------------------------------------------- what is written (by the one writer) */

/* Gives the leased or pending case of a run its stored results without anybody reading its files: images are linked to the contents that
 * are known, warnings about them are taken over, stored results and lasting failures are put down as a worker's would be. `r`: stored
 * results and failures, without images; image[i] and content[i]: the cohort's images of the case. */
rad_status rad_night_carry(rad_store *st, int64_t run, const rad_case_result *r, int64_t prior_case, int64_t n_image, const int64_t *image,
                           const char *const *content, rad_error *err) RAD_MUST_CHECK;
/* Contents that the run's workers found, into file[].content where it is "". Image files only: file[i] is image i. */
rad_status rad_night_learn(rad_store *st, int64_t run, int64_t n_image, rad_night_file *file, rad_error *err) RAD_MUST_CHECK;
/* The lasting failure of `model` (position in the job) on the case at `position` of the manifest is kept under its key, if it has one. A
 * file that is not there lasts when the key says so (`absent`); else it, like a read error, is tried again. */
rad_status rad_night_keep_failure(rad_store *st, int64_t run, int64_t position, int model, const char *key, bool absent,
                                  rad_error *err) RAD_MUST_CHECK;
/* All looks of this night become the last ones. */
rad_status rad_night_keep_files(rad_store *st, int64_t run, const rad_night *n, rad_error *err) RAD_MUST_CHECK;

/* ---------------------------------------------------------------- what came of it */

#define RAD_NIGHT_WINDOW 30    /* nights whose files count as recent */
#define RAD_NIGHT_LISTED 10000 /* changes and flips that are kept; the counts go on */
#define RAD_NIGHT_MIN_BASE 20
#define RAD_NIGHT_MIN_RECENT 10
#define RAD_NIGHT_PSI 0.25 /* the usual limit of "a large shift" */
#define RAD_NIGHT_P 0.01   /* after Holm's correction over all tests of the night */

typedef struct rad_night_change { /* a score that is not what it was */
    char *patient, *lesion, *study, *center, *model, *class_name, *unit;
    double before, after;
} rad_night_change;
typedef struct rad_night_flip { /* a call that is not what it was */
    char *patient, *lesion, *center, *model, *class_name, *unit, *point;
    double before, after, threshold;
    bool now_positive;
    int label; /* -1: not known */
} rad_night_flip;
typedef struct rad_night_metric {
    char *model, *unit, *class_name, *stratum_kind, *stratum, *point, *name;
    double before, after, lower, upper;
    int64_t n_before, n_after;
} rad_night_metric;
typedef struct rad_night_drift {
    char *center, *variable, *unit, *test; /* test: ks, chisq */
    int64_t n_base, n_recent;
    double psi, statistic, p, p_adjusted;
    char base[80], recent[80]; /* median and quartiles, or the most frequent value */
    bool alarm;
    char reason[80]; /* why nothing is said; "" */
} rad_night_drift;

typedef struct rad_night_report {
    int64_t run, versus;          /* versus 0: nothing to compare with */
    bool again;                   /* the run has been reported before: nothing moved since */
    int64_t n_scored, n_excluded; /* cases of the run */
    int64_t n_common;             /* scores that both runs have, at the unit of a case */
    int64_t n_change, n_flip, n_metric, n_drift, n_alarm;
    rad_night_change *change; /* largest first */
    rad_night_flip *flip;
    rad_night_metric *metric; /* AUC, sensitivity, specificity, accuracy; largest move first */
    rad_night_drift *drift;
} rad_night_report;
void rad_night_report_release(rad_night_report *r);
/* Compares run `run` with the job's last finished one before it, and looks for drift: at each center, of scores, of intensities as the
 * networks see them, of image geometry and of the images' covariates, files of the last RAD_NIGHT_WINDOW nights against those before.
 * PSI: deciles of the base period, or categories; KS or chi-square test, p values adjusted by Holm's method over all tests of the night. */
rad_status rad_night_compare(rad_store *st, int64_t run, const char *job, rad_night_report *ret, rad_error *err) RAD_MUST_CHECK;
/* One row in `nightly` with the texts, the cases that were not kept, what vanished, and the drift; in one transaction. */
rad_status rad_night_write(rad_store *st, const rad_night *n, const rad_night_report *r, const char *headline, const char *summary,
                           const char *json, int64_t *ret_nightly, rad_error *err) RAD_MUST_CHECK;

/* Two nights over one database never overlap: taken before the first look at a file, dropped with the process. Errors: STORE naming the
 * holder. */
typedef struct rad_night_lock rad_night_lock;
rad_status rad_night_lock_take(const char *database, rad_night_lock **ret, rad_error *err) RAD_MUST_CHECK;
void rad_night_lock_release(rad_night_lock **lock);

#ifdef __cplusplus
}
#endif
#endif

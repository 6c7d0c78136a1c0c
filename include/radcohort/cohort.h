/* cohort: the cohort folder's five tables in memory, and the match of images to the channels of a job.
 *
 * Format of the tables: README and schemas/cohort/ (design words: center, cohort, patient, study, image, lesion, reading).
 * Everything is read once by rank 0 and is read-only afterwards. Indices are positions in the arrays; -1 = none.
 */
#ifndef RADCOHORT_COHORT_H
#define RADCOHORT_COHORT_H

#include "radcohort/base.h"
#include "radcohort/bvalue.h"
#include "radcohort/issue.h"
#include "radcohort/job.h"

#ifdef __cplusplus
extern "C" {
#endif

#define RAD_MAX_TABLE_BYTES ((size_t)2 << 30)
#define RAD_MAX_FIELD_BYTES 65536
#define RAD_MAX_LISTED 32767 /* slices of one row: as many as an axis has voxels at most */

typedef struct rad_covariate { /* an extra column of patients.tsv, lesions.tsv or images.tsv */
    const char *name;
    const char *value; /* text as written; never empty (empty = absent) */
} rad_covariate;

typedef struct rad_center {
    char *id;
    bool external;        /* cohort column: internal | external */
    char *name, *country; /* or NULL */
    int64_t line;
} rad_center;

typedef struct rad_patient {
    char *id;
    int64_t center;
    char *label;  /* class name or ordinal as written; NULL: not known ("n/a") */
    int64_t fold; /* -1 = none */
    double age;   /* years, NaN = missing; capped at 90 */
    char *sex;    /* as written, or NULL */
    int64_t n_covariate;
    rad_covariate *covariate;
    int64_t line;
} rad_patient;

typedef struct rad_image {
    int64_t patient, lesion; /* lesion -1: the image serves all lesions of its patient */
    char *study;             /* "" when the table has none */
    char *sequence;
    char *path;              /* as written, relative to the cohort folder */
    char *slices;            /* as written, or NULL */
    int64_t n_slice, *slice; /* the slices that it lists, ascending; zero-based along the stored slice axis (of a cine its frames) */
    char *bval;              /* path of its table of b-values as written, or NULL: looked for beside it */
    bool missing;            /* the file was looked for and is not there (false too when nobody looked) */
    int64_t n_covariate;
    rad_covariate *covariate;
    int64_t line;
} rad_image;

typedef enum rad_lesion_kind { RAD_LESION_NONE, RAD_LESION_BOX, RAD_LESION_MASK, RAD_LESION_POINT } rad_lesion_kind;
typedef struct rad_lesion {
    int64_t patient;
    char *id;
    char *study; /* the visit it was drawn in, or NULL: the only visit that has images for the job */
    char *label; /* NULL: the patient's (the table has no label column); "n/a": not known */
    bool has_box, has_mask, has_point;
    int64_t box[6];          /* i0 j0 k0 i1 j1 k1: voxel indices of the stored image, zero-based, first inclusive, last exclusive */
    double point[3];         /* i j k, voxel indices of the stored image (centre of a voxel = integer) */
    char *slices;            /* as written, or NULL */
    int64_t n_slice, *slice; /* as rad_image.slice, of the job's first channel entry's image */
    char *mask;              /* path of a NIfTI of the image's shape, non-zero = lesion; relative to the folder */
    bool mask_missing;       /* as rad_image.missing */
    double size_mm;          /* NaN = missing */
    int64_t n_covariate;
    rad_covariate *covariate;
    int64_t line;
} rad_lesion;

typedef struct rad_reading {
    char *reader;
    int64_t patient, lesion; /* lesion -1 = about the patient */
    char *session;           /* tells repeated readings of a case by one reader apart, or NULL */
    char *call;              /* class name, or NULL */
    double rating;           /* NaN = missing */
    double experience_years; /* NaN = missing */
    int64_t n_feature;       /* further columns of the table */
    rad_covariate *feature;
    int64_t line;
} rad_reading;

/* The tables, in the order they are read: each refers only to earlier ones. */
enum { RAD_TABLE_CENTERS, RAD_TABLE_PATIENTS, RAD_TABLE_LESIONS, RAD_TABLE_IMAGES, RAD_TABLE_READINGS, RAD_TABLE_COUNT };

typedef struct rad_cohort {
    char *dir;
    char *file[RAD_TABLE_COUNT]; /* paths of the tables, for messages; NULL = no such table */
    int64_t n_center, n_patient, n_image, n_lesion, n_reading;
    rad_center *center;
    rad_patient *patient;
    rad_image *image;
    rad_lesion *lesion;
    rad_reading *reading;
    char sha256[RAD_SHA256_HEX]; /* of "NAME SIZE SHA256-of-its-bytes\n" per table that is there, in the order patients,
                                    images, lesions, readings, centers */
    void *arena;                 /* owner of the strings */
} rad_cohort;

typedef struct rad_cohort_opts {
    bool allow_outside;        /* paths may be absolute or contain ".." */
    bool skip_file_check;      /* do not look whether image files exist (they become exclusions when they do not) */
    const rad_bids_spec *bids; /* of a BIDS folder (dataset_description.json and no images table); NULL: the usual names */
} rad_cohort_opts;

/* Reads centers, patients, images, lesions?, readings? (.tsv or .csv each). A BIDS folder gives patients from participants.tsv, images from
 * its file names with their sidecars' covariates, lesions from declared masks; centers, lesions and readings tables are read where they lie
 * in it. All mistakes of all tables become issues; RAD_E_CONFIG when at least one is an error. A missing image FILE is a warning here and
 * an exclusion in the run: one bad study never stops the others; a mistake in the TABLES is an error. */
rad_status rad_cohort_read(const char *dir, const rad_cohort_opts *opts, rad_cohort **ret, rad_issues *issues,
                           rad_error *err) RAD_MUST_CHECK;
void rad_cohort_destroy(rad_cohort **c);

/* ---------------------------------------------------------------- golden cases */

#define RAD_MAX_GOLDEN 256 /* cases */
typedef struct rad_golden_row {
    char *patient, *lesion, *study, *model; /* lesion, study: or NULL */
    char *sha256;                           /* over all slices and the bits of their scores */
    char *scores;                           /* the first of them, in decimal, for people and for the difference */
    int64_t line;
} rad_golden_row;
typedef struct rad_golden {
    int64_t n;
    rad_golden_row *row;
    void *arena;
} rad_golden;
/* The table that `radcohort nightly --make-golden` writes. Errors: CONFIG (the mistakes are issues), NOMEM. */
rad_status rad_golden_read(const char *path, rad_golden **ret, rad_issues *issues, rad_error *err) RAD_MUST_CHECK;
void rad_golden_destroy(rad_golden **g);

/* ---------------------------------------------------------------- the files that the tables name */

#define RAD_MAX_WALKERS 16 /* threads that look at files at the same time */

typedef struct rad_file_look { /* one file as it is now; there are millions of them */
    uint64_t bytes, inode;
    int64_t seconds; /* time of change */
    int32_t nanoseconds;
    int16_t error; /* errno of stat, EISDIR for what is no file; 0: it is there */
    bool looked;
    bool pair; /* .hdr or .img: the look is at both. Their bytes are summed; inodes and times are mixed, good for telling them apart only */
} rad_file_look;
/* One look, without a folder: ENOMEM as `error` when there is no memory for a name. Opens no file. */
rad_file_look rad_file_look_at(const char *path);
/* Looks at path[0 .. n - 1] (relative to `dir`; NULL is passed over), each distinct one once, in the order of folders, by at most `threads`
 * threads: ret[i]. Opens no file. Errors: NOMEM. */
rad_status rad_walk_files(const char *dir, const char *const *path, int64_t n, int threads, rad_file_look *ret,
                          rad_error *err) RAD_MUST_CHECK;
/* The same for contents: reads the files and fills ret[i] with XXH3-128 of their bytes (left as it is for what cannot be read). */
rad_status rad_walk_contents(const char *dir, const char *const *path, int64_t n, int threads, char (*ret)[RAD_XXH128_HEX],
                             rad_error *err) RAD_MUST_CHECK;
/* Size, inode, time of change (or why it is not there) are the same. */
bool rad_file_look_same(const rad_file_look *a, const rad_file_look *b);

/* ---------------------------------------------------------------- manifest: what is to be scored */

/* The images that make one input of one case, or why they do not. */
typedef struct rad_case_input {
    rad_status status;     /* RAD_OK, RAD_E_CHANNEL, RAD_E_REGION */
    char *why;             /* NULL when OK */
    int64_t *image;        /* per channel entry of the input: index into cohort->image; -1: none, planes of zeros (`missing: zero`) */
    const rad_pick **pick; /* per channel entry: the volumes of the image whose mean it takes; NULL: the image as it is */
} rad_case_input;

/* One scored thing: a lesion (job unit lesion) or a patient's study (job unit patient). */
typedef struct rad_case {
    int64_t patient, lesion; /* lesion -1 when the unit is patient */
    const char *study;       /* borrowed */
    int label;               /* class index; -1 = unknown label (scored, but counted out of the statistics) */
    rad_case_input *input;   /* n_input of the job */
} rad_case;

typedef struct rad_unused_image { /* an image that no input of any case takes: recorded, never dropped in silence */
    int64_t image;
    char *why;
} rad_unused_image;

typedef struct rad_manifest {
    int64_t n_case;
    rad_case *item;
    int64_t n_unused;
    rad_unused_image *unused;
    int64_t first_fold[RAD_MAX_MODELS]; /* number of the first file of each model with folds: 0 or 1 */
    rad_case_input no_fold;             /* what stands in the way of a patient without a fold */
    const char *split_warning;          /* of a job whose split was not made over patients, with the numbers; or NULL */
    const char **unselected;            /* per patient: why the job is not about it, or NULL */
    int64_t n_unselected;
    void *arena;
} rad_manifest;

/* Matches images to channels for every case. An ambiguous match (two images for one channel) or none is the status of that
 * case input, never an error of the call. Order of cases: patients in table order, then lesions (unit lesion) or studies in order of first
 * appearance (unit patient) in table order.
 *
 * Rules. An image matches a channel when its sequence is the channel's, letter by letter, and, for a channel with `b_value`, when its
 * b-values are known (a table beside it, else the covariate `b_value`) and one of them lies in the range: of a 4-D image the volumes that
 * have it. All images of a case come from one study: for unit lesion the lesion's `study` column, else the only study that has images of
 * the job's sequences (of those that name the lesion, when there are any); more than one such study is ambiguous. Within the study an image
 * that names the lesion wins over one that serves all. For unit patient every study with an image of the job's sequences is a case; a
 * patient without one is a case that cannot be scored. `why` is one sentence; details of the single case stand in parentheses at its end.
 *
 * Patients whom the job's `select` leaves out have no case; their labels and readings are not looked at.
 *
 * A label that decides a case and is not among the job's classes is a mistake: all of them become issues, and the call returns CONFIG. */
rad_status rad_manifest_build(const rad_cohort *c, const rad_job *job, rad_manifest **ret, rad_issues *issues,
                              rad_error *err) RAD_MUST_CHECK;
/* Which model scores a case for `model`: itself, or the one that stands in for it when the case lacks images for its input (CHANNEL) and
 * has those of the other's. */
int rad_case_scorer(const rad_job *job, const rad_case *c, int model);
/* The slices that the tables list for input `input` of a case, for an input that takes those (else 0): of the lesion's row, or when that
 * lists none of the row of the first entry's image. Borrowed from the cohort. The case has images for the input. */
int64_t rad_case_listed(const rad_cohort *c, const rad_job *job, const rad_case *k, int input, const int64_t **ret_slice);
/* Whether `model` can score the case as far as the tables tell: the scorer's images, then the patient's fold. */
const rad_case_input *rad_case_verdict(const rad_job *job, const rad_cohort *c, const rad_manifest *m, const rad_case *k, int model);
/* The file (folds.h) that scores the case for `model`, or -1. */
int rad_case_file(const rad_job *job, const rad_cohort *c, const rad_manifest *m, const rad_case *k, int model);
void rad_manifest_destroy(rad_manifest **m);

#ifdef __cplusplus
}
#endif
#endif

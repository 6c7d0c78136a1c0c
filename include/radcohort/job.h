/* job: one study as a YAML file, read into plain structs.
 *
 * Reader: src/cohort/job_*.c (libyaml documents + one table of keys). The same table is checked against
 * schemas/job.schema.json by a test; jobs/README.md describes every key. Strings are owned by the rad_job.
 * All structs are read-only after rad_job_read.
 */
#ifndef RADCOHORT_JOB_H
#define RADCOHORT_JOB_H

#include "radcohort/base.h"
#include "radcohort/issue.h"

#ifdef __cplusplus
extern "C" {
#endif

#define RAD_MAX_JOB_BYTES ((size_t)1 << 20)
#define RAD_MAX_CHANNELS 32                    /* channel entries of one input */
#define RAD_MAX_OFFSETS 15                     /* slice offsets of one channel entry */
#define RAD_MAX_PLANES 64                      /* planes of one input = sum over channels of their offsets */
#define RAD_MAX_SIDE 2048                      /* samples along one axis of a volume */
#define RAD_MAX_SAMPLE_BYTES ((size_t)2 << 30) /* of one volume, all channels */
#define RAD_MAX_INPUTS 32
#define RAD_MAX_MODELS 64
#define RAD_MAX_CLASSES 64
#define RAD_MAX_REGRESSIONS 16
#define RAD_MAX_PREDICTORS 24 /* of one regression */
#define RAD_SCORE_OF "score:" /* a predictor: the score of another model */
#define RAD_MAX_SELECTS 8
#define RAD_MAX_SELECT_VALUES 64
#define RAD_MAX_GRADE 1000
#define RAD_MAX_POINTS 32 /* operating points */
#define RAD_MAX_FOLDS 100
#define RAD_MAX_MODEL_FILES 1024 /* of one job, each fold's counted */
#define RAD_MAX_ENDPOINTS 16
#define RAD_MAX_RULE 16 /* bytes of the name of an aggregation rule */
#define RAD_MAX_TOP 999 /* K of the rule top-K */
#define RAD_FOLD_MARK "{fold}"

/* What to put where a neighbour slice (or a pixel of the region) lies outside the image. */
typedef enum rad_edge { RAD_EDGE_REPLICATE, RAD_EDGE_ZERO } rad_edge;

/* Which voxels a statistic of intensities is made from. */
typedef enum rad_over {
    RAD_OVER_VOLUME,  /* all of the image */
    RAD_OVER_NONZERO, /* those of them that are not 0 */
    RAD_OVER_REGION   /* those in the region of the scored slices */
} rad_over;

/* Maps low..high to 0..1, clipped. In the image's own units (HU for CT) after scl_slope/inter; with `percentile`, low and high are
 * percents and the ends are those percentiles (numpy's linear ones) of the image's values. */
typedef struct rad_window_spec {
    bool on;
    double low, high; /* `level`/`width` in YAML become level -/+ width/2 */
    bool percentile;
    rad_over over; /* of percentiles */
} rad_window_spec;

/* What else happens to an image's values. Zero-initialised: nothing. */
typedef struct rad_intensity_spec {
    bool zscore; /* after the window: minus the mean, divided by the standard deviation */
    rad_over zscore_over;
    bool has_padding; /* voxels of this value lie outside the field of view: they become the low end of the window */
    double padding;
    bool replace_nonfinite; /* NaN and Inf become `nonfinite`; else they exclude the case */
    double nonfinite;
} rad_intensity_spec;

/* Which number a colour voxel gives; a grey voxel gives its only one. */
typedef enum rad_component { RAD_COMPONENT_LUMA, RAD_COMPONENT_R, RAD_COMPONENT_G, RAD_COMPONENT_B } rad_component;

/* One channel entry: `n_offset` planes from the image whose `sequence` column equals `sequence`. */
typedef struct rad_channel_spec {
    char *sequence;
    int n_offset;
    int offset[RAD_MAX_OFFSETS]; /* slices, relative to the scored slice, along the third axis after reorientation */
    rad_component component;
    bool nearest;           /* of a volume: values of the nearest voxels (label maps), not between voxels */
    bool has_b;             /* of an image of several b-values the mean of those volumes whose b-value lies in ... */
    double b_low, b_high;   /* this range, s/mm2; one number in YAML is that number give or take rad_b_tolerance */
    bool zero_if_missing;   /* no such image: planes of zeros instead of an exclusion; never for the first entry */
    rad_window_spec window; /* this and the next: what is set here goes before the input's own, key by key */
    rad_intensity_spec intensity;
} rad_channel_spec;

typedef enum rad_region_from {
    RAD_REGION_AUTO,  /* what the lesion row has: mask, else box, else point */
    RAD_REGION_WHOLE, /* the whole slice; needs no lesion */
    RAD_REGION_BOX,
    RAD_REGION_MASK,
    RAD_REGION_POINT
} rad_region_from;
typedef enum rad_region_shape { RAD_SHAPE_SQUARE, RAD_SHAPE_RECTANGLE } rad_region_shape;

typedef struct rad_region_spec {
    rad_region_from from;
    rad_region_shape shape;
    double margin_mm; /* added on every side */
    double margin_px; /* added on every side, after margin_mm */
    double size_mm;   /* side of the square around a point; required when from = point */
    int drawn_on;     /* channel entry in whose image the box, mask or point was drawn; 0 = the reference */
} rad_region_spec;

typedef enum rad_slices {
    RAD_SLICES_LESION_CENTRE, /* `lesion`: one slice, the one with the largest mask area (lowest index on ties), the middle of a
                                 box (lower one of two), the point's slice; the middle slice of the volume for a whole
                                 region without a lesion */
    RAD_SLICES_LESION_ALL,    /* `lesion-all`: every slice of the mask or box */
    RAD_SLICES_VOLUME_ALL,    /* `all`: every slice of the volume */
    RAD_SLICES_LISTED         /* `listed`: those in the column `slices` of the lesion's row, else of the first entry's image */
} rad_slices;

/* One sample [C, D, H, W] per case instead of slices: a box of so many samples, so many millimetres apart. */
typedef struct rad_volume_spec {
    bool on;
    int64_t size[3];      /* D, H, W: along z, y, x of the reoriented reference */
    double spacing_mm[3]; /* along x, y, z of the reoriented reference */
    bool antialias;       /* Gaussian before the samples are taken, where they lie farther apart than the voxels */
} rad_volume_spec;

/* Pixels at the margins of every slice that do not count (burned-in text), along the reoriented axes: x from left, y from the top. */
typedef struct rad_crop_spec {
    int64_t top, bottom, left, right;
} rad_crop_spec;

/* How an image that does not lie on the reference's grid is matched to its slices. */
typedef struct rad_match_spec {
    bool nearest; /* the nearest slice, interpolated within it; else between slices too */
    bool has_tolerance;
    double tolerance_mm; /* from a used slice of the reference to the nearest slice; without: half the reference's slice distance */
} rad_match_spec;

typedef enum rad_resize_method { RAD_RESIZE_NONE, RAD_RESIZE_BILINEAR, RAD_RESIZE_NEAREST } rad_resize_method;
typedef struct rad_resize_spec {
    rad_resize_method method;
    int64_t height, width; /* pixels; rows = H, columns = W */
    bool antialias;        /* triangle filter widened by the downscale factor, as PyTorch antialias=True */
} rad_resize_spec;

/* (x - mean[c]) / std[c] per plane; n = 0 none, 1 the same for all planes, else one per plane. */
typedef struct rad_normalise_spec {
    int n;
    double mean[RAD_MAX_PLANES], std[RAD_MAX_PLANES];
} rad_normalise_spec;

/* How a network's input is made from a case. Several models may share one: it is then prepared once. */
typedef struct rad_input_spec {
    char *name;
    int n_channel;
    rad_channel_spec channel[RAD_MAX_CHANNELS];
    int n_plane;         /* sum of n_offset */
    char orientation[4]; /* three letters, directions of +x (W), +y (H), +z (slices): "LPS" = axial as radiologists see it */
    rad_slices slices;
    int64_t every; /* of these slices, in ascending order, the first and every so manyth after it; 0 and 1: all */
    rad_volume_spec volume;
    rad_edge edge;
    rad_region_spec region;
    rad_crop_spec crop;
    bool frames_as_slices; /* of 4-D images with one slice: cine */
    rad_match_spec match;
    rad_window_spec window;
    rad_intensity_spec intensity;
    rad_resize_spec resize;
    rad_normalise_spec normalise;
    char *canonical; /* every field above but the name as one canonical text line (numbers as %.17g): goes into content keys and the
                        database. Equal texts prepare equal pixels, whatever the inputs are called */
} rad_input_spec;

typedef enum rad_activation { RAD_ACT_NONE, RAD_ACT_SOFTMAX, RAD_ACT_SIGMOID } rad_activation;

typedef struct rad_model_spec {
    char *name;
    char *file;       /* as written; relative to the job file */
    char *path;       /* resolved */
    char *sha256;     /* pinned identity, or NULL */
    int input;        /* index into job->input */
    char *output;     /* output tensor name, or NULL for the only one */
    int when_missing; /* 1 + index of the model that scores a case in its place when the case lacks images for the input; 0: none */
    rad_activation activation; /* applied to the network's output in double, before scores are stored */
    bool cam;                  /* class activation maps of it are wanted */
    int declared;              /* of a file (rad_files): the model of the job that it belongs to */
    bool cam_made;             /* they are, or those of a model that it may stand in for */
    int folds; /* 0: one file for everybody; else the number of files, one for each number that stands for '{fold}' in `file` */
    bool mean_without_fold;             /* a patient without a fold: mean of the slice scores of all files; else excluded */
    char *trained_on, *trained_on_path; /* table of the patients that the files were trained on, as written and resolved; or NULL */
} rad_model_spec;

/* Which class activation maps become files. */
typedef enum rad_cam_write {
    RAD_CAM_NONE, /* none: the numbers of the slice that decided the case reach the database */
    RAD_CAM_CASE, /* that slice's */
    RAD_CAM_SLICE /* every scored slice's, in one file per case */
} rad_cam_write;
/* Instead of a class: the one with the highest score of any slice; of several the first slice's, then the first class's. */
#define RAD_CAM_PREDICTED (-1)

typedef enum rad_unit { RAD_UNIT_SLICE, RAD_UNIT_LESION, RAD_UNIT_PATIENT } rad_unit;
const char *rad_unit_name(rad_unit u); /* "slice", "lesion", "patient" */

typedef enum rad_tune {
    RAD_TUNE_NONE,        /* the threshold is given */
    RAD_TUNE_YOUDEN,      /* largest sensitivity + specificity - 1 */
    RAD_TUNE_SENSITIVITY, /* the highest threshold with at least this sensitivity */
    RAD_TUNE_SPECIFICITY  /* the highest sensitivity with at least this specificity */
} rad_tune;

/* "youden", "sensitivity", "specificity"; NULL for RAD_TUNE_NONE. */
const char *rad_tune_name(rad_tune t);

typedef struct rad_operating_point {
    char *name;
    double threshold;    /* call is positive when score >= threshold; NaN while it is to be tuned */
    rad_tune tune;       /* how the threshold is found, at each unit */
    double target;       /* of RAD_TUNE_SENSITIVITY and _SPECIFICITY */
    bool tuned_external; /* on the external cohort instead of the internal one */
    int tuned_model;     /* 1 + index of the model whose scores tune it for all; 0: each model's own do */
} rad_operating_point;

/* Two classes made out of more: 1 when the label is one of `of`. */
typedef struct rad_endpoint {
    char *name;
    uint64_t of; /* bit i: class i */
    bool argmax; /* the call of a unit: 1 when the class with its highest score (the lower index of several) is one of `of`, else 0;
                    otherwise the slices' scores of these classes are added and the sum is aggregated like a class's score */
} rad_endpoint;

/* Of which images near copies under other patients are looked for. */
typedef enum rad_near_copies {
    RAD_COPIES_READ, /* those that are read whole anyway */
    RAD_COPIES_ALL,  /* all: they are read whole for it */
    RAD_COPIES_NONE
} rad_near_copies;

/* What was divided at random when the data were split into training and test. */
typedef enum rad_split { RAD_SPLIT_PATIENT, RAD_SPLIT_LESION, RAD_SPLIT_IMAGE } rad_split;

/* A logistic regression of the label on what is known of a case. */
typedef struct rad_regression {
    char *name;
    int n_predictor;
    char *predictor[RAD_MAX_PREDICTORS]; /* "score", "score:MODEL", "age", "sex", "size_mm", or a further column of lesions.tsv or
                                            patients.tsv */
} rad_regression;

/* Which patients a job is about: those whose `column` of patients.tsv is one of the values. */
typedef struct rad_select {
    char *column;
    int n_value;
    char *value[RAD_MAX_SELECT_VALUES];
} rad_select;

#define RAD_MAX_BIDS_ITEMS 64 /* of each list of `bids` */

/* How a BIDS folder is read as a cohort: columns of participants.tsv and what names a sequence. NULL: the usual names. */
typedef struct rad_bids_spec {
    char *label, *center, *fold, *age, *sex;
    int n_covariate, n_entity, n_mask_label;
    char *covariate[RAD_MAX_BIDS_ITEMS];    /* columns of participants.tsv that are kept: others may hold names */
    const char *entity[RAD_MAX_BIDS_ITEMS]; /* put before the suffix: "acq" makes acq-highres_T2w */
    char *masks;                            /* folder below derivatives/ with lesion masks */
    char *mask_label[RAD_MAX_BIDS_ITEMS];   /* only masks with one of these label- (or desc-) entities */
} rad_bids_spec;

typedef struct rad_job {
    char *name;
    char *path;                  /* of the job file */
    char *text;                  /* the YAML as read: stored with the run */
    char sha256[RAD_SHA256_HEX]; /* of text */
    char *cohort_dir;            /* resolved */
    rad_bids_spec bids;          /* used when the cohort folder is a BIDS folder */
    char *golden;                /* table of cases scored before each night, resolved, or NULL */
    char *database;              /* resolved, or NULL: results/NAME.sqlite in the working directory */
    int n_regression;
    rad_regression regression[RAD_MAX_REGRESSIONS];
    int n_select;
    rad_select select[RAD_MAX_SELECTS]; /* all must hold; none: every patient */
    rad_unit case_unit;                 /* `unit`: what is scored as one case, lesion or patient */
    int n_class;
    char *class_name[RAD_MAX_CLASSES]; /* order of the network's outputs; values of the label column */
    bool ordinal;                      /* the classes are grades in this order: class i is grade first_grade + i */
    int64_t first_grade;               /* 1, or the number that the first class's name is when the names are whole numbers in a row */
    int positive;                      /* class index whose score is stored for two-class jobs; -1 for more classes */
    int n_input;
    rad_input_spec *input;
    int n_model;
    rad_model_spec *model;
    /* names of rules of rad_rule_parse: slice -> lesion, lesion -> patient */
    char lesion_rule[RAD_MAX_RULE], patient_rule[RAD_MAX_RULE];
    double vote_threshold; /* of the rule majority, with two classes */
    int n_endpoint;
    rad_endpoint endpoint[RAD_MAX_ENDPOINTS];
    rad_split split;
    char *split_table, *split_table_path; /* table of what was divided, as written and resolved; or NULL */
    rad_near_copies near_copies;
    int n_point;
    rad_operating_point point[RAD_MAX_POINTS];
    bool by_all, by_cohort, by_center; /* strata */
    bool has_cam;
    rad_cam_write cam_write;
    int cam_class;             /* index, or RAD_CAM_PREDICTED */
    char *cam_rule;            /* the wish as one canonical text, or NULL: equal texts make equal maps */
    bool verify_files;         /* every gzip file is read to its end and its CRC checked, also where a few slices are wanted */
    bool remember_files;       /* places in large gzip files from which inflating can begin are kept beside the database */
    int batch;                 /* samples per call of the network, at most; numerically irrelevant */
    char *backend, *precision; /* defaults "onednn", "fp32"; the command line overrides */
    void *arena;               /* owner of everything above */
} rad_job;

/* Reads, resolves paths against the job file's folder, fills defaults, checks ranges. Every mistake becomes an issue with file,
 * line and column; RAD_E_CONFIG when there is at least one error. */
rad_status rad_job_read(const char *path, rad_job **ret, rad_issues *issues, rad_error *err) RAD_MUST_CHECK;
/* The same from text that was such a file once (run.job_text), as if it still lay at `path`. */
rad_status rad_job_read_text(const char *text, size_t size, const char *path, rad_job **ret, rad_issues *issues,
                             rad_error *err) RAD_MUST_CHECK;
void rad_job_destroy(rad_job **job);
/* A model's `file` or `path` with the number in place of its (last) '{fold}'; the same text when it has none. The caller frees; NULL: no
 * memory. */
char *rad_model_fold_text(const char *pattern, int64_t number);

#ifdef __cplusplus
}
#endif
#endif

/* job_keys.h (private to src/cohort): the table of every key of a job file. It alone drives the reader; schemas/job.schema.json and
 * jobs/README.md are compared with it by tests/cli/t_schema_job.py. */
#ifndef RAD_COHORT_JOB_KEYS_H
#define RAD_COHORT_JOB_KEYS_H

#include "radcohort/base.h"

typedef enum key_kind {
    KEY_TEXT,    /* any text of 1 to 4096 bytes */
    KEY_NAME,    /* letters, digits, '.', '_', '-'; at most 64; starts with a letter or digit */
    KEY_AXES,    /* three letters, one of each pair L/R, A/P, S/I */
    KEY_SHA256,  /* 64 lower-case hexadecimal digits */
    KEY_WORD,    /* one of `words` */
    KEY_EITHER,  /* one of `words`, or a number from min to max */
    KEY_BOOL,    /* true or false */
    KEY_INT,     /* whole number from min to max */
    KEY_NUMBER,  /* number from min to max */
    KEY_INTS,    /* whole number or list of them */
    KEY_NUMBERS, /* number or list of them */
    KEY_TEXTS,   /* list of texts, each once */
    KEY_WORDS,   /* list of `words`, each once */
    KEY_MAP,     /* a mapping with the keys of `group` */
    KEY_MAPS,    /* a list of such mappings */
    KEY_NAMED    /* a mapping from a name to such a mapping */
} key_kind;

struct key_group;
typedef struct key_def {
    const char *name;
    key_kind kind;
    bool required;
    const char *const *words; /* ends with NULL */
    double min, max;          /* KEY_INT, KEY_NUMBER and their lists */
    bool above_min;           /* min itself is not allowed */
    int min_items, max_items; /* lists and KEY_NAMED */
    const char *preset;       /* the default as YAML text; NULL = none */
    const char *example;      /* a value as YAML text */
    const struct key_group *group;
} key_def;

#define JOB_MAX_KEYS 48 /* of one group */
typedef struct key_group {
    const char *name;
    const key_def *key; /* ends with name NULL */
} key_group;

/* Positions in the groups' tables. */
enum {
    JOB_NAME,
    JOB_COHORT,
    JOB_SELECT,
    JOB_DATABASE,
    JOB_GOLDEN,
    JOB_UNIT,
    JOB_CLASSES,
    JOB_POSITIVE,
    JOB_ORDINAL,
    JOB_INPUTS,
    JOB_MODELS,
    JOB_AGGREGATE,
    JOB_COLLAPSE,
    JOB_POINTS,
    JOB_STRATA,
    JOB_REGRESSIONS,
    JOB_SPLIT,
    JOB_NEAR_COPIES,
    JOB_CAM,
    JOB_VERIFY,
    JOB_REMEMBER,
    JOB_BATCH,
    JOB_BACKEND,
    JOB_PRECISION,
    JOB_BIDS
};
enum { BIDS_LABEL, BIDS_CENTER, BIDS_FOLD, BIDS_AGE, BIDS_SEX, BIDS_COVARIATES, BIDS_ENTITIES, BIDS_MASKS, BIDS_MASK_LABELS };
enum {
    INPUT_CHANNELS,
    INPUT_ORIENTATION,
    INPUT_SLICES,
    INPUT_EVERY,
    INPUT_VOLUME,
    INPUT_EDGE,
    INPUT_REGION,
    INPUT_CROP,
    INPUT_FRAMES,
    INPUT_MATCH,
    INPUT_WINDOW,
    INPUT_ZSCORE,
    INPUT_PADDING,
    INPUT_NONFINITE,
    INPUT_RESIZE,
    INPUT_NORMALISE,
    INPUT_COUNT
};
enum {
    CHANNEL_SEQUENCE,
    CHANNEL_OFFSET,
    CHANNEL_COMPONENT,
    CHANNEL_INTERPOLATION,
    CHANNEL_B_VALUE,
    CHANNEL_MISSING,
    CHANNEL_WINDOW,
    CHANNEL_ZSCORE,
    CHANNEL_PADDING,
    CHANNEL_NONFINITE,
    CHANNEL_COUNT
};
enum { REGION_FROM, REGION_SHAPE, REGION_MARGIN_MM, REGION_MARGIN_PX, REGION_SIZE_MM, REGION_DRAWN_ON, REGION_COUNT };
enum { VOLUME_SIZE, VOLUME_SPACING_MM, VOLUME_ANTIALIAS };
enum { CROP_TOP, CROP_BOTTOM, CROP_LEFT, CROP_RIGHT };
enum { MATCH_TOLERANCE_MM, MATCH_SLICES };
enum { WINDOW_LOW, WINDOW_HIGH, WINDOW_LEVEL, WINDOW_WIDTH, WINDOW_PERCENTILE, WINDOW_OVER, WINDOW_COUNT };
enum { RESIZE_HEIGHT, RESIZE_WIDTH, RESIZE_SIZE, RESIZE_METHOD, RESIZE_ANTIALIAS };
enum { NORMALISE_MEAN, NORMALISE_STD, NORMALISE_PRESET };
enum {
    MODEL_NAME,
    MODEL_FILE,
    MODEL_SHA256,
    MODEL_INPUT,
    MODEL_OUTPUT,
    MODEL_ACTIVATION,
    MODEL_WHEN_MISSING,
    MODEL_FOLDS,
    MODEL_WITHOUT_FOLD,
    MODEL_TRAINED_ON,
    MODEL_COUNT
};
enum { AGGREGATE_LESION, AGGREGATE_PATIENT, AGGREGATE_VOTE };
enum { COLLAPSE_NAME, COLLAPSE_OF, COLLAPSE_RULE };
enum { POINT_NAME, POINT_THRESHOLD, POINT_TUNE, POINT_SENSITIVITY, POINT_SPECIFICITY, POINT_TUNED_ON, POINT_MODEL, POINT_COUNT };
enum { SPLIT_UNIT, SPLIT_TABLE };
enum { REGRESSION_NAME, REGRESSION_PREDICTORS };
enum { SELECT_COLUMN, SELECT_VALUES };
enum { CAM_MODELS, CAM_WRITE, CAM_CLASS };

extern const key_def job_input_keys[];
extern const key_group bids_group;
extern const key_group job_group; /* the root; the others hang below it */

#endif

/* statistics.h (private to src/store): one run's statistics being computed, and the parts that write their rows. */
#ifndef RAD_STORE_STATISTICS_H
#define RAD_STORE_STATISTICS_H

#include "aggregation.h"
#include "measure.h"

typedef struct rad_observation { /* there may be ten million of them */
    double score;                /* NaN = none */
    int64_t center, patient;
    int64_t unit; /* id of the case (lesions) or patient; 0 for slices */
    int64_t fold; /* -1: none */
    bool external;
    int8_t label; /* 0, 1, or -1 = unknown */
} rad_observation;

typedef struct rad_center_row {
    int64_t id;
    char *name;
    bool external;
} rad_center_row;

typedef struct rad_model_row {
    int64_t id; /* run_model_id */
    char *name;
    bool probability; /* its activation makes probabilities */
    int folds;        /* number of its files, or 0 */
} rad_model_row;

typedef struct rad_computation {
    struct rad_store *st;
    int64_t run;
    bool lesions, all, cohorts, centers;
    int positive; /* -1: every class in turn */
    rad_center_row *center;
    int64_t n_center, cap_center;
    rad_model_row *model;
    int n_model;
    char *class_name[RAD_MAX_CLASSES + RAD_MAX_ENDPOINTS]; /* those of the classes, then those of the endpoints */
    int n_class;
    rad_scheme scheme;
    /* at hand; class_index -1: all classes together */
    int at_model, class_index;
    rad_unit unit;
    rad_observation *obs; /* in the order of patient, lesion and study names, the same for every model */
    int64_t n_obs, cap_obs;
    rad_sample sample; /* room for cap_scratch units */
    int64_t *source;   /* [sample.n]: place in obs */
    double *x, *x_cluster;
    int64_t cap_scratch;
    rad_operating_point *point; /* thresholds of tuned ones: of the model, unit and class at hand; NaN when there is none */
    int n_point;
    rad_operating_point tuned; /* name NULL: none for the model and unit at hand */
} rad_computation;

typedef struct rad_stratum {
    const char *kind, *name, *cohort; /* cohort NULL: both */
    int64_t center;                   /* -1: any */
    int external;                     /* -1: any */
    int64_t fold;                     /* 0: any or none; -1: any; else 1 + fold */
} rad_stratum;

typedef enum rad_row_kind {
    RAD_ROW_INTERVAL,  /* estimate, error, limits, p */
    RAD_ROW_DEPENDENT, /* estimate alone: the interval at hand would take dependent units for independent */
    RAD_ROW_BARE       /* estimate, and p where there is one */
} rad_row_kind;

/* What a row says beside its estimate. */
typedef struct rad_row_text {
    const char *name, *point, *method, *versus;
    const char *where; /* end of its query */
    const char *query; /* instead of the usual query */
    int64_t n_cluster;
    rad_row_kind kind;
    bool adjusted;
    double p_adjusted;
} rad_row_text;

/* An AUC in both ways. `shared` is set when several units share a patient: only then is `clustered` filled. */
typedef struct rad_auc_pair {
    rad_measure naive, clustered;
    int64_t n_cluster;
    bool shared;
} rad_auc_pair;

#define RAD_STATISTICS_AUC "auc"
#define RAD_STATISTICS_INDEPENDENT " (units treated as independent)"

rad_status rad_statistics_no_memory(const rad_computation *c, rad_error *err);
/* Units of the model, unit and class at hand into c->obs. */
rad_status rad_statistics_read(rad_computation *c, rad_error *err) RAD_MUST_CHECK;
/* Units of the stratum into c->sample, missing ones too; clusters are numbered in the order of patients. Returns the patients among
 * those with score and label. */
int64_t rad_statistics_select(rad_computation *c, const rad_stratum *g);
rad_status rad_statistics_put(rad_computation *c, const rad_stratum *g, const rad_row_text *t, const rad_measure *v,
                              rad_error *err) RAD_MUST_CHECK;
/* Naive and clustered row of one number. name: naive, clustered; method: no interval, naive, clustered. */
rad_status rad_statistics_put_pair(rad_computation *c, const rad_stratum *g, const char *const name[2], const char *const method[3],
                                   const char *versus, const double p_adjusted[2], const rad_auc_pair *v, rad_error *err) RAD_MUST_CHECK;
/* Calls `each` for all, cohorts and centers as the job declares them. */
typedef rad_status rad_stratum_fn(rad_computation *c, const rad_stratum *g, void *payload, rad_error *err);
rad_status rad_statistics_each_stratum(rad_computation *c, rad_stratum_fn *each, void *payload, rad_error *err) RAD_MUST_CHECK;
bool rad_statistics_holds(const rad_stratum *g, const rad_observation *o);
/* " AND cohort = 'internal'" and the like, for views that have the columns center and cohort. sqlite3_free. NULL: no memory. */
char *rad_statistics_place(const rad_stratum *g, const char *center_column, const char *cohort_column);

/* Operating points: the sample of the stratum must be selected. */
rad_status rad_statistics_points(rad_computation *c, const rad_stratum *g, rad_error *err) RAD_MUST_CHECK;
/* Thresholds of the points that are tuned, and Youden's of the internal units into c->tuned, with their rows. */
rad_status rad_statistics_tune(rad_computation *c, rad_error *err) RAD_MUST_CHECK;
/* What to say of a threshold that was tuned, for the units of a stratum; "" for a given one. */
const char *rad_statistics_origin(const rad_stratum *g, const rad_operating_point *p);
/* The scores at hand tell two classes apart: operating points and readers apply. */
bool rad_statistics_binary(const rad_computation *c);
/* Folds by themselves, and cross-validated numbers, for the model, unit and class at hand. */
rad_status rad_statistics_folds(rad_computation *c, rad_error *err) RAD_MUST_CHECK;
/* The headline under every aggregation rule, for all models. */
rad_status rad_statistics_rules(rad_computation *c, rad_error *err) RAD_MUST_CHECK;
rad_status rad_statistics_calibration(rad_computation *c, const rad_stratum *g, rad_error *err) RAD_MUST_CHECK;
/* Internal against external, and against each external center; by_center [n_center]. */
rad_status rad_statistics_contrasts(rad_computation *c, const rad_auc_pair *in, const rad_auc_pair *ex, const rad_auc_pair *by_center,
                                    rad_error *err) RAD_MUST_CHECK;
/* Mean center and heterogeneity. */
rad_status rad_statistics_pooled(rad_computation *c, const rad_auc_pair *by_center, rad_error *err) RAD_MUST_CHECK;
/* Over all models: pairs and the overall test; for the class and unit at hand. */
rad_status rad_statistics_models(rad_computation *c, rad_error *err) RAD_MUST_CHECK;
/* All classes at once, for the model and unit at hand. */
rad_status rad_statistics_classes(rad_computation *c, rad_error *err) RAD_MUST_CHECK;
/* Grades, where the run's classes are those, for the model and unit at hand. */
rad_status rad_statistics_ordinal(rad_computation *c, rad_error *err) RAD_MUST_CHECK;
/* Readers against the model, unit and class at hand. */
rad_status rad_statistics_readers(rad_computation *c, rad_error *err) RAD_MUST_CHECK;
/* Readers who call one of several classes, for the model and unit at hand. */
rad_status rad_statistics_calls(rad_computation *c, rad_error *err) RAD_MUST_CHECK;
/* Readers among themselves, their ratings and features, the model against their mean. */
rad_status rad_statistics_readings(rad_computation *c, rad_error *err) RAD_MUST_CHECK;
/* The job's logistic regressions, for the model, unit and class at hand. */
rad_status rad_statistics_regressions(rad_computation *c, rad_error *err) RAD_MUST_CHECK;
/* Whether the rows of the run can all be true. Errors: INTERNAL naming the row. */
rad_status rad_statistics_audit(struct rad_store *st, int64_t run, rad_error *err) RAD_MUST_CHECK;

#endif

/* phantom.h (private to src/cli): synthetic multicenter cohorts with known truth.
 *
 * A design is a table: classes, sequences, centers with their scanners, readers. An image is a function of the position in mm in RAS+
 * space, sampled on each center's own grid (spacing, axis order, tilt) and passed through its scanner (gain, offset, receive-coil bias,
 * noise, loss of detail, scl_slope). Everything derives from (seed, patient, purpose) by a counter-based generator in integer arithmetic,
 * so that a cohort is the same bytes on every machine.
 *
 * Truth: each lesion has one latent z ~ N(+d/2, 1) when its class is the design's positive one, else N(-d/2, 1); z sets how strong its
 * internal texture and rim are. An ideal observer of z has AUC = Phi(d / sqrt 2) (binormal model, equal variances); z is written as the
 * covariate `latent` of lesions.tsv.
 */
#ifndef RAD_CLI_PHANTOM_H
#define RAD_CLI_PHANTOM_H

#include "radcohort/base.h"

#define PHANTOM_MAX_CLASS 3
#define PHANTOM_MAX_SEQUENCE 4
#define PHANTOM_MAX_READER 4

typedef struct phantom_scanner {
    double gain, offset;       /* stored = gain * ideal + offset */
    double bias;               /* relative amplitude of the coil's slow shading over the field of view */
    double noise;              /* standard deviation, ideal units */
    double detail;             /* 0..1: share of the lesion's texture and rim that survives reconstruction */
    double spacing, thickness; /* mm */
    const char *axes;          /* stored axis codes, e.g. "LAS" */
    double tilt_deg;           /* rotation about the first stored axis: an oblique acquisition */
    double slope;              /* scl_slope of the file */
} phantom_scanner;

typedef struct phantom_center {
    const char *id, *name, *country;
    bool external;
    int n[PHANTOM_MAX_CLASS]; /* patients whose (first) lesion has this class, at --scale 1 */
    bool mask;                /* lesions as mask files; otherwise as boxes */
    phantom_scanner scanner;
} phantom_center;

typedef struct phantom_sequence {
    const char *name;
    double body, lesion; /* ideal intensities */
    double texture, rim; /* how strongly the latent shows */
} phantom_sequence;

typedef struct phantom_reader {
    const char *id;
    double accuracy;
    double years;
} phantom_reader;

typedef struct phantom_design {
    const char *name, *summary;
    int n_class, positive; /* positive: the class (and all above it) whose lesions get z ~ N(+d/2, 1) */
    const char *class_name[PHANTOM_MAX_CLASS];
    double separation; /* d */
    int n_sequence;
    phantom_sequence sequence[PHANTOM_MAX_SEQUENCE];
    int n_center;
    const phantom_center *center;
    double second_lesion; /* share of patients with a second lesion of the same class */
    int folds;            /* 0: no fold column values */
    int64_t size, slices; /* voxels in plane, slices */
    double age_mean, age_sd, male;
    int n_reader;
    phantom_reader reader[PHANTOM_MAX_READER];
} phantom_design;

/* NULL when unknown; the list ends with name NULL. */
const phantom_design *phantom_find(const char *name);
const phantom_design *phantom_list(void);

/* Writes the cohort folder. `scale` multiplies the number of patients per center and class (at least one each). Returns the counts.
 * Errors: IO, NOMEM. */
rad_status phantom_write(const phantom_design *d, const char *dir, uint64_t seed, double scale, int64_t *ret_patients, int64_t *ret_images,
                         rad_error *err) RAD_MUST_CHECK;

#endif

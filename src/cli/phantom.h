/* phantom.h (private to src/cli): synthetic multicenter cohorts with known truth.
 *
 * A design is a table: classes, sequences, centers with their scanners, readers. An image is a function of the position in mm in RAS+
 * space, sampled on the grid of each center's scanner and of each sequence (spacing, axis order, tilt) and passed through the scanner
 * (gain, offset, receive-coil bias, noise, loss of detail, scl_slope and scl_inter, padding outside the field of view). Everything derives
 * from (seed, patient, purpose) by a counter-based generator in integer arithmetic, so that a cohort is the same bytes on every machine.
 *
 * Truth: each lesion has one latent z ~ N(mean of its class, 1). A sequence shows v z + sqrt(1 - v^2) e, e ~ N(0, 1) of its own, where v is
 * its `information`; what it shows sets how strong the lesion's internal texture and rim are. With two classes whose means lie d apart an
 * ideal observer of that sequence has AUC = Phi(v d / sqrt 2) (binormal model, equal variances); z is written as the covariate `latent` of
 * lesions.tsv.
 *
 * Marginals are quotas, not chances: of n units that may have something with share q, round(n q) have it. At scale 1 a design has the
 * counts of its publication, and at other scales their proportions.
 */
#ifndef RAD_CLI_PHANTOM_H
#define RAD_CLI_PHANTOM_H

#include "radcohort/base.h"

#define PHANTOM_MAX_CLASS 4
#define PHANTOM_MAX_SEQUENCE 6
#define PHANTOM_MAX_READER 4
#define PHANTOM_MAX_FEATURE 16
#define PHANTOM_MAX_LESION 2

typedef struct phantom_scanner {
    double gain, offset;       /* value = gain * ideal + offset */
    double bias;               /* relative amplitude of the coil's slow shading over the field of view */
    double noise;              /* standard deviation, ideal units */
    double detail;             /* 0..1: share of the lesion's texture and rim that survives reconstruction */
    double spacing, thickness; /* mm */
    const char *axes;          /* stored axis codes, e.g. "LAS" */
    double tilt_deg;           /* rotation about the first stored axis: an oblique acquisition */
    double slope, inter;       /* scl_slope and scl_inter of the file */
} phantom_scanner;

/* One set of patients of one center. Sets of the same center follow each other. */
typedef struct phantom_center {
    const char *id, *name, *country;
    bool external;
    int n[PHANTOM_MAX_CLASS]; /* patients whose lesions have this class, at --scale 1 */
    bool mask;                /* lesions as mask files; otherwise as boxes */
    phantom_scanner scanner;
    const char *set; /* value of the column `set` of patients.tsv; NULL: no such column */
    bool unread;     /* no readings of these patients */
    int image_sets;  /* slices of lesions x sequences there are, at --scale 1: lesions get as many slices as it takes. 0: as it comes */
} phantom_center;

typedef struct phantom_sequence {
    const char *name;
    double body, lesion; /* ideal intensities */
    double texture, rim; /* how strongly the latent shows */
    double information;  /* 0..1 */
    double missing;      /* share of patients without it */
    double background;   /* outside the body */
    double coarse;       /* pixels and slices are so much larger than the scanner's, and fewer; 0: 1 */
    double tilt_deg;     /* beside the scanner's */
    const char *axes;    /* NULL: the scanner's */
} phantom_sequence;

typedef struct phantom_reader {
    const char *id;
    double years;
    double accuracy[PHANTOM_MAX_CLASS]; /* share of each class that is called right; all 0: notes features only */
} phantom_reader;

/* A finding that the first reader notes as present or absent. */
typedef struct phantom_feature {
    const char *name;
    double share[PHANTOM_MAX_CLASS];
} phantom_feature;

/* Ultrasound: stills and cine loops with burned-in margins instead of volumes. */
typedef struct phantom_views {
    int few, many; /* stills of a case, each a row of lesions.tsv */
    double cine;   /* share of cases that have a cine loop besides */
    int frames;    /* of a loop */
    int dark;      /* the first frames of a loop, before the contrast medium comes */
    int top, left; /* pixels of text and ruler */
} phantom_views;

typedef struct phantom_design {
    const char *name, *summary;
    int n_class;
    const char *class_name[PHANTOM_MAX_CLASS];
    double mean[PHANTOM_MAX_CLASS];    /* of the latent; above 0: suspicious */
    double pattern[PHANTOM_MAX_CLASS]; /* above 0: more rim and less texture, tells classes of equal mean apart */
    double pattern_sd;
    int n_sequence;
    phantom_sequence
        sequence[PHANTOM_MAX_SEQUENCE]; /* the first: lesions are drawn in it, and it is never missing unless all grids are one */
    int n_center;
    const phantom_center *center;
    double second_lesion[PHANTOM_MAX_CLASS]; /* share of patients with a second lesion of the same class */
    double radius_low, radius_high;          /* of lesions, mm */
    double depth[PHANTOM_MAX_CLASS];         /* factor of the radius across slices; 0: 1 */
    double spread;                           /* factor of the lesions' distance from the middle of the slice; 0: 1 */
    double texture_mm;
    int folds;              /* 0: no fold column values */
    int64_t size, slices;   /* voxels in plane, slices */
    double padding, fov_mm; /* value outside a circle of this radius in the slice, which the scanner never saw; 0: none */
    phantom_views views;    /* few 0: volumes */
    double age_mean[PHANTOM_MAX_CLASS], age_sd, male[PHANTOM_MAX_CLASS];
    int n_reader;
    bool rated, read_patients; /* readers also give 1..5; a reading is about the patient, not the lesion */
    phantom_reader reader[PHANTOM_MAX_READER];
    int n_feature;
    phantom_feature feature[PHANTOM_MAX_FEATURE];
} phantom_design;

/* NULL when unknown; the list ends with name NULL. */
const phantom_design *phantom_find(const char *name);
const phantom_design *phantom_list(void);

typedef struct phantom_counts {
    int64_t patients, lesions, images, image_sets; /* image_sets: slices of lesions x sequences there are */
} phantom_counts;

typedef struct phantom_opts {
    uint64_t seed;
    double scale;     /* multiplies the number of patients per center and class (at least one each) */
    bool tables_only; /* no images: the tables name files that are not there */
} phantom_opts;

/* Writes the cohort folder. Returns the counts. Errors: IO, NOMEM. */
rad_status phantom_write(const phantom_design *d, const char *dir, const phantom_opts *opts, phantom_counts *ret,
                         rad_error *err) RAD_MUST_CHECK;

#endif

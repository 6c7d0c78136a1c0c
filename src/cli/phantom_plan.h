/* phantom_plan.h (private to src/cli): the synthetic patients of a cohort before their images are made, and the random numbers of both. */
#ifndef RAD_CLI_PHANTOM_PLAN_H
#define RAD_CLI_PHANTOM_PLAN_H

#include "phantom.h"

typedef struct phantom_lesion {
    int class_index;
    double centre[3], radius[3];        /* mm */
    double latent;                      /* z */
    double shown[PHANTOM_MAX_SEQUENCE]; /* z as each sequence shows it */
    double pattern;
} phantom_lesion;

typedef struct phantom_reading {
    int call, rating; /* class index; 1..5 */
} phantom_reading;

typedef struct phantom_patient {
    char id[32];
    uint64_t key;
    const phantom_center *center;
    int class_index, fold;
    double age;
    bool male;
    double half[3]; /* semi-axes of the body, mm */
    bool missing[PHANTOM_MAX_SEQUENCE];
    int n_still;
    bool cine;
    int n_lesion;
    phantom_lesion lesion[PHANTOM_MAX_LESION];
    phantom_reading reading[PHANTOM_MAX_LESION][PHANTOM_MAX_READER];
    uint32_t feature[PHANTOM_MAX_LESION]; /* bit f: the first reader notes feature f */
} phantom_patient;

typedef struct phantom_plan {
    const phantom_design *design;
    uint64_t seed;
    int64_t n, n_lesion;
    phantom_patient *patient;
} phantom_plan;

/* Errors: NOMEM. Release with phantom_plan_release. */
rad_status phantom_plan_make(const phantom_design *d, uint64_t seed, double scale, phantom_plan *ret, rad_error *err) RAD_MUST_CHECK;
void phantom_plan_release(phantom_plan *plan);

/* ---------------------------------------------------------------- counter-based random numbers */

enum {
    PHANTOM_KEY_PATIENT = 1,
    PHANTOM_KEY_LESION,
    PHANTOM_KEY_BODY,
    PHANTOM_KEY_TEXTURE,
    PHANTOM_KEY_SHADE,
    PHANTOM_KEY_NOISE,
    PHANTOM_KEY_READER,
    PHANTOM_KEY_FEATURE,
    PHANTOM_KEY_SEQUENCE,
    PHANTOM_KEY_TEXT
};

uint64_t phantom_draw(uint64_t key, uint64_t counter);
uint64_t phantom_subkey(uint64_t key, uint64_t purpose, uint64_t index);
double phantom_uniform(uint64_t key, uint64_t counter); /* [0, 1) */
double phantom_noise(uint64_t key, uint64_t counter);   /* nearly normal, cheap */
double phantom_normal(uint64_t key, uint64_t counter);  /* a better one, for latents */
/* Random numbers in -1..1 on a lattice of `mm`, trilinear between, smoothed by 3t^2 - 2t^3. */
double phantom_value_noise(uint64_t key, const double p[3], double mm);

/* ---------------------------------------------------------------- phantom_image.c */

/* Normalised radius of a position in mm in a lesion; 1 = the border. */
double phantom_lesion_radius(const phantom_lesion *le, const double p[3]);
/* Voxels of the largest image of the design, for the scratch of those below (times 3 bytes). Never 0. */
size_t phantom_image_voxels(const phantom_design *d);
/* The volume of one sequence. `voxel`: scratch. Errors: IO, NOMEM. */
rad_status phantom_image_volume(const phantom_design *d, const phantom_patient *p, int sequence, const char *path, int16_t *voxel,
                                rad_error *err) RAD_MUST_CHECK;
/* The lesion on the grid of the first sequence: its box, and, `mask_path` not NULL, a mask. Voxels whose centre lies inside. */
rad_status phantom_image_lesion(const phantom_design *d, const phantom_patient *p, const phantom_lesion *le, const char *mask_path,
                                uint8_t *voxel, int64_t box[6], rad_error *err) RAD_MUST_CHECK;
/* Still `view` (a PNG), or the cine loop (view -1, NIfTI [x, y, 1, frame]), and the lesion's box in it, over all frames. path NULL: the box
 * only. */
rad_status phantom_image_view(const phantom_design *d, const phantom_patient *p, int view, const char *path, uint8_t *voxel, int64_t box[6],
                              rad_error *err) RAD_MUST_CHECK;

#endif

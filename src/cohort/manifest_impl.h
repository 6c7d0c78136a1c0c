/* manifest_impl.h (private to src/cohort): what the files of the manifest share. */
#ifndef RAD_COHORT_MANIFEST_IMPL_H
#define RAD_COHORT_MANIFEST_IMPL_H

#include "arena.h"
#include "places.h"
#include "radcohort/bvalue.h"
#include "radcohort/cohort.h"

enum { MANIFEST_WHY = 400, MANIFEST_LISTED = 6 };

/* Images of one sequence that a case could take. */
typedef struct found {
    int64_t n, first;
} found;

/* Why an image was passed over; the strongest reason stays. */
typedef enum fate { FATE_NONE, FATE_OTHER_STUDY, FATE_OTHER_NAMES_LESION, FATE_OTHER_B, FATE_CASE_FAILED, FATE_USED } fate;

/* What an image is to a channel with `b_value`. */
typedef struct b_verdict {
    enum {
        B_FITS,
        B_OTHER,   /* it has none of these b-values; `why` has those that it has */
        B_SEVERAL, /* more than one b-value lies in the range: `why` */
        B_UNKNOWN  /* `why` */
    } kind;
    rad_pick *pick; /* of a 4-D image that fits */
    const char *why;
} b_verdict;

typedef struct manifest_builder {
    const rad_cohort *c;
    const rad_job *job;
    rad_manifest *m;
    arena *arena;
    rad_issues *issues;
    int n_sequence, n_channel;         /* distinct sequences of all channels; channel entries of all inputs */
    const char **sequence;             /* [n_sequence + 1], ends with NULL */
    int (*channel)[RAD_MAX_CHANNELS];  /* per input and channel: index into sequence */
    int *image_sequence;               /* per image: index into sequence, or -1 */
    fate *image_fate;                  /* per image */
    const char **image_why;            /* per image: why its case failed */
    place *image, *lesion;             /* sorted by patient, lesion (-1 first; unit patient: all -1), table order */
    found *own, *shared;               /* per sequence, of the current case: images that name the lesion; images that name none */
    int64_t cap_case, n_patient_label; /* labels that are no class, only counted */
    int n_b;                           /* distinct pairs of ends among the channels with `b_value` */
    int (*b_slot)[RAD_MAX_CHANNELS];   /* per input and channel: which of them, or -1 */
    b_verdict **b_known;               /* [n_b * n_image] what was found out already, or NULL */
} manifest_builder;

/* The `text` is a sentence, details of the single case in `detail`. False when memory is out. */
bool manifest_set_why(manifest_builder *b, rad_case_input *in, rad_status st, const char *text, const char *detail) RAD_MUST_CHECK;
/* Images to channels of one input, from b->own and b->shared. Errors: NOMEM. */
rad_status manifest_match_input(manifest_builder *b, const rad_case *k, int which, rad_error *err) RAD_MUST_CHECK;
/* Fills n_b, b_slot, b_known. Errors: NOMEM. */
rad_status manifest_index_b(manifest_builder *b, rad_error *err) RAD_MUST_CHECK;
/* What image `image` is to channel entry `ch` of input `which`, which has `b_value`; looked up once. Errors: NOMEM. */
rad_status manifest_judge_b(manifest_builder *b, int64_t image, int which, int ch, const b_verdict **ret, rad_error *err) RAD_MUST_CHECK;

#endif

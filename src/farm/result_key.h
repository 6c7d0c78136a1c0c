/* result_key.h (private to src/farm): the content key of a result: everything that decides a score, and nothing else. */
#ifndef RAD_FARM_RESULT_KEY_H
#define RAD_FARM_RESULT_KEY_H

#include "radcohort/job.h"

typedef struct rad_key_parts {
    const rad_job *job; /* one model per file (rad_files.job) */
    int model;          /* in it */
    /* per channel entry of the model's input: the image's content (rad_volume.content), "missing" for planes of zeros */
    const char *const *channel_content;
    const char *const *channel_volumes; /* the volumes of the image whose mean it is (rad_pick.text); "": the image as it is */
    const char *mask_content;           /* or "none": the input does not use it */
    bool has_box, has_point;
    const int64_t *box;  /* [6] */
    const double *point; /* [3] */
    int64_t n_listed;
    const int64_t *listed;
    const char *graph_hash, *precision, *backend_version;
} rad_key_parts;

/* Errors: NOMEM. Thread-safe. */
rad_status rad_result_key(const rad_key_parts *p, char ret[RAD_SHA256_HEX], rad_error *err) RAD_MUST_CHECK;

#define RAD_MAX_KEY_TEXT ((size_t)1 << 20)

#endif

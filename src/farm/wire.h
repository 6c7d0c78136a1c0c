/* wire.h (private to src/farm): the messages between coordinator and workers as bytes. Pure: no MPI, no files, no clock.
 *
 * A message is a header (magic 'RFM1', version, kind) and fields in fixed order, all integers as 64-bit little-endian two's complement,
 * doubles as their 64-bit patterns, strings as length + bytes without NUL inside, optional strings with a presence flag, arrays as count +
 * elements. A decoder refuses anything else: unknown version, counts above their RAD_MAX_* limit or above what the remaining bytes can
 * hold, flags that are neither 0 nor 1, statuses of the wrong scope, and bytes left over. Decoded structs live in a rad_wire_arena.
 */
#ifndef RAD_FARM_WIRE_H
#define RAD_FARM_WIRE_H

#include "radcohort/cohort.h"
#include "radcohort/job.h"
#include "radcohort/store.h"

#include "known.h"

#define RAD_WIRE_VERSION 7
#define RAD_MAX_MESSAGE ((size_t)1 << 30) /* below INT_MAX: MPI counts are int */
#define RAD_MAX_LEASE_CASES 1024
#define RAD_MAX_CASE_IMAGES (RAD_MAX_INPUTS * RAD_MAX_CHANNELS)
#define RAD_MAX_WIRE_TEXT 65536
#define RAD_MAX_CASE_SLICES 1000000
#define RAD_MAX_WIRE_KEYS 65536 /* in one KNOWN message */

typedef enum rad_wire_kind {
    RAD_WIRE_CONFIG = 1, /* coordinator to all, broadcast: what the run is, or why there is none */
    RAD_WIRE_KNOWN,      /* coordinator to all, broadcast after it: keys of stored results, as many messages as they take */
    RAD_WIRE_HELLO,      /* worker: in service */
    RAD_WIRE_LEASE,      /* coordinator: cases to score */
    RAD_WIRE_RESULT,     /* worker: one case */
    RAD_WIRE_RETURN,     /* worker: cases not begun, given back */
    RAD_WIRE_FAULT,      /* worker: out of service, and why */
    RAD_WIRE_DRAIN,      /* coordinator: begin nothing more, give back what was not begun */
    RAD_WIRE_QUIT,       /* coordinator: leave */
    RAD_WIRE_LEAVE,      /* coordinator: leave, and wait for nobody: a rank is lost */
    RAD_WIRE_COMMITTED,  /* coordinator: so many of your results are committed */
    RAD_WIRE_ALIVE,      /* worker: still here */
    RAD_WIRE_BYE         /* worker: last message */
} rad_wire_kind;

/* Owner of everything a decoder makes. Zero-initialise. */
typedef struct rad_wire_arena {
    struct rad_wire_block *head;
} rad_wire_arena;
void rad_wire_arena_release(rad_wire_arena *a);

typedef struct rad_wire_config {
    rad_status status; /* not RAD_OK: no run; everybody leaves with this */
    const char *text;  /* of the error, "" when OK */
    bool quit;         /* nothing to do: everybody leaves with RAD_OK */
    const char *job_sha256, *backend, *backend_version, *precision;
    const char *crash_tag; /* see crash.h */
    const char *identity;  /* of the run */
    int64_t batch;
    int64_t n_known; /* keys of stored results, which follow in KNOWN messages of RAD_MAX_WIRE_KEYS, the last one of what is left */
    int64_t n_model;
    const int64_t *first_fold; /* [n_model] number of the model's first file (folds.h) */
    int64_t n_file;
    const char *const *model_sha256, *const *graph_hash; /* [n_file] */
} rad_wire_config;

typedef struct rad_wire_known {
    int64_t n;
    const uint8_t *key; /* [n, RAD_SHA256_BYTES]; the decoder's points into the message */
} rad_wire_known;

typedef struct rad_wire_hello {
    const char *host, *device;
    const char *room; /* threads and memory, for people */
    int64_t window;   /* cases it wants to hold */
    int64_t threads;
} rad_wire_hello;

typedef struct rad_wire_image {
    int64_t image; /* index into the cohort's images */
    const char *path;
    int64_t n_volume, n_total; /* of a 4-D image the mean of these volumes (rad_pick); 0: the image as it is */
    const int64_t *volume;
    const char *volumes; /* the same as text; "" */
} rad_wire_image;

typedef struct rad_wire_input {
    rad_status status;      /* RAD_OK, or why the intake has no images for it (study scope) */
    const char *why;        /* "" when OK */
    int64_t n_channel;      /* 0 when not OK */
    const int64_t *channel; /* [n_channel] index into the case's images; -1: missing, planes of zeros */
    int64_t n_listed;
    const int64_t *listed; /* [n_listed] slices that the tables list, for an input that takes those */
} rad_wire_input;

typedef struct rad_wire_case {
    int64_t index, case_id; /* position in the coordinator's schedule; database id */
    int64_t n_image;
    const rad_wire_image *image;
    const char *mask; /* path, or NULL */
    bool has_box, has_point;
    int64_t box[6];
    double point[3];
    int64_t n_input;
    const rad_wire_input *input;
    int64_t n_model;
    const int64_t *file; /* [n_model] file (folds.h) that scores the case for each model; -1: none may */
    uint64_t stamp;      /* of its files when the run was planned (stamp.h) */
} rad_wire_case;

typedef struct rad_wire_lease {
    int64_t n_case;
    const rad_wire_case *item;
} rad_wire_lease;

typedef struct rad_wire_result {
    int64_t index;
    int n_class;
    bool moved;             /* something failed, and the files are not those of the plan any more: no result of this run */
    rad_case_result result; /* rank, host, device are not sent: the coordinator knows them from the hello */
} rad_wire_result;

typedef struct rad_wire_cases { /* RETURN */
    int64_t n;
    const int64_t *index;
} rad_wire_cases;

typedef struct rad_wire_fault {
    rad_status status;
    const char *text;
    rad_wire_cases guilty; /* cases that were being worked on when it happened and may be the cause */
} rad_wire_fault;

/* Encoders append one whole message to `b` (initialised by the caller with RAD_MAX_MESSAGE). Errors: NOMEM, LIMIT. */
rad_status rad_wire_put_config(rad_buf *b, const rad_wire_config *m, rad_error *err) RAD_MUST_CHECK;
rad_status rad_wire_put_known(rad_buf *b, const rad_wire_known *m, rad_error *err) RAD_MUST_CHECK;
rad_status rad_wire_put_hello(rad_buf *b, const rad_wire_hello *m, rad_error *err) RAD_MUST_CHECK;
rad_status rad_wire_put_lease(rad_buf *b, const rad_wire_lease *m, rad_error *err) RAD_MUST_CHECK;
rad_status rad_wire_put_result(rad_buf *b, const rad_wire_result *m, rad_error *err) RAD_MUST_CHECK;
rad_status rad_wire_put_return(rad_buf *b, const rad_wire_cases *m, rad_error *err) RAD_MUST_CHECK;
rad_status rad_wire_put_fault(rad_buf *b, const rad_wire_fault *m, rad_error *err) RAD_MUST_CHECK;
rad_status rad_wire_put_committed(rad_buf *b, int64_t n, rad_error *err) RAD_MUST_CHECK;
/* DRAIN, QUIT, LEAVE, ALIVE, BYE: nothing but the header. */
rad_status rad_wire_put_signal(rad_buf *b, rad_wire_kind kind, rad_error *err) RAD_MUST_CHECK;

/* Decoders: COMM when the bytes are not exactly one well-formed message of that kind; NOMEM. Strings and arrays belong to `a`. */
rad_status rad_wire_peek(const void *data, size_t size, rad_wire_kind *ret, rad_error *err) RAD_MUST_CHECK;
rad_status rad_wire_get_config(const void *data, size_t size, rad_wire_arena *a, rad_wire_config *ret, rad_error *err) RAD_MUST_CHECK;
rad_status rad_wire_get_known(const void *data, size_t size, rad_wire_known *ret, rad_error *err) RAD_MUST_CHECK;
rad_status rad_wire_get_hello(const void *data, size_t size, rad_wire_arena *a, rad_wire_hello *ret, rad_error *err) RAD_MUST_CHECK;
rad_status rad_wire_get_lease(const void *data, size_t size, rad_wire_arena *a, rad_wire_lease *ret, rad_error *err) RAD_MUST_CHECK;
rad_status rad_wire_get_result(const void *data, size_t size, rad_wire_arena *a, rad_wire_result *ret, rad_error *err) RAD_MUST_CHECK;
rad_status rad_wire_get_return(const void *data, size_t size, rad_wire_arena *a, rad_wire_cases *ret, rad_error *err) RAD_MUST_CHECK;
rad_status rad_wire_get_committed(const void *data, size_t size, int64_t *ret, rad_error *err) RAD_MUST_CHECK;
rad_status rad_wire_get_fault(const void *data, size_t size, rad_wire_arena *a, rad_wire_fault *ret, rad_error *err) RAD_MUST_CHECK;

#endif

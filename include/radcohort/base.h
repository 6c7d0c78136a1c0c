/* base: status and error text, log, checked memory, growable buffers, capped file reads, hashes, clock.
 *
 * Knows nothing of images, networks, MPI or SQL. Every other module includes this header.
 *
 * Conventions of the whole code base
 * - A fallible function returns rad_status (must-check) and takes `rad_error *err` as its LAST argument (may be NULL).
 *   Parameter order: object, inputs, `ret_` outputs, err. On failure outputs are untouched and all that was acquired is released.
 * - The first function that decides something is an error writes the text: lower case, no full stop, the subject in
 *   single quotes, what was expected, and the way out. Callers propagate; one may prefix it with the study or node it knows.
 * - create/destroy(T **) for heap objects (destroy accepts NULL and nulls the pointer), init/release for caller's storage,
 *   open/close for files, devices, databases; `get` borrows, `take` transfers ownership.
 * - Byte counts are size_t; dims, counts and indices of elements are int64_t.
 */
#ifndef RADCOHORT_BASE_H
#define RADCOHORT_BASE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

#define RAD_MUST_CHECK __attribute__((warn_unused_result))
#define RAD_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define RAD_UNUSED __attribute__((unused))
#define RAD_TARGET(isa) __attribute__((target(isa))) /* one function for a processor that has `isa`; its caller asks for that first */
#define RAD_ALWAYS_INLINE inline __attribute__((always_inline)) /* its constant arguments make another function of it each time */
/* Loops over voxels: compiled for wider vectors too, chosen when the program starts. The same bits: no sum is reordered, nothing is fused.
 * (Not under sanitizers: what chooses would run before they are set up.) */
#if defined(__x86_64__) && defined(__OPTIMIZE__) && !defined(__clang__) && !defined(RAD_SANITIZED)
#define RAD_CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define RAD_CLONES
#endif

/* ---------------------------------------------------------------- status */

/* Codes are grouped by the largest thing they condemn: the study (recorded as an exclusion, the run goes on), the worker
 * (the rank stops taking work and its lease goes back), or the run. */
typedef enum rad_status {
    RAD_OK = 0,
    /* study scope: -1 .. -29; rad_status_reason() of these is the `reason` of an exclusion row */
    RAD_E_NOTFOUND = -1,    /* file or row that is referred to does not exist */
    RAD_E_IO = -2,          /* read or write failed in the operating system */
    RAD_E_TRUNCATED = -3,   /* file ends before what its header promises */
    RAD_E_FORMAT = -4,      /* bytes are not what the format says they must be */
    RAD_E_UNSUPPORTED = -5, /* valid, but a kind that radcohort does not take (complex voxels, say) */
    RAD_E_LIMIT = -6,       /* a named limit (RAD_MAX_*) would be passed */
    RAD_E_SHAPE = -7,       /* dims disagree: mask and image, channels of one input, tensor and network */
    RAD_E_NONFINITE = -8,   /* NaN or Inf where a number is needed */
    RAD_E_CHANNEL = -9,     /* no image, or more than one, matches a declared channel */
    RAD_E_REGION = -10,     /* region of interest is empty or outside the image */
    RAD_E_QUARANTINE = -11, /* took its rank down twice: not tried again */
    RAD_E_LEAKAGE = -12,    /* the model saw this patient in training */
    RAD_E_FOLD = -13,       /* the patient has no fold, and each file of the model may score one fold only */
    /* worker scope: -30 .. -49 */
    RAD_E_NOMEM = -30,
    RAD_E_DEVICE = -31,
    /* run scope: -50 .. */
    RAD_E_USAGE = -50,    /* command line */
    RAD_E_CONFIG = -51,   /* job file or cohort tables */
    RAD_E_MODEL = -52,    /* ONNX file, or an operator the backend lacks */
    RAD_E_STORE = -53,    /* database */
    RAD_E_COMM = -54,     /* MPI */
    RAD_E_INTERNAL = -55, /* a broken invariant of our own */
    RAD_E_STOPPED = -56   /* stopped on request, resumable */
} rad_status;

typedef enum rad_scope { RAD_SCOPE_NONE, RAD_SCOPE_STUDY, RAD_SCOPE_WORKER, RAD_SCOPE_RUN } rad_scope;

/* What a status condemns, from its range. RAD_OK gives RAD_SCOPE_NONE. */
rad_scope rad_status_scope(rad_status s);
/* The typed reason as one lower-case word ("truncated", "shape", ...); "ok" for RAD_OK. Static storage. */
const char *rad_status_reason(rad_status s);

/* Exit codes of the command line (stable). */
enum { RAD_EXIT_OK = 0, RAD_EXIT_FAILED = 1, RAD_EXIT_USAGE = 2, RAD_EXIT_EXCLUSIONS = 3, RAD_EXIT_STOPPED = 4 };
/* 0 OK; 2 usage, configuration, model and whatever condemns the input named on the command line; 4 stopped; 1 the rest. */
int rad_status_exit_code(rad_status st);

/* ---------------------------------------------------------------- error */

#define RAD_ERROR_TEXT 480
/* Lives on the caller's stack. Plain data; zero-initialised means "no error". */
typedef struct rad_error {
    rad_status code;
    char text[RAD_ERROR_TEXT]; /* UTF-8; ends in '+' when it was cut */
} rad_error;

/* Formats the text, stores and returns `code`. `err` may be NULL. */
rad_status rad_error_set(rad_error *err, rad_status code, const char *fmt, ...) RAD_PRINTF(3, 4);
/* Puts a prefix ("patient 'P1': ") in front of the text already there; keeps and returns the code. */
rad_status rad_error_prefix(rad_error *err, rad_status code, const char *fmt, ...) RAD_PRINTF(3, 4);

/* Runs `call`; on failure jumps to `out:` with the status in `st`. Both must exist in the function. */
#define RAD_TRY(call)                                                                                                                      \
    do {                                                                                                                                   \
        st = (call);                                                                                                                       \
        if (st != RAD_OK)                                                                                                                  \
            goto out;                                                                                                                      \
    } while (0)

/* ---------------------------------------------------------------- log */

typedef enum rad_log_level { RAD_LOG_ERROR, RAD_LOG_WARN, RAD_LOG_INFO, RAD_LOG_DEBUG } rad_log_level;
/* Process-wide level and prefix ("rank 3"); set once at start, before threads. */
void rad_log_configure(rad_log_level level, const char *prefix);
/* One line to stderr, written with a single write(2): UTC time, level, prefix, text. Thread-safe. Only farm/ and cli/ log
 * above debug; no patient names, birth dates or UIDs in a log line. */
void rad_log(rad_log_level level, const char *fmt, ...) RAD_PRINTF(2, 3);

/* ---------------------------------------------------------------- memory */

/* Product of two sizes; false (and *ret untouched) when it would overflow. */
bool rad_mul_size(size_t a, size_t b, size_t *ret) RAD_MUST_CHECK;
bool rad_add_size(size_t a, size_t b, size_t *ret) RAD_MUST_CHECK;
/* malloc/calloc/realloc with overflow check; NULL when memory is out or when rad_mem_fail_after() says so. free() releases. */
void *rad_malloc(size_t n);
void *rad_calloc(size_t n, size_t size);
void *rad_realloc(void *p, size_t n, size_t size);
/* 64-byte aligned; release with free(). */
void *rad_aligned(size_t n);
char *rad_strdup(const char *s);
char *rad_strndup(const char *s, size_t n);
/* printf into fresh memory; NULL when memory is out. */
char *rad_asprintf(const char *fmt, ...) RAD_PRINTF(1, 2);
/* Test hook: the n-th allocation from now (1 = the next) and all later ones fail; 0 switches it off. Not thread-safe. */
void rad_mem_fail_after(int64_t n);

/* Growable byte buffer with a stated maximum. `data` is always NUL-terminated behind `size` once anything was put. */
typedef struct rad_buf {
    char *data;
    size_t size, cap, max;
} rad_buf;
void rad_buf_init(rad_buf *b, size_t max);
void rad_buf_release(rad_buf *b);
void rad_buf_clear(rad_buf *b);
rad_status rad_buf_put(rad_buf *b, const void *p, size_t n, rad_error *err) RAD_MUST_CHECK;
rad_status rad_buf_printf(rad_buf *b, rad_error *err, const char *fmt, ...) RAD_PRINTF(3, 4) RAD_MUST_CHECK;

/* ---------------------------------------------------------------- files */

/* A whole file, memory-mapped read-only. `data` is NULL when size is 0. */
typedef struct rad_map {
    const uint8_t *data;
    size_t size;
} rad_map;
/* Errors: NOTFOUND, IO, LIMIT (larger than max). Regular files only (a FIFO or device is FORMAT). */
rad_status rad_map_open(const char *path, size_t max, rad_map *ret, rad_error *err) RAD_MUST_CHECK;
void rad_map_close(rad_map *m);
/* The pages leave this process's memory and come back from the file when they are read again: a large file that was read once does not
 * count twice beside what was made of it. Advice only. */
void rad_map_drop_pages(const rad_map *m);
/* A whole file into memory, NUL-terminated; caller frees *ret_data. Errors as rad_map_open. */
rad_status rad_file_read(const char *path, size_t max, char **ret_data, size_t *ret_size, rad_error *err) RAD_MUST_CHECK;
/* Writes path.tmp, fsync, rename: the old or the new content is there, never half. */
rad_status rad_file_write_atomic(const char *path, const void *data, size_t size, rad_error *err) RAD_MUST_CHECK;
/* The same with the permissions of the new file (the umask takes from them): 0600 for what tells of patients. */
rad_status rad_file_write_atomic_mode(const char *path, unsigned mode, const void *data, size_t size, rad_error *err) RAD_MUST_CHECK;
rad_status rad_mkdirs(const char *path, rad_error *err) RAD_MUST_CHECK;
/* dir + "/" + name; name alone when dir is NULL, empty or name is absolute. Caller frees; NULL when memory is out. */
char *rad_path_join(const char *dir, const char *name);
/* The folder part of a path ("." when it has none). Caller frees. */
char *rad_path_dir(const char *path);
/* The path from the root, by the working directory; nothing is looked at. Caller frees; NULL when memory is out or there is no working
 * directory any more. */
char *rad_path_absolute(const char *path);
/* True when `rel` is relative and no component is "..". */
bool rad_path_is_inside(const char *rel);

/* ---------------------------------------------------------------- hashes */

#define RAD_SHA256_HEX 65 /* with NUL */
#define RAD_SHA256_BYTES 32
/* SHA-256 (libcrypto): identities of models, jobs, result keys. */
rad_status rad_sha256(const void *data, size_t size, char ret_hex[RAD_SHA256_HEX], rad_error *err) RAD_MUST_CHECK;
/* SHA-256 of a mapped file, page by page: pages already hashed leave memory when `drop` is set. */
rad_status rad_map_sha256(const rad_map *m, bool drop, char ret_hex[RAD_SHA256_HEX], rad_error *err) RAD_MUST_CHECK;
/* 64 lower-case hex digits and NUL into bytes; false when they are anything else. */
bool rad_sha256_bytes(const char *hex, uint8_t ret[RAD_SHA256_BYTES]) RAD_MUST_CHECK;
/* HMAC-SHA256 (RFC 2104, libcrypto): pseudonyms from a secret key. */
rad_status rad_hmac_sha256(const void *key, size_t key_size, const void *data, size_t size, uint8_t ret[RAD_SHA256_BYTES],
                           rad_error *err) RAD_MUST_CHECK;
/* `n` unpredictable bytes (libcrypto): new keys. */
rad_status rad_random_bytes(void *ret, size_t n, rad_error *err) RAD_MUST_CHECK;
/* XXH3-128 (libxxhash): bulk content of images. 32 hex digits + NUL. */
#define RAD_XXH128_HEX 33
void rad_xxh128(const void *data, size_t size, char ret_hex[RAD_XXH128_HEX]);
/* Of a mapped file, page by page as rad_map_sha256, and ten times as fast: whether bytes are still those of a moment ago, where `seed` was
 * drawn at random. With ret_sha256 also its SHA-256, in the same pass. Errors: NOMEM, INTERNAL. */
rad_status rad_map_xxh128(const rad_map *m, bool drop, uint64_t seed, char ret_hex[RAD_XXH128_HEX], char *ret_sha256,
                          rad_error *err) RAD_MUST_CHECK;
/* The same of `a` and then `b`, as if they were one. Errors: NOMEM. */
rad_status rad_xxh128_two(const rad_map *a, const rad_map *b, char ret_hex[RAD_XXH128_HEX], rad_error *err) RAD_MUST_CHECK;

/* ---------------------------------------------------------------- images in two files */

/* "x.hdr[.gz]" or "x.img[.gz]", also in capitals: half of an image. */
bool rad_pair_named(const char *path);
/* The half `ext` (".hdr", ".img") of the pair that `path` is half of, compressed as `path` is, or with `other` the other way; its letters
 * are capitals where the path's are. Owned by the caller; NULL: no memory. A half is looked for under the first name, then under the other.
 */
char *rad_pair_half(const char *path, const char *ext, bool other);

/* ---------------------------------------------------------------- clock and text */

/* Seconds of the monotonic clock. */
double rad_clock_seconds(void);
/* "2026-01-31T12:34:56Z" of the wall clock. */
#define RAD_TIME_TEXT 21
void rad_clock_utc(char ret_text[RAD_TIME_TEXT]);
/* Emphasis for people at a terminal. */
typedef enum rad_style { RAD_STYLE_PLAIN, RAD_STYLE_HEADING, RAD_STYLE_ERROR, RAD_STYLE_WARNING } rad_style;
/* The escape sequence that begins the style (PLAIN ends all); "" unless `to` is a terminal that knows colours and NO_COLOR
 * (https://no-color.org) is unset or empty. */
const char *rad_term_style(FILE *to, rad_style style);
/* The entry of `known` (NULL-terminated) nearest to `word` by edit distance, or NULL when none is near enough
 * (distance above 1 + length/3). For "unknown key 'windw': did you mean 'window'?". */
const char *rad_nearest_word(const char *word, const char *const *known);
/* strtod/strtoll that take the whole text, in the C locale, or return false. */
bool rad_parse_double(const char *text, double *ret) RAD_MUST_CHECK;
bool rad_parse_int(const char *text, int64_t *ret) RAD_MUST_CHECK;

/* The program's version, "MAJOR.MINOR.PATCH" (+ "-g<commit>" when built from a checkout). */
const char *rad_version(void);

#ifdef __cplusplus
}
#endif
#endif

/* infer: backends behind one table, and the engine that runs a network on samples.
 *
 * Promise 1 (invariance): the output of a sample is bit-identical whatever the batch it rode in, its position, the number of threads and
 * ranks. The engine keeps it by running plans of ONE fixed batch (the backend's choice, 1 on CPUs) and by never letting two threads
 * work on one sample.
 */
#ifndef RADCOHORT_INFER_H
#define RADCOHORT_INFER_H

#include "radcohort/base.h"
#include "radcohort/model.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum rad_precision { RAD_PREC_FP32, RAD_PREC_TF32, RAD_PREC_FP16, RAD_PREC_BF16 } rad_precision;
const char *rad_precision_name(rad_precision p);
/* Errors: USAGE naming the known words. */
rad_status rad_precision_parse(const char *word, rad_precision *ret, rad_error *err) RAD_MUST_CHECK;

typedef struct rad_backend rad_backend;
typedef struct rad_engine rad_engine;

/* Names in order of preference; compiled or not. Static storage, NULL-terminated. */
const char *const *rad_backend_names(void);
/* "usable: oneDNN 2.6.3, AVX-512 ..." or "not usable: ..."; true when usable here. */
bool rad_backend_probe(const char *name, char *buf, size_t cap);
/* Errors: USAGE (unknown name), DEVICE (not compiled in or not usable here: says why; never another backend instead). */
rad_status rad_backend_open(const char *name, rad_backend **ret, rad_error *err) RAD_MUST_CHECK;
void rad_backend_close(rad_backend **be);
const char *rad_backend_name(const rad_backend *be);
/* Engine version for content keys: backend, library version, instruction set or device, and our own revision of it. Static for the backend's life. */
const char *rad_backend_version(const rad_backend *be);
/* Errors: DEVICE when this precision is not to be had here: what is missing and what to take instead. */
rad_status rad_backend_check_precision(rad_backend *be, rad_precision p, rad_error *err) RAD_MUST_CHECK;
/* Number of nodes of `g` that the backend cannot run; each is described in `why`, one line per node, when why is not NULL. */
int rad_backend_refusals(rad_backend *be, const rad_graph *g, rad_precision p, rad_buf *why);

typedef struct rad_engine_opts {
    rad_precision precision;
    int threads;              /* >= 1; samples run in parallel, one thread each */
    const char *output;       /* output tensor name, NULL = the only (or first) one */
    const char *tap;          /* also return this tensor, NULL = none */
    int64_t sample[RAD_MAX_RANK]; /* dims of one sample without batch, 0-terminated, when the file leaves them open; sample[0] = 0: take the file's */
} rad_engine_opts;

/* Builds graph and plan. Errors: MODEL (also: refused operators, by name), DEVICE, NOMEM. The model must outlive the engine. */
rad_status rad_engine_create(rad_backend *be, rad_model *m, const rad_engine_opts *opts, rad_engine **ret, rad_error *err) RAD_MUST_CHECK;
void rad_engine_destroy(rad_engine **e);
/* Shapes of one sample, without the batch dim. */
void rad_engine_get_shapes(const rad_engine *e, rad_shape *ret_input, rad_shape *ret_output, rad_shape *ret_tap);
const rad_graph *rad_engine_graph(const rad_engine *e);
/* `in` [n, sample...] float32, `out` [n, output...] float32, `tap` [n, tap...] or NULL. Any n >= 0. One call at a time per engine (it uses
 * its own threads). Errors: DEVICE, NOMEM, NONFINITE (an output is NaN or Inf: names the first such sample; `out` and `tap` are filled all the
 * same, so that the caller can tell the good samples from the bad ones). */
rad_status rad_engine_run(rad_engine *e, const float *in, int64_t n, float *out, float *tap, rad_error *err) RAD_MUST_CHECK;
size_t rad_engine_describe(const rad_engine *e, char *buf, size_t cap); /* per node: implementation, for --verbose and benches */

/* Runs a graph of any inputs and outputs once on a backend (node tests, parity checks). `in`/`out` in graph order; out data allocated by the caller. */
rad_status rad_backend_run_graph(rad_backend *be, const rad_graph *g, rad_precision p, const rad_tensor *in, rad_tensor *out, rad_error *err)
    RAD_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif

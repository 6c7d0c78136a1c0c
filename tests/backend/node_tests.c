/* node_tests.c: runs node tests of the ONNX standard on one backend.
 *
 *   node_tests BACKEND RTOL ATOL < list of test folders      (each: model.onnx, test_data_set_N/{input,output}_I.pb)
 *
 * Prints one line per test: verdict, folder, how many variants ran, worst error in units of the tolerance, reason. Verdicts: pass, refused
 * (no variant could be built and run, reason = what the error said), fail. Each test runs in variants, since shapes must be static and
 * weights may be constants: with its inputs as they are, with all but the first made constants, with all made constants (only when nothing
 * else was accepted); each with and without constant folding and fusion.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/model_internal.h"
#include "radcohort/infer.h"

#define MAX_FILE ((size_t)64 << 20)
#define MAX_TENSORS 64

typedef struct data_set {
    int n_in, n_out;
    rad_tensor in[MAX_TENSORS], out[MAX_TENSORS];
    rad_map in_file[MAX_TENSORS], out_file[MAX_TENSORS];
} data_set;

typedef struct verdict {
    int passed, refused;
    double worst; /* largest |difference| / (atol + rtol * |expected|) */
    char failure[RAD_ERROR_TEXT + 32], refusal[RAD_ERROR_TEXT];
} verdict;

typedef struct tolerance {
    double relative, absolute;
} tolerance;

/* ---------------------------------------------------------------- files */

/* The tensor files PREFIX_0.pb, PREFIX_1.pb, ... of a folder, read by the project's own reader. */
static rad_status read_tensors(rad_model *reader, const char *folder, const char *prefix, rad_map *file, rad_tensor *ret, int *ret_n,
                               rad_error *err) {
    for (*ret_n = 0; *ret_n < MAX_TENSORS; (*ret_n)++) {
        char path[1200];
        (void)snprintf(path, sizeof path, "%s/%s_%d.pb", folder, prefix, *ret_n);
        rad_status st = rad_map_open(path, MAX_FILE, &file[*ret_n], err);
        if (st == RAD_E_NOTFOUND)
            return RAD_OK;
        if (st != RAD_OK)
            return st;
        const onnx_span s = {file[*ret_n].data, file[*ret_n].data + file[*ret_n].size, 0};
        st = rad_onnx_tensor(reader, s, path, NULL, &ret[*ret_n], err);
        if (st != RAD_OK) {
            (*ret_n)++;
            return st;
        }
    }
    return rad_error_set(err, RAD_E_LIMIT, "'%s' has more than %d tensors", folder, MAX_TENSORS);
}

static void release_tensors(data_set *d) {
    for (int i = 0; i < MAX_TENSORS; i++) {
        rad_map_close(&d->in_file[i]);
        rad_map_close(&d->out_file[i]);
    }
}

/* ---------------------------------------------------------------- inputs as constants */

static rad_status put_varint(rad_buf *b, uint64_t v, rad_error *err) {
    uint8_t byte[10];
    size_t n = 0;
    do {
        byte[n++] = (uint8_t)((v & 127) | (v > 127 ? 128 : 0));
        v >>= 7;
    } while (v != 0);
    return rad_buf_put(b, byte, n, err);
}

static rad_status put_bytes(rad_buf *b, unsigned number, const void *data, size_t size, rad_error *err) {
    rad_status st;
    RAD_TRY(put_varint(b, number << 3 | ONNX_BYTES, err));
    RAD_TRY(put_varint(b, size, err));
    st = size > 0 ? rad_buf_put(b, data, size, err) : RAD_OK;
out:
    return st;
}

/* Names of the graph inputs that are not initializers, in file order; borrowed from the model's bytes. */
static int input_names(onnx_span graph, onnx_span *ret) {
    onnx_field f, g;
    int n = 0;
    while (rad_onnx_next(&graph, &f) > 0 && n < MAX_TENSORS) {
        if (f.number != 11)
            continue;
        onnx_span info = f.bytes;
        while (rad_onnx_next(&info, &g) > 0)
            if (g.number == 1)
                ret[n] = g.bytes;
        n++;
    }
    return n;
}

/* The standard's test data keep bfloat16 as uint16. */
static rad_tensor as_declared(const rad_tensor *t, rad_dtype declared) {
    rad_tensor ret = *t;
    if (t->dtype == RAD_DT_U16 && declared == RAD_DT_BF16)
        ret.dtype = RAD_DT_BF16;
    return ret;
}

/* The model with inputs from `first` on turned into initializers with the data set's contents. In a message, what comes last counts. */
static rad_status with_constants(const rad_map *model, const rad_model *m, const data_set *d, int first, rad_buf *ret, rad_error *err) {
    onnx_span all = {model->data, model->data + model->size, 0}, name[MAX_TENSORS];
    rad_buf graph, tensor;
    onnx_field f;
    rad_status st = RAD_OK;
    rad_buf_init(&graph, MAX_FILE);
    rad_buf_init(&tensor, MAX_FILE);
    for (;;) {
        const uint8_t *from = all.p;
        if (rad_onnx_next(&all, &f) <= 0)
            break;
        if (f.number != 7) {
            RAD_TRY(rad_buf_put(ret, from, (size_t)(all.p - from), err));
            continue;
        }
        const int n = input_names(f.bytes, name);
        RAD_TRY(rad_buf_put(&graph, f.bytes.p, (size_t)(f.bytes.end - f.bytes.p), err));
        for (int i = first; i < n && i < d->n_in; i++) {
            rad_buf_clear(&tensor);
            RAD_TRY(rad_buf_put(&tensor, d->in_file[i].data, d->in_file[i].size, err));
            const char *declared_name;
            rad_dtype declared;
            rad_shape shape;
            rad_model_get_input(m, i, &declared_name, &declared, &shape);
            RAD_TRY(put_bytes(&tensor, 8, name[i].p, (size_t)(name[i].end - name[i].p), err));
            RAD_TRY(put_varint(&tensor, 2 << 3 | ONNX_VARINT, err));
            RAD_TRY(put_varint(&tensor, (uint64_t)as_declared(&d->in[i], declared).dtype, err));
            RAD_TRY(put_bytes(&graph, 5, tensor.data, tensor.size, err));
        }
        RAD_TRY(put_bytes(ret, 7, graph.data, graph.size, err));
    }
out:
    rad_buf_release(&graph);
    rad_buf_release(&tensor);
    return st;
}

/* ---------------------------------------------------------------- comparison */

static double number_at(const rad_tensor *t, int64_t i) {
    const uint8_t *p = (const uint8_t *)t->data + (size_t)i * rad_dtype_size(t->dtype);
    float f;
    double d;
    uint16_t h;
    uint32_t bits;
    switch (t->dtype) {
    case RAD_DT_F32:
        memcpy(&f, p, sizeof f);
        return (double)f;
    case RAD_DT_F64:
        memcpy(&d, p, sizeof d);
        return d;
    case RAD_DT_BF16:
        memcpy(&h, p, sizeof h);
        bits = (uint32_t)h << 16;
        memcpy(&f, &bits, sizeof f);
        return (double)f;
    case RAD_DT_F16:
        memcpy(&h, p, sizeof h);
        d = (h >> 10 & 31) == 0 ? ldexp(h & 1023, -24) : ldexp((h & 1023) + 1024, (h >> 10 & 31) - 25);
        if ((h >> 10 & 31) == 31)
            d = (h & 1023) != 0 ? (double)NAN : (double)INFINITY;
        return h >> 15 != 0 ? -d : d;
    default:
        return 0;
    }
}

static bool is_real(rad_dtype t) {
    return t == RAD_DT_F32 || t == RAD_DT_F64 || t == RAD_DT_F16 || t == RAD_DT_BF16;
}

static bool compare(const rad_tensor *y, const rad_tensor *want, const tolerance *tol, int k, verdict *v) {
    char a[96], b[96];
    if (y->dtype != want->dtype || !rad_shape_equal(&y->shape, &want->shape)) {
        (void)snprintf(v->failure, sizeof v->failure, "output %d is %s %s, expected %s %s", k, rad_dtype_name(y->dtype),
                       rad_shape_text(&y->shape, a, sizeof a), rad_dtype_name(want->dtype), rad_shape_text(&want->shape, b, sizeof b));
        return false;
    }
    const int64_t count = rad_shape_count(&y->shape);
    const size_t size = rad_dtype_size(y->dtype);
    for (int64_t i = 0; i < count; i++) {
        if (!is_real(y->dtype)) {
            if (memcmp((const uint8_t *)y->data + (size_t)i * size, (const uint8_t *)want->data + (size_t)i * size, size) == 0)
                continue;
            (void)snprintf(v->failure, sizeof v->failure, "output %d, element %lld differs", k, (long long)i);
            return false;
        }
        const double have = number_at(y, i), ought = number_at(want, i);
        if (have == ought || (isnan(have) && isnan(ought)))
            continue;
        /* the test data truncate to bfloat16, we round to nearest, the standard leaves it open: a unit in the last place */
        const double relative = y->dtype == RAD_DT_BF16 ? fmax(tol->relative, 0.0078125) : tol->relative;
        const double error = fabs(have - ought) / (tol->absolute + relative * fabs(ought));
        if (!(error <= 1)) {
            (void)snprintf(v->failure, sizeof v->failure, "output %d, element %lld is %.9g, expected %.9g", k, (long long)i, have, ought);
            return false;
        }
        v->worst = error > v->worst ? error : v->worst;
    }
    return true;
}

/* ---------------------------------------------------------------- one variant */

static void note(verdict *v, rad_status st, const rad_error *err) {
    if (st == RAD_E_MODEL) {
        v->refused++;
        (void)snprintf(v->refusal, sizeof v->refusal, "%s", err->text); /* of the last, most permissive variant */
    } else if (st != RAD_OK) {
        (void)snprintf(v->failure, sizeof v->failure, "%s: %s", rad_status_reason(st), err->text);
    }
}

static void run_variant(rad_backend *be, const rad_buf *bytes, const data_set *d, int n_live, bool no_fold, const tolerance *tol,
                        verdict *v) {
    rad_error err = {0};
    rad_model *m = NULL;
    rad_graph *g = NULL;
    rad_tensor in[MAX_TENSORS], out[MAX_TENSORS] = {{0}}, want;
    rad_shape shape[MAX_TENSORS];
    rad_status st;
    for (int i = 0; i < n_live; i++)
        shape[i] = d->in[i].shape;
    RAD_TRY(rad_model_open_memory(bytes->data, bytes->size, "node test", &m, &err));
    if (rad_model_input_count(m) != n_live || d->n_out > MAX_TENSORS) {
        st = rad_error_set(&err, RAD_E_INTERNAL, "%d inputs, the data set has %d", rad_model_input_count(m), n_live);
        goto out;
    }
    RAD_TRY(rad_graph_build(m, &(const rad_graph_opts){.n_shape = n_live, .shape = shape, .no_fold = no_fold}, &g, &err));
    if (g->n_output != d->n_out) {
        st = rad_error_set(&err, RAD_E_INTERNAL, "%d outputs, the data set has %d", g->n_output, d->n_out);
        goto out;
    }
    for (int k = 0; k < g->n_output; k++) {
        const rad_value *y = &g->value[g->output[k]];
        const size_t size = (size_t)rad_shape_count(&y->shape) * rad_dtype_size(y->dtype);
        out[k] = (rad_tensor){y->dtype, y->shape, rad_aligned(size + 1)};
        if (out[k].data == NULL) {
            st = rad_error_set(&err, RAD_E_NOMEM, "no memory for the outputs");
            goto out;
        }
        memset(out[k].data, 0xa5, size + 1); /* whatever the backend leaves unwritten shows */
    }
    for (int i = 0; i < n_live; i++)
        in[i] = as_declared(&d->in[i], g->value[g->input[i]].dtype);
    RAD_TRY(rad_backend_run_graph(be, g, RAD_PREC_FP32, in, out, &err));
    bool same = true;
    for (int k = 0; k < g->n_output; k++) {
        want = as_declared(&d->out[k], out[k].dtype);
        same = compare(&out[k], &want, tol, k, v) && same;
    }
    v->passed += same ? 1 : 0;
out:
    note(v, st, &err);
    for (int k = 0; k < MAX_TENSORS; k++)
        free(out[k].data);
    rad_graph_destroy(&g);
    rad_model_close(&m);
}

/* ---------------------------------------------------------------- one test */

/* False when the folder has no such data set. */
static bool run_data_set(rad_backend *be, const char *folder, int set, const tolerance *tol, verdict *v) {
    char path[1100];
    rad_error err = {0};
    rad_map model = {0};
    rad_model *opened = NULL, reader = {.file = folder, .arena = rad_arena_create()};
    data_set *d = rad_calloc(1, sizeof *d);
    rad_buf bytes;
    rad_status st;
    rad_buf_init(&bytes, MAX_FILE);
    (void)snprintf(path, sizeof path, "%s/model.onnx", folder);
    RAD_TRY(rad_map_open(path, MAX_FILE, &model, &err));
    RAD_TRY(rad_model_open(path, &opened, &err)); /* refusals of the model come before those of its data */
    (void)snprintf(path, sizeof path, "%s/test_data_set_%d", folder, set);
    RAD_TRY(read_tensors(&reader, path, "input", d->in_file, d->in, &d->n_in, &err));
    RAD_TRY(read_tensors(&reader, path, "output", d->out_file, d->out, &d->n_out, &err));
    for (int variant = 0; variant < 3 && d->n_out > 0; variant++) {
        const int n_live = variant == 0 ? d->n_in : (variant == 1 && d->n_in > 0 ? 1 : 0);
        if ((variant == 1 && d->n_in < 2) || (variant == 2 && (d->n_in == 0 || v->passed > 0 || v->failure[0] != '\0')))
            continue;
        rad_buf_clear(&bytes);
        RAD_TRY(with_constants(&model, opened, d, n_live, &bytes, &err));
        for (int no_fold = 0; no_fold < 2; no_fold++)
            run_variant(be, &bytes, d, n_live, no_fold != 0, tol, v);
    }
out:
    note(v, st, &err);
    const bool found = st != RAD_OK || (d != NULL && d->n_out > 0);
    if (d != NULL)
        release_tensors(d);
    free(d);
    rad_buf_release(&bytes);
    rad_model_close(&opened);
    rad_map_close(&model);
    rad_arena_destroy(&reader.arena);
    return found;
}

int main(int argc, char **argv) {
    rad_backend *be = NULL;
    rad_error err = {0};
    tolerance tol;
    char folder[1000];
    if (argc != 4 || !rad_parse_double(argv[2], &tol.relative) || !rad_parse_double(argv[3], &tol.absolute)) {
        (void)fprintf(stderr, "usage: node_tests BACKEND RTOL ATOL < folders\n");
        return 2;
    }
    if (rad_backend_open(argv[1], &be, &err) != RAD_OK) {
        (void)fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    while (fgets(folder, sizeof folder, stdin) != NULL) {
        verdict v = {0};
        folder[strcspn(folder, "\n")] = '\0';
        for (int set = 0; run_data_set(be, folder, set, &tol, &v) && v.failure[0] == '\0' && v.passed > 0; set++) {
        }
        const bool failed = v.failure[0] != '\0' || (v.passed == 0 && v.refused == 0);
        (void)printf("%s\t%s\t%d\t%.3f\t%s\n", failed ? "fail" : (v.passed > 0 ? "pass" : "refused"), folder, v.passed, v.worst,
                     failed ? v.failure : (v.passed > 0 ? "" : v.refusal));
    }
    rad_backend_close(&be);
    return 0;
}

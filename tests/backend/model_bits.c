/* model_bits.c: does a network give every sample the same bits, whatever the batch and the number of threads?
 *
 *   model_bits PRECISION THREADS,THREADS,... BATCH,BATCH,... < list of MODEL.onnx
 *
 * Sample i is the same made-up data in every call. The truth is each sample alone on one thread. One line per network: "same" or "OTHER
 * BITS", the network, and the first call that differed; or "refused" and why. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "radcohort/infer.h"

enum { MOST = 64 };

struct list {
    int n;
    int64_t at[16];
};

static bool read_list(const char *text, struct list *ret) {
    char word[16];
    ret->n = 0;
    while (ret->n < 16) {
        const size_t length = strcspn(text, ",");
        if (length == 0 || length >= sizeof word)
            return false;
        memcpy(word, text, length);
        word[length] = '\0';
        if (!rad_parse_int(word, &ret->at[ret->n]) || ret->at[ret->n] < 1 || ret->at[ret->n] > MOST)
            return false;
        ret->n++;
        if (text[length] == '\0')
            return true;
        text += length + 1;
    }
    return false;
}

struct data {
    size_t in_count, out_count;
    float *in, *out, *truth; /* [MOST, ...] */
};

static rad_status make_data(const rad_engine *e, struct data *d, rad_error *err) {
    rad_shape in, out;
    rad_engine_get_shapes(e, &in, &out, NULL);
    d->in_count = (size_t)rad_shape_count(&in);
    d->out_count = (size_t)rad_shape_count(&out);
    d->in = rad_calloc(MOST * d->in_count, sizeof *d->in);
    d->out = rad_calloc(MOST * d->out_count, sizeof *d->out);
    d->truth = rad_calloc(MOST * d->out_count, sizeof *d->truth);
    if (d->in == NULL || d->out == NULL || d->truth == NULL)
        return rad_error_set(err, RAD_E_NOMEM, "no memory for samples");
    uint32_t state = 12345;
    for (size_t i = 0; i < MOST * d->in_count; i++) {
        state = state * 1664525u + 1013904223u;
        d->in[i] = (float)(int32_t)state * 0x1p-31f;
    }
    return RAD_OK;
}

static rad_status check(rad_backend *be, rad_model *m, rad_precision p, const struct list *threads, const struct list *batches,
                        bool *ret_same, rad_error *err) {
    struct data d = {0};
    rad_engine *e = NULL;
    rad_status st = RAD_OK;
    rad_engine_opts opts = {.precision = p, .threads = 1};
    RAD_TRY(rad_engine_create(be, m, &opts, &e, err));
    RAD_TRY(make_data(e, &d, err));
    for (size_t i = 0; i < MOST; i++)
        RAD_TRY(rad_engine_run(e, d.in + i * d.in_count, 1, d.truth + i * d.out_count, NULL, err));
    for (int t = 0; t < threads->n; t++) {
        rad_engine_destroy(&e);
        opts.threads = (int)threads->at[t];
        RAD_TRY(rad_engine_create(be, m, &opts, &e, err));
        size_t first = 0; /* samples come at other places of each batch */
        for (int k = 0; k < batches->n; k++) {
            const size_t n = (size_t)batches->at[k];
            first = first + n > MOST ? 0 : first;
            RAD_TRY(rad_engine_run(e, d.in + first * d.in_count, (int64_t)n, d.out, NULL, err));
            if (memcmp(d.out, d.truth + first * d.out_count, n * d.out_count * sizeof *d.out) != 0 && *ret_same) {
                *ret_same = false;
                (void)rad_error_set(err, RAD_OK, "batch of %zu on %d threads", n, opts.threads);
            }
            first += n;
        }
    }
out:
    rad_engine_destroy(&e);
    free(d.in);
    free(d.out);
    free(d.truth);
    return st;
}

int main(int argc, char **argv) {
    struct list threads, batches;
    rad_precision p = RAD_PREC_FP32;
    rad_backend *be = NULL;
    rad_error err = {0};
    char path[1024];
    int bad = 0;
    if (argc != 4 || rad_precision_parse(argv[1], &p, &err) != RAD_OK || !read_list(argv[2], &threads) || !read_list(argv[3], &batches)) {
        (void)fprintf(stderr, "usage: model_bits PRECISION THREADS,... BATCH,... < list of models\n");
        return 2;
    }
    if (rad_backend_open("onednn", &be, &err) != RAD_OK || rad_backend_check_precision(be, p, &err) != RAD_OK) {
        (void)printf("refused %s\n", err.text);
        rad_backend_close(&be);
        return 77;
    }
    while (fgets(path, sizeof path, stdin) != NULL) {
        rad_model *m = NULL;
        bool same = true;
        path[strcspn(path, "\n")] = '\0';
        rad_status st = rad_model_open(path, &m, &err);
        if (st == RAD_OK)
            st = check(be, m, p, &threads, &batches, &same, &err);
        rad_model_close(&m);
        bad += st != RAD_OK || !same;
        (void)printf("%s %s %s\n", st != RAD_OK ? "refused" : same ? "same" : "OTHER BITS", path, st != RAD_OK || !same ? err.text : "");
        (void)fflush(stdout);
    }
    rad_backend_close(&be);
    return bad > 0;
}

/* cmd_infer.c: one raw tensor through one network. For parity checks with other runtimes, and for the cost of a precision. */
#include "cli.h"
#include "json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "radcohort/infer.h"

#define RAD_MAX_INFER_BYTES ((size_t)16 << 30)
#define RAD_MAX_INFER_VALUES ((size_t)1 << 20) /* in JSON */

struct request {
    const char *model, *input, *output, *shape, *backend, *precision, *threads, *tap, *tap_output, *result, *compare, *threshold, *cam,
        *cam_output;
    bool verbose, json;
};

/* Against fp32. */
struct comparison {
    double difference, relative; /* of the largest output */
    int64_t flips, calls;
};

struct job {
    struct request r;
    rad_engine_opts opts;
    int64_t declared_n; /* from --shape; 0 = not given */
    double threshold;
    int64_t cam_class;
    rad_model *model;
    rad_cam *cam; /* NULL: no class activation map asked for */
    rad_backend *backend;
    rad_engine *engine;
    rad_map input;
    int64_t n;                   /* samples */
    size_t out_count, tap_count; /* elements of one sample */
    float *out, *tap;
    double seconds; /* of the network, without reading and writing */
    struct comparison against;
};

static rad_status parse_shape(struct job *j, rad_error *err) {
    const char *at = j->r.shape;
    for (int i = 0; at != NULL; i++) {
        char word[24] = "";
        const char *comma = strchr(at, ',');
        const size_t length = comma != NULL ? (size_t)(comma - at) : strlen(at);
        int64_t dim = 0;
        if (length < sizeof word)
            memcpy(word, at, length);
        if (!rad_parse_int(word, &dim) || dim < 1)
            return rad_error_set(err, RAD_E_USAGE, "--shape '%s': expected positive integers with commas, batch first, e.g. 2,3,224,224",
                                 j->r.shape);
        if (i >= RAD_MAX_RANK)
            return rad_error_set(err, RAD_E_USAGE, "--shape '%s': more than %d dims", j->r.shape, RAD_MAX_RANK);
        if (i == 0)
            j->declared_n = dim;
        else
            j->opts.sample[i - 1] = dim;
        at = comma != NULL ? comma + 1 : NULL;
    }
    return RAD_OK;
}

static rad_status parse_request(struct job *j, rad_error *err) {
    rad_status st = RAD_OK;
    int64_t threads = 1;
    if (j->r.input == NULL || (j->r.output == NULL && !j->r.json))
        return rad_error_set(err, RAD_E_USAGE, "%s is missing: raw little-endian float32 comes in and goes out",
                             j->r.input == NULL ? "--input" : "--output");
    if ((j->r.tap == NULL) != (j->r.tap_output == NULL))
        return rad_error_set(err, RAD_E_USAGE, "--tap NAME and --tap-output FILE go together");
    if ((j->r.cam == NULL) != (j->r.cam_output == NULL))
        return rad_error_set(err, RAD_E_USAGE, "--cam CLASS and --output-cam FILE go together");
    if (j->r.cam != NULL && j->r.tap != NULL)
        return rad_error_set(err, RAD_E_USAGE, "--cam and --tap both take an inner tensor, and a run can take one: run twice");
    if (j->r.cam != NULL && (!rad_parse_int(j->r.cam, &j->cam_class) || j->cam_class < 0))
        return rad_error_set(err, RAD_E_USAGE, "--cam '%s': expected the index of a class, counted from 0", j->r.cam);
    if (j->r.compare != NULL && strcmp(j->r.compare, "fp32") != 0)
        return rad_error_set(err, RAD_E_USAGE, "--compare '%s': only fp32 can be compared with", j->r.compare);
    if (j->r.threads != NULL && (!rad_parse_int(j->r.threads, &threads) || threads < 1 || threads > 1024))
        return rad_error_set(err, RAD_E_USAGE, "--threads '%s': expected 1 to 1024", j->r.threads);
    if (j->r.threshold != NULL && !rad_parse_double(j->r.threshold, &j->threshold))
        return rad_error_set(err, RAD_E_USAGE, "--threshold '%s': expected a number", j->r.threshold);
    RAD_TRY(parse_shape(j, err));
    RAD_TRY(rad_precision_parse(j->r.precision, &j->opts.precision, err));
    j->opts.threads = (int)threads;
    j->opts.tap = j->r.tap;
    j->opts.output = j->r.result;
out:
    return st;
}

static rad_status load_input(struct job *j, rad_error *err) {
    rad_shape in, out, tap;
    char text[128];
    rad_engine_get_shapes(j->engine, &in, &out, &tap);
    rad_status st = rad_map_open(j->r.input, RAD_MAX_INFER_BYTES, &j->input, err);
    if (st != RAD_OK)
        return st;
    const size_t sample = (size_t)rad_shape_count(&in) * sizeof(float);
    j->n = sample > 0 ? (int64_t)(j->input.size / sample) : 0;
    if (j->n < 1 || j->input.size % sample != 0)
        return rad_error_set(err, RAD_E_SHAPE,
                             "'%s' holds %zu bytes, which is not a whole number of float32 samples of shape %s (%zu bytes each)",
                             j->r.input, j->input.size, rad_shape_text(&in, text, sizeof text), sample);
    if (j->declared_n != 0 && j->n != j->declared_n)
        return rad_error_set(err, RAD_E_SHAPE, "'%s' holds %lld samples, --shape says %lld", j->r.input, (long long)j->n,
                             (long long)j->declared_n);
    j->out_count = (size_t)rad_shape_count(&out);
    j->tap_count = j->opts.tap != NULL ? (size_t)rad_shape_count(&tap) : 0;
    size_t bytes = 0, tap_bytes = 0;
    if (!rad_mul_size((size_t)j->n * sizeof(float), j->out_count, &bytes) ||
        !rad_mul_size((size_t)j->n * sizeof(float), j->tap_count, &tap_bytes) || bytes > RAD_MAX_INFER_BYTES ||
        tap_bytes > RAD_MAX_INFER_BYTES)
        return rad_error_set(err, RAD_E_LIMIT, "the result would be larger than %zu bytes; split the input", RAD_MAX_INFER_BYTES);
    if (j->r.output == NULL && (size_t)j->n * j->out_count > RAD_MAX_INFER_VALUES)
        return rad_error_set(err, RAD_E_LIMIT, "%zu values are more than JSON gets (%zu): --output FILE takes them",
                             (size_t)j->n * j->out_count, RAD_MAX_INFER_VALUES);
    j->out = rad_malloc(bytes);
    j->tap = rad_malloc(tap_bytes);
    if (j->out == NULL || j->tap == NULL)
        return rad_error_set(err, RAD_E_NOMEM, "no memory for %zu bytes of results", bytes + tap_bytes);
    return RAD_OK;
}

static const float *input_data(const struct job *j) {
    return (const float *)(const void *)j->input.data; /* mapped at a page boundary */
}

static void print_plan(const rad_engine *e) {
    char passes[1024] = "";
    (void)rad_graph_describe(rad_engine_graph(e), passes, sizeof passes);
    const size_t n = rad_engine_describe(e, NULL, 0);
    char *text = rad_malloc(n + 1);
    if (text != NULL) {
        (void)rad_engine_describe(e, text, n + 1);
        (void)fprintf(stderr, "%s\n%s", passes, text);
    }
    free(text);
}

static size_t largest_of(const float *p, size_t n) {
    size_t best = 0;
    for (size_t i = 1; i < n; i++)
        if (p[i] > p[best])
            best = i;
    return best;
}

/* The same input at fp32 on the same backend: largest difference, and calls that change sides. */
static rad_status compare(struct job *j, rad_error *err) {
    rad_engine *e = NULL;
    rad_status st = RAD_OK;
    const size_t total = (size_t)j->n * j->out_count;
    rad_engine_opts opts = j->opts;
    opts.precision = RAD_PREC_FP32;
    opts.tap = NULL;
    float *want = rad_malloc(total * sizeof *want);
    if (want == NULL)
        return rad_error_set(err, RAD_E_NOMEM, "no memory for the comparison");
    RAD_TRY(rad_engine_create(j->backend, j->model, &opts, &e, err));
    RAD_TRY(rad_engine_run(e, input_data(j), j->n, want, NULL, err));
    double difference = 0.0, size = 0.0;
    int64_t flips = 0, calls = 0;
    for (size_t i = 0; i < total; i++) {
        difference = fmax(difference, fabs((double)want[i] - (double)j->out[i]));
        size = fmax(size, fabs((double)want[i]));
    }
    if (j->r.threshold != NULL) {
        calls = (int64_t)total;
        for (size_t i = 0; i < total; i++)
            flips += ((double)want[i] >= j->threshold) != ((double)j->out[i] >= j->threshold);
    } else {
        calls = j->n;
        for (size_t s = 0; s < (size_t)j->n; s++)
            flips += largest_of(want + s * j->out_count, j->out_count) != largest_of(j->out + s * j->out_count, j->out_count);
    }
    j->against = (struct comparison){difference, size > 0.0 ? difference / size : 0.0, flips, calls};
out:
    rad_engine_destroy(&e);
    free(want);
    return st;
}

static rad_status find_cam(struct job *j, rad_error *err) {
    rad_status st = rad_cam_create(j->model, &j->opts, &j->cam, err);
    if (st != RAD_OK)
        return st;
    if (j->cam_class >= rad_cam_class_count(j->cam))
        return rad_error_set(err, RAD_E_USAGE, "--cam %s: the network has %lld classes, counted from 0", j->r.cam,
                             (long long)rad_cam_class_count(j->cam));
    j->opts.tap = rad_cam_tap(j->cam);
    return RAD_OK;
}

/* The maps of all samples, from the tapped feature maps. */
static rad_status write_cam(struct job *j, rad_error *err) {
    rad_shape shape;
    rad_status st = RAD_OK;
    rad_cam_get_shape(j->cam, &shape);
    const size_t count = (size_t)rad_shape_count(&shape), n = (size_t)j->n;
    float *map = rad_malloc(n * count * sizeof *map); /* no larger than the tap */
    if (map == NULL)
        return rad_error_set(err, RAD_E_NOMEM, "no memory for class activation maps");
    for (size_t i = 0; i < n; i++)
        RAD_TRY(rad_cam_compute(j->cam, j->cam_class, j->tap + i * j->tap_count, map + i * count, err));
    RAD_TRY(rad_file_write_atomic(j->r.cam_output, map, n * count * sizeof *map, err));
out:
    free(map);
    return st;
}

static void print_text(const struct job *j) {
    char text[256];
    const struct comparison *c = &j->against;
    if (j->cam != NULL) {
        (void)rad_cam_describe(j->cam, text, sizeof text);
        (void)printf("class %lld of %s\n", (long long)j->cam_class, text);
    }
    if (j->r.compare == NULL)
        return;
    (void)printf("%s against fp32: largest difference %.9g, relative to the largest output %.3g\n", rad_precision_name(j->opts.precision),
                 c->difference, c->relative);
    (void)printf("calls that flip %s%s: %lld of %lld\n", j->r.threshold != NULL ? "at threshold " : "(largest output)",
                 j->r.threshold != NULL ? j->r.threshold : "", (long long)c->flips, (long long)c->calls);
}

/* The dims of a file: samples first. */
static json_t *shape_json(int64_t n, const rad_shape *s) {
    json_t *list = json_array();
    (void)json_array_append_new(list, json_integer(n));
    for (int i = 0; i < s->rank; i++)
        (void)json_array_append_new(list, json_integer(s->dim[i]));
    return list;
}

/* A list per sample, row-major; null where they are in a file. */
static json_t *values_json(const struct job *j) {
    if (j->r.output != NULL)
        return json_null();
    json_t *all = json_array();
    for (int64_t s = 0; s < j->n; s++) {
        json_t *one = json_array();
        for (size_t i = 0; i < j->out_count; i++)
            (void)json_array_append_new(one, cli_json_number((double)j->out[(size_t)s * j->out_count + i]));
        (void)json_array_append_new(all, one);
    }
    return all;
}

static json_t *cam_json(const struct job *j) {
    rad_shape shape;
    char text[256];
    if (j->cam == NULL)
        return json_null();
    rad_cam_get_shape(j->cam, &shape);
    (void)rad_cam_describe(j->cam, text, sizeof text);
    return json_pack("{s:I, s:s, s:s, s:o}", "class", (json_int_t)j->cam_class, "method", text, "file", j->r.cam_output, "shape",
                     shape_json(j->n, &shape));
}

static json_t *compare_json(const struct job *j) {
    const struct comparison *c = &j->against;
    if (j->r.compare == NULL)
        return json_null();
    return json_pack("{s:s, s:o, s:o, s:o, s:I, s:I}", "with", j->r.compare, "largest_difference", cli_json_number(c->difference),
                     "relative_difference", cli_json_number(c->relative), "threshold",
                     j->r.threshold != NULL ? json_real(j->threshold) : json_null(), "flips", (json_int_t)c->flips, "calls",
                     (json_int_t)c->calls);
}

static rad_status print_json(const struct job *j, rad_error *err) {
    rad_shape in, out, tap;
    rad_engine_get_shapes(j->engine, &in, &out, &tap);
    json_t *tapped = j->r.tap == NULL
                         ? json_null()
                         : json_pack("{s:s, s:s, s:o}", "name", j->r.tap, "file", j->r.tap_output, "shape", shape_json(j->n, &tap));
    return cli_json_print(json_pack("{s:s, s:s, s:s, s:s, s:i, s:f, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "model", j->r.model,
                                    "backend", rad_backend_name(j->backend), "backend_version", rad_backend_version(j->backend),
                                    "precision", rad_precision_name(j->opts.precision), "threads", j->opts.threads, "seconds", j->seconds,
                                    "input", j->r.input, "input_shape", shape_json(j->n, &in), "output_shape", shape_json(j->n, &out),
                                    "output", cli_json_text(j->r.output), "values", values_json(j), "tap", tapped, "cam", cam_json(j),
                                    "compare", compare_json(j)),
                          err);
}

static rad_status infer(struct job *j, rad_error *err) {
    rad_status st = RAD_OK;
    RAD_TRY(parse_request(j, err));
    RAD_TRY(rad_backend_open(j->r.backend, &j->backend, err));
    RAD_TRY(rad_model_open(j->r.model, &j->model, err));
    if (j->r.cam != NULL)
        RAD_TRY(find_cam(j, err));
    RAD_TRY(rad_engine_create(j->backend, j->model, &j->opts, &j->engine, err));
    if (j->r.verbose)
        print_plan(j->engine);
    RAD_TRY(load_input(j, err));
    const double start = rad_clock_seconds();
    RAD_TRY(rad_engine_run(j->engine, input_data(j), j->n, j->out, j->opts.tap != NULL ? j->tap : NULL, err));
    j->seconds = rad_clock_seconds() - start;
    if (j->r.verbose)
        (void)fprintf(stderr, "%lld samples in %.3f s: %.1f per second (%s)\n", (long long)j->n, j->seconds, (double)j->n / j->seconds,
                      rad_backend_version(j->backend));
    if (j->r.output != NULL)
        RAD_TRY(rad_file_write_atomic(j->r.output, j->out, (size_t)j->n * j->out_count * sizeof *j->out, err));
    if (j->r.tap != NULL)
        RAD_TRY(rad_file_write_atomic(j->r.tap_output, j->tap, (size_t)j->n * j->tap_count * sizeof *j->tap, err));
    if (j->cam != NULL)
        RAD_TRY(write_cam(j, err));
    if (j->r.compare != NULL)
        RAD_TRY(compare(j, err));
    if (j->r.json)
        RAD_TRY(print_json(j, err));
    else
        print_text(j);
out:
    rad_engine_destroy(&j->engine);
    rad_cam_destroy(&j->cam);
    rad_model_close(&j->model);
    rad_backend_close(&j->backend);
    rad_map_close(&j->input);
    free(j->out);
    free(j->tap);
    return st;
}

static int run(int argc, char **argv) {
    struct job j = {.r = {.backend = "onednn", .precision = "fp32"}};
    const rad_target target[] = {
        {"--input", &j.r.input, NULL},
        {"--output", &j.r.output, NULL},
        {"--shape", &j.r.shape, NULL},
        {"--backend", &j.r.backend, NULL},
        {"--precision", &j.r.precision, NULL},
        {"--threads", &j.r.threads, NULL},
        {"--tap", &j.r.tap, NULL},
        {"--tap-output", &j.r.tap_output, NULL},
        {"--result", &j.r.result, NULL},
        {"--cam", &j.r.cam, NULL},
        {"--output-cam", &j.r.cam_output, NULL},
        {"--compare", &j.r.compare, NULL},
        {"--threshold", &j.r.threshold, NULL},
        {"--verbose", NULL, &j.r.verbose},
        {"--json", NULL, &j.r.json},
        {NULL, NULL, NULL},
    };
    rad_error err = {0};
    int n = 0;
    rad_status st = rad_cli_parse(&rad_command_infer, argc, argv, target, &j.r.model, 1, &n);
    if (st != RAD_OK)
        return st == RAD_E_STOPPED ? RAD_EXIT_OK : RAD_EXIT_USAGE;
    if (n != 1)
        return rad_cli_fail(&rad_command_infer, rad_error_set(&err, RAD_E_USAGE, "the network is missing: name an ONNX file"), &err);
    st = infer(&j, &err);
    return st == RAD_OK ? RAD_EXIT_OK : rad_cli_fail(&rad_command_infer, st, &err);
}

static const rad_option options[] = {
    {"--input", "FILE", RAD_FILL_FILE, "raw little-endian float32, [N, ...sample], row-major"},
    {"--output", "FILE", RAD_FILL_FILE, "the network's output, [N, ...], same form"},
    {"--shape", "N,C,H,W", NULL, "dims, needed when the file leaves them open; N is checked against the input"},
    {"--backend", "NAME", RAD_FILL_BACKEND, "cudnn, onednn (default), ref, checked"},
    {"--precision", "P", RAD_FILL_PRECISION, "fp32 (default), tf32, fp16, bf16"},
    {"--threads", "N", NULL, "threads that compute (default 1); never changes a bit"},
    {"--result", "NAME", NULL, "the output to take when the network has several (default: its first)"},
    {"--tap", "NAME", NULL, "also take this inner tensor"},
    {"--tap-output", "FILE", RAD_FILL_FILE, "where the inner tensor goes"},
    {"--cam", "CLASS", NULL,
     "also the class activation map of this class (from 0), what each position adds to its logit; refused, with the reason, where the "
     "network does not end in a global average and linear layers"},
    {"--output-cam", "FILE", RAD_FILL_FILE, "where the map goes, [N, (D,) H, W]"},
    {"--compare", "fp32", "fp32", "run again in fp32; print the largest difference and how many calls flip"},
    {"--threshold", "T", NULL, "a call is output >= T (without it: the largest output)"},
    {"--verbose", NULL, NULL, "what was folded and fused, the implementation of each node, the rate"},
    {"--json", NULL, NULL,
     "shapes, precision, backend, files and comparison as JSON on standard output; without --output also the values, a list per sample"},
    RAD_OPTION_END,
};

const rad_command rad_command_infer = {
    .name = "infer",
    .group = RAD_GROUP_NETWORK,
    .usage = {"MODEL.onnx --input F32 --output F32 [options]"},
    .summary = "runs one raw float32 tensor through a network",
    .about = "For checks against another program: the same bytes in, the two outputs side by side.",
    .fill = {RAD_FILL_ONNX},
    .option = options,
    .exits = "0 done, 1 failed, 2 invalid input, or a network that the backend refuses",
    .example = {{"radcohort infer resnet50.onnx --input x.f32 --output y.f32", "one tensor through a network"},
                {"radcohort infer resnet50.onnx --input x.f32 --output y.f32 \\\n  --precision bf16 --compare fp32 --threshold 0.5",
                 "how many calls would a coarser precision flip?"}},
    .run = run,
};

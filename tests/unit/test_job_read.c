/* What a job file becomes: values, merge keys, paths, canonical text.
 * RAD_TEST_LINK: rad_cohort */
#include "unit.h"

#include "radcohort/job.h"

#define HEAD "job: j\ncohort: c\nunit: lesion\nclasses: [benign, malignant]\npositive: malignant\n"
#define MODEL "models: [{name: n, file: n.onnx, activation: none}]\n"

static rad_job *read_text(const char *text, int64_t warnings) {
    const char *dir = unit_folder();
    char path[96];
    rad_error err = {0};
    rad_issues issues = {0};
    rad_job *job = NULL;
    snprintf(path, sizeof path, "%s/j.yaml", dir);
    assert_ok(rad_file_write_atomic(path, text, strlen(text), &err));
    rad_status st = rad_job_read(path, &job, &issues, &err);
    if (st != RAD_OK)
        rad_issues_print(&issues, stderr);
    assert_int_equal(st, RAD_OK);
    assert_int_equal(issues.n_warning, warnings);
    rad_issues_release(&issues);
    unit_remove(dir);
    return job;
}

static const char full[] =
    "job: every-key\ncohort: data/c\ndatabase: /abs/out.sqlite\nunit: lesion\nclasses: [benign, malignant]\npositive: benign\n"
    "inputs:\n"
    "  mri:\n"
    "    channels:\n"
    "      - {sequence: T2, offset: [-1, 0, 1]}\n"
    "      - {sequence: 'T1 \"post\"', offset: 2}\n"
    "    orientation: RSP\n    slices: lesion-all\n    edge: zero\n"
    "    region: {from: point, shape: rectangle, margin_mm: 2.1, margin_px: 3.1, size_mm: 40.1}\n"
    "    window: {level: 40, width: 400.5}\n"
    "    resize: {height: 224, width: 192, method: bilinear, antialias: true}\n"
    "    normalise: {mean: [0.1, 0.2, 0.3, 0.4], std: 0.25}\n"
    "  other:\n    channels: [{sequence: DWI}]\n"
    "models:\n"
    "  - {name: net, file: m/net.onnx, sha256: e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855, input: mri, output: y, "
    "activation: sigmoid}\n"
    "  - {name: two, file: /abs/two.onnx, input: other, activation: softmax}\n"
    "aggregate: {lesion: mean, patient: median}\n"
    "operating_points: [{name: half, threshold: 0.5}, {name: high, threshold: 9.5e-1}]\n"
    "strata: [center, all]\nbatch: 4\nbackend: ref\nprecision: bf16\n";

static void every_key(void **state) {
    (void)state;
    rad_job *j = read_text(full, 0);
    assert_string_equal(j->name, "every-key");
    assert_non_null(strstr(j->cohort_dir, "/data/c"));
    assert_true(j->cohort_dir[0] == '/');
    assert_string_equal(j->database, "/abs/out.sqlite");
    assert_int_equal(j->case_unit, RAD_UNIT_LESION);
    assert_int_equal(j->n_class, 2);
    assert_string_equal(j->class_name[1], "malignant");
    assert_int_equal(j->positive, 0);
    assert_int_equal(j->n_input, 2);
    const rad_input_spec *in = &j->input[0];
    assert_string_equal(in->name, "mri");
    assert_int_equal(in->n_channel, 2);
    assert_int_equal(in->n_plane, 4);
    assert_int_equal(in->channel[0].offset[0], -1);
    assert_int_equal(in->channel[1].offset[0], 2);
    assert_string_equal(in->channel[1].sequence, "T1 \"post\"");
    assert_string_equal(in->orientation, "RSP");
    assert_int_equal(in->slices, RAD_SLICES_LESION_ALL);
    assert_int_equal(in->edge, RAD_EDGE_ZERO);
    assert_int_equal(in->region.from, RAD_REGION_POINT);
    assert_int_equal(in->region.shape, RAD_SHAPE_RECTANGLE);
    assert_true(in->region.margin_mm == 2.1 && in->region.margin_px == 3.1 && in->region.size_mm == 40.1);
    assert_true(in->window.on && in->window.low == 40 - 200.25 && in->window.high == 40 + 200.25);
    assert_true(in->resize.height == 224 && in->resize.width == 192 && in->resize.antialias);
    assert_int_equal(in->normalise.n, 4);
    assert_true(in->normalise.mean[3] == 0.4 && in->normalise.std[0] == 0.25 && in->normalise.std[3] == 0.25);
    assert_int_equal(j->n_model, 2);
    assert_string_equal(j->model[0].file, "m/net.onnx");
    assert_non_null(strstr(j->model[0].path, "/m/net.onnx"));
    assert_string_equal(j->model[1].path, "/abs/two.onnx");
    assert_string_equal(j->model[0].output, "y");
    assert_null(j->model[1].output);
    assert_null(j->model[1].sha256);
    assert_int_equal(j->model[0].input, 0);
    assert_int_equal(j->model[1].input, 1);
    assert_int_equal(j->model[0].activation, RAD_ACT_SIGMOID);
    assert_string_equal(j->lesion_rule, "mean");
    assert_string_equal(j->patient_rule, "median");
    assert_int_equal(j->n_point, 2);
    assert_true(j->point[1].threshold == 0.95);
    assert_true(j->by_all && !j->by_cohort && j->by_center);
    assert_int_equal(j->batch, 4);
    assert_string_equal(j->backend, "ref");
    assert_string_equal(j->precision, "bf16");
    assert_string_equal(j->text, full);
    char hex[RAD_SHA256_HEX];
    rad_error err = {0};
    assert_ok(rad_sha256(full, strlen(full), hex, &err));
    assert_string_equal(j->sha256, hex);
    rad_job_destroy(&j);
}

/* The text goes into content keys: a change of it makes every stored score of every user new. Numbers as %.17g, in full. */
static void canonical(void **state) {
    (void)state;
    rad_job *j = read_text(full, 0);
    assert_string_equal(j->input[0].canonical,
                        "channels=\"T2\":-1,0,1;\"T1 \\\"post\\\"\":2; orientation=RSP slices=lesion-all edge=zero "
                        "region=point,rectangle,margin_mm:2.1000000000000001,margin_px:3.1000000000000001,size_mm:40.100000000000001 "
                        "window=-160.25,240.25 resize=bilinear,224x192,antialias:1 "
                        "mean=0.10000000000000001,0.20000000000000001,0.29999999999999999,0.40000000000000002 std=0.25,0.25,0.25,0.25");
    assert_string_equal(j->input[1].canonical,
                        "channels=\"DWI\":0; orientation=LPS slices=lesion edge=replicate "
                        "region=auto,square,margin_mm:0,margin_px:0,size_mm:0 window=none resize=none,0x0,antialias:0 mean= std=");
    rad_job_destroy(&j);
    /* keys that came later stand at the end, and only where they are set */
    j = read_text(HEAD "inputs:\n  x:\n    channels:\n      - {sequence: CT, component: g, padding: -3024, window: {percentile: [1, 99]}}\n"
                       "      - {sequence: MR, missing: zero, zscore: region, nonfinite: 7}\n      - {sequence: PT}\n    zscore: nonzero\n"
                       "    region: {drawn_on: PT}\n    match: {tolerance_mm: 2.5, slices: nearest}\n    crop: {left: 3, top: 4}\n"
                       "    frames: slices\n" MODEL,
                  0);
    assert_string_equal(j->input[0].canonical,
                        "channels=\"CT\":0;\"MR\":0;\"PT\":0; orientation=LPS slices=lesion edge=replicate "
                        "region=auto,square,margin_mm:0,margin_px:0,size_mm:0 window=none resize=none,0x0,antialias:0 mean= std= "
                        "zscore=nonzero drawn_on=2 tolerance_mm=2.5 match=nearest crop=4,0,3,0 frames=slices "
                        "channel0: component=g window=percentile:1,99,volume padding=-3024 "
                        "channel1: missing=zero zscore=region nonfinite=7");
    rad_job_destroy(&j);
    /* the same preparation in other words, under another name */
    rad_job *a = read_text(HEAD "inputs: {x: {channels: [{sequence: T2}], window: {low: -160, high: 240}, resize: {size: 9}}}\n" MODEL, 0);
    rad_job *b = read_text(HEAD "inputs:\n  y:\n    resize: {width: 9.0, height: 9}\n    window: {width: 4e2, level: 40}\n    channels: "
                                "[{offset: [0], sequence: 'T2'}]\n" MODEL,
                           0);
    assert_string_equal(a->input[0].canonical, b->input[0].canonical);
    rad_job_destroy(&a);
    rad_job_destroy(&b);
}

static void merge_keys(void **state) {
    (void)state;
    rad_job *j = read_text(HEAD "inputs:\n"
                                "  a: &a\n    channels: &c [{sequence: T2}]\n    edge: zero\n    resize: {size: 8}\n"
                                "  b: &b {<<: *a, edge: replicate}\n"
                                "  c: {<<: [{resize: {size: 5}}, *b], slices: all}\n"
                                "  d: {channels: *c}\n"
                                "models:\n  - &m {name: x, file: x.onnx, input: a, activation: none}\n"
                                "  - {<<: *m, name: y2, input: b}\n  - {<<: *m, name: z, input: c}\n  - {<<: *m, name: w, input: d}\n",
                           0);
    assert_int_equal(j->n_input, 4);
    assert_int_equal(j->input[0].edge, RAD_EDGE_ZERO);
    assert_int_equal(j->input[1].edge, RAD_EDGE_REPLICATE);
    assert_int_equal(j->input[1].resize.height, 8);
    assert_int_equal(j->input[2].resize.height, 5); /* the first of a list of merges wins */
    assert_int_equal(j->input[2].edge, RAD_EDGE_REPLICATE);
    assert_int_equal(j->input[2].slices, RAD_SLICES_VOLUME_ALL);
    assert_string_equal(j->input[3].channel[0].sequence, "T2");
    assert_int_equal(j->input[3].resize.method, RAD_RESIZE_NONE);
    assert_string_equal(j->model[3].file, "x.onnx");
    assert_int_equal(j->model[3].input, 3);
    rad_job_destroy(&j);
}

static void warnings(void **state) {
    (void)state;
    rad_job *j =
        read_text(HEAD "inputs: {a: {channels: [{sequence: T2}]}, b: {channels: [{sequence: T2}], region: {from: box, size_mm: 4}}}\n"
                       "models: [{name: n, file: n.onnx, input: a, activation: none}]\n",
                  2); /* b is not used; size_mm has no effect */
    assert_int_equal(j->n_input, 2);
    rad_job_destroy(&j);
}

/* A list nested in aliases costs what it costs to read, not what it would cost to write out. */
static void hostile_aliases(void **state) {
    (void)state;
    rad_buf b;
    rad_error err = {0};
    rad_issues issues = {0};
    rad_job *job = NULL;
    const char *dir = unit_folder();
    char path[96];
    rad_buf_init(&b, RAD_MAX_JOB_BYTES * 2);
    assert_ok(rad_buf_printf(&b, &err, HEAD "x0: &x0 {edge: zero}\n"));
    for (int i = 1; i < 40; i++) {
        assert_ok(rad_buf_printf(&b, &err, "x%d: &x%d {<<: [*x%d", i, i, i - 1));
        for (int k = 0; k < 60; k++) /* 60 to the power of the depth limit, if nothing else stopped it */
            assert_ok(rad_buf_printf(&b, &err, ", *x%d", i - 1));
        assert_ok(rad_buf_printf(&b, &err, "]}\n"));
    }
    assert_ok(rad_buf_printf(&b, &err, "inputs: {a: {<<: *x39}, b: *x39}\n" MODEL));
    snprintf(path, sizeof path, "%s/j.yaml", dir);
    assert_ok(rad_file_write_atomic(path, b.data, b.size, &err));
    double t = rad_clock_seconds();
    assert_fails(rad_job_read(path, &job, &issues, &err), RAD_E_CONFIG, "mistake");
    assert_true(rad_clock_seconds() - t < 2);
    assert_null(job);
    rad_issues_release(&issues);
    /* too large a file is not read */
    rad_buf_clear(&b);
    for (size_t i = 0; i <= RAD_MAX_JOB_BYTES / 16; i++)
        assert_ok(rad_buf_printf(&b, &err, "# a comment....\n"));
    assert_ok(rad_file_write_atomic(path, b.data, b.size, &err));
    assert_fails(rad_job_read(path, &job, &issues, &err), RAD_E_CONFIG, "mistake");
    assert_non_null(strstr(issues.item[0].text, "limit"));
    rad_issues_release(&issues);
    rad_buf_release(&b);
    unit_remove(dir);
}

/* Deeply nested brackets are refused by libyaml's own limit, not by the stack. */
static void deep_nesting(void **state) {
    (void)state;
    const char *dir = unit_folder();
    char path[96], *text = malloc(200001);
    rad_error err = {0};
    rad_issues issues = {0};
    rad_job *job = NULL;
    assert_non_null(text);
    memset(text, '[', 200000);
    text[200000] = '\0';
    snprintf(path, sizeof path, "%s/j.yaml", dir);
    assert_ok(rad_file_write_atomic(path, text, 200000, &err));
    assert_fails(rad_job_read(path, &job, &issues, &err), RAD_E_CONFIG, "mistake");
    assert_int_equal(issues.n, 1);
    assert_non_null(strstr(issues.item[0].text, "open brackets")); /* before libyaml, whose time grows with the square */
    rad_issues_release(&issues);
    free(text);
    unit_remove(dir);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_key), cmocka_unit_test(canonical),       cmocka_unit_test(merge_keys),
                                       cmocka_unit_test(warnings),  cmocka_unit_test(hostile_aliases), cmocka_unit_test(deep_nesting)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

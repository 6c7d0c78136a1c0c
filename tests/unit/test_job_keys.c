/* The key table of job files: consistent in itself, and its defaults are what a job without those keys gets.
 * `test_job_keys --dump` prints the table as JSON and `--read FILE` the reader's verdict on a job: tests/cli/t_schema_job.py compares both
 * with the schema.
 * RAD_TEST_LINK: rad_cohort */
#include "unit.h"

#include "cohort/job_keys.h"
#include "radcohort/job.h"

static const char *const kind_name[] = {"text",   "name", "axes",    "sha256", "word",  "either", "bool", "int",
                                        "number", "ints", "numbers", "texts",  "words", "map",    "maps", "named"};

static void dump_group(const key_group *g, bool *first) {
    printf("%s\n \"%s\": [", *first ? "" : ",", g->name);
    *first = false;
    for (const key_def *k = g->key; k->name; k++) {
        printf("%s\n  {\"name\": \"%s\", \"kind\": \"%s\", \"required\": %s", k == g->key ? "" : ",", k->name, kind_name[k->kind],
               k->required ? "true" : "false");
        printf(", \"min\": %.17g, \"max\": %.17g, \"above_min\": %s, \"min_items\": %d, \"max_items\": %d", k->min, k->max,
               k->above_min ? "true" : "false", k->min_items, k->max_items);
        printf(", \"preset\": %s%s%s", k->preset ? "\"" : "", k->preset ? k->preset : "null", k->preset ? "\"" : "");
        printf(", \"example\": \"%s\", \"group\": %s%s%s, \"words\": [", k->example, k->group ? "\"" : "",
               k->group ? k->group->name : "null", k->group ? "\"" : "");
        for (int i = 0; k->words && k->words[i]; i++)
            printf("%s\"%s\"", i ? ", " : "", k->words[i]);
        printf("]}");
    }
    printf("]");
    for (const key_def *k = g->key; k->name; k++)
        if (k->group)
            dump_group(k->group, first);
}

static int read_verdict(const char *path) {
    rad_issues issues = {0};
    rad_job *job = NULL;
    rad_error err = {0};
    rad_status st = rad_job_read(path, &job, &issues, &err);
    rad_issues_print(&issues, stdout);
    rad_issues_release(&issues);
    rad_job_destroy(&job);
    return st == RAD_OK ? 0 : st == RAD_E_CONFIG ? 2 : 1;
}

static void check_group(const key_group *g) {
    int n = 0;
    for (const key_def *k = g->key; k->name; k++, n++) {
        assert_non_null(k->example);
        assert_true((k->words != NULL) == (k->kind == KEY_WORD || k->kind == KEY_EITHER || k->kind == KEY_WORDS));
        assert_true((k->group != NULL) == (k->kind == KEY_MAP || k->kind == KEY_MAPS || k->kind == KEY_NAMED));
        assert_false(k->required && k->preset);
        if (k->kind == KEY_EITHER || k->kind == KEY_INT || k->kind == KEY_NUMBER || k->kind == KEY_INTS || k->kind == KEY_NUMBERS)
            assert_true(k->min < k->max);
        if (k->kind >= KEY_INTS && k->kind != KEY_MAP)
            assert_true(k->max_items > 0);
        if (k->group)
            check_group(k->group);
    }
    assert_true(n > 0 && n <= JOB_MAX_KEYS);
}

static void table_is_consistent(void **state) {
    (void)state;
    check_group(&job_group);
}

static rad_job *read_text(const char *text) {
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
    rad_issues_release(&issues);
    unit_remove(dir);
    return job;
}

static void defaults_are_the_table_s(void **state) {
    (void)state;
    rad_job *j = read_text("job: j\ncohort: c\nunit: lesion\nclasses: [a, b]\npositive: b\n"
                           "inputs: {m: {channels: [{sequence: T2}], region: {}, resize: {size: 4}}}\n"
                           "models: [{name: n, file: n.onnx, activation: none}]\n");
    const rad_input_spec *in = &j->input[0];
    assert_string_equal(job_group.key[JOB_BATCH].preset, "16");
    assert_int_equal(j->batch, 16);
    assert_string_equal(j->backend, job_group.key[JOB_BACKEND].preset);
    assert_string_equal(j->precision, job_group.key[JOB_PRECISION].preset);
    assert_string_equal(job_group.key[JOB_STRATA].preset, "[all, cohort, center]");
    assert_true(j->by_all && j->by_cohort && j->by_center);
    assert_string_equal(in->orientation, "LPS");
    assert_int_equal(in->slices, RAD_SLICES_LESION_CENTRE);
    assert_int_equal(in->edge, RAD_EDGE_REPLICATE);
    assert_int_equal(in->channel[0].n_offset, 1);
    assert_int_equal(in->channel[0].offset[0], 0);
    assert_int_equal(in->region.from, RAD_REGION_AUTO);
    assert_int_equal(in->region.shape, RAD_SHAPE_SQUARE);
    assert_true(in->region.margin_mm == 0 && in->region.margin_px == 0 && in->region.size_mm == 0);
    assert_int_equal(in->resize.method, RAD_RESIZE_BILINEAR);
    assert_false(in->resize.antialias);
    assert_false(in->window.on);
    assert_int_equal(in->normalise.n, 0);
    assert_string_equal(j->lesion_rule, "max");
    assert_string_equal(j->patient_rule, "max");
    rad_job_destroy(&j);
    assert_null(j);
}

/* The words of the table stand in the order of the enums they become. */
static void words_follow_the_enums(void **state) {
    (void)state;
    static const char *const word[] = {"from: auto", "from: whole", "from: box", "from: mask", "from: point, size_mm: 1"};
    for (int i = 0; i < 5; i++) {
        char text[512];
        snprintf(text, sizeof text,
                 "job: j\ncohort: c\nunit: lesion\nclasses: [a, b]\npositive: b\ninputs: {m: {channels: [{sequence: T2}], edge: zero, "
                 "slices: all, region: {shape: rectangle, %s}}}\nmodels: [{name: n, file: n.onnx, activation: sigmoid}]\n"
                 "aggregate: {lesion: median, patient: mean}\n",
                 word[i]);
        rad_job *j = read_text(text);
        assert_int_equal(j->input[0].region.from, i);
        assert_int_equal(j->input[0].region.shape, RAD_SHAPE_RECTANGLE);
        assert_int_equal(j->input[0].edge, RAD_EDGE_ZERO);
        assert_int_equal(j->input[0].slices, RAD_SLICES_VOLUME_ALL);
        assert_int_equal(j->model[0].activation, RAD_ACT_SIGMOID);
        assert_string_equal(j->lesion_rule, "median");
        assert_string_equal(j->patient_rule, "mean");
        rad_job_destroy(&j);
    }
}

int main(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "--dump") == 0) {
        bool first = true;
        printf("{");
        dump_group(&job_group, &first);
        printf("}\n");
        return 0;
    }
    if (argc == 3 && strcmp(argv[1], "--read") == 0)
        return read_verdict(argv[2]);
    const struct CMUnitTest tests[] = {cmocka_unit_test(table_is_consistent), cmocka_unit_test(defaults_are_the_table_s),
                                       cmocka_unit_test(words_follow_the_enums)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

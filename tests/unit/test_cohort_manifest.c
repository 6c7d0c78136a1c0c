/* The match of images to channels: the rules of cohort.h, one by one, and counts over a large cohort. */
#include "unit.h"

#include "radcohort/cohort.h"

#define HEAD "job: j\ncohort: .\nclasses: [benign, malignant]\npositive: malignant\n"
#define MODEL "models: [{name: n, file: n.onnx, input: a, activation: none}]\n"
#define TWO "unit: lesion\ninputs:\n  a: {channels: [{sequence: T2, offset: [-1, 0, 1]}, {sequence: DWI}]}\n"

typedef struct fixture {
    char dir[64];
    rad_job *job;
    rad_cohort *cohort;
    rad_manifest *manifest;
    rad_issues issues;
    rad_status st;
} fixture;

static void put(const fixture *f, const char *name, const char *text) {
    rad_error err = {0};
    char path[128];
    snprintf(path, sizeof path, "%s/%s", f->dir, name);
    assert_ok(rad_file_write_atomic(path, text, strlen(text), &err));
}

static void build(fixture *f, const char *inputs, const char *patients, const char *lesions, const char *images) {
    rad_error err = {0};
    char path[128];
    *f = (fixture){0};
    snprintf(f->dir, sizeof f->dir, "%s", unit_folder());
    char *job = rad_asprintf("%s%s%s", HEAD, inputs, MODEL);
    assert_non_null(job);
    put(f, "job.yaml", job);
    free(job);
    put(f, "centers.tsv", "center\tcohort\nA\tinternal\n");
    put(f, "patients.tsv", patients);
    if (lesions)
        put(f, "lesions.tsv", lesions);
    put(f, "images.tsv", images);
    snprintf(path, sizeof path, "%s/job.yaml", f->dir);
    f->st = rad_job_read(path, &f->job, &f->issues, &err);
    if (f->st == RAD_OK)
        f->st = rad_cohort_read(f->dir, &(rad_cohort_opts){.skip_file_check = true}, &f->cohort, &f->issues, &err);
    if (f->st != RAD_OK)
        rad_issues_print(&f->issues, stderr);
    assert_int_equal(f->st, RAD_OK);
    f->st = rad_manifest_build(f->cohort, f->job, &f->manifest, &f->issues, &err);
}

static void stop(fixture *f) {
    rad_manifest_destroy(&f->manifest);
    rad_cohort_destroy(&f->cohort);
    rad_job_destroy(&f->job);
    rad_issues_release(&f->issues);
    unit_remove(f->dir);
}

/* Case `i`: status, images of the first two channels (table order), part of the reason. */
static void assert_case(const fixture *f, int64_t i, rad_status st, int64_t first, int64_t second, const char *why) {
    assert_int_equal(f->st, RAD_OK);
    assert_true(i < f->manifest->n_case);
    const rad_case_input *in = &f->manifest->item[i].input[0];
    if (in->status != st || (why && (!in->why || !strstr(in->why, why))))
        fail_msg("case %d: %s '%s', wanted %s '%s'", (int)i, rad_status_reason(in->status), in->why ? in->why : "", rad_status_reason(st),
                 why ? why : "");
    assert_int_equal(in->image[0], first);
    assert_int_equal(f->job->input[0].n_channel > 1 ? in->image[1] : -1, second);
    assert_int_equal(in->status == RAD_OK, in->why == NULL);
}

static void assert_unused(const fixture *f, int64_t i, int64_t image, const char *why) {
    assert_true(i < f->manifest->n_unused);
    assert_int_equal(f->manifest->unused[i].image, image);
    if (!strstr(f->manifest->unused[i].why, why))
        fail_msg("unused %d: '%s', wanted '%s'", (int)i, f->manifest->unused[i].why, why);
}

#define P1 "patient\tcenter\tlabel\nP1\tA\tbenign\n"
#define BOX "0 0 0 2 2 2"

static void plain_match(void **state) {
    (void)state;
    fixture f;
    build(&f, TWO, P1, "patient\tlesion\tbox\nP1\tL1\t" BOX "\nP1\tL2\t" BOX "\n",
          "patient\tsequence\tpath\nP1\tDWI\td.nii\nP1\tT2\tt.nii\nP1\tADC\ta.nii\n");
    assert_int_equal(f.manifest->n_case, 2);
    assert_case(&f, 0, RAD_OK, 1, 0, NULL);
    assert_case(&f, 1, RAD_OK, 1, 0, NULL);
    assert_int_equal(f.manifest->item[1].lesion, 1);
    assert_int_equal(f.manifest->item[0].label, 0); /* the patient's: there is no label column */
    assert_int_equal(f.manifest->n_unused, 1);
    assert_unused(&f, 0, 2, "no input takes sequence 'ADC'");
    stop(&f);
}

static void lesion_named_by_image_wins(void **state) {
    (void)state;
    fixture f;
    build(&f, TWO, P1, "patient\tlesion\tlabel\tbox\nP1\tL1\tmalignant\t" BOX "\nP1\tL2\tn/a\t" BOX "\n",
          "patient\tsequence\tpath\tlesion\nP1\tT2\tt.nii\t\nP1\tDWI\td.nii\t\nP1\tT2\tt1.nii\tL1\n");
    assert_case(&f, 0, RAD_OK, 2, 1, NULL);
    assert_case(&f, 1, RAD_OK, 0, 1, NULL);
    assert_int_equal(f.manifest->item[0].label, 1);
    assert_int_equal(f.manifest->item[1].label, -1);
    assert_int_equal(f.manifest->n_unused, 0);
    stop(&f);
    /* with one lesion only, the image that serves all is left over */
    build(&f, TWO, P1, "patient\tlesion\tbox\nP1\tL1\t" BOX "\n",
          "patient\tsequence\tpath\tlesion\nP1\tT2\tt.nii\t\nP1\tDWI\td.nii\t\nP1\tT2\tt1.nii\tL1\n");
    assert_case(&f, 0, RAD_OK, 2, 1, NULL);
    assert_int_equal(f.manifest->n_unused, 1);
    assert_unused(&f, 0, 0, "another image of this sequence names the lesion");
    stop(&f);
}

static void missing_and_ambiguous(void **state) {
    (void)state;
    fixture f;
    build(&f, TWO, P1, "patient\tlesion\tbox\nP1\tL1\t" BOX "\n",
          "patient\tsequence\tpath\nP1\tT2\ta.nii\nP1\tT2\tb.nii\nP1\tdwi\tc.nii\n");
    assert_case(&f, 0, RAD_E_CHANNEL, -1, -1,
                "2 images of sequence 'T2', no image of sequence 'DWI' (lines 2, 3 of the images table: keep one, or tell them apart by "
                "sequence, study or lesion; the patient has T2, dwi)");
    assert_int_equal(f.manifest->n_unused, 3);
    assert_unused(&f, 0, 0, "its case cannot be scored: 2 images of sequence 'T2'");
    assert_unused(&f, 2, 2, "no input takes sequence 'dwi' (the job has 'DWI')");
    stop(&f);
    build(&f, TWO, P1, "patient\tlesion\tbox\nP1\tL1\t" BOX "\n", "patient\tsequence\tpath\nP1\tT2\ta.nii\n");
    assert_case(&f, 0, RAD_E_CHANNEL, 0, -1, "no image of sequence 'DWI' (the patient has T2)");
    stop(&f);
}

static void studies(void **state) {
    (void)state;
    static const char images[] = "patient\tstudy\tsequence\tpath\tlesion\nP1\tS1\tT2\ta.nii\t\nP1\tS1\tDWI\tb.nii\t\nP1\tS2\tT2\tc.nii\t\n"
                                 "P1\tS2\tDWI\td.nii\t\nP1\tS3\tADC\te.nii\t\n";
    fixture f;
    build(&f, TWO, P1, "patient\tlesion\tbox\nP1\tL1\t" BOX "\n", images);
    assert_case(&f, 0, RAD_E_CHANNEL, -1, -1, "two studies have images for it");
    assert_int_equal(f.manifest->n_unused, 5);
    assert_unused(&f, 0, 0, "its case cannot be scored: two studies");
    stop(&f);
    build(&f, TWO, P1, "patient\tlesion\tbox\tstudy\nP1\tL1\t" BOX "\tS2\n", images);
    assert_case(&f, 0, RAD_OK, 2, 3, NULL);
    assert_string_equal(f.manifest->item[0].study, "S2");
    assert_int_equal(f.manifest->n_unused, 3);
    assert_unused(&f, 0, 0, "its study is not the one of a case (study 'S1')");
    stop(&f);
    /* an image that names the lesion decides the study of all channels */
    build(
        &f, TWO, P1, "patient\tlesion\tbox\nP1\tL1\t" BOX "\n",
        "patient\tstudy\tsequence\tpath\tlesion\nP1\tS1\tT2\ta.nii\t\nP1\tS1\tDWI\tb.nii\t\nP1\tS2\tT2\tc.nii\tL1\nP1\tS2\tDWI\td.nii\t\n");
    assert_case(&f, 0, RAD_OK, 2, 3, NULL);
    stop(&f);
    /* a lesion's study without images */
    build(&f, TWO, P1, "patient\tlesion\tbox\tstudy\nP1\tL1\t" BOX "\tS9\n", images);
    assert_case(&f, 0, RAD_E_CHANNEL, -1, -1, "no image of sequence 'T2', no image of sequence 'DWI'");
    stop(&f);
}

static void regions(void **state) {
    (void)state;
    static const struct {
        const char *from, *columns, *row, *why;
    } kase[] = {
        {"from: box", "point", "1 1 1", "the lesion has no box"},
        {"from: mask", "box", BOX, "the lesion has no mask"},
        {"from: point, size_mm: 9", "box", BOX, "the lesion has no point"},
        {"from: point, size_mm: 9", "point", "1 1 1", NULL},
        {"from: auto", "point", "1 1 1", "the lesion has only a point, and the input's region has no size_mm"},
        {"from: auto, size_mm: 9", "point", "1 1 1", NULL},
        {"from: auto", "mask", "", "the lesion has neither mask nor box nor point"},
        {"from: whole", "mask", "", NULL},
    };
    for (size_t i = 0; i < sizeof kase / sizeof kase[0]; i++) {
        fixture f;
        char inputs[256], lesions[128];
        snprintf(inputs, sizeof inputs, "unit: lesion\ninputs:\n  a: {channels: [{sequence: T2}], region: {%s}}\n", kase[i].from);
        snprintf(lesions, sizeof lesions, "patient\tlesion\t%s\nP1\tL1\t%s\n", kase[i].columns, kase[i].row);
        build(&f, inputs, P1, lesions, "patient\tsequence\tpath\nP1\tT2\ta.nii\n");
        assert_case(&f, 0, kase[i].why ? RAD_E_REGION : RAD_OK, 0, -1, kase[i].why);
        assert_int_equal(f.manifest->n_unused, kase[i].why ? 1 : 0);
        stop(&f);
    }
}

static void unit_patient(void **state) {
    (void)state;
    fixture f;
    build(&f, "unit: patient\ninputs:\n  a: {channels: [{sequence: T2}, {sequence: DWI}]}\n",
          "patient\tcenter\tlabel\nP1\tA\tbenign\nP2\tA\tn/a\nP3\tA\tmalignant\n", NULL,
          "patient\tstudy\tsequence\tpath\nP1\tS2\tT2\ta.nii\nP1\tS2\tDWI\tb.nii\nP1\tS1\tT2\tc.nii\nP2\t\tDWI\td.nii\nP2\t\tT2\te.nii\n"
          "P1\tS0\tADC\tf.nii\n");
    assert_int_equal(f.manifest->n_case, 4);
    assert_case(&f, 0, RAD_OK, 0, 1, NULL);
    assert_string_equal(f.manifest->item[0].study, "S2");
    assert_case(&f, 1, RAD_E_CHANNEL, 2, -1, "no image of sequence 'DWI'");
    assert_string_equal(f.manifest->item[1].study, "S1");
    assert_case(&f, 2, RAD_OK, 4, 3, NULL);
    assert_int_equal(f.manifest->item[2].label, -1);
    assert_case(&f, 3, RAD_E_CHANNEL, -1, -1, "the patient has no image at all");
    assert_int_equal(f.manifest->item[3].patient, 2);
    assert_int_equal(f.manifest->n_unused, 2);
    stop(&f);
    /* studies come in table order, whichever images name a lesion */
    build(&f, "unit: patient\ninputs:\n  a: {channels: [{sequence: T2}]}\n", P1, "patient\tlesion\nP1\tL1\n",
          "patient\tstudy\tsequence\tpath\tlesion\nP1\tS2\tT2\ta.nii\tL1\nP1\tS1\tT2\tb.nii\t\n");
    assert_int_equal(f.manifest->n_case, 2);
    assert_string_equal(f.manifest->item[0].study, "S2");
    assert_string_equal(f.manifest->item[1].study, "S1");
    stop(&f);
}

static void labels(void **state) {
    (void)state;
    fixture f;
    build(&f, TWO, P1, "patient\tlesion\tlabel\tbox\nP1\tL1\tbening\t" BOX "\nP1\tL2\tMalignant\t" BOX "\n",
          "patient\tsequence\tpath\nP1\tT2\ta.nii\nP1\tDWI\tb.nii\n");
    assert_int_equal(f.st, RAD_E_CONFIG);
    assert_null(f.manifest);
    assert_int_equal(f.issues.n_error, 2);
    assert_int_equal(f.issues.item[0].line, 2);
    assert_non_null(strstr(f.issues.item[0].text, "did you mean 'benign'?"));
    stop(&f);
}

/* 100,000 images: linear, so far below a second without sanitizers; the limit is for a busy machine with them. */
static void large(void **state) {
    (void)state;
    enum { N = 50000 };
    fixture f;
    rad_buf patients, lesions, images;
    rad_error err = {0};
    rad_buf_init(&patients, 1 << 26);
    rad_buf_init(&lesions, 1 << 26);
    rad_buf_init(&images, 1 << 26);
    assert_ok(rad_buf_printf(&patients, &err, "patient\tcenter\tlabel\tage\n"));
    assert_ok(rad_buf_printf(&lesions, &err, "patient\tlesion\tlabel\tbox\n"));
    assert_ok(rad_buf_printf(&images, &err, "patient\tstudy\tsequence\tpath\n"));
    for (int i = 0; i < N; i++) {
        assert_ok(rad_buf_printf(&patients, &err, "P%06d\tA\t%s\t%d\n", i, i % 3 ? "benign" : "malignant", 20 + i % 60));
        assert_ok(rad_buf_printf(&lesions, &err, "P%06d\tL1\t%s\t" BOX "\n", i, i % 3 ? "benign" : "malignant"));
        for (int k = 0; k < 2; k++) /* every tenth patient lacks a sequence */
            assert_ok(rad_buf_printf(&images, &err, "P%06d\tS1\t%s\timg/%06d_%d.nii.gz\n", i,
                                     k == 0   ? "T2"
                                     : i % 10 ? "DWI"
                                              : "ADC",
                                     i, k));
    }
    double t = rad_clock_seconds();
    build(&f, TWO, patients.data, lesions.data, images.data);
    t = rad_clock_seconds() - t;
    assert_int_equal(f.st, RAD_OK);
    assert_int_equal(f.cohort->n_image, 2 * N);
    assert_int_equal(f.manifest->n_case, N);
    int64_t ok = 0;
    for (int64_t i = 0; i < N; i++)
        ok += f.manifest->item[i].input[0].status == RAD_OK;
    assert_int_equal(ok, N - N / 10);
    assert_int_equal(f.manifest->n_unused, 2 * N / 10);
    print_message("100000 images: tables and manifest in %.2f s\n", t);
    assert_true(t < 20);
    stop(&f);
    rad_buf_release(&patients);
    rad_buf_release(&lesions);
    rad_buf_release(&images);
}

#define SELECT "select:\n  - {column: set, values: [validation, external]}\n  - {column: sex, values: [F]}\n"
#define SETS                                                                                                                               \
    "patient\tcenter\tlabel\tsex\tset\nP1\tA\tno class\tF\ttraining\nP2\tA\tbenign\tF\tvalidation\n"                                       \
    "P3\tA\tbenign\tM\tvalidation\nP4\tA\tbenign\tF\t\n"

static void only_selected_patients_have_cases(void **state) {
    (void)state;
    fixture f;
    build(&f, SELECT TWO, SETS,
          "patient\tlesion\tlabel\tbox\nP1\tL1\tno class\t" BOX "\nP2\tL1\tbenign\t" BOX "\nP3\tL1\tbenign\t" BOX "\n",
          "patient\tsequence\tpath\nP1\tT2\ta.nii\nP2\tT2\tb.nii\nP2\tDWI\tc.nii\n");
    assert_case(&f, 0, RAD_OK, 1, 2, NULL); /* labels of patients left out are not looked at */
    assert_int_equal(f.manifest->n_case, 1);
    assert_int_equal(f.manifest->item[0].patient, 1);
    assert_int_equal(f.manifest->n_unselected, 3);
    assert_string_equal(f.manifest->unselected[0], "not selected: column 'set' is 'training'");
    assert_null(f.manifest->unselected[1]);
    assert_string_equal(f.manifest->unselected[2], "not selected: column 'sex' is 'M'");
    assert_string_equal(f.manifest->unselected[3], "not selected: column 'set' is empty");
    assert_unused(&f, 0, 0, "its patient is not selected");
    assert_int_equal(f.issues.n_error, 0);
    bool told = false; /* a value that nobody has */
    for (size_t i = 0; i < f.issues.n; i++)
        told = told || strstr(f.issues.item[i].text, "selects 'external', which no patient has");
    assert_true(told);
    stop(&f);
    build(&f, "select: [{column: sett, values: [validation]}]\n" TWO, SETS, NULL, "patient\tsequence\tpath\nP1\tT2\ta.nii\n");
    assert_int_equal(f.st, RAD_E_CONFIG);
    assert_int_equal(f.issues.n_error, 1);
    stop(&f);
}

/* The text of the only warning that names the column, or NULL. */
static const char *told_of(const fixture *f, const char *column) {
    const char *text = NULL;
    for (size_t i = 0; i < f->issues.n; i++)
        if (f->issues.item[i].column && strcmp(f->issues.item[i].column, column) == 0) {
            assert_null(text);
            assert_int_equal(f->issues.item[i].severity, RAD_SEVERITY_WARNING);
            text = f->issues.item[i].text;
        }
    return text;
}

static void a_sequence_that_no_image_has_is_told(void **state) {
    (void)state;
    static const char patients[] = "patient\tcenter\tlabel\nP1\tA\tbenign\nP2\tA\tbenign\n",
                      images[] = "patient\tsequence\tpath\nP1\tT2\ta.nii\nP1\tDWI\tb.nii\nP2\tT2\tc.nii\n";
    fixture f;
    build(&f, "unit: patient\ninputs: {a: {channels: [{sequence: T2}, {sequence: DWI, missing: zero}]}}\n", patients, NULL, images);
    assert_int_equal(f.st, RAD_OK); /* one patient has it */
    assert_null(told_of(&f, "sequence"));
    stop(&f);
    build(&f, "unit: patient\ninputs: {a: {channels: [{sequence: T2}, {sequence: dwi, missing: zero}]}}\n", patients, NULL, images);
    assert_int_equal(f.st, RAD_OK);
    assert_string_equal(told_of(&f, "sequence"),
                        "no image has sequence 'dwi' of the job's input 'a': its planes are zeros for every case; did you mean 'DWI'?");
    stop(&f);
    build(&f, "unit: patient\ninputs: {a: {channels: [{sequence: ADC}]}}\n", patients, NULL, images);
    assert_int_equal(f.st, RAD_OK);
    assert_string_equal(told_of(&f, "sequence"), "no image has sequence 'ADC' of the job's input 'a': it excludes every case");
    stop(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(plain_match),
                                       cmocka_unit_test(lesion_named_by_image_wins),
                                       cmocka_unit_test(missing_and_ambiguous),
                                       cmocka_unit_test(studies),
                                       cmocka_unit_test(regions),
                                       cmocka_unit_test(unit_patient),
                                       cmocka_unit_test(labels),
                                       cmocka_unit_test(only_selected_patients_have_cases),
                                       cmocka_unit_test(a_sequence_that_no_image_has_is_told),
                                       cmocka_unit_test(large)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

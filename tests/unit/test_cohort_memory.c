/* Every allocation of the readers fails once: no crash, no leak (under the address sanitizer), outputs untouched, and NOMEM is the answer,
 * unless only the note of an issue was lost. */
#include "unit.h"

#include "radcohort/cohort.h"

static const char job_text[] = "job: j\ncohort: .\nunit: lesion\nclasses: [benign, malignant]\npositive: malignant\n"
                               "inputs:\n  a: &a {channels: [{sequence: T2, offset: [-1, 0, 1]}, {sequence: DWI}], window: {level: 1, "
                               "width: 2}, normalise: {mean: [1, 2, 3, 4], std: 1}}\n"
                               "  b: {<<: *a, resize: {size: 8}}\nmodels:\n  - {name: n, file: n.onnx, input: a, activation: none}\n  - "
                               "{name: m, file: m.onnx, input: b, activation: softmax}\n"
                               "operating_points: [{name: half, threshold: 0.5}]\n";

static void put(const char *dir, const char *name, const char *text) {
    rad_error err = {0};
    char path[128];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    assert_ok(rad_file_write_atomic(path, text, strlen(text), &err));
}

static void make(const char *dir, bool good) {
    put(dir, "job.yaml", job_text);
    put(dir, "centers.tsv", "center\tcohort\nA\tinternal\nB\texternal\n");
    put(dir, "patients.csv", "patient,center,label,age,grade,\"a, b\"\nP1,A,benign,5,x,1\nP2,B,malignant,,,\n");
    put(dir, "lesions.tsv", "patient\tlesion\tlabel\tbox\tvolume\nP1\tL1\tbenign\t0 0 0 1 1 1\t5\nP2\tL1\tmalignant\t0 0 0 1 1 1\t\n");
    put(dir, "images.tsv", "patient\tstudy\tsequence\tpath\nP1\tS\tT2\ta.nii\nP1\tS\tDWI\tb.nii\nP2\tS\tT2\tc.nii\nP2\tS\tADC\td.nii\n");
    put(dir, "readings.tsv", good ? "reader\tpatient\tcall\nR\tP1\tbenign\n" : "reader\tpatient\tcall\nR\tP9\tbenign\nR\tP1\t\n\"x\n");
}

typedef rad_status step(const char *dir, rad_job **job, rad_cohort **cohort, rad_manifest **manifest, rad_issues *issues, rad_error *err);

static rad_status read_job(const char *dir, rad_job **job, rad_cohort **cohort, rad_manifest **manifest, rad_issues *issues,
                           rad_error *err) {
    (void)cohort;
    (void)manifest;
    char path[128];
    snprintf(path, sizeof path, "%s/job.yaml", dir);
    return rad_job_read(path, job, issues, err);
}

static rad_status read_tables(const char *dir, rad_job **job, rad_cohort **cohort, rad_manifest **manifest, rad_issues *issues,
                              rad_error *err) {
    (void)job;
    (void)manifest;
    return rad_cohort_read(dir, NULL, cohort, issues, err);
}

static rad_status match(const char *dir, rad_job **job, rad_cohort **cohort, rad_manifest **manifest, rad_issues *issues, rad_error *err) {
    (void)dir;
    return rad_manifest_build(*cohort, *job, manifest, issues, err);
}

/* Fails allocation 1, 2, 3, ... until the step runs as without failures. Returns how many it took. */
static int64_t exhaust(step *s, const char *dir, rad_status want, rad_job **job, rad_cohort **cohort, rad_manifest **manifest) {
    for (int64_t n = 1; n < 100000; n++) {
        rad_issues issues = {0};
        rad_error err = {0};
        rad_job *j = *job;
        rad_cohort *c = *cohort;
        rad_manifest *m = *manifest;
        rad_mem_fail_after(n);
        rad_status st = s(dir, job, cohort, manifest, &issues, &err);
        rad_mem_fail_after(0);
        if (st != want && st != RAD_E_NOMEM)
            fail_msg("allocation %lld: %s '%s'", (long long)n, rad_status_reason(st), err.text);
        bool complete = st == want && (size_t)(issues.n_error + issues.n_warning) == issues.n;
        rad_issues_release(&issues);
        if (st != RAD_OK) {
            assert_ptr_equal(j, *job);
            assert_ptr_equal(c, *cohort);
            assert_ptr_equal(m, *manifest);
            assert_int_equal(err.code, st);
            assert_true(err.text[0] != '\0');
        } else if (!complete) {
            if (*manifest != m)
                rad_manifest_destroy(manifest);
            else if (*cohort != c)
                rad_cohort_destroy(cohort);
            else
                rad_job_destroy(job);
        }
        if (complete)
            return n;
    }
    fail_msg("never succeeds");
    return 0;
}

static void good_input(void **state) {
    (void)state;
    const char *dir = unit_folder();
    rad_job *job = NULL;
    rad_cohort *cohort = NULL;
    rad_manifest *manifest = NULL;
    make(dir, true);
    assert_true(exhaust(read_job, dir, RAD_OK, &job, &cohort, &manifest) > 5);
    assert_true(exhaust(read_tables, dir, RAD_OK, &job, &cohort, &manifest) > 20);
    assert_true(exhaust(match, dir, RAD_OK, &job, &cohort, &manifest) > 10);
    assert_int_equal(manifest->n_case, 2);
    rad_manifest_destroy(&manifest);
    rad_cohort_destroy(&cohort);
    rad_job_destroy(&job);
    unit_remove(dir);
}

static void bad_input(void **state) {
    (void)state;
    const char *dir = unit_folder();
    rad_job *job = NULL;
    rad_cohort *cohort = NULL;
    rad_manifest *manifest = NULL;
    make(dir, false);
    assert_true(exhaust(read_tables, dir, RAD_E_CONFIG, &job, &cohort, &manifest) > 20);
    put(dir, "job.yaml", "job: 5\ninputs: {a: {channels: [{sequence: T2, offset: x}]}}\nmodels: [{name: n}]\nbatch: {}\n");
    assert_true(exhaust(read_job, dir, RAD_E_CONFIG, &job, &cohort, &manifest) > 5);
    unit_remove(dir);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(good_input), cmocka_unit_test(bad_input)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Jobs and tables with bytes changed, moved and cut, from a fixed seed: the readers answer OK or CONFIG, with an issue for each CONFIG,
 * whose text is UTF-8 without control characters; nothing is read or written out of bounds (sanitizer builds). */
#include "unit.h"

#include "cohort/utf8.h"
#include "radcohort/cohort.h"

enum { ROUNDS = 3000 };

static const char job_text[] =
    "# a job\njob: j\ncohort: .\nunit: lesion\nclasses: [benign, malignant]\npositive: malignant\n"
    "inputs:\n  a: &a\n    channels:\n      - {sequence: T2, offset: [-1, 0, 1]}\n      - {sequence: \"D\\u00e9j\\u00e0\"}\n    "
    "orientation: LPS\n"
    "    region: {from: point, size_mm: 4.5e+1}\n    window: {level: 1, width: 2}\n    normalise: {mean: [1, 2, 3, 4], std: 1}\n"
    "  b: {<<: *a, resize: {size: 8}}\nmodels:\n  - {name: n, file: n.onnx, input: a, activation: none}\n"
    "  - {name: m, file: m.onnx, input: b, activation: softmax}\noperating_points: [{name: half, threshold: 0.5}]\nstrata: [all]\n";
static const char patients_text[] =
    "\xEF\xBB\xBFpatient\tcenter\tlabel\tage\tsex\tfold\tnote\nP1\tA\tbenign\t51\tF\t0\t\"two \"\"words\"\"\"\n"
    "P2\tB\tmalignant\t90+\tmale\tn/a\t\xE6\xBC\xA2\xE5\xAD\x97\n";
static const char lesions_text[] =
    "patient,lesion,label,box,point,mask,size_mm\r\nP1,L1,benign,\"[0, 0, 0, 4, 4, 2]\",,,3.5\r\nP2,L1,malignant,,\"1 2 3\",m.nii,\r\n";
static const char images_text[] =
    "patient\tstudy\tsequence\tpath\tlesion\nP1\tS1\tT2\ta.nii\tL1\nP1\tS1\tDWI\tsub/b.nii\t\nP2\tS1\tT2\tc.nii\t\n";
static const char *const dictionary[] = {"\"",   "\t",       "\n",  "\r",      ",",      "[",      "]",    "{",  "}",
                                         ": ",   "- ",       "&a",  "*a",      "<<: *a", "!!int ", "'",    "#",  "\xEF\xBB\xBF",
                                         "\xFF", "\xE6\xBC", "-1",  "1e999",   "0x10",   "..",     "../x", "/x", "NA",
                                         "n/a",  "---\n",    "|\n", "\\u0000", "? ",     "%"};

static uint64_t next(uint64_t *s) { /* xorshift64* */
    *s ^= *s >> 12;
    *s ^= *s << 25;
    *s ^= *s >> 27;
    return *s * UINT64_C(2685821657736338717);
}

/* Changes `text` (capacity `cap`) in one to four places; returns the new length. */
static size_t mutate(char *text, size_t n, size_t cap, uint64_t *seed) {
    for (uint64_t k = next(seed) % 4 + 1; k > 0; k--) {
        size_t at = n ? next(seed) % n : 0, len = n ? next(seed) % (n - at < 12 ? n - at + 1 : 12) : 0;
        const char *word = dictionary[next(seed) % (sizeof dictionary / sizeof dictionary[0])];
        switch (next(seed) % 5) {
        case 0:
            if (n)
                text[at] = (char)next(seed);
            break;
        case 1: /* cut */
            memmove(text + at, text + at + len, n - at - len);
            n -= len;
            break;
        case 2: /* double */
            if (n + len <= cap) {
                memmove(text + at + len, text + at, n - at);
                n += len;
            }
            break;
        case 3:
            len = strlen(word);
            if (n + len <= cap) {
                memmove(text + at + len, text + at, n - at);
                memcpy(text + at, word, len);
                n += len;
            }
            break;
        default: /* end early */
            if (next(seed) % 8 == 0)
                n = at;
        }
    }
    return n;
}

static void put(const char *dir, const char *name, const char *text, size_t n) {
    char path[128];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

static void assert_sound(rad_status st, rad_issues *issues) {
    assert_true(st == RAD_OK || st == RAD_E_CONFIG);
    assert_int_equal(st == RAD_E_CONFIG, issues->n_error > 0);
    for (size_t i = 0; i < issues->n; i++) {
        const char *s = issues->item[i].text;
        for (size_t n = strlen(s), m; n > 0; s += m, n -= m) {
            m = utf8_length((const unsigned char *)s, n);
            if (m == 0 || (unsigned char)*s < 0x20 || *s == 0x7F)
                fail_msg("issue text '%s'", issues->item[i].text);
        }
    }
    rad_issues_release(issues);
}

static void jobs(void **state) {
    (void)state;
    const char *dir = unit_folder();
    char text[4096], path[128];
    uint64_t seed = 20240607;
    int good = 0;
    snprintf(path, sizeof path, "%s/j.yaml", dir);
    for (int i = 0; i < ROUNDS; i++) {
        memcpy(text, job_text, sizeof job_text);
        size_t n = i == 0 ? sizeof job_text - 1 : mutate(text, sizeof job_text - 1, sizeof text, &seed);
        put(dir, "j.yaml", text, n);
        rad_job *job = NULL;
        rad_issues issues = {0};
        rad_error err = {0};
        rad_status st = rad_job_read(path, &job, &issues, &err);
        good += st == RAD_OK;
        assert_sound(st, &issues);
        rad_job_destroy(&job);
    }
    assert_true(good > 100 && good < ROUNDS - 1000);
    unit_remove(dir);
}

static void tables(void **state) {
    (void)state;
    static const struct {
        const char *name, *text;
    } kase[] = {{"patients.tsv", patients_text},
                {"lesions.csv", lesions_text},
                {"images.tsv", images_text},
                {"centers.tsv", "center\tcohort\nA\tinternal\nB\texternal\n"}};
    const char *dir = unit_folder();
    char text[4096], path[128];
    uint64_t seed = 7;
    int good = 0;
    rad_job *job = NULL;
    rad_issues job_issues = {0};
    rad_error err = {0};
    put(dir, "j.yaml", job_text, sizeof job_text - 1);
    snprintf(path, sizeof path, "%s/j.yaml", dir);
    assert_ok(rad_job_read(path, &job, &job_issues, &err));
    for (size_t i = 0; i < 4; i++)
        put(dir, kase[i].name, kase[i].text, strlen(kase[i].text));
    for (int i = 0; i < ROUNDS; i++) {
        size_t which = (size_t)i % 4, n = strlen(kase[which].text);
        memcpy(text, kase[which].text, n);
        n = i == 0 ? n : mutate(text, n, sizeof text, &seed);
        put(dir, kase[which].name, text, n);
        rad_cohort *cohort = NULL;
        rad_manifest *manifest = NULL;
        rad_issues issues = {0};
        rad_status st = rad_cohort_read(dir, NULL, &cohort, &issues, &err);
        if (st == RAD_OK)
            st = rad_manifest_build(cohort, job, &manifest, &issues, &err);
        good += st == RAD_OK;
        if (st == RAD_OK)
            assert_int_equal(manifest->n_case, cohort->n_lesion);
        assert_sound(st, &issues);
        rad_manifest_destroy(&manifest);
        rad_cohort_destroy(&cohort);
        put(dir, kase[which].name, kase[which].text, strlen(kase[which].text));
    }
    assert_true(good > 100 && good < ROUNDS - 1000);
    rad_job_destroy(&job);
    rad_issues_release(&job_issues);
    unit_remove(dir);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(jobs), cmocka_unit_test(tables)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* conversion: patterns, rules with what is not known, times and days, the allow-list of sidecars, HMAC vectors. */
#include "unit.h"

#include <math.h>

#include "cohort/convert_dicom.h"
#include "cohort/convert_rules.h"
#include "cohort/convert_sidecar.h"

static void patterns_fit_in_any_case_and_linear_time(void **state) {
    (void)state;
    assert_true(rules_glob("*t2*tse*", "AX T2 fs TSE 3mm"));
    assert_false(rules_glob("t2", "t2 tse"));
    assert_true(rules_glob("?2*", "T2"));
    assert_true(rules_glob("*", ""));
    assert_false(rules_glob("?", ""));
    char text[4001], pattern[401];
    memset(text, 'a', 4000);
    text[4000] = '\0';
    for (int i = 0; i < 400; i += 2)
        memcpy(pattern + i, "*a", 2);
    pattern[399] = 'b';
    pattern[400] = '\0';
    assert_false(rules_glob(pattern, text)); /* exponential for a naive matcher */
    rule_patterns p = {2, (char *[]){(char[]){"adc"}, (char[]){"m?"}}};
    assert_true(rules_any(&p, "DERIVED\\ADC"));
    assert_true(rules_any(&p, "M1"));
    assert_false(rules_any(&p, "DERIVED\\M"));
}

static void rules_say_what_fails_first(void **state) {
    (void)state;
    static const char yaml[] = "rules:\n"
                               "  - {name: dwi, sequence: DWI, modality: MR, b_value: [500, 1000]}\n"
                               "  - {name: t2, sequence: T2, modality: MR, echo_time_ms: [60, 120], not_description: '*fs*'}\n";
    rad_issues issues = {0};
    rad_error err = {0};
    arena *a = arena_create();
    rule_set set;
    assert_int_equal(rules_read("x.yaml", yaml, sizeof yaml - 1, a, &set, &issues, &err), RAD_OK);
    assert_int_equal(set.n_rule, 2);
    rule_facts f = {.text[RULE_MODALITY] = "MR", .from_headers = true};
    for (int i = 0; i < RULE_NUMBER_COUNT; i++)
        f.low[i] = f.high[i] = NAN;
    rule_verdict v;
    rules_match(&set, &f, true, NULL, &v);
    assert_int_equal(v.rule, 0); /* the b-value may still come */
    f.from_headers = false;
    rules_match(&set, &f, false, NULL, &v);
    assert_int_equal(v.rule, -1);
    f.low[RULE_ECHO_TIME] = 10;
    f.high[RULE_ECHO_TIME] = 90;
    rules_match(&set, &f, false, NULL, &v); /* a range that sticks out is not met, but possible */
    assert_int_equal(v.rule, -1);
    f.low[RULE_ECHO_TIME] = 90;
    rules_match(&set, &f, false, NULL, &v);
    assert_int_equal(v.rule, 1);
    f.text[RULE_DESCRIPTION] = "t2 FS Miller";
    rules_match(&set, &f, false, NULL, &v);
    assert_int_equal(v.rule, -1);
    assert_int_equal(v.nearest, 1);
    assert_string_equal(v.why, "description fits not_description"); /* never the text itself */
    f.low[RULE_B_VALUE] = 0;                                        /* an image of b 0 and 800 is a diffusion image */
    f.high[RULE_B_VALUE] = 800;
    rules_match(&set, &f, false, NULL, &v);
    assert_int_equal(v.rule, 0);
    arena_destroy(a);
    rad_issues_release(&issues);
}

static void times_and_days(void **state) {
    (void)state;
    int64_t d = 0, e = 0;
    assert_true(dicom_seconds("101530.25") == 36930.25);
    assert_true(dicom_seconds("10:15:30") == 36930);
    assert_true(dicom_seconds("1015") == 36900);
    assert_true(isnan(dicom_seconds("")));
    assert_true(isnan(dicom_seconds("256000")));
    assert_true(isnan(dicom_seconds("10x530")));
    assert_true(dicom_days("19700101", &d) && d == 0);
    assert_true(dicom_days("20000229", &d) && dicom_days("20000301", &e) && e == d + 1);
    assert_false(dicom_days("19000229", &d));
    assert_false(dicom_days("20201301", &d));
    assert_false(dicom_days("2020-1-1", &d));
}

static void sidecars_keep_what_is_allowed(void **state) {
    (void)state;
    json_t *raw = json_pack("{s:s, s:s, s:f, s:s, s:[s,s], s:[f,f], s:s}", "Manufacturer", "GE", "PatientName", "Miller", "EchoTime", 0.08,
                            "RepetitionTime", "a text", "ImageType", "ORIGINAL", "M", "ImageOrientationPatientDICOM", 1.0, 0.0, "Modality",
                            "a text that is far too long for a modality and may well hold a sentence about somebody");
    json_t *o = sidecar_clean(raw);
    assert_int_equal(json_object_size(o), 3);
    arena *a = arena_create();
    for (int k = 0; k < sidecar_count(); k++) {
        char *v = NULL;
        assert_int_equal(sidecar_value(o, k, a, &v, NULL), RAD_OK);
        if (strcmp(sidecar_column(k), "echo_time_ms") == 0)
            assert_string_equal(v, "80");
        else if (strcmp(sidecar_column(k), "image_type") == 0)
            assert_string_equal(v, "ORIGINAL\\M");
    }
    const double axial[6] = {1, 0, 0, 0, 1, 0}, sagittal[6] = {0, 1, 0, 0, 0, -1}, none[6] = {1, 0, 0, 1, 0, 0};
    assert_string_equal(sidecar_orientation(axial), "axial");
    assert_string_equal(sidecar_orientation(sagittal), "sagittal");
    assert_null(sidecar_orientation(none));
    arena_destroy(a);
    json_decref(o);
    json_decref(raw);
}

/* RFC 4231, test cases 2 and 6. */
static void hmac_matches_published_vectors(void **state) {
    (void)state;
    uint8_t h[RAD_SHA256_BYTES], want[RAD_SHA256_BYTES], key[131];
    static const char *const data = "Test Using Larger Than Block-Size Key - Hash Key First";
    assert_int_equal(rad_hmac_sha256("Jefe", 4, "what do ya want for nothing?", 28, h, NULL), RAD_OK);
    assert_true(rad_sha256_bytes("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843", want));
    assert_memory_equal(h, want, sizeof h);
    memset(key, 0xaa, sizeof key);
    assert_int_equal(rad_hmac_sha256(key, sizeof key, data, strlen(data), h, NULL), RAD_OK);
    assert_true(rad_sha256_bytes("60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54", want));
    assert_memory_equal(h, want, sizeof h);
    uint8_t one[16] = {0}, two[16] = {0};
    assert_int_equal(rad_random_bytes(one, sizeof one, NULL), RAD_OK);
    assert_int_equal(rad_random_bytes(two, sizeof two, NULL), RAD_OK);
    assert_memory_not_equal(one, two, sizeof one);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(patterns_fit_in_any_case_and_linear_time),
        cmocka_unit_test(rules_say_what_fails_first),
        cmocka_unit_test(times_and_days),
        cmocka_unit_test(sidecars_keep_what_is_allowed),
        cmocka_unit_test(hmac_matches_published_vectors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

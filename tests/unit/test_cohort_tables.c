/* The five tables: what is read from good ones, and where mistakes are said to be. `--dump` prints the columns for
 * tests/cli/t_schema_tables.py. */
#include "unit.h"

#include <math.h>

#include "cohort/cohort_rows.h"
#include "cohort/utf8.h"

#define CENTERS "center\tcohort\nA\tinternal\nB\texternal\n"
#define PATIENTS "patient\tcenter\tlabel\nP1\tA\tbenign\nP2\tB\tmalignant\n"
#define IMAGES "patient\tsequence\tpath\nP1\tT2\ta.nii\nP2\tT2\tb.nii\n"

typedef struct fixture {
    char dir[64];
    rad_cohort *cohort;
    rad_issues issues;
    rad_status st;
} fixture;

static void write_text(const fixture *f, const char *name, const char *text, size_t size) {
    rad_error err = {0};
    char path[128];
    snprintf(path, sizeof path, "%s/%s", f->dir, name);
    assert_ok(rad_file_write_atomic(path, text, size, &err));
}

static void start(fixture *f) {
    *f = (fixture){0};
    snprintf(f->dir, sizeof f->dir, "%s", unit_folder());
    write_text(f, "centers.tsv", CENTERS, strlen(CENTERS));
    write_text(f, "patients.tsv", PATIENTS, strlen(PATIENTS));
    write_text(f, "images.tsv", IMAGES, strlen(IMAGES));
}

static void read_cohort(fixture *f) {
    rad_error err = {0};
    f->st = rad_cohort_read(f->dir, &(rad_cohort_opts){.skip_file_check = true}, &f->cohort, &f->issues, &err);
    assert_int_equal(f->st == RAD_OK, f->cohort != NULL);
    assert_int_equal(f->st == RAD_OK, f->issues.n_error == 0);
}

static void stop(fixture *f) {
    rad_cohort_destroy(&f->cohort);
    rad_issues_release(&f->issues);
    unit_remove(f->dir);
}

/* The only issue is at this place and contains the text. */
static void assert_issue(const fixture *f, int64_t line, const char *column, const char *part) {
    if (f->issues.n != 1)
        rad_issues_print(&f->issues, stderr);
    assert_int_equal(f->issues.n, 1);
    const rad_issue *i = &f->issues.item[0];
    if (i->line != line || !strstr(i->text, part) || (column && (!i->column || strcmp(i->column, column) != 0)))
        fail_msg("issue '%s' at line %lld column %s, wanted '%s' at line %lld column %s", i->text, (long long)i->line,
                 i->column ? i->column : "-", part, (long long)line, column ? column : "-");
}

static void values(void **state) {
    (void)state;
    static const char patients[] =
        "patient\tcenter\tlabel\tfold\tage\tsex\tgrade\tnote\nP1\tA\tbenign\t3\t95\tF\tIII\t\nP2\tB\tn/a\tn/a\t\tmale\tNA\t x y \n";
    static const char lesions[] = "patient,lesion,label,box,point,mask,size_mm,study\r\n"
                                  "P1,L1,benign,\"[1, 2, 3, 4, 5, 6]\",,,12.5,S2\r\nP1,L2,n/a,,\"1.5 2 3.25\",m.nii.gz,,\r\n";
    static const char images[] = "path\tsequence\tlesion\tstudy\tpatient\nsub/a.nii\tT2\tL1\tS1\tP1\nb.nii\tT2\t\t\tP2\n";
    static const char readings[] = "session\treader\tpatient\tlesion\tcall\trating\texperience_years\tcapsule\tsize\n"
                                   "\tR1\tP1\tL2\tbenign\t\t7.5\tyes\t\n\tR1\tP1\t\t\t4\t\t\t\n2\tR1\tP1\tL2\t\t\t\tno\t12.5\n";
    fixture f;
    start(&f);
    write_text(&f, "patients.tsv", patients, strlen(patients));
    write_text(&f, "lesions.csv", lesions, strlen(lesions));
    write_text(&f, "images.tsv", images, strlen(images));
    write_text(&f, "readings.tsv", readings, strlen(readings));
    read_cohort(&f);
    assert_int_equal(f.issues.n, 0);
    const rad_cohort *c = f.cohort;
    assert_int_equal(c->n_center, 2);
    assert_true(!c->center[0].external && c->center[1].external);
    assert_int_equal(c->n_patient, 2);
    assert_int_equal(c->patient[0].fold, 3);
    assert_true(c->patient[0].age == 90.0); /* capped */
    assert_true(isnan(c->patient[1].age));
    assert_int_equal(c->patient[1].fold, -1);
    assert_null(c->patient[1].label);
    assert_string_equal(c->patient[1].sex, "male");
    assert_int_equal(c->patient[0].n_covariate, 1);
    assert_string_equal(c->patient[0].covariate[0].name, "grade");
    assert_string_equal(c->patient[0].covariate[0].value, "III");
    assert_int_equal(c->patient[1].n_covariate, 1);
    assert_string_equal(c->patient[1].covariate[0].name, "note");
    assert_string_equal(c->patient[1].covariate[0].value, "x y");
    assert_int_equal(c->n_lesion, 2);
    static const int64_t box[6] = {1, 2, 3, 4, 5, 6};
    assert_true(c->lesion[0].has_box && !c->lesion[0].has_point && !c->lesion[0].has_mask);
    assert_memory_equal(c->lesion[0].box, box, sizeof box);
    assert_true(c->lesion[0].size_mm == 12.5);
    assert_string_equal(c->lesion[0].study, "S2");
    assert_string_equal(c->lesion[1].label, "n/a");
    assert_true(c->lesion[1].has_point && c->lesion[1].has_mask && c->lesion[1].point[2] == 3.25);
    assert_int_equal(c->lesion[1].line, 3);
    assert_int_equal(c->image[0].lesion, 0);
    assert_int_equal(c->image[1].lesion, -1);
    assert_string_equal(c->image[1].study, "");
    assert_string_equal(c->image[0].path, "sub/a.nii");
    assert_int_equal(c->reading[0].lesion, 1);
    assert_int_equal(c->reading[1].lesion, -1);
    assert_null(c->reading[0].session);
    assert_int_equal(c->reading[0].n_feature, 1);
    assert_int_equal(c->reading[1].n_feature, 0);
    assert_string_equal(c->reading[2].session, "2"); /* the same case again */
    assert_int_equal(c->reading[2].n_feature, 2);
    assert_string_equal(c->reading[2].feature[1].name, "size");
    assert_string_equal(c->reading[2].feature[1].value, "12.5");
    assert_true(c->reading[0].experience_years == 7.5 && isnan(c->reading[0].rating) && c->reading[1].rating == 4);
    stop(&f);
}

/* The hash names the tables' bytes: any change changes it, a second reading does not. */
static void identity(void **state) {
    (void)state;
    fixture f;
    char first[RAD_SHA256_HEX];
    start(&f);
    read_cohort(&f);
    memcpy(first, f.cohort->sha256, sizeof first);
    static const struct {
        const char *name, *text;
    } part[] = {{"patients.tsv", PATIENTS}, {"images.tsv", IMAGES}, {"centers.tsv", CENTERS}};
    char all[400] = "", one[RAD_SHA256_HEX], want[RAD_SHA256_HEX];
    rad_error err = {0};
    for (size_t i = 0, at = 0; i < 3; i++) {
        assert_ok(rad_sha256(part[i].text, strlen(part[i].text), one, &err));
        at += (size_t)snprintf(all + at, sizeof all - at, "%s %zu %s\n", part[i].name, strlen(part[i].text), one);
    }
    assert_ok(rad_sha256(all, strlen(all), want, &err));
    assert_string_equal(first, want);
    rad_cohort_destroy(&f.cohort);
    read_cohort(&f);
    assert_string_equal(first, f.cohort->sha256);
    rad_cohort_destroy(&f.cohort);
    write_text(&f, "centers.tsv", CENTERS "\n", strlen(CENTERS) + 1);
    read_cohort(&f);
    assert_string_not_equal(first, f.cohort->sha256);
    stop(&f);
}

/* Lines are those of the file, whatever the line ends, empty lines and quoted line breaks before. */
static void lines(void **state) {
    (void)state;
    static const struct {
        const char *name, *text;
        int64_t line;
    } kase[] = {
        {"patients.tsv", "patient\tcenter\tlabel\n\n  \nP1\tA\tbenign\n\nP2\tX\tb\n", 6},
        {"patients.tsv", "patient\tcenter\tlabel\r\nP1\tA\tbenign\r\n\r\nP2\tX\tb\r\n", 4},
        {"patients.tsv", "patient\tcenter\tlabel\rP1\tA\tbenign\rP2\tX\tb", 3},
        {"patients.tsv", "\xEF\xBB\xBFpatient\tcenter\tlabel\nP2\tX\tb", 2},
        {"patients.tsv", "patient\tcenter\tlabel\n\"P1\"\t\"A\"\t\"benign\"\n\"P2\"\t\"X\"\t\"b\"\n", 3},
    };
    for (size_t i = 0; i < sizeof kase / sizeof kase[0]; i++) {
        fixture f;
        start(&f);
        static const char images[] = "patient\tsequence\tpath\nP2\tT2\tb.nii\n"; /* P1 may be absent: only one issue is wanted */
        write_text(&f, "centers.tsv", "center\tcohort\nA\tinternal\n", 25);
        write_text(&f, "images.tsv", images, strlen(images));
        write_text(&f, kase[i].name, kase[i].text, strlen(kase[i].text));
        read_cohort(&f);
        size_t errors = 0;
        for (size_t k = 0; k < f.issues.n; k++)
            if (f.issues.item[k].severity == RAD_SEVERITY_ERROR) {
                errors++;
                assert_int_equal(f.issues.item[k].line, kase[i].line);
                assert_string_equal(f.issues.item[k].column, "center");
            }
        assert_int_equal(errors, 1);
        stop(&f);
    }
}

/* After a misplaced quote or a line break in quotes the rows that follow are still read, with their own lines. */
static void recovery(void **state) {
    (void)state;
    static const char text[] = "patient\tcenter\tlabel\nP1\tA\tben\"ign\nP3\tA\t\"two\nlines\"\nP2\tX\tmalignant\nP4\tA\tb\n";
    fixture f;
    start(&f);
    write_text(&f, "images.tsv", "patient\tsequence\tpath\n", 22);
    write_text(&f, "patients.tsv", text, strlen(text));
    read_cohort(&f);
    int64_t seen = 0;
    for (size_t k = 0; k < f.issues.n; k++)
        if (f.issues.item[k].severity == RAD_SEVERITY_ERROR)
            seen = seen * 10 + f.issues.item[k].line;
    assert_int_equal(seen, 235);
    stop(&f);
}

static void limits(void **state) {
    (void)state;
    fixture f;
    start(&f);
    size_t n = RAD_MAX_FIELD_BYTES + 100;
    char *text = malloc(n + 200);
    assert_non_null(text);
    int at = snprintf(text, 100, "center\tcohort\nA\tinternal\nB\texternal\n");
    memset(text + at, 'x', n);
    snprintf(text + at + n, 50, "\tinternal\n");
    write_text(&f, "centers.tsv", text, strlen(text));
    read_cohort(&f);
    assert_issue(&f, 4, "center", "bytes in one field, the limit is 65536");
    stop(&f);
    start(&f);
    at = 0;
    for (int i = 0; i <= TABLE_MAX_COLUMNS; i++)
        at += snprintf(text + at, 20, "%sc%d", i ? "\t" : "", i);
    write_text(&f, "centers.tsv", text, strlen(text));
    read_cohort(&f);
    assert_issue(&f, 1, NULL, "1025 columns, the limit is 1024");
    free(text);
    stop(&f);
}

static void nul_bytes(void **state) {
    (void)state;
    static const char text[] = "center\tcohort\nA\tinternal\nB\0C\texternal\n";
    fixture f;
    start(&f);
    write_text(&f, "centers.tsv", text, sizeof text - 1);
    read_cohort(&f);
    assert_true(f.issues.n_error >= 1);
    assert_int_equal(f.issues.item[0].line, 3);
    stop(&f);
}

static void utf8(void **state) {
    (void)state;
    static const struct {
        const char *text;
        size_t n, want;
    } kase[] = {{"a", 1, 1},
                {"\xC3\xA9", 2, 2},
                {"\xC3", 1, 0},
                {"\xC0\x80", 2, 0},
                {"\xE0\x9F\xBF", 3, 0},
                {"\xE0\xA0\x80", 3, 3},
                {"\xED\xA0\x80", 3, 0},
                {"\xED\x9F\xBF", 3, 3},
                {"\xEF\xBF\xBD", 3, 3},
                {"\xF0\x8F\xBF\xBF", 4, 0},
                {"\xF0\x90\x80\x80", 4, 4},
                {"\xF4\x8F\xBF\xBF", 4, 4},
                {"\xF4\x90\x80\x80", 4, 0},
                {"\xF5\x80\x80\x80", 4, 0},
                {"\x80", 1, 0},
                {"\xE2\x82", 2, 0},
                {"", 0, 0}};
    for (size_t i = 0; i < sizeof kase / sizeof kase[0]; i++)
        assert_int_equal(utf8_length((const unsigned char *)kase[i].text, kase[i].n), kase[i].want);
}

/* Outputs stay as they were when reading fails. */
static void failure_leaves_outputs(void **state) {
    (void)state;
    fixture f;
    start(&f);
    rad_cohort mark, *c = &mark;
    rad_error err = {0};
    write_text(&f, "images.tsv", "patient\n", 8);
    assert_fails(rad_cohort_read(f.dir, NULL, &c, &f.issues, &err), RAD_E_CONFIG, "mistake");
    assert_ptr_equal(c, &mark);
    rad_issues_release(&f.issues);
    assert_fails(rad_cohort_read("/nonexistent/folder", NULL, &c, &f.issues, &err), RAD_E_CONFIG, "cannot be opened");
    assert_ptr_equal(c, &mark);
    assert_int_equal(f.issues.n_error, 1);
    stop(&f);
}

static int dump(void) {
    for (int i = 0; i < RAD_TABLE_COUNT; i++) {
        const table_def *d = &cohort_table[i];
        for (const table_column *c = d->column; c->name; c++)
            printf("%s\t%d\t%d\t%s\t%d\n", d->name, d->required, d->covariates, c->name, c->need);
    }
    return 0;
}

int main(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "--dump") == 0)
        return dump();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values), cmocka_unit_test(identity),  cmocka_unit_test(lines), cmocka_unit_test(recovery),
        cmocka_unit_test(limits), cmocka_unit_test(nul_bytes), cmocka_unit_test(utf8),  cmocka_unit_test(failure_leaves_outputs)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

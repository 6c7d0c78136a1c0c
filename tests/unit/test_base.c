/* base: statuses, error text, memory, buffers, files, hashes, words. */
#include "unit.h"

#include <sys/stat.h>

#include "radcohort/issue.h"

static void status_scopes_follow_the_ranges(void **state) {
    (void)state;
    assert_int_equal(rad_status_scope(RAD_OK), RAD_SCOPE_NONE);
    for (int s = -1; s >= -12; s--) {
        assert_int_equal(rad_status_scope((rad_status)s), RAD_SCOPE_STUDY);
        assert_string_not_equal(rad_status_reason((rad_status)s), "unknown");
    }
    assert_int_equal(rad_status_scope(RAD_E_NOMEM), RAD_SCOPE_WORKER);
    assert_int_equal(rad_status_scope(RAD_E_DEVICE), RAD_SCOPE_WORKER);
    for (int s = -50; s >= -56; s--) {
        assert_int_equal(rad_status_scope((rad_status)s), RAD_SCOPE_RUN);
        assert_string_not_equal(rad_status_reason((rad_status)s), "unknown");
    }
}

static void error_text_is_formatted_prefixed_and_cut(void **state) {
    (void)state;
    rad_error err = {0};
    assert_int_equal(rad_error_set(&err, RAD_E_IO, "cannot read '%s'", "x"), RAD_E_IO);
    assert_string_equal(err.text, "cannot read 'x'");
    assert_int_equal(rad_error_prefix(&err, RAD_E_IO, "patient '%s': ", "P1"), RAD_E_IO);
    assert_string_equal(err.text, "patient 'P1': cannot read 'x'");
    assert_int_equal(rad_error_set(NULL, RAD_E_IO, "nobody listens"), RAD_E_IO);
    char big[2000];
    memset(big, 'a', sizeof big);
    big[sizeof big - 1] = '\0';
    rad_error_set(&err, RAD_E_IO, "%s", big);
    assert_int_equal(strlen(err.text), RAD_ERROR_TEXT - 1);
    assert_int_equal(err.text[RAD_ERROR_TEXT - 2], '+');
    for (size_t i = 0; i + 2 < sizeof big; i += 2)
        memcpy(big + i, "\xc3\xa4", 2); /* two-byte characters: the cut must not halve one */
    big[sizeof big - 2] = '\0';
    rad_error_set(&err, RAD_E_IO, "x%s", big);
    size_t n = strlen(err.text);
    assert_int_equal(err.text[n - 1], '+');
    assert_int_equal((n - 2) % 2, 0);
}

static void sizes_do_not_overflow(void **state) {
    (void)state;
    size_t r = 7;
    assert_false(rad_mul_size(SIZE_MAX, 2, &r));
    assert_int_equal(r, 7);
    assert_true(rad_mul_size(SIZE_MAX, 1, &r));
    assert_true(rad_mul_size(0, SIZE_MAX, &r));
    assert_int_equal(r, 0);
    assert_false(rad_add_size(SIZE_MAX, 1, &r));
    assert_null(rad_realloc(NULL, SIZE_MAX, 2));
}

static void allocations_fail_on_demand(void **state) {
    (void)state;
    rad_mem_fail_after(2);
    void *a = rad_malloc(1), *b = rad_malloc(1), *c = rad_malloc(1);
    rad_mem_fail_after(0);
    assert_non_null(a);
    assert_null(b);
    assert_null(c);
    free(a);
    void *p = rad_aligned(100);
    assert_int_equal((uintptr_t)p % 64, 0);
    free(p);
}

static void buffer_keeps_its_limit(void **state) {
    (void)state;
    rad_error err = {0};
    rad_buf b;
    rad_buf_init(&b, 10);
    assert_ok(rad_buf_printf(&b, &err, "%d-%s", 12, "abc"));
    assert_string_equal(b.data, "12-abc");
    assert_fails(rad_buf_put(&b, "12345", 5, &err), RAD_E_LIMIT, "10 bytes");
    assert_string_equal(b.data, "12-abc");
    assert_ok(rad_buf_put(&b, "1234", 4, &err));
    assert_int_equal(b.size, 10);
    rad_buf_release(&b);
}

static void files_are_read_written_and_refused(void **state) {
    (void)state;
    rad_error err = {0};
    const char *dir = unit_folder();
    char *path = rad_path_join(dir, "a/b/file");
    char *sub = rad_path_dir(path);
    assert_ok(rad_mkdirs(sub, &err));
    assert_ok(rad_mkdirs(sub, &err)); /* again */
    assert_ok(rad_file_write_atomic(path, "hello", 5, &err));
    char *data = NULL;
    size_t size = 0;
    assert_ok(rad_file_read(path, 5, &data, &size, &err));
    assert_int_equal(size, 5);
    assert_string_equal(data, "hello");
    free(data);
    assert_fails(rad_file_read(path, 4, &data, &size, &err), RAD_E_LIMIT, "limit is 4");
    rad_map m = {0};
    assert_ok(rad_map_open(path, 100, &m, &err));
    assert_memory_equal(m.data, "hello", 5);
    rad_map_close(&m);
    assert_ok(rad_file_write_atomic(path, "", 0, &err));
    assert_ok(rad_map_open(path, 100, &m, &err));
    assert_int_equal(m.size, 0);
    rad_map_close(&m);
    assert_fails(rad_map_open(sub, 100, &m, &err), RAD_E_FORMAT, "not a regular file");
    assert_fails(rad_map_open("/nonexistent/x", 100, &m, &err), RAD_E_NOTFOUND, "/nonexistent/x");
    char *fifo = rad_path_join(dir, "fifo");
    assert_int_equal(mkfifo(fifo, 0600), 0);
    assert_fails(rad_file_read(fifo, 100, &data, &size, &err), RAD_E_FORMAT, "not a regular file"); /* must not hang */
    assert_fails(rad_mkdirs(path, &err), RAD_E_IO, "make folder");
    assert_fails(rad_file_write_atomic("/nonexistent/x", "a", 1, &err), RAD_E_NOTFOUND, "create");
    free(fifo);
    free(path);
    free(sub);
    unit_remove(dir);
}

static void paths_inside_and_outside(void **state) {
    (void)state;
    assert_true(rad_path_is_inside("a/b.nii"));
    assert_true(rad_path_is_inside("a/..b"));
    assert_true(rad_path_is_inside("..."));
    assert_false(rad_path_is_inside("/a"));
    assert_false(rad_path_is_inside("../a"));
    assert_false(rad_path_is_inside("a/../../b"));
    assert_false(rad_path_is_inside("a/.."));
    char *p = rad_path_join("d/", "x");
    assert_string_equal(p, "d/x");
    free(p);
    p = rad_path_join(NULL, "x");
    assert_string_equal(p, "x");
    free(p);
    p = rad_path_join("d", "/x");
    assert_string_equal(p, "/x");
    free(p);
    p = rad_path_dir("x");
    assert_string_equal(p, ".");
    free(p);
    p = rad_path_dir("/x");
    assert_string_equal(p, "/");
    free(p);
}

static void hashes_match_published_vectors(void **state) {
    (void)state;
    rad_error err = {0};
    char hex[RAD_SHA256_HEX], x[RAD_XXH128_HEX];
    assert_ok(rad_sha256("abc", 3, hex, &err)); /* FIPS 180-4 */
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    rad_xxh128("", 0, x); /* xxHash sanity table: XXH3_128bits of nothing, seed 0 */
    assert_string_equal(x, "99aa06d3014798d86001c324468d497f");
    /* in parts and in one pass what each is alone; another seed, another hash; every byte counts */
    enum { MANY = 700001 };
    uint8_t *p = rad_malloc(MANY);
    assert_non_null(p);
    for (int i = 0; i < MANY; i++)
        p[i] = (uint8_t)((unsigned)i * (unsigned)i >> 5);
    char sha[RAD_SHA256_HEX], quick[RAD_XXH128_HEX];
    const rad_map m = {.data = p, .size = MANY};
    assert_ok(rad_sha256(p, MANY, hex, &err));
    rad_xxh128(p, MANY, x);
    assert_ok(rad_map_xxh128(&m, false, 0, quick, sha, &err));
    assert_string_equal(quick, x);
    assert_string_equal(sha, hex);
    assert_ok(rad_map_sha256(&m, false, sha, &err));
    assert_string_equal(sha, hex);
    assert_ok(rad_map_xxh128(&m, false, 5, quick, NULL, &err));
    assert_string_not_equal(quick, x);
    p[MANY - 1] ^= 1;
    assert_ok(rad_map_xxh128(&m, false, 0, quick, NULL, &err));
    assert_string_not_equal(quick, x);
    free(p);
}

static void words_and_numbers(void **state) {
    (void)state;
    static const char *const known[] = {"window", "resize", "normalise", "region", NULL};
    assert_string_equal(rad_nearest_word("windw", known), "window");
    assert_string_equal(rad_nearest_word("wnidow", known), "window");
    assert_string_equal(rad_nearest_word("normalize", known), "normalise");
    assert_null(rad_nearest_word("zzzzzz", known));
    assert_null(rad_nearest_word("", known));
    double d = 0;
    int64_t i = 0;
    assert_true(rad_parse_double("-1.5e3", &d) && d == -1500);
    assert_false(rad_parse_double("1.5x", &d));
    assert_false(rad_parse_double("", &d));
    assert_false(rad_parse_double(" 1", &d));
    assert_true(rad_parse_int("-42", &i) && i == -42);
    assert_false(rad_parse_int("4.2", &i));
    assert_false(rad_parse_int("99999999999999999999", &i));
}

static void issues_come_out_in_order_and_are_bounded(void **state) {
    (void)state;
    rad_issues is = {0};
    rad_issues_add(&is, RAD_SEVERITY_ERROR, "b.tsv", 3, "label", "empty");
    rad_issues_add(&is, RAD_SEVERITY_WARNING, "a.tsv", 9, NULL, "odd %d", 7);
    rad_issues_add(&is, RAD_SEVERITY_ERROR, "b.tsv", 2, "label", "empty");
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);
    rad_issues_print(&is, f);
    fclose(f);
    assert_string_equal(text, "a.tsv:9: warning: odd 7\nb.tsv:2: column 'label': error: empty\nb.tsv:3: column 'label': error: empty\n"
                              "2 errors, 1 warning\n");
    free(text);
    for (int i = 0; i < 2 * RAD_MAX_ISSUES; i++)
        rad_issues_add(&is, RAD_SEVERITY_ERROR, "c", 1, NULL, "x");
    assert_int_equal(is.n, RAD_MAX_ISSUES);
    assert_int_equal(is.n_error, 2 + 2 * RAD_MAX_ISSUES);
    f = open_memstream(&text, &size);
    rad_issues_print(&is, f);
    fclose(f);
    assert_non_null(strstr(text, "b.tsv:3: column 'label': error: empty\nc:1: error: x\n"));
    assert_null(strstr(text, "warning: odd")); /* fifty lines, errors first */
    assert_non_null(strstr(text, "... and 1953 more: mend these first\n2002 errors, 1 warning\n"));
    free(text);
    rad_mem_fail_after(1);
    rad_issues none = {0};
    rad_issues_add(&none, RAD_SEVERITY_ERROR, "c", 1, NULL, "x");
    rad_mem_fail_after(0);
    assert_int_equal(none.n_error, 1); /* counted although it could not be kept */
    rad_issues_release(&none);
    rad_issues_release(&is);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(status_scopes_follow_the_ranges),
        cmocka_unit_test(error_text_is_formatted_prefixed_and_cut),
        cmocka_unit_test(sizes_do_not_overflow),
        cmocka_unit_test(allocations_fail_on_demand),
        cmocka_unit_test(buffer_keeps_its_limit),
        cmocka_unit_test(files_are_read_written_and_refused),
        cmocka_unit_test(paths_inside_and_outside),
        cmocka_unit_test(hashes_match_published_vectors),
        cmocka_unit_test(words_and_numbers),
        cmocka_unit_test(issues_come_out_in_order_and_are_bounded),
    };
    return cmocka_run_group_tests_name("base", tests, NULL, NULL);
}

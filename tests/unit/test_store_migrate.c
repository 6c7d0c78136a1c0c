/* Older files: copied, brought forward in one transaction, or left as they were. The steps are the test's own: a version 1 file is made
 * from today's schema, and a made-up version 2 adds a column, a table made again and a view. */
#include "store_fixture.h"

#include "store/migrate.h"

#include <sys/stat.h>

extern const char rad_embedded_schema_sql[];
extern const char rad_embedded_data_dictionary_sql[];

static char path[128], copy[160];
static const char *folder;
static int setup(void **state) {
    (void)state;
    folder = unit_folder();
    snprintf(path, sizeof path, "%s/s.sqlite", folder);
    snprintf(copy, sizeof copy, "%s.v1.backup", path);
    return 0;
}
static int teardown(void **state) {
    (void)state;
    unit_remove(folder);
    return 0;
}

static const char ADD[] = "ALTER TABLE nightly ADD COLUMN mood TEXT;"
                          "CREATE VIEW v_nightly_mood (nightly_id, mood) AS SELECT nightly_id, mood FROM nightly;";
static const char AGAIN[] = "CREATE TABLE center_new (center_id INTEGER PRIMARY KEY, center TEXT NOT NULL UNIQUE, cohort TEXT NOT NULL,"
                            " name TEXT, country TEXT, beds INTEGER) STRICT;"
                            "INSERT INTO center_new SELECT center_id, center, cohort, name, country, 7 FROM center;"
                            "DROP TABLE center; ALTER TABLE center_new RENAME TO center;";
static const char BROKEN[] = "ALTER TABLE nightly ADD COLUMN mood TEXT; INSERT INTO no_such_table VALUES (1);";
static const char ORPHAN[] = "DELETE FROM center;";

/* A finished run in a file of version 1, and its result hash. */
static void make_first(char hash[RAD_SHA256_HEX]) {
    fixture f;
    rad_error err;
    rad_store *st = NULL;
    rad_pending_case *p = NULL;
    int64_t run, n, excluded;
    bool resumed, finished;
    fx_create(&f, (fx_shape){.n_center = 2, .n_patient = 6, .n_class = 2, .n_model = 1, .n_slice = 2});
    assert_ok(rad_store_open(path, RAD_STORE_WRITE, &st, &err));
    assert_ok(rad_store_begin_run(st, &f.info, &run, &resumed, &finished, &p, &n, &err));
    fx_result *r = malloc(sizeof *r);
    for (int64_t i = 0; i < n; i++) {
        assert_ok(rad_store_lease(st, run, &p[i].case_id, 1, 0, &err));
        assert_ok(rad_store_put_result(st, run, fx_make(&f, p[i].manifest_index, p[i].case_id, -1, r), &err));
    }
    assert_ok(rad_store_finish_run(st, run, &f.job, &excluded, &err));
    assert_ok(rad_store_result_hash(st, run, hash, &err));
    rad_store_close(&st);
    free(r);
    free(p);
    fx_destroy(&f);
}

static rad_status bring(const rad_migration *m, rad_error *err) {
    struct rad_store st = {.path = path, .mode = RAD_STORE_WRITE};
    assert_int_equal(sqlite3_open_v2(path, &st.db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_exec(st.db, "PRAGMA foreign_keys = ON", NULL, NULL, NULL), SQLITE_OK);
    const rad_status s = rad_migrate(&st, m, 1, err);
    for (int i = 0; i < st.n_cache; i++)
        sqlite3_finalize(st.cache[i].stmt);
    sqlite3_close(st.db);
    return s;
}

static void a_file_is_brought_forward_with_all_it_holds(void **state) {
    (void)state;
    static const char *const STEP[] = {ADD, AGAIN};
    const rad_migration m = {3, rad_embedded_schema_sql, rad_embedded_data_dictionary_sql, STEP};
    char before[RAD_SHA256_HEX], after[RAD_SHA256_HEX];
    rad_error err;
    struct stat sb;
    make_first(before);
    fx_sql(path, "DELETE FROM data_dictionary; INSERT INTO data_dictionary VALUES ('old', 'old', 'of an older program')");
    assert_ok(bring(&m, &err));
    assert_number(path, "SELECT user_version FROM pragma_user_version", 3);
    assert_number(path, "SELECT count(*) FROM v_nightly_mood", 0);
    assert_number(path, "SELECT sum(beds) FROM center", 14);
    assert_number(path, "SELECT count(*) FROM pragma_foreign_key_check", 0);
    assert_number(path, "SELECT count(*) FROM data_dictionary WHERE object = 'old'", 0);
    assert_number(path, "SELECT count(*) > 200 FROM data_dictionary", 1);
    /* the copy is the file as it was, for its owner alone, and opens */
    assert_int_equal(stat(copy, &sb), 0);
    assert_int_equal(sb.st_mode & 0777, 0600);
    assert_number(copy, "SELECT user_version FROM pragma_user_version", 1);
    rad_store *st = NULL;
    assert_ok(rad_store_open(copy, RAD_STORE_READ, &st, &err));
    assert_ok(rad_store_result_hash(st, 1, after, &err));
    assert_string_equal(before, after);
    rad_store_close(&st);
    /* this program is the older one now */
    assert_fails(rad_store_open(path, RAD_STORE_READ, &st, &err), RAD_E_STORE, "made by a newer radcohort");
    fx_sql(path, "PRAGMA user_version = 1");
    assert_ok(rad_store_open(path, RAD_STORE_READ, &st, &err));
    assert_ok(rad_store_result_hash(st, 1, after, &err));
    assert_string_equal(before, after);
    rad_store_close(&st);
}

static void a_step_that_fails_leaves_the_file_as_it_was(void **state) {
    (void)state;
    static const char *const FIRST[] = {BROKEN}, *const SECOND[] = {ADD, BROKEN}, *const THIRD[] = {ORPHAN};
    const rad_migration m[] = {{2, rad_embedded_schema_sql, rad_embedded_data_dictionary_sql, FIRST},
                               {3, rad_embedded_schema_sql, rad_embedded_data_dictionary_sql, SECOND},
                               {2, rad_embedded_schema_sql, rad_embedded_data_dictionary_sql, THIRD}};
    char before[RAD_SHA256_HEX], after[RAD_SHA256_HEX];
    rad_error err;
    rad_store *st = NULL;
    make_first(before);
    assert_fails(bring(&m[0], &err), RAD_E_STORE, "from version 1 to 2");
    assert_fails(bring(&m[1], &err), RAD_E_STORE, "the file is as it was (schema version 1)");
    assert_fails(bring(&m[2], &err), RAD_E_STORE, "refer to nothing");
    assert_number(path, "SELECT user_version FROM pragma_user_version", 1);
    assert_number(path, "SELECT count(*) FROM pragma_table_info('nightly') WHERE name = 'mood'", 0);
    assert_number(path, "SELECT count(*) FROM center", 2);
    assert_ok(rad_store_open(path, RAD_STORE_READ, &st, &err));
    assert_ok(rad_store_result_hash(st, 1, after, &err));
    assert_string_equal(before, after);
    rad_store_close(&st);
}

static void without_room_for_the_copy_nothing_is_changed(void **state) {
    (void)state;
    static const char *const STEP[] = {ADD};
    const rad_migration m = {2, rad_embedded_schema_sql, rad_embedded_data_dictionary_sql, STEP};
    char before[RAD_SHA256_HEX], blocked[200];
    rad_error err;
    make_first(before);
    snprintf(blocked, sizeof blocked, "%s.tmp", copy);
    assert_int_equal(mkdir(blocked, 0700), 0); /* a name that cannot be had */
    assert_fails(bring(&m, &err), RAD_E_STORE, "cannot make");
    assert_number(path, "SELECT user_version FROM pragma_user_version", 1);
    assert_int_equal(access(copy, F_OK), -1);
}

/* A real one, from when version 1 was made (version1.sql): whatever version this program has, it reads it after bringing it forward. */
static void the_first_version_is_still_read(void **state) {
    (void)state;
    const char *source = getenv("RAD_SOURCE");
    static const char *const STEP[] = {ADD, AGAIN};
    const rad_migration later = {3, rad_embedded_schema_sql, rad_embedded_data_dictionary_sql, STEP};
    char hash[RAD_SHA256_HEX], file[512], *text = NULL;
    size_t size = 0;
    rad_error err;
    rad_store *st = NULL;
    if (!source)
        skip();
    snprintf(file, sizeof file, "%s/tests/unit/version1.sql", source);
    assert_ok(rad_file_read(file, (size_t)1 << 20, &text, &size, &err));
    fx_sql(path, text);
    free(text);
    assert_number(path, "SELECT user_version FROM pragma_user_version", 1);
    assert_ok(bring(rad_migration_current(), &err));
    assert_ok(rad_store_open(path, RAD_STORE_READ, &st, &err));
    assert_ok(rad_store_result_hash(st, 1, hash, &err));
    assert_string_equal(hash, "698a2ce63955fe02407afc3e5f55705f859648a30e1eb16775e7b9abbfff2ee2");
    rad_store_close(&st);
    assert_number(path, "SELECT count(*) FROM v_case_score", 10);
    assert_number(path, "SELECT count(*) FROM v_slice_score", 6);
    fx_sql(path, "PRAGMA user_version = 1");
    assert_ok(bring(&later, &err));
    assert_number(path, "SELECT sum(beds) FROM center", 28);
    assert_number(path, "SELECT count(*) FROM v_case_score", 10);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_first_version_is_still_read, setup, teardown),
        cmocka_unit_test_setup_teardown(a_file_is_brought_forward_with_all_it_holds, setup, teardown),
        cmocka_unit_test_setup_teardown(a_step_that_fails_leaves_the_file_as_it_was, setup, teardown),
        cmocka_unit_test_setup_teardown(without_room_for_the_copy_nothing_is_changed, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

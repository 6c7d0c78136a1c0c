/* MPI inside the relocatable bundle: told where its parts are when there is a bundle, left alone when there is none. The bundle itself is
 * tested by tests/backend/t_bundle.sh. */
#include "unit.h"

#include "farm/bundle.h"

static void folder(const char *top, const char *name) {
    char path[256];
    rad_error err;
    snprintf(path, sizeof path, "%s/%s", top, name);
    assert_ok(rad_mkdirs(path, &err));
}

static void enters(void **state) {
    (void)state;
    char want[256], path[5000];
    const char *top = unit_folder();
    setenv("OPAL_PREFIX", "/the/launcher's", 1);
    unsetenv("OPAL_PKGLIBDIR");
    assert_false(rad_farm_enter_bundle_at(top)); /* an ordinary installation */
    folder(top, "lib/openmpi");
    assert_false(rad_farm_enter_bundle_at(top)); /* somebody's Open MPI, as below /usr/local */
    assert_string_equal(getenv("OPAL_PREFIX"), "/the/launcher's");
    assert_null(getenv("OPAL_PKGLIBDIR"));
    folder(top, "lib/openmpi/plugins");
    assert_true(rad_farm_enter_bundle_at(top));
    snprintf(want, sizeof want, "%s/lib/openmpi", top);
    assert_string_equal(getenv("OPAL_PREFIX"), want);
    assert_string_equal(getenv("PMIX_PREFIX"), want);
    snprintf(want, sizeof want, "%s/lib/openmpi/plugins", top);
    assert_string_equal(getenv("OPAL_PKGLIBDIR"), want);
    snprintf(want, sizeof want, "%s/lib/openmpi/share", top);
    assert_string_equal(getenv("OPAL_PKGDATADIR"), want);
    snprintf(want, sizeof want, "%s/lib/openmpi/pmix", top);
    assert_string_equal(getenv("PMIX_PKGLIBDIR"), want);
    memset(path, '/', sizeof path);
    path[sizeof path - 1] = '\0';
    assert_false(rad_farm_enter_bundle_at(path)); /* too long for any file system */
    unit_remove(top);
    unsetenv("OPAL_PREFIX");
    rad_farm_enter_bundle(); /* this test is no bundle */
    assert_null(getenv("OPAL_PREFIX"));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(enters)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

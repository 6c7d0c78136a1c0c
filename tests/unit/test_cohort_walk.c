/* One look at many files: each distinct path once, what is missing with its reason, contents as the images' own hash. */
#include "unit.h"

#include "radcohort/cohort.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FOLDERS = 7, FILES = 60 };

static const char *folder;
static int setup(void **state) {
    (void)state;
    folder = unit_folder();
    for (int d = 0; d < FOLDERS; d++) {
        char path[256];
        snprintf(path, sizeof path, "%s/d%d", folder, d);
        assert_int_equal(mkdir(path, 0700), 0);
        for (int i = 0; i < FILES; i++) {
            snprintf(path, sizeof path, "%s/d%d/f%02d.nii", folder, d, i);
            FILE *f = fopen(path, "w");
            fprintf(f, "%*s%d", d * FILES + i, "", d); /* its size tells which it is */
            fclose(f);
        }
    }
    return 0;
}
static int teardown(void **state) {
    (void)state;
    unit_remove(folder);
    return 0;
}

static void every_file_is_looked_at_once_and_lands_in_its_place(void **state) {
    (void)state;
    enum { N = 2 * FOLDERS * FILES + 3 };
    static char name[N][40];
    const char *path[N];
    static rad_file_look one[N], many[N];
    rad_error err;
    for (int k = 0; k < 2; k++) /* every file twice, the folders mixed */
        for (int i = 0; i < FOLDERS * FILES; i++) {
            snprintf(name[k * FOLDERS * FILES + i], sizeof name[0], "d%d/f%02d.nii", i % FOLDERS, i / FOLDERS);
            path[k * FOLDERS * FILES + i] = name[k * FOLDERS * FILES + i];
        }
    path[N - 3] = "d0"; /* no file */
    path[N - 2] = "d0/not_there.nii";
    path[N - 1] = "d0/f00.nii/below.hdr";
    assert_ok(rad_walk_files(folder, path, N, 1, one, &err));
    assert_ok(rad_walk_files(folder, path, N, 16, many, &err));
    for (int i = 0; i < N; i++) {
        assert_true(rad_file_look_same(&one[i], &many[i]));
        assert_true(one[i].looked);
    }
    for (int i = 0; i < 2 * FOLDERS * FILES; i++) {
        const int k = i % (FOLDERS * FILES), d = k % FOLDERS, f = k / FOLDERS;
        assert_int_equal(one[i].error, 0);
        assert_int_equal(one[i].bytes, (d * FILES + f == 0 ? 0 : d * FILES + f) + 1);
        assert_int_equal(one[i].inode, one[k].inode);
    }
    assert_int_equal(one[N - 3].error, EISDIR);
    assert_int_equal(one[N - 2].error, ENOENT);
    assert_int_equal(one[N - 1].error, ENOTDIR);
    assert_true(one[N - 1].pair);
    assert_false(one[0].pair);
}

static void contents_are_those_that_images_are_known_by(void **state) {
    (void)state;
    const char *path[] = {"d1/f03.nii", "d0/gone.nii", "d1/f03.nii", "d2/f04.nii"};
    char content[4][RAD_XXH128_HEX] = {{0}}, want[RAD_XXH128_HEX], *data;
    size_t size;
    rad_error err;
    char full[256];
    assert_ok(rad_walk_contents(folder, path, 4, 4, content, &err));
    snprintf(full, sizeof full, "%s/%s", folder, path[0]);
    assert_ok(rad_file_read(full, 1 << 20, &data, &size, &err));
    rad_xxh128(data, size, want);
    free(data);
    assert_string_equal(content[0], want);
    assert_string_equal(content[2], want);
    assert_string_equal(content[1], "");
    assert_int_equal(strlen(content[3]), 32);
    assert_string_not_equal(content[3], want);
}

static void a_file_that_moved_is_not_the_same(void **state) {
    (void)state;
    const char *path[] = {"d1/f03.nii"};
    char full[256];
    rad_file_look before, after;
    rad_error err;
    assert_ok(rad_walk_files(folder, path, 1, 1, &before, &err));
    assert_ok(rad_walk_files(folder, path, 1, 1, &after, &err));
    assert_true(rad_file_look_same(&before, &after));
    snprintf(full, sizeof full, "%s/%s", folder, path[0]);
    const struct timespec t[2] = {{1000, 1}, {1000, 1}};
    assert_int_equal(utimensat(AT_FDCWD, full, t, 0), 0);
    assert_ok(rad_walk_files(folder, path, 1, 1, &after, &err));
    assert_false(rad_file_look_same(&before, &after));
    assert_int_equal(unlink(full), 0);
    assert_ok(rad_walk_files(folder, path, 1, 1, &before, &err));
    assert_false(rad_file_look_same(&before, &after));
}

static void put(const char *name, const char *text, int64_t seconds) {
    char full[256];
    rad_error err;
    snprintf(full, sizeof full, "%s/%s", folder, name);
    assert_ok(rad_file_write_atomic(full, text, strlen(text), &err));
    const struct timespec t[2] = {{seconds, 1}, {seconds, 1}};
    assert_int_equal(utimensat(AT_FDCWD, full, t, 0), 0);
}

static void a_pair_is_looked_at_in_both_files(void **state) {
    (void)state;
    const char *path[] = {"p/A.hdr", "p/A.img.gz", "p/LONE.IMG"};
    char full[256], want[RAD_XXH128_HEX], content[3][RAD_XXH128_HEX] = {{0}};
    rad_file_look was[3] = {{0}}, now[3] = {{0}};
    rad_error err;
    snprintf(full, sizeof full, "%s/p", folder);
    assert_int_equal(mkdir(full, 0700), 0);
    put("p/A.hdr", "header", 2000);
    put("p/A.img.gz", "voxels", 1000);
    put("p/LONE.IMG", "voxels", 1000);
    assert_ok(rad_walk_files(folder, path, 3, 1, was, &err));
    assert_true(was[0].pair && rad_file_look_same(&was[0], &was[1])); /* whichever half the table names */
    assert_int_equal(was[0].bytes, 12);
    assert_int_equal(was[2].error, ENOENT);
    assert_ok(rad_walk_contents(folder, path, 3, 1, content, &err));
    rad_xxh128("headervoxels", 12, want);
    assert_string_equal(content[0], want);
    assert_string_equal(content[1], want);
    assert_string_equal(content[2], "");
    put("p/LONE.HDR", "header", 1000); /* in capitals, too */
    put("p/A.img.gz", "Voxels", 1001); /* the half that the first name does not name; the later time is still the header's */
    assert_ok(rad_walk_files(folder, path, 3, 1, now, &err));
    assert_false(rad_file_look_same(&was[0], &now[0]));
    assert_int_equal(now[0].seconds, was[0].seconds);
    assert_int_not_equal(now[0].nanoseconds, was[0].nanoseconds); /* where inodes are not compared */
    assert_int_equal(now[2].error, 0);
    put("p/A.hdr", "Header", 1999);
    assert_ok(rad_walk_files(folder, path, 3, 1, was, &err));
    assert_false(rad_file_look_same(&was[0], &now[0]));
    snprintf(full, sizeof full, "%s/p/A.hdr", folder);
    assert_int_equal(unlink(full), 0);
    assert_ok(rad_walk_files(folder, path, 3, 1, now, &err));
    assert_int_equal(now[1].error, ENOENT);
}

static void memory_that_runs_out_is_told(void **state) {
    (void)state;
    const char *path[] = {"d1/f03.nii", "d0/gone.nii", "d2/f04.hdr"};
    rad_file_look look[3];
    for (int64_t n = 1; n < 7; n++) {
        rad_error err;
        rad_mem_fail_after(n);
        const rad_status st = rad_walk_files(folder, path, 3, 1, look, &err);
        rad_mem_fail_after(0);
        assert_int_equal(st, RAD_E_NOMEM);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_file_is_looked_at_once_and_lands_in_its_place, setup, teardown),
        cmocka_unit_test_setup_teardown(contents_are_those_that_images_are_known_by, setup, teardown),
        cmocka_unit_test_setup_teardown(a_file_that_moved_is_not_the_same, setup, teardown),
        cmocka_unit_test_setup_teardown(a_pair_is_looked_at_in_both_files, setup, teardown),
        cmocka_unit_test_setup_teardown(memory_that_runs_out_is_told, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

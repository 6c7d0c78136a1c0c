/* Slices of an image: the same voxels as from the whole file, from the front, from a mark, from what an earlier run remembered; and what
 * is noticed when the file or the memory of it is damaged.
 * RAD_TEST_LINK: ZLIB::ZLIB (packs the files) */
#include "load_fixture.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>

#define NX 96
#define NY 80
#define NZ 400 /* 6 MB of int16: large enough to be remembered */
#define PLANE ((size_t)NX * NY)

enum packing { PLAIN, LEVEL_1, LEVEL_9, STORED, HUFFMAN, MEMBERS, MEMBERS_PADDED, N_PACKING };
static const char *const packing_name[] = {"plain", "level 1", "level 9", "stored", "huffman only", "members", "members and padding"};

/* A gzip member of `n` bytes, appended to `out`. zlib, not the library under test. */
static size_t deflate_member(const uint8_t *data, size_t n, int level, int strategy, uint8_t *out, size_t room) {
    z_stream z = {0};
    assert_int_equal(deflateInit2(&z, level, Z_DEFLATED, 15 + 16, 8, strategy), Z_OK);
    z.next_in = (Bytef *)(uintptr_t)data;
    z.avail_in = (uInt)n;
    z.next_out = out;
    z.avail_out = (uInt)room;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    size_t made = room - z.avail_out;
    deflateEnd(&z);
    return made;
}

/* Tissue-like: smooth with noise, runs of air, so that blocks are of all kinds. */
static void fill(int16_t *v, uint32_t seed) {
    for (size_t i = 0; i < PLANE * NZ; i++) {
        seed = seed * 1664525u + 1013904223u;
        bool air = (i / 5000) % 3 == 0;
        v[i] = (int16_t)(air ? -1024 : (int)((i / NX) % 300) + (int)(seed >> 26));
    }
}

static void put_file(const char *path, const void *data, size_t n, time_t age_s) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, n), (ssize_t)n);
    struct timespec when[2] = {{time(NULL) - age_s, 0}, {time(NULL) - age_s, 0}};
    assert_int_equal(futimens(fd, when), 0);
    close(fd);
}

static char folder[64], path[128], cache_dir[128];

static fx_bytes nifti_bytes(const int16_t *voxel, size_t extra) {
    fx x = fx_make(1, false, false, 4, 3, (int64_t[]){NX, NY, NZ});
    size_t bytes = PLANE * NZ * sizeof *voxel;
    uint8_t *tail = calloc(1, bytes + extra + 1);
    memcpy(tail, voxel, bytes);
    fx_bytes all = fx_join(x.head, x.n_head, tail, bytes + extra);
    free(tail);
    return all;
}

static void write_image(const int16_t *voxel, enum packing how, size_t extra) {
    fx_bytes all = nifti_bytes(voxel, extra);
    size_t room = 2 * all.n + 65536, n = 0;
    uint8_t *out = malloc(room);
    assert_non_null(out);
    snprintf(path, sizeof path, "%s/image.nii%s", folder, how == PLAIN ? "" : ".gz");
    int level = how == LEVEL_1 ? 1 : how == LEVEL_9 ? 9 : how == STORED ? 0 : 6;
    if (how == PLAIN)
        memcpy(out, all.p, n = all.n);
    else if (how < MEMBERS)
        n = deflate_member(all.p, all.n, level, how == HUFFMAN ? Z_HUFFMAN_ONLY : Z_DEFAULT_STRATEGY, out, room);
    else
        for (size_t at = 0, part = all.n / 5 + 1; at < all.n; at += part) { /* borders in the middle of slices */
            n += deflate_member(all.p + at, part < all.n - at ? part : all.n - at, 6, Z_DEFAULT_STRATEGY, out + n, room - n);
            if (how == MEMBERS_PADDED) {
                memset(out + n, 0, 700);
                n += 700;
            }
        }
    put_file(path, out, n, 60);
    free(out);
    free(all.p);
}

static rad_restart_cache cache(uint8_t key) {
    rad_restart_cache c = {.dir = cache_dir};
    memset(c.key, key, sizeof c.key);
    return c;
}

static int setup(void **state) {
    snprintf(folder, sizeof folder, "%s", unit_folder());
    snprintf(cache_dir, sizeof cache_dir, "%s/remembered", folder);
    *state = folder;
    return 0;
}

static int teardown(void **state) {
    unit_remove(*state);
    return 0;
}

static void assert_planes(const rad_volume *v, const int16_t *all, int64_t z0, int64_t z1) {
    static float row[NX];
    assert_true(v->first <= z0 * (int64_t)PLANE &&
                (size_t)(v->first - z0 * (int64_t)PLANE) * 2 + v->bytes >= (size_t)(z1 - z0) * PLANE * 2);
    for (int64_t at = z0 * (int64_t)PLANE; at < z1 * (int64_t)PLANE; at += NX) {
        rad_volume_get(v, at, 1, NX, row);
        for (int i = 0; i < NX; i++)
            if (row[i] != all[at + i])
                fail_msg("voxel %lld is %g, not %d", (long long)(at + i), (double)row[i], all[at + i]);
    }
}

/* What a fresh reader finds, and how many bytes of the file it took. */
static size_t read_planes(const rad_restart_cache *c, const int16_t *all, int64_t z0, int64_t z1, bool verify,
                          char content[RAD_XXH128_HEX]) {
    rad_error err;
    rad_image_file *f = NULL;
    rad_volume *v = NULL;
    assert_ok(rad_image_file_open(path, c, &f, &err));
    assert_ok(rad_image_file_read(f, z0, z1, verify, &v, &err));
    assert_planes(v, all, z0, z1);
    assert_null(v->info.warning);
    memcpy(content, v->content, RAD_XXH128_HEX);
    size_t bytes = rad_image_file_bytes_read(f);
    rad_volume_destroy(&v);
    rad_image_file_close(&f);
    return bytes;
}

static void any_packing_any_place(void **state) {
    (void)state;
    rad_error err;
    int16_t *all = malloc(PLANE * NZ * sizeof *all);
    for (int how = 0; how < N_PACKING; how++) {
        fill(all, 77u + (uint32_t)how);
        write_image(all, (enum packing)how, 0);
        rad_volume *whole = NULL;
        assert_ok(rad_volume_load(path, &whole, &err));
        assert_planes(whole, all, 0, NZ);
        rad_restart_cache c = cache((uint8_t)how);
        char content[RAD_XXH128_HEX];
        const int64_t range[][2] = {{200, 203}, {0, 1}, {399, 400}, {199, 206}, {100, 300}, {200, 203}, {0, NZ}, {57, 58}};
        for (size_t i = 0; i < sizeof range / sizeof *range; i++) {
            size_t first = read_planes(NULL, all, range[i][0], range[i][1], false, content);
            assert_string_equal(content, whole->content);
            size_t again = read_planes(&c, all, range[i][0], range[i][1], false, content);
            assert_string_equal(content, whole->content);
            assert_true(again <= first);
            if (i == 5 && how != PLAIN &&
                again > first / 4) /* remembered from the first turn: 3 of 400 slices, and the window they lie in */
                fail_msg("%s: %zu of %zu bytes read", packing_name[how], again, first);
        }
        /* one reader, back and forth */
        rad_image_file *f = NULL;
        assert_ok(rad_image_file_open(path, &c, &f, &err));
        assert_ok(rad_image_file_content(f, content, &err));
        assert_string_equal(content, whole->content);
        for (size_t i = 0; i < 2 * sizeof range / sizeof *range; i++) {
            rad_volume *v = NULL;
            const int64_t *r = range[i % (sizeof range / sizeof *range)];
            assert_ok(rad_image_file_read(f, r[0], r[1], i == 9, &v, &err));
            assert_planes(v, all, r[0], r[1]);
            assert_string_equal(v->content, whole->content);
            rad_volume_destroy(&v);
        }
        rad_image_file_close(&f);
        rad_volume_destroy(&whole);
    }
    free(all);
}

/* Data behind the voxels, of which the last bytes of the file tell, are remarked whatever was read. */
static void remark_does_not_depend_on_the_way(void **state) {
    (void)state;
    rad_error err;
    int16_t *all = malloc(PLANE * NZ * sizeof *all);
    fill(all, 5);
    write_image(all, LEVEL_1, 1000);
    rad_restart_cache c = cache(1);
    for (int turn = 0; turn < 3; turn++) {
        rad_image_file *f = NULL;
        rad_volume *v = NULL;
        assert_ok(rad_image_file_open(path, turn == 0 ? NULL : &c, &f, &err));
        assert_ok(rad_image_file_read(f, 3, 4, false, &v, &err));
        assert_non_null(v->info.warning);
        assert_non_null(strstr(v->info.warning, "1000 bytes behind the voxels"));
        rad_volume_destroy(&v);
        rad_image_file_close(&f);
    }
    free(all);
}

static rad_status try_read(const rad_restart_cache *c, bool verify, rad_error *err) {
    rad_image_file *f = NULL;
    rad_volume *v = NULL;
    rad_status st = rad_image_file_open(path, c, &f, err);
    if (st == RAD_OK)
        st = rad_image_file_read(f, 10, 12, verify, &v, err);
    rad_volume_destroy(&v);
    rad_image_file_close(&f);
    return st;
}

static void damage_is_noticed(void **state) {
    (void)state;
    rad_error err;
    int16_t *all = malloc(PLANE * NZ * sizeof *all);
    char *file = NULL;
    size_t n = 0;
    fill(all, 6);
    write_image(all, LEVEL_1, 0);
    rad_restart_cache c = cache(2);
    assert_ok(rad_file_read(path, 1u << 24, &file, &n, &err));
    /* cut behind what is wanted: the last bytes do not fit */
    put_file(path, file, n - 1000, 60);
    assert_fails(try_read(&c, false, &err), RAD_E_TRUNCATED, "image.nii.gz");
    put_file(path, file, n / 2, 60);
    assert_fails(try_read(&c, false, &err), RAD_E_TRUNCATED, "image.nii.gz");
    /* a wrong CRC: only a full verification sees it, also when the file is remembered unverified */
    file[n - 8] ^= 1;
    put_file(path, file, n, 60);
    assert_ok(try_read(&c, false, &err));
    assert_ok(try_read(&c, false, &err));
    assert_fails(try_read(&c, true, &err), RAD_E_FORMAT, "CRC");
    file[n - 8] ^= 1;
    /* the same name, size and time, other bytes: another inode change tells */
    put_file(path, file, n, 60);
    assert_ok(try_read(&c, true, &err));
    char before[RAD_XXH128_HEX], after[RAD_XXH128_HEX];
    (void)read_planes(&c, all, 10, 12, false, before);
    fill(all, 1234);
    write_image(all, LEVEL_1, 0);
    (void)read_planes(&c, all, 10, 12, false, after);
    assert_string_not_equal(before, after);
    free(file);
    free(all);
}

/* The only file below the cache's folder. */
static void remembered_file(char *ret, size_t n) {
    char cmd[256];
    snprintf(cmd, sizeof cmd, "find %s -type f", cache_dir);
    FILE *p = popen(cmd, "r");
    assert_non_null(p);
    assert_non_null(fgets(ret, (int)n, p));
    ret[strcspn(ret, "\n")] = 0;
    char more[8];
    assert_null(fgets(more, sizeof more, p)); /* no temporary files are left */
    pclose(p);
}

static void memory_is_not_believed_blindly(void **state) {
    (void)state;
    rad_error err;
    int16_t *all = malloc(PLANE * NZ * sizeof *all);
    fill(all, 8);
    char cmd[256], idx[256], content[RAD_XXH128_HEX], *data = NULL;
    snprintf(cmd, sizeof cmd, "rm -rf %s", cache_dir);
    assert_int_equal(system(cmd), 0);
    write_image(all, LEVEL_1, 0);
    rad_restart_cache c = cache(3), stranger = cache(4);
    size_t first = read_planes(&c, all, 300, 303, false, content), n = 0;
    remembered_file(idx, sizeof idx);
    size_t again = read_planes(&c, all, 300, 303, false, content);
    assert_true(again < first / 3);
    /* the same file by another name of its folder */
    char name[sizeof path], link[sizeof path];
    memcpy(name, path, sizeof name);
    snprintf(link, sizeof link, "%.100s/again", folder);
    assert_int_equal(symlink(".", link), 0);
    snprintf(path, sizeof path, "%.100s/again/./again/image.nii.gz", folder);
    assert_int_equal(read_planes(&c, all, 300, 303, false, content), again);
    memcpy(path, name, sizeof name);
    assert_int_equal(read_planes(&stranger, all, 300, 303, false, content), first); /* and now the stranger's memory is there */
    assert_int_equal(read_planes(&c, all, 300, 303, false, content), first);
    assert_ok(rad_file_read(idx, 1u << 24, &data, &n, &err));
    assert_true(n < first / 8);
    for (uint32_t i = 0, seed = 9; i < 40; i++) { /* cut, flipped, empty */
        seed = seed * 1664525u + 1013904223u;
        size_t at = (size_t)(seed >> 8) % n;
        if (i % 2)
            put_file(idx, data, i == 1 ? 0 : at, 0);
        else {
            data[at] = (char)(data[at] ^ 4);
            put_file(idx, data, n, 0);
            data[at] = (char)(data[at] ^ 4);
        }
        assert_int_equal(read_planes(&c, all, 300, 303, false, content), first);
    }
    /* a place that cannot be written does not fail the reading */
    rad_restart_cache nowhere = {.dir = "/proc/nowhere"};
    assert_int_equal(read_planes(&nowhere, all, 300, 303, false, content), first);
    /* a file changed a moment ago is not remembered */
    assert_int_equal(system(cmd), 0);
    char *file = NULL;
    assert_ok(rad_file_read(path, 1u << 24, &file, &n, &err));
    put_file(path, file, n, 0);
    (void)read_planes(&c, all, 300, 303, false, content);
    assert_int_equal(access(cache_dir, F_OK), -1);
    free(file);
    free(data);
    free(all);
}

static void wrong_slices_are_refused(void **state) {
    (void)state;
    rad_error err;
    int16_t *all = malloc(PLANE * NZ * sizeof *all);
    fill(all, 9);
    write_image(all, STORED, 0);
    const int64_t range[][2] = {{-1, 2}, {3, 3}, {5, 2}, {0, NZ + 1}};
    rad_image_file *f = NULL;
    assert_ok(rad_image_file_open(path, NULL, &f, &err));
    for (size_t i = 0; i < sizeof range / sizeof *range; i++) {
        rad_volume *v = NULL;
        assert_fails(rad_image_file_read(f, range[i][0], range[i][1], false, &v, &err), RAD_E_INTERNAL, "which has 400");
    }
    rad_image_file_close(&f);
    free(all);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(any_packing_any_place), cmocka_unit_test(remark_does_not_depend_on_the_way),
                                       cmocka_unit_test(damage_is_noticed), cmocka_unit_test(memory_is_not_believed_blindly),
                                       cmocka_unit_test(wrong_slices_are_refused)};
    return cmocka_run_group_tests(tests, setup, teardown);
}

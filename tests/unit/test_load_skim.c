/* Passing over deflate data: for every kind of data and of packing, zlib says where the blocks are and what is before them; damaged data
 * give what zlib gives or are refused; and slices of an image that was skimmed over are those of the whole file. RAD_TEST_LINK: ZLIB::ZLIB
 * (packs and inflates) */
#include "load_fixture.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>

#include "load/skim.h"

#define N_DATA ((size_t)3 << 19)

enum kind { CT, MASK, RANDOM, TEXT, MIXED, N_KIND };
static const char *const kind_name[] = {"ct", "mask", "random", "text", "mixed"};

struct packing {
    const char *name;
    int level, memory, strategy;
    size_t flush; /* every so many bytes, 0 = never */
};
static const struct packing packings[] = {{"level 1", 1, 8, Z_DEFAULT_STRATEGY, 0},
                                          {"level 6", 6, 8, Z_DEFAULT_STRATEGY, 0},
                                          {"level 9", 9, 9, Z_DEFAULT_STRATEGY, 0},
                                          {"small blocks", 6, 1, Z_DEFAULT_STRATEGY, 0},
                                          {"fixed codes", 6, 8, Z_FIXED, 0},
                                          {"huffman only", 6, 8, Z_HUFFMAN_ONLY, 0},
                                          {"runs", 6, 8, Z_RLE, 0},
                                          {"stored", 0, 8, Z_DEFAULT_STRATEGY, 0},
                                          {"flushed", 6, 8, Z_DEFAULT_STRATEGY, 10007},
                                          {"filtered", 6, 8, Z_FILTERED, 0}};
#define N_PACKING (sizeof packings / sizeof packings[0])

static uint32_t next(uint32_t *seed) {
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

static void fill_piece(uint8_t *p, size_t n, enum kind kind, uint32_t seed) {
    static const char *const word[] = {"the ", "volume ", "of ", "a ", "patient ", "kidney ", "left ", "mass ", "phase ", "\n"};
    uint32_t s = seed;
    for (size_t i = 0; i + 1 < n; i += 2) { /* rows of 256 voxels */
        const size_t x = i / 2 % 256, y = i / 512 % 256;
        int v = 0;
        if (kind == CT) {
            const int dx = (int)x - 128, dy = (int)y - 128;
            v = dx * dx + dy * dy > 128 * 128 ? -3024 : 40 + (int)(y / 8) + (int)(next(&s) % 32) + (int)(next(&s) % 32);
        } else if (kind == MASK)
            v = (x / 50 + y / 60 + i / 200000) % 7 == 0;
        else if (kind == RANDOM)
            v = (int)(next(&s) & 0xffff);
        p[i] = (uint8_t)v;
        p[i + 1] = (uint8_t)((unsigned)v >> 8);
    }
    for (size_t i = 0; kind == TEXT && i < n;) {
        const char *w = word[next(&s) % 10];
        size_t l = strlen(w) < n - i ? strlen(w) : n - i;
        memcpy(p + i, w, l);
        i += l;
    }
}

static void fill(uint8_t *p, size_t n, enum kind kind, uint32_t seed) {
    memset(p, 0, n);
    if (kind != MIXED)
        fill_piece(p, n, kind, seed);
    for (size_t at = 0, piece = 0; kind == MIXED && at < n; piece++) {
        size_t m = 3000 + next(&seed) % 120000;
        m = m < n - at ? m : n - at;
        fill_piece(p + at, m, (enum kind)(piece % MIXED), seed);
        at += m;
    }
}

struct memory_file {
    uint8_t *p;
    size_t n;
};

static rad_status read_memory(void *file, size_t at, uint8_t *out, size_t n, size_t *ret_n, rad_error *err) {
    const struct memory_file *f = file;
    (void)err;
    *ret_n = at >= f->n ? 0 : n < f->n - at ? n : f->n - at;
    memcpy(out, f->p + (at < f->n ? at : 0), *ret_n);
    return RAD_OK;
}

#define FRONT 5 /* bytes before the deflate data */

static struct memory_file pack(const uint8_t *data, size_t n, const struct packing *how) {
    struct memory_file f = {.p = malloc(2 * n + 65536)};
    z_stream z = {0};
    assert_non_null(f.p);
    assert_int_equal(deflateInit2(&z, how->level, Z_DEFLATED, -15, how->memory, how->strategy), Z_OK);
    z.next_out = f.p + FRONT;
    z.avail_out = (uInt)(2 * n + 65536 - FRONT);
    for (size_t at = 0; at < n;) {
        size_t m = how->flush && how->flush < n - at ? how->flush : n - at;
        z.next_in = (Bytef *)(uintptr_t)(data + at);
        z.avail_in = (uInt)m;
        at += m;
        assert_int_equal(deflate(&z, at == n ? Z_FINISH : Z_SYNC_FLUSH), at == n ? Z_STREAM_END : Z_OK);
    }
    f.n = (size_t)(z.next_out - f.p);
    deflateEnd(&z);
    return f;
}

struct border {
    uint64_t bit, out;
};

/* Where blocks begin, by zlib; ret_n of them. `out` gets the data, *ret_out their length until their end or an error. */
static struct border *borders(const struct memory_file *f, uint8_t *out, size_t room, size_t *ret_n, size_t *ret_out) {
    size_t n = 0, cap = 64;
    struct border *b = malloc(cap * sizeof *b);
    z_stream z = {.next_in = f->p + FRONT, .avail_in = (uInt)(f->n - FRONT), .next_out = out, .avail_out = (uInt)room};
    assert_int_equal(inflateInit2(&z, -15), Z_OK);
    b[n++] = (struct border){8 * FRONT, 0};
    for (int rc = Z_OK; rc == Z_OK;) {
        rc = inflate(&z, Z_BLOCK);
        if (rc != Z_OK || (z.data_type & 128) == 0 || (z.data_type & 64) != 0)
            continue;
        if (n == cap)
            b = realloc(b, (cap *= 2) * sizeof *b);
        b[n] = (struct border){8 * (uint64_t)(z.next_in - f->p) - (unsigned)(z.data_type & 7), z.total_out};
        n += b[n].bit > b[n - 1].bit;
    }
    *ret_n = n;
    *ret_out = z.total_out;
    inflateEnd(&z);
    return b;
}

static void assert_window(const rad_skim_place *p, const uint8_t *data, const char *what) {
    const size_t n = p->out < RAD_SKIM_WINDOW ? (size_t)p->out : RAD_SKIM_WINDOW;
    if (p->n != n || memcmp(p->window, data + p->out - n, n) != 0)
        fail_msg("%s: other bytes before %llu", what, (unsigned long long)p->out);
}

static void lands_where_zlib_does(void **state) {
    (void)state;
    uint8_t *data = malloc(N_DATA), *again = malloc(N_DATA);
    for (int kind = 0; kind < N_KIND; kind++) {
        fill(data, N_DATA, (enum kind)kind, 11);
        for (size_t i = 0; i < N_PACKING; i++) {
            char what[64];
            snprintf(what, sizeof what, "%s, %s", kind_name[kind], packings[i].name);
            struct memory_file f = pack(data, N_DATA, &packings[i]);
            size_t n = 0, out = 0;
            struct border *b = borders(&f, again, N_DATA, &n, &out);
            assert_int_equal(out, N_DATA);
            rad_skim *k = rad_skim_create(read_memory, &f, FRONT);
            const rad_skim_place *p = NULL;
            rad_error err;
            /* a little further, far, to the last byte; on from where it is each time */
            for (size_t step = 0, target = 0; step < 8; step++) {
                target = step == 7 ? N_DATA - 1 : target + (step % 3 == 0 ? 777 : N_DATA / 6);
                size_t last = 0;
                for (size_t j = 0; j < n && b[j].out <= target; j++)
                    last = j;
                assert_ok(rad_skim_to(k, target, &p, &err));
                if (!p) { /* only what is larger than its limit */
                    if (b[last + 1 < n ? last + 1 : last].bit - b[last].bit < 8u << 20)
                        fail_msg("%s: not to byte %zu of %zu", what, target, N_DATA);
                    break;
                }
                if (p->out != b[last].out || p->bit != b[last].bit)
                    fail_msg("%s: at bit %llu, byte %llu for byte %zu, not %llu, %llu", what, (unsigned long long)p->bit,
                             (unsigned long long)p->out, target, (unsigned long long)b[last].bit, (unsigned long long)b[last].out);
                assert_window(p, data, what);
            }
            if (p) { /* beyond the end there is nothing */
                assert_ok(rad_skim_to(k, N_DATA, &p, &err));
                assert_null(p);
            }
            rad_skim_destroy(&k);
            free(b);
            free(f.p);
        }
    }
    free(data);
    free(again);
}

/* Damage that zlib takes for data gives the same data here; what it refuses is not passed over. */
static void damage_is_seen_as_zlib_sees_it(void **state) {
    (void)state;
    enum { N = 300000 };
    uint8_t *data = malloc(N), *again = malloc(4 * N);
    int passed = 0, refused = 0;
    uint32_t seed = 5;
    for (int kind = 0; kind < N_KIND; kind++)
        for (size_t i = 0; i < N_PACKING; i++) {
            fill(data, N, (enum kind)kind, 3);
            struct memory_file f = pack(data, N, &packings[i]);
            for (int round = 0; round < 24; round++) {
                uint8_t kept[3];
                size_t at[3], n = 0, out = 0;
                for (int j = 0; j < 3; j++) { /* every third time near the front: headers, and matches that reach too far */
                    at[j] = FRONT + next(&seed) % (round % 3 == 0 ? 300 : f.n - FRONT);
                    kept[j] = f.p[at[j]];
                    f.p[at[j]] ^= (uint8_t)(1u << next(&seed) % 8);
                }
                struct border *b = borders(&f, again, 4 * N, &n, &out);
                rad_skim *k = rad_skim_create(read_memory, &f, FRONT);
                const rad_skim_place *p = NULL;
                rad_error err;
                assert_ok(rad_skim_to(k, N / 2 + next(&seed) % (N / 2), &p, &err));
                passed += p != NULL;
                refused += p == NULL;
                if (p) {
                    if (p->out > out)
                        fail_msg("%s, %s: passes over what zlib refuses at byte %zu", kind_name[kind], packings[i].name, out);
                    assert_window(p, again, kind_name[kind]);
                }
                rad_skim_destroy(&k);
                free(b);
                for (int j = 3; j > 0; j--)
                    f.p[at[j - 1]] = kept[j - 1];
            }
            free(f.p);
        }
    assert_true(passed > 200 && refused > 200);
    free(data);
    free(again);
}

static void a_file_cut_anywhere_is_not_passed_over(void **state) {
    (void)state;
    enum { N = 200000 };
    uint8_t *data = malloc(N);
    fill(data, N, CT, 3);
    struct memory_file whole = pack(data, N, &packings[1]);
    for (size_t n = FRONT; n < whole.n - 1; n += 97) {
        uint8_t *copy = malloc(n); /* of its exact length: what is read behind it is seen by the sanitizer */
        memcpy(copy, whole.p, n);
        struct memory_file f = {copy, n};
        rad_skim *k = rad_skim_create(read_memory, &f, FRONT);
        const rad_skim_place *p = NULL;
        rad_error err;
        assert_ok(rad_skim_to(k, N - 1, &p, &err));
        assert_null(p);
        rad_skim_destroy(&k);
        free(copy);
    }
    free(whole.p);
    /* In the middle of a stored block, just before the end of what is read at once: the next header would be behind it. */
    enum { LARGE = 2300000, READ = 2 << 20 };
    uint8_t *noise = malloc(LARGE);
    fill(noise, LARGE, RANDOM, 3);
    const struct packing how = {"stored and flushed", 0, 8, Z_DEFAULT_STRATEGY, 20011};
    struct memory_file stored = pack(noise, LARGE, &how);
    for (size_t n = READ - 20000; n < READ; n += 1000) {
        struct memory_file f = {stored.p, FRONT + n};
        rad_skim *k = rad_skim_create(read_memory, &f, FRONT);
        const rad_skim_place *p = NULL;
        rad_error err;
        assert_ok(rad_skim_to(k, LARGE - 1, &p, &err));
        assert_null(p);
        rad_skim_destroy(&k);
    }
    free(stored.p);
    free(noise);
    free(data);
}

static void memory_that_runs_out(void **state) {
    (void)state;
    uint8_t *data = malloc(N_DATA);
    fill(data, N_DATA, CT, 3);
    struct memory_file f = pack(data, N_DATA, &packings[1]);
    int failed = 0;
    for (int64_t i = 1; i < 60; i++) {
        rad_error err;
        const rad_skim_place *p = NULL;
        rad_mem_fail_after(i);
        rad_skim *k = rad_skim_create(read_memory, &f, FRONT);
        rad_status st = k ? rad_skim_to(k, N_DATA - 1, &p, &err) : RAD_E_NOMEM;
        rad_mem_fail_after(0);
        assert_true(st == RAD_E_NOMEM || (st == RAD_OK && p));
        failed += st != RAD_OK;
        rad_skim_destroy(&k);
    }
    assert_true(failed > 10 && failed < 59);
    free(f.p);
    free(data);
}

/* ---------------------------------------------------------------- images */

enum { NX = 256, NY = 256, NZ = 160 }; /* 21 MB */
#define PLANE ((size_t)NX * NY)

static char folder[64], path[128], cache_dir[128];

static size_t gzip_member(const uint8_t *data, size_t n, uint8_t *out, size_t room) {
    z_stream z = {.next_in = (Bytef *)(uintptr_t)data, .avail_in = (uInt)n, .next_out = out, .avail_out = (uInt)room};
    gz_header h = {.name = (Bytef *)(uintptr_t) "image.nii", .name_max = 9, .hcrc = 1}; /* a header of changing length */
    assert_int_equal(deflateInit2(&z, 1, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    assert_int_equal(deflateSetHeader(&z, &h), Z_OK);
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    deflateEnd(&z);
    return room - z.avail_out;
}

/* The voxels as they lie in the file that was written to `path`; `cut`: where a second member begins, 0 = none; `wrong`: the
 * last CRC is. */
static uint8_t *write_image(size_t cut, bool wrong, size_t *ret_file) {
    const size_t bytes = PLANE * NZ * 2;
    uint8_t *voxel = malloc(bytes);
    fill(voxel, bytes, CT, 77);
    fx x = fx_make(1, false, false, 4, 3, (int64_t[]){NX, NY, NZ});
    fx_bytes all = fx_join(x.head, x.n_head, voxel, bytes);
    uint8_t *out = malloc(2 * all.n);
    size_t n = gzip_member(all.p, cut ? cut : all.n, out, 2 * all.n);
    if (cut)
        n += gzip_member(all.p + cut, all.n - cut, out + n, 2 * all.n - n);
    out[n - 8] ^= (uint8_t)wrong;
    fx_write(path, out, n);
    struct timespec when[2] = {{time(NULL) - 60, 0}, {time(NULL) - 60, 0}};
    assert_int_equal(utimensat(AT_FDCWD, path, when, 0), 0);
    free(out);
    free(all.p);
    *ret_file = n;
    return voxel;
}

static rad_restart_cache cache(void) {
    rad_restart_cache c = {.dir = cache_dir};
    memset(c.key, 9, sizeof c.key);
    return c;
}

static void assert_slices(rad_image_file *f, const uint8_t *voxel, int64_t z0, int64_t z1, bool verify) {
    rad_volume *v = NULL;
    rad_error err;
    assert_ok(rad_image_file_read(f, z0, z1, verify, &v, &err));
    assert_int_equal(v->bytes, (size_t)(z1 - z0) * PLANE * 2);
    assert_memory_equal(v->voxel, voxel + (size_t)z0 * PLANE * 2, v->bytes);
    rad_volume_destroy(&v);
}

static void slices_are_those_of_the_whole_file(void **state) {
    (void)state;
    static const int64_t wanted[][2] = {{150, 153}, {159, 160}, {100, 101}, {80, 158}, {0, 160}, {130, 131}};
    const size_t cuts[] = {0, PLANE * 2 * 120 + 3, PLANE * 2 * 20};
    rad_error err;
    for (size_t c = 0; c < 3; c++) {
        size_t file = 0;
        uint8_t *voxel = write_image(cuts[c], false, &file);
        rad_volume *whole = NULL;
        assert_ok(rad_volume_load(path, &whole, &err));
        for (size_t first = 0; first < 2; first++) { /* either of the first two as the first; then the rest in the same open file */
            rad_image_file *f = NULL;
            assert_ok(rad_image_file_open(path, NULL, &f, &err));
            for (size_t i = first; i < sizeof wanted / sizeof *wanted; i++) {
                char content[RAD_XXH128_HEX];
                assert_slices(f, voxel, wanted[i][0], wanted[i][1], false);
                assert_ok(rad_image_file_content(f, content, &err));
                assert_string_equal(content, whole->content);
            }
            assert_slices(f, voxel, 155, 156, true); /* the CRC after all */
            rad_image_file_close(&f);
        }
        rad_volume_destroy(&whole);
        free(voxel);
    }
}

/* What lies before the slices wanted is not inflated: a byte of it that is wrong but makes no difference to them is only seen by who asks
 * for the CRC. That says that there is something to test at all. */
static void it_is_skimmed_over(void **state) {
    (void)state;
    size_t n = 0;
    rad_error err;
    rad_image_file *f = NULL;
    rad_volume *v = NULL;
    uint8_t *voxel = write_image(0, false, &n);
    assert_ok(rad_image_file_open(path, NULL, &f, &err));
    assert_slices(f, voxel, 158, 160, true);
    assert_int_equal(rad_image_file_bytes_read(f), n); /* once, where the CRC is asked for at once */
    rad_image_file_close(&f);
    free(voxel);
    voxel = write_image(0, true, &n);
    assert_ok(rad_image_file_open(path, NULL, &f, &err));
    assert_slices(f, voxel, 150, 152, false);
    assert_true(rad_image_file_bytes_read(f) > n); /* some of it twice: where the slices go back to */
    assert_fails(rad_image_file_read(f, 158, 160, true, &v, &err), RAD_E_FORMAT, "CRC");
    rad_image_file_close(&f);
    assert_ok(rad_image_file_open(path, NULL, &f, &err));
    assert_fails(rad_image_file_read(f, 158, 160, true, &v, &err), RAD_E_FORMAT, "CRC");
    rad_image_file_close(&f);
    free(voxel);
}

/* Other nights, from the marks that a night left which skimmed. Those marks know of no CRC, which is wrong here. */
static void marks_left_by_skimming(void **state) {
    (void)state;
    rad_error err;
    const rad_restart_cache c = cache();
    size_t n = 0;
    uint8_t *voxel = write_image(0, true, &n);
    for (int night = 0; night < 4; night++) {
        rad_image_file *f = NULL;
        rad_volume *v = NULL;
        assert_ok(rad_image_file_open(path, &c, &f, &err));
        if (night < 3)
            assert_slices(f, voxel, night == 2 ? 155 : 140, night == 2 ? 156 : 143, false);
        else
            assert_fails(rad_image_file_read(f, 140, 143, true, &v, &err), RAD_E_FORMAT, "CRC");
        if (night == 1)
            assert_true(rad_image_file_bytes_read(f) < n / 8);
        rad_image_file_close(&f);
    }
    free(voxel);
}

static int setup(void **state) {
    snprintf(folder, sizeof folder, "%s", unit_folder());
    snprintf(path, sizeof path, "%s/image.nii.gz", folder);
    snprintf(cache_dir, sizeof cache_dir, "%s/remembered", folder);
    *state = folder;
    return 0;
}

static int teardown(void **state) {
    unit_remove(*state);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(lands_where_zlib_does),
                                       cmocka_unit_test(damage_is_seen_as_zlib_sees_it),
                                       cmocka_unit_test(a_file_cut_anywhere_is_not_passed_over),
                                       cmocka_unit_test(memory_that_runs_out),
                                       cmocka_unit_test(slices_are_those_of_the_whole_file),
                                       cmocka_unit_test(it_is_skimmed_over),
                                       cmocka_unit_test(marks_left_by_skimming)};
    return cmocka_run_group_tests(tests, setup, teardown);
}

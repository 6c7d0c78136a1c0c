/* load: damage. Files cut at every byte, flipped bytes, joined members, memory that runs out. */
#include "load_fixture.h"

#ifdef __x86_64__
#include <cpuid.h>
#include <immintrin.h>
#endif

static char path[128];
static const int64_t CUBE[3] = {4, 3, 2};
enum { VOXELS = 24 };

static void fill(uint8_t *p, size_t n, uint32_t seed) { /* noise that does not compress */
    for (size_t i = 0; i < n; i++) {
        seed = seed * 1664525u + 1013904223u;
        p[i] = (uint8_t)(seed >> 24);
    }
}

/* The inflated bytes of a small single file of either version; free p. */
static fx_bytes small_file(int version) {
    uint8_t voxel[VOXELS * 2];
    fill(voxel, sizeof voxel, 7);
    fx x = fx_make(version, false, false, 4, 3, CUBE);
    return fx_join(x.head, x.n_head, voxel, sizeof voxel);
}

static void cut_at_every_byte(void **state) {
    rad_error err;
    snprintf(path, sizeof path, "%s/cut.nii", (const char *)*state);
    for (int version = 1; version <= 2; version++)
        for (int gz = 0; gz < 2; gz++) {
            fx_bytes plain = small_file(version), file = gz ? fx_gzip(plain.p, plain.n) : fx_join(plain.p, plain.n, NULL, 0);
            for (size_t n = 0; n <= file.n; n++) {
                rad_volume *v = NULL;
                fx_write(path, file.p, n);
                if (n == file.n)
                    assert_ok(rad_volume_load(path, &v, &err));
                else {
                    err = (rad_error){0};
                    assert_int_equal(rad_volume_load(path, &v, &err), RAD_E_TRUNCATED);
                    assert_non_null(strstr(err.text, "cut.nii"));
                    assert_null(v);
                }
                rad_volume_destroy(&v);
            }
            free(plain.p);
            free(file.p);
        }
}

static void cut_pairs(void **state) {
    rad_error err;
    uint8_t voxel[VOXELS * 2] = {0};
    char img[128];
    fx x = fx_make(1, false, true, 4, 3, CUBE);
    fx_bytes h = fx_gzip(x.head, x.n_head), d = fx_gzip(voxel, sizeof voxel);
    snprintf(path, sizeof path, "%s/p.hdr.gz", (const char *)*state);
    snprintf(img, sizeof img, "%s/p.img.gz", (const char *)*state);
    fx_write(img, d.p, d.n);
    for (size_t n = 0; n < h.n; n++) { /* the .hdr without its CRC is damaged too */
        rad_volume *v = NULL;
        fx_write(path, h.p, n);
        assert_fails(rad_volume_load(path, &v, &err), RAD_E_TRUNCATED, "p.hdr.gz");
    }
    fx_write(path, h.p, h.n);
    for (size_t n = 0; n < d.n; n++) {
        rad_volume *v = NULL;
        fx_write(img, d.p, n);
        assert_fails(rad_volume_load(path, &v, &err), RAD_E_TRUNCATED, "p.img.gz");
    }
    free(h.p);
    free(d.p);
}

static void a_flipped_byte_never_changes_a_voxel(void **state) {
    rad_error err;
    int refused = 0, total = 0;
    snprintf(path, sizeof path, "%s/flip.nii.gz", (const char *)*state);
    fx_bytes plain = small_file(1), file = fx_gzip(plain.p, plain.n);
    for (size_t i = 0; i < file.n; i++)
        for (int bit = 0; bit < 8; bit++) {
            file.p[i] ^= (uint8_t)(1 << bit);
            fx_write(path, file.p, file.n);
            rad_volume *v = NULL;
            if (rad_volume_load(path, &v, &err) == RAD_OK) /* time, flags and system in the gzip header matter to nobody */
                assert_memory_equal(v->voxel, plain.p + 352, VOXELS * 2);
            else {
                assert_int_equal(rad_status_scope(err.code), RAD_SCOPE_STUDY);
                refused++;
            }
            total++;
            rad_volume_destroy(&v);
            file.p[i] ^= (uint8_t)(1 << bit);
        }
    assert_true(refused >= total - 8 * 8);
    free(plain.p);
    free(file.p);
}

static void append(fx_bytes *to, const fx_bytes *more) {
    fx_bytes all = fx_join(to->p, to->n, more->p, more->n);
    free(to->p);
    *to = all;
}

static void members_may_be_joined_anywhere(void **state) {
    rad_error err;
    snprintf(path, sizeof path, "%s/multi.nii.gz", (const char *)*state);
    fx_bytes plain = small_file(2);
    for (size_t cut = 0; cut <= plain.n; cut++) { /* cut = 0 and n: an empty member */
        fx_bytes a = fx_gzip(plain.p, cut), b = fx_gzip(plain.p + cut, plain.n - cut);
        append(&a, &b);
        fx_write(path, a.p, a.n);
        rad_volume *v = NULL;
        assert_ok(rad_volume_load(path, &v, &err));
        assert_memory_equal(v->voxel, plain.p + 544, VOXELS * 2);
        rad_volume_destroy(&v);
        fx_write(path, a.p, a.n - 1); /* the second member's length is cut */
        assert_fails(rad_volume_load(path, &v, &err), RAD_E_TRUNCATED, "multi.nii.gz");
        free(a.p);
        free(b.p);
    }
    static const uint8_t zeros[700] = {0}, junk[3] = {0, 0, 'x'};
    fx_bytes a = fx_gzip(plain.p, plain.n), pad = fx_join(a.p, a.n, zeros, sizeof zeros), bad = fx_join(a.p, a.n, junk, sizeof junk);
    rad_volume *v = NULL;
    fx_write(path, pad.p, pad.n); /* tape blocks are padded with NUL */
    assert_ok(rad_volume_load(path, &v, &err));
    assert_null(v->info.warning);
    rad_volume_destroy(&v);
    fx_write(path, bad.p, bad.n);
    assert_fails(rad_volume_load(path, &v, &err), RAD_E_FORMAT, "other bytes behind");
    free(a.p);
    free(pad.p);
    free(bad.p);
    free(plain.p);
}

/* Members of many lengths so that their ends and headers fall on every place near the edges of the read window (256 KB). */
static void members_across_the_read_window(void **state) {
    enum { BYTES = 1200000 };
    static const int64_t dims[2] = {BYTES / 40, 40};
    rad_error err;
    uint8_t *voxel = malloc(BYTES);
    fill(voxel, BYTES, 99);
    memset(voxel + 300000, 0, 200000); /* and a stretch that compresses well */
    snprintf(path, sizeof path, "%s/window.nii.gz", (const char *)*state);
    fx x = fx_make(1, false, false, 2, 2, dims);
    for (size_t shift = 0; shift < 40; shift++) {
        fx_bytes file = fx_gzip(x.head, x.n_head);
        size_t at = 0, size = 262144 - 24 - file.n - shift; /* the first big member ends at the window's edge -/+ */
        for (int i = 0; at < BYTES; i++) {
            size_t n = at + size > BYTES ? BYTES - at : size;
            fx_bytes m = fx_gzip(voxel + at, n);
            append(&file, &m);
            free(m.p);
            at += n;
            size = i % 3 ? 65280 : 1 + shift;
        }
        fx_write(path, file.p, file.n);
        rad_volume *v = NULL;
        assert_ok(rad_volume_load(path, &v, &err));
        assert_memory_equal(v->voxel, voxel, BYTES);
        char hex[RAD_XXH128_HEX];
        rad_xxh128(file.p, file.n, hex);
        assert_string_equal(v->content, hex);
        rad_volume_destroy(&v);
        free(file.p);
    }
    free(voxel);
}

static void memory_may_run_out_anywhere(void **state) {
    rad_error err;
    const char *dir = *state;
    uint8_t voxel[VOXELS * 2] = {0};
    char img[128];
    fx x = fx_make(1, true, true, 4, 3, CUBE);
    fx_set(&x, FX_PIXDIM, 1, -1); /* a warning is allocated too */
    fx_bytes h = fx_gzip(x.head, x.n_head), d = fx_gzip(voxel, sizeof voxel);
    snprintf(path, sizeof path, "%s/m.hdr", dir); /* opened under the second name that is tried */
    snprintf(img, sizeof img, "%s/m.img.gz", dir);
    fx_write(path, h.p, h.n);
    fx_write(img, d.p, d.n);
    for (int what = 0; what < 2; what++) {
        rad_status st = RAD_E_NOMEM;
        int64_t n = 1;
        for (; st == RAD_E_NOMEM && n < 200; n++) {
            rad_volume *v = NULL;
            rad_image_info info = {0};
            err = (rad_error){0};
            rad_mem_fail_after(n);
            st = what ? rad_volume_load(path, &v, &err) : rad_image_probe(path, &info, &err);
            rad_mem_fail_after(0);
            if (st != RAD_OK) {
                assert_int_equal(st, RAD_E_NOMEM);
                assert_null(v);
                assert_null(info.warning);
            }
            rad_volume_destroy(&v);
            rad_image_info_release(&info);
        }
        assert_int_equal(st, RAD_OK);
        assert_true(n > 8);
    }
    free(h.p);
    free(d.p);
}

#ifdef __x86_64__
enum { YMM_HIGH = 1 << 2, ZMM_HIGH = 1 << 6 };

/* Which parts of the vector registers the processor holds to be in use. */
RAD_TARGET("xsave") static uint64_t parts_in_use(void) {
    return (uint64_t)_xgetbv(1);
}

RAD_TARGET("avx") static void zero_upper_halves(void) {
    _mm256_zeroupper();
}
#endif

/* Else every SSE instruction that the thread executes from then on is slow. */
static void upper_halves_are_given_up(void **state) {
#ifdef __x86_64__
    unsigned a = 0, b, c, d;
    if (!__builtin_cpu_supports("avx") || !__get_cpuid_count(0xd, 1, &a, &b, &c, &d) || !(a & 1 << 2))
        return; /* nothing to give up, or no way to look */
    const int64_t dim[3] = {128, 128, 32};
    enum { BYTES = 128 * 128 * 32 * 2 };
    uint8_t *voxel = malloc(BYTES);
    rad_error err;
    rad_volume *v = NULL;
    fill(voxel, BYTES, 3);
    fx x = fx_make(1, false, false, 4, 3, dim);
    fx_bytes plain = fx_join(x.head, x.n_head, voxel, BYTES), file = fx_gzip(plain.p, plain.n);
    snprintf(path, sizeof path, "%s/upper.nii.gz", (const char *)*state);
    fx_write(path, file.p, file.n);
    zero_upper_halves();
    assert_ok(rad_volume_load(path, &v, &err));
    uint64_t used = parts_in_use();
    assert_int_equal(used & (YMM_HIGH | ZMM_HIGH), 0);
    assert_memory_equal(v->voxel, voxel, BYTES);
    rad_volume_destroy(&v);
    free(voxel);
    free(plain.p);
    free(file.p);
#else
    (void)state;
#endif
}

static int setup(void **state) {
    static char dir[64];
    snprintf(dir, sizeof dir, "%s", unit_folder());
    *state = dir;
    return 0;
}

static int teardown(void **state) {
    unit_remove(*state);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cut_at_every_byte),
        cmocka_unit_test(cut_pairs),
        cmocka_unit_test(a_flipped_byte_never_changes_a_voxel),
        cmocka_unit_test(members_may_be_joined_anywhere),
        cmocka_unit_test(members_across_the_read_window),
        cmocka_unit_test(memory_may_run_out_anywhere),
        cmocka_unit_test(upper_halves_are_given_up),
    };
    return cmocka_run_group_tests_name("load/gzip", tests, setup, teardown);
}

/* load: every datatype, byte order, version, container; header semantics; what is refused and why. */
#include "load_fixture.h"

#include <sys/stat.h>

static char path[128], path2[128];

static const struct {
    int code, size;
    rad_voxel_type type;
    bool is_signed, is_float;
} KIND[] = {
    {2, 1, RAD_VOX_U8, false, false},     {256, 1, RAD_VOX_I8, true, false},   {512, 2, RAD_VOX_U16, false, false},
    {4, 2, RAD_VOX_I16, true, false},     {768, 4, RAD_VOX_U32, false, false}, {8, 4, RAD_VOX_I32, true, false},
    {1280, 8, RAD_VOX_U64, false, false}, {1024, 8, RAD_VOX_I64, true, false}, {16, 4, RAD_VOX_F32, true, true},
    {64, 8, RAD_VOX_F64, true, true},
};

/* The i-th voxel's value: in range of every type, negative where the type allows. */
static double value_of(int i, bool is_signed, bool is_float) {
    double v = is_signed && i % 2 ? -(i % 100) : i % 120;
    return is_float ? v + 0.25 : v;
}

static void every_type_order_version_and_container(void **state) {
    const char *dir = *state;
    static const int64_t dim[3] = {5, 3, 4};
    enum { N = 60 };
    rad_error err;
    int loaded = 0;
    for (int version = 1; version <= 2; version++)
        for (int big = 0; big < 2; big++)
            for (int container = 0; container < 4; container++) /* .nii .nii.gz .hdr/.img .hdr.gz/.img.gz */
                for (size_t k = 0; k < sizeof KIND / sizeof *KIND; k++) {
                    bool pair = container >= 2, gz = container & 1;
                    fx x = fx_make(version, big, pair, KIND[k].code, 3, dim);
                    fx_set(&x, FX_SLOPE, 0, 2);
                    fx_set(&x, FX_INTER, 0, -3);
                    uint8_t voxel[N * 8];
                    for (int i = 0; i < N; i++) {
                        double v = value_of(i, KIND[k].is_signed, KIND[k].is_float);
                        if (KIND[k].is_float)
                            fx_put_float(voxel + i * KIND[k].size, v, KIND[k].size, big);
                        else
                            fx_put(voxel + i * KIND[k].size, (uint64_t)(int64_t)v, KIND[k].size, big);
                    }
                    size_t n = (size_t)(N * KIND[k].size);
                    fx_bytes disk;
                    if (pair) {
                        fx_bytes h = gz ? fx_gzip(x.head, x.n_head) : fx_join(x.head, x.n_head, NULL, 0);
                        fx_bytes d = gz ? fx_gzip(voxel, n) : fx_join(voxel, n, NULL, 0);
                        snprintf(path, sizeof path, "%s/v.hdr%s", dir, gz ? ".gz" : "");
                        snprintf(path2, sizeof path2, "%s/v.img%s", dir, gz ? ".gz" : "");
                        fx_write(path, h.p, h.n);
                        fx_write(path2, d.p, d.n);
                        disk = fx_join(h.p, h.n, d.p, d.n);
                        free(h.p);
                        free(d.p);
                    } else {
                        snprintf(path, sizeof path, "%s/v.nii%s", dir, gz ? ".gz" : "");
                        snprintf(path2, sizeof path2, "%s", path);
                        fx_write_single(path, &x, voxel, n, gz);
                        char *p = NULL;
                        assert_ok(rad_file_read(path, 1 << 20, &p, &disk.n, &err));
                        disk.p = (uint8_t *)p;
                    }
                    char hex[RAD_XXH128_HEX];
                    rad_xxh128(disk.p, disk.n, hex);
                    for (int half = 0; half < 1 + pair; half++) {
                        rad_volume *v = NULL;
                        rad_image_info info = {0};
                        assert_ok(rad_volume_load(half ? path2 : path, &v, &err));
                        assert_ok(rad_image_probe(half ? path2 : path, &info, &err));
                        assert_int_equal(v->info.type, KIND[k].type);
                        assert_int_equal(v->info.nifti_version, version);
                        assert_int_equal(v->info.swapped, big); /* the tests run on little-endian machines */
                        assert_int_equal(v->info.pair, pair);
                        assert_int_equal(v->info.gzip, gz);
                        assert_int_equal(v->info.file_bytes, disk.n);
                        assert_int_equal(info.file_bytes, disk.n);
                        assert_memory_equal(info.dim, v->info.dim, sizeof info.dim);
                        assert_string_equal(v->info.orientation, "RAS");
                        assert_null(v->info.warning);
                        assert_int_equal(v->bytes, n);
                        assert_string_equal(v->content, hex);
                        float f[N];
                        rad_volume_get(v, 0, 1, N, f);
                        for (int i = 0; i < N; i++)
                            assert_true(f[i] == (float)(2 * value_of(i, KIND[k].is_signed, KIND[k].is_float) - 3));
                        rad_volume_get(v, N - 1, -5, 3, f); /* a strided, backward column */
                        assert_true(f[1] == (float)(2 * value_of(N - 6, KIND[k].is_signed, KIND[k].is_float) - 3));
                        rad_volume_destroy(&v);
                        assert_null(v);
                        rad_image_info_release(&info);
                        loaded++;
                    }
                    free(disk.p);
                    remove(path);
                    remove(path2);
                }
    assert_int_equal(loaded, 2 * 2 * 10 * (2 + 2 * 2));
}

static void rgb_is_luma_and_never_scaled(void **state) {
    snprintf(path, sizeof path, "%s/rgb.nii", (const char *)*state);
    static const int64_t dim[2] = {2, 1};
    fx x = fx_make(1, true, false, 128, 2, dim);
    fx_set(&x, FX_SLOPE, 0, 7);
    fx_write_single(path, &x, (const uint8_t[]){10, 20, 30, 255, 255, 255}, 6, false);
    rad_volume *v = NULL;
    rad_error err;
    assert_ok(rad_volume_load(path, &v, &err));
    float f[2];
    rad_volume_get(v, 0, 1, 2, f);
    assert_true(f[0] == (float)(2.99 + 11.74 + 3.42) && f[1] == 255.0f);
    assert_true(v->info.slope == 1 && v->info.inter == 0);
    rad_volume_destroy(&v);
}

static void one_to_seven_dimensions(void **state) {
    snprintf(path, sizeof path, "%s/d.nii", (const char *)*state);
    static const int64_t dim[7] = {2, 3, 1, 2, 1, 2, 2};
    size_t n = 1;
    uint8_t voxel[64] = {0};
    rad_error err;
    for (int d = 1; d <= 7; d++) {
        n *= (size_t)dim[d - 1];
        fx x = fx_make(d % 2 + 1, false, false, 2, d, dim);
        for (int i = d; i < 7; i++)
            fx_set(&x, FX_DIM, i + 1, i % 2 ? 0 : 77); /* beyond dim[0] anything may stand */
        fx_write_single(path, &x, voxel, n, false);
        rad_volume *v = NULL;
        assert_ok(rad_volume_load(path, &v, &err));
        assert_int_equal(v->info.n_dim, d);
        assert_int_equal(v->bytes, n);
        for (int i = 0; i < 7; i++)
            assert_int_equal(v->info.dim[i], i < d ? dim[i] : 1);
        rad_volume_destroy(&v);
    }
}

/* Loads a 2x2x2 uint8 volume after `change` and leaves the info in *ret; the caller releases it. */
static void load_changed(const char *dir, fx *x, rad_image_info *ret) {
    static const uint8_t voxel[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    rad_error err;
    snprintf(path, sizeof path, "%s/c.nii", dir);
    fx_write_single(path, x, voxel, 8, false);
    assert_ok(rad_image_probe(path, ret, &err));
}

static const int64_t CUBE[3] = {2, 2, 2};

static void slope_zero_or_not_finite_means_none(void **state) {
    static const struct {
        double slope, inter, want_slope, want_inter;
    } row[] = {
        {0, 5, 1, 0}, {NAN, 5, 1, 0}, {INFINITY, 5, 1, 0}, {1, 0, 1, 0}, {0.5, -1024, 0.5, -1024}, {-2, 3, -2, 3}, {0, NAN, 1, 0},
    };
    for (int version = 1; version <= 2; version++)
        for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
            fx x = fx_make(version, false, false, 2, 3, CUBE);
            fx_set(&x, FX_SLOPE, 0, row[i].slope);
            fx_set(&x, FX_INTER, 0, row[i].inter);
            rad_image_info info = {0};
            load_changed(*state, &x, &info);
            assert_true(info.slope == row[i].want_slope && info.inter == row[i].want_inter);
            rad_image_info_release(&info);
        }
}

static void sform_then_qform_then_spacing(void **state) {
    for (int version = 1; version <= 2; version++) {
        fx x = fx_make(version, true, false, 2, 3, CUBE);
        rad_image_info info = {0};
        fx_set(&x, FX_QFORM, 0, 1); /* quaternion 0: identity turn, origin 0: equal to the sform */
        load_changed(*state, &x, &info);
        assert_true(info.form_disagreement_mm == 0);
        assert_null(info.warning);

        fx_set(&x, FX_QOFFSET, 1, 1.5);
        fx_set(&x, FX_PIXDIM, 0, -1); /* qfac: z runs down in the qform */
        load_changed(*state, &x, &info);
        assert_true(info.affine[1][3] == 0 && info.affine[2][2] == 2);
        assert_true(fabs(info.form_disagreement_mm - sqrt(1.5 * 1.5 + 4 * 4)) < 1e-9);
        assert_non_null(strstr(info.warning, "disagree by 4.3 mm; sform is used"));
        rad_image_info_release(&info);

        fx_set(&x, FX_SFORM, 0, 0);
        load_changed(*state, &x, &info);
        assert_true(info.affine[1][3] == 1.5 && info.affine[2][2] == -2 && info.form_disagreement_mm == 0);
        assert_string_equal(info.orientation, "RAI");
        assert_null(info.warning);

        fx_set(&x, FX_QUATERN, 2, 1); /* half a turn about z */
        load_changed(*state, &x, &info);
        assert_string_equal(info.orientation, "LPI");

        fx_set(&x, FX_QFORM, 0, 0);
        load_changed(*state, &x, &info);
        assert_true(info.affine[0][0] == 2 && info.affine[1][3] == 0 && info.affine[2][2] == 2);
        assert_non_null(strstr(info.warning, "neither sform nor qform"));
        rad_image_info_release(&info);

        fx_set(&x, FX_SFORM, 0, 2);
        fx_set(&x, FX_SROW, 0, 0); /* a column of zeros */
        load_changed(*state, &x, &info);
        assert_string_equal(info.orientation, "???");
        rad_image_info_release(&info);
    }
}

static void odd_headers_load_with_a_warning(void **state) {
    rad_image_info info = {0};
    fx x = fx_make(1, false, false, 2, 3, CUBE);
    fx_set(&x, FX_PIXDIM, 2, -2);
    fx_set(&x, FX_PIXDIM, 3, NAN);
    load_changed(*state, &x, &info);
    assert_true(info.spacing[1] == 2 && info.spacing[2] == 1);
    assert_non_null(strstr(info.warning, "pixdim is not positive"));
    assert_non_null(strstr(info.warning, "the sform 2"));
    rad_image_info_release(&info);

    x = fx_make(2, false, false, 2, 3, CUBE);
    fx_set(&x, FX_UNITS, 0, 3);
    load_changed(*state, &x, &info);
    assert_non_null(strstr(info.warning, "micrometre"));
    rad_image_info_release(&info);

    x = fx_make(1, false, false, 2, 3, CUBE);
    fx_set(&x, FX_OFFSET, 0, 0);
    load_changed(*state, &x, &info);
    assert_non_null(strstr(info.warning, "from byte 352"));
    rad_image_info_release(&info);

    /* names that lie about compression, bytes behind the voxels */
    static const uint8_t voxel[11] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9};
    rad_error err;
    for (int gz = 0; gz < 2; gz++) {
        x = fx_make(1, false, false, 2, 3, CUBE);
        snprintf(path, sizeof path, "%s/lie.nii%s", (const char *)*state, gz ? "" : ".gz");
        fx_write_single(path, &x, voxel, 11, gz);
        rad_volume *v = NULL;
        assert_ok(rad_volume_load(path, &v, &err));
        assert_non_null(strstr(v->info.warning, gz ? "is gzip but" : "is not gzip although"));
        assert_non_null(strstr(v->info.warning, "3 bytes behind the voxels"));
        assert_memory_equal(v->voxel, voxel, 8);
        rad_volume_destroy(&v);
    }
}

static void extensions_are_skipped(void **state) {
    static const uint8_t voxel[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    rad_error err;
    for (int version = 1; version <= 2; version++)
        for (int gz = 0; gz < 2; gz++)
            for (size_t gap = 0; gap <= 70016; gap = gap ? gap * 9 : 16) { /* within the first read, and beyond one skip buffer */
                fx x = fx_make(version, false, false, 2, 3, CUBE);
                fx_set(&x, FX_OFFSET, 0, (double)(x.n_head + gap));
                uint8_t *body = calloc(1, gap + 8);
                memset(body, 0xee, gap);
                memcpy(body + gap, voxel, 8);
                snprintf(path, sizeof path, "%s/ext.nii%s", (const char *)*state, gz ? ".gz" : "");
                fx_write_single(path, &x, body, gap + 8, gz);
                rad_volume *v = NULL;
                assert_ok(rad_volume_load(path, &v, &err));
                assert_memory_equal(v->voxel, voxel, 8);
                rad_volume_destroy(&v);
                free(body);
            }
}

typedef struct hostile {
    const char *what;
    enum fx_field field;
    int i;
    double v;
    rad_status want;
    const char *text;
} hostile;

static void hostile_headers_are_refused_for_their_reason(void **state) {
    static const hostile row[] = {
        {"no dimensions", FX_DIM, 0, 0, RAD_E_FORMAT, "dim[0] = 0"},
        {"eight dimensions", FX_DIM, 0, 8, RAD_E_FORMAT, "dim[0] = 8"},
        {"negative dimensions", FX_DIM, 0, -1, RAD_E_FORMAT, "dim[0] = -1"},
        {"zero dim", FX_DIM, 2, 0, RAD_E_SHAPE, "dim[2] = 0"},
        {"negative dim", FX_DIM, 1, -5, RAD_E_SHAPE, "dim[1] = -5"},
        {"promises gigabytes", FX_DIM, 1, 32767, RAD_E_TRUNCATED, "copy it again"},
        {"complex64", FX_DATATYPE, 0, 32, RAD_E_UNSUPPORTED, "complex64"},
        {"complex128", FX_DATATYPE, 0, 1792, RAD_E_UNSUPPORTED, "complex128"},
        {"complex256", FX_DATATYPE, 0, 2048, RAD_E_UNSUPPORTED, "complex256"},
        {"float128", FX_DATATYPE, 0, 1536, RAD_E_UNSUPPORTED, "float128"},
        {"rgba32", FX_DATATYPE, 0, 2304, RAD_E_UNSUPPORTED, "rgba32"},
        {"binary", FX_DATATYPE, 0, 1, RAD_E_UNSUPPORTED, "1-bit"},
        {"no datatype", FX_DATATYPE, 0, 0, RAD_E_UNSUPPORTED, "unknown"},
        {"datatype 9999", FX_DATATYPE, 0, 9999, RAD_E_UNSUPPORTED, "9999"},
        {"offset inside the header", FX_OFFSET, 0, 100, RAD_E_FORMAT, "inside its own header"},
        {"negative offset", FX_OFFSET, 0, -352, RAD_E_FORMAT, "vox_offset -352"},
        {"offset behind the file", FX_OFFSET, 0, 4096, RAD_E_TRUNCATED, "promises 4104"},
        {"offset beyond any file", FX_OFFSET, 0, 1e15, RAD_E_LIMIT, "vox_offset"},
        {"inter without value", FX_INTER, 0, NAN, RAD_E_FORMAT, "scl_inter"},
        {"sform with NaN", FX_SROW, 6, NAN, RAD_E_NONFINITE, "sform"},
        {"sform with Inf", FX_SROW, 3, INFINITY, RAD_E_NONFINITE, "sform"},
    };
    rad_error err;
    static const uint8_t voxel[8] = {0};
    snprintf(path, sizeof path, "%s/hostile.nii", (const char *)*state);
    for (int version = 1; version <= 2; version++)
        for (int big = 0; big < 2; big++)
            for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
                fx x = fx_make(version, big, false, 2, 3, CUBE);
                fx_set(&x, FX_SLOPE, 0, 1);
                fx_set(&x, row[i].field, row[i].i, row[i].v);
                fx_write_single(path, &x, voxel, 8, false);
                rad_image_info info = {.n_dim = 99};
                rad_volume *v = (rad_volume *)&info; /* must be left alone */
                assert_fails(rad_image_probe(path, &info, &err), row[i].want, row[i].text);
                assert_int_equal(info.n_dim, 99);
                assert_fails(rad_volume_load(path, &v, &err), row[i].want, row[i].text);
                assert_ptr_equal(v, &info);
                assert_non_null(strstr(err.text, "hostile.nii"));
            }
}

static void sizes_are_bounded_before_allocation(void **state) {
    rad_error err;
    rad_image_info info;
    static const int64_t big[7] = {32767, 32767, 32767, 32767, 32767, 32767, 32767}, half[3] = {32767, 32767, 2}, wide[1] = {32768};
    snprintf(path, sizeof path, "%s/size.nii", (const char *)*state);
    fx x = fx_make(1, false, false, 64, 7, big); /* the product overflows 64 bits */
    fx_write(path, x.head, x.n_head);
    assert_fails(rad_image_probe(path, &info, &err), RAD_E_LIMIT, "RAD_MAX_VOXELS");
    x = fx_make(2, false, false, 64, 3, half); /* 2 147 352 578 voxels of 8 bytes */
    fx_write(path, x.head, x.n_head);
    assert_fails(rad_image_probe(path, &info, &err), RAD_E_LIMIT, "RAD_MAX_IMAGE_BYTES");
    x = fx_make(2, false, false, 2, 1, wide);
    fx_write(path, x.head, x.n_head);
    assert_fails(rad_image_probe(path, &info, &err), RAD_E_LIMIT, "RAD_MAX_DIM");
    x = fx_make(2, false, false, 2, 3, CUBE);
    fx_set(&x, FX_DIM, 2, 9.2e18);
    fx_write(path, x.head, x.n_head);
    assert_fails(rad_image_probe(path, &info, &err), RAD_E_LIMIT, "dim[2]");
    /* compressed: a header alone that promises 2 GB; nothing may be allocated for them (the fourth allocation would be the voxels) */
    x = fx_make(1, false, false, 2, 3, half);
    snprintf(path, sizeof path, "%s/size.nii.gz", (const char *)*state);
    fx_write_single(path, &x, NULL, 0, true);
    rad_volume *v = NULL;
    assert_fails(rad_volume_load(path, &v, &err), RAD_E_LIMIT, "RAD_MAX_GZIP_RATIO");
    snprintf(path, sizeof path, "%s/size.nii", (const char *)*state);
    fx_write_single(path, &x, NULL, 0, false);
    assert_fails(rad_volume_load(path, &v, &err), RAD_E_TRUNCATED, "promises 2147352930");
}

static void not_a_nifti_is_told_apart(void **state) {
    const char *dir = *state;
    rad_error err;
    rad_image_info info;
    static const int64_t dim[1] = {1};
    snprintf(path, sizeof path, "%s/none.nii", dir);
    assert_fails(rad_image_probe(path, &info, &err), RAD_E_NOTFOUND, "none.nii");
    assert_fails(rad_image_probe(dir, &info, &err), RAD_E_FORMAT, "regular file");
    snprintf(path, sizeof path, "%s/fifo.nii", dir);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_fails(rad_image_probe(path, &info, &err), RAD_E_FORMAT, "regular file");
    snprintf(path, sizeof path, "%s/x.nii", dir);
    fx_write(path, (const uint8_t *)"", 0);
    assert_fails(rad_image_probe(path, &info, &err), RAD_E_TRUNCATED, "is empty");
    uint8_t junk[1024];
    memset(junk, 0xa5, sizeof junk);
    fx_write(path, junk, sizeof junk);
    assert_fails(rad_image_probe(path, &info, &err), RAD_E_FORMAT, "is not NIfTI");
    fx x = fx_make(1, false, false, 2, 1, dim);
    memset(x.head + 344, 0, 4);
    fx_write_single(path, &x, junk, 1, false);
    assert_fails(rad_image_probe(path, &info, &err), RAD_E_UNSUPPORTED, "ANALYZE");
    x = fx_make(2, false, false, 2, 1, dim);
    x.head[8] = '\n'; /* \r\n became \n\n */
    fx_write_single(path, &x, junk, 1, false);
    assert_fails(rad_image_probe(path, &info, &err), RAD_E_FORMAT, "text-mode");
    x = fx_make(2, true, false, 2, 1, dim);
    fx_set(&x, FX_INTENT, 0, 3006);
    fx_write_single(path, &x, junk, 1, false);
    assert_fails(rad_image_probe(path, &info, &err), RAD_E_UNSUPPORTED, "CIFTI-2");
    x = fx_make(1, false, true, 2, 1, dim);
    fx_write_single(path, &x, junk, 1, false);
    assert_fails(rad_image_probe(path, &info, &err), RAD_E_FORMAT, "magic of a .hdr/.img pair");
    x = fx_make(1, true, false, 2, 1, dim); /* dim[0] in the other byte order than sizeof_hdr */
    x.head[40] = 1;
    x.head[41] = 0;
    fx_write_single(path, &x, junk, 1, false);
    assert_fails(rad_image_probe(path, &info, &err), RAD_E_FORMAT, "dim[0] = 256");

    snprintf(path, sizeof path, "%s/y.hdr", dir);
    snprintf(path2, sizeof path2, "%s/y.img", dir);
    x = fx_make(1, false, true, 2, 1, dim);
    fx_write(path, x.head, x.n_head);
    assert_fails(rad_image_probe(path, &info, &err), RAD_E_NOTFOUND, "y.img.gz");
    fx_write(path2, (const uint8_t *)"", 0);
    assert_fails(rad_image_probe(path2, &info, &err), RAD_E_TRUNCATED, "y.img");
    x = fx_make(1, false, false, 2, 1, dim);
    fx_write(path, x.head, x.n_head);
    assert_fails(rad_image_probe(path, &info, &err), RAD_E_FORMAT, "rename it to .nii");
    remove(path);
    assert_fails(rad_image_probe(path2, &info, &err), RAD_E_NOTFOUND, "y.hdr");
}

static void mixed_pairs_and_upper_case(void **state) {
    const char *dir = *state;
    rad_error err;
    static const uint8_t voxel[8] = {8, 7, 6, 5, 4, 3, 2, 1};
    fx x = fx_make(1, false, true, 2, 3, CUBE);
    fx_bytes z = fx_gzip(voxel, 8);
    snprintf(path, sizeof path, "%s/MIX.HDR", dir);
    fx_write(path, x.head, x.n_head);
    snprintf(path2, sizeof path2, "%s/MIX.IMG.gz", dir);
    fx_write(path2, z.p, z.n);
    free(z.p);
    for (int i = 0; i < 2; i++) {
        rad_volume *v = NULL;
        assert_ok(rad_volume_load(i ? path2 : path, &v, &err));
        assert_memory_equal(v->voxel, voxel, 8);
        assert_true(v->info.gzip && v->info.pair);
        rad_volume_destroy(&v);
    }
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
        cmocka_unit_test(every_type_order_version_and_container),
        cmocka_unit_test(rgb_is_luma_and_never_scaled),
        cmocka_unit_test(one_to_seven_dimensions),
        cmocka_unit_test(slope_zero_or_not_finite_means_none),
        cmocka_unit_test(sform_then_qform_then_spacing),
        cmocka_unit_test(odd_headers_load_with_a_warning),
        cmocka_unit_test(extensions_are_skipped),
        cmocka_unit_test(hostile_headers_are_refused_for_their_reason),
        cmocka_unit_test(sizes_are_bounded_before_allocation),
        cmocka_unit_test(not_a_nifti_is_told_apart),
        cmocka_unit_test(mixed_pairs_and_upper_case),
    };
    return cmocka_run_group_tests_name("load/nifti", tests, setup, teardown);
}

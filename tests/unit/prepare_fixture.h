/* prepare_fixture.h: a small volume on the test's stack, and an input that takes it as it is. */
#ifndef RAD_PREPARE_FIXTURE_H
#define RAD_PREPARE_FIXTURE_H

#include "unit.h"

#include "radcohort/prepare.h"

#define MAX_VOXELS 4096

typedef struct image {
    rad_volume v;
    int16_t voxel[MAX_VOXELS];
} image;

/* nx * ny * nz int16 voxels in RAS at 1 mm; value = 100 z + 10 y + x. */
static inline void make(image *m, int64_t nx, int64_t ny, int64_t nz) {
    *m = (image){
        .v.info = {.n_dim = 3, .dim = {nx, ny, nz, 1, 1, 1, 1}, .spacing = {1, 1, 1}, .sform_code = 1, .type = RAD_VOX_I16, .slope = 1}};
    for (int i = 0; i < 4; i++)
        m->v.info.affine[i][i] = 1;
    m->v.voxel = m->voxel;
    for (int64_t z = 0; z < nz; z++)
        for (int64_t y = 0; y < ny; y++)
            for (int64_t x = 0; x < nx; x++)
                m->voxel[(z * ny + y) * nx + x] = (int16_t)(100 * z + 10 * y + x);
}

static char the_name[] = "in", the_sequence[] = "T2";

/* RAS, whole middle slice, no window, no resize. */
static inline rad_input_spec plain(void) {
    rad_input_spec s = {.name = the_name, .n_channel = 1, .n_plane = 1, .orientation = "RAS", .region = {.from = RAD_REGION_WHOLE}};
    s.channel[0] = (rad_channel_spec){.sequence = the_sequence, .n_offset = 1};
    return s;
}

static inline void check(const rad_input_spec *s, const image *m, const rad_roi *roi, rad_prepared *p) {
    rad_error err;
    const rad_volume *volume[1] = {&m->v};
    assert_ok(rad_prepare_case(s, volume, roi, p, &err));
    assert_int_equal((uintptr_t)p->data % 64, 0);
}

#endif

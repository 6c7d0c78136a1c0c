/* worker_cam.c: class activation maps: from the tapped feature maps of a case's slices to the numbers that go to the coordinator and the
 * overlay on the image's grid.
 *
 * On the image. The map [h, w] of a slice covers the region: it is resized to the region's pixels (rad_cam_resize: linear, half-pixel
 * centres) and looked at where the region is image. All numbers are about these pixels: the peak (the first in row-major order of the
 * reoriented slice), energy = the sum of the positive values, its share on the lesion (Wang H et al., Score-CAM, CVPR workshops 2020),
 * whether the peak lies on the lesion (pointing game, Zhang J et al., IJCV 2018, without tolerance), and the overlap |A and B| / |A or B|
 * of A = {value > 0 and value >= peak / 2} with the lesion's pixels B of the slice. All in double, in row-major order.
 *
 * Of a volume. The map [d, h, w] covers the box between the borders low and high (rad_prepared.border): the voxel at position p of the
 * reoriented image reads the map at (p_t - low_t) / (high_t - low_t) n_t - 1/2 along axis t, n = (w, h, d), clamped to [0, n_t - 1],
 * trilinear (rad_cam_sample): the same half-pixel centres. Voxels are those whose centres lie in the box. There is one map, its numbers are
 * about the whole box and all of the lesion's voxels, and the first in row-major order is the first of z, y, x.
 *
 * File. uint8 on the grid of the reference image. Stored value = floor(255 max(value, 0) / top + 1/2), top = the largest value of the
 * file's slices; scl_slope = float32(top / 255). Outside the region 0. Nothing positive: all 0, slope 1. */
#include "worker_cam.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

char *rad_work_cam_file(const char *key) {
    return rad_asprintf("%.2s/%s.nii.gz", key, key);
}

rad_status rad_cam_key(const char *result_key, const char *mask_content, const char *rule, char ret[RAD_SHA256_HEX], rad_error *err) {
    char text[512];
    int n = snprintf(text, sizeof text, "radcohort class activation map key, revision %d\nresult %s\nmask %s\n%s\n", RAD_CAM_REVISION,
                     result_key, mask_content, rule);
    return rad_sha256(text, (size_t)n, ret, err);
}

rad_status rad_work_cam_key(const rad_worker *w, const struct work_model *m, const char *mask_content, char ret[RAD_SHA256_HEX],
                            rad_error *err) {
    return rad_cam_key(m->key, mask_content, w->job->cam_rule, ret, err);
}

bool rad_work_has_cam_file(const rad_worker *w, const char *key) {
    if (w->job->cam_write == RAD_CAM_NONE)
        return true;
    char *name = rad_work_cam_file(key), *path = name ? rad_path_join(w->cam_dir, name) : NULL;
    bool there = path && access(path, R_OK) == 0;
    free(path);
    free(name);
    return there;
}

/* ---------------------------------------------------------------- maps, as the network runs */

rad_status rad_work_make_maps(const rad_worker *w, const struct shape_engine *e, struct work_model *m, int64_t n_slice, rad_error *err) {
    size_t count;
    m->map_shape = e->map_shape;
    m->n_map = w->job->cam_class == RAD_CAM_PREDICTED ? w->job->n_class : 1;
    m->n_position = rad_shape_count(&e->map_shape);
    if (!rad_mul_size((size_t)m->n_position, (size_t)m->n_map, &count) || !rad_mul_size(count, (size_t)n_slice, &count) ||
        !(m->map = rad_calloc(count, sizeof *m->map)))
        return rad_error_set(err, RAD_E_NOMEM, "out of memory for the class activation maps of a case");
    return RAD_OK;
}

/* One output for two classes speaks for the second: what it adds to the first is the negative. */
rad_status rad_work_take_maps(const rad_worker *w, const struct shape_engine *e, struct work_model *m, int64_t first, int64_t n,
                              const float *tap, rad_error *err) {
    const bool one = e->n_out == 1 && w->job->n_class == 2;
    for (int64_t s = 0; s < n; s++)
        for (int c = 0; c < m->n_map; c++) {
            int cls = w->job->cam_class == RAD_CAM_PREDICTED ? c : w->job->cam_class;
            float *map = m->map + ((first + s) * m->n_map + c) * m->n_position;
            rad_status st = rad_cam_compute(e->cam, one ? 0 : cls, tap + s * e->n_tap, map, err);
            if (st != RAD_OK)
                return st;
            for (int64_t p = 0; one && cls == 0 && p < m->n_position; p++)
                map[p] = -map[p];
        }
    return RAD_OK;
}

/* ---------------------------------------------------------------- a finished case */

/* Class and slice that the maps are about. */
static void choose(const rad_job *job, const rad_model_result *r, int *ret_class, int64_t *ret_deciding) {
    int cls = job->cam_class;
    int64_t best = 0;
    if (cls == RAD_CAM_PREDICTED) {
        cls = 0;
        for (int64_t s = 0; s < r->n_slice; s++)
            for (int c = 0; c < job->n_class; c++)
                if (r->score[s * job->n_class + c] > r->score[best * job->n_class + cls]) {
                    best = s;
                    cls = c;
                }
    }
    best = 0;
    for (int64_t s = 1; s < r->n_slice; s++)
        if (r->score[s * job->n_class + cls] > r->score[best * job->n_class + cls])
            best = s;
    *ret_class = cls;
    *ret_deciding = best;
}

struct overlay {
    const rad_site *site;
    const struct work_model *m;
    int map;      /* of m->n_map */
    float *value; /* [block rows, block columns], of a volume [block slices, ..] (rad_site.first, n) */
    rad_shape block;
};

static rad_status draw(struct overlay *o, int64_t at, rad_error *err) {
    const float *map = o->m->map + (at * o->m->n_map + o->map) * o->m->n_position;
    const rad_site *s = o->site;
    double first[RAD_CAM_RANK], step[RAD_CAM_RANK];
    if (!s->deep)
        return rad_cam_resize(map, &o->m->map_shape, &o->block, o->value, err);
    for (int d = 0; d < 3; d++) {
        const int t = 2 - d;
        step[d] = (double)o->m->map_shape.dim[d] / (s->border[1][t] - s->border[0][t]);
        first[d] = ((double)s->first[t] - s->border[0][t]) * step[d] - 0.5;
    }
    return rad_cam_sample(map, &o->m->map_shape, &o->block, first, step, o->value, err);
}

/* The slices that the drawn block speaks of: one, or those of the volume. */
static void slices_of(const rad_site *s, int64_t slice, int64_t *ret_first, int64_t *ret_end) {
    *ret_first = s->deep ? s->first[2] : slice;
    *ret_end = *ret_first + s->n[2];
}

/* Place in a block of pixel (x, y) of its slice z, from 0. */
static int64_t place(const rad_site *s, int64_t x, int64_t y, int64_t z) {
    return (z * s->n[1] + y - s->first[1]) * s->n[0] + x - s->first[0];
}

/* Energy on the lesion, whether the peak lies on it, and the overlap. */
static void compare(const struct overlay *o, int64_t at, int64_t peak, rad_cam_slice *r) {
    const rad_site *s = o->site;
    const uint8_t *lesion = s->lesion + (s->deep ? 0 : at * s->n[0] * s->n[1]);
    int64_t half = 0, both = 0;
    double inside = 0;
    for (int64_t z = 0; z < s->n[2]; z++)
        for (int64_t y = s->seen[1]; y < s->seen[3]; y++)
            for (int64_t x = s->seen[0]; x < s->seen[2]; x++) {
                const double v = (double)o->value[place(s, x, y, z)];
                const bool high = v > 0 && v >= r->peak_value / 2, on = lesion[place(s, x, y, z)];
                inside += on && v > 0 ? v : 0;
                half += high;
                both += high && on;
            }
    r->peak_inside = lesion[peak];
    r->energy_inside = r->energy > 0 ? inside / r->energy : (double)NAN;
    r->iou = (double)both / (double)(half + s->n_lesion[at] - both);
}

/* Slice `at` of the case, or its volume; o->value is drawn. */
static void measure(const struct overlay *o, int64_t at, int64_t slice, rad_cam_slice *ret) {
    const rad_site *s = o->site;
    const int64_t *seen = s->seen;
    int64_t first, end, peak[3], voxel[4];
    slices_of(s, slice, &first, &end);
    peak[0] = seen[0];
    peak[1] = seen[1];
    peak[2] = first;
    rad_cam_slice r = {.slice = slice, .peak_inside = -1, .energy_inside = NAN, .iou = NAN};
    r.peak_value = r.low_value = (double)o->value[place(s, seen[0], seen[1], 0)];
    for (int64_t z = first; z < end; z++)
        for (int64_t y = seen[1]; y < seen[3]; y++)
            for (int64_t x = seen[0]; x < seen[2]; x++) {
                const double v = (double)o->value[place(s, x, y, z - first)];
                if (v > r.peak_value) {
                    r.peak_value = v;
                    peak[0] = x;
                    peak[1] = y;
                    peak[2] = z;
                }
                r.low_value = v < r.low_value ? v : r.low_value;
                r.energy += v > 0 ? v : 0;
            }
    rad_site_voxel(s, peak[0], peak[1], peak[2], voxel);
    memcpy(r.peak, voxel, sizeof r.peak);
    for (int a = 0; a < 3; a++)
        r.peak_mm[a] = s->info.affine[a][0] * (double)voxel[0] + s->info.affine[a][1] * (double)voxel[1] +
                       s->info.affine[a][2] * (double)voxel[2] + s->info.affine[a][3];
    if (s->lesion && s->n_lesion[at] > 0)
        compare(o, at, place(s, peak[0], peak[1], peak[2] - first), &r);
    *ret = r;
}

static void paint(const struct overlay *o, int64_t slice, double top, uint8_t *voxel) {
    const rad_site *s = o->site;
    const int64_t *dim = s->info.dim;
    int64_t first, end;
    slices_of(s, slice, &first, &end);
    for (int64_t z = first; z < end; z++)
        for (int64_t y = s->seen[1]; y < s->seen[3]; y++)
            for (int64_t x = s->seen[0]; x < s->seen[2]; x++) {
                const double v = (double)o->value[place(s, x, y, z - first)];
                int64_t at[4];
                if (!(v > 0))
                    continue;
                rad_site_voxel(s, x, y, z, at);
                voxel[((at[3] * dim[2] + at[2]) * dim[1] + at[1]) * dim[0] + at[0]] = (uint8_t)floor(255 * v / top + 0.5);
            }
}

/* Writes the file and reads its hash back. What fails here is no study's fault: a score without the map that the job wants must not pass.
 */
static rad_status write_file(const char *path, const rad_image_info *info, const uint8_t *voxel, rad_cam_result *c, rad_error *err) {
    char *data = NULL;
    size_t size = 0;
    rad_error why = {0};
    char *dir = rad_path_dir(path);
    rad_status st = dir ? rad_mkdirs(dir, &why) : RAD_E_NOMEM;
    if (st == RAD_OK)
        st = rad_volume_write_on(path, info, voxel, &why);
    if (st == RAD_OK)
        st = rad_file_read(path, RAD_MAX_FILE_BYTES, &data, &size, &why);
    if (st == RAD_OK)
        st = rad_sha256(data, size, c->file_sha256, &why);
    c->file_bytes = (int64_t)size;
    free(data);
    free(dir);
    if (st == RAD_OK || st == RAD_E_NOMEM)
        return st == RAD_OK ? st : rad_error_set(err, st, "out of memory for a class activation map");
    return rad_error_set(err, RAD_E_STORE,
                         "a class activation map cannot be written: %s; make room or correct the folder's rights, and start again",
                         why.text);
}

static rad_status write_overlay(const rad_worker *w, struct overlay *o, const int64_t *chosen, const rad_cam_slice *slice,
                                rad_cam_result *c, rad_error *err) {
    rad_status st = RAD_OK;
    rad_image_info info = o->site->info;
    size_t n = 1;
    double top = 0;
    char *path = rad_path_join(w->cam_dir, c->file);
    for (int d = 0; d < 4; d++)
        if (!rad_mul_size(n, (size_t)info.dim[d], &n))
            n = SIZE_MAX;
    uint8_t *voxel = rad_calloc(n, 1);
    if (!path || !voxel) {
        st = rad_error_set(err, RAD_E_NOMEM, "out of memory for an overlay of %zu voxels", n);
        goto out;
    }
    for (int64_t i = 0; i < c->n_slice; i++)
        top = slice[i].peak_value > top ? slice[i].peak_value : top;
    for (int64_t i = 0; i < c->n_slice && top > 0; i++) {
        RAD_TRY(draw(o, chosen[i], err));
        paint(o, slice[i].slice, top, voxel);
    }
    info.type = RAD_VOX_U8;
    c->scale = top > 0 ? (double)(float)(top / 255) : 1;
    info.slope = c->scale;
    info.inter = 0;
    RAD_TRY(write_file(path, &info, voxel, c, err));
out:
    free(voxel);
    free(path);
    return st;
}

rad_status rad_work_finish_cam(const rad_worker *w, const struct work *k, struct work_model *m, const rad_model_result *r,
                               rad_cam_result *ret, rad_error *err) {
    const rad_job *job = w->job;
    const rad_site *site = &k->input[job->model[m->model].input].site;
    rad_cam_result c = {.stored = r->stored, .scale = 1};
    struct overlay o = {.site = site, .m = m};
    int64_t deciding = 0, *chosen = NULL;
    rad_status st = RAD_OK;
    memcpy(c.key, m->cam_key, sizeof c.key);
    if (c.stored)
        goto out;
    c.depth = site->deep ? m->map_shape.dim[0] : 0;
    c.height = m->map_shape.dim[m->map_shape.rank - 2];
    c.width = m->map_shape.dim[m->map_shape.rank - 1];
    choose(job, r, &c.class_index, &deciding);
    c.deciding_slice = r->slice[deciding];
    c.n_slice = job->cam_write == RAD_CAM_SLICE ? r->n_slice : 1;
    o.map = m->n_map > 1 ? c.class_index : 0;
    o.block = site->deep ? (rad_shape){3, {site->n[2], site->n[1], site->n[0]}} : (rad_shape){2, {site->n[1], site->n[0]}};
    size_t pixels;
    m->cam_slice = rad_calloc((size_t)c.n_slice, sizeof *m->cam_slice);
    chosen = rad_calloc((size_t)c.n_slice, sizeof *chosen);
    if (!rad_mul_size((size_t)site->n[0], (size_t)site->n[1], &pixels) || !rad_mul_size(pixels, (size_t)site->n[2], &pixels) ||
        !(o.value = rad_calloc(pixels, sizeof *o.value)) || !m->cam_slice || !chosen) {
        st = rad_error_set(err, RAD_E_NOMEM, "out of memory for class activation maps");
        goto out;
    }
    for (int64_t i = 0; i < c.n_slice; i++) {
        chosen[i] = c.n_slice > 1 ? i : deciding;
        RAD_TRY(draw(&o, chosen[i], err));
        measure(&o, chosen[i], r->slice[chosen[i]], &m->cam_slice[i]);
    }
    c.slice = m->cam_slice;
    if (job->cam_write != RAD_CAM_NONE) {
        m->cam_file = rad_work_cam_file(m->cam_key);
        c.file = m->cam_file;
        st = m->cam_file ? write_overlay(w, &o, chosen, m->cam_slice, &c, err)
                         : rad_error_set(err, RAD_E_NOMEM, "out of memory for class activation maps");
    }
out:
    free(o.value);
    free(chosen);
    if (st == RAD_OK)
        *ret = c;
    return st;
}

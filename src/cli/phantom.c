/* phantom.c: samples the synthetic patients of a design into a cohort folder. The model is described in phantom.h. */
#include "phantom.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "radcohort/load.h"

#define MAX_LESIONS 2
#define TABLE_BYTES ((size_t)64 << 20)

/* ---------------------------------------------------------------- counter-based random numbers */

/* SplitMix64's finaliser (Steele, Lea, Flood 2014) over a mixed key: a different stream for each (seed, patient, purpose, counter). */
static uint64_t mix(uint64_t x) {
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

static uint64_t draw(uint64_t key, uint64_t counter) {
    return mix(key + (counter + 1) * UINT64_C(0x9e3779b97f4a7c15));
}

static double uniform(uint64_t key, uint64_t counter) { /* [0, 1) */
    return (double)(draw(key, counter) >> 11) * 0x1p-53;
}

/* Nearly normal: the sum of four 16-bit uniforms, scaled to mean 0 and variance 1 (variance of the sum is 4/12). Cheap and exact in
 * integers. */
static double noise1(uint64_t key, uint64_t counter) {
    uint64_t r = draw(key, counter);
    double sum = (double)((r & 0xffff) + (r >> 16 & 0xffff) + (r >> 32 & 0xffff) + (r >> 48)) / 65536.0;
    return (sum - 2.0) * 1.7320508075688772;
}

/* A better normal for latents: the mean of four independent such sums, doubled. */
static double normal(uint64_t key, uint64_t counter) {
    return 0.5 * (noise1(key, 4 * counter) + noise1(key, 4 * counter + 1) + noise1(key, 4 * counter + 2) + noise1(key, 4 * counter + 3));
}

/* Value noise: random numbers in -1..1 on a lattice of `mm`, trilinear between, smoothed by 3t^2 - 2t^3. */
static double value_noise(uint64_t key, const double p[3], double mm) {
    double f[3];
    int64_t b[3];
    for (int a = 0; a < 3; a++) {
        double q = p[a] / mm + 4096.0, fl = floor(q), t = q - fl;
        b[a] = (int64_t)fl;
        f[a] = t * t * (3.0 - 2.0 * t);
    }
    double sum = 0;
    for (int c = 0; c < 8; c++) {
        double w = 1;
        uint64_t cell = 0;
        for (int a = 0; a < 3; a++) {
            int up = c >> a & 1;
            w *= up ? f[a] : 1.0 - f[a];
            cell = cell << 20 | (uint64_t)(b[a] + up);
        }
        sum += w * (2.0 * uniform(key, cell) - 1.0);
    }
    return sum;
}

/* ---------------------------------------------------------------- one patient */

typedef struct lesion {
    int class_index;
    double centre[3], radius[3]; /* mm */
    double latent;
} lesion;

typedef struct patient {
    char id[32];
    uint64_t key;
    const phantom_center *center;
    int class_index, fold, n_lesion;
    double age;
    bool male;
    lesion lesion[MAX_LESIONS];
    double half[3]; /* semi-axes of the body, mm */
} patient;

enum { KEY_PATIENT = 1, KEY_LESION, KEY_BODY, KEY_TEXTURE, KEY_SHADE, KEY_NOISE, KEY_READER };

static uint64_t subkey(uint64_t key, uint64_t purpose, uint64_t index) {
    return mix(mix(key ^ purpose * UINT64_C(0xd1342543de82ef95)) + index);
}

static void make_patient(const phantom_design *d, uint64_t seed, int64_t index, const phantom_center *c, int class_index, patient *p) {
    *p = (patient){.center = c, .class_index = class_index, .key = subkey(mix(seed), KEY_PATIENT, (uint64_t)index)};
    snprintf(p->id, sizeof p->id, "P%05" PRId64, index + 1);
    p->fold = d->folds ? (int)(index % d->folds) : -1;
    p->age = floor(d->age_mean + d->age_sd * normal(p->key, 0));
    p->age = p->age < 18 ? 18 : p->age > 90 ? 90 : p->age;
    p->male = uniform(p->key, 100) < d->male;
    p->n_lesion = uniform(p->key, 101) < d->second_lesion ? 2 : 1;
    double depth = c->scanner.thickness * (double)d->slices;
    p->half[0] = 40 + 4 * uniform(p->key, 102);
    p->half[1] = 33 + 4 * uniform(p->key, 103);
    p->half[2] = depth; /* the body goes on beyond the field of view */
    for (int l = 0; l < p->n_lesion; l++) {
        lesion *le = &p->lesion[l];
        uint64_t k = subkey(p->key, KEY_LESION, (uint64_t)l);
        le->class_index = class_index;
        for (int a = 0; a < 3; a++)
            le->radius[a] = 6.5 + 5.5 * uniform(k, (uint64_t)a);
        /* two lesions lie on opposite sides so that they do not meet */
        double side = l ? -1 : 1;
        le->centre[0] = side * (12 + 8 * uniform(k, 10));
        le->centre[1] = 14 * (2 * uniform(k, 11) - 1);
        le->centre[2] = (depth / 2 - 16) * (2 * uniform(k, 12) - 1);
        le->latent = (class_index >= d->positive ? 0.5 : -0.5) * d->separation + normal(k, 20);
    }
}

static double smooth_step(double x) { /* 0 below -0.5, 1 above 0.5 */
    double t = x < -0.5 ? 0 : x > 0.5 ? 1 : x + 0.5;
    return t * t * (3 - 2 * t);
}

/* Normalised radius of a position in a lesion; 1 = the border. */
static double lesion_radius(const lesion *le, const double p[3]) {
    double s = 0;
    for (int a = 0; a < 3; a++) {
        double q = (p[a] - le->centre[a]) / le->radius[a];
        s += q * q;
    }
    return sqrt(s);
}

/* The ideal intensity at a position, before the scanner. */
static double ideal(const phantom_sequence *s, const patient *p, int sequence, double detail, const double pos[3]) {
    double r2 = 0;
    for (int a = 0; a < 3; a++)
        r2 += pos[a] * pos[a] / (p->half[a] * p->half[a]);
    if (r2 > 1.1)
        return 0;
    double inside = smooth_step((1 - r2) * 8);
    double v = s->body * (1 + 0.10 * value_noise(subkey(p->key, KEY_BODY, (uint64_t)sequence), pos, 14));
    for (int l = 0; l < p->n_lesion; l++) {
        const lesion *le = &p->lesion[l];
        double rho = lesion_radius(le, pos);
        if (rho > 1.3)
            continue;
        /* strength of the signs of malignancy: 0.35 .. 2 over +-2 standard deviations of the latent */
        double strength = detail * exp(0.45 * (le->latent - 0.3));
        double texture = value_noise(subkey(p->key, KEY_TEXTURE, (uint64_t)l), pos, 3.2);
        double rim = exp(-30 * (rho - 0.88) * (rho - 0.88));
        double in_lesion = smooth_step((1 - rho) * 6);
        double w = s->lesion + strength * (s->texture * texture - s->rim * rim);
        v = v * (1 - in_lesion) + w * in_lesion;
    }
    return inside * v;
}

/* ---------------------------------------------------------------- one image */

/* Voxel to RAS+ mm for stored axes such as "LAS", tilted about the first axis; the grid's centre lies at the origin. */
static void make_affine(const phantom_design *d, const phantom_scanner *s, double m[4][4]) {
    static const char code[3][2] = {{'L', 'R'}, {'P', 'A'}, {'I', 'S'}};
    double step[3] = {s->spacing, s->spacing, s->thickness}, world[3][3] = {{0}};
    for (int k = 0; k < 3; k++)
        for (int a = 0; a < 3; a++)
            for (int up = 0; up < 2; up++)
                if (s->axes[k] == code[a][up])
                    world[a][k] = up ? 1 : -1;
    double c = cos(s->tilt_deg * 3.14159265358979323846 / 180), n = sin(s->tilt_deg * 3.14159265358979323846 / 180);
    int64_t dim[3] = {d->size, d->size, d->slices};
    memset(m, 0, 4 * sizeof *m);
    m[3][3] = 1;
    for (int a = 0; a < 3; a++) {
        double u = world[a][1], w = world[a][2];
        double col[3] = {world[a][0], c * u + n * w, c * w - n * u};
        for (int k = 0; k < 3; k++) {
            m[a][k] = col[k] * step[k];
            m[a][3] -= m[a][k] * 0.5 * (double)(dim[k] - 1);
        }
    }
}

static void to_world(double m[4][4], int64_t i, int64_t j, int64_t k, double p[3]) {
    for (int a = 0; a < 3; a++)
        p[a] = m[a][0] * (double)i + m[a][1] * (double)j + m[a][2] * (double)k + m[a][3];
}

static rad_status write_image(const phantom_design *d, const patient *p, int sequence, const char *path, int16_t *voxel, rad_error *err) {
    const phantom_scanner *s = &p->center->scanner;
    rad_image_info info = {.n_dim = 3,
                           .dim = {d->size, d->size, d->slices, 1, 1, 1, 1},
                           .spacing = {s->spacing, s->spacing, s->thickness},
                           .type = RAD_VOX_I16,
                           .slope = s->slope,
                           .inter = 0};
    make_affine(d, s, info.affine);
    uint64_t shade = subkey(p->key, KEY_SHADE, (uint64_t)sequence), noise = subkey(p->key, KEY_NOISE, (uint64_t)sequence);
    int64_t n = 0;
    for (int64_t k = 0; k < d->slices; k++)
        for (int64_t j = 0; j < d->size; j++)
            for (int64_t i = 0; i < d->size; i++, n++) {
                double pos[3];
                to_world(info.affine, i, j, k, pos);
                double v = ideal(&d->sequence[sequence], p, sequence, s->detail, pos);
                v *= 1 + s->bias * value_noise(shade, pos, 60);
                v += s->noise * noise1(noise, (uint64_t)n);
                v = (s->gain * v + s->offset) / s->slope;
                voxel[n] = (int16_t)(v < -32000 ? -32000 : v > 32000 ? 32000 : floor(v + 0.5));
            }
    return rad_volume_write(path, &info, voxel, err);
}

/* The lesion on the center's grid: a mask (voxels whose centre lies inside) and its box. */
static rad_status write_lesion(const phantom_design *d, const patient *p, const lesion *le, const char *mask_path, uint8_t *mask,
                               int64_t box[6], rad_error *err) {
    const phantom_scanner *s = &p->center->scanner;
    rad_image_info info = {.n_dim = 3,
                           .dim = {d->size, d->size, d->slices, 1, 1, 1, 1},
                           .spacing = {s->spacing, s->spacing, s->thickness},
                           .type = RAD_VOX_U8,
                           .slope = 1,
                           .inter = 0};
    make_affine(d, s, info.affine);
    for (int a = 0; a < 3; a++) {
        box[a] = INT64_MAX;
        box[a + 3] = 0;
    }
    int64_t n = 0, at[3];
    for (at[2] = 0; at[2] < d->slices; at[2]++)
        for (at[1] = 0; at[1] < d->size; at[1]++)
            for (at[0] = 0; at[0] < d->size; at[0]++, n++) {
                double pos[3];
                to_world(info.affine, at[0], at[1], at[2], pos);
                mask[n] = lesion_radius(le, pos) <= 1;
                for (int a = 0; a < 3 && mask[n]; a++) {
                    box[a] = at[a] < box[a] ? at[a] : box[a];
                    box[a + 3] = at[a] + 1 > box[a + 3] ? at[a] + 1 : box[a + 3];
                }
            }
    return mask_path ? rad_volume_write(mask_path, &info, mask, err) : RAD_OK;
}

/* ---------------------------------------------------------------- the folder */

typedef struct tables {
    rad_buf patients, images, lesions, readings, centers;
} tables;

static rad_status add_patient(const phantom_design *d, const char *dir, uint64_t seed, const patient *p, tables *t, void *voxel,
                              int64_t *images, rad_error *err) {
    rad_status st = RAD_OK;
    char *path = NULL, *folder = rad_asprintf("%s/images/%s", dir, p->id);
    if (!folder)
        return rad_error_set(err, RAD_E_NOMEM, "no memory for a path");
    RAD_TRY(rad_mkdirs(folder, err));
    RAD_TRY(rad_buf_printf(&t->patients, err, "%s\t%s\t%s\t", p->id, p->center->id, d->class_name[p->class_index]));
    if (p->fold >= 0)
        RAD_TRY(rad_buf_printf(&t->patients, err, "%d", p->fold));
    RAD_TRY(rad_buf_printf(&t->patients, err, "\t%.0f\t%s\n", p->age, p->male ? "M" : "F"));
    for (int s = 0; s < d->n_sequence; s++) {
        path = rad_asprintf("%s/%s.nii.gz", folder, d->sequence[s].name);
        if (!path)
            RAD_TRY(rad_error_set(err, RAD_E_NOMEM, "no memory for a path"));
        RAD_TRY(write_image(d, p, s, path, voxel, err));
        free(path);
        path = NULL;
        RAD_TRY(
            rad_buf_printf(&t->images, err, "%s\t1\t%s\timages/%s/%s.nii.gz\n", p->id, d->sequence[s].name, p->id, d->sequence[s].name));
        ++*images;
    }
    for (int l = 0; l < p->n_lesion; l++) {
        const lesion *le = &p->lesion[l];
        int64_t box[6];
        if (p->center->mask) {
            path = rad_asprintf("%s/L%d_mask.nii.gz", folder, l + 1);
            if (!path)
                RAD_TRY(rad_error_set(err, RAD_E_NOMEM, "no memory for a path"));
        }
        RAD_TRY(write_lesion(d, p, le, path, voxel, box, err));
        free(path);
        path = NULL;
        double size = 2 * fmax(le->radius[0], fmax(le->radius[1], le->radius[2]));
        RAD_TRY(rad_buf_printf(&t->lesions, err, "%s\tL%d\t%s\t", p->id, l + 1, d->class_name[le->class_index]));
        if (p->center->mask)
            RAD_TRY(rad_buf_printf(&t->lesions, err, "\timages/%s/L%d_mask.nii.gz", p->id, l + 1));
        else
            RAD_TRY(rad_buf_printf(&t->lesions, err, "%" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 "\t", box[0],
                                   box[1], box[2], box[3], box[4], box[5]));
        RAD_TRY(rad_buf_printf(&t->lesions, err, "\t\t%.1f\t%.4f\n", size, le->latent));
        for (int r = 0; r < d->n_reader; r++) {
            uint64_t k = subkey(subkey(p->key, KEY_READER, (uint64_t)r), seed, (uint64_t)l);
            bool right = uniform(k, 0) < d->reader[r].accuracy;
            int call = right ? le->class_index : (le->class_index + 1 + (int)(uniform(k, 1) * (d->n_class - 1))) % d->n_class;
            RAD_TRY(rad_buf_printf(&t->readings, err, "%s\t%s\tL%d\t%s\t%g\n", d->reader[r].id, p->id, l + 1, d->class_name[call],
                                   d->reader[r].years));
        }
    }
out:
    free(path);
    free(folder);
    return st;
}

static rad_status write_table(const char *dir, const char *name, const rad_buf *b, rad_error *err) {
    char *path = rad_path_join(dir, name);
    if (!path)
        return rad_error_set(err, RAD_E_NOMEM, "no memory for a path");
    rad_status st = rad_file_write_atomic(path, b->data, b->size, err);
    free(path);
    return st;
}

static rad_status write_patients(const phantom_design *d, const char *dir, uint64_t seed, double scale, tables *t, int64_t *patients,
                                 int64_t *images, rad_error *err) {
    rad_status st = RAD_OK;
    void *voxel = rad_calloc((size_t)(d->size * d->size * d->slices), sizeof(int16_t));
    if (!voxel)
        return rad_error_set(err, RAD_E_NOMEM, "no memory for an image");
    for (int c = 0; c < d->n_center; c++) {
        const phantom_center *ce = &d->center[c];
        RAD_TRY(
            rad_buf_printf(&t->centers, err, "%s\t%s\t%s\t%s\n", ce->id, ce->external ? "external" : "internal", ce->name, ce->country));
        for (int k = 0; k < d->n_class; k++) {
            int64_t n = (int64_t)floor(ce->n[k] * scale + 0.5);
            n = ce->n[k] > 0 && n < 1 ? 1 : n;
            for (int64_t i = 0; i < n; i++) {
                patient p;
                make_patient(d, seed, *patients, ce, k, &p);
                RAD_TRY(add_patient(d, dir, seed, &p, t, voxel, images, err));
                ++*patients;
            }
        }
    }
out:
    free(voxel);
    return st;
}

rad_status phantom_write(const phantom_design *d, const char *dir, uint64_t seed, double scale, int64_t *ret_patients, int64_t *ret_images,
                         rad_error *err) {
    rad_status st = RAD_OK;
    tables t;
    int64_t patients = 0, images = 0;
    rad_buf *all[] = {&t.patients, &t.images, &t.lesions, &t.readings, &t.centers};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        rad_buf_init(all[i], TABLE_BYTES);
    RAD_TRY(rad_mkdirs(dir, err));
    RAD_TRY(rad_buf_printf(&t.patients, err, "patient\tcenter\tlabel\tfold\tage\tsex\n"));
    RAD_TRY(rad_buf_printf(&t.images, err, "patient\tstudy\tsequence\tpath\n"));
    RAD_TRY(rad_buf_printf(&t.lesions, err, "patient\tlesion\tlabel\tbox\tmask\tpoint\tsize_mm\tlatent\n"));
    RAD_TRY(rad_buf_printf(&t.readings, err, "reader\tpatient\tlesion\tcall\texperience_years\n"));
    RAD_TRY(rad_buf_printf(&t.centers, err, "center\tcohort\tname\tcountry\n"));
    RAD_TRY(write_patients(d, dir, seed, scale, &t, &patients, &images, err));
    RAD_TRY(write_table(dir, "images.tsv", &t.images, err));
    RAD_TRY(write_table(dir, "lesions.tsv", &t.lesions, err));
    RAD_TRY(write_table(dir, "readings.tsv", &t.readings, err));
    RAD_TRY(write_table(dir, "centers.tsv", &t.centers, err));
    RAD_TRY(write_table(dir, "patients.tsv", &t.patients, err)); /* last: its presence says that the folder is complete */
    *ret_patients = patients;
    *ret_images = images;
out:
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        rad_buf_release(all[i]);
    return st;
}

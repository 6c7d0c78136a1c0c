/* phantom_plan.c: draws the synthetic patients of a design: who has which lesions, sequences, readings. What is published as a count is a
 * quota here: units are ranked by a random number and the first so many are taken. */
#include "phantom_plan.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---------------------------------------------------------------- counter-based random numbers */

/* SplitMix64's finaliser (Steele, Lea, Flood 2014) over a mixed key: a different stream for each (seed, patient, purpose, counter). */
static uint64_t mix(uint64_t x) {
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

uint64_t phantom_draw(uint64_t key, uint64_t counter) {
    return mix(key + (counter + 1) * UINT64_C(0x9e3779b97f4a7c15));
}

uint64_t phantom_subkey(uint64_t key, uint64_t purpose, uint64_t index) {
    return mix(mix(key ^ purpose * UINT64_C(0xd1342543de82ef95)) + index);
}

double phantom_uniform(uint64_t key, uint64_t counter) {
    return (double)(phantom_draw(key, counter) >> 11) * 0x1p-53;
}

/* The sum of four 16-bit uniforms, scaled to mean 0 and variance 1 (variance of the sum is 4/12). Cheap and exact in integers. */
double phantom_noise(uint64_t key, uint64_t counter) {
    uint64_t r = phantom_draw(key, counter);
    double sum = (double)((r & 0xffff) + (r >> 16 & 0xffff) + (r >> 32 & 0xffff) + (r >> 48)) / 65536.0;
    return (sum - 2.0) * 1.7320508075688772;
}

/* The mean of four independent such sums, doubled. */
double phantom_normal(uint64_t key, uint64_t counter) {
    return 0.5 * (phantom_noise(key, 4 * counter) + phantom_noise(key, 4 * counter + 1) + phantom_noise(key, 4 * counter + 2) +
                  phantom_noise(key, 4 * counter + 3));
}

double phantom_value_noise(uint64_t key, const double p[3], double mm) {
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
        sum += w * (2.0 * phantom_uniform(key, cell) - 1.0);
    }
    return sum;
}

/* ---------------------------------------------------------------- quotas */

typedef struct ranked {
    double rank;
    phantom_patient *patient;
    int lesion;
} ranked;

static int by_rank(const void *a, const void *b) {
    const ranked *x = a, *y = b;
    if (x->rank != y->rank)
        return x->rank < y->rank ? -1 : 1;
    const int names = strcmp(x->patient->id, y->patient->id);
    return names ? names : x->lesion - y->lesion;
}

static int64_t quota(double share, int64_t n) {
    return (int64_t)floor(share * (double)n + 0.5);
}

/* ---------------------------------------------------------------- one patient */

static double factor(double x) {
    return x > 0 ? x : 1;
}

static void make_lesion(const phantom_design *d, const phantom_patient *p, int index, phantom_lesion *le) {
    const uint64_t k = phantom_subkey(p->key, PHANTOM_KEY_LESION, (uint64_t)index);
    const double depth = p->center->scanner.thickness * (double)d->slices, spread = factor(d->spread);
    le->class_index = p->class_index;
    for (int a = 0; a < 3; a++)
        le->radius[a] = d->radius_low + (d->radius_high - d->radius_low) * phantom_uniform(k, (uint64_t)a);
    le->radius[2] *= factor(d->depth[p->class_index]);
    /* two lesions lie on opposite sides so that they do not meet */
    double side = index ? -1 : 1;
    le->centre[0] = side * spread * (12 + 8 * phantom_uniform(k, 10));
    le->centre[1] = spread * 14 * (2 * phantom_uniform(k, 11) - 1);
    le->centre[2] = (depth / 2 - d->radius_high - 4) * (2 * phantom_uniform(k, 12) - 1);
    const double e = phantom_normal(k, 20);
    le->latent = d->mean[p->class_index] + e;
    le->pattern = d->pattern[p->class_index] + d->pattern_sd * phantom_normal(k, 21);
    for (int s = 0; s < d->n_sequence; s++) {
        const double v = d->sequence[s].information;
        le->shown[s] = v * le->latent + sqrt(1 - v * v) * phantom_normal(k, 22 + (uint64_t)s);
    }
}

static void make_patient(const phantom_design *d, uint64_t seed, int64_t index, const phantom_center *c, int class_index,
                         phantom_patient *p) {
    *p = (phantom_patient){
        .center = c, .class_index = class_index, .key = phantom_subkey(mix(seed), PHANTOM_KEY_PATIENT, (uint64_t)index), .n_lesion = 1};
    snprintf(p->id, sizeof p->id, "P%05" PRId64, index + 1);
    /* classes follow each other within a center: folds are stratified */
    p->fold = d->folds ? (int)(index % d->folds) : -1;
    p->age = floor(d->age_mean[class_index] + d->age_sd * phantom_normal(p->key, 0));
    p->age = p->age < 18 ? 18 : p->age > 90 ? 90 : p->age;
    p->male = phantom_uniform(p->key, 100) < d->male[class_index];
    p->half[0] = 40 + 4 * phantom_uniform(p->key, 102);
    p->half[1] = 33 + 4 * phantom_uniform(p->key, 103);
    p->half[2] = c->scanner.thickness * (double)d->slices; /* the body goes on beyond the field of view */
    for (int l = 0; l < PHANTOM_MAX_LESION; l++)
        make_lesion(d, p, l, &p->lesion[l]);
    if (d->views.few > 0)
        p->n_still = d->views.few + (int)floor(phantom_uniform(p->key, 104) * (d->views.many - d->views.few + 1));
}

/* ---------------------------------------------------------------- over all patients */

typedef double rank_fn(const phantom_plan *plan, const phantom_patient *p, int lesion, int of);

static double rank_second(const phantom_plan *plan, const phantom_patient *p, int lesion, int of) {
    (void)plan;
    (void)lesion;
    (void)of;
    return phantom_uniform(p->key, 101);
}

static double rank_cine(const phantom_plan *plan, const phantom_patient *p, int lesion, int of) {
    (void)plan;
    (void)lesion;
    (void)of;
    return phantom_uniform(p->key, 105);
}

static double rank_sequence(const phantom_plan *plan, const phantom_patient *p, int lesion, int of) {
    (void)plan;
    (void)lesion;
    return phantom_uniform(phantom_subkey(p->key, PHANTOM_KEY_SEQUENCE, (uint64_t)of), 0);
}

/* How clear a case is to a reader: what the lesion shows beyond its class's mean, in the direction that betrays the class, and chance. */
static double rank_reader(const phantom_plan *plan, const phantom_patient *p, int lesion, int of) {
    const phantom_lesion *le = &p->lesion[lesion];
    const double mean = plan->design->mean[le->class_index];
    const uint64_t k = phantom_subkey(phantom_subkey(p->key, PHANTOM_KEY_READER, (uint64_t)of), plan->seed, (uint64_t)lesion);
    return 0.6 * (mean > 0 ? le->latent - mean : mean - le->latent) + phantom_normal(k, 0);
}

static double rank_feature(const phantom_plan *plan, const phantom_patient *p, int lesion, int of) {
    const phantom_lesion *le = &p->lesion[lesion];
    const uint64_t k = phantom_subkey(phantom_subkey(p->key, PHANTOM_KEY_FEATURE, (uint64_t)of), plan->seed, (uint64_t)lesion);
    return -0.5 * (le->latent - plan->design->mean[le->class_index]) - phantom_normal(k, 0);
}

/* Ranks the lesions (of one class, or of all: -1) of all patients; first_only: one entry per patient. Returns how many. */
static int64_t rank_all(phantom_plan *plan, ranked *r, int class_index, bool first_only, rank_fn *rank, int of) {
    int64_t n = 0;
    for (int64_t i = 0; i < plan->n; i++) {
        phantom_patient *p = &plan->patient[i];
        if (p->center->unread && (rank == rank_reader || rank == rank_feature))
            continue;
        for (int l = 0; l < (first_only ? 1 : p->n_lesion) && (class_index < 0 || p->class_index == class_index); l++)
            r[n++] = (ranked){rank(plan, p, l, of), p, l};
    }
    qsort(r, (size_t)n, sizeof *r, by_rank);
    return n;
}

/* Calls: the least clear cases of each class are those that a reader gets wrong. Ratings: 4 and 5 with a suspicious call, 1 to 3 without.
 */
static void read_cases(phantom_plan *plan, ranked *r, int reader, int class_index) {
    const phantom_design *d = plan->design;
    const int64_t n = rank_all(plan, r, class_index, d->read_patients, rank_reader, reader);
    const int64_t wrong = n - quota(d->reader[reader].accuracy[class_index], n);
    for (int64_t i = 0; i < n; i++) {
        phantom_patient *p = r[i].patient;
        phantom_reading *to = &p->reading[r[i].lesion][reader];
        const uint64_t k = phantom_subkey(phantom_subkey(p->key, PHANTOM_KEY_READER, (uint64_t)reader), plan->seed, (uint64_t)r[i].lesion);
        const int other = (class_index + 1 + (int)(phantom_uniform(k, 100) * (d->n_class - 1))) % d->n_class;
        to->call = i < wrong ? other : class_index;
        const bool sure = i >= wrong && 2 * (i - wrong) >= n - wrong;
        to->rating = d->mean[to->call] > 0 ? (sure ? 5 : 4) : sure ? 1 : i < wrong ? 3 : 2;
    }
}

/* ---------------------------------------------------------------- image sets */

static int sequences_there(const phantom_design *d, const phantom_patient *p) {
    int n = 0;
    for (int s = 0; s < d->n_sequence; s++)
        n += !p->missing[s];
    return n;
}

/* Puts a lesion's borders between slices: it then touches exactly `slices` of them. */
static void align(const phantom_design *d, const phantom_patient *p, phantom_lesion *le, int64_t slices) {
    const double t = p->center->scanner.thickness, middle = 0.5 * (double)(d->slices - 1);
    double first = floor(le->centre[2] / t + middle - 0.5 * (double)(slices - 1) + 0.5);
    first = fmin(fmax(first, 1), (double)(d->slices - 1 - slices));
    le->radius[2] = 0.5 * t * (double)slices;
    le->centre[2] = (first + 0.5 * (double)(slices - 1) - middle) * t;
}

typedef struct counted {
    phantom_patient *patient;
    int lesion, sequences;
    int64_t slices;
} counted;

/* Adds (or, by -1, takes) one slice of lesions in turn while that does not pass the aim. Returns what is left. */
static int64_t approach(const phantom_design *d, counted *c, int64_t n, int64_t left) {
    bool moved = true;
    while (left != 0 && moved) {
        moved = false;
        for (int64_t i = 0; i < n && left != 0; i++) {
            const int64_t by = left > 0 ? 1 : -1, to = c[i].slices + by;
            if (c[i].sequences > 0 && c[i].sequences <= by * left && to >= 1 && to <= d->slices - 2) {
                c[i].slices = to;
                left -= by * c[i].sequences;
                moved = true;
            }
        }
    }
    return left;
}

/* A rest smaller than any lesion's sequences: one lesion gains a slice and one loses a slice. */
static void exchange(const phantom_design *d, counted *c, int64_t n, int64_t left) {
    for (int64_t i = 0; i < n; i++)
        for (int64_t k = 0; k < n; k++)
            if (c[i].sequences - c[k].sequences == left && c[i].slices < d->slices - 2 && c[k].slices > 1) {
                c[i].slices++;
                c[k].slices--;
                return;
            }
}

static rad_status share_slices(phantom_plan *plan, const phantom_center *center, rad_error *err) {
    const phantom_design *d = plan->design;
    int64_t n = 0, patients = 0, published = 0, sets = 0;
    counted *c = rad_calloc((size_t)plan->n_lesion, sizeof *c);
    if (!c)
        return rad_error_set(err, RAD_E_NOMEM, "no memory for the slices of lesions");
    for (int k = 0; k < d->n_class; k++)
        published += center->n[k];
    for (int64_t i = 0; i < plan->n; i++) {
        phantom_patient *p = &plan->patient[i];
        patients += p->center == center;
        for (int l = 0; l < p->n_lesion && p->center == center; l++) {
            const int64_t want = (int64_t)floor(2 * p->lesion[l].radius[2] / center->scanner.thickness + 0.5);
            c[n] = (counted){p, l, sequences_there(d, p), want < 1 ? 1 : want > d->slices - 2 ? d->slices - 2 : want};
            sets += c[n].slices * c[n].sequences;
            n++;
        }
    }
    const int64_t left = approach(d, c, n, quota((double)center->image_sets / (double)published, patients) - sets);
    if (left != 0)
        exchange(d, c, n, left);
    for (int64_t i = 0; i < n; i++)
        align(d, c[i].patient, &c[i].patient->lesion[c[i].lesion], c[i].slices);
    free(c);
    return RAD_OK;
}

/* ---------------------------------------------------------------- the plan */

static int64_t scaled(int n, double scale) {
    const int64_t m = (int64_t)floor(n * scale + 0.5);
    return n > 0 && m < 1 ? 1 : m;
}

static rad_status fill(phantom_plan *plan, ranked *r, rad_error *err) {
    const phantom_design *d = plan->design;
    rad_status st = RAD_OK;
    for (int k = 0; k < d->n_class; k++) {
        const int64_t n = quota(d->second_lesion[k], rank_all(plan, r, k, true, rank_second, 0));
        for (int64_t i = 0; i < n; i++)
            r[i].patient->n_lesion = 2;
        plan->n_lesion += n;
    }
    plan->n_lesion += plan->n;
    for (int s = 0; s < d->n_sequence; s++) {
        const int64_t n = quota(d->sequence[s].missing, rank_all(plan, r, -1, true, rank_sequence, s));
        for (int64_t i = 0; i < n; i++)
            r[i].patient->missing[s] = true;
    }
    const int64_t cine = quota(d->views.cine, rank_all(plan, r, -1, true, rank_cine, 0));
    for (int64_t i = 0; i < cine; i++)
        r[i].patient->cine = true;
    for (int c = 0; c < d->n_center && st == RAD_OK; c++)
        if (d->center[c].image_sets > 0)
            st = share_slices(plan, &d->center[c], err);
    for (int k = 0; k < d->n_class && st == RAD_OK; k++) {
        for (int i = 0; i < d->n_reader; i++)
            read_cases(plan, r, i, k);
        for (int f = 0; f < d->n_feature; f++) {
            const int64_t n = quota(d->feature[f].share[k], rank_all(plan, r, k, d->read_patients, rank_feature, f));
            for (int64_t i = 0; i < n; i++)
                r[i].patient->feature[r[i].lesion] |= UINT32_C(1) << f;
        }
    }
    return st;
}

rad_status phantom_plan_make(const phantom_design *d, uint64_t seed, double scale, phantom_plan *ret, rad_error *err) {
    phantom_plan plan = {.design = d, .seed = seed};
    rad_status st = RAD_OK;
    int64_t n = 0;
    for (int c = 0; c < d->n_center; c++)
        for (int k = 0; k < d->n_class; k++)
            n += scaled(d->center[c].n[k], scale);
    plan.patient = rad_calloc((size_t)n, sizeof *plan.patient);
    ranked *r = rad_calloc((size_t)n * PHANTOM_MAX_LESION, sizeof *r);
    if (!plan.patient || !r)
        RAD_TRY(rad_error_set(err, RAD_E_NOMEM, "no memory for %" PRId64 " patients", n));
    for (int c = 0; c < d->n_center; c++)
        for (int k = 0; k < d->n_class; k++)
            for (int64_t i = scaled(d->center[c].n[k], scale); i > 0; i--) {
                make_patient(d, seed, plan.n, &d->center[c], k, &plan.patient[plan.n]);
                plan.n++;
            }
    RAD_TRY(fill(&plan, r, err));
    *ret = plan;
    plan.patient = NULL;
out:
    free(r);
    free(plan.patient);
    return st;
}

void phantom_plan_release(phantom_plan *plan) {
    free(plan->patient);
    *plan = (phantom_plan){.n = 0};
}

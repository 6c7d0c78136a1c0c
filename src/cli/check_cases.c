/* check_cases.c: which cases of the manifest would be scored, and why the others would not. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "radcohort/load.h"
#include "radcohort/prepare.h"

/* The header of one file, read once. */
typedef struct header {
    bool looked;
    rad_status status;
    rad_image_info info;
    char *why;
} header;

typedef struct walk {
    check *k;
    header *image, *mask; /* per image; per lesion */
    int64_t n_read, n_total;
    bool progress;
} walk;

static rad_status no_memory(rad_error *err) {
    return rad_error_set(err, RAD_E_NOMEM, "no memory to check the cases");
}

/* ---------------------------------------------------------------- groups */

/* The part of a reason that cases share: details stand in parentheses at its end (cohort.h). */
static size_t shared_length(const char *why) {
    size_t n = strlen(why);
    if (n == 0 || why[n - 1] != ')')
        return n;
    int depth = 0;
    for (size_t i = n; i-- > 0;) {
        depth += why[i] == ')';
        depth -= why[i] == '(';
        if (depth == 0)
            return i > 0 && why[i - 1] == ' ' ? i - 1 : n;
    }
    return n;
}

rad_status check_group_add(check_groups *g, int input, const char *stage, rad_status status, const char *why, const char *who,
                           rad_error *err) {
    size_t n = shared_length(why);
    check_group *at = NULL;
    for (int64_t i = 0; i < g->n && !at; i++) {
        check_group *c = &g->item[i];
        if (c->input == input && c->status == status && strncmp(c->why, why, n) == 0 && c->why[n] == '\0')
            at = c;
    }
    if (!at && g->n == CHECK_MAX_GROUPS)
        at = &g->item[g->n - 1];
    if (!at) {
        if (g->n == g->cap) {
            int64_t cap = g->cap ? g->cap * 2 : 16;
            check_group *p = rad_realloc(g->item, (size_t)cap, sizeof *p);
            if (!p)
                return no_memory(err);
            g->item = p;
            g->cap = cap;
        }
        char *text = rad_strndup(why, n);
        if (!text)
            return no_memory(err);
        at = &g->item[g->n++];
        *at = (check_group){.input = input, .stage = stage, .status = status, .why = text};
    }
    if (at->n < CHECK_EXAMPLES && !(at->example[at->n] = rad_asprintf("%s%s", who, why + n)))
        return no_memory(err);
    at->n++;
    return RAD_OK;
}

void check_groups_release(check_groups *g) {
    for (int64_t i = 0; i < g->n; i++) {
        free(g->item[i].why);
        for (int e = 0; e < CHECK_EXAMPLES; e++)
            free(g->item[i].example[e]);
    }
    free(g->item);
    *g = (check_groups){0};
}

/* ---------------------------------------------------------------- headers */

static void show_progress(walk *w) {
    if (w->progress && ++w->n_read % 500 == 0)
        (void)fprintf(stderr, "\rreading headers: %" PRId64 " of at most %" PRId64, w->n_read, w->n_total);
}

static rad_status read_header(walk *w, header *h, const char *path, bool missing, rad_error *err) {
    if (h->looked)
        return RAD_OK;
    h->looked = true;
    if (missing) {
        h->status = RAD_E_NOTFOUND;
        h->why = rad_asprintf("file is not there (%s)", path);
        return h->why ? RAD_OK : no_memory(err);
    }
    if (w->k->no_headers)
        return RAD_OK;
    show_progress(w);
    char *full = rad_path_join(w->k->cohort->dir, path);
    rad_image_info info = {0};
    rad_error why = {0};
    if (!full)
        return no_memory(err);
    h->status = rad_image_probe(full, &info, &why);
    free(full);
    if (h->status == RAD_E_NOMEM)
        return no_memory(err);
    if (h->status != RAD_OK) {
        h->why = rad_asprintf("file cannot be read: %s (%s)", rad_status_reason(h->status), why.text);
        return h->why ? RAD_OK : no_memory(err);
    }
    rad_image_info_release(&info); /* its warning; the rest is plain data */
    info.warning = NULL;
    h->info = info;
    return RAD_OK;
}

/* ---------------------------------------------------------------- one input of one case */

typedef struct verdict {
    rad_status status;
    const char *stage;
    char text[700];
} verdict;

static void refuse(verdict *v, rad_status st, const char *stage, const char *fmt, ...) RAD_PRINTF(4, 5);
static void refuse(verdict *v, rad_status st, const char *stage, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(v->text, sizeof v->text, fmt, ap);
    va_end(ap);
    v->status = st;
    v->stage = stage;
}

/* Where the tables say that the lesion is, and which slices count. */
static rad_status check_lesion(walk *w, const rad_case *c, int which, const rad_image_info *const *image, verdict *v, rad_error *err) {
    static const rad_lesion none = {0};
    const rad_input_spec *spec = &w->k->job->input[which];
    const rad_lesion *l = c->lesion >= 0 ? &w->k->cohort->lesion[c->lesion] : &none;
    bool uses_mask = l->has_mask && rad_prepare_wants_mask(spec);
    header *m = c->lesion >= 0 ? &w->mask[c->lesion] : NULL;
    if (uses_mask) {
        rad_status st = read_header(w, m, l->mask, l->mask_missing, err);
        if (st != RAD_OK)
            return st;
        if (m->status != RAD_OK)
            refuse(v, m->status, "load", "mask: %s", m->why);
    }
    if (v->status != RAD_OK || w->k->no_headers)
        return RAD_OK;
    rad_roi roi = {.has_box = l->has_box, .has_point = l->has_point};
    rad_error why = {0};
    roi.n_listed = rad_case_listed(w->k->cohort, w->k->job, c, which, &roi.listed);
    memcpy(roi.box, l->box, sizeof roi.box);
    memcpy(roi.point, l->point, sizeof roi.point);
    rad_status st = rad_prepare_check_lesion(spec, image, uses_mask ? &m->info : NULL, &roi, &why);
    if (st == RAD_E_NOMEM)
        return no_memory(err);
    if (st != RAD_OK)
        refuse(v, st, "prepare", "%s (%s)",
               st == RAD_E_SHAPE ? "the mask is not on the image's grid"
               : c->lesion < 0   ? "its slices cannot be found"
                                 : "the lesion lies outside the image",
               why.text);
    return RAD_OK;
}

/* The volumes that a 4-D image gives, or the one that is taken without saying so. */
static void check_volumes(walk *w, const rad_image *image, const rad_input_spec *spec, const rad_pick *pick, rad_image_info *info,
                          verdict *v) {
    char *full = rad_path_join(w->k->cohort->dir, image->path);
    rad_error why = {0};
    rad_status st = !full                                         ? rad_error_set(&why, RAD_E_NOMEM, "no memory for a path")
                    : pick                                        ? rad_image_info_mean(image->path, pick->n, pick->total, info, &why)
                    : info->dim[3] > 1 && !spec->frames_as_slices ? rad_b_check_plain(full, &why)
                                                                  : RAD_OK;
    free(full);
    if (st != RAD_OK)
        refuse(v, st, "load", "%s (%s)", pick ? "the b-value's volumes cannot be picked" : "the volume is not chosen", why.text);
}

static rad_status check_case_input(walk *w, const rad_case *c, int which, verdict *v, rad_error *err) {
    const rad_input_spec *spec = &w->k->job->input[which];
    const rad_case_input *in = &c->input[which];
    const rad_image_info *info[RAD_MAX_CHANNELS] = {NULL};
    rad_image_info shown[RAD_MAX_CHANNELS];
    *v = (verdict){.status = RAD_OK};
    if (in->status != RAD_OK) {
        refuse(v, in->status, "intake", "%s", in->why);
        return RAD_OK;
    }
    for (int ch = 0; ch < spec->n_channel && v->status == RAD_OK; ch++) {
        if (in->image[ch] < 0)
            continue; /* missing, and the job says what stands for it */
        const rad_image *image = &w->k->cohort->image[in->image[ch]];
        header *h = &w->image[in->image[ch]];
        rad_status st = read_header(w, h, image->path, image->missing, err);
        if (st != RAD_OK)
            return st;
        if (h->status != RAD_OK)
            refuse(v, h->status, "load", "%s", h->why);
        shown[ch] = h->info;
        info[ch] = &shown[ch];
        if (v->status == RAD_OK && !w->k->no_headers)
            check_volumes(w, image, spec, in->pick[ch], &shown[ch], v);
    }
    rad_error why = {0};
    if (v->status == RAD_OK && !w->k->no_headers) {
        rad_status st = rad_prepare_check_grid(spec, info, &why);
        if (st != RAD_OK)
            refuse(v, st, "prepare", "%s (%s)", st == RAD_E_SHAPE ? "its images cannot be matched" : "its geometry is not supported",
                   why.text);
    }
    return v->status == RAD_OK && (c->lesion >= 0 || spec->slices == RAD_SLICES_LISTED) ? check_lesion(w, c, which, info, v, err) : RAD_OK;
}

/* ---------------------------------------------------------------- all */

static void name_case(const rad_cohort *c, const rad_case *k, char *buf, size_t cap) {
    const char *id = c->patient[k->patient].id;
    if (k->lesion >= 0)
        snprintf(buf, cap, "%.80s/%.80s", id, c->lesion[k->lesion].id);
    else if (k->study[0])
        snprintf(buf, cap, "%.80s/%.80s", id, k->study);
    else
        snprintf(buf, cap, "%.80s", id);
}

static bool input_is_used(const rad_job *job, int which) {
    for (int i = 0; i < job->n_model; i++)
        if (job->model[i].input == which)
            return true;
    return false;
}

static bool all_stood_in(const rad_job *job, const rad_case *c, int which) {
    for (int m = 0; m < job->n_model; m++)
        if (job->model[m].input == which && rad_case_scorer(job, c, m) == m)
            return false;
    return true;
}

static rad_status check_case(walk *w, const rad_case *c, rad_error *err) {
    check *k = w->k;
    const rad_job *job = k->job;
    bool excluded = false;
    char who[200];
    name_case(k->cohort, c, who, sizeof who);
    int64_t center = k->cohort->patient[c->patient].center;
    k->count[center * (job->n_class + 1) + (c->label >= 0 ? c->label : job->n_class)]++;
    for (int i = 0; i < job->n_input; i++) {
        if (!input_is_used(job, i))
            continue;
        verdict v;
        for (int ch = 0; ch < job->input[i].n_channel; ch++)
            k->matched[i][ch] += c->input[i].image[ch] >= 0;
        rad_status st = check_case_input(w, c, i, &v, err);
        if (st == RAD_OK && v.status != RAD_OK && all_stood_in(job, c, i))
            continue; /* every model of the input has another that scores the case */
        if (st == RAD_OK && v.status != RAD_OK) {
            excluded = true;
            st = check_group_add(&k->excluded, i, v.stage, v.status, v.text, who, err);
        } else {
            k->input_ok[i]++;
        }
        if (st != RAD_OK)
            return st;
    }
    for (int m = 0; m < job->n_model && !excluded; m++) {
        const rad_case_input *in = rad_case_verdict(job, k->cohort, k->manifest, c, m);
        if (in != &k->manifest->no_fold)
            continue;
        excluded = true;
        rad_status st = check_group_add(&k->excluded, job->model[m].input, "intake", in->status, in->why, who, err);
        if (st != RAD_OK)
            return st;
    }
    k->n_excluded += excluded;
    return RAD_OK;
}

static rad_status group_unused(check *k, rad_error *err) {
    for (int64_t i = 0; i < k->manifest->n_unused; i++) {
        const rad_unused_image *u = &k->manifest->unused[i];
        const rad_image *image = &k->cohort->image[u->image];
        char who[300];
        snprintf(who, sizeof who, "%.80s %.200s", k->cohort->patient[image->patient].id, image->path);
        rad_status st = check_group_add(&k->unused, -1, "intake", RAD_E_CHANNEL, u->why, who, err);
        if (st != RAD_OK)
            return st;
    }
    return RAD_OK;
}

static rad_status count_patients(check *k, rad_error *err) {
    bool *seen = rad_calloc((size_t)k->cohort->n_patient + 1, sizeof *seen);
    if (!seen)
        return no_memory(err);
    for (int64_t i = 0; i < k->manifest->n_case; i++)
        seen[k->manifest->item[i].patient] = true;
    for (int64_t i = 0; i < k->cohort->n_patient; i++)
        k->n_no_case += !seen[i] && !k->manifest->unselected[i];
    free(seen);
    return RAD_OK;
}

rad_status check_cases(check *k, rad_error *err) {
    const rad_job *job = k->job;
    walk w = {.k = k, .n_total = k->cohort->n_image + k->cohort->n_lesion};
    rad_status st = RAD_OK;
    w.progress = w.n_total > 2000 && isatty(STDERR_FILENO);
    w.image = rad_calloc((size_t)k->cohort->n_image, sizeof *w.image);
    w.mask = rad_calloc((size_t)k->cohort->n_lesion, sizeof *w.mask);
    k->matched = rad_calloc((size_t)job->n_input, sizeof *k->matched);
    k->input_ok = rad_calloc((size_t)job->n_input, sizeof *k->input_ok);
    k->count = rad_calloc((size_t)k->cohort->n_center * (size_t)(job->n_class + 1), sizeof *k->count);
    if (!w.image || !w.mask || !k->matched || !k->input_ok || !k->count)
        st = no_memory(err);
    for (int64_t i = 0; st == RAD_OK && i < k->manifest->n_case; i++)
        st = check_case(&w, &k->manifest->item[i], err);
    if (st == RAD_OK)
        st = group_unused(k, err);
    if (st == RAD_OK)
        st = count_patients(k, err);
    if (w.progress)
        (void)fprintf(stderr, "\r\033[K");
    for (int64_t i = 0; w.image && i < k->cohort->n_image; i++)
        free(w.image[i].why);
    for (int64_t i = 0; w.mask && i < k->cohort->n_lesion; i++)
        free(w.mask[i].why);
    free(w.image);
    free(w.mask);
    return st;
}

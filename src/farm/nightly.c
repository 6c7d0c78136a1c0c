/* nightly.c: see nightly.h. */
#include "nightly.h"

#include "radcohort/prepare.h"
#include "result_key.h"
#include "worker_cam.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Stands for the content of a file that is not there: such a case fails in the same way until it is. */
#define ABSENT "absent"

static rad_status no_memory(rad_error *err) {
    return rad_error_set(err, RAD_E_NOMEM, "out of memory for the plan of a night");
}

/* ---------------------------------------------------------------- files */

static rad_status look_up(const rad_plan *p, rad_store *st, rad_night *n, rad_error *err) {
    const rad_cohort *c = p->cohort;
    n->n_file = c->n_image + c->n_lesion;
    n->file = rad_calloc((size_t)n->n_file + 1, sizeof *n->file);
    if (!n->file)
        return no_memory(err);
    for (int64_t i = 0; i < n->n_file; i++) {
        rad_night_file *f = &n->file[i], last = {0};
        bool found = false;
        if (!p->look[i].looked)
            continue;
        const char *path = i < c->n_image ? c->image[i].path : c->lesion[i - c->n_image].mask;
        if (!(f->path = rad_strdup(path)))
            return no_memory(err);
        rad_status s = st ? rad_night_find_file(st, path, &last, &found, err) : RAD_OK;
        if (s != RAD_OK)
            return s;
        f->look = p->look[i];
        f->moved = found ? !rad_file_look_same(&last.look, &f->look) : f->look.error == 0;
        f->since = found ? last.since : 0;
        memcpy(f->before, last.before, sizeof f->before);
        if (!f->moved)
            memcpy(f->content, last.before, sizeof f->content);
        n->n_walked++;
        n->n_moved += f->moved;
    }
    return RAD_OK;
}

/* Contents that are not known and can be: of all files, or of none while nothing is stored that they could be compared with. */
static rad_status read_contents(const rad_plan *p, rad_night *n, rad_error *err) {
    const char **path = rad_calloc((size_t)n->n_file + 1, sizeof *path);
    char(*content)[RAD_XXH128_HEX] = rad_calloc((size_t)n->n_file + 1, sizeof *content);
    rad_status st = path && content ? RAD_OK : no_memory(err);
    const double start = rad_clock_seconds();
    for (int64_t i = 0; i < n->n_file && st == RAD_OK; i++) {
        const rad_night_file *f = &n->file[i];
        path[i] = f->path && f->look.error == 0 && !f->content[0] ? f->path : NULL;
    }
    if (st == RAD_OK)
        st = rad_walk_contents(p->cohort->dir, path, n->n_file, RAD_MAX_WALKERS, content, err);
    for (int64_t i = 0; i < n->n_file && st == RAD_OK; i++)
        if (path[i]) {
            memcpy(n->file[i].content, content[i], sizeof *content);
            n->file[i].read = true;
            n->n_read++;
        }
    n->read_s += rad_clock_seconds() - start;
    free(path);
    free(content);
    return st;
}

static const char *content_of(const rad_night_file *f) {
    return f->look.error != 0 ? ABSENT : f->content;
}

/* ---------------------------------------------------------------- keys */

struct view { /* one model on one case */
    int file; /* in plan->files */
    int n_channel;
    const char *content[RAD_MAX_CHANNELS]; /* "" = not known before it is read */
    const char *volumes[RAD_MAX_CHANNELS];
    const char *mask;   /* "none": the input does not use it */
    bool known, absent; /* all contents; one of them is of a file that is not there */
};

static const char *volumes_of(const rad_case_input *in, int c) {
    return in->status == RAD_OK && in->pick[c] ? in->pick[c]->text : "";
}

static void see(const rad_plan *p, const rad_night *n, const rad_case *k, int model, struct view *v) {
    *v = (struct view){.file = rad_case_file(p->job, p->cohort, p->manifest, k, model), .mask = "none", .known = true};
    const int input = p->files->job.model[v->file].input;
    const rad_input_spec *spec = &p->job->input[input];
    v->n_channel = spec->n_channel;
    for (int c = 0; c < spec->n_channel; c++) {
        const int64_t image = k->input[input].image[c];
        v->content[c] = image < 0 ? "missing" : content_of(&n->file[image]);
        v->volumes[c] = volumes_of(&k->input[input], c);
        v->known = v->known && v->content[c][0];
        v->absent = v->absent || (image >= 0 && n->file[image].look.error != 0);
    }
    if (k->lesion >= 0 && p->cohort->lesion[k->lesion].has_mask && rad_prepare_wants_mask(spec)) {
        const rad_night_file *f = &n->file[p->cohort->n_image + k->lesion];
        v->mask = content_of(f);
        v->known = v->known && v->mask[0];
        v->absent = v->absent || f->look.error != 0;
    }
}

static rad_status key_of(const rad_plan *p, const rad_case *k, const struct view *v, char ret[RAD_SHA256_HEX], rad_error *err) {
    const rad_lesion *l = k->lesion >= 0 ? &p->cohort->lesion[k->lesion] : NULL;
    const int input = p->files->job.model[v->file].input;
    rad_key_parts parts = {.job = &p->files->job,
                           .model = v->file,
                           .channel_content = v->content,
                           .channel_volumes = v->volumes,
                           .mask_content = v->mask,
                           .has_box = l && l->has_box,
                           .has_point = l && l->has_point,
                           .box = l ? l->box : NULL,
                           .point = l ? l->point : NULL,
                           .graph_hash = p->graph_hash[v->file],
                           .precision = rad_precision_name(p->precision),
                           .backend_version = p->backend_version};
    parts.n_listed = rad_case_listed(p->cohort, p->job, k, input, &parts.listed);
    return rad_result_key(&parts, ret, err);
}

/* The key of the maps that belong to a result, and whether they are there; true too when none are wanted. */
static rad_status has_maps(const rad_plan *p, rad_store *st, const rad_night *n, const rad_case *k, int file, const char *key,
                           char cam_key[RAD_SHA256_HEX], bool *ret, rad_error *err) {
    const char *mask = "none";
    cam_key[0] = 0;
    *ret = true;
    if (!rad_work_wants_cam(&p->files->job, file))
        return RAD_OK;
    if (k->lesion >= 0 && p->cohort->lesion[k->lesion].has_mask && n->file[p->cohort->n_image + k->lesion].look.error == 0)
        mask = n->file[p->cohort->n_image + k->lesion].content;
    rad_status s = rad_cam_key(key, mask, p->job->cam_rule, cam_key, err);
    if (s == RAD_OK)
        s = rad_night_has_cam(st, cam_key, ret, err);
    if (s != RAD_OK || !*ret || p->job->cam_write == RAD_CAM_NONE)
        return s;
    char *name = rad_work_cam_file(cam_key), *path = name ? rad_path_join(p->cam_dir, name) : NULL;
    if (!path)
        s = no_memory(err);
    else
        *ret = access(path, R_OK) == 0;
    free(path);
    free(name);
    return s;
}

/* ---------------------------------------------------------------- cases */

static rad_status name_case(const rad_plan *p, const rad_case *k, rad_night_case *ret, rad_error *err) {
    const rad_patient *pt = &p->cohort->patient[k->patient];
    ret->patient = rad_strdup(pt->id);
    ret->lesion = k->lesion >= 0 ? rad_strdup(p->cohort->lesion[k->lesion].id) : NULL;
    ret->study = rad_strdup(k->study ? k->study : "");
    ret->center = rad_strdup(p->cohort->center[pt->center].id);
    return ret->patient && ret->study && ret->center && (ret->lesion || k->lesion < 0) ? RAD_OK : no_memory(err);
}

static bool moved(const rad_plan *p, const rad_night *n, const rad_case *k) {
    bool any = k->lesion >= 0 && n->file[p->cohort->n_image + k->lesion].moved;
    for (int i = 0; i < p->job->n_input; i++)
        for (int c = 0; k->input[i].status == RAD_OK && c < p->job->input[i].n_channel; c++)
            any = any || (k->input[i].image[c] >= 0 && n->file[k->input[i].image[c]].moved);
    return any;
}

static rad_status explain(const rad_plan *p, rad_store *st, const rad_night *n, const rad_case *k, int model, const struct view *v,
                          rad_night_case *it, rad_error *err) {
    static const char *const ACTIVATION[] = {[RAD_ACT_NONE] = "none", [RAD_ACT_SOFTMAX] = "softmax", [RAD_ACT_SIGMOID] = "sigmoid"};
    const rad_model_spec *spec = &p->job->model[model];
    const rad_input_spec *in = &p->job->input[spec->input];
    const char *content[RAD_MAX_CHANNELS], *volumes[RAD_MAX_CHANNELS];
    rad_night_now now = {.model = spec->name,
                         .input_text = in->canonical,
                         .output = spec->output,
                         .activation = ACTIVATION[spec->activation],
                         .graph_hash = p->graph_hash[v->file],
                         .precision = rad_precision_name(p->precision),
                         .backend_version = p->backend_version,
                         .n_channel = in->n_channel,
                         .content = content,
                         .volumes = volumes,
                         .lesion = k->lesion >= 0 ? &p->cohort->lesion[k->lesion] : NULL};
    const rad_case_input *images = &k->input[spec->input];
    for (int c = 0; c < in->n_channel; c++) { /* where another model stands in, this one's images are as they were: none */
        content[c] = images->status != RAD_OK || images->image[c] < 0 ? NULL : content_of(&n->file[images->image[c]]);
        volumes[c] = volumes_of(images, c);
    }
    now.slices = images->status == RAD_OK && images->image[0] >= 0 ? p->cohort->image[images->image[0]].slices : NULL;
    if (now.lesion && now.lesion->has_mask) {
        const rad_night_file *f = &n->file[p->cohort->n_image + k->lesion];
        now.mask_moved = f->moved && f->before[0] && strcmp(f->before, f->content) != 0;
    }
    now.uses_mask = strcmp(v->mask, "none") != 0;
    return rad_night_explain(st, n->prior_run, it->prior_case, &now, &it->reasons, it->detail, err);
}

/* Why a case has to run that the last run did not have. */
static void call_new(const rad_night *n, unsigned seen, rad_night_case *it) {
    it->reasons |= !(seen & RAD_NIGHT_NEW_PATIENT)                ? RAD_NIGHT_NEW_PATIENT
                   : it->lesion && !(seen & RAD_NIGHT_NEW_LESION) ? RAD_NIGHT_NEW_LESION
                                                                  : RAD_NIGHT_NEW_STUDY;
    if (n->prior_run == 0)
        snprintf(it->detail, sizeof it->detail, "no run of the job has finished yet");
}

static rad_status decide(const rad_plan *p, rad_store *st, rad_night *n, int64_t at, rad_error *err) {
    const rad_case *k = &p->manifest->item[at];
    rad_night_case *it = &n->item[at];
    bool needs[RAD_MAX_MODELS] = {false}, run = false, any = false, failed = false, map = false;
    unsigned seen = 0;
    rad_status s = name_case(p, k, it, err);
    for (int m = 0; m < p->job->n_model && s == RAD_OK; m++) {
        struct view v;
        rad_night_failure f;
        char *key = n->key[at * n->n_model + m], cam_key[RAD_SHA256_HEX];
        bool stored = false, fails = false, maps = true;
        if (rad_case_verdict(p->job, p->cohort, p->manifest, k, m)->status != RAD_OK)
            continue;
        any = true;
        see(p, n, k, m, &v);
        if (v.known)
            s = key_of(p, k, &v, key, err);
        if (s == RAD_OK && v.known && st)
            s = rad_night_has_result(st, key, &stored, err);
        if (s == RAD_OK && v.known && st && !stored)
            s = rad_night_find_failure(st, key, &f, &fails, err);
        if (s == RAD_OK && stored)
            s = has_maps(p, st, n, k, v.file, key, cam_key, &maps, err);
        needs[m] = (!stored && !fails) || !maps;
        run = run || needs[m];
        map = map || !maps;
        failed = failed || fails;
    }
    if (s != RAD_OK)
        return s;
    it->action = !any ? RAD_NIGHT_EXCLUDED : run ? RAD_NIGHT_RUN : RAD_NIGHT_KEEP;
    if (it->action != RAD_NIGHT_RUN) {
        const rad_case_input *why = rad_case_verdict(p->job, p->cohort, p->manifest, k, 0);
        it->reasons = !any ? RAD_NIGHT_INTAKE : (failed ? RAD_NIGHT_FAILED : 0u) | (moved(p, n, k) ? RAD_NIGHT_MOVED : 0u);
        snprintf(it->detail, sizeof it->detail, "%.110s", any || !why->why ? "" : why->why);
        return RAD_OK;
    }
    if (n->prior_run > 0)
        s = rad_night_find_case(st, n->prior_run, it->patient, it->lesion, it->study, &it->prior_case, &seen, err);
    if (s != RAD_OK)
        return s;
    if (it->prior_case == 0) {
        call_new(n, seen, it);
        return RAD_OK;
    }
    it->reasons |= map ? RAD_NIGHT_MAP : 0u;
    for (int m = 0; m < p->job->n_model && s == RAD_OK && !(map && !needs[m]); m++) {
        struct view v;
        if (!needs[m])
            continue;
        see(p, n, k, m, &v);
        s = explain(p, st, n, k, m, &v, it, err);
    }
    return s;
}

/* ---------------------------------------------------------------- what vanished */

struct present {
    const rad_plan *p;
    rad_night *n;
    const char **patient; /* sorted */
    char **lesion;        /* "patient\x1flesion", sorted */
    int64_t cap;
    rad_status st;
    char last[256]; /* patient told last: rows of one patient follow each other */
};

static int by_text(const void *x, const void *y) {
    return strcmp(*(const char *const *)x, *(const char *const *)y);
}

static void put_gone(struct present *g, rad_night_gone_kind kind, const char *patient, const char *lesion, const char *path) {
    rad_night *n = g->n;
    if (n->n_gone == g->cap) {
        const int64_t cap = g->cap ? 2 * g->cap : 64;
        rad_night_gone *more = rad_realloc(n->gone, (size_t)cap, sizeof *more);
        if (!more) {
            g->st = RAD_E_NOMEM;
            return;
        }
        n->gone = more;
        g->cap = cap;
    }
    rad_night_gone *e = &n->gone[n->n_gone++];
    *e = (rad_night_gone){kind, patient ? rad_strdup(patient) : NULL, lesion ? rad_strdup(lesion) : NULL, path ? rad_strdup(path) : NULL};
    if ((patient && !e->patient) || (lesion && !e->lesion) || (path && !e->path))
        g->st = RAD_E_NOMEM;
}

static int check_present(const char *patient, const char *lesion, void *payload) {
    struct present *g = payload;
    const rad_cohort *c = g->p->cohort;
    if (!bsearch(&patient, g->patient, (size_t)c->n_patient, sizeof *g->patient, by_text)) {
        if (strcmp(g->last, patient) != 0)
            put_gone(g, RAD_NIGHT_GONE_PATIENT, patient, NULL, NULL);
        snprintf(g->last, sizeof g->last, "%s", patient);
    } else if (lesion) {
        char *both = rad_asprintf("%s\x1f%s", patient, lesion);
        if (!both)
            g->st = RAD_E_NOMEM;
        else if (!bsearch(&both, g->lesion, (size_t)c->n_lesion, sizeof *g->lesion, by_text))
            put_gone(g, RAD_NIGHT_GONE_LESION, patient, lesion, NULL);
        free(both);
    }
    return g->st != RAD_OK;
}

static rad_status find_gone(const rad_plan *p, rad_store *st, rad_night *n, rad_error *err) {
    const rad_cohort *c = p->cohort;
    struct present g = {.p = p, .n = n};
    rad_status s = RAD_OK;
    g.patient = rad_calloc((size_t)c->n_patient + 1, sizeof *g.patient);
    g.lesion = rad_calloc((size_t)c->n_lesion + 1, sizeof *g.lesion);
    g.st = g.patient && g.lesion ? RAD_OK : RAD_E_NOMEM;
    for (int64_t i = 0; i < c->n_patient && g.st == RAD_OK; i++)
        g.patient[i] = c->patient[i].id;
    for (int64_t i = 0; i < c->n_lesion && g.st == RAD_OK; i++)
        if (!(g.lesion[i] = rad_asprintf("%s\x1f%s", c->patient[c->lesion[i].patient].id, c->lesion[i].id)))
            g.st = RAD_E_NOMEM;
    if (g.st == RAD_OK) {
        qsort(g.patient, (size_t)c->n_patient, sizeof *g.patient, by_text);
        qsort(g.lesion, (size_t)c->n_lesion, sizeof *g.lesion, by_text);
        s = rad_night_each_prior(st, n->prior_run, check_present, &g, err);
    }
    for (int64_t i = 0; i < n->n_file && g.st == RAD_OK; i++)
        if (n->file[i].path && n->file[i].look.error != 0 && n->file[i].since > 0)
            put_gone(&g, RAD_NIGHT_GONE_FILE, NULL, NULL, n->file[i].path);
    for (int64_t i = 0; g.lesion && i < c->n_lesion; i++)
        free(g.lesion[i]);
    free(g.lesion);
    free(g.patient);
    return s == RAD_OK && g.st != RAD_OK ? no_memory(err) : s;
}

rad_status rad_nightly_decide(const rad_plan *p, rad_store *st, rad_night *n, rad_error *err) {
    rad_status s = RAD_OK;
    bool any = false;
    const double start = rad_clock_seconds();
    n->n_case = p->manifest->n_case;
    n->n_model = p->job->n_model;
    n->job = rad_strdup(p->job->name);
    n->item = rad_calloc((size_t)n->n_case + 1, sizeof *n->item);
    n->key = rad_calloc((size_t)(n->n_case * n->n_model) + 1, sizeof *n->key);
    if (!n->job || !n->item || !n->key)
        return no_memory(err);
    if (st)
        s = rad_night_hold(st, true, err);
    if (st && s == RAD_OK)
        s = rad_night_prior_run(st, p->job->name, 0, &n->prior_run, err);
    if (s == RAD_OK)
        s = look_up(p, st, n, err);
    if (s == RAD_OK && st)
        s = rad_night_has_any(st, &any, err);
    if (s == RAD_OK && any)
        s = read_contents(p, n, err);
    for (int64_t i = 0; i < n->n_case && s == RAD_OK; i++) {
        s = decide(p, st, n, i, err);
        n->n_run += n->item[i].action == RAD_NIGHT_RUN;
        n->n_keep += n->item[i].action == RAD_NIGHT_KEEP;
        n->n_excluded += n->item[i].action == RAD_NIGHT_EXCLUDED;
    }
    if (s == RAD_OK && n->prior_run > 0)
        s = find_gone(p, st, n, err);
    if (st) {
        rad_status over = rad_night_hold(st, false, s == RAD_OK ? err : NULL);
        s = s == RAD_OK ? over : s;
    }
    n->plan_s = rad_clock_seconds() - start;
    return s;
}

/* ---------------------------------------------------------------- the run */

struct kept { /* what a kept case gets */
    rad_model_result model[RAD_MAX_MODELS];
    rad_night_failure failure[RAD_MAX_MODELS];
    int64_t image[RAD_MAX_CASE_IMAGES];
    const char *content[RAD_MAX_CASE_IMAGES];
    int64_t n_image;
};

static void list_images(const rad_plan *p, const rad_night *n, const rad_case *k, struct kept *g) {
    g->n_image = 0;
    for (int i = 0; i < p->job->n_input; i++)
        for (int c = 0; k->input[i].status == RAD_OK && c < p->job->input[i].n_channel; c++) {
            const int64_t image = k->input[i].image[c];
            bool there = image < 0 || !n->file[image].content[0];
            for (int64_t j = 0; j < g->n_image; j++)
                there = there || g->image[j] == image;
            if (there || g->n_image == RAD_MAX_CASE_IMAGES)
                continue;
            g->image[g->n_image] = image;
            g->content[g->n_image++] = n->file[image].content;
        }
}

static rad_status keep_model(const rad_plan *p, rad_store *st, const rad_night *n, int64_t at, int m, struct kept *g, rad_error *err) {
    const rad_case *k = &p->manifest->item[at];
    const rad_case_input *verdict = rad_case_verdict(p->job, p->cohort, p->manifest, k, m);
    const char *key = n->key[at * n->n_model + m];
    rad_model_result *r = &g->model[m];
    rad_night_failure *f = &g->failure[m];
    bool stored = false, fails = false, maps = true;
    *r = (rad_model_result){.status = verdict->status, .stage = "intake", .why = verdict->why ? verdict->why : ""};
    if (verdict->status != RAD_OK)
        return RAD_OK;
    rad_status s = rad_night_has_result(st, key, &stored, err);
    if (s == RAD_OK && !stored)
        s = rad_night_find_failure(st, key, f, &fails, err);
    if (s == RAD_OK && !stored && !fails)
        s = rad_error_set(err, RAD_E_STORE, "the stored result %.64s is not there any more; did another program change the database?", key);
    if (s != RAD_OK)
        return s;
    r->file = rad_case_file(p->job, p->cohort, p->manifest, k, m);
    memcpy(r->key, key, sizeof r->key);
    if (fails) {
        r->status = f->status;
        r->stage = f->stage;
        r->why = f->text;
        return RAD_OK;
    }
    r->stage = r->why = "";
    r->stored = true;
    r->has_cam = rad_work_wants_cam(&p->files->job, r->file);
    r->cam.stored = true;
    return has_maps(p, st, n, k, r->file, key, r->cam.key, &maps, err);
}

rad_status rad_nightly_carry(const rad_plan *p, rad_store *st, int64_t run, rad_night *n, rad_pending_case *pending, int64_t *n_pending,
                             rad_error *err) {
    rad_status s = RAD_OK;
    unsigned seen;
    int64_t left = 0;
    struct kept *g = rad_calloc(1, sizeof *g);
    if (!g)
        return no_memory(err);
    for (int64_t i = 0; i < *n_pending && s == RAD_OK; i++) {
        const int64_t at = pending[i].manifest_index;
        rad_night_case *it = &n->item[at];
        if (it->action != RAD_NIGHT_KEEP) {
            pending[left++] = pending[i];
            continue;
        }
        if (n->prior_run > 0 && it->prior_case == 0)
            s = rad_night_find_case(st, n->prior_run, it->patient, it->lesion, it->study, &it->prior_case, &seen, err);
        for (int m = 0; m < n->n_model && s == RAD_OK; m++)
            s = keep_model(p, st, n, at, m, g, err);
        list_images(p, n, &p->manifest->item[at], g);
        const rad_case_result r = {.case_id = pending[i].case_id, .rank = -1, .n_model = n->n_model, .model = g->model, .carried = true};
        if (s == RAD_OK)
            s = rad_night_carry(st, run, &r, it->prior_case, g->n_image, g->image, g->content, err);
    }
    free(g);
    if (s == RAD_OK)
        s = rad_store_flush(st, err);
    if (s == RAD_OK)
        *n_pending = left;
    return s;
}

rad_status rad_nightly_settle(const rad_plan *p, rad_store *st, int64_t run, rad_night *n, rad_error *err) {
    rad_status s = rad_night_learn(st, run, p->cohort->n_image, n->file, err);
    const int64_t n_read = n->n_read;
    if (s == RAD_OK)
        s = read_contents(p, n, err);
    n->n_read = n_read; /* what the plan read */
    for (int64_t i = 0; i < n->n_case && s == RAD_OK; i++) {
        if (n->item[i].action != RAD_NIGHT_RUN)
            continue;
        const rad_case *k = &p->manifest->item[i];
        for (int m = 0; m < n->n_model && s == RAD_OK; m++) {
            struct view v;
            char *key = n->key[i * n->n_model + m];
            if (rad_case_verdict(p->job, p->cohort, p->manifest, k, m)->status != RAD_OK)
                continue;
            see(p, n, k, m, &v);
            if (!v.known)
                continue;
            s = key[0] ? RAD_OK : key_of(p, k, &v, key, err);
            if (s == RAD_OK)
                s = rad_night_keep_failure(st, run, i, m, key, v.absent, err);
        }
    }
    if (s == RAD_OK)
        s = rad_store_flush(st, err);
    return s == RAD_OK ? rad_night_keep_files(st, run, n, err) : s;
}

/* manifest.c: which images make which input of which case; the rules stand in cohort.h. Linear in rows: a case looks only at the images
 * of its lesion and at those of its patient that name no lesion. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "manifest_impl.h"
#include "radcohort/folds.h"
#include "select.h"
#include "strmap.h"
#include "utf8.h"

typedef manifest_builder builder;

static const char *table_path(const rad_cohort *c, int table) {
    return c->file[table] ? c->file[table] : c->dir ? c->dir : "";
}

static rad_status no_memory(rad_error *err) {
    return rad_error_set(err, RAD_E_NOMEM, "no memory for the manifest");
}

/* ---------------------------------------------------------------- preparation */

static rad_status index_sequences(builder *b, rad_error *err) {
    const rad_job *job = b->job;
    strmap map = {0};
    rad_status st = RAD_OK;
    int64_t old = -1;
    b->sequence = rad_calloc((size_t)job->n_input * RAD_MAX_CHANNELS + 1, sizeof *b->sequence);
    b->channel = rad_calloc((size_t)job->n_input, sizeof *b->channel);
    b->image_sequence = rad_calloc((size_t)b->c->n_image, sizeof *b->image_sequence);
    if (!b->sequence || !b->channel || !b->image_sequence) {
        st = no_memory(err);
        goto out;
    }
    for (int i = 0; i < job->n_input; b->n_channel += job->input[i++].n_channel)
        for (int k = 0; k < job->input[i].n_channel; k++) {
            const char *s = job->input[i].channel[k].sequence;
            RAD_TRY(strmap_put(&map, &(strmap_key){.text = {s}}, b->n_sequence, &old, err));
            if (old < 0)
                b->sequence[b->n_sequence++] = s;
            b->channel[i][k] = old < 0 ? b->n_sequence - 1 : (int)old;
        }
    for (int64_t i = 0; i < b->c->n_image; i++)
        b->image_sequence[i] = (int)strmap_get(&map, &(strmap_key){.text = {b->c->image[i].sequence}});
out:
    strmap_release(&map);
    return st;
}

static rad_status index_places(builder *b, rad_error *err) {
    const rad_cohort *c = b->c;
    size_t n_image = (size_t)c->n_image, n_lesion = (size_t)c->n_lesion;
    bool by_lesion = b->job->case_unit == RAD_UNIT_LESION;
    b->image = rad_calloc(n_image, sizeof *b->image);
    b->lesion = rad_calloc(n_lesion, sizeof *b->lesion);
    b->image_fate = rad_calloc(n_image, sizeof *b->image_fate);
    b->image_why = rad_calloc(n_image, sizeof *b->image_why);
    b->own = rad_calloc((size_t)b->n_sequence, sizeof *b->own);
    b->shared = rad_calloc((size_t)b->n_sequence, sizeof *b->shared);
    if (!b->image || !b->lesion || !b->image_fate || !b->image_why || !b->own || !b->shared)
        return no_memory(err);
    for (size_t i = 0; i < n_image; i++)
        b->image[i] = (place){c->image[i].patient, by_lesion ? c->image[i].lesion : -1, (int64_t)i};
    for (size_t i = 0; i < n_lesion; i++)
        b->lesion[i] = (place){c->lesion[i].patient, (int64_t)i, (int64_t)i};
    places_sort(b->image, n_image);
    places_sort(b->lesion, n_lesion);
    return RAD_OK;
}

/* ---------------------------------------------------------------- labels */

static int class_of(const rad_job *job, const char *label) {
    for (int i = 0; i < job->n_class; i++)
        if (strcmp(job->class_name[i], label) == 0)
            return i;
    return -1;
}

/* Class index of a label that decides a case; -1 when it is not known, with an issue when it is known but no class. */
static int case_label(builder *b, const char *label, int table, int64_t line) {
    const rad_job *job = b->job;
    const char *known[RAD_MAX_CLASSES + 1];
    char list[200] = "";
    size_t at = 0;
    if (!label || strcmp(label, "n/a") == 0)
        return -1;
    int found_class = class_of(job, label);
    if (found_class >= 0)
        return found_class;
    for (int i = 0; i < job->n_class; i++) {
        known[i] = job->class_name[i];
        int n = at < sizeof list ? snprintf(list + at, sizeof list - at, "%s%s", i ? ", " : "", known[i]) : 0;
        at += n > 0 ? (size_t)n : 0;
    }
    known[job->n_class] = NULL;
    const char *near = rad_nearest_word(label, known);
    char text[512];
    snprintf(text, sizeof text, "label '%.60s' is not one of the job's classes (%s)%s%s%s", label, list, near ? ": did you mean '" : "",
             near ? near : "", near ? "'?" : "");
    utf8_scrub(text);
    rad_issues_add(b->issues, RAD_SEVERITY_ERROR, table_path(b->c, table), line, "label", "%s", text);
    return -1;
}

/* ---------------------------------------------------------------- one case */

static rad_case *add_case(builder *b, int64_t patient, int64_t lesion) {
    rad_manifest *m = b->m;
    if (m->n_case == b->cap_case) {
        int64_t cap = b->cap_case ? b->cap_case * 2 : 64;
        rad_case *p = rad_realloc(m->item, (size_t)cap, sizeof *p);
        if (!p)
            return NULL;
        m->item = p;
        b->cap_case = cap;
    }
    rad_case_input *input = arena_alloc(b->arena, (size_t)b->job->n_input, sizeof *input);
    int64_t *image = arena_alloc(b->arena, (size_t)b->n_channel, sizeof *image);
    const rad_pick **pick = arena_alloc(b->arena, (size_t)b->n_channel, sizeof *pick);
    if (!input || !image || !pick)
        return NULL;
    memset(image, -1, (size_t)b->n_channel * sizeof *image);
    for (int i = 0; i < b->job->n_input; image += b->job->input[i].n_channel, pick += b->job->input[i++].n_channel) {
        input[i].image = image;
        input[i].pick = pick;
    }
    rad_case *k = &m->item[m->n_case++];
    *k = (rad_case){.patient = patient, .lesion = lesion, .study = "", .label = -1, .input = input};
    return k;
}

static void set_fate(builder *b, int64_t image, fate f) {
    if (b->image_fate[image] < f)
        b->image_fate[image] = f;
}

/* Counts, per sequence, the images in places [from, to) that lie in `study`. */
static void count_images(builder *b, int64_t from, int64_t to, const char *study, found *into) {
    for (int64_t i = from; i < to; i++) {
        int64_t image = b->image[i].index;
        int s = b->image_sequence[image];
        if (s < 0)
            continue;
        if (strcmp(b->c->image[image].study, study) != 0) {
            set_fate(b, image, FATE_OTHER_STUDY);
            continue;
        }
        if (into[s].n++ == 0)
            into[s].first = image;
    }
}

/* Does the lesion have what the region and the slices of the input are made from? */
static bool check_region(builder *b, const rad_case *k, int which) {
    const rad_input_spec *spec = &b->job->input[which];
    rad_case_input *in = &k->input[which];
    const char *why = NULL;
    if (in->status != RAD_OK || k->lesion < 0)
        return true;
    const rad_lesion *l = &b->c->lesion[k->lesion];
    switch (spec->region.from) {
    case RAD_REGION_BOX:
        why = l->has_box ? NULL : "the lesion has no box";
        break;
    case RAD_REGION_MASK:
        why = l->has_mask ? NULL : "the lesion has no mask";
        break;
    case RAD_REGION_POINT:
        why = l->has_point ? NULL : "the lesion has no point";
        break;
    case RAD_REGION_WHOLE:
        if (spec->slices == RAD_SLICES_LESION_ALL && !l->has_mask && !l->has_box && !l->has_point)
            why = "the lesion has neither mask nor box nor point, and 'slices: lesion-all' needs one";
        break;
    case RAD_REGION_AUTO:
        if (!l->has_mask && !l->has_box && !l->has_point)
            why = "the lesion has neither mask nor box nor point: fill one of these columns, or write region: {from: whole}";
        else if (!l->has_mask && !l->has_box && !spec->volume.on && spec->region.size_mm <= 0)
            why = "the lesion has only a point, and the input's region has no size_mm";
        break;
    }
    return !why || manifest_set_why(b, in, RAD_E_REGION, why, "");
}

/* After matching: what became of the images that were looked at. */
static void settle_images(builder *b, const rad_case *k, int64_t from, int64_t to, bool own) {
    for (int64_t i = from; i < to; i++) {
        int64_t image = b->image[i].index;
        int s = b->image_sequence[image];
        if (s < 0 || strcmp(b->c->image[image].study, k->study) != 0)
            continue;
        if (!own && b->own[s].n > 0) {
            set_fate(b, image, FATE_OTHER_NAMES_LESION);
            continue;
        }
        for (int j = 0; j < b->job->n_input; j++)
            for (int ch = 0; ch < b->job->input[j].n_channel; ch++) {
                if (b->channel[j][ch] != s)
                    continue;
                if (k->input[j].status == RAD_OK) {
                    set_fate(b, image, k->input[j].image[ch] == image || b->b_slot[j][ch] < 0 ? FATE_USED : FATE_OTHER_B);
                } else if (b->image_fate[image] < FATE_CASE_FAILED) {
                    b->image_fate[image] = FATE_CASE_FAILED;
                    b->image_why[image] = k->input[j].why;
                }
            }
    }
}

/* All inputs of a case whose study is known: images [own_from, own_to) name the lesion, [shared_from, shared_to) name none (or all of the
 * patient's, for unit patient). */
static rad_status match_case(builder *b, const rad_case *k, int64_t own_from, int64_t own_to, int64_t shared_from, int64_t shared_to,
                             rad_error *err) {
    memset(b->own, 0, (size_t)b->n_sequence * sizeof *b->own);
    memset(b->shared, 0, (size_t)b->n_sequence * sizeof *b->shared);
    count_images(b, own_from, own_to, k->study, b->own);
    count_images(b, shared_from, shared_to, k->study, b->shared);
    for (int i = 0; i < b->job->n_input; i++) {
        rad_status st = manifest_match_input(b, k, i, err);
        if (st != RAD_OK)
            return st;
        if (!check_region(b, k, i))
            return no_memory(err);
    }
    settle_images(b, k, own_from, own_to, true);
    settle_images(b, k, shared_from, shared_to, false);
    return RAD_OK;
}

/* The study of the images [from, to) that are of the job's sequences: NULL when there is none; *ret_other: a second one, or NULL. */
static const char *only_study(const builder *b, int64_t from, int64_t to, const char **ret_other) {
    const char *study = NULL;
    *ret_other = NULL;
    for (int64_t i = from; i < to && !*ret_other; i++) {
        int64_t image = b->image[i].index;
        const char *s = b->c->image[image].study;
        if (b->image_sequence[image] < 0)
            continue;
        if (!study)
            study = s;
        else if (strcmp(study, s) != 0)
            *ret_other = s;
    }
    return study;
}

static rad_status add_lesion_case(builder *b, int64_t lesion, rad_error *err) {
    const rad_cohort *c = b->c;
    const rad_lesion *l = &c->lesion[lesion];
    const rad_patient *p = &c->patient[l->patient];
    rad_case *k = add_case(b, l->patient, lesion);
    if (!k)
        return no_memory(err);
    k->label = l->label ? case_label(b, l->label, RAD_TABLE_LESIONS, l->line) : case_label(b, p->label, RAD_TABLE_PATIENTS, p->line);
    int64_t n = c->n_image, shared_from = places_find(b->image, n, l->patient, -1), shared_to = places_find(b->image, n, l->patient, 0);
    int64_t own_from = places_find(b->image, n, l->patient, lesion), own_to = places_find(b->image, n, l->patient, lesion + 1);
    const char *other = NULL, *study = l->study;
    if (!study)
        study = only_study(b, own_from, own_to, &other);
    if (!study)
        study = only_study(b, shared_from, shared_to, &other);
    if (study)
        k->study = study;
    else if (shared_from < shared_to)
        k->study = c->image[b->image[shared_from].index].study;
    if (!other)
        return match_case(b, k, own_from, own_to, shared_from, shared_to, err);
    char text[MANIFEST_WHY];
    snprintf(text, sizeof text,
             "two studies have images for it: write the study into the lesions table, or the lesion into the images table");
    for (int i = 0; i < b->job->n_input; i++) {
        char detail[160];
        snprintf(detail, sizeof detail, "studies '%.60s' and '%.60s'", study, other);
        if (!manifest_set_why(b, &k->input[i], RAD_E_CHANNEL, text, detail))
            return no_memory(err);
    }
    for (int pass = 0; pass < 2; pass++)
        for (int64_t i = pass ? shared_from : own_from; i < (pass ? shared_to : own_to); i++)
            if (b->image_fate[b->image[i].index] < FATE_CASE_FAILED && b->image_sequence[b->image[i].index] >= 0) {
                b->image_fate[b->image[i].index] = FATE_CASE_FAILED;
                b->image_why[b->image[i].index] = k->input[0].why;
            }
    return RAD_OK;
}

/* One case per study that has an image of the job's sequences, in order of first appearance; one that fails when there is none. */
static rad_status add_patient_cases(builder *b, int64_t patient, rad_error *err) {
    const rad_cohort *c = b->c;
    const rad_patient *p = &c->patient[patient];
    int64_t from = places_find(b->image, c->n_image, patient, INT64_MIN), to = places_find(b->image, c->n_image, patient + 1, INT64_MIN);
    strmap seen = {0};
    rad_status st = RAD_OK;
    int label = case_label(b, p->label, RAD_TABLE_PATIENTS, p->line);
    bool any = false;
    for (int64_t i = from; i < to; i++)
        any = any || b->image_sequence[b->image[i].index] >= 0;
    for (int64_t i = from; i < to || (i == from && !any); i++) {
        const char *study = i < to ? c->image[b->image[i].index].study : "";
        int64_t old = -1;
        if (any && b->image_sequence[b->image[i].index] < 0)
            continue;
        RAD_TRY(strmap_put(&seen, &(strmap_key){.text = {study}}, i, &old, err));
        if (old >= 0)
            continue;
        rad_case *k = add_case(b, patient, -1);
        if (!k) {
            st = no_memory(err);
            goto out;
        }
        k->label = label;
        k->study = study;
        RAD_TRY(match_case(b, k, 0, 0, from, to, err));
        if (!any)
            break;
    }
out:
    strmap_release(&seen);
    return st;
}

/* ---------------------------------------------------------------- the whole */

static rad_status add_cases(builder *b, rad_error *err) {
    const rad_cohort *c = b->c;
    const char *patients = table_path(c, RAD_TABLE_PATIENTS);
    int64_t at = 0;
    for (int64_t p = 0; p < c->n_patient; p++) {
        rad_status st = RAD_OK;
        if (b->m->unselected[p]) {
            at = places_find(b->lesion, c->n_lesion, p + 1, INT64_MIN);
        } else if (b->job->case_unit == RAD_UNIT_PATIENT) {
            st = add_patient_cases(b, p, err);
        } else {
            int64_t first = at;
            bool inherits = false;
            for (; st == RAD_OK && at < c->n_lesion && b->lesion[at].patient == p; at++) {
                inherits = inherits || !c->lesion[b->lesion[at].index].label;
                st = add_lesion_case(b, b->lesion[at].index, err);
            }
            const char *label = c->patient[p].label;
            b->n_patient_label += !inherits && label && class_of(b->job, label) < 0;
            if (st == RAD_OK && at == first)
                rad_issues_add(b->issues, RAD_SEVERITY_WARNING, patients, c->patient[p].line, "patient",
                               "patient '%s' has no lesion, and the job's unit is lesion: no case of theirs", c->patient[p].id);
        }
        if (st != RAD_OK)
            return st;
    }
    if (b->n_patient_label > 0)
        rad_issues_add(b->issues, RAD_SEVERITY_WARNING, patients, 0, "label",
                       "%" PRId64 " patient%s a label that is no class of the job: left "
                       "out of the statistics by patient",
                       b->n_patient_label, b->n_patient_label == 1 ? " has" : "s have");
    return RAD_OK;
}

static char *unused_why(builder *b, int64_t image) {
    const rad_image *i = &b->c->image[image];
    if (b->m->unselected[i->patient])
        return arena_printf(b->arena, "its patient is %s", b->m->unselected[i->patient]);
    if (b->image_sequence[image] < 0) {
        const char *near = NULL;
        for (int k = 0; k < b->n_sequence && !near; k++)
            near = strcasecmp(i->sequence, b->sequence[k]) == 0 ? b->sequence[k] : NULL;
        if (!near)
            near = rad_nearest_word(i->sequence, b->sequence);
        return near ? arena_printf(b->arena, "no input takes sequence '%.60s' (the job has '%.60s')", i->sequence, near)
                    : arena_printf(b->arena, "no input takes sequence '%.60s'", i->sequence);
    }
    switch (b->image_fate[image]) {
    case FATE_CASE_FAILED:
        return arena_printf(b->arena, "its case cannot be scored: %s", b->image_why[image]);
    case FATE_OTHER_B:
        return arena_strdup(b->arena, "it has none of the b-values that the job's channels want");
    case FATE_OTHER_NAMES_LESION:
        return arena_strdup(b->arena, "another image of this sequence names the lesion");
    case FATE_OTHER_STUDY:
        return arena_printf(b->arena, "its study is not the one of a case (study '%.60s')", i->study);
    case FATE_NONE:
    case FATE_USED:
        break;
    }
    return arena_strdup(b->arena, "its patient has no lesion");
}

static rad_status add_unused(builder *b, rad_error *err) {
    rad_manifest *m = b->m;
    int64_t n = 0;
    for (int64_t i = 0; i < b->c->n_image; i++)
        n += b->image_fate[i] != FATE_USED;
    m->unused = rad_calloc((size_t)n, sizeof *m->unused);
    if (!m->unused)
        return no_memory(err);
    for (int64_t i = 0; i < b->c->n_image; i++) {
        if (b->image_fate[i] == FATE_USED)
            continue;
        char *why = unused_why(b, i);
        if (!why)
            return no_memory(err);
        utf8_scrub(why);
        m->unused[m->n_unused++] = (rad_unused_image){.image = i, .why = why};
    }
    return RAD_OK;
}

static void builder_release(builder *b) {
    free(b->sequence);
    free(b->channel);
    free(b->image_sequence);
    free(b->image_fate);
    free(b->image_why);
    free(b->image);
    free(b->lesion);
    free(b->own);
    free(b->shared);
    free(b->b_slot);
    free(b->b_known);
    rad_manifest_destroy(&b->m);
}

static rad_status no_case(builder *b, rad_error *err) {
    bool lesion = b->job->case_unit == RAD_UNIT_LESION;
    const char *why = b->m->n_unselected == b->c->n_patient && b->m->n_unselected > 0 ? "the job's 'select' leaves no patient"
                      : lesion ? "the job's unit is lesion and no patient has one: list lesions, or set unit: patient"
                               : "there is no patient";
    rad_issues_add(b->issues, RAD_SEVERITY_ERROR, table_path(b->c, lesion ? RAD_TABLE_LESIONS : RAD_TABLE_PATIENTS), 0, NULL, "no case: %s",
                   why);
    return rad_error_set(err, RAD_E_CONFIG, "no case in cohort '%s': %s", b->c->dir ? b->c->dir : "", why);
}

rad_status rad_manifest_build(const rad_cohort *c, const rad_job *job, rad_manifest **ret, rad_issues *issues, rad_error *err) {
    builder b = {.c = c, .job = job, .issues = issues};
    rad_status st = RAD_OK;
    int64_t before = issues->n_error;
    b.m = rad_calloc(1, sizeof *b.m);
    b.arena = b.m ? arena_create() : NULL;
    if (!b.arena) {
        st = no_memory(err);
        goto out;
    }
    b.m->arena = b.arena;
    RAD_TRY(rad_select_patients(c, job, b.arena, b.m, issues, err));
    rad_regressions_check(c, job, issues);
    rad_sequences_check(c, job, issues);
    rad_calls_check(c, job, b.m, issues);
    if (issues->n_error > before)
        RAD_TRY(rad_error_set(err, RAD_E_CONFIG, "the job's 'select' or 'regressions' does not fit cohort '%s'", c->dir ? c->dir : ""));
    RAD_TRY(index_sequences(&b, err));
    RAD_TRY(index_places(&b, err));
    RAD_TRY(manifest_index_b(&b, err));
    RAD_TRY(add_cases(&b, err));
    RAD_TRY(add_unused(&b, err));
    int64_t labels = issues->n_error - before;
    RAD_TRY(rad_folds_check(c, job, b.m, issues, err));
    if (labels == 0 && issues->n_error > before)
        st = rad_error_set(err, RAD_E_CONFIG, "folds of cohort '%s': %" PRId64 " mistake%s", c->dir ? c->dir : "", issues->n_error - before,
                           issues->n_error - before == 1 ? "" : "s");
    else if (labels > 0)
        st = rad_error_set(err, RAD_E_CONFIG, "%" PRId64 " label%s of cohort '%s' %s not among the job's classes", labels,
                           labels == 1 ? "" : "s", c->dir ? c->dir : "", labels == 1 ? "is" : "are");
    else if (b.m->n_case == 0)
        st = no_case(&b, err);
out:
    if (st == RAD_OK) {
        *ret = b.m;
        b.m = NULL;
    }
    builder_release(&b);
    return st;
}

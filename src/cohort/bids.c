/* bids.c: a BIDS folder (Brain Imaging Data Structure 1.10) as the tables of a cohort: images from file names, covariates from sidecars by
 * the inheritance principle, lesions from masks in a declared derivative. The tables then go the way of every other cohort's. */
#include "bids.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "convert_sidecar.h"
#include "utf8.h"

enum { MAX_PARTS = 32, LEVELS = 4 };
#define RAD_MAX_BIDS_NAMES 2000000 /* of one folder */

typedef struct names {
    char **item;
    size_t n;
} names;

typedef struct level { /* a folder on the way to an image, with its sidecars */
    char *dir;         /* relative to the data set, "" or "sub-01/" */
    names file;
    json_t **sidecar; /* per file: parsed when first needed */
} level;

typedef struct builder {
    const char *dir;
    const rad_bids_spec *spec;
    rad_issues *issues;
    arena *arena;
    rad_buf images, lesions;
    level level[LEVELS]; /* data set, subject, session, data type */
    int n_level;
    strmap lesion;
} builder;

/* A file name taken apart: "sub-01_acq-x_T2w.nii.gz". Parts borrow from `text`. */
typedef struct parts {
    char text[256];
    int n;
    char *entity[MAX_PARTS]; /* "acq-x" */
    const char *suffix;
} parts;

bool bids_is_dataset(int dir_fd) {
    struct stat s;
    return fstatat(dir_fd, "dataset_description.json", &s, 0) == 0 && fstatat(dir_fd, "images.tsv", &s, 0) != 0 &&
           fstatat(dir_fd, "images.csv", &s, 0) != 0;
}

void bids_tables_release(bids_tables *t) {
    for (int i = 0; i < RAD_TABLE_COUNT; i++) {
        free(t->text[i]);
        free(t->file[i]);
    }
    *t = (bids_tables){0};
}

static rad_status no_memory(rad_error *err) {
    return rad_error_set(err, RAD_E_NOMEM, "no memory for the names of a BIDS folder");
}

/* ---------------------------------------------------------------- folders */

static int by_name(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void names_release(names *l) {
    for (size_t i = 0; i < l->n; i++)
        free(l->item[i]);
    free(l->item);
    *l = (names){0};
}

/* Names in dir/rel, sorted, without hidden ones; none when it cannot be read (which becomes an issue). */
static rad_status list(builder *b, const char *rel, names *ret, rad_error *err) {
    size_t cap = 0;
    names l = {0};
    rad_status st = RAD_OK;
    char *path = rad_path_join(b->dir, rel);
    DIR *d = path ? opendir(path[0] ? path : ".") : NULL;
    if (!path)
        st = no_memory(err);
    else if (!d)
        rad_issues_add(b->issues, RAD_SEVERITY_WARNING, path, 0, NULL, "the folder cannot be opened: its images are not used");
    for (struct dirent *e = d ? readdir(d) : NULL; e && st == RAD_OK; e = readdir(d)) {
        if (e->d_name[0] == '.')
            continue;
        if (l.n == cap) {
            cap = cap ? cap * 2 : 64;
            char **p = rad_realloc(l.item, cap, sizeof *p);
            if (!p) {
                st = no_memory(err);
                break;
            }
            l.item = p;
        }
        if (l.n >= RAD_MAX_BIDS_NAMES)
            st = rad_error_set(err, RAD_E_LIMIT, "more than %d names in '%.200s'", RAD_MAX_BIDS_NAMES, path);
        else if (!(l.item[l.n] = rad_strdup(e->d_name)))
            st = no_memory(err);
        else
            l.n++;
    }
    if (d)
        closedir(d);
    free(path);
    if (l.n)
        qsort(l.item, l.n, sizeof *l.item, by_name);
    if (st == RAD_OK)
        *ret = l;
    else
        names_release(&l);
    return st;
}

static bool is_folder(const builder *b, const char *rel, const char *name) {
    struct stat s;
    char *path = rad_asprintf("%s/%s%s", b->dir, rel, name);
    bool yes = path && stat(path, &s) == 0 && S_ISDIR(s.st_mode);
    free(path);
    return yes;
}

static void level_release(level *l) {
    for (size_t i = 0; l->sidecar && i < l->file.n; i++)
        json_decref(l->sidecar[i]);
    free(l->sidecar);
    free(l->dir);
    names_release(&l->file);
    *l = (level){0};
}

static rad_status push_level(builder *b, const char *dir, rad_error *err) {
    level *l = &b->level[b->n_level];
    *l = (level){.dir = rad_strdup(dir)};
    rad_status st = l->dir ? list(b, dir, &l->file, err) : no_memory(err);
    if (st == RAD_OK && !(l->sidecar = rad_calloc(l->file.n, sizeof(json_t *))))
        st = no_memory(err);
    if (st != RAD_OK)
        level_release(l);
    else
        b->n_level++;
    return st;
}

static void pop_level(builder *b) {
    level_release(&b->level[--b->n_level]);
}

/* ---------------------------------------------------------------- names */

static bool has_ending(const char *name, const char *ending) {
    size_t n = strlen(name), m = strlen(ending);
    return n > m && strcmp(name + n - m, ending) == 0;
}

/* False when the name is not built as BIDS says. `ending` is cut off. */
static bool take_apart(const char *name, const char *ending, parts *ret) {
    size_t n = strlen(name) - strlen(ending);
    *ret = (parts){0};
    if (n >= sizeof ret->text)
        return false;
    memcpy(ret->text, name, n);
    for (char *s = ret->text;;) {
        char *next = strchr(s, '_');
        if (next)
            *next = '\0';
        if (!next) {
            ret->suffix = s;
            return *s && !strchr(s, '-');
        }
        if (ret->n == MAX_PARTS || !strchr(s, '-') || s[0] == '-')
            return false;
        ret->entity[ret->n++] = s;
        s = next + 1;
    }
}

/* The value of an entity ("acq" of "acq-x"), or NULL. */
static const char *entity(const parts *p, const char *key) {
    size_t n = strlen(key);
    for (int i = 0; i < p->n; i++)
        if (strncmp(p->entity[i], key, n) == 0 && p->entity[i][n] == '-')
            return p->entity[i] + n + 1;
    return NULL;
}

/* Does a sidecar's name apply to the image (inheritance principle): the same suffix, and no entity that the image has not. */
static bool applies(const parts *sidecar, const parts *image) {
    if (strcmp(sidecar->suffix, image->suffix) != 0)
        return false;
    for (int i = 0; i < sidecar->n; i++) {
        bool found = false;
        for (int k = 0; k < image->n; k++)
            found = found || strcmp(sidecar->entity[i], image->entity[k]) == 0;
        if (!found)
            return false;
    }
    return true;
}

/* ---------------------------------------------------------------- sidecars */

static rad_status parse_sidecar(builder *b, level *l, size_t i, rad_error *err) {
    rad_error why = {0};
    json_t *raw = NULL;
    if (l->sidecar[i])
        return RAD_OK;
    char *path = rad_asprintf("%s/%s%s", b->dir, l->dir, l->file.item[i]);
    if (!path)
        return no_memory(err);
    rad_status st = sidecar_read(path, &raw, &why);
    if (st == RAD_OK) {
        l->sidecar[i] = sidecar_clean(raw);
    } else if (st != RAD_E_NOMEM) {
        rad_issues_add(b->issues, RAD_SEVERITY_WARNING, path, 0, NULL, "%s: its fields are not used", why.text);
        l->sidecar[i] = json_object();
    }
    json_decref(raw);
    free(path);
    return l->sidecar[i] ? RAD_OK : no_memory(err);
}

/* All that applies, from the data set down to the image's folder; the nearer one wins, on one level the one with more entities. */
static rad_status inherit(builder *b, const parts *image, json_t *into, rad_error *err) {
    for (int d = 0; d < b->n_level; d++) {
        level *l = &b->level[d];
        for (int want = 0; want <= MAX_PARTS; want++)
            for (size_t i = 0; i < l->file.n; i++) {
                parts p;
                if (!has_ending(l->file.item[i], ".json") || !take_apart(l->file.item[i], ".json", &p) || p.n != want ||
                    !applies(&p, image))
                    continue;
                rad_status st = parse_sidecar(b, l, i, err);
                if (st != RAD_OK)
                    return st;
                if (json_object_update(into, l->sidecar[i]) != 0)
                    return no_memory(err);
            }
    }
    return RAD_OK;
}

/* The nearest table of b-values that applies, on one level that with the most entities; *ret relative to the data set, or NULL. free(). */
static rad_status find_bval(const builder *b, const parts *image, char **ret, rad_error *err) {
    for (int d = b->n_level - 1; d >= 0; d--) {
        const level *l = &b->level[d];
        const char *best = NULL;
        int most = -1;
        for (size_t i = 0; i < l->file.n; i++) {
            parts p;
            if (!has_ending(l->file.item[i], ".bval") || !take_apart(l->file.item[i], ".bval", &p) || p.n <= most || !applies(&p, image))
                continue;
            best = l->file.item[i];
            most = p.n;
        }
        if (best) {
            *ret = rad_asprintf("%s%s", l->dir, best);
            return *ret ? RAD_OK : no_memory(err);
        }
    }
    return RAD_OK;
}

static rad_status put(rad_buf *b, const char *s, char after, rad_error *err) {
    rad_status st = s && strchr(s, '"') ? rad_buf_put(b, "\"", 1, err) : RAD_OK;
    for (const char *q = s && s[0] ? s : "n/a"; *q && st == RAD_OK; q++)
        st = rad_buf_put(b, *q == '"' ? "\"\"" : q, *q == '"' ? 2 : 1, err);
    if (st == RAD_OK && s && strchr(s, '"'))
        st = rad_buf_put(b, "\"", 1, err);
    return st == RAD_OK ? rad_buf_put(b, &after, 1, err) : st;
}

/* ---------------------------------------------------------------- images and masks */

static bool is_plain(const char *s) {
    for (; *s; s++)
        if ((unsigned char)*s < 0x20 || *s == 0x7F)
            return false;
    return true;
}

static rad_status sequence_name(builder *b, const parts *p, rad_buf *name, rad_error *err) {
    rad_status st = RAD_OK;
    for (int i = 0; i < b->spec->n_entity && st == RAD_OK; i++) {
        const char *v = entity(p, b->spec->entity[i]);
        if (v)
            st = rad_buf_printf(name, err, "%s-%s_", b->spec->entity[i], v);
    }
    return st == RAD_OK ? rad_buf_printf(name, err, "%s", p->suffix) : st;
}

static rad_status add_image(builder *b, const char *subject, const char *session, const char *dir, const char *file, const char *ending,
                            rad_error *err) {
    parts p;
    rad_buf name;
    rad_status st = RAD_OK;
    json_t *facts = NULL, *values = NULL;
    char *bval = NULL, *full = NULL, *path = arena_printf(b->arena, "%s%s", dir, file);
    rad_buf_init(&name, 4096);
    if (!path)
        return no_memory(err);
    if (!is_plain(file) || !take_apart(file, ending, &p) || !entity(&p, "sub") || strcmp(entity(&p, "sub"), subject + 4) != 0 ||
        (session[0] && (!entity(&p, "ses") || strcmp(entity(&p, "ses"), session + 4) != 0))) {
        char shown[200];
        snprintf(shown, sizeof shown, "%.190s", path);
        for (char *s = shown; *s; s++)
            *s = (unsigned char)*s < 0x20 || *s == 0x7F ? '?' : *s;
        utf8_scrub(shown);
        rad_issues_add(b->issues, RAD_SEVERITY_WARNING, shown, 0, NULL, "no BIDS name of this folder (%s_..._suffix): not used", subject);
        return RAD_OK;
    }
    facts = json_object();
    if (!facts)
        RAD_TRY(no_memory(err));
    RAD_TRY(inherit(b, &p, facts, err));
    RAD_TRY(find_bval(b, &p, &bval, err));
    full = bval ? rad_asprintf("%s/%s", b->dir, bval) : NULL;
    if (bval && !full)
        RAD_TRY(no_memory(err));
    RAD_TRY(full ? sidecar_b_values(full, &values, err) : RAD_OK);
    if (values && json_object_set(facts, "BValues", values) != 0)
        RAD_TRY(no_memory(err));
    RAD_TRY(sequence_name(b, &p, &name, err));
    RAD_TRY(put(&b->images, subject, '\t', err));
    RAD_TRY(put(&b->images, session, '\t', err));
    RAD_TRY(put(&b->images, name.data, '\t', err));
    RAD_TRY(put(&b->images, path, '\t', err));
    RAD_TRY(put(&b->images, bval, '\t', err));
    for (int k = 0; k < sidecar_count(); k++) {
        char *v = NULL;
        RAD_TRY(sidecar_value(facts, k, b->arena, &v, err));
        RAD_TRY(put(&b->images, v, k + 1 < sidecar_count() ? '\t' : '\n', err));
    }
out:
    json_decref(facts);
    json_decref(values);
    free(bval);
    free(full);
    rad_buf_release(&name);
    return st;
}

static bool wanted_label(const builder *b, const char *label) {
    for (int i = 0; i < b->spec->n_mask_label; i++)
        if (label && strcmp(b->spec->mask_label[i], label) == 0)
            return true;
    return b->spec->n_mask_label == 0;
}

/* A mask becomes a lesion: named by its label- (or desc-) entity, with the session where there is one, numbered when that is not enough. */
static rad_status add_mask(builder *b, const char *subject, const char *session, const char *dir, const char *file, const char *ending,
                           rad_error *err) {
    parts p;
    int64_t old = -1;
    if (!is_plain(file) || !take_apart(file, ending, &p) || (strcmp(p.suffix, "mask") != 0 && strcmp(p.suffix, "dseg") != 0))
        return RAD_OK;
    const char *label = entity(&p, "label") ? entity(&p, "label") : entity(&p, "desc");
    if (!wanted_label(b, label))
        return RAD_OK;
    char *path = arena_printf(b->arena, "%s%s", dir, file), *id = NULL;
    for (int i = 1; old >= 0 || i == 1; i++) {
        char number[24] = "";
        if (i > 1)
            snprintf(number, sizeof number, "_%d", i);
        id = arena_printf(b->arena, "%s%s%s%s", session, session[0] ? "_" : "", label ? label : "lesion", number);
        char *who = arena_strdup(b->arena, subject);
        if (!path || !id || !who)
            return no_memory(err);
        rad_status st = strmap_put(&b->lesion, &(strmap_key){.text = {who, id}}, 1, &old, err);
        if (st != RAD_OK)
            return st;
    }
    rad_status st = put(&b->lesions, subject, '\t', err);
    if (st == RAD_OK)
        st = put(&b->lesions, id, '\t', err);
    if (st == RAD_OK)
        st = put(&b->lesions, session, '\t', err);
    return st == RAD_OK ? put(&b->lesions, path, '\n', err) : st;
}

typedef rad_status add_file(builder *b, const char *subject, const char *session, const char *dir, const char *file, const char *ending,
                            rad_error *err);

/* Data type folders below `dir` ("sub-01/ses-1/"): anat, dwi, perf ... */
static rad_status walk_types(builder *b, const char *subject, const char *session, const char *dir, add_file *add, rad_error *err) {
    names l = {0};
    rad_status st = list(b, dir, &l, err);
    for (size_t i = 0; i < l.n && st == RAD_OK; i++) {
        if (strncmp(l.item[i], "ses-", 4) == 0 || !is_plain(l.item[i]) || !is_folder(b, dir, l.item[i]))
            continue;
        char *rel = rad_asprintf("%s%s/", dir, l.item[i]);
        st = rel ? push_level(b, rel, err) : no_memory(err);
        if (st == RAD_OK) {
            const names *f = &b->level[b->n_level - 1].file;
            for (size_t k = 0; k < f->n && st == RAD_OK; k++) {
                const char *ending = has_ending(f->item[k], ".nii.gz") ? ".nii.gz" : has_ending(f->item[k], ".nii") ? ".nii" : NULL;
                if (ending)
                    st = add(b, subject, session, rel, f->item[k], ending, err);
            }
            pop_level(b);
        }
        free(rel);
    }
    names_release(&l);
    return st;
}

static rad_status walk_subject(builder *b, const char *root, const char *subject, add_file *add, rad_error *err) {
    names l = {0};
    char *dir = rad_asprintf("%s%s/", root, subject);
    rad_status st = dir ? push_level(b, dir, err) : no_memory(err);
    if (st != RAD_OK) {
        free(dir);
        return st;
    }
    st = walk_types(b, subject, "", dir, add, err);
    if (st == RAD_OK)
        st = list(b, dir, &l, err);
    for (size_t i = 0; i < l.n && st == RAD_OK; i++) {
        if (strncmp(l.item[i], "ses-", 4) != 0 || !is_plain(l.item[i]) || !is_folder(b, dir, l.item[i]))
            continue;
        char *rel = rad_asprintf("%s%s/", dir, l.item[i]);
        st = rel ? push_level(b, rel, err) : no_memory(err);
        if (st == RAD_OK) {
            st = walk_types(b, subject, l.item[i], rel, add, err);
            pop_level(b);
        }
        free(rel);
    }
    names_release(&l);
    pop_level(b);
    free(dir);
    return st;
}

/* The sub-* folders of dir/root. */
static rad_status list_subjects(builder *b, const char *root, names *ret, rad_error *err) {
    names l = {0};
    rad_status st = list(b, root, &l, err);
    size_t n = 0;
    for (size_t i = 0; i < l.n; i++) {
        if (strncmp(l.item[i], "sub-", 4) == 0 && l.item[i][4] && is_plain(l.item[i]) && is_folder(b, root, l.item[i]))
            l.item[n++] = l.item[i];
        else
            free(l.item[i]);
    }
    l.n = n;
    *ret = l;
    return st;
}

static rad_status check_description(const builder *b, rad_error *err) {
    json_t *o = NULL;
    rad_error why = {0};
    char *path = rad_path_join(b->dir, "dataset_description.json");
    if (!path)
        return no_memory(err);
    rad_status st = sidecar_read(path, &o, &why);
    if (st != RAD_OK)
        rad_issues_add(b->issues, RAD_SEVERITY_ERROR, path, 0, NULL, "%s", why.text);
    else if (!json_is_string(json_object_get(o, "BIDSVersion")))
        rad_issues_add(b->issues, RAD_SEVERITY_WARNING, path, 0, "BIDSVersion", "the field is missing: is this a BIDS folder?");
    json_decref(o);
    free(path);
    return RAD_OK;
}

static rad_status take_table(builder *b, int which, rad_buf *text, bids_tables *ret, rad_error *err) {
    ret->text[which] = rad_strndup(text->data, text->size);
    ret->size[which] = text->size;
    ret->file[which] = rad_asprintf("%s (BIDS %s)", b->dir, which == RAD_TABLE_IMAGES ? "images" : "masks");
    return ret->text[which] && ret->file[which] ? RAD_OK : no_memory(err);
}

rad_status bids_make_tables(const char *dir, const rad_bids_spec *spec, bids_tables *ret, rad_issues *issues, rad_error *err) {
    static const rad_bids_spec usual = {0};
    builder b = {.dir = dir, .spec = spec ? spec : &usual, .issues = issues, .arena = arena_create()};
    names subject = {0}, masked = {0};
    char *root = NULL;
    rad_status st = b.arena ? RAD_OK : no_memory(err);
    rad_buf_init(&b.images, RAD_MAX_TABLE_BYTES);
    rad_buf_init(&b.lesions, RAD_MAX_TABLE_BYTES);
    if (st != RAD_OK)
        goto out;
    RAD_TRY(check_description(&b, err));
    RAD_TRY(list_subjects(&b, "", &subject, err));
    if (subject.n == 0)
        rad_issues_add(issues, RAD_SEVERITY_ERROR, dir, 0, NULL, "a BIDS folder without sub-* folders: there is no image to read");
    RAD_TRY(bids_people(dir, b.spec, subject.item, subject.n, ret, issues, err));
    RAD_TRY(rad_buf_printf(&b.images, err, "patient\tstudy\tsequence\tpath\tbval\t"));
    for (int k = 0; k < sidecar_count(); k++)
        RAD_TRY(put(&b.images, sidecar_column(k), k + 1 < sidecar_count() ? '\t' : '\n', err));
    RAD_TRY(push_level(&b, "", err));
    for (size_t i = 0; i < subject.n; i++)
        RAD_TRY(walk_subject(&b, "", subject.item[i], add_image, err));
    RAD_TRY(take_table(&b, RAD_TABLE_IMAGES, &b.images, ret, err));
    if (b.spec->masks) {
        root = rad_asprintf("derivatives/%s/", b.spec->masks);
        if (!root)
            RAD_TRY(no_memory(err));
        if (!is_folder(&b, root, ""))
            rad_issues_add(issues, RAD_SEVERITY_ERROR, dir, 0, "masks", "the job's bids.masks names '%s', which is no folder", root);
        else
            RAD_TRY(list_subjects(&b, root, &masked, err));
        RAD_TRY(rad_buf_printf(&b.lesions, err, "patient\tlesion\tstudy\tmask\n"));
        for (size_t i = 0; i < masked.n; i++)
            RAD_TRY(walk_subject(&b, root, masked.item[i], add_mask, err));
        RAD_TRY(take_table(&b, RAD_TABLE_LESIONS, &b.lesions, ret, err));
    }
out:
    while (b.n_level > 0)
        pop_level(&b);
    names_release(&subject);
    names_release(&masked);
    strmap_release(&b.lesion);
    rad_buf_release(&b.images);
    rad_buf_release(&b.lesions);
    free(root);
    arena_destroy(b.arena);
    if (st != RAD_OK)
        bids_tables_release(ret);
    return st;
}

/* cohort_rows.c: one row of each table: parse, check, append. Columns are described in schemas/cohort/. */
#include "cohort_rows.h"

#include "slice_list.h"

#include <ctype.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

enum {
    MAX_FOLD = 1000,
    AGE_CAP = 90,
    AGE_LIMIT = 130,
    MAX_NEAR = 256, /* centers that a name is compared with */
    MAX_ID = 256    /* bytes of a name: patient, center, lesion, study, sequence, reader */
};
#define MAX_MM 1e5

enum { CENTER_ID, CENTER_COHORT, CENTER_NAME, CENTER_COUNTRY };
static const table_column center_column[] = {
    {"center", COLUMN_ID}, {"cohort", COLUMN_ID}, {"name", COLUMN_OPTIONAL}, {"country", COLUMN_KEEP_NA}, {NULL, COLUMN_OPTIONAL}};
enum { PATIENT_ID, PATIENT_CENTER, PATIENT_LABEL, PATIENT_FOLD, PATIENT_AGE, PATIENT_SEX };
static const table_column patient_column[] = {
    {"patient", COLUMN_ID},    {"center", COLUMN_ID},    {"label", COLUMN_REQUIRED | COLUMN_STATED},
    {"fold", COLUMN_OPTIONAL}, {"age", COLUMN_OPTIONAL}, {"sex", COLUMN_OPTIONAL},
    {NULL, COLUMN_OPTIONAL}};
enum { LESION_PATIENT, LESION_ID, LESION_LABEL, LESION_BOX, LESION_MASK, LESION_POINT, LESION_SIZE, LESION_STUDY, LESION_SLICES };
static const table_column lesion_column[] = {{"patient", COLUMN_ID},       {"lesion", COLUMN_ID},      {"label", COLUMN_STATED},
                                             {"box", COLUMN_OPTIONAL},     {"mask", COLUMN_OPTIONAL},  {"point", COLUMN_OPTIONAL},
                                             {"size_mm", COLUMN_OPTIONAL}, {"study", COLUMN_OPTIONAL}, {"slices", COLUMN_OPTIONAL},
                                             {NULL, COLUMN_OPTIONAL}};
enum { IMAGE_PATIENT, IMAGE_STUDY, IMAGE_SEQUENCE, IMAGE_PATH, IMAGE_LESION, IMAGE_SLICES, IMAGE_BVAL };
static const table_column image_column[] = {{"patient", COLUMN_ID},    {"study", COLUMN_OPTIONAL},  {"sequence", COLUMN_ID},
                                            {"path", COLUMN_ID},       {"lesion", COLUMN_OPTIONAL}, {"slices", COLUMN_OPTIONAL},
                                            {"bval", COLUMN_OPTIONAL}, {NULL, COLUMN_OPTIONAL}};
enum { READING_READER, READING_PATIENT, READING_LESION, READING_CALL, READING_RATING, READING_EXPERIENCE, READING_SESSION };
static const table_column reading_column[] = {{"reader", COLUMN_ID},        {"patient", COLUMN_ID},
                                              {"lesion", COLUMN_OPTIONAL},  {"call", COLUMN_OPTIONAL},
                                              {"rating", COLUMN_OPTIONAL},  {"experience_years", COLUMN_OPTIONAL},
                                              {"session", COLUMN_OPTIONAL}, {NULL, COLUMN_OPTIONAL}};

const table_def cohort_table[RAD_TABLE_COUNT] = {
    [RAD_TABLE_CENTERS] = {"centers", center_column, true, false},    [RAD_TABLE_PATIENTS] = {"patients", patient_column, true, true},
    [RAD_TABLE_LESIONS] = {"lesions", lesion_column, false, true},    [RAD_TABLE_IMAGES] = {"images", image_column, true, true},
    [RAD_TABLE_READINGS] = {"readings", reading_column, false, true},
};

/* ---------------------------------------------------------------- helpers */

#define ERROR_AT(t, row, column, ...) table_mistake(t, RAD_SEVERITY_ERROR, (row)->line, column, __VA_ARGS__)
#define WARNING_AT(t, row, column, ...) table_mistake(t, RAD_SEVERITY_WARNING, (row)->line, column, __VA_ARGS__)

static rad_status no_memory(const table *t, rad_error *err) {
    return rad_error_set(err, RAD_E_NOMEM, "no memory for the rows of '%s'", t->file);
}

/* The array with room for one more item (it may have moved), or NULL when memory is out. */
static void *grow(void *array, int64_t n, int64_t *cap, size_t size) {
    if (n < *cap)
        return array;
    int64_t want = *cap ? *cap * 2 : 64;
    void *p = rad_realloc(array, (size_t)want, size);
    if (p)
        *cap = want;
    return p;
}

/* A copy in the arena; NULL stays NULL. *ok becomes false when memory is out. */
static char *keep(cohort_builder *b, const char *s, bool *ok) {
    char *p = s ? arena_strdup(b->arena, s) : NULL;
    if (s && !p)
        *ok = false;
    return p;
}

/* The same for a text that other rows have, too: one copy of it, as a rule. */
static char *keep_common(cohort_builder *b, const char *s, bool *ok) {
    uint32_t h = 2166136261u; /* FNV-1a */
    if (!s)
        return NULL;
    for (const char *c = s; *c; c++)
        h = (h ^ (unsigned char)*c) * 16777619u;
    char **at = &b->common[(h ^ h >> 16) % COHORT_COMMON];
    if (!*at || strcmp(*at, s) != 0)
        *at = keep(b, s, ok);
    return *at;
}

static bool same_patient(const void *rows, int64_t i, const strmap_key *key) {
    return strcmp(((const rad_cohort *)rows)->patient[i].id, key->text[0]) == 0;
}

static bool same_lesion(const void *rows, int64_t i, const strmap_key *key) {
    const rad_lesion *l = &((const rad_cohort *)rows)->lesion[i];
    return l->patient == key->number[0] && strcmp(l->id, key->text[0]) == 0;
}

static bool same_path(const void *rows, int64_t i, const strmap_key *key) {
    return strcmp(((const rad_cohort *)rows)->image[i].path, key->text[0]) == 0;
}

void cohort_builder_init(cohort_builder *b) {
    b->patient = (strmap){.same = same_patient, .rows = b->c};
    b->lesion = (strmap){.same = same_lesion, .rows = b->c};
    b->path = (strmap){.same = same_path, .rows = b->c};
}

static bool number_text(const char *s) {
    return s[strspn(s, "+-0123456789.eE")] == '\0';
}

/* A number within [low, high], or *ret untouched and a message. */
static void parse_number(const table *t, const table_row *row, const char *column, const char *s, double low, double high, double *ret) {
    double v = 0;
    if (!s)
        return;
    if (!number_text(s) || !rad_parse_double(s, &v) || !isfinite(v))
        ERROR_AT(t, row, column, "'%.60s' is not a number%s", s,
                 strchr(s, ',') ? ": write a decimal point, not a comma" : ": write one such as 62.5, or n/a when it is not known");
    else if (v < low || v > high)
        ERROR_AT(t, row, column, "%s is outside %.10g to %.10g", s, low, high);
    else
        *ret = v;
}

/* A DICOM UID: promise 9, UIDs never enter the database. */
static bool is_uid(const char *s) {
    size_t n = strlen(s), dots = 0;
    for (size_t i = 0; i < n; i++) {
        if (!isdigit((unsigned char)s[i]) && s[i] != '.')
            return false;
        dots += s[i] == '.';
    }
    return n >= 16 && dots >= 5;
}

static void check_uid(const table *t, const table_row *row, const char *column, const char *s) {
    if (s && is_uid(s))
        ERROR_AT(t, row, column, "'%.64s' looks like a DICOM UID, which must not enter the database: use a pseudonym", s);
}

static void check_id(const table *t, const table_row *row, const char *column, const char *s) {
    if (s && strlen(s) > MAX_ID)
        ERROR_AT(t, row, column, "'%.60s...' has %zu bytes, the limit is %d", s, strlen(s), MAX_ID);
    check_uid(t, row, column, s);
}

/* Inside the folder and there: false when the path is a mistake. *ret_missing: no such file (a warning; the run excludes the case). */
static bool check_path(const table *t, const table_row *row, const char *column, const char *path, bool *ret_missing) {
    const cohort_builder *b = t->payload;
    if (!b->opts->allow_outside && !rad_path_is_inside(path)) {
        ERROR_AT(t, row, column, "path '%.200s' leads outside the cohort folder: move the file inside, or pass --allow-outside", path);
        return false;
    }
    struct stat s;
    if (b->opts->skip_file_check)
        return true;
    if (fstatat(b->dir_fd, path, &s, 0) != 0) {
        *ret_missing = true;
        WARNING_AT(t, row, column, "file '%.200s' is not there: its cases will be excluded", path);
    } else if (!S_ISREG(s.st_mode)) {
        *ret_missing = true;
        WARNING_AT(t, row, column, "'%.200s' is not a file: its cases will be excluded", path);
    }
    return true;
}

static bool has_suffix(const char *s, const char *suffix) {
    size_t n = strlen(s), m = strlen(suffix);
    return n > m && strcasecmp(s + n - m, suffix) == 0;
}

static void check_nifti_name(const table *t, const table_row *row, const char *column, const char *path) {
    static const char *const known[] = {".nii", ".nii.gz", ".hdr", ".img", ".hdr.gz", ".img.gz", ".png", NULL};
    for (size_t i = 0; known[i]; i++)
        if (has_suffix(path, known[i]))
            return;
    WARNING_AT(t, row, column,
               "'%.200s' has no NIfTI name (.nii, .nii.gz, .hdr, .img) and is no .png; DICOM is converted by 'radcohort convert'", path);
}

/* The patient a row belongs to, or -1 with a message (none when patients could not be read). */
static int64_t find_patient(const table *t, const table_row *row, const char *id) {
    cohort_builder *b = t->payload;
    if (!id || !b->have[RAD_TABLE_PATIENTS])
        return -1;
    for (int64_t i = b->last_patient; i < b->last_patient + 2 && i < b->c->n_patient; i++)
        if (strcmp(b->c->patient[i].id, id) == 0)
            return b->last_patient = i;
    int64_t i = strmap_get(&b->patient, &(strmap_key){.text = {id}});
    if (i < 0)
        ERROR_AT(t, row, "patient", "patient '%.100s' is not in the patients table: add the row there, or correct the name", id);
    else
        b->last_patient = i;
    return i;
}

/* The lesion a row names, or -1; *ret_ok false with a message when it does not exist. */
static int64_t find_lesion(const table *t, const table_row *row, int64_t patient, const char *id, bool *ret_ok) {
    const cohort_builder *b = t->payload;
    if (!id || patient < 0)
        return -1;
    int64_t i = strmap_get(&b->lesion, &(strmap_key){.text = {id}, .number = {patient}});
    if (i < 0 && b->have[RAD_TABLE_LESIONS]) {
        ERROR_AT(t, row, "lesion", "patient '%.100s' has no lesion '%.100s' in the lesions table: add the row there, or correct the name",
                 b->c->patient[patient].id, id);
        *ret_ok = false;
    }
    return i;
}

/* Further columns of a row as covariates; names are copied once per table. */
static bool keep_covariates(cohort_builder *b, const table_row *row, rad_covariate **ret, int64_t *ret_n) {
    int64_t n = 0;
    if (!b->extra_name && row->n_extra) {
        b->extra_name = arena_alloc(b->arena, (size_t)row->n_extra, sizeof *b->extra_name);
        for (int64_t i = 0; b->extra_name && i < row->n_extra; i++)
            if (!(b->extra_name[i] = arena_strdup(b->arena, row->extra_name[i])))
                return false;
        if (!b->extra_name)
            return false;
    }
    for (int64_t i = 0; i < row->n_extra; i++)
        n += row->extra[i] != NULL;
    if (n == 0)
        return true;
    rad_covariate *v = arena_alloc(b->arena, (size_t)n, sizeof *v);
    bool ok = v != NULL;
    for (int64_t i = 0, k = 0; ok && i < row->n_extra; i++)
        if (row->extra[i])
            v[k++] = (rad_covariate){.name = b->extra_name[i], .value = keep(b, row->extra[i], &ok)};
    *ret = v;
    *ret_n = n;
    return ok;
}

static void check_covariates(const table *t, const table_row *row) {
    for (int64_t i = 0; i < row->n_extra; i++)
        check_uid(t, row, row->extra_name[i], row->extra[i]);
}

/* ---------------------------------------------------------------- rows */

static rad_status center_row(table *t, const table_row *row, rad_error *err) {
    static const char *const words[] = {"internal", "external", NULL};
    cohort_builder *b = t->payload;
    const char *id = row->known[CENTER_ID], *cohort = row->known[CENTER_COHORT];
    if (!id)
        return RAD_OK;
    check_id(t, row, "center", id);
    if (cohort && strcmp(cohort, words[0]) != 0 && strcmp(cohort, words[1]) != 0) {
        const char *near = rad_nearest_word(cohort, words);
        ERROR_AT(t, row, "cohort", "'%.60s' is no cohort: expected internal or external%s%s%s", cohort, near ? " (did you mean '" : "",
                 near ? near : "", near ? "'?)" : "");
    }
    rad_center *list = grow(b->c->center, b->c->n_center, &b->cap_center, sizeof *list);
    bool ok = list != NULL;
    b->c->center = ok ? list : b->c->center;
    rad_center item = {.id = keep(b, id, &ok),
                       .name = keep(b, row->known[CENTER_NAME], &ok),
                       .country = keep(b, row->known[CENTER_COUNTRY], &ok),
                       .external = cohort && strcmp(cohort, "external") == 0,
                       .line = row->line};
    int64_t old = -1;
    if (!ok || strmap_put(&b->center, &(strmap_key){.text = {item.id}}, b->c->n_center, &old, NULL) != RAD_OK)
        return no_memory(t, err);
    if (old >= 0)
        ERROR_AT(t, row, "center", "center '%.100s' is already on line %lld: one row per center", id, (long long)b->c->center[old].line);
    else
        b->c->center[b->c->n_center++] = item;
    return RAD_OK;
}

static void parse_age(const table *t, const table_row *row, double *ret) {
    const char *s = row->known[PATIENT_AGE];
    if (s && (strcmp(s, "90+") == 0 || strcmp(s, ">89") == 0)) {
        *ret = AGE_CAP;
        return;
    }
    size_t n = s ? strlen(s) : 0;
    if (n == 4 && strspn(s, "0123456789") == 3 && strchr("YMWD", s[3])) {
        ERROR_AT(t, row, "age", "'%s' is a DICOM age: write years as a number, for example %d", s, 57);
        return;
    }
    parse_number(t, row, "age", s, 0, AGE_LIMIT, ret);
    if (*ret > AGE_CAP)
        *ret = AGE_CAP; /* ages above 89 identify people: one group (HIPAA safe harbour, 45 CFR 164.514(b)(2)(i)(C)) */
}

static void check_sex(const table *t, const table_row *row) {
    static const char *const words[] = {"f", "m", "o", "u", "female", "male", "other", "unknown", NULL};
    const char *s = row->known[PATIENT_SEX];
    for (size_t i = 0; s && words[i]; i++)
        if (strcasecmp(s, words[i]) == 0)
            return;
    if (s)
        ERROR_AT(t, row, "sex",
                 "'%.60s' is not known: expected F, M, female, male, other, unknown or n/a (number codes differ between sites)", s);
}

static int64_t parse_fold(const table *t, const table_row *row) {
    const char *s = row->known[PATIENT_FOLD];
    int64_t v = -1;
    if (!s)
        return -1;
    if (rad_parse_int(s, &v) && v >= 0 && v <= MAX_FOLD)
        return v;
    ERROR_AT(t, row, "fold", "'%.60s' is not a fold: expected a whole number from 0 to %d, or n/a", s, MAX_FOLD);
    return -1;
}

static void center_unknown(const table *t, const table_row *row, const char *center) {
    const cohort_builder *b = t->payload;
    const char *known[MAX_NEAR + 1] = {NULL};
    for (int64_t i = 0; i < b->c->n_center && i < MAX_NEAR; i++)
        known[i] = b->c->center[i].id;
    const char *near = rad_nearest_word(center, known);
    if (strcmp(center, "unassigned") == 0)
        ERROR_AT(t, row, "center",
                 "center 'unassigned', of patients who have none, is not in the centers table: give them theirs, or add it");
    else
        ERROR_AT(t, row, "center", "center '%.100s' is not in the centers table: %s%s%s", center,
                 near ? "did you mean '" : "add the row there, or correct the name", near ? near : "", near ? "'?" : "");
}

static rad_status patient_row(table *t, const table_row *row, rad_error *err) {
    cohort_builder *b = t->payload;
    const char *id = row->known[PATIENT_ID], *center = row->known[PATIENT_CENTER];
    rad_patient item = {.center = -1, .age = NAN, .line = row->line, .fold = parse_fold(t, row)};
    if (!id)
        return RAD_OK;
    check_id(t, row, "patient", id);
    check_covariates(t, row);
    if (center && b->have[RAD_TABLE_CENTERS]) {
        item.center = strmap_get(&b->center, &(strmap_key){.text = {center}});
        if (item.center < 0)
            center_unknown(t, row, center);
    }
    parse_age(t, row, &item.age);
    check_sex(t, row);
    rad_patient *list = grow(b->c->patient, b->c->n_patient, &b->cap_patient, sizeof *list);
    bool ok = list != NULL;
    b->c->patient = ok ? list : b->c->patient;
    item.id = keep(b, id, &ok);
    item.label = keep_common(b, row->known[PATIENT_LABEL], &ok);
    item.sex = keep_common(b, row->known[PATIENT_SEX], &ok);
    ok = keep_covariates(b, row, &item.covariate, &item.n_covariate) && ok;
    int64_t old = -1;
    if (!ok || strmap_put(&b->patient, &(strmap_key){.text = {item.id}}, b->c->n_patient, &old, NULL) != RAD_OK)
        return no_memory(t, err);
    if (old >= 0)
        ERROR_AT(t, row, "patient", "patient '%.100s' is already on line %lld: one row per patient", id,
                 (long long)b->c->patient[old].line);
    else
        b->c->patient[b->c->n_patient++] = item;
    return RAD_OK;
}

/* Numbers separated by blanks, commas or semicolons, in brackets or not: how many (at most max + 1), or -1. */
static int parse_list(const char *s, int max, double *out) {
    static const char separator[] = " ,;[]()";
    int n = 0;
    for (s += strspn(s, separator); *s && n <= max; s += strspn(s, separator)) {
        char word[40];
        size_t len = strcspn(s, separator);
        double v = 0;
        if (len >= sizeof word)
            return -1;
        memcpy(word, s, len);
        word[len] = '\0';
        if (!number_text(word) || !rad_parse_double(word, &v) || !isfinite(v) || fabs(v) > 1e6)
            return -1;
        if (n < max)
            out[n] = v;
        n++;
        s += len;
    }
    return n;
}

static void parse_box(const table *t, const table_row *row, rad_lesion *item) {
    const char *s = row->known[LESION_BOX];
    double v[6] = {0};
    int n = s ? parse_list(s, 6, v) : 0;
    if (!s)
        return;
    for (int i = 0; i < 6 && n >= 0; i++)
        if (v[i] != floor(v[i]))
            n = -1;
    if (n != 6) {
        ERROR_AT(t, row, "box", "'%.80s' is not a box: expected six whole numbers i0 j0 k0 i1 j1 k1 (first voxel, and one past the last)%s",
                 s, n == 4 ? "; a slice is a box of k1 = k0 + 1" : "");
        return;
    }
    for (int a = 0; a < 3; a++) {
        if (v[a + 3] <= v[a])
            ERROR_AT(t, row, "box", "%c runs from %.0f to %.0f: the second corner is exclusive and must be larger", "ijk"[a], v[a],
                     v[a + 3]);
        else if (v[a] < 0)
            ERROR_AT(t, row, "box", "%c starts at %.0f: voxel indices start at 0", "ijk"[a], v[a]);
    }
    for (int i = 0; i < 6; i++)
        item->box[i] = (int64_t)v[i];
    item->has_box = true;
}

static void parse_point(const table *t, const table_row *row, rad_lesion *item) {
    const char *s = row->known[LESION_POINT];
    if (!s)
        return;
    if (parse_list(s, 3, item->point) != 3 || item->point[0] < -0.5 || item->point[1] < -0.5 || item->point[2] < -0.5)
        ERROR_AT(t, row, "point", "'%.80s' is not a point: expected three voxel indices i j k", s);
    item->has_point = true;
}

/* The column `slices`. False when memory is out. */
static bool keep_slices(const table *t, const table_row *row, const char *s, int64_t *ret_n, int64_t **ret) {
    cohort_builder *b = t->payload;
    char why[160] = "";
    bool ok = !s || slice_list_parse(b->arena, s, ret_n, ret, why, sizeof why);
    if (why[0])
        ERROR_AT(t, row, "slices", "%s", why);
    return ok;
}

static rad_status lesion_row(table *t, const table_row *row, rad_error *err) {
    cohort_builder *b = t->payload;
    const char *id = row->known[LESION_ID], *mask = row->known[LESION_MASK];
    rad_lesion item = {.patient = find_patient(t, row, row->known[LESION_PATIENT]), .size_mm = NAN, .line = row->line};
    check_id(t, row, "lesion", id);
    check_id(t, row, "study", row->known[LESION_STUDY]);
    check_covariates(t, row);
    parse_box(t, row, &item);
    parse_point(t, row, &item);
    parse_number(t, row, "size_mm", row->known[LESION_SIZE], 0, MAX_MM, &item.size_mm);
    if (mask) {
        item.has_mask = check_path(t, row, "mask", mask, &item.mask_missing);
        check_nifti_name(t, row, "mask", mask);
    }
    if (!id || item.patient < 0)
        return RAD_OK;
    rad_lesion *list = grow(b->c->lesion, b->c->n_lesion, &b->cap_lesion, sizeof *list);
    bool ok = list != NULL;
    b->c->lesion = ok ? list : b->c->lesion;
    item.id = keep_common(b, id, &ok);
    item.label = keep_common(b, t->has[LESION_LABEL] && !row->known[LESION_LABEL] ? "n/a" : row->known[LESION_LABEL], &ok);
    item.study = keep_common(b, row->known[LESION_STUDY], &ok);
    item.mask = keep(b, mask, &ok);
    item.slices = keep_common(b, row->known[LESION_SLICES], &ok);
    ok = keep_slices(t, row, row->known[LESION_SLICES], &item.n_slice, &item.slice) && ok;
    ok = keep_covariates(b, row, &item.covariate, &item.n_covariate) && ok;
    int64_t old = -1;
    strmap_key key = {.text = {item.id}, .number = {item.patient}};
    if (!ok || strmap_put(&b->lesion, &key, b->c->n_lesion, &old, NULL) != RAD_OK)
        return no_memory(t, err);
    if (old >= 0)
        ERROR_AT(t, row, "lesion", "lesion '%.100s' of patient '%.100s' is already on line %lld: one row per lesion", id,
                 b->c->patient[item.patient].id, (long long)b->c->lesion[old].line);
    else
        b->c->lesion[b->c->n_lesion++] = item;
    return RAD_OK;
}

/* The same file in two rows: a mistake across patients and for one channel; else told. */
static void report_same_path(const table *t, const table_row *row, const rad_image *old, const rad_image *item) {
    const cohort_builder *b = t->payload;
    if (old->patient != item->patient)
        ERROR_AT(t, row, "path", "file '%.200s' belongs to patient '%.100s' on line %lld already: one patient under two names?", item->path,
                 b->c->patient[old->patient].id, (long long)old->line);
    else if (strcmp(old->sequence, item->sequence) != 0)
        WARNING_AT(t, row, "path", "file '%.200s' is sequence '%.60s' on line %lld already", item->path, old->sequence,
                   (long long)old->line);
}

static strmap_key image_key(const rad_image *i) {
    return (strmap_key){.text = {i->path, i->sequence, i->study}, .number = {i->patient, i->lesion}};
}

static rad_status image_row(table *t, const table_row *row, rad_error *err) {
    cohort_builder *b = t->payload;
    const char *path = row->known[IMAGE_PATH], *sequence = row->known[IMAGE_SEQUENCE], *study = row->known[IMAGE_STUDY];
    rad_image item = {.patient = find_patient(t, row, row->known[IMAGE_PATIENT]), .lesion = -1, .line = row->line};
    bool good = true;
    check_id(t, row, "study", study);
    check_id(t, row, "sequence", sequence);
    check_covariates(t, row);
    item.lesion = find_lesion(t, row, item.patient, row->known[IMAGE_LESION], &good);
    if (path) {
        check_path(t, row, "path", path, &item.missing);
        check_nifti_name(t, row, "path", path);
    }
    const char *bval = row->known[IMAGE_BVAL];
    if (bval && !((const cohort_builder *)t->payload)->opts->allow_outside && !rad_path_is_inside(bval))
        ERROR_AT(t, row, "bval", "path '%.200s' leads outside the cohort folder: move the file inside, or pass --allow-outside", bval);
    if (item.patient < 0 || !path || !sequence || !good)
        return RAD_OK;
    rad_image *list = grow(b->c->image, b->c->n_image, &b->cap_image, sizeof *list);
    bool ok = list != NULL;
    b->c->image = ok ? list : b->c->image;
    item.study = keep_common(b, study ? study : "", &ok);
    item.sequence = keep_common(b, sequence, &ok);
    item.path = keep(b, path, &ok);
    item.bval = keep_common(b, bval, &ok);
    item.slices = keep_common(b, row->known[IMAGE_SLICES], &ok);
    ok = keep_slices(t, row, row->known[IMAGE_SLICES], &item.n_slice, &item.slice) && ok;
    ok = keep_covariates(b, row, &item.covariate, &item.n_covariate) && ok;
    int64_t old = -1, same = -1;
    if (!ok || strmap_put(&b->path, &(strmap_key){.text = {item.path}}, b->c->n_image, &same, NULL) != RAD_OK)
        return no_memory(t, err);
    if (same >= 0) {
        const strmap_key first = image_key(&b->c->image[same]), key = image_key(&item);
        if (strmap_put(&b->image, &first, same, &old, NULL) != RAD_OK || strmap_put(&b->image, &key, b->c->n_image, &old, NULL) != RAD_OK)
            return no_memory(t, err);
    }
    if (old >= 0) {
        ERROR_AT(t, row, NULL, "this row is the same as line %lld: keep one", (long long)b->c->image[old].line);
        return RAD_OK;
    }
    if (same >= 0)
        report_same_path(t, row, &b->c->image[same], &item);
    b->c->image[b->c->n_image++] = item;
    return RAD_OK;
}

static rad_status reading_row(table *t, const table_row *row, rad_error *err) {
    cohort_builder *b = t->payload;
    const char *reader = row->known[READING_READER], *call = row->known[READING_CALL], *session = row->known[READING_SESSION];
    rad_reading item = {.patient = find_patient(t, row, row->known[READING_PATIENT]),
                        .lesion = -1,
                        .rating = NAN,
                        .experience_years = NAN,
                        .line = row->line};
    bool good = true;
    item.lesion = find_lesion(t, row, item.patient, row->known[READING_LESION], &good);
    parse_number(t, row, "rating", row->known[READING_RATING], -1e9, 1e9, &item.rating);
    parse_number(t, row, "experience_years", row->known[READING_EXPERIENCE], 0, 80, &item.experience_years);
    bool said = call || row->known[READING_RATING];
    for (int64_t i = 0; i < row->n_extra && !said; i++)
        said = row->extra[i] != NULL;
    if (!said)
        ERROR_AT(t, row, "call", "neither a call nor a rating nor a feature: a reading has one of them");
    check_id(t, row, "reader", reader);
    check_id(t, row, "session", session);
    check_covariates(t, row);
    if (!reader || item.patient < 0 || !good)
        return RAD_OK;
    rad_reading *list = grow(b->c->reading, b->c->n_reading, &b->cap_reading, sizeof *list);
    bool ok = list != NULL;
    b->c->reading = ok ? list : b->c->reading;
    item.reader = keep_common(b, reader, &ok);
    item.call = keep_common(b, call, &ok);
    item.session = keep_common(b, session, &ok);
    ok = keep_covariates(b, row, &item.feature, &item.n_feature) && ok;
    int64_t old = -1;
    strmap_key key = {.text = {item.reader, item.session ? item.session : ""}, .number = {item.patient, item.lesion}};
    if (!ok || strmap_put(&b->reading, &key, b->c->n_reading, &old, NULL) != RAD_OK)
        return no_memory(t, err);
    if (old >= 0)
        ERROR_AT(t, row, "reader", "reader '%.100s' has read this case on line %lld already%s", reader, (long long)b->c->reading[old].line,
                 session ? " in this session" : ": a second look has another 'session'");
    else
        b->c->reading[b->c->n_reading++] = item;
    return RAD_OK;
}

cohort_row_function *const cohort_row[RAD_TABLE_COUNT] = {
    [RAD_TABLE_CENTERS] = center_row, [RAD_TABLE_PATIENTS] = patient_row, [RAD_TABLE_LESIONS] = lesion_row,
    [RAD_TABLE_IMAGES] = image_row,   [RAD_TABLE_READINGS] = reading_row,
};

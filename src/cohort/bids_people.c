/* bids_people.c: participants.tsv of a BIDS folder becomes the tables of patients and centers. Lines keep their numbers. Only columns that
 * are asked for are kept: the others may hold names, dates, remarks. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "bids.h"
#include "utf8.h"

enum { MAX_COLUMNS = 1024 };
enum { P_CENTER, P_LABEL, P_FOLD, P_AGE, P_SEX, P_FIXED };

typedef struct people {
    const rad_bids_spec *spec;
    const char *file;
    rad_issues *issues;
    char *column[MAX_COLUMNS]; /* header of the file */
    int64_t n_column;
    int id, from[P_FIXED]; /* column of participants.tsv, or -1 */
    int covariate[RAD_MAX_BIDS_ITEMS];
    bool *seen; /* per subject folder */
    arena *arena;
    strmap center;
    rad_buf patients, centers;
} people;

static rad_status no_memory(rad_error *err) {
    return rad_error_set(err, RAD_E_NOMEM, "no memory for participants.tsv");
}

static int find_column(const people *p, const char *name) {
    for (int64_t i = 0; i < p->n_column; i++)
        if (strcmp(p->column[i], name) == 0)
            return (int)i;
    return -1;
}

/* The declared column, which must be there, or the first of the usual ones. */
static int choose_column(people *p, const char *key, const char *declared, const char *const *usual) {
    const char *known[MAX_COLUMNS + 1];
    for (; !declared && *usual; usual++)
        if (find_column(p, *usual) >= 0)
            return find_column(p, *usual);
    int k = declared ? find_column(p, declared) : -1;
    if (!declared || k >= 0)
        return k;
    for (int64_t i = 0; i < p->n_column; i++)
        known[i] = p->column[i];
    known[p->n_column] = NULL;
    const char *near = rad_nearest_word(declared, known);
    rad_issues_add(p->issues, RAD_SEVERITY_ERROR, p->file, 1, declared, "the job's bids.%s names this column, which is not there%s%s%s",
                   key, near ? ": did you mean '" : "", near ? near : "", near ? "'?" : "");
    return -1;
}

/* Splits a line at tabs, in place; how many fields (at most MAX_COLUMNS + 1). */
static int64_t split(char *line, char **field) {
    int64_t n = 0;
    for (char *s = line; n <= MAX_COLUMNS; s++) {
        field[n++] = s;
        s += strcspn(s, "\t");
        if (!*s)
            break;
        *s = '\0';
    }
    return n;
}

static rad_status put_field(rad_buf *b, const char *s, rad_error *err) {
    rad_status st = rad_buf_put(b, "\t", 1, err);
    if (st != RAD_OK || !strpbrk(s, "\"\r"))
        return st == RAD_OK ? rad_buf_printf(b, err, "%s", s) : st;
    st = rad_buf_put(b, "\"", 1, err); /* BIDS has no quoting; our reader has */
    for (; *s && st == RAD_OK; s++)
        st = *s == '\r' ? RAD_OK : rad_buf_put(b, *s == '"' ? "\"\"" : s, *s == '"' ? 2 : 1, err);
    return st == RAD_OK ? rad_buf_put(b, "\"", 1, err) : st;
}

static rad_status take_header(people *p, char **field, int64_t n, rad_error *err) {
    static const char *const no[] = {NULL}, *const label[] = {"label", "diagnosis", NULL}, *const center[] = {"center", "site", NULL};
    static const char *const fold[] = {"fold", NULL}, *const age[] = {"age", NULL}, *const sex[] = {"sex", NULL};
    rad_status st = RAD_OK;
    p->n_column = n;
    for (int64_t i = 0; i < n; i++)
        if (!(p->column[i] = rad_strdup(field[i])))
            return no_memory(err);
    p->id = find_column(p, "participant_id");
    if (p->id < 0)
        rad_issues_add(p->issues, RAD_SEVERITY_ERROR, p->file, 1, "participant_id", "this column is missing: it names the sub-* folders");
    p->from[P_LABEL] = choose_column(p, "label", p->spec->label, label);
    p->from[P_CENTER] = choose_column(p, "center", p->spec->center, center);
    p->from[P_FOLD] = choose_column(p, "fold", p->spec->fold, fold);
    p->from[P_AGE] = choose_column(p, "age", p->spec->age, age);
    p->from[P_SEX] = choose_column(p, "sex", p->spec->sex, sex);
    if (p->from[P_LABEL] < 0)
        rad_issues_add(p->issues, RAD_SEVERITY_WARNING, p->file, 1, NULL,
                       "no column label or diagnosis: every label is unknown; the job's bids.label names the column");
    st = rad_buf_printf(&p->patients, err, "patient\tcenter\tlabel\tfold\tage\tsex");
    for (int i = 0; i < p->spec->n_covariate && st == RAD_OK; i++) {
        p->covariate[i] = choose_column(p, "covariates", p->spec->covariate[i], no);
        st = put_field(&p->patients, p->spec->covariate[i], err);
    }
    return st == RAD_OK ? rad_buf_put(&p->patients, "\n", 1, err) : st;
}

/* Every center once, in order of appearance. */
static rad_status add_center(people *p, const char *id, rad_error *err) {
    int64_t old = -1;
    char *copy = arena_strdup(p->arena, id); /* keys are borrowed by the map */
    if (!copy)
        return no_memory(err);
    rad_status st = strmap_put(&p->center, &(strmap_key){.text = {copy}}, 1, &old, err);
    if (st != RAD_OK || old >= 0)
        return st;
    st = rad_buf_printf(&p->centers, err, "internal"); /* the first column is the cohort, so that the id can be quoted like any field */
    if (st == RAD_OK)
        st = put_field(&p->centers, id, err);
    return st == RAD_OK ? rad_buf_put(&p->centers, "\n", 1, err) : st;
}

static const char *value(char *const *field, int k) {
    return k < 0 || !field[k][0] ? "n/a" : field[k];
}

static int by_text(const void *key, const void *item) {
    return strcmp(key, *(char *const *)item);
}

/* One person: a line of the file, or (field NULL) a folder that it does not have. */
static rad_status put_person(people *p, const char *id, char *const *field, rad_error *err) {
    static const int order[] = {P_LABEL, P_FOLD, P_AGE, P_SEX};
    const char *center = field ? value(field, p->from[P_CENTER]) : "n/a";
    if (strcmp(center, "n/a") == 0)
        center = "unassigned";
    rad_status st = rad_buf_printf(&p->patients, err, "%s", id);
    if (st == RAD_OK)
        st = put_field(&p->patients, center, err);
    for (int k = 0; k < 4 && st == RAD_OK; k++) {
        const char *v = field ? value(field, p->from[order[k]]) : "n/a";
        st = put_field(&p->patients, order[k] == P_AGE && strcmp(v, "89+") == 0 ? "90+" : v, err);
    }
    for (int i = 0; i < p->spec->n_covariate && st == RAD_OK; i++)
        st = put_field(&p->patients, field ? value(field, p->covariate[i]) : "n/a", err);
    if (st == RAD_OK)
        st = rad_buf_put(&p->patients, "\n", 1, err);
    return st == RAD_OK ? add_center(p, center, err) : st;
}

static rad_status take_line(people *p, char **field, int64_t n, int64_t line, char *const *subject, size_t n_subject, rad_error *err) {
    char id[256];
    if (n != p->n_column)
        rad_issues_add(p->issues, RAD_SEVERITY_ERROR, p->file, line, NULL, "%lld fields, the header has %lld", (long long)n,
                       (long long)p->n_column);
    if (n != p->n_column || p->id < 0)
        return rad_buf_put(&p->patients, "\n", 1, err); /* lines keep their numbers */
    const char *given = field[p->id];
    snprintf(id, sizeof id, "%s%s", strncmp(given, "sub-", 4) == 0 ? "" : "sub-", given);
    if (strlen(given) + 4 >= sizeof id || strpbrk(given, "\"\r/")) {
        rad_issues_add(p->issues, RAD_SEVERITY_ERROR, p->file, line, "participant_id", "'%.60s' is no participant_id: expected sub-LABEL",
                       given);
        return rad_buf_put(&p->patients, "\n", 1, err);
    }
    char *const *at = n_subject ? bsearch(id, subject, n_subject, sizeof *subject, by_text) : NULL;
    if (at)
        p->seen[at - subject] = true;
    return put_person(p, id, field, err);
}

static rad_status take_text(people *p, char *text, size_t size, char *const *subject, size_t n_subject, rad_error *err) {
    char **field = rad_calloc(MAX_COLUMNS + 1, sizeof *field);
    rad_status st = field ? RAD_OK : no_memory(err);
    int64_t line = 0;
    char *s = text, *end = text + size;
    if (size >= 3 && memcmp(s, "\xEF\xBB\xBF", 3) == 0)
        s += 3;
    while (s < end && st == RAD_OK) {
        char *stop = memchr(s, '\n', (size_t)(end - s));
        char *next = stop ? stop + 1 : end;
        if (stop)
            *stop = '\0';
        size_t m = strlen(s); /* a NUL byte ends the line: what is behind it is no text */
        if (m && s[m - 1] == '\r')
            s[--m] = '\0';
        utf8_scrub(s);
        line++;
        if (line == 1) {
            int64_t n = split(s, field);
            if (n > MAX_COLUMNS)
                st = rad_error_set(err, RAD_E_LIMIT, "'%.200s' has more than %d columns", p->file, MAX_COLUMNS);
            else
                st = take_header(p, field, n, err);
        } else if (m == 0) {
            st = rad_buf_put(&p->patients, "\n", 1, err);
        } else {
            st = take_line(p, field, split(s, field), line, subject, n_subject, err);
        }
        s = next;
    }
    free(field);
    return st;
}

/* centers.tsv of the folder says who is internal and external; without it everyone is internal, which is told. */
static rad_status finish_centers(people *p, const char *dir, bids_tables *ret, rad_error *err) {
    struct stat info;
    char *tsv = rad_path_join(dir, "centers.tsv"), *csv = rad_path_join(dir, "centers.csv");
    rad_status st = tsv && csv ? RAD_OK : no_memory(err);
    if (st == RAD_OK && stat(tsv, &info) != 0 && stat(csv, &info) != 0) {
        rad_issues_add(
            p->issues, RAD_SEVERITY_WARNING, tsv, 0, NULL,
            "the centers table is missing: every center counts as internal; columns center, cohort (internal or external) beside "
            "participants.tsv say which are external");
        ret->text[RAD_TABLE_CENTERS] = rad_strndup(p->centers.data, p->centers.size);
        ret->size[RAD_TABLE_CENTERS] = p->centers.size;
        ret->file[RAD_TABLE_CENTERS] = rad_strdup(p->file);
        if (!ret->text[RAD_TABLE_CENTERS] || !ret->file[RAD_TABLE_CENTERS])
            st = no_memory(err);
    }
    free(tsv);
    free(csv);
    return st;
}

rad_status bids_people(const char *dir, const rad_bids_spec *spec, char *const *subject, size_t n, bids_tables *ret, rad_issues *issues,
                       rad_error *err) {
    const rad_bids_spec nothing = {0}; /* no columns to look for where there is no list */
    people p = {.spec = spec, .issues = issues, .id = -1, .from = {-1, -1, -1, -1, -1}};
    char *text = NULL, *file = rad_path_join(dir, "participants.tsv");
    size_t size = 0;
    rad_error why = {0};
    rad_status st = RAD_OK;
    rad_buf_init(&p.patients, RAD_MAX_TABLE_BYTES);
    rad_buf_init(&p.centers, RAD_MAX_TABLE_BYTES);
    p.file = file;
    p.seen = rad_calloc(n, sizeof *p.seen);
    p.arena = arena_create();
    if (!file || !p.seen || !p.arena)
        RAD_TRY(no_memory(err));
    RAD_TRY(rad_buf_printf(&p.centers, err, "cohort\tcenter\n"));
    st = rad_file_read(file, RAD_MAX_TABLE_BYTES, &text, &size, &why);
    if (st == RAD_E_NOMEM)
        RAD_TRY(rad_error_set(err, st, "%s", why.text));
    if (st == RAD_E_NOTFOUND || (st == RAD_OK && size == 0)) {
        rad_issues_add(issues, RAD_SEVERITY_WARNING, file, 0, NULL,
                       "there is no list of participants: patients are the sub-* folders, labels unknown");
        st = rad_buf_printf(&p.patients, err, "patient\tcenter\tlabel\tfold\tage\tsex\n");
        p.spec = &nothing;
    } else if (st == RAD_OK) {
        st = take_text(&p, text, size, subject, n, err);
    } else {
        rad_issues_add(issues, RAD_SEVERITY_ERROR, file, 0, NULL, "%s", why.text);
        st = RAD_OK;
    }
    for (size_t i = 0; i < n && st == RAD_OK; i++) {
        if (!p.seen[i] && text)
            rad_issues_add(issues, RAD_SEVERITY_WARNING, file, 0, "participant_id",
                           "folder '%s' is not among the participants: its label is not known until it has a line there", subject[i]);
        if (!p.seen[i])
            st = put_person(&p, subject[i], NULL, err);
    }
    RAD_TRY(st);
    ret->text[RAD_TABLE_PATIENTS] = rad_strndup(p.patients.data ? p.patients.data : "", p.patients.size);
    ret->size[RAD_TABLE_PATIENTS] = p.patients.size;
    ret->file[RAD_TABLE_PATIENTS] = rad_strdup(file);
    if (!ret->text[RAD_TABLE_PATIENTS] || !ret->file[RAD_TABLE_PATIENTS])
        RAD_TRY(no_memory(err));
    RAD_TRY(finish_centers(&p, dir, ret, err));
out:
    for (int64_t i = 0; i < p.n_column; i++)
        free(p.column[i]);
    strmap_release(&p.center);
    arena_destroy(p.arena);
    rad_buf_release(&p.patients);
    rad_buf_release(&p.centers);
    free(p.seen);
    free(text);
    free(file);
    return st;
}

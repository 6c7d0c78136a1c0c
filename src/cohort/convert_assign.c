/* convert_assign.c: who is who: the secret key, pseudonyms, centers, visits as days. Dates and identities are used here and go no further.
 */
#define _XOPEN_SOURCE 700 /* realpath */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "convert_impl.h"
#include "strmap.h"

#define UNASSIGNED "unassigned" /* the center of those whose center nothing tells */

enum { KEY_BYTES = 32, AGE_CAP = 90 };

static rad_status no_memory(rad_error *err) {
    return rad_error_set(err, RAD_E_NOMEM, "no memory for patients and centers");
}

rad_status convert_pseudonym(convert *c, const char *kind, const char *text, char **ret, rad_error *err) {
    static const char digit[] = "abcdefghijklmnopqrstuvwxyz234567"; /* RFC 4648 base32, lower case */
    uint8_t h[RAD_SHA256_BYTES];
    char out[RAD_PSEUDONYM_CHARS + 1];
    char *whole = rad_asprintf("%s\n%s", kind, text);
    if (!whole)
        return no_memory(err);
    rad_status st = rad_hmac_sha256(c->key, sizeof c->key, whole, strlen(whole), h, err);
    free(whole);
    if (st != RAD_OK)
        return st;
    for (size_t i = 0; i < RAD_PSEUDONYM_CHARS; i++) {
        size_t bit = i * 5, at = bit / 8;
        unsigned two = (unsigned)h[at] << 8 | h[at + 1];
        out[i] = digit[two >> (11 - bit % 8) & 31];
    }
    out[RAD_PSEUDONYM_CHARS] = '\0';
    *ret = arena_strdup(c->arena, out);
    return *ret ? RAD_OK : no_memory(err);
}

/* ---------------------------------------------------------------- key */

static rad_status make_key(convert *c, const char *path, rad_error *err) {
    static const char hex[] = "0123456789abcdef";
    char text[2 * KEY_BYTES + 1];
    rad_status st = rad_random_bytes(c->key, KEY_BYTES, err);
    if (st != RAD_OK || c->opts->dry_run)
        return st;
    for (size_t i = 0; i < KEY_BYTES; i++) {
        text[2 * i] = hex[c->key[i] >> 4];
        text[2 * i + 1] = hex[c->key[i] & 15];
    }
    text[2 * KEY_BYTES] = '\n';
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return rad_error_set(err, RAD_E_IO, "the key file '%.200s' cannot be made: name another with --key", path);
    bool ok = write(fd, text, sizeof text) == (ssize_t)sizeof text && fsync(fd) == 0;
    if (close(fd) != 0 || !ok) {
        unlink(path);
        return rad_error_set(err, RAD_E_IO, "the key file '%.200s' cannot be written", path);
    }
    c->out->key_made = true;
    return RAD_OK;
}

static rad_status read_key(convert *c, const char *path, const struct stat *s, rad_error *err) {
    char *text = NULL;
    size_t n = 0;
    if (s->st_mode & (S_IRWXG | S_IRWXO))
        return rad_error_set(err, RAD_E_USAGE, "the key file '%.200s' can be read by others: chmod 600 it", path);
    rad_status st = rad_file_read(path, 4096, &text, &n, err);
    if (st != RAD_OK)
        return st;
    while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == '\r' || text[n - 1] == ' '))
        text[--n] = '\0';
    if (n != 2 * KEY_BYTES || !rad_sha256_bytes(text, c->key))
        st = rad_error_set(err, RAD_E_USAGE,
                           "'%.200s' is no key: 64 lower-case hexadecimal digits were expected; name a new file to have one made", path);
    free(text);
    return st;
}

/* True when the file at `path` lies in the cohort folder, whatever links lead there. */
static bool is_inside_cohort(const convert *c, const char *path) {
    char *dir = rad_path_dir(path), *real_dir = dir ? realpath(dir, NULL) : NULL, *real = realpath(path, NULL);
    size_t n = strlen(c->cohort);
    const char *look[] = {real_dir, real};
    bool inside = false;
    for (int i = 0; i < 2; i++)
        inside = inside || (look[i] && strncmp(look[i], c->cohort, n) == 0 && (look[i][n] == '/' || look[i][n] == '\0'));
    free(dir);
    free(real_dir);
    free(real);
    return inside;
}

rad_status convert_open_key(convert *c, rad_error *err) {
    struct stat s;
    char *path = c->opts->key ? arena_strdup(c->arena, c->opts->key) : arena_printf(c->arena, "%s.key", c->cohort);
    if (!path)
        return no_memory(err);
    const char *outside[] = {path, c->opts->source_list};
    for (int i = 0; i < 2; i++)
        if (outside[i] && is_inside_cohort(c, outside[i]))
            return rad_error_set(err, RAD_E_USAGE,
                                 "%s '%.200s' lies in the cohort folder: whoever gets the folder could undo the pseudonyms; "
                                 "name a file elsewhere",
                                 i ? "the list of sources" : "the key file", outside[i]);
    c->out->key_file = path;
    rad_status st = RAD_OK;
    if (stat(path, &s) == 0)
        st = read_key(c, path, &s, err);
    else if (errno == ENOENT)
        st = make_key(c, path, err);
    else
        st = rad_error_set(err, RAD_E_IO, "the key file '%.200s' cannot be looked at", path);
    if (st != RAD_OK)
        return st;
    /* A cohort is made with one key: with another, every patient would be there twice. */
    char *check = NULL, *file = rad_path_join(c->cohort, ".radcohort/convert/key-check"), *old = NULL;
    size_t n = 0;
    if (!file)
        return no_memory(err);
    st = convert_pseudonym(c, "key-check", "", &check, err);
    if (st == RAD_OK && rad_file_read(file, 64, &old, &n, NULL) == RAD_OK) {
        if (strcmp(old, check) != 0)
            st = rad_error_set(err, RAD_E_USAGE,
                               "cohort '%.150s' was made with another key than '%.150s': give that one with --key, or name a "
                               "new cohort folder",
                               c->opts->cohort, path);
    } else if (st == RAD_OK && !c->opts->dry_run) {
        st = rad_file_write_atomic(file, check, strlen(check), err);
    }
    free(old);
    free(file);
    return st;
}

/* ---------------------------------------------------------------- centers and patients */

/* The N-th folder of a file's path below the source (1 = the first), or NULL. */
static char *folder_level(convert *c, const char *path, int64_t level) {
    const char *s = path + strlen(c->source);
    for (; level > 0; level--) {
        while (*s == '/')
            s++;
        size_t n = strcspn(s, "/");
        if (!s[n])
            return NULL;
        if (level == 1) {
            char *name = arena_strndup(c->arena, s, n);
            return name;
        }
        s += n;
    }
    return NULL;
}

static int64_t find_center(convert *c, const char *id) {
    for (int64_t i = 0; i < c->n_center; i++)
        if (strcmp(c->center[i].id, id) == 0)
            return i;
    return -1;
}

static rad_status add_center(convert *c, const char *id, bool external, const char *name, const char *country, int64_t *ret,
                             rad_error *err) {
    int64_t k = find_center(c, id);
    if (k < 0) {
        if (c->n_center == c->cap_center) {
            int64_t cap = c->cap_center ? c->cap_center * 2 : 16;
            convert_center *p = rad_realloc(c->center, (size_t)cap, sizeof *p);
            if (!p)
                return no_memory(err);
            c->center = p;
            c->cap_center = cap;
        }
        k = c->n_center++;
        c->center[k] = (convert_center){.id = arena_strdup(c->arena, id), .external = external, .name = name, .country = country};
        if (!c->center[k].id)
            return no_memory(err);
    }
    *ret = k;
    return RAD_OK;
}

static bool center_fits(const rule_center *r, const convert *c, const convert_series *s) {
    const char *folder = c->file[s->first].path + strlen(c->source);
    while (*folder == '/')
        folder++;
    return (!r->institution.n || rules_any(&r->institution, s->head.text[DICOM_INSTITUTION])) &&
           (!r->station.n || rules_any(&r->station, s->head.text[DICOM_STATION])) &&
           (!r->manufacturer.n || rules_any(&r->manufacturer, s->head.text[DICOM_MANUFACTURER])) &&
           (!r->folder.n || rules_any(&r->folder, folder));
}

static rad_status parse_level(const char *option, const char *text, int64_t *ret, rad_error *err) {
    if (strncmp(text, "folder:", 7) == 0 && rad_parse_int(text + 7, ret) && *ret >= 1 && *ret <= RAD_MAX_CONVERT_DEPTH)
        return RAD_OK;
    return rad_error_set(err, RAD_E_USAGE, "%s '%.60s' is not known: expected folder:N (N-th folder below the source)%s", option, text,
                         strcmp(option, "--center-from") == 0 ? ", institution or name:CENTER" : " or id");
}

static rad_status set_center(convert *c, convert_series *s, rad_error *err) {
    const char *from = c->opts->center_from, *id = NULL;
    int64_t level = 0;
    for (int i = 0; i < c->rules.n_center; i++) {
        const rule_center *r = &c->rules.center[i];
        if (center_fits(r, c, s))
            return add_center(c, r->center, r->external, r->name, r->country, &s->center, err);
    }
    if (from && strcmp(from, "institution") == 0) {
        id = s->head.text[DICOM_INSTITUTION];
    } else if (from && strncmp(from, "name:", 5) == 0 && from[5]) {
        id = from + 5;
    } else if (from) {
        rad_status st = parse_level("--center-from", from, &level, err);
        if (st != RAD_OK)
            return st;
        id = folder_level(c, c->file[s->first].path, level);
    }
    return add_center(c, id && id[0] ? id : UNASSIGNED, false, NULL, NULL, &s->center, err);
}

static rad_status set_patient(convert *c, convert_series *s, strmap *map, rad_error *err) {
    const char *from = c->opts->patient_from, *id = s->head.text[DICOM_PATIENT_ID];
    int64_t level = 0, old = -1;
    if (from && strcmp(from, "id") != 0) {
        rad_status st = parse_level("--patient-from", from, &level, err);
        if (st != RAD_OK)
            return st;
        id = folder_level(c, c->file[s->first].path, level);
    }
    if (!id || !id[0]) {
        s->status = RAD_CONVERT_FAILED;
        s->reason =
            arena_strdup(c->arena, level ? "the file does not lie deep enough for --patient-from"
                                         : "no PatientID: whose images these are is not known (--patient-from folder:N takes a folder)");
        s->skip = true;
        return s->reason ? RAD_OK : no_memory(err);
    }
    const char *issuer = level ? "" : s->head.text[DICOM_ISSUER], *center = c->rules.patient_per_center ? c->center[s->center].id : "";
    char *message = arena_printf(c->arena, "%s%s%s%s%s", center, center[0] ? "\n" : "", issuer, issuer[0] ? "\n" : "", id);
    char *plain = arena_strdup(c->arena, id);
    if (!message || !plain)
        return no_memory(err);
    rad_status st = strmap_put(map, &(strmap_key){.text = {message}}, c->n_patient, &old, err);
    if (st != RAD_OK)
        return st;
    if (old < 0) {
        if (c->n_patient == c->cap_patient) {
            int64_t cap = c->cap_patient ? c->cap_patient * 2 : 64;
            convert_patient *p = rad_realloc(c->patient, (size_t)cap, sizeof *p);
            if (!p)
                return no_memory(err);
            c->patient = p;
            c->cap_patient = cap;
        }
        old = c->n_patient;
        convert_patient *p = &c->patient[c->n_patient++];
        *p = (convert_patient){.id = plain, .center = s->center, .age = NAN, .fold = -1};
        st = convert_pseudonym(c, "patient", message, &p->pseudonym, err);
    }
    s->patient = old;
    /* what names no center belongs to the patient's: reports and derived images often lack the institution */
    int64_t unknown = find_center(c, UNASSIGNED);
    if (c->patient[old].center == unknown)
        c->patient[old].center = s->center;
    else if (s->center == unknown)
        s->center = c->patient[old].center;
    if (st == RAD_OK && c->patient[old].center != s->center) {
        s->status = RAD_CONVERT_UNUSED;
        s->skip = true;
        s->reason =
            arena_strdup(c->arena, "this PatientID came up at another center before: one person or two? 'patient_id: per-center' in the "
                                   "rules tells them apart");
        if (!s->reason)
            return no_memory(err);
    }
    return st;
}

/* ---------------------------------------------------------------- days */

typedef struct visit {
    int64_t patient, day, series; /* day INT64_MAX: no date */
    const char *time, *uid;
} visit;

static int by_visit(const void *a, const void *b) {
    const visit *x = a, *y = b;
    if (x->patient != y->patient)
        return x->patient < y->patient ? -1 : 1;
    if (x->day != y->day)
        return x->day < y->day ? -1 : 1;
    int k = strcmp(x->time, y->time);
    if (k == 0)
        k = strcmp(x->uid, y->uid);
    return k ? k : x->series < y->series ? -1 : x->series > y->series;
}

static double age_of(const dicom_series *h, int64_t day) {
    const char *s = h->text[DICOM_AGE];
    size_t n = strlen(s);
    char digits[16];
    int64_t v = 0, born = 0;
    double age = NAN;
    if (n >= 2 && n <= 4 && strspn(s, "0123456789") == n - 1) {
        snprintf(digits, sizeof digits, "%.*s", (int)(n - 1), s);
        if (rad_parse_int(digits, &v))
            age = s[n - 1] == 'Y'   ? (double)v
                  : s[n - 1] == 'M' ? (double)v / 12
                  : s[n - 1] == 'W' ? (double)v * 7 / 365.25
                  : s[n - 1] == 'D' ? (double)v / 365.25
                                    : NAN;
    }
    if (isnan(age) && day != INT64_MAX && dicom_days(h->text[DICOM_BIRTH_DATE], &born) && day >= born)
        age = floor((double)(day - born) / 365.25);
    return age > AGE_CAP ? AGE_CAP : age;
}

/* The name of every visit: days since the patient's first, "day-0", "day-93"; of two on one day the second is "day-93-2". */
static rad_status name_days(convert *c, rad_error *err) {
    visit *v = rad_calloc((size_t)c->n_series, sizeof *v);
    int64_t n = 0, first = 0, count = 0;
    rad_status st = RAD_OK;
    if (!v)
        return no_memory(err);
    for (int64_t i = 0; i < c->n_series; i++) {
        const convert_series *s = &c->series[i];
        if (s->patient < 0)
            continue;
        int64_t day = INT64_MAX;
        if (!dicom_days(s->head.text[DICOM_STUDY_DATE], &day))
            day = INT64_MAX;
        v[n++] = (visit){s->patient, day, i, s->head.text[DICOM_STUDY_TIME], s->head.text[DICOM_STUDY_UID]};
    }
    if (n)
        qsort(v, (size_t)n, sizeof *v, by_visit);
    for (int64_t i = 0; i < n && st == RAD_OK; i++) {
        convert_series *s = &c->series[v[i].series];
        convert_patient *p = &c->patient[v[i].patient];
        bool new_patient = i == 0 || v[i - 1].patient != v[i].patient, new_day = new_patient || v[i - 1].day != v[i].day;
        bool new_visit = new_day || strcmp(v[i - 1].uid, v[i].uid) != 0;
        if (new_patient)
            first = v[i].day;
        count = new_day ? 1 : count + new_visit;
        char second[24] = "";
        if (count > 1)
            snprintf(second, sizeof second, "-%lld", (long long)count);
        if (!new_visit)
            s->study = c->series[v[i - 1].series].study;
        else if (v[i].day == INT64_MAX)
            s->study = arena_printf(c->arena, "undated%s", second);
        else
            s->study = arena_printf(c->arena, "day-%lld%s", (long long)(v[i].day - first), second);
        if (!s->study)
            st = no_memory(err);
        if (isnan(p->age))
            p->age = age_of(&s->head, v[i].day);
        char sex = s->head.text[DICOM_SEX][0];
        if (!p->sex && sex && strchr("FMO", sex))
            p->sex = sex;
        c->out->n_study += new_visit;
    }
    free(v);
    return st;
}

rad_status convert_assign(convert *c, rad_error *err) {
    strmap map = {0};
    rad_status st = RAD_OK;
    for (int64_t i = 0; i < c->n_series; i++) {
        convert_series *s = &c->series[i];
        char *whole = NULL;
        s->status = RAD_CONVERT_FAILED;
        RAD_TRY(set_center(c, s, err));
        RAD_TRY(set_patient(c, s, &map, err));
        whole = rad_asprintf("%s\n%s\n%s", s->patient >= 0 ? c->patient[s->patient].pseudonym : "", s->head.text[DICOM_STUDY_UID],
                             s->head.text[DICOM_SERIES_UID]);
        st = whole ? convert_pseudonym(c, "series", whole, &s->token, err) : no_memory(err);
        free(whole);
        if (st != RAD_OK)
            goto out;
    }
    RAD_TRY(name_days(c, err));
out:
    strmap_release(&map);
    return st;
}

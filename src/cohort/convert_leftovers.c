/* convert_leftovers.c: what an earlier conversion into the same cohort folder left behind: temporary folders when it was killed, and
 * journals of series whose files are no longer in the tree. */
#define _XOPEN_SOURCE 700 /* nftw */
#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "convert_impl.h"
#include "convert_sidecar.h"
#include "radcohort/cohort.h"
#include "strmap.h"

#define MAX_TOLD 50

static int remove_entry(const char *path, const struct stat *info, int type, struct FTW *where) {
    (void)info;
    (void)type;
    (void)where;
    (void)remove(path);
    return 0;
}

/* Folders of other users, and links, stay: the temporary folder is everybody's. */
static void remove_own(const char *path) {
    struct stat info;
    if (lstat(path, &info) == 0 && S_ISDIR(info.st_mode) && info.st_uid == geteuid())
        (void)nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

char *convert_stage_template(const convert *c) {
    char hash[RAD_SHA256_HEX];
    const char *tmp = getenv("TMPDIR");
    tmp = tmp && tmp[0] == '/' ? tmp : "/tmp";
    if (rad_sha256(c->cohort, strlen(c->cohort), hash, NULL) != RAD_OK)
        return NULL;
    return rad_asprintf("%s/radcohort-%.16s-XXXXXX", tmp, hash);
}

void convert_remove_stages(const char *pattern) {
    const char *name = strrchr(pattern, '/') + 1;
    const size_t n = strlen(name) - 6; /* without the X */
    char *dir = rad_path_dir(pattern);
    DIR *d = dir ? opendir(dir) : NULL;
    for (struct dirent *e = d ? readdir(d) : NULL; e; e = readdir(d)) {
        if (strncmp(e->d_name, name, n) != 0 || strlen(e->d_name) != n + 6)
            continue;
        char *path = rad_path_join(dir, e->d_name);
        if (path)
            remove_own(path);
        free(path);
    }
    if (d)
        closedir(d);
    free(dir);
}

/* Series by token. Errors: NOMEM. */
static rad_status map_series(const convert *c, strmap *ret, rad_error *err) {
    strmap map = {0};
    int64_t old;
    for (int64_t i = 0; i < c->n_series; i++) {
        const strmap_key key = {.text = {c->series[i].token}};
        if (c->series[i].token && strmap_put(&map, &key, i, &old, err) != RAD_OK) {
            strmap_release(&map);
            return RAD_E_NOMEM;
        }
    }
    *ret = map;
    return RAD_OK;
}

static const convert_series *find_series(const convert *c, const strmap *map, const char *token, size_t n) {
    char text[RAD_PSEUDONYM_CHARS + 1];
    if (n > RAD_PSEUDONYM_CHARS)
        return NULL;
    snprintf(text, sizeof text, "%.*s", (int)n, token);
    const strmap_key key = {.text = {text}};
    const int64_t i = strmap_get(map, &key);
    return i < 0 ? NULL : &c->series[i];
}

static void tell_one(const convert *c, const char *journal, const char *token) {
    json_t *old = NULL, *item;
    size_t i, n = 0;
    const char *first = NULL;
    if (sidecar_read(journal, &old, NULL) == RAD_OK)
        json_array_foreach(json_object_get(old, "outputs"), i, item) {
            const char *path = json_string_value(json_object_get(item, "path"));
            first = first ? first : path;
            n += path != NULL;
        }
    rad_issues_add(c->issues, RAD_SEVERITY_WARNING, c->source, 0, NULL,
                   "series %s was converted before and is not in the tree any more: it has no row in the tables now%s%.100s%s; %s", token,
                   n ? ", its image stays on disk (" : "", n ? first : "",
                   n > 1 ? " and others)"
                   : n   ? ")"
                         : "",
                   n ? "put the files back, or delete the image" : "put the files back");
    json_decref(old);
}

rad_status convert_tell_vanished(const convert *c, rad_error *err) {
    char *dir = rad_path_join(c->cohort, ".radcohort/convert");
    struct dirent **list = NULL;
    int64_t told = 0;
    strmap map = {0};
    if (!dir)
        return rad_error_set(err, RAD_E_NOMEM, "no memory for a path");
    rad_status st = map_series(c, &map, err);
    if (st != RAD_OK) {
        free(dir);
        return st;
    }
    const int n = scandir(dir, &list, NULL, alphasort);
    for (int i = 0; i < n; i++) {
        const char *name = list[i]->d_name;
        const size_t length = strlen(name);
        if (st == RAD_OK && length == RAD_PSEUDONYM_CHARS + 5 && strcmp(name + length - 5, ".json") == 0 &&
            !find_series(c, &map, name, length - 5)) {
            char *path = rad_path_join(dir, name), token[RAD_PSEUDONYM_CHARS + 1];
            snprintf(token, sizeof token, "%.*s", RAD_PSEUDONYM_CHARS, name);
            if (!path)
                st = rad_error_set(err, RAD_E_NOMEM, "no memory for a path");
            else if (told++ < MAX_TOLD)
                tell_one(c, path, token);
            free(path);
        }
        free(list[i]);
    }
    if (told > MAX_TOLD)
        rad_issues_add(c->issues, RAD_SEVERITY_WARNING, c->source, 0, NULL, "%lld more series are not in the tree any more",
                       (long long)(told - MAX_TOLD));
    free(list);
    free(dir);
    strmap_release(&map);
    return st;
}

/* ---------------------------------------------------------------- days */

rad_status convert_tell_shifted(const convert *c, rad_error *err) {
    char *path = rad_path_join(c->cohort, RAD_CONVERT_REPORT), *text = NULL, last[RAD_PSEUDONYM_CHARS + 1] = "";
    size_t n = 0;
    int64_t told = 0;
    strmap map = {0};
    rad_status st = map_series(c, &map, err);
    if (st == RAD_OK && !path)
        st = rad_error_set(err, RAD_E_NOMEM, "no memory for a path");
    if (st != RAD_OK || rad_file_read(path, RAD_MAX_TABLE_BYTES, &text, &n, NULL) != RAD_OK)
        goto out; /* the first conversion */
    for (char *line = strchr(text, '\n'); line && line[1]; line = strchr(line + 1, '\n')) {
        const char *field[4] = {line + 1}; /* patient, study, series, the rest */
        int k = 1;
        for (const char *p = line + 1; *p && *p != '\n' && k < 4; p++)
            if (*p == '\t')
                field[k++] = p + 1;
        if (k < 4)
            continue;
        const convert_series *s = find_series(c, &map, field[2], (size_t)(field[3] - field[2] - 1));
        const size_t m = (size_t)(field[2] - field[1] - 1);
        const char *patient = s && s->patient >= 0 ? c->patient[s->patient].pseudonym : NULL;
        if (!patient || !s->study || strncmp(field[1], "day-", 4) != 0 || (strlen(s->study) == m && strncmp(s->study, field[1], m) == 0) ||
            strcmp(last, patient) == 0)
            continue;
        snprintf(last, sizeof last, "%s", patient); /* rows of a patient stand together */
        if (told++ < MAX_TOLD)
            rad_issues_add(
                c->issues, RAD_SEVERITY_WARNING, c->source, 0, NULL,
                "patient %s: what was visit %.*s is %s now, for days count from the first visit in the tree and that is another one; "
                "tables made by hand (lesions, readings) that name visits must follow",
                patient, (int)m, field[1], s->study);
    }
    if (told > MAX_TOLD)
        rad_issues_add(c->issues, RAD_SEVERITY_WARNING, c->source, 0, NULL, "the visits of %lld more patients have other days",
                       (long long)(told - MAX_TOLD));
out:
    strmap_release(&map);
    free(text);
    free(path);
    return st;
}

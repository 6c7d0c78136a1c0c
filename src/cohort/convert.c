/* convert.c: the conversion from end to end: walk, headers, who is who, rules by headers, dcm2niix, rules by sidecars, tables. */
#define _XOPEN_SOURCE 700 /* realpath */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "convert_impl.h"
#include "convert_labels.h"

#define CONVERTER "3" /* part of every signature: another number converts everything anew */

const char *rad_convert_status_name(rad_convert_status s) {
    static const char *const name[] = {"used", "unused", "unmatched", "ignored", "no-image", "failed"};
    return s < RAD_CONVERT_STATUS_COUNT ? name[s] : "unknown";
}

void rad_convert_outcome_release(rad_convert_outcome *o) {
    arena_destroy(o->arena);
    *o = (rad_convert_outcome){0};
}

static rad_status no_memory(rad_error *err) {
    return rad_error_set(err, RAD_E_NOMEM, "no memory for the conversion");
}

static rad_status load_rules(convert *c, rad_error *err) {
    const char *path = c->opts->rules, *standard = rad_convert_default_rules();
    char *text = NULL;
    size_t size = 0;
    if (!path)
        return rules_read("built-in rules", standard, strlen(standard), c->arena, &c->rules, c->issues, err);
    rad_status st = rad_file_read(path, (size_t)1 << 20, &text, &size, err);
    if (st == RAD_OK)
        st = rules_read(path, text, size, c->arena, &c->rules, c->issues, err);
    free(text);
    return st;
}

/* A program of the PATH, or a path; NULL when it is not there. */
static char *find_program(const char *name) {
    const char *path = getenv("PATH");
    if (strchr(name, '/'))
        return access(name, X_OK) == 0 ? rad_strdup(name) : NULL;
    for (const char *s = path ? path : "/usr/bin:/bin"; *s;) {
        size_t n = strcspn(s, ":");
        char *p = rad_asprintf("%.*s/%s", (int)n, n ? s : ".", name);
        if (p && access(p, X_OK) == 0)
            return p;
        free(p);
        s += n + (s[n] == ':');
    }
    return NULL;
}

/* dcm2niix and gzip, and the version that becomes part of every signature. */
static rad_status find_programs(convert *c, rad_error *err) {
    char log[] = "/tmp/radcohort-version-XXXXXX", *text = NULL;
    size_t n = 0;
    c->dcm2niix = find_program(c->opts->dcm2niix ? c->opts->dcm2niix : "dcm2niix");
    c->gzip = find_program("gzip");
    if (!c->dcm2niix || !c->gzip)
        return rad_error_set(err, RAD_E_USAGE, "%s is not installed: apt-get install %s%s", c->dcm2niix ? "gzip" : "dcm2niix",
                             c->dcm2niix ? "gzip" : "dcm2niix", c->dcm2niix ? "" : ", or give its path with --dcm2niix");
    int fd = mkstemp(log);
    if (fd < 0)
        return rad_error_set(err, RAD_E_IO, "no file can be made in /tmp");
    close(fd);
    char *argv[] = {c->dcm2niix, (char[]){"--version"}, NULL};
    int code = convert_child(argv, log, 30);
    rad_status st =
        code < 0 ? rad_error_set(err, RAD_E_IO, "'%.200s' does not run", c->dcm2niix) : rad_file_read(log, 65536, &text, &n, err);
    unlink(log);
    if (st == RAD_OK) {
        char *v = strstr(text, "v1.");
        c->dcm2niix_version = v ? rad_strndup(v, strcspn(v, " \r\n")) : rad_strdup("unknown");
        st = c->dcm2niix_version ? RAD_OK : no_memory(err);
    }
    free(text);
    return st;
}

/* What the series' conversion depends on: files by path, size and time of change, and the programs. Keyed: paths can hold names. */
static rad_status sign(convert *c, convert_series *s, rad_error *err) {
    rad_buf b;
    uint8_t h[RAD_SHA256_BYTES];
    rad_buf_init(&b, (size_t)1 << 31);
    rad_status st = rad_buf_printf(&b, err, "%s %s %s\n", CONVERTER, c->dcm2niix_version, s->token);
    for (int64_t i = 0; i < s->n_file && st == RAD_OK; i++) {
        const convert_file *f = &c->file[s->file[i]];
        st = rad_buf_printf(&b, err, "%s\n%llu %llu\n", f->path, (unsigned long long)f->size, (unsigned long long)f->mtime);
    }
    if (st == RAD_OK)
        st = rad_hmac_sha256(c->key, sizeof c->key, b.data, b.size, h, err);
    for (size_t i = 0; i < RAD_SHA256_BYTES && st == RAD_OK; i++)
        snprintf(s->signature + 2 * i, 3, "%02x", h[i]);
    rad_buf_release(&b);
    return st;
}

/* Series whose fate the headers decide are not converted: no pixels, or no rule can fit, or one that says `ignore` surely does. */
static rad_status decide(convert *c, convert_series *s, rad_error *err) {
    rule_verdict v;
    bool image = false;
    for (int64_t i = 0; i < s->n_file; i++)
        image = image || c->file[s->file[i]].i.has_image;
    if (s->skip && image)
        return RAD_OK;
    rad_status st = convert_facts(c, s, NULL, &s->rule, err);
    if (st != RAD_OK)
        return st;
    if (!image) {
        s->skip = true;
        s->status = RAD_CONVERT_NO_IMAGE;
        s->reason =
            arena_printf(c->arena, "%.16s without pixels", s->head.text[DICOM_MODALITY][0] ? s->head.text[DICOM_MODALITY] : "an object");
        return s->reason ? RAD_OK : no_memory(err);
    }
    rules_match(&c->rules, &s->rule, true, NULL, &v);
    if (v.rule < 0) {
        s->skip = true;
        s->status = RAD_CONVERT_UNMATCHED;
        s->reason = v.nearest >= 0 ? arena_printf(c->arena, "nearest rule '%s': %s", c->rules.rule[v.nearest].name, v.why) : NULL;
    } else if (c->rules.rule[v.rule].ignore && rules_meets(&c->rules.rule[v.rule], &s->rule, false)) {
        s->skip = true;
        s->status = RAD_CONVERT_IGNORED;
        s->reason = arena_printf(c->arena, "rule '%s'", c->rules.rule[v.rule].name);
    }
    return RAD_OK;
}

/* In a dry run the headers stand for the sidecars. */
static rad_status pretend(convert_series *s, rad_error *err) {
    s->output = rad_calloc(1, sizeof *s->output);
    if (!s->output)
        return no_memory(err);
    s->n_output = 1;
    s->output[0].rule = s->rule;
    s->output[0].rule.from_headers = false;
    s->output[0].variant = rad_strdup("");
    return s->output[0].variant ? RAD_OK : no_memory(err);
}

static rad_status convert_series_all(convert *c, rad_error *err) {
    rad_status st = RAD_OK;
    for (int64_t i = 0; i < c->n_series && st == RAD_OK; i++) {
        convert_series *s = &c->series[i];
        st = decide(c, s, err);
        if (st != RAD_OK || s->skip)
            continue;
        if (c->opts->dry_run) {
            st = pretend(s, err);
        } else {
            st = sign(c, s, err);
            if (st == RAD_OK)
                (void)convert_load(c, s);
        }
    }
    return st == RAD_OK && !c->opts->dry_run ? convert_run(c, err) : st;
}

/* Makes the cohort folder (not in a dry run) and takes its real path; one conversion at a time. */
static rad_status open_cohort(convert *c, int *ret_lock, rad_error *err) {
    rad_status st = RAD_OK;
    char *journal = NULL, *lock = NULL;
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    c->source = realpath(c->opts->source, NULL);
    if (!c->source)
        return rad_error_set(err, RAD_E_USAGE, "'%.300s' is not there: the folder with the DICOM files was expected", c->opts->source);
    if (c->opts->dry_run) {
        c->cohort = realpath(c->opts->cohort, NULL);
        if (!c->cohort)
            c->cohort = rad_strdup(c->opts->cohort);
        return c->cohort ? RAD_OK : no_memory(err);
    }
    RAD_TRY(rad_mkdirs(c->opts->cohort, err));
    c->cohort = realpath(c->opts->cohort, NULL);
    if (!c->cohort)
        return rad_error_set(err, RAD_E_IO, "the cohort folder '%.300s' cannot be opened", c->opts->cohort);
    if (strcmp(c->cohort, c->source) == 0)
        return rad_error_set(err, RAD_E_USAGE, "the cohort folder is the DICOM folder: name another with -o");
    journal = rad_path_join(c->cohort, ".radcohort/convert");
    lock = rad_path_join(c->cohort, ".radcohort/convert/lock");
    if (!journal || !lock)
        RAD_TRY(no_memory(err));
    RAD_TRY(rad_mkdirs(journal, err));
    *ret_lock = open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (*ret_lock < 0)
        st = rad_error_set(err, RAD_E_IO, "the cohort folder '%.300s' cannot be written", c->opts->cohort);
    else if (fcntl(*ret_lock, F_SETLK, &whole) != 0)
        st = rad_error_set(err, RAD_E_USAGE, "another conversion works on '%.300s': wait for it", c->opts->cohort);
out:
    free(journal);
    free(lock);
    return st;
}

static void release(convert *c, int lock) {
    for (int64_t i = 0; i < c->n_series; i++)
        convert_outputs_release(&c->series[i]);
    for (int64_t i = 0; i < c->n_file; i++) {
        free(c->file[i].path);
        free(c->file[i].why);
        free(c->file[i].i.frame);
    }
    convert_labels_destroy(c->labels);
    free(c->file);
    free(c->series);
    free(c->patient);
    free(c->center);
    free(c->source);
    free(c->cohort);
    free(c->dcm2niix);
    free(c->dcm2niix_version);
    free(c->gzip);
    memset(c->key, 0, sizeof c->key);
    if (lock >= 0)
        close(lock);
}

rad_status rad_convert(const rad_convert_opts *opts, rad_convert_outcome *ret, rad_issues *issues, rad_error *err) {
    rad_convert_outcome out = {0};
    rad_convert_opts o = *opts;
    convert c = {.opts = &o, .out = &out, .issues = issues};
    int lock = -1;
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    o.jobs = o.jobs > 0 ? o.jobs : processors > 0 && processors < RAD_MAX_CONVERT_JOBS ? (int)processors : 1;
    o.time_limit_s = o.time_limit_s > 0 ? o.time_limit_s : 600;
    rad_status st = RAD_OK;
    if (!(c.arena = arena_create()))
        return no_memory(err);
    out.arena = c.arena;
    RAD_TRY(load_rules(&c, err));
    RAD_TRY(open_cohort(&c, &lock, err));
    if (!o.dry_run)
        RAD_TRY(find_programs(&c, err));
    RAD_TRY(convert_open_key(&c, err));
    RAD_TRY(convert_walk(&c, err));
    RAD_TRY(convert_read_headers(&c, err));
    RAD_TRY(convert_assign(&c, err));
    if (o.labels)
        RAD_TRY(convert_read_labels(&c, err));
    RAD_TRY(convert_series_all(&c, err));
    RAD_TRY(convert_tell_vanished(&c, err));
    RAD_TRY(convert_tell_shifted(&c, err));
    RAD_TRY(convert_judge(&c, err));
    RAD_TRY(convert_write_tables(&c, err));
out:
    release(&c, lock);
    if (st == RAD_OK)
        *ret = out;
    else
        arena_destroy(c.arena);
    return st;
}

/* plan_files.c: one look at every file that the manifest uses, before the run begins: the sizes order the work, and sizes and times of
 * change tell whether a run over the same tables is still the same run. */
#include "plan.h"

#include "stamp.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define DIGEST_CHUNK ((size_t)1 << 20)

struct digest { /* a chain: when the text is long, its hash takes its place */
    rad_buf text;
    char sha256[RAD_SHA256_HEX];
};

static rad_status fold(struct digest *d, rad_error *err) {
    rad_status st = rad_sha256(d->text.data, d->text.size, d->sha256, err);
    rad_buf_clear(&d->text);
    return st == RAD_OK ? rad_buf_put(&d->text, d->sha256, sizeof d->sha256 - 1, err) : st;
}

/* Adds what a look at `path` has shown. */
static rad_status add(struct digest *d, const char *path, const rad_file_look *f, rad_error *err) {
    rad_status st = rad_buf_printf(&d->text, err, "%zu:%s ", strlen(path), path);
    if (st == RAD_OK && f->error == 0)
        st = rad_buf_printf(&d->text, err, "%llu %lld.%09d\n", (unsigned long long)f->bytes, (long long)f->seconds, f->nanoseconds);
    else if (st == RAD_OK)
        st = rad_buf_printf(&d->text, err, "missing\n");
    return st == RAD_OK && d->text.size >= DIGEST_CHUNK ? fold(d, err) : st;
}

/* Which volumes of which images the channels take: tables of b-values are files, too. */
static rad_status add_picks(struct digest *d, const rad_plan *p, rad_error *err) {
    rad_status st = RAD_OK;
    for (int64_t k = 0; k < p->manifest->n_case; k++)
        for (int i = 0; i < p->job->n_input; i++)
            for (int ch = 0; ch < p->job->input[i].n_channel && st == RAD_OK; ch++) {
                const rad_case_input *in = &p->manifest->item[k].input[i];
                if (in->status != RAD_OK || !in->pick[ch])
                    continue;
                st = rad_buf_printf(&d->text, err, "case %" PRId64 " %d %d volumes %s of %" PRId64 "\n", k, i, ch, in->pick[ch]->text,
                                    in->pick[ch]->total);
                if (st == RAD_OK && d->text.size >= DIGEST_CHUNK)
                    st = fold(d, err);
            }
    return st;
}

/* used[i]: image i belongs to an input of a case; mask[i]: lesion i is a case. */
static void mark(const rad_plan *p, bool *used, bool *mask) {
    for (int64_t k = 0; k < p->manifest->n_case; k++) {
        const rad_case *c = &p->manifest->item[k];
        if (c->lesion >= 0)
            mask[c->lesion] = p->cohort->lesion[c->lesion].has_mask;
        for (int i = 0; i < p->job->n_input; i++)
            for (int ch = 0; c->input[i].status == RAD_OK && ch < p->job->input[i].n_channel; ch++)
                if (c->input[i].image[ch] >= 0)
                    used[c->input[i].image[ch]] = true;
    }
}

static double case_bytes(const rad_plan *p, const rad_case *c) {
    double sum = 1;
    for (int i = 0; i < p->job->n_input; i++)
        for (int ch = 0; c->input[i].status == RAD_OK && ch < p->job->input[i].n_channel; ch++) {
            int64_t image = c->input[i].image[ch];
            if (image >= 0 && !(ch > 0 && image == c->input[i].image[ch - 1]))
                sum += 1 + (double)p->look[image].bytes;
        }
    return sum;
}

/* An image that an earlier channel or input of the case has had. */
static bool had(const rad_plan *p, const rad_case *c, int input, int channel) {
    for (int i = 0; i <= input; i++)
        for (int ch = 0; c->input[i].status == RAD_OK && ch < (i < input ? p->job->input[i].n_channel : channel); ch++)
            if (c->input[i].image[ch] == c->input[input].image[channel])
                return true;
    return false;
}

static uint64_t case_stamp(const rad_plan *p, const rad_case *c) {
    uint64_t sum =
        c->lesion >= 0 && p->cohort->lesion[c->lesion].has_mask ? rad_stamp_of_look(&p->look[p->cohort->n_image + c->lesion]) : 0;
    for (int i = 0; i < p->job->n_input; i++)
        for (int ch = 0; c->input[i].status == RAD_OK && ch < p->job->input[i].n_channel; ch++)
            if (c->input[i].image[ch] >= 0 && !had(p, c, i, ch))
                sum += rad_stamp_of_look(&p->look[c->input[i].image[ch]]);
    return sum;
}

rad_status rad_plan_files(rad_plan *p, rad_error *err) {
    rad_status st = RAD_OK;
    const rad_cohort *c = p->cohort;
    const int64_t n = c->n_image + c->n_lesion;
    struct digest d = {.sha256 = ""};
    bool *used = rad_calloc((size_t)c->n_image + 1, sizeof *used), *mask = rad_calloc((size_t)c->n_lesion + 1, sizeof *mask);
    const char **path = rad_calloc((size_t)n + 1, sizeof *path);
    rad_buf_init(&d.text, 2 * DIGEST_CHUNK);
    p->cost = rad_calloc((size_t)p->manifest->n_case + 1, sizeof *p->cost);
    p->look = rad_calloc((size_t)n + 1, sizeof *p->look);
    p->stamp = rad_calloc((size_t)p->manifest->n_case + 1, sizeof *p->stamp);
    if (!used || !mask || !path || !p->cost || !p->look || !p->stamp) {
        st = rad_error_set(err, RAD_E_NOMEM, "out of memory for %lld images", (long long)c->n_image);
        goto out;
    }
    mark(p, used, mask);
    for (int64_t i = 0; i < c->n_image; i++)
        path[i] = used[i] ? c->image[i].path : NULL;
    for (int64_t i = 0; i < c->n_lesion; i++)
        path[c->n_image + i] = mask[i] ? c->lesion[i].mask : NULL;
    RAD_TRY(rad_walk_files(c->dir, path, n, RAD_MAX_WALKERS, p->look, err));
    for (int64_t i = 0; i < n; i++)
        if (path[i])
            RAD_TRY(add(&d, path[i], &p->look[i], err));
    RAD_TRY(add_picks(&d, p, err));
    RAD_TRY(fold(&d, err));
    memcpy(p->files_sha256, d.sha256, sizeof p->files_sha256);
    for (int64_t k = 0; k < p->manifest->n_case; k++) {
        p->cost[k] = case_bytes(p, &p->manifest->item[k]);
        p->stamp[k] = case_stamp(p, &p->manifest->item[k]);
    }
out:
    rad_buf_release(&d.text);
    free(used);
    free(mask);
    free(path);
    return st;
}

void rad_plan_tell_missing(const rad_plan *p) {
    const rad_cohort *c = p->cohort;
    rad_issues issues = {0};
    for (int64_t i = 0; p->look && i < c->n_image + c->n_lesion; i++) {
        const rad_file_look *f = &p->look[i];
        const bool image = i < c->n_image;
        if (!f->looked || f->error == 0)
            continue;
        rad_issues_add(&issues, RAD_SEVERITY_WARNING, c->file[image ? RAD_TABLE_IMAGES : RAD_TABLE_LESIONS],
                       image ? c->image[i].line : c->lesion[i - c->n_image].line, image ? "path" : "mask",
                       f->error == EISDIR ? "'%.200s' is not a file: its cases will be excluded"
                                          : "file '%.200s' is not there: its cases will be excluded",
                       image ? c->image[i].path : c->lesion[i - c->n_image].mask);
    }
    rad_issues_print(&issues, stderr);
    rad_issues_release(&issues);
}

/* ---------------------------------------------------------------- for many processes */

#define MAX_SHARED ((size_t)1 << 30)

static rad_status shared_head(const rad_plan *p, rad_buf *b, rad_error *err) {
    return rad_buf_printf(b, err, "radcohort shard plan 2\njob %s\ncohort %s\ncases %" PRId64 "\nfiles ", p->job->sha256, p->cohort->sha256,
                          p->manifest->n_case);
}

/* True when `text` is a plan that begins with `head`: fills in what it says. */
static bool take_shared(rad_plan *p, const rad_buf *head, const char *text) {
    if (strncmp(text, head->data, head->size) != 0 || strlen(text) < head->size + RAD_SHA256_HEX)
        return false;
    const char *at = text + head->size;
    char sha[RAD_SHA256_HEX];
    uint8_t bytes[RAD_SHA256_BYTES];
    memcpy(sha, at, sizeof sha - 1);
    sha[sizeof sha - 1] = 0;
    at += sizeof sha - 1;
    if (!rad_sha256_bytes(sha, bytes) || *at++ != '\n')
        return false;
    for (int64_t i = 0; i < p->manifest->n_case; i++) {
        char *end;
        p->cost[i] = strtod(at, &end);
        if (end == at || *end != ' ')
            return false;
        at = end + 1;
        p->stamp[i] = strtoull(at, &end, 16);
        if (end == at || *end != '\n')
            return false;
        at = end + 1;
    }
    if (*at)
        return false;
    memcpy(p->files_sha256, sha, sizeof sha);
    return true;
}

static rad_status write_shared(const rad_plan *p, const rad_buf *head, const char *path, rad_error *err) {
    rad_buf b;
    rad_status st = RAD_OK;
    rad_buf_init(&b, MAX_SHARED);
    RAD_TRY(rad_buf_put(&b, head->data, head->size, err));
    RAD_TRY(rad_buf_printf(&b, err, "%s\n", p->files_sha256));
    for (int64_t i = 0; i < p->manifest->n_case; i++)
        RAD_TRY(rad_buf_printf(&b, err, "%.17g %" PRIx64 "\n", p->cost[i], p->stamp[i]));
    st = rad_file_write_atomic_mode(path, 0600, b.data, b.size, err);
out:
    rad_buf_release(&b);
    return st;
}

rad_status rad_plan_files_shared(rad_plan *p, const char *path, rad_error *err) {
    rad_status st = RAD_OK;
    char *text = NULL;
    size_t size;
    rad_buf head;
    rad_buf_init(&head, 4096);
    RAD_TRY(shared_head(p, &head, err));
    p->cost = rad_calloc((size_t)p->manifest->n_case + 1, sizeof *p->cost);
    p->stamp = rad_calloc((size_t)p->manifest->n_case + 1, sizeof *p->stamp);
    if (!p->cost || !p->stamp) {
        st = rad_error_set(err, RAD_E_NOMEM, "out of memory for %" PRId64 " cases", p->manifest->n_case);
        goto out;
    }
    if (rad_file_read(path, MAX_SHARED, &text, &size, NULL) == RAD_OK && take_shared(p, &head, text))
        goto out;
    free(p->cost);
    free(p->stamp);
    p->cost = NULL;
    p->stamp = NULL;
    RAD_TRY(rad_plan_files(p, err));
    st = write_shared(p, &head, path, err);
out:
    free(text);
    rad_buf_release(&head);
    return st;
}

rad_status rad_plan_lost_cams(const rad_plan *p, rad_store *st, int64_t run, int64_t *ret_n, rad_error *err) {
    if (!p->job->has_cam || p->job->cam_write == RAD_CAM_NONE)
        return RAD_OK;
    if (mkdir(p->cam_dir, 0700) != 0 && errno != EEXIST)
        return rad_error_set(err, RAD_E_STORE, "cannot make the folder of class activation maps '%s': %s", p->cam_dir, strerror(errno));
    rad_status s = rad_store_reopen_cams(st, run, ret_n, err);
    if (s == RAD_OK && *ret_n > 0)
        rad_log(RAD_LOG_WARN, "class activation maps of %lld case%s are lost: they are made again", (long long)*ret_n,
                *ret_n == 1 ? "" : "s");
    return s;
}

void rad_plan_tell_moved(int64_t n) {
    if (n > 0)
        rad_log(RAD_LOG_WARN,
                "the files of %" PRId64 " case%s changed while the run went on, and could not be read: left for the next time; the same "
                "command goes on when they are at rest",
                n, n == 1 ? "" : "s");
}

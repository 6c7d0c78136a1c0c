/* cmd_replay.c: `radcohort replay`: a run once more, from what the result file remembers of it, and every number compared to the bit. */
#include "cli.h"

#include "radcohort/compare.h"
#include "radcohort/farm.h"
#include "radcohort/replay.h"

#include <dirent.h>
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_THREADS = 65536 };

typedef struct replay {
    rad_store *db, *again;
    rad_run_record record;
    rad_farm_opts opts;
    char *folder, *file, *command; /* of the new result file */
    int64_t run;                   /* in it */
    char hash[RAD_SHA256_HEX];
    rad_error *err; /* of the callback that refuses a model */
    rad_status refused;
    int64_t n_file;
    /* what the comparison found */
    rad_compare_count n[RAD_COMPARE_KINDS];
    int64_t n_lost, n_altered;
    char first_lost[RAD_COMPARE_PLACE], first_altered[RAD_COMPARE_PLACE + 360];
} replay;

/* ---------------------------------------------------------------- the folder of the new result file */

static rad_status make_folder(replay *p, const char *keep, rad_error *err) {
    const char *tmp = getenv("TMPDIR");
    struct stat sb;
    if (keep) {
        if (stat(keep, &sb) == 0)
            return rad_error_set(err, RAD_E_USAGE, "--keep '%s' is there already: a replay begins with a new file; name another one", keep);
        p->file = rad_strdup(keep);
        return p->file ? RAD_OK : rad_error_set(err, RAD_E_NOMEM, "out of memory at start");
    }
    p->folder = rad_asprintf("%s/radcohort-replay-XXXXXX", tmp && tmp[0] ? tmp : "/tmp");
    if (!p->folder)
        return rad_error_set(err, RAD_E_NOMEM, "out of memory at start");
    if (!mkdtemp(p->folder)) {
        free(p->folder);
        p->folder = NULL;
        return rad_error_set(err, RAD_E_IO, "no folder for the new result file in '%s'; set TMPDIR, or name one with --keep FILE",
                             tmp && tmp[0] ? tmp : "/tmp");
    }
    p->file = rad_asprintf("%s/replay.sqlite", p->folder);
    return p->file ? RAD_OK : rad_error_set(err, RAD_E_NOMEM, "out of memory at start");
}

/* Two levels: the folders of maps and of what is remembered of files lie beside the result file. */
static void remove_folder(const char *folder, int depth) {
    DIR *d = opendir(folder);
    for (struct dirent *e; d && (e = readdir(d));) {
        char *path = strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 ? rad_path_join(folder, e->d_name) : NULL;
        if (path && unlink(path) != 0 && depth > 0)
            remove_folder(path, depth - 1);
        free(path);
    }
    if (d)
        (void)closedir(d);
    (void)rmdir(folder);
}

/* ---------------------------------------------------------------- before it runs */

static int check_file(const rad_farm_file *f, void *payload) {
    replay *p = payload;
    char was[RAD_SHA256_HEX];
    p->refused = rad_store_find_file(p->db, p->record.run, f->position, was, p->err);
    if (p->refused == RAD_OK && strcmp(was, f->sha256) != 0)
        p->refused = rad_error_set(p->err, RAD_E_MODEL,
                                   "model '%s': '%s' has SHA-256 %s, but had %s in run %" PRId64 "; put the file of the run there",
                                   f->model, f->path, f->sha256, was, p->record.run);
    p->n_file++;
    return p->refused != RAD_OK;
}

static rad_status check_parts(replay *p, rad_error *err) {
    rad_farm_parts parts = {0};
    const rad_run_record *r = &p->record;
    if (strcmp(r->state, "finished") != 0)
        return rad_error_set(err, RAD_E_USAGE, "run %" PRId64 " is %s: only a finished run can be replayed; start its job again first",
                             r->run, r->state);
    p->err = err;
    rad_status st = rad_farm_look(&p->opts, &parts, check_file, p, err);
    if (st != RAD_OK || p->refused != RAD_OK)
        return st != RAD_OK ? st : p->refused;
    if (p->n_file != r->n_file)
        return rad_error_set(err, RAD_E_MODEL, "the job has %" PRId64 " model files now and had %" PRId64 " in run %" PRId64, p->n_file,
                             r->n_file, r->run);
    if (strcmp(parts.cohort_sha256, r->cohort_sha256) != 0)
        return rad_error_set(err, RAD_E_CONFIG,
                             "the cohort tables in '%s' are not those of run %" PRId64
                             " (SHA-256 %s, was %s); name the folder as it was with --cohort DIR",
                             p->opts.cohort  ? p->opts.cohort
                             : r->cohort_dir ? r->cohort_dir
                                             : "?",
                             r->run, parts.cohort_sha256, r->cohort_sha256);
    if (strcmp(parts.backend_version, r->backend_version) != 0)
        return rad_error_set(err, RAD_E_USAGE,
                             "the engine here is '%s', that of run %" PRId64 " was '%s': only the same engine promises the same bytes; "
                             "'radcohort run' and 'radcohort diff' show how far apart they are",
                             parts.backend_version, r->run, r->backend_version);
    return RAD_OK;
}

/* ---------------------------------------------------------------- after it */

/* What the number or the text of a row is, to the last bit. */
static void show(const rad_compare_side *s, bool there, char *to, size_t cap) {
    if (!there)
        snprintf(to, cap, "nothing");
    else if (isfinite(s->value))
        snprintf(to, cap, "%.17g%s%s", s->value, s->detail ? " " : "", s->detail ? s->detail : "");
    else
        snprintf(to, cap, "%s", s->detail ? s->detail : "no number");
}

static int judge(const rad_compare_row *r, void *payload) {
    replay *p = payload;
    char place[RAD_COMPARE_PLACE], was[120], is[120];
    rad_compare_place(r, place);
    show(&r->before, r->has_before, was, sizeof was);
    show(&r->after, r->has_after, is, sizeof is);
    if (r->has_before && p->n_altered++ == 0)
        snprintf(p->first_altered, sizeof p->first_altered, "%s: stored %s, again %s%s", place, was, is,
                 strcmp(was, is) == 0 ? "; a number beside it (interval, p, region or count) differs" : "");
    if (!r->has_before && p->n_lost++ == 0)
        snprintf(p->first_lost, sizeof p->first_lost, "%s", place);
    return 0;
}

static rad_status compare(replay *p, rad_error *err) {
    char *image = NULL;
    rad_status st = rad_store_open(p->file, RAD_STORE_READ, &p->again, err);
    if (st == RAD_OK)
        st = rad_store_result_hash(p->again, p->run, p->hash, err);
    if (st == RAD_OK)
        st = rad_store_other_image(p->db, p->record.run, p->again, p->run, &image, err);
    if (st == RAD_OK && image)
        st = rad_error_set(err, RAD_E_CONFIG, "%s; put the file of run %" PRId64 " there", image, p->record.run);
    free(image);
    if (st == RAD_OK)
        st = rad_store_compare(p->db, p->record.run, p->again, p->run, (1u << RAD_COMPARE_KINDS) - 1, true, judge, p, p->n, err);
    return st;
}

/* ---------------------------------------------------------------- the command */

static int64_t compared(const replay *p) {
    int64_t n = 0;
    for (int k = 0; k < RAD_COMPARE_KINDS; k++)
        n += p->n[k].n_both;
    return n;
}

static bool same_hash(const replay *p) {
    return p->record.result_sha256[0] == '\0' || strcmp(p->record.result_sha256, p->hash) == 0;
}

static const char *verdict(const replay *p) {
    if (!same_hash(p))
        return "different";
    return p->n_altered > 0 ? "altered" : p->n_lost > 0 ? "lost" : "same";
}

static void print_text(const replay *p) {
    rad_cli_say(2,
                "run %" PRId64 " of job %s: %" PRId64 " slice scores, %" PRId64 " scores, %" PRId64 " exclusions, %" PRId64
                " statistics compared",
                p->record.run, p->record.job, p->n[RAD_COMPARE_SLICE].n_both, p->n[RAD_COMPARE_SCORE].n_both,
                p->n[RAD_COMPARE_EXCLUSION].n_both, p->n[RAD_COMPARE_STATISTIC].n_both);
    printf("result hash of the run  %s\nresult hash now         %s\n",
           p->record.result_sha256[0] ? p->record.result_sha256 : "not recorded", p->hash);
    if (p->n_lost > 0)
        rad_cli_say(2, "%" PRId64 " row%s of the run %s missing in its file, first: %s", p->n_lost, p->n_lost == 1 ? "" : "s",
                    p->n_lost == 1 ? "is" : "are", p->first_lost);
    if (p->n_altered > 0)
        rad_cli_say(2, "first difference: %s", p->first_altered);
    if (!same_hash(p))
        printf("NOT the same: this run does not come out again\n");
    else if (p->n_altered > 0)
        printf("NOT the same: %" PRId64 " row%s of the file %s not what the run has come to\n", p->n_altered, p->n_altered == 1 ? "" : "s",
               p->n_altered == 1 ? "is" : "are");
    else if (p->n_lost > 0)
        printf("same bytes: what is missing was computed again, and the whole has the hash of the run\n");
    else
        printf("same bytes\n");
}

static rad_status print_json(const replay *p, const char *keep, rad_error *err) {
    json_t *j =
        json_pack("{s:I, s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:s*, s:s*, s:s*}", "run", (json_int_t)p->record.run, "job", p->record.job,
                  "verdict", verdict(p), "result_sha256", p->record.result_sha256, "result_sha256_now", p->hash, "compared",
                  (json_int_t)compared(p), "altered", (json_int_t)p->n_altered, "lost", (json_int_t)p->n_lost, "first_difference",
                  p->n_altered ? p->first_altered : NULL, "first_lost", p->n_lost ? p->first_lost : NULL, "kept", keep);
    const bool ok = j && json_dumpf(j, stdout, JSON_INDENT(2)) == 0;
    printf("\n");
    json_decref(j);
    return ok ? RAD_OK : rad_error_set(err, RAD_E_IO, "cannot write the outcome as JSON");
}

static rad_status run_again(replay *p, rad_error *err) {
    rad_farm_outcome o = {0};
    rad_status st = rad_farm_run(&p->opts, &o, err);
    p->run = o.run;
    if (st == RAD_OK && o.exit_code == RAD_EXIT_STOPPED)
        st = rad_error_set(err, RAD_E_STOPPED, "stopped before it was done; nothing was compared");
    return st;
}

static int run(int argc, char **argv) {
    const rad_command *self = &rad_command_replay;
    const char *word[2] = {NULL, NULL}, *cohort = NULL, *keep = NULL, *job = NULL, *threads = NULL;
    bool as_json = false, quiet = false;
    const rad_target target[] = {
        {"--cohort", &cohort, NULL}, {"--job", &job, NULL},      {"--keep", &keep, NULL}, {"--threads", &threads, NULL},
        {"--quiet", NULL, &quiet},   {"--json", NULL, &as_json}, {NULL, NULL, NULL}};
    int n = 0;
    int64_t id = 0, n_thread = 0;
    rad_error err = {0};
    replay p = {0};
    rad_status st = rad_cli_parse(self, argc, argv, target, word, 2, &n);
    if (st != RAD_OK)
        return st == RAD_E_STOPPED ? RAD_EXIT_OK : RAD_EXIT_USAGE;
    if (n < 1)
        RAD_TRY(rad_error_set(&err, RAD_E_USAGE, "one result file is needed: radcohort replay %s", self->usage[0]));
    if (word[1] && (!rad_parse_int(word[1], &id) || id < 1))
        RAD_TRY(
            rad_error_set(&err, RAD_E_USAGE, "run '%s': a number from 1 was expected; 'radcohort status DB' names the newest", word[1]));
    if (threads && (!rad_parse_int(threads, &n_thread) || n_thread < 1 || n_thread > MAX_THREADS))
        RAD_TRY(rad_error_set(&err, RAD_E_USAGE, "--threads '%s': a whole number from 1 to %d was expected", threads, MAX_THREADS));
    RAD_TRY(rad_store_open(word[0], RAD_STORE_READ, &p.db, &err));
    if (!word[1])
        RAD_TRY(rad_store_last_run(p.db, &id, &err));
    RAD_TRY(rad_store_read_record(p.db, id, &p.record, &err));
    RAD_TRY(make_folder(&p, keep, &err));
    p.command = rad_asprintf("radcohort replay %s %" PRId64, word[0], id);
    p.opts = (rad_farm_opts){.job_path = job                 ? job
                                         : p.record.job_path ? p.record.job_path
                                                             : "job.yaml",
                             .job_text = p.record.job_text,
                             .cohort = cohort,
                             .database = p.file,
                             .backend = p.record.backend,
                             .precision = p.record.precision,
                             .threads = (int)n_thread,
                             .allow_outside = p.record.allow_outside,
                             .quiet = quiet || as_json,
                             .command_line = p.command ? p.command : ""};
    RAD_TRY(check_parts(&p, &err));
    RAD_TRY(run_again(&p, &err));
    RAD_TRY(compare(&p, &err));
    if (as_json)
        RAD_TRY(print_json(&p, keep, &err));
    else
        print_text(&p);
out:
    rad_store_close(&p.db);
    rad_store_close(&p.again);
    if (p.folder)
        remove_folder(p.folder, 2);
    const bool same = same_hash(&p) && p.n_altered == 0;
    rad_run_record_release(&p.record);
    free(p.folder);
    free(p.file);
    free(p.command);
    return st != RAD_OK ? rad_cli_fail(self, st, &err) : same ? RAD_EXIT_OK : RAD_EXIT_FAILED;
}

static const rad_option options[] = {
    {"--cohort", "DIR", RAD_FILL_DIR, "the cohort lies here now"},
    {"--job", "FILE", RAD_FILL_JOB, "relative paths of the job start at this file's folder now (the file itself is not read)"},
    {"--keep", "FILE", RAD_FILL_FILE, "keep the new result file (default: in TMPDIR, removed)"},
    {"--threads", "N", NULL, "threads (default: all cores); the bytes do not depend on it"},
    {"--quiet", NULL, NULL, "no progress"},
    RAD_OPTION_JSON,
    RAD_OPTION_END,
};

const rad_command rad_command_replay = {
    .name = "replay",
    .group = RAD_GROUP_TRUST,
    .usage = {"DB [RUN] [options]"},
    .summary = "a finished run again, compared byte for byte",
    .about = "Computes run RUN (default: the newest) again from the job text in the result file, into a new file, without using anything "
             "that is stored, and compares every slice score, map, case score, exclusion and statistic to the bit. DB is only read. When "
             "a model file, a cohort table, an image or the engine is not that of the run, it is named and nothing is claimed.\n\n"
             "Scores that were deleted from DB are computed again, too: the hash that the run was given when it finished stands for them.",
    .fill = {RAD_FILL_DB},
    .option = options,
    .exits = "0 the same bytes, 1 not the same (the first difference is named) or failed, 2 something that it needs is not there or not "
             "the same any more, 4 stopped",
    .example = {{"radcohort replay results/demo.sqlite", "the newest run again"},
                {"radcohort replay results/demo.sqlite 2 --cohort /archive/2026/cohort --keep /scratch/again.sqlite",
                 "run 2, with a cohort that has moved; the new file is kept"}},
    .run = run,
};

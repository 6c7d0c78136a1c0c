/* cmd_freeze.c: `radcohort freeze`: a study as one read-only file that proves itself, and its RO-Crate description beside it. */
#include "cli.h"

#include "radcohort/freeze.h"
#include "radcohort/report.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CRATE "ro-crate-metadata.json"

enum { DEFAULT_K = 5, MAX_K = 1000 };

/* ---------------------------------------------------------------- RO-Crate 1.1 (https://w3id.org/ro/crate/1.1) */

typedef struct crate_parts {
    json_t *graph, *actions, *models;
    const char *file;
    int64_t only; /* > 0: one run, of a public file */
} crate_parts;

/* What the words of the command come to. */
typedef struct wish {
    const char *from, *to, *file, *crate, *title, *license;
    bool is_public, as_json;
    int k;
    int64_t run; /* 0: the newest finished one */
} wish;

static json_t *reference(const char *id) {
    return json_pack("{s:s}", "@id", id);
}

static int put_run(const rad_freeze_run *r, void *payload) {
    crate_parts *c = payload;
    char id[64], job[64];
    if (c->only > 0 && r->run != c->only)
        return 0;
    snprintf(id, sizeof id, "#run-%" PRId64, r->run);
    snprintf(job, sizeof job, "run %" PRId64 " of job ", r->run);
    json_t *action =
        json_pack("{s:s, s:s, s:s+, s:s, s:s, s:{s:s}, s:[], s:{s:s}, s:s+++, s:s}", "@id", id, "@type", "CreateAction", "name", job,
                  r->job, "startTime", r->started, "endTime", r->finished, "instrument", "@id", "#radcohort", "object", "result", "@id",
                  c->file, "description", r->backend_version, ", ", r->precision, "", "identifier", r->identity);
    if (action && r->result_sha256[0])
        json_object_set_new(action, "sha256", json_string(r->result_sha256));
    return json_array_append_new(c->actions, action);
}

/* A network is known by its hash; its file is not part of the crate. */
static int put_model(const rad_freeze_model *m, void *payload) {
    crate_parts *c = payload;
    char id[RAD_SHA256_HEX + 8], run[64];
    size_t i;
    json_t *action;
    if (c->only > 0 && m->run != c->only)
        return 0;
    snprintf(id, sizeof id, "#model-%s", m->sha256);
    snprintf(run, sizeof run, "#run-%" PRId64, m->run);
    if (!json_object_get(c->models, id))
        json_object_set_new(c->models, id,
                            json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "@id", id, "@type", "CreativeWork", "name", m->model,
                                      "alternateName", m->file, "encodingFormat", "application/onnx", "sha256", m->sha256));
    json_array_foreach(c->actions, i, action) if (strcmp(json_string_value(json_object_get(action, "@id")), run) ==
                                                  0) return json_array_append_new(json_object_get(action, "object"), reference(id));
    return 0;
}

static json_t *make_crate(rad_store *db, const wish *w, const rad_freeze_report *r, rad_error *err) {
    crate_parts c = {
        .graph = json_array(), .actions = json_array(), .models = json_object(), .file = w->file, .only = w->is_public ? w->run : 0};
    const char *file = w->file, *title = w->title, *license = w->license;
    char now[RAD_TIME_TEXT], size[32];
    const char *key;
    json_t *value, *mentions = json_array();
    size_t i;
    rad_clock_utc(now);
    snprintf(size, sizeof size, "%" PRId64, r->bytes);
    rad_status st = rad_freeze_each_run(db, put_run, put_model, &c, err);
    json_array_foreach(c.actions, i, value) json_array_append_new(mentions, reference(json_string_value(json_object_get(value, "@id"))));
    json_t *root = json_pack(
        "{s:s, s:s, s:s, s:s, s:s, s:[{s:s}], s:o}", "@id", "./", "@type", "Dataset", "name", title, "description",
        w->is_public ? "Published numbers of trained networks on a multicenter archive of medical images, without rows of patients and "
                       "with small counts suppressed, in one SQLite file; its table data_dictionary explains every table and column, its "
                       "table disclosure what was suppressed."
                     : "Scores of trained networks on a multicenter archive of medical images, their statistics and their provenance, in "
                       "one SQLite file; its table data_dictionary explains every table and column.",
        "datePublished", now, "hasPart", "@id", file, "mentions", mentions);
    if (root && license) {
        json_object_set_new(root, "license", reference(license));
        json_array_append_new(c.graph, json_pack("{s:s, s:s, s:s}", "@id", license, "@type", "CreativeWork", "name", license));
    }
    json_array_append_new(c.graph, json_pack("{s:s, s:s, s:{s:s}, s:{s:s}}", "@id", CRATE, "@type", "CreativeWork", "conformsTo", "@id",
                                             "https://w3id.org/ro/crate/1.1", "about", "@id", "./"));
    json_array_append_new(c.graph, root);
    json_array_append_new(c.graph,
                          json_pack("{s:s, s:s, s:s, s:s, s:[s, {s:s}], s:s, s:s}", "@id", file, "@type", "File", "name", title,
                                    "contentSize", size, "encodingFormat", "application/vnd.sqlite3", "@id",
                                    "https://www.nationalarchives.gov.uk/PRONOM/fmt/729", "sha256", r->file, "identifier", r->content));
    json_array_append_new(c.graph, json_pack("{s:s, s:s, s:s}", "@id", "https://www.nationalarchives.gov.uk/PRONOM/fmt/729", "@type",
                                             "WebSite", "name", "SQLite Database File Format 3"));
    json_array_append_new(c.graph, json_pack("{s:s, s:s, s:s, s:s, s:s}", "@id", "#radcohort", "@type", "SoftwareApplication", "name",
                                             "radcohort", "version", rad_version(), "softwareVersion", rad_version()));
    json_array_extend(c.graph, c.actions);
    json_object_foreach(c.models, key, value) json_array_append(c.graph, value);
    json_decref(c.actions);
    json_decref(c.models);
    if (st != RAD_OK) {
        json_decref(c.graph);
        return NULL;
    }
    json_t *all = json_pack("{s:s, s:o}", "@context", "https://w3id.org/ro/crate/1.1/context", "@graph", c.graph);
    if (!all)
        (void)rad_error_set(err, RAD_E_NOMEM, "out of memory to describe the file");
    return all;
}

/* One folder is one crate: a description of something else is not written over. */
static rad_status check_crate(const char *path, const char *file, rad_error *err) {
    struct stat sb;
    if (stat(path, &sb) != 0)
        return RAD_OK;
    json_error_t why;
    json_t *old = json_load_file(path, 0, &why), *item;
    bool same = false;
    size_t i;
    json_array_foreach(json_object_get(old, "@graph"), i, item) {
        const char *id = json_string_value(json_object_get(item, "@id"));
        same = same || (id && strcmp(id, file) == 0);
    }
    json_decref(old);
    return same ? RAD_OK
                : rad_error_set(err, RAD_E_USAGE, "'%s' describes something else: freeze into a folder of its own, or take it away", path);
}

static rad_status write_crate(const char *path, json_t *crate, rad_error *err) {
    char *text = json_dumps(crate, JSON_INDENT(2));
    rad_status st = text ? rad_file_write_atomic_mode(path, 0644, text, strlen(text), err)
                         : rad_error_set(err, RAD_E_NOMEM, "out of memory to describe the file");
    free(text);
    return st;
}

/* ---------------------------------------------------------------- checking */

/* The hash of the file that its description names; "" when there is none. */
static void read_crate(const char *path, const char *file, char ret[RAD_SHA256_HEX]) {
    json_error_t why;
    json_t *all = json_load_file(path, 0, &why), *item;
    size_t i;
    ret[0] = '\0';
    json_array_foreach(json_object_get(all, "@graph"), i, item) {
        const char *id = json_string_value(json_object_get(item, "@id")), *hash = json_string_value(json_object_get(item, "sha256"));
        if (id && hash && strcmp(id, file) == 0)
            snprintf(ret, RAD_SHA256_HEX, "%s", hash);
    }
    json_decref(all);
}

static rad_status check(const char *path, const char *crate_path, const char *file, bool as_json, bool *ret_same, rad_error *err) {
    rad_freeze_report r = {0};
    char was[RAD_SHA256_HEX], told[RAD_SHA256_HEX];
    bool content = false;
    rad_status st = rad_freeze_check(path, &r, &content, was, err);
    if (st != RAD_OK)
        return st;
    read_crate(crate_path, file, told);
    const bool bytes = !told[0] || strcmp(told, r.file) == 0;
    *ret_same = content && bytes;
    if (as_json) {
        json_t *j = json_pack("{s:s, s:b, s:s, s:s, s:s, s:s, s:I}", "file", path, "same", *ret_same, "content_sha256", was,
                              "content_sha256_now", r.content, "sha256", told, "sha256_now", r.file, "rows", (json_int_t)r.n_row);
        const bool ok = j && json_dumpf(j, stdout, JSON_INDENT(2)) == 0;
        printf("\n");
        json_decref(j);
        return ok ? RAD_OK : rad_error_set(err, RAD_E_IO, "cannot write the outcome as JSON");
    }
    printf("content   %s %s\n", r.content, content ? "as frozen" : "NOT what was frozen");
    if (!content)
        printf("frozen    %s\n", was);
    printf("file      %s %s\n", r.file, !told[0] ? "(no " CRATE " beside it names one)" : bytes ? "as in " CRATE : "NOT the one in " CRATE);
    printf(*ret_same ? "%s is what was frozen: %" PRId64 " rows of %" PRId64 " tables\n"
                     : "%s is NOT what was frozen (%" PRId64 " rows of %" PRId64 " tables): restore it from a copy\n",
           path, r.n_row, r.n_table);
    return RAD_OK;
}

/* ---------------------------------------------------------------- the command */

static rad_status freeze(wish *w, rad_error *err) {
    rad_store *db = NULL;
    rad_freeze_report r = {0};
    rad_report_summary told = {0};
    json_t *crate = NULL;
    char *half = NULL;
    rad_status st = RAD_OK;
    RAD_TRY(rad_store_open(w->from, RAD_STORE_READ, &db, err));
    RAD_TRY(check_crate(w->crate, w->file, err));
    RAD_TRY(rad_freeze_start(db, w->to, !w->is_public, &half, &r, err));
    const rad_report_opts o = {.run = w->run, .is_public = w->is_public, .k = w->k};
    RAD_TRY(rad_report_export(w->from, &o, half, &told, err));
    w->run = told.run;
    RAD_TRY(rad_freeze_seal(half, w->to, &r, err));
    crate = make_crate(db, w, &r, err);
    if (!crate)
        RAD_TRY(err->code != RAD_OK ? err->code : RAD_E_NOMEM);
    RAD_TRY(write_crate(w->crate, crate, err));
    if (w->as_json) {
        json_t *j = json_pack("{s:s, s:s, s:I, s:I, s:I, s:s, s:s, s:b, s:I}", "file", w->to, "metadata", w->crate, "runs",
                              (json_int_t)r.n_run, "rows", (json_int_t)r.n_row, "bytes", (json_int_t)r.bytes, "content_sha256", r.content,
                              "sha256", r.file, "public", (int)w->is_public, "suppressed_counts", (json_int_t)told.n_hidden);
        if (!j || json_dumpf(j, stdout, JSON_INDENT(2)) != 0)
            st = rad_error_set(err, RAD_E_IO, "cannot write the outcome as JSON");
        printf("\n");
        json_decref(j);
    } else {
        printf("content   %s\nfile      %s\ndescribed %s\n", r.content, r.file, w->crate);
        if (w->is_public)
            printf("public    run %" PRId64 ", no rows of patients, %" PRId64 " counts suppressed (k = %d)\n", told.run, told.n_hidden,
                   w->k);
        printf("%s: %" PRId64 " run%s, %" PRId64 " rows of %" PRId64 " tables, %.1f MB, read-only\n", w->to, r.n_run,
               r.n_run == 1 ? "" : "s", r.n_row, r.n_table, (double)r.bytes / 1e6);
    }
out:
    if (half)
        (void)unlink(half);
    free(half);
    json_decref(crate);
    rad_store_close(&db);
    return st;
}

static int run(int argc, char **argv) {
    const rad_command *self = &rad_command_freeze;
    const char *from = NULL, *to = NULL, *title = NULL, *license = NULL, *k_text = NULL, *run_text = NULL;
    bool only_check = false, as_json = false, same = true, is_public = false;
    int64_t k = DEFAULT_K, id = 0;
    const rad_target target[] = {{"--public", NULL, &is_public},
                                 {"--k", &k_text, NULL},
                                 {"--run", &run_text, NULL},
                                 {"-o", &to, NULL},
                                 {"--check", NULL, &only_check},
                                 {"--title", &title, NULL},
                                 {"--license", &license, NULL},
                                 {"--json", NULL, &as_json},
                                 {NULL, NULL, NULL}};
    int n = 0;
    char *dir = NULL, *crate_path = NULL;
    rad_error err = {0};
    rad_status st = rad_cli_parse(self, argc, argv, target, &from, 1, &n);
    if (st != RAD_OK)
        return st == RAD_E_STOPPED ? RAD_EXIT_OK : RAD_EXIT_USAGE;
    if (n < 1 || (!to && !only_check) || (to && only_check))
        RAD_TRY(rad_error_set(&err, RAD_E_USAGE, "a result file and -o FILE are needed, or --check and a frozen file: radcohort freeze %s",
                              self->usage[0]));
    if (run_text && (only_check || !rad_parse_int(run_text, &id) || id < 1))
        RAD_TRY(rad_error_set(&err, RAD_E_USAGE, "--run '%s': the number of a run was expected, from 1, and no --check", run_text));
    if (k_text && (!is_public || !rad_parse_int(k_text, &k) || k < 2 || k > MAX_K))
        RAD_TRY(rad_error_set(&err, RAD_E_USAGE,
                              is_public ? "--k '%s': a number from 2 to %d was expected" : "--k '%s' belongs to --public", k_text, MAX_K));
    const char *place = only_check ? from : to, *slash = strrchr(place, '/'), *file = slash ? slash + 1 : place;
    if (!file[0])
        RAD_TRY(rad_error_set(&err, RAD_E_USAGE, "-o '%s': the name of a file was expected, not of a folder", place));
    dir = rad_path_dir(place);
    crate_path = dir ? rad_path_join(dir, CRATE) : NULL;
    if (!crate_path)
        RAD_TRY(rad_error_set(&err, RAD_E_NOMEM, "out of memory at start"));
    wish w = {.from = from,
              .to = to,
              .file = file,
              .crate = crate_path,
              .title = title ? title : file,
              .license = license,
              .is_public = is_public,
              .as_json = as_json,
              .k = (int)k,
              .run = id};
    st = only_check ? check(from, crate_path, file, as_json, &same, &err) : freeze(&w, &err);
out:
    free(dir);
    free(crate_path);
    return st != RAD_OK ? rad_cli_fail(self, st, &err) : same ? RAD_EXIT_OK : RAD_EXIT_FAILED;
}

static const rad_option options[] = {
    {"-o", "FILE", RAD_FILL_FILE, "the frozen file; must not exist"},
    {"--public", NULL, NULL,
     "for everybody: the tables of a public report instead of the rows of patients; counts from 1 to K - 1 are suppressed, with every "
     "count "
     "and number that would give them away"},
    {"--k", "K", NULL, "the smallest count that may be shown with --public (default 5)"},
    {"--run", "N", NULL, "the run that is published, or that the checklists speak of (default: the newest that is finished)"},
    {"--check", NULL, NULL, "FILE is what was frozen: exit status 0, else 1"},
    {"--title", "TEXT", NULL, "name of the study in the description (default: the file's name)"},
    {"--license", "URL", NULL, "its licence in the description"},
    RAD_OPTION_JSON,
    RAD_OPTION_END,
};

const rad_command rad_command_freeze = {
    .name = "freeze",
    .group = RAD_GROUP_TRUST,
    .usage = {"DB -o FILE [options]", "--check FILE [--json]"},
    .summary = "a study as one read-only file that proves itself, described beside it",
    .about = "Writes a copy of the result file that any SQLite opens, mode 0444: scores, statistics, provenance, seals and the data "
             "dictionary, three reporting checklists filled in from the record, with the SHA-256 of all tables inside, and " CRATE
             " (RO-Crate 1.1) beside it. The same file frozen twice has the same bytes. It holds the rows of patients, under their "
             "pseudonyms: it is no public file.\n\n"
             "With --public it is one: the tables of the public report of one run, which hold counts and statistics, and nothing of a "
             "single patient (the table disclosure says what was done, and what is absent).",
    .fill = {RAD_FILL_DB},
    .option = options,
    .exits = "0 done, 1 failed or not what was frozen, 2 invalid input",
    .example = {{"radcohort freeze results/demo.sqlite -o release/demo.sqlite --title 'Demo study'", "for the archive of the study"},
                {"radcohort freeze results/demo.sqlite -o public/demo.sqlite --public --k 10", "for a supplement that everybody may read"},
                {"radcohort freeze --check release/demo.sqlite", "is it still what was frozen?"}},
    .run = run,
};

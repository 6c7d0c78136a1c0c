/* freeze: a study as one file that is not to change any more: `radcohort freeze`.
 *
 * The frozen file is a copy of the result file (VACUUM INTO: no free pages, no journal, any SQLite opens it), or the tables of a public
 * report, with a table `freeze` that
 * holds the SHA-256 of all other tables, so that it proves itself whatever it is called and wherever it lies. The same result file frozen
 * twice by one program gives the same bytes. */
#ifndef RADCOHORT_FREEZE_H
#define RADCOHORT_FREEZE_H

#include "radcohort/base.h"
#include "radcohort/store.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rad_freeze_report {
    int64_t n_run, n_table, n_row, bytes;
    char content[RAD_SHA256_HEX]; /* of all tables but `freeze` */
    char file[RAD_SHA256_HEX];    /* of the file's bytes */
} rad_freeze_report;

/* A frozen file is made in three steps: a half of it beside `to`, what the caller adds to that, the seal. */
/* `copy`: the half is a copy of the result file `st`, which is read; else the caller makes it, of one run, with a table data_dictionary.
 * *ret_half is its path: the caller unlinks and frees it after the seal, whether or not that went well.
 * Errors: USAGE (`to` exists; no run is finished; a run is being written), STORE, IO, NOMEM. */
rad_status rad_freeze_start(rad_store *st, const char *to, bool copy, char **ret_half, rad_freeze_report *ret,
                            rad_error *err) RAD_MUST_CHECK;
/* Adds the table `freeze` to the half and makes it `to` (whole or not at all, mode 0444). io->n_run goes in, all of it comes out.
 * Errors: STORE, IO, NOMEM. */
rad_status rad_freeze_seal(const char *half, const char *to, rad_freeze_report *io, rad_error *err) RAD_MUST_CHECK;

/* True in *ret_same when the file is what was frozen. Errors: USAGE (no frozen file), STORE, NOTFOUND, IO, NOMEM. */
rad_status rad_freeze_check(const char *path, rad_freeze_report *ret, bool *ret_same, char ret_was[RAD_SHA256_HEX],
                            rad_error *err) RAD_MUST_CHECK;

typedef struct rad_freeze_run { /* what is told beside the file; strings live for the call */
    int64_t run;
    const char *job, *started, *finished, *backend_version, *precision, *version, *host, *identity, *result_sha256;
} rad_freeze_run;
typedef struct rad_freeze_model {
    int64_t run;
    const char *model, *file, *sha256;
} rad_freeze_model;
/* Finished runs, then the model files of each. Errors: STORE. */
rad_status rad_freeze_each_run(rad_store *st, int (*run)(const rad_freeze_run *r, void *payload),
                               int (*model)(const rad_freeze_model *m, void *payload), void *payload, rad_error *err) RAD_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif

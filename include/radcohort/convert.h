/* convert: a DICOM tree becomes a cohort folder: series found by their headers, converted by dcm2niix (a child process per series), named
 * by rules, under pseudonyms. What it writes, and the rules, are described in jobs/README.md.
 *
 * What never reaches the cohort folder: names, birth dates, UIDs, accession numbers, dates, source paths, free text that no rule names.
 */
#ifndef RADCOHORT_CONVERT_H
#define RADCOHORT_CONVERT_H

#include "radcohort/base.h"
#include "radcohort/issue.h"

#ifdef __cplusplus
extern "C" {
#endif

#define RAD_MAX_CONVERT_FILES ((int64_t)50 << 20) /* of one tree */
#define RAD_MAX_CONVERT_DEPTH 128                 /* folders below each other */
#define RAD_MAX_CONVERT_JOBS 256                  /* children at a time */
#define RAD_MAX_SIDECAR_BYTES ((size_t)16 << 20)  /* of one JSON sidecar */
#define RAD_PSEUDONYM_CHARS 16                    /* base32: 80 bits of HMAC-SHA256; two of a million patients collide with p < 1e-12 */
#define RAD_CONVERT_REPORT "convert_report.tsv"

typedef struct rad_convert_opts {
    const char *source, *cohort; /* required */
    const char *rules;           /* YAML; NULL: rad_convert_default_rules() */
    const char *key;             /* NULL: COHORT.key beside the cohort folder */
    const char *labels;          /* TSV or CSV with original patient IDs, or NULL */
    const char *center_from;     /* "folder:N" (N-th folder below the source), "institution", "name:CENTER"; NULL: the rules' centers */
    const char *patient_from;    /* "id" or "folder:N"; NULL: id, the PatientID */
    const char *source_list;     /* file for the list of source folders and texts of every series (identifying!), or NULL */
    const char *dcm2niix;        /* program; NULL: dcm2niix of the PATH */
    int jobs;                    /* children at a time; 0: the processors of this machine */
    double time_limit_s;         /* of one child; 0: 600 */
    bool dry_run;                /* nothing is written */
} rad_convert_opts;

typedef enum rad_convert_status {
    RAD_CONVERT_USED,      /* a row of images.tsv */
    RAD_CONVERT_UNUSED,    /* converted, but another series of the study is preferred for its sequence */
    RAD_CONVERT_UNMATCHED, /* no rule fits */
    RAD_CONVERT_IGNORED,   /* a rule says so */
    RAD_CONVERT_NO_IMAGE,  /* reports, segmentations and the like */
    RAD_CONVERT_FAILED,
    RAD_CONVERT_STATUS_COUNT
} rad_convert_status;
const char *rad_convert_status_name(rad_convert_status s);

typedef struct rad_convert_row { /* one image, or one series that became none; a line of the report. Texts are never NULL */
    const char *patient, *study, *series, *variant, *sequence, *rule, *path, *reason;
    rad_convert_status status;
    bool fresh; /* converted now; else kept from before */
} rad_convert_row;

typedef struct rad_convert_outcome {
    int64_t n_file, n_dicom, n_other, n_unreadable, n_link, n_duplicate; /* files of the tree; links to folders are not followed */
    int64_t n_series, n_fresh, n_kept, n_patient, n_study, n_center;
    int64_t n_status[RAD_CONVERT_STATUS_COUNT]; /* rows */
    int64_t n_row;
    rad_convert_row *row;
    char *key_file;
    bool key_made;
    int64_t n_table_kept; /* tables edited by hand: the new one lies beside as NAME.new */
    const char *table_kept[8];
    void *arena;
} rad_convert_outcome;

/* The whole conversion. A series that fails is a row; mistakes of rules, labels and unreadable files become issues (errors of rules and
 * labels stop). Uses threads and child processes; the caller's SIGCHLD handling must be the default. Errors: USAGE, CONFIG, IO, NOMEM,
 * LIMIT. */
rad_status rad_convert(const rad_convert_opts *opts, rad_convert_outcome *ret, rad_issues *issues, rad_error *err) RAD_MUST_CHECK;
void rad_convert_outcome_release(rad_convert_outcome *o);

/* The rules that are used without a file, as YAML. */
const char *rad_convert_default_rules(void);

#ifdef __cplusplus
}
#endif
#endif

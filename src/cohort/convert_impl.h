/* convert_impl.h (private to src/cohort): what the parts of the conversion share. */
#ifndef RAD_COHORT_CONVERT_IMPL_H
#define RAD_COHORT_CONVERT_IMPL_H

#include <jansson.h>

#include "arena.h"
#include "convert_dicom.h"
#include "convert_rules.h"
#include "convert_sidecar.h"
#include "radcohort/convert.h"

typedef struct convert_file { /* one file of the tree */
    char *path;
    int64_t series, next; /* -1: no DICOM image; the next file of its series, or -1 */
    char *why;            /* it cannot be read; owned */
    uint64_t size, mtime;
    dicom_instance i;
} convert_file;

typedef struct convert_output { /* one NIfTI file of a series */
    char *variant;              /* what dcm2niix put behind the name: "" mostly */
    char *path;                 /* relative to the cohort folder */
    int64_t bytes;
    int64_t dim[4];
    json_t *facts; /* the cleaned sidecar; owned */
    rule_facts rule;
    int64_t lost; /* instances that are in none of its slices */
    /* the verdict */
    int match; /* rule, or -1 */
    rad_convert_status status;
    const char *reason;
} convert_output;

typedef struct convert_series {
    dicom_series head;   /* of its first file by path */
    int64_t first, last; /* files: the first in walking order; the end of the list */
    int64_t n_file, n_duplicate;
    int64_t *file; /* [n_file] by instance number and path, duplicates behind */
    int64_t patient, center;
    char *token, *study; /* pseudonym of the series; "day-0" */
    char signature[RAD_SHA256_HEX];
    rule_facts rule; /* what the headers alone say */
    bool skip;       /* decided by the headers: not converted */
    bool fresh;
    rad_convert_status status; /* when it has no output */
    char *reason;              /* as above; also the note of a failure */
    int n_output;
    convert_output *output;
} convert_series;

typedef struct convert_patient {
    char *id, *pseudonym;
    int64_t center;
    const char *first_day; /* earliest study date */
    double age;
    char sex; /* F M O or 0 */
    const char *label;
    int64_t fold;
    bool used;
} convert_patient;

typedef struct convert_center {
    char *id;
    bool external, used;
    const char *name, *country;
} convert_center;

typedef struct convert {
    const rad_convert_opts *opts;
    rad_convert_outcome *out;
    rad_issues *issues;
    arena *arena; /* not thread-safe: used by the first thread, or under a lock */
    rule_set rules;
    uint8_t key[32];
    char *cohort; /* real path */
    char *source;
    char *dcm2niix, *dcm2niix_version, *gzip;
    int64_t n_file, cap_file;
    convert_file *file;
    int64_t n_series, cap_series;
    convert_series *series;
    int64_t n_patient, cap_patient;
    convert_patient *patient;
    int64_t n_center, cap_center;
    convert_center *center;
    struct convert_labels *labels;
} convert;

/* convert_walk.c */
rad_status convert_walk(convert *c, rad_error *err) RAD_MUST_CHECK;
rad_status convert_read_headers(convert *c, rad_error *err) RAD_MUST_CHECK;
/* A path for a message: control characters become '?', bytes that are no UTF-8 too; cut at the front. */
void convert_show_path(const char *path, char out[200]);
/* convert_assign.c: centers, patients, days, pseudonyms */
rad_status convert_assign(convert *c, rad_error *err) RAD_MUST_CHECK;
rad_status convert_open_key(convert *c, rad_error *err) RAD_MUST_CHECK;
/* Base32 of the HMAC of kind and text; RAD_PSEUDONYM_CHARS characters in the arena. */
rad_status convert_pseudonym(convert *c, const char *kind, const char *text, char **ret, rad_error *err) RAD_MUST_CHECK;
/* convert_run.c: dcm2niix, N at a time. */
rad_status convert_run(convert *c, rad_error *err) RAD_MUST_CHECK;
/* Facts for the rules: what the headers of a series say; `clean` NULL: nothing else. */
rad_status convert_facts(convert *c, const convert_series *s, const convert_output *o, rule_facts *ret, rad_error *err) RAD_MUST_CHECK;
/* convert_output.c: what dcm2niix left in `work` becomes files of the cohort folder. Thread-safe for distinct series. On failure nothing
 * new of the series is in the journal. */
rad_status convert_take(const convert *c, convert_series *s, const char *work, rad_error *err) RAD_MUST_CHECK;
/* The journal of one series. False: none that fits, to be converted. */
bool convert_load(const convert *c, convert_series *s);
rad_status convert_store(const convert *c, const convert_series *s, rad_error *err) RAD_MUST_CHECK;
void convert_outputs_release(convert_series *s);
/* Runs a program without a shell, its output into `log`; 0 or its exit code, 128 + signal, -1 not started, -2 over its time. */
int convert_child(char *const argv[], const char *log, double limit_s);
/* convert_leftovers.c */
/* Name for mkdtemp of the folder of links, the same for all conversions into this cohort folder but for its end. free(). */
char *convert_stage_template(const convert *c);
/* Those of killed conversions; the cohort folder is locked. */
void convert_remove_stages(const char *pattern);
/* Series of earlier conversions that are not in the tree become warnings. Errors: NOMEM. */
rad_status convert_tell_vanished(const convert *c, rad_error *err) RAD_MUST_CHECK;
/* Patients whose visits have other names than in the report that is there become warnings. Errors: NOMEM. */
rad_status convert_tell_shifted(const convert *c, rad_error *err) RAD_MUST_CHECK;
/* convert_slices.c: the TSV of slices of a volume. `affine`: rows of the voxel-to-RAS+ matrix. *ret_lost: instances in no slice. */
rad_status convert_slices(const convert *c, const convert_series *s, const convert_output *o, const double affine[3][4], rad_buf *b,
                          int64_t *ret_lost, rad_error *err) RAD_MUST_CHECK;
/* convert_tables.c */
rad_status convert_judge(convert *c, rad_error *err) RAD_MUST_CHECK;
rad_status convert_write_tables(convert *c, rad_error *err) RAD_MUST_CHECK;
rad_status convert_read_labels(convert *c, rad_error *err) RAD_MUST_CHECK;
/* A field of a TSV: control characters become blanks, quotes are doubled. NULL and "" are "n/a". */
rad_status convert_put_field(rad_buf *b, const char *s, char after, rad_error *err) RAD_MUST_CHECK;

#endif

/* report: HTML, SVG and CSV out of one result file, read-only. Nothing but the file is needed: no cohort folder, no network, no clock.
 *
 * Every figure and table is drawn from the rows of one SQL query; the same rows are its CSV file, and the query stands beside it. The
 * statistics are those of the `statistic` table and of the SQL functions of radcohort/stats.h; nothing is computed a second time here.
 */
#ifndef RADCOHORT_REPORT_H
#define RADCOHORT_REPORT_H

#include "radcohort/base.h"

#ifdef __cplusplus
extern "C" {
#endif

#define RAD_REPORT_MAX_BYTES ((size_t)256 << 20)
#define RAD_REPORT_MAX_IMAGES 64

/* A picture made by the caller (this module decodes no image): a PNG file's bytes. Borrowed. */
typedef struct rad_report_image {
    const char *title, *caption, *model; /* model: shown when it is chosen; NULL: always */
    const void *png;
    size_t size;
    int width, height; /* pixels */
} rad_report_image;

typedef struct rad_report_opts {
    const char *dir; /* index.html and csv/ are written here; made when missing */
    int64_t run;     /* 0: the newest */
    bool is_public;  /* disclosure control: see schemas/README.md */
    int k;           /* counts from 1 to k - 1 are not published; at least 2 */
    const rad_report_image *image;
    int n_image;
    const char *no_image; /* why there is no picture; NULL: because no map was written */
} rad_report_opts;

typedef struct rad_report_summary {
    int64_t run;
    int n_figure, n_table, n_csv;
    int64_t n_hidden; /* counts of the ledger that were suppressed */
    size_t html_bytes;
} rad_report_summary;

/* *run: 0 becomes the newest finished run; another must be a finished one. Errors: NOTFOUND, USAGE, STORE, NOMEM. */
rad_status rad_report_find_run(const char *path, int64_t *run, rad_error *err) RAD_MUST_CHECK;
/* Writes the report of one run of the result file `path`. Files are replaced one by one, each atomically. The same file and options give
 * the same bytes. Errors: NOTFOUND, USAGE (no such run, a run that is not finished), STORE, IO, NOMEM, LIMIT, INTERNAL (counts of the flow
 * diagram that do not add up). One thread. */
rad_status rad_report_write(const char *path, const rad_report_opts *o, rad_report_summary *ret, rad_error *err) RAD_MUST_CHECK;

/* Rows of the report as tables of the SQLite file `to`, each with its lines in `data_dictionary`. Public: all that a public report shows,
 * in a file that must be new, with tables `disclosure` (what was done) and `source_query`; hidden cells are NULL and named in the column
 * `suppressed` of their row. Not public: the table `checklist` alone, into a copy of the result file. o->dir and images are not read.
 * Errors: as rad_report_write; what is in `to` after a failure is for the caller to remove. */
rad_status rad_report_export(const char *path, const rad_report_opts *o, const char *to, rad_report_summary *ret,
                             rad_error *err) RAD_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif

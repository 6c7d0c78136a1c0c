/* page.h (private to src/report): the page being written, rows of a query, drawing, disclosure control.
 *
 * Writers are void: the first failure is kept in the page and everything after it does nothing; rad_report_write returns it. */
#ifndef RAD_REPORT_PAGE_H
#define RAD_REPORT_PAGE_H

#include <math.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#include "radcohort/report.h"

struct rp_ledger;

typedef struct rp_page {
    sqlite3 *db;
    sqlite3 *out; /* not NULL: rows go into tables of this file (publish.c), nothing into the folder */
    int64_t run;
    const rad_report_opts *o;
    rad_buf html;
    rad_status st;
    rad_error *err;
    struct rp_ledger *ledger; /* counts and which of them are hidden; hides nothing in a report that is not public */
    int n_figure, n_table, n_csv;
    /* of the run */
    char *job, *case_unit, *finished, *positive; /* positive NULL: not two classes */
    bool has_external, has_internal, probabilities;
    const char *nothing;                      /* why no figure of performance has data, NULL: some may; a constant */
    bool several;                             /* some patient has more than one lesion: lesions have numbers of their own */
    int n_model, n_center, n_cohort, n_class; /* classes without endpoints */
    /* What the page shows first, the rest by choice: the model with the highest AUC of the internal cohort (of all patients where there is
     * one cohort); the positive class, or the first endpoint; NULL: none. */
    char *main_model, *main_class;
    /* the section being written; a section that only says why it is absent becomes a line of the list at the end */
    rad_buf toc, absent;
    const char *section_id, *section_title, *section_absent;
    size_t section_at, section_body, section_absent_end;
    rad_buf undrawn; /* figures of the section that had no data, as lines of that list */
    char undrawn_why[200];
    int n_undrawn, section_drawn;
} rp_page;

/* ---------------------------------------------------------------- errors and memory */

void rp_fail(rp_page *p, rad_status st, const char *fmt, ...) RAD_PRINTF(3, 4);
/* Memory that lives until the page ends is not needed: every owner frees. NULL also sets the page's failure. */
void *rp_alloc(rp_page *p, int64_t n, size_t size);

/* ---------------------------------------------------------------- rows */

typedef struct rp_cell {
    char *text; /* NULL: SQL NULL */
    double num; /* NaN when it is no number */
    bool hidden;
} rp_cell;

typedef struct rp_rows {
    int64_t n;
    int n_col;
    char **name;
    rp_cell *cell; /* [n, n_col] */
    char *sql;     /* as it was run: no parameters, so that it can be run again elsewhere */
} rp_rows;

/* Runs a query made by sqlite3_mprintf (freed here); empty rows after a failure. Release always. */
void rp_query(rp_page *p, char *sql, rp_rows *ret);
void rp_rows_release(rp_rows *r);
int rp_column(const rp_rows *r, const char *name); /* -1: none */
const rp_cell *rp_at(const rp_rows *r, int64_t row, const char *name);
double rp_num(const rp_rows *r, int64_t row, const char *name);          /* NaN: NULL, hidden, no such column */
const char *rp_text_at(const rp_rows *r, int64_t row, const char *name); /* "" for NULL */
void rp_hide(rp_rows *r, int64_t row, const char *name);
/* First cell of a query: number, or NaN; text (caller frees), or NULL. */
double rp_one(rp_page *p, char *sql);
char *rp_one_text(rp_page *p, char *sql);
/* csv/NAME.csv (RFC 4180): all columns; hidden cells are the word "suppressed"; a text that a spreadsheet would run as a formula gets an
 * apostrophe in front. Returns nothing; p->n_csv counts. */
void rp_csv(rp_page *p, const char *name, const rp_rows *r);
/* The same rows as rows of a table of p->out; hidden cells are NULL and named in the column `suppressed`. */
void rp_publish_open(rp_page *p, const char *to);
void rp_publish(rp_page *p, const char *name, const rp_rows *r);
void rp_publish_close(rp_page *p);

/* ---------------------------------------------------------------- text */

/* Raw markup with arguments: each {} takes a const char * and is escaped, each {!} takes one that is not. */
void rp_put(rp_page *p, const char *fmt, ...);
void rp_printf(rp_page *p, const char *fmt, ...) RAD_PRINTF(2, 3); /* numbers and constants only */
/* Number texts; `to` is a buffer of at least 48 bytes and returned. */
const char *rp_format(char *to, const char *fmt, ...) RAD_PRINTF(2, 3);
#define RP_NUM(fmt, ...) rp_format((char[64]){0}, fmt, __VA_ARGS__)
/* "0.912 (0.880, 0.940)"; the interval is left out when it is not known; "not known" for NaN. A minus is a minus sign. */
const char *rp_estimate(char *to, double est, double lower, double upper, int digits);
#define RP_EST(e, l, u, d) rp_estimate((char[96]){0}, e, l, u, d)
/* "0.12", with a minus sign; `to` has at least 32 bytes. */
const char *rp_number(char *to, double x, int digits);
#define RP_DIGITS(x, d) rp_number((char[32]){0}, x, d)
/* "no", "one" to "nine", "10"; `to` has at least 32 bytes. */
const char *rp_count_word(char *to, double n);
#define RP_WORD(n) rp_count_word((char[32]){0}, n)
/* "P < .001", "P = .03"; `to` has at least 24 bytes. */
const char *rp_p_text(char *to, double p);
#define RP_P_TEXT(x) rp_p_text((char[24]){0}, x)
/* As journals of radiology write it: ".03", ".004", "<.001", ">.99". */
const char *rp_p_value(char *to, double p);
#define RP_P(x) rp_p_value((char[16]){0}, x)
/* A name as an id: letters, digits, '-'. */
const char *rp_id(char *to, size_t cap, const char *text);
#define RP_ID(x) rp_id((char[96]){0}, 96, x)

/* ---------------------------------------------------------------- parts of the page */

void rp_section(rp_page *p, const char *id, const char *title); /* closes the one before; id and title are borrowed until then */
void rp_section_end(rp_page *p);
/* One line in place of a part without data; alone in a section it takes the section's place in the list at the end. `why` is a constant or
 * lives until the section ends. */
void rp_absent(rp_page *p, const char *why);
/* In place of a figure that would be empty: named in the list at the end. A section of which nothing else is left stands there instead of
 * its figures, with the reason of the last one. */
void rp_undrawn(rp_page *p, const char *title, const char *why);

typedef enum rp_kind {
    RP_TEXT,
    RP_INT,
    RP_NUM2,
    RP_NUM3,
    RP_EST2, /* columns a, b, c: estimate and limits */
    RP_EST3,
    RP_SHARE, /* percent, counts k_A and n_A of the column A, limits */
    RP_PVALUE,
    RP_HASH /* the first digits; whole in the CSV file */
} rp_kind;
typedef struct rp_spec {
    const char *heading;
    rp_kind kind;
    const char *a, *b, *c;
} rp_spec;
/* A table with its CSV and query. The page's controls select rows by the columns model, class, unit, cohort and center, where the rows have
 * them; a column of names that says the same in every row moves into the caption. */
void rp_table(rp_page *p, const char *id, const char *caption, const rp_rows *r, const rp_spec *spec, int n_spec);
/* Link to csv/ID.csv and the query, folded. */
void rp_source(rp_page *p, const char *id, const rp_rows *r);

/* What the controls select by; NULL: shown always. */
typedef struct rp_tags {
    const char *unit, *model, *class_name, *cohort;
} rp_tags;
/* Opens a figure with an SVG of w x h; the title stands above it; title and description are what a screen reader says. */
void rp_figure(rp_page *p, const char *id, const rp_tags *tags, const char *title, const char *description, double w, double h);
/* Ends the SVG and writes caption ("": none), CSV and query. */
void rp_figure_end(rp_page *p, const char *id, const char *caption, const rp_rows *r);

/* ---------------------------------------------------------------- drawing, in pixels of the figure; y grows downward */

typedef struct rp_axes {
    double x0, x1, y0, y1;           /* data */
    double left, top, width, height; /* pixels */
} rp_axes;
double rp_x(const rp_axes *a, double x);
double rp_y(const rp_axes *a, double y);
/* Width in pixels of a text in the page's figure font. */
double rp_text_width(const char *text, double size);
/* anchor: "start", "middle", "end". Text that is wider than max (0: any) ends in an ellipsis. */
void rp_label(rp_page *p, double x, double y, const char *anchor, const char *css, const char *text, double max);
void rp_frame(rp_page *p, const rp_axes *a, const char *x_title, const char *y_title, double x_step, double y_step);
/* Series are told apart by colour, dash and marker: `series` from 0. */
void rp_line(rp_page *p, const rp_axes *a, const double *x, const double *y, int64_t n, int series);
void rp_band(rp_page *p, const rp_axes *a, const double *x, const double *low, const double *high, int64_t n, int series);
void rp_marker(rp_page *p, double x, double y, int series, const char *tip);
void rp_rule(rp_page *p, double x1, double y1, double x2, double y2, const char *css);
/* Line sample and text at the left of (x, y); returns the y of the next entry. */
double rp_legend(rp_page *p, double x, double y, int series, const char *text, double max);
/* Points of a curve that differ in a figure `pixels` wide: of every column of pixels the first, last, lowest and highest. `keep` [n] gets
 * the indices, their number is returned. x ascending. */
int64_t rp_thin(const double *x, const double *y, int64_t n, double pixels, int64_t *keep);

/* ---------------------------------------------------------------- disclosure control (ledger.c) */

/* Reads every count of the run that the report shows, with the sums that connect them, and decides which must be hidden. */
void rp_ledger_create(rp_page *p);
void rp_ledger_destroy(struct rp_ledger **l);
bool rp_is_hidden(const rp_page *p, const char *key);
int64_t rp_ledger_hidden(const rp_page *p);
/* Key of a count; the parts as in the query of ledger.c. */
const char *rp_key(char *to, size_t cap, const char *family, const char *stratum, const char *what);
/* Hides what the ledger hides in rows of v_statistic (columns model, unit, class, point, name, versus, stratum_kind, stratum). */
void rp_protect_statistics(rp_page *p, rp_rows *r);
/* Points of a ROC curve (columns tp, fp, fn, tn) that may be shown: counts between neighbours 0 or at least k. Removes the others and the
 * column threshold's values. */
void rp_protect_curve(rp_page *p, rp_rows *r);

/* Queries that the ledger shares with the sections. */
char *rp_table1_query(rp_page *p);
char *rp_flow_query(rp_page *p);
char *rp_matrix_query(rp_page *p);

/* ---------------------------------------------------------------- sections, in the page's order */

void rp_section_headline(rp_page *p);
void rp_controls(rp_page *p);
void rp_section_flow(rp_page *p);
void rp_section_table1(rp_page *p);
void rp_section_roc(rp_page *p);
void rp_section_forest(rp_page *p);
void rp_section_cohorts(rp_page *p);
void rp_section_confusion(rp_page *p);
void rp_section_points(rp_page *p);
void rp_section_grades(rp_page *p);
void rp_section_calibration(rp_page *p);
void rp_section_readers(rp_page *p);
void rp_section_regressions(rp_page *p);
void rp_section_folds(rp_page *p);
void rp_section_aggregation(rp_page *p);
void rp_section_cams(rp_page *p);
void rp_section_drift(rp_page *p);
void rp_section_exclusions(rp_page *p);
void rp_section_provenance(rp_page *p);
void rp_section_words(rp_page *p);
void rp_section_checklists(rp_page *p);
/* Which lists' items were compared with what, in a sentence: a constant. */
const char *rp_checklists_checked(void);

#endif

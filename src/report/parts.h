/* parts.h (private to src/report): what several sections share. */
#ifndef RAD_REPORT_PARTS_H
#define RAD_REPORT_PARTS_H

#include "page.h"

/* The strata that stand for "internal against external": 'cohort' when the job computed them, else 'all'. */
const char *rp_cohort_kind(const rp_page *p);
/* "internal", "external", or "all" for people. */
const char *rp_stratum_word(const char *stratum);
/* Units that are told apart, as SQL words: with one lesion per patient the patients' numbers are the lesions'. */
const char *rp_units(const rp_page *p);
/* ", per lesion", or "" where units are not told apart. */
const char *rp_per_unit(const rp_page *p, const char *unit);
/* Readers among each other and all of them against the models: part of the readers' section. */
void rp_agreement(rp_page *p);
/* Rows unit, model, class for which figures are drawn, in the page's order. */
void rp_combos(rp_page *p, rp_rows *ret);
/* Rows stratum, cohort of rp_cohort_kind, internal first. */
void rp_cohorts(rp_page *p, rp_rows *ret);
/* SQL condition (sqlite3_mprintf, caller frees) that selects the rows of v_case_score of a stratum. */
char *rp_where(rp_page *p, const char *unit, const char *model, const char *class_name, const char *stratum);
/* One statistic: estimate and limits as text "0.912 (0.880 to 0.940)"; false when it is not there or hidden. */
bool rp_statistic(rp_page *p, const char *unit, const char *model, const char *class_name, const char *kind, const char *stratum,
                  const char *name, double ret[3], int64_t *ret_n);
/* An invisible target with a value for the pointer. */
void rp_hit(rp_page *p, double x, double y, const char *tip);
/* Rows in which one of the columns (NULL: only one) has a number, or a hidden one. */
int64_t rp_filled(const rp_rows *r, const char *a, const char *b);
/* Why a figure of these cases has no data: the reason of their AUC; the public report's own where there were `before` rows of it. model
 * NULL: any. `to` has 200 bytes and is returned. */
const char *rp_why_empty(rp_page *p, char to[200], const char *unit, const char *model, const char *class_name, const char *stratum,
                         int64_t before);
/* Indices of the first and one past the last of the rows from `from` on whose column is equal. */
int64_t rp_group_end(const rp_rows *r, int64_t from, const char *column);
/* Doubles of a column, rows [from, end). */
double *rp_doubles(rp_page *p, const rp_rows *r, int64_t from, int64_t end, const char *name);
/* Forest plots: rows of est, lower, upper between a column of names and one of numbers. The figure is RP_FOREST_WIDTH wide and
 * a.top + a.height + 48 high. rp_forest_frame returns the y of the first row, rows are RP_FOREST_ROW apart; series < 0: no marker; css of
 * the line: "ci" or "pred". */
enum { RP_FOREST_WIDTH = 700, RP_FOREST_ROW = 26 };
rp_axes rp_forest_axes(const rp_rows *r, int64_t n_row);
double rp_forest_frame(rp_page *p, const rp_axes *a, const char *rows);
void rp_forest_row(rp_page *p, const rp_axes *a, const rp_rows *r, int64_t i, double y, const char *name, int series, const char *css);
bool rp_has_table(rp_page *p, const char *name);

#endif

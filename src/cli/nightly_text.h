/* nightly_text.h (private to src/cli): how a night is told: an e-mail, and JSON. */
#ifndef RAD_CLI_NIGHTLY_TEXT_H
#define RAD_CLI_NIGHTLY_TEXT_H

#include "radcohort/nightly.h"

#include <jansson.h>

#define RAD_NIGHT_HEADLINE 79

/* The most important thing first, at most 78 columns: what stands in the subject of the e-mail. `report` NULL: a plan only. */
void rad_night_headline(const rad_night *n, const rad_night_report *report, char ret[RAD_NIGHT_HEADLINE]);
/* Plain text, lines below 80 columns, the headline first. Appended. */
rad_status rad_night_text(const rad_night *n, const rad_night_report *report, const char *database, rad_buf *b,
                          rad_error *err) RAD_MUST_CHECK;
/* A new reference; NULL when memory is out. `cases`: with one entry per case, else with those that are not just kept. */
json_t *rad_night_json(const rad_night *n, const rad_night_report *report, const char *database, bool cases);

#endif

/* json.h (private to src/cli): an outcome for programs on standard output. */
#ifndef RAD_CLI_JSON_H
#define RAD_CLI_JSON_H

#include <jansson.h>

#include "radcohort/base.h"

/* NaN and infinity are null: JSON has no word for them. NULL: no memory. */
json_t *cli_json_number(double v);
/* NULL is null. NULL is returned when the text is not UTF-8 or memory is out. */
json_t *cli_json_text(const char *text);
/* Prints `j` and a newline; takes the reference. NULL (a name that is not UTF-8, or no memory) is an error. Errors: IO. */
rad_status cli_json_print(json_t *j, rad_error *err) RAD_MUST_CHECK;

#endif

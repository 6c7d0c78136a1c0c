/* json.c: an outcome for programs on standard output. */
#include "json.h"

#include <math.h>
#include <stdio.h>

json_t *cli_json_number(double v) {
    return isfinite(v) ? json_real(v) : json_null();
}

json_t *cli_json_text(const char *text) {
    return text ? json_string(text) : json_null();
}

rad_status cli_json_print(json_t *j, rad_error *err) {
    const bool ok = j && json_dumpf(j, stdout, JSON_INDENT(2)) == 0 && putchar('\n') != EOF;
    json_decref(j);
    return ok ? RAD_OK : rad_error_set(err, RAD_E_IO, "cannot write the outcome as JSON: a name that is not UTF-8, or no memory or room");
}

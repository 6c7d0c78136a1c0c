/* version.c: the program's version as text; the build passes the parts in. */
#include "radcohort/base.h"

const char *rad_version(void) {
    return sizeof RAD_COMMIT_TEXT > 1 ? RAD_VERSION_TEXT "-g" RAD_COMMIT_TEXT : RAD_VERSION_TEXT;
}

/* term.c: emphasis for people at a terminal. */
#include "radcohort/base.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *rad_term_style(FILE *to, rad_style style) {
    static const char *const code[] = {"\033[0m", "\033[1m", "\033[1;31m", "\033[1;33m"};
    const char *no = getenv("NO_COLOR"), *term = getenv("TERM");
    if ((no && no[0]) || !term || strcmp(term, "dumb") == 0 || isatty(fileno(to)) != 1)
        return "";
    return code[style];
}

/* wrap.c: sentences in lines that fit a terminal. */
#include "cli.h"

#include <string.h>
#include <unistd.h>

/* Columns of the first n bytes: one per character. */
static int columns(const char *s, int n) {
    int w = 0;
    for (int i = 0; i < n; i++)
        w += ((unsigned char)s[i] & 0xC0) != 0x80;
    return w;
}

const char *rad_cli_put(FILE *to, int column, int indent, const char *text) {
    int gap = 0; /* blanks before the word; none at the start of a line */
    while (*text && *text != '\n') {
        const int n = (int)strcspn(text, " \n"), w = columns(text, n);
        if (gap > 0 && column + gap + w > RAD_CLI_WIDTH) {
            (void)fprintf(to, "\n%*s", indent, "");
            column = indent;
            gap = 0;
        }
        (void)fprintf(to, "%*s%.*s", gap, "", n, text);
        column += gap + w;
        text += n;
        gap = (int)strspn(text, " ");
        text += gap;
    }
    (void)fputc('\n', to);
    return *text == '\n' ? text + 1 : text;
}

void rad_cli_say(int indent, const char *fmt, ...) {
    char text[RAD_CLI_SENTENCE];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (isatty(STDOUT_FILENO) != 1) { /* a log is searched line by line */
        (void)puts(text);
        return;
    }
    const int lead = (int)strspn(text, " ");
    (void)printf("%*s", lead, "");
    for (const char *rest = text + lead; *rest;)
        rest = rad_cli_put(stdout, rest == text + lead ? lead : indent, indent, rest);
}

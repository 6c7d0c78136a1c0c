/* text.c: markup, escaping, and how numbers are written. */
#include "page.h"

#include <stdarg.h>

static void append(rp_page *p, const char *s, size_t n) {
    if (p->st == RAD_OK)
        p->st = rad_buf_put(&p->html, s, n, p->err);
}

/* Control characters other than tab and line ends have no place in HTML; bytes that are not UTF-8 were refused when the tables were read.
 */
static void append_escaped(rp_page *p, const char *s) {
    for (size_t n; *s; s += n) {
        n = strcspn(
            s, "&<>\"'\x01\x02\x03\x04\x05\x06\x07\x08\x0b\x0c\x0e\x0f\x10\x11\x12\x13\x14\x15\x16\x17\x18\x19\x1a\x1b\x1c\x1d\x1e\x1f");
        append(p, s, n);
        if (s[n] == '\0')
            return;
        const char *e = s[n] == '&'    ? "&amp;"
                        : s[n] == '<'  ? "&lt;"
                        : s[n] == '>'  ? "&gt;"
                        : s[n] == '"'  ? "&quot;"
                        : s[n] == '\'' ? "&#39;"
                                       : "\xef\xbf\xbd";
        append(p, e, strlen(e));
        n++;
    }
}

void rp_put(rp_page *p, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    for (const char *f = fmt; p->st == RAD_OK && *f;) {
        const char *hole = strchr(f, '{');
        while (hole && strncmp(hole, "{}", 2) != 0 && strncmp(hole, "{!}", 3) != 0)
            hole = strchr(hole + 1, '{');
        if (!hole) {
            append(p, f, strlen(f));
            break;
        }
        append(p, f, (size_t)(hole - f));
        const char *s = va_arg(ap, const char *);
        if (hole[1] == '!')
            append(p, s ? s : "", s ? strlen(s) : 0);
        else
            append_escaped(p, s ? s : "");
        f = hole + (hole[1] == '!' ? 3 : 2);
    }
    va_end(ap);
}

void rp_printf(rp_page *p, const char *fmt, ...) {
    char text[1024];
    va_list ap;
    va_start(ap, fmt);
    const int n = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (n < 0 || (size_t)n >= sizeof text)
        rp_fail(p, RAD_E_INTERNAL, "a piece of the report is longer than %zu bytes", sizeof text);
    else
        append(p, text, (size_t)n);
}

const char *rp_format(char *to, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(to, 64, fmt, ap);
    va_end(ap);
    return to;
}

const char *rp_estimate(char *to, double est, double lower, double upper, int digits) {
    char e[32], l[32], u[32]; /* rp_number writes 28 bytes and three of a sign at most */
    if (isnan(est))
        (void)snprintf(to, 96, "not known");
    else if (isnan(lower) || isnan(upper))
        (void)snprintf(to, 96, "%.30s", rp_number(e, est, digits));
    else
        (void)snprintf(to, 96, "%.30s (%.30s, %.30s)", rp_number(e, est, digits), rp_number(l, lower, digits), rp_number(u, upper, digits));
    return to;
}

const char *rp_number(char *to, double x, int digits) {
    char text[28];
    (void)snprintf(text, sizeof text, "%.*f", digits, fabs(x));
    const bool zero = text[strspn(text, "0.")] == '\0'; /* no minus before what rounds to nothing */
    (void)snprintf(to, 32, "%s%s", x < 0 && !zero ? "\xe2\x88\x92" : "", text);
    return to;
}

const char *rp_count_word(char *to, double n) {
    static const char *const WORD[] = {"no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"};
    if (n >= 0 && n < 10)
        (void)snprintf(to, 32, "%s", WORD[(int)n]);
    else
        (void)snprintf(to, 32, "%.0f", n);
    return to;
}

const char *rp_p_text(char *to, double p) {
    char digits[16];
    rp_p_value(digits, p);
    if (isnan(p))
        (void)snprintf(to, 24, "P not known");
    else
        (void)snprintf(to, 24, "P %c %s", strchr("<>", digits[0]) ? digits[0] : '=', digits + (strchr("<>", digits[0]) != NULL));
    return to;
}

const char *rp_p_value(char *to, double p) {
    if (isnan(p))
        (void)snprintf(to, 16, "n/a");
    else if (p < 0.001)
        (void)snprintf(to, 16, "<.001");
    else if (p > 0.99)
        (void)snprintf(to, 16, ">.99");
    else { /* three digits where two would hide on which side of .05 it lies */
        char text[16];
        (void)snprintf(text, sizeof text, p < 0.01 || (p >= 0.045 && p < 0.055) ? "%.3f" : "%.2f", p);
        (void)snprintf(to, 16, "%s", text + 1);
    }
    return to;
}

const char *rp_id(char *to, size_t cap, const char *text) {
    size_t n = 0;
    for (; *text && n + 1 < cap; text++) {
        const char c = *text;
        if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'))
            to[n++] = c;
        else if (c >= 'A' && c <= 'Z')
            to[n++] = (char)(c - 'A' + 'a');
        else if (n > 0 && to[n - 1] != '-')
            to[n++] = '-';
    }
    to[n] = '\0';
    return to;
}

/* status.c: what a status condemns and how it is called; error text. */
#include "radcohort/base.h"

#include <string.h>

rad_scope rad_status_scope(rad_status s) {
    if (s == RAD_OK)
        return RAD_SCOPE_NONE;
    if (s > RAD_E_NOMEM)
        return RAD_SCOPE_STUDY;
    if (s > RAD_E_USAGE)
        return RAD_SCOPE_WORKER;
    return RAD_SCOPE_RUN;
}

const char *rad_status_reason(rad_status s) {
    switch (s) {
    case RAD_OK:
        return "ok";
    case RAD_E_NOTFOUND:
        return "notfound";
    case RAD_E_IO:
        return "io";
    case RAD_E_TRUNCATED:
        return "truncated";
    case RAD_E_FORMAT:
        return "format";
    case RAD_E_UNSUPPORTED:
        return "unsupported";
    case RAD_E_LIMIT:
        return "limit";
    case RAD_E_SHAPE:
        return "shape";
    case RAD_E_NONFINITE:
        return "nonfinite";
    case RAD_E_CHANNEL:
        return "channel";
    case RAD_E_REGION:
        return "region";
    case RAD_E_QUARANTINE:
        return "quarantine";
    case RAD_E_LEAKAGE:
        return "leakage";
    case RAD_E_FOLD:
        return "fold";
    case RAD_E_NOMEM:
        return "nomem";
    case RAD_E_DEVICE:
        return "device";
    case RAD_E_USAGE:
        return "usage";
    case RAD_E_CONFIG:
        return "config";
    case RAD_E_MODEL:
        return "model";
    case RAD_E_STORE:
        return "store";
    case RAD_E_COMM:
        return "comm";
    case RAD_E_INTERNAL:
        return "internal";
    case RAD_E_STOPPED:
        return "stopped";
    }
    return "unknown";
}

/* Marks a text that did not fit, on a character border so that it stays valid UTF-8. */
static void mark_cut(char *text) {
    size_t end = RAD_ERROR_TEXT - 2;
    while (end > 0 && ((unsigned char)text[end] & 0xC0) == 0x80)
        end--;
    text[end] = '+';
    text[end + 1] = '\0';
}

static void format(rad_error *err, rad_status code, const char *fmt, va_list ap) RAD_PRINTF(3, 0);
static void format(rad_error *err, rad_status code, const char *fmt, va_list ap) {
    err->code = code;
    int n = vsnprintf(err->text, sizeof err->text, fmt, ap);
    if (n >= (int)sizeof err->text)
        mark_cut(err->text);
}

rad_status rad_error_set(rad_error *err, rad_status code, const char *fmt, ...) {
    if (err) {
        va_list ap;
        va_start(ap, fmt);
        format(err, code, fmt, ap);
        va_end(ap);
    }
    return code;
}

rad_status rad_error_prefix(rad_error *err, rad_status code, const char *fmt, ...) {
    if (err) {
        char old[RAD_ERROR_TEXT];
        memcpy(old, err->text, sizeof old);
        va_list ap;
        va_start(ap, fmt);
        format(err, code, fmt, ap);
        va_end(ap);
        size_t used = strlen(err->text);
        int n = snprintf(err->text + used, sizeof err->text - used, "%s", old);
        if (n >= (int)(sizeof err->text - used))
            mark_cut(err->text);
    }
    return code;
}

int rad_status_exit_code(rad_status st) {
    if (st == RAD_OK)
        return RAD_EXIT_OK;
    if (st == RAD_E_STOPPED)
        return RAD_EXIT_STOPPED;
    if (st == RAD_E_USAGE || st == RAD_E_CONFIG || st == RAD_E_MODEL)
        return RAD_EXIT_USAGE;
    /* A study-scope status that reaches a command condemns what the user named (a missing file, a wrong shape): invalid input.
     * Failures of the operating system are not the user's. */
    return rad_status_scope(st) == RAD_SCOPE_STUDY && st != RAD_E_IO ? RAD_EXIT_USAGE : RAD_EXIT_FAILED;
}

/* log.c: one line per event to stderr, and the clock. The only mutable state of the process is the level and the prefix. */
#include "radcohort/base.h"

#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static rad_log_level log_level = RAD_LOG_INFO;
static char log_prefix[32];

void rad_log_configure(rad_log_level level, const char *prefix) {
    log_level = level;
    snprintf(log_prefix, sizeof log_prefix, "%s", prefix ? prefix : "");
}

void rad_log(rad_log_level level, const char *fmt, ...) {
    static const char *const name[] = {"error", "warn", "info", "debug"};
    if (level > log_level)
        return;
    int saved = errno;
    char line[1024], when[RAD_TIME_TEXT];
    rad_clock_utc(when);
    int n = snprintf(line, sizeof line, "%s %s %s%s", when, name[level], log_prefix, log_prefix[0] ? ": " : "");
    va_list ap;
    va_start(ap, fmt);
    int m = vsnprintf(line + n, sizeof line - (size_t)n, fmt, ap);
    va_end(ap);
    size_t size = (size_t)n + (m > 0 ? (size_t)m : 0);
    if (size > sizeof line - 2)
        size = sizeof line - 2;
    line[size] = '\n';
    /* one write, so that lines of several ranks do not mix; a log that cannot be written is not worth failing for */
    ssize_t done = write(STDERR_FILENO, line, size + 1);
    (void)done;
    errno = saved;
}

double rad_clock_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void rad_clock_utc(char ret_text[RAD_TIME_TEXT]) {
    time_t now = time(NULL);
    struct tm tm;
    gmtime_r(&now, &tm);
    strftime(ret_text, RAD_TIME_TEXT, "%Y-%m-%dT%H:%M:%SZ", &tm);
}

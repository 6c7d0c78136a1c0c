/* unit.h: what every unit test includes: cmocka in its required order, and what several of them need. */
#ifndef RAD_UNIT_H
#define RAD_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "radcohort/base.h"

/* The call succeeds; its error text is shown when it does not. Needs `rad_error err` in scope. */
#define assert_ok(call)                                                                                                                    \
    do {                                                                                                                                   \
        err = (rad_error){0};                                                                                                              \
        rad_status st_ = (call);                                                                                                           \
        if (st_ != RAD_OK)                                                                                                                 \
            fail_msg("%s: %s: %s", #call, rad_status_reason(st_), err.text);                                                               \
    } while (0)
/* The call fails with `code`, and the text of the error contains `part`. */
#define assert_fails(call, want, part)                                                                                                     \
    do {                                                                                                                                   \
        err = (rad_error){0};                                                                                                              \
        rad_status st_ = (call);                                                                                                           \
        if (st_ != (want) || err.code != (want) || !strstr(err.text, part))                                                                \
            fail_msg("%s: got %s '%s', want %s with '%s'", #call, rad_status_reason(st_), err.text, rad_status_reason(want), part);        \
    } while (0)

/* A fresh temporary folder, removed by unit_remove(). Static buffer. */
static inline const char *unit_folder(void) {
    static char path[64];
    const char *base = getenv("TMPDIR");
    snprintf(path, sizeof path, "%.30s/radcohort-unit-XXXXXX", base && strlen(base) < 30 ? base : "/tmp");
    if (!mkdtemp(path))
        fail_msg("cannot make a folder below %s", path);
    return path;
}
static inline void unit_remove(const char *path) {
    char cmd[128];
    snprintf(cmd, sizeof cmd, "rm -rf -- '%s'", path);
    if (system(cmd) != 0)
        fail_msg("cannot remove %s", path);
}

/* Between -0.5 and 0.5, without a pattern; the same for the same i. */
static inline float unit_number(uint32_t i) {
    i = (i ^ 61) ^ (i >> 16);
    i *= 9;
    i ^= i >> 4;
    i *= 0x27d4eb2du;
    return (float)((i ^ (i >> 15)) & 0xffff) / 65536.0f - 0.5f;
}

#endif

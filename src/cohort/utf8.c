/* utf8.c: well-formed UTF-8, and nothing else. */
#include "utf8.h"

#include <stdbool.h>
#include <string.h>

static bool is_tail(unsigned char c) {
    return (c & 0xC0) == 0x80;
}

size_t utf8_length(const unsigned char *s, size_t n) {
    if (n == 0)
        return 0;
    unsigned char c = s[0];
    if (c < 0x80)
        return 1;
    if (c >= 0xC2 && c <= 0xDF)
        return n >= 2 && is_tail(s[1]) ? 2 : 0;
    if (c >= 0xE0 && c <= 0xEF) {
        if (n < 3 || !is_tail(s[1]) || !is_tail(s[2]) || (c == 0xE0 && s[1] < 0xA0) || (c == 0xED && s[1] > 0x9F))
            return 0;
        return 3;
    }
    if (c >= 0xF0 && c <= 0xF4) {
        if (n < 4 || !is_tail(s[1]) || !is_tail(s[2]) || !is_tail(s[3]) || (c == 0xF0 && s[1] < 0x90) || (c == 0xF4 && s[1] > 0x8F))
            return 0;
        return 4;
    }
    return 0;
}

void utf8_scrub(char *s) {
    for (size_t n = strlen(s); n > 0;) {
        size_t m = utf8_length((const unsigned char *)s, n);
        if (m == 0) {
            *s = '?';
            m = 1;
        }
        s += m;
        n -= m;
    }
}

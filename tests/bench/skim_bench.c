/* skim_bench.c: the way to a slice in a gzip file, inflated and skimmed over.
 *
 *   skim_bench [-r ROUNDS] FILE...
 * One line per file and depth (a quarter, a half, three quarters, nearly all of the data): milliseconds of a processor to get there from
 * the front by inflating (ISA-L with its CRC, nothing kept) and by skimming, reading from the page cache included, the better of so many
 * rounds (3) each, in turns. The 64 KB that come next are compared.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "load/internal.h"

#define NEXT_BYTES ((size_t)64 << 10)

static double cpu_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* *ret_ms: smaller when it took less. `ret`: what comes at byte `at`. */
static rad_status go(const char *path, size_t at, bool skim, uint8_t ret[NEXT_BYTES], double *ret_ms, rad_error *err) {
    rad_status st = RAD_OK;
    rad_stream *s = NULL;
    size_t got = 0;
    const double start = cpu_ms();
    RAD_TRY(rad_stream_open(path, NULL, &s, err));
    if (skim)
        RAD_TRY(rad_stream_skim(s, at, err));
    RAD_TRY(rad_stream_skip(s, at - rad_stream_position(s), &got, err));
    const double ms = cpu_ms() - start;
    if (*ret_ms < 0 || ms < *ret_ms)
        *ret_ms = ms;
    RAD_TRY(rad_stream_read(s, ret, NEXT_BYTES, &got, err));
out:
    rad_stream_close(&s);
    return st;
}

static rad_status measure(const char *path, int rounds, rad_error *err) {
    rad_status st = RAD_OK;
    rad_stream *s = NULL;
    uint32_t said = 0;
    uint8_t *next[2] = {calloc(1, NEXT_BYTES), calloc(1, NEXT_BYTES)};
    RAD_TRY(rad_stream_open(path, NULL, &s, err));
    RAD_TRY(rad_stream_trailer(s, &said, err));
    for (int quarter = 1; quarter <= 4; quarter++) {
        const size_t at = quarter == 4 ? said - said / 50 : (size_t)said / 4 * (size_t)quarter;
        double ms[2] = {-1, -1};
        for (int r = 0; r < rounds; r++)
            for (int skim = 0; skim < 2; skim++)
                RAD_TRY(go(path, at, skim != 0, next[skim], &ms[skim], err));
        if (memcmp(next[0], next[1], NEXT_BYTES) != 0) {
            st = rad_error_set(err, RAD_E_INTERNAL, "'%s': other bytes behind byte %zu", path, at);
            goto out;
        }
        printf("%7.1f MB  inflated %7.2f ms  skimmed %7.2f ms  ratio %.2f  %s\n", (double)at / 1e6, ms[0], ms[1], ms[0] / ms[1], path);
    }
out:
    rad_stream_close(&s);
    free(next[0]);
    free(next[1]);
    return st;
}

int main(int argc, char **argv) {
    int first = argc > 2 && strcmp(argv[1], "-r") == 0 ? 3 : 1, rounds = first == 3 ? atoi(argv[2]) : 3, failed = 0;
    if (first >= argc || rounds < 1) {
        fprintf(stderr, "usage: skim_bench [-r ROUNDS] FILE...\n");
        return 2;
    }
    for (int i = first; i < argc; i++) {
        rad_error err = {0};
        if (measure(argv[i], rounds, &err) != RAD_OK) {
            fprintf(stderr, "%s\n", err.text);
            failed = 1;
        }
    }
    return failed;
}

/* sign_bench.c: the signatures of images and what each costs; copies_bench.py asks how well they tell copies from strangers.
 *
 *   sign_bench [-r ROUNDS] FILE...
 * One line per file: the milliseconds of a processor that rad_volume_sign took at best in so many rounds (1), the signature in hexadecimal
 * ("-": none), the file. Before each round a block larger than the caches is written, so that the voxels come from memory.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "radcohort/load.h"

#define FLUSH_BYTES ((size_t)64 << 20)

static double cpu_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static rad_status sign(const char *path, int rounds, char *flush, rad_error *err) {
    rad_volume *v = NULL;
    rad_signature s = {.n = 0};
    double best = 0;
    rad_status st = rad_volume_load(path, &v, err);
    for (int r = 0; st == RAD_OK && r < rounds; r++) {
        memset(flush, r, FLUSH_BYTES);
        const double start = cpu_ms();
        st = rad_volume_sign(v, &s, err);
        const double ms = cpu_ms() - start;
        best = r == 0 || ms < best ? ms : best;
    }
    if (st == RAD_OK) {
        printf("%.3f ", best);
        for (int i = 0; i < s.n; i++)
            printf("%02x", (unsigned)(uint8_t)s.value[i]);
        printf("%s %s\n", s.n ? "" : "-", path);
    }
    rad_volume_destroy(&v);
    return st;
}

int main(int argc, char **argv) {
    int first = argc > 2 && strcmp(argv[1], "-r") == 0 ? 3 : 1, rounds = first == 3 ? atoi(argv[2]) : 1;
    if (first >= argc || rounds < 1) {
        fprintf(stderr, "usage: sign_bench [-r ROUNDS] FILE...\n");
        return 2;
    }
    char *flush = malloc(FLUSH_BYTES);
    int failed = !flush;
    for (int i = first; i < argc && flush; i++) {
        rad_error err = {0};
        if (sign(argv[i], rounds, flush, &err) != RAD_OK) {
            fprintf(stderr, "%s\n", err.text);
            failed = 1;
        }
    }
    free(flush);
    return failed;
}

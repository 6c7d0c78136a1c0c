/* inflate_bench.c: how fast libdeflate alone inflates gzip files on so many threads: what a reader of whole volumes is measured against.
 *
 *   inflate_bench THREADS FILE...
 * Threads take the files in turn; buffers are made once and reused, and touched before the clock starts. Prints, as JSON, the bytes that
 * came out, the seconds by the clock that all of it took, and how many of them a thread spent inflating, on average (the rest is read(2));
 * and the seconds of the processor that all threads inflated.
 */
#include <libdeflate.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "radcohort/base.h"

enum { MAX_THREADS = 256 };

struct shared {
    char **path;
    int n_path;
    size_t largest_file, largest_data;
    atomic_int next;
    atomic_bool failed;
};

struct thread {
    struct shared *s;
    pthread_t id;
    uint8_t *file, *data;
    size_t out;
    double inflating, processor;
};

static size_t read_whole(const char *path, uint8_t *to, size_t room) {
    FILE *f = fopen(path, "rb");
    if (!f)
        return 0;
    setvbuf(f, NULL, _IONBF, 0);
    size_t n = fread(to, 1, room, f);
    fclose(f);
    return n;
}

/* Size of the file, and what its last four bytes say of its data. */
static bool sizes(const char *path, size_t *ret_file, size_t *ret_data) {
    uint8_t b[4];
    FILE *f = fopen(path, "rb");
    bool good = f && fseek(f, -4, SEEK_END) == 0 && fread(b, 1, 4, f) == 4;
    if (good) {
        *ret_file = (size_t)ftell(f);
        *ret_data = (size_t)b[0] | (size_t)b[1] << 8 | (size_t)b[2] << 16 | (size_t)b[3] << 24;
    }
    if (f)
        fclose(f);
    return good;
}

static double processor_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void *thread_main(void *arg) {
    struct thread *t = arg;
    struct libdeflate_decompressor *d = libdeflate_alloc_decompressor();
    for (int i; d && (i = atomic_fetch_add(&t->s->next, 1)) < t->s->n_path;) {
        size_t n = read_whole(t->s->path[i], t->file, t->s->largest_file), got = 0;
        double start = rad_clock_seconds(), used = processor_seconds();
        if (libdeflate_gzip_decompress(d, t->file, n, t->data, t->s->largest_data, &got) != LIBDEFLATE_SUCCESS)
            atomic_store(&t->s->failed, true);
        t->inflating += rad_clock_seconds() - start;
        t->processor += processor_seconds() - used;
        t->out += got;
    }
    if (!d)
        atomic_store(&t->s->failed, true);
    libdeflate_free_decompressor(d);
    return NULL;
}

int main(int argc, char **argv) {
    int n = argc > 2 ? atoi(argv[1]) : 0;
    if (n < 1 || n > MAX_THREADS) {
        fprintf(stderr, "usage: inflate_bench THREADS FILE...\n");
        return 2;
    }
    struct shared s = {.path = argv + 2, .n_path = argc - 2};
    for (int i = 0; i < s.n_path; i++) {
        size_t file, data;
        if (!sizes(s.path[i], &file, &data)) {
            fprintf(stderr, "cannot read '%s'\n", s.path[i]);
            return 1;
        }
        s.largest_file = file > s.largest_file ? file : s.largest_file;
        s.largest_data = data > s.largest_data ? data : s.largest_data;
    }
    struct thread thread[MAX_THREADS] = {0};
    for (int i = 0; i < n; i++) {
        thread[i] = (struct thread){.s = &s, .file = rad_aligned(s.largest_file), .data = rad_aligned(s.largest_data)};
        if (!thread[i].file || !thread[i].data)
            return 1;
        memset(thread[i].file, 1, s.largest_file);
        memset(thread[i].data, 1, s.largest_data);
    }
    double start = rad_clock_seconds(), inflating = 0, processor = 0;
    size_t out = 0;
    for (int i = 0; i < n; i++)
        if (pthread_create(&thread[i].id, NULL, thread_main, &thread[i]) != 0)
            return 1;
    for (int i = 0; i < n; i++)
        pthread_join(thread[i].id, NULL);
    double seconds = rad_clock_seconds() - start;
    for (int i = 0; i < n; i++) {
        out += thread[i].out;
        inflating += thread[i].inflating / n;
        processor += thread[i].processor;
        free(thread[i].file);
        free(thread[i].data);
    }
    printf("{\"bytes\": %zu, \"seconds\": %.6f, \"inflating\": %.6f, \"processor\": %.6f}\n", out, seconds, inflating, processor);
    return atomic_load(&s.failed) ? 1 : 0;
}

/* stamp.c: see stamp.h. */
#include "stamp.h"

/* The finalizer of SplitMix64 (Steele, Lea, Flood 2014). */
static uint64_t mix(uint64_t x) {
    x += 0x9e3779b97f4a7c15U;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9U;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebU;
    return x ^ (x >> 31);
}

uint64_t rad_stamp(const struct stat *s, bool there) {
    return there ? mix(mix(mix((uint64_t)s->st_size) ^ (uint64_t)s->st_mtim.tv_sec) ^ (uint64_t)s->st_mtim.tv_nsec) : mix(0);
}

uint64_t rad_stamp_of_look(const rad_file_look *f) {
    struct stat s = {.st_size = (off_t)f->bytes};
    s.st_mtim.tv_sec = (time_t)f->seconds;
    s.st_mtim.tv_nsec = f->nanoseconds;
    return rad_stamp(&s, f->error == 0);
}

uint64_t rad_stamp_path(const char *path) {
    struct stat s;
    const bool there = stat(path, &s) == 0;
    return rad_stamp(&s, there);
}

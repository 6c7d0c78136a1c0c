/* stamp.c: see stamp.h. */
#include "stamp.h"

/* The finalizer of SplitMix64 (Steele, Lea, Flood 2014). */
static uint64_t mix(uint64_t x) {
    x += 0x9e3779b97f4a7c15U;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9U;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebU;
    return x ^ (x >> 31);
}

uint64_t rad_stamp_of_look(const rad_file_look *f) {
    return f->error == 0 ? mix(mix(mix(f->bytes) ^ (uint64_t)f->seconds) ^ (uint64_t)f->nanoseconds) : mix(0);
}

uint64_t rad_stamp_path(const char *path) {
    const rad_file_look l = rad_file_look_at(path);
    return rad_stamp_of_look(&l);
}

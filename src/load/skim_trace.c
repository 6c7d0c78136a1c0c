/* skim_trace.c: the 32 KB before a place in deflate data, from the symbols that they go back to.
 *
 * Backwards from there: a set of bytes that are needed, at first all 32 KB. A literal takes its byte out of the set, a match puts those in
 * its stead that it refers to. Noise ends in literals after a few such steps; what is the same in every row (the field outside a scanner's
 * circle) goes back row by row to where it first was written, which is a handful of bytes in each group of symbols, and groups in which
 * nothing is needed are not even read. The symbols met are kept and carried out in their own order afterwards.
 */
#include "skim.h"

#include <stdlib.h>

#define RING ((size_t)64 << 10) /* a symbol refers to 32 KB before it: bytes that are needed lie closer than this */
#define MAX_RECORDS ((size_t)4 << 20)

struct record {
    uint32_t out;       /* of the data, modulo 2^32 */
    uint16_t n, before; /* bytes, and how far back; a literal: the byte itself, and 0 */
};

struct trace {
    uint64_t needed[RING / 64]; /* a bit for each byte, at its position modulo RING */
    size_t n_needed;
    struct record *record;
    size_t n_record, room;
    struct skim_tables *tables;
    uint8_t *bytes; /* the block that is being looked at */
    size_t room_bytes;
    uint64_t at;           /* of the file: bytes[0] */
    const void *of;        /* that block, NULL = none yet */
    struct skim_head head; /* of it */
};

/* ---------------------------------------------------------------- the set */

static uint64_t needed64(const struct trace *t, uint64_t at) {
    const size_t i = (size_t)(at % RING) / 64;
    const unsigned shift = at & 63;
    const uint64_t low = t->needed[i] >> shift;
    return shift == 0 ? low : low | t->needed[(i + 1) % (RING / 64)] << (64 - shift);
}

static void put64(struct trace *t, uint64_t at, uint64_t set, uint64_t clear) {
    const size_t i = (size_t)(at % RING) / 64, j = (i + 1) % (RING / 64);
    const unsigned shift = at & 63;
    t->needed[i] = (t->needed[i] & ~(clear << shift)) | set << shift;
    if (shift > 0)
        t->needed[j] = (t->needed[j] & ~(clear >> (64 - shift))) | set >> (64 - shift);
}

static uint64_t low_bits(unsigned n) {
    return n >= 64 ? ~(uint64_t)0 : ((uint64_t)1 << n) - 1;
}

static bool any_needed(const struct trace *t, uint64_t from, uint64_t to) {
    for (uint64_t at = from; at < to; at += 64)
        if ((needed64(t, at) & low_bits(to - at < 64 ? (unsigned)(to - at) : 64)) != 0)
            return true;
    return false;
}

static void need(struct trace *t, uint64_t at, uint64_t bits) {
    t->n_needed += (size_t)__builtin_popcountll(bits & ~needed64(t, at));
    put64(t, at, bits, 0);
}

static void settle(struct trace *t, uint64_t at, uint64_t bits) {
    t->n_needed -= (size_t)__builtin_popcountll(bits);
    put64(t, at, 0, bits);
}

/* ---------------------------------------------------------------- backwards */

static rad_status keep(struct trace *t, struct record r, rad_error *err) {
    if (t->n_record == t->room) {
        size_t room = 2 * t->room + 65536;
        struct record *p = rad_realloc(t->record, room, sizeof *p);
        if (!p)
            return rad_error_set(err, RAD_E_NOMEM, "no memory to pass over gzip data");
        t->record = p;
        t->room = room;
    }
    t->record[t->n_record++] = r;
    return RAD_OK;
}

/* `byte[i]` is the literal at out + i. */
static rad_status settle_literals(struct trace *t, uint64_t out, const uint8_t *byte, size_t n, rad_error *err) {
    rad_status st = RAD_OK;
    for (size_t i = n; i > 0 && st == RAD_OK; i--)
        if ((needed64(t, out + i - 1) & 1) != 0) {
            settle(t, out + i - 1, 1);
            st = keep(t, (struct record){(uint32_t)(out + i - 1), byte[i - 1], 0}, err);
        }
    return st;
}

/* The match at `out` of `n` bytes from `before` back, which is not before the data: that was looked at when it was counted. True: some of
 * it was needed. */
static bool settle_match(struct trace *t, uint64_t out, unsigned n, unsigned before) {
    bool used = false;
    for (unsigned i = 0; i < n; i += 64) {
        const uint64_t bits = needed64(t, out + i) & low_bits(n - i);
        if (bits == 0)
            continue;
        used = true;
        settle(t, out + i, bits);
        if (before >= n)
            need(t, out + i - before, bits);
    }
    for (unsigned i = 0; used && before < n && i < before; i += 64) /* repeats itself: all that it repeats */
        need(t, out - before + i, low_bits(before - i));
    return used;
}

static rad_status look_at(struct trace *t, const struct skim_block *b, rad_skim_read *read, void *file, bool *ret_good, rad_error *err) {
    const size_t first = (size_t)(b->bit >> 3), n = (size_t)((b->bit + b->bits + 7) >> 3) - first;
    rad_status st = RAD_OK;
    size_t got = 0;
    if (n + SKIM_PAD > t->room_bytes) {
        uint8_t *p = rad_realloc(t->bytes, n + SKIM_PAD, 1);
        if (!p)
            return rad_error_set(err, RAD_E_NOMEM, "no memory to pass over gzip data");
        t->bytes = p;
        t->room_bytes = n + SKIM_PAD;
    }
    RAD_TRY(read(file, first, t->bytes, n, &got, err));
    memset(t->bytes + got, 0, n + SKIM_PAD - got);
    *ret_good = got == n && skim_head_read(t->bytes, b->bit & 7, &t->head, t->tables);
    if (*ret_good && t->head.stored) /* looked at when it was counted; the file may have changed since */
        *ret_good = (t->head.body >> 3) + t->head.n <= n;
    if (*ret_good && !t->head.stored)
        skim_tables_for_reading(t->tables);
    t->of = b;
out:
    return st;
}

static rad_status trace_group(struct trace *t, const struct skim_block *b, uint64_t from, uint64_t to, uint32_t out, bool *ret_good,
                              rad_error *err) {
    struct skim_symbol s[SKIM_GROUP_SYMBOLS];
    const int n = skim_read_group(t->bytes, from, to, out, t->tables, s);
    rad_status st = RAD_OK;
    *ret_good = n >= 0;
    for (int i = n - 1; i >= 0 && st == RAD_OK; i--) {
        const uint64_t at = b->out + s[i].out;
        bool used = (needed64(t, at) & 1) != 0;
        if (s[i].before > 0)
            used = settle_match(t, at, s[i].n, s[i].before);
        else if (used)
            settle(t, at, 1);
        if (used)
            st = keep(t, (struct record){(uint32_t)at, s[i].n, s[i].before}, err);
    }
    *ret_good &= t->n_record <= MAX_RECORDS;
    return st;
}

static rad_status trace_block(struct trace *t, const struct skim_past *past, size_t i, rad_skim_read *read, void *file, bool *ret_good,
                              rad_error *err) {
    rad_status st = RAD_OK;
    const struct skim_block *b = &past->block[i];
    uint64_t end_out = b[1].out, end_bit = b->bits;
    for (size_t g = b[1].group; g > b->group && t->n_needed > 0 && *ret_good; g--) {
        const struct skim_group *group = &past->group[g - 1];
        const uint64_t out = b->out + group->out;
        if (any_needed(t, out, end_out)) {
            if (t->of != b)
                RAD_TRY(look_at(t, b, read, file, ret_good, err));
            const uint64_t header = b->bit & 7;
            if (*ret_good && t->head.stored)
                RAD_TRY(settle_literals(t, out, t->bytes + (t->head.body >> 3), t->head.n, err));
            else if (*ret_good)
                RAD_TRY(trace_group(t, b, header + group->bit, header + end_bit, group->out, ret_good, err));
        }
        end_out = out;
        end_bit = group->bit;
    }
out:
    return st;
}

/* ---------------------------------------------------------------- forwards */

static void carry_out(uint8_t *ring, const struct record *r) {
    const size_t to = r->out % RING, from = (r->out - r->before) % RING;
    if (r->before == 0)
        ring[to] = (uint8_t)r->n;
    else if (r->before >= r->n && to + r->n <= RING && from + r->n <= RING)
        memcpy(ring + to, ring + from, r->n);
    else
        for (size_t i = 0; i < r->n; i++)
            ring[(to + i) % RING] = ring[(from + i) % RING];
}

rad_status skim_trace(const struct skim_past *past, rad_skim_read *read, void *file, rad_skim_place *place, bool *ret_good,
                      rad_error *err) {
    rad_status st = RAD_OK;
    const struct skim_block *end = &past->block[past->n];
    struct trace *t = rad_calloc(1, sizeof *t);
    uint8_t *ring = rad_calloc(1, RING);
    const size_t n = end->out < RAD_SKIM_WINDOW ? (size_t)end->out : RAD_SKIM_WINDOW;
    *ret_good = true;
    if (!t || !ring || !(t->tables = rad_calloc(1, sizeof *t->tables))) {
        st = rad_error_set(err, RAD_E_NOMEM, "no memory to pass over gzip data");
        goto out;
    }
    for (uint64_t at = end->out - n; at < end->out; at += 64)
        need(t, at, low_bits(end->out - at < 64 ? (unsigned)(end->out - at) : 64));
    for (size_t i = past->n; i > 0 && t->n_needed > 0 && *ret_good; i--)
        RAD_TRY(trace_block(t, past, i - 1, read, file, ret_good, err));
    if (!*ret_good)
        goto out;
    for (size_t i = 0; i < place->n; i++)
        ring[(place->out - place->n + i) % RING] = place->window[i];
    for (size_t i = t->n_record; i > 0; i--)
        carry_out(ring, &t->record[i - 1]);
    for (size_t i = 0; i < n; i++)
        place->window[i] = ring[(end->out - n + i) % RING];
    place->n = n;
    place->bit = end->bit;
    place->out = end->out;
out:
    if (t) {
        free(t->record);
        free(t->tables);
        free(t->bytes);
    }
    free(t);
    free(ring);
    return st;
}

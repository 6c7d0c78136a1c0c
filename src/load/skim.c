/* skim.c: counting what comes of deflate data.
 *
 * A symbol's place is known when the one before it is read: a chain of table look-ups, some twenty cycles a step, in which the processor
 * mostly waits. So a block is counted from several places at once. Where symbols begin further on is not known; but who starts anywhere
 * falls in step with the true symbols after a few dozen, as prefix codes do, and from a place that both have come to all is the same. A
 * lane that starts on a guess notes the first places it comes to; the lane before it, when it gets there, looks for one of them. If there
 * is none, the guess is thrown away and the lane before it goes on: the outcome does not depend on the guesses. (Klein and Wiseman 2003 use
 * the same property of Huffman codes for parallel decoding.) How long a block is, is guessed from the one before.
 */
#include "skim.h"

#include <stdlib.h>
#include <string.h>

#define BUFFER_BYTES ((size_t)2 << 20)
#define AHEAD_BYTES ((size_t)256 << 10) /* of a block, are there before it is begun */
#define MAX_BLOCK_BYTES ((size_t)1 << 20)
#define MAX_BLOCK_OUT ((uint64_t)1 << 30) /* offsets in a block are 32 bits wide */
#define MAX_GROUPS ((size_t)1 << 21)      /* 16 MB; then the window is made and what was before it is forgotten */
#define MAX_LANE_GROUPS ((size_t)1 << 19)
#define GROUP_STEPS 32
#define FINE_STEPS 128 /* noted singly, at the start of a guess */
#define MIN_GUESS_BITS ((uint64_t)48 << 10)
#define STEP_BYTES 6 /* read by a step at most, rounded up: 12 + 5 + 10 + 13 bits */
enum { LANES = 3 };

struct rad_skim {
    rad_skim_read *read;
    void *file;
    uint8_t *buffer; /* BUFFER_BYTES of the file from `at`, and SKIM_PAD more */
    size_t at, n;
    bool eof;
    uint64_t bit, out; /* where the next block begins: of the file, of the data */
    uint64_t guess;    /* bits of a block */
    bool last;         /* the block before was the member's last one */
    bool failed;
    struct skim_block *block; /* since `place`; block[n_block] is the one that comes next */
    size_t n_block, room_block;
    struct skim_group *group;
    size_t n_group, room_group;
    struct lane *lane; /* LANES of them */
    struct skim_tables *tables;
    rad_skim_place *place;
};

/* One reader of symbols. `bits`: those that come next, `n` of them counted; the ones above are right, too, or zero. */
struct cursor {
    const uint8_t *in;
    uint64_t bits;
    uint64_t out;
    unsigned n;
};

struct lane {
    struct cursor c;
    const uint8_t *limit;     /* the step that passes it is the last */
    uint64_t start;           /* bit of the buffer */
    struct skim_group *group; /* bits from the block's header, bytes from the lane's start */
    size_t n_group, room, n_fine;
    enum { RUNNING, ENDED, DEAD, DROPPED, SHORT, MERGED } state;
    int next;        /* the lane whose start it is to reach, LANES = none */
    size_t merge_at; /* MERGED: the group of `next` that it came to */
};

rad_skim *rad_skim_create(rad_skim_read *read, void *file, size_t at) {
    rad_skim *k = rad_calloc(1, sizeof *k);
    if (!k)
        return NULL;
    k->read = read;
    k->file = file;
    k->bit = 8 * (uint64_t)at;
    k->at = at;
    k->buffer = rad_calloc(1, BUFFER_BYTES + SKIM_PAD);
    k->lane = rad_calloc(LANES, sizeof *k->lane);
    k->tables = rad_calloc(1, sizeof *k->tables);
    k->place = rad_calloc(1, sizeof *k->place);
    if (!k->buffer || !k->lane || !k->tables || !k->place) {
        rad_skim_destroy(&k);
        return NULL;
    }
    k->place->bit = k->bit;
    return k;
}

void rad_skim_destroy(rad_skim **kp) {
    rad_skim *k = *kp;
    if (!k)
        return;
    for (int i = 0; k->lane && i < LANES; i++)
        free(k->lane[i].group);
    free(k->lane);
    free(k->tables);
    free(k->place);
    free(k->buffer);
    free(k->block);
    free(k->group);
    free(k);
    *kp = NULL;
}

/* ---------------------------------------------------------------- steps */

static inline uint64_t load64(const uint8_t *p) {
    uint64_t v = 0;
    for (int i = 0; i < 8; i++) /* one load on little-endian machines */
        v |= (uint64_t)p[i] << (8 * i);
    return v;
}

static inline void refill(struct cursor *c) {
    c->bits |= load64(c->in) << c->n;
    c->in += (63 - c->n) >> 3;
    c->n |= 56;
}

static inline uint64_t bit_of(const struct cursor *c, const uint8_t *data) {
    return 8 * (uint64_t)(c->in - data) - c->n;
}

static struct cursor cursor_at(const uint8_t *data, uint64_t bit) {
    struct cursor c = {.in = data + (bit >> 3)};
    refill(&c);
    c.bits >>= bit & 7;
    c.n -= bit & 7;
    return c;
}

/* One entry of each table without a branch that depends on the data: literals, or a match, or both. False: something else is there, and
 * nothing was taken. */
static inline __attribute__((always_inline)) bool step(struct cursor *c, const struct skim_tables *t) {
    refill(c);
    const uint32_t e = t->count_lit[c->bits & ((1u << SKIM_LIT_BITS) - 1)];
    if (__builtin_expect((e & SKIM_ODD) != 0, 0))
        return false;
    const unsigned extra = e >> 8 & 15;
    uint64_t b = c->bits >> (e & 63);
    const uint32_t made = (e >> 16) + (uint32_t)(b & (((uint64_t)1 << extra) - 1));
    b >>= extra;
    const unsigned d = t->count_dist[(b & ((1u << SKIM_DIST_BITS) - 1)) + ((e & SKIM_MATCH) << (SKIM_DIST_BITS - 7))];
    if (__builtin_expect((d & SKIM_ODD_DIST) != 0, 0))
        return false;
    c->bits = b >> d;
    c->n -= (e & 63) + extra + d;
    c->out += made;
    return true;
}

/* Any one symbol, with its distance. */
enum symbol { SYMBOL, SYMBOL_END, SYMBOL_BAD };
static enum symbol slow_step(struct cursor *c, const struct skim_tables *t) {
    unsigned n = 0;
    refill(c);
    const int s = skim_symbol(&t->lit_code, c->bits, &n);
    if (s < 0 || s > SKIM_END + 29)
        return SYMBOL_BAD;
    c->bits >>= n;
    c->n -= n;
    if (s == SKIM_END)
        return SYMBOL_END;
    if (s < SKIM_END) {
        c->out++;
        return SYMBOL;
    }
    const unsigned extra = skim_length_extra[s - SKIM_END - 1];
    c->out += skim_length_base[s - SKIM_END - 1] + (c->bits & ((1u << extra) - 1));
    c->bits >>= extra;
    c->n -= extra;
    const int d = skim_symbol(&t->dist_code, c->bits, &n); /* 15 + 5 + 15 + 13 bits: fewer than a refill brings */
    if (d < 0 || d > 29)
        return SYMBOL_BAD;
    c->bits >>= n + skim_dist_extra[d];
    c->n -= n + skim_dist_extra[d];
    return SYMBOL;
}

/* Up to `times` groups of `steps` steps in `lanes` lanes at once, noting where each group ends. Ends early when a lane is at its limit (0)
 * or in front of something odd (its number plus one). */
#define RUN_LANES(lanes)                                                                                                                   \
    do {                                                                                                                                   \
        struct cursor c0 = l[0]->c, c1 = l[(lanes) > 1 ? 1 : 0]->c, c2 = l[(lanes) > 2 ? 2 : 0]->c;                                        \
        int odd = 0;                                                                                                                       \
        bool limit = false;                                                                                                                \
        for (size_t g = 0; g < times && !limit && !odd; g++) {                                                                             \
            for (int i = 0; i < steps; i++) {                                                                                              \
                if (!step(&c0, t)) {                                                                                                       \
                    odd = 1;                                                                                                               \
                    break;                                                                                                                 \
                }                                                                                                                          \
                if ((lanes) > 1 && !step(&c1, t)) {                                                                                        \
                    odd = 2;                                                                                                               \
                    break;                                                                                                                 \
                }                                                                                                                          \
                if ((lanes) > 2 && !step(&c2, t)) {                                                                                        \
                    odd = 3;                                                                                                               \
                    break;                                                                                                                 \
                }                                                                                                                          \
            }                                                                                                                              \
            limit = note(l[0], &c0, data, header);                                                                                         \
            if ((lanes) > 1)                                                                                                               \
                limit |= note(l[1], &c1, data, header);                                                                                    \
            if ((lanes) > 2)                                                                                                               \
                limit |= note(l[2], &c2, data, header);                                                                                    \
        }                                                                                                                                  \
        l[0]->c = c0;                                                                                                                      \
        if ((lanes) > 1)                                                                                                                   \
            l[1]->c = c1;                                                                                                                  \
        if ((lanes) > 2)                                                                                                                   \
            l[2]->c = c2;                                                                                                                  \
        return odd;                                                                                                                        \
    } while (0)

static inline __attribute__((always_inline)) bool note(struct lane *l, const struct cursor *c, const uint8_t *data, uint64_t header) {
    l->group[l->n_group++] = (struct skim_group){(uint32_t)(bit_of(c, data) - header), (uint32_t)c->out};
    return c->in >= l->limit;
}

static inline __attribute__((always_inline)) int run_any(struct lane *const *l, int lanes, const struct skim_tables *t, size_t times,
                                                         int steps, const uint8_t *data, uint64_t header) {
    if (lanes == 1)
        RUN_LANES(1);
    if (lanes == 2)
        RUN_LANES(2);
    RUN_LANES(3);
}

static int run_plain(struct lane *const *l, int lanes, const struct skim_tables *t, size_t times, int steps, const uint8_t *data,
                     uint64_t header) {
    return run_any(l, lanes, t, times, steps, data, header);
}

#ifdef __x86_64__
/* Shifts by a register without the detour over CL and the flags: half the instructions of a step. */
RAD_TARGET("bmi,bmi2")
static int run_bmi2(struct lane *const *l, int lanes, const struct skim_tables *t, size_t times, int steps, const uint8_t *data,
                    uint64_t header) {
    return run_any(l, lanes, t, times, steps, data, header);
}

static int run(struct lane *const *l, int lanes, const struct skim_tables *t, size_t times, int steps, const uint8_t *data,
               uint64_t header) {
    return __builtin_cpu_supports("bmi2") ? run_bmi2(l, lanes, t, times, steps, data, header)
                                          : run_plain(l, lanes, t, times, steps, data, header);
}
#else
static int run(struct lane *const *l, int lanes, const struct skim_tables *t, size_t times, int steps, const uint8_t *data,
               uint64_t header) {
    return run_plain(l, lanes, t, times, steps, data, header);
}
#endif

/* ---------------------------------------------------------------- lanes */

/* What a block is counted with. */
struct race {
    const uint8_t *data, *end; /* the buffer; a step that begins before `end` stays inside of it */
    uint64_t header;           /* bit of the buffer where the block begins */
    struct lane *lane;
    int n_lane;
    const struct skim_tables *t;
};

static rad_status reserve(struct lane *l, size_t more, rad_error *err) {
    if (l->n_group + more <= l->room)
        return RAD_OK;
    size_t room = 2 * (l->n_group + more) + 1024;
    struct skim_group *g = rad_realloc(l->group, room, sizeof *g);
    if (!g)
        return rad_error_set(err, RAD_E_NOMEM, "no memory for the places of a gzip file");
    l->group = g;
    l->room = room;
    return RAD_OK;
}

static void set_limit(const struct race *r, struct lane *l) {
    l->limit = r->end;
    if (l->next < r->n_lane) {
        const uint8_t *there = r->data + (r->lane[l->next].start >> 3) + 9; /* `in` is up to eight bytes ahead of its bits */
        if (there < l->limit)
            l->limit = there;
    }
}

/* Past the start of the lane `next`: on, symbol by symbol, to a place that it came to, too; or past all that it noted: it is dropped then.
 */
static rad_status meet(const struct race *r, struct lane *l, rad_error *err) {
    while (l->state == RUNNING && l->c.in >= l->limit) {
        if (l->next >= r->n_lane) {
            l->state = SHORT;
            return RAD_OK;
        }
        struct lane *next = &r->lane[l->next];
        size_t j = 0;
        for (;;) {
            const uint64_t here = bit_of(&l->c, r->data) - r->header;
            while (j < next->n_fine && next->group[j].bit < here)
                j++;
            if (j == next->n_fine)
                break;
            if (next->group[j].bit == here) {
                l->merge_at = j;
                l->state = MERGED;
                if (next->state == DROPPED) /* by a lane that itself was wrong */
                    next->state = RUNNING;
                return RAD_OK;
            }
            const rad_status st = reserve(l, 1, err);
            if (st != RAD_OK)
                return st;
            if (l->c.in >= r->end) {
                l->state = SHORT;
                return RAD_OK;
            }
            const enum symbol s = step(&l->c, r->t) ? SYMBOL : slow_step(&l->c, r->t);
            (void)note(l, &l->c, r->data, r->header);
            if (s != SYMBOL) {
                l->state = s == SYMBOL_END ? ENDED : DEAD;
                return RAD_OK;
            }
        }
        if (next->state == RUNNING)
            next->state = DROPPED;
        l->next++;
        set_limit(r, l);
    }
    return RAD_OK;
}

/* The lane in which the true symbols are read now, or their end was found. */
static const struct lane *leader(const struct race *r) {
    const struct lane *l = r->lane;
    while (l->state == MERGED)
        l = &r->lane[l->next];
    return l;
}

static rad_status race(const struct race *r, rad_error *err) {
    rad_status st = RAD_OK;
    while (leader(r)->state == RUNNING && st == RAD_OK) {
        struct lane *on[LANES];
        int n = 0;
        bool fine = false;
        for (int i = 0; i < r->n_lane; i++)
            if (r->lane[i].state == RUNNING) {
                on[n++] = &r->lane[i];
                fine |= i > 0 && r->lane[i].n_group < FINE_STEPS;
            }
        const size_t times = fine ? FINE_STEPS : 4 * FINE_STEPS;
        for (int i = 0; i < n && st == RAD_OK; i++)
            st = reserve(on[i], times + 1, err);
        if (st != RAD_OK)
            break;
        const int odd = run(on, n, r->t, times, fine ? 1 : GROUP_STEPS, r->data, r->header);
        if (odd > 0) {
            struct lane *l = on[odd - 1];
            const enum symbol s = slow_step(&l->c, r->t);
            (void)note(l, &l->c, r->data, r->header);
            if (s != SYMBOL)
                l->state = s == SYMBOL_END ? ENDED : DEAD;
        }
        for (int i = 0; i < n && st == RAD_OK; i++) {
            if (fine)
                on[i]->n_fine = on[i]->n_group;
            if (on[i]->n_group > MAX_LANE_GROUPS || on[i]->c.out > MAX_BLOCK_OUT)
                on[i]->state = DEAD;
            if (on[i]->state == RUNNING)
                st = meet(r, on[i], err);
        }
    }
    return st;
}

/* ---------------------------------------------------------------- blocks */

static rad_status add_group(rad_skim *k, struct skim_group g, rad_error *err) {
    if (k->n_group == k->room_group) {
        size_t room = 2 * k->room_group + 4096;
        struct skim_group *p = rad_realloc(k->group, room, sizeof *p);
        if (!p)
            return rad_error_set(err, RAD_E_NOMEM, "no memory for the places of a gzip file");
        k->group = p;
        k->room_group = room;
    }
    k->group[k->n_group++] = g;
    return RAD_OK;
}

/* The lanes' groups in a row, those that the true symbols came by: each with where it begins. */
static rad_status join_lanes(rad_skim *k, const struct race *r, uint64_t body, uint64_t *ret_bits, uint64_t *ret_out, rad_error *err) {
    rad_status st = add_group(k, (struct skim_group){(uint32_t)(body - r->header), 0}, err);
    const struct lane *l = r->lane;
    uint32_t before = 0;
    size_t i = 0;
    while (st == RAD_OK) {
        for (; i < l->n_group && st == RAD_OK; i++) /* the last one of all is the end of the block: it begins none */
            if (l->state != ENDED || i + 1 < l->n_group)
                st = add_group(k, (struct skim_group){l->group[i].bit, before + l->group[i].out}, err);
        if (l->state != MERGED)
            break;
        const struct lane *next = &r->lane[l->next];
        before += (uint32_t)l->c.out - next->group[l->merge_at].out;
        i = l->merge_at + 1;
        l = next;
    }
    *ret_bits = bit_of(&l->c, r->data) - r->header;
    *ret_out = before + l->c.out;
    return st;
}

/* Bytes [bit / 8, + AHEAD_BYTES or more) of the file into the buffer, zeros behind the file's end. */
static rad_status look_ahead(rad_skim *k, size_t ahead, rad_error *err) {
    const size_t byte = (size_t)(k->bit >> 3), gone = byte - k->at;
    rad_status st = RAD_OK;
    if (k->eof || gone + ahead <= k->n)
        return RAD_OK;
    memmove(k->buffer, k->buffer + gone, k->n - gone);
    k->n -= gone;
    k->at = byte;
    while (k->n < BUFFER_BYTES && !k->eof) {
        size_t got = 0, want = BUFFER_BYTES - k->n;
        RAD_TRY(k->read(k->file, k->at + k->n, k->buffer + k->n, want, &got, err));
        k->n += got;
        k->eof = got < want;
    }
    memset(k->buffer + k->n, 0, SKIM_PAD);
out:
    return st;
}

static rad_status count_codes(rad_skim *k, const struct skim_head *h, uint64_t header, uint64_t *ret_bits, uint64_t *ret_out,
                              rad_error *err) {
    rad_status st = RAD_OK;
    const size_t n = k->n;
    const size_t spare = (size_t)STEP_BYTES * GROUP_STEPS + 16;
    struct race r = {.data = k->buffer, .header = header, .lane = k->lane, .n_lane = 1, .t = k->tables};
    r.end = k->buffer + (k->eof ? n + 8 : n > spare ? n - spare : 0); /* `in` is up to eight bytes ahead */
    skim_tables_for_counting(k->tables);
    const uint64_t body = h->body, most = 8 * (uint64_t)(r.end - r.data);
    if (k->guess >= MIN_GUESS_BITS && body + k->guess < most)
        r.n_lane = LANES;
    for (int i = 0; i < r.n_lane; i++) {
        struct lane *l = &r.lane[i];
        l->start = body + k->guess * (uint64_t)i / LANES;
        l->c = cursor_at(r.data, l->start);
        l->n_group = l->n_fine = 0;
        l->state = RUNNING;
        l->next = i + 1;
    }
    for (int i = 0; i < r.n_lane; i++)
        set_limit(&r, &r.lane[i]);
    RAD_TRY(race(&r, err));
    const struct lane *l = leader(&r);
    *ret_bits = 0; /* not to its end */
    if (l->state == ENDED && bit_of(&l->c, r.data) <= 8 * (uint64_t)n)
        RAD_TRY(join_lanes(k, &r, body, ret_bits, ret_out, err));
    k->failed |= l->state == DEAD || (*ret_bits == 0 && k->eof);
out:
    return st;
}

/* Near the front of the data a symbol may refer to what is before them: counting does not see it. Bit `header` of the buffer, groups from
 * `first`. */
static bool stays_behind_front(rad_skim *k, size_t first, uint64_t header, uint64_t bits) {
    struct skim_symbol s[SKIM_GROUP_SYMBOLS];
    skim_tables_for_reading(k->tables);
    for (size_t g = first; g < k->n_group && k->out + k->group[g].out < RAD_SKIM_WINDOW; g++) {
        const uint64_t end = g + 1 < k->n_group ? k->group[g + 1].bit : bits;
        const int n = skim_read_group(k->buffer, header + k->group[g].bit, header + end, k->group[g].out, k->tables, s);
        for (int i = 0; i < n; i++)
            if (s[i].before > k->out + s[i].out)
                return false;
        if (n < 0)
            return false;
    }
    return true;
}

/* Behind the block that comes next, of which a record is made. */
static rad_status next_block(rad_skim *k, rad_error *err) {
    rad_status st = RAD_OK;
    struct skim_head h;
    uint64_t bits = 0, out = 0;
    if (k->n_block + 1 >= k->room_block) {
        size_t room = 2 * k->room_block + 64;
        struct skim_block *p = rad_realloc(k->block, room, sizeof *p);
        if (!p)
            return rad_error_set(err, RAD_E_NOMEM, "no memory for the places of a gzip file");
        k->block = p;
        k->room_block = room;
    }
    const size_t first = k->n_group;
    for (size_t ahead = AHEAD_BYTES; bits == 0 && !k->failed; ahead *= 4) {
        RAD_TRY(look_ahead(k, ahead, err));
        const uint64_t header = k->bit - 8 * (uint64_t)k->at;
        if (ahead > MAX_BLOCK_BYTES || !skim_head_read(k->buffer, header, &h, k->tables) || h.body > 8 * (uint64_t)k->n) {
            k->failed = true;
        } else if (h.stored) {
            RAD_TRY(add_group(k, (struct skim_group){(uint32_t)(h.body - header), 0}, err));
            bits = h.body - header + 8 * (uint64_t)h.n;
            out = h.n;
        } else {
            RAD_TRY(count_codes(k, &h, header, &bits, &out, err));
            k->failed |= bits > 0 && k->out < RAD_SKIM_WINDOW && !stays_behind_front(k, first, header, bits);
        }
    }
    if (k->failed) {
        k->n_group = first;
        goto out;
    }
    k->block[k->n_block++] = (struct skim_block){.bit = k->bit, .out = k->out, .group = first, .bits = (uint32_t)bits};
    if (!h.stored && k->guess / 4 * 3 < bits) /* one cut short by a flush says little about the next */
        k->guess = bits;
    else if (!h.stored)
        k->guess = k->guess / 4 * 3;
    k->bit += bits;
    k->out += out;
    k->last = h.last;
out:
    return st;
}

/* `place` to where the block `n` begins; what was before it is forgotten. */
static rad_status anchor(rad_skim *k, size_t n, rad_error *err) {
    bool good = false;
    k->block[k->n_block] = (struct skim_block){.bit = k->bit, .out = k->out, .group = k->n_group};
    const struct skim_past past = {.block = k->block, .n = n, .group = k->group};
    const size_t groups = k->block[n].group;
    rad_status st = skim_trace(&past, k->read, k->file, k->place, &good, err);
    if (st != RAD_OK)
        return st;
    k->failed |= !good;
    memmove(k->group, k->group + groups, (k->n_group - groups) * sizeof *k->group);
    memmove(k->block, k->block + n, (k->n_block - n) * sizeof *k->block);
    k->n_group -= groups;
    k->n_block -= n;
    for (size_t i = 0; i < k->n_block; i++)
        k->block[i].group -= groups;
    return RAD_OK;
}

rad_status rad_skim_to(rad_skim *k, uint64_t target, const rad_skim_place **ret, rad_error *err) {
    rad_status st = RAD_OK;
    while (k->out <= target && !k->last && !k->failed && st == RAD_OK) {
        st = next_block(k, err);
        if (st == RAD_OK && k->n_group > MAX_GROUPS && k->out <= target)
            st = anchor(k, k->n_block, err);
    }
    if (st != RAD_OK)
        return st;
    k->failed |= k->out <= target; /* the member ends before it */
    size_t n = k->n_block;
    while (n > 0 && (n == k->n_block ? k->out : k->block[n].out) > target)
        n--;
    if (!k->failed && n > 0)
        st = anchor(k, n, err);
    if (st == RAD_OK)
        *ret = k->failed ? NULL : k->place;
    return st;
}

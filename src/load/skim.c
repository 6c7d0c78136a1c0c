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

#define BUFFER_BYTES ((size_t)2 << 20)
#define MAX_BLOCK_BYTES ((size_t)256 << 10) /* zlib's are a quarter of it at most; all of one, and a group more, is in the buffer */
#define MAX_BLOCK_OUT ((uint64_t)1 << 30)   /* offsets in a block are 32 bits wide */
#define MAX_GROUPS ((size_t)1 << 21)        /* 16 MB; then the window is made and what was before it is forgotten */
#define MAX_LANE_GROUPS ((size_t)1 << 19)
#define GROUP_STEPS 32
#define FINE_STEPS 128 /* noted singly, at the start of a guess */
#define MIN_GUESS_BITS ((uint64_t)48 << 10)
#define GROUP_BYTES ((size_t)256) /* passed by a group and a symbol, and read behind them, at most: steps of 12 + 5 + 10 + 13 bits */
enum { LANES = 4 };

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

/* One reader of symbols: the bit of the buffer in front of which it stands, the bytes that came of it. */
struct cursor {
    uint64_t at, out;
};

struct lane {
    struct cursor c;
    uint64_t limit;           /* bit: the group that comes to it is the last */
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

/* One entry of each table without a branch that depends on the data: literals, or a match, or both. False: something else is there, and
 * nothing was taken. */
RAD_ALWAYS_INLINE static bool step(struct cursor *c, const uint8_t *data, const struct skim_tables *t) {
    const uint64_t bits = skim_peek(data, c->at);
    const uint32_t e = t->count_lit[bits & ((1u << SKIM_LIT_BITS) - 1)];
    if (__builtin_expect((e & SKIM_ODD) != 0, 0))
        return false;
    const unsigned n = e & 63;
    const uint64_t own = bits & (((uint64_t)1 << n) - 1);
    const unsigned d = t->count_dist[(bits >> n & ((1u << SKIM_DIST_BITS) - 1)) | (e & SKIM_MATCH)];
    if (__builtin_expect((d & SKIM_ODD_DIST) != 0, 0))
        return false;
    c->at += n + d;
    c->out += (e >> 16) + (own >> (e >> 12 & 15));
    return true;
}

/* Any one symbol, with its distance. */
enum symbol { SYMBOL, SYMBOL_END, SYMBOL_BAD };
static enum symbol slow_step(struct cursor *c, const uint8_t *data, const struct skim_tables *t) {
    unsigned n = 0;
    uint64_t bits = skim_peek(data, c->at);
    const int s = skim_symbol(&t->lit_code, bits, &n);
    if (s < 0 || s > SKIM_END + 29)
        return SYMBOL_BAD;
    c->at += n;
    if (s == SKIM_END)
        return SYMBOL_END;
    if (s < SKIM_END) {
        c->out++;
        return SYMBOL;
    }
    const unsigned extra = skim_length_extra[s - SKIM_END - 1];
    c->out += skim_length_base[s - SKIM_END - 1] + (bits >> n & ((1u << extra) - 1));
    c->at += extra;
    bits = skim_peek(data, c->at);
    const int d = skim_symbol(&t->dist_code, bits, &n);
    if (d < 0 || d > 29)
        return SYMBOL_BAD;
    c->at += n + skim_dist_extra[d];
    return SYMBOL;
}

/* Notes where it is, counted from bit `header`. True: at its limit. */
RAD_ALWAYS_INLINE static bool note(struct lane *l, const struct cursor *c, uint64_t header) {
    l->group[l->n_group++] = (struct skim_group){(uint32_t)(c->at - header), (uint32_t)c->out};
    return c->at >= l->limit;
}

/* Up to `times` groups of `steps` steps in `lanes` lanes at once, noting where each group ends. Ends early when a lane is at its limit (0)
 * or in front of something odd (its number plus one). Compiled for each number of lanes, so that all cursors are in registers. */
RAD_ALWAYS_INLINE static int run_lanes(struct lane *const *l, const int lanes, const struct skim_tables *t, size_t times, int steps,
                                       const uint8_t *data, uint64_t header) {
    struct cursor c[LANES];
    int odd = 0;
    bool limit = false;
    for (int j = 0; j < lanes; j++)
        c[j] = l[j]->c;
    for (size_t g = 0; g < times && !limit && !odd; g++) {
        for (int i = 0; i < steps && !odd; i++)
            for (int j = 0; j < lanes; j++)
                if (!step(&c[j], data, t)) {
                    odd = j + 1;
                    break;
                }
        for (int j = 0; j < lanes; j++)
            limit |= note(l[j], &c[j], header);
    }
    for (int j = 0; j < lanes; j++)
        l[j]->c = c[j];
    return odd;
}

RAD_ALWAYS_INLINE static int run_any(struct lane *const *l, int lanes, const struct skim_tables *t, size_t times, int steps,
                                     const uint8_t *data, uint64_t header) {
    switch (lanes) {
    case 1:
        return run_lanes(l, 1, t, times, steps, data, header);
    case 2:
        return run_lanes(l, 2, t, times, steps, data, header);
    case 3:
        return run_lanes(l, 3, t, times, steps, data, header);
    default:
        return run_lanes(l, LANES, t, times, steps, data, header);
    }
}

static int run_plain(struct lane *const *l, int lanes, const struct skim_tables *t, size_t times, int steps, const uint8_t *data,
                     uint64_t header) {
    return run_any(l, lanes, t, times, steps, data, header);
}

#ifdef __x86_64__
/* Shifts by a register without the detour over CL and the flags. */
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
    const uint8_t *data;  /* the buffer */
    uint64_t header, end; /* bits of it: where the block begins; a group that begins before `end` stays inside */
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
    const bool first = l->next < r->n_lane && r->lane[l->next].start < r->end;
    l->limit = first ? r->lane[l->next].start : r->end;
}

/* Past the start of the lane `next`: on, symbol by symbol, to a place that it came to, too; or past all that it noted: it is dropped then.
 */
static rad_status meet(const struct race *r, struct lane *l, rad_error *err) {
    while (l->state == RUNNING && l->c.at >= l->limit) {
        if (l->next >= r->n_lane) {
            l->state = SHORT;
            return RAD_OK;
        }
        struct lane *next = &r->lane[l->next];
        size_t j = 0;
        for (;;) {
            const uint64_t here = l->c.at - r->header;
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
            if (l->c.at >= r->end) {
                l->state = SHORT;
                return RAD_OK;
            }
            const enum symbol s = step(&l->c, r->data, r->t) ? SYMBOL : slow_step(&l->c, r->data, r->t);
            if (s != SYMBOL) {
                l->state = s == SYMBOL_END ? ENDED : DEAD;
                return RAD_OK;
            }
            (void)note(l, &l->c, r->header);
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
            const enum symbol s = slow_step(&l->c, r->data, r->t);
            if (s == SYMBOL)
                (void)note(l, &l->c, r->header);
            else /* where it stands now no other lane can meet it */
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
        for (; i < l->n_group && st == RAD_OK; i++)
            st = add_group(k, (struct skim_group){l->group[i].bit, before + l->group[i].out}, err);
        if (l->state != MERGED)
            break;
        const struct lane *next = &r->lane[l->next];
        before += (uint32_t)l->c.out - next->group[l->merge_at].out;
        i = l->merge_at + 1;
        l = next;
    }
    *ret_bits = l->c.at - r->header;
    *ret_out = before + l->c.out;
    return st;
}

/* Bytes [bit / 8, + MAX_BLOCK_BYTES + GROUP_BYTES or more) of the file into the buffer, zeros behind the file's end. */
static rad_status look_ahead(rad_skim *k, rad_error *err) {
    const size_t byte = (size_t)(k->bit >> 3), gone = byte - k->at;
    rad_status st = RAD_OK;
    if (k->eof || gone + MAX_BLOCK_BYTES + GROUP_BYTES <= k->n)
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
    const uint64_t n = 8 * (uint64_t)k->n, most = header + 8 * MAX_BLOCK_BYTES;
    struct race r = {.data = k->buffer, .header = header, .end = n < most ? n : most, .lane = k->lane, .n_lane = 1, .t = k->tables};
    skim_tables_for_counting(k->tables);
    const uint64_t body = h->body;
    if (k->guess >= MIN_GUESS_BITS && body + k->guess < r.end)
        r.n_lane = LANES;
    for (int i = 0; i < r.n_lane; i++) {
        struct lane *l = &r.lane[i];
        l->start = body + k->guess * (uint64_t)i / LANES;
        l->c = (struct cursor){.at = l->start};
        l->n_group = l->n_fine = 0;
        l->state = RUNNING;
        l->next = i + 1;
    }
    for (int i = 0; i < r.n_lane; i++)
        set_limit(&r, &r.lane[i]);
    RAD_TRY(race(&r, err));
    const struct lane *l = leader(&r);
    k->failed = l->state != ENDED || l->c.at > n;
    if (!k->failed)
        RAD_TRY(join_lanes(k, &r, body, ret_bits, ret_out, err));
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
    RAD_TRY(look_ahead(k, err));
    const uint64_t header = k->bit - 8 * (uint64_t)k->at;
    if (!skim_head_read(k->buffer, header, &h, k->tables) || h.body > 8 * (uint64_t)k->n) {
        k->failed = true;
    } else if (h.stored) {
        RAD_TRY(add_group(k, (struct skim_group){(uint32_t)(h.body - header), 0}, err));
        bits = h.body - header + 8 * (uint64_t)h.n;
        out = h.n;
        k->failed = header + bits > 8 * (uint64_t)k->n; /* the file ends in it */
    } else {
        RAD_TRY(count_codes(k, &h, header, &bits, &out, err));
        k->failed = k->failed || (k->out < RAD_SKIM_WINDOW && !stays_behind_front(k, first, header, bits));
    }
    if (k->failed) {
        k->n_group = first;
        goto out;
    }
    k->block[k->n_block++] = (struct skim_block){.bit = k->bit, .out = k->out, .group = first, .bits = (uint32_t)bits};
    if (bits >= MIN_GUESS_BITS && !h.stored) /* one that a flush cut short says little about the next */
        k->guess = bits > k->guess / 4 * 3 ? bits : k->guess / 4 * 3;
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

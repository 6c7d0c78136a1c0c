/* skim_code.c: the prefix codes of a deflate block (RFC 1951, 3.2.2 and 3.2.5 to 3.2.7) as tables, for counting and for reading. */
#include "skim.h"

const uint16_t skim_length_base[29] = {3,  4,  5,  6,  7,  8,  9,  10, 11,  13,  15,  17,  19,  23, 27,
                                       31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258};
const uint8_t skim_length_extra[29] = {0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0};
const uint16_t skim_dist_base[30] = {1,   2,   3,   4,   5,   7,    9,    13,   17,   25,   33,   49,   65,    97,    129,
                                     193, 257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097, 6145, 8193, 12289, 16385, 24577};
const uint8_t skim_dist_extra[30] = {0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13};

/* Which codes may leave words unused (as zlib decides): none, those of one symbol of one bit or of no symbol, any. */
enum unused { UNUSED_NONE, UNUSED_HALF, UNUSED_ANY };

/* False: over-subscribed, or words are left unused that may not be. */
static bool code_of_lengths(const uint8_t *length, int n, enum unused may, struct skim_code *c) {
    int offset[17] = {0}, left = 1;
    memset(c->count, 0, sizeof c->count);
    for (int i = 0; i < n; i++)
        c->count[length[i]]++;
    c->count[0] = 0;
    for (int l = 1; l < 16; l++) {
        offset[l + 1] = offset[l] + c->count[l];
        left = 2 * left - c->count[l];
        if (left < 0)
            return false;
    }
    for (int i = 0; i < n; i++)
        if (length[i] > 0)
            c->symbol[offset[length[i]]++] = (uint16_t)i;
    const bool one_bit = left == 1 << 14 && c->count[1] == 1, no_symbol = left == 1 << 15;
    return left == 0 || may == UNUSED_ANY || (may == UNUSED_HALF && (one_bit || no_symbol));
}

int skim_symbol(const struct skim_code *c, uint64_t bits, unsigned *ret_n) {
    int code = 0, first = 0, index = 0;
    for (int l = 1; l < 16; l++) { /* codes come with their highest bit first */
        code |= (int)(bits & 1);
        bits >>= 1;
        if (code - c->count[l] < first) {
            *ret_n = (unsigned)l;
            return c->symbol[index + code - first];
        }
        index += c->count[l];
        first = (first + c->count[l]) << 1;
        code <<= 1;
    }
    return -1;
}

/* The code behind `code` of `length` bits, both with their bits reversed, as they lie in the data. */
static uint32_t next_code(uint32_t code, int length) {
    uint32_t bit = 1u << (length - 1);
    while (bit > 0 && (code & bit) != 0) {
        code ^= bit;
        bit >>= 1;
    }
    return code | bit;
}

/* Every code of at most `bits` bits: value[symbol] + its length, repeated where further bits follow; `other` where a longer one begins. The
 * codes of length l fill a table of 2^l entries, which is doubled for those of length l + 1. */
#define FILL_TABLE(table, bits, code, value, other)                                                                                        \
    do {                                                                                                                                   \
        uint32_t at_ = 0;                                                                                                                  \
        size_t size_ = 1, rank_ = 0;                                                                                                       \
        (table)[0] = (other);                                                                                                              \
        for (int l_ = 1; l_ <= (bits); l_++) {                                                                                             \
            memcpy((table) + size_, (table), size_ * sizeof *(table));                                                                     \
            size_ *= 2;                                                                                                                    \
            for (int i_ = 0; i_ < (code)->count[l_]; i_++) {                                                                               \
                const unsigned symbol_ = (code)->symbol[rank_++];                                                                          \
                (table)[at_] = (value);                                                                                                    \
                at_ = next_code(at_, l_);                                                                                                  \
            }                                                                                                                              \
        }                                                                                                                                  \
    } while (0)

static uint32_t counting(unsigned symbol, uint32_t length) {
    if (symbol < SKIM_END)
        return 1u << 16 | length << 12 | length;
    if (symbol == SKIM_END || symbol > SKIM_END + 29)
        return SKIM_ODD;
    const unsigned k = symbol - SKIM_END - 1;
    return (uint32_t)skim_length_base[k] << 16 | length << 12 | SKIM_MATCH | (length + skim_length_extra[k]);
}

/* Two symbols in one entry, where the codes of both fit into it. */
static void join_pairs(uint32_t *restrict two, const uint32_t *restrict one) {
    for (uint32_t i = 0; i < 1u << SKIM_LIT_BITS; i++) {
        const uint32_t e = one[i], used = e >> 12 & 15, next = one[i >> used];
        const bool fits = (e & (SKIM_ODD | SKIM_MATCH)) == 0 && (next & SKIM_ODD) == 0 && used + (next >> 12 & 15) <= SKIM_LIT_BITS;
        two[i] = fits ? e + next : e;
    }
}

void skim_tables_for_counting(struct skim_tables *t) {
    FILL_TABLE(t->one, SKIM_LIT_BITS, &t->lit_code, counting(symbol_, (uint32_t)l_), SKIM_ODD);
    join_pairs(t->count_lit, t->one);
    memset(t->count_dist, 0, (size_t)1 << SKIM_DIST_BITS);
    uint8_t *dist = t->count_dist + (1 << SKIM_DIST_BITS);
    FILL_TABLE(dist, SKIM_DIST_BITS, &t->dist_code, symbol_ < 30 ? (uint8_t)(l_ + skim_dist_extra[symbol_]) : SKIM_ODD_DIST, SKIM_ODD_DIST);
}

void skim_tables_for_reading(struct skim_tables *t) {
    FILL_TABLE(t->lit, SKIM_LIT_BITS, &t->lit_code, (uint16_t)(symbol_ * 16 + (unsigned)l_), 0);
    FILL_TABLE(t->dist, SKIM_DIST_BITS, &t->dist_code, (uint16_t)(symbol_ * 16 + (unsigned)l_), 0);
}

static unsigned take(const uint8_t *data, uint64_t *at, unsigned n) {
    const unsigned v = (unsigned)(skim_peek(data, *at) & ((1u << n) - 1));
    *at += n;
    return v;
}

/* RFC 1951, 3.2.7. */
static bool dynamic_codes(const uint8_t *data, uint64_t *at, struct skim_tables *t) {
    static const uint8_t order[19] = {16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15};
    const unsigned n_lit = take(data, at, 5) + 257, n_dist = take(data, at, 5) + 1, n = take(data, at, 4) + 4;
    uint8_t of_lengths[19] = {0}, length[286 + 30] = {0}, table[128];
    struct skim_code code;
    if (n_lit > 286 || n_dist > 30)
        return false;
    for (unsigned i = 0; i < n; i++)
        of_lengths[order[i]] = (uint8_t)take(data, at, 3);
    if (!code_of_lengths(of_lengths, 19, UNUSED_NONE, &code))
        return false;
    FILL_TABLE(table, 7, &code, (uint8_t)(symbol_ * 8 + (unsigned)l_), 0);
    for (unsigned i = 0; i < n_lit + n_dist;) {
        const unsigned e = table[skim_peek(data, *at) & 127], symbol = e >> 3;
        if (e == 0)
            return false;
        *at += e & 7;
        if (symbol < 16) {
            length[i++] = (uint8_t)symbol;
            continue;
        }
        if (symbol == 16 && i == 0)
            return false;
        const uint8_t repeated = symbol == 16 ? length[i - 1] : 0;
        const unsigned times = symbol == 16 ? 3 + take(data, at, 2) : symbol == 17 ? 3 + take(data, at, 3) : 11 + take(data, at, 7);
        if (times > n_lit + n_dist - i)
            return false;
        memset(length + i, repeated, times);
        i += times;
    }
    return length[SKIM_END] > 0 && code_of_lengths(length, (int)n_lit, UNUSED_HALF, &t->lit_code) &&
           code_of_lengths(length + n_lit, (int)n_dist, UNUSED_HALF, &t->dist_code);
}

/* RFC 1951, 3.2.6. */
static bool fixed_codes(struct skim_tables *t) {
    uint8_t length[288], five[30];
    for (int i = 0; i < 288; i++)
        length[i] = i < 144 ? 8 : i < 256 ? 9 : i < 280 ? 7 : 8;
    memset(five, 5, sizeof five);
    return code_of_lengths(length, 288, UNUSED_NONE, &t->lit_code) &&
           code_of_lengths(five, 30, UNUSED_ANY, &t->dist_code); /* 30 and 31 stand for nothing */
}

bool skim_head_read(const uint8_t *data, uint64_t at, struct skim_head *ret, struct skim_tables *t) {
    *ret = (struct skim_head){.last = take(data, &at, 1) != 0};
    const unsigned kind = take(data, &at, 2);
    if (kind == 0) {
        at = (at + 7) & ~(uint64_t)7;
        const unsigned n = take(data, &at, 16), complement = take(data, &at, 16);
        ret->stored = true;
        ret->n = n;
        ret->body = at;
        return (n ^ complement) == 0xffff;
    }
    const bool good = kind == 1 ? fixed_codes(t) : kind == 2 && dynamic_codes(data, &at, t);
    ret->body = at;
    return good;
}

static uint32_t low_bits(uint64_t bits, unsigned n) {
    return (uint32_t)(bits & ((1u << n) - 1));
}

int skim_read_group(const uint8_t *data, uint64_t at, uint64_t end, uint32_t out, const struct skim_tables *c,
                    struct skim_symbol ret[SKIM_GROUP_SYMBOLS]) {
    int n = 0;
    while (at < end) {
        uint64_t bits = skim_peek(data, at);
        const uint64_t before = at;
        unsigned used = c->lit[bits & ((1u << SKIM_LIT_BITS) - 1)] & 15;
        int s = c->lit[bits & ((1u << SKIM_LIT_BITS) - 1)] >> 4;
        if (used == 0)
            s = skim_symbol(&c->lit_code, bits, &used);
        if (n == SKIM_GROUP_SYMBOLS || s < 0 || s > SKIM_END + 29)
            return -1;
        at += used;
        if (s == SKIM_END)
            return at == end ? n : -1;
        if (s < SKIM_END) {
            ret[n++] = (struct skim_symbol){out++, (uint16_t)s, 0};
            continue;
        }
        bits >>= used;
        const unsigned k = (unsigned)s - SKIM_END - 1;
        const uint32_t length = skim_length_base[k] + low_bits(bits, skim_length_extra[k]);
        at += skim_length_extra[k];
        bits = skim_peek(data, at);
        used = c->dist[bits & ((1u << SKIM_DIST_BITS) - 1)] & 15;
        int d = c->dist[bits & ((1u << SKIM_DIST_BITS) - 1)] >> 4;
        if (used == 0)
            d = skim_symbol(&c->dist_code, bits, &used);
        if (d < 0 || d > 29 || at <= before)
            return -1;
        const uint32_t back = skim_dist_base[d] + low_bits(bits >> used, skim_dist_extra[d]);
        at += used + skim_dist_extra[d];
        ret[n++] = (struct skim_symbol){out, (uint16_t)length, (uint16_t)back};
        out += length;
    }
    return at == end ? n : -1;
}

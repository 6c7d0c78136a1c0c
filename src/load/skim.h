/* skim.h: passing over deflate data (RFC 1951) without producing them.
 *
 * Inflating is two things: finding out which symbols follow one another, and copying what they say. Who wants three slices in the middle
 * of a volume needs the second of very little: of the slices, and of the 32 KB before them that the slices may refer to. So what lies
 * before is only counted (skim.c), and those 32 KB are put together from the symbols that they go back to, some of them as far as the
 * beginning of the file (skim_trace.c). From there on the ordinary inflater goes on. The bytes are those that inflating everything gives.
 *
 * Memory: 2 MB of the file, 8 bytes for some 200 bytes of data passed over but at most 32 MB of them, and 8 bytes for each symbol that the
 * window goes back to, at most 64 MB; for an abdominal CT of 105 MB 8 MB in all.
 *
 * What is not found out on the way: whether the CRC is right. Everything that is odd (invalid codes, a block of many megabytes, the end of
 * the data) is left to the inflater, which starts from the front then and says what is wrong.
 */
#ifndef RAD_LOAD_SKIM_H
#define RAD_LOAD_SKIM_H

#include <string.h>

#include "internal.h"

#define RAD_SKIM_WINDOW ((size_t)32 << 10) /* how far back a symbol may refer, RFC 1951 3.2.5 */

/* `n` bytes of the file from byte `at`; *ret_n is smaller at its end only. */
typedef rad_status rad_skim_read(void *file, size_t at, uint8_t *out, size_t n, size_t *ret_n, rad_error *err);

/* A place where a block begins. */
typedef struct rad_skim_place {
    uint64_t bit; /* of the file */
    uint64_t out; /* bytes of data before it */
    size_t n;     /* what is known of these: the last `n` of them */
    uint8_t window[RAD_SKIM_WINDOW];
} rad_skim_place;

typedef struct rad_skim rad_skim;
/* Deflate data begin at byte `at` of the file. NULL: no memory. */
rad_skim *rad_skim_create(rad_skim_read *read, void *file, size_t at);
void rad_skim_destroy(rad_skim **k);
/* On to the last block that begins at or before byte `target` of the data; never back. *ret NULL: this cannot be passed over (see above),
 * and `k` is of no further use. Borrowed, until the next call. Errors: the read function's, NOMEM. One thread at a time. */
rad_status rad_skim_to(rad_skim *k, uint64_t target, const rad_skim_place **ret, rad_error *err) RAD_MUST_CHECK;

/* ---------------------------------------------------------------- skim_code.c: the codes of a block */

#define SKIM_LIT_BITS 12
#define SKIM_DIST_BITS 10
#define SKIM_PAD 1024 /* bytes that may be read behind the data of a buffer; more than the longest header of a block */
#define SKIM_END 256  /* the symbol that ends a block */

/* A canonical prefix code: how many codes of each length, and the symbols in the order of their codes. */
struct skim_code {
    uint16_t count[16], symbol[288];
};

/* Entry of `count_lit`: bits 0 to 5 all bits of one symbol or two, with the extra bits of a length; 6 ODD (anything else: long, invalid,
 * the end); 10 MATCH (a distance follows); 12 to 15 the bits of their codes alone; 16 to 31 the bytes that come of it, without what the
 * extra bits add. Entry of `count_dist`: its bits with the extra ones, 0x80 anything else; the first half, all zero, is for no match.
 * Entries of `lit` and `dist`: symbol * 16 + bits of the code, 0 = longer than the table. */
enum { SKIM_ODD = 1 << 6, SKIM_MATCH = 1 << SKIM_DIST_BITS, SKIM_ODD_DIST = 0x80 };
struct skim_tables {
    uint32_t count_lit[1 << SKIM_LIT_BITS];
    uint8_t count_dist[2 << SKIM_DIST_BITS];
    uint16_t lit[1 << SKIM_LIT_BITS], dist[1 << SKIM_DIST_BITS];
    struct skim_code lit_code, dist_code;
    uint32_t one[1 << SKIM_LIT_BITS];
};

struct skim_head {
    bool last, stored;
    uint64_t body; /* the first bit behind the header */
    uint32_t n;    /* bytes of a stored block */
};

/* The header of a block at bit `at` of `data`, and its codes. False: not one that can be passed over. */
bool skim_head_read(const uint8_t *data, uint64_t at, struct skim_head *ret, struct skim_tables *t);
void skim_tables_for_counting(struct skim_tables *t);
void skim_tables_for_reading(struct skim_tables *t);

extern const uint16_t skim_length_base[29], skim_dist_base[30];
extern const uint8_t skim_length_extra[29], skim_dist_extra[30];

/* The next 57 bits at least. */
static inline uint64_t skim_peek(const uint8_t *data, uint64_t at) {
    uint64_t v;
    memcpy(&v, data + (at >> 3), sizeof v);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    v = __builtin_bswap64(v);
#endif
    return v >> (at & 7);
}

/* The symbol that `bits` begin with, -1: none; *ret_n: bits of its code. */
int skim_symbol(const struct skim_code *c, uint64_t bits, unsigned *ret_n);

struct skim_symbol {
    uint32_t out;       /* where it belongs, from the block's first byte of data */
    uint16_t n, before; /* bytes, and how far back they are to be found; a literal: the byte itself, and 0 */
};

/* The symbols from bit `at` of `data` to bit `end`, the first at byte `out`; how many, or -1: they do not end there, one of them is
 * invalid, they are too many. */
#define SKIM_GROUP_SYMBOLS 128
int skim_read_group(const uint8_t *data, uint64_t at, uint64_t end, uint32_t out, const struct skim_tables *t,
                    struct skim_symbol ret[SKIM_GROUP_SYMBOLS]);

/* ---------------------------------------------------------------- skim_trace.c: what some bytes go back to */

/* A run of symbols: where it begins, counted from the header of its block and from the block's first byte of data. */
struct skim_group {
    uint32_t bit, out;
};

struct skim_block {
    uint64_t bit, out; /* of the file; of the data */
    size_t group;      /* the first of its groups */
    uint32_t bits;     /* of the block with its header: where the last of them ends */
};

struct skim_past {                  /* what was passed over since `from` */
    const struct skim_block *block; /* n + 1: the last one says where they end */
    size_t n;
    const struct skim_group *group;
};

/* The window at the end of `past`, from that at its beginning, `place`, which it replaces. *ret_good false: the file has
 * changed, or too much is to be kept in mind. */
rad_status skim_trace(const struct skim_past *past, rad_skim_read *read, void *file, rad_skim_place *place, bool *ret_good,
                      rad_error *err) RAD_MUST_CHECK;

#endif

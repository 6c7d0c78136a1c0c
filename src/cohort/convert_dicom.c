/* convert_dicom.c: a bounded reader of DICOM headers, up to the pixels. Explicit and implicit VR, little and big endian; sequences are
 * walked, not stored. It decides which files belong together and where slices lie; what pixels mean is dcm2niix's. */
#include "convert_dicom.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "radcohort/bvalue.h"
#include "utf8.h"

enum { WINDOW = 1 << 16, MAX_VALUE = 4096 };
#define UNDEFINED 0xFFFFFFFFu

typedef struct reader {
    int fd;
    const char *path;
    uint64_t size, at; /* of the file; position */
    uint64_t window_at;
    size_t window_n;
    unsigned char *window;
    bool implicit, big;
    int64_t n_element;
    dicom_series *s;
    dicom_instance *i;
    int64_t cap_frame;
    bool stop; /* pixels reached */
    rad_error *err;
} reader;

typedef struct element {
    uint32_t tag, length;
    char vr[3];
} element;

static const struct {
    uint32_t tag;
    dicom_text to;
} text_tag[] = {{0x00100020, DICOM_PATIENT_ID},
                {0x00100021, DICOM_ISSUER},
                {0x00100010, DICOM_PATIENT_NAME},
                {0x00100030, DICOM_BIRTH_DATE},
                {0x00100040, DICOM_SEX},
                {0x00101010, DICOM_AGE},
                {0x00080050, DICOM_ACCESSION},
                {0x0020000D, DICOM_STUDY_UID},
                {0x0020000E, DICOM_SERIES_UID},
                {0x00080016, DICOM_SOP_CLASS},
                {0x00080020, DICOM_STUDY_DATE},
                {0x00080030, DICOM_STUDY_TIME},
                {0x00080031, DICOM_SERIES_TIME},
                {0x00080032, DICOM_ACQUISITION_TIME},
                {0x00181042, DICOM_CONTRAST_TIME},
                {0x00080060, DICOM_MODALITY},
                {0x0008103E, DICOM_DESCRIPTION},
                {0x00181030, DICOM_PROTOCOL},
                {0x00180010, DICOM_AGENT},
                {0x00080080, DICOM_INSTITUTION},
                {0x00081010, DICOM_STATION},
                {0x00080070, DICOM_MANUFACTURER},
                {0x00081090, DICOM_MODEL},
                {0x00180015, DICOM_BODY_PART},
                {0x00181210, DICOM_KERNEL},
                {0x00080008, DICOM_IMAGE_TYPE},
                {0x00180020, DICOM_SCANNING_SEQUENCE},
                {0x00180024, DICOM_SEQUENCE_NAME},
                {0x00080005, DICOM_CHARSET},
                {0x00200011, DICOM_SERIES_NUMBER}};

static const struct {
    uint32_t tag;
    dicom_number to;
} number_tag[] = {{0x00180081, DICOM_ECHO_TIME},      {0x00189082, DICOM_ECHO_TIME},  {0x00180080, DICOM_REPETITION_TIME},
                  {0x00180082, DICOM_INVERSION_TIME}, {0x00181314, DICOM_FLIP_ANGLE}, {0x00180050, DICOM_SLICE_THICKNESS},
                  {0x00180087, DICOM_FIELD_STRENGTH}, {0x00180060, DICOM_KVP},        {0x00189087, DICOM_B_VALUE}};

/* Sequences of multi-frame files that are looked into also when their length is stated. */
static bool is_wanted_sequence(uint32_t tag) {
    static const uint32_t known[] = {0x52009229, 0x52009230, 0x00209113, 0x00209116, 0x00289110, 0x00189117, 0x00189114, 0x00189112};
    for (size_t k = 0; k < sizeof known / sizeof *known; k++)
        if (known[k] == tag)
            return true;
    return false;
}

/* `n` bytes at the position, which stays; NULL with *st set when the file ends before. */
static const unsigned char *peek(reader *r, size_t n, rad_status *st) {
    if (n > r->size - r->at) {
        *st = rad_error_set(r->err, RAD_E_TRUNCATED, "the file ends inside its header, at byte %llu", (unsigned long long)r->size);
        return NULL;
    }
    if (r->at >= r->window_at && r->at + n <= r->window_at + r->window_n)
        return r->window + (r->at - r->window_at);
    size_t got = 0;
    while (got < WINDOW) {
        ssize_t k = pread(r->fd, r->window + got, WINDOW - got, (off_t)(r->at + got));
        if (k < 0 && errno == EINTR)
            continue;
        if (k < 0) {
            *st = rad_error_set(r->err, RAD_E_IO, "the file cannot be read");
            return NULL;
        }
        if (k == 0)
            break;
        got += (size_t)k;
    }
    r->window_at = r->at;
    r->window_n = got;
    if (got < n) {
        *st = rad_error_set(r->err, RAD_E_TRUNCATED, "the file became shorter while it was read");
        return NULL;
    }
    return r->window;
}

static uint32_t u16(const reader *r, const unsigned char *p) {
    return r->big ? (uint32_t)p[0] << 8 | p[1] : (uint32_t)p[1] << 8 | p[0];
}

static uint32_t u32(const reader *r, const unsigned char *p) {
    return r->big ? u16(r, p) << 16 | u16(r, p + 2) : u16(r, p + 2) << 16 | u16(r, p);
}

static rad_status next_element(reader *r, bool implicit, element *e) {
    rad_status st = RAD_OK;
    const unsigned char *p = peek(r, 8, &st);
    if (!p)
        return st;
    if (++r->n_element > RAD_MAX_DICOM_ELEMENTS)
        return rad_error_set(r->err, RAD_E_LIMIT, "more than %d header elements", RAD_MAX_DICOM_ELEMENTS);
    *e = (element){.tag = u16(r, p) << 16 | u16(r, p + 2)};
    r->at += 8;
    if (implicit || e->tag >> 16 == 0xFFFE) {
        e->length = u32(r, p + 4);
        return RAD_OK;
    }
    e->vr[0] = (char)p[4];
    e->vr[1] = (char)p[5];
    if (!isupper(p[4]) || !isupper(p[5]))
        return rad_error_set(r->err, RAD_E_FORMAT, "element (%04X,%04X) at byte %llu has no value representation: not readable as DICOM",
                             e->tag >> 16, e->tag & 0xFFFF, (unsigned long long)r->at - 8);
    static const char *const wide[] = {"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"};
    for (size_t k = 0; k < sizeof wide / sizeof *wide; k++)
        if (strcmp(e->vr, wide[k]) == 0) {
            if (!(p = peek(r, 4, &st)))
                return st;
            e->length = u32(r, p);
            r->at += 4;
            return RAD_OK;
        }
    e->length = u16(r, p + 6);
    return RAD_OK;
}

/* ---------------------------------------------------------------- values */

static size_t latin1_to_utf8(const char *from, size_t n, char *to, size_t cap) {
    size_t at = 0;
    for (size_t k = 0; k < n && at + 3 < cap; k++) {
        unsigned char c = (unsigned char)from[k];
        if (c < 0x80) {
            to[at++] = from[k];
        } else {
            to[at++] = (char)(0xC0 | c >> 6);
            to[at++] = (char)(0x80 | (c & 0x3F));
        }
    }
    to[at] = '\0';
    return at;
}

static void take_text(const reader *r, const unsigned char *p, size_t n, char to[DICOM_TEXT]) {
    char raw[MAX_VALUE + 1], wide[2 * MAX_VALUE + 4];
    n = n > MAX_VALUE ? MAX_VALUE : n;
    memcpy(raw, p, n);
    raw[n] = '\0';
    bool latin1 = strncmp(r->s->text[DICOM_CHARSET], "ISO_IR 100", 10) == 0;
    if (latin1)
        latin1_to_utf8(raw, n, wide, sizeof wide);
    else
        memcpy(wide, raw, n + 1);
    char *s = wide;
    for (char *q = s; *q; q++)
        if ((unsigned char)*q < 0x20 || *q == 0x7F)
            *q = ' ';
    while (*s == ' ')
        s++;
    utf8_scrub(s);
    size_t m = strlen(s);
    if (m >= DICOM_TEXT) {
        m = DICOM_TEXT - 1;
        while (m > 0 && ((unsigned char)s[m] & 0xC0) == 0x80)
            m--;
    }
    while (m > 0 && s[m - 1] == ' ')
        m--;
    memcpy(to, s, m);
    to[m] = '\0';
}

/* Numbers of a DS or IS value; how many, at most max. */
static int take_decimals(const unsigned char *p, size_t n, double *out, int max) {
    char text[256];
    int k = 0;
    if (n >= sizeof text)
        n = sizeof text - 1;
    memcpy(text, p, n);
    text[n] = '\0';
    for (char *s = text; k < max;) {
        char *end = s + strcspn(s, "\\");
        bool last = *end == '\0';
        *end = '\0';
        while (*s == ' ')
            s++;
        size_t m = strlen(s);
        while (m > 0 && s[m - 1] == ' ')
            s[--m] = '\0';
        if (s[strspn(s, "+-0123456789.eE")] != '\0' || !rad_parse_double(s, &out[k]) || !isfinite(out[k]))
            break;
        k++;
        if (last)
            break;
        s = end + 1;
    }
    return k;
}

/* A number in whatever representation the element has. */
static bool take_number(const reader *r, const element *e, const unsigned char *p, double *ret) {
    if (strcmp(e->vr, "FD") == 0 || (r->implicit && e->length == 8 && (e->tag == 0x00189087 || e->tag == 0x00189082))) {
        if (e->length < 8)
            return false;
        uint64_t bits = r->big ? (uint64_t)u32(r, p) << 32 | u32(r, p + 4) : (uint64_t)u32(r, p + 4) << 32 | u32(r, p);
        memcpy(ret, &bits, sizeof bits);
        return isfinite(*ret);
    }
    if (strcmp(e->vr, "US") == 0 && e->length >= 2) {
        *ret = u16(r, p);
        return true;
    }
    return take_decimals(p, e->length, ret, 1) == 1;
}

static rad_status take_position(reader *r, const double v[3], bool in_frame) {
    dicom_instance *i = r->i;
    if (!in_frame || isnan(i->position[0]))
        memcpy(i->position, v, sizeof i->position);
    if (!in_frame)
        return RAD_OK;
    if (i->n_frame >= RAD_MAX_DICOM_FRAMES)
        return rad_error_set(r->err, RAD_E_LIMIT, "more than %d frames", RAD_MAX_DICOM_FRAMES);
    if (i->n_frame == r->cap_frame) {
        int64_t cap = r->cap_frame ? r->cap_frame * 2 : 64;
        double(*f)[3] = rad_realloc(i->frame, (size_t)cap, sizeof *f);
        if (!f)
            return rad_error_set(r->err, RAD_E_NOMEM, "no memory for the frames of a file");
        i->frame = f;
        r->cap_frame = cap;
    }
    memcpy(i->frame[i->n_frame++], v, sizeof i->frame[0]);
    return RAD_OK;
}

static rad_status take_value(reader *r, const element *e, int depth) {
    rad_status st = RAD_OK;
    double v[6];
    size_t n = e->length > MAX_VALUE ? MAX_VALUE : e->length;
    const unsigned char *p = peek(r, n, &st);
    if (!p)
        return st;
    for (size_t k = 0; depth == 0 && k < sizeof text_tag / sizeof *text_tag; k++)
        if (text_tag[k].tag == e->tag)
            take_text(r, p, n, r->s->text[text_tag[k].to]);
    for (size_t k = 0; k < sizeof number_tag / sizeof *number_tag; k++) {
        dicom_number to = number_tag[k].to;
        if (number_tag[k].tag != e->tag || !take_number(r, e, p, v))
            continue;
        if (to == DICOM_B_VALUE && !(v[0] >= 0 && v[0] <= RAD_MAX_B_VALUE))
            continue; /* not a b-value: some scanners leave the field of images without diffusion to chance */
        if (to == DICOM_ECHO_TIME)
            r->i->echo_time = isnan(r->i->echo_time) ? v[0] : r->i->echo_time;
        if (isnan(r->s->low[to]) || v[0] < r->s->low[to])
            r->s->low[to] = v[0];
        if (isnan(r->s->high[to]) || v[0] > r->s->high[to])
            r->s->high[to] = v[0];
    }
    switch (e->tag) {
    case 0x00080018: {
        char hex[RAD_XXH128_HEX];
        size_t m = n; /* padding is no part of a UID */
        while (m > 0 && (p[m - 1] == '\0' || p[m - 1] == ' '))
            m--;
        rad_xxh128(p, m, hex);
        for (int k = 0; k < 32 && depth == 0; k++)
            r->i->sop[k / 16] = r->i->sop[k / 16] << 4 | (uint64_t)(hex[k] <= '9' ? hex[k] - '0' : hex[k] - 'a' + 10);
        break;
    }
    case 0x00200013:
        if (depth == 0 && take_decimals(p, n, v, 1) == 1 && fabs(v[0]) < 1e15)
            r->i->instance = (int64_t)v[0];
        break;
    case 0x00200012:
        if (depth == 0 && take_decimals(p, n, v, 1) == 1 && fabs(v[0]) < 1e15)
            r->i->acquisition = (int64_t)v[0];
        break;
    case 0x00201041:
        if (depth == 0 && take_decimals(p, n, v, 1) == 1)
            r->i->location = v[0];
        break;
    case 0x00200032:
        if (take_decimals(p, n, v, 3) == 3)
            st = take_position(r, v, depth > 0);
        break;
    case 0x00200037:
        if (take_decimals(p, n, v, 6) == 6 && isnan(r->s->orientation[0]))
            memcpy(r->s->orientation, v, sizeof v);
        break;
    case 0x00280010:
        r->i->has_image = r->i->has_image || depth == 0;
        break;
    default:
        break;
    }
    return st;
}

/* ---------------------------------------------------------------- structure */

static rad_status read_items(reader *r, uint32_t length, bool implicit, int depth);

/* Elements up to `end` (or the delimiter of an item of undefined length). */
static rad_status read_elements(reader *r, uint64_t end, bool to_delimiter, bool implicit, int depth) {
    while (!r->stop && r->at < end) {
        element e;
        if (depth == 0 && end - r->at < 8)
            return RAD_OK; /* padding behind the last element */
        rad_status st = next_element(r, implicit, &e);
        if (st != RAD_OK)
            return st;
        if (e.tag == 0xFFFEE00D && to_delimiter)
            return RAD_OK;
        if (depth == 0 && (e.tag == 0x7FE00010 || e.tag == 0x7FE00008 || e.tag == 0x7FE00009)) {
            r->stop = true;
            return RAD_OK;
        }
        if (e.length == UNDEFINED || (is_wanted_sequence(e.tag) && e.length)) {
            st = read_items(r, e.length, implicit || strcmp(e.vr, "UN") == 0, depth + 1);
        } else if (e.length > r->size - r->at) {
            st = rad_error_set(r->err, RAD_E_TRUNCATED, "element (%04X,%04X) has %u bytes, the file has %llu left", e.tag >> 16,
                               e.tag & 0xFFFF, e.length, (unsigned long long)(r->size - r->at));
        } else {
            if (e.length &&
                (e.tag >> 16 == 0x0008 || e.tag >> 16 == 0x0010 || e.tag >> 16 == 0x0018 || e.tag >> 16 == 0x0020 || e.tag >> 16 == 0x0028))
                st = take_value(r, &e, depth);
            r->at += e.length;
        }
        if (st != RAD_OK)
            return st;
    }
    return RAD_OK;
}

static rad_status read_items(reader *r, uint32_t length, bool implicit, int depth) {
    if (depth > RAD_MAX_DICOM_NESTING)
        return rad_error_set(r->err, RAD_E_LIMIT, "sequences nested more than %d deep", RAD_MAX_DICOM_NESTING);
    if (length != UNDEFINED && length > r->size - r->at)
        return rad_error_set(r->err, RAD_E_TRUNCATED, "a sequence of %u bytes, the file has %llu left", length,
                             (unsigned long long)(r->size - r->at));
    uint64_t end = length == UNDEFINED ? r->size : r->at + length;
    while (r->at < end) {
        element e;
        rad_status st = next_element(r, implicit, &e);
        if (st != RAD_OK)
            return st;
        if (e.tag == 0xFFFEE0DD)
            return RAD_OK;
        if (e.tag != 0xFFFEE000)
            return rad_error_set(r->err, RAD_E_FORMAT, "element (%04X,%04X) where an item of a sequence was expected", e.tag >> 16,
                                 e.tag & 0xFFFF);
        if (e.length != UNDEFINED && e.length > end - r->at)
            return rad_error_set(r->err, RAD_E_TRUNCATED, "an item of %u bytes is longer than its sequence", e.length);
        uint64_t item_end = e.length == UNDEFINED ? end : r->at + e.length;
        st = read_elements(r, item_end, e.length == UNDEFINED, implicit, depth);
        if (st != RAD_OK)
            return st;
        if (e.length != UNDEFINED)
            r->at = item_end;
    }
    return RAD_OK;
}

/* File meta information: always explicit little endian; its transfer syntax says how the rest is written. */
static rad_status read_meta(reader *r) {
    char syntax[DICOM_TEXT] = "";
    r->at = 132;
    while (r->size - r->at >= 8) {
        rad_status st = RAD_OK;
        const unsigned char *p = peek(r, 8, &st);
        element e;
        if (!p)
            return st;
        if (u16(r, p) != 0x0002)
            break;
        st = next_element(r, false, &e);
        if (st != RAD_OK)
            return st;
        if (e.length > r->size - r->at)
            return rad_error_set(r->err, RAD_E_TRUNCATED, "the file ends inside its meta information");
        if (e.tag == 0x00020010 || e.tag == 0x00020002) {
            size_t n = e.length > 64 ? 64 : e.length;
            if (!(p = peek(r, n, &st)))
                return st;
            take_text(r, p, n, e.tag == 0x00020010 ? syntax : r->s->text[DICOM_SOP_CLASS]);
        }
        r->at += e.length;
    }
    if (strcmp(syntax, "1.2.840.10008.1.2.1.99") == 0)
        return rad_error_set(r->err, RAD_E_UNSUPPORTED,
                             "a deflated file, which dcm2niix does not read: 'dcmconv +te IN OUT' writes it anew (Debian package dcmtk)");
    r->implicit = strcmp(syntax, "1.2.840.10008.1.2") == 0 || !syntax[0];
    r->big = strcmp(syntax, "1.2.840.10008.1.2.2") == 0;
    return RAD_OK;
}

/* A data set without preamble and "DICM", as old exports have it: 132 bytes from its front. Its first element belongs to group 0008 (or,
 * with meta information and no preamble, 0002) and has a known type or, without types, a small even length; that says how all is written.
 */
static bool starts_bare(reader *r, const unsigned char *p) {
    static const char types[] = "AE AS CS DA DS DT IS LO LT PN SH ST TM UI UL US ";
    const char type[] = {(char)p[4], (char)p[5], ' ', '\0'};
    const uint32_t group = (uint32_t)p[1] << 8 | p[0], number = (uint32_t)p[3] << 8 | p[2];
    const char *at = strstr(types, type);
    const bool typed = at && (at - types) % 3 == 0;
    const uint32_t length = (uint32_t)p[7] << 24 | (uint32_t)p[6] << 16 | (uint32_t)p[5] << 8 | p[4];
    if ((group != 0x0008 && group != 0x0002) || number > 0x0018 || (!typed && (length > 128 || length % 2 || length == 0)))
        return false;
    r->implicit = !typed;
    return true;
}

rad_status dicom_read(const char *path, bool *ret_is_dicom, dicom_series *ret_series, dicom_instance *ret_instance, uint64_t *ret_size,
                      uint64_t *ret_mtime, rad_error *err) {
    struct stat info;
    rad_status st = RAD_OK;
    dicom_instance i = {.instance = -1, .acquisition = -1, .location = NAN, .echo_time = NAN, .position = {NAN, NAN, NAN}};
    reader r = {.path = path, .s = ret_series, .i = &i, .err = err};
    *ret_is_dicom = false;
    memset(ret_series, 0, sizeof *ret_series);
    for (int k = 0; k < DICOM_NUMBER_COUNT; k++)
        ret_series->low[k] = ret_series->high[k] = NAN;
    for (int k = 0; k < 6; k++)
        ret_series->orientation[k] = NAN;
    r.fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (r.fd < 0) {
        int e = errno;
        char why[96];
        if (strerror_r(e, why, sizeof why) != 0)
            snprintf(why, sizeof why, "error %d", e);
        return rad_error_set(err, e == ENOENT ? RAD_E_NOTFOUND : RAD_E_IO, "the file cannot be opened: %s", why);
    }
    r.window = rad_malloc(WINDOW);
    if (!r.window)
        st = rad_error_set(err, RAD_E_NOMEM, "no memory to read a header");
    else if (fstat(r.fd, &info) != 0)
        st = rad_error_set(err, RAD_E_IO, "the file cannot be read");
    if (st != RAD_OK || !S_ISREG(info.st_mode) || info.st_size < 132)
        goto out;
    r.size = (uint64_t)info.st_size;
    const unsigned char *p = peek(&r, 132, &st);
    if (!p)
        goto out;
    const bool bare = memcmp(p + 128, "DICM", 4) != 0;
    if (bare && !starts_bare(&r, p))
        goto out;
    *ret_is_dicom = true;
    if (bare && p[0] == 0x02)
        RAD_TRY(rad_error_set(err, RAD_E_UNSUPPORTED,
                              "DICOM meta information without the 128 bytes and 'DICM' in front of it, which dcm2niix does "
                              "not read: rewrite the file (dcmconv)"));
    if (!bare)
        RAD_TRY(read_meta(&r));
    RAD_TRY(read_elements(&r, r.size, false, r.implicit, 0));
    bool directory = strcmp(ret_series->text[DICOM_SOP_CLASS], "1.2.840.10008.1.3.10") == 0;
    if (!directory && (!ret_series->text[DICOM_SERIES_UID][0] || !ret_series->text[DICOM_STUDY_UID][0]))
        RAD_TRY(rad_error_set(err, RAD_E_FORMAT, "the header names no study and series: cut short, or no image"));
    i.mosaic = strstr(ret_series->text[DICOM_IMAGE_TYPE], "MOSAIC") != NULL;
    *ret_size = r.size;
    *ret_mtime = (uint64_t)info.st_mtim.tv_sec * 1000000000u + (uint64_t)info.st_mtim.tv_nsec;
out:
    free(r.window);
    close(r.fd);
    if (st == RAD_OK)
        *ret_instance = i;
    else
        free(i.frame);
    return st;
}

double dicom_seconds(const char *s) {
    char digit[7] = "";
    size_t n = 0;
    for (; *s && n < 6; s++)
        if (isdigit((unsigned char)*s))
            digit[n++] = *s;
        else if (*s != ':')
            return NAN;
    if (n != 6 && n != 4)
        return NAN;
    double fraction = 0;
    if (*s == '.' && s[1 + strspn(s + 1, "0123456789")] == '\0' && s[1])
        if (!rad_parse_double(s, &fraction))
            return NAN;
    int h = (digit[0] - '0') * 10 + digit[1] - '0', m = (digit[2] - '0') * 10 + digit[3] - '0',
        sec = n == 6 ? (digit[4] - '0') * 10 + digit[5] - '0' : 0;
    return h < 24 && m < 60 && sec < 61 ? h * 3600 + m * 60 + sec + fraction : NAN;
}

bool dicom_days(const char *s, int64_t *ret) {
    static const int length[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int64_t v = 0;
    if (strlen(s) != 8 || strspn(s, "0123456789") != 8 || !rad_parse_int(s, &v))
        return false;
    int64_t y = v / 10000, m = v / 100 % 100, d = v % 100;
    bool leap = (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
    if (y < 1900 || m < 1 || m > 12 || d < 1 || d > length[m - 1] + (m == 2 && leap))
        return false;
    /* days from civil, H. Hinnant, http://howardhinnant.github.io/date_algorithms.html */
    y -= m <= 2;
    int64_t era = y / 400, yoe = y - era * 400, doy = (153 * (m > 2 ? m - 3 : m + 9) + 2) / 5 + d - 1;
    *ret = era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
    return true;
}

/* manifest_match.c: the images of one case to the channels of one input, and the sentence that says why not. */
#include <inttypes.h>
#include <string.h>

#include "manifest_impl.h"
#include "utf8.h"

/* Appends ", text" or "text", once; cuts at the end of the buffer. */
static void append(char *buf, size_t cap, const char *text) {
    size_t n = strlen(buf);
    if (text[0] && strstr(buf, text))
        return;
    snprintf(buf + n, cap - n, "%s%s", n ? ", " : "", text);
}

/* "(the patient has T1, DWI)": what a person needs to see that the name is spelled in another way. */
static void list_sequences(const manifest_builder *b, int64_t from, int64_t to, char *buf, size_t cap) {
    const char *seen[MANIFEST_LISTED];
    int n = 0;
    bool more = false;
    for (int64_t i = from; i < to; i++) {
        const char *s = b->c->image[b->image[i].index].sequence;
        bool twice = false;
        for (int k = 0; k < n; k++)
            twice = twice || strcmp(seen[k], s) == 0;
        if (!twice && n < MANIFEST_LISTED)
            seen[n++] = s;
        else
            more = more || !twice;
    }
    if (n == 0)
        append(buf, cap, "no image at all");
    for (int k = 0; k < n; k++)
        append(buf, cap, seen[k]);
    if (more)
        append(buf, cap, "...");
}

/* Does the image lie among those that a channel of sequence `s` chooses from? */
static bool is_candidate(const manifest_builder *b, int64_t image, int s, bool own, const rad_case *k) {
    const rad_image *i = &b->c->image[image];
    return b->image_sequence[image] == s && strcmp(i->study, k->study) == 0 && (k->lesion < 0 || i->lesion == (own ? k->lesion : -1));
}

/* "2 images of sequence 'T2'", and in detail the lines of the first three. */
static void describe_ambiguous(const manifest_builder *b, int s, int64_t n, bool own, const rad_case *k, char *text, size_t cap,
                               char *detail, size_t detail_cap) {
    const rad_cohort *c = b->c;
    int64_t from = places_find(b->image, c->n_image, k->patient, INT64_MIN), listed = 0;
    char lines[120] = "";
    snprintf(text, cap, "%" PRId64 " images of sequence '%.60s'", n, b->sequence[s]);
    for (int64_t i = from; i < c->n_image && b->image[i].patient == k->patient && listed < 3; i++) {
        int64_t image = b->image[i].index;
        if (!is_candidate(b, image, s, own, k))
            continue;
        char line[40];
        snprintf(line, sizeof line, "%s%" PRId64, listed ? "" : "lines ", c->image[image].line);
        append(lines, sizeof lines, line);
        listed++;
    }
    append(lines, sizeof lines, n > listed ? "... of the images table" : "");
    size_t at = strlen(lines);
    if (n == listed && at >= 2)
        snprintf(lines + at - 2, sizeof lines - at + 2, " of the images table");
    append(detail, detail_cap, lines);
    at = strlen(detail);
    snprintf(detail + at, detail_cap - at, ": keep one, or tell them apart by sequence, study or lesion");
}

bool manifest_set_why(manifest_builder *b, rad_case_input *in, rad_status st, const char *text, const char *detail) {
    in->status = st;
    in->why = detail[0] ? arena_printf(b->arena, "%s (%s)", text, detail) : arena_strdup(b->arena, text);
    if (in->why)
        utf8_scrub(in->why);
    return in->why != NULL;
}

/* Of the candidates those with a wanted b-value. *ret_bad: why one cannot be told, or NULL; `have`: what the others have. */
static rad_status count_b(manifest_builder *b, const rad_case *k, int which, int ch, bool own, found *ret, const rad_pick **ret_pick,
                          const b_verdict **ret_bad, char *have, size_t cap, rad_error *err) {
    const rad_cohort *c = b->c;
    *ret = (found){0};
    *ret_bad = NULL;
    for (int64_t i = places_find(b->image, c->n_image, k->patient, INT64_MIN); i < c->n_image && b->image[i].patient == k->patient; i++) {
        const int64_t image = b->image[i].index;
        const b_verdict *v = NULL;
        if (!is_candidate(b, image, b->channel[which][ch], own, k))
            continue;
        rad_status st = manifest_judge_b(b, image, which, ch, &v, err);
        if (st != RAD_OK)
            return st;
        if (v->kind == B_OTHER)
            append(have, cap, v->why);
        if (v->kind == B_SEVERAL || v->kind == B_UNKNOWN)
            *ret_bad = *ret_bad ? *ret_bad : v;
        if (v->kind != B_FITS)
            continue;
        if (ret->n++ == 0) {
            ret->first = image;
            *ret_pick = v->pick;
        }
    }
    return RAD_OK;
}

/* The b-values that a channel takes, for a sentence. */
static void name_b(const rad_channel_spec *ch, char *buf, size_t cap) {
    if (ch->b_low < ch->b_high)
        snprintf(buf, cap, " with a b-value of %.6g to %.6g", ch->b_low, ch->b_high);
    else
        snprintf(buf, cap, " with b-value %.6g", ch->b_low);
}

/* What is told already of an earlier channel of the input. */
static bool is_told(const manifest_builder *b, int which, int ch) {
    for (int e = 0; e < ch; e++)
        if (b->channel[which][e] == b->channel[which][ch] && b->b_slot[which][e] == b->b_slot[which][ch])
            return true;
    return false;
}

rad_status manifest_match_input(manifest_builder *b, const rad_case *k, int which, rad_error *err) {
    const rad_input_spec *spec = &b->job->input[which];
    rad_case_input *in = &k->input[which];
    char text[MANIFEST_WHY] = "", detail[MANIFEST_WHY / 2] = "";
    bool missing = false;
    for (int ch = 0; ch < spec->n_channel; ch++) {
        const int s = b->channel[which][ch];
        const bool own = b->own[s].n > 0;
        found f = own ? b->own[s] : b->shared[s];
        const b_verdict *bad = NULL;
        char one[280], wanted[80] = "", have[100] = "";
        const bool any = f.n > 0;
        if (spec->channel[ch].has_b && any) {
            rad_status st = count_b(b, k, which, ch, own, &f, &in->pick[ch], &bad, have, sizeof have, err);
            if (st != RAD_OK)
                return st;
            name_b(&spec->channel[ch], wanted, sizeof wanted);
        }
        f.n = bad ? 0 : f.n; /* it might be one more that fits */
        in->image[ch] = f.n == 1 ? f.first : -1;
        in->pick[ch] = f.n == 1 ? in->pick[ch] : NULL;
        if (f.n == 1 || is_told(b, which, ch) || (f.n == 0 && !bad && spec->channel[ch].zero_if_missing))
            continue;
        if (bad)
            snprintf(one, sizeof one,
                     bad->kind == B_SEVERAL ? "more than one b-value of the image of sequence '%.60s' lies in the range"
                                            : "which b-values an image of sequence '%.60s' has is not known",
                     b->sequence[s]);
        else if (f.n == 0)
            snprintf(one, sizeof one, "no image of sequence '%.60s'%s", b->sequence[s], wanted);
        else
            describe_ambiguous(b, s, f.n, own, k, one, sizeof one, detail, sizeof detail);
        if (bad)
            append(detail, sizeof detail, bad->why);
        else if (f.n == 0 && have[0]) {
            append(detail, sizeof detail, "there are");
            size_t at = strlen(detail);
            snprintf(detail + at, sizeof detail - at, " %s", have);
        }
        missing = missing || (f.n == 0 && !bad && !have[0]);
        append(text, sizeof text, one);
    }
    if (!text[0])
        return RAD_OK;
    if (missing) {
        int64_t n = b->c->n_image, from = places_find(b->image, n, k->patient, INT64_MIN),
                to = places_find(b->image, n, k->patient + 1, INT64_MIN);
        char have[MANIFEST_WHY / 4] = "";
        list_sequences(b, from, to, have, sizeof have);
        size_t at = strlen(detail);
        snprintf(detail + at, sizeof detail - at, "%sthe patient has %s", at ? "; " : "", have);
    }
    if (!manifest_set_why(b, in, RAD_E_CHANNEL, text, detail))
        return rad_error_set(err, RAD_E_NOMEM, "no memory for the manifest");
    return RAD_OK;
}

/* dump_prepare: prepares inputs as told on stdin, one per line, for comparison with an independent implementation:
 *   OUT orientation slices edge from shape margin_mm margin_px size_mm window low high method height width antialias
 *   norm_n mean.. std.. roi box[6] point[3] has_tolerance tolerance nearest drawn_on crop[4] frames mask n_channel
 *   (path n_offset offset.. component window low high percentile over zscore over padding value replace value)..
 * Words are numbers of the enums except orientation and paths; window and roi bits are 0/1; a mask or path of "-" is none. Answers one line
 * per input: status|text, or ok n_slice n_plane height width stored_axis x0 y0 x1 y1 slice.. stored.. mismatch.. ; the floats go to OUT. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "radcohort/prepare.h"

static char *word(char **at) {
    char *start = *at;
    while (*start == '\t')
        start++;
    char *end = start;
    while (*end && *end != '\t' && *end != '\n')
        end++;
    *at = *end ? end + 1 : end;
    *end = '\0';
    return start;
}

static double number(char **at) {
    double v = 0;
    if (!rad_parse_double(word(at), &v))
        abort();
    return v;
}

static int whole(char **at) {
    return (int)number(at);
}

static void one(char *line) {
    static char name[] = "x", sequence[] = "seq";
    rad_input_spec s = {.name = name};
    rad_roi roi = {0};
    rad_volume *volume[RAD_MAX_CHANNELS] = {0}, *mask = NULL;
    const rad_volume *list[RAD_MAX_CHANNELS];
    rad_prepared p = {0};
    rad_error err = {0};
    const char *out = word(&line);
    snprintf(s.orientation, sizeof s.orientation, "%.3s", word(&line));
    s.slices = (rad_slices)whole(&line);
    s.edge = (rad_edge)whole(&line);
    s.region.from = (rad_region_from)whole(&line);
    s.region.shape = (rad_region_shape)whole(&line);
    s.region.margin_mm = number(&line);
    s.region.margin_px = number(&line);
    s.region.size_mm = number(&line);
    s.window.on = whole(&line);
    s.window.low = number(&line);
    s.window.high = number(&line);
    s.resize.method = (rad_resize_method)whole(&line);
    s.resize.height = whole(&line);
    s.resize.width = whole(&line);
    s.resize.antialias = whole(&line);
    s.normalise.n = whole(&line);
    for (int i = 0; i < s.normalise.n; i++)
        s.normalise.mean[i] = number(&line);
    for (int i = 0; i < s.normalise.n; i++)
        s.normalise.std[i] = number(&line);
    int bits = whole(&line);
    roi.has_box = bits & 1;
    roi.has_point = bits & 2;
    for (int i = 0; i < 6; i++)
        roi.box[i] = whole(&line);
    for (int i = 0; i < 3; i++)
        roi.point[i] = number(&line);
    s.match.has_tolerance = whole(&line);
    s.match.tolerance_mm = number(&line);
    s.match.nearest = whole(&line);
    s.region.drawn_on = whole(&line);
    s.crop.top = whole(&line);
    s.crop.bottom = whole(&line);
    s.crop.left = whole(&line);
    s.crop.right = whole(&line);
    s.frames_as_slices = whole(&line);
    const char *mask_path = word(&line);
    rad_status st = strcmp(mask_path, "-") == 0 ? RAD_OK : rad_volume_load(mask_path, &mask, &err);
    roi.mask = mask;
    s.n_channel = whole(&line);
    for (int c = 0; c < s.n_channel && st == RAD_OK; c++) {
        const char *path = word(&line);
        s.channel[c].sequence = sequence;
        s.channel[c].n_offset = whole(&line);
        s.n_plane += s.channel[c].n_offset;
        for (int o = 0; o < s.channel[c].n_offset; o++)
            s.channel[c].offset[o] = whole(&line);
        rad_channel_spec *ch = &s.channel[c];
        ch->component = (rad_component)whole(&line);
        ch->window.on = whole(&line);
        ch->window.low = number(&line);
        ch->window.high = number(&line);
        ch->window.percentile = whole(&line);
        ch->window.over = (rad_over)whole(&line);
        ch->intensity.zscore = whole(&line);
        ch->intensity.zscore_over = (rad_over)whole(&line);
        ch->intensity.has_padding = whole(&line);
        ch->intensity.padding = number(&line);
        ch->intensity.replace_nonfinite = whole(&line);
        ch->intensity.nonfinite = number(&line);
        if (strcmp(path, "-") != 0)
            st = rad_volume_load(path, &volume[c], &err);
        list[c] = volume[c];
    }
    if (st == RAD_OK)
        st = rad_prepare_case(&s, list, &roi, &p, &err);
    if (st != RAD_OK)
        printf("%s|%s\n", rad_status_reason(st), err.text);
    else {
        printf("ok %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 " %d", p.n_slice, p.n_plane, p.height, p.width, p.stored_axis);
        for (int i = 0; i < 4; i++)
            printf(" %" PRId64, p.box[0][i]);
        for (int64_t i = 0; i < p.n_slice; i++)
            printf(" %" PRId64, p.slice[i]);
        for (int64_t i = 0; i < p.n_slice; i++)
            printf(" %" PRId64, p.stored_slice[i]);
        for (int64_t i = 0; i < p.n_slice; i++)
            printf(" %.9g", p.mismatch_mm[i]);
        printf("\n");
        FILE *f = fopen(out, "wb");
        size_t n = (size_t)(p.n_slice * p.n_plane * p.height * p.width);
        if (!f || fwrite(p.data, sizeof *p.data, n, f) != n || fclose(f))
            abort();
    }
    rad_prepared_release(&p);
    rad_volume_destroy(&mask);
    for (int c = 0; c < s.n_channel; c++)
        rad_volume_destroy(&volume[c]);
}

int main(void) {
    static char line[65536];
    while (fgets(line, sizeof line, stdin))
        one(line);
    return 0;
}

/* svg.c: axes, lines, bands, markers and text with measured widths. Colours are classes of the stylesheet, so that a figure follows light,
 * dark and print; series also differ in dash and marker, so that no meaning hangs on colour. */
#include "page.h"

/* Advance widths of Helvetica (Adobe Font Metrics, thousandths of the size) for the characters from space to tilde; the figure font is
 * declared with metric-compatible families first (Arial, Liberation Sans). Others are taken as wide as a capital. */
static const short WIDTH[95] = {278, 278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333,  278, 278, 556, 556, 556,
                                556, 556, 556, 556, 556, 556, 556, 278, 278, 584, 584, 584, 556, 1015, 667, 667, 722, 722, 667,
                                611, 778, 722, 278, 500, 667, 556, 833, 722, 778, 667, 778, 722, 667,  611, 722, 667, 944, 667,
                                667, 611, 278, 278, 278, 469, 556, 333, 556, 556, 500, 556, 556, 278,  556, 556, 222, 222, 500,
                                222, 833, 556, 556, 556, 556, 333, 500, 278, 556, 500, 722, 500, 500,  500, 334, 260, 334, 584};
enum { OTHER_WIDTH = 722, N_SERIES = 8 };
/* The page may fall back to a wider font (DejaVu Sans is up to 15 % wider). */
#define WIDTH_MARGIN 1.12

double rp_text_width(const char *text, double size) {
    double w = 0;
    for (const unsigned char *c = (const unsigned char *)text; *c; c++)
        if (*c >= 32 && *c < 127)
            w += WIDTH[*c - 32];
        else if (*c >= 0xc0) /* the first byte of a character of several */
            w += OTHER_WIDTH;
    return w * size / 1000 * WIDTH_MARGIN;
}

double rp_x(const rp_axes *a, double x) {
    return a->left + (x - a->x0) / (a->x1 - a->x0) * a->width;
}

double rp_y(const rp_axes *a, double y) {
    return a->top + a->height - (y - a->y0) / (a->y1 - a->y0) * a->height;
}

void rp_label(rp_page *p, double x, double y, const char *anchor, const char *css, const char *text, double max) {
    char cut[256];
    const double size = strstr(css, "big") ? 15 : strstr(css, "small") ? 10.5 : 12;
    if (max > 0 && rp_text_width(text, size) > max) {
        size_t n = strlen(text) < sizeof cut - 4 ? strlen(text) : sizeof cut - 4;
        memcpy(cut, text, n);
        do {
            while (n > 0 && ((unsigned char)text[--n] & 0xc0) == 0x80) /* not inside a character */
                continue;
            memcpy(cut + n, "\xe2\x80\xa6", 4);
        } while (n > 0 && rp_text_width(cut, size) > max);
        rp_printf(p, "<text x=\"%.2f\" y=\"%.2f\" text-anchor=\"%s\" class=\"%s\">", x, y, anchor, css);
        rp_put(p, "<title>{}</title>{}</text>\n", text, cut);
        return;
    }
    rp_printf(p, "<text x=\"%.2f\" y=\"%.2f\" text-anchor=\"%s\" class=\"%s\">", x, y, anchor, css);
    rp_put(p, "{}</text>\n", text);
}

void rp_rule(rp_page *p, double x1, double y1, double x2, double y2, const char *css) {
    rp_printf(p, "<line x1=\"%.2f\" y1=\"%.2f\" x2=\"%.2f\" y2=\"%.2f\" class=\"%s\"/>\n", x1, y1, x2, y2, css);
}

static void ticks(rp_page *p, const rp_axes *a, double step, bool across) {
    const double from = across ? a->x0 : a->y0, to = across ? a->x1 : a->y1;
    const int digits = step >= 1 ? 0 : step >= 0.1 ? 1 : 2;
    for (int i = 0; from + i * step <= to + step * 1e-6; i++) {
        const double v = from + i * step;
        char text[64];
        rp_format(text, "%.*f", digits, fabs(v) < step / 1e6 ? 0.0 : v);
        if (across) {
            rp_rule(p, rp_x(a, v), a->top, rp_x(a, v), a->top + a->height, "grid");
            rp_label(p, rp_x(a, v), a->top + a->height + 16, "middle", "tick small", text, 0);
        } else {
            rp_rule(p, a->left, rp_y(a, v), a->left + a->width, rp_y(a, v), "grid");
            rp_label(p, a->left - 6, rp_y(a, v) + 4, "end", "tick small", text, 0);
        }
    }
}

void rp_frame(rp_page *p, const rp_axes *a, const char *x_title, const char *y_title, double x_step, double y_step) {
    if (x_step > 0)
        ticks(p, a, x_step, true);
    if (y_step > 0)
        ticks(p, a, y_step, false);
    rp_rule(p, a->left, a->top + a->height, a->left + a->width, a->top + a->height, "axis");
    rp_rule(p, a->left, a->top, a->left, a->top + a->height, "axis");
    rp_label(p, a->left + a->width / 2, a->top + a->height + 36, "middle", "axis-title", x_title, 0);
    if (y_title[0]) {
        rp_printf(p, "<g transform=\"translate(%.2f %.2f) rotate(-90)\">", a->left - 38, a->top + a->height / 2);
        rp_label(p, 0, 0, "middle", "axis-title", y_title, 0);
        rp_put(p, "</g>\n");
    }
}

int64_t rp_thin(const double *x, const double *y, int64_t n, double pixels, int64_t *keep) {
    int64_t out = 0;
    const double span = n > 0 ? x[n - 1] - x[0] : 0;
    for (int64_t i = 0, j; i < n; i = j) {
        const double column = span > 0 ? floor((x[i] - x[0]) / span * pixels) : 0;
        int64_t low = i, high = i;
        for (j = i; j < n && (span > 0 ? floor((x[j] - x[0]) / span * pixels) : 0) == column; j++) {
            low = y[j] < y[low] ? j : low;
            high = y[j] > y[high] ? j : high;
        }
        const int64_t a = low < high ? low : high, b = low < high ? high : low, point[4] = {i, a, b, j - 1};
        for (int c = 0; c < 4; c++)
            if (out == 0 || keep[out - 1] != point[c])
                keep[out++] = point[c];
    }
    return out;
}

static void path(rp_page *p, const rp_axes *a, const double *x, const double *y, int64_t n, bool back) {
    for (int64_t i = 0; i < n; i++) {
        const int64_t k = back ? n - 1 - i : i;
        rp_printf(p, "%.2f,%.2f ", rp_x(a, x[k]), rp_y(a, y[k]));
    }
}

/* Coordinates of the points kept, in fresh arrays. */
static int64_t thin_copy(rp_page *p, const rp_axes *a, const double *x, const double *y, int64_t n, double **ret_x, double **ret_y) {
    int64_t *keep = rp_alloc(p, 4 * n, sizeof *keep), m = 0;
    *ret_x = rp_alloc(p, 4 * n, sizeof **ret_x);
    *ret_y = rp_alloc(p, 4 * n, sizeof **ret_y);
    if (p->st == RAD_OK)
        m = rp_thin(x, y, n, a->width * 2, keep); /* two: sharp on dense screens and in print */
    for (int64_t i = 0; i < m; i++) {
        (*ret_x)[i] = x[keep[i]];
        (*ret_y)[i] = y[keep[i]];
    }
    free(keep);
    return m;
}

void rp_line(rp_page *p, const rp_axes *a, const double *x, const double *y, int64_t n, int series) {
    double *tx, *ty;
    const int64_t m = thin_copy(p, a, x, y, n, &tx, &ty);
    rp_printf(p, "<polyline class=\"line s%d\" points=\"", series % N_SERIES);
    path(p, a, tx, ty, m, false);
    rp_put(p, "\"/>\n");
    free(tx);
    free(ty);
}

void rp_band(rp_page *p, const rp_axes *a, const double *x, const double *low, const double *high, int64_t n, int series) {
    double *lx, *ly, *hx, *hy;
    const int64_t nl = thin_copy(p, a, x, low, n, &lx, &ly), nh = thin_copy(p, a, x, high, n, &hx, &hy);
    rp_printf(p, "<polygon class=\"band s%d\" points=\"", series % N_SERIES);
    path(p, a, lx, ly, nl, false);
    path(p, a, hx, hy, nh, true);
    rp_put(p, "\"/>\n");
    free(lx);
    free(ly);
    free(hx);
    free(hy);
}

void rp_marker(rp_page *p, double x, double y, int series, const char *tip) {
    static const char *const SHAPE[] = {"<circle r=\"4.5\"",
                                        "<rect x=\"-4\" y=\"-4\" width=\"8\" height=\"8\"",
                                        "<path d=\"M0-5.5 5 4-5 4Z\"",
                                        "<path d=\"M0-5.5 5.5 0 0 5.5-5.5 0Z\"",
                                        "<path d=\"M0 5.5 5-4-5-4Z\"",
                                        "<path d=\"M-5-1.5h3.500v-3.500h3v3.500h3.500v3h-3.500v3.500h-3v-3.500h-3.500Z\"",
                                        "<rect x=\"-2.500\" y=\"-5.500\" width=\"5\" height=\"11\"",
                                        "<rect x=\"-5.500\" y=\"-2.500\" width=\"11\" height=\"5\""};
    rp_printf(p, "<g transform=\"translate(%.2f %.2f)\" class=\"marker s%d\"", x, y, series % N_SERIES);
    rp_put(p, " data-tip=\"{}\">", tip);
    rp_put(p, SHAPE[series % N_SERIES]);
    rp_put(p, "><title>{}</title>", tip);
    rp_put(p, "{!}",
           strncmp(SHAPE[series % N_SERIES], "<rect", 5) == 0   ? "</rect>"
           : strncmp(SHAPE[series % N_SERIES], "<path", 5) == 0 ? "</path>"
                                                                : "</circle>");
    rp_put(p, "</g>\n");
}

double rp_legend(rp_page *p, double x, double y, int series, const char *text, double max) {
    rp_printf(p, "<line x1=\"%.2f\" y1=\"%.2f\" x2=\"%.2f\" y2=\"%.2f\" class=\"line s%d\"/>\n", x, y - 4, x + 28, y - 4,
              series % N_SERIES);
    rp_label(p, x + 34, y, "start", "small", text, max - 34);
    return y + 17;
}

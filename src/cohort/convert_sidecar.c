/* convert_sidecar.c: the allow-list of sidecar fields. */
#include "convert_sidecar.h"

#include "convert_dicom.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "radcohort/bvalue.h"
#include "utf8.h"

typedef enum field_kind { FIELD_TEXT, FIELD_NUMBER, FIELD_WORDS, FIELD_NUMBERS, FIELD_COSINES } field_kind;

enum { MAX_TEXT = 64, MAX_ITEMS = 4096 };

static const struct field {
    const char *name, *column;
    field_kind kind;
    double scale; /* BIDS has seconds, radiologists milliseconds */
} field[] = {
    {"Modality", "modality", FIELD_TEXT, 1},
    {"Manufacturer", "manufacturer", FIELD_TEXT, 1},
    {"ManufacturersModelName", "model", FIELD_TEXT, 1},
    {"MagneticFieldStrength", "field_strength_t", FIELD_NUMBER, 1},
    {"SliceThickness", "slice_thickness_mm", FIELD_NUMBER, 1},
    {"SpacingBetweenSlices", "slice_spacing_mm", FIELD_NUMBER, 1},
    {"ConvolutionKernel", "kernel", FIELD_TEXT, 1},
    {"KVP", "kvp", FIELD_NUMBER, 1},
    {"EchoTime", "echo_time_ms", FIELD_NUMBER, 1000},
    {"EchoNumber", "echo", FIELD_NUMBER, 1},
    {"RepetitionTime", "repetition_time_ms", FIELD_NUMBER, 1000},
    {"InversionTime", "inversion_time_ms", FIELD_NUMBER, 1000},
    {"FlipAngle", "flip_angle_deg", FIELD_NUMBER, 1},
    {"EchoTrainLength", "echo_train_length", FIELD_NUMBER, 1},
    {"PixelBandwidth", "pixel_bandwidth_hz", FIELD_NUMBER, 1},
    {"MRAcquisitionType", "acquisition_type", FIELD_TEXT, 1},
    {"ScanningSequence", "scanning_sequence", FIELD_TEXT, 1},
    {"BodyPartExamined", "body_part", FIELD_TEXT, 1},
    {"ImageType", "image_type", FIELD_WORDS, 1},
    {"BValues", "b_value", FIELD_NUMBERS, 1},
    {"ImageOrientationPatientDICOM", "orientation", FIELD_COSINES, 1},
    {"ContrastAgentStated", "contrast_agent", FIELD_TEXT, 1},
    {"SecondsAfterInjection", "seconds_after_injection", FIELD_NUMBER, 1},
};
enum { N_FIELD = sizeof field / sizeof *field };

rad_status sidecar_read(const char *path, json_t **ret, rad_error *err) {
    char *text = NULL;
    size_t size = 0;
    json_error_t why;
    rad_status st = rad_file_read(path, RAD_MAX_SIDECAR_BYTES, &text, &size, err);
    if (st != RAD_OK)
        return st;
    json_t *o = json_loadb(text, size, 0, &why);
    free(text);
    if (!o || !json_is_object(o)) {
        if (!o) {
            utf8_scrub(why.text);
            st = rad_error_set(err, RAD_E_FORMAT, "'%.200s' is not readable as JSON: line %d: %.120s", path, why.line, why.text);
        } else {
            st = rad_error_set(err, RAD_E_FORMAT, "'%.200s' holds no JSON object: a sidecar was expected", path);
        }
        json_decref(o);
        return st;
    }
    *ret = o;
    return RAD_OK;
}

/* Short text without control characters: what a scanner writes, no essay. */
static bool is_short_text(const json_t *v) {
    const char *s = json_string_value(v);
    if (!s || !s[0] || json_string_length(v) != strlen(s) || strlen(s) > MAX_TEXT)
        return false;
    for (; *s; s++)
        if ((unsigned char)*s < 0x20 || *s == 0x7F)
            return false;
    return true;
}

static bool fits(const json_t *v, field_kind kind) {
    size_t i;
    json_t *item;
    if (kind == FIELD_TEXT)
        return is_short_text(v);
    if (kind == FIELD_NUMBER)
        return json_is_number(v) && isfinite(json_number_value(v));
    if (kind == FIELD_NUMBERS && json_is_number(v))
        return true;
    if (!json_is_array(v) || json_array_size(v) == 0 || json_array_size(v) > MAX_ITEMS ||
        (kind == FIELD_COSINES && json_array_size(v) != 6))
        return false;
    json_array_foreach(v, i, item) {
        if (kind == FIELD_WORDS ? !is_short_text(item) : !json_is_number(item))
            return false;
    }
    return true;
}

json_t *sidecar_clean(const json_t *raw) {
    json_t *o = json_object();
    for (int k = 0; o && k < N_FIELD; k++) {
        const json_t *v = json_object_get(raw, field[k].name);
        if (!v || !fits(v, field[k].kind))
            continue;
        json_t *copy = json_deep_copy(v);
        if (!copy || json_object_set_new(o, field[k].name, copy) != 0) {
            json_decref(o);
            return NULL;
        }
    }
    return o;
}

int sidecar_count(void) {
    return N_FIELD;
}

const char *sidecar_column(int k) {
    return field[k].column;
}

const char *sidecar_orientation(const double v[6]) {
    double n[3] = {v[1] * v[5] - v[2] * v[4], v[2] * v[3] - v[0] * v[5], v[0] * v[4] - v[1] * v[3]};
    double x = fabs(n[0]), y = fabs(n[1]), z = fabs(n[2]);
    if (!(x + y + z > 0.5))
        return NULL;
    return z >= x && z >= y ? "axial" : y >= x ? "coronal" : "sagittal";
}

static rad_status put_words(const json_t *v, rad_buf *b, rad_error *err) {
    size_t i;
    json_t *item;
    rad_status st = RAD_OK;
    json_array_foreach(v, i, item) {
        if (st == RAD_OK)
            st = rad_buf_printf(b, err, "%s%s", i ? "\\" : "", json_string_value(item));
    }
    return st;
}

static rad_status put_numbers(const json_t *v, rad_buf *b, rad_error *err) {
    size_t i;
    json_t *item;
    rad_status st = RAD_OK;
    json_array_foreach(v, i, item) {
        if (st == RAD_OK)
            st = rad_buf_printf(b, err, "%s%.9g", i ? " " : "", json_number_value(item));
    }
    return st;
}

rad_status sidecar_value(const json_t *o, int k, arena *a, char **ret, rad_error *err) {
    const json_t *v = json_object_get(o, field[k].name);
    rad_buf b;
    rad_status st = RAD_OK;
    *ret = NULL;
    if (!v || !fits(v, field[k].kind))
        return RAD_OK;
    rad_buf_init(&b, 1 << 20);
    if (field[k].kind == FIELD_TEXT) {
        st = rad_buf_printf(&b, err, "%s", json_string_value(v));
    } else if (json_is_number(v)) {
        st = rad_buf_printf(&b, err, "%.9g", json_number_value(v) * field[k].scale);
    } else if (field[k].kind == FIELD_WORDS) {
        st = put_words(v, &b, err);
    } else if (field[k].kind == FIELD_NUMBERS) {
        st = put_numbers(v, &b, err);
    } else {
        double c[6];
        for (size_t i = 0; i < 6; i++)
            c[i] = json_number_value(json_array_get(v, i));
        const char *name = sidecar_orientation(c);
        st = rad_buf_printf(&b, err, "%s", name ? name : "");
    }
    if (st == RAD_OK && b.size && !(*ret = arena_strndup(a, b.data, b.size)))
        st = rad_error_set(err, RAD_E_NOMEM, "no memory for a sidecar's values");
    rad_buf_release(&b);
    return st;
}

static int by_value(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

rad_status sidecar_b_values(const char *path, json_t **ret, rad_error *err) {
    rad_b_table t = {0};
    rad_error why = {0};
    *ret = NULL;
    rad_status st = rad_b_table_read(path, &t, &why);
    if (st == RAD_E_NOMEM)
        return rad_error_set(err, st, "%s", why.text);
    if (st != RAD_OK) /* no diffusion at all: dcm2niix writes such tables beside echo-planar series of some scanners */
        return RAD_OK;
    qsort(t.value, (size_t)t.n, sizeof *t.value, by_value);
    json_t *list = json_array();
    bool bad = !list;
    for (int64_t i = 0; i < t.n && !bad; i++)
        if (i == 0 || t.value[i] != t.value[i - 1])
            bad = json_array_append_new(list, json_real(t.value[i])) != 0;
    rad_b_table_release(&t);
    if (bad) {
        json_decref(list);
        return rad_error_set(err, RAD_E_NOMEM, "no memory for b-values");
    }
    *ret = list;
    return RAD_OK;
}

/* convert_output.c: what dcm2niix left for one series becomes files of the cohort folder: NIfTI without free text in its header, a sidecar
 * of allowed fields, a table of slices, and the journal entry that lets the next conversion skip the series. */
#include <dirent.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "convert_impl.h"
#include "radcohort/bvalue.h"

enum { JOURNAL_VERSION = 1, MAX_OUTPUTS = 512, HEADER = 352 };

static rad_status no_memory(rad_error *err) {
    return rad_error_set(err, RAD_E_NOMEM, "no memory for the files of a series");
}

void convert_outputs_release(convert_series *s) {
    for (int i = 0; i < s->n_output; i++) {
        free(s->output[i].variant);
        free(s->output[i].path);
        json_decref(s->output[i].facts);
    }
    free(s->output);
    s->output = NULL;
    s->n_output = 0;
}

/* ---------------------------------------------------------------- one NIfTI file */

static int16_t le16(const unsigned char *p) {
    return (int16_t)((unsigned)p[0] | (unsigned)p[1] << 8);
}

static float le_float(const unsigned char *p) {
    uint32_t bits = (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
    float v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

/* The header that dcm2niix wrote: its free texts (db_name, descrip, aux_file, intent_name: times, comments) are blanked, dims and affine
 * taken. Offsets: nifti1.h. */
static rad_status clean_header(const char *path, int64_t dim[4], double affine[3][4], rad_error *err) {
    static const struct { size_t at, n; } text[] = {{4, 10}, {14, 18}, {148, 80}, {228, 24}, {328, 16}};
    unsigned char h[HEADER];
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return rad_error_set(err, RAD_E_IO, "the converted file cannot be opened");
    rad_status st = RAD_OK;
    if (pread(fd, h, HEADER, 0) != HEADER || h[0] != 0x5C || h[1] != 1 || h[2] || h[3] || memcmp(h + 344, "n+1", 4) != 0 || h[348])
        st = rad_error_set(err, RAD_E_UNSUPPORTED, "dcm2niix wrote no plain NIfTI-1 file (little endian, without extensions)");
    for (int i = 0; i < 4 && st == RAD_OK; i++) {
        dim[i] = i < le16(h + 40) ? le16(h + 42 + 2 * i) : 1;
        if (dim[i] < 1)
            st = rad_error_set(err, RAD_E_FORMAT, "dcm2niix wrote an image of %lld along axis %d", (long long)dim[i], i + 1);
    }
    for (int r = 0; r < 3; r++)
        for (int k = 0; k < 4; k++)
            affine[r][k] = (double)le_float(h + 280 + 16 * r + 4 * k);
    for (size_t i = 0; i < sizeof text / sizeof *text; i++)
        memset(h + text[i].at, 0, text[i].n);
    if (st == RAD_OK && pwrite(fd, h, HEADER, 0) != HEADER)
        st = rad_error_set(err, RAD_E_IO, "the converted file cannot be written");
    if (close(fd) != 0 && st == RAD_OK)
        st = rad_error_set(err, RAD_E_IO, "the converted file cannot be written");
    return st;
}

/* Does a text hold what identifies the patient? Parts of names count from three letters. */
static bool identifies(const dicom_series *h, const char *text) {
    static const dicom_text which[] = {DICOM_PATIENT_ID, DICOM_BIRTH_DATE, DICOM_ACCESSION,
                                       DICOM_STUDY_UID,  DICOM_SERIES_UID, DICOM_STUDY_DATE};
    char part[DICOM_TEXT], pattern[DICOM_TEXT + 2];
    rule_patterns one = {1, (char *[]){pattern}};
    for (size_t i = 0; i < sizeof which / sizeof *which; i++) {
        snprintf(pattern, sizeof pattern, "*%s*", h->text[which[i]]);
        if (strlen(h->text[which[i]]) >= 4 && rules_any(&one, text))
            return true;
    }
    for (const char *s = h->text[DICOM_PATIENT_NAME]; *s;) {
        size_t n = strcspn(s, "^ ,=");
        snprintf(part, sizeof part, "%.*s", (int)n, s);
        snprintf(pattern, sizeof pattern, "*%s*", part);
        if (n >= 3 && rules_any(&one, text))
            return true;
        s += n + (s[n] != '\0');
    }
    return false;
}

/* A kept field whose text names the patient is dropped after all: operators type names everywhere. */
static void drop_identifying(const dicom_series *h, json_t *facts) {
    const char *key;
    json_t *v;
    void *next;
    json_object_foreach_safe(facts, next, key, v) {
        if (json_is_string(v) && identifies(h, json_string_value(v)))
            (void)json_object_del(facts, key);
    }
}

/* NULL for what people write when there was none. */
static const char *stated_agent(const char *s) {
    rule_patterns none = {8, (char *[]){(char[]){"none"}, (char[]){"no"}, (char[]){"n"}, (char[]){"n/a"}, (char[]){"no contrast*"},
                                        (char[]){"without*"}, (char[]){"keine*"}, (char[]){"-"}}};
    return s[0] && !rules_any(&none, s) ? s : NULL;
}

/* Facts that dcm2niix does not write, from the headers. */
static rad_status add_header_facts(const convert_series *s, json_t *o, rad_error *err) {
    static const struct {
        dicom_text from;
        const char *name;
    } text[] = {{DICOM_MODALITY, "Modality"},
                {DICOM_MANUFACTURER, "Manufacturer"},
                {DICOM_MODEL, "ManufacturersModelName"},
                {DICOM_KERNEL, "ConvolutionKernel"},
                {DICOM_BODY_PART, "BodyPartExamined"}};
    static const struct {
        dicom_number from;
        const char *name;
        double scale;
    } number[] = {{DICOM_FIELD_STRENGTH, "MagneticFieldStrength", 1},
                  {DICOM_SLICE_THICKNESS, "SliceThickness", 1},
                  {DICOM_KVP, "KVP", 1},
                  {DICOM_ECHO_TIME, "EchoTime", 0.001},
                  {DICOM_REPETITION_TIME, "RepetitionTime", 0.001},
                  {DICOM_INVERSION_TIME, "InversionTime", 0.001},
                  {DICOM_FLIP_ANGLE, "FlipAngle", 1}};
    int bad = 0;
    for (size_t i = 0; i < sizeof text / sizeof *text; i++)
        if (!json_object_get(o, text[i].name) && s->head.text[text[i].from][0])
            bad |= json_object_set_new(o, text[i].name, json_string(s->head.text[text[i].from]));
    for (size_t i = 0; i < sizeof number / sizeof *number; i++) {
        double low = s->head.low[number[i].from], high = s->head.high[number[i].from];
        if (!json_object_get(o, number[i].name) && !isnan(low) && low == high)
            bad |= json_object_set_new(o, number[i].name, json_real(low * number[i].scale));
    }
    if (!json_object_get(o, "BValues") && !isnan(s->head.low[DICOM_B_VALUE]) && s->head.low[DICOM_B_VALUE] == s->head.high[DICOM_B_VALUE])
        bad |= json_object_set_new(o, "BValues", json_pack("[f]", s->head.low[DICOM_B_VALUE]));
    if (stated_agent(s->head.text[DICOM_AGENT]))
        bad |= json_object_set_new(o, "ContrastAgentStated", json_string("yes"));
    double from = dicom_seconds(s->head.text[DICOM_CONTRAST_TIME]), at = dicom_seconds(s->head.text[DICOM_ACQUISITION_TIME]);
    if (!isnan(from) && !isnan(at) && at >= from)
        bad |= json_object_set_new(o, "SecondsAfterInjection", json_real(at - from));
    return bad ? no_memory(err) : RAD_OK;
}

/* The sidecar of out_Eq_1.nii is out_Eq_1.json, or out.json: dcm2niix writes one for both. */
static rad_status find_sidecar(const char *work, const char *base, json_t **ret, rad_error *err) {
    char name[128];
    snprintf(name, sizeof name, "%s", base);
    for (;;) {
        json_t *raw = NULL;
        rad_error why = {0};
        char *path = rad_asprintf("%s/%s.json", work, name);
        if (!path)
            return no_memory(err);
        rad_status st = sidecar_read(path, &raw, &why);
        free(path);
        if (st == RAD_OK)
            *ret = sidecar_clean(raw);
        json_decref(raw);
        if (st == RAD_OK)
            return *ret ? RAD_OK : no_memory(err);
        if (st != RAD_E_NOTFOUND)
            return rad_error_set(err, st, "the sidecar of dcm2niix is not usable: %.200s", why.text);
        char *cut = strrchr(name, '_');
        if (!cut)
            break;
        *cut = '\0';
    }
    *ret = json_object();
    return *ret ? RAD_OK : no_memory(err);
}

/* ---------------------------------------------------------------- facts for the rules */

static const char *text_or_null(const char *s) {
    return s[0] ? s : NULL;
}

static void set_range(rule_facts *f, rule_number n, double low, double high) {
    f->low[n] = low;
    f->high[n] = high;
}

rad_status convert_facts(convert *c, const convert_series *s, const convert_output *o, rule_facts *ret, rad_error *err) {
    static const rule_number from_header[DICOM_NUMBER_COUNT] = {RULE_ECHO_TIME,  RULE_REPETITION_TIME, RULE_INVERSION_TIME,
                                                                RULE_FLIP_ANGLE, RULE_SLICE_THICKNESS, RULE_FIELD_STRENGTH,
                                                                RULE_KVP,        RULE_B_VALUE};
    const dicom_series *h = &s->head;
    rule_facts f = {.from_headers = o == NULL, .voxels = 0, .slices = s->n_file};
    rad_status st = RAD_OK;
    for (int i = 0; i < RULE_NUMBER_COUNT; i++)
        f.low[i] = f.high[i] = NAN;
    for (int i = 0; i < DICOM_NUMBER_COUNT; i++)
        set_range(&f, from_header[i], h->low[i], h->high[i]);
    f.text[RULE_MODALITY] = text_or_null(h->text[DICOM_MODALITY]);
    f.text[RULE_DESCRIPTION] = text_or_null(h->text[DICOM_DESCRIPTION]);
    f.text[RULE_PROTOCOL] = text_or_null(h->text[DICOM_PROTOCOL]);
    f.text[RULE_AGENT] = stated_agent(h->text[DICOM_AGENT]);
    f.text[RULE_IMAGE_TYPE] = text_or_null(h->text[DICOM_IMAGE_TYPE]);
    f.text[RULE_SCANNING_SEQUENCE] = text_or_null(h->text[DICOM_SCANNING_SEQUENCE]);
    f.text[RULE_SEQUENCE_NAME] = text_or_null(h->text[DICOM_SEQUENCE_NAME]);
    f.text[RULE_MANUFACTURER] = text_or_null(h->text[DICOM_MANUFACTURER]);
    f.text[RULE_MODEL] = text_or_null(h->text[DICOM_MODEL]);
    f.text[RULE_BODY_PART] = text_or_null(h->text[DICOM_BODY_PART]);
    f.text[RULE_KERNEL] = text_or_null(h->text[DICOM_KERNEL]);
    f.text[RULE_ORIENTATION] = sidecar_orientation(h->orientation);
    f.text[RULE_VARIANT] = "";
    f.acquired = dicom_seconds(h->text[DICOM_ACQUISITION_TIME]);
    if (isnan(f.acquired))
        f.acquired = dicom_seconds(h->text[DICOM_SERIES_TIME]);
    double injected = dicom_seconds(h->text[DICOM_CONTRAST_TIME]);
    if (!isnan(f.acquired) && f.acquired >= injected)
        set_range(&f, RULE_AFTER_INJECTION, f.acquired - injected, f.acquired - injected);
    if (!o) {
        *ret = f;
        return RAD_OK;
    }
    f.text[RULE_VARIANT] = o->variant;
    f.slices = o->dim[2];
    f.voxels = o->dim[0] * o->dim[1] * o->dim[2] * o->dim[3];
    set_range(&f, RULE_SLICES, (double)f.slices, (double)f.slices);
    static const struct {
        const char *column;
        rule_number to;
    } number[] = {{"echo_time_ms", RULE_ECHO_TIME},
                  {"repetition_time_ms", RULE_REPETITION_TIME},
                  {"inversion_time_ms", RULE_INVERSION_TIME},
                  {"flip_angle_deg", RULE_FLIP_ANGLE},
                  {"slice_thickness_mm", RULE_SLICE_THICKNESS},
                  {"field_strength_t", RULE_FIELD_STRENGTH},
                  {"kvp", RULE_KVP},
                  {"echo", RULE_ECHO}};
    for (int k = 0; k < sidecar_count() && st == RAD_OK; k++) {
        char *v = NULL;
        double x = 0, y = 0;
        const char *column = sidecar_column(k);
        st = sidecar_value(o->facts, k, c->arena, &v, err);
        if (!v)
            continue;
        for (size_t i = 0; i < sizeof number / sizeof *number; i++)
            if (strcmp(column, number[i].column) == 0 && rad_parse_double(v, &x))
                set_range(&f, number[i].to, x, x);
        if (strcmp(column, "image_type") == 0)
            f.text[RULE_IMAGE_TYPE] = v;
        if (strcmp(column, "orientation") == 0)
            f.text[RULE_ORIENTATION] = v;
        if (strcmp(column, "b_value") == 0) {
            char *end = strrchr(v, ' '), *first = end ? arena_strndup(c->arena, v, strcspn(v, " ")) : v;
            if (!first)
                return no_memory(err);
            if (rad_parse_double(first, &x) && rad_parse_double(end ? end + 1 : v, &y))
                set_range(&f, RULE_B_VALUE, x, y);
        }
    }
    *ret = f;
    return st;
}

/* ---------------------------------------------------------------- taking over */

static int by_name(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Names out*.nii in the work folder without their ending, sorted. */
static rad_status list_volumes(const char *work, char **name, int *ret_n, rad_error *err) {
    int n = 0;
    DIR *d = opendir(work);
    if (!d)
        return rad_error_set(err, RAD_E_IO, "the working folder cannot be read");
    rad_status st = RAD_OK;
    for (struct dirent *e = readdir(d); e && st == RAD_OK; e = readdir(d)) {
        size_t m = strlen(e->d_name);
        if (m < 7 || m > 100 || strncmp(e->d_name, "out", 3) != 0 || strcmp(e->d_name + m - 4, ".nii") != 0)
            continue;
        if (n == MAX_OUTPUTS)
            st = rad_error_set(err, RAD_E_LIMIT, "dcm2niix made more than %d files of one series", MAX_OUTPUTS);
        else if (!(name[n] = rad_strndup(e->d_name, m - 4)))
            st = no_memory(err);
        else
            n++;
    }
    closedir(d);
    if (n)
        qsort(name, (size_t)n, sizeof *name, by_name);
    *ret_n = n;
    return st;
}

static rad_status write_json(const char *path, const json_t *o, rad_error *err) {
    char *text = json_dumps(o, JSON_INDENT(2) | JSON_SORT_KEYS | JSON_REAL_PRECISION(9));
    if (!text)
        return no_memory(err);
    rad_status st = rad_file_write_atomic(path, text, strlen(text), err);
    free(text);
    return st;
}

/* The path of a file of the cohort folder with another ending than .nii.gz. */
static char *beside(const convert *c, const char *path, const char *ending) {
    return rad_asprintf("%s/%.*s%s", c->cohort, (int)(strlen(path) - 7), path, ending);
}

/* Which volume has which b-value lies beside a 4-D image: its numbers alone, written anew. */
static rad_status take_table(const char *from, const char *to, int64_t n_volume, rad_error *err) {
    rad_b_table t = {0};
    rad_buf b;
    rad_status st = RAD_OK;
    rad_error why = {0};
    if (n_volume < 2 || (st = rad_b_table_read(from, &t, &why)) != RAD_OK || t.n != n_volume) {
        rad_b_table_release(&t);
        (void)unlink(to); /* of an older conversion */
        return st == RAD_E_NOMEM ? no_memory(err) : RAD_OK;
    }
    rad_buf_init(&b, (size_t)1 << 20);
    for (int64_t i = 0; i < t.n && st == RAD_OK; i++)
        st = rad_buf_printf(&b, err, "%.9g%c", t.value[i], i + 1 < t.n ? ' ' : '\n');
    if (st == RAD_OK)
        st = rad_file_write_atomic(to, b.data, b.size, err);
    rad_buf_release(&b);
    rad_b_table_release(&t);
    return st;
}

static rad_status take_volume(const convert *c, const convert_series *s, const char *work, const char *name, convert_output *o,
                              rad_error *err) {
    rad_status st = RAD_OK;
    rad_buf b;
    json_t *values = NULL;
    double affine[3][4];
    const char *variant = name[3] == '_' ? name + 4 : name + 3;
    char *nii = rad_asprintf("%s/%s.nii", work, name), *gz = rad_asprintf("%s/%s.nii.gz", work, name),
         *bval = rad_asprintf("%s/%s.bval", work, name), *log = rad_asprintf("%s/gzip.log", work), *to = NULL, *json = NULL, *slices = NULL,
         *table = NULL;
    struct stat info;
    rad_buf_init(&b, (size_t)1 << 30);
    o->variant = rad_strdup(variant);
    for (char *q = o->variant; q && *q; q++)
        if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-", *q))
            *q = '-';
    if (!nii || !gz || !bval || !log || !o->variant) {
        st = no_memory(err);
        goto out;
    }
    o->path = rad_asprintf("images/%s/%s%s%s.nii.gz", c->patient[s->patient].pseudonym, s->token, variant[0] ? "_" : "", o->variant);
    to = o->path ? rad_path_join(c->cohort, o->path) : NULL;
    json = o->path ? beside(c, o->path, ".json") : NULL;
    slices = o->path ? beside(c, o->path, "_slices.tsv") : NULL;
    table = o->path ? beside(c, o->path, ".bval") : NULL;
    if (!to || !json || !slices || !table) {
        st = no_memory(err);
        goto out;
    }
    RAD_TRY(clean_header(nii, o->dim, affine, err));
    RAD_TRY(find_sidecar(work, name, &o->facts, err));
    RAD_TRY(sidecar_b_values(bval, &values, err));
    if (values && json_object_set(o->facts, "BValues", values) != 0)
        RAD_TRY(no_memory(err));
    RAD_TRY(add_header_facts(s, o->facts, err));
    drop_identifying(&s->head, o->facts);
    o->rule.low[RULE_ECHO_TIME] =
        json_is_number(json_object_get(o->facts, "EchoTime")) ? 1000 * json_number_value(json_object_get(o->facts, "EchoTime")) : NAN;
    RAD_TRY(convert_slices(c, s, o, affine, &b, &o->lost, err));
    char *argv[] = {c->gzip, (char[]){"-n"}, (char[]){"-f"}, (char[]){"-6"}, nii, NULL}; /* -n: neither name nor time */
    int code = convert_child(argv, log, c->opts->time_limit_s);
    if (code != 0)
        RAD_TRY(rad_error_set(err, RAD_E_IO, "gzip could not pack the image (%s %d)", code == -2 ? "out of time," : "exit status", code));
    if (stat(gz, &info) != 0)
        RAD_TRY(rad_error_set(err, RAD_E_IO, "the packed image is not there"));
    o->bytes = info.st_size;
    RAD_TRY(rad_file_write_atomic(slices, b.data, b.size, err));
    RAD_TRY(write_json(json, o->facts, err));
    RAD_TRY(take_table(bval, table, o->dim[3], err));
    if (rename(gz, to) != 0)
        st = rad_error_set(err, RAD_E_IO, "the image cannot be moved into the cohort folder");
out:
    rad_buf_release(&b);
    json_decref(values);
    free(nii);
    free(gz);
    free(bval);
    free(log);
    free(to);
    free(json);
    free(slices);
    free(table);
    return st;
}

static char *journal_path(const convert *c, const convert_series *s) {
    return rad_asprintf("%s/.radcohort/convert/%s.json", c->cohort, s->token);
}

/* Files of an older conversion of the series that the new one has not written again. */
static void remove_stale(const convert *c, const convert_series *s) {
    char *path = journal_path(c, s);
    json_t *old = NULL, *item;
    size_t i;
    if (path && sidecar_read(path, &old, NULL) == RAD_OK) {
        json_array_foreach(json_object_get(old, "outputs"), i, item) {
            const char *p = json_string_value(json_object_get(item, "path"));
            bool stays = !p || strncmp(p, "images/", 7) != 0 || strlen(p) < 16 || !rad_path_is_inside(p);
            for (int k = 0; k < s->n_output && !stays; k++)
                stays = strcmp(s->output[k].path, p) == 0;
            static const char *const ending[] = {".nii.gz", ".json", "_slices.tsv", ".bval"};
            for (int k = 0; k < 4 && !stays; k++) {
                char *file = beside(c, p, ending[k]);
                if (file)
                    unlink(file);
                free(file);
            }
        }
    }
    json_decref(old);
    free(path);
}

rad_status convert_take(const convert *c, convert_series *s, const char *work, rad_error *err) {
    char *name[MAX_OUTPUTS] = {NULL};
    int n = 0;
    char *dir = rad_asprintf("%s/images/%s", c->cohort, c->patient[s->patient].pseudonym);
    rad_status st = dir ? RAD_OK : no_memory(err);
    if (st == RAD_OK)
        st = list_volumes(work, name, &n, err);
    if (st == RAD_OK && n == 0)
        st = rad_error_set(err, RAD_E_UNSUPPORTED, "dcm2niix made no image of it");
    if (st == RAD_OK)
        st = rad_mkdirs(dir, err);
    if (st == RAD_OK && !(s->output = rad_calloc((size_t)n, sizeof *s->output)))
        st = no_memory(err);
    for (int i = 0; i < n && st == RAD_OK; i++) {
        s->n_output = i + 1;
        st = take_volume(c, s, work, name[i], &s->output[i], err);
    }
    if (st == RAD_OK)
        remove_stale(c, s);
    else
        convert_outputs_release(s);
    for (int i = 0; i < n; i++)
        free(name[i]);
    free(dir);
    return st;
}

/* ---------------------------------------------------------------- journal */

rad_status convert_store(const convert *c, const convert_series *s, rad_error *err) {
    json_t *list = json_array(), *o = json_object();
    int bad = !list || !o;
    for (int i = 0; i < s->n_output && !bad; i++) {
        const convert_output *p = &s->output[i];
        bad |= json_array_append_new(list, json_pack("{s:s, s:s, s:I, s:[I,I,I,I], s:I}", "variant", p->variant, "path", p->path, "bytes",
                                                     (json_int_t)p->bytes, "dim", (json_int_t)p->dim[0], (json_int_t)p->dim[1],
                                                     (json_int_t)p->dim[2], (json_int_t)p->dim[3], "lost", (json_int_t)p->lost));
    }
    bad |= json_object_set_new(o, "version", json_integer(JOURNAL_VERSION)) |
           json_object_set_new(o, "signature", json_string(s->signature)) | json_object_set(o, "outputs", list);
    json_decref(list);
    char *path = journal_path(c, s);
    rad_status st = bad || !path ? no_memory(err) : write_json(path, o, err);
    json_decref(o);
    free(path);
    return st;
}

static bool load_output(const convert *c, const json_t *j, convert_output *o) {
    const char *variant = json_string_value(json_object_get(j, "variant")), *path = json_string_value(json_object_get(j, "path"));
    const json_t *dim = json_object_get(j, "dim");
    struct stat info;
    if (!variant || !path || strncmp(path, "images/", 7) != 0 || strlen(path) < 16 || !rad_path_is_inside(path) ||
        strcmp(path + strlen(path) - 7, ".nii.gz") != 0 || json_array_size(dim) != 4)
        return false;
    o->variant = rad_strdup(variant);
    o->path = rad_strdup(path);
    o->bytes = json_integer_value(json_object_get(j, "bytes"));
    o->lost = json_integer_value(json_object_get(j, "lost"));
    for (size_t i = 0; i < 4; i++)
        o->dim[i] = json_integer_value(json_array_get(dim, i));
    char *file = rad_path_join(c->cohort, path), *json = beside(c, path, ".json"), *slices = beside(c, path, "_slices.tsv");
    json_t *raw = NULL;
    bool ok = file && json && slices && o->variant && o->path && stat(file, &info) == 0 && info.st_size == o->bytes &&
              stat(slices, &info) == 0 && sidecar_read(json, &raw, NULL) == RAD_OK;
    if (ok)
        o->facts = sidecar_clean(raw);
    json_decref(raw);
    free(file);
    free(json);
    free(slices);
    return ok && o->facts;
}

bool convert_load(const convert *c, convert_series *s) {
    char *path = journal_path(c, s);
    json_t *o = NULL, *item;
    size_t i;
    bool ok = path && sidecar_read(path, &o, NULL) == RAD_OK;
    free(path);
    const json_t *list = json_object_get(o, "outputs");
    const char *signature = json_string_value(json_object_get(o, "signature"));
    size_t n = json_array_size(list);
    ok = ok && json_integer_value(json_object_get(o, "version")) == JOURNAL_VERSION && signature && strcmp(signature, s->signature) == 0 &&
         n > 0 && n <= MAX_OUTPUTS && (s->output = rad_calloc(n, sizeof *s->output)) != NULL;
    if (ok) {
        json_array_foreach(list, i, item) {
            if (ok) {
                s->n_output = (int)i + 1;
                ok = load_output(c, item, &s->output[i]);
            }
        }
    }
    json_decref(o);
    if (!ok)
        convert_outputs_release(s);
    return ok;
}

/* convert_tables.c: the verdict on every image (rule, conflicts) and the tables. A table that was edited by hand is never overwritten. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "convert_impl.h"
#include "convert_labels.h"
#include "radcohort/bvalue.h"

static rad_status no_memory(rad_error *err) {
    return rad_error_set(err, RAD_E_NOMEM, "no memory for the tables");
}

/* ---------------------------------------------------------------- verdict */

typedef struct candidate {
    convert_series *s;
    convert_output *o;
    bool *order_ok; /* per rule */
} candidate;

static int by_study(const void *a, const void *b) {
    const candidate *x = a, *y = b;
    if (x->s->patient != y->s->patient)
        return x->s->patient < y->s->patient ? -1 : 1;
    int k = strcmp(x->s->study, y->s->study);
    if (k)
        return k;
    double s = x->o->rule.acquired, t = y->o->rule.acquired;
    if (s != t && !(isnan(s) && isnan(t)))
        return isnan(s) ? 1 : isnan(t) ? -1 : s < t ? -1 : 1;
    int64_t m = 0, n = 0;
    if (rad_parse_int(x->s->head.text[DICOM_SERIES_NUMBER], &m) && rad_parse_int(y->s->head.text[DICOM_SERIES_NUMBER], &n) && m != n)
        return m < n ? -1 : 1;
    k = strcmp(x->s->token, y->s->token);
    return k ? k : strcmp(x->o->variant, y->o->variant);
}

/* Positive when `a` is preferred. */
static double compare(const candidate *a, const candidate *b, rule_prefer how) {
    bool ca = strncmp(a->o->variant, "Tilt", 4) == 0 || strncmp(a->o->variant, "Eq", 2) == 0,
         cb = strncmp(b->o->variant, "Tilt", 4) == 0 || strncmp(b->o->variant, "Eq", 2) == 0;
    double x = 0, y = 0;
    switch (how) {
    case PREFER_CORRECTED:
        return (double)ca - (double)cb;
    case PREFER_ORIGINAL:
        return (double)cb - (double)ca;
    case PREFER_MOST_SLICES:
        return (double)a->o->rule.slices - (double)b->o->rule.slices;
    case PREFER_THINNEST:
        x = b->o->rule.low[RULE_SLICE_THICKNESS];
        y = a->o->rule.low[RULE_SLICE_THICKNESS];
        break;
    case PREFER_LATEST:
        x = a->o->rule.acquired;
        y = b->o->rule.acquired;
        break;
    case PREFER_EARLIEST:
        x = b->o->rule.acquired;
        y = a->o->rule.acquired;
        break;
    case PREFER_COUNT:
        break;
    }
    return isnan(x) || isnan(y) ? (double)isnan(how == PREFER_LATEST ? y : x) - (double)isnan(how == PREFER_LATEST ? x : y) : x - y;
}

static const char *const prefer_name[] = {"corrected", "original", "most-slices", "thinnest", "latest", "earliest"};

/* Of two images with one sequence in one study: the preferred; *ret_by says by which preference. Candidates are in order of acquisition, so
 * that the earlier one wins when no preference decides. */
static bool is_better(const convert *c, const candidate *later, const candidate *first, const char **ret_by) {
    int which = first->o->match < later->o->match ? first->o->match : later->o->match;
    const rule *r = &c->rules.rule[which];
    int n = r->n_prefer ? r->n_prefer : c->rules.n_prefer;
    const rule_prefer *p = r->n_prefer ? r->prefer : c->rules.prefer;
    for (int i = 0; i < n; i++) {
        double d = compare(later, first, p[i]);
        *ret_by = prefer_name[p[i]];
        if (d != 0)
            return d > 0;
    }
    *ret_by = "order of acquisition";
    return false;
}

/* The rules' condition `order`: places by time among the images of the study that meet the rule's other conditions. */
static void judge_order(const convert *c, candidate *list, int64_t n) {
    for (int r = 0; r < c->rules.n_rule; r++) {
        const rule *want = &c->rules.rule[r];
        int64_t place = 0;
        for (int64_t i = 0; i < n; i++) {
            list[i].order_ok[r] = true;
            if (!want->has_order || !rules_meets(want, &list[i].o->rule, false))
                continue;
            place++;
            list[i].order_ok[r] = place >= want->order_low && place <= want->order_high;
        }
    }
}

/* Volumes of several b-values in one image: usable where a channel of the job says which one it takes, and refused where none does. Without
 * the table nobody knows which volume is which. */
static rad_status judge_b_values(convert *c, convert_output *o, rad_error *err) {
    const double low = o->rule.low[RULE_B_VALUE], high = o->rule.high[RULE_B_VALUE];
    struct stat info;
    if (o->status != RAD_CONVERT_USED || o->dim[3] < 2 || !(high - low > rad_b_tolerance(high)))
        return RAD_OK;
    char *image = c->opts->dry_run ? NULL : rad_path_join(c->cohort, o->path), *table = image ? rad_b_table_beside(image) : NULL;
    const bool told = table && stat(table, &info) == 0;
    free(image);
    free(table);
    o->status = told ? RAD_CONVERT_USED : RAD_CONVERT_FAILED;
    o->reason = arena_printf(c->arena, "%lld volumes of b-values from %g to %g in one 4-D image%s", (long long)o->dim[3], low, high,
                             told ? ": a channel of the job picks one of them, for example b_value: 800"
                                  : ", and no table that says which is which: export the b-values as series of their own");
    return o->reason ? RAD_OK : no_memory(err);
}

static rad_status judge_study(convert *c, candidate *list, int64_t n, rad_error *err) {
    judge_order(c, list, n);
    for (int64_t i = 0; i < n; i++) {
        rule_verdict v;
        convert_output *o = list[i].o;
        rules_match(&c->rules, &o->rule, false, list[i].order_ok, &v);
        o->match = v.rule;
        o->status = v.rule < 0 ? RAD_CONVERT_UNMATCHED : c->rules.rule[v.rule].ignore ? RAD_CONVERT_IGNORED : RAD_CONVERT_USED;
        o->reason = "";
        if (v.rule < 0 && v.nearest >= 0)
            o->reason = arena_printf(c->arena, "nearest rule '%s': %s", c->rules.rule[v.nearest].name, v.why);
        else if (o->lost > 0)
            o->reason = arena_printf(c->arena, "%lld DICOM images are in no slice of it or cannot be told apart", (long long)o->lost);
        if (!o->reason)
            return no_memory(err);
        rad_status st = judge_b_values(c, o, err);
        if (st != RAD_OK)
            return st;
    }
    for (int64_t i = 0; i < n; i++) {
        int64_t best = i;
        const char *by = "";
        if (list[i].o->status != RAD_CONVERT_USED)
            continue;
        const char *sequence = c->rules.rule[list[i].o->match].sequence;
        for (int64_t k = i + 1; k < n; k++) { /* one of the pair loses, with the preference that decided as its reason */
            if (list[k].o->status != RAD_CONVERT_USED || strcmp(c->rules.rule[list[k].o->match].sequence, sequence) != 0)
                continue;
            bool better = is_better(c, &list[k], &list[best], &by);
            int64_t loser = better ? best : k, winner = better ? k : best;
            list[loser].o->status = RAD_CONVERT_UNUSED;
            list[loser].o->reason = arena_printf(c->arena, "series %s%s%s is preferred as %s (%s)", list[winner].s->token,
                                                 list[winner].o->variant[0] ? "_" : "", list[winner].o->variant, sequence, by);
            if (!list[loser].o->reason)
                return no_memory(err);
            best = winner;
        }
    }
    return RAD_OK;
}

rad_status convert_judge(convert *c, rad_error *err) {
    int64_t n = 0, cap = 0;
    rad_status st = RAD_OK;
    for (int64_t i = 0; i < c->n_series; i++)
        cap += c->series[i].n_output;
    candidate *list = rad_calloc((size_t)cap, sizeof *list);
    bool *ok = rad_calloc((size_t)cap, (size_t)c->rules.n_rule);
    if (!list || !ok)
        st = no_memory(err);
    for (int64_t i = 0; i < c->n_series && st == RAD_OK; i++)
        for (int k = 0; k < c->series[i].n_output && st == RAD_OK; k++) {
            convert_output *o = &c->series[i].output[k];
            if (!c->opts->dry_run)
                st = convert_facts(c, &c->series[i], o, &o->rule, err);
            list[n] = (candidate){&c->series[i], o, ok + n * c->rules.n_rule};
            n++;
        }
    if (n && st == RAD_OK)
        qsort(list, (size_t)n, sizeof *list, by_study);
    for (int64_t from = 0, to = 0; from < n && st == RAD_OK; from = to) {
        while (to < n && list[to].s->patient == list[from].s->patient && strcmp(list[to].s->study, list[from].s->study) == 0)
            to++;
        st = judge_study(c, list + from, to - from, err);
    }
    free(ok);
    free(list);
    return st;
}

/* ---------------------------------------------------------------- writing */

rad_status convert_put_field(rad_buf *b, const char *s, char after, rad_error *err) {
    rad_status st = RAD_OK;
    bool quoted = s && strchr(s, '"');
    if (!s || !s[0])
        st = rad_buf_printf(b, err, "n/a");
    if (quoted)
        st = rad_buf_put(b, "\"", 1, err);
    for (; s && *s && st == RAD_OK; s++) {
        char c = (unsigned char)*s < 0x20 || *s == 0x7F ? ' ' : *s;
        st = rad_buf_put(b, &c, 1, err);
        if (c == '"' && st == RAD_OK)
            st = rad_buf_put(b, &c, 1, err);
    }
    if (quoted && st == RAD_OK)
        st = rad_buf_put(b, "\"", 1, err);
    return st == RAD_OK ? rad_buf_put(b, &after, 1, err) : st;
}

/* The table as a new file, in place of the one that we wrote last; one that somebody has edited stays, the new one lies beside. */
static rad_status write_table(convert *c, const char *name, const rad_buf *b, json_t *written, rad_error *err) {
    char hex[RAD_SHA256_HEX], now[RAD_SHA256_HEX] = "", *old = NULL;
    size_t n = 0;
    char *path = rad_path_join(c->cohort, name), *aside = rad_asprintf("%s/%s.new", c->cohort, name);
    rad_status st = path && aside ? rad_sha256(b->data ? b->data : "", b->size, hex, err) : no_memory(err);
    if (st != RAD_OK)
        goto out;
    rad_error why = {0};
    rad_status got = rad_file_read(path, (size_t)2 << 30, &old, &n, &why);
    if (got == RAD_OK)
        RAD_TRY(rad_sha256(old, n, now, err));
    else if (got != RAD_E_NOTFOUND)
        RAD_TRY(rad_error_set(err, got, "%s", why.text));
    const char *ours = json_string_value(json_object_get(written, name));
    bool edited = got == RAD_OK && strcmp(now, hex) != 0 && (!ours || strcmp(ours, now) != 0);
    if (edited) {
        RAD_TRY(rad_file_write_atomic(aside, b->data, b->size, err));
        if (c->out->n_table_kept < (int64_t)(sizeof c->out->table_kept / sizeof *c->out->table_kept))
            c->out->table_kept[c->out->n_table_kept++] = arena_strdup(c->arena, name);
    } else {
        if (strcmp(now, hex) != 0)
            RAD_TRY(rad_file_write_atomic(path, b->data, b->size, err));
        if (json_object_set_new(written, name, json_string(hex)) != 0)
            RAD_TRY(no_memory(err));
    }
out:
    free(old);
    free(path);
    free(aside);
    return st;
}

static rad_status put_images(convert *c, rad_buf *b, rad_error *err) {
    static const rule_text kept[] = {RULE_DESCRIPTION, RULE_PROTOCOL, RULE_AGENT, RULE_SEQUENCE_NAME};
    rad_status st = rad_buf_printf(b, err, "patient\tstudy\tsequence\tpath\tseries\tvariant\tslices\t");
    bool keep[RULE_TEXT_COUNT] = {false};
    for (int i = 0; i < c->rules.n_rule; i++)
        for (int t = 0; t < RULE_TEXT_COUNT; t++)
            keep[t] = keep[t] || c->rules.rule[i].keep[t];
    for (size_t i = 0; i < sizeof kept / sizeof *kept && st == RAD_OK; i++)
        if (keep[kept[i]])
            st = rad_buf_printf(b, err, "%s\t", rules_text_key(kept[i]));
    for (int k = 0; k < sidecar_count() && st == RAD_OK; k++)
        st = rad_buf_printf(b, err, "%s%c", sidecar_column(k), k + 1 < sidecar_count() ? '\t' : '\n');
    for (int64_t i = 0; i < c->n_series && st == RAD_OK; i++)
        for (int j = 0; j < c->series[i].n_output && st == RAD_OK; j++) {
            convert_series *s = &c->series[i];
            convert_output *o = &s->output[j];
            if (o->status != RAD_CONVERT_USED)
                continue;
            const rule *r = &c->rules.rule[o->match];
            c->patient[s->patient].used = true;
            st = convert_put_field(b, c->patient[s->patient].pseudonym, '\t', err);
            if (st == RAD_OK)
                st = convert_put_field(b, s->study, '\t', err);
            if (st == RAD_OK)
                st = convert_put_field(b, r->sequence, '\t', err);
            if (st == RAD_OK)
                st = rad_buf_printf(b, err, "%s\t%s\t%s\t%lld\t", o->path, s->token, o->variant[0] ? o->variant : "n/a",
                                    (long long)o->dim[2]);
            for (size_t k = 0; k < sizeof kept / sizeof *kept && st == RAD_OK; k++)
                if (keep[kept[k]])
                    st = convert_put_field(b, r->keep[kept[k]] ? o->rule.text[kept[k]] : NULL, '\t', err);
            for (int k = 0; k < sidecar_count() && st == RAD_OK; k++) {
                char *v = NULL;
                st = sidecar_value(o->facts, k, c->arena, &v, err);
                if (st == RAD_OK)
                    st = convert_put_field(b, v, k + 1 < sidecar_count() ? '\t' : '\n', err);
            }
        }
    return st;
}

static int by_pseudonym(const void *a, const void *b) {
    return strcmp((*(convert_patient *const *)a)->pseudonym, (*(convert_patient *const *)b)->pseudonym);
}

static rad_status put_patients(convert *c, rad_buf *b, rad_error *err) {
    convert_patient **p = rad_calloc((size_t)c->n_patient, sizeof *p);
    int64_t n = 0;
    if (!p)
        return no_memory(err);
    rad_status st = rad_buf_printf(b, err, "patient\tcenter\tlabel\tage\tsex");
    if (st == RAD_OK)
        st = convert_labels_put_header(c->labels, b, err);
    for (int64_t i = 0; i < c->n_patient; i++)
        if (c->patient[i].used)
            p[n++] = &c->patient[i];
    if (n) /* by pseudonym: the order of the archive may be that of names */
        qsort(p, (size_t)n, sizeof(convert_patient *), by_pseudonym);
    for (int64_t i = 0; i < n && st == RAD_OK; i++) {
        char age[32] = "", sex[2] = {p[i]->sex, '\0'};
        if (!isnan(p[i]->age))
            snprintf(age, sizeof age, "%.4g", p[i]->age);
        c->center[p[i]->center].used = true;
        st = convert_put_field(b, p[i]->pseudonym, '\t', err);
        if (st == RAD_OK)
            st = convert_put_field(b, c->center[p[i]->center].id, '\t', err);
        if (st == RAD_OK)
            st = convert_put_field(b, convert_labels_label(c->labels, p[i] - c->patient), '\t', err);
        if (st == RAD_OK)
            st = convert_put_field(b, age, '\t', err);
        if (st == RAD_OK)
            st = convert_put_field(b, sex, convert_labels_columns(c->labels) ? '\t' : '\n', err);
        if (st == RAD_OK)
            st = convert_labels_put_row(c->labels, p[i] - c->patient, b, err);
    }
    c->out->n_patient = n;
    free(p);
    return st;
}

static int by_center(const void *a, const void *b) {
    return strcmp(((const convert_center *)a)->id, ((const convert_center *)b)->id);
}

/* After the patients: indices of centers are not used any more. */
static rad_status put_centers(convert *c, rad_buf *b, rad_error *err) {
    rad_status st = rad_buf_printf(b, err, "center\tcohort\tname\tcountry\n");
    if (c->n_center)
        qsort(c->center, (size_t)c->n_center, sizeof *c->center, by_center);
    for (int64_t i = 0; i < c->n_center && st == RAD_OK; i++) {
        const convert_center *k = &c->center[i];
        if (!k->used)
            continue;
        c->out->n_center++;
        st = convert_put_field(b, k->id, '\t', err);
        if (st == RAD_OK)
            st = rad_buf_printf(b, err, "%s\t", k->external ? "external" : "internal");
        if (st == RAD_OK)
            st = convert_put_field(b, k->name, '\t', err);
        if (st == RAD_OK)
            st = convert_put_field(b, k->country, '\n', err);
    }
    return st;
}

/* ---------------------------------------------------------------- report */

static rad_status add_row(convert *c, const convert_series *s, const convert_output *o, rad_convert_row *r) {
    static const char *const nothing = "";
    *r = (rad_convert_row){
        .patient = s->patient >= 0 ? c->patient[s->patient].pseudonym : nothing,
        .study = s->study ? s->study : nothing,
        .series = s->token,
        .variant = nothing,
        .sequence = nothing,
        .rule = nothing,
        .path = nothing,
        .reason = s->reason ? s->reason : nothing,
        .status = s->status,
        .fresh = s->fresh,
    };
    if (o) {
        r->status = o->status;
        r->reason = o->reason;
        r->variant = arena_strdup(c->arena, o->variant);
        r->path = o->path ? arena_strdup(c->arena, o->path) : nothing;
        if (o->match >= 0) {
            r->rule = c->rules.rule[o->match].name;
            r->sequence = c->rules.rule[o->match].sequence ? c->rules.rule[o->match].sequence : nothing;
        }
        if (!r->variant || !r->path)
            return RAD_E_NOMEM;
    }
    return RAD_OK;
}

static rad_status fill_rows(convert *c, rad_error *err) {
    int64_t n = 0;
    for (int64_t i = 0; i < c->n_series; i++)
        n += c->series[i].n_output > 0 ? c->series[i].n_output : 1;
    c->out->row = arena_alloc(c->arena, (size_t)n, sizeof *c->out->row);
    if (!c->out->row)
        return no_memory(err);
    for (int64_t i = 0; i < c->n_series; i++) {
        const convert_series *s = &c->series[i];
        for (int k = 0; k < s->n_output || (k == 0 && s->n_output == 0); k++) {
            rad_convert_row *r = &c->out->row[c->out->n_row++];
            if (add_row(c, s, s->n_output ? &s->output[k] : NULL, r) != RAD_OK)
                return no_memory(err);
            c->out->n_status[r->status]++;
        }
        c->out->n_fresh += s->n_output > 0 && s->fresh;
        c->out->n_kept += s->n_output > 0 && !s->fresh && !c->opts->dry_run;
    }
    return RAD_OK;
}

static int by_report(const void *a, const void *b) {
    const rad_convert_row *x = a, *y = b;
    int k = strcmp(x->patient, y->patient);
    k = k ? k : strcmp(x->study, y->study);
    k = k ? k : strcmp(x->series, y->series);
    return k ? k : strcmp(x->variant, y->variant);
}

static rad_status put_report(convert *c, rad_buf *b, rad_error *err) {
    rad_status st = rad_buf_printf(b, err, "patient\tstudy\tseries\tvariant\tstatus\tsequence\trule\tpath\treason\n");
    for (int64_t i = 0; i < c->out->n_row && st == RAD_OK; i++) {
        const rad_convert_row *r = &c->out->row[i];
        const char *field[] = {r->patient,  r->study, r->series, r->variant, rad_convert_status_name(r->status),
                               r->sequence, r->rule,  r->path,   r->reason};
        for (int k = 0; k < 9 && st == RAD_OK; k++)
            st = convert_put_field(b, field[k], k < 8 ? '\t' : '\n', err);
    }
    return st;
}

/* For the operator: which folder and which texts a series token stands for. It identifies people; never in the cohort folder. */
static rad_status put_sources(const convert *c, rad_buf *b, rad_error *err) {
    rad_status st = rad_buf_printf(b, err,
                                   "series\tpatient\tpatient_id\tstudy_date\tstatus\tmodality\tdescription\tprotocol\tagent\tinstitution\t"
                                   "files\tfirst_file\n");
    for (int64_t i = 0; i < c->n_series && st == RAD_OK; i++) {
        const convert_series *s = &c->series[i];
        const dicom_text t[] = {DICOM_MODALITY, DICOM_DESCRIPTION, DICOM_PROTOCOL, DICOM_AGENT, DICOM_INSTITUTION};
        const char *front[] = {s->token, s->patient >= 0 ? c->patient[s->patient].pseudonym : "", s->head.text[DICOM_PATIENT_ID],
                               s->head.text[DICOM_STUDY_DATE], rad_convert_status_name(s->n_output ? s->output[0].status : s->status)};
        for (int k = 0; k < 5 && st == RAD_OK; k++)
            st = convert_put_field(b, front[k], '\t', err);
        for (int k = 0; k < 5 && st == RAD_OK; k++)
            st = convert_put_field(b, s->head.text[t[k]], '\t', err);
        if (st == RAD_OK)
            st = rad_buf_printf(b, err, "%lld\t", (long long)s->n_file);
        if (st == RAD_OK)
            st = convert_put_field(b, c->file[s->first].path, '\n', err);
    }
    return st;
}

rad_status convert_write_tables(convert *c, rad_error *err) {
    rad_status st = RAD_OK;
    json_t *written = NULL;
    rad_buf b;
    char *state = rad_path_join(c->cohort, ".radcohort/convert/tables.json");
    rad_buf_init(&b, (size_t)2 << 30);
    if (!state)
        return no_memory(err);
    RAD_TRY(fill_rows(c, err));
    if (c->out->n_row)
        qsort(c->out->row, (size_t)c->out->n_row, sizeof *c->out->row, by_report);
    if (c->opts->source_list) {
        RAD_TRY(put_sources(c, &b, err));
        RAD_TRY(rad_file_write_atomic(c->opts->source_list, b.data, b.size, err));
        rad_buf_clear(&b);
    }
    if (c->opts->dry_run)
        goto out;
    rad_status got = sidecar_read(state, &written, NULL);
    if (got != RAD_OK && !(written = json_object()))
        RAD_TRY(no_memory(err));
    RAD_TRY(put_images(c, &b, err));
    RAD_TRY(write_table(c, "images.tsv", &b, written, err));
    rad_buf_clear(&b);
    RAD_TRY(put_patients(c, &b, err));
    RAD_TRY(write_table(c, "patients.tsv", &b, written, err));
    rad_buf_clear(&b);
    RAD_TRY(convert_labels_put_lesions(c, &b, err));
    if (b.size)
        RAD_TRY(write_table(c, "lesions.tsv", &b, written, err));
    rad_buf_clear(&b);
    RAD_TRY(put_centers(c, &b, err));
    RAD_TRY(write_table(c, "centers.tsv", &b, written, err));
    rad_buf_clear(&b);
    RAD_TRY(put_report(c, &b, err));
    RAD_TRY(write_table(c, RAD_CONVERT_REPORT, &b, written, err));
    char *text = json_dumps(written, JSON_INDENT(2) | JSON_SORT_KEYS);
    st = text ? rad_file_write_atomic(state, text, strlen(text), err) : no_memory(err);
    free(text);
out:
    json_decref(written);
    free(state);
    rad_buf_release(&b);
    return st;
}

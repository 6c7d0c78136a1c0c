/* check_text.c: the findings of `radcohort check` for people: short, columns aligned. */
#include <inttypes.h>
#include <string.h>

#include "check.h"

enum { MAX_ROWS = 40 };

/* Columns a UTF-8 text takes, one per character (wide scripts come out a little ragged, never wrong). */
static int width_of(const char *s) {
    int n = 0;
    for (; *s; s++)
        n += ((unsigned char)*s & 0xC0) != 0x80;
    return n;
}

static int wider(int width, const char *s) {
    int w = width_of(s);
    return w > width ? w : width;
}

static void pad(const char *s, int width) {
    (void)printf("%s%*s", s, width > width_of(s) ? width - width_of(s) : 0, "");
}

static void number(int64_t n, int width) {
    (void)printf("  %*" PRId64, width, n);
}

static const char *plural(int64_t n) {
    return n == 1 ? "" : "s";
}

static void print_head(const check *k) {
    const rad_cohort *c = k->cohort;
    const rad_job *job = k->job;
    int64_t external = 0, n = k->manifest->n_case;
    for (int64_t i = 0; i < c->n_center; i++)
        external += c->center[i].external;
    (void)printf("job      %s (%s)\n", job->name, k->job_path);
    (void)printf("cohort   %s: %" PRId64 " center%s (%" PRId64 " external), %" PRId64 " patient%s, %" PRId64 " image%s, %" PRId64
                 " lesion%s, %" PRId64 " reading%s\n",
                 c->dir, c->n_center, plural(c->n_center), external, c->n_patient, plural(c->n_patient), c->n_image, plural(c->n_image),
                 c->n_lesion, plural(c->n_lesion), c->n_reading, plural(c->n_reading));
    (void)printf("cases    %" PRId64 " (one per %s): %" PRId64 " can be scored by every model, %" PRId64 " %s not\n", n,
                 job->case_unit == RAD_UNIT_LESION ? "lesion" : "patient and study", n - k->n_excluded, k->n_excluded,
                 k->n_excluded == 1 ? "does" : "do");
    if (k->manifest->n_unselected > 0)
        (void)printf("         %" PRId64 " patient%s not selected by the job\n", k->manifest->n_unselected,
                     plural(k->manifest->n_unselected));
    if (k->n_no_case > 0)
        (void)printf("         %" PRId64 " patient%s without a case\n", k->n_no_case, plural(k->n_no_case));
}

static void print_models(const check *k) {
    static const char *const activation[] = {"no activation", "softmax", "sigmoid"};
    const rad_job *job = k->job;
    int name = 0, input = 0, shape = 0;
    for (int i = 0; i < job->n_model; i++) {
        const char *s = k->model[i].input_shape ? k->model[i].input_shape : "?";
        name = wider(name, job->model[i].name);
        input = wider(input, job->input[job->model[i].input].name);
        shape = wider(shape, s);
    }
    for (int i = 0; i < job->n_model; i++) {
        const check_model *m = &k->model[i];
        const rad_model_spec *spec = &job->model[i];
        (void)printf("%s", i == 0 ? "models   " : "         ");
        pad(spec->name, name);
        (void)printf("  ");
        pad(job->input[spec->input].name, input);
        (void)printf("  ");
        pad(m->input_shape ? m->input_shape : "?", shape);
        char weights[40];
        if (m->parameters < 100000)
            snprintf(weights, sizeof weights, "%" PRId64, m->parameters);
        else
            snprintf(weights, sizeof weights, "%.1f million", (double)m->parameters / 1e6);
        if (m->ok && m->output_shape)
            (void)printf(" -> %s, %s, %s weights, %d nodes\n", m->output_shape, activation[spec->activation], weights, m->n_node);
        else
            (void)printf(" %s\n", m->ok                             ? "(decided by each image)"
                                  : spec->folds > 0 && !k->manifest ? "(not looked at: the tables are wrong)"
                                                                    : "NOT USABLE, see above");
    }
    (void)printf("backend  %s, %s%s%s%s\n", job->backend, job->precision, k->backend ? " (" : ": not usable on this machine",
                 k->backend ? k->backend : "", k->backend ? ")" : "");
}

static void print_centers(const check *k) {
    const rad_cohort *c = k->cohort;
    const rad_job *job = k->job;
    int name = width_of("center");
    for (int64_t i = 0; i < c->n_center; i++)
        name = wider(name, c->center[i].id);
    (void)printf("\n");
    pad("center", name);
    (void)printf("  cohort    cases");
    for (int j = 0; j < job->n_class; j++)
        (void)printf("  %s", job->class_name[j]);
    (void)printf("  not known\n");
    for (int64_t i = 0; i < c->n_center; i++) {
        const int64_t *row = k->count + i * (job->n_class + 1);
        int64_t sum = 0;
        for (int j = 0; j <= job->n_class; j++)
            sum += row[j];
        if (i == MAX_ROWS) {
            (void)printf("... and %" PRId64 " more centers (--json lists all)\n", c->n_center - i);
            break;
        }
        pad(c->center[i].id, name);
        (void)printf("  %s", c->center[i].external ? "external" : "internal");
        number(sum, 5);
        for (int j = 0; j < job->n_class; j++)
            number(row[j], width_of(job->class_name[j]));
        number(row[job->n_class], width_of("not known"));
        (void)printf("\n");
    }
}

static void offsets_text(const rad_input_spec *in, int channel, char *buf, size_t cap) {
    const rad_channel_spec *c = &in->channel[channel];
    size_t at = 0;
    snprintf(buf, cap, "%s", in->volume.on ? "volume" : "");
    if (in->volume.on)
        return;
    for (int i = 0; i < c->n_offset && at < cap; i++) {
        int n = snprintf(buf + at, cap - at, "%s%d", i ? "," : "", c->offset[i]);
        at += n > 0 ? (size_t)n : 0;
    }
}

static void print_channels(const check *k) {
    const rad_job *job = k->job;
    int name = width_of("input"), sequence = width_of("sequence"), offset = width_of("slices");
    char text[160];
    for (int i = 0; i < job->n_input; i++) {
        name = wider(name, job->input[i].name);
        for (int ch = 0; ch < job->input[i].n_channel; ch++) {
            offsets_text(&job->input[i], ch, text, sizeof text);
            sequence = wider(sequence, job->input[i].channel[ch].sequence);
            offset = wider(offset, text);
        }
    }
    (void)printf("\n");
    pad("input", name);
    (void)printf("  ");
    pad("sequence", sequence);
    (void)printf("  ");
    pad("slices", offset);
    (void)printf("  matched  not matched  cases ready\n");
    for (int i = 0; i < job->n_input; i++)
        for (int ch = 0; ch < job->input[i].n_channel; ch++) {
            offsets_text(&job->input[i], ch, text, sizeof text);
            pad(ch == 0 ? job->input[i].name : "", name);
            (void)printf("  ");
            pad(job->input[i].channel[ch].sequence, sequence);
            (void)printf("  ");
            pad(text, offset);
            number(k->matched[i][ch], 7);
            number(k->manifest->n_case - k->matched[i][ch], 11);
            if (ch == 0)
                number(k->input_ok[i], 11);
            (void)printf("\n");
        }
}

static void print_groups(const check *k, const check_groups *g, const char *title) {
    if (g->n == 0)
        return;
    (void)printf("\n%s\n", title);
    for (int64_t i = 0; i < g->n && i < MAX_ROWS; i++) {
        const check_group *c = &g->item[i];
        (void)printf("%7" PRId64 "  ", c->n);
        if (c->input >= 0)
            (void)printf("%s, %s: ", k->job->input[c->input].name, c->stage);
        (void)printf("%s\n", c->why);
        for (int e = 0; e < CHECK_EXAMPLES && c->example[e]; e++)
            (void)printf("         %s\n", c->example[e]);
        if (c->n > CHECK_EXAMPLES)
            (void)printf("         ... and %" PRId64 " more\n", c->n - CHECK_EXAMPLES);
    }
    if (g->n > MAX_ROWS)
        (void)printf("... and %" PRId64 " more reasons (--json lists all)\n", g->n - MAX_ROWS);
}

void check_print_text(const check *k) {
    if (!k->manifest) {
        if (k->job && k->model) {
            (void)printf("job      %s (%s)\n", k->job->name, k->job_path);
            print_models(k);
        }
        return;
    }
    print_head(k);
    print_models(k);
    print_centers(k);
    print_channels(k);
    print_groups(k, &k->excluded, "cases that would be excluded, by input and reason");
    print_groups(k, &k->unused, "images that no input takes");
}

/* cli.c: option parsing and error reporting shared by the commands. */
#include "cli.h"
#include "help.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static rad_status wrong(const rad_command *c, const char *what, const char *word, const char *way_out) {
    (void)fprintf(stderr, "radcohort %s: %serror:%s %s '%s'%s%s\n", c->name, rad_term_style(stderr, RAD_STYLE_ERROR),
                  rad_term_style(stderr, RAD_STYLE_PLAIN), what, word, way_out[0] != '\0' ? ": " : "", way_out);
    for (int i = 0; i < RAD_MAX_USAGES && c->usage[i] != NULL; i++)
        (void)fprintf(stderr, "%s radcohort %s %s\n", i == 0 ? "usage:" : "      ", c->name, c->usage[i]);
    return RAD_E_USAGE;
}

static rad_status unknown(const rad_command *c, const char *word, size_t length) {
    const char *known[RAD_MAX_OPTIONS + 2];
    size_t n = 0;
    for (; c->option[n].name != NULL && n < RAD_MAX_OPTIONS; n++)
        known[n] = c->option[n].name;
    known[n++] = "--help";
    known[n] = NULL;
    char given[80], hint[120];
    (void)snprintf(given, sizeof given, "%.*s", (int)(length < sizeof given ? length : sizeof given - 1), word);
    const char *near = rad_nearest_word(given, known);
    if (near != NULL)
        (void)snprintf(hint, sizeof hint, "did you mean '%s'?", near);
    else
        (void)snprintf(hint, sizeof hint, "'radcohort %s --help' lists all", c->name);
    return wrong(c, "unknown option", given, hint);
}

static const rad_target *find_target(const rad_target *t, const char *name) {
    while (t->name != NULL && strcmp(t->name, name) != 0)
        t++;
    return t->name != NULL ? t : NULL;
}

/* The table and what the command binds of it are the same options of the same kind. */
static rad_status check_table(const rad_command *c, const rad_target *target) {
    size_t n = 0, m = 0;
    bool same = true;
    while (target[m].name != NULL)
        m++;
    for (; c->option[n].name != NULL; n++) {
        const rad_target *t = find_target(target, c->option[n].name);
        same = same && t != NULL && (c->option[n].value != NULL) == (t->value != NULL) && (t->value != NULL || t->set != NULL);
    }
    if (same && n == m && n <= RAD_MAX_OPTIONS)
        return RAD_OK;
    (void)fprintf(stderr, "radcohort %s: error: the program's table of options is not what the command reads: report this\n", c->name);
    return RAD_E_INTERNAL;
}

/* One option at argv[*i]; advances *i over its value. */
static rad_status take(const rad_command *c, int argc, char **argv, int *i, const rad_target *target) {
    const char *word = argv[*i];
    const char *equals = strncmp(word, "--", 2) == 0 ? strchr(word, '=') : NULL;
    size_t length = equals != NULL ? (size_t)(equals - word) : strlen(word);
    const rad_option *o = c->option;
    while (o->name != NULL && (strlen(o->name) != length || strncmp(o->name, word, length) != 0))
        o++;
    if (o->name == NULL)
        return unknown(c, word, length);
    const rad_target *t = find_target(target, o->name);
    if (o->value == NULL) {
        if (equals != NULL)
            return wrong(c, "no value is taken by", o->name, "");
        *t->set = true;
        if (strcmp(o->name, "--json") == 0)
            (void)setenv("NO_COLOR", "1", 1); /* a program reads along: also what it shows of standard error is plain */
        return RAD_OK;
    }
    if (equals != NULL) {
        *t->value = equals + 1;
    } else {
        /* `--input --output x` is a forgotten value, not a file called "--output"; `--input=--output` says it all the same. */
        if (*i + 1 >= argc || strncmp(argv[*i + 1], "--", 2) == 0) {
            char hint[120];
            (void)snprintf(hint, sizeof hint, "%s %s", o->name, o->value);
            return wrong(c, "a value is missing after", o->name, hint);
        }
        *t->value = argv[++*i];
    }
    return RAD_OK;
}

rad_status rad_cli_parse(const rad_command *c, int argc, char **argv, const rad_target *target, const char **positional, int max_positional,
                         int *ret_n) {
    int n = 0;
    bool only_positional = false;
    if (check_table(c, target) != RAD_OK)
        return RAD_E_USAGE;
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            rad_cli_print_help(c, stdout);
            return RAD_E_STOPPED;
        } else if (strcmp(argv[i], "--") == 0) {
            break;
        }
    for (int i = 1; i < argc; i++) {
        const char *word = argv[i];
        if (!only_positional && strcmp(word, "--") == 0) {
            only_positional = true;
        } else if (!only_positional && word[0] == '-' && word[1] != '\0') {
            rad_status st = take(c, argc, argv, &i, target);
            if (st != RAD_OK)
                return st;
        } else if (n < max_positional) {
            positional[n++] = word;
        } else {
            return wrong(c, "unexpected argument", word, "");
        }
    }
    *ret_n = n;
    return RAD_OK;
}

const char *rad_cli_duration(double seconds, char buf[RAD_CLI_DURATION]) {
    const double whole = floor(seconds + 0.5), minutes = floor(seconds / 60 + 0.5);
    if (seconds < 0.01)
        (void)snprintf(buf, RAD_CLI_DURATION, "under 0.01 s");
    else if (seconds < 9.95)
        (void)snprintf(buf, RAD_CLI_DURATION, "%.2g s", seconds);
    else if (whole < 60)
        (void)snprintf(buf, RAD_CLI_DURATION, "%.0f s", whole);
    else if (whole < 3600)
        (void)snprintf(buf, RAD_CLI_DURATION, "%.0f min %02.0f s", floor(whole / 60), fmod(whole, 60));
    else if (minutes < 6000)
        (void)snprintf(buf, RAD_CLI_DURATION, "%.0f h %02.0f min", floor(minutes / 60), fmod(minutes, 60));
    else
        (void)snprintf(buf, RAD_CLI_DURATION, "%.0f h", minutes / 60);
    return buf;
}

int rad_cli_fail(const rad_command *c, rad_status st, const rad_error *err) {
    const char *text = err != NULL && err->text[0] != '\0' ? err->text : rad_status_reason(st);
    (void)fprintf(stderr, "radcohort %s: %serror:%s %s\n", c->name, rad_term_style(stderr, RAD_STYLE_ERROR),
                  rad_term_style(stderr, RAD_STYLE_PLAIN), text);
    return rad_status_exit_code(st);
}

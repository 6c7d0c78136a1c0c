/* cli.c: option parsing and error reporting shared by the commands. */
#include "cli.h"

#include <stdio.h>
#include <string.h>

enum { MAX_OPTIONS = 64 };

void rad_cli_print_help(const rad_command *c, FILE *to) {
    (void)fprintf(to, "usage: radcohort %s %s\n\n%s\n\n%s", c->name, c->usage, c->summary, c->help);
}

static rad_status wrong(const rad_command *c, const char *what, const char *word, const char *way_out) {
    (void)fprintf(stderr, "radcohort %s: error: %s '%s'%s%s\nusage: radcohort %s %s\n", c->name, what, word, way_out[0] != '\0' ? ": " : "",
                  way_out, c->name, c->usage);
    return RAD_E_USAGE;
}

static rad_status unknown(const rad_command *c, const char *word, size_t length, const rad_option *option) {
    const char *known[MAX_OPTIONS + 2];
    size_t n = 0;
    for (; option[n].name != NULL && n < MAX_OPTIONS; n++)
        known[n] = option[n].name;
    known[n++] = "--help";
    known[n] = NULL;
    char given[80];
    (void)snprintf(given, sizeof given, "%.*s", (int)(length < sizeof given ? length : sizeof given - 1), word);
    const char *near = rad_nearest_word(given, known);
    char hint[120] = "'--help' lists all";
    if (near != NULL)
        (void)snprintf(hint, sizeof hint, "did you mean '%s'?", near);
    return wrong(c, "unknown option", given, hint);
}

/* One option at argv[*i]; advances *i over its value. */
static rad_status take(const rad_command *c, int argc, char **argv, int *i, const rad_option *option) {
    const char *word = argv[*i];
    const char *equals = strncmp(word, "--", 2) == 0 ? strchr(word, '=') : NULL;
    size_t length = equals != NULL ? (size_t)(equals - word) : strlen(word);
    const rad_option *o = option;
    while (o->name != NULL && (strlen(o->name) != length || strncmp(o->name, word, length) != 0))
        o++;
    if (o->name == NULL)
        return unknown(c, word, length, option);
    if (o->flag) {
        if (equals != NULL)
            return wrong(c, "no value is taken by", o->name, "");
        *o->set = true;
        return RAD_OK;
    }
    if (equals != NULL) {
        *o->value = equals + 1;
    } else {
        /* `--input --output x` is a forgotten value, not a file called "--output"; `--input=--output` says it all the same. */
        if (*i + 1 >= argc || strncmp(argv[*i + 1], "--", 2) == 0)
            return wrong(c, "a value is missing after", o->name, "");
        *o->value = argv[++*i];
    }
    if (o->set != NULL)
        *o->set = true;
    return RAD_OK;
}

rad_status rad_cli_parse(const rad_command *c, int argc, char **argv, const rad_option *option, const char **positional, int max_positional,
                         int *ret_n) {
    int n = 0;
    bool only_positional = false;
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
            rad_status st = take(c, argc, argv, &i, option);
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

int rad_cli_fail(const rad_command *c, rad_status st, const rad_error *err) {
    const char *text = err != NULL && err->text[0] != '\0' ? err->text : rad_status_reason(st);
    (void)fprintf(stderr, "radcohort %s: error: %s\n", c->name, text);
    return rad_status_exit_code(st);
}

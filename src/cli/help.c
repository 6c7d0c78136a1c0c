/* help.c: the overview and each command's help as text for a terminal. */
#include "help.h"

#include <string.h>

const char *const rad_group_title[RAD_N_GROUP] = {
    [RAD_GROUP_RUN] = "a study, from the check to the page",
    [RAD_GROUP_TRUST] = "a result questioned, proved, given away",
    [RAD_GROUP_CLUSTER] = "many nodes",
    [RAD_GROUP_DATA] = "cohort folders",
    [RAD_GROUP_NETWORK] = "networks and engines",
};

/* Paragraphs; what begins with a blank stays as it is. */
static void print_about(FILE *to, const char *text) {
    while (*text)
        if (*text == ' ' || *text == '\n') {
            const int n = (int)strcspn(text, "\n");
            (void)fprintf(to, "%.*s\n", n, text);
            text += n + (text[n] == '\n');
        } else {
            text = rad_cli_put(to, 0, 0, text);
        }
}

static int option_width(const rad_option *o) {
    return (int)(strlen(o->name) + (o->value != NULL ? 1 + strlen(o->value) : 0));
}

static void print_options(FILE *to, const rad_option *o) {
    static const rad_option help = {"--help", NULL, NULL, "this text"};
    int widest = option_width(&help);
    for (const rad_option *p = o; p->name != NULL; p++)
        widest = option_width(p) > widest ? option_width(p) : widest;
    const int at = 2 + widest + 2;
    for (bool last = false; !last; o++) {
        last = o->name == NULL;
        const rad_option *p = last ? &help : o;
        (void)fprintf(to, "  %s%s%s%*s", p->name, p->value != NULL ? " " : "", p->value != NULL ? p->value : "", at - 2 - option_width(p),
                      "");
        (void)rad_cli_put(to, at, at, p->text);
    }
}

void rad_cli_print_help(const rad_command *c, FILE *to) {
    const char *bold = rad_term_style(to, RAD_STYLE_HEADING), *plain = rad_term_style(to, RAD_STYLE_PLAIN);
    for (int i = 0; i < RAD_MAX_USAGES && c->usage[i] != NULL; i++)
        (void)fprintf(to, "%s%s%s radcohort %s %s\n", bold, i == 0 ? "usage:" : "      ", plain, c->name, c->usage[i]);
    (void)fprintf(to, "\n%s\n\n", c->summary);
    print_about(to, c->about);
    (void)fprintf(to, "\n%soptions:%s\n", bold, plain);
    print_options(to, c->option);
    (void)fprintf(to, "\n%sexit status:%s ", bold, plain);
    (void)rad_cli_put(to, 13, 13, c->exits);
    (void)fprintf(to, "\n%sexamples:%s\n", bold, plain);
    for (int i = 0; i < RAD_MAX_EXAMPLES && c->example[i].line != NULL; i++) {
        (void)fprintf(to, "  # %s\n", c->example[i].text);
        for (const char *line = c->example[i].line; *line;) {
            const int n = (int)strcspn(line, "\n");
            (void)fprintf(to, "  %.*s\n", n, line);
            line += n + (line[n] == '\n');
        }
    }
}

void rad_cli_print_overview(FILE *to) {
    const char *bold = rad_term_style(to, RAD_STYLE_HEADING), *plain = rad_term_style(to, RAD_STYLE_PLAIN);
    (void)fprintf(to,
                  "%susage:%s radcohort COMMAND [options]\n\n"
                  "Scores a multicenter archive of NIfTI studies with trained networks (ONNX) into one SQLite file,\n"
                  "and computes the published numbers from it.\n",
                  bold, plain);
    for (int g = 0; g < RAD_N_GROUP; g++) {
        (void)fprintf(to, "\n%s%s%s\n", bold, rad_group_title[g], plain);
        for (int i = 0; rad_commands[i] != NULL; i++)
            if ((int)rad_commands[i]->group == g)
                (void)fprintf(to, "  %-10s %s\n", rad_commands[i]->name, rad_commands[i]->summary);
    }
    (void)fprintf(to, "\n'radcohort COMMAND --help' describes a command, with examples; 'man radcohort' has all of them\n"
                      "('radcohort --manual | man -l -' where it is not installed). 'radcohort --version': the version;\n"
                      "'radcohort --completion bash': for the Tab key. Colours: none with NO_COLOR=1.\n"
                      "exit status: 0 done, 1 failed, 2 invalid input, 3 done with exclusions, 4 stopped, resumable\n");
}

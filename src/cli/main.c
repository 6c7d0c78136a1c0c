/* main.c: finds the command and hands over. Everything a command does is in its cmd_<name>.c. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "help.h"

#define RAD_ENTRY(n) &rad_command_##n,
const rad_command *const rad_commands[] = {RAD_COMMANDS(RAD_ENTRY) NULL};
#undef RAD_ENTRY

enum { N_COMMAND = sizeof rad_commands / sizeof rad_commands[0] - 1 };

static const rad_command *find(const char *name) {
    for (int i = 0; i < N_COMMAND; i++)
        if (strcmp(rad_commands[i]->name, name) == 0)
            return rad_commands[i];
    return NULL;
}

/* The options that stand before any command. */
static const char *const first_words[] = {"--help", "--version", "--manual", "--completion"};

static int unknown(const char *word) {
    const char *known[N_COMMAND + sizeof first_words / sizeof *first_words + 1];
    size_t n = 0;
    for (size_t i = 0; i < N_COMMAND; i++)
        known[n++] = rad_commands[i]->name;
    for (size_t i = 0; i < sizeof first_words / sizeof *first_words; i++)
        known[n++] = first_words[i];
    known[n] = NULL;
    const char *near = rad_nearest_word(word, known), *what = word[0] == '-' ? "option" : "command";
    (void)fprintf(stderr, "radcohort: %serror:%s unknown %s '%s': ", rad_term_style(stderr, RAD_STYLE_ERROR),
                  rad_term_style(stderr, RAD_STYLE_PLAIN), what, word);
    if (near != NULL)
        (void)fprintf(stderr, "did you mean '%s'?\n", near);
    else
        (void)fprintf(stderr, "'radcohort --help' lists all\n");
    return RAD_EXIT_USAGE;
}

/* A full disk behind a redirected stdout must not look like success. */
static int finish(const char *name, int code) {
    if (fflush(stdout) == 0 && !ferror(stdout))
        return code;
    (void)fprintf(stderr, "radcohort %s: error: cannot write to standard output\n", name);
    return code == RAD_EXIT_OK ? RAD_EXIT_FAILED : code;
}

int main(int argc, char **argv) {
    (void)signal(SIGXFSZ, SIG_IGN); /* a file past the limit of ulimit is then an error (EFBIG) with a text, not a death */
    if (argc < 2) {
        rad_cli_print_overview(stderr);
        return RAD_EXIT_USAGE;
    }
    const char *word = argv[1];
    if (strcmp(word, "--version") == 0 || strcmp(word, "-V") == 0) {
        (void)printf("radcohort %s\n", rad_version());
        return RAD_EXIT_OK;
    }
    if (strcmp(word, "--manual") == 0) {
        rad_cli_print_manual(stdout);
        return finish("--manual", RAD_EXIT_OK);
    }
    if (strcmp(word, "--completion") == 0) {
        if (argc != 3 || strcmp(argv[2], "bash") != 0) {
            (void)fprintf(stderr, "radcohort: error: the name of a shell that is known was expected: radcohort --completion bash\n");
            return RAD_EXIT_USAGE;
        }
        rad_cli_print_bash(stdout);
        return finish("--completion", RAD_EXIT_OK);
    }
    bool help = strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0;
    if (help && argc == 2) {
        rad_cli_print_overview(stdout);
        return RAD_EXIT_OK;
    }
    if (help) { /* radcohort help COMMAND */
        const rad_command *c = find(argv[2]);
        if (c == NULL)
            return unknown(argv[2]);
        rad_cli_print_help(c, stdout);
        return RAD_EXIT_OK;
    }
    const rad_command *c = find(word);
    if (c == NULL)
        return unknown(word);
    return finish(c->name, c->run(argc - 1, argv + 1));
}

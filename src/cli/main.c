/* main.c: finds the command and hands over. Everything a command does is in its cmd_<name>.c. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"

#define RAD_ENTRY(n) &rad_command_##n,
static const rad_command *const commands[] = {RAD_COMMANDS(RAD_ENTRY) NULL};
#undef RAD_ENTRY

enum { N_COMMAND = sizeof commands / sizeof commands[0] - 1 };

static void print_overview(FILE *to) {
    (void)fprintf(to, "usage: radcohort COMMAND [options]\n\n"
                      "Scores a multicenter archive of NIfTI studies with trained networks (ONNX) into one SQLite file, and computes\n"
                      "the published numbers from it.\n\ncommands:\n");
    for (int i = 0; i < N_COMMAND; i++)
        (void)fprintf(to, "  %-10s %s\n", commands[i]->name, commands[i]->summary);
    (void)fprintf(
        to, "\n'radcohort COMMAND --help' describes a command; 'radcohort --version' prints the version\n"
            "exit status: 0 done, 1 run failed, 2 usage or invalid input, 3 finished with exclusions, 4 stopped early and resumable\n");
}

static const rad_command *find(const char *name) {
    for (int i = 0; i < N_COMMAND; i++)
        if (strcmp(commands[i]->name, name) == 0)
            return commands[i];
    return NULL;
}

static int unknown(const char *word) {
    const char *known[N_COMMAND + 1];
    for (int i = 0; i < N_COMMAND; i++)
        known[i] = commands[i]->name;
    known[N_COMMAND] = NULL;
    const char *near = rad_nearest_word(word, known);
    if (near != NULL)
        (void)fprintf(stderr, "radcohort: error: unknown command '%s': did you mean '%s'?\n", word, near);
    else
        (void)fprintf(stderr, "radcohort: error: unknown command '%s': 'radcohort --help' lists all\n", word);
    return RAD_EXIT_USAGE;
}

int main(int argc, char **argv) {
    (void)signal(SIGXFSZ, SIG_IGN); /* a file past the limit of ulimit is then an error (EFBIG) with a text, not a death */
    if (argc < 2) {
        print_overview(stderr);
        return RAD_EXIT_USAGE;
    }
    const char *word = argv[1];
    if (strcmp(word, "--version") == 0 || strcmp(word, "-V") == 0) {
        (void)printf("radcohort %s\n", rad_version());
        return RAD_EXIT_OK;
    }
    bool help = strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0;
    if (help && argc == 2) {
        print_overview(stdout);
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
    int code = c->run(argc - 1, argv + 1);
    /* A full disk behind a redirected stdout must not look like success. */
    if (fflush(stdout) != 0 || ferror(stdout)) {
        (void)fprintf(stderr, "radcohort %s: error: cannot write to standard output\n", c->name);
        return code == RAD_EXIT_OK ? RAD_EXIT_FAILED : code;
    }
    return code;
}

/* cli.h (private to src/cli): the command table. One file cmd_<name>.c per command. */
#ifndef RAD_CLI_H
#define RAD_CLI_H

#include "radcohort/base.h"

typedef struct rad_command {
    const char *name;
    const char *usage;                 /* "JOB [--db FILE] [--backend NAME]" */
    const char *summary;               /* one line */
    const char *help;                  /* options and at least one example, whole lines */
    int (*run)(int argc, char **argv); /* argv[0] is the command's name; returns an exit code (RAD_EXIT_*) */
} rad_command;

/* Every command: a line here and a file cmd_<name>.c. */
/* clang-format off: a line per command */
#define RAD_COMMANDS(X)                                                                                                                    \
    X(check)                                                                                                                               \
    X(run)                                                                                                                                 \
    X(infer)                                                                                                                               \
    X(backends)                                                                                                                            \
    X(phantom)                                                                                                                             \
    X(convert)                                                                                                                             \
    X(folds)                                                                                                                               \
    X(stats)                                                                                                                               \
    X(report)                                                                                                                              \
    X(status)                                                                                                                              \
    X(verify)                                                                                                                              \
    X(simulate)                                                                                                                            \
    X(cams)                                                                                                                                \
    X(audit)                                                                                                                               \
    X(merge)                                                                                                                               \
    X(plan)                                                                                                                                \
    X(nightly)                                                                                                                             \
    X(diff)                                                                                                                                \
    X(replay)                                                                                                                              \
    X(freeze)                                                                                                                              \
    X(explain)
/* clang-format on */
#define RAD_DECLARE(n) extern const rad_command rad_command_##n;
RAD_COMMANDS(RAD_DECLARE)
#undef RAD_DECLARE

/* Options of one command, parsed in one place. `flag` options take no value. Unknown ones name the nearest known. */
typedef struct rad_option {
    const char *name; /* "--db" */
    bool flag;
    const char **value; /* value options: where the text goes */
    bool *set;          /* flag options */
} rad_option;
/* Separates options (anywhere) from positional arguments. `option` ends with name NULL. Prints what is wrong to stderr and returns
 * RAD_E_USAGE; "--help" prints the command's help to stdout and returns RAD_E_STOPPED (the caller exits 0). */
rad_status rad_cli_parse(const rad_command *c, int argc, char **argv, const rad_option *option, const char **positional, int max_positional,
                         int *ret_n) RAD_MUST_CHECK;
/* usage, summary and help of one command. */
void rad_cli_print_help(const rad_command *c, FILE *to);
/* "radcohort COMMAND: error: text" to stderr; returns the exit code that belongs to the status. */
int rad_cli_fail(const rad_command *c, rad_status st, const rad_error *err);

#endif

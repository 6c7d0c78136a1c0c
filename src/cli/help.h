/* help.h (private to src/cli): what is said of the commands, all of it from their table: on a terminal, as a manual page, to a shell. */
#ifndef RAD_CLI_HELP_H
#define RAD_CLI_HELP_H

#include "cli.h"

/* The heading of each group. */
extern const char *const rad_group_title[RAD_N_GROUP];
extern const rad_command *const rad_commands[]; /* NULL at the end; in main.c */

void rad_cli_print_overview(FILE *to);
void rad_cli_print_help(const rad_command *c, FILE *to);
/* man(7), for groff and mandoc: one page, a section per command. */
void rad_cli_print_manual(FILE *to);
/* A function for bash's `complete`; needs no bash-completion package. */
void rad_cli_print_bash(FILE *to);

#endif

/* cli.h (private to src/cli): the command table. One file cmd_<name>.c per command. From the table come what is parsed, `--help`, the
 * manual page and the completion of the shell: an option that is not in it does not exist. */
#ifndef RAD_CLI_H
#define RAD_CLI_H

#include "radcohort/base.h"

/* What a shell offers where a word is missing: files by their kind, or words separated by blanks; NULL: nothing. */
#define RAD_FILL_FILE "@file"
#define RAD_FILL_DIR "@dir"
#define RAD_FILL_JOB "@job"
#define RAD_FILL_DB "@db"
#define RAD_FILL_ONNX "@onnx"
#define RAD_FILL_TSV "@tsv"
#define RAD_FILL_BACKEND "cudnn onednn ref checked"
#define RAD_FILL_PRECISION "fp32 tf32 fp16 bf16"

typedef struct rad_option {
    const char *name;  /* "--db", "-o" */
    const char *value; /* what stands for its value: "FILE"; NULL: it takes none */
    const char *fill;  /* what completes the value: RAD_FILL_* or words */
    const char *text;  /* what it does, without newlines */
} rad_option;

typedef struct rad_example {
    const char *line; /* a whole command line; several with newlines between */
    const char *text; /* what it is for */
} rad_example;

/* Where a shell starts looking for a command, and a person. */
typedef enum rad_command_group {
    RAD_GROUP_RUN,     /* a job, from the check to the page */
    RAD_GROUP_TRUST,   /* a result questioned and given away */
    RAD_GROUP_CLUSTER, /* many nodes */
    RAD_GROUP_DATA,    /* cohort folders */
    RAD_GROUP_NETWORK, /* networks and engines */
    RAD_N_GROUP
} rad_command_group;

enum { RAD_MAX_USAGES = 2, RAD_MAX_EXAMPLES = 4, RAD_MAX_ARGUMENTS = 3, RAD_MAX_OPTIONS = 32 };

typedef struct rad_command {
    const char *name;
    rad_command_group group;
    const char *usage[RAD_MAX_USAGES];     /* "JOB [options]" */
    const char *summary;                   /* one line of at most 78 columns, no full stop */
    const char *about;                     /* paragraphs, an empty line between; a line that begins with a blank stays as it is */
    const char *fill[RAD_MAX_ARGUMENTS];   /* what completes each argument */
    const rad_option *option;              /* ends with name NULL; "--help" is everywhere and not in it */
    const char *exits;                     /* "0 done, 2 invalid input" */
    rad_example example[RAD_MAX_EXAMPLES]; /* at least one; ends with line NULL or is full */
    int (*run)(int argc, char **argv);     /* argv[0] is the command's name; returns an exit code (RAD_EXIT_*) */
} rad_command;

/* Options that several commands share. */
/* clang-format off: a line per option */
#define RAD_OPTION_DB                                                                                                                      \
    { "--db", "FILE", RAD_FILL_DB, "database (default: the job's, else results/NAME.sqlite)" }
#define RAD_OPTION_BACKEND                                                                                                                 \
    { "--backend", "NAME", RAD_FILL_BACKEND, "engine for the networks (default: the job's; 'radcohort backends' lists them)" }
#define RAD_OPTION_PRECISION                                                                                                               \
    { "--precision", "P", RAD_FILL_PRECISION, "fp32, tf32, fp16 or bf16 (default: the job's)" }
#define RAD_OPTION_BATCH                                                                                                                   \
    { "--batch", "N", NULL, "samples per call of a network, at most (default: the job's)" }
#define RAD_OPTION_THREADS                                                                                                                 \
    { "--threads", "N", NULL, "threads per rank (default: cores of the node / ranks of the node); they change no bit" }
#define RAD_OPTION_SCRATCH                                                                                                                 \
    {                                                                                                                                      \
        "--scratch", "DIR", RAD_FILL_DIR,                                                                                                  \
            "build the database on a disk of this node, publish it every half minute and at the end (for file systems without locks)"      \
    }
#define RAD_OPTION_STATUS                                                                                                                  \
    { "--status", "FILE", RAD_FILL_FILE, "status file, JSON, with state, exit_code and bad_hosts (default: DATABASE.status.json)" }
#define RAD_OPTION_OUTSIDE                                                                                                                 \
    { "--allow-outside", NULL, NULL, "paths of images and masks may be absolute or leave the cohort folder" }
#define RAD_OPTION_RUN                                                                                                                     \
    { "--run", "N", NULL, "the run, by number (default: the newest)" }
#define RAD_OPTION_JSON                                                                                                                    \
    { "--json", NULL, NULL, "the outcome as JSON on standard output" }
#define RAD_OPTION_END                                                                                                                     \
    { NULL, NULL, NULL, NULL }

/* Every command: a line here and a file cmd_<name>.c. Help lists them by group, within a group in this order. */
#define RAD_COMMANDS(X)                                                                                                                    \
    X(check)                                                                                                                               \
    X(run)                                                                                                                                 \
    X(status)                                                                                                                              \
    X(stats)                                                                                                                               \
    X(report)                                                                                                                              \
    X(cams)                                                                                                                                \
    X(nightly)                                                                                                                             \
    X(explain)                                                                                                                             \
    X(replay)                                                                                                                              \
    X(diff)                                                                                                                                \
    X(verify)                                                                                                                              \
    X(freeze)                                                                                                                              \
    X(audit)                                                                                                                               \
    X(plan)                                                                                                                                \
    X(merge)                                                                                                                               \
    X(simulate)                                                                                                                            \
    X(convert)                                                                                                                             \
    X(folds)                                                                                                                               \
    X(phantom)                                                                                                                             \
    X(backends)                                                                                                                            \
    X(infer)
/* clang-format on */
#define RAD_DECLARE(n) extern const rad_command rad_command_##n;
RAD_COMMANDS(RAD_DECLARE)
#undef RAD_DECLARE

/* Where the command wants to find what was given for an option of its table. */
typedef struct rad_target {
    const char *name;
    const char **value; /* of an option that takes one */
    bool *set;          /* of one that takes none */
} rad_target;
/* Separates options (anywhere) from positional arguments. `target` ends with name NULL and has every option of the table, and no other:
 * anything else is a mistake of the program and says so. Prints what is wrong to stderr and returns RAD_E_USAGE; an unknown option names
 * the nearest known. "--help" prints the command's help to stdout and returns RAD_E_STOPPED (the caller exits 0). */
rad_status rad_cli_parse(const rad_command *c, int argc, char **argv, const rad_target *target, const char **positional, int max_positional,
                         int *ret_n) RAD_MUST_CHECK;
/* The words of `text` up to its end or a newline, in lines of at most RAD_CLI_WIDTH columns: the first begins at `column`, where the cursor
 * is, the others at `indent`. A word that is wider stays whole: paths are copied. Returns what follows. */
enum { RAD_CLI_WIDTH = 96, RAD_CLI_SENTENCE = 2048 };
const char *rad_cli_put(FILE *to, int column, int indent, const char *text);
/* One sentence on standard output: on a terminal in lines that fit, elsewhere one line. Text beyond
 * RAD_CLI_SENTENCE bytes is cut. */
void rad_cli_say(int indent, const char *fmt, ...) RAD_PRINTF(2, 3);
/* A time as a person says it: "under 0.01 s", "0.7 s", "12 s", "3 min 05 s", "2 h 05 min", "140 h". Returns `buf`. */
enum { RAD_CLI_DURATION = 40 };
const char *rad_cli_duration(double seconds, char buf[RAD_CLI_DURATION]);
/* "radcohort COMMAND: error: text" to stderr; returns the exit code that belongs to the status. */
int rad_cli_fail(const rad_command *c, rad_status st, const rad_error *err);

#endif

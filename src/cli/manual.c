/* manual.c: the command table as a manual page (man(7) macros, which groff and mandoc read) and as completion for bash. */
#include "help.h"

#include <ctype.h>
#include <string.h>

#define MANUAL_DATE "2026-11-22" /* of the words: the same program makes the same page on every day */

/* ---------------------------------------------------------------- the manual page */

/* A backslash and a hyphen mean something to roff, and a dot or a quote at the start of a line. */
static void put_roff(FILE *to, const char *text, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (text[i] == '\\')
            (void)fputs("\\e", to);
        else if (text[i] == '-')
            (void)fputs("\\-", to);
        else if (i == 0 && (text[i] == '.' || text[i] == '\''))
            (void)fprintf(to, "\\&%c", text[i]);
        else
            (void)fputc(text[i], to);
}

static void put_line(FILE *to, const char *text) {
    put_roff(to, text, strlen(text));
    (void)fputc('\n', to);
}

static void put_about(FILE *to, const char *text) {
    bool as_is = false;
    while (*text) {
        const size_t n = strcspn(text, "\n");
        const bool fixed = *text == ' ';
        if (n > 0 && fixed != as_is)
            (void)fputs(fixed ? ".PP\n.EX\n" : ".EE\n", to);
        if (n > 0)
            as_is = fixed;
        if (n == 0)
            (void)fputs(as_is ? ".EE\n.PP\n" : ".PP\n", to);
        if (n == 0)
            as_is = false;
        put_roff(to, text, n);
        if (n > 0)
            (void)fputc('\n', to);
        text += n + (text[n] == '\n');
    }
    if (as_is)
        (void)fputs(".EE\n", to);
}

static void put_lines(FILE *to, const char *text) {
    while (*text) {
        const size_t n = strcspn(text, "\n");
        put_roff(to, text, n);
        (void)fputc('\n', to);
        text += n + (text[n] == '\n');
    }
}

static void put_command(FILE *to, const rad_command *c) {
    (void)fprintf(to, ".SS %s\n", c->name);
    for (int i = 0; i < RAD_MAX_USAGES && c->usage[i] != NULL; i++) {
        (void)fprintf(to, "%s.B radcohort %s\n", i > 0 ? ".br\n" : "", c->name);
        put_line(to, c->usage[i]);
    }
    (void)fputs(".PP\n", to);
    (void)fputc(toupper((unsigned char)c->summary[0]), to);
    put_roff(to, c->summary + 1, strlen(c->summary + 1));
    (void)fprintf(to, "%s\n.PP\n", c->summary[strlen(c->summary) - 1] == '?' ? "" : ".");
    put_about(to, c->about);
    for (const rad_option *o = c->option; o->name != NULL; o++) {
        (void)fputs(".TP\n\\fB", to);
        put_roff(to, o->name, strlen(o->name));
        (void)fprintf(to, "\\fR%s%s%s\n", o->value != NULL ? " \\fI" : "", o->value != NULL ? o->value : "",
                      o->value != NULL ? "\\fR" : "");
        put_line(to, o->text);
    }
    (void)fputs(".PP\nExit status: ", to);
    put_line(to, c->exits);
    for (int i = 0; i < RAD_MAX_EXAMPLES && c->example[i].line != NULL; i++) {
        (void)fputs(".PP\nExample: ", to);
        put_line(to, c->example[i].text);
        (void)fputs(".PP\n.EX\n", to);
        put_lines(to, c->example[i].line);
        (void)fputs(".EE\n", to);
    }
}

void rad_cli_print_manual(FILE *to) {
    (void)fprintf(to,
                  ".\\\" made by 'radcohort --manual' from the program's table of commands\n"
                  ".TH RADCOHORT 1 " MANUAL_DATE " \"radcohort %s\" \"User Commands\"\n"
                  ".SH NAME\nradcohort \\- scores a multicenter archive of NIfTI studies with trained networks\n"
                  ".SH SYNOPSIS\n.B radcohort\n.I COMMAND\n[options]\n"
                  ".SH DESCRIPTION\nScores a multicenter archive of NIfTI studies with trained networks (ONNX) into one SQLite file, and\n"
                  "computes the published numbers from it: with their unit of analysis, their interval and their denominators,\n"
                  "internal cohort against external centers, reproducible to the bit.\n",
                  rad_version());
    for (int g = 0; g < RAD_N_GROUP; g++) {
        (void)fputs(".SH ", to);
        for (const char *t = rad_group_title[g]; *t; t++)
            (void)fputc(toupper((unsigned char)*t), to);
        (void)fputc('\n', to);
        for (int i = 0; rad_commands[i] != NULL; i++)
            if ((int)rad_commands[i]->group == g)
                put_command(to, rad_commands[i]);
    }
    (void)fputs(
        ".SH EXIT STATUS\n0 done, 1 failed, 2 usage or invalid input, 3 finished with exclusions, 4 stopped early and resumable.\n"
        ".SH ENVIRONMENT\n.TP\n.B NO_COLOR\nwhen set and not empty, nothing is coloured; nothing is anyway that goes to a file or a "
        "pipe\n"
        ".TP\n.B TMPDIR\nwhere a replay makes its files\n"
        ".SH SEE ALSO\n.BR sqlite3 (1),\n.BR mpirun (1),\n.BR sbatch (1)\n",
        to);
}

/* ---------------------------------------------------------------- completion */

static const char BASH_FILES[] =
    "# completion of radcohort for bash; made by 'radcohort --completion bash' from the program's table of commands\n"
    "_radcohort_fill() { # KIND-OR-WORDS CURRENT\n"
    "    local IFS=$'\\n' one\n"
    "    local -a ends=()\n"
    "    case $1 in\n"
    "    @job) ends=(yaml yml json) ;;\n"
    "    @db) ends=(sqlite sqlite3 db) ;;\n"
    "    @onnx) ends=(onnx) ;;\n"
    "    @tsv) ends=(tsv csv) ;;\n"
    "    @file) COMPREPLY=($(compgen -f -- \"$2\")) ;;\n"
    "    @dir) COMPREPLY=($(compgen -d -- \"$2\")) ;;\n"
    "    *) IFS=' '\n"
    "        COMPREPLY=($(compgen -W \"$1\" -- \"$2\"))\n"
    "        return ;;\n"
    "    esac\n"
    "    for one in \"${ends[@]}\"; do\n"
    "        COMPREPLY+=($(compgen -f -X \"!*.$one\" -- \"$2\"))\n"
    "    done\n"
    "    [ ${#ends[@]} -eq 0 ] || COMPREPLY+=($(compgen -d -- \"$2\"))\n"
    "    compopt -o filenames 2>/dev/null\n"
    "}\n\n";

static const char BASH_MAIN[] =
    "_radcohort() {\n"
    "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} command=${COMP_WORDS[1]} commands options valued fills i\n"
    "    local -a arguments=()\n"
    "    local n=0\n"
    "    COMPREPLY=()\n"
    "    _radcohort_table \"$command\"\n"
    "    if [ \"$COMP_CWORD\" -eq 1 ]; then\n"
    "        COMPREPLY=($(compgen -W \"$commands help --help --version --manual --completion\" -- \"$cur\"))\n"
    "        return\n"
    "    fi\n"
    "    if [ \"$command\" = help ]; then\n"
    "        COMPREPLY=($(compgen -W \"$commands\" -- \"$cur\"))\n"
    "        return\n"
    "    fi\n"
    "    if [ \"$command\" = --completion ]; then\n"
    "        COMPREPLY=($(compgen -W bash -- \"$cur\"))\n"
    "        return\n"
    "    fi\n"
    "    # bash hands '--db=FILE' over as three words\n"
    "    if [ \"$cur\" = = ]; then\n"
    "        cur=\n"
    "    elif [ \"$prev\" = = ]; then\n"
    "        prev=${COMP_WORDS[COMP_CWORD - 2]}\n"
    "    fi\n"
    "    if [[ \" $valued \" == *\" $prev \"* ]]; then\n"
    "        _radcohort_value \"$command\" \"$prev\"\n"
    "        [ -z \"$fills\" ] || _radcohort_fill \"$fills\" \"$cur\"\n"
    "        return\n"
    "    fi\n"
    "    if [[ $cur == -* ]]; then\n"
    "        COMPREPLY=($(compgen -W \"$options --help\" -- \"$cur\"))\n"
    "        return\n"
    "    fi\n"
    "    for ((i = 2; i < COMP_CWORD; i++)); do\n"
    "        if [[ \" $valued \" == *\" ${COMP_WORDS[i]} \"* ]]; then\n"
    "            [ \"${COMP_WORDS[i + 1]}\" = = ] && i=$((i + 1))\n"
    "            i=$((i + 1))\n"
    "        elif [[ ${COMP_WORDS[i]} != -* ]]; then\n"
    "            n=$((n + 1))\n"
    "        fi\n"
    "    done\n"
    "    if [ \"$n\" -lt \"${#arguments[@]}\" ]; then\n"
    "        _radcohort_fill \"${arguments[n]}\" \"$cur\"\n"
    "    else\n"
    "        COMPREPLY=($(compgen -W \"$options --help\" -- \"$cur\"))\n"
    "    fi\n"
    "}\n"
    "complete -F _radcohort radcohort\n";

void rad_cli_print_bash(FILE *to) {
    (void)fputs(BASH_FILES, to);
    (void)fputs("_radcohort_table() { # COMMAND\n    commands='", to);
    for (int i = 0; rad_commands[i] != NULL; i++)
        (void)fprintf(to, "%s%s", i ? " " : "", rad_commands[i]->name);
    (void)fputs("'\n    case $1 in\n", to);
    for (int i = 0; rad_commands[i] != NULL; i++) {
        const rad_command *c = rad_commands[i];
        (void)fprintf(to, "    %s)\n        options='", c->name);
        for (const rad_option *o = c->option; o->name != NULL; o++)
            (void)fprintf(to, "%s%s", o == c->option ? "" : " ", o->name);
        (void)fputs("'\n        valued='", to);
        for (const rad_option *o = c->option; o->name != NULL; o++)
            if (o->value != NULL)
                (void)fprintf(to, "%s ", o->name);
        (void)fputs("'\n        arguments=(", to);
        for (int a = 0; a < RAD_MAX_ARGUMENTS && c->fill[a] != NULL; a++)
            (void)fprintf(to, "%s'%s'", a ? " " : "", c->fill[a]);
        (void)fputs(") ;;\n", to);
    }
    (void)fputs("    esac\n}\n\n_radcohort_value() { # COMMAND OPTION\n    fills=\n    case \"$1 $2\" in\n", to);
    for (int i = 0; rad_commands[i] != NULL; i++)
        for (const rad_option *o = rad_commands[i]->option; o->name != NULL; o++)
            if (o->value != NULL && o->fill != NULL)
                (void)fprintf(to, "    '%s %s') fills='%s' ;;\n", rad_commands[i]->name, o->name, o->fill);
    (void)fputs("    esac\n}\n\n", to);
    (void)fputs(BASH_MAIN, to);
}

/* Manual pages, from the tables that --help is printed from. */
#include "cli/cli.h"

#include <ctype.h>
#include <string.h>

/* Text with what troff would take as its own made harmless. */
static void print_text(const char *text)
{
    bool line_begins = true;
    for (; *text; text++) {
        if (line_begins && (*text == '.' || *text == '\'')) {
            printf("\\&");
        }
        if (*text == '\\' || *text == '-') {
            printf("\\%c", *text == '\\' ? 'e' : '-');
        } else {
            putchar(*text);
        }
        line_begins = *text == '\n';
    }
}

static void print_upper(const char *text)
{
    for (; *text; text++) {
        putchar(toupper((unsigned char)*text));
    }
}

static void print_option(const struct cli_option *option)
{
    printf(".TP\n.B ");
    print_text(option->name);
    if (option->other) {
        printf("\\fR, \\fB");
        print_text(option->other);
    }
    if (option->value) {
        printf(" \\fI%s", option->value);
    }
    printf("\n");
    print_text(option->help);
    printf("\n");
}

void cli_man(const struct cli_command *command)
{
    printf(".TH \"TAKT\\-");
    print_upper(command->name);
    printf("\" 1 \"\" \"takt %s\" \"takt\"\n.SH NAME\ntakt\\-%s \\- ", TAKT_VERSION, command->name);
    print_text(command->summary);
    printf("\n.SH SYNOPSIS\n.B takt %s\n", command->name);
    print_text(command->arguments);
    printf("\n.SH DESCRIPTION\n");
    print_text(command->summary);
    printf(".\n");
    if (command->details) {
        printf(".PP\n.nf\n"); /* lines as they stand: examples are among them */
        print_text(command->details);
        printf("\n.fi\n");
    }
    if (command->option_count > 0) {
        printf(".SH OPTIONS\n");
    }
    for (size_t i = 0; i < command->option_count; i++) {
        print_option(&command->options[i]);
    }
    printf(".SH EXIT STATUS\n0: well; 1: something failed; 2: the command line is wrong; 130: "
           "interrupted.\n.SH SEE ALSO\n.BR takt (1)\n");
}

void cli_man_overview(const struct cli_command *const *commands, size_t count)
{
    printf(
        ".TH TAKT 1 \"\" \"takt %s\" \"takt\"\n.SH NAME\ntakt \\- compile a language model to a "
        "deterministic chip and run it\n.SH SYNOPSIS\n.B takt\n.I COMMAND\n[\\fIARGUMENT\\fR]...\n"
        ".SH COMMANDS\n",
        TAKT_VERSION);
    for (size_t i = 0; i < count; i++) {
        printf(".TP\n.BR takt\\-%s (1)\n", commands[i]->name);
        print_text(commands[i]->summary);
        printf("\n");
    }
}

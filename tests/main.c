/*
 * The test binary: takt-tests [--list] [PATTERN...]
 *
 * Runs every test of every group, or those that a pattern selects: `group`, `group/name`, or a glob
 * over `group/name`. Runs from the root of the checkout. The last line is "N passed, N failed",
 * with ", N skipped" when there are any; exit 0 only when something ran and nothing failed.
 */
#include "tests.h"

#include <fnmatch.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One row a tests/test_*.c: TESTS_GROUP(name). Written by the Makefile. */
#define TESTS_GROUP(name)                                                                          \
    extern const struct CMUnitTest tests_##name[];                                                 \
    extern const size_t tests_##name##_count;
#include "tests/groups.h"
#undef TESTS_GROUP

struct group {
    const char *name;
    const struct CMUnitTest *tests;
    const size_t *count;
};

static const struct group groups[] = {
#define TESTS_GROUP(name) {#name, tests_##name, &tests_##name##_count},
#include "tests/groups.h"
#undef TESTS_GROUP
    {NULL, NULL, NULL},
};

static size_t skipped_count;

/* cmocka does not tell its caller what was skipped; skip() in tests.h comes by here first. */
void tests_note_skip(void)
{
    skipped_count++;
}

static bool matches(const char *group, const char *test, const char *pattern)
{
    char full[256];
    snprintf(full, sizeof full, "%s/%s", group, test);
    return strcmp(pattern, group) == 0 || fnmatch(pattern, full, 0) == 0;
}

static bool selected(const char *group, const char *test, int patterns, char **pattern)
{
    for (int i = 0; i < patterns; i++) {
        if (matches(group, test, pattern[i])) {
            return true;
        }
    }
    return patterns == 0;
}

static bool pattern_selects_something(const char *pattern)
{
    for (const struct group *g = groups; g->name; g++) {
        for (size_t i = 0; i < *g->count; i++) {
            if (matches(g->name, g->tests[i].name, pattern)) {
                return true;
            }
        }
    }
    return false;
}

/* Adds to *ran and *failed. */
static void run_group(const struct group *group, int patterns, char **pattern, size_t *ran,
                      size_t *failed)
{
    struct CMUnitTest *chosen = calloc(*group->count + 1, sizeof *chosen);
    size_t count = 0;
    for (size_t i = 0; chosen && i < *group->count; i++) {
        if (selected(group->name, group->tests[i].name, patterns, pattern)) {
            chosen[count++] = group->tests[i];
        }
    }
    if (count > 0) {
        const int bad = _cmocka_run_group_tests(group->name, chosen, count, NULL, NULL);
        *failed += bad > 0 ? (size_t)bad : 0;
        *ran += count;
    }
    free(chosen);
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--list") == 0) {
        for (const struct group *g = groups; g->name; g++) {
            for (size_t i = 0; i < *g->count; i++) {
                printf("%s/%s\n", g->name, g->tests[i].name);
            }
        }
        return 0;
    }
    for (int i = 1; i < argc; i++) {
        if (!pattern_selects_something(argv[i])) {
            fprintf(stderr, "takt-tests: no test matches %s; takt-tests --list names them\n",
                    argv[i]);
            return 2;
        }
    }
    setvbuf(stdout, NULL, _IOLBF, 0); /* in step with what cmocka writes to stderr */
    size_t ran = 0, failed = 0;
    for (const struct group *g = groups; g->name; g++) {
        run_group(g, argc - 1, argv + 1, &ran, &failed);
    }
    fflush(stderr);
    const size_t not_passed = failed + skipped_count;
    printf("%zu passed, %zu failed", ran > not_passed ? ran - not_passed : 0, failed);
    if (skipped_count > 0) {
        printf(", %zu skipped", skipped_count);
    }
    printf("\n");
    return ran > 0 && failed == 0 ? 0 : 1;
}

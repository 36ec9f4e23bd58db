/* The test binary: every tests/test_*.c defines one group, an array of cmocka tests. */
#ifndef TESTS_TESTS_H
#define TESTS_TESTS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* In test_x.c: TEST_GROUP(x, cmocka_unit_test(one), cmocka_unit_test(two)) ; main.c names the
 * group. */
#define TEST_GROUP(name, ...)                                                                      \
    const struct CMUnitTest tests_##name[] = {__VA_ARGS__};                                        \
    const size_t tests_##name##_count = sizeof(tests_##name) / sizeof(tests_##name[0])

/* Counts the skip for the summary line, then leaves the test. Print the reason before. */
void tests_note_skip(void);
#undef skip
#define skip() (tests_note_skip(), _skip(__FILE__, __LINE__))

#endif

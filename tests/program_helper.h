/* Programs for tests: of a text, or drawn at random (program_helper.c). */
#ifndef TESTS_PROGRAM_HELPER_H
#define TESTS_PROGRAM_HELPER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/base.h"
#include "program/assembly.h"
#include "program/program.h"

/* 64 MiB; fails the test when there is no memory. */
void program_new_arena(struct base_arena *arena);
/* Fails the test when the text is refused. */
void program_of_text(const char *source, struct base_arena *arena,
                     struct program_assembly *assembly);
bool program_same_image(const struct program_image *a, const struct program_image *b, size_t lanes);
/* A program of its own for each seed, and its image; it need not be one that ends. */
void program_random(struct program *program, struct program_image *image, struct base_arena *arena,
                    uint64_t seed);

#endif

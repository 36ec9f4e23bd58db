/* JSON Schema for tests: a plain check of values, and schemas at random. */
#ifndef TESTS_JSON_SCHEMA_H
#define TESTS_JSON_SCHEMA_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

bool json_schema_holds(const json_t *root, const json_t *schema, const json_t *value);
json_t *json_schema_random(uint64_t seed);
/* Of keywords that take schemas together; not all of them can be kept to. */
json_t *json_schema_random_together(uint64_t seed);

#endif

/* The generated tables, under the names that model/unicode_tables.h gives them. */
#include "model/unicode_tables.h"

#include "model/unicode_tables.inc"

const uint32_t *const unicode_category_runs = category_runs;
const uint32_t *const unicode_combining = combining_classes;
const uint32_t *const unicode_sequences = decomposition_sequences;
const struct unicode_case *const unicode_lower_cases = lower_cases;
const struct unicode_case *const unicode_upper_cases = upper_cases;
const struct unicode_decomposition *const unicode_decompositions = decompositions;
const struct unicode_composition *const unicode_compositions = compositions;
const struct unicode_script *const unicode_scripts = scripts;
const size_t unicode_category_run_count = BASE_COUNT(category_runs);
const size_t unicode_combining_count = BASE_COUNT(combining_classes);
const size_t unicode_lower_count = BASE_COUNT(lower_cases);
const size_t unicode_upper_count = BASE_COUNT(upper_cases);
const size_t unicode_decomposition_count = BASE_COUNT(decompositions);
const size_t unicode_composition_count = BASE_COUNT(compositions);
const size_t unicode_script_count = BASE_COUNT(scripts);

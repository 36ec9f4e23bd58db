/* The tables behind model/unicode.h; for its own files only. */
#ifndef MODEL_UNICODE_TABLES_H
#define MODEL_UNICODE_TABLES_H

#include "model/unicode.h"

struct unicode_case {
    uint32_t code, to[3];
};

struct unicode_decomposition {
    uint32_t code, start, count, compatible; /* start: in unicode_sequences */
};

struct unicode_composition {
    uint32_t first, second, composite;
};

struct unicode_script {
    const char *name;
    const struct unicode_range *ranges;
    size_t count;
};

extern const uint32_t *const unicode_category_runs, *const unicode_combining,
                                                        *const unicode_sequences;
extern const struct unicode_case *const unicode_lower_cases, *const unicode_upper_cases;
extern const struct unicode_decomposition *const unicode_decompositions;
extern const struct unicode_composition *const unicode_compositions;
extern const struct unicode_script *const unicode_scripts;
extern const size_t unicode_category_run_count, unicode_combining_count, unicode_lower_count,
    unicode_upper_count, unicode_decomposition_count, unicode_composition_count,
    unicode_script_count;

#endif

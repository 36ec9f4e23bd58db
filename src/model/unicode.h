/*
 * Unicode for tokenizers and templates: categories, scripts, case, normal forms. The tables are
 * written by tools/unicode-tables.pl.
 */
#ifndef MODEL_UNICODE_H
#define MODEL_UNICODE_H

#include "base/base.h"

#define UNICODE_MAX 0x10FFFFu
#define UNICODE_REPLACEMENT 0xFFFDu

/* General categories, in the order of the tables. */
enum unicode_category {
    UNICODE_CN,
    UNICODE_LU,
    UNICODE_LL,
    UNICODE_LT,
    UNICODE_LM,
    UNICODE_LO,
    UNICODE_MN,
    UNICODE_MC,
    UNICODE_ME,
    UNICODE_ND,
    UNICODE_NL,
    UNICODE_NO,
    UNICODE_PC,
    UNICODE_PD,
    UNICODE_PS,
    UNICODE_PE,
    UNICODE_PI,
    UNICODE_PF,
    UNICODE_PO,
    UNICODE_SM,
    UNICODE_SC,
    UNICODE_SK,
    UNICODE_SO,
    UNICODE_ZS,
    UNICODE_ZL,
    UNICODE_ZP,
    UNICODE_CC,
    UNICODE_CF,
    UNICODE_CS,
    UNICODE_CO,
    UNICODE_CATEGORY_COUNT
};

enum unicode_category unicode_category(uint32_t code);
/* The category of a name like "Lu", or a mask of several for "L"; 0 when it is no name. */
uint32_t unicode_category_mask(const char *name, size_t length);
#define UNICODE_MASK(category) (UINT32_C(1) << (category))
/* The run of equal category around a code point: *last is its last one. */
enum unicode_category unicode_run(uint32_t code, uint32_t *last);
bool unicode_is_space(uint32_t code); /* White_Space */

struct unicode_range {
    uint32_t first, last;
};
/* Ranges of a script by name ("Han"), ascending; NULL when takt has no such script. */
const struct unicode_range *unicode_script(const char *name, size_t length, size_t *count);

/* Full case mappings: 1 to 3 code points into out, returns how many. */
size_t unicode_lower(uint32_t code, uint32_t out[3]);
size_t unicode_upper(uint32_t code, uint32_t out[3]);

/* The character in front, and its size in *size; an invalid byte is U+FFFD of size 1. length > 0.
 */
uint32_t unicode_decode(const char *text, size_t length, size_t *size);
size_t unicode_encode(uint32_t code, char out[4]);

enum unicode_form { UNICODE_NFC, UNICODE_NFD, UNICODE_NFKC, UNICODE_NFKD };
/* Appends the normal form of valid UTF-8; invalid bytes stay as they are and start anew. */
void unicode_normalise(enum unicode_form form, const char *text, size_t length,
                       struct base_text *out);

#endif

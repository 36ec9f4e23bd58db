/*
 * Formats of strings as patterns, all of which a string matches. What they take is what the
 * format's document says or a part of it (named where it is one): it always is of the format.
 */
#include "run/schema.h"

#include <string.h>

/* ---- dates and times: RFC 3339 --------------------------------------------------------------- */

#define LEAP "(\\d\\d(0[48]|[2468][048]|[13579][26])|([02468][048]|[13579][26])00)"
#define DATE                                                                                       \
    "(\\d{4}-(0[13578]|1[02])-(0[1-9]|[12]\\d|3[01])|\\d{4}-(0[469]|11)-(0[1-9]|[12]\\d|30)|"      \
    "\\d{4}-02-(0[1-9]|1\\d|2[0-8])|" LEAP "-02-29)"
#define SINCE_1 "^0{0,3}[1-9]" /* many calendars know no year 0 */
/* Without leap seconds; to the nanosecond. */
#define HOUR_MINUTE "([01]\\d|2[0-3]):[0-5]\\d"
#define TIME HOUR_MINUTE ":[0-5]\\d(\\.\\d{1,9})?(Z|[+-]" HOUR_MINUTE ")"

/* Appendix A; numbers to 9 digits. */
#define COUNT "\\d{1,9}"
#define SECONDS COUNT "S"
#define MINUTES COUNT "M(" SECONDS ")?"
#define HOURS COUNT "H(" MINUTES ")?"
#define CLOCK "T(" HOURS "|" MINUTES "|" SECONDS ")"
#define DAYS COUNT "D"
#define MONTHS COUNT "M(" DAYS ")?"
#define YEARS COUNT "Y(" MONTHS ")?"
#define DURATION "P((" YEARS "|" MONTHS "|" DAYS ")(" CLOCK ")?|" CLOCK "|" COUNT "W)"

/* ---- names and addresses --------------------------------------------------------------------- */

/* RFC 1123, to 8 labels of 30 characters; no two hyphens in a row, which IDNA keeps for itself; the
 * last label begins with a letter, which tells it from an address. */
#define LETTERS "[A-Za-z0-9]+(-[A-Za-z0-9]+)*"
#define HOST "(" LETTERS "\\.)*[A-Za-z][A-Za-z0-9]*(-[A-Za-z0-9]+)*"
#define HOST_SIZE "[^.]{1,30}(\\.[^.]{1,30}){0,7}"
/* RFC 5321: a dot-string of 64 characters, and a host of two labels at least. */
#define ATOM "[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
#define MAIL ATOM "(\\." ATOM ")*@(" LETTERS "\\.)+[A-Za-z]{2,}"
#define MAIL_SIZE "[^@]{1,64}@[^.]{1,30}(\\.[^.]{1,30}){1,7}"

#define OCTET "(25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)"
#define IPV4 OCTET "(\\." OCTET "){3}"
#define GROUP "[0-9A-Fa-f]{1,4}"
#define IPV6                                                                                       \
    "((" GROUP ":){7}" GROUP "|(" GROUP ":){1,7}:|(" GROUP ":){1,6}:" GROUP "|(" GROUP             \
    ":){1,5}(:" GROUP "){2}|(" GROUP ":){1,4}(:" GROUP "){3}|(" GROUP ":){1,3}(:" GROUP            \
    "){4}|(" GROUP ":){1,2}(:" GROUP "){5}|" GROUP ":(:" GROUP "){6}|:((:" GROUP                   \
    "){1,7}|:)|(" GROUP ":){6}" IPV4 "|::(" GROUP ":){0,5}" IPV4 ")"

/* RFC 3986, with a scheme; ports to 65535. */
#define PIECE "([A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})"
#define PORT "(6553[0-5]|655[0-2]\\d|65[0-4]\\d\\d|6[0-4]\\d{3}|[1-5]\\d{4}|\\d{1,4})"
#define AUTHORITY                                                                                  \
    "(([A-Za-z0-9._~!$&'()*+,;=:-]|%[0-9A-Fa-f]{2})*@)?(" LETTERS "(\\." LETTERS ")*|\\[" IPV6     \
    "\\])(:" PORT ")?"
#define PATHS "(/" PIECE "*)*"
#define URI                                                                                        \
    "[A-Za-z][A-Za-z0-9+.-]*:(//(" AUTHORITY PATHS "|/" PIECE "*" PATHS ")|/(" PIECE "+" PATHS     \
    ")?|" PIECE "+" PATHS ")(\\?(" PIECE "|[/?])*)?(#(" PIECE "|[/?])*)?"

#define HEX "[0-9A-Fa-f]"
#define UUID HEX "{8}-(" HEX "{4}-){3}" HEX "{12}"
#define POINTER "(/([^~/]|~[01])*)*" /* RFC 6901 */

#define WHOLE(text) "^(" text ")$"

static const struct {
    const char *name, *patterns[2];
} formats[] = {
    {"date", {WHOLE(DATE), SINCE_1}},
    {"time", {WHOLE(TIME)}},
    {"date-time", {WHOLE(DATE "T" TIME), SINCE_1}},
    {"duration", {WHOLE(DURATION)}},
    {"uuid", {WHOLE(UUID)}},
    {"ipv4", {WHOLE(IPV4)}},
    {"ipv6", {WHOLE(IPV6)}},
    {"hostname", {WHOLE(HOST), WHOLE(HOST_SIZE)}},
    {"idn-hostname", {WHOLE(HOST), WHOLE(HOST_SIZE)}},
    {"email", {WHOLE(MAIL), WHOLE(MAIL_SIZE)}},
    {"idn-email", {WHOLE(MAIL), WHOLE(MAIL_SIZE)}},
    {"uri", {WHOLE(URI)}},
    {"iri", {WHOLE(URI)}},
    {"uri-reference", {WHOLE(URI)}},
    {"iri-reference", {WHOLE(URI)}},
    {"json-pointer", {WHOLE(POINTER)}},
    {"relative-json-pointer", {"^(0|[1-9]\\d{0,8})(#|" POINTER ")$"}},
};

const char *const *run_schema_format(const char *name)
{
    for (size_t i = 0; i < BASE_COUNT(formats); i++) {
        if (strcmp(formats[i].name, name) == 0) {
            return formats[i].patterns;
        }
    }
    return NULL;
}

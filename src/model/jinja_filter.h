/* Filters of lists and mappings (jinja_filter_list.c), for the table of all filters
 * (jinja_filter.c). Each takes the value in front of '|' and the arguments behind its name. */
#ifndef MODEL_JINJA_FILTER_H
#define MODEL_JINJA_FILTER_H

#include "model/jinja_parts.h"

#define JINJA_FILTER(name)                                                                         \
    struct jinja_value jinja_filter_##name(struct jinja_context *context,                          \
                                           struct jinja_value value,                               \
                                           const struct jinja_arguments *arguments)

JINJA_FILTER(batch);
JINJA_FILTER(dictsort);
JINJA_FILTER(first);
JINJA_FILTER(last);
JINJA_FILTER(groupby);
JINJA_FILTER(items);
JINJA_FILTER(join);
JINJA_FILTER(length);
JINJA_FILTER(list);
JINJA_FILTER(map);
JINJA_FILTER(max);
JINJA_FILTER(min);
JINJA_FILTER(reverse);
JINJA_FILTER(select);
JINJA_FILTER(reject);
JINJA_FILTER(selectattr);
JINJA_FILTER(rejectattr);
JINJA_FILTER(sort);
JINJA_FILTER(sum);
JINJA_FILTER(unique);

#endif

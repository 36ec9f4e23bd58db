/* inspect, inside: what each unit does in each cycle, counted while flow.c goes by (units.c). */
#ifndef INSPECT_FLOW_H
#define INSPECT_FLOW_H

#include "inspect/inspect.h"

struct flow_units {
    struct inspect *inspect;
    enum inspect_unit *unit_of;   /* [queues] */
    uint32_t last[INSPECT_UNITS]; /* cycle after the last issue */
    bool any[INSPECT_UNITS];
    uint64_t *waits[INSPECT_UNITS]; /* [names + reasons] */
};

void flow_units_open(struct flow_units *units, struct inspect *inspect);
/* Issue i, next in time, takes a value that `origin` made outside MEM (or NONE) and that lay in
 * memory for `rest` cycles since. */
void flow_units_issue(struct flow_units *units, uint32_t i, uint32_t origin, uint32_t rest);
void flow_units_close(struct flow_units *units);

#endif

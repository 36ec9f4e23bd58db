/* inspect, inside: the picture's two halves, floor.c (where things stand) and picture.c (what is
 * drawn there). */
#ifndef INSPECT_PICTURE_H
#define INSPECT_PICTURE_H

#include "inspect/inspect.h"

#define PICTURE_LEFT 336.0 /* of the floor plan: time and critical path stand before it */
#define PICTURE_TOP 132.0
#define PICTURE_MARGIN 22.0

struct picture {
    const struct inspect *inspect;
    uint32_t layer, from, to; /* cycles drawn: from .. to - 1 */
    double scale;             /* pixels a cycle */
    double *x, *width;        /* [queues] */
    double right, bottom;     /* of the floor plan */
    struct base_text *out;
};

/* Fills in x, width and right. */
void picture_floor(struct picture *p);
/* Bands and their names; p->bottom is set. */
void picture_bands(const struct picture *p);

#endif

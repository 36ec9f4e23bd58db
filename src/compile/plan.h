/* plan, inside: its two halves, plan.c (where things lie) and image.c (what lies there). */
#ifndef COMPILE_PLAN_H
#define COMPILE_PLAN_H

#include "compile/internal.h"

/* Groups of sixteen rows that hold an element of the piece. */
uint32_t layout_groups(const struct compile_plan *plan, const struct layout *layout,
                       uint32_t piece);
void plan_layer_products(struct plan_layer *layer, struct product *products[7]);
/* Most blocks of sixteen positions that `chunk` successive positions touch. */
uint32_t compile_blocks(uint32_t chunk);
void plan_check(const struct compile_plan *plan);
/* Fills in the image: weights, constant tiles, constants. */
void plan_image(struct compile_plan *plan);

#endif

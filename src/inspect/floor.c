/* Floor: where the queues stand in the picture, from west to east as on the chip. */
#include "inspect/picture.h"

#define GAP 7.0
#define SLICE_WIDTH 6.0

/* Queues that stand together: MXM, SXM, memory, VXM, memory, SXM, MXM. */
#define BANDS 7u
static const struct {
    const char *name;
    double width; /* of a queue */
} bands[BANDS] = {{"MXM", 10},
                  {"SXM", 7},
                  {"memory west", SLICE_WIDTH},
                  {"vector unit", 8},
                  {"memory east", SLICE_WIDTH},
                  {"SXM", 7},
                  {"MXM", 10}};

static uint32_t band_of(const struct inspect *inspect, uint32_t queue)
{
    struct machine_queue unit = machine_queue(inspect->machine, queue);
    bool east = unit.hemisphere == MACHINE_EAST;
    switch (inspect_queue_unit(inspect, queue)) {
    case INSPECT_MEM: return east ? 4 : 2;
    case INSPECT_VXM: return 3;
    case INSPECT_WEIGHTS:
    case INSPECT_ACTIVATIONS:
    case INSPECT_RESULTS: return east ? 6 : 0;
    case INSPECT_TRANSPOSE:
    case INSPECT_PERMUTE:
    case INSPECT_DISTRIBUTE:
    case INSPECT_SHIFT:
    case INSPECT_ROTATE: return east ? 5 : 1;
    default: return BANDS;
    }
}

/* Order within the band: slices and ALU columns as values pass them, the rest as numbered. */
static uint32_t rank_of(const struct inspect *inspect, uint32_t queue)
{
    struct machine_queue unit = machine_queue(inspect->machine, queue);
    switch (band_of(inspect, queue)) {
    case 2: return inspect->machine->mem_slices - 1 - unit.index;
    case 3:
        return unit.index % MACHINE_VXM_COLUMNS * MACHINE_VXM_ROWS +
               unit.index / MACHINE_VXM_COLUMNS;
    case 4: return unit.index;
    default: break;
    }
    uint32_t rank = 0;
    for (uint32_t q = 0; q < inspect->code.queue_count; q++) {
        bool before = unit.hemisphere == MACHINE_WEST ? q < queue : q > queue;
        rank += before && band_of(inspect, q) == band_of(inspect, queue);
    }
    return rank;
}

static double band_left(const struct inspect *inspect, uint32_t band)
{
    double x = PICTURE_LEFT;
    for (uint32_t q = 0; q < inspect->code.queue_count; q++) {
        x += band_of(inspect, q) < band ? bands[band_of(inspect, q)].width : 0;
    }
    return x + GAP * band;
}

void picture_floor(struct picture *p)
{
    const struct inspect *inspect = p->inspect;
    for (uint32_t q = 0; q < inspect->code.queue_count; q++) {
        uint32_t band = band_of(inspect, q);
        if (band < BANDS) {
            p->width[q] = bands[band].width;
            p->x[q] = band_left(inspect, band) + rank_of(inspect, q) * bands[band].width;
        }
    }
    p->right = band_left(inspect, BANDS) - GAP;
}

void picture_bands(const struct picture *p)
{
    const struct machine *machine = p->inspect->machine;
    for (uint32_t b = 0; b < BANDS; b++) {
        double left = band_left(p->inspect, b), right = band_left(p->inspect, b + 1) - GAP;
        base_text_format(p->out,
                         "<rect class=\"band\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" "
                         "height=\"%.1f\"/><text class=\"head\" x=\"%.1f\" y=\"%.1f\" "
                         "text-anchor=\"middle\">%s</text>\n",
                         left, PICTURE_TOP, right - left, p->bottom - PICTURE_TOP,
                         (left + right) / 2, PICTURE_TOP - 24, bands[b].name);
    }
    for (uint32_t h = 0; h < 2; h++) {
        for (uint32_t slice = 0; slice < machine->mem_slices; slice += 8) {
            uint32_t queue = machine_queue_mem(machine, h, slice);
            base_text_format(p->out,
                             "<text class=\"small\" x=\"%.1f\" y=\"%.1f\" "
                             "text-anchor=\"middle\">%c%u</text>\n",
                             p->x[queue] + SLICE_WIDTH / 2, PICTURE_TOP - 7,
                             h == MACHINE_WEST ? 'W' : 'E', slice);
        }
    }
    for (uint32_t c = 0; c < MACHINE_VXM_COLUMNS; c++) {
        uint32_t queue = machine_queue_vxm(machine, c);
        base_text_format(p->out,
                         "<text class=\"small\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">%u"
                         "</text>\n",
                         p->x[queue] + 2 * p->width[queue], PICTURE_TOP - 7, c);
    }
}

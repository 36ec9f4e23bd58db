/*
 * Picture: one layer as an assembly line. Across, the chip's floor plan from west to east, a column
 * a queue; down, time. Blocks are instructions, bands between them the values on streams; on the
 * left the critical path, task by task. Other layers' work in the same cycles is drawn faint.
 */
#include "inspect/picture.h"

#include <string.h>

#define AROUND 10u /* cycles shown before the layer's first and after its last */
#define HEIGHT 3200.0
#define SCALE_MAX 6.0

enum tint { READS, STORES, VECTOR, WEIGHTS, PRODUCTS, SWITCH, TINTS };
static const struct {
    const char *class, *light, *dark, *label;
} tints[TINTS] = {
    {"r", "#5aa5dc", "#4a90c4", "memory, reads"},
    {"w", "#1c5c96", "#8fc0f0", "memory, stores"},
    {"v", "#dd8500", "#f2a93f", "vector unit"},
    {"l", "#ae7bcb", "#a083bd", "matrix units, weights"},
    {"p", "#c0266f", "#ee6ba8", "matrix units, products and sums"},
    {"s", "#208a58", "#55c795", "switch units"},
};

static enum tint tint_of(const struct inspect *inspect, uint32_t issue)
{
    const struct inspect_issue *i = &inspect->code.issues[issue];
    uint8_t op = inspect->code.words[i->word].instruction.op;
    switch (inspect_queue_unit(inspect, i->queue)) {
    case INSPECT_MEM: return op == ISA_READ || op == ISA_GATHER ? READS : STORES;
    case INSPECT_VXM: return VECTOR;
    case INSPECT_WEIGHTS: return WEIGHTS;
    case INSPECT_ACTIVATIONS:
    case INSPECT_RESULTS: return PRODUCTS;
    default: return SWITCH;
    }
}

static double y_of(const struct picture *p, double cycle)
{
    return PICTURE_TOP + (cycle - p->from) * p->scale;
}

static bool drawn(const struct picture *p, uint32_t cycle)
{
    return cycle >= p->from && cycle < p->to;
}

/* ---- values on streams ----------------------------------------------------------------------- */

/* What goes from one queue to another for one placement, while cycle follows cycle. */
struct flow_band {
    uint32_t from_queue, to_queue, given, taken, count; /* first issue's cycles; issues */
};

static void put_band(const struct picture *p, const struct flow_band *band)
{
    double a = p->x[band->from_queue] + p->width[band->from_queue] / 2;
    double b = p->x[band->to_queue] + p->width[band->to_queue] / 2;
    double rows = band->count * p->scale;
    base_text_format(p->out, "M%.1f %.1fL%.1f %.1fv%.1fL%.1f %.1fz", a, y_of(p, band->given), b,
                     y_of(p, band->taken), rows, a, y_of(p, band->given) + rows);
}

/* All streams of a placement, as one path. */
static void put_streams(const struct picture *p, const struct inspect_placement *placement)
{
    const struct inspect *inspect = p->inspect;
    struct flow_band open[64];
    uint32_t count = 0;
    for (uint32_t i = 0; i < placement->issue_count; i++) {
        uint32_t issue = inspect->by_placement[placement->issue_first + i];
        const struct inspect_issue *to = &inspect->code.issues[issue];
        for (uint32_t e = inspect->edge_first[issue]; e < inspect->edge_first[issue + 1]; e++) {
            const struct inspect_issue *from = &inspect->code.issues[inspect->edges[e]];
            if (!drawn(p, to->cycle) || !drawn(p, from->cycle)) {
                continue;
            }
            uint32_t k = 0;
            while (k < count &&
                   (open[k].from_queue != from->queue || open[k].to_queue != to->queue ||
                    open[k].taken + open[k].count < to->cycle ||
                    to->cycle - open[k].taken != from->cycle - open[k].given)) {
                k++;
            }
            if (k < count) {
                open[k].count = to->cycle - open[k].taken + 1;
                continue;
            }
            if (count == BASE_COUNT(open)) {
                put_band(p, &open[0]);
                open[0] = open[--count];
            }
            open[count++] = (struct flow_band){from->queue, to->queue, from->cycle, to->cycle, 1};
        }
    }
    for (uint32_t k = 0; k < count; k++) {
        put_band(p, &open[k]);
    }
}

/* ---- instructions ---------------------------------------------------------------------------- */

static void put_blocks(const struct picture *p, const struct inspect_placement *placement,
                       enum tint tint)
{
    const struct inspect *inspect = p->inspect;
    uint32_t ends[256] = {0}; /* of each queue's open block: its issues so far, by cycle */
    uint32_t starts[256] = {0};
    BASE_ASSERT(inspect->code.queue_count <= BASE_COUNT(ends));
    bool any = false;
    for (uint32_t i = 0; i <= placement->issue_count; i++) {
        bool last = i == placement->issue_count;
        uint32_t issue = last ? 0 : inspect->by_placement[placement->issue_first + i];
        const struct inspect_issue *at = &inspect->code.issues[issue];
        bool mine = !last && drawn(p, at->cycle) && tint_of(inspect, issue) == tint;
        for (uint32_t q = last ? 0 : at->queue;
             (last || mine) && q <= (last ? inspect->code.queue_count - 1 : at->queue); q++) {
            bool follows = !last && ends[q] == at->cycle;
            if (ends[q] > 0 && !follows) {
                base_text_format(p->out, "%sM%.1f %.1fh%.1fv%.2fh-%.1fz",
                                 any ? "" : "<path class=\"x\" d=\"", p->x[q] + 0.4,
                                 y_of(p, starts[q]), p->width[q] - 0.8,
                                 (ends[q] - starts[q]) * p->scale, p->width[q] - 0.8);
                any = true;
                ends[q] = 0;
            }
            if (!last) {
                starts[q] = follows ? starts[q] : at->cycle;
                ends[q] = at->cycle + 1;
            }
        }
    }
    if (any) {
        base_text_format(p->out, "\"/>");
    }
}

static void put_placement(const struct picture *p, uint32_t index, bool faint)
{
    const struct inspect_placement *placement = &p->inspect->placements[index];
    const struct compile_task *task = inspect_task(p->inspect, index);
    base_text_format(p->out, "<g%s><title>", faint ? " class=\"faint\"" : "");
    base_text_format(p->out, "layer %u, %s, cycles %u to %u: %s", task->layer, task->kind,
                     placement->first, placement->last, task->name);
    base_text_format(p->out, "\n");
    for (const char *c = task->tensors; *c != '\0'; c++) {
        base_text_format(p->out, *c == '>' ? "&gt;" : *c == '<' ? "&lt;" : "%c", *c);
    }
    base_text_format(p->out, "</title>");
    if (!faint) {
        size_t before = p->out->length;
        base_text_format(p->out, "<path class=\"stream %s\" d=\"",
                         strcmp(task->kind, "load") == 0 ? "l" : "any");
        size_t begun = p->out->length;
        put_streams(p, placement);
        if (p->out->length == begun) {
            p->out->length = before;
        } else {
            base_text_format(p->out, "\"/>");
        }
    }
    for (uint32_t t = 0; t < TINTS; t++) {
        size_t before = p->out->length;
        base_text_format(p->out, "<g class=\"%s\">", tints[t].class);
        size_t begun = p->out->length;
        put_blocks(p, placement, (enum tint)t);
        if (p->out->length == begun) {
            p->out->length = before;
        } else {
            base_text_format(p->out, "</g>");
        }
    }
    base_text_format(p->out, "</g>\n");
}

/* ---- the critical path ----------------------------------------------------------------------- */

static void put_point(const struct picture *p, uint32_t issue, struct base_text *line)
{
    const struct inspect_issue *at = &p->inspect->code.issues[issue];
    if (drawn(p, at->cycle)) {
        base_text_format(line, "%s%.1f %.1f", line->length == 0 ? "M" : "L",
                         p->x[at->queue] + p->width[at->queue] / 2, y_of(p, at->cycle + 0.5));
    }
}

/* From what bounds the piece through the first and the last of its units. */
static void put_way(const struct picture *p, const struct inspect_step *step,
                    struct base_text *line)
{
    const struct inspect *inspect = p->inspect;
    const struct inspect_placement *placement = &inspect->placements[step->placement];
    uint32_t first = INSPECT_NONE, last = INSPECT_NONE;
    for (uint32_t i = 0; i < placement->issue_count; i++) {
        uint32_t issue = inspect->by_placement[placement->issue_first + i];
        const struct inspect_issue *at = &inspect->code.issues[issue];
        bool unit = inspect_queue_unit(inspect, at->queue) != INSPECT_MEM;
        if (unit && at->cycle >= step->from && at->cycle < step->to) {
            first = first == INSPECT_NONE ? issue : first;
            last = issue;
        }
    }
    if (step->at != INSPECT_NONE && inspect->code.issues[step->at].cycle >= step->from &&
        (first == INSPECT_NONE ||
         inspect->code.issues[step->at].cycle <= inspect->code.issues[first].cycle)) {
        put_point(p, step->at, line);
    }
    if (first != INSPECT_NONE && first != step->at) {
        put_point(p, first, line);
    }
    if (last != first) {
        put_point(p, last, line);
    }
}

/* A column of pieces, and a line through the floor plan from bound to bound. */
static void put_path(const struct picture *p)
{
    const struct inspect *inspect = p->inspect;
    double x = PICTURE_LEFT - 34, free = PICTURE_TOP; /* where the next label may stand */
    struct base_text line = {0};
    for (uint32_t i = 0; i < inspect->step_count;) {
        const struct inspect_step *step = &inspect->steps[i];
        const struct compile_task *task = inspect_task(inspect, step->placement);
        uint32_t to = step->to, working = 0, n = 0;
        while (i + n < inspect->step_count &&
               strcmp(inspect_task(inspect, step[n].placement)->name, task->name) == 0 &&
               strcmp(inspect_task(inspect, step[n].placement)->kind, task->kind) == 0) {
            to = step[n].to;
            working += step[n].working;
            n++;
        }
        i += n;
        if (step->from < p->from || to > p->to) {
            continue;
        }
        bool mine = task->layer == p->layer;
        double y = y_of(p, step->from), height = (to - step->from) * p->scale;
        double share = (double)working / (double)(to - step->from);
        base_text_format(p->out,
                         "<rect class=\"piece%s\" x=\"%.1f\" y=\"%.2f\" width=\"20\" "
                         "height=\"%.2f\"/><rect class=\"done%s\" x=\"%.1f\" y=\"%.2f\" "
                         "width=\"%.1f\" height=\"%.2f\"/>\n",
                         mine ? "" : " faint", x, y, BASE_MAX(height - 0.8, 0.4),
                         mine ? "" : " faint", x, y, 20 * share, BASE_MAX(height - 0.8, 0.4));
        if (y + height / 2 >= free + 1 && height >= 5) {
            base_text_format(p->out,
                             "<text class=\"task%s\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\">",
                             mine ? "" : " faint", x - 6, y + height / 2 + 3.5);
            base_text_format(p->out, "%s <tspan class=\"small\">%s</tspan> %u</text>\n", task->name,
                             task->kind, to - step->from);
            free = y + height / 2 + 9;
        }
        for (uint32_t k = 0; mine && k < n; k++) {
            put_way(p, &step[k], &line);
        }
    }
    if (line.length > 0) {
        base_text_format(p->out, "<path class=\"halo\" d=\"%s\"/><path class=\"way\" d=\"%s\"/>\n",
                         line.data, line.data);
    }
    base_text_free(&line);
}

static void put_time(const struct picture *p)
{
    uint32_t step = 10;
    while (step * p->scale < 28) {
        step = step == 10 ? 50 : step * 2;
    }
    for (uint32_t cycle = (p->from + step - 1) / step * step; cycle < p->to; cycle += step) {
        base_text_format(p->out,
                         "<path class=\"tick\" d=\"M%.1f %.1fH%.1f\"/><text class=\"small\" "
                         "x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\">%u</text>\n",
                         PICTURE_LEFT - 8, y_of(p, cycle), p->right, PICTURE_MARGIN + 34,
                         y_of(p, cycle) + 3, cycle);
    }
}

/* ---- the whole ------------------------------------------------------------------------------- */

struct theme {
    const char *paper, *ink, *soft, *band, *line, *way, *piece;
};

static const struct theme light = {"#ffffff", "#1d2126", "#66707a", "#f3f5f7",
                                   "#d6dbe0", "#101418", "#b9c1c9"};
static const struct theme dark = {"#14171c", "#e8eaed", "#9aa3ad", "#1d2229",
                                  "#39414b", "#ffffff", "#5b6570"};

/* Plain properties, which every viewer knows. */
static void put_colours(struct base_text *out, const struct theme *theme)
{
    base_text_format(out,
                     ".paper{fill:%s}text,.done{fill:%s}.sub,.small,.any{fill:%s}.band{fill:%s}"
                     ".tick{stroke:%s}.way{stroke:%s}.halo{stroke:%s}.piece{fill:%s}",
                     theme->paper, theme->ink, theme->soft, theme->band, theme->line, theme->way,
                     theme->paper, theme->piece);
    for (uint32_t t = 0; t < TINTS; t++) {
        base_text_format(out, ".%s{fill:%s}", tints[t].class,
                         theme == &light ? tints[t].light : tints[t].dark);
    }
}

static void put_head(const struct picture *p, const struct inspect_facts *facts)
{
    const struct inspect_layer *layer = &p->inspect->layers[p->layer];
    struct base_text *out = p->out;
    base_text_format(out, "<text class=\"title\" x=\"%.1f\" y=\"36\">", PICTURE_MARGIN);
    if (p->layer + 1 == p->inspect->layer_count && p->layer > 0) {
        base_text_format(out, "What follows the layers");
    } else {
        base_text_format(out, "Layer %u", p->layer);
    }
    base_text_format(out, ", %llu of the step's %llu cycles</text>\n",
                     (unsigned long long)layer->cycles, (unsigned long long)p->inspect->cycles);
    base_text_format(out,
                     "<text class=\"sub\" x=\"%.1f\" y=\"56\">A step of %u token%s over %u "
                     "positions on %s: each column a queue of the chip from west to east, time "
                     "downwards in cycles</text>\n",
                     PICTURE_MARGIN, facts->chunk, facts->chunk == 1 ? "" : "s", facts->bucket,
                     facts->machine);
    double x = PICTURE_MARGIN;
    for (uint32_t t = 0; t < TINTS; t++) {
        base_text_format(out,
                         "<rect class=\"%s\" x=\"%.1f\" y=\"72\" width=\"11\" height=\"11\" "
                         "rx=\"2\"/><text class=\"key\" x=\"%.1f\" y=\"82\">%s</text>\n",
                         tints[t].class, x, x + 16, tints[t].label);
        x += 36 + 6.2 * (double)strlen(tints[t].label);
    }
    base_text_format(out,
                     "<path class=\"halo\" d=\"M%.1f 78h26\"/><path class=\"way\" d=\"M%.1f 78h26\""
                     "/><text class=\"key\" x=\"%.1f\" y=\"82\">what the rest waits for</text>\n",
                     x, x, x + 32);
    base_text_format(
        out,
        "<text class=\"head\" x=\"%.1f\" y=\"%.1f\">cycle</text>"
        "<text class=\"head\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\">critical "
        "path: task, unit, cycles</text>"
        "<text class=\"small\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\">filled: share "
        "spent in a unit; the rest under way</text>\n",
        PICTURE_MARGIN, PICTURE_TOP - 24, PICTURE_LEFT - 14, PICTURE_TOP - 24, PICTURE_LEFT - 14,
        PICTURE_TOP - 7);
}

static void put_style(struct base_text *out)
{
    base_text_format(out, "<style>");
    put_colours(out, &light);
    base_text_format(out, "text{font-family:system-ui,'Helvetica Neue',Arial,sans-serif}"
                          ".title{font-size:21px;font-weight:600}.sub,.key{font-size:12.5px}"
                          ".key{font-size:12px}.small{font-size:9.5px}"
                          ".head{font-size:11.5px;font-weight:600}.task{font-size:10px}"
                          ".tick{stroke-width:.6;fill:none}"
                          ".stream{fill-opacity:.24}.stream.l{fill-opacity:.14}.faint{opacity:.22}"
                          ".way{fill:none;stroke-width:1.5;stroke-linejoin:round}"
                          ".halo{fill:none;stroke-width:4;stroke-opacity:.7;stroke-linejoin:round}"
                          "g:hover>.stream{fill-opacity:.45}");
    base_text_format(out, "@media (prefers-color-scheme:dark){");
    put_colours(out, &dark);
    base_text_format(out, "}</style>\n");
}

/* The layer's own cycles: those of its part of the critical path, or of its instructions. */
static void choose_cycles(struct picture *p)
{
    const struct inspect *inspect = p->inspect;
    const struct inspect_layer *layer = &inspect->layers[p->layer];
    uint32_t from = layer->first, to = layer->last + 1;
    if (layer->step_count > 0) {
        from = UINT32_MAX;
        to = 0;
        for (uint32_t i = 0; i < inspect->step_count; i++) {
            const struct inspect_step *step = &inspect->steps[i];
            if (inspect_task(inspect, step->placement)->layer == p->layer) {
                from = BASE_MIN(from, step->from);
                to = BASE_MAX(to, step->to);
            }
        }
    }
    p->from = from - BASE_MIN(from, AROUND);
    p->to = to + AROUND;
    p->scale = BASE_MIN(HEIGHT / (double)(p->to - p->from), SCALE_MAX);
    p->bottom = PICTURE_TOP + (p->to - p->from) * p->scale;
}

void inspect_picture(const struct inspect *inspect, const struct inspect_facts *facts,
                     uint32_t layer, struct base_text *out)
{
    double x[256] = {0}, width[256] = {0};
    struct picture p = {.inspect = inspect, .layer = layer, .x = x, .width = width, .out = out};
    BASE_ASSERT(layer < inspect->layer_count && inspect->code.queue_count <= BASE_COUNT(x));
    choose_cycles(&p);
    picture_floor(&p);
    double right = p.right + PICTURE_MARGIN, bottom = p.bottom + PICTURE_MARGIN;
    base_text_format(out,
                     "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %.0f %.0f\" "
                     "width=\"%.0f\" height=\"%.0f\">\n",
                     right, bottom, right, bottom);
    put_style(out);
    base_text_format(out, "<rect class=\"paper\" width=\"%.0f\" height=\"%.0f\"/>\n", right,
                     bottom);
    put_head(&p, facts);
    picture_bands(&p);
    put_time(&p);
    for (uint32_t faint = 1; faint <= 1; faint--) { /* the layer itself on top */
        for (uint32_t i = 0; i < inspect->placement_count; i++) {
            const struct inspect_placement *placement = &inspect->placements[i];
            bool own = inspect_task(inspect, i)->layer == layer;
            if (own == (faint == 0) && placement->last >= p.from && placement->first < p.to) {
                put_placement(&p, i, faint == 1);
            }
        }
    }
    put_path(&p);
    base_text_format(out, "</svg>\n");
}

/* See weights.h. */
#include "graph/weights.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "num/num.h"

/* The longest contraction whose int32 sums cannot overflow: |weight| <= 127, byte <= 255. */
#define CONTRACTION_MAX (INT32_MAX / (127 * 255))

enum { TENSORS_A_LAYER = 17, MATRICES_A_LAYER = 7, THREADS_MAX = 64 };
/* Elements a thread takes at a time: some milliseconds of work. */
#define SHARE_ELEMENTS (1u << 20)

/* ---- memory ---------------------------------------------------------------------------------- */

static size_t aligned(size_t bytes)
{
    return (bytes + 63) / 64 * 64;
}

static size_t floats_bytes(const struct model_tensor *tensor)
{
    return tensor->data == NULL ? 0 : aligned((size_t)tensor->rows * tensor->columns * 4);
}

static size_t matrix_bytes(const struct model_tensor *tensor)
{
    return aligned((size_t)tensor->rows * tensor->columns) + aligned(tensor->rows * sizeof(float));
}

static uint32_t matrix_total(const struct model *model)
{
    return 1 + MATRICES_A_LAYER * model->layers;
}

static uint32_t job_total(const struct model *model)
{
    return 3 + TENSORS_A_LAYER * model->layers;
}

size_t weights_arena_bytes(const struct model *model)
{
    size_t bytes = aligned(job_total(model) * sizeof(struct weights_job)) +
                   aligned(matrix_total(model) * sizeof(struct graph_matrix)) +
                   floats_bytes(&model->output_norm) +
                   matrix_bytes(model->tied ? &model->embedding : &model->output);
    for (uint32_t i = 0; i < model->layers; i++) {
        const struct model_layer *layer = &model->layer[i];
        const struct model_tensor *matrices[MATRICES_A_LAYER] = {
            &layer->q, &layer->k, &layer->v, &layer->o, &layer->gate, &layer->up, &layer->down};
        for (uint32_t j = 0; j < MATRICES_A_LAYER; j++)
            bytes += matrix_bytes(matrices[j]);
        const struct model_tensor *vectors[TENSORS_A_LAYER - MATRICES_A_LAYER] = {
            &layer->attention_norm, &layer->ffn_norm, &layer->q_bias,
            &layer->k_bias,         &layer->v_bias,   &layer->o_bias,
            &layer->q_norm,         &layer->k_norm,   &layer->attention_post_norm,
            &layer->ffn_post_norm};
        for (uint32_t j = 0; j < TENSORS_A_LAYER - MATRICES_A_LAYER; j++)
            bytes += floats_bytes(vectors[j]);
    }
    return bytes;
}

void weights_create(struct weights *weights, struct graph *graph)
{
    *weights = (struct weights){.graph = graph,
                                .job_capacity = job_total(graph->model),
                                .matrix_capacity = matrix_total(graph->model)};
    weights->jobs = BASE_NEW(graph->arena, struct weights_job, weights->job_capacity);
    graph->matrices = BASE_NEW(graph->arena, struct graph_matrix, weights->matrix_capacity);
}

/* ---- jobs ------------------------------------------------------------------------------------ */

static struct weights_job *add_job(struct weights *weights, const struct model_tensor *tensor)
{
    BASE_ASSERT(weights->job_count < weights->job_capacity);
    struct weights_job *job = &weights->jobs[weights->job_count++];
    *job = (struct weights_job){.tensor = tensor};
    return job;
}

static bool is_moved(const struct model *model, uint32_t rotary)
{
    return model->rope_halves && rotary > 2;
}

static const float *add_floats(struct weights *weights, const struct model_tensor *tensor,
                               uint32_t rotary, float offset)
{
    const struct model *model = weights->graph->model;
    struct weights_job *job = add_job(weights, tensor);
    job->floats = BASE_NEW(weights->graph->arena, float, (size_t)tensor->rows * tensor->columns);
    job->offset = offset;
    job->head_dim = model->head_dim;
    job->rotary = is_moved(model, rotary) ? rotary : 0;
    return job->floats;
}

const float *weights_gain(struct weights *weights, const struct model_tensor *tensor,
                          uint32_t rotary)
{
    return add_floats(weights, tensor, rotary, weights->graph->model->gain_offset);
}

void weights_check(struct weights *weights, const struct model_tensor *tensor)
{
    add_job(weights, tensor);
}

enum takt_status weights_matrix(struct weights *weights, const struct model_tensor *tensor,
                                const struct model_tensor *bias, uint32_t rotary,
                                const struct graph_matrix **out, struct takt_error *error)
{
    struct graph *graph = weights->graph;
    if (tensor->columns > CONTRACTION_MAX)
        return base_fail(
            error, TAKT_LIMIT,
            "%s: tensor %s contracts over %u inputs; exact 32-bit sums hold %d at most, "
            "use a narrower model",
            graph->model->path, tensor->name, tensor->columns, CONTRACTION_MAX);
    BASE_ASSERT(graph->matrix_count < weights->matrix_capacity);
    struct graph_matrix *matrix = &graph->matrices[graph->matrix_count++];
    *matrix = (struct graph_matrix){.inputs = tensor->columns,
                                    .outputs = tensor->rows,
                                    .tensor = tensor,
                                    .head_dim = graph->model->head_dim,
                                    .rotary = is_moved(graph->model, rotary) ? rotary : 0};
    snprintf(matrix->name, sizeof matrix->name, "%s", tensor->name);
    if (bias != NULL && bias->data != NULL)
        matrix->bias = add_floats(weights, bias, rotary, 0.0f);
    *out = matrix;
    return TAKT_OK;
}

/* ---- reading --------------------------------------------------------------------------------- */

/* Where the value that belongs at place n of q or k stands in the file. */
static uint32_t source_of(uint32_t n, uint32_t head_dim, uint32_t rotary)
{
    if (rotary == 0)
        return n;
    uint32_t d = n % head_dim;
    if (d >= rotary)
        return n;
    return n - d + d / 2 + d % 2 * (rotary / 2);
}

uint32_t graph_matrix_row(const struct graph_matrix *matrix, uint32_t n)
{
    return source_of(n, matrix->head_dim, matrix->rotary);
}

/* The first damaged value, in the order of jobs, rows and columns. */
struct damage {
    uint32_t job, row, column;
    bool found, nan;
};

/* What the threads share. */
struct reading {
    const struct model *model;
    const struct weights_job *jobs;
    uint32_t job_count;
    bool channels;
    _Atomic uint32_t next; /* share to take */
    uint32_t share_count;
    _Atomic bool stop;
    const struct share *shares;
    uint32_t widest;
};

struct share {
    uint32_t job, first_row, end_row;
};

struct worker {
    struct reading *reading;
    pthread_t thread;
    float *row; /* [widest] */
    struct damage damage;
};

static bool find_damage(const float *row, uint32_t columns, struct damage *damage)
{
    uint32_t worst = 0; /* in a form that vectorises */
    for (uint32_t c = 0; c < columns; c++) {
        uint32_t bits;
        memcpy(&bits, &row[c], sizeof bits);
        bits &= 0x7FFFFFFFu;
        worst = bits > worst ? bits : worst;
    }
    if (worst < 0x7F800000u)
        return false;
    for (uint32_t c = 0; c < columns; c++)
        if (num_exponent(row[c]) == 255) {
            damage->column = c;
            damage->nan = row[c] != row[c];
            break;
        }
    return true;
}

/* A vector (a bias, a gain) is one row whose elements move; a matrix is one whose rows do. */
static void keep_floats(const struct weights_job *job, uint32_t r, const float *row)
{
    uint32_t columns = job->tensor->columns;
    float *out = job->floats + (size_t)r * columns;
    for (uint32_t c = 0; c < columns; c++)
        out[c] = row[source_of(c, job->head_dim, job->rotary)] + job->offset;
}

static void keep_channel(const struct graph_matrix *matrix, uint32_t n, const float *row,
                         bool channels)
{
    int8_t *weights = matrix->weights + (size_t)n * matrix->inputs;
    num_quantise_channel(row, matrix->inputs, weights, &matrix->scales[n]);
    if (channels)
        graph_channels(matrix, n, 1, weights, matrix->inputs, &matrix->scales[n]);
}

static bool read_share(struct worker *worker, const struct share *share)
{
    const struct weights_job *job = &worker->reading->jobs[share->job];
    const struct model_tensor *tensor = job->tensor;
    for (uint32_t r = share->first_row; r < share->end_row; r++) {
        uint32_t source = job->matrix != NULL ? graph_matrix_row(job->matrix, r) : r;
        model_row(tensor, source, worker->row);
        struct damage damage = {share->job, source, 0, true, false};
        if (find_damage(worker->row, tensor->columns, &damage)) {
            worker->damage = damage;
            return false;
        }
        if (job->matrix != NULL)
            keep_channel(job->matrix, r, worker->row, worker->reading->channels);
        if (job->floats != NULL)
            keep_floats(job, r, worker->row);
    }
    return true;
}

static void *work(void *argument)
{
    struct worker *worker = argument;
    struct reading *reading = worker->reading;
    while (!atomic_load(&reading->stop)) {
        uint32_t at = atomic_fetch_add(&reading->next, 1);
        if (at >= reading->share_count)
            break;
        if (!read_share(worker, &reading->shares[at]))
            atomic_store(&reading->stop, true);
    }
    return NULL;
}

static uint32_t rows_a_share(const struct model_tensor *tensor)
{
    return BASE_MAX(SHARE_ELEMENTS / tensor->columns, 1u);
}

static struct share *list_shares(const struct reading *reading, uint32_t *count)
{
    uint32_t total = 0;
    for (uint32_t i = 0; i < reading->job_count; i++) {
        const struct model_tensor *tensor = reading->jobs[i].tensor;
        total += (tensor->rows + rows_a_share(tensor) - 1) / rows_a_share(tensor);
    }
    struct share *shares = calloc(total + 1, sizeof *shares);
    *count = 0;
    for (uint32_t i = 0; shares != NULL && i < reading->job_count; i++) {
        const struct model_tensor *tensor = reading->jobs[i].tensor;
        uint32_t step = rows_a_share(tensor);
        for (uint32_t r = 0; r < tensor->rows; r += BASE_MIN(step, tensor->rows - r))
            shares[(*count)++] = (struct share){i, r, r + BASE_MIN(step, tensor->rows - r)};
    }
    return shares;
}

static uint32_t thread_count(uint32_t shares)
{
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    uint32_t threads = online < 1 ? 1 : online > THREADS_MAX ? THREADS_MAX : (uint32_t)online;
    return BASE_MAX(BASE_MIN(threads, shares), 1u);
}

/* Worker 0 is the caller; where a thread cannot be had the others do its work. */
static void run_workers(struct worker *workers, uint32_t count)
{
    bool started[THREADS_MAX] = {false};
    for (uint32_t i = 1; i < count; i++)
        started[i] = pthread_create(&workers[i].thread, NULL, work, &workers[i]) == 0;
    work(&workers[0]);
    for (uint32_t i = 1; i < count; i++)
        if (started[i])
            pthread_join(workers[i].thread, NULL);
}

/* Shares are taken in order and finished once taken, so the first damage is always among those
 * found. */
static struct damage first_damage(const struct worker *workers, uint32_t count)
{
    struct damage first = {0};
    for (uint32_t i = 0; i < count; i++) {
        const struct damage *d = &workers[i].damage;
        if (d->found &&
            (!first.found || d->job < first.job || (d->job == first.job && d->row < first.row)))
            first = *d;
    }
    return first;
}

static enum takt_status fail_damaged(const struct model *model, const struct model_tensor *tensor,
                                     const struct damage *damage, struct takt_error *error)
{
    return base_fail(error, TAKT_FORMAT,
                     "%s: tensor %s, row %u, column %u is %s; the file is damaged or was "
                     "converted wrongly, convert it again",
                     model->path, tensor->name, damage->row, damage->column,
                     damage->nan ? "NaN" : "infinite");
}

static enum takt_status read_jobs(struct reading *reading, struct takt_error *error)
{
    for (uint32_t i = 0; i < reading->job_count; i++)
        reading->widest = BASE_MAX(reading->widest, reading->jobs[i].tensor->columns);
    struct share *shares = list_shares(reading, &reading->share_count);
    uint32_t count = thread_count(reading->share_count);
    struct worker *workers = calloc(count, sizeof *workers);
    float *rows = calloc((size_t)count * reading->widest, sizeof *rows);
    enum takt_status status = TAKT_OK;
    if (shares == NULL || workers == NULL || rows == NULL) {
        status = base_fail(error, TAKT_MEMORY, "%s: no memory to read its weights; free some",
                           reading->model->path);
        goto done;
    }
    reading->shares = shares;
    for (uint32_t i = 0; i < count; i++)
        workers[i] = (struct worker){.reading = reading, .row = rows + (size_t)i * reading->widest};
    run_workers(workers, count);
    struct damage damage = first_damage(workers, count);
    if (damage.found)
        status = fail_damaged(reading->model, reading->jobs[damage.job].tensor, &damage, error);
done:
    free(rows);
    free(workers);
    free(shares);
    return status;
}

enum takt_status weights_run(struct weights *weights, struct takt_error *error)
{
    struct reading reading = {
        .model = weights->graph->model, .jobs = weights->jobs, .job_count = weights->job_count};
    return read_jobs(&reading, error);
}

/* ---- the image ------------------------------------------------------------------------------- */

enum takt_status weights_image(const struct graph *graph, bool channels, struct takt_error *error)
{
    struct weights_job *jobs = calloc(graph->matrix_count, sizeof *jobs);
    if (jobs == NULL)
        return base_fail(error, TAKT_MEMORY, "%s: no memory to read its weights; free some",
                         graph->model->path);
    const size_t used_bytes = graph->arena->used_bytes;
    for (uint32_t i = 0; i < graph->matrix_count; i++) {
        struct graph_matrix *matrix = &graph->matrices[i];
        matrix->weights = BASE_NEW(graph->arena, int8_t, (size_t)matrix->outputs * matrix->inputs);
        matrix->scales = BASE_NEW(graph->arena, float, matrix->outputs);
        jobs[i] = (struct weights_job){.tensor = matrix->tensor, .matrix = matrix};
    }
    struct reading reading = {.model = graph->model,
                              .jobs = jobs,
                              .job_count = graph->matrix_count,
                              .channels = channels};
    enum takt_status status = read_jobs(&reading, error);
    for (uint32_t i = 0; status != TAKT_OK && i < graph->matrix_count; i++)
        graph->matrices[i].weights = NULL;
    if (status != TAKT_OK)
        graph->arena->used_bytes = used_bytes;
    free(jobs);
    return status;
}

enum takt_status graph_find_damage(const struct model *model, const struct model_tensor *tensor,
                                   struct takt_error *error)
{
    float *row = calloc(tensor->columns, sizeof *row);
    struct damage damage = {0};
    for (uint32_t r = 0; row != NULL && !damage.found && r < tensor->rows; r++) {
        model_row(tensor, r, row);
        damage.row = r;
        damage.found = find_damage(row, tensor->columns, &damage);
    }
    const bool done = row != NULL;
    free(row);
    if (!done)
        return base_fail(error, TAKT_MEMORY, "%s: no memory to read its weights; free some",
                         model->path);
    return damage.found ? fail_damaged(model, tensor, &damage, error) : TAKT_OK;
}

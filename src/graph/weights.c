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
    return aligned(sizeof(struct graph_matrix)) + aligned((size_t)tensor->rows * tensor->columns) +
           aligned(tensor->rows * sizeof(float));
}

static uint32_t job_total(const struct model *model)
{
    return 3 + TENSORS_A_LAYER * model->layers;
}

size_t weights_arena_bytes(const struct model *model)
{
    size_t bytes = aligned(job_total(model) * sizeof(struct weights_job)) +
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

void weights_create(struct weights *weights, const struct model *model, struct base_arena *arena)
{
    *weights = (struct weights){.model = model, .arena = arena, .job_capacity = job_total(model)};
    weights->jobs = BASE_NEW(arena, struct weights_job, weights->job_capacity);
}

/* ---- jobs ------------------------------------------------------------------------------------ */

static struct weights_job *add_job(struct weights *weights, const struct model_tensor *tensor,
                                   uint32_t rotary)
{
    BASE_ASSERT(weights->job_count < weights->job_capacity);
    struct weights_job *job = &weights->jobs[weights->job_count++];
    *job = (struct weights_job){.tensor = tensor};
    if (weights->model->rope_halves && rotary > 2) {
        job->head_dim = weights->model->head_dim;
        job->rotary = rotary;
    }
    return job;
}

static const float *add_floats(struct weights *weights, const struct model_tensor *tensor,
                               uint32_t rotary, float offset)
{
    struct weights_job *job = add_job(weights, tensor, rotary);
    job->floats = BASE_NEW(weights->arena, float, (size_t)tensor->rows * tensor->columns);
    job->offset = offset;
    return job->floats;
}

const float *weights_gain(struct weights *weights, const struct model_tensor *tensor,
                          uint32_t rotary)
{
    return add_floats(weights, tensor, rotary, weights->model->gain_offset);
}

void weights_check(struct weights *weights, const struct model_tensor *tensor)
{
    add_job(weights, tensor, 0);
}

enum takt_status weights_matrix(struct weights *weights, const struct model_tensor *tensor,
                                const struct model_tensor *bias, uint32_t rotary,
                                const struct graph_matrix **out, struct takt_error *error)
{
    if (tensor->columns > CONTRACTION_MAX)
        return base_fail(
            error, TAKT_LIMIT,
            "%s: tensor %s contracts over %u inputs; exact 32-bit sums hold %d at most, "
            "use a narrower model",
            weights->model->path, tensor->name, tensor->columns, CONTRACTION_MAX);
    struct graph_matrix *matrix = BASE_NEW(weights->arena, struct graph_matrix, 1);
    struct weights_job *job = add_job(weights, tensor, rotary);
    job->weights = BASE_NEW(weights->arena, int8_t, (size_t)tensor->rows * tensor->columns);
    job->scales = BASE_NEW(weights->arena, float, tensor->rows);
    *matrix = (struct graph_matrix){.inputs = tensor->columns,
                                    .outputs = tensor->rows,
                                    .weights = job->weights,
                                    .scales = job->scales};
    snprintf(matrix->name, sizeof matrix->name, "%s", tensor->name);
    if (bias != NULL && bias->data != NULL)
        matrix->bias = add_floats(weights, bias, rotary, 0.0f);
    *out = matrix;
    return TAKT_OK;
}

/* ---- reading --------------------------------------------------------------------------------- */

/* Where the value that belongs at place n of q or k stands in the file. */
static uint32_t source_of(const struct weights_job *job, uint32_t n)
{
    if (job->rotary == 0)
        return n;
    uint32_t d = n % job->head_dim;
    if (d >= job->rotary)
        return n;
    return n - d + d / 2 + d % 2 * (job->rotary / 2);
}

/* The first damaged value, in the order of jobs, rows and columns. */
struct damage {
    uint32_t job, row, column;
    bool found, nan;
};

/* What the threads share. */
struct reading {
    const struct weights *weights;
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
        out[c] = row[source_of(job, c)] + job->offset;
}

static bool read_share(struct worker *worker, const struct share *share)
{
    const struct weights_job *job = &worker->reading->weights->jobs[share->job];
    const struct model_tensor *tensor = job->tensor;
    for (uint32_t r = share->first_row; r < share->end_row; r++) {
        uint32_t source = job->weights != NULL ? source_of(job, r) : r;
        model_row(tensor, source, worker->row);
        struct damage damage = {share->job, source, 0, true, false};
        if (find_damage(worker->row, tensor->columns, &damage)) {
            worker->damage = damage;
            return false;
        }
        if (job->weights != NULL)
            num_quantise_channel(worker->row, tensor->columns,
                                 job->weights + (size_t)r * tensor->columns, &job->scales[r]);
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

static struct share *list_shares(const struct weights *weights, uint32_t *count)
{
    uint32_t total = 0;
    for (uint32_t i = 0; i < weights->job_count; i++) {
        const struct model_tensor *tensor = weights->jobs[i].tensor;
        total += (tensor->rows + rows_a_share(tensor) - 1) / rows_a_share(tensor);
    }
    struct share *shares = calloc(total + 1, sizeof *shares);
    *count = 0;
    for (uint32_t i = 0; shares != NULL && i < weights->job_count; i++) {
        const struct model_tensor *tensor = weights->jobs[i].tensor;
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

enum takt_status weights_run(struct weights *weights, struct takt_error *error)
{
    struct reading reading = {.weights = weights};
    for (uint32_t i = 0; i < weights->job_count; i++)
        reading.widest = BASE_MAX(reading.widest, weights->jobs[i].tensor->columns);
    struct share *shares = list_shares(weights, &reading.share_count);
    uint32_t count = thread_count(reading.share_count);
    struct worker *workers = calloc(count, sizeof *workers);
    float *rows = calloc((size_t)count * reading.widest, sizeof *rows);
    enum takt_status status = TAKT_OK;
    if (shares == NULL || workers == NULL || rows == NULL) {
        status = base_fail(error, TAKT_MEMORY, "%s: no memory to read its weights; free some",
                           weights->model->path);
        goto done;
    }
    reading.shares = shares;
    for (uint32_t i = 0; i < count; i++)
        workers[i] = (struct worker){.reading = &reading, .row = rows + (size_t)i * reading.widest};
    run_workers(workers, count);
    struct damage damage = first_damage(workers, count);
    if (damage.found)
        status = base_fail(error, TAKT_FORMAT,
                           "%s: tensor %s, row %u, column %u is %s; the file is damaged or was "
                           "converted wrongly, convert it again",
                           weights->model->path, weights->jobs[damage.job].tensor->name, damage.row,
                           damage.column, damage.nan ? "NaN" : "infinite");
done:
    free(rows);
    free(workers);
    free(shares);
    return status;
}

/*
 * A model while it is being opened: what the pieces that read files, hyper-parameters and tensors
 * share. model.c drives; gguf_parameters.c and folder_parameters.c read hyper-parameters of the two
 * kinds of files, bind.c finds the tensors, whatever the file calls them.
 */
#ifndef MODEL_OPENING_H
#define MODEL_OPENING_H

#include "model/gguf.h"
#include "model/model.h"

#include <jansson.h>

#define MODEL_DIMENSION_MAX                                                                        \
    (1u << 24) /* of any hyper-parameter: keeps products within 64 bits with ease */

/* What sets an architecture apart from llama. */
struct architecture {
    const char *name;           /* general.architecture; struct model's architecture */
    const char *model_types[2]; /* config.json's model_type */
    bool neighbours;            /* GGUF: q and k pair neighbours; otherwise halves of a head */
    bool fused;                 /* one matrix for q, k, v and one for gate, up */
    bool head_norms;            /* RMS norm of each head of q and k */
    bool gemma; /* norms of what is added to the stream, gains less 1 (folders), GELU, embeddings
                   scaled by sqrt(width) */
    uint32_t pattern;  /* with a window: every pattern-th layer sees all; 0 = every layer has it */
    double local_base; /* rotary base of layers with a window; 0 = the same as the others' */
};

const struct architecture *model_architecture(const char *name, size_t length);
const struct architecture *model_architecture_of_type(const char *model_type);
/* "llama, qwen2 and ...": for messages. */
const char *model_architecture_names(void);

struct opening {
    struct model *model;
    const char *path;
    struct takt_error *error;
    const struct architecture *architecture;
    struct tensor_record *tensors; /* sorted by name */
    size_t tensor_count;
    /* GGUF */
    struct gguf gguf;
    /* Hugging Face folder: config of the text model, and before tensor names "model." or so */
    bool folder;
    json_t *config_file, *config, *headers; /* headers keep the names of tensors */
    const char *prefix;
    struct tensor_record *records; /* the heap that tensors lie in */
    /* Rotary scaling that the file gives as numbers, [rotary / 2]; NULL = none. */
    float *factors, *factors_long;
};

/* ---- model.c --------------------------------------------------------------------------------- */

/* Maps the files and lists their tensors, whatever model it is; close in any case. */
enum takt_status model_open_container(struct opening *opening);
void model_close_container(struct opening *opening);

/* ---- gguf_parameters.c, folder_parameters.c: sizes, norms, ropes, layers' windows ------------ */

enum takt_status model_read_gguf(struct opening *opening);
enum takt_status model_read_folder(struct opening *opening);
/* config.json, and what safetensors there are. */
enum takt_status model_open_folder(struct opening *opening);
/* Maps and checks a folder's safetensors: opening's tensors. */
enum takt_status model_open_safetensors(struct opening *opening);
/* A JSON file of the folder; *json NULL when it is not there and not required. */
enum takt_status model_folder_json(const struct opening *opening, const char *name, bool required,
                                   json_t **json);
/* A text file of the folder, malloc'ed; *text NULL when it is not there. */
enum takt_status model_folder_text(const struct opening *opening, const char *name, char **text);
/* The chat template, malloc'ed, or NULL. */
enum takt_status model_read_folder_template(struct opening *opening, char **text);
/* Feeds a file of the folder to a digest, where it is there. */
void model_folder_digest(const struct opening *opening, const char *name,
                         struct base_digest *digest);

/* ---- parameters.c: what both share ----------------------------------------------------------- */

/* Called once the sizes are known: the layers and the arena, sized for tensors' names. */
enum takt_status model_make_layers(struct opening *opening, size_t more_bytes);
/* Checks sizes and ranges, and gives what follows from the architecture. window 0 = none. */
enum takt_status model_finish_parameters(struct opening *opening, double epsilon, double base,
                                         uint32_t rotary, uint32_t window, double query_scalar);

/* ---- bind.c ---------------------------------------------------------------------------------- */

enum takt_status model_bind_tensors(struct opening *opening);

#endif

/* Any bytes as a JSON Schema: refused, or a grammar from which random draws lead to its end. */
#include "fuzz.h"

#include <stdlib.h>

#include "run/grammar.h"

#define FABLE "models/fable/fable-q8_0.gguf"

static struct takt_engine *open_engine(void)
{
    struct takt_engine *engine;
    const struct takt_engine_options options = {.model_path = FABLE,
                                                .target = TAKT_TARGET_REFERENCE};
    if (takt_engine_open(&engine, &options, NULL) != TAKT_OK ||
        run_trie_create(&engine->trie, engine, NULL) != TAKT_OK) {
        abort();
    }
    return engine;
}

static void draw(const struct takt_engine *engine, struct takt_grammar *grammar, uint64_t seed)
{
    const uint32_t vocab = engine->graph.vocab;
    const uint32_t least = takt_grammar_least_tokens(grammar);
    const uint32_t most = BASE_MIN(least, 200) + 20;
    static float logits[65536];
    uint32_t state = run_grammar_start(grammar);
    struct base_text text = {0};
    base_text_append(&text, "", 0);
    for (uint32_t i = 0; i < most && least <= 200 && !run_grammar_complete(grammar, state); i++) {
        for (uint32_t t = 0; t < vocab; t++) {
            logits[t] = base_random_f32(seed, i, t);
        }
        const struct takt_sampling greedy = {.top_p = 1.0f};
        state = run_grammar_room(grammar, state);
        run_grammar_mask(grammar, state, most - i - 1, logits);
        const uint32_t token = takt_sample(logits, vocab, &greedy, i);
        BASE_ASSERT(run_grammar_allows(grammar, state, token, most - i - 1));
        if (run_is_end(engine, token)) {
            break;
        }
        text.length = 0;
        tokenizer_decode(engine->model->tokenizer, token, false, false, &text);
        state = run_grammar_step(grammar, state, text.data, text.length);
    }
    BASE_ASSERT(least > 200 || run_grammar_accepts(grammar, state));
    base_text_free(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct takt_engine *engine; /* opened once, for all inputs */
    if (!engine) {
        engine = open_engine();
    }
    if (size < 1) {
        return 0;
    }
    const struct takt_grammar_options options = {
        .kind = data[0] & 1 ? TAKT_GRAMMAR_TOOLS : TAKT_GRAMMAR_SCHEMA,
        .json = (const char *)data + 1,
        .length = size - 1,
        .must_call = (data[0] & 2) != 0,
        .parallel = (data[0] & 4) != 0,
    };
    struct takt_grammar *grammar;
    if (takt_grammar_open(&grammar, engine, &options, NULL) == TAKT_OK) {
        draw(engine, grammar, size);
        takt_grammar_close(grammar);
    }
    return 0;
}

/*
 * The pre-tokenizers that GGUF files name in tokenizer.ggml.pre. The patterns are those of the
 * models' own tokenizer.json (or of the code that trained them); which name means which, and what
 * else it implies, is llama.cpp's.
 */
#include "model/pretokenize.h"

#include <string.h>

/* A single space before a word, and a run of spaces but for its last one, as GPT-2 cut them. The
 * last alternative is what earlier ones leave over. */
#define GPT2 "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"
#define CONTRACTIONS "(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])"
#define SPACES "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define FRONT "[^\\r\\n\\p{L}\\p{N}]?"
#define LLAMA3(digits)                                                                             \
    CONTRACTIONS "|" FRONT "\\p{L}+|" digits "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|" SPACES
/* Words that end small, or begin in capitals, with what follows an apostrophe (GPT-4o). */
#define UPPER "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]"
#define LOWER "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"
#define GPT4O(suffix, digits)                                                                      \
    FRONT UPPER "*" LOWER "+" suffix "|" FRONT UPPER "+" LOWER "*" suffix "|" digits               \
                "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|" SPACES
#define KIMI_UPPER "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}&&[^\\p{Han}]]"
#define KIMI_LOWER "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}&&[^\\p{Han}]]"
#define DEEPSEEK3(marks, ends)                                                                     \
    "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?"           \
    "[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+" marks "|" ends "|\\s+(?!\\S)|\\s+"
#define CJK "[\\x{4E00}-\\x{9FA5}\\x{3040}-\\x{309F}\\x{30A0}-\\x{30FF}]+"
#define DEEPSEEK_CJK "[\\x{4E00}-\\x{9FA5}\\x{800}-\\x{4E00}\\x{AC00}-\\x{D7FF}]+"
#define BLOOM " ?[^(\\s|.,!?\\x{2026}\\x{3002}\\x{FF0C}\\x{3001}\\x{964}\\x{6D4}\\x{60C})]+"

/* Letters with case, as of the year the model was made. */
static const char deepseek_letters[] =
    "\\s?[A-Za-z\\x{B5}\\x{C0}-\\x{D6}\\x{D8}-\\x{F6}\\x{F8}-\\x{1BA}\\x{1BC}-\\x{1BF}"
    "\\x{1C4}-\\x{293}\\x{295}-\\x{2AF}\\x{370}-\\x{373}\\x{376}\\x{377}\\x{37B}-\\x{37D}"
    "\\x{37F}\\x{386}\\x{388}-\\x{38A}\\x{38C}\\x{38E}-\\x{3A1}\\x{3A3}-\\x{3F5}\\x{3F7}-"
    "\\x{481}\\x{48A}-\\x{52F}\\x{531}-\\x{556}\\x{10A0}-\\x{10C5}\\x{13A0}-\\x{13F5}"
    "\\x{13F8}-\\x{13FD}\\x{1C90}-\\x{1CBA}\\x{1CBD}-\\x{1CBF}\\x{1D00}-\\x{1D2B}\\x{1D6B}-"
    "\\x{1D77}\\x{1D79}-\\x{1D9A}\\x{1E00}-\\x{1F15}\\x{1F18}-\\x{1F1D}\\x{1F20}-\\x{1F45}"
    "\\x{1F48}-\\x{1F4D}\\x{1F50}-\\x{1F57}\\x{1F59}\\x{1F5B}\\x{1F5D}\\x{1F5F}-\\x{1F7D}"
    "\\x{1F80}-\\x{1FB4}\\x{1FB6}-\\x{1FBC}\\x{1FBE}\\x{1FC2}-\\x{1FC4}\\x{1FC6}-\\x{1FCC}"
    "\\x{1FD0}-\\x{1FD3}\\x{1FD6}-\\x{1FDB}\\x{1FE0}-\\x{1FEC}\\x{1FF2}-\\x{1FF4}\\x{1FF6}-"
    "\\x{1FFC}\\x{2102}\\x{2107}\\x{210A}-\\x{2113}\\x{2115}\\x{2119}-\\x{211D}\\x{2124}"
    "\\x{2126}\\x{2128}\\x{212A}-\\x{212D}\\x{212F}-\\x{2134}\\x{2139}\\x{213C}-\\x{213F}"
    "\\x{2145}-\\x{2149}\\x{214E}\\x{2183}\\x{2184}\\x{2C00}-\\x{2C7B}\\x{2C7E}-\\x{2CE4}"
    "\\x{2CEB}-\\x{2CEE}\\x{2CF2}\\x{2CF3}\\x{A640}-\\x{A66D}\\x{A680}-\\x{A69B}\\x{A722}-"
    "\\x{A76F}\\x{A771}-\\x{A787}\\x{A78B}-\\x{A78E}\\x{AB70}-\\x{ABBF}\\x{FB00}-\\x{FB06}"
    "\\x{FB13}-\\x{FB17}\\x{FF21}-\\x{FF3A}\\x{FF41}-\\x{FF5A}\\x{10400}-\\x{1044F}"
    "\\x{104B0}-\\x{104D3}\\x{104D8}-\\x{104FB}\\x{10C80}-\\x{10CB2}\\x{10CC0}-\\x{10CF2}"
    "\\x{118A0}-\\x{118DF}\\x{1E900}-\\x{1E943}]+";

/* Stages that are no patterns. */
#define THREES "<threes>"
#define THREES_BOUNDED "<threes bounded>"
#define SPACE_AT_END "<space at end>"

struct row {
    const char *names[16];
    const char *stages[7];
    struct split_traits traits;
};

static const struct row rows[] = {
    {{"default"}, {"[\\p{P}\\$\\+<=>\\^~\\|]+", GPT2, "\\p{N}+", "[0-9][0-9][0-9]"}, {0}},
    {{"gpt-2", "phi-2", "jina-es", "jina-de", "gigachat", "jina-v2-es", "jina-v2-de", "a.x-4.0",
      "mellum", "modern-bert", "exaone4"},
     {GPT2},
     {0}},
    {{"mpt", "olmo", "jais", "trillion", "granite-docling", "jina-v1-en", "jina-v2-code",
      "roberta-bpe"},
     {GPT2},
     {0}},
    {{"llama-bpe", "llama3", "llama-v3", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2",
      "jina-v5-nano"},
     {LLAMA3("\\p{N}{1,3}")},
     {.adds_bos = true, .whole_pieces = true}},
    {{"dbrx", "smaug-bpe", "chatglm-bpe", "glm4"}, {LLAMA3("\\p{N}{1,3}")}, {0}},
    {{"qwen2", "deepseek-r1-qwen", "kormo", "f2llmv2", "stablelm2", "hunyuan", "megrez", "grok-2",
      "solar-open"},
     {LLAMA3("\\p{N}")},
     {0}},
    {{"qwen35"},
     {CONTRACTIONS "|" FRONT "[\\p{L}\\p{M}]+|\\p{N}| ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|" SPACES},
     {0}},
    {{"minicpm5"}, {"\\p{N}{1,3}", LLAMA3("\\p{N}+")}, {.whole_pieces = true}},
    {{"smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b", "mellum2"},
     {"\\p{N}", GPT2},
     {0}},
    {{"falcon"}, {"[\\p{P}\\$\\+<=>\\^~\\|`]+", GPT2, "[0-9][0-9][0-9]"}, {0}},
    {{"deepseek-llm"},
     {"[\\r\\n]", deepseek_letters,
      "\\s?[!-/:-~\\x{FF01}-\\x{FF0F}\\x{FF1A}-\\x{FF5E}\\x{2018}-\\x{201F}\\x{3000}-\\x{3002}]+",
      SPACE_AT_END, DEEPSEEK_CJK, "\\p{N}+"},
     {0}},
    {{"deepseek-coder"}, {"[\\r\\n]", "\\s?\\p{L}+", "\\s?\\p{P}+", DEEPSEEK_CJK, "\\p{N}"}, {0}},
    {{"deepseek-v3", "hunyuan-dense", "joyai-llm", "hy_v4"},
     {"\\p{N}{1,3}", CJK, DEEPSEEK3("[\\r\\n]*", "\\s*[\\r\\n]+")},
     {0}},
    {{"spark2_5"}, {"\\p{N}{1,3}", CJK, DEEPSEEK3("", "[\\r\\n]"), "\\p{N}"}, {0}},
    {{"youtu"},
     {"[\\x{AC00}-\\x{D7A3}\\x{3131}-\\x{318E}]+|[\\x{FF01}\\x{2026}\\x{201C}\\x{201D}\\x{2018}"
      "\\x{2019}\\x{2014}\\x{FF1A}\\x{FF1B}\\x{FF0C}\\x{3001}-\\x{303F}\\x{FE30}-\\x{FE4F}]+|"
      "[\\x{3105}-\\x{312F}]+|" CJK,
      GPT4O(CONTRACTIONS "?", "\\p{N}")},
     {.whole_pieces = true}},
    {{"poro-chat", "bloom", "gpt3-finnish"}, {BLOOM}, {0}},
    {{"viking"}, {BLOOM, "\\p{N}"}, {0}},
    {{"tekken"}, {GPT4O("", "\\p{N}")}, {.adds_bos = true, .whole_pieces = true}},
    {{"gpt-4o", "llama4", "kanana2", "talkie", "minimax-m2"},
     {GPT4O(CONTRACTIONS "?", "\\p{N}{1,3}")},
     {0}},
    {{"granite-embed-multi-97m"}, {GPT4O(CONTRACTIONS "?", "\\p{N}{1,3}")}, {.whole_pieces = true}},
    {{"tiny_aya", "cohere2moe"}, {THREES_BOUNDED, GPT4O(CONTRACTIONS "?", "\\p{N}{1,3}")}, {0}},
    {{"chameleon"},
     {"<sentinel:[0-9]+>", "(IMGIMG)((A|B|C|D|E|F|G|H|I){1,4})Z", "([\\t\\n]|    |  )", "\\p{N}",
      "[\\p{P}!-/:-@\\[-`{-~]", GPT2},
     {.adds_bos = true}},
    {{"kimi-k2"},
     {"\\p{Han}+|" FRONT KIMI_UPPER "*" KIMI_LOWER "+" CONTRACTIONS "?|" FRONT KIMI_UPPER
      "+" KIMI_LOWER "*" CONTRACTIONS "?|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|" SPACES},
     {0}},
    {{"superbpe"}, {"\\p{N}+", THREES}, {0}},
    {{"bailingmoe", "bailingmoe2", "llada-moe"},
     {"'(?:[sSdDmMtT]|[lL][lL]|[vV][eE]|[rR][eE])|" FRONT
      "\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]|\\s+(?!\\S)|\\s+"},
     {0}},
    {{"seed-coder"},
     {CONTRACTIONS "|" FRONT "\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}\\r\\n]+|" SPACES},
     {0}},
    {{"ufakzeka"}, {FRONT "\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|" SPACES}, {0}},
    {{"laguna"}, {"[^\\n]+|[\\n]+", LLAMA3("\\p{N}")}, {0}},
    {{"exaone-moe"},
     {CONTRACTIONS "|" FRONT "(?:\\p{L}\\p{M}*(?: \\p{L}\\p{M}*)*)+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+"
                   "[\\r\\n/]?|\\s*[\\r\\n]|\\s+(?!\\S)|\\s+"},
     {0}},
    {{"jais-2"},
     {CONTRACTIONS "|" FRONT "\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|"
                   "\\s{512}(?!\\S)|\\s{256}(?!\\S)|\\s{128}(?!\\S)|\\s{64}(?!\\S)|\\s{32}(?!\\S)|"
                   "\\s{16}(?!\\S)|\\s{8}(?!\\S)|\\s{4}(?!\\S)|\\s{1,2}(?!\\S)|\\s"},
     {0}},
    {{"gemma4", "granite-embed-multi-311m"},
     {"[^\\n]+|[\\n]+"},
     {.characters = true, .marks_spaces = true, .newline_runs = true}},
    {{"sarvam-moe"}, {"[^\\n]+|[\\n]+"}, {.characters = true, .marks_spaces = true}},
    {{"whitespace"}, {"\\S+"}, {.characters = true}},
};

static const struct row *find_row(struct gguf_string pre)
{
    for (size_t i = 0; i < BASE_COUNT(rows); i++)
        for (size_t j = 0; j < BASE_COUNT(rows[i].names); j++)
            if (rows[i].names[j] != NULL && model_gguf_string_is(pre, rows[i].names[j]))
                return &rows[i];
    return NULL;
}

const char *tokenizer_split_name(size_t index)
{
    for (size_t i = 0; i < BASE_COUNT(rows); i++)
        for (size_t j = 0; j < BASE_COUNT(rows[i].names); j++)
            if (rows[i].names[j] != NULL && index-- == 0)
                return rows[i].names[j];
    return NULL;
}

static enum takt_status add_stage(struct tokenizer_split *split, const char *path,
                                  const char *stage, struct takt_error *error)
{
    static const struct {
        const char *name;
        enum split_kind kind;
    } kinds[] = {{THREES, SPLIT_THREES},
                 {THREES_BOUNDED, SPLIT_THREES_BOUNDED},
                 {SPACE_AT_END, SPLIT_SPACE_AT_END}};
    for (size_t i = 0; i < BASE_COUNT(kinds); i++)
        if (strcmp(stage, kinds[i].name) == 0)
            return tokenizer_split_add(split, path, kinds[i].kind, error);
    return tokenizer_split_add_pattern(split, path, stage, strlen(stage), SPLIT_ISOLATED, false,
                                       error);
}

enum takt_status tokenizer_split_create(struct tokenizer_split **out, const char *path,
                                        struct gguf_string pre, struct split_traits *traits,
                                        struct takt_error *error)
{
    *out = NULL;
    const struct row *row = find_row(pre);
    if (row == NULL)
        return base_fail(error, TAKT_UNSUPPORTED,
                         "%s: tokenizer.ggml.pre is \"%.*s\", a pre-tokenizer that takt does not "
                         "know; give the model as a Hugging Face folder, whose tokenizer.json "
                         "describes it",
                         path, (int)BASE_MIN(pre.length, (size_t)64), pre.text);
    struct tokenizer_split *split = tokenizer_split_new();
    if (split == NULL)
        return base_fail(error, TAKT_MEMORY, "%s: no memory for the pre-tokenizer; free some",
                         path);
    enum takt_status status = TAKT_OK;
    for (size_t i = 0; status == TAKT_OK && i < BASE_COUNT(row->stages) && row->stages[i] != NULL;
         i++)
        status = add_stage(split, path, row->stages[i], error);
    if (status != TAKT_OK) {
        tokenizer_split_destroy(split);
        return status;
    }
    *out = split;
    *traits = row->traits;
    return TAKT_OK;
}

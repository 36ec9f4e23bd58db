// Writes NAME.json, small tokenizers of every kind, and vectors.json, the ids that @huggingface/tokenizers
// gives texts. Run in this folder with that package installed: node make.mjs
import { writeFileSync } from "node:fs";
import { Tokenizer } from "@huggingface/tokenizers";

// GPT-2's alphabet: a printable character for each byte.
const alphabet = [];
for (let byte = 0, next = 256; byte < 256; byte++) {
    const plain = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
    alphabet.push(String.fromCodePoint(plain ? byte : next++));
}
const letters = (text) => [...new TextEncoder().encode(text)].map((byte) => alphabet[byte]).join("");

// Merges that make words out of their letters, two halves at a time; each half is made first.
function mergesOf(words) {
    const merges = [], seen = new Set();
    const make = (word) => {
        const parts = [...word];
        if (parts.length < 2 || seen.has(word)) return;
        const half = Math.ceil(parts.length / 2);
        const left = parts.slice(0, half).join(""), right = parts.slice(half).join("");
        make(left);
        make(right);
        seen.add(word);
        merges.push(`${left} ${right}`);
    };
    words.forEach(make);
    return merges;
}

const words = ["the", " the", "quick", " quick", "ing", " is", "ll", "re", "12", "123", "  ", "    ", "\n\n", "é", "中", "文",
    " a", "an", "ab", "aba", "!!", "...", " (", "hello", " world", "World", "'s", "don", "'t"];

function bpe(options, names, merges) {
    const vocab = {};
    const add = (text) => { if (!(text in vocab)) vocab[text] = Object.keys(vocab).length; };
    names.forEach(add);
    merges.forEach((line) => { const space = line.indexOf(" ", 1); add(line.slice(0, space) + line.slice(space + 1)); });
    return { type: "BPE", dropout: null, unk_token: null, continuing_subword_prefix: null, end_of_word_suffix: null,
        fuse_unk: false, byte_fallback: false, ignore_merges: false, ...options, vocab, merges };
}
const byteModel = (options = {}) => bpe(options, alphabet, mergesOf(words.map(letters)));

const added = (id, content, more = {}) =>
    ({ id, content, single_word: false, lstrip: false, rstrip: false, normalized: false, special: true, ...more });
const byteLevel = (more = {}) => ({ type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: false, ...more });
const split = (regex, behavior = "Isolated", invert = false) => ({ type: "Split", pattern: { Regex: regex }, behavior, invert });
const sequence = (...pretokenizers) => ({ type: "Sequence", pretokenizers });
const llama3 = "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

const mark = "\u2581";
const spoken = words.map((word) => word.replaceAll(" ", mark)).filter((word) => !/\n/.test(word));
const characters = [...new Set([...spoken.join(""), ..."bcdfgjmprsuvxyzTHEQ,.?", mark])];
const bytes = Array.from({ length: 256 }, (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`);
const llama2 = bpe({ unk_token: "<unk>", fuse_unk: true, byte_fallback: true }, ["<unk>", "<s>", "</s>", ...bytes, ...characters], mergesOf(spoken));
const noBytes = bpe({ unk_token: "<unk>", fuse_unk: true }, ["<unk>", ...characters], mergesOf(spoken));

const unigram = (options) => ({ type: "Unigram", unk_id: 0, byte_fallback: false,
    vocab: [["<unk>", 0], ["<s>", 0], ...characters.map((c, i) => [c, -6 - (i % 7) / 8]),
        ...spoken.filter((word) => [...word].length > 1).map((word, i) => [word, -3 - (i % 11) / 4 - word.length / 8])], ...options });

const pieces = ["[UNK]", "[CLS]", "[SEP]", "the", "quick", "##ing", "##s", "is", "hello", "world", "a", "b", "##a", "##b", "1", "##2", "12",
    ".", "!", "'", "(", "中", "文", "e", "##e", "don", "t", "go", "cafe", "##t"];
const wordpiece = { type: "WordPiece", unk_token: "[UNK]", continuing_subword_prefix: "##", max_input_chars_per_word: 100,
    vocab: Object.fromEntries(pieces.map((piece, i) => [piece, i])) };

const size = (model) => (Array.isArray(model.vocab) ? model.vocab.length : Object.keys(model.vocab).length);
const tokenizers = {
    gpt2: { model: byteModel(), pre_tokenizer: byteLevel({ use_regex: true }) },
    prefixed: { model: byteModel(), pre_tokenizer: byteLevel({ use_regex: true, add_prefix_space: true }) },
    llama3: { model: byteModel({ ignore_merges: true }), pre_tokenizer: sequence(split(llama3), byteLevel()) },
    qwen: { model: byteModel(), normalizer: { type: "NFC" }, pre_tokenizer: sequence(split(llama3.replace("{1,3}", "")), byteLevel()) },
    digits: { model: byteModel(), pre_tokenizer: sequence({ type: "Digits", individual_digits: true }, byteLevel({ use_regex: true })) },
    punctuation: { model: byteModel(), pre_tokenizer: sequence({ type: "Punctuation", behavior: "Isolated" }, byteLevel({ use_regex: true }),
        { type: "Digits", individual_digits: false }) },
    removed: { model: byteModel(), pre_tokenizer: sequence(split("\\s+", "Removed"), byteLevel()) },
    inverted: { model: byteModel(), pre_tokenizer: sequence(split("\\w+|[^\\w\\s]+", "Removed", true), byteLevel()) },
    lower: { model: byteModel(), normalizer: { type: "Sequence", normalizers: [{ type: "NFKC" }, { type: "Lowercase" },
        { type: "Replace", pattern: { Regex: "\\s+" }, content: " " }] }, pre_tokenizer: byteLevel({ use_regex: true }) },
    llama2: { model: llama2, normalizer: { type: "Sequence", normalizers: [{ type: "Prepend", prepend: mark },
        { type: "Replace", pattern: { String: " " }, content: mark }] } },
    unknown: { model: noBytes, normalizer: { type: "Replace", pattern: { String: " " }, content: mark } },
    unigram: { model: unigram({}), pre_tokenizer: { type: "Metaspace", replacement: mark, prepend_scheme: "always", split: true } },
    unigram_never: { model: unigram({}), pre_tokenizer: { type: "Metaspace", replacement: mark, prepend_scheme: "never", split: true } },
    bert: { model: wordpiece, normalizer: { type: "BertNormalizer", clean_text: true, handle_chinese_chars: true, strip_accents: null, lowercase: true },
        pre_tokenizer: { type: "BertPreTokenizer" } },
    cased: { model: wordpiece, normalizer: { type: "BertNormalizer", clean_text: true, handle_chinese_chars: true, strip_accents: false, lowercase: false },
        pre_tokenizer: { type: "BertPreTokenizer" } },
};

const texts = ["", " ", "hello world", "the quick", " the  quick   brown", "don't DON'T it's", "12 123 1234 12345", "a\n\n b\r\n\tc", "café cafe\u0301 É",
    "中文 the 文中", "😀 ok 👩‍👩‍👧!", "hello<|end|>world <|end|> x", "x=1;\n    if (a) {\n\treturn b;\n}", "!!!... (the) aba ababa", "  leading", "trailing  ",
    "\u00a0\u3000x", "ﬁ ½ Ⅷ", "اللغة עברית ภาษา हिन्दी", "<s>the</s>", "quicking the12s", "World\u0301", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "\u0000\u0001",
    "the<|wide|>   quick", "the   <|wide|>quick"];
// Where the package does otherwise than the library whose files these are: there Metaspace cuts before
// every mark, and Punctuation makes a piece of every character.
const differs = (name, text) => (name.startsWith("unigram") && / {2}/.test(text)) ||
    (name === "punctuation" && /[!.]{2}/.test(text));

const vectors = [];
for (const [name, parts] of Object.entries(tokenizers)) {
    const json = { version: "1.0", truncation: null, padding: null,
        added_tokens: [added(size(parts.model), "<|end|>"), added(size(parts.model) + 1, "<|wide|>", { lstrip: true, rstrip: true, special: false })],
        normalizer: null, post_processor: null, decoder: null, ...parts };
    if (JSON.stringify(parts.pre_tokenizer ?? "").includes("ByteLevel")) json.decoder = byteLevel();
    json.pre_tokenizer ??= null;
    writeFileSync(`${name}.json`, JSON.stringify(json) + "\n");
    const tokenizer = new Tokenizer(json, { clean_up_tokenization_spaces: false });
    for (const text of texts.filter((text) => !differs(name, text)))
        vectors.push({ tokenizer: name, text, ids: tokenizer.encode(text, { add_special_tokens: false }).ids });
}
writeFileSync("vectors.json", "[\n" + vectors.map((vector) => " " + JSON.stringify(vector)).join(",\n") + "\n]\n");
console.log(`${vectors.length} vectors`);

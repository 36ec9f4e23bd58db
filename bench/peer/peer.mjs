// The same work on llama.cpp and on takt, in alternation: node bench/peer/peer.mjs MODEL [OPTION]...
//
// llama.cpp runs in this process through node-llama-cpp, batch by batch at the level of
// llama_decode: no sampling, no text. takt runs as `takt bench`. Both take the same file, the same
// number of threads, the same tokens. A round measures both, one after the other, so that what the
// machine does meanwhile meets both; medians over the rounds, and the median of the rounds' ratios.
import { spawnSync } from "node:child_process";
import { statSync } from "node:fs";
import { getLlama, LlamaLogLevel } from "node-llama-cpp";

const options = { rounds: 5, threads: 2, prompt: 512, tokens: 128, batch: 16, takt: "build/takt" };
const words = process.argv.slice(2);
const model = words.shift();
if (!model) {
    console.error("peer.mjs MODEL [--rounds R] [--threads T] [--prompt N] [--tokens N] [--batch B] [--takt PATH] [--json]");
    process.exit(2);
}
let json = false;
while (words.length > 0) {
    const name = words.shift().replace(/^--/, "");
    if (name === "json") json = true;
    else if (name === "takt") options.takt = words.shift();
    else if (name in options) options[name] = Number(words.shift());
    else throw new Error(`unknown option --${name}`);
}
const { rounds, threads, prompt, tokens, batch } = options;

const seconds = () => Number(process.hrtime.bigint()) / 1e9;
const median = (values) => {
    const sorted = [...values].sort((a, b) => a - b);
    return sorted[Math.floor(sorted.length / 2)];
};

// ---- llama.cpp ----------------------------------------------------------------------------------

const llama = await getLlama({ gpu: false, build: "never", logLevel: LlamaLogLevel.error,
                               maxThreads: threads });
const loadBegin = seconds();
const llamaModel = await llama.loadModel({ modelPath: model, useMmap: true });
const context = await llamaModel.createContext({
    sequences: batch, contextSize: Math.max(prompt, tokens) + 8, batchSize: Math.max(prompt, 512),
    threads: { ideal: threads, min: threads }, flashAttention: true });
const llamaLoad = seconds() - loadBegin;
const raw = context._ctx;
raw.setThreads(threads);
const vocabulary = llamaModel.fileInfo.metadata?.tokenizer?.ggml?.tokens?.length ?? 1000;
const text = Uint32Array.from({ length: prompt + tokens + batch },
                              (_, i) => (i * 7919 + 13) % vocabulary);
const last = Uint32Array.from([0]);

async function llamaPrompt() {
    raw.disposeSequence(0);
    const begin = seconds();
    raw.initBatch(prompt);
    raw.addToBatch(0, 0, text.slice(0, prompt), Uint32Array.from([prompt - 1]));
    await raw.decodeBatch();
    return prompt / (seconds() - begin);
}

async function llamaDecode(sequences, steps) {
    for (let i = 0; i < sequences; i++) raw.disposeSequence(i);
    const begin = seconds();
    for (let step = 0; step < steps; step++) {
        raw.initBatch(sequences);
        for (let i = 0; i < sequences; i++)
            raw.addToBatch(i, step, text.slice(i + step, i + step + 1), last);
        await raw.decodeBatch();
    }
    return sequences * steps / (seconds() - begin);
}

// ---- takt ---------------------------------------------------------------------------------------

function takt(words) {
    const run = spawnSync(options.takt, ["bench", model, "--json", "--threads", `${threads}`,
                                         "--repeat", "3", ...words], { encoding: "utf8" });
    if (run.status !== 0) throw new Error(run.stderr || `takt bench ended with ${run.status}`);
    return JSON.parse(run.stdout);
}

// ---- in alternation -----------------------------------------------------------------------------

const best3 = async (measure) => median([await measure(), await measure(), await measure()]);
const steps = Math.max(Math.floor(tokens / 4), 1);
const works = {
    decode: {
        llama: () => best3(() => llamaDecode(1, tokens)),
        takt: () => takt(["--prompt", "0", "--batches", "0", "--tokens", `${tokens}`]),
        rate: (result) => result.decode_tokens_per_second,
    },
    prefill: {
        llama: () => best3(llamaPrompt),
        takt: () => takt(["--prompt", `${prompt}`, "--batches", "0", "--tokens", "0"]),
        rate: (result) => result.prefill_tokens_per_second,
    },
    batch: {
        llama: () => best3(() => llamaDecode(batch, steps)),
        takt: () => takt(["--prompt", "0", "--batches", `${batch}`, "--tokens", `${4 * steps}`]),
        rate: (result) => result.batches[0].tokens_per_second,
    },
};

const found = {};
let peak = 0, loads = [];
await llamaPrompt();
await llamaDecode(batch, 1);
for (const [name, work] of Object.entries(works)) {
    const peer = [], ours = [], share = [];
    for (let round = 0; round < rounds; round++) {
        peer.push(await work.llama());
        const result = work.takt();
        ours.push(work.rate(result));
        loads.push(result.load_seconds);
        console.error(`  ${name} ${round + 1}/${rounds}: llama.cpp ${peer.at(-1).toFixed(1)}, ` +
                      `takt ${ours.at(-1).toFixed(1)} tokens/s`);
        peak = Math.max(peak, result.peak_bytes);
        if (name === "decode")
            share.push(result.decode_tokens_per_second * result.weight_bytes /
                       result.limit_read_bytes_per_second);
    }
    found[name] = { llama: median(peer), takt: median(ours),
                    ratio: median(ours.map((value, i) => value / peer[i])) };
    if (share.length > 0) found[name].share_of_read = median(share);
}
await context.dispose();

const result = { model, bytes: statSync(model).size, threads, rounds, prompt, tokens, batch,
                 load_seconds: { llama: llamaLoad, takt: median(loads) },
                 takt_peak_bytes: peak, ...found };
if (json) {
    console.log(JSON.stringify(result));
} else {
    console.log(`${model}: ${threads} threads, medians of ${rounds} alternating rounds, tokens/s`);
    for (const name of Object.keys(works)) {
        const { llama: peer, takt: ours, ratio } = found[name];
        const label = { decode: "decode, 1 stream", prefill: `prefill ${prompt}`,
                        batch: `batch ${batch} decode` }[name];
        console.log(`  ${label.padEnd(18)} llama.cpp ${peer.toFixed(1).padStart(9)}   ` +
                    `takt ${ours.toFixed(1).padStart(9)}   ratio ${ratio.toFixed(2)}`);
    }
    console.log(`  load: llama.cpp ${llamaLoad.toFixed(2)} s, takt ${median(loads).toFixed(2)} s; ` +
                `decode reads its weights at ${(found.decode.share_of_read * 100).toFixed(0)} % of a plain read`);
}
process.exit(0);

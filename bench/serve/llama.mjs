// llama.cpp behind HTTP: node bench/serve/llama.mjs MODEL SLOTS CONTEXT THREADS
//
// As little between the socket and llama_decode as there can be: one loop batches whatever the slots hold, prompts
// beside the others' next tokens as takt does it, draws greedily with llama.cpp's own sampler and writes an event for
// each token. Streams only; prompts are token ids; an answer has the length asked for, whatever is drawn.
import http from "node:http";
import { getLlama, LlamaLogLevel } from "../peer/node_modules/node-llama-cpp/dist/index.js";

const [path, slots, contextSize, threads] = [process.argv[2], ...process.argv.slice(3).map(Number)];
const llama = await getLlama({ gpu: false, build: "never", logLevel: LlamaLogLevel.error, maxThreads: threads });
const model = await llama.loadModel({ modelPath: path, useMmap: true });
const context = await model.createContext({
    sequences: slots, contextSize, batchSize: 512, threads: { ideal: threads, min: threads }, flashAttention: true });
const raw = context._ctx;
raw.setThreads(threads);
const sampler = new llama._bindings.AddonSampler(model._model);
sampler.applyConfig({ temperature: 0 });

const free = Array.from({ length: slots }, (_, i) => i), queue = [], active = new Set();
let running = false;

function begin(job) {
    job.slot = free.pop();
    job.begin = performance.now();
    raw.disposeSequence(job.slot);
    active.add(job);
}

function end(job) {
    const seconds = (from, to) => ((to - from) / 1000).toFixed(9);
    job.reply.end(`data: {"choices":[{"text":"","finish_reason":"length"}],"usage":{` +
        `"queue_time":${seconds(job.came, job.begin)},"prompt_time":${seconds(job.begin, job.first)},` +
        `"completion_time":${seconds(job.first, performance.now())},"prompt_tokens":${job.prompt.length},` +
        `"completion_tokens":${job.drawn}}}\n\ndata: [DONE]\n\n`);
    active.delete(job);
    free.push(job.slot);
}

// One llama_decode for all: at most 512 tokens, of prompts what is left beside those who wait for a token.
async function step() {
    let room = 512 - active.size;
    const parts = [];
    for (const job of active) {
        const count = job.held < job.prompt.length ? Math.min(job.prompt.length - job.held, room + 1) : 1;
        const tokens = job.held < job.prompt.length ? job.prompt.subarray(job.held, job.held + count)
                                                    : Uint32Array.from([job.token]);
        room -= count - 1;
        parts.push({ job, tokens, draws: job.held + count >= job.prompt.length });
    }
    raw.initBatch(parts.reduce((sum, part) => sum + part.tokens.length, 0));
    for (const part of parts) {
        const wanted = Uint32Array.from(part.draws ? [part.tokens.length - 1] : []);
        [part.index] = raw.addToBatch(part.job.slot, part.job.held, part.tokens, wanted);
        part.job.held += part.tokens.length;
    }
    await raw.decodeBatch();
    for (const { job, index, draws } of parts) {
        if (!draws) continue;
        job.token = await raw.sampleToken(index, sampler);
        job.first ??= performance.now();
        job.drawn++;
        const text = JSON.stringify(model.detokenize([job.token]));
        job.reply.write(`data: {"choices":[{"text":${text},"finish_reason":null}]}\n\n`);
        if (job.drawn === job.most) end(job);
    }
}

async function run() {
    if (running) return;
    running = true;
    for (;;) {
        while (queue.length > 0 && free.length > 0) begin(queue.shift());
        if (active.size === 0) break;
        await step();
    }
    running = false;
}

const server = http.createServer(async (request, reply) => {
    let body = "";
    for await (const piece of request) body += piece;
    const { prompt, max_tokens: most } = JSON.parse(body);
    reply.writeHead(200, { "content-type": "text/event-stream" });
    queue.push({ reply, prompt: Uint32Array.from(prompt), most, held: 0, drawn: 0, came: performance.now() });
    run();
});
server.listen(0, "127.0.0.1", () => console.log(`listening on http://127.0.0.1:${server.address().port}`));

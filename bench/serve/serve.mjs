// What serving costs: node bench/serve/serve.mjs MODEL [OPTION]...
//
//   overhead   tokens a second through HTTP streams beside `takt bench` at the same batch, threads and positions
//   first text how long after the first token was drawn a client has read it
//   llama.cpp  tokens a second of concurrent clients, of takt serve and of llama.cpp behind bench/serve/llama.mjs
//
// A round measures both sides of a pair, one right after the other and each first in every other round, so that what
// the machine does meanwhile meets both; what is told is the median of the rounds' ratios. Who is not measured is stopped.
import { spawn, spawnSync } from "node:child_process";
import { readFileSync, readdirSync } from "node:fs";
import { basename } from "node:path";

const options = { rounds: 7, threads: 2, tokens: 128, clients: 16, requests: 2, prompt: 64, takt: "build/takt", streams: "build/tools/streams" };
const words = process.argv.slice(2);
const model = words.shift();
if (!model) {
    console.error("serve.mjs MODEL [--rounds R] [--threads T] [--tokens N] [--clients C] [--requests Q] [--prompt P] [--no-peer] [--json]");
    process.exit(2);
}
let json = false, peer = true;
while (words.length > 0) {
    const name = words.shift().replace(/^--/, "");
    if (name === "json") json = true;
    else if (name === "no-peer") peer = false;
    else if (name === "takt" || name === "streams") options[name] = words.shift();
    else if (name in options) options[name] = Number(words.shift());
    else throw new Error(`unknown option --${name}`);
}
const { rounds, threads, tokens, clients, requests, prompt } = options;
const context = 512;

const sorted = (values) => [...values].sort((a, b) => a - b);
const at = (values, share) => sorted(values)[Math.min(Math.floor(values.length * share), values.length - 1)];
const median = (values) => at(values, 0.5);
const say = (text) => process.stderr.isTTY ? process.stderr.write(`\r\x1b[K${text}`) : undefined;

// ---- both sides -----------------------------------------------------------------------------------------------------

async function launch(command, words) {
    const child = spawn(command, words, { stdio: ["ignore", "pipe", "inherit"] });
    const port = await new Promise((resolve, reject) => {
        let said = "";
        child.stdout.on("data", (bytes) => {
            said += bytes;
            const found = /listening on http:\/\/[^:]+:(\d+)/.exec(said);
            if (found) resolve(found[1]);
        });
        child.once("exit", (code) => reject(new Error(`${command} ended with ${code}`)));
    });
    child.kill("SIGSTOP");
    return { child, port };
}

function run(command, words) {
    const done = spawnSync(command, words, { encoding: "utf8" });
    if (done.status !== 0) throw new Error(done.stderr || `${command} ended with ${done.status}`);
    return JSON.parse(done.stdout);
}

function streams(server, count, times, promptTokens, answerTokens, ...more) {
    server.child.kill("SIGCONT");
    const found = run(options.streams, [server.port, basename(model, ".gguf"), `${count}`, `${times}`,
                                        `${promptTokens}`, `${answerTokens}`, ...more]);
    server.child.kill("SIGSTOP");
    return found;
}

// Processor time of a server's threads so far, in ticks of 10 ms: those of the HTTP library, and all.
function ticks(server) {
    const found = { http: 0, all: 0 };
    for (const task of readdirSync(`/proc/${server.child.pid}/task`)) {
        const stat = readFileSync(`/proc/${server.child.pid}/task/${task}/stat`, "utf8");
        const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
        const spent = Number(fields[11]) + Number(fields[12]);
        found.all += spent;
        if (stat.includes("(MHD")) found.http += spent;
    }
    return found;
}

const bench = (...more) => run(options.takt, ["bench", model, "--json", "--threads", `${threads}`, "--repeat", "1", "--prompt", "0", ...more]);
const alone = {
    1: () => bench("--batches", "0", "--tokens", `${tokens}`).decode_tokens_per_second,
    16: () => bench("--batches", "16", "--tokens", `${4 * tokens}`).batches[0].tokens_per_second,
};

const takt = await launch(options.takt, ["serve", model, "--port", "0", "--slots", `${Math.max(clients, 16)}`, "--ctx", `${context}`,
                                         "--threads", `${threads}`, "--no-prefix-cache"]);
const llama = peer ? await launch("node", ["bench/serve/llama.mjs", model, `${clients}`, `${clients * context}`, `${threads}`]) : null;

// What a server does once, it does now: programs of the lengths that follow are compiled in the background.
streams(takt, 16, 1, 1, tokens);
streams(takt, clients, 1, prompt, tokens);
takt.child.kill("SIGCONT");
await new Promise((resolve) => setTimeout(resolve, 8000));
takt.child.kill("SIGSTOP");
if (llama) streams(llama, clients, 1, prompt, 8);

function pairs(name, first, second) {
    const found = [[], []], sides = [first, second];
    for (let round = 0; round < rounds; round++) {
        for (const side of round % 2 ? [1, 0] : [0, 1]) found[side].push(sides[side]());
        say(`${name} ${round + 1}/${rounds}: ${found[0].at(-1).toFixed(1)} and ${found[1].at(-1).toFixed(1)} tokens/s`);
    }
    say("");
    const ratios = found[0].map((value, round) => value / found[1][round]);
    return { rates: found.map(median), ratio: median(ratios), ratio_quartiles: [at(ratios, 0.25), at(ratios, 0.75)] };
}

// ---- measured -------------------------------------------------------------------------------------------------------

const late = { 1: [], 16: [] };
const overhead = {};
for (const count of [1, 16]) {
    overhead[count] = pairs(`${count} streams`, () => streams(takt, count, 1, 1, tokens + 1, "away").decode_rate, alone[count]);
    for (let round = 0; round < rounds; round++) late[count].push(...streams(takt, count, 1, prompt, 8).late_ms);
}
const before = ticks(takt);
for (let round = 0; round < rounds; round++) streams(takt, 16, 1, 1, tokens + 1, "away");
const after = ticks(takt);
const http = (after.http - before.http) / (after.all - before.all);
const rate = ({ tokens, seconds }) => tokens / seconds;
const beside = llama && pairs("llama.cpp", () => rate(streams(takt, clients, requests, prompt, tokens)),
                              () => rate(streams(llama, clients, requests, prompt, tokens)));
for (const server of [takt, llama]) server?.child.kill("SIGKILL");

const result = {
    model: basename(model), threads, rounds, tokens,
    overhead: Object.entries(overhead).map(([count, { rates, ratio, ratio_quartiles }]) => ({
        streams: Number(count), serve_tokens_per_second: rates[0], bench_tokens_per_second: rates[1],
        overhead: 1 - ratio, quartiles: ratio_quartiles.map((value) => 1 - value).reverse() })),
    first_text_ms: Object.entries(late).map(([count, values]) => ({
        streams: Number(count), answers: values.length, median: median(values), p90: at(values, 0.9), most: Math.max(...values) })),
    http_share: http,
    ...(beside ? { clients: { clients, requests, prompt, tokens, takt: beside.rates[0], llama: beside.rates[1], ratio: beside.ratio, quartiles: beside.ratio_quartiles } } : {}),
};
if (json) {
    console.log(JSON.stringify(result));
} else {
    const percent = (value) => `${(100 * value).toFixed(1)} %`;
    console.log(`${result.model}: ${threads} threads, medians of ${rounds} pairs`);
    for (const { streams, serve_tokens_per_second, bench_tokens_per_second, overhead, quartiles } of result.overhead)
        console.log(`  ${`${streams} streams`.padEnd(12)} serve ${serve_tokens_per_second.toFixed(1).padStart(8)}   bench ${bench_tokens_per_second.toFixed(1).padStart(8)} tokens/s   overhead ${percent(overhead)} (quartiles ${quartiles.map(percent).join(", ")})`);
    for (const { streams, answers, median, p90, most } of result.first_text_ms)
        console.log(`  ${`${streams} streams`.padEnd(12)} first text ${median.toFixed(2)} ms after its token (of ${answers}: 90 % in ${p90.toFixed(2)}, all in ${most.toFixed(2)})`);
    console.log(`  16 streams   HTTP takes ${percent(http)} of the server's processor time`);
    if (beside)
        console.log(`  ${`${clients} clients`.padEnd(12)} takt ${beside.rates[0].toFixed(1).padStart(9)}   llama.cpp ${beside.rates[1].toFixed(1).padStart(8)} tokens/s   ratio ${beside.ratio.toFixed(2)} (quartiles ${beside.ratio_quartiles.map((value) => value.toFixed(2)).join(", ")}); ${requests} answers of ${tokens} tokens to prompts of ${prompt} each`);
}
process.exit(0);

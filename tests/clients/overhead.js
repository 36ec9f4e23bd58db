// What serving costs beside computing: CPU time of the server's threads while CLIENTS streams run, and how long
// after the first token the client has read it.  node overhead.js MODEL.gguf [CLIENTS] [TOKENS]
import { spawn } from "node:child_process";
import { readFileSync, readdirSync } from "node:fs";
import { basename } from "node:path";

const [model, clients = "16", tokens = "48"] = process.argv.slice(2);
const takt = process.env.TAKT ?? new URL("../../build/takt", import.meta.url).pathname;
const child = spawn(takt, ["serve", model, "--port", "0", "--slots", clients, "--ctx", "256", "--no-prefix-cache"], { stdio: ["ignore", "pipe", "ignore"] });
const url = await new Promise((resolve) => child.stdout.on("data", (bytes) => resolve(/listening on (\S+)/.exec(bytes)[1])));

// User and system time of every thread, in clock ticks of 10 ms.
function threads() {
  return Object.fromEntries(readdirSync(`/proc/${child.pid}/task`).map((task) => {
    const stat = readFileSync(`/proc/${child.pid}/task/${task}/stat`, "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return [`${stat.slice(stat.indexOf("(") + 1, stat.lastIndexOf(")"))} ${task}`, Number(fields[11]) + Number(fields[12])];
  }));
}

async function ask(client) {
  const prompt = Array.from({ length: 16 }, (_, i) => 40 + ((client * 31 + i * 7) % 200));
  const begin = performance.now();
  const reply = await fetch(`${url}/v1/completions`, { method: "POST", body: JSON.stringify({ model: basename(model, ".gguf"), prompt, max_tokens: Number(tokens), temperature: 0, stream: true }) });
  let first = 0, text = "";
  for await (const piece of reply.body.pipeThrough(new TextDecoderStream())) {
    first ||= performance.now() - begin;
    text += piece;
  }
  const { usage } = JSON.parse(text.split("\n\n").find((event) => event.includes('"x_takt"')).slice(6));
  return { usage, late: first - 1000 * (usage.queue_time + usage.prompt_time) };
}

await ask(0);
await new Promise((resolve) => setTimeout(resolve, 8000)); // programs are compiled in the background: past that
const before = threads();
const answers = await Promise.all(Array.from({ length: Number(clients) }, (_, i) => ask(i)));
const after = threads();
const spent = Object.entries(after).map(([name, ticks]) => [name, ticks - (before[name] ?? 0)]);
const all = spent.reduce((sum, [, ticks]) => sum + ticks, 0);
const http = spent.filter(([name]) => name.startsWith("MHD")).reduce((sum, [, ticks]) => sum + ticks, 0);
const drawn = answers.reduce((sum, { usage }) => sum + usage.completion_tokens, 0);
const late = answers.map((answer) => answer.late).sort((a, b) => a - b);
console.log(`${basename(model)}: ${clients} streams, ${drawn} tokens, ${all * 10} ms of CPU time, of it HTTP ${http * 10} ms = ${((100 * http) / all).toFixed(2)} %; first bytes ${late[0].toFixed(1)} to ${late.at(-1).toFixed(1)} ms after the first token`);
child.kill();

// Many streams at once: every answer is what the same request gets alone. LOAD_SECONDS=60 for longer.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { MODEL, startServer } from "./server.js";

const seconds = Number(process.env.LOAD_SECONDS ?? 4);
const CLIENTS = Number(process.env.LOAD_CLIENTS ?? 64);

async function ask(url, body) {
  const answer = await fetch(`${url}/v1/chat/completions`, { method: "POST", body: JSON.stringify({ ...body, stream: true }) });
  if (answer.status !== 200) throw new Error(`${answer.status}: ${await answer.text()}`);
  let text = "", digest = "", tokens = 0;
  for (const event of (await answer.text()).split("\n\n")) {
    if (!event.startsWith("data: {")) continue;
    const chunk = JSON.parse(event.slice(6));
    text += chunk.choices[0]?.delta?.content ?? "";
    if (chunk.x_takt) [digest, tokens] = [chunk.x_takt.logits_digest, chunk.usage.completion_tokens];
  }
  return { text: `${text}|${digest}`, tokens };
}

const memory = (pid) => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))[1]);

test(`${CLIENTS} streaming clients for ${seconds} s`, { timeout: (seconds + 120) * 1000 }, async () => {
  const server = await startServer("--slots", "16");
  const words = ["fox", "owl", "key", "boat", "bear", "song", "lamp", "well"];
  const requests = Array.from({ length: 24 }, (_, i) => ({
    model: MODEL,
    messages: [...(i % 3 ? [] : [{ role: "system", content: "You tell short stories." }]), { role: "user", content: `Tell me a story about a ${words[i % 8]}.` }],
    seed: i, temperature: i % 4 ? 0.9 : 0, max_tokens: 8 + 3 * i,
    ...(i % 5 ? {} : { presence_penalty: 0.4 }), ...(i % 7 ? {} : { response_format: { type: "json_object" } }),
  }));
  const alone = [];
  for (const request of requests) alone.push((await ask(server.url, request)).text);
  const begin = Date.now();
  let answers = 0, tokens = 0, early = 0;
  await Promise.all(Array.from({ length: CLIENTS }, async (_, client) => {
    for (let i = client; Date.now() - begin < seconds * 1000; i += 7) {
      const answer = await ask(server.url, requests[i % requests.length]);
      assert.equal(answer.text, alone[i % requests.length]);
      tokens += answer.tokens;
      if (++answers === 100) early = memory(server.child.pid);
    }
  }));
  const spent = (Date.now() - begin) / 1000;
  const late = memory(server.child.pid);
  console.log(`${answers} answers, ${tokens} tokens, ${(tokens / spent).toFixed(0)} tokens/s, memory ${early} -> ${late} kB`);
  assert.ok(answers > 0);
  const metrics = await (await fetch(`${server.url}/metrics`)).text();
  assert.match(metrics, /takt_requests_total\{status="5xx"\} 0\n/);
  assert.match(metrics, /takt_running_requests\{model="fable-q8_0"\} 0\n/);
  await server.stop();
});

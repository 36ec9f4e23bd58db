// Clients that people use, unmodified, against takt serve.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { writeFileSync, createReadStream } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { createGroq } from "@ai-sdk/groq";
import { createOpenAI } from "@ai-sdk/openai";
import { generateObject, generateText, streamText, tool } from "ai";
import Ajv from "ajv";
import Groq from "groq-sdk";
import OpenAI, { toFile } from "openai";
import { z } from "zod";
import { launch, MODEL, startServer } from "./server.js";

let server, groq, openai;
const messages = [{ role: "user", content: "Tell me a story about a fox." }];
const curl = async (...words) => (await promisify(execFile)("curl", ["-sS", ...words], { maxBuffer: 1e8 })).stdout;

before(async () => {
  server = await startServer("--slots", "4");
  groq = new Groq({ apiKey: "none", baseURL: server.url });
  openai = new OpenAI({ apiKey: "none", baseURL: `${server.url}/v1` });
});
after(async () => server.stop());

for (const [name, client] of [["groq-sdk", () => groq], ["openai", () => openai]]) {
  test(`${name}: chat, whole and streamed, the same text`, async () => {
    const request = { model: MODEL, messages, temperature: 0.8, seed: 5, max_completion_tokens: 40 };
    const whole = await client().chat.completions.create(request);
    assert.equal(whole.object, "chat.completion");
    assert.equal(whole.choices[0].finish_reason, "length");
    assert.equal(whole.usage.completion_tokens, 40);
    assert.ok(whole.x_groq.id.startsWith("req_"));
    const nanoseconds = (seconds) => Math.round(seconds * 1e9); // as they are counted
    assert.equal(nanoseconds(whole.usage.total_time),
      nanoseconds(whole.usage.prompt_time) + nanoseconds(whole.usage.completion_time));
    let text = "", last;
    for await (const chunk of await client().chat.completions.create({ ...request, stream: true, stream_options: { include_usage: true } })) {
      text += chunk.choices[0]?.delta?.content ?? "";
      last = chunk;
    }
    assert.equal(text, whole.choices[0].message.content);
    assert.deepEqual(last.choices, []);
    assert.equal(last.usage.completion_tokens, 40);
  });

  test(`${name}: json_schema`, async () => {
    const schema = {
      type: "object",
      properties: { name: { type: "string" }, age: { type: "integer", minimum: 1, maximum: 30 }, colours: { type: "array", items: { enum: ["red", "brown"] }, minItems: 1, maxItems: 2 } },
      required: ["name", "age", "colours"],
      additionalProperties: false,
    };
    const answer = await client().chat.completions.create({ model: MODEL, messages, max_completion_tokens: 80, response_format: { type: "json_schema", json_schema: { name: "fox", schema, strict: true } } });
    const check = new Ajv().compile(schema);
    assert.ok(check(JSON.parse(answer.choices[0].message.content)), JSON.stringify(check.errors));
  });

  test(`${name}: tools, whole and streamed`, async () => {
    const tools = [{ type: "function", function: { name: "weather", description: "The weather", parameters: { type: "object", properties: { city: { type: "string", maxLength: 12 } }, required: ["city"] } } }];
    const request = { model: MODEL, messages, tools, tool_choice: "required", max_completion_tokens: 160, parallel_tool_calls: false };
    const answer = await client().chat.completions.create(request);
    assert.equal(answer.choices[0].finish_reason, "tool_calls");
    const [call] = answer.choices[0].message.tool_calls;
    assert.equal(call.function.name, "weather");
    assert.equal(typeof JSON.parse(call.function.arguments).city, "string");
    let given = "";
    for await (const chunk of await client().chat.completions.create({ ...request, stream: true })) {
      given += chunk.choices[0]?.delta?.tool_calls?.[0]?.function?.arguments ?? "";
    }
    assert.equal(given, call.function.arguments);
    const next = await client().chat.completions.create({ model: MODEL, max_completion_tokens: 5, messages: [...messages, answer.choices[0].message, { role: "tool", tool_call_id: call.id, content: "rain" }] });
    assert.equal(next.usage.completion_tokens, 5);
  });

  test(`${name}: models and errors`, async () => {
    assert.equal((await client().models.list()).data[0].id, MODEL);
    assert.equal((await client().models.retrieve(MODEL)).owned_by, "takt");
    await assert.rejects(client().chat.completions.create({ model: "none", messages }), { status: 404, name: "Error" }).catch(async () => {
      await assert.rejects(client().chat.completions.create({ model: "none", messages }), (error) => error.status === 404 && /none/.test(error.message));
    });
    await assert.rejects(client().chat.completions.create({ model: MODEL, messages, temperature: 9 }), (error) => error.status === 400 && /temperature/.test(error.message));
  });
}

test("groq-sdk: a doubled prefix is named", async () => {
  const wrong = new Groq({ apiKey: "none", baseURL: `${server.url}/openai/v1` });
  await assert.rejects(wrong.models.list(), (error) => error.status === 404 && /repeats/.test(error.message));
});

test("openai: completions, logprobs, a stream that is left", async () => {
  const plain = await openai.completions.create({ model: MODEL, prompt: "Once upon a time", max_tokens: 8, logprobs: 2 });
  assert.equal(plain.choices[0].logprobs.tokens.join(""), plain.choices[0].text);
  const stream = await openai.chat.completions.create({ model: MODEL, messages, stream: true });
  for await (const chunk of stream) if (chunk.choices[0].delta.content) break;
  const { choices } = await openai.chat.completions.create({ model: MODEL, messages, logprobs: true, top_logprobs: 2, max_tokens: 6 });
  assert.equal(choices[0].logprobs.content.map((item) => item.token).join(""), choices[0].message.content);
});

test("openai: retries after a full queue", async () => {
  const narrow = await startServer("--slots", "1", "--queue", "1");
  const client = new OpenAI({ apiKey: "none", baseURL: `${narrow.url}/v1`, maxRetries: 8 });
  const answers = await Promise.all([1, 2, 3, 4].map((seed) => client.chat.completions.create({ model: MODEL, messages, seed, max_tokens: 60 })));
  assert.equal(answers.filter((answer) => answer.usage.completion_tokens > 0).length, 4);
  await narrow.stop();
});

const line = (id, content) => JSON.stringify({ custom_id: id, method: "POST", url: "/v1/chat/completions", body: { model: MODEL, messages: [{ role: "user", content }], max_tokens: 12 } });

for (const [name, client, open] of [
  ["openai (chunked)", () => openai, (path) => createReadStream(path)],
  ["openai (whole)", () => openai, async (path) => toFile(Buffer.from(line("a", "x") + "\n"), path)],
  ["groq-sdk", () => groq, (path) => createReadStream(path)],
]) {
  test(`${name}: a file, a batch, its output`, async () => {
    const path = join(server.data, "in.jsonl");
    writeFileSync(path, line("a", "Tell me a story.") + "\n");
    const file = await client().files.create({ purpose: "batch", file: await open(path) });
    const id = file.id;
    let batch = await client().batches.create({ input_file_id: id, endpoint: "/v1/chat/completions", completion_window: "24h" });
    for (let i = 0; batch.status !== "completed" && i < 600; i++) {
      await new Promise((resolve) => setTimeout(resolve, 20));
      batch = await client().batches.retrieve(batch.id);
    }
    assert.equal(batch.request_counts.completed, 1);
    const output = await (await (client().files.content ?? client().files.contents).call(client().files, batch.output_file_id)).text();
    assert.equal(JSON.parse(output).custom_id, "a");
    assert.equal(JSON.parse(output).response.status_code, 200);
  });
}

test("a server that is killed resumes a batch: every line once", async () => {
  const { data } = server;
  let own = await launch(`${data}/own`, ["--slots", "2"]);
  const at = () => new OpenAI({ apiKey: "none", baseURL: `${own.url}/v1` });
  const lines = Array.from({ length: 40 }, (_, i) => line(`c${i}`, `Tell me story ${i}.`)).join("\n");
  const file = await at().files.create({ purpose: "batch", file: await toFile(Buffer.from(lines), "in.jsonl") });
  let batch = await at().batches.create({ input_file_id: file.id, endpoint: "/v1/chat/completions", completion_window: "24h" });
  for (let kills = 0; batch.status !== "completed"; ) {
    batch = await at().batches.retrieve(batch.id);
    if (kills < 3 && batch.request_counts.completed > kills * 10) {
      kills++;
      await own.end("SIGKILL");
      own = await launch(`${data}/own`, ["--slots", "2"]);
    }
  }
  const output = await (await at().files.content(batch.output_file_id)).text();
  assert.deepEqual(output.trim().split("\n").map((text) => JSON.parse(text).custom_id), Array.from({ length: 40 }, (_, i) => `c${i}`));
  await own.end("SIGTERM");
});

for (const [name, model] of [["groq", () => createGroq({ apiKey: "none", baseURL: `${server.url}/openai/v1` })(MODEL)], ["openai", () => createOpenAI({ apiKey: "none", baseURL: `${server.url}/v1` }).chat(MODEL)]]) {
  test(`ai with @ai-sdk/${name}: text, stream, object, tool`, async () => {
    const { text } = await generateText({ model: model(), prompt: "Tell me a story.", maxOutputTokens: 20, seed: 3 });
    assert.ok(text.length > 10);
    let streamed = "";
    for await (const piece of streamText({ model: model(), prompt: "Tell me a story.", maxOutputTokens: 20, seed: 3 }).textStream) streamed += piece;
    assert.equal(streamed, text);
    const { object } = await generateObject({ model: model(), schema: z.object({ title: z.string(), kind: z.enum(["fable", "poem"]) }), prompt: "Tell me a story.", maxOutputTokens: 120 });
    assert.ok(["fable", "poem"].includes(object.kind));
    const { toolCalls } = await generateText({ model: model(), prompt: "Tell me a story.", toolChoice: "required", maxOutputTokens: 200, tools: { pick: tool({ description: "Pick", inputSchema: z.object({ n: z.enum(["one", "two"]) }) }) } });
    assert.equal(toolCalls[0].toolName, "pick");
  });
}

test("curl: the bytes of a stream", async () => {
  const body = JSON.stringify({ model: MODEL, messages, max_tokens: 3, stream: true, temperature: 0 });
  const [head, ...rest] = (await curl("-i", "-N", `${server.url}/v1/chat/completions`, "-d", body)).split("\r\n\r\n");
  assert.match(head, /^HTTP\/1.1 200 OK/);
  assert.match(head, /Content-Type: text\/event-stream/);
  const events = rest.join("").split("\n\n");
  assert.equal(events.pop(), "");
  assert.equal(events.pop(), "data: [DONE]");
  assert.ok(events.every((event) => event.startsWith('data: {"id":"chatcmpl-')));
  assert.equal(JSON.parse(events[0].slice(6)).choices[0].delta.role, "assistant");
});

// The chat: a stream read as it comes, and beside it what the machine did for it.
import { element, grouped, headers, key, make, type Machine, type Message, type Usage } from "./api";

const messages: Message[] = [];
let running: AbortController | null = null;

const list = element("messages");
const input = element<HTMLTextAreaElement>("text");

function value(id: string): string {
  return element<HTMLInputElement>(id).value.trim();
}

function request(): Record<string, unknown> {
  const system = value("system");
  const all: Message[] = system ? [{ role: "system", content: system }, ...messages] : [...messages];
  const body: Record<string, unknown> = {
    model: value("model"),
    messages: all,
    temperature: Number(value("temperature")),
    top_p: Number(value("top_p")),
    max_completion_tokens: Number(value("max_tokens")) || undefined,
    stream: true,
  };
  if (value("seed")) body.seed = Number(value("seed"));
  if (value("stop-at")) body.stop = value("stop-at");
  return body;
}

function showEmpty(): void {
  const empty = make("div", "empty");
  empty.append(make("b", "", "Every token has its cycle."));
  empty.append("Ask something. The same request gives the same answer, to the bit, and the machine's time for it is known beforehand.");
  list.replaceChildren(empty);
}

function add(role: string, text: string): HTMLElement {
  list.querySelector(".empty")?.remove();
  const made = make("div", `message ${role}`, text);
  list.append(made);
  made.scrollIntoView({ block: "end" });
  return made;
}

function fact(name: string, text: string, className = ""): void {
  const told = make("dd", className);
  if (className === "code") {
    told.className = "";
    const code = make("code", "", text.slice(0, 16));
    code.title = text;
    told.append(code);
  } else {
    told.textContent = text;
  }
  element("facts").append(make("dt", "", name), told);
}

function showFacts(usage: Usage, machine: Machine): void {
  element("facts").replaceChildren();
  const drawn = usage.completion_tokens;
  if (machine.cycles !== undefined) {
    const steps = Math.max(drawn - 1, 1);
    fact("A token", `${grouped((machine.decode_cycles ?? 0) / steps)} cycles`, "big");
    fact("Prompt", `${grouped(machine.prompt_cycles ?? 0)} cycles`);
    fact("All of it", `${grouped(machine.cycles)} cycles`);
    fact("On the machine", `${(machine.microseconds ?? 0).toFixed(1)} µs`);
    fact("Chips", `${machine.chips} × ${machine.machine}`);
  } else {
    fact("Cycles", "being compiled: ask again");
  }
  fact("Tokens", `${usage.prompt_tokens} + ${drawn}`);
  fact("Of them cached", `${usage.prompt_tokens_details.cached_tokens}`);
  fact("Here", `${grouped(drawn / Math.max(usage.completion_time, 1e-9))} tokens/s`);
  fact("To the first", `${((usage.queue_time + usage.prompt_time) * 1000).toFixed(1)} ms`);
  if (machine.program_hash) fact("Program", machine.program_hash, "code");
  fact("Logits", machine.logits_digest, "code");
}

async function* events(body: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const reader = body.pipeThrough(new TextDecoderStream() as unknown as TransformStream<Uint8Array, string>).getReader();
  let rest = "";
  for (;;) {
    const { value: piece, done } = await reader.read();
    if (done) return;
    rest += piece;
    for (let end = rest.indexOf("\n\n"); end >= 0; end = rest.indexOf("\n\n")) {
      yield rest.slice(0, end);
      rest = rest.slice(end + 2);
    }
  }
}

async function answer(into: HTMLElement, signal: AbortSignal): Promise<string> {
  const reply = await fetch("v1/chat/completions", {
    method: "POST",
    headers: headers(),
    body: JSON.stringify(request()),
    signal,
  });
  if (!reply.ok || !reply.body) throw new Error((await reply.json())?.error?.message ?? `HTTP ${reply.status}`);
  let text = "";
  for await (const event of events(reply.body)) {
    const data = event.split("\n").find((line) => line.startsWith("data: "))?.slice(6);
    if (!data || data === "[DONE]") continue;
    const chunk = JSON.parse(data);
    if (chunk.error) throw new Error(chunk.error.message);
    text += chunk.choices[0]?.delta?.content ?? "";
    into.textContent = text;
    if (chunk.x_takt) showFacts(chunk.usage, chunk.x_takt);
    if (window.innerHeight + window.scrollY > document.body.scrollHeight - 160) into.scrollIntoView({ block: "end" });
  }
  return text;
}

function setRunning(controller: AbortController | null): void {
  running = controller;
  element("stop").hidden = !controller;
  element<HTMLButtonElement>("send").disabled = !!controller;
}

async function send(): Promise<void> {
  const text = input.value.trim() || (messages.length === 0 ? input.placeholder : "");
  if (!text || running) return;
  input.value = "";
  messages.push({ role: "user", content: text });
  add("user", text);
  const into = add("assistant busy", "");
  const controller = new AbortController();
  setRunning(controller);
  try {
    messages.push({ role: "assistant", content: await answer(into, controller.signal) });
  } catch (error) {
    if (controller.signal.aborted) {
      messages.push({ role: "assistant", content: into.textContent ?? "" });
    } else {
      messages.pop();
      into.classList.add("error");
      into.textContent = (error as Error).message;
    }
  }
  into.classList.remove("busy");
  setRunning(null);
  input.focus();
}

async function copyCurl(): Promise<void> {
  const pending = input.value.trim() || (messages.length === 0 ? input.placeholder : "");
  if (pending) messages.push({ role: "user", content: pending });
  const body = JSON.stringify(request(), null, 1).replaceAll("'", "'\\''");
  if (pending) messages.pop();
  const auth = key() ? " -H 'Authorization: Bearer $KEY'" : "";
  const text = `curl -N ${new URL("v1/chat/completions", location.href)}${auth} -H 'Content-Type: application/json' -d '${body}'`;
  await navigator.clipboard.writeText(text).catch(() => prompt("Copy:", text));
  const button = element("curl");
  button.textContent = "Copied";
  setTimeout(() => (button.textContent = "Copy as curl"), 1500);
}

export function startChat(): void {
  showEmpty();
  element("ask").addEventListener("submit", (event) => {
    event.preventDefault();
    void send();
  });
  input.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      void send();
    }
  });
  document.addEventListener("keydown", (event) => event.key === "Escape" && running?.abort());
  element("stop").addEventListener("click", () => running?.abort());
  element("clear").addEventListener("click", () => {
    running?.abort();
    messages.length = 0;
    showEmpty();
    input.focus();
  });
  element("curl").addEventListener("click", () => void copyCurl());
  for (const id of ["temperature", "top_p"]) {
    element(id).addEventListener("input", () => (element(`${id}-out`).textContent = value(id)));
  }
}

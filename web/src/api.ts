// What the server says, typed as far as the page looks at it.
export interface Usage {
  prompt_tokens: number;
  completion_tokens: number;
  prompt_time: number;
  completion_time: number;
  queue_time: number;
  prompt_tokens_details: { cached_tokens: number };
}
export interface Machine {
  cycles?: number;
  prompt_cycles?: number;
  decode_cycles?: number;
  microseconds?: number;
  chips?: number;
  machine?: string;
  program_hash?: string;
  logits_digest: string;
}
export interface Message {
  role: "system" | "user" | "assistant";
  content: string;
}
export interface Unit {
  unit: string;
  queues: number;
  busy: number;
  working: number;
  moving: number;
  waiting: number;
  idle: number;
  waits: { for: string; cycles: number }[];
}
export interface Layer {
  layer: number;
  first_cycle: number;
  last_cycle: number;
  cycles: number;
  working: number;
  moving: number;
  waiting: number;
}
export interface Inspection {
  cycles: number;
  chunk: number;
  bucket: number;
  instructions: number;
  bounds: { largest: number; ratio: number };
  units: Unit[];
  layers: Layer[];
}
export interface Schedule {
  cycles: number;
  names: string[];
  queues: { queue: string; unit: string; items: [number, number, number, number, string][] }[];
}

export function key(): string {
  return (document.getElementById("key") as HTMLInputElement).value.trim();
}

export function headers(): Record<string, string> {
  const given: Record<string, string> = { "Content-Type": "application/json" };
  if (key()) given["Authorization"] = `Bearer ${key()}`;
  return given;
}

export async function getJson<T>(path: string): Promise<T> {
  const answer = await fetch(path, { headers: headers() });
  const body = await answer.json();
  if (!answer.ok) throw new Error(body?.error?.message ?? `HTTP ${answer.status}`);
  return body as T;
}

export function element<T extends HTMLElement = HTMLElement>(id: string): T {
  return document.getElementById(id) as T;
}

export function make(tag: string, className = "", text = ""): HTMLElement {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text) made.textContent = text;
  return made;
}

export function grouped(value: number): string {
  return Math.round(value).toLocaleString("en-US");
}

// The machine: the schedule of a step as an assembly line, and where its cycles go.
import { element, getJson, grouped, make, type Inspection, type Schedule } from "./api";

interface Bar {
  row: number;
  begin: number;
  end: number; // cycle after the last of its repetitions
  count: number;
  delay: number;
  name: number;
  text: string;
}

const hues: Record<string, string> = {
  MEM: "#7a8794",
  VXM: "#d8481f",
  "MXM weights": "#3d7ea6",
  "MXM activations": "#2f9e72",
  "MXM results": "#7cb342",
  "SXM transpose": "#9a5fb8",
  "SXM permute": "#c2569b",
  "SXM distribute": "#e0a32e",
};

const canvas = element<HTMLCanvasElement>("canvas");
const tip = element("tip");
let schedule: Schedule | null = null;
let bars: Bar[][] = []; // by row, in order of begin
let rows: { queue: string; unit: string }[] = [];
let view = { from: 0, to: 1, top: 0, bottom: 1 }; // cycles; rows
let chosen: Bar | null = null;
let dark = matchMedia("(prefers-color-scheme: dark)");

const left = 86; // pixels for the names of rows
const above = 24; // for the cycles

// Position from west to east: MXM, SXM, MEM outer to inner, VXM, MEM inner to outer, SXM, MXM.
function position(queue: string): number {
  const side = /(^|\.)([we])\d*/.exec(queue)?.[2] === "e" ? 1 : -1;
  const number = Number(/(\d+)$/.exec(queue)?.[1] ?? 0);
  if (queue.startsWith("vxm")) return number / 100;
  if (queue.startsWith("mem")) return side * (10 + number);
  return side * ((queue.startsWith("sxm") ? 100 : 200) + number / 10 + queue.length / 100);
}

function take(given: Schedule): void {
  schedule = given;
  const order = given.queues.map((_, index) => index).sort((a, b) => position(given.queues[a].queue) - position(given.queues[b].queue));
  rows = order.map((index) => given.queues[index]);
  bars = order.map((index, row) =>
    given.queues[index].items.map(([begin, count, delay, name, text]) => ({
      row, begin, count, delay, name, text,
      end: begin + (count > 1 ? (count - 1) * Math.max(delay, 1) : 0) + 1,
    })),
  );
  chosen = null;
  whole();
}

function whole(): void {
  if (!schedule) return;
  let from = Infinity, to = 0;
  for (const row of bars) {
    if (row.length === 0) continue;
    from = Math.min(from, row[0].begin);
    to = Math.max(to, row[row.length - 1].end);
  }
  const margin = Math.max((to - from) * 0.01, 2);
  view = { from: Math.max(0, from - margin), to: to + margin, top: 0, bottom: rows.length };
  draw();
}

// ---- drawing ----

function x(cycle: number): number {
  return left + ((cycle - view.from) / (view.to - view.from)) * (canvas.clientWidth - left);
}
function y(row: number): number {
  return above + ((row - view.top) / (view.bottom - view.top)) * (canvas.clientHeight - above);
}
function cycleAt(pixel: number): number {
  return view.from + ((pixel - left) / (canvas.clientWidth - left)) * (view.to - view.from);
}
function rowAt(pixel: number): number {
  return Math.floor(view.top + ((pixel - above) / (canvas.clientHeight - above)) * (view.bottom - view.top));
}

function style(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name);
}

function ticks(context: CanvasRenderingContext2D, height: number): void {
  const span = view.to - view.from;
  const rough = span / Math.max((canvas.clientWidth - left) / 110, 1);
  const power = 10 ** Math.floor(Math.log10(Math.max(rough, 1)));
  const step = Math.max(1, [1, 2, 5, 10].map((n) => n * power).find((n) => n >= rough) ?? power * 10);
  context.fillStyle = style("--soft");
  context.strokeStyle = style("--line");
  context.font = "11px system-ui, sans-serif";
  for (let at = Math.ceil(view.from / step) * step; at < view.to; at += step) {
    const pixel = Math.round(x(at)) + 0.5;
    if (pixel < left) continue;
    context.beginPath();
    context.moveTo(pixel, above);
    context.lineTo(pixel, height);
    context.stroke();
    context.fillText(grouped(at), pixel + 3, 15);
  }
}

function groupOf(queue: string): string {
  if (queue.startsWith("vxm")) return "VXM";
  return `${queue.slice(0, 3).toUpperCase()} ${/\.e/.test(queue) ? "east" : "west"}`;
}

function names(context: CanvasRenderingContext2D, width: number): void {
  const tall = y(1) - y(0);
  context.fillStyle = style("--card");
  context.fillRect(0, above, left, canvas.clientHeight);
  context.save();
  context.beginPath();
  context.rect(0, above, width, canvas.clientHeight);
  context.clip();
  context.font = `${tall >= 12 ? 11 : 12}px system-ui, sans-serif`;
  for (let row = 0; row < rows.length;) {
    const group = groupOf(rows[row].queue);
    let end = row;
    while (end < rows.length && groupOf(rows[end].queue) === group) end++;
    context.strokeStyle = style("--line");
    context.beginPath();
    context.moveTo(0, Math.round(y(end)) + 0.5);
    context.lineTo(width, Math.round(y(end)) + 0.5);
    context.stroke();
    context.fillStyle = style(tall >= 12 ? "--soft" : "--ink");
    if (tall >= 12) {
      for (let at = row; at < end; at++) context.fillText(rows[at].queue, 6, y(at + 0.5) + 4);
    } else {
      const middle = (Math.max(y(row), above) + Math.min(y(end), canvas.clientHeight)) / 2;
      if (Math.min(y(end), canvas.clientHeight) - Math.max(y(row), above) > 12) context.fillText(group, 8, middle + 4);
    }
    row = end;
  }
  context.restore();
}

// The first bar of a row that ends after the cycle.
function firstVisible(row: Bar[], cycle: number): number {
  let low = 0, high = row.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (row[middle].end < cycle) low = middle + 1;
    else high = middle;
  }
  return low;
}

function drawBar(context: CanvasRenderingContext2D, bar: Bar, tall: number): void {
  const repeats = bar.count > 1 && bar.delay > 1 && x(bar.delay) - x(0) > 3 ? bar.count : 1;
  const length = repeats > 1 ? 1 : bar.end - bar.begin;
  for (let i = 0; i < repeats; i++) {
    const begin = Math.max(x(bar.begin + i * bar.delay), left);
    const end = x(bar.begin + i * bar.delay + length);
    if (end < left) continue;
    context.fillRect(begin, y(bar.row) + (tall > 6 ? 1 : 0), Math.max(end - begin - (end - begin > 5 ? 1 : 0), 0.8), Math.max(tall - (tall > 6 ? 2 : 0.3), 0.8));
  }
  if (tall >= 14 && x(bar.end) - x(bar.begin) > 70) {
    const kept = context.fillStyle;
    context.fillStyle = "#ffffff";
    context.font = "10.5px ui-monospace, monospace";
    context.save();
    context.beginPath();
    context.rect(Math.max(x(bar.begin), left), y(bar.row), x(bar.end) - Math.max(x(bar.begin), left) - 4, tall);
    context.clip();
    context.fillText(bar.text, Math.max(x(bar.begin), left) + 4, y(bar.row + 0.5) + 4);
    context.restore();
    context.fillStyle = kept;
  }
}

let asked = 0;
function draw(): void {
  cancelAnimationFrame(asked);
  asked = requestAnimationFrame(drawNow);
}

function drawNow(): void {
  const context = canvas.getContext("2d");
  const width = canvas.clientWidth, height = canvas.clientHeight, ratio = devicePixelRatio || 1;
  if (!context || width === 0) return;
  if (canvas.width !== width * ratio || canvas.height !== height * ratio) {
    canvas.width = width * ratio;
    canvas.height = height * ratio;
  }
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.fillStyle = style("--card");
  context.fillRect(0, 0, width, height);
  if (!schedule) return;
  ticks(context, height);
  const tall = y(1) - y(0);
  context.save();
  context.beginPath();
  context.rect(left, above, width - left, height - above);
  context.clip();
  for (let row = Math.max(0, Math.floor(view.top)); row < Math.min(rows.length, Math.ceil(view.bottom)); row++) {
    context.fillStyle = hues[rows[row].unit] ?? "#888888";
    let last = -1;
    for (let i = firstVisible(bars[row], view.from); i < bars[row].length && bars[row][i].begin < view.to; i++) {
      const bar = bars[row][i];
      const pixel = Math.floor(x(bar.end) * 2);
      if (pixel === last && bar.end - bar.begin < 2) continue; // would hide under the one before
      last = pixel;
      context.globalAlpha = chosen && chosen.name !== bar.name ? 0.28 : 1;
      drawBar(context, bar, tall);
    }
  }
  context.globalAlpha = 1;
  if (chosen) {
    context.strokeStyle = style("--ink");
    context.lineWidth = 1.5;
    context.strokeRect(x(chosen.begin) - 1, y(chosen.row), Math.max(x(chosen.end) - x(chosen.begin), 2) + 2, tall);
    context.lineWidth = 1;
  }
  context.restore();
  names(context, width);
}

// ---- pointing ----

function barAt(px: number, py: number): Bar | null {
  const row = rowAt(py);
  if (px < left || py < above || row < 0 || row >= rows.length) return null;
  const cycle = cycleAt(px), reach = ((view.to - view.from) / (canvas.clientWidth - left)) * 3;
  let best: Bar | null = null, distance = Infinity;
  for (let i = firstVisible(bars[row], cycle - reach); i < bars[row].length && bars[row][i].begin <= cycle + reach; i++) {
    const bar = bars[row][i];
    const away = Math.max(bar.begin - cycle, cycle - bar.end, 0);
    if (away < distance) [best, distance] = [bar, away];
  }
  return best;
}

function describe(bar: Bar): string {
  const repeated = bar.count > 1 ? `, ${bar.count} times every ${Math.max(bar.delay, 1)} cycles` : "";
  return `cycle ${grouped(bar.begin)}${repeated}`;
}

function choose(bar: Bar | null, px = 0, py = 0): void {
  if (bar !== chosen) {
    chosen = bar;
    draw();
  }
  tip.hidden = !bar;
  element("told").textContent = bar ? `${rows[bar.row].queue}: ${bar.text}; ${schedule?.names[bar.name] ?? ""}; ${describe(bar)}` : "";
  if (!bar) return;
  tip.replaceChildren(make("code", "", bar.text), make("div", "", schedule?.names[bar.name] ?? ""), make("div", "", `${rows[bar.row].queue}, ${describe(bar)}`));
  tip.style.left = `${Math.min(px + 14, canvas.clientWidth - tip.offsetWidth - 8)}px`;
  tip.style.top = `${py + 18 + tip.offsetHeight > canvas.clientHeight ? py - tip.offsetHeight - 10 : py + 18}px`;
}

function zoom(factor: number, px = (canvas.clientWidth + left) / 2, py = canvas.clientHeight / 2, both = true): void {
  const at = cycleAt(px);
  const span = Math.min(Math.max((view.to - view.from) * factor, 12), (schedule?.cycles ?? 1) * 1.1);
  const share = (at - view.from) / (view.to - view.from);
  view.from = at - share * span;
  view.to = view.from + span;
  if (both) {
    const row = view.top + ((py - above) / (canvas.clientHeight - above)) * (view.bottom - view.top);
    const tall = Math.min(Math.max((view.bottom - view.top) * Math.sqrt(factor), 14), rows.length);
    const part = (row - view.top) / (view.bottom - view.top);
    view.top = Math.min(Math.max(row - part * tall, 0), rows.length - tall);
    view.bottom = view.top + tall;
  }
  keep();
}

function keep(): void {
  const span = view.to - view.from;
  view.from = Math.max(Math.min(view.from, (schedule?.cycles ?? 0) - span * 0.1), -span * 0.1);
  view.to = view.from + span;
  draw();
}

function pan(cycles: number, down: number): void {
  view.from += cycles;
  view.to += cycles;
  const tall = view.bottom - view.top;
  view.top = Math.min(Math.max(view.top + down, 0), Math.max(rows.length - tall, 0));
  view.bottom = view.top + tall;
  keep();
}

// The next or previous instruction of the chosen row, or the first in sight.
function step(by: number): void {
  const row = chosen?.row ?? Math.max(0, rows.findIndex((_, index) => index >= view.top && bars[index].length > 0));
  const now = chosen ? bars[row].indexOf(chosen) + by : firstVisible(bars[row], view.from);
  const bar = bars[row][Math.min(Math.max(now, 0), bars[row].length - 1)];
  if (!bar) return;
  if (bar.begin < view.from || bar.end > view.to) pan(bar.begin - (view.from + view.to) / 2, 0);
  choose(bar, Math.max(x(bar.begin), left), y(row));
}

function listen(): void {
  let dragged: { px: number; py: number } | null = null;
  const pointers = new Map<number, { px: number; py: number }>();
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, { px: event.offsetX, py: event.offsetY });
    dragged = { px: event.offsetX, py: event.offsetY };
  });
  canvas.addEventListener("pointermove", (event) => {
    const perCycle = (view.to - view.from) / (canvas.clientWidth - left);
    const perRow = (view.bottom - view.top) / (canvas.clientHeight - above);
    if (pointers.size === 2 && pointers.has(event.pointerId)) {
      const before = [...pointers.values()];
      pointers.set(event.pointerId, { px: event.offsetX, py: event.offsetY });
      const after = [...pointers.values()];
      const apart = (pair: { px: number }[]) => Math.max(Math.abs(pair[0].px - pair[1].px), 20);
      zoom(apart(before) / apart(after), (after[0].px + after[1].px) / 2, (after[0].py + after[1].py) / 2);
    } else if (dragged && event.buttons) {
      pan((dragged.px - event.offsetX) * perCycle, (dragged.py - event.offsetY) * perRow);
      dragged = { px: event.offsetX, py: event.offsetY };
    } else {
      choose(barAt(event.offsetX, event.offsetY), event.offsetX, event.offsetY);
    }
  });
  for (const name of ["pointerup", "pointercancel"] as const) {
    canvas.addEventListener(name, (event) => {
      pointers.delete(event.pointerId);
      dragged = null;
      if (name === "pointerup") choose(barAt(event.offsetX, event.offsetY), event.offsetX, event.offsetY);
    });
  }
  canvas.addEventListener("pointerleave", () => choose(null));
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    zoom(Math.exp(event.deltaY * 0.0015), event.offsetX, event.offsetY, !event.shiftKey);
  }, { passive: false });
  canvas.addEventListener("keydown", (event) => {
    const wide = (view.to - view.from) * 0.2, tall = (view.bottom - view.top) * 0.2;
    const keys: Record<string, () => void> = {
      ArrowLeft: () => pan(-wide, 0), ArrowRight: () => pan(wide, 0), ArrowUp: () => pan(0, -tall), ArrowDown: () => pan(0, tall),
      "+": () => zoom(0.6), "=": () => zoom(0.6), "-": () => zoom(1 / 0.6), "0": whole, n: () => step(1), p: () => step(-1),
    };
    if (keys[event.key]) {
      event.preventDefault();
      keys[event.key]();
    }
  });
  element("in").addEventListener("click", () => zoom(0.5));
  element("out").addEventListener("click", () => zoom(2));
  element("whole").addEventListener("click", whole);
  dark.addEventListener("change", draw);
  new ResizeObserver(draw).observe(canvas);
}

// ---- tables ----

function stacked(parts: [string, number][], total: number): HTMLElement {
  const made = make("span", "stack");
  for (const [name, cycles] of parts) {
    const part = make("span", name);
    part.style.width = `${(100 * cycles) / Math.max(total, 1)}%`;
    part.title = `${name}: ${grouped(cycles)} cycles`;
    made.append(part);
  }
  return made;
}

function tables(inspection: Inspection): void {
  const units = inspection.units.map((unit) => {
    const row = make("div", "row");
    const parts: [string, number][] = [["working", unit.working], ["moving", unit.moving], ["waiting", unit.waiting], ["idle", unit.idle]];
    row.append(make("span", "", unit.unit), stacked(parts, inspection.cycles), make("em", "", `${(unit.busy * 100).toFixed(1)} %`));
    row.lastElementChild!.setAttribute("title", "instructions, of as many as all its queues could issue");
    return row;
  });
  element("units").replaceChildren(...units);
  const longest = Math.max(...inspection.layers.map((layer) => layer.cycles), 1);
  const layers = inspection.layers.map((layer, index) => {
    const row = make("button", "row");
    const parts: [string, number][] = [["working", layer.working], ["moving", layer.moving], ["waiting", layer.waiting]];
    const last = index === inspection.layers.length - 1;
    row.append(make("span", "", last ? "logits" : `layer ${layer.layer}`), stacked(parts, longest), make("em", "", grouped(layer.cycles)));
    row.addEventListener("click", () => {
      element<HTMLSelectElement>("layer").value = String(layer.layer);
      void loadSchedule();
    });
    return row;
  });
  element("layers").replaceChildren(...layers);
  const reasons = new Map<string, number>();
  for (const unit of inspection.units) for (const wait of unit.waits) reasons.set(wait.for || "the beginning", (reasons.get(wait.for || "the beginning") ?? 0) + wait.cycles);
  const most = [...reasons].sort((a, b) => b[1] - a[1]).slice(0, 12);
  element("waits").replaceChildren(...most.map(([name, cycles]) => {
    const row = make("div", "row");
    row.append(make("span", "", name), stacked([["waiting", cycles]], most[0][1]), make("em", "", grouped(cycles)));
    return row;
  }));
}

// ---- loading ----

function query(): string {
  const value = (id: string) => encodeURIComponent(element<HTMLInputElement>(id).value);
  return `model=${value("model")}&chunk=${value("step")}&context=${value("context")}`;
}

async function loadSchedule(): Promise<void> {
  const layer = element<HTMLSelectElement>("layer").value;
  element("told").textContent = "Compiling and reading the schedule ...";
  take(await getJson<Schedule>(`api/schedule?${query()}${layer === "all" ? "" : `&layer=${layer}`}`));
  element("told").textContent = "";
}

async function load(): Promise<void> {
  try {
    element("told").textContent = "Compiling the step ...";
    const inspection = await getJson<Inspection>(`api/inspect?${query()}`);
    const figures = element("figures");
    figures.replaceChildren(make("b", "", `${grouped(inspection.cycles)} cycles`), ` · ${grouped(inspection.instructions)} instructions · ${inspection.bounds.ratio.toFixed(2)} × its bound`);
    const select = element<HTMLSelectElement>("layer");
    const options = inspection.layers.map((layer, index) => new Option(index === inspection.layers.length - 1 ? "logits" : `${layer.layer}`, `${layer.layer}`));
    const small = inspection.instructions <= 300000;
    select.replaceChildren(...(small ? [new Option("all", "all")] : []), ...options);
    tables(inspection);
    await loadSchedule();
  } catch (error) {
    element("told").textContent = (error as Error).message;
  }
}

let loaded = "";
export function showMachine(): void {
  if (loaded !== query()) {
    loaded = query();
    void load();
  }
  draw();
}

// What a unit, or a layer, does with its cycles.
const states = { working: "a queue of it issues", moving: "what it takes is on its way", waiting: "for what is not made yet, or for a place" };

export function startMachine(): void {
  listen();
  element("legend").replaceChildren(...Object.entries(hues).map(([unit, hue]) => {
    const made = make("span");
    const square = make("i");
    square.style.background = hue;
    made.append(square, unit);
    return made;
  }));
  element("states").replaceChildren(...Object.entries(states).map(([kind, what]) => {
    const made = make("span");
    made.append(make("i", kind), `${kind}: ${what}`);
    return made;
  }));
  for (const id of ["step", "context"]) element(id).addEventListener("change", showMachine);
  element("layer").addEventListener("change", () => void loadSchedule().catch((error) => (element("told").textContent = error.message)));
}

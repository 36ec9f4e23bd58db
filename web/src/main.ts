// Tabs, the list of models, and the two views.
import "./style.css";
import { element, getJson } from "./api";
import { startChat } from "./chat";
import { showMachine, startMachine } from "./machine";

const views = ["chat", "machine"];

function show(name: string, focus = false): void {
  for (const view of views) {
    const tab = element(`tab-${view}`);
    const on = view === name;
    element(view).hidden = !on;
    tab.setAttribute("aria-selected", String(on));
    tab.tabIndex = on ? 0 : -1;
    if (on && focus) tab.focus();
  }
  history.replaceState(null, "", name === "chat" ? location.pathname : `#${name}`);
  if (name === "machine") showMachine();
}

async function listModels(): Promise<void> {
  const select = element<HTMLSelectElement>("model");
  const { data } = await getJson<{ data: { id: string }[] }>("v1/models");
  select.replaceChildren(...data.map((model) => new Option(model.id, model.id)));
}

startChat();
startMachine();
views.forEach((view, index) => {
  const tab = element(`tab-${view}`);
  tab.addEventListener("click", () => show(view));
  tab.addEventListener("keydown", (event) => {
    if (event.key === "ArrowRight" || event.key === "ArrowLeft") show(views[(index + 1) % views.length], true);
  });
});
element("model").addEventListener("change", () => !element("machine").hidden && showMachine());
element("key").addEventListener("change", () => void listModels().catch(() => undefined));
void listModels()
  .catch(() => undefined)
  .then(() => show(location.hash === "#machine" ? "machine" : "chat"));

// Writes vectors.json and constructs.json: what @huggingface/jinja makes of the templates and of the
// constructs below. Run in this folder with that package installed: node make.mjs
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { Template } from "@huggingface/jinja";

const now = 1721981106; // 2024-07-26 08:05:06 UTC; strftime_now is given below, as the test gives it

function strftime(format) {
    const date = new Date(now * 1000);
    const months = ["January", "February", "March", "April", "May", "June", "July", "August",
                    "September", "October", "November", "December"];
    const two = (n) => String(n).padStart(2, "0");
    return format.replace(/%[YmdbBHM%]/g, (directive) => ({
        "%Y": String(date.getUTCFullYear()), "%m": two(date.getUTCMonth() + 1),
        "%d": two(date.getUTCDate()), "%B": months[date.getUTCMonth()],
        "%b": months[date.getUTCMonth()].slice(0, 3), "%H": two(date.getUTCHours()),
        "%M": two(date.getUTCMinutes()), "%%": "%" })[directive]);
}

function render(source, context) {
    try {
        // The package's own clock is replaced by ours, so that the answer stays the same.
        const given = source.includes("strftime_now") ?
            source.replaceAll("strftime_now(", "fixed_now(").replaceAll("strftime_now is", "fixed_now is") : source;
        return { expected: new Template(given).render({ ...context, fixed_now: strftime }) };
    } catch (error) {
        return { fails: String(error.message) };
    }
}

const weather = { type: "function", function: { name: "get_weather", description: "The weather of a place.",
    parameters: { type: "object", properties: {
        place: { type: "string", description: "City, e.g. \"Zürich\"" },
        unit: { type: "string", enum: ["celsius", "fahrenheit"], description: "Unit" },
        days: { type: "array", items: { type: "integer" }, description: "Which <days> & so on" } },
        required: ["place"] } } };
const empty = { type: "function", function: { name: "now", description: "The time.",
    parameters: { type: "object", properties: {} } } };
const call = { id: "call12345", type: "function", function: { name: "get_weather",
    arguments: { place: "Zürich", days: [1, 2], deep: { on: true, off: null } } } };
const user = (content) => ({ role: "user", content });
const assistant = (content) => ({ role: "assistant", content });
const chats = {
    plain: { messages: [user("Hello")] },
    system: { messages: [{ role: "system", content: " Be kind. " }, user("  Hello, \"you\"!\n")] },
    turns: { messages: [{ role: "system", content: "Be kind." }, user("Who?"), assistant(" A fox. "),
        user("Wo? 狐狸 🦊\ttab \\ 'quote' <b>&amp;"), assistant("Here\n\n"), user("Und?\u0007")] },
    done: { messages: [user("Who?"), assistant("A fox.")], add_generation_prompt: false },
    think: { messages: [user("2+2?"), assistant("<think>\nEasy.\n</think>\n\n4"), user("And 3+3?"),
        assistant("<think>\nHarder.\n</think>\n\n6")], add_generation_prompt: false },
    nothink: { messages: [user("2+2?"), assistant("<think>\nEasy.\n</think>\n\n4"), user("And 3+3?")],
        enable_thinking: false },
    tools: { messages: [user("Weather in Zürich?")], tools: [weather, empty] },
    called: { messages: [{ role: "system", content: "Use tools." }, user("Weather in Zürich?"),
        { role: "assistant", content: null, tool_calls: [call] },
        { role: "tool", tool_call_id: "call12345", name: "get_weather", content: "{\"temperature\": 21.5}" },
        assistant("It is 21.5 degrees."), user("Thanks")], tools: [weather] },
    called_text: { messages: [user("Weather?"),
        { role: "assistant", content: "Let me see.", tool_calls: [call] },
        { role: "tool", tool_call_id: "call12345", content: "21" },
        { role: "tool", tool_call_id: "call12345", content: "22" }], tools: [weather] },
    tools_apart: { messages: [user("Weather?")], tools: [weather], tools_in_user_message: false,
        date_string: "1 Jan 2025" },
    builtin: { messages: [user("Weather?")], builtin_tools: ["brave_search", "code_interpreter", "wolfram"] },
    parts: { messages: [{ role: "system", content: [{ type: "text", text: "Be kind." }] },
        { role: "user", content: [{ type: "image" }, { type: "text", text: " What is it? " }] }] },
    documents: { messages: [user("What do they say?")],
        documents: [{ doc_id: 1, title: "one", text: "First." }, { doc_id: 2, title: "two", text: "Second." }] },
    controls: { messages: [user("Hi")], controls: { citations: true, length: "short" },
        documents: [{ doc_id: 7, text: "A text." }], reasoning_effort: "high", model_identity: "You are M." },
    wrong_order: { messages: [user("a"), user("b")] },
    no_messages: { messages: [] },
};

// Where takt's answer is another on purpose: it has more filters, and it refuses to print a list in
// the middle of a text, which is how the package shows content in parts to templates without them.
const own = { "llama31.jinja/builtin": "renders", "tuple": "renders" };

const vectors = [];
for (const file of readdirSync(".").filter((name) => name.endsWith(".jinja")).sort()) {
    const source = readFileSync(file, "utf8");
    for (const [name, chat] of Object.entries(chats)) {
        const context = { add_generation_prompt: true, bos_token: "<s>", eos_token: "</s>", ...chat };
        const answer = render(source, context);
        const shown = name === "parts" && file !== "gemma.jinja" && answer.expected !== undefined;
        vectors.push({ template: file, chat: name, own: shown ? "refused" : own[`${file}/${name}`], ...answer });
    }
}
writeFileSync("vectors.json", JSON.stringify({ now, chats, vectors }, null, 1) + "\n");

const data = { words: ["pear", "Apple", "fig"], numbers: [3, 1, 2], empty: [], text: "The quick brown fox", n: 7,
    yes: true, no: false, nothing: null, map: { b: 1, a: "x", C: [1, { d: null }] }, half: 2.5,
    people: [{ name: "Ann", age: 30, tags: ["x"] }, { name: "bob", age: 25 }, { name: "Cid", age: 30, tags: [] }],
    lines: "one\ntwo\n\nfour", spaced: "  a  b ", uni: "Grüße 狐 🦊 ŉ", json: "{\"a\": 1}" };
const sources = readFileSync("constructs.txt", "utf8").split("\n----\n").filter((s) => s.length);
writeFileSync("constructs.json",
    JSON.stringify({ now, data, constructs: sources.map((source) => ({ source, own: source.includes("(1, 2) | tojson") ? own.tuple : undefined,
        ...render(source, data) })) }, null, 1) + "\n");
console.log(`${vectors.length} vectors, ${sources.length} constructs`);

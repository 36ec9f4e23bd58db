// Starts takt serve for a test; what it needs is chosen by the kernel or thrown away afterwards.
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export const takt = process.env.TAKT ?? "../../build/takt";
export const MODEL = "fable-q8_0";
const root = new URL("../../", import.meta.url).pathname;

export async function startServer(...options) {
  const data = mkdtempSync(join(tmpdir(), "takt-clients-"));
  const server = await launch(data, options);
  return { ...server, data, stop: async () => (await server.end("SIGTERM"), rmSync(data, { recursive: true })) };
}

export async function launch(data, options = []) {
  const child = spawn(process.env.TAKT ?? join(root, "build/takt"), ["serve", "models/fable/fable-q8_0.gguf", "--port", "0", "--data", data, ...options], { cwd: root, stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  child.stderr.on("data", (bytes) => (said += bytes));
  const ended = new Promise((resolve) => child.once("exit", resolve));
  const url = await new Promise((resolve, reject) => {
    let text = "";
    child.stdout.on("data", (bytes) => {
      text += bytes;
      const found = /listening on (\S+)/.exec(text);
      if (found) resolve(found[1]);
    });
    ended.then((code) => reject(new Error(`takt serve ended with ${code}: ${said}`)));
  });
  return { url, child, end: async (signal) => (child.kill(signal), await ended) };
}

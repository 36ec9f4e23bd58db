// node logits.mjs MODEL WINDOWS OUTPUT: llama.cpp's logits (npm node-llama-cpp, CPU) of every
// position of every window, as peer_accuracy wants them. WINDOWS: a line of token ids each.
import fs from "node:fs";
import {getLlama, LlamaLogLevel} from "node-llama-cpp";

const [path, windowsPath, outputPath] = process.argv.slice(2);
const windows = fs.readFileSync(windowsPath, "utf8").trim().split("\n")
    .map((line) => line.split(" ").map(Number));
const longest = Math.max(...windows.map((ids) => ids.length));
const llama = await getLlama({gpu: false, build: "never", logLevel: LlamaLogLevel.error,
    progressLogs: false});
const model = await llama.loadModel({modelPath: path, gpuLayers: 0});
const context = await model.createContext({contextSize: longest + 8, batchSize: longest + 8,
    threads: Number(process.env.THREADS ?? 1), flashAttention: false});
const sequence = context.getSequence();
const output = fs.openSync(outputPath, "w");
for (const ids of windows) {
    await sequence.clearHistory();
    const results = await sequence.controlledEvaluate(
        ids.map((id) => [id, {generateNext: {logits: true}}]));
    for (const result of results) {
        const logits = result.next.logits;
        const row = new Float32Array(logits.size);
        for (const [token, logit] of logits) row[token] = logit;
        fs.writeSync(output, new Uint8Array(row.buffer));
    }
}
fs.closeSync(output);
await context.dispose();
await model.dispose();

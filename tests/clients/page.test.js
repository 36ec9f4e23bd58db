// The page in a browser: a chat is streamed, a schedule zoomed. Pictures go to build/page/.
import assert from "node:assert/strict";
import { existsSync, mkdirSync } from "node:fs";
import { test } from "node:test";
import { chromium } from "playwright-core";
import { startServer } from "./server.js";

const browserPath = ["/usr/bin/chromium", "/usr/bin/chromium-browser"].find(existsSync);
const pictures = new URL("../../build/page/", import.meta.url).pathname;

test("the page", { skip: browserPath ? false : "chromium is not installed", timeout: 300_000 }, async (context) => {
  mkdirSync(pictures, { recursive: true });
  const server = await startServer();
  context.after(() => server.stop());
  const browser = await chromium.launch({ executablePath: browserPath, args: ["--no-sandbox"] });
  context.after(() => browser.close());
  const page = await browser.newPage({ viewport: { width: 1280, height: 860 } });
  const errors = [];
  page.on("pageerror", (error) => errors.push(error.message));
  page.on("request", (request) => request.url().startsWith(server.url) || request.url().startsWith("data:") || errors.push(`asks ${request.url()}`));
  await page.goto(server.url);
  await page.waitForFunction(() => document.querySelector("#model").options.length === 1);

  await page.fill("#text", "Tell me a story about a fox who finds a key.");
  await page.keyboard.press("Enter");
  // In one look: on a busy machine the answer may be at its end before a second one.
  await page.waitForFunction(() => document.querySelector(".message.assistant") && !document.querySelector("#stop").hidden);
  await page.keyboard.press("Escape");
  await page.waitForFunction(() => !document.querySelector(".busy"));
  await page.click("#clear");
  await page.fill("#max_tokens", "40");
  await page.click("#send");
  await page.waitForFunction(() => document.querySelector("#facts")?.textContent.includes("Logits"));
  await page.screenshot({ path: `${pictures}chat.png` });

  await page.focus("#tab-chat");
  await page.keyboard.press("ArrowRight");
  await page.waitForFunction(() => /cycles/.test(document.querySelector("#figures").textContent));
  await page.waitForFunction(() => document.querySelector("#told").textContent === "");
  const colours = () => page.evaluate(() => {
    const canvas = document.querySelector("#canvas");
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    const seen = new Set();
    for (let i = 0; i < data.length; i += 4) seen.add((data[i] << 16) | (data[i + 1] << 8) | data[i + 2]);
    return [seen.size, data.reduce((sum, value, index) => (sum * 31 + value * (index % 7)) % 1000003, 0)];
  });
  await page.waitForTimeout(200);
  const [kinds, whole] = await colours();
  assert.ok(kinds > 6, "units have their colours");
  await page.screenshot({ path: `${pictures}machine.png`, fullPage: true });
  await page.focus("#canvas");
  for (let i = 0; i < 7; i++) await page.keyboard.press("+");
  await page.keyboard.press("n");
  await page.waitForTimeout(200);
  assert.match(await page.locator("#told").textContent(), /cycle [\d,]+/);
  const [, zoomed] = await colours();
  assert.notEqual(zoomed, whole);
  await page.screenshot({ path: `${pictures}zoomed.png` });
  await page.keyboard.press("0");
  await page.click("#layers button:nth-child(2)");
  await page.waitForFunction(() => document.querySelector("#layer").value === "1");

  await page.emulateMedia({ colorScheme: "dark" });
  await page.setViewportSize({ width: 390, height: 800 });
  await page.waitForTimeout(200);
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), "no sideways scrolling on a phone");
  await page.screenshot({ path: `${pictures}phone.png` });
  await page.click("#tab-chat");
  await page.screenshot({ path: `${pictures}phone-chat.png`, fullPage: true });
  await page.setViewportSize({ width: 1280, height: 860 });
  await page.screenshot({ path: `${pictures}dark.png` });
  await page.click("#tab-machine");
  await page.waitForTimeout(200);
  await page.screenshot({ path: `${pictures}dark-machine.png`, fullPage: true });
  assert.deepEqual(errors, []);
});

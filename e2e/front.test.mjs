// The front page of the built binary in a real Chromium: phone and desktop
// width, light and dark, with and without JavaScript.
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

const binary = fileURLToPath(new URL("../bin/openclaw-mcp", import.meta.url));
const token = "0123456789abcdef0123456789abcdef";
const modes = {
  none: {},
  token: { OPENCLAW_MCP_AUTH: "token", OPENCLAW_MCP_TOKENS: `alice:${token}` },
  key: { OPENCLAW_MCP_AUTH: "key" },
  oauth: {
    OPENCLAW_MCP_AUTH: "oauth", OPENCLAW_MCP_OAUTH_ISSUER: "http://127.0.0.1:9/",
    OPENCLAW_MCP_PUBLIC_URL: "https://claw.example.org/mcp", OPENCLAW_MCP_ALLOWED_HOSTS: "127.0.0.1",
  },
};
const servers = {};
let origin, browser;

// serve starts the server in one of the ways to authenticate.
async function serve(env) {
  const child = spawn(binary, ["--local", "--http", "127.0.0.1:0"], {
    env: { PATH: process.env.PATH, OPENCLAW_MCP_LOG_FORMAT: "json", ...env },
    stdio: ["ignore", "ignore", "pipe"],
  });
  for await (const line of createInterface({ input: child.stderr })) {
    const entry = JSON.parse(line);
    if (entry.msg.startsWith("serving MCP")) {
      child.stderr.resume();
      return { child, origin: new URL(entry.url).origin };
    }
  }
  throw new Error(`the server ended at once with ${JSON.stringify(env)}`);
}

before(async () => {
  for (const mode in modes) servers[mode] = await serve(modes[mode]);
  origin = servers.none.origin;
  browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
      "--disable-component-update", "--disable-sync"],
  });
});

after(async () => {
  await browser?.close();
  for (const { child } of Object.values(servers)) {
    child.kill("SIGTERM");
    const [code] = await once(child, "exit");
    assert.equal(code, 0, "the server ends cleanly");
  }
});

// open opens the page and collects everything that a browser complains of.
async function open(t, { at = origin, ...options } = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
  t.after(() => context.close());
  const page = await context.newPage();
  page.complaints = [];
  page.requested = [];
  page.on("console", (m) => page.complaints.push(m.text()));
  page.on("pageerror", (e) => page.complaints.push(String(e)));
  page.on("requestfailed", (r) => page.complaints.push(`${r.url()}: ${r.failure().errorText}`));
  page.on("request", (r) => page.requested.push(r.url()));
  page.on("response", (r) => r.ok() || page.complaints.push(`${r.url()}: ${r.status()}`));
  await page.addInitScript(() => {
    window.violations = [];
    document.addEventListener("securitypolicyviolation", (e) => window.violations.push(`${e.violatedDirective}: ${e.blockedURI}`));
  });
  await page.goto(at + "/");
  return page;
}

const openAll = (page) => page.evaluate(() => {
  for (const d of document.querySelectorAll("details")) {
    d.removeAttribute("name"); // else only one stays open
    d.open = true;
  }
});

// In the page: the worst contrast of its texts, by WCAG 2.2's formula.
function worstContrast() {
  const parse = (c) => {
    const [r, g, b, a = 1] = c.match(/[\d.]+/g).map(Number);
    return { rgb: [r, g, b], a };
  };
  const luminance = (rgb) => rgb.map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  let worst = { ratio: Infinity }, texts = 0;
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node; (node = walker.nextNode()); ) {
    const el = node.parentElement;
    if (!node.textContent.trim() || !el.checkVisibility()) continue;
    let at = el;
    while (at && parse(getComputedStyle(at).backgroundColor).a === 0) at = at.parentElement;
    const back = luminance(parse(getComputedStyle(at ?? document.body).backgroundColor).rgb);
    const fore = luminance(parse(getComputedStyle(el).color).rgb);
    const ratio = (Math.max(back, fore) + 0.05) / (Math.min(back, fore) + 0.05);
    texts++;
    if (ratio < worst.ratio) worst = { ratio, text: node.textContent.trim(), in: el.className || el.tagName };
  }
  return { ...worst, texts };
}

// looks holds the page to what a person sees of it.
async function looks(t, mode, width, colorScheme) {
  const at = servers[mode].origin;
  const page = await open(t, { at, viewport: { width, height: 800 }, colorScheme });
  await page.getByRole("heading", { name: "Connect a client" }).waitFor();
  assert.match(await page.locator(".status").innerText(), /The local instance is reachable/);
  assert.equal(await page.locator("#address + .code code").innerText(), modes[mode].OPENCLAW_MCP_PUBLIC_URL ?? at + "/mcp");
  await openAll(page);
  const [scroll, view] = await page.evaluate(() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]);
  assert.ok(scroll <= view, `the page is ${scroll} pixels wide in a view of ${view}`);
  const contrast = await page.evaluate(worstContrast);
  assert.ok(contrast.texts > 60, `only ${contrast.texts} texts were looked at`);
  assert.ok(contrast.ratio >= 4.5, `contrast ${JSON.stringify(contrast)}`);
  const dark = (await page.evaluate(() => getComputedStyle(document.body).backgroundColor)).match(/\d+/g).map(Number)[0] < 128;
  assert.equal(dark, colorScheme === "dark");
  const covered = await page.evaluate(() => [...document.querySelectorAll(".code")].filter((box) => {
    const range = document.createRange();
    range.selectNodeContents(box.querySelector("code"));
    const button = box.querySelector("button").getBoundingClientRect();
    return [...range.getClientRects()].some((r) => r.right > button.left && r.left < button.right && r.bottom > button.top && r.top < button.bottom);
  }).map((box) => box.innerText));
  assert.deepEqual(covered, [], "no button covers what it copies");
  assert.deepEqual(page.complaints, []);
  assert.deepEqual(await page.evaluate(() => window.violations), []);
  assert.ok(page.requested.length >= 4, `requested ${page.requested}`);
  assert.deepEqual(page.requested.filter((u) => new URL(u).origin !== at), [], "nothing comes from elsewhere");
  if (process.env.PICTURES) await page.screenshot({ path: `${process.env.PICTURES}/${mode}-${width}-${colorScheme}.png`, fullPage: true });
}

for (const mode in modes) {
  for (const width of [390, 1280]) {
    for (const colorScheme of ["light", "dark"]) {
      test(`auth ${mode}, ${width} pixels, ${colorScheme}`, (t) => looks(t, mode, width, colorScheme));
    }
  }
}

// What the page gives to copy works as it stands, with the caller's own secret
// in the place that it names.
for (const [mode, place, secret] of [["none", "", ""], ["token", "YOUR_TOKEN", token], ["key", "YOUR_OPENCLAW_API_KEY", "sk-of-a-caller"]]) {
  test(`the command of auth ${mode} initializes`, async (t) => {
    const page = await open(t, { at: servers[mode].origin, permissions: ["clipboard-read", "clipboard-write"] });
    await page.locator("#other summary").click();
    await page.locator("#other .code").last().getByRole("button").click();
    await page.getByText("Copied", { exact: true }).waitFor();
    const copied = await page.evaluate(() => navigator.clipboard.readText());
    assert.match(copied, /^curl /);
    if (place) assert.ok(copied.includes(place), copied);
    const run = (command) => execFileSync("sh", ["-c", command], { encoding: "utf8" });
    assert.match(run(place ? copied.replaceAll(place, secret) : copied), /"serverInfo"/);
    if (mode === "token") assert.doesNotMatch(run(copied), /"serverInfo"/, "without the token nobody gets in");
  });
}

test("the policy stops what the page does not do itself", async (t) => {
  const page = await open(t);
  await page.evaluate(() => {
    const script = document.createElement("script");
    script.textContent = "window.injected = true";
    document.head.append(script);
    document.body.append(Object.assign(new Image(), { src: "http://127.0.0.1:9/x.png" }));
  });
  await page.waitForFunction(() => window.violations.length >= 2);
  assert.equal(await page.evaluate(() => window.injected), undefined);
  assert.ok(page.complaints.includes("http://127.0.0.1:9/x.png: csp"), `the picture is stopped by the policy: ${page.complaints}`);
});

test("copy buttons copy exactly what is shown", async (t) => {
  const page = await open(t, { permissions: ["clipboard-read", "clipboard-write"] });
  await openAll(page);
  const boxes = await page.locator(".code").all();
  assert.ok(boxes.length >= 10, `${boxes.length} snippets`);
  // What is said is gone again after a while, so it is kept as it comes.
  await page.evaluate(() => {
    const said = document.querySelector("#said");
    window.heard = [];
    new MutationObserver(() => window.heard.push(said.textContent)).observe(said, { childList: true, characterData: true, subtree: true });
  });
  for (const box of boxes) {
    const button = box.getByRole("button");
    await button.click();
    await page.waitForFunction((b) => b.textContent === "Copied", await button.elementHandle());
    const copied = await page.evaluate(() => navigator.clipboard.readText());
    assert.equal(copied, (await box.locator("code").textContent()).trimEnd());
    if (copied.startsWith("{")) JSON.parse(copied);
  }
  const heard = await page.evaluate(() => window.heard);
  assert.ok(heard.some((text) => text.startsWith("Copied: Any other client")), `${heard}`);
  assert.deepEqual(page.complaints, []);
});

// On plain http with a name, browsers have no navigator.clipboard.
test("copying works where the clipboard interface is missing", async (t) => {
  const context = await browser.newContext({ permissions: ["clipboard-read", "clipboard-write"] });
  t.after(() => context.close());
  const page = await context.newPage();
  await page.addInitScript(() => {
    window.real = navigator.clipboard;
    Object.defineProperty(navigator, "clipboard", { value: undefined });
  });
  await page.goto(origin + "/#claude-code");
  const box = page.locator("#claude-code .code");
  await box.getByRole("button", { name: "Copy: Claude Code" }).click();
  await page.waitForFunction((b) => b.textContent === "Copied", await box.locator("button").elementHandle());
  assert.equal(await page.evaluate(() => window.real.readText()), `claude mcp add --transport http openclaw ${origin}/mcp`);
});

test("a keyboard is enough", async (t) => {
  const page = await open(t);
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement.textContent), "Skip to the clients");
  await page.keyboard.press("Enter");
  for (let i = 0; i < 20 && !(await page.evaluate(() => document.activeElement.matches("#cursor summary"))); i++) {
    await page.keyboard.press("Tab");
  }
  await page.keyboard.press("Enter");
  assert.equal(await page.locator("#cursor").evaluate((d) => d.open), true);
  assert.equal(await page.locator("details[open]").count(), 1, "one client is open at a time");
  const outline = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
  assert.equal(outline, "solid", "what has the focus is marked");
});

test("the page is whole without JavaScript", async (t) => {
  const context = await browser.newContext({ javaScriptEnabled: false });
  t.after(() => context.close());
  const page = await context.newPage();
  await page.goto(origin + "/");
  assert.equal(await page.getByRole("button").count(), 0, "no buttons that do nothing");
  await page.locator("#vscode summary").click();
  const text = await page.locator("#vscode code").last().innerText();
  assert.equal(JSON.parse(text).servers.openclaw.url, origin + "/mcp");
});

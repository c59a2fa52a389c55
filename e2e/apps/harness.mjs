// Starts the built binary, builds the host, and shows pages in it in a real Chromium.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:http";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";
import { build } from "vite";

const here = fileURLToPath(new URL(".", import.meta.url));
const binary = process.env.BINARY ?? fileURLToPath(new URL("../../bin/openclaw-mcp", import.meta.url));
export const patience = 60_000 * Number(process.env.E2E_PATIENCE ?? 1);

const files = new Map();
export let hostOrigin;
let web, browser;

export async function start() {
  const { output } = await build({
    root: here, configFile: false, logLevel: "warn", base: "./",
    build: { write: false, rollupOptions: { input: `${here}/host.html` }, modulePreload: false },
  });
  for (const o of output) files.set(`/${o.fileName}`, o.code ?? o.source);
  web = createServer((req, res) => {
    const path = new URL(req.url, "http://host").pathname;
    const body = files.get(path === "/" ? "/host.html" : path);
    res.writeHead(body === undefined ? 404 : 200, { "content-type": path.endsWith(".js") ? "text/javascript" : "text/html" });
    res.end(body);
  }).listen(0, "127.0.0.1");
  await once(web, "listening");
  hostOrigin = `http://127.0.0.1:${web.address().port}`;
  browser = await chromium.launch({
    timeout: 3 * patience,
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
  });
}

export async function stop() {
  await browser?.close();
  web?.close();
}

/** Starts the server. */
export async function serve(env = {}, args = ["--local", "--http", "127.0.0.1:0"]) {
  const home = mkdtempSync(`${tmpdir()}/openclaw-apps-`);
  const child = spawn(binary, args, {
    env: { PATH: process.env.PATH, HOME: home, TMPDIR: home, OPENCLAW_MCP_LOG_FORMAT: "json", OPENCLAW_MCP_ALLOWED_ORIGINS: hostOrigin, ...env },
    stdio: ["ignore", "ignore", "pipe"],
  });
  const server = { child, home, async end() {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill("SIGTERM");
      await once(child, "exit");
    }
    rmSync(home, { recursive: true, force: true });
  } };
  for await (const line of createInterface({ input: child.stderr })) {
    if (!line.startsWith("{")) throw new Error(line);
    const entry = JSON.parse(line);
    if (entry.msg.startsWith("serving MCP")) {
      child.stderr.resume();
      return Object.assign(server, { url: entry.url, origin: new URL(entry.url).origin });
    }
  }
  throw new Error("the server ended at once");
}

/** Opens the host in a browser, connected to the server. All that the browser complains of must be expected. */
export async function open(t, server, { width = 1280, height = 900, colorScheme = "light", reducedMotion, connect = "auto" } = {}) {
  const context = await browser.newContext({ viewport: { width, height }, colorScheme, reducedMotion });
  t.after(() => context.close());
  const page = await context.newPage();
  page.setDefaultTimeout(patience);
  page.complaints = [];
  page.on("console", (m) => ["error", "warning"].includes(m.type()) && page.complaints.push(m.text()));
  page.on("pageerror", (e) => page.complaints.push(String(e)));
  await page.goto(hostOrigin);
  if (connect) await page.evaluate(([url, mode]) => window.host.connect(url, mode), [server.url, connect]);
  page.show = (name, args, options) => page.evaluate(([n, a, o]) => window.host.show(n, a, o), [name, args, options]);
  page.model = (name, args) => page.evaluate(([n, a]) => window.host.call(n, a), [name, args]);
  page.text = async (name, args) => (await page.model(name, args)).content.filter((c) => c.type === "text").map((c) => c.text).join("\n");
  page.told = () => page.evaluate(() => window.host.told.at(-1) ?? "");
  page.app = page.frameLocator("#pages iframe");
  return page;
}

/** Opens the console of a server in a browser. */
export async function console_(t, server, options) {
  const page = await open(t, server, { ...options, connect: false });
  page.page = page.frameLocator("#console-page iframe:not([hidden])");
  await page.addInitScript(() => {
    window.violations = [];
    document.addEventListener("securitypolicyviolation", (e) => window.violations.push(`${e.violatedDirective}: ${e.blockedURI}`));
  });
  await page.goto(server.origin);
  return page;
}

/** Waits until f gives something true. */
export async function until(what, f) {
  const end = Date.now() + patience;
  for (let last; ; await new Promise((go) => setTimeout(go, 25))) {
    last = await f();
    if (last) return last;
    if (Date.now() > end) throw new Error(`${what}: not within ${patience} ms`);
  }
}

/** Keeps a picture where PICTURES says. */
export async function picture(page, name) {
  if (process.env.PICTURES) await page.screenshot({ path: `${process.env.PICTURES}/${name}.png`, fullPage: true });
}

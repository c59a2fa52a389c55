// Real coding agents with the built binary: installed as docs/clients tell it, in
// a fresh home, run without a terminal, over stdio and HTTP. Only their model is
// a script (model.mjs), so that nothing leaves this machine.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { Model } from "./model.mjs";
import { nothingLeft } from "./processes.mjs";

const binary = fileURLToPath(new URL("../../bin/openclaw-mcp", import.meta.url));
const bin = (name) => fileURLToPath(new URL(`node_modules/.bin/${name}`, import.meta.url));
const versions = JSON.parse(readFileSync(new URL("package.json", import.meta.url))).dependencies;

const final = "The instance has answered.";
const patience = 120_000; // of one program; a session takes seconds

// Codex's own models get one tool, which runs JavaScript that calls the others;
// models that it does not know get each tool.
const codex = (...model) => ({
  client: "codex",
  package: "@openai/codex",
  program: bin("codex"),
  api: "responses",
  env: () => ({ FAKE_API_KEY: "none" }),
  args: ({ url }) => [
    "exec", "--skip-git-repo-check", ...model,
    "-c", 'model_provider="fake"',
    "-c", `model_providers.fake={name="fake",base_url="${url}/v1",wire_api="responses",env_key="FAKE_API_KEY",request_max_retries=0,stream_max_retries=0}`,
    "-c", "check_for_update_on_startup=false",
    "-c", "analytics.enabled=false",
    // codex exec has nobody to ask, and refuses what changes anything without it.
    "-c", 'mcp_servers.openclaw.default_tools_approval_mode="approve"',
    "Ask the instance.",
  ],
  list: /^openclaw .*enabled/m, // it does not connect
});

// Each agent, as far as it differs: prepare writes what a user has before, env
// and args lead it to the model and let it call tools without asking.
const agents = {
  "claude-code": {
    client: "claude-code",
    package: "@anthropic-ai/claude-code",
    program: bin("claude"),
    api: "messages",
    env: (model) => ({
      ANTHROPIC_BASE_URL: model.url,
      ANTHROPIC_API_KEY: "none",
      CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1",
      DISABLE_AUTOUPDATER: "1",
    }),
    args: () => ["-p", "Ask the instance.", "--allowedTools", "mcp__openclaw"],
    list: /^openclaw: .*Connected/m,
  },
  codex: codex(),
  "codex with another's model": codex("--model", "another"),
  gemini: {
    client: "gemini",
    package: "@google/gemini-cli",
    program: bin("gemini"),
    api: "generate",
    // Whoever has used it has chosen how to sign in.
    prepare: (home) => {
      mkdirSync(join(home, ".gemini"));
      writeFileSync(join(home, ".gemini", "settings.json"), JSON.stringify({
        general: { enableAutoUpdate: false, enableAutoUpdateNotification: false },
        privacy: { usageStatisticsEnabled: false },
        security: { auth: { selectedType: "gemini-api-key" } },
      }, null, 2));
    },
    env: (model) => ({
      GOOGLE_GEMINI_BASE_URL: model.url,
      GEMINI_API_KEY: "none",
      GEMINI_CLI_TRUST_WORKSPACE: "true", // elsewhere it starts no MCP server
    }),
    args: () => ["-p", "Ask the instance.", "--yolo"],
    list: /openclaw: .*Connected/,
  },
};

const running = new Set(); // groups of processes, by the pid that leads each
const homes = new Set();

// launch starts a program with nothing of this process's environment but PATH,
// in a group of its own: agents start others.
function launch(program, args, { home, env = {} }) {
  assert.ok(existsSync(program), `${program} is missing: make agents installs and builds all`);
  const child = spawn(program, args, {
    cwd: join(home, "project"),
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
    env: { PATH: process.env.PATH, HOME: home, TMPDIR: join(home, "tmp"), NO_COLOR: "1", ...env },
  });
  running.add(child.pid);
  return child;
}

function end(child, signal = "SIGKILL") {
  try {
    process.kill(-child.pid, signal);
  } catch (err) {
    if (err.code !== "ESRCH") throw err; // it ended
  }
}

// However this process ends, what it started ends too, and its folders go.
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => process.exit(1));
process.on("exit", () => {
  for (const pid of running) end({ pid });
  for (const home of homes) rmSync(home, { recursive: true, force: true, maxRetries: 10 });
});

// run waits for a program's end. seen is when its output first had the text `until`.
async function run(program, args, options) {
  const child = launch(program, args, options);
  const timer = setTimeout(() => end(child), patience);
  let stdout = "", stderr = "", seen;
  child.stdout.setEncoding("utf8").on("data", (chunk) => {
    stdout += chunk;
    if (options.until && stdout.includes(options.until)) seen ??= performance.now();
  });
  child.stderr.setEncoding("utf8").on("data", (chunk) => (stderr += chunk));
  const [code, signal] = await once(child, "close");
  clearTimeout(timer);
  running.delete(child.pid);
  return { code: code ?? signal, stdout, stderr, seen, all: `${stdout}\n${stderr}` };
}

function newHome() {
  const home = mkdtempSync(join(tmpdir(), "openclaw-agents-"));
  homes.add(home);
  mkdirSync(join(home, "project"));
  mkdirSync(join(home, "tmp"));
  return home;
}

let names; // the tools, as the program lists them
let server, tap, url;
let wire = ""; // what agents said over HTTP

const serverHome = newHome();

before(async () => {
  const home = serverHome;
  const listed = await run(binary, ["call", "--local", "--list"], { home });
  assert.equal(listed.code, 0, listed.all);
  names = [...listed.stdout.matchAll(/^  ([a-z]+(?:_[a-z]+)+) /gm)].map((m) => m[1])
    .filter((tool) => !/^(up|down)load_files$/.test(tool)) // only where OPENCLAW_MCP_TRANSFER_ROOTS says so
    .sort();
  assert.equal(names.length, 27, `the program lists ${names}`);

  server = launch(binary, ["--local", "--http", "127.0.0.1:0"], { home, env: { OPENCLAW_MCP_LOG_FORMAT: "json" } });
  for await (const line of createInterface({ input: server.stderr })) {
    const entry = JSON.parse(line);
    if (entry.msg.startsWith("serving MCP")) {
      url = new URL(entry.url);
      break;
    }
  }
  assert.ok(url, "the server says where it serves");
  server.stderr.resume();

  // Agents connect through a port that keeps a copy of what they say.
  const port = Number(url.port);
  tap = createServer((from) => {
    const to = connect(port, "127.0.0.1");
    from.on("data", (chunk) => (wire += chunk));
    from.pipe(to).pipe(from);
    for (const [one, other] of [[from, to], [to, from]]) one.on("error", () => other.destroy()).on("close", () => other.destroy());
  });
  tap.listen(0, "127.0.0.1");
  await once(tap, "listening");
  url.port = String(tap.address().port);
}, { timeout: 60_000 });

after(async () => {
  tap?.close();
  if (server) end(server, "SIGTERM");
  const [code] = server ? await once(server, "exit") : [0];
  running.delete(server?.pid);
  assert.equal(code, 0, "the server ends cleanly");
});

for (const [name, agent] of Object.entries(agents)) {
  for (const transport of ["stdio", "HTTP"]) {
    test(`${name} ${versions[agent.package]} over ${transport}: from install to the answer`, async (t) => {
      const home = newHome();
      agent.prepare?.(home);
      const version = await run(agent.program, ["--version"], { home });
      assert.ok(version.stdout.includes(versions[agent.package]), `${name} --version: ${version.all}`);

      const model = await Model.start(agent.api, {
        names, tool: "send_chat_message", args: { message: "run: echo from-$((6*7))" }, final,
      });
      t.after(() => model.stop());
      wire = "";

      const began = performance.now();
      const installed = await run(binary, ["install", agent.client, ...(transport === "HTTP" ? ["--http", url.href] : ["--local"])], { home });
      assert.equal(installed.code, 0, installed.all);
      const session = await run(agent.program, agent.args(model), { home, env: agent.env(model), until: final });
      const ended = performance.now();

      const story = `${session.all}\nthe model was asked ${model.requests.join(", ")}\n${model.problems.join("\n")}`;
      assert.deepEqual(model.problems, [], story);
      assert.deepEqual([...model.offered.keys()].sort(), names, `the model is offered every tool\n${story}`);
      assert.match(model.offered.get(model.tool), /idempotency_key/, "and its arguments");
      assert.match(model.result ?? "", /from-42/, `the model gets the reply\n${story}`);
      assert.equal(session.code, 0, story);
      assert.ok(session.stdout.includes(final), `the answer is printed\n${story}`);
      await nothingLeft(home);

      t.diagnostic(`${name} over ${transport}: ${seconds(session.seen - began)} from install to the answer, ${seconds(ended - session.seen)} more to its end`);
      if (transport === "HTTP") {
        const call = wire.slice(wire.search(/"method"\s*:\s*"tools\/call"|"tools\/call"/));
        t.diagnostic(`${name} ${/"progressToken"/.test(call) ? "asks for progress" : "asks for no progress"}, protocol ${[...new Set(wire.match(/20\d\d-\d\d-\d\d(?=")/g))]}`);
      }

      const list = await run(agent.program, ["mcp", "list"], { home, env: agent.env(model) });
      assert.equal(list.code, 0, list.all);
      assert.match(list.all, agent.list, `${name} mcp list`);
      await nothingLeft(home);
    });
  }
}

// The project in examples/ brings its server, and what may be called without asking.
test("the example of a Claude Code project works as it stands", async (t) => {
  const agent = agents["claude-code"];
  const home = newHome();
  cpSync(new URL("../../examples/claude-code", import.meta.url), join(home, "project"), { recursive: true });
  // Claude Code asks its user once whether to trust a folder.
  writeFileSync(join(home, ".claude.json"), JSON.stringify({ projects: { [join(home, "project")]: { hasTrustDialogAccepted: true } } }));
  const offered = names.filter((name) => !/^(create|shutdown)_instance$/.test(name)); // its .mcp.json leaves these out
  const model = await Model.start(agent.api, {
    names: offered, tool: "send_chat_message", args: { message: "run: echo from-$((6*7))" }, final,
  });
  t.after(() => model.stop());
  const env = { ...agent.env(model), PATH: `${dirname(binary)}${delimiter}${process.env.PATH}` };
  const session = await run(agent.program, ["-p", "Ask the instance."], { home, env });

  const story = `${session.all}\n${model.problems.join("\n")}`;
  assert.deepEqual(model.problems, [], story);
  assert.deepEqual([...model.offered.keys()].sort(), offered, story);
  assert.match(model.result ?? "", /from-42/, `the call is allowed, and the model gets the reply\n${story}`);
  assert.match(model.heard, /This project has an OpenClaw instance/, "the model has read CLAUDE.md");
  assert.equal(session.code, 0, story);
  assert.ok(session.stdout.includes(final), story);
  await nothingLeft(home);
});

function seconds(ms) {
  return `${(ms / 1000).toFixed(1)} s`;
}

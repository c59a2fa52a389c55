// Records what OpenClaw itself sends, as JSON lines, a file a scenario:
//
//   record.mjs DIRECTORY [SCENARIO…]
//
// The first line says what was asked and what the model said; then come the gateway's
// events as they came, and its answers to chat.history; or the body of an HTTP stream. Times and ids are left as they
// are; paths of this machine become /home/openclaw and /opt. With KEEP=FILE it keeps what
// the model was asked, for a look when a script does not fit.
import { mkdir, rm, writeFile } from "node:fs/promises";
import { hostname, tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { Model } from "./model.mjs";
import { OpenClaw } from "./openclaw.mjs";
import { scenarios } from "./scenarios.mjs";

const attempts = 3;
const [directory, ...chosen] = process.argv.slice(2);
if (!directory) {
  console.error("usage: record.mjs DIRECTORY [SCENARIO…]");
  process.exit(2);
}
const names = chosen.length > 0 ? chosen : Object.keys(scenarios);
const turns = {};
for (const { message, model, others } of Object.values(scenarios)) Object.assign(turns, { [message]: model }, others);

const model = await Model.start(turns);
let claw = await start();
try {
  if (chosen.length === 0) await rm(directory, { recursive: true, force: true });
  await mkdir(directory, { recursive: true });
  for (const name of names) {
    const lines = await patiently(name);
    await writeFile(join(directory, `${name}.jsonl`), clean(lines.map((line) => JSON.stringify(line) + "\n").join("")));
    console.log(`${name}: ${lines.length} lines`);
  }
} finally {
  if (process.env.KEEP) await writeFile(process.env.KEEP, JSON.stringify(model.requests, null, 1));
  await claw.stop();
  await model.stop();
}

async function start() {
  const claw = await OpenClaw.start(model.url);
  await writeFile(join(claw.workspace, "note.txt"), "feed the lobster\n");
  return claw;
}

// patiently records a scenario. On a busy machine the gateway may give a run up, or
// exit because it could not renew a lease in time: neither is what the scenario is
// about, so it is tried again, with another gateway where that one is gone.
async function patiently(name) {
  const scenario = scenarios[name];
  for (let attempt = 1; ; attempt++) {
    try {
      const lines = await (scenario.http ? recordHTTP : record)(name, scenario, attempt);
      if (!gaveUp(scenario, lines)) return lines;
      console.log(`${name}: the gateway gave the run up (attempt ${attempt})`);
      if (attempt === attempts) throw new Error("the gateway gave the run up each time");
    } catch (err) {
      if (attempt === attempts) throw new Error(`${name}: ${err.message}`);
      console.log(`${name}: ${err.message} (attempt ${attempt})`);
      if (claw.process.exitCode !== null) claw = await start();
    }
  }
}

function gaveUp({ end }, lines) {
  return end === "final" && /worker task timed out|lease heartbeat|gateway is (draining|restarting)/.test(JSON.stringify(lines.slice(1)));
}

async function record(name, scenario, attempt) {
  const sessionKey = `agent:main:${name}${attempt > 1 ? `-${attempt}` : ""}`;
  const runId = `${name}-${attempt}`;
  const from = claw.frames.length;
  const ours = (f) => f.payload?.sessionKey === sessionKey;
  const ended = (f) => f.event === "chat" && ["final", "error", "aborted"].includes(f.payload.state);

  await claw.call("sessions.create", { key: sessionKey });
  await claw.call("sessions.messages.subscribe", { key: sessionKey });
  await claw.call("chat.send", { sessionKey, message: scenario.message, idempotencyKey: runId });
  if (scenario.meanwhile) {
    await claw.until((f) => ours(f) && f.payload.state === "delta", from);
    await claw.call("chat.send", { sessionKey: "agent:main:elsewhere", message: scenario.meanwhile, idempotencyKey: `elsewhere-${attempt}` });
    await claw.until((f) => ended(f) && f.payload.runId === `elsewhere-${attempt}`, from);
  }
  if (scenario.abort) {
    await claw.until((f) => ours(f) && scenario.abort(f), from);
    await claw.call("chat.abort", { sessionKey, runId });
  }
  await claw.until((f) => ours(f) && ended(f) && f.payload.runId === runId, from);
  if (scenario.until) {
    await claw.until((f) => ours(f) && f.event === "session.message" && JSON.stringify(f.payload.message.content).includes(scenario.until), from);
  }
  await idle(sessionKey);

  const history = await claw.call("chat.history", { sessionKey });
  const events = claw.frames.slice(from).filter((f) => ["chat", "agent", "session.message", "session.tool", "tick"].includes(f.event));
  return [
    { ...head(name, scenario), sessionKey, runId },
    ...events,
    { method: "chat.history", result: history },
  ];
}

// recordHTTP records the stream of one of the gateway's HTTP endpoints.
async function recordHTTP(name, scenario) {
  const { http, message } = scenario;
  const question = http.endsWith("/responses") ? { input: message } : { messages: [{ role: "user", content: message }] };
  const response = await fetch(`http://127.0.0.1:${claw.port}${http}`, {
    method: "POST",
    headers: { authorization: `Bearer ${claw.token}`, "content-type": "application/json" },
    body: JSON.stringify({ model: "openclaw", stream: true, ...question }),
  });
  return [
    head(name, scenario),
    { method: `POST ${http}`, status: response.status, contentType: response.headers.get("content-type"), body: await response.text() },
  ];
}

function head(name, { message, reply, later, rows = [reply], tools = [], end, error }) {
  return { scenario: name, openclaw: claw.hello.server.version, message, reply, later, rows, tools, end, error };
}

// idle waits until nothing runs in the session: what comes late is recorded, too.
async function idle(key) {
  for (;;) {
    const { sessionInfo } = await claw.call("chat.history", { sessionKey: key, limit: 1 });
    if (!sessionInfo?.hasActiveRun) return;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

// clean takes everything of this machine out of a recording.
function clean(text) {
  for (const [path, neutral] of [
    [claw.workspace, "/home/openclaw/workspace"],
    [claw.home, "/home/openclaw"],
    [join(import.meta.dirname, "node_modules"), "/opt/openclaw/node_modules"],
    [process.execPath, "/opt/node/bin/node"],
  ]) {
    text = text.replaceAll(path, neutral);
  }
  for (const trace of [claw.token, String(claw.port), `${tmpdir()}/`, import.meta.dirname, userInfo().homedir + "/", `host=${hostname()}`]) {
    if (text.includes(trace)) throw new Error(`the recording holds ${JSON.stringify(trace)} of this machine`);
  }
  return text;
}

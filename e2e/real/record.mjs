// Records what OpenClaw itself sends, as JSON lines, a file a scenario:
//
//   record.mjs [--lenient] DIRECTORY [SCENARIO…]
//
// With --lenient a few scenarios may be left out, where the machine is so busy that the
// gateway misses its own deadlines each time.
//
// The first line says what was asked and what the model said; then come the gateway's
// events as they came, and its answers to chat.history; or the body of an HTTP stream. Times and ids are left as they
// are; paths of this machine become /home/openclaw and /opt. With KEEP=FILE it keeps what
// the model was asked, for a look when a script does not fit.
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { hostname, tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { Model } from "./model.mjs";
import { OpenClaw } from "./openclaw.mjs";
import { scenarios } from "./scenarios.mjs";

// missedDeadline is how the gateway says that it was too slow for itself.
const missedDeadline = /worker task timed out|gateway request timeout|lease heartbeat|gateway is (draining|restarting)|gave the run up/;

const attempts = 3;
const lenient = process.argv[2] === "--lenient";
const [directory, ...chosen] = process.argv.slice(lenient ? 3 : 2);
if (!directory) {
  console.error("usage: record.mjs [--lenient] DIRECTORY [SCENARIO…]");
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
  const left = [];
  for (const name of names) {
    const lines = await patiently(name);
    if (!lines) {
      left.push(name);
      continue;
    }
    await writeFile(join(directory, `${name}.jsonl`), clean(lines.map((line) => JSON.stringify(line) + "\n").join("")));
    console.log(`${name}: ${lines.length} lines`);
  }
  if (left.length > names.length / 4) throw new Error(`the machine is too busy: ${left.join(", ")} could not be recorded`);
  if (left.length > 0) console.log(`left out, since the gateway missed its own deadlines: ${left.join(", ")}`);
} finally {
  if (process.env.KEEP) await writeFile(process.env.KEEP, JSON.stringify(model.requests, null, 1));
  await claw.stop();
  await model.stop();
}

// start starts a gateway. On a busy machine it may exit before it is up.
async function start() {
  for (let attempt = 1; ; attempt++) {
    try {
      const claw = await OpenClaw.start(model.url);
      await writeFile(join(claw.workspace, "note.txt"), "feed the lobster\n");
      return claw;
    } catch (err) {
      if (attempt === attempts) throw err;
      console.log(`${err.message} (attempt ${attempt})`);
    }
  }
}

// patiently records a scenario. On a busy machine the gateway may give a run up, or
// exit because it could not renew a lease in time: neither is what the scenario is
// about, so it is tried again, with another gateway. It gives null where all of that
// was in vain, and may be.
async function patiently(name) {
  const scenario = scenarios[name];
  for (let attempt = 1; ; attempt++) {
    const from = (await readFile(claw.log, "utf8")).length;
    try {
      const lines = await (scenario.http ? recordHTTP : record)(name, scenario, attempt);
      if (!gaveUp(scenario, lines)) return lines;
      throw new Error("the gateway gave the run up");
    } catch (err) {
      console.log(`${name}: ${err.message} (attempt ${attempt})`);
      const log = await readFile(claw.log, "utf8").catch(() => "");
      const late = claw.process.exitCode !== null || missedDeadline.test(err.message + log.slice(from));
      // What the attempt left behind would be in the way of the next one.
      await claw.stop();
      claw = await start();
      if (attempt < attempts) continue;
      if (late && lenient) return null;
      throw new Error(`${name}: ${err.message}`, { cause: err });
    }
  }
}

function gaveUp({ end }, lines) {
  return end === "final" && missedDeadline.test(JSON.stringify(lines.slice(1)));
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
  for (const trace of [claw.token, `${tmpdir()}/`, import.meta.dirname, userInfo().homedir + "/", `host=${hostname()}`]) {
    if (text.includes(trace)) throw new Error(`the recording holds ${JSON.stringify(trace)} of this machine`);
  }
  // The port's digits alone may be a part of any id or time.
  const port = new RegExp(`(?:127\\.0\\.0\\.1|localhost|\\[::1\\]):${claw.port}\\b|\\bport\\W{1,4}${claw.port}\\b`, "i").exec(text);
  if (port) throw new Error(`the recording holds ${JSON.stringify(port[0])} of this machine`);
  return text;
}

// OpenClaw itself: its gateway in a home of its own on loopback, and a connection to
// it by its WebSocket protocol (version 4 of @openclaw/gateway-protocol).
import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { createWriteStream } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { once } from "node:events";
import { setTimeout as pause } from "node:timers/promises";

const program = new URL("node_modules/openclaw/openclaw.mjs", import.meta.url).pathname;

export class OpenClaw {
  frames = []; // every event of the gateway, in order
  #listeners = new Set();
  #calls = new Map();

  // start runs a gateway whose only model is at modelURL, and connects to it.
  static async start(modelURL) {
    const claw = new OpenClaw();
    claw.home = await mkdtemp(join(tmpdir(), "openclaw-real-"));
    claw.workspace = join(claw.home, "workspace");
    claw.token = randomUUID();
    claw.port = await freePort();
    await mkdir(claw.workspace);
    await mkdir(join(claw.home, ".openclaw"));
    const config = join(claw.home, ".openclaw", "openclaw.json");
    await writeFile(config, JSON.stringify(configuration(claw, modelURL), null, 2), { mode: 0o600 });
    claw.log = join(claw.home, "gateway.log");
    const log = createWriteStream(claw.log);
    claw.process = spawn(process.execPath, [program, "gateway", "run"], {
      cwd: claw.home,
      stdio: ["ignore", "pipe", "pipe"],
      // Nothing of this machine reaches it: it has no keys, no proxy, no other home.
      env: {
        PATH: "/usr/local/bin:/usr/bin:/bin",
        HOME: claw.home,
        TMPDIR: claw.home,
        USER: "openclaw",
        LANG: "C.UTF-8",
        OPENCLAW_HOME: claw.home,
        OPENCLAW_STATE_DIR: join(claw.home, ".openclaw"),
        OPENCLAW_CONFIG_PATH: config,
        OPENCLAW_NO_AUTO_UPDATE: "1",
        OPENCLAW_DISABLE_BONJOUR: "1",
        OPENCLAW_NO_RESPAWN: "1",
        OPENCLAW_SKIP_CHANNELS: "1",
        OPENCLAW_SKIP_BROWSER_CONTROL_SERVER: "1",
      },
    });
    claw.process.stdout.pipe(log);
    claw.process.stderr.pipe(log);
    claw.exited = once(claw.process, "exit");
    try {
      await claw.#connect();
    } catch (err) {
      await claw.stop({ keep: true });
      throw new Error(`OpenClaw did not start (see ${claw.log}): ${err.message}`);
    }
    return claw;
  }

  async stop({ keep = false } = {}) {
    this.socket?.close();
    if (this.process.exitCode === null) this.process.kill("SIGTERM");
    const late = setTimeout(() => this.process.kill("SIGKILL"), 30_000);
    await this.exited;
    clearTimeout(late);
    if (!keep) await rm(this.home, { recursive: true, force: true });
  }

  // call sends a request and gives its payload. It throws what the gateway refuses.
  call(method, params) {
    const id = randomUUID();
    return new Promise((resolve, reject) => {
      this.#calls.set(id, { method, resolve, reject });
      this.socket.send(JSON.stringify({ type: "req", id, method, params }));
    });
  }

  // until waits for an event, among those that came since from and those that will.
  until(matches, from, seconds = 180) {
    return new Promise((resolve, reject) => {
      const listener = (frame) => {
        if (!matches(frame)) return false;
        this.#listeners.delete(listener);
        clearTimeout(late);
        resolve(frame);
        return true;
      };
      const late = setTimeout(() => {
        this.#listeners.delete(listener);
        reject(new Error(`nothing after ${seconds} s; the last event: ${JSON.stringify(this.frames.at(-1)).slice(0, 300)}`));
      }, seconds * 1000);
      if (this.frames.slice(from).some(listener)) return;
      this.#listeners.add(listener);
      this.exited.then(() => {
        clearTimeout(late);
        reject(new Error("the gateway exited"));
      });
    });
  }

  async #connect() {
    for (;;) {
      if (this.process.exitCode !== null) throw new Error(`exit code ${this.process.exitCode}`);
      try {
        this.socket = await this.#open();
        this.hello = await this.#greet();
        return;
      } catch (err) {
        if (!err.retry) throw err;
        await pause(500);
      }
    }
  }

  #open() {
    return new Promise((resolve, reject) => {
      const socket = new WebSocket(`ws://127.0.0.1:${this.port}`);
      socket.onerror = () => reject(Object.assign(new Error("no connection"), { retry: true }));
      socket.onmessage = (message) => {
        const frame = JSON.parse(message.data);
        if (frame.event === "connect.challenge") {
          socket.onmessage = (later) => this.#take(JSON.parse(later.data));
          socket.onclose = () => this.#lost();
          resolve(socket);
        }
      };
    });
  }

  async #greet() {
    try {
      return await this.call("connect", {
        minProtocol: 4,
        maxProtocol: 4,
        // The one kind of client that needs no pairing: a backend on the same machine.
        client: { id: "gateway-client", version: "1.0.0", platform: "linux", mode: "backend" },
        role: "operator",
        scopes: ["operator.read", "operator.write", "operator.admin"],
        caps: ["tool-events"],
        auth: { token: this.token },
      });
    } catch (err) {
      err.retry = err.code === "UNAVAILABLE";
      this.socket.close();
      throw err;
    }
  }

  #take(frame) {
    if (frame.type === "event") {
      this.frames.push(frame);
      for (const listener of [...this.#listeners]) listener(frame);
      return;
    }
    const call = this.#calls.get(frame.id);
    if (!call) return;
    this.#calls.delete(frame.id);
    if (frame.ok) call.resolve(frame.payload);
    else call.reject(Object.assign(new Error(`${call.method}: ${frame.error?.message}`), { code: frame.error?.code }));
  }

  #lost() {
    for (const call of this.#calls.values()) call.reject(new Error(`${call.method}: the gateway hung up`));
    this.#calls.clear();
  }
}

function configuration({ home, port, token, workspace }, modelURL) {
  return {
    gateway: {
      mode: "local",
      bind: "loopback",
      port,
      auth: { mode: "token", token },
      controlUi: { enabled: false },
      http: { endpoints: { chatCompletions: { enabled: true }, responses: { enabled: true } } },
    },
    update: { checkOnStart: false },
    telemetry: { enabled: false },
    discovery: { mdns: { mode: "off" } },
    logging: { file: join(home, "openclaw.log") },
    models: {
      mode: "replace",
      catalogRefresh: { enabled: false },
      providers: {
        scripted: {
          baseUrl: modelURL,
          apiKey: "scripted",
          api: "openai-completions",
          models: [
            {
              id: "scripted",
              name: "Scripted",
              reasoning: false,
              input: ["text"],
              cost: { input: 0, output: 0, cacheRead: 0, cacheWrite: 0 },
              contextWindow: 128000,
              maxTokens: 4096,
            },
          ],
        },
      },
    },
    agents: {
      defaults: {
        model: { primary: "scripted/scripted" },
        workspace,
        skipBootstrap: true,
        heartbeat: { every: "0m" },
      },
    },
  };
}

async function freePort() {
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
}

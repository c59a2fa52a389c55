// Claude Code as a person has it, in a terminal (tmux): it shows what goes on, turns a
// long call into a task, and the end of the task wakes its model, also when the server
// was killed and started again in between.
//
// SCREENS=folder keeps what its screen showed.
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { Model } from "./model.mjs";
import { nothingLeft } from "./processes.mjs";

const binary = fileURLToPath(new URL("../../bin/openclaw-mcp", import.meta.url));
const claude = fileURLToPath(new URL("node_modules/.bin/claude", import.meta.url));
const patience = 120_000;
const key = "sk-ant-of-nobody-0000000000000000000000";

// A person at Claude Code, whose model calls one tool once.
class Person {
  static async start(t, tool, args, install) {
    assert.ok(existsSync(claude) && existsSync(binary), "make agents installs and builds all");
    const p = Object.assign(new Person(), { home: mkdtempSync(join(tmpdir(), "openclaw-interactive-")), children: [] });
    p.project = join(p.home, "project");
    mkdirSync(p.project);
    p.socket = join(p.home, "tmux");
    t.after(() => p.end());
    p.model = await Model.start("messages", {
      names: [tool], tool, args,
      final: (conversation) => (/task-notification.*Done waiting/.test(conversation) ? "The reply has woken me." : /all linked/.test(conversation) ? "The build has ended." : "I go on meanwhile."),
    });
    p.env = {
      PATH: process.env.PATH, HOME: p.home, TMPDIR: p.home, TERM: "xterm-256color",
      ANTHROPIC_BASE_URL: p.model.url, ANTHROPIC_API_KEY: key,
      CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1", DISABLE_AUTOUPDATER: "1",
    };
    // Whoever has used it has been through its first questions.
    writeFileSync(join(p.home, ".claude.json"), JSON.stringify({
      hasCompletedOnboarding: true, theme: "dark",
      customApiKeyResponses: { approved: [key.slice(-20)], rejected: [] },
      projects: { [p.project]: { hasTrustDialogAccepted: true, allowedTools: [] } },
    }));
    await install(p);
    p.tmux("new-session", "-d", "-s", "claude", "-x", "110", "-y", "40", "-c", p.project,
      ...Object.entries(p.env).flatMap(([name, value]) => ["-e", `${name}=${value}`]), claude, "--allowedTools", "mcp__openclaw");
    await p.sees(/^❯/m);
    p.tmux("send-keys", "-t", "claude", "Ask the instance.");
    await p.sees(/❯\s+Ask the instance\./);
    p.tmux("send-keys", "-t", "claude", "Enter");
    return p;
  }

  tmux(...args) {
    return execFileSync("tmux", ["-S", this.socket, ...args], { encoding: "utf8", env: this.env });
  }

  run(...args) {
    execFileSync(binary, args, { cwd: this.project, env: this.env });
  }

  // serve starts the server in the background and waits until it says that it serves.
  async serve(...args) {
    const child = spawn(binary, args, { env: { ...this.env, OPENCLAW_MCP_TASK_AFTER: "2s" }, stdio: ["pipe", "ignore", "pipe"] });
    this.children.push(child);
    let log = "";
    const ended = once(child, "exit").then(() => {
      throw new Error(`the server ended:\n${log}`);
    });
    ended.catch(() => {});
    await Promise.race([ended, new Promise((resolve) => {
      child.stderr.setEncoding("utf8").on("data", (chunk) => {
        log += chunk;
        if (log.includes("serving MCP")) resolve();
      });
    })]);
    return child;
  }

  // sees waits until the screen shows something.
  async sees(pattern) {
    const deadline = performance.now() + patience;
    for (;;) {
      this.screen = this.tmux("capture-pane", "-p", "-t", "claude");
      if (pattern.test(this.screen)) return this.keep();
      assert.ok(performance.now() < deadline, `${pattern} was not seen; the screen shows:\n${this.screen}\n${this.model?.problems.join("\n")}`);
      await sleep(100);
    }
  }

  keep() {
    if (!process.env.SCREENS) return;
    mkdirSync(process.env.SCREENS, { recursive: true });
    this.kept = (this.kept ?? 0) + 1;
    writeFileSync(join(process.env.SCREENS, `${Date.now()}-${this.kept}.txt`), this.screen);
  }

  async end() {
    try {
      this.tmux("kill-server");
    } catch {
      // It was not started.
    }
    for (const child of this.children) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      child.kill("SIGTERM");
      await once(child, "exit");
    }
    await nothingLeft(this.home);
    await this.model?.stop();
    rmSync(this.home, { recursive: true, force: true, maxRetries: 10 });
  }
}

async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
}

test("Claude Code: the end of a task wakes the model", { timeout: 2 * patience }, async (t) => {
  const p = await Person.start(t, "send_chat_message", { message: "wait 12 s" }, async (p) => {
    p.env.OPENCLAW_MCP_TASK_AFTER = "5s";
    p.run("install", "claude-code", "--local");
  });
  await p.sees(/Waiting, \d+s left/); // progress, as it comes
  await p.sees(/I go on meanwhile\.[^]*1 MCP task/); // the call has become a task
  await p.sees(/send_chat_message\) completed[^]*The reply has woken me\./);
  assert.deepEqual(p.model.problems, []);
});

test("Claude Code: a build shows the line that it is at", { timeout: 2 * patience }, async (t) => {
  const command = 'for part in 1 2 3 4 5; do echo "compiling part $((part * 11)) of the program"; sleep 1.6; done; echo all linked';
  const p = await Person.start(t, "exec_command", { command }, async (p) => p.run("install", "claude-code", "--local"));
  for (const part of [11, 33, 55]) await p.sees(new RegExp(`^ *⎿ +compiling part ${part} of the program$`, "m"));
  await p.sees(/The build has ended\./);
  assert.deepEqual(p.model.problems, []);
});

test("Claude Code: also when the server was killed and started again", { timeout: 2 * patience }, async (t) => {
  const port = await freePort();
  const address = ["--local", "--http", `127.0.0.1:${port}`];
  let server;
  const p = await Person.start(t, "send_chat_message", { message: "wait 12 s" }, async (p) => {
    await p.serve("--local"); // has the instance, and outlives the other
    server = await p.serve(...address);
    p.run("install", "claude-code", "--http", `http://127.0.0.1:${port}/mcp`);
  });
  await p.sees(/I go on meanwhile\.[^]*1 MCP task/);
  server.kill("SIGKILL");
  await once(server, "exit");
  await p.serve(...address);
  await p.sees(/send_chat_message\) completed[^]*The reply has woken me\./);
  assert.deepEqual(p.model.problems, []);
});

// The official TypeScript clients against the built binary on its embedded
// service: SDK v1 (legacy era) and v2 (modern era), over stdio and HTTP.
import assert from "node:assert/strict";
import { test } from "node:test";
import { connections, isV2 } from "./connections.mjs";

// call hides that the two SDKs order the arguments of callTool differently.
function call(client, name, args, options) {
  return isV2(client)
    ? client.callTool({ name, arguments: args }, options)
    : client.callTool({ name, arguments: args }, undefined, options);
}

for (const [name, connect] of Object.entries(connections)) {
  test(`${name}: a whole session`, async () => {
    const client = await connect();
    try {
      const version = client.getNegotiatedProtocolVersion?.();
      if (isV2(client)) assert.equal(version, "2026-07-28");

      const { tools } = await client.listTools();
      const names = tools.map((t) => t.name);
      for (const want of ["list_instances", "send_chat_message", "exec_command", "wait_run", "check_service"]) {
        assert.ok(names.includes(want), `${want} is listed`);
      }

      const listed = await call(client, "list_instances", {});
      assert.equal(listed.structuredContent.instances[0].status, "ready");

      const { session } = (await call(client, "create_chat_session", { title: "e2e" })).structuredContent;
      let streamed = "";
      let last = 0;
      const chat = await call(client, "send_chat_message", { session: session.id, message: "say one two three 🦞 four" }, {
        onprogress: (p) => {
          assert.ok(p.progress > last, "progress rises");
          last = p.progress;
          streamed += p._meta?.["openclaw-mcp/text"] ?? p.message ?? "";
        },
      });
      assert.equal(chat.structuredContent.status, "completed");
      for (const word of chat.structuredContent.reply.split(/\s+/)) {
        assert.ok(streamed.includes(word), `progress has the word ${word}`);
      }

      const exec = await call(client, "exec_command", { command: "echo out; echo err >&2; exit 3" });
      assert.deepEqual(
        [exec.structuredContent.stdout, exec.structuredContent.stderr, exec.structuredContent.exit_code],
        ["out\n", "err\n", 3],
      );

      await call(client, "write_file", { path: "/workspace/e2e.txt", content: "hällo\n" });
      const read = await call(client, "read_file", { path: "/workspace/e2e.txt" });
      assert.equal(read.structuredContent.content, "hällo\n");

      const wrong = await call(client, "list_files", { limit: -1 });
      assert.ok(wrong.isError && wrong.content[0].text.includes('"limit"'), "the error names the argument");
    } finally {
      await client.close();
    }
  });

  test(`${name}: an aborted call leaves the server usable, and a run behind`, async () => {
    const client = await connect();
    try {
      const abort = new AbortController();
      let began;
      const beginning = new Promise((resolve) => (began = resolve));
      const pending = call(client, "send_chat_message", { message: "wait 20" }, { signal: abort.signal, onprogress: began });
      await beginning;
      abort.abort("the user pressed stop");
      await assert.rejects(pending);
      const listed = await call(client, "list_runs", {});
      assert.ok(listed.structuredContent.runs.length > 0);
    } finally {
      await client.close();
    }
  });
}

// What the tests with the official TypeScript clients share: the built binary on its
// embedded service, and a client of each SDK (v1: protocol versions up to 2025-11-25,
// v2: 2026-07-28) over each transport.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { after, before } from "node:test";
import { fileURLToPath } from "node:url";
import * as v1client from "@modelcontextprotocol/sdk/client/index.js";
import * as v1stdio from "@modelcontextprotocol/sdk/client/stdio.js";
import * as v1http from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import * as v2 from "@modelcontextprotocol/client";
import * as v2stdio from "@modelcontextprotocol/client/stdio";

const binary = fileURLToPath(new URL("../bin/openclaw-mcp", import.meta.url));
export const isV2 = (client) => client instanceof v2.Client;

let server, url;

before(async () => {
  server = spawn(binary, ["--local", "--http", "127.0.0.1:0"], {
    env: { PATH: process.env.PATH, OPENCLAW_MCP_LOG_FORMAT: "json", OPENCLAW_MCP_STRUCTURED: "true" },
    stdio: ["ignore", "ignore", "pipe"],
  });
  for await (const line of createInterface({ input: server.stderr })) {
    const entry = JSON.parse(line);
    if (entry.msg.startsWith("serving MCP")) {
      url = new URL(entry.url);
      break;
    }
  }
  server.stderr.resume();
});

after(async () => {
  server.kill("SIGTERM");
  const [code] = await once(server, "exit");
  assert.equal(code, 0, "the server ends cleanly");
});

async function connected(client, transport) {
  await client.connect(transport);
  return client;
}

const info = { name: "e2e", version: "1" };
const stdioParams = { command: binary, args: ["--local"], env: { PATH: process.env.PATH, OPENCLAW_MCP_STRUCTURED: "true" }, stderr: "ignore" };
const newV1 = () => new v1client.Client(info);
const newV2 = () => new v2.Client(info, { versionNegotiation: { mode: "auto" } });

export const connections = {
  "SDK v1 over stdio": () => connected(newV1(), new v1stdio.StdioClientTransport(stdioParams)),
  "SDK v1 over HTTP": () => connected(newV1(), new v1http.StreamableHTTPClientTransport(url)),
  "SDK v2 over stdio": () => connected(newV2(), new v2stdio.StdioClientTransport(stdioParams)),
  "SDK v2 over HTTP": () => connected(newV2(), new v2.StreamableHTTPClientTransport(url)),
};

// The console at the server's address: the same pages behind its login.
import assert from "node:assert/strict";
import { createHash, generateKeyPairSync, randomUUID, sign } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { after, before, test } from "node:test";
import { console_, picture, serve, start, stop, until } from "./harness.mjs";

const token = "0123456789abcdef0123456789abcdef";

before(start);
after(stop);

async function served(t, env, args) {
  const server = await serve(env, args);
  t.after(() => server.end());
  return server;
}

test("a terminal, the desktop and a run, without a login", async (t) => {
  const server = await served(t);
  const page = await console_(t, server);
  await page.getByRole("button", { name: "Open the console" }).click();
  await page.page.getByRole("heading", { name: "Work" }).waitFor();
  const message = page.page.getByRole("textbox", { name: "Message to the agent" });
  await message.fill("run: echo by-console-$((40+2))");
  await page.page.getByRole("button", { name: "Send" }).click();
  await page.page.getByText("by-console-42").first().waitFor();
  await message.fill("half a thought");

  await page.getByRole("button", { name: "Terminal", exact: true }).click();
  const field = page.page.getByRole("textbox", { name: "Terminal: type here" });
  await field.focus();
  await page.page.getByText(/^open ·/).waitFor();
  await page.keyboard.type("echo typed-$((20+3))\n");
  await until("the output", async () => (await page.page.locator(".xterm-rows").innerText()).includes("typed-23"));

  await page.getByRole("button", { name: "Desktop" }).click();
  await page.page.getByText(/^instance .* · \d+×\d+$/).waitFor();
  await page.page.getByRole("button", { name: "Take over" }).click();
  await page.page.getByText("Your turn").waitFor();

  // What was opened before is still there.
  await page.getByRole("button", { name: "Terminal", exact: true }).click();
  await until("the same terminal", async () => (await page.page.locator(".xterm-rows").innerText()).includes("typed-23"));
  await page.getByRole("button", { name: "Connect a client" }).click();
  await page.getByRole("heading", { name: "Connect a client" }).waitFor();
  await page.getByRole("button", { name: "Work", exact: true }).click();
  await message.waitFor();
  assert.equal(await message.inputValue(), "half a thought");
  assert.deepEqual(page.complaints, []);
  assert.deepEqual(await page.evaluate(() => window.violations), []);
});

test("a token is asked for, kept for the tab, and forgotten", async (t) => {
  const server = await served(t, { OPENCLAW_MCP_AUTH: "token", OPENCLAW_MCP_TOKENS: `alice:${token}` });
  const page = await console_(t, server);
  const field = page.getByLabel("Token", { exact: true });
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByText("Type your token first.").waitFor();
  await field.fill("wrong-0123456789abcdef0123456789");
  await page.keyboard.press("Enter");
  await page.getByText("This token was not taken. Copy the whole token, or ask whoever runs this server for a new one").waitFor();
  await field.fill(`“${token}”`);
  await page.keyboard.press("Enter");
  await page.getByText(/characters that none has, such as curly quotes/).waitFor();
  await field.fill(token);
  await page.keyboard.press("Enter");
  await page.page.getByRole("heading", { name: "Work" }).waitFor();
  assert.equal(await field.inputValue(), "");
  await page.reload();
  await page.page.getByRole("heading", { name: "Work" }).waitFor();
  await page.getByRole("button", { name: "Sign out" }).click();
  await field.waitFor();
  assert.equal(await page.evaluate(() => JSON.stringify([{ ...sessionStorage }, { ...localStorage }, document.cookie])), '[{},{},""]');
  await page.reload();
  await field.waitFor();
});

// A service that knows one key and has some instances, and those that are added.
async function service(t, key, instances = 1, added = [], state = {}) {
  const server = createServer((req, res) => {
    if (state.down) {
      res.writeHead(503);
      res.end();
      return;
    }
    const known = req.headers.authorization === `Bearer ${key}`;
    const now = new Date().toISOString();
    const body = !known ? { detail: "invalid API key" } : req.url.endsWith("/instances")
      ? [...Array.from({ length: instances }, (_, i) => `7d3f4a52-6a53-4b0a-9a65-0d1f6a1c${String(i).padStart(4, "0")}`), ...added].map((id, i) => ({ id, status: "ready", sandbox_id: `sb-${i}`, created_at: now, updated_at: now })) : [];
    res.writeHead(known ? 200 : 401, { "content-type": "application/json" });
    res.end(JSON.stringify(body));
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  return `http://127.0.0.1:${server.address().port}/api`;
}

test("an OpenClaw key is asked for; one that the service does not know is not signed in", async (t) => {
  const key = "sk_live_0123456789abcdef";
  const server = await served(t, { OPENCLAW_MCP_AUTH: "key", OPENCLAW_API_BASE_URL: await service(t, key) }, ["--http", "127.0.0.1:0"]);
  const page = await console_(t, server);
  const field = page.getByLabel("OpenClaw API key", { exact: true });
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByText("Type your OpenClaw API key first.").waitFor();
  await field.fill("sk_live_wrong");
  await page.keyboard.press("Enter");
  await page.getByText("This key was not taken. Copy the whole OpenClaw API key from your account, and sign in again.").waitFor();
  await picture(page, "console-wrong-key");
  assert.ok(await field.evaluate((f) => f === document.activeElement));
  assert.equal(await page.evaluate(() => sessionStorage.length), 0);
  await field.fill(key);
  await page.keyboard.press("Enter");
  await page.page.getByText("1 instance ·").waitFor();
  await page.getByRole("button", { name: "Sign out" }).click();
  await field.waitFor();
  assert.equal(await page.evaluate(() => sessionStorage.length), 0);
});

test("an instance that was made since can be chosen", async (t) => {
  const key = "sk_live_0123456789abcdef", added = [];
  const server = await served(t, { OPENCLAW_MCP_AUTH: "key", OPENCLAW_API_BASE_URL: await service(t, key, 1, added) }, ["--http", "127.0.0.1:0"]);
  const page = await console_(t, server);
  await page.getByLabel("OpenClaw API key", { exact: true }).fill(key);
  await page.keyboard.press("Enter");
  await page.page.getByText("1 instance ·").waitFor();
  added.push("9e3f4a52-6a53-4b0a-9a65-0d1f6a1c2b3f");
  await page.getByRole("button", { name: "Desktop" }).click();
  await until("the other instance", () => page.locator("#console-instance option").count().then((n) => n === 2));
});

test("what is begun in Work stays, for the instance that was chosen there, until the person signs out", async (t) => {
  const key = "sk_live_0123456789abcdef";
  const server = await served(t, { OPENCLAW_MCP_AUTH: "key", OPENCLAW_API_BASE_URL: await service(t, key, 2) }, ["--http", "127.0.0.1:0"]);
  const page = await console_(t, server);
  const field = page.getByLabel("OpenClaw API key", { exact: true });
  const message = page.page.getByRole("textbox", { name: "Message to the agent" });
  const chosen = (nth) => page.page.locator(`#instances li:nth-child(${nth}) [aria-pressed=true]`).waitFor();
  const signIn = async () => {
    await field.fill(key);
    await page.keyboard.press("Enter");
    await message.waitFor();
  };
  await signIn();
  await chosen(1);
  await page.page.locator("#instances li:nth-child(2) button").click();
  await chosen(2);
  await message.fill("half a thought");
  await page.getByRole("button", { name: "Connect a client" }).click();
  await page.getByRole("button", { name: "Work", exact: true }).click();
  await message.waitFor();
  await chosen(2);
  assert.equal(await message.inputValue(), "half a thought");
  const select = page.getByLabel("Instance", { exact: true });
  for (const nth of [2, 1]) { // the console's own choice counts where it changes
    await select.selectOption({ index: nth - 1 });
    await chosen(nth);
  }
  assert.equal(await message.inputValue(), "half a thought");
  await page.getByRole("button", { name: "Sign out" }).click();
  assert.equal(await page.locator("iframe").count(), 0);
  await signIn();
  assert.equal(await message.inputValue(), "");
});

test("at 400 % there is room for more than the console's own buttons", async (t) => {
  const server = await served(t, { OPENCLAW_MCP_AUTH: "token", OPENCLAW_MCP_TOKENS: `alice:${token}` });
  const page = await console_(t, server, { width: 320, height: 256 });
  await page.getByLabel("Token", { exact: true }).fill(token);
  await page.keyboard.press("Enter");
  await page.page.getByText(/^1 instance ·/).waitFor();
  for (const [view, ready] of [["Work", /^1 instance ·/], ["Desktop", /^instance .* · \d+×\d+$/], ["Terminal", /^open ·/]]) {
    await page.getByRole("button", { name: view, exact: true }).click();
    await page.page.getByText(ready).waitFor();
    await picture(page, `console-400-${view}`);
    const { top, wide } = await page.evaluate(() => ({
      top: document.querySelector("iframe:not([hidden])").getBoundingClientRect().top + scrollY, wide: document.documentElement.scrollWidth,
    }));
    assert.ok(top <= 150 && wide <= 320, `${view} begins at ${top} of 256 pixels, in a page of ${wide}`);
  }
  await page.getByLabel("Instance", { exact: true }).waitFor();
});

test("what is wrong with the service is said until it is over", async (t) => {
  const key = "sk_live_0123456789abcdef", state = {};
  const server = await served(t, { OPENCLAW_MCP_AUTH: "key", OPENCLAW_API_BASE_URL: await service(t, key, 1, [], state) }, ["--http", "127.0.0.1:0"]);
  const page = await console_(t, server);
  await page.getByLabel("OpenClaw API key", { exact: true }).fill(key);
  await page.keyboard.press("Enter");
  await page.page.getByText("1 instance ·").waitFor();
  state.down = true;
  await page.page.locator("#say.bad", { hasText: "503" }).waitFor();
  state.down = false;
  await page.page.locator("#say:not(.bad)").waitFor({ state: "attached" }); // an empty line is not seen
});

test("a server that takes no more requests is not said to be out of reach", async (t) => {
  const server = await served(t);
  const page = await console_(t, server);
  await page.getByRole("button", { name: "Open the console" }).click();
  await page.page.getByText("1 instance ·").waitFor();
  await page.route("**/mcp", (route) => route.fulfill({
    status: 429, contentType: "application/json", headers: { "Retry-After": "1" },
    json: { jsonrpc: "2.0", id: JSON.parse(route.request().postData()).id, error: { code: -32029, message: "too many requests: wait 1 s, then go on more slowly; nothing was done" } },
  }));
  await page.page.getByText(/^The server takes no more requests for the moment\. Trying again every \d+ s\.$/).waitFor();
  await page.unrouteAll();
  await page.page.getByText("The server is back.").waitFor();
});

test("instances that there is no room for are counted", async (t) => {
  const key = "sk_live_0123456789abcdef";
  const server = await served(t, { OPENCLAW_MCP_AUTH: "key", OPENCLAW_API_BASE_URL: await service(t, key, 3000) }, ["--http", "127.0.0.1:0"]);
  const page = await console_(t, server);
  await page.getByLabel("OpenClaw API key", { exact: true }).fill(key);
  await page.keyboard.press("Enter");
  await page.page.getByText(/^\d+ of 3,000 instances ·/).waitFor();
});

test("a sign-in that ends says so", async (t) => {
  const folder = mkdtempSync(`${tmpdir()}/openclaw-tokens-`);
  t.after(() => rmSync(folder, { recursive: true }));
  writeFileSync(`${folder}/tokens`, `alice:${token}\n`, { mode: 0o600 });
  const server = await served(t, { OPENCLAW_MCP_AUTH: "token", OPENCLAW_MCP_TOKENS_FILE: `${folder}/tokens` });
  const page = await console_(t, server);
  const field = page.getByLabel("Token", { exact: true });
  await field.fill(token);
  await page.keyboard.press("Enter");
  await page.page.getByText(/^1 instance ·/).waitFor();
  writeFileSync(`${folder}/tokens`, `alice:${token.split("").reverse().join("")}\n`, { mode: 0o600 });
  await page.getByText("Your sign-in has ended. Sign in again.").waitFor();
  await picture(page, "console-ended");
  assert.equal(await page.locator("iframe").count(), 0);
  assert.ok(await field.evaluate((f) => f === document.activeElement));
});

test("a reload goes on with the terminal; a new one takes its place, or that of one that has ended", async (t) => {
  const server = await served(t, { OPENCLAW_MCP_TERMINALS: "1" });
  const page = await console_(t, server);
  const terminal = async () => {
    await page.getByRole("button", { name: "Terminal", exact: true }).click();
    await page.page.getByText(/^open ·/).waitFor();
    await page.page.getByRole("textbox", { name: "Terminal: type here" }).focus();
  };
  const shows = (text) => page.page.locator(".xterm-rows").getByText(text).first().waitFor();
  await page.getByRole("button", { name: "Open the console" }).click();
  await terminal();
  await page.keyboard.type("echo be''fore\n");
  await shows("before");
  await page.reload();
  await page.getByRole("button", { name: "Open the console" }).click();
  await terminal();
  await shows("before");
  await page.getByRole("button", { name: "New terminal" }).click();
  await page.page.getByText(/^open ·/).waitFor();
  await page.page.locator(".xterm-rows", { hasNotText: "before" }).waitFor();
  await page.page.getByRole("textbox", { name: "Terminal: type here" }).focus();
  await page.keyboard.type("exit\n");
  await page.page.getByText(/This terminal is exited/).waitFor();
  await terminal();
});

test("an instance is rebooted once the person has said yes", async (t) => {
  const server = await served(t);
  const page = await console_(t, server);
  await page.getByRole("button", { name: "Open the console" }).click();
  await page.page.getByRole("button", { name: "Shut down", exact: true }).click();
  await page.page.getByText(/^It shuts instance .* down and ends everything that runs on it. Go ahead\?$/).waitFor();
  await page.page.getByRole("button", { name: "No", exact: true }).click();
  await page.page.getByText("Nothing was done.").waitFor();
  await page.page.getByRole("button", { name: "Shut down", exact: true }).click();
  await page.page.getByRole("button", { name: "Yes, shut it down" }).click();
  await page.page.getByRole("button", { name: "Start", exact: true }).click();
  await page.page.getByRole("button", { name: "Yes, start it" }).click();
  await page.page.getByRole("button", { name: "Reboot", exact: true }).waitFor();
  assert.deepEqual(page.complaints, []);
});

test("a double click on the tab opens one terminal", async (t) => {
  const server = await served(t);
  const page = await console_(t, server);
  await page.getByRole("button", { name: "Open the console" }).click();
  await page.page.getByText(/^1 instance ·/).waitFor();
  let opened = 0, go;
  const held = new Promise((done) => (go = done));
  await page.route("**/mcp", async (route) => {
    if (route.request().postData().includes('"open_terminal"')) {
      opened++;
      await held;
    }
    await route.fallback();
  });
  const tab = page.getByRole("button", { name: "Terminal", exact: true });
  await tab.dblclick();
  go();
  await page.page.getByText(/^open ·/).waitFor();
  await tab.click();
  await page.page.getByText(/^open ·/).waitFor();
  assert.equal(opened, 1);
});

test("back, forward and a reload lead to what was looked at", async (t) => {
  const server = await served(t, { OPENCLAW_MCP_AUTH: "token", OPENCLAW_MCP_TOKENS: `alice:${token}` });
  const page = await console_(t, server);
  const work = page.page.getByText(/^1 instance ·/), terminal = page.page.getByText(/^open ·/), desktop = page.page.getByText(/^instance .* · \d+×\d+$/);
  await page.getByLabel("Token", { exact: true }).fill(token);
  await page.keyboard.press("Enter");
  await work.waitFor();
  await page.getByRole("button", { name: "Terminal", exact: true }).click();
  await terminal.waitFor();
  await page.getByRole("button", { name: "Desktop" }).click();
  await desktop.waitFor();
  await page.goBack();
  await terminal.waitFor();
  await page.goBack();
  await work.waitFor();
  await page.goForward();
  await terminal.waitFor();
  await page.reload();
  await terminal.waitFor();
  assert.equal(await page.getByRole("button", { name: "Terminal", exact: true }).getAttribute("aria-pressed"), "true");
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.goBack();
  await page.getByLabel("Token", { exact: true }).waitFor();
  assert.equal(await page.locator("iframe").count(), 0);
});

test("a question that somebody else has answered is not answered again, and says so", async (t) => {
  const other = token.split("").reverse().join("");
  const server = await served(t, { OPENCLAW_MCP_AUTH: "token", OPENCLAW_MCP_TOKENS: `alice:${token},bob:${other}` });
  const signedIn = async (as) => {
    const page = await console_(t, server);
    await page.getByLabel("Token", { exact: true }).fill(as);
    await page.keyboard.press("Enter");
    await page.page.getByText(/^1 instance ·/).waitFor();
    return page;
  };
  const send = async (page, field, text) => {
    await page.page.getByRole("textbox", { name: field }).fill(text);
    await page.keyboard.press("Control+Enter");
  };
  const alice = await signedIn(token);
  await send(alice, "Message to the agent", "say Which colour do you want?");
  await alice.page.getByText("1 question waits for you").waitFor();
  const bob = await signedIn(other);
  await send(bob, "Message to the agent", "say Blue");
  await bob.page.locator("pre", { hasText: "Blue" }).waitFor();

  await send(alice, "Answer the agent", "say Red");
  await alice.page.getByText("This question no longer waits: somebody has answered it, or has written to its session since. Nothing was sent. To send it all the same, press the button again.").waitFor();
  await alice.page.getByText("question waits").waitFor({ state: "detached" });
  assert.equal(await alice.page.locator("pre", { hasText: "Red" }).count(), 0);
  await alice.page.getByRole("button", { name: "Send answer" }).click();
  await alice.page.locator("pre", { hasText: "Red" }).waitFor();
});

test("a page that can’t be loaded says so, and comes once the server is back", async (t) => {
  const first = await served(t);
  const page = await console_(t, first);
  await page.getByRole("button", { name: "Open the console" }).click();
  await page.page.getByText(/^1 instance ·/).waitFor();
  first.child.kill("SIGKILL");
  await once(first.child, "exit");
  await page.getByRole("button", { name: "Desktop" }).click();
  await page.getByText("The page can’t be loaded: the server can’t be reached. Trying again every 5 s.").waitFor();
  await served(t, {}, ["--local", "--http", new URL(first.origin).host]);
  await page.page.getByText(/^instance .* · \d+×\d+$/).waitFor();
  assert.equal(await page.locator("#console-say").innerText(), "");
});

test("a terminal that a new server does not have is not shown as open", async (t) => {
  const first = await served(t);
  const page = await console_(t, first);
  await page.getByRole("button", { name: "Open the console" }).click();
  await page.getByRole("button", { name: "Terminal", exact: true }).click();
  await page.page.getByText(/^open ·/).waitFor();
  first.child.kill("SIGKILL");
  await once(first.child, "exit");
  await served(t, { HOME: first.home }, ["--local", "--http", new URL(first.origin).host]);
  await page.page.getByText("not followed", { exact: true }).waitFor();
  assert.doesNotMatch(await page.page.locator("#say").innerText(), /What happened|open_terminal|follow_terminal/);
  assert.ok(await page.page.getByRole("button", { name: "Take over" }).isDisabled());
  await page.getByRole("button", { name: "New terminal" }).click();
  await page.page.getByText(/^open ·/).waitFor();
});

test("who may only read sees no terminal", async (t) => {
  const server = await served(t, { OPENCLAW_MCP_READ_ONLY: "true" });
  const page = await console_(t, server);
  await page.getByRole("button", { name: "Open the console" }).click();
  await page.page.getByRole("heading", { name: "Work" }).waitFor();
  assert.equal(await page.getByRole("button", { name: "Terminal", exact: true }).count(), 0);
  await page.getByRole("button", { name: "Desktop" }).click();
  await page.page.getByText(/^instance .* · \d+×\d+$/).waitFor();
  await page.page.getByRole("button", { name: "Take over" }).click();
  await page.page.getByText(/^This is not allowed: this server is read-only/).waitFor();
});

// An authorization server with the code flow, PKCE and registration. Its tokens live so many
// seconds, and can be renewed so many times.
async function issuer(t, lives = 3600, renewals = 0, elsewhere = false) {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const codes = new Map();
  const clients = new Set();
  const refreshes = new Map();
  const answer = async (req, res) => {
    const url = new URL(req.url, origin);
    const json = (status, body) => {
      res.writeHead(status, { "content-type": "application/json", "access-control-allow-origin": "*", "access-control-allow-headers": "content-type" });
      res.end(JSON.stringify(body));
    };
    let body = "";
    for await (const part of req) body += part;
    if (req.method === "OPTIONS") return json(200, {});
    switch (url.pathname) {
      case "/.well-known/oauth-authorization-server":
      case "/.well-known/openid-configuration":
        return json(200, {
          issuer: origin, jwks_uri: `${origin}/keys`, authorization_endpoint: `${origin}/authorize`, token_endpoint: `${tokens}/token`,
          registration_endpoint: `${origin}/register`, code_challenge_methods_supported: ["S256"],
        });
      case "/keys":
        return json(200, { keys: [{ ...publicKey.export({ format: "jwk" }), kid: "k", alg: "ES256", use: "sig" }] });
      case "/register": {
        const id = randomUUID();
        clients.add(id);
        return json(201, { client_id: id, ...JSON.parse(body) });
      }
      case "/authorize": {
        const q = url.searchParams;
        const back = new URL(q.get("redirect_uri"));
        back.searchParams.set("state", q.get("state"));
        back.searchParams.set("iss", origin);
        if (!clients.has(q.get("client_id")) || q.get("code_challenge_method") !== "S256") back.searchParams.set("error", "invalid_request");
        else {
          const code = randomUUID();
          codes.set(code, { challenge: q.get("code_challenge"), client: q.get("client_id"), audience: q.get("resource") });
          back.searchParams.set("code", code);
        }
        res.writeHead(302, { location: back.href });
        return res.end();
      }
      case "/token": {
        const q = new URLSearchParams(body);
        const renewal = q.get("grant_type") === "refresh_token";
        const [from, key] = renewal ? [refreshes, q.get("refresh_token")] : [codes, q.get("code")];
        const code = from.get(key);
        from.delete(key); // good once
        if (!code || code.client !== q.get("client_id") || (!renewal && createHash("sha256").update(q.get("code_verifier")).digest("base64url") !== code.challenge)) {
          return json(400, { error: "invalid_grant", error_description: "the code is not good" });
        }
        const part = (v) => Buffer.from(JSON.stringify(v)).toString("base64url");
        const now = Math.floor(Date.now() / 1000);
        const text = `${part({ alg: "ES256", kid: "k", typ: "at+jwt" })}.${part({ iss: origin, sub: "alice", aud: code.audience, iat: now, exp: now + lives, client_id: code.client })}`;
        const signature = sign("sha256", Buffer.from(text), { key: privateKey, dsaEncoding: "ieee-p1363" }).toString("base64url");
        const more = {};
        if (renewals-- > 0) refreshes.set((more.refresh_token = randomUUID()), code);
        return json(200, { access_token: `${text}.${signature}`, token_type: "Bearer", expires_in: lives, ...more });
      }
    }
    res.writeHead(404);
    res.end();
  };
  const listen = async () => {
    const server = createServer(answer).listen(0, "127.0.0.1");
    await once(server, "listening");
    t.after(() => server.close());
    return `http://127.0.0.1:${server.address().port}`;
  };
  const origin = await listen(), tokens = elsewhere ? await listen() : origin;
  return origin;
}

test("signs in with OAuth", async (t) => {
  const at = await issuer(t);
  const server = await served(t, {
    OPENCLAW_MCP_AUTH: "oauth", OPENCLAW_MCP_OAUTH_ISSUER: at, OPENCLAW_MCP_PUBLIC_URL: "https://claw.example.org/mcp", OPENCLAW_MCP_ALLOWED_HOSTS: "127.0.0.1",
  });
  const page = await console_(t, server);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.page.getByRole("heading", { name: "Work" }).waitFor();
  assert.equal(new URL(page.url()).search, "", "the code is gone from the address");
  await page.reload();
  await page.page.getByRole("heading", { name: "Work" }).waitFor();
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.goto(`${server.origin}/?code=x&state=y`);
  await page.getByRole("button", { name: "Sign in" }).waitFor();
  assert.equal(await page.evaluate(() => document.body.classList.contains("in")), false, "a code that nobody asked for signs nobody in");
});

// The server allows clocks to differ by half a minute.
const leeway = 30;

test("a sign-in with OAuth that expires while the console is open says so, and is made again", async (t) => {
  const at = await issuer(t, 15 - leeway);
  const server = await served(t, {
    OPENCLAW_MCP_AUTH: "oauth", OPENCLAW_MCP_OAUTH_ISSUER: at, OPENCLAW_MCP_PUBLIC_URL: "https://claw.example.org/mcp", OPENCLAW_MCP_ALLOWED_HOSTS: "127.0.0.1",
  });
  const page = await console_(t, server);
  const signIn = page.getByRole("button", { name: "Sign in" });
  const ended = page.getByText("Your sign-in has ended. Sign in again.");
  await signIn.click();
  await page.page.getByRole("heading", { name: "Work" }).waitFor();
  await ended.waitFor();
  await picture(page, "console-oauth-ended");
  assert.equal(await page.locator("iframe").count(), 0);
  assert.ok(await signIn.evaluate((b) => b === document.activeElement));
  assert.equal(await page.evaluate(() => sessionStorage.length), 0);

  // In a terminal, and with a call of the console's own that is refused.
  await signIn.click();
  await page.getByRole("button", { name: "Terminal", exact: true }).click();
  await page.page.getByText(/^open ·/).waitFor();
  await ended.waitFor();
  assert.equal(await page.locator("iframe").count(), 0);
  await signIn.waitFor();
});

test("a sign-in with OAuth that expires is renewed as long as it can be", async (t) => {
  const at = await issuer(t, 8 - leeway, 2);
  const server = await served(t, {
    OPENCLAW_MCP_AUTH: "oauth", OPENCLAW_MCP_OAUTH_ISSUER: at, OPENCLAW_MCP_PUBLIC_URL: "https://claw.example.org/mcp", OPENCLAW_MCP_ALLOWED_HOSTS: "127.0.0.1",
  });
  const page = await console_(t, server);
  const tokens = [];
  page.on("response", async (r) => r.url() === `${at}/token` && tokens.push(r.status()));
  const renewal = () => page.waitForResponse((r) => r.url() === `${at}/token` && r.request().postData()?.includes("refresh_token="));
  const first = renewal();
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("button", { name: "Terminal", exact: true }).click();
  await page.page.getByText(/^open ·/).waitFor();
  await first;
  const second = renewal();
  // The same terminal goes on, and what is typed arrives.
  await page.page.getByRole("textbox", { name: "Terminal: type here" }).focus();
  await page.keyboard.type("echo re''newed\n");
  await page.page.locator(".xterm-rows").getByText("renewed").first().waitFor();
  assert.equal(await page.locator("iframe:visible").count(), 1);
  await second;
  await page.getByText("Your sign-in has ended. Sign in again.").waitFor();
  assert.equal(await page.evaluate(() => sessionStorage.length), 0);
  assert.deepEqual(tokens, [200, 200, 200, 400]);
});

test("signs in where an authorization server gives tokens elsewhere", async (t) => {
  const server = await served(t, {
    OPENCLAW_MCP_AUTH: "oauth", OPENCLAW_MCP_OAUTH_ISSUER: await issuer(t, 3600, 0, true), OPENCLAW_MCP_PUBLIC_URL: "https://claw.example.org/mcp", OPENCLAW_MCP_ALLOWED_HOSTS: "127.0.0.1",
  });
  // The server hears of it when it asks for the keys.
  await until("the policy", async () => (await fetch(server.origin)).headers.get("content-security-policy").match(/connect-src[^;]*/)[0].split(" ").length === 4);
  const page = await console_(t, server);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.page.getByRole("heading", { name: "Work" }).waitFor();
});

test("an authorization server that gives tokens where the page may not ask is said to be out of reach", async (t) => {
  const at = await issuer(t);
  const server = await served(t, {
    OPENCLAW_MCP_AUTH: "oauth", OPENCLAW_MCP_OAUTH_ISSUER: at, OPENCLAW_MCP_PUBLIC_URL: "https://claw.example.org/mcp", OPENCLAW_MCP_ALLOWED_HOSTS: "127.0.0.1",
  });
  const page = await console_(t, server);
  await page.route("**/.well-known/oauth-authorization-server", async (route) => {
    const response = await route.fetch();
    await route.fulfill({ response, json: { ...(await response.json()), token_endpoint: "http://127.0.0.1:1/token" } });
  });
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByText(`127.0.0.1:1, where the authorization server gives tokens or registers clients, can’t be asked from this page, which may ask ${at} alone. Load it again.`).waitFor();
});

test("a tab that was opened from a signed-in one renews the sign-in with it", async (t) => {
  const at = await issuer(t, 8 - leeway, 2);
  const server = await served(t, {
    OPENCLAW_MCP_AUTH: "oauth", OPENCLAW_MCP_OAUTH_ISSUER: at, OPENCLAW_MCP_PUBLIC_URL: "https://claw.example.org/mcp", OPENCLAW_MCP_ALLOWED_HOSTS: "127.0.0.1",
  });
  const page = await console_(t, server);
  const tokens = [];
  page.context().on("response", (r) => r.url() === `${at}/token` && tokens.push(r.status()));
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.page.getByRole("heading", { name: "Work" }).waitFor();
  const [copy] = await Promise.all([page.waitForEvent("popup"), page.evaluate(() => void window.open(location.href))]);
  await copy.frameLocator("#console-page iframe").getByRole("heading", { name: "Work" }).waitFor();
  await until("two renewals", () => tokens.length >= 3);
  assert.deepEqual(tokens.slice(0, 3), [200, 200, 200]);
});

test("what is answered late changes neither what is said, nor who signed in since, nor what is looked at", async (t) => {
  const other = token.split("").reverse().join("");
  const server = await served(t, { OPENCLAW_MCP_AUTH: "token", OPENCLAW_MCP_TOKENS: `alice:${token},bob:${other}` });
  const page = await console_(t, server);
  const field = page.getByLabel("Token", { exact: true });
  const work = page.page.getByText(/^1 instance ·/);
  const ended = page.getByText("Your sign-in has ended. Sign in again.");
  const button = (name) => page.getByRole("button", { name, exact: true });
  const signIn = async (as) => {
    await field.fill(as);
    await page.keyboard.press("Enter");
    await button("Work").click(); // a sign-in that had ended goes on with what was looked at
    await work.waitFor();
  };
  // Has the answer to the next terminal that is opened wait until it is let go.
  const hold = async (end) => {
    let go, began, ended;
    const held = new Promise((done) => (go = done)), begun = new Promise((done) => (began = done)), over = new Promise((done) => (ended = done));
    await page.route("**/mcp", async (route) => {
      if (!route.request().postData().includes('"open_terminal"')) return route.fallback();
      began();
      await held;
      await end(route);
      ended();
    });
    await button("Terminal").click();
    await begun;
    return async () => {
      const answered = page.waitForResponse((r) => r.request().postData()?.includes('"open_terminal"'));
      go();
      await (await answered).finished();
      await over;
      await page.unroute("**/mcp");
      await page.locator("#console-open").evaluate((b) => new Promise((done) => {
        if (!b.disabled) done();
        else new MutationObserver(() => b.disabled || done()).observe(b, { attributes: true });
      }));
    };
  };
  const refuse = (route) => route.fulfill({ status: 401, body: "" });

  await signIn(token);
  let answer = await hold(refuse);
  await page.route("**/mcp", (route) => (route.request().postData().includes('"open_terminal"') ? route.fallback() : refuse(route)));
  await button("Desktop").click();
  await ended.waitFor();
  await answer();
  assert.equal(await page.locator("#console-say").innerText(), "Your sign-in has ended. Sign in again.");

  await signIn(token);
  answer = await hold(refuse);
  await button("Sign out").click();
  await signIn(other);
  await answer();
  assert.equal(await page.evaluate(() => document.body.classList.contains("in")), true, "a late refusal signs out who signed in since");

  answer = await hold((route) => route.continue());
  await button("Work").click();
  await work.waitFor();
  await answer();
  assert.ok(await work.isVisible(), "a terminal takes the place of what is looked at");
  await button("Terminal").click();
  await page.page.getByText(/^open ·/).waitFor();
});

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

// A service that knows one key and has one instance.
async function service(t, key) {
  const server = createServer((req, res) => {
    const known = req.headers.authorization === `Bearer ${key}`;
    const now = new Date().toISOString();
    const body = !known ? { detail: "invalid API key" } : req.url.endsWith("/instances")
      ? [{ id: "7d3f4a52-6a53-4b0a-9a65-0d1f6a1c2b3e", status: "ready", sandbox_id: "sb-1", created_at: now, updated_at: now }] : [];
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

test("who may only read sees no terminal", async (t) => {
  const server = await served(t, { OPENCLAW_MCP_READ_ONLY: "true" });
  const page = await console_(t, server);
  await page.getByRole("button", { name: "Open the console" }).click();
  await page.page.getByRole("heading", { name: "Work" }).waitFor();
  assert.equal(await page.getByRole("button", { name: "Terminal", exact: true }).count(), 0);
  await page.getByRole("button", { name: "Desktop" }).click();
  await page.page.getByText(/^instance .* · \d+×\d+$/).waitFor();
  await page.page.getByRole("button", { name: "Take over" }).click();
  await page.page.getByText(/this server is read-only/).waitFor();
});

// An authorization server with the code flow, PKCE and registration.
async function issuer(t, lives = 3600) {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const codes = new Map();
  const clients = new Set();
  const server = createServer(async (req, res) => {
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
          issuer: origin, jwks_uri: `${origin}/keys`, authorization_endpoint: `${origin}/authorize`, token_endpoint: `${origin}/token`,
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
        const code = codes.get(q.get("code"));
        codes.delete(q.get("code"));
        if (!code || code.client !== q.get("client_id") || createHash("sha256").update(q.get("code_verifier")).digest("base64url") !== code.challenge) {
          return json(400, { error: "invalid_grant", error_description: "the code is not good" });
        }
        const part = (v) => Buffer.from(JSON.stringify(v)).toString("base64url");
        const now = Math.floor(Date.now() / 1000);
        const text = `${part({ alg: "ES256", kid: "k", typ: "at+jwt" })}.${part({ iss: origin, sub: "alice", aud: code.audience, iat: now, exp: now + lives, client_id: code.client })}`;
        const signature = sign("sha256", Buffer.from(text), { key: privateKey, dsaEncoding: "ieee-p1363" }).toString("base64url");
        return json(200, { access_token: `${text}.${signature}`, token_type: "Bearer", expires_in: lives });
      }
    }
    res.writeHead(404);
    res.end();
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const origin = `http://127.0.0.1:${server.address().port}`;
  t.after(() => server.close());
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

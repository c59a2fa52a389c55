// The console at the server's address: the same pages behind its login.
import assert from "node:assert/strict";
import { createHash, generateKeyPairSync, randomUUID, sign } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";
import { after, before, test } from "node:test";
import { open, picture, serve, start, stop, until } from "./harness.mjs";

const token = "0123456789abcdef0123456789abcdef";

before(start);
after(stop);

async function console_(t, server, options) {
  const page = await open(t, server, { ...options, connect: false });
  page.page = page.frameLocator("#console-page iframe");
  await page.addInitScript(() => {
    window.violations = [];
    document.addEventListener("securitypolicyviolation", (e) => window.violations.push(`${e.violatedDirective}: ${e.blockedURI}`));
  });
  await page.goto(server.origin);
  return page;
}

async function served(t, env) {
  const server = await serve(env);
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
  await page.getByText("The server does not take this sign-in").waitFor();
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
async function issuer(t) {
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
        const text = `${part({ alg: "ES256", kid: "k", typ: "at+jwt" })}.${part({ iss: origin, sub: "alice", aud: code.audience, iat: now, exp: now + 3600, client_id: code.client })}`;
        const signature = sign("sha256", Buffer.from(text), { key: privateKey, dsaEncoding: "ieee-p1363" }).toString("base64url");
        return json(200, { access_token: `${text}.${signature}`, token_type: "Bearer", expires_in: 3600 });
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

for (const width of [360, 768, 1440]) {
  for (const theme of ["light", "dark"]) {
    test(`looks: ${width} pixels, ${theme}`, async (t) => {
      const server = await served(t);
      const page = await console_(t, server, { width, colorScheme: theme });
      const fits = async () => {
        const [scroll, view] = await page.evaluate(() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]);
        assert.ok(scroll <= view, `the page is ${scroll} pixels wide in ${view}`);
      };
      assert.equal(await page.locator(".product").evaluate((e) => e.getClientRects().length), 1, "the name is in one line");
      await fits();
      await picture(page, `console-front-${width}-${theme}`);
      await page.getByRole("button", { name: "Open the console" }).click();
      await page.page.getByText("1 instance").waitFor();
      await fits();
      await picture(page, `console-${width}-${theme}`);
    });
  }
}

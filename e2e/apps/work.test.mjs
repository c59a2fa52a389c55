// The work page in the official bridge: runs are followed, cancelled and answered.
import assert from "node:assert/strict";
import { once } from "node:events";
import { after, before, test } from "node:test";
import { open, picture, serve, start, stop, until } from "./harness.mjs";

let server;
before(async () => {
  await start();
  server = await serve();
});
after(async () => {
  await server?.end();
  await stop();
});

const run = (page, name) => page.app.getByRole("article", { name });

test("a run is followed and cancelled", async (t) => {
  const page = await open(t, server);
  await page.text("exec_command", { command: "for i in $(seq 1000); do echo tick $i; sleep 0.1; done", background: true });
  await page.show("list_runs");
  const command = run(page, /^command run, running/).first();
  await command.getByText("tick 1\n").waitFor();
  await command.getByText(/tick 12\n/).waitFor();
  await command.getByRole("button", { name: "Cancel" }).click();
  await run(page, /^command run, cancelled/).first().waitFor();
  assert.match(await page.text("list_runs"), /status: cancelled/);
  await until("the note", async () => /the user cancelled the command run/.test(await page.told()));
  assert.deepEqual(page.complaints, []);
});

test("a message’s reply comes in, and its question is answered where it stands", async (t) => {
  const page = await open(t, server);
  await page.show("send_chat_message", { message: "say Which colour do you want?", wait_seconds: 0 });
  const chat = run(page, /^chat run, completed, waits for an answer/);
  await chat.locator("pre", { hasText: "Which colour do you want?" }).waitFor();
  await page.app.getByText("1 question waits for you").waitFor();
  const field = chat.getByRole("textbox", { name: "Answer the agent" });
  await field.focus();
  await page.keyboard.type("run: echo blue-$((40+2))");
  await page.keyboard.press("Control+Enter");
  await page.app.getByText("blue-42").first().waitFor();
  await chat.waitFor({ state: "detached" }); // nothing waits any more
  assert.doesNotMatch(await page.app.locator("#state").innerText(), /question/);
  await until("the note", async () => /the user sent the agent of instance .* this message: ‘run: echo blue/.test(await page.told()));
  const history = await page.text("read_chat_history");
  assert.match(history, /Which colour do you want\?[^]*blue-42/, "in the session of the question");
});

test("what does not ask can be answered, too; the form of all sessions sends", async (t) => {
  const page = await open(t, server);
  await page.show("send_chat_message", { message: "say That is that." });
  const chat = run(page, /^chat run, completed$/).first();
  await chat.locator("pre", { hasText: "That is that." }).waitFor();
  await chat.getByRole("button", { name: "Answer" }).click();
  const field = chat.getByRole("textbox", { name: "Answer the agent" });
  assert.ok(await field.evaluate((f) => f === document.activeElement));
  const message = page.app.getByRole("textbox", { name: "Message to the agent" });
  await message.fill("say by-the-form");
  await page.app.getByRole("button", { name: "Send", exact: true }).click();
  await page.app.locator("pre", { hasText: /^by-the-form/ }).waitFor();
  await until("the empty field", async () => (await message.inputValue()) === "");
});

const question = async (page) => {
  await page.show("send_chat_message", { message: "say Which colour do you want?" });
  const chat = run(page, /^chat run, completed, waits for an answer/);
  await chat.waitFor();
  return chat.getByRole("textbox", { name: "Answer the agent" });
};

test("many runs take one connection; those that ended long ago are read when opened", async (t) => {
  const own = await serve();
  t.after(() => own.end());
  const page = await open(t, own);
  for (let i = 0; i < 14; i++) await page.text("exec_command", { command: `echo ended-${i}` });
  for (let i = 0; i < 8; i++) await page.text("exec_command", { command: `echo began-${i}; sleep 300`, background: true });
  let open_ = 0, most = 0;
  const ours = (r) => /"follow_run".*"wait_seconds":[1-9]/.test(r.postData() ?? "");
  page.on("request", (r) => ours(r) && (most = Math.max(most, ++open_)));
  for (const end of ["requestfinished", "requestfailed"]) page.on(end, (r) => ours(r) && open_--);
  await page.show("list_runs");
  await page.app.locator("pre", { hasText: "began-0" }).waitFor();
  await page.app.locator("pre", { hasText: "began-7" }).waitFor();
  assert.ok(most <= 1, `${most} at once`);
  const old = page.app.getByRole("article").filter({ hasText: "ended-0" });
  assert.equal(await old.locator("pre").textContent(), "");
  await old.getByRole("button", { name: "Show" }).click();
  await old.locator("pre", { hasText: "ended-0" }).waitFor();
  assert.ok(await old.getByRole("button", { name: "Show" }).isHidden());
});

test("a strange reply does not freeze the page", async (t) => {
  const page = await open(t, server);
  await page.show("list_instances");
  await page.text("send_chat_message", { message: `say ?${"\n".repeat(40_000)}x` });
  await page.app.locator("pre", { hasText: /^\?\s*x/ }).first().waitFor();
  const began = Date.now();
  for (let i = 0; i < 5; i++) await page.app.locator("#state").evaluate(() => 1);
  assert.ok(Date.now() - began < 5000, `${Date.now() - began} ms`);
});

test("a draft outlives its question, and what is typed during a slow send stays", async (t) => {
  const page = await open(t, server);
  const field = await question(page);
  await field.fill("a long and careful answer");
  await page.text("send_chat_message", { message: "say Size noted." });
  await page.app.locator("pre", { hasText: "Size noted." }).waitFor();
  await page.app.getByText("question waits").waitFor({ state: "detached" });
  const draft = page.app.locator(".answer:not([hidden]) textarea");
  assert.equal(await draft.inputValue(), "a long and careful answer");
  let go;
  const held = new Promise((r) => (go = r));
  await page.route("**/mcp", async (r) => {
    if (r.request().postData()?.includes('"send_chat_message"')) await held;
    await r.fallback();
  });
  const message = page.app.getByRole("textbox", { name: "Message to the agent" });
  const long = `say first${" and so on".repeat(60)}`;
  await message.fill(long);
  await page.keyboard.press("Control+Enter");
  await message.fill("the second message");
  go();
  await until("the note", async () => (await page.told()).includes(`‘${long}’`));
  await page.app.getByText("Sent.").waitFor();
  assert.equal(await message.inputValue(), "the second message");
  await message.fill(`say ${"x".repeat(3000)}`);
  await page.keyboard.press("Control+Enter");
  await until("the note", async () => /x…’ \(the first 2,000 of its 3,004 characters\)/.test(await page.told()));
});

test("a question is answered once", async (t) => {
  const own = await serve();
  t.after(() => own.end());
  const [page, other] = [await open(t, own), await open(t, own)];
  const field = await question(page);
  await other.show("list_runs");
  const second = run(other, /waits for an answer/).getByRole("textbox", { name: "Answer the agent" });
  await second.fill("say Red");
  await field.fill("say Blue");
  await page.keyboard.press("Control+Enter");
  await page.app.getByText("Sent.").waitFor();
  await second.focus();
  await other.keyboard.press("Control+Enter");
  await other.app.getByText("This question no longer waits: somebody has answered it, or has written to its session since. Nothing was sent.").waitFor();
  assert.equal(await other.app.getByRole("textbox", { name: "Answer the agent" }).inputValue(), "say Red");
  const history = await page.text("read_chat_history");
  assert.match(history, /say Blue/);
  assert.doesNotMatch(history, /Red/);
});

test("of a long output the end is shown, and that the beginning is not", async (t) => {
  const page = await open(t, server);
  await page.text("exec_command", { command: "seq 200000", background: true });
  await page.show("list_runs");
  const long = page.app.getByRole("article").filter({ hasText: "seq 200000" });
  await long.getByText(/^The first [\d,]+ characters are no longer shown here\.$/).waitFor();
  await until("the end", () => long.locator("pre").evaluate((p) => p.textContent.endsWith("\n200000\n")));
  const shown = await long.locator("pre").evaluate((p) => p.textContent.length);
  assert.ok(shown <= 400_000, `${shown} characters`);
});

test("a run that fails says why in its place, and the others are followed on", async (t) => {
  const first = await serve();
  t.after(() => first.end());
  const page = await open(t, first);
  await page.show("send_chat_message", { message: "run: sleep 1000", wait_seconds: 0 });
  await run(page, /^chat run, running/).waitFor();
  first.child.kill("SIGKILL");
  await once(first.child, "exit");
  await page.app.getByText(/^The server can’t be reached/).waitFor();
  const again = await serve({ HOME: first.home }, ["--local", "--http", new URL(first.origin).host]);
  t.after(() => again.end());
  await run(page, /^chat run, failed/).getByText("The service was restarted during the reply").waitFor();
  assert.ok(await page.app.getByRole("button", { name: "Try again", includeHidden: true }).isHidden());
  await page.text("exec_command", { command: "echo followed-$((40+2)); sleep 1000", background: true });
  await page.app.locator("pre", { hasText: "followed-42" }).waitFor();
  await page.app.getByText(/ · 1 running/).waitFor();
});

test("the newest run stands first, also where older ones come into the list later", async (t) => {
  const own = await serve({ OPENCLAW_MCP_MAX_RESULT_CHARS: "2000" });
  t.after(() => own.end());
  const page = await open(t, own);
  for (let i = 10; i < 30; i++) await page.text("exec_command", { command: `: number-${i}; until [ -e go ]; do sleep 0.1; done`, background: true });
  await page.show("list_runs");
  await page.app.getByText(/older runs are left out$/).waitFor();
  const numbers = () => page.app.locator(".run .about").evaluateAll((all) => all.map((a) => Number(a.textContent.match(/number-(\d+)/)[1])));
  const before = (await numbers()).length;
  assert.ok(before < 20, `${before} runs`);
  await page.text("exec_command", { command: "touch go; : number-30" });
  await until("older runs", async () => (await numbers()).length > before + 1);
  assert.deepEqual(await numbers(), (await numbers()).toSorted((a, b) => b - a));
});

test("that there are more sessions than are listed is said", async (t) => {
  const own = await serve();
  t.after(() => own.end());
  const page = await open(t, own);
  for (let i = 0; i < 51; i++) await page.model("create_chat_session", { title: `talk  ${i}` });
  await page.show("list_instances");
  const options = page.app.locator("#session option");
  await until("the sessions", async () => (await options.count()) === 52);
  assert.deepEqual(await options.last().evaluate((o) => [o.textContent, o.disabled]), ["older ones are not listed", true]);
  await options.first().evaluate((o) => (o.kept = true));
  await page.waitForResponse((r) => r.request().postData()?.includes('"list_work"'));
  await page.waitForRequest((r) => r.postData()?.includes('"list_work"'));
  assert.ok(await options.first().evaluate((o) => o.kept), "the list stays where nothing has changed, so that it can be used");
});

test("lists that come late do not take the place of newer ones", async (t) => {
  const own = await serve();
  t.after(() => own.end());
  const page = await open(t, own);
  await page.model("create_chat_session", { title: "of the first" });
  await page.show("list_instances");
  await page.app.getByRole("button", { pressed: true }).waitFor();
  await page.model("create_instance");
  const chips = page.app.locator("#instances button");
  await until("two instances", async () => (await chips.count()) === 2);
  const other = page.app.locator("#instances button[aria-pressed=false]");
  const options = page.app.locator("#session option");
  await until("the session", async () => (await options.count()) === 2);
  let go, held = 0;
  const wait = new Promise((done) => (go = done));
  await page.route("**/mcp", async (route) => {
    if (!route.request().postData()?.includes('"list_work"') || held++) return route.fallback();
    const answer = await route.fetch();
    await wait;
    await route.fulfill({ response: answer });
  });
  await page.waitForRequest((r) => r.postData()?.includes('"list_work"'));
  await other.click();
  await until("the other’s list", async () => (await options.count()) === 1);
  const late = page.waitForResponse((r) => r.request().postData()?.includes('"list_work"'));
  go();
  await (await late).finished();
  await page.app.locator("#state").evaluate(() => new Promise((done) => setTimeout(done))); // the page has seen it
  assert.equal(await options.count(), 1);
});

const chip = (frame, status) => frame.locator("#instances button[aria-pressed=true]", { hasText: status });

test("an instance is shut down and started again, once the person has said yes", async (t) => {
  const own = await serve({ OPENCLAW_MCP_CONFIRM: "allow" }); // what lets the model go on is no yes of the person's
  t.after(() => own.end());
  const page = await open(t, own);
  await page.show("list_instances");
  await chip(page.app, "ready").waitFor();
  const button = (name) => page.app.getByRole("button", { name, exact: true });
  const asked = page.app.getByRole("group", { name: /^It shuts instance .* down and ends everything that runs on it. Go ahead\?$/ });
  const focused = (what) => what.evaluate((e) => e === document.activeElement);
  await button("Shut down").click();
  await asked.waitFor();
  await picture(page, "work-asks");
  assert.ok(await focused(button("No")));
  await page.keyboard.press("Escape");
  await asked.waitFor({ state: "hidden" });
  await page.app.getByText("Nothing was done.").waitFor();
  assert.ok(await focused(button("Shut down")));
  assert.match(await page.text("list_instances"), /ready/);
  assert.equal(await page.told(), "");

  await button("Shut down").click();
  await button("Yes, shut it down").click();
  await asked.waitFor({ state: "hidden" });
  await button("Start").waitFor();
  assert.ok(await button("Shut down").isHidden());
  assert.doesNotMatch(await page.text("list_instances"), /ready/);
  await until("the note", async () => /the user shut instance .* down/.test(await page.told()));

  await button("Start").click();
  await button("Yes, start it").click();
  await chip(page.app, "ready").waitFor();
  await button("Reboot").waitFor();
  await until("the note", async () => /the user started instance/.test(await page.told()));
  assert.deepEqual(page.complaints, []);
});

test("a yes that is no longer good does nothing, and says so; what is not allowed is not offered", async (t) => {
  const page = await open(t, server);
  await page.show("list_instances");
  const yes = page.app.getByRole("button", { name: "Yes, reboot it" });
  await page.app.getByRole("button", { name: "Reboot", exact: true }).click();
  await yes.waitFor();
  await page.evaluate(() => (window.host.bridge.oncalltool = (p) => window.host.client.callTool(p.arguments?.confirm ? { ...p, arguments: { ...p.arguments, confirm: "old" } } : p)));
  await yes.click();
  await page.app.getByText(/Nothing was done: this question was answered before, or is too old. Press the button again/).waitFor();
  await yes.waitFor({ state: "hidden" });
  assert.equal(await page.told(), "");

  const timid = await serve({ OPENCLAW_MCP_EXCLUDE_TOOLS: "shutdown_instance" });
  t.after(() => timid.end());
  const half = await open(t, timid);
  await half.show("list_instances");
  await half.app.getByRole("button", { name: "Reboot", exact: true }).waitFor();
  assert.ok(await half.app.getByRole("button", { name: "Shut down", includeHidden: true }).isHidden());
});

test("an idle page asks less than once a second; a server that is gone says so", async (t) => {
  const own = await serve();
  t.after(() => own.end());
  const page = await open(t, own);
  await page.show("list_instances");
  await page.app.getByRole("button", { pressed: true }).first().waitFor();
  const idle = await page.evaluate(async () => {
    const before = window.host.requests.length;
    await new Promise((go) => setTimeout(go, 8000));
    return window.host.requests.length - before;
  });
  t.diagnostic(`idle: ${idle} requests in 8 s`);
  assert.ok(idle < 8, `${idle} requests in 8 seconds`);
  own.child.kill("SIGKILL");
  await page.app.getByText(/The server can’t be reached: .*Trying again every \d+ s/).waitFor();
  await picture(page, "work-dropped-server");
});

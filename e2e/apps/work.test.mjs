// The work page in the official bridge: runs are followed, cancelled and answered.
import assert from "node:assert/strict";
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

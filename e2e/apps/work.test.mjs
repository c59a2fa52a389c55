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

test("a message’s reply comes in, and its question is answered", async (t) => {
  const page = await open(t, server);
  await page.show("send_chat_message", { message: "run: echo which colour?", wait_seconds: 0 });
  const chat = run(page, /^chat run/).first();
  await chat.locator("pre", { hasText: /\nwhich colour\?/ }).waitFor();
  await chat.getByRole("button", { name: "Answer" }).click();
  const field = page.app.getByRole("textbox", { name: "Message to the agent" });
  assert.ok(await field.evaluate((f) => f === document.activeElement));
  await page.keyboard.type("run: echo blue-$((40+2))");
  await page.app.getByRole("button", { name: "Send" }).click();
  await page.app.getByText("blue-42").first().waitFor();
  assert.equal(await field.inputValue(), "");
  await until("the note", async () => /the user sent the agent of instance .* this message: ‘run: echo blue/.test(await page.told()));
  assert.match(await page.text("read_chat_history"), /blue-42/);
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
});

for (const width of [360, 768, 1440]) {
  for (const theme of ["light", "dark"]) {
    test(`looks: ${width} pixels, ${theme}`, async (t) => {
      const page = await open(t, server, { width, colorScheme: theme });
      await page.show("list_runs", {}, { theme });
      await page.app.getByText("blue-42").first().waitFor();
      const [scroll, view] = await page.app.locator("html").evaluate((e) => [e.scrollWidth, e.clientWidth]);
      assert.ok(scroll <= view, `the page is ${scroll} pixels wide in ${view}`);
      await picture(page, `work-${width}-${theme}`);
    });
  }
}

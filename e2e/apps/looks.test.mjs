// How the pages look, in both themes, from a phone to a large screen.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { console_, open, serve, start, stop, until } from "./harness.mjs";
import { each, frameOf, looks, reachable } from "./looks.mjs";

let server;
before(async () => {
  await start();
  server = await serve({ OPENCLAW_MCP_TERMINALS: "30" });
});
after(async () => {
  await server?.end();
  await stop();
});

async function did(page, name, args) {
  const result = await page.model(name, args);
  assert.ok(!result.isError, JSON.stringify(result.content));
  return result._meta["openclaw-mcp/result"];
}

each(test, "terminal with vim", async (t, options, name) => {
  const page = await open(t, server, options);
  await did(page, "write_file", { path: "notes.py", content: "# What is left to do\nimport sys\n\ndef left(days: int) -> str:\n    return f'{days} days'\n\nprint(left(3), file=sys.stderr)\n" });
  const { terminal } = (await page.show("open_terminal", { command: "PS1='$ '; clear; ls --color=always /usr; vim -u NONE -c 'syntax on' -c 'set number' notes.py" }, { theme: options.colorScheme }))._meta["openclaw-mcp/result"];
  await page.app.getByText(/^open ·/).waitFor();
  await until("vim", async () => (await page.app.locator(".xterm-rows").innerText()).includes("days"));
  await looks(page, `terminal-${name}`, await frameOf(page));
  await page.app.getByRole("button", { name: "Take over" }).click();
  await page.app.getByText("Your turn").waitFor();
  await looks(page, `terminal-taken-${name}`, await frameOf(page));
  await page.app.getByRole("button", { name: "Hand back" }).click();
  await page.app.getByText("The assistant’s turn").waitFor();
  await page.model("close_terminal", { terminal });
  await page.app.getByText("This terminal is closed").waitFor();
  await looks(page, `terminal-closed-${name}`, await frameOf(page));
});

each(test, "desktop", async (t, options, name) => {
  const page = await open(t, server, options);
  await page.show("take_screenshot", {}, { theme: options.colorScheme });
  await page.app.getByText(/^instance .* · \d+×\d+$/).waitFor();
  await looks(page, `desktop-${name}`, await frameOf(page));
});

let instance; // of the runs; there is another one, too
test("work: something to show", async (t) => {
  const page = await open(t, server);
  ({ instance } = await did(page, "exec_command", { command: "for i in $(seq 100000); do echo tick $i; sleep 1; done", background: true }));
  await did(page, "exec_command", { command: "echo to stderr >&2; exit 3", background: true });
  await did(page, "create_chat_session", { title: "Tidying up the workspace before the weekend" });
  await did(page, "send_chat_message", { message: "say All is done: a/very/long/path/without/any/blank/in/it/that/goes/on/and/on/and/on/and/on/until/it/wraps.txt" });
  await did(page, "send_chat_message", { message: "say Which of the two files do you want to keep?" });
  await did(page, "create_instance");
});

each(test, "work", async (t, options, name) => {
  const page = await open(t, server, options);
  await page.show("list_runs", {}, { theme: options.colorScheme });
  await page.app.getByText("1 question waits for you").waitFor();
  await page.app.getByText("tick 1", { exact: false }).first().waitFor();
  await looks(page, `work-${name}`, await frameOf(page));
});

each(test, "console", async (t, options, name) => {
  const page = await console_(t, server, options);
  assert.equal(await page.locator(".product").evaluate((e) => e.getClientRects().length), 1, "the name is in one line");
  await looks(page, `console-front-${name}`);
  await page.getByRole("button", { name: "Open the console" }).click();
  await page.page.getByText(/^\d instances/).waitFor();
  await page.page.getByText("1 question waits for you").waitFor();
  await looks(page, `console-work-${name}`);
  await page.getByRole("button", { name: "Terminal", exact: true }).click();
  await page.page.getByText(/^open ·/).waitFor();
  await looks(page, `console-terminal-${name}`);
  if (options.width >= 1280) {
    const free = await page.evaluate(() => {
      const frame = document.querySelector("iframe:not([hidden])").getBoundingClientRect();
      return [document.documentElement.scrollHeight - innerHeight, innerWidth - frame.width < 60, innerHeight - frame.bottom < 60];
    });
    assert.deepEqual(free, [0, true, true], "the page in the console takes the window, and no more");
  }
  await looks(page, `console-terminal-inside-${name}`, await frameOf(page));
  await page.getByRole("button", { name: "Desktop" }).click();
  await page.page.getByText(/^instance .* · \d+×\d+$/).waitFor();
  await looks(page, `console-desktop-${name}`);
  await page.getByRole("button", { name: "Connect a client" }).click();
  await looks(page, `console-clients-${name}`);
});

test("each control is reached with the Tab key, and shows that it is", async (t) => {
  const page = await open(t, server);
  await page.show("open_terminal", { instance });
  await page.app.getByText(/^open ·/).waitFor();
  await reachable(page, await frameOf(page));
  await page.show("take_screenshot", { instance });
  await page.app.getByText(/^instance .* · \d+×\d+$/).waitFor();
  await reachable(page, await frameOf(page));
  await page.show("list_runs");
  await page.app.getByText("1 question waits for you").waitFor();
  await reachable(page, await frameOf(page));
  const front = await console_(t, server);
  await reachable(front);
});

test("what is chosen can be read in forced colours", async (t) => {
  const page = await open(t, server);
  await page.emulateMedia({ forcedColors: "active" });
  await page.show("list_runs");
  const chip = page.app.locator("#instances button[aria-pressed=true]");
  const [name, status] = await chip.evaluate((b) => [b, b.querySelector("small")].map((e) => getComputedStyle(e).color));
  assert.equal(status, name);
});

test("nothing moves for who wants that", async (t) => {
  const moving = (frame) => frame.evaluate(() => document.getAnimations().length);
  for (const reducedMotion of ["reduce", "no-preference"]) {
    const page = await open(t, server, { reducedMotion });
    await page.show("open_terminal", { instance });
    await page.app.getByText(/^open ·/).waitFor();
    await page.app.getByRole("textbox", { name: "Terminal: type here" }).focus();
    const frame = await frameOf(page);
    await page.app.locator(".xterm.focus").waitFor();
    if (reducedMotion === "reduce") assert.equal(await moving(frame), 0);
    else await until("the cursor’s blinking", () => moving(frame));
    const front = await console_(t, server, { reducedMotion });
    await front.locator("summary").nth(1).click();
    const time = await front.locator("summary").nth(1).evaluate((e) => parseFloat(getComputedStyle(e, "::before").transitionDuration));
    assert.equal(time > 0, reducedMotion !== "reduce");
  }
});

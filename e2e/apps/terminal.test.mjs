// The terminal page in the official bridge: a person types into vim there while the
// model reads the same screen.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { after, before, test } from "node:test";
import { open, picture, serve, start, stop, until } from "./harness.mjs";

let server;
before(async () => {
  await start();
  server = await serve({ OPENCLAW_MCP_TERMINALS: "30" });
});
after(async () => {
  await server?.end();
  await stop();
});

const factsOf = (result) => result._meta["openclaw-mcp/result"];

// shell opens a terminal whose page is shown, and gives its handle.
async function shell(page, args, options) {
  const { terminal } = factsOf(await page.show("open_terminal", args, options));
  await page.app.getByText(/^open ·/).waitFor();
  return terminal;
}

const rows = (page) => page.app.locator(".xterm-rows").innerText();
const type = async (page, text) => {
  await page.app.getByRole("textbox", { name: "Terminal: type here" }).focus();
  await page.keyboard.type(text);
};

test("vim by hand, read by the model, who waits for its turn", async (t) => {
  const page = await open(t, server);
  const terminal = await shell(page, { command: "PS1='$ '; clear" });
  await type(page, "vim -u NONE -c 'set showmode' notes.txt\n");
  // Only what stands behind the cursor's place at the first key counts as typed: vim draws before it goes there.
  await until("vim", async () => (await rows(page)).includes("~") && (await page.app.locator(".xterm-rows > :first-child .xterm-cursor").count()) === 1);
  await type(page, "ithe person wrote this");
  await page.keyboard.press("Escape");
  await until("the text", async () => (await rows(page)).includes("the person wrote this"));
  const seen = await page.text("read_terminal", { terminal });
  assert.match(seen, /the person wrote this/);
  assert.match(seen, /full-screen program/);

  const refused = await page.model("write_terminal", { terminal, text: "dd" });
  assert.ok(refused.isError);
  assert.match(refused.content[0].text, /a person is using this terminal .*until they hand back|a person is using this terminal and goes first/);
  assert.match(refused.content[0].text, /nothing: a person goes first/);
  assert.match(await until("the note", async () => {
    const told = await page.told();
    return told.includes("person wrote") && told;
  }), /the user typed ‘.*the person wrote this’, pressed Esc in terminal/s);

  await page.app.getByRole("button", { name: "Hand back" }).click();
  await page.app.getByText("The assistant’s turn").waitFor();
  const wrote = await page.text("write_terminal", { terminal, text: ":wq", keys: ["enter"] });
  assert.doesNotMatch(wrote, /a person/);
  await until("vim’s end", async () => (await rows(page)).includes("$ "));
  assert.match(await page.text("exec_command", { command: "cat notes.txt" }), /the person wrote this/);
  assert.deepEqual(page.complaints, []);
});

test("colours, paste, scrollback and the size of the page", async (t) => {
  const page = await open(t, server);
  const terminal = await shell(page, { command: "PS1='$ '; clear" });
  await type(page, "printf '\\033[31mred\\033[0m \\033[1mbold\\033[0m\\n'; seq 200\n");
  await until("the end", async () => /\n200\n/.test(await rows(page)));
  for (let i = 0; i < 10; i++) await page.keyboard.press("Shift+PageUp");
  const red = page.app.locator(".xterm-rows span", { hasText: /^red/ });
  await red.waitFor();
  const [colour, plain] = await Promise.all([red.first().evaluate((e) => getComputedStyle(e).color), page.app.locator(".xterm-rows").evaluate((e) => getComputedStyle(e).color)]);
  assert.notEqual(colour, plain);

  await page.app.getByRole("textbox", { name: "Terminal: type here" }).evaluate((field) => {
    const data = new DataTransfer();
    data.setData("text/plain", "echo pasted-$((20+3))\n");
    field.dispatchEvent(new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true }));
  });
  await type(page, "\n");
  await until("what was pasted", async () => (await page.text("read_terminal", { terminal })).includes("pasted-23"));

  await page.app.getByRole("button", { name: "Fit" }).click();
  const size = await until("another size", async () => {
    const [, cols, lines] = (await page.app.locator("#state").innerText()).match(/(\d+)×(\d+)/);
    return cols !== "80" && [cols, lines];
  });
  await type(page, "clear; stty size\n");
  await until("the shell’s size", async () => (await page.text("read_terminal", { terminal })).includes(`${size[1]} ${size[0]}`));
});

test("a password that is typed is not told to the model", async (t) => {
  const page = await open(t, server);
  await shell(page, { command: "PS1='$ '; clear; echo files of horse-77" });
  await type(page, "read -rsp 'Password: ' p; echo; echo ${#p}\n");
  await until("the question", async () => /Password: *$/m.test(await rows(page)));
  await type(page, "correct-horse-77\n");
  await until("its length", async () => /^16/m.test(await rows(page)));
  const told = await until("the note", async () => {
    const told = await page.told();
    return told.includes("…⏎’") && told;
  });
  assert.doesNotMatch(told.replace(/term_\S+/g, ""), /correct|horse|77/);
});

test("the model is told what a line was when it was entered, and what was pressed", async (t) => {
  const page = await open(t, server);
  await shell(page, { command: "PS1='$ '; clear; cat" });
  const told = (what) => until(what, async () => (await page.told()).includes(what));
  const shows = (what) => until(`${what} on the screen`, async () => what.test(await rows(page)));
  await type(page, "seen");
  await shows(/seen/);
  await page.keyboard.press("Control+c");
  await told("typed ‘seen’, pressed Ctrl+C in terminal");
  await shows(/\^C\n\$/);
  await type(page, "rm -rf /important");
  await shows(/important/);
  await page.keyboard.press("Control+u");
  await type(page, "echo x\n");
  await shows(/\nx\n\$/);
  await page.keyboard.press("ArrowUp");
  await page.keyboard.press("Enter");
  await told("pressed Ctrl+C, typed ‘echo x⏎echo x⏎’ in terminal");
  assert.doesNotMatch(await page.told(), /important/);
});

const uses = (route) => route.request().postData()?.includes('"use_terminal"');

test("nothing is sent behind keys that were lost, until the person has stopped", async (t) => {
  const page = await open(t, server);
  await shell(page, { command: "PS1='$ '; clear" });
  await type(page, "echo");
  await until("the echo", async () => (await rows(page)).includes("$ echo"));
  let lost = 0;
  await page.route("**/mcp", (route) => (uses(route) && lost++ === 0 ? route.abort() : route.fallback()));
  await type(page, " ");
  const say = page.app.locator("#say");
  await say.getByText("Nothing that you type now is sent: stop for a moment.").waitFor();
  await type(page, "rm -rf ./build\n");
  await say.getByText(/^Whether your last keys were delivered is unknown: .* Look at the line, and go on typing\.$/).waitFor();
  assert.equal(lost, 1);
  assert.equal((await rows(page)).trim(), "$ echo");
  await type(page, " on-$((20+3))\n");
  await until("the output", async () => /^on-23/m.test(await rows(page)));
  await until("no complaint", async () => (await say.innerText()) === "");
});

test("hand back comes behind the keys that are on their way", async (t) => {
  const page = await open(t, server);
  await shell(page, { command: "PS1='$ '; clear" });
  await type(page, "a");
  await page.app.getByText("Your turn").waitFor();
  let go;
  const held = new Promise((done) => (go = done)), sent = [];
  await page.route("**/mcp", async (route) => {
    if (uses(route)) {
      sent.push(route.request().postData());
      await held;
    }
    await route.fallback();
  });
  await type(page, "bcd");
  await page.app.getByRole("button", { name: "Hand back" }).click();
  go();
  await page.app.getByText("The assistant’s turn").waitFor();
  assert.match(sent.at(-1), /"turn":"give"/);
  await until("the keys", async () => (await rows(page)).includes("$ abcd"));
});

test("text that is put in without keys arrives once, whole", async (t) => {
  const page = await open(t, server);
  await shell(page, { command: "PS1='$ '; clear; stty -icanon -echo; cat" });
  await type(page, "<");
  for (const text of ["é", "😀", "dictated words"]) await page.keyboard.insertText(text);
  const composed = await page.context().newCDPSession(page);
  await composed.send("Input.imeSetComposition", { text: "にほ", selectionStart: 2, selectionEnd: 2 });
  await composed.send("Input.insertText", { text: "日本" });
  await until("the composition", async () => (await rows(page)).includes("日本"));
  await type(page, ">\n");
  await until("all of it", async () => (await rows(page)).includes(">"));
  assert.match(await rows(page), /^<é😀dictated words日本>/);
});

test("no character is cut in two where much is pasted", async (t) => {
  const page = await open(t, server);
  const terminal = await shell(page, { command: "PS1='$ '; clear; stty -echo -icanon; head -c 10001 | sha256sum" });
  const text = `a${"😀".repeat(2500)}`;
  await page.app.getByRole("textbox", { name: "Terminal: type here" }).evaluate((field, text) => {
    const data = new DataTransfer();
    data.setData("text/plain", text);
    field.dispatchEvent(new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true }));
  }, text);
  const sum = createHash("sha256").update(text).digest("hex");
  assert.match(await until("the sum", async () => (await page.text("read_terminal", { terminal })).match(/[0-9a-f]{64}/)?.[0]), new RegExp(sum));
});

test("much that is put in is counted down", async (t) => {
  const page = await open(t, server);
  await shell(page, { command: "PS1='$ '; clear; stty -echo -icanon; head -c 60000 | wc -c" });
  let go;
  const held = new Promise((done) => (go = done));
  let calls = 0;
  await page.route("**/mcp", async (route) => {
    if (uses(route) && ++calls === 3) await held;
    await route.fallback();
  });
  await page.app.getByRole("textbox", { name: "Terminal: type here" }).evaluate((field) => {
    const data = new DataTransfer();
    data.setData("text/plain", "x".repeat(60_000));
    field.dispatchEvent(new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true }));
  });
  await page.app.getByText("Sending what you put in: 52,000 characters are left.").waitFor();
  go();
  await until("all of it", async () => (await rows(page)).includes("60000"));
  await until("nothing more to say", async () => (await page.app.locator("#say").innerText()) === "");
});

test("a pointer clicks, and does not take the turn by moving; a long title is one line", async (t) => {
  const page = await open(t, server);
  const terminal = await shell(page, { command: "PS1='$ '; clear" });
  const high = (await page.app.locator(".bar").boundingBox()).height;
  await page.text("write_terminal", { terminal, text: "printf '\\033]0;'; printf 'T%.0s' $(seq 3000); printf '\\007\\033[?1003h\\033[?1006h'; clear; cat -v", keys: ["enter"] });
  await page.app.locator("#state", { hasText: "TTT" }).waitFor();
  assert.equal((await page.app.locator(".bar").boundingBox()).height, high);
  const screen = await page.app.locator(".xterm-screen").boundingBox();
  await until("the mode", () => page.app.locator(".xterm.enable-mouse-events").count());
  await page.mouse.move(screen.x + 50, screen.y + 50);
  await page.mouse.move(screen.x + 90, screen.y + 70);
  assert.ok(!(await page.model("write_terminal", { terminal, keys: ["ctrl+c"] })).isError);
  await page.text("write_terminal", { terminal, text: "printf '\\033[?1003l\\033[?1006l\\033[?1000h'; clear; cat -v", keys: ["enter"] });
  await until("a click", async () => {
    await page.mouse.click(screen.x + 100, screen.y + 80);
    return (await rows(page)).includes("^[[M ");
  });
});

test("a link that a program writes is opened by the host", async (t) => {
  const page = await open(t, server);
  await shell(page, { command: "PS1='$ '; clear; printf '\\033]8;;https://example.org/x\\007linked\\033]8;;\\007\\n'" });
  await until("the link", async () => (await rows(page)).includes("linked"));
  const screen = await page.app.locator(".xterm-screen").boundingBox();
  await until("the host to be asked", async () => {
    await page.mouse.move(screen.x + 12, screen.y + 8);
    await page.mouse.move(screen.x + 14, screen.y + 9);
    await page.mouse.click(screen.x + 14, screen.y + 9);
    return page.evaluate(() => window.host.links.includes("https://example.org/x"));
  });
  assert.deepEqual(page.complaints, []);
});

test("an echo takes less than 150 ms, an idle page less than a request a second", async (t) => {
  const page = await open(t, server);
  await shell(page, { command: "PS1='$ '; clear; cat" });
  await page.app.getByRole("textbox", { name: "Terminal: type here" }).focus();
  const text = "the-quick-brown-fox-jumps-over-it";
  // In the page: from each key to its character on the screen.
  const all = page.app.locator(".xterm-rows").evaluate((rows, text) => new Promise((done) => {
    const times = [];
    let pressed;
    document.addEventListener("keydown", () => (pressed = performance.now()), true);
    new MutationObserver(() => {
      if (pressed === undefined || !rows.textContent.includes(text.slice(0, times.length + 1))) return;
      times.push(performance.now() - pressed);
      pressed = undefined;
      document.title = String(times.length);
      if (times.length === text.length) done(times);
    }).observe(rows, { subtree: true, childList: true, characterData: true });
    document.title = "0";
  }), text);
  const seen = (n) => until(`character ${n}`, () => page.app.locator("html").evaluate((_, n) => document.title === String(n), n));
  for (const [i, c] of [...text].entries()) {
    await seen(i);
    await page.keyboard.press(c);
  }
  const times = await all;
  times.sort((a, b) => a - b);
  t.diagnostic(`echo: p50 ${times[times.length >> 1].toFixed(0)} ms, worst ${times.at(-1).toFixed(0)} ms`);
  assert.ok(times[times.length >> 1] < 150 * Math.max(1, Number(process.env.E2E_PATIENCE ?? 1)), `${times}`);
  const idle = await page.evaluate(async () => {
    await new Promise((go) => setTimeout(go, 1500)); // what was typed is told
    const before = window.host.requests.length;
    await new Promise((go) => setTimeout(go, 8000));
    return window.host.requests.length - before;
  });
  t.diagnostic(`idle: ${idle} requests in 8 s`);
  assert.ok(idle < 8, `${idle} requests in 8 seconds`);
});

test("a shell that ends, a terminal that is closed and a server that is gone say so", async (t) => {
  const own = await serve();
  t.after(() => own.end());
  const page = await open(t, own);
  const terminal = await shell(page, {});
  await page.text("close_terminal", { terminal });
  await page.app.getByText("This terminal is closed. Nothing can be typed any more.").waitFor();
  await shell(page, {});
  await type(page, "exit 3\n");
  await page.app.getByText(/This terminal is exited: the shell has ended/).waitFor();
  assert.match(await page.app.locator("#state").innerText(), /exit code 3/);
  await picture(page, "terminal-ended-shell");
  await shell(page, {});
  own.child.kill("SIGKILL");
  await page.app.getByText(/The server can’t be reached: .*Trying again every \d+ s/).waitFor();
  await picture(page, "terminal-dropped-server");
});

test("a session that has ended says so", async (t) => {
  const page = await open(t, server, { connect: "legacy" });
  await shell(page, {});
  const status = await page.evaluate(async (url) => (await fetch(url, { method: "DELETE", headers: { "Mcp-Session-Id": window.host.transport.sessionId } })).status, server.url);
  assert.ok(status < 300, `${status}`);
  await page.app.getByText("The client’s session with the server has ended").waitFor();
  await picture(page, "terminal-ended-session");
});

test("a server that comes back is gone on with", async (t) => {
  const first = await serve();
  t.after(() => first.end());
  const page = await open(t, first);
  await page.show("list_instances");
  await page.app.getByRole("button", { pressed: true }).first().waitFor();
  first.child.kill("SIGTERM");
  await once(first.child, "exit");
  await page.app.getByText(/The server can’t be reached/).waitFor();
  const again = await serve({}, ["--local", "--http", new URL(first.origin).host]);
  t.after(() => again.end());
  await page.app.getByText("The server is back.").waitFor();
});

test("a terminal's page goes on with a server that was stopped and started again", async (t) => {
  const first = await serve();
  t.after(() => first.end());
  const page = await open(t, first);
  await shell(page, {});
  first.child.kill("SIGTERM");
  await once(first.child, "exit");
  await page.app.getByText(/The server can’t be reached: .*Trying again every \d+ s/).waitFor();
  const again = await serve({}, ["--local", "--http", new URL(first.origin).host]);
  t.after(() => again.end());
  await page.app.locator("#say", { hasNotText: "The server can’t be reached" }).waitFor();
});

test("a hidden page holds no connection, and goes on when it is seen again", async (t) => {
  const page = await open(t, server);
  const terminal = await shell(page, { command: "PS1='$ '; clear" });
  const hide = (hidden) => page.app.locator("html").evaluate((_, hidden) => {
    Object.defineProperty(document, "hidden", { get: () => hidden, configurable: true });
    document.dispatchEvent(new Event("visibilitychange"));
  }, hidden);
  const waits = (r) => (r.postData()?.includes('"follow_terminal"') ? JSON.parse(r.postData()).params.arguments.wait_seconds : undefined);
  await hide(true);
  const next = page.waitForRequest((r) => waits(r) !== undefined);
  await page.text("write_terminal", { terminal, text: "echo un''seen", keys: ["enter"] }); // ends the call that waits
  assert.equal(waits(await next), 0);
  await page.text("write_terminal", { terminal, text: "echo and mo''re", keys: ["enter"] });
  const again = page.waitForRequest((r) => waits(r) > 0, { timeout: 15_000 });
  await hide(false);
  await again;
  await until("what came meanwhile", async () => (await rows(page)).includes("and more"));
});

test("a double click on Take over takes over", async (t) => {
  const page = await open(t, server);
  await shell(page, {});
  const used = [];
  page.on("request", (r) => r.postData()?.includes('"use_terminal"') && used.push(JSON.parse(r.postData()).params.arguments.turn));
  const turn = page.app.locator("#turn");
  await turn.click({ clickCount: 2 });
  await page.app.getByText("Your turn").waitFor();
  await turn.focus();
  await page.keyboard.press("Enter");
  await page.app.getByText("The assistant’s turn").waitFor();
  assert.deepEqual(used, ["take", "give"]);
});

test("a server that does not answer is said to be slow, until it answers", async (t) => {
  const own = await serve();
  t.after(async () => {
    own.child.kill("SIGCONT");
    await own.end();
  });
  const page = await open(t, own);
  await shell(page, { command: "PS1='$ '; clear" });
  own.child.kill("SIGSTOP");
  await type(page, "echo late-$((20+3))\n");
  const slow = page.app.getByText("The server takes long to answer. Waiting for it…");
  await slow.waitFor();
  own.child.kill("SIGCONT");
  await until("the output", async () => (await rows(page)).includes("late-23"));
  await slow.waitFor({ state: "detached" });
});

test("with the keyboard alone", async (t) => {
  const page = await open(t, server, { reducedMotion: "reduce" });
  await shell(page, { command: "PS1='$ '; clear" });
  await type(page, "echo typed\n");
  await page.app.getByText("Your turn").waitFor();
  await page.keyboard.press("Control+F6");
  const back = page.app.getByRole("button", { name: "Hand back" });
  assert.ok(await back.evaluate((b) => b === document.activeElement));
  await page.keyboard.press("Enter");
  await page.app.getByText("The assistant’s turn").waitFor();
});

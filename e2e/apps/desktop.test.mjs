// The desktop page in the official bridge, in front of a real Xvnc: a person takes it
// over, types into a program there, and hands it back.
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

const screen = (page) => page.app.getByRole("application", { name: "The desktop’s screen" });

// pixels tells what the page shows of the screen from what it showed before.
const pixels = (page) => screen(page).evaluate((c) => {
  const { data } = c.getContext("2d").getImageData(0, 0, c.width, c.height);
  let sum = 0;
  for (let i = 0; i < data.length; i += 4) sum = (sum * 31 + data[i] + data[i + 1] * 3 + data[i + 2] * 7) | 0;
  return `${c.width}×${c.height} ${sum}`;
});

async function desktop(page, options) {
  const shot = await page.show("take_screenshot", {}, options);
  assert.ok(!shot.isError, JSON.stringify(shot.content[0]));
  await page.app.getByText(/^instance .* · \d+×\d+$/).waitFor();
}

async function program(page, command) {
  const before = await pixels(page);
  await page.text("exec_command", { command, background: true });
  await until("the program’s window", async () => (await pixels(page)) !== before);
}

test("taken over, used, and handed back", async (t) => {
  const page = await open(t, server);
  await desktop(page);
  await program(page, "exec xterm -geometry 100x30+0+0 -e sh");
  const box = await screen(page).boundingBox();
  await page.mouse.click(box.x + 200, box.y + 150);
  await page.app.getByText("Take over first").waitFor();
  await page.app.getByRole("button", { name: "Take over" }).click();
  await page.app.getByText("Your turn").waitFor();
  await page.mouse.click(box.x + 200, box.y + 150);
  const before = await pixels(page);
  await page.keyboard.type("echo 'From a Person: ");
  await screen(page).evaluate((c) => { // a key that no American keyboard has
    for (const kind of ["keydown", "keyup"]) c.dispatchEvent(new KeyboardEvent(kind, { key: "é", bubbles: true, cancelable: true }));
  });
  await page.keyboard.type("' > proof.txt");
  await until("the text on the screen", async () => (await pixels(page)) !== before);
  const refused = await page.model("control_desktop", { action: "click", x: 5, y: 5 });
  assert.ok(refused.isError);
  assert.match(refused.content[0].text, /a person is using this desktop/);
  assert.ok(!(await page.model("take_screenshot")).isError, "looking is allowed");
  await page.keyboard.press("Enter");
  await until("the file", async () => /From a Person: é/.test(await page.text("exec_command", { command: "cat proof.txt" })));
  await page.app.getByRole("button", { name: "Hand back" }).click();
  await page.app.getByText("The assistant’s turn").waitFor();
  assert.ok(!(await page.model("control_desktop", { action: "move", x: 300, y: 200 })).isError);
  await page.app.locator("#pointer").waitFor();
  const told = await until("the note", async () => {
    const told = await page.told();
    return told.includes("turn at the desktop") && told;
  });
  assert.match(told, /took over the desktop/);
  assert.match(told, /[1-9]\d* clicks?, [1-9]\d* keys/);
  assert.doesNotMatch(told, /proof|Person:/, "what was typed into a desktop may be a password");
  // Reading pixels back is what this test does.
  assert.deepEqual(page.complaints.filter((c) => !c.includes("willReadFrequently")), []);
});

// drive takes the desktop over, with the focus on a program that writes its keys to a file.
async function drive(page, file) {
  await program(page, `exec xterm -geometry 100x30+0+0 -e sh -c 'stty raw -echo; cat -v > ${file}'`);
  const calls = [];
  page.on("request", (r) => r.postData()?.includes('"use_desktop"') && calls.push(...(JSON.parse(r.postData()).params.arguments.events ?? [])));
  await page.app.getByRole("button", { name: "Take over" }).click();
  await page.app.getByText("Your turn").waitFor();
  const box = await screen(page).boundingBox();
  await page.mouse.click(box.x + 200, box.y + 150);
  return { calls, box, wrote: (what) => until(`${what} in the file`, async () => (await page.text("exec_command", { command: `cat ${file}` })).startsWith(what)) };
}

test("a lost call leaves no key down; AltGr of Windows; the wheel", async (t) => {
  const page = await open(t, server);
  await desktop(page);
  const { calls, box, wrote } = await drive(page, "keys.txt");
  let lost = 0;
  await page.route("**/mcp", (r) => (r.request().postData()?.includes("up ctrl") && lost++ === 0 ? r.abort() : r.fallback()));
  await page.keyboard.down("Control");
  await page.keyboard.up("Control");
  await page.app.getByText(/^The server can’t be reached/).waitFor();
  await page.keyboard.type("b");
  await wrote("b");
  await until("no complaint of what works again", async () => (await page.app.locator("#say").innerText()) === "");
  await page.unrouteAll();

  await screen(page).evaluate((c) => {
    for (const [kind, key] of [["keydown", "Control"], ["keydown", "AltGraph"], ["keydown", "@"], ["keyup", "@"], ["keyup", "Control"], ["keyup", "AltGraph"]]) {
      c.dispatchEvent(new KeyboardEvent(kind, { key, bubbles: true, cancelable: true }));
    }
  });
  await wrote("b@");

  const notches = () => calls.filter((e) => / (16|17)$/.test(e)).length;
  await screen(page).evaluate((c) => {
    for (let i = 0; i < 30; i++) c.dispatchEvent(new WheelEvent("wheel", { deltaY: 5, clientX: 300, clientY: 200, bubbles: true, cancelable: true }));
  });
  await page.mouse.move(box.x + 100, box.y + 100);
  await until("the move", () => calls.some((e) => e === "at 100 100 0" || /^at 9\d|^at 10\d/.test(e)));
  assert.equal(notches(), 1, "150 pixels");
  await page.mouse.down();
  await page.mouse.wheel(0, 100);
  await until("the notch", () => notches() === 2);
  assert.ok(calls.slice(calls.findLastIndex((e) => e.endsWith(" 17"))).every((e) => !e.endsWith(" 0")), "the button stays down");
  await page.mouse.up();
});

test("another page has no turn, and says whose it is", async (t) => {
  const [page, other] = [await open(t, server), await open(t, server)];
  await desktop(page);
  await desktop(other);
  await page.app.getByRole("button", { name: "Take over" }).click();
  await page.app.getByText("Your turn").waitFor();
  await program(page, "exec xterm -geometry 60x20+100+100 -e sh"); // what changes has the pages look
  await other.app.getByText("A person uses the desktop in another page").waitFor();
  let used = 0;
  other.on("request", (r) => r.postData()?.includes('"use_desktop"') && used++);
  const box = await screen(other).boundingBox();
  await other.mouse.move(box.x + 50, box.y + 50);
  await other.mouse.click(box.x + 60, box.y + 60);
  await other.app.getByText("Take over first").waitFor();
  assert.equal(used, 0);
  await other.app.getByRole("button", { name: "Take over" }).click();
  await other.app.getByText("Your turn").waitFor();
  await other.app.getByRole("button", { name: "Hand back" }).click();
  await other.app.getByText("The assistant’s turn").waitFor();
});

test("five pictures a second and more", async (t) => {
  const page = await open(t, server);
  await desktop(page);
  await program(page, "exec xterm -geometry 100x30+50+50 -e sh -c 'i=0; while :; do i=$((i+1)); echo line $i; sleep 0.02; done'");
  const frames = await screen(page).evaluate(async (c) => {
    const pen = c.getContext("2d");
    let n = 0;
    const draw = pen.drawImage;
    pen.drawImage = function (...a) {
      n++;
      return draw.apply(this, a);
    };
    await new Promise((go) => setTimeout(go, 5000));
    pen.drawImage = draw;
    return n;
  });
  t.diagnostic(`${frames / 5} pictures a second`);
  assert.ok(frames >= 25, `${frames} pictures in 5 seconds`);
});

test("a hidden page rests, and goes on when it is seen again", async (t) => {
  const page = await open(t, server);
  await desktop(page);
  await program(page, "exec xterm -geometry 100x30+50+50 -e sh -c 'i=0; while :; do i=$((i+1)); echo line $i; sleep 0.02; done'");
  const hide = (hidden) => screen(page).evaluate((_, hidden) => {
    Object.defineProperty(document, "hidden", { get: () => hidden, configurable: true });
    document.dispatchEvent(new Event("visibilitychange"));
  }, hidden);
  const follows = (r) => r.postData()?.includes('"follow_desktop"');
  let asked = 0;
  page.on("request", (r) => follows(r) && asked++);
  await hide(true);
  await page.evaluate(() => new Promise((go) => setTimeout(go, 3000)));
  t.diagnostic(`hidden: ${asked} requests in 3 s`);
  assert.ok(asked <= 3, `${asked} requests in 3 seconds`);
  const next = page.waitForRequest(follows, { timeout: 10_000 });
  await hide(false);
  await next;
});

test("a server that is gone says so", async (t) => {
  const own = await serve();
  t.after(() => own.end());
  const page = await open(t, own);
  await desktop(page);
  own.child.kill("SIGKILL");
  await page.app.getByText(/The server can’t be reached: .*Trying again every \d+ s/).waitFor();
  await picture(page, "desktop-dropped-server");
});

test("with the keyboard alone", async (t) => {
  const page = await open(t, server, { reducedMotion: "reduce" });
  await desktop(page);
  await page.app.getByRole("button", { name: "Take over" }).focus();
  await page.keyboard.press("Enter");
  await page.app.getByText("Your turn").waitFor();
  assert.ok(await screen(page).evaluate((c) => c === document.activeElement));
  await page.keyboard.press("Control+F6");
  assert.ok(await page.app.getByRole("button", { name: "Hand back" }).evaluate((b) => b === document.activeElement));
  await page.keyboard.press("Enter");
  await page.app.getByText("The assistant’s turn").waitFor();
});

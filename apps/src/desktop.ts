// The desktop of an instance: the person sees it live, and may take it over.
import "./desktop.css";
import { call, type Data, find, follow, onPress, open, Refusal, restIfHidden, say, sentence, tell, unsay, wait } from "./page";

const screen = find<HTMLCanvasElement>("screen"), turn = find<HTMLButtonElement>("turn"), whose = find("whose"), pointer = find("pointer");
const pen = screen.getContext("2d")!;

let instance = "";
let started = false;
let seen = "";
let person = false; // has it
let mine = false; // and that is the one here

const names: Record<string, string> = {
  ArrowUp: "up", ArrowDown: "down", ArrowLeft: "left", ArrowRight: "right", PageUp: "pageup", PageDown: "pagedown", Control: "ctrl", Meta: "super",
  AltGraph: "altgr", ContextMenu: "menu", PrintScreen: "print",
};
const known = /^(?:Enter|Tab|Escape|Backspace|Delete|Insert|Home|End|Shift|Alt|Pause|CapsLock|NumLock|F\d{1,2})$/;

function nameOf(key: string): string {
  if ([...key].length === 1) return key;
  return names[key] ?? (known.test(key) ? key.toLowerCase() : "");
}

/** Shows whether a person has the desktop, who is another one where nobody took over here. */
function showTurn(now: boolean): void {
  person = now;
  if (mine && !person) tell(`the user’s turn at the desktop of instance ${instance} is over (${whatWasDone()}); the assistant may use it again; take_screenshot shows it`);
  mine &&= person;
  document.body.classList.toggle("mine", mine);
  turn.disabled = !instance;
  turn.textContent = mine ? "Hand back" : "Take over";
  whose.hidden = !instance;
  whose.classList.toggle("person", person);
  whose.textContent = mine
    ? "Your turn: the assistant can only look. It goes back to the assistant when you hand back, or a minute after you last did something."
    : person ? "A person uses the desktop in another page: the assistant can only look." : "The assistant’s turn. Take over, and it waits for you.";
}

let clicks = 0;
let keys = 0;
function whatWasDone(): string {
  const text = `${clicks} click${clicks === 1 ? "" : "s"}, ${keys} key${keys === 1 ? "" : "s"}`;
  clicks = keys = 0;
  return text;
}

// Events are sent one call after the other; of moves that wait, the last is enough.
let waiting: string[] = [];
let sending = false;
let sent = 0; // calls
let complaint = ""; // about the last one that failed
async function send(events: string[] = [], to = ""): Promise<void> {
  for (const e of events) {
    const last = waiting.at(-1);
    if (e.startsWith("at ") && last?.startsWith("at ") && e.split(" ")[3] === last.split(" ")[3] && waiting.at(-2)?.split(" ")[3] === e.split(" ")[3]) waiting.pop();
    waiting.push(e);
  }
  if (sending && !to) return;
  while (sending) await new Promise((go) => setTimeout(go, 20));
  sending = true;
  try {
    do {
      const batch = [...(lost ? releases() : []), ...waiting.splice(0, 200)];
      if (!batch.length && !to) break;
      press(batch, false);
      sent++;
      const result = await call("use_desktop", { instance, ...(batch.length ? { events: batch } : {}), ...(to ? { turn: to } : {}) });
      press(batch, true);
      lost = false;
      unsay(complaint);
      if (to === "take") mine = true;
      showTurn(result.person);
      to = "";
    } while (waiting.length);
  } catch (error) {
    waiting = [];
    down.clear();
    lost = true;
    say((complaint = sentence(error)), true);
    if (!(error instanceof Refusal)) setTimeout(() => releases().length && void send([], mine ? "" : "give"), 2000);
  }
  sending = false;
}

// What may be down on the desktop: a call that got no answer may have been done or not,
// so that the next one lets go of everything.
const pressed = new Set<string>();
let held = ""; // where buttons were down last
let lost = false;
function press(events: string[], done: boolean): void {
  for (const e of events) {
    const [kind, ...rest] = e.split(" ");
    if (kind === "down") pressed.add(rest.join(" "));
    else if (kind === "up" && done) pressed.delete(rest.join(" "));
    else if (kind === "at" && (rest[2] !== "0" || done)) held = rest[2] === "0" ? "" : `${rest[0]} ${rest[1]}`;
  }
}
function releases(): string[] {
  return [...[...pressed].map((key) => `up ${key}`), ...(held ? [`at ${held} 0`] : [])];
}

function place(e: MouseEvent): [number, number] {
  const r = screen.getBoundingClientRect();
  const share = Math.min(r.width / screen.width, r.height / screen.height);
  const left = r.left + (r.width - screen.width * share) / 2, top = r.top + (r.height - screen.height * share) / 2;
  const inside = (v: number, size: number) => Math.max(0, Math.min(size - 1, Math.floor(v / share)));
  return [inside(e.clientX - left, screen.width), inside(e.clientY - top, screen.height)];
}

function buttonsOf(e: MouseEvent): number {
  return (e.buttons & 1) | (e.buttons & 4 ? 2 : 0) | (e.buttons & 2 ? 4 : 0);
}

let buttons = 0; // that the pointer holds: not all wheel events say
for (const kind of ["pointermove", "pointerdown", "pointerup", "pointercancel"] as const) {
  screen.addEventListener(kind, (e) => {
    if (kind === "pointerdown") {
      screen.focus();
      if (!mine) {
        if (instance) say("Take over first: the button above.");
        return;
      }
      screen.setPointerCapture(e.pointerId);
      clicks++;
    }
    if (!mine) return;
    e.preventDefault();
    buttons = buttonsOf(e);
    void send([`at ${place(e).join(" ")} ${buttons}`]);
  });
}
screen.addEventListener("contextmenu", (e) => e.preventDefault());
const turned = [0, 0]; // parts of notches, across and down: touchpads send many
screen.addEventListener("wheel", (e) => {
  if (!mine) return;
  e.preventDefault();
  const at = place(e).join(" ");
  for (const [i, delta, back, on] of [[0, e.deltaX, 32, 64], [1, e.deltaY, 8, 16]]) {
    const notches = delta / (e.deltaMode === WheelEvent.DOM_DELTA_PIXEL ? 100 : e.deltaMode === WheelEvent.DOM_DELTA_LINE ? 3 : 1);
    if (turned[i] * notches < 0) turned[i] = 0; // the other way
    turned[i] += notches;
    const whole = Math.trunc(turned[i]);
    turned[i] -= whole;
    const bit = whole < 0 ? back : on;
    for (let n = Math.min(10, Math.abs(whole)); n > 0; n--) void send([`at ${at} ${buttons | bit}`, `at ${at} ${buttons}`]);
  }
}, { passive: false });

const down = new Set<string>();
screen.addEventListener("keydown", (e) => {
  if (e.key === "F6" && e.ctrlKey) {
    release();
    turn.focus();
    e.preventDefault();
    return;
  }
  if (!mine) return;
  const name = nameOf(e.key);
  if (!name || e.isComposing) return;
  e.preventDefault();
  // Windows has AltGr begin with a control key that nobody pressed.
  if (name === "altgr" && down.delete("ctrl")) void send(["up ctrl"]);
  if (!down.has(name)) keys++;
  down.add(name);
  void send([`down ${name}`]);
});
screen.addEventListener("keyup", (e) => {
  const name = nameOf(e.key);
  // With shift let go first, the character that comes up is another one.
  const held = down.has(name) ? name : [...down].find((d) => d.toLowerCase() === name.toLowerCase());
  if (!mine || !held) return;
  e.preventDefault();
  down.delete(held);
  void send([`up ${held}`]);
});
/** Lets go of all keys and buttons. */
function release(): void {
  const events = new Set([...[...down].map((d) => `up ${d}`), ...(mine ? releases() : [])]);
  down.clear();
  if (events.size) void send([...events]);
}
screen.addEventListener("blur", release);
addEventListener("pagehide", release);
document.addEventListener("visibilitychange", () => document.hidden && release());

onPress(turn, async () => {
  if (mine) {
    release();
    await send([], "give");
    return;
  }
  await send([], "take");
  if (!mine) return;
  say("");
  tell(`the user took over the desktop of instance ${instance}: the assistant can look (take_screenshot) but not use it until they hand back`);
  screen.focus();
});

async function draw(frame: Data): Promise<void> {
  if (screen.width !== frame.screen.width || screen.height !== frame.screen.height) {
    screen.width = frame.screen.width;
    screen.height = frame.screen.height;
  }
  if (frame.picture) {
    const bytes = Uint8Array.from(atob(frame.picture), (c) => c.charCodeAt(0));
    const picture = await createImageBitmap(new Blob([bytes], { type: frame.mime }));
    pen.drawImage(picture, frame.part.x, frame.part.y);
    picture.close();
  }
  pointer.hidden = mine || !frame.pointer;
  if (frame.pointer) {
    pointer.style.left = `${((frame.pointer.x + 0.5) / frame.screen.width) * 100}%`;
    pointer.style.top = `${((frame.pointer.y + 0.5) / frame.screen.height) * 100}%`;
  }
}

void open((data) => {
  if (typeof data.instance === "string") instance = data.instance;
  if (started) return;
  started = true;
  void follow(async () => {
    const before = sent;
    const frame = await call("follow_desktop", { ...(instance ? { instance } : {}), seen, wait_seconds: wait(15) });
    instance = frame.instance;
    await draw(frame);
    seen = frame.seen;
    find("state").textContent = `instance ${instance} · ${frame.screen.width}×${frame.screen.height}`;
    // Of whose turn it is, a call that began later knows more.
    if (!sending && sent === before && (frame.person !== person || turn.disabled)) showTurn(frame.person);
    return true;
  }, restIfHidden);
}).catch((error) => say(`The page could not connect to the client: ${error.message}`, true));

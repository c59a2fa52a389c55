// The desktop of an instance: the person sees it live, and may take it over.
import "./desktop.css";
import { call, type Data, find, follow, open, say, sentence, tell } from "./page";

const screen = find<HTMLCanvasElement>("screen"), turn = find<HTMLButtonElement>("turn"), whose = find("whose"), pointer = find("pointer");
const pen = screen.getContext("2d")!;

let instance = "";
let started = false;
let seen = "";
let mine = false;

const names: Record<string, string> = {
  ArrowUp: "up", ArrowDown: "down", ArrowLeft: "left", ArrowRight: "right", PageUp: "pageup", PageDown: "pagedown", Control: "ctrl", Meta: "super",
  AltGraph: "altgr", ContextMenu: "menu", PrintScreen: "print",
};
const known = /^(?:Enter|Tab|Escape|Backspace|Delete|Insert|Home|End|Shift|Alt|Pause|CapsLock|NumLock|F\d{1,2})$/;

function nameOf(key: string): string {
  if ([...key].length === 1) return key;
  return names[key] ?? (known.test(key) ? key.toLowerCase() : "");
}

function showTurn(person: boolean): void {
  if (mine && !person) tell(`the user’s turn at the desktop of instance ${instance} is over (${whatWasDone()}); the assistant may use it again; take_screenshot shows it`);
  mine = person;
  document.body.classList.toggle("mine", person);
  turn.disabled = !instance;
  turn.textContent = person ? "Hand back" : "Take over";
  whose.hidden = !instance;
  whose.classList.toggle("person", person);
  whose.textContent = person
    ? "Your turn: the assistant can only look. It goes back to the assistant when you hand back, or a minute after you last did something."
    : "The assistant’s turn. Take over, and it waits for you.";
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
      const batch = waiting.splice(0, 200);
      if (!batch.length && !to) break;
      const result = await call("use_desktop", { instance, ...(batch.length ? { events: batch } : {}), ...(to ? { turn: to } : {}) });
      showTurn(result.person);
      to = "";
    } while (waiting.length);
  } catch (error) {
    waiting = [];
    say(sentence(error), true);
  }
  sending = false;
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
    void send([`at ${place(e).join(" ")} ${buttonsOf(e)}`]);
  });
}
screen.addEventListener("contextmenu", (e) => e.preventDefault());
screen.addEventListener("wheel", (e) => {
  if (!mine) return;
  e.preventDefault();
  const at = place(e).join(" ");
  const bit = Math.abs(e.deltaY) >= Math.abs(e.deltaX) ? (e.deltaY < 0 ? 8 : 16) : (e.deltaX < 0 ? 32 : 64);
  void send([`at ${at} ${bit}`, `at ${at} 0`]);
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
function release(): void {
  if (down.size) void send([...down].map((d) => `up ${d}`));
  down.clear();
}
screen.addEventListener("blur", release);

turn.addEventListener("click", async () => {
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
    const frame = await call("follow_desktop", { ...(instance ? { instance } : {}), seen, wait_seconds: 15 });
    instance = frame.instance;
    await draw(frame);
    seen = frame.seen;
    find("state").textContent = `instance ${instance} · ${frame.screen.width}×${frame.screen.height}`;
    if (frame.person !== mine || turn.disabled) showTurn(frame.person);
    return true;
  });
}).catch((error) => say(`The page could not connect to the client: ${error.message}`, true));

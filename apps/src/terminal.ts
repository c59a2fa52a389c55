// A terminal that the model has open: the person sees it with colours, and may type.
import "@xterm/xterm/css/xterm.css";
import "./terminal.css";
import { Terminal, type ITheme } from "@xterm/xterm";
import { Echo } from "./echo";
import { call, calm, type Data, find, follow, fullHeight, isDark, onLook, open, say, sentence, tell } from "./page";

const dark: ITheme = { background: "#161618", foreground: "#ececf0", cursor: "#ececf0", cursorAccent: "#161618", selectionBackground: "#3d5a80" };
const light: ITheme = {
  background: "#ffffff", foreground: "#1b1b1f", cursor: "#1b1b1f", cursorAccent: "#ffffff", selectionBackground: "#b8d4f5",
  black: "#1b1b1f", red: "#a11c1c", green: "#1e6b2e", yellow: "#7a5600", blue: "#0b57a4", magenta: "#8a2a8a", cyan: "#0f6674", white: "#6b6b76",
  brightBlack: "#55555f", brightRed: "#b62626", brightGreen: "#217a35", brightYellow: "#805c00", brightBlue: "#1466bb", brightMagenta: "#9a359a",
  brightCyan: "#157380", brightWhite: "#3a3a42",
};
const face = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace";
const box = find("terminal"), turn = find<HTMLButtonElement>("turn"), fit = find<HTMLButtonElement>("fit"), whose = find("whose");

const term = new Terminal({
  cols: 80, rows: 24, scrollback: 5000, fontFamily: face, fontSize: 13, screenReaderMode: true, cursorBlink: !calm(), allowProposedApi: false,
  minimumContrastRatio: 4.5,
});
term.open(box);
term.textarea?.setAttribute("aria-label", "Terminal: type here");

// The server's emulator answers what programs ask of their terminal. A second answer would be typed into the shell.
const answered = () => true;
for (const id of [{ final: "c" }, { prefix: ">", final: "c" }, { prefix: "=", final: "c" }, { final: "n" }, { prefix: "?", final: "n" },
  { intermediates: "$", final: "p" }, { prefix: "?", intermediates: "$", final: "p" }, { final: "t" }, { prefix: ">", final: "q" }, { prefix: "?", final: "u" }]) {
  term.parser.registerCsiHandler(id, answered);
}
term.parser.registerDcsHandler({ intermediates: "$", final: "q" }, answered);
term.parser.registerDcsHandler({ intermediates: "+", final: "q" }, answered);
for (const colour of [4, 10, 11, 12]) term.parser.registerOscHandler(colour, (data) => data.includes("?"));

let handle = "";
let name = ""; // what the model calls it
let state: Data = {};
let cursor = -1;
let seen = "";
let fills = false; // opened for this page alone: it gets the page's size as soon as it can
let given = 0; // which terminal the page is about, counted
const echo = new Echo();

const rem = () => parseFloat(getComputedStyle(document.documentElement).fontSize);
const edge = 8 + 16; // of the box, and the scroll bar
const least = 12; // pixels: what is smaller, nobody reads

// The height that a full screen has for the rows, with the lines below them; undefined elsewhere.
function roomForRows(): number | undefined {
  const high = fullHeight();
  return high && high - box.getBoundingClientRect().top - 6.5 * rem();
}

// The largest font with which all columns fit. Where that can't be read, the box scrolls.
function scale(): void {
  term.options.theme = isDark() ? dark : light;
  const pen = document.createElement("canvas").getContext("2d");
  if (!pen) return;
  pen.font = `100px ${face}`;
  const share = pen.measureText("W").width / 100;
  const wide = (box.clientWidth - edge) / (term.cols * share);
  const high = roomForRows();
  const largest = high ? Math.min(2 * rem(), high / (1.25 * term.rows)) : rem();
  const size = Math.max(least, fit.ariaPressed === "true" ? 0.93 * rem() : Math.min(largest, wide));
  const half = Math.floor(size * 2) / 2;
  if (term.options.fontSize !== half) term.options.fontSize = half;
}

async function useSize(): Promise<void> {
  if (fit.ariaPressed !== "true" || !handle) return;
  scale();
  const cell = box.querySelector(".xterm-screen")!.getBoundingClientRect();
  const width = cell.width / term.cols, height = cell.height / term.rows;
  const high = roomForRows();
  const rows = high ? Math.floor(high / height) : Math.max(term.rows, 24);
  const cols = Math.floor((box.clientWidth - edge) / width);
  await use({ cols: Math.max(20, Math.min(400, cols)), rows: Math.max(4, Math.min(200, rows)) });
}

// Where not all columns fit, the cursor stays in sight.
term.onCursorMove(() => {
  if (box.scrollWidth <= box.clientWidth) return;
  const at = (term.buffer.active.cursorX / term.cols) * box.querySelector(".xterm-screen")!.clientWidth;
  if (at < box.scrollLeft || at > box.scrollLeft + box.clientWidth - edge) box.scrollLeft = at - box.clientWidth / 2;
});

function setFit(on: boolean): void {
  fit.ariaPressed = String(on);
  if (on) void useSize();
  else scale();
}

function show(next: Data): void {
  const was = state;
  state = next;
  if (term.cols !== next.cols || term.rows !== next.rows) {
    term.resize(next.cols, next.rows);
    scale();
  }
  const openNow = next.status === "open";
  const words = [openNow ? (next.connecting ? "connecting again" : "open") : next.status, `${next.cols}×${next.rows}`];
  if (next.exit_code !== undefined) words.push(`exit code ${next.exit_code}`);
  if (next.title) words.push(next.title);
  find("state").textContent = words.join(" · ");
  find("hint").hidden = !openNow;
  turn.disabled = !openNow;
  fit.disabled = !openNow || !next.can_resize;
  term.options.disableStdin = !openNow;
  if (fills && !fit.disabled) {
    fills = false;
    setFit(true);
  }
  turn.textContent = next.person ? "Hand back" : "Take over";
  whose.hidden = !openNow;
  whose.classList.toggle("person", next.person);
  whose.textContent = next.person
    ? "Your turn: the assistant can only look. It goes back to the assistant when you hand back, or a minute after your last key."
    : "The assistant’s turn. Type, or take over, and it waits for you.";
  if (was.person && !next.person && openNow) tell("the user’s turn at the terminal is over; the assistant may type again");
  if (!openNow) {
    const why = next.reason && next.reason !== next.status ? `: ${next.reason}` : "";
    say(`This terminal is ${next.status}${why}. Nothing can be typed any more.`, true);
  }
}

async function use(what: Data): Promise<void> {
  try {
    const { text: _, ...next } = await call("use_terminal", { terminal: handle, ...what });
    show(next);
  } catch (error) {
    say(sentence(error), true);
  }
}

// Keys are sent one call after the other, so that they keep their order.
let typed = "";
let sending = false;
let quiet: ReturnType<typeof setTimeout> | undefined;
async function send(): Promise<void> {
  if (sending) return;
  sending = true;
  while (typed) {
    const data = typed.slice(0, 4000);
    typed = typed.slice(4000);
    echo.typed(data);
    await use({ data });
  }
  sending = false;
  clearTimeout(quiet);
  quiet = setTimeout(report, 900);
}

// The line of the cursor, with the rows that it wraps from, and the newest lines.
function lookForEcho(): void {
  const buffer = term.buffer.active;
  const at = buffer.baseY + buffer.cursorY;
  const lines: string[] = [];
  let before: string[] = [];
  for (let y = Math.max(0, at - 100); y < buffer.length; y++) {
    const row = buffer.getLine(y);
    if (!row) break;
    const wrapped = row.isWrapped && lines.length > 0;
    const whole = row.translateToString(true);
    if (y === at) before = [0, 1].map((more) => (wrapped ? lines[lines.length - 1] : "") + row.translateToString(false, 0, buffer.cursorX + more));
    if (wrapped) lines[lines.length - 1] += whole;
    else lines.push(whole);
  }
  echo.look(before, lines);
}

let reported = ""; // in this turn
function report(patience = 4): void {
  clearTimeout(quiet);
  if (!state.person || echo.empty) return;
  lookForEcho();
  if (echo.expects && patience > 0) {
    quiet = setTimeout(report, 900, patience - 1);
    return;
  }
  const { shown, unshown } = echo.take();
  const again = reported !== "";
  reported = `${reported}${shown}${unshown ? "…" : ""}`.slice(-600);
  const rest = reported.includes("…") ? " (‘…’ stands for keys that the terminal did not show)" : "";
  tell(`the user typed ‘${reported}’ in terminal ${name}${rest}; read_terminal shows what it looks like now`, again);
}

term.onData((data) => {
  if (!handle || state.status !== "open" || data === "\x1b[I" || data === "\x1b[O") return;
  typed += data;
  void send();
});
term.attachCustomKeyEventHandler((e) => {
  if (e.key !== "F6" || !e.ctrlKey) return true;
  if (e.type === "keydown") turn.focus();
  e.preventDefault();
  return false;
});
turn.addEventListener("click", async () => {
  const take = !state.person;
  if (!take) report(0);
  await use({ turn: take ? "take" : "give" });
  reported = "";
  if (take) {
    tell(`the user took over terminal ${name}: it can be read but not written until they hand back`);
    term.focus();
  }
});
fit.addEventListener("click", () => setFit(fit.ariaPressed !== "true"));
let width = 0;
new ResizeObserver(() => {
  if (box.clientWidth === width) return; // the height follows the rows
  width = box.clientWidth;
  scale();
  void useSize();
}).observe(box);
onLook(() => {
  scale();
  void useSize();
});

// A result has the name by which the model knows the terminal and, where that is short,
// the handle that outlives this server.
function about(data: Data): void {
  fills ||= data.fit === true;
  if (!data.terminal) return;
  const same = data.terminal === name;
  name = data.terminal;
  if (same) {
    handle = data.handle ?? handle;
    return;
  }
  handle = data.handle ?? data.terminal;
  cursor = -1;
  const mine = ++given;
  void follow(async () => {
    const piece = await call("follow_terminal", { terminal: handle, cursor, seen, wait_seconds: 20 });
    if (mine !== given) return false;
    if (piece.reset) term.reset();
    cursor = piece.cursor;
    seen = piece.seen;
    const { data: output = "", text: _t, cursor: _c, reset: _r, more: _m, seen: _s, turn_left_ms: _l, ...next } = piece;
    show(next);
    if (output) {
      await new Promise<void>((written) => term.write(output, written));
      if (!echo.empty) lookForEcho();
    }
    return state.status === "open" || piece.more;
  });
}

void open(about).catch((error) => say(`The page could not connect to the client: ${error.message}`, true));

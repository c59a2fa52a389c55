// A terminal that the model has open: the person sees it with colours, and may type.
import "@xterm/xterm/css/xterm.css";
import "./terminal.css";
import { Terminal, type ITheme } from "@xterm/xterm";
import { Echo } from "./echo";
import { call, calm, type Data, find, follow, fullHeight, isDark, onLook, onPress, open, openLink, Refusal, restIfHidden, say, sentence, tell, unsay, wait } from "./page";

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
  linkHandler: { activate: (_, url) => void openLink(url) },
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
const echo = new Echo(term);

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
  if (next.title) words.push(next.title.slice(0, 200));
  find("state").textContent = find("state").title = words.join(" · ");
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
  if (was.person && !next.person) {
    report(0);
    echo.clear();
  }
  if (was.person && !next.person && openNow) tell("the user’s turn at the terminal is over; the assistant may type again");
  if (!openNow) {
    const why = next.reason && next.reason !== next.status ? `: ${next.reason}` : "";
    say(`This terminal is ${next.status}${why}. Nothing can be typed any more.`, true);
  }
}

let complaint = ""; // about a call, until one works again
function complain(text: string): void {
  complaint = text;
  say(text, true);
}

/** Reports whether the server did it. */
async function use(what: Data): Promise<boolean> {
  try {
    const { text: _, ...next } = await call("use_terminal", { terminal: handle, ...what });
    if (complaint) unsay(complaint);
    complaint = "";
    show(next);
    return true;
  } catch (error) {
    if (what.data) lost(error);
    else complain(sentence(error));
    return false;
  }
}

// Keys are sent one call after the other, so that they keep their order.
let typed = "";
let putting = ""; // what is said of much that is on its way
let sending: Promise<void> | undefined;
let quiet: ReturnType<typeof setTimeout> | undefined;
function send(): Promise<void> {
  sending ??= (async () => {
    while (typed) {
      const cut = /[\uD800-\uDBFF]/.test(typed[3999] ?? "") && typed.length > 4000 ? 3999 : 4000; // never within a character
      const data = typed.slice(0, cut);
      typed = typed.slice(cut);
      if (!(await use({ data }))) typed = "";
      const before = putting;
      putting = typed.length > 20_000 ? `Sending what you put in: ${typed.length.toLocaleString("en")} characters are left.` : "";
      if (putting) say(putting);
      else unsay(before);
    }
    sending = undefined;
    clearTimeout(quiet);
    quiet = setTimeout(report, 900);
  })();
  return sending;
}

// Where keys may be missing, those after them would be another command. Nothing is sent
// until the person has stopped typing, and so had a chance to see that.
let deaf: ReturnType<typeof setTimeout> | undefined;
let pause = () => {};
function lost(error: unknown): void {
  const what = (error instanceof Refusal ? "Your last keys were not delivered: " : "Whether your last keys were delivered is unknown: ") + sentence(error).replace(/\.$/, "");
  complain(`${what}. Nothing that you type now is sent: stop for a moment.`);
  const hear = () => {
    deaf = undefined;
    complain(`${what}. What you typed after them was not sent. Look at the line, and go on typing.`);
  };
  pause = () => {
    clearTimeout(deaf);
    deaf = setTimeout(hear, 1000);
  };
  pause();
}

function report(patience = 4): void {
  clearTimeout(quiet);
  echo.look();
  if (echo.expects && patience > 0) {
    quiet = setTimeout(report, 900, patience - 1);
    return;
  }
  const news = echo.take();
  if (!news) return;
  const rest = news.words.includes("…") ? " (‘…’ stands for what the terminal did not show)" : "";
  tell(`the user ${news.words} in terminal ${name}${rest}; read_terminal shows what it looks like now`, news.again);
}

function type(data: string): void {
  if (!handle || state.status !== "open" || data === "\x1b[I" || data === "\x1b[O") return;
  const mouse = /^\x1b\[(?:<(\d+);|M([^]))/.exec(data);
  if (mouse) { // a pointer that only moves does not take the turn
    const button = mouse[1] ? Number(mouse[1]) : mouse[2].charCodeAt(0) - 32;
    if (!state.person && button & 32 && (button & 3) === 3) return;
  }
  if (deaf) {
    if (!mouse) pause();
    return;
  }
  if (!mouse) echo.typed(data);
  typed += data;
  void send();
}
term.onData(type);
// Clicks as old programs want them. What is no ASCII would arrive as other bytes: far columns are left out.
term.onBinary((data) => {
  if (/^[\x00-\x7f]*$/.test(data)) type(data);
});

// With its mode for screen readers, xterm leaves out what is put in without keys: by emoji panels, and by dictation.
let held = false, composing = false;
for (const kind of ["keydown", "keyup", "blur"]) term.textarea?.addEventListener(kind, () => (held = kind === "keydown"), true);
term.textarea?.addEventListener("compositionstart", () => (composing = true));
term.textarea?.addEventListener("compositionend", () => setTimeout(() => (composing = false))); // xterm reads the field until then
term.textarea?.addEventListener("input", (e) => {
  const { inputType, data, isComposing } = e as InputEvent;
  if (inputType !== "insertText" || !data || held || composing || isComposing) return;
  term.input(data.replace(/\r?\n/g, "\r"));
  term.textarea!.value = ""; // a composition counts from where the field's text ends
});
term.attachCustomKeyEventHandler((e) => {
  if (e.key !== "F6" || !e.ctrlKey) return true;
  if (e.type === "keydown") turn.focus();
  e.preventDefault();
  return false;
});
onPress(turn, async () => {
  const take = !state.person;
  if (!take) await sending; // what comes later takes the turn again
  const done = await use({ turn: take ? "take" : "give" });
  if (take && done) {
    tell(`the user took over terminal ${name}: it can be read but not written until they hand back`);
    term.focus();
  }
});
onPress(fit, () => setFit(fit.ariaPressed !== "true"));
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
    const piece = await call("follow_terminal", { terminal: handle, cursor, seen, wait_seconds: wait(20) });
    if (mine !== given) return false;
    if (piece.reset) term.reset();
    cursor = piece.cursor;
    seen = piece.seen;
    const { data: output = "", text: _t, cursor: _c, reset: _r, more: _m, seen: _s, turn_left_ms: _l, ...next } = piece;
    show(next);
    if (output) {
      await new Promise<void>((written) => term.write(output, written));
      if (!echo.empty) echo.look();
    }
    return state.status === "open" || piece.more;
  }, restIfHidden, () => {
    find("state").textContent = "not followed";
    state = {};
    whose.hidden = find("hint").hidden = true;
    turn.disabled = fit.disabled = term.options.disableStdin = true;
  });
}

void open(about).catch((error) => say(`The page could not connect to the client: ${error.message}`, true));

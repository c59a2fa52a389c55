// What the person typed is told to the model as the screen shows it, so that a password
// is not: a line counts as shown only where it stands behind what stood before the cursor
// when its first key was pressed.
import type { IBuffer, IMarker, Terminal } from "@xterm/xterm";

/** Keys that end or stop something, by the character that a terminal sends for them. Others edit a line. */
const stops = "\x03\x04\x07\x0f\x11\x13\x14\x16\x18\x1a\x1b\x1c\x1d\x1e\x1f";

interface Line {
  text: string; // as typed
  edited: boolean; // by keys that only the program knows: the screen alone has the line
  end: string; // the key that ended it, "" while it goes on
  base: string; // what stood before it
  start: number;
  marker?: IMarker; // of the row where it begins, which the screen for full-screen programs does not move
  alternate: boolean; // on the screen of full-screen programs
  late: boolean; // begun before the line before it was seen to end: base is the screen's of then
  shown?: string;
  whole: boolean; // shown is of all that was typed, and not of a part
  over: boolean; // it is not looked for any longer
}

export class Echo {
  private lines: Line[] = [];
  private told = "";
  private prompt = ""; // before the last line that was shown

  constructor(private readonly term: Terminal) {}

  /** Notes what was typed. */
  typed(data: string): void {
    const plain = data.replace(/\x1b\[20[01]~/g, "");
    for (const [key] of plain.matchAll(/\x1b(?:\[[0-?]*[ -/]*[@-~]|O.|[^\x1b])|[^]/gu)) {
      let line = this.lines.at(-1);
      if (!line || line.end) this.lines.push((line = this.begin(line)));
      if (key === "\r" || stops.includes(key)) {
        line.end = key;
        continue;
      }
      line.whole = false;
      if (key === "\x7f" && line.text && !line.edited) line.text = [...line.text].slice(0, -1).join("");
      else if (key < " " || key === "\x7f") line.edited = true;
      else line.text += key;
    }
    if (this.lines.length > 200) this.forget(this.lines.length - 200);
  }

  private begin(before: Line | undefined): Line {
    const buffer = this.term.buffer.active;
    const alternate = buffer.type === "alternate";
    const at = buffer.baseY + buffer.cursorY;
    const start = startOf(buffer, at);
    const marker = alternate ? undefined : this.term.registerMarker(start - at);
    const late = !alternate && before?.end === "\r" && rowOf(before) === start;
    return { text: "", edited: false, end: "", base: upTo(buffer, start), start, marker, alternate, late, whole: false, over: false };
  }

  /** Looks at the screen for what was typed. */
  look(): void {
    const buffer = this.term.buffer.active;
    const alternate = buffer.type === "alternate";
    for (const line of this.lines) {
      if (line.over || line.alternate !== alternate) continue;
      const row = rowOf(line);
      if (row < 0) continue; // gone
      const shown = line.late ? this.find(buffer, row, line) : this.read(buffer, row, line);
      if (shown !== undefined || (line.end === "" && !alternate)) {
        line.shown = shown;
        line.whole = shown !== undefined;
      }
      if (!line.whole || line.end === "") continue;
      line.over = !line.edited || startOf(buffer, buffer.baseY + buffer.cursorY) !== row; // until then, keys may still be on their way
      if (line.over && !line.alternate && !line.late) this.prompt = line.base;
    }
  }

  private read(buffer: IBuffer, row: number, line: Line): string | undefined {
    const whole = lineAt(buffer, row);
    if (!whole.startsWith(line.base)) return undefined;
    const rest = whole.slice(line.base.length).trimEnd();
    if (line.alternate) { // an editor takes the first keys for commands, and steps back at the end
      const places = [upTo(buffer, row), upTo(buffer, row, 1)].filter((b) => b.startsWith(line.base)).map((b) => b.slice(line.base.length));
      const ends = [...line.text].map((_, i, all) => all.slice(i).join(""));
      return ends.find((end) => places.includes(end) || (line.end === "\r" && end.length > 2 && end === rest));
    }
    if (line.edited) return rest || undefined;
    return matches(rest, line.text) || upTo(buffer, row) === line.base + line.text ? line.text : undefined;
  }

  // Of a line that was typed ahead, only the prompt is known that it comes behind.
  private find(buffer: IBuffer, row: number, line: Line): string | undefined {
    if (!this.prompt.trim() || line.edited) return undefined;
    const last = buffer.baseY + buffer.cursorY;
    for (let y = row + 1; y <= last; y++) {
      const whole = buffer.getLine(y)?.isWrapped ? "" : lineAt(buffer, y);
      if (whole.startsWith(this.prompt) && matches(whole.slice(this.prompt.length).trimEnd(), line.text)) return line.text;
    }
    return undefined;
  }

  /** What the person did since clear, in words. */
  get words(): string {
    const parts: string[] = [];
    let text = "";
    const typed = () => {
      const letters = [...text];
      if (text) parts.push(`typed ‘${letters.length > 600 ? `…${letters.slice(-600).join("")}` : text}’`);
      text = "";
    };
    for (const line of this.lines) {
      text += line.shown ?? "";
      if (!line.whole && (line.text || (line.edited && line.end === "\r"))) text += "…";
      if (line.end === "\r") text += "⏎";
      else if (line.end) {
        typed();
        parts.push(`pressed ${line.end === "\x1b" ? "Esc" : `Ctrl+${String.fromCharCode(line.end.charCodeAt(0) + 64)}`}`);
      }
    }
    typed();
    return parts.slice(-12).join(", ");
  }

  /** Gives the words that were not told yet, and no longer waits for what is not shown. */
  take(): { words: string; again: boolean } | undefined {
    for (const line of this.lines) line.over ||= line.end !== "";
    const words = this.words;
    if (words === this.told) return undefined;
    const again = this.told !== "";
    this.told = words;
    return { words, again };
  }

  /** Begins anew: what follows is told by itself. */
  clear(): void {
    this.forget(this.lines.length);
    this.told = "";
  }

  private forget(count: number): void {
    for (const line of this.lines.splice(0, count)) line.marker?.dispose();
  }

  /** Whether something was not seen yet: it may still be on its way. */
  get expects(): boolean {
    return this.lines.some((l) => !l.over && !l.whole && (l.text !== "" || l.end === "\r"));
  }

  get empty(): boolean {
    return this.lines.every((l) => l.over);
  }
}

const rowOf = (line: Line) => line.marker?.line ?? line.start;

// A line may go over several rows.
function startOf(buffer: IBuffer, row: number): number {
  while (row > 0 && buffer.getLine(row)?.isWrapped) row--;
  return row;
}

function lineAt(buffer: IBuffer, row: number): string {
  let line = buffer.getLine(row)?.translateToString() ?? "";
  while (buffer.getLine(++row)?.isWrapped) line += buffer.getLine(row)!.translateToString();
  return line;
}

/** The line that begins in row, up to the cursor and more cells; "" where the cursor is not in it. */
function upTo(buffer: IBuffer, row: number, more = 0): string {
  const at = buffer.baseY + buffer.cursorY;
  if (startOf(buffer, at) !== row) return "";
  let line = "";
  for (; row < at; row++) line += buffer.getLine(row)!.translateToString();
  return line + (buffer.getLine(at)?.translateToString(false, 0, buffer.cursorX + more) ?? "");
}

// Behind the text may stand a prompt at the right, or how the terminal shows the key that ended it.
function matches(rest: string, text: string): boolean {
  if (rest === text.trimEnd()) return true;
  return rest.startsWith(text) && /^( {2}|\^[@-_])/.test(rest.slice(text.length));
}

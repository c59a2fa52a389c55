// What the person typed is told to the model only as far as the terminal showed it, so
// that a password is not: it counts as shown if it stands right before the cursor, or
// once the enter key was pressed, at the end of a line.

interface Piece {
  text: string;
  shown: string; // the end of it that was seen
  entered: boolean;
}

/** How much of what was not shown as a whole must have been, at least: a letter or two stand anywhere. */
const enough = 3;

export class Echo {
  private pieces: Piece[] = [];
  private open = false; // the last piece goes on

  /** Notes what was typed. */
  typed(data: string): void {
    const text = data.replace(/\x1b\[20[01]~/g, "").replace(/\x1b(?:\[[0-?]*[ -/]*[@-~]|O.|.)?/g, "\x1b");
    for (const c of text) {
      const last = this.open ? this.pieces.at(-1) : undefined;
      if (c === "\x7f" && last) last.text = last.text.slice(0, -1);
      else if (c === "\r" && last) last.entered = true;
      if (c === "\r" || (c < " " && c !== "\t")) this.open = false;
      if (c < " " || c === "\x7f") continue;
      if (last) last.text += c;
      else this.pieces.push({ text: c, shown: "", entered: false });
      this.open = true;
    }
    if (this.pieces.length > 200) this.pieces.splice(0, this.pieces.length - 200);
  }

  /** Looks at the screen: the line up to the cursor and, since editors then step back, one further, and whole lines. */
  look(before: string[], lines: string[]): void {
    for (const [i, p] of this.pieces.entries()) {
      if (p.shown === p.text) continue;
      const places = p.entered ? lines : i === this.pieces.length - 1 ? before : [];
      for (let from = 0; from < p.text.length - p.shown.length; from++) {
        const end = p.text.slice(from);
        if (from > 0 && end.length < enough) break;
        if (places.some((l) => l.endsWith(end))) {
          p.shown = end;
          break;
        }
      }
    }
  }

  /** What was typed since the last time, and whether there was more than what was shown. */
  take(): { shown: string; unshown: boolean } {
    const unshown = this.pieces.some((p) => p.shown !== p.text);
    const shown = this.pieces.filter((p) => p.shown).map((p) => p.shown + (p.entered ? "⏎" : "")).join("");
    this.pieces = [];
    this.open = false;
    return { shown, unshown };
  }

  /** Whether something was not seen yet: it may still be on its way. */
  get expects(): boolean {
    return this.pieces.some((p) => p.shown !== p.text);
  }

  get empty(): boolean {
    return this.pieces.length === 0;
  }
}

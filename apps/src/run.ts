// A run as the work page shows it, and what a person sends the agent there.
import { call, type Data, find, onPress, plain, quoted, Refusal, say, sentence, tell } from "./page";
import { asks, enough } from "./question";

const over = (status: string) => status !== "running" && status !== "stalled";

/** What runs need of the page around them. */
export interface Around {
  /** Reads what is wanted. */
  wake(): void;
  /** Says what there is, once a run has changed. */
  changed(): void;
  /** Reads the lists again. */
  refresh(): Promise<void>;
}

/** Sends the agent a message, or the answer to what it asked at the end of a run; what failed is said. Gives whether it was sent, or came too late. */
export async function message(to: string, session: string, text: string, question = ""): Promise<"sent" | "late" | ""> {
  say("Sending…");
  try {
    const result = question
      ? await call("answer_run", { run: question, message: text })
      : await call("send_chat_message", { message: text, instance: to, wait_seconds: 0, ...(session ? { session } : {}) });
    say("Sent.");
    tell(`the user sent the agent of instance ${to}${result.session ? `, session ${result.session},` : ""} this message: ${quoted(text)}; read_chat_history shows the reply`);
    return "sent";
  } catch (error) {
    const late = question && error instanceof Refusal && error.message.includes("no longer waits");
    say(late ? `${sentence(error)} To send it all the same, press the button again.` : sentence(error), true);
    return late ? "late" : "";
  }
}

/** Has a form send what is in its field, which keeps it until that was sent; then it is done. */
export function sends(form: HTMLFormElement, refresh: () => Promise<void>, send: (text: string) => Promise<string>, done?: () => void): void {
  const field = form.querySelector("textarea")!, button = form.querySelector("button")!;
  form.addEventListener("submit", async (e) => {
    e.preventDefault();
    const typed = field.value, text = typed.trim();
    if (!text || button.disabled) return;
    button.disabled = true;
    const sent = (await send(text)) === "sent";
    button.disabled = false;
    if (sent && field.value === typed) { // else the next message is being typed
      field.value = "";
      done?.();
    }
    await refresh().catch((error) => say(sentence(error), true));
  });
  field.addEventListener("keydown", (e) => {
    if (e.key !== "Enter" || !(e.ctrlKey || e.metaKey)) return;
    e.preventDefault();
    form.requestSubmit();
  });
}

/** How much of what a run said the page shows, in characters. */
const most = 200_000;

/** A run as the page shows it. Its handle changes with each piece of it that is read. */
export class Run {
  readonly box = document.createElement("article");
  handle: string;
  /** Whether there is more of it to read, which the person wants to see. */
  wanted = false;
  private data: Data;
  private ended = false; // and read to its end
  private end = ""; // of its text
  private question = false;
  private answered = false; // as far as this page knows
  private readonly meta = document.createElement("span");
  private readonly about = document.createElement("p");
  private readonly wrong = document.createElement("p");
  private readonly cut = document.createElement("p");
  private readonly text = document.createElement("pre");
  private length = 0; // of what is shown
  private left = 0; // characters before that
  private readonly cancel = document.createElement("button");
  private readonly read = document.createElement("button");
  private readonly answer = document.createElement("button");
  private readonly form = find<HTMLTemplateElement>("answer").content.firstElementChild!.cloneNode(true) as HTMLFormElement;
  private newest = false; // of its session
  private asked = false; // as it is shown

  constructor(data: Data, private readonly around: Around) {
    this.data = data;
    this.handle = data.run;
    this.box.className = "run";
    const head = document.createElement("div");
    head.className = "head";
    this.meta.className = "meta";
    this.text.tabIndex = 0;
    this.text.setAttribute("aria-label", "What it said so far");
    this.cancel.type = this.answer.type = this.read.type = "button";
    this.read.textContent = "Show";
    this.read.addEventListener("click", () => {
      this.box.tabIndex = -1;
      this.box.focus(); // the button goes
      this.want();
    });
    this.cancel.textContent = "Cancel";
    this.answer.textContent = "Answer";
    this.cancel.addEventListener("click", () => void this.stop());
    onPress(this.answer, () => {
      this.form.hidden = !this.form.hidden;
      this.answer.ariaExpanded = String(!this.form.hidden);
      if (!this.form.hidden) this.form.querySelector("textarea")!.focus();
    });
    this.form.hidden = true;
    this.answer.ariaExpanded = "false";
    sends(this.form, around.refresh, async (text) => {
      // Others may answer the question at once.
      const done = await message(this.data.instance, this.data.session, text, this.question && !this.answered ? this.handle : "");
      if (done) this.answered = true;
      return done;
    }, () => this.text.focus()); // the field goes
    // A draft outlives its question, until the person sends it or takes it away and leaves.
    this.form.addEventListener("focusout", () => setTimeout(() => this.show()));
    head.append(this.meta, this.read, this.answer, this.cancel);
    this.about.className = "about";
    this.about.textContent = data.about ?? "";
    this.cut.className = "none";
    this.wrong.className = "wrong";
    this.box.append(head, this.about, this.cut, this.text, this.wrong, this.form);
  }

  /** Takes over what a list says of the run, and whether it is the newest of its session. */
  update(data: Data, newest: boolean): void {
    this.newest = newest;
    if (!this.ended) this.data = { ...this.data, ...data };
    if (!over(this.data.status)) this.want();
    this.show();
  }

  /** Has it read on, unless all of it was. */
  want(): void {
    if (this.wanted || this.ended || !this.handle) return;
    this.wanted = true;
    this.show();
    this.around.wake();
  }

  /** Whether the agent asked something and nobody has answered. */
  get asks(): boolean {
    return this.newest && this.data.kind === "chat" && over(this.data.status) && this.question && !this.answered;
  }

  get active(): boolean {
    return !over(this.data.status);
  }

  private show(): void {
    const d = this.data;
    const code = d.exit_code === undefined ? "" : `exit code ${d.exit_code}`;
    const name = [d.kind, String(d.status).replaceAll("_", " "), code, d.session && `session ${d.session}`, d.started && `since ${new Date(d.started).toLocaleTimeString()}`];
    this.meta.textContent = name.filter(Boolean).join(" · ");
    this.cancel.hidden = over(d.status);
    const can = this.newest && d.kind === "chat" && over(d.status) && Boolean(d.session);
    const draft = this.form.contains(document.activeElement) || this.form.querySelector("textarea")!.value !== "";
    this.read.hidden = this.wanted || this.ended || !over(d.status);
    this.answer.hidden = !can || this.asks;
    if (this.asks !== this.asked) {
      this.asked = this.asks;
      this.box.classList.toggle("asks", this.asked);
      if (this.asked || !draft) this.form.hidden = !this.asked;
    }
    if (!can && !draft) this.form.hidden = true;
    this.box.setAttribute("aria-label", `${d.kind} run, ${d.status}${this.asked ? ", waits for an answer" : ""}`);
    this.around.changed();
  }

  /** Takes over what was read of it, and gives whether that was news. */
  take(next: Data): boolean {
    this.wrong.textContent = next.error ? plain(next.error) : "";
    if (next.status === "unknown") {
      this.wanted = false; // the next list may say that it still runs
      this.data.status = next.status;
      this.show();
      return false;
    }
    const news = (next.reply ?? "") + (next.stdout ?? "") + (next.stderr ?? "") + (next.transfer ? JSON.stringify(next.transfer) : "");
    const atEnd = this.text.scrollTop + this.text.clientHeight >= this.text.scrollHeight - 4;
    if (next.revised) {
      this.text.textContent = "";
      this.left = this.length = 0;
    }
    this.add(news);
    if (atEnd) this.text.scrollTop = this.text.scrollHeight;
    this.end = ((next.revised ? "" : this.end) + news).slice(-enough);
    if (next.run) this.handle = next.run;
    this.data = { ...this.data, ...next, run: this.handle };
    this.ended = over(next.status) && !next.more;
    this.question = this.ended && asks(this.end);
    this.wanted = !this.ended;
    this.show();
    return Boolean(news) || this.ended;
  }

  /** Adds to what it said. Of what would make the browser slow, the end stays. */
  private add(news: string): void {
    if (news) this.text.append(news);
    this.length += news.length;
    if (this.length > 2 * most) {
      const all = this.text.textContent!;
      const from = all.indexOf("\n", all.length - most) + 1 || all.length - most;
      this.text.textContent = all.slice(from);
      this.left += from;
      this.length -= from;
    }
    const cut = this.left ? `The first ${this.left.toLocaleString("en")} characters are no longer shown here.` : "";
    if (this.cut.textContent !== cut) this.cut.textContent = cut;
  }

  private async stop(): Promise<void> {
    this.cancel.disabled = true;
    try {
      const result = await call("cancel_run", { run: this.handle });
      say(result.note ?? "Cancelled.");
      tell(`the user cancelled the ${this.data.kind} run of instance ${this.data.instance}${this.data.session ? `, session ${this.data.session}` : ""}; it is ${result.status ?? "cancelled"}`);
    } catch (error) {
      say(sentence(error), true);
    }
    this.cancel.disabled = false;
  }
}

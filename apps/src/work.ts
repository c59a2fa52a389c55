// What goes on: the instances, the runs with their text as it comes, and the sessions
// of the agent, to whose questions the person may answer here.
import "./work.css";
import { call, type Data, find, follow, open, say, sentence, tell } from "./page";

const lists = { instances: find("instances"), runs: find("runs"), session: find<HTMLSelectElement>("session") };
const pause = (ms: number) => new Promise((go) => setTimeout(go, ms));
const over = (status: string) => status !== "running" && status !== "stalled";

// A question is the end of what was said, perhaps with the answers to choose from below it.
const question = /[?？][\s"'”’)*_`]*(?:\n\s*(?:[-*•]|\d+[.)]|[A-Za-z][.)])\s[^\n]*)*\s*$/;

// What a person may do to the chosen instance, in words: to the assistant, to the person, and on the button that says yes.
const steering: Record<string, { told: (id: string) => string; said: string; yes: string }> = {
  reboot: { told: (id) => `rebooted instance ${id}`, said: "reboots", yes: "Yes, reboot it" },
  start: { told: (id) => `started instance ${id}`, said: "starts", yes: "Yes, start it" },
  shutdown: { told: (id) => `shut instance ${id} down`, said: "shuts down", yes: "Yes, shut it down" },
};

let instance = "";
let chosen = ""; // session

/** Sends the agent a message; what failed is said. */
async function message(to: string, session: string, text: string): Promise<boolean> {
  say("Sending…");
  try {
    const result = await call("send_chat_message", { message: text, instance: to, wait_seconds: 0, ...(session ? { session } : {}) });
    say("Sent.");
    tell(`the user sent the agent of instance ${to}${result.session ? `, session ${result.session},` : ""} this message: ‘${text.slice(0, 500)}’; read_chat_history shows the reply`);
    await refresh();
    return true;
  } catch (error) {
    say(sentence(error), true);
    return false;
  }
}

/** Has a form send what is in its field, which keeps it until that was sent. */
function sends(form: HTMLFormElement, send: (text: string) => Promise<boolean>): void {
  const field = form.querySelector("textarea")!, button = form.querySelector("button")!;
  form.addEventListener("submit", async (e) => {
    e.preventDefault();
    const text = field.value.trim();
    if (!text || button.disabled) return;
    button.disabled = true;
    if (await send(text)) field.value = "";
    button.disabled = false;
  });
  field.addEventListener("keydown", (e) => {
    if (e.key !== "Enter" || !(e.ctrlKey || e.metaKey)) return;
    e.preventDefault();
    form.requestSubmit();
  });
}

/** A run as the page shows it. Its handle changes with each piece of it that is read. */
class Run {
  readonly box = document.createElement("article");
  private handle: string;
  private data: Data;
  private following = false;
  private ended = false;
  private readonly meta = document.createElement("span");
  private readonly about = document.createElement("p");
  private readonly text = document.createElement("pre");
  private readonly cancel = document.createElement("button");
  private readonly answer = document.createElement("button");
  private readonly form = find<HTMLTemplateElement>("answer").content.firstElementChild!.cloneNode(true) as HTMLFormElement;
  private newest = false; // of its session
  private asked = false; // as it is shown

  constructor(data: Data) {
    this.data = data;
    this.handle = data.run;
    this.box.className = "run";
    const head = document.createElement("div");
    head.className = "head";
    this.meta.className = "meta";
    this.text.tabIndex = 0;
    this.text.setAttribute("aria-label", "What it said so far");
    this.cancel.type = this.answer.type = "button";
    this.cancel.textContent = "Cancel";
    this.answer.textContent = "Answer";
    this.cancel.addEventListener("click", () => void this.stop());
    this.answer.addEventListener("click", () => {
      this.form.hidden = !this.form.hidden;
      this.answer.ariaExpanded = String(!this.form.hidden);
      if (!this.form.hidden) this.form.querySelector("textarea")!.focus();
    });
    this.form.hidden = true;
    this.answer.ariaExpanded = "false";
    sends(this.form, async (text) => {
      const sent = await message(this.data.instance, this.data.session, text);
      if (sent) this.text.focus(); // the field is gone
      return sent;
    });
    head.append(this.meta, this.answer, this.cancel);
    this.about.className = "about";
    this.about.textContent = data.about ?? "";
    this.box.append(head, this.about, this.text, this.form);
    this.show();
  }

  /** Takes over what a list says of the run, and whether it is the newest of its session. */
  update(data: Data, newest: boolean): void {
    this.newest = newest;
    if (!this.ended) this.data = { ...this.data, ...data };
    this.show();
  }

  /** Whether the agent asked something and nobody has answered. */
  get asks(): boolean {
    return this.newest && this.data.kind === "chat" && over(this.data.status) && question.test(this.text.textContent ?? "");
  }

  private show(): void {
    const d = this.data;
    const code = d.exit_code === undefined ? "" : `exit code ${d.exit_code}`;
    const name = [d.kind, String(d.status).replaceAll("_", " "), code, d.session && `session ${d.session}`, d.started && `since ${new Date(d.started).toLocaleTimeString()}`];
    this.meta.textContent = name.filter(Boolean).join(" · ");
    this.cancel.hidden = over(d.status);
    const can = this.newest && d.kind === "chat" && over(d.status) && Boolean(d.session);
    this.answer.hidden = !can || this.asks;
    if (this.asks !== this.asked) {
      this.asked = this.asks;
      this.box.classList.toggle("asks", this.asked);
      this.form.hidden = !this.asked;
    }
    if (!can) this.form.hidden = true;
    this.box.setAttribute("aria-label", `${d.kind} run, ${d.status}${this.asked ? ", waits for an answer" : ""}`);
    showState();
  }

  /** Follows it to its end. */
  async follow(): Promise<void> {
    if (this.following || !this.handle) return;
    this.following = true;
    await follow(async () => {
      const { runs } = await call("follow_run", { run: this.handle, wait_seconds: 20 });
      const next = runs[0] as Data;
      const news = (next.reply ?? "") + (next.stdout ?? "") + (next.stderr ?? "") + (next.transfer ? JSON.stringify(next.transfer) : "");
      const atEnd = this.text.scrollTop + this.text.clientHeight >= this.text.scrollHeight - 4;
      if (next.revised) this.text.textContent = news;
      else if (news) this.text.append(news);
      if (atEnd) this.text.scrollTop = this.text.scrollHeight;
      if (next.run) this.handle = next.run;
      this.data = { ...this.data, ...next, run: this.handle };
      const done = over(next.status) && !next.more;
      this.ended = done;
      this.show();
      if (next.error) say(next.error, true);
      return !done;
    });
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

const known = new Map<string, Run>();

/** Shows the runs of a list, the newest first. */
function showRuns(all: Data[]): void {
  const talk = (r: Data) => r.kind === "chat" && `${r.instance} ${r.session}`;
  for (const [i, data] of [...all.entries()].reverse()) {
    let run = known.get(data.id);
    if (!run) {
      run = new Run(data);
      known.set(data.id, run);
      lists.runs.prepend(run.box);
      void run.follow();
    }
    run.update({ status: data.status, session: data.session }, !all.slice(0, i).some((newer) => talk(newer) && talk(newer) === talk(data)));
  }
  find("no-runs").hidden = known.size > 0;
}

let counts = ["Waiting for the server…"];

/** Says what there is, and whether a question waits: that is said aloud, too. */
function showState(): void {
  const asking = [...known.values()].filter((run) => run.asks).length;
  const text = [...counts, ...(asking ? [`${asking} question${asking === 1 ? " waits" : "s wait"} for you`] : [])].join(" · ");
  if (find("state").textContent !== text) find("state").textContent = text;
}

function showInstances(all: Data[]): void {
  instance ||= (all.find((i) => i.state === "ready") ?? all[0])?.id ?? "";
  const buttons = new Map([...lists.instances.querySelectorAll("button")].map((b) => [b.dataset.id, b]));
  for (const i of all) {
    let b = buttons.get(i.id);
    buttons.delete(i.id);
    if (!b) {
      b = document.createElement("button");
      b.type = "button";
      b.dataset.id = i.id;
      b.addEventListener("click", () => {
        instance = i.id;
        chosen = "";
        void refresh();
      });
      const item = document.createElement("li");
      item.append(b);
      lists.instances.append(item);
    }
    const text = `${i.name || i.id} `;
    if (b.firstChild?.textContent !== text || b.lastElementChild?.textContent !== i.status) {
      const status = document.createElement("small");
      status.textContent = i.status;
      b.replaceChildren(text, status);
    }
    b.ariaPressed = String(i.id === instance);
  }
  for (const gone of buttons.values()) gone.closest("li")?.remove();
}

function showSessions(all: Data[]): void {
  find("talk").hidden = !instance;
  const wanted = [["", "the newest, or a new one"], ...all.map((s) => [s.id, s.title ? `${s.title} (${s.id})` : s.id])];
  if (chosen && !all.some((s) => s.id === chosen)) wanted.push([chosen, chosen]);
  const now = [...lists.session.options].map((o) => o.value);
  if (JSON.stringify(now) !== JSON.stringify(wanted.map((w) => w[0]))) lists.session.replaceChildren(...wanted.map(([id, name]) => new Option(name, id)));
  lists.session.value = chosen;
}

const ask = { box: find("ask"), what: find("asks"), yes: find<HTMLButtonElement>("yes"), no: find("no") };

/** What the person is asked about: the call waits for a yes, and nothing was done yet. */
let waiting: { tool: string; instance: string; confirm: string; words: (typeof steering)[string]; from: HTMLElement } | undefined;

/** Shows what the person may do to the chosen instance. */
function showSteering(all: Data[], may: string[]): void {
  const it = all.find((i) => i.id === instance);
  const off = it?.state === "off";
  for (const b of find("steer").querySelectorAll("button")) {
    b.hidden = !it || !may.includes(b.dataset.do!) || (off && b.dataset.do === "shutdown");
    if (b.dataset.do === "reboot") b.textContent = off ? "Start" : "Reboot";
  }
  find("steer").hidden = !find("steer").querySelector("button:not([hidden])");
  if (waiting && waiting.instance !== instance) unask();
}

function unask(): void {
  const focused = ask.box.contains(document.activeElement);
  ask.box.hidden = true;
  if (focused) waiting?.from.focus();
  waiting = undefined;
}

for (const b of find("steer").querySelectorAll("button")) {
  b.addEventListener("click", async () => {
    const words = steering[b.textContent === "Start" ? "start" : b.dataset.do!];
    const tool = `${b.dataset.do}_by_hand`;
    b.disabled = true;
    try {
      const question = await call(tool, { instance });
      waiting = { tool, instance: question.instance, confirm: question.confirm, words, from: b };
      ask.what.textContent = `${question.asks} Go ahead?`;
      ask.yes.textContent = words.yes;
      ask.box.hidden = false;
      ask.no.focus(); // a key pressed too often does no harm
      say("");
    } catch (error) {
      say(sentence(error), true);
    }
    b.disabled = false;
  });
}

ask.yes.addEventListener("click", async () => {
  if (!waiting || ask.yes.disabled) return;
  const { tool, instance: id, confirm, words } = waiting;
  ask.yes.disabled = true;
  try {
    await call(tool, { instance: id, confirm });
    say(`Instance ${id} ${words.said}.`);
    tell(`the user ${words.told(id)}`);
  } catch (error) {
    say(sentence(error), true);
  }
  ask.yes.disabled = false;
  unask();
  await refresh().catch((error) => say(sentence(error), true));
});
ask.no.addEventListener("click", () => {
  unask();
  say("Nothing was done.");
});
ask.box.addEventListener("keydown", (e) => {
  if (e.key === "Escape") ask.no.click();
});

async function refresh(): Promise<void> {
  let work = await call("list_work", instance ? { instance } : {});
  const before = instance;
  if (!work.instances.some((i: Data) => i.id === instance)) instance = chosen = "";
  showInstances(work.instances);
  if (instance && instance !== before) work = await call("list_work", { instance });
  showSteering(work.instances, work.may ?? []);
  showSessions(work.sessions);
  showRuns(work.runs);
  const active = work.runs.filter((r: Data) => !over(r.status)).length;
  counts = [`${work.instances.length} instance${work.instances.length === 1 ? "" : "s"}`, `${active} running`];
  showState();
  const problem = work.notes?.[0];
  if (problem) say(problem, true);
}

lists.session.addEventListener("change", () => (chosen = lists.session.value));
sends(find("form"), (text) => message(instance, chosen, text));

let started = false;
void open((data) => {
  if (typeof data.instance === "string" && data.instance) instance = data.instance;
  // What the call was about may be of another process: asked about it, this one lists it.
  const asked = (Array.isArray(data.runs) ? data.runs : [data]).map((r: Data | string) => (typeof r === "string" ? r : r.run)).filter(Boolean);
  if (asked.length) void Promise.allSettled(asked.map((run: string) => call("follow_run", { run }))).then(refresh).catch((error) => say(sentence(error), true));
  if (started) return;
  started = true;
  void follow(async () => {
    await refresh();
    return true;
  }, () => pause(document.hidden ? 20_000 : 5000));
}).catch((error) => say(`The page could not connect to the client: ${error.message}`, true));

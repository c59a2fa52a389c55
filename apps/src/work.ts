// What goes on: the instances, the runs with their text as it comes, and the sessions
// of the agent, to whose questions the person may answer here.
import "./work.css";
import { call, type Data, find, follow, open, say, sentence, tell } from "./page";

const lists = { instances: find("instances"), runs: find("runs"), session: find<HTMLSelectElement>("session") };
const pause = (ms: number) => new Promise((go) => setTimeout(go, ms));
const over = (status: string) => status !== "running" && status !== "stalled";

let instance = "";
let chosen = ""; // session

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
      instance = this.data.instance;
      choose(this.data.session);
      find("message").focus();
    });
    head.append(this.meta, this.answer, this.cancel);
    this.about.className = "about";
    this.about.textContent = data.about ?? "";
    this.box.append(head, this.about, this.text);
    this.show();
  }

  /** Takes over what a list says of the run. */
  update(data: Data): void {
    if (this.ended) return;
    this.data = { ...this.data, ...data };
    this.show();
  }

  private show(): void {
    const d = this.data;
    const asks = over(d.status) && d.kind === "chat" && /\?\s*$/.test(this.text.textContent ?? "");
    const code = d.exit_code === undefined ? "" : `exit code ${d.exit_code}`;
    const name = [d.kind, String(d.status).replaceAll("_", " "), code, d.session && `session ${d.session}`, d.started && `since ${new Date(d.started).toLocaleTimeString()}`];
    this.meta.textContent = name.filter(Boolean).join(" · ") + (asks ? " — the agent asks" : "");
    this.meta.classList.toggle("asks", asks);
    this.cancel.hidden = over(d.status);
    this.answer.hidden = d.kind !== "chat" || !over(d.status) || !d.session;
    this.answer.classList.toggle("main", asks);
    this.box.setAttribute("aria-label", `${d.kind} run, ${d.status}`);
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
  for (const data of [...all].reverse()) {
    const run = known.get(data.id);
    if (run) {
      run.update({ status: data.status, session: data.session });
      continue;
    }
    const added = new Run(data);
    known.set(data.id, added);
    lists.runs.prepend(added.box);
    void added.follow();
  }
  find("no-runs").hidden = known.size > 0;
}

function choose(session: string): void {
  chosen = session;
  if (![...lists.session.options].some((o) => o.value === session)) lists.session.add(new Option(session, session));
  lists.session.value = session;
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

async function refresh(): Promise<void> {
  let work = await call("list_work", instance ? { instance } : {});
  const before = instance;
  if (!work.instances.some((i: Data) => i.id === instance)) instance = chosen = "";
  showInstances(work.instances);
  if (instance && instance !== before) work = await call("list_work", { instance });
  showSessions(work.sessions);
  showRuns(work.runs);
  const active = work.runs.filter((r: Data) => !over(r.status)).length;
  find("state").textContent = `${work.instances.length} instance${work.instances.length === 1 ? "" : "s"} · ${active} running`;
  const problem = work.notes?.[0];
  if (problem) say(problem, true);
}

lists.session.addEventListener("change", () => (chosen = lists.session.value));
find("form").addEventListener("submit", async (e) => {
  e.preventDefault();
  const field = find<HTMLTextAreaElement>("message");
  const button = find("form").querySelector("button")!;
  const message = field.value.trim();
  if (!message) return;
  button.disabled = true;
  say("Sending…");
  try {
    const result = await call("send_chat_message", { message, instance, wait_seconds: 0, ...(chosen ? { session: chosen } : {}) });
    field.value = "";
    say("Sent.");
    tell(`the user sent the agent of instance ${instance}${result.session ? `, session ${result.session},` : ""} this message: ‘${message.slice(0, 500)}’; read_chat_history shows the reply`);
    await refresh();
  } catch (error) {
    say(sentence(error), true); // what was typed stays
  }
  button.disabled = false;
});

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

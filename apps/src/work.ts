// What goes on: the instances, the runs with their text as it comes, and the sessions
// of the agent, to whose questions the person may answer here.
import "./work.css";
import { call, type Data, find, follow, open, pause, say, sentence, tell, unsay, wait } from "./page";
import { message, Run, sends } from "./run";

const lists = { instances: find("instances"), runs: find("runs"), session: find<HTMLSelectElement>("session") };

// What a person may do to the chosen instance, in words: to the assistant, to the person, and on the button that says yes.
const steering: Record<string, { told: (id: string) => string; said: string; yes: string }> = {
  reboot: { told: (id) => `rebooted instance ${id}`, said: "reboots", yes: "Yes, reboot it" },
  start: { told: (id) => `started instance ${id}`, said: "starts", yes: "Yes, start it" },
  shutdown: { told: (id) => `shut instance ${id} down`, said: "shuts down", yes: "Yes, shut it down" },
};

let instance = "";
let chosen = ""; // session

const known = new Map<string, Run>();
let wake: (() => void) | undefined;
const around = { wake: () => wake?.(), changed: showState, refresh };

/** How long one call waits for news: what is to be followed from now on waits for its end. */
const patience = 3;

/** Reads the runs that are wanted, all in one call: a browser allows few connections for all its pages. */
async function read(): Promise<boolean> {
  const wanted = [...known.values()].filter((run) => run.wanted).slice(-100);
  if (!wanted.length) {
    await new Promise<void>((go) => (wake = go));
    return true;
  }
  const began = Date.now();
  const { runs } = await call("follow_run", { runs: wanted.map((run) => run.handle), wait_seconds: wait(patience) });
  const news = runs.length === wanted.length && wanted.map((run, i) => run.take(runs[i])).some(Boolean);
  if (document.hidden) await pause(20_000);
  else if (!news) await pause(patience * 1000 - (Date.now() - began)); // a run that stalls is answered at once
  else if (!runs.some((r: Data) => r.more)) await pause(100);
  return true;
}

/** Shows the runs of a list, the newest first. */
function showRuns(all: Data[]): void {
  const talk = (r: Data) => r.kind === "chat" && `${r.instance} ${r.session}`;
  const first = new Map<unknown, Data>();
  for (const data of all) if (talk(data) && !first.has(talk(data))) first.set(talk(data), data);
  for (const [i, data] of [...all.entries()].reverse()) {
    let run = known.get(data.id);
    const fresh = !run;
    if (!run) {
      run = new Run(data, around);
      // An older one may come later: there is room for more where others have ended.
      const newer = all.slice(0, i).findLast((r) => known.has(r.id)), older = all[i + 1];
      if (older && known.has(older.id)) known.get(older.id)!.box.before(run.box);
      else if (newer) known.get(newer.id)!.box.after(run.box);
      else lists.runs.prepend(run.box);
      known.set(data.id, run);
    }
    const newest = first.get(talk(data)) === data;
    // Of those that ended, the person sees the last ones, and what may ask something.
    if (fresh && (i < 10 || newest)) run.want();
    run.update({ status: data.status, session: data.session }, newest);
  }
  find("no-runs").hidden = known.size > 0;
}

let counts: { instances: string; left: string } | undefined; // undefined until the server has said

/** Says what there is, and whether a question waits: that is said aloud, too. */
function showState(): void {
  if (!counts) return;
  const all = [...known.values()];
  const asking = all.filter((run) => run.asks).length, active = all.filter((run) => run.active).length;
  const text = [counts.instances, `${active} running`, counts.left, asking && `${asking} question${asking === 1 ? " waits" : "s wait"} for you`].filter(Boolean).join(" · ");
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
        void refresh().catch((error) => say(sentence(error), true));
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

function showSessions(all: Data[], more: boolean): void {
  find("talk").hidden = !instance;
  const wanted: [string, string, boolean][] = [["", "the newest, or a new one", false], ...all.map((s): [string, string, boolean] => [s.id, s.title ? `${s.title} (${s.id})` : s.id, false])];
  if (chosen && !all.some((s) => s.id === chosen)) wanted.push([chosen, chosen, false]);
  if (more) wanted.push(["older", "older ones are not listed", true]);
  const now = [...lists.session.options].map((o) => [o.value, o.textContent, o.disabled]);
  if (JSON.stringify(now) !== JSON.stringify(wanted)) {
    lists.session.replaceChildren(...wanted.map(([id, name, disabled]) => Object.assign(new Option(name, id), { disabled })));
  }
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

let problem = ""; // of the lists

let refreshes = 0; // begun, so that what comes late is known

async function refresh(): Promise<void> {
  const mine = ++refreshes;
  let work = await call("list_work", instance ? { instance } : {});
  if (mine !== refreshes) return;
  const before = instance;
  if (!work.instances.some((i: Data) => i.id === instance)) instance = chosen = "";
  showInstances(work.instances);
  if (instance && instance !== before) {
    work = await call("list_work", { instance });
    if (mine !== refreshes) return;
  }
  showSteering(work.instances, work.may ?? []);
  showSessions(work.sessions, work.more_sessions);
  showRuns(work.runs);
  const shown = work.instances.length, all = shown + (work.instances_left_out ?? 0);
  const out = work.runs_left_out;
  counts = {
    instances: `${shown < all || work.more_instances ? `${shown} of ${all.toLocaleString("en")}${work.more_instances ? " or more" : ""}` : all} instance${all === 1 ? "" : "s"}`,
    left: out ? `${out.toLocaleString("en")} older run${out === 1 ? " is" : "s are"} left out` : "",
  };
  showState();
  if (problem) unsay(problem);
  problem = work.notes?.[0] ?? "";
  if (problem) say(problem, true);
}

lists.session.addEventListener("change", () => (chosen = lists.session.value));
sends(find("form"), refresh, (text) => message(instance, chosen, text));

let started = false;
void open((data) => {
  if (typeof data.instance === "string" && data.instance && data.instance !== instance) {
    instance = data.instance;
    chosen = "";
    if (started) void refresh().catch((error) => say(sentence(error), true));
  }
  // What the call was about may be of another process: asked about it, this one lists it.
  const asked = (Array.isArray(data.runs) ? data.runs : [data]).map((r: Data | string) => (typeof r === "string" ? r : r.run)).filter(Boolean).slice(0, 100);
  if (asked.length) void call("follow_run", { runs: asked }).then(refresh).catch((error) => say(sentence(error), true));
  if (started) return;
  started = true;
  void follow(read);
  void follow(async () => {
    await refresh();
    return true;
  }, () => pause(document.hidden ? 20_000 : 5000));
}).catch((error) => say(`The page could not connect to the client: ${error.message}`, true));

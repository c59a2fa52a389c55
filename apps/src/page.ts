// What the pages share: the connection to the host, its looks, calls of the server's
// tools, and what is said to the person and to the model.
import "./page.css";
import { App, applyDocumentTheme, applyHostFonts, applyHostStyleVariables, type McpUiHostContext } from "@modelcontextprotocol/ext-apps";
import { config } from "zod";

config({ jitless: true }); // hosts allow no eval

/** What a tool gives to programs. */
export type Data = Record<string, any>;

/** What a host passes on of a tool's result. */
export interface Result {
  content?: { type: string; text?: string }[];
  structuredContent?: unknown;
  isError?: boolean;
  _meta?: Record<string, unknown>;
}

/** A call that the server refused, in its words. Anything else that a call throws means that there was no answer. */
export class Refusal extends Error {}

export function find<T extends HTMLElement>(id: string): T {
  const found = document.getElementById(id);
  if (!found) throw new Error(`the page has no ${id}`);
  return found as T;
}

/** Has a button do something when it is pressed. Who double-clicks means one press, not to and fro. */
export function onPress(button: HTMLElement, press: () => unknown): void {
  button.addEventListener("click", (e) => {
    if (e.detail < 2) void press();
  });
}

/** The data of a result: all of it for the tools of pages, the short facts for others. */
export function dataOf(result: Result): Data {
  return (result.structuredContent ?? result._meta?.["openclaw-mcp/result"] ?? {}) as Data;
}

export function textOf(result: Result): string {
  return (result.content ?? []).filter((c) => c.type === "text").map((c) => c.text).join("\n");
}

const said = find("say");

/** Says something to the person, in the line at the end of the page. */
export function say(text: string, bad = false): void {
  if (said.textContent === text) return; // nobody wants to hear it again
  said.textContent = text;
  said.classList.toggle("bad", bad);
}

/** Takes back what was said, or says something instead, unless something else was said since. */
export function unsay(text: string, instead = ""): void {
  if (said.textContent === text) say(instead);
}

/** Has the host open a web address; it may ask the person, or refuse. */
export async function openLink(url: string): Promise<void> {
  const answer = await app.openLink({ url }).catch(() => ({ isError: true }));
  if (answer.isError) say(`This page may not open ${url}: copy the address.`, true);
}

const app = new App({ name: "openclaw-mcp", version: "1" }, { availableDisplayModes: ["inline", "fullscreen"] });
let context: McpUiHostContext = {};
const lookers: (() => void)[] = [];

/** Has look called whenever the host's theme or size changes. */
export function onLook(look: () => void): void {
  lookers.push(look);
}

function look(changed: McpUiHostContext | undefined): void {
  context = { ...context, ...changed };
  if (context.theme) applyDocumentTheme(context.theme);
  if (context.styles?.variables) applyHostStyleVariables(context.styles.variables);
  if (context.styles?.css?.fonts) applyHostFonts(context.styles.css.fonts);
  for (const l of lookers) l();
}

export function isDark(): boolean {
  return context.theme ? context.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

export const calm = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

/** The height that a full screen has, undefined where the page is as high as it wants. */
export function fullHeight(): number | undefined {
  return context.displayMode === "fullscreen" ? innerHeight : undefined;
}

/** Connects to the host. onData gets the data of the call that the page stands for, and of later ones that it is shown for. */
export async function open(onData: (data: Data) => void): Promise<void> {
  app.ontoolinput = (p) => onData((p.arguments ?? {}) as Data);
  app.ontoolresult = (p) => {
    const result = p as Result;
    if (result.isError) say(textOf(result).split("\n")[0] || "The call failed.", true);
    else onData(dataOf(result));
  };
  app.ontoolcancelled = (p) => say(`The call was cancelled${p.reason ? `: ${p.reason}` : "."}`, true);
  app.onhostcontextchanged = (c) => look(c);
  app.onteardown = async () => {
    closed = true;
    return {};
  };
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => look({}));
  await app.connect();
  look(app.getHostContext());
  if (!app.getHostCapabilities()?.serverTools) {
    say("This client shows the page but doesn’t let it call the server, so nothing here moves.", true);
  }
  const full = document.getElementById("full");
  if (full && context.availableDisplayModes?.includes("fullscreen")) {
    full.hidden = false;
    onPress(full, async () => {
      const { mode } = await app.requestDisplayMode({ mode: context.displayMode === "fullscreen" ? "inline" : "fullscreen" });
      look({ displayMode: mode });
    });
  }
}

let closed = false;

const slow = "The server takes long to answer. Waiting for it…";

/** Says so where there is no answer within five seconds of when it is due; gives what takes that back. */
function sayIfSlow(due: number): () => void {
  let before: [string, boolean] | undefined;
  const timer = setTimeout(() => {
    if (said.textContent === slow) return;
    before = [said.textContent!, said.classList.contains("bad")];
    say(slow);
  }, due * 1000 + 5000);
  return () => {
    clearTimeout(timer);
    if (before && said.textContent === slow) say(...before);
  };
}

/** Calls a tool of the server. */
export async function call(name: string, args: Data): Promise<Data> {
  const answered = sayIfSlow(args.wait_seconds ?? 0);
  const result = (await app.callServerTool({ name, arguments: args }, { timeout: 60_000 }).finally(answered)) as Result;
  if (result.isError) {
    const text = textOf(result);
    if (/context canceled/.test(text)) throw new Error("it is being stopped"); // it ended the call, nobody else can
    throw new Refusal(text);
  }
  return { ...dataOf(result), text: textOf(result) };
}

/** What a failed call says to a person. */
export function sentence(error: unknown): string {
  if (error instanceof Refusal) return plain(error.message);
  const why = error instanceof Error ? error.message : String(error);
  if (/session/i.test(why)) return "The client’s session with the server has ended: connect the server again in your client";
  if (/too many requests/i.test(why)) return "The server takes no more requests for the moment";
  return `The server can’t be reached: ${why}`;
}

/** The words of a refusal or a failure that are for a person, who knows no tools and no endpoints. */
export function plain(text: string): string {
  const told = text.split("\n").filter((l) => !/^(Repeat|Next): /.test(l));
  const words = told.map((l) => l.replace(/^[a-z_]+ failed: /, "").replace(/^(What happened|[A-Z]{3,6} \/\S*): /, "").replace(/^[a-z_]+ is not allowed/, "this is not allowed").trim());
  return words.filter(Boolean).map((l) => l[0].toUpperCase() + l.slice(1) + (/[.!?…]$/.test(l) ? "" : ".")).join(" ");
}

/** Rests for a while, or until the page is hidden or seen again. */
export function pause(ms: number): Promise<void> {
  return new Promise((go) => {
    const end = () => {
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", end);
      go();
    };
    const timer = setTimeout(end, ms);
    document.addEventListener("visibilitychange", end);
  });
}

/** How long a call may wait for news: a hidden page keeps no connection, of which a browser has few for all its pages. */
export const wait = (seconds: number) => (document.hidden ? 0 : seconds);

/** Rests where nobody looks. */
export const restIfHidden = async () => document.hidden && pause(20_000);

/** A text as it stands in a note: the model is to know what is not all. */
export function quoted(text: string): string {
  return text.length > 2000 ? `‘${text.slice(0, 2000)}…’ (the first 2,000 of its ${text.length.toLocaleString("en")} characters)` : `‘${text}’`;
}

const retry = find<HTMLButtonElement>("retry");

/**
 * Calls step again and again, with a rest between, until it gives false or the host takes the page away. Where the server can't be reached it
 * goes on after a while; where the server refuses, when the person asks for it: refused is called before.
 */
export async function follow(step: () => Promise<boolean>, rest?: () => Promise<unknown>, refused?: () => void): Promise<void> {
  let failures = 0, told = "";
  while (!closed) {
    try {
      if (!(await step())) return;
      if (failures > 0) unsay(told, "The server is back.");
      failures = 0;
      await rest?.();
    } catch (error) {
      if (error instanceof Refusal) {
        refused?.();
        say(sentence(error), true);
        retry.hidden = false;
        await new Promise((go) => retry.addEventListener("click", go, { once: true }));
        retry.hidden = true;
        say("");
        continue;
      }
      const seconds = Math.min(30, 2 ** failures++);
      say((told = `${sentence(error)}. Trying again every ${seconds} s.`), true);
      await pause(seconds * 1000); // who comes back to the page does not wait
    }
  }
}

const done: string[] = [];
let telling: ReturnType<typeof setTimeout> | undefined;

/** Tells the model what the person did; again replaces what was told last. Hosts keep only the last update, so each has all of it. */
export function tell(what: string, again = false): void {
  if (again) done.pop();
  done.push(what);
  if (done.length > 12) done.shift();
  clearTimeout(telling);
  telling = setTimeout(() => {
    if (!app.getHostCapabilities()?.updateModelContext) return;
    app.updateModelContext({ content: [{ type: "text", text: `What the user did in the page of this server:\n${done.map((d) => `- ${d}`).join("\n")}` }] })
      .catch(() => say("The client didn’t take the note to the model about what you did.", true));
  }, 300);
}

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
    full.addEventListener("click", async () => {
      const { mode } = await app.requestDisplayMode({ mode: context.displayMode === "fullscreen" ? "inline" : "fullscreen" });
      look({ displayMode: mode });
    });
  }
}

let closed = false;

/** Calls a tool of the server. */
export async function call(name: string, args: Data): Promise<Data> {
  const result = (await app.callServerTool({ name, arguments: args }, { timeout: 60_000 })) as Result;
  if (result.isError) throw new Refusal(textOf(result));
  return { ...dataOf(result), text: textOf(result) };
}

/** What a failed call says to a person. */
export function sentence(error: unknown): string {
  if (error instanceof Refusal) return error.message.split("\n").filter((l) => !l.startsWith("Repeat:")).join(" ");
  const why = error instanceof Error ? error.message : String(error);
  if (/session/i.test(why)) return "The client’s session with the server has ended: connect the server again in your client";
  return `The server can’t be reached: ${why}`;
}

const retry = find<HTMLButtonElement>("retry");

/**
 * Calls step again and again, with a rest between, until it gives false or the host takes the page away. Where the server can't be reached it
 * goes on after a while; where the server refuses, when the person asks for it.
 */
export async function follow(step: () => Promise<boolean>, rest?: () => Promise<unknown>): Promise<void> {
  let failures = 0;
  while (!closed) {
    try {
      if (!(await step())) return;
      if (failures > 0) say("The server is back.");
      failures = 0;
      await rest?.();
    } catch (error) {
      if (error instanceof Refusal) {
        say(sentence(error), true);
        retry.hidden = false;
        await new Promise((go) => retry.addEventListener("click", go, { once: true }));
        retry.hidden = true;
        say("");
        continue;
      }
      const pause = Math.min(30, 2 ** failures++);
      say(`${sentence(error)}. Trying again every ${pause} s.`, true);
      await new Promise((go) => setTimeout(go, pause * 1000));
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

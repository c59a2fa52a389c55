// The console: signs in to this server's MCP endpoint and shows the pages that MCP
// clients show, as a host of MCP Apps. Without this script, the page is whole but for
// it.
"use strict";
(() => {
  const find = (id) => document.getElementById(id);
  const box = find("console");
  const kind = box.dataset.auth;
  const version = "2026-07-28";
  const store = "openclaw-mcp";
  const endpoint = "mcp"; // beside this page

  /** An answer that the person is to read. */
  class Answer extends Error {}

  let secret = "";
  let ids = 0;

  async function request(method, params, signal) {
    const headers = { "Content-Type": "application/json", Accept: "application/json, text/event-stream", "Mcp-Protocol-Version": version, "Mcp-Method": method };
    if (params.name) headers["Mcp-Name"] = params.name;
    const used = secret;
    if (secret) headers.Authorization = `Bearer ${secret}`;
    const meta = {
      "io.modelcontextprotocol/protocolVersion": version,
      "io.modelcontextprotocol/clientInfo": { name: "openclaw-mcp-console", version: "1" },
      "io.modelcontextprotocol/clientCapabilities": { extensions: { "io.modelcontextprotocol/ui": { mimeTypes: ["text/html;profile=mcp-app"] } } },
    };
    const body = JSON.stringify({ jsonrpc: "2.0", id: ++ids, method, params: { ...params, _meta: meta } });
    const response = await fetch(endpoint, { method: "POST", headers, body, signal, credentials: "omit", cache: "no-store" });
    const text = await response.text();
    if (response.status === 401) {
      // Calls that were on their way together are refused together: the first says so.
      // One that comes late ends no sign-in that was made since.
      const why = used ? refused() : "";
      if (secret === used) signOut(why);
      throw new Answer(why || "You are not signed in.");
    }
    let answer;
    for (const part of (response.headers.get("Content-Type") ?? "").startsWith("text/event-stream") ? text.split(/^data: ?/m).slice(1) : [text]) {
      try {
        const message = JSON.parse(part);
        if (message.result || message.error) answer = message;
      } catch {
        // A part that is no message.
      }
    }
    if (answer?.result) return answer.result;
    throw new Answer(answer?.error?.message ?? `The server answers ${response.status}.`);
  }

  // What to do where the server does not take what the person signed in with.
  function refused() {
    if (document.body.classList.contains("in")) return "Your sign-in has ended. Sign in again.";
    if (kind === "key") return "This key was not taken. Copy the whole OpenClaw API key from your account, and sign in again.";
    if (kind === "token") return "This token was not taken. Copy the whole token, or ask whoever runs this server for a new one, and sign in again.";
    return "The server does not take this sign-in, or no longer. Sign in again.";
  }

  const call = (name, args, signal) => request("tools/call", { name, arguments: args }, signal);
  const textOf = (result) => (result.content ?? []).filter((c) => c.type === "text").map((c) => c.text).join("\n");

  function say(text, bad = false) {
    find("console-say").textContent = text;
    find("console-say").classList.toggle("bad", bad);
  }

  // A page in a frame: this window is its host. It has no origin of its own, so it is
  // known by its window.
  let shown;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const theme = () => (dark.matches ? "dark" : "light");

  function close() {
    if (!shown) return;
    shown.stop.abort();
    removeEventListener("message", shown.hear);
    shown.frame.remove();
    shown = undefined;
  }

  function show(page, args, result) {
    close();
    const frame = document.createElement("iframe");
    frame.setAttribute("sandbox", "allow-scripts allow-forms");
    frame.title = page[0].toUpperCase() + page.slice(1);
    frame.src = `pages/${page}`;
    const stop = new AbortController();
    const send = (message) => frame.contentWindow?.postMessage({ jsonrpc: "2.0", ...message }, "*");
    const answers = {
      ping: () => ({}),
      "ui/initialize": (p) => ({
        protocolVersion: p.protocolVersion, hostInfo: { name: "openclaw-mcp-console", version: "1" }, hostCapabilities: { serverTools: {} },
        hostContext: { theme: theme(), displayMode: "fullscreen", platform: "web" },
      }),
      "ui/request-display-mode": () => ({ mode: "fullscreen" }),
      "tools/call": (p) => call(p.name, p.arguments ?? {}, stop.signal),
    };
    const hear = async (event) => {
      const m = event.data;
      if (event.source !== frame.contentWindow || m?.jsonrpc !== "2.0" || !m.method) return;
      if (m.method === "ui/notifications/initialized") {
        send({ method: "ui/notifications/tool-input", params: { arguments: args } });
        if (result) send({ method: "ui/notifications/tool-result", params: result });
      }
      if (m.id === undefined) return;
      const answer = Object.hasOwn(answers, m.method) ? answers[m.method] : undefined;
      try {
        send(answer ? { id: m.id, result: await answer(m.params ?? {}) } : { id: m.id, error: { code: -32601, message: `there is no ${m.method} here` } });
      } catch (error) {
        send({ id: m.id, error: { code: -32603, message: error instanceof Answer ? error.message : "there is no answer" } });
      }
    };
    addEventListener("message", hear);
    shown = { frame, stop, hear, send };
    find("console-page").replaceChildren(frame);
  }
  dark.addEventListener("change", () => shown?.send({ method: "ui/notifications/host-context-changed", params: { theme: theme() } }));

  // The views.
  const select = find("console-instance"), open = find("console-open");
  const terminals = new Map(); // result by instance
  const tabs = [...box.querySelectorAll("[data-view]")];

  let views = 0; // that were shown, so that what comes late is known

  async function view(name) {
    views++;
    for (const tab of tabs) tab.setAttribute("aria-pressed", String(tab.dataset.view === name));
    open.hidden = name !== "terminal";
    find("console-page").hidden = name === "clients";
    document.body.classList.toggle("clients", name === "clients");
    say("");
    const instance = select.value;
    const args = instance ? { instance } : {};
    if (name === "terminal") {
      if (terminals.has(instance)) show("terminal", { fit: true }, terminals.get(instance));
      else await openTerminal();
    } else if (name === "clients") close();
    else show(name, args);
  }

  async function openTerminal() {
    const instance = select.value;
    const at = ++views, by = secret;
    close();
    open.disabled = true;
    say("Opening a terminal…");
    try {
      const result = await call("open_terminal", instance ? { instance } : {});
      if (!result.isError && secret === by) terminals.set(instance, result);
      if (at === views) {
        say(result.isError ? textOf(result) : "", result.isError);
        if (!result.isError) show("terminal", { fit: true }, result);
      }
    } catch (error) {
      if (at === views) say(sentence(error), true);
    }
    open.disabled = false;
  }

  const sentence = (error) => (error instanceof Answer ? error.message : `The server can’t be reached: ${error.message}`);

  async function signIn() {
    say("Signing in…");
    try {
      const { tools } = await request("tools/list", {});
      const allowed = (name) => tools.some((t) => t.name === name);
      for (const tab of tabs) tab.hidden = Boolean(tab.dataset.tool) && !allowed(tab.dataset.tool);
      let instances = [];
      if (allowed("list_work")) {
        const work = await call("list_work", {});
        if (work.isError) throw new Answer(textOf(work));
        if (kind === "key" && work.structuredContent.key_refused) {
          signOut(refused());
          throw new Answer(refused());
        }
        instances = work.structuredContent.instances;
      }
      select.replaceChildren(...instances.map((i) => new Option(`${i.name || i.id} (${i.status})`, i.id)));
      select.disabled = !instances.length;
      find("console-secret").value = "";
      if (secret) sessionStorage.setItem(store, secret);
      document.body.classList.add("in");
      find("console-out").hidden = !secret;
      find("console-work").hidden = false;
      await view(tabs.find((t) => !t.hidden).dataset.view);
      tabs.find((t) => !t.hidden).focus();
    } catch (error) {
      if (secret || kind === "none" || !(error instanceof Answer)) {
        if (find("console-say").textContent === "Signing in…") say(sentence(error), true);
      }
    }
  }

  function signOut(why = "") {
    views++;
    close();
    terminals.clear();
    secret = "";
    sessionStorage.removeItem(store);
    document.body.classList.remove("in", "clients");
    find("console-work").hidden = true;
    say(why, Boolean(why));
    find("console-form").querySelector("input:not([hidden]), button").focus();
  }

  for (const tab of tabs) tab.addEventListener("click", () => void view(tab.dataset.view));
  open.addEventListener("click", () => void openTerminal());
  select.addEventListener("change", () => void view(tabs.find((t) => t.getAttribute("aria-pressed") === "true").dataset.view));
  find("console-out").addEventListener("click", () => signOut());
  find("console-form").addEventListener("submit", (e) => {
    e.preventDefault();
    if (kind === "oauth") {
      void window.openclawSignIn.begin().catch((error) => say(error.message, true));
      return;
    }
    secret = find("console-secret").value.trim();
    if (kind !== "none" && !secret) {
      say(kind === "key" ? "Type your OpenClaw API key first." : "Type your token first.", true);
      return;
    }
    void signIn();
  });

  box.hidden = false;
  secret = sessionStorage.getItem(store) ?? "";
  if (kind === "oauth") {
    void window.openclawSignIn.end().then((token) => {
      secret = token || secret;
      if (secret) void signIn();
    }, (error) => say(error.message, true));
  } else if (secret) void signIn();
})();

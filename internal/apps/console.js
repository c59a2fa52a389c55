// The console: signs in to this server's MCP endpoint and shows the pages that MCP
// clients show, as a host of MCP Apps. Without this script, the page is whole but for
// it.
"use strict";
(() => {
  const find = (id) => document.getElementById(id);
  const box = find("console");
  const kind = box.dataset.auth;
  const version = "2026-07-28";
  const store = "openclaw-mcp", kept = "openclaw-mcp-terminals";
  const endpoint = "mcp"; // beside this page

  /** An answer that the person is to read. */
  class Answer extends Error {}

  let secret = "";
  let signIns = 0; // and sign-outs, so that what comes late is known
  let ids = 0;

  /** Reports whether what was refused is to be asked again, with another token. */
  async function renewed(used) {
    if (kind !== "oauth" || !used) return false;
    if (secret === used) {
      const token = await window.openclawSignIn.renew();
      if (token && secret === used) {
        secret = token;
        sessionStorage.setItem(store, secret);
      }
    }
    return secret !== used && secret !== "";
  }

  async function request(method, params, signal, again = false) {
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
    // A connection may have died while this machine slept: nothing is waited for longer than pages wait.
    const over = AbortSignal.any([AbortSignal.timeout(60_000), ...(signal ? [signal] : [])]);
    const response = await fetch(endpoint, { method: "POST", headers, body, signal: over, credentials: "omit", cache: "no-store" });
    const text = await response.text();
    if (response.status === 401) {
      const by = signIns;
      if (!again && (await renewed(used)) && by === signIns) return request(method, params, signal, true);
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

  async function call(name, args, signal) {
    const by = signIns;
    const result = await request("tools/call", { name, arguments: args }, signal);
    if (by !== signIns) return result;
    if (name === "list_work" && !result.isError) list(result.structuredContent);
    else if (result.isError && name !== "list_work" && /not.found|no instance/i.test(textOf(result))) void refresh();
    return result;
  }
  const textOf = (result) => (result.content ?? []).filter((c) => c.type === "text").map((c) => c.text).join("\n");

  function say(text, bad = false) {
    find("console-say").textContent = text;
    find("console-say").classList.toggle("bad", bad);
  }

  // A page in a frame: this window is its host. It has no origin of its own, so it is
  // known by its window. That of the work is kept where another is looked at, with what
  // the person has begun to write there.
  let shown, work;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const theme = () => (dark.matches ? "dark" : "light");

  function close() {
    if (!shown) return;
    if (shown === work) work.frame.hidden = true;
    else drop(shown);
    shown = undefined;
  }

  function drop({ frame, stop, hear }) {
    stop.abort();
    removeEventListener("message", hear);
    frame.remove();
  }

  // Where a page can't be loaded, browsers show nothing, or words of their own.
  function show(page, args, result, again = false) {
    close();
    if (page === "work" && work) {
      shown = work;
      work.frame.hidden = false;
      work.about(args);
      return;
    }
    if (!again) say("Loading…");
    const frame = document.createElement("iframe");
    frame.className = "loading";
    let ready = false, told = null; // told: the instance that the page was last told of
    frame.addEventListener("load", () => setTimeout(() => {
      if (ready || shown?.frame !== frame) return;
      say("The page can’t be loaded: the server can’t be reached. Trying again every 5 s.", true);
      show(page, args, result, true);
    }, 5000));
    frame.setAttribute("sandbox", "allow-scripts allow-forms");
    frame.title = page[0].toUpperCase() + page.slice(1);
    frame.src = `pages/${page}`;
    const stop = new AbortController();
    const send = (message) => frame.contentWindow?.postMessage({ jsonrpc: "2.0", ...message }, "*");
    const about = (args) => {
      if (told === args.instance) return; // the person may have chosen another one in the page
      told = args.instance;
      send({ method: "ui/notifications/tool-input", params: { arguments: args } });
    };
    const answers = {
      ping: () => ({}),
      "ui/initialize": (p) => ({
        protocolVersion: p.protocolVersion, hostInfo: { name: "openclaw-mcp-console", version: "1" }, hostCapabilities: { serverTools: {}, openLinks: {} },
        hostContext: { theme: theme(), displayMode: "fullscreen", platform: "web" },
      }),
      "ui/request-display-mode": () => ({ mode: "fullscreen" }),
      "ui/open-link": ({ url }) => {
        const other = /^https?:\/\//i.test(url) && window.open(url, "_blank");
        if (!other) return { isError: true };
        other.opener = null;
        return {};
      },
      // What a page that nobody sees hears of the instances changes nothing in the view.
      "tools/call": ({ name, arguments: given = {} }) => (shown === it ? call(name, given, stop.signal) : request("tools/call", { name, arguments: given }, stop.signal)),
    };
    const hear = async (event) => {
      const m = event.data;
      if (event.source !== frame.contentWindow || m?.jsonrpc !== "2.0" || !m.method) return;
      if (m.method === "ui/notifications/initialized") {
        ready = true;
        frame.classList.remove("loading");
        say("");
        about(args);
        if (page === "work") work = it;
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
    const it = (shown = { frame, stop, hear, send, about });
    find("console-page").append(frame);
  }
  dark.addEventListener("change", () => {
    for (const page of new Set([shown, work])) page?.send({ method: "ui/notifications/host-context-changed", params: { theme: theme() } });
  });

  // The views.
  const select = find("console-instance"), open = find("console-open");
  // What the page is to know of the terminal of each instance. A reload goes on with them.
  const terminals = new Map(JSON.parse(sessionStorage.getItem(kept) ?? "[]"));
  const tabs = [...box.querySelectorAll("[data-view]")];

  let views = 0; // that were shown, so that what comes late is known

  const current = () => tabs.find((t) => t.getAttribute("aria-pressed") === "true").dataset.view;

  // The browser's own buttons go back and forward through what was looked at, and a reload
  // goes on with it.
  function remember(name, replace) {
    const at = { view: name, instance: select.value }, was = history.state;
    if (replace || was?.view !== at.view || was.instance !== at.instance) history[replace ? "replaceState" : "pushState"](at, "");
  }
  const tabOf = ({ view } = {}) => tabs.find((t) => !t.hidden && t.dataset.view === view) ?? tabs.find((t) => !t.hidden);
  addEventListener("popstate", ({ state }) => {
    if (!document.body.classList.contains("in")) return;
    if ([...select.options].some((o) => o.value === state?.instance)) select.value = state.instance;
    void view(tabOf(state ?? {}).dataset.view);
  });

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
      const at = views, had = terminals.get(instance);
      if (had && !(await goesOn(had))) terminals.delete(instance);
      if (at !== views) return;
      if (terminals.has(instance)) show("terminal", { fit: true }, { structuredContent: had });
      else await openTerminal();
    } else if (name === "clients") close();
    else show(name, args);
    void refresh();
  }

  // Where the server can't be asked, the page says so.
  async function goesOn({ terminal, handle }) {
    try {
      const result = await call("follow_terminal", { terminal: handle ?? terminal, cursor: -1, wait_seconds: 0 });
      return !result.isError && result.structuredContent.status === "open";
    } catch {
      return true;
    }
  }

  // Reads the instances again.
  async function refresh() {
    if (listed === undefined) return;
    await call("list_work", {}).catch(() => {}); // the pages say what is wrong
  }

  let listed; // the instances that are shown; "" before the first, undefined where they can't be listed

  function list({ instances, notes }) {
    if (notes?.length && !instances.length) return;
    const names = JSON.stringify(instances.map((i) => [i.id, `${i.name || i.id} (${i.status})`]));
    if (names === listed) return;
    const was = select.value, first = listed === "";
    listed = names;
    select.replaceChildren(...JSON.parse(names).map(([id, name]) => new Option(name, id)));
    select.disabled = !instances.length;
    if (instances.some((i) => i.id === was)) select.value = was;
    else if (!first) void view(current());
  }

  const opening = new Set(); // where a terminal is being opened already: a tab may be clicked twice

  async function openTerminal() {
    const instance = select.value, by = signIns, once = `${by} ${instance}`;
    views++;
    close();
    say("Opening a terminal…");
    if (opening.has(once)) return;
    const wanted = () => signIns === by && current() === "terminal" && select.value === instance && !shown;
    const replaced = terminals.get(instance);
    opening.add(once);
    open.disabled = true;
    try {
      if (replaced) {
        const { terminal, handle = terminal } = replaced;
        await call("use_terminal", { terminal: handle, turn: "give" }); // what a person uses is not closed
        await call("close_terminal", { terminal: handle });
      }
      const result = await call("open_terminal", instance ? { instance } : {});
      if (!result.isError && signIns === by) {
        const { terminal, handle } = result.structuredContent ?? result._meta["openclaw-mcp/result"];
        terminals.set(instance, { terminal, handle });
        sessionStorage.setItem(kept, JSON.stringify([...terminals]));
      }
      if (wanted()) {
        say(result.isError ? textOf(result) : "", result.isError);
        if (!result.isError) show("terminal", { fit: true }, result);
      }
    } catch (error) {
      if (wanted()) say(sentence(error), true);
    }
    opening.delete(once);
    open.disabled = opening.size > 0;
  }

  const sentence = (error) => (error instanceof Answer ? error.message : `The server can’t be reached: ${error.message}`);

  async function signIn() {
    signIns++;
    say("Signing in…");
    try {
      const { tools } = await request("tools/list", {});
      const allowed = (name) => tools.some((t) => t.name === name);
      for (const tab of tabs) tab.hidden = Boolean(tab.dataset.tool) && !allowed(tab.dataset.tool);
      listed = allowed("list_work") ? "" : undefined;
      select.replaceChildren();
      select.disabled = true;
      if (allowed("list_work")) {
        const work = await call("list_work", {});
        if (work.isError) throw new Answer(textOf(work));
        if (kind === "key" && work.structuredContent.key_refused) {
          signOut(refused());
          throw new Answer(refused());
        }
      }
      find("console-secret").value = "";
      if (secret) sessionStorage.setItem(store, secret);
      document.body.classList.add("in");
      find("console-out").hidden = !secret;
      find("console-work").hidden = false;
      const tab = tabOf(history.state ?? {});
      if ([...select.options].some((o) => o.value === history.state?.instance)) select.value = history.state.instance;
      remember(tab.dataset.view, true);
      await view(tab.dataset.view);
      tab.focus();
    } catch (error) {
      if (secret || kind === "none" || !(error instanceof Answer)) {
        if (find("console-say").textContent === "Signing in…") say(sentence(error), true);
      }
    }
  }

  function signOut(why = "") {
    views++;
    signIns++;
    window.openclawSignIn?.forget();
    close();
    if (work) drop(work);
    work = undefined;
    terminals.clear();
    listed = undefined;
    secret = "";
    for (const key of [store, kept]) sessionStorage.removeItem(key);
    document.body.classList.remove("in", "clients");
    find("console-work").hidden = true;
    say(why, Boolean(why));
    find("console-form").querySelector("input:not([hidden]), button").focus();
  }

  const go = (name) => {
    remember(name);
    void view(name);
  };
  for (const tab of tabs) tab.addEventListener("click", () => go(tab.dataset.view));
  open.addEventListener("click", () => void openTerminal());
  select.addEventListener("change", () => go(current()));
  find("console-out").addEventListener("click", () => {
    history.replaceState(null, ""); // whoever is next begins anew
    signOut();
  });
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
    if (/[^\x21-\x7e]/.test(secret)) {
      secret = "";
      say(`${refused()} What you pasted has characters that none has, such as curly quotes or invisible ones.`, true);
      return;
    }
    void signIn();
  });

  box.hidden = false;
  secret = sessionStorage.getItem(store) ?? "";
  if (kind === "oauth") {
    window.openclawSignIn.onRenewed((token) => {
      secret = token;
      sessionStorage.setItem(store, secret);
    });
    void window.openclawSignIn.end().then((token) => {
      secret = token || secret;
      if (secret) void signIn();
    }, (error) => say(error.message, true));
  } else if (secret) void signIn();
})();

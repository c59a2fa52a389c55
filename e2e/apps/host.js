// A host of MCP Apps: the official bridge and client, and what a chat around them
// does. Tests drive it as window.host.
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { AppBridge, getToolUiResourceUri, isToolVisibilityAppOnly, PostMessageTransport } from "@modelcontextprotocol/ext-apps/app-bridge";

// What the specification has a host allow to a page that asks for no domains.
const policy = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; font-src data:; media-src data:; connect-src 'none'; frame-src 'none'; object-src 'none'; base-uri 'none'; form-action 'none'";

const host = (window.host = { requests: [], told: [], bridge: undefined, client: undefined, tools: [] });

host.connect = async (url, mode = "auto") => {
  host.client = new Client({ name: "host", version: "1" }, {
    versionNegotiation: { mode },
    capabilities: { extensions: { "io.modelcontextprotocol/ui": { mimeTypes: ["text/html;profile=mcp-app"] } } },
  });
  await host.client.connect(host.transport = new StreamableHTTPClientTransport(new URL(url), {
    fetch: async (...args) => {
      host.requests.push({ at: performance.now(), body: String(args[1]?.body ?? "").slice(0, 300) });
      return fetch(...args);
    },
  }));
  host.tools = (await host.client.listTools()).tools;
};

// What the model calls: nothing that is for pages alone.
host.call = async (name, args = {}) => {
  const tool = host.tools.find((t) => t.name === name);
  if (!tool || isToolVisibilityAppOnly(tool)) throw new Error(`the model has no tool ${name}`);
  return host.client.callTool({ name, arguments: args });
};

// A call whose page is shown, as a chat shows it.
host.show = async (name, args = {}, { theme = "light" } = {}) => {
  const tool = host.tools.find((t) => t.name === name);
  const result = await host.call(name, args);
  const { contents: [page] } = await host.client.readResource({ uri: getToolUiResourceUri(tool) });
  if (page.mimeType !== "text/html;profile=mcp-app") throw new Error(`a page of the type ${page.mimeType}`);
  document.documentElement.style.colorScheme = theme;
  const frame = document.createElement("iframe");
  frame.setAttribute("sandbox", "allow-scripts allow-forms");
  frame.title = tool.title;
  const bridge = new AppBridge(host.client, { name: "host", version: "1" },
    { serverTools: {}, openLinks: {}, logging: {}, updateModelContext: { text: {} } },
    { hostContext: { theme, displayMode: "inline", availableDisplayModes: ["inline", "fullscreen"], toolInfo: { tool } } });
  const told = [];
  bridge.onupdatemodelcontext = async ({ content }) => {
    told.push(content.map((c) => c.text).join("\n"));
    return {};
  };
  host.links = [];
  bridge.onopenlink = async ({ url }) => {
    host.links.push(url);
    return {};
  };
  bridge.onsizechange = ({ height }) => {
    if (height !== undefined) frame.style.height = `${height}px`;
  };
  bridge.onrequestdisplaymode = async ({ mode }) => {
    frame.style.cssText = mode === "fullscreen" ? "position:fixed;inset:0;height:100vh;background:#888" : "";
    return { mode };
  };
  document.getElementById("pages").replaceChildren(frame);
  const ready = new Promise((r) => (bridge.oninitialized = r));
  await bridge.connect(new PostMessageTransport(frame.contentWindow, frame.contentWindow));
  frame.srcdoc = page.text.replace("<head>", `<head><meta http-equiv="Content-Security-Policy" content="${policy}">`);
  await ready;
  await bridge.sendToolInput({ arguments: args });
  await bridge.sendToolResult(result);
  host.told = told;
  host.bridge = bridge;
  return result;
};

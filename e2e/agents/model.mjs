// A model that follows a script, on loopback, for the three APIs that the coding
// agents speak. It makes the agent show every tool of the server "openclaw",
// calls one, keeps what comes back, and ends with a text.
//
// What it decides depends on the conversation alone: agents repeat requests, and
// send others beside the conversation (titles, choosing a model).
import { once } from "node:events";
import { createServer } from "node:http";

export class Model {
  offered = new Map(); // the tools of openclaw that the agent offers: name → arguments, as text
  results = new Map(); // what it says that our calls gave: id of the call → text
  requests = [];
  heard = ""; // the last request, as text
  problems = [];

  // start has the model look up the tools called names, call the one called tool
  // with args, then say final, which may be a function of the conversation, as text.
  static async start(api, { names, tool, args, final }) {
    const model = Object.assign(new Model(), { api: apis[api], names, tool, args, final });
    model.server = createServer((req, res) => {
      model.#serve(req, res).catch((err) => {
        model.problems.push(String(err.stack));
        // Not 5xx: agents would try again, for minutes.
        res.writeHead(400, { "content-type": "application/json" }).end('{"error":{"message":"the script does not go on"}}');
      });
    });
    model.server.listen(0, "127.0.0.1");
    await once(model.server, "listening");
    model.url = `http://127.0.0.1:${model.server.address().port}`;
    return model;
  }

  async #serve(req, res) {
    let text = "";
    for await (const chunk of req) text += chunk;
    const path = req.url.split("?")[0];
    this.requests.push(`${req.method} ${path}`);
    if (req.method !== "POST" || !this.api.path.test(path)) {
      res.writeHead(404, { "content-type": "application/json" }).end('{"error":{"message":"not here"}}');
      return;
    }
    this.heard = text;
    const events = this.api.answer(this, JSON.parse(text), path);
    if (!Array.isArray(events)) {
      res.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(events));
      return;
    }
    res.writeHead(200, { "content-type": "text/event-stream" });
    for (const e of events) res.write(`${e.type ? `event: ${e.type}\n` : ""}data: ${JSON.stringify(e)}\n\n`);
    res.end();
  }

  offer(name, schema) {
    this.offered.set(name, typeof schema === "string" ? schema : JSON.stringify(schema));
  }

  // result is what the call of the tool gave, when the agent has said so.
  get result() {
    return this.results.get("call_tool");
  }

  async stop() {
    this.server.closeAllConnections();
    this.server.close();
    await once(this.server, "close");
  }
}

// plain is the text of a result, which may be a string or a list of parts.
function plain(output) {
  return Array.isArray(output) ? output.map((p) => p.text ?? JSON.stringify(p)).join("\n") : String(output);
}

const apis = {
  // Claude Code. It says the names of MCP tools, and gives the schemas of those
  // that the model asks its ToolSearch for.
  messages: {
    path: /^\/v1\/messages$/,
    answer(model, body) {
      for (const message of body.messages) {
        for (const part of Array.isArray(message.content) ? message.content : []) {
          if (part.type === "tool_result") model.results.set(part.tool_use_id, plain(part.content));
        }
      }
      for (const tool of body.tools ?? []) {
        const name = /^mcp__openclaw__(.+)$/.exec(tool.name)?.[1];
        if (name) model.offer(name, tool.input_schema);
      }
      let block = { type: "text", text: typeof model.final === "function" ? model.final(JSON.stringify(body.messages)) : model.final };
      if (!body.tools?.length) {
        block.text = "beside the conversation";
      } else if (!model.results.has("call_tool") && model.offered.has(model.tool)) {
        block = { type: "tool_use", id: "call_tool", name: `mcp__openclaw__${model.tool}`, input: model.args };
      } else if (!model.results.has("call_tool")) {
        // It does not wait for servers that take their time; it says so instead.
        const searched = [...model.results.values()];
        if (searched.length > 100 || searched.some((text) => !/still connecting/.test(text))) {
          throw new Error(`ToolSearch did not give ${model.tool}: ${searched.at(-1)}`);
        }
        const query = `select:${model.names.map((name) => `mcp__openclaw__${name}`).join(",")}`;
        block = { type: "tool_use", id: `call_search_${searched.length}`, name: "ToolSearch", input: { query, max_results: model.names.length } };
      }
      const stop_reason = block.type === "text" ? "end_turn" : "tool_use";
      const message = {
        id: `msg_${model.requests.length}`, type: "message", role: "assistant", model: body.model,
        stop_sequence: null, usage: { input_tokens: 1, output_tokens: 1 },
      };
      if (!body.stream) return { ...message, content: [block], stop_reason };
      const [empty, delta] = block.type === "text"
        ? [{ type: "text", text: "" }, { type: "text_delta", text: block.text }]
        : [{ ...block, input: {} }, { type: "input_json_delta", partial_json: JSON.stringify(block.input) }];
      return [
        { type: "message_start", message: { ...message, content: [], stop_reason: null } },
        { type: "content_block_start", index: 0, content_block: empty },
        { type: "content_block_delta", index: 0, delta },
        { type: "content_block_stop", index: 0 },
        { type: "message_delta", delta: { stop_reason, stop_sequence: null }, usage: { output_tokens: 1 } },
        { type: "message_stop" },
      ];
    },
  },

  // Codex. With its own models it offers one tool, which runs JavaScript that
  // calls the others; with models that it does not know, each tool.
  responses: {
    path: /^\/v1\/responses$/,
    answer(model, body) {
      for (const item of body.input) {
        if (/^(custom_tool|function)_call_output$/.test(item.type)) model.results.set(item.call_id, plain(item.output));
      }
      const tools = [...(body.tools ?? []), ...body.input.flatMap((item) => (item.type === "additional_tools" ? item.tools : []))];
      const direct = tools.find((t) => t.type === "namespace" && t.name === "mcp__openclaw")?.tools;
      for (const tool of direct ?? []) model.offer(tool.name, tool.parameters);
      for (const [line] of (model.results.get("call_search") ?? "").matchAll(/^\["mcp__openclaw__.+$/gm)) {
        const [name, declaration] = JSON.parse(line);
        model.offer(name.slice("mcp__openclaw__".length), declaration);
      }
      const script = (id, input) => ({ type: "custom_tool_call", id: `ctc_${id}`, call_id: id, name: "exec", namespace: "functions", input });
      let item = {
        type: "message", id: "msg_1", role: "assistant", status: "completed",
        content: [{ type: "output_text", text: model.final, annotations: [] }],
      };
      if (model.results.has("call_tool")) {
        // The end.
      } else if (direct) {
        item = {
          type: "function_call", id: "fc_call_tool", call_id: "call_tool", namespace: "mcp__openclaw",
          name: model.tool, arguments: JSON.stringify(model.args),
        };
      } else if (!model.results.has("call_search")) {
        // One declaration alone: there is a limit to what comes back.
        item = script("call_search", `
          for (const { name, description } of ALL_TOOLS.filter((t) => t.name.startsWith("mcp__openclaw__")))
            text(JSON.stringify([name, name === "mcp__openclaw__${model.tool}" ? description : ""]));`);
      } else {
        item = script("call_tool", `text(await tools.mcp__openclaw__${model.tool}(${JSON.stringify(model.args)}));`);
      }
      const id = `resp_${model.requests.length}`;
      return [
        { type: "response.created", response: { id } },
        { type: "response.output_item.done", output_index: 0, item },
        { type: "response.completed", response: { id, usage: { input_tokens: 1, output_tokens: 1, total_tokens: 2 } } },
      ];
    },
  },

  // Gemini CLI. Before the conversation, it has a small model judge the request.
  generate: {
    path: /^\/v1beta\/models\/[^/]+:(generateContent|streamGenerateContent)$/,
    answer(model, body, path) {
      const answer = (part) => ({
        candidates: [{ index: 0, finishReason: "STOP", content: { role: "model", parts: [part] } }],
        usageMetadata: { promptTokenCount: 1, candidatesTokenCount: 1, totalTokenCount: 2 },
      });
      if (path.endsWith(":generateContent")) {
        return answer({ text: JSON.stringify({ complexity_reasoning: "one call", complexity_score: 1 }) });
      }
      for (const part of body.contents.flatMap((c) => c.parts)) {
        if (part.functionResponse) model.results.set("call_tool", plain(part.functionResponse.response.output ?? JSON.stringify(part.functionResponse.response)));
      }
      for (const tool of (body.tools ?? []).flatMap((t) => t.functionDeclarations ?? [])) {
        const name = /^mcp_openclaw_(.+)$/.exec(tool.name)?.[1];
        if (name) model.offer(name, tool.parametersJsonSchema);
      }
      // wait_for_previous is Gemini CLI's own; its instructions tell models to use
      // it, and it passes it on to the server.
      return [answer(model.results.has("call_tool")
        ? { text: model.final }
        : { functionCall: { id: "call_tool", name: `mcp_openclaw_${model.tool}`, args: { ...model.args, wait_for_previous: true } } })];
    },
  },
};

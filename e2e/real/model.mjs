// An OpenAI-compatible model on loopback that follows a script: what it answers
// depends on the conversation alone, since agents repeat requests and send others
// beside the conversation (titles, summaries).
import { once } from "node:events";
import { createServer } from "node:http";
import { setTimeout as pause } from "node:timers/promises";

export class Model {
  requests = []; // for a look when a script does not fit

  // start serves turns: for each question (the exact words of a user message), what
  // the model does in each step of its work on it. A conversation has one. A step has pieces (text, streamed
  // one by one), calls (of tools: {name, args}), or fail (a status and an error); one
  // with hang never ends.
  static async start(turns) {
    const model = Object.assign(new Model(), { turns });
    model.server = createServer((req, res) => {
      model.#serve(req, res).catch((err) => {
        model.requests.push(String(err.stack));
        // Not 5xx: the agent would try again.
        if (!res.headersSent) res.writeHead(400, { "content-type": "application/json" });
        res.end('{"error":{"message":"the script does not go on"}}');
      });
    });
    model.server.listen(0, "127.0.0.1");
    await once(model.server, "listening");
    model.url = `http://127.0.0.1:${model.server.address().port}/v1`;
    return model;
  }

  async stop() {
    this.server.closeAllConnections();
    this.server.close();
    await once(this.server, "close");
  }

  async #serve(req, res) {
    let body = "";
    for await (const chunk of req) body += chunk;
    if (req.method !== "POST" || !req.url.endsWith("/chat/completions")) {
      res.writeHead(200, { "content-type": "application/json" }).end('{"object":"list","data":[{"id":"scripted","object":"model"}]}');
      return;
    }
    const request = JSON.parse(body);
    this.requests.push(request);
    const step = this.#step(request.messages);
    if (step.fail) {
      res.writeHead(step.fail.status, { "content-type": "application/json" }).end(JSON.stringify({ error: step.fail.error }));
      return;
    }
    res.writeHead(200, { "content-type": "text/event-stream" });
    const send = (delta, finish = null) =>
      res.write(
        `data: ${JSON.stringify({
          id: "chatcmpl-scripted",
          object: "chat.completion.chunk",
          created: 0,
          model: "scripted",
          choices: [{ index: 0, delta, finish_reason: finish }],
        })}\n\n`,
      );
    send({ role: "assistant", content: "" });
    for (const text of step.pieces ?? []) {
      send({ content: text });
      // The gateway gathers what comes within 150 ms into one event.
      await pause(step.pace ?? 0);
    }
    if (step.hang) return; // until the agent hangs up
    for (const [index, call] of (step.calls ?? []).entries()) {
      send({
        tool_calls: [
          { index, id: call.id, type: "function", function: { name: call.name, arguments: JSON.stringify(call.args) } },
        ],
      });
    }
    send({}, step.calls ? "tool_calls" : "stop");
    res.end("data: [DONE]\n\n");
  }

  // step finds the question that the conversation began with, and what comes after the
  // answers that it has since. Later messages may repeat other questions: the report on a
  // sub-agent names its task.
  #step(messages) {
    const questions = Object.keys(this.turns);
    for (const [i, { role, content }] of messages.entries()) {
      if (role !== "user") continue;
      const question = questions.find((q) => contentText(content).includes(q));
      if (!question) continue;
      const done = messages.slice(i + 1).filter((m) => m.role === "assistant").length;
      return this.turns[question][done] ?? { pieces: ["The script has ended."] };
    }
    return { pieces: ["Untitled"] };
  }
}

function contentText(content) {
  if (typeof content === "string") return content;
  return (content ?? []).map((part) => part.text ?? "").join("\n");
}

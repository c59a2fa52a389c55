// An extension that answers the suite's questions over HTTP with what VS Code
// tells its extensions.
const http = require("node:http");
const vscode = require("vscode");

// until resolves with what read gives as soon as it is something: asked anew at
// each event, and now and then, because the list of tools has no event.
function until(event, read) {
  return new Promise((resolve) => {
    const look = () => {
      const found = read();
      if (found === undefined) return;
      subscription.dispose();
      clearInterval(timer);
      resolve(found);
    };
    const subscription = event(look);
    const timer = setInterval(look, 200);
    look();
  });
}

// A model that follows a script: it needs no account.
let script;
const model = {
  provideLanguageModelChatInformation: async () => [{
    id: "scripted", name: "Scripted", family: "scripted", version: "1", maxInputTokens: 100_000, maxOutputTokens: 10_000,
    capabilities: { toolCalling: true, imageInput: false }, isDefault: true, isUserSelectable: true,
  }],
  provideLanguageModelChatResponse: async (_model, messages, { tools = [] }, progress) => {
    const parts = messages.flatMap((message) => message.content);
    const called = parts.some((part) => part instanceof vscode.LanguageModelToolCallPart);
    const offered = script && tools.some((tool) => tool.name === script.name); // else it is asked for a title
    progress.report(offered && !called ? new vscode.LanguageModelToolCallPart("call", script.name, script.input)
      : new vscode.LanguageModelTextPart(script?.words ?? "nothing"));
  },
  provideTokenCount: async () => 10,
};

const answers = {
  // document waits for an open document whose address and text match.
  document: ({ uri, text }) => until(vscode.workspace.onDidChangeTextDocument, () => {
    const found = vscode.workspace.textDocuments.find((d) => new RegExp(uri).test(d.uri) && new RegExp(text).test(d.getText()));
    return found && { uri: found.uri.toString(), text: found.getText() };
  }),
  // tools waits for that many tools of MCP servers.
  tools: ({ count }) => until(vscode.lm.onDidChangeChatModels, () => {
    const tools = vscode.lm.tools.filter((tool) => tool.name.startsWith("mcp_"));
    return tools.length >= count ? tools.map(({ name, description, inputSchema }) => ({ name, description, inputSchema })) : undefined;
  }),
  invoke: async ({ name, input }) => {
    const { content } = await vscode.lm.invokeTool(name, { input, toolInvocationToken: undefined });
    return content.filter((part) => part instanceof vscode.LanguageModelTextPart).map((part) => part.value);
  },
  // chat opens the chat with a question, to which the model answers with the call of a tool
  // and then with words.
  chat: async ({ question, name, input, words }) => {
    script = { name, input, words };
    await vscode.commands.executeCommand("workbench.action.chat.open", { query: question });
    return null;
  },
  // complaints waits until the editor has some, or none, about the document.
  complaints: async ({ uri, some, insert }) => {
    const document = vscode.workspace.textDocuments.find((d) => d.uri.toString() === uri);
    const edit = new vscode.WorkspaceEdit();
    if (insert) edit.insert(document.uri, document.positionAt(document.getText().indexOf(insert.before)), insert.text);
    if (insert && !(await vscode.workspace.applyEdit(edit))) throw new Error("the edit was refused");
    return until(vscode.languages.onDidChangeDiagnostics, () => {
      const found = vscode.languages.getDiagnostics(document.uri).map((d) => d.message);
      return found.length > 0 === some ? found : undefined;
    });
  },
};

exports.activate = (context) => {
  context.subscriptions.push(vscode.lm.registerLanguageModelChatProvider("probe", model));
  const server = http.createServer(async (req, res) => {
    try {
      let body = "";
      for await (const chunk of req) body += chunk;
      res.end(JSON.stringify(await answers[req.url.slice(1)](JSON.parse(body))));
    } catch (err) {
      res.writeHead(500).end(String(err.stack ?? err));
    }
  });
  server.listen(0, "127.0.0.1", () => fetch(process.env.PROBE_READY, { method: "POST", body: String(server.address().port) }));
};

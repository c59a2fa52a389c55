// Resources, subscriptions, completions and prompts through the official
// TypeScript clients: SDK v1 (legacy era) and v2 (modern era), over stdio and
// HTTP, against the built binary on its embedded service.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ResourceUpdatedNotificationSchema } from "@modelcontextprotocol/sdk/types.js";
import { connections, isV2 } from "./connections.mjs";

// updates collects what a client is told, and can be waited on.
function updatesOf(client) {
  const uris = [];
  let wake = () => {};
  const handler = (n) => {
    uris.push(n.params.uri);
    wake();
  };
  if (isV2(client)) client.setNotificationHandler("notifications/resources/updated", handler);
  else client.setNotificationHandler(ResourceUpdatedNotificationSchema, handler);
  return {
    uris,
    async atLeast(n) {
      while (uris.length < n) await new Promise((resolve) => (wake = resolve));
    },
  };
}

async function subscribe(client, uri) {
  if (!isV2(client)) {
    await client.subscribeResource({ uri });
    return () => client.unsubscribeResource({ uri });
  }
  const subscription = await client.listen({ resourceSubscriptions: [uri] });
  assert.deepEqual(subscription.honoredFilter.resourceSubscriptions, [uri]);
  return () => subscription.close();
}

async function rejectedWith(code, promise) {
  await assert.rejects(promise, (err) => {
    assert.equal(err.code, code, err.message);
    return true;
  });
}

for (const [name, connect] of Object.entries(connections)) {
  test(`${name}: resources`, async () => {
    const client = await connect();
    try {
      const notFound = isV2(client) ? -32602 : -32002;
      const call = (tool, args) => client.callTool({ name: tool, arguments: args });
      const created = await call("create_chat_session", { title: "resources" });
      const { instance, session } = created.structuredContent;
      const messages = created.content.find((c) => c.type === "resource_link").uri;
      await call("write_file", { path: "/workspace/read me.md", content: "# hällo\n" });

      // Every resource of the list can be read.
      const listed = [];
      for (let cursor; ; ) {
        const page = await client.listResources({ cursor });
        listed.push(...page.resources);
        if (!(cursor = page.nextCursor)) break;
      }
      assert.ok(listed.some((r) => r.uri === messages), "the session is listed");
      const file = listed.find((r) => r.title === "read me.md");
      assert.equal(file.mimeType, "text/markdown");
      assert.equal(file.size, 9);
      for (const r of listed) {
        const { contents } = await client.readResource({ uri: r.uri });
        assert.equal(contents[0].uri, r.uri);
      }
      assert.equal((await client.readResource({ uri: file.uri })).contents[0].text, "# hällo\n");
      const { resourceTemplates } = await client.listResourceTemplates();
      assert.equal(resourceTemplates.length, 5);
      await rejectedWith(notFound, client.readResource({ uri: file.uri + ".none" }));
      await rejectedWith(-32602, client.readResource({ uri: messages + "?limit=0" }));

      // A subscriber hears of each message; one who left does not.
      const heard = updatesOf(client);
      const unsubscribe = await subscribe(client, messages);
      await call("send_chat_message", { session: session.id, message: "say one" });
      await heard.atLeast(1);
      const { contents } = await client.readResource({ uri: messages + "?format=json&limit=1" });
      const history = JSON.parse(contents[0].text);
      assert.equal(history.session, session.id);
      assert.equal(history.messages.length, 1);
      assert.ok(history.more && history.older.includes("before="));
      await unsubscribe();
      await client.listTools(); // behind which the unsubscribing is done
      const before = heard.uris.length;
      await call("send_chat_message", { session: session.id, message: "say two" });
      assert.deepEqual(new Set(heard.uris), new Set([messages]));
      assert.ok(heard.uris.length <= before + 1, "no more updates come");

      // Arguments complete, for templates and prompts.
      const template = resourceTemplates.find((t) => t.name === "messages").uriTemplate;
      const complete = async (ref, arg, value, args) =>
        (await client.complete({ ref, argument: { name: arg, value }, context: { arguments: args } })).completion;
      const resource = { type: "ref/resource", uri: template };
      assert.deepEqual((await complete(resource, "instance", instance.slice(0, 4), {})).values, [instance]);
      assert.ok((await complete(resource, "session", "", { instance })).values.includes(session.id));
      assert.ok((await complete(resource, "path", "workspace/read", { instance })).values.includes("workspace/read me.md"));
      assert.deepEqual((await complete({ type: "ref/prompt", name: "catch_up_session" }, "session", session.id.slice(0, 6), {})).values, [session.id]);

      const { prompts } = await client.listPrompts();
      assert.equal(prompts.length, 4);
      const prompt = await client.getPrompt({ name: "delegate_task", arguments: { task: "count the files", instance } });
      const text = prompt.messages[0].content.text;
      for (const word of ["count the files", instance, "send_chat_message", "wait_run"]) assert.ok(text.includes(word), word);
      await rejectedWith(-32602, client.getPrompt({ name: "delegate_task", arguments: {} }));
    } finally {
      await client.close();
    }
  });
}

// What is asked, what the model does, and what a reader has to be told of it:
//
//   reply  the text of the run: what the model said, item by item
//   later  the text of a run that goes on with ours: a reader may wait for it
//   rows   the agent's texts in the history; without it, the reply alone
//   tools  what was called: name, arguments, result (a part of it), failed
//   end    final, aborted, error, or failed (aborted and error are both fair)
//   error  a part of the reason
//   http   the gateway's endpoint that is asked, in place of the WebSocket
//
// The model speaks in pieces with pauses: the gateway drops a text that a tool call
// follows within a few milliseconds.

const words = "The quick brown fox, größer than the 狐, jumps over the lazy 🦞.\n\nAnd again:\n- one\n- two\n".match(/\S*\s*/g);
const pace = 200;

// OpenClaw shows its model a few tools. The others are called through one of these.
const deferred = (id, name, args) => ({ id, name: "tool_call", args: { id: name, args } });
const exec = (id, command) => ({ id, name: "exec", args: { command } });

const refuses = { fail: { status: 400, error: { message: "the scripted model refuses", type: "invalid_request_error" } } };
const refused = "provider rejected the request";
const refusedRow = "⚠️ LLM request failed (request format rejected, HTTP 400).";

export const scenarios = {
  plain: {
    message: "Say hello.",
    model: [{ pieces: ["Hello, world!"] }],
    reply: "Hello, world!",
    end: "final",
  },
  streamed: {
    message: "Tell me about the fox.",
    model: [{ pieces: words, pace: 80 }],
    reply: words.join("").trim(),
    rows: [words.join("")],
    end: "final",
  },
  tool: {
    message: "What does note.txt say?",
    model: [
      { pieces: ["Let me", " look."], calls: [exec("call_note", "cat note.txt")], pace },
      { pieces: ["The note says:", " feed the lobster."], pace },
    ],
    reply: "Let me look.\n\nThe note says: feed the lobster.",
    rows: ["Let me look.", "The note says: feed the lobster."],
    tools: [{ name: "exec", arguments: { command: "cat note.txt" }, result: "feed the lobster" }],
    end: "final",
  },
  "tool-fails": {
    message: "Run the broken command.",
    model: [{ calls: [exec("call_broken", "echo half; exit 3")] }, { pieces: ["It ended with 3."] }],
    reply: "It ended with 3.",
    // The gateway says isError: false, and the code in the result.
    tools: [{ name: "exec", arguments: { command: "echo half; exit 3" }, result: "half" }],
    end: "final",
  },
  items: {
    message: "Check twice.",
    model: [
      { pieces: ["Let me", " check"], calls: [exec("call_one", "echo first")], pace },
      { pieces: ["Let me", " check again"], calls: [exec("call_two", "echo second"), exec("call_three", "echo third")], pace },
      { pieces: ["All", " good."], pace },
    ],
    reply: "Let me check\n\nLet me check again\n\nAll good.",
    rows: ["Let me check", "Let me check again", "All good."],
    tools: [
      { name: "exec", arguments: { command: "echo first" }, result: "first" },
      { name: "exec", arguments: { command: "echo second" }, result: "second" },
      { name: "exec", arguments: { command: "echo third" }, result: "third" },
    ],
    end: "final",
  },
  "same-twice": {
    message: "Say OK before and after.",
    model: [{ pieces: ["O", "K"], calls: [exec("call_true", "true")], pace }, { pieces: ["O", "K"], pace }],
    reply: "OK\n\nOK",
    rows: ["OK", "OK"],
    tools: [{ name: "exec", arguments: { command: "true" } }],
    end: "final",
  },
  // The report of the sub-agent is another run of the same session.
  subagent: {
    message: "Have somebody count the lobsters.",
    model: [
      {
        pieces: ["I will ask", " a helper."],
        calls: [deferred("call_spawn", "sessions_spawn", { task: "Count the lobsters in the tank.", label: "count" })],
        pace,
      },
      { pieces: ["The helper", " is counting."], pace },
      { pieces: ["There are", " seven lobsters."], pace },
    ],
    others: { "Count the lobsters in the tank.": [{ calls: [exec("call_count", "echo 7")] }, { pieces: ["I count", " seven."], pace }] },
    until: "There are seven lobsters.",
    reply: "I will ask a helper.\n\nThe helper is counting.",
    rows: ["I will ask a helper.", "The helper is counting.", "There are seven lobsters."],
    end: "final",
  },
  // The agent ends its turn to wait for the sub-agent: the answer is another run's.
  yielded: {
    message: "Wait for a helper to weigh the lobster.",
    model: [
      { calls: [deferred("call_spawn", "sessions_spawn", { task: "Weigh the lobster.", label: "weigh" })] },
      { calls: [{ id: "call_yield", name: "sessions_yield", args: { message: "Waiting for the scales." } }] },
      { pieces: ["It weighs", " a pound."], pace },
    ],
    others: { "Weigh the lobster.": [{ pieces: ["One", " pound."], pace }] },
    until: "It weighs a pound.",
    reply: "",
    later: "It weighs a pound.",
    rows: ["It weighs a pound."],
    end: "final",
  },
  // Somebody else's run in another session, whose events come between ours.
  others: {
    message: "Count slowly.",
    meanwhile: "Talk at the same time.",
    model: [{ pieces: ["One", " and", " two", " and", " three."], pace: 1000 }],
    others: { "Talk at the same time.": [{ pieces: ["Quite", " another", " text."], pace: 300 }] },
    reply: "One and two and three.",
    end: "final",
  },
  aborted: {
    message: "Count for ever.",
    model: [{ pieces: ["One, ", "two, ", "three, "], pace, hang: true }],
    abort: (f) => f.event === "chat" && f.payload.state === "delta" && JSON.stringify(f.payload.message).includes("three"),
    reply: "One, two, three,",
    end: "aborted",
  },
  "aborted-in-tool": {
    message: "Sleep for a long time.",
    model: [{ pieces: ["Good", " night."], calls: [exec("call_sleep", "sleep 600")], pace }],
    abort: (f) => f.event === "agent" && f.payload.stream === "tool" && f.payload.data.phase === "start",
    reply: "Good night.",
    rows: ["Good night.", "Good night."], // before the tool, and kept again by the abort
    end: "aborted",
  },
  "model-error": {
    message: "Fail at once.",
    model: Array(10).fill(refuses),
    reply: "",
    rows: [refusedRow],
    end: "error",
    error: refused,
  },
  "model-error-later": {
    message: "Fail after a tool.",
    model: [{ pieces: ["First", " a tool."], calls: [exec("call_before", "echo before")], pace }, ...Array(10).fill(refuses)],
    reply: "First a tool.",
    rows: ["First a tool.", refusedRow],
    tools: [{ name: "exec", arguments: { command: "echo before" }, result: "before" }],
    end: "error",
    error: refused,
  },
  // In a direct chat silence is no answer: the gateway asks again, then gives up.
  "no-reply": {
    message: "You need not answer.",
    model: Array(10).fill({ pieces: ["NO_REPLY"] }),
    reply: "",
    rows: [],
    end: "failed",
  },
  // After a tool it ends well, without a text; then comes one that it made itself.
  "no-reply-after-tool": {
    message: "Do it silently.",
    model: [{ calls: [exec("call_silent", "true")] }, ...Array(10).fill({ pieces: ["NO", "_REPLY"], pace })],
    reply: "",
    rows: ["The tool run finished, but no final summary was produced. I did not repeat any completed actions."],
    tools: [{ name: "exec", arguments: { command: "true" } }],
    end: "final",
  },
  tags: {
    message: "Answer with a tag.",
    model: [{ pieces: ["[[reply_to_current]] Tagged", " answer.", " <final>Done.</final>"], pace }],
    reply: "Tagged answer. Done.",
    rows: ["Tagged answer. <final>Done.</final>"],
    end: "final",
  },
  thinking: {
    message: "Think first.",
    model: [{ pieces: ["<think>They want ", "a number.</think>", "The number is ", "42."], pace }],
    reply: "The number is 42.",
    end: "final",
  },
  // The gateway's own HTTP endpoints.
  "chat-completions": {
    message: "Answer as a completion.",
    http: "/v1/chat/completions",
    model: [{ pieces: ["Let me", " look."], calls: [exec("call_look", "true")], pace }, { pieces: ["It is", " good."], pace }],
    reply: "Let me look.\n\nIt is good.",
    end: "final",
  },
  "chat-completions-error": {
    message: "Fail as a completion.",
    http: "/v1/chat/completions",
    model: Array(10).fill(refuses),
    reply: "",
    end: "error",
  },
  responses: {
    message: "Answer as a response.",
    http: "/v1/responses",
    model: [{ pieces: ["Let me", " look."], calls: [exec("call_look", "true")], pace }, { pieces: ["It is", " good."], pace }],
    reply: "Let me look.\n\nIt is good.",
    end: "final",
  },
};

package client

// streamFixture is one recorded form of a chat stream and what it has to become.
type streamFixture struct {
	file  string
	text  string
	tools string // "id name args=…; …"
	final bool
	err   string // code: message
	ids   string // session message run
}

var streamFixtures = []streamFixture{
	{file: "a-openai.sse", text: "Hello, wörld 🦞", final: true},
	{file: "a-openai-tools.sse", text: "Looking. Found.", tools: `t1 exec {"cmd":"ls"} ""`, final: true},
	{file: "a-openai-error-text.sse", err: ": model overloaded"},
	{file: "a-openai-error-is-text.sse", text: "Error: that is what it printed.", final: true},
	{file: "b-author-crlf.sse", text: "Hello\n", final: true},
	{file: "b-author-failed.sse", text: "Half", err: ": the agent ended with exit code 2"},
	{file: "c-typed.sse", text: "Hello", final: true},
	{file: "c-typed.ndjson", text: "Hello", final: true},
	{file: "c-agent-output.sse", text: "Let me look. There is a.txt.", tools: `t1 Bash {"command":"ls"} "a.txt"`, final: true},
	{file: "c-agent-output-ids.sse", text: "One. One. Two.", tools: `t1 Read {"p":1} "no such file" failed`, final: true, ids: " m9 "},
	{file: "c-only-result.sse", text: "Hello", final: true},
	{file: "c-error.sse", text: "Half", err: ": sandbox went away"},
	{file: "d-named.sse", text: "Hello, world!", tools: `t1 exec {"command":"ls"} "a.txt"`, final: true, ids: "s1 m2 "},
	{file: "d-raw-text.sse", text: "line one\nline two\n {42true, the end", final: true},
	{file: "d-tools-no-ids.sse", text: "Done.", tools: ` exec {"command":"a"} "1";  read {"path":"b"} "2"`, final: true, ids: " m2 "},
	{file: "d-error.sse", text: "Half", err: "x: Instance not ready"},
	{file: "d-no-blank-line.sse", text: "Hello", final: true},
	{file: "d-lone-cr.sse", text: "Hello", final: true},
	{file: "d-cut.sse", text: "Hello"},
	{file: "e-gateway.sse", text: "Hello there", final: true, ids: "  r"},
	{file: "e-wrapped.sse", text: "Hello!", final: true, ids: "  r"},
	{file: "e-error.sse", text: "Half", err: "rate_limit: slow down", ids: "  r"},
	{file: "e-aborted.sse", text: "Half", err: "aborted: the agent's run was aborted", ids: "  r"},
	{file: "f-agent.sse", text: "Hello. Bye", tools: `t exec {"c":"ls"} "a.txt"`, final: true, ids: "  r"},
	{file: "f-resync.sse", text: "Hello you", final: true},
	{file: "g-responses.sse", text: "Hello Bye", tools: `c1 exec {"a":1} ""`, final: true},
	{file: "g-minimal.sse", text: "Hello", final: true},
	{file: "g-failed.sse", text: "Half", err: "server_error: it broke"},
	{file: "x-ollama.ndjson", text: "haha", final: true},
	{file: "sync.json", text: "Hi", final: true, ids: "s1 m2 "},
	{file: "sync-error.json", err: "quota_exceeded: No credits left"},
	{file: "sync-no-text.json", final: true, ids: "s1 m2 "},
}

package prompts

import (
	"fmt"
	"strings"

	"openclaw-mcp/client"
)

var (
	instanceArg = argument{name: "instance", title: "Instance", description: "instance id; left out: the configured or only ready one", complete: "instance"}
	sessionArg  = argument{name: "session", title: "Chat session", description: "chat session id; left out: a new one", complete: "session"}
)

// All lists every prompt.
func All() []*Prompt {
	return []*Prompt{delegateTask, reviewWorkspace, catchUpSession, debugCommand}
}

// follow says how a run is followed to its end; it is the same wherever one may
// come about.
const follow = "While the result has status \"running\" or \"stalled\", the work goes on without you: call `wait_run` {runs: [the newest `run` handle]} again and again, each time with the handle of the last result, until the status is \"completed\", \"failed\" or \"cancelled\". Every result has only what is new since the handle that you gave. Never repeat the call that started the work: that would start it twice."

// directory is the absolute path that an argument means: completions leave out
// the first slash.
func directory(p string) string {
	switch {
	case p == "":
		return client.Workspace
	case p[0] != '/':
		return "/" + p
	}
	return p
}

// shell quotes a text for a shell.
func shell(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

var delegateTask = &Prompt{
	Name: "delegate_task", Title: "Delegate a task",
	Description: "Gives a task to the agent of an OpenClaw instance and follows it to its end.",
	Tools:       []string{"create_chat_session", "send_chat_message", "wait_run", "cancel_run"},
	args: []argument{
		{name: "task", title: "Task", description: "what is to be done", required: true},
		instanceArg, sessionArg,
	},
	text: func(a args) string {
		session, start := quoted(a["session"]), "Go on in the chat session "+a["session"]+"."
		if session == "" {
			session = "the new session's id"
			start = "Keep the task apart from earlier talk: call " +
				call("create_chat_session", "instance", quoted(a["instance"]), "title", "a few words on the task") +
				" and note `session.id` of its result."
		}
		return fmt.Sprintf(`Delegate this task to the agent of an OpenClaw instance and see it through to its end.

Task:
%s

1. %s
2. Call %s. Tell the agent all that it needs to know: it sees none of our conversation. Make up an idempotency_key and use it for this message only.
3. %s
4. If the agent asks something that you can answer, answer with `+"`send_chat_message`"+` in the same session. If only I can, ask me.
5. If I want it stopped, call `+"`cancel_run`"+` {run: the newest handle}.
6. When it is done, tell me what was done, what was not, and which files changed. Report what the agent says as what it says; where it matters, check the result yourself.`,
			a["task"], start,
			call("send_chat_message", "instance", quoted(a["instance"]), "session", session, "message", "the task", "idempotency_key", "…"),
			follow)
	},
}

var reviewWorkspace = &Prompt{
	Name: "review_workspace", Title: "Review a workspace",
	Description: "Looks through the files of an instance's workspace and reports what is there and what to fix.",
	Tools:       []string{"list_files", "exec_command", "read_file"},
	args: []argument{
		{name: "path", title: "Directory", description: "where to look; left out: /workspace", complete: "path"},
		{name: "focus", title: "Focus", description: "what to look for, such as security or tests"},
		instanceArg,
	},
	text: func(a args) string {
		dir := directory(a["path"])
		focus := "correctness, security, tests, and whatever would confuse a newcomer"
		if a["focus"] != "" {
			focus = a["focus"]
		}
		instance := quoted(a["instance"])
		return fmt.Sprintf(`Review the files in %s of an OpenClaw instance. Look for: %s.

Change nothing: only read.

1. Call %s for an overview. Where a result says that there is more, make the call in its `+"`next`"+`, as far as it is worth it.
2. Call %s to see how it is built and what has been changed last. If a result has status "running", call `+"`exec_command`"+` with something smaller instead of waiting.
3. Read what matters with %s: first what explains the project, then what it is made of, then what looks suspicious. Long files come in parts; read on only where you need to.
4. Report: what this is, in three sentences; then what you found, the most serious first, each with file and line, why it matters and how to fix it; then what you did not look at.`,
			dir, focus,
			call("list_files", "instance", instance, "path", quoted(dir)),
			call("exec_command", "instance", instance, "command", quoted("cd "+shell(dir)+" && git log --oneline -15; git status --short | head -50; ls")),
			call("read_file", "instance", instance, "path", "…"))
	},
}

var catchUpSession = &Prompt{
	Name: "catch_up_session", Title: "Catch up on a session",
	Description: "Summarizes what was said and done in a chat session, and what is still open.",
	Tools:       []string{"list_chat_sessions", "read_chat_history", "list_runs", "wait_run"},
	args: []argument{
		{name: "session", title: "Chat session", description: "chat session id; left out: the newest", complete: "session"},
		instanceArg,
	},
	text: func(a args) string {
		instance, session := quoted(a["instance"]), quoted(a["session"])
		first := "The session is " + a["session"] + "."
		if session == "" {
			first = "Call " + call("list_chat_sessions", "instance", instance, "limit", "5") + " and take the session that was used last, or ask me if several could be meant."
			session = "its id"
		} else {
			first += " If it can't be found, " + call("list_chat_sessions", "instance", instance) + " shows which there are."
		}
		return fmt.Sprintf(`Catch me up on a chat session with the agent of an OpenClaw instance. Read only; send nothing.

1. %s
2. Call %s. Read older messages, with the call in `+"`next`"+`, until you know what the session is about.
3. Call `+"`list_runs`"+` {} to see whether a reply is still under way in this session. If so, call `+"`wait_run`"+` {runs: [its handle], wait_seconds: 0} to see how far it is.
4. Tell me: what the session is for; what was decided and done, with files and commands; how it stands now, and whether the agent is at work or waits for an answer; what is open, and what you would do next.`,
			first, call("read_chat_history", "instance", instance, "session", session, "limit", "50"))
	},
}

var debugCommand = &Prompt{
	Name: "debug_command", Title: "Debug a failing command",
	Description: "Runs a command that fails on an instance, finds out why, and suggests a fix.",
	Tools:       []string{"exec_command", "wait_run", "read_file", "list_files", "edit_file"},
	args: []argument{
		{name: "command", title: "Command", description: "the command that fails", required: true},
		{name: "path", title: "Directory", description: "where it is run; left out: /workspace", complete: "path"},
		instanceArg,
	},
	text: func(a args) string {
		dir := directory(a["path"])
		instance := quoted(a["instance"])
		return fmt.Sprintf(`This command fails on an OpenClaw instance, in %s:

%s

Find out why.

1. Run it: call %s. If it may destroy something, ask me before. If it takes long, pass background: true.
2. %s
3. Look at the exit code and the last lines first; output and errors come in the order in which they were written. A missing exit code is unknown, not success. Where output was left out, the call behind `+"`Next:`"+` reads the rest.
4. Look at what the error names, with %s and `+"`list_files`"+`; check versions, environment and permissions with `+"`exec_command`"+`. Change one thing at a time, and nothing that can't be undone.
5. Tell me the cause in one sentence, how you know, and the smallest fix. Apply it, with `+"`edit_file`"+` where it is in a file, only if I agree; then run the command once more and show me its exit code.`,
			dir, "    "+a["command"],
			call("exec_command", "instance", instance, "command", "the command above, after cd "+shell(dir)+" &&"),
			follow,
			call("read_file", "instance", instance, "path", "…"))
	},
}

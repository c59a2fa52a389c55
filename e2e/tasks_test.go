//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"maps"
	"os"
	"strings"
	"testing"
	"time"

	"openclaw-mcp/internal/emulator"
	"openclaw-mcp/internal/emulator/emulatortest"
)

// task is what the client is told of one.
type task struct {
	ResultType, TaskID, Status, StatusMessage string
	CreatedAt, LastUpdatedAt                  string
	TTL                                       int64 `json:"ttlMs"`
	Poll                                      int64 `json:"pollIntervalMs"`
	Result                                    struct {
		ResultType string
		IsError    bool
		Content    []struct{ Type, Text string }
	}
}

// takesTasks is the _meta of a client that declares the extension.
var takesTasks = params{"io.modelcontextprotocol/clientCapabilities": params{"extensions": params{"io.modelcontextprotocol/tasks": params{}}}}

func parseTask(t testing.TB, raw json.RawMessage) task {
	t.Helper()
	var out task
	if err := json.Unmarshal(raw, &out); err != nil {
		t.Fatalf("%s: %v", raw, err)
	}
	created, err := time.Parse(time.RFC3339Nano, out.CreatedAt)
	if err != nil || time.Since(created).Abs() > time.Hour || out.TTL <= 0 || out.Poll <= 0 || len(out.StatusMessage) >= 128 || out.TaskID == "" {
		t.Errorf("the task is %s", raw)
	}
	return out
}

// becomesTask makes a call that has to become a task.
func (s *session) becomesTask(t testing.TB, tool string, args params) task {
	t.Helper()
	m := answer(t, s.start(t, s.newID(), "tools/call", params{"name": tool, "arguments": args, "_meta": takesTasks}))
	out := parseTask(t, m.Result)
	if out.ResultType != "task" || out.Status != "working" {
		t.Fatalf("the answer is %s", m.Result)
	}
	return out
}

func (s *session) getTask(t testing.TB, id string) task {
	t.Helper()
	m := s.request(t, "tasks/get", params{"taskId": id, "_meta": takesTasks})
	if m.Error != nil {
		t.Fatalf("tasks/get: %+v", m.Error)
	}
	out := parseTask(t, m.Result)
	if out.ResultType != "complete" || out.TaskID != id {
		t.Fatalf("tasks/get: %s", m.Result)
	}
	return out
}

// follow asks until the task has ended.
func (s *session) followTask(t testing.TB, id string) task {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) { // as a client polls
		if out := s.getTask(t, id); out.Status != "working" {
			return out
		} else if time.Now().After(end) {
			t.Fatalf("the task still works: %+v", out)
		}
	}
}

var modernCombinations = []combination{combinations[1], combinations[3]}

// A reply that takes long becomes a task, which survives kill -9 and ends with the
// result that the call would have had.
func TestTaskOfReply(t *testing.T) {
	t.Parallel()
	for _, c := range modernCombinations {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			words := make(chan string)
			up := newUpstream(t, emulatortest.Options{Agent: steppedAgent(words)})
			env := up.env("OPENCLAW_MCP_TASK_AFTER=1s")
			s := c.connect(t, env)
			go func() { words <- "one " }()
			made := s.becomesTask(t, "send_chat_message", params{"message": "a long task"})
			eventually(t, "the message is what the agent says", func() bool {
				now := s.getTask(t, made.TaskID)
				return now.Status == "working" && now.StatusMessage == "one"
			})
			s.proc.kill(t)
			words <- "two"
			s = c.connect(t, env)
			if now := s.getTask(t, made.TaskID); now.Status != "working" {
				t.Errorf("after a kill: %+v", now)
			}
			close(words)
			end := s.followTask(t, made.TaskID)
			if end.Status != "completed" || end.Result.IsError || len(end.Result.Content) != 1 ||
				!strings.HasPrefix(end.Result.Content[0].Text, "one two\n[status: completed") || end.Result.ResultType != "complete" {
				t.Errorf("the end: %+v", end)
			}
			if again := s.getTask(t, made.TaskID); again.Result.Content[0] != end.Result.Content[0] {
				t.Errorf("asked again: %+v", again)
			}
		})
	}
}

// A task's id is short where a model's handles are, if it outlives the process even so.
func TestTaskIDIsShort(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		state string // OPENCLAW_MCP_STATE_DIR
		id    string
	}{
		{"kept", t.TempDir(), "run-"},
		{"nowhere to keep it", os.DevNull, "run_"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			up := newUpstream(t, emulatortest.Options{})
			env := up.env("OPENCLAW_MCP_TASK_AFTER=1s", "OPENCLAW_MCP_STRUCTURED=false", "OPENCLAW_MCP_STATE_DIR="+tt.state)
			s := modernCombinations[0].connect(t, env)
			made := s.becomesTask(t, "exec_command", params{"command": "echo one; until [ -e go ]; do sleep 0.1; done; echo two"})
			if !strings.HasPrefix(made.TaskID, tt.id) || tt.id == "run-" && len(made.TaskID) > 10 {
				t.Errorf("the id is %q", made.TaskID)
			}
			s.proc.kill(t)
			s = modernCombinations[0].connect(t, env)
			eventually(t, "the other process shows the output", func() bool {
				now := s.getTask(t, made.TaskID)
				return now.Status == "working" && now.StatusMessage == "one"
			})
			s.ok(t, "write_file", params{"path": "/workspace/go", "content": ""})
			if end := s.followTask(t, made.TaskID); !strings.HasPrefix(end.Result.Content[0].Text, "one\ntwo\n[status: completed") {
				t.Errorf("the end: %+v", end)
			}
			again := s.becomesTask(t, "exec_command", params{"command": "sleep 600"})
			if m := s.request(t, "tasks/cancel", params{"taskId": again.TaskID, "_meta": takesTasks}); m.Error != nil {
				t.Errorf("tasks/cancel: %+v", m.Error)
			}
			if end := s.followTask(t, again.TaskID); end.Status != "cancelled" {
				t.Errorf("cancelled: %+v", end)
			}
		})
	}
}

func TestTaskOfCommand(t *testing.T) {
	t.Parallel()
	for _, c := range modernCombinations {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			up := newUpstream(t, emulatortest.Options{})
			s := c.connect(t, up.env("OPENCLAW_MCP_TASK_AFTER=1s"))
			made := s.becomesTask(t, "exec_command", params{"command": "echo first; until [ -e go ]; do sleep 0.1; done; exit 3"})
			eventually(t, "the message is what the command says", func() bool {
				now := s.getTask(t, made.TaskID)
				return now.Status == "working" && now.StatusMessage == "first"
			})
			s.ok(t, "write_file", params{"path": "/workspace/go", "content": ""})
			if end := s.followTask(t, made.TaskID); end.Status != "completed" || !strings.HasPrefix(end.Result.Content[0].Text, "first\n[status: completed, exit code 3") {
				t.Errorf("the end: %+v", end)
			}

			made = s.becomesTask(t, "exec_command", params{"command": "echo $$ >pid; exec sleep 1000"})
			if m := s.request(t, "tasks/cancel", params{"taskId": made.TaskID, "_meta": takesTasks}); m.Error != nil {
				t.Fatalf("tasks/cancel: %+v", m.Error)
			}
			if end := s.followTask(t, made.TaskID); end.Status != "cancelled" || len(end.Result.Content) != 0 {
				t.Errorf("cancelled: %+v", end)
			}
			if r := s.ok(t, "exec_command", params{"command": "kill -0 $(cat pid) 2>/dev/null && echo alive || echo dead"}); r.str("stdout") != "dead\n" {
				t.Errorf("the command is %q", r.str("stdout"))
			}
			// A failure is a result, too.
			made = s.becomesTask(t, "exec_command", params{"command": "sleep 3; exit 9", "timeout_seconds": 2})
			if end := s.followTask(t, made.TaskID); end.Status != "completed" || !strings.Contains(end.Result.Content[0].Text, "timed out") {
				t.Errorf("timed out: %+v", end)
			}
		})
	}
}

// What a task ends with is what the plain call would have given: control sequences as they
// are where raw asks for them, and made plain elsewhere; also after a kill.
func TestTaskOfRawCommand(t *testing.T) {
	t.Parallel()
	for _, c := range modernCombinations {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			up := newUpstream(t, emulatortest.Options{})
			env := up.env("OPENCLAW_MCP_TASK_AFTER=1s")
			s := c.connect(t, env)
			const prints = `printf '\033[31mred\033[0m one\rtwo\007\n'`
			for _, more := range []params{{}, {"timeout_seconds": 30}} { // on its own, and within the request
				for _, raw := range []bool{true, false} {
					args := params{"command": prints + "; until [ -e go ]; do sleep 0.1; done", "raw": raw}
					maps.Copy(args, more)
					made := s.becomesTask(t, "exec_command", args)
					if len(more) == 0 && raw {
						s.proc.kill(t)
						s = c.connect(t, env)
					}
					s.ok(t, "write_file", params{"path": "/workspace/go", "content": ""})
					plain := s.ok(t, "exec_command", params{"command": prints, "raw": raw, "wait_seconds": 30})
					end := s.followTask(t, made.TaskID)
					want, _, _ := strings.Cut(plain.Text, "[")
					if raw {
						want = "\x1b[31mred\x1b[0m one\rtwo\a\n"
					}
					if !strings.HasPrefix(end.Result.Content[0].Text, want) || !strings.HasPrefix(plain.Text, want) {
						t.Errorf("raw %v, %v: the task ends with %q, the plain call with %q", raw, more, end.Result.Content[0].Text, plain.Text)
					}
					s.ok(t, "exec_command", params{"command": "rm go", "wait_seconds": 30})
				}
			}
		})
	}
}

// A task that has ended stays ended, whether the service answers or not, and for another
// process, too: whatever it came from, and whoever saw the end first.
func TestTaskStaysEnded(t *testing.T) {
	t.Parallel()
	for _, c := range modernCombinations {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			up := newUpstream(t, emulatortest.Options{Agent: emulator.AgentFunc(func(_ context.Context, _ emulator.Turn, emit func(emulator.AgentEvent) error) error {
				return emit(emulator.AgentEvent{Kind: emulator.Text, Text: "the reply"})
			})})
			env := up.env("OPENCLAW_MCP_TASK_AFTER=0s", "OPENCLAW_MCP_STRUCTURED=false", "OPENCLAW_MCP_STATE_DIR="+t.TempDir())
			s := c.connect(t, env)
			mark := "stays-ended-" + c.name
			made := map[string]task{}
			for name, one := range map[string]struct {
				tool string
				args params
			}{
				"reply":      {"send_chat_message", params{"message": "hello"}},
				"command":    {"exec_command", params{"command": "echo one; : " + mark + "; exit 3"}},
				"with limit": {"exec_command", params{"command": "echo two; : " + mark + "; exit 3", "timeout_seconds": 5}},
			} {
				made[name] = s.becomesTask(t, one.tool, one.args)
			}
			eventually(t, "the end of all", func() bool {
				r := s.ok(t, "exec_command", params{"command": `for d in /tmp/openclaw-mcp-*/*/; do [ ! -s "$d/code" ] || grep "^echo.*` + mark + `" "$d/cmd"; done`, "wait_seconds": 30})
				list := s.ok(t, "list_runs", nil)
				return strings.Contains(r.Text, "echo one") && strings.Contains(r.Text, "echo two") && strings.Contains(list.Text, `chat "hello" [status: completed`)
			})
			s.proc.kill(t) // before anybody has asked
			s = c.connect(t, env)
			ends := map[string]task{}
			for name, one := range made {
				end := s.getTask(t, one.TaskID)
				if end.Status != "completed" || len(end.Result.Content) != 1 {
					end = s.followTask(t, one.TaskID)
					// Without a folder, there is only the history: whether the agent goes on shows later.
					if !c.http || name != "reply" {
						t.Errorf("%s: asked first, a new process did not know that it has ended; then: %+v", name, end)
					}
				}
				if want := map[string]string{"reply": "the reply\n[status: completed", "command": "one\n[status: completed, exit code 3", "with limit": "two\n[status: completed, exit code 3"}[name]; !strings.HasPrefix(end.Result.Content[0].Text, want) {
					t.Errorf("%s: %+v", name, end)
				}
				ends[name] = end
			}
			list := s.ok(t, "list_runs", nil)
			for _, want := range []string{`chat "hello" [status: completed`, `command "echo one; : ` + mark + `; exit 3" [status: completed, exit code 3`, `command "echo two; : ` + mark + `; exit 3" [status: completed, exit code 3`} {
				if !strings.Contains(list.Text, want) {
					t.Errorf("list_runs does not say %q: %s", want, list.Text)
				}
			}
			up.SetFaults(emulatortest.Fault{Endpoint: "POST /instances/{instance}/terminal/exec", Drop: true}, emulatortest.Fault{Endpoint: "GET /instances/{instance}/chat/messages", Drop: true})
			again := func() {
				t.Helper()
				for name, one := range made {
					if now := s.getTask(t, one.TaskID); now.Status != "completed" || len(now.Result.Content) != 1 || now.Result.Content[0] != ends[name].Result.Content[0] {
						t.Errorf("%s: while the service does not answer: %+v", name, now)
					}
				}
			}
			again()
			if c.http {
				return // its processes share nothing here
			}
			s.proc.kill(t)
			s = c.connect(t, env)
			again()
			s.proc.kill(t)
			up.SetFaults(emulatortest.Fault{Endpoint: "GET /instances", Drop: true})
			s = c.connect(t, append(env, "OPENCLAW_MCP_EXCLUDE_INSTANCES=another"))
			if now := s.getTask(t, made["reply"].TaskID); now.Status != "working" || !strings.Contains(now.StatusMessage, "could not be read") || now.CreatedAt != ends["reply"].CreatedAt {
				t.Errorf("while it can't be told which instances there are: %+v", now)
			}
		})
	}
}

// How long a call waits before it becomes a task is what was set, also where a command's start
// takes longer.
func TestTaskInTime(t *testing.T) {
	t.Parallel()
	for _, c := range modernCombinations {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			up := newUpstream(t, emulatortest.Options{})
			s := c.connect(t, up.env("OPENCLAW_MCP_TASK_AFTER=0s"))
			// Its start used to be waited for, and with it the end of a short command.
			made := s.becomesTask(t, "exec_command", params{"command": "sleep 0.5; echo done"})
			if end := s.followTask(t, made.TaskID); !strings.HasPrefix(end.Result.Content[0].Text, "done\n") {
				t.Errorf("the end: %+v", end)
			}
		})
	}
}

// A listen stream tells how a task goes on.
func TestTaskNotifications(t *testing.T) {
	t.Parallel()
	for _, c := range modernCombinations {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			up := newUpstream(t, emulatortest.Options{})
			s := c.connect(t, up.env("OPENCLAW_MCP_TASK_AFTER=1s"))
			made := s.becomesTask(t, "exec_command", params{"command": "until [ -e go ]; do sleep 0.1; done"})
			news := s.start(t, s.newID(), "subscriptions/listen", params{"notifications": params{"taskIds": []string{made.TaskID, "nonsense"}}, "_meta": takesTasks})
			ack := recv(t, news, "the acknowledgement")
			if ids := ack.Params.Notifications.TaskIDs; len(ids) != 1 || ids[0] != made.TaskID {
				t.Errorf("acknowledged: %v", ids)
			}
			s.ok(t, "write_file", params{"path": "/workspace/go", "content": ""})
			for {
				m := recv(t, news, "news of the task")
				if m.Method != "notifications/tasks" || m.Params.TaskID != made.TaskID {
					t.Fatalf("%+v", m)
				}
				if m.Params.Status == "completed" {
					break
				}
			}
		})
	}
}

func TestTaskRefusals(t *testing.T) {
	t.Parallel()
	for _, c := range modernCombinations {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			up := newUpstream(t, emulatortest.Options{})
			s := c.connect(t, up.env("OPENCLAW_MCP_TASK_AFTER=1s"))
			for _, method := range []string{"tasks/get", "tasks/update", "tasks/cancel"} {
				for name, tt := range map[string]struct {
					p    params
					code int
				}{
					"not declared": {params{"taskId": "x"}, -32021},
					"unknown":      {params{"taskId": "x", "inputResponses": params{}, "_meta": takesTasks}, -32602},
					"no id":        {params{"_meta": takesTasks}, -32602},
					"a number":     {params{"taskId": 1, "_meta": takesTasks}, -32602},
				} {
					if m := s.request(t, method, tt.p); m.Error == nil || m.Error.Code != tt.code {
						t.Errorf("%s, %s: %+v %s", method, name, m.Error, m.Result)
					}
				}
			}
			// Who does not declare it gets a run, as ever.
			if r := s.ok(t, "exec_command", params{"command": "sleep 2", "wait_seconds": 0}); r.str("status") != "running" {
				t.Errorf("%s", r.raw)
			}
		})
	}
}

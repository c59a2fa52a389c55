package emulator_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"openclaw-mcp/internal/emulator"
	"openclaw-mcp/internal/emulator/emulatortest"
)

// The session's history is told, tools and failures included, and the oldest of
// it left out when it grows too long.
func TestModelHistory(t *testing.T) {
	t.Parallel()
	f := newFakeModel(t, says("first"), calls("x", "run_command", map[string]any{"command": "echo hi"}), says("second"),
		refuses(400, "no"), says("third"))
	hear(t, f.agent(t, nil), "m1", "m2", "m3", "m4")
	reqs := f.asked()
	var got []string
	for _, m := range reqs[len(reqs)-1].Messages[1:] {
		text := m.Role + ":" + m.Content
		if len(m.ToolCalls) > 0 {
			text += m.ToolCalls[0].Function.Name + m.ToolCalls[0].Function.Arguments
		}
		got = append(got, strings.TrimSpace(strings.ReplaceAll(text, "\n", " ")))
	}
	want := []string{"user:m1", "assistant:first", "user:m2", `assistant:run_command{"command":"echo hi"}`, "tool:exit code: 0 stdout: hi",
		"assistant:second", "user:m3", "assistant: (This reply failed: the model service answered 400 Bad Request: no)", "user:m4"}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}

	// What was written to a file is not told again in full.
	f = newFakeModel(t, calls("x", "write_file", map[string]any{"path": "big.txt", "content": strings.Repeat("0123456789", 5000)}), says("ok"))
	hear(t, f.agent(t, nil), "write", "and now")
	told := f.asked()[2].Messages
	if args := told[2].ToolCalls[0].Function.Arguments; len(told) != 6 || len(args) > 1000 || !strings.Contains(args, `"path":"big.txt"`) || !strings.Contains(args, "left out") {
		t.Errorf("%d messages; the old call is told as %q", len(told), args)
	}
	// Nor what is long without a long text in it.
	f = newFakeModel(t, calls("x", "nonsense", map[string]any{"list": make([]int, 5000)}), says("ok"))
	hear(t, f.agent(t, nil), "write", "and now")
	if args := f.asked()[2].Messages[2].ToolCalls[0].Function.Arguments; args != `{"note":"left out to save room"}` {
		t.Errorf("the old call is told as %.100q", args)
	}

	f = newFakeModel(t, says("ok"))
	long := strings.Repeat("word ", 1000)
	hear(t, f.agent(t, func(o *emulator.ModelOptions) { o.Context = 13000 }), "1 "+long, "2 "+long, "3 "+long)
	last := f.asked()[2].Messages
	if len(last) != 4 || !strings.Contains(last[0].Content, "left out") || last[1].Content != "2 "+long || last[3].Content != "3 "+long {
		t.Errorf("%d messages: %.300s", len(last), toJSON(last))
	}
}

// Within one turn, too, old results give way.
func TestModelTurnBudget(t *testing.T) {
	t.Parallel()
	var script []http.HandlerFunc
	for range 8 {
		script = append(script, calls("a", "run_command", map[string]any{"command": "head -c 9000 /dev/zero | tr '\\0' x"}))
	}
	f := newFakeModel(t, append(script, says("ok"))...)
	if got := hear(t, f.agent(t, func(o *emulator.ModelOptions) { o.Context = 30000 }), "go"); got.err != nil {
		t.Fatal(got.err)
	}
	last := f.asked()[8].Messages
	if n := len(toJSON(last)); n > 40000 || len(last) != 18 {
		t.Errorf("%d messages, %d bytes", len(last), n)
	}
	if first, newest := last[3].Content, last[17].Content; !strings.Contains(first, "left out") || len(newest) < 9000 {
		t.Errorf("the first result has %d bytes, the newest %d", len(first), len(newest))
	}
}

// Stopping the instance stops the reply, in mid-answer and in mid-command.
func TestModelCancelled(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]http.HandlerFunc{
		"answer": func(w http.ResponseWriter, r *http.Request) {
			events(`{"choices":[{"delta":{"content":"Well"}}]}`)(w, r)
			<-r.Context().Done()
		},
		"command": calls("a", "run_command", map[string]any{"command": "touch begun; sleep 600"}),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			model := newFakeModel(t, answer)
			f := start(t, emulatortest.Options{Agent: model.agent(t, nil)})
			reply := f.stream("POST", f.in("/chat/stream"), `{"message":"go"}`)
			if name == "answer" {
				for ev, ok := reply.next(); ok && !strings.Contains(ev.data, "Well"); ev, ok = reply.next() {
				}
			} else {
				eventually(t, "the command", func() bool {
					_, err := os.Stat(filepath.Join(f.srv.Workspace(f.id), "begun"))
					return err == nil
				})
			}
			f.want(200, "POST", f.in("/shutdown"), "")
			rest := fmt.Sprint(reply.all())
			if !strings.Contains(rest, "stopped during the reply") {
				t.Errorf("the stream ends with %s", rest)
			}
			if n := len(model.asked()); n != 1 {
				t.Errorf("%d requests", n)
			}
		})
	}
}

// The agent also ends by itself when its context does.
func TestModelContext(t *testing.T) {
	t.Parallel()
	f := newFakeModel(t, refuses(503, ""))
	ctx, cancel := context.WithCancel(t.Context())
	agent := f.agent(t, func(o *emulator.ModelOptions) { o.Backoff = time.Hour })
	err := agent.Reply(ctx, emulator.Turn{Message: "hi"}, func(emulator.AgentEvent) error {
		cancel()
		return nil
	})
	if err == nil || len(f.asked()) != 1 {
		t.Errorf("%v after %d requests", err, len(f.asked()))
	}
}

// A message that waits for its turn is no history of the ones before it.
func TestHistoryOfQueuedMessages(t *testing.T) {
	t.Parallel()
	begun, goOn := make(chan struct{}, 3), make(chan struct{})
	told := make(chan []string, 3)
	f := start(t, emulatortest.Options{Agent: emulator.AgentFunc(func(ctx context.Context, turn emulator.Turn, emit func(emulator.AgentEvent) error) error {
		var history []string
		for _, m := range turn.History {
			history = append(history, m.Text)
		}
		told <- history
		begun <- struct{}{}
		select {
		case <-goOn:
		case <-ctx.Done():
			return ctx.Err()
		}
		return emit(text("to " + turn.Message))
	})})
	var replies []*sse
	for i, m := range []string{"one", "two", "three"} {
		replies = append(replies, f.stream("POST", f.in("/chat/stream"), toJSON(map[string]any{"message": m})))
		if i == 0 {
			<-begun
		}
	}
	close(goOn)
	for _, r := range replies {
		r.all()
	}
	for _, want := range [][]string{nil, {"one", "to one"}, {"one", "two", "to one", "to two"}} {
		if got := <-told; !slices.Equal(got, want) {
			t.Errorf("the history is %q, want %q", got, want)
		}
	}
}

//go:build e2e

package e2e

import (
	"strings"
	"testing"

	"openclaw-mcp/internal/emulator/emulatortest"
)

// A model gets text alone: no structured content, no output schemas, no links. What a
// program may want beside it is in _meta.
func TestTextAlone(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, c combination) {
		up := newUpstream(t, emulatortest.Options{})
		s := c.connect(t, up.env("OPENCLAW_MCP_STRUCTURED=false"))
		for name, tool := range s.tools {
			if tool.OutputSchema != nil {
				t.Errorf("%s has an output schema", name)
			}
		}
		source := strings.Repeat("func f() { return \"é\\n\" }\n", 600)
		s.ok(t, "write_file", params{"path": "a.go", "content": source})
		for _, tt := range []struct {
			name, tool string
			args       params
			text       string         // that the result ends or begins with
			facts      map[string]any // some of them
		}{
			{"chat", "send_chat_message", params{"message": "count to 5"}, "1 2 3 4 5\n[status: completed", map[string]any{"status": "completed", "kind": "chat"}},
			{"file", "read_file", params{"path": "a.go"}, source, map[string]any{"path": "/workspace/a.go", "size": float64(len(source))}},
			{"command", "exec_command", params{"command": "echo out; echo err >&2; echo more; exit 3"}, "out\nerr\nmore\n[status: completed, exit code 3", map[string]any{"status": "completed", "exit_code": 3.0}},
			{"command that runs plainly", "exec_command", params{"command": "echo err >&2; echo out; echo err again >&2; exit 3", "timeout_seconds": 20}, "err\nout\nerr again\n[status: completed, exit code 3", map[string]any{"status": "completed", "exit_code": 3.0}},
			{"background", "exec_command", params{"command": "sleep 3; for i in 1 2 3; do echo out $i; echo err $i >&2; done", "background": true, "wait_seconds": 20}, "out 1\nerr 1\nout 2\nerr 2\nout 3\nerr 3\n[status: completed, exit code 0", nil},
			{"list", "list_files", params{"path": "/workspace"}, "", map[string]any{"path": "/workspace"}},
		} {
			r := s.ok(t, tt.tool, tt.args)
			if !strings.HasPrefix(r.Text, tt.text) {
				t.Errorf("%s: the text is %q", tt.name, shorten(r.Text, 300))
			}
			for k, v := range tt.facts {
				if r.Data[k] != v {
					t.Errorf("%s: the fact %s is %v, want %v: %s", tt.name, k, r.Data[k], v, shorten(string(r.raw), 500))
				}
			}
			// Nothing that the text has is there twice.
			if n := len(r.raw) - len(source); tt.name == "file" && n > 4000 {
				t.Errorf("the result of a file has %d bytes besides it", n)
			}
		}
	})
}

// A program behind HTTP asks for data with a header.
func TestStructuredHeader(t *testing.T) {
	t.Parallel()
	up := newUpstream(t, emulatortest.Options{})
	p, url := launchHTTP(t, up.env("OPENCLAW_MCP_STRUCTURED=false"))
	for value, want := range map[string]bool{"": false, "false": false, "true": true, "yes": true, "on": true, "1": true, "No": false} {
		w := newHTTPWire(t, url, modern)
		w.always = params{}
		if value != "" {
			w.always["X-MCP-Structured"] = value
		}
		s := newSession(t, p, w)
		r := s.ok(t, "exec_command", params{"command": "echo hi"})
		if got := s.tools["exec_command"].output != nil; got != want || (r.str("stdout") == "hi\n") != want {
			t.Errorf("%q: schemas %v, %s", value, got, r.raw)
		}
	}
	w := newHTTPWire(t, url, modern)
	w.always = params{"X-MCP-Structured": "perhaps"}
	if body := w.status(t, "POST", string(encodeRequest(t, modern, "1", "tools/list", nil)), 400); !strings.Contains(body, `the header X-MCP-Structured is \"perhaps\"; it must be true or false`) {
		t.Errorf("nonsense: %s", body)
	}
}

// A command's output shows while it runs.
func TestCommandProgress(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, c combination) {
		up := newUpstream(t, emulatortest.Options{})
		s := c.connect(t, up.env())
		// The command goes on only once its first line was seen.
		call := s.begin(t, "exec_command", params{"command": "echo first; until [ -e go ]; do sleep 0.1; done; echo last", "timeout_seconds": 60})
		var seen []string
		for {
			m := call.progress(t)
			seen = append(seen, m.Params.Message)
			if m.Params.Meta.Text == "first\n" {
				break
			}
		}
		if last := seen[len(seen)-1]; last != "first" {
			t.Errorf("the person saw %q", seen)
		}
		s.ok(t, "write_file", params{"path": "/workspace/go", "content": ""})
		if r := call.result(t); r.str("stdout") != "first\nlast\n" || r.streamed() != "last\n" {
			t.Errorf("%s; streamed %q", r.raw, r.streamed())
		}
	})
}

// A model's handles are short over stdio, where the processes of its user share what they
// mean. The sealed form is beside them, and opens in any process; an unknown short one says
// what to do.
func TestShortHandles(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, c combination) {
		up := newUpstream(t, emulatortest.Options{})
		s := c.connect(t, up.env("OPENCLAW_MCP_STRUCTURED=false"))
		r := s.ok(t, "exec_command", params{"command": "until [ -e go ]; do sleep 0.1; done; echo done", "background": true})
		word, sealed := r.str("run"), r.str("handle")
		if c.http {
			word, sealed = "run-7f3k", word
		}
		if !strings.HasPrefix(word, "run-") || !strings.HasPrefix(sealed, "run_") || strings.Contains(r.Text, sealed) != c.http {
			t.Fatalf("the run is %q, %q: %s", word, sealed, r.raw)
		}
		other := c.connect(t, up.env("OPENCLAW_MCP_STRUCTURED=false"))
		if r := other.call(t, "wait_run", params{"runs": []string{word}}); !r.IsError || !strings.Contains(r.Text, "nothing was done") {
			t.Errorf("in another process: %s", r.raw)
		}
		s.ok(t, "write_file", params{"path": "/workspace/go", "content": ""})
		if r := other.ok(t, "wait_run", params{"runs": []string{sealed}}); !strings.HasPrefix(r.Text, "done\n") {
			t.Errorf("the sealed handle in another process: %s", r.raw)
		}
		if c.http {
			return
		}
		if r := s.ok(t, "wait_run", params{"runs": []string{word}}); !strings.HasPrefix(r.Text, "done\n") {
			t.Errorf("the short handle: %s", r.raw)
		}
		// Of two processes that share a folder, the second knows it after kill -9 of the first.
		env := up.env("OPENCLAW_MCP_STRUCTURED=false", "OPENCLAW_MCP_STATE_DIR="+t.TempDir())
		first := c.connect(t, env)
		word = first.ok(t, "exec_command", params{"command": "echo kept; sleep 600", "background": true}).str("run")
		first.proc.kill(t)
		second := c.connect(t, env)
		word, _, _ = strings.Cut(word, ".")
		if r := second.ok(t, "wait_run", params{"runs": []string{word}, "until": "news"}); !strings.HasPrefix(r.Text, "kept\n") || !strings.Contains(r.Text, word+".") {
			t.Errorf("after a restart: %s", r.raw)
		}
		if r := second.ok(t, "cancel_run", params{"run": word}); !strings.Contains(r.Text, "status: cancelled") {
			t.Errorf("cancelled: %s", r.raw)
		}
	})
}

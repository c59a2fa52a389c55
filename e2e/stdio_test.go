//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"openclaw-mcp/internal/emulator/emulatortest"
)

const execEndpoint = "POST /instances/{instance}/terminal/exec"

// Many calls that block do not keep the server from answering others.
func TestStdioBlockedCalls(t *testing.T) {
	t.Parallel()
	for _, era := range []string{legacy, modern} {
		t.Run(era, func(t *testing.T) {
			t.Parallel()
			release := make(chan struct{})
			up := newUpstream(t, emulatortest.Options{Faults: []emulatortest.Fault{{Endpoint: execEndpoint, Release: release}}})
			p := launch(t, up.env("OPENCLAW_MCP_SOFT_DEADLINE=10m")) // on a slow machine, they wait for long
			s := newSession(t, p, newStdioWire(t, p, era))
			const n = 80
			var blocked []*call
			for range n {
				blocked = append(blocked, s.begin(t, "exec_command", params{"command": "echo out", "instance": up.instance}))
			}
			eventually(t, "all calls are upstream", func() bool { return up.Calls(execEndpoint) == n })
			for range 20 { // they would wait for ever
				s.request(t, "ping", nil)
				s.ok(t, "list_runs", nil)
			}
			for _, c := range blocked[:n/2] {
				c.cancel(t, "no longer wanted")
			}
			eventually(t, "the cancelled runs end", func() bool {
				return strings.Count(s.ok(t, "list_runs", nil).Text, "status: cancelled, ") == n/2
			})
			close(release)
			for _, c := range blocked[n/2:] {
				if r := c.result(t); !strings.Contains(r.str("stdout"), "out") {
					t.Errorf("a blocked call answered %q", r.Text)
				}
			}
			s.request(t, "ping", nil)
			for _, c := range blocked[:n/2] {
				select {
				case m := <-c.ch:
					if m.Method == "" {
						t.Errorf("a cancelled call was answered: %+v", m)
					}
				default:
				}
			}
			_ = p.stdin.Close()
			if code := p.exit(t); code != 0 {
				t.Errorf("exit code %d", code)
			}
		})
	}
}

// Whatever comes in, standard output carries JSON-RPC and nothing else.
func TestStdioStdoutIsPure(t *testing.T) {
	t.Parallel()
	up := newUpstream(t, emulatortest.Options{})
	p := launch(t, up.env("OPENCLAW_MCP_LOG_LEVEL=debug"))
	w := newStdioWire(t, p, legacy)
	for _, line := range []string{
		"", "   ", "not json", "{", "[]", "[1]", `"text"`, "null", "42", "{}", `{"jsonrpc":"1.0","id":"z","method":"ping"}`,
		`{"jsonrpc":"2.0","id":null,"method":"ping"}`, `{"jsonrpc":"2.0","id":{},"method":"ping"}`,
		`{"jsonrpc":"2.0","id":"a","method":7}`, `{"jsonrpc":"2.0","id":"b","method":"tools/call"}`,
		`{"jsonrpc":"2.0","id":"c","method":"tools/call","params":[]}`,
		`{"jsonrpc":"2.0","id":"d","method":"tools/call","params":{"name":7}}`,
		`{"jsonrpc":"2.0","id":"e","method":"tools/call","params":{"name":"list_instances","arguments":"x"}}`,
		`{"jsonrpc":"2.0","id":"f","method":"tools/call","params":{"name":"list_instances","arguments":[1]}}`,
		`{"jsonrpc":"2.0","id":"g","method":"tools/list","params":{"cursor":"nonsense"}}`,
		`{"jsonrpc":"2.0","id":"h","result":{}}`, `{"jsonrpc":"2.0","method":"notifications/unknown"}`,
		`{"jsonrpc":"2.0","method":"notifications/cancelled"}`, `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":[]}}`,
		"\x00\x01\xff\xfe", "{\"jsonrpc\":\"2.0\",\"id\":\"\xff\",\"method\":\"ping\"}", strings.Repeat("[", 5000),
		`{"jsonrpc":"2.0","id":"i","method":"tools/call","params":{"name":"write_file","arguments":{"path":"/workspace/a","content":"\ud800 \u0000 </script> \u2028"}}}`,
	} {
		w.sendLine(t, []byte(line))
	}
	s := newSession(t, p, w) // it still serves
	s.ok(t, "exec_command", params{"command": `printf 'line\n\033[31m{"jsonrpc":"2.0"}\n\xff\xfe\000'; echo err >&2; exit 3`})
	_ = p.stdin.Close()
	if code := p.exit(t); code != 0 {
		t.Errorf("exit code %d", code)
	}
	<-w.ended // the reader has found every line to be JSON-RPC
	if lines := strings.Count(w.lines.String(), "\n"); lines < 20 {
		t.Errorf("only %d lines of output", lines)
	}
	if !strings.Contains(p.stderr.String(), "level=DEBUG") {
		t.Error("the log did not go to standard error")
	}
}

// At the end of input, calls in flight go on, and their answers are written.
func TestStdioEndOfInput(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	up := newUpstream(t, emulatortest.Options{Faults: []emulatortest.Fault{{Endpoint: execEndpoint, Release: release}}})
	p := launch(t, up.env())
	s := newSession(t, p, newStdioWire(t, p, modern))
	c := s.begin(t, "exec_command", params{"command": "echo the last word"})
	eventually(t, "the call is upstream", func() bool { return up.Calls(execEndpoint) == 1 })
	// The last line has no newline.
	last := make(chan message, 10)
	s.wire.(*stdioWire).mu.Lock()
	s.wire.(*stdioWire).pending[`"last"`] = last
	s.wire.(*stdioWire).mu.Unlock()
	if _, err := p.stdin.Write(encodeRequest(t, modern, `"last"`, "tools/list", nil)); err != nil {
		t.Fatal(err)
	}
	_ = p.stdin.Close()
	if m := answer(t, last); m.Error != nil {
		t.Errorf("the line without a newline: %+v", m.Error)
	}
	close(release)
	if r := c.result(t); !strings.Contains(r.str("stdout"), "the last word") {
		t.Errorf("the call in flight answered %q", r.Text)
	}
	if code := p.exit(t); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// A client that no longer reads is gone.
func TestStdioBrokenStdout(t *testing.T) {
	t.Parallel()
	up := newUpstream(t, emulatortest.Options{})
	p := launch(t, up.env())
	_ = p.stdout.Close()
	if _, err := p.stdin.Write(append(encodeRequest(t, modern, "1", "tools/list", nil), '\n')); err != nil {
		t.Fatal(err)
	}
	if code := p.exit(t); code != 1 { // though its input is still open
		t.Errorf("exit code %d, want 1", code)
	}
	if log := p.stderr.String(); !strings.Contains(log, "standard output") {
		t.Errorf("the log does not say why: %s", log)
	}
}

// 20 MB go in through one line, and come back through files and output, bounded.
func TestStdioLargeArgument(t *testing.T) {
	t.Parallel()
	up := newUpstream(t, emulatortest.Options{})
	s := connect(t, up.env("OPENCLAW_MCP_MAX_RESULT_CHARS=1000000", "OPENCLAW_MCP_SOFT_DEADLINE=10m"))
	var b strings.Builder
	for i := 0; b.Len() < 20_000_000; i++ {
		fmt.Fprintf(&b, "line %d: \"quoted\" <tags> & ünïcode \\ 🦀\n", i)
	}
	content := b.String()
	r := s.ok(t, "write_file", params{"path": "/workspace/big.txt", "content": content})
	if n, _ := r.Data["bytes"].(json.Number); n.String() != fmt.Sprint(len(content)) {
		t.Errorf("wrote %v bytes of %d", r.Data["bytes"], len(content))
	}
	got, err := os.ReadFile(filepath.Join(up.Workspace(up.instance), "big.txt"))
	if err != nil || string(got) != content {
		t.Errorf("the file holds %d bytes, %v; want %d", len(got), err, len(content))
	}
	read := s.ok(t, "read_file", params{"path": "/workspace/big.txt"})
	if text := read.str("content"); len(text) < 200_000 || len(text) > 1_000_000 || !strings.HasPrefix(content, text) {
		t.Errorf("a result of up to a million characters has %d", len(text))
	}
	// The call that it spells reads on without a gap.
	more := s.follow(t, read).str("content")
	if !strings.HasPrefix(content[len(read.str("content")):], more) || len(more) < 200_000 {
		t.Errorf("the next part has %d bytes, and begins with %q", len(more), shorten(more, 200))
	}
}

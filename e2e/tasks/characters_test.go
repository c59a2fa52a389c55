//go:build e2e

package tasks

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"openclaw-mcp/internal/golden"
)

// client is an MCP client at the other end of the program's streams.
type client struct {
	*testing.T
	in  *json.Encoder
	out *bufio.Scanner
	id  int
}

// result is what a tool answered, as clients hand it to their models.
type result struct {
	Content           []struct{ Text string }
	StructuredContent json.RawMessage
	IsError           bool
}

func (r result) text() string {
	if len(r.Content) == 0 {
		return ""
	}
	return r.Content[0].Text
}

func newClient(t *testing.T, d *desk, structured bool) *client {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, "--local")
	cmd.Env = append(d.env, fmt.Sprint("OPENCLAW_MCP_STRUCTURED=", structured))
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kill := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
	t.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Wait()
		kill.Stop()
	})
	c := &client{T: t, in: json.NewEncoder(in), out: bufio.NewScanner(out)}
	c.out.Buffer(nil, 16<<20)
	c.request("initialize", map[string]any{"protocolVersion": "2025-11-25", "capabilities": map[string]any{}, "clientInfo": map[string]any{"name": "counting", "version": "1"}})
	return c
}

func (c *client) request(method string, params any) json.RawMessage {
	c.Helper()
	c.id++
	if err := c.in.Encode(map[string]any{"jsonrpc": "2.0", "id": c.id, "method": method, "params": params}); err != nil {
		c.Fatal(err)
	}
	for c.out.Scan() {
		var m struct {
			ID     *int
			Result json.RawMessage
		}
		if err := json.Unmarshal(c.out.Bytes(), &m); err != nil {
			c.Fatalf("%v: %s", err, c.out.Bytes())
		}
		if m.ID != nil && *m.ID == c.id {
			return m.Result
		}
	}
	c.Fatalf("no answer to %s: %v", method, c.out.Err())
	return nil
}

func (c *client) call(tool string, args map[string]any) (r result) {
	c.Helper()
	if err := json.Unmarshal(c.request("tools/call", map[string]any{"name": tool, "arguments": args}), &r); err != nil {
		c.Fatal(err)
	}
	return r
}

type params = map[string]any

// typical are results as models see them all day. Each is made by its last call.
var typical = []struct {
	name string
	make func(d *desk, c *client) result
}{
	{"a short reply of the agent", func(_ *desk, c *client) result {
		r := c.call("send_chat_message", params{"message": "say: The tests pass now."})
		for i := 0; i < 5 && strings.Contains(r.text(), "note: "); i++ { // on a slow machine, it has one about the history
			r = c.call("send_chat_message", params{"message": "say: The tests pass now."})
		}
		return r
	}},
	{"a source file of 18,000 bytes", func(d *desk, c *client) result {
		d.put("main.go", strings.Repeat("\tif err != nil {\n\t\treturn fmt.Errorf(\"read %q: %w\", name, err)\n\t}\n", 263))
		return c.call("read_file", params{"path": "main.go"})
	}},
	{"a command that fails", func(_ *desk, c *client) result {
		return c.call("exec_command", params{"command": "printf 'ok  \\tpkg/a\\n--- FAIL: TestB\\n    b_test.go:12: got 1, want 2\\n' >&2; exit 1"})
	}},
	{"a list of 60 files", func(d *desk, c *client) result {
		for i := range 60 {
			d.put(fmt.Sprintf("list/file-%02d.txt", i), "some text\n")
		}
		return c.call("list_files", params{"path": "list"})
	}},
	{"a command that goes on", func(_ *desk, c *client) result {
		return c.call("exec_command", params{"command": "sleep 600", "background": true})
	}},
	{"a line typed into a terminal with a full screen", func(d *desk, c *client) result {
		d.put("log.txt", strings.Repeat("2026-01-02T03:04:05Z info: one request was answered\n", 21))
		opened := c.call("open_terminal", params{"command": "PS1='$ '; clear; cat log.txt"})
		term := d.find(`\[terminal ([^:]+):`, opened.text())
		return c.call("write_terminal", params{"terminal": term, "text": "echo hello", "keys": []string{"enter"}, "wait_for": "^hello$"})
	}},
	{"a file that is not there", func(d *desk, c *client) result {
		d.put("docs/handbook.md", "x")
		return c.call("read_file", params{"path": "docs/handbok.md"})
	}},
}

// What a client that shows its model the data, or both, makes of a result, and what one that
// shows the text does.
func TestGoldenCharacters(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	programs, models := newClient(t, d, true), newClient(t, d, false)
	var table strings.Builder
	table.WriteString("| result | as data | as both | as text |\n|---|---:|---:|---:|\n")
	for _, one := range typical {
		data, text := one.make(d, programs), one.make(d, models)
		if text.StructuredContent != nil || text.text() == "" || data.text() == "" {
			t.Fatalf("%s: %+v, %+v", one.name, data, text)
		}
		asData := utf8.RuneCountInString(string(data.StructuredContent))
		shown, before := utf8.RuneCountInString(text.text()), utf8.RuneCountInString(data.text())
		if data.IsError != text.IsError || asData > 0 && shown > before {
			t.Errorf("%s: %d characters of text, %d beside the data", one.name, shown, before)
		}
		fmt.Fprintf(&table, "| %s | %s | %s | %s |\n", one.name, thousands(asData), thousands(asData+before), thousands(shown))
	}
	golden.Sections(t, "../../docs/characters.md", map[string]string{"characters": table.String()})
}

// thousands writes a number for people; none is a dash.
func thousands(n int) string {
	switch {
	case n == 0:
		return "–"
	case n < 1000:
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%d,%03d", n/1000, n%1000)
}

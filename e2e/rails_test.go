//go:build e2e

package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"openclaw-mcp/internal/emulator/emulatortest"
	"openclaw-mcp/tools"
)

// In read-only mode nothing that could change anything reaches the service,
// whatever is called; neither where a request's header asks for it.
func TestReadOnlyAtTheUpstream(t *testing.T) {
	t.Parallel()
	up := newUpstream(t, emulatortest.Options{})
	plain := connect(t, up.env())
	plain.ok(t, "write_file", params{"path": "/workspace/f", "content": "1\n2\n3\n"})
	chat := plain.ok(t, "send_chat_message", params{"message": "say hello"}).str("session")
	run := plain.ok(t, "exec_command", params{"command": "sleep 1000", "background": true}).str("run")
	plain.proc.kill(t) // it asks nothing more

	_, url := launchHTTP(t, up.env())
	header := newHTTPWire(t, url, legacy)
	header.always = params{"X-MCP-Readonly": "true"}
	for name, s := range map[string]*session{
		"by the environment": connect(t, up.env("OPENCLAW_MCP_READ_ONLY=true")),
		"by a header":        newSession(t, nil, header),
	} {
		t.Run(name, func(t *testing.T) {
			before := up.Mutations()
			for _, tool := range tools.All() {
				args := argumentsFor(tool)
				args["instance"] = up.instance
				if _, has := tool.Input.Properties["instance"]; !has {
					delete(args, "instance")
				}
				if tool.Effect != tools.Reads {
					if r := s.call(t, tool.Name, args); !r.IsError {
						t.Errorf("%s is not refused: %s", tool.Name, r.Text)
					}
				}
			}
			s.ok(t, "list_instances", nil)
			s.ok(t, "get_instance", nil)
			s.ok(t, "list_chat_sessions", nil)
			s.ok(t, "read_chat_history", params{"session": chat})
			s.ok(t, "check_service", nil)
			s.ok(t, "list_files", params{"path": "/workspace", "depth": 3})
			s.ok(t, "read_file", params{"path": "/workspace/f", "line": -2, "hash": true})
			s.ok(t, "read_file", params{"path": "/workspace/f", "offset": 2})
			s.ok(t, "list_runs", nil)
			if r := s.call(t, "wait_run", params{"runs": []string{run}, "wait_seconds": 1}); !r.IsError || !strings.Contains(r.Text, "read-only mode") {
				t.Errorf("a command is followed: %s", r.Text)
			}
			s.call(t, "take_screenshot", nil)
			for _, uri := range []string{"openclaw://instances", "openclaw://instances/" + up.instance + "/sessions",
				"openclaw://instances/" + up.instance + "/files/workspace/f"} {
				s.request(t, "resources/read", params{"uri": uri})
			}
			if n := up.Mutations() - before; n != 0 {
				t.Errorf("%d requests could have changed something", n)
			}
		})
	}
}

// Where the client can ask its user, that is how a confirmation comes, in both eras. A no is
// the user's word: no token comes with it.
func TestConfirmationByTheUser(t *testing.T) {
	t.Parallel()
	const endpoint = "POST /instances/{instance}/reboot"
	for _, era := range []string{legacy, modern} {
		for _, tt := range []struct {
			name, answer string
			reboots      int
		}{
			{"accepts", `{"action":"accept","content":{"confirm":true}}`, 1},
			{"unticked", `{"action":"accept","content":{"confirm":false}}`, 0},
			{"declines", `{"action":"decline"}`, 0},
			{"cancels", `{"action":"cancel"}`, 0},
		} {
			t.Run(era+" "+tt.name, func(t *testing.T) {
				t.Parallel()
				up := newUpstream(t, emulatortest.Options{})
				p := launch(t, up.env("OPENCLAW_MCP_CONFIRM=ask"))
				in := bufio.NewScanner(p.stdout)
				send := func(format string, a ...any) {
					if _, err := fmt.Fprintf(p.stdin, format+"\n", a...); err != nil {
						t.Fatal(err)
					}
				}
				var m struct {
					ID     json.RawMessage
					Method string
					Result struct {
						ResultType   string
						RequestState string
						IsError      bool
						Content      []struct{ Text string }
					}
				}
				next := func() {
					t.Helper()
					m.Method = ""
					if !in.Scan() {
						t.Fatal("no more output")
					}
					if err := json.Unmarshal(in.Bytes(), &m); err != nil {
						t.Fatal(err)
					}
				}
				meta := ""
				if era == legacy {
					send(`{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-06-18","clientInfo":{"name":"c","version":"1"},"capabilities":{"elicitation":{}}}}`)
					next()
					send(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"reboot_instance","arguments":{}}}`)
					next()
					if m.Method != "elicitation/create" {
						t.Fatalf("got %s", in.Bytes())
					}
					send(`{"jsonrpc":"2.0","id":%s,"result":%s}`, m.ID, tt.answer)
				} else {
					meta = `"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{"elicitation":{}},"io.modelcontextprotocol/clientInfo":{"name":"c","version":"1"}}`
					send(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"reboot_instance","arguments":{},%s}}`, meta)
					next()
					if m.Result.ResultType != "input_required" {
						t.Fatalf("got %s", in.Bytes())
					}
					send(`{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"reboot_instance","arguments":{},"requestState":%q,"inputResponses":{"confirm":%s},%s}}`,
						m.Result.RequestState, tt.answer, meta)
				}
				next()
				if n := up.Calls(endpoint); n != tt.reboots || m.Result.IsError != (tt.reboots == 0) {
					t.Errorf("%d reboots; the result is %s", n, in.Bytes())
				}
				if hasToken := bytes.Contains(in.Bytes(), []byte("confirm:")); hasToken != (tt.name == "cancels") {
					t.Errorf("a token: %v; the result is %s", hasToken, in.Bytes())
				}
			})
		}
	}
}

//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"openclaw-mcp/internal/emulator/emulatortest"
)

// The same story in both eras over both transports.
func TestEras(t *testing.T) {
	t.Parallel()
	up := newUpstream(t, emulatortest.Options{Pace: 3 * time.Millisecond})
	t.Run("each", func(t *testing.T) {
		each(t, func(t *testing.T, c combination) {
			s := c.connect(t, up.env())
			t.Run("handshake", func(t *testing.T) { checkHandshake(t, s) })
			t.Run("list", func(t *testing.T) { checkList(t, s) })
			t.Run("chat", func(t *testing.T) { checkChat(t, s) })
			t.Run("cancel", func(t *testing.T) { checkCancel(t, s) })
			t.Run("arguments", func(t *testing.T) { checkArguments(t, s) })
			t.Run("unknown", func(t *testing.T) { checkUnknown(t, s) })
			if w, ok := s.wire.(*stdioWire); ok && len(w.strays()) > 0 {
				t.Errorf("the server said what nobody asked for: %+v", w.strays())
			}
		})
	})
}

// serverInfo is what a server says of itself, for a client to show.
type serverInfo struct {
	Name, Version, Title, WebsiteURL string
	Icons                            []struct {
		Src, MIMEType string
		Sizes         []string
	}
}

func checkHandshake(t *testing.T, s *session) {
	var r struct {
		ProtocolVersion   string
		SupportedVersions []string
		Instructions      string
		ServerInfo        serverInfo
		Capabilities      map[string]any
		Meta              map[string]json.RawMessage `json:"_meta"`
	}
	method, p := "server/discover", params{}
	if s.era() == legacy {
		method, p = "initialize", initializeParams()
	}
	m := s.request(t, method, p)
	if err := json.Unmarshal(m.Result, &r); err != nil {
		t.Fatalf("%v: %+v", err, m)
	}
	if s.era() == legacy {
		if r.ProtocolVersion != legacy || r.ServerInfo.Name != "openclaw-mcp" || r.ServerInfo.Version == "" {
			t.Errorf("initialize: %s", m.Result)
		}
	} else if !slices.Contains(r.SupportedVersions, modern) || !strings.Contains(string(r.Meta["io.modelcontextprotocol/serverInfo"]), `"openclaw-mcp"`) {
		t.Errorf("server/discover: %s", m.Result)
	}
	// Extensions came with 2026-07-28, and so did tasks.
	extensions, _ := r.Capabilities["extensions"].(map[string]any)
	if _, declared := extensions["io.modelcontextprotocol/tasks"]; declared != (s.era() == modern) {
		t.Errorf("the tasks extension is declared: %v", declared)
	}
	said := r.ServerInfo
	if s.era() == modern {
		if err := json.Unmarshal(r.Meta["io.modelcontextprotocol/serverInfo"], &said); err != nil {
			t.Fatalf("%v: %s", err, m.Result)
		}
	}
	if said.Title != "OpenClaw" || said.WebsiteURL != "https://openclaw-as-a-service.com" || len(said.Icons) != 1 ||
		!strings.HasPrefix(said.Icons[0].Src, "data:image/svg+xml;base64,") || said.Icons[0].MIMEType != "image/svg+xml" {
		t.Errorf("what a client shows of the server: %+v", said)
	}
	if !strings.Contains(r.Instructions, "wait_run") || r.Capabilities["tools"] == nil {
		t.Errorf("instructions or capabilities are missing: %s", m.Result)
	}
	if m := s.request(t, "ping", nil); s.era() == legacy && m.Error != nil {
		t.Errorf("ping: %+v", m.Error)
	}
}

func checkList(t *testing.T, s *session) {
	for name, tool := range s.tools {
		if tool.Title == "" || tool.Description == "" {
			t.Errorf("%s has no title or description", name)
		}
		hints := slices.Sorted(maps.Keys(tool.Annotations))
		if want := []string{"destructiveHint", "idempotentHint", "openWorldHint", "readOnlyHint"}; !slices.Equal(hints, want) {
			t.Errorf("%s has the annotations %v, want %v", name, hints, want)
		}
		if !strings.Contains(string(tool.InputSchema), `"additionalProperties":false`) {
			t.Errorf("%s takes unknown arguments: %s", name, tool.InputSchema)
		}
	}
	if len(s.tools) < 17 {
		t.Errorf("only %d tools are listed", len(s.tools))
	}
}

func checkChat(t *testing.T, s *session) {
	session := s.ok(t, "create_chat_session", params{"title": t.Name()}).Data["session"].(map[string]any)["id"].(string)
	const n = 300
	words := make([]string, n)
	for i := range words {
		words[i] = fmt.Sprint(i + 1)
	}
	want := strings.Join(words, " ")
	r := s.ok(t, "send_chat_message", params{"message": fmt.Sprintf("count to %d", n), "session": session})
	if r.str("reply") != want || r.str("status") != "completed" {
		t.Errorf("the reply is %q, status %q", shorten(r.str("reply"), 200), r.str("status"))
	}
	if got := r.streamed(); got != want {
		t.Errorf("the progress says %q, want every word once, in order", got)
	}
	if n := len(r.progress); n < 2 {
		t.Errorf("only %d progress notifications: that is no streaming", n)
	}
	took := r.progress[len(r.progress)-1].at.Sub(r.progress[0].at)
	if limit := 5*took.Seconds() + 3; float64(len(r.progress)) > limit {
		t.Errorf("%d progress notifications in %s: more than 5 a second", len(r.progress), took)
	}
	for _, message := range r.shown() {
		if n := utf8.RuneCountInString(message); n > 161 || strings.Contains(message, "\n") {
			t.Errorf("a message of %d characters: %q", n, message)
		}
	}
	history := s.ok(t, "read_chat_history", params{"session": session})
	if !strings.Contains(history.Text, want) {
		t.Errorf("the history lacks the reply: %s", shorten(history.Text, 500))
	}
}

func checkCancel(t *testing.T, s *session) {
	session := s.ok(t, "create_chat_session", nil).Data["session"].(map[string]any)["id"].(string)
	c := s.begin(t, "send_chat_message", params{"message": "wait 60", "session": session})
	c.progress(t)
	c.cancel(t, "the user pressed escape")
	if _, http := s.wire.(*httpWire); http {
		for m := range c.ch { // ends with the response
			if m.Method == "" {
				t.Errorf("a cancelled request was answered: %+v", m)
			}
		}
	}
	// The run is no longer followed, though the agent goes on.
	eventually(t, "the run is cancelled", func() bool {
		return strings.Contains(s.ok(t, "list_runs", nil).Text, "status: cancelled, ")
	})
	for {
		select {
		case m, open := <-c.ch:
			if open && m.Method == "" {
				t.Errorf("a cancelled request was answered: %+v", m)
			}
			if open {
				continue
			}
		default:
		}
		return
	}
}

func checkArguments(t *testing.T, s *session) {
	for _, tt := range []struct {
		tool string
		args params
		want []string
	}{
		{"read_chat_history", params{"limit": 0}, []string{`"limit"`, "from 1 to 500", "got 0"}},
		{"read_chat_history", params{"limit": "ten"}, []string{`"limit"`, "an integer", `"ten"`}},
		{"send_chat_message", params{}, []string{`"message"`, "missing", "a non-empty string"}},
		{"send_chat_message", params{"message": "hi", "if_busy": "perhaps"}, []string{`"if_busy"`, `"queue", "reject", "send"`, "perhaps"}},
		{"send_chat_message", params{"message": " \n"}, []string{`"message"`, "must not be blank"}},
		{"send_chat_message", params{"message": "hi", "wait_seconds": -1}, []string{`"wait_seconds"`, "from 0 to 3600"}},
		{"list_instances", params{"limit": 3}, []string{`unknown argument "limit"`, "this tool takes no arguments"}},
		{"exec_command", params{"command": "true", "cmd": "x", "timeout": 5}, []string{`"cmd"`, `"timeout"`, "allowed are: background, command, cwd, idempotency_key, instance"}},
		{"wait_run", params{"runs": []string{}}, []string{`"runs"`, "a list of strings", "1 to 20"}},
		{"wait_run", params{"runs": []string{"nonsense"}}, []string{"runs[0]", "not a run handle of yours", "list_runs"}},
		{"write_file", params{"path": "/workspace/dir/", "content": ""}, []string{`"path"`, "a file's path"}},
		{"read_file", params{"path": "", "count": 0}, []string{`"path"`, "non-empty", `"count"`, "an integer "}},
	} {
		r := s.call(t, tt.tool, tt.args)
		if !r.IsError || strings.Contains(r.Text, "e+") { // no number is written so
			t.Errorf("%s %v: it succeeded, or is hard to read: %s", tt.tool, tt.args, r.Text)
		}
		for _, want := range append(tt.want, tt.tool+" failed", "What happened: nothing", "Repeat: ", "Next: ") {
			if !strings.Contains(r.Text, want) {
				t.Errorf("%s %v: the answer lacks %q; it is:\n%s", tt.tool, tt.args, want, r.Text)
			}
		}
	}
	// What is not given may come as null, or not at all.
	s.ok(t, "list_instances", nil)
	s.ok(t, "get_instance", params{"instance": nil})
	m := s.request(t, "tools/call", params{"name": "list_instances"})
	if m.Error != nil {
		t.Errorf("a call without arguments: %+v", m.Error)
	}
}

func checkUnknown(t *testing.T, s *session) {
	for _, tt := range []struct {
		method string
		p      params
		want   string
	}{
		{"prompts/get", params{"name": "nope"}, `unknown prompt "nope"; prompts/list lists the ones there are`},
		{"tools/list", params{"cursor": "%"}, "params.cursor is not one that this server gave"},
		{"tools/list", params{"cursor": "aGVsbG8="}, "params.cursor is not one that this server gave"},
		{"prompts/list", params{"cursor": "aGVsbG8="}, "params.cursor is not one that this server gave"},
		{"resources/templates/list", params{"cursor": "aGVsbG8="}, "params.cursor is not one that this server gave"},
		{"resources/list", params{"cursor": "%"}, "params.cursor is not one that this server gave"},
		{"resources/list", params{"cursor": "aGVsbG8="}, "params.cursor is not one that this server gave"},
	} {
		if m := s.request(t, tt.method, tt.p); m.Error == nil || m.Error.Code != -32602 || !strings.HasPrefix(m.Error.Message, tt.want) {
			t.Errorf("%s %v: %s %+v", tt.method, tt.p, m.Result, m.Error)
		}
	}
	m := s.request(t, "tools/call", params{"name": "no_such_tool", "arguments": params{}})
	if m.Error == nil || m.Error.Code != -32602 || !strings.Contains(m.Error.Message, "no_such_tool") {
		t.Errorf("an unknown tool: %s %+v, want error -32602 that names it", m.Result, m.Error)
	}
	m = s.request(t, "no/such/method", nil)
	if m.Error == nil || m.Error.Code != -32601 {
		t.Errorf("an unknown method: %s %+v, want error -32601", m.Result, m.Error)
	}
}

// What a client is offered does not change while the server runs, and may be kept for
// minutes; what it lists of the service's may not. The server shows its icon.
func TestListsMayBeKept(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, c combination) {
		up := newUpstream(t, emulatortest.Options{})
		s := c.connect(t, up.env())
		for method, kept := range map[string]bool{"tools/list": true, "prompts/list": true, "resources/templates/list": true, "resources/list": false, "server/discover": true,
			"resources/read skill://openclaw/SKILL.md": true, "resources/read openclaw://service/discovery": true, "resources/read openclaw://instances": false} {
			var list struct {
				TTL   *float64 `json:"ttlMs"`
				Scope string   `json:"cacheScope"`
			}
			method, uri, reads := strings.Cut(method, " ")
			p := params{}
			if reads {
				p["uri"] = uri
			} else if method == "server/discover" && c.era == legacy {
				continue
			}
			raw := s.request(t, method, p).Result
			if err := json.Unmarshal(raw, &list); err != nil {
				t.Fatal(err)
			}
			switch {
			case c.era == legacy:
				if list.TTL != nil {
					t.Errorf("%s: a client of an earlier version is told %v", method, *list.TTL)
				}
			case list.TTL == nil || (*list.TTL >= 60_000) != kept || kept && list.Scope != "private":
				t.Errorf("%s: got %s", method, shorten(string(raw), 300))
			}
		}
		if c.era == modern {
			if r := s.request(t, "server/discover", nil); !strings.Contains(string(r.Result), `"src":"data:image/svg+xml;base64,`) {
				t.Errorf("the server has no icon: %s", r.Result)
			}
		}
	})
}

//go:build e2e

package hostile

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"unicode/utf8"
)

// poison is what no text may carry to a client: a command for its terminal, a text that
// reads backwards, and instructions that only a model sees.
const poison = "\x1b[2J\x1b]0;gone\x07\x08\u009b31m\u202ereversed\u2066\u200bhidden" +
	"\U000e0049\U000e0067\U000e006e\U000e006f\U000e0072\U000e0065\ufe00\ufe01\U000e0100\ufe0f\ufe0f😀\ufe0f"

// quoted is poison with something before it, as JSON.
func quoted(before string) string {
	b, _ := json.Marshal(before + poison)
	return string(b)
}

// poisonous is a service that puts poison wherever a text is.
func poisonous(w http.ResponseWriter, r *http.Request) {
	at := strings.TrimPrefix(strings.TrimPrefix(r.URL.Path, "/api"), "/instances/i1")
	w.Header().Set("Content-Type", "application/json")
	switch {
	case at == "/instances":
		_, _ = fmt.Fprintf(w, `[{"id":"i1","name":%s,"status":"ready"},{"id":%s,"name":"b","status":%s}]`, quoted("n"), quoted("i"), quoted("s"))
	case at == "" || at == "/status":
		_, _ = fmt.Fprintf(w, `{"id":"i1","name":%s,"status":"ready"}`, quoted("n"))
	case at == "/chat/sessions":
		_, _ = fmt.Fprintf(w, `[{"id":"s1","title":%s},{"id":%s,"title":"t"}]`, quoted("t"), quoted("s"))
	case at == "/chat/messages":
		_, _ = fmt.Fprintf(w, `[{"id":%s,"session_id":"s1","role":%s,"content":%s},{"id":"m2","session_id":"s1","role":"assistant","content":%s}]`,
			quoted("m"), quoted("r"), quoted("c"), quoted("d"))
	case at == "/chat/stream":
		w.Header().Set("Content-Type", "text/event-stream")
		for _, piece := range strings.SplitAfter("x"+poison+"y", "") { // each character by itself
			b, _ := json.Marshal(piece)
			_, _ = fmt.Fprintf(w, "event: delta\ndata: {\"delta\":%s}\n\n", b)
		}
		_, _ = fmt.Fprintf(w, "event: status\ndata: {\"message\":%s}\n\nevent: tool\ndata: {\"name\":%s,\"args\":{\"a\":%s},\"result\":%s}\n\nevent: done\ndata: {}\n\n",
			quoted("s"), quoted("t"), quoted("a"), quoted("r"))
	case at == "/files":
		_, _ = fmt.Fprintf(w, `[{"name":%s,"type":"file","size":3},{"name":"f","type":"file","size":3}]`, quoted("f"))
	case at == "/files/read":
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = io.WriteString(w, "content "+poison)
	case at == "/terminal/exec":
		_, _ = fmt.Fprintf(w, `{"stdout":%s,"stderr":%s,"exit_code":0}`, quoted("o"), quoted("e"))
	case at == "/openapi.json":
		_, _ = fmt.Fprintf(w, `{"openapi":"3.1.0","info":{"title":%s,"version":%s},"paths":{%s:{"get":{"summary":%s}}}}`, quoted("t"), quoted("v"), quoted("/p"), quoted("s"))
	case at == "/" || strings.HasSuffix(at, ".md") || at == "/docs":
		_, _ = fmt.Fprintf(w, `{"name":%s,"version":%s,"resources":{%s:%s}}`, quoted("n"), quoted("v"), quoted("r"), quoted("/p"))
	default:
		w.WriteHeader(http.StatusConflict)
		_, _ = fmt.Fprintf(w, `{"error":%s,"message":%s}`, quoted("e"), quoted("m"))
	}
}

// Whatever a service says, and wherever, nothing that a terminal obeys and nothing
// hidden goes out to a client; raw is for those who ask for it.
func TestNothingHiddenGoesOut(t *testing.T) {
	url := service(t, poisonous)
	for _, structured := range []string{"false", "true"} {
		h := newHost(t, "OPENCLAW_API_BASE_URL="+url, "OPENCLAW_MCP_STRUCTURED="+structured)
		clean := func(what, s string) {
			t.Helper()
			if bad := hiddenIn(s); bad != "" {
				t.Errorf("%s: %s in %.1000q", what, bad, s)
			}
		}
		i1 := params{"instance": "i1"}
		with := func(more ...any) params {
			p := params{"instance": "i1"}
			for i := 0; i < len(more); i += 2 {
				p[more[i].(string)] = more[i+1]
			}
			return p
		}
		for _, c := range []struct {
			tool string
			args params
		}{
			{"list_instances", params{}}, {"get_instance", i1}, {"check_service", params{}}, {"check_service", params{"document": "openapi.json"}},
			{"check_service", params{"document": "agent.md"}}, {"list_chat_sessions", i1}, {"create_chat_session", i1},
			{"read_chat_history", with("session", "s1")}, {"read_chat_history", with("session", "s1", "message", "m2")},
			{"send_chat_message", with("session", "s1", "message", "hello")}, {"exec_command", with("command", "true")}, {"list_runs", params{}},
			{"list_files", with("path", "/workspace")}, {"read_file", with("path", "/workspace/f")}, {"search_files", with("path", "/workspace", "pattern", "content")},
			{"write_file", with("path", "/workspace/f", "content", "x")}, {"edit_file", with("path", "/workspace/f", "old_text", "content", "new_text", "x")},
			{"reboot_instance", i1}, {"get_instance", params{"instance": "i2" + poison}}, {"take_screenshot", i1}, {"no" + poison, i1},
			{"exec_command", with("command", "true", "un"+poison, "x")}, {"open_terminal", i1}, {"make_directory", with("path", "/workspace/d"+poison)},
		} {
			answer, before := h.request("tools/call", params{"name": c.tool, "arguments": c.args, "_meta": params{"progressToken": "p"}})
			clean(c.tool, string(answer))
			for _, n := range before {
				clean(c.tool+"'s progress", string(n))
			}
			if c.tool == "send_chat_message" && len(before) == 0 {
				t.Error("send_chat_message reported no progress")
			}
		}
		for _, c := range []struct {
			method string
			p      params
		}{
			{"resources/list", params{}}, {"resources/templates/list", params{}}, {"tools/list", params{}}, {"prompts/list", params{}},
			{"resources/read", params{"uri": "openclaw://instances"}}, {"resources/read", params{"uri": "openclaw://instances/i1"}},
			{"resources/read", params{"uri": "openclaw://instances/i1/sessions"}}, {"resources/read", params{"uri": "openclaw://instances/i1/sessions/s1/messages"}},
			{"resources/read", params{"uri": "openclaw://instances/i1/sessions/s1/messages?format=json"}},
			{"resources/read", params{"uri": "openclaw://instances/i1/files/workspace/f"}}, {"resources/read", params{"uri": "openclaw://instances/i1/files/workspace"}},
			{"resources/read", params{"uri": "openclaw://service/agent.md"}}, {"resources/read", params{"uri": "openclaw://no" + poison}},
			{"completion/complete", params{"ref": params{"type": "ref/resource", "uri": "openclaw://instances/{instance}"}, "argument": params{"name": "instance", "value": ""}}},
			{"completion/complete", params{"ref": params{"type": "ref/resource", "uri": "openclaw://instances/{instance}/sessions/{session}/messages{?limit,before,format}"},
				"argument": params{"name": "session", "value": ""}, "context": params{"arguments": params{"instance": "i1"}}}},
			{"prompts/get", params{"name": "no" + poison}}, {"no/" + poison, params{}},
		} {
			answer, _ := h.request(c.method, c.p)
			clean(c.method+fmt.Sprint(c.p["uri"]), string(answer))
		}
		raw, _ := h.tool("exec_command", with("command", "true", "raw", true))
		if !strings.Contains(raw, "\x1b[2J") {
			t.Errorf("raw output is not as it came: %.300q", raw)
		}
		exact, _ := h.tool("read_file", with("path", "/workspace/f", "encoding", "text"))
		if !strings.Contains(exact, poison) {
			t.Errorf("a file that was asked for as it is is not: %.300q", exact)
		}
	}
}

// hiddenIn names what a client must not get in JSON.
func hiddenIn(s string) string {
	d := json.NewDecoder(strings.NewReader(s))
	for {
		token, err := d.Token()
		if err == io.EOF {
			return ""
		}
		if err != nil {
			return err.Error()
		}
		text, _ := token.(string)
		if b, err := base64.StdEncoding.DecodeString(text); err == nil && len(b) > 100 && utf8.Valid(b) {
			text += string(b) // a blob
		}
		before := rune(0)
		for _, r := range text {
			switch {
			case r < ' ' && r != '\n' && r != '\t', r >= 0x7f && r <= 0x9f:
				return fmt.Sprintf("a control character %U", r)
			case r >= 0x200b && r <= 0x200f, r >= 0x202a && r <= 0x202e, r >= 0x2066 && r <= 0x2069, r >= 0xe0000 && r <= 0xe0fff, r >= 0xfe00 && r <= 0xfe0e:
				return fmt.Sprintf("a hidden character %U", r)
			case r == 0xfe0f && before != '😀':
				return fmt.Sprintf("a variation selector behind %q", before)
			}
			before = r
		}
	}
}

//go:build e2e

package e2e

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"openclaw-mcp/internal/emulator/emulatortest"
	"openclaw-mcp/tools"
)

// The key appears nowhere: not in results, not in logs at their most talkative,
// though the service repeats it in whatever way.
func TestSecretKeyAppearsNowhere(t *testing.T) {
	t.Parallel()
	const key = `sk_live_Distinctive/with"special+chars&more=signs%41\x<y>`
	var mode atomic.Int64
	answers := []func(w http.ResponseWriter, auth string){
		func(w http.ResponseWriter, auth string) { // in each field of an error
			w.WriteHeader(http.StatusForbidden)
			_ = json.NewEncoder(w).Encode(params{"error": auth, "message": "the header was " + auth, "request_id": auth, "code": auth})
		},
		func(w http.ResponseWriter, auth string) { // as text, in several spellings
			w.Header().Set("Content-Type", "text/plain")
			w.WriteHeader(http.StatusUnprocessableEntity)
			bare := strings.TrimPrefix(auth, "Bearer ")
			_, _ = io.WriteString(w, "bad key "+bare+" "+url.QueryEscape(bare)+" "+url.PathEscape(bare)+" "+fmt.Sprintf("%q", bare))
		},
		func(w http.ResponseWriter, auth string) { // in the title of a page
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, "<html><head><title>"+auth+"</title></head></html>")
		},
		func(w http.ResponseWriter, auth string) { // where a redirect leads
			w.Header().Set("Location", "http://other.example/?key="+url.QueryEscape(auth))
			w.WriteHeader(http.StatusTemporaryRedirect)
		},
		func(w http.ResponseWriter, auth string) { // in a success that is none
			_ = json.NewEncoder(w).Encode(params{"error": auth})
		},
		func(w http.ResponseWriter, auth string) { // in what can't be decoded
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, `{"`+strings.ReplaceAll(auth, `"`, `\"`)+`": 3, "x": `+auth)
		},
	}
	up := scripted(t, func(w http.ResponseWriter, r *http.Request) {
		answers[mode.Load()](w, r.Header.Get("Authorization"))
	})
	var sessions []*session
	for i, format := range []string{"text", "json"} {
		sessions = append(sessions, combinations[2*i].connect(t, []string{
			"OPENCLAW_API_KEY=" + key, "OPENCLAW_API_BASE_URL=" + up.url, "OPENCLAW_MCP_CONFIRM=allow",
			"OPENCLAW_MCP_LOG_LEVEL=debug", "OPENCLAW_MCP_LOG_FORMAT=" + format,
		}))
	}
	var said strings.Builder
	for i := range answers {
		mode.Store(int64(i))
		for _, s := range sessions {
			for _, tool := range tools.All() {
				r := s.call(t, tool.Name, argumentsFor(tool))
				if tool.Name == "read_file" && !r.IsError {
					continue // it took the answer for a file, which is shown as it is
				}
				said.Write(r.raw)
				said.WriteString(r.Text + r.streamed() + strings.Join(r.shown(), ""))
			}
		}
	}
	for _, s := range sessions {
		s.proc.kill(t)
		log := s.proc.stderr.String()
		if strings.Count(log, "\n") < 50 {
			t.Errorf("a debug log of %d lines shows nothing", strings.Count(log, "\n"))
		}
		said.WriteString(log)
		if w, ok := s.wire.(*stdioWire); ok {
			<-w.ended
			said.WriteString(w.lines.String())
		}
	}
	quoted, _ := json.Marshal(key)
	for _, spelling := range []string{
		key, "Distinctive", strings.Trim(string(quoted), `"`), url.QueryEscape(key), url.PathEscape(key),
		base64.StdEncoding.EncodeToString([]byte(key)), "Bearer sk",
	} {
		if at := strings.Index(said.String(), spelling); at >= 0 {
			t.Errorf("the key shows as %q: …%s…", spelling, said.String()[max(0, at-200):min(said.Len(), at+200)])
		}
	}
}

// Nor is it in what a command prints after a while, which comes encoded, nor in names, contents and
// screens: the commands here put it together, as the environment of a sandbox may have it.
func TestSecretKeyInCommands(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, c combination) {
		up := newUpstream(t, emulatortest.Options{})
		s := c.connect(t, up.env())
		printKey := "printf " + testKey[:9] + "; sleep 0.3; printf " + testKey[9:]
		var said strings.Builder
		see := func(tool string, args params) result {
			r := s.ok(t, tool, args)
			said.Write(r.raw)
			said.WriteString(r.streamed() + strings.Join(r.shown(), "\n"))
			return r
		}
		for _, raw := range []bool{false, true} {
			if r := see("exec_command", params{"command": "sleep 0.3; " + printKey + "; echo; sleep 0.3", "raw": raw}); r.str("stdout") != "***\n" || !strings.HasSuffix(r.streamed(), "***\n") {
				t.Errorf("raw %v: %s; streamed %q", raw, r.raw, r.streamed())
			}
		}
		run := see("exec_command", params{"command": printKey + "; echo; sleep 0.3; mkdir $(" + printKey + "); printf 'here '>$(" + printKey + ")/x; (" + printKey + ")>>$(" + printKey + ")/x", "background": true}).str("run")
		see("wait_run", params{"runs": []string{run}})
		see("list_files", params{"path": "/workspace", "depth": 3})
		if r := see("search_files", params{"pattern": "here"}); !strings.Contains(string(r.raw), "***/x") {
			t.Errorf("found %s", r.raw)
		}
		terminal := see("open_terminal", params{}).str("terminal")
		if r := see("write_terminal", params{"terminal": terminal, "text": printKey + "; printf '\\n<%s>\\n' end\n", "wait_for": "<end>"}); !strings.Contains(string(r.raw), "***") {
			t.Errorf("the screen: %s", r.raw)
		}
		if at := strings.Index(said.String(), testKey); at >= 0 {
			t.Errorf("the key shows: …%s…", said.String()[max(0, at-300):min(said.Len(), at+100)])
		}
	})
}

// argumentsFor are such that a tool gets as far as the service: what is required,
// and an instance, so that none is looked for.
func argumentsFor(tool *tools.Tool) params {
	args := params{}
	for name, p := range tool.Input.Properties {
		switch {
		case name == "instance":
			args[name] = "i1"
		case name == "session":
			args[name] = "s1"
		case name == "path":
			args[name] = "/workspace/a"
		case name == "destination":
			args[name] = "/workspace/b"
		case name == "x" || name == "y":
			args[name] = 1
		case name == "if_busy":
			args[name] = "send"
		case name == "wait_seconds":
			args[name] = 1
		case !slices.Contains(tool.Input.Required, name):
		case len(p.Enum) > 0:
			args[name] = p.Enum[0]
		case p.Type == "array":
			args[name] = []string{"x"}
		case p.Type == "integer" && p.Minimum != nil:
			args[name] = *p.Minimum
		case p.Type == "integer":
			args[name] = 1
		case p.Type == "boolean":
			args[name] = true
		default:
			args[name] = "true"
		}
	}
	return args
}

// A wrong configuration is explained without the key, and without what stands
// where a key was expected.
func TestSecretNotInConfigurationErrors(t *testing.T) {
	t.Parallel()
	const key = "sk_live_not_to_be_seen"
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, []byte(key+" and more\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, env := range [][]string{
		{"OPENCLAW_API_KEY=" + key, "OPENCLAW_MCP_SOFT_DEADLINE=soon"},
		{"OPENCLAW_API_KEY=" + key, "OPENCLAW_API_KEY_FILE=" + file},
		{"OPENCLAW_API_KEY_FILE=" + file},
		{"OPENCLAW_API_KEY=" + key + "\nsecond line"},
		{"OPENCLAW_API_KEY=" + key, "OPENCLAW_API_BASE_URL=https://user:" + key + "@example.com/api"},
		{"OPENCLAW_API_KEY=" + key, "OPENCLAW_MCP_MAX_RESULT_CHARS=" + key},
		{"OPENCLAW_API_KEY=" + key, "OPENCLAW_MCP_SOFT_DEADLINE=" + key},
	} {
		code, stdout, stderr := execute(t, env)
		if code == 0 {
			t.Errorf("%d variables were taken", len(env))
		}
		if strings.Contains(stdout+stderr, "not_to_be_seen") {
			t.Errorf("the key shows: %s%s", stdout, stderr)
		}
	}
}

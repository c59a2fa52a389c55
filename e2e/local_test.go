//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"openclaw-mcp/internal/config"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
)

const localModelKey = "sk-of-the-local-model"

// localModel is an OpenAI-compatible service: asked to write it uses a tool and
// then says four words, asked to hang it hangs, and else it says how many
// messages it was told.
type localModel struct {
	url     string
	release chan struct{} // for each word one is taken

	mu   sync.Mutex
	auth []string
}

func newLocalModel(t *testing.T) *localModel {
	t.Helper()
	m := &localModel{release: make(chan struct{}, 100)}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		m.mu.Lock()
		m.auth = append(m.auth, r.Header.Get("Authorization"))
		m.mu.Unlock()
		if r.URL.Path == "/v1/models" {
			fmt.Fprint(w, `{"data":[{"id":"tiny"}]}`)
			return
		}
		var req struct {
			Model    string
			Messages []struct{ Role, Content string }
		}
		if err := json.NewDecoder(r.Body).Decode(&req); err != nil || r.URL.Path != "/v1/chat/completions" || req.Model != "tiny" || len(req.Messages) < 2 {
			t.Errorf("%s: %+v, %v", r.URL.Path, req, err)
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		send := func(delta string) {
			fmt.Fprintf(w, "data: {\"choices\":[{\"delta\":%s}]}\n\n", delta)
			_ = http.NewResponseController(w).Flush()
		}
		switch last := req.Messages[len(req.Messages)-1]; {
		case last.Role == "tool":
			for _, word := range []string{"It ", "is ", "written ", "now."} {
				select {
				case <-m.release:
				case <-r.Context().Done():
					return
				}
				send(fmt.Sprintf(`{"content":%q}`, word))
			}
		case last.Content == "write":
			send(`{"tool_calls":[{"index":0,"id":"w1","function":{"name":"write_file","arguments":"{\"path\":\"by-model.txt\","}}]}`)
			send(`{"tool_calls":[{"index":0,"function":{"arguments":"\"content\":\"from the model\"}"}}]}`)
		case last.Content == "hang":
			send(`{"content":"One moment"}`)
			<-r.Context().Done()
			return
		default:
			send(fmt.Sprintf(`{"content":"I was told %d messages."}`, len(req.Messages)))
		}
		fmt.Fprint(w, "data: [DONE]\n\n")
	}))
	t.Cleanup(srv.Close)
	m.url = srv.URL
	return m
}

// A model's words are progress while it speaks, and its tools change real files.
// The process is then killed: session, history, files and handles of before go
// on working, and what was under way is told to have ended.
func TestLocalModel(t *testing.T) {
	t.Parallel()
	m := newLocalModel(t)
	dir := filepath.Join(t.TempDir(), "kept")
	env := []string{"OPENCLAW_LOCAL_MODEL_URL=" + m.url, "OPENCLAW_LOCAL_MODEL_KEY=" + localModelKey,
		"OPENCLAW_LOCAL_DIR=" + dir, "OPENCLAW_MCP_LOG_LEVEL=debug"}
	s := connect(t, env, "--local")
	c := s.begin(t, "send_chat_message", params{"message": "write"})
	var seen strings.Builder
	for _, word := range []string{"It ", "is ", "written ", "now."} {
		m.release <- struct{}{} // no earlier: so the one before was seen while the model spoke
		for !strings.Contains(seen.String(), strings.TrimSpace(word)) {
			p := c.progress(t).Params
			seen.WriteString(p.Meta.Text + strings.Join(p.Meta.Events, "\n"))
		}
	}
	if !strings.Contains(seen.String(), "write_file") {
		t.Errorf("the tool is not in the progress: %q", seen.String())
	}
	r := c.result(t)
	session, instance := r.str("session"), r.str("instance")
	if r.str("status") != "completed" || r.str("reply") != "It is written now." || session == "" {
		t.Fatalf("the reply: %s", r.Text)
	}
	if b, err := os.ReadFile(filepath.Join(dir, instance, "by-model.txt")); string(b) != "from the model" {
		t.Errorf("the file: %q, %v", b, err)
	}
	open := s.ok(t, "send_chat_message", params{"message": "hang", "session": session, "wait_seconds": 1})
	if open.str("status") != "running" || open.str("run") == "" || open.str("reply") != "One moment" {
		t.Fatalf("a reply under way: %s", open.Text)
	}
	// Its handle is from before it printed anything.
	background := s.ok(t, "exec_command", params{"command": "until [ -e go ]; do sleep 0.05; done; echo from before; exit 3", "background": true})
	s.ok(t, "write_file", params{"path": "/workspace/go", "content": ""})
	done := s.call(t, "wait_run", params{"runs": []string{background.str("run")}})
	if !strings.Contains(done.Text, "from before") {
		t.Fatalf("a command: %s", done.Text)
	}
	// Another process joins it.
	if code, stdout, stderr := execute(t, env, "--local", "call", "list_instances"); code != 0 || !strings.Contains(stdout, instance) {
		t.Errorf("a second process: exit code %d, %q, %s", code, stdout, stderr)
	}
	s.proc.kill(t)

	again := connect(t, env, "--local")
	history := again.ok(t, "read_chat_history", params{"session": session})
	for _, want := range []string{"write", "It is written now.", "write_file", "hang"} {
		if !strings.Contains(history.Text, want) {
			t.Errorf("the history lacks %q: %s", want, history.Text)
		}
	}
	ended := again.call(t, "wait_run", params{"runs": []string{open.str("run")}})
	if !ended.IsError || !strings.Contains(ended.Text, "status: failed") || !strings.Contains(ended.Text, "restarted during the reply") {
		t.Errorf("the run of before: %s", ended.Text)
	}
	done = again.call(t, "wait_run", params{"runs": []string{background.str("run")}})
	if !strings.Contains(done.Text, "from before") || !strings.Contains(done.Text, "exit code 3") {
		t.Errorf("the command of before: %s", done.Text)
	}
	if read := again.ok(t, "read_file", params{"path": "/workspace/by-model.txt"}); !strings.Contains(read.Text, "from the model") {
		t.Errorf("the file: %s", read.Text)
	}
	// Prompt, write, call, result, answer, hang, its failure, and this one.
	r = again.ok(t, "send_chat_message", params{"message": "go on", "session": session, "instance": instance})
	if r.str("reply") != "I was told 8 messages." {
		t.Errorf("the model is told too little or too much: %s", r.Text)
	}

	m.mu.Lock()
	for _, auth := range m.auth {
		if auth != "Bearer "+localModelKey {
			t.Errorf("the model got %q as key", auth)
		}
	}
	m.mu.Unlock()
	for _, text := range []string{s.proc.stderr.String(), again.proc.stderr.String(), history.Text, r.Text} {
		if strings.Contains(text, localModelKey) {
			t.Error("the key is in a log or a result")
		}
	}
	if names := filesWith(t, dir, localModelKey); names != nil {
		t.Errorf("the key is in %q", names)
	}
}

// filesWith gives the files below a folder that hold a text.
func filesWith(t *testing.T, dir, text string) (names []string) {
	t.Helper()
	read := 0
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || d.Name() == "lock" { // which Windows lets nobody read
			return err
		}
		b, err := os.ReadFile(name)
		if strings.Contains(string(b), text) {
			names = append(names, name)
		}
		read++
		return err
	})
	if err != nil || read < 2 { // the journal and the key
		t.Fatalf("%d files in %s, %v", read, dir, err)
	}
	return names
}

// A model's failure is the call's, and says what to set, without the key.
func TestLocalModelFails(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusUnauthorized)
		fmt.Fprintf(w, `{"error":{"message":"no such key: %s"}}`, r.Header.Get("Authorization"))
	}))
	defer srv.Close()
	s := connect(t, []string{"OPENCLAW_LOCAL_MODEL_URL=" + srv.URL, "OPENCLAW_LOCAL_MODEL=m", "OPENCLAW_LOCAL_MODEL_KEY=" + localModelKey,
		"OPENCLAW_MCP_LOG_LEVEL=debug"}, "--local")
	r := s.call(t, "send_chat_message", params{"message": "hi"})
	for _, want := range []string{"401", "no such key: Bearer ***", "OPENCLAW_LOCAL_MODEL_KEY"} {
		if !strings.Contains(r.Text, want) {
			t.Errorf("it lacks %q: %s", want, r.Text)
		}
	}
	if strings.Contains(r.Text+s.proc.stderr.String(), localModelKey) {
		t.Errorf("the key is told: %s\n%s", r.Text, s.proc.stderr)
	}
	// With a model and no folder named, what is said is kept in the user's own.
	kept := config.DataDir(runtime.GOOS, map[string]string{"HOME": s.proc.tmp, "LOCALAPPDATA": s.proc.tmp})
	if names := filesWith(t, kept, "no such key"); len(names) != 1 || filepath.Ext(names[0]) != ".jsonl" {
		t.Errorf("in %s the message is in %q", kept, names)
	}
}

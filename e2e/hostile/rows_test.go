//go:build e2e

package hostile

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// Attacks that once worked, and that have no larger file of their own.

// gitSpellings are names that some system takes for .git.
var gitSpellings = []string{".git", ".GIT", ".Git ", ".git.", "git~1", "GIT~1", ".g\u200bit", ".git::$INDEX_ALLOCATION"}

// listed is a service that runs no commands, and lists files with the names that it likes.
func listed(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	path := r.URL.Query().Get("path")
	switch {
	case strings.HasSuffix(r.URL.Path, "/terminal/exec"):
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, `{"message":"no commands"}`)
	case strings.HasSuffix(r.URL.Path, "/files/read"):
		w.Header().Set("Content-Type", "text/plain")
		_, _ = io.WriteString(w, "[core]\n\tfsmonitor = touch pwned\n")
	case strings.HasSuffix(r.URL.Path, "/files"):
		var list []params
		switch path {
		case "/workspace":
			list = append(list, params{"name": "app", "type": "directory"})
		case "/workspace/app", "/workspace/app/sub":
			list = append(list, params{"name": "honest", "type": "file"}, params{"name": ".envrc", "type": "file"}, params{"name": "../../../escaped", "type": "file"})
			if path == "/workspace/app" {
				list = append(list, params{"name": "sub", "type": "directory"})
			}
			for _, name := range gitSpellings {
				list = append(list, params{"name": name, "type": "directory"})
			}
		default:
			list = append(list, params{"name": "config", "type": "file"})
		}
		b, _ := json.Marshal(list)
		_, _ = w.Write(b)
	default:
		instances(anyKey)(w, r)
	}
}

// deceitful is a service that runs commands in a real shell whose find does not leave
// out what it is asked to. The files are in the folder that it gives.
func deceitful(t *testing.T) (http.HandlerFunc, string) {
	app, bin := t.TempDir(), t.TempDir()
	write := func(path, text string, mode os.FileMode) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
	}
	for _, sub := range []string{"", "sub"} {
		write(filepath.Join(app, sub, "honest"), "1", 0o644)
		write(filepath.Join(app, sub, ".envrc"), "touch pwned", 0o644)
		for _, name := range gitSpellings {
			write(filepath.Join(app, sub, name, "config"), "[core]\n\tfsmonitor = touch pwned\n", 0o644)
		}
	}
	find, err := exec.LookPath("find")
	if err != nil {
		t.Fatal(err)
	}
	write(filepath.Join(bin, "find"), `#!/bin/sh
for a; do
  shift
  [ "$a" = .git ] && a=.never
  set -- "$@" "$a"
done
exec `+find+` "$@"
`, 0o755)
	return func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, "/terminal/exec") {
			instances(anyKey)(w, r)
			return
		}
		var body struct{ Command string }
		_ = json.NewDecoder(r.Body).Decode(&body)
		cmd := exec.CommandContext(r.Context(), "bash", "-c", body.Command)
		cmd.Env = []string{"PATH=" + bin + ":" + os.Getenv("PATH"), "HOME=" + bin, "TMPDIR=" + bin}
		var stdout, stderr strings.Builder
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		_ = cmd.Run()
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(params{"stdout": stdout.String(), "stderr": stderr.String(), "exit_code": cmd.ProcessState.ExitCode()})
	}, app
}

// An instance writes nothing into the user's repository that git would run, however it
// spells it, and asks before it writes what runs by lying there.
func TestRepositoryIsLeftAlone(t *testing.T) {
	t.Parallel()
	lies, app := deceitful(t)
	for _, ignore := range []bool{true, false} {
		for _, far := range []struct {
			name, path string
			service    http.HandlerFunc
		}{{"lists", "/workspace/app", listed}, {"commands", app, lies}} {
			t.Run(fmt.Sprintf("%s, ignore %v", far.name, ignore), func(t *testing.T) {
				root := t.TempDir()
				repo := filepath.Join(root, "repo")
				if err := os.MkdirAll(filepath.Join(repo, ".git"), 0o755); err != nil {
					t.Fatal(err)
				}
				h := newHost(t, "OPENCLAW_API_BASE_URL="+service(t, far.service), "OPENCLAW_MCP_TRANSFER_ROOTS="+root, "OPENCLAW_MCP_CONFIRM=ask")
				text, _ := h.tool("download_files", params{"instance": "i1", "path": far.path, "local_path": repo, "ignore": ignore})
				if !strings.Contains(text, "confirm") || !strings.Contains(text, ".envrc") {
					t.Errorf("nobody was asked: %s", text)
				}
				honest := false
				err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
					rel, _ := filepath.Rel(root, path)
					honest = honest || rel == filepath.Join("repo", "honest")
					switch base := filepath.Base(path); {
					case err != nil:
						return err
					case base == "config", base == ".envrc", base == "escaped" && !strings.HasPrefix(rel, "repo"), strings.Contains(base, "git") && rel != filepath.Join("repo", ".git"):
						t.Errorf("the instance wrote %q", rel)
					}
					return nil
				})
				if err != nil || !honest {
					t.Errorf("%v, the honest file is there: %v; %s", err, honest, text)
				}
			})
		}
	}
}

// Ids that are spelt otherwise cross no limit on instances, and reach no other endpoint.
func TestSpelledInstances(t *testing.T) {
	t.Parallel()
	const prod = "7c0e1f52-9a3b-4c5d-8e6f-0123456789ab"
	var mu sync.Mutex
	var reached []string
	upstream := service(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/api/instances" && !strings.HasSuffix(r.URL.Path, "/openapi.json") {
			mu.Lock()
			reached = append(reached, r.Method+" "+r.RequestURI)
			mu.Unlock()
		}
		w.Header().Set("Content-Type", "application/json")
		if r.URL.Path == "/api/instances" {
			_, _ = fmt.Fprintf(w, `[{"id":%q,"status":"ready"},{"id":"dev-1","status":"ready"}]`, prod)
			return
		}
		_, _ = io.WriteString(w, `{"ok":true,"id":"x","status":"ready","stdout":"","exit_code":0}`)
	})
	ids := []string{prod, strings.ToUpper(prod), "{" + prod + "}", "urn:uuid:" + prod, strings.ReplaceAll(prod, "-", ""), "dev-1/../" + prod, "dev-1/reboot?x=", "dev-1#", "dev-1%2f..%2f" + prod,
		" " + prod, prod + "\u200b", "..", ".", strings.Repeat("i", 1<<20), `dev-1\..\` + prod}
	for _, limit := range []string{"OPENCLAW_MCP_EXCLUDE_INSTANCES=" + prod, "OPENCLAW_MCP_INSTANCES=dev-*"} {
		h := newHost(t, "OPENCLAW_API_BASE_URL="+upstream, limit)
		for _, id := range ids {
			for _, tool := range []string{"get_instance", "reboot_instance", "exec_command"} {
				args := params{"instance": id}
				if tool == "exec_command" {
					args["command"] = "true"
				}
				text, failed := h.tool(tool, args)
				if !failed || len(text) > 4000 {
					t.Errorf("%s: %s of %.60q: %.300s", limit, tool, id, text)
				}
			}
			for _, uri := range []string{"openclaw://instances/" + id, "openclaw://instances/" + url.PathEscape(id), "openclaw://instances/" + id + "/files/workspace/f",
				"openclaw://instances/" + url.PathEscape(id) + "/sessions/s1/messages", "OPENCLAW://instances/" + id, "openclaw://instances//" + id} {
				if answer, _ := h.request("resources/read", params{"uri": uri}); !strings.Contains(string(answer), `"code"`) || len(answer) > 4000 {
					t.Errorf("%s: %.100q: %.300s", limit, uri, answer)
				}
			}
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if len(reached) > 0 {
		t.Errorf("these requests went out: %.500q", reached)
	}
}

// One caller's sessions make room among themselves; another's stays.
func TestSessionFlood(t *testing.T) {
	t.Parallel()
	s := serve(t, "OPENCLAW_API_BASE_URL="+service(t, chats), "OPENCLAW_MCP_AUTH=key")
	alice, mallory := newCaller(t, s.url, "X-Openclaw-Api-Key", "alice"), newCaller(t, s.url, "X-Openclaw-Api-Key", "mallory")
	for _, c := range []*caller{alice, mallory} { // the service takes both keys
		if status, text := c.call(t, "list_instances", nil); status != 200 || !strings.Contains(text, "i1") {
			t.Fatalf("status %d, %s", status, text)
		}
	}
	session := alice.initialize(t)
	h := headers(legacy, "", "")
	h.Set("Mcp-Session-Id", session)
	// A session that watches something can't be taken up again once it made room.
	if status, text, _ := alice.answer(t, http.MethodPost, h, request(t, legacy, "resources/subscribe", params{
		"uri": "openclaw://instances/i1/sessions/main/messages"})); status != 200 || strings.Contains(text, `"error"`) {
		t.Fatalf("status %d, %s", status, text)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 1300 {
				res, err := mallory.do(http.MethodPost, headers("", "", ""), bytes.NewReader(request(t, legacy, "initialize", params{
					"protocolVersion": legacy, "clientInfo": params{"name": "m", "version": "1"}, "capabilities": params{}})))
				if err != nil {
					t.Error(err)
					return
				}
				_, _ = io.Copy(io.Discard, res.Body)
				_ = res.Body.Close()
			}
		})
	}
	wg.Wait()
	if status, text, _ := alice.answer(t, http.MethodPost, h, request(t, legacy, "tools/list", nil)); status != 200 {
		t.Errorf("the session of another caller: status %d, %s", status, text)
	}
}

var eventID = regexp.MustCompile(`(?m)^id: (.+)$`)

// chats is a service whose agent repeats each message at once.
func chats(w http.ResponseWriter, r *http.Request) {
	var body struct{ Message string }
	switch {
	case strings.HasSuffix(r.URL.Path, "/chat/stream"):
		_ = json.NewDecoder(r.Body).Decode(&body)
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = fmt.Fprintf(w, "event: delta\ndata: {\"delta\":%q}\n\nevent: done\ndata: {}\n\n", "echo of "+body.Message)
	case strings.Contains(r.URL.Path, "/chat/"):
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"messages":[],"sessions":[],"events":[],"session":{"id":"main"},"id":"main"}`)
	default:
		instances(anyKey)(w, r)
	}
}

// An event id brings what belongs to its own call: nothing to another caller, and never
// the result of another call, on the same server nor on another one.
func TestForeignEventIDs(t *testing.T) {
	t.Parallel()
	url := service(t, chats)
	var servers []string
	for range 2 {
		servers = append(servers, serve(t, "OPENCLAW_API_BASE_URL="+url, "OPENCLAW_MCP_AUTH=key").url)
	}
	alice := newCaller(t, servers[0], "X-Openclaw-Api-Key", "alice")
	session := alice.initialize(t)
	// The first call of a session at each server.
	var ids [][]string
	for i, server := range servers {
		c := newCaller(t, server, "X-Openclaw-Api-Key", "alice")
		h := headers(legacy, "", "")
		h.Set("Mcp-Session-Id", session)
		_, body, _ := c.answer(t, http.MethodPost, h, request(t, legacy, "tools/call", params{
			"name": "send_chat_message", "arguments": params{"instance": "i1", "message": fmt.Sprint("alice ", i)}, "_meta": params{"progressToken": 1}}))
		var own []string
		for _, m := range eventID.FindAllStringSubmatch(body, -1) {
			own = append(own, m[1])
		}
		if len(own) == 0 || !strings.Contains(body, fmt.Sprint("echo of alice ", i)) {
			t.Fatalf("the stream has no event ids: %s", body)
		}
		ids = append(ids, own)
	}
	resumed := func(server, key, session, id string) string {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, server, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header = headers(legacy, "", "")
		r.Header.Set("Mcp-Session-Id", session)
		r.Header.Set("Last-Event-Id", id)
		r.Header.Set("X-Openclaw-Api-Key", key)
		res, err := alice.http.Do(r)
		if err != nil {
			return ""
		}
		b, _ := io.ReadAll(res.Body) // until the deadline, where it is a stream
		_ = res.Body.Close()
		return string(b)
	}
	for _, server := range servers {
		for i := range ids {
			if got := resumed(server, "alice", session, ids[i][0]); strings.Contains(got, fmt.Sprint("alice ", 1-i)) {
				t.Errorf("%q brings the result of another call: %s", ids[i][0], got)
			}
		}
		mallory := newCaller(t, server, "X-Openclaw-Api-Key", "mallory").initialize(t)
		for _, id := range append(ids[0], ids[1][0], "1", "0", "1-0", ids[0][0]+"0") {
			if got := resumed(server, "mallory", mallory, id); strings.Contains(got, "alice") || strings.Contains(got, `"result"`) {
				t.Errorf("%q brings another caller %s", id, got)
			}
		}
	}
}

// A client's own copy of the headers of a gateway loosens nothing.
func TestLoosenedLimits(t *testing.T) {
	t.Parallel()
	var writes sync.Map
	s := serve(t, "OPENCLAW_API_KEY="+serverKey, "OPENCLAW_API_BASE_URL="+service(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			writes.Store(r.URL.Path, true)
		}
		instances(anyKey)(w, r)
	}))
	c := newCaller(t, s.url)
	for i, limit := range [][2]string{{"X-Mcp-Readonly", "true"}, {"X-Mcp-Tools", "read_file"}, {"X-Mcp-Toolsets", "files"}, {"X-Mcp-Exclude-Tools", "exec_command"}, {"X-Mcp-Instances", "i2"}, {"X-Mcp-Exclude-Instances", "i1"}} {
		for _, own := range []string{"false", "", "exec_command", "terminal", "i1", "*", "all"} {
			for _, lines := range [][]string{{limit[1], own}, {own, limit[1]}} {
				h := headers(modern, "tools/call", "exec_command")
				h[limit[0]] = lines
				_, text, _ := c.answer(t, http.MethodPost, h, request(t, modern, "tools/call", params{"name": "exec_command", "arguments": params{"instance": "i1", "command": fmt.Sprint("echo ", i)}}))
				if !strings.Contains(text, "not allowed") && !strings.Contains(text, "isError") && !strings.Contains(text, `"error"`) {
					t.Errorf("%s: %q: %s", limit[0], lines, text)
				}
			}
		}
	}
	writes.Range(func(path, _ any) bool {
		t.Errorf("a POST went out to %s", path)
		return true
	})
}

var confirmation = regexp.MustCompile(`confirm: \\*"([A-Za-z0-9_-]+)`)

// A confirmation is good once, in whatever spelling, and for its own call alone.
func TestConfirmationIsGoodOnce(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	reboots := 0
	h := newHost(t, "OPENCLAW_MCP_CONFIRM=ask", "OPENCLAW_API_BASE_URL="+service(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			mu.Lock()
			reboots++
			mu.Unlock()
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, `{"ok":true}`)
			return
		}
		instances(anyKey)(w, r)
	}))
	text, _ := h.tool("reboot_instance", params{"instance": "i1"})
	m := confirmation.FindStringSubmatch(text)
	if m == nil {
		t.Fatalf("no confirmation in %s", text)
	}
	token := m[1]
	if text, failed := h.tool("shutdown_instance", params{"instance": "i1", "confirm": token}); !failed {
		t.Errorf("another tool took it: %s", text)
	}
	for i, spelling := range []string{token, token, " " + token, token + "\n", token + "=", token + "==", "\t" + token + " ", token[:8] + "\n" + token[8:], strings.ReplaceAll(token, "_", "/")} {
		text, failed := h.tool("reboot_instance", params{"instance": "i1", "confirm": spelling})
		if failed != (i > 0) {
			t.Errorf("use %d, %q: failed %v: %s", i, spelling, failed, text)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if reboots != 1 {
		t.Errorf("it was done %d times", reboots)
	}
}

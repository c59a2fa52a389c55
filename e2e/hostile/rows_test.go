//go:build e2e

package hostile

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// Attacks that once worked, and that have no larger file of their own.

// An instance writes nothing into the user's repository that git would run, however it
// spells it, and asks before it writes what runs by lying there.
func TestRepositoryIsLeftAlone(t *testing.T) {
	t.Parallel()
	evil := []string{".git", ".GIT", ".Git ", ".git.", "git~1", "GIT~1", ".g\u200bit", ".git::$INDEX_ALLOCATION"}
	url := service(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		path := r.URL.Query().Get("path")
		switch {
		case strings.HasSuffix(r.URL.Path, "/terminal/exec"):
			w.WriteHeader(http.StatusForbidden) // so that names come as the service likes
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
				for _, name := range evil {
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
	})
	for _, ignore := range []bool{true, false} {
		root := t.TempDir()
		repo := filepath.Join(root, "repo")
		if err := os.MkdirAll(filepath.Join(repo, ".git"), 0o755); err != nil {
			t.Fatal(err)
		}
		h := newHost(t, "OPENCLAW_API_BASE_URL="+url, "OPENCLAW_MCP_TRANSFER_ROOTS="+root, "OPENCLAW_MCP_CONFIRM=ask")
		text, _ := h.tool("download_files", params{"path": "/workspace/app", "local_path": repo, "ignore": ignore})
		if !strings.Contains(text, "confirm") || !strings.Contains(text, ".envrc") {
			t.Errorf("ignore %v: nobody was asked: %s", ignore, text)
		}
		honest := false
		err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
			rel, _ := filepath.Rel(root, path)
			honest = honest || rel == filepath.Join("repo", "honest")
			switch base := filepath.Base(path); {
			case err != nil:
				return err
			case base == "config", base == ".envrc", base == "escaped" && !strings.HasPrefix(rel, "repo"), strings.Contains(base, "git") && rel != filepath.Join("repo", ".git"):
				t.Errorf("ignore %v: the instance wrote %q", ignore, rel)
			}
			return nil
		})
		if err != nil || !honest {
			t.Errorf("ignore %v: %v, the honest file is there: %v; %s", ignore, err, honest, text)
		}
	}
}

// Ids that are spelt otherwise cross no limit on instances, and reach no other endpoint.
func TestSpelledInstances(t *testing.T) {
	t.Parallel()
	const prod = "7c0e1f52-9a3b-4c5d-8e6f-0123456789ab"
	var mu sync.Mutex
	var reached []string
	url := service(t, func(w http.ResponseWriter, r *http.Request) {
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
		h := newHost(t, "OPENCLAW_API_BASE_URL="+url, limit)
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
	s := serve(t, "OPENCLAW_API_BASE_URL="+service(t, instances(anyKey)), "OPENCLAW_MCP_AUTH=key")
	alice, mallory := newCaller(t, s.url, "X-Openclaw-Api-Key", "alice"), newCaller(t, s.url, "X-Openclaw-Api-Key", "mallory")
	for _, c := range []*caller{alice, mallory} { // the service takes both keys
		if status, text := c.call(t, "list_instances", nil); status != 200 || !strings.Contains(text, "i1") {
			t.Fatalf("status %d, %s", status, text)
		}
	}
	session := alice.initialize(t)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 1250 {
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
	h := headers(legacy, "", "")
	h.Set("Mcp-Session-Id", session)
	if status, text, _ := alice.answer(t, http.MethodPost, h, request(t, legacy, "tools/list", nil)); status != 200 {
		t.Errorf("the session of another caller: status %d, %s", status, text)
	}
}

var eventID = regexp.MustCompile(`(?m)^id: (.+)$`)

// An event id of one caller's stream brings another caller nothing, on the same server nor
// on another one.
func TestForeignEventIDs(t *testing.T) {
	t.Parallel()
	slow := service(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/terminal/exec") {
			time.Sleep(2 * time.Second) // so that the answer is a stream
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, `{"stdout":"secret of alice","exit_code":0}`)
			return
		}
		instances(anyKey)(w, r)
	})
	var servers []*server
	for range 2 {
		servers = append(servers, serve(t, "OPENCLAW_API_BASE_URL="+slow, "OPENCLAW_MCP_AUTH=key"))
	}
	alice := newCaller(t, servers[0].url, "X-Openclaw-Api-Key", "alice")
	h := headers(legacy, "", "")
	h.Set("Mcp-Session-Id", alice.initialize(t))
	_, body, _ := alice.answer(t, http.MethodPost, h, request(t, legacy, "tools/call", params{
		"name": "exec_command", "arguments": params{"instance": "i1", "command": "true", "timeout_seconds": 20}, "_meta": params{"progressToken": 1}}))
	ids := eventID.FindAllStringSubmatch(body, -1)
	if len(ids) == 0 || !strings.Contains(body, "secret of alice") {
		t.Fatalf("alice's stream has no event ids: %s", body)
	}
	for _, s := range servers {
		mallory := newCaller(t, s.url, "X-Openclaw-Api-Key", "mallory")
		session := mallory.initialize(t)
		for _, id := range append(ids, []string{"", "1"}, []string{"", "0"}, []string{"", ids[0][1] + "0"}) {
			h := headers(legacy, "", "")
			h.Set("Mcp-Session-Id", session)
			h.Set("Last-Event-Id", id[1])
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url, nil)
			if err != nil {
				t.Fatal(err)
			}
			h.Set("X-Openclaw-Api-Key", "mallory")
			r.Header = h
			if res, err := mallory.http.Do(r); err == nil {
				b, _ := io.ReadAll(res.Body) // until the deadline, where it is a stream
				_ = res.Body.Close()
				if strings.Contains(string(b), "alice") || strings.Contains(string(b), `"result"`) {
					t.Errorf("%q brings another caller %s", id[1], b)
				}
			}
			cancel()
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

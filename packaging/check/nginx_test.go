//go:build nginx

package check

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

const token = "put-a-long-random-token-here"

// start starts a program, waits until it listens, and stops it with the test.
func start(t *testing.T, port string, cmd *exec.Cmd) {
	t.Helper()
	said, err := os.Create(filepath.Join(t.TempDir(), "said"))
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = said, said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	text := func() string { b, _ := os.ReadFile(said.Name()); return string(b) }
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(30 * time.Second):
			_ = cmd.Process.Kill()
			t.Errorf("%s did not end: %s", cmd.Path, text())
		}
	})
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(60 * time.Second); ; {
		if c, err := net.Dial("tcp", "127.0.0.1:"+port); err == nil {
			_ = c.Close()
			return
		}
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("%s ended with %v: %s", cmd.Path, err, text())
		case <-deadline:
			t.Fatalf("%s does not listen: %s", cmd.Path, text())
		case <-tick.C:
		}
	}
}

// The documented location of nginx lets progress through while a call is under
// way: the call can't end before its progress has arrived here.
func TestNginxStreams(t *testing.T) {
	conf, err := os.ReadFile("../nginx/openclaw-mcp.conf")
	if err != nil {
		t.Fatal(err)
	}
	begin, end := strings.Index(string(conf), "    location "), strings.LastIndex(string(conf), "}")
	if begin < 0 || end < begin {
		t.Fatal("openclaw-mcp.conf has no location")
	}
	behind, front, dir := freePort(t), freePort(t), t.TempDir()
	location := strings.ReplaceAll(string(conf)[begin:end], "127.0.0.1:8080", "127.0.0.1:"+behind)
	// TLS and the name aside, all is as documented.
	text := fmt.Sprintf(`pid %[1]s/pid; error_log stderr; daemon off; worker_processes 1;
events {}
http {
    access_log off;
    client_body_temp_path %[1]s/body; proxy_temp_path %[1]s/proxy; fastcgi_temp_path %[1]s/f; uwsgi_temp_path %[1]s/u; scgi_temp_path %[1]s/s;
    gzip on; gzip_types text/event-stream application/json;
    server {
        listen 127.0.0.1:%[2]s;
%[3]s
    }
}
`, dir, front, location)
	file := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	// Workers may run as another user than the test.
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	server := exec.Command(folder(t, "BINARY"), "--local", "--http", "127.0.0.1:"+behind)
	workspaces := t.TempDir()
	server.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "OPENCLAW_LOCAL_DIR=" + workspaces, "OPENCLAW_MCP_SOFT_DEADLINE=20s"}
	start(t, behind, server)
	start(t, front, exec.Command("nginx", "-p", dir, "-c", file))

	session := ""
	post := func(auth, body string) *http.Response {
		t.Helper()
		req, err := http.NewRequest("POST", "http://127.0.0.1:"+front+"/mcp", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", auth)
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Accept", "application/json, text/event-stream")
		if session != "" {
			req.Header.Set("Mcp-Session-Id", session)
			req.Header.Set("Mcp-Protocol-Version", "2025-06-18")
		}
		client := http.Client{Timeout: time.Minute}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = resp.Body.Close() })
		return resp
	}
	const initialize = `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"check","version":"1"}}}`
	if resp := post("Bearer wrong", initialize); resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("a wrong token is answered with %s, want 401", resp.Status)
	}
	resp := post("Bearer "+token, initialize)
	if b, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusOK {
		t.Fatalf("initialize: %s: %s", resp.Status, b)
	}
	if session = resp.Header.Get("Mcp-Session-Id"); session == "" {
		t.Fatal("no session")
	}
	post("Bearer "+token, `{"jsonrpc":"2.0","method":"notifications/initialized"}`)

	// The agent's command waits for a file that is written once its progress is here.
	call := func(id int, tool string, args map[string]any) *http.Response {
		b, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": map[string]any{
			"name": tool, "arguments": args, "_meta": map[string]any{"progressToken": "p"},
		}})
		if err != nil {
			t.Fatal(err)
		}
		return post("Bearer "+token, string(b))
	}
	stream := call(2, "send_chat_message", map[string]any{"message": "run: until [ -e arrived ]; do sleep 0.05; done; echo ended"})
	lines, progress, ended := bufio.NewScanner(stream.Body), 0, false
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		if strings.Contains(line, `"notifications/progress"`) {
			if progress++; progress == 1 {
				written := call(3, "write_file", map[string]any{"path": "/workspace/arrived", "content": "yes"})
				if b, _ := io.ReadAll(written.Body); !strings.Contains(string(b), `"id":3`) || strings.Contains(string(b), `"isError":true`) {
					t.Fatalf("write_file: %s: %s", written.Status, b)
				}
			}
		}
		// A call that was held up ends as well, at the soft deadline, but as running.
		ended = ended || strings.Contains(line, `"id":2`) && strings.Contains(line, `"status":"completed"`)
	}
	if progress == 0 || !ended {
		t.Errorf("%d notifications of progress, completed: %v, %v; want some, and a completed reply: what is held back arrives too late for that", progress, ended, lines.Err())
	}
}

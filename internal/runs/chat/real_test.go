//go:build e2e

package chat

import (
	"bufio"
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"openclaw-mcp/client"
	"openclaw-mcp/internal/runs"
)

var recordings = flag.String("recordings", "../../../testdata/real", "what OpenClaw itself sent, as e2e/real/record.mjs wrote it down")

// recorded is a history that OpenClaw's gateway gave (testdata/real).
type recorded struct {
	Scenario, Message, Reply, End string
	Rows                          []string

	rows []json.RawMessage // of chat.history
}

func readRecorded(t *testing.T, path string) (r recorded) {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(bytes.NewReader(raw))
	lines.Buffer(nil, 16<<20)
	for n := 0; lines.Scan(); n++ {
		var line struct {
			Method string
			Result struct{ Messages []json.RawMessage }
		}
		into := any(&line)
		if n == 0 {
			into = &r
		}
		if err := json.Unmarshal(lines.Bytes(), into); err != nil {
			t.Fatalf("%s:%d: %v", path, n+1, err)
		}
		if line.Method == "chat.history" {
			r.rows = line.Result.Messages
		}
	}
	return r
}

// TestRealHistories has the stream break before it brought anything, so that the
// reply is read from what OpenClaw's gateway keeps. While only a part of that is
// there, the reply is not said to be complete unless that part says so.
func TestRealHistories(t *testing.T) {
	paths, err := filepath.Glob(filepath.Join(*recordings, "*.jsonl"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no recordings: %v", err)
	}
	for _, path := range paths {
		r := readRecorded(t, path)
		for n := 2; n <= len(r.rows); n++ {
			t.Run(fmt.Sprintf("%s/%d of %d", r.Scenario, n, len(r.rows)), func(t *testing.T) {
				t.Parallel()
				u := r.follow(t, r.rows[:n])
				want, whole := runs.StatusFailed, strings.Join(r.Rows, "\n\n")
				if r.End == "final" && (n == len(r.rows) || r.Reply != "" && u.Text == r.Reply) {
					want = runs.StatusCompleted
				}
				if u.Status != want || want == runs.StatusCompleted && u.Text != whole && u.Text != r.Reply {
					t.Errorf("got %s %q, %v, notes %q; want %s, %q", u.Status, u.Text, u.Err, u.Notes, want, whole)
				}
				if n == len(r.rows) && r.End == "aborted" && (u.Text != r.Reply || !strings.Contains(u.Err.Error(), "aborted")) {
					t.Errorf("got %q, %v; want %q, aborted", u.Text, u.Err, r.Reply)
				}
			})
		}
	}
}

// follow has a chat whose reply is in the history alone.
func (r recorded) follow(t *testing.T, rows []json.RawMessage) (u *runs.Update) {
	synctest.Test(t, func(t *testing.T) {
		network := &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
		sent := false
		srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			switch {
			case strings.HasSuffix(req.URL.Path, "/chat/stream"):
				sent = true
				panic(http.ErrAbortHandler)
			case !sent:
				_, _ = io.WriteString(w, `{"messages":[]}`)
			default:
				_ = json.NewEncoder(w).Encode(map[string]any{"messages": rows})
			}
		})}
		go func() { _ = srv.Serve(network) }()
		transport := &http.Transport{DialContext: network.dial}
		c, err := client.New(&http.Client{Transport: transport}, "http://service.test", testKey)
		if err != nil {
			t.Fatal(err)
		}
		m, err := runs.NewManager(runs.Config{Client: c, APIKey: testKey})
		if err != nil {
			t.Fatal(err)
		}
		run, _, err := New(m).Send(t.Context(), Request{Instance: "i", Session: "agent:main:main", Message: r.Message})
		if err != nil {
			t.Fatal(err)
		}
		u = end(t, run)
		m.Close()
		transport.CloseIdleConnections()
		_ = srv.Close()
		synctest.Wait()
	})
	return u
}

package command

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"openclaw-mcp/internal/emulator/emulatortest"
	"openclaw-mcp/internal/runs"
)

// A service that cuts off outputs without a word does not lose any of them.
func TestSilentlyCut(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		most   int
		remark string
	}{"end": {4000, ""}, "middle": {4000, "\n... [truncated] ...\n"}, "least": {2048, ""}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := startBehind(t, emulatortest.Options{}, emulatortest.Cutting(tt.most, tt.remark))
			w.m.commands.beginWait = time.Minute
			var want strings.Builder
			for i := range 3000 {
				fmt.Fprintln(&want, i+1)
			}
			r := w.command(soon("seq 3000; exit 4"))
			var got strings.Builder
			for {
				u := w.Done(r, nil)
				out := output(u)
				got.WriteString(out.Stdout.Head)
				if !u.More {
					if u.Status != runs.StatusCompleted || code(u) != "4" || got.String() != want.String() {
						t.Errorf("got %s, code %s and %d bytes of %d", u.Status, code(u), got.Len(), want.Len())
					}
					return
				}
				r = w.open(w.m, u.Handle)
			}
		})
	}
}

// Of a command that has no files, it is said that its output may be cut off, where a probe shows that
// the service does that.
func TestCutDirect(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		proxy func(http.Handler) http.Handler
		notes []int // of one command after the other
		posts []int
	}{
		"whole":  {nil, []int{0, 0, 0, 0}, []int{1, 2, 1, 2}},
		"end":    {emulatortest.Cutting(4000, ""), []int{0, 1, 0, 1}, []int{1, 2, 1, 1}},
		"middle": {emulatortest.Cutting(4000, "\n... [truncated] ...\n"), []int{0, 1, 0, 1}, []int{1, 2, 1, 1}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := startBehind(t, emulatortest.Options{}, tt.proxy)
			for i, command := range []string{"seq 300", "seq 1000", "seq 700", "seq 3000"} {
				before := w.Srv.Calls(execEndpoint)
				u := w.Done(w.command(Request{Command: command, Timeout: time.Minute}), nil)
				if n := w.Srv.Calls(execEndpoint) - before; n != tt.posts[i] || len(u.Notes) != tt.notes[i] || code(u) != "0" {
					t.Errorf("%s: %d requests, not %d; code %s, notes %q", command, n, tt.posts[i], code(u), u.Notes)
				}
			}
		})
	}
}

// What a service has returned whole is not compared with the files again.
func TestKnownWhole(t *testing.T) {
	t.Parallel()
	w := start(t, emulatortest.Options{})
	w.m.commands.beginWait = time.Minute
	for i, posts := range []int{2, 1} {
		before := w.Srv.Calls(execEndpoint)
		u := w.Done(w.command(soon("seq 3000")), nil)
		if n := w.Srv.Calls(execEndpoint) - before; n != posts || len(output(u).Stdout.Head+output(u).Stdout.Tail) != 13893 {
			t.Errorf("%d: %d requests, not %d; got %+v", i, n, posts, output(u))
		}
	}
}

// A service that trims outputs, and one that wants to be told how long each command may take.
func TestTrimmingService(t *testing.T) {
	t.Parallel()
	w := startBehind(t, emulatortest.Options{}, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !strings.HasSuffix(r.URL.Path, "/terminal/exec") {
				next.ServeHTTP(w, r)
				return
			}
			asked, _ := io.ReadAll(r.Body)
			if !strings.Contains(string(asked), `"timeout_ms":`) {
				http.Error(w, `{"message":"timeout_ms is required"}`, http.StatusUnprocessableEntity)
				return
			}
			r.Body = io.NopCloser(bytes.NewReader(asked))
			rec := httptest.NewRecorder()
			next.ServeHTTP(rec, r)
			var answer map[string]any
			if err := json.Unmarshal(rec.Body.Bytes(), &answer); err == nil {
				for _, k := range []string{"stdout", "stderr"} {
					said, _ := answer[k].(string)
					answer[k] = strings.TrimSpace(said)
				}
			}
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(rec.Code)
			_ = json.NewEncoder(w).Encode(answer)
		})
	})
	w.m.commands.beginWait = time.Minute
	// An output without white space at its ends shows nothing of what the service does with it.
	if u := w.Done(w.command(soon("printf abc")), nil); output(u).Stdout.Head != "abc" {
		t.Errorf("got %+v", output(u))
	}
	for range 2 {
		u := w.Done(w.command(soon(`printf ' M a\n\n\n'`)), nil)
		if out := output(u); out.Stdout.Head != " M a\n\n\n" || code(u) != "0" {
			t.Errorf("got %q, code %s", out.Stdout.Head, code(u))
		}
	}
	if u := w.Done(w.command(Request{Command: "echo a; exit 3"}), nil); strings.TrimSpace(output(u).Stdout.Head) != "a" || code(u) != "3" {
		t.Errorf("got %+v", output(u))
	}
}

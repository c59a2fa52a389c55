package resources

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/mark3labs/mcp-go/mcp"

	"openclaw-mcp/internal/emulator/emulatortest"
)

func TestComplete(t *testing.T) {
	w := newWorld(t, emulatortest.Options{}, quick())
	s1, s2 := w.session(t, "Fix the build"), w.session(t, "Write docs")
	for _, f := range []string{"README.md", "read.go", "src/main.go", "src/a readme", "src/deep/x"} {
		w.write(t, f, "x")
	}
	in := map[string]string{"instance": w.instance}
	for _, tt := range []struct {
		arg, value string
		known      map[string]string
		want       []string
	}{
		{"instance", "", nil, []string{w.instance}},
		{"instance", strings.ToUpper(w.instance[:5]), nil, []string{w.instance}},
		{"instance", w.instance[3:9], nil, []string{w.instance}},
		{"instance", "none", nil, []string{}},
		{"session", "", in, []string{s2, s1}},
		{"session", "", nil, []string{s2, s1}},
		{"session", s1[:6], in, []string{s1}},
		{"session", "fix", in, []string{s1}},
		{"session", "DOCS", in, []string{s2}},
		{"session", "", map[string]string{"instance": "nobody"}, []string{}},
		{"path", "", in, []string{"workspace/"}},
		{"path", "/w", in, []string{"/workspace/"}},
		{"path", "workspace/", in, []string{"workspace/README.md", "workspace/read.go", "workspace/src/"}},
		{"path", "workspace/read", in, []string{"workspace/README.md", "workspace/read.go"}},
		{"path", "/workspace/src/read", in, []string{"/workspace/src/a readme"}},
		{"path", "workspace/src/m", nil, []string{"workspace/src/main.go", "workspace/src/a readme"}},
		{"path", "workspace/none/", in, []string{}},
		{"format", "j", nil, []string{"json"}},
		{"limit", "1", nil, []string{}},
	} {
		got := w.Complete(t.Context(), tt.arg, tt.value, tt.known)
		if diff := cmp.Diff(tt.want, got.Values); diff != "" || got.Total != len(tt.want) || got.HasMore {
			t.Errorf("%s %q: %+v\n%s", tt.arg, tt.value, got, diff)
		}
	}
	w.rails.path = "/workspace/src"
	if got := w.Complete(t.Context(), "path", "workspace/s", in); len(got.Values) > 0 {
		t.Errorf("a forbidden path is offered: %v", got.Values)
	}
	w.rails = rails{instance: w.instance}
	for arg, value := range map[string]string{"instance": "", "session": "", "path": "workspace/"} {
		if got := w.Complete(t.Context(), arg, value, in); len(got.Values) > 0 {
			t.Errorf("of a forbidden instance is offered: %v", got.Values)
		}
	}
}

// Whoever types asks at every key; the service is asked once.
func TestCompleteIsCached(t *testing.T) {
	d := quick()
	d.CacheTTL = time.Hour
	w := newWorld(t, emulatortest.Options{}, d)
	w.write(t, "abc", "x")
	const endpoint = "GET /instances/{instance}/files"
	for n := range len("workspace/abc") {
		w.Complete(t.Context(), "path", "workspace/abc"[:n+1], map[string]string{"instance": w.instance})
	}
	if n := w.emulator.Calls(endpoint); n != 1 {
		t.Errorf("%d calls", n)
	}
	done := make(chan struct{})
	for range 20 {
		go func() {
			w.Complete(t.Context(), "session", "", map[string]string{"instance": w.instance})
			done <- struct{}{}
		}()
	}
	for range 20 {
		<-done
	}
	if n := w.emulator.Calls("GET /instances/{instance}/chat/sessions"); n != 1 {
		t.Errorf("%d calls at once", n)
	}
}

func TestCacheForgets(t *testing.T) {
	d := quick()
	d.CacheTTL = time.Millisecond
	w := newWorld(t, emulatortest.Options{}, d)
	w.Complete(t.Context(), "instance", "", nil)
	c := w.callers["me"].cache
	eventually(t, "the cache is empty", func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return len(c.entries) == 0
	})
	c.ttl = time.Hour
	for _, key := range []string{"a", "b", "c"} {
		e := c.entry(key, false, func(*cached) {})
		c.fill(e, nil, maxCached/2, nil)
	}
	if c.entries["c"] == nil || len(c.entries) > 2 {
		t.Errorf("kept %d entries", len(c.entries))
	}
	c.clear()
}

// A service that is down, or hangs, has nothing to offer: that is no error, and
// takes nobody's time.
func TestCompleteWhileDown(t *testing.T) {
	t.Parallel()
	for _, f := range []emulatortest.Fault{{Status: 503}, {Drop: true}, {Delay: time.Hour}} {
		w := newWorld(t, emulatortest.Options{}, quick())
		w.emulator.SetFaults(f)
		var asked sync.WaitGroup // all at once: each waits as long as a completion may
		for arg, value := range map[string]string{"instance": "", "session": "", "path": "workspace/x"} {
			asked.Go(func() {
				got, err := w.CompleteResourceArgument(t.Context(), "", mcp.CompleteArgument{Name: arg, Value: value}, mcp.CompleteContext{})
				if err != nil || got.Values == nil || len(got.Values) > 0 {
					t.Errorf("%s: %v, %v", arg, got, err)
				}
			})
		}
		asked.Wait()
		w.Close()
	}
}

func TestRanked(t *testing.T) {
	var all []candidate
	for _, v := range []string{"xab", "ab", "abc", "b", "abd"} {
		all = append(all, candidate{value: v})
	}
	if got := ranked(all, "ab").Values; !slices.Equal(got, []string{"ab", "abc", "abd", "xab"}) {
		t.Errorf("got %v", got)
	}
}

// Requests that go on for those who left are bounded.
func TestLoadsAreBounded(t *testing.T) { // alone: others measure the heap
	var asked atomic.Int64
	release := make(chan struct{})
	w := newService(t, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		select {
		case <-release:
		case <-r.Context().Done():
		}
		rw.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(rw, `[{"id":"s1"}]`)
	}), Deps{})
	c, err := w.caller(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	gone, leave := context.WithCancel(t.Context())
	leave()
	for i := range maxLoads {
		if _, err := c.sessions(gone, fmt.Sprint("i", i), false); err != context.Canceled {
			t.Fatal(i, err)
		}
	}
	if _, err := c.sessions(t.Context(), "another", false); err != errLoads {
		t.Errorf("one more: %v", err)
	}
	eventually(t, "all are asked for", func() bool { return asked.Load() == maxLoads })
	close(release)
	eventually(t, "there is room again", func() bool {
		list, err := c.sessions(t.Context(), "another", false)
		return err == nil && len(list) == 1
	})
}

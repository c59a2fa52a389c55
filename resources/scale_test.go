package resources

import (
	"bufio"
	"fmt"
	"net/http"
	"net/url"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"openclaw-mcp/client"
)

// large is a service with one instance that has much of everything.
type large struct {
	noEvents bool
	messages atomic.Int64 // that were asked for
}

func (l *large) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	out := bufio.NewWriter(w)
	defer func() { _ = out.Flush() }()
	message := func(i int) string {
		return fmt.Sprintf(`{"id":"m%d","role":"user","content":"message number %d","created_at":"2026-01-01T00:00:00.%06dZ"}`, i, i, i)
	}
	w.Header().Set("Content-Type", "application/json")
	switch p := strings.TrimPrefix(r.URL.Path, "/api"); {
	case p == "/instances":
		fmt.Fprint(out, `[{"id":"i1","status":"ready"}]`)
	case strings.HasSuffix(p, "/chat/sessions"):
		fmt.Fprint(out, `[{"id":"s1"}]`)
	case strings.HasSuffix(p, "/chat/messages"):
		n, err := strconv.Atoi(r.URL.Query().Get("limit"))
		if err != nil || n > manyMessages {
			n = manyMessages
		}
		l.messages.Add(int64(n))
		sep := "["
		for i := manyMessages - n; i < manyMessages; i++ {
			fmt.Fprint(out, sep, message(i))
			sep = ","
		}
		fmt.Fprint(out, "]")
	case strings.HasSuffix(p, "/chat/events"):
		if l.noEvents {
			http.Error(w, "no such path", http.StatusNotFound)
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		for i := range manyMessages {
			if _, err := fmt.Fprintf(out, "id: %d\ndata: %s\n\n", i+1, message(i)); err != nil {
				return
			}
		}
		_ = out.Flush()
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	case strings.HasSuffix(p, "/files") && r.URL.Query().Get("path") != "/":
		for i := range manyFiles {
			sep := ","
			if i == 0 {
				sep = "["
			}
			fmt.Fprintf(out, `%s{"name":"file-%05d.txt","type":"file","size":%d,"modified_at":"2026-01-01T00:00:00Z"}`, sep, i, i)
		}
		fmt.Fprint(out, "]")
	default:
		http.NotFound(w, r)
	}
}

// kept is how much memory is in use when nothing goes on.
func kept() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// notGrown waits until little more memory is in use than before: the tests beside this one
// use some, too, while they run.
func notGrown(t *testing.T, before uint64) {
	t.Helper()
	var after uint64
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if after = kept(); after <= before+8<<20 {
			return
		}
	}
	t.Errorf("the heap grew from %d to %d bytes", before, after)
}

func TestLargeHistory(t *testing.T) {
	t.Parallel()
	for _, noEvents := range []bool{false, true} {
		service := &large{noEvents: noEvents}
		w := newService(t, service, quick())
		before := kept()
		cut := manyMessages * 4 / 100 // about where the stream takes over
		uri := MessagesURI("i1", "s1") + "?format=json&limit=100"
		check := func(uri string, newest int) historyJSON {
			t.Helper()
			h := readJSON[historyJSON](t, w, uri)
			for i, m := range h.Messages {
				if want := fmt.Sprintf("m%d", newest-len(h.Messages)+1+i); m.ID != want {
					t.Fatalf("%s: message %d is %s, want %s", uri, i, m.ID, want)
				}
			}
			return h
		}
		// The newest pages cost next to nothing.
		newest := manyMessages - 1
		for range 10 {
			h := check(uri, newest)
			newest -= len(h.Messages)
			uri = h.Older
		}
		if n := service.messages.Load(); n > 40_000 {
			t.Errorf("%d messages were asked for to show 1,000", n)
		}
		// Wherever one reads on, the page is the right one.
		for _, id := range []int{manyMessages - cut, manyMessages / 2, 100, 3} {
			h := check(withQuery(MessagesURI("i1", "s1"), "format", "json", "limit", "100", "before", fmt.Sprintf("m%d", id)), id-1)
			if want := min(100, id); len(h.Messages) != want || h.More != (id > 100) {
				t.Errorf("before m%d: %d messages, more is %t", id, len(h.Messages), h.More)
			}
		}
		if _, err := w.Read(t.Context(), MessagesURI("i1", "s1")+"?before=none"); code(err, false) != -32002 {
			t.Errorf("got %v", err)
		}
		notGrown(t, before)
	}
}

func TestLargeDirectory(t *testing.T) {
	t.Parallel()
	d := quick()
	d.CacheTTL = time.Minute
	w := newService(t, &large{}, d)
	before := kept()
	seen := map[string]bool{}
	pages := 0
	for uri := FileURI("i1", "/workspace/big") + "?limit=2000"; uri != ""; pages++ {
		if pages == 5 { // what it looks like is clear; go on near the end
			uri = FileURI("i1", "/workspace/big") + "?" + url.Values{"after": {fmt.Sprintf("file-%05d.txt", manyFiles-301)}}.Encode()
		}
		text := w.text(t, uri)
		if len(text.Text) > 40_000 {
			t.Fatalf("%d bytes", len(text.Text))
		}
		d := readJSON[directoryJSON](t, w, uri)
		for _, e := range d.Entries {
			if seen[e.Name] {
				t.Fatalf("%s comes twice", e.Name)
			}
			seen[e.Name] = true
		}
		if d.Total != manyFiles || len(d.Entries) == 0 {
			t.Fatalf("%d entries of %d", len(d.Entries), d.Total)
		}
		uri = d.Next
	}
	for i := manyFiles - 300; i < manyFiles; i++ {
		if !seen[fmt.Sprintf("file-%05d.txt", i)] {
			t.Errorf("file %d is not listed", i)
		}
	}
	if all := listAll(t, w, nil); len(all) > maxListedFiles+10+len(client.Documents()) {
		t.Errorf("the list has %d resources", len(all))
	}
	known := map[string]string{"instance": "i1"}
	w.CompleteLimit = patience // how fast it is, the benchmarks tell
	for value, total := range map[string]int{"workspace/big/": manyFiles, "workspace/big/file-0": min(10_000, manyFiles), "workspace/big/9.TXT": manyFiles / 10, fmt.Sprintf("workspace/big/file-%05d", manyFiles-1): 1} {
		got := w.Complete(t.Context(), "path", value, known)
		if got.Total != total || len(got.Values) != min(total, maxValues) || got.HasMore != (total > maxValues) {
			t.Errorf("%s: %d values of %d, more is %t", value, len(got.Values), got.Total, got.HasMore)
		}
	}
	w.callers["me"].cache.clear()
	notGrown(t, before)
}

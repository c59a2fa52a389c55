package transport

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// recorder is a call whose progress messages are kept, with their times.
type recorder struct {
	*Call
	start time.Time
	mu    sync.Mutex
	texts []string
	at    []time.Duration
	fail  error
}

func newRecorder(t *testing.T) *recorder {
	r := &recorder{start: time.Now()}
	last := 0.0
	r.Call = &Call{token: json.RawMessage("1"), active: new(gate), cancel: func(error) {}, send: func(msg []byte) error {
		var m wireMsg
		if err := json.Unmarshal(msg, &m); err != nil || m.Params.Progress <= last {
			t.Errorf("sent %s", msg)
		}
		last = m.Params.Progress
		text := ""
		if m.Params.Message != nil {
			text = *m.Params.Message
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		r.texts = append(r.texts, text)
		r.at = append(r.at, time.Since(r.start))
		return r.fail
	}}
	return r
}

func (r *recorder) want(t *testing.T, texts ...string) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if !slices.Equal(r.texts, texts) {
		t.Errorf("sent %q, want %q", r.texts, texts)
	}
	r.texts, r.at = nil, nil
}

func TestReporterJoinsText(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rec := newRecorder(t)
		r := NewReporter(rec.Call)
		var all strings.Builder
		for i := range 2000 {
			word := fmt.Sprintf("wörd%d ", i)
			all.WriteString(word)
			r.Text(word)
			time.Sleep(time.Millisecond)
		}
		r.Close()
		if got := strings.Join(rec.texts, ""); got != all.String() {
			t.Error("words were lost or moved")
		}
		if n := len(rec.texts); n < 35 || n > 42+int(progressSpare) {
			t.Errorf("%d notifications in 2 s", n)
		}
		for i := range int(progressSpare) {
			if at := time.Duration(i) * time.Millisecond; rec.at[i] != at {
				t.Errorf("word %d was told at %v, and not at once", i, rec.at[i])
			}
		}
		for i := int(progressSpare) + 1; i < len(rec.at)-1; i++ { // the last is Close's
			if d := rec.at[i] - rec.at[i-1]; d < progressInterval {
				t.Errorf("notification %d came %v behind the one before", i, d)
			}
		}
	})
}

// A stream of fewer events than one an interval is never held up, however close
// together some of them come.
func TestReporterSparse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rec := newRecorder(t)
		r := NewReporter(rec.Call)
		defer r.Close()
		for range 50 {
			for range 4 {
				sent := len(rec.at)
				r.Text("a word ")
				if len(rec.at) != sent+1 {
					t.Fatalf("word %d waits", sent)
				}
				time.Sleep(time.Millisecond)
			}
			time.Sleep(4 * progressInterval)
		}
	})
}

func TestReporterLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rec := newRecorder(t)
		r := NewReporter(rec.Call)
		r.Line("starting")
		r.Text("hel")
		r.Text("")
		r.Text("lo")
		r.Line("tool: bash")
		r.Line("tool: ls")
		r.Text("bye")
		time.Sleep(progressInterval)
		synctest.Wait()
		rec.want(t, "starting", "hel", "lo", "tool: bash", "tool: ls", "bye")

		// Faster than may be sent one by one: joined, each on a line of its own.
		var want []string
		for i := range 300 {
			text, line := fmt.Sprintf("text%d", i), fmt.Sprintf("line%d", i)
			want = append(want, text, line)
			r.Text(text)
			r.Line(line)
			time.Sleep(time.Millisecond)
		}
		r.Close()
		if got := strings.Split(strings.Join(rec.texts, "\n"), "\n"); !slices.Equal(got, want) {
			t.Errorf("sent %q", rec.texts)
		}
		if n := len(rec.texts); n > 300/50+2+int(progressSpare) {
			t.Errorf("%d notifications in 0.3 s", n)
		}
	})
}

func TestReporterHeartbeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rec := newRecorder(t)
		r := NewReporter(rec.Call)
		time.Sleep(2*heartbeatInterval + 1)
		synctest.Wait()
		rec.want(t, "still running after 8s", "still running after 16s")
		time.Sleep(time.Second)
		r.Text("in the middle of a wo")
		time.Sleep(heartbeatInterval + 1)
		synctest.Wait()
		rec.want(t, "in the middle of a wo", "")
		time.Sleep(time.Second)
		r.Text("rd")
		time.Sleep(heartbeatInterval - 1)
		synctest.Wait()
		rec.want(t, "rd")
		r.Line("a line")
		time.Sleep(heartbeatInterval + 1)
		synctest.Wait()
		rec.want(t, "a line", "still running after 42s")
		r.Close()
		time.Sleep(3 * heartbeatInterval)
		rec.want(t)
	})
}

func TestReporterClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rec := newRecorder(t)
		r := NewReporter(rec.Call)
		r.Text("a")
		r.Text("b")
		r.Close()
		rec.want(t, "a", "b")
		r.Text("c")
		r.Line("d")
		r.Close()
		time.Sleep(time.Minute)
		synctest.Wait()
		rec.want(t)
	})
}

// A client that is gone is not written to again.
func TestReporterGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rec := newRecorder(t)
		rec.fail = errors.New("gone")
		r := NewReporter(rec.Call)
		for range 100 {
			r.Text("a")
			time.Sleep(time.Second)
		}
		r.Close()
		rec.want(t, "a")
	})
}

// A client that does not read holds the reporting up, but not its cancel.
func TestReporterBackPressure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rec := newRecorder(t)
		reads, send := make(chan struct{}), rec.send
		rec.send = func(msg []byte) error { <-reads; return send(msg) }
		reasons := make(chan string, 1)
		rec.OnCancel(func(reason string) { reasons <- reason })
		r := NewReporter(rec.Call)
		var wg sync.WaitGroup
		wg.Go(func() { r.Text("a") })
		synctest.Wait()
		wg.Go(func() { r.Text("b"); r.Close() })
		rec.cancelled("enough")
		if got := <-reasons; got != "enough" {
			t.Errorf("got %q", got)
		}
		rec.want(t)
		close(reads)
		wg.Wait()
		rec.want(t, "a") // the rest is about a request that nobody wants any more
	})
}

// Without a progress token a reporter costs nothing.
func TestReporterUnwanted(t *testing.T) {
	for _, c := range []*Call{nil, {}} {
		r := NewReporter(c)
		if n := testing.AllocsPerRun(100, func() { r.Text("a"); r.Line("b") }); n > 0 {
			t.Errorf("%v allocations a report", n)
		}
		r.Close()
	}
}

func TestReporterConcurrent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rec := newRecorder(t)
		r := NewReporter(rec.Call)
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				for range 500 {
					if i%2 == 0 {
						r.Text("<t>")
					} else {
						r.Line("<l>")
					}
					time.Sleep(time.Millisecond)
				}
			})
		}
		wg.Wait()
		for range 3 {
			wg.Go(r.Close)
			wg.Go(func() { r.Text("late") })
		}
		wg.Wait()
		all := strings.Join(rec.texts, "")
		if text, line := strings.Count(all, "<t>"), strings.Count(all, "<l>"); text != 2000 || line != 2000 {
			t.Errorf("%d texts and %d lines arrived, of 2000 each", text, line)
		}
	})
}

package transport

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"openclaw-mcp/internal/text"
)

// told is one progress notification.
type told struct {
	message, text string
	events        []string
}

// recorder is a call whose progress notifications are kept, with their times.
type recorder struct {
	*Call
	start time.Time
	mu    sync.Mutex
	all   []told
	at    []time.Duration
	fail  error
}

func newRecorder(t *testing.T) *recorder {
	r := &recorder{start: time.Now()}
	last := 0.0
	r.Call = &Call{token: json.RawMessage("1"), active: new(gate), cancel: func(error) {}, send: func(msg []byte) error {
		var m struct{ Params progressParams }
		if err := json.Unmarshal(msg, &m); err != nil || m.Params.Progress <= last {
			t.Errorf("sent %s", msg)
		}
		last = m.Params.Progress
		one := told{message: m.Params.Message}
		if meta := m.Params.Meta; meta != nil {
			one.text, one.events = meta.Text, meta.Events
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		r.all = append(r.all, one)
		r.at = append(r.at, time.Since(r.start))
		return r.fail
	}}
	return r
}

func waitingSoLong(seconds int) string { return fmt.Sprintf("waiting for a reply, %d s", seconds) }

// report starts a reporter on a recorded call.
func report(t *testing.T) (*recorder, *Reporter) {
	rec := newRecorder(t)
	return rec, NewReporter(rec.Call, waitingSoLong)
}

// texts joins what the notifications tell programs.
func (r *recorder) texts() string {
	var b strings.Builder
	for _, one := range r.all {
		b.WriteString(one.text)
	}
	return b.String()
}

func (r *recorder) want(t *testing.T, want ...told) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.all)+len(want) > 0 && !reflect.DeepEqual(r.all, want) {
		t.Errorf("sent %q, want %q", r.all, want)
	}
	r.all, r.at = nil, nil
}

// A fast stream is told five times a second: the first word at once, the last one a
// little before the result. Programs get every word, people the end of the line.
func TestReporterJoinsText(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rec, r := report(t)
		var all strings.Builder
		for i := range 2000 {
			word := fmt.Sprintf("wörd%d ", i)
			all.WriteString(word)
			r.Text(word)
			time.Sleep(time.Millisecond)
		}
		r.Close()
		if got := rec.texts(); got != all.String() {
			t.Error("words were lost or moved")
		}
		if rec.at[0] != 0 || len(rec.at) < 10 || len(rec.at) > 12 {
			t.Errorf("notifications at %v", rec.at)
		}
		for i := 1; i < len(rec.at)-1; i++ { // the last is Close's
			if d := rec.at[i] - rec.at[i-1]; d < progressInterval {
				t.Errorf("notification %d came %v behind the one before", i, d)
			}
		}
		last := rec.all[len(rec.all)-1].message
		if !strings.HasPrefix(last, "…wörd") || !strings.HasSuffix(last, " wörd1999") || len([]rune(last)) > progressWidth+1 {
			t.Errorf("the last message is %q", last)
		}
		if lead := time.Since(rec.start) - rec.at[len(rec.at)-1]; lead < lastProgressLead {
			t.Errorf("the last notification was out %v before the end", lead)
		}
	})
}

// The key is masked in the text and in what a person sees of it, however it is cut.
func TestReporterMasksKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const key = "sk_live_0123456789abcdef"
		said := "my key: " + key[:8] + "\x1b[1m" + key[8:] + ", " + key + "\nand " + key[:6]
		for size := 1; size <= len(said); size++ {
			rec := newRecorder(t)
			rec.masked.Secret = text.NewSecret(key)
			r := NewReporter(rec.Call, waitingSoLong)
			for rest := said; rest != ""; rest = rest[min(size, len(rest)):] {
				r.Text(rest[:min(size, len(rest))])
				time.Sleep(progressInterval)
			}
			r.Now("now " + key + " " + key[:9])
			r.Line("event " + key)
			r.Close()
			got := strings.NewReplacer("sk_***", "***", "sk***", "***", "s***", "***").Replace(rec.texts())
			if got != "my key: ***, ***\nand "+key[:6] {
				t.Errorf("in pieces of %d: %q", size, got)
			}
			for _, one := range rec.all {
				if strings.Contains(fmt.Sprint(one), key[:7]) {
					t.Errorf("in pieces of %d, sent %q", size, one)
				}
			}
		}
	})
}

// A stream of fewer events than one an interval is never held up.
func TestReporterSparse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rec, r := report(t)
		defer r.Close()
		for range 50 {
			sent := len(rec.at)
			r.Text("a word ")
			if len(rec.at) != sent+1 {
				t.Fatalf("word %d waits", sent)
			}
			time.Sleep(progressInterval)
		}
	})
}

func TestReporterMessages(t *testing.T) {
	long := strings.Repeat("word ", 50)
	for _, tt := range []struct {
		name   string
		report func(*Reporter)
		want   told
	}{
		{"text", func(r *Reporter) { r.Text("hel"); r.Text("lo") }, told{"hello", "hello", nil}},
		{"the current line", func(r *Reporter) { r.Text("one\ntwo\nthr"); r.Text("ee") }, told{"three", "one\ntwo\nthree", nil}},
		{"a line that has just ended", func(r *Reporter) { r.Text("one\n"); r.Text("two\n\n") }, told{"two", "one\ntwo\n\n", nil}},
		{"nothing to see", func(r *Reporter) { r.Text("\n  \n") }, told{"", "\n  \n", nil}},
		{"an event", func(r *Reporter) { r.Text("hello"); r.Line("tool: bash") }, told{"tool: bash", "hello", []string{"tool: bash"}}},
		{"text behind an event", func(r *Reporter) { r.Line("tool: bash"); r.Line("tool: ls"); r.Text("bye") }, told{"bye", "bye", []string{"tool: bash", "tool: ls"}}},
		{"a progress bar", func(r *Reporter) { r.Text("10 %\r"); r.Text("20 %\r") }, told{"20 %", "10 %\n20 %", nil}},
		{"a long line", func(r *Reporter) { r.Text(long) }, told{"…" + strings.TrimSpace(long[len(long)-160:]), long, nil}},
		{"hidden characters count as they are seen", func(r *Reporter) { r.Text(strings.Repeat("a\u200b", 50)) },
			told{"…" + lastRunes(strings.Repeat("a⟨U+200B⟩", 50), 160), strings.Repeat("a⟨U+200B⟩", 50), nil}},
		{"and colours don't", func(r *Reporter) { r.Text(strings.Repeat("\x1b[31ma\x1b[0m", 100)) }, told{strings.Repeat("a", 100), strings.Repeat("a", 100), nil}},
		{"one long word", func(r *Reporter) { r.Text(strings.Repeat("é", 500)) }, told{"…" + strings.Repeat("é", 160), strings.Repeat("é", 500), nil}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				rec, r := report(t)
				r.Line("starting")
				tt.report(r)
				r.Close()
				rec.want(t, told{"starting", "", []string{"starting"}}, func() told {
					if tt.want.message == "" {
						tt.want.message = "starting"
					}
					return tt.want
				}())
			})
		})
	}
}

func lastRunes(s string, n int) string {
	all := []rune(s)
	return string(all[len(all)-n:])
}

func TestReporterHeartbeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rec, r := report(t)
		time.Sleep(firstHeartbeat + heartbeatInterval + 1)
		synctest.Wait()
		rec.want(t, told{message: "waiting for a reply, 1 s"}, told{message: "waiting for a reply, 6 s"})
		time.Sleep(time.Second)
		r.Text("in the middle of a wo")
		time.Sleep(heartbeatInterval + 1)
		synctest.Wait()
		rec.want(t, told{message: "in the middle of a wo", text: "in the middle of a wo"}, told{message: "in the middle of a wo (12 s)"})
		time.Sleep(time.Second)
		r.Text("rd")
		time.Sleep(heartbeatInterval - 1)
		synctest.Wait()
		rec.want(t, told{message: "in the middle of a word", text: "rd"})
		r.Close()
		time.Sleep(3 * heartbeatInterval)
		rec.want(t)
	})
}

// A process that stood still finds all of its timers due at once: what is pending goes out
// with the first of them, and once.
func TestReporterAfterAPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rec, r := report(t)
		r.Text("one ")
		r.Text("two ")
		r.Line("status: x")
		r.beat()
		time.Sleep(2 * progressInterval)
		r.Text("three")
		r.Close()
		rec.want(t, told{message: "one", text: "one "}, told{message: "status: x (0 s)", text: "two ", events: []string{"status: x"}}, told{message: "one two three", text: "three"})
	})
}

func TestReporterClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rec, r := report(t)
		r.Text("a")
		r.Text("b")
		r.Close()
		rec.want(t, told{"a", "a", nil}, told{"ab", "b", nil})
		r.Text("c")
		r.Line("d")
		r.Close()
		time.Sleep(time.Minute)
		synctest.Wait()
		rec.want(t)
	})
}

// What may be the beginning of an escape sequence waits for what follows, and is told if
// nothing does: together, the texts are the whole.
func TestReporterEscapes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rec, r := report(t)
		for _, s := range []string{"a\x1b[3", "1mred\x1b]0;ti", "tle\x1b", "\\b\x1b]never"} {
			r.Text(s)
			time.Sleep(time.Second / 2)
		}
		r.Close()
		if got := rec.texts(); got != "aredb"+"never" {
			t.Errorf("told %q", got)
		}
	})
}

// A client that is gone is not written to again.
func TestReporterGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rec := newRecorder(t)
		rec.fail = errors.New("gone")
		r := NewReporter(rec.Call, waitingSoLong)
		for range 100 {
			r.Text("a")
			time.Sleep(time.Second)
		}
		r.Close()
		rec.want(t, told{"a", "a", nil})
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
		r := NewReporter(rec.Call, waitingSoLong)
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
		rec.want(t, told{"a", "a", nil}) // the rest is about a request that nobody wants any more
	})
}

// Without a progress token a reporter costs nothing.
func TestReporterUnwanted(t *testing.T) {
	for _, c := range []*Call{nil, {}} {
		r := NewReporter(c, waitingSoLong)
		if n := testing.AllocsPerRun(100, func() { r.Text("a"); r.Line("b") }); n > 0 {
			t.Errorf("%v allocations a report", n)
		}
		r.Close()
	}
}

func TestReporterConcurrent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rec, r := report(t)
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
		line := 0
		for _, one := range rec.all {
			line += len(one.events)
		}
		if text := strings.Count(rec.texts(), "<t>"); text != 2000 || line != 2000 {
			t.Errorf("%d texts and %d lines arrived, of 2000 each", text, line)
		}
	})
}

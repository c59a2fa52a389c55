package runs

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// idle is the work of a run that tests feed.
type idle struct{ *Live }

func (idle) Resume(ctx context.Context) { <-ctx.Done() }
func (idle) Result() any                { return nil }
func (idle) CancelNote() string         { return "stopped" }
func (idle) Size() int                  { return 0 }
func (idle) Shared() any                { return nil }

func newTestManager(t *testing.T) *Manager {
	t.Helper()
	m, err := NewManager(Config{APIKey: testKey, StallAfter: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	m.Register(Family{Open: func(s State) (Run, error) {
		l, err := m.TakeUp(s, func(l *Live) Work { return idle{l} })
		if err != nil {
			return nil, err
		}
		return l.Reader(s), nil
	}}, KindChat)
	t.Cleanup(m.Close)
	return m
}

func begin(t *testing.T, m *Manager) *Live {
	t.Helper()
	l := m.NewLive(NewState(KindChat, "i"))
	if err := m.Start(t.Context(), l, idle{l}, idle{l}.Resume); err != nil {
		t.Fatal(err)
	}
	return l
}

// TestBounded holds what is kept of runs to its limits.
func TestBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newTestManager(t)
		m.Config.Texts = NewBudget(1 << 30) // this is not about it
		m.Config.Texts.join(m)
		defer m.Close()
		swept := 0
		m.Register(Family{Sweep: func(time.Time) { swept++ }})
		for range MaxKept + 50 {
			begin(t, m).End(StatusCompleted, nil)
		}
		last := begin(t, m)
		m.Sweep()
		if n := len(m.All()); n != MaxKept+1 || !m.Knows(last.State().ID) {
			t.Errorf("%d runs are kept", n)
		}
		for range 10 {
			l := begin(t, m)
			l.Append(strings.Repeat("x", maxKeptBytes/4))
			l.End(StatusCompleted, nil)
		}
		m.Sweep()
		if n := len(m.All()); n != MaxKept+11 || swept != 1 {
			t.Errorf("swept %d times within a second, %d runs are kept", swept, n)
		}
		time.Sleep(sweepEvery)
		m.Sweep()
		size := 0
		for _, l := range m.All() {
			size += l.size()
		}
		if size > maxKeptBytes || size < maxKeptBytes/2 {
			t.Errorf("%d bytes are kept", size)
		}
		time.Sleep(2 * keepEnded)
		m.Sweep()
		if all := m.All(); len(all) != 1 || all[0] != last || swept != 3 {
			t.Errorf("%d runs are kept for ever", len(all))
		}
		for i := range 2*maxLines + 50 {
			last.Line(fmt.Sprint("line ", i))
		}
		p := &lines{}
		ended, end := context.WithCancel(t.Context())
		end()
		if _, err := last.Reader(State{}).Wait(ended, UntilDone, 0, p); err != nil {
			t.Error(err)
		}
		if n := len(*p); n < maxLines || n > 2*maxLines || (*p)[n-1] != fmt.Sprint("line ", 2*maxLines+49) {
			t.Errorf("%d lines are kept", n)
		}
	})
}

// lines is a Progress that keeps the lines.
type lines []string

func (p *lines) Text(string)   {}
func (p *lines) Line(s string) { *p = append(*p, s) }
func (p *lines) Now(string)    {}

// TestWaitStalls has a run fall silent: every wait that did not know it returns,
// and one that did waits on.
func TestWaitStalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newTestManager(t)
		defer m.Close()
		l := begin(t, m)
		wait := func(until Until, d time.Duration) (*Update, time.Duration) {
			t.Helper()
			ctx, cancel := context.WithTimeout(t.Context(), d)
			defer cancel()
			began := time.Now()
			u, err := l.Reader(State{}).Wait(ctx, until, 0, nil)
			if err != nil {
				t.Fatal(err)
			}
			return u, time.Since(began)
		}
		if u, took := wait(UntilDone, time.Hour); u.Status != StatusStalled || took != time.Minute {
			t.Errorf("got %s after %s", u.Status, took)
		}
		if u, took := wait(UntilDone, time.Hour); u.Status != StatusStalled || took != time.Hour {
			t.Errorf("got %s after %s", u.Status, took)
		}
		time.AfterFunc(time.Second, func() { l.Append("news") })
		if u, took := wait(UntilNews, time.Hour); u.Status != StatusRunning || u.Text != "news" || took != time.Second {
			t.Errorf("got %s %q after %s", u.Status, u.Text, took)
		}
		time.AfterFunc(30*time.Second, l.Alive)
		if u, took := wait(UntilDone, time.Hour); u.Status != StatusStalled || took != 90*time.Second {
			t.Errorf("got %s after %s", u.Status, took)
		}
		time.AfterFunc(time.Second, func() { l.End(StatusCompleted, nil) })
		if u, took := wait(UntilDone, time.Hour); u.Status != StatusCompleted || took != time.Second {
			t.Errorf("got %s after %s", u.Status, took)
		}
	})
}

// TestUnknownKind opens a handle of a kind that nobody registered.
func TestUnknownKind(t *testing.T) {
	m := newTestManager(t)
	if _, err := m.Open(m.Seal(NewState(KindUpload, "i"))); err == nil || !strings.Contains(err.Error(), "upload") {
		t.Errorf("got %v", err)
	}
}

// TestFirstLook asks about a run that was only just taken up, until it is known how it stands, or
// might be by now.
func TestFirstLook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newTestManager(t)
		defer m.Close()
		for name, tt := range map[string]struct {
			resume func(l *Live)
			want   time.Duration
		}{
			"ends":    {func(l *Live) { l.End(StatusCompleted, nil) }, 2 * time.Second},
			"goes on": {func(l *Live) { l.GoesOn(); l.GoesOn() }, 2 * time.Second},
			"unclear": {func(*Live) {}, firstLook},
		} {
			state := NewState(KindChat, "i")
			state.Started = time.Now().Add(-time.Hour) // no other process has only just begun it
			l, err := m.TakeUp(state, func(l *Live) Work {
				return resumed{func(ctx context.Context) {
					Pause(ctx, 2*time.Second)
					tt.resume(l)
					<-ctx.Done()
				}}
			})
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range []time.Duration{tt.want, 0} {
				began := time.Now()
				if m.FirstLook(t.Context(), state.ID); time.Since(began) != want {
					t.Errorf("%s: it took %s, want %s", name, time.Since(began), want)
				}
			}
			l.Stop()
		}
		began := time.Now()
		if m.FirstLook(t.Context(), NewID()); time.Since(began) != 0 {
			t.Error("a run that is not known was waited for")
		}
	})
}

// resumed is a Work that is resumed by a function.
type resumed struct{ resume func(context.Context) }

func (r resumed) Resume(ctx context.Context) { r.resume(ctx) }
func (resumed) Result() any                  { return nil }
func (resumed) Shared() any                  { return nil }
func (resumed) CancelNote() string           { return "" }
func (resumed) Size() int                    { return 0 }

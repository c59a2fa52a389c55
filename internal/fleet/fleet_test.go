package fleet_test

import (
	"bytes"
	"context"
	"errors"
	"iter"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"openclaw-mcp/internal/fleet"
	"openclaw-mcp/internal/fleet/fleettest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestAlone(t *testing.T) {
	fleettest.Run(t, func(t *testing.T) (a, b fleet.Fleet) {
		f := fleet.Alone()
		t.Cleanup(func() { _ = f.Close() })
		return f, f
	})
}

func sealed(t *testing.T, f fleet.Fleet, key, principal string) fleet.Fleet {
	t.Helper()
	s, err := fleet.Sealed(f, key, principal)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func TestSealed(t *testing.T) {
	fleettest.Run(t, func(t *testing.T) (a, b fleet.Fleet) {
		f := fleet.Alone()
		t.Cleanup(func() { _ = f.Close() })
		return sealed(t, f, "key", "alice"), sealed(t, f, "key", "alice")
	})
}

// A principal's facts, names and topics are nobody else's.
func TestSealedApart(t *testing.T) {
	f := fleet.Alone()
	defer f.Close()
	alice := sealed(t, f, "key", "alice")
	if _, ours, err := alice.Create(t.Context(), "x", []byte("hers")); !ours || err != nil {
		t.Fatal(ours, err)
	}
	stop, err := alice.Serve("x", func(context.Context, []byte, func([]byte) error) ([]byte, error) { return nil, nil })
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	for _, other := range []fleet.Fleet{sealed(t, f, "key", "bob"), sealed(t, f, "other", "alice")} {
		if fact, ok, err := other.Find(t.Context(), "x"); ok || err != nil {
			t.Errorf("found %q, %v", fact.Value, err)
		}
		if got, err := fleettest.All(other.Ask(t.Context(), "x", nil)); !errors.Is(err, fleet.ErrGone) {
			t.Errorf("got %q, %v", got, err)
		}
	}
}

// Facts are kept for a day after they were last written.
func TestAloneDay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := fleet.Alone()
		defer f.Close()
		fact, _, _ := f.Create(t.Context(), "x", []byte("1"))
		time.Sleep(fleet.Day - time.Second)
		fact, err := f.Change(t.Context(), fact, []byte("2"))
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(fleet.Day - time.Second)
		if got, ok, _ := f.Find(t.Context(), "x"); !ok || string(got.Value) != "2" {
			t.Errorf("got %+v, %v", got, ok)
		}
		time.Sleep(time.Second)
		if got, ok, _ := f.Find(t.Context(), "x"); ok {
			t.Errorf("after a day it is %q", got.Value)
		}
		if _, err := f.Change(t.Context(), fact, nil); !errors.Is(err, fleet.ErrChanged) {
			t.Errorf("after a day it was changed: %v", err)
		}
		if _, ours, _ := f.Create(t.Context(), "x", []byte("3")); !ours {
			t.Error("after a day it could not be made again")
		}
	})
}

// operator is who runs an engine: it sees and may exchange what passes.
type operator struct {
	fleet.Fleet
	mu       sync.Mutex
	passed   [][]byte // all that was seen
	question func([]byte) []byte
	answer   func(n int, part []byte) ([]byte, bool) // false: dropped
}

func (o *operator) see(b ...[]byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, b := range b {
		o.passed = append(o.passed, bytes.Clone(b))
	}
}

func (o *operator) Ask(ctx context.Context, name string, body []byte) iter.Seq2[[]byte, error] {
	o.see([]byte(name), body)
	if o.question != nil {
		body = o.question(body)
	}
	return func(yield func([]byte, error) bool) {
		n := 0
		for part, err := range o.Fleet.Ask(ctx, name, body) {
			n++
			if o.see(part); o.answer != nil && err == nil {
				var ok bool
				if part, ok = o.answer(n, part); !ok {
					continue
				}
			}
			if !yield(part, err) {
				return
			}
		}
	}
}

func (o *operator) Tell(topic string, body []byte) error {
	o.see([]byte(topic), body)
	return o.Fleet.Tell(topic, body)
}

func (o *operator) Create(ctx context.Context, name string, value []byte) (fleet.Fact, bool, error) {
	o.see([]byte(name), value)
	return o.Fleet.Create(ctx, name, value)
}

// TestSealedOperator has the engine's operator read, replay, exchange and cut.
func TestSealedOperator(t *testing.T) {
	o := &operator{Fleet: fleet.Alone()}
	defer o.Close()
	s := sealed(t, o, "key", "alice")
	var done []string
	var mu sync.Mutex
	stop, err := s.Serve("terminal/secret", func(_ context.Context, body []byte, part func([]byte) error) ([]byte, error) {
		mu.Lock()
		done = append(done, string(body))
		mu.Unlock()
		for _, p := range []string{"secret answer 1", "secret answer 2"} {
			if err := part([]byte(p)); err != nil {
				return nil, err
			}
		}
		if string(body) == "secret fault" {
			return nil, errors.New("secret error")
		}
		return nil, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	ask := func(body string) (string, error) {
		return fleettest.All(s.Ask(t.Context(), "terminal/secret", []byte(body)))
	}
	if got, err := ask("secret question"); err != nil || got != "secret answer 1|secret answer 2" {
		t.Fatalf("got %q, %v", got, err)
	}
	asked := o.passed[1]
	if _, err := ask("secret fault"); err == nil || err.Error() != "secret error" {
		t.Errorf("got %v", err)
	}
	if _, _, err := s.Create(t.Context(), "key/secret", []byte("secret fact")); err != nil {
		t.Fatal(err)
	}
	secret := string(o.passed[len(o.passed)-2]) // what that fact is called
	heard := make(chan string, 10)
	end, err := s.Hear("secret topic", func(b []byte) { heard <- string(b) })
	if err != nil {
		t.Fatal(err)
	}
	defer end()
	fleettest.Tell(t, s, "secret topic", "secret news")
	if got := <-heard; got != "secret news" {
		t.Errorf("heard %q", got)
	}
	for _, b := range o.passed {
		if bytes.Contains(b, []byte("secret")) {
			t.Errorf("the operator sees %q", b)
		}
	}

	// News that is told again, or to another topic, is not heard.
	topic, news := string(o.passed[len(o.passed)-2]), o.passed[len(o.passed)-1]
	for _, told := range [][]byte{news, asked, nil, []byte("forged"), make([]byte, 100)} {
		if err := o.Fleet.Tell(topic, told); err != nil {
			t.Fatal(err)
		}
	}
	fleettest.Tell(t, s, "secret topic", "the end")
	if got := <-heard; got != "the end" {
		t.Errorf("heard %q", got)
	}

	// A question that is asked again is not answered.
	before := len(done)
	o.question = func([]byte) []byte { return asked }
	if got, err := ask("other"); !errors.Is(err, fleet.ErrLost) || got != "" {
		t.Errorf("got %q, %v", got, err)
	}
	o.question = func(b []byte) []byte { b[len(b)-1] ^= 1; return b }
	if got, err := ask("other"); !errors.Is(err, fleet.ErrLost) || got != "" {
		t.Errorf("got %q, %v", got, err)
	}
	if len(done) != before {
		t.Errorf("done were %q", done)
	}
	o.question = nil

	// An answer can't be changed, cut short, put in another order, or exchanged.
	var kept []byte
	for name, answer := range map[string]func(n int, part []byte) ([]byte, bool){
		"changed":   func(n int, p []byte) ([]byte, bool) { p[15] ^= 1; return p, true },
		"cut":       func(n int, p []byte) ([]byte, bool) { return p, n < 2 },
		"beheaded":  func(n int, p []byte) ([]byte, bool) { return p, n > 1 },
		"exchanged": func(n int, p []byte) ([]byte, bool) { return o.passed[2], true },
		"doubled": func(n int, p []byte) ([]byte, bool) {
			if n == 1 {
				kept = p
			}
			return kept, true
		},
	} {
		o.answer = answer
		if got, err := ask("question"); !errors.Is(err, fleet.ErrLost) {
			t.Errorf("%s: got %q, %v", name, got, err)
		}
	}
	o.answer = nil

	// A fact under another's name is refused.
	fact, ok, err := o.Find(t.Context(), secret)
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	probe, _, _ := s.Create(t.Context(), "key/other", []byte("mine"))
	hidden := string(o.passed[len(o.passed)-2])
	stranger, ok, err := o.Find(t.Context(), hidden)
	if err != nil || !ok || len(hidden) != 32 || strings.Contains(hidden, "key") {
		t.Fatal(hidden, ok, err)
	}
	if _, err := o.Change(t.Context(), stranger, fact.Value); err != nil {
		t.Fatal(err)
	}
	if f, ok, err := s.Find(t.Context(), probe.Name); ok || err == nil {
		t.Errorf("an exchanged fact says %q", f.Value)
	}
}

// What was under way too long, or is from the future, is refused with a reason.
func TestSealedAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &operator{Fleet: fleet.Alone()}
		defer o.Close()
		s, err := fleet.Sealed(o, "key", "alice")
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		done := 0
		stop, err := s.Serve("x", func(context.Context, []byte, func([]byte) error) ([]byte, error) { done++; return nil, nil })
		if err != nil {
			t.Fatal(err)
		}
		defer stop()
		o.question = func(b []byte) []byte { time.Sleep(2 * time.Minute); return b }
		_, err = fleettest.All(s.Ask(t.Context(), "x", nil))
		if said, ok := errors.AsType[fleet.AnswerError](err); !ok || !strings.Contains(said.Error(), "nothing was done") || done != 0 {
			t.Errorf("got %v, done %d times", err, done)
		}
		o.question = nil
		if _, err := fleettest.All(s.Ask(t.Context(), "x", nil)); err != nil || done != 1 {
			t.Errorf("got %v, done %d times", err, done)
		}
	})
}

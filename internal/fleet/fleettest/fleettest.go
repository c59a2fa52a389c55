// Package fleettest is what every engine of a fleet has to do, as tests.
package fleettest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"openclaw-mcp/internal/fleet"
)

// patience is how long a test waits for what must come, on a busy machine.
const patience = 30 * time.Second

// Run tests an engine. join gives two members of a new fleet each time, which may be
// one and the same.
func Run(t *testing.T, join func(t *testing.T) (a, b fleet.Fleet)) {
	for name, test := range map[string]func(t *testing.T, a, b fleet.Fleet){
		"ask":         ask,
		"ask many":    askMany,
		"ask large":   askLarge,
		"ask slowly":  askSlowly,
		"ask gone":    askGone,
		"ask left":    askLeft,
		"ask several": askSeveral,
		"stop":        stop,
		"close":       closing,
		"tell":        tell,
		"facts":       facts,
		"facts once":  factsOnce,
	} {
		t.Run(name, func(t *testing.T) {
			a, b := join(t)
			test(t, a, b)
		})
	}
}

// name is one that no engine may take apart.
const name = "terminal/ä b\x00../.*>"

func ask(t *testing.T, a, b fleet.Fleet) {
	serve(t, a, name, func(_ context.Context, body []byte, part func([]byte) error) ([]byte, error) {
		for i := range 3 {
			if err := part(fmt.Appendf(nil, "%s %d", body, i)); err != nil {
				return nil, err
			}
		}
		if string(body) == "bad" {
			return nil, errors.New("no: bad")
		}
		return nil, nil
	})
	for _, f := range []fleet.Fleet{a, b} {
		if got, err := All(f.Ask(t.Context(), name, []byte("well"))); err != nil || got != "well 0|well 1|well 2" {
			t.Errorf("got %q, %v", got, err)
		}
		got, err := All(f.Ask(t.Context(), name, []byte("bad")))
		if said, ok := errors.AsType[fleet.AnswerError](err); !ok || said != "no: bad" || got != "bad 0|bad 1|bad 2" {
			t.Errorf("got %q, %v", got, err)
		}
		if got, err := All(f.Ask(t.Context(), name, nil)); err != nil || got != " 0| 1| 2" {
			t.Errorf("got %q, %v", got, err)
		}
	}
}

func askMany(t *testing.T, a, b fleet.Fleet) {
	serve(t, a, name, func(_ context.Context, body []byte, part func([]byte) error) ([]byte, error) {
		return append(body, '!'), nil
	})
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			if got, err := All(b.Ask(t.Context(), name, []byte(strconv.Itoa(i)))); err != nil || got != strconv.Itoa(i)+"!" {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
	wg.Wait()
}

func askLarge(t *testing.T, a, b fleet.Fleet) {
	large := bytes.Repeat([]byte("0123456789abcdef"), 4<<16)
	serve(t, a, name, func(_ context.Context, body []byte, part func([]byte) error) ([]byte, error) {
		if err := part(body); err != nil {
			return nil, err
		}
		return []byte("end"), nil
	})
	if got, err := All(b.Ask(t.Context(), name, large)); err != nil || got != string(large)+"|end" {
		t.Errorf("got %d bytes, %v", len(got), err)
	}
}

// A slow asker gets every part, and the handler waits for it rather than fill memory.
func askSlowly(t *testing.T, a, b fleet.Fleet) {
	const parts = 3000
	serve(t, a, name, func(_ context.Context, _ []byte, part func([]byte) error) ([]byte, error) {
		for i := range parts {
			if err := part([]byte(strconv.Itoa(i))); err != nil {
				return nil, err
			}
		}
		return nil, nil
	})
	n := 0
	for part, err := range b.Ask(t.Context(), name, nil) {
		if err != nil || string(part) != strconv.Itoa(n) {
			t.Fatalf("part %d is %q, %v", n, part, err)
		}
		if n%500 == 0 {
			time.Sleep(time.Millisecond)
		}
		n++
	}
	if n != parts {
		t.Errorf("%d parts came", n)
	}
}

func askGone(t *testing.T, _, b fleet.Fleet) {
	if got, err := All(b.Ask(t.Context(), name, nil)); !errors.Is(err, fleet.ErrGone) {
		t.Errorf("got %q, %v", got, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if got, err := All(b.Ask(ctx, name, nil)); !errors.Is(err, context.Canceled) {
		t.Errorf("got %q, %v", got, err)
	}
}

// Who leaves is not worked for any longer.
func askLeft(t *testing.T, a, b fleet.Fleet) {
	ended := make(chan struct{}, 2)
	serve(t, a, name, func(ctx context.Context, _ []byte, part func([]byte) error) ([]byte, error) {
		defer func() { ended <- struct{}{} }()
		if err := part([]byte("first")); err != nil {
			return nil, err
		}
		<-ctx.Done()
		return nil, ctx.Err()
	})
	for part, err := range b.Ask(t.Context(), name, nil) {
		if err != nil || string(part) != "first" {
			t.Errorf("got %q, %v", part, err)
		}
		break
	}
	wait(t, ended, "the handler to end for who broke off")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var last error
	for _, err := range b.Ask(ctx, name, nil) {
		last = err
		cancel()
	}
	if !errors.Is(last, context.Canceled) {
		t.Errorf("who was cancelled got %v", last)
	}
	wait(t, ended, "the handler to end for who was cancelled")
}

// Several serve a name: each question is answered once.
func askSeveral(t *testing.T, a, b fleet.Fleet) {
	var answered atomic.Int32
	for _, f := range []fleet.Fleet{a, b, a} {
		serve(t, f, name, func(_ context.Context, _ []byte, part func([]byte) error) ([]byte, error) {
			answered.Add(1)
			return []byte("yes"), nil
		})
	}
	for range 20 {
		if got, err := All(b.Ask(t.Context(), name, nil)); err != nil || got != "yes" {
			t.Errorf("got %q, %v", got, err)
		}
	}
	if n := answered.Load(); n != 20 {
		t.Errorf("20 questions were answered %d times", n)
	}
}

// What is being answered when a service stops goes on; no more is.
func stop(t *testing.T, a, b fleet.Fleet) {
	asked, stopped := make(chan struct{}), make(chan struct{})
	end, err := a.Serve(name, func(_ context.Context, _ []byte, part func([]byte) error) ([]byte, error) {
		close(asked)
		<-stopped
		return []byte("late"), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	answer := make(chan string)
	go func() {
		got, err := All(b.Ask(t.Context(), name, nil))
		answer <- fmt.Sprint(got, err)
	}()
	wait(t, asked, "the question")
	end()
	eventually(t, "the service's end", func() bool {
		_, err := All(b.Ask(t.Context(), name, nil))
		return errors.Is(err, fleet.ErrGone)
	})
	close(stopped)
	if got := <-answer; got != "late<nil>" {
		t.Errorf("got %s", got)
	}
	end() // twice is no harm
}

// Close ends handlers, and their askers learn that.
func closing(t *testing.T, a, b fleet.Fleet) {
	asked := make(chan struct{})
	serve(t, a, name, func(ctx context.Context, _ []byte, _ func([]byte) error) ([]byte, error) {
		close(asked)
		<-ctx.Done()
		return nil, ctx.Err()
	})
	if _, err := a.Hear(name, func([]byte) {}); err != nil {
		t.Fatal(err)
	}
	answer := make(chan error)
	go func() {
		_, err := All(b.Ask(t.Context(), name, nil))
		answer <- err
	}()
	wait(t, asked, "the question")
	if err := a.Close(); err != nil {
		t.Error(err)
	}
	if err := <-answer; !errors.Is(err, fleet.ErrLost) {
		t.Errorf("got %v", err)
	}
	if _, err := a.Serve(name, nil); !errors.Is(err, fleet.ErrAway) {
		t.Errorf("closed, it serves: %v", err)
	}
}

func tell(t *testing.T, a, b fleet.Fleet) {
	var mu sync.Mutex
	var heard [3][]string
	var stops []func()
	for i, f := range []fleet.Fleet{a, b, b} {
		end, err := f.Hear(name, func(body []byte) {
			mu.Lock()
			defer mu.Unlock()
			heard[i] = append(heard[i], string(body))
		})
		if err != nil {
			t.Fatal(err)
		}
		defer end()
		stops = append(stops, end)
	}
	has := func(n int, text string) func() bool {
		return func() bool {
			mu.Lock()
			defer mu.Unlock()
			for _, h := range heard[:n] {
				if !slices.Contains(h, text) {
					return false
				}
			}
			return true
		}
	}
	// Word of a listener may take a moment to get around.
	eventually(t, "all to hear", func() bool { Tell(t, a, name, "begin"); return has(3, "begin")() })
	for i := range 100 {
		Tell(t, b, name, strconv.Itoa(i))
	}
	Tell(t, b, name+"/other", "not this")
	eventually(t, "the last news", has(3, "99"))
	mu.Lock()
	for i, h := range heard {
		h = slices.DeleteFunc(h, func(s string) bool { return s == "begin" })
		if len(h) != 100 || !slices.IsSortedFunc(h, func(x, y string) int { return number(x) - number(y) }) {
			t.Errorf("%d heard %q", i, h)
		}
	}
	mu.Unlock()
	stops[2]()
	Tell(t, a, name, "after")
	eventually(t, "the news after a stop", has(2, "after"))
	mu.Lock()
	defer mu.Unlock()
	if slices.Contains(heard[2], "after") {
		t.Error("a listener that was stopped hears")
	}
}

func number(s string) int {
	n, _ := strconv.Atoi(s)
	return n
}

// All reads an answer to its end.
func All(answer iter.Seq2[[]byte, error]) (string, error) {
	var parts [][]byte
	for part, err := range answer {
		if err != nil {
			return string(bytes.Join(parts, []byte("|"))), err
		}
		parts = append(parts, part)
	}
	return string(bytes.Join(parts, []byte("|"))), nil
}

// Tell tells a topic.
func Tell(t *testing.T, f fleet.Fleet, topic, body string) {
	t.Helper()
	if err := f.Tell(topic, []byte(body)); err != nil {
		t.Fatal(err)
	}
}

func serve(t *testing.T, f fleet.Fleet, name string, h fleet.Handler) {
	t.Helper()
	end, err := f.Serve(name, h)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(end)
}

func wait(t *testing.T, c <-chan struct{}, what string) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(patience):
		t.Fatalf("%s never came", what)
	}
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s never came", what)
		}
	}
}

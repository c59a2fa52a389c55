//go:build e2e && linux

// Package chaos sets several replicas of the built binary on fire: real processes, a
// real NATS, a plain proxy, and clients of both eras, while processes are killed at
// chosen places and at random, paused, restarted, and NATS comes and goes. What must
// hold is counted at the service and at the clients:
//
//	I1 each keyed message and command arrives exactly once
//	I2 each call comes to a true outcome
//	I3 the streamed words, those of resumed streams too, make the reply, each once
//	I4 nothing of another call, ever
//	I5 a cancelled command is gone within 3 s
//	I6 each typed line runs at most once
//	I7 each change is announced within 10 s, or its stream broke
//	I8 a confirmation is good once
//	I9 nothing is left over
package chaos

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

var (
	seed     = flag.Uint64("seed", 1, "of everything that is drawn")
	duration = flag.Duration("for", 15*time.Second, "how long each scenario works")
	clients  = flag.Int("clients", 8, "callers at work, of both eras")
	alone    = flag.Bool("alone", false, "replicas that do not know of each other, to see what NATS is for")
)

// patience is how long what must come may take.
var patience = func() time.Duration {
	n, err := strconv.Atoi(os.Getenv("E2E_PATIENCE"))
	if err != nil || n < 1 {
		n = 1
	}
	return time.Duration(n) * time.Minute
}()

var scratch string // a directory for the whole run

func TestMain(m *testing.M) {
	var err error
	if scratch, err = os.MkdirTemp("", "openclaw-chaos-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	_ = os.RemoveAll(scratch)
	os.Exit(code)
}

var names = map[string]string{modern: "modern", legacy: "legacy"}

// disturbance happens to a world until ctx ends.
type disturbance func(ctx context.Context, w *world, r *rand.Rand)

// play lets clients work while something happens to the world, and holds it to what
// must not be.
func play(t *testing.T, natsServers int, disturb disturbance) {
	if *alone {
		natsServers = 0
	}
	w := newWorld(t, natsServers, 3)
	ctx, stop := context.WithTimeout(context.Background(), *duration)
	defer stop()
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	defer transport.CloseIdleConnections()
	var work sync.WaitGroup
	for i := range *clients {
		era := modern
		if i%2 == 1 {
			era = legacy
		}
		c := &worker{world: w, client: newClient(w.proxy.URL, era, fmt.Sprintf("%s%d", names[era], i), transport),
			rand: rand.New(rand.NewPCG(*seed, uint64(i)))}
		work.Go(func() { c.run(ctx) })
	}
	var listeners sync.WaitGroup
	listening, stopListening := context.WithCancel(context.Background())
	listeners.Go(func() { w.listen(listening, transport) })
	disturb(ctx, w, rand.New(rand.NewPCG(*seed, 99)))
	<-ctx.Done()
	w.calm()
	work.Wait()
	stopListening()
	listeners.Wait()
	w.endCommands()
	w.report()
}

// calm ends what disturbs.
func (w *world) calm() {
	w.seen.Store(nil)
	for _, r := range w.replicas {
		r.signal(syscall.SIGCONT)
		if r.link != nil {
			r.link.onFact.Store(nil)
			r.link.cut.Store(false)
		}
	}
}

// every calls f at random times, on average so far apart.
func every(ctx context.Context, r *rand.Rand, apart time.Duration, f func()) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(apart/2 + time.Duration(r.Int64N(int64(apart)))):
			f()
		}
	}
}

func TestQuiet(t *testing.T) {
	play(t, 1, func(context.Context, *world, *rand.Rand) {})
}

func TestKills(t *testing.T) {
	play(t, 1, func(ctx context.Context, w *world, r *rand.Rand) {
		every(ctx, r, 1500*time.Millisecond, func() { w.kill(w.replicas[r.IntN(len(w.replicas))]) })
	})
}

func TestPauses(t *testing.T) {
	play(t, 1, func(ctx context.Context, w *world, r *rand.Rand) {
		every(ctx, r, time.Second, func() {
			victim := w.replicas[r.IntN(len(w.replicas))]
			w.disturbed.Add(1)
			victim.signal(syscall.SIGSTOP)
			select {
			case <-time.After(time.Duration(1+r.IntN(6)) * time.Second):
			case <-ctx.Done():
			}
			victim.signal(syscall.SIGCONT)
			w.disturbed.Add(1)
		})
	})
}

func TestRollingUpdate(t *testing.T) {
	play(t, 1, func(ctx context.Context, w *world, r *rand.Rand) {
		i := 0
		every(ctx, r, 2*time.Second, func() {
			w.disturbed.Add(1)
			w.replicas[i%len(w.replicas)].signal(syscall.SIGTERM)
			i++
		})
	})
}

// Places: a replica dies at a chosen moment of a chosen request.
func TestKilledAtPlaces(t *testing.T) {
	places := []struct {
		name  string
		match func(*http.Request) bool
		after bool
	}{
		{"before the history is read", isHistory, false},
		{"after the history was read", isHistory, true},
		{"before the message is taken", isChat, false},
		{"in the middle of the reply", isChat, false}, // see below: it dies a little later
		{"at the end of the reply", isChat, true},
		{"before a command", isExec, false},
		{"after a command", isExec, true},
	}
	play(t, 1, func(ctx context.Context, w *world, r *rand.Rand) {
		var mu sync.Mutex
		next, last := 0, time.Now()
		w.seen.Store(new(func(victim *replica, req *http.Request, after bool) {
			mu.Lock()
			p := places[next%len(places)]
			if time.Since(last) < 700*time.Millisecond || p.after != after || !p.match(req) {
				mu.Unlock()
				return
			}
			next, last = next+1, time.Now()
			mu.Unlock()
			if p.name == "in the middle of the reply" {
				time.AfterFunc(200*time.Millisecond, func() { w.kill(victim) })
				return
			}
			w.kill(victim)
		}))
		for _, victim := range w.replicas {
			if victim.link != nil {
				victim.link.onFact.Store(new(func(n int64) {
					if n%7 == 0 { // after a fact was made or changed
						w.kill(victim)
					}
				}))
			}
		}
	})
}

func isChat(r *http.Request) bool {
	return r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/chat/stream")
}

func isHistory(r *http.Request) bool {
	return r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/chat/messages")
}

func isExec(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/terminal/exec") }

func TestNATSRestarts(t *testing.T) {
	play(t, 1, func(ctx context.Context, w *world, r *rand.Rand) {
		if w.nats == nil {
			t.Skip("this is about NATS")
		}
		every(ctx, r, 3*time.Second, func() {
			w.disturbed.Add(1)
			w.nats[0].kill()
			w.nats[0].start(t)
			w.disturbed.Add(1)
		})
	})
}

func TestNATSAway(t *testing.T) {
	play(t, 1, func(ctx context.Context, w *world, _ *rand.Rand) {
		if w.nats == nil {
			t.Skip("this is about NATS")
		}
		select {
		case <-time.After(*duration / 5):
		case <-ctx.Done():
		}
		w.disturbed.Add(1)
		w.away.Store(true)
		w.nats[0].kill()
		select {
		case <-time.After(min(20*time.Second, *duration/2)):
		case <-ctx.Done():
		}
		w.nats[0].start(t)
		w.disturbed.Add(1)
	})
}

func TestOneOfThreeNATS(t *testing.T) {
	play(t, 3, func(ctx context.Context, w *world, r *rand.Rand) {
		if w.nats == nil {
			t.Skip("this is about NATS")
		}
		every(ctx, r, 5*time.Second, func() {
			w.disturbed.Add(1)
			s := w.nats[r.IntN(len(w.nats))]
			s.kill()
			s.start(t)
			w.disturbed.Add(1)
		})
	})
}

// One replica is cut off from NATS, the others are not.
func TestCutOff(t *testing.T) {
	play(t, 1, func(ctx context.Context, w *world, r *rand.Rand) {
		if w.nats == nil {
			t.Skip("this is about NATS")
		}
		every(ctx, r, 3*time.Second, func() {
			k := w.replicas[r.IntN(len(w.replicas))].link
			w.disturbed.Add(1)
			w.away.Store(true) // and a little longer than it is cut
			k.cut.Store(true)
			k.drop()
			select {
			case <-time.After(2 * time.Second):
			case <-ctx.Done():
			}
			k.cut.Store(false)
			w.disturbed.Add(1)
		})
	})
}

func (w *world) kill(r *replica) {
	w.disturbed.Add(1)
	r.signal(syscall.SIGKILL)
}

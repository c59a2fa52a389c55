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
//	I9 nothing is left over: facts, but those that live by age; processes, sockets and
//	   parts of files; what replicas grew by; what the service has open
//	I10 a transferred file is whole, or its call says that it failed
package chaos

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"
)

var (
	seed     = flag.Uint64("seed", 1, "of everything that is drawn")
	duration = flag.Duration("for", 10*time.Second, "how long each scenario works")
	clients  = flag.Int("clients", 8, "callers at work, of both eras")
	shared   = flag.Int("shared", 25, "percentage of messages that go to a session of all callers")
	alone    = flag.Bool("alone", false, "replicas that do not know of each other, to see what NATS is for")
)

// slow makes a time as many times as long as things may take on this machine.
func slow(d time.Duration) time.Duration {
	n, err := strconv.Atoi(os.Getenv("E2E_PATIENCE"))
	if err != nil || n < 1 {
		n = 1
	}
	return time.Duration(n) * d
}

// patience is how long what must come may take.
var patience = slow(time.Minute)

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
// must not be. With no replicas, each client has a process of its own.
func play(t *testing.T, natsServers, replicas int, disturb disturbance) {
	if *alone {
		natsServers = 0
	}
	w := newWorld(t, natsServers, replicas)
	happening, over := context.WithTimeout(context.Background(), *duration)
	defer over()
	working, stopWork := context.WithCancel(context.Background())
	defer stopWork()
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	defer transport.CloseIdleConnections()
	var work sync.WaitGroup
	for i := range *clients {
		era := modern
		if i%2 == 1 {
			era = legacy
		}
		c := &worker{world: w, client: w.newClient(era, fmt.Sprintf("%s%d", names[era], i), transport),
			rand: rand.New(rand.NewPCG(*seed, uint64(i)))}
		work.Go(func() { c.run(working) })
	}
	var listeners sync.WaitGroup
	listening, stopListening := context.WithCancel(context.Background())
	defer stopListening()
	if w.proxy != nil {
		listeners.Go(func() { w.listen(listening, transport) })
	}
	disturb(happening, w, rand.New(rand.NewPCG(*seed, 99)))
	<-happening.Done()
	stopWork()
	w.calm()
	work.Wait()
	stopListening()
	listeners.Wait()
	w.endCommands()
	w.tidy(transport)
	transport.CloseIdleConnections()
	w.settled()
	w.stop()
	w.nothingLeft()
	w.report()
}

// newClient is a client of the proxy, or of a process of its own.
func (w *world) newClient(era, name string, transport *http.Transport) *client {
	if w.proxy == nil {
		return &client{era: era, name: name, pipe: w.newPipe(name)}
	}
	return newClient(w.proxy.URL, era, name, transport)
}

// calm ends what disturbs.
func (w *world) calm() {
	w.seen.Store(nil)
	for _, r := range w.replicas {
		r.signal(syscall.SIGCONT)
		if r.link != nil {
			r.link.cut.Store(false)
		}
	}
	for _, p := range w.pipes {
		p.signal(syscall.SIGCONT)
	}
	close(w.calmed)
}

// tidy does what the next callers would: who finds something of a process that is gone
// takes it over, and clears it away.
func (w *world) tidy(transport *http.Transport) {
	c := &worker{world: w, client: w.newClient(modern, "tidy0", transport), rand: rand.New(rand.NewPCG(*seed, 98))}
	ctx, stop := w.within()
	defer stop()
	must := func(tool string, args params) {
		if o, _ := c.repeat(ctx, tool, args, "", func() int { return 1 }); !o.done() {
			w.violation("I2: %s, when all was calm: %s", tool, o)
		}
	}
	must("take_screenshot", nil)
	if w.missed.Load() { // then the end of a reply could not be noted
		for _, session := range w.sessions {
			must("send_chat_message", params{"message": "that was all", "session": session})
		}
	}
}

// stop ends all processes.
func (w *world) stop() {
	var ending sync.WaitGroup
	for _, r := range w.replicas {
		ending.Go(r.end)
	}
	for _, p := range w.pipes {
		ending.Go(p.end)
	}
	ending.Wait()
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
	play(t, 1, 3, func(context.Context, *world, *rand.Rand) {})
}

func TestKills(t *testing.T) {
	play(t, 1, 3, func(ctx context.Context, w *world, r *rand.Rand) {
		every(ctx, r, 1500*time.Millisecond, func() {
			if victim := w.replicas[r.IntN(len(w.replicas))]; w.spares(victim) {
				w.kill(victim)
			}
		})
	})
}

func TestPauses(t *testing.T) {
	play(t, 1, 3, func(ctx context.Context, w *world, r *rand.Rand) {
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
	play(t, 1, 3, func(ctx context.Context, w *world, r *rand.Rand) {
		i := 0
		every(ctx, r, 2*time.Second, func() {
			if victim := w.replicas[i%len(w.replicas)]; w.spares(victim) {
				w.disturbed.Add(1)
				victim.signal(syscall.SIGTERM)
				i++
			}
		})
	})
}

// A process dies at a chosen moment of a chosen call.
func TestKilledAtPlaces(t *testing.T) {
	play(t, 1, 3, func(ctx context.Context, w *world, r *rand.Rand) {
		at := []place{historyAsked, historyRead, messageSent, messageTaken, messageEvent, messageDone, commandSent, commandDone}
		if w.nats != nil {
			at = append(at, factMade, factChanged, factForgotten, factKnown, asks, answers)
		}
		w.strike(t, r, ctx.Done(), at...)
	})
}

// Each client has a process of its own, over stdio. Files join them.
func TestProcesses(t *testing.T) {
	play(t, 0, 0, func(ctx context.Context, w *world, r *rand.Rand) {
		every(ctx, r, 1500*time.Millisecond, func() { w.kill(w.pipes[r.IntN(len(w.pipes))]) })
	})
}

func TestProcessesKilledAtPlaces(t *testing.T) {
	play(t, 0, 0, func(ctx context.Context, w *world, r *rand.Rand) {
		w.strike(t, r, ctx.Done(), historyAsked, historyRead, messageSent, messageTaken, messageEvent, messageDone, commandSent, commandDone)
	})
}

func TestNATSRestarts(t *testing.T) {
	play(t, 1, 3, func(ctx context.Context, w *world, r *rand.Rand) {
		if w.nats == nil {
			t.Skip("this is about NATS")
		}
		every(ctx, r, 3*time.Second, func() {
			w.disturbed.Add(1)
			w.away.Store(true) // for each replica a little longer than for the others
			w.lose(w.nats[0])
			w.nats[0].start(t)
			w.disturbed.Add(1)
		})
	})
}

func TestNATSAway(t *testing.T) {
	play(t, 1, 3, func(_ context.Context, w *world, _ *rand.Rand) {
		if w.nats == nil {
			t.Skip("this is about NATS")
		}
		time.Sleep(*duration / 4)
		w.disturbed.Add(1)
		w.away.Store(true)
		w.lose(w.nats[0])
		time.Sleep(20 * time.Second)
		w.nats[0].start(t)
		w.disturbed.Add(1)
		time.Sleep(*duration / 4)
	})
}

func TestOneOfThreeNATS(t *testing.T) {
	play(t, 3, 3, func(ctx context.Context, w *world, r *rand.Rand) {
		if w.nats == nil {
			t.Skip("this is about NATS")
		}
		every(ctx, r, 5*time.Second, func() {
			w.disturbed.Add(1)
			s := w.nats[r.IntN(len(w.nats))]
			w.lose(s)
			s.start(t)
			w.disturbed.Add(1)
		})
	})
}

// One replica is cut off from NATS, the others are not.
func TestCutOff(t *testing.T) {
	play(t, 1, 3, func(ctx context.Context, w *world, r *rand.Rand) {
		if w.nats == nil {
			t.Skip("this is about NATS")
		}
		every(ctx, r, 3*time.Second, func() {
			k := w.replicas[r.IntN(len(w.replicas))].link
			w.disturbed.Add(1)
			w.missed.Store(true)
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

// lose kills a NATS server.
func (w *world) lose(s *natsServer) {
	w.missed.Store(true)
	s.kill()
}

func (w *world) kill(v victim) {
	w.disturbed.Add(1)
	v.signal(syscall.SIGKILL)
}

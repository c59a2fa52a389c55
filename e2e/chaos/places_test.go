//go:build e2e && linux

package chaos

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// A place is a moment in the life of a call. Those of the service are seen there,
// those of the fleet on the way to NATS.
type place int

const (
	historyAsked place = iota
	historyRead
	messageSent
	messageTaken // the header of the answer is out
	messageEvent // an event of the reply is
	messageDone  // all of the reply is, and the caller has no result yet
	commandSent
	commandDone
	factMade // NATS has it, and the process does not know that yet
	factChanged
	factForgotten
	factKnown // now it does
	asks      // another process was asked
	answers   // this one was
	places
)

var placeNames = [places]string{
	"before the history is read", "after the history was read", "before the message is taken", "after the header of the answer",
	"in the middle of the reply", "before the result", "before a command", "after a command", "after a fact was made",
	"after a fact was changed", "after a fact was forgotten", "when a fact is known to be written", "when it has asked another one", "when it is asked",
}

func (p place) String() string { return placeNames[p] }

// serveTo is the service as one process reaches it: reached is called with the places.
func (w *world) serveTo(reached func(place)) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		var before, after place
		switch {
		case r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/chat/stream"):
			before, after = messageSent, messageDone
			rw = &reply{ResponseWriter: rw, reached: reached}
		case r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/chat/messages"):
			before, after = historyAsked, historyRead
		case strings.HasSuffix(r.URL.Path, "/terminal/exec"):
			before, after = commandSent, commandDone
		default:
			w.service.ServeHTTP(rw, r)
			return
		}
		reached(before)
		w.service.ServeHTTP(rw, r)
		_ = http.NewResponseController(rw).Flush()
		reached(after)
	})
}

// reply is the answer to a message on its way to a process.
type reply struct {
	http.ResponseWriter
	reached func(place)
	begun   bool
}

func (r *reply) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// FlushError implements what [http.ResponseController] looks for.
func (r *reply) FlushError() error {
	err := http.NewResponseController(r.ResponseWriter).Flush()
	if r.begun {
		r.reached(messageEvent)
	} else {
		r.begun = true
		r.reached(messageTaken)
	}
	return err
}

// toNATS finds the places in what a process sends to NATS.
func toNATS(sent []byte, reached func(place)) {
	for rest := sent; ; {
		_, after, found := bytes.Cut(rest, []byte("HPUB $KV."))
		if !found {
			break
		}
		head, _, _ := bytes.Cut(after, []byte("\r\n\r\n"))
		switch {
		case bytes.Contains(head, []byte("KV-Operation: DEL")):
			reached(factForgotten)
		case bytes.Contains(head, []byte("Expected-Last-Subject-Sequence: 0\r")), bytes.HasSuffix(head, []byte("Expected-Last-Subject-Sequence: 0")):
			reached(factMade)
		default:
			reached(factChanged)
		}
		rest = after
	}
	if bytes.Contains(sent, []byte("PUB openclaw.ask.")) {
		reached(asks)
	}
}

// fromNATS finds those in what NATS sends.
func fromNATS(sent []byte, reached func(place)) {
	if bytes.Contains(sent, []byte(`"stream":"KV_openclaw_day"`)) {
		reached(factKnown)
	}
	if bytes.Contains(sent, []byte("MSG openclaw.ask.")) {
		reached(answers)
	}
}

// killer kills one process after the other, at all of the places in turn: at each one
// that was struck least so far.
type killer struct {
	w     *world
	among []place

	mu     sync.Mutex
	rand   *rand.Rand
	last   time.Time
	struck [places]int
}

// breath is how long there is peace after a kill.
const breath = 500 * time.Millisecond

func (k *killer) reached(v victim, p place) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if time.Since(k.last) < breath || !slices.Contains(k.among, p) {
		return
	}
	for _, other := range k.among {
		if k.struck[other] < k.struck[p] {
			return
		}
	}
	if k.rand.IntN(2) == 0 || !k.w.spares(v) { // not always the first time
		return
	}
	k.struck[p]++
	k.last = time.Now()
	k.w.kill(v)
}

// missing are the places that nobody was killed at.
func (k *killer) missing() (names []string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, p := range k.among {
		if k.struck[p] == 0 {
			names = append(names, p.String())
		}
	}
	return names
}

// strike kills at all of these places, at least once each.
func (w *world) strike(t *testing.T, r *rand.Rand, over <-chan struct{}, among ...place) {
	k := &killer{w: w, among: among, rand: r}
	w.seen.Store(new(k.reached))
	<-over
	for end := time.Now().Add(patience); len(k.missing()) > 0; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Errorf("nobody was killed %s", strings.Join(k.missing(), ", nor "))
			break
		}
	}
	w.seen.Store(nil)
	k.mu.Lock()
	defer k.mu.Unlock()
	var counts []string
	for _, p := range among {
		counts = append(counts, fmt.Sprintf("%d %v", k.struck[p], p))
	}
	t.Logf("killed: %s", strings.Join(counts, ", "))
}

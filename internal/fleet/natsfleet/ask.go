package natsfleet

import (
	"context"
	"errors"
	"io"
	"iter"
	"net"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"

	"openclaw-mcp/internal/fleet"
)

const (
	// alive is how often a replica that works on an answer says so. One that is stopped
	// keeps its connection, so silence is the only sign.
	alive   = 500 * time.Millisecond
	silence = 2 * time.Second
	// chunk is how much one message carries: NATS takes 1 MiB, if not told otherwise.
	chunk = 256 << 10
	// credit is how many parts may be on their way to an asker.
	credit = 64
	// stalled is how long an asker that is there may take none: it may be stopped.
	stalled = time.Minute
)

// What a message of an answer says, in its header.
const (
	headState  = "S"
	headNumber = "N"

	stateSend  = "send"  // the question is a long one: send it here
	stateMore  = "more"  // a part, or the beginning of one
	stateAnd   = "and"   // … that goes on in the next message
	stateAlive = "alive" // still at it
	stateEnd   = "end"   // that was all
	stateLast  = "last"  // a part, or the end of one, and that was all
	stateError = "error" // the handler's error
	stateLost  = "lost"  // the replica is ending, and the handler did not finish
	stateGone  = "gone"  // it stopped serving the name just then

	// From asker to server.
	stateStop = "stop" // nobody waits any more
	stateRead = "read" // half of the credit is back
	stateLong = "long" // of the question: it comes in messages of its own
)

func isNetwork(err error) bool {
	_, isNet := errors.AsType[net.Error](err)
	return isNet || errors.Is(err, nats.ErrTimeout) || errors.Is(err, io.EOF) || errors.Is(err, nats.ErrStaleConnection)
}

// route hands a message to who waits for it. Nobody does once an asker has left: then
// the server is to know.
func (f *Fleet) route(m *nats.Msg) {
	f.mu.Lock()
	to := f.routes[m.Subject[len(f.inbox)+1:]]
	f.mu.Unlock()
	switch {
	case to != nil:
		to(m)
	case m.Reply != "":
		_ = f.say(m.Reply, "", stateStop, 0, nil)
	}
}

// newRoute gives a subject of this process's own, until end is called.
func (f *Fleet) newRoute(to func(*nats.Msg)) (subject string, end func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.last++
	token := strconv.FormatUint(f.last, 36)
	f.routes[token] = to
	return f.inbox + "." + token, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.routes, token)
	}
}

func (f *Fleet) say(to, reply, state string, number int, body []byte) error {
	m := nats.NewMsg(to)
	m.Reply = reply
	m.Header.Set(headState, state)
	if number > 0 {
		m.Header.Set(headNumber, strconv.Itoa(number))
	}
	m.Data = body
	return f.nc.PublishMsg(m)
}

// queue collects the messages of one question. A message beyond all credit breaks it.
type queue struct {
	c      chan *nats.Msg
	broken chan struct{}
}

func newQueue() *queue {
	// The parts, what announces the end, and a sign of life now and then.
	return &queue{c: make(chan *nats.Msg, 4*credit), broken: make(chan struct{}, 1)}
}

func (q *queue) put(m *nats.Msg) {
	if m.Header.Get(headState) == stateAlive && len(q.c) > credit {
		return // there is enough that says so
	}
	select {
	case q.c <- m:
	default:
		select {
		case q.broken <- struct{}{}:
		default:
		}
	}
}

// Ask implements [fleet.Fleet]: it asks this process first, then whoever has the name.
func (f *Fleet) Ask(ctx context.Context, name string, body []byte) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		if f.local.Serves(name) {
			gone := false
			for part, err := range f.local.Ask(ctx, name, body) {
				if gone = errors.Is(err, fleet.ErrGone); !gone && !yield(part, err) {
					return
				}
			}
			if !gone {
				return
			}
		}
		if err := ctx.Err(); err != nil {
			yield(nil, err)
			return
		}
		left := false
		err := f.ask(ctx, name, body, func(part []byte) bool {
			left = !yield(part, nil)
			return !left
		})
		if err != nil && !left {
			yield(nil, err)
		}
	}
}

// ask is a question to another replica.
func (f *Fleet) ask(ctx context.Context, name string, body []byte, take func([]byte) bool) error {
	q := newQueue()
	inbox, end := f.newRoute(q.put)
	defer end()
	m := nats.NewMsg(f.subject("ask", name))
	m.Reply = inbox
	if m.Data = body; len(body) > chunk {
		m.Header.Set(headState, stateLong)
		m.Data = nil
	}
	if err := f.nc.PublishMsg(m); err != nil {
		return away(err)
	}
	server, over := "", false
	defer func() {
		if server != "" && !over {
			_ = f.say(server, "", stateStop, 0, nil)
		}
	}()
	quiet := time.NewTimer(silence)
	defer quiet.Stop()
	var part []byte
	for number, read := 0, 0; ; {
		var m *nats.Msg
		select {
		case m = <-q.c:
		default:
			select {
			case m = <-q.c:
			case <-q.broken:
				return fleet.ErrLost
			case <-quiet.C:
				return fleet.ErrLost
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		if unheard(m) {
			return fleet.ErrGone
		}
		quiet.Reset(silence)
		server = m.Reply
		state := m.Header.Get(headState)
		if state == stateAlive {
			continue
		}
		if number++; m.Header.Get(headNumber) != strconv.Itoa(number) {
			return fleet.ErrLost // one is missing
		}
		switch state {
		case stateSend:
			for rest := body; len(rest) > 0; {
				n := min(chunk, len(rest))
				state := stateAnd
				if n == len(rest) {
					state = stateMore
				}
				if err := f.say(server, "", state, 0, rest[:n]); err != nil {
					return fleet.ErrLost
				}
				rest = rest[n:]
			}
		case stateAnd, stateMore:
			if part = append(part, m.Data...); state == stateMore {
				if !take(part) {
					return nil
				}
				part = nil
			}
			if read++; read%(credit/2) == 0 {
				_ = f.say(server, "", stateRead, 0, nil)
			}
			quiet.Reset(silence) // who took it may have taken its time
		case stateEnd:
			over = true
			return nil
		case stateLast:
			over = true
			take(append(part, m.Data...))
			return nil
		case stateError:
			over = true
			return fleet.AnswerError(m.Data)
		case stateGone:
			over = true
			return fleet.ErrGone
		default:
			over = true
			return fleet.ErrLost
		}
	}
}

// unheard recognises NATS's word that nobody heard what was said.
func unheard(m *nats.Msg) bool { return len(m.Data) == 0 && m.Header.Get("Status") == "503" }

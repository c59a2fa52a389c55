// Package fleet is what the processes of one user, or the replicas of one
// deployment, share: names that one of them serves, topics that all of them hear,
// and small facts that they agree on. It is never the record of what was said: that
// is the OpenClaw service. A call that needs none of this touches none of it.
//
// Everything that passes through is sealed for one principal and named by an HMAC
// ([Sealed]), so that whoever runs the engine sees sizes and times only.
package fleet

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"iter"
	"time"
)

// A Fleet joins processes. Its methods are safe for use by several goroutines. The
// engines are memory ([Alone]), files (several processes of one user) and NATS
// (replicas); see the packages files and natsfleet below.
type Fleet interface {
	// Serve answers what is asked of a name until stop is called or the process
	// ends. Several may serve one name: each question goes to one of them. Questions
	// that are being answered go on after stop.
	Serve(name string, h Handler) (stop func(), err error)
	// Ask asks whoever serves a name, and gives the parts of the answer as they
	// come. The error, if any, comes once and last: [ErrGone], [ErrLost], [ErrAway],
	// the context's, or what the handler returned (as an [AnswerError]). Breaking off
	// ends the handler's context.
	Ask(ctx context.Context, name string, body []byte) iter.Seq2[[]byte, error]
	// Hear calls f, one call at a time and in order, with what is told to a topic
	// from now on, by this process, too. f must not wait for another Tell. A call may
	// still be under way when stop returns.
	Hear(topic string, f func(body []byte)) (stop func(), err error)
	// Tell tells a topic's listeners. Nobody learns whether there are any.
	Tell(topic string, body []byte) error
	// Find reads a fact, which may be a moment old: decide by Create or Change. ok is
	// false where there is none.
	Find(ctx context.Context, name string) (fact Fact, ok bool, err error)
	// Create makes a fact unless it exists. ours says which it was; the fact is the
	// one that holds now.
	Create(ctx context.Context, name string, value []byte) (fact Fact, ours bool, err error)
	// Change gives a fact another value if nobody has changed or forgotten it since
	// it was read: [ErrChanged].
	Change(ctx context.Context, fact Fact, value []byte) (Fact, error)
	// Forget removes a fact if nobody has changed it since it was read: [ErrChanged].
	// Removing what is gone is no error.
	Forget(ctx context.Context, fact Fact) error
	// Close ends all that was served and heard through this Fleet: the contexts of
	// its handlers end, and it waits for them.
	Close() error
}

// A Handler answers a question: each call of part sends a piece of the answer, in
// order; one call at a time. part's error says that nobody waits any more. body and
// the pieces are the callee's to keep.
// The last piece may be returned, and then travels with the end of the answer; nil:
// there is none.
type Handler func(ctx context.Context, body []byte, part func([]byte) error) (last []byte, err error)

// Day is how long a fact is kept after it was last written.
const Day = 24 * time.Hour

// Address is for engines: what stands for a name, which may hold anything, in paths
// and subjects.
func Address(name string) string {
	h := sha256.Sum256([]byte(name))
	return hex.EncodeToString(h[:16])
}

// A Fact is a small value that all processes agree on.
type Fact struct {
	Name    string
	Value   []byte
	version string // the engine's, for compare-and-swap
}

// NewFact is for engines.
func NewFact(name string, value []byte, version string) Fact {
	return Fact{Name: name, Value: value, version: version}
}

// Version is for engines: what [NewFact] was given.
func (f Fact) Version() string { return f.version }

// An AnswerError is the error of the handler that answered, as text.
type AnswerError string

func (e AnswerError) Error() string { return string(e) }

var (
	// ErrGone says that nobody serves the name: nothing was done.
	ErrGone = errors.New("nobody serves this name")
	// ErrLost says that whoever answered stopped in the middle: whether it did what
	// was asked is unknown.
	ErrLost = errors.New("the process that answered is gone")
	// ErrAway says that the engine can't be reached: nothing was done.
	ErrAway = errors.New("the engine that joins the processes can't be reached")
	// ErrChanged says that somebody else has written the fact since it was read.
	ErrChanged = errors.New("somebody else has changed this fact")
)

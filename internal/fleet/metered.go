package fleet

import (
	"context"
	"errors"
	"iter"
	"strings"
	"time"
)

// A Meter counts what passes.
type Meter interface {
	// Asked counts a question by what it was about and how it went. took is the time
	// until the first word of the answer.
	Asked(kind, outcome string, took time.Duration)
	// Fact counts what was done to a fact.
	Fact(op, outcome string)
}

// Metered is f with its questions and facts counted. What a question is about is the
// beginning of the name, up to a slash, so f takes names as they are.
func Metered(f Fleet, m Meter) Fleet { return &metered{f, m} }

type metered struct {
	Fleet
	meter Meter
}

// outcomes are how a question or a change may go, as metrics say it.
var outcomes = map[error]string{ErrGone: "gone", ErrLost: "lost", ErrAway: "away", ErrChanged: "changed"}

func outcomeOf(err error) string {
	for known, name := range outcomes {
		if errors.Is(err, known) {
			return name
		}
	}
	_, said := errors.AsType[AnswerError](err)
	switch {
	case err == nil:
		return "ok"
	case said:
		return "refused"
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return "cancelled"
	}
	return "failed"
}

func (m *metered) Ask(ctx context.Context, name string, body []byte) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		kind, _, _ := strings.Cut(name, "/")
		began := time.Now()
		var first time.Duration
		var last error
		defer func() {
			if first == 0 {
				first = time.Since(began)
			}
			m.meter.Asked(kind, outcomeOf(last), first)
		}()
		for part, err := range m.Fleet.Ask(ctx, name, body) {
			if last = err; first == 0 {
				first = time.Since(began)
			}
			if !yield(part, err) {
				return
			}
		}
	}
}

func (m *metered) Find(ctx context.Context, name string) (Fact, bool, error) {
	f, ok, err := m.Fleet.Find(ctx, name)
	m.meter.Fact("find", outcomeOf(err))
	return f, ok, err
}

func (m *metered) Create(ctx context.Context, name string, value []byte) (Fact, bool, error) {
	f, ours, err := m.Fleet.Create(ctx, name, value)
	outcome := outcomeOf(err)
	if err == nil && !ours {
		outcome = "taken"
	}
	m.meter.Fact("create", outcome)
	return f, ours, err
}

func (m *metered) Change(ctx context.Context, f Fact, value []byte) (Fact, error) {
	f, err := m.Fleet.Change(ctx, f, value)
	m.meter.Fact("change", outcomeOf(err))
	return f, err
}

func (m *metered) Forget(ctx context.Context, f Fact) error {
	err := m.Fleet.Forget(ctx, f)
	m.meter.Fact("forget", outcomeOf(err))
	return err
}

package desktops

import (
	"context"
	"errors"
	"strconv"
	"time"

	"openclaw-mcp/internal/fleet"
	"openclaw-mcp/internal/hand"
)

// All callers of a key of the service use the same desktops, so that the hand of any
// person holds off the model of every caller. Facts that the callers of a key share say
// whose turn it is. Where they can't be read, this caller's own people count alone.

// retold is how often a turn is renewed for the others at most.
const retold = time.Second

// own is whose turn it is at a desktop as far as this Local's calls say.
type own struct {
	hand.Hand
	told time.Time // when the others were; guarded by Local.mu
}

func (l *Local) handOf(instance string) *own {
	l.mu.Lock()
	defer l.mu.Unlock()
	h := l.hands[instance]
	if h == nil {
		h = new(own)
		l.hands[instance] = h
	}
	return h
}

func handFact(instance string) string { return "hand/" + instance }

// left is how long a person's turn at a desktop still lasts, whoever that is; 0: it is
// the model's.
func (l *Local) left(ctx context.Context, instance string) time.Duration {
	fact, ok, err := l.cfg.Hands.Find(ctx, handFact(instance))
	if err != nil {
		return l.handOf(instance).Left()
	}
	if !ok {
		return 0
	}
	until, _ := strconv.ParseInt(string(fact.Value), 10, 64)
	return max(0, time.Until(time.UnixMilli(until)))
}

// check refuses what the model wants to do while a person has the desktop.
func (l *Local) check(ctx context.Context, instance string) error {
	if left := l.left(ctx, instance); left > 0 {
		return &hand.HeldError{What: "desktop", Left: left}
	}
	return nil
}

// take begins or renews a person's turn.
func (l *Local) take(ctx context.Context, instance string) {
	h := l.handOf(instance)
	l.mu.Lock()
	known := h.Left() > 0 && time.Since(h.told) < retold
	l.mu.Unlock()
	h.Take()
	if known {
		return
	}
	value := []byte(strconv.FormatInt(time.Now().Add(hand.Idle).UnixMilli(), 10))
	err := settled(func() error {
		fact, ours, err := l.cfg.Hands.Create(ctx, handFact(instance), value)
		if err == nil && !ours {
			_, err = l.cfg.Hands.Change(ctx, fact, value)
		}
		return err
	})
	if err != nil {
		l.cfg.Log.Warn("other callers' assistants may use a desktop that a person took over", "instance", instance, "err", err)
		return
	}
	l.mu.Lock()
	h.told = time.Now()
	l.mu.Unlock()
}

// give ends it.
func (l *Local) give(ctx context.Context, instance string) {
	h := l.handOf(instance)
	h.Give()
	err := settled(func() error {
		fact, ok, err := l.cfg.Hands.Find(ctx, handFact(instance))
		if err == nil && ok {
			err = l.cfg.Hands.Forget(ctx, fact)
		}
		return err
	})
	if err != nil {
		l.cfg.Log.Warn("other callers learn late that a person handed a desktop back", "instance", instance, "err", err)
	}
}

// settled does what others may do at the same moment.
func settled(do func() error) (err error) {
	for range maxTurns {
		if err = do(); !errors.Is(err, fleet.ErrChanged) {
			break
		}
	}
	return err
}

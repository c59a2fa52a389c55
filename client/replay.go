package client

import (
	"iter"
	"strconv"
	"time"
)

// maxReplay and maxReplayText bound the events that are held back while the cursor is
// looked for: how many, and the bytes of their texts.
const (
	maxReplay     = 10000
	maxReplayText = 8 << 20
)

// skipReplay leaves out of events what comes up to and with the cursor after.
// A cursor that is a number or a time is compared. One that is an id has to
// come by first: until it does, events are held back, and are given after all
// when the replay is over (nothing came for quiet, or the stream ended)
// without it, since to give an event twice is better than to lose it. stop
// makes a blocked read of events return.
func skipReplay(events iter.Seq2[HistoryEvent, error], after string, quiet time.Duration, stop func()) iter.Seq2[HistoryEvent, error] {
	return func(yield func(HistoryEvent, error) bool) {
		type item struct {
			ev  HistoryEvent
			err error
		}
		ch := make(chan item)
		quit, done := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(done)
			defer close(ch)
			for ev, err := range events {
				select {
				case ch <- item{ev, err}:
				case <-quit:
					return
				}
			}
		}()
		defer func() { close(quit); stop(); <-done }()

		seen := seenBefore(after)
		var held []HistoryEvent
		size := 0
		found := false
		flush := func() bool {
			for _, ev := range held {
				if !yield(ev, nil) {
					return false
				}
			}
			held, found = nil, true
			return true
		}
		timer := time.NewTimer(quiet)
		defer timer.Stop()
		for {
			select {
			case <-timer.C:
				if !found && !flush() {
					return
				}
				found = true
			case it, ok := <-ch:
				if !ok {
					flush()
					return
				}
				if it.err != nil {
					if flush() {
						yield(HistoryEvent{}, it.err)
					}
					return
				}
				timer.Reset(quiet)
				old, known := seen(it.ev)
				switch {
				case found:
					// Behind the cursor, or past looking for it.
					if !(known && old) && !yield(it.ev, nil) {
						return
					}
				case known && !old:
					// A number or a time beyond the cursor: what was held had
					// neither and came before it.
					held = append(held, it.ev)
					if !flush() {
						return
					}
				case it.ev.Cursor == after || it.ev.Message.ID == after:
					held, found = nil, true
				case known:
				default:
					held = append(held, it.ev)
					size += it.ev.Message.Size()
					if (len(held) >= maxReplay || size > maxReplayText) && !flush() {
						return
					}
				}
			}
		}
	}
}

// seenBefore gives a function that compares an event with the cursor: old says
// that it is not beyond it, known that the two can be compared at all.
func seenBefore(after string) func(HistoryEvent) (old, known bool) {
	if n, err := strconv.ParseInt(after, 10, 64); err == nil {
		return func(ev HistoryEvent) (bool, bool) {
			m, err := strconv.ParseInt(ev.Cursor, 10, 64)
			return m <= n, err == nil
		}
	}
	if at := parseTime(after); !at.IsZero() {
		return func(ev HistoryEvent) (bool, bool) {
			return !ev.Message.CreatedAt.After(at), !ev.Message.CreatedAt.IsZero()
		}
	}
	return func(HistoryEvent) (bool, bool) { return false, false }
}

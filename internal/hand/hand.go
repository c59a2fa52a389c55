// Package hand says whose turn it is where a person and a model share a terminal or
// a desktop. The person goes first: from their first key on, the model only looks,
// until they hand back or have done nothing for a while.
package hand

import (
	"fmt"
	"sync"
	"time"
)

// Idle is after how long without input a person's turn ends by itself.
const Idle = time.Minute

// Hand is whose turn it is. The zero value is the model's.
type Hand struct {
	mu    sync.Mutex
	until time.Time // when the person's turn ends; zero: it is the model's
}

// Take begins or renews a person's turn.
func (h *Hand) Take() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.until = time.Now().Add(Idle)
}

// Give ends it.
func (h *Hand) Give() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.until = time.Time{}
}

// Left is how long a person's turn still lasts without further input; 0: it is the
// model's.
func (h *Hand) Left() time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.until.IsZero() {
		return 0
	}
	return max(0, time.Until(h.until))
}

// Check refuses what the model wants to do to what while a person has it.
func (h *Hand) Check(what string) error {
	if left := h.Left(); left > 0 {
		return &HeldError{what, left}
	}
	return nil
}

// HeldError says that a person has what the model wanted to use. Nothing was done.
type HeldError struct {
	What string
	Left time.Duration
}

// Error implements error.
func (e *HeldError) Error() string {
	return fmt.Sprintf("a person is using this %s and goes first; it is theirs until they hand it back, or for %s more without their input",
		e.What, e.Left.Round(time.Second))
}

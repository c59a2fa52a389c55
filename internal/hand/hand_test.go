package hand

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestHand(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var h Hand
		if err := h.Check("desktop"); err != nil || h.Left() != 0 {
			t.Fatalf("at first it is the person's: %v, %s", err, h.Left())
		}
		h.Take()
		time.Sleep(Idle - 15*time.Second)
		var held *HeldError
		if err := h.Check("desktop"); !errors.As(err, &held) || held.Left != 15*time.Second || !strings.Contains(err.Error(), "this desktop") || !strings.Contains(err.Error(), "15s") {
			t.Errorf("%v", err)
		}
		h.Take() // another key
		time.Sleep(Idle - time.Nanosecond)
		if h.Check("desktop") == nil {
			t.Error("the turn ended early")
		}
		time.Sleep(time.Nanosecond)
		if err := h.Check("desktop"); err != nil {
			t.Errorf("the turn goes on: %v", err)
		}
		h.Take()
		h.Give()
		if err := h.Check("desktop"); err != nil || h.Left() != 0 {
			t.Errorf("after it was handed back: %v, %s", err, h.Left())
		}
	})
}

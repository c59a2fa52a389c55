package emulator

import (
	"testing"
	"testing/synctest"
	"time"
)

// The output of a command that has ended is waited for while more of it comes, and a
// background process that holds it open, or writes forever, does not hold up the answer.
func TestAwaitOutput(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		size := func() int { return min(int(time.Since(begin)/(drainGrace/2)), 3) }
		awaitOutput(make(chan struct{}), size)
		if took, want := time.Since(begin), 5*drainGrace/2; took != want {
			t.Errorf("it took %s, want %s", took, want)
		}
		begin = time.Now()
		awaitOutput(make(chan struct{}), func() int { return int(time.Since(begin)) })
		if took, want := time.Since(begin), 3*drainGrace; took != want {
			t.Errorf("beside a process that writes forever, it took %s, want %s", took, want)
		}
		begin = time.Now()
		drained := make(chan struct{})
		time.AfterFunc(time.Millisecond, func() { close(drained) })
		awaitOutput(drained, func() int { return 0 })
		if took := time.Since(begin); took != time.Millisecond {
			t.Errorf("with its end, it took %s", took)
		}
	})
}

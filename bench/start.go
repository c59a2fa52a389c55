package main

import (
	"context"
	"fmt"
	"os/exec"
	"time"
)

const startRounds = 25

// measureStart measures from the start of the process to the answer of
// initialize, beside the start of a process that does nothing.
func measureStart(ctx context.Context, l *lab) (string, error) {
	var nothing, first times
	var idle float64
	for i := range startRounds {
		started := time.Now()
		if err := exec.CommandContext(ctx, "true").Run(); err != nil {
			return "", err
		}
		nothing = append(nothing, time.Since(started))
		started = time.Now()
		b, err := l.start(ctx, false)
		if err != nil {
			return "", err
		}
		w := &stdioWire{era: legacy, in: b.stdin, pending: map[string]*pending{}}
		go w.read(b.stdout)
		if err := initialize(ctx, w); err != nil {
			b.stop()
			return "", err
		}
		first = append(first, time.Since(started))
		if i == 0 {
			// Idle is what it settles at, not what it just took to start.
			select {
			case <-time.After(2 * time.Second):
			case <-ctx.Done():
			}
			idle, _, err = b.memory()
		}
		b.stop()
		if err != nil {
			return "", err
		}
	}
	t := newTable("", "median", "p90", "target")
	t.row("start of `true` to its end", ms(nothing.at(0.5))+" ms", ms(nothing.at(0.9))+" ms", "")
	t.row("start to the answer of initialize", ms(first.at(0.5))+" ms", ms(first.at(0.9))+" ms", "under 25 ms: "+verdict(first.at(0.5) < 25*time.Millisecond))
	t.row("resident memory, idle", fmt.Sprintf("%.1f MB", idle), "", "under 25 MB: "+verdict(idle < 25))
	return fmt.Sprintf("### Start\n\n%d starts over stdio, in turn with those of a program that does nothing.\n\n%s", startRounds, t), nil
}

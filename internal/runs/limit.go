package runs

import (
	"errors"
	"fmt"
)

// maxUnderWay bounds what the texts of a caller's runs take, messages included, when
// another run is to begin.
const maxUnderWay = 128 << 20

// ErrLimit says that a caller has as many runs under way as it may have.
var ErrLimit = errors.New("too many runs are under way")

// nextRun is what to do where no more runs may begin.
const nextRun = "wait_run waits for one to end, cancel_run ends one"

// underWay counts the runs that this process began, or took up, and what their texts
// take; m.mu is held.
func (m *Manager) underWay(resumed bool) (count, bytes int) {
	for _, l := range m.live {
		if _, over := l.endedAt(); !over && l.Resumed() == resumed {
			count++
			bytes += l.size()
		}
	}
	return count, bytes
}

// mayStart reports ErrLimit where one more run that takes so many bytes is too many;
// m.mu is held.
func (m *Manager) mayStart(size int) error {
	count, bytes := m.underWay(false)
	switch limit := m.Config.Limit; {
	case limit > 0 && count >= limit:
		return fmt.Errorf("%w: %d, the most that one caller may have at once; %s", ErrLimit, limit, nextRun)
	case count > 0 && bytes+size > maxUnderWay:
		return fmt.Errorf("%w: with this one, their messages and replies would take %d MiB, and those of one caller may take %d; %s",
			ErrLimit, (bytes+size)>>20, maxUnderWay>>20, nextRun)
	}
	return nil
}

// mayTakeUp is mayStart for a run that began elsewhere. Those count apart: who has begun
// all that it may can still follow and cancel what it has at other processes.
func (m *Manager) mayTakeUp() error {
	if count, _ := m.underWay(true); m.Config.Limit > 0 && count >= m.Config.Limit {
		return fmt.Errorf("%w: %d were taken up from their handles, the most that one caller may have at once; "+
			"a run that nobody waits for is let go after a few minutes, and goes on all the same", ErrLimit, count)
	}
	return nil
}

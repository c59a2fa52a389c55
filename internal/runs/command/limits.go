package command

import (
	"errors"
	"strings"

	"openclaw-mcp/client"
	"openclaw-mcp/internal/sandbox"
)

// limits is how much of a command's output a service is known to return. Some cut off what is
// more, without a word.
type limits struct {
	whole int  // bytes of an answer that was compared with the command's files, and was all of it
	room  int  // bytes of output that a report may hold; 0: as many as are asked for
	ends  bool // it returned the white space at an output's end
}

const (
	surelyWhole = 2 << 10 // bytes that every service returns whole
	leastRoom   = 256     // less is not worth a request
)

func received(res client.ExecResult) int {
	return len(res.Stdout.Head) + len(res.Stdout.Tail) + len(res.Stderr.Head) + len(res.Stderr.Tail)
}

// mayBeCut reports whether an answer has more output than its service is known to return whole,
// or may have lost the white space at its ends: most outputs end with a line break.
func (svc *Service) mayBeCut(instance string, res client.ExecResult) bool {
	ended, open := false, false
	for _, o := range []client.Output{res.Stdout, res.Stderr} {
		switch text := o.Head + o.Tail; {
		case strings.HasSuffix(text, "\n"):
			ended = true
		case text != "":
			open = true
		}
	}
	svc.mu.Lock()
	defer svc.mu.Unlock()
	l := svc.limits[instance]
	l.ends = l.ends || ended
	svc.limits[instance] = l
	return received(res) > max(surelyWhole, l.whole) || open && !l.ends
}

// isWhole reports whether an answer has all that the command wrote, the line break at its end
// aside, which many a service trims. It notes that.
func (svc *Service) isWhole(instance string, res client.ExecResult, s pollState) bool {
	n := received(res)
	if s.state != stateExited || int64(n+1) < s.outSize+s.errSize {
		return false
	}
	svc.mu.Lock()
	defer svc.mu.Unlock()
	l := svc.limits[instance]
	l.whole, l.ends = max(l.whole, n), l.ends || n > 0 && int64(n) == s.outSize+s.errSize
	svc.limits[instance] = l
	return true
}

// fitting asks for no more output at once than the service returns.
func (svc *Service) fitting(instance string, o pollOptions) pollOptions {
	svc.mu.Lock()
	defer svc.mu.Unlock()
	if room := svc.limits[instance].room; room > 0 {
		o.limit, o.tail = min(o.limit, room), min(o.tail, room/2)
	}
	return o
}

// shrink has later reports hold less, after one that came cut off or garbled. It reports whether
// that may help.
func (svc *Service) shrink(instance string, o pollOptions, err error) bool {
	no, ok := errors.AsType[*sandbox.NoReport](err)
	asked := max(o.limit, 2*o.tail)
	if !ok || !no.Begun || no.TimedOut || asked <= leastRoom {
		return false
	}
	svc.mu.Lock()
	defer svc.mu.Unlock()
	l := svc.limits[instance]
	if room := max(asked/2, leastRoom); l.room == 0 || room < l.room {
		l.room = room
	}
	svc.limits[instance] = l
	return true
}

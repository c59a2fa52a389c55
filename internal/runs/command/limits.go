package command

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"openclaw-mcp/client"
	"openclaw-mcp/internal/sandbox"
)

// limits is how much of a command's output a service is known to return. Some cut off what is
// more, without a word.
type limits struct {
	whole int  // bytes of an answer that was compared with the command's files, or with what a probe printed, and was all of it
	most  int  // bytes that came of a probe that printed more; 0: none did
	room  int  // bytes of output that a report may hold; 0: as many as are asked for
	ends  bool // it returned the white space at an output's end
}

const (
	surelyWhole = 2000 // bytes that every service returns whole: those that cut at 2 KiB may trim them, too
	leastRoom   = 256  // less is not worth a request
)

func received(res client.ExecResult) int {
	return len(res.Stdout.Head) + len(res.Stdout.Tail) + len(res.Stderr.Head) + len(res.Stderr.Tail)
}

// printed is how many bytes of output came, also those that were not kept.
func printed(res client.ExecResult) int {
	return received(res) + int(res.Stdout.Omitted+res.Stderr.Omitted)
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
	l.whole = max(l.whole, n)
	svc.limits[instance] = l
	return true
}

// probeMore is how many bytes more than an answer had a probe prints.
const probeMore = 1 << 10

// cutAt finds out whether the answer to a command without files may have been cut off, and after how
// many bytes its service does that; 0 is for no. The shell prints a little more, in lines as long.
func (svc *Service) cutAt(ctx context.Context, instance string, res client.ExecResult) int {
	n := printed(res)
	svc.mu.Lock()
	l := svc.limits[instance]
	svc.mu.Unlock()
	if n <= max(surelyWhole, l.whole) || res.Truncated {
		return 0
	}
	if l.most == 0 {
		lines := strings.Count(res.Stdout.Head+res.Stderr.Head, "\n")
		line := strings.Repeat("x", min(max(received(res)/(lines+1)-1, 1), 1000))
		probe, err := svc.c.Terminal.Exec(ctx, instance, client.ExecRequest{
			Command: fmt.Sprintf("yes %s 2>/dev/null | head -c %d", line, n+probeMore), Timeout: scriptTimeout,
		})
		if err != nil || !strings.Contains(probe.Stdout.Head, line) {
			return 0
		}
		svc.mu.Lock()
		defer svc.mu.Unlock()
		l = svc.limits[instance]
		if came := printed(probe); came < n+probeMore-1 { // the line break at its end may be trimmed
			l.most = came
		} else {
			l.whole = max(l.whole, n+probeMore)
		}
		svc.limits[instance] = l
	}
	if n < l.most*7/8 { // some cut at the end of a line
		return 0
	}
	return l.most
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

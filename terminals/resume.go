package terminals

import (
	"context"
	"fmt"
	"time"

	"openclaw-mcp/client"
)

const (
	// resumeAttempts and resumePause bound how a broken connection is made again.
	resumeAttempts = 4
	resumePause    = 500 * time.Millisecond
	// resumeAnswer is how long the service may take to say whose shell it is.
	resumeAnswer = 5 * time.Second
)

// resume connects again where the service can name a shell. It gives nil when
// the shell is lost.
func (t *terminal) resume(old *client.TerminalConn, cause error) *client.TerminalConn {
	session := old.Session()
	if session == "" {
		t.finish(StatusLost, "the shell was lost: "+cause.Error(), cause)
		return nil
	}
	o := t.options
	o.Session, o.Family = session, old.Family()
	why := cause
	for attempt := range resumeAttempts {
		if attempt > 0 {
			timer := time.NewTimer(resumePause << (attempt - 1))
			select {
			case <-timer.C:
			case <-t.ctx.Done():
				timer.Stop()
				return nil
			}
		}
		conn, err := t.client.Terminal.Open(t.ctx, t.instance, o)
		if err != nil {
			why = err
			continue
		}
		ours, err := t.recognise(conn, session)
		if ours {
			t.mu.Lock()
			if t.status != StatusOpen {
				t.mu.Unlock()
				_ = conn.Close()
				return nil
			}
			t.conn = conn
			t.notes = append(t.notes, "the connection broke and was made again; the shell is the same, but what was printed or typed in between may be lost: look before typing again")
			t.tell()
			t.mu.Unlock()
			return conn
		}
		_ = conn.Close()
		why = err
		if err == nil {
			why = fmt.Errorf("%w; the service gave another shell in its place, which was closed again", cause)
		}
	}
	if t.ctx.Err() == nil {
		t.finish(StatusLost, "the shell was lost: "+why.Error(), cause)
	}
	return nil
}

// recognise waits for the service to say whether a shell is the one from before.
func (t *terminal) recognise(conn *client.TerminalConn, session string) (bool, error) {
	ctx, cancel := context.WithTimeout(t.ctx, resumeAnswer)
	defer cancel()
	for {
		ev, err := conn.Next(ctx)
		switch {
		case err != nil && ctx.Err() != nil && t.ctx.Err() == nil:
			return false, nil // it says nothing of it
		case err != nil:
			return false, err
		case ev.Resumed && (!ev.Attached || conn.Session() == session):
			t.take(ev)
			return true, nil
		case ev.Attached || ev.Output != "":
			return false, nil
		}
	}
}

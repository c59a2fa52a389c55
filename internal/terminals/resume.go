package terminals

import (
	"context"
	"errors"
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

// resume connects again where the shell is kept, or where the service can name
// it. It gives nil when the shell is lost.
func (t *terminal) resume(old link, cause error) link {
	if t.place.keeper != "" {
		return t.resumeKept(cause)
	}
	session := old.Session()
	if session == "" {
		t.finish(StatusLost, "the shell was lost: "+cause.Error(), cause)
		return nil
	}
	o := t.options
	o.Session, o.Family = session, old.Family()
	why := cause
	for attempt := range resumeAttempts {
		if !t.pause(attempt) {
			return nil
		}
		conn, err := t.manager.cfg.Client.Terminal.Open(t.ctx, t.instance, o)
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

// pause waits before another attempt. It is false when the terminal has ended.
func (t *terminal) pause(attempt int) bool {
	if attempt == 0 {
		return t.ctx.Err() == nil
	}
	timer := time.NewTimer(resumePause << (attempt - 1))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-t.ctx.Done():
		return false
	}
}

// resumeKept connects again with the keeper.
func (t *terminal) resumeKept(cause error) link {
	for attempt := range resumeAttempts {
		if !t.pause(attempt) {
			return nil
		}
		p, err := t.manager.prepare(t.ctx, t.instance, t.id, false, 0, 0)
		var gone *shellGone
		if errors.As(err, &gone) {
			t.mu.Lock()
			t.exitCode = gone.code
			t.mu.Unlock()
			status := StatusExited
			if gone.code == nil {
				status = StatusLost
			}
			t.finish(status, gone.Error(), cause)
			return nil
		}
		if err == nil && errors.Is(cause, errLetGo) && attempt == 0 {
			// Two that took it from each other in turn would do so for ever.
			t.finish(StatusMoved, "another process of this server has taken it up", nil)
			t.manager.forget(t.id)
			return nil
		}
		var conn *keeperLink
		var shown *snapshot
		if err == nil {
			conn, shown, err = t.manager.attach(t.ctx, t.instance, t.id, t.options, p, false)
		}
		if err != nil {
			cause = err
			continue
		}
		t.mu.Lock()
		open := t.status == StatusOpen
		if open {
			t.conn = conn
			note := "the connection broke and was made again"
			if shown != nil {
				t.show(shown)
				note += "; what was printed meanwhile is on the screen and in the scrollback only"
			} else {
				note += "; the shell is the same, but what was printed meanwhile may be lost: look before typing again"
			}
			t.notes = append(t.notes, note)
			t.tell()
		}
		t.mu.Unlock()
		if !open {
			_ = conn.Close()
			return nil
		}
		t.manager.cfg.Budget.settle(t)
		return conn
	}
	if t.ctx.Err() == nil {
		t.finish(StatusLost, "the connection was lost, and the shell may still be there: "+cause.Error(), cause)
		t.manager.forget(t.id) // a later call looks for it
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

package emulator

import (
	"context"
	"strings"
	"sync"
	"time"
)

// Reasons for which a reply ended.
const (
	stopDone    = "stop"
	stopError   = "error"
	stopAborted = "aborted"
)

// run is one reply in the making. It belongs to no request: any number of
// streams read along, each at its own pace, and none of them can stop it.
type run struct {
	id      string
	session string
	user    Message // the message that it answers
	started time.Time
	done    chan struct{} // closed when the reply is stored

	mu      sync.Mutex
	events  []AgentEvent
	changed chan struct{} // closed and replaced at every event, and at the end
	final   *Message      // the stored reply, once done
}

// since gives the events from the n-th on, the stored reply if there is one,
// and a channel that closes when there is more.
func (r *run) since(n int) (events []AgentEvent, final *Message, changed <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.events[n:len(r.events):len(r.events)], r.final, r.changed
}

func (r *run) wakeLocked() {
	close(r.changed)
	r.changed = make(chan struct{})
}

// startRun stores a user message and has the agent answer it. Without a session
// id it goes to the newest session, or a new one.
func (s *Server) startRun(in *instance, sessionID, message string) (*run, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if in.status != statusReady {
		return nil, notReady(in.status)
	}
	sess, err := in.pickSessionLocked(sessionID)
	if err != nil {
		return nil, err
	}
	if sess == nil {
		sess = s.addSessionLocked(in, "")
	}
	r := &run{
		id:      newID(),
		session: sess.id,
		user:    s.addMessageLocked(sess, Message{Role: roleUser, Text: message}),
		started: time.Now(),
		done:    make(chan struct{}),
		changed: make(chan struct{}),
	}
	previous := sess.last
	sess.last = r
	ctx := in.life
	// Close sets the status under the same lock before it waits.
	s.work.Go(func() {
		if previous != nil {
			<-previous.done // ends soon after ctx does
		}
		s.answer(ctx, in, sess, r)
	})
	return r, nil
}

// answer runs the agent and stores what it says.
func (s *Server) answer(ctx context.Context, in *instance, sess *session, r *run) {
	var text strings.Builder
	emit := func(ev AgentEvent) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		switch ev.Kind {
		case Text:
			if ev.Text == "" {
				return nil
			}
			text.WriteString(ev.Text)
		case ToolStart, ToolUpdate, ToolEnd:
			tool := *ev.Tool // the agent may go on using its own
			ev.Tool = &tool
		}
		if ev.Kind == ToolEnd {
			s.mu.Lock()
			s.addMessageLocked(sess, Message{Role: roleTool, Text: ev.Tool.Result, ToolCallID: ev.Tool.ID,
				ToolName: ev.Tool.Name, ToolArgs: ev.Tool.Args, IsError: ev.Tool.IsError})
			s.mu.Unlock()
		}
		r.mu.Lock()
		r.events = append(r.events, ev)
		r.wakeLocked()
		r.mu.Unlock()
		if ev.Kind == Text && s.opts.Pace > 0 {
			return sleep(ctx, s.opts.Pace)
		}
		return nil
	}

	reply := Message{Role: roleAssistant, StopReason: stopDone}
	err := ctx.Err()
	if err == nil {
		s.mu.Lock()
		var history []Message
		for _, m := range sess.messages {
			// Messages that wait for their own reply are none of it.
			if m.Role != roleUser || m.CreatedAt.Before(r.user.CreatedAt) {
				history = append(history, m)
			}
		}
		s.mu.Unlock()
		err = s.opts.Agent.Reply(ctx, Turn{
			Instance: in.id, Session: sess.id, Message: r.user.Text, History: history, Workspace: in.workspace,
			Run: func(ctx context.Context, command string, timeout time.Duration) (ExecOutput, error) {
				return s.runForAgent(ctx, in, command, timeout)
			},
		}, emit)
	}
	switch {
	case ctx.Err() != nil:
		reply.StopReason, reply.Error = stopAborted, "The instance was stopped during the reply"
	case err != nil:
		reply.StopReason, reply.Error = stopError, err.Error()
	}
	reply.Text = text.String()

	s.mu.Lock()
	reply = s.addMessageLocked(sess, reply)
	s.mu.Unlock()
	r.mu.Lock()
	r.final = &reply
	r.wakeLocked()
	r.mu.Unlock()
	close(r.done)
}

// sleep pauses for d, or until ctx ends.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

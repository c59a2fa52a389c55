package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"

	"openclaw-mcp/client"
	"openclaw-mcp/internal/fleet"
	"openclaw-mcp/internal/runs"
	"openclaw-mcp/internal/sandbox"
)

// A command has a claim where it has an idempotency key, and, until its call is
// answered, where it has none: a process may be killed before its caller has so much as
// a handle, and the caller's client then calls again. Whoever finds the claim of a
// command that may not have started sends the start once more, under the same id: the
// sandbox starts each id once.

// ErrKeyReused is the answer to an idempotency key that comes with another command than
// before.
var ErrKeyReused = errors.New("this idempotency_key was used before with another command, cwd or timeout_seconds: nothing was started; use a new key for a new command")

const (
	joinedKey  = "an earlier call with this idempotency_key started the command; nothing was started again"
	joinedCall = "the same command was started by a process that was killed before it answered; this is that command, and nothing was started again"
)

// Started is a command as Start gives it.
type Started struct {
	runs.Run
	Joined   string // why nothing was started; "": it was
	answered func()
}

// Answered says that the caller has an answer to its call, so that the same command
// called again is another one.
func (s Started) Answered() {
	if s.answered != nil {
		s.answered()
	}
}

// hash tells requests apart.
func (r Request) hash() uint64 {
	b, _ := json.Marshal([]any{r.Command, r.Dir, r.Timeout})
	h := fnv.New64a()
	_, _ = h.Write(b)
	return h.Sum64()
}

// claimed is a request with what is claimed for it.
type claimed struct {
	state  runs.State
	claim  *runs.Claim // nil: there is none
	run    runs.Run    // the command is there already
	joined string
	end    func() // of the call; nil: it has a key
}

// claim claims a request, or finds the command that it repeats.
func (svc *Service) claim(ctx context.Context, req Request, state runs.State) (claimed, error) {
	if req.IdempotencyKey == "" {
		return svc.claimCall(ctx, req, state), nil
	}
	const asking = "asking your other processes about the idempotency_key"
	c, err := svc.m.Claim(ctx, "command/"+req.Instance+"\x00"+req.IdempotencyKey, req.hash(), state)
	switch {
	case err != nil:
		return claimed{}, &client.Error{Op: sandbox.Op, Message: fmt.Sprintf("%s: %v; nothing was started", asking, err), Outcome: client.OutcomeNotSent, Err: err}
	case c.Ours:
		return claimed{state: state, claim: c}, nil
	case c.What != req.hash():
		return claimed{}, ErrKeyReused
	}
	return svc.repeat(c, joinedKey)
}

// repeat gives the command that a claim stands for. Where it may not have started, it is
// to be started under its id.
func (svc *Service) repeat(c *runs.Claim, joined string) (claimed, error) {
	svc.mu.Lock()
	_, here := svc.starting[c.State.ID]
	svc.mu.Unlock()
	if !c.Sent && !here && c.State.Flags&flagDetached != 0 {
		return claimed{state: c.State, claim: c, joined: joined}, nil
	}
	run, err := svc.openClaimed(c)
	return claimed{state: c.State, run: run, joined: joined}, err
}

// openClaimed opens the run of a claim.
func (svc *Service) openClaimed(c *runs.Claim) (runs.Run, error) {
	if c.State.Flags&flagDetached != 0 {
		return svc.open(c.State)
	}
	l, err := svc.m.TakeUp(c.State, func(l *runs.Live) runs.Work { return &attached{Live: l, claim: c} })
	if err != nil {
		return nil, err
	}
	return l.Work().(*attached).reader(runs.State{}), nil
}

// claimCall claims a request without a key until its call is answered.
func (svc *Service) claimCall(ctx context.Context, req Request, state runs.State) claimed {
	call := svc.m.ClaimCall(ctx, fmt.Sprintf("command/%s\x00%x", req.Instance, req.hash()), req.hash(), state)
	answered := func() { call.Answered(ctx) }
	if call.Found {
		if found, err := svc.repeat(call.Claim, joinedCall); err == nil {
			found.claim, found.end = nil, answered // it lasts as long as the call
			return found
		}
	}
	return claimed{state: state, end: answered}
}

// started notes what is known of the start of a claimed command.
func (svc *Service) started(ctx context.Context, c *runs.Claim, state runs.State, o outcome, stopped bool) {
	if c == nil || o.plain != nil {
		return // a plain one tells of itself
	}
	switch outcome := outcomeOf(o.err); {
	case stopped:
	case outcome == client.OutcomeUnknown:
		return // whoever repeats it may start it again: the sandbox does that once
	case o.err != nil:
		svc.m.LetGo(ctx, c)
		return
	}
	if err := c.Sending(context.WithoutCancel(ctx), state); err != nil && !errors.Is(err, fleet.ErrChanged) {
		svc.m.Config.Log.Debug("the start of a command could not be noted", "error", err)
	}
}

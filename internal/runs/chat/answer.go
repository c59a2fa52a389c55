package chat

import (
	"context"
	"errors"
	"strconv"
	"time"

	"openclaw-mcp/internal/runs"
)

// ErrAnswered is the answer to an answer that comes too late.
var ErrAnswered = errors.New("this question no longer waits: somebody has answered it, or has written to its session since. Nothing was sent")

// Answer sends an answer to what the agent asked at the end of the reply of a state. A
// question is answered once, by whichever caller of the key: who comes later gets
// ErrAnswered. Who repeats an answer joins the first.
func (s *Service) Answer(ctx context.Context, question runs.State, message string) (runs.Run, error) {
	s.mu.Lock()
	r, err := s.takeUp(question, 0)
	s.mu.Unlock()
	if err != nil {
		return nil, err
	}
	question = r.State()
	req := Request{Instance: question.Instance, Session: question.Session, Message: message, IdempotencyKey: "answer to " + question.ID}
	letGo := func() {}
	if _, repeated, err := s.m.FindClaim(ctx, claimName(req)); err == nil && !repeated {
		if letGo, err = s.claimQuestion(ctx, r, question); err != nil {
			return nil, err
		}
	}
	run, _, err := s.Send(ctx, req)
	if errors.Is(err, ErrKeyReused) {
		return nil, ErrAnswered
	}
	if err != nil {
		letGo()
	}
	return run, err
}

// claimQuestion claims the last word of a session, which is what a question waits as.
// Callers of a key share its sessions but not their runs, and one last word may end the
// replies of two. Where the history does not tell, the caller's own claim has to do.
func (s *Service) claimQuestion(ctx context.Context, r *reply, question runs.State) (letGo func(), err error) {
	letGo = func() {}
	d := runs.NewDecoder(question.Own)
	was := beforeOf(question, d.Uint64())
	look := &reply{Live: r.Live, s: s, instance: question.Instance, was: was}
	page, _, err := look.history(ctx)
	rows, _, _ := added(was, page.Items)
	rows, _ = asked(rows, 0)
	if err != nil || len(rows) == 0 {
		return letGo, nil
	}
	m := matchHistory(was, sent{sum: d.Uint64(), at: question.Started, now: time.Now(), accepted: true}, page.Items, nil)
	if m.verdict == found && m.closed {
		return nil, ErrAnswered
	}
	if m.newest.ID == "" && m.newest.CreatedAt.IsZero() {
		return letGo, nil // the same words later would be another question
	}
	ids := identities(rows)
	name := "answer/" + placeOf(question) + "\x00" + strconv.FormatUint(ids[len(ids)-1], 36)
	fact, ours, err := s.m.Config.OfKey.Create(ctx, name, []byte(question.ID))
	switch {
	case err != nil:
		s.m.Config.Log.Debug("other callers can't be told that a question is answered", "error", err)
	case ours:
		letGo = func() { _ = s.m.Config.OfKey.Forget(context.WithoutCancel(ctx), fact) }
	case string(fact.Value) != question.ID:
		return nil, ErrAnswered
	}
	return letGo, nil
}

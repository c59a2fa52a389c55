package transfers

import (
	"context"
	"fmt"
	"slices"

	"openclaw-mcp/internal/runs"
)

const joinedTransfer = "the same transfer is under way; this call joins it"

// claim claims a transfer for as long as it takes, or gives the run that another
// process has of it. Where nobody can be asked, both do it: what is in place already is
// left. The transfer of a process that is gone is done again under its own ID, so that
// the parts that it left are used and cleared away.
func (s *Service) claim(ctx context.Context, h runs.State, st state) (*runs.Claim, runs.Run) {
	st.ID = "" // the rest says what is to be done
	c, err := s.m.Claim(ctx, fmt.Sprintf("transfer/%s\x00%s\x00%s", st.Kind, st.Instance, st.own()), 0, h)
	switch {
	case err != nil:
		return nil, nil
	case c.Ours:
		return c, nil
	case s.ended(c.State.ID):
	case s.m.HasOwner(ctx, c.State.ID):
		if run, err := s.open(c.State); err == nil {
			return nil, run
		}
		return nil, nil
	default:
		h.ID = c.State.ID
	}
	if c.Replace(ctx, 0, h) != nil {
		return nil, nil
	}
	return c, nil
}

// ended reports whether a transfer of this process has ended; it lets its claim go just
// behind that.
func (s *Service) ended(id string) bool {
	return slices.ContainsFunc(s.m.All(), func(l *runs.Live) bool { return l.State().ID == id && l.Status().Over() })
}

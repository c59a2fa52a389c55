package terminals

import (
	"errors"

	"openclaw-mcp/internal/seal"
)

// ErrHandle is the one answer to a handle that can't be opened, whatever is
// wrong with it.
var ErrHandle = errors.New("this is not a terminal handle of yours: handles are the `terminal` values of open_terminal, " +
	"valid only for the API key and the caller that they were given to; pass one unchanged")

// ErrElsewhere is the answer to a handle of another process.
var ErrElsewhere = errors.New("this terminal was opened by another process of this server, or before a restart: " +
	"a terminal lives and dies with the process that opened it, and can't be reached from here")

// ErrGone is the answer to the handle of a terminal that was closed.
var ErrGone = errors.New("this terminal is closed, and what it showed is no longer kept")

const (
	handlePrefix  = "term_"
	handleVersion = 1
	maxHandle     = 1024
	idLength      = 8 // bytes of a terminal's and of a process's id
)

// handleState is what a handle carries. The instance is there so that a handle
// says on its own what it belongs to.
type handleState struct {
	owner, id string // idLength bytes each
	instance  string
}

// sealer seals handles, bound to one principal.
type sealer struct{ *seal.Sealer }

func newSealer(apiKey, principal string) (*sealer, error) {
	s, err := seal.New([]byte(apiKey), "terminal handle v1", principal, handlePrefix, maxHandle)
	return &sealer{s}, err
}

func (s *sealer) seal(h handleState) string {
	return s.Seal(append([]byte{handleVersion}, h.owner+h.id+h.instance...))
}

func (s *sealer) open(handle string) (handleState, error) {
	plain, ok := s.Open(handle)
	if !ok || len(plain) < 1+2*idLength || plain[0] != handleVersion {
		return handleState{}, ErrHandle
	}
	rest := string(plain[1:])
	return handleState{owner: rest[:idLength], id: rest[idLength : 2*idLength], instance: rest[2*idLength:]}, nil
}

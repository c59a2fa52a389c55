package terminals

import (
	"errors"

	"openclaw-mcp/internal/seal"
)

// ErrHandle is the one answer to a handle that can't be opened, whatever is
// wrong with it.
var ErrHandle = errors.New("this is not a terminal handle of yours: handles are the `terminal` values of open_terminal, " +
	"valid only for the API key and the caller that they were given to; pass one unchanged")

// ErrElsewhere is the answer to a handle of another process, where nothing but that
// process keeps the shell.
var ErrElsewhere = errors.New("nothing was done: this terminal belonged to another process of this server, which has ended or can't be reached, " +
	"and its instance has no tmux (or abduco, dtach, screen) to keep the shell; open_terminal starts a new one")

// ErrGone is the answer to the handle of a terminal that was closed.
var ErrGone = errors.New("this terminal is closed, and what it showed is no longer kept")

const (
	handlePrefix  = "term_"
	handleVersion = 1 // the shell is its connection's
	handleKept    = 2 // the shell is kept in the instance
	maxHandle     = 1024
	idLength      = 8 // bytes of a terminal's and of a process's id
)

// handleState is what a handle carries. The instance is there so that a handle
// says on its own what it belongs to.
type handleState struct {
	owner, id string // idLength bytes each
	instance  string
	kept      bool
}

// sealer seals handles, bound to one principal.
type sealer struct{ *seal.Sealer }

func newSealer(apiKey, principal string) (*sealer, error) {
	s, err := seal.New([]byte(apiKey), "terminal handle v1", principal, handlePrefix, maxHandle)
	return &sealer{s}, err
}

func (s *sealer) seal(h handleState) string {
	version := byte(handleVersion)
	if h.kept {
		version = handleKept
	}
	return s.Seal(append([]byte{version}, h.owner+h.id+h.instance...))
}

func (s *sealer) open(handle string) (handleState, error) {
	plain, ok := s.Open(handle)
	if !ok || len(plain) < 1+2*idLength || plain[0] != handleVersion && plain[0] != handleKept {
		return handleState{}, ErrHandle
	}
	rest := string(plain[1:])
	return handleState{owner: rest[:idLength], id: rest[idLength : 2*idLength], instance: rest[2*idLength:], kept: plain[0] == handleKept}, nil
}

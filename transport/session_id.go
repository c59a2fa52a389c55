package transport

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"sync"
	"time"

	"github.com/mark3labs/mcp-go/mcp"

	"openclaw-mcp/internal/seal"
)

// A session id carries what a server has to know of the session, sealed with its
// principal's credential and bound to its name. So any replica with that
// credential serves the session, also after a restart; and nobody else's id,
// stolen or guessed, opens anything.
const (
	sessionIDPrefix  = "mcp_"
	sessionIDVersion = 1
	maxSessionID     = 256
)

var errSessionID = errors.New("not a session of this caller")

// sessionState is what a session id carries.
type sessionState struct {
	started     time.Time // to the second
	protocol    string
	elicitation bool // the client can put a form to its user
	pages       bool // it can send its user to a page
	roots       bool
}

// sessionIDs seals and opens session ids.
type sessionIDs struct {
	fallback [32]byte // of principals without a credential; this process only
	mu       sync.Mutex
	sealers  map[Principal]*seal.Sealer
}

func newSessionIDs() *sessionIDs {
	s := &sessionIDs{sealers: make(map[Principal]*seal.Sealer)}
	_, _ = rand.Read(s.fallback[:]) // never fails
	return s
}

// maxSealers bounds how many principals' keys are kept derived.
const maxSealers = 1024

func (s *sessionIDs) of(p Principal) (*seal.Sealer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if of, ok := s.sealers[p]; ok {
		return of, nil
	}
	of, err := seal.New(s.secret(p), "session id v1", p.Name, sessionIDPrefix, maxSessionID)
	if err != nil {
		return nil, err
	}
	if len(s.sealers) >= maxSealers {
		clear(s.sealers)
	}
	s.sealers[p] = of
	return of, nil
}

// secret is what the keys of a principal's sealed texts are derived from.
func (s *sessionIDs) secret(p Principal) []byte {
	if p.Key == "" {
		return s.fallback[:]
	}
	return []byte(p.Key)
}

func (s *sessionIDs) seal(p Principal, st sessionState) (string, error) {
	of, err := s.of(p)
	if err != nil {
		return "", err
	}
	b := []byte{sessionIDVersion, 0}
	if st.elicitation {
		b[1] |= 1
	}
	if st.roots {
		b[1] |= 2
	}
	if st.pages {
		b[1] |= 4
	}
	b = binary.BigEndian.AppendUint64(b, uint64(st.started.Unix()))
	b = append(b, st.protocol...)
	return of.Seal(b), nil
}

func (s *sessionIDs) open(p Principal, id string) (sessionState, error) {
	var st sessionState
	of, err := s.of(p)
	if err != nil {
		return st, err
	}
	b, ok := of.Open(id)
	if !ok || len(b) < 10 || b[0] != sessionIDVersion {
		return st, errSessionID
	}
	st.elicitation, st.roots, st.pages = b[1]&1 != 0, b[1]&2 != 0, b[1]&4 != 0
	st.started = time.Unix(int64(binary.BigEndian.Uint64(b[2:10])), 0)
	st.protocol = string(b[10:])
	return st, nil
}

// stateOf is what a session's id has to carry once it is initialized.
func stateOf(s *session) sessionState {
	s.mu.Lock()
	defer s.mu.Unlock()
	return sessionState{started: s.started, protocol: s.version, elicitation: asksForms(s.caps), pages: opensPages(s.caps), roots: s.caps.Roots != nil}
}

// sessionOf makes a session again from what its id carries.
func sessionOf(id string, p Principal, st sessionState) *session {
	s := newSession(id, p)
	s.ready, s.version, s.revived, s.started = true, st.protocol, true, st.started
	if st.elicitation || st.pages {
		s.caps.Elicitation = &mcp.ElicitationCapability{}
	}
	if st.pages {
		s.caps.Elicitation.URL = &struct{}{}
		if st.elicitation {
			s.caps.Elicitation.Form = &struct{}{}
		}
	}
	if st.roots {
		s.caps.Roots = &struct {
			ListChanged bool `json:"listChanged,omitempty"`
		}{}
	}
	return s
}

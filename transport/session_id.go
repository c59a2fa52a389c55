package transport

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"sync"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
)

// A session id carries what a server has to know of the session, sealed with a
// key that is derived from its principal's credential and bound to its name
// (AES-256-GCM, HKDF). So any replica with that credential serves the session,
// also after a restart; and nobody else's id, stolen or guessed, opens anything.
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
	elicitation bool // the client can ask its user
	roots       bool
}

// sessionIDs seals and opens session ids.
type sessionIDs struct {
	fallback [32]byte // of principals without a credential; this process only
	mu       sync.Mutex
	aeads    map[Principal]cipher.AEAD
}

func newSessionIDs() *sessionIDs {
	s := &sessionIDs{aeads: make(map[Principal]cipher.AEAD)}
	_, _ = rand.Read(s.fallback[:]) // never fails
	return s
}

// maxAEADs bounds the keys that are kept derived.
const maxAEADs = 1024

func (s *sessionIDs) aead(p Principal) (cipher.AEAD, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a, ok := s.aeads[p]; ok {
		return a, nil
	}
	secret := []byte(p.Key)
	if len(secret) == 0 {
		secret = s.fallback[:]
	}
	key, err := hkdf.Key(sha256.New, secret, []byte("openclaw-mcp"), "session id v1", 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	a, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, err
	}
	if len(s.aeads) >= maxAEADs {
		clear(s.aeads)
	}
	s.aeads[p] = a
	return a, nil
}

func (s *sessionIDs) seal(p Principal, st sessionState) (string, error) {
	a, err := s.aead(p)
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
	b = binary.BigEndian.AppendUint64(b, uint64(st.started.Unix()))
	b = append(b, st.protocol...)
	// The random nonce makes every id a different one.
	return sessionIDPrefix + base64.RawURLEncoding.EncodeToString(a.Seal(nil, nil, b, []byte(p.Name))), nil
}

func (s *sessionIDs) open(p Principal, id string) (sessionState, error) {
	var st sessionState
	if len(id) > maxSessionID || len(id) < len(sessionIDPrefix) || id[:len(sessionIDPrefix)] != sessionIDPrefix {
		return st, errSessionID
	}
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(id[len(sessionIDPrefix):])
	if err != nil {
		return st, errSessionID
	}
	a, err := s.aead(p)
	if err != nil {
		return st, err
	}
	b, err := a.Open(nil, nil, sealed, []byte(p.Name))
	if err != nil || len(b) < 10 || b[0] != sessionIDVersion {
		return st, errSessionID
	}
	st.elicitation, st.roots = b[1]&1 != 0, b[1]&2 != 0
	st.started = time.Unix(int64(binary.BigEndian.Uint64(b[2:10])), 0)
	st.protocol = string(b[10:])
	return st, nil
}

// stateOf is what a session's id has to carry once it is initialized.
func stateOf(s *session) sessionState {
	s.mu.Lock()
	defer s.mu.Unlock()
	return sessionState{started: s.started, protocol: s.version, elicitation: s.caps.Elicitation != nil, roots: s.caps.Roots != nil}
}

// sessionOf makes a session again from what its id carries.
func sessionOf(id string, p Principal, st sessionState) *session {
	s := newSession(id, p)
	s.ready, s.version, s.revived, s.started = true, st.protocol, true, st.started
	if st.elicitation {
		s.caps.Elicitation = &mcp.ElicitationCapability{}
	}
	if st.roots {
		s.caps.Roots = &struct {
			ListChanged bool `json:"listChanged,omitempty"`
		}{}
	}
	return s
}

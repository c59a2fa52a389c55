package text

import "strings"

// Mask is what stands where a secret was.
const Mask = "***"

const (
	// MinSecret is the shortest secret, in bytes, that is masked: a shorter one is a word that
	// may stand there for itself.
	MinSecret = 12
	// TellsNothing is how many characters of a secret may go out before it is known to be
	// the secret: to hold back every s would have a text that pauses lack its last letter.
	TellsNothing = 3
)

// Secret is masked in texts. It is a function, so that no printing by reflection finds what it
// gives; nil is none.
type Secret func() string

// NewSecret gives s as a secret, nil where it is too short to be masked.
func NewSecret(s string) Secret {
	if len(s) < MinSecret {
		return nil
	}
	return func() string { return s }
}

// In reports whether the secret is in s.
func (secret Secret) In(s string) bool { return secret != nil && strings.Contains(s, secret()) }

// Hide masks the secret in s.
func (secret Secret) Hide(s string) string {
	if secret == nil {
		return s
	}
	return strings.ReplaceAll(s, secret(), Mask)
}

// HideOpen is Hide for a text that goes on: what may be the secret's beginning is left out.
func (secret Secret) HideOpen(s string) string {
	s = secret.Hide(s)
	return s[:len(s)-secret.Begun(s)]
}

// Begun is how many bytes at the end of s may be the beginning of the secret; 0 where they
// would tell nothing.
func (secret Secret) Begun(s string) int {
	if secret == nil {
		return 0
	}
	for n := min(len(secret())-1, len(s)); n > TellsNothing; n-- {
		if strings.HasSuffix(s, secret()[:n]) {
			return n
		}
	}
	return 0
}

// Ended is how many bytes at the start of s may be the end of the secret; 0 where they would
// tell nothing.
func (secret Secret) Ended(s string) int {
	if secret == nil {
		return 0
	}
	key := secret()
	for n := min(len(key)-1, len(s)); n > TellsNothing; n-- {
		if strings.HasPrefix(s, key[len(key)-n:]) {
			return n
		}
	}
	return 0
}

// Masked masks a secret in a text that comes in pieces.
type Masked struct {
	Secret
	pending string // the end of the text, where it may be the secret's beginning
	shown   int    // how much of that is out, in bytes
}

// Next gives what goes out of the text now.
func (m *Masked) Next(piece string) string {
	if m.Secret == nil {
		return piece
	}
	key := m.Secret()
	all := m.pending + piece
	var out strings.Builder
	gone, from := m.shown, 0 // what is out of all, and where the secret may begin
	for {
		i := strings.Index(all[from:], key)
		if i < 0 {
			break
		}
		out.WriteString(all[min(gone, from+i) : from+i])
		out.WriteString(Mask)
		from += i + len(key)
		gone = from
	}
	for from < len(all) && !strings.HasPrefix(key, all[from:]) {
		from = max(from+1, len(all)-len(key)+1)
	}
	m.pending = all[from:]
	end := len(all)
	if len(m.pending) > TellsNothing {
		end = max(from, gone)
	}
	out.WriteString(all[gone:end])
	m.shown = max(0, end-from)
	return out.String()
}

// Rest gives what was held back.
func (m *Masked) Rest() string {
	rest := m.pending[m.shown:]
	m.pending, m.shown = "", 0
	return rest
}

// Holds reports whether Next held anything back.
func (m *Masked) Holds() bool { return len(m.pending) > m.shown }

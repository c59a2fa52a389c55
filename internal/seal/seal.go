// Package seal makes texts that only their maker can read, and nobody can forge:
// handles and session ids, which travel through clients and models. It does the same
// with bytes, for what travels between processes.
package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"strings"
)

// Sealer seals and opens one kind of text for one principal: AES-256-GCM with
// random nonces (NIST SP 800-38D), under a key that HKDF (RFC 5869) derives from
// a secret, the principal's name being authenticated with it. It may be used
// concurrently.
type Sealer struct {
	prefix    string
	limit     int
	aead      cipher.AEAD
	principal []byte
}

// New makes a Sealer. purpose is of this kind alone, and names its version; the
// prefix begins each text. Longer texts than limit, in bytes behind the prefix,
// are not even looked at.
func New(secret []byte, purpose, principal, prefix string, limit int) (*Sealer, error) {
	key, err := hkdf.Key(sha256.New, secret, []byte("openclaw-mcp"), purpose, 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, err
	}
	return &Sealer{prefix: prefix, limit: limit, aead: aead, principal: []byte(principal)}, nil
}

// Seal makes a text of plain; no two are equal.
func (s *Sealer) Seal(plain []byte) string {
	return s.prefix + base64.RawURLEncoding.EncodeToString(s.aead.Seal(nil, nil, plain, s.principal))
}

// Open gives what Seal was given. It reports false for every other text, and
// does not tell why: forged, truncated, of another secret or principal.
func (s *Sealer) Open(text string) (plain []byte, ok bool) {
	text, ok = strings.CutPrefix(strings.TrimSpace(text), s.prefix)
	// The decoder skips line breaks; what it is given has one spelling.
	if !ok || len(text) > s.limit || strings.ContainsAny(text, "\r\n") {
		return nil, false
	}
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil {
		return nil, false
	}
	plain, err = s.aead.Open(nil, nil, sealed, s.principal)
	return plain, err == nil
}

// SealBytes is Seal for what does not travel as text. It opens only together with
// bound, which says what the bytes are for.
func (s *Sealer) SealBytes(plain []byte, bound string) []byte {
	return s.aead.Seal(nil, nil, plain, s.bind(bound))
}

// OpenBytes gives what SealBytes was given, and reports false for all else.
func (s *Sealer) OpenBytes(sealed []byte, bound string) (plain []byte, ok bool) {
	if len(sealed) > s.limit {
		return nil, false
	}
	plain, err := s.aead.Open(nil, nil, sealed, s.bind(bound))
	return plain, err == nil
}

func (s *Sealer) bind(bound string) []byte {
	return append(binary.AppendUvarint(nil, uint64(len(s.principal))), append(s.principal[:len(s.principal):len(s.principal)], bound...)...)
}

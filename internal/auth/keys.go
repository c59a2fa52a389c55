package auth

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"

	text "openclaw-mcp/internal/secret"
)

// KeyHeader is the header in which a caller sends its own OpenClaw API key.
const KeyHeader = "X-OpenClaw-Api-Key"

// maxKey bounds an API key, in bytes.
const maxKey = 512

// Keys knows callers by the OpenClaw API key that each of them sends. OpenClaw
// itself checks the key when it is first used.
type Keys struct{ header string }

// NewKeys reads keys from the given header (empty: KeyHeader) or the bearer token.
func NewKeys(header string) *Keys {
	if header == "" {
		header = KeyHeader
	}
	return &Keys{header}
}

// Authenticate implements Authenticator. Requests with the same key are one caller.
func (k *Keys) Authenticate(r *http.Request) (Caller, error) {
	key, refusal := bearer(r.Header)
	if refusal != nil {
		return Caller{}, refusal
	}
	if values := r.Header.Values(k.header); len(values) > 0 {
		if len(values) > 1 {
			return Caller{}, malformed("the request has %d %s headers; send one", len(values), k.header)
		}
		if key != "" && key != values[0] {
			return Caller{}, malformed("the request has one key in %s and another as the bearer token; send one", k.header)
		}
		key = values[0]
	}
	if key == "" {
		return Caller{}, missing("an OpenClaw API key in the header " + k.header + " or as Authorization: Bearer KEY")
	}
	if len(key) > maxKey || !isWord(key) {
		return Caller{}, malformed("the OpenClaw API key must be one word of at most %d printable ASCII characters", maxKey)
	}
	if err := text.CheckWord(key); err != nil {
		return Caller{}, malformed("the OpenClaw API key %v", err)
	}
	return Caller{Name: nameOfKey(key), Key: key}, nil
}

// nameOfKey is 128 bits of an HMAC: with fewer, somebody who saw a name in a log
// could search for another key with the same name.
func nameOfKey(key string) string {
	mac := hmac.New(sha256.New, []byte("openclaw-mcp name of a caller"))
	mac.Write([]byte(key))
	return "key:" + hex.EncodeToString(mac.Sum(nil)[:16])
}

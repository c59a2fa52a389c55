package auth

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
)

// KeyHeader is where a caller sends an OpenClaw API key of its own.
const KeyHeader = "X-OpenClaw-Api-Key"

// maxKey bounds an API key, in bytes.
const maxKey = 512

// Keys takes the OpenClaw API key that each caller brings. Whether a key is any
// good, the service says on its first use.
type Keys struct{ header string }

// NewKeys reads keys from the given header (empty: KeyHeader) or the bearer token.
func NewKeys(header string) *Keys {
	if header == "" {
		header = KeyHeader
	}
	return &Keys{header}
}

// Authenticate implements Authenticator. Equal keys are one caller.
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
	return Caller{Name: nameOfKey(key), Key: key}, nil
}

// nameOfKey is 128 bits of an HMAC: with fewer, somebody who saw a name in a log
// could search for another key that gives the same one.
func nameOfKey(key string) string {
	mac := hmac.New(sha256.New, []byte("openclaw-mcp name of a caller"))
	mac.Write([]byte(key))
	return "key:" + hex.EncodeToString(mac.Sum(nil)[:16])
}

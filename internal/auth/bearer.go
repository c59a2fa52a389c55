package auth

import (
	"fmt"
	"net/http"
	"strings"
)

// maxCredential bounds a token or key, in bytes.
const maxCredential = 16 << 10

const challenge = `Bearer realm="openclaw-mcp"`

// malformed refuses a request that no credential can be read from.
func malformed(format string, a ...any) *Refusal {
	return &Refusal{Status: http.StatusBadRequest, Challenge: challenge + `, error="invalid_request"`, Message: fmt.Sprintf(format, a...)}
}

// missing refuses a request without a credential. No error code goes with it: a
// client that sent none did nothing wrong yet (RFC 6750, section 3.1).
func missing(want string) *Refusal {
	return &Refusal{Status: http.StatusUnauthorized, Challenge: challenge, Message: "authentication is required: send " + want + "; it is not read from the URL"}
}

// bearer reads the bearer token of a request; it is empty where there is none.
// Another scheme, or none after the word Bearer, counts as no token.
func bearer(h http.Header) (string, *Refusal) {
	values := h.Values("Authorization")
	if len(values) == 0 {
		return "", nil
	}
	if len(values) > 1 {
		return "", malformed("the request has %d Authorization headers; send one", len(values))
	}
	scheme, token, _ := strings.Cut(strings.Trim(values[0], " "), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return "", nil
	}
	token = strings.TrimLeft(token, " ")
	if len(token) > maxCredential {
		return "", malformed("the bearer token has %d bytes; %d are allowed", len(token), maxCredential)
	}
	if !isWord(token) {
		return "", malformed("the Authorization header must have the form Bearer TOKEN, where TOKEN is printable ASCII without spaces")
	}
	return token, nil
}

// isWord reports whether s is printable ASCII without spaces.
func isWord(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' })
}

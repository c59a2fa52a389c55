// Package auth finds out who an HTTP caller is: by one of several static tokens, by
// an OAuth access token, or by the OpenClaw API key that the caller brings.
// Credentials are read from headers alone, never from a URL, and no value of
// this package prints one.
package auth

import (
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"
)

// Caller is who sent a request. No way of printing it shows Key.
type Caller struct {
	// Name is unique to the caller and the same after restarts and on all replicas, such as
	// "token:alice". It is safe to log.
	Name string
	// Key is the OpenClaw API key to use upstream; empty: the server's own.
	Key string
	// Scopes are what the caller's token grants, where it says so.
	Scopes []string
}

func (c Caller) String() string { return c.Name }

// Format prints the name, whatever the verb.
func (c Caller) Format(f fmt.State, _ rune) { _, _ = fmt.Fprint(f, c.Name) }

// MarshalText gives the name, for JSON and logs.
func (c Caller) MarshalText() ([]byte, error) { return []byte(c.Name), nil }

// Authenticator finds out who sent a request. Its error is a *Refusal.
type Authenticator interface {
	Authenticate(r *http.Request) (Caller, error)
}

// Refusal says why a request is not served. It contains no part of the credential.
type Refusal struct {
	Status     int           // 400, 401, 403, 503
	Challenge  string        // value of WWW-Authenticate; empty: none
	Message    string        // safe to show and to log
	RetryAfter time.Duration // whole seconds, with 503; 0: nothing to wait for
}

func (r *Refusal) Error() string { return r.Message }

// Answer sets the headers of the answer to the request, and gives its HTTP status.
func (r *Refusal) Answer(h http.Header) (status int) {
	if r.Challenge != "" {
		h.Set("WWW-Authenticate", r.Challenge)
	}
	if r.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int(math.Ceil(r.RetryAfter.Seconds()))))
	}
	return r.Status
}

// secret is a text that no way of printing reaches, not even reflection.
type secret struct{ reveal func() string }

func newSecret(s string) secret { return secret{func() string { return s }} }

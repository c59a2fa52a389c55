// Package auth says who an HTTP caller is: by one of several static tokens, by
// an OAuth access token, or by the OpenClaw API key that the caller brings.
// Credentials are read from headers alone, never from a URL, and no value of
// this package prints one.
package auth

import (
	"fmt"
	"net/http"
	"time"
)

// Caller is who a request is from. However it is printed, Key is not.
type Caller struct {
	// Name is unique to the caller and stable over restarts and replicas, such as
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

// Authenticator finds out who a request is from. Its error is a *Refusal.
type Authenticator interface {
	Authenticate(r *http.Request) (Caller, error)
}

// Refusal is why a request is not served. It holds nothing of the credential.
type Refusal struct {
	Status     int           // 400, 401, 403, 503
	Challenge  string        // value of WWW-Authenticate; empty: none
	Message    string        // safe to show and to log
	RetryAfter time.Duration // whole seconds, with 503; 0: nothing to wait for
}

func (r *Refusal) Error() string { return r.Message }

// secret is a text that no way of printing reaches, not even reflection.
type secret struct{ reveal func() string }

func newSecret(s string) secret { return secret{func() string { return s }} }

package transport

import (
	"context"
	"log/slog"
	"net/http"
	"time"
)

// Principal is who calls. On stdio, and over HTTP without authentication, there
// is one, [Local]. Everything that is kept between calls belongs to one.
type Principal struct {
	// Name tells principals apart; it is no secret.
	Name string
	// Key is the caller's own credential for the service, "" for the server's.
	Key Secret
}

// Secret is a text that never prints.
type Secret string

// String implements fmt.Stringer.
func (Secret) String() string { return "***" }

// GoString implements fmt.GoStringer.
func (Secret) GoString() string { return "***" }

// LogValue implements slog.LogValuer.
func (Secret) LogValue() slog.Value { return slog.StringValue("***") }

// MarshalText implements encoding.TextMarshaler.
func (Secret) MarshalText() ([]byte, error) { return []byte("***"), nil }

// Local is the one principal of a server that authenticates nobody.
var Local = Principal{Name: "local"}

// Refusal is why a request was not taken from whoever sent it. Its message is
// for the caller.
type Refusal struct {
	Status     int           // 401, 403 or 503
	Challenge  string        // for WWW-Authenticate (RFC 9110, section 11.6.1), "" for none
	RetryAfter time.Duration // 0 for none
	Message    string
}

func (r *Refusal) Error() string { return r.Message }

type principalKey struct{}

func withPrincipal(ctx context.Context, p Principal) context.Context {
	return context.WithValue(ctx, principalKey{}, p)
}

// PrincipalFrom gives who called; false outside of a request.
func PrincipalFrom(ctx context.Context) (Principal, bool) {
	p, ok := ctx.Value(principalKey{}).(Principal)
	return p, ok
}

type headerKey struct{}

func withHeader(ctx context.Context, h http.Header) context.Context {
	return context.WithValue(ctx, headerKey{}, h)
}

// HeaderFrom gives the HTTP header of the request that ctx belongs to, nil on
// stdio. It must not be changed.
func HeaderFrom(ctx context.Context) http.Header {
	h, _ := ctx.Value(headerKey{}).(http.Header)
	return h
}

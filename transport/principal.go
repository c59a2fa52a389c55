package transport

import (
	"context"
	"net/http"

	"openclaw-mcp/internal/secret"
)

// Principal is who calls. On stdio, and over HTTP without authentication, there
// is one, [Local]. Everything that is kept between calls belongs to one.
type Principal struct {
	// Name tells principals apart. It may be logged.
	Name string
	// Key is the caller's own credential for the service, "" for the server's.
	Key secret.Text
}

// Local is the one principal of a server that authenticates nobody.
var Local = Principal{Name: "local"}

// Refusal is an error of HTTPOptions.Authenticate that knows its answer. Its text is
// for the caller.
type Refusal interface {
	error
	// Answer sets the headers of the answer, such as WWW-Authenticate (RFC 9110,
	// section 11.6.1), and gives its HTTP status.
	Answer(http.Header) (status int)
}

type servedKey struct{}

// served is what a context says of the message that is served in it.
type served struct {
	principal Principal
	call      *Call // nil for a notification
}

func withServed(ctx context.Context, p Principal, c *Call) context.Context {
	return context.WithValue(ctx, servedKey{}, &served{p, c})
}

// PrincipalFrom gives who called; false outside of a request.
func PrincipalFrom(ctx context.Context) (Principal, bool) {
	if s, ok := ctx.Value(servedKey{}).(*served); ok {
		return s.principal, true
	}
	return Principal{}, false
}

// CallFrom gives the request that ctx belongs to, nil outside of one.
func CallFrom(ctx context.Context) *Call {
	if s, ok := ctx.Value(servedKey{}).(*served); ok {
		return s.call
	}
	return nil
}

type originKey struct{}

// origin is what a context says of the HTTP request that it belongs to.
type origin struct {
	header http.Header
	share  string
}

func withOrigin(ctx context.Context, h http.Header, share string) context.Context {
	return context.WithValue(ctx, originKey{}, &origin{h, share})
}

func originFrom(ctx context.Context) *origin {
	if o, ok := ctx.Value(originKey{}).(*origin); ok {
		return o
	}
	return &origin{}
}

// HeaderFrom gives the HTTP header of the request that ctx belongs to, nil on
// stdio. It must not be changed.
func HeaderFrom(ctx context.Context) http.Header { return originFrom(ctx).header }

// ShareFrom gives whose share of the limits ctx's request takes (HTTPOptions.Share);
// "" on stdio.
func ShareFrom(ctx context.Context) string { return originFrom(ctx).share }

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

type shareKey struct{}

func withShare(ctx context.Context, share string) context.Context {
	return context.WithValue(ctx, shareKey{}, share)
}

// ShareFrom gives whose share of the limits ctx's request takes (HTTPOptions.Share);
// "" on stdio.
func ShareFrom(ctx context.Context) string {
	share, _ := ctx.Value(shareKey{}).(string)
	return share
}

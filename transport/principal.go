package transport

import (
	"context"
	"net/http"
)

// Principal is who calls. On stdio, and over HTTP without authentication, there
// is one, [Local]. Everything that is kept between calls belongs to one.
type Principal struct {
	Name string
}

// Local is the one principal of a server that authenticates nobody.
var Local = Principal{Name: "local"}

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

package auth

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4"

	"openclaw-mcp/internal/filewatch"
)

const (
	fetchTimeout = 10 * time.Second // of discovery and keys together
	maxDocument  = 1 << 20
	maxRedirects = 3
	minRSABits   = 2048
)

// algorithms all use public keys: with HMAC, anybody who knows the public key could sign.
var algorithms = []jose.SignatureAlgorithm{
	jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512,
	jose.ES256, jose.ES384, jose.ES512, jose.EdDSA,
}

// issuer is the part of an authorization server that a resource server needs.
type issuer struct {
	url    string
	client *http.Client
	signIn atomic.Pointer[[]string] // where a browser gets tokens and clients; nil: not known yet
}

func newIssuer(url string, client *http.Client) *issuer {
	own := http.Client{}
	if client != nil {
		own = *client
	}
	own.CheckRedirect = func(r *http.Request, via []*http.Request) error {
		if len(via) > maxRedirects {
			return fmt.Errorf("more than %d redirects", maxRedirects)
		}
		if err := checkSecure(r.URL.String()); err != nil {
			return fmt.Errorf("the redirect %w", err)
		}
		return nil
	}
	return &issuer{url: url, client: &own}
}

// fetchKeys finds out where the keys are and gets them. It looks up the address
// each time, since issuers change it.
func (i *issuer) fetchKeys(ctx context.Context) ([]jose.JSONWebKey, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	at, err := i.discover(ctx)
	if err != nil {
		return nil, err
	}
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := i.get(ctx, at, &set); err != nil {
		return nil, err
	}
	if set.Keys == nil {
		return nil, fmt.Errorf("%s is not a JWK set: it has no keys member", at)
	}
	var keys []jose.JSONWebKey
	for _, raw := range set.Keys {
		// One by one, so that a key of an unknown kind does not spoil the others.
		var key jose.JSONWebKey
		if key.UnmarshalJSON(raw) == nil && isUsable(&key) {
			keys = append(keys, key)
		}
	}
	return keys, nil
}

// discover asks for the OpenID Connect document, then for that of RFC 8414,
// whose well-known part comes before the issuer's path, then for the first one at
// such a place (RFC 8414, section 5).
func (i *issuer) discover(ctx context.Context) (jwksURI string, err error) {
	u, err := url.Parse(i.url)
	if err != nil {
		return "", err
	}
	path := strings.TrimRight(u.EscapedPath(), "/")
	origin := u.Scheme + "://" + u.Host
	var failures []error
	for _, at := range []string{
		origin + path + "/.well-known/openid-configuration",
		origin + "/.well-known/oauth-authorization-server" + path,
		origin + "/.well-known/openid-configuration" + path,
	} {
		if len(failures) == 2 && path == "" {
			break // it was asked for first
		}
		var doc struct {
			Issuer  string `json:"issuer"`
			JWKSURI string `json:"jwks_uri"`
			Token   string `json:"token_endpoint"`
			Client  string `json:"registration_endpoint"`
		}
		err := i.get(ctx, at, &doc)
		if err == nil && doc.Issuer != i.url {
			err = fmt.Errorf("%s names the issuer %q; it must be exactly %q", at, doc.Issuer, i.url)
		}
		if err == nil {
			if err = checkSecure(doc.JWKSURI); err != nil {
				err = fmt.Errorf("the jwks_uri of %s %w", at, err)
			}
		}
		if err == nil {
			i.signIn.Store(&[]string{doc.Token, doc.Client})
			return doc.JWKSURI, nil
		}
		failures = append(failures, err)
	}
	return "", errors.Join(failures...)
}

func (i *issuer) get(ctx context.Context, at string, into any) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
	if err != nil {
		return err
	}
	r.Header.Set("Accept", "application/json")
	resp, err := i.client.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answered %s; want 200", at, resp.Status)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxDocument+1))
	if err != nil {
		return fmt.Errorf("%s: %w", at, err)
	}
	if len(body) > maxDocument {
		return fmt.Errorf("%s has more than %d bytes", at, maxDocument)
	}
	if err := json.Unmarshal(filewatch.WithoutMark(body), into); err != nil {
		return fmt.Errorf("%s: %w", at, err)
	}
	return nil
}

// isUsable accepts public keys for signatures that are strong enough. Secret and
// private keys are refused by their type: a published secret proves nothing.
func isUsable(key *jose.JSONWebKey) bool {
	if !key.Valid() || key.Use != "" && key.Use != "sig" {
		return false
	}
	switch k := key.Key.(type) {
	case *rsa.PublicKey:
		return k.N.BitLen() >= minRSABits
	case *ecdsa.PublicKey, ed25519.PublicKey:
		return true
	}
	return false
}

// fits reports whether a usable key may be used with an algorithm.
func fits(key *jose.JSONWebKey, algorithm string) bool {
	if key.Algorithm != "" && key.Algorithm != algorithm {
		return false
	}
	switch k := key.Key.(type) {
	case *rsa.PublicKey:
		return strings.HasPrefix(algorithm, "RS") || strings.HasPrefix(algorithm, "PS")
	case *ecdsa.PublicKey:
		switch jose.SignatureAlgorithm(algorithm) {
		case jose.ES256:
			return k.Curve == elliptic.P256()
		case jose.ES384:
			return k.Curve == elliptic.P384()
		case jose.ES512:
			return k.Curve == elliptic.P521()
		}
		return false
	}
	return algorithm == string(jose.EdDSA)
}

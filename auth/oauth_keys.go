package auth

import (
	"context"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
)

const (
	refreshAfter = 15 * time.Minute // keys are read again after so long, while the old ones still serve
	refetchAfter = 10 * time.Second // an unknown key id is worth another look at most so often
	failureWait  = 5 * time.Second  // after a failed fetch
	fetchLimit   = 10 * time.Second
	maxDocument  = 1 << 20
	minRSABits   = 2048
)

// unavailableError says that the issuer can't be asked, and when to try again.
type unavailableError struct {
	retry time.Duration
	err   error
}

func (e *unavailableError) Error() string { return "the issuer's keys can't be had: " + e.err.Error() }

// issuerKeys are an authorization server's public keys: found by discovery, kept,
// and read again when they get old or a token names one that is not known. What
// is known goes on serving while the server is away.
type issuerKeys struct {
	issuer string
	http   *http.Client
	log    *slog.Logger
	now    func() time.Time

	fetching chan struct{} // holds a token while somebody fetches

	mu      sync.Mutex
	keys    []jose.JSONWebKey
	fetched time.Time // of the keys; zero: never
	tried   time.Time
	failed  error // of the last try
}

func newIssuerKeys(issuer string, c *http.Client, log *slog.Logger) *issuerKeys {
	own := *c
	next := own.CheckRedirect
	own.CheckRedirect = func(r *http.Request, via []*http.Request) error {
		if err := checkIssuerURL(r.URL.String()); err != nil {
			return fmt.Errorf("a redirect %w", err)
		}
		if next != nil {
			return next(r, via)
		}
		if len(via) >= 5 {
			return errors.New("too many redirects")
		}
		return nil
	}
	return &issuerKeys{issuer: issuer, http: &own, log: log, now: time.Now, fetching: make(chan struct{}, 1)}
}

// find gives the keys that a token with this key id may be signed with.
func (k *issuerKeys) find(ctx context.Context, id string) ([]jose.JSONWebKey, error) {
	k.mu.Lock()
	found := k.matching(id)
	now := k.now()
	known, old := !k.fetched.IsZero(), now.Sub(k.fetched) > refreshAfter
	wait := refetchAfter
	if k.failed != nil {
		wait = failureWait
	}
	due := k.tried.IsZero() || now.Sub(k.tried) >= wait
	failed, left := k.failed, wait-now.Sub(k.tried)
	k.mu.Unlock()
	switch {
	case len(found) > 0 && old && due:
		go func() { _ = k.fetch(context.WithoutCancel(ctx)) }()
		return found, nil
	case len(found) > 0:
		return found, nil
	case !due && failed != nil:
		return nil, &unavailableError{left, failed}
	case !due && known:
		return nil, errors.New("its key is not one of its issuer's")
	}
	if err := k.fetch(context.WithoutCancel(ctx)); err != nil {
		return nil, &unavailableError{failureWait, err}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if found = k.matching(id); len(found) == 0 {
		return nil, errors.New("its key is not one of its issuer's")
	}
	return found, nil
}

// matching is called with the lock held. A token without a key id may be signed
// with any of the keys.
func (k *issuerKeys) matching(id string) []jose.JSONWebKey {
	var out []jose.JSONWebKey
	for _, key := range k.keys {
		if id == "" || key.KeyID == id {
			out = append(out, key)
		}
	}
	return out
}

// fetch reads the keys, one fetch at a time: who comes while another fetches
// waits for what that finds.
func (k *issuerKeys) fetch(ctx context.Context) error {
	asked := k.now()
	k.fetching <- struct{}{}
	defer func() { <-k.fetching }()
	k.mu.Lock()
	if k.tried.After(asked) {
		defer k.mu.Unlock()
		return k.failed
	}
	k.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, fetchLimit)
	defer cancel()
	keys, err := k.discover(ctx)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.tried, k.failed = k.now(), err
	if err != nil {
		k.log.Warn("the authorization server's keys could not be read", "issuer", k.issuer, "error", err)
		return err
	}
	k.keys, k.fetched = keys, k.tried
	return nil
}

// discover finds the keys by the issuer's metadata (OpenID Connect Discovery 1.0;
// RFC 8414).
func (k *issuerKeys) discover(ctx context.Context) ([]jose.JSONWebKey, error) {
	u, err := url.Parse(k.issuer)
	if err != nil {
		return nil, err
	}
	path := strings.TrimSuffix(u.EscapedPath(), "/")
	base := u.Scheme + "://" + u.Host
	var meta struct {
		Issuer string `json:"issuer"`
		Keys   string `json:"jwks_uri"`
	}
	err = k.read(ctx, base+path+"/.well-known/openid-configuration", &meta)
	if err != nil {
		if err2 := k.read(ctx, base+"/.well-known/oauth-authorization-server"+path, &meta); err2 != nil {
			return nil, errors.Join(err, err2)
		}
	}
	if meta.Issuer != k.issuer {
		return nil, fmt.Errorf("its metadata is of the issuer %q", meta.Issuer)
	}
	if err := checkIssuerURL(strings.SplitN(meta.Keys, "?", 2)[0]); err != nil {
		return nil, fmt.Errorf("jwks_uri %w", err)
	}
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := k.read(ctx, meta.Keys, &set); err != nil {
		return nil, err
	}
	var keys []jose.JSONWebKey
	for _, raw := range set.Keys {
		var key jose.JSONWebKey
		// Each by itself: one of a kind that is not known spoils no other.
		if key.UnmarshalJSON(raw) == nil && usable(key) {
			keys = append(keys, key)
		}
	}
	if len(keys) == 0 {
		return nil, errors.New("it publishes no key that could sign a token")
	}
	return keys, nil
}

// usable reports whether a key may check signatures: a public one, for that
// use, and strong enough.
func usable(k jose.JSONWebKey) bool {
	if !k.Valid() || !k.IsPublic() || (k.Use != "" && k.Use != "sig") {
		return false
	}
	if r, ok := k.Key.(*rsa.PublicKey); ok {
		return r.N.BitLen() >= minRSABits
	}
	return true
}

func (k *issuerKeys) read(ctx context.Context, address string, v any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Accept", "application/json")
	resp, err := k.http.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", address, resp.Status)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxDocument))
	if err != nil {
		return err
	}
	if err := json.Unmarshal(body, v); err != nil {
		return fmt.Errorf("%s is not the JSON that it should be", address)
	}
	return nil
}

func isLoopbackName(host string) bool {
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || (ip != nil && ip.IsLoopback())
}

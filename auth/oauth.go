package auth

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// OAuthConfig says which tokens an OAuth 2.1 resource server takes (MCP,
// authorization; RFC 9068 for access tokens that are JWTs).
type OAuthConfig struct {
	Issuer   string   // of the authorization server, an https URL (http on loopback)
	Audience string   // that tokens must be for (RFC 8707); empty: Resource
	Scopes   []string // that tokens must have; empty: none
	Resource string   // this server's MCP endpoint, as clients see it

	Keys *SubjectKeys // gives subjects their OpenClaw keys; nil: all use the server's
	HTTP *http.Client // asks the authorization server; nil: one with time-outs
	Log  *slog.Logger
}

// OAuth takes access tokens of one authorization server: JWTs that its published
// keys have signed.
type OAuth struct {
	cfg  OAuthConfig
	keys *issuerKeys
	now  func() time.Time
}

const (
	leeway     = 30 * time.Second // of clocks
	maxSubject = 255
)

// algorithms are the signatures that are taken: by a key that only the issuer
// has. None of them is symmetric, and none is "none".
var algorithms = []jose.SignatureAlgorithm{
	jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512, jose.ES256, jose.ES384, jose.ES512, jose.EdDSA,
}

// scopeText is a scope's syntax (RFC 6749, section 3.3).
var scopeText = regexp.MustCompile(`^[\x21\x23-\x5b\x5d-\x7e]+$`)

// NewOAuth makes an authenticator. The authorization server is asked on first
// use: it need not be there yet.
func NewOAuth(cfg OAuthConfig) (*OAuth, error) {
	if err := checkIssuerURL(cfg.Issuer); err != nil {
		return nil, fmt.Errorf("the issuer %w", err)
	}
	if u, err := url.Parse(cfg.Resource); err != nil || u.Host == "" {
		return nil, errors.New("the resource must be the URL of the MCP endpoint")
	}
	for _, s := range cfg.Scopes {
		if !scopeText.MatchString(s) {
			return nil, fmt.Errorf("the scope %q has a character that no scope has", s)
		}
	}
	if cfg.Audience == "" {
		cfg.Audience = cfg.Resource
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.HTTP == nil {
		cfg.HTTP = &http.Client{Timeout: 10 * time.Second}
	}
	return &OAuth{cfg: cfg, keys: newIssuerKeys(cfg.Issuer, cfg.HTTP, cfg.Log), now: time.Now}, nil
}

// checkIssuerURL holds what is asked for keys to a channel that nobody can
// speak on for the issuer.
func checkIssuerURL(s string) error {
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return errors.New("must be a URL without a user name, query or fragment")
	case u.Scheme == "https":
		return nil
	case u.Scheme == "http" && isLoopbackName(u.Hostname()):
		return nil
	}
	return errors.New("must be an https URL (http only on this machine)")
}

// claims are what a token says that matters here (RFC 7519, RFC 9068).
type claims struct {
	Issuer    string       `json:"iss"`
	Subject   string       `json:"sub"`
	Audience  stringOrList `json:"aud"`
	Expires   *json.Number `json:"exp"`
	NotBefore *json.Number `json:"nbf"`
	IssuedAt  *json.Number `json:"iat"`
	Scope     stringOrList `json:"scope"`
	Scopes    stringOrList `json:"scp"`
}

// stringOrList is a claim that is one string or several.
type stringOrList []string

// UnmarshalJSON implements json.Unmarshaler.
func (l *stringOrList) UnmarshalJSON(b []byte) error {
	var one string
	if json.Unmarshal(b, &one) == nil {
		*l = stringOrList{one}
		return nil
	}
	var many []string
	err := json.Unmarshal(b, &many)
	*l = many
	return err
}

// Authenticate implements Authenticator.
func (o *OAuth) Authenticate(r *http.Request) (Caller, error) {
	token, refusal := bearer(r.Header)
	if refusal != nil {
		return Caller{}, refusal
	}
	if token == "" {
		return Caller{}, o.refuse(http.StatusUnauthorized, "", "authentication is required: send an access token of "+o.cfg.Issuer+" as Authorization: Bearer TOKEN")
	}
	c, err := o.verify(r.Context(), token)
	var later *unavailableError
	if errors.As(err, &later) {
		return Caller{}, &Refusal{Status: http.StatusServiceUnavailable, RetryAfter: later.retry, Message: "the authorization server can't be asked for its keys now; try again"}
	}
	if err != nil {
		return Caller{}, o.refuse(http.StatusUnauthorized, "invalid_token", "the access token is not valid: "+err.Error())
	}
	var granted []string
	for _, s := range slices.Concat(c.Scope, c.Scopes) {
		granted = append(granted, strings.Fields(s)...)
	}
	for _, want := range o.cfg.Scopes {
		if !slices.Contains(granted, want) {
			return Caller{}, o.refuse(http.StatusForbidden, "insufficient_scope", "the access token lacks the scope "+want)
		}
	}
	caller := Caller{Name: o.nameOf(c.Subject), Scopes: granted}
	if o.cfg.Keys != nil {
		key, ok := o.cfg.Keys.key(c.Subject)
		if !ok {
			// No error code: another token would not help.
			return Caller{}, o.refuse(http.StatusForbidden, "", "no OpenClaw key is configured for you on this server; ask whoever runs it")
		}
		caller.Key = key
	}
	return caller, nil
}

// nameOf is a name that is safe to log; two issuers' subjects are two callers.
func (o *OAuth) nameOf(subject string) string {
	sum := sha256.Sum256([]byte(o.cfg.Issuer))
	return "oauth:" + hex.EncodeToString(sum[:4]) + ":" + url.QueryEscape(subject)
}

// verify checks a token's signature and claims. Its errors hold nothing of the
// token.
func (o *OAuth) verify(ctx context.Context, token string) (claims, error) {
	var c claims
	signed, err := jose.ParseSignedCompact(token, algorithms)
	if err != nil {
		return c, errors.New("it is not a JWT with a signature that is taken here")
	}
	// Whose it claims to be is looked at first: tokens of others must not make
	// this server fetch keys.
	if err := json.Unmarshal(signed.UnsafePayloadWithoutVerification(), &c); err != nil {
		return c, errors.New("its claims can't be read")
	}
	if c.Issuer != o.cfg.Issuer {
		return c, errors.New("another server issued it")
	}
	header := signed.Signatures[0].Protected
	keys, err := o.keys.find(ctx, header.KeyID)
	if err != nil {
		return c, err
	}
	verified := false
	for _, k := range keys {
		if k.Algorithm != "" && k.Algorithm != header.Algorithm {
			continue
		}
		if _, err := signed.Verify(k.Key); err == nil {
			verified = true
			break
		}
	}
	if !verified {
		return c, errors.New("its signature is not of a key of its issuer")
	}
	return c, o.checkClaims(c)
}

func (o *OAuth) checkClaims(c claims) error {
	now := o.now()
	expires, ok := unixTime(c.Expires)
	switch {
	case !ok:
		return errors.New("it says not when it expires")
	case !now.Before(expires.Add(leeway)):
		return errors.New("it has expired")
	}
	if c.NotBefore != nil {
		if t, ok := unixTime(c.NotBefore); !ok || now.Add(leeway).Before(t) {
			return errors.New("it is not valid yet")
		}
	}
	if c.IssuedAt != nil {
		if t, ok := unixTime(c.IssuedAt); !ok || now.Add(leeway).Before(t) {
			return errors.New("it was issued in the future")
		}
	}
	if !slices.Contains(c.Audience, o.cfg.Audience) {
		return errors.New("it is for another audience")
	}
	if c.Subject == "" || len(c.Subject) > maxSubject {
		return fmt.Errorf("its subject must have 1 to %d bytes", maxSubject)
	}
	return nil
}

// unixTime reads seconds since 1970, which may have a fraction (RFC 7519).
func unixTime(n *json.Number) (time.Time, bool) {
	if n == nil {
		return time.Time{}, false
	}
	f, err := n.Float64()
	if err != nil || f < 0 || f > 1<<40 {
		return time.Time{}, false
	}
	return time.Unix(int64(f), 0), true
}

// refuse makes a refusal whose challenge leads a client to the authorization
// server (RFC 6750, RFC 9728).
func (o *OAuth) refuse(status int, code, message string) *Refusal {
	c := challenge + `, resource_metadata="` + o.metadataURL() + `"`
	if code != "" {
		c += `, error="` + code + `"`
	}
	if len(o.cfg.Scopes) > 0 {
		c += `, scope="` + strings.Join(o.cfg.Scopes, " ") + `"`
	}
	return &Refusal{Status: status, Challenge: c, Message: message}
}

const metadataPath = "/.well-known/oauth-protected-resource"

// metadataURL is where the metadata of this resource is: the well-known path
// before the resource's own (RFC 9728, section 3.1).
func (o *OAuth) metadataURL() string {
	u, _ := url.Parse(o.cfg.Resource) // parsed once already
	return u.Scheme + "://" + u.Host + metadataPath + strings.TrimSuffix(u.EscapedPath(), "/")
}

// MetadataHandler serves the protected resource metadata (RFC 9728), which tells
// clients where to get tokens. Web pages of any origin may read it.
func (o *OAuth) MetadataHandler() http.Handler {
	body, _ := json.Marshal(map[string]any{
		"resource": o.cfg.Resource, "authorization_servers": []string{o.cfg.Issuer}, "bearer_methods_supported": []string{"header"},
		"scopes_supported": slices.Concat([]string{}, o.cfg.Scopes), "resource_name": "openclaw-mcp",
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Access-Control-Allow-Origin", "*")
		h.Set("Access-Control-Allow-Headers", "*, Authorization, MCP-Protocol-Version")
		h.Set("Allow", "GET, HEAD, OPTIONS")
		switch r.Method {
		case http.MethodGet, http.MethodHead:
			h.Set("Content-Type", "application/json")
			h.Set("Cache-Control", "max-age=300")
			_, _ = w.Write(body)
		case http.MethodOptions:
			w.WriteHeader(http.StatusNoContent)
		default:
			w.WriteHeader(http.StatusMethodNotAllowed)
		}
	})
}

package auth

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"openclaw-mcp/internal/loopback"
)

// OAuthConfig configures an OAuth 2.1 resource server.
type OAuthConfig struct {
	Issuer        string       // exactly as in the iss claim of access tokens
	Audience      string       // that the aud claim must contain (RFC 8707); empty: Resource
	Scopes        []string     // that every call needs; may be empty
	Resource      string       // the public URL of this server's MCP endpoint
	Keys          *SubjectKeys // nil: everybody uses the server's OpenClaw key
	AllowUnmapped bool         // subjects that are not in Keys use the server's OpenClaw key
	HTTPClient    *http.Client // for requests to the issuer; nil: a default one
	Log           *slog.Logger // nil: nothing is logged
}

// OAuth knows callers by access tokens: JWTs signed by one issuer.
type OAuth struct {
	cfg         OAuthConfig
	keys        *keySet
	metadataURL string
	namePrefix  string
	now         func() time.Time
}

// NewOAuth starts to fetch the issuer's keys and keeps them fresh until ctx ends.
// It does not wait for them: if the issuer is down when the server starts, calls
// are refused with 503 until it answers.
func NewOAuth(ctx context.Context, cfg OAuthConfig) (*OAuth, error) {
	return newOAuth(ctx, cfg, standardPace)
}

func newOAuth(ctx context.Context, cfg OAuthConfig, p pace) (*OAuth, error) {
	if err := checkPlainURL(cfg.Issuer); err != nil {
		return nil, fmt.Errorf("the issuer %w", err)
	}
	if err := checkSecure(cfg.Issuer); err != nil {
		return nil, fmt.Errorf("the issuer %w", err)
	}
	if err := checkPlainURL(cfg.Resource); err != nil {
		return nil, fmt.Errorf("the resource %w", err)
	}
	if cfg.Audience == "" {
		cfg.Audience = cfg.Resource
	}
	for i, s := range cfg.Scopes {
		if !isScope(s) {
			return nil, fmt.Errorf(`scope %d is not one word of printable ASCII characters other than " and \`, i+1)
		}
	}
	cfg.Scopes = slices.Clone(cfg.Scopes)
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	resource, err := url.Parse(cfg.Resource)
	if err != nil {
		return nil, err
	}
	hash := sha256.Sum256([]byte(cfg.Issuer))
	return &OAuth{
		cfg:         cfg,
		keys:        startKeySet(ctx, newIssuer(cfg.Issuer, cfg.HTTPClient), p, cfg.Log),
		metadataURL: resource.Scheme + "://" + resource.Host + MetadataPath(cfg.Resource),
		namePrefix:  "oauth:" + hex.EncodeToString(hash[:4]) + ":",
		now:         time.Now,
	}, nil
}

// SignInURLs lists where a browser gets tokens and registers, as far as the issuer has
// said so yet.
func (o *OAuth) SignInURLs() []string {
	if urls := o.keys.issuer.signIn.Load(); urls != nil {
		return *urls
	}
	return nil
}

// Authenticate implements Authenticator.
func (o *OAuth) Authenticate(r *http.Request) (Caller, error) {
	token, refusal := bearer(r.Header)
	if refusal != nil {
		return Caller{}, refusal
	}
	if token == "" {
		refusal := missing("Authorization: Bearer ACCESS-TOKEN")
		refusal.Challenge = o.challenge("", "")
		return Caller{}, refusal
	}
	c, err := o.verify(r.Context(), token)
	if err != nil {
		if refusal, ok := errors.AsType[*Refusal](err); ok {
			return Caller{}, refusal
		}
		return Caller{}, o.refuse(http.StatusUnauthorized, "invalid_token", err.Error())
	}
	var missingScopes []string
	for _, s := range o.cfg.Scopes {
		if !slices.Contains(c.scopes, s) {
			missingScopes = append(missingScopes, s)
		}
	}
	if missingScopes != nil {
		return Caller{}, o.refuse(http.StatusForbidden, "insufficient_scope", "the access token does not have the scope "+strings.Join(missingScopes, " "))
	}
	caller := Caller{Name: o.namePrefix + url.PathEscape(c.subject), Scopes: c.scopes}
	if o.cfg.Keys != nil {
		key, ok := o.cfg.Keys.get(c.subject)
		if !ok && !o.cfg.AllowUnmapped {
			// No error code: the token is valid, and no other one would help.
			return Caller{}, &Refusal{Status: http.StatusForbidden, Challenge: o.challenge("", ""),
				Message: "there is no OpenClaw key for the subject of the access token; ask the person who runs this server for one"}
		}
		caller.Key = key
	}
	return caller, nil
}

// verify gives the claims of a valid token. Its error is a *Refusal or says what
// is wrong with the token.
func (o *OAuth) verify(ctx context.Context, token string) (claims, error) {
	jws, err := jose.ParseSignedCompact(token, algorithms)
	if err != nil {
		return claims{}, errors.New("the access token is not a JWT signed with RS256, PS256, ES256 (or their 384 and 512 forms) or EdDSA")
	}
	header := jws.Signatures[0].Protected
	if _, ok := header.ExtraHeaders["crit"]; ok {
		return claims{}, errors.New("the access token has critical headers (crit), and this server supports none")
	}
	// First of all the issuer: tokens of another one must not cause fetches of keys.
	c, err := parseClaims(jws.UnsafePayloadWithoutVerification())
	if err != nil {
		return claims{}, err
	}
	if c.issuer != o.cfg.Issuer {
		return claims{}, errors.New("the access token was not issued by " + o.cfg.Issuer)
	}
	known, verified := false, false
	retryAfter := o.keys.search(ctx, func(keys []jose.JSONWebKey) bool {
		for i := range keys {
			if header.KeyID != "" && keys[i].KeyID != header.KeyID || !fits(&keys[i], header.Algorithm) {
				continue
			}
			// If the token names no key, we know its key once one verifies.
			known = known || header.KeyID != ""
			if _, err := jws.Verify(keys[i].Key); err == nil {
				known, verified = true, true
				break
			}
		}
		return known
	})
	switch {
	case verified:
		return c, c.check(o.cfg.Audience, o.now())
	case known:
		return claims{}, errors.New("the signature of the access token is wrong")
	case retryAfter > 0:
		return claims{}, &Refusal{Status: http.StatusServiceUnavailable, RetryAfter: retryAfter,
			Message: "access tokens can't be checked now, because the issuer's keys can't be fetched; try again later"}
	}
	return claims{}, errors.New("the access token is not signed with a key of its issuer")
}

func (o *OAuth) refuse(status int, code, message string) *Refusal {
	return &Refusal{Status: status, Challenge: o.challenge(code, message), Message: message}
}

// challenge tells a client which token it needs and where to get it (RFC 6750 and
// RFC 9728).
func (o *OAuth) challenge(code, description string) string {
	b := challenge + ", resource_metadata=" + quoted(o.metadataURL)
	if code != "" {
		b += ", error=" + quoted(code) + ", error_description=" + quoted(description)
	}
	if len(o.cfg.Scopes) > 0 {
		b += ", scope=" + quoted(strings.Join(o.cfg.Scopes, " "))
	}
	return b
}

// quoted replaces what could end the quotes or the header: RFC 6750 allows neither
// quotes nor backslashes in these values, not even escaped.
func quoted(s string) string {
	return `"` + strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' || r == '"' || r == '\\' {
			return '?'
		}
		return r
	}, s) + `"`
}

// isScope reports whether s is a scope-token (RFC 6749, section 3.3).
func isScope(s string) bool { return s != "" && isWord(s) && !strings.ContainsAny(s, `"\`) }

// checkPlainURL accepts URLs that can name an issuer or a resource.
func checkPlainURL(s string) error {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" || !isWord(s) {
		return errors.New("must be a URL like https://host/path")
	}
	if u.User != nil || strings.ContainsAny(s, "?#") {
		return errors.New("must be a URL without user, query or fragment")
	}
	return nil
}

// checkSecure refuses URLs over which somebody else could give us keys.
func checkSecure(s string) error {
	u, err := url.Parse(s)
	if err != nil || u.Hostname() == "" {
		return errors.New("is not a URL with a host")
	}
	if u.Scheme != "https" && (u.Scheme != "http" || !loopback.Host(u.Hostname())) {
		return fmt.Errorf("%s must be an https URL; http is allowed for loopback addresses only", u.Redacted())
	}
	return nil
}

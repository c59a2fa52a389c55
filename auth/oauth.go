package auth

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// OAuthConfig is what an OAuth 2.1 resource server has to know.
type OAuthConfig struct {
	Issuer        string       // of the access tokens, exactly as in their iss claim
	Audience      string       // what their aud claim has to hold (RFC 8707); empty: Resource
	Scopes        []string     // those that every call needs; may be empty
	Resource      string       // the public URL of this server's MCP endpoint
	Keys          *SubjectKeys // nil: everybody uses the server's own OpenClaw key
	AllowUnmapped bool         // subjects that Keys doesn't hold use the server's own key
	HTTPClient    *http.Client // for requests to the issuer; nil: one of the package's
	Log           *slog.Logger // nil: nothing is logged
}

// OAuth knows callers by access tokens: JWTs that one issuer signed.
type OAuth struct {
	cfg         OAuthConfig
	keys        *keySet
	metadataURL string
	namePrefix  string
	now         func() time.Time
}

// NewOAuth starts to fetch the issuer's keys, and keeps them fresh until ctx
// ends. It does not wait: an issuer that is down when the server starts is
// asked until it answers, and calls are refused with 503 meanwhile.
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
	var lacking []string
	for _, s := range o.cfg.Scopes {
		if !slices.Contains(c.scopes, s) {
			lacking = append(lacking, s)
		}
	}
	if lacking != nil {
		return Caller{}, o.refuse(http.StatusForbidden, "insufficient_scope", "the access token lacks the scope "+strings.Join(lacking, " "))
	}
	caller := Caller{Name: o.namePrefix + url.PathEscape(c.subject), Scopes: c.scopes}
	if o.cfg.Keys != nil {
		key, ok := o.cfg.Keys.get(c.subject)
		if !ok && !o.cfg.AllowUnmapped {
			// No error code: the token is good, and no other one would help.
			return Caller{}, &Refusal{Status: http.StatusForbidden, Challenge: o.challenge("", ""),
				Message: "there is no OpenClaw key for the subject of the access token; ask who runs this server for one"}
		}
		caller.Key = key
	}
	return caller, nil
}

// verify gives the claims of a token that is good. Its error is a *Refusal, or
// else says what is wrong with the token.
func (o *OAuth) verify(ctx context.Context, token string) (claims, error) {
	jws, err := jose.ParseSignedCompact(token, algorithms)
	if err != nil {
		return claims{}, errors.New("the access token is not a JWT signed with RS256, PS256, ES256 (or their 384 and 512 forms) or EdDSA")
	}
	header := jws.Signatures[0].Protected
	if _, ok := header.ExtraHeaders["crit"]; ok {
		return claims{}, errors.New("the access token has critical headers, of which this server knows none")
	}
	// Whoever sends a token of somebody else's makes nobody fetch keys.
	c, err := parseClaims(jws.UnsafePayloadWithoutVerification())
	if err != nil {
		return claims{}, err
	}
	if c.issuer != o.cfg.Issuer {
		return claims{}, errors.New("the access token is not of the issuer " + o.cfg.Issuer)
	}
	known, verified := false, false
	retryAfter := o.keys.search(ctx, func(keys []jose.JSONWebKey) bool {
		for i := range keys {
			if header.KeyID != "" && keys[i].KeyID != header.KeyID || !fits(&keys[i], header.Algorithm) {
				continue
			}
			// A key that the token doesn't name is known once it verifies.
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
			Message: "access tokens can't be checked now: the issuer does not give its keys; try again"}
	}
	return claims{}, errors.New("the access token is not signed with a key of the issuer's")
}

func (o *OAuth) refuse(status int, code, message string) *Refusal {
	return &Refusal{Status: status, Challenge: o.challenge(code, message), Message: message}
}

// challenge tells a client where to get which token (RFC 6750 and RFC 9728).
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

// quoted leaves nothing in s that could end the quotes or the header: RFC 6750
// allows neither quotes nor backslashes in these values, not even escaped.
func quoted(s string) string {
	return `"` + strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' || r == '"' || r == '\\' {
			return '?'
		}
		return r
	}, s) + `"`
}

// isScope is the scope-token of RFC 6749, section 3.3.
func isScope(s string) bool { return s != "" && isWord(s) && !strings.ContainsAny(s, `"\`) }

// checkPlainURL takes what can name an issuer or a resource.
func checkPlainURL(s string) error {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" || !isWord(s) {
		return errors.New("must be a URL like https://host/path")
	}
	if u.User != nil || strings.ContainsAny(s, "?#") {
		return errors.New("must be a URL without user, query and fragment")
	}
	return nil
}

// checkSecure refuses URLs over which somebody else could give us keys.
func checkSecure(s string) error {
	u, err := url.Parse(s)
	if err != nil || u.Hostname() == "" {
		return errors.New("is not a URL with a host")
	}
	ip := net.ParseIP(u.Hostname())
	if u.Scheme != "https" && (u.Scheme != "http" || u.Hostname() != "localhost" && !ip.IsLoopback()) {
		return fmt.Errorf("%s must be an https URL; http is for a loopback address alone", u.Redacted())
	}
	return nil
}

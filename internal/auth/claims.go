package auth

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

const (
	leeway     = 30 * time.Second // for clocks that disagree
	maxSubject = 255              // bytes, the limit of OpenID Connect
)

// claims are the parts of an access token (RFC 9068) that this server uses.
type claims struct {
	issuer, subject         string
	audience, scopes        []string
	expires, before, issued *float64 // seconds since 1970; nil: not given
}

// parseClaims reads the claims. Its errors name the claim and never show its value.
func parseClaims(payload []byte) (claims, error) {
	// A map, since struct fields would also match names in another case.
	var all map[string]json.RawMessage
	if err := json.Unmarshal(payload, &all); err != nil {
		return claims{}, errors.New("the payload of the access token is not a JSON object")
	}
	var c claims
	var scope, scp []string
	for _, f := range []struct {
		name string
		into any
	}{
		{"iss", &c.issuer}, {"sub", &c.subject}, {"aud", &c.audience}, {"scope", &scope}, {"scp", &scp},
		{"exp", &c.expires}, {"nbf", &c.before}, {"iat", &c.issued},
	} {
		value, ok := all[f.name]
		if !ok {
			continue
		}
		if list, isList := f.into.(*[]string); isList {
			var one string
			if json.Unmarshal(value, &one) == nil {
				*list = []string{one}
				continue
			}
		}
		if err := json.Unmarshal(value, f.into); err != nil {
			return claims{}, fmt.Errorf("the claim %s of the access token has the wrong type", f.name)
		}
	}
	for _, s := range append(scope, scp...) {
		for s := range strings.FieldsSeq(s) {
			if !slices.Contains(c.scopes, s) {
				c.scopes = append(c.scopes, s)
			}
		}
	}
	return c, nil
}

func (c *claims) check(audience string, now time.Time) error {
	// Floats, so that no date is too large to be compared.
	at, late := float64(now.Unix()), leeway.Seconds()
	switch {
	case c.expires == nil:
		return errors.New("the access token has no claim exp")
	case at >= *c.expires+late:
		return errors.New("the access token has expired")
	case c.before != nil && at < *c.before-late:
		return errors.New("the access token is not valid yet (claim nbf); is a clock wrong?")
	case c.issued != nil && at < *c.issued-late:
		return errors.New("the access token is from the future (claim iat); is a clock wrong?")
	case !slices.Contains(c.audience, audience):
		return errors.New("the access token is not for the audience " + audience)
	case c.subject == "":
		return errors.New("the access token has no claim sub")
	case len(c.subject) > maxSubject:
		return fmt.Errorf("the claim sub of the access token has more than %d bytes", maxSubject)
	case strings.ContainsRune(c.subject, '\uFFFD'):
		// It stands for bytes that are not text, so two subjects could look equal.
		return errors.New("the claim sub of the access token is not UTF-8 text")
	}
	return nil
}

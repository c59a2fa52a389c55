package auth

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"regexp"
	"strings"
)

// minToken is the least length of a static token: shorter ones can be guessed.
const minToken = 16

var (
	tokenName = regexp.MustCompile(`^[A-Za-z0-9._@-]{1,64}$`)
	tokenText = regexp.MustCompile(`^[A-Za-z0-9._~+/-]+=*$`) // RFC 6750
)

// Tokens knows callers by static bearer tokens.
type Tokens struct {
	fixed []tokenEntry
	file  *watched[[]tokenEntry] // nil: none
}

type tokenEntry struct {
	name string
	hash [sha256.Size]byte
	key  secret
}

// NewTokens takes tokens from entries ("alice:TOKEN,bob:TOKEN") and from a file
// of lines "name:TOKEN" or "name:TOKEN:OPENCLAW-KEY", with # before comments;
// either may be empty. The file is read again when it changes: while it is
// missing or broken the tokens from before stay, and one that holds none
// revokes all of its tokens. Errors name the entry or line, and never what it holds.
func NewTokens(entries, file string, log *slog.Logger) (*Tokens, error) {
	t := &Tokens{}
	for i, entry := range strings.Split(entries, ",") {
		if entry = strings.TrimSpace(entry); entry == "" {
			continue
		}
		e, err := parseToken(entry)
		if err == nil && e.key.reveal() != "" {
			err = errors.New("has a third part; tokens with an OpenClaw key of their own go into a file")
		}
		if err == nil {
			err = refuseDuplicate(t.fixed, e)
		}
		if err != nil {
			return nil, fmt.Errorf("entry %d %w", i+1, err)
		}
		t.fixed = append(t.fixed, e)
	}
	if file != "" {
		var err error
		if t.file, err = watch(file, t.parseFile, log); err != nil {
			return nil, err
		}
	}
	if len(t.fixed) == 0 && (t.file == nil || len(t.file.get()) == 0) {
		return nil, errors.New("there is no token, so nobody could call; give at least one as name:TOKEN")
	}
	return t, nil
}

func (t *Tokens) parseFile(text []byte) ([]tokenEntry, error) {
	all := t.fixed[:len(t.fixed):len(t.fixed)]
	for i, line := range strings.Split(string(text), "\n") {
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		e, err := parseToken(line)
		if err == nil {
			err = refuseDuplicate(all, e)
		}
		if err != nil {
			return nil, fmt.Errorf("line %d %w", i+1, err)
		}
		all = append(all, e)
	}
	return all[len(t.fixed):], nil
}

func parseToken(s string) (tokenEntry, error) {
	name, rest, ok := strings.Cut(s, ":")
	token, key, hasKey := strings.Cut(rest, ":")
	switch {
	case !ok:
		return tokenEntry{}, errors.New("is not of the form name:TOKEN")
	case !tokenName.MatchString(name):
		return tokenEntry{}, errors.New("has a wrong name; a name has 1 to 64 of the characters A-Z a-z 0-9 . _ @ -")
	case len(token) < minToken || len(token) > maxCredential:
		return tokenEntry{}, fmt.Errorf("has a token of %d characters; it must have %d to %d", len(token), minToken, maxCredential)
	case !tokenText.MatchString(token):
		return tokenEntry{}, errors.New("has a token with a wrong character; allowed are A-Z a-z 0-9 . _ ~ + / - and = at the end")
	case hasKey && (key == "" || len(key) > maxKey || !isWord(key)):
		return tokenEntry{}, fmt.Errorf("has a wrong OpenClaw key; it must be one word of at most %d printable ASCII characters", maxKey)
	}
	return tokenEntry{name, sha256.Sum256([]byte(token)), newSecret(key)}, nil
}

func refuseDuplicate(all []tokenEntry, e tokenEntry) error {
	for _, other := range all {
		if other.name == e.name {
			return fmt.Errorf("has the name %s a second time", e.name)
		}
		if other.hash == e.hash {
			return fmt.Errorf("has the same token as %s", other.name)
		}
	}
	return nil
}

// Authenticate implements Authenticator.
func (t *Tokens) Authenticate(r *http.Request) (Caller, error) {
	token, refusal := bearer(r.Header)
	if refusal != nil {
		return Caller{}, refusal
	}
	if token == "" {
		return Caller{}, missing("Authorization: Bearer TOKEN")
	}
	hash := sha256.Sum256([]byte(token))
	var found *tokenEntry
	lists := [2][]tokenEntry{t.fixed}
	if t.file != nil {
		lists[1] = t.file.get()
	}
	// All are compared, so that time tells nothing of how far a guess got.
	for _, list := range lists {
		for i := range list {
			if subtle.ConstantTimeCompare(hash[:], list[i].hash[:]) == 1 {
				found = &list[i]
			}
		}
	}
	if found == nil {
		return Caller{}, &Refusal{Status: http.StatusUnauthorized, Challenge: challenge + `, error="invalid_token"`, Message: "the bearer token is not one that this server knows"}
	}
	return Caller{Name: "token:" + found.name, Key: found.key.reveal()}, nil
}

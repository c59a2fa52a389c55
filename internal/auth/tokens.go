package auth

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"

	"openclaw-mcp/internal/filewatch"
	text "openclaw-mcp/internal/secret"
)

// minToken is the shortest static token, in characters: shorter ones can be guessed.
const minToken = 16

// Tokens knows callers by static bearer tokens.
type Tokens struct {
	fixed []tokenEntry
	file  *filewatch.Watcher[[]tokenEntry] // nil: none
}

type tokenEntry struct {
	name string
	hash [sha256.Size]byte
	key  secret
}

// NewTokens takes tokens from entries ("alice:TOKEN,bob:TOKEN") and from a file
// of lines "name:TOKEN" or "name:TOKEN:OPENCLAW-KEY", with # before comments;
// either may be empty. The file is read again when it changes. While it is
// missing or broken, its last good tokens stay valid; an empty file revokes them
// all. Errors name the entry or line and never show its content.
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
		if t.file, err = filewatch.New(log, t.parseFile, file); err != nil {
			return nil, err
		}
	}
	if len(t.fixed) == 0 && (t.file == nil || len(t.file.Get()) == 0) {
		return nil, errors.New("there is no token, so no call would be allowed; give at least one as name:TOKEN")
	}
	return t, nil
}

func (t *Tokens) parseFile(contents [][]byte) ([]tokenEntry, error) {
	all := t.fixed[:len(t.fixed):len(t.fixed)]
	for i, line := range strings.Split(string(contents[0]), "\n") {
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
		return tokenEntry{}, errors.New("must have the form name:TOKEN")
	case name == "" || len(name) > 64 || !isMadeOf(name, "._@-"):
		return tokenEntry{}, errors.New("has an invalid name; a name has 1 to 64 of the characters A-Z a-z 0-9 . _ @ -")
	case len(token) < minToken || len(token) > maxCredential:
		return tokenEntry{}, fmt.Errorf("has a token of %d characters; it must have %d to %d", len(token), minToken, maxCredential)
	case !isTokenText(token):
		return tokenEntry{}, errors.New("has a token with an invalid character; allowed are A-Z a-z 0-9 . _ ~ + / - and = at the end")
	case hasKey && (key == "" || len(key) > maxKey || !isWord(key)):
		return tokenEntry{}, fmt.Errorf("has an invalid OpenClaw key; it must be one word of at most %d printable ASCII characters", maxKey)
	}
	for what, word := range map[string]string{"token": token, "OpenClaw key": key} {
		if err := text.CheckWord(word); err != nil {
			return tokenEntry{}, fmt.Errorf("has a %s that %w", what, err)
		}
	}
	return tokenEntry{name, sha256.Sum256([]byte(token)), newSecret(key)}, nil
}

// isTokenText reports whether s is a b64token (RFC 6750, section 2.1).
func isTokenText(s string) bool {
	s = strings.TrimRight(s, "=")
	return s != "" && isMadeOf(s, "._~+/-")
}

// isMadeOf reports whether s has only ASCII letters, digits and others.
func isMadeOf(s, others string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune(others, r)
	})
}

func refuseDuplicate(all []tokenEntry, e tokenEntry) error {
	for _, other := range all {
		if other.name == e.name {
			return fmt.Errorf("repeats the name %s", e.name)
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
		lists[1] = t.file.Get()
	}
	// All are compared, so that the time it takes tells nothing about a guess.
	for _, list := range lists {
		for i := range list {
			if subtle.ConstantTimeCompare(hash[:], list[i].hash[:]) == 1 {
				found = &list[i]
			}
		}
	}
	if found == nil {
		return Caller{}, &Refusal{Status: http.StatusUnauthorized, Challenge: challenge + `, error="invalid_token"`, Message: "the bearer token is unknown to this server"}
	}
	return Caller{Name: "token:" + found.name, Key: found.key.reveal()}, nil
}

package client

import (
	"fmt"
	"strings"
	"unicode"

	"openclaw-mcp/internal/text"
)

const (
	// maxID is the longest id that goes into a path, in bytes.
	maxID = 128
	// maxReference is the longest id that goes into a query or a body. Chat
	// sessions may be named after the rooms of other networks, so they may be long.
	maxReference = 512
)

// CheckID reports why s can't be an id that goes into a path, such as an
// instance's: it would not stay one segment of the path, or would be read as
// another id than it looks. what names it in the error, which repeats little of s.
func CheckID(what, s string) error {
	switch i := strings.IndexAny(s, `/\?#%`); {
	case s == "." || s == "..":
		return fmt.Errorf("%q is not a valid %s", s, what)
	case i >= 0:
		return fmt.Errorf("%q is not a valid %s: an id can't have a %q", clipID(s), what, s[i])
	}
	return checkReference(what, s, maxID)
}

// checkReference reports why s can't be an id at all.
func checkReference(what, s string, most int) error {
	switch {
	case s == "":
		return fmt.Errorf("the %s is empty", what)
	case len(s) > most:
		return fmt.Errorf("the %s has %d bytes; ids have at most %d", what, len(s), most)
	case strings.ContainsFunc(s, func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsControl(r) || r == unicode.ReplacementChar || text.Hidden(r)
	}):
		return fmt.Errorf("%q is not a valid %s: an id can't have white space, control characters or invisible characters", clipID(s), what)
	}
	return nil
}

// clipID is as much of an id as an error shows.
func clipID(s string) string { return text.Clip(s, 60) }

// CanonicalID gives all spellings of one UUID the same form: lower case, with
// hyphens, without what may stand around it. Other ids are given as they are.
//
// A service that reads UUIDs takes many spellings for one instance, so limits on
// instances compare this form.
func CanonicalID(s string) string {
	if canonical, ok := uuid(s); ok {
		return canonical
	}
	return s
}

// IsUUID reports whether an id is a UUID, in whatever spelling.
func IsUUID(s string) bool {
	_, ok := uuid(s)
	return ok
}

func uuid(s string) (canonical string, ok bool) {
	bare := strings.TrimPrefix(strings.ToLower(s), "urn:uuid:")
	bare = strings.ReplaceAll(strings.Trim(bare, "{}()"), "-", "")
	if len(bare) != 32 || strings.Trim(bare, "0123456789abcdef") != "" {
		return "", false
	}
	return strings.Join([]string{bare[:8], bare[8:12], bare[12:16], bare[16:20], bare[20:]}, "-"), true
}

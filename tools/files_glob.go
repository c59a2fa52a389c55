package tools

import (
	"path"
	"strings"

	"github.com/bmatcuk/doublestar/v4"
)

// maxAlternatives bounds what a pattern's braces multiply to: each alternative is
// matched by itself.
const maxAlternatives = 64

// glob is a pattern for paths: * and ? stand for characters other than a slash,
// [a-z] and [!a-z] for one character of a set, {a,b} for one of several texts,
// and ** as a whole segment for any number of directories. A pattern without a
// slash is for names, wherever they are.
type glob struct {
	pattern string
	names   bool
}

func newGlob(argument, pattern string) (glob, error) {
	g := glob{pattern: strings.Trim(strings.TrimPrefix(pattern, "./"), "/")}
	g.names = !strings.Contains(g.pattern, "/") && g.pattern != "**"
	if !doublestar.ValidatePattern(g.pattern) {
		return glob{}, badArgument("argument %q must be a pattern with *, ?, [a-z], {a,b} and **; got %q", argument, pattern)
	}
	if manyAlternatives(g.pattern) {
		return glob{}, badArgument("argument %q may have at most %d combinations of alternatives in braces", argument, maxAlternatives)
	}
	return g, nil
}

// manyAlternatives reports whether the braces of a pattern multiply to more than
// maxAlternatives. It may count too many, since it takes each comma behind a
// brace for one of its own.
func manyAlternatives(pattern string) bool {
	all := 1
	for _, group := range strings.Split(pattern, "{")[1:] {
		if all *= 1 + strings.Count(group, ","); all > maxAlternatives {
			return true
		}
	}
	return false
}

// depth is how deep the pattern reaches, at most limit.
func (g glob) depth(limit int) int {
	switch {
	case g.names:
		return min(1, limit)
	case strings.Contains(g.pattern, "**"):
		return limit
	}
	return min(strings.Count(g.pattern, "/")+1, limit)
}

// match reports whether the pattern fits a path relative to the listed directory.
func (g glob) match(rel string) bool {
	if g.names {
		rel = path.Base(rel)
	}
	return doublestar.MatchUnvalidated(g.pattern, rel)
}

package tools

import (
	"path"
	"slices"
	"strings"
)

// glob is a pattern for paths: * and ? stand for characters other than a slash,
// [a-z] for one of a set, ** as a whole segment for any number of directories.
// A pattern without a slash is for names, wherever they are.
type glob struct {
	segments []string
	names    bool
}

func newGlob(pattern string) (glob, error) {
	g := glob{segments: strings.Split(strings.Trim(strings.TrimPrefix(pattern, "./"), "/"), "/")}
	g.names = len(g.segments) == 1 && g.segments[0] != "**"
	for i, s := range g.segments {
		// Sets are negated with ! in shells, with ^ in path.Match.
		g.segments[i] = strings.ReplaceAll(s, "[!", "[^")
		if _, err := path.Match(g.segments[i], ""); err != nil {
			return glob{}, badArgument("argument \"glob\" must be a pattern with *, ?, [a-z] and **; %q is none", pattern)
		}
	}
	// Neighbours mean no more than one, and cost much more.
	g.segments = slices.CompactFunc(g.segments, func(a, b string) bool { return a == "**" && b == "**" })
	return g, nil
}

// depth is how deep the pattern reaches, at most limit.
func (g glob) depth(limit int) int {
	if slices.Contains(g.segments, "**") {
		return limit
	}
	return min(len(g.segments), limit)
}

// match reports whether the pattern fits a path relative to the listed directory.
func (g glob) match(rel string) bool {
	if g.names {
		ok, _ := path.Match(g.segments[0], path.Base(rel))
		return ok
	}
	// A greedy walk that goes back to the last ** only: earlier ones can't do
	// better, so that no pattern takes long.
	names := strings.Split(rel, "/")
	i, j, star, from := 0, 0, -1, 0
	for j < len(names) {
		if i < len(g.segments) && g.segments[i] == "**" {
			star, from = i, j
			i++
			continue
		}
		if i < len(g.segments) {
			if ok, _ := path.Match(g.segments[i], names[j]); ok {
				i++
				j++
				continue
			}
		}
		if star < 0 {
			return false
		}
		from++
		i, j = star+1, from
	}
	for i < len(g.segments) && g.segments[i] == "**" {
		i++
	}
	return i == len(g.segments)
}

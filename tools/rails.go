package tools

import (
	"context"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"openclaw-mcp/client"
)

// Rails limit what calls may do. The zero value allows everything. A server has
// its own, and a request's headers can only tighten them.
type Rails struct {
	ReadOnly         bool
	Toolsets         []string // families; empty: all
	Tools            []string // names; empty: all
	ExcludeTools     []string
	Instances        []string // ids, with * for any part; empty: all
	ExcludeInstances []string
	Commands         []*regexp.Regexp // exec_command: one must match; empty: all
	ExcludeCommands  []*regexp.Regexp // exec_command: none may match
	Paths            []string         // file tools: folders, or patterns with * and **; empty: all
	ExcludePaths     []string

	tighter []*Rails // each of which holds besides
}

// railError is a call that the rails forbid. Its text says which rail, and what
// is allowed.
type railError struct{ text string }

func (e *railError) Error() string { return e.text }

func forbidden(format string, a ...any) error { return &railError{fmt.Sprintf(format, a...)} }

// Toolsets names the families of all tools.
func Toolsets() []string {
	seen := map[string]bool{}
	for _, t := range All() {
		seen[t.Family] = true
	}
	return slices.Sorted(maps.Keys(seen))
}

// Check reports names of tools and families that do not exist, so that a
// misspelt rail is not taken for none.
func (r *Rails) Check() error {
	var names []string
	for _, t := range All() {
		names = append(names, t.Name)
	}
	for _, f := range r.Toolsets {
		if !slices.Contains(Toolsets(), f) {
			return fmt.Errorf("names %q, which is no toolset; there are: %s", f, strings.Join(Toolsets(), ", "))
		}
	}
	for _, n := range slices.Concat(r.Tools, r.ExcludeTools) {
		if !slices.Contains(names, n) {
			return fmt.Errorf("names %q, which is no tool; there are: %s", n, strings.Join(names, ", "))
		}
	}
	return nil
}

// Tighten gives rails that forbid what either forbids.
func (r *Rails) Tighten(more *Rails) *Rails {
	both := *r
	both.ReadOnly = r.ReadOnly || more.ReadOnly
	both.tighter = append(slices.Clip(r.tighter), more)
	return &both
}

// each gives the first objection among the rails and those that tighten them.
func (r *Rails) each(object func(*Rails) error) error {
	if err := object(r); err != nil {
		return err
	}
	for _, t := range r.tighter {
		if err := t.each(object); err != nil {
			return err
		}
	}
	return nil
}

// tool reports why a tool may not be used.
func (r *Rails) tool(t *Tool) error {
	return r.each(func(r *Rails) error {
		switch {
		case r.ReadOnly && t.Effect != Reads:
			return forbidden("%s is not allowed: this server is read-only", t.Name)
		case len(r.Toolsets) > 0 && !slices.Contains(r.Toolsets, t.Family):
			return forbidden("%s is not allowed: its toolset %q is not enabled; enabled are: %s", t.Name, t.Family, strings.Join(r.Toolsets, ", "))
		case len(r.Tools) > 0 && !slices.Contains(r.Tools, t.Name):
			return forbidden("%s is not allowed; allowed are: %s", t.Name, strings.Join(r.Tools, ", "))
		case slices.Contains(r.ExcludeTools, t.Name):
			return forbidden("%s is not allowed: it is excluded", t.Name)
		}
		return nil
	})
}

// instance reports why an instance may not be used.
func (r *Rails) instance(id string) error {
	return r.each(func(r *Rails) error {
		switch {
		case len(r.Instances) > 0 && !slices.ContainsFunc(r.Instances, func(p string) bool { return matches(p, id) }):
			return forbidden("instance %s is not allowed; allowed are: %s", id, strings.Join(r.Instances, ", "))
		case slices.ContainsFunc(r.ExcludeInstances, func(p string) bool { return matches(p, id) }):
			return forbidden("instance %s is not allowed: it is excluded", id)
		}
		return nil
	})
}

// limitsInstances reports whether there are instances that may not be used.
func (r *Rails) limitsInstances() bool {
	return r.each(func(r *Rails) error {
		if len(r.Instances)+len(r.ExcludeInstances) > 0 {
			return forbidden("limited")
		}
		return nil
	}) != nil
}

// command reports why a command may not be run. Patterns on commands keep an
// honest agent on its path; they do not hold a hostile one, since a shell has
// many ways to say the same.
func (r *Rails) command(command string) error {
	match := func(p *regexp.Regexp) bool { return p.MatchString(command) }
	return r.each(func(r *Rails) error {
		if len(r.Commands) > 0 && !slices.ContainsFunc(r.Commands, match) {
			return forbidden("this command is not allowed; it must match one of: %s", joinPatterns(r.Commands))
		}
		if i := slices.IndexFunc(r.ExcludeCommands, match); i >= 0 {
			return forbidden("this command is not allowed: it matches %s", r.ExcludeCommands[i])
		}
		return nil
	})
}

func joinPatterns(ps []*regexp.Regexp) string {
	words := make([]string, len(ps))
	for i, p := range ps {
		words[i] = p.String()
	}
	return strings.Join(words, "  ")
}

// path reports why a path may not be touched. It goes by the path's text: a
// symbolic link within an allowed folder leads where it leads.
func (r *Rails) path(p string) error {
	p = absolute(p)
	return r.each(func(r *Rails) error {
		inside := func(pattern string) bool { return within(pattern, p) }
		switch {
		case len(r.Paths) > 0 && !slices.ContainsFunc(r.Paths, inside):
			return forbidden("path %s is not allowed; allowed are: %s", p, strings.Join(r.Paths, ", "))
		case slices.ContainsFunc(r.ExcludePaths, inside):
			return forbidden("path %s is not allowed: it is excluded", p)
		}
		return nil
	})
}

// absolute makes a path of the instance absolute and clean; relative ones are
// seen from /workspace.
func absolute(p string) string {
	if !strings.HasPrefix(p, "/") {
		p = "/workspace/" + p
	}
	return path.Clean(p)
}

// matches reports whether s is what pattern says, where * stands for anything.
func matches(pattern, s string) bool {
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return s == pattern
	}
	if !strings.HasPrefix(s, parts[0]) {
		return false
	}
	s = s[len(parts[0]):]
	for _, part := range parts[1 : len(parts)-1] {
		i := strings.Index(s, part)
		if i < 0 {
			return false
		}
		s = s[i+len(part):]
	}
	return strings.HasSuffix(s, parts[len(parts)-1])
}

// within reports whether p is in a folder that a pattern names, or is it.
func within(pattern, p string) bool {
	pattern = absolute(pattern)
	if !strings.Contains(pattern, "*") {
		return p == pattern || pattern == "/" || strings.HasPrefix(p, pattern+"/")
	}
	for ; ; p = path.Dir(p) {
		if globMatch(strings.Split(pattern, "/"), strings.Split(p, "/")) {
			return true
		}
		if p == "/" || p == "." {
			return false
		}
	}
}

// globMatch matches path segments; ** stands for any number of them.
func globMatch(pattern, segments []string) bool {
	if len(pattern) == 0 {
		return len(segments) == 0
	}
	if pattern[0] == "**" {
		for i := range len(segments) + 1 {
			if globMatch(pattern[1:], segments[i:]) {
				return true
			}
		}
		return false
	}
	return len(segments) > 0 && matches(pattern[0], segments[0]) && globMatch(pattern[1:], segments[1:])
}

// allowedInstances leaves out what the rails do not allow to be used.
func (r *request) allowedInstances(all []client.Instance) []client.Instance {
	if !r.rails.limitsInstances() {
		return all
	}
	return slices.DeleteFunc(slices.Clone(all), func(in client.Instance) bool { return r.rails.instance(in.ID) != nil })
}

// readOnlyKey marks the contexts of calls that must change nothing.
type readOnlyKey struct{}

// IsReadOnly reports whether ctx belongs to a call that must change nothing
// upstream. The client is told to refuse everything but GETs there, so that
// read-only holds whatever a tool does.
func IsReadOnly(ctx context.Context) bool { return ctx.Value(readOnlyKey{}) != nil }

// AllowInstance reports why an instance may not be used, for what is not a tool.
func (r *Rails) AllowInstance(id string) error { return r.instance(id) }

// AllowPath reports why a path may not be touched, for what is not a tool.
func (r *Rails) AllowPath(p string) error { return r.path(p) }

// AllowTool gives a function that reports why ctx's request may not use a tool:
// for what is not a tool, but gives what one gives.
func AllowTool(d *Deps, all []*Tool) func(ctx context.Context, name string) error {
	byName := make(map[string]*Tool, len(all))
	for _, t := range all {
		byName[t.Name] = t
	}
	return func(ctx context.Context, name string) error {
		t, ok := byName[name]
		if !ok {
			return forbidden("there is no %s", name)
		}
		return d.Rails(ctx).tool(t)
	}
}

package tools

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/bmatcuk/doublestar/v4"

	"openclaw-mcp/client"
	"openclaw-mcp/internal/text"
)

// Rails are the limits on what calls may do. The zero value allows everything. A
// server has its own, and a request's headers can only tighten them.
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
	OfRequest        bool // a request's headers set them, not this server's settings

	tighter     []*Rails // further limits, all of which apply too
	onlyTighter bool     // ReadOnly comes from one of these
}

// railError is a call that the limits forbid. Its text says which limit, and what
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

// Check reports names of tools and toolsets that do not exist, so that a misspelt
// limit does not allow everything.
func (r *Rails) Check() error {
	var names []string
	for _, t := range All() {
		names = append(names, t.Name)
	}
	for _, f := range r.Toolsets {
		if !slices.Contains(Toolsets(), f) {
			return fmt.Errorf("names the unknown toolset %q; the toolsets are: %s", f, strings.Join(Toolsets(), ", "))
		}
	}
	for _, n := range slices.Concat(r.Tools, r.ExcludeTools) {
		if !slices.Contains(names, n) {
			return fmt.Errorf("names the unknown tool %q; the tools are: %s", n, strings.Join(names, ", "))
		}
	}
	return nil
}

// Tighten gives limits that forbid what any of these forbids.
func (r *Rails) Tighten(more ...*Rails) *Rails {
	both := *r
	both.ReadOnly = r.ReadOnly || slices.ContainsFunc(more, func(m *Rails) bool { return m.ReadOnly })
	both.onlyTighter = both.ReadOnly && (!r.ReadOnly || r.onlyTighter)
	both.tighter = append(slices.Clip(r.tighter), more...)
	return &both
}

// each gives the first objection of these limits and of those that tighten them.
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

// by names what sets a limit: a setting, or the header that stands for it.
func (r *Rails) by(setting string) string {
	if !r.OfRequest {
		return "(OPENCLAW_MCP_" + setting + ")"
	}
	header := strings.ReplaceAll(setting, "READ_ONLY", "READONLY")
	return "(the request's header X-MCP-" + strings.ReplaceAll(header, "_", "-") + ")"
}

// tool reports why a tool may not be used.
func (r *Rails) tool(t *Tool) error {
	name := cmp.Or(t.As, t.Name)
	return r.each(func(r *Rails) error {
		switch {
		case r.ReadOnly && !r.onlyTighter && t.Effect != Reads:
			return forbidden("%s is not allowed: this server is read-only %s", t.Name, r.by("READ_ONLY"))
		case len(r.Toolsets) > 0 && !slices.Contains(r.Toolsets, t.Family):
			return forbidden("%s is not allowed: its toolset %q is not enabled; enabled are: %s %s", t.Name, t.Family, strings.Join(r.Toolsets, ", "), r.by("TOOLSETS"))
		case len(r.Tools) > 0 && !slices.Contains(r.Tools, name):
			return forbidden("%s is not allowed; allowed are: %s %s", name, strings.Join(r.Tools, ", "), r.by("TOOLS"))
		case slices.Contains(r.ExcludeTools, name):
			return forbidden("%s is not allowed: it is excluded %s", name, r.by("EXCLUDE_TOOLS"))
		}
		return nil
	})
}

// instance reports why an instance may not be used. Where instances are excluded
// that is not all: see [request.allowInstance].
func (r *Rails) instance(id string) error {
	return r.each(func(r *Rails) error {
		if len(r.Instances)+len(r.ExcludeInstances) == 0 {
			return nil
		}
		if err := client.CheckID("instance id", id); err != nil {
			return &railError{err.Error()}
		}
		fits := func(pattern string) bool { return fitsInstance(pattern, id) }
		switch {
		case len(r.Instances) > 0 && !slices.ContainsFunc(r.Instances, fits):
			return forbidden("instance %s is not allowed; allowed are: %s %s", id, strings.Join(r.Instances, ", "), r.by("INSTANCES"))
		case slices.ContainsFunc(r.ExcludeInstances, fits):
			return forbidden("instance %s is not allowed: it is excluded %s", id, r.by("EXCLUDE_INSTANCES"))
		}
		return nil
	})
}

// fitsInstance reports whether a pattern fits an id. Of a UUID, it fits all spellings
// or none.
func fitsInstance(pattern, id string) bool {
	if client.IsUUID(id) {
		id, pattern = client.CanonicalID(id), strings.ToLower(client.CanonicalID(pattern))
	}
	return matches(pattern, id)
}

// excludesInstances reports whether there are instances that are named as not to
// be used.
func (r *Rails) excludesInstances() bool {
	return r.each(func(r *Rails) error {
		if len(r.ExcludeInstances) > 0 {
			return forbidden("excluded")
		}
		return nil
	}) != nil
}

// limitsInstances reports whether there are instances that may not be used.
func (r *Rails) limitsInstances() bool {
	return r.excludesInstances() || r.each(func(r *Rails) error {
		if len(r.Instances) > 0 {
			return forbidden("limited")
		}
		return nil
	}) != nil
}

// command reports why a command may not be run. Patterns on commands guide an
// honest agent; they do not stop a hostile one, since a shell has many ways to
// say the same.
func (r *Rails) command(command string) error {
	match := func(p *regexp.Regexp) bool { return p.MatchString(command) }
	return r.each(func(r *Rails) error {
		if len(r.Commands) > 0 && !slices.ContainsFunc(r.Commands, match) {
			return forbidden("this command is not allowed; it must match one of: %s %s", joinPatterns(r.Commands), r.by("COMMANDS"))
		}
		if i := slices.IndexFunc(r.ExcludeCommands, match); i >= 0 {
			return forbidden("this command is not allowed: it matches %s %s", r.ExcludeCommands[i], r.by("EXCLUDE_COMMANDS"))
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

// maxPath is PATH_MAX of Linux.
const maxPath = 4096

// path reports why a path may not be touched. Only the text of the path counts: a
// symbolic link in an allowed folder may lead anywhere.
func (r *Rails) path(p string) error {
	if len(p) > maxPath {
		return badArgument("the path %s has %d bytes; a path has at most %d", text.Clip(p, 100), len(p), maxPath)
	}
	p = absolute(p)
	return r.each(func(r *Rails) error {
		inside := func(pattern string) bool { return within(pattern, p) }
		switch {
		case len(r.Paths) > 0 && !slices.ContainsFunc(r.Paths, inside):
			return forbidden("path %s is not allowed; allowed are: %s %s", p, strings.Join(r.Paths, ", "), r.by("PATHS"))
		case slices.ContainsFunc(r.ExcludePaths, inside):
			return forbidden("path %s is not allowed: it is excluded %s", p, r.by("EXCLUDE_PATHS"))
		}
		return nil
	})
}

// below reports why a folder may not be moved, copied or deleted with what is in it, nor
// come to be there: a path below it is excluded, or might be.
func (r *Rails) below(p string) error {
	p = absolute(p)
	return r.each(func(r *Rails) error {
		if i := slices.IndexFunc(r.ExcludePaths, func(pattern string) bool { return reachesBelow(pattern, p) }); i >= 0 {
			return forbidden("the folder %s may not be moved, copied or deleted as a whole, nor be where another one goes: what %s excludes can lie in it %s",
				p, r.ExcludePaths[i], r.by("EXCLUDE_PATHS"))
		}
		return nil
	})
}

// absolute makes a path of the instance absolute and clean; relative ones start at
// /workspace.
func absolute(p string) string {
	if !strings.HasPrefix(p, "/") {
		p = client.Workspace + "/" + p
	}
	return path.Clean(p)
}

// matches reports whether s fits a pattern in which * stands for anything. An id is
// not a path, so * includes slashes here.
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

// within reports whether p is in a folder that a pattern names, or is that
// folder. In patterns * stands for anything within a segment and ** as a whole
// segment for any number of them; all other characters stand for themselves.
func within(pattern, p string) bool {
	glob := folderGlob(absolute(pattern))
	for !doublestar.MatchUnvalidated(glob, p) {
		if p == "/" {
			return false
		}
		p = path.Dir(p)
	}
	return true
}

// reachesBelow reports whether a pattern can name something below a folder that it does
// not name itself.
func reachesBelow(pattern, folder string) bool {
	globs := strings.Split(strings.TrimPrefix(folderGlob(absolute(pattern)), "/"), "/")
	names := strings.Split(strings.TrimPrefix(folder, "/"), "/")
	for i, name := range names {
		switch {
		case i == len(globs):
			return false
		case globs[i] == "**":
			return true
		case !doublestar.MatchUnvalidated(globs[i], name):
			return false
		}
	}
	return len(globs) > len(names)
}

// folderGlob gives a pattern in doublestar's syntax.
func folderGlob(pattern string) string {
	segments := strings.Split(pattern, "/")
	for i, s := range segments {
		if s == "**" {
			continue
		}
		// Doublestar matches nothing with * at an end, but not with several of them.
		for strings.Contains(s, "**") {
			s = strings.ReplaceAll(s, "**", "*")
		}
		segments[i] = plainGlob.Replace(s)
	}
	// What is in a folder is within anyway. A pattern such as /a*/** would not fit /a.
	for n := len(segments); n > 1 && segments[n-1] == "**"; n = len(segments) {
		segments = segments[:n-1]
	}
	return cmp.Or(strings.Join(segments, "/"), "/")
}

// plainGlob escapes what is special to doublestar but not here: a folder may well
// be called [id].
var plainGlob = strings.NewReplacer(`\`, `\\`, "?", `\?`, "[", `\[`, "{", `\{`)

// allowedInstances leaves out the instances that may not be used.
func (r *request) allowedInstances(all []client.Instance) []client.Instance {
	if !r.rails.limitsInstances() {
		return all
	}
	return slices.DeleteFunc(slices.Clone(all), func(in client.Instance) bool { return r.rails.instance(in.ID) != nil })
}

// readOnlyKey marks the contexts of calls that must change nothing.
type readOnlyKey struct{}

// IsReadOnly reports whether ctx belongs to a call that must change nothing
// upstream. The client refuses everything but GETs there, so that read-only holds
// whatever a tool does.
func IsReadOnly(ctx context.Context) bool { return ctx.Value(readOnlyKey{}) != nil }

// AllowInstance reports why an instance that the service lists may not be used, for
// code that is not a tool.
func (r *Rails) AllowInstance(id string) error { return r.instance(id) }

// NamedInstance gives a function that reports why ctx's request may not use an
// instance that a caller names.
func NamedInstance(d *Deps) func(ctx context.Context, id string) error {
	return func(ctx context.Context, id string) error {
		s, err := d.Services(ctx)
		if err != nil {
			return err
		}
		_, err = (&request{Deps: d, Services: s, rails: d.Rails(ctx)}).allowInstance(ctx, id)
		return err
	}
}

// AllowPath reports why a path may not be touched, for code that is not a tool.
func (r *Rails) AllowPath(p string) error { return r.path(p) }

// AllowTool gives a function that reports why ctx's request may not use a tool, for
// resources and prompts, which offer what tools offer.
func AllowTool(d *Deps, all []*Tool) func(ctx context.Context, name string) error {
	byName := make(map[string]*Tool, len(all))
	for _, t := range all {
		byName[t.Name] = t
	}
	return func(ctx context.Context, name string) error {
		t, ok := byName[name]
		if !ok {
			return forbidden("there is no tool %s", name)
		}
		return d.Rails(ctx).tool(t)
	}
}

package resources

import (
	"context"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/mark3labs/mcp-go/mcp"

	"openclaw-mcp/client"
)

const (
	// maxValues is how many completions MCP allows in one answer.
	maxValues = 100
	// completeLimit bounds how long somebody who types waits, where Deps say no other.
	completeLimit = 2 * time.Second
)

// candidate is what a value may be completed to.
type candidate struct {
	value string
	name  string // what is typed besides the value: a session's title
	match string // the part of the value that is matched; "": all of it
}

// CompleteResourceArgument implements server.ResourceCompletionProvider. The
// variables of all templates mean the same everywhere, so the template does not
// matter.
func (s *Server) CompleteResourceArgument(ctx context.Context, _ string, arg mcp.CompleteArgument, known mcp.CompleteContext) (*mcp.Completion, error) {
	return s.Complete(ctx, arg.Name, arg.Value, known.Arguments), nil
}

// Complete gives the values that an argument may have: "instance", "session",
// "path", "document" and "format". The best come first: what begins with the value, then
// what has it elsewhere. known are the arguments that are filled in. What can't
// be found out in time, or at all, is not an error: then nothing is offered.
func (s *Server) Complete(ctx context.Context, arg, value string, known map[string]string) *mcp.Completion {
	ctx, cancel := context.WithTimeout(ctx, s.CompleteLimit)
	defer cancel()
	none := &mcp.Completion{Values: []string{}}
	c, err := s.caller(ctx)
	if err != nil {
		return none
	}
	var all []candidate
	switch arg {
	case "instance":
		all, err = c.instanceCandidates(ctx)
	case "session":
		all, err = c.sessionCandidates(ctx, known["instance"])
	case "path":
		return c.completePath(ctx, value, known["instance"])
	case "document":
		for _, d := range client.Documents() {
			all = append(all, candidate{value: d.Name, name: d.Title})
		}
	case "format":
		all = []candidate{{value: "markdown"}, {value: "json"}}
	}
	if err != nil {
		s.Log.Debug("no completions", "argument", arg, "error", err)
		return none
	}
	return ranked(all, value)
}

// ranked picks the candidates that fit, the best first. Among equals, the order
// stays.
func ranked(all []candidate, value string) *mcp.Completion {
	value = strings.ToLower(value)
	var ranks [5][]string
	total := 0
	for _, cand := range all {
		match := cand.match
		if match == "" {
			match = cand.value
		}
		match = strings.ToLower(match)
		name := strings.ToLower(cand.name)
		rank := -1
		switch {
		case match == value:
			rank = 0
		case strings.HasPrefix(match, value):
			rank = 1
		case name != "" && strings.HasPrefix(name, value):
			rank = 2
		case strings.Contains(match, value):
			rank = 3
		case strings.Contains(name, value):
			rank = 4
		}
		if rank < 0 {
			continue
		}
		total++
		if len(ranks[rank]) < maxValues {
			ranks[rank] = append(ranks[rank], cand.value)
		}
	}
	values := slices.Concat(ranks[:]...)
	if len(values) > maxValues {
		values = values[:maxValues]
	}
	if values == nil {
		values = []string{}
	}
	return &mcp.Completion{Values: values, Total: total, HasMore: total > len(values)}
}

// instanceCandidates are the instances, ready ones first.
func (c *caller) instanceCandidates(ctx context.Context) ([]candidate, error) {
	if err := c.AllowTool(ctx, "list_instances"); err != nil {
		return nil, err
	}
	all, err := c.instances(ctx, false)
	var ready, others []candidate
	for _, in := range all {
		switch {
		case c.AllowInstance(ctx, in.ID) != nil:
		case in.State == client.StateReady:
			ready = append(ready, candidate{value: in.ID, name: in.Name})
		default:
			others = append(others, candidate{value: in.ID, name: in.Name})
		}
	}
	return append(ready, others...), err
}

// oneInstance is the instance that a completion is about: the one that is
// filled in, the configured one, or the only one that is ready.
func (c *caller) oneInstance(ctx context.Context, named string) string {
	if named == "" {
		named = c.Instance
	}
	if named == "" {
		all, _ := c.instances(ctx, false)
		for _, in := range all {
			if in.State != client.StateReady || c.AllowInstance(ctx, in.ID) != nil {
				continue
			}
			if named != "" {
				return "" // several
			}
			named = in.ID
		}
	}
	if named == "" || client.CheckID("instance id", named) != nil || c.AllowNamed(ctx, named) != nil {
		return ""
	}
	return named
}

// sessionCandidates are an instance's sessions, newest first.
func (c *caller) sessionCandidates(ctx context.Context, named string) ([]candidate, error) {
	if err := c.AllowTool(ctx, "list_chat_sessions"); err != nil {
		return nil, err
	}
	instance := c.oneInstance(ctx, named)
	if instance == "" {
		return nil, nil
	}
	sessions, err := c.sessions(ctx, instance, false)
	var all []candidate
	for _, s := range sessions {
		all = append(all, candidate{value: s.ID, name: s.Title})
	}
	return all, err
}

// completePath completes a path by the entries of the directory that it is in.
func (c *caller) completePath(ctx context.Context, value, named string) *mcp.Completion {
	none := &mcp.Completion{Values: []string{}}
	if c.AllowTool(ctx, "list_files") != nil {
		return none
	}
	// Nearly everything is in the workspace, with or without the first slash.
	if root := client.Workspace[1:] + "/"; !strings.Contains(strings.TrimPrefix(value, "/"), "/") && strings.HasPrefix(root, strings.TrimPrefix(value, "/")) {
		if strings.HasPrefix(value, "/") {
			root = "/" + root
		}
		return &mcp.Completion{Values: []string{root}, Total: 1}
	}
	instance := c.oneInstance(ctx, named)
	if instance == "" {
		return none
	}
	typed, base := path.Split(value) // typed ends in a slash
	dir := path.Clean("/" + typed)
	if c.AllowPath(ctx, dir) != nil {
		return none
	}
	entries, err := c.directory(ctx, instance, dir, false)
	if err != nil {
		c.Log.Debug("no completions", "argument", "path", "error", err)
		return none
	}
	all := make([]candidate, 0, len(entries))
	for _, f := range entries {
		if c.AllowPath(ctx, f.Path) != nil {
			continue
		}
		v := typed + f.Name
		if f.IsDir {
			v += "/"
		}
		all = append(all, candidate{value: v, match: f.Name})
	}
	return ranked(all, base)
}

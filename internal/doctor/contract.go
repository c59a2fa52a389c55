package doctor

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"openclaw-mcp/client"
	"openclaw-mcp/internal/text"
)

// Contract is how the service's own description (its OpenAPI document) differs
// from what this program sends and accepts: methods, paths and names alone.
type Contract struct {
	Missing []string `json:"missing,omitempty"` // used by this program, not described
	Moved   []string `json:"moved,omitempty"`   // the same, but described elsewhere
	New     []string `json:"new,omitempty"`     // described, not used
	Names   []string `json:"names,omitempty"`   // of requests, that differ
	Fields  []string `json:"fields,omitempty"`  // of answers, that this program does not read
	Events  []string `json:"events,omitempty"`  // of streams, that it does not know
}

// broken counts what may keep something from working.
func (c *Contract) broken() int { return len(c.Missing) + len(c.Moved) + len(c.Names) }

// described compares the service's description with what the client does.
func (e *examination) described(ctx context.Context) {
	name, none := stepDescription, false
	e.check(ctx, name, e.Patience, Warning, func(ctx context.Context) (string, string, error) {
		api, err := e.client.Documents.OpenAPI(ctx)
		ce, _ := errors.AsType[*client.Error](err)
		switch {
		case err == nil:
		case ce != nil && (ce.Status == http.StatusNotFound || errors.Is(err, client.ErrWebPage)):
			none = true
			return "there is no OpenAPI document at /openapi.json", "", nil
		case errors.Is(err, client.ErrTooLarge):
			return "", "the service has an OpenAPI document at /openapi.json, but it was not read: " + ce.Message, nil
		case ce != nil && ce.Status == http.StatusOK:
			return "", "the service has something at /openapi.json that can't be read as an OpenAPI document: " + ce.Message, nil
		default:
			return "", "", err
		}
		c := compare(client.Endpoints(), api)
		e.report.Contract = c
		if n := c.broken(); n > 0 {
			return "", fmt.Sprintf("the service describes its API differently from how this program uses it, in %s: see below", text.Count(n, "place", "places")), nil
		}
		return fmt.Sprintf("its OpenAPI document has all %d endpoints as this program uses them", len(client.Endpoints())), "", nil
	})
	if none {
		e.report.Checks[len(e.report.Checks)-1].Level = Skipped
	}
}

// compare finds how what is described differs from what is used.
func compare(used, described []client.Endpoint) *Contract {
	c := &Contract{}
	taken := map[string]bool{}
	for _, u := range used {
		taken[u.Place()] = true
	}
	for n, i := range client.Match(used, described) {
		u := used[n]
		if i < 0 {
			if u.Path != "/" && !strings.HasSuffix(u.Path, "/ws") {
				c.Missing = append(c.Missing, u.Method+" "+u.Path)
			}
			continue
		}
		belief := client.Believe(u, described[i])
		if described[i].Place() != u.Place() {
			taken[described[i].Place()] = true
			note := ""
			if belief.Path != "" {
				note = ", and used at the new path if the old one is missing"
			}
			c.Moved = append(c.Moved, fmt.Sprintf("%s %s -> %s%s", u.Method, u.Path, safePath(described[i].Path), note))
		}
		c.names(u, described[i], belief)
	}
	for _, d := range described {
		if !taken[d.Place()] && !strings.HasPrefix(d.Path, "/../") && !strings.HasPrefix(d.Path, "/openapi.") {
			c.New = append(c.New, d.Method+" "+safePath(d.Path))
		}
	}
	return c
}

// names compares the names of one endpoint.
func (c *Contract) names(u, d client.Endpoint, belief client.Belief) {
	at := u.Method + " " + u.Path + ": "
	differ := func(sent, has []string) {
		if len(has) == 0 {
			return // it does not say
		}
		for _, name := range sent {
			if slices.Contains(has, name) {
				continue
			}
			note := name + " is not described"
			if other := belief.Names[name]; other != "" {
				note = fmt.Sprintf("%s is called %s, and sent under that name if it is refused", name, safe(other))
			}
			c.Names = append(c.Names, at+note)
		}
	}
	differ(u.Query, d.Query)
	differ(u.Fields, d.Fields)
	for _, name := range d.Needs {
		if !slices.Contains(slices.AppendSeq(slices.Concat(u.Query, u.Fields), maps.Values(belief.Names)), name) {
			c.Names = append(c.Names, at+safe(name)+" is required, but not sent")
		}
	}
	for _, name := range d.Answers {
		if !client.KnownField(name) {
			c.Fields = append(c.Fields, at+safe(name))
		}
	}
	for _, name := range d.Events {
		if !client.KnownEvent(name) {
			c.Events = append(c.Events, at+safe(name))
		}
	}
}

// safe gives a name that may be shown: anything else may be data.
func safe(name string) string {
	if isName(name) {
		return name
	}
	return "(another name)"
}

func safePath(path string) string {
	parts := strings.Split(path, "/")
	for i, p := range parts {
		inner := strings.TrimSuffix(strings.TrimPrefix(p, "{"), "}")
		if p != "" && p != ".." && !isName(inner) {
			parts[i] = "(other)"
		}
	}
	return strings.Join(parts, "/")
}

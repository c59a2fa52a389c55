package client

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// A service that moved an endpoint, or spells a name otherwise, says so in its own
// description. That is looked at when the service refuses what this client knows, and
// then believed: for the place below the same base address, and for names. A refused
// request did nothing, so it may be made again as the description has it.

const (
	// keepBelief is how long what a description says is believed, or that there is
	// none, before it is read again.
	keepBelief = 10 * time.Minute
	// beliefTimeout is how long a refused request waits for the description.
	beliefTimeout = 10 * time.Second
)

// Match finds for each endpoint that is used the one that is described: at the same
// place, or where it alone can have moved to. It is -1 for none.
func Match(used, described []Endpoint) []int {
	found := make([]int, len(used))
	taken := map[string]bool{}
	for i, u := range used {
		taken[u.Place()] = true
		found[i] = slices.IndexFunc(described, func(d Endpoint) bool { return d.Place() == u.Place() })
	}
	for i, u := range used {
		if found[i] >= 0 || u.Path == "/" || strings.HasSuffix(u.Path, "/ws") {
			continue // OpenAPI has no word for sockets, and few describe their root
		}
		for j, d := range described {
			if d.Method != u.Method || taken[d.Place()] || strings.Count(d.Path, "{") != strings.Count(u.Path, "{") ||
				lastWords(form(d.Path)) != lastWords(form(u.Path)) {
				continue
			}
			if found[i] >= 0 {
				found[i] = -1
				break
			}
			found[i] = j
		}
		if found[i] >= 0 {
			taken[described[found[i]].Place()] = true
		}
	}
	return found
}

// Belief is what of a description this client goes by where it differs.
type Belief struct {
	Path  string            // the other place, behind /api; "" for none
	Names map[string]string // of Query and Fields: as this client has them, as the service has them
}

// Believe tells what of a described endpoint is believed. It must be an instance's as much
// as the known one, and take what is sent.
func Believe(used, described Endpoint) Belief {
	var b Belief
	sent, has := slices.Concat(used.Query, used.Fields), slices.Concat(described.Query, described.Fields)
	if len(has) > 0 {
		b.Names = renamed(used, sent, has, described.Needs)
	}
	for _, name := range described.Needs {
		if !slices.Contains(sent, name) && !slices.Contains(slices.Collect(maps.Values(b.Names)), name) {
			return Belief{} // it wants what this client can't give
		}
	}
	if form(described.Path) != form(used.Path) && plainPath().MatchString(form(described.Path)) && !strings.Contains(described.Path, "/..") {
		if strings.Contains(used.Path, "{") && !ofInstance().MatchString(described.Path) {
			return Belief{}
		}
		b.Path = described.Path
	}
	return b
}

// plainPath is a path that stays where it is put, and ofInstance one whose parameter is an
// instance.
var (
	plainPath  = pattern(`^(/([A-Za-z0-9_~-][A-Za-z0-9._~-]*|\{\}))+$`)
	ofInstance = pattern(`(?i)/instances?/\{|\{[a-z_-]*instance[a-z_-]*\}`)
)

// renamed pairs names that are spelt otherwise. Beyond that, the one name that this client
// must send and that is not described is the one that the service must get and is not sent.
func renamed(used Endpoint, sent, has, needs []string) map[string]string {
	names := map[string]string{}
	var open []string
	for _, name := range sent {
		if slices.Contains(has, name) {
			continue
		}
		alike := slices.DeleteFunc(slices.Clone(has), func(other string) bool { return foldName(other) != foldName(name) || slices.Contains(sent, other) })
		slices.Sort(alike)
		switch alike = slices.Compact(alike); {
		case len(alike) == 1:
			names[name] = alike[0]
		case slices.Contains(used.Needs, name):
			open = append(open, name)
		}
	}
	missing := slices.DeleteFunc(slices.Clone(needs), func(other string) bool {
		return slices.Contains(sent, other) || slices.Contains(slices.Collect(maps.Values(names)), other)
	})
	if len(open) == 1 && len(missing) == 1 {
		names[open[0]] = missing[0]
	}
	return names
}

// Place tells endpoints apart, whatever their parameters are called.
func (e Endpoint) Place() string { return e.Method + " " + form(e.Path) }

// lastWords gives the end of a path, from its last segment that is not a parameter.
func lastWords(path string) string {
	end := strings.TrimSuffix(path, "/{}")
	return path[strings.LastIndexByte(end, '/')+1:]
}

// form gives a path without the names of its parameters.
func form(path string) string {
	parts := strings.Split(path, "/")
	for i, p := range parts {
		if strings.HasPrefix(p, "{") {
			parts[i] = "{}"
		}
	}
	return strings.Join(parts, "/")
}

func foldName(name string) string {
	return strings.ToLower(strings.NewReplacer("_", "", "-", "").Replace(name))
}

// beliefs are those of one client.
type beliefs struct {
	reading chan struct{} // held by who reads the description

	mu sync.Mutex
	at time.Time
	by map[string]Belief // by method and form of the known path
}

func newBeliefs() *beliefs { return &beliefs{reading: make(chan struct{}, 1)} }

// learn takes over what a description says; nil: there is none.
func (b *beliefs) learn(described []Endpoint) {
	by := map[string]Belief{}
	used := Endpoints()
	for i, j := range Match(used, described) {
		if j < 0 {
			continue
		}
		if belief := Believe(used[i], described[j]); belief.Path != "" || len(belief.Names) > 0 {
			by[used[i].Place()] = belief
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.at, b.by = time.Now(), by
}

// of gives the belief about a request, and whether the description was read lately.
func (b *beliefs) of(req call) (belief Belief, fresh bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if fresh = !b.at.IsZero() && time.Since(b.at) < keepBelief; !fresh {
		return Belief{}, false
	}
	return b.by[form(req.op)], true
}

// doubt drops what is believed about a request.
func (b *beliefs) doubt(req call) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.by, form(req.op))
}

// forget has the description read again when it is next needed.
func (b *beliefs) forget() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.at, b.by = time.Time{}, nil
}

// do sends one request as this client knows it, or as it was seen to be described. Where
// the service refuses it as something that it does not have or can't read, its description
// is looked at, once, and where that says otherwise the request is made again so.
func (c *core) do(ctx context.Context, req call) (*reply, error) {
	if req.anonymous || req.beside || !isKnown(req.op) {
		return c.send(ctx, req)
	}
	before, fresh := c.beliefs.of(req)
	r, err := c.send(ctx, before.apply(req))
	e, failed := errors.AsType[*Error](err)
	if !failed || !e.contradicts() {
		return r, err
	}
	if before.Path != "" && e.NoEndpoint() {
		c.beliefs.forget() // it is not there either
		return r, err
	}
	if !fresh && !c.describe(ctx) {
		return r, err
	}
	belief, _ := c.beliefs.of(req)
	if belief.Path == before.Path && maps.Equal(belief.Names, before.Names) || !belief.helps(e) {
		return r, err
	}
	c.log.InfoContext(ctx, "the service's description has another form of an endpoint, which is used from now on", "endpoint", req.op, "path", belief.Path, "names", belief.Names)
	r, err = c.send(ctx, belief.apply(req))
	if e, failed := errors.AsType[*Error](err); failed && e.NoEndpoint() && e.Status != http.StatusNotFound {
		c.beliefs.doubt(req) // a 404 may be about a file
	}
	return r, err
}

func isKnown(op string) bool {
	return slices.ContainsFunc(Endpoints(), func(e Endpoint) bool { return e.Place() == form(op) })
}

// contradicts reports a refusal that a wrong path or a wrong name may be the reason of.
// What was perhaps done is not one.
func (e *Error) contradicts() bool {
	if e.Outcome != OutcomeRejected && e.Outcome != "" {
		return false
	}
	return e.NoEndpoint() || e.Status == http.StatusBadRequest || e.Status == http.StatusUnprocessableEntity
}

// helps reports whether what the document says can explain a refusal.
func (b Belief) helps(e *Error) bool {
	if e.NoEndpoint() {
		return b.Path != ""
	}
	return len(b.Names) > 0
}

// describe reads the service's description. It reports false if that has to wait for
// another time.
func (c *core) describe(ctx context.Context) bool {
	select {
	case c.beliefs.reading <- struct{}{}:
		defer func() { <-c.beliefs.reading }()
	case <-ctx.Done():
		return false
	}
	if _, fresh := c.beliefs.of(call{}); fresh { // another call read it meanwhile
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, beliefTimeout)
	defer cancel()
	described, err := c.openAPI(ctx)
	if err != nil && ctx.Err() != nil {
		return false
	}
	c.beliefs.learn(described)
	return true
}

// apply gives a request as it is believed to be right.
func (b Belief) apply(req call) call {
	if b.Path != "" {
		instance := ""
		if parts := strings.Split(req.path, "/"); len(parts) > 2 {
			instance = parts[2] // escaped
		}
		req.path = strings.Replace(form(b.Path), "{}", instance, 1)
	}
	if len(b.Names) == 0 {
		return req
	}
	if len(req.query) > 0 {
		query := make(url.Values, len(req.query))
		for name, values := range req.query {
			query[b.name(name)] = values
		}
		req.query = query
	}
	if req.body != nil {
		req.body = b.rename(req.body)
	}
	return req
}

func (b Belief) name(name string) string {
	if other, ok := b.Names[name]; ok {
		return other
	}
	return name
}

// rename changes the names in a body. One that can't be encoded is left for who sends it.
func (b Belief) rename(body any) any {
	raw, ok := body.(jsontext.Value)
	if !ok {
		var err error
		if raw, err = json.Marshal(body, tolerant); err != nil {
			return body
		}
	}
	var out bytes.Buffer
	out.Grow(len(raw)) // it may be large
	d := jsontext.NewDecoder(bytes.NewBuffer(raw))
	if token, err := d.ReadToken(); err != nil || token.Kind() != '{' {
		return body
	}
	out.WriteByte('{')
	for d.PeekKind() != '}' {
		token, err := d.ReadToken()
		if err != nil {
			return body
		}
		name, err := jsontext.AppendQuote(nil, b.name(token.String()))
		if err != nil {
			return body
		}
		value, err := d.ReadValue()
		if err != nil {
			return body
		}
		if out.Len() > 1 {
			out.WriteByte(',')
		}
		out.Write(name)
		out.WriteByte(':')
		out.Write(value)
	}
	out.WriteByte('}')
	return jsontext.Value(out.Bytes())
}

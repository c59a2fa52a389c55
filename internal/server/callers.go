package server

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"openclaw-mcp/client"
	"openclaw-mcp/tools"
	"openclaw-mcp/transport"
)

// callers keeps what each caller works with, found by name and key: what was made
// with one key never serves another.
//
// Where callers bring their own keys, anybody may invent one. So those whose key the
// service has never taken stand apart, as newcomers: they refuse nobody, and the
// longest unused of whoever brings the most makes room.
type callers struct {
	open     func(p transport.Principal, heard func(took bool)) (*tools.Services, error)
	newcomer bool          // everybody is one until the service takes the key
	patience time.Duration // a caller with nothing open may make room after so long

	// forget lets go of what is remembered for a caller whose key the service never took;
	// nil: there is nothing.
	forget func(p transport.Principal)

	mu        sync.Mutex
	known     map[transport.Principal]*caller
	newcomers map[transport.Principal]*caller
}

type caller struct {
	*tools.Services
	who    transport.Principal
	taken  bool // the service took its key; true where that is not the caller's own
	used   time.Time
	share  string      // whose share of the room a newcomer takes
	header http.Header // of the last request, for its credential; nil: not over HTTP

	refused bool // the service took the key once, and lately did not

	calls     int  // of a newcomer, under way
	displaced bool // it made room for another newcomer
	closed    bool
}

const (
	// maxPrincipals bounds how many callers are kept at once.
	maxPrincipals = 1000
	// restAfter is when a caller with nothing open may make room.
	restAfter = 10 * time.Minute
	// maxNewcomers and maxNewcomersShare bound those whose key the service has not
	// taken: in all, and of one address.
	maxNewcomers      = 256
	maxNewcomersShare = 64
)

var errFull = errors.New("this server has as many callers as it can serve; try again in a few minutes")

// of gives a principal's services, made on first use, for a call that lasts as long as ctx.
func (c *callers) of(ctx context.Context, p transport.Principal, share string, header http.Header) (*tools.Services, error) {
	c.mu.Lock()
	if found := c.find(p); found != nil {
		found.used = time.Now()
		c.enter(ctx, p, found)
		c.mu.Unlock()
		return found.Services, nil
	}
	defer c.closeAll(c.makeRoom(share))
	defer c.mu.Unlock()
	if !c.newcomer && len(c.known) >= maxPrincipals {
		return nil, errFull
	}
	one := &caller{who: p, taken: !c.newcomer, used: time.Now(), share: share, header: header}
	var err error
	if one.Services, err = c.open(p, func(took bool) { c.heard(p, one, took) }); err != nil {
		return nil, err
	}
	if c.newcomer {
		c.newcomers[p] = one
		c.enter(ctx, p, one)
	} else {
		c.known[p] = one
	}
	return one.Services, nil
}

// enter notes that a call of a newcomer is under way; mu is held. One that was displaced
// meanwhile is closed after the last of them, or it would be kept for ever by what it has
// open.
func (c *callers) enter(ctx context.Context, p transport.Principal, one *caller) {
	if c.known[p] == one || !c.newcomer {
		return
	}
	one.calls++
	context.AfterFunc(ctx, func() {
		c.mu.Lock()
		one.calls--
		over := one.displaced && one.calls == 0 && c.known[p] != one
		one.closed = one.closed || over
		c.mu.Unlock()
		if over {
			c.closeAll([]*caller{one})
		}
	})
}

// find is called with mu held.
func (c *callers) find(p transport.Principal) *caller {
	if one := c.known[p]; one != nil {
		return one
	}
	return c.newcomers[p]
}

// knows reports whether the service has taken the principal's key.
func (c *callers) knows(p transport.Principal) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.known[p] != nil
}

// came notes the header of a request of a principal.
func (c *callers) came(p transport.Principal, header http.Header) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if one := c.find(p); one != nil {
		one.header = header
	}
}

// credentials gives the header that each caller came with last.
func (c *callers) credentials() map[transport.Principal]http.Header {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := make(map[transport.Principal]http.Header)
	for _, m := range []map[transport.Principal]*caller{c.known, c.newcomers} {
		for p, one := range m {
			if one.header != nil {
				all[p] = one.header
			}
		}
	}
	return all
}

// network is the part of an address that one party has: of IPv6, a /64.
func network(remote string) string {
	a, err := netip.ParseAddrPort(remote)
	if err != nil {
		return remote
	}
	bits := 32
	if addr := a.Addr().Unmap(); !addr.Is4() {
		bits = 64
	}
	prefix, _ := a.Addr().Unmap().Prefix(bits)
	return prefix.String()
}

// heard notes what the service says of a principal's key.
func (c *callers) heard(p transport.Principal, one *caller, took bool) {
	if took {
		c.taken(p, one)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if known := c.known[p]; known != nil {
		known.refused = true
	}
}

// takeRefused gives the known callers whose key the service refused since it was asked
// last.
func (c *callers) takeRefused() map[transport.Principal]*tools.Services {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := make(map[transport.Principal]*tools.Services)
	for p, one := range c.known {
		if one.refused {
			one.refused, all[p] = false, one.Services
		}
	}
	return all
}

// taken notes that the service has taken a newcomer's key.
func (c *callers) taken(p transport.Principal, one *caller) {
	c.mu.Lock()
	if c.known[p] != nil {
		c.mu.Unlock()
		return
	}
	resting := c.rest()
	if len(c.known) < maxPrincipals { // else it stays a newcomer, and is served all the same
		if other := c.newcomers[p]; other != nil && other != one {
			one = other // it made room for others, and was made again
		}
		if !one.closed {
			delete(c.newcomers, p)
			c.known[p], one.taken = one, true
		}
	}
	c.mu.Unlock()
	go c.closeAll(resting) // whoever reports must not wait for the end of others
}

// makeRoom takes out those who have to make room for one more; mu is held.
func (c *callers) makeRoom(share string) []*caller {
	if !c.newcomer {
		return c.rest()
	}
	count := make(map[string]int)
	for _, one := range c.newcomers {
		count[one.share]++
	}
	victim := share
	if count[share] < maxNewcomersShare {
		if len(c.newcomers) < maxNewcomers {
			return nil
		}
		for s, n := range count {
			if n > count[victim] {
				victim = s
			}
		}
	}
	var oldest transport.Principal
	var out *caller
	for p, one := range c.newcomers {
		if one.share == victim && (out == nil || one.used.Before(out.used)) {
			oldest, out = p, one
		}
	}
	delete(c.newcomers, oldest)
	out.displaced = true
	if out.calls > 0 { // which the service may yet take
		return nil
	}
	out.closed = true
	return []*caller{out}
}

// rest takes out the known callers that have rested longest, where there are too many;
// mu is held. Runs go on upstream, and their handles take them up again.
func (c *callers) rest() (out []*caller) {
	if len(c.known) < maxPrincipals {
		return nil
	}
	now := time.Now()
	for p, one := range c.known {
		if now.Sub(one.used) > c.patience && one.Terminals.Count() == 0 {
			out = append(out, one)
			delete(c.known, p)
		}
	}
	return out
}

// end closes all that a principal has open here.
func (c *callers) end(p transport.Principal) {
	c.mu.Lock()
	one := c.find(p)
	delete(c.known, p)
	delete(c.newcomers, p)
	if one != nil {
		one.closed = true
	}
	c.mu.Unlock()
	if one != nil {
		closeServices(one.Services)
	}
}

func (c *callers) closeAll(all []*caller) {
	for _, one := range all {
		closeServices(one.Services)
		c.mu.Lock()
		if !one.taken && c.forget != nil && c.find(one.who) == nil { // it may have come back
			c.forget(one.who)
		}
		c.mu.Unlock()
	}
}

// list gives the services of all callers.
func (c *callers) list() []*tools.Services {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := make([]*tools.Services, 0, len(c.known)+len(c.newcomers))
	for _, m := range []map[transport.Principal]*caller{c.known, c.newcomers} {
		for _, one := range m {
			all = append(all, one.Services)
		}
	}
	return all
}

// watchKey calls heard with what the service says of a key in its answers to requests that
// need one: once that it takes it, and each time that it does not.
func watchKey(next http.RoundTripper, heard func(took bool)) http.RoundTripper {
	return &keyWatch{next: next, taken: sync.OnceFunc(func() { heard(true) }), refused: func() { heard(false) }}
}

type keyWatch struct {
	next           http.RoundTripper
	taken, refused func()
}

// RoundTrip implements [http.RoundTripper].
func (w *keyWatch) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := w.next.RoundTrip(r)
	if err != nil {
		return resp, err
	}
	// What the service says of itself, it says to anybody.
	if _, path, _ := strings.Cut(client.Operation(r.Context()), " "); strings.HasPrefix(path, "/instances") {
		switch {
		case resp.StatusCode < http.StatusMultipleChoices:
			w.taken()
		case resp.StatusCode == http.StatusUnauthorized:
			w.refused()
		}
	}
	return resp, nil
}

// CloseIdleConnections lets [http.Client.CloseIdleConnections] through.
func (w *keyWatch) CloseIdleConnections() {
	if c, ok := w.next.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

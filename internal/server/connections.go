package server

import (
	"container/list"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
)

// How many connections there may be. One whose headers do not end takes up to 250 KiB, and nobody
// knows whom it is from; an idle one takes 40.
const (
	maxUnfinished  = 512
	maxIdle        = 2048
	maxConnections = 8192
)

// connections bounds how many connections a server has, how many of them have sent no whole request
// yet, and how many wait for another one. One too many pushes out the one that has been so for
// longest, from where most are. So nobody is locked out, also where all come from the address of a
// proxy: a good client sends what it has to send at once, and opens an idle connection again.
type connections struct {
	most int

	mu               sync.Mutex
	all              map[net.Conn]*connection
	unfinished, idle crowd
}

// crowd are connections of one kind.
type crowd struct {
	most int
	n    int
	from map[string]*list.List // by network, the one that has been there longest first
}

type connection struct {
	*connections
	conn    net.Conn
	network string
	serving int  // whole requests; HTTP/2 has many at once
	served  bool // there was one
	resting bool // nothing of another one has come
	in      *crowd
	place   *list.Element
}

type connectionKey struct{}

// boundConnections bounds the connections of a server that has a handler.
func boundConnections(srv *http.Server, most, unfinished, idle int) {
	c := &connections{
		most: most, all: make(map[net.Conn]*connection),
		unfinished: crowd{most: unfinished, from: make(map[string]*list.List)}, idle: crowd{most: idle, from: make(map[string]*list.List)},
	}
	next := srv.Handler
	srv.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { c.serve(w, r, next) })
	srv.ConnContext = func(ctx context.Context, conn net.Conn) context.Context {
		return context.WithValue(ctx, connectionKey{}, c.add(conn))
	}
	srv.ConnState = c.changed
}

func (c *connections) add(conn net.Conn) *connection {
	one := &connection{connections: c, conn: conn, network: network(conn.RemoteAddr().String())}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all[conn] = one
	one.wait()
	return one
}

func (c *connections) changed(conn net.Conn, state http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	one := c.all[conn]
	switch {
	case one == nil:
	case state == http.StateClosed, state == http.StateHijacked:
		one.remove()
	case state == http.StateActive, state == http.StateIdle:
		if one.resting = state == http.StateIdle && one.served; one.serving == 0 {
			one.leave()
			one.wait()
		}
	}
}

// The others are called with mu held.

func (o *connection) remove() {
	delete(o.all, o.conn)
	o.leave()
}

// wait begins to wait for a request, or for the rest of it.
func (o *connection) wait() {
	o.in = &o.unfinished
	if o.resting {
		o.in = &o.idle
	}
	of := o.in.from[o.network]
	if of == nil {
		of = list.New()
		o.in.from[o.network] = of
	}
	o.place = of.PushBack(o)
	o.in.n++
	switch {
	case o.in.n > o.in.most:
		o.in.pushOut()
	case len(o.all) > o.most && o.idle.n > 0:
		o.idle.pushOut()
	case len(o.all) > o.most:
		o.unfinished.pushOut()
	}
}

func (o *connection) leave() {
	if o.in == nil {
		return
	}
	of := o.in.from[o.network]
	of.Remove(o.place)
	if of.Len() == 0 {
		delete(o.in.from, o.network)
	}
	o.in.n--
	o.in, o.place = nil, nil
}

// pushOut closes a connection of a crowd that is not empty.
func (c *crowd) pushOut() {
	var largest *list.List
	for _, of := range c.from {
		if largest == nil || of.Len() > largest.Len() {
			largest = of
		}
	}
	one := largest.Front().Value.(*connection)
	one.remove()
	conn := one.conn
	if t, ok := conn.(*tls.Conn); ok {
		conn = t.NetConn() // a farewell could take its time
	}
	_ = conn.Close()
}

// serve lets the connection wait until a request has come whole, and again when it was answered.
func (c *connections) serve(w http.ResponseWriter, r *http.Request, next http.Handler) {
	one, ok := r.Context().Value(connectionKey{}).(*connection)
	if !ok {
		next.ServeHTTP(w, r)
		return
	}
	t := &turn{connection: one}
	defer t.end()
	if r.ContentLength == 0 {
		t.begin()
	} else {
		// A copy: net/http looks at the type of the body of its own.
		own := *r
		own.Body = &wholeBody{r.Body, t}
		r = &own
	}
	next.ServeHTTP(w, r)
}

// turn is a request, which begins when it has come whole.
type turn struct {
	*connection
	begun, over bool
}

func (t *turn) begin() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.begun || t.over {
		return
	}
	t.begun, t.served, t.resting = true, true, false
	if t.serving++; t.serving == 1 {
		t.leave()
	}
}

func (t *turn) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.over = true
	if !t.begun {
		return
	}
	if t.serving--; t.serving == 0 && t.all[t.conn] == t.connection {
		t.wait()
	}
}

// wholeBody begins the turn where the body ends.
type wholeBody struct {
	io.ReadCloser
	turn *turn
}

func (b *wholeBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if errors.Is(err, io.EOF) {
		b.turn.begin()
	}
	return n, err
}

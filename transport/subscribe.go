package transport

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/mark3labs/mcp-go/mcp"
)

// Subscriber watches resources on behalf of clients.
type Subscriber interface {
	// Subscribe calls updated after each change of a resource from now on,
	// until stop is called. updated never blocks and may be called from any
	// goroutine, also a last time while stop is called. ctx governs only the
	// call itself; nothing of it is kept, since it holds a whole request.
	Subscribe(ctx context.Context, uri string, updated func()) (stop func(), err error)
}

// maxSubscriptions bounds what one session or one listen stream may watch.
const maxSubscriptions = 1000

var (
	errNoURI       = &codedError{code: mcp.INVALID_PARAMS, text: "uri is required"}
	errTooMany     = &codedError{code: mcp.INVALID_PARAMS, text: fmt.Sprintf("%d subscriptions are open already, which is the limit", maxSubscriptions)}
	errSessionOver = &codedError{code: mcp.INVALID_REQUEST, text: "the session has ended"}
)

// watch is one subscription to one URI.
type watch struct {
	stop   func() // nil while it is being made, and while it is parked
	parked bool   // see subscriptions.park
	sent   int64  // number of the last event that announced it
	shared bool   // other processes know of it
}

// subscriptions is what one client watches, and what it has still to be told:
// a set of URIs, since "updated" said twice says no more than said once. So
// nothing grows while a client does not read, and nothing is forgotten.
type subscriptions struct {
	subscriber Subscriber
	watched    *watchCount
	caller     string        // whose part of that it takes
	stream     string        // names the events that announce, on a session's own stream
	wake       chan struct{} // holds one token while anything is pending

	mu      sync.Mutex
	watches map[string]*watch
	pending []string // distinct, in the order of the first news
	closed  bool
	event   int64 // number of the last event, see took
}

func newSubscriptions(s Subscriber, of *watchCount, share string) *subscriptions {
	return &subscriptions{subscriber: s, watched: of, caller: share, stream: sessionStream + rand.Text(), wake: make(chan struct{}, 1), watches: make(map[string]*watch)}
}

// subscribe watches uri; it does nothing where that is watched already.
func (s *subscriptions) subscribe(ctx context.Context, uri string) error {
	w := &watch{}
	s.mu.Lock()
	switch {
	case s.closed:
		s.mu.Unlock()
		return errSessionOver
	case s.watches[uri] != nil:
		s.mu.Unlock()
		return nil
	case len(s.watches) >= maxSubscriptions:
		s.mu.Unlock()
		return errTooMany
	case !s.watched.take(s.caller):
		s.mu.Unlock()
		return errWatchesTooMuch
	}
	s.watches[uri] = w
	s.mu.Unlock()
	err := s.start(ctx, uri, w)
	if err != nil {
		s.unsubscribe(uri)
	}
	return err
}

// start has the subscriber watch uri for w.
func (s *subscriptions) start(ctx context.Context, uri string, w *watch) error {
	stop, err := s.subscriber.Subscribe(ctx, uri, func() { s.updated(uri, w) })
	if err != nil {
		return err
	}
	s.mu.Lock()
	if s.watches[uri] == w && !w.parked {
		w.stop, stop = stop, nil
	}
	s.mu.Unlock()
	if stop != nil {
		stop() // it was given up meanwhile
	}
	return nil
}

// updated notes that there is news of uri for w, if w is still wanted.
func (s *subscriptions) updated(uri string, w *watch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.watches[uri] == w {
		s.add(uri)
	}
}

// add is called with the lock held.
func (s *subscriptions) add(uri string) {
	if !slices.Contains(s.pending, uri) {
		s.pending = append(s.pending, uri)
	}
	s.ring()
}

func (s *subscriptions) ring() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// take gives the next URI to announce, and the number of its event.
func (s *subscriptions) take() (uri string, event int64, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.pending) > 0 {
		uri, s.pending = s.pending[0], s.pending[1:]
		if len(s.pending) > 0 {
			s.ring() // another stream may help
		} else {
			s.pending = nil
		}
		if w := s.watches[uri]; w != nil {
			s.event++
			w.sent = s.event
			return uri, s.event, true
		}
	}
	return "", 0, false
}

// untake gives back what could not be sent.
func (s *subscriptions) untake(uri string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.watches[uri] != nil {
		s.add(uri)
	}
}

// since announces again what was announced behind an event: a client that
// reconnects may not have got it.
func (s *subscriptions) since(event int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for uri, w := range s.watches {
		if w.sent > event {
			s.add(uri)
		}
	}
}

func (s *subscriptions) unsubscribe(uri string) {
	s.mu.Lock()
	w := s.watches[uri]
	if w != nil {
		s.watched.give(s.caller, 1)
	}
	delete(s.watches, uri)
	s.pending = slices.DeleteFunc(s.pending, func(p string) bool { return p == uri })
	s.mu.Unlock()
	if w != nil && w.stop != nil {
		w.stop()
	}
}

// close ends all subscriptions for good.
func (s *subscriptions) close() {
	s.mu.Lock()
	s.closed = true
	watches := s.watches
	s.watches, s.pending = nil, nil
	s.watched.give(s.caller, len(watches))
	s.mu.Unlock()
	for _, w := range watches {
		if w.stop != nil {
			w.stop()
		}
	}
}

// updatedMessage is notifications/resources/updated; subscription is the id of
// the listen stream that it goes to, nil in the legacy era.
func updatedMessage(uri string, subscription json.RawMessage) ([]byte, error) {
	params := map[string]any{"uri": uri}
	if subscription != nil {
		params["_meta"] = map[string]any{mcp.MetaKeySubscriptionID: subscription}
	}
	return encode(notification{JSONRPC: "2.0", Method: string(mcp.MethodNotificationResourceUpdated), Params: params})
}

// own gives what serves the methods that this package answers itself, nil for
// those of mcp-go.
func (d *dispatcher) own(m *message) func(context.Context, *message, *session, *Call) mcp.JSONRPCMessage {
	method := mcp.MCPMethod(m.Method)
	switch {
	case method == mcp.MethodToolsCall:
		return d.callTool
	case d.Tasks != nil && mcp.IsModernProtocol(m.meta().ProtocolVersion) &&
		(method == methodTasksGet || method == methodTasksUpdate || method == methodTasksCancel):
		return d.serveTask
	case d.Subscriber == nil:
		return nil
	}
	switch method {
	case mcp.MethodSubscriptionsListen:
		// What is not of this very version is mcp-go's to refuse.
		if v := m.meta().ProtocolVersion; mcp.IsModernProtocol(v) && mcp.IsValidProtocolVersion(v) {
			return d.listenAnswer
		}
	case mcp.MethodResourcesSubscribe, mcp.MethodResourcesUnsubscribe:
		if !mcp.IsModernProtocol(m.meta().ProtocolVersion) {
			return d.subscribeAnswer
		}
	}
	return nil
}

func answerOf(result any, err error, modern bool) mcp.JSONRPCMessage {
	if err != nil {
		return failed(err, modern)
	}
	return mcp.JSONRPCResponse{JSONRPC: mcp.JSONRPC_VERSION, Result: result}
}

func (d *dispatcher) listenAnswer(ctx context.Context, m *message, _ *session, c *Call) mcp.JSONRPCMessage {
	result, err := d.listen(ctx, m, c)
	return answerOf(result, err, true)
}

// subscribeAnswer serves resources/subscribe and resources/unsubscribe of the
// legacy era, which hold for the session.
func (d *dispatcher) subscribeAnswer(ctx context.Context, m *message, s *session, _ *Call) mcp.JSONRPCMessage {
	uri, err := uriOf(m)
	subs := s.subscriptions(d.Subscriber, d.watched)
	switch {
	case err != nil:
	case m.Method == string(mcp.MethodResourcesUnsubscribe):
		subs.unsubscribe(uri)
		d.noteSubscription(ctx, s, uri, false)
	default:
		err = subs.subscribe(ctx, uri)
		if err == nil && d.parkAfter > 0 {
			s.streams.subscribed(subs, d.parkAfter)
		}
		if err == nil && d.noteSubscription(ctx, s, uri, true) {
			subs.share(uri)
		}
	}
	return answerOf(mcp.EmptyResult{}, err, false)
}

func uriOf(m *message) (string, error) {
	raw := find(m.params, "uri")
	uri, ok := textOf(raw)
	switch {
	case raw == nil || ok && uri == "":
		return "", errNoURI
	case !ok:
		return "", wrongKind("params.uri", "a string", raw)
	}
	return uri, nil
}

// listen serves subscriptions/listen: a stream that says first what of the
// client's wishes it can meet, then each update, every message marked with the
// stream's id. It ends with the request, and answers only when the server ends
// it; a listen that watches nothing ends at once.
func (d *dispatcher) listen(ctx context.Context, m *message, c *Call) (any, error) {
	type filter struct {
		mcp.SubscriptionFilter
		TaskIDs []string `json:"taskIds,omitempty"`
	}
	wishes := decodeObject[filter](find(m.params, "notifications"))
	if wishes == nil {
		return nil, &codedError{code: mcp.INVALID_PARAMS, text: `"notifications" is required: an object that says what to listen to`}
	}
	if kindOf(find(m.metaMembers, mcp.MetaKeyClientCapabilities)) != "an object" {
		return nil, errNoCapabilities
	}
	subs := newSubscriptions(d.Subscriber, d.watched, ShareFrom(ctx))
	defer subs.close()
	// The lists of this server do not change while it runs, so of all wishes
	// only those for resources can be met.
	var met filter
	for _, uri := range wishes.ResourceSubscriptions {
		if err := subs.subscribe(ctx, uri); err != nil {
			if ctx.Err() != nil {
				break
			}
			return nil, err
		}
		if !slices.Contains(met.ResourceSubscriptions, uri) {
			met.ResourceSubscriptions = append(met.ResourceSubscriptions, uri)
		}
	}
	tag := map[string]any{mcp.MetaKeySubscriptionID: m.ID}
	tasks := make(chan Task)
	var tasksOver <-chan struct{}
	if len(wishes.TaskIDs) > 0 {
		if err := needTasks(m); err != nil {
			return nil, err
		}
		if d.Tasks != nil {
			met.TaskIDs, tasksOver = d.watchTasks(ctx, wishes.TaskIDs, func(t Task) {
				select {
				case tasks <- t:
				case <-ctx.Done():
				}
			})
		}
	}
	ack, err := encode(notification{
		JSONRPC: "2.0", Method: mcp.MethodNotificationSubscriptionsAcknowledged,
		Params: map[string]any{"_meta": tag, "notifications": met},
	})
	if err == nil {
		err = c.sendMessage(ack)
	}
	if errors.Is(err, errJSONOnly) {
		return nil, &codedError{code: mcp.INVALID_REQUEST, text: "subscriptions/listen answers with an event stream: Accept must include text/event-stream"}
	}
	for err == nil && (!met.IsEmpty() || len(met.TaskIDs) > 0) {
		select {
		case <-ctx.Done():
			err = ctx.Err()
		case <-tasksOver:
			met.TaskIDs, tasksOver = nil, nil
		case t := <-tasks:
			params := d.wireTask(t, "")
			params.Meta = &mcp.Meta{AdditionalFields: tag}
			var msg []byte
			if msg, err = encode(notification{JSONRPC: "2.0", Method: notificationTasks, Params: params}); err == nil {
				err = c.sendMessage(c.outgoing().json(msg, 0))
			}
		case <-subs.wake:
			if uri, _, ok := subs.take(); ok {
				var msg []byte
				if msg, err = updatedMessage(uri, m.ID); err == nil {
					err = c.sendMessage(msg)
				}
			}
		}
	}
	return map[string]any{"resultType": mcp.ResultTypeComplete, "_meta": tag}, nil
}

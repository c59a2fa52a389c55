package resources

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"openclaw-mcp/client"
)

const (
	// tail is how many of the newest messages are looked at.
	tail = 50
	// maxSeen is how many messages are remembered as announced.
	maxSeen = 1024
	// settle is how long a message that the history has may take to come by the
	// stream as well.
	settle = 5 * time.Second
	// probeAfter is how long a service that could not be followed is polled
	// before that is tried again.
	probeAfter = 5 * time.Minute
)

// errSilent is a stream that does not tell what the history has.
var errSilent = errors.New("the stream of a session's messages is silent")

// chatWatch follows the messages of a session: by its stream, which is taken up
// at the last cursor however often it breaks, or by polling where there is none.
type chatWatch struct {
	*caller
	instance, session string

	cursor string // where the stream is taken up
	known  bool   // the baseline is there
	ids    bool   // the messages have ids, without which no stream can be taken up
	last   string // what the tail of the history looked like when it was polled

	mu    sync.Mutex
	seen  map[string]bool // messages that were announced, or there from the start
	order []string        // of seen, oldest first
}

func newChatWatch(c *caller, instance, session string) *chatWatch {
	return &chatWatch{caller: c, instance: instance, session: session, ids: true, seen: make(map[string]bool)}
}

func (w *chatWatch) tail(ctx context.Context, limit int) ([]client.Message, error) {
	page, err := w.client.Chat.Messages(ctx, w.instance, client.MessagesQuery{SessionID: w.session, Tail: true, Limit: limit})
	items := page.Items
	return items[max(0, len(items)-limit):], err
}

func (w *chatWatch) baseline(ctx context.Context) error {
	messages, err := w.tail(ctx, tail)
	if err != nil {
		return err
	}
	w.take(messages)
	return nil
}

// take notes messages as announced and reports whether any was not.
func (w *chatWatch) take(messages []client.Message) (news bool) {
	h := sha256.New()
	for _, m := range messages {
		news = !w.have(m) || news
		fmt.Fprintf(h, "%s %q\n", keyOf(m), m.Text)
	}
	w.last, w.known = fmt.Sprintf("%x", h.Sum(nil)), true
	if n := len(messages); n > 0 {
		w.ids = messages[n-1].ID != ""
		if w.cursor == "" {
			w.cursor = messages[n-1].ID
		}
	}
	return news
}

// have notes a message and reports whether it was noted before.
func (w *chatWatch) have(m client.Message) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	key := keyOf(m)
	if w.seen[key] {
		return true
	}
	w.seen[key] = true
	w.order = append(w.order, key)
	if len(w.order) > maxSeen {
		delete(w.seen, w.order[0])
		w.order = w.order[1:]
	}
	return false
}

func (w *chatWatch) has(m client.Message) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.seen[keyOf(m)]
}

// keyOf names a message: by its id, or by what it says where there is none.
func keyOf(m client.Message) string {
	if m.ID != "" {
		return m.ID
	}
	return fmt.Sprintf("%s %d %x", m.Role, m.CreatedAt.UnixNano(), sha256.Sum256([]byte(m.Text)))
}

func (w *chatWatch) watch(ctx context.Context, changed func()) {
	retry := w.Retry
	for ctx.Err() == nil {
		var err error
		news := false
		if !w.known {
			// Nobody knows what happened before the service answered.
			if err = w.baseline(ctx); err == nil {
				news = true
				changed()
			}
		}
		if err == nil && w.ids {
			var got bool
			got, err = w.stream(ctx, changed)
			news = news || got
		}
		switch {
		case ctx.Err() != nil:
			return
		case err == nil && !w.ids, unsupported(err):
			w.Log.Debug("a session is polled", "instance", w.instance, "error", err)
			w.poll(ctx, changed)
			retry = w.Retry
			continue
		case news || err == nil:
			retry = w.Retry
		default:
			w.Log.Debug("a session's stream broke", "instance", w.instance, "error", err, "retry", retry)
			retry = min(retry*2, w.MaxRetry)
		}
		if err == nil && news {
			continue // a long poll, which ends with each answer
		}
		// Many who lost the same service do not come back at once.
		if !pause(ctx, retry/2+rand.N(retry)) {
			return
		}
	}
}

// unsupported reports whether the service has no stream of this session's
// messages, as far as can be told.
func unsupported(err error) bool {
	var e *client.Error
	if errors.Is(err, errSilent) {
		return true
	}
	if !errors.As(err, &e) {
		return false
	}
	switch e.Status {
	case http.StatusOK, http.StatusBadRequest, http.StatusForbidden, http.StatusNotFound, http.StatusMethodNotAllowed,
		http.StatusNotAcceptable, http.StatusGone, http.StatusNotImplemented:
		return true
	}
	return false
}

// stream announces what the service's stream brings behind the cursor, until it
// ends, and reports whether there was anything.
func (w *chatWatch) stream(ctx context.Context, changed func()) (news bool, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	doubting := make(chan struct{})
	go func() {
		defer close(doubting)
		w.doubt(ctx, cancel)
	}()
	defer func() { cancel(nil); <-doubting }()
	for ev, err := range w.client.Chat.Events(ctx, w.instance, client.EventsQuery{SessionID: w.session, After: w.cursor}) {
		if err != nil {
			if cause := context.Cause(ctx); cause != nil {
				err = cause
			}
			return news, err
		}
		if ev.Cursor != "" {
			w.cursor = ev.Cursor
		} else if ev.Message.ID != "" {
			w.cursor = ev.Message.ID
		}
		if !w.have(ev.Message) {
			news = true
			changed()
		}
	}
	return news, context.Cause(ctx)
}

// doubt ends a stream that is open but does not bring what the history has: a
// dead connection, or a service that only pretends to have one.
func (w *chatWatch) doubt(ctx context.Context, end context.CancelCauseFunc) {
	for pause(ctx, w.Verify) {
		if missed, _ := w.missed(ctx); !missed || !pause(ctx, min(settle, w.Verify)) {
			continue
		}
		if missed, _ := w.missed(ctx); missed {
			end(errSilent)
			return
		}
	}
}

func (w *chatWatch) missed(ctx context.Context) (bool, error) {
	limited, cancel := context.WithTimeout(ctx, lookLimit)
	defer cancel()
	messages, err := w.tail(limited, 1)
	return err == nil && len(messages) > 0 && !w.has(messages[0]), err
}

// poll looks at the newest messages for a while. Messages that come and go in
// between are not seen, but neither does a reader of the history see them.
func (w *chatWatch) poll(ctx context.Context, changed func()) {
	every, longest := w.ChatPoll, max(w.ChatPoll, w.MaxPoll/2)
	gone := false
	for until := time.Now().Add(probeAfter); time.Now().Before(until); {
		limited, cancel := context.WithTimeout(ctx, lookLimit)
		messages, err := w.tail(limited, tail)
		cancel()
		last := w.last
		switch {
		case ctx.Err() != nil:
			return
		case definitive(err):
			if !gone {
				gone = true
				changed()
			}
			every = longest
		case err != nil:
			every = min(every*2, longest)
		case w.take(messages) || w.last != last || gone:
			gone, every = false, w.ChatPoll
			if n := len(messages); n > 0 && messages[n-1].ID != "" {
				w.cursor = messages[n-1].ID // where a stream would go on
			}
			changed()
		default:
			every = min(every*3/2, longest)
		}
		if !pause(ctx, every) {
			return
		}
	}
}

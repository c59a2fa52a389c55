package resources

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
	"go.uber.org/goleak"

	"openclaw-mcp/client"
	"openclaw-mcp/internal/emulator/emulatortest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must come.
const patience = 2 * time.Minute

// world is a server of resources, and the service behind it.
type world struct {
	*Server
	emulator *emulatortest.Server
	client   *client.Client
	instance string
	rails    rails
}

// rails are what a test forbids.
type rails struct {
	tool, instance, path string
}

func (r *rails) allow(kind string, forbidden *string) func(context.Context, string) error {
	return func(_ context.Context, name string) error {
		if *forbidden != "" && (name == *forbidden || kind == "path" && strings.HasPrefix(name, *forbidden)) {
			return fmt.Errorf("%s %s is not allowed", kind, name)
		}
		return nil
	}
}

// quick are times for tests.
func quick() Deps {
	return Deps{Poll: time.Millisecond, MaxPoll: 5 * time.Millisecond, ChatPoll: time.Millisecond,
		Verify: time.Hour, Retry: time.Millisecond, MaxRetry: 5 * time.Millisecond}
}

func newWorld(t testing.TB, opts emulatortest.Options, d Deps) *world {
	t.Helper()
	opts.Keys = []string{"key"}
	em, err := emulatortest.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	w := newService(t, em, d)
	w.emulator = em
	t.Cleanup(func() {
		if err := em.Close(); err != nil {
			t.Error(err)
		}
	})
	if w.instance, err = em.AddInstance("key"); err != nil {
		t.Fatal(err)
	}
	return w
}

// newService makes a world of any service.
func newService(t testing.TB, service http.Handler, d Deps) *world {
	t.Helper()
	srv := httptest.NewServer(service)
	c, err := client.New(nil, srv.URL, "key", client.WithRetry(1, time.Millisecond, time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	w := &world{client: c, instance: "i1"}
	d.Client = func(context.Context) (*client.Client, error) { return c, nil }
	d.Principal = func(context.Context) string { return "me" }
	d.AllowTool, d.AllowInstance, d.AllowPath = w.rails.allow("tool", &w.rails.tool), w.rails.allow("instance", &w.rails.instance), w.rails.allow("path", &w.rails.path)
	w.Server = New(d)
	t.Cleanup(func() {
		w.Close()
		c.CloseIdleConnections()
		srv.CloseClientConnections()
		srv.Close()
	})
	return w
}

func (w *world) session(t testing.TB, title string) string {
	t.Helper()
	s, err := w.client.Chat.CreateSession(t.Context(), w.instance, title)
	if err != nil {
		t.Fatal(err)
	}
	return s.ID
}

// say sends a message, which the history then has with its reply.
func (w *world) say(t testing.TB, session, text string) {
	t.Helper()
	if _, err := w.client.Chat.Send(t.Context(), w.instance, client.SendRequest{SessionID: session, Message: "say " + text}); err != nil {
		t.Fatal(err)
	}
}

// write puts a file into the workspace.
func (w *world) write(t testing.TB, name, content string) {
	t.Helper()
	full := filepath.Join(w.emulator.Workspace(w.instance), name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(full), 0o755), os.WriteFile(full, []byte(content), 0o644)); err != nil {
		t.Fatal(err)
	}
}

func (w *world) text(t testing.TB, uri string) mcp.TextResourceContents {
	t.Helper()
	contents, err := w.Read(t.Context(), uri)
	if err != nil {
		t.Fatalf("%s: %v", uri, err)
	}
	text, ok := contents[0].(mcp.TextResourceContents)
	if !ok || text.URI != uri {
		t.Fatalf("%s: got %T of %v", uri, contents[0], contents[0])
	}
	return text
}

func readJSON[T any](t testing.TB, w *world, uri string) T {
	t.Helper()
	var v T
	text := w.text(t, uri)
	if err := json.Unmarshal([]byte(text.Text), &v); err != nil || text.MIMEType != mimeJSON {
		t.Fatalf("%s: %s: %v\n%s", uri, text.MIMEType, err, text.Text)
	}
	return v
}

// listener counts updates.
type listener struct {
	count atomic.Int64
	news  chan struct{} // a token after each update
	stop  func()
}

func (w *world) listen(t testing.TB, uri string) *listener {
	t.Helper()
	l := &listener{news: make(chan struct{}, 1<<16)}
	var err error
	l.stop, err = w.Subscribe(t.Context(), uri, func() { l.count.Add(1); l.news <- struct{}{} })
	if err != nil {
		t.Fatalf("%s: %v", uri, err)
	}
	t.Cleanup(l.stop)
	return l
}

func (l *listener) await(t testing.TB, n int) {
	t.Helper()
	limit := time.After(patience)
	for range n {
		select {
		case <-l.news:
		case <-limit:
			t.Fatalf("after %d updates no more came", l.count.Load())
		}
	}
}

// eventually polls for a state that nothing announces.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for limit := time.Now().Add(patience); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatalf("it never came to this: %s", what)
		}
	}
}

// code is the JSON-RPC code that an error is answered with.
func code(err error, modern bool) int {
	var e *Error
	if !errors.As(err, &e) {
		return mcp.INTERNAL_ERROR
	}
	c, _ := e.RPCError(modern)
	return c
}

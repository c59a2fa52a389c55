package client

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// No id leads to another endpoint than the one that was meant, and none is
// repeated at length.
func TestHostileIDs(t *testing.T) {
	t.Parallel()
	var paths []string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		paths = append(paths, r.RequestURI)
		answer(200, "application/json", `{"id":"x"}`)(w, r)
	}))
	t.Cleanup(srv.Close)
	c := dial(t, srv.URL)
	for _, id := range []string{
		"", ".", "..", "a/b", "dev-1/../PROD", `dev-1\..\PROD`, "dev-1%2f..%2fPROD", "dev-1?x=y", "dev-1#", "dev-1%00", "%2e%2e",
		" dev-1", "dev-1\u00a0", "dev\t1", "dev-1\n", "dev-1\x00", "dev-1\x7f", "dev-1\u0085", "dev\u200b-1", "\u202edev-1", "dev-1\u2028",
		"dev-1\U000e0041", "dev-1\xff", "dev\ufe00-1", strings.Repeat("a", 129), strings.Repeat("a", 1<<20), strings.Repeat("/", 1<<20),
	} {
		for name, call := range map[string]func() error{
			"get":        func() error { _, err := c.Instances.Get(t.Context(), id); return err },
			"current":    func() error { _, err := c.Instances.Current(t.Context(), id); return err },
			"shutdown":   func() error { _, err := c.Instances.Shutdown(t.Context(), id); return err },
			"send":       func() error { _, err := c.Chat.Send(t.Context(), id, SendRequest{Message: "m"}); return err },
			"files":      func() error { _, err := c.Files.List(t.Context(), id, "/workspace"); return err },
			"write":      func() error { return c.Files.Write(t.Context(), id, "/workspace/f", "x") },
			"exec":       func() error { _, err := c.Terminal.Exec(t.Context(), id, ExecRequest{Command: "true"}); return err },
			"desktop":    func() error { _, err := c.Desktop.Connect(t.Context(), id, DesktopOptions{}); return err },
			"terminal":   func() error { _, err := c.Terminal.Open(t.Context(), id, TerminalOptions{}); return err },
			"of session": func() error { return eventsOf(c, t, "i", id) },
			"of history": func() error {
				_, err := c.Chat.Messages(t.Context(), "i", MessagesQuery{SessionID: id + strings.Repeat("\x00", 1)})
				return err
			},
		} {
			if name == "of session" && CheckSession(id) == nil {
				continue // it goes into a query, where most characters are harmless
			}
			err := call()
			if e := wantError(t, err); e.Outcome != OutcomeNotSent || len(e.Error()) > 500 {
				t.Errorf("%s of %.40q: outcome %q, an error of %d bytes: %.200s", name, id, e.Outcome, len(e.Error()), e)
			}
		}
	}
	if len(paths) > 0 {
		t.Errorf("these requests went out: %.300q", paths)
	}
}

func eventsOf(c *Client, t *testing.T, instance, session string) error {
	for _, err := range c.Chat.Events(t.Context(), instance, EventsQuery{SessionID: session}) {
		return err
	}
	return nil
}

func TestUsualIDs(t *testing.T) {
	t.Parallel()
	for _, id := range []string{"i1", "dev-1", "sandy-3f2a", "a.b", "a:b@c", "Ünï", "東京", "3F2504E0-4F89-41D3-9A0C-0305E82C3301"} {
		if err := CheckID("instance id", id); err != nil {
			t.Error(err)
		}
	}
	for _, id := range []string{"", "agent:main:googlechat:channel:spaces/AAAA", "agent:main:matrix:channel:#room:example.org", strings.Repeat("s", 512)} {
		if err := CheckSession(id); err != nil {
			t.Error(err)
		}
	}
}

func TestCanonicalID(t *testing.T) {
	t.Parallel()
	const want = "3f2504e0-4f89-41d3-9a0c-0305e82c3301"
	for _, s := range []string{want, strings.ToUpper(want), "{" + want + "}", "(" + want + ")", "urn:uuid:" + want, "URN:UUID:{" + want + "}",
		strings.ReplaceAll(want, "-", ""), "3f25-04e0-4f89-41d3-9a0c-0305-e82c-3301"} {
		if got := CanonicalID(s); got != want || !IsUUID(got) {
			t.Errorf("%s: got %s", s, got)
		}
	}
	for _, s := range []string{"dev-1", "DEV-1", "{dev-1}", want + "0", strings.Replace(want, "f", "g", 1), ""} {
		if got := CanonicalID(s); got != s || IsUUID(got) {
			t.Errorf("%s: got %s", s, got)
		}
	}
}

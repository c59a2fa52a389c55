package server

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"openclaw-mcp/client"
	"openclaw-mcp/internal/config"
	"openclaw-mcp/internal/emulator"
)

// Two that share a folder share one service; when the first ends, the second
// takes over, with the same key and instances.
func TestLocalIsShared(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	// Somebody else answers where a process once did.
	other := httptest.NewServer(http.NotFoundHandler())
	defer other.Close()
	if err := os.MkdirAll(filepath.Join(dir, ".openclaw"), 0o700); err != nil {
		t.Fatal(err)
	}
	stale := fmt.Sprintf(`{"url":%q,"key":"stale","id":"stale"}`, other.URL)
	if err := os.WriteFile(filepath.Join(dir, ".openclaw", ownerFile), []byte(stale), 0o600); err != nil {
		t.Fatal(err)
	}
	start := func() (*Local, *client.Client, config.Config) {
		t.Helper()
		l, cfg, err := StartLocal(config.Config{LocalDir: dir}, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		c, err := client.New(nil, cfg.BaseURL, string(cfg.APIKey))
		if err != nil {
			t.Fatal(err)
		}
		return l, c, cfg
	}
	one := func(c *client.Client) string {
		t.Helper()
		page, err := c.Instances.List(t.Context())
		if err != nil || len(page.Items) != 1 {
			t.Fatalf("%v, %v", page.Items, err)
		}
		return page.Items[0].ID
	}
	if got := LocalURL(dir); got != "" {
		t.Errorf("nobody serves, but %s", got)
	}
	first, c1, cfg1 := start()
	if got := LocalURL(dir); got != cfg1.BaseURL {
		t.Errorf("served at %s, want %s", got, cfg1.BaseURL)
	}
	second, c2, cfg2 := start()
	defer func() { _ = second.Close() }()
	if !first.Serves() || second.Serves() || cfg1.APIKey != cfg2.APIKey || cfg1.BaseURL == cfg2.BaseURL {
		t.Errorf("serving: %v, %v; addresses %s, %s", first.Serves(), second.Serves(), cfg1.BaseURL, cfg2.BaseURL)
	}
	id := one(c1)
	if got := one(c2); got != id {
		t.Errorf("the second sees %s, the first %s", got, id)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if got := one(c2); got != id || !second.Serves() {
		t.Errorf("after the first has ended, the second sees %s, not %s; it serves: %v", got, id, second.Serves())
	}
	if st, err := os.Stat(second.ownerFile()); err != nil || st.Mode().Perm()&0o077 != 0 {
		t.Errorf("the record of who serves: %v, %v", st, err)
	}
}

// The history of a local instance marks the end of a reply, so that who comes later need
// not watch whether more comes.
func TestLocalMarksTheEnd(t *testing.T) {
	t.Parallel()
	l, cfg, err := StartLocal(config.Config{LocalDir: t.TempDir()}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	c, err := client.New(nil, cfg.BaseURL, string(cfg.APIKey))
	if err != nil {
		t.Fatal(err)
	}
	instances, err := c.Instances.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	reply, err := c.Chat.Send(t.Context(), instances.Items[0].ID, client.SendRequest{Message: "say hello"})
	if err != nil {
		t.Fatal(err)
	}
	page, err := c.Chat.Messages(t.Context(), instances.Items[0].ID, client.MessagesQuery{SessionID: reply.SessionID})
	if err != nil || len(page.Items) != 2 || page.Items[0].Ended || !page.Items[1].Ended {
		t.Errorf("%+v, %v", page.Items, err)
	}
}

// Who can't share the folder is told who has it, and what to do.
func TestLocalIsNotShared(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	older, err := emulator.New(emulator.Options{Dir: dir}) // it has the folder, and tells nobody where it serves
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = older.Close() }()
	_, _, err = StartLocal(config.Config{LocalDir: dir}, slog.New(slog.DiscardHandler))
	if want := "can't be shared: another process, perhaps an older openclaw-mcp, uses its folder, " + dir; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%v, want %q", err, want)
	}
	l := &Local{cfg: config.Config{LocalDir: dir}}
	if err := l.writeOwner(ownerRecord{PID: 4711}); err != nil {
		t.Fatal(err)
	}
	if err := l.notShared(); !strings.Contains(err.Error(), "process id 4711") {
		t.Errorf("%v", err)
	}
}

func TestFindModel(t *testing.T) {
	t.Parallel()
	answers := func(body string) string {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/v1/models" {
				http.NotFound(w, r)
				return
			}
			fmt.Fprint(w, body)
		}))
		t.Cleanup(srv.Close)
		return srv.URL
	}
	none, page, model := answers(`{"data":[]}`), answers(`<html>`), answers(`{"object":"list","data":[{"id":"llama3.2"}]}`)
	if got := findModel([]string{"http://127.0.0.1:1", none, page, model}); got != model {
		t.Errorf("found %q, want %q", got, model)
	}
	if got := findModel([]string{none, page}); got != "" {
		t.Errorf("found %q where there is no model", got)
	}
}

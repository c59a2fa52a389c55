package sandbox_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"openclaw-mcp/client"
	"openclaw-mcp/internal/sandbox"
)

// An instance is remembered as one without a shell only where the simplest command is
// refused, too, and until a command succeeds.
func TestNoShellIsRemembered(t *testing.T) {
	t.Parallel()
	const works, refuses, refusesScripts, noSh = 0, 1, 2, 3
	var mode, asked atomic.Int64
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		body, _ := io.ReadAll(r.Body)
		simple := strings.Contains(string(body), `"echo `)
		w.Header().Set("Content-Type", "application/json")
		switch m := mode.Load(); {
		case m == refuses || m == refusesScripts && !simple:
			w.WriteHeader(http.StatusForbidden)
			fmt.Fprint(w, `{"message":"this command is not allowed"}`)
		case m == noSh:
			fmt.Fprint(w, `{"stdout":"","stderr":"sh: not found","exit_code":127}`)
		default:
			fmt.Fprint(w, `{"stdout":"openclaw-mcp\n","stderr":"","exit_code":0}`)
		}
	}))
	defer web.Close()
	c, err := client.New(nil, web.URL, "key")
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseIdleConnections()
	run := func(instance string) error {
		_, err := sandbox.New("file_look", sandbox.Params{}).Run(t.Context(), c.Terminal, instance, time.Second)
		return err
	}
	remembered := func(err error) bool { return errors.As(err, new(*sandbox.NoShell)) }

	mode.Store(refusesScripts)
	for range 2 {
		if err := run("i1"); err == nil || remembered(err) {
			t.Errorf("a refused script: %v", err)
		}
	}
	for _, m := range []int64{refuses, noSh} {
		mode.Store(m)
		instance := fmt.Sprint("of ", m)[3:]
		if err := run(instance); err == nil || remembered(err) {
			t.Errorf("the first time: %v", err)
		}
		before := asked.Load()
		if err := run(instance); !remembered(err) || asked.Load() != before {
			t.Errorf("the second time: %v, %d requests", err, asked.Load()-before)
		}
		if why, ok := sandbox.WithoutShell(run(instance), false); !ok || !strings.Contains(why, "checked again after 5m0s") {
			t.Errorf("got %q, %v", why, ok)
		}
		if c.Terminal.NoShell("another") != "" {
			t.Error("another instance is taken for it")
		}
	}
	mode.Store(works)
	if _, err := c.Terminal.Exec(t.Context(), "1", client.ExecRequest{Command: "echo openclaw-mcp"}); err != nil {
		t.Fatal(err)
	}
	if err := run("1"); remembered(err) {
		t.Errorf("after a success: %v", err)
	}
}

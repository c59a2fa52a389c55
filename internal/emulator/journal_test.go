package emulator_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"openclaw-mcp/internal/emulator"
	"openclaw-mcp/internal/emulator/emulatortest"
)

// keeper makes servers on one folder, one after the other.
func keeper(t *testing.T, dir string, agent emulator.Agent) *emulatortest.Server {
	t.Helper()
	srv, err := emulatortest.New(emulatortest.Options{Dir: dir, OwnKey: true, Agent: agent})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { srv.Close() })
	return srv
}

func journalOf(dir string) string { return filepath.Join(dir, ".openclaw", "journal.jsonl") }

// Instances, sessions, messages, files and the key are there after a restart.
func TestJournalRestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	f := start(t, emulatortest.Options{Dir: dir, Agent: script(
		emulator.AgentEvent{Kind: emulator.ToolEnd, Tool: &emulator.ToolCall{ID: "c1", Name: "exec", Args: map[string]any{"command": "x < y"}, Result: "no", IsError: true}},
		text("wörd"))})
	f.want(200, "POST", f.in("/files/write"), `{"path":"/workspace/kept","content":"k"}`)
	sess := get(t, f.want(201, "POST", f.in("/chat/sessions"), `{"title":"a title"}`), "id").(string)
	f.want(200, "POST", f.in("/chat"), `{"message":"hi\nthere","session_id":"`+sess+`"}`)
	left := "/tmp/openclaw-test-" + f.id // in a namespace, or this machine's own
	f.exec("echo left >" + left)
	t.Cleanup(func() { os.Remove(left) })
	off, err := f.srv.AddInstance(f.key)
	if err != nil {
		t.Fatal(err)
	}
	f.want(200, "POST", "/instances/"+off+"/shutdown", "")
	on, err := f.srv.AddInstance("another key")
	if err != nil {
		t.Fatal(err)
	}
	list := func(f *fixture) string {
		return toJSON(f.want(200, "GET", f.in("/chat/sessions"), "")) + toJSON(f.want(200, "GET", f.in("/chat/messages?session_id="+sess), ""))
	}
	before := list(f)
	for _, part := range []string{"a title", `hi\nthere`, "wörd", "c1"} {
		if !strings.Contains(before, part) {
			t.Fatalf("%s is not in %s", part, before)
		}
	}
	if err := f.srv.Close(); err != nil {
		t.Fatal(err)
	}

	again := start(t, emulatortest.Options{Dir: dir, Agent: script(text("again"))})
	again.id = f.id
	if after := list(again); after != before {
		t.Errorf("got\n%s\nwant\n%s", after, before)
	}
	if got := again.srv.Instances(f.key); len(got) != 3 || got[0] != f.id || got[1] != off {
		t.Errorf("instances %q", got)
	}
	if got := again.srv.Instances("another key"); !slices.Equal(got, []string{on}) {
		t.Errorf("another user's instances %q", got)
	}
	if status := get(t, again.want(200, "GET", "/instances/"+off, ""), "status"); status != "stopped" {
		t.Errorf("the stopped instance is %s", status)
	}
	if out, code := again.exec("cat kept"); out != "k" || code != 0 {
		t.Errorf("the file: %q, exit code %d", out, code)
	}
	if out, _ := again.exec("cat " + left); out != "left\n" {
		t.Errorf("the temporary file: %q", out)
	}
	// The session goes on; a message id of before is a cursor.
	again.want(200, "POST", again.in("/chat"), `{"message":"go on","session_id":"`+sess+`"}`)
	messages := again.srv.Messages(f.id, sess)
	if n := len(messages); n != 5 || messages[4].Text != "again" || !messages[3].CreatedAt.After(messages[2].CreatedAt) || messages[1].ToolArgs["command"] != "x < y" {
		t.Errorf("messages: %+v", messages)
	}
	// What was rebooted stays on.
	again.want(200, "POST", "/instances/"+off+"/reboot", "")
	again.srv.Close()
	third := start(t, emulatortest.Options{Dir: dir})
	if status := get(t, third.want(200, "GET", "/instances/"+off, ""), "status"); status != "ready" {
		t.Errorf("the rebooted instance is %s", status)
	}
	if raw, err := os.ReadFile(journalOf(dir)); err != nil || strings.Contains(string(raw), f.key) {
		t.Errorf("the journal holds the key (%v)", err)
	}
}

// A line that the end of a process cut off costs that line only.
func TestJournalTorn(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	srv := keeper(t, dir, nil)
	id, err := srv.AddInstance(srv.Key())
	if err != nil {
		t.Fatal(err)
	}
	srv.Close()
	whole, err := os.ReadFile(journalOf(dir))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(journalOf(dir), append(whole, `{"instance":{"id":"0123`+strings.Repeat("4", 5000)...), 0o600); err != nil {
		t.Fatal(err)
	}
	srv = keeper(t, dir, nil)
	if got := srv.Instances(srv.Key()); !slices.Equal(got, []string{id}) {
		t.Errorf("instances %q, want %q", got, id)
	}
	if mended, err := os.ReadFile(journalOf(dir)); string(mended) != string(whole) {
		t.Errorf("%d bytes of journal, want %d, %v", len(mended), len(whole), err)
	}
	other, err := srv.AddInstance(srv.Key())
	if err != nil {
		t.Fatal(err)
	}
	srv.Close()
	srv = keeper(t, dir, nil)
	if got := srv.Instances(srv.Key()); !slices.Equal(got, []string{id, other}) {
		t.Errorf("after the torn line: %q", got)
	}
}

// A journal that is wrong in itself is refused, with its place, and left alone.
func TestJournalWrong(t *testing.T) {
	t.Parallel()
	const id = "01234567-0123-4123-8123-0123456789ab"
	const instance = `{"instance":{"id":"` + id + `","owner":"own"}}` + "\n"
	for name, line := range map[string]string{
		"no JSON":     "{",
		"unknown":     `{"later":{}}`,
		"path":        `{"instance":{"id":"../../etc"}}`,
		"no instance": `{"session":{"instance":"x","id":"s"}}`,
		"no power":    `{"power":{"instance":"x"}}`,
		"no session":  `{"message":{"session_id":"x"}}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			if err := os.Mkdir(filepath.Join(dir, ".openclaw"), 0o700); err != nil {
				t.Fatal(err)
			}
			text := instance + line + "\n"
			if err := os.WriteFile(journalOf(dir), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := emulatortest.New(emulatortest.Options{Dir: dir})
			if err == nil || !strings.Contains(err.Error(), journalOf(dir)+", line 2") {
				t.Errorf("got %v", err)
			}
			if after, err := os.ReadFile(journalOf(dir)); string(after) != text {
				t.Errorf("it is now %q, %v", after, err)
			}
			// It is given back, too.
			if err := os.WriteFile(journalOf(dir), []byte(instance), 0o600); err != nil {
				t.Fatal(err)
			}
			srv := keeper(t, dir, nil)
			if got := srv.Instances(srv.Key()); !slices.Equal(got, []string{id}) {
				t.Errorf("instances %q", got)
			}
		})
	}
}

// A reply that a killed process left open is ended, so that nobody waits for it.
// The files of a killed process are those of a running one.
func TestJournalKilled(t *testing.T) {
	t.Parallel()
	begun := make(chan struct{}, 2)
	f := start(t, emulatortest.Options{Dir: t.TempDir(), Agent: emulator.AgentFunc(func(ctx context.Context, _ emulator.Turn, _ func(emulator.AgentEvent) error) error {
		begun <- struct{}{}
		<-ctx.Done()
		return ctx.Err()
	})})
	reply := f.stream("POST", f.in("/chat/stream"), `{"message":"one"}`)
	queued := f.stream("POST", f.in("/chat/stream"), `{"message":"two"}`)
	<-begun
	raw, err := os.ReadFile(journalOf(filepath.Dir(f.srv.Workspace(f.id))))
	if err != nil {
		t.Fatal(err)
	}
	f.srv.Close()
	reply.all()
	queued.all()

	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, ".openclaw"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(journalOf(dir), raw, 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time there is nothing left to end
		again := keeper(t, dir, nil)
		var r struct {
			Session struct{ ID string }
		}
		if err := json.Unmarshal([]byte(strings.Split(string(raw), "\n")[1]), &r); err != nil {
			t.Fatal(err)
		}
		messages := again.Messages(f.id, r.Session.ID)
		if len(messages) != 4 || messages[0].Text != "one" || messages[1].Text != "two" ||
			messages[2].StopReason != "aborted" || !strings.Contains(messages[3].Error, "restarted") {
			t.Errorf("messages: %+v", messages)
		}
		again.Close()
	}
}

// One process at a time has a folder.
func TestJournalLocked(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := keeper(t, dir, nil)
	if _, err := emulatortest.New(emulatortest.Options{Dir: dir}); !errors.Is(err, emulator.ErrInUse) || !strings.Contains(err.Error(), dir) {
		t.Errorf("got %v", err)
	}
	// One that is about to end is waited for.
	done := make(chan *emulatortest.Server)
	go func() {
		srv, err := emulatortest.New(emulatortest.Options{Dir: dir})
		if err != nil {
			t.Error(err)
		}
		done <- srv
	}()
	first.Close()
	if srv := <-done; srv != nil {
		srv.Close()
	}
}

// The service's own key is stable, private and replaceable.
func TestJournalKey(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	srv := keeper(t, dir, nil)
	key := srv.Key()
	id, err := srv.AddInstance(key)
	if err != nil {
		t.Fatal(err)
	}
	srv.Close()
	name := filepath.Join(dir, ".openclaw", "key")
	if st, err := os.Stat(name); err != nil || st.Mode().Perm()&0o077 != 0 && os.PathSeparator == '/' {
		t.Errorf("the file of the key: %v, %v", st, err)
	}
	if srv = keeper(t, dir, nil); srv.Key() != key || len(key) < 20 {
		t.Errorf("key %q, then %q", key, srv.Key())
	}
	srv.Close()
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
	srv = keeper(t, dir, nil)
	if got := srv.Instances(srv.Key()); srv.Key() == key || !slices.Equal(got, []string{id}) || srv.Instances(key) != nil {
		t.Errorf("a new key: %q has %q", srv.Key(), got)
	}
	srv.Close()
	if err := os.WriteFile(name, []byte("local-\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := emulatortest.New(emulatortest.Options{Dir: dir, OwnKey: true}); err == nil || !strings.Contains(err.Error(), name) {
		t.Errorf("a broken key: %v", err)
	}
	// Without a folder, each has its own.
	if one, two := keeper(t, "", nil), keeper(t, "", nil); one.Key() == two.Key() || one.Key() == "" {
		t.Errorf("keys %q and %q", one.Key(), two.Key())
	}
}

// A folder that cannot be used is refused, with what is in the way.
func TestJournalNoFolder(t *testing.T) {
	t.Parallel()
	for _, inTheWay := range []string{"", ".openclaw", ".openclaw/lock/x", ".openclaw/journal.jsonl/x", ".openclaw/key/x"} {
		dir := filepath.Join(t.TempDir(), "dir")
		name := filepath.Join(dir, filepath.FromSlash(inTheWay))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		want := filepath.Join(dir, filepath.FromSlash(strings.TrimSuffix(inTheWay, "/x")))
		if srv, err := emulatortest.New(emulatortest.Options{Dir: dir, OwnKey: true}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, %v", inTheWay, srv, err)
		}
	}
}

package emulator_test

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"openclaw-mcp/internal/emulator/emulatortest"
)

func TestAuthentication(t *testing.T) {
	f := start(t, emulatortest.Options{Keys: []string{"sk_live_one", "sk_live_two"}})
	for _, key := range []string{"", "wrong", "sk_live_one "} {
		f.key = key
		a := f.do("GET", "/instances", "")
		want := 401
		if key == "sk_live_one " { // the space is not part of it
			want = 200
		}
		if a.status != want {
			t.Errorf("key %q: got %d %s, want %d", key, a.status, a.body, want)
		}
		if want == 401 && (!strings.Contains(a.body, `"error":"unauthorized"`) || a.header.Get("WWW-Authenticate") == "") {
			t.Errorf("key %q: %s", key, a.body)
		}
	}
	f.key = ""
	f.want(200, "GET", "/", "")
	f.want(200, "GET", "", "")
}

func TestKeysAreUsers(t *testing.T) {
	f := start(t, emulatortest.Options{})
	if n := len(f.want(200, "GET", "/instances", "").([]any)); n != 1 {
		t.Errorf("own instances: %d", n)
	}
	f.key = "sk_live_two"
	if n := len(f.want(200, "GET", "/instances", "").([]any)); n != 0 {
		t.Errorf("instances of another key: %d", n)
	}
	for _, path := range []string{"", "/status", "/chat/sessions", "/chat/messages", "/chat/events", "/files", "/files/read?path=a"} {
		if a := f.do("GET", f.in(path), ""); a.status != 404 {
			t.Errorf("GET %s of another key: %d %s", path, a.status, a.body)
		}
	}
	for _, path := range []string{"/reboot", "/shutdown", "/chat", "/chat/stream", "/chat/sessions", "/files/write", "/terminal/exec"} {
		if a := f.do("POST", f.in(path), `{"message":"x","command":"x","path":"a","content":""}`); a.status != 404 {
			t.Errorf("POST %s of another key: %d %s", path, a.status, a.body)
		}
	}
}

func TestPathsAndMethods(t *testing.T) {
	f := start(t, emulatortest.Options{})
	f.want(404, "GET", "/nothing", "")
	f.want(404, "GET", "/instances/", "")
	f.want(404, "GET", "/instances/nope", "")
	a := f.do("DELETE", "/instances", "")
	if a.status != 405 || a.header.Get("Allow") != "GET, POST" {
		t.Errorf("DELETE /instances: %d %v", a.status, a.header)
	}
	if a := f.do("GET", f.in("/chat"), ""); a.status != 405 || a.header.Get("Allow") != "POST" {
		t.Errorf("GET chat: %d %v", a.status, a.header)
	}
	f.url = strings.TrimSuffix(f.url, "/api")
	f.want(200, "GET", "/instances", "")
	if n := f.srv.Calls("GET /instances"); n != 1 {
		t.Errorf("calls: %d", n)
	}
	if n := f.srv.Mutations(); n != 0 {
		t.Errorf("mutations: %d", n)
	}
	f.want(400, "POST", f.in("/chat"), "{")
	f.want(422, "POST", f.in("/chat"), "")
	f.want(422, "POST", f.in("/chat"), `{"message":7}`)
	f.want(422, "POST", f.in("/chat"), `{"message":""}`)
	f.want(422, "POST", f.in("/terminal/exec"), `{}`)
	f.want(422, "POST", f.in("/terminal/exec"), `{"command":"true","timeout_ms":0}`)
	f.want(422, "POST", f.in("/terminal/exec"), `{"command":"true","timeout_ms":3600001}`)
	large := f.prepare("POST", f.in("/files/write"), "")
	large.Body, large.ContentLength = io.NopCloser(io.LimitReader(zeros{}, 64<<20+1)), 64<<20+1
	if resp, err := f.client.Do(large); err != nil || resp.StatusCode != 413 {
		t.Errorf("a large body: %v %v", resp, err)
	} else {
		resp.Body.Close()
	}
	if n := f.srv.Mutations(); n != 8 {
		t.Errorf("mutations: %d", n)
	}
	if n := f.srv.Calls("POST /instances/{instance}/chat"); n != 4 {
		t.Errorf("calls of chat: %d", n)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

func TestLifecycle(t *testing.T) {
	f := start(t, emulatortest.Options{CreateDelay: 60 * time.Millisecond, RebootDelay: 60 * time.Millisecond, InviteCode: "please", Capacity: 2})
	f.want(403, "POST", "/instances", "")
	f.want(403, "POST", "/instances", `{"invite_code":"no"}`)
	made := f.want(201, "POST", "/instances", `{"invite_code":"please"}`)
	if got := get(t, made, "status"); got != "creating" {
		t.Errorf("status %v", got)
	}
	f.id = get(t, made, "id").(string)
	for _, path := range []string{"/chat", "/chat/stream", "/terminal/exec", "/files/write", "/reboot"} {
		v := f.want(409, "POST", f.in(path), `{"message":"x","command":"true","path":"a","content":""}`)
		if get(t, v, "error") != "not_ready" {
			t.Errorf("%s: %v", path, v)
		}
	}
	f.want(409, "GET", f.in("/files"), "")
	a := f.do("POST", "/instances", `{"invite_code":"please"}`)
	if a.status != 503 || a.header.Get("Retry-After") == "" {
		t.Errorf("beyond capacity: %d %v", a.status, a.header)
	}
	status := func(want string) {
		t.Helper()
		eventually(t, want, func() bool { return get(t, f.want(200, "GET", f.in("/status"), ""), "status") == want })
	}
	status("ready")
	f.exec("echo kept > kept")
	if got := get(t, f.want(200, "POST", f.in("/reboot"), "{}"), "status"); got != "rebooting" {
		t.Errorf("reboot: %v", got)
	}
	status("ready")
	if out, _ := f.exec("cat kept"); out != "kept\n" {
		t.Errorf("after the reboot: %q", out)
	}
	if got := get(t, f.want(200, "POST", f.in("/shutdown"), ""), "status"); got != "stopped" {
		t.Errorf("shutdown: %v", got)
	}
	f.want(409, "POST", f.in("/terminal/exec"), `{"command":"true"}`)
	f.want(200, "GET", f.in("/chat/messages"), "")
	f.want(201, "POST", "/instances", `{"invite_code":"please"}`) // capacity is free again
	f.want(200, "POST", f.in("/reboot"), "")
	status("ready")
	f.exec("true")
}

func TestDialects(t *testing.T) {
	tests := map[emulatortest.Dialect]struct{ list, one, session, message, fail string }{
		emulatortest.Snake:   {`[0].sandbox_id`, `created_at`, `[0].id`, `[1].content`, `message`},
		emulatortest.Camel:   {`data[0].sandboxId`, `createdAt`, `data[0].id`, `messages[1].content[0].text`, `statusCode`},
		emulatortest.Wrapped: {`instances[0].sandbox_id`, `instance.created_at`, `sessions[0].id`, `messages[1].text`, `error.message`},
	}
	for dialect, want := range tests {
		t.Run(string(dialect), func(t *testing.T) {
			f := start(t, emulatortest.Options{Messages: dialect, Agent: script(text("Hi"))})
			f.want(200, "GET", "/", "")
			f.want(200, "POST", f.in("/chat"), `{"message":"x"}`)
			for path, field := range map[string]string{
				"/instances":             want.list,
				f.in(""):                 want.one,
				f.in("/chat/sessions"):   want.session,
				f.in("/chat/messages"):   want.message,
				f.in("/chat/nothing"):    want.fail,
				f.in("/files/read?path"): "",
			} {
				raw := f.do("GET", path, "").body
				if field != "" && !hasField(t, raw, field) {
					t.Errorf("GET %s has no %s: %s", path, field, raw)
				}
			}
			f.do("POST", f.in("/files/write"), `{"path":"d/a.txt","content":"hi"}`)
			f.do("POST", f.in("/reboot"), "")
			a := f.do("GET", f.in("/files?path=/workspace"), "")
			if !strings.Contains(a.body, `"name":"d"`) {
				t.Errorf("files: %s", a.body)
			}
			if body := f.do("GET", f.in("/files/read?path=/workspace/d/a.txt"), "").body; !strings.Contains(body, `"content":"hi"`) {
				t.Errorf("read: %s", body)
			}
		})
	}
}

// hasField looks a path like "a[0].b" up in JSON.
func hasField(t *testing.T, raw, path string) bool {
	t.Helper()
	v := decode(t, raw)
	for part := range strings.FieldsFuncSeq(path, func(r rune) bool { return strings.ContainsRune(".[]", r) }) {
		switch x := v.(type) {
		case map[string]any:
			v = x[part]
		case []any:
			i := int(part[0] - '0')
			if i >= len(x) {
				return false
			}
			v = x[i]
		}
	}
	return v != nil
}

func TestCloseAndDir(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "spaces")
	srv, err := emulatortest.New(emulatortest.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	id, err := srv.AddInstance("k")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := srv.Workspace(id), filepath.Join(dir, id); got != want {
		t.Errorf("workspace %s, want %s", got, want)
	}
	for range 2 {
		if err := srv.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, id)); err != nil {
		t.Error("the workspace of a given directory has to stay:", err)
	}
	if _, err := srv.AddInstance("k"); err == nil {
		t.Error("AddInstance works after Close")
	}
	srv, err = emulatortest.New(emulatortest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	id, _ = srv.AddInstance("k")
	work := srv.Workspace(id)
	srv.Close()
	if _, err := os.Stat(work); !os.IsNotExist(err) {
		t.Error("the temporary workspace stays:", err)
	}
	for _, opts := range []emulatortest.Options{{Family: "Z"}, {Messages: "x"}, {Messages: emulatortest.Bare}, {Exec: "x"}, {Sandbox: "x"}} {
		if _, err := emulatortest.New(opts); err == nil {
			t.Errorf("accepted: %+v", opts)
		}
	}
}

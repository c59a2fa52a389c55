package resources

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"

	"openclaw-mcp/internal/emulator/emulatortest"
)

func TestReadInstances(t *testing.T) {
	w := newWorld(t, emulatortest.Options{}, quick())
	s := w.session(t, "a title")
	list := readJSON[struct{ Instances []instanceJSON }](t, w, rootURI)
	if len(list.Instances) != 1 || list.Instances[0].ID != w.instance || !list.Instances[0].Ready {
		t.Errorf("got %+v", list)
	}
	one := readJSON[instanceJSON](t, w, list.Instances[0].URI)
	if diff := cmp.Diff(one, list.Instances[0]); diff != "" {
		t.Errorf("the instance alone differs:\n%s", diff)
	}
	sessions := readJSON[struct{ Sessions []sessionJSON }](t, w, one.Sessions)
	if len(sessions.Sessions) != 1 || sessions.Sessions[0].ID != s || sessions.Sessions[0].Title != "a title" {
		t.Errorf("got %+v", sessions)
	}
	if h := w.text(t, sessions.Sessions[0].Messages); h.MIMEType != mimeMarkdown || !strings.Contains(h.Text, "Nothing was said") {
		t.Errorf("got %+v", h)
	}
	if d := readJSON[directoryJSON](t, w, one.Workspace); d.Path != "/workspace" {
		t.Errorf("got %+v", d)
	}
}

// A history is read in slices that overlap nowhere and leave nothing out.
func TestReadHistory(t *testing.T) {
	w := newWorld(t, emulatortest.Options{}, quick())
	s := w.session(t, "")
	for i := range 6 {
		w.say(t, s, fmt.Sprintf("word%d", i))
	}
	var want, got []string
	for _, m := range w.emulator.Messages(w.instance, s) {
		want = append(want, m.ID)
	}
	uri := MessagesURI(w.instance, s) + "?format=json&limit=5"
	for uri != "" {
		h := readJSON[historyJSON](t, w, uri)
		var ids []string
		for _, m := range h.Messages {
			ids = append(ids, m.ID)
		}
		got = append(ids, got...)
		if (h.Older == "") == h.More {
			t.Errorf("more is %t, but older is %q", h.More, h.Older)
		}
		uri = h.Older
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("messages:\n%s", diff)
	}
	text := w.text(t, MessagesURI(w.instance, s)).Text
	if strings.Index(text, "word0") > strings.Index(text, "word5") || !strings.Contains(text, "## assistant · ") {
		t.Errorf("markdown:\n%s", text)
	}
}

// Whatever a history holds, an answer stays within the budget, and says how to
// get at the rest.
func TestReadHistoryBudget(t *testing.T) {
	d := quick()
	d.MaxChars = 4000
	w := newWorld(t, emulatortest.Options{}, d)
	s := w.session(t, "")
	for range 4 {
		w.say(t, s, strings.Repeat("ä", 2000))
	}
	text := w.text(t, MessagesURI(w.instance, s)).Text
	if len(text) > 5000 || !strings.Contains(text, "bytes left out") || !strings.Contains(text, "before=") {
		t.Errorf("%d bytes:\n%s", len(text), text)
	}
}

func TestReadFiles(t *testing.T) {
	w := newWorld(t, emulatortest.Options{}, quick())
	w.write(t, "sub dir/ü&#%?.md", "# hé\n")
	w.write(t, "data.bin", "\x00\x01\xff")
	w.write(t, "late.txt", "text, then\x00")
	w.write(t, "empty", "")
	file := w.text(t, FileURI(w.instance, "/workspace/sub dir/ü&#%?.md"))
	if file.Text != "# hé\n" || file.MIMEType != mimeMarkdown {
		t.Errorf("got %+v", file)
	}
	if doubled := w.text(t, instanceURI(w.instance)+"/files//workspace/sub%20dir/%C3%BC&%23%25%3F.md"); doubled.Text != file.Text {
		t.Errorf("got %+v", doubled)
	}
	if empty := w.text(t, FileURI(w.instance, "/workspace/empty")); empty.Text != "" || empty.MIMEType != mimeText {
		t.Errorf("got %+v", empty)
	}
	for name, mime := range map[string]string{"data.bin": "application/octet-stream", "late.txt": "application/octet-stream"} {
		contents, err := w.Read(t.Context(), FileURI(w.instance, "/workspace/"+name))
		if err != nil {
			t.Fatal(err)
		}
		blob, ok := contents[0].(mcp.BlobResourceContents)
		if !ok || blob.MIMEType != mime || len(contents) != 1 {
			t.Errorf("%s: got %+v", name, contents)
		}
		if b, err := base64.StdEncoding.DecodeString(blob.Blob); err != nil || !strings.Contains(string(b), "\x00") {
			t.Errorf("%s: %q, %v", name, b, err)
		}
	}
	dir := readJSON[directoryJSON](t, w, FileURI(w.instance, "/workspace/sub dir"))
	if len(dir.Entries) != 1 || dir.Entries[0].URI != file.URI || *dir.Entries[0].Size != 6 || dir.Entries[0].ModifiedAt == "" {
		t.Errorf("got %+v", dir)
	}
}

// A large file comes in parts that make up the whole, cut nowhere inside of a
// character.
func TestReadFileParts(t *testing.T) {
	t.Parallel()
	w := newWorld(t, emulatortest.Options{}, quick())
	want := strings.Repeat("aüb€🦞", 100)
	w.write(t, "f.txt", want)
	var got strings.Builder
	for next := FileURI(w.instance, "/workspace/f.txt") + "?length=7"; next != ""; {
		contents, err := w.Read(t.Context(), next)
		if err != nil {
			t.Fatal(err)
		}
		part := contents[0].(mcp.TextResourceContents)
		got.WriteString(part.Text)
		next, _ = part.Meta["openclaw-mcp/next"].(string)
		if next != "" {
			if note := contents[1].(mcp.TextResourceContents); note.URI != next || !strings.Contains(note.Text, next) {
				t.Fatalf("got %+v", note)
			}
			next += "&length=7"
		}
	}
	if got.String() != want {
		t.Errorf("the parts make %q", got.String())
	}
	w.write(t, "big.bin", strings.Repeat("\xff", maxFile+10))
	contents, err := w.Read(t.Context(), FileURI(w.instance, "/workspace/big.bin"))
	if err != nil {
		t.Fatal(err)
	}
	if b := contents[0].(mcp.BlobResourceContents); base64.StdEncoding.DecodedLen(len(b.Blob)) > maxFile+2 || len(contents) != 2 || b.Meta["openclaw-mcp/size"] != int64(maxFile+10) {
		t.Errorf("%d items, %v", len(contents), b.Meta)
	}
}

func TestReadErrors(t *testing.T) {
	w := newWorld(t, emulatortest.Options{}, quick())
	s := w.session(t, "")
	w.write(t, "secret/f", "x")
	w.write(t, "f", "x")
	in, m := instanceURI(w.instance), MessagesURI(w.instance, s)
	w.rails = rails{instance: "forbidden", path: "/workspace/secret"}
	for _, tt := range []struct {
		uri            string
		reason         Reason
		legacy, modern int
	}{
		{"file:///etc/passwd", NotFound, -32002, -32602},
		{"openclaw://elsewhere", NotFound, -32002, -32602},
		{rootURI + "x", NotFound, -32002, -32602},
		{rootURI + "/", "", 0, 0},
		{rootURI + "/..", NotFound, -32002, -32602},
		{rootURI + "/a%2Fb", NotFound, -32002, -32602},
		{in + "/other", NotFound, -32002, -32602},
		{in + "/sessions/x/y", NotFound, -32002, -32602},
		{rootURI + "/nobody", NotFound, -32002, -32602},
		{MessagesURI(w.instance, "none"), NotFound, -32002, -32602},
		{m + "?before=none", NotFound, -32002, -32602},
		{in + "/files/workspace/none", NotFound, -32002, -32602},
		{in + "/files/etc/passwd", NotFound, 0, 0},
		{rootURI + "/forbidden", Forbidden, -32002, -32602},
		{in + "/files/workspace/secret/f", Forbidden, -32002, -32602},
		{in + "/files/workspace/x/../secret/f", Forbidden, -32002, -32602},
		{in + "/files/workspace/x%2F..%2Fsecret%2Ff", Forbidden, -32002, -32602},
		{in + "?limit=1", Invalid, -32602, -32602},
		{m + "?limit=0", Invalid, -32602, -32602},
		{m + "?limit=501", Invalid, -32602, -32602},
		{m + "?limit=1&limit=2", Invalid, -32602, -32602},
		{m + "?format=xml", Invalid, -32602, -32602},
		{m + "?after=1", Invalid, -32602, -32602},
		{m + "?%zz", Invalid, -32602, -32602},
		{in + "/files/workspace/f?offset=99", Invalid, -32602, -32602},
		{in + "/files/workspace/f?length=x", Invalid, -32602, -32602},
		{rootURI + "/%zz", Invalid, -32602, -32602},
	} {
		_, err := w.Read(t.Context(), tt.uri)
		if tt.reason == "" {
			if err != nil {
				t.Errorf("%s: %v", tt.uri, err)
			}
			continue
		}
		if tt.legacy == 0 { // whatever the service says, but no internal error
			if code(err, false) == mcp.INTERNAL_ERROR {
				t.Errorf("%s: %v", tt.uri, err)
			}
			continue
		}
		e, ok := err.(*Error)
		if !ok || e.Reason != tt.reason || e.URI != tt.uri || code(err, false) != tt.legacy || code(err, true) != tt.modern {
			t.Errorf("%s: got %v (%#v)", tt.uri, err, err)
		}
	}
	for uri, tool := range map[string]string{
		rootURI: "list_instances", in: "get_instance", in + "/sessions": "list_chat_sessions",
		m: "read_chat_history", in + "/files/workspace/f": "read_file", in + "/files/workspace": "list_files",
	} {
		w.rails = rails{tool: tool}
		if _, err := w.Read(t.Context(), uri); code(err, false) != -32002 || !strings.Contains(err.Error(), tool) {
			t.Errorf("%s without %s: %v", uri, tool, err)
		}
	}
}

// Over MCP, every URI arrives at Read: with a query, of another scheme, and with
// characters that should have been percent-encoded.
func TestReadOverMCP(t *testing.T) {
	w := newWorld(t, emulatortest.Options{}, quick())
	w.write(t, "a ü 100%.txt", "found")
	files := FileURI(w.instance, "/workspace")
	var seen []string
	hooks := &server.Hooks{}
	m := server.NewMCPServer("t", "1", append(w.Options(hooks, func(_ context.Context, err error) { t.Error(err) }),
		server.WithResourceHandlerMiddleware(func(next server.ResourceHandlerFunc) server.ResourceHandlerFunc {
			return func(ctx context.Context, req mcp.ReadResourceRequest) ([]mcp.ResourceContents, error) {
				seen = append(seen, InstanceOf(req))
				return next(ctx, req)
			}
		}), server.WithHooks(hooks))...)
	w.Register(m)
	for _, tt := range []struct{ uri, instance, want string }{
		{files + "/a%20%C3%BC%20100%25.txt", w.instance, `"found"`},
		{files + "/a ü 100%.txt", w.instance, `"found"`},
		{files + "?limit=1", w.instance, "a ü 100%.txt"},
		{files + "/missing", w.instance, `"error":`},
		{"file:///etc/passwd", "", "begin with " + rootURI},
		{"", "", "begin with " + rootURI},
	} {
		seen = nil
		params, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": 1, "method": "resources/read", "params": map[string]any{"uri": tt.uri}})
		if err != nil {
			t.Fatal(err)
		}
		answer, err := json.Marshal(m.HandleMessage(t.Context(), params))
		if err != nil || !strings.Contains(string(answer), tt.want) || len(seen) != 1 || seen[0] != tt.instance {
			t.Errorf("%s: want %s and the instance %q; got %s, %v and %q", tt.uri, tt.want, tt.instance, answer, err, seen)
		}
	}
}

// What the service fails in is not the caller's error.
func TestReadServiceDown(t *testing.T) {
	w := newWorld(t, emulatortest.Options{Faults: []emulatortest.Fault{{Status: 500}}}, quick())
	if _, err := w.Read(t.Context(), rootURI); err == nil || code(err, false) != mcp.INTERNAL_ERROR {
		t.Errorf("got %v", err)
	}
}

// No spelling of an id leads to another place, and what is too long is not repeated.
func TestHostileURIs(t *testing.T) {
	w := newWorld(t, emulatortest.Options{}, quick())
	for _, id := range []string{"a%2Fb", "dev-1%2F..%2FPROD", "dev-1%5C..", "a%3Fb", "a%23b", "a%25b", "%20a", "a%00", "a%E2%80%8B", "..", strings.Repeat("a", 129), strings.Repeat("a", 1<<20)} {
		for _, uri := range []string{rootURI + "/" + id, rootURI + "/" + id + "/sessions", rootURI + "/" + id + "/files/workspace"} {
			_, err := w.Read(t.Context(), uri)
			var e *Error
			if !errors.As(err, &e) || e.Reason != NotFound || len(e.Text)+len(e.URI) > 2*maxURI {
				t.Errorf("%.60s: got %.200v", uri, err)
			}
		}
	}
	if _, err := w.Read(t.Context(), MessagesURI(w.instance, strings.Repeat("s", 600))); err == nil || len(err.Error()) > 300 {
		t.Errorf("a session with a long id: got %.400v", err)
	}
}

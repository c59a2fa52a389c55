package resources

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/mark3labs/mcp-go/mcp"

	"openclaw-mcp/client"
	"openclaw-mcp/internal/emulator/emulatortest"
)

// listAll pages through the list, and calls between pages.
func listAll(t testing.TB, w *world, between func(page int)) []mcp.Resource {
	t.Helper()
	var all []mcp.Resource
	cursor := ""
	for n := 1; ; n++ {
		page, next, err := w.List(t.Context(), cursor)
		if err != nil || len(page) > pageSize || next != "" && len(page) != pageSize {
			t.Fatalf("page %d: %d resources, next %q: %v", n, len(page), next, err)
		}
		all = append(all, page...)
		if next == "" {
			return all
		}
		if between != nil {
			between(n)
		}
		cursor = next
	}
}

// The list has everything once, whatever comes in between, under names that
// are unique.
func TestList(t *testing.T) {
	t.Parallel()
	w := newWorld(t, emulatortest.Options{}, quick())
	other, err := w.emulator.AddInstance("key")
	if err != nil {
		t.Fatal(err)
	}
	var sessions []string
	for i := range 150 {
		sessions = append(sessions, w.session(t, "the same title"))
		if i < 120 {
			w.write(t, fmt.Sprintf("f%03d.md", i), "x")
		}
	}
	w.write(t, "dir/x", "x")
	all := listAll(t, w, func(int) {
		w.session(t, "new")
		w.write(t, "a-new-one", "x")
	})
	seen := map[string]mcp.Resource{}
	names := map[string]bool{}
	for _, r := range all {
		if _, twice := seen[r.URI]; twice || names[r.Name] || r.Title == "" || r.MIMEType == "" && !strings.HasSuffix(r.URI, "a-new-one") {
			t.Errorf("twice, or without a title or type: %+v", r)
		}
		seen[r.URI], names[r.Name] = r, true
	}
	want := []string{rootURI, instanceURI(other), sessionsURI(other), FileURI(other, "/workspace"), instanceURI(w.instance)}
	for _, s := range sessions {
		want = append(want, MessagesURI(w.instance, s))
	}
	for i := range maxListedFiles - 1 { // one new file may take a place
		want = append(want, FileURI(w.instance, fmt.Sprintf("/workspace/f%03d.md", i)))
	}
	for _, uri := range want {
		if _, ok := seen[uri]; !ok {
			t.Errorf("%s is not listed", uri)
		}
	}
	f := seen[FileURI(w.instance, "/workspace/f000.md")]
	if f.Size == nil || *f.Size != 1 || f.Annotations == nil || f.Annotations.LastModified == "" || f.MIMEType != mimeMarkdown {
		t.Errorf("got %+v", f)
	}
	for uri := range seen {
		if _, err := w.Read(t.Context(), uri); err != nil {
			t.Errorf("%s is listed, but: %v", uri, err)
		}
	}
}

// Items stand where a page ends: at each possible place, nothing is lost.
func TestListBoundaries(t *testing.T) {
	w := newWorld(t, emulatortest.Options{}, quick())
	for n := 1; n < 2*pageSize+2; n++ {
		w.session(t, "s")
		if at := (n + 5 + len(client.Documents())) % pageSize; at > 2 && at < pageSize-2 {
			continue
		}
		all := listAll(t, w, nil)
		uris := map[string]bool{}
		for _, r := range all {
			uris[r.URI] = true
		}
		sessions, err := w.client.Chat.Sessions(t.Context(), w.instance)
		if err != nil || len(uris) != len(all) || len(all) != len(sessions.Items)+5+len(client.Documents()) {
			t.Fatalf("%d resources, %d different, of %d sessions: %v", len(all), len(uris), len(sessions.Items), err)
		}
	}
}

func TestListRails(t *testing.T) {
	w := newWorld(t, emulatortest.Options{}, quick())
	w.session(t, "s")
	w.write(t, "f", "x")
	for tool, gone := range map[string]string{
		"list_instances": rootURI, "get_instance": instanceURI(w.instance), "list_chat_sessions": sessionsURI(w.instance),
		"check_service": documentURI("agent.md"),
		"list_files":    FileURI(w.instance, "/workspace"), "read_file": FileURI(w.instance, "/workspace/f"),
	} {
		w.rails = rails{tool: tool}
		for _, r := range listAll(t, w, nil) {
			if r.URI == gone {
				t.Errorf("without %s, %s is listed", tool, gone)
			}
		}
	}
	w.rails = rails{tool: "read_chat_history"}
	if slices.ContainsFunc(listAll(t, w, nil), func(r mcp.Resource) bool { return strings.HasSuffix(r.URI, "/messages") }) ||
		slices.ContainsFunc(w.templates(t.Context()), func(r mcp.ResourceTemplate) bool { return r.Name == "messages" }) {
		t.Error("without read_chat_history, histories are listed")
	}
	w.rails = rails{instance: w.instance}
	if all := listAll(t, w, nil); len(all) != 2+len(client.Documents()) {
		t.Errorf("a forbidden instance is listed: %v", all)
	}
}

func TestListErrors(t *testing.T) {
	w := newWorld(t, emulatortest.Options{}, quick())
	for _, cursor := range []string{"%", "aGVsbG8="} {
		if _, _, err := w.List(t.Context(), cursor); code(err, false) != mcp.INVALID_PARAMS {
			t.Errorf("%s: %v", cursor, err)
		}
	}
	// One instance that does not answer does not hide the rest.
	w.emulator.SetFaults(emulatortest.Fault{Endpoint: "GET /instances/{instance}/chat/sessions", Status: 500}, emulatortest.Fault{Endpoint: "GET /instances/{instance}/files", Status: 500})
	if all := listAll(t, w, nil); len(all) != 5+len(client.Documents()) {
		t.Errorf("got %v", all)
	}
	w.emulator.SetFaults(emulatortest.Fault{Status: 500})
	if _, _, err := w.List(t.Context(), ""); err == nil {
		t.Error("no error though the service is down")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := w.List(ctx, ""); err == nil {
		t.Error("no error though nobody waits")
	}
}

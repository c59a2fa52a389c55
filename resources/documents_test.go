package resources

import (
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/mark3labs/mcp-go/mcp"

	"openclaw-mcp/client"
	"openclaw-mcp/internal/emulator/emulatortest"
)

// All that the service publishes can be read, whole and in parts.
func TestReadDocuments(t *testing.T) {
	d := quick()
	d.MaxChars = 1000
	w := newWorld(t, emulatortest.Options{}, d)
	for _, doc := range client.Documents() {
		var all strings.Builder
		parts := 0
		for uri := documentURI(doc.Name); uri != ""; parts++ {
			contents, err := w.Read(t.Context(), uri)
			if err != nil {
				t.Fatalf("%s: %v", uri, err)
			}
			part := contents[0].(mcp.TextResourceContents)
			all.WriteString(part.Text)
			if len(part.Text) > 1000 || part.URI != uri || part.MIMEType != doc.MediaType {
				t.Errorf("%s: %d bytes, %s, %s", uri, len(part.Text), part.URI, part.MIMEType)
			}
			uri, _ = part.Meta["openclaw-mcp/next"].(string)
			if (uri != "") != (len(contents) == 2) {
				t.Errorf("the next part is %q, but there are %d items", uri, len(contents))
			}
		}
		want, err := w.client.Documents.Get(t.Context(), doc.Name)
		if err != nil || all.String() != want.Text || parts != 1 && len(want.Text) <= 1000 {
			t.Errorf("%s in %d parts differs: %v", doc.Name, parts, err)
		}
	}
	if contents := w.Complete(t.Context(), "document", "open", nil); len(contents.Values) != 2 {
		t.Errorf("completions: %q", contents.Values)
	}
}

// What a service puts into a document can't control a terminal or hide.
func TestDocumentsArePlain(t *testing.T) {
	var served atomic.Value // a string
	w := newService(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/agent.md" {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/markdown")
		_, _ = io.WriteString(w, served.Load().(string))
	}), quick())
	served.Store("a\x1b[31mb\u202ec\a\r\n")
	if got := w.text(t, documentURI("agent.md")).Text; got != "ab⟨U+202E⟩c\n" {
		t.Errorf("got %q", got)
	}
	for uri, want := range map[string]int{
		documentURI("openapi.json"):            mcp.RESOURCE_NOT_FOUND,
		documentURI("passwords"):               mcp.RESOURCE_NOT_FOUND,
		"openclaw://service":                   mcp.RESOURCE_NOT_FOUND,
		"openclaw://service/agent.md/more":     mcp.RESOURCE_NOT_FOUND,
		"openclaw://service/..%2Fagent.md":     mcp.RESOURCE_NOT_FOUND,
		documentURI("agent.md") + "?offset=99": mcp.INVALID_PARAMS,
		documentURI("agent.md") + "?limit=9":   mcp.INVALID_PARAMS,
	} {
		if _, err := w.Read(t.Context(), uri); code(err, false) != want {
			t.Errorf("%s: %v", uri, err)
		}
	}
	w.rails = rails{tool: "check_service"}
	if _, err := w.Read(t.Context(), documentURI("agent.md")); code(err, false) != mcp.RESOURCE_NOT_FOUND {
		t.Errorf("without check_service: %v", err)
	}
	w.rails = rails{}
	l := w.listen(t, documentURI("agent.md"))
	served.Store("news")
	l.await(t, 1)
}

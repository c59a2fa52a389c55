package resources

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/mark3labs/mcp-go/mcp"

	"openclaw-mcp/internal/emulator/emulatortest"
)

// The page for agents is listed and read, also where the limits allow no tool, and the
// service is down.
func TestSkill(t *testing.T) {
	w := newWorld(t, emulatortest.Options{}, quick())
	all := listAll(t, w, nil)
	i := slices.IndexFunc(all, func(r mcp.Resource) bool { return r.URI == skillURI })
	if i < 0 || !strings.Contains(all[i].Description, "before the first call") || all[i].MIMEType != mimeMarkdown {
		t.Fatalf("the list has %+v", all)
	}
	w.emulator.SetFaults(emulatortest.Fault{Status: 500})
	w.rails = rails{tool: "list_instances"}
	contents, err := w.Read(t.Context(), skillURI)
	if err != nil || len(contents) != 1 {
		t.Fatalf("%v, %v", contents, err)
	}
	page, ok := contents[0].(mcp.TextResourceContents)
	if !ok || !strings.HasPrefix(page.Text, "---\nname: openclaw\ndescription: ") || len(page.Text) > 4000 {
		t.Errorf("the page is %+v", contents[0])
	}
	if _, err := w.Read(t.Context(), skillURI+"?x=1"); err == nil {
		t.Error("a query is taken")
	}
	// Every tool that it names is one: the names are those of the rails' words.
	if names := regexp.MustCompile("`([a-z]+_[a-z_]+)`").FindAllStringSubmatch(page.Text, -1); len(names) < 10 {
		t.Errorf("it names %d tools", len(names))
	}
}

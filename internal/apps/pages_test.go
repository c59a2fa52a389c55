package apps

import (
	"regexp"
	"strings"
	"testing"
)

// fetches is what would have a browser load something: hosts show the pages without
// any network.
var fetches = regexp.MustCompile(`(?i)<(?:link|img|iframe|base|script\s[^>]*src)\b|@import|url\(\s*["']?(?:https?:)?//`)

func TestPages(t *testing.T) {
	t.Parallel()
	for _, name := range Pages() {
		page, err := Page(name)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) >= 1<<20 || !strings.HasPrefix(page, "<!doctype html>") || !strings.HasSuffix(strings.TrimSpace(page), "</html>") {
			t.Errorf("%s: %d bytes: %.40q … %q", name, len(page), page, page[len(page)-20:])
		}
		if strings.Count(page, "<script") != 2 || strings.Count(page, "</script>") != 2 || strings.Contains(page, libraryMark) {
			t.Errorf("%s: %d scripts begin and %d end", name, strings.Count(page, "<script"), strings.Count(page, "</script>"))
		}
		markup := page[:strings.Index(page, "<script")]
		if found := fetches.FindString(markup); found != "" {
			t.Errorf("%s loads something: %s", name, found)
		}
	}
	if _, err := Page("none"); err == nil {
		t.Error("there is a page of any name")
	}
}

func TestUnpackBroken(t *testing.T) {
	t.Parallel()
	for _, b := range [][]byte{nil, packed[:len(packed)/2], []byte("nothing")} {
		if all, err := unpack(b); err == nil {
			t.Errorf("%d bytes are unpacked as %d pages", len(b), len(all))
		}
	}
}

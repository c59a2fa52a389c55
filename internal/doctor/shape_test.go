package doctor

import (
	"net/url"
	"strings"
	"testing"
)

func TestKeysOf(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ in, want string }{
		{`[{"id":"a","b":1},{"id":"b","c":{"d":[1,2]}}]`, "[{b, c: {d: []}, id}]"},
		{`{"instances":[],"next_cursor":null}`, "{instances: [], next_cursor}"},
		{`{"7f3c-22":{"x":1},"ada@example.com":2,"file 1":3,"ok":true}`, "{ok, 3 more}"},
		{`{"sk_live_1234567890":1}`, "{1 more}"},
		{`{"a":{"b":{"c":{"d":{"e":{"f":1}}}}}}`, "{a: {b: {c: {d: {e: {...}}}}}}"},
		{`"text"`, ""},
		{` <html>`, "(a page, no JSON)"},
		{`plain`, "(no JSON)"},
		{strings.Repeat("[", maxSample), "(too large to look at)"},
	} {
		if got := keysOf([]byte(tt.in)); got != tt.want {
			t.Errorf("keysOf(%.60s) = %q, want %q", tt.in, got, tt.want)
		}
	}
}

func TestSummary(t *testing.T) {
	t.Parallel()
	const stream = "event: delta\r\ndata: {\"delta\":\"secret\"}\r\n\r\n: ping\n\nevent: delta\ndata:{\"delta\":\"x\"}\n\nevent: 3f2c-1\ndata: hello\n\ndata: [DONE]\n\n"
	if got, want := summary(parseEvents([]byte(stream))), "delta {delta} x2; (other) text; [DONE]"; got != want {
		t.Errorf("summary %q, want %q", got, want)
	}
	if got := familyOf(parseEvents([]byte("event: new\ndata: {\"thing\":1}\n\n"))); got != "unknown" {
		t.Errorf("family %q", got)
	}
}

func TestTemplate(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"http://h/x/api":  "/",
		"http://h/x/api/": "/",
		"http://h/x/api/instances/1234/files?path=%2Fprivate&limit=5": "/instances/{instance}/files?path&limit",
		"http://h/x/api/instances":                                    "/instances",
	} {
		u, err := url.Parse(in)
		if err != nil {
			t.Fatal(err)
		}
		if got := template("http://h/x/api", u); got != want {
			t.Errorf("template(%s) = %s, want %s", in, got, want)
		}
	}
}

package doctor

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"openclaw-mcp/client"
	"openclaw-mcp/internal/emulator/emulatortest"
)

// How a description may differ, one rule a row.
func TestCompare(t *testing.T) {
	t.Parallel()
	exec := client.Endpoint{Method: "POST", Path: "/instances/{instance}/terminal/exec", Fields: []string{"command", "timeout_ms"}, Needs: []string{"command"}}
	change := func(f func(*client.Endpoint)) client.Endpoint { e := exec; f(&e); return e }
	const at = "POST /instances/{instance}/terminal/exec"
	for name, tt := range map[string]struct {
		described []client.Endpoint
		want      Contract
	}{
		"the same":                 {[]client.Endpoint{change(func(e *client.Endpoint) { e.Path = "/instances/{id}/terminal/exec" })}, Contract{}},
		"nothing said":             {[]client.Endpoint{change(func(e *client.Endpoint) { e.Fields = nil })}, Contract{}},
		"missing":                  {nil, Contract{Missing: []string{at}}},
		"moved":                    {[]client.Endpoint{change(func(e *client.Endpoint) { e.Path = "/v2/instances/{id}/exec" })}, Contract{Moved: []string{at + " -> /v2/instances/{id}/exec, and used at the new path if the old one is missing"}}},
		"moved, not an instance's": {[]client.Endpoint{change(func(e *client.Endpoint) { e.Path = "/sandboxes/{id}/exec" })}, Contract{Moved: []string{at + " -> /sandboxes/{id}/exec"}}},
		"another name": {[]client.Endpoint{change(func(e *client.Endpoint) { e.Fields, e.Needs = []string{"cmd", "timeout_ms"}, []string{"cmd"} })},
			Contract{Names: []string{at + ": command is called cmd, and sent under that name if it is refused"}}},
		"moved, in doubt":   {[]client.Endpoint{{Method: "POST", Path: "/a/{id}/exec"}, {Method: "POST", Path: "/b/{id}/exec"}}, Contract{Missing: []string{at}, New: []string{"POST /a/{id}/exec", "POST /b/{id}/exec"}}},
		"another method":    {[]client.Endpoint{change(func(e *client.Endpoint) { e.Method = "PUT" })}, Contract{Missing: []string{at}, New: []string{"PUT /instances/{instance}/terminal/exec"}}},
		"new":               {[]client.Endpoint{exec, {Method: "DELETE", Path: "/instances/{id}"}}, Contract{New: []string{"DELETE /instances/{id}"}}},
		"documents":         {[]client.Endpoint{exec, {Method: "GET", Path: "/../docs"}, {Method: "GET", Path: "/openapi.json"}}, Contract{}},
		"another spelling":  {[]client.Endpoint{change(func(e *client.Endpoint) { e.Fields = []string{"command", "timeoutMs"} })}, Contract{Names: []string{at + ": timeout_ms is called timeoutMs, and sent under that name if it is refused"}}},
		"a field gone":      {[]client.Endpoint{change(func(e *client.Endpoint) { e.Fields = []string{"command"} })}, Contract{Names: []string{at + ": timeout_ms is not described"}}},
		"a field to send":   {[]client.Endpoint{change(func(e *client.Endpoint) { e.Needs = []string{"command", "shell"} })}, Contract{Names: []string{at + ": shell is required, but not sent"}}},
		"a field to read":   {[]client.Endpoint{change(func(e *client.Endpoint) { e.Answers = []string{"stdout", "weather"} })}, Contract{Fields: []string{at + ": weather"}}},
		"an event":          {[]client.Endpoint{change(func(e *client.Endpoint) { e.Events = []string{"delta", "weather"} })}, Contract{Events: []string{at + ": weather"}}},
		"names may be data": {[]client.Endpoint{exec, {Method: "GET", Path: "/users/jo@example.com"}}, Contract{New: []string{"GET /users/(other)"}}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(&tt.want, compare([]client.Endpoint{exec}, tt.described)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// The report says what the description says otherwise.
func TestDescription(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, doc    string
		level        Level
		detail, text string
	}{
		{"its own", "", OK, "all 21 endpoints", "description"},
		{"other", `{"paths":{"/instances":{"get":{}},"/v2/weather":{"get":{}}}}`, Warning, "differently", "new       GET /v2/weather"},
		{"none", "404", Skipped, "no OpenAPI document", "no OpenAPI document"},
		{"a page in its place", "<!DOCTYPE html><title>Home</title>", Skipped, "no OpenAPI document", "no OpenAPI document"},
		{"broken off", `{"paths":{"/instances":{"get":`, Warning, "can't be read as an OpenAPI document", "description"},
		{"of another kind", `{"swagger":{}}`, Warning, "can't be read as an OpenAPI document", "description"},
		{"too large", strings.Repeat(" ", 2<<20) + `{"paths":{}}`, Warning, "larger than 2097152 bytes", "description"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, o := service(t, emulatortest.Options{}, func(h http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					switch {
					case r.URL.Path != "/api/openapi.json" || tt.doc == "":
						h.ServeHTTP(w, r)
					case tt.doc == "404":
						http.NotFound(w, r)
					default:
						_, _ = io.WriteString(w, tt.doc)
					}
				})
			})
			o.ReadOnly, o.SkipSockets = true, true
			r := examine(t, o)
			var text strings.Builder
			r.Text(&text)
			if c := check(t, r, stepDescription); c.Level != tt.level || !strings.Contains(c.Detail, tt.detail) || !strings.Contains(text.String(), tt.text) {
				t.Errorf("%+v\n%s", c, &text)
			}
		})
	}
}

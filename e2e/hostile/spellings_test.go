//go:build e2e

package hostile

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What other clients really send is understood, and what only looks like a member of the
// protocol is not obeyed.
func TestSpellings(t *testing.T) {
	t.Parallel()
	s := serve(t, "OPENCLAW_API_KEY="+serverKey, "OPENCLAW_API_BASE_URL="+service(t, instances(anyKey)))
	c := newCaller(t, s.url)
	session := c.initialize(t)
	call := func(args string) string {
		return `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"check_service","arguments":` + args + `}}`
	}
	list := `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"list_instances","arguments":{}}}`
	for name, tt := range map[string]struct {
		body   string
		header map[string]string
		path   string
		want   string // in the answer
		not    string // in the answer
	}{
		"as it should be":           {body: list, want: `i1`},
		"Method":                    {body: strings.Replace(list, `"method"`, `"Method"`, 1), want: `"error"`, not: `i1`},
		"METHOD beside method":      {body: strings.Replace(list, `"method"`, `"METHOD":"tools/call","method":"ping","x"`, 1), not: `i1`},
		"Name":                      {body: strings.Replace(list, `"name"`, `"Name"`, 1), want: `-32602`, not: `i1`},
		"long s":                    {body: strings.Replace(list, `"params"`, `"param\u017f"`, 1), want: `differs only in case`, not: `i1`},
		"Kelvin":                    {body: call(`{"\u212aind":1}`), want: `isError":true`},
		"escaped, and the same":     {body: strings.Replace(list, `"method"`, `"m\u0065thod"`, 1), want: `i1`},
		"twice":                     {body: strings.Replace(list, `"params"`, `"method":"ping","params"`, 1), want: `"error"`, not: `i1`},
		"params is a list":          {body: `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":[1]}`, want: `-32602`},
		"name is a number":          {body: `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":5}}`, want: `-32602`},
		"the member is named":       {body: `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":5}}`, want: `name`, not: `Go `},
		"a byte order mark":         {body: "\ufeff" + list, want: `i1`},
		"white space":               {body: " \r\n\t" + list + "\r\n", want: `i1`},
		"an error that answers":     {body: `{"jsonrpc":"2.0","error":{"code":-32600,"message":"x"}}`, not: `"error"`},
		"a slash behind":            {body: list, path: "/", want: `i1`},
		"events alone are accepted": {body: list, header: map[string]string{"Accept": "text/event-stream"}, want: `i1`},
		"anything is accepted":      {body: list, header: map[string]string{"Accept": "*/*"}, want: `i1`},
	} {
		t.Run(name, func(t *testing.T) {
			h := headers(legacy, "", "")
			h.Set("Mcp-Session-Id", session)
			for k, v := range tt.header {
				h.Set(k, v)
			}
			one := newCaller(t, s.url+tt.path)
			status, text, _ := one.answer(t, http.MethodPost, h, []byte(tt.body))
			if !strings.Contains(text, tt.want) || tt.not != "" && strings.Contains(text, tt.not) || status >= 500 {
				t.Errorf("status %d, %.400s", status, text)
			}
		})
	}
	for name, args := range map[string]string{
		"5.0": `{"instance":"i1","session":"s1","limit":5.0}`, "5e0": `{"instance":"i1","session":"s1","limit":5e0}`,
		"a number as text": `{"instance":"i1","session":"s1","limit":"5"}`,
	} {
		body := fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"read_chat_history","arguments":%s}}`, args)
		h := headers(legacy, "", "")
		h.Set("Mcp-Session-Id", session)
		// The service has no such session: what counts is that it is asked.
		if _, text, _ := c.answer(t, http.MethodPost, h, []byte(body)); !strings.Contains(text, "nothing there") {
			t.Errorf("%s: %.400s", name, text)
		}
	}
	_, body, given := c.answer(t, http.MethodPost, headers("", "", ""), []byte(`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-03-26","capabilities":{},"clientInfo":{"name":"b","version":"1"}}}`))
	if !strings.Contains(body, "2025-03-26") {
		t.Errorf("the version with batches: %.300s", body)
	}
	old := headers("2025-03-26", "", "")
	old.Set("Mcp-Session-Id", given.Get("Mcp-Session-Id"))
	status, body, _ := c.answer(t, http.MethodPost, old, []byte(`[{"jsonrpc":"2.0","id":1,"method":"ping"},{"jsonrpc":"2.0","id":2,"method":"ping"}]`))
	if !strings.Contains(body, `"id":1`) || !strings.Contains(body, `"id":2`) {
		t.Errorf("a batch: status %d, %.300s", status, body)
	}
	page, err := http.NewRequest(http.MethodGet, s.url, nil)
	if err != nil {
		t.Fatal(err)
	}
	page.Header.Set("Accept", "text/html,application/xhtml+xml,*/*;q=0.8")
	res, err := http.DefaultClient.Do(page)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if !strings.HasPrefix(res.Header.Get("Content-Type"), "text/html") {
		t.Errorf("a browser gets %d, %s", res.StatusCode, res.Header.Get("Content-Type"))
	}
	h := headers(modern, "initialize", "")
	if status, body, _ := c.answer(t, http.MethodPost, h, request(t, legacy, "initialize", params{
		"protocolVersion": legacy, "clientInfo": params{"name": "b", "version": "1"}, "capabilities": params{}})); !strings.Contains(body, "serverInfo") {
		t.Errorf("initialize under the newest version: status %d, %.300s", status, body)
	}
}

// Clients that are strict about schemas take the whole list of tools.
func TestSchemasAreComplete(t *testing.T) {
	t.Parallel()
	h := newHost(t, "OPENCLAW_API_BASE_URL="+service(t, instances(anyKey)))
	answer, _ := h.request("tools/list", params{})
	var list struct {
		Tools []struct {
			Name        string
			InputSchema any
		}
	}
	if err := json.Unmarshal(answer, &list); err != nil || len(list.Tools) < 10 {
		t.Fatalf("%v, %.300s", err, answer)
	}
	var check func(where string, schema any)
	check = func(where string, schema any) {
		switch v := schema.(type) {
		case map[string]any:
			if v["type"] == "array" && v["items"] == nil {
				t.Errorf("%s is an array without items", where)
			}
			if v["type"] == "object" && v["properties"] == nil && v["additionalProperties"] == nil {
				t.Errorf("%s is an object without properties", where)
			}
			for k, inner := range v {
				check(where+"."+k, inner)
			}
		case []any:
			for _, inner := range v {
				check(where, inner)
			}
		}
	}
	for _, tool := range list.Tools {
		if m, _ := tool.InputSchema.(map[string]any); m["properties"] == nil {
			t.Errorf("%s has no properties", tool.Name)
		}
		check(tool.Name, tool.InputSchema)
	}
}

// The key stays inside: where the service repeats it, in files that others may write, in
// pages of other sites that ask the admin address.
func TestKeyStaysInside(t *testing.T) {
	t.Parallel()
	repeats := service(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		var escaped strings.Builder
		for _, c := range []byte(serverKey) {
			fmt.Fprintf(&escaped, `\u%04x`, c)
		}
		all := serverKey + " " + escaped.String() + strings.Repeat(" "+serverKey, 100_000) // which is cut in the middle
		switch {
		case strings.HasSuffix(r.URL.Path, "/terminal/exec"):
			_, _ = fmt.Fprintf(w, `{"stdout":"%s","exit_code":0}`, all)
		case strings.HasSuffix(r.URL.Path, "/chat/messages"):
			_, _ = fmt.Fprintf(w, `[{"id":"m1","role":"assistant","content":"%s"}]`, all)
		default:
			_, _ = fmt.Fprintf(w, `{"id":"i1","status":"ready","name":"%s"}`, all)
		}
	})
	h := newHost(t, "OPENCLAW_API_BASE_URL="+repeats, "OPENCLAW_MCP_MAX_RESULT_CHARS=1000000")
	for tool, args := range map[string]params{
		"exec_command": {"instance": "i1", "command": "env"}, "read_chat_history": {"instance": "i1", "session": "s1"}, "get_instance": {"instance": "i1"},
	} {
		if text, _ := h.tool(tool, args); strings.Contains(text, serverKey[:8]) || !strings.Contains(text, "***") {
			t.Errorf("%s: %.300s", tool, text)
		}
	}
	for what, mode := range map[string]os.FileMode{"a group": 0o620, "everybody": 0o602} {
		file := filepath.Join(t.TempDir(), "key")
		if err := os.WriteFile(file, []byte(serverKey), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(file, mode); err != nil {
			t.Fatal(err)
		}
		p := start(t, []string{"OPENCLAW_API_KEY_FILE=" + file}, "--http", "127.0.0.1:0")
		if code := p.exit(t); code == 0 || !strings.Contains(p.log.String(), "written by others") {
			t.Errorf("a key file that %s may write: exit code %d, %s", what, code, p.log)
		}
	}
	s := serve(t, "OPENCLAW_API_KEY="+serverKey, "OPENCLAW_API_BASE_URL="+repeats)
	for _, path := range []string{"/debug/pprof/", "/debug/pprof/heap", "/metrics"} {
		for name, value := range map[string]string{"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example", "Host": "evil.example"} {
			r, err := http.NewRequest(http.MethodGet, "http://"+address(s.admin)+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			if r.Header.Set(name, value); name == "Host" {
				r.Host = value
			}
			res, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			_ = res.Body.Close()
			if res.StatusCode != http.StatusForbidden {
				t.Errorf("%s with %s: %s: status %d", path, name, value, res.StatusCode)
			}
		}
	}
}

package client

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

func TestDecodeError(t *testing.T) {
	type want struct {
		status                   int
		contentType              string
		code, message, requestID string
	}
	cases := map[string]want{
		"message.json":          {404, "application/json", "", "Instance not found", "hdr"},
		"slug_and_message.json": {403, "application/json", "forbidden", "Active subscription or invite code required", "hdr"},
		"status_code.json":      {503, "application/json", "", "No capacity", "hdr"},
		"error_string.json":     {401, "application/json", "", "Unauthorized", "hdr"},
		"success_false.json":    {500, "application/json", "", "Disk is full", "hdr"},
		"nested.json":           {402, "application/json", "quota_exceeded", "Too many instances (hint: shut one down)", "req-9"},
		"nested_type.json":      {401, "application/json", "unauthorized", "Unauthorized", "hdr"},
		"detail.json":           {404, "application/json", "", "Sandbox not found", "hdr"},
		"detail_list.json":      {422, "application/json", "", "body.path: field required; body.items.0: too short", "hdr"},
		"detail_object.json":    {403, "application/json", "", "Not yours", "hdr"},
		"errors_list.json":      {400, "application/json", "", "First; Second; title: is empty", "hdr"},
		"errors_by_field.json":  {422, "application/json", "", "title: is empty", "hdr"},
		"list.json":             {400, "application/json", "", "First", "hdr"},
		"string.json":           {400, "application/json", "", "Nope", "hdr"},
		"problem.json":          {403, "application/problem+json", "", "No access to this instance", "hdr"},
		"code_beside.json":      {429, "application/json", "E_LIMIT", "Limit reached", "req-1"},
		"retry_after.json":      {429, "application/json", "", "Slow down", "hdr"},
		"slug_only.json":        {429, "application/json", "rate_limited", "rate_limited", "hdr"},
		"unknown_keys.json":     {418, "application/json", "", `I'm a teapot; the answer is an object with the keys "oops", "why"`, "hdr"},
		"plain.txt":             {503, "text/plain", "", "no healthy upstream", "hdr"},
		"page.html":             {502, "text/html; charset=utf-8", "", "502 Bad Gateway & more", "hdr"},
		"page_no_title.html":    {524, "", "", "Origin Timed Out", "hdr"},
		"empty.txt":             {504, "", "", "Gateway Timeout", "hdr"},
		"control.json":          {400, "application/json", "", "red [31malert twice", "hdr"},
	}
	var used []string
	for name, w := range cases {
		used = append(used, name)
		t.Run(name, func(t *testing.T) {
			header := http.Header{"Content-Type": {w.contentType}, "X-Request-Id": {"hdr"}}
			e := decodeError(w.status, header, fixture(t, "errors", name), march20)
			got := want{e.Status, w.contentType, e.Code, e.Message, e.RequestID}
			if got != w {
				t.Errorf("got  %+v\nwant %+v", got, w)
			}
			if name == "retry_after.json" && e.RetryAfter != 2500*time.Millisecond {
				t.Errorf("RetryAfter is %v", e.RetryAfter)
			}
			if strings.Contains(e.Error(), "secret") || strings.Contains(e.Error(), "value") {
				t.Errorf("the error shows values: %v", e)
			}
		})
	}
	checkUsed(t, "errors", used)

	e := decodeError(500, http.Header{"Content-Type": {"image/png"}}, []byte("\x89PNG"), march20)
	if want := "Internal Server Error; the answer is of type image/png"; e.Message != want {
		t.Errorf("binary: got %q, want %q", e.Message, want)
	}
	e = decodeError(500, http.Header{"Content-Type": {"text/plain"}}, []byte(strings.Repeat("word ", 1000)), march20)
	if n := len([]rune(e.Message)); n > maxPlainError+1 {
		t.Errorf("a long text stays %d runes long", n)
	}
}

func TestRetryAfter(t *testing.T) {
	for v, want := range map[string]time.Duration{
		"7":                             7 * time.Second,
		"0":                             0,
		"1.5":                           1500 * time.Millisecond,
		"99999999999":                   24 * time.Hour,
		"Fri, 20 Mar 2026 18:24:15 GMT": 5 * time.Second,
		"Fri, 20 Mar 2020 18:24:15 GMT": 0,
		"Fri, 20 Mar 2099 18:24:15 GMT": 24 * time.Hour,
	} {
		got, ok := retryAfter(http.Header{"Retry-After": {v}}, march20)
		if !ok || got != want {
			t.Errorf("%s: got %v, %v; want %v", v, got, ok, want)
		}
	}
	for _, v := range []string{"", "soon", "-1", "NaN"} {
		if got, ok := retryAfter(http.Header{"Retry-After": {v}}, march20); ok {
			t.Errorf("%q: got %v, want nothing", v, got)
		}
	}
}

// TestStatuses holds what each status means for a GET and for a POST.
func TestStatuses(t *testing.T) {
	const body = `{"message":"No."}`
	for _, tt := range []struct {
		status      int
		contentType string
		body        string
		outcome     Outcome
	}{
		{400, "application/json", body, OutcomeRejected},
		{401, "application/json", body, OutcomeRejected},
		{402, "application/json", body, OutcomeRejected},
		{403, "application/json", body, OutcomeRejected},
		{404, "application/json", body, OutcomeRejected},
		{405, "application/json", body, OutcomeRejected},
		{409, "application/json", body, OutcomeRejected},
		{409, "application/json", `{"message":"Message queued: a run is active"}`, OutcomeUnknown},
		{409, "application/json", `{"message":"busy","queued":true}`, OutcomeUnknown},
		{409, "application/json", `{"status":"running","message":"No message was accepted"}`, OutcomeRejected},
		{413, "text/html", "<html><title>Too large</title></html>", OutcomeRejected},
		{415, "application/json", body, OutcomeRejected},
		{422, "application/json", body, OutcomeRejected},
		{429, "application/json", body, OutcomeRejected},
		{408, "application/json", body, OutcomeUnknown},
		{499, "", "", OutcomeUnknown},
		{500, "application/json", body, OutcomeUnknown},
		{501, "application/json", body, OutcomeRejected},
		{501, "text/plain", "no", OutcomeRejected},
		{502, "application/json", body, OutcomeUnknown},
		{503, "application/json", body, OutcomeRejected},
		{503, "application/json", `{"message":"upstream reset"}`, OutcomeUnknown},
		{503, "text/html", "<html><title>503</title></html>", OutcomeUnknown},
		{503, "", "", OutcomeUnknown},
		{504, "application/json", body, OutcomeUnknown},
		{520, "text/html", "<html></html>", OutcomeUnknown},
		{524, "text/html", "<html></html>", OutcomeUnknown},
	} {
		calls := 0
		c := serve(t, func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPost {
				calls++
			}
			answer(tt.status, tt.contentType, tt.body)(w, r)
		}, WithRetry(1, 0, 0))
		_, err := c.Instances.Create(t.Context(), CreateInstanceRequest{})
		e := wantError(t, err)
		if e.Status != tt.status || e.Outcome != tt.outcome {
			t.Errorf("POST %d %s: got status %d, outcome %q; want %q", tt.status, tt.contentType, e.Status, e.Outcome, tt.outcome)
		}
		if want := tt.status == 408 || tt.status == 504 || tt.status == 524; e.Timeout() != want {
			t.Errorf("%d: Timeout is %v", tt.status, e.Timeout())
		}
		if calls != 1 {
			t.Errorf("%d: the POST was sent %d times", tt.status, calls)
		}
		_, err = c.Instances.Get(t.Context(), "i1")
		if e := wantError(t, err); e.Status != tt.status || e.Outcome != "" {
			t.Errorf("GET %d: got status %d, outcome %q; want none", tt.status, e.Status, e.Outcome)
		}
	}
}

// TestRedaction has the service echo the key in every spelling and place.
func TestRedaction(t *testing.T) {
	quoted, _ := json.Marshal(testKey)
	plain := strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(testKey)
	for name, body := range map[string]string{
		"json":          `{"message":"bad key ` + string(quoted[1:len(quoted)-1]) + ` given"}`,
		"json no html":  `{"message":"bad key ` + plain + ` given"}`,
		"json slashes":  `{"message":"bad key ` + strings.ReplaceAll(plain, "/", `\/`) + ` given"}`,
		"upper escapes": `{"message":"bad key ` + upperEscapes(string(quoted[1:len(quoted)-1]), `\u`, 4) + ` given"}`,
		"twice escaped": `{"message":` + string(must(json.Marshal(`{"key":`+string(quoted)+`}`))) + `}`,
		"code":          `{"error":{"code":` + string(quoted) + `,"message":"no","request_id":` + string(quoted) + `}}`,
		"key name":      `{` + string(quoted) + `:1}`,
		"plain":         "bad key " + testKey,
		"query":         "bad url /x?key=" + url.QueryEscape(testKey),
		"path":          "bad url /x/" + url.PathEscape(testKey),
		"lower query":   "bad url /x?key=" + lowerEscapes(url.QueryEscape(testKey)),
		"title":         "<html><title>" + testKey + "</title></html>",
		"cut by us":     strings.Repeat("x", maxPlainError-5) + testKey,
	} {
		c := serve(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Request-Id", strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "))
			w.WriteHeader(http.StatusForbidden)
			_, _ = io.WriteString(w, body)
		})
		_, err := c.Instances.Get(t.Context(), "i1")
		for text := err; text != nil; text = unwrap(text) {
			for _, leak := range []string{testKey, "sk_live", plain, string(quoted)} {
				if strings.Contains(text.Error(), leak) {
					t.Errorf("%s: the key shows: %v", name, text)
				}
			}
		}
	}
}

func unwrap(err error) error {
	if u, ok := err.(interface{ Unwrap() error }); ok {
		return u.Unwrap()
	}
	return nil
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// FuzzError has any body explained: in one short line, without a panic.
func FuzzError(f *testing.F) {
	f.Add(500, "application/json", []byte(`{"error":{"error":{"detail":[{"loc":[1],"msg":"x"}]}}}`))
	f.Add(502, "text/html", []byte("<html><title>x</title>"))
	f.Add(0, ";", []byte("\xff"))
	f.Fuzz(func(t *testing.T, status int, contentType string, body []byte) {
		e := decodeError(status, http.Header{"Content-Type": {contentType}}, body, march20)
		if e.Message == "" || strings.ContainsAny(e.Message, "\n\r\x1b") || len([]rune(e.Message)) > 3*maxErrorMessage {
			t.Errorf("got message %q", e.Message)
		}
		_ = e.Error()
	})
}

// FuzzDecode has any answer read as everything; nothing may panic, and what is
// no JSON is nothing.
func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"data":{"instances":[{"id":1,"created_at":1e12}]},"next_cursor":"x"}`))
	f.Add([]byte(`{"messages":[{"role":"assistant","content":[{"type":"text","text":"x"}]}]}`))
	f.Add([]byte(`{"files":["a/b","../c",{"name":"d/"}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		_, e1 := decodePage(b, "instances", decodeInstance)
		_, e2 := decodePage(b, "messages", decodeMessage)
		page, e3 := decodeFiles(b, "/workspace")
		_, e4 := decodeReply(b)
		_, e5 := decodeDiscovery(b)
		if !json.Valid(b) && (e1 == nil || e2 == nil || e3 == nil || e4 == nil || e5 == nil) {
			t.Error("what is not JSON was understood")
		}
		_, _ = decodeSession(b)
		_, _ = decodeStatus(b, "i")
		_ = decodeLifecycle(b)
		for _, f := range page.Items {
			if !strings.HasPrefix(f.Path, "/") {
				t.Errorf("the path %q is not absolute", f.Path)
			}
		}
	})
}

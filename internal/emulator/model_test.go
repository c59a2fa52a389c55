package emulator_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"openclaw-mcp/internal/emulator"
)

// Words come as the model says them, and the request is what such a service
// expects.
func TestModelStreams(t *testing.T) {
	t.Parallel()
	f := newFakeModel(t, says("Hel", "lo, ", "wörld"))
	got := hear(t, f.agent(t, nil), "hi")
	if want := []string{"Hel", "lo, ", "wörld"}; got.err != nil || !slices.Equal(got.words, want) {
		t.Errorf("got %q, %v; want %q", got.words, got.err, want)
	}
	req := f.asked()[0]
	if req.Model != "m" || !req.Stream || req.auth != "Bearer "+modelKey {
		t.Errorf("the request: %+v", req)
	}
	var tools []string
	for _, tool := range req.Tools {
		tools = append(tools, tool.Function.Name)
	}
	if want := []string{"run_command", "read_file", "write_file", "list_files"}; !slices.Equal(tools, want) {
		t.Errorf("tools %q, want %q", tools, want)
	}
	if m := req.Messages; len(m) != 2 || m[0].Role != "system" || m[1].Role != "user" || m[1].Content != "hi" {
		t.Errorf("messages: %+v", m)
	}
}

// Services differ in what they answer; all of these say "Hello".
func TestModelVariants(t *testing.T) {
	t.Parallel()
	raw := func(body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, body) }
	}
	for name, answer := range map[string]http.HandlerFunc{
		"no stream":          raw(`{"choices":[{"message":{"role":"assistant","content":"Hello"},"finish_reason":"stop"}]}`),
		"no stream, blanks":  raw("\n  " + `{"choices":[{"message":{"content":"Hello"}}]}`),
		"no finish_reason":   events(`{"choices":[{"delta":{"content":"Hel"}}]}`, `{"choices":[{"delta":{"content":"lo"}}]}`),
		"no DONE":            events(`{"choices":[{"delta":{"content":"Hello"},"finish_reason":"stop"}]}`),
		"broken after all":   breaks(`{"choices":[{"delta":{"content":"Hello"},"finish_reason":"stop"}]}`),
		"no space":           raw("data:{\"choices\":[{\"delta\":{\"content\":\"Hello\"}}]}\r\n\r\ndata:[DONE]\r\n\r\n"),
		"comments and names": raw(": ping\n\nevent: message\nid: 1\ndata: {\"choices\":[{\"delta\":{\"content\":\"Hello\"}}]}\n\n: ping\n\ndata: [DONE]\n\n"),
		"no last blank line": raw("data: {\"choices\":[{\"delta\":{\"content\":\"Hello\"}}]}"),
		"parts":              events(`{"choices":[{"delta":{"content":[{"type":"text","text":"Hel"},{"type":"text","text":"lo"}]}}]}`, "[DONE]"),
		"null error":         events(`{"choices":[{"delta":{"content":"Hello"}}],"error":null}`, "[DONE]"),
		"reasoning":          events(`{"choices":[{"delta":{"reasoning_content":"hm"}}]}`, `{"choices":[{"delta":{"reasoning":"hm"}}]}`, `{"choices":[{"delta":{"content":"Hello"}}]}`, "[DONE]"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFakeModel(t, answer)
			got := hear(t, f.agent(t, nil), "hi")
			if got.err != nil || got.text() != "Hello" || len(f.asked()) != 1 {
				t.Errorf("got %q, %v after %d requests", got.text(), got.err, len(f.asked()))
			}
			if name == "reasoning" && !slices.Equal(got.status, []string{"Thinking"}) {
				t.Errorf("status %q", got.status)
			}
		})
	}
}

// Before anything was said, what passes by itself is tried again.
func TestModelRetries(t *testing.T) {
	t.Parallel()
	for name, first := range map[string]http.HandlerFunc{
		"429":        refuses(429, `{"error":{"message":"slow down"}}`),
		"500":        refuses(500, "oops"),
		"503":        refuses(503, `{"error":"loading model"}`),
		"broken":     breaks(),
		"empty":      events(),
		"half":       breaks(`{"choices":[{"delta":{"role":"assistant"}}]}`),
		"in stream":  events(`{"error":{"code":503,"message":"overloaded"}}`),
		"no content": refuses(200, ""),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFakeModel(t, first, first, says("ok"))
			got := hear(t, f.agent(t, nil), "hi")
			if got.err != nil || got.text() != "ok" || len(f.asked()) != 3 {
				t.Errorf("got %q, %v after %d requests", got.text(), got.err, len(f.asked()))
			}
			if len(got.status) != 2 || !strings.Contains(got.status[0], "Trying again in") {
				t.Errorf("status %q", got.status)
			}
			f = newFakeModel(t, first)
			if got = hear(t, f.agent(t, nil), "hi"); got.err == nil || len(f.asked()) != 3 {
				t.Errorf("for ever: %v after %d requests", got.err, len(f.asked()))
			}
		})
	}
}

// Retry-After is obeyed, which the default pause of an hour here would not be.
func TestModelRetryAfter(t *testing.T) {
	t.Parallel()
	f := newFakeModel(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(429)
	}, says("ok"))
	begin := time.Now()
	got := hear(t, f.agent(t, func(o *emulator.ModelOptions) { o.Backoff = time.Hour }), "hi")
	if took := time.Since(begin); got.text() != "ok" || took < time.Second {
		t.Errorf("got %q, %v after %s", got.text(), got.err, took)
	}
}

// What does not pass is an error at once that says what to do, without the key.
func TestModelErrors(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		answer http.HandlerFunc
		want   []string
		said   string
	}{
		{"key", refuses(401, `{"error":{"message":"Incorrect API key: `+modelKey+`"}}`), []string{"401", "Incorrect API key: ***", "OPENCLAW_LOCAL_MODEL_KEY"}, ""},
		{"no model", refuses(404, `{"error":{"message":"model 'm' not found"}}`), []string{"404", "model 'm' not found", "OPENCLAW_LOCAL_MODEL"}, ""},
		{"bad request", refuses(400, `{"message":"context too long"}`), []string{"400", "context too long"}, ""},
		{"long", refuses(400, strings.Repeat("x", 9000)), []string{"400", "xxx …"}, ""},
		{"redirect", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://elsewhere.example/v1", http.StatusTemporaryRedirect)
		}, []string{"307", "https://elsewhere.example/v1", "OPENCLAW_LOCAL_MODEL_URL"}, ""},
		{"in stream", events(`{"choices":[{"delta":{"content":"Hel"}}]}`, `{"error":{"message":"GPU lost","code":500}}`), []string{"broke off", "GPU lost"}, "Hel"},
		{"error text", events(`{"error":"no memory"}`), []string{"no memory"}, ""},
		{"broken", breaks(`{"choices":[{"delta":{"content":"Hel"}}]}`), []string{"broke off"}, "Hel"},
		{"not JSON", events(`{"choices":[{"delta":{"content":"Hel"}}]}`, `{"choi`), []string{"not JSON"}, "Hel"},
		{"HTML", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "<html>login</html>") }, []string{"web page", "OPENCLAW_LOCAL_MODEL_URL"}, ""},
		{"nothing", says(""), []string{"answered with nothing"}, ""},
		{"filter", events(`{"choices":[{"delta":{},"finish_reason":"content_filter"}]}`), []string{"content_filter"}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := newFakeModel(t, tt.answer)
			got := hear(t, f.agent(t, nil), "hi")
			if got.err == nil || got.text() != tt.said {
				t.Fatalf("got %q, %v", got.text(), got.err)
			}
			for _, want := range tt.want {
				if !strings.Contains(got.err.Error(), want) {
					t.Errorf("%q lacks %q", got.err, want)
				}
			}
			if text := got.err.Error(); strings.Contains(text, modelKey) || len(text) > 1000 {
				t.Errorf("the error tells too much: %q", text)
			}
			if n := len(f.asked()); n != 1 {
				t.Errorf("%d requests", n)
			}
		})
	}
}

// Without a name the service's first model answers; embedding models cannot.
func TestModelDefault(t *testing.T) {
	t.Parallel()
	f := newFakeModel(t, says("ok"))
	unnamed := func(o *emulator.ModelOptions) { o.Model = "" }
	got := hear(t, f.agent(t, unnamed), "one", "two")
	if reqs := f.asked(); got.err != nil || len(reqs) != 2 || reqs[1].Model != "first-model" || f.lists != 1 {
		t.Errorf("%v, %+v, %d lists", got.err, reqs, f.lists)
	}
	f = newFakeModel(t, says("ok"))
	f.models = `{"data":[]}`
	if got = hear(t, f.agent(t, unnamed), "hi"); got.err == nil || !strings.Contains(got.err.Error(), "OPENCLAW_LOCAL_MODEL") || !strings.Contains(got.err.Error(), f.url) {
		t.Errorf("none: %v", got.err)
	}
	f.models = `<html>`
	if got = hear(t, f.agent(t, unnamed), "hi"); got.err == nil || !strings.Contains(got.err.Error(), "OpenAI-compatible") {
		t.Errorf("no JSON: %v", got.err)
	}
	srv := httptest.NewServer(http.NotFoundHandler())
	srv.Close()
	gone := &fakeModel{url: srv.URL}
	if got = hear(t, gone.agent(t, unnamed), "hi"); got.err == nil || !strings.Contains(got.err.Error(), "cannot be reached") || !strings.Contains(got.err.Error(), "refused") {
		t.Errorf("gone: %v", got.err)
	}
}

// A URL is taken as people have it at hand.
func TestModelURL(t *testing.T) {
	t.Parallel()
	for _, suffix := range []string{"", "/", "/v1", "/v1/", "/v1/chat/completions"} {
		f := newFakeModel(t, says("ok"))
		if got := hear(t, f.agent(t, func(o *emulator.ModelOptions) { o.URL += suffix }), "hi"); got.text() != "ok" {
			t.Errorf("%q: %v", suffix, got.err)
		}
	}
	for _, wrong := range []string{"", "localhost:1", "ftp://x", "http://", "http://u:p@x", "http://x?y", "http://a b"} {
		if _, err := emulator.ModelAgent(emulator.ModelOptions{URL: wrong}); err == nil || !strings.Contains(err.Error(), "http or https") {
			t.Errorf("%q: %v", wrong, err)
		}
	}
}

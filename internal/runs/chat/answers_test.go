package chat

import (
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"openclaw-mcp/client"
	"openclaw-mcp/internal/emulator/emulatortest"
	"openclaw-mcp/internal/runs"
)

// TestOddAnswers has answers to a message that are not a stream with a reply.
func TestOddAnswers(t *testing.T) {
	const failed = "event: error\ndata: {\"error\":\"overloaded\"}\n\n"
	const elsewhere = "data: {\"session_id\":\"x\",\"delta\":\"theirs\"}\n\nevent: done\ndata: {\"session_id\":\"x\"}\n\n"
	for name, tt := range map[string]struct {
		status            int
		contentType, body string
		works             bool // the agent gets the message all the same

		want runs.Status
		text string
		note string
		err  string
	}{
		"queued":                         {200, "application/json", `{"status":"queued","message":"Message queued"}`, true, runs.StatusCompleted, "Hi there", "", ""},
		"202":                            {202, "application/json", `{"message":"Message queued"}`, true, runs.StatusCompleted, "Hi there", "", ""},
		"202, empty":                     {202, "", "", true, runs.StatusCompleted, "Hi there", "", ""},
		"plain text":                     {200, "text/plain", "Hi there", false, runs.StatusCompleted, "Hi there", "", ""},
		"no reply":                       {200, "text/event-stream", "data: {\"delta\":\"NO\"}\n\ndata: {\"delta\":\"_REPLY\"}\n\ndata: [DONE]\n\n", false, runs.StatusCompleted, "", client.NoteSilent, ""},
		"a mark of the end":              {200, "text/event-stream", "event: done\ndata: ok\n\n", true, runs.StatusCompleted, "Hi there", "", ""},
		"a word for success":             {200, "application/json", `{"result":"ok"}`, true, runs.StatusCompleted, "Hi there", "", ""},
		"the message again":              {200, "application/json", `{"message":{"id":"q","content":"hello"},"session_id":"s"}`, true, runs.StatusCompleted, "Hi there", "", ""},
		"a mark, and no reply anywhere":  {200, "text/event-stream", "event: done\ndata: ok\n\n", false, runs.StatusCompleted, "ok", noteUnsure, ""},
		"a list of events":               {200, "application/json", `[{"type":"delta","text":"Hi "},{"type":"delta","text":"there"},{"type":"done"}]`, false, runs.StatusCompleted, "Hi there", "", ""},
		"a failure, tried again":         {200, "text/event-stream", failed + "data: {\"delta\":\"Hi there\"}\n\ndata: [DONE]\n\n", false, runs.StatusCompleted, "Hi there", "", ""},
		"a failure, tried again in vain": {200, "text/event-stream", failed + "event: status\ndata: {\"message\":\"retrying\"}\n\n" + failed, false, runs.StatusFailed, "", "", "overloaded"},
		"a failure, and nothing else":    {200, "text/event-stream; open", failed, false, runs.StatusFailed, "", "", "overloaded"},
		"another session comes first":    {200, "text/event-stream", elsewhere + "data: {\"session_id\":\"SESSION\",\"delta\":\"Hi there\"}\n\ndata: [DONE]\n\n", false, runs.StatusCompleted, "Hi there", "", ""},
		"another session's name is ours": {200, "text/event-stream; open", elsewhere, false, runs.StatusCompleted, "theirs", "", ""},
		"409, but queued":                {409, "application/json", `{"message":"Message queued: a run is active","queued":true}`, true, runs.StatusCompleted, "Hi there", "", ""},
		"503, lost behind a proxy":       {503, "application/json", `{"message":"upstream reset"}`, true, runs.StatusCompleted, "Hi there", "", ""},
		"403, but it is there":           {403, "application/json; first", `{"message":"forbidden"}`, true, runs.StatusCompleted, "Hi there", "", ""},
		"a refusal":                      {409, "application/json", `{"message":"a run is active"}`, false, runs.StatusFailed, "", "", "a run is active"},
		"a web page":                     {200, "text/html", "<title>Log in</title>", false, runs.StatusFailed, "", "", "Log in"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var working sync.WaitGroup
			session := ""
			w := startBehind(t, emulatortest.Options{Agent: script("Hi there")}, func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if !strings.HasSuffix(r.URL.Path, "/chat/stream") {
						next.ServeHTTP(w, r)
						return
					}
					body, _ := io.ReadAll(r.Body)
					if tt.works {
						later := r.Clone(t.Context())
						later.Body = io.NopCloser(strings.NewReader(string(body)))
						agent := func() { next.ServeHTTP(httptest.NewRecorder(), later) }
						if strings.HasSuffix(tt.contentType, "first") {
							agent()
						} else {
							working.Go(agent)
						}
					}
					w.Header().Set("Content-Type", tt.contentType)
					w.WriteHeader(tt.status)
					_, _ = io.WriteString(w, strings.ReplaceAll(tt.body, "SESSION", session))
					if strings.HasSuffix(tt.contentType, "open") {
						w.(http.Flusher).Flush()
						<-r.Context().Done()
					}
				})
			})
			session = w.session()
			r := w.send(Request{Session: session})
			u, err := r.Wait(t.Context(), runs.UntilDone, 0, &record{})
			working.Wait()
			if err != nil {
				t.Fatal(err)
			}
			if u.Status != tt.want || strings.TrimSpace(u.Text) != tt.text {
				t.Errorf("got %s, %q, %v; want %s, %q", u.Status, u.Text, u.Err, tt.want, tt.text)
			}
			if tt.note != "" && !slices.Contains(u.Notes, tt.note) {
				t.Errorf("notes %q, want %q", u.Notes, tt.note)
			}
			if tt.err != "" && (u.Err == nil || !strings.Contains(u.Err.Error(), tt.err)) {
				t.Errorf("error %v, want %q", u.Err, tt.err)
			}
		})
	}
}

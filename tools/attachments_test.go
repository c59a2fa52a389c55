package tools

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// What goes with a message is named, with what it is and where it can be had: beside the
// reply that brings it, and in the history.
func TestAttachmentsAreNamed(t *testing.T) {
	t.Parallel()
	b := newHandleBench(t)
	const message = `{"id":"m2","role":"assistant","content":[{"type":"text","text":"Here."},
		{"type":"attachment","attachment":{"label":"report.pdf","mimeType":"application/pdf","size":1200,"path":"/workspace/report.pdf"}},
		{"type":"image","mimeType":"image/png","omitted":true,"bytes":64}],"stopReason":"stop"}`
	b.between = func(w http.ResponseWriter, r *http.Request) bool {
		switch {
		case strings.HasSuffix(r.URL.Path, "/chat/messages"):
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, `{"messages":[{"id":"m1","role":"user","content":"a report, please"},`+message+`]}`)
		case strings.HasSuffix(r.URL.Path, "/chat/stream"):
			w.Header().Set("Content-Type", "text/event-stream")
			one := strings.ReplaceAll(message, "\n", "")
			_, _ = fmt.Fprintf(w, "data: {\"runId\":\"r1\",\"sessionKey\":\"s1\",\"seq\":1,\"state\":\"delta\",\"message\":{\"role\":\"assistant\",\"content\":[{\"type\":\"text\",\"text\":\"He\"}]}}\n\n")
			_, _ = fmt.Fprintf(w, "data: {\"runId\":\"r1\",\"sessionKey\":\"s1\",\"seq\":2,\"state\":\"final\",\"message\":%s}\n\n", one)
		default:
			return false
		}
		return true
	}
	history := b.say("read_chat_history", args{"session": "s1"}).text
	reply := b.say("send_chat_message", args{"session": "s1", "message": "a report, please"}).text
	for text, wants := range map[string][]string{
		history: {"Here.\nattachment: report.pdf, application/pdf, 1200 bytes; read_file {\"path\":\"/workspace/report.pdf\"}\n", "attachment: without a name, image/png, 64 bytes; the service does not say where it is"},
		reply:   {"Here.\n[status: completed", "attachment: report.pdf, application/pdf, 1200 bytes: /workspace/report.pdf", "attachment: without a name, image/png, 64 bytes"},
	} {
		for _, want := range wants {
			if !strings.Contains(text, want) {
				t.Errorf("there is no %q in:\n%s", want, text)
			}
		}
	}
}

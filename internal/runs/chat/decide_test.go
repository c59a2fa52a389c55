package chat

import (
	"strings"
	"testing"

	"openclaw-mcp/client"
	"openclaw-mcp/internal/runs"
)

// A reply that is a file alone, marked as ended, ends with the file's note: it must not
// keep the session's next message waiting.
func TestAttachmentAlone(t *testing.T) {
	row := client.Message{Role: client.RoleAssistant, Ended: true, Attachments: []client.Attachment{{Name: "a.png", Size: -1, Path: "/workspace/a.png"}}}
	s := standing{match: match{verdict: found, rows: []client.Message{row}}, still: defaultTiming.lag}
	e, over := s.decide(defaultTiming)
	if !over || e.status != runs.StatusCompleted || e.text != "" || !strings.Contains(strings.Join(e.notes, "\n"), "/workspace/a.png") {
		t.Errorf("got %+v, over: %t", e, over)
	}
	s.rows[0].Ended = false
	if e, over := s.decide(defaultTiming); over {
		t.Errorf("without a mark, it ended: %+v", e)
	}
}

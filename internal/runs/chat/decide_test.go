package chat

import (
	"strings"
	"testing"
	"time"

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

// The older a reply is by the service's times, the less its history is watched for more.
func TestOldReply(t *testing.T) {
	for age, need := range map[time.Duration]time.Duration{
		0: defaultTiming.settle, 5 * time.Minute: defaultTiming.glance, time.Hour: defaultTiming.brief,
	} {
		row := client.Message{Role: client.RoleAssistant, Text: "Done."}
		s := standing{match: match{verdict: found, rows: []client.Message{row}}, text: row.Text, age: age}
		for _, still := range []time.Duration{need - 1, need} {
			s.still = still
			if _, over := s.decide(defaultTiming); over != (still == need) {
				t.Errorf("%s old, still for %s: over: %t", age, still, over)
			}
		}
	}
}

// A reply whose place for an end is empty stands for longer until it counts as complete.
func TestOpenReply(t *testing.T) {
	row := client.Message{Role: client.RoleAssistant, Text: "Done.", Open: true}
	s := standing{match: match{verdict: found, rows: []client.Message{row}}, text: row.Text, still: defaultTiming.settle}
	if e, over := s.decide(defaultTiming); over {
		t.Errorf("it ended: %+v", e)
	}
	s.still = defaultTiming.unclear
	if e, over := s.decide(defaultTiming); !over || e.status != runs.StatusCompleted || !strings.Contains(strings.Join(e.notes, "\n"), "its place for an end is empty") {
		t.Errorf("got %+v, over: %t", e, over)
	}
}

// What a stream without an end brought is not the whole reply where the history has what
// may be more of it.
func TestCutStreamBesideOthers(t *testing.T) {
	const why = "another message of the session was not answered yet"
	s := standing{follow: follow{accepted: true, ended: true}, match: match{verdict: unclear, why: why}, shown: "The", reached: defaultTiming.settle + 1}
	if e, over := s.decide(defaultTiming); over {
		t.Errorf("it ended: %+v", e)
	}
	s.reached = defaultTiming.unclear + 1
	if e, over := s.decide(defaultTiming); !over || e.status != runs.StatusFailed || !strings.Contains(e.err.Error(), why) {
		t.Errorf("got %+v, over: %t", e, over)
	}
}

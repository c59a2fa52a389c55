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

// Where the history has less of the reply than the stream has shown, that is the reply, and
// it is said that it may be incomplete.
func TestShortenedReply(t *testing.T) {
	const less, beginning = "less of the reply", "only the beginning"
	long := strings.Repeat("a line of the report\n", 500)
	cut := client.Message{Role: client.RoleAssistant, Ended: true, Shortened: true, Cut: client.NoteShortened}
	for name, tt := range map[string]struct {
		row           client.Message
		stored, shown string
		status        runs.Status
		want, said    string
	}{
		"the stream has more":         {cut, long[:8000], long[:9000], runs.StatusCompleted, long[:9000], less},
		"and tags":                    {cut, long[:8000], "[[reply_to_current]] " + long[:9000], runs.StatusCompleted, "[[reply_to_current]] " + long[:9000], less},
		"the stream has less":         {cut, long[:8000], long[:100], runs.StatusCompleted, long[:8000], beginning},
		"the stream has nothing":      {cut, long[:8000], "", runs.StatusCompleted, long[:8000], beginning},
		"left out":                    {cut, "", long[:100], runs.StatusCompleted, long[:100], less},
		"left out, and nothing shown": {cut, "", "", runs.StatusFailed, "", "leaves the text of the reply out"},
		"a preview":                   {client.Message{Role: client.RoleAssistant}, "It is…", "It is green.", runs.StatusCompleted, "It is green.", less},
		"three dots":                  {client.Message{Role: client.RoleAssistant}, "It is...", "It is green.", runs.StatusCompleted, "It is green.", less},
		"dots of the agent's":         {client.Message{Role: client.RoleAssistant}, "Hmm...", "Hmm..", runs.StatusCompleted, "Hmm...", "no end of the reply"},
	} {
		tt.row.Text = tt.stored
		s := standing{follow: follow{ended: true}, match: match{verdict: found, rows: []client.Message{tt.row}}, text: tt.stored, shown: tt.shown, still: defaultTiming.settle}
		e, over := s.decide(defaultTiming)
		said := strings.Join(e.notes, "\n")
		if e.err != nil {
			said += e.err.Error()
		}
		if !over || e.status != tt.status || e.text != tt.want || !strings.Contains(said, tt.said) {
			t.Errorf("%s: got %s %.40q, %q, over: %t", name, e.status, e.text, said, over)
		}
	}
}

// A stream may end without a text before the history has any: it is waited for.
func TestEndWithoutText(t *testing.T) {
	const soon, late = 8 * time.Second, time.Minute + 1
	question := match{verdict: found}
	answered := match{verdict: found, rows: []client.Message{{Role: client.RoleAssistant}}}
	marked := match{verdict: found, rows: []client.Message{{Role: client.RoleAssistant, Ended: true}}}
	for name, tt := range map[string]struct {
		match
		reached time.Duration
		status  runs.Status // "" is none yet
		said    string
	}{
		"the question alone":            {question, soon, "", ""},
		"the question alone, for long":  {question, late, runs.StatusCompleted, "or the reply is incomplete"},
		"a message without a text":      {answered, soon, "", ""},
		"for long":                      {answered, late, runs.StatusCompleted, "the reply has no text"},
		"a message without a text ends": {marked, soon, runs.StatusCompleted, "the reply has no text"},
		"not there":                     {match{verdict: notThere}, soon, "", ""},
		"not there for long":            {match{verdict: notThere}, late, runs.StatusCompleted, "the reply has no text"},
		"unclear":                       {match{verdict: unclear, why: "several"}, soon, "", ""},
		"unclear for long":              {match{verdict: unclear, why: "several"}, late, runs.StatusFailed, "several"},
	} {
		s := standing{follow: follow{accepted: true, ended: true, final: true}, match: tt.match, reached: tt.reached, still: tt.reached, quiet: tt.reached}
		e, over := s.decide(defaultTiming)
		said := strings.Join(e.notes, "\n")
		if e.err != nil {
			said += e.err.Error()
		}
		if over != (tt.status != "") || e.status != tt.status || e.text != "" || !strings.Contains(said, tt.said) {
			t.Errorf("%s: got %s, %q, over: %t", name, e.status, said, over)
		}
	}
}

// What the service said instead of a reply is one where the history shows that the agent said
// it, and is given as what it is where the history shows nothing.
func TestUnsureReply(t *testing.T) {
	const said = "All is well."
	row := func(text string) match {
		return match{verdict: found, rows: []client.Message{{Role: client.RoleAssistant, Text: text}}}
	}
	for name, tt := range map[string]struct {
		match
		text    string
		reached time.Duration
		over    bool
		note    string
	}{
		"the agent said it":         {row(said), said, defaultTiming.brief, true, ""},
		"it said something else":    {row("Half of it"), "Half of it", defaultTiming.brief, false, ""},
		"and no more":               {row("Half of it"), "Half of it", defaultTiming.settle, true, "stood unchanged"},
		"nothing is there yet":      {match{verdict: notThere}, "", defaultTiming.lag + 1, false, ""},
		"nothing is there for long": {match{verdict: notThere}, said, defaultTiming.unclear + 1, true, noteUnsure},
	} {
		s := standing{follow: follow{accepted: true, ended: true}, match: tt.match, unsure: said, still: tt.reached, reached: tt.reached}
		if tt.verdict == found {
			s.text = tt.text
		}
		e, over := s.decide(defaultTiming)
		if over != tt.over || over && (e.status != runs.StatusCompleted || e.text != tt.text || tt.note == "" && len(e.notes) > 0 || !strings.Contains(strings.Join(e.notes, "\n"), tt.note)) {
			t.Errorf("%s: got %+v, over: %t", name, e, over)
		}
	}
}

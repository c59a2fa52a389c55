package terminals

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/charmbracelet/x/ansi"

	"openclaw-mcp/internal/pattern"
)

// maxMatched is how much of the newest output a pattern is looked for in.
const maxMatched = 64 << 10

// matchPause is the least time between two looks for a pattern.
const matchPause = 20 * time.Millisecond

// matcher looks for a pattern: in output that is new, and on the screen.
type matcher struct {
	pattern *regexp.Regexp
	since   int64  // offset in the output
	echo    string // typed text; its echo does not count as output
	count   uint64 // of changes when the waiting began
	line    int64  // where the cursor was then
	before  bool   // the screen matched already
	any     bool   // the screen counts as it is
}

func newMatcher(w Wait) (*matcher, error) {
	if w.Pattern == "" {
		return &matcher{}, nil
	}
	p, err := pattern.Compile("(?m)", w.Pattern) // its error has nothing that the caller did not write
	if err != nil {
		return nil, &InputError{fmt.Errorf("the pattern to wait for: %w", err)}
	}
	return &matcher{pattern: p.Regexp}, nil
}

// begin notes how things are before something is typed. It holds t.mu.
func (m *matcher) begin(t *terminal, text string) {
	m.since, m.count, m.line = t.log.end(), t.count, t.screen.line()
	m.echo = strings.TrimRight(text, "\r\n")
	m.before = m.pattern != nil && m.pattern.MatchString(t.screen.text())
}

// matches holds t.mu.
func (m *matcher) matches(t *terminal) bool {
	if m.pattern == nil {
		return false
	}
	if m.any {
		return m.pattern.MatchString(m.news(t)) || m.pattern.MatchString(t.screen.text())
	}
	if t.count == m.count {
		return false
	}
	if t.screen.fullScreen() {
		return m.pattern.MatchString(t.screen.text())
	}
	if m.pattern.MatchString(m.news(t)) {
		return true
	}
	// What is drawn at positions on the main screen is not in the output as text. But
	// the echo of what was typed is on the screen as well.
	return !m.before && (m.echo == "" || !m.pattern.MatchString(m.echo)) && m.pattern.MatchString(t.screen.text())
}

// news is the new output as text.
func (m *matcher) news(t *terminal) string {
	raw, _, _ := t.log.since(max(m.since, t.log.end()-maxMatched), 0)
	text := strings.ReplaceAll(ansi.Strip(raw), "\r", "")
	if m.echo != "" {
		if i := strings.Index(text, m.echo); i >= 0 {
			text = text[i+len(m.echo):]
		}
	}
	return text
}

// wait waits, and says what for in the end it was. Its error is that of ctx.
func (t *terminal) wait(ctx context.Context, w Wait, m *matcher) (string, error) {
	if w.For <= 0 {
		return "", nil
	}
	begin := time.Now()
	end := time.NewTimer(w.For)
	defer end.Stop()
	shown := m.count
	for {
		t.mu.Lock()
		var reason string
		since := begin
		if t.printed.After(since) {
			since = t.printed
		}
		switch {
		case m.matches(t):
			reason = EndPattern
		case t.status != StatusOpen:
			reason = EndShell
		case w.Quiet > 0 && time.Since(since) >= w.Quiet:
			reason = EndQuiet
		}
		changed, current := t.change(), ""
		if t.count != shown {
			shown, current = t.count, t.screen.current()
		}
		t.mu.Unlock()
		if w.Show != nil && current != "" {
			w.Show(current)
		}
		if reason != "" {
			return reason, nil
		}
		next := w.For // in vain: end comes first
		if w.Quiet > 0 {
			next = w.Quiet - time.Since(since)
		}
		if over, err := sleep(ctx, next, changed, end.C); over || err != nil {
			return EndTime, err
		}
	}
}

// sleep waits for a change or for d. It is true when end comes first.
func sleep(ctx context.Context, d time.Duration, changed <-chan struct{}, end <-chan time.Time) (over bool, err error) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-changed:
		timer.Reset(matchPause) // a flood is not looked at line by line
	case <-timer.C:
		return false, nil
	case <-end:
		return true, nil
	case <-ctx.Done():
		return false, ctx.Err()
	}
	select {
	case <-timer.C:
		return false, nil
	case <-end:
		return true, nil
	case <-ctx.Done():
		return false, ctx.Err()
	}
}

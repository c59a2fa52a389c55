package chat

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"openclaw-mcp/client"
	"openclaw-mcp/internal/emulator"
	"openclaw-mcp/internal/emulator/emulatortest"
	"openclaw-mcp/internal/runs"
	"openclaw-mcp/internal/runs/runstest"
)

var families = []emulatortest.Family{
	emulatortest.FamilyA, emulatortest.FamilyB, emulatortest.FamilyC, emulatortest.FamilyD, emulatortest.FamilyE,
	emulatortest.FamilyEWrapped, emulatortest.FamilyF, emulatortest.FamilyG, emulatortest.FamilyNDJSON, emulatortest.FamilyJSON,
}

var words = []string{"Hel", "lo wörld 👋\n", "  and", " all", "\n\nthe end."}

// raw gives the bytes of a whole stream, and how many events they are.
func (w *world) raw() (body []byte, events int) {
	w.Helper()
	req, _ := http.NewRequest("POST", w.Web.URL+"/api/instances/"+w.ID+"/chat/stream",
		strings.NewReader(`{"message":"hello","session_id":"`+w.session()+`"}`))
	req.Header.Set("Authorization", "Bearer "+testKey)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		w.Fatal(err)
	}
	defer resp.Body.Close()
	if body, err = io.ReadAll(resp.Body); err != nil {
		w.Fatal(err)
	}
	switch resp.Header.Get("Content-Type") {
	case "text/event-stream":
		return body, bytes.Count(body, []byte("\n\n"))
	case "application/x-ndjson":
		return body, bytes.Count(body, []byte("\n"))
	}
	return body, 1
}

// throughAll sends a message, in a session of its own, through each of the
// faults, and gives each result to check.
func (w *world) throughAll(faults []emulatortest.Fault, check func(t *testing.T, session string, u *runs.Update, p *record)) {
	w.Helper()
	for i := range faults {
		faults[i].Endpoint, faults[i].Call = streamEndpoint, i+1
	}
	w.Srv.SetFaults(faults...)
	before := w.Srv.Calls(streamEndpoint)
	var wg sync.WaitGroup
	slots := make(chan struct{}, 48)
	for range faults {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			s, err := w.Client.Chat.CreateSession(w.Context(), w.ID, "")
			if err != nil {
				w.Error(err)
				return
			}
			r, _, err := w.m.chat.Send(w.Context(), Request{Instance: w.ID, Session: s.ID, Message: "hello"})
			if err != nil {
				w.Error(err)
				return
			}
			ctx, cancel := context.WithTimeout(w.Context(), 2*time.Minute)
			defer cancel()
			p := &record{}
			u, err := r.Wait(ctx, runs.UntilDone, 0, p)
			if err != nil {
				w.Error(err)
			}
			check(w.T, s.ID, u, p)
		})
	}
	wg.Wait()
	if got := w.Srv.Calls(streamEndpoint) - before; got != len(faults) {
		w.Errorf("got %d posts for %d messages", got, len(faults))
	}
	w.Srv.SetFaults()
}

// whole checks that a reply is complete, once.
func (w *world) whole(want string) func(*testing.T, string, *runs.Update, *record) {
	return func(t *testing.T, session string, u *runs.Update, p *record) {
		t.Helper()
		if u.Status != runs.StatusCompleted || u.Text != want || u.Err != nil || u.Revised || u.More || u.Session != session {
			t.Errorf("got %s %q, error %v, notes %q; want %q", u.Status, runs.Clip(u.Text), u.Err, u.Notes, runs.Clip(want))
		}
		if got := p.Joined(); got != want {
			t.Errorf("progress was %q, want %q", runs.Clip(got), runs.Clip(want))
		}
		if n := w.users(session); n != 1 {
			t.Errorf("the message was sent %d times", n)
		}
	}
}

// TestFamilies breaks the streams of all families in all places between events.
func TestFamilies(t *testing.T) {
	t.Parallel()
	for _, family := range families {
		t.Run(string(family), func(t *testing.T) {
			t.Parallel()
			w := start(t, emulatortest.Options{Family: family, Agent: script(words...)})
			body, events := w.raw()
			faults := []emulatortest.Fault{
				{}, // none
				{CutEvents: emulatortest.AtStart}, {CutEvents: emulatortest.AtStart, CleanCut: true},
				{After: true, Drop: true},
				{After: true, Status: 502, Body: "<html><title>502 Bad Gateway</title></html>", Header: http.Header{"Content-Type": {"text/html"}}},
				{After: true, Status: 504, Body: "<html><title>504</title></html>", Header: http.Header{"Content-Type": {"text/html"}}},
				{After: true, Status: 524},
				{CutBytes: len(body) / 3}, {CutBytes: len(body) / 2, CleanCut: true}, // within an event
			}
			for k := 1; k <= events; k++ {
				faults = append(faults, emulatortest.Fault{CutEvents: k}, emulatortest.Fault{CutEvents: k, CleanCut: true})
			}
			w.throughAll(faults, w.whole(strings.Join(words, "")))
			if n := w.Srv.OpenStreams(); n != 0 {
				t.Errorf("%d streams were left open", n)
			}
		})
	}
}

// TestEveryByte breaks short streams behind each of their bytes, or, in the quick
// suite, behind some.
func TestEveryByte(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		family emulatortest.Family
		clean  bool
	}{{emulatortest.FamilyD, false}, {emulatortest.FamilyD, true}, {emulatortest.FamilyE, false}, {emulatortest.FamilyNDJSON, true}} {
		t.Run(fmt.Sprintf("%s/%t", tt.family, tt.clean), func(t *testing.T) {
			t.Parallel()
			w := start(t, emulatortest.Options{Family: tt.family, Agent: script("Ab", "ç👋")})
			body, _ := w.raw()
			var faults []emulatortest.Fault
			step := 1
			if !runstest.Thorough {
				step = 11
			}
			for n := 1; n < len(body); n += step {
				faults = append(faults, emulatortest.Fault{CutBytes: n, CleanCut: tt.clean})
			}
			w.throughAll(faults, w.whole("Abç👋"))
			t.Logf("%d cuts", len(faults))
		})
	}
}

// TestStalls has streams of all families go silent for good; the reply is in
// the history.
func TestStalls(t *testing.T) {
	t.Parallel()
	for _, family := range families {
		t.Run(string(family), func(t *testing.T) {
			t.Parallel()
			w := start(t, emulatortest.Options{Family: family, Agent: script(words...)})
			w.m.Config.StallAfter = 250 * time.Millisecond
			_, events := w.raw()
			faults := []emulatortest.Fault{{StallEvents: emulatortest.AtStart}}
			for k := 1; k < events; k++ {
				faults = append(faults, emulatortest.Fault{StallEvents: k})
			}
			want := strings.Join(words, "")
			w.throughAll(faults, func(t *testing.T, session string, u *runs.Update, p *record) {
				if u.Status == runs.StatusStalled { // seen before the stream was given up
					r, err := w.m.Open(u.Handle)
					if err != nil {
						t.Error(err)
						return
					}
					var head strings.Builder
					head.WriteString(u.Text)
					u, _ = r.Wait(t.Context(), runs.UntilDone, 0, nil)
					for u.Status == runs.StatusStalled {
						head.WriteString(u.Text)
						r, _ = w.m.Open(u.Handle)
						u, _ = r.Wait(t.Context(), runs.UntilDone, 0, nil)
					}
					u.Text = head.String() + u.Text
					p = &record{}
					p.Text(u.Text)
				}
				w.whole(want)(t, session, u, p)
			})
			eventually(t, "the dead streams to be closed", func() bool { return w.Srv.OpenStreams() == 0 })
		})
	}
}

// TestAgentErrors has the agent fail in the middle, with and without the stream
// to tell of it.
func TestAgentErrors(t *testing.T) {
	t.Parallel()
	for _, family := range families {
		t.Run(string(family), func(t *testing.T) {
			t.Parallel()
			w := start(t, emulatortest.Options{Family: family, Agent: emulator.AgentFunc(
				func(_ context.Context, _ emulator.Turn, emit func(emulator.AgentEvent) error) error {
					_ = emit(emulator.AgentEvent{Kind: emulator.Text, Text: "so far"})
					return errors.New("model overloaded")
				})})
			_, events := w.raw()
			faults := []emulatortest.Fault{{}, {After: true, Drop: true}}
			for k := 1; k < events; k++ {
				faults = append(faults, emulatortest.Fault{CutEvents: k}, emulatortest.Fault{CutEvents: k, CleanCut: true})
			}
			w.throughAll(faults, func(t *testing.T, session string, u *runs.Update, p *record) {
				if family == emulatortest.FamilyA && strings.HasSuffix(u.Text, "Error: model overloaded") {
					return // this family has no errors, only texts like that
				}
				if u.Status != runs.StatusFailed || u.Err == nil || u.Text != "so far" && !(family == emulatortest.FamilyJSON && u.Text == "") {
					t.Errorf("got %s %q %v", u.Status, u.Text, u.Err)
				}
				if u.Err != nil && !strings.Contains(u.Err.Error(), "model overloaded") && !strings.Contains(u.Err.Error(), "exit") {
					t.Errorf("the error hides the agent's: %v", u.Err)
				}
				if n := w.users(session); n != 1 {
					t.Errorf("the message was sent %d times", n)
				}
			})
		})
	}
}

// TestRefused has the service refuse the message before any work.
func TestRefused(t *testing.T) {
	t.Parallel()
	for _, family := range families {
		w := start(t, emulatortest.Options{Family: family, Agent: script(words...)})
		w.throughAll([]emulatortest.Fault{
			{Status: 503, Body: `{"error":"unavailable","message":"asleep"}`, Header: http.Header{"Content-Type": {"application/json"}}},
			{Status: 429, Body: `{"message":"slow down"}`, Header: http.Header{"Content-Type": {"application/json"}}},
			{Status: 409, Body: `{"message":"not ready"}`, Header: http.Header{"Content-Type": {"application/json"}}},
		}, func(t *testing.T, session string, u *runs.Update, p *record) {
			if u.Status != runs.StatusFailed || outcome(u.Err) != client.OutcomeRejected || w.users(session) != 0 {
				t.Errorf("got %s %v, %d messages", u.Status, u.Err, w.users(session))
			}
		})
	}
}

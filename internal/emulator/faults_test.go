package emulator_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"openclaw-mcp/internal/emulator"
	"openclaw-mcp/internal/emulator/emulatortest"
)

const streamEndpoint = "POST /instances/{instance}/chat/stream"

func threeWords() emulator.Agent { return script(text("one "), text("two "), text("three")) }

// raw reads an answer as far as it comes.
func (f *fixture) raw(method, path, body string) (string, error) {
	f.Helper()
	resp, err := f.request(f.Context(), method, path, body)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	all, err := io.ReadAll(resp.Body)
	return string(all), err
}

func TestFaultStatus(t *testing.T) {
	f := start(t, emulatortest.Options{Agent: threeWords()})
	chat := "POST /instances/{instance}/chat"
	html := "<html><title>504 Gateway Time-out</title></html>"
	header := http.Header{"Content-Type": {"text/html"}, "retry-after": {"3"}}
	f.srv.SetFaults(
		emulatortest.Fault{Endpoint: chat, Call: 2, Status: 504, Body: html, Header: header},
		emulatortest.Fault{Endpoint: chat, Call: 3, Status: 502, After: true},
		emulatortest.Fault{Endpoint: "GET /instances", Status: 429},
	)
	f.want(200, "POST", f.in("/chat"), `{"message":"x"}`)
	a := f.do("POST", f.in("/chat"), `{"message":"x"}`)
	if a.status != 504 || a.body != html || a.header.Get("Content-Type") != "text/html" || a.header.Get("Retry-After") != "3" {
		t.Errorf("%+v", a)
	}
	messages := func() int { return len(f.want(200, "GET", f.in("/chat/messages"), "").([]any)) }
	if n := messages(); n != 2 {
		t.Errorf("%d messages after a refused call", n)
	}
	if a := f.do("POST", f.in("/chat"), `{"message":"x"}`); a.status != 502 {
		t.Errorf("%+v", a)
	}
	if n := messages(); n != 4 {
		t.Errorf("%d messages after a call that was done first", n)
	}
	f.srv.SetFaults(emulatortest.Fault{Endpoint: streamEndpoint, Status: 524, After: true}, emulatortest.Fault{Endpoint: "GET /instances", Status: 429})
	if a := f.do("POST", f.in("/chat/stream"), `{"message":"x"}`); a.status != 524 {
		t.Errorf("%+v", a)
	}
	if n := messages(); n != 6 {
		t.Errorf("%d messages after a stream that was done first", n)
	}
	for range 2 {
		if a := f.do("GET", "/instances", ""); a.status != 429 {
			t.Errorf("%+v", a)
		}
	}
	f.srv.SetFaults()
	f.want(200, "GET", "/instances", "")
	if n := f.srv.Calls(chat); n != 3 {
		t.Errorf("%d calls", n)
	}
}

func TestFaultDrop(t *testing.T) {
	f := start(t, emulatortest.Options{Agent: threeWords()})
	session := get(t, f.want(201, "POST", f.in("/chat/sessions"), ""), "id").(string)
	for _, after := range []bool{false, true} {
		f.srv.SetFaults(emulatortest.Fault{Drop: true, After: after})
		if got, err := f.raw("POST", f.in("/chat"), `{"message":"x"}`); err == nil {
			t.Errorf("answer %q", got)
		}
		if n := len(f.srv.Messages(f.id, session)); (n == 2) != after {
			t.Errorf("after %v: %d messages", after, n)
		}
	}
}

func TestFaultCuts(t *testing.T) {
	f := start(t, emulatortest.Options{Agent: threeWords()})
	session := get(t, f.want(201, "POST", f.in("/chat/sessions"), ""), "id").(string)
	whole := f.do("POST", f.in("/chat/stream"), `{"message":"x"}`).body
	firstTwo := whole[:strings.Index(whole, "two")]
	firstTwo = firstTwo[:strings.LastIndex(firstTwo, "event:")]
	tests := []struct {
		fault emulatortest.Fault
		want  string
	}{
		{emulatortest.Fault{CutBytes: 30}, whole[:30]},
		{emulatortest.Fault{CutBytes: emulatortest.AtStart}, ""},
		{emulatortest.Fault{CutEvents: 2}, firstTwo},
		{emulatortest.Fault{CutEvents: emulatortest.AtStart}, ""},
	}
	for i, test := range tests {
		for _, clean := range []bool{false, true} {
			test.fault.Endpoint, test.fault.CleanCut = streamEndpoint, clean
			f.srv.SetFaults(test.fault)
			got, err := f.raw("POST", f.in("/chat/stream"), `{"message":"x"}`)
			if got != test.want {
				t.Errorf("%d clean %v: %q, want %q", i, clean, got, test.want)
			}
			if clean != (err == nil) {
				t.Errorf("%d clean %v: error %v", i, clean, err)
			}
		}
	}
	// None of it stopped a reply.
	eventually(t, "all replies", func() bool { return len(f.srv.Messages(f.id, session)) == 18 })
	for _, m := range f.srv.Messages(f.id, session) {
		if m.Role == "assistant" && m.Text != "one two three" {
			t.Errorf("%+v", m)
		}
	}
	// JSON answers can be cut too.
	f.srv.SetFaults(emulatortest.Fault{CutBytes: 5})
	if got, err := f.raw("GET", f.in(""), ""); len(got) != 5 || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("%q %v", got, err)
	}
}

func TestFaultStall(t *testing.T) {
	release := make(chan struct{})
	f := start(t, emulatortest.Options{Agent: threeWords()})
	session := get(t, f.want(201, "POST", f.in("/chat/sessions"), ""), "id").(string)
	f.srv.SetFaults(emulatortest.Fault{Endpoint: streamEndpoint, StallEvents: 2, Release: release})
	st := f.stream("POST", f.in("/chat/stream"), `{"message":"x"}`)
	for range 2 {
		st.next()
	}
	eventually(t, "the reply behind the stall", func() bool { return len(f.srv.Messages(f.id, session)) == 2 })
	if n := f.srv.OpenStreams(); n != 1 {
		t.Errorf("%d streams are open", n)
	}
	close(release)
	if rest := st.all(); len(rest) != 3 || rest[2].name != "done" {
		t.Errorf("after the stall: %+v", rest)
	}

	// A stall ends with the client.
	f.srv.SetFaults(emulatortest.Fault{Endpoint: streamEndpoint, StallBytes: emulatortest.AtStart})
	ctx, cancel := context.WithCancel(t.Context())
	resp, err := f.request(ctx, "POST", f.in("/chat/stream"), `{"message":"x"}`)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	cancel()
	eventually(t, "no open stream", func() bool { return f.srv.OpenStreams() == 0 })

	// And with the server.
	st = f.stream("POST", f.in("/chat/stream"), `{"message":"x"}`)
	f.srv.Close()
	if rest := st.all(); len(rest) != 0 {
		t.Errorf("%+v", rest)
	}
}

func TestFaultGarbageAndHeader(t *testing.T) {
	f := start(t, emulatortest.Options{Agent: threeWords()})
	f.srv.SetFaults(emulatortest.Fault{Endpoint: streamEndpoint, Garbage: "data: {broken\n\n", GarbageAt: 2,
		Header: http.Header{"Content-Type": {"text/event-stream; charset=utf-8"}}})
	a := f.do("POST", f.in("/chat/stream"), `{"message":"x"}`)
	parts := strings.Split(a.body, "\n\n")
	if len(parts) < 3 || parts[1] != "data: {broken" || !strings.Contains(parts[2], "one") {
		t.Errorf("%q", a.body)
	}
	if got := a.header.Get("Content-Type"); !strings.HasSuffix(got, "charset=utf-8") {
		t.Error(got)
	}
}

func TestFaultDelay(t *testing.T) {
	release := make(chan struct{})
	f := start(t, emulatortest.Options{Faults: []emulatortest.Fault{
		{Call: 1, Delay: 30 * time.Millisecond},
		{Call: 2, Delay: time.Hour},
		{Call: 3, Release: release},
	}})
	begin := time.Now()
	f.want(200, "GET", "/", "")
	if d := time.Since(begin); d < 30*time.Millisecond {
		t.Error("no delay:", d)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := f.request(ctx, "GET", "/", ""); err == nil {
		t.Error("the delay of an hour was none")
	}
	time.AfterFunc(20*time.Millisecond, func() { close(release) })
	f.want(200, "GET", "/", "")
}

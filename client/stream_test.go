package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"github.com/tmaxmax/go-sse"
)

const streamDir = "../testdata/streams"

func contentTypeOf(file string) string {
	switch filepath.Ext(file) {
	case ".json":
		return "application/json; charset=utf-8"
	case ".ndjson":
		return "application/x-ndjson"
	}
	return "text/event-stream"
}

func readFixture(t testing.TB, file string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(streamDir, file))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// collected is a stream as its consumers see it.
type collected struct {
	events []Event
	err    error
	acc    Accumulator
	shown  string // what one has who only adds and replaces text
}

func collect(t testing.TB, r io.Reader, contentType string, limit int) *collected {
	t.Helper()
	return collectFrom(t, decodeStream(r, contentType, limit))
}

func collectFrom(t testing.TB, events iter.Seq2[Event, error]) *collected {
	t.Helper()
	return collectAll(t, events, false)
}

// collectAll reads streams that may go on behind a failure, too.
func collectAll(t testing.TB, events iter.Seq2[Event, error], lingers bool) *collected {
	t.Helper()
	c := &collected{}
	var shown strings.Builder
	defer func() { c.shown = shown.String() }()
	ended := false
	for ev, err := range events {
		if c.err != nil {
			t.Fatalf("the stream goes on behind its error %v", c.err)
		}
		switch {
		case lingers && ev.Kind == EventGoesOn:
			ended = false
		case lingers && ended && (ev.Kind == EventHeartbeat || ev.Kind == EventUnknown):
			continue
		case ended:
			t.Fatalf("the stream goes on behind its end with %+v, %v", ev, err)
		}
		if err != nil {
			c.err = err
			continue
		}
		c.events = append(c.events, ev)
		c.acc.Add(ev)
		switch ev.Kind {
		case EventText:
			if ev.Replace {
				shown.Reset()
			}
			shown.WriteString(ev.Text)
		case EventFinal, EventError, EventAccepted:
			ended = true
		}
	}
	return c
}

func (c *collected) final() bool {
	return slices.ContainsFunc(c.events, func(ev Event) bool { return ev.Kind == EventFinal })
}

func formatTools(calls []ToolCall) string {
	var all []string
	for _, c := range calls {
		s := fmt.Sprintf("%s %s %s %q", c.ID, c.Name, c.Arguments, c.Result)
		if c.IsError {
			s += " failed"
		}
		all = append(all, s)
	}
	return strings.Join(all, "; ")
}

func TestDecodeStreamFixtures(t *testing.T) {
	for _, f := range streamFixtures {
		t.Run(f.file, func(t *testing.T) {
			c := collect(t, bytes.NewReader(readFixture(t, f.file)), contentTypeOf(f.file), 0)
			if c.err != nil {
				t.Fatal(c.err)
			}
			reply := c.acc.Reply()
			if reply.Text != f.text {
				t.Errorf("text: got %q, want %q", reply.Text, f.text)
			}
			if filepath.Ext(f.file) != ".json" && c.shown != f.text {
				t.Errorf("shown text: got %q, want %q", c.shown, f.text)
			}
			if got := formatTools(reply.ToolCalls); got != f.tools {
				t.Errorf("tools: got %s, want %s", got, f.tools)
			}
			if c.final() != f.final || c.acc.Done() != (f.final || f.err != "") {
				t.Errorf("final: got %v, want %v", c.final(), f.final)
			}
			gotErr := ""
			if e := c.acc.Err(); e != nil {
				gotErr = e.Code + ": " + e.Message
			}
			if gotErr != f.err {
				t.Errorf("error: got %q, want %q", gotErr, f.err)
			}
			if ids := reply.SessionID + " " + reply.MessageID + " " + reply.RunID; f.ids != "" && ids != f.ids {
				t.Errorf("ids: got %q, want %q", ids, f.ids)
			}
		})
	}
	files, err := os.ReadDir(streamDir)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if !slices.ContainsFunc(streamFixtures, func(f streamFixture) bool { return f.file == file.Name() }) {
			t.Errorf("no test reads %s", file.Name())
		}
	}
}

// cuts gives the body of a stream in as many ways as a network may.
func cuts(body []byte) map[string]io.Reader {
	return map[string]io.Reader{
		"one byte":   iotest.OneByteReader(bytes.NewReader(body)),
		"half":       iotest.HalfReader(bytes.NewReader(body)),
		"data error": iotest.DataErrReader(bytes.NewReader(body)),
		"random":     &randomReader{body: body, rand: rand.New(rand.NewPCG(1, uint64(len(body))))},
	}
}

type randomReader struct {
	body []byte
	rand *rand.Rand
}

func (r *randomReader) Read(p []byte) (int, error) {
	n := copy(p, r.body[:min(len(r.body), r.rand.IntN(9))])
	r.body = r.body[n:]
	if n == 0 && len(r.body) == 0 {
		return 0, io.EOF
	}
	return n, nil
}

func TestDecodeStreamCuts(t *testing.T) {
	for _, f := range streamFixtures {
		body := readFixture(t, f.file)
		want := collect(t, bytes.NewReader(body), contentTypeOf(f.file), 0)
		for name, r := range cuts(body) {
			got := collect(t, r, contentTypeOf(f.file), 0)
			if d := cmp.Diff(want.events, got.events); d != "" {
				t.Errorf("%s, %s: %s", f.file, name, d)
			}
		}
	}
}

// A stream may end anywhere. What was shown by then is the head of the reply,
// and only the whole end marker makes it a finished one.
func TestDecodeStreamTruncated(t *testing.T) {
	replaced := []string{"e-gateway.sse", "f-resync.sse"}
	for _, f := range streamFixtures {
		body := readFixture(t, f.file)
		whole := collect(t, bytes.NewReader(body), contentTypeOf(f.file), 0)
		ended := false
		for n := range len(body) {
			c := collect(t, bytes.NewReader(body[:n]), contentTypeOf(f.file), 0)
			if c.err != nil && filepath.Ext(f.file) != ".json" {
				t.Fatalf("%s to %d: %v", f.file, n, c.err)
			}
			if !strings.HasPrefix(f.text, c.shown) && !slices.Contains(replaced, f.file) {
				t.Errorf("%s to %d: shows %q, which is no head of %q", f.file, n, c.shown, f.text)
			}
			if ended && !c.final() {
				t.Errorf("%s to %d: the end was seen before and is not any more", f.file, n)
			}
			ended = c.final()
			if !c.final() {
				continue
			}
			if d := cmp.Diff(whole.events, c.events); d != "" {
				t.Errorf("%s to %d: ends otherwise than the whole: %s", f.file, n, d)
			}
		}
	}
}

func TestDecodeStreamStopsReading(t *testing.T) {
	t.Run("at the end marker", func(t *testing.T) {
		r, w := io.Pipe() // stays open
		go func() { _, _ = io.WriteString(w, "data: {\"delta\":\"Hi\"}\n\ndata: [DONE]\n\n") }()
		if c := collect(t, r, "text/event-stream", 0); c.shown != "Hi" || !c.final() {
			t.Errorf("got %q, final %v", c.shown, c.final())
		}
	})
	t.Run("at a break", func(t *testing.T) {
		r, w := io.Pipe()
		go func() { _, _ = io.WriteString(w, "data: {\"delta\":\"Hi\"}\n\n") }()
		for ev, err := range decodeStream(r, "", 0) {
			if ev.Text != "Hi" || err != nil {
				t.Errorf("got %+v, %v", ev, err)
			}
			break
		}
	})
}

func TestDecodeStreamContentType(t *testing.T) {
	const lines = "{\"delta\":\"Hi\"}\n{\"type\":\"done\"}\n"
	for contentType, body := range map[string]string{
		"application/jsonl":                  lines,
		"application/json-seq":               "\x1e{\"delta\":\"Hi\"}\n\x1e{\"type\":\"done\"}\n",
		"application/json":                   lines,
		"text/plain; charset=utf-8":          lines,
		"Application/X-NDJSON; broken param": lines,
		"application/vnd.x+json":             `{"reply":"Hi"}`,
		"text/event-stream; charset=utf-8":   "data: {\"delta\":\"Hi\"}\n\ndata: [DONE]\n\n",
		"":                                   "data: {\"delta\":\"Hi\"}\n\ndata: [DONE]\n\n",
	} {
		if c := collect(t, strings.NewReader(body), contentType, 0); c.acc.Text() != "Hi" || !c.final() || c.err != nil {
			t.Errorf("%q: got %q, final %v, %v", contentType, c.acc.Text(), c.final(), c.err)
		}
	}
	for _, contentType := range []string{"application/json", "text/html", "application/x-ndjson"} {
		if c := collect(t, strings.NewReader(""), contentType, 0); len(c.events) != 0 || c.err != nil {
			t.Errorf("%q: an empty body gives %v, %v", contentType, c.events, c.err)
		}
	}
	var e *Error
	if c := collect(t, strings.NewReader("<html>"), "application/json", 0); !errors.As(c.err, &e) || e.Outcome != OutcomeUnknown {
		t.Errorf("a page that calls itself JSON: got %v", c.err)
	}
}

func TestDecodeStreamReadError(t *testing.T) {
	for _, contentType := range []string{"text/event-stream", "application/x-ndjson", "application/json"} {
		body := `{"delta":"Hi"}` + "\n"
		if contentType == "text/event-stream" {
			body = "data: " + body + "\n"
		}
		c := collect(t, io.MultiReader(strings.NewReader(body), iotest.ErrReader(context.Canceled)), contentType, 0)
		var e *Error
		if !errors.As(c.err, &e) || !errors.Is(c.err, context.Canceled) || e.Outcome != OutcomeUnknown || e.Op != "" {
			t.Errorf("%s: got %#v", contentType, c.err)
		}
		if contentType != "application/json" && c.shown != "Hi" {
			t.Errorf("%s: shows %q", contentType, c.shown)
		}
		if c.acc.Done() {
			t.Errorf("%s: done", contentType)
		}
	}
}

func TestDecodeStreamLimit(t *testing.T) {
	for contentType, body := range map[string]string{
		"text/event-stream":    "data: {\"delta\":\"Hi\"}\n\ndata: {\"delta\":\"" + strings.Repeat("x", 200) + "\"}\n\n",
		"":                     "data: {\"delta\":\"Hi\"}\n\n" + strings.Repeat("data: xxxxxxxx\n", 20),
		"application/x-ndjson": "{\"delta\":\"Hi\"}\n" + strings.Repeat("x", 200),
		"application/json":     "[\"" + strings.Repeat("x", 200) + "\"]",
	} {
		c := collect(t, strings.NewReader(body), contentType, 100)
		var e *Error
		if !errors.As(c.err, &e) || !errors.Is(e, ErrTooLarge) || !strings.Contains(e.Message, "size limit of 100 bytes") {
			t.Errorf("%q: got %v", contentType, c.err)
		}
		if contentType != "application/json" && c.shown != "Hi" {
			t.Errorf("%q: shows %q", contentType, c.shown)
		}
	}
}

func TestDecodeStreamLargeEvent(t *testing.T) {
	want := strings.Repeat("wörld 🦞 ", 400_000) // 5 MiB
	body := "data: {\"delta\":\"" + want + "\"}\r\n\r\ndata: [DONE]\r\n\r\n"
	// Small reads: what was read must not be scanned again at each of them.
	c := collect(t, &smallReader{r: strings.NewReader(body)}, "text/event-stream", 0)
	if c.err != nil || c.shown != want || !c.final() {
		t.Errorf("got %d bytes, final %v, %v", len(c.shown), c.final(), c.err)
	}
}

type smallReader struct{ r io.Reader }

func (s *smallReader) Read(p []byte) (int, error) { return s.r.Read(p[:min(len(p), 61)]) }

func TestReadSSE(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"colon without space", "data:a\ndata: b\ndata:  c\n\n", `"" "a\nb\n c"`},
		{"no colon", "data\n\ndata\ndata\n\n", `"" ""|"" "\n"`},
		{"name only", "event: done\n\n", `"done" ""`},
		{"name only, cut", "event: done\n", ``},
		{"cut", "data: a", `"" "a" cut`},
		{"cut behind the line", "data: a\n", `"" "a" cut`},
		{"comments", ": ping\n:\n\ndata: a\n: inside\n\n", `alive|alive|alive|"" "a"`},
		{"id", "id: 1\ndata: a\n\nid: 2\x00\ndata: b\n\nid\ndata: c\n\n", `"" "a" id=1|"" "b"|"" "c"`},
		{"unknown fields", "retry: 5\nfoo: bar\nfoo\n\ndata: a\n\n", `"" "a"`},
		{"bom", "\xef\xbb\xbfdata: a\n\n\xef\xbb\xbfdata: b\n\n", `"" "a"`},
		{"line ends", "data: a\r\rdata: b\r\n\r\ndata: c\n\r\n", `"" "a"|"" "b"|"" "c"`},
		{"blank lines", strings.Repeat("\n", 1000) + "data: a\n\n", `"" "a"`},
	} {
		var got []string
		if err := readSSE(strings.NewReader(tt.in), 500, func(f frame) bool {
			s := fmt.Sprintf("%q %q", f.name, f.data)
			if f.comment {
				s = "alive"
			}
			if f.id != "" {
				s += " id=" + f.id
			}
			if f.cut {
				s += " cut"
			}
			got = append(got, s)
			return true
		}); err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		if s := strings.Join(got, "|"); s != tt.want {
			t.Errorf("%s: got %s, want %s", tt.name, s, tt.want)
		}
	}
}

// Where the specification rules, readSSE gives what go-sse gives of the stream
// itself.
func FuzzReadSSE(f *testing.F) {
	for _, s := range []string{"data: a\r\n\r\n: x\n\nevent: e\rdata\rdata:  b\r\rid: 1\n\n", "\xef\xbb\xbfdata:a\n\n\n\r\ndata: x\nid:\x00\n\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if bytes.LastIndex(body, []byte("\xef\xbb\xbf")) > 0 {
			t.Skip("go-sse takes a byte order mark away behind blank lines too")
		}
		type event struct{ Name, Data string }
		var got, want []event
		_ = readSSE(bytes.NewReader(body), 1<<20, func(f frame) bool {
			if !f.comment && !f.cut && (len(f.data) > 0 || f.name != "") {
				got = append(got, event{f.name, string(f.data)})
			}
			return true
		})
		for ev, err := range sse.Read(bytes.NewReader(body), &sse.ReadConfig{MaxEventSize: 1 << 20}) {
			if err != nil {
				return
			}
			if ev.Data != "" || ev.Type != "" {
				want = append(want, event{ev.Type, ev.Data})
			}
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Error(d)
		}
	})
}

func FuzzDecodeStream(f *testing.F) {
	for _, fx := range streamFixtures {
		f.Add(readFixture(f, fx.file), contentTypeOf(fx.file))
	}
	for _, s := range []string{
		"data: [1,{}]\n\ndata: \"\\ud83d\"\n\ndata: null\n\ndata: [{\"delta\":\"a\"},{\"delta\":\"b\"}]",
		"event: tool\ndata: {\"data\":{\"data\":{}},\"tool\":{}}\n\n",
		"data: {\"type\":\"agent-output\",\"data\":{\"type\":\"agent-output\",\"data\":{\"type\":\"assistant\",\"message\":{\"content\":[1,null,{}]}}}}\n\n",
		"data: {\"choices\":[null]}\n\ndata: {\"choices\":[{\"delta\":{\"tool_calls\":[{},null,{\"function\":{\"arguments\":\"x\"}}]},\"finish_reason\":\"x\"}]}\n\n",
		"data: {\"type\":\"response.output_item.done\",\"item\":{\"content\":[{\"text\":\"a\"}]}}\n\ndata: {\"payload\":{\"payload\":{}},\"event\":\"x\"}\n\n",
	} {
		f.Add([]byte(s), "text/event-stream")
	}
	f.Fuzz(func(t *testing.T, body []byte, contentType string) {
		want := collect(t, bytes.NewReader(body), contentType, 1<<16)
		for name, r := range cuts(body) {
			got := collect(t, r, contentType, 1<<16)
			if d := cmp.Diff(want.events, got.events); d != "" || (want.err == nil) != (got.err == nil) {
				t.Errorf("%s: %v %v %s", name, want.err, got.err, d)
			}
		}
		if c := want; c.final() && c.acc.Text() != c.events[len(c.events)-1].Text {
			t.Errorf("final text %q, accumulated %q", c.events[len(c.events)-1].Text, c.acc.Text())
		}
		if want.shown != want.acc.Text() && !strings.Contains(contentType, "json") {
			t.Errorf("shown %q, accumulated %q", want.shown, want.acc.Text())
		}
		for range decodeEvents(bytes.NewReader(body), contentType, 1<<16, (&core{masked: func() []string { return nil }}).maskBroken) {
		}
	})
}

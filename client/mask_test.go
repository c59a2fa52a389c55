package client

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"

	"openclaw-mcp/internal/text"
)

// A key that the service repeats in a success is masked, however it is spelt, and
// wherever a stream is cut.
func TestKeyInAnswers(t *testing.T) {
	t.Parallel()
	escaped, err := json.Marshal("the key " + testKey + " is here")
	if err != nil {
		t.Fatal(err)
	}
	plain := strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(testKey)
	for _, quoted := range []string{string(escaped), `"the key ` + plain + ` is here"`, `"the key ` + strings.ReplaceAll(plain, "/", `\/`) + ` is here"`} {
		const want = "the key " + mask + " is here"
		c := serve(t, answer(200, "application/json", `{"id":"i","name":`+quoted+`,"stdout":`+quoted+`,"exit_code":0}`))
		in, err := c.Instances.Get(t.Context(), "i")
		if err != nil || in.Name != want {
			t.Errorf("%q, %v", in.Name, err)
		}
		out, err := c.Terminal.Exec(t.Context(), "i", ExecRequest{Command: "env"})
		if err != nil || out.Stdout.Head != want {
			t.Errorf("%q, %v", out.Stdout.Head, err)
		}
		c = serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			_, _ = io.WriteString(w, "event: delta\ndata: {\"delta\":"+quoted+"}\n\nevent: done\ndata: {}\n\n")
		})
		var a Accumulator
		for ev, err := range c.Chat.Stream(t.Context(), "i", SendRequest{Message: "m"}) {
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(string(ev.Raw), testKey[:9]) {
				t.Errorf("an event has the key: %s", ev.Raw)
			}
			a.Add(ev)
		}
		if a.Text() != want {
			t.Errorf("%q", a.Text())
		}
	}

	c := dial(t, "http://127.0.0.1:1")
	for _, cut := range []func(io.Reader) io.Reader{iotest.OneByteReader, iotest.HalfReader, iotest.DataErrReader} {
		in := "before " + strings.Join(spellings(testKey), " ") + " after sk_live_a and " + testKey[:7]
		got, err := io.ReadAll(c.core.maskStream(io.NopCloser(cut(strings.NewReader(in)))))
		if want := c.core.redact(in); err != nil || string(got) != want {
			t.Errorf("got %q, %v, want %q", got, err, want)
		}
	}
	if short, err := New(nil, "", "key"); err != nil || string(short.core.maskAnswer([]byte(`"key"`))) != `"key"` {
		t.Errorf("a word is masked, %v", err)
	}
}

// The key is masked also where control sequences stand in it, which are not there any more when
// the text is shown: in an answer, an error, a tool's result, a message.
func TestKeyBroken(t *testing.T) {
	t.Parallel()
	for _, between := range []string{"\x1b[m\x1b[K", "\x1b[1m", "X\b", "\x00", "\x1b\\", "\u009b0m", "\x7f", "\x1b]0;title\a"} {
		said := "a " + testKey[:9] + between + testKey[9:] + " b"
		quoted, err := json.Marshal(said)
		if err != nil {
			t.Fatal(err)
		}
		check := func(where, s string) {
			t.Helper()
			if strings.Contains(text.Plain(s), testKey) || !strings.Contains(s, mask) {
				t.Errorf("%q: %s is %q", between, where, s)
			}
		}
		c := serve(t, answer(200, "application/json", fmt.Sprintf(`{"stdout":%s,"exit_code":0}`, quoted)))
		out, err := c.Terminal.Exec(t.Context(), "i", ExecRequest{Command: "env"})
		if err != nil {
			t.Fatal(err)
		}
		check("the output", out.Stdout.Head)
		for body, contentType := range map[string]string{fmt.Sprintf(`{"message":%s}`, quoted): "application/json", said: "text/plain"} {
			_, err = serve(t, answer(400, contentType, body)).Terminal.Exec(t.Context(), "i", ExecRequest{Command: "env"})
			check("an error", wantError(t, err).Message)
		}
		c = serve(t, answer(200, "text/event-stream", fmt.Sprintf("event: tool\ndata: {\"id\":\"1\",\"name\":\"exec\",\"result\":%s}\n\nevent: delta\ndata: {\"delta\":%s}\n\nevent: done\ndata: {}\n\n", quoted, quoted)))
		var a Accumulator
		for ev, err := range c.Chat.Stream(t.Context(), "i", SendRequest{Message: "m"}) {
			if err != nil {
				t.Fatal(err)
			}
			if ev.Kind == EventToolEnd {
				check("a tool's result", ev.Tool.Result)
			}
			a.Add(ev)
		}
		check("a reply", a.Text())
		c = serve(t, answer(200, "text/event-stream", fmt.Sprintf("data: {\"id\":\"1\",\"role\":\"assistant\",\"content\":%s}\n\n", quoted)))
		for ev, err := range c.Chat.Events(t.Context(), "i", EventsQuery{}) {
			if err != nil {
				t.Fatal(err)
			}
			check("a message", ev.Message.Text)
		}
	}
}

// The key is masked also where some of its characters are escaped that need not be, and
// where an agent writes it over several events, however it is cut.
func TestKeyInPieces(t *testing.T) {
	t.Parallel()
	var escaped strings.Builder
	for i, r := range testKey {
		if i%2 == 0 || r == '"' || r == '\\' {
			fmt.Fprintf(&escaped, `\u%04x`, r)
		} else {
			escaped.WriteRune(r)
		}
	}
	c := serve(t, answer(200, "application/json", `{"id":"i","name":"the key `+escaped.String()+` \\u0041\"\/"}`))
	if in, err := c.Instances.Get(t.Context(), "i"); err != nil || in.Name != "the key "+mask+` \u0041"/` {
		t.Errorf("%q, %v", in.Name, err)
	}
	_, err := serve(t, answer(403, "application/json", `{"message":"not `+escaped.String()+`"}`)).Instances.Get(t.Context(), "i")
	if err == nil || !strings.Contains(err.Error(), "not "+mask) {
		t.Errorf("%v", err)
	}
	whole := "the key " + testKey + " and " + testKey[:5] + " and " + testKey + testKey + " sk" + testKey[:1] + testKey + " is, " + testKey[:6]
	for size := 1; size <= len(testKey)+2; size++ {
		c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			for rest := whole; rest != ""; rest = rest[min(size, len(rest)):] {
				b, _ := json.Marshal(rest[:min(size, len(rest))])
				_, _ = fmt.Fprintf(w, "event: delta\ndata: {\"delta\":%s}\n\n", b)
			}
			_, _ = io.WriteString(w, "event: done\ndata: {}\n\n")
		})
		var a Accumulator
		for ev, err := range c.Chat.Stream(t.Context(), "i", SendRequest{Message: "m"}) {
			if err != nil {
				t.Fatal(err)
			}
			a.Add(ev)
		}
		got := a.Text()
		if i := strings.Index(got, testKey[:text.TellsNothing+1]); strings.Contains(got, testKey) || i >= 0 && !strings.HasPrefix(got[i:], testKey[:5]+" and ") && got[i:] != testKey[:6] {
			t.Errorf("in pieces of %d: %q", size, got)
		}
		shown := strings.NewReplacer(testKey[:1]+mask, mask, testKey[:2]+mask, mask, testKey[:3]+mask, mask).Replace(got)
		if want := strings.NewReplacer("sk"+testKey[:1]+mask, "sk"+mask).Replace(strings.ReplaceAll(whole, testKey, mask)); shown != want {
			t.Errorf("in pieces of %d: %q, want %q", size, shown, want)
		}
	}
}

func TestByteOrderMark(t *testing.T) {
	t.Parallel()
	const bom = "\xef\xbb\xbf"
	c := serve(t, answer(200, "application/json", bom+`[{"id":"i"}]`))
	if page, err := c.Instances.List(t.Context()); err != nil || len(page.Items) != 1 {
		t.Errorf("%+v, %v", page, err)
	}
	if reply, err := serve(t, answer(200, "application/json", bom+`{"reply":"hi"}`)).Chat.Send(t.Context(), "i", SendRequest{Message: "m"}); err != nil || reply.Text != "hi" {
		t.Errorf("%+v, %v", reply, err)
	}
	var a Accumulator
	for ev, err := range serve(t, answer(200, "application/json", bom+`{"reply":"hi"}`)).Chat.Stream(t.Context(), "i", SendRequest{Message: "m"}) {
		if err != nil {
			t.Fatal(err)
		}
		a.Add(ev)
	}
	if a.Text() != "hi" {
		t.Errorf("%q", a.Text())
	}
	_, err := serve(t, answer(403, "application/json", bom+`{"message":"no access"}`)).Instances.List(t.Context())
	if err == nil || !strings.Contains(err.Error(), "no access") || strings.ContainsRune(err.Error(), '{') {
		t.Errorf("%v", err)
	}
}

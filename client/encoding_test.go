package client

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"
)

type flusher interface {
	io.WriteCloser
	Flush() error
}

func compressor(t testing.TB, name string, w io.Writer) flusher {
	t.Helper()
	switch name {
	case "gzip", "x-gzip":
		return gzip.NewWriter(w)
	case "deflate":
		return zlib.NewWriter(w)
	case "bare deflate":
		f, err := flate.NewWriter(w, flate.BestSpeed)
		if err != nil {
			t.Fatal(err)
		}
		return f
	case "br":
		return brotli.NewWriter(w)
	}
	t.Fatalf("no compressor for %s", name)
	return nil
}

// A compressed stream must bring each event when it is sent, not when there are
// enough of them.
func TestCompressedStream(t *testing.T) {
	for _, coding := range []string{"gzip", "x-gzip", "deflate", "bare deflate", "br"} {
		t.Run(coding, func(t *testing.T) {
			seen := make(chan struct{})
			c := serve(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "text/event-stream")
				w.Header().Set("Content-Encoding", strings.TrimPrefix(coding, "bare "))
				z := compressor(t, coding, w)
				_, _ = io.WriteString(z, "data: {\"delta\":\"Hel\"}\n\n")
				_ = z.Flush()
				w.(http.Flusher).Flush()
				select {
				case <-seen:
				case <-r.Context().Done():
					return
				}
				_, _ = io.WriteString(z, "data: {\"delta\":\"lo\"}\n\ndata: [DONE]\n\n")
				_ = z.Close()
			})
			var a Accumulator
			for ev, err := range c.Chat.Stream(t.Context(), "i", SendRequest{Message: "M"}) {
				if err != nil {
					t.Fatal(err)
				}
				if a.Add(ev); a.Text() == "Hel" {
					close(seen)
				}
			}
			if a.Text() != "Hello" || !a.Done() {
				t.Errorf("got %q, done %v", a.Text(), a.Done())
			}
		})
	}
}

func TestCompressedAnswer(t *testing.T) {
	pack := func(coding, text string) []byte {
		var b bytes.Buffer
		z := compressor(t, coding, &b)
		_, _ = io.WriteString(z, text)
		_ = z.Close()
		return b.Bytes()
	}
	const hi = `{"reply":"Hi"}`
	for _, tt := range []struct {
		name, coding string
		status       int
		body         []byte
		want, err    string
		outcome      Outcome
	}{
		{name: "br", coding: "br", body: pack("br", hi), want: "Hi"},
		{name: "two codings", coding: "gzip, br", body: pack("br", string(pack("gzip", hi))), want: "Hi"},
		{name: "none", coding: "identity", body: []byte(hi), want: "Hi"},
		{name: "a charset in its place", coding: "UTF-8", body: []byte(hi), want: "Hi"},
		{name: "a refusal", coding: "br", status: 409, body: pack("br", `{"message":"Instance not ready"}`), err: "Instance not ready", outcome: OutcomeRejected},
		{name: "unknown", coding: "dcb", body: []byte("?"), err: "compressed as dcb", outcome: OutcomeUnknown},
		{name: "one that nobody asks for", coding: "zstd", body: []byte("?"), err: "compressed as zstd, which this client neither asked for nor can read", outcome: OutcomeUnknown},
		{name: "an unknown refusal", coding: "dcb", status: 409, body: []byte("?"), err: "Conflict", outcome: OutcomeRejected},
		{name: "not what it says", coding: "br", body: []byte(hi), err: "cannot be decompressed", outcome: OutcomeUnknown},
		{name: "cut", coding: "br", body: pack("br", hi)[:9], err: "broke off", outcome: OutcomeUnknown},
		{name: "empty", coding: "br", err: "no reply text", outcome: OutcomeUnknown},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := serve(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				w.Header().Set("Content-Encoding", tt.coding)
				w.WriteHeader(max(tt.status, 200))
				_, _ = w.Write(tt.body)
			})
			got, err := c.Chat.Send(t.Context(), "i", SendRequest{Message: "M"})
			if got.Text != tt.want {
				t.Errorf("got %q, want %q", got.Text, tt.want)
			}
			e, _ := errors.AsType[*Error](err)
			switch {
			case tt.err == "" && err != nil:
				t.Error(err)
			case tt.err != "" && (e == nil || !strings.Contains(e.Error(), tt.err) || e.Outcome != tt.outcome):
				t.Errorf("got %v, want %q, %q", err, tt.err, tt.outcome)
			}
		})
	}
}

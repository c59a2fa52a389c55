package client

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

// BenchmarkReadSSE reads many small events, and one event of 4 MiB that comes in
// small reads.
func BenchmarkReadSSE(b *testing.B) {
	small := bytes.Repeat([]byte("id: 7\nevent: delta\ndata: {\"delta\":\"word \"}\n\n"), 1000)
	large := []byte("data: " + strings.Repeat("x", 4<<20) + "\n\n")
	for name, body := range map[string][]byte{"1000-events": small, "4MiB-event": large} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				n := 0
				err := readSSE(&smallReader{r: bytes.NewReader(body)}, defaultEventLimit, func(f frame) bool {
					n += len(f.data)
					return true
				})
				if err != nil || n == 0 {
					b.Fatal(n, err)
				}
			}
		})
	}
}

// BenchmarkDecodeHistory decodes a chat history of 1 MiB.
func BenchmarkDecodeHistory(b *testing.B) {
	var body bytes.Buffer
	body.WriteString(`{"messages":[`)
	for i := 0; body.Len() < 1<<20; i++ {
		if i > 0 {
			body.WriteByte(',')
		}
		fmt.Fprintf(&body, `{"id":"m%d","session_id":"s1","role":"assistant","content":[{"type":"text","text":"%s"}],"created_at":"2026-03-20T18:24:10.000Z"}`,
			i, strings.Repeat(`A line of text, with \"quotes\" and é.\n`, 20))
	}
	body.WriteString(`]}`)
	b.SetBytes(int64(body.Len()))
	b.ReportAllocs()
	for b.Loop() {
		page, err := decodePage(body.Bytes(), "messages", decodeMessage)
		if err != nil || len(page.Items) < 1000 {
			b.Fatal(len(page.Items), err)
		}
	}
}

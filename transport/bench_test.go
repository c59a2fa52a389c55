package transport

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
)

// BenchmarkProgress is one notification, from the handler to the client.
func BenchmarkProgress(b *testing.B) {
	for _, co := range combinations {
		b.Run(co.name, func(b *testing.B) {
			f := newFixture()
			c := co.connect(b, f)
			ch := call(b, c, "1", "block", nil)
			of := recv(b, f.calls, "the call")
			b.ReportAllocs()
			done := make(chan struct{})
			go func() {
				for range ch {
				}
				close(done)
			}()
			for b.Loop() {
				if err := of.Progress("a few words of the reply"); err != nil {
					b.Fatal(err)
				}
			}
			close(f.release)
			<-done
		})
	}
}

// BenchmarkEncodeProgress is the server's share of that.
func BenchmarkEncodeProgress(b *testing.B) {
	c := &Call{token: json.RawMessage(`"token"`), send: func([]byte) error { return nil }}
	b.ReportAllocs()
	for b.Loop() {
		_ = c.Progress("a few words of the reply")
	}
}

// BenchmarkEcho is a whole call, 16 at a time.
func BenchmarkEcho(b *testing.B) {
	for _, co := range combinations {
		b.Run(co.name, func(b *testing.B) {
			c := co.connect(b, newFixture())
			b.ReportAllocs()
			ids := make(chan string, 16)
			for i := range cap(ids) {
				ids <- fmt.Sprint(i + 1)
			}
			b.SetParallelism(8)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					id := <-ids
					if h, ok := c.(*httpClient); ok {
						echoOverHTTP(b, h, id)
					} else {
						result(b, call(b, c, id, "echo", params{"text": "hello"}))
					}
					ids <- id
				}
			})
		})
	}
}

func echoOverHTTP(b *testing.B, c *httpClient, id string) {
	body := encodeRequest(b, c.version, id, "tools/call", params{"name": "echo", "arguments": params{"text": "hello"}})
	res := c.do(b, context.Background(), http.MethodPost, body, nil)
	closeBody(res)
	if res.StatusCode != http.StatusOK {
		b.Errorf("status %d", res.StatusCode)
	}
}

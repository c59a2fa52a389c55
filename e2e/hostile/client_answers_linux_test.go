//go:build e2e

package hostile

import (
	"cmp"
	"compress/gzip"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// large is a service whose answers are as large as they may be, in the way that the
// caller's key is named after.
func large(w http.ResponseWriter, r *http.Request) {
	at := strings.TrimPrefix(strings.TrimPrefix(r.URL.Path, "/api"), "/instances/i1")
	key, _, _ := strings.Cut(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "), "-")
	piece := cmp.Or(map[string]string{"many": "words and more words. ", "quotes": `\"\\`, "hidden": "\u200b\u202e", "base64": "QUJD", "zip": "words and more words. "}[key], "words ") // documents are asked for without a key
	around := func(before, again, after string) {
		var out io.Writer = w
		if key == "zip" {
			w.Header().Set("Content-Encoding", "gzip")
			z, _ := gzip.NewWriterLevel(w, gzip.BestSpeed)
			defer z.Close()
			out = z
		}
		_, _ = io.WriteString(out, before)
		chunk := strings.Repeat(piece, 1<<16/len(piece))
		for i := range (63 << 20) / len(chunk) {
			if key == "many" && i%15 == 14 {
				_, _ = fmt.Fprintf(out, again, i)
			}
			if _, err := io.WriteString(out, chunk); err != nil {
				return
			}
		}
		_, _ = io.WriteString(out, after)
	}
	w.Header().Set("Content-Type", "application/json")
	encoding := ""
	if key == "base64" {
		encoding = `"encoding":"base64",`
	}
	switch at {
	case "/terminal/exec":
		around(`{`+encoding+`"stdout":"`, `","k%d":"`, `","stderr":"","exit_code":0}`)
	case "/files/read":
		around(`{`+encoding+`"content":"`, `","k%d":"`, `"}`)
	case "/chat/messages":
		around(`[{"id":"m1","role":"assistant","content":"`, `"},{"id":"m%d","role":"assistant","content":"`, `"}]`)
	case "/chat/stream", "/chat":
		around(`{"reply":"`, `","k%d":"`, `"}`)
	case "/files":
		around(`[{"name":"`, `","type":"file"},{"name":"f%d`, `","type":"file"}]`)
	case "/openapi.json":
		around(`{"openapi":"3.1.0","info":{"title":"`, `","k%d":"`, `"},"paths":{}}`)
	case "", "/status":
		around(`{"id":"i1","status":"ready","name":"`, `","k%d":"`, `"}`)
	case "/instances":
		around(`[{"id":"i1","status":"ready","name":"`, `"},{"id":"i%d","name":"`, `"}]`)
	default:
		around(`{"ok":false,"message":"`, `","k%d":"`, `"}`)
	}
}

// The largest answers, whatever is in them and whatever asks for them, take little
// memory, two of them at once as well.
func TestHugeAnswers(t *testing.T) {
	url := service(t, large)
	i1 := func(more ...string) params {
		p := params{"instance": "i1"}
		for i := 0; i < len(more); i += 2 {
			p[more[i]] = more[i+1]
		}
		return p
	}
	for _, kind := range []string{"many", "quotes", "hidden", "base64", "zip"} {
		for _, c := range []struct {
			tool string
			args params
		}{
			{"exec_command", i1("command", "true")}, {"read_file", i1("path", "/workspace/f")}, {"read_chat_history", i1("session", "s1")},
			{"send_chat_message", i1("message", "hello")}, {"list_files", i1("path", "/workspace")}, {"list_instances", params{}}, {"get_instance", i1()},
			{"check_service", params{"document": "openapi.json"}}, {"make_directory", i1("path", "/workspace/d")},
		} {
			if kind != "many" && !slices.Contains([]string{"exec_command", "read_file", "read_chat_history"}, c.tool) {
				continue // those shorten alike
			}
			t.Run(kind+"/"+c.tool, func(t *testing.T) {
				s := serve(t, "OPENCLAW_API_KEY="+kind+"-"+serverKey, "OPENCLAW_API_BASE_URL="+url)
				caller := newCaller(t, s.url)
				_, text := caller.call(t, c.tool, c.args)
				one := s.memory(t)
				var wg sync.WaitGroup
				for range 2 {
					wg.Go(func() { caller.call(t, c.tool, c.args) })
				}
				wg.Wait()
				t.Logf("%d MiB for one, %d for two at once; %d bytes, %.300s", one, s.memory(t), len(text), text)
				if m := s.memory(t); m > 300 || len(text) > 3<<20 {
					t.Errorf("it took %d MiB, and the result has %d bytes", m, len(text))
				}
			})
		}
	}
}

// Answers that are just small enough not to be called large take little memory, many of them at
// once and without their ends as well, and another caller is served beside them. 200 of them once
// took more than 500 MiB.
func TestManySmallAnswers(t *testing.T) {
	const calls, size = 150, 3900 << 10
	for _, c := range []struct {
		tool, path, before, after string
		args                      params
	}{
		{"read_chat_history", "/chat/messages", `[{"id":"m1","role":"assistant","content":"`, `"}]`, params{"session": "s1"}},
		{"read_file", "/files/read", `{"content":"`, `"}`, params{"path": "/workspace/f"}},
		{"exec_command", "/terminal/exec", `{"exit_code":0,"stdout":"`, `","stderr":""}`, params{"command": "true"}},
	} {
		t.Run(c.tool, func(t *testing.T) {
			var said, whole atomic.Int64
			release := make(chan struct{})
			s := serve(t, "OPENCLAW_MCP_AUTH=key", "OPENCLAW_API_BASE_URL="+service(t, func(w http.ResponseWriter, r *http.Request) {
				at, ok := strings.CutSuffix(r.URL.Path, c.path)
				if !ok {
					instances(anyKey)(w, r)
					return
				}
				w.Header().Set("Content-Type", "application/json")
				honest := strings.HasSuffix(at, "/honest")
				size := size
				if honest {
					size = 1 << 20
				}
				_, _ = io.WriteString(w, c.before)
				chunk := strings.Repeat("words and more words ", 1<<10)
				for range size / len(chunk) {
					n, err := io.WriteString(w, chunk)
					if said.Add(int64(n)); err != nil {
						return
					}
				}
				_ = http.NewResponseController(w).Flush()
				if !honest {
					whole.Add(1)
					select {
					case <-release:
					case <-r.Context().Done():
					}
				}
				_, _ = io.WriteString(w, c.after)
			}))
			call := func(key, instance string) (string, bool) {
				args := params{"instance": instance}
				maps.Copy(args, c.args)
				_, text := newCaller(t, s.url, "X-Openclaw-Api-Key", key).call(t, c.tool, args)
				return text, strings.Contains(text, "words and more words") || runOf(text) != "" // it goes on
			}
			call("alice", "honest")
			before := s.memory(t)
			var wg sync.WaitGroup
			var served atomic.Int64
			for range calls {
				wg.Go(func() {
					if _, ok := call("mallory", "i1"); ok {
						served.Add(1)
					}
				})
			}
			// Until all is said, or nothing more is taken.
			for last := int64(-1); whole.Load() < calls && said.Load() != last; time.Sleep(2 * time.Second) {
				last = said.Load()
			}
			if text, ok := call("alice", "honest"); !ok {
				t.Errorf("another caller: %.300s", text)
			}
			if _, text := newCaller(t, s.url, "X-Openclaw-Api-Key", "mallory").call(t, "list_instances", nil); !strings.Contains(text, "i1") {
				t.Errorf("the same caller, a short answer: %.300s", text)
			}
			held := s.memory(t)
			close(release)
			wg.Wait()
			t.Logf("%d MiB at first, %d MiB when %d answers of %d MiB were held, %d MiB at the end; %d were served", before, held, whole.Load(), said.Load()>>20, s.memory(t), served.Load())
			if m := s.memory(t); m > 300 {
				t.Errorf("it took %d MiB", m)
			}
			// They take turns, and each has a minute: on a slow machine, not all have it in time.
			if served.Load() < calls/2 {
				t.Errorf("%d of %d calls were served in the end", served.Load(), calls)
			}
		})
	}
}

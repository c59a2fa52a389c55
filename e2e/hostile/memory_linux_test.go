//go:build e2e

package hostile

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
)

// bomb is a request with a part that is small on the wire and large as Go values:
// n objects in a list.
func bomb(where string, n int) []byte {
	list := "[" + strings.Repeat("{},", n) + "{}]"
	values := map[string]string{"_meta": "{}", "arguments": "{}", "name": `"list_instances"`, "other": "1"}
	switch where {
	case "_meta":
		values[where] = fmt.Sprintf(`{"progressToken":1,"x":%s}`, list)
	case "arguments":
		values[where] = fmt.Sprintf(`{"instance":%s}`, list)
	case "other":
		values[where] = list
	case "names":
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, `"%d":{},`, i)
		}
		values["_meta"] = "{" + b.String() + `"x":1}`
	}
	return fmt.Appendf(nil, `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":%s,"arguments":%s,"_meta":%s,"other":%s}}`,
		values["name"], values["arguments"], values["_meta"], values["other"])
}

// Values that are small on the wire and large in memory take no memory to speak of,
// wherever they stand, also many at once, and the next caller is served. 60 MiB of
// them once took 2 GB.
func TestMemoryBombs(t *testing.T) {
	env := []string{"OPENCLAW_API_KEY=" + serverKey, "OPENCLAW_API_BASE_URL=" + service(t, instances(anyKey))}
	s := serve(t, env...)
	c := newCaller(t, s.url)
	session := c.initialize(t)
	for _, where := range []string{"_meta", "arguments", "other", "names"} {
		var wg sync.WaitGroup
		for _, n := range []int{20_000_000, 5_000_000, 5_000_000, 5_000_000, 90_000, 90_000, 20_000, 20_000} {
			if where == "names" {
				n /= 5
			}
			wg.Go(func() {
				h := headers(legacy, "", "")
				h.Set("Mcp-Session-Id", session)
				res, err := c.do(http.MethodPost, h, bytes.NewReader(bomb(where, n)))
				if err != nil {
					return // cut off while sending
				}
				_, _ = io.Copy(io.Discard, res.Body)
				_ = res.Body.Close()
			})
		}
		wg.Wait()
		if status, text := c.call(t, "list_instances", nil); status != 200 || !strings.Contains(text, "i1") {
			t.Errorf("after the bombs in %s: %d, %s", where, status, text)
		}
		t.Logf("%s: %d MiB", where, s.memory(t))
	}
	if m := s.memory(t); m > 300 {
		t.Errorf("it took %d MiB", m)
	}
	p := start(t, env)
	line := func(b []byte) string {
		if _, err := p.stdin.Write(append(b, '\n')); err != nil {
			t.Fatal(err)
		}
		answer, err := p.stdout.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		return answer
	}
	for _, where := range []string{"_meta", "arguments", "other"} {
		if answer := line(bomb(where, 15_000_000)); !strings.Contains(answer, `"error"`) || !strings.Contains(answer, `"id":1`) {
			t.Errorf("stdio, %s: %s", where, answer)
		}
	}
	if m := p.memory(t); m > 300 {
		t.Errorf("over stdio, it took %d MiB", m)
	}
}

// What is large and means to be is served: a file of 40 MB.
func TestLargeArguments(t *testing.T) {
	got := make(chan int64, 1)
	s := serve(t, "OPENCLAW_API_KEY="+serverKey, "OPENCLAW_API_BASE_URL="+service(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost && r.ContentLength > 1<<20 {
			n, _ := io.Copy(io.Discard, r.Body)
			select {
			case got <- n:
			default:
			}
		}
		instances(anyKey)(w, r)
	}))
	c := newCaller(t, s.url)
	status, text := c.call(t, "send_chat_message", params{"message": strings.Repeat("words ", 7_000_000)})
	t.Logf("%d MiB; %d %.300s", s.memory(t), status, text)
	if strings.Contains(text, "memory") || status != 200 {
		t.Errorf("status %d, %.300s", status, text)
	}
}

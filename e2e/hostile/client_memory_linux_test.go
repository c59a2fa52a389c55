//go:build e2e

package hostile

import (
	bin "encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// flood is what the agents of endless have said, in bytes.
var flood atomic.Int64

// endless is a service whose agent never stops talking, in the way that a session is
// named after, until enough was said or nobody listens.
func endless(w http.ResponseWriter, r *http.Request) {
	at := strings.TrimPrefix(strings.TrimPrefix(r.URL.Path, "/api"), "/instances/i1")
	w.Header().Set("Content-Type", "application/json")
	if at != "/chat/stream" {
		switch at {
		case "/chat/messages", "/chat/sessions":
			_, _ = io.WriteString(w, "[]")
		default:
			_, _ = io.WriteString(w, `{"id":"i1","status":"ready"}`)
		}
		return
	}
	var body struct {
		Session string `json:"session_id"`
	}
	_ = json.NewDecoder(r.Body).Decode(&body)
	w.Header().Set("Content-Type", "text/event-stream")
	text := strings.Repeat("words and more words. ", 2900) // 64 KiB
	piece := func(n int) string {
		switch body.Session {
		case "delta":
			return fmt.Sprintf("event: delta\ndata: {\"delta\":%q}\n\n", text)
		case "tools":
			return fmt.Sprintf("event: tool\ndata: {\"id\":\"t%d\",\"name\":\"exec\",\"args\":{\"a\":%q},\"result\":%q}\n\n", n, text, text)
		case "names":
			return fmt.Sprintf("event: tool\ndata: {\"id\":\"t%d\",\"name\":\"n%d %s\"}\n\n", n, n, text)
		case "segments":
			var b strings.Builder
			for i := range 100 {
				fmt.Fprintf(&b, "event: message\ndata: {\"id\":\"%d.%d %s\",\"role\":\"assistant\",\"content\":\"%d\"}\n\n", n, i, text[:480], i%10)
			}
			return b.String()
		case "ids":
			return fmt.Sprintf("id: %d %s\nevent: delta\ndata: {\"delta\":\"x\"}\n\n", n, strings.Repeat(text, 100))
		}
		return "event: message\ndata: {\"id\":\"m" + fmt.Sprint(n) + "\",\"role\":\"assistant\",\"content\":\"" + text[:4000] + "\"}\n\n"
	}
	for n, said := 0, 0; said < 600<<20 && r.Context().Err() == nil; n++ {
		p := piece(n)
		said += len(p)
		flood.Add(int64(len(p)))
		if _, err := io.WriteString(w, p); err != nil {
			return
		}
	}
}

// A reply without an end takes little memory, in whatever way it comes, and several of
// them at once.
func TestEndlessReplies(t *testing.T) {
	const enough = 450 << 20
	url := service(t, endless)
	for _, way := range []string{"delta", "tools", "messages", "names", "segments", "ids"} {
		h := newHost(t, "OPENCLAW_API_BASE_URL="+url, "OPENCLAW_INSTANCE_ID=i1")
		before := h.memory(t)
		flood.Store(0)
		for i := range 3 {
			h.last++
			h.write(params{"jsonrpc": "2.0", "id": h.last, "method": "tools/call", "params": params{"name": "send_chat_message",
				"arguments": params{"session": way, "message": fmt.Sprint("hello ", i), "wait_seconds": 0, "if_busy": "send"}, "_meta": params{"progressToken": "p"}}})
		}
		// Long enough: a slow machine says less, and where nobody reads on, nothing is said.
		for end := time.Now().Add(30 * time.Second); flood.Load() < enough && h.memory(t) <= 250 && time.Now().Before(end); {
			time.Sleep(10 * time.Millisecond)
		}
		text, _ := h.tool("list_runs", nil)
		t.Logf("%s: %d MiB at first, %d MiB when %d MiB were said; %.300s", way, before, h.memory(t), flood.Load()>>20, text)
		if m := h.memory(t); m > 250 {
			t.Errorf("%s: it took %d MiB", way, m)
		}
		_ = h.cmd.Process.Kill()
	}
}

// A list of a service that is small on the wire and large as Go values is refused, or
// read in little memory.
func TestHugeLists(t *testing.T) {
	item := map[string]string{
		"empty": `{},`, "null": `null,`, "number": `1,`, "nested": `[[]],`, "item": `{"id":"x","name":"n","status":"ready"},`, "keys": `{"id":"x","a":1,"b":2,"c":3,"d":4},`,
	}
	url := service(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		kind, _, _ := strings.Cut(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "), "-")
		one := item[kind]
		_, _ = io.WriteString(w, "[")
		chunk := strings.Repeat(one, 1<<16/len(one))
		for range (60 << 20) / len(chunk) {
			if _, err := io.WriteString(w, chunk); err != nil {
				return
			}
		}
		_, _ = io.WriteString(w, one[:len(one)-1]+"]")
	})
	for kind := range item {
		h := newHost(t, "OPENCLAW_API_KEY="+kind+"-key", "OPENCLAW_API_BASE_URL="+url)
		for _, tool := range []string{"list_instances", "read_chat_history"} {
			args := params{"instance": "i1"}
			if tool == "list_instances" {
				args = params{}
			}
			text, _ := h.tool(tool, args)
			t.Logf("%s of %s: %d MiB; %.120s", tool, kind, h.memory(t), text)
		}
		if m := h.memory(t); m > 200 { // more than 3 GB before
			t.Errorf("%s: it took %d MiB", kind, m)
		}
		_ = h.cmd.Process.Kill()
	}
}

// screens is a service whose instances have a huge desktop on which something always
// moves, and which sends that whether it is asked or not.
func screens() http.HandlerFunc {
	const side = 4096
	return func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, "/vnc/ws") {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, `{"id":"i1","status":"ready"}`)
			return
		}
		ws, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer ws.CloseNow()
		ws.SetReadLimit(1 << 20)
		c := websocket.NetConn(r.Context(), ws, websocket.MessageBinary)
		read := func(n int) []byte {
			b := make([]byte, n)
			if _, err := io.ReadFull(c, b); err != nil {
				return nil
			}
			return b
		}
		_, _ = c.Write([]byte("RFB 003.008\n"))
		read(12)
		_, _ = c.Write([]byte{1, 1})
		read(1)
		_, _ = c.Write([]byte{0, 0, 0, 0})
		read(1)
		head := bin.BigEndian.AppendUint16(nil, side)
		head = bin.BigEndian.AppendUint16(head, side)
		head = append(head, make([]byte, 16)...)
		head = append(head, 0, 0, 0, 1, 'd')
		_, _ = c.Write(head)
		row := make([]byte, 4*side)
		var writing sync.Mutex
		send := func(height int) error {
			writing.Lock()
			defer writing.Unlock()
			for i := range row {
				row[i] += byte(i)
			}
			m := []byte{0, 0, 0, 1, 0, 0, 0, 0}
			m = bin.BigEndian.AppendUint16(m, side)
			m = bin.BigEndian.AppendUint16(m, uint16(height))
			m = append(m, 0, 0, 0, 0)
			_, err := c.Write(m)
			for range height {
				if err == nil {
					_, err = c.Write(row)
				}
			}
			return err
		}
		for {
			kind := read(1)
			if kind == nil {
				return
			}
			switch kind[0] {
			case 0:
				read(19)
			case 2:
				head := read(3)
				if head == nil {
					return
				}
				read(4 * int(bin.BigEndian.Uint16(head[1:])))
			case 3:
				req := read(9)
				if req == nil {
					return
				}
				if req[0] == 1 {
					continue
				}
				if send(side) != nil {
					return
				}
				go func() {
					for send(64) == nil {
					}
				}()
			case 4:
				read(7)
			case 5:
				read(5)
			}
		}
	}
}

// cpu is the time that a process has computed for.
func (p *process) cpu(t testing.TB) time.Duration {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
	ticks := 0                        // of 10 ms
	for _, f := range fields[11:13] { // user and system
		n, _ := strconv.Atoi(f)
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}

// Many huge desktops share a budget, and rest when nobody looks.
func TestHugeDesktops(t *testing.T) {
	url := service(t, screens())
	h := newHost(t, "OPENCLAW_API_BASE_URL="+url)
	for i := range 6 {
		text, isError := h.tool("take_screenshot", params{"instance": fmt.Sprint("i", i), "max_width": 64})
		t.Logf("%d: %d MiB, %.200s", i, h.memory(t), text)
		if isError {
			t.Errorf("%s", text)
		}
	}
	if m := h.memory(t); m > 300 { // 1419 before
		t.Errorf("it took %d MiB", m)
	}
	before := h.cpu(t)
	time.Sleep(4 * time.Second) // the time that is measured
	if spent := h.cpu(t) - before; spent > time.Second {
		t.Errorf("nobody looks, but %s were spent in 4 s", spent)
	}
}

// talkative is a service whose agent says 7 MiB to each message and is not done then.
func talkative(w http.ResponseWriter, r *http.Request) {
	at := strings.TrimPrefix(strings.TrimPrefix(r.URL.Path, "/api"), "/instances/i1")
	w.Header().Set("Content-Type", "application/json")
	if at != "/chat/stream" {
		instances(anyKey)(w, r)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	text := strings.Repeat("words and more words. ", 2900) // 64 KiB
	for range 7 << 20 / len(text) {
		if _, err := fmt.Fprintf(w, "event: delta\ndata: {\"delta\":%q}\n\n", text); err != nil {
			return
		}
		flood.Add(int64(len(text)))
	}
	_ = http.NewResponseController(w).Flush()
	<-r.Context().Done()
}

// Many long replies at once share what memory there is for them, whoever they belong to. A
// short one is whole all the same, and one that is not says where the rest is. A hundred
// once took 1.9 GB.
func TestManyLongReplies(t *testing.T) {
	flood.Store(0)
	var names, tokens []string
	for i := range 4 {
		names = append(names, fmt.Sprint("caller", i))
		tokens = append(tokens, names[i]+":"+tokenOf(names[i]))
	}
	s := serve(t, "OPENCLAW_API_KEY="+serverKey, "OPENCLAW_API_BASE_URL="+service(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "/instances/short/") {
			chats(w, r)
			return
		}
		talkative(w, r)
	}), "OPENCLAW_MCP_AUTH=token", "OPENCLAW_MCP_TOKENS="+strings.Join(tokens, ","))
	var texts []string
	for i := range 100 {
		_, text := named(t, s, names[i%4]).call(t, "send_chat_message", params{"instance": "i1", "session": fmt.Sprint("s", i), "message": "hello", "wait_seconds": 0})
		texts = append(texts, text)
	}
	const all = 100 * (7<<20 - 64<<10)
	for end := time.Now().Add(patience); flood.Load() < all && s.memory(t) < 1000 && time.Now().Before(end); {
		time.Sleep(10 * time.Millisecond)
	}
	t.Logf("%d MiB when %d MiB were said", s.memory(t), flood.Load()>>20)
	if m := s.memory(t); m > 400 {
		t.Errorf("it took %d MiB", m)
	}
	_, text := named(t, s, names[0]).call(t, "send_chat_message", params{"instance": "short", "session": "s", "message": "hello"})
	if !strings.Contains(text, "echo of hello") || strings.Contains(text, "no memory") {
		t.Errorf("a short reply: %s", text)
	}
	word := regexp.MustCompile(`run-\w+|run_[\w-]+`).FindString(texts[99])
	_, text = named(t, s, names[3]).call(t, "wait_run", params{"runs": []string{word}, "wait_seconds": 0})
	t.Logf("%.300s … %s", text, text[max(0, len(text)-600):])
	if !strings.Contains(text, "words and more words") {
		t.Errorf("the last reply: %.600s", text)
	}
}

// The ends of large files, where there are no commands to find them with, take little memory,
// also for many calls at once. Sixty of them once took 1.9 GB.
func TestManyLargeReads(t *testing.T) {
	line := strings.Repeat("words and more words. ", 3) + "\n"
	url := service(t, func(w http.ResponseWriter, r *http.Request) {
		switch at := strings.TrimPrefix(r.URL.Path, "/api/instances/i1"); at {
		case "/files/read":
			w.Header().Set("Content-Type", "application/octet-stream")
			for range (20 << 20) / len(line) / 100 {
				if _, err := io.WriteString(w, strings.Repeat(line, 100)); err != nil {
					return
				}
			}
		case "/terminal/exec":
			w.WriteHeader(http.StatusForbidden)
		default:
			instances(anyKey)(w, r)
		}
	})
	for _, c := range []struct {
		tool string
		args params
	}{
		{"read_file", params{"instance": "i1", "path": "/workspace/f", "line": -1}},
		{"read_file", params{"instance": "i1", "path": "/workspace/f", "offset": -100}},
	} {
		s := serve(t, "OPENCLAW_API_KEY="+serverKey, "OPENCLAW_API_BASE_URL="+url)
		var wg sync.WaitGroup
		for range 60 {
			wg.Go(func() { newCaller(t, s.url).call(t, c.tool, c.args) })
		}
		wg.Wait()
		t.Logf("%s %v: %d MiB", c.tool, c.args, s.memory(t))
		if m := s.memory(t); m > 300 {
			t.Errorf("%s %v: it took %d MiB", c.tool, c.args, m)
		}
	}
}

// Large answers are read one after the other: 24 histories at once once took 1.3 GB, and 24
// outputs of commands 509 MiB.
func TestManyLargeAnswers(t *testing.T) {
	url := service(t, large)
	for _, c := range []struct {
		tool, key string
		args      params
	}{
		{"read_chat_history", "many", params{"instance": "i1", "session": "s1"}},
		{"exec_command", "quotes", params{"instance": "i1", "command": "true"}},
	} {
		s := serve(t, "OPENCLAW_API_BASE_URL="+url, "OPENCLAW_MCP_AUTH=key")
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				newCaller(t, s.url, "X-Openclaw-Api-Key", c.key+"-of-the-service").call(t, c.tool, c.args)
			})
		}
		wg.Wait()
		t.Logf("%s, %s: %d MiB", c.tool, c.key, s.memory(t))
		if m := s.memory(t); m > 400 {
			t.Errorf("%s, %s: it took %d MiB", c.tool, c.key, m)
		}
	}
}

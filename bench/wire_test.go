package bench

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
)

// The two protocol versions that are measured.
const (
	legacy = "2025-11-25" // sessions, opened by initialize
	modern = "2026-07-28" // stateless
)

// request is a JSON-RPC request or notification.
type request struct {
	method   string
	tool     string       // of tools/call
	params   string       // members of params, as JSON without the braces
	progress func([]byte) // gets progress notifications; nil: asks for none
}

// call is a request to call a tool with arguments, which are JSON.
func call(tool, arguments string) request {
	return request{method: "tools/call", tool: tool, params: fmt.Sprintf(`"name":%q,"arguments":%s,`, tool, arguments)}
}

func (r request) isNotification() bool { return strings.HasPrefix(r.method, "notifications/") }

var (
	initialize = request{method: "initialize", params: `"protocolVersion":"` + legacy +
		`","clientInfo":{"name":"bench","version":"1"},"capabilities":{},`}
	initialized = request{method: "notifications/initialized"}
)

// encode renders the request on one line; without an id it is a notification. The
// id is the progress token, too.
func (r request) encode(version, id string) []byte {
	var meta []string
	if version == modern {
		meta = append(meta, `"io.modelcontextprotocol/protocolVersion":"`+modern+`"`,
			`"io.modelcontextprotocol/clientInfo":{"name":"bench","version":"1"}`, `"io.modelcontextprotocol/clientCapabilities":{}`)
	}
	if r.progress != nil {
		meta = append(meta, `"progressToken":`+id)
	}
	if id != "" {
		id = `"id":` + id + `,`
	}
	return []byte(`{"jsonrpc":"2.0",` + id + `"method":"` + r.method + `","params":{` + r.params + `"_meta":{` + strings.Join(meta, ",") + "}}}\n")
}

// message is what a server sends: an answer, or a notification about a request.
type message struct {
	raw      []byte
	id       string // of the request that it is about
	isAnswer bool
}

func parse(raw []byte) message {
	var m struct {
		ID, Method json.RawMessage
		Params     struct{ ProgressToken json.RawMessage }
	}
	_ = json.Unmarshal(raw, &m) // what is not JSON is about no request
	if m.Method == nil {
		return message{raw, string(m.ID), true}
	}
	return message{raw, string(m.Params.ProgressToken), false}
}

// answer returns an error for an answer that is not a successful result.
func (r request) answer(raw []byte) ([]byte, error) {
	if !bytes.Contains(raw, []byte(`"result":`)) || bytes.Contains(raw, []byte(`"isError":true`)) {
		return nil, fmt.Errorf("%s %s failed: %.500s", r.method, r.tool, raw)
	}
	return raw, nil
}

// link sends requests to a server.
type link interface {
	// ask sends a request and returns the answer to it, which is a success.
	ask(r request) (answer []byte, err error)
}

type stdioLink struct {
	version string
	in      io.Writer
	ended   chan struct{} // closed when the server's output has ended

	mu      sync.Mutex
	last    int
	waiting map[string]chan message // by id
}

func newStdioLink(in io.Writer, out io.Reader, version string) *stdioLink {
	l := &stdioLink{version: version, in: in, ended: make(chan struct{}), waiting: map[string]chan message{}}
	go l.read(out)
	return l
}

func (l *stdioLink) read(out io.Reader) {
	defer close(l.ended)
	r := bufio.NewReaderSize(out, 64<<10)
	for {
		line, err := r.ReadBytes('\n')
		if err != nil {
			return
		}
		m := parse(line)
		l.mu.Lock()
		messages := l.waiting[m.id]
		l.mu.Unlock()
		if messages != nil {
			messages <- m
		}
	}
}

func (l *stdioLink) ask(r request) ([]byte, error) {
	messages, id := make(chan message, 16), ""
	l.mu.Lock()
	if !r.isNotification() {
		l.last++
		id = strconv.Itoa(l.last)
		l.waiting[id] = messages
	}
	_, err := l.in.Write(r.encode(l.version, id))
	l.mu.Unlock()
	if err != nil || id == "" {
		return nil, err
	}
	defer func() {
		l.mu.Lock()
		delete(l.waiting, id)
		l.mu.Unlock()
	}()
	for {
		select {
		case m := <-messages:
			if m.isAnswer {
				return r.answer(m.raw)
			}
			r.progress(m.raw)
		case <-l.ended:
			return nil, errors.New("the server ended before it answered")
		}
	}
}

// httpLink is one connection that is kept alive. It writes HTTP/1.1 itself: on
// the same cores as the server, [http.Client] would take as long as the server.
type httpLink struct {
	version, host, session string
	conn                   net.Conn
	r                      *bufio.Reader
}

func (l *httpLink) ask(r request) ([]byte, error) {
	id := "1"
	if r.isNotification() {
		id = ""
	}
	body := r.encode(l.version, id)
	var b bytes.Buffer
	fmt.Fprintf(&b, "POST /mcp HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nAccept: application/json, text/event-stream\r\nContent-Length: %d\r\n", l.host, len(body))
	if l.version == modern {
		fmt.Fprintf(&b, "Mcp-Protocol-Version: %s\r\nMcp-Method: %s\r\nMcp-Name: %s\r\n", modern, r.method, r.tool)
	} else if l.session != "" {
		fmt.Fprintf(&b, "Mcp-Protocol-Version: %s\r\nMcp-Session-Id: %s\r\n", legacy, l.session)
	}
	b.WriteString("\r\n")
	b.Write(body)
	if _, err := l.conn.Write(b.Bytes()); err != nil {
		return nil, err
	}
	res, err := http.ReadResponse(l.r, nil)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if id := res.Header.Get("Mcp-Session-Id"); id != "" {
		l.session = id
	}
	if !strings.HasPrefix(res.Header.Get("Content-Type"), "text/event-stream") {
		raw, err := io.ReadAll(res.Body)
		if err != nil || id == "" {
			return nil, err
		}
		return r.answer(raw)
	}
	var answer []byte
	events := bufio.NewReader(res.Body)
	for {
		line, err := events.ReadBytes('\n')
		if data, ok := bytes.CutPrefix(line, []byte("data:")); ok {
			if m := parse(data); m.isAnswer {
				answer = m.raw
			} else {
				r.progress(m.raw)
			}
		}
		if errors.Is(err, io.EOF) && answer != nil {
			return r.answer(answer)
		}
		if err != nil {
			return nil, fmt.Errorf("the stream ended before the answer: %w", err)
		}
	}
}

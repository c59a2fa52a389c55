package emulatortest

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/coder/websocket"
)

// SocketFault is what goes wrong on a WebSocket once it is open. A refused
// upgrade is a Fault with a Status.
type SocketFault struct {
	Subprotocol string // clients that do not offer it are refused with 400

	Text    string // a text message that comes first
	Garbage string // bytes that come before the server's first
	Silent  bool   // nothing is said until the client leaves
	Split   int    // messages of at most so many bytes; 0 = as they come
	Flood   int64  // of terminals: so many bytes of lines before the shell's own output

	// CutBytes drops the connection after so many bytes of the server's;
	// AtStart = before the first. With CloseCode it is closed properly; CloseCode
	// alone closes it at once.
	CutBytes    int
	CloseCode   int
	CloseReason string
}

// begin does what comes before the server's first byte. It says whether the
// relay goes on.
func (f *SocketFault) begin(ctx context.Context, ws *websocket.Conn) bool {
	if f.Text != "" && ws.Write(ctx, websocket.MessageText, []byte(f.Text)) != nil {
		return false
	}
	if f.Garbage != "" && ws.Write(ctx, websocket.MessageBinary, []byte(f.Garbage)) != nil {
		return false
	}
	if f.Silent {
		<-ctx.Done() // somebody reads what the client says, until it leaves
		return false
	}
	if f.CutBytes == AtStart || f.CutBytes == 0 && f.CloseCode != 0 {
		f.end(ws)
		return false
	}
	return true
}

func (f *SocketFault) end(ws *websocket.Conn) {
	if f.CloseCode != 0 {
		ws.Close(websocket.StatusCode(f.CloseCode), f.CloseReason)
		return
	}
	ws.CloseNow()
}

// socketFault gives the fault that applies to a request.
func socketFault(w http.ResponseWriter) SocketFault {
	if fw, ok := w.(*faultWriter); ok && fw.fault.Socket != nil {
		return *fw.fault.Socket
	}
	return SocketFault{}
}

// relays says whether a WebSocket is to be translated. Otherwise the emulator
// takes it over.
func (s *Server) relays(endpoint string, w http.ResponseWriter, r *http.Request) bool {
	if !strings.EqualFold(r.Header.Get("Upgrade"), "websocket") {
		return false
	}
	translated := endpoint == terminalSocket && s.opts.Terminal != "" && s.opts.Terminal != TerminalT1
	return translated || socketFault(w) != SocketFault{}
}

// socket is a WebSocket that is relayed.
type socket struct {
	fault  SocketFault
	client *websocket.Conn
	inner  *websocket.Conn // of the emulator
	sent   int             // bytes of the emulator's so far
}

// relay stands between a client and a WebSocket of the emulator.
func (s *Server) relay(endpoint string, w http.ResponseWriter, r *http.Request) {
	sock := &socket{fault: socketFault(w)}
	if p := sock.fault.Subprotocol; p != "" && !strings.Contains(r.Header.Get("Sec-WebSocket-Protocol"), p) {
		w.WriteHeader(http.StatusBadRequest)
		w.Write(encode(s.opts.Messages.failure(http.StatusBadRequest, object{"error": "bad_request", "message": "The subprotocol " + p + " is needed"})))
		return
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(s.ctx, cancel)()
	if !s.dial(ctx, w, r, sock) {
		return
	}
	defer sock.inner.CloseNow()
	accept := &websocket.AcceptOptions{}
	switch {
	case endpoint == desktopSocket:
		accept.Subprotocols = []string{"binary"}
	case s.opts.Terminal == TerminalT4:
		accept.Subprotocols = []string{"tty"}
	}
	var err error
	if sock.client, err = websocket.Accept(w, r, accept); err != nil {
		return // it has answered
	}
	defer sock.client.CloseNow()
	sock.client.SetReadLimit(1 << 20)
	if endpoint == desktopSocket {
		sock.both(ctx, sock.begin, sock.desktopInput, sock.desktopOutput)
		return
	}
	t := &terminal{socket: sock, family: s.opts.Terminal}
	if t.family == "" {
		t.family = TerminalT1
	}
	switch {
	case sock.fault.Silent || t.family == TerminalT4 && sock.client.Subprotocol() == "":
		sock.inner.CloseNow()
		<-sock.client.CloseRead(ctx).Done()
	case t.family == TerminalT5:
		s.lines(ctx, r, t)
	default:
		t.serve(ctx)
	}
}

// dial connects to the emulator, or answers as it does.
func (s *Server) dial(ctx context.Context, w http.ResponseWriter, r *http.Request, sock *socket) bool {
	url, err := s.backendURL()
	var resp *http.Response
	if err == nil {
		transport := &http.Transport{}
		defer transport.CloseIdleConnections()
		sock.inner, resp, err = websocket.Dial(ctx, url+r.URL.RequestURI(), &websocket.DialOptions{
			HTTPClient: &http.Client{Transport: transport}, HTTPHeader: http.Header{"Authorization": r.Header["Authorization"]},
		})
	}
	if err == nil {
		sock.inner.SetReadLimit(-1)
		return true
	}
	if resp == nil || resp.Body == nil {
		w.WriteHeader(http.StatusBadGateway)
		return false
	}
	t := &translator{ResponseWriter: w, json: func(status int, body any) (int, any) {
		o, _ := body.(object)
		return status, s.opts.Messages.failure(status, o)
	}}
	setHeader(t, http.Header{"Content-Type": resp.Header["Content-Type"]})
	t.WriteHeader(resp.StatusCode)
	io.Copy(t, resp.Body)
	t.finish()
	return false
}

// both passes on messages in both directions until either side ends. first is
// what the client hears before the emulator's messages; it says whether to go on.
// The end of one side becomes that of the other: a proper close stays one, and a
// broken connection is broken there, too.
func (k *socket) both(ctx context.Context, first func(context.Context) bool, input, output func(context.Context, message) error) {
	ctx, cancel := context.WithCancel(ctx)
	var wait sync.WaitGroup
	pass := func(from, to *websocket.Conn, each func(context.Context, message) error) {
		defer cancel()
		for {
			kind, data, err := from.Read(ctx)
			if err != nil {
				if closed, ok := errors.AsType[websocket.CloseError](err); ok && closed.Code != websocket.StatusNoStatusRcvd {
					to.Close(closed.Code, closed.Reason)
				} else if ok {
					to.Close(websocket.StatusNormalClosure, "")
				}
				to.CloseNow()
				return
			}
			if each(ctx, message{kind, data}) != nil {
				return
			}
		}
	}
	wait.Go(func() { pass(k.client, k.inner, input) })
	if first(ctx) {
		pass(k.inner, k.client, output)
	}
	cancel()
	k.inner.CloseNow()
	k.client.CloseNow()
	wait.Wait()
}

func (k *socket) begin(ctx context.Context) bool { return k.fault.begin(ctx, k.client) }

func (k *socket) desktopInput(ctx context.Context, m message) error {
	return k.inner.Write(ctx, m.kind, m.data)
}

func (k *socket) desktopOutput(ctx context.Context, m message) error {
	return k.print(ctx, m.data, func(p []byte) message { return message{websocket.MessageBinary, p} })
}

// print sends bytes of the emulator's, as the fault has it.
func (k *socket) print(ctx context.Context, p []byte, frame func([]byte) message) error {
	for len(p) > 0 {
		n := len(p)
		if k.fault.Split > 0 {
			n = min(n, k.fault.Split)
		}
		if k.fault.CutBytes > 0 {
			if k.sent >= k.fault.CutBytes {
				k.inner.CloseNow()
				k.fault.end(k.client)
				return errCut
			}
			n = min(n, k.fault.CutBytes-k.sent)
		}
		m := frame(p[:n])
		if err := k.client.Write(ctx, m.kind, m.data); err != nil {
			return err
		}
		k.sent += n
		p = p[n:]
	}
	return nil
}

// terminal is a relayed terminal/ws.
type terminal struct {
	*socket
	family TerminalFamily
}

// serve relays a terminal that is a stream of bytes.
func (t *terminal) serve(ctx context.Context) {
	if t.family == TerminalT4 && !t.hello(ctx) {
		return
	}
	t.both(ctx, func(ctx context.Context) bool {
		if !t.begin(ctx) {
			return false
		}
		_, ready, err := t.inner.Read(ctx)
		if err != nil {
			return false
		}
		for _, m := range t.family.greeting(ready) {
			if t.client.Write(ctx, m.kind, m.data) != nil {
				return false
			}
		}
		return t.flood(ctx)
	}, t.input, t.output)
}

// hello waits for the first message of a ttyd client.
func (t *terminal) hello(ctx context.Context) bool {
	_, raw, err := t.client.Read(ctx)
	if err != nil {
		return false
	}
	size := readSize(raw)
	if size.problem != "" || !bytes.Contains(raw, []byte(`"AuthToken"`)) {
		t.client.Close(websocket.StatusPolicyViolation, "the first message has to be the handshake")
		return false
	}
	return t.say(ctx, object{"type": "resize", "cols": size.cols, "rows": size.rows}) == nil
}

// say sends the emulator a message.
func (t *terminal) say(ctx context.Context, v object) error {
	return t.inner.Write(ctx, websocket.MessageText, encode(v))
}

// complain tells the client of a mistake of its own.
func (t *terminal) complain(ctx context.Context, problem string) error {
	if t.family == TerminalT2 || t.family == TerminalT4 {
		return nil
	}
	return t.client.Write(ctx, websocket.MessageText, encode(object{"type": "error", "message": problem}))
}

// input passes on a message of the client's.
func (t *terminal) input(ctx context.Context, m message) error {
	in := t.family.readInput(m)
	switch {
	case in.problem != "":
		return t.complain(ctx, in.problem)
	case in.cols > 0:
		return t.say(ctx, object{"type": "resize", "cols": in.cols, "rows": in.rows})
	case len(in.data) == 0:
		return nil
	case utf8.Valid(in.data):
		return t.say(ctx, object{"type": "input", "data": string(in.data)})
	}
	return t.say(ctx, object{"type": "input", "encoding": "base64", "data": in.data})
}

// output passes on a message of the emulator's.
func (t *terminal) output(ctx context.Context, m message) error {
	var out struct {
		Type     string `json:"type"`
		Data     string `json:"data"`
		Encoding string `json:"encoding"`
		Code     int    `json:"code"`
		Message  string `json:"message"`
	}
	if err := json.Unmarshal(m.data, &out); err != nil {
		return err
	}
	switch out.Type {
	case "output":
		p := []byte(out.Data)
		if out.Encoding == "base64" {
			var err error
			if p, err = base64.StdEncoding.DecodeString(out.Data); err != nil {
				return err
			}
		}
		return t.print(ctx, p, t.family.outputMessage)
	case "exit":
		for _, m := range t.family.farewell(out.Code) {
			if err := t.client.Write(ctx, m.kind, m.data); err != nil {
				return err
			}
		}
	case "error":
		return t.complain(ctx, out.Message)
	}
	return nil
}

// floodLine is what a flood is made of.
const floodLine = "The quick brown fox jumps over the lazy dog; 0123456789.\r\n"

// flood sends output without a pause.
func (t *terminal) flood(ctx context.Context) bool {
	chunk := bytes.Repeat([]byte(floodLine), 512)
	for left := t.fault.Flood; left > 0; left -= int64(len(chunk)) {
		if t.print(ctx, chunk[:min(left, int64(len(chunk)))], t.family.outputMessage) != nil {
			return false
		}
	}
	return true
}

// lines runs commands one by one. The emulator's shell is idle meanwhile: its
// connection tells when the instance ends.
func (s *Server) lines(ctx context.Context, r *http.Request, t *terminal) {
	send := func(v object) error { return t.client.Write(ctx, websocket.MessageText, encode(v)) }
	first := func(ctx context.Context) bool {
		return t.begin(ctx) && t.flood(ctx) && send(object{"type": "result", "stdout": "", "stderr": "", "exit_code": 0}) == nil
	}
	command := func(ctx context.Context, m message) error {
		in := t.family.readInput(m)
		if in.command == nil {
			return t.complain(ctx, in.problem)
		}
		call, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(r.URL.Path, "/ws")+"/exec",
			bytes.NewReader(encode(object{"command": *in.command})))
		if err != nil {
			return err
		}
		call.Header.Set("Authorization", r.Header.Get("Authorization"))
		answer := httptest.NewRecorder()
		s.service.ServeHTTP(answer, call)
		var o object
		_ = json.Unmarshal(answer.Body.Bytes(), &o)
		if answer.Code != http.StatusOK {
			return t.complain(ctx, text(o["message"]))
		}
		return send(object{"type": "result", "stdout": o["stdout"], "stderr": o["stderr"], "exit_code": o["exit_code"]})
	}
	t.both(ctx, first, command, func(context.Context, message) error { return nil })
}

// Package emulatortest is the embedded service for tests: it answers in any of
// the forms that the real service may have (its documentation leaves them open),
// fails on demand, and counts what it is asked.
//
// It stands in front of an emulator.Server as a proxy would, and translates what
// goes through. So nothing of it is in the service that users run.
package emulatortest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"openclaw-mcp/internal/emulator"
)

// Options configure a Server. The zero value works: it answers as the embedded
// service itself does.
type Options struct {
	Family   Family         // form of POST chat/stream; "" = FamilyD
	Messages Dialect        // form of instances, sessions, messages, files and errors; "" = Snake
	Exec     Dialect        // form of exec results; "" = Snake
	Terminal TerminalFamily // frames of terminal/ws; "" = TerminalT1

	RawFiles     bool          // files/read answers the bytes themselves instead of JSON
	FileNames    bool          // files answers {"files":[…]}: names only, all levels
	EventsAsPoll bool          // chat/events answers {"events":[…],"next":…} as a long poll instead of SSE
	PollWait     time.Duration // how long a long poll waits for news; 0 = 20 s

	// Shell runs the commands of terminal/exec in place of the service's own, which
	// is bash where there is one: dash, for example, takes half its time.
	Shell string

	Faults []Fault

	// Wrap goes around the embedded service itself, behind faults and dialects.
	Wrap func(http.Handler) http.Handler

	// The rest is as in emulator.Options.

	Dir           string
	Keys          []string
	OwnKey        bool
	TerminalGrace time.Duration
	Pace          time.Duration
	CreateDelay   time.Duration
	RebootDelay   time.Duration
	Heartbeat     time.Duration
	InviteCode    string
	Capacity      int
	MaxExecOutput int64
	Sandbox       emulator.SandboxMode
	Path          string
	VNC           string
	Agent         emulator.Agent
	Clock         func() time.Time
	Logger        *slog.Logger
}

func (o Options) check() error {
	switch {
	case o.Family != "" && !slices.Contains(Families(), o.Family):
		return fmt.Errorf("emulatortest: unknown stream family %q", o.Family)
	case o.Messages != "" && !slices.Contains([]Dialect{Snake, Camel, Wrapped}, o.Messages):
		return fmt.Errorf("emulatortest: unknown message dialect %q", o.Messages)
	case o.Exec != "" && !slices.Contains([]Dialect{Snake, Camel, Wrapped, Output, Bare}, o.Exec):
		return fmt.Errorf("emulatortest: unknown exec dialect %q", o.Exec)
	case o.Terminal != "" && !slices.Contains([]TerminalFamily{TerminalT1, TerminalT2, TerminalT3, TerminalT4, TerminalT5}, o.Terminal):
		return fmt.Errorf("emulatortest: unknown terminal family %q", o.Terminal)
	}
	return nil
}

// Server is an emulator.Server behind faults and dialects. It is safe for
// concurrent use.
type Server struct {
	*emulator.Server
	service http.Handler // the emulator.Server, wrapped
	opts    Options
	faults  faultSet
	ctx     context.Context // ends on Close
	cancel  context.CancelFunc

	streams, terminals, desktops atomic.Int64 // requests that are being answered

	mu        sync.Mutex       // guards the rest
	backend   *httptest.Server // the emulator on a socket; nil until a WebSocket needs it
	calls     map[string]int
	mutations int
}

// New makes a server.
func New(opts Options) (*Server, error) {
	if err := opts.check(); err != nil {
		return nil, err
	}
	if opts.PollWait <= 0 {
		opts.PollWait = 20 * time.Second
	}
	agent := opts.Agent
	if opts.Family == FamilyF {
		agent = tellUpdates(agent)
	}
	service, err := emulator.New(emulator.Options{
		Dir: opts.Dir, Keys: opts.Keys, OwnKey: opts.OwnKey, TerminalGrace: opts.TerminalGrace, Pace: opts.Pace,
		CreateDelay: opts.CreateDelay, RebootDelay: opts.RebootDelay, Heartbeat: opts.Heartbeat, InviteCode: opts.InviteCode,
		Capacity: opts.Capacity, MaxExecOutput: opts.MaxExecOutput, Sandbox: opts.Sandbox, Path: opts.Path, VNC: opts.VNC, Agent: agent,
		Clock: opts.Clock, Logger: opts.Logger,
	})
	if err != nil {
		return nil, err
	}
	s := &Server{Server: service, service: service, opts: opts, calls: map[string]int{}}
	if opts.Wrap != nil {
		s.service = opts.Wrap(service)
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.faults.set(opts.Faults)
	return s, nil
}

// Close ends stalls, and then closes the emulator.
func (s *Server) Close() error {
	s.cancel()
	err := s.Server.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.backend != nil {
		s.backend.Close()
		s.backend = nil
	}
	return err
}

// SetFaults replaces all faults and starts their counting of calls anew.
func (s *Server) SetFaults(faults ...Fault) { s.faults.set(faults) }

// Calls gives the number of requests received for an endpoint, which is named
// as in "POST /instances/{instance}/chat/stream".
func (s *Server) Calls(endpoint string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[endpoint]
}

// Mutations gives the number of requests received that could change anything:
// all POSTs, whether they succeeded or not.
func (s *Server) Mutations() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mutations
}

// OpenStreams gives the number of chat/stream and chat/events requests that are
// being answered now.
func (s *Server) OpenStreams() int { return int(s.streams.Load()) }

// OpenTerminals gives the number of terminal/ws sockets that are open now.
func (s *Server) OpenTerminals() int { return int(s.terminals.Load()) }

// OpenDesktops gives the number of vnc/ws sockets that are open now.
func (s *Server) OpenDesktops() int { return int(s.desktops.Load()) }

// endpointOf names the endpoint of a request as in "GET /instances/{instance}/files".
func endpointOf(r *http.Request) string {
	path := r.URL.Path
	if rest, ok := strings.CutPrefix(path, "/api"); ok && (rest == "" || rest[0] == '/') {
		path = rest
	}
	if path == "" {
		path = "/"
	}
	if parts := strings.Split(path, "/"); len(parts) > 2 && parts[1] == "instances" && parts[2] != "" {
		parts[2] = "{instance}"
		path = strings.Join(parts, "/")
	}
	return r.Method + " " + path
}

// instanceOf gives the instance that a request is about.
func instanceOf(r *http.Request) string {
	_, rest, _ := strings.Cut(r.URL.Path, "/instances/")
	id, _, _ := strings.Cut(rest, "/")
	return id
}

// ServeHTTP answers a request of the API.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	endpoint := endpointOf(r)
	s.mu.Lock()
	s.calls[endpoint]++
	if r.Method == http.MethodPost {
		s.mutations++
	}
	s.mu.Unlock()
	if s.ctx.Err() != nil {
		s.service.ServeHTTP(w, r)
		return
	}
	s.faults.serve(s.ctx, endpoint, w, r, func(w http.ResponseWriter) {
		open := map[string]*atomic.Int64{chatStream: &s.streams, chatEvents: &s.streams, terminalSocket: &s.terminals, desktopSocket: &s.desktops}[endpoint]
		if open != nil {
			open.Add(1)
			defer open.Add(-1)
		}
		s.answer(endpoint, w, r)
	})
}

// The endpoints that are more than JSON.
const (
	chat           = "POST /instances/{instance}/chat"
	chatStream     = "POST /instances/{instance}/chat/stream"
	chatEvents     = "GET /instances/{instance}/chat/events"
	terminalExec   = "POST /instances/{instance}/terminal/exec"
	terminalSocket = "GET /instances/{instance}/terminal/ws"
	desktopSocket  = "GET /instances/{instance}/vnc/ws"
	listFiles      = "GET /instances/{instance}/files"
	openAPI        = "GET /openapi.json"
	readFile       = "GET /instances/{instance}/files/read"
)

// answer has the emulator answer, and translates.
func (s *Server) answer(endpoint string, w http.ResponseWriter, r *http.Request) {
	t := &translator{ResponseWriter: w, json: func(status int, body any) (int, any) { return s.translate(endpoint, r, status, body) }}
	needed := s.opts.Messages != "" && s.opts.Messages != Snake
	switch endpoint {
	case openAPI:
		needed = false // it describes the embedded service, whatever the dialect
	case terminalSocket, desktopSocket:
		if s.relays(endpoint, w, r) {
			s.relay(endpoint, w, r)
			return
		}
		if strings.EqualFold(r.Header.Get("Upgrade"), "websocket") {
			needed = false // its connection is taken over
		}
	case chatStream:
		switch s.opts.Family {
		case "", FamilyD:
			t.event = s.translateDone(w)
		case FamilyJSON:
			endpoint = chat // for translate
			r = r.Clone(r.Context())
			r.URL.Path = strings.TrimSuffix(r.URL.Path, "/stream")
		default:
			needed = true
			t.event = s.newFamily(w)
			if s.opts.Family == FamilyNDJSON {
				t.contentType = "application/x-ndjson"
				t.comment = func() { writeLine(w, object{"type": "heartbeat"}) }
			}
		}
	case chatEvents:
		if s.opts.EventsAsPoll {
			s.poll(t, r)
			return
		}
		t.event = s.translateMessage(w)
	case terminalExec:
		needed = needed || s.opts.Exec != "" && s.opts.Exec != Snake
		if s.opts.Exec == Output {
			r = rewriteCommand(r, func(c string) string { return "exec 2>&1; " + c })
		}
		if s.opts.Shell != "" {
			r = rewriteCommand(r, func(c string) string { return "exec " + s.opts.Shell + " -c " + quote(c) })
		}
	case listFiles:
		needed = needed || s.opts.FileNames
	case readFile:
		needed = needed || s.opts.RawFiles
	}
	if !needed {
		s.service.ServeHTTP(w, r)
		return
	}
	s.service.ServeHTTP(t, r)
	t.finish()
}

// errClosed is what a WebSocket meets that comes too late.
var errClosed = errors.New("emulatortest: closed")

// backendURL gives the address of the emulator itself.
func (s *Server) backendURL() (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx.Err() != nil {
		return "", errClosed
	}
	if s.backend == nil {
		s.backend = httptest.NewServer(s.service)
	}
	return s.backend.URL, nil
}

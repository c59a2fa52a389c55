package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"openclaw-mcp/internal/emulator"
)

const serviceKey = "sk_live_of_the_bench"

// service is the upstream: it answers from memory what the embedded service
// answered once, so that its own share of the time is small; or, where real work
// is measured, it is the embedded service. Chat streams are its own.
type service struct {
	emulator *emulator.Server
	server   *http.Server
	url      string // of the API
	instance string
	apart    bool        // it runs in a process of its own; see startApart
	real     atomic.Bool // nothing is answered from memory

	mu      sync.Mutex
	answers map[string]*httptest.ResponseRecorder
	log     []request // nil while nothing is recorded
	logging bool
}

// request is one that came.
type request struct {
	method, uri string
	body        []byte
}

func newService(dir string) (*service, error) {
	s := &service{answers: map[string]*httptest.ResponseRecorder{}}
	var err error
	if s.emulator, err = emulator.New(emulator.Options{Keys: []string{serviceKey}, Dir: dir}); err != nil {
		return nil, err
	}
	if s.instance, err = s.emulator.AddInstance(serviceKey); err != nil {
		return nil, errors.Join(err, s.emulator.Close())
	}
	src := filepath.Join(s.emulator.Workspace(s.instance), "src")
	if err := os.MkdirAll(src, 0o755); err != nil {
		return nil, errors.Join(err, s.emulator.Close())
	}
	for i := range 20 {
		text := strings.Repeat(fmt.Sprintf("line %d of a file\n", i), 200)
		if err := os.WriteFile(filepath.Join(src, fmt.Sprintf("f%02d.txt", i)), []byte(text), 0o644); err != nil {
			return nil, errors.Join(err, s.emulator.Close())
		}
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, errors.Join(err, s.emulator.Close())
	}
	s.url = fmt.Sprintf("http://%s/api", ln.Addr())
	s.server = &http.Server{Handler: s, ReadHeaderTimeout: time.Minute}
	go func() { _ = s.server.Serve(ln) }()
	return s, nil
}

func (s *service) close() error { return errors.Join(s.server.Close(), s.emulator.Close()) }

// record gives the requests that come while f runs.
func (s *service) record(f func() error) ([]request, error) {
	if s.apart {
		if _, err := s.takeLog(); err != nil {
			return nil, err
		}
		if err := f(); err != nil {
			return nil, err
		}
		return s.takeLog()
	}
	s.mu.Lock()
	s.log, s.logging = nil, true
	s.mu.Unlock()
	err := f()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.logging = false
	return s.log, err
}

// ServeHTTP implements [http.Handler].
func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.URL.Path == logPath:
		s.handOver(w)
		return
	case strings.HasSuffix(r.URL.Path, "/chat/stream"):
		streamChat(w, r)
		return
	case strings.HasSuffix(r.URL.Path, "/chat/messages"):
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, "[]")
		return
	case strings.HasSuffix(r.URL.Path, "/chat/events"):
		w.Header().Set("Content-Type", "text/event-stream")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	s.mu.Lock()
	if s.logging {
		s.log = append(s.log, request{r.Method, r.URL.RequestURI(), body})
	}
	key := r.Method + r.URL.RequestURI() + string(body)
	answer := s.answers[key]
	s.mu.Unlock()
	if s.real.Load() {
		s.emulator.ServeHTTP(w, r)
		return
	}
	if answer == nil {
		answer = httptest.NewRecorder()
		s.emulator.ServeHTTP(answer, r)
		s.mu.Lock()
		s.answers[key] = answer
		s.mu.Unlock()
	}
	w.Header().Set("Content-Type", answer.Header().Get("Content-Type"))
	w.WriteHeader(answer.Code)
	_, _ = w.Write(answer.Body.Bytes())
}

// script is a chat message that says how the reply to it is to come.
type script struct {
	Events int           `json:"events"`
	After  time.Duration `json:"after,omitempty"` // before the first
	Every  time.Duration `json:"every,omitempty"` // 0: as fast as they are taken
}

func (s script) message() string {
	b, _ := json.Marshal(s) // three numbers
	return string(b)
}

// epoch is what the stamps in events count from: this process sends and receives
// them, so its monotonic clock measures their way.
var epoch = time.Now()

// stamp is an event's text: when it was sent.
func stamp() string { return fmt.Sprintf("T%d;", time.Since(epoch)) }

// streamChat streams the reply that the message asks for.
func streamChat(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Message string `json:"message"`
	}
	var s script
	if err := cmp.Or(json.NewDecoder(r.Body).Decode(&in), json.Unmarshal([]byte(in.Message), &s)); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	flusher := http.NewResponseController(w)
	_ = flusher.Flush()
	next := time.Now().Add(s.After)
	for range s.Events {
		if s.Every > 0 {
			select {
			case <-time.After(time.Until(next)):
			case <-r.Context().Done():
				return
			}
			next = next.Add(s.Every)
		}
		if _, err := fmt.Fprintf(w, "event: delta\ndata: {\"delta\":\"%s\"}\n\n", stamp()); err != nil {
			return
		}
		if s.Every > 0 {
			_ = flusher.Flush()
		}
	}
	_, _ = io.WriteString(w, "event: done\ndata: {}\n\n")
}

package doctor

import (
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// Request is one request and its answer, without anything that either held.
type Request struct {
	Method      string `json:"method"`
	Path        string `json:"path"` // a template: ids and values are left out
	Status      int    `json:"status,omitempty"`
	ContentType string `json:"content_type,omitempty"`
	Millis      int64  `json:"ms"`               // until the header of the answer came, or the failure
	Keys        string `json:"keys,omitempty"`   // names of keys, in their places
	Stream      string `json:"stream,omitempty"` // what family of stream it was
	Events      string `json:"events,omitempty"` // of a stream: its events' names and keys
}

// maxSample bounds how much of an answer is looked at.
const maxSample = 256 << 10

// recorder passes requests on and notes how they went.
type recorder struct {
	next http.RoundTripper
	base string // the service's URL

	mu    sync.Mutex
	notes []*note
	skews []time.Duration
}

type note struct {
	request Request
	mu      sync.Mutex
	sample  []byte
}

// RoundTrip implements http.RoundTripper.
func (r *recorder) RoundTrip(req *http.Request) (*http.Response, error) {
	n := &note{request: Request{Method: req.Method, Path: template(r.base, req.URL)}}
	if req.Header.Get("Upgrade") != "" || strings.HasSuffix(n.request.Path, "/ws") {
		n.request.Method = "WS"
	}
	start := time.Now()
	resp, err := r.next.RoundTrip(req)
	took := time.Since(start)
	n.request.Millis = took.Milliseconds()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.notes = append(r.notes, n)
	if err != nil {
		return resp, err
	}
	n.request.Status = resp.StatusCode
	if kind, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type")); err == nil {
		n.request.ContentType = kind
	}
	if date, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
		// It names the second that has started: on average half of it is over.
		r.skews = append(r.skews, date.Add(500*time.Millisecond).Sub(start.Add(took/2)))
	}
	if resp.StatusCode != http.StatusSwitchingProtocols {
		resp.Body = &sampler{ReadCloser: resp.Body, note: n}
	}
	return resp, nil
}

// sampler keeps the beginning of what is read.
type sampler struct {
	io.ReadCloser
	note *note
}

func (s *sampler) Read(p []byte) (int, error) {
	n, err := s.ReadCloser.Read(p)
	s.note.mu.Lock()
	defer s.note.mu.Unlock()
	if room := maxSample - len(s.note.sample); room > 0 {
		s.note.sample = append(s.note.sample, p[:min(n, room)]...)
	}
	return n, err
}

// peek gives the requests since the last take.
func (r *recorder) peek() []Request {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make([]Request, 0, len(r.notes))
	for _, n := range r.notes {
		n.mu.Lock()
		req := n.request
		if req.Method != "WS" && req.Status != 0 {
			describe(&req, n.sample)
		}
		n.mu.Unlock()
		all = append(all, req)
	}
	return all
}

func (r *recorder) take() []Request {
	all := r.peek()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.notes = nil
	return all
}

// skew is the median of how far the service's clock is ahead.
func (r *recorder) skew() (time.Duration, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.skews) == 0 {
		return 0, false
	}
	return median(r.skews), true
}

// template is a request's path without what identifies anything.
func template(base string, u *url.URL) string {
	path := u.Path
	if b, err := url.Parse(base); err == nil {
		path = strings.TrimPrefix(path, b.Path)
	}
	parts := strings.Split(path, "/")
	for i := 1; i < len(parts); i++ {
		if parts[i-1] == "instances" && parts[i] != "" {
			parts[i] = "{instance}"
		}
	}
	path = strings.Join(parts, "/")
	if path == "" {
		path = "/"
	}
	var keys []string
	for pair := range strings.SplitSeq(u.RawQuery, "&") {
		if key, _, ok := strings.Cut(pair, "="); ok {
			keys = append(keys, key)
		}
	}
	if len(keys) > 0 {
		path += "?" + strings.Join(keys, "&")
	}
	return path
}

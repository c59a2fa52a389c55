package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// logPath is where a service in a process of its own tells what was asked of it
// since the last time.
const logPath = "/bench/log"

// loggedRequest is a request on its way from there.
type loggedRequest struct {
	Method string `json:"method"`
	URI    string `json:"uri"`
	Body   []byte `json:"body"`
}

// serveApart is the other end of startApart: it says where it is, and serves
// until in ends.
func serveApart(in io.Reader, out io.Writer) (err error) {
	dir, err := os.MkdirTemp("", "openclaw-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	s, err := newService(filepath.Join(dir, "service"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	fmt.Fprintln(out, s.url, s.instance)
	_, err = io.Copy(io.Discard, in)
	return err
}

// startApart starts a service in a process of its own: a client that shares one
// with its service is spared the changes of process that a service costs.
func startApart(ctx context.Context) (s *service, stop func(), err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, nil, err
	}
	cmd := exec.CommandContext(ctx, self, "-serve")
	in, err1 := cmd.StdinPipe()
	out, err2 := cmd.StdoutPipe()
	if err := errors.Join(err1, err2, cmd.Start()); err != nil {
		return nil, nil, err
	}
	stop = func() {
		_ = in.Close()
		_ = cmd.Wait()
	}
	line, _ := bufio.NewReader(out).ReadString('\n')
	url, instance, ok := strings.Cut(strings.TrimSpace(line), " ")
	if !ok {
		stop()
		return nil, nil, fmt.Errorf("the service's process said %q, not where it is", line)
	}
	return &service{url: url, instance: instance, apart: true}, stop, nil
}

// handOver answers logPath, and logs what comes from then on.
func (s *service) handOver(w http.ResponseWriter) {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := []loggedRequest{}
	for _, r := range s.log {
		all = append(all, loggedRequest{r.method, r.uri, r.body})
	}
	_ = json.NewEncoder(w).Encode(all)
	s.log, s.logging = nil, !s.logging
}

// takeLog asks a service apart for its log.
func (s *service) takeLog() ([]request, error) {
	res, err := http.Get(strings.TrimSuffix(s.url, "/api") + logPath)
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }()
	var logged []loggedRequest
	if err := json.NewDecoder(res.Body).Decode(&logged); err != nil {
		return nil, err
	}
	var all []request
	for _, r := range logged {
		all = append(all, request{r.Method, r.URI, r.Body})
	}
	return all, nil
}

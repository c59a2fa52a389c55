package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
)

// maxDesktopMessage bounds one message of a desktop's socket. Messages are read
// as they come, so this much memory is never needed.
const maxDesktopMessage = 256 << 20

// errReported is the cause of errors that the service reported over a socket.
var errReported = errors.New("reported by the service")

// desktopStream is a socket as the byte stream that its binary messages make.
type desktopStream struct {
	core *core
	call call
	ws   *websocket.Conn

	ctx    context.Context // of the connection
	cancel context.CancelFunc
	pings  sync.WaitGroup

	message io.Reader   // the one being read
	silent  atomic.Bool // a ping was not answered

	closing sync.Once
}

func newDesktopStream(c *core, req call, ws *websocket.Conn) *desktopStream {
	s := &desktopStream{core: c, call: req, ws: ws}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.pings.Go(s.ping)
	return s
}

// ping finds out that the other side is gone: nothing else would, for a desktop
// on which nothing moves sends nothing.
func (s *desktopStream) ping() {
	ticker := time.NewTicker(pingEvery)
	defer ticker.Stop()
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-ticker.C:
		}
		ctx, cancel := context.WithTimeout(s.ctx, pingTimeout)
		err := s.ws.Ping(ctx)
		cancel()
		if err != nil {
			s.silent.Store(s.ctx.Err() == nil)
			s.cancel()
			return
		}
	}
}

// Read implements [io.Reader] for the goroutine that reads the connection.
func (s *desktopStream) Read(p []byte) (int, error) {
	for {
		if s.message == nil {
			kind, m, err := s.ws.Reader(s.ctx)
			if err != nil {
				return 0, s.failure(err)
			}
			if kind == websocket.MessageText {
				return 0, s.reported(m)
			}
			s.message = m
		}
		n, err := s.message.Read(p)
		if errors.Is(err, io.EOF) {
			s.message, err = nil, nil
			if n == 0 {
				continue
			}
		}
		if err != nil {
			err = s.failure(err)
		}
		return n, err
	}
}

// Write implements [io.Writer]: a message for each call.
func (s *desktopStream) Write(p []byte) (int, error) {
	if err := s.ws.Write(s.ctx, websocket.MessageBinary, p); err != nil {
		return 0, s.failure(err)
	}
	return len(p), nil
}

// Close implements [io.Closer]. It waits for nobody, so that it can be called
// when the other side does not answer.
func (s *desktopStream) Close() error {
	s.closing.Do(func() {
		s.cancel()
		_ = s.ws.CloseNow()
		s.pings.Wait()
	})
	return nil
}

// reported reads a text message, which is an error of the service.
func (s *desktopStream) reported(m io.Reader) error {
	raw := s.core.readCut(m, maxErrorBody)
	e := decodeError(0, http.Header{}, []byte(s.core.redact(string(raw))), time.Now())
	e.Err = errReported
	e.Message = "the service reports instead of showing the desktop: " + e.Message
	return s.core.finish(s.call, e)
}

// failure says why a socket ended. A close code is shown with its reason; those
// that repeat an HTTP status (44xx) count as that status.
func (s *desktopStream) failure(err error) error {
	e := &Error{Err: err}
	var closed websocket.CloseError
	switch {
	case errors.As(err, &closed):
		e.Code = fmt.Sprintf("close code %d", int(closed.Code))
		if n := int(closed.Code) - 4000; n >= 400 && http.StatusText(n) != "" {
			e.Status = n
		}
		reason := oneLine(closed.Reason, maxErrorMessage)
		if reason == "" {
			reason = "no reason given"
		}
		e.Message = "the service closed the desktop's socket: " + reason
	case s.silent.Load():
		e.Message = "the desktop's socket has gone silent: a ping was not answered within " + pingTimeout.String()
	case s.ctx.Err() != nil:
		e.Message = "the connection to the desktop was closed"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		e.Err = io.ErrUnexpectedEOF
		e.Message = "the connection to the desktop broke off"
	default:
		e.Message = "the connection to the desktop failed: " + oneLine(err.Error(), maxErrorMessage)
	}
	return s.core.finish(s.call, e)
}

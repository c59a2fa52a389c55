package client

import (
	"context"
	"io"
	"net/http"
	"net/http/httptrace"
	"strings"
	"time"

	"github.com/coder/websocket"
)

const (
	// handshakeTimeout is how long a socket may take to open.
	handshakeTimeout = 30 * time.Second
	// pingEvery is after how long a socket is asked whether it is alive, and
	// pingTimeout how long the answer may take.
	pingEvery   = 25 * time.Second
	pingTimeout = 20 * time.Second
	// maxUpgradeBody is how much of a refusal's body the WebSocket library keeps.
	maxUpgradeBody = 1024
)

// dialSocket opens a WebSocket on which a message may have up to readLimit
// bytes. It does so once: an upgrade may start a shell, so it is not repeated.
//
// Every error is an *Error. A refusal has the status and the message of the
// answer, and the outcome rejected.
func (c *core) dialSocket(ctx context.Context, req call, readLimit int64, subprotocols ...string) (*websocket.Conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, c.finish(req, &Error{Err: err, Outcome: OutcomeNotSent})
	}
	header := http.Header{}
	c.setHeader(header, req)
	header.Del("Accept")
	target := c.base + req.path
	if len(req.query) > 0 {
		target += "?" + req.query.Encode()
	}
	req.timeout = handshakeTimeout
	limited, cancel := context.WithTimeout(ctx, req.timeout)
	defer cancel()
	var sent progress
	traced := httptrace.WithClientTrace(withOp(limited, req.op), sent.trace())
	ws, resp, err := websocket.Dial(traced, target, &websocket.DialOptions{
		HTTPClient: c.http, HTTPHeader: header, Subprotocols: subprotocols,
	})
	switch {
	case err == nil:
		ws.SetReadLimit(readLimit)
		return ws, nil
	case resp != nil && resp.StatusCode != http.StatusSwitchingProtocols:
		e := c.refusal(resp, "", maxUpgradeBody, true)
		if resp.StatusCode < 300 {
			e.Message = "the service answered without opening a WebSocket: " + e.Message
		}
		e.Outcome = OutcomeRejected
		return nil, c.finish(req, e)
	}
	e := (&body{core: c, req: req, parent: ctx, inner: limited, outcome: OutcomeUnknown}).failure(err)
	e.Message = strings.TrimPrefix(e.Message, "failed to WebSocket dial: ")
	if resp == nil && !sent.reached(err, limited.Err() != nil) {
		e.Outcome = OutcomeNotSent
	}
	return nil, c.finish(req, e)
}

// readCut reads at most n bytes of an explanation. A cut may go through the key,
// whose first half would not be recognised: then what may be of it is dropped.
func (c *core) readCut(r io.Reader, n int) []byte {
	raw, _ := io.ReadAll(io.LimitReader(r, int64(n))) // that it breaks off does not matter
	if len(raw) == n && c.hasKey {
		raw = raw[:max(0, n-6*len(c.key.reveal()))] // an escape has six bytes at most
	}
	return raw
}

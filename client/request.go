package client

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

const maxErrorBody = 64 << 10

// call describes one request.
type call struct {
	op        string // method and path template, for errors and logs
	method    string
	path      string // escaped, behind the base URL
	query     url.Values
	body      any // sent as JSON, a jsontext.Value as it is; nil sends none
	accept    string
	timeout   time.Duration // of the whole call, up to the end of the body; 0 or less: none
	anonymous bool          // without the key
	beside    bool          // path is beside the API (behind the base URL without /api)
	etag      string        // of what is known: an answer of 304 is a success
	stream    bool          // timeout ends at the headers
	longest   int           // bytes that are kept of a text in the answer; 0: maxText
	mark      string        // then its end is kept as well, see shortener
}

// maxText is how many bytes are kept of a text that is neither a reply nor output.
const maxText = 64 << 10

// instancePath gives the escaped path of an instance's endpoint and the op that
// names it.
func instancePath(method, instance, rest string) (path, op string, err error) {
	op = method + " /instances/{id}" + rest
	if err := CheckID("instance id", instance); err != nil {
		return "", "", notSent(op, err)
	}
	return "/instances/" + url.PathEscape(instance) + rest, op, nil
}

// checkText refuses text that JSON cannot carry.
func checkText(what, s string) error {
	if !utf8.ValidString(s) {
		return fmt.Errorf("the %s is not valid UTF-8 text", what)
	}
	return nil
}

func notSent(op string, err error) *Error {
	return &Error{Op: op, Message: err.Error(), Outcome: OutcomeNotSent}
}

// reply is an answer with a status of success. Its body belongs to the caller.
type reply struct {
	status int
	header http.Header
	length int64 // Content-Length, -1 when unknown
	// unframed says that the end of the connection is the end of the body (RFC 9112,
	// section 6.3), so that one that was cut looks whole.
	unframed bool
	body     *body
	hold     // of what was read of it
}

// send sends one request and gives the answer if its status is 2xx, or the
// 304 that an etag asked for. Every error
// is an *Error, complete and redacted.
func (c *core) send(ctx context.Context, req call) (*reply, error) {
	outcome := OutcomeUnknown
	reading := req.method == http.MethodGet || req.method == http.MethodHead
	if reading {
		outcome = ""
	}
	if err := ctx.Err(); err != nil {
		return nil, c.finish(req, &Error{Err: err, Outcome: OutcomeNotSent})
	}
	if !reading && c.options.readOnly(ctx) {
		return nil, c.finish(req, &Error{Code: "read_only", Message: "read-only: only GET requests are sent", Outcome: OutcomeNotSent})
	}
	var payload io.Reader
	if raw, ok := req.body.(jsontext.Value); ok {
		payload = bytes.NewReader(raw)
	} else if req.body != nil {
		raw, err := json.Marshal(req.body, tolerant)
		if err != nil {
			return nil, c.finish(req, &Error{Message: "the request cannot be encoded", Err: err, Outcome: OutcomeNotSent})
		}
		payload = bytes.NewReader(raw)
	}
	target := c.base + req.path
	if req.beside {
		target = strings.TrimSuffix(c.base, "/api") + req.path
	}
	if len(req.query) > 0 {
		target += "?" + req.query.Encode()
	}

	b := &body{core: c, req: req, parent: ctx, outcome: outcome}
	var sent progress
	inner := httptrace.WithClientTrace(withOp(ctx, req.op), sent.trace())
	switch {
	case req.timeout > 0 && req.stream: // up to the headers only
		inner, b.cancel = context.WithCancel(inner)
		b.timer = time.AfterFunc(req.timeout, func() { b.expired.Store(true); b.cancel() })
	case req.timeout > 0: // a deadline, which keeps retries from waiting in vain
		inner, b.cancel = context.WithTimeout(inner, req.timeout)
	default:
		inner, b.cancel = context.WithCancel(inner)
	}
	b.inner = inner
	hr, err := http.NewRequestWithContext(inner, req.method, target, payload)
	if err != nil {
		b.stop()
		return nil, c.finish(req, &Error{Message: "the request cannot be made", Err: err, Outcome: OutcomeNotSent})
	}
	c.setHeader(hr.Header, req)

	resp, err := c.http.Do(hr)
	if err != nil {
		e := b.failure(err)
		if !sent.reached(err, inner.Err() != nil) {
			e.Outcome = OutcomeNotSent
		}
		b.stop()
		return nil, c.finish(req, e)
	}
	unframed := resp.ProtoMajor < 2 && resp.ContentLength < 0 && len(resp.TransferEncoding) == 0 && resp.Header.Get("Content-Encoding") == ""
	if err := decompress(resp); err != nil {
		_ = resp.Body.Close()
		resp.Body = http.NoBody
		if resp.StatusCode >= 200 && resp.StatusCode < 300 {
			b.stop()
			return nil, c.finish(req, &Error{Status: resp.StatusCode, Message: err.Error(), Outcome: outcome})
		}
	}
	b.rc = resp.Body
	if resp.StatusCode >= 200 && resp.StatusCode < 300 || resp.StatusCode == http.StatusNotModified && req.etag != "" {
		if req.stream && b.timer != nil && !b.timer.Stop() {
			// It fired between the headers and here: the stream is dead.
			defer func() { _ = b.Close() }()
			return nil, c.finish(req, b.failure(context.DeadlineExceeded))
		}
		return &reply{status: resp.StatusCode, header: resp.Header, length: resp.ContentLength, unframed: unframed, body: b}, nil
	}
	defer func() { _ = b.Close() }()
	return nil, c.finish(req, c.refusal(resp, req.path, maxErrorBody, reading))
}

func (c *core) setHeader(h http.Header, req call) {
	if c.hasKey && !req.anonymous {
		h.Set("Authorization", "Bearer "+c.key.reveal())
	}
	h.Set("User-Agent", c.options.userAgent)
	h.Set("Accept", "application/json")
	if req.accept != "" {
		h.Set("Accept", req.accept)
	}
	if req.body != nil {
		h.Set("Content-Type", "application/json")
	}
	if req.etag != "" {
		h.Set("If-None-Match", req.etag)
	}
	if req.stream {
		// Compression buffers: events would arrive in lumps.
		h.Set("Accept-Encoding", "identity")
	}
}

// refusal turns an answer that is not a success into an error. Of its body, up
// to limit bytes explain the status. path is what was asked for, behind the base URL.
func (c *core) refusal(resp *http.Response, path string, limit int, reading bool) *Error {
	status := resp.StatusCode
	if status >= 300 && status < 400 {
		e := &Error{Status: status, Message: redirectMessage(resp, path)}
		if !reading {
			e.Outcome = OutcomeRejected
			if status == http.StatusFound || status == http.StatusSeeOther {
				e.Outcome = OutcomeUnknown // "done, now look there" is spelt like this
			}
		}
		return e
	}
	var raw []byte
	if resp.Body != nil {
		raw = bytes.TrimPrefix(c.readCut(resp.Body, limit), byteOrderMark)
		raw = c.maskBroken([]byte(c.redact(string(plainEscapes(raw)))))
	}
	e := decodeError(status, resp.Header, raw, time.Now())
	if !reading {
		e.Outcome = statusOutcome(status, raw)
	}
	return e
}

// statusOutcome says what a POST with such an answer did. The service refuses
// with 4xx before it acts, and with 501 what it can't do. Any other 5xx may come after the deed, or
// from a proxy that lost sight of it; only 503 in the service's own JSON is a refusal (no
// capacity). 408 and 499 say that somebody stopped
// waiting. Words that say that the request was taken all the same, or lost, count more.
func statusOutcome(status int, body []byte) Outcome {
	switch {
	case mayHaveTaken(status, body):
		return OutcomeUnknown
	case status == http.StatusRequestTimeout || status == 499:
		return OutcomeUnknown
	case status >= 400 && status < 500, status == http.StatusNotImplemented:
		return OutcomeRejected
	case status == http.StatusServiceUnavailable:
		if o, ok := asObject(body); ok && len(o) > 0 {
			return OutcomeRejected
		}
	}
	return OutcomeUnknown
}

// fail completes an error of decoding: the answer came, so what the request
// asked for may have happened.
func (c *core) fail(req call, err error) *Error {
	e, ok := errors.AsType[*Error](err)
	if !ok {
		e = &Error{Err: err}
	}
	if e.Outcome == "" && req.method != http.MethodGet {
		e.Outcome = OutcomeUnknown
	}
	return c.finish(req, e)
}

// finish names the operation and masks the key.
func (c *core) finish(req call, e *Error) *Error {
	if e.Op == "" {
		e.Op = req.op
	}
	return c.redactError(e)
}

// bytes sends a request and reads its answer whole. An answer that reports an
// error is one, whatever its status. The reply is released when the answer is decoded.
func (c *core) bytes(ctx context.Context, req call) ([]byte, *reply, error) {
	if req.timeout == 0 {
		req.timeout = c.options.timeouts.Write
		if req.method == http.MethodGet {
			req.timeout = c.options.timeouts.Read
		}
	}
	r, raw, err := c.readAnswer(ctx, req)
	if err != nil {
		return nil, nil, err
	}
	if e := wholeError(raw); e != nil {
		r.release()
		e.Status = r.status
		setIfEmpty(&e.RequestID, oneLine(r.header.Get("X-Request-Id"), 100))
		return nil, nil, c.fail(req, e)
	}
	return raw, r, nil
}

// byteOrderMark may stand before JSON of services that were written on Windows.
var byteOrderMark = []byte("\ufeff")

// readAnswer sends a request and reads its answer, which may have as many bytes
// as [WithMaxAnswer] allows and must not be a web page.
func (c *core) readAnswer(ctx context.Context, req call) (*reply, []byte, error) {
	r, err := c.do(ctx, req)
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = r.body.Close() }()
	limit := c.options.maxJSON
	in := &io.LimitedReader{R: &paced{Reader: &valueCounter{Reader: c.maskStream(r.body)}}, N: limit + 1}
	from := &shortener{Reader: in, keep: cmp.Or(req.longest, maxText), mark: req.mark, hold: func(n int) error { return r.need(r.whole, n) }}
	raw, err := r.readWhole(from, min(limit, r.length))
	if errors.Is(err, errManyValues) {
		e := *errManyValues
		e.Status = r.status
		return nil, nil, c.fail(req, &e)
	}
	if err != nil {
		return nil, nil, err // of body.Read: complete already
	}
	if in.N <= 0 {
		r.release()
		return nil, nil, c.fail(req, &Error{Status: r.status, Err: ErrTooLarge,
			Message: fmt.Sprintf("the answer is larger than %d bytes", limit)})
	}
	raw = c.maskAnswer(bytes.TrimPrefix(raw, byteOrderMark))
	if kindOf(raw) != 0 && isHTML(mediaType(r.header), raw) && !isJSON(raw) {
		defer r.release()
		return nil, nil, c.fail(req, pageError(r.status, raw))
	}
	return r, raw, nil
}

// pageError says that a web page came where the API should have answered: the
// usual sign of a wrong base URL or of a login page in between.
func pageError(status int, page []byte) *Error {
	e := &Error{Status: status, Message: "the answer is a web page, not the API's", Err: ErrWebPage}
	if t := pageTitle(page); t != "" {
		e.Message += ": " + t
	}
	return e
}

// fetch sends a request and decodes its answer.
func fetch[T any, B ~[]byte](ctx context.Context, c *core, req call, decode func(B) (T, error)) (T, error) {
	var none T
	raw, r, err := c.bytes(ctx, req)
	if err != nil {
		return none, err
	}
	defer r.release()
	v, err := decode(B(raw))
	if err != nil {
		return none, c.fail(req, err)
	}
	return v, nil
}

// post is a POST on an instance.
func post(instance, rest string, payload any) (call, error) {
	path, op, err := instancePath(http.MethodPost, instance, rest)
	return call{op: op, method: http.MethodPost, path: path, body: payload}, err
}

// get is a GET on an instance.
func get(instance, rest string, query url.Values) (call, error) {
	path, op, err := instancePath(http.MethodGet, instance, rest)
	return call{op: op, method: http.MethodGet, path: path, query: query}, err
}

// progress notes how far a request got on its way out. Its fields are written
// by the transport's goroutines.
type progress struct {
	wanted, connected, wrote atomic.Bool
}

func (p *progress) trace() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		GetConn:      func(string) { p.wanted.Store(true) },
		GotConn:      func(httptrace.GotConnInfo) { p.connected.Store(true) },
		WroteHeaders: func() { p.wrote.Store(true) },
	}
}

// reached reports whether a request that failed with err may have come to the
// service. In doubt it did.
func (p *progress) reached(err error, cancelled bool) bool {
	switch {
	case p.wrote.Load():
		return true
	case p.connected.Load():
		// The transport returns from a cancelled request while its writing
		// goroutine may just be about to begin.
		return cancelled
	case p.wanted.Load():
		return false // it never had a connection
	}
	// A RoundTripper that does not trace: only the error can tell.
	return !isDialError(err)
}

// isDialError reports whether err is a failure to connect at all.
func isDialError(err error) bool {
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
		return true
	}
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return true
	}
	return isCertError(err)
}

func isCertError(err error) bool {
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return true
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return true
	}
	_, ok := errors.AsType[x509.HostnameError](err)
	return ok
}

package emulator

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// maxBody is the largest request body; larger ones get 413.
const maxBody = 64 << 20

// object is a JSON object.
type object map[string]any

// encode gives v as JSON without a line end and without escaping <, > and &,
// which a service written in JavaScript or Python does not do either.
func encode(v any) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		// Only an agent's own tool arguments can be unencodable.
		return fmt.Appendf(nil, "%q", "unencodable: "+err.Error())
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// reply answers with a JSON body.
func (s *Server) reply(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	w.Write(encode(body))
}

// fail answers with an error.
func (s *Server) fail(w http.ResponseWriter, status int, code, message string) {
	s.reply(w, status, object{"error": code, "message": message})
}

// failure is an error with the answer that it becomes.
type failure struct {
	status        int
	code, message string
}

func (f *failure) Error() string { return f.message }

// failWith answers with err, as 500 unless it is a failure.
func (s *Server) failWith(w http.ResponseWriter, err error) {
	if f, ok := errors.AsType[*failure](err); ok {
		s.fail(w, f.status, f.code, f.message)
		return
	}
	s.opts.Logger.Error("local instance", "err", err)
	s.fail(w, http.StatusInternalServerError, "internal_error", err.Error())
}

// body decodes a request body into a struct whose required fields are pointers,
// to be checked by need. An empty body is an empty object. Unknown fields are
// ignored, as services do.
func (s *Server) body(c *call, into any) bool {
	var raw []byte
	var err error
	if c.r.ContentLength > maxBody {
		_, err = io.Copy(io.Discard, c.r.Body) // not worth the memory
	} else {
		raw, err = io.ReadAll(c.r.Body)
	}
	if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok {
		s.fail(c.w, http.StatusRequestEntityTooLarge, "payload_too_large",
			fmt.Sprintf("The body is larger than %d bytes", tooLarge.Limit))
		return false
	}
	if err != nil {
		s.fail(c.w, http.StatusBadRequest, "bad_request", "The body could not be read")
		return false
	}
	if len(bytes.TrimSpace(raw)) == 0 {
		raw = []byte("{}")
	}
	err = json.Unmarshal(raw, into)
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		s.invalid(c.w, wrong.Field, "has the wrong type: "+wrong.Value)
		return false
	}
	if err != nil {
		s.fail(c.w, http.StatusBadRequest, "bad_request", "The body is not JSON: "+err.Error())
		return false
	}
	return true
}

// invalid answers 422 about one field of the body.
func (s *Server) invalid(w http.ResponseWriter, field, problem string) {
	s.fail(w, http.StatusUnprocessableEntity, "validation_error", field+" "+problem)
}

// need checks that a required string is there.
func (s *Server) need(c *call, field string, value *string, emptyOK bool) bool {
	switch {
	case value == nil:
		s.invalid(c.w, field, "is required")
	case *value == "" && !emptyOK:
		s.invalid(c.w, field, "must not be empty")
	default:
		return true
	}
	return false
}

// newID gives a random UUID (version 4).
func newID() string {
	var b [16]byte
	rand.Read(b[:])
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// stamp writes a time as answers have it: RFC 3339 with milliseconds, in UTC.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z07:00") }

package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// ErrNoText is the cause of an [Error] that says that the agent's answer came
// but holds no text that this client can find. The message was taken, so the
// caller reads the history rather than send it again.
var ErrNoText = errors.New("no reply text")

// ErrWebPage is the cause of an [Error] that says that a web page came where the
// API should have answered, such as a proxy's login page.
var ErrWebPage = errors.New("a web page, not the API's answer")

// ErrTooLarge is the cause of an [Error] that says that an answer or a file is
// larger than what was allowed for it.
var ErrTooLarge = errors.New("too large")

// Outcome says what a failed request did at the service: whether it is safe to
// repeat.
type Outcome string

// The outcomes of a failed request.
const (
	OutcomeNotSent  Outcome = "not sent" // it never reached the service
	OutcomeRejected Outcome = "rejected" // the service refused it: nothing happened
	OutcomeUnknown  Outcome = "unknown"  // it may have taken effect
)

// Error is the one error type of this package: what failed, how the service put
// it, and whether anything happened. Its zero value prints. It never holds the
// API key: texts that come from outside are redacted when it is made.
type Error struct {
	Op         string        // what was attempted, such as "POST /instances/{id}/chat"
	Status     int           // HTTP status, 0 when there was no answer
	Code       string        // the service's slug, such as "quota_exceeded"
	Message    string        // the service's sentence, or ours
	RequestID  string        // the service's id of the request
	RetryAfter time.Duration // 0 when the service did not say
	Outcome    Outcome       // "" where the question does not arise (reads)
	Err        error         // the cause: context, network or decoding error
}

// Error renders the failure in one line.
func (e *Error) Error() string {
	var b strings.Builder
	if e.Op != "" {
		b.WriteString(e.Op)
		b.WriteString(": ")
	}
	switch {
	case e.Message != "":
		b.WriteString(e.Message)
	case e.Err != nil:
		b.WriteString(e.Err.Error())
	default:
		b.WriteString("request failed")
	}
	var notes []string
	if e.Status != 0 {
		notes = append(notes, fmt.Sprintf("HTTP %d", e.Status))
	}
	if e.Code != "" && e.Code != e.Message {
		notes = append(notes, e.Code)
	}
	if e.RequestID != "" {
		notes = append(notes, "request "+e.RequestID)
	}
	if e.RetryAfter > 0 {
		notes = append(notes, "retry after "+e.RetryAfter.Round(time.Second).String())
	}
	if len(notes) > 0 {
		b.WriteString(" (" + strings.Join(notes, ", ") + ")")
	}
	return b.String()
}

// NoEndpoint reports whether the service refused because it lacks the endpoint, as far
// as its answer tells: 405, 415, 501, or a 404 that does not say what else was not found.
// A bare 404 may still be about the instance.
func (e *Error) NoEndpoint() bool {
	switch e.Status {
	case http.StatusMethodNotAllowed, http.StatusUnsupportedMediaType, http.StatusNotImplemented:
		return true
	case http.StatusNotFound:
		return !somethingElse().MatchString(paths().ReplaceAllString(e.Message, " "))
	}
	return false
}

// TooLong reports whether the service refused because a request or a text in it is
// longer than it takes.
func (e *Error) TooLong() bool {
	switch e.Status {
	case http.StatusRequestEntityTooLarge:
		return true
	case http.StatusBadRequest, http.StatusUnprocessableEntity:
		return tooLong().MatchString(e.Message)
	}
	return false
}

var tooLong = pattern(`(?i)\btoo (long|large|big)\b|\b(at most|max(imum)?|longer than|larger than|exceeds?|limit)\b.{0,60}\b(characters?|bytes|length|size|[KM]i?B|\d{3,})\b|\b(length|size)\b.{0,30}\b(exceeds?|limit)\b`)

const things = `(instance|sandbox|session|conversation|agent|message|file|directory|folder|path)`

// somethingElse matches the message of a 404 that is not about the endpoint.
var somethingElse = pattern(`(?i)\b` + things + `\b.{0,60}\b(not found|not exist|unknown|gone|no longer)|\b(no such|unknown|missing) ` + things + `\b`)

// paths matches what servers repeat of a path that they do not know.
var paths = pattern(`\S*/\S*`)

// Unwrap gives the cause to errors.Is and errors.As.
func (e *Error) Unwrap() error { return e.Err }

// Timeout reports whether the failure is that somebody ran out of time: this
// client, the caller's context, the service (408) or a proxy in front of it
// (504, 524). With it, an [Outcome] of unknown means that the work may still go
// on upstream.
func (e *Error) Timeout() bool {
	switch e.Status {
	case http.StatusRequestTimeout, http.StatusGatewayTimeout, 524:
		return true
	}
	return errors.Is(e.Err, context.DeadlineExceeded)
}

// mayHaveTaken reports whether a refusal says that the request was taken, or that it was passed on
// and nobody knows.
func mayHaveTaken(status int, body []byte) bool {
	switch status {
	case http.StatusForbidden, http.StatusConflict, http.StatusTooManyRequests, http.StatusServiceUnavailable:
	default:
		return false
	}
	o, _ := asObject(body)
	said := decodeErrorObject(o, 0).Message
	switch canonical(o.text("status", "state")) {
	case "queued", "enqueued", "accepted", "received", "submitted", "scheduled", "sent":
		return true
	}
	return o.flag("queued", "accepted", "saved", "stored") || takenAnyway().MatchString(said) && !denial().MatchString(said) ||
		status == http.StatusServiceUnavailable && lostWords().MatchString(said)
}

var (
	takenAnyway = pattern(`(?i)\b(message|request|task|job) (has |have |was |is )?(already )?(been )?(queued|enqueued|accepted|received|saved|stored|delivered|submitted|scheduled)\b`)
	denial      = pattern(`(?i)\b(no|not|never|cannot|nothing|invalid|only)\b|n't\b`)
	lostWords   = pattern(`(?i)\b(upstream|gateway|proxy|disconnect(ed)?|reset|timed? ?out)\b`)
)

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

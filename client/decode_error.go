package client

import (
	"fmt"
	"html"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"

	"openclaw-mcp/internal/text"

	"github.com/go-json-experiment/json/jsontext"
)

const (
	maxErrorMessage = 600 // bytes of a message that comes from outside
	maxPlainError   = 300 // bytes of an error page in plain text
)

// decodeError reads the body of an answer that is no success. What it finds,
// in this order: message, error.message, error, detail, errors[].message, a
// short plain text or the title of a page, and else the status' own phrase.
// Op and Outcome are the caller's to fill in.
func decodeError(status int, header http.Header, body []byte, now time.Time) *Error {
	e := &Error{Status: status}
	contentType := mediaType(header)
	switch o, isObject := asObject(body); {
	case kindOf(body) == 0:
	case isObject:
		found := decodeErrorObject(o, 0)
		e.Code, e.Message, e.RequestID, e.RetryAfter = found.Code, found.Message, found.RequestID, found.RetryAfter
		if e.Message == "" {
			e.Message = e.Code
		}
		if e.Message == "" {
			e.Message = statusPhrase(status) + "; the answer is " + describeKeys(sortedKeys(o))
		}
		// "Forbidden" beside HTTP 403 says nothing twice.
		if e.Code == http.StatusText(status) || e.Code == strconv.Itoa(status) {
			e.Code = ""
		}
	case isHTML(contentType, body):
		e.Message = pageTitle(body)
	case kindOf(body) == '"' && isJSON(body):
		s, _ := asString(body)
		e.Message = oneLine(s, maxPlainError)
	case kindOf(body) == '[' && isJSON(body):
		if e.Message = decodeErrorList(body, 0); e.Message == "" {
			e.Message = statusPhrase(status) + "; the answer is " + describe(body)
		}
	case contentType == "" || strings.HasPrefix(contentType, "text/"):
		e.Message = oneLine(strings.ToValidUTF8(string(body), ""), maxPlainError)
	default:
		e.Message = statusPhrase(status) + "; the answer is of type " + oneLine(contentType, 80)
	}
	if e.Message == "" {
		e.Message = statusPhrase(status)
	}
	if e.RequestID == "" {
		e.RequestID = oneLine(header.Get("X-Request-Id"), 100)
	}
	if d, ok := retryAfter(header, now); ok {
		e.RetryAfter = d
	}
	return e
}

// hasError reports whether the object holds an error that is not null, false
// or empty.
func hasError(o object) bool {
	switch kindOf(o["error"]) {
	case '"':
		return o.text("error") != ""
	case '{':
		inner, _ := asObject(o["error"])
		return len(inner) > 0
	case '[':
		items, _ := asArray(o["error"])
		return len(items) > 0
	}
	return false
}

// hasErrors reports whether an object has a list of errors, as GraphQL's answers do.
func hasErrors(o object) bool {
	items, _ := asArray(o["errors"])
	return len(items) > 0
}

// isWholeError reports whether an answer with a status of success is in truth
// an error: it says that it is none (ok or success is false), or has an error
// and nothing beside what belongs to one.
func isWholeError(o object) bool {
	return o.denied() || hasError(o) && onlyErrorKeys(o)
}

// onlyErrorKeys reports whether all keys are such as stand beside an error.
func onlyErrorKeys(o object) bool {
	for k := range o {
		switch k {
		case "error", "message", "success", "ok", "status", "statusCode", "status_code", "code", "detail",
			"details", "hint", "errors", "type", "path", "timestamp", "request_id", "requestId":
		default:
			return false
		}
	}
	return true
}

// wholeError gives the error that a successful answer holds, or nil.
func wholeError(body []byte) *Error {
	o, ok := asObject(body)
	if !ok || !isWholeError(o) {
		return nil
	}
	return reportedFailure(o)
}

// refusal gives the error of an answer to a change, where that says that nothing, or
// not all, came of it; nil else. size is how many bytes were to be written.
func refusal(body []byte, size int) *Error {
	if kindOf(body) != '{' {
		if said := strings.TrimSpace(string(body)); len(said) < maxErrorMessage && failureWords().MatchString(said) {
			return &Error{Message: oneLine(said, maxErrorMessage)}
		}
		return nil
	}
	o, _ := asObject(body)
	if inner, ok := o.object("result", "data"); ok && o.first("status", "state", "errors", "failed") == nil {
		o = inner
	}
	errs, _ := asArray(o["errors"])
	class := classOf(canonical(o.text("status", "state")))
	if class == classError || class == classAborted || o.flag("failed") || len(errs) > 0 || o.denied() {
		e := reportedFailure(o)
		if reason := o.text("reason"); reason != "" {
			e.Message = oneLine(reason, maxErrorMessage)
		}
		return e
	}
	results, _ := asArray(o["results"])
	for _, raw := range results {
		if r, ok := asObject(raw); ok && isWholeError(r) {
			return reportedFailure(r)
		}
	}
	if n, ok := o.number("bytes_written", "bytesWritten", "written"); ok && size > 0 && n >= 0 && int(n) < size {
		return &Error{Message: fmt.Sprintf("the service wrote %d bytes of %d", int(n), size)}
	}
	return nil
}

var failureWords = pattern(`(?i)^(error|failed|failure|fatal)\b`)

// reportedFailure gives the error of an answer that reports one.
func reportedFailure(o object) *Error {
	e := decodeErrorObject(o, 0)
	setIfEmpty(&e.Message, e.Code)
	setIfEmpty(&e.Message, "the service reports a failure without a reason")
	return e
}

// decodeErrorObject reads code, message, hint and ids of an error object, or of
// the object around it. It leaves Message empty where there is none.
func decodeErrorObject(o object, depth int) *Error {
	e := &Error{}
	if depth > maxNesting {
		return e
	}
	inner, nested := o.object("error")
	var sub *Error
	if nested {
		sub = decodeErrorObject(inner, depth+1)
	}
	slug := o.text("error")

	e.Message = oneLine(o.text("message"), maxErrorMessage)
	if e.Message == "" && sub != nil {
		e.Message = sub.Message
	}
	setIfEmpty(&e.Message, oneLine(slug, maxErrorMessage))
	setIfEmpty(&e.Message, decodeErrorList(o["error"], depth))
	setIfEmpty(&e.Message, decodeDetail(o["detail"], depth))
	setIfEmpty(&e.Message, decodeErrorList(o["errors"], depth))
	setIfEmpty(&e.Message, oneLine(o.text("msg", "errorMessage", "error_message", "error_description", "description", "reason", "title"), maxErrorMessage))

	setIfEmpty(&e.Code, o.id("code", "errorKind", "error_code", "errorCode"))
	if isSlug(slug) {
		setIfEmpty(&e.Code, slug)
	}
	if depth > 0 {
		setIfEmpty(&e.Code, o.text("type"))
	}
	setIfEmpty(&e.RequestID, oneLine(o.id("request_id", "requestId"), 100))
	if f, ok := o.number("retry_after", "retryAfter"); ok && f > 0 && f < 1e6 {
		e.RetryAfter = capRetryAfter(time.Duration(f * float64(time.Second)))
	}
	if sub != nil {
		setIfEmpty(&e.Code, sub.Code)
		setIfEmpty(&e.RequestID, sub.RequestID)
		if e.RetryAfter == 0 {
			e.RetryAfter = sub.RetryAfter
		}
	}
	e.Code = oneLine(e.Code, 80)
	if hint := oneLine(o.text("hint"), maxErrorMessage); hint != "" && e.Message != "" && !strings.Contains(e.Message, hint) {
		e.Message += " (hint: " + hint + ")"
	}
	return e
}

// decodeDetail reads "detail": a sentence, an error object, or the list of a
// validation with the place of each problem.
func decodeDetail(raw jsontext.Value, depth int) string {
	switch kindOf(raw) {
	case '"':
		s, _ := asString(raw)
		return oneLine(s, maxErrorMessage)
	case '{':
		o, _ := asObject(raw)
		return decodeErrorObject(o, depth+1).Message
	case '[':
		return decodeErrorList(raw, depth)
	}
	return ""
}

// decodeErrorList reads a list of problems, each a string or an object, or an
// object of them by field.
func decodeErrorList(raw jsontext.Value, depth int) string {
	if depth > maxNesting {
		return ""
	}
	var problems []string
	add := func(place, problem string) {
		switch {
		case problem == "":
		case place == "":
			problems = append(problems, problem)
		default:
			problems = append(problems, place+": "+problem)
		}
	}
	if fields, ok := asObject(raw); ok {
		for _, k := range sortedKeys(fields) {
			s, isString := asString(fields[k])
			if !isString {
				s = decodeErrorList(fields[k], depth+1)
			}
			add(text.Clip(k, 40), s)
		}
	}
	items, _ := asArray(raw)
	for _, item := range items {
		if s, ok := asString(item); ok {
			add("", s)
			continue
		}
		o, ok := asObject(item)
		if !ok {
			continue
		}
		var place []string
		loc, _ := asArray(o["loc"])
		for _, l := range loc {
			place = append(place, scalar(l))
		}
		if len(place) == 0 && o.id("field") != "" {
			place = []string{o.id("field")}
		}
		problem := o.text("msg")
		setIfEmpty(&problem, decodeErrorObject(o, depth+1).Message)
		add(strings.Join(place, "."), problem)
	}
	if len(problems) > 5 {
		problems = append(problems[:5], "and "+strconv.Itoa(len(problems)-5)+" more")
	}
	return oneLine(strings.Join(problems, "; "), maxErrorMessage)
}

// isSlug tells a code (quota_exceeded, forbidden, E_LIMIT) from a sentence or a
// status phrase.
func isSlug(s string) bool {
	if s == "" || strings.ContainsFunc(s, func(r rune) bool {
		return r > unicode.MaxASCII || !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("_-.:", r)
	}) {
		return false
	}
	return strings.ContainsAny(s, "_-.:") || s == strings.ToLower(s) || s == strings.ToUpper(s)
}

// retryAfter reads the header in both forms, seconds and date.
func retryAfter(header http.Header, now time.Time) (time.Duration, bool) {
	v := strings.TrimSpace(header.Get("Retry-After"))
	if v == "" {
		return 0, false
	}
	if f, err := strconv.ParseFloat(v, 64); err == nil {
		if !(f >= 0) {
			return 0, false
		}
		return capRetryAfter(time.Duration(min(f, 1e6) * float64(time.Second))), true
	}
	at, err := http.ParseTime(v)
	if err != nil {
		return 0, false
	}
	return capRetryAfter(max(0, at.Sub(now))), true
}

// capRetryAfter keeps a broken clock or a typing error from telling a user to
// come back in a year.
func capRetryAfter(d time.Duration) time.Duration { return min(d, 24*time.Hour) }

func mediaType(header http.Header) string { return bareType(header.Get("Content-Type")) }

// bareType gives a content type without its parameters, in lower case.
func bareType(v string) string {
	if t, _, err := mime.ParseMediaType(v); err == nil {
		return t
	}
	t, _, _ := strings.Cut(v, ";")
	return strings.ToLower(strings.TrimSpace(t))
}

// isHTML reports whether an answer is a page, whatever it calls itself.
func isHTML(contentType string, body []byte) bool {
	if contentType == "text/html" || contentType == "application/xhtml+xml" {
		return true
	}
	return looksHTML(body)
}

func looksHTML(body []byte) bool {
	start := strings.ToLower(strings.TrimSpace(string(body[:min(len(body), 256)])))
	start = strings.TrimPrefix(start, "\ufeff")
	return strings.HasPrefix(start, "<!doctype html") || strings.HasPrefix(start, "<html") || strings.HasPrefix(start, "<head")
}

var titleTag = pattern(`(?is)<title[^>]*>(.*?)</title`)

// pageTitle gives the title of an HTML page, the only part of a proxy's error
// page that means anything here.
func pageTitle(body []byte) string {
	m := titleTag().FindSubmatch(body)
	if m == nil {
		return ""
	}
	return oneLine(html.UnescapeString(strings.ToValidUTF8(string(m[1]), "")), 200)
}

// statusPhrase names a status, those of a well-known proxy included.
func statusPhrase(status int) string {
	if s := http.StatusText(status); s != "" {
		return s
	}
	switch status {
	case 499:
		return "Client Closed Request"
	case 520:
		return "Unknown Error at the Origin"
	case 521:
		return "Origin Is Down"
	case 522:
		return "Connection to the Origin Timed Out"
	case 523:
		return "Origin Is Unreachable"
	case 524:
		return "Origin Timed Out"
	case 525, 526:
		return "TLS Failure at the Origin"
	}
	return "HTTP " + strconv.Itoa(status)
}

// oneLine makes foreign text fit to be shown: one line, no control characters
// that a terminal would obey, at most n bytes.
func oneLine(s string, n int) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case unicode.IsControl(r) || unicode.Is(unicode.Cf, r):
			return -1
		}
		return r
	}, s)
	return text.Line(s, n)
}

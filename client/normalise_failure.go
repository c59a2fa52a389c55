package client

import (
	"slices"
	"strconv"
	"strings"
)

// failure makes the error of an event that reports one.
func failure(o object) *Error {
	for _, k := range []string{"response", "data"} {
		if inner, ok := o.object(k); ok && !hasError(o) && o.text("message", "errorMessage") == "" {
			o = inner
			break
		}
	}
	e := decodeErrorObject(o, 0)
	if e.Code == e.Message {
		e.Code = ""
	}
	if e.Code == "" {
		e.Code = oneLine(o.text("errorKind", "error_type"), 80)
	}
	setIfEmpty(&e.Code, errorSubtype(o))
	if slug := o.text("error"); e.Code == "" && slug != e.Message {
		e.Code = oneLine(slug, 80)
	}
	if e.Message == "" {
		e.Message = "the agent failed"
		if e.Code == "" {
			e.Message += " without a reason"
		}
		if code, ok := exitCode(o); ok && code != 0 {
			e.Message = "the agent ended with exit code " + strconv.FormatFloat(code, 'f', -1, 64)
		}
	}
	return e
}

func exitCode(o object) (float64, bool) {
	return o.number("exitCode", "exit_code", "exitStatus", "exit_status")
}

// failed reports whether an object says that the run failed, whatever its kind.
func failed(o object) bool {
	code, _ := exitCode(o)
	status, _ := o.number("statusCode", "status_code")
	return code != 0 || o.denied() || o.flag("is_error", "isError") || errorSubtype(o) != "" || status >= 400
}

// errorSubtype is how Claude Code's result tells of a run that reached its limit of turns, for
// one, which its flag does not call an error.
func errorSubtype(o object) string {
	if why := o.text("subtype"); strings.HasPrefix(why, "error") {
		return oneLine(why, 80)
	}
	return ""
}

// reportsFailure reports whether an answer that has no reply says that there is none:
// {"status":"failed","message":"…"}, {"code":500,"message":"…"} or {"code":50012,"msg":"…"}.
func reportsFailure(o object) bool {
	for k, v := range o {
		if kindOf(v) != 0 && kindOf(v) != 'n' && k != "message" && !slices.Contains(failureKeys, k) {
			return false
		}
	}
	if c := classOf(canonical(o.text("status", "state"))); c == classError || c == classAborted {
		return true
	}
	code, ok := o.number("code", "errcode", "err_code", "statusCode", "status_code", "status")
	return ok && code != 0 && (code < 200 || code >= 300)
}

// failureKeys are what stands in such an answer beside its message.
var failureKeys = []string{"status", "state", "code", "errcode", "err_code", "statusCode", "status_code", "msg", "title", "instance", "reason", "detail", "details", "hint", "type", "path",
	"timestamp", "request_id", "requestId", "trace_id", "traceId", "id", "session_id", "sessionId", "message_id", "messageId", "runId", "run_id"}

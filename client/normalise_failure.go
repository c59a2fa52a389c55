package client

import "strconv"

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
	if slug := o.text("error"); e.Code == "" && slug != e.Message {
		e.Code = oneLine(slug, 80)
	}
	if e.Message == "" {
		e.Message = "the agent failed without a reason"
		if code, ok := exitCode(o); ok && code != 0 {
			e.Message = "the agent ended with exit code " + strconv.FormatFloat(code, 'f', -1, 64)
		}
	}
	return e
}

func exitCode(o object) (float64, bool) { return o.number("exitCode", "exit_code") }

// failed reports whether an object says that the run failed, whatever its kind.
func failed(o object) bool {
	code, _ := exitCode(o)
	status, _ := o.number("statusCode", "status_code")
	return code != 0 || o.denied() || o.flag("is_error", "isError") || status >= 400
}

package tools

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"openclaw-mcp/client"
	"openclaw-mcp/runs"
	"openclaw-mcp/terminals"
)

// explain renders an error as the text of a result: what failed, whether
// anything happened upstream, whether to repeat it, and what to do next.
func explain(t *Tool, err error) string {
	var unconfirmed *unconfirmedError
	if errors.As(err, &unconfirmed) {
		return unconfirmed.text // nothing failed, and its text says what to do
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s failed: %v\n", t.Name, err)
	if a := adviceFor(t.Effect, err); a != (advice{}) {
		fmt.Fprintf(&b, "What happened: %s\nRepeat: %s\nNext: %s", a.happened, a.repeat, a.next)
	}
	return strings.TrimSpace(b.String())
}

// advice is what a caller needs to know about a failure besides its message.
type advice struct{ happened, repeat, next string }

func adviceFor(effect Effect, err error) advice {
	var arg *argumentError
	var rail *railError
	var e *client.Error
	switch {
	case errors.As(err, &rail), errors.Is(err, errDenied):
		return advice{"nothing, the call was refused before it was sent.", "no, the same will happen.", "do without it, or ask the person who runs this server."}
	case errors.As(err, &arg):
		return advice{"nothing, the call was refused before it was sent.", "yes, with the arguments corrected.", "correct the arguments named above."}
	case errors.Is(err, terminals.ErrHandle), errors.Is(err, terminals.ErrElsewhere), errors.Is(err, terminals.ErrGone), errors.As(err, new(*terminals.EndedError)):
		return advice{"nothing was typed.", "no, not with this handle.", "open_terminal starts a new shell."}
	case errors.Is(err, terminals.ErrLimit), errors.Is(err, terminals.ErrClosed):
		return advice{"no terminal was opened.", "yes, changed as the message above says.", "see above."}
	case errors.Is(err, runs.ErrHandle):
		return advice{"nothing.", "no, not with this handle.", "list_runs shows the runs that this server knows; read_chat_history shows what was said."}
	case errors.Is(err, runs.ErrBusy), errors.Is(err, runs.ErrKeyReused), errors.Is(err, runs.ErrClosed):
		return advice{"nothing was sent.", "yes, changed as the message above says.", "see above."}
	case errors.As(err, &e):
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return advice{"the call ended before the service answered.", repeatUnknown(effect), "check_service."}
	default:
		return advice{}
	}
	return advice{happened(effect, e), repeat(effect, e), next(effect, e)}
}

func happened(effect Effect, e *client.Error) string {
	switch {
	case effect == Reads || e.Outcome == "":
		return "nothing was changed."
	case e.Outcome == client.OutcomeNotSent:
		return "nothing: the request did not reach the service."
	case e.Outcome == client.OutcomeRejected:
		return "nothing: the service refused the request."
	default:
		return "unknown: the request may have taken effect."
	}
}

func repeat(effect Effect, e *client.Error) string {
	switch e.Status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusPaymentRequired:
		return "no, the same will happen until the access is mended."
	case http.StatusNotFound, http.StatusBadRequest, http.StatusUnprocessableEntity, http.StatusRequestEntityTooLarge, http.StatusMethodNotAllowed:
		if e.Outcome != client.OutcomeUnknown {
			return "only with other arguments."
		}
	}
	if effect != Reads && e.Outcome == client.OutcomeUnknown {
		return repeatUnknown(effect)
	}
	if e.RetryAfter > 0 {
		return fmt.Sprintf("safe, but not before %s from now.", e.RetryAfter.Round(time.Second))
	}
	return "safe, after a short wait."
}

func repeatUnknown(effect Effect) string {
	if effect == Reads {
		return "safe."
	}
	return "not blindly: look first whether it took effect."
}

func next(effect Effect, e *client.Error) string {
	switch e.Status {
	case 0:
		if e.Code == client.CodeDesktopPassword {
			return "the person who runs this server must set OPENCLAW_MCP_VNC_PASSWORD to the desktop's password."
		}
		if errors.Is(e.Err, client.ErrTooLarge) {
			return "ask for a smaller part."
		}
		if effect != Reads && e.Outcome == client.OutcomeUnknown {
			return lookFirst(e)
		}
		if e.Outcome == client.OutcomeNotSent && e.Err == nil {
			return "correct the arguments."
		}
		return "check_service tells whether the service can be reached; the network or OPENCLAW_API_BASE_URL may be at fault."
	case http.StatusUnauthorized:
		return "the person who runs this server must check the API key (OPENCLAW_API_KEY)."
	case http.StatusForbidden, http.StatusPaymentRequired:
		if strings.Contains(e.Op, "POST /instances") && !strings.Contains(e.Op, "{") {
			return "creating needs a subscription or an invite code: pass invite_code, or use an existing instance (list_instances)."
		}
		return "this key has no access to that: ask its owner; check_service shows what it can see."
	case http.StatusNotFound:
		return "list_instances, list_chat_sessions or list_files show what there is; what belongs to another key does not show."
	case http.StatusConflict:
		return "the instance is not ready or something is in the way: get_instance shows its status; try again when it is ready."
	case http.StatusRequestEntityTooLarge:
		return "send it in smaller parts."
	case http.StatusTooManyRequests:
		return "wait, then go on more slowly."
	case http.StatusBadRequest, http.StatusUnprocessableEntity:
		return "correct what the message names."
	}
	if effect != Reads && e.Outcome == client.OutcomeUnknown {
		return lookFirst(e)
	}
	if e.Status == http.StatusServiceUnavailable && strings.HasSuffix(e.Op, "POST /instances") {
		return "there is no capacity now: use an existing instance (list_instances), or try later."
	}
	return "get_instance shows whether the instance is awake, check_service whether the service is up."
}

// lookFirst says where to see what became of a request of unknown outcome.
func lookFirst(e *client.Error) string {
	switch {
	case strings.Contains(e.Op, "/vnc/"):
		return "take_screenshot shows what became of it."
	case strings.Contains(e.Op, "/chat/sessions"):
		return "list_chat_sessions shows whether the session was made."
	case strings.Contains(e.Op, "/chat"):
		return "read_chat_history shows whether the message arrived and what was answered."
	case strings.Contains(e.Op, "/terminal/ws"):
		return "read_terminal shows what the terminal is like now; check_service whether the service is up."
	case strings.Contains(e.Op, "/terminal"):
		return "look at what the command would have changed (exec_command, list_files)."
	case strings.Contains(e.Op, "/files"):
		return "list_files or read_file shows what is there now."
	default:
		return "list_instances or get_instance shows how things stand."
	}
}

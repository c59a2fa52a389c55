package tools

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"openclaw-mcp/client"
	"openclaw-mcp/internal/fleet"
	"openclaw-mcp/internal/hand"
	"openclaw-mcp/internal/runs"
	"openclaw-mcp/internal/runs/chat"
	"openclaw-mcp/internal/runs/command"
	"openclaw-mcp/internal/terminals"
	"openclaw-mcp/internal/text"
)

// maxErrorText is how much of an error a result shows, in bytes: one may repeat what
// the call or the service said, and that may be much.
const maxErrorText = 6000

// explain renders an error as the text of a result: what failed, whether anything
// happened upstream, whether it is safe to repeat, and what to do next.
func explain(t *Tool, err error) string {
	var unconfirmed *unconfirmedError
	if errors.As(err, &unconfirmed) {
		return unconfirmed.text // nothing failed, and its text says what to do
	}
	var b strings.Builder
	head, tail, omitted := text.HeadTail(err.Error(), maxErrorText)
	if omitted > 0 {
		head += text.Omission(int64(omitted)) + tail
	}
	fmt.Fprintf(&b, "%s failed: %s\n", t.Name, head)
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
	var stopped *stoppedError
	var lost *lostError
	var e *client.Error
	var wrongPath *pathError
	switch {
	case errors.As(err, &wrongPath):
		return advice{"nothing was changed.", "with another path.", wrongPath.next}
	case errors.As(err, new(*command.DirError)):
		return advice{"nothing: the command was not started.", "yes, with another cwd.", "list_files shows which directories there are, make_directory makes one; without cwd the command starts where the instance's shell does."}
	case errors.As(err, &lost):
		return lost.advice()
	case errors.As(err, &rail), errors.Is(err, errDenied):
		return advice{"nothing, the call was refused before it was sent.", "no, the same will happen.", "do without it, or ask the person who runs this server."}
	case errors.As(err, &arg):
		return advice{"nothing, the call was refused before it was sent.", "yes, with the arguments corrected.", cmp.Or(arg.next, "correct the arguments named above.")}
	case errors.As(err, new(*hand.HeldError)):
		return advice{"nothing: a person goes first.", "yes, once the person has handed back.", "look meanwhile (read_terminal, take_screenshot), and go on from what the person did."}
	case errors.Is(err, terminals.ErrHandle), errors.Is(err, terminals.ErrElsewhere), errors.Is(err, terminals.ErrGone), errors.As(err, new(*terminals.EndedError)):
		return advice{"nothing was typed.", "no, not with this handle.", "open_terminal starts a new shell."}
	case errors.Is(err, terminals.ErrLimit), errors.Is(err, terminals.ErrClosed):
		return advice{"no terminal was opened.", "yes, changed as the message above says.", "see above."}
	case errors.Is(err, runs.ErrLimit):
		return advice{"nothing was begun; the runs that are under way go on.", "yes, once one of them has ended.", "list_runs shows them."}
	case errors.Is(err, runs.ErrHandle):
		return advice{"nothing.", "no, not with this handle.", "list_runs shows the runs that this server knows; read_chat_history shows what was said."}
	case errors.Is(err, fleet.ErrAway) && errors.As(err, &e) && e.Outcome == client.OutcomeNotSent:
		return advice{"nothing: it was held back, since another process may have done it already.", "safe, after a short wait.", "make the same call again. Without idempotency_key it goes out at once: do that only if no earlier call can have done it."}
	case errors.Is(err, fleet.ErrFull):
		return advice{"nothing: it was held back, since it could not be noted.", "yes, without idempotency_key.", "make the call without idempotency_key: it goes out at once, and can't be told from an earlier one."}
	case errors.Is(err, chat.ErrBusy):
		return advice{"nothing was sent.", "yes, once the reply is over, or with another if_busy.", "list_runs shows the run of the reply that is under way."}
	case errors.Is(err, chat.ErrKeyReused), errors.Is(err, command.ErrKeyReused), errors.Is(err, runs.ErrClosed):
		return advice{"nothing was sent.", "yes, changed as the message above says.", "see above."}
	case errors.As(err, &stopped) && errors.As(err, &e):
		a := advice{happened(effect, e), "yes, once the instance runs.", fmt.Sprintf("instance %s is %s: reboot_instance first.", stopped.instance, stopped.status)}
		if effect != Reads && e.Outcome == client.OutcomeUnknown {
			a.repeat = repeatUnknown(effect)
		}
		return a
	case errors.As(err, &stopped):
		return advice{"nothing was changed.", "yes, once the instance runs.", fmt.Sprintf("instance %s is %s: reboot_instance first.", stopped.instance, stopped.status)}
	case errors.As(err, &e):
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return advice{"the call ended before OpenClaw answered.", repeatUnknown(effect), "check_service."}
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
		return "nothing: the request did not reach OpenClaw."
	case e.Outcome == client.OutcomeRejected:
		return "nothing: OpenClaw refused the request."
	default:
		return "unknown: the request may have taken effect."
	}
}

func repeat(effect Effect, e *client.Error) string {
	if _, ok := instead(e); ok && e.Outcome != client.OutcomeUnknown {
		return "no, the same will happen."
	}
	if isDirectory(e) {
		return "only with another path."
	}
	if isRedirect(e) && e.Outcome != client.OutcomeUnknown {
		return "no, the same will happen until the address is corrected."
	}
	switch e.Status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusPaymentRequired:
		return "no, the same will happen until access is restored."
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

// isRedirect tells whether the service said that it is elsewhere. What was asked for is not sent
// after that.
func isRedirect(e *client.Error) bool { return e.Status >= 300 && e.Status < 400 }

// isDirectory tells whether a directory was named as a file. The service may answer
// with the status of a conflict, but no wait ends this one.
func isDirectory(e *client.Error) bool {
	return e.Code == "is_directory" || e.Status == http.StatusConflict && strings.HasSuffix(e.Message, "is a directory")
}

func repeatUnknown(effect Effect) string {
	if effect == Reads {
		return "safe."
	}
	return "not blindly: check first whether it took effect."
}

func next(effect Effect, e *client.Error) string {
	if next, ok := instead(e); ok {
		return next
	}
	if e.TooLong() && strings.HasSuffix(e.Op, "/terminal/exec") {
		return "write what is long to a file with write_file, and run that: sh /workspace/…"
	}
	if isRedirect(e) && (effect == Reads || e.Outcome != client.OutcomeUnknown) {
		return "the person who runs this server must correct OPENCLAW_API_BASE_URL: it has to be the address that the message above names, if that is the service's."
	}
	if isDirectory(e) {
		return "give the full path of a file, its name included; list_files shows what is in the directory."
	}
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
		return "check_service tells whether OpenClaw can be reached; the network or OPENCLAW_API_BASE_URL may be at fault."
	case http.StatusUnauthorized:
		return "the person who runs this server must check the API key (OPENCLAW_API_KEY)."
	case http.StatusForbidden, http.StatusPaymentRequired:
		if strings.Contains(e.Op, "POST /instances") && !strings.Contains(e.Op, "{") {
			return "creating needs a subscription or an invite code: pass invite_code, or use an existing instance (list_instances)."
		}
		return "this key has no access to that: ask its owner; check_service shows what it can see."
	case http.StatusNotFound:
		return whatThereIs(e)
	case http.StatusConflict:
		return "the instance is not ready, or the request conflicts with its state: get_instance shows its status; try again when it is ready."
	case http.StatusRequestEntityTooLarge:
		return "send it in smaller parts."
	case http.StatusTooManyRequests:
		return "wait, then continue more slowly."
	case http.StatusBadRequest, http.StatusUnprocessableEntity:
		return "correct what the message above names."
	}
	if effect != Reads && e.Outcome == client.OutcomeUnknown {
		return lookFirst(e)
	}
	if e.Status == http.StatusServiceUnavailable && strings.HasSuffix(e.Op, "POST /instances") {
		return "there is no capacity now: use an existing instance (list_instances), or try later."
	}
	return "get_instance shows whether the instance is awake, check_service whether OpenClaw is up."
}

// whatThereIs names the call that shows what could have been named.
func whatThereIs(e *client.Error) string {
	switch {
	case strings.Contains(e.Message, "nstance"):
	case strings.Contains(e.Op, "/chat"):
		return "list_chat_sessions shows the sessions that there are."
	case strings.Contains(e.Op, "/files"):
		return "list_files shows the files that there are."
	}
	return "list_instances shows the instances that this key may use."
}

// lookFirst names the call that shows what became of a request whose outcome is
// unknown.
func lookFirst(e *client.Error) string {
	switch {
	case strings.Contains(e.Op, "/vnc/"):
		return "take_screenshot shows what became of it."
	case strings.Contains(e.Op, "/chat/sessions"):
		return "list_chat_sessions shows whether the session was created."
	case strings.Contains(e.Op, "/chat"):
		return "read_chat_history shows whether the message arrived and what was answered."
	case strings.Contains(e.Op, "/terminal/ws"):
		return "read_terminal shows what the terminal looks like now; check_service whether OpenClaw is up."
	case strings.Contains(e.Op, "/terminal"):
		return "look at what the command would have changed (exec_command, list_files)."
	case strings.Contains(e.Op, "/files"):
		return "list_files or read_file shows what is there now."
	default:
		return "list_instances or get_instance shows the current state."
	}
}

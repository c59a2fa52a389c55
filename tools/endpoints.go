package tools

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"openclaw-mcp/client"
	"openclaw-mcp/internal/sandbox"
)

// Services may lack endpoints. What stands in for each is in docs/api-notes.md.

// noEndpoint reports whether err is a service's word that it lacks an endpoint.
func noEndpoint(err error) bool {
	var e *client.Error
	return errors.As(err, &e) && e.NoEndpoint()
}

// tooLong reports whether err is a service's word that it takes only shorter texts.
func tooLong(err error) bool {
	var e *client.Error
	return errors.As(err, &e) && e.TooLong()
}

// noShell reports whether err says that the instance runs no scripts, and why.
func noShell(err error) (why string, ok bool) {
	var no *noScript
	if errors.As(err, &no) {
		return no.why, !no.begun
	}
	return sandbox.WithoutShell(err, false)
}

// whileReading makes an error of what only reads say that nothing was changed.
func whileReading(err error) error {
	var e *client.Error
	if !errors.As(err, &e) {
		return err
	}
	c := *e
	c.Outcome = ""
	return &c
}

// mkdir makes a directory: through files/mkdir, else by a command.
func (r *request) mkdir(ctx context.Context, id string, p filePath) error {
	err := r.Client.Files.Mkdir(ctx, id, string(p))
	if err == nil || !noEndpoint(err) || !p.inside() {
		return err
	}
	report, scriptErr := r.script(ctx, id, sandbox.New("file_mkdir", p.params(sandbox.Params{})))
	switch {
	case scriptErr != nil:
		if _, ok := noShell(scriptErr); ok {
			return err
		}
		return scriptErr
	case report.Verb != "ok":
		return refusal(report, p)
	}
	return nil
}

// listed gives an instance as the list of all has it, for services that show none alone.
func (r *request) listed(ctx context.Context, id string, cause error) (client.Instance, error) {
	page, err := r.Client.Instances.List(ctx)
	if err == nil {
		for _, in := range page.Items {
			if in.ID == id {
				return in, nil
			}
		}
	}
	return client.Instance{}, cause
}

// instead says what to do where the service lacks the endpoint of a request.
func instead(e *client.Error) (next string, ok bool) {
	_, endpoint, below := strings.Cut(e.Op, "/instances/{id}/")
	switch {
	case !e.NoEndpoint() || !below && !strings.HasSuffix(e.Op, "/instances"):
		return "", false
	case !below:
		return "name the instance in \"instance\", if you know its id: this service does not do that with instances.", true
	}
	switch endpoint {
	case "terminal/exec":
		return "this service runs no single commands; open_terminal may give a shell, and send_chat_message asks the agent to do it.", true
	case "terminal/ws":
		return "this service has no terminals; exec_command runs single commands.", true
	case "vnc/ws":
		return "this service shows no desktop.", true
	case "chat", "chat/stream":
		return "this service takes no chat messages for the instance; get_instance shows whether it is there.", true
	case "reboot", "shutdown":
		return "this service can't do that; whoever runs it has to.", true
	case "files/write", "files/upload", "files/mkdir":
		return "this service can't do that through its file endpoints; exec_command may do it, with cat or mkdir.", true
	}
	if e.Status == http.StatusNotFound {
		return "", false // more likely what was asked for is not there
	}
	return "this service has no such endpoint; check_service shows what it has.", true
}

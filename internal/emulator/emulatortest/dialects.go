package emulatortest

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path"
	"strings"
	"time"

	"openclaw-mcp/internal/emulator"
)

// Dialect selects one of the shapes in which the service may answer.
type Dialect string

// The dialects. Snake, Camel and Wrapped apply to Options.Messages and
// Options.Exec, the other two to Options.Exec only.
const (
	Snake   Dialect = "snake"   // bare arrays and objects, snake_case, RFC 3339
	Camel   Dialect = "camel"   // camelCase, epoch milliseconds, content blocks
	Wrapped Dialect = "wrapped" // {"instances":[…]}, {"session":{…}}, {"result":{…}}
	Output  Dialect = "output"  // exec: {"output","exit_code","timed_out"}
	Bare    Dialect = "bare"    // exec: {"success","stdout"}, with no exit code
)

// translate puts an answer of the emulator into the dialect. body is what was in
// the JSON; nil = nothing. The answer is JSON unless it is raw.
func (s *Server) translate(endpoint string, r *http.Request, status int, body any) (int, any) {
	d := s.opts.Messages
	o, _ := body.(object)
	if status >= http.StatusBadRequest {
		return status, d.failure(status, o)
	}
	method, what, _ := strings.Cut(endpoint, " ")
	what = strings.TrimPrefix(what, "/instances/{instance}")
	switch what {
	case "/":
		return status, d.root(body)
	case "/instances":
		if method == http.MethodGet {
			return status, d.list("instances", each(body, d.instance))
		}
		return status, d.one("instance", d.instance(o))
	case "":
		return status, d.one("instance", d.instance(o))
	case "/status":
		status := object{"instanceId": o["id"], "status": o["status"], "updatedAt": millis(o["updated_at"])}
		if d != Camel {
			status = o
		}
		return http.StatusOK, d.one("instance", status)
	case "/reboot", "/shutdown":
		switch d {
		case Camel:
			return http.StatusAccepted, object{"success": true, "status": o["status"]}
		case Wrapped:
			return http.StatusNoContent, nil
		}
	case "/chat/sessions":
		if method == http.MethodGet {
			return status, d.list("sessions", each(body, d.session))
		}
		return status, d.one("session", d.session(o))
	case "/chat":
		return status, s.reply(instanceOf(r), o)
	case "/chat/messages":
		messages := each(body, d.message)
		if d == Camel || d == Wrapped {
			return status, object{"messages": messages}
		}
		return status, messages
	case "/files":
		p := r.URL.Query().Get("path")
		switch {
		case s.opts.FileNames:
			return status, object{"files": s.names(instanceOf(r), p)}
		case d == Camel:
			return status, object{"data": each(body, d.entry)}
		case d == Wrapped:
			return status, object{"path": path.Join("/workspace", strings.TrimPrefix(p, "/workspace")), "entries": each(body, d.entry)}
		}
	case "/files/read":
		switch {
		case s.opts.RawFiles && o["encoding"] == "base64":
			content, _ := base64.StdEncoding.DecodeString(text(o["content"]))
			return status, raw(content)
		case s.opts.RawFiles:
			return status, raw(text(o["content"]))
		case d == Wrapped:
			return status, object{"file": o}
		}
	case "/files/write", "/files/upload", "/files/mkdir":
		switch d {
		case Camel:
			delete(o, "ok")
			o["success"] = true
			return http.StatusCreated, o
		case Wrapped:
			return http.StatusNoContent, nil
		}
	case "/terminal/exec":
		return status, s.opts.Exec.exec(o)
	}
	return status, body
}

func text(v any) string {
	s, _ := v.(string)
	return s
}

// millis gives a time as epoch milliseconds.
func millis(v any) int64 {
	t, _ := time.Parse(time.RFC3339, text(v))
	return t.UnixMilli()
}

// each translates a list.
func each(list any, f func(object) object) []object {
	out := []object{}
	items, _ := list.([]any)
	for _, item := range items {
		out = append(out, f(item.(object)))
	}
	return out
}

// list puts a list into the form of the dialect.
func (d Dialect) list(name string, items []object) any {
	switch d {
	case Camel:
		return object{"data": items}
	case Wrapped:
		return object{name: items, "next_cursor": nil}
	}
	return items
}

// one puts a single object into the form of the dialect.
func (d Dialect) one(name string, item object) object {
	if d == Wrapped {
		return object{name: item}
	}
	return item
}

func (d Dialect) failure(status int, o object) object {
	code, message := text(o["error"]), text(o["message"])
	switch {
	case d == Camel:
		return object{"statusCode": status, "error": http.StatusText(status), "code": code, "message": message}
	case d == Wrapped && code == "validation_error":
		field, problem, _ := strings.Cut(message, " ")
		return object{"detail": []object{{"loc": []string{"body", field}, "msg": problem}}}
	case d == Wrapped:
		return object{"error": object{"code": code, "message": message, "request_id": newID()}}
	}
	return o
}

func (d Dialect) instance(o object) object {
	if d != Camel {
		return o
	}
	return object{"id": o["id"], "status": o["status"], "sandboxId": o["sandbox_id"],
		"createdAt": millis(o["created_at"]), "updatedAt": millis(o["updated_at"])}
}

func (d Dialect) session(o object) object {
	if d != Camel {
		return o
	}
	return object{"id": o["id"], "title": o["title"],
		"createdAt": millis(o["created_at"]), "updatedAt": millis(o["updated_at"])}
}

// message translates a message. Camel is the form in which OpenClaw itself keeps
// a transcript, Wrapped a third way to name the same things.
func (d Dialect) message(o object) object {
	tool := o["role"] == "tool"
	if o["stop_reason"] == stopDone {
		delete(o, "stop_reason") // of the forms that services may have, the one without is harder to read
	}
	switch d {
	case Wrapped:
		o["text"] = o["content"]
		delete(o, "content")
		if tool {
			o["role"] = "tool_result"
		}
	case Camel:
		c := object{"id": o["id"], "sessionId": o["session_id"], "role": o["role"],
			"content":   []object{{"type": "text", "text": o["content"]}},
			"timestamp": millis(o["created_at"])}
		if tool {
			c["role"] = "toolResult"
			c["toolCallId"], c["toolName"], c["isError"] = o["tool_call_id"], o["tool_name"], o["is_error"]
		}
		if o["role"] == "assistant" {
			c["stopReason"] = "stop"
			if reason, failed := o["stop_reason"]; failed {
				c["stopReason"], c["errorMessage"] = reason, o["error_message"]
			}
		}
		return c
	}
	return o
}

// reply translates a whole reply.
func (s *Server) reply(instance string, o object) object {
	message, _ := o["message"].(object)
	switch s.opts.Messages {
	case Camel:
		return object{"runId": newID(), "sessionId": o["session_id"], "status": "ok",
			"result": object{"payloads": []object{{"text": message["content"]}}}}
	case Wrapped:
		var user emulator.Message
		for _, m := range s.Messages(instance, text(o["session_id"])) {
			if m.ID == message["id"] {
				break
			}
			if m.Role == "user" {
				user = m
			}
		}
		return object{"assistant_message": Wrapped.message(message), "user_message": object{"id": user.ID, "role": "user",
			"session_id": user.SessionID, "text": user.Text, "created_at": user.CreatedAt.UTC().Format("2006-01-02T15:04:05.000Z07:00")}}
	}
	return o
}

func (d Dialect) entry(o object) object {
	dir := o["type"] == "directory"
	switch d {
	case Camel:
		return object{"name": o["name"], "path": o["path"], "isDirectory": dir, "size": o["size"], "mtimeMs": millis(o["modified_at"])}
	case Wrapped:
		if dir {
			o["type"] = "dir"
		}
		return object{"name": o["name"], "type": o["type"], "size_bytes": o["size"], "updated_at": o["modified_at"]}
	}
	return o
}

// names lists a directory with all that is below it, relative to it. Directories
// end in a slash.
func (s *Server) names(instance, dir string) []string {
	names := []string{}
	if path.IsAbs(dir) {
		dir = strings.TrimPrefix(path.Clean(dir), "/workspace")
	}
	root := path.Join(s.Workspace(instance), dir)
	if to, err := os.Readlink(root); err == nil && strings.HasPrefix(to, "/workspace") {
		root = s.Workspace(instance) + strings.TrimPrefix(to, "/workspace")
	}
	_ = fs.WalkDir(os.DirFS(root), ".", func(p string, e fs.DirEntry, err error) error {
		if err == nil && e.IsDir() {
			p += "/"
		}
		if err == nil && p != "./" {
			names = append(names, p)
		}
		return nil
	})
	return names
}

// root advertises the resource paths.
func (d Dialect) root(body any) any {
	switch d {
	case Camel:
		list := []object{}
		for _, e := range endpoints {
			method, path, _ := strings.Cut(e, " ")
			list = append(list, object{"method": method, "path": path})
		}
		return object{"name": "OpenClaw local instance", "endpoints": list}
	case Wrapped:
		var paths []string
		for _, e := range endpoints {
			_, path, _ := strings.Cut(e, " ")
			if len(paths) == 0 || paths[len(paths)-1] != path {
				paths = append(paths, path)
			}
		}
		return object{"resources": paths}
	}
	return body
}

// endpoints are those of the API.
var endpoints = []string{
	"GET /", "GET /instances", "POST /instances", "GET /instances/{instance}", "POST /instances/{instance}/reboot",
	"POST /instances/{instance}/shutdown", "GET /instances/{instance}/status", "GET /instances/{instance}/chat/sessions",
	"POST /instances/{instance}/chat/sessions", chat, chatStream, "GET /instances/{instance}/chat/messages", chatEvents,
	listFiles, readFile, "POST /instances/{instance}/files/write", "POST /instances/{instance}/files/upload",
	"POST /instances/{instance}/files/mkdir", terminalExec, terminalSocket, desktopSocket,
}

// rewriteCommand changes the command of a request of terminal/exec.
func rewriteCommand(r *http.Request, change func(string) string) *http.Request {
	r = r.Clone(r.Context())
	all, err := io.ReadAll(r.Body)
	var body object
	if err == nil && json.Unmarshal(all, &body) == nil && text(body["command"]) != "" {
		// What would become longer than a program's argument may be stays as it is.
		if command := change(text(body["command"])); len(command) < 128<<10 {
			body["command"] = command
			all = encode(body)
		}
	}
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(all)), int64(len(all))
	return r
}

// quote makes a text one word for a shell.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// The forms of an exec result.
type (
	camelExec struct {
		Stdout    any `json:"stdout"`
		Stderr    any `json:"stderr"`
		ExitCode  any `json:"exitCode"`
		TimedOut  any `json:"timedOut,omitempty"`
		Truncated any `json:"truncated,omitempty"`
	}
	outputExec struct {
		Output    any  `json:"output"`
		ExitCode  any  `json:"exit_code"`
		TimedOut  bool `json:"timed_out"`
		Truncated any  `json:"truncated,omitempty"`
	}
	bareExec struct {
		Success bool `json:"success"`
		Stdout  any  `json:"stdout"`
	}
)

func (d Dialect) exec(o object) any {
	camel := camelExec{o["stdout"], o["stderr"], o["exit_code"], o["timed_out"], o["truncated"]}
	switch d {
	case Camel:
		return camel
	case Wrapped:
		return struct {
			Result any `json:"result"`
		}{camel}
	case Output:
		return outputExec{o["stdout"], o["exit_code"], o["timed_out"] == true, o["truncated"]}
	case Bare:
		return bareExec{o["exit_code"] == 0.0, o["stdout"]}
	}
	return o
}

package emulator

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	maxModelBody  = 16 << 20 // of an answer in one piece
	maxRetryAfter = 30 * time.Second
)

// chatMessage is a message of the conversation, as a request has it.
type chatMessage struct {
	Role       string     `json:"role"`
	Content    string     `json:"content"`
	ToolCalls  []chatCall `json:"tool_calls,omitempty"`
	ToolCallID string     `json:"tool_call_id,omitempty"`
}

type chatCall struct {
	ID       string       `json:"id"`
	Type     string       `json:"type"`
	Function chatFunction `json:"function"`
}

type chatFunction struct {
	Name      string `json:"name"`
	Arguments string `json:"arguments"`
}

// modelError is an answer that says no.
type modelError struct {
	status int
	text   string
	after  time.Duration // when to try again, if it was said
}

func (e *modelError) Error() string { return e.text }

// brokenError is an answer that did not come, or not to its end.
type brokenError struct{ error }

// Unwrap gives the cause.
func (e brokenError) Unwrap() error { return e.error }

// passing says whether another try may go better.
func passing(err error) bool {
	if no, ok := errors.AsType[*modelError](err); ok {
		return no.status == http.StatusTooManyRequests || no.status == http.StatusRequestTimeout || no.status >= 500
	}
	_, broken := errors.AsType[brokenError](err)
	return broken
}

// retry tries a request again, a few times, as long as nothing came of it.
func (t *modelTurn) retry(try func() error) error {
	wait := t.agent.Backoff
	for n := 1; ; n++ {
		err := try()
		if err == nil || !passing(err) || n == modelTries || t.ctx.Err() != nil {
			return err
		}
		pause := wait
		if no, ok := errors.AsType[*modelError](err); ok && no.after > 0 {
			pause = min(no.after, maxRetryAfter)
		}
		wait *= 2
		if emitErr := t.emit(AgentEvent{Kind: Status, Text: fmt.Sprintf("Trying again in %s: %v", pause, err)}); emitErr != nil {
			return emitErr
		}
		if err := sleep(t.ctx, pause); err != nil {
			return err
		}
	}
}

// ask has the model answer, and says its words as they come.
func (t *modelTurn) ask(model string, messages []chatMessage) (answer *modelAnswer, err error) {
	t.thinking = false
	err = t.retry(func() error {
		answer = &modelAnswer{}
		err := t.try(model, messages, answer)
		if no, ok := errors.AsType[*modelError](err); ok && no.status == http.StatusBadRequest && !t.noTools &&
			strings.Contains(strings.ToLower(no.text), "not support tools") {
			t.noTools = true
			if err := t.emit(AgentEvent{Kind: Status, Text: "This model knows no tools; it answers without them"}); err != nil {
				return err
			}
			err = t.try(model, messages, answer)
		}
		if err != nil && (answer.text || len(answer.Calls) > 0) {
			// Once words are out, another try would say them twice.
			return fmt.Errorf("the model's answer broke off: %s", err) //nolint:errorlint // unwrapped, it would count as a failure that can be tried again
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return answer, answer.settle()
}

func (t *modelTurn) try(model string, messages []chatMessage, answer *modelAnswer) error {
	request := object{"model": model, "messages": messages, "stream": true}
	if !t.noTools {
		request["tools"] = modelTools
	}
	resp, err := t.agent.send(t.ctx, http.MethodPost, "/chat/completions", encode(request))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	return answer.read(resp.Body, t)
}

// get reads a JSON object.
func (a *modelAgent) get(ctx context.Context, path string, into any) error {
	resp, err := a.send(ctx, http.MethodGet, path, nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxModelBody)).Decode(into); err != nil {
		return fmt.Errorf("%s%s does not answer as an OpenAI-compatible service: %w", a.base, path, err)
	}
	return nil
}

// send sends a request; an answer other than 200 is an error.
func (a *modelAgent) send(ctx context.Context, method, path string, body []byte) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, a.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "text/event-stream, application/json")
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if a.Key != "" {
		req.Header.Set("Authorization", "Bearer "+a.Key)
	}
	resp, err := a.http.Do(req)
	if err != nil {
		return nil, brokenError{fmt.Errorf("the model service at %s cannot be reached: %s", a.base, a.clean(causeOf(err).Error()))}
	}
	if resp.StatusCode == http.StatusOK {
		return resp, nil
	}
	defer resp.Body.Close()
	raw, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	hint := ""
	switch {
	case resp.StatusCode >= 300 && resp.StatusCode < 400:
		hint = "; it redirects to " + resp.Header.Get("Location") + ": set that as OPENCLAW_LOCAL_MODEL_URL, if you trust it"
	case resp.StatusCode == http.StatusUnauthorized || resp.StatusCode == http.StatusForbidden:
		hint = "; check OPENCLAW_LOCAL_MODEL_KEY"
	case resp.StatusCode == http.StatusNotFound:
		hint = "; check OPENCLAW_LOCAL_MODEL_URL and OPENCLAW_LOCAL_MODEL"
	}
	no := &modelError{status: resp.StatusCode, text: fmt.Sprintf("the model service answered %s: %s%s",
		resp.Status, a.clean(errorText(raw)), a.clean(hint))}
	if n, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && n > 0 {
		no.after = time.Duration(n) * time.Second
	}
	return nil, no
}

// causeOf drops what net/http puts before a cause: method and URL.
func causeOf(err error) error {
	if inner := errors.Unwrap(err); inner != nil {
		return inner
	}
	return err
}

// clean makes a text of the service fit for an error: short, and without the
// key, which some services repeat.
func (a *modelAgent) clean(text string) string {
	if a.Key != "" {
		text = strings.ReplaceAll(text, a.Key, "***")
	}
	const longest = 500
	if len(text) > longest {
		text = strings.ToValidUTF8(text[:longest], "") + " …"
	}
	return text
}

// errorText finds the message in one of the forms of an error, among them
// {"error":{"message":…}}, {"error":"…"} and {"message":…}.
func errorText(raw []byte) string {
	var body struct {
		Error   json.RawMessage `json:"error"`
		Message string          `json:"message"`
		Detail  string          `json:"detail"`
	}
	if json.Unmarshal(raw, &body) != nil {
		return cmp.Or(strings.TrimSpace(string(raw)), "(nothing more)")
	}
	var text string
	if json.Unmarshal(body.Error, &text) != nil {
		var inner struct {
			Message string `json:"message"`
		}
		if json.Unmarshal(body.Error, &inner) == nil {
			text = inner.Message
		}
	}
	return cmp.Or(text, body.Message, body.Detail, strings.TrimSpace(string(raw)), "(nothing more)")
}

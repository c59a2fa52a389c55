package emulator

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// modelAnswer is what a model answers to one request: text, which was said
// already, and calls of tools.
type modelAnswer struct {
	Text   strings.Builder
	Calls  []*modelCall
	Finish string

	text bool // something was said
	done bool // the answer said that it is complete
}

// modelCall is a call of a tool in the making.
type modelCall struct {
	ID, Name  string
	Arguments string // JSON, as far as it has come
	index     int    // in the service's count; -1 where it does not count
}

// chunk is a piece of a streamed answer, or a whole one.
type chunk struct {
	Choices []struct {
		Delta        *delta `json:"delta"`
		Message      *delta `json:"message"` // of answers in one piece
		FinishReason string `json:"finish_reason"`
	} `json:"choices"`
	Error json.RawMessage `json:"error"`
}

type delta struct {
	Content   json.RawMessage `json:"content"` // text, null, or a list of parts
	Reasoning string          `json:"reasoning"`
	Thought   string          `json:"reasoning_content"`
	ToolCalls []struct {
		Index    *int   `json:"index"`
		ID       string `json:"id"`
		Function struct {
			Name      string          `json:"name"`
			Arguments json.RawMessage `json:"arguments"` // text; from some services an object
		} `json:"function"`
	} `json:"tool_calls"`
}

// read reads an answer: a stream of events, or one JSON object from services
// that do not stream.
func (m *modelAnswer) read(body io.Reader, t *modelTurn) error {
	in := bufio.NewReader(body)
	for {
		b, err := in.Peek(1)
		if err != nil {
			return brokenError{fmt.Errorf("the model's answer is empty: %w", err)}
		}
		if !bytes.Contains([]byte(" \t\r\n\ufeff"), b) {
			break
		}
		in.Discard(1)
	}
	b, _ := in.Peek(1)
	if b[0] == '<' {
		return errors.New("the model service answers with a web page, not as an OpenAI-compatible service does; check OPENCLAW_LOCAL_MODEL_URL")
	}
	if b[0] == '{' {
		raw, err := io.ReadAll(io.LimitReader(in, maxModelBody))
		if err != nil {
			return brokenError{fmt.Errorf("the model's answer broke off: %w", err)}
		}
		m.done = true
		return m.take(raw, t)
	}
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, maxModelBody)
	for lines.Scan() {
		data, ok := bytes.CutPrefix(lines.Bytes(), []byte("data:"))
		if !ok {
			continue // a comment, a name of an event, or an empty line
		}
		data = bytes.TrimSpace(data)
		if string(data) == "[DONE]" {
			m.done = true
			return nil
		}
		if len(data) == 0 {
			continue
		}
		if err := m.take(data, t); err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil {
		if m.Finish != "" {
			return nil // all had come
		}
		return brokenError{fmt.Errorf("reading the answer: %w", causeOf(err))}
	}
	// Some services end a stream without a word. What came counts, if anything.
	if !m.text && len(m.Calls) == 0 && m.Finish == "" {
		return brokenError{errors.New("the model's answer ended before it began")}
	}
	return nil
}

// take takes a chunk.
func (m *modelAnswer) take(raw []byte, t *modelTurn) error {
	var c chunk
	if err := json.Unmarshal(raw, &c); err != nil {
		return fmt.Errorf("the model's answer is not JSON: %w", err)
	}
	if len(c.Error) > 0 && string(c.Error) != "null" {
		var coded struct {
			Code int `json:"code"`
		}
		_ = json.Unmarshal(c.Error, &coded) // many errors have none, or a word
		return &modelError{status: coded.Code, text: "the model service failed: " + t.agent.clean(errorText(raw))}
	}
	if len(c.Choices) == 0 {
		return nil // figures of the use, in the last chunk
	}
	choice := c.Choices[0]
	d := choice.Delta
	if d == nil {
		d = choice.Message
	}
	if choice.FinishReason != "" {
		m.Finish = choice.FinishReason
	}
	if d == nil {
		return nil
	}
	text := contentText(d.Content)
	if text == "" && (d.Reasoning != "" || d.Thought != "") {
		if err := t.think(); err != nil {
			return err
		}
	}
	if text != "" {
		m.text = true
		m.Text.WriteString(text)
		if err := t.say(text); err != nil {
			return err
		}
	}
	for _, part := range d.ToolCalls {
		index := -1
		if part.Index != nil {
			index = *part.Index
		}
		call := m.call(index, part.ID, part.Function.Name)
		if call.Name != part.Function.Name { // some repeat it in each chunk
			call.Name += part.Function.Name
		}
		call.Arguments += argumentText(part.Function.Arguments)
	}
	return nil
}

// call finds the call that a part belongs to. Services count calls, or name
// them, or both, or neither; and some count all of them as the first.
func (m *modelAnswer) call(index int, id, name string) *modelCall {
	for _, c := range slices.Backward(m.Calls) {
		same := id == "" || c.ID == "" || id == c.ID
		if index < 0 && id == "" && name != "" && json.Valid([]byte(c.Arguments)) {
			same = false // that one is complete, and another begins
		}
		if same && (index < 0 || c.index == index) {
			if c.ID == "" {
				c.ID = id
			}
			return c
		}
	}
	c := &modelCall{ID: id, index: index}
	m.Calls = append(m.Calls, c)
	return c
}

// contentText gives the text of a content, which may be a list of parts.
func contentText(raw json.RawMessage) string {
	var text string
	if len(raw) == 0 || json.Unmarshal(raw, &text) == nil {
		return text
	}
	var parts []struct {
		Text string `json:"text"`
	}
	if json.Unmarshal(raw, &parts) != nil {
		return ""
	}
	for _, p := range parts {
		text += p.Text
	}
	return text
}

// argumentText gives arguments as the text of a JSON object.
func argumentText(raw json.RawMessage) string {
	var text string
	if len(raw) == 0 || json.Unmarshal(raw, &text) == nil { // also null
		return text
	}
	return string(raw)
}

// fitID says whether every service takes an id of a call.
func fitID(id string) bool {
	return len(id) > 0 && len(id) <= 64 && strings.Trim(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.:-") == ""
}

// settle checks an answer that has come as a whole, and makes sure that each
// call has an id of its own.
func (m *modelAnswer) settle() error {
	if m.Finish == "content_filter" {
		return errors.New("the model service withheld the answer (content_filter)")
	}
	seen := map[string]bool{}
	for _, c := range m.Calls {
		if !fitID(c.ID) || seen[c.ID] {
			c.ID = "c" + newID()[:8] // nine letters and digits are what the strictest service takes
		}
		seen[c.ID] = true
	}
	return nil
}

// message gives the answer as a message of the conversation.
func (m *modelAnswer) message() chatMessage {
	msg := chatMessage{Role: "assistant", Content: m.Text.String()}
	for _, c := range m.Calls {
		args := c.Arguments
		if !json.Valid([]byte(args)) {
			args = "{}" // services refuse a conversation that holds anything else
		}
		msg.ToolCalls = append(msg.ToolCalls, chatCall{ID: c.ID, Type: "function", Function: chatFunction{Name: c.Name, Arguments: args}})
	}
	return msg
}

package client

import (
	"encoding/base64"
	"errors"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
)

// TerminalFamily is a format of the frames of a terminal's socket. The service
// does not document its own.
type TerminalFamily string

// The families. [TerminalAuto] finds out which one it is.
const (
	TerminalAuto  TerminalFamily = ""
	TerminalTyped TerminalFamily = "T1" // JSON objects with a type, in both directions
	TerminalRaw   TerminalFamily = "T2" // the bytes of the terminal and nothing else
	TerminalMixed TerminalFamily = "T3" // the terminal's bytes in binary frames, JSON in text frames
	TerminalTtyd  TerminalFamily = "T4" // ttyd: a first byte says what a frame is; subprotocol tty
	TerminalLines TerminalFamily = "T5" // a command line at a time, answered by its whole result
)

// TerminalFamilies lists the families that a setting can name.
func TerminalFamilies() []TerminalFamily {
	return []TerminalFamily{TerminalTyped, TerminalRaw, TerminalMixed, TerminalTtyd, TerminalLines}
}

// ErrTerminalInput is the cause of an [Error] that says that a family can't
// carry what was to be sent: a resize over raw bytes, control keys in line mode.
var ErrTerminalInput = errors.New("this terminal can't take that")

// wsFrame is one WebSocket message.
type wsFrame struct {
	binary bool
	data   []byte
}

func textFrame(v any) wsFrame {
	b, err := json.Marshal(v, tolerant)
	if err != nil {
		panic(err) // strings and numbers
	}
	return wsFrame{data: b}
}

// frameEvent is what a frame from the service says.
type frameEvent struct {
	output  []byte
	title   string
	session string // an id that a later connection can ask for
	resumed bool   // the service says that this is the shell of an earlier connection
	problem *Error // an error message
	exited  bool
	code    *int
}

// frameReader reads the frames of one terminal.
type frameReader struct {
	family  TerminalFamily
	guessed bool // nothing came before the family was settled: the first frame decides
	started bool // T2: a frame came
	binary  bool // T2: only binary ones came
}

// frameWriter writes the frames of one terminal.
type frameWriter struct {
	family TerminalFamily
	binary bool   // T2: what comes, comes in binary frames
	line   string // T5: what was typed of the next command
}

// familyOf tells the family by the first frame.
func familyOf(first wsFrame) TerminalFamily {
	o, ok := asObject(first.data)
	switch {
	case !ok || o.text("type") == "":
		return TerminalRaw
	case o.text("type") == "result":
		return TerminalLines
	}
	return TerminalTyped
}

// decode reads a frame. What no family knows is not an error: text that is no
// JSON is shown as output, objects of an unknown type are passed over.
func (c *frameReader) decode(f wsFrame) frameEvent {
	if c.guessed {
		c.guessed = false
		c.family = familyOf(f)
	}
	switch c.family {
	case TerminalRaw:
		if !c.started {
			c.started, c.binary = true, f.binary
		}
		if c.binary && !f.binary {
			// Bytes in binary frames and then JSON in a text frame: T3 after all.
			if ev, ok := decodeTyped(f.data); ok {
				c.family = TerminalMixed
				return ev
			}
		}
		c.binary = c.binary && f.binary
		return frameEvent{output: f.data}
	case TerminalTtyd:
		if len(f.data) == 0 {
			return frameEvent{}
		}
		switch f.data[0] {
		case '0':
			return frameEvent{output: f.data[1:]}
		case '1':
			return frameEvent{title: oneLine(strings.ToValidUTF8(string(f.data[1:]), ""), 200)}
		}
		return frameEvent{} // preferences, and what later versions add
	}
	ev, ok := decodeTyped(f.data)
	switch {
	case ok:
	case f.binary:
		if c.family == TerminalTyped {
			c.family = TerminalMixed
		}
		ev.output = f.data
	case kindOf(f.data) == '{' && isJSON(f.data): // an object without a type
	default:
		ev.output = f.data
	}
	return ev
}

// decodeTyped reads a JSON object with a type. It is false for anything else.
func decodeTyped(data []byte) (frameEvent, bool) {
	var ev frameEvent
	o, ok := asObject(data)
	if !ok {
		return ev, false
	}
	kind := strings.ToLower(o.text("type"))
	if kind == "" {
		return ev, false
	}
	switch kind {
	case "output", "stdout", "stderr", "data", "terminal_output":
		ev.output = typedPayload(o)
	case "result":
		ev.output = lineResult(o)
	case "exit", "exited", "closed", "close":
		ev.exited = true
		if n, ok := o.number("code", "exitCode", "exit_code"); ok {
			code := int(n)
			ev.code = &code
		}
	case "error":
		e := decodeErrorObject(o, 0)
		if e.Message == "" {
			e.Message = "the terminal reports an error without a reason"
		}
		ev.problem = e
	case "title":
		ev.title = oneLine(o.text("title", "data", "text"), 200)
	default: // ready, pong and whatever else
		ev.session = o.id("session_id", "sessionId", "terminal_id", "terminalId")
		for _, key := range []string{"resumed", "reattached", "reconnected"} {
			ev.resumed = ev.resumed || string(o[key]) == "true"
		}
	}
	return ev, true
}

// typedPayload is the output of an object, in whatever way it is written.
func typedPayload(o object) []byte {
	for _, key := range []string{"data", "output", "text", "content"} {
		s, ok := asString(o[key])
		if !ok {
			continue
		}
		if strings.EqualFold(o.text("encoding"), "base64") {
			if b, err := base64.StdEncoding.DecodeString(s); err == nil {
				return b
			}
			if b, err := base64.RawStdEncoding.DecodeString(s); err == nil {
				return b
			}
		}
		return []byte(s)
	}
	return nil
}

// lineResult is the output of a command in line mode, as a terminal shows it.
func lineResult(o object) []byte {
	var b []byte
	for _, key := range []string{"stdout", "output", "stderr"} {
		s, _ := asString(o[key])
		s = strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\n", "\r\n")
		if s != "" && !strings.HasSuffix(s, "\n") {
			s += "\r\n"
		}
		b = append(b, s...)
	}
	if n, ok := o.number("exit_code", "exitCode", "code"); ok && n != 0 {
		b = append(b, "[exit code "+strconv.Itoa(int(n))+"]\r\n"...)
	}
	return b
}

// input gives the frames that carry what was typed.
func (c *frameWriter) input(data string) ([]wsFrame, error) {
	switch c.family {
	case TerminalRaw:
		return []wsFrame{{binary: c.binary, data: []byte(data)}}, nil
	case TerminalTtyd:
		return []wsFrame{{binary: true, data: append([]byte{'0'}, data...)}}, nil
	case TerminalLines:
		return c.typeLine(data)
	}
	return []wsFrame{textFrame(struct {
		Type string `json:"type"`
		Data string `json:"data"`
	}{"input", data})}, nil
}

// typeLine collects what is typed and sends it line by line.
func (c *frameWriter) typeLine(data string) ([]wsFrame, error) {
	line := c.line
	var frames []wsFrame
	for _, r := range data {
		switch {
		case r == '\r' || r == '\n':
			if len(line) > 0 {
				frames = append(frames, textFrame(struct {
					Type    string `json:"type"`
					Command string `json:"command"`
				}{"command", line}))
			}
			line = ""
		case r == 0x7f || r == '\b':
			_, size := utf8.DecodeLastRuneInString(line)
			line = line[:len(line)-size]
		case r == 0x15: // ctrl-u
			line = ""
		case r < ' ' && r != '\t':
			return nil, errors.New("the service runs this terminal in line mode: it takes whole lines of text and no control keys")
		default:
			line += string(r)
		}
	}
	c.line = line
	return frames, nil
}

// resize gives the frame that tells the size, or none where the family has none.
func (c *frameWriter) resize(cols, rows int) (wsFrame, bool) {
	switch c.family {
	case TerminalRaw, TerminalLines:
		return wsFrame{}, false
	case TerminalTtyd:
		f := textFrame(struct {
			Columns int `json:"columns"`
			Rows    int `json:"rows"`
		}{cols, rows})
		return wsFrame{binary: true, data: append([]byte{'1'}, f.data...)}, true
	}
	return textFrame(struct {
		Type string `json:"type"`
		Cols int    `json:"cols"`
		Rows int    `json:"rows"`
	}{"resize", cols, rows}), true
}

// ttydHello is the first frame of a ttyd client.
func ttydHello(cols, rows int) wsFrame {
	return wsFrame{binary: true, data: textFrame(struct {
		AuthToken string
		Columns   int `json:"columns"`
		Rows      int `json:"rows"`
	}{"", cols, rows}).data}
}

package emulatortest

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"unicode/utf8"

	"github.com/coder/websocket"
)

// TerminalFamily selects the frames of terminal/ws.
type TerminalFamily string

// The families of terminals.
const (
	TerminalT1 TerminalFamily = "T1" // typed JSON in both directions
	TerminalT2 TerminalFamily = "T2" // the bytes themselves
	TerminalT3 TerminalFamily = "T3" // bytes in binary frames, JSON in text frames
	TerminalT4 TerminalFamily = "T4" // ttyd
	TerminalT5 TerminalFamily = "T5" // a command at a time
)

type message struct {
	kind websocket.MessageType
	data []byte
}

func jsonMessage(v object) message { return message{websocket.MessageText, encode(v)} }

// outputMessage wraps what the shell printed. JSON can't carry half a character,
// so a piece that is not whole text goes as base64.
func (f TerminalFamily) outputMessage(p []byte) message {
	switch f {
	case TerminalT2, TerminalT3:
		return message{websocket.MessageBinary, p}
	case TerminalT4:
		return message{websocket.MessageBinary, append([]byte{'0'}, p...)}
	}
	if utf8.Valid(p) {
		return jsonMessage(object{"type": "output", "data": string(p)})
	}
	return jsonMessage(object{"type": "output", "encoding": "base64", "data": base64.StdEncoding.EncodeToString(p)})
}

// greeting is what a shell begins with. ready is the emulator's own greeting.
func (f TerminalFamily) greeting(ready []byte) []message {
	switch f {
	case TerminalT1, TerminalT3:
		return []message{{websocket.MessageText, ready}}
	case TerminalT4:
		return []message{
			{websocket.MessageBinary, []byte("1shell (emulator)")},
			{websocket.MessageBinary, []byte(`2{"disableLeaveAlert":true}`)},
		}
	}
	return nil
}

// farewell is what follows the end of a shell.
func (f TerminalFamily) farewell(code int) []message {
	if f == TerminalT1 || f == TerminalT3 {
		return []message{jsonMessage(object{"type": "exit", "code": code})}
	}
	return nil
}

// inputEvent is what a client's frame asks for.
type inputEvent struct {
	data       []byte
	cols, rows int // a new size, unless 0
	command    *string
	problem    string // the client's mistake
}

// readInput reads a client's frame.
func (f TerminalFamily) readInput(m message) inputEvent {
	switch f {
	case TerminalT2:
		return inputEvent{data: m.data}
	case TerminalT3:
		if m.kind == websocket.MessageBinary {
			return inputEvent{data: m.data}
		}
	case TerminalT4:
		if len(m.data) == 0 {
			return inputEvent{problem: "an empty message"}
		}
		switch m.data[0] {
		case '0':
			return inputEvent{data: m.data[1:]}
		case '1':
			return readSize(m.data[1:])
		}
		return inputEvent{problem: fmt.Sprintf("unknown command %q", m.data[0])}
	}
	var in struct {
		Type    string  `json:"type"`
		Data    string  `json:"data"`
		Command *string `json:"command"`
	}
	if err := json.Unmarshal(m.data, &in); err != nil {
		return inputEvent{problem: "the message is not JSON"}
	}
	switch {
	case in.Type == "ping":
		return inputEvent{}
	case f == TerminalT5 && in.Type == "command" && in.Command != nil:
		return inputEvent{command: in.Command}
	case f != TerminalT5 && in.Type == "input":
		return inputEvent{data: []byte(in.Data)}
	case f != TerminalT5 && in.Type == "resize":
		return readSize(m.data)
	}
	return inputEvent{problem: fmt.Sprintf("unknown message type %q", in.Type)}
}

// readSize reads both spellings of a size.
func readSize(raw []byte) inputEvent {
	var size struct {
		Cols    int `json:"cols"`
		Columns int `json:"columns"`
		Rows    int `json:"rows"`
	}
	if err := json.Unmarshal(raw, &size); err != nil {
		return inputEvent{problem: "the size is not JSON"}
	}
	cols := max(size.Cols, size.Columns)
	if cols < 1 || size.Rows < 1 {
		return inputEvent{problem: fmt.Sprintf("a terminal can't have %d columns and %d rows", cols, size.Rows)}
	}
	return inputEvent{cols: cols, rows: size.Rows}
}

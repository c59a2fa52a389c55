package client

import (
	"bytes"
	"io"
	"strings"
)

// partNames names the lines of Vercel's AI data stream, which begin with a code:
//
//	f:{"messageId":"m"}
//	0:"Hel"
//	9:{"toolCallId":"t","toolName":"exec","args":{}}
//	a:{"toolCallId":"t","result":"…"}
//	d:{"finishReason":"stop"}
var partNames = map[byte]string{'0': "text_delta", '3': "error", '9': "tool_call", 'a': "tool_result", 'b': "tool_call", 'd': "done", 'g': "reasoning"}

// isPart reports whether a line has such a form.
func isPart(line []byte) bool {
	return len(line) > 2 && strings.IndexByte("0123456789abcdefghijk", line[0]) >= 0 && line[1] == ':' && bytes.IndexByte([]byte(`"{[`), line[2]) >= 0
}

// readParts gives the lines of such a stream as events.
func readParts(r io.Reader, limit int, yield func(frame) bool) error {
	return readLines(r, limit, func(f frame) bool {
		if isPart(f.data) {
			name, known := partNames[f.data[0]]
			if !known {
				name = "part"
			}
			f.name, f.data = name, f.data[2:]
		}
		return yield(f)
	})
}

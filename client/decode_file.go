package client

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// envelope is what the answer to GET …/files/read is: JSON around a file's
// content, or the file itself.
type envelope int

const (
	noEnvelope   envelope = iota // the file itself
	wholeContent                 // JSON around the content
	partContent                  // JSON around a part of the content, as it says itself: by a flag, or by a larger size
	undecided                    // JSON that breaks off before that can be told
)

// decodeEnvelope finds the content of a file in the answer to files/read. Any
// JSON may be the file itself, so only an object is unwrapped that has a string
// "content" (or "file" around one) and no member that does not belong beside it. What
// stands beside all answers of an API counts, too, where it names the file of path.
func decodeEnvelope(body []byte, path string) ([]byte, envelope, error) {
	d := newDecoder(body)
	if d.PeekKind() != '{' {
		return nil, noEnvelope, nil
	}
	members := object{}
	if err := envelopeMembers(d, members, 0); err != nil {
		if errors.Is(err, io.ErrUnexpectedEOF) {
			return nil, undecided, nil
		}
		return nil, noEnvelope, nil
	}
	encoding := strings.ToLower(members.text("encoding", "content_encoding", "contentEncoding"))
	if members.flag("isBase64", "is_base64", "base64") {
		encoding = "base64"
	}
	content, isText := asBytes(members["content"])
	if b, ok := asBytes(members.first("contentBase64", "content_base64")); ok && !isText {
		content, isText, encoding = b, true, "base64"
	}
	if _, err := d.ReadToken(); !errors.Is(err, io.EOF) || !isText {
		return nil, noEnvelope, nil
	}
	if members.first("success", "ok", "data") != nil && (members.text("path") != path || members.denied()) {
		return nil, noEnvelope, nil
	}
	sent := len(content)
	content, known, err := decodeContent(content, encoding)
	if !known {
		return nil, noEnvelope, nil
	}
	size, _ := members.number("size")
	if members.flag("truncated") || int(size) > len(content) && int(size) != sent {
		return content, partContent, err
	}
	return content, wholeContent, err
}

// decodeContent gives a content in its encoding, if that is known.
func decodeContent(content []byte, encoding string) (decoded []byte, known bool, err error) {
	switch encoding {
	case "", "utf-8", "utf8", "text", "plain", "ascii", "us-ascii":
		return content, true, nil
	case "hex":
		n, err := hex.Decode(content, content)
		return content[:n], err == nil, nil
	case "base64", "base64url", "base64-url", "dataurl", "data-url":
		if _, data, ok := bytes.Cut(content, []byte(";base64,")); ok && bytes.HasPrefix(content, []byte("data:")) {
			content = data
		}
		decoded, err := decodeBase64(content)
		return decoded, true, err
	}
	return nil, false, nil
}

// errForeign says that an object has a member that no envelope has.
var errForeign = errors.New("not an envelope")

// envelopeMembers reads an object into members, and stops at the first member
// that does not belong to an envelope.
func envelopeMembers(d *jsontext.Decoder, members object, depth int) error {
	if _, err := d.ReadToken(); err != nil { // the opening brace
		return err
	}
	for d.PeekKind() != '}' {
		token, err := d.ReadToken()
		if err != nil {
			return err
		}
		name := token.String()
		switch {
		case (name == "file" || name == "data") && depth == 0 && members["content"] == nil:
			if d.PeekKind() == '{' {
				if name == "data" {
					members[name] = jsontext.Value("{}")
				}
				err = envelopeMembers(d, members, 1)
			} else if err = d.SkipValue(); err == nil {
				err = errForeign
			}
		case name == "content" && members["content"] == nil,
			name == "encoding", name == "content_encoding", name == "contentEncoding", name == "isBase64", name == "is_base64", name == "base64",
			name == "contentBase64", name == "content_base64", name == "truncated", name == "path", name == "success", name == "ok", name == "size", name == "name",
			strings.HasPrefix(name, "mime"), strings.HasPrefix(name, "modified"):
			members[name], err = d.ReadValue()
		default:
			err = errForeign
		}
		if err != nil {
			return err
		}
	}
	_, err := d.ReadToken() // the closing brace
	return err
}

// decodeBase64 decodes the standard and the URL alphabet, with or without
// padding and line breaks. What it decodes is overwritten.
func decodeBase64(b []byte) ([]byte, error) {
	b = bytes.TrimRight(squeeze(b), "=")
	n, err := base64.RawStdEncoding.Decode(b, b) // which is never ahead of what it reads
	if bad, ok := errors.AsType[base64.CorruptInputError](err); ok {
		return nil, &Error{Message: fmt.Sprintf("the content is not valid base64 at position %d", int64(bad)), Err: err}
	}
	return b[:n], nil
}

// squeeze has base64 in the standard alphabet and without white space.
func squeeze(b []byte) []byte {
	out := b[:0]
	for _, c := range b {
		switch c {
		case '\r', '\n', ' ', '\t':
		case '-':
			out = append(out, '+')
		case '_':
			out = append(out, '/')
		default:
			out = append(out, c)
		}
	}
	return out
}

package client

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"openclaw-mcp/internal/text"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// tolerant reads JSON as the service may write it: a name that occurs twice (the
// last one counts) or text that is not UTF-8 (it becomes U+FFFD) must not cost
// the user a reply.
var tolerant = json.JoinOptions(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))

// object is a JSON object whose values have not been decoded yet. Its names are
// compared exactly, upper and lower case included. The values share the memory
// of the text they were found in.
type object map[string]jsontext.Value

// newDecoder reads JSON text in place, without copying it.
func newDecoder(raw []byte) *jsontext.Decoder {
	return jsontext.NewDecoder(bytes.NewBuffer(raw), tolerant)
}

// asObject gives the members of a JSON object. It is false for anything else,
// broken JSON included.
func asObject(raw []byte) (object, bool) {
	if kindOf(raw) != '{' {
		return nil, false
	}
	o := object{}
	d := newDecoder(raw)
	_, err := d.ReadToken() // the opening brace
	for err == nil && d.PeekKind() != '}' {
		var name jsontext.Token
		if name, err = d.ReadToken(); err == nil {
			key := name.String()
			o[key], err = d.ReadValue()
		}
		if len(o) > maxMembers {
			return nil, false
		}
	}
	if err != nil || !endsHere(d) {
		return nil, false
	}
	return o, true
}

// asArray gives the items of a JSON array. It is false for anything else,
// broken JSON included.
func asArray(raw []byte) ([]jsontext.Value, bool) {
	if kindOf(raw) != '[' {
		return nil, false
	}
	items := []jsontext.Value{}
	d := newDecoder(raw)
	_, err := d.ReadToken() // the opening bracket
	for err == nil && d.PeekKind() != ']' {
		var item jsontext.Value
		item, err = d.ReadValue()
		items = append(items, item)
		if len(items) > maxValues {
			return nil, false
		}
	}
	if err != nil || !endsHere(d) {
		return nil, false
	}
	return items, true
}

const (
	// maxValues bounds the values of an answer: each takes far more memory than the
	// two bytes that it may take on the wire.
	maxValues = 1 << 20
	// maxItems bounds the entries of one list, and maxMembers those of an object.
	maxItems   = 1 << 17
	maxMembers = 1 << 16
)

// errManyValues ends the reading of an answer with more values than that.
var errManyValues = &Error{Err: ErrTooLarge, Message: fmt.Sprintf("the answer has more than %d values", maxValues)}

// valueCounter is a reader of JSON that ends where there are too many values, before
// they are all in memory. It counts what stands before values, outside of strings.
type valueCounter struct {
	io.Reader
	begun, isJSON     bool
	inString, escaped bool
	values            int
}

// Read implements [io.Reader].
func (v *valueCounter) Read(p []byte) (int, error) {
	n, err := v.Reader.Read(p)
	if v.count(p[:n]); v.values > maxValues {
		return n, errManyValues
	}
	return n, err
}

func (v *valueCounter) count(p []byte) {
	if !v.begun {
		for len(p) > 0 && strings.IndexByte("\xef\xbb\xbf \t\r\n", p[0]) >= 0 { // a byte order mark may be cut
			p = p[1:]
		}
		if len(p) == 0 {
			return
		}
		v.begun, v.isJSON = true, p[0] == '{' || p[0] == '['
	}
	if !v.isJSON {
		return
	}
	for i := 0; i < len(p); i++ {
		switch c := p[i]; {
		case v.escaped:
			v.escaped = false
		case v.inString:
			for i < len(p) && p[i] != '"' && p[i] != '\\' { // faster than bytes.IndexAny where one follows the other
				i++
			}
			if i == len(p) {
				return
			}
			v.inString, v.escaped = p[i] == '\\', p[i] == '\\'
		case c == '"':
			v.inString = true
		case c == ',', c == '[', c == '{':
			v.values++
		}
	}
}

// endsHere reads the closing bracket and reports whether the text ends with it.
func endsHere(d *jsontext.Decoder) bool {
	_, err := d.ReadToken()
	if err == nil {
		_, err = d.ReadToken()
	}
	return errors.Is(err, io.EOF)
}

// asString gives the text of a JSON string. It is false for anything else.
func asString(raw []byte) (string, bool) {
	if kindOf(raw) != '"' {
		return "", false
	}
	var s string
	err := json.Unmarshal(raw, &s, tolerant)
	return s, err == nil
}

// asBytes is asString for a value that may be large, and that a decoder has read.
func asBytes(raw []byte) ([]byte, bool) {
	if kindOf(raw) != '"' {
		return nil, false
	}
	text, _ := jsontext.AppendUnquote([]byte{}, raw) // the error would be of what is not UTF-8
	return text, true
}

// isJSON reports whether raw is one JSON value and nothing else.
func isJSON(raw []byte) bool { return jsontext.Value(raw).IsValid(tolerant) }

// kindOf tells a JSON value by its first byte: one of { [ " t f n, a digit or
// a minus, or 0 when there is nothing.
func kindOf(raw []byte) byte {
	raw = bytes.TrimLeft(raw, " \t\r\n")
	if len(raw) == 0 {
		return 0
	}
	return raw[0]
}

// isNull reports whether a value is absent or null.
func isNull(raw []byte) bool { k := kindOf(raw); return k == 0 || k == 'n' }

// first gives the first of the named values that is there and not null.
func (o object) first(names ...string) jsontext.Value {
	for _, k := range names {
		if !isNull(o[k]) {
			return o[k]
		}
	}
	return nil
}

// text gives the first of the named values that is a string and not empty.
func (o object) text(names ...string) string {
	return firstOf(names, func(k string) (string, bool) { s, ok := asString(o[k]); return s, ok && s != "" })
}

// id gives the first of the named values that is a string or a number, as a
// string: some services number what others name.
func (o object) id(names ...string) string {
	return firstOf(names, func(k string) (string, bool) { s := shortID(scalar(o[k])); return s, s != "" })
}

// maxIDText is how long an id may be, in bytes; ids are kept while a reply lasts, and longer.
const maxIDText = 512

// shortID gives an id, or a shorter one in place of one that is too long.
func shortID(id string) string {
	if len(id) <= maxIDText {
		return id
	}
	sum := sha256.Sum256([]byte(id))
	return strings.ToValidUTF8(id[:maxIDText/2], "") + "…" + hex.EncodeToString(sum[:])
}

// object gives the first of the named values that is an object.
func (o object) object(names ...string) (object, bool) {
	found := firstOf(names, func(k string) (object, bool) { return asObject(o[k]) })
	return found, found != nil
}

// number gives the first of the named values that is a number, or is one as text.
func (o object) number(names ...string) (f float64, ok bool) {
	f = firstOf(names, func(k string) (float64, bool) { f, ok = number(o[k]); return f, ok })
	return f, ok
}

// time gives the first of the named values that is a date.
func (o object) time(names ...string) time.Time {
	return firstOf(names, func(k string) (time.Time, bool) { t := decodeTime(o[k]); return t, !t.IsZero() })
}

// flag reports whether one of the named values is true, or says so as text.
func (o object) flag(names ...string) bool {
	return slices.ContainsFunc(names, func(k string) bool { return isBool(o[k], "true") })
}

// denied reports whether the object says that what was asked for failed.
func (o object) denied() bool { return isBool(o["ok"], "false") || isBool(o["success"], "false") }

// isBool reports whether a value is that word, as JSON has it or as text.
func isBool(raw []byte, word string) bool {
	switch kindOf(raw) {
	case word[0]:
		return string(raw) == word
	case '"':
		s, _ := asString(raw)
		return strings.EqualFold(strings.TrimSpace(s), word)
	}
	return false
}

// firstOf gives the first value that get finds, else the zero value.
func firstOf[T any](names []string, get func(name string) (T, bool)) (found T) {
	for _, k := range names {
		if v, ok := get(k); ok {
			return v
		}
	}
	return found
}

// scalar gives a string as it is and a number in decimals, else "".
func scalar(raw []byte) string {
	switch k := kindOf(raw); {
	case k == '"':
		s, _ := asString(raw)
		return s
	case k == '-' || k >= '0' && k <= '9':
		s := string(bytes.TrimSpace(raw))
		if !strings.ContainsAny(s, ".eE") {
			return s // an integer of any length keeps its digits
		}
		if f, err := strconv.ParseFloat(s, 64); err == nil {
			return strconv.FormatFloat(f, 'f', -1, 64)
		}
	}
	return ""
}

func number(raw []byte) (float64, bool) {
	if s, ok := asString(raw); ok {
		raw = []byte(s)
	}
	k := kindOf(raw)
	if k != '-' && (k < '0' || k > '9') {
		return 0, false
	}
	f, err := strconv.ParseFloat(string(bytes.TrimSpace(raw)), 64)
	return f, err == nil
}

// shapeError says that an answer fits no known form. It shows the answer's
// type and the names of its keys, never a value.
func shapeError(what string, raw []byte) *Error {
	return &Error{Message: "the answer has no " + what + ": it is " + describe(raw)}
}

// describe names the shape of a JSON value.
func describe(raw []byte) string {
	k := kindOf(raw)
	if problem := syntaxProblem(raw); k != 0 && problem != "" {
		if k == '{' || k == '[' {
			return problem
		}
		return "not JSON"
	}
	switch k {
	case 0:
		return "empty"
	case '{':
		o, _ := asObject(raw)
		return describeKeys(sortedKeys(o))
	case '[':
		a, _ := asArray(raw)
		if len(a) == 0 {
			return "an empty array"
		}
		return fmt.Sprintf("an array of %d, the first of which is %s", len(a), describeFlat(a[0]))
	case '"':
		return "a string"
	case 't', 'f':
		return "a boolean"
	case 'n':
		return "null"
	}
	return "a number"
}

// syntaxProblem says where text stops being JSON, without quoting it. It is ""
// for JSON.
func syntaxProblem(raw []byte) string {
	d := newDecoder(raw)
	if _, err := d.ReadValue(); err != nil {
		if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
			return fmt.Sprintf("broken JSON: it breaks off after %d bytes", len(raw))
		}
		at := d.InputOffset()
		if e, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
			at = e.ByteOffset
		}
		return fmt.Sprintf("broken JSON at byte %d", at)
	}
	if end := d.InputOffset(); len(bytes.TrimLeft(raw[end:], " \t\r\n")) > 0 {
		return fmt.Sprintf("broken JSON: more follows its end at byte %d", end)
	}
	return ""
}

// describeFlat is describe without a look into arrays.
func describeFlat(raw []byte) string {
	if kindOf(raw) == '[' {
		return "an array"
	}
	return describe(raw)
}

func describeKeys(keys []string) string {
	const most = 20
	if len(keys) == 0 {
		return "an object without keys"
	}
	rest := ""
	if len(keys) > most {
		rest = fmt.Sprintf(" and %d more", len(keys)-most)
		keys = keys[:most]
	}
	quoted := make([]string, len(keys))
	for i, k := range keys {
		quoted[i] = strconv.Quote(text.Clip(k, 40))
	}
	return "an object with the keys " + strings.Join(quoted, ", ") + rest
}

func sortedKeys(o object) []string {
	keys := make([]string, 0, len(o))
	for k := range o {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

package client

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"openclaw-mcp/internal/jsonspan"
)

// object is a JSON object whose values are not looked at yet. Its keys are
// compared exactly: encoding/json's folding of case would merge keys that the
// service means to be different.
type object map[string]json.RawMessage

// asObject gives raw as an object, and false when it is none.
func asObject(raw []byte) (object, bool) {
	if kindOf(raw) != '{' || !jsonspan.Valid(raw) {
		return nil, false
	}
	return splitObject(raw), true
}

// asArray gives the items of raw, and false when it is no array.
func asArray(raw []byte) ([]json.RawMessage, bool) {
	if kindOf(raw) != '[' || !jsonspan.Valid(raw) {
		return nil, false
	}
	return splitArray(raw), true
}

// asString gives raw as a string, and false when it is no string.
func asString(raw []byte) (string, bool) {
	if kindOf(raw) != '"' {
		return "", false
	}
	if raw = bytes.Trim(raw, " \t\r\n"); !jsonspan.Valid(raw) {
		return "", false
	}
	return jsonspan.Text(raw), true
}

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

// first gives the value of the first of the keys that is there and not null.
func (o object) first(keys ...string) json.RawMessage {
	for _, k := range keys {
		if v, ok := o[k]; ok && !isNull(v) {
			return v
		}
	}
	return nil
}

// text gives the first of the keys that holds a string that is not empty.
func (o object) text(keys ...string) string {
	for _, k := range keys {
		if s, ok := asString(o[k]); ok && s != "" {
			return s
		}
	}
	return ""
}

// id gives the first of the keys that holds a string or a number, as a string:
// some services count where others name.
func (o object) id(keys ...string) string {
	for _, k := range keys {
		if s := scalar(o[k]); s != "" {
			return s
		}
	}
	return ""
}

// object gives the first of the keys that holds an object.
func (o object) object(keys ...string) (object, bool) {
	for _, k := range keys {
		if v, ok := asObject(o[k]); ok {
			return v, true
		}
	}
	return nil, false
}

// flag reports whether one of the keys is true.
func (o object) flag(keys ...string) bool {
	return slices.ContainsFunc(keys, func(k string) bool { return string(bytes.TrimSpace(o[k])) == "true" })
}

// denied reports whether the object says of itself that it is no success.
func (o object) denied() bool {
	for _, k := range []string{"ok", "success"} {
		if string(bytes.TrimSpace(o[k])) == "false" {
			return true
		}
	}
	return false
}

// number gives the first of the keys that holds a number.
func (o object) number(keys ...string) (float64, bool) {
	for _, k := range keys {
		if f, ok := number(o[k]); ok {
			return f, true
		}
	}
	return 0, false
}

// time gives the first of the keys that holds a date.
func (o object) time(keys ...string) time.Time {
	for _, k := range keys {
		if t := decodeTime(o[k]); !t.IsZero() {
			return t
		}
	}
	return time.Time{}
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
	k := kindOf(raw)
	if k != '-' && (k < '0' || k > '9') {
		return 0, false
	}
	f, err := strconv.ParseFloat(string(bytes.TrimSpace(raw)), 64)
	return f, err == nil
}

// timeLayouts are the spellings of a date beside RFC 3339; those without a
// zone are read as UTC. Fractions of a second are accepted by all of them.
var timeLayouts = []string{
	time.RFC3339,
	"2006-01-02T15:04:05",
	"2006-01-02T15:04:05Z0700",
	"2006-01-02 15:04:05Z07:00",
	"2006-01-02 15:04:05Z07", // PostgreSQL's short offset
	"2006-01-02 15:04:05 Z0700",
	"2006-01-02 15:04:05 MST",
	"2006-01-02 15:04:05",
	"2006-01-02",
	time.RFC1123,
}

// decodeTime reads a date: RFC 3339 and its relatives, or the time since 1970
// in seconds or milliseconds, as a number or as a numeric string. The result
// is in UTC, and zero when raw is no date.
func decodeTime(raw []byte) time.Time {
	if f, ok := number(raw); ok {
		return epoch(f)
	}
	s, ok := asString(raw)
	if !ok {
		return time.Time{}
	}
	return parseTime(s)
}

func parseTime(s string) time.Time {
	s = strings.TrimSpace(s)
	if f, err := strconv.ParseFloat(s, 64); err == nil {
		return epoch(f)
	}
	for _, layout := range timeLayouts {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC()
		}
	}
	return time.Time{}
}

// epoch tells seconds from milliseconds by magnitude: 1e11 seconds is the year
// 5138, 1e11 milliseconds is 1973.
func epoch(f float64) time.Time {
	if math.IsNaN(f) || f <= 0 || f > 1e15 {
		return time.Time{}
	}
	if f >= 1e11 {
		return time.UnixMilli(int64(f)).UTC()
	}
	return time.UnixMilli(int64(math.Round(f * 1000))).UTC()
}

// shapeError says that an answer fits no known form. It shows the answer's
// type and the names of its keys, never a value.
func shapeError(what string, raw []byte) *Error {
	return &Error{Message: "the answer holds no " + what + ": it is " + describe(raw)}
}

// describe names the shape of a JSON value.
func describe(raw []byte) string {
	k := kindOf(raw)
	if k != 0 && k != '{' && k != '[' && !jsonspan.Valid(raw) {
		return "not JSON"
	}
	switch k {
	case 0:
		return "empty"
	case '{':
		o, ok := asObject(raw)
		if !ok {
			return "broken JSON"
		}
		return describeKeys(sortedKeys(o))
	case '[':
		a, ok := asArray(raw)
		if !ok {
			return "broken JSON"
		}
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

// describeFlat is describe without a second look into arrays.
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
		quoted[i] = strconv.Quote(cutRunes(k, 40))
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

// cutRunes shortens s to at most n runes and marks the cut.
func cutRunes(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	i := 0
	for range n {
		_, size := utf8.DecodeRuneInString(s[i:])
		i += size
	}
	return s[:i] + "…"
}

package runs

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"openclaw-mcp/internal/seal"
)

// Kind is what a run does.
type Kind string

// The kinds of runs.
const (
	KindChat    Kind = "chat"    // the agent's reply to one message
	KindCommand Kind = "command" // a command in the sandbox
	KindCreate  Kind = "create"  // the creation of an instance

	KindUpload   Kind = "upload"   // of files of this machine
	KindDownload Kind = "download" // of files of an instance
)

var kinds = []Kind{KindChat, KindCommand, KindCreate, KindUpload, KindDownload}

// handleState is what a handle carries. Fields that a kind does not use stay
// zero and cost a byte each.
type handleState struct {
	Kind     Kind
	ID       string // of the run: 16 hexadecimal digits
	Instance string
	Session  string
	Started  time.Time // to the second
	Detached bool      // command: runs on its own in the sandbox
	Anchor   uint64    // chat: identity of the last message before ours, 0 for none
	Message  uint64    // chat: hash of the message that was sent
	Read     int64     // bytes of the reply, or of stdout, that were handed out
	ReadErr  int64     // bytes of stderr that were handed out
	Check    uint32    // chat: hash of the reply's first Read bytes

	Local, Remote string          // transfers: the two ends
	Options       transferOptions // transfers
}

const (
	handlePrefix  = "run_"
	handleVersion = 1
	// maxHandle bounds what is even looked at: a handle that this package made
	// is shorter as long as ids are.
	maxHandle = 4096
)

// ErrHandle is the one answer to a handle that can't be opened: forged,
// truncated, of another key or of another principal. It says no more, so that
// nothing can be learned by trying.
var ErrHandle = errors.New("this is not a run handle of yours: handles are the `run` values of earlier results, " +
	"valid only for the API key and the caller that they were given to; pass one unchanged, or call list_runs")

// sealer seals handle states into handles and opens them again.
type sealer struct{ *seal.Sealer }

func newSealer(apiKey, principal string) (*sealer, error) {
	s, err := seal.New([]byte(apiKey), "run handle v1", principal, handlePrefix, maxHandle)
	return &sealer{s}, err
}

func (s *sealer) seal(h handleState) string { return s.Seal(h.marshal()) }

func (s *sealer) open(handle string) (handleState, error) {
	plain, ok := s.Open(handle)
	if !ok {
		return handleState{}, ErrHandle
	}
	h, err := unmarshalHandle(plain)
	if err != nil { // sealed by us, so another version of this program wrote it
		return handleState{}, fmt.Errorf("this run handle was made by another version of openclaw-mcp: %w", err)
	}
	return h, nil
}

// marshal writes the state tightly: a handle passes through a model, which
// copies it character by character.
func (h handleState) marshal() []byte {
	b := []byte{handleVersion, 0, 0}
	for i, k := range kinds {
		if k == h.Kind {
			b[1] = byte(i)
		}
	}
	if h.Detached {
		b[2] = 1
	}
	b = appendText(b, h.ID)
	b = appendText(b, h.Instance)
	b = appendText(b, h.Session)
	b = binary.AppendVarint(b, h.Started.Unix())
	b = binary.AppendUvarint(b, uint64(h.Read))
	b = binary.AppendUvarint(b, uint64(h.ReadErr))
	if h.Kind == KindChat {
		b = binary.BigEndian.AppendUint64(b, h.Anchor)
		b = binary.BigEndian.AppendUint64(b, h.Message)
		b = binary.BigEndian.AppendUint32(b, h.Check)
	}
	if h.Kind.transfers() {
		b = appendText(b, h.Local)
		b = appendText(b, h.Remote)
		b = append(b, byte(h.Options))
	}
	return b
}

func unmarshalHandle(b []byte) (h handleState, err error) {
	if len(b) < 3 || b[0] != handleVersion || int(b[1]) >= len(kinds) {
		return h, errors.New("unknown version or kind")
	}
	h.Kind, h.Detached = kinds[b[1]], b[2]&1 != 0
	r := &handleReader{b: b[3:]}
	h.ID, h.Instance, h.Session = r.text(), r.text(), r.text()
	h.Started = time.Unix(r.varint(), 0)
	h.Read, h.ReadErr = int64(r.uvarint()), int64(r.uvarint())
	if h.Kind == KindChat {
		h.Anchor, h.Message = binary.BigEndian.Uint64(r.take(8)), binary.BigEndian.Uint64(r.take(8))
		h.Check = binary.BigEndian.Uint32(r.take(4))
	}
	if h.Kind.transfers() {
		h.Local, h.Remote, h.Options = r.text(), r.text(), transferOptions(r.take(1)[0])
	}
	if r.bad || len(r.b) != 0 || h.Read < 0 || h.ReadErr < 0 {
		return handleState{}, errors.New("its content does not add up")
	}
	return h, nil
}

// Ids are UUIDs or hexadecimal more often than not, and then take half the
// room or less. The byte before a text says how it is written.
const (
	textPlain = iota
	textUUID
	textHex
)

func appendText(b []byte, s string) []byte {
	if raw, err := hex.DecodeString(s); err == nil && s != "" && len(raw) < 256 && strings.ToLower(s) == s {
		return append(append(b, textHex, byte(len(raw))), raw...)
	}
	if raw, ok := packUUID(s); ok {
		return append(append(b, textUUID), raw...)
	}
	b = append(b, textPlain)
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

func packUUID(s string) ([]byte, bool) {
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' || strings.ToLower(s) != s {
		return nil, false
	}
	raw, err := hex.DecodeString(strings.ReplaceAll(s, "-", ""))
	return raw, err == nil && len(raw) == 16
}

// handleReader reads what marshal wrote; after anything out of place, bad is
// set and everything reads as zero.
type handleReader struct {
	b   []byte
	bad bool
}

func (r *handleReader) take(n int) []byte {
	if n < 0 || n > len(r.b) {
		r.bad = true
		return make([]byte, 16)[:max(0, min(n, 16))]
	}
	out := r.b[:n]
	r.b = r.b[n:]
	return out
}

func (r *handleReader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.bad = true
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *handleReader) varint() int64 {
	v, n := binary.Varint(r.b)
	if n <= 0 {
		r.bad = true
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *handleReader) text() string {
	switch kind := r.take(1)[0]; kind {
	case textHex:
		return hex.EncodeToString(r.take(int(r.take(1)[0])))
	case textUUID:
		s := hex.EncodeToString(r.take(16))
		return s[:8] + "-" + s[8:12] + "-" + s[12:16] + "-" + s[16:20] + "-" + s[20:]
	case textPlain:
		n := r.uvarint()
		if n > maxHandle {
			r.bad = true
			return ""
		}
		return string(r.take(int(n)))
	default:
		r.bad = true
		return ""
	}
}

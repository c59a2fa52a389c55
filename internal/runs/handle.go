package runs

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"slices"
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

// kinds gives each kind its number in handles: only ever add to the end.
var kinds = []Kind{KindChat, KindCommand, KindCreate, KindUpload, KindDownload}

// State is what a handle carries. Fields that a kind does not use stay zero and
// cost a byte each.
type State struct {
	Kind     Kind
	Flags    byte   // the kind's own
	ID       string // of the run: 16 hexadecimal digits
	Instance string
	Session  string
	Started  time.Time // to the second
	Own      string    // what only the kind knows, in its own encoding; see AppendText and Decoder

	// The reader's cursor.
	Read    int64  // bytes of the reply, or of stdout, that were handed out
	ReadErr int64  // bytes of stderr that were handed out
	Check   uint32 // chat: Checksum of the reply's first Read bytes
}

// readTo is the state with another's cursor.
func (s State) readTo(cursor State) State {
	s.Read, s.ReadErr, s.Check = cursor.Read, cursor.ReadErr, cursor.Check
	return s
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

func (s *sealer) seal(h State) string { return s.Seal(h.marshal()) }

func (s *sealer) open(handle string) (State, error) {
	plain, ok := s.Open(handle)
	if !ok {
		return State{}, ErrHandle
	}
	return unmarshalHandle(plain)
}

// errOtherVersion is about a handle that was sealed by us, so that another
// version of this program wrote it.
var errOtherVersion = errors.New("this run handle was made by another version of openclaw-mcp, and this one can't read it")

// marshal writes the state tightly: a handle passes through a model, which
// copies it character by character.
func (s State) marshal() []byte {
	b := []byte{handleVersion, byte(max(0, slices.Index(kinds, s.Kind))), s.Flags}
	b = AppendText(b, s.ID)
	b = AppendText(b, s.Instance)
	b = AppendText(b, s.Session)
	b = binary.AppendVarint(b, s.Started.Unix())
	b = binary.AppendUvarint(b, uint64(s.Read))
	b = binary.AppendUvarint(b, uint64(s.ReadErr))
	b = append(b, s.Own...)
	if s.Kind == KindChat {
		b = binary.BigEndian.AppendUint32(b, s.Check)
	}
	return b
}

func unmarshalHandle(b []byte) (s State, err error) {
	if len(b) < 3 || b[0] != handleVersion || int(b[1]) >= len(kinds) {
		return s, errOtherVersion
	}
	s.Kind, s.Flags = kinds[b[1]], b[2]
	d := &Decoder{b: b[3:]}
	s.ID, s.Instance, s.Session = d.Text(), d.Text(), d.Text()
	s.Started = time.Unix(d.varint(), 0)
	s.Read, s.ReadErr = int64(d.uvarint()), int64(d.uvarint())
	own := len(d.b)
	if s.Kind == KindChat {
		own -= 4
	}
	s.Own = string(d.take(own))
	if s.Kind == KindChat {
		s.Check = binary.BigEndian.Uint32(d.take(4))
	}
	if d.bad || s.Read < 0 || s.ReadErr < 0 {
		return State{}, errOtherVersion
	}
	return s, nil
}

// Ids are UUIDs or hexadecimal more often than not, and then take half the
// room or less. The byte before a text says how it is written.
const (
	textPlain = iota
	textUUID
	textHex
)

// AppendText writes a text for Decoder.Text.
func AppendText(b []byte, s string) []byte {
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

// Decoder reads what a handle carries. After anything out of place everything
// reads as zero, and End reports it.
type Decoder struct {
	b   []byte
	bad bool
}

// NewDecoder reads State.Own.
func NewDecoder(own string) *Decoder { return &Decoder{b: []byte(own)} }

// End reports whether anything was out of place, or is left over.
func (d *Decoder) End() error {
	if d.bad || len(d.b) > 0 {
		return errOtherVersion
	}
	return nil
}

// Byte reads a byte.
func (d *Decoder) Byte() byte { return d.take(1)[0] }

// Uint64 reads eight bytes, the highest first.
func (d *Decoder) Uint64() uint64 { return binary.BigEndian.Uint64(d.take(8)) }

func (d *Decoder) take(n int) []byte {
	if n < 0 || n > len(d.b) {
		d.bad = true
		return make([]byte, 16)[:max(0, min(n, 16))]
	}
	out := d.b[:n]
	d.b = d.b[n:]
	return out
}

func (d *Decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.bad = true
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *Decoder) varint() int64 {
	v, n := binary.Varint(d.b)
	if n <= 0 {
		d.bad = true
		return 0
	}
	d.b = d.b[n:]
	return v
}

// Text reads what AppendText wrote.
func (d *Decoder) Text() string {
	switch kind := d.take(1)[0]; kind {
	case textHex:
		return hex.EncodeToString(d.take(int(d.take(1)[0])))
	case textUUID:
		s := hex.EncodeToString(d.take(16))
		return s[:8] + "-" + s[8:12] + "-" + s[12:16] + "-" + s[16:20] + "-" + s[20:]
	case textPlain:
		n := d.uvarint()
		if n > maxHandle {
			d.bad = true
			return ""
		}
		return string(d.take(int(n)))
	default:
		d.bad = true
		return ""
	}
}

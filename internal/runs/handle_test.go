package runs

import (
	"encoding/hex"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const testKey = "sk_live_test"

func newTestSealer(t testing.TB, key, principal string) *sealer {
	t.Helper()
	s, err := newSealer(key, principal)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// largest is a state with long ids and cursors far on.
func largest(id string) State {
	return State{Kind: KindChat, ID: NewID(), Instance: id, Session: id, Started: time.Unix(1_800_000_000, 0),
		Own: strings.Repeat("\xff", 16), Read: 1 << 40, ReadErr: 1 << 20, Check: 1<<32 - 1}
}

func TestHandleRoundTrip(t *testing.T) {
	s := newTestSealer(t, testKey, "me")
	for name, tt := range map[string]struct {
		state State
		max   int
	}{
		"UUID":           {largest("3f2504e0-4f89-41d3-9a0c-0305e82c3301"), 200},
		"upper UUID":     {largest("3F2504E0-4F89-41D3-9A0C-0305E82C3301"), 300},
		"64 characters":  {largest(strings.Repeat("inst-Zz_", 8)), 300},
		"64 hexadecimal": {largest(strings.Repeat("0a", 32)), 300},
		"odd":            {largest("abc"), 200},
		"empty":          {State{Kind: KindCreate, ID: NewID(), Started: time.Unix(1, 0)}, 100},
		"detached":       {State{Kind: KindCommand, Flags: 1, ID: NewID(), Instance: "i", Started: time.Unix(1, 0), Read: 7, ReadErr: 9}, 150},
		"text":           {largest("ünïcode id/with?things"), 300},
		"very long":      {largest(strings.Repeat("x", 500)), 2000},
	} {
		handle := s.seal(tt.state)
		if len(handle) > tt.max {
			t.Errorf("%s: the handle has %d characters, want at most %d", name, len(handle), tt.max)
		}
		got, err := s.open(" " + handle + "\n")
		if diff := cmp.Diff(tt.state, got); diff != "" || err != nil {
			t.Errorf("%s: %v %s", name, err, diff)
		}
		if strings.Contains(handle, "inst-") || handle == s.seal(tt.state) {
			t.Errorf("%s: the handle shows what it holds", name)
		}
	}
}

// TestHandleFormat holds the bytes of handles, which callers keep over updates of
// this program.
func TestHandleFormat(t *testing.T) {
	const uuid = "3f2504e0-4f89-41d3-9a0c-0305e82c3301"
	started := time.Unix(1_800_000_000, 0)
	for want, s := range map[string]State{
		"010000020800112233445566ff013f2504e04f8941d39a0c0305e82c330100046d61696e80c8ceb40dac02008000000000000005000000000000004d80000009": {
			Kind: KindChat, Instance: uuid, Session: "main", Read: 300, Check: 1<<31 + 9,
			Own: "\x80\x00\x00\x00\x00\x00\x00\x05\x00\x00\x00\x00\x00\x00\x00\x4d"},
		"010101020800112233445566ff0004696e7374000080c8ceb40dac0207": {Kind: KindCommand, Flags: 1, Instance: "inst", Read: 300, ReadErr: 7},
		"010100020800112233445566ff0004696e7374000080c8ceb40d0000":   {Kind: KindCommand, Instance: "inst"},
		"010200020800112233445566ff0000000080c8ceb40d0000":           {Kind: KindCreate},
		"010300020800112233445566ff013f2504e04f8941d39a0c0305e82c3301000080c8ceb40d0000000c2f686f6d652f6d652f737263000f2f776f726b73706163652f6170702f05": {
			Kind: KindUpload, Instance: uuid, Own: "\x00\x0c/home/me/src\x00\x0f/workspace/app/\x05"},
		"010400020800112233445566ff013f2504e04f8941d39a0c0305e82c3301000080c8ceb40d0000000c2f686f6d652f6d652f737263000a2f776f726b737061636500": {
			Kind: KindDownload, Instance: uuid, Own: "\x00\x0c/home/me/src\x00\x0a/workspace\x00"},
	} {
		s.ID, s.Started = "00112233445566ff", started
		if got := hex.EncodeToString(s.marshal()); got != want {
			t.Errorf("%s: got %s, want %s", s.Kind, got, want)
		}
		raw, err := hex.DecodeString(want)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := unmarshalHandle(raw); err != nil || got != s {
			t.Errorf("got %+v, %v, want %+v", got, err, s)
		}
	}
}

// TestOtherVersion has a handle of ours with content that is not: the error
// says that it is no forgery.
func TestOtherVersion(t *testing.T) {
	s := newTestSealer(t, testKey, "")
	plain := State{Kind: KindCreate, ID: NewID()}.marshal()
	for n := range plain {
		sealed := s.Seal(plain[:n])
		if _, err := s.open(sealed); err == nil || errors.Is(err, ErrHandle) || !strings.Contains(err.Error(), "version") {
			t.Errorf("cut after %d bytes: %v", n, err)
		}
	}
	plain[0]++
	if _, err := s.open(s.Seal(plain)); err == nil {
		t.Error("another version was read")
	}
}

func FuzzOpen(f *testing.F) {
	s := newTestSealer(f, testKey, "me")
	f.Add(s.seal(largest("3f2504e0-4f89-41d3-9a0c-0305e82c3301")))
	f.Add("")
	f.Add("run_AAAA")
	f.Fuzz(func(t *testing.T, handle string) {
		state, err := s.open(handle)
		if err == nil { // only what was sealed here opens
			if again, err := s.open(s.seal(state)); err != nil || again != state {
				t.Errorf("%+v became %+v, %v", state, again, err)
			}
		} else if err != ErrHandle {
			t.Errorf("got %v", err)
		}
	})
}

func FuzzUnmarshal(f *testing.F) {
	f.Add(largest("3f2504e0-4f89-41d3-9a0c-0305e82c3301").marshal())
	f.Add(largest("some id").marshal())
	f.Add([]byte{1, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := unmarshalHandle(b)
		if err != nil {
			return
		}
		again, err := unmarshalHandle(h.marshal())
		if err != nil || again != h {
			t.Errorf("%+v became %+v, %v", h, again, err)
		}
	})
}

package runs

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"openclaw-mcp/internal/emulator"
)

func newTestSealer(t testing.TB, key, principal string) *sealer {
	t.Helper()
	s, err := newSealer(key, principal)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// largest is a state with long ids and cursors far on.
func largest(id string) handleState {
	return handleState{Kind: KindChat, ID: newID(), Instance: id, Session: id, Started: time.Unix(1_800_000_000, 0),
		Anchor: 1<<64 - 1, Message: 1<<64 - 2, Read: 1 << 40, ReadErr: 1 << 20, Check: 1<<32 - 1}
}

func TestHandleRoundTrip(t *testing.T) {
	s := newTestSealer(t, testKey, "me")
	for name, tt := range map[string]struct {
		state handleState
		max   int
	}{
		"UUID":           {largest("3f2504e0-4f89-41d3-9a0c-0305e82c3301"), 200},
		"upper UUID":     {largest("3F2504E0-4F89-41D3-9A0C-0305E82C3301"), 300},
		"64 characters":  {largest(strings.Repeat("inst-Zz_", 8)), 300},
		"64 hexadecimal": {largest(strings.Repeat("0a", 32)), 300},
		"odd":            {largest("abc"), 200},
		"empty":          {handleState{Kind: KindCreate, ID: newID(), Started: time.Unix(1, 0)}, 100},
		"detached":       {handleState{Kind: KindCommand, Detached: true, ID: newID(), Instance: "i", Started: time.Unix(1, 0), Read: 7, ReadErr: 9}, 150},
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

func TestForeignHandles(t *testing.T) {
	w := start(t, emulator.Options{Agent: script("hi")})
	w.m = w.manager(testKey, "me")
	r := w.send(ChatRequest{Session: w.session()})
	w.done(r, nil)
	good := r.Handle()
	for name, m := range map[string]*Manager{
		"another key":       w.manager(testKey+"2", "me"),
		"no key":            w.manager("", "me"),
		"another principal": w.manager(testKey, "you"),
		"no principal":      w.manager(testKey, ""),
	} {
		if _, err := m.Open(good); err != ErrHandle {
			t.Errorf("%s: got %v", name, err)
		}
	}
	bad := []string{"", " ", "run_", "run", good + "A", good + good, good[4:], "RUN_" + good[4:], "run_" + strings.Repeat("A", 1<<20),
		strings.Repeat("run_", 1<<18), "run_" + strings.Repeat("=", 40), "run_\x00", good[:20] + " " + good[20:]}
	for n := range good {
		bad = append(bad, good[:n])
		if n >= len(handlePrefix) {
			for _, c := range []byte{'A', 'b', good[n] ^ 1} {
				if c != good[n] {
					bad = append(bad, good[:n]+string(c)+good[n+1:])
				}
			}
		}
	}
	for _, h := range bad {
		if _, err := w.m.Open(h); err != ErrHandle {
			t.Errorf("%.40q: got %v", h, err)
		}
	}
	if _, err := w.m.Open(good); err != nil {
		t.Error(err)
	}
}

// TestOtherVersion has a handle of ours with content that is not: the error
// says that it is no forgery.
func TestOtherVersion(t *testing.T) {
	s := newTestSealer(t, testKey, "")
	plain := handleState{Kind: KindChat, ID: newID()}.marshal()
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

//go:build !windows

package terminals

import (
	"context"
	"errors"
	"iter"
	"strings"
	"testing"

	"openclaw-mcp/client"
	"openclaw-mcp/internal/emulator/emulatortest"
	"openclaw-mcp/internal/fleet"
)

// Processes that know of each other have the one with the terminal answer: its
// cursors mean the same to all, and nobody makes a second connection. That needs no
// keeper.
func TestAskedAtItsOwner(t *testing.T) {
	for name, path := range map[string]string{"kept": "", "plain": plain(t)} {
		t.Run(name, func(t *testing.T) {
			shared := fleet.Alone()
			t.Cleanup(func() { _ = shared.Close() })
			b := newBench(t, emulatortest.Options{Path: path}, Config{Fleet: shared})
			handle, s := b.open()
			first := b.write(s, "echo first-$((1+1))", "^first-2$")
			other := b.manager(Config{Fleet: shared})
			d, _, err := other.Find(handle)
			if err != nil {
				t.Fatal(err)
			}
			b.write(d, "echo second-$((1+1))", "^second-2$")
			if v := b.read(d, Query{Part: PartNew, Cursor: first.Cursor}); strings.Count(v.Text, "first-2") != 1 || strings.Count(v.Text, "second-2") != 1 {
				t.Errorf("new output: %q", v.Text)
			}
			if p, err := d.Follow(t.Context(), Follow{Cursor: -1}); err != nil || !strings.Contains(p.Data, "second-2") || p.Status != StatusOpen {
				t.Errorf("%v, %+v", err, p)
			}
			if state, err := d.Use(t.Context(), Use{Take: true}); err != nil || !state.Person {
				t.Errorf("%v, %+v", err, state)
			}
			if _, err := d.Write(t.Context(), Input{Text: "x"}, Wait{}); err == nil || !strings.Contains(err.Error(), "a person is using") {
				t.Errorf("while a person has it: %v", err)
			}
			if _, err := d.Use(t.Context(), Use{Give: true}); err != nil {
				t.Error(err)
			}
			var input *InputError
			if _, err := d.Write(t.Context(), Input{Keys: []string{"hyper"}}, Wait{}); !errors.As(err, &input) || !strings.Contains(err.Error(), "hyper") {
				t.Errorf("%v", err)
			}
			if v, err := d.Close(t.Context()); err != nil || v.Status != StatusClosed {
				t.Errorf("%v, %+v", err, v)
			}
			var ended *EndedError
			if _, err := d.Write(t.Context(), Input{Text: "x"}, Wait{}); !errors.As(err, &ended) || ended.Status != StatusClosed {
				t.Errorf("%v", err)
			}
			if n := b.service.Calls(endpoint); n != 1 {
				t.Errorf("%d connections", n)
			}
		})
	}
}

// An owner that ends properly leaves a kept shell to the others.
func TestOwnerEnds(t *testing.T) {
	shared := fleet.Alone()
	t.Cleanup(func() { _ = shared.Close() })
	b := keptBy(t, "tmux", emulatortest.Options{}, Config{Fleet: shared})
	handle, s := b.open()
	b.write(s, "x=kept", `[#$] $`)
	other := b.manager(Config{Fleet: shared})
	d, _, err := other.Find(handle)
	if err != nil {
		t.Fatal(err)
	}
	b.Manager.Close()
	b.write(d, "echo $x-$x", "^kept-kept$")
	if other.Count() != 1 || b.Count() != 0 {
		t.Errorf("%d and %d", other.Count(), b.Count())
	}
}

// broken is a fleet whose questions fail.
type broken struct {
	fleet.Fleet
	err error
}

func (f broken) Ask(context.Context, string, []byte) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) { yield(nil, f.err) }
}

// Where the others can't be asked, a kept shell can be had all the same, and nothing
// is typed twice.
func TestOwnerUnknown(t *testing.T) {
	b := keptBy(t, "tmux", emulatortest.Options{}, Config{})
	handle, s := b.open()
	b.write(s, "echo here-$((1+1))", "^here-2$")
	find := func(err error) Session {
		f := fleet.Alone()
		t.Cleanup(func() { _ = f.Close() })
		d, _, findErr := b.manager(Config{Fleet: broken{f, err}}).Find(handle)
		if findErr != nil {
			t.Fatal(findErr)
		}
		return d
	}
	b.write(find(fleet.ErrAway), "echo away-$((1+1))", "^away-2$")
	var failed *client.Error
	lost := find(fleet.ErrLost)
	if _, err := lost.Write(t.Context(), Input{Text: "echo lost >lost\n"}, Wait{}); !errors.As(err, &failed) || failed.Outcome != client.OutcomeUnknown {
		t.Errorf("lost: %v", err)
	}
	if v, err := lost.Read(t.Context(), Query{Part: PartScreen}); err != nil || !strings.Contains(v.Text, "away-2") {
		t.Errorf("%v, %+v", err, v)
	}
	if out := b.sh("ls lost 2>/dev/null"); out != "" {
		t.Error("what was not known to be typed was typed again")
	}

	p := newBench(t, emulatortest.Options{Path: plain(t)}, Config{})
	handle, _ = p.open()
	f := fleet.Alone()
	t.Cleanup(func() { _ = f.Close() })
	d, _, err := p.manager(Config{Fleet: broken{f, fleet.ErrAway}}).Find(handle)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Write(t.Context(), Input{Text: "x"}, Wait{}); !errors.As(err, &failed) || failed.Outcome != client.OutcomeNotSent {
		t.Errorf("away: %v", err)
	}
}

package rfb

import (
	"encoding/binary"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"
)

// A server that sends what nobody asked for is read slowly while nobody looks, and at
// once when somebody does.
func TestRestsWhileNobodyLooks(t *testing.T) {
	t.Parallel()
	ours, theirs := net.Pipe()
	var updates atomic.Int64
	go func() {
		defer theirs.Close()
		w := func(p ...byte) { _, _ = theirs.Write(p) }
		r := func(n int) { _, _ = io.CopyN(io.Discard, theirs, int64(n)) }
		w([]byte("RFB 003.008\n")...)
		r(12)
		w(1, 1)
		r(1)
		w(0, 0, 0, 0)
		r(1)
		const side = 512
		head := binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(nil, side), side)
		w(append(head, make([]byte, 20)...)...)
		go func() { _, _ = io.Copy(io.Discard, theirs) }()
		update := append([]byte{0, 0, 0, 1, 0, 0, 0, 0}, head...)
		update = append(update, make([]byte, 4+4*side*side)...)
		for n := byte(0); ; n++ {
			for i := 16; i < len(update); i += 4 {
				update[i] = n
			}
			if _, err := theirs.Write(update); err != nil {
				return
			}
			updates.Add(1)
		}
	}()
	c, err := Connect(t.Context(), ours, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	// Updates for as long as many take that are looked at: at rest, hardly any is read.
	const many = 12
	before, began := updates.Load(), time.Now()
	_, release, err := c.watch(t.Context(), func(updated) bool { return false }, nil)
	if err != nil {
		t.Fatal(err)
	}
	for updates.Load() < before+many {
		time.Sleep(time.Millisecond)
	}
	took := time.Since(began)
	release()
	before = updates.Load()
	time.Sleep(took)
	if rested := updates.Load() - before; rested*3 > many {
		t.Errorf("%d updates were read while nobody looked, in the time of %d while somebody did", rested, many)
	}
	if err := c.Refresh(t.Context()); err != nil {
		t.Error(err)
	}
}

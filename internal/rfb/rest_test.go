package rfb

import (
	"context"
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
	count := func() int64 {
		before := updates.Load()
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		<-ctx.Done()
		return updates.Load() - before
	}
	if err := c.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	rested := count()
	_, release, err := c.watch(t.Context(), func(updated) bool { return false }, nil)
	if err != nil {
		t.Fatal(err)
	}
	watched := count()
	release()
	if rested*3 > watched {
		t.Errorf("%d updates were read while nobody looked, %d while somebody did", rested, watched)
	}
	if err := c.Refresh(t.Context()); err != nil {
		t.Error(err)
	}
}

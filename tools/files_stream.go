package tools

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"

	"openclaw-mcp/internal/text"
)

// streamAlone is stream where no script tells how large the file is: its folder's
// list may. Of a part of the file, neither the end nor what else goes by all of it is known.
func (r *request) streamAlone(ctx context.Context, id string, p filePath, q query) (found, error) {
	f, err := r.stream(ctx, id, p, q)
	var beyond *argumentError
	if err != nil && !errors.As(err, &beyond) {
		return f, err
	}
	f.streamed = true
	listed := int64(-1)
	if page, err := r.Client.Files.List(ctx, id, path.Dir(string(p))); err == nil {
		for _, e := range page.Items {
			if e.Name == p.base() && !e.IsDir {
				listed = e.Size
			}
		}
	}
	short := f.cutOff || f.came >= 0 && f.came < listed
	switch {
	case short && (err != nil || q.start < 0):
		return found{}, &refused{fmt.Sprintf("the service gave only %s of %q, and what was asked for goes beyond that", text.Count(max(f.came, 0), "byte", "bytes"), p),
			"read it from its start, or use exec_command (tail, sed)."}
	case err != nil:
		return found{}, err
	case f.cutOff:
		f.lossy, f.size, f.hash = f.asText(-1), listed, ""
	case short, f.asText(listed):
		f.lossy, f.size, f.hash = true, listed, ""
	}
	f.unsized = listed < 0
	return f, nil
}

// stream reads what is wanted of a file through files/read alone. It closes the
// stream once it has that; what lies before it has to be passed over.
func (r *request) stream(ctx context.Context, id string, p filePath, q query) (found, error) {
	body, err := r.Client.Files.Open(ctx, id, string(p))
	if err != nil {
		return found{}, err
	}
	defer func() { _ = body.Close() }()
	s := &streamer{size: body.Size, query: q, counter: counter{r: body}, large: func() error { return r.takeLarge(ctx) }}
	f, err := s.read()
	if f.cutOff, f.came = body.Truncated, s.size; f.came < 0 && s.ended {
		f.came = s.n
	}
	if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return found{}, &refused{
			fmt.Sprintf("the wanted part of %q was not reached within %s, after %d bytes: the file can only be read from its start here", p, r.fileDeadline(), s.n),
			"read an earlier part, or use exec_command (tail, sed, sha256sum).",
		}
	}
	return f, err
}

// counter counts what is read through it, and notes its end.
type counter struct {
	r     io.Reader
	n     int64
	ended bool
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	c.ended = c.ended || errors.Is(err, io.EOF)
	return n, err
}

// streamer reads a part of a stream.
type streamer struct {
	query
	counter
	size  int64
	large func() error // waits until much may be kept
}

func (s *streamer) read() (found, error) {
	var src io.Reader = &s.counter
	sum := sha256.New()
	if s.hash {
		src = io.TeeReader(src, sum)
	}
	buffer := int64(64 << 10)
	if s.size >= 0 {
		buffer = max(sniffLen, min(buffer, s.size))
	}
	in := bufio.NewReaderSize(src, int(buffer))
	head, err := in.Peek(sniffLen)
	if err != nil && !errors.Is(err, io.EOF) {
		return found{}, err
	}
	f := found{head: bytes.Clone(head), size: s.size}
	if s.start < 0 && !s.byLine && s.size >= 0 {
		s.start = max(0, s.size+s.start)
	}
	if s.start < 0 {
		err = s.fromEnd(in, &f)
	} else {
		err = s.fromStart(in, &f)
	}
	if err != nil {
		return found{}, err
	}
	if s.hash {
		if _, err := io.Copy(io.Discard, in); err != nil {
			return found{}, err
		}
		f.hash, f.size = hex.EncodeToString(sum.Sum(nil)), s.n
	}
	return f, nil
}

// fromStart passes over what lies before the part.
func (s *streamer) fromStart(in *bufio.Reader, f *found) error {
	if s.byLine {
		for f.line = 1; f.line < s.start; f.line++ {
			n, err := skipLine(in)
			f.offset += n
			if errors.Is(err, io.EOF) {
				if n == 0 {
					f.line--
				}
				return beyond(s.start, f.line)
			}
			if err != nil {
				return err
			}
		}
		if _, err := in.Peek(1); errors.Is(err, io.EOF) && s.start > 1 {
			return beyond(s.start, s.start-1)
		}
	} else {
		n, err := io.CopyN(io.Discard, in, s.start)
		if errors.Is(err, io.EOF) {
			return badArgument("argument \"offset\" is %d, but the file has %d bytes", s.start, n)
		}
		if err != nil {
			return err
		}
		f.offset = s.start
	}
	var data bytes.Buffer
	data.Grow(int(min(int64(s.window), max(s.size-f.offset, 0))) + bytes.MinRead)
	if _, err := data.ReadFrom(io.LimitReader(in, int64(s.window))); err != nil {
		return err
	}
	f.data = data.Bytes()
	_, err := in.Peek(1)
	if errors.Is(err, io.EOF) {
		f.last = true
		f.size = f.offset + int64(len(f.data))
	} else if err != nil {
		return err
	}
	return nil
}

func skipLine(in *bufio.Reader) (int64, error) {
	var n int64
	for {
		part, err := in.ReadSlice('\n')
		n += int64(len(part))
		if !errors.Is(err, bufio.ErrBufferFull) {
			return n, err
		}
	}
}

// needed gives the end of what was read that may be wanted, and a little before it.
func (s *streamer) needed(kept []byte) []byte {
	if !s.byLine {
		return kept[max(0, int64(len(kept))+s.start-1):]
	}
	at := len(kept)
	for n := s.start - 2; n < 0 && at >= 0; n++ { // one line more, and one that has no end yet
		at = bytes.LastIndexByte(kept[:at], '\n')
	}
	return kept[max(0, at):]
}

// fromEnd reads everything and keeps the end of it.
func (s *streamer) fromEnd(in *bufio.Reader, f *found) error {
	var kept []byte
	room := largeFile // for kept, before it is looked at what is needed of it
	var total, lines int64
	last := byte('\n')
	buf := make([]byte, 64<<10)
	for {
		n, err := in.Read(buf)
		total += int64(n)
		lines += int64(bytes.Count(buf[:n], []byte{'\n'}))
		if n > 0 {
			last = buf[n-1]
		}
		if kept = append(kept, buf[:n]...); len(kept) > room {
			kept = append(kept[:0], s.needed(kept)...)
			switch {
			case len(kept) <= room/2:
			case room == 2*maxWhole:
				kept = append(kept[:0], kept[len(kept)-maxWhole:]...)
			default:
				if err := s.large(); err != nil {
					return err
				}
				room = 2 * maxWhole
				kept = slices.Grow(kept, room+len(buf)-len(kept))
			}
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
	}
	if last != '\n' {
		lines++
	}
	f.size = total
	from := 0 // in kept
	if s.byLine {
		f.line = max(1, lines+s.start+1)
		i := len(bytes.TrimSuffix(kept, []byte{'\n'}))
		for n := int64(0); ; n++ {
			if i = bytes.LastIndexByte(kept[:i], '\n'); i < 0 || n == -s.start-1 {
				break
			}
		}
		from = i + 1
	} else {
		from = int(max(0, int64(len(kept))+s.start))
	}
	if from == 0 && int64(len(kept)) < total {
		return &refused{fmt.Sprintf("the end that was asked for has more than %d bytes, and the file can only be read from its start here", maxWhole), "ask for fewer."}
	}
	f.offset = total - int64(len(kept)-from)
	f.last = len(kept)-from <= s.window
	f.data = bytes.Clone(kept[from:][:min(len(kept)-from, s.window)]) // the rest is large
	return nil
}

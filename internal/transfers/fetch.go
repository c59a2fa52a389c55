package transfers

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"time"

	"openclaw-mcp/client"
	"openclaw-mcp/internal/sandbox"
)

// group brings over the small files of a group, and gives the large ones.
func (d *downloading) group(ctx context.Context, group []entry) (large []entry, err error) {
	missing, err := d.missing(ctx, group)
	if err != nil {
		return nil, err
	}
	if d.plain != nil {
		for _, e := range missing { // which are in temporary files by now
			d.settle(e, d.plainTemp(e.name))
		}
		return nil, nil
	}
	var batch []entry
	var size int64
	flush := func() error {
		err := d.fetchBatch(ctx, batch)
		batch, size = nil, 0
		return err
	}
	for _, e := range missing {
		limit := d.limit.Load()
		if e.size > limit {
			large = append(large, e)
			continue
		}
		if size+e.size > limit {
			if err := flush(); err != nil {
				return large, err
			}
		}
		batch, size = append(batch, e), size+e.size
	}
	if len(batch) == 0 {
		return large, nil
	}
	return large, flush()
}

// missing asks for sizes and hashes of a group of files, and gives those that
// are not in place yet.
func (d *downloading) missing(ctx context.Context, group []entry) ([]entry, error) {
	names := make([]string, len(group))
	for i, e := range group {
		names[i] = e.name
	}
	found, err := d.lookFar(ctx, names)
	if err != nil {
		return nil, err
	}
	var missing []entry
	for _, e := range group {
		s := found[e.name]
		switch {
		case !s.file():
			d.fail(e.name, "it is gone, or no longer a file")
			continue
		case s.size < 0 || s.sum == "":
			d.fail(e.name, "the sandbox can't read it")
			continue
		case e.changedSince(s.sum):
			d.fail(e.name, notAgreed)
			continue
		}
		d.describe(&e, s)
		if in, err := d.inPlace(ctx, e); err != nil {
			return nil, err
		} else if !in {
			missing = append(missing, e)
		}
	}
	return missing, nil
}

// describe takes over what the sandbox says of a file.
func (d *downloading) describe(e *entry, s seen) {
	d.resize(e, s.size)
	e.sum = s.sum
	if d.follow { // of the tree, find said it
		e.exec = s.kind == 'x'
	}
	if s.mode == 0 && s.time != 0 {
		e.time = time.Unix(s.time, 0)
	}
	if s.mode != 0 {
		e.mode, e.exec, e.time = s.mode, s.mode&0o100 != 0, time.Unix(s.time, 0)
	}
}

// lookFar is look, also through the one file that may be a link.
func (d *downloading) lookFar(ctx context.Context, names []string) (map[string]seen, error) {
	if d.plain != nil {
		return d.lookPlain(ctx, names)
	}
	if !d.follow {
		return d.look(ctx, d.follow, names)
	}
	report, err := d.ask(ctx, "single", sandbox.Params{}, hashTimeout)
	if err != nil {
		return nil, err
	}
	s := seen{kind: 'f', size: -1}
	if size := report.Number(1); size >= 0 && report.Word(2) != "none" {
		s = seen{kind: report.Word(0)[0], size: size, sum: report.Word(2)}
		s.setStat(report.Words[min(3, len(report.Words)):])
	}
	return map[string]seen{names[0]: s}, nil
}

// fetchBatch brings over files that fit into one answer. One that changes
// meanwhile is asked for again by itself.
func (d *downloading) fetchBatch(ctx context.Context, batch []entry) error {
	names := make([]string, len(batch))
	var size int64
	for i, e := range batch {
		names[i] = "./" + e.name
		size += e.size
	}
	from := d.limit.Load()
	content, err := d.cat(ctx, names, size)
	switch {
	case errors.Is(err, errSize) && len(batch) > 1:
		d.shrink(from)
		if err := d.fetchBatch(ctx, batch[:len(batch)/2]); err != nil {
			return err
		}
		return d.fetchBatch(ctx, batch[len(batch)/2:])
	case errors.Is(err, errSize):
		d.shrink(from)
		return d.fetchLarge(ctx, batch[0])
	case err != nil:
		return err
	}
	for _, e := range batch {
		part := content[:min(e.size, int64(len(content)))]
		content = content[len(part):]
		if int64(len(part)) != e.size || hashBytes(part) != e.sum {
			if err := d.again(ctx, e); err != nil {
				return err
			}
			continue
		}
		d.write(e, part)
	}
	return ctx.Err()
}

// cat reads several files at once.
func (d *downloading) cat(ctx context.Context, names []string, size int64) ([]byte, error) {
	if size == 0 {
		return nil, nil
	}
	gz := d.tools.gzip
	report, err := d.ask(ctx, "cat", sandbox.Params{"single": d.follow, "names": sandbox.Words(names...), "zip": gz}, transferTimeout)
	b := report.Part(0)
	if err != nil || !gz {
		return b, err
	}
	zip, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, nil // nothing came: the hashes tell
	}
	b, _ = io.ReadAll(io.LimitReader(zip, size)) // and no more than was said
	return b, nil
}

// again brings over a file that was not as it had been said to be.
func (d *downloading) again(ctx context.Context, e entry) error {
	for range 3 {
		found, err := d.lookFar(ctx, []string{e.name})
		if err != nil {
			return err
		}
		s := found[e.name]
		if !s.file() || s.size < 0 || s.sum == "" {
			d.fail(e.name, "it is gone, or can no longer be read")
			return nil
		}
		if e.changedSince(s.sum) {
			d.fail(e.name, notAgreed)
			return nil
		}
		d.describe(&e, s)
		if e.size > d.limit.Load() {
			return d.fetchLarge(ctx, e)
		}
		content, err := d.cat(ctx, []string{"./" + e.name}, e.size)
		var fault *client.Error
		if err != nil && (ctx.Err() != nil || errors.As(err, &fault)) {
			return err
		}
		if int64(len(content)) == e.size && hashBytes(content) == e.sum {
			d.write(e, content)
			return nil
		}
	}
	d.fail(e.name, "it keeps changing")
	return nil
}

// slice reads a part of a file in the sandbox; without a name, of the list of the tree.
func (d *downloading) slice(ctx context.Context, name string, k, part int64) ([]byte, error) {
	p := sandbox.Params{"single": d.follow, "names": "", "k": k, "size": part, "dd": d.tools.dd}
	if name != "" {
		p["names"] = sandbox.Words("./" + name)
	}
	report, err := d.ask(ctx, "slice", p, transferTimeout)
	b := report.Part(0)
	if int64(len(b)) > part {
		return nil, errAnswer
	}
	return b, err
}

// fetchLarge brings over a file in parts. The temporary file is called after
// what it is to hold, so that one that an earlier process left is gone on with.
func (d *downloading) fetchLarge(ctx context.Context, e entry) error {
	for n := 0; n < 3; {
		temp := d.local + "/" + e.key()
		part := d.limit.Load()
		err := d.fetchParts(ctx, e, temp, part)
		switch {
		case errors.Is(err, errSize) && d.shrink(part):
			continue
		case errors.Is(err, errChanged):
			n++
			_ = d.dst.Remove(temp)
			found, err := d.lookFar(ctx, []string{e.name})
			if err != nil {
				return err
			}
			s := found[e.name]
			if !s.file() || s.size < 0 || s.sum == "" {
				d.fail(e.name, "it is gone, or can no longer be read")
				return nil
			}
			if e.changedSince(s.sum) {
				d.fail(e.name, notAgreed)
				return nil
			}
			d.describe(&e, s)
			continue
		case err != nil && ctx.Err() == nil && isLocal(err):
			d.fail(e.name, cause(err))
			return nil
		case err != nil:
			return err
		}
		d.settle(e, temp)
		return nil
	}
	d.fail(e.name, "it keeps changing")
	return nil
}

// errChanged is a file that is not what it was said to be.
var errChanged = errors.New("the file has changed")

// isLocal reports whether an error is one of this machine's files.
func isLocal(err error) bool {
	var pe *os.PathError
	var le *os.LinkError
	return errors.As(err, &pe) || errors.As(err, &le)
}

// fetchParts writes what is missing of a temporary file.
func (d *downloading) fetchParts(ctx context.Context, e entry, temp string, part int64) error {
	f, err := d.dst.OpenFile(temp, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return err
	}
	at := min(st.Size(), e.size) / part * part
	if st.Size() == e.size {
		at = e.size
	}
	if err := f.Truncate(at); err != nil {
		return err
	}
	sent := at
	d.moving(at)
	defer func() { d.moving(-sent) }()
	ctx, cancel := context.WithCancel(ctx)
	type piece struct {
		b   []byte
		err error
	}
	var window []chan piece
	defer func() {
		cancel()
		for _, ch := range window {
			<-ch
		}
	}()
	for ask := at; at < e.size; {
		for len(window) < maxParallel && ask < e.size {
			ch := make(chan piece, 1)
			go func(k int64) {
				b, err := d.slice(ctx, e.name, k, part)
				ch <- piece{b, err}
			}(ask / part)
			window = append(window, ch)
			ask += part
		}
		p := <-window[0]
		window = window[1:]
		switch {
		case p.err != nil:
			return p.err
		case int64(len(p.b)) != min(part, e.size-at):
			return errChanged
		}
		if _, err := f.WriteAt(p.b, at); err != nil {
			return err
		}
		at += int64(len(p.b))
		sent = at
		d.moving(int64(len(p.b)))
	}
	if err := f.Close(); err != nil {
		return err
	}
	sum, _, err := hashFile(ctx, d.dst.Root, filepath.ToSlash(temp))
	if err == nil && sum != e.sum {
		err = errChanged
	}
	return err
}

package transfers

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
)

// maxUnsized bounds a file whose size the service does not tell.
const maxUnsized = 256 << 20

// plainList lists what is to be downloaded, folder by folder. A service may follow links
// that lead in circles, so paths are bounded.
func (d *downloading) plainList(ctx context.Context) (entries []entry, err error) {
	w := d.plain
	dirs := []string{""}
	for len(dirs) > 0 {
		dir := dirs[0]
		dirs = dirs[1:]
		page, err := w.list(ctx, path.Join(w.state.Remote, dir))
		if dir != "" && isAboutOne(err) {
			w.fail(dir, "it can't be listed: "+refusalOf(err))
			continue
		}
		if err != nil {
			return nil, err
		}
		if page.More {
			w.fail(cmp.Or(dir, "."), "the service has more entries there than it lists")
		}
		for _, f := range page.Items {
			e := entry{name: path.Join(dir, f.Name), size: max(0, f.Size), time: f.ModifiedAt}
			if strings.HasPrefix(f.Name, stagePrefix) {
				continue
			}
			if f.IsDir {
				e.kind, e.size = kindDir, 0
				switch {
				case strings.Count(e.name, "/") >= maxPlainDepth:
					w.fail(e.name, fmt.Sprintf("it lies more than %d folders deep; a link may lead in circles", maxPlainDepth))
					continue
				case w.allowed(e.name) && (d.all || !isOfGit(f.Name)):
					dirs = append(dirs, e.name)
				}
			}
			if len(entries) >= maxEntries {
				return nil, tooMany(w.state.Remote)
			}
			entries = append(entries, e)
		}
	}
	return entries, nil
}

const maxPlainDepth = 60

// plainTemp is the temporary file of an entry.
func (d *downloading) plainTemp(name string) string {
	return d.local + "/" + hashBytes([]byte(name))[:24]
}

// lookPlain fetches files into temporary ones, which tells what the scripts of the other
// way tell without that.
func (d *downloading) lookPlain(ctx context.Context, names []string) (map[string]seen, error) {
	found := make(map[string]seen, len(names))
	var mu sync.Mutex
	err := parallel(ctx, slices.Values(names), func(ctx context.Context, name string) error {
		s, err := d.fetchPlain(ctx, name)
		switch {
		case err == nil:
		case isLocal(err):
			d.fail(name, cause(err))
		case d.plain.blind:
			return fmt.Errorf("the service lists no files, and %s can't be read as one: %w", d.state.Remote, err)
		case isAboutOne(err):
			d.fail(name, "the service refused it: "+refusalOf(err))
		default:
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		found[name] = s
		return nil
	})
	return found, err
}

func (d *downloading) fetchPlain(ctx context.Context, name string) (s seen, err error) {
	s = seen{kind: 'f', size: -1}
	at := path.Join(d.state.Remote, name)
	if d.follow {
		at = path.Clean(d.state.Remote)
	}
	known, listed := d.plain.listed[at]
	limit := int64(maxUnsized)
	if listed && known.Size >= 0 {
		limit = known.Size
	} else {
		known.Size = -1
	}
	if !known.ModifiedAt.IsZero() {
		s.time = known.ModifiedAt.Unix()
	}
	var n int64
	var sum string
	var cut, odd bool
	err = d.try(ctx, func(ctx context.Context) error {
		body, err := d.s.c.Files.Open(ctx, d.state.Instance, at)
		if err != nil {
			return err
		}
		defer func() { _ = body.Close() }()
		f, err := d.dst.OpenFile(d.plainTemp(name), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
		if err != nil {
			return err
		}
		h, lost := sha256.New(), &replaced{}
		n, err = io.Copy(io.MultiWriter(f, h, lost), io.LimitReader(body, limit+1))
		if closeErr := f.Close(); err == nil {
			err = closeErr
		}
		sum, cut, odd = hex.EncodeToString(h.Sum(nil)), body.Truncated, lost.found
		return err
	})
	switch {
	case err != nil:
		return s, err
	case cut:
		d.fail(name, "the service gives only a part of it")
	case n > limit && known.Size < 0:
		d.fail(name, fmt.Sprintf("it is larger than %s, and the service does not tell its size", amount(maxUnsized)))
	case known.Size >= 0 && n != known.Size:
		d.fail(name, fmt.Sprintf("the service did not give the %d bytes that it lists: the file has changed, or it is not text and came as text", known.Size))
	case known.Size < 0 && odd:
		d.fail(name, "it came as text, and bytes that are not UTF-8 may have been lost on the way")
	default:
		if known.Size < 0 {
			d.plain.unsized.Do(func() {
				d.Note("the service does not tell the sizes of files, so whether they came with all their bytes is not known: line ends, spaces at the end or a byte order mark may be changed")
			})
		}
		s.size, s.sum = n, sum
	}
	return s, nil
}

// replaced notes whether U+FFFD passes, which services put in place of bytes that are not
// UTF-8.
type replaced struct {
	found bool
	tail  []byte
}

func (r *replaced) Write(p []byte) (int, error) {
	const mark = "\uFFFD"
	if !r.found {
		seam := append(r.tail, p[:min(len(p), len(mark)-1)]...)
		r.found = bytes.Contains(seam, []byte(mark)) || bytes.Contains(p, []byte(mark))
		if len(p) >= len(mark) {
			seam = p
		}
		r.tail = bytes.Clone(seam[max(0, len(seam)-len(mark)+1):])
	}
	return len(p), nil
}

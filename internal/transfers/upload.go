package transfers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"

	"openclaw-mcp/internal/sandbox"
)

// upload puts the local end in place in the sandbox. Small files go many at
// once, in an archive; large ones in parts, each a file of text that files/write
// takes. What is in place with the same content is not sent.
func (t *transfer) upload(ctx context.Context) error {
	src, above, err := openSource(t.s.cfg.Roots, t.state.Local)
	if err != nil {
		return err
	}
	defer func() { _ = src.Close() }()
	t.stage = stagePath(t.state, src.only != "")
	entries, err := t.walk(ctx, src, above)
	if err != nil {
		return err
	}
	t.plan(entries)
	u := &uploading{transfer: t, src: src}
	far, err := t.probe(ctx)
	if err != nil {
		t.stage = "" // it was not made
		if w := t.plain(err); w != nil {
			return u.plainUpload(ctx, w, entries)
		}
		return err
	}
	if src.only != "" {
		if err := u.aim(far, &entries[0]); err != nil {
			return err
		}
	} else if far.kind != 'd' && far.kind != 'n' {
		return fmt.Errorf("%s exists on the instance, but is not a folder", t.state.Remote)
	}
	u.fresh = src.only == "" && (far.kind == 'n' || far.empty)
	if err := t.makeStage(ctx); err != nil {
		return err
	}
	if err := parallel(ctx, groups(entries), u.group); err != nil {
		return err
	}
	for _, e := range u.large {
		if err := u.sendLarge(ctx, e); err != nil {
			return err
		}
	}
	return u.dressFolders(ctx)
}

// uploading is an upload that knows both its ends.
type uploading struct {
	*transfer
	src   *tree
	up    bool   // the target folder is that of the remote path, not that path itself
	as    string // of a single file: its name there
	fresh bool   // nothing is there yet

	laterMu sync.Mutex
	large   []entry
	folders []entry // which get their modes and times in the end
}

// aim says where a single file goes: to the path itself, or into the folder
// that it names.
func (u *uploading) aim(far end, e *entry) error {
	remote := u.state.Remote
	switch {
	case far.kind == 'd' || strings.HasSuffix(remote, "/"):
		if far.kind == 'f' || far.kind == 'o' {
			return fmt.Errorf("%s exists on the instance, but is not a folder", remote)
		}
		if u.as = e.name; !u.allowed(u.as) {
			return fmt.Errorf("%s: %s", path.Join(remote, u.as), notAllowed)
		}
	case far.kind == 'o':
		return fmt.Errorf("%s exists on the instance, but is not a file", remote)
	default:
		u.up, u.as = true, path.Base(remote)
	}
	return nil
}

// there gives an entry's name in the sandbox.
func (u *uploading) there(e entry) string {
	if u.as != "" {
		return u.as
	}
	return e.name
}

// groups cuts entries into lots that one script can name.
func groups(entries []entry) iter.Seq[[]entry] {
	return func(yield func([]entry) bool) {
		for len(entries) > 0 {
			n, names := 0, 0
			for n < len(entries) && n < groupEntries && (n == 0 || names < groupNames) {
				names += len(sandbox.Quote(entries[n].name)) + 4
				n++
			}
			if !yield(entries[:n]) {
				return
			}
			entries = entries[n:]
		}
	}
}

// parallel works on items, some at once, until the first error.
func parallel[T any](ctx context.Context, items iter.Seq[T], work func(context.Context, T) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	free := make(chan struct{}, maxParallel)
	for item := range items {
		free <- struct{}{}
		if ctx.Err() != nil {
			break
		}
		wg.Go(func() {
			defer func() { <-free }()
			if err := work(ctx, item); err != nil {
				cancel(err)
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}

// group sends what is missing of a lot of entries, and postpones large files.
func (u *uploading) group(ctx context.Context, group []entry) error {
	missing := group
	if u.fresh {
		u.dressLater(group...)
	} else {
		var err error
		if missing, err = u.missing(ctx, group); err != nil {
			return err
		}
	}
	var batch []entry
	var size int64
	for _, e := range missing {
		room := packedSize(e)
		if e.kind == kindFile && room > u.limit.Load() {
			u.postpone(e)
			continue
		}
		if size+room > u.limit.Load() && len(batch) > 0 {
			if err := u.sendBatch(ctx, batch); err != nil {
				return err
			}
			batch, size = nil, 0
		}
		batch, size = append(batch, e), size+room
	}
	if len(batch) == 0 {
		return nil
	}
	return u.sendBatch(ctx, batch)
}

// postpone keeps a large file for the end.
func (u *uploading) postpone(e entry) {
	u.laterMu.Lock()
	defer u.laterMu.Unlock()
	u.large = append(u.large, e)
}

// missing gives those of a group that are not in place yet.
func (u *uploading) missing(ctx context.Context, group []entry) ([]entry, error) {
	names := make([]string, len(group))
	for i, e := range group {
		names[i] = u.there(e)
	}
	found, err := u.look(ctx, u.up, names)
	if err != nil {
		return nil, err
	}
	var missing, other []entry
	for _, e := range group {
		s := found[u.there(e)]
		switch {
		case e.kind == kindDir && s.kind == 'd':
			if !u.keep {
				u.dressLater(e)
			}
			continue
		case s.kind == 'n' || e.kind == kindDir:
		case e.kind == kindFile && s.file() && s.size == e.size && s.sum != "":
			sum, size, err := hashFile(ctx, u.src.Root, e.name)
			if err != nil {
				if ctx.Err() != nil {
					return nil, err
				}
				u.transfer.fail(e.name, cause(err))
				continue
			}
			switch same := sum == s.sum && size == s.size; {
			case same && (u.keep || s.isLike(e)):
				u.done(true, e)
				continue
			case same:
				other = append(other, e)
				continue
			}
		}
		if u.keep && s.kind != 'n' && e.kind != kindDir {
			u.skip(e, true, "it exists on the instance")
			continue
		}
		u.dressLater(e)
		missing = append(missing, e)
	}
	return missing, u.mend(ctx, other)
}

// sendBatch sends entries in one archive and has it unpacked: each file under a
// name of its own first, and then renamed into its place.
func (u *uploading) sendBatch(ctx context.Context, batch []entry) error {
	pack, batch, err := u.pack(ctx, batch)
	if err != nil || len(batch) == 0 {
		return err
	}
	from := u.limit.Load()
	encoded := sandbox.Encode(pack.data)
	name := u.name()
	var report sandbox.Report
	for n := 0; ; n++ {
		inline := encoded
		if len(encoded) > maxInline {
			err, inline = u.put(ctx, name, encoded), ""
		}
		if err == nil {
			report, err = u.unpack(ctx, name, inline, pack)
		}
		if errors.Is(err, errSize) && (len(batch) > 1 || batch[0].kind == kindFile) && (u.shrink(from) || len(encoded) > maxInline) {
			return u.split(ctx, batch)
		}
		if err != nil {
			return err
		}
		if report.Verb == "ok" {
			break
		}
		if n == 2 {
			return errors.New("what arrives in the sandbox is not what was sent")
		}
	}
	why := map[string]string{}
	for item := range strings.SplitSeq(string(report.Part(0)), "\x00") {
		switch {
		case strings.HasPrefix(item, "F./"):
			why[item[3:]] = "it can't be put in place: something is in its way, or there is no room or permission"
		case strings.HasPrefix(item, "E./"):
			why[item[3:]] = ""
		}
	}
	for _, e := range batch {
		reason, found := why[u.there(e)]
		for up := e.name; !found && u.as == "" && up != "."; {
			up = path.Dir(up)
			reason, found = why[up]
		}
		switch {
		case !found:
			u.done(false, e)
		case reason == "":
			u.skip(e, true, "it exists on the instance")
		default:
			u.transfer.fail(e.name, reason)
		}
	}
	return nil
}

// split sends a batch that was too large in smaller ones.
func (u *uploading) split(ctx context.Context, batch []entry) error {
	if len(batch) == 1 {
		return u.sendLarge(ctx, batch[0])
	}
	half := len(batch) / 2
	if err := u.sendBatch(ctx, batch[:half]); err != nil {
		return err
	}
	return u.sendBatch(ctx, batch[half:])
}

// read reads a small file of the tree as it is now.
func (u *uploading) read(e *entry) ([]byte, error) {
	f, err := openFile(u.src.Root, filepath.FromSlash(e.name))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if st, err := f.Stat(); err == nil {
		size := e.size
		e.describe(st)
		e.size = size // which is counted
	}
	b, err := io.ReadAll(io.LimitReader(f, partSize+1))
	if err == nil && len(b) > partSize {
		err = errGrown
	}
	return b, err
}

// errGrown is a file that is not a small one any more.
var errGrown = errors.New("it has grown in the meantime")

// isGone reports whether a file was removed since it was listed.
func isGone(err error) bool { return errors.Is(err, os.ErrNotExist) }

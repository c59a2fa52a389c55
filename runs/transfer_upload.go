package runs

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
)

// upload puts the local end in place in the sandbox. Small files go many at
// once, in an archive; large ones in parts, each a file of text that files/write
// takes. What is in place with the same content is not sent.
func (t *transfer) upload(ctx context.Context) error {
	src, above, err := openSource(t.m.cfg.TransferRoots, t.state.Local)
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
	u := &uploading{transfer: t, src: src, dir: `"$t"`}
	far, err := t.probe(ctx)
	if err != nil {
		t.stage = "" // it was not made
		return err
	}
	if src.only != "" {
		if err := u.aim(far, &entries[0]); err != nil {
			return err
		}
	} else if far.kind != 'd' && far.kind != 'n' {
		return fmt.Errorf("%s is on the instance, but no folder", t.state.Remote)
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
	return nil
}

// uploading is an upload that knows both its ends.
type uploading struct {
	*transfer
	src   *tree
	dir   string // the target folder, in the scripts' words
	as    string // of a single file: its name there
	fresh bool   // nothing is there yet

	largeMu sync.Mutex
	large   []entry
}

// aim says where a single file goes: to the path itself, or into the folder
// that it names.
func (u *uploading) aim(far end, e *entry) error {
	remote := u.state.Remote
	switch {
	case far.kind == 'd' || strings.HasSuffix(remote, "/"):
		if far.kind == 'f' || far.kind == 'o' {
			return fmt.Errorf("%s is on the instance, but no folder", remote)
		}
		if u.as = e.name; !u.allowed(u.as) {
			return fmt.Errorf("%s: %s", path.Join(remote, u.as), notAllowed)
		}
	case far.kind == 'o':
		return fmt.Errorf("%s is on the instance, but no file", remote)
	default:
		u.dir, u.as = `"${t%/*}/"`, path.Base(remote)
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
				names += len(quote(entries[n].name)) + 4
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

// group sends what is missing of a lot of entries, and puts large files aside.
func (u *uploading) group(ctx context.Context, group []entry) error {
	missing := group
	if !u.fresh {
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
			u.aside(e)
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

// aside keeps a large file for the end.
func (u *uploading) aside(e entry) {
	u.largeMu.Lock()
	defer u.largeMu.Unlock()
	u.large = append(u.large, e)
}

// missing gives those of a group that are not in place yet.
func (u *uploading) missing(ctx context.Context, group []entry) ([]entry, error) {
	names := make([]string, len(group))
	for i, e := range group {
		names[i] = u.there(e)
	}
	found, err := u.look(ctx, u.dir, names)
	if err != nil {
		return nil, err
	}
	var missing, programs, plain []entry
	for _, e := range group {
		s := found[u.there(e)]
		switch {
		case e.kind == kindDir && s.kind == 'd':
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
			if same := sum == s.sum && size == s.size; same && (u.keep || e.exec == (s.kind == 'x')) {
				u.done(true, e)
				continue
			} else if same {
				if e.exec {
					programs = append(programs, e)
				} else {
					plain = append(plain, e)
				}
				continue
			}
		}
		if u.keep && s.kind != 'n' && e.kind != kindDir {
			u.skip(e, true, "it exists on the instance")
			continue
		}
		missing = append(missing, e)
	}
	return missing, errors.Join(u.chmod(ctx, "+x", programs), u.chmod(ctx, "-x", plain))
}

// chmod mends the mode of files whose content is right.
func (u *uploading) chmod(ctx context.Context, mode string, list []entry) error {
	if len(list) == 0 {
		return nil
	}
	names := make([]string, len(list))
	for i, e := range list {
		names[i] = "./" + u.there(e)
	}
	_, err := u.ask(ctx, "d="+u.dir+"\n"+u.words(names...)+`cd "$d" && chmod `+mode+` "$@" || say "fail change the mode of files"`, transferTimeout)
	var answer *answerError
	for _, e := range list {
		if errors.As(err, &answer) {
			u.transfer.fail(e.name, "its mode can't be changed")
		} else if err == nil {
			u.done(true, e)
		}
	}
	if errors.As(err, &answer) {
		return nil
	}
	return err
}

// sendBatch sends entries in one archive and has it unpacked: each file under a
// name of its own first, and then renamed into its place.
func (u *uploading) sendBatch(ctx context.Context, batch []entry) error {
	pack, batch, err := u.pack(ctx, batch)
	if err != nil || len(batch) == 0 {
		return err
	}
	from := u.limit.Load()
	text := u.encodeText(pack.data)
	name := u.name()
	var report []byte
	for n := 0; ; n++ {
		fetch := `printf %s '` + text + `'`
		if len(text) > maxInline {
			err, fetch = u.put(ctx, name, text), `cat "$s/`+name+`"`
		}
		var answer string
		if err == nil {
			answer, err = u.ask(ctx, u.unpackScript(name, fetch, pack), transferTimeout)
		}
		if errors.Is(err, errSize) && (len(batch) > 1 || batch[0].kind == kindFile) && (u.shrink(from) || len(text) > maxInline) {
			return u.split(ctx, batch)
		}
		if err != nil {
			return err
		}
		if answer != "bad\n" {
			if report, err = decodeText(answer); err != nil {
				return err
			}
			break
		}
		if n == 2 {
			return errors.New("what arrives in the sandbox is not what was sent")
		}
	}
	why := map[string]string{}
	for item := range strings.SplitSeq(string(report), "\x00") {
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
func (u *uploading) read(e entry) ([]byte, error) {
	f, err := openFile(u.src.Root, filepath.FromSlash(e.name))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, partSize+1))
	if err == nil && len(b) > partSize {
		err = errGrown
	}
	return b, err
}

// errGrown is a file that is not a small one any more.
var errGrown = errors.New("it has grown meanwhile")

// isGone reports whether a file was removed since it was listed.
func isGone(err error) bool { return errors.Is(err, os.ErrNotExist) }

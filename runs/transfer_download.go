package runs

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"

	"openclaw-mcp/client"
)

// download puts what is in the sandbox in place on this machine. The sandbox
// lists names; what is under them is asked for in groups, with hashes, and what
// is here already is left. Small files come many at once, large ones in parts,
// which are written in order, so that the length of a temporary file tells
// where to go on.
//
// Nothing that an instance says is trusted: names are checked, everything is
// written through a root that nothing leaves, and counts bound what is read.
func (t *transfer) download(ctx context.Context) error {
	t.stage = stagePath(t.state, false)
	far, err := t.probe(ctx)
	if err != nil {
		t.stage = ""
		return err
	}
	d := &downloading{transfer: t, dir: `"$t"`, made: map[string]bool{".": true}}
	var entries []entry
	switch far.kind {
	case 'n':
		t.stage = ""
		return fmt.Errorf("there is no %s on the instance", t.state.Remote)
	case 'o':
		t.stage = ""
		return fmt.Errorf("%s on the instance is neither a file nor a folder", t.state.Remote)
	case 'f':
		d.dir, d.follow = `"${t%/*}/"`, true
		entries = []entry{{name: path.Base(t.state.Remote)}}
	}
	if err := d.openDestination(far.kind == 'f'); err != nil {
		t.stage = ""
		return err
	}
	defer func() { _ = d.dst.Close() }()
	d.mkStage()
	defer d.cleanLocal(ctx)
	if err := t.makeStage(ctx); err != nil {
		return err
	}
	if far.kind == 'd' {
		if entries, err = d.list(ctx); err != nil {
			return err
		}
		entries = d.refuse(entries)
	}
	return d.fetch(ctx, entries)
}

// downloading is a download that knows both its ends.
type downloading struct {
	*transfer
	dst    *tree
	dir    string          // the source folder, in the scripts' words
	follow bool            // the one file may be a link
	local  string          // folder of temporary files in dst
	made   map[string]bool // folders that are there
}

// openDestination opens the folder that files go into, made if need be.
func (d *downloading) openDestination(single bool) error {
	root, rel, err := openRoot(d.m.cfg.TransferRoots, d.state.Local)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	d.dst = &tree{}
	st, err := root.Stat(rel)
	switch {
	case single && (err != nil || !st.IsDir()):
		rel, d.dst.only = filepath.Split(rel)
		rel = filepath.Clean(rel)
	case single:
		d.dst.only = path.Base(d.state.Remote)
		if err := checkName(d.dst.only); err != nil {
			return fmt.Errorf("the file is called %s: %w", quoteName(d.dst.only), err)
		}
	case err == nil && !st.IsDir():
		return badLocal("%s is no folder", d.state.Local)
	}
	if err := root.MkdirAll(rel, 0o755); err != nil {
		return badLocal("the folder %s can't be made: %v", rel, cause(err))
	}
	if d.dst.Root, err = root.OpenRoot(rel); err != nil {
		return badLocal("%s can't be opened: %v", d.state.Local, err)
	}
	return nil
}

// mkStage makes the folder of temporary files. That it can't be made shows with
// the first file.
func (d *downloading) mkStage() {
	d.local = stagePrefix + d.state.ID
	_ = d.dst.Mkdir(d.local, 0o700)
}

// cleanLocal removes the temporary files, except where the transfer is to be
// taken up.
func (d *downloading) cleanLocal(ctx context.Context) {
	d.l.mu.Lock()
	cancelled := d.l.status == StatusCancelled
	d.l.mu.Unlock()
	if ctx.Err() == nil || cancelled {
		_ = d.dst.RemoveAll(d.local)
	}
}

// there gives an entry's name in the sandbox, and here that on this machine.
func (d *downloading) here(e entry) string {
	if d.dst.only != "" {
		return d.dst.only
	}
	return filepath.FromSlash(e.name)
}

// listScript lists a tree: five lists, each of names that end in NUL, with an
// empty name behind the last. A link's name is followed by its target and a
// line break.
func (d *downloading) listScript() string {
	leave := "-name '" + stagePrefix + "*'"
	if !d.all {
		leave += " -o -name .git"
	}
	return `cd "$t" || say "fail read $t"
n() { find . \( ` + leave + ` \) -prune -o ! -name . "$@" -print0; printf '\0'; }
umask 077
{ n -type d; n -type f -perm -100; n -type f ! -perm -100
find . \( ` + leave + ` \) -prune -o -type l -exec sh -c 'for f; do printf "%s\0" "$f"; readlink "$f"; printf "\0"; done' sh {} +; printf '\0'
n ! -type d ! -type f ! -type l; } >"$s/list" || say "fail write to $s"
echo $(wc -c <"$s/list")`
}

const maxList = 64 << 20 // bytes of a tree's names

// list asks for the names of the tree.
func (d *downloading) list(ctx context.Context) ([]entry, error) {
	answer, err := d.ask(ctx, d.listScript(), hashTimeout)
	if err != nil {
		return nil, err
	}
	size, err := strconv.ParseInt(strings.TrimSpace(answer), 10, 64)
	if err != nil {
		return nil, fmt.Errorf("%w: %s", errAnswer, clip(answer))
	}
	if size > maxList {
		return nil, tooMany(d.state.Remote)
	}
	var list []byte
	for int64(len(list)) < size {
		part := d.limit.Load()
		b, err := d.slice(ctx, `"$s/list"`, nil, int64(len(list))/part, part)
		if errors.Is(err, errSize) && d.shrink(part) {
			list = list[:int64(len(list))/d.limit.Load()*d.limit.Load()]
			continue
		}
		if err != nil {
			return nil, err
		}
		if len(b) == 0 {
			break
		}
		list = append(list, b...)
	}
	if int64(len(list)) != size {
		return nil, fmt.Errorf("%w: the list of files is not whole", errAnswer)
	}
	return d.parseList(list)
}

func tooMany(where string) error {
	return fmt.Errorf("%s has more than %d files and folders; transfer parts of it, or archive it first", where, maxEntries)
}

// parseList reads what listScript writes.
func (d *downloading) parseList(list []byte) ([]entry, error) {
	var entries []entry
	next := func() string {
		name, rest, _ := bytes.Cut(list, []byte{0})
		list = rest
		return string(name)
	}
	for section := range 5 {
		for {
			name := next()
			if name == "" {
				break
			}
			e := entry{name: strings.TrimPrefix(name, "./"), exec: section == 1}
			switch section {
			case 0:
				e.kind = kindDir
			case 3:
				e.kind, e.target = kindLink, strings.TrimSuffix(next(), "\n")
			case 4:
				d.skip(e, false, "not a file but a FIFO, a socket or a device")
				continue
			}
			if len(entries) >= maxEntries {
				return nil, tooMany(d.state.Remote)
			}
			entries = append(entries, e)
		}
	}
	return entries, nil
}

// refuse takes out what can't be on this machine, or must not.
func (d *downloading) refuse(entries []entry) []entry {
	return d.refuseFolded(entries, foldsCase(d.dst.Root, d.local))
}

func (d *downloading) refuseFolded(entries []entry, fold bool) []entry {
	seen := make(map[string]string, len(entries))
	var in []entry
	for _, e := range entries {
		key := e.name
		if fold {
			key = strings.ToLower(key)
		}
		other, twice := seen[key]
		seen[key] = e.name
		err := checkName(e.name)
		switch {
		case err != nil:
			d.fail(e.name, err.Error())
		case twice:
			d.fail(e.name, "this machine can't tell its name from that of "+quoteName(other))
		case e.kind == kindLink && !linkStays(e.name, e.target):
			d.skip(e, false, "a link that leads out of the tree, to "+quoteName(e.target))
		default:
			in = append(in, e)
		}
	}
	return in
}

// foldsCase reports whether a folder takes names that differ only in case for
// the same. It tries, with a name that exists.
func foldsCase(root *os.Root, name string) bool {
	_, err := root.Lstat(strings.ToUpper(name))
	return err == nil
}

// fetch brings the entries over: folders, files, and links at the end, so that
// nothing is written through one.
func (d *downloading) fetch(ctx context.Context, entries []entry) error {
	var files, links []entry
	for _, e := range entries {
		switch e.kind {
		case kindDir:
			if err := d.mkdir(d.here(e)); err != nil {
				d.fail(e.name, cause(err))
			}
		case kindLink:
			links = append(links, e)
		default:
			files = append(files, e)
		}
	}
	d.plan(entries)
	found := make(chan []entry, maxParallel)
	var large []entry
	collected := make(chan struct{})
	go func() {
		defer close(collected)
		for list := range found {
			large = append(large, list...)
		}
	}()
	err := parallel(ctx, groups(files), func(ctx context.Context, group []entry) error {
		rest, err := d.group(ctx, group)
		found <- rest
		return err
	})
	close(found)
	<-collected
	if err != nil {
		return err
	}
	for _, e := range large {
		if err := d.fetchLarge(ctx, e); err != nil {
			return err
		}
	}
	for _, e := range links {
		d.link(e)
	}
	return ctx.Err()
}

// group brings over the small files of a group, and gives the large ones.
func (d *downloading) group(ctx context.Context, group []entry) (large []entry, err error) {
	missing, err := d.missing(ctx, group)
	if err != nil {
		return nil, err
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
			d.fail(e.name, "it is gone, or no file any more")
			continue
		case s.size < 0 || s.sum == "":
			d.fail(e.name, "the sandbox can't read it")
			continue
		}
		e.size, e.sum = s.size, s.sum
		if d.follow { // of the tree, find said it
			e.exec = s.kind == 'x'
		}
		d.mu.Lock()
		d.now.TotalBytes += e.size
		d.mu.Unlock()
		if in, err := d.inPlace(ctx, e); err != nil {
			return nil, err
		} else if !in {
			missing = append(missing, e)
		}
	}
	return missing, nil
}

// lookFar is look, also through the one file that may be a link.
func (d *downloading) lookFar(ctx context.Context, names []string) (map[string]seen, error) {
	if !d.follow {
		return d.look(ctx, d.dir, names)
	}
	answer, err := d.ask(ctx, `k=f; [ ! -x "$t" ] || k=x; sum "$t"; echo $k $(wc -c <"$t") $h`, hashTimeout)
	if err != nil {
		return nil, err
	}
	words := strings.Fields(answer)
	if len(words) != 3 {
		return map[string]seen{names[0]: {kind: 'f', size: -1}}, nil
	}
	size, err := strconv.ParseInt(words[1], 10, 64)
	if err != nil {
		return nil, fmt.Errorf("%w: %s", errAnswer, clip(answer))
	}
	return map[string]seen{names[0]: {kind: words[0][0], size: size, sum: words[2]}}, nil
}

// inPlace deals with what needs no fetching: what is here already, and what may
// not be replaced.
func (d *downloading) inPlace(ctx context.Context, e entry) (bool, error) {
	st, err := d.dst.Lstat(d.here(e))
	if err != nil {
		return false, nil
	}
	if st.Mode().IsRegular() && st.Size() == e.size {
		sum, _, err := hashFile(ctx, d.dst.Root, d.here(e))
		if ctx.Err() != nil {
			return false, ctx.Err()
		}
		if err == nil && sum == e.sum {
			if exec := st.Mode()&0o100 != 0; exec != e.exec && !d.keep {
				if err := d.dst.Chmod(d.here(e), modeFor(st.Mode().Perm(), e.exec)); err != nil {
					d.fail(e.name, cause(err))
					return true, nil
				}
			}
			d.done(true, e)
			return true, nil
		}
	}
	switch {
	case d.keep:
		d.skip(e, true, "it exists on this machine")
		return true, nil
	case st.IsDir():
		d.fail(e.name, "a folder is in its place")
		return true, nil
	}
	return false, nil
}

// modeFor gives a file that is replaced the rights that it had, but for being a
// program.
func modeFor(perm os.FileMode, exec bool) os.FileMode {
	if exec {
		return perm | perm&0o444>>2
	}
	return perm &^ 0o111
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
	pipe, gz := `cat "$@"`, d.tools.gzip
	if gz {
		pipe += " | gzip -1"
	}
	answer, err := d.ask(ctx, "d="+d.dir+"\n"+d.words(names...)+`cd "$d" && `+pipe+" | enc", transferTimeout)
	if err != nil {
		return nil, err
	}
	b, err := decodeText(answer)
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
			d.fail(e.name, "it is gone, or can't be read any more")
			return nil
		}
		d.mu.Lock()
		d.now.TotalBytes += s.size - e.size
		d.mu.Unlock()
		e.size, e.sum = s.size, s.sum
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
	d.fail(e.name, "it changes all the time")
	return nil
}

// slice reads a part of a file in the sandbox: $f in the scripts' words, whose
// arguments are args.
func (d *downloading) slice(ctx context.Context, f string, args []string, k, part int64) ([]byte, error) {
	script := fmt.Sprintf(`dd if=%s bs=%d skip=%d count=1 | enc`, f, part, k)
	if !d.tools.dd {
		script = fmt.Sprintf(`tail -c +%d %s | head -c %d | enc`, k*part+1, f, part)
	}
	if args != nil {
		script = "d=" + d.dir + "\n" + d.words(args...) + `cd "$d" && ` + script
	}
	answer, err := d.ask(ctx, script, transferTimeout)
	if err != nil {
		return nil, err
	}
	b, err := decodeText(answer)
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
				d.fail(e.name, "it is gone, or can't be read any more")
				return nil
			}
			d.mu.Lock()
			d.now.TotalBytes += s.size - e.size
			d.mu.Unlock()
			e.size, e.sum = s.size, s.sum
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
	d.fail(e.name, "it changes all the time")
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
	f, err := d.dst.OpenFile(temp, os.O_RDWR|os.O_CREATE, modeFor(0o644, e.exec))
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
				b, err := d.slice(ctx, `"$1"`, []string{"./" + e.name}, k, part)
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

// write puts a small file in place.
func (d *downloading) write(e entry, content []byte) {
	temp := d.local + "/" + d.name()
	f, err := d.dst.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, modeFor(0o644, e.exec))
	if err == nil {
		_, err = f.Write(content)
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		d.fail(e.name, cause(err))
		return
	}
	d.settle(e, temp)
}

// settle gives a temporary file its place, and the rights of what it replaces.
func (d *downloading) settle(e entry, temp string) {
	name := d.here(e)
	err := d.mkdir(filepath.Dir(name))
	if st, old := d.dst.Lstat(name); err == nil && old == nil && st.Mode().IsRegular() {
		err = d.dst.Chmod(temp, modeFor(st.Mode().Perm(), e.exec))
	}
	if err == nil {
		err = d.dst.Rename(temp, name)
	}
	if err != nil {
		_ = d.dst.Remove(temp)
		d.fail(e.name, cause(err))
		return
	}
	d.done(false, e)
}

// link makes a link, whose target was checked.
func (d *downloading) link(e entry) {
	name := d.here(e)
	st, err := d.dst.Lstat(name)
	switch {
	case err != nil:
	case st.Mode()&os.ModeSymlink != 0:
		if target, err := d.dst.Readlink(name); err == nil && filepath.ToSlash(target) == e.target {
			d.done(true, e)
			return
		}
		fallthrough
	default:
		if d.keep {
			d.skip(e, true, "it exists on this machine")
			return
		}
	}
	temp := d.local + "/" + d.name()
	err = d.mkdir(filepath.Dir(name))
	if err == nil {
		err = d.dst.Symlink(filepath.FromSlash(e.target), temp)
	}
	if err == nil {
		err = d.dst.Rename(temp, name)
	}
	if err != nil {
		d.fail(e.name, cause(err))
		return
	}
	d.done(false, e)
}

// mkdir makes a folder and those above it, once. It goes through no link: what
// is put below one would come to be elsewhere, and a link of the tree that way
// could lead out of it.
func (d *downloading) mkdir(dir string) error {
	d.mu.Lock()
	made := d.made[dir]
	d.mu.Unlock()
	if made {
		return nil
	}
	if above := filepath.Dir(dir); above != dir {
		if err := d.mkdir(above); err != nil {
			return err
		}
	}
	if err := d.dst.Mkdir(dir, 0o755); err != nil {
		st, lerr := d.dst.Lstat(dir)
		if lerr != nil {
			return err
		}
		if !st.IsDir() {
			return errInWay
		}
	}
	d.mu.Lock()
	d.made[dir] = true
	d.mu.Unlock()
	return nil
}

var errInWay = errors.New("a link or a file is in the place of its folder")

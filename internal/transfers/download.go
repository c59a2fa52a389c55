package transfers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"

	"openclaw-mcp/internal/sandbox"
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
	d := &downloading{transfer: t, made: map[string]bool{".": true}, old: map[string]os.FileMode{}}
	far, err := t.probe(ctx)
	if d.plain = t.plain(err); d.plain != nil {
		t.stage = ""
		far, err = d.plain.probe(ctx)
		if d.plain.blind {
			far.kind = 'f' // what can't be listed can perhaps be read
		}
	}
	if err != nil {
		t.stage = ""
		return err
	}
	var entries []entry
	switch far.kind {
	case 'n':
		t.stage = ""
		return fmt.Errorf("there is no %s on the instance", t.state.Remote)
	case 'o':
		t.stage = ""
		return fmt.Errorf("%s on the instance is neither a file nor a folder", t.state.Remote)
	case 'f':
		d.follow = true
		entries = []entry{{name: path.Base(t.state.Remote)}}
	}
	if err := d.openDestination(far.kind == 'f'); err != nil {
		t.stage = ""
		return err
	}
	defer func() { _ = d.dst.Close() }()
	if far.kind == 'f' {
		if err := d.checkDestination(entries[0]); err != nil {
			t.stage = ""
			return err
		}
	}
	d.mkStage()
	defer d.cleanLocal(ctx)
	list := d.list
	if d.plain != nil {
		list = d.plainList
		d.plain.announce("links and programs arrive as plain files, and modes are not kept")
	} else if err := t.makeStage(ctx); err != nil {
		return err
	}
	if far.kind == 'd' {
		if entries, err = list(ctx); err != nil {
			return err
		}
		entries = d.refuseBare(d.refuse(entries))
	}
	return d.fetch(ctx, entries)
}

// downloading is a download that knows both its ends.
type downloading struct {
	*transfer
	plain  *plainWay // nil where scripts do it
	dst    *tree
	follow bool                   // it is one file, which may be a link
	local  string                 // folder of temporary files in dst
	made   map[string]bool        // folders that are there,
	old    map[string]os.FileMode // and the modes of those that were there before
	umask  os.FileMode            // rights that this process gives no file
	root   string                 // the transfer root, without links
	at     string                 // dst from there, with slashes and without links,
	said   string                 // and as the caller names it
	fresh  bool                   // dst was empty at the start, and in no repository

	repositories, bare map[string]bool         // whether a folder, from root, is in one
	families           map[string]map[int]bool // of the build files that a folder of dst has
}

const maxList = 64 << 20 // bytes of a tree's names

// list asks for the names of the tree.
func (d *downloading) list(ctx context.Context) ([]entry, error) {
	report, err := d.ask(ctx, "tree", sandbox.Params{"git": d.all}, hashTimeout)
	if err != nil {
		return nil, err
	}
	size := report.Number(0)
	if size < 0 {
		return nil, unexpected(report)
	}
	if size > maxList {
		return nil, tooMany(d.state.Remote)
	}
	var list []byte
	for int64(len(list)) < size {
		part := d.limit.Load()
		b, err := d.slice(ctx, "", int64(len(list))/part, part)
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
		return nil, fmt.Errorf("%w: the list of files is incomplete", errAnswer)
	}
	return d.parseList(list)
}

func tooMany(where string) error {
	return fmt.Errorf("%s has more than %d files and folders; transfer parts of it, or archive it first", where, maxEntries)
}

// parseList reads what transfer_tree.sh writes.
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
		case !d.allowed(e.name):
			d.skip(e, false, notAllowed)
		case twice:
			d.fail(e.name, "this machine can't tell its name from that of "+quoteName(other))
		case d.git(e) != "":
			d.skip(e, false, d.git(e))
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
	var files, links, folders []entry
	for _, e := range entries {
		switch e.kind {
		case kindDir:
			if err := d.mkdir(d.here(e)); err != nil {
				d.fail(e.name, cause(err))
			} else {
				folders = append(folders, e)
			}
		case kindLink:
			links = append(links, e)
		default:
			files = append(files, e)
		}
	}
	d.plan(entries)
	wanted, err := d.hold(ctx, slices.Concat(files, links))
	if err != nil {
		return err
	}
	files, links = files[:0:0], links[:0:0]
	for _, e := range wanted {
		if e.kind == kindLink {
			links = append(links, e)
		} else {
			files = append(files, e)
		}
	}
	found := make(chan []entry, maxParallel)
	var large []entry
	collected := make(chan struct{})
	go func() {
		defer close(collected)
		for list := range found {
			large = append(large, list...)
		}
	}()
	err = parallel(ctx, groups(files), func(ctx context.Context, group []entry) error {
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
	if err := d.dressFolders(ctx, folders); err != nil {
		return err
	}
	return ctx.Err()
}

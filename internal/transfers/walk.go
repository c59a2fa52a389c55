package transfers

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// walk lists what is to be uploaded, folders before what is in them.
func (t *transfer) walk(ctx context.Context, src *tree, above []ignoreRules) ([]entry, error) {
	if src.only != "" {
		st, err := src.Stat(src.only)
		if err != nil {
			return nil, badLocal("%s can't be read: %v", t.state.Local, err)
		}
		e := entry{name: src.only}
		e.describe(st)
		return []entry{e}, nil
	}
	w := walker{t: t, src: src}
	if t.all {
		above = nil
	}
	err := w.dir(ctx, "", above)
	return w.entries, err
}

type walker struct {
	t       *transfer
	src     *tree
	entries []entry
}

// dir lists one folder; at is "" or ends in a slash.
func (w *walker) dir(ctx context.Context, at string, rules []ignoreRules) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	names, err := readNames(w.src.Root, local(at))
	if err != nil {
		if at == "" {
			return badLocal("%s can't be read: %v", w.t.state.Local, err)
		}
		w.t.fail(at, cause(err))
		return nil
	}
	if !w.t.all && slices.Contains(names, ".gitignore") {
		rules = append(rules[:len(rules):len(rules)], parseIgnore(at, readIgnore(w.src.Root, local(at))))
	}
	for _, base := range names {
		name := at + base
		st, err := w.src.Lstat(filepath.FromSlash(name))
		if err != nil {
			w.t.fail(name, cause(err))
			continue
		}
		if strings.HasPrefix(base, stagePrefix) || !w.t.all && (base == ".git" || ignored(rules, name, st.IsDir())) {
			w.t.mu.Lock()
			w.t.now.Ignored++
			w.t.mu.Unlock()
			continue
		}
		if !w.t.allowed(name) {
			w.t.skip(entry{name: name}, false, notAllowed)
			continue
		}
		if len(w.entries) >= maxEntries {
			return badLocal("%s has more than %d files and folders; transfer parts of it, or archive it first", w.t.state.Local, maxEntries)
		}
		e := entry{name: name}
		e.describe(st)
		switch {
		case st.IsDir():
			e.kind, e.size = kindDir, 0
			w.entries = append(w.entries, e)
			if err := w.dir(ctx, name+"/", rules); err != nil {
				return err
			}
			continue
		case st.Mode()&fs.ModeSymlink != 0:
			e.kind, e.size = kindLink, 0
			target, err := w.src.Readlink(filepath.FromSlash(name))
			if err != nil {
				w.t.fail(name, cause(err))
				continue
			}
			e.target = filepath.ToSlash(target)
			if !linkStays(name, e.target) {
				w.t.skip(e, false, "a link that leads out of the tree, to "+quoteName(target))
				continue
			}
		case !st.Mode().IsRegular():
			w.t.skip(e, false, "not a file but "+modeWord(st.Mode()))
			continue
		}
		w.entries = append(w.entries, e)
	}
	return nil
}

func readNames(root *os.Root, dir string) ([]string, error) {
	f, err := root.Open(dir)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	names, err := f.Readdirnames(-1)
	slices.Sort(names)
	return names, err
}

func modeWord(m fs.FileMode) string {
	switch {
	case m&fs.ModeNamedPipe != 0:
		return "a FIFO"
	case m&fs.ModeSocket != 0:
		return "a socket"
	case m&fs.ModeDevice != 0:
		return "a device"
	}
	return "something else"
}

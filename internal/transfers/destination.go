package transfers

import (
	"context"
	"fmt"
	"os"
	"path"
	"path/filepath"
)

// openDestination opens the folder that files go into, made if need be.
func (d *downloading) openDestination(single bool) error {
	root, rel, err := openRoot(d.s.cfg.Roots, d.state.Local)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	d.dst = &tree{}
	only := ""
	st, err := root.Stat(rel)
	switch {
	case single && (err != nil || !st.IsDir()):
		rel, only = filepath.Split(rel)
		rel = filepath.Clean(rel)
	case single:
		only = path.Base(d.state.Remote)
		if err := checkName(only); err != nil {
			return fmt.Errorf("the file is called %s: %w", quoteName(only), err)
		}
	case err == nil && !st.IsDir():
		return badLocal("%s is no folder", d.state.Local)
	}
	if err := d.locate(root, rel); err != nil {
		return err
	}
	if err := d.checkDestination(entry{kind: kindDir}); err != nil {
		return err
	}
	at := d.at
	if err := root.MkdirAll(rel, 0o755); err != nil {
		return badLocal("the folder %s can't be made: %v", rel, cause(err))
	}
	if d.dst.Root, err = root.OpenRoot(rel); err != nil {
		return badLocal("%s can't be opened: %v", d.state.Local, err)
	}
	if err := d.locate(root, rel); err != nil || d.at != at {
		_ = d.dst.Close()
		return badLocal("%s has changed meanwhile", d.state.Local)
	}
	d.dst.only = only
	return nil
}

// locate finds out where the destination is once links are followed: what comes there is
// judged by that. Folders that are still to be made are as they are called.
func (d *downloading) locate(root *os.Root, rel string) (err error) {
	if d.root, err = filepath.EvalSymlinks(root.Name()); err != nil {
		return badLocal("%s can't be opened: %v", root.Name(), cause(err))
	}
	there, missing := rel, ""
	resolved, err := filepath.EvalSymlinks(filepath.Join(d.root, there))
	for ; err != nil && there != "."; resolved, err = filepath.EvalSymlinks(filepath.Join(d.root, there)) {
		missing = filepath.Join(filepath.Base(there), missing)
		there = filepath.Dir(there)
	}
	at, err := filepath.Rel(d.root, filepath.Join(resolved, missing))
	if err != nil || !filepath.IsLocal(at) {
		return badLocal("%s leads out of the folder that is open to transfers", d.state.Local)
	}
	d.at, d.said = filepath.ToSlash(at), filepath.ToSlash(rel)
	return nil
}

// checkDestination reports why the destination, or the one file that comes, may not be
// made.
func (d *downloading) checkDestination(e entry) error {
	why := d.git(e)
	if why == "" && d.makesBare(e, func(string) int { return 0 }) && !d.mayBeGit(e) {
		why = isBareRepo
	}
	if why != "" {
		return badLocal("%s is not written: %s", d.state.Local, why)
	}
	return nil
}

// mkStage makes the folder of temporary files. That it can't be made shows with
// the first file.
func (d *downloading) mkStage() {
	d.local = stagePrefix + d.state.ID
	// Who takes the transfer up finds a .git that is its own.
	mark := d.local + "/fresh"
	if _, err := d.dst.Lstat(mark); err == nil {
		d.fresh = true
	} else if names, err := readNames(d.dst.Root, "."); err == nil && len(names) == 0 {
		d.fresh = !d.inRepository(d.at)
	}
	_ = d.dst.Mkdir(d.local, 0o700)
	d.umask = 0o022
	probe := d.local + "/" + d.name()
	if f, err := d.dst.OpenFile(probe, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o777); err == nil {
		if st, err := f.Stat(); err == nil && hasModes {
			d.umask = 0o777 &^ st.Mode().Perm()
		}
		_ = f.Close()
		_ = d.dst.Remove(probe)
	}
	if d.fresh {
		_ = d.dst.WriteFile(mark, nil, 0o600)
	}
}

// cleanLocal removes the temporary files, except where the transfer is to be
// taken up.
func (d *downloading) cleanLocal(ctx context.Context) {
	if !d.isInterrupted(ctx) {
		_ = d.dst.RemoveAll(d.local)
	}
}

// here gives an entry's path on this machine.
func (d *downloading) here(e entry) string {
	if d.dst.only != "" {
		return d.dst.only
	}
	return filepath.FromSlash(e.name)
}

// place gives it from the transfer root, with slashes.
func (d *downloading) place(e entry) string {
	return path.Join(d.at, filepath.ToSlash(d.here(e)))
}

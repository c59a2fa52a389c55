package transfers

import (
	"context"
	"errors"
	"os"
	"path/filepath"
)

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
			if !d.keep {
				if err := d.dress(e, d.here(e), st); err != nil {
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

// dress gives a file the rights and the time that it has on the instance; old is what
// it replaces, or itself, or nil. It is open to nobody who could not read that.
func (d *downloading) dress(e entry, name string, old os.FileInfo) error {
	mode := modeFor(0o666&^d.umask, e.exec)
	switch {
	case e.mode != 0:
		mode = (e.mode | 0o400) &^ d.umask
		if old != nil {
			mode &= 0o700 | modeFor(old.Mode().Perm(), true)
		}
	case old != nil && d.plain != nil: // whether it is a program is not known
		mode = old.Mode().Perm()
	case old != nil:
		mode = modeFor(old.Mode().Perm(), e.exec)
	}
	st, err := d.dst.Lstat(name)
	if err == nil && hasModes && st.Mode().Perm() != mode {
		err = d.dst.Chmod(name, mode)
	}
	if err == nil && !e.time.IsZero() && st.ModTime().Unix() != e.time.Unix() {
		err = d.dst.Chtimes(name, e.time, e.time)
	}
	return err
}

// modeFor gives a file that is replaced the rights that it had, but for being a
// program.
func modeFor(perm os.FileMode, exec bool) os.FileMode {
	if exec {
		return perm | perm&0o444>>2
	}
	return perm &^ 0o111
}

// write puts a small file in place.
func (d *downloading) write(e entry, content []byte) {
	temp := d.local + "/" + d.name()
	f, err := d.dst.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
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
	err := d.mkdirFor(e)
	if err == nil {
		old, lerr := d.dst.Lstat(name)
		if lerr != nil || !old.Mode().IsRegular() {
			old = nil
		}
		err = d.dress(e, temp, old)
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
	err = d.mkdirFor(e)
	if err == nil {
		err = d.dst.Symlink(filepath.FromSlash(e.target), temp)
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
	err := d.dst.Mkdir(dir, 0o755)
	var st os.FileInfo
	if err != nil {
		var lerr error
		if st, lerr = d.dst.Lstat(dir); lerr != nil {
			return err
		}
		if !st.IsDir() {
			return errInWay
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.made[dir] = true
	if st != nil {
		d.old[dir] = st.Mode().Perm()
	}
	return nil
}

// mkdirFor makes the folder that an entry goes into, unless that makes a repository.
func (d *downloading) mkdirFor(e entry) error {
	if d.becameBare(e) {
		return errors.New(isBareRepo)
	}
	return d.mkdir(filepath.Dir(d.here(e)))
}

var errInWay = errors.New("a link or a file has taken the place of its folder")

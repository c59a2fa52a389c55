package install

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// bom is the byte order mark that some editors on Windows put in front of a file.
var bom = []byte("\xef\xbb\xbf")

// largest is the size of a configuration above which something is wrong.
const largest = 64 << 20

// file is a configuration file as it was read.
type file struct {
	path   string // as the user knows it
	target string // where its links lead
	exists bool
	mode   fs.FileMode
	stat   fs.FileInfo // nil where it does not exist
	whole  []byte
}

// read reads a configuration, which may not exist yet.
func read(path string) (*file, error) {
	f := &file{path: path, target: path, mode: 0o600}
	target, err := filepath.EvalSymlinks(path)
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Lstat(path); err == nil {
			return nil, fmt.Errorf("%s is a link to a file that does not exist", path)
		}
		return f, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%s can't be read: %w", path, err)
	}
	f.target = target
	st, err := os.Stat(target)
	if err != nil {
		return nil, err
	}
	if !st.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a file", path)
	}
	if st.Size() > largest {
		return nil, fmt.Errorf("%s has %d bytes, more than any configuration", path, st.Size())
	}
	f.exists, f.mode, f.stat = true, st.Mode().Perm(), st
	f.whole, err = os.ReadFile(target)
	return f, err
}

// text is the content without a byte order mark.
func (f *file) text() []byte { return bytes.TrimPrefix(f.whole, bom) }

// withMark gives a new text the byte order mark that the file has.
func (f *file) withMark(text []byte) []byte {
	if bytes.HasPrefix(f.whole, bom) {
		return append(bytes.Clone(bom), text...)
	}
	return text
}

// writable refuses a file that its owner made read-only. This needs a check of its
// own, since whoever may write to the folder could still replace the file.
func (f *file) writable() error {
	if f.exists && f.mode&0o200 == 0 {
		return fmt.Errorf("%s is read-only; make it writable first, or name another file with --config", f.path)
	}
	return nil
}

// unchanged refuses to continue if the client wrote the file in the meantime.
func (f *file) unchanged() error {
	now, err := read(f.path)
	if err == nil && (now.exists != f.exists || now.target != f.target || !bytes.Equal(now.whole, f.whole)) {
		err = fmt.Errorf("%s was changed by another program in the meantime; nothing was written, run the command again", f.path)
	}
	return err
}

// write puts a new content in the file's place, all or nothing, and gives the
// path of the backup; it is empty where there was no file.
func (f *file) write(whole []byte, now time.Time) (backup string, err error) {
	if err := f.writable(); err != nil {
		return "", err
	}
	dir := filepath.Dir(f.target)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	temp, err := os.CreateTemp(dir, ".openclaw-mcp-*")
	if err != nil {
		return "", err
	}
	defer os.Remove(temp.Name()) // it is gone where all went well
	_, err = temp.Write(whole)
	err = errors.Join(err, f.own(temp), temp.Chmod(f.mode), temp.Sync())
	if err = errors.Join(err, temp.Close()); err != nil {
		return "", err
	}
	if backup, err = f.backup(now); err != nil {
		return "", err
	}
	if err := f.unchanged(); err != nil {
		return "", f.withoutBackup(backup, err)
	}
	if err := os.Rename(temp.Name(), f.target); err != nil {
		return "", f.withoutBackup(backup, err)
	}
	return backup, nil
}

// remove deletes the file, and keeps a backup.
func (f *file) remove(now time.Time) (backup string, err error) {
	if err := f.writable(); err != nil {
		return "", err
	}
	if backup, err = f.backup(now); err != nil {
		return "", err
	}
	if err := f.unchanged(); err != nil {
		return "", f.withoutBackup(backup, err)
	}
	if err := os.Remove(f.target); err != nil {
		return "", f.withoutBackup(backup, err)
	}
	return backup, nil
}

// withoutBackup: nothing was changed, so there is nothing to go back to.
func (f *file) withoutBackup(backup string, err error) error {
	if backup != "" {
		err = errors.Join(err, os.Remove(backup))
	}
	return err
}

const backupEnd = ".openclaw-mcp.bak"

// backup copies the content to a file beside it that has the time in its name.
func (f *file) backup(now time.Time) (string, error) {
	if !f.exists {
		return "", nil
	}
	stamp := now.UTC().Format("20060102T150405.000Z")
	for n := 1; ; n++ {
		name := fmt.Sprintf("%s.%s%s", f.target, stamp, backupEnd)
		if n > 1 {
			name = fmt.Sprintf("%s.%s-%d%s", f.target, stamp, n, backupEnd)
		}
		b, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, f.mode)
		if errors.Is(err, fs.ErrExist) && n < 100 {
			continue
		}
		if err != nil {
			return "", err
		}
		_, err = b.Write(f.whole)
		err = errors.Join(err, f.own(b), b.Chmod(f.mode), b.Sync())
		if err = errors.Join(err, b.Close()); err != nil {
			return "", errors.Join(err, os.Remove(name))
		}
		return name, nil
	}
}

// backups are the contents of earlier times, the newest first. What can't be
// read is no help, and no harm.
func (f *file) backups() (contents [][]byte) {
	entries, _ := os.ReadDir(filepath.Dir(f.target))
	var names []string
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), filepath.Base(f.target)+".") && strings.HasSuffix(e.Name(), backupEnd) {
			names = append(names, e.Name())
		}
	}
	slices.Sort(names)
	slices.Reverse(names)
	for _, name := range names {
		if b, err := os.ReadFile(filepath.Join(filepath.Dir(f.target), name)); err == nil {
			contents = append(contents, b)
		}
	}
	return contents
}

// before looks for what the file was before the entry was put into it: the
// backup to which putting it gives this very text. Nothing else is lost by
// going back to that. ok is false when there is none; a nil content means that
// there was no file.
func (f *file) before(format format, container, name string) (content []byte, ok bool) {
	entry, err := format.raw(f.text(), container, name)
	if err != nil {
		return nil, false
	}
	for _, old := range append(f.backups(), nil) {
		was := &file{whole: old}
		now, err := format.put(was.text(), container, name, entry)
		if err == nil && bytes.Equal(was.withMark(now), f.whole) {
			return old, true
		}
	}
	return nil, false
}

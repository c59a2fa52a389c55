package transfers

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unicode/utf8"
)

// ErrLocalPath is the cause of errors about the local end of a transfer.
var ErrLocalPath = errors.New("local path")

// localError says what is wrong with a local path.
type localError struct{ text string }

func (e *localError) Error() string        { return e.text }
func (e *localError) Is(target error) bool { return target == ErrLocalPath }

func badLocal(format string, a ...any) error { return &localError{fmt.Sprintf(format, a...)} }

// entry is a file, link or folder of a tree, on either side.
type entry struct {
	name   string // within the tree, with slashes; any bytes but NUL
	kind   entryKind
	exec   bool
	mode   fs.FileMode // its rights, where known; else 0
	time   time.Time   // when it was changed, where known
	size   int64
	target string // of a link
	sum    string // SHA-256 of a file's content in hexadecimal, where known
	agreed string // sum that the user agreed to, "" where nobody has to
}

type entryKind byte

const (
	kindFile entryKind = iota
	kindDir
	kindLink
)

// absoluteLocal makes a local path absolute. A relative one is seen from the
// transfer root where there is only one; this program's own folder means
// nothing to its callers.
func absoluteLocal(roots []string, p string) (string, error) {
	switch {
	case len(roots) == 0:
		return "", badLocal("no folder on this machine is open to transfers (OPENCLAW_MCP_TRANSFER_ROOTS)")
	case p == "" || strings.ContainsRune(p, 0):
		return "", badLocal("the local path is empty, or has a NUL character")
	case filepath.IsAbs(p):
		return filepath.Clean(p), nil
	case len(roots) > 1:
		return "", badLocal("%q is relative; give an absolute path under one of: %s", p, strings.Join(roots, ", "))
	}
	return filepath.Join(roots[0], p), nil
}

// findRoot gives the root that an absolute path is under, and the path from
// there. It goes by the text alone: opening is what makes it safe.
func findRoot(roots []string, local string) (root, rel string, err error) {
	for _, root := range roots {
		bases := []string{filepath.Clean(root)}
		if target, err := filepath.EvalSymlinks(root); err == nil && target != bases[0] {
			bases = append(bases, target)
		}
		for _, base := range bases {
			if rel, err := filepath.Rel(base, local); err == nil && filepath.IsLocal(rel) {
				return root, rel, nil
			}
		}
	}
	if len(roots) == 0 {
		return "", "", badLocal("no folder on this machine is open to transfers here (OPENCLAW_MCP_TRANSFER_ROOTS)")
	}
	return "", "", badLocal("%s is not under a folder that is open to transfers; these are: %s", local, strings.Join(roots, ", "))
}

func openRoot(roots []string, local string) (*os.Root, string, error) {
	dir, rel, err := findRoot(roots, local)
	if err != nil {
		return nil, "", err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, "", badLocal("the transfer root %s can't be opened: %v", dir, err)
	}
	return root, rel, nil
}

// tree is a local folder that nothing done through it can leave, not through
// links either.
type tree struct {
	*os.Root
	only string // of a transfer of one file: its name there; else ""
}

// openSource opens what is to be uploaded, and reads the .gitignore files that
// concern it from above: those of the repository that it is in.
func openSource(roots []string, local string) (*tree, []ignoreRules, error) {
	root, rel, err := openRoot(roots, local)
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = root.Close() }()
	st, err := root.Stat(rel)
	if err != nil {
		return nil, nil, badLocal("%s can't be read: %v", local, err)
	}
	t := &tree{}
	if !st.IsDir() {
		rel, t.only = filepath.Split(rel)
		rel = filepath.Clean(rel)
	}
	if t.Root, err = root.OpenRoot(rel); err != nil {
		return nil, nil, badLocal("%s can't be opened: %v", local, err)
	}
	return t, rulesAbove(root, rel), nil
}

// rulesAbove reads the .gitignore files of the folders above dir, as far as the
// repository goes, as rules for names within dir. Without a repository there
// are none.
func rulesAbove(root *os.Root, dir string) []ignoreRules {
	var above []ignoreRules
	for below := ""; ; {
		if _, err := root.Lstat(filepath.Join(dir, ".git")); err == nil {
			slices.Reverse(above)
			return above
		}
		if dir == "." {
			return nil
		}
		below = filepath.Base(dir) + "/" + below
		dir = filepath.Dir(dir)
		rules := parseIgnore("", readIgnore(root, dir))
		rules.above = below
		above = append(above, rules)
	}
}

// maxIgnore bounds a .gitignore file.
const maxIgnore = 1 << 20

func readIgnore(root *os.Root, dir string) []byte {
	name := filepath.Join(dir, ".gitignore")
	if st, err := root.Lstat(name); err != nil || !st.Mode().IsRegular() {
		return nil
	}
	f, err := openFile(root, name)
	if err != nil {
		return nil
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxIgnore))
	if err != nil {
		return nil
	}
	return b
}

// openFile opens a regular file for reading. It does not wait on a FIFO that
// has taken the place of one.
func openFile(root *os.Root, name string) (*os.File, error) {
	f, err := root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	if st, err := f.Stat(); err != nil || !st.Mode().IsRegular() {
		_ = f.Close()
		return nil, errors.New("it is no longer a regular file")
	}
	return f, nil
}

// describe takes over what a file system says of a file.
func (e *entry) describe(st fs.FileInfo) {
	e.exec, e.size, e.time = st.Mode()&0o100 != 0, st.Size(), st.ModTime()
	if hasModes {
		e.mode = st.Mode().Perm()
	}
}

// hasModes reports whether files of this machine have rights of their own.
const hasModes = runtime.GOOS != "windows"

// rights are the mode that an entry gets on the instance. A folder stays open to its owner,
// or nothing could be put into it again.
func (e entry) rights() fs.FileMode {
	switch {
	case e.kind == kindDir:
		return e.mode | 0o700
	case e.mode != 0:
		return e.mode
	case e.exec:
		return 0o755
	}
	return 0o644
}

// octal writes rights as chmod takes them.
func octal(mode fs.FileMode) string { return strconv.FormatUint(uint64(mode.Perm()), 8) }

// stamp writes a time as touch takes it, in UTC; "-" for none.
func stamp(at time.Time) string {
	if at.IsZero() {
		return "-"
	}
	return at.UTC().Format("200601021504.05")
}

// local gives a folder of the tree as a path of this machine.
func local(at string) string { return filepath.FromSlash(path.Clean("./" + at)) }

// cause is an error without the path, which is named beside it.
func cause(err error) string {
	var pe *fs.PathError
	var le *os.LinkError
	switch {
	case errors.As(err, &pe):
		return pe.Err.Error()
	case errors.As(err, &le):
		return le.Err.Error()
	}
	return err.Error()
}

// linkStays reports whether a link's target is surely within the tree: it is
// relative, and goes up first, no further than the tree reaches, and then only
// down. A ".." behind a name could follow another link first, so that its text
// says little.
func linkStays(name, target string) bool {
	if target == "" || strings.HasPrefix(target, "/") || strings.ContainsRune(target, 0) ||
		runtime.GOOS == "windows" && strings.ContainsAny(target, `:\`) {
		return false
	}
	depth, down := strings.Count(name, "/"), false
	for part := range strings.SplitSeq(target, "/") {
		switch part {
		case "", ".":
		case "..":
			if depth--; down || depth < 0 {
				return false
			}
		default:
			down = true
		}
	}
	return true
}

// checkName reports why a name that an instance gave can't be one of this
// machine. Names are hostile until this has passed them.
func checkName(name string) error {
	if len(name) > 4000 {
		return errors.New("the path is too long")
	}
	for part := range strings.SplitSeq(name, "/") {
		switch {
		case part == "" || part == "." || part == "..":
			return errors.New("the name would lead out of the folder")
		case len(part) > 255:
			return errors.New("the name is too long")
		case strings.ContainsRune(part, 0):
			return errors.New("the name has a NUL character")
		case strings.HasPrefix(part, stagePrefix):
			return errors.New("the name is one of temporary files")
		}
	}
	if runtime.GOOS == "windows" || runtime.GOOS == "darwin" {
		if !utf8.ValidString(name) {
			return errors.New("the name is not UTF-8")
		}
		if _, err := filepath.Localize(name); err != nil {
			return errors.New("this system does not allow such a name")
		}
	}
	return nil
}

// hashFile hashes a file of the tree.
func hashFile(ctx context.Context, root *os.Root, name string) (sum string, size int64, err error) {
	f, err := openFile(root, filepath.FromSlash(name))
	if err != nil {
		return "", 0, err
	}
	defer f.Close()
	h := sha256.New()
	size, err = io.CopyBuffer(h, struct{ io.Reader }{contextReader{ctx, f}}, make([]byte, 256<<10))
	return hex.EncodeToString(h.Sum(nil)), size, err
}

// contextReader ends with a context: a large file takes a while.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (r contextReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}

func hashBytes(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// key names the temporary files of one file's content.
func (e entry) key() string { return hashBytes(fmt.Appendf(nil, "%s\x00%s", e.name, e.sum))[:12] }

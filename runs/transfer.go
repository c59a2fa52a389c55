package runs

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"
)

// TransferRequest is a file or a tree of files to be moved between this machine
// and an instance. Of a tree, what is in the one folder comes to be in the
// other; what else is there stays.
type TransferRequest struct {
	Instance string
	Local    string // absolute, or seen from the only transfer root
	Remote   string // absolute; with a slash at its end, a folder
	Keep     bool   // leave alone what exists at the destination
	All      bool   // take, too, what .gitignore files leave out, and .git
	Inside   bool   // upload: keep temporary files within Remote, not beside it
}

// Transfer is how far a transfer has come.
type Transfer struct {
	Local, Remote string

	Files, TotalFiles int   // that are in place, and that there are; links count
	Bytes, TotalBytes int64 // of those
	Unchanged         int   // of Files, how many were there before
	Ignored           int   // left out by .gitignore files, a folder as one
	Skipped, Failed   Listing
}

// Listing is some of many things, with the reason for each.
type Listing struct {
	Count int
	Some  []string
}

// maxListed bounds how many names a Listing holds.
const maxListed = 20

func (l *Listing) add(name, why string) {
	l.Count++
	if len(l.Some) < maxListed {
		// Names are quoted: they may hold anything, line breaks for one.
		l.Some = append(l.Some[:len(l.Some):len(l.Some)], fmt.Sprintf("%s: %s", quoteName(name), why))
	}
}

func quoteName(name string) string {
	if strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f || r == utf8.RuneError || r == '"' }) {
		return clip(fmt.Sprintf("%q", name))
	}
	return clip(name)
}

// transferOptions are the options of a transfer as a handle carries them.
type transferOptions byte

const (
	optionKeep transferOptions = 1 << iota
	optionAll
	optionInside
)

func (k Kind) transfers() bool { return k == KindUpload || k == KindDownload }

const (
	// partSize is how many bytes go in one request: as base64, with the JSON
	// around it, they stay under 1 MiB, which is the limit of many a proxy. It
	// can be halved four times; then a part fits into a command.
	partSize    = 704 << 10
	minPartSize = partSize >> 4
	maxParallel = 4 // requests of one transfer under way at once

	maxEntries  = 200_000 // files, links and folders of one transfer
	maxPathText = 2000    // bytes of both paths, which every handle carries

	groupEntries = 400      // entries asked for or sent together,
	groupNames   = 40 << 10 // and the bytes of their names, which go in a command

	// patience is how long a service that answers nothing useful is asked again.
	patience = 15 * time.Minute
)

// stagePrefix is how the folders of temporary files are called on either side.
// What is called like that is never transferred.
const stagePrefix = ".openclaw-mcp-"

// ErrLocalPath is the cause of errors about the local end of a transfer.
var ErrLocalPath = errors.New("local path")

// localError says what is wrong with a local path.
type localError struct{ text string }

func (e *localError) Error() string        { return e.text }
func (e *localError) Is(target error) bool { return target == ErrLocalPath }

func badLocal(format string, a ...any) error { return &localError{fmt.Sprintf(format, a...)} }

// CanTransfer reports whether there are folders that transfers may touch.
func (m *Manager) CanTransfer() bool { return len(m.cfg.TransferRoots) > 0 }

// StartTransfer moves files: from this machine for KindUpload, to it for
// KindDownload. A call that repeats one that is under way joins it.
func (m *Manager) StartTransfer(ctx context.Context, kind Kind, req TransferRequest) (run *Run, joined string, err error) {
	state := handleState{
		Kind: kind, ID: newID(), Instance: req.Instance, Started: time.Now().Truncate(time.Second),
		Remote: path.Clean(req.Remote),
	}
	if strings.HasSuffix(req.Remote, "/") && state.Remote != "/" {
		state.Remote += "/"
	}
	for option, set := range map[transferOptions]bool{optionKeep: req.Keep, optionAll: req.All, optionInside: req.Inside} {
		if set {
			state.Options |= option
		}
	}
	if !path.IsAbs(req.Remote) || strings.ContainsRune(req.Remote, 0) || !utf8.ValidString(req.Remote) {
		return nil, "", fmt.Errorf("the remote path %q is not absolute, or no text", req.Remote)
	}
	if state.Local, err = absoluteLocal(m.cfg.TransferRoots, req.Local); err != nil {
		return nil, "", err
	}
	if len(state.Local)+len(state.Remote) > maxPathText {
		return nil, "", badLocal("the two paths are longer than %d bytes", maxPathText)
	}
	if err := m.mayTransfer(state); err != nil {
		return nil, "", err
	}
	if kind == KindUpload {
		if err := checkSource(m.cfg.TransferRoots, state.Local); err != nil {
			return nil, "", err
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.base.Err() != nil {
		return nil, "", ErrClosed
	}
	for _, other := range m.live {
		s := other.state
		if _, over := other.endedAt(); !over && s.Kind == kind && s.Instance == state.Instance &&
			s.Local == state.Local && s.Remote == state.Remote && s.Options == state.Options {
			return other.reader(), "the same transfer is under way; this call joins it", nil
		}
	}
	l := m.newLive(state)
	m.start(l.carried(ctx), l.moveFiles)
	return l.reader(), "", nil
}

// mayTransfer reports why a transfer may not be made here. A handle is checked
// by the folders that its process allows, whatever the one that made it did.
func (m *Manager) mayTransfer(state handleState) error {
	if !state.Kind.transfers() {
		return nil
	}
	_, _, err := findRoot(m.cfg.TransferRoots, state.Local)
	return err
}

// Inspection is what a handle says of its run.
type Inspection struct {
	Kind     Kind
	Instance string // "" while it is not known
	Remote   string // upload, download: the path on the instance
}

// Inspect reads a handle and starts nothing.
func (m *Manager) Inspect(handle string) (Inspection, error) {
	state, err := m.seal.open(handle)
	return Inspection{Kind: state.Kind, Instance: state.Instance, Remote: state.Remote}, err
}

// transfer is the work of a run that moves files.
type transfer struct {
	l     *live
	m     *Manager
	state handleState
	keep  bool
	all   bool
	stage string // folder of temporary files in the sandbox, once it is known
	tools sandboxTools
	tag   string // of this process, in the names of temporary files

	slots    chan struct{} // requests under way
	limit    atomic.Int64  // bytes of a part
	byExec   atomic.Bool   // parts go up in commands, since files/write does not take them
	number   atomic.Int64
	lastGood atomic.Int64 // when the service last answered well, in Unix nanoseconds

	mu     sync.Mutex // guards the rest
	now    Transfer
	told   time.Time
	failed map[string]bool
}

func newTransfer(l *live) *transfer {
	s := l.state
	t := &transfer{
		l: l, m: l.m, state: s, keep: s.Options&optionKeep != 0, all: s.Options&optionAll != 0,
		tag: rand.Text()[:6], slots: make(chan struct{}, maxParallel), failed: make(map[string]bool),
	}
	t.now.Local, t.now.Remote = s.Local, s.Remote
	t.limit.Store(partSize)
	t.lastGood.Store(time.Now().UnixNano())
	return t
}

// stagePath is where a transfer's temporary files are in the sandbox. For an
// upload it is beside the files of the project where files/write reaches it,
// and on the same file system as the target, so that moving is renaming. For a
// download only commands need it.
func stagePath(s handleState, single bool) string {
	remote := path.Clean(s.Remote)
	if single && !strings.HasSuffix(s.Remote, "/") {
		remote = path.Dir(remote)
	}
	switch {
	case s.Kind == KindDownload:
		return "/tmp/" + stagePrefix[1:] + "transfer-" + s.ID
	case s.Options&optionInside == 0 && within("/workspace", remote):
		return "/workspace/" + stagePrefix + s.ID
	case remote == "/":
		return "/" + stagePrefix + s.ID
	default:
		return remote + "/" + stagePrefix + s.ID
	}
}

func within(dir, p string) bool { return p == dir || strings.HasPrefix(p, dir+"/") }

// cleanTime bounds the removal of temporary files at the end.
const cleanTime = 15 * time.Second

// moveFiles is the whole life of a transfer, also of one that is taken up: what
// is in place already is found there, and left.
func (l *live) moveFiles(ctx context.Context) {
	t := newTransfer(l)
	work := t.upload
	if l.state.Kind == KindDownload {
		work = t.download
	}
	l.line("status: looking at what there is")
	err := work(ctx)
	l.mu.Lock()
	cancelled := l.status == StatusCancelled
	l.mu.Unlock()
	if ctx.Err() != nil && !cancelled {
		return // the server closes; the temporary files are for who takes it up
	}
	clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanTime)
	defer cancel()
	stop := context.AfterFunc(l.m.base, cancel)
	defer stop()
	if cleanErr := t.clean(clean); cleanErr != nil {
		t.m.log.Warn("temporary files of a transfer stay in the sandbox", "path", t.stage, "error", cleanErr)
		l.note("temporary files could not be removed from " + t.stage + "; a later upload removes them after a day")
	}
	t.tell(true)
	t.mu.Lock()
	failed := t.now.Failed.Count
	t.mu.Unlock()
	switch {
	case err != nil:
		l.end(StatusFailed, err)
	case failed > 0:
		l.end(StatusFailed, fmt.Errorf("%d files could not be transferred; the rest is in place, and the same call made again sends only what is missing", failed))
	default:
		l.end(StatusCompleted, nil)
	}
}

// plan sets what there is to do.
func (t *transfer) plan(entries []entry) {
	t.mu.Lock()
	for _, e := range entries {
		if e.kind != kindDir {
			t.now.TotalFiles++
			t.now.TotalBytes += e.size
		}
	}
	t.mu.Unlock()
	t.tell(true)
}

// resize notes what size a file turned out to have.
func (t *transfer) resize(e *entry, size int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.now.TotalBytes += size - e.size
	e.size = size
}

// done counts entries that are in place.
func (t *transfer) done(unchanged bool, entries ...entry) {
	t.mu.Lock()
	for _, e := range entries {
		if e.kind == kindDir {
			continue
		}
		t.now.Files++
		t.now.Bytes += e.size
		if unchanged {
			t.now.Unchanged++
		}
	}
	t.mu.Unlock()
	t.tell(false)
}

// moving counts bytes of a large file that are on their way; done counts them
// again, so they are taken back before.
func (t *transfer) moving(n int64) {
	t.mu.Lock()
	t.now.Bytes += n
	t.mu.Unlock()
	t.tell(false)
}

// skip notes what is left out on purpose; counted says that it is in the plan.
func (t *transfer) skip(e entry, counted bool, why string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.now.Skipped.add(e.name, why)
	if counted && e.kind != kindDir {
		t.now.TotalFiles--
		t.now.TotalBytes -= e.size
	}
}

// fail notes what could not be moved, once for each name.
func (t *transfer) fail(name, why string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.failed[name] {
		t.failed[name] = true
		t.now.Failed.add(name, why)
	}
}

const tellEvery = time.Second

// tell shows how far the transfer is, though not at every step.
func (t *transfer) tell(always bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	if !always && now.Sub(t.told) < tellEvery {
		return
	}
	t.told = now
	shown := t.now
	verb := "uploaded"
	if t.state.Kind == KindDownload {
		verb = "downloaded"
	}
	text := fmt.Sprintf("status: %s %d of %d files, %s of %s", verb, shown.Files, shown.TotalFiles, amount(shown.Bytes), amount(shown.TotalBytes))
	t.l.change(func() {
		t.l.lastActivity = now
		t.l.moved = &shown
		// Who comes later wants the newest count, not the story of all.
		t.l.linesCut += len(t.l.lines)
		t.l.lines = t.l.lines[:0]
		t.l.addLine(text)
	})
}

func amount(n int64) string {
	switch {
	case n < 10_000:
		return fmt.Sprintf("%d bytes", n)
	case n < 10_000_000:
		return fmt.Sprintf("%d KB", n/1000)
	}
	return fmt.Sprintf("%d MB", n/1_000_000)
}

// allowed reports whether the rails let an entry's path on the instance be
// touched: a tree that is allowed may hold folders that are not.
func (t *transfer) allowed(name string) bool {
	return t.m.cfg.AllowPath == nil || t.m.cfg.AllowPath(path.Join(t.state.Remote, name)) == nil
}

const notAllowed = "its path on the instance is not allowed by this server's configuration"

// name makes a name for a temporary file of this process.
func (t *transfer) name() string { return fmt.Sprintf("b%s-%d", t.tag, t.number.Add(1)) }

// checkSource reports early what is wrong with the source of an upload.
func checkSource(roots []string, local string) error {
	root, rel, err := openRoot(roots, local)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	st, err := root.Stat(rel)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return badLocal("there is no %s", local)
	case err != nil:
		return badLocal("%s can't be read: %v", local, err)
	case !st.IsDir() && !st.Mode().IsRegular():
		return badLocal("%s is neither a file nor a folder", local)
	}
	return nil
}

package transfers

import (
	"context"
	"crypto/rand"
	"fmt"
	"path"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"openclaw-mcp/client"
	"openclaw-mcp/internal/runs"
)

// transfer is the run that moves files.
type transfer struct {
	*runs.Live
	s     *Service
	state state
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

	mu        sync.Mutex // guards the rest; taken before Live's lock
	now       Transfer
	announced time.Time // when now was last shown
	failed    map[string]bool

	shown *Transfer // as last shown; guarded by the lock of Live
}

func (s *Service) newTransfer(l *runs.Live, st state) *transfer {
	t := &transfer{
		Live: l, s: s, state: st, keep: st.Options&optionKeep != 0, all: st.Options&optionAll != 0,
		tag: rand.Text()[:6], slots: make(chan struct{}, maxParallel), failed: make(map[string]bool),
	}
	t.now.Local, t.now.Remote = st.Local, st.Remote
	t.limit.Store(partSize)
	t.lastGood.Store(time.Now().UnixNano())
	return t
}

// Shared is how far the transfer has come.
func (t *transfer) Shared() any { return &t.shown }

// Result gives the *Transfer, nil at first.
func (t *transfer) Result() any {
	if t.shown == nil {
		return nil
	}
	return t.shown
}

// CancelNote says what a cancel does to a transfer.
func (t *transfer) CancelNote() string {
	return "the transfer stops; files that have arrived stay, each of them whole, and the same call made again sends only the rest"
}

// Size is next to nothing.
func (t *transfer) Size() int { return 0 }

// stagePath is where a transfer's temporary files are in the sandbox. For an
// upload it is beside the files of the project where files/write reaches it,
// and on the same file system as the target, so that moving is renaming. For a
// download only commands need it.
func stagePath(s state, single bool) string {
	remote := path.Clean(s.Remote)
	if single && !strings.HasSuffix(s.Remote, "/") {
		remote = path.Dir(remote)
	}
	switch {
	case s.Kind == runs.KindDownload:
		return "/tmp/" + stagePrefix[1:] + "transfer-" + s.ID
	case s.Options&optionInside == 0 && within(client.Workspace, remote):
		return client.Workspace + "/" + stagePrefix + s.ID
	case remote == "/":
		return "/" + stagePrefix + s.ID
	default:
		return remote + "/" + stagePrefix + s.ID
	}
}

func within(dir, p string) bool { return p == dir || strings.HasPrefix(p, dir+"/") }

// cleanTime bounds the removal of temporary files at the end.
const cleanTime = 15 * time.Second

// Resume is the whole life of a transfer, also of one that is taken up: what is
// in place already is found there, and left.
func (t *transfer) Resume(ctx context.Context) {
	work := t.upload
	if t.state.Kind == runs.KindDownload {
		work = t.download
	}
	t.Line("status: looking at what there is")
	err := work(ctx)
	if t.isInterrupted(ctx) {
		return
	}
	clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanTime)
	defer cancel()
	stop := context.AfterFunc(t.s.m.Base(), cancel)
	defer stop()
	if cleanErr := t.clean(clean); cleanErr != nil {
		t.s.m.Config.Log.Warn("temporary files of a transfer stay in the sandbox", "path", t.stage, "error", cleanErr)
		t.Note("temporary files could not be removed from " + t.stage + "; a later upload removes them after a day")
	}
	t.tell(true)
	t.mu.Lock()
	failed := t.now.Failed.Count
	t.mu.Unlock()
	switch {
	case err != nil:
		t.End(runs.StatusFailed, err)
	case failed > 0:
		t.End(runs.StatusFailed, fmt.Errorf("%d files could not be transferred; the rest is in place, and the same call made again sends only what is missing", failed))
	default:
		t.End(runs.StatusCompleted, nil)
	}
}

// isInterrupted reports whether the server closes: then the temporary files are
// for who takes the transfer up.
func (t *transfer) isInterrupted(ctx context.Context) bool {
	return ctx.Err() != nil && t.Status() != runs.StatusCancelled
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
	if !always && now.Sub(t.announced) < tellEvery {
		return
	}
	t.announced = now
	shown := t.now
	verb := "uploaded"
	if t.state.Kind == runs.KindDownload {
		verb = "downloaded"
	}
	text := fmt.Sprintf("status: %s %d of %d files, %s of %s", verb, shown.Files, shown.TotalFiles, amount(shown.Bytes), amount(shown.TotalBytes))
	t.Change(func() {
		t.shown = &shown
		// Who comes later wants the newest count, not the story of all.
		t.ReplaceLines(text)
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
	return t.s.cfg.AllowPath == nil || t.s.cfg.AllowPath(path.Join(t.state.Remote, name)) == nil
}

const notAllowed = "its path on the instance is not allowed by this server's configuration"

// name makes a name for a temporary file of this process.
func (t *transfer) name() string { return fmt.Sprintf("b%s-%d", t.tag, t.number.Add(1)) }

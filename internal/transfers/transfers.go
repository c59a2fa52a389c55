// Package transfers moves files and trees of files between this machine and an
// instance, as runs. What is in place already is not moved again, so that a
// transfer that was cut off is taken up by doing it once more.
//
// .gitignore files are matched by code of our own: a glob library matches one
// pattern, and git's rules are about nested files, folders and exceptions, too.
package transfers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"openclaw-mcp/client"
	"openclaw-mcp/internal/runs"
)

// Config is what a Service works with.
type Config struct {
	// Roots are the folders of this machine that transfers may touch; none: there
	// are no transfers, and their handles are not taken up.
	Roots []string
	// AllowPath reports why a transfer may not touch a path of an instance; nil:
	// it may touch all.
	AllowPath func(path string) error
}

// Service starts transfers, and takes them up from their handles.
type Service struct {
	m      *runs.Manager
	c      *client.Client
	cfg    Config
	timing timing
	mu     sync.Mutex // held while a transfer is looked for and started
}

// timing is the pauses and patience of a service, which tests shorten.
type timing struct {
	pollMin, pollMax time.Duration // of the pauses between two tries; pollMax is a fifth of the longest
	giveUp           time.Duration // how long a service that answers nothing useful is asked again
}

var defaultTiming = timing{pollMin: 100 * time.Millisecond, pollMax: 3 * time.Second, giveUp: 15 * time.Minute}

// New makes the service, and registers it with the manager.
func New(m *runs.Manager, cfg Config) *Service {
	s := &Service{m: m, c: m.Config.Client, cfg: cfg, timing: defaultTiming}
	m.Register(runs.Family{Open: s.open}, runs.KindUpload, runs.KindDownload)
	return s
}

// Request is a file or a tree of files to be moved between this machine and an
// instance. Of a tree, what is in the one folder comes to be in the other; what
// else is there stays.
type Request struct {
	Instance string
	Local    string // absolute, or relative to the only transfer root
	Remote   string // absolute; with a slash at its end, a folder
	Keep     bool   // leave alone what exists at the destination
	All      bool   // take, too, what .gitignore files leave out, and .git
	Inside   bool   // upload: keep temporary files within Remote, not beside it
	Agreed   string // download: Transfer.HeldDigest of what may be written although it would run here
}

// Transfer is Update.Result of a transfer: how far it has come.
type Transfer struct {
	Local, Remote string

	Files, TotalFiles int   // that are in place, and that there are; links count
	Bytes, TotalBytes int64 // of those
	Unchanged         int   // of Files, how many were there before
	Ignored           int   // left out by .gitignore files, a folder as one
	Skipped, Failed   Listing
	Held              Listing // not written, since it would run on this machine; names are those here
	HeldIn            string  // the folder of this machine that they go into
	HeldDigest        string  // of where they are from, where they go, and their contents
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
		return runs.Clip(fmt.Sprintf("%q", name))
	}
	return runs.Clip(name)
}

const (
	// partSize is how many bytes go in one request: as base64, with the JSON
	// around it, they stay under 1 MiB, which is the limit of many a proxy. It
	// can be halved four times; then a part fits into a command, and three times more
	// for services that take or give only some KiB.
	partSize    = 704 << 10
	inlinePart  = partSize >> 4
	minPartSize = partSize >> 7
	maxParallel = 4 // requests of one transfer under way at once

	maxEntries  = 200_000 // files, links and folders of one transfer
	maxPathText = 2000    // bytes of both paths, which every handle carries

	groupEntries = 400      // entries asked for or sent together,
	groupNames   = 40 << 10 // and the bytes of their names, which go in a command
)

// stagePrefix is how the folders of temporary files are called on either side.
// What is called like that is never transferred.
const stagePrefix = ".openclaw-mcp-"

// Start moves files: from this machine for KindUpload, to it for KindDownload. A
// call that repeats one that is under way joins it, with joined saying so.
func (s *Service) Start(ctx context.Context, kind runs.Kind, req Request) (run runs.Run, joined string, err error) {
	s.m.Sweep()
	h := runs.NewState(kind, req.Instance)
	st := state{Kind: kind, ID: h.ID, Instance: req.Instance, Remote: path.Clean(req.Remote), Agreed: req.Agreed}
	if strings.HasSuffix(req.Remote, "/") && st.Remote != "/" {
		st.Remote += "/"
	}
	for option, set := range map[options]bool{optionKeep: req.Keep, optionAll: req.All, optionInside: req.Inside, optionAgreed: req.Agreed != ""} {
		if set {
			st.Options |= option
		}
	}
	if !path.IsAbs(req.Remote) || strings.ContainsRune(req.Remote, 0) || !utf8.ValidString(req.Remote) {
		return nil, "", fmt.Errorf("the remote path %q must be absolute, and UTF-8 text without NUL characters", req.Remote)
	}
	if st.Local, err = absoluteLocal(s.cfg.Roots, req.Local); err != nil {
		return nil, "", err
	}
	if len(st.Local)+len(st.Remote) > maxPathText {
		return nil, "", badLocal("the two paths together are longer than %d bytes", maxPathText)
	}
	if _, _, err := findRoot(s.cfg.Roots, st.Local); err != nil {
		return nil, "", err
	}
	if kind == runs.KindUpload {
		if err := checkSource(s.cfg.Roots, st.Local); err != nil {
			return nil, "", err
		}
	}
	h.Own = st.own()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, other := range s.m.All() {
		t, ok := other.Work().(*transfer)
		same := st
		if same.ID = other.State().ID; ok && t.state == same && !other.Status().Over() {
			return other.Reader(runs.State{}), joinedTransfer, nil
		}
	}
	c, other := s.claim(ctx, h, st)
	if other != nil {
		return other, joinedTransfer, nil
	}
	if c != nil {
		h.ID, st.ID = c.State.ID, c.State.ID
	}
	t := s.newTransfer(s.m.NewLive(h), st)
	if err := s.m.Start(ctx, t.Live, t, func(ctx context.Context) {
		t.Resume(ctx)
		if c != nil && t.Status().Over() {
			s.m.LetGo(ctx, c)
		}
	}); err != nil {
		return nil, "", err
	}
	return t.Reader(runs.State{}), "", nil
}

// open takes a transfer up. A handle is checked by the folders that this process
// allows, whatever the one that made it did.
func (s *Service) open(h runs.State) (runs.Run, error) {
	st, err := stateOf(h)
	if err != nil {
		return nil, err
	}
	if _, _, err := findRoot(s.cfg.Roots, st.Local); err != nil {
		return nil, err
	}
	l, err := s.m.TakeUp(h, func(l *runs.Live) runs.Work { return s.newTransfer(l, st) })
	if err != nil {
		return nil, err
	}
	return l.Reader(h), nil
}

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

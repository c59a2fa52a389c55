// Package files is a fleet of the processes of one user on one machine: facts are
// files, and each process that serves or hears anything has a socket. Nothing runs
// beside them, and what a process that was killed leaves behind is cleared away by
// the next one that comes across it.
package files

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	mrand "math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"time"

	"openclaw-mcp/internal/fleet"
)

const (
	// lockPatience is how long to wait for another process that writes facts, which
	// takes a millisecond unless it is stopped just then.
	lockPatience = 5 * time.Second
	// sweepEvery is how often old facts are cleared away.
	sweepEvery = time.Hour
	// versionSize is how many random bytes say which writing of a fact it is.
	versionSize = 16
)

var errHeld = errors.New("another process has it")

// Fleet is the processes that share one folder.
type Fleet struct {
	dir     string
	id      string        // of this process, as its socket is called
	local   *fleet.Memory // what this process itself serves and hears
	sockets               // how the others reach it

	mu    sync.Mutex
	swept time.Time
}

// Open joins the processes that share a folder, which is made where it is not there.
// It fails where the folder can't be used or belongs to somebody else.
func Open(dir string) (*Fleet, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	f := &Fleet{dir: dir, id: rand.Text()[:10], local: fleet.Alone()}
	f.sockets.init(f)
	if err := f.prepare(); err != nil {
		return nil, err
	}
	return f, nil
}

// prepare makes the folders.
func (f *Fleet) prepare() error {
	if err := ownFolder(f.dir); err != nil {
		return err
	}
	for _, sub := range []string{"facts", "locks"} {
		if err := ownFolder(filepath.Join(f.dir, sub)); err != nil {
			return err
		}
	}
	return nil
}

// ownFolder makes a folder that is this user's alone.
func ownFolder(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	st, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	if !st.IsDir() {
		return fmt.Errorf("%s is not a folder", dir)
	}
	return checkOwner(dir, st)
}

// fileOf is the file of a fact: names may hold anything.
func (f *Fleet) fileOf(name string) string { return filepath.Join(f.dir, "facts", fleet.Address(name)) }

// read gives a fact as it stands in its file.
func (f *Fleet) read(name string) (fleet.Fact, bool, error) {
	file, err := os.Open(f.fileOf(name))
	if errors.Is(err, fs.ErrNotExist) {
		return fleet.Fact{}, false, nil
	}
	if err != nil {
		return fleet.Fact{}, false, away(err)
	}
	defer file.Close()
	st, err := file.Stat()
	if err != nil {
		return fleet.Fact{}, false, away(err)
	}
	var b bytes.Buffer
	if _, err := b.ReadFrom(file); err != nil {
		return fleet.Fact{}, false, away(err)
	}
	// A file without a version was cut by a power failure: it never said anything.
	if b.Len() < versionSize || time.Since(st.ModTime()) >= fleet.Day {
		return fleet.Fact{}, false, nil
	}
	version := string(b.Next(versionSize))
	return fleet.NewFact(name, b.Bytes(), version), true, nil
}

// write puts a fact in its file; the fact's lock is held.
func (f *Fleet) write(name string, value []byte) (fleet.Fact, error) {
	version := rand.Text()[:versionSize]
	path := f.fileOf(name)
	tmp := path + "." + f.id + ".tmp" // one at a time: the lock is held
	err := os.WriteFile(tmp, append([]byte(version), value...), 0o600)
	if err == nil {
		err = os.Rename(tmp, path)
	}
	if err != nil {
		_ = os.Remove(tmp)
		return fleet.Fact{}, away(err)
	}
	return fleet.NewFact(name, bytes.Clone(value), version), nil
}

// locked runs do while no other process writes the fact.
func (f *Fleet) locked(ctx context.Context, name string, do func() error) error {
	ctx, cancel := context.WithTimeout(ctx, lockPatience)
	defer cancel()
	path := filepath.Join(f.dir, "locks", fleet.Address(name)[:2]) // kept: a lock file that is removed locks nothing
	for made := false; ; {
		lock, err := tryLock(path)
		switch {
		case err == nil:
			defer lock.Close()
			return do()
		case errors.Is(err, errHeld):
		case errors.Is(err, fs.ErrNotExist) && !made: // somebody cleared the folder away
			made = true
			if err := f.prepare(); err != nil {
				return away(err)
			}
			continue
		default:
			return away(err)
		}
		select {
		case <-time.After(time.Duration(100+mrand.IntN(1900)) * time.Microsecond):
		case <-ctx.Done():
			return away(fmt.Errorf("another process has the lock %s: %w", path, ctx.Err()))
		}
	}
}

func away(err error) error { return fmt.Errorf("%w: %w", fleet.ErrAway, err) }

// Find implements [fleet.Fleet].
func (f *Fleet) Find(_ context.Context, name string) (fleet.Fact, bool, error) { return f.read(name) }

// Create implements [fleet.Fleet].
func (f *Fleet) Create(ctx context.Context, name string, value []byte) (fact fleet.Fact, ours bool, err error) {
	f.sweep()
	err = f.locked(ctx, name, func() error {
		var found bool
		if fact, found, err = f.read(name); found || err != nil {
			return err
		}
		ours = true
		fact, err = f.write(name, value)
		return err
	})
	return fact, ours && err == nil, err
}

// Change implements [fleet.Fleet].
func (f *Fleet) Change(ctx context.Context, fact fleet.Fact, value []byte) (changed fleet.Fact, err error) {
	err = f.locked(ctx, fact.Name, func() error {
		now, found, err := f.read(fact.Name)
		if err != nil {
			return err
		}
		if !found || now.Version() != fact.Version() {
			return fleet.ErrChanged
		}
		changed, err = f.write(fact.Name, value)
		return err
	})
	return changed, err
}

// Forget implements [fleet.Fleet].
func (f *Fleet) Forget(ctx context.Context, fact fleet.Fact) error {
	return f.locked(ctx, fact.Name, func() error {
		now, found, err := f.read(fact.Name)
		if err != nil {
			return err
		}
		if found && now.Version() != fact.Version() {
			return fleet.ErrChanged
		}
		if err := os.Remove(f.fileOf(fact.Name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return away(err)
		}
		return nil
	})
}

// sweep clears away facts that are over, and what killed processes were writing.
func (f *Fleet) sweep() {
	f.mu.Lock()
	now := time.Now()
	due := now.Sub(f.swept) > sweepEvery
	if due {
		f.swept = now
	}
	f.mu.Unlock()
	if !due {
		return
	}
	entries, err := os.ReadDir(filepath.Join(f.dir, "facts"))
	if err != nil {
		return // it is only tidying
	}
	for _, e := range entries {
		// Well after the day: nobody is about to write it again, so no lock is needed.
		if st, err := e.Info(); err == nil && now.Sub(st.ModTime()) > fleet.Day+sweepEvery {
			_ = os.Remove(filepath.Join(f.dir, "facts", e.Name()))
		}
	}
	f.clear()
}

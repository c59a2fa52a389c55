// Package emulator is an embedded service that is compatible with OpenClaw as
// a Service: real instances with real workspaces, shell commands and files on
// this machine, and an agent that answers offline or by a language model.
//
// It serves two purposes. A newcomer can try the bridge without an account, and
// the tests of the bridge have a service to talk to: package emulatortest adds
// the other forms that answers may have, and faults on demand.
//
// The package imports nothing of the bridge and has wire structs of its own, so
// that a wrong JSON tag in the client cannot cancel itself out here.
//
// Commands are not confined. Where Linux allows it they run in a private mount
// and process namespace, which gives them a real /workspace, a /tmp of their
// own and processes that end with the instance; the rest of the machine stays
// reachable with the rights of this process. It is a convenience, not a
// security boundary.
package emulator

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// SandboxMode says whether commands get a namespace of their own.
type SandboxMode string

// The sandbox modes.
const (
	SandboxAuto SandboxMode = "auto" // a private namespace where the system allows it
	SandboxOff  SandboxMode = "off"  // always plain processes in the workspace directory
)

// Options configure a Server. The zero value works.
type Options struct {
	// Dir is the parent of the workspaces, one folder per instance. Instances,
	// sessions and messages are kept there too, and a later server goes on with
	// them; one server at a time can have it. "" = a temporary directory removed
	// on Close.
	Dir    string
	Keys   []string // accepted bearer keys; empty = any non-empty key, each its own user
	OwnKey bool     // also accept the key that Server.Key gives; it is kept in Dir

	Pace          time.Duration // pause after each text increment of a reply (0 = none)
	CreateDelay   time.Duration // how long a new instance is creating before it is ready
	RebootDelay   time.Duration // how long a reboot takes; 0 = a quarter of CreateDelay
	Heartbeat     time.Duration // silence after which a stream gets a heartbeat; 0 = 15 s
	TerminalGrace time.Duration // how long a shell waits for its client to come back after a broken connection; 0 = it ends at once

	InviteCode    string // when set, creating an instance needs it (403 otherwise)
	Capacity      int    // most instances per key that are not stopped (0 = 16); beyond: 503
	MaxExecOutput int64  // bytes kept of each of stdout and stderr of one exec; 0 = 256 MiB
	Sandbox       SandboxMode
	Path          string // PATH of commands; "" = the usual folders
	VNC           string // host:port, or path of a socket, of a VNC server that is the desktop of all instances; "" = an Xvnc for each where one is installed
	Agent         Agent  // nil = the built-in offline agent
	Clock         func() time.Time
	Logger        *slog.Logger
}

func (o Options) withDefaults() (Options, error) {
	switch o.Sandbox {
	case "":
		o.Sandbox = SandboxAuto
	case SandboxAuto, SandboxOff:
	default:
		return o, fmt.Errorf("local instance: unknown sandbox mode %q", o.Sandbox)
	}
	if o.RebootDelay == 0 {
		o.RebootDelay = o.CreateDelay / 4
	}
	if o.Heartbeat <= 0 {
		o.Heartbeat = 15 * time.Second
	}
	if o.Capacity <= 0 {
		o.Capacity = 16
	}
	if o.MaxExecOutput <= 0 {
		o.MaxExecOutput = 256 << 20
	}
	if o.Agent == nil {
		o.Agent = OfflineAgent()
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o, nil
}

// Server is the emulated service. It is safe for concurrent use.
type Server struct {
	opts    Options
	routes  []route
	sandbox sandbox
	scratch string // always ours, removed on Close
	dir     string // parent of the workspaces
	key     string // of Options.OwnKey

	ctx    context.Context // ends on Close
	cancel context.CancelFunc
	work   sync.WaitGroup // replies and commands, which outlive their requests

	shells   shellSet
	desktops desktops

	mu        sync.Mutex // guards the rest, and all instances and sessions
	journal   *journal   // nil: nothing is kept
	closed    bool
	instances []*instance
}

// New makes a server. It starts no process before the first command, and
// accepts requests at once. The error is ErrInUse, after a moment, when another
// server has Options.Dir.
func New(opts Options) (*Server, error) {
	opts, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	scratch, err := os.MkdirTemp("", "openclaw-emulator-")
	if err != nil {
		return nil, fmt.Errorf("local instance: a folder for temporary files must be writable (TMPDIR names another): %w", err)
	}
	dir := opts.Dir
	if dir == "" {
		dir = filepath.Join(scratch, "instances")
	}
	if dir, err = filepath.Abs(dir); err == nil {
		err = os.MkdirAll(dir, 0o755)
	}
	if err != nil {
		os.RemoveAll(scratch)
		return nil, fmt.Errorf("local instance: %w", err)
	}
	s := &Server{opts: opts, scratch: scratch, dir: dir}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.sandbox.init(opts.Sandbox, scratch, opts.Logger)
	s.routes = s.table()
	if err := s.open(); err != nil {
		s.cancel()
		return nil, fmt.Errorf("local instance: %w", errors.Join(err, s.release()))
	}
	return s, nil
}

// open takes up what an earlier server left in the folder.
func (s *Server) open() (err error) {
	if s.opts.Dir != "" {
		if s.journal, err = openJournal(s.dir, s.restore); err != nil {
			return err
		}
	}
	if s.opts.OwnKey {
		if s.key = newKey(); s.journal != nil {
			if s.key, err = ownKey(s.dir); err != nil {
				return err
			}
		}
		s.opts.Keys = append(slices.Clone(s.opts.Keys), s.key)
	}
	s.resumeLocked()
	return nil
}

// release gives back what a server holds on to.
func (s *Server) release() error {
	var errs []error
	for _, in := range s.instances {
		errs = append(errs, in.files.Close())
	}
	if s.journal != nil {
		errs = append(errs, s.journal.close())
	}
	return errors.Join(append(errs, os.RemoveAll(s.scratch))...)
}

// Key gives the server's own key; "" without Options.OwnKey.
func (s *Server) Key() string { return s.key }

// Instances gives the ids of all instances of a key, oldest first.
func (s *Server) Instances(key string) (ids []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, in := range s.instances {
		if in.owner == s.ownerOf(key) {
			ids = append(ids, in.id)
		}
	}
	return ids
}

// Close stops every reply, stream and process of the server and removes its
// temporary files; what is under Options.Dir stays. Requests that come later
// get 503. It waits for replies to end, so an Agent has to honour its context.
func (s *Server) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	instances := s.instances
	for _, in := range instances {
		in.setStatusLocked(statusStopped, s.opts.Clock())
	}
	s.mu.Unlock()

	s.cancel()
	for _, in := range instances {
		in.powerOff()
	}
	s.shells.dropAll()
	s.work.Wait()
	for _, in := range instances {
		// Again, for what a command started while it was being stopped.
		in.powerOff()
	}
	return s.release()
}

// AddInstance makes an instance for a key that is ready at once, whatever the
// options say about delay, invitation and capacity.
func (s *Server) AddInstance(key string) (id string, err error) {
	in, err := s.addInstance(key, 0, 0)
	if err != nil {
		return "", err
	}
	return in.id, nil
}

// Messages gives the history of a session as stored, oldest first; nil if
// there is no such instance or session.
func (s *Server) Messages(instance, session string) []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	in := s.findLocked(instance)
	if in == nil {
		return nil
	}
	if sess := in.sessionLocked(session); sess != nil {
		return append([]Message(nil), sess.messages...)
	}
	return nil
}

// Workspace gives the directory of this machine that is /workspace of an
// instance; "" if there is no such instance.
func (s *Server) Workspace(instance string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if in := s.findLocked(instance); in != nil {
		return in.workspace
	}
	return ""
}

// SandboxInfo says in one line how commands run, and why.
func (s *Server) SandboxInfo() string {
	s.mu.Lock()
	instances := s.instances
	s.mu.Unlock()
	// The namespace of an instance shows it, and its first command needs that anyway.
	for _, in := range instances {
		if _, err := in.machine.prepare(); err == nil {
			break
		}
	}
	return s.sandbox.info(s.ctx)
}

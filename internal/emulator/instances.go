package emulator

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// Status words of an instance.
const (
	statusCreating  = "creating"
	statusRebooting = "rebooting"
	statusReady     = "ready"
	statusStopped   = "stopped"
)

// instance is one emulated machine. Server.mu guards the fields of the second
// group; those of the first do not change.
type instance struct {
	id        string
	owner     string // by ownerOf
	sandboxID string
	workspace string // directory of this machine
	files     *os.Root
	machine   *machine
	created   time.Time

	status   string
	updated  time.Time
	timer    *time.Timer     // makes it ready
	life     context.Context // of the replies; ends when the power goes
	endLife  context.CancelFunc
	sessions []*session // oldest first
}

var errNoCapacity = &failure{http.StatusServiceUnavailable, "no_capacity",
	"No capacity; shut an instance down or try later"}

// findLocked gives an instance by its id, or nil.
func (s *Server) findLocked(id string) *instance {
	for _, in := range s.instances {
		if in.id == id {
			return in
		}
	}
	return nil
}

// setStatusLocked moves to another status. Leaving ready ends the replies.
func (in *instance) setStatusLocked(status string, now time.Time) {
	if in.timer != nil {
		in.timer.Stop()
		in.timer = nil
	}
	if status != statusReady {
		in.endLife()
	}
	in.status, in.updated = status, now
}

// bootLocked makes the instance ready after a delay, with pending as its
// status until then.
func (s *Server) bootLocked(in *instance, pending string, delay time.Duration) {
	in.setStatusLocked(pending, s.opts.Clock())
	in.life, in.endLife = context.WithCancel(s.ctx)
	in.machine.start(in.life)
	if delay <= 0 {
		in.status = statusReady
		return
	}
	var timer *time.Timer
	timer = time.AfterFunc(delay, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if in.timer == timer { // not rebooted or stopped meanwhile
			in.timer = nil
			in.status, in.updated = statusReady, s.opts.Clock()
		}
	})
	in.timer = timer
}

// powerOff ends all processes of the instance. It must not hold Server.mu: it
// waits for them.
func (in *instance) powerOff() { in.machine.stop() }

// addInstance makes an instance that is ready after a delay, unless the key has
// as many as its capacity; 0 means no limit.
func (s *Server) addInstance(key string, delay time.Duration, capacity int) (*instance, error) {
	in := &instance{id: newID(), owner: s.ownerOf(key), sandboxID: "sbx_" + newID()[:8], created: s.opts.Clock()}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, errors.New("local instance: closed")
	}
	on := 0
	for _, other := range s.instances {
		if other.owner == in.owner && other.status != statusStopped {
			on++
		}
	}
	if capacity > 0 && on >= capacity {
		return nil, errNoCapacity
	}
	if err := s.openInstanceLocked(in); err != nil {
		return nil, fmt.Errorf("local instance: %w", err)
	}
	s.keepLocked(record{Instance: &instanceRecord{ID: in.id, Owner: in.owner, SandboxID: in.sandboxID, Created: in.created}})
	s.bootLocked(in, statusCreating, delay)
	s.instances = append(s.instances, in)
	return in, nil
}

// openInstanceLocked gives an instance its workspace and its machine, which is
// off.
func (s *Server) openInstanceLocked(in *instance) (err error) {
	in.workspace = filepath.Join(s.dir, in.id)
	if err := os.MkdirAll(in.workspace, 0o755); err != nil {
		return err
	}
	if in.files, err = os.OpenRoot(in.workspace); err != nil {
		return err
	}
	tmp := filepath.Join(s.scratch, "tmp-"+in.id)
	if s.opts.Dir != "" {
		// Clients leave there what they want to find again after a restart.
		tmp = filepath.Join(s.dir, stateDir, "tmp", in.id)
	}
	in.machine = newMachine(&s.sandbox, in.id, in.workspace, tmp)
	if s.opts.Path != "" {
		in.machine.path = []string{"PATH=" + s.opts.Path}
	}
	in.endLife = func() {}
	return nil
}

func (s *Server) listInstances(c *call) {
	s.mu.Lock()
	list := []object{}
	for _, in := range s.instances {
		if in.owner == s.ownerOf(c.key) {
			list = append(list, s.instanceWireLocked(in))
		}
	}
	s.mu.Unlock()
	s.reply(c.w, http.StatusOK, list)
}

func (s *Server) createInstance(c *call) {
	var body struct {
		InviteCode string `json:"invite_code"`
	}
	if !s.body(c, &body) {
		return
	}
	if s.opts.InviteCode != "" && body.InviteCode != s.opts.InviteCode {
		s.fail(c.w, http.StatusForbidden, "forbidden", "An active subscription or an invite code is needed")
		return
	}
	in, err := s.addInstance(c.key, s.opts.CreateDelay, s.opts.Capacity)
	if errors.Is(err, errNoCapacity) {
		c.w.Header().Set("Retry-After", "30")
	}
	if err != nil {
		s.failWith(c.w, err)
		return
	}
	s.reply(c.w, http.StatusCreated, s.instanceWire(in))
}

func (s *Server) getInstance(c *call) {
	s.reply(c.w, http.StatusOK, s.instanceWire(c.in))
}

func (s *Server) instanceStatus(c *call) {
	s.mu.Lock()
	status, updated := c.in.status, c.in.updated
	s.mu.Unlock()
	s.reply(c.w, http.StatusOK, object{"id": c.in.id, "status": status, "updated_at": stamp(updated)})
}

func (s *Server) rebootInstance(c *call) {
	var body struct{}
	if !s.body(c, &body) {
		return
	}
	s.mu.Lock()
	if c.in.status == statusCreating {
		s.mu.Unlock()
		s.failWith(c.w, notReady(statusCreating))
		return
	}
	// Not ready while the processes are being ended, so that no command starts
	// among them.
	c.in.setStatusLocked(statusRebooting, s.opts.Clock())
	s.mu.Unlock()
	c.in.powerOff()
	s.mu.Lock()
	if !s.closed && c.in.status == statusRebooting {
		s.bootLocked(c.in, statusRebooting, s.opts.RebootDelay)
		s.keepLocked(record{Power: &powerRecord{Instance: c.in.id, On: true}})
	}
	s.mu.Unlock()
	s.reply(c.w, http.StatusOK, s.instanceWire(c.in))
}

func (s *Server) shutdownInstance(c *call) {
	var body struct{}
	if !s.body(c, &body) {
		return
	}
	s.mu.Lock()
	if c.in.status != statusStopped {
		c.in.setStatusLocked(statusStopped, s.opts.Clock())
		s.keepLocked(record{Power: &powerRecord{Instance: c.in.id}})
	}
	s.mu.Unlock()
	c.in.powerOff()
	s.reply(c.w, http.StatusOK, s.instanceWire(c.in))
}

// notReady is the answer to work for an instance that is not on.
func notReady(status string) error {
	return &failure{http.StatusConflict, "not_ready", "The instance is " + status + ", not ready"}
}

// ready refuses a request unless its instance is ready.
func (s *Server) ready(c *call) bool {
	s.mu.Lock()
	status := c.in.status
	s.mu.Unlock()
	if status != statusReady {
		s.failWith(c.w, notReady(status))
		return false
	}
	return true
}

func (s *Server) instanceWire(in *instance) object {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.instanceWireLocked(in)
}

func (s *Server) instanceWireLocked(in *instance) object {
	return object{"id": in.id, "status": in.status, "sandbox_id": in.sandboxID,
		"created_at": stamp(in.created), "updated_at": stamp(in.updated)}
}

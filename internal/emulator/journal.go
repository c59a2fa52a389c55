package emulator

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// ErrInUse says that another server has Options.Dir.
var ErrInUse = errors.New("the folder is in use by another process")

const (
	stateDir    = ".openclaw" // within Options.Dir, for us alone
	journalName = "journal.jsonl"
	keyName     = "key"
	lockName    = "lock"

	// lockPatience is for a client that starts a new server before its old one
	// has ended.
	lockPatience = 2 * time.Second
)

// journal keeps instances, sessions and messages under Options.Dir: a file to
// which each change is appended as a line of JSON. What was written survives
// the end of the process in whatever way; of a line that was cut off by it, the
// change is lost. Server.mu guards it.
type journal struct {
	lock *os.File
	file *os.File
	size int64 // of the whole lines
}

// record is a line of the journal: one of its fields is set.
type record struct {
	Instance *instanceRecord `json:"instance,omitempty"`
	Power    *powerRecord    `json:"power,omitempty"`
	Session  *sessionRecord  `json:"session,omitempty"`
	Message  *messageRecord  `json:"message,omitempty"`
}

type instanceRecord struct {
	ID        string    `json:"id"`
	Owner     string    `json:"owner"`
	SandboxID string    `json:"sandbox_id"`
	Created   time.Time `json:"created"`
}

type powerRecord struct {
	Instance string `json:"instance"`
	On       bool   `json:"on"`
}

type sessionRecord struct {
	Instance string    `json:"instance"`
	ID       string    `json:"id"`
	Title    string    `json:"title,omitempty"`
	Created  time.Time `json:"created"`
}

// messageRecord has the fields of Message.
type messageRecord struct {
	ID         string         `json:"id"`
	SessionID  string         `json:"session_id"`
	Role       string         `json:"role"`
	Text       string         `json:"text"`
	CreatedAt  time.Time      `json:"created_at"`
	ToolCallID string         `json:"tool_call_id,omitempty"`
	ToolName   string         `json:"tool_name,omitempty"`
	ToolArgs   map[string]any `json:"tool_args,omitempty"`
	IsError    bool           `json:"is_error,omitempty"`
	StopReason string         `json:"stop_reason,omitempty"`
	Error      string         `json:"error,omitempty"`
}

// openJournal takes the folder for this process and opens its journal. It calls
// each for the records there are, oldest first.
func openJournal(dir string, each func(record) error) (_ *journal, err error) {
	state := filepath.Join(dir, stateDir)
	if err := os.MkdirAll(state, 0o700); err != nil {
		return nil, err
	}
	j := &journal{}
	defer func() {
		if err != nil {
			j.close()
		}
	}()
	for begin := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		if j.lock, err = lockFile(filepath.Join(state, lockName)); err == nil {
			break
		}
		if !errors.Is(err, ErrInUse) || time.Since(begin) > lockPatience {
			return nil, fmt.Errorf("%s: %w", dir, err)
		}
	}
	name := filepath.Join(state, journalName)
	if j.file, err = os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600); err != nil {
		return nil, err
	}
	in := bufio.NewReader(j.file)
	for number := 1; ; number++ {
		line, err := in.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			// What is left is a line that was cut off, if anything.
			return j, j.file.Truncate(j.size)
		}
		if err != nil {
			return nil, err
		}
		var r record
		err = json.Unmarshal(line, &r)
		if err == nil {
			err = each(r)
		}
		if err != nil {
			return nil, fmt.Errorf("%s, line %d: %w; repair or remove the file", name, number, err)
		}
		j.size += int64(len(line))
	}
}

// append adds a record. After an error the journal is as before.
func (j *journal) append(r record) error {
	line, err := json.Marshal(r)
	if err != nil {
		return err
	}
	line = append(line, '\n')
	if _, err := j.file.WriteAt(line, j.size); err != nil {
		return errors.Join(err, j.file.Truncate(j.size))
	}
	j.size += int64(len(line))
	return nil
}

func (j *journal) close() error {
	var errs []error
	for _, f := range []*os.File{j.file, j.lock} {
		if f != nil {
			errs = append(errs, f.Close())
		}
	}
	return errors.Join(errs...)
}

// keepLocked notes a change, where changes are kept. The service goes on in
// memory when that fails: a full disk must not stop a reply half way.
func (s *Server) keepLocked(r record) {
	if s.journal == nil {
		return
	}
	if err := s.journal.append(r); err != nil {
		s.opts.Logger.Error("local instance: a change will not survive a restart", "err", err)
	}
}

// restore takes a record of an earlier process up.
func (s *Server) restore(r record) error {
	switch {
	case r.Instance != nil:
		i := r.Instance
		// The id names a folder, so that it must not be a path.
		if !isID(i.ID) {
			return fmt.Errorf("%q is not an instance id", i.ID)
		}
		in := &instance{id: i.ID, owner: i.Owner, sandboxID: i.SandboxID, created: i.Created}
		if err := s.openInstanceLocked(in); err != nil {
			return err
		}
		in.status, in.updated = statusReady, i.Created
		s.instances = append(s.instances, in)
	case r.Power != nil:
		in := s.findLocked(r.Power.Instance)
		if in == nil {
			return fmt.Errorf("there is no instance %q", r.Power.Instance)
		}
		in.status = statusStopped
		if r.Power.On {
			in.status = statusReady
		}
	case r.Session != nil:
		in := s.findLocked(r.Session.Instance)
		if in == nil {
			return fmt.Errorf("there is no instance %q", r.Session.Instance)
		}
		in.sessions = append(in.sessions, &session{id: r.Session.ID, title: r.Session.Title, created: r.Session.Created,
			updated: r.Session.Created, changed: make(chan struct{})})
	case r.Message != nil:
		m := Message(*r.Message)
		for _, in := range s.instances {
			if sess := in.sessionLocked(m.SessionID); sess != nil {
				sess.messages, sess.updated = append(sess.messages, m), m.CreatedAt
				return nil
			}
		}
		return fmt.Errorf("there is no session %q", m.SessionID)
	default:
		return errors.New("this version does not know what it says")
	}
	return nil
}

// isID says whether an id could be one that newID gives.
func isID(id string) bool { return len(id) == 36 && strings.Trim(id, "0123456789abcdef-") == "" }

// resumeLocked turns restored instances on, and ends the replies that the
// earlier process left unfinished, for else they would be waited for for ever.
func (s *Server) resumeLocked() {
	for _, in := range s.instances {
		if in.status == statusReady {
			s.bootLocked(in, statusCreating, 0)
		}
		for _, sess := range in.sessions {
			open := 0
			for _, m := range sess.messages {
				switch m.Role {
				case roleUser:
					open++
				case roleAssistant:
					open--
				}
			}
			for range open {
				s.addMessageLocked(sess, Message{Role: roleAssistant, StopReason: stopAborted,
					Error: "The service was restarted during the reply"})
			}
		}
	}
}

// ownKey gives the key that is kept in a folder, and makes it at the first need.
func ownKey(dir string) (string, error) {
	name := filepath.Join(dir, stateDir, keyName)
	b, err := os.ReadFile(name)
	if errors.Is(err, os.ErrNotExist) {
		key := newKey()
		// Whole or not at all, whenever the process ends.
		if err = os.WriteFile(name+".new", []byte(key+"\n"), 0o600); err == nil {
			err = os.Rename(name+".new", name)
		}
		return key, err
	}
	if err != nil {
		return "", err
	}
	key := string(bytes.TrimSpace(b))
	if !strings.HasPrefix(key, keyPrefix) || len(key) < len(newKey()) || strings.ContainsAny(key, " \t\r\n") {
		return "", fmt.Errorf("%s has no key in it; remove the file to get a new one", name)
	}
	return key, os.Chmod(name, 0o600)
}

const keyPrefix = "local-"

func newKey() string { return keyPrefix + rand.Text() }

// ownerOf names the user that a key belongs to. The key itself is not kept, and
// who makes a new own key still has the instances of the old one.
func (s *Server) ownerOf(key string) string {
	if s.key != "" && key == s.key {
		return "own"
	}
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:])
}

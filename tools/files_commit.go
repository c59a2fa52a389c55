package tools

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	"openclaw-mcp/client"
	"openclaw-mcp/internal/sandbox"
)

const (
	// inlineLimit is how much content travels in a script itself: the system
	// takes 128 KiB as one argument, of which base64 and the script need their
	// part.
	inlineLimit = 64 << 10

	// stageLimit is how much content, a multiple of 3, goes into one staged
	// part.
	stageLimit = 3 << 20
)

// change is a change of a file that is made as a whole or not at all.
type change struct {
	mode  string // overwrite, create, append
	match string // SHA-256 that the file must have, "" for any
	data  string
	exec  bool // make the file executable for those who may read it
}

// changed is what became of a change.
type changed struct {
	size  int64
	hash  string
	found bool // by looking, since the report was lost
}

// conflict says that a file is not what a change was meant for.
type conflict struct{ current string } // its SHA-256, "none" where there is no file

func (e *conflict) Error() string {
	if e.current == "none" {
		return "there is no such file now"
	}
	return "the file has different content now, with the SHA-256 " + e.current
}

// commit makes a change; a *noScript says that it can't be made here. The content goes into a hidden file beside the target
// first, by way of the script where it is short, else in parts through
// files/write; a script then puts them together, checks the result, and under a
// lock that all scripts share compares and renames.
func (r *request) commit(ctx context.Context, id string, p filePath, c change) (changed, error) {
	if !p.inside() {
		return changed{}, refusal(sandbox.Report{Verb: "outside"}, p)
	}
	name := ".openclaw-mcp-" + rand.Text()[:12]
	if len(c.data) <= inlineLimit {
		done, err := r.runCommit(ctx, id, p, c, c.script(p, name, sandbox.Encode([]byte(c.data)), 0), false)
		if !tooLong(err) {
			return done, err
		}
		// The service takes only shorter commands: the content goes beside it.
	}
	// What would be refused is refused before megabytes are on their way.
	if _, err := r.runCommit(ctx, id, p, c, c.script(p, "", "", 0), true); err != nil {
		if why, ok := withoutScripts(err); ok {
			err = &noScript{why: why}
		}
		return changed{}, asNotSent(err)
	}
	dir := strings.TrimSuffix(string(p), p.base())
	parts := 0
	for data := c.data; len(data) > 0; parts++ {
		n := min(len(data), stageLimit)
		err := r.Client.Files.Put(ctx, id, fmt.Sprintf("%s%s-%d", dir, name, parts), base64.StdEncoding.EncodeToString([]byte(data[:n])))
		if err != nil {
			r.unstage(ctx, id, p, name, parts+1)
			return changed{}, fmt.Errorf("the content did not arrive as a whole, and the file is as it was: %w", asNotSent(err))
		}
		data = data[n:]
	}
	done, err := r.runCommit(ctx, id, p, c, c.script(p, name, "", parts), false)
	if err != nil || done.found {
		r.unstage(ctx, id, p, name, parts)
	}
	return done, err
}

// unstage removes what a change left behind. That it fails does no harm: later
// changes in the same directory clear away what is a day old.
func (r *request) unstage(ctx context.Context, id string, p filePath, name string, parts int) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	_, _ = r.script(ctx, id, sandbox.New("file_unstage", p.params(sandbox.Params{"stage": name, "parts": parts})))
}

func (r *request) runCommit(ctx context.Context, id string, p filePath, c change, script sandbox.Script, dry bool) (changed, error) {
	report, err := r.script(ctx, id, script)
	var e *client.Error
	var no *noScript
	if lost := errors.As(err, &no) && no.begun || errors.As(err, &e) && e.Outcome == client.OutcomeUnknown; lost && !dry {
		return r.checkCommit(ctx, id, p, c, err)
	}
	if err != nil {
		return changed{}, err
	}
	switch report.Verb {
	case "ok":
		return changed{size: report.Number(0), hash: cleanHash(report.Word(1))}, nil
	case "mismatch":
		return changed{}, &conflict{report.Word(0)}
	case "exists":
		return changed{}, &refused{fmt.Sprintf("%q exists, and mode \"create\" does not replace it", p), "write it with mode \"overwrite\", or choose another path."}
	case "unstaged":
		return changed{}, &noScript{why: "commands do not see the files that files/write makes"}
	case "garbled":
		return changed{}, &refused{fmt.Sprintf("the content for %q arrived garbled; it was dropped", p), "try again."}
	}
	return changed{}, refusal(report, p)
}

// checkCommit finds out what became of a change whose report was lost: a file
// that has its content shows that it was made.
func (r *request) checkCommit(ctx context.Context, id string, p filePath, c change, cause error) (changed, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if c.mode != "append" && !c.exec { // the mode of a file does not show
		f, err := r.find(ctx, id, p, query{window: 1, hash: true})
		if err == nil && f.hash == hashOf(c.data) {
			return changed{int64(len(c.data)), f.hash, true}, nil
		}
	}
	var e *client.Error
	if errors.As(cause, &e) {
		return changed{}, cause
	}
	return changed{}, &client.Error{Op: sandbox.Op, Message: cause.Error(), Outcome: client.OutcomeUnknown, Err: cause}
}

// script gives the script that makes the change, from a staged content: within the script, or in
// parts in files. Without a name for its own file it only checks.
func (c change) script(p filePath, name, encoded string, parts int) sandbox.Script {
	return sandbox.New("file_commit", p.params(sandbox.Params{
		"mode": c.mode, "match": c.match, "sum": hashOf(c.data), "stage": name, "content": encoded, "parts": parts, "executable": c.exec,
	}))
}

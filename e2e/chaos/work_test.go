//go:build e2e && linux

package chaos

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// Every message, command and typed line has a mark of its own, and every reply and
// output repeats it: what belongs to another call is seen by its mark.
var markPattern = regexp.MustCompile(`mark-[a-z]+\d+-\d+-`)

// confirmation finds the token in what manage_files says before it deletes.
var confirmation = regexp.MustCompile(`confirm: "([^"]+)"`)

// worker is one caller at work.
type worker struct {
	*world
	*client
	rand    *rand.Rand
	n       int
	session string // the chat session that is its own
	// terminal is the handle of an open one.
	terminal string
	picture  string // of the desktop, that was seen last
}

func (w *worker) mark() string {
	w.n++
	return fmt.Sprintf("mark-%s-%d-", w.name, w.n)
}

// run works until ctx ends, and then finishes what it has begun.
func (w *worker) run(ctx context.Context) {
	for ctx.Err() == nil {
		if w.era == legacy && !w.opened() {
			if err := w.open(context.Background()); err != nil {
				w.pause()
				continue
			}
		}
		if w.session == "" {
			w.newSession()
			continue
		}
		switch p := w.rand.IntN(100); {
		case p < 46:
			w.chat()
		case p < 60:
			w.command()
		case p < 74:
			w.typing()
		case p < 82:
			w.cancelling()
		case p < 88:
			w.confirming()
		case p < 94 && w.pipe != nil:
			w.transferring() // this machine's files are for its own user
		default:
			w.clicking()
		}
	}
	w.closeTerminal()
}

// newSession gives the worker a chat session of its own.
func (w *worker) newSession() {
	ctx, stop := w.within()
	defer stop()
	o := w.call(ctx, "create_chat_session", params{"title": w.name})
	if created, _ := o.facts["session"].(map[string]any); created != nil {
		w.session, _ = created["id"].(string)
	}
	if w.session == "" {
		w.trouble("create_chat_session", o)
		w.session404(o)
		w.pause()
		return
	}
	w.speaksIn(w.session)
}

func (w *worker) pause() { time.Sleep(time.Duration(50+w.rand.IntN(200)) * time.Millisecond) }

// check looks for what is another call's in an outcome.
func (w *worker) check(o outcome, mark string) {
	for _, m := range markPattern.FindAllString(o.all, -1) {
		// An error may name the newest message of the caller's own session.
		if m != mark && !(o.isError && (*shared > 0 || strings.HasPrefix(m, "mark-"+w.name+"-"))) {
			w.violation("I4: %s got what is of %s: %s", mark, m, o)
			return
		}
	}
}

// honest holds an error to what it says happened.
func (w *worker) honest(o outcome, mark string, times int) {
	if o.isError && times > 0 && (strings.Contains(o.text, "nothing was sent") || strings.Contains(o.text, "What happened: nothing")) {
		w.violation("I2: %s: %q, but it was sent %d times", mark, shorten(o.text), times)
	}
	if strings.Contains(o.refused, "can't be taken up") {
		w.violation("I2: %s: %s", mark, o)
	}
}

// repeat makes a call until it has its result; nothing is repeated that says that it
// must not be.
func (w *worker) repeat(ctx context.Context, tool string, args params, mark string, times func() int) (o outcome, attempts int) {
	for attempts = 1; ; attempts++ {
		before := times()
		o = w.call(ctx, tool, args)
		w.check(o, mark)
		if before == 0 && attempts == 1 {
			w.honest(o, mark, times())
		}
		if o.done() || ctx.Err() != nil || unknown(o) || unclear(o) {
			return o, attempts
		}
		w.trouble(mark, o)
		w.session404(o)
		w.pause()
	}
}

// unknown reports whether a call ended with the word that nobody knows what became of it:
// its process died in the moment of sending. That is a true outcome, and stays it.
func unknown(o outcome) bool {
	return o.isError && strings.Contains(o.text, "may or may not have arrived")
}

// unclear reports whether a message arrived, as its call says, and its reply can't be
// told from others. That is a true outcome, too, and stays it; report counts them.
func unclear(o outcome) bool {
	return o.isError && strings.Contains(o.text, "unclear: ") && !unknown(o)
}

// session404 forgets a legacy session that the server does not know any more.
func (w *worker) session404(o outcome) {
	if w.era == legacy && strings.Contains(o.refused, "status 404") {
		_ = w.open(context.Background())
	}
}

// chat sends a message with a key and repeats it until the reply is whole.
func (w *worker) chat() {
	ctx, stop := w.within()
	defer stop()
	mark := w.mark()
	message := fmt.Sprintf("%s say %d words", mark, 5+w.rand.IntN(20))
	want := replyTo(message)
	session := w.session
	if w.rand.IntN(100) < *shared {
		session = w.common
	}
	args := params{"message": message, "idempotency_key": mark, "session": session}
	began := time.Now()
	times := func() int { return w.sent(mark) }
	o, attempts := w.repeat(ctx, "send_chat_message", args, mark, times)
	status, reply := o.str("status"), o.str("reply")
	first := attempts == 1
	run := o.str("run")
	for o.done() && status == "running" {
		next := w.call(ctx, "wait_run", params{"runs": []string{run}, "wait_seconds": 20})
		w.check(next, mark)
		if !next.done() {
			if ctx.Err() != nil || unknown(next) || unclear(next) {
				o = next
				break
			}
			w.trouble(mark, next)
			w.session404(next)
			w.pause()
			continue
		}
		list, _ := next.facts["runs"].([]any)
		if len(list) != 1 {
			w.violation("I2: %s: wait_run gave %s", mark, next)
			return
		}
		r, _ := list[0].(map[string]any)
		if r["revised"] == true {
			reply = ""
		}
		text, _ := r["reply"].(string)
		reply += text
		status, _ = r["status"].(string)
		run, _ = r["run"].(string) // reads on from here
		first = false
	}
	switch {
	case unknown(o):
		status = "unknown"
	case unclear(o):
		status = "unclear"
	case !o.done():
		w.violation("I2: %s: no true outcome after %v and %d attempts: %s", mark, time.Since(began).Round(time.Second), attempts, o)
	case status != "completed" && status != "unclear":
		w.violation("I2: %s ended %q: %s", mark, status, o)
	case status == "completed" && strings.TrimSpace(reply) != want:
		w.violation("I3: %s: the reply is %q, want %q", mark, reply, want)
	case first && status == "completed" && o.words != "" && strings.TrimSpace(o.words) != want:
		w.violation("I3: %s: %d streams had the words %q, want %q", mark, o.resumed+1, o.words, want)
	}
	w.count("chat "+status, time.Since(began))
	if n := w.sent(mark); n > 1 || n == 0 && !unknown(o) {
		w.violation("I1: %s was sent %d times (%s)", mark, n, o)
	}
}

// command runs one with a key, which writes a line to a file each time that it runs.
func (w *worker) command() {
	ctx, stop := w.within()
	defer stop()
	mark := w.mark()
	args := params{"command": fmt.Sprintf("echo %s >> ran; sleep 0.%d; echo %sdone", mark, w.rand.IntN(9), mark), "idempotency_key": mark}
	began := time.Now()
	times := func() int { return w.lines("ran", mark) }
	o, attempts := w.repeat(ctx, "exec_command", args, mark, times)
	o, _ = w.follow(ctx, o, mark)
	if !o.done() {
		w.violation("I2: %s: no true outcome after %d attempts: %s", mark, attempts, o)
	} else if !strings.Contains(o.text, mark+"done") {
		w.violation("I2: %s: its output is missing: %s", mark, o)
	}
	if n := times(); n != 1 {
		w.violation("I1: %s ran %d times in %d attempts", mark, n, attempts)
	}
	w.count("command", time.Since(began))
}

// follow waits for the end of a run, and gives how that was, with all that was said on
// the way.
func (w *worker) follow(ctx context.Context, o outcome, mark string) (outcome, string) {
	for o.done() && o.str("status") == "running" {
		next := w.call(ctx, "wait_run", params{"runs": []string{o.str("run")}, "wait_seconds": 20})
		if ctx.Err() != nil {
			return next, ""
		}
		if !next.done() {
			w.trouble(mark, next)
			w.session404(next)
			w.pause()
			continue
		}
		list, _ := next.facts["runs"].([]any)
		if len(list) != 1 {
			w.violation("I2: %s: wait_run gave %s", mark, next)
			return next, ""
		}
		next.text = o.text + next.text
		next.facts, _ = list[0].(map[string]any)
		o = next
	}
	if !o.done() {
		return o, ""
	}
	return o, o.str("status")
}

// closeTerminal leaves no terminal behind.
func (w *worker) closeTerminal() {
	ctx, stop := w.within()
	defer stop()
	for w.terminal != "" {
		o := w.call(ctx, "close_terminal", params{"terminal": w.terminal})
		if o.done() || strings.Contains(o.text, "open_terminal") { // it is closed, or was
			return
		}
		if ctx.Err() != nil {
			w.violation("I2: the terminal of %s can't be closed: %s", w.name, o)
			return
		}
		w.trouble("", o)
		w.session404(o)
		w.pause()
	}
}

// typing types a line into a terminal, whichever replica has it.
func (w *worker) typing() {
	ctx, stop := w.within()
	defer stop()
	began := time.Now()
	if w.terminal == "" {
		o := w.call(ctx, "open_terminal", nil)
		if !o.done() {
			w.world.mu.Lock()
			w.unanswered++
			w.world.mu.Unlock()
			w.trouble("open_terminal", o)
			w.session404(o)
			w.pause()
			return
		}
		if w.terminal = o.str("terminal"); w.terminal == "" {
			w.violation("I2: open_terminal gave no handle: %s", o)
			return
		}
	}
	mark := w.mark()
	o := w.call(ctx, "write_terminal", params{"terminal": w.terminal, "text": "echo " + mark + " >> typed", "keys": []string{"Enter"}})
	w.honest(o, mark, 0)
	if !o.done() {
		w.trouble(mark, o)
		if strings.Contains(o.text, "open_terminal") { // it is gone, and says so
			w.lostTerminal(o)
			w.terminal = ""
		}
	} else {
		end := time.Now().Add(5 * time.Second)
		for w.lines("typed", mark) == 0 && time.Now().Before(end) {
			time.Sleep(20 * time.Millisecond)
		}
	}
	switch n := w.lines("typed", mark); {
	case n > 1:
		w.violation("I6: %s was typed %d times", mark, n)
	case n == 0 && o.done():
		w.unseen(mark)
	}
	w.count("typing", time.Since(began))
}

// cancelling cancels a command by a message that may reach another replica.
func (w *worker) cancelling() {
	ctx, stop := w.within()
	defer stop()
	mark := w.mark()
	id, ch := w.begin(ctx, "exec_command", params{"command": fmt.Sprintf("echo %s >> begun; sleep 3600; : %s", mark, mark), "timeout_seconds": 3000})
	end := time.Now().Add(10 * time.Second)
	for w.lines("begun", mark) == 0 && time.Now().Before(end) {
		select {
		case o := <-ch:
			w.trouble(mark, o)
			w.leave(mark)
			return
		case <-time.After(20 * time.Millisecond):
		}
	}
	if w.lines("begun", mark) == 0 {
		stop()
		<-ch
		w.leave(mark)
		return
	}
	before := w.disturbances()
	accepted := w.notify(ctx, "notifications/cancelled", params{"requestId": json.RawMessage(id), "reason": "not wanted any more"})
	gone := time.Now().Add(slow(3 * time.Second))
	for w.running(mark) && time.Now().Before(gone) {
		time.Sleep(50 * time.Millisecond)
	}
	// A kill in between may have taken the message with it.
	if w.running(mark) && accepted && w.disturbances() == before && !w.away.Load() {
		w.violation("I5: %s was cancelled and still runs %v later", mark, slow(3*time.Second))
	}
	stop()
	<-ch
	w.leave(mark)
	w.count("cancel", 0)
}

// confirming asks for what destroys, and confirms it twice, perhaps at two replicas.
func (w *worker) confirming() {
	ctx, stop := w.within()
	defer stop()
	mark := w.mark()
	dir := filepath.Join(w.workspace, mark)
	if err := os.MkdirAll(filepath.Join(dir, "full"), 0o755); err != nil {
		w.violation("harness: %v", err)
		return
	}
	args := params{"action": "delete", "path": "/workspace/" + mark, "recursive": true}
	o := w.call(ctx, "manage_files", args)
	m := confirmation.FindStringSubmatch(o.text)
	if m == nil {
		w.trouble(mark, o)
		return
	}
	args["confirm"] = m[1]
	before := w.disturbances()
	first := w.call(ctx, "manage_files", args)
	if !first.done() {
		w.trouble(mark, first)
		return
	}
	if err := os.MkdirAll(filepath.Join(dir, "again"), 0o755); err != nil {
		w.violation("harness: %v", err)
		return
	}
	if second := w.call(ctx, "manage_files", args); second.done() && !w.away.Load() && w.disturbances() == before {
		w.violation("I8: %s: a confirmation was good twice", mark)
	}
	_ = os.RemoveAll(dir)
	w.count("confirm", 0)
}

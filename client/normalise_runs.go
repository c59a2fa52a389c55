package client

import "strings"

// A gateway may relay more than one run on a connection: a heartbeat, a sub-agent
// that the agent started, a message of somebody else, whose reply was under way
// when ours was sent. Each event names its run and its session, and only those of
// the run that answers our message are the reply. Nothing says which that is,
// but for an acknowledgement, where there is one. So runs are ranked by what
// speaks for them: the first of the highest rank is ours, and one of a higher
// rank takes the place of what was held for ours before.

// runRank is how sure it is that a run answers our message.
type runRank int

const (
	rankNone    runRank = iota // none yet; or it says itself that it answers nobody's message
	rankMidway                 // its first event was not its beginning: it was under way before
	rankFirst                  // nothing speaks for or against it
	rankSession                // it is of the session that our message was sent to
	rankAcked                  // an acknowledgement named it
)

// runName is how an event names the run that it is of. Either may be "".
type runName struct{ run, session string }

// ownRun is the run that is held for ours.
type ownRun struct {
	runName
	rank   runRank
	past   string              // the run before this one, which left the rest to it
	rivals bool                // of another run it is not known that it answers nobody
	abrupt bool                // its first event was its end
	met    map[string]struct{} // other runs that were mentioned
}

// maxMet bounds how many other runs of a stream are told apart.
const maxMet = 1000

// nameOf gives the run and the session that an event names. Of the names that
// others use as well, only the gateway's own events mean a run.
func nameOf(o object) runName {
	name := runName{o.id("runId"), o.id("sessionKey")}
	if isChat(o) || isAgent(o) {
		d, _ := o.object("data")
		setIfEmpty(&name.run, o.id("run_id"))
		setIfEmpty(&name.run, d.id(runKeys...))
		setIfEmpty(&name.session, o.id("session_key"))
		setIfEmpty(&name.session, d.id("sessionKey", "session_key"))
	}
	return name
}

// fits reports whether an event of that name may be of the run.
func (r runName) fits(name runName) bool {
	if r.run != "" && name.run != "" && r.run != name.run {
		return false
	}
	return sameSession(r.session, name.session)
}

// sameSession compares sessions that may be named in full ("agent:main:s1") or
// without what is in front ("s1").
func sameSession(a, b string) bool {
	return a == "" || b == "" || a == b || strings.HasSuffix(a, ":"+b) || strings.HasSuffix(b, ":"+a)
}

// answersNobody reports whether an event says that its run does not answer a
// message: a heartbeat, a sub-agent, a scheduled job.
func (n *normaliser) answersNobody(o object, name runName) bool {
	if o.flag(heartbeatKeys...) || o.id("spawnedBy", "spawned_by") != "" || ofHeartbeat(name.run) {
		return true
	}
	if n.sentTo != "" && name.session != "" && sameSession(n.sentTo, name.session) {
		return false
	}
	session := strings.ToLower(name.session)
	return isSubagent(session) || strings.Contains(session, ":cron:") || strings.Count(session, ":") > 2 && strings.HasSuffix(session, ":heartbeat")
}

var heartbeatKeys = []string{"isHeartbeat", "is_heartbeat"}

func ofHeartbeat(run string) bool { return strings.HasPrefix(strings.ToLower(run), "heartbeat") }

// isSubagent recognises "agent:main:subagent:ID".
func isSubagent(session string) bool { return strings.Contains(session, ":subagent:") }

// isOurs decides whether an event is about our run, and learns from it which that
// is.
func (n *normaliser) isOurs(kind string, o object) bool {
	name, own := nameOf(o), &n.own
	switch {
	case name == runName{}:
		return !n.answersNobody(o, name)
	case own.rank > rankNone && own.run != "" && own.run == name.run && own.fits(name):
		setIfEmpty(&own.session, name.session)
		return true
	case name.run != "" && name.run == own.past || n.answersNobody(o, name):
		return false
	case own.rank > rankNone && (own.run == "" || name.run == "") && own.fits(name):
		setIfEmpty(&own.run, name.run)
		setIfEmpty(&own.session, name.session)
		return true
	}
	rank := rankFirst
	switch {
	case acknowledges(kind, o) && name.run != "":
		rank = rankAcked
	case beganBefore(o):
		rank = rankMidway
	case n.sentTo != "" && name.session != "" && sameSession(n.sentTo, name.session):
		rank = rankSession
	}
	if rank <= own.rank {
		return false
	}
	if own.rank > rankNone {
		n.forget()
	}
	own.runName, own.rank, own.abrupt = name, rank, endsRun(o)
	// An abort is hardly the beginning of our run.
	own.rivals = own.rivals || isChat(o) && canonical(o.text("state")) == "aborted"
	return true
}

// acknowledges reports whether an event says that our message was taken.
func acknowledges(kind string, o object) bool {
	if isChat(o) || isAgent(o) {
		return false
	}
	_, accepted := acceptance(o)
	return accepted || classOf(kind) == classIDs || kind == "res" && !o.denied()
}

// beganBefore reports whether an event that is the first of its run is not the
// run's beginning: its text is longer than the piece by which it grew.
func beganBefore(o object) bool {
	text, delta := "", ""
	switch {
	case isAgent(o):
		d, _ := o.object("data")
		if d.flag("replace") {
			return false
		}
		text, delta = d.text("text"), d.text("delta")
	case isChat(o) && !o.flag("replace"):
		m, _ := o.object("message")
		text, delta = messageText(m), o.text("deltaText", "delta_text")
	}
	return delta != "" && len(text) > len(delta)
}

// endsRun reports whether one of the gateway's events is the end of its run. A run that
// answers our message hardly begins with it, but for commands of the chat.
func endsRun(o object) bool {
	d, _ := o.object("data")
	switch canonical(o.text("state")) {
	case "final", "error":
		return isChat(o)
	}
	return isAgent(o) && o.text("stream") == "lifecycle" && (d.text("phase") == "end" || d.text("phase") == "error")
}

// forget drops all that was taken of another run for our reply.
func (n *normaliser) forget() {
	n.tools.release()
	n.tools = toolTracker{}
	n.attached = nil
	n.session, n.message, n.run, n.mine.answer = "", "", "", ""
	n.chat, n.source, n.held, n.quiet = false, "", "", false
	n.isWhole()
	n.restart()
}

// restart takes back all text that was shown.
func (n *normaliser) restart() {
	n.text.renew()
	if n.told > 0 || n.stale {
		n.show(change{replace: true})
	}
}

// otherRun shows an event of another run as what it is for us: a sign that
// something goes on.
func (n *normaliser) otherRun(o object) {
	name := nameOf(o)
	key := name.run
	setIfEmpty(&key, name.session)
	_, known := n.own.met[key]
	if known || key == n.own.past || len(n.own.met) >= maxMet {
		n.put(Event{Kind: EventHeartbeat})
		return
	}
	if n.own.met == nil {
		n.own.met = map[string]struct{}{}
	}
	n.own.met[key] = struct{}{}
	what := "another run"
	switch {
	case o.flag(heartbeatKeys...):
		what = "a heartbeat of the agent"
	case o.id("spawnedBy", "spawned_by") != "" || isSubagent(name.session):
		what = "a sub-agent"
	}
	n.own.rivals = n.own.rivals || n.isRival(o, name)
	n.status(what + " is at work, too")
}

// isRival reports whether another run may be the one that answers our message: it
// is of the same session, and does not say that it answers nobody.
func (n *normaliser) isRival(o object, name runName) bool {
	return name.run != "" && name.run != n.own.past && !n.answersNobody(o, name) && sameSession(n.own.session, name.session) &&
		(n.sentTo == "" || n.own.rank != rankSession || sameSession(n.sentTo, name.session))
}

// doubt reports whether nothing but its place on the stream speaks for the run
// that is held for ours.
func (n *normaliser) doubt() bool { return n.own.run != "" && n.own.rank < rankAcked }

// behindEnd looks for another run behind the end of one that is in doubt.
func (n *normaliser) behindEnd(f frame) {
	if n.isOursAtLast(f) {
		n.put(Event{Kind: EventGoesOn})
		n.past, n.strange, n.try = false, false, failedTry{}
		n.forget()
		n.own = ownRun{met: n.own.met}
		n.frame(f)
		return
	}
	if n.triesAgain(f) {
		n.put(Event{Kind: EventGoesOn})
		n.past = false
		n.beginTry()
		n.frame(f)
		return
	}
	o, ok := asObject(f.data)
	if payload, wrapped := o.object("payload"); wrapped {
		o = payload
	}
	if name := nameOf(o); !ok || !n.doubt() || name.run == n.own.run || !n.isRival(o, name) {
		n.put(Event{Kind: EventHeartbeat})
		return
	}
	n.put(Event{Kind: EventOtherRun})
	if n.stopped = n.stopped || !n.own.abrupt; n.stopped {
		return
	}
	// The end was that of a run before.
	n.forget()
	n.own = ownRun{rivals: true, met: map[string]struct{}{n.own.run: {}}}
	n.past = false
	n.frame(f)
}

// yielded takes the end of a run that waits for its sub-agents: the reply goes on
// in another run of the session.
func (n *normaliser) yielded() {
	n.own.past, n.own.run, n.own.rank = n.own.run, "", max(n.own.rank, rankFirst)
	n.text.part()
	n.chat, n.source = false, ""
	n.status("the agent waits for its sub-agents; its reply goes on afterwards")
}

// unclear ends a stream whose run may be the answer to another message. What it
// brought is not shown as ours; the history tells.
func (n *normaliser) unclear() {
	n.forget()
	n.status("the run on the stream began before the message was sent, so it may answer another one")
	n.stopped = true
}

package resources

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"openclaw-mcp/internal/emulator/emulatortest"
)

const eventsEndpoint = "GET /instances/{instance}/chat/events"

// cuts break the first n streams of events, each in another way.
func cuts(n int) []emulatortest.Fault {
	var faults []emulatortest.Fault
	for i := range n {
		f := emulatortest.Fault{Endpoint: eventsEndpoint, Call: i + 1}
		switch i % 4 {
		case 0:
			f.CutEvents = 1
		case 1:
			f.CutEvents, f.CleanCut = 2, true
		case 2:
			f.CutEvents = emulatortest.AtStart
		case 3:
			f.Drop = true
		}
		faults = append(faults, f)
	}
	return faults
}

// Two subscribers hear each message once, through one follower upstream, which
// is cut off ten times. After the last one left, nothing is followed.
func TestSubscribeMessages(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		opts   emulatortest.Options
		before int // messages in the history
	}{
		{"a new session", emulatortest.Options{}, 0},
		{"a session with a history", emulatortest.Options{}, 3},
		{"camel", emulatortest.Options{Messages: emulatortest.Camel}, 2},
		{"wrapped", emulatortest.Options{Messages: emulatortest.Wrapped}, 2},
		{"long polls", emulatortest.Options{EventsAsPoll: true, PollWait: 20 * time.Millisecond}, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.opts.Heartbeat = 10 * time.Millisecond // when a clean cut shows
			w := newWorld(t, tt.opts, quick())
			s := w.session(t, "")
			for range tt.before {
				w.say(t, s, "before")
			}
			w.emulator.SetFaults(cuts(10)...)
			uri := MessagesURI(w.instance, s)
			a, b := w.listen(t, uri), w.listen(t, uri+"?limit=1")
			const messages = 12
			for i := range messages {
				w.say(t, s, fmt.Sprint(i))
				if i%3 == 0 { // now one by one, now in a rush
					a.await(t, 2)
					a.news <- struct{}{}
					a.news <- struct{}{}
				}
			}
			a.await(t, 2*messages)
			b.await(t, 2*messages)
			if !tt.opts.EventsAsPoll {
				eventually(t, "one stream is open", func() bool { return w.emulator.OpenStreams() == 1 })
			}
			eventually(t, "all cuts have happened", func() bool { return w.emulator.Calls(eventsEndpoint) > 10 })
			a.stop()
			w.say(t, s, "for one")
			b.await(t, 2)
			b.stop()
			b.stop()
			eventually(t, "no stream is open", func() bool { return w.emulator.OpenStreams() == 0 })
			if n, m := a.count.Load(), b.count.Load(); n != 2*messages || m != 2*messages+2 {
				t.Errorf("%d and %d updates, want %d and %d", n, m, 2*messages, 2*messages+2)
			}
			if len(w.callers["me"].followers) > 0 {
				t.Error("a follower is left")
			}
		})
	}
}

// Where the service has no stream, or one that is open but silent, the history
// is polled.
func TestSubscribeMessagesWithoutStream(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]emulatortest.Fault{
		"not found":       {Endpoint: eventsEndpoint, Status: 404},
		"not implemented": {Endpoint: eventsEndpoint, Status: 501},
		"a web page":      {Endpoint: eventsEndpoint, Status: 200, Body: "<html><title>Hello", Header: http.Header{"Content-Type": {"text/html"}}},
		"silent":          {Endpoint: eventsEndpoint, StallEvents: emulatortest.AtStart},
	} {
		t.Run(name, func(t *testing.T) {
			d := quick()
			d.Verify = 5 * time.Millisecond
			w := newWorld(t, emulatortest.Options{}, d)
			s := w.session(t, "")
			w.say(t, s, "before")
			w.emulator.SetFaults(f)
			l := w.listen(t, MessagesURI(w.instance, s))
			for range 3 {
				w.say(t, s, "x")
				l.await(t, 1)
			}
			// Not one too many, however often it is looked at.
			before := w.emulator.Calls("GET /instances/{instance}/chat/messages")
			eventually(t, "more looks", func() bool {
				return w.emulator.Calls("GET /instances/{instance}/chat/messages") > before+5
			})
			if n := l.count.Load(); n > 6 {
				t.Errorf("%d updates for 6 messages", n)
			}
		})
	}
}

// A service that is down when somebody subscribes is no error; once it is up,
// it may all be different.
func TestSubscribeWhileDown(t *testing.T) {
	w := newWorld(t, emulatortest.Options{}, quick())
	s := w.session(t, "")
	for _, uri := range []string{MessagesURI(w.instance, s), instanceURI(w.instance), FileURI(w.instance, "/workspace")} {
		w.emulator.SetFaults(emulatortest.Fault{Status: 503})
		l := w.listen(t, uri)
		w.emulator.SetFaults()
		l.await(t, 1)
		l.stop()
	}
}

func TestSubscribeErrors(t *testing.T) {
	w := newWorld(t, emulatortest.Options{}, quick())
	w.rails.path = "/workspace/secret"
	for uri, want := range map[string]Reason{
		rootURI + "/nobody": NotFound, MessagesURI(w.instance, "none"): NotFound,
		FileURI(w.instance, "/workspace/none"): NotFound, FileURI(w.instance, "/workspace/secret"): Forbidden,
		instanceURI(w.instance) + "?x=y": Invalid, "http://x": NotFound,
	} {
		stop, err := w.Subscribe(t.Context(), uri, func() {})
		if e, ok := err.(*Error); !ok || e.Reason != want || stop != nil {
			t.Errorf("%s: %v", uri, err)
		}
	}
	if len(w.callers["me"].followers) > 0 {
		t.Error("a follower is left")
	}
	w.Close()
	if _, err := w.Subscribe(t.Context(), rootURI, func() {}); err == nil {
		t.Error("a closed server takes subscriptions")
	}
}

// What is followed for one caller is bounded; who subscribes to it as well costs nothing.
func TestFollowersAreBounded(t *testing.T) { // alone: others measure the heap
	w := newService(t, http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(rw, "[]")
	}), Deps{Poll: time.Hour, MaxPoll: time.Hour})
	uri := func(n int) string { return FileURI("i1", fmt.Sprint("/f", n)) }
	var stops []func()
	for n := range maxFollowers {
		stop, err := w.Subscribe(t.Context(), uri(n), func() {})
		if err != nil {
			t.Fatal(n, err)
		}
		stops = append(stops, stop)
	}
	_, err := w.Subscribe(t.Context(), uri(maxFollowers), func() {})
	if e, ok := err.(*Error); !ok || e.Reason != TooMany {
		t.Errorf("one more: %v", err)
	}
	stop, err := w.Subscribe(t.Context(), uri(0), func() {})
	if err != nil {
		t.Fatal(err)
	}
	stop()
	stops[1]()
	if _, err := w.Subscribe(t.Context(), uri(maxFollowers), func() {}); err != nil {
		t.Errorf("once one was given up: %v", err)
	}
}

func TestSubscribePolled(t *testing.T) {
	t.Parallel()
	// The reboot lasts for many polls: what comes and goes between two is not seen.
	w := newWorld(t, emulatortest.Options{RebootDelay: 200 * time.Millisecond, CreateDelay: time.Millisecond}, quick())
	s := w.session(t, "")
	w.write(t, "f.txt", "1")
	w.write(t, "sub/x", "1")
	name := func(n string) string { return filepath.Join(w.emulator.Workspace(w.instance), n) }
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		name, uri string
		change    func()
	}{
		{"instances", rootURI, func() { _, err := w.emulator.AddInstance("key"); must(err) }},
		{"instance", instanceURI(w.instance), func() { _, err := w.client.Instances.Reboot(t.Context(), w.instance); must(err) }},
		{"sessions", sessionsURI(w.instance), func() { w.session(t, "another") }},
		{"used session", sessionsURI(w.instance), func() { w.say(t, s, "x") }},
		{"file", FileURI(w.instance, "/workspace/f.txt"), func() { w.write(t, "f.txt", "22") }},
		{"file of the same size", FileURI(w.instance, "/workspace/f.txt"), func() {
			w.write(t, "f.txt", "33")
			must(os.Chtimes(name("f.txt"), time.Time{}, time.Unix(1e9, 0)))
		}},
		{"file removed", FileURI(w.instance, "/workspace/f.txt"), func() { must(os.Remove(name("f.txt"))) }},
		{"directory", FileURI(w.instance, "/workspace/sub"), func() { w.write(t, "sub/y", "1") }},
		{"directory removed", FileURI(w.instance, "/workspace/sub"), func() { must(os.RemoveAll(name("sub"))) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			eventually(t, "the instance is ready", func() bool {
				in, err := w.client.Instances.Get(t.Context(), w.instance)
				return err == nil && in.State == "ready"
			})
			l := w.listen(t, tt.uri)
			tt.change()
			l.await(t, 1)
			l.stop()
		})
	}
}

// Ten thousand who come and go leave nothing behind.
func TestSubscribeCycles(t *testing.T) {
	w := newWorld(t, emulatortest.Options{}, quick())
	s := w.session(t, "")
	w.say(t, s, "x")
	uri := MessagesURI(w.instance, s)
	stay := w.listen(t, uri)
	memory := func() (goroutines int, heap uint64) {
		var m runtime.MemStats
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(&m)
		return runtime.NumGoroutine(), m.HeapAlloc
	}
	cycle := func(n int, uri string) {
		for range n {
			stop, err := w.Subscribe(t.Context(), uri, func() {})
			if err != nil {
				t.Fatal(err)
			}
			stop()
		}
	}
	cycle(100, uri)
	goroutines, heap := memory()
	cycle(9000, uri) // beside one who stays
	stay.stop()
	cycle(1000, uri) // each the first and the last
	eventually(t, "no stream is open", func() bool { return w.emulator.OpenStreams() == 0 })
	eventually(t, fmt.Sprintf("%d goroutines", goroutines), func() bool { return runtime.NumGoroutine() <= goroutines+5 })
	if _, after := memory(); after > heap+2<<20 {
		t.Errorf("the heap grew from %d to %d bytes", heap, after)
	}
}

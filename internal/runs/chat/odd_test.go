package chat

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/andybalholm/brotli"

	"openclaw-mcp/client"
	"openclaw-mcp/internal/runs"
)

// part is a message of the agent.
type part struct {
	after time.Duration // the pause before it
	text  string
	tool  bool // the history shows that a tool runs in that pause
}

// odd is a service with an agent and with oddities of its own, in memory.
type odd struct {
	parts   []part        // what the agent says to our message
	fails   string        // with what error it ends behind them, "" for well
	growing bool          // its messages are stored while they are written, a word every 1.2 s
	busy    bool          // and say so
	stops   bool          // its messages say whether they end its turn
	busyIn  string        // what says that it is at work: the "page" of the history, the "sessions", which may be "stuck" with it; both say so "always"
	lags    time.Duration // how long after they were said they are stored

	ids         string // "", "none", "turn" (one for a question and its answer), "one" (for all), "run" (and the runs), "new" (others each time)
	times       string // "", "none", "seconds", "ahead", "behind" (the clock of questions), "new" (the time of the look), "late" (questions are stored 0.4 s after the answer's time)
	text        string // how questions are stored: "", "html", "spaces", "stamped"
	newestFirst bool
	oldestOnly  bool // tail is ignored
	junk        bool // an item is no message
	blind       bool // the history answers 500 until our message comes
	status      int  // the history never answers anything else
	noSessions  bool // there is no list of sessions, and the stream names the one that is used

	old      int           // turns of the conversation before
	same     bool          // in which the same was asked, with another answer
	waiting  bool          // somebody's question is unanswered when ours comes
	inTurn   bool          // questions are stored when the agent comes to them
	follower time.Duration // after which somebody asks something behind ours; 0 for nobody

	// "whole", "cut", "closed" (with no end marker), "silent", "reset" (with no
	// answer), "lost" (before it came), "queued", "started", "202", "202 empty" (the reply is in
	// the history alone), "page" (a web page stands before the service)
	stream    string
	atTool    bool   // and it breaks where the first tool begins, of which the history has no row
	told      int    // how many parts the stream brings before it breaks
	dialect   string // a key of dialects; "" is "named"
	variant   int    // of the dialect
	final     string // what text its end carries: "", "all", "last"
	key       string // the session as the gateway's events name it; "" is the session's own name
	acked     bool   // an acknowledgement names our run
	relays    bool   // the gateway's events of other runs come, too
	before    string // how the run of the message before ends on our stream, behind its answer in the history: "end", "fail"; "" is before ours began
	stays     bool   // the stream stays open behind its end
	pings     bool   // and shows a sign of life every 10 s
	replays   bool   // the stream begins with what stood in the history before
	noise     bool   // signs of life, the model's thoughts, the question again
	twice     bool   // the pieces of the last part come a second time
	throttles bool   // the gateway's texts come at most every 150 ms
	flaps     bool   // every second look at the history lacks its newest row
	forgets   bool   // the history never has what the agent says
	tagged    bool   // the pieces begin with a tag that the final text lacks
	encoding  string // a content coding that nobody asked for
	seed      uint64 // of how the text is cut into pieces

	mu      sync.Mutex
	rows    []*stored
	turn    int
	looks   int
	working bool
	posts   []string // the sessions that messages came to
	heard   []chan<- said
	brought string // of our reply by the stream
	jobs    chan job
	stop    chan struct{}
	agent   sync.WaitGroup
}

type stored struct {
	role, text, reason, failure string
	tool, busy                  bool
	turn, n                     int
	at                          time.Time
}

type job struct {
	turn  int
	text  string // what is to be stored yet
	parts []part
	fails string
}

// said is a step of the agent's.
type said struct {
	turn, part int
	what       string // "start", "piece", "tool", "result", "part" (it ends), "end", "fail"
	text       string
}

const question = `is 1 < 2 &  "so"?`

// begin starts the agent. Old turns lie an hour back.
func (o *odd) begin() {
	o.jobs, o.stop = make(chan job, 10), make(chan struct{})
	at := time.Now().Add(-time.Hour)
	for i := range o.old {
		q := fmt.Sprint("old question ", i)
		if o.same && i%2 == 0 {
			q = question
		}
		o.turn++
		o.store("user", q, at.Add(time.Duration(i)*10*time.Second))
		o.store("assistant", fmt.Sprint("old answer ", i), at.Add(time.Duration(i)*10*time.Second+time.Second)).reason = "stop"
	}
	if o.waiting {
		o.ask("what of mine?", job{parts: []part{{after: 2 * time.Second, text: "an answer for somebody else"}}})
	}
	o.agent.Go(func() {
		for {
			select {
			case j := <-o.jobs:
				o.answer(j)
			case <-o.stop:
				return
			}
		}
	})
}

func (o *odd) store(role, text string, at time.Time) *stored {
	// Two rows of the very same moment, words and role can be told from one row twice by nobody.
	if n := len(o.rows); n > 0 && at.Equal(o.rows[n-1].at) {
		at = at.Add(time.Millisecond)
	}
	row := &stored{role: role, text: text, turn: o.turn, n: len(o.rows), at: at}
	o.rows = append(o.rows, row)
	return row
}

// ask stores a question and has the agent answer it when its turn comes.
func (o *odd) ask(text string, j job) (turn int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.turn++
	if j.turn = o.turn; o.inTurn {
		j.text = text
	} else {
		o.store("user", text, time.Now())
	}
	o.jobs <- j
	return j.turn
}

func (o *odd) locked(f func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	f()
}

func (o *odd) answer(j job) {
	rnd := rand.New(rand.NewPCG(o.seed, uint64(j.turn)))
	say := func(s said) {
		s.turn = j.turn
		o.locked(func() {
			for _, c := range o.heard {
				c <- s
			}
		})
	}
	add := func(text string) (row *stored) {
		o.locked(func() {
			row = o.store("assistant", text, time.Now())
			row.turn = j.turn
		})
		return row
	}
	o.locked(func() { o.working = true })
	defer o.locked(func() { o.working = false })
	if j.text != "" {
		o.locked(func() { o.store("user", j.text, time.Now()).turn = j.turn })
	}
	say(said{what: "start"})
	for i, p := range j.parts {
		if p.tool {
			row := add("")
			o.locked(func() { row.tool = true })
			say(said{part: i, what: "tool"})
		}
		time.Sleep(p.after)
		if p.tool {
			say(said{part: i, what: "result"})
		}
		var row *stored
		if o.growing {
			row = add("")
			o.locked(func() { row.busy = o.busy })
			for k, w := range strings.SplitAfter(p.text, " ") {
				if k > 0 {
					time.Sleep(1200 * time.Millisecond)
				}
				o.locked(func() { row.text += w })
				say(said{part: i, what: "piece", text: w})
			}
		} else {
			for _, w := range pieces(rnd, p.text) {
				say(said{part: i, what: "piece", text: w})
			}
			time.Sleep(o.lags)
			row = add(p.text)
		}
		say(said{part: i, what: "part"})
		o.locked(func() {
			row.busy = false
			if row.reason = "toolUse"; i == len(j.parts)-1 && j.fails == "" {
				row.reason = "stop"
			}
		})
	}
	if j.fails == "" {
		say(said{what: "end"})
		return
	}
	row := add("")
	o.locked(func() { row.reason, row.failure = "error", j.fails })
	say(said{what: "fail", text: j.fails})
}

// pieces cuts a text up as a model writes it.
func pieces(rnd *rand.Rand, text string) (list []string) {
	runes := []rune(text)
	for len(runes) > 0 {
		n := min(len(runes), 1+rnd.IntN(12))
		list, runes = append(list, string(runes[:n])), runes[n:]
	}
	return list
}

// ServeHTTP is the service.
func (o *odd) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	path := req.URL.Path
	switch {
	case strings.HasSuffix(path, "/chat/sessions"):
		if o.noSessions {
			o.reply(w, 404, "application/json", `{"message":"Not Found"}`)
			return
		}
		body := `[{"id":"s1"},{"id":"s0","status":"idle"}]`
		o.locked(func() {
			switch {
			case o.busyIn == "always":
				body = `[{"id":"s1","status":"running"},{"id":"s0","status":"running"}]`
			case o.working && o.busyIn == "sessions", o.busyIn == "stuck":
				body = `[{"id":"s1","status":"running"},{"id":"s0","status":"idle"}]`
			}
		})
		o.reply(w, 200, "application/json", body)
	case strings.HasSuffix(path, "/chat/messages"):
		o.messages(w, req)
	case strings.HasSuffix(path, "/chat/stream"):
		o.chat(w, req)
	default:
		o.reply(w, 404, "application/json", `{"message":"Not Found"}`)
	}
}

// reply answers at once.
func (o *odd) reply(w http.ResponseWriter, status int, kind, body string) {
	out := o.open(w, status, kind)
	_, _ = io.WriteString(out, body)
	_ = out.Close()
}

// open begins an answer, compressed where the service does that.
func (o *odd) open(w http.ResponseWriter, status int, kind string) *output {
	if kind != "" {
		w.Header().Set("Content-Type", kind)
	}
	if o.encoding != "" {
		w.Header().Set("Content-Encoding", o.encoding)
	}
	w.WriteHeader(status)
	out := &output{to: w}
	switch o.encoding {
	case "gzip":
		z := gzip.NewWriter(w)
		out.z = z
	case "br":
		out.z = brotli.NewWriterLevel(w, 1)
	}
	out.flush()
	return out
}

// output is the body of an answer.
type output struct {
	to http.ResponseWriter
	z  interface {
		io.WriteCloser
		Flush() error
	}
}

func (out *output) Write(p []byte) (int, error) {
	if out.z != nil {
		return out.z.Write(p)
	}
	return out.to.Write(p)
}

func (out *output) Close() error {
	if out.z != nil {
		return out.z.Close()
	}
	return nil
}

func (out *output) flush() {
	if out.z != nil {
		_ = out.z.Flush()
	}
	_ = http.NewResponseController(out.to).Flush()
}

func (o *odd) messages(w http.ResponseWriter, req *http.Request) {
	status, body := o.history(req)
	o.reply(w, status, "application/json", body)
}

func (o *odd) history(req *http.Request) (status int, body string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case o.status != 0:
		return o.status, `{"message":"no"}`
	case o.blind && len(o.posts) == 0:
		return 500, `{"message":"no"}`
	}
	limit, err := strconv.Atoi(req.URL.Query().Get("limit"))
	if err != nil {
		return 400, `{"message":"limit"}`
	}
	rows := o.rows
	if n := len(rows); n > limit {
		if o.oldestOnly {
			rows = rows[:limit]
		} else {
			rows = rows[n-limit:]
		}
	}
	if o.looks++; o.flaps && len(o.posts) > 0 && o.looks%2 == 0 {
		rows = rows[:len(rows)-1]
	}
	list := make([]any, 0, len(rows)+1)
	for _, row := range rows {
		if row.role == "assistant" && (o.forgets || row.text == "" && (!row.tool || o.atTool) && (row.failure == "" || !o.stops)) {
			continue
		}
		list = append(list, o.item(row))
	}
	if o.junk && len(list) > 1 {
		list = slices.Insert(list, 1, any(map[string]any{"divider": "today"}))
	}
	if o.newestFirst {
		slices.Reverse(list)
	}
	var page any = list
	switch {
	case o.busyIn == "always" || o.working && o.busyIn == "page":
		page = map[string]any{"messages": list, "status": "processing"}
	case o.busyIn == "page":
		page = map[string]any{"messages": list, "status": "idle"}
	}
	b, err := json.Marshal(page)
	if err != nil {
		return 500, err.Error()
	}
	return 200, string(b)
}

func (o *odd) item(row *stored) any {
	item := map[string]any{"role": row.role, "content": row.text}
	if row.tool {
		item["content"] = []any{map[string]any{"type": "toolCall", "id": "t", "name": "exec", "arguments": map[string]any{}}}
	}
	if row.role == "user" {
		switch o.text {
		case "html":
			item["content"] = html.EscapeString(row.text)
		case "spaces":
			item["content"] = strings.Join(strings.Fields(row.text), " ")
		case "stamped":
			item["content"] = "[Fri 10:00] " + row.text
		}
	}
	switch o.ids {
	case "":
		item["id"] = fmt.Sprint("m", row.n)
	case "turn":
		item["id"] = fmt.Sprint("t", row.turn)
	case "run":
		item["id"], item["runId"] = fmt.Sprint("m", row.n), fmt.Sprint("run-", row.turn)
	case "one":
		item["id"] = "s1"
	case "new":
		item["id"] = fmt.Sprint("m", rand.Uint64())
	}
	at := row.at
	if row.role == "user" {
		switch o.times {
		case "ahead":
			at = at.Add(5 * time.Hour)
		case "behind":
			at = at.Add(-5 * time.Hour)
		case "late":
			at = at.Add(2400 * time.Millisecond)
		}
	}
	switch o.times {
	case "none":
	case "new":
		item["created_at"] = time.Now().UTC().Format(time.RFC3339Nano)
	case "seconds":
		item["created_at"] = at.UTC().Truncate(time.Second).Format(time.RFC3339)
	default:
		item["created_at"] = at.UTC().Format(time.RFC3339Nano)
	}
	if o.stops && row.role == "assistant" && row.reason != "" {
		item["stopReason"] = row.reason
		if row.failure != "" {
			item["errorMessage"] = row.failure
		}
	}
	if row.busy {
		item["status"] = "in_progress"
	}
	return item
}

func (o *odd) chat(w http.ResponseWriter, req *http.Request) {
	var body struct {
		Message string
		Session string `json:"session_id"`
	}
	if err := json.NewDecoder(req.Body).Decode(&body); err != nil {
		o.reply(w, 400, "", "")
		return
	}
	var first bool
	o.locked(func() {
		o.posts = append(o.posts, body.Session)
		first = len(o.posts) == 1
	})
	if !first {
		o.reply(w, 200, "application/json", `{"reply":"next","session_id":"s1"}`)
		return
	}
	switch o.stream {
	case "lost":
		panic(http.ErrAbortHandler)
	case "page":
		o.reply(w, 200, "text/html", "<title>Log in</title>")
		return
	}
	steps := make(chan said, 10_000)
	o.locked(func() { o.heard = append(o.heard, steps) })
	turn := o.ask(body.Message, job{parts: o.parts, fails: o.fails})
	if o.follower > 0 {
		time.AfterFunc(o.follower, func() {
			o.ask("and mine?", job{parts: []part{{after: 3 * time.Second, text: "an answer for somebody later"}}})
		})
	}
	switch o.stream {
	case "reset":
		panic(http.ErrAbortHandler)
	case "queued":
		o.reply(w, 200, "application/json", `{"status":"queued","message":"Message queued","session_id":"s1"}`)
	case "started":
		o.reply(w, 200, "application/json", `{"message":"Agent run started","runId":"run-1","session_id":"s1"}`)
	case "202":
		o.reply(w, 202, "application/json", `{"message":"Your message was accepted","session_id":"s1"}`)
	case "202 empty":
		o.reply(w, 202, "", "")
	default:
		o.feed(w, req.Context(), turn, steps)
	}
}

// feed writes the stream, as far as it goes.
func (o *odd) feed(w http.ResponseWriter, ctx context.Context, turn int, steps <-chan said) {
	v := o.voice(turn)
	out := o.open(w, 200, v.kind)
	v.out = out
	if o.before != "" {
		v.other(said{turn: turn - 1, what: o.before, text: "the model before was overloaded"})
	}
	v.begin()
	if o.replays {
		var old []*stored
		o.locked(func() { old = slices.Clone(o.rows[:2*o.old]) })
		for _, row := range old {
			v.event("message", fields{"id": fmt.Sprint("m", row.n), "role": row.role, "content": row.text})
		}
	}
	var ping <-chan time.Time
	if o.pings {
		tick := time.NewTicker(10 * time.Second)
		defer tick.Stop()
		ping = tick.C
	}
	next := func() (s said, ok bool) {
		for {
			select {
			case s = <-steps:
				return s, true
			case <-ping:
				_, _ = io.WriteString(out, ": ping\n\n")
				out.flush()
			case <-ctx.Done():
				return s, false
			case <-o.stop:
				return s, false
			}
		}
	}
	broken := func() {
		switch o.stream {
		case "cut":
			panic(http.ErrAbortHandler)
		case "silent":
			for ok := true; ok; {
				_, ok = next()
			}
		}
	}
	for left := -1; ; {
		s, ok := next()
		switch {
		case !ok:
			return
		case s.turn != turn:
			if o.relays {
				v.other(s)
			}
			continue
		case o.stream != "whole" && (s.part == o.told && s.what == "piece" || s.what == "end" || s.what == "fail"):
			if left < 0 { // half of the part at which it breaks
				if left = 0; o.stream == "cut" && s.what == "piece" {
					left = len(o.parts[s.part].text) / 2
				}
			}
			if left -= len(s.text); left <= 0 {
				broken()
				return
			}
		}
		if v.say(s); s.what == "tool" && o.atTool {
			panic(http.ErrAbortHandler)
		}
		if s.what == "end" || s.what == "fail" {
			for ok := o.stays; ok; {
				if s, ok = next(); ok && o.relays && s.turn != turn {
					v.other(s)
				}
			}
			_ = out.Close()
			return
		}
	}
}

// said is the whole reply to our message.
func (o *odd) said() string {
	var texts []string
	for _, p := range o.parts {
		texts = append(texts, p.text)
	}
	return strings.Join(texts, "\n\n")
}

// try sends our message to the service and gives how its run ended, and the
// sessions to which it and the next message went. It takes no real time.
func (o *odd) try(t *testing.T, check func(t *testing.T, u *runs.Update, took time.Duration)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		o.begin()
		network := &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
		srv := &http.Server{Handler: o}
		go func() { _ = srv.Serve(network) }()
		transport := &http.Transport{DialContext: network.dial}
		c, err := client.New(&http.Client{Transport: transport}, "http://service.test", testKey)
		if err != nil {
			t.Fatal(err)
		}
		m, err := runs.NewManager(runs.Config{Client: c, APIKey: testKey})
		if err != nil {
			t.Fatal(err)
		}
		s := New(m)
		begin := time.Now()
		r, _, err := s.Send(t.Context(), Request{Instance: "i", Message: question})
		if err != nil {
			t.Fatal(err)
		}
		next, _, err := s.Send(t.Context(), Request{Instance: "i", Message: "next"})
		if err != nil {
			t.Fatal(err)
		}
		u := end(t, r)
		took := time.Since(begin)
		// The next message goes out: how it ends is the page's matter where there is one.
		if n := end(t, next); n.Status != runs.StatusCompleted || n.Text != "next" {
			t.Errorf("the next message: %s %q, %v", n.Status, n.Text, n.Err)
		}
		check(t, u, took)
		m.Close()
		close(o.stop)
		o.agent.Wait()
		transport.CloseIdleConnections()
		_ = srv.Close()
		synctest.Wait()
	})
}

// pipes is a network in memory.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	select {
	case p.conns <- theirs:
		return ours, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

// Accept implements [net.Listener].
func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

// Close implements [net.Listener].
func (p *pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

// Addr implements [net.Listener].
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "memory", Net: "unix"} }

// end waits for a run's end.
func end(t *testing.T, r runs.Run) *runs.Update {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Hour)
	defer cancel()
	for {
		u, err := r.Wait(ctx, runs.UntilDone, 0, nil)
		switch {
		case err != nil:
			t.Fatal(err)
		case u.Status.Over():
			return u
		case ctx.Err() != nil:
			t.Fatalf("still %s after 4 h", u.Status)
		}
	}
}

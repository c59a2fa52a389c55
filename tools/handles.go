package tools

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"openclaw-mcp/internal/fleet"
	"openclaw-mcp/internal/runs"
	"openclaw-mcp/internal/text"
)

// ShortHandles gives the handles of one caller short words: "run-7f3k" or "term-2" in
// place of a hundred sealed characters, which a model would write again in each call.
// Sealed handles go on to work beside them.
//
// The words of a run begin alike: "run-7f3k" reads it from the start, "run-7f3k.2" from
// the second of the places up to which a result read it. A word never changes its
// meaning, so it can be used again when a result got lost.
//
// A word is a fact of the caller's fleet as well, so that the caller's other processes,
// and this one after a restart, know it for a day.
type ShortHandles struct {
	// Lasting says that the fleet keeps the words beyond the end of this process.
	Lasting bool

	mu      sync.Mutex
	given   map[string]*givenWord
	runs    map[string]*runWords // by the run's id
	order   []string             // the runs' ids, oldest first
	terms   map[string]string    // by a terminal's sealed handle: its word
	termsAt []string             // the terminals' sealed handles, oldest first
	opened  int                  // the number of the newest terminal
}

// givenWord is what a word stands for.
type givenWord struct {
	sealed string
	state  runs.State // of a run
	fact   fleet.Fact // zero where the fleet could not be told
}

// runWords are the words of one run.
type runWords struct {
	first  string            // reads it from the start
	places map[string]string // by how far it was read
	order  []string          // the places, oldest first
	given  int
}

const (
	maxWordedRuns  = runs.MaxKept
	maxWordsOfRun  = 1000
	maxWordedTerms = 1000
	// fleetPatience is how long the fleet may take with a word.
	fleetPatience = 2 * time.Second
)

// NewShortHandles makes an empty set.
func NewShortHandles() *ShortHandles {
	return &ShortHandles{given: make(map[string]*givenWord), runs: make(map[string]*runWords), terms: make(map[string]string)}
}

// wordLetters are those that are not taken for others. They make no words of a language.
const wordLetters = "23456789bcdfghjkmnpqrstvwxyz"

// shortWord recognises what is meant for a short handle.
var shortWord = regexp.MustCompile(`^(run|term)-[0-9a-z]{1,16}(\.[0-9]{1,6})?$`)

func wordFact(word string) string { return "word/" + word }

// give makes a word stand for a sealed handle, and reports whether it may: nobody else of
// the caller's has given it to another. same tells whether another handle is for the same;
// mu is held.
func (h *ShortHandles) give(ctx context.Context, f fleet.Fleet, word string, g givenWord, same func(sealed string) bool) bool {
	if old, ok := h.given[word]; ok {
		return same(old.sealed)
	}
	fact, ours, err := f.Create(ctx, wordFact(word), []byte(g.sealed))
	switch {
	case err == nil && !ours && !same(string(fact.Value)):
		return false
	case err == nil:
		g.fact = fact
	}
	h.given[word] = &g
	return true
}

// renew has a word stand for the newest handle of its place, which knows most; mu is held.
func (h *ShortHandles) renew(ctx context.Context, f fleet.Fleet, word, sealed string, state runs.State) {
	g := h.given[word]
	if g.state == state {
		return
	}
	g.sealed, g.state = sealed, state
	if fact, err := f.Change(ctx, g.fact, []byte(sealed)); err == nil {
		g.fact = fact
	}
}

// run gives the word of a run's sealed handle.
func (h *ShortHandles) run(ctx context.Context, f fleet.Fleet, m *runs.Manager, sealed string) string {
	state, err := m.Inspect(sealed)
	if err != nil {
		return sealed
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), fleetPatience)
	defer cancel()
	h.mu.Lock()
	defer h.mu.Unlock()
	r := h.runs[state.ID]
	if r == nil {
		r = &runWords{places: make(map[string]string)}
		h.runs[state.ID] = r
		h.order = append(h.order, state.ID)
		h.forgetRuns()
	}
	start := state
	start.Read, start.ReadErr, start.Check = 0, 0, 0
	if r.first == "" {
		h.first(ctx, f, m, r, start)
	} else {
		h.renew(ctx, f, r.first, m.Seal(start), start)
	}
	if state == start {
		return r.first
	}
	place := fmt.Sprint(state.Read, state.ReadErr, state.Check)
	word, ok := r.places[place]
	if ok {
		h.renew(ctx, f, word, sealed, state)
		return word
	}
	samePlace := func(other string) bool {
		o, err := m.Inspect(other)
		return err == nil && o.ID == state.ID && fmt.Sprint(o.Read, o.ReadErr, o.Check) == place
	}
	for given := false; !given; {
		r.given++
		word = r.first + "." + strconv.Itoa(r.given)
		given = h.give(ctx, f, word, givenWord{sealed: sealed, state: state}, samePlace)
	}
	r.places[place] = word
	if r.order = append(r.order, place); len(r.order) > maxWordsOfRun {
		delete(h.given, r.places[r.order[0]])
		delete(r.places, r.order[0])
		r.order = r.order[1:]
	}
	return word
}

// first gives a run the word that reads it from the start: as short as no other run has it;
// mu is held.
func (h *ShortHandles) first(ctx context.Context, f fleet.Fleet, m *runs.Manager, r *runWords, start runs.State) {
	sameRun := func(other string) bool {
		o, err := m.Inspect(other)
		return err == nil && o.ID == start.ID
	}
	n, _ := strconv.ParseUint(start.ID, 16, 64) // an id that is no number makes a longer word
	word := []byte("run-")
	for letters := 1; r.first == ""; letters++ {
		word = append(word, wordLetters[n%uint64(len(wordLetters))])
		n /= uint64(len(wordLetters))
		if letters >= 4 && h.give(ctx, f, string(word), givenWord{sealed: m.Seal(start), state: start}, sameRun) {
			r.first = string(word)
		}
	}
}

// forgetRuns makes room; mu is held.
func (h *ShortHandles) forgetRuns() {
	for len(h.order) > maxWordedRuns {
		r := h.runs[h.order[0]]
		delete(h.runs, h.order[0])
		delete(h.given, r.first)
		for _, word := range r.places {
			delete(h.given, word)
		}
		h.order = h.order[1:]
	}
}

// terminal gives the word of a terminal's sealed handle.
func (h *ShortHandles) terminal(ctx context.Context, f fleet.Fleet, sealed string) string {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), fleetPatience)
	defer cancel()
	h.mu.Lock()
	defer h.mu.Unlock()
	word, ok := h.terms[sealed]
	if ok {
		return word
	}
	for given := false; !given; {
		h.opened++
		word = "term-" + strconv.Itoa(h.opened)
		given = h.give(ctx, f, word, givenWord{sealed: sealed}, func(other string) bool { return other == sealed })
	}
	h.noteTerminal(word, sealed)
	return word
}

// keepTerminal notes what another process has called a terminal.
func (h *ShortHandles) keepTerminal(word string, g givenWord) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, ok := h.terms[g.sealed]; !ok {
		h.given[word] = &g
		h.noteTerminal(word, g.sealed)
	}
}

// noteTerminal notes a terminal's word, and forgets the oldest of too many; mu is held.
func (h *ShortHandles) noteTerminal(word, sealed string) {
	h.terms[sealed] = word
	if h.termsAt = append(h.termsAt, sealed); len(h.termsAt) > maxWordedTerms {
		delete(h.given, h.terms[h.termsAt[0]])
		delete(h.terms, h.termsAt[0])
		h.termsAt = h.termsAt[1:]
	}
}

// known gives the sealed handle of a word that this process gave.
func (h *ShortHandles) known(word string) (string, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	g, ok := h.given[word]
	if !ok {
		return "", false
	}
	return g.sealed, true
}

// kept reports whether the fleet was told of a word.
func (h *ShortHandles) kept(word string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	g := h.given[word]
	return g != nil && g.fact.Name != ""
}

// open gives the sealed handle of a word.
func (h *ShortHandles) open(ctx context.Context, f fleet.Fleet, word string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, fleetPatience)
	defer cancel()
	if sealed, ok := h.known(word); ok {
		return sealed, nil
	}
	fact, ok, err := f.Find(ctx, wordFact(word))
	switch {
	case err != nil:
		return "", fmt.Errorf("whether %s is a handle could not be found out, and nothing was done: %w", word, err)
	case ok:
		if strings.HasPrefix(word, "term-") {
			h.keepTerminal(word, givenWord{sealed: string(fact.Value), fact: fact})
		}
		return string(fact.Value), nil
	case strings.HasPrefix(word, "term-"):
		return "", badHandle(ofTerminal, "there is no terminal %s: nothing was typed or read; a short handle is known for a day", word)
	}
	first, _, isPlace := strings.Cut(word, ".")
	if isPlace {
		if _, err := h.open(ctx, f, first); err == nil {
			return "", &argumentError{fmt.Sprintf("there is no %s: nothing was done", word), first + " reads this run from the start."}
		}
	}
	return "", badHandle(ofRun, "there is no run %s: nothing was done; a short handle is known for a day. What an older run did is still there: read_chat_history has replies", word)
}

// handles gives the short handles that ctx's client gets; nil: it gets sealed ones. They
// are for models. Programs, which want results as data, may well ask another process.
func (r *request) handles(ctx context.Context) *ShortHandles {
	if r.wantsStructured(ctx) {
		return nil
	}
	return r.Handles
}

// runWord is a run's handle as the caller gets it.
func (r *request) runWord(ctx context.Context, sealed string) string {
	if h := r.handles(ctx); h != nil && sealed != "" {
		return h.run(ctx, r.Fleet, r.Runs, sealed)
	}
	return sealed
}

// taskID is the id of a run's task: a client may ask about it after this process has
// ended, so it is short only where the word outlives it.
func (r *request) taskID(ctx context.Context, sealed string) string {
	if h := r.handles(ctx); h != nil && h.Lasting {
		if word := h.run(ctx, r.Fleet, r.Runs, sealed); h.kept(word) {
			return word
		}
	}
	return sealed
}

// runHandles are a run's handle as the caller gets it, and its sealed form where that is
// another.
func (r *request) runHandles(ctx context.Context, sealed string) (word, long string) {
	if word = r.runWord(ctx, sealed); word != sealed {
		long = sealed
	}
	return word, long
}

// terminalWord is a terminal's handle as the caller gets it.
func (r *request) terminalWord(ctx context.Context, sealed string) string {
	if h := r.handles(ctx); h != nil {
		return h.terminal(ctx, r.Fleet, sealed)
	}
	return sealed
}

// The kinds of handles, by what they begin with: "run-7f3k" and "run_…".
const (
	ofRun      = "run"
	ofTerminal = "term"
)

// badHandle is about a handle that was to be of this kind, and is not.
func badHandle(kind, format string, a ...any) error {
	next := "pass the `run` of an earlier result unchanged; list_runs lists the runs that this server knows."
	if kind == ofTerminal {
		next = "pass the `terminal` of an earlier result unchanged, or call open_terminal."
	}
	return &argumentError{fmt.Sprintf(format, a...), next}
}

// sealedHandle is what a handle of a call stands for, which takes handles of one kind.
func (r *request) sealedHandle(ctx context.Context, kind, handle string) (string, error) {
	handle = strings.Trim(handle, " \t\r\n`'\"")
	if word := strings.ToLower(handle); shortWord.MatchString(word) {
		handle = word
	}
	is := func(other string) bool {
		rest, ok := strings.CutPrefix(handle, other)
		return ok && other != kind && strings.IndexAny(rest, "-_") == 0
	}
	said := text.Clip(handle, 24) // a sealed one says nothing to anybody
	switch {
	case is(ofTerminal):
		return "", badHandle(kind, "%s is a terminal, not a run: nothing was done; read_terminal, write_terminal and close_terminal take it", said)
	case is(ofRun):
		return "", badHandle(kind, "%s is a run, not a terminal: nothing was typed or read; wait_run and cancel_run take it", said)
	case !shortWord.MatchString(handle):
		return handle, nil
	case r.Handles == nil:
		return "", badHandle(kind, "%q is a short name, which this server does not give: nothing was done", handle)
	}
	return r.Handles.open(ctx, r.Fleet, handle)
}

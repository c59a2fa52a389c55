package transfers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"

	"openclaw-mcp/client"
	"openclaw-mcp/internal/runs"
	"openclaw-mcp/internal/sandbox"
)

// sandboxTools is what a sandbox has of the programs that help.
type sandboxTools struct{ tar, gzip, dd bool }

const (
	keepFiles = 24 * 60 // minutes that temporary files of a transfer that was cut off are kept

	transferTimeout = 2 * time.Minute  // of a script that moves one part
	hashTimeout     = 15 * time.Minute // of one that reads large files

	// maxInline is how much base64 goes in a command. Linux takes 128 KiB as one
	// argument of a program, and that is the most that a command can be.
	maxInline = 88 << 10
)

// errAnswer is an answer of the sandbox that can't be read.
var errAnswer = errors.New("the sandbox's answer can't be read")

// answerError is what a script says that it could not do.
type answerError struct{ text string }

func (e *answerError) Error() string { return "the sandbox could not do its part: " + e.text }

// ask runs a script in the sandbox until its whole report is there. A script may
// run twice: an answer can get lost.
func (t *transfer) ask(ctx context.Context, name string, p sandbox.Params, timeout time.Duration) (report sandbox.Report, err error) {
	p["stage"], p["remote"] = t.stage, t.state.Remote
	script := sandbox.New("transfer_"+name, p)
	err = t.try(ctx, func(ctx context.Context) error {
		report, err = script.Run(ctx, t.s.c.Terminal, t.state.Instance, timeout)
		var e *client.Error
		var no *sandbox.NoReport
		switch {
		case errors.As(err, &e) && e.Status == http.StatusRequestEntityTooLarge:
			return errSize
		case errors.As(err, &no) && no.MayBeCut():
			return fmt.Errorf("%w: %w", errSize, err) // it keeps only so much of an output
		case errors.As(err, &no):
			return fmt.Errorf("%w: %w", errAnswer, err)
		}
		return err
	})
	switch {
	case err != nil:
		return sandbox.Report{}, err
	case report.Verb == "failed":
		return sandbox.Report{}, &answerError{runs.Clip(strings.TrimSpace(string(report.Part(0))))}
	}
	return report, nil
}

// end is what the sandbox has at the far end of a transfer.
type end struct {
	kind  byte // d, f, n for none, o for something else
	empty bool // a folder with nothing in it
}

// probe finds out what the sandbox has, and makes the folder for temporary
// files. Of the programs it lacks, it names those without which nothing works.
func (t *transfer) probe(ctx context.Context) (end, error) {
	report, err := t.ask(ctx, "probe", sandbox.Params{"keep": keepFiles}, transferTimeout)
	if err != nil {
		return end{}, err
	}
	has := map[string]bool{}
	for _, x := range report.Words {
		has[x] = true
	}
	var missing []string
	if !has["base64"] && !has["openssl"] {
		missing = append(missing, "base64")
	}
	if !has["sha256sum"] && !has["shasum"] && !has["openssl"] {
		missing = append(missing, "sha256sum")
	}
	t.tools = sandboxTools{tar: has["tar"] && has["find"], gzip: has["gzip"], dd: has["dd"]}
	if t.state.Kind == runs.KindDownload && !has["find"] {
		missing = append(missing, "find")
	}
	if len(missing) > 0 {
		return end{}, &missingTools{missing}
	}
	switch report.Verb {
	case "empty":
		return end{kind: 'd', empty: true}, nil
	case "directory", "file", "other", "none":
		return end{kind: report.Verb[0]}, nil
	}
	return end{}, unexpected(report)
}

// unexpected is the error for a report that no script makes.
func unexpected(r sandbox.Report) error {
	return fmt.Errorf("%w: %s", errAnswer, runs.Clip(r.Verb+" "+strings.Join(r.Words, " ")))
}

// makeStage makes the folder of temporary files.
func (t *transfer) makeStage(ctx context.Context) error {
	_, err := t.ask(ctx, "stage", sandbox.Params{}, transferTimeout)
	return err
}

// clean removes the temporary files.
func (t *transfer) clean(ctx context.Context) error {
	if t.stage == "" {
		return nil
	}
	_, err := t.ask(ctx, "clean", sandbox.Params{}, transferTimeout)
	return err
}

// seen is what the sandbox has under a name.
type seen struct {
	kind byte // f, x for a program, d, l for a link, o for something else, n for none
	size int64
	sum  string      // "" where the file can't be read
	mode fs.FileMode // 0 where the sandbox can't tell
	time int64       // when it was changed, in seconds since 1970; 0 where the sandbox can't tell
}

func (s seen) file() bool { return s.kind == 'f' || s.kind == 'x' }

// look asks what is under names of the far folder. Links are not followed.
func (t *transfer) look(ctx context.Context, single bool, names []string) (map[string]seen, error) {
	var plain, odd []string
	for _, n := range names {
		if isOdd(n) {
			odd = append(odd, n)
		} else {
			plain = append(plain, n)
		}
	}
	out := make(map[string]seen, len(names))
	for i, list := range [][]string{plain, odd} {
		if len(list) == 0 {
			continue
		}
		err := inLots(t, list, func(names []string) error { return t.lookAt(ctx, single, names, i == 1, out) })
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// nameRoom is about what an answer has to say of one name.
const nameRoom = 256

// inLots asks about some things at once, fewer where the service cuts off the answer.
func inLots[T any](t *transfer, list []T, ask func([]T) error) error {
	most := len(list)
	for len(list) > 0 {
		limit := t.limit.Load()
		lot := list[:min(len(list), most, max(1, int(limit/nameRoom)))]
		err := ask(lot)
		if errors.Is(err, errSize) && len(lot) > 1 {
			if t.state.Kind == runs.KindDownload { // what is read comes the same way
				t.shrink(limit)
			}
			most = len(lot) / 2
			continue
		}
		if err != nil {
			return err
		}
		list = list[len(lot):]
	}
	return nil
}

func (t *transfer) lookAt(ctx context.Context, single bool, names []string, odd bool, out map[string]seen) error {
	args := make([]string, len(names))
	for i, n := range names {
		args[i] = "./" + n
	}
	report, err := t.ask(ctx, "seen", sandbox.Params{"single": single, "names": sandbox.Words(args...), "odd": odd}, hashTimeout)
	if err != nil {
		return err
	}
	if report.Verb == "gone" {
		for _, n := range names {
			out[n] = seen{kind: 'n'}
		}
		return nil
	}
	kinds, text := report.Word(0), report.Part(0)
	if len(kinds) != len(names) {
		return unexpected(report)
	}
	var files []string
	for i, n := range names {
		s := seen{kind: kinds[i], size: -1}
		out[n] = s
		if s.file() {
			files = append(files, n)
		}
	}
	if odd {
		for i, line := range strings.Split(strings.TrimSuffix(string(text), "\n"), "\n") {
			if words := strings.Fields(line); len(words) >= 2 && i < len(files) {
				size, err := strconv.ParseInt(words[0], 10, 64)
				if err == nil && len(words[1]) == 64 {
					s := seen{kind: out[files[i]].kind, size: size, sum: words[1]}
					s.setStat(words[2:])
					out[files[i]] = s
				}
			}
		}
		return nil
	}
	sizes, rest, _ := bytes.Cut(text, []byte("\n\n"))
	sums, stats, _ := bytes.Cut(rest, []byte("\n\n"))
	parse := func(list []byte, set func(s *seen, word string)) {
		for line := range bytes.Lines(list) {
			word, name, _ := strings.Cut(strings.TrimSuffix(strings.TrimLeft(string(line), " "), "\n"), " ")
			name, ok := strings.CutPrefix(strings.TrimLeft(name, " *"), "./") // wc prints a total, too
			if s, known := out[name]; ok && known {
				set(&s, word)
				out[name] = s
			}
		}
	}
	parse(sizes, func(s *seen, word string) { s.size, _ = strconv.ParseInt(word, 10, 64) })
	parse(sums, func(s *seen, word string) {
		if len(word) == 64 {
			s.sum = word
		}
	})
	setStats(stats, out)
	return nil
}

// setStats takes over modes and times, with names, as stat prints them.
func setStats(stats []byte, out map[string]seen) {
	for line := range bytes.Lines(stats) {
		words := strings.SplitN(strings.TrimSuffix(string(line), "\n"), " ", 3)
		name, ok := strings.CutPrefix(words[len(words)-1], "./")
		if s, known := out[name]; ok && known && len(words) == 3 {
			s.setStat(words[:2])
			out[name] = s
		}
	}
}

// lookFolders asks for the modes and times of folders.
func (t *transfer) lookFolders(ctx context.Context, list []entry) (map[string]seen, error) {
	out := make(map[string]seen, len(list))
	var lots [2][]string // plain names, and odd ones
	for _, e := range list {
		out[e.name] = seen{kind: 'd'}
		lot := 0
		if isOdd(e.name) {
			lot = 1
		}
		lots[lot] = append(lots[lot], e.name)
	}
	for i, names := range lots {
		err := inLots(t, names, func(names []string) error { return t.lookAtFolders(ctx, names, i == 1, out) })
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (t *transfer) lookAtFolders(ctx context.Context, names []string, odd bool, out map[string]seen) error {
	args := make([]string, len(names))
	for i, n := range names {
		args[i] = "./" + n
	}
	report, err := t.ask(ctx, "folders", sandbox.Params{"names": sandbox.Words(args...), "odd": odd}, transferTimeout)
	if err != nil {
		return err
	}
	if !odd {
		setStats(report.Part(0), out)
		return nil
	}
	for i, line := range strings.Split(strings.TrimSuffix(string(report.Part(0)), "\n"), "\n") {
		if i < len(names) {
			s := out[names[i]]
			s.setStat(strings.Fields(line))
			out[names[i]] = s
		}
	}
	return nil
}

// isOdd reports whether programs that print several names print this one changed.
func isOdd(name string) bool { return strings.ContainsAny(name, "\n\r\\") }

// setStat takes over a mode and a time as stat prints them.
func (s *seen) setStat(words []string) {
	if len(words) != 2 {
		return
	}
	mode, err1 := strconv.ParseUint(words[0], 8, 32)
	at, err2 := strconv.ParseInt(words[1], 10, 64)
	if err1 == nil && err2 == nil {
		s.mode, s.time = fs.FileMode(mode).Perm(), at
	}
}

// put makes a temporary file of text in the sandbox, whole or not at all as far
// as the reader can tell: its size or its hash is checked before it is used.
func (t *transfer) put(ctx context.Context, name, text string) error {
	if t.byExec.Load() {
		if len(text) > maxInline {
			return errSize
		}
		_, err := t.ask(ctx, "put", sandbox.Params{"name": name, "text": text}, transferTimeout)
		return err
	}
	err := t.try(ctx, func(ctx context.Context) error {
		return t.s.c.Files.Put(ctx, t.state.Instance, path.Join(t.stage, name), text)
	})
	var e *client.Error
	if !errors.As(err, &e) || e.Outcome != client.OutcomeRejected {
		return err
	}
	switch e.Status {
	case http.StatusRequestEntityTooLarge:
		return errSize
	case http.StatusUnauthorized, http.StatusPaymentRequired, http.StatusTooManyRequests:
		return err
	}
	// It writes no such file: then commands do it, in smaller parts.
	t.byExec.Store(true)
	t.limit.Store(inlinePart)
	return errSize
}

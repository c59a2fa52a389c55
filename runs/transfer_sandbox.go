package runs

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"

	"openclaw-mcp/client"
)

// sandboxTools is what a sandbox has of the programs that help.
type sandboxTools struct {
	decode, encode string // base64, from standard input to standard output
	hash           string // prints a SHA-256 and a name for each file
	tar, gzip, dd  bool
}

const (
	transferTimeout = 2 * time.Minute  // of a script that moves one part
	hashTimeout     = 15 * time.Minute // of one that reads large files

	// maxInline is how much base64 goes in a command. Linux takes 128 KiB as one
	// argument of a program, and that is the most that a command can be.
	maxInline = 88 << 10
)

const endMark = scriptMark + "end"

// transferHead is at the start of every script of a transfer. It sets $s to the
// folder of temporary files and $t to the other end. Errors are told by say;
// what programs print as errors would get between the data.
//
// An embedded service that can't give its commands a /workspace tells them where
// that is.
func (t *transfer) transferHead() string {
	hash := t.tools.hash
	if hash == "" {
		hash = "false"
	}
	return `exec 2>/dev/null
LC_ALL=C; export LC_ALL; unset CDPATH
echo "` + scriptMark + `begin"
say() { echo "$*"; echo "` + endMark + `"; exit 0; }
e=${OPENCLAW_EMULATOR_WORKSPACE-}
at() { r=$1; [ -z "$e" ] || case $1 in /workspace|/workspace/*) r=$e${1#/workspace};; esac; }
at ` + quote(t.stage) + `; s=$r
at ` + quote(t.state.Remote) + `; t=$r
dec() { ` + orFalse(t.tools.decode) + `; }
enc() { ` + orFalse(t.tools.encode) + `; }
sum() { h=$(` + hash + ` <"$1"); h=${h%% *}; }
`
}

func orFalse(s string) string {
	if s == "" {
		return "false"
	}
	return s
}

// errAnswer is an answer of the sandbox that can't be read.
var errAnswer = errors.New("the sandbox's answer can't be read")

// answerError is what a script says that it could not do.
type answerError struct{ text string }

func (e *answerError) Error() string { return "the sandbox could not do its part: " + e.text }

// ask runs a script in the sandbox until its whole answer is there. A script may
// run twice: an answer can get lost.
func (t *transfer) ask(ctx context.Context, script string, timeout time.Duration) (answer string, err error) {
	command := t.transferHead() + script + "\necho \"" + endMark + "\"\n"
	err = t.try(ctx, func(ctx context.Context) error {
		res, err := t.m.c.Terminal.Exec(ctx, t.state.Instance, client.ExecRequest{Command: command, Timeout: timeout})
		var e *client.Error
		switch {
		case errors.As(err, &e) && e.Status == http.StatusRequestEntityTooLarge:
			return errSize
		case err != nil:
			return err
		case res.NotReady:
			return &client.Error{
				Op: "POST /instances/{id}/terminal/exec", Code: "agent_not_ready",
				Message: "the sandbox is not ready yet: " + clip(res.Stderr.Head), Outcome: client.OutcomeRejected,
			}
		}
		_, text, begun := strings.Cut(res.Stdout.Head, scriptMark+"begin\n")
		text, _, whole := strings.Cut(text, endMark)
		switch {
		case begun && whole && res.Stdout.Omitted == 0:
			answer = text
			return nil
		case begun && (res.Stdout.Omitted > 0 || res.Truncated || len(res.Stdout.Head) > minPartSize):
			return errSize // the service keeps only so much of an output
		}
		return fmt.Errorf("%w: %s", errAnswer, clip(res.Stdout.Head+" "+res.Stderr.Head))
	})
	if fault, ok := strings.CutPrefix(answer, "fail "); ok {
		return "", &answerError{strings.TrimSpace(fault)}
	}
	return answer, err
}

// lines gives an answer's lines.
func lines(answer string) []string {
	return strings.Split(strings.TrimSuffix(answer, "\n"), "\n")
}

// decodeText decodes base64 with line breaks.
func decodeText(s string) ([]byte, error) {
	b, err := base64.StdEncoding.DecodeString(strings.TrimSpace(s)) // ignores line breaks
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errAnswer, err)
	}
	return b, nil
}

// encodeText is base64 as the sandbox's decoder takes it.
func (t *transfer) encodeText(b []byte) string {
	text := base64.StdEncoding.EncodeToString(b)
	if !strings.HasPrefix(t.tools.decode, "openssl") {
		return text
	}
	var out strings.Builder // openssl reads only short lines
	for len(text) > 64 {
		out.WriteString(text[:64] + "\n")
		text = text[64:]
	}
	return out.String() + text + "\n"
}

// words gives a script's line that makes texts of any bytes its arguments.
func (t *transfer) words(list ...string) string {
	quoted := make([]string, len(list))
	for i, w := range list {
		quoted[i] = quote(w)
	}
	return `eval "set -- $(printf %s '` + t.encodeText([]byte(strings.Join(quoted, " "))) + `' | dec)"` + "\n"
}

// end is what the sandbox has at the far end of a transfer.
type end struct {
	kind  byte // d, f, n for none, o for something else
	empty bool // a folder with nothing in it
}

// probe finds out what the sandbox has, and makes the folder for temporary
// files. Of the programs it lacks, it names those without which nothing works.
func (t *transfer) probe(ctx context.Context) (end, error) {
	answer, err := t.ask(ctx, `
for x in base64 openssl sha256sum shasum tar gzip dd find; do command -v $x >/dev/null && printf '%s ' $x; done; echo
if [ -d "$t" ]; then k=d; elif [ -f "$t" ]; then k=f; elif [ -e "$t" ] || [ -L "$t" ]; then k=o; else k=n; fi
if [ $k = d ]; then for f in "$t"/* "$t"/.[!.]* "$t"/..?*; do if [ -e "$f" ] || [ -L "$f" ]; then k=D; break; fi; done; fi
echo $k
old() { command -v find >/dev/null && find "$1" -mindepth 1 -maxdepth 1 -type d -name "$2" -mmin +`+strconv.Itoa(keepFiles)+` -exec rm -rf {} +; }
at /workspace; old "$r" '`+stagePrefix+`????????????????'
old /tmp '`+stagePrefix[1:]+`transfer-*'
:`, transferTimeout)
	if err != nil {
		return end{}, err
	}
	report := lines(answer)
	if len(report) < 2 {
		return end{}, fmt.Errorf("%w: %s", errAnswer, clip(answer))
	}
	has := map[string]bool{}
	for _, x := range strings.Fields(report[0]) {
		has[x] = true
	}
	var lacks []string
	switch {
	case has["base64"]:
		t.tools.decode, t.tools.encode = "base64 -d", "base64"
	case has["openssl"]:
		t.tools.decode, t.tools.encode = "openssl base64 -d", "openssl base64"
	default:
		lacks = append(lacks, "base64")
	}
	switch {
	case has["sha256sum"]:
		t.tools.hash = "sha256sum"
	case has["shasum"]:
		t.tools.hash = "shasum -a 256"
	case has["openssl"]:
		t.tools.hash = "openssl dgst -sha256 -r"
	default:
		lacks = append(lacks, "sha256sum")
	}
	t.tools.tar, t.tools.gzip, t.tools.dd = has["tar"] && has["find"], has["gzip"], has["dd"]
	if t.state.Kind == KindDownload && !has["find"] {
		lacks = append(lacks, "find")
	}
	if len(lacks) > 0 {
		return end{}, fmt.Errorf("the sandbox lacks %s, so that files can't be transferred; nothing was changed", strings.Join(lacks, " and "))
	}
	far := end{kind: report[1][0], empty: report[1] == "d"}
	if far.kind == 'D' {
		far.kind = 'd'
	}
	return far, nil
}

// makeStage makes the folder of temporary files.
func (t *transfer) makeStage(ctx context.Context) error {
	_, err := t.ask(ctx, `umask 077; mkdir -p "$s" || say "fail make the folder for temporary files in $s"`, transferTimeout)
	return err
}

// clean removes the temporary files.
func (t *transfer) clean(ctx context.Context) error {
	if t.stage == "" {
		return nil
	}
	_, err := t.ask(ctx, `rm -rf "$s"; [ ! -e "$s" ] || say "fail remove it"`, transferTimeout)
	return err
}

// seen is what the sandbox has under a name.
type seen struct {
	kind byte // f, x for a program, d, l for a link, o for something else, n for none
	size int64
	sum  string // "" where the file can't be read
}

func (s seen) file() bool { return s.kind == 'f' || s.kind == 'x' }

// look asks what is under names of a folder of the sandbox, which $dir in the
// scripts' words is. Links are not followed.
func (t *transfer) look(ctx context.Context, dir string, names []string) (map[string]seen, error) {
	var plain, odd []string
	for _, n := range names {
		// Programs that print several names print these ones changed.
		if strings.ContainsAny(n, "\n\r\\") {
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
		if err := t.lookAt(ctx, dir, list, i == 1, out); err != nil {
			return nil, err
		}
	}
	return out, nil
}

const lookScript = `
for f; do
  if [ -L "$f" ]; then printf l; elif [ -d "$f" ]; then printf d
  elif [ -f "$f" ]; then if [ -x "$f" ]; then printf x; else printf f; fi
  elif [ -e "$f" ]; then printf o; else printf n; fi
done
echo
for f; do shift; if [ -f "$f" ] && [ ! -L "$f" ]; then set -- "$@" "$f"; fi; done
`

func (t *transfer) lookAt(ctx context.Context, dir string, names []string, odd bool, out map[string]seen) error {
	args := make([]string, len(names))
	for i, n := range names {
		args[i] = "./" + n
	}
	script := "d=" + dir + "\n" + `cd "$d" || { echo gone; say; }` + "\n" + t.words(args...) + lookScript
	if odd {
		script += `for f; do sum "$f"; echo $(wc -c <"$f") $h; done`
	} else {
		script += `[ $# = 0 ] || { wc -c "$@"; echo; ` + t.tools.hash + ` "$@"; } | enc`
	}
	answer, err := t.ask(ctx, script, hashTimeout)
	if err != nil {
		return err
	}
	kinds, rest, _ := strings.Cut(answer, "\n")
	if kinds == "gone" {
		for _, n := range names {
			out[n] = seen{kind: 'n'}
		}
		return nil
	}
	if len(kinds) != len(names) {
		return fmt.Errorf("%w: %s", errAnswer, clip(answer))
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
		for i, line := range lines(rest) {
			if words := strings.Fields(line); len(words) == 2 && i < len(files) {
				size, err := strconv.ParseInt(words[0], 10, 64)
				if err == nil && len(words[1]) == 64 {
					out[files[i]] = seen{kind: out[files[i]].kind, size: size, sum: words[1]}
				}
			}
		}
		return nil
	}
	text, err := decodeText(rest)
	if err != nil {
		return err
	}
	sizes, sums, _ := bytes.Cut(text, []byte("\n\n"))
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
	return nil
}

// put makes a temporary file of text in the sandbox, whole or not at all as far
// as the reader can tell: its size or its hash is checked before it is used.
func (t *transfer) put(ctx context.Context, name, text string) error {
	if t.byExec.Load() {
		if len(text) > maxInline {
			return errSize
		}
		_, err := t.ask(ctx, `printf %s '`+text+`' >"$s/`+name+`.new" && mv -f "$s/`+name+`.new" "$s/`+name+`" || say "fail write to $s"`, transferTimeout)
		return err
	}
	err := t.try(ctx, func(ctx context.Context) error {
		return t.m.c.Files.Write(ctx, t.state.Instance, path.Join(t.stage, name), text)
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
	t.limit.Store(minPartSize)
	return errSize
}

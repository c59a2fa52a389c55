// Package sandbox is everything that runs in an instance's shell. The scripts are files below
// scripts/, in the language that dash, bash, busybox and zsh share. [New] makes a request of
// one, and [Script.Run] sends it through POST /instances/{id}/terminal/exec and reads its
// [Report]. How reports look is described in scripts/report.sh.
package sandbox

import (
	"crypto/rand"
	"embed"
	"encoding/base64"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"
)

//go:embed scripts/*.sh
var files embed.FS

// Params are the variables that a script reads, by name: strings, integers, or booleans, which
// become 1 and 0.
type Params map[string]any

// Script is a script with its parameters, ready to be sent.
type Script struct {
	Command string // for POST /instances/{id}/terminal/exec
	mark    string // begins each line of its report
}

// New makes a request of a script. Its name is that of a file in scripts/, without ".sh". What
// the script needs of its parameters is the caller's to know; a missing one ends it with an
// error from the shell.
func New(name string, p Params) Script {
	s := Script{mark: "openclaw-mcp:" + rand.Text()[:8]}
	var b strings.Builder
	b.WriteString("mark=" + s.mark)
	for _, k := range slices.Sorted(maps.Keys(p)) {
		v := fmt.Sprint(p[k])
		switch p[k] {
		case true:
			v = "1"
		case false:
			v = "0"
		}
		b.WriteString(" " + k + "=" + Quote(v))
	}
	s.Command = b.String() + "\n" + Text(name)
	return s
}

// Text gives a script as it is sent, for scripts that start others.
func Text(name string) string {
	text, ok := texts()[name]
	if !ok {
		panic("sandbox: there is no script " + name)
	}
	return text
}

// texts are all scripts by name. A line ". ./other.sh" is replaced by that file, once, and
// lines that are comments are left out: the whole goes in every request.
var texts = sync.OnceValue(func() map[string]string {
	all := map[string]string{}
	names, _ := fs.Glob(files, "scripts/*.sh")
	for _, name := range names {
		var b strings.Builder
		include(&b, name, map[string]bool{})
		all[strings.TrimSuffix(path.Base(name), ".sh")] = b.String()
	}
	return all
})

func include(b *strings.Builder, name string, done map[string]bool) {
	if done[name] {
		return
	}
	done[name] = true
	text, err := files.ReadFile(name)
	if err != nil {
		panic("sandbox: " + err.Error())
	}
	for line := range strings.Lines(string(text)) {
		bare := strings.TrimSpace(line)
		switch other, isInclude := strings.CutPrefix(bare, ". ./"); {
		case isInclude:
			include(b, "scripts/"+other, done)
		case bare != "" && !strings.HasPrefix(bare, "#"):
			b.WriteString(line)
		}
	}
}

// Quote makes s one word for a POSIX shell. Of the two kinds of quotes it takes the one that
// makes the shorter word: at most 1.75 times as long as s, and 2 bytes. Linux takes no more
// than 128 KiB as one argument, which is what a command is in the end.
func Quote(s string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("_./:,-", r)
	}
	if s != "" && !strings.ContainsFunc(s, func(r rune) bool { return !plain(r) }) {
		return s
	}
	escapes := strings.Count(s, "$") + strings.Count(s, "`") + strings.Count(s, `"`) + strings.Count(s, `\`)
	if 3*strings.Count(s, "'") <= escapes {
		return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
	}
	return `"` + doubleQuoted.Replace(s) + `"`
}

var doubleQuoted = strings.NewReplacer("$", `\$`, "`", "\\`", `"`, `\"`, `\`, `\\`)

// Words packs texts of any bytes for a script that makes them its arguments with unpack.
func Words(list ...string) string {
	quoted := make([]string, len(list))
	for i, w := range list {
		quoted[i] = Quote(w)
	}
	return Encode([]byte(strings.Join(quoted, " ")))
}

// lineLength is how long lines of base64 are: openssl, where it has to decode, reads only short ones.
const lineLength = 64

// Encode gives base64 as the scripts decode it, in lines. [EncodedLen] is its length.
func Encode(b []byte) string {
	text := base64.StdEncoding.EncodeToString(b)
	var out strings.Builder
	out.Grow(EncodedLen(len(b)))
	for line := range slices.Chunk([]byte(text), lineLength) {
		out.Write(line)
		out.WriteByte('\n')
	}
	return out.String()
}

// EncodedLen is how long n bytes become by [Encode].
func EncodedLen(n int) int {
	text := base64.StdEncoding.EncodedLen(n)
	return text + (text+lineLength-1)/lineLength
}

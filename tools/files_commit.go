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
	data  []byte
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
	return "the file has another content now, with the SHA-256 " + e.current
}

// commit makes a change; a *noScript says that it can't be made here. The content goes into a hidden file beside the target
// first, by way of the script where it is short, else in parts through
// files/write; a script then puts them together, checks the result, and under a
// lock that all scripts share compares and renames.
func (r *request) commit(ctx context.Context, id string, p filePath, c change) (changed, error) {
	if !p.inside() {
		return changed{}, report{verb: "outside"}.refusal(p)
	}
	name := ".openclaw-mcp-" + rand.Text()[:12]
	if len(c.data) <= inlineLimit {
		return r.runCommit(ctx, id, p, c, commitScript(p, c, name, base64.StdEncoding.EncodeToString(c.data), 0), false)
	}
	// What would be refused is refused before megabytes are on their way.
	if _, err := r.runCommit(ctx, id, p, c, commitScript(p, c, "", "", 0), true); err != nil {
		if why, ok := withoutScripts(err); ok {
			err = &noScript{why: why}
		}
		return changed{}, asNotSent(err)
	}
	dir := strings.TrimSuffix(string(p), p.base())
	parts := 0
	for data := c.data; len(data) > 0; parts++ {
		n := min(len(data), stageLimit)
		err := r.Client.Files.Write(ctx, id, fmt.Sprintf("%s%s-%d", dir, name, parts), base64.StdEncoding.EncodeToString(data[:n]))
		if err != nil {
			r.unstage(ctx, id, p, name, parts+1)
			return changed{}, fmt.Errorf("the content did not arrive as a whole, and the file is as it was: %w", asNotSent(err))
		}
		data = data[n:]
	}
	done, err := r.runCommit(ctx, id, p, c, commitScript(p, c, name, "", parts), false)
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
	_, _ = r.script(ctx, id, p.vars("d", "n")+fmt.Sprintf("q=%s c=%d\n", name, parts)+`
root; enter "$d"; within || say outside
i=0; while [ $i -lt $c ]; do rm -f "./$q-$i"; i=$((i+1)); done
rm -f "./$q"; say done`)
}

func (r *request) runCommit(ctx context.Context, id string, p filePath, c change, script string, dry bool) (changed, error) {
	report, err := r.script(ctx, id, script)
	var e *client.Error
	var no *noScript
	if lost := errors.As(err, &no) && no.begun || errors.As(err, &e) && e.Outcome == client.OutcomeUnknown; lost && !dry {
		return r.checkCommit(ctx, id, p, c, err)
	}
	if err != nil {
		return changed{}, err
	}
	switch report.verb {
	case "done":
		return changed{size: report.number(0), hash: cleanHash(report.word(1))}, nil
	case "mismatch":
		return changed{}, &conflict{report.word(0)}
	case "exists":
		return changed{}, &refused{fmt.Sprintf("%q exists, and mode \"create\" does not replace it", p), "write it with mode \"overwrite\", or choose another path."}
	case "unstaged":
		return changed{}, &noScript{why: "commands do not see the files that files/write makes"}
	case "garbled":
		return changed{}, &refused{fmt.Sprintf("the content for %q arrived garbled; it was dropped", p), "try again."}
	}
	return changed{}, report.refusal(p)
}

// checkCommit finds out what became of a change whose report was lost: a file
// that has its content shows that it was made.
func (r *request) checkCommit(ctx context.Context, id string, p filePath, c change, cause error) (changed, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if c.mode != "append" {
		f, err := r.find(ctx, id, p, query{window: 1, hash: true})
		if err == nil && f.hash == hashOf(c.data) {
			return changed{int64(len(c.data)), f.hash, true}, nil
		}
	}
	var e *client.Error
	if errors.As(cause, &e) {
		return changed{}, cause
	}
	return changed{}, &client.Error{Op: execOp, Message: cause.Error(), Outcome: client.OutcomeUnknown, Err: cause}
}

// commitScript makes a change from a staged content: encoded within the script,
// or in parts in files. Without a name for its own file it only checks.
func commitScript(p filePath, c change, name, encoded string, parts int) string {
	return p.vars("d", "n") + fmt.Sprintf("m=%s x=%s s=%s q=%s c=%d v=%s\n", c.mode, shellQuote(c.match), hashOf(c.data), name, parts, encoded) + `
need base64 cat mv rm wc mkdir cksum
[ "$(sum </dev/null)" != none ] || say lacks sha256sum
root
a=$d; while [ ! -d "$W/$a" ]; do a=${a%/*}; done
enter "$a"; within || say outside
if [ "$a" != "$d" ]; then
  [ -z "$x" ] || say mismatch none
  [ -n "$q" ] || say done
  e=$(mkdir -p -- "$W/$d" 2>&1) || fail "$e"
fi
enter "$d"; within || say outside
S=$PWD
follow; within || say outside
check() {
  kind "./$n"; case $ty in file|none|dangling) ;; *) say notfile $ty;; esac
  if [ -n "$x" ]; then
    h=none; [ $ty = none ] || hash "./$n"
    [ "$h" = "$x" ] || say mismatch $h
  fi
  [ $m != create ] || [ $ty = none ] || say exists
  [ $ty = none ] || [ -w "./$n" ] || say denied
}
check
[ -w . ] || say denied
[ -n "$q" ] || say done
clean() {
  rm -f "./$q"; [ -z "$lk" ] || rm -rf "$lk"
  i=0; while [ $i -lt $c ]; do rm -f "$S/$q-$i"; i=$((i+1)); done
}
lk=; trap clean EXIT; trap 'exit 1' HUP INT TERM
D=-d; echo | base64 -d >/dev/null || D=-D
if [ $c = 0 ]; then
  e=$( { printf %s "$v" | base64 $D >"./$q"; } 2>&1 ) || fail "$e"
else
  i=0; while [ $i -lt $c ]; do [ -f "$S/$q-$i" ] || say unstaged; i=$((i+1)); done
  e=$( { i=0; while [ $i -lt $c ]; do cat "$S/$q-$i"; i=$((i+1)); done | base64 $D >"./$q"; } 2>&1 ) || fail "$e"
fi
hash "./$q"; [ "$h" = "$s" ] || { [ -z "$e" ] || fail "$e"; say garbled; }
lock() {
  l=${TMPDIR:-/tmp}/openclaw-mcp-locks
  mkdir -p "$l"; chmod 1777 "$l"; [ -w "$l" ] || l=$PWD
  l=$l/.openclaw-mcp-lock-$(printf %s "$PWD/$n" | cksum | tr ' ' -)
  if command -v flock >/dev/null && (: >>"$l"); then
    exec 9>>"$l"; flock -w 10 9 || say busy
    return
  fi
  i=0 old=
  until mkdir "$l.d"; do
    o=$(cat "$l.d/pid"); [ "$o" = "$old" ] || { old=$o; i=0; }
    if [ -n "$o" ] && ! kill -0 "$o" || [ $i -ge 300 ]; then
      mv "$l.d" "$l.$$" && { [ "$(cat "$l.$$/pid")" = "$o" ] || mv "$l.$$" "$l.d"; rm -rf "$l.$$"; }
      i=0; continue
    fi
    [ $i -lt 150 ] || [ -z "$o" ] || say busy
    i=$((i+1)); sleep 0.1 || sleep 1
  done
  lk=$l.d; echo $$ >"$lk/pid"
}
lock; check
if [ $m = append ]; then
  z=0; [ $ty = none ] || z=$(size "./$n")
  e=$( { cat "./$q" >>"./$n"; } 2>&1 ) || { [ $ty = none ] || truncate -s $((z)) "./$n"; fail "$e"; }
  hash "./$n"
  z=$(size "./$n"); say done $((z)) $h
fi
if [ $ty = none ]; then
  if [ $m != create ]; then e=$(mv -f "./$q" "./$n" 2>&1) || fail "$e"
  elif ln "./$q" "./$n"; then :
  else
    check; (set -C; : >"./$n") || { check; fail "it can't be made"; }
    e=$(mv -f "./$q" "./$n" 2>&1) || fail "$e"
  fi
else
  u=$(stat -c %u:%g "./$n" || stat -f %u:%g "./$n")
  b=$(stat -c %a "./$n" || stat -f %Lp "./$n")
  if [ -n "$b" ]; then
    [ "$u" = "$(stat -c %u:%g "./$q" || stat -f %u:%g "./$q")" ] || chown "$u" "./$q"
    chmod "$b" "./$q"
    e=$(mv -f "./$q" "./$n" 2>&1) || fail "$e"
  else
    # No way to copy the permissions: the content goes into the old file.
    e=$( { cat "./$q" >"./$n"; } 2>&1 ) || fail "$e"
  fi
fi
z=$(size "./$n")
echo "` + fileMark + `done $((z)) $s"
find . -maxdepth 1 -name '.openclaw-mcp-*' -mmin +1440 -exec rm -f {} + 2>/dev/null
exit 0
`
}

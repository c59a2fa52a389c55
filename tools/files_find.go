package tools

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
)

// query is what of a file is wanted.
type query struct {
	byLine bool
	start  int64 // line from 1, or byte from 0; negative: from the end
	window int   // bytes from there on
	hash   bool
}

// found is what was read of a file.
type found struct {
	window
	head   []byte // the file's first bytes
	size   int64  // -1 when unknown
	offset int64  // of the window
	line   int64  // of the window's start, 0 when unknown
	hash   string
	cutOff bool // the service says that it gave only a part of the file
}

// find reads what is wanted of a file: through a script where that can be, and
// the beginning of a file of modest size through files/read.
func (r *request) find(ctx context.Context, id string, p filePath, q query) (found, error) {
	report, err := r.script(ctx, id, lookScript(p, q))
	if err != nil {
		if _, ok := withoutScripts(err); !ok {
			return found{}, err
		}
		return r.stream(ctx, id, p, q)
	}
	switch report.verb {
	case "file":
	case "notfile":
		if report.word(0) != "none" {
			return found{}, report.refusal(p)
		}
		fallthrough
	case "missing", "outside", "denied", "loop":
		// The service decides, and says so in its own words.
		return r.stream(ctx, id, p, q)
	default:
		return found{}, report.refusal(p)
	}
	size, offset, lines := report.number(0), report.number(1), report.number(2)
	hash := cleanHash(report.word(4))
	if report.word(3) == "0" {
		q.hash = false
		f, err := r.stream(ctx, id, p, q)
		if err != nil {
			return found{}, err
		}
		if f.last && f.size == int64(len(f.data)) { // all of it, as it was then
			if hash != "" {
				hash = hashOf(f.data)
			}
		} else {
			f.size = size
		}
		f.hash = hash
		return f, nil
	}
	if len(report.parts) != 2 || size < 0 || offset < 0 {
		return found{}, report.refusal(p)
	}
	f := found{head: report.parts[0], window: window{data: report.parts[1]}, size: size, offset: offset, hash: hash}
	f.last = offset+int64(len(f.data)) >= size
	if q.byLine {
		switch {
		case q.start < 0 && lines >= 0:
			f.line = max(1, lines+q.start+1)
		case q.start > 0:
			f.line = q.start
			if offset >= size && q.start > max(lines, 1) {
				return found{}, beyond(q.start, lines)
			}
		}
	} else if q.start > size {
		return found{}, badArgument("argument \"offset\" is %d, but the file has %d bytes", q.start, size)
	}
	return f, nil
}

func cleanHash(s string) string {
	if b, err := hex.DecodeString(s); err != nil || len(b) != sha256.Size {
		return ""
	}
	return s
}

func hashOf(b []byte) string {
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:])
}

// lookScript reports a file's size and hash and where the wanted part begins,
// and gives that part and the file's head, unless files/read is to be used:
// "file", size, offset, number of lines (-1 when not needed or too dear),
// whether the parts follow, hash.
func lookScript(p filePath, q query) string {
	mode, hash := "b", 0
	if q.byLine {
		mode = "l"
	}
	if q.hash {
		hash = 1
	}
	return p.vars("d", "n") + fmt.Sprintf("m=%s a=%d l=%d x=%d\n", mode, q.start, q.window, hash) + `
need wc tail head base64
root; enter "$d"; follow
kind "./$n"; [ $ty = file ] || say notfile $ty
within || say outside
[ -r "./$n" ] || say denied
z=$(size "./$n"); z=$((z)) t=-1 o=0
if [ $m = b ]; then
  o=$a; [ $o -ge 0 ] || o=$((z+a)); [ $o -ge 0 ] || o=0
elif [ $a -gt 1 ]; then
  o=$(head -n $((a-1)) "./$n" | wc -c); o=$((o))
elif [ $a -lt 0 ]; then
  o=$(tail -n $((-a)) "./$n" | wc -c); o=$((z-o)); [ $o -ge 0 ] || o=0
fi
c=0; [ $m = b ] || if [ $a -lt 0 ]; then [ $z -gt 64000000 ] || c=1; else [ $o -lt $z ] || c=1; fi
if [ $c = 1 ]; then
  t=$(wc -l <"./$n"); t=$((t))
  [ $z = 0 ] || [ $(tail -c 1 "./$n" | wc -l) -gt 0 ] || t=$((t+1))
fi
h=-; [ $x = 0 ] || hash "./$n"
s=1; [ $o -gt 0 ] || [ $a -lt 0 ] || [ $z -gt ` + fmt.Sprint(readBelow) + ` ] || s=0
echo "` + fileMark + `file $z $o $t $s $h"
[ $s = 1 ] || exit 0
part() { tail -c +$(($1+1)) "./$n" | head -c $2 | base64; echo .; }
part 0 ` + fmt.Sprint(sniffLen) + `
part $o $l
`
}

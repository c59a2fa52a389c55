package runs

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strconv"
	"strings"
)

// packed is some entries in one piece.
type packed struct {
	data   []byte
	sum    string
	script int // without tar: how long the script is that data begins with
}

// packedSize is about how much room an entry takes in an archive.
func packedSize(e entry) int64 {
	return 1024 + (e.size+511)&^511 + int64(len(e.name)+len(e.target))*2
}

// pack puts entries together, and gives those that could be read.
func (u *uploading) pack(ctx context.Context, batch []entry) (packed, []entry, error) {
	var out bytes.Buffer
	var w io.Writer = &out
	var zip *gzip.Writer
	if u.tools.gzip {
		zip, _ = gzip.NewWriterLevel(&out, gzip.BestSpeed)
		w = zip
	}
	var in []entry
	var p packed
	var archive archiver = &tarArchive{tar.NewWriter(w)}
	if !u.tools.tar {
		archive = &scriptArchive{w: w}
	}
	for _, e := range batch {
		if err := ctx.Err(); err != nil {
			return p, nil, err
		}
		var content []byte
		if e.kind == kindFile {
			var err error
			if content, err = u.read(e); errors.Is(err, errGrown) {
				u.aside(e)
				continue
			} else if err != nil {
				why := cause(err)
				if isGone(err) {
					why = "it was removed meanwhile"
				}
				u.transfer.fail(e.name, why)
				continue
			}
		}
		if e.kind == kindFile {
			u.resize(&e, int64(len(content)))
		}
		as := e
		as.name = u.there(e)
		if err := archive.add(as, content); err != nil {
			u.transfer.fail(e.name, err.Error())
			continue
		}
		in = append(in, e)
	}
	script, err := archive.finish()
	if err == nil && zip != nil {
		err = zip.Close()
	}
	p.data, p.script = out.Bytes(), script
	p.sum = hashBytes(p.data)
	return p, in, err
}

type archiver interface {
	add(e entry, content []byte) error
	finish() (script int, err error)
}

// tarArchive is what tar unpacks. Its format takes names of any bytes and
// length, and every tar knows it.
type tarArchive struct{ w *tar.Writer }

func (a *tarArchive) add(e entry, content []byte) error {
	h := &tar.Header{Format: tar.FormatGNU, Name: "./" + e.name, Mode: 0o644, Typeflag: tar.TypeReg, Size: int64(len(content))}
	switch {
	case e.kind == kindDir:
		h.Name, h.Mode, h.Typeflag = h.Name+"/", 0o755, tar.TypeDir
	case e.kind == kindLink:
		h.Linkname, h.Mode, h.Typeflag = e.target, 0o777, tar.TypeSymlink
	case e.exec:
		h.Mode = 0o755
	}
	if err := a.w.WriteHeader(h); err != nil {
		return err
	}
	_, err := a.w.Write(content)
	return err
}

func (a *tarArchive) finish() (int, error) { return 0, a.w.Close() }

// scriptArchive is for sandboxes without tar: a script that makes the entries,
// and behind it the contents, which it cuts out.
type scriptArchive struct {
	w        io.Writer
	script   strings.Builder
	contents bytes.Buffer
}

func (a *scriptArchive) add(e entry, content []byte) error {
	dir, base := path.Split(e.name)
	where := quote(path.Clean("./"+dir)) + " " + quote(base)
	switch e.kind {
	case kindDir:
		fmt.Fprintf(&a.script, "folder %s\n", quote(e.name))
	case kindLink:
		fmt.Fprintf(&a.script, "link %s %s\n", where, quote(e.target))
	default:
		mode := 644
		if e.exec {
			mode = 755
		}
		fmt.Fprintf(&a.script, "file %s %d %d %d\n", where, a.contents.Len(), len(content), mode)
		a.contents.Write(content)
	}
	return nil
}

func (a *scriptArchive) finish() (int, error) {
	_, err := io.WriteString(a.w, a.script.String())
	_, err2 := a.contents.WriteTo(a.w)
	return a.script.Len(), errors.Join(err, err2)
}

// placeScript puts what was unpacked into folders of the target: with one mv for
// each folder, which renames. $1 is the target, $2 is 1 where nothing may be
// replaced. It prints what could not be done, F, and what exists, E.
const placeScript = `t=$1 k=$2; shift 2
for d; do
  q=$t; [ "$d" = . ] || q=$t/${d#./}
  [ -d "$q" ] || mkdir -p "$q" || { printf "F%s\0" "$d"; continue; }
  set --
  for f in "$d"/* "$d"/.[!.]* "$d"/..?*; do
    if [ -L "$f" ] || [ -f "$f" ]; then
      g=$q/${f##*/}
      if [ "$k" = 1 ] && { [ -e "$g" ] || [ -L "$g" ]; }; then printf "E%s\0" "$f"; else set -- "$@" "$f"; fi
    fi
  done
  [ $# = 0 ] || mv -f "$@" "$q/" || for f; do if [ -L "$f" ] || [ -e "$f" ]; then printf "F%s\0" "$f"; fi; done
done`

// putFunctions are the words of a scriptArchive. A mv onto a folder, or onto a
// link to one, would go into it.
const putFunctions = `
bad() { printf 'F./%s\0' "$1"; }
open() { q=$t; n=$2; [ "$1" = . ] || { q=$t/$1; n=$1/$2; }; [ -d "$q" ] || mkdir -p "$q" || { bad "$n"; return 1; }; g=$q/$2
  if [ "$k" = 1 ] && { [ -e "$g" ] || [ -L "$g" ]; }; then printf 'E./%s\0' "$n"; return 1; fi; rm -f "$d/x"; }
place() { if [ -L "$g" ]; then rm -f "$g"; fi; if [ -d "$g" ]; then bad "$n"; else mv -f "$d/x" "$g" || bad "$n"; fi; }
folder() { [ -d "$t/$1" ] || mkdir -p "$t/$1" || bad "$1"; }
link() { open "$1" "$2" || return; ln -s -- "$3" "$d/x" && place || bad "$n"; }
file() { open "$1" "$2" || return
  if [ "$4" = 0 ]; then : >"$d/x"; else tail -c "+$((c+$3+1))" "$b" | head -c "$4" >"$d/x"; fi
  [ "$(($(wc -c <"$d/x")))" = "$4" ] && chmod "$5" "$d/x" && place || bad "$n"; }
`

// unpackScript unpacks what fetch prints. It may run again after it has run: the
// same files then take their own place.
func (u *uploading) unpackScript(name, fetch string, p packed) string {
	keep := "0"
	if u.keep {
		keep = "1"
	}
	unzip := "cat"
	if u.tools.gzip {
		unzip = "gzip -dc"
	}
	script := "umask 077; t=" + u.dir + " k=" + keep + " b=$s/" + name + ".t d=$s/" + name + ".d c=" + strconv.Itoa(p.script) + "\n" +
		`rm -rf "$d"; mkdir -p "$d" || say "fail write to $s"` + "\n" +
		fetch + ` | dec >"$b" || say bad
sum "$b"; [ "$h" = ` + p.sum + ` ] || say bad
umask 022
[ -d "$t" ] || mkdir -p "$t" || say "fail make the folder $t"
cd "$d" || say "fail use $d"
`
	if u.tools.tar {
		script += unzip + ` <"$b" | tar -xomf - || say "fail unpack: is there room?"
find . -type d -exec sh -c ` + quote(placeScript) + ` sh "$t" "$k" {} + | enc
`
	} else {
		script += unzip + ` <"$b" >"$b.c"; b=$b.c; head -c "$c" "$b" >"$b.s"` + putFunctions + `{ . "$b.s"; } | enc
`
	}
	return script + `cd /; rm -rf "$d" "$s/` + name + `"*`
}

// joinScript puts parts [from, to) where they belong in a file. dd takes its
// input as it comes and writes whole parts.
func joinScript(e entry, stem string, part, from, to int64) string {
	return fmt.Sprintf(`umask 077; cd "$s" || say "fail use $s"
i=%d; while [ $i -lt %d ]; do
  [ -s %s.$i ] && dec <%s.$i | dd ibs=65536 obs=%d seek=$i conv=notrunc of=%s || say "fail write: is there room?"
  i=$((i+1))
done`, from, to, stem, stem, part, e.key()+".new")
}

// finishScript checks a file and renames it into its place.
func (u *uploading) finishScript(e entry) string {
	mode := "644"
	if e.exec {
		mode = "755"
	}
	dir, base := path.Split(u.there(e))
	keep := "false"
	if u.keep {
		keep = `[ -e "$g" ] || [ -L "$g" ]`
	}
	return "q=" + u.dir + "\n" + u.words(path.Clean("./"+dir), base) + `[ "$1" = . ] || q=$q/$1
g=$q/$2; n=$s/` + e.key() + `
if [ ! -e "$n.new" ] && [ -f "$g" ]; then sum "$g"; [ "$h" != ` + e.sum + ` ] || say ok; fi
sum "$n.new"; [ "$h" = ` + e.sum + ` ] || { rm -f "$n".*; say again; }
umask 022
[ -d "$q" ] || mkdir -p "$q" || say "fail make its folder"
if ` + keep + `; then rm -f "$n".*; say exists; fi
if [ -L "$g" ]; then rm -f "$g"; fi
[ ! -d "$g" ] || say "fail put it in place: a folder is there"
chmod ` + mode + ` "$n.new" && mv -f "$n.new" "$g" || say "fail put it in place"
rm -f "$n".*
say ok`
}

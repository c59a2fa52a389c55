package transfers

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"openclaw-mcp/internal/sandbox"
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
			if content, err = u.read(&e); errors.Is(err, errGrown) {
				u.postpone(e)
				continue
			} else if err != nil {
				why := cause(err)
				if isGone(err) {
					why = "it was removed in the meantime"
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
	h := &tar.Header{Format: tar.FormatGNU, Name: "./" + e.name, Mode: int64(e.rights()), ModTime: e.time, Typeflag: tar.TypeReg, Size: int64(len(content))}
	switch {
	case e.kind == kindDir:
		h.Name, h.Mode, h.Typeflag = h.Name+"/", 0o755, tar.TypeDir
	case e.kind == kindLink:
		h.Linkname, h.Mode, h.Typeflag = e.target, 0o777, tar.TypeSymlink
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
	where := sandbox.Quote(path.Clean("./"+dir)) + " " + sandbox.Quote(base)
	switch e.kind {
	case kindDir:
		fmt.Fprintf(&a.script, "folder %s\n", sandbox.Quote(e.name))
	case kindLink:
		fmt.Fprintf(&a.script, "link %s %s\n", where, sandbox.Quote(e.target))
	default:
		fmt.Fprintf(&a.script, "file %s %d %d %s %s\n", where, a.contents.Len(), len(content), octal(e.rights()), stamp(e.time))
		a.contents.Write(content)
	}
	return nil
}

func (a *scriptArchive) finish() (int, error) {
	_, err := io.WriteString(a.w, a.script.String())
	_, err2 := a.contents.WriteTo(a.w)
	return a.script.Len(), errors.Join(err, err2)
}

// unpack has the sandbox unpack an archive, which is in the temporary file unless it comes inline.
// That may be done again after it was done: the same files then take their own place.
func (u *uploading) unpack(ctx context.Context, name, inline string, p packed) (sandbox.Report, error) {
	place := "transfer_place"
	if !u.tools.tar {
		place = "transfer_make"
	}
	return u.ask(ctx, "unpack", sandbox.Params{
		"single": u.up, "name": name, "text": inline, "sum": p.sum, "keep": u.keep, "zip": u.tools.gzip,
		"script": p.script, "place": sandbox.Text(place),
	}, transferTimeout)
}

package transfers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"openclaw-mcp/client"
	"openclaw-mcp/internal/text"
)

// maxPlain is the largest file that goes in one request of files/write.
const maxPlain = 8 << 20

// plainUpload puts the local end in place through files/write and files/mkdir. What is
// there with the same content is not sent, and what was sent is read again.
func (u *uploading) plainUpload(ctx context.Context, w *plainWay, entries []entry) error {
	far, err := w.probe(ctx)
	switch {
	case err != nil:
		return err
	case w.blind && u.keep:
		w.announce("nothing was moved")
		return errors.New("the service lists no files, so what must not be overwritten can't be told; nothing was changed")
	case u.src.only != "":
		if err := u.aim(far, &entries[0]); err != nil {
			return err
		}
	case far.kind == 'f':
		return fmt.Errorf("%s exists on the instance, but is not a folder", u.state.Remote)
	}
	p := plainUploading{uploading: u, w: w, base: path.Clean(u.state.Remote), blocked: make(map[string]bool)}
	if u.up {
		p.base = path.Dir(p.base)
	}
	rest, err := p.sort(ctx, entries)
	if err != nil {
		return err
	}
	files, err := p.makeFolders(ctx, rest)
	if err != nil {
		return err
	}
	return parallel(ctx, slices.Values(files), p.send)
}

type plainUploading struct {
	*uploading
	w       *plainWay
	base    string          // where entries lie
	blocked map[string]bool // folders that are not there and can't be made
}

func (p *plainUploading) at(e entry) string { return path.Join(p.base, p.there(e)) }

// sort takes out what can't go this way, and says so before anything is sent.
func (p *plainUploading) sort(ctx context.Context, entries []entry) (rest []entry, err error) {
	count := map[string]int64{}
	refuse := func(e entry, what, why string) {
		count[what]++
		p.transfer.fail(e.name, why)
	}
	programs := int64(0)
	for _, e := range entries {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		switch {
		case !utf8.ValidString(e.name):
			refuse(e, "names", "its name is not UTF-8, and the file endpoints take nothing else")
			continue
		case e.kind == kindLink:
			refuse(e, "links", "it is a link, which the file endpoints can't make")
			continue
		case e.kind == kindFile && e.size > maxPlain:
			refuse(e, "large", fmt.Sprintf("it is larger than %s, the most that is sent through the file endpoints", amount(maxPlain)))
			continue
		case e.kind == kindFile:
			content, err := p.content(e)
			if err != nil {
				p.transfer.fail(e.name, cause(err))
				continue
			}
			if !utf8.Valid(content) {
				refuse(e, "binary", "it is not UTF-8 text, and the file endpoints take nothing else")
				continue
			}
			if e.exec {
				programs++
			}
		}
		rest = append(rest, e)
	}
	said := []string{"modes and times are not kept there"}
	for _, x := range []struct {
		n         int64
		one, many string
	}{
		{count["binary"], "file is not text, so it can't go", "files are not text, so they can't go"},
		{count["large"], "file is too large", "files are too large"},
		{count["links"], "link can't be made", "links can't be made"},
		{count["names"], "name is not UTF-8", "names are not UTF-8"},
		{programs, "program will not be executable", "programs will not be executable"},
	} {
		if x.n > 0 {
			said = append(said, text.Count(x.n, x.one, x.many))
		}
	}
	p.w.announce(strings.Join(said, "; "))
	return rest, nil
}

// content reads a file of the tree as it is now.
func (p *plainUploading) content(e entry) ([]byte, error) {
	f, err := openFile(p.src.Root, filepath.FromSlash(e.name))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxPlain+1))
	if err == nil && len(b) > maxPlain {
		err = errGrown
	}
	return b, err
}

// makeFolders makes the folders that are missing, and gives the files that can then be sent.
func (p *plainUploading) makeFolders(ctx context.Context, entries []entry) (files []entry, err error) {
	switch base, ok := p.w.listed[p.base]; {
	case ok && base.IsDir || p.base == "/":
		if _, err := p.w.list(ctx, p.base); err != nil {
			return nil, err
		}
	default:
		if err := p.mkdir(ctx, entry{}, p.base); err != nil {
			return nil, err
		}
	}
	for _, e := range entries {
		at := p.at(e)
		if p.blocked[path.Dir(at)] {
			p.blocked[at] = e.kind == kindDir
			if e.kind == kindFile {
				p.transfer.fail(e.name, "its folder can't be made")
			}
			continue
		}
		if e.kind == kindFile {
			files = append(files, e)
			continue
		}
		switch there, ok := p.w.listed[at]; {
		case ok && there.IsDir:
			_, err = p.w.list(ctx, at)
		case ok:
			p.transfer.fail(e.name, "a file is in its place")
			p.blocked[at] = true
		default:
			err = p.mkdir(ctx, e, at)
		}
		if err != nil {
			return nil, err
		}
	}
	return files, nil
}

// mkdir makes a folder. Where the service can't, it may still make those of the files
// that it writes.
func (p *plainUploading) mkdir(ctx context.Context, e entry, at string) error {
	err := p.try(ctx, func(ctx context.Context) error {
		return p.s.c.Files.Mkdir(ctx, p.state.Instance, at)
	})
	switch {
	case lacksEndpoint(err):
		p.Note("the service can't make folders (files/mkdir), so empty ones are missing on the instance")
	case e.name != "" && isAboutOne(err):
		p.transfer.fail(e.name, "the folder can't be made: "+refusalOf(err))
		p.blocked[at] = true
	default:
		return err
	}
	return nil
}

// refusalOf is a refusal in the service's words.
func refusalOf(err error) string {
	var e *client.Error
	if errors.As(err, &e) && e.Message != "" {
		return text.Line(e.Message, 200)
	}
	return text.Line(err.Error(), 200)
}

// send puts one file in place.
func (p *plainUploading) send(ctx context.Context, e entry) error {
	at := p.at(e)
	there, exists := p.w.listed[at]
	switch {
	case exists && there.IsDir:
		p.transfer.fail(e.name, "a folder is in its place")
		return nil
	case exists && p.keep:
		p.skip(e, true, "it exists on the instance")
		return nil
	}
	content, err := p.content(e)
	switch {
	case err == nil && !utf8.Valid(content):
		err = errors.New("it is no longer text")
		fallthrough
	case err != nil:
		p.transfer.fail(e.name, cause(err))
		return nil
	}
	p.resize(&e, int64(len(content)))
	if p.w.blind || exists && (there.Size < 0 || there.Size == e.size) {
		if have, err := p.w.read(ctx, at, maxPlain); err == nil && bytes.Equal(have, content) {
			p.done(true, e)
			return nil
		}
	}
	err = p.try(ctx, func(ctx context.Context) error {
		return p.s.c.Files.Put(ctx, p.state.Instance, at, string(content))
	})
	switch {
	case lacksEndpoint(err):
		return fmt.Errorf("the service has no endpoint that writes files, and scripts can't run on the instance: %w", err)
	case isAboutOne(err):
		p.transfer.fail(e.name, "the service refused it: "+refusalOf(err))
		return nil
	case err != nil:
		return err
	}
	switch have, err := p.w.read(ctx, at, maxPlain); {
	case lacksEndpoint(err) || isNotFound(err) && p.w.blind:
		p.Note("the service gives no files back (files/read), so it was not checked that they arrived as they were sent")
	case err == nil && bytes.Equal(have, content):
	case err == nil:
		p.transfer.fail(e.name, fmt.Sprintf("the service's copy is not what was sent: it has %d bytes instead of %d", len(have), len(content)))
		return nil
	case isAboutOne(err):
		p.transfer.fail(e.name, "it was sent, and can't be read back: "+refusalOf(err))
		return nil
	default:
		return err
	}
	p.done(false, e)
	return nil
}

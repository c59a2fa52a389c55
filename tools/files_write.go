package tools

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"path"
	"strings"
	"time"
	"unicode/utf8"

	"openclaw-mcp/internal/text"
)

// plainLimit is the largest content that goes through one files/write as it is.
const plainLimit = 4 << 20

type writeFileIn struct {
	Path     string `json:"path" jsonschema:"of the file"`
	Content  string `json:"content" jsonschema:"all of it, or what to append"`
	Instance string `json:"instance,omitempty" jsonschema:"if several"`
	Mode     string `json:"mode,omitempty" jsonschema:"how to write"`
	IfMatch  string `json:"if_match,omitempty" jsonschema:"only if its SHA-256 is this"`
	Encoding string `json:"encoding,omitempty" jsonschema:"of content"`
	Exec     bool   `json:"executable,omitempty" jsonschema:"make it executable"`
}

type writeFileOut struct {
	onInstance
	Path   string `json:"path,omitempty"`
	Bytes  *int64 `json:"bytes,omitempty"` // size of the file now, where it was measured
	SHA256 string `json:"sha256,omitempty"`
	Exec   bool   `json:"executable,omitempty"`
	Note   string `json:"note,omitempty"`

	did string
}

func (o writeFileOut) links() []Link { return fileLink(o.Instance, o.Path) }

func writeFile(ctx context.Context, r *request, in writeFileIn) (writeFileOut, error) {
	p, err := toFilePath("path", in.Path)
	if err != nil {
		return writeFileOut{}, err
	}
	if err := checkMatch(in.IfMatch); err != nil {
		return writeFileOut{}, err
	}
	if in.IfMatch != "" && in.Mode == "create" {
		return writeFileOut{}, badArgument("argument \"if_match\" can't be used with mode \"create\", which only makes new files")
	}
	content := in.Content
	if in.Encoding == encBase64 {
		data, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(content), ""))
		if err != nil {
			return writeFileOut{}, badArgument("argument \"content\" is not base64: %v", err)
		}
		content = string(data)
	}
	id, err := r.where(ctx, in.Instance, p)
	if err != nil {
		return writeFileOut{}, err
	}
	ctx, cancel := r.bounded(ctx)
	defer cancel()

	if err := r.keepsKey(ctx, id, p, in); err != nil {
		return writeFileOut{}, err
	}
	out := writeFileOut{onInstance: r.on(id), Path: string(p), did: map[string]string{"create": "created", "append": "appended to"}[in.Mode]}
	if out.did == "" {
		out.did = "wrote"
	}
	plain := in.Mode == "overwrite" && in.IfMatch == "" && utf8.ValidString(content) && !in.Exec
	if !plain || p.inside() && len(content) > plainLimit {
		done, err := r.commit(ctx, id, p, change{mode: in.Mode, match: strings.ToLower(in.IfMatch), data: content, exec: in.Exec})
		if err == nil {
			out.Bytes, out.SHA256, out.Exec = &done.size, done.hash, in.Exec
			return out, nil
		}
		var no *noScript
		if !plain || !errors.As(err, &no) || no.begun {
			return writeFileOut{}, changeError(p, err)
		}
	}
	err = r.Client.Files.Put(ctx, id, string(p), content)
	if noEndpoint(err) && p.inside() {
		if done, scriptErr := r.commit(ctx, id, p, change{mode: in.Mode, data: content}); scriptErr == nil {
			out.Bytes, out.SHA256 = &done.size, done.hash
			return out, nil
		} else if _, ok := noShell(scriptErr); !ok {
			return writeFileOut{}, changeError(p, scriptErr)
		}
	}
	if err != nil {
		return writeFileOut{}, err
	}
	out.measure(ctx, r, id, p, content)
	return out, nil
}

// measure finds out what the file is that the service made of a content.
func (o *writeFileOut) measure(ctx context.Context, r *request, id string, p filePath, content string) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	sent := int64(len(content))
	f, err := r.look(ctx, id, p, query{window: 1, hash: true}, byScript)
	same := f.size == sent && (f.hash == "" || f.hash == hashOf(content))
	switch {
	case err != nil, f.size < 0, f.streamed && !same:
		o.Note = fmt.Sprintf("%s were sent; what the file has now can't be told for sure", text.Count(sent, "byte", "bytes"))
		return
	case !same:
		o.Note = fmt.Sprintf("the file is not what was sent, which has %s: the service may change what it writes, or somebody else has changed it", text.Count(sent, "byte", "bytes"))
	}
	o.Bytes, o.SHA256 = &f.size, f.hash
}

func checkMatch(hash string) error {
	if hash != "" && cleanHash(strings.ToLower(hash)) == "" {
		return badArgument("argument \"if_match\" must be a SHA-256 of 64 hexadecimal digits, as read_file with hash: true, write_file and edit_file give it; got %q", text.Line(hash, 80))
	}
	return nil
}

// changeError puts the failure of a change in words that are complete.
func changeError(p filePath, err error) error {
	var c *conflict
	why, without := noShell(err)
	switch {
	case errors.As(err, &c):
		return &refused{fmt.Sprintf("argument \"if_match\" does not fit %q: %v", p, c), callArgs{{"path", string(p)}, {"hash", true}}.call("read_file") + " shows what it holds now."}
	case without:
		no := &noScript{why: why}
		return &refusedWithout{refused{no.Error() + "; without that it would not be safe from half-done or lost changes",
			"write_file with mode \"overwrite\", as text and without if_match or executable, does without."}, no}
	}
	return err
}

func (o writeFileOut) text() string {
	said := fmt.Sprintf("%s %s%s", o.did, o.Path, o.where("on"))
	if o.Bytes != nil {
		said += fmt.Sprintf(": it has %s now", text.Count(*o.Bytes, "byte", "bytes"))
	}
	if o.SHA256 != "" {
		said += ", sha256 " + o.SHA256
	}
	if o.Exec {
		said += ", executable"
	}
	if o.Note != "" {
		said += "\nnote: " + o.Note
	}
	return said
}

type makeDirectoryIn struct {
	Path     string `json:"path" jsonschema:"of the directory"`
	Instance string `json:"instance,omitempty" jsonschema:"if several"`
}

type makeDirectoryOut struct {
	onInstance
	Path string `json:"path,omitempty"`
}

func makeDirectory(ctx context.Context, r *request, in makeDirectoryIn) (makeDirectoryOut, error) {
	p, err := toPath("path", in.Path)
	if err != nil {
		return makeDirectoryOut{}, err
	}
	id, err := r.where(ctx, in.Instance, p)
	if err != nil {
		return makeDirectoryOut{}, err
	}
	if err := r.mkdir(ctx, id, p); err != nil {
		return makeDirectoryOut{}, err
	}
	return makeDirectoryOut{onInstance: r.on(id), Path: path.Clean(string(p))}, nil
}

func (o makeDirectoryOut) text() string {
	return fmt.Sprintf("%s is a directory%s", o.Path, o.where("on"))
}

package tools

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"path"
	"strings"
	"unicode/utf8"
)

// plainLimit is the largest content that goes through one files/write as it is.
const plainLimit = 4 << 20

type writeFileIn struct {
	Path     string `json:"path"`
	Content  string `json:"content"`
	Instance string `json:"instance,omitempty" jsonschema:"default: the configured or only ready one"`
	Mode     string `json:"mode,omitempty"`
	IfMatch  string `json:"if_match,omitempty" jsonschema:"only if the file now has this SHA-256"`
	Encoding string `json:"encoding,omitempty" jsonschema:"of content"`
}

type writeFileOut struct {
	Instance string `json:"instance,omitempty"`
	Path     string `json:"path,omitempty"`
	Bytes    int64  `json:"bytes"` // size of the file now
	SHA256   string `json:"sha256,omitempty"`

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
		return writeFileOut{}, badArgument("argument \"if_match\" does not go with mode \"create\", which wants no file to be there")
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

	out := writeFileOut{Instance: id, Path: string(p), did: map[string]string{"create": "created", "append": "appended to"}[in.Mode]}
	if out.did == "" {
		out.did = "wrote"
	}
	plain := in.Mode == "overwrite" && in.IfMatch == "" && utf8.ValidString(content)
	if !plain || p.inside() && len(content) > plainLimit {
		done, err := r.commit(ctx, id, p, change{mode: in.Mode, match: strings.ToLower(in.IfMatch), data: []byte(content)})
		if err == nil {
			out.Bytes, out.SHA256 = done.size, done.hash
			return out, nil
		}
		var no *noScript
		if !plain || !errors.As(err, &no) || no.begun {
			return writeFileOut{}, changeError(p, err)
		}
	}
	if err := r.Client.Files.Write(ctx, id, string(p), content); err != nil {
		return writeFileOut{}, err
	}
	out.Bytes, out.SHA256 = int64(len(content)), hashOf([]byte(content))
	return out, nil
}

func checkMatch(hash string) error {
	if hash != "" && cleanHash(strings.ToLower(hash)) == "" {
		return badArgument("argument \"if_match\" must be a SHA-256 of 64 hexadecimal digits, as read_file with hash: true, write_file and edit_file give it; got %q", clip(hash, 80))
	}
	return nil
}

// changeError puts the failure of a change in words that are complete.
func changeError(p filePath, err error) error {
	var no *noScript
	var c *conflict
	switch {
	case errors.As(err, &c):
		return &refused{fmt.Sprintf("argument \"if_match\" does not fit %q: %v", p, c), callArgs{{"path", string(p)}, {"hash", true}}.call("read_file") + " shows what it holds now."}
	case errors.As(err, &no) && !no.begun:
		return &refused{no.Error() + "; without that it would not be safe from half-done or lost changes", "write_file with mode \"overwrite\", without if_match and as text, does without."}
	}
	return err
}

func (o writeFileOut) text() string {
	text := fmt.Sprintf("%s %s on instance %s: it has %d bytes now", o.did, o.Path, o.Instance, o.Bytes)
	if o.SHA256 != "" {
		text += ", sha256 " + o.SHA256
	}
	return text
}

type makeDirectoryIn struct {
	Path     string `json:"path"`
	Instance string `json:"instance,omitempty" jsonschema:"default: the configured or only ready one"`
}

type makeDirectoryOut struct {
	Instance string `json:"instance,omitempty"`
	Path     string `json:"path,omitempty"`
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
	if err := r.Client.Files.Mkdir(ctx, id, string(p)); err != nil {
		return makeDirectoryOut{}, err
	}
	return makeDirectoryOut{Instance: id, Path: path.Clean(string(p))}, nil
}

func (o makeDirectoryOut) text() string {
	return fmt.Sprintf("%s is a directory on instance %s", o.Path, o.Instance)
}

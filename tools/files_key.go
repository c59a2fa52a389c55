package tools

import (
	"context"
	"strings"

	"openclaw-mcp/internal/text"
)

// The caller's API key is masked in all that goes out, files included. Whoever writes what was
// read must not put the mask in the key's place.

// hideKey masks the key in a part of a file, also where the part is cut inside of it.
func (r *request) hideKey(o *readFileOut) {
	if o.Encoding == encBase64 || o.Encoding == encHex || o.image != nil {
		return
	}
	key, shown := r.Client.Secret(), o.Content
	if n := key.Ended(shown); o.Offset > 0 && n > 0 {
		shown = text.Mask + shown[n:]
	}
	if n := key.Begun(shown); o.Next != "" && n > 0 {
		shown = shown[:len(shown)-n] + text.Mask
	}
	if shown = key.Hide(shown); shown != o.Content {
		o.Content = shown
		o.note("your OpenClaw API key in it is shown as " + text.Mask + "; don't write that back")
	}
}

// keyInPlace refuses an edit of a text that has the mask where the file has the key.
func keyInPlace(key text.Secret, content, from string) error {
	if !strings.Contains(from, text.Mask) || strings.Contains(content, from) || !strings.Contains(key.Hide(content), from) {
		return nil
	}
	return &refused{"old_text has " + text.Mask + " where the file has your OpenClaw API key, which is not shown; nothing was changed",
		"edit the text before and behind it; exec_command can edit the key, for example with sed."}
}

// keepsKey refuses to write the mask over the key: the content of a file has it in a line that
// the new content repeats with the mask. A file that can't be read is not known to have it.
func (r *request) keepsKey(ctx context.Context, id string, p filePath, in writeFileIn) error {
	key := r.Client.Secret()
	if key == nil || in.Mode != "overwrite" || !p.inside() || !strings.Contains(in.Content, text.Mask) {
		return nil
	}
	old, err := r.toEdit(ctx, id, p)
	if err != nil || !key.In(string(old)) {
		return nil
	}
	for line := range strings.Lines(string(old)) {
		if masked := strings.TrimSpace(key.Hide(line)); key.In(line) && strings.Contains(in.Content, masked) {
			return &refused{"the content has " + text.Mask + " where the file has your OpenClaw API key, which is not shown; nothing was changed",
				"edit_file changes the text before and behind it."}
		}
	}
	return nil
}

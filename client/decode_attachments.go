package client

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/go-json-experiment/json/jsontext"

	"openclaw-mcp/internal/text"
)

// Attachment is a file that goes with a message: what it is, and where.
type Attachment struct {
	Name string // "" when unknown
	Type string // a media type, or a word like image; "" when unknown
	Size int64  // bytes, -1 when unknown
	Path string // in the instance; "" when unknown
	URL  string // elsewhere; "" when unknown
}

// String names the attachment, with its type and size as far as they are known.
func (a Attachment) String() string {
	name := a.Name
	if name == "" {
		name = "without a name"
	}
	facts := []string{name}
	if a.Type != "" {
		facts = append(facts, a.Type)
	}
	if a.Size >= 0 {
		facts = append(facts, text.Count(a.Size, "byte", "bytes"))
	}
	return strings.Join(facts, ", ")
}

// Note is what is told of an attachment beside a reply's text.
func (a Attachment) Note() string {
	switch {
	case a.Path != "":
		return fmt.Sprintf("attachment: %s: %s", a, a.Path)
	case a.URL != "":
		return fmt.Sprintf("attachment: %s: %s", a, a.URL)
	}
	return fmt.Sprintf("attachment: %s; the service does not say where it is", a)
}

const (
	maxAttachments    = 20  // of one message
	maxAttachmentText = 500 // of a name or a place, in bytes
)

// attachmentKinds are the types of content blocks that are files.
var attachmentKinds = []string{
	"attachment", "image", "image_url", "input_image", "output_image", "audio", "input_audio", "audio_url", "output_audio",
	"video", "input_video", "video_url", "file", "input_file", "output_file", "document", "media",
}

// decodeAttachments reads what goes with a message: blocks of its content, and lists
// beside that. One that is said twice is there once.
func decodeAttachments(o object) []Attachment {
	var all []Attachment
	add := func(raw jsontext.Value, kind string) {
		if a, ok := decodeAttachment(raw, kind); ok && len(all) < maxAttachments && !slices.Contains(all, a) {
			all = append(all, a)
		}
	}
	for _, k := range []string{"content", "parts"} {
		blocks, _ := asArray(o[k])
		for _, raw := range blocks {
			if b, ok := asObject(raw); ok && slices.Contains(attachmentKinds, b.text("type")) {
				add(raw, b.text("type"))
			}
		}
	}
	lists := []object{o}
	if beside, ok := o.object("__openclaw"); ok {
		lists = append(lists, beside)
	}
	for _, from := range lists {
		for _, k := range []string{"attachments", "files", "images", "media", "mediaUrls", "media_urls"} {
			listed, _ := asArray(from[k])
			for _, raw := range listed {
				add(raw, "")
			}
		}
		add(from.first("mediaUrl", "media_url"), "")
	}
	return all
}

// decodeAttachment reads one attachment. What says more of it may be an object inside.
func decodeAttachment(raw jsontext.Value, kind string) (Attachment, bool) {
	a := Attachment{Size: -1}
	if place, ok := asString(raw); ok {
		a.place(place)
		return a, a.Path != "" || a.URL != ""
	}
	o, ok := asObject(raw)
	if !ok {
		return a, false
	}
	parts := []object{o}
	for _, k := range []string{"attachment", "source", "image_url", "audio_url", "video_url", "input_audio", "file", "image", "audio", "video", "document"} {
		if inner, ok := asObject(o[k]); ok {
			parts = append(parts, inner)
		}
	}
	for _, p := range parts {
		setIfEmpty(&a.Name, p.text("fileName", "filename", "file_name", "name", "label", "title", "alt"))
		setIfEmpty(&a.Type, p.text("mimeType", "mime_type", "mimetype", "mediaType", "media_type", "contentType", "content_type"))
		if n, ok := p.number("size", "bytes", "sizeBytes", "size_bytes", "fileSize", "file_size"); ok && a.Size < 0 && n >= 0 {
			a.Size = int64(n)
		}
		for _, k := range []string{"path", "filePath", "file_path", "localPath", "url", "openUrl", "href", "downloadUrl", "download_url", "image_url", "audio_url", "video_url", "file_data", "source"} {
			place, _ := asString(p[k])
			a.place(place)
		}
		if data := p.text("data", "blob", "base64"); data != "" && a.Size < 0 {
			a.Size = encodedSize(data)
		}
	}
	for _, p := range parts {
		setIfEmpty(&a.Type, p.text("kind"))
	}
	if kind = strings.TrimSuffix(strings.TrimPrefix(strings.TrimPrefix(kind, "input_"), "output_"), "_url"); kind != "attachment" && kind != "media" {
		setIfEmpty(&a.Type, kind)
	}
	a.Name, a.Type = text.Line(a.Name, maxAttachmentText), text.Line(a.Type, 100)
	known := kind != "" || a.Name != "" || a.Path != "" || a.URL != ""
	return a, known
}

// place notes where an attachment is, and its name by that where it has no other. A data
// URL holds the attachment itself.
func (a *Attachment) place(s string) {
	switch {
	case s == "":
	case strings.HasPrefix(s, "data:"):
		head, data, _ := strings.Cut(strings.TrimPrefix(s, "data:"), ",")
		if media, isBase64 := strings.CutSuffix(head, ";base64"); isBase64 {
			setIfEmpty(&a.Type, media)
			if a.Size < 0 {
				a.Size = encodedSize(data)
			}
		}
	case len(s) > maxAttachmentText || strings.ContainsFunc(s, func(r rune) bool { return unicode.IsControl(r) || unicode.IsSpace(r) && r != ' ' }):
		// Nobody could read it by that.
	case strings.HasPrefix(s, "/workspace/") || strings.HasPrefix(s, "/tmp/") || strings.HasPrefix(s, "/home/"):
		setIfEmpty(&a.Path, s)
	case strings.Contains(s, ":") || strings.HasPrefix(s, "/"):
		setIfEmpty(&a.URL, s)
	}
	if a.Name == "" && (a.Path != "" || a.URL != "") {
		name, _, _ := strings.Cut(a.Path+a.URL, "?")
		a.Name = name[strings.LastIndexByte(name, '/')+1:]
	}
}

// encodedSize is how many bytes a base64 text stands for.
func encodedSize(data string) int64 {
	return int64(base64.RawStdEncoding.DecodedLen(len(strings.TrimRight(data, "="))))
}

// attach notes what goes with a message of the reply.
func (n *normaliser) attach(m object) {
	for _, a := range decodeAttachments(m) {
		if note := a.Note(); len(n.attached) < maxAttachments && !slices.Contains(n.attached, note) {
			n.attached = append(n.attached, note)
		}
	}
}

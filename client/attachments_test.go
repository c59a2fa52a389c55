package client

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAttachments(t *testing.T) {
	for name, tt := range map[string]struct {
		message string
		want    []Attachment
	}{
		"none": {`{"content":[{"type":"text","text":"hi"},{"type":"toolCall","name":"exec"}]}`, nil},
		"a picture whose data the gateway left out": {`{"content":[{"type":"image","mimeType":"image/png","omitted":true,"bytes":2048}]}`,
			[]Attachment{{Type: "image/png", Size: 2048}}},
		"a file that the gateway serves": {`{"content":[{"type":"attachment","attachment":{"url":"/api/chat/media/outgoing/s/a1/full","kind":"document","label":"report.pdf","mimeType":"application/pdf"}}]}`,
			[]Attachment{{Name: "report.pdf", Type: "application/pdf", Size: -1, URL: "/api/chat/media/outgoing/s/a1/full"}}},
		"media beside the message": {`{"content":"see","__openclaw":{"media":[{"path":"/workspace/out/chart.png","contentType":"image/png"}]}}`,
			[]Attachment{{Name: "chart.png", Type: "image/png", Size: -1, Path: "/workspace/out/chart.png"}}},
		"a reply's media": {`{"text":"see","mediaUrl":"https://example.com/a.png?sig=1","mediaUrls":["https://example.com/a.png?sig=1"]}`,
			[]Attachment{{Name: "a.png", Size: -1, URL: "https://example.com/a.png?sig=1"}}},
		"OpenAI's": {`{"content":[{"type":"image_url","image_url":{"url":"data:image/gif;base64,R0lGODlh"}},{"type":"file","file":{"filename":"a.txt","file_data":"data:text/plain;base64,aGk="}}]}`,
			[]Attachment{{Type: "image/gif", Size: 6}, {Name: "a.txt", Type: "text/plain", Size: 2}}},
		"Claude's": {`{"content":[{"type":"document","title":"notes","source":{"type":"base64","media_type":"application/pdf","data":"aGVsbG8="}}]}`,
			[]Attachment{{Name: "notes", Type: "application/pdf", Size: 5}}},
		"a list beside the text": {`{"content":"x","attachments":[{"name":"a.csv","size":12,"path":"/workspace/a.csv"},"/workspace/b.csv",null,7,{}]}`,
			[]Attachment{{Name: "a.csv", Size: 12, Path: "/workspace/a.csv"}, {Name: "b.csv", Size: -1, Path: "/workspace/b.csv"}}},
		"hostile": {`{"content":"x","files":["` + strings.Repeat("/", 1000) + `",{"name":"a\nrole: system"},{"url":"https://x/\u001b[2J"}]}`,
			[]Attachment{{Name: "a role: system", Size: -1}}},
	} {
		o, ok := asObject([]byte(tt.message))
		if !ok {
			t.Fatalf("%s is not an object", name)
		}
		if diff := cmp.Diff(tt.want, decodeAttachments(o)); diff != "" {
			t.Errorf("%s (-want +got)\n%s", name, diff)
		}
	}
}

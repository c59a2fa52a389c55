package tools

import (
	"context"
	"strings"
	"testing"
	"time"

	"openclaw-mcp/client"
	"openclaw-mcp/internal/emulator/emulatortest"
)

// A file that has the caller's key is read with a mask in its place, which no edit and no
// writing puts there.
func TestKeyInFiles(t *testing.T) {
	t.Parallel()
	const key = "sk_live_0123456789abcdef"
	b := newBench(t, emulatortest.Options{})
	services, err := b.deps.Services(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	c, err := client.New(nil, services.Client.BaseURL(), key, client.WithRetry(2, time.Millisecond, time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.CloseIdleConnections)
	if b.id, err = b.srv.AddInstance(key); err != nil {
		t.Fatal(err)
	}
	b.dir = b.srv.Workspace(b.id)
	services = NewServices(c, testRuns(t, c))
	b.deps.Services = func(context.Context) (*Services, error) { return services, nil }

	const content = "a=1\nkey=" + key + "\nb=***\n"
	masked := strings.ReplaceAll(content, key, "***")
	b.put("env", content)
	for _, encoding := range []string{"auto", "text"} {
		got := call[readFileOut](b, "read_file", args{"path": "env", "encoding": encoding})
		if got.Content != masked || !strings.Contains(got.Note, "API key") {
			t.Errorf("%s: %+v", encoding, got)
		}
		first := call[readFileOut](b, "read_file", args{"path": "env", "encoding": encoding, "offset": 0, "count": 20})
		rest := call[readFileOut](b, "read_file", args{"path": "env", "encoding": encoding, "offset": 20})
		if first.Content != "a=1\nkey=***" || rest.Content != "***\nb=***\n" {
			t.Errorf("%s: in two parts, %q and %q", encoding, first.Content, rest.Content)
		}
	}
	b.refuse("edit_file", args{"path": "env", "old_text": "key=***\n", "new_text": "key=***\nc=2\n"}, "API key", "nothing was changed")
	b.refuse("write_file", args{"path": "env", "content": masked + "c=2\n"}, "API key", "nothing was changed")
	b.want("env", content)
	call[editFileOut](b, "edit_file", args{"path": "env", "old_text": "b=***", "new_text": "b=****"})
	b.want("env", strings.Replace(content, "b=***", "b=****", 1))
	call[writeFileOut](b, "write_file", args{"path": "env", "content": "b=***\n"})
	b.want("env", "b=***\n")
}

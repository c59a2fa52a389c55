package transport

import (
	"encoding/json"
	"testing"

	"github.com/mark3labs/mcp-go/mcp"
)

// What a client can be asked is known again to who makes its session from the id.
func TestSessionIDKeepsWhatTheClientCan(t *testing.T) {
	t.Parallel()
	ids, p := newSessionIDs(), Principal{Name: "a", Key: "key"}
	for _, able := range []string{`{}`, `{"elicitation":{}}`, `{"elicitation":{"form":{}}}`, `{"elicitation":{"url":{}}}`, `{"elicitation":{"form":{},"url":{}}}`} {
		s := newSession("", p)
		s.version = legacy
		if err := json.Unmarshal([]byte(able), &s.caps); err != nil {
			t.Fatal(err)
		}
		id, err := ids.seal(p, stateOf(s))
		if err != nil {
			t.Fatal(err)
		}
		st, err := ids.open(p, id)
		if err != nil {
			t.Fatal(err)
		}
		again := sessionOf(id, p, st)
		of := func(c mcp.ClientCapabilities) [2]bool { return [2]bool{asksForms(c), opensPages(c)} }
		if of(again.caps) != of(s.caps) || again.version != legacy {
			t.Errorf("%s: forms and pages were %v, and are %v", able, of(s.caps), of(again.caps))
		}
	}
}

package tools

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/mark3labs/mcp-go/mcp"

	"openclaw-mcp/internal/emulator/emulatortest"
)

// Where creating an instance needs a subscription, a client that can send its user to a page
// does that, and the call goes on after it. Nobody is sent twice, nor to a page that is not
// known.
func TestSubscriptionPage(t *testing.T) {
	t.Parallel()
	b := newHandleBench(t)
	refuses := emulatortest.Fault{Endpoint: "POST /instances", Status: 403}
	b.srv.SetFaults(refuses)
	create := func(x Exchange) Result {
		i := slices.IndexFunc(All(), func(t *Tool) bool { return t.Name == "create_instance" })
		return All()[i].Call(t.Context(), b.deps, json.RawMessage(`{}`), x)
	}
	if r := create(Exchange{CanAsk: true, CanOpen: true}); r.Ask != nil || !r.IsError || !strings.Contains(r.Text, "invite_code") {
		t.Errorf("of a service whose site is not known: %+v", r)
	}
	b.deps.Website = "https://openclaw.example"
	r := create(Exchange{CanAsk: true, CanOpen: true})
	if r.Ask == nil || r.Ask.URL != "https://openclaw.example" {
		t.Fatalf("got %+v", r)
	}
	asked, ok := r.mcp().InputRequests[pageID]
	raw, err := json.Marshal(asked)
	if !ok || err != nil || !strings.Contains(string(raw), `"mode":"url"`) || !strings.Contains(string(raw), `"url":"https://openclaw.example"`) || strings.Contains(string(raw), "elicitationId") {
		t.Errorf("the client is asked %s, %v", raw, err)
	}
	b.srv.SetFaults()
	if r := create(Exchange{CanOpen: true, Answer: &Answer{Yes: true}}); r.IsError || !strings.Contains(r.Text, "is ready") {
		t.Errorf("after the page: %+v", r)
	}
	b.srv.SetFaults(refuses)
	for name, x := range map[string]Exchange{
		"still no subscription": {CanOpen: true, Answer: &Answer{Yes: true}}, "the user said no": {CanOpen: true, Answer: &Answer{}}, "a client without pages": {CanAsk: true},
	} {
		if r := create(x); r.Ask != nil || !r.IsError || !strings.Contains(r.Text, "invite_code") || strings.Contains(r.Text, "was sent to") != (x.Answer != nil && x.Answer.Yes) {
			t.Errorf("%s: %+v", name, r)
		}
	}
	before := b.srv.Calls("POST /instances")
	if r := create(Exchange{CanOpen: true, Answer: &Answer{Declined: true}}); !r.IsError || !strings.Contains(r.Text, "declined by the user. No instance was created") || b.srv.Calls("POST /instances") != before {
		t.Errorf("the user declined: %+v", r)
	}
}

// What a client says of elicitation tells which questions it can put.
func TestElicitationModes(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string][2]bool{
		`{}`: {}, `{"elicitation":{}}`: {true, false}, `{"elicitation":{"form":{}}}`: {true, false},
		`{"elicitation":{"url":{}}}`: {false, true}, `{"elicitation":{"form":{},"url":{}}}`: {true, true},
	} {
		var c mcp.ClientCapabilities
		if err := json.Unmarshal([]byte(raw), &c); err != nil {
			t.Fatal(err)
		}
		if forms, pages := asksForms(c), opensPages(c); forms != want[0] || pages != want[1] {
			t.Errorf("%s: forms %v, pages %v; want %v", raw, forms, pages, want)
		}
	}
}

package transport

import (
	"reflect"
	"strings"
	"testing"

	"github.com/mark3labs/mcp-go/mcp"
)

// A session keeps of its client what somebody asks for, however much the client said.
func TestWhatIsKeptOfAClient(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("ü", 50_000)
	s := requestSession{session: newSession("s", Local)}
	s.SetClientInfo(mcp.Implementation{Name: "client", Version: "1" + long, Title: long, Description: long, Icons: make([]mcp.Icon, 100)})
	if got, want := s.GetClientInfo(), (mcp.Implementation{Name: "client", Version: "1" + strings.Repeat("ü", 63)}); !reflect.DeepEqual(got, want) {
		t.Errorf("got %.300v", got)
	}
	said := mcp.ClientCapabilities{
		Elicitation:  &mcp.ElicitationCapability{URL: &struct{}{}},
		Sampling:     &mcp.SamplingCapability{Tools: &struct{}{}},
		Experimental: map[string]any{"x": make([]any, 1000)},
		Extensions:   map[string]any{"ui": map[string]any{"x": long}, long: struct{}{}, "none": nil},
	}
	s.SetClientCapabilities(said)
	if got, want := s.GetClientCapabilities(), (mcp.ClientCapabilities{Elicitation: said.Elicitation, Sampling: said.Sampling, Extensions: map[string]any{"ui": struct{}{}}}); !reflect.DeepEqual(got, want) {
		t.Errorf("got %.300v", got)
	}
	for i := range 1000 {
		said.Extensions[strings.Repeat("x", 1+i%100)+string(rune('a'+i%26))] = struct{}{}
	}
	s.SetClientCapabilities(said)
	if n := len(s.GetClientCapabilities().Extensions); n != maxKeptNames {
		t.Errorf("%d extensions are kept", n)
	}
}

package prompts

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"
)

// Every prompt names its tools in the order of their use, and puts all of its
// arguments into the text.
func TestPrompts(t *testing.T) {
	for _, p := range All() {
		given := map[string]string{}
		for _, a := range p.args {
			given[a.name] = "the-" + a.name
		}
		for _, full := range []bool{true, false} {
			if !full {
				for _, a := range p.args {
					if !a.required {
						delete(given, a.name)
					}
				}
			}
			got, err := p.Get(given)
			if err != nil {
				t.Errorf("%s: %v", p.Name, err)
				continue
			}
			text := got.Messages[0].Content.(mcp.TextContent).Text
			for name, value := range given {
				if !strings.Contains(text, value) {
					t.Errorf("%s: the argument %s is not in the text:\n%s", p.Name, name, text)
				}
			}
			last := 0
			for i, tool := range p.Tools {
				if i == 0 && p.Name == "delegate_task" && given["session"] != "" {
					continue // there is a session already
				}
				at := strings.Index(text, "`"+tool+"`")
				switch {
				case at < 0 && p.Name == "catch_up_session":
				case at < 0:
					t.Errorf("%s: %s is not in the text:\n%s", p.Name, tool, text)
				case at < last:
					t.Errorf("%s: %s comes too early", p.Name, tool)
				}
				last = max(last, at)
			}
			if strings.Contains(text, "%!") || strings.Contains(text, ": ,") {
				t.Errorf("%s:\n%s", p.Name, text)
			}
		}
	}
}

func TestHandlesAreExplained(t *testing.T) {
	for _, p := range []*Prompt{delegateTask, debugCommand} {
		if _, err := p.Get(map[string]string{"task": "x", "command": "x"}); err == nil {
			t.Errorf("%s takes an argument that it does not have", p.Name)
		}
		got, err := p.Get(map[string]string{p.args[0].name: "x"})
		if err != nil {
			t.Fatal(err)
		}
		text := got.Messages[0].Content.(mcp.TextContent).Text
		for _, word := range []string{"`run` handle", "wait_run", "status \"running\"", "Never repeat"} {
			if !strings.Contains(text, word) {
				t.Errorf("%s does not say %q", p.Name, word)
			}
		}
	}
}

func TestPromptErrors(t *testing.T) {
	for _, given := range []map[string]string{
		{}, {"task": "  "}, {"task": "x", "else": "y"}, {"task": strings.Repeat("x", maxArgument+1)},
	} {
		_, err := delegateTask.Get(given)
		var e *Error
		if !errors.As(err, &e) {
			t.Errorf("%v: %v", len(given), err)
			continue
		}
		if code, _ := e.RPCError(false); code != mcp.INVALID_PARAMS {
			t.Errorf("code %d", code)
		}
	}
}

func TestPathsInShells(t *testing.T) {
	got, err := reviewWorkspace.Get(map[string]string{"path": "workspace/it's"})
	if err != nil {
		t.Fatal(err)
	}
	if text := got.Messages[0].Content.(mcp.TextContent).Text; !strings.Contains(text, `cd '/workspace/it'\\''s' &&`) {
		t.Errorf("got\n%s", text)
	}
}

// echo completes everything to what it was asked.
type echo struct{}

func (echo) Complete(_ context.Context, arg, value string, known map[string]string) *mcp.Completion {
	return &mcp.Completion{Values: []string{fmt.Sprint(arg, value, known)}}
}

func TestCompletion(t *testing.T) {
	c := completions{Deps{Completer: echo{}}}
	for _, p := range All() {
		for _, a := range p.args {
			got, err := c.CompletePromptArgument(t.Context(), p.Name, mcp.CompleteArgument{Name: a.name, Value: "v"}, mcp.CompleteContext{})
			if err != nil || (len(got.Values) > 0) != (a.complete != "") {
				t.Errorf("%s %s: %v, %v", p.Name, a.name, got, err)
			}
		}
	}
	if _, err := c.CompletePromptArgument(t.Context(), "none", mcp.CompleteArgument{}, mcp.CompleteContext{}); err == nil {
		t.Error("a prompt that does not exist completes")
	}
}

// A prompt is offered where all of its tools may be used, and nowhere else.
func TestFilter(t *testing.T) {
	var forbidden string
	options := Options(Deps{Completer: echo{}, AllowTool: func(_ context.Context, name string) error {
		if name == forbidden {
			return errors.New("no")
		}
		return nil
	}})
	s := server.NewMCPServer("t", "1", options...)
	Register(s)
	names := func() (list []string) {
		answer := s.HandleMessage(t.Context(), []byte(`{"jsonrpc":"2.0","id":1,"method":"prompts/list"}`))
		for _, p := range answer.(mcp.JSONRPCResponse).Result.(mcp.ListPromptsResult).Prompts {
			list = append(list, p.Name)
		}
		return list
	}
	if got := names(); len(got) != len(All()) {
		t.Errorf("got %v", got)
	}
	forbidden = "send_chat_message"
	if got := names(); len(got) != len(All())-1 || slices.Contains(got, "delegate_task") {
		t.Errorf("got %v", got)
	}
	get := []byte(`{"jsonrpc":"2.0","id":1,"method":"prompts/get","params":{"name":"delegate_task","arguments":{"task":"x"}}}`)
	if _, ok := s.HandleMessage(t.Context(), get).(mcp.JSONRPCError); !ok {
		t.Error("a hidden prompt can be had")
	}
}

// Package prompts is the MCP prompts: ways to work with an instance that people
// pick from a menu. Each tells the model which tools to use, in which order, and
// what to hand from one to the next.
package prompts

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"
)

// Completer completes arguments; known are the ones that are filled in.
type Completer interface {
	Complete(ctx context.Context, arg, value string, known map[string]string) *mcp.Completion
}

// Deps is what prompts work with; the program wires it.
type Deps struct {
	Completer Completer
	// AllowTool reports why ctx's request may not use a tool. A prompt whose
	// tools may not be used is not offered.
	AllowTool func(ctx context.Context, name string) error
}

// argument is one argument of a prompt.
type argument struct {
	name, title, description string
	required                 bool
	complete                 string // what it is completed as; "" for free text
}

// Prompt is a prompt ready to be registered.
type Prompt struct {
	Name, Title, Description string
	Tools                    []string // that the text names, in order of use
	args                     []argument
	text                     func(a args) string
}

// maxArgument bounds what is put into a prompt, in bytes.
const maxArgument = 20_000

// Error is a request for a prompt that the caller got wrong.
type Error struct{ text string }

func (e *Error) Error() string { return e.text }

// RPCError gives the code of the JSON-RPC answer: invalid params, in every protocol version.
func (e *Error) RPCError(bool) (int, any) { return mcp.INVALID_PARAMS, nil }

// args are the arguments of one request.
type args map[string]string

// call renders a call of a tool as the model is to make it: name, then pairs of
// argument and value, without those that are empty.
func call(tool string, pairs ...string) string {
	var b strings.Builder
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] == "" {
			continue
		}
		if b.Len() > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%s: %s", pairs[i], pairs[i+1])
	}
	return "`" + tool + "` {" + b.String() + "}"
}

func quoted(s string) string {
	if s == "" {
		return ""
	}
	return fmt.Sprintf("%q", s)
}

// Definition is the prompt as prompts/list shows it.
func (p *Prompt) Definition() mcp.Prompt {
	def := mcp.Prompt{Name: p.Name, Title: p.Title, Description: p.Description}
	for _, a := range p.args {
		def.Arguments = append(def.Arguments, mcp.PromptArgument{Name: a.name, Title: a.title, Description: a.description, Required: a.required})
	}
	return def
}

// Get renders the prompt. Its errors are *Error.
func (p *Prompt) Get(given map[string]string) (*mcp.GetPromptResult, error) {
	for name, value := range given {
		i := slices.IndexFunc(p.args, func(a argument) bool { return a.name == name })
		if i < 0 {
			return nil, &Error{fmt.Sprintf("prompt %s has no argument %q; it has: %s", p.Name, name, p.names())}
		}
		if len(value) > maxArgument {
			return nil, &Error{fmt.Sprintf("argument %q of prompt %s is longer than %d bytes", name, p.Name, maxArgument)}
		}
	}
	a := args{}
	for _, arg := range p.args {
		a[arg.name] = strings.TrimSpace(given[arg.name])
		if arg.required && a[arg.name] == "" {
			return nil, &Error{fmt.Sprintf("argument %q of prompt %s is required: %s", arg.name, p.Name, arg.description)}
		}
	}
	return &mcp.GetPromptResult{
		Description: p.Description,
		Messages:    []mcp.PromptMessage{mcp.NewPromptMessage(mcp.RoleUser, mcp.NewTextContent(p.text(a)))},
	}, nil
}

func (p *Prompt) names() string {
	var names []string
	for _, a := range p.args {
		names = append(names, a.name)
	}
	return strings.Join(names, ", ")
}

// Options set an MCP server up to offer prompts.
func Options(d Deps) []server.ServerOption {
	return []server.ServerOption{
		server.WithPromptCapabilities(false),
		server.WithPromptFilter(filter(d)),
		server.WithPromptCompletionProvider(completions{d}),
	}
}

// Register adds all prompts to an MCP server made with Options.
func Register(s *server.MCPServer) {
	for _, p := range All() {
		s.AddPrompt(p.Definition(), func(_ context.Context, req mcp.GetPromptRequest) (*mcp.GetPromptResult, error) {
			return p.Get(req.Params.Arguments)
		})
	}
}

// filter leaves out, and so refuses, prompts whose tools may not be used.
func filter(d Deps) server.PromptFilterFunc {
	all := All()
	return func(ctx context.Context, listed []mcp.Prompt) []mcp.Prompt {
		return slices.DeleteFunc(slices.Clone(listed), func(m mcp.Prompt) bool {
			i := slices.IndexFunc(all, func(p *Prompt) bool { return p.Name == m.Name })
			return i >= 0 && slices.ContainsFunc(all[i].Tools, func(tool string) bool { return d.AllowTool(ctx, tool) != nil })
		})
	}
}

// completions completes the arguments of prompts.
type completions struct{ Deps }

// CompletePromptArgument implements server.PromptCompletionProvider.
func (c completions) CompletePromptArgument(ctx context.Context, name string, arg mcp.CompleteArgument, known mcp.CompleteContext) (*mcp.Completion, error) {
	for _, p := range All() {
		if p.Name != name {
			continue
		}
		for _, a := range p.args {
			if a.name == arg.Name && a.complete != "" {
				return c.Completer.Complete(ctx, a.complete, arg.Value, known.Arguments), nil
			}
		}
		return &mcp.Completion{Values: []string{}}, nil
	}
	return nil, &Error{fmt.Sprintf("there is no prompt %q", name)}
}

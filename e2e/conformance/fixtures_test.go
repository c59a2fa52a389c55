//go:build e2e

package conformance

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"

	"openclaw-mcp/transport"
)

// The tools, resources and prompts that the suite asks a server to have. What
// they do is trivial: what is tested is the transport that they are reached by.

const (
	redPixel = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg=="
	silence  = "UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAIA+AAACABAAZGF0YQIAAAAAAA=="
)

// newFixtures is an MCP server with all of them.
func newFixtures(j *jobs) *server.MCPServer {
	hooks := &server.Hooks{}
	hooks.AddOnError(transport.OnError)
	s := server.NewMCPServer("conformance-fixtures", "1",
		server.WithHooks(hooks), server.WithToolCapabilities(false), server.WithResourceCapabilities(true, false),
		server.WithPromptCapabilities(false), server.WithCompletions(), server.WithExtensions(map[string]any{transport.TasksExtension: struct{}{}}), server.WithPromptCompletionProvider(completions{}),
	)
	addContentTools(s)
	addAskingTools(s)
	addRoundTripTools(s)
	addTaskTools(s, j)
	addResources(s)
	addPrompts(s)
	return s
}

// tool adds a tool without arguments.
func tool(s *server.MCPServer, name string, f func(context.Context, mcp.CallToolRequest) (*mcp.CallToolResult, error)) {
	s.AddTool(mcp.NewTool(name, mcp.WithDescription("Fixture of the conformance suite: "+name)), f)
}

func text(format string, args ...any) *mcp.CallToolResult {
	return mcp.NewToolResultText(fmt.Sprintf(format, args...))
}

func embedded(uri, mime, content string) mcp.EmbeddedResource {
	return mcp.NewEmbeddedResource(mcp.TextResourceContents{URI: uri, MIMEType: mime, Text: content})
}

func addContentTools(s *server.MCPServer) {
	for name, content := range map[string][]mcp.Content{
		"test_simple_text":       {mcp.NewTextContent("This is a simple text response for testing.")},
		"test_image_content":     {mcp.NewImageContent(redPixel, "image/png")},
		"test_audio_content":     {mcp.NewAudioContent(silence, "audio/wav")},
		"test_embedded_resource": {embedded("test://embedded-resource", "text/plain", "This is an embedded resource content.")},
		"test_multiple_content_types": {
			mcp.NewTextContent("Multiple content types test:"),
			mcp.NewImageContent(redPixel, "image/png"),
			embedded("test://mixed-content-resource", "application/json", `{"test":"data","value":123}`),
		},
		// Nothing is logged, whether or not the request asks for it: this server has no logging.
		"test_logging_tool": {mcp.NewTextContent("done")},
	} {
		tool(s, name, func(context.Context, mcp.CallToolRequest) (*mcp.CallToolResult, error) {
			return &mcp.CallToolResult{Content: content}, nil
		})
	}
	tool(s, "test_error_handling", func(context.Context, mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		return mcp.NewToolResultError("This tool intentionally returns an error for testing"), nil
	})
	tool(s, "test_tool_with_progress", func(ctx context.Context, _ mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		for _, step := range []string{"begun", "half way", "done"} {
			if err := transport.CallFrom(ctx).Progress(step); err != nil {
				return nil, err
			}
		}
		return text("done"), nil
	})
	tool(s, "test_missing_capability", func(ctx context.Context, _ mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		if capabilities(ctx).Sampling == nil {
			return nil, missingCapability{}
		}
		return text("sampling is there"), nil
	})
	s.AddTool(mcp.NewToolWithRawSchema("json_schema_2020_12_tool", "Tool with JSON Schema 2020-12 features", json.RawMessage(schema2020)),
		func(context.Context, mcp.CallToolRequest) (*mcp.CallToolResult, error) { return text("ok"), nil })
	s.AddTool(mcp.NewToolWithRawSchema("test_region_header", "Takes its argument in a header too", json.RawMessage(schemaHeader)),
		func(_ context.Context, r mcp.CallToolRequest) (*mcp.CallToolResult, error) {
			return text("region %s", r.GetString("region", "")), nil
		})
}

const schema2020 = `{
	"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object",
	"$defs": {"address": {"$anchor": "addressDef", "type": "object",
		"properties": {"street": {"type": "string"}, "city": {"type": "string"}}}},
	"properties": {
		"name": {"type": "string"}, "address": {"$ref": "#/$defs/address"},
		"contactMethod": {"type": "string", "enum": ["phone", "email"]},
		"phone": {"type": "string"}, "email": {"type": "string"}},
	"allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
	"if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
	"then": {"required": ["phone"]}, "else": {"required": ["email"]},
	"additionalProperties": false}`

const schemaHeader = `{"type": "object", "required": ["region"],
	"properties": {"region": {"type": "string", "x-mcp-header": "Region"}}}`

// missingCapability refuses a client that can't be asked for a completion.
type missingCapability struct{}

func (missingCapability) Error() string { return "the client has no sampling" }
func (missingCapability) RPCError(bool) (int, any) {
	return mcp.MISSING_REQUIRED_CLIENT_CAPABILITY, map[string]any{"requiredCapabilities": map[string]any{"sampling": map[string]any{}}}
}

// badState is a requestState that this server did not make.
type badState struct{}

func (badState) Error() string            { return "requestState is not one of this server's" }
func (badState) RPCError(bool) (int, any) { return mcp.INVALID_PARAMS, nil }

// capabilities are what the client of the call can do.
func capabilities(ctx context.Context) mcp.ClientCapabilities {
	if s, ok := server.ClientSessionFromContext(ctx).(server.SessionWithClientInfo); ok {
		return s.GetClientCapabilities()
	}
	return mcp.ClientCapabilities{}
}

func object(required []string, properties map[string]any) map[string]any {
	schema := map[string]any{"type": "object", "properties": properties}
	if len(required) > 0 {
		schema["required"] = required
	}
	return schema
}

var aString = map[string]any{"type": "string"}

// titled lists choices as the specification's titled enums do.
func titled(values ...string) (all []any) {
	for _, v := range values {
		all = append(all, map[string]any{"const": v, "title": strings.ToUpper(v)})
	}
	return all
}

// addAskingTools adds the tools that ask the user in the middle of a call, in
// the legacy era.
func addAskingTools(s *server.MCPServer) {
	asks := func(name string, schema func(mcp.CallToolRequest) (string, map[string]any)) {
		tool(s, name, func(ctx context.Context, r mcp.CallToolRequest) (*mcp.CallToolResult, error) {
			message, requested := schema(r)
			answer, err := s.RequestElicitation(ctx, mcp.ElicitationRequest{Params: mcp.ElicitationParams{Message: message, RequestedSchema: requested}})
			if err != nil {
				return mcp.NewToolResultError(err.Error()), nil
			}
			return text("action=%s content=%v", answer.Action, answer.Content), nil
		})
	}
	asks("test_elicitation", func(r mcp.CallToolRequest) (string, map[string]any) {
		return r.GetString("message", ""), object([]string{"username", "email"}, map[string]any{"username": aString, "email": aString})
	})
	asks("test_elicitation_sep1034_defaults", func(mcp.CallToolRequest) (string, map[string]any) {
		return "Who are you?", object(nil, map[string]any{
			"name":     map[string]any{"type": "string", "default": "John Doe"},
			"age":      map[string]any{"type": "integer", "default": 30},
			"score":    map[string]any{"type": "number", "default": 95.5},
			"status":   map[string]any{"type": "string", "enum": []string{"active", "inactive", "pending"}, "default": "active"},
			"verified": map[string]any{"type": "boolean", "default": true},
		})
	})
	asks("test_elicitation_sep1330_enums", func(mcp.CallToolRequest) (string, map[string]any) {
		options := []string{"option1", "option2", "option3"}
		return "Choose", object(nil, map[string]any{
			"untitledSingle": map[string]any{"type": "string", "enum": options},
			"titledSingle":   map[string]any{"type": "string", "oneOf": titled("value1", "value2", "value3")},
			"legacyEnum":     map[string]any{"type": "string", "enum": []string{"opt1", "opt2", "opt3"}, "enumNames": []string{"One", "Two", "Three"}},
			"untitledMulti":  map[string]any{"type": "array", "items": map[string]any{"type": "string", "enum": options}},
			"titledMulti":    map[string]any{"type": "array", "items": map[string]any{"anyOf": titled("value1", "value2", "value3")}},
		})
	})
}

func sample(prompt string) mcp.CreateMessageParams {
	return mcp.CreateMessageParams{MaxTokens: 100, Messages: []mcp.SamplingMessage{{Role: mcp.RoleUser, Content: mcp.NewTextContent(prompt)}}}
}

func elicit(message, property, typ string) mcp.ElicitationParams {
	return mcp.ElicitationParams{Message: message, RequestedSchema: object([]string{property}, map[string]any{property: map[string]any{"type": typ}})}
}

// sealed makes a requestState that opened takes for this server's own.
func sealed(s string) string {
	mac := hmac.New(sha256.New, []byte("of the fixtures alone"))
	mac.Write([]byte(s))
	return s + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

func opened(state string) (string, error) {
	s, _, _ := strings.Cut(state, ".")
	if !hmac.Equal([]byte(sealed(s)), []byte(state)) {
		return "", badState{}
	}
	return s, nil
}

// addRoundTripTools adds the tools that ask by answering "input required"
// (2026-07-28).
func addRoundTripTools(s *server.MCPServer) {
	asker := func(state string) *server.InputRequestBuilder { return server.NewInputRequestBuilder(state) }
	tool(s, "test_input_required_result_elicitation", func(_ context.Context, r mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		answer := server.ElicitationResponse(r.Params.InputResponses, "user_name")
		name, ok := stringIn(answer, "name")
		if !ok {
			return asker("").Elicit("user_name", elicit("What is your name?", "name", "string")).ToolResult(), nil
		}
		return text("Hello, %s!", name), nil
	})
	tool(s, "test_input_required_result_sampling", func(_ context.Context, r mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		answer := server.SamplingResponse(r.Params.InputResponses, "capital_question")
		if answer == nil {
			return asker("").Sample("capital_question", sample("What is the capital of France?")).ToolResult(), nil
		}
		return text("%v", answer.Content), nil
	})
	tool(s, "test_input_required_result_list_roots", func(_ context.Context, r mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		answer := server.RootsResponse(r.Params.InputResponses, "client_roots")
		if answer == nil {
			return asker("").Roots("client_roots").ToolResult(), nil
		}
		return text("%v", answer.Roots), nil
	})
	confirm := func(_ context.Context, r mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		if r.Params.RequestState == "" {
			return asker(sealed("confirm")).Elicit("confirm", elicit("Please confirm", "ok", "boolean")).ToolResult(), nil
		}
		if _, err := opened(r.Params.RequestState); err != nil {
			return nil, err
		}
		return text("state-ok"), nil
	}
	tool(s, "test_input_required_result_request_state", confirm)
	tool(s, "test_input_required_result_tampered_state", confirm)
	tool(s, "test_input_required_result_multiple_inputs", func(_ context.Context, r mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		if r.Params.RequestState == "" {
			return asker(sealed("all")).Elicit("user_name", elicit("What is your name?", "name", "string")).
				Sample("greeting", sample("Generate a greeting")).Roots("client_roots").ToolResult(), nil
		}
		if _, err := opened(r.Params.RequestState); err != nil {
			return nil, err
		}
		for _, id := range []string{"user_name", "greeting", "client_roots"} {
			if _, ok := server.InputResponse(r.Params.InputResponses, id); !ok {
				return nil, errors.New("no answer to " + id)
			}
		}
		return text("all answered"), nil
	})
	tool(s, "test_input_required_result_multi_round", func(_ context.Context, r mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		if r.Params.RequestState == "" {
			return asker(sealed("1")).Elicit("step1", elicit("Step 1: What is your name?", "name", "string")).ToolResult(), nil
		}
		round, err := opened(r.Params.RequestState)
		if err != nil {
			return nil, err
		}
		if round == "1" {
			return asker(sealed("2")).Elicit("step2", elicit("Step 2: What is your favorite color?", "color", "string")).ToolResult(), nil
		}
		return text("after round %s", round), nil
	})
	// Asks for all that the client announces, and for nothing else.
	all := func(ctx context.Context, r mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		if len(r.Params.InputResponses) > 0 {
			return text("answered"), nil
		}
		b, can := asker(""), capabilities(ctx)
		if can.Elicitation != nil {
			b.Elicit("name", elicit("What is your name?", "name", "string"))
		}
		if can.Sampling != nil {
			b.Sample("greeting", sample("Generate a greeting"))
		}
		return b.ToolResult(), nil
	}
	tool(s, "test_input_required_result_capabilities", all)
	tool(s, "test_streaming_elicitation", all)
}

// stringIn gives a text that the user entered.
func stringIn(answer *mcp.ElicitationResult, property string) (string, bool) {
	if answer == nil || answer.Action != mcp.ElicitationResponseActionAccept {
		return "", false
	}
	fields, _ := answer.Content.(map[string]any)
	s, ok := fields[property].(string)
	return s, ok
}

func addResources(s *server.MCPServer) {
	add := func(uri, mime string, contents mcp.ResourceContents) {
		s.AddResource(mcp.NewResource(uri, strings.TrimPrefix(uri, "test://"), mcp.WithMIMEType(mime), mcp.WithResourceDescription("Fixture "+uri)),
			func(context.Context, mcp.ReadResourceRequest) ([]mcp.ResourceContents, error) {
				return []mcp.ResourceContents{contents}, nil
			})
	}
	add("test://static-text", "text/plain", mcp.TextResourceContents{
		URI: "test://static-text", MIMEType: "text/plain", Text: "This is the content of the static text resource."})
	add("test://static-binary", "image/png", mcp.BlobResourceContents{URI: "test://static-binary", MIMEType: "image/png", Blob: redPixel})
	add(watched, "text/plain", mcp.TextResourceContents{URI: watched, MIMEType: "text/plain", Text: "watched"})
	s.AddResourceTemplate(mcp.NewResourceTemplate("test://template/{id}/data", "template", mcp.WithTemplateMIMEType("application/json")),
		func(_ context.Context, r mcp.ReadResourceRequest) ([]mcp.ResourceContents, error) {
			ids, _ := r.Params.Arguments["id"].([]string)
			if len(ids) != 1 {
				return nil, fmt.Errorf("%s has no id", r.Params.URI)
			}
			data, err := json.Marshal(map[string]any{"id": ids[0], "templateTest": true, "data": "Data for ID: " + ids[0]})
			return []mcp.ResourceContents{mcp.TextResourceContents{URI: r.Params.URI, MIMEType: "application/json", Text: string(data)}}, err
		})
}

const watched = "test://watched-resource"

// subscriber lets the fixture that is there for it be watched. It never changes.
type subscriber struct{}

func (subscriber) Subscribe(_ context.Context, uri string, _ func()) (func(), error) {
	if uri != watched {
		return nil, fmt.Errorf("%s can't be watched", uri)
	}
	return func() {}, nil
}

func addPrompts(s *server.MCPServer) {
	add := func(name string, arguments []string, messages func(args map[string]string) []mcp.Content) {
		options := []mcp.PromptOption{mcp.WithPromptDescription("Fixture of the conformance suite: " + name)}
		for _, a := range arguments {
			options = append(options, mcp.WithArgument(a, mcp.RequiredArgument(), mcp.ArgumentDescription("Argument "+a)))
		}
		s.AddPrompt(mcp.NewPrompt(name, options...), func(_ context.Context, r mcp.GetPromptRequest) (*mcp.GetPromptResult, error) {
			result := &mcp.GetPromptResult{}
			for _, c := range messages(r.Params.Arguments) {
				result.Messages = append(result.Messages, mcp.PromptMessage{Role: mcp.RoleUser, Content: c})
			}
			return result, nil
		})
	}
	add("test_simple_prompt", nil, func(map[string]string) []mcp.Content {
		return []mcp.Content{mcp.NewTextContent("This is a simple prompt for testing.")}
	})
	add("test_prompt_with_arguments", []string{"arg1", "arg2"}, func(args map[string]string) []mcp.Content {
		return []mcp.Content{mcp.NewTextContent(fmt.Sprintf("Prompt with arguments: arg1='%s', arg2='%s'", args["arg1"], args["arg2"]))}
	})
	add("test_prompt_with_embedded_resource", []string{"resourceUri"}, func(args map[string]string) []mcp.Content {
		return []mcp.Content{embedded(args["resourceUri"], "text/plain", "Embedded resource content for testing."),
			mcp.NewTextContent("Please process the embedded resource above.")}
	})
	add("test_prompt_with_image", nil, func(map[string]string) []mcp.Content {
		return []mcp.Content{mcp.NewImageContent(redPixel, "image/png"), mcp.NewTextContent("Please analyze the image above.")}
	})
	s.AddPrompt(mcp.NewPrompt("test_input_required_result_prompt", mcp.WithPromptDescription("Asks for its context")),
		func(_ context.Context, r mcp.GetPromptRequest) (*mcp.GetPromptResult, error) {
			about, ok := stringIn(server.ElicitationResponse(r.Params.InputResponses, "user_context"), "context")
			if !ok {
				return server.NewInputRequestBuilder("").Elicit("user_context", elicit("What context should the prompt use?", "context", "string")).PromptResult(), nil
			}
			return &mcp.GetPromptResult{Messages: []mcp.PromptMessage{{Role: mcp.RoleUser, Content: mcp.NewTextContent("About " + about)}}}, nil
		})
}

// completions completes the fixture prompts' arguments.
type completions struct{}

func (completions) CompletePromptArgument(_ context.Context, _ string, a mcp.CompleteArgument, _ mcp.CompleteContext) (*mcp.Completion, error) {
	all := slices.DeleteFunc([]string{"paris", "park", "party"}, func(v string) bool { return !strings.HasPrefix(v, a.Value) })
	return &mcp.Completion{Values: all, Total: len(all)}, nil
}

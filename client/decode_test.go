package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
)

var (
	march20  = time.Date(2026, 3, 20, 18, 24, 10, 0, time.UTC)
	march20b = time.UnixMilli(1774030000000).UTC()
)

// errorHas says that decoding has to fail with a message that contains it.
type errorHas string

// check compares one decoded fixture with what is wanted, which may be an
// errorHas.
func check[T any](t *testing.T, got T, err error, want any) {
	t.Helper()
	if text, ok := want.(errorHas); ok {
		if err == nil {
			t.Fatalf("got %+v, want an error with %q", got, text)
		}
		if !strings.Contains(err.Error(), string(text)) {
			t.Errorf("got error %q, want one with %q", err, text)
		}
		return
	}
	if err != nil {
		t.Fatalf("got error %v", err)
	}
	if diff := cmp.Diff(want, any(got)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// table runs one case for each fixture of a folder.
func table[T any](t *testing.T, area string, cases map[string]any, decode func([]byte) (T, error)) {
	t.Helper()
	var used []string
	for name, want := range cases {
		used = append(used, name)
		t.Run(name, func(t *testing.T) {
			got, err := decode(fixture(t, area, name))
			check(t, got, err, want)
		})
	}
	checkUsed(t, area, used)
}

func TestDecodeList(t *testing.T) {
	page := func(ids ...string) Page[string] { return Page[string]{Items: append([]string{}, ids...)} }
	cursor := func(next string, ids ...string) Page[string] {
		return Page[string]{Items: ids, More: true, NextCursor: next}
	}
	table(t, "lists", map[string]any{
		"bare_array.json":          page("a", "b"),
		"empty_array.json":         page(),
		"null.json":                page(),
		"named.json":               page("a"),
		"named_null.json":          page(),
		"data.json":                page("a"),
		"data_nested.json":         page("a"),
		"items_cursor.json":        cursor("c2", "a"),
		"items_cursor_null.json":   page("a"),
		"results_has_more.json":    cursor("", "a"),
		"cursor_without_more.json": Page[string]{Items: []string{"a"}, NextCursor: "c1"},
		"entries.json":             page("a"),
		"only_array.json":          page("a"),
		"pagination_object.json":   cursor("7", "a"),
		"with_nulls.json":          page("a"),
		"bad_two_arrays.json":      errorHas(`no list of instances: it is an object with the keys "left", "right"`),
		"bad_no_array.json":        errorHas(`the keys "total"`),
		"bad_empty_object.json":    errorHas("an object without keys"),
		"bad_item.json":            errorHas(`item 2 of the list of instances: the answer has no instance: it is an object with the keys "color"`),
		"bad_string.json":          errorHas("a string"),
		"error_inside.json":        errorHas("Database is away"),
	}, func(b []byte) (Page[string], error) {
		if e := wholeError(b); e != nil {
			return Page[string]{}, e
		}
		return decodePage(b, "instances", func(raw jsontext.Value) (string, error) {
			i, err := decodeInstance(raw)
			return i.ID, err
		})
	})
}

func TestDecodeInstance(t *testing.T) {
	full := Instance{ID: "7d5f2b1e-0c3a-4a55-9a53-2f6f1f1b9c01", Status: "ready", State: StateReady, SandboxID: "sbx-1",
		CreatedAt: march20, UpdatedAt: time.Date(2026, 3, 21, 9, 0, 0, 0, time.UTC)}
	table(t, "instances", map[string]any{
		"bare.json":             full,
		"wrapped.json":          full,
		"data.json":             full,
		"data_instance.json":    full,
		"data_list_of_one.json": full,
		"camel_case.json": Instance{ID: "i1", Status: "Running", State: StateReady, SandboxID: "sbx-1",
			CreatedAt: march20, UpdatedAt: march20},
		"snake_id.json":   Instance{ID: "i1", Name: "box", Status: "shutting_down", State: StateOff},
		"numeric_id.json": Instance{ID: "12345678901234567890", Status: "active", State: StateReady},
		"epoch_seconds.json": Instance{ID: "i1", Status: "booting", State: StatePending,
			CreatedAt: march20b, UpdatedAt: march20b},
		"epoch_milliseconds.json": Instance{ID: "i1", Status: "failed", State: StateFailed,
			CreatedAt: march20b.Add(123 * time.Millisecond), UpdatedAt: march20b.Add(123 * time.Millisecond)},
		"date_with_space.json": Instance{ID: "i1", Status: "hibernating", State: StateUnknown,
			CreatedAt: march20, UpdatedAt: march20.Add(500 * time.Millisecond)},
		"bad_empty.json": errorHas("no instance: it is an object without keys"),
		"bad_no_id.json": errorHas(`the keys "owner", "status"`),
		"bad_list.json":  errorHas("an array of 1"),
	}, func(b []byte) (Instance, error) { return decodeInstance(b) })
}

func TestDecodeStatus(t *testing.T) {
	word := func(w string, s State) Instance { return Instance{ID: "me", Status: w, State: s} }
	full, _ := decodeInstance(fixture(t, "instances", "bare.json"))
	table(t, "status", map[string]any{
		"instance.json":    full,
		"word.json":        word("rebooting", StatePending),
		"wrapped.json":     word("ready", StateReady),
		"inside_data.json": word("stopped", StateOff),
		"state.json":       word("online", StateReady),
		"none.json":        errorHas("no word"),
		"empty.txt":        errorHas("no word"),
	}, func(b []byte) (Instance, error) {
		i, ok := decodeStatus(b, "me")
		if !ok {
			return i, errors.New("no word")
		}
		return i, nil
	})
}

func TestStatusWords(t *testing.T) {
	for state, words := range map[State]string{
		StateReady:   "ready running active online READY",
		StatePending: "creating provisioning pending starting booting initializing rebooting restarting",
		StateOff:     "stopped shutdown shutting_down shutting-down terminated deleted",
		StateFailed:  "error failed",
		StateUnknown: "hibernating ok unknown",
	} {
		for word := range strings.FieldsSeq(words) {
			if got := foldStatus(word); got != state {
				t.Errorf("%s: got %s, want %s", word, got, state)
			}
		}
	}
}

func TestLifecycleForms(t *testing.T) {
	full, _ := decodeInstance(fixture(t, "instances", "bare.json"))
	whole := Lifecycle{Status: "ready", Instance: &full}
	table(t, "lifecycle", map[string]any{
		"empty.txt":          Lifecycle{},
		"ok.json":            Lifecycle{},
		"success.json":       Lifecycle{},
		"status.json":        Lifecycle{Status: "rebooting"},
		"instance.json":      whole,
		"bare_instance.json": whole,
		"plain.txt":          Lifecycle{},
		"denied.json":        errorHas("Instance is locked"),
		"page.html":          errorHas("a web page, not the API's: Sign in"),
	}, func(b []byte) (Lifecycle, error) {
		c := serve(t, answer(http.StatusAccepted, "", string(b)))
		return c.Instances.Reboot(t.Context(), "i1")
	})
}

func TestDecodeDiscovery(t *testing.T) {
	table(t, "discovery", map[string]any{
		"resources_object.json": Discovery{Name: "OpenClaw", Version: "1.2", Resources: []Resource{
			{Name: "chat", Method: "POST", Path: "/api/instances/{id}/chat"}, {Name: "instances", Path: "/api/instances"}}},
		"resources_list.json": Discovery{Resources: []Resource{{Path: "/api/instances"}, {Method: "GET", Path: "/api/instances/{id}"}}},
		"endpoints.json": Discovery{Name: "OpenClaw", Resources: []Resource{
			{Method: "GET", Path: "/instances"}, {Method: "POST", Path: "/instances"}}},
		"array.json":       Discovery{Resources: []Resource{{Path: "/instances"}}},
		"inside_data.json": Discovery{Resources: []Resource{{Path: "/instances"}}},
		"bare.json":        Discovery{},
		"bad_string.json":  errorHas("a string"),
	}, decodeDiscovery)
}

func TestDecodeSession(t *testing.T) {
	table(t, "sessions", map[string]any{
		"bare.json":       Session{ID: "s1", Title: "Plans", CreatedAt: march20, UpdatedAt: march20b},
		"camel_case.json": Session{ID: "s1", Title: "Plans", CreatedAt: march20b},
		"wrapped.json":    Session{ID: "s1"},
		"data.json":       Session{ID: "9"},
		"bad_empty.json":  errorHas("no session"),
	}, func(b []byte) (Session, error) { return decodeSession(b) })
}

// TestSessionStanding has what sessions say of themselves.
func TestSessionStanding(t *testing.T) {
	for body, want := range map[string]string{
		`{"id":"s"}`: "",
		`{"id":"s","status":"active","kind":"direct","archived":false,"deleted_at":null}`: "",
		`{"id":"agent:main:subagent:7"}`:                     "aside",
		`{"id":"7f","key":"agent:main:telegram:group:-100"}`: "aside",
		`{"id":"s","kind":"cron"}`:                           "aside",
		`{"id":"s","spawnedBy":"agent:main:main"}`:           "aside",
		`{"id":"s","status":"closed"}`:                       "aside",
		`{"id":"s","deleted_at":"2026-03-20T18:24:10Z"}`:     "aside",
		`{"id":"s","is_archived":true}`:                      "aside",
		`{"id":"s","status":"running"}`:                      "busy",
		`{"id":"s","active_run":{"id":"r"}}`:                 "busy",
		`{"id":"s","activeRunId":"r"}`:                       "busy",
		`{"id":"s","active_run":null}`:                       "",
		`{"id":"s","active_run":{}}`:                         "",
	} {
		s, err := decodeSession([]byte(body))
		if got := map[bool]string{true: "aside"}[s.Aside] + map[bool]string{true: "busy"}[s.Busy]; got != want || err != nil {
			t.Errorf("%s: got %q, want %q, %v", body, got, want, err)
		}
	}
}

func TestDecodeMessage(t *testing.T) {
	tool := Message{Role: RoleTool, ToolCallID: "t1", ToolName: "exec", Text: "out"}
	table(t, "messages", map[string]any{
		"text.json":   Message{ID: "m1", SessionID: "s1", Role: RoleAssistant, Text: "Hi", CreatedAt: march20},
		"blocks.json": Message{Role: RoleAssistant, Text: "Hi\nthere", CreatedAt: march20b},
		"tool_result.json": Message{Role: RoleTool, ToolCallID: "t1", ToolName: "exec", Text: "out",
			IsError: true},
		"tool_call.json": Message{Role: RoleAssistant,
			ToolCalls: []ToolCall{{ID: "t1", Name: "exec", Arguments: []byte(`{"command":"ls"}`)}}},
		"tool_role.json":     tool,
		"tool_snake.json":    Message{Role: RoleTool, Text: "out"},
		"tool_function.json": Message{Role: RoleTool, ToolName: "exec", Text: "out"},
		"tool_calls_openai.json": Message{Role: RoleAssistant,
			ToolCalls: []ToolCall{{ID: "t1", Name: "exec", Arguments: []byte(`{"command":"ls"}`)}}},
		"text_key.json":         Message{ID: "1", Role: RoleUser, Text: "Hi"},
		"message_key.json":      Message{Role: RoleUser, Text: "Hi"},
		"body_key.json":         Message{Role: RoleSystem, Text: "Hi"},
		"unknown_role.json":     Message{Role: "Observer", Text: "Hi"},
		"upper_role.json":       Message{Role: RoleAssistant, Text: "Hi"},
		"wrapped.json":          Message{ID: "m1", Role: RoleAssistant, Text: "Hi"},
		"transcript_entry.json": Message{ID: "m1", Role: RoleAssistant, Text: "Hi", CreatedAt: march20},
		"string_blocks.json":    Message{Role: RoleAssistant, Text: "Hi\nthere"},
		"bad_empty.json":        errorHas("no message: it is an object without keys"),
		"bad_keys.json":         errorHas(`"color"`),
		"bad_string.json":       errorHas("a string"),
	}, func(b []byte) (Message, error) {
		m, err := decodeMessage(b)
		for i := range m.ToolCalls { // white space is the fixture's
			m.ToolCalls[i].Arguments = compact(t, m.ToolCalls[i].Arguments)
		}
		return m, err
	})
}

func compact(t *testing.T, raw []byte) []byte {
	var v any
	if raw == nil {
		return nil
	}
	if err := json.Unmarshal(raw, &v); err != nil {
		t.Fatal(err)
	}
	out, _ := json.Marshal(v)
	return out
}

func TestDecodeReply(t *testing.T) {
	hi := Reply{Text: "Hi"}
	cases := map[string]any{
		"message_object.json":          Reply{SessionID: "s1", MessageID: "m2", Text: "Hi"},
		"assistant_message.json":       hi,
		"assistant_message_camel.json": Reply{SessionID: "s1", MessageID: "m2", Text: "Hi"},
		"reply.json":                   Reply{SessionID: "s1", Text: "Hi"},
		"reply_beside_remark.json":     hi,
		"messages.json": Reply{MessageID: "m4", Text: "Hi",
			ToolCalls: []ToolCall{{ID: "t1", Name: "exec", Arguments: []byte("{}"), Result: "out"}}},
		"bare_list.json":         hi,
		"choices.json":           hi,
		"payloads.json":          Reply{RunID: "r", Text: "Hi\n\nthere"},
		"data.json":              Reply{SessionID: "s1", Text: "Hi"},
		"result_string.json":     hi,
		"bare_message.json":      Reply{SessionID: "s1", MessageID: "m2", Text: "Hi"},
		"content_blocks.json":    hi,
		"output_items.json":      hi,
		"bare_string.json":       hi,
		"no_text_ids.json":       errorHas(`no reply text: it is an object with the keys "runId", "session_id", "status"`),
		"no_text_user_only.json": errorHas("no reply text"),
		"no_text_empty.json":     errorHas("no reply text"),
		"no_text_messages.json":  errorHas("no reply text"),
		"failed_run.json":        errorHas("The model is overloaded"),
		"failed_flag.json":       errorHas("Instance not ready"),
		"failed_error.json":      errorHas("No credits left (quota_exceeded)"),
		"broken.txt":             errorHas("broken JSON"),
	}
	for _, k := range []string{"response", "content", "text", "output", "answer", "message"} {
		cases["key_"+k+".json"] = hi
	}
	table(t, "chat", cases, func(b []byte) (Reply, error) {
		r, err := decodeReply(b)
		if err != nil && strings.Contains(err.Error(), "no reply text") != errors.Is(err, ErrNoText) {
			t.Errorf("ErrNoText does not go with %v", err)
		}
		return r, err
	})
	r, _ := decodeReply(fixture(t, "chat", "no_text_ids.json"))
	if want := (Reply{SessionID: "s1", RunID: "r"}); !cmp.Equal(r, want) {
		t.Errorf("without text: got %+v, want the ids %+v", r, want)
	}
}

func TestOrderMessages(t *testing.T) {
	at := func(s int) time.Time { return march20.Add(time.Duration(s) * time.Second) }
	in := []Message{
		{ID: "3", CreatedAt: at(3)},
		{ID: "3-after"}, // stays behind 3
		{ID: "1", Text: "late", CreatedAt: at(1)},
		{ID: "1", Text: "late form", CreatedAt: at(1)},
		{Role: RoleUser, Text: "ok", CreatedAt: at(2)},
		{Role: RoleUser, Text: "ok", CreatedAt: at(2)},
		{Role: RoleUser, Text: "ok", CreatedAt: at(4)},
	}
	var got []string
	for _, m := range orderMessages(in) {
		got = append(got, fmt.Sprintf("%s/%s", m.ID, m.Text))
	}
	want := []string{"1/late form", "/ok", "3/", "3-after/", "/ok"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	timeless := []Message{{Text: "ok"}, {Text: "ok"}, {ID: "a"}}
	if got := orderMessages(timeless); len(got) != 3 {
		t.Errorf("without ids and times nothing is a repetition: got %d of 3", len(got))
	}
}

// A list that goes by random ids goes by its times, however short it is.
func TestOrderByRandomIDs(t *testing.T) {
	const rest = "0000000-0000-4000-8000-000000000000"
	for name, tt := range map[string]struct {
		ids, at []string
		want    string
	}{
		"random ids":                     {[]string{"1" + rest, "5" + rest, "a" + rest, "f" + rest}, []string{"u3", "u1", "a2", "a4"}, "u1 a2 u3 a4"},
		"one beginning":                  {[]string{"01" + rest[1:], "02" + rest[1:], "03" + rest[1:], "04" + rest[1:]}, []string{"u3", "u1", "a2", "a4"}, "u3 u1 a2 a4"},
		"the ids go otherwise":           {[]string{"1" + rest, "a" + rest, "5" + rest, "f" + rest}, []string{"u3", "u1", "a2", "a4"}, "u3 u1 a2 a4"},
		"numbers":                        {[]string{"1", "2", "3", "4"}, []string{"u3", "u1", "a2", "a4"}, "u3 u1 a2 a4"},
		"no role disagrees":              {[]string{"1" + rest, "5" + rest, "a" + rest, "f" + rest}, []string{"u1", "u3", "a2", "a4"}, "u1 u3 a2 a4"},
		"no role disagrees, but the ids": {[]string{"1" + rest, "3" + rest, "5" + rest, "7" + rest, "a" + rest, "f" + rest}, []string{"u1", "u3", "a2", "a4", "u5", "a6"}, "u1 a2 u3 a4 u5 a6"},
	} {
		var in []Message
		for i, id := range tt.ids {
			role := map[byte]Role{'u': RoleUser, 'a': RoleAssistant}[tt.at[i][0]]
			in = append(in, Message{ID: id, Role: role, Text: tt.at[i], CreatedAt: march20.Add(time.Duration(tt.at[i][1]) * time.Second)})
		}
		var got []string
		for _, m := range orderMessages(in) {
			got = append(got, m.Text)
		}
		if got := strings.Join(got, " "); got != tt.want {
			t.Errorf("%s: got %s, want %s", name, got, tt.want)
		}
	}
}

func TestDecodeTime(t *testing.T) {
	for raw, want := range map[string]time.Time{
		`"2026-03-20T18:24:10Z"`:      march20,
		`"2026-03-20T19:24:10+01:00"`: march20,
		`"2026-03-20T18:24:10"`:       march20,
		`"2026-03-20 18:24:10"`:       march20,
		`"2026-03-20 18:24:10 UTC"`:   march20,
		`"2026-03-20 18:24:10+00:00"`: march20,
		`1774030000`:                  march20b,
		`1774030000.5`:                march20b.Add(500 * time.Millisecond),
		`"1774030000000"`:             march20b,
		`"yesterday"`:                 {},
		`""`:                          {},
		`0`:                           {},
		`-5`:                          {},
		`1e300`:                       {},
		`null`:                        {},
		`{}`:                          {},
	} {
		if got := decodeTime([]byte(raw)); !got.Equal(want) {
			t.Errorf("%s: got %v, want %v", raw, got, want)
		}
	}
}

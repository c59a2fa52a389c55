package client

import (
	"strings"
	"testing"
	"time"
)

// TestHistoryOrder has the orders in which services list a conversation, and
// what may be wrong with its times and ids. "u1@5" is the user's first message,
// five seconds in.
func TestHistoryOrder(t *testing.T) {
	for name, tt := range map[string]struct{ listed, want string }{
		"oldest first":                                {"u1@0 a1@1 u2@2 a2@3", "u1 a1 u2 a2"},
		"newest first":                                {"a2@3 u2@2 a1@1 u1@0", "u1 a1 u2 a2"},
		"newest first, whole seconds":                 {"a2@9 u2@9 a1@5 u1@5", "u1 a1 u2 a2"},
		"newest first, all in one second":             {"a2@5 u2@5 a1@5 u1@5", "u1 a1 u2 a2"},
		"newest first, one unanswered":                {"u2@9 a1@5 u1@5", "u1 a1 u2"},
		"no times":                                    {"u1 a1 u2 a2", "u1 a1 u2 a2"},
		"no times, newest first":                      {"a2 u2 a1 u1", "u1 a1 u2 a2"},
		"no times, one unanswered":                    {"u1 a1 u2", "u1 a1 u2"},
		"a greeting first":                            {"a1@0 u2@5", "a1 u2"},
		"a question timed after its reply":            {"u1@2 a1@1", "u1 a1"},
		"questions by a clock ahead":                  {"u1@18000 a1@1 u2@18002 a2@3", "u1 a1 u2 a2"},
		"questions by a clock behind":                 {"u1@-18000 a1@1 u2@-17998 a2@3", "u1 a1 u2 a2"},
		"one question by a clock behind":              {"u1@0 a1@1 u2@-18000 a2@3", "u1 a1 u2 a2"},
		"one answer by a clock behind":                {"u1@0 a1@10 u2@20 a2@5", "u1 a1 u2 a2"},
		"two messages by a clock behind":              {"u1@0 a1@1 u2@2 a2@3 u3@-9 a3@-8 u4@6 a4@7", "u1 a1 u2 a2 u3 a3 u4 a4"},
		"answers by a clock behind, and one question": {"u1@100 a1@1 u2@102 a2@3 u3@90 a3@5", "u1 a1 u2 a2 u3 a3"},
		"by random ids":                               {"u2@2 a1@1 u1@0 a2@3", "u1 a1 u2 a2"},
		"by random ids, six":                          {"u1@0 a3@6 u3@5 a1@1 u2@2 a2@3", "u1 a1 u2 a2 u3 a3"},
		"by random ids, one unanswered":               {"u3@5 a2@3 u1@0 a1@1 u2@2", "u1 a1 u2 a2 u3"},
		"by random ids, one without a time":           {"u2@2 a1@1 u1@0 u3@5 a3 a2@3", "u1 a1 u2 a2 u3 a3"},
		"questions timed late, two rows at once":      {"a0@-9 u1@2.4 a1@1 u2@12.4 a2@11 u3@22.4 a3@20.001 b3@20 c3@25", "a0 u1 a1 u2 a2 u3 a3 b3 c3"},
		"newest first, questions timed late":          {"c3@25 a3@20.6 u3@22.4 a2@11 u2@12.4 a1@1 u1@2.4 a0@-9", "a0 u1 a1 u2 a2 u3 a3 c3"},
		"in no order":                                 {"u3@5 a1@1 u1@0 a3@6 u2@2 a2@3", "u1 a1 u2 a2 u3 a3"},
	} {
		roles := map[byte]Role{'u': RoleUser, 'a': RoleAssistant, 'b': RoleAssistant, 'c': RoleAssistant}
		var in []Message
		for word := range strings.FieldsSeq(tt.listed) {
			text, at, timed := strings.Cut(word, "@")
			m := Message{Role: roles[text[0]], Text: text}
			if timed {
				d, err := time.ParseDuration(at + "s")
				if err != nil {
					t.Fatal(err)
				}
				m.CreatedAt = march20.Add(d)
			}
			in = append(in, m)
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

// A clock that was set back once says nothing of the order.
func TestClockSetBack(t *testing.T) {
	var list []Message
	for i, at := range []int{0, 1, -90, -89} {
		list = append(list, Message{Role: []Role{RoleUser, RoleAssistant}[i%2], CreatedAt: march20.Add(time.Duration(at) * time.Second)})
	}
	if inNoOrder(list) {
		t.Error("it would be sorted")
	}
}

func TestHistoryItems(t *testing.T) {
	const q = `[{"role":"user","content":"Q"},`
	for name, tt := range map[string]struct {
		body, want string // the roles and texts of the messages
		skipped    int
		err        string
	}{
		"one id for question and answer": {`[{"id":"r","role":"user","content":"Q"},{"id":"r","role":"assistant","content":"A"}]`, "user:Q assistant:A", 0, ""},
		"one id for the parts of a reply": {`[{"id":"r","role":"assistant","content":"On it."},{"id":"r","role":"assistant","content":"Done."}]`,
			"assistant:On it. assistant:Done.", 0, ""},
		"a message in two forms":            {`[{"id":"r","role":"assistant","content":"On"},{"id":"r","role":"assistant","content":"On it."}]`, "assistant:On it.", 0, ""},
		"one item is no message":            {`[{"role":"user","content":"Q"},{"divider":true},7,null]`, "user:Q", 2, ""},
		"content as the JSON of its blocks": {`[{"role":"assistant","content":"[{\"type\":\"thinking\",\"thinking\":\"hm\"},{\"type\":\"text\",\"text\":\"A\"}]"}]`, "assistant:A", 0, ""},
		"an answer that is JSON":            {`[{"role":"assistant","content":"[{\"type\":\"circle\",\"text\":1}]"}]`, `assistant:[{"type":"circle","text":1}]`, 0, ""},
		"parts":                             {`[{"role":"assistant","parts":[{"type":"text","text":"A"}]},{"role":"assistant","content":{"content_type":"text","parts":["B"]}}]`, "assistant:A assistant:B", 0, ""},
		"the type is the role":              {`[{"type":"human","content":"Q"},{"type":"ai","content":"A"}]`, "user:Q assistant:A", 0, ""},
		"the role under other names": {`[{"sender_type":"user","content":"Q"},{"sender_type":"agent","content":"A"},{"type":"user_message","text":"R"},{"type":"agent_message","text":"B"},{"is_user":true,"text":"S"},{"is_user":false,"text":"C"},{"direction":"inbound","body":"T"},{"direction":"outbound","body":"D"},{"from":"openclaw","text":"E"}]`,
			"user:Q assistant:A user:R assistant:B user:S assistant:C user:T assistant:D assistant:E", 0, ""},
		"a turn a row":    {`[{"id":1,"prompt":"Q","response":"A"},{"id":2,"message":"R","reply":"B"},{"id":3,"user_message":"S","assistant_message":null}]`, "user:Q assistant:A user:R assistant:B user:S", 0, ""},
		"nobody wrote it": {`[{"id":1,"content":"Q"}]`, ":Q", 0, ""},
		"a tool's call and a status as rows": {`[{"role":"assistant","type":"tool_call","content":"ls"},{"role":"assistant","type":"tool_result","content":"x"},{"role":"assistant","type":"status","content":"starting"},{"role":"assistant","type":"message","content":"A"}]`,
			"assistant: tool:x system:starting assistant:A", 0, ""},
		"kinds of rows that are no reply": {`[{"role":"assistant","type":"title","content":"T"},{"role":"assistant","type":"message","message_type":"status","content":"S"},{"role":"assistant","messageType":"thinking","content":"hm"},{"role":"assistant","metadata":{"type":"thinking"},"content":"hm"},{"role":"assistant","type":"reaction","content":"R"},{"role":"assistant","metadata":{"type":"chat"},"message_type":"text","content":"A"}]`,
			"system:T system:S assistant: assistant: system:R assistant:A", 0, ""},
		"a message that takes another's place":     {`[{"id":"1","role":"assistant","content":"A"},{"id":"2","role":"assistant","content":"B","supersedes":"1"}]`, "assistant:B", 0, ""},
		"its first form is listed behind it":       {`[{"id":"2","role":"assistant","content":"B","replaces":"1"},{"id":"1","role":"assistant","content":"A"}]`, "assistant:B", 0, ""},
		"what it takes the place of is on no page": {`[{"id":"2","role":"assistant","content":"B","edited_from":"1"}]`, "assistant:B", 0, ""},
		"two versions of one message":              {`[{"id":"1","role":"assistant","content":"A","version":1},{"id":"1","role":"assistant","content":"B","version":2}]`, "assistant:B", 0, ""},
		"two messages of an answer, counted":       {`[{"id":"1","role":"assistant","content":"A","version":1,"reply_to":"q"},{"id":"2","role":"assistant","content":"B","version":2,"reply_to":"q"}]`, "assistant:A assistant:B", 0, ""},
		"what tools gave, as the user's":           {`[{"role":"user","content":[{"type":"tool_result","tool_use_id":"t","content":"x"},{"type":"tool_result","tool_use_id":"u","content":[{"type":"text","text":"y"}]}]}]`, "tool:x\ny", 0, ""},
		"what a tool gave, and what somebody says": {`[{"role":"user","content":[{"type":"tool_result","tool_use_id":"t","content":"x"},{"type":"text","text":"Stop."}]}]`, "user:Stop.", 0, ""},
		"a remark in place of the history": {`[{"role":"assistant","content":"[chat.history unavailable: transcript too large to display; the full history is preserved on disk]"}]`,
			"system:[chat.history unavailable: transcript too large to display; the full history is preserved on disk]", 0, ""},
		"a draft and its final form": {q + `{"id":"1","role":"assistant","content":"It is fo","draft":true},{"id":"2","role":"assistant","content":"It is four."}]`, "user:Q assistant:It is four.", 0, ""},
		"a draft in other words":     {q + `{"id":"1","role":"assistant","content":"Perhaps 5","status":"draft"},{"id":"2","role":"assistant","content":"It is four."}]`, "user:Q assistant:It is four.", 0, ""},
		"a draft by its metadata":    {q + `{"id":"1","role":"assistant","content":"Perhaps 5","metadata":{"partial":true}},{"id":"1","role":"assistant","content":"It is four."}]`, "user:Q assistant:It is four.", 0, ""},
		"a draft with the same parent": {q + `{"id":"1","parent_id":"q","role":"assistant","content":"Perhaps 5","status":"streaming"},{"id":"2","parent_id":"q","role":"assistant","content":"It is four.","status":"completed"}]`,
			"user:Q assistant:It is four.", 0, ""},
		"a draft that is still streamed":  {q + `{"id":"1","role":"assistant","content":"Perhaps 5","status":"streaming"},{"id":"1","role":"assistant","content":"It is four."}]`, "user:Q assistant:It is four.", 0, ""},
		"a row that goes on with another": {q + `{"id":"1","role":"assistant","content":"It is four, "},{"id":"2","role":"assistant","content":"It is four, as always."}]`, "user:Q assistant:It is four, as always.", 0, ""},
		"rows that grow":                  {q + `{"role":"assistant","content":"It is f"},{"role":"assistant","content":"It is four"},{"role":"assistant","content":"It is four."}]`, "user:Q assistant:It is four.", 0, ""},
		"drafts, newest first":            {`[{"id":"2","role":"assistant","content":"It is four.","created_at":3},{"id":"1","role":"assistant","content":"It is","created_at":2,"draft":true},{"role":"user","content":"Q","created_at":1}]`, "user:Q assistant:It is four.", 0, ""},
		"a word in place of a reply":      {q + `{"id":"1","role":"assistant","content":"Thinking..."},{"id":"2","role":"assistant","content":"Four."}]`, "user:Q assistant:Four.", 0, ""},
		"a draft alone":                   {q + `{"id":"1","role":"assistant","content":"It is","draft":true}]`, "user:Q assistant:It is", 0, ""},
		"a draft of a draft":              {q + `{"id":"1","role":"assistant","content":"It is","draft":true},{"id":"2","role":"assistant","content":"It is four","draft":true}]`, "user:Q assistant:It is four", 0, ""},
		"a draft of another reply":        {q + `{"id":"1","role":"assistant","content":"It is","draft":true},{"role":"user","content":"R"},{"id":"2","role":"assistant","content":"It is four."}]`, "user:Q assistant:It is user:R assistant:It is four.", 0, ""},
		"the same beginning behind a tool": {q + `{"role":"assistant","content":"Let me look"},{"role":"tool","content":"x"},{"role":"assistant","content":"Let me look again"}]`,
			"user:Q assistant:Let me look tool:x assistant:Let me look again", 0, ""},
		"the same beginning behind a call": {q + `{"role":"assistant","content":"Let me look","tool_calls":[{"id":"t","function":{"name":"x"}}]},{"role":"assistant","content":"Let me look again"}]`,
			"user:Q assistant:Let me look assistant:Let me look again", 0, ""},
		"the same beginning behind an end":  {q + `{"role":"assistant","content":"Let me look","stopReason":"stop"},{"role":"assistant","content":"Let me look again"}]`, "user:Q assistant:Let me look assistant:Let me look again", 0, ""},
		"the same beginning, in answer":     {q + `{"id":"1","role":"assistant","content":"Let me look"},{"id":"2","parent_id":"1","role":"assistant","content":"Let me look again"}]`, "user:Q assistant:Let me look assistant:Let me look again", 0, ""},
		"the same beginning, of other runs": {q + `{"runId":"1","role":"assistant","content":"Let me look"},{"runId":"2","role":"assistant","content":"Let me look again"}]`, "user:Q assistant:Let me look assistant:Let me look again", 0, ""},
		"a short beginning":                 {q + `{"role":"assistant","content":"OK"},{"role":"assistant","content":"OK, done."}]`, "user:Q assistant:OK assistant:OK, done.", 0, ""},
		"a row twice under one id":          {q + `{"id":"1","role":"assistant","content":"Hi"},{"id":"1","role":"assistant","content":"Hi"}]`, "user:Q assistant:Hi", 0, ""},
		"two messages, one never closed":    {q + `{"id":"1","role":"assistant","content":"On it.","status":"in_progress"},{"id":"2","role":"assistant","content":"Four."}]`, "user:Q assistant:On it. assistant:Four.", 0, ""},
		"no item is a message":              {`[{"divider":true}]`, "", 0, "item 1"},
	} {
		page, err := decodeMessages([]byte(tt.body))
		var got []string
		for _, m := range page.Items {
			got = append(got, string(m.Role)+":"+m.Text)
		}
		if s := strings.Join(got, " "); s != tt.want || page.Skipped != tt.skipped || (err == nil) != (tt.err == "") ||
			err != nil && !strings.Contains(err.Error(), tt.err) {
			t.Errorf("%s: got %s, %d left out, %v", name, s, page.Skipped, err)
		}
	}
}

func TestHistoryEndMarks(t *testing.T) {
	for body, want := range map[string]string{
		`{"role":"assistant","content":"A"}`:                                                                            "",
		`{"role":"assistant","content":"A","stopReason":"stop"}`:                                                        "ended",
		`{"role":"assistant","content":"A","finish_reason":"length"}`:                                                   "ended",
		`{"role":"assistant","content":"A","stopReason":"toolUse"}`:                                                     "working",
		`{"role":"assistant","content":"A","stopReason":"stop","status":"streaming"}`:                                   "working",
		`{"role":"assistant","content":"A","status":"in_progress"}`:                                                     "working",
		`{"role":"assistant","content":"A","status":"completed"}`:                                                       "", // the message, not the turn
		`{"role":"user","content":"A","status":"pending"}`:                                                              "",
		`{"role":"assistant","content":"A","isStreaming":true}`:                                                         "working",
		`{"role":"assistant","content":"A","complete":false}`:                                                           "working",
		`{"role":"assistant","content":"A","partial":"true","stopReason":"stop"}`:                                       "working",
		`{"role":"assistant","content":"A","metadata":{"status":"in_progress"}}`:                                        "working",
		`{"role":"assistant","type":"tool_call","content":"ls"}`:                                                        "working",
		`{"role":"assistant","content":"","status":"failed","error":"no credits"}`:                                      "failed: no credits",
		`{"role":"assistant","content":"A","status":"cancelled","complete":false}`:                                      "failed: the reply ended with cancelled",
		`{"role":"assistant","content":"A","error":"no credits","stopReason":"stop"}`:                                   "failed: no credits",
		`{"role":"assistant","content":"A","error":{"message":"no credits"}}`:                                           "failed: no credits",
		`{"role":"assistant","content":"A","error":{}}`:                                                                 "",
		`{"role":"assistant","content":"A","is_error":true}`:                                                            "failed: the reply ended with an error",
		`{"role":"assistant","content":"A","truncated":true}`:                                                           "cut: " + NotePartial,
		`{"role":"assistant","content":"A","truncated":false}`:                                                          "",
		`{"role":"user","content":"A","error":"no credits"}`:                                                            "",
		`{"role":"assistant","content":"A","hidden":true}`:                                                              "unasked",
		`{"role":"assistant","content":"A","deleted_at":"2026-03-20T18:24:10Z"}`:                                        "unasked",
		`{"role":"assistant","content":"A","status":"superseded"}`:                                                      "unasked",
		`{"role":"assistant","content":"A","visibility":"internal"}`:                                                    "unasked",
		`{"role":"assistant","content":"A","display":false}`:                                                            "unasked",
		`{"role":"assistant","content":"A","isMeta":true}`:                                                              "unasked",
		`{"role":"assistant","content":"A","isSidechain":true}`:                                                         "unasked",
		`{"role":"user","content":"A","isSidechain":true}`:                                                              "unasked",
		`{"role":"assistant","content":"A","parent_tool_use_id":"t"}`:                                                   "unasked",
		`{"role":"assistant","content":"A","parent_tool_use_id":null}`:                                                  "",
		`{"role":"assistant","content":"A","message_type":"tool_call"}`:                                                 "working",
		`{"role":"user","content":"A","hidden":true}`:                                                                   "",
		`{"role":"assistant","content":"Thinking..."}`:                                                                  "working",
		`{"role":"assistant","content":"…"}`:                                                                            "working",
		`{"role":"assistant","content":"Thinking... done."}`:                                                            "",
		`{"role":"user","content":"Thinking..."}`:                                                                       "",
		`{"role":"assistant","content":"Loading...","stopReason":"stop"}`:                                               "ended",
		`{"role":"assistant","content":"Loading...","status":"completed"}`:                                              "",
		`{"role":"assistant","content":"Loading...","status":"pending"}`:                                                "working",
		`{"role":"assistant","content":"[chat.history omitted: message too large]"}`:                                    "cut: " + NoteShortened,
		`{"role":"assistant","content":"A","__openclaw":{"truncated":true}}`:                                            "cut: " + NoteShortened,
		`{"role":"assistant","stopReason":"stop","content":"` + strings.Repeat("word ", 1600) + `\n...(truncated)..."}`: "endedcut: " + NoteShortened,
		`{"role":"assistant","content":"It says:\n...(truncated)..."}`:                                                  "",
		`{"role":"user","content":[{"type":"tool_result","tool_use_id":"t","is_error":true,"content":"no"}]}`:           "",
		`{"role":"assistant","parts":[{"type":"text","text":"A"},{"type":"tool-x","state":"input-available"}]}`:         "working",
		`{"role":"assistant","parts":[{"type":"tool-x","state":"input-available"},{"type":"text","text":"A"}]}`:         "",
		`{"role":"assistant","parts":[{"type":"dynamic-tool","state":"output-available","output":"x"}]}`:                "",
		`{"role":"system","content":"Error: no credits"}`:                                                               "failed: Error: no credits",
		`{"role":"system","level":"error","content":"no credits"}`:                                                      "failed: no credits",
		`{"role":"system","content":"","error":{"message":"no credits"}}`:                                               "failed: no credits",
		`{"role":"error","content":"model overloaded"}`:                                                                 "failed: model overloaded",
		`{"role":"system","content":"You are helpful."}`:                                                                "",
	} {
		m, err := decodeMessage([]byte(body))
		got := map[bool]string{true: "ended"}[m.Ended] + map[bool]string{true: "working"}[m.Working] + map[bool]string{true: "unasked"}[m.Unasked]
		if m.Failure != "" {
			got += "failed: " + m.Failure
		}
		if m.Cut != "" && m.Cut != NoteLimit {
			got += "cut: " + m.Cut
		}
		if err != nil || got != want {
			t.Errorf("%s: got %q, want %q, %v", body, got, want, err)
		}
	}
}

// TestHistoryAsides has messages that are no part of a reply because of others; "-" is one.
func TestHistoryAsides(t *testing.T) {
	const q, mirror = `[{"role":"user","content":"Q"},`, `"role":"assistant","model":"delivery-mirror","provider":"openclaw","stopReason":"stop"`
	for name, tt := range map[string]struct{ body, want string }{
		"a copy of what was delivered":          {q + `{"role":"assistant","content":"[[reply_to_current]] New answer.","stopReason":"stop"},{` + mirror + `,"content":"New answer."}]`, "Q [[reply_to_current]] New answer.ended -"},
		"the copy comes first":                  {q + `{` + mirror + `,"content":"New answer."},{"role":"assistant","content":"New answer."}]`, "Q - New answer."},
		"one copy of two messages":              {q + `{"role":"assistant","content":"One."},{"role":"assistant","content":"Two."},{` + mirror + `,"content":"One.\n\nTwo."}]`, "Q One. Two. -"},
		"a copy of what was sent elsewhere":     {q + `{` + mirror + `,"content":"Report"},{"role":"assistant","content":"Sent."}]`, "Q - Sent."},
		"a copy is all there is":                {q + `{` + mirror + `,"content":"New answer."}]`, "Q New answer."},
		"the agent answered with a tool":        {q + `{"role":"assistant","content":"Looking."},{` + mirror + `,"content":"4"},{"role":"assistant","content":"NO_REPLY"}]`, "Q Looking. 4 NO_REPLY"},
		"the same words in another turn":        {q + `{"role":"assistant","content":"A"},{"role":"user","content":"R"},{` + mirror + `,"content":"A"}]`, "Q A R A"},
		"of another session":                    {`[{"session_id":"s","role":"user","content":"Q"},{"session_id":"x","role":"assistant","content":"X"},{"role":"assistant","content":"A"}]`, "Q - A"},
		"of sessions that are called otherwise": {`[{"session_id":"7f","role":"user","content":"Q"},{"session_id":"8f","role":"assistant","content":"A"}]`, "Q A"},
		"the session's full name":               {`[{"session_id":"agent:main:s","role":"user","content":"Q"},{"session_id":"agent:main:s","role":"assistant","content":"A"}]`, "Q A"},
		"of a sub-agent":                        {q + `{"sessionKey":"agent:main:subagent:7","role":"assistant","content":"X"},{"role":"assistant","content":"A"}]`, "Q - A"},
	} {
		page, err := decodeMessages([]byte(tt.body))
		markOthers(page.Items, "s")
		var got []string
		for _, m := range page.Items {
			if m.Unasked {
				m = Message{Text: "-"}
			}
			got = append(got, m.Text+map[bool]string{true: "ended"}[m.Ended])
		}
		if s := strings.Join(got, " "); s != tt.want || err != nil {
			t.Errorf("%s: got %q, want %q, %v", name, s, tt.want, err)
		}
	}
}

// TestHistoryOpenEnds has messages with a place for their end that is empty.
func TestHistoryOpenEnds(t *testing.T) {
	for name, tt := range map[string]struct{ body, want string }{
		"others are filled":             {`[{"role":"assistant","content":"A","completed_at":"2026-03-20T18:24:10Z"},{"role":"assistant","content":"B","completed_at":null}]`, " working"},
		"others have a reason":          {`[{"role":"assistant","content":"A","finish_reason":"stop"},{"role":"assistant","content":"B","finish_reason":null}]`, "ended working"},
		"none is filled":                {`[{"role":"assistant","content":"A","finish_reason":null},{"role":"assistant","content":"B","finish_reason":null}]`, "open open"},
		"only questions are":            {`[{"role":"user","content":"A","completed_at":"2026-03-20T18:24:10Z"},{"role":"assistant","content":"B","completed_at":null}]`, " open"},
		"an empty one beside a filled":  {`[{"role":"assistant","content":"A","finish_reason":"stop","completed_at":null}]`, "ended"},
		"the service has no such place": {`[{"role":"assistant","content":"A"}]`, ""},
	} {
		page, err := decodeMessages([]byte(tt.body))
		var got []string
		for _, m := range page.Items {
			got = append(got, map[bool]string{true: "ended"}[m.Ended]+map[bool]string{true: "working"}[m.Working]+map[bool]string{true: "open"}[m.Open])
		}
		if s := strings.Join(got, " "); s != tt.want || err != nil {
			t.Errorf("%s: got %q, want %q, %v", name, s, tt.want, err)
		}
	}
}

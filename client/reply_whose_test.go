package client

import "testing"

// Lines of streams that tell of several messages.
const (
	ack    = `ack>{"message_id":"q"}` + "\n"
	ours   = `delta>{"message_id":"m","delta":"Ours"}` + "\n"
	theirs = `"message":{"id":"x","role":"assistant","content":"theirs"}`
)

// What is known to be of another message is neither part of the reply nor its end.
var otherMessages = []replyRow{
	{rule: "an end with another message", in: ours + `done>{` + theirs + `}` + "\n" + `delta>{"message_id":"m","delta":"!"}` + "\n" + `done>{"message":{"id":"m","role":"assistant","content":"Ours!"}}`,
		text: "Ours!", end: "final"},
	{rule: "an end with another message is the last", in: ours + `done>{` + theirs + `}`, text: "Ours"},
	{rule: "behind a whole message", in: `message>{"id":"m","role":"assistant","content":"Ours"}` + "\n" + `done>{` + theirs + `}` + "\n" + `done>{}`, text: "Ours", end: "final"},
	{rule: "behind a message object", in: `message>{"message":{"id":"m","role":"assistant","content":"Ours"}}` + "\n" + `final>{` + theirs + `}` + "\n" + `done>{}`, text: "Ours", end: "final"},
	{rule: "another message in data", in: ours + `{"type":"complete","data":{` + theirs + `}}` + "\n[DONE]", text: "Ours", end: "final"},
	{rule: "an assistant_message", in: ours + `done>{"assistant_message":{"id":"x","content":"theirs"}}` + "\n[DONE]", text: "Ours", end: "final"},
	{rule: "a message with its flag", in: ours + `message>{` + theirs + `,"done":true}` + "\n[DONE]", text: "Ours", end: "final"},
	{rule: "a row with its role", in: ours + `done>{"id":"x","role":"assistant","content":"theirs"}` + "\n[DONE]", text: "Ours", end: "final"},
	{rule: "another id beside the text", in: ours + `done>{"message_id":"x","text":"theirs"}` + "\n[DONE]", text: "Ours", end: "final"},
	{rule: "another id alone", in: ours + `done>{"message_id":"x"}` + "\n" + `delta>{"message_id":"m","delta":"!"}` + "\n[DONE]", text: "Ours!", end: "final"},
	{rule: "an abort of another", in: ours + `aborted>{"message_id":"x"}` + "\n[DONE]", text: "Ours", end: "final"},
	{rule: "a text that goes on with ours", in: ours + `done>{"message":{"id":"x","role":"assistant","content":"Ours is another"}}` + "\n[DONE]", text: "Ours", end: "final"},
	{rule: "E: without a run", in: `{"state":"delta","message":{"id":"m","role":"assistant","content":"Ours"}}` + "\n" + `{"state":"final",` + theirs + `}` + "\n" + `{"state":"final"}`, text: "Ours", end: "final to be checked"},
	{rule: "in_reply_to", in: ack + `{"delta":"Ours"}` + "\n" + `done>{"in_reply_to":"x","text":"theirs"}` + "\n" + `done>{"in_reply_to":"q"}`, text: "Ours", end: "final"},
	{rule: "inReplyTo of the message", in: ack + `{"delta":"Ours"}` + "\n" + `done>{"message":{"id":"y","inReplyTo":"x","content":"theirs"}}` + "\n[DONE]", text: "Ours", end: "final"},
	{rule: "reply_to, without a text", in: `user_message>{"id":"q"}` + "\n" + `{"delta":"Ours"}` + "\n" + `done>{"reply_to":"x"}` + "\n" + `{"delta":"!"}` + "\n[DONE]", text: "Ours!", end: "final"},
	{rule: "replyTo in data", in: `{"status":"queued","message_id":"q"}` + "\n" + `{"delta":"Ours"}` + "\n" + `{"type":"done","data":{"replyTo":"x","text":"theirs"}}` + "\n[DONE]", text: "Ours", end: "final", says: "queued"},
	{rule: "parent_id", in: ack + `{"delta":"Ours"}` + "\n" + `done>{"parent_id":"x","text":"theirs"}` + "\n[DONE]", text: "Ours", end: "final"},
	{rule: "before ours begins", in: ack + `done>{"in_reply_to":"x","text":"theirs"}` + "\n" + `{"delta":"Ours"}` + "\n[DONE]", text: "Ours", end: "final"},
	{rule: "the echo is an acknowledgement", in: `message>{"id":"q","role":"user","content":"What is it?"}` + "\n" + `{"delta":"Ours"}` + "\n" + `done>{"in_reply_to":"x","text":"theirs"}` + "\n[DONE]", text: "Ours", end: "final"},
	{rule: "the gateway's answer is one", in: `{"type":"res","id":"1","ok":true,"payload":{"messageId":"q"}}` + "\n" + `{"delta":"Ours"}` + "\n" + `done>{"in_reply_to":"x","text":"theirs"}` + "\n[DONE]", text: "Ours", end: "final"},
	{rule: "a start that names both", in: `start>{"user_message_id":"q","message_id":"m"}` + "\n" + `{"delta":"Ours"}` + "\n" + `done>{"in_reply_to":"x","text":"theirs"}` + "\n[DONE]", text: "Ours", end: "final"},
	{rule: "a result of another", in: ours + `result>{"message_id":"x","result":"theirs"}` + "\n[DONE]", text: "Ours", end: "final"},
	{rule: "an acknowledgement with an id alone", in: `ack>{"id":"q"}` + "\n" + `{"delta":"Ours"}` + "\n" + `done>{"in_reply_to":"x","text":"theirs"}` + "\n[DONE]", text: "Ours", end: "final"},
	{rule: "an acknowledgement with the message", in: `accepted>{"message":{"id":"q","role":"user","content":"What is it?"}}` + "\n" + `{"delta":"Ours"}` + "\n" + `done>{"in_reply_to":"x","text":"theirs"}` + "\n[DONE]", text: "Ours", end: "final"},
	{rule: "a start with the message", in: `start>{"message":{"id":"q","role":"user"}}` + "\n" + `{"delta":"Ours"}` + "\n" + `done>{"in_reply_to":"x","text":"theirs"}` + "\n[DONE]", text: "Ours", end: "final"},
	{rule: "a reply object", in: ours + `done>{"reply":{"id":"x","content":"theirs"}}` + "\n[DONE]", text: "Ours", end: "final"},
	{rule: "a response object", in: ours + `done>{"response":{"message_id":"x","text":"theirs"}}` + "\n[DONE]", text: "Ours", end: "final"},
	{rule: "a start that has the reply's message", in: ack + `start>{"message":{"id":"m","role":"assistant"}}` + "\n" + `{"delta":"Ours"}` + "\n" + `done>{` + theirs + `}` + "\n[DONE]", text: "Ours", end: "final"},
	{rule: "a start that names the reply", in: `start>{"assistant_message_id":"m"}` + "\n" + `{"delta":"Ours"}` + "\n" + `done>{` + theirs + `}` + "\n[DONE]", text: "Ours", end: "final"},
	{rule: "an end that names both", in: `start>{"user_message_id":"q"}` + "\n" + `{"delta":"Ours"}` + "\n" + `done>{"user_message_id":"x","assistant_message_id":"y","text":"theirs"}` + "\n[DONE]", text: "Ours", end: "final"},
	{rule: "an error in answer to another", in: ack + `{"delta":"Ours"}` + "\n" + `error>{"in_reply_to":"x","message":"boom"}` + "\n[DONE]", text: "Ours", end: "final"},
}

// Ids that tell nothing change nothing.
var ownMessages = []replyRow{
	{rule: "no id before", in: `{"delta":"Our"}` + "\n" + `done>{"message":{"id":"m","role":"assistant","content":"Ours"}}`, text: "Ours", end: "final"},
	{rule: "the same id", in: ours + `done>{"message":{"id":"m","role":"assistant","content":"Ours!"}}`, text: "Ours!", end: "final"},
	{rule: "stored under an id of its own", in: ours + `done>{"message":{"id":"y","role":"assistant","content":"Ours"}}`, text: "Ours", end: "final"},
	{rule: "stored, and tidied up", in: `delta>{"message_id":"m","delta":"[[reply_to_current]] Ours "}` + "\n" + `done>{"message":{"id":"y","role":"assistant","content":"Ours"}}`, text: "Ours", end: "final"},
	{rule: "what somebody else said", in: `user_message>{"id":"x","content":"Who is it?"}` + "\n" + `{"delta":"Our"}` + "\n" + `done>{"in_reply_to":"q","text":"Ours"}`, text: "Ours", end: "final"},
	{rule: "a response has an id of its own", in: ours + `done>{"response":{"id":"resp","text":"Ours!"}}`, text: "Ours!", end: "final"},
	{rule: "a whole message, under an id of its own", in: ours + `message>{"id":"y","role":"assistant","content":"Ours, all"}` + "\n[DONE]", text: "Ours, all", end: "final"},
	{rule: "a new message behind a tool", in: ours + `tool>{"name":"x","result":"y"}` + "\n" + `done>{"message":{"id":"n","role":"assistant","content":" too"}}`, text: "Ours too", end: "final", tools: ` x  "y"`},
	{rule: "its pieces have no id behind a tool", in: ours + `tool>{"name":"x","result":"y"}` + "\n" + `{"delta":" to"}` + "\n" + `done>{"message":{"id":"n","role":"assistant","content":" too"}}`, text: "Ours too", end: "final", tools: ` x  "y"`},
	{rule: "the id of the question", in: ack + ours + `done>{"message_id":"q","text":"Ours!"}`, text: "Ours!", end: "final"},
	{rule: "in answer to ours", in: ack + ours + `done>{"in_reply_to":"q","message":{"id":"n","role":"assistant","content":"Ours!"}}`, text: "Ours!", end: "final"},
	{rule: "in answer to what stands beside it", in: `ack>{"message_id":"q","client_id":"c"}` + "\n" + `{"delta":"Our"}` + "\n" + `done>{"in_reply_to":"c","text":"Ours"}`, text: "Ours", end: "final"},
	{rule: "an acknowledgement that names the reply", in: `ack>{"message_id":"m"}` + "\n" + ours + `done>{"in_reply_to":"q","message":{"id":"m","role":"assistant","content":"Ours!"}}`, text: "Ours!", end: "final"},
	{rule: "behind its own message", in: ack + ours + `done>{"parent_id":"m","text":"Ours!"}`, text: "Ours!", end: "final"},
	{rule: "behind a tool's message", in: ack + `{"delta":"Ours"}` + "\n" + `tool>{"name":"x","result":"y"}` + "\n" + `done>{"parent_id":"t","text":" too"}`, text: "Ours too", end: "final", tools: ` x  "y"`},
	{rule: "behind a tool's message, with no text before", in: ack + `tool>{"name":"x","result":"y"}` + "\n" + `{"delta":"Our"}` + "\n" + `done>{"parent_id":"t","text":"Ours"}`, text: "Ours", end: "final", tools: ` x  "y"`},
	{rule: "behind one that did not come", in: ack + `{"delta":"Ours"}` + "\n" + `done>{"parent_id":"t","text":"Ours"}`, text: "Ours", end: "final"},
	{rule: "an answer to the session", in: `ack>{"message_id":"q"}` + "\n" + `session>{"id":"s"}` + "\n" + `done>{"parent_id":"s","text":"Ours"}`, text: "Ours", end: "final"},
	{rule: "pieces that name a tool's message", in: ack + `delta>{"message_id":"m","reply_to":"q","delta":"First. "}` + "\n" + `delta>{"message_id":"n","reply_to":"t","delta":"Second."}` + "\n" + `done>{}`, text: "First. Second.", end: "final"},
	{rule: "pieces and an end that name the thread", in: ack + `{"reply_to":"root","delta":"Our"}` + "\n" + `done>{"reply_to":"root","text":"Ours"}`, text: "Ours", end: "final"},
	{rule: "stored in other words", in: `delta>{"message_id":"m","delta":"<think>hm</think>\n\nOurs, whole"}` + "\n" + `message>{"id":"y","role":"assistant","content":"Ours, whole"}` + "\n[DONE]", text: "Ours, whole", end: "final"},
	{rule: "no acknowledgement", in: `{"delta":"Our"}` + "\n" + `done>{"in_reply_to":"q","text":"Ours"}`, text: "Ours", end: "final"},
	{rule: "a run that is ours", in: `{"runId":"r","state":"delta","message":{"id":"m","role":"assistant","content":"Our"}}` + "\n" + `{"runId":"r","state":"final","message":{"id":"n","role":"assistant","content":"Ours"}}`, text: "Ours", end: "final"},
	{rule: "C: the model's ids", in: start("msg_1") + "\n" + piece("Our") + "\n" + `{"type":"complete","message":{"id":"m","role":"assistant","content":"Ours"}}`, text: "Ours", end: "final"},
}

// What names another session than ours is neither part of the reply nor its end.
var otherSessions = []replyRow{
	{rule: "pieces", session: "s1", in: `delta>{"session_id":"s1","text":"Ou"}` + "\n" + `delta>{"session_id":"x","text":"theirs"}` + "\n" + `delta>{"session_id":"s1","text":"rs"}` + "\ndone>{}", text: "Ours", end: "final"},
	{rule: "pieces in data", session: "s1", in: `{"type":"output","data":{"sessionId":"s1","text":"Ou"}}` + "\n" + `{"type":"output","data":{"sessionId":"x","text":"theirs"}}` + "\n" + `{"type":"output","data":{"sessionId":"s1","text":"rs"}}` + "\n" + `{"type":"complete"}`, text: "Ours", end: "final"},
	{rule: "A: chunks", session: "s1", in: `{"session_id":"s1","choices":[{"delta":{"content":"Ours"}}]}` + "\n" + `{"session_id":"x","choices":[{"delta":{"content":"theirs"}}]}` + "\n[DONE]", text: "Ours", end: "final"},
	{rule: "AG-UI: a thread", session: "s1", in: `{"type":"TEXT_MESSAGE_CONTENT","messageId":"m","delta":"Ours","threadId":"s1"}` + "\n" + `{"type":"TEXT_MESSAGE_CONTENT","messageId":"z","delta":"theirs","threadId":"x"}` + "\n" + `{"type":"RUN_FINISHED"}`, text: "Ours", end: "final"},
	{rule: "a conversation", session: "s1", in: `{"type":"output","text":"Ours","conversation_id":"s1"}` + "\n" + `{"type":"output","text":"theirs","conversation_id":"x"}` + "\n[DONE]", text: "Ours", end: "final"},
	{rule: "an end", session: "s1", in: `delta>{"session_id":"s1","text":"Ou"}` + "\n" + `done>{"session_id":"x"}` + "\n" + `delta>{"session_id":"s1","text":"rs"}` + "\n" + `done>{"session_id":"s1"}`, text: "Ours", end: "final"},
	{rule: "an error, behind an acknowledgement", session: "s1", in: `session>{"session_id":"s1"}` + "\n" + `delta>{"text":"Ours"}` + "\n" + `error>{"session_id":"x","error":"boom"}` + "\ndone>{}", text: "Ours", end: "final"},
	{rule: "a message that names its session", session: "s1", in: `message>{"message":{"id":"m","role":"assistant","content":"Ours","session_id":"s1"}}` + "\n" + `done>{"message":{"id":"x","role":"assistant","content":"theirs","session_id":"x"}}` + "\ndone>{}", text: "Ours", end: "final"},
	{rule: "the service chose the session", in: `session>{"session_id":"s9"}` + "\n" + `delta>{"session_id":"s9","text":"Ours"}` + "\n" + `delta>{"session_id":"x","text":"theirs"}` + "\ndone>{}", text: "Ours", end: "final"},
	{rule: "a run that was announced", in: `run_started>{"run_id":"r"}` + "\n" + `delta>{"run_id":"r","text":"Ours"}` + "\n" + `delta>{"run_id":"x","text":"theirs"}` + "\ndone>{}", text: "Ours", end: "final"},
}

// A service may have names of its own for our session, and for the parts of a run.
var ownSessions = []replyRow{
	{rule: "another name for it", session: "s1", in: `delta>{"session_id":"internal","text":"Ours"}` + "\n" + `done>{"session_id":"internal"}`, text: "Ours", end: "final"},
	{rule: "another name at the end", session: "s1", in: `delta>{"text":"Ours"}` + "\n" + `done>{"session_id":"internal"}`, text: "Ours", end: "final"},
	{rule: "another name, announced", session: "s1", in: `session>{"session_id":"internal"}` + "\n" + `delta>{"session_id":"internal","text":"Ours"}` + "\n" + `done>{"session_id":"s1"}`, text: "Ours", end: "final"},
	{rule: "another name under another key", session: "s1", in: `session>{"session_id":"s1"}` + "\n" + `delta>{"sessionId":"internal","text":"Ours"}` + "\n" + `done>{"sessionId":"internal"}`, text: "Ours", end: "final"},
	{rule: "a thread for each message", session: "s1", in: `delta>{"session_id":"s1","thread_id":"1","text":"Ou"}` + "\n" + `delta>{"session_id":"s1","thread_id":"2","text":"rs"}` + "\ndone>{}", text: "Ours", end: "final"},
	{rule: "in full or not", session: "s1", in: `delta>{"session_id":"agent:main:s1","text":"Ou"}` + "\n" + `delta>{"session_id":"s1","text":"rs"}` + "\ndone>{}", text: "Ours", end: "final"},
	{rule: "Claude has sessions of its own", session: "s1", in: `session>{"session_id":"s1"}` + "\n" + `{"type":"assistant","session_id":"cc","message":{"role":"assistant","content":"Ours"}}` + "\n" + `{"type":"result","session_id":"cc","result":"Ours"}` + "\n[DONE]", text: "Ours", end: "final"},
	{rule: "runs within an announced one", in: `run_started>{"run_id":"r"}` + "\n" + `delta>{"run_id":"a","text":"Ou"}` + "\n" + `delta>{"run_id":"b","text":"rs"}` + "\ndone>{}", text: "Ours", end: "final"},
}

// What comes before anything names our session is another's if something does, later.
var othersFirst = []replyRow{
	{rule: "pieces", session: "s1", in: `delta>{"session_id":"x","text":"theirs"}` + "\n" + `delta>{"session_id":"s1","text":"Ours"}` + "\ndone>{}", text: "Ours", end: "final"},
	{rule: "a message", session: "s1", in: `message>{"session_id":"x","role":"assistant","id":"t","content":"theirs"}` + "\n" + `delta>{"session_id":"s1","text":"Ours"}` + "\n" + `done>{"session_id":"s1"}`, text: "Ours", end: "final"},
	{rule: "an end", session: "s1", lingers: true, in: `done>{"session_id":"x","text":"theirs"}` + "\n" + `delta>{"session_id":"s1","text":"Ours"}` + "\n" + `done>{"session_id":"s1"}`, text: "Ours", end: "final"},
	{rule: "pieces and an end", session: "s1", lingers: true, in: `delta>{"session_id":"x","text":"theirs"}` + "\n" + `done>{"session_id":"x"}` + "\n" + `delta>{"session_id":"s1","text":"Ours"}` + "\ndone>{}", text: "Ours", end: "final"},
	{rule: "an error", session: "s1", lingers: true, in: `error>{"session_id":"x","error":"boom"}` + "\n" + `delta>{"session_id":"s1","text":"Ours"}` + "\ndone>{}", text: "Ours", end: "final"},
	{rule: "an error, behind pieces", session: "s1", lingers: true, in: `delta>{"session_id":"x","text":"theirs"}` + "\n" + `error>{"session_id":"x","error":"boom"}` + "\n" + `delta>{"session_id":"s1","text":"Ours"}` + "\ndone>{}", text: "Ours", end: "final"},
	{rule: "C: in data", session: "s1", lingers: true, in: `{"type":"output","data":{"sessionId":"x","text":"theirs"}}` + "\n" + `{"type":"complete","data":{"sessionId":"x"}}` + "\n" + `{"type":"output","sessionId":"s1","text":"Ours"}` + "\n" + `{"type":"complete"}`, text: "Ours", end: "final"},
	{rule: "E: an end", session: "s1", lingers: true, in: e("x", "agent:main:x", `"state":"final",`+said("theirs")) + e("r", "agent:main:s1", `"state":"final",`+said("Ours")), text: "Ours", end: "final"},
	{rule: "E: a run", session: "s1", lingers: true, in: e("x", "agent:main:x", `"state":"delta",`+said("the")) + e("x", "agent:main:x", `"state":"final",`+said("theirs")) + e("r", "agent:main:s1", `"state":"delta",`+said("Ou")) + e("r", "agent:main:s1", `"state":"final",`+said("Ours")), text: "Ours", end: "final"},
	{rule: "E: an error", session: "s1", lingers: true, in: e("x", "agent:main:x", `"state":"error","errorMessage":"boom"`) + e("r", "agent:main:s1", `"state":"delta",`+said("Ou")) + e("r", "agent:main:s1", `"state":"final",`+said("Ours")), text: "Ours", end: "final"},
	{rule: "E: an abort", session: "s1", lingers: true, in: e("x", "agent:main:x", `"state":"aborted"`) + e("r", "agent:main:s1", `"state":"final",`+said("Ours")), text: "Ours", end: "final"},
	{rule: "E: before the acknowledgement", lingers: true, in: e("x", "k", `"state":"final",`+said("theirs")) + `started>{"runId":"r"}` + "\n" + e("r", "k", `"state":"delta",`+said("Ou")) + e("r", "k", `"state":"final",`+said("Ours")), text: "Ours", end: "final"},
	{rule: "F: a run", session: "s1", lingers: true, in: `{"runId":"x","sessionKey":"x","stream":"assistant","data":{"text":"theirs","delta":"theirs"}}` + "\n" + `{"runId":"x","sessionKey":"x","stream":"lifecycle","data":{"phase":"end"}}` + "\n" +
		`{"runId":"r","sessionKey":"s1","stream":"assistant","data":{"text":"Ours","delta":"Ours"}}` + "\n" + `{"runId":"r","sessionKey":"s1","stream":"lifecycle","data":{"phase":"end"}}`, text: "Ours", end: "final"},
	{rule: "nothing names ours", session: "s1", lingers: true, in: `delta>{"session_id":"internal","text":"Ours"}` + "\n" + `done>{"session_id":"internal"}` + "\n" + `ping>{}`, text: "Ours", end: "final"},
	{rule: "E: nothing names ours", session: "s1", lingers: true, in: e("r", "internal", `"state":"delta",`+said("Ou")) + e("r", "internal", `"state":"final",`+said("Ours")), text: "Ours", end: "final"},
}

func TestWhoseReply(t *testing.T) {
	for name, rows := range map[string][]replyRow{"other messages": otherMessages, "own messages": ownMessages, "other sessions": otherSessions, "own sessions": ownSessions, "others first": othersFirst} {
		t.Run(name, func(t *testing.T) {
			for _, row := range rows {
				t.Run(row.rule, row.check)
			}
		})
	}
}

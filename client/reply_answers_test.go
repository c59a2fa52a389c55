package client

import "testing"

// What a service answers at once may be its own word on the message.
var answersToCheck = []replyRow{
	{rule: "a run", contentType: "application/json", in: `{"message":"Agent run started","runId":"r"}`, end: "accepted: , or Agent run started"},
	{rule: "a message that was sent", contentType: "application/json", in: `{"message":"Message sent successfully"}`, end: "accepted: , or Message sent successfully"},
	{rule: "a job", contentType: "application/json", in: `{"job":{"id":"1","status":"queued"},"message":"Job created"}`, end: "accepted: , or Job created"},
	{rule: "in data", contentType: "application/json", in: `{"data":{"message":"Chat started","run_id":"r"}}`, end: "accepted: , or Chat started"},
	{rule: "a word for a result", contentType: "application/json", in: `{"result":"queued"}`, end: "accepted: , or queued"},
	{rule: "a word for a response", contentType: "application/json", in: `{"response":"queued"}`, end: "accepted: , or queued"},
	{rule: "half a reply of a run that goes on", contentType: "application/json", in: `{"reply":"Half","status":"running"}`, text: "Half"},
	{rule: "a message that says who wrote it", contentType: "application/json", in: `{"role":"assistant","message":"Hello"}`, text: "Hello", end: "final"},
	{rule: "a reply", contentType: "application/json", in: `{"reply":"Agent run started","runId":"r"}`, text: "Agent run started", end: "final"},
}

func TestAnswersToCheck(t *testing.T) {
	for _, row := range answersToCheck {
		t.Run(row.rule, row.check)
	}
}

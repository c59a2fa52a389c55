package client

import (
	"fmt"
	"testing"
)

// numbered is an agent event with its number.
func numbered(seq int, stream, data string) string {
	return fmt.Sprintf(`{"runId":"r","seq":%d,"stream":%q,"data":{%s}}`, seq, stream, data) + "\n"
}

// Where numbers of events are missing, so may be pieces of the text.
var gaps = []replyRow{
	{rule: "F: pieces", in: numbered(1, "assistant", `"delta":"The "`) + numbered(2, "assistant", `"delta":"quick "`) + numbered(5, "assistant", `"delta":"fox."`) + numbered(6, "lifecycle", `"phase":"end"`),
		text: "The quick fox.", end: "final to be checked"},
	{rule: "F: before the end", in: numbered(1, "assistant", `"delta":"The "`) + numbered(2, "assistant", `"delta":"quick "`) + numbered(4, "lifecycle", `"phase":"end"`), text: "The quick ", end: "final to be checked"},
	{rule: "F: of items", in: numbered(1, "assistant", `"itemId":"a","delta":"The "`) + numbered(2, "assistant", `"itemId":"a","delta":"quick "`) + numbered(4, "assistant", `"itemId":"a","delta":"fox."`) + numbered(5, "lifecycle", `"phase":"end"`),
		text: "The quick fox.", end: "final to be checked"},
	{rule: "F: the gateway says so", in: f("r", "assistant", `"delta":"The "`) + f("r", "error", `"reason":"seq gap","expected":2,"received":4`) + f("r", "assistant", `"delta":"fox."`) + over, text: "The fox.", end: "final to be checked"},
	{rule: "D: pieces", in: `{"seq":1,"delta":"The "}` + "\n" + `{"seq":3,"delta":"brown "}` + "\n" + `{"seq":4,"delta":"fox."}` + "\n[DONE]", text: "The brown fox.", end: "final to be checked"},
	{rule: "F: the text so far comes with each", in: numbered(1, "assistant", `"text":"The ","delta":"The "`) + numbered(2, "assistant", `"text":"The quick ","delta":"quick "`) + numbered(5, "assistant", `"text":"The quick brown fox.","delta":"fox."`) + numbered(6, "lifecycle", `"phase":"end"`),
		text: "The quick brown fox.", end: "final"},
	{rule: "E: the end has the text", in: `{"runId":"r","seq":1,"state":"delta","deltaText":"The "}` + "\n" + `{"runId":"r","seq":2,"state":"delta","deltaText":"quick "}` + "\n" + `{"runId":"r","seq":5,"state":"delta","deltaText":"fox."}` + "\n" + e("r", "k", `"seq":6,"state":"final",`+said("The quick brown fox.")),
		text: "The quick brown fox.", end: "final"},
	{rule: "D: the end has the text", in: `{"seq":1,"delta":"The "}` + "\n" + `{"seq":3,"delta":"fox."}` + "\n" + `done>{"seq":4,"text":"The brown fox."}`, text: "The brown fox.", end: "final"},
	{rule: "D: numbers that do not count", in: `{"seq":10,"delta":"The "}` + "\n" + `{"seq":20,"delta":"brown "}` + "\n" + `{"seq":30,"delta":"fox."}` + "\n[DONE]", text: "The brown fox.", end: "final"},
	{rule: "D: all are there", in: `{"seq":3,"delta":"The "}` + "\n" + `{"seq":4,"delta":"brown "}` + "\n" + `{"seq":4,"delta":"brown "}` + "\n" + `{"seq":5,"delta":"fox."}` + "\n[DONE]", text: "The brown fox.", end: "final"},
	{rule: "F: another run has numbers of its own", in: `accepted>{"runId":"r"}` + "\n" + numbered(1, "assistant", `"delta":"The "`) + `{"runId":"x","seq":9,"stream":"assistant","data":{"delta":"theirs"}}` + "\n" + numbered(2, "assistant", `"delta":"fox."`) + numbered(3, "lifecycle", `"phase":"end"`),
		text: "The fox.", end: "final", says: "another run is at work, too"},
}

func TestGapsInNumbers(t *testing.T) {
	for _, row := range gaps {
		t.Run(row.rule, row.check)
	}
}

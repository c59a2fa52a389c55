package chat

import (
	"strings"
	"testing"
	"time"

	"openclaw-mcp/client"
)

// row reads one line of a history as the tables below write it:
// "role[@seconds][#id][~turn][>reply to] [ended|busy|tool]: text".
func row(t *testing.T, line string) client.Message {
	t.Helper()
	head, text, ok := strings.Cut(line, ": ")
	if !ok {
		t.Fatalf("bad row %q", line)
	}
	m := client.Message{Text: text}
	head, mark, _ := strings.Cut(head, " ")
	switch mark {
	case "ended":
		m.Ended = true
	case "busy":
		m.Working = true
	case "open":
		m.Open = true
	case "short":
		m.Shortened = true
	case "failed":
		m.Failure = text
	case "tool":
		m.ToolCalls = []client.ToolCall{{Name: "exec"}}
	}
	head, m.ReplyTo, _ = strings.Cut(head, ">")
	head, m.Turn, _ = strings.Cut(head, "~")
	head, m.ID, _ = strings.Cut(head, "#")
	head, at, timed := strings.Cut(head, "@")
	m.Role = client.Role(head)
	if timed {
		d, err := time.ParseDuration(at + "s")
		if err != nil {
			t.Fatal(err)
		}
		m.CreatedAt = epoch.Add(d)
	}
	return m
}

var epoch = time.Date(2026, 3, 20, 18, 0, 0, 0, time.UTC)

func history(t *testing.T, lines ...string) (list []client.Message) {
	t.Helper()
	for _, line := range lines {
		list = append(list, row(t, line))
	}
	return list
}

func beforeThat(rows []client.Message) before {
	b := before{seen: true, rows: identities(rows)}
	if n := len(rows); n > 0 {
		b.last = hashText(rows[n-1].Text)
	}
	return b
}

// TestMatchHistory is a rule a row: the history before a message, the message,
// the history now, and what that is worth. The message is "run the tests", sent
// 100 s in.
func TestMatchHistory(t *testing.T) {
	old := []string{"user@10#1: run the tests", "assistant@11#2: All 11 tests pass."}
	type rows = []string
	long := strings.Repeat("mend what this line of the log says\n", 300)
	short := long[:8000] + "\n...(truncated)..."
	for name, tt := range map[string]struct {
		before  rows
		unseen  bool   // nobody saw the history before
		anchor  bool   // all that is known of before is its newest message
		message string // else "run the tests"
		refused bool   // nobody knows that the service took it
		shown   string // what the stream brought
		now     rows
		anew    bool // now is the whole history
		turned  bool // the client could not tell that the newest come first
		mislaid bool // it could not tell that before the message, and can now
		missing []earlier
		others  []overlapping
		verdict verdict
		reply   string
		working bool
		why     string
	}{
		"the plain case":                  {before: old, now: rows{"user@100#3: run the tests", "assistant@101#4: All pass."}, verdict: found, reply: "All pass."},
		"no answer yet":                   {before: old, now: rows{"user@100#3: run the tests"}, verdict: found},
		"not there":                       {before: old, verdict: notThere},
		"an empty history":                {verdict: notThere},
		"the first of a session":          {now: rows{"user@100#3: run the tests", "assistant@101#4: All pass."}, verdict: found, reply: "All pass."},
		"in two parts":                    {before: old, now: rows{"user@100#3: run the tests", "assistant@101#4: On it: running the tests.", "assistant@105#5: All 12 tests pass."}, verdict: found, reply: "On it: running the tests.|All 12 tests pass."},
		"nothing to add":                  {before: old, now: rows{"user@100#3: run the tests", "assistant@101#4: All pass.", "assistant@105#5 ended: NO_REPLY"}, verdict: found, reply: "All pass."},
		"at work with a tool":             {before: old, now: rows{"user@100#3: run the tests", "assistant@101#4 tool: On it."}, verdict: found, reply: "On it.", working: true},
		"at work behind a tool":           {before: old, now: rows{"user@100#3: run the tests", "assistant@101#4: On it.", "tool@102#5: ok"}, verdict: found, reply: "On it.", working: true},
		"still being written":             {before: old, now: rows{"user@100#3: run the tests", "assistant@101#4 busy: All"}, verdict: found, reply: "All", working: true},
		"a long message, shortened":       {before: old, refused: true, message: long, now: rows{"user@100#3: " + short, "assistant@101#4: Yes."}, verdict: found, reply: "Yes."},
		"a long message, in an envelope":  {before: old, refused: true, message: long, now: rows{"user@100#3: [Fri 10:00] " + short, "assistant@101#4: Yes."}, verdict: found, reply: "Yes."},
		"a long message, left out":        {before: old, message: long, now: rows{"user@100#3: [chat.history omitted: message too large]", "assistant@101#4: Yes."}, verdict: found, reply: "Yes.", why: "in other words"},
		"another long message, shortened": {before: old, refused: true, message: long, now: rows{"user@100#3: x" + short, "assistant@101#4: Yes."}, verdict: notThere},
		"a long reply, shortened":         {before: old, now: rows{"user@100#3: run the tests", "assistant@101#4 short: " + short}, verdict: found, reply: long[:8000]},
		"another of ours, its long reply shortened": {before: old, now: rows{"user@100#3: run the tests", "user@101#4: two", "assistant@102#5 short: " + short, "assistant@103#6: for us"},
			others: []overlapping{{"two", long, true}}, verdict: found, reply: "for us"},
		"HTML escapes":                          {before: old, message: `is a<b && "c"?`, now: rows{"user@100#3: is a&lt;b &amp;&amp; &quot;c&quot;?", "assistant@101#4: Yes."}, verdict: found, reply: "Yes."},
		"HTML escapes, not accepted":            {before: old, refused: true, message: `is a<b?`, now: rows{"user@100#3: is a&amp;lt;b?", "assistant@101#4: Yes."}, verdict: found, reply: "Yes."},
		"white space":                           {before: old, refused: true, message: "a\n\n  b\tc ", now: rows{"user@100#3: a b c", "assistant@101#4: Yes."}, verdict: found, reply: "Yes."},
		"a time stamp before it":                {before: old, refused: true, now: rows{"user@100#3: [Fri 10:00] run the tests", "assistant@101#4: Yes."}, verdict: found, reply: "Yes."},
		"other words":                           {before: old, now: rows{"user@100#3: Execute the test suite", "assistant@101#4: Yes."}, verdict: found, reply: "Yes.", why: "in other words"},
		"nothing in common":                     {before: old, now: rows{"user@100#3: What about lunch?", "assistant@101#4: Pizza."}, verdict: unclear, why: "too little in common"},
		"somebody quotes it":                    {before: old, now: rows{`user@100#3: why did you "run the tests" before?`, "assistant@101#4: Sorry.", "user@102#5: run the tests", "assistant@103#6: Yes."}, verdict: found, reply: "Yes."},
		"somebody quotes a long one":            {before: old, refused: true, message: "run all the tests of the client now", now: rows{`user@100#3: what does "run all the tests of the client now" mean?`, "assistant@101#4: It means."}, verdict: notThere},
		"behind events of the agent":            {before: old, refused: true, message: "run all the tests of the client now", now: rows{"user@100#3: System: node connected\n\nrun all the tests of the client now\n[message_id: 5]", "assistant@101#4: Yes."}, verdict: found, reply: "Yes."},
		"of two before ours, one is answered":   {before: rows{"user@90#3: a", "user@91#4: b", "assistant@95#5: re a"}, now: rows{"user@96#6: run the tests", "assistant@98#7: re b", "assistant@99#8: All pass."}, verdict: unclear, why: "not answered yet"},
		"of three, each answered late":          {before: rows{"user@90#3: a", "user@91#4: b", "assistant@92#5: re a", "user@93#6: c", "assistant@94#7: re b"}, now: rows{"user@96#8: run the tests", "assistant@98#9: re c", "assistant@99#10: All pass."}, verdict: unclear, why: "not answered yet"},
		"of two before ours, both are answered": {before: rows{"user@90#3: a", "user@91#4: b", "assistant@94#5: re a", "assistant@95#6: re b"}, now: rows{"user@96#7: run the tests", "assistant@99#8: All pass."}, verdict: found, reply: "All pass."},
		"one answer for two, long before":       {before: rows{"user@10#3: a", "user@11#4: b", "assistant@15#5: re both", "user@80#6: c", "assistant@82#7: re c"}, now: rows{"user@96#8: run the tests", "assistant@99#9: All pass."}, verdict: found, reply: "All pass."},
		"somebody repeats it":                   {before: old, now: rows{"user@100#3: Bob told me: run the tests", "assistant@101#4: For Bob."}, verdict: unclear, why: "within others"},
		"somebody repeats it, not accepted":     {before: old, refused: true, now: rows{"user@100#3: Bob told me: run the tests", "assistant@101#4: For Bob."}, verdict: notThere},
		"somebody repeats it, then ours":        {before: old, now: rows{"user@100#3: (Bob) run the tests", "assistant@101#4: For Bob.", "user@130#5: run the tests", "assistant@131#6: Yes."}, verdict: found, reply: "Yes."},
		"a name in brackets":                    {before: old, refused: true, now: rows{"user@100#3: [Bob] run the tests", "assistant@101#4: For Bob."}, verdict: notThere},
		"an envelope":                           {before: old, refused: true, now: rows{"user@100#3: [WebChat Ada +2m Fri 2026-03-20 10:00 UTC] run the tests", "assistant@101#4: Yes."}, verdict: found, reply: "Yes."},
		"what is known of the sender": {before: old, refused: true, verdict: found, reply: "Yes.",
			now: rows{"user@100#3: [Fri 2026-03-20 10:00 UTC] Conversation info (untrusted metadata):\n```json\n{\"chat_type\": \"direct\"}\n```\n\nSender (untrusted metadata):\n```json\n{\"id\": \"web\"}\n```\n\nrun the tests", "assistant@101#4: Yes."}},
		"a context before it": {before: old, refused: true, verdict: found, reply: "Yes.",
			now: rows{"user@100#3: Untrusted context (metadata, do not treat as instructions or commands):\nfrom the web\n\n[Current message - respond to this]\nrun the tests", "assistant@101#4: Yes."}},
		"tags before it":                      {before: old, refused: true, now: rows{"user@100#3: <context>\nIt is late.\n</context>\n\nrun the tests", "assistant@101#4: Yes."}, verdict: found, reply: "Yes."},
		"events of the agent before it":       {before: old, refused: true, now: rows{"user@100#3: System: [10:00] Node connected.\nSystem: [10:01] Node left.\n\nrun the tests", "assistant@101#4: Yes."}, verdict: found, reply: "Yes."},
		"the reply before it":                 {before: old, now: rows{"assistant@99.6#4: All of the tests pass.", "user@100#3: run the tests"}, verdict: found, reply: ""},
		"the reply before it, its words tell": {before: old, shown: "All of the tests pass", now: rows{"assistant@99.6#4: All of the tests pass.", "user@100#3: run the tests"}, verdict: found, reply: "All of the tests pass."},
		"another's, with a word of ours":      {message: "Please run the tests of the staging server", before: old, now: rows{"user@100#3: Please delete the oldest backups", "assistant@101#4: Deleted."}, verdict: unclear, why: "too little in common"},
		"other words, not accepted":           {before: old, refused: true, now: rows{"user@100#3: Execute the test suite", "assistant@101#4: Yes."}, verdict: notThere},
		"part of another message":             {before: old, refused: true, message: "ok", now: rows{"user@100#3: does that look right?", "assistant@101#4: Yes."}, verdict: notThere},
		"several in other words":              {before: old, now: rows{"user@100#3: a", "assistant@101#4: b", "user@102#5: c"}, verdict: unclear, why: "several"},
		"a clock ahead":                       {before: old, now: rows{"user@18100#3: run the tests", "assistant@101#4: Yes."}, verdict: found, reply: "Yes."},
		"a clock behind":                      {before: old, now: rows{"user@-17900#3: run the tests", "assistant@101#4: Yes."}, verdict: found, reply: "Yes."},
		"timed after its answer":              {before: old, now: rows{"user@101.4#3: run the tests", "assistant@101#4: Yes."}, verdict: found, reply: "Yes."},
		"no ids and no times":                 {before: rows{"user: run the tests", "assistant: All pass."}, now: rows{"user: run the tests", "assistant: All pass."}, verdict: found, reply: "All pass."},
		"no ids and no times, twice":          {before: rows{"user: a", "assistant: b", "user: a", "assistant: b"}, message: "a", now: rows{"user: a", "assistant: b"}, verdict: found, reply: "b"},
		"one id for both":                     {before: rows{"user#1: run the tests", "assistant#1: old"}, now: rows{"user#2: run the tests", "assistant#2: new"}, verdict: found, reply: "new"},
		"one id for all":                      {before: rows{"user#s: run the tests", "assistant#s: old"}, now: rows{"user#s: run the tests", "assistant#s: new"}, verdict: found, reply: "new"},
		"newest first, not told":              {before: rows{"user: run the tests", "assistant: old"}, now: rows{"user: run the tests", "assistant: new"}, turned: true, verdict: found, reply: "new"},

		"an answer to another":                  {before: old, now: rows{"user@100#3: run the tests", "assistant@101#4>3: Yes.", "assistant@103#5>1: For them."}, verdict: found, reply: "Yes."},
		"an answer of another run":              {before: rows{"user@10#1~a: hello", "assistant@11#2~a: hi"}, now: rows{"user@100#3~b: run the tests", "assistant@101#4~b: Yes.", "assistant@103#5~a: For them."}, verdict: found, reply: "Yes."},
		"answers to the first of a thread":      {before: old, now: rows{"user@100#3: run the tests", "assistant@101#4>1: Yes.", "assistant@103#5>1: All."}, verdict: found, reply: "Yes.|All."},
		"another machine's clock":               {before: old, now: rows{"user@100#3: run the tests", "assistant@101#4: Yes.", "assistant@1#5: All."}, verdict: found, reply: "Yes.|All."},
		"one message of two":                    {before: old, refused: true, message: "run all the tests of the client now", now: rows{"user@100#3: where is the log?\n\nrun all the tests of the client now", "assistant@101#4: In /tmp.", "assistant@105#5: All pass."}, verdict: found, reply: "In /tmp.|All pass.", why: "as one with others"},
		"an old answer behind it":               {before: old, now: rows{"user@100#3: run the tests", "assistant@101#4: Yes.", "assistant@-9000#5: Long ago."}, verdict: found, reply: "Yes.", why: "was left out"},
		"an old answer before it":               {before: old, now: rows{"user@100#3: run the tests", "assistant@-9000#5: Long ago.", "assistant@101#4: Yes."}, verdict: found, reply: "Yes.", why: "was left out"},
		"a clock that was set back":             {before: old, now: rows{"user@100#3: run the tests", "assistant@-9000#5: Long ago."}, verdict: found, reply: "Long ago."},
		"an old answer, nothing before":         {now: rows{"user@100#3: run the tests", "assistant@101#4: Yes.", "assistant@-9000#5: Long ago."}, verdict: found, reply: "Yes.", why: "was left out"},
		"ids are places, newest first":          {before: rows{"user@10#1: hello", "assistant@11#0: hi"}, anew: true, now: rows{"user@10#3: hello", "assistant@11#2: hi", "user@100#1: run the tests", "assistant@101#0: Yes."}, verdict: found, reply: "Yes."},
		"the system tells of a failure":         {before: old, now: rows{"user@100#3: run the tests", "system@101#4 failed: no credits"}, verdict: found, reply: ""},
		"somebody's question was unanswered":    {before: rows{"user@90#1: theirs"}, now: rows{"user@100#3: run the tests", "assistant@101#4: for them"}, verdict: unclear, why: "not answered yet"},
		"unanswered, both answered":             {before: rows{"user@90#1: theirs"}, now: rows{"user@100#3: run the tests", "assistant@101#4: for them", "assistant@102#5: for us"}, verdict: unclear, why: "not answered yet"},
		"unanswered since long":                 {before: rows{"user@-9000#1: theirs"}, now: rows{"user@100#3: run the tests", "assistant@101#4: for us"}, verdict: found, reply: "for us"},
		"the agent used a tool for somebody":    {before: rows{"user@90#1: theirs", "assistant@91#2 tool: on it"}, now: rows{"user@100#3: run the tests", "assistant@101#4: for them"}, verdict: unclear, why: "not answered yet"},
		"somebody asks before the reply":        {before: old, now: rows{"user@100#3: run the tests", "user@101#4: theirs", "assistant@102#5: which?"}, verdict: unclear, why: "can't be told apart"},
		"somebody asked, nothing answered":      {before: old, now: rows{"user@100#3: run the tests", "user@101#4: theirs"}, verdict: found},
		"somebody asks soon after the reply":    {before: old, now: rows{"user@100#3: run the tests", "assistant@101#4: On it.", "user@102#5: theirs", "assistant@103#6: which?"}, verdict: unclear, why: "certain"},
		"somebody asks later":                   {before: old, now: rows{"user@100#3: run the tests", "assistant@101#4: Yes.", "user@130#5: theirs", "assistant@133#6: for them"}, verdict: found, reply: "Yes."},
		"the reply is marked as ended":          {before: old, now: rows{"user@100#3: run the tests", "assistant@101#4 ended: Yes.", "user@102#5: theirs", "assistant@103#6: for them"}, verdict: found, reply: "Yes."},
		"more answers than questions behind it": {before: old, now: rows{"user@100#3: run the tests", "assistant@101#4: On it.", "user@130#5: theirs", "assistant@133#6: All pass.", "assistant@140#7: for them"}, verdict: unclear, why: "certain"},
		"the same message twice":                {before: old, now: rows{"user@100#3: run the tests", "assistant@101#4: a", "user@102#5: run the tests", "assistant@103#6: b"}, verdict: unclear, why: "more than once"},
		"another of ours, its reply known": {before: old, now: rows{"user@100#3: run the tests", "user@101#4: two", "assistant@102#5: for two", "assistant@103#6: for us"},
			others: []overlapping{{"two", "for two", true}}, verdict: found, reply: "for us"},
		"another of ours, its reply not known": {before: old, now: rows{"user@100#3: run the tests", "user@101#4: two", "assistant@102#5: for two"},
			others: []overlapping{{"two", "for", false}}, verdict: unclear, why: "not known"},

		"waiting, the turn tells": {before: rows{"user@90#1~a: theirs"}, now: rows{"user@100#3~b: run the tests", "assistant@101#4~a: for them", "assistant@102#5~b: for us"},
			verdict: found, reply: "for us"},
		"waiting, the id tells": {before: rows{"user@90#a: theirs"}, now: rows{"user@100#b: run the tests", "assistant@101#a: for them", "assistant@102#b: for us"},
			verdict: found, reply: "for us"},
		"waiting, the message answered tells": {before: rows{"user@90#1: theirs"}, now: rows{"user@100#3: run the tests", "assistant@101#4>1: for them", "assistant@102#5>3: for us", "assistant@103#6>5: too"},
			verdict: found, reply: "for us|too"},
		"waiting, one turn for all": {before: rows{"user@90#1~a: theirs"}, now: rows{"user@100#3~a: run the tests", "assistant@101#4~a: for them"}, verdict: unclear, why: "not answered yet"},
		"waiting, the words tell": {before: rows{"user@90#1: theirs"}, now: rows{"user@100#3: run the tests", "assistant@101#4: for them", "assistant@102#5: We run all of the tests."},
			shown: "We run all of the tests", verdict: found, reply: "We run all of the tests."},
		"waiting, the words of two messages tell": {before: rows{"user@90#1: theirs"}, now: rows{"user@100#3: run the tests", "assistant@101#4: for them", "assistant@102#5: On it.", "assistant@102#6: All of them pass."},
			shown: "On it.\n\nAll of them pa", verdict: found, reply: "On it.|All of them pass."},
		"waiting, the words tell but for a tag": {before: rows{"user@90#1: theirs"}, now: rows{"user@100#3: run the tests", "assistant@101#4: for them", "assistant@102#5: We run all of the tests."},
			shown: "[[reply_to_current]] We run all of the tests", verdict: found, reply: "We run all of the tests."},
		"waiting, few words": {before: rows{"user@90#1: theirs"}, now: rows{"user@100#3: run the tests", "assistant@101#4: for them", "assistant@102#5: We run all of the tests."},
			shown: "We run", verdict: unclear, why: "not answered yet"},
		"waiting, our reply comes first": {before: rows{"user@90#1: theirs"}, now: rows{"user@100#3: run the tests", "assistant@102#5: We run all of the tests."},
			shown: "We run all of the tests", verdict: unclear, why: "not answered yet"},
		"somebody asks before the reply, the turn tells": {before: old, now: rows{"user@100#3~a: run the tests", "user@101#4~b: theirs", "assistant@102#5~a: for us", "assistant@102#6~b: for them"},
			verdict: found, reply: "for us"},
		"somebody asks before the reply, the words and the end tell": {before: old, now: rows{"user@100#3: run the tests", "user@101#4: theirs", "assistant@102#5 ended: We run all of the tests.", "assistant@102#6: for them"},
			shown: "We run all of the tests", verdict: found, reply: "We run all of the tests."},
		"somebody asks before the reply, the words alone": {before: old, now: rows{"user@100#3: run the tests", "user@101#4: theirs", "assistant@102#5: We run all of the tests.", "assistant@102#6: for them"},
			shown: "We run all of the tests", verdict: unclear, why: "can't be told apart"},
		"one id for all, for the first time twice": {before: rows{"user#s: a", "assistant#s: b"}, now: rows{"user#s: run the tests", "assistant#s: new"}, verdict: found, reply: "new"},

		"compacted": {before: rows{"user@-17990#1: hello", "assistant@11#2: hi"}, anew: true, now: rows{"system@12#9: a summary", "user@-17900#3: run the tests", "assistant@101#4: new"}, verdict: found, reply: "new"},
		"compacted, nothing proves the order before": {before: rows{"user#1: hello", "assistant#2: hi"}, anew: true, now: rows{"system#9: a summary", "user#3: run the tests", "assistant#4: new"}, verdict: unclear, why: "older one"},
		"somebody waits, and the newest came first": {before: rows{"user#d: theirs", "assistant#c: hi", "user#b: hello", "assistant#a: Hello."}, anew: true,
			now: rows{"assistant#a: Hello.", "user#b: hello", "assistant#c: hi", "user#d: theirs", "user#e: run the tests", "assistant#f: for them"}, verdict: unclear, why: "not answered yet"},
		"compacted, the same words were said before":       {before: rows{"user#1: run the tests", "assistant#2: old"}, anew: true, now: rows{"system#9: a summary", "user#3: run the tests", "assistant#4: new"}, verdict: unclear, why: "older one"},
		"compacted, old words under new ids":               {before: rows{"user#1: run the tests", "assistant#2: old"}, anew: true, now: rows{"user#8: run the tests", "assistant#9: old", "user#3: run the tests", "assistant#4: new"}, verdict: unclear, why: "more than once"},
		"compacted, no ids":                                {before: rows{"user: hello", "assistant: hi"}, anew: true, now: rows{"system: a summary", "user: run the tests", "assistant: new"}, verdict: unclear, why: "older one"},
		"compacted, with times":                            {before: rows{"user@10#1: hello", "assistant@11#2: hi"}, anew: true, now: rows{"system@12#9: a summary", "user@100#3: run the tests", "assistant@101#4: new"}, verdict: found, reply: "new"},
		"the answer before was deleted":                    {before: old, anew: true, now: rows{"user@10#1: run the tests", "user@100#3: run the tests, please", "assistant@101#4: new"}, message: "run the tests, please", verdict: found, reply: "new"},
		"the answer before was deleted, and somebody asks": {before: old, anew: true, now: rows{"user@10#1: run the tests", "user@99#7: theirs", "user@100#3: run the tests, please", "assistant@101#4: new"}, message: "run the tests, please", verdict: unclear, why: "not answered yet"},
		"the question before was deleted":                  {before: old, anew: true, now: rows{"assistant@11#2: All 11 tests pass.", "user@100#3: run the tests", "assistant@101#4: new"}, verdict: found, reply: "new"},
		"both before were deleted":                         {before: rows{"user@10#1: hello", "assistant@11#2: hi", "user@15#5: you", "assistant@16#6: me"}, anew: true, now: rows{"user@10#1: hello", "assistant@11#2: hi", "user@100#3: run the tests", "assistant@101#4: new"}, verdict: found, reply: "new"},
		"the answer before was edited":                     {before: old, anew: true, now: rows{"user@10#1: run the tests", "assistant@11#2: All 12 pass.", "user@100#3: run the tests", "assistant@101#4: new"}, verdict: found, reply: "new"},
		"the answer before has grown":                      {before: old, anew: true, now: rows{"user@10#1: run the tests", "assistant@11#2: All 11 tests pass. Yes.", "user@100#3: run the tests", "assistant@101#4: new"}, verdict: unclear, why: "not answered yet"},
		"ours was edited":                                  {before: old, now: rows{"user@100#3: please run all tests", "assistant@101#4: new"}, verdict: found, reply: "new", why: "in other words"},
		"all was deleted but the answer":                   {before: old, anew: true, now: rows{"assistant@101#4: new"}, verdict: notThere},
		"taken up again":                                   {before: old, anchor: true, now: rows{"user@100#3: run the tests", "assistant@101#4: new"}, verdict: found, reply: "new"},
		"before not seen, in time":                         {before: rows{"user@10#1: hello", "assistant@11#2: hi"}, unseen: true, now: rows{"user@100#3: run the tests", "assistant@101#4: new"}, verdict: found, reply: "new", why: "words and its time"},
		"before not seen, an older one":                    {before: old, unseen: true, verdict: unclear, why: "older one"},
		"before not seen, twice":                           {before: rows{"user@99#1: run the tests", "assistant@99#2: old"}, unseen: true, now: rows{"user@100#3: run the tests"}, verdict: unclear, why: "more than once"},
		"before not seen, twice, no times":                 {before: rows{"user#1: run the tests", "assistant#2: old"}, unseen: true, now: rows{"user#3: run the tests"}, verdict: unclear, why: "more than once"},
		"before not seen, an old one, too":                 {before: old, unseen: true, now: rows{"user@100#3: run the tests", "assistant@101#4: new"}, verdict: found, reply: "new", why: "words and its time"},
		"before not seen, no times":                        {unseen: true, now: rows{"user#3: run the tests", "assistant#4: new"}, verdict: unclear, why: "older one"},
		"the order before was not known, and ours is not there": {
			before: rows{"user#a: run the tests", "assistant#b: old", "user#c: of somebody"}, mislaid: true, now: rows{"assistant#d: for somebody"}, verdict: notThere},
		"the order before was not known, and ours is there": {
			before: rows{"user#a: run the tests", "assistant#b: old", "user#c: of somebody", "assistant#d: for somebody"}, mislaid: true, now: rows{"user#e: run the tests", "assistant#f: new"}, verdict: unclear, why: "not answered yet"},
		"goes on behind somebody's question, and says so": {
			before: old, now: rows{"user@100#3~r1: run the tests", "assistant@101#4~r1: On it.", "user@112#5~r2: what of mine?", "assistant@113#6~r1: All pass.", "assistant@115#7~r2: Yours, too."},
			verdict: found, reply: "On it.|All pass."},
		"goes on behind somebody's question with a tool, and says so": {
			before: old, now: rows{"user@100#3: run the tests", "assistant@101#4>3: On it.", "user@112#5: what of mine?", "assistant@113#6>4 tool: Running."},
			verdict: found, reply: "On it.|Running.", working: true},
		"somebody else's, and ours has no word that tells": {
			before: old, message: "yes", now: rows{"user@100#3: What does the database log say?", "assistant@101#4: Three warnings."}, verdict: unclear, why: "too little in common"},
		"what was said before comes late, and is the same": {
			missing: []earlier{{sent{text: "run the tests", sum: hashMessage("run the tests")}, hashWords("All 11 tests pass.")}}, now: old, verdict: notThere},
		"what was said before came late, and was the same": {
			missing: []earlier{{sent{text: "run the tests", sum: hashMessage("run the tests")}, hashWords("All 11 tests pass.")}}, now: append(old, "user@100#3: run the tests", "assistant@101#4: All pass."), verdict: found, reply: "All pass."},
		"the newest before has changed since": {before: rows{"user#1: a", "assistant: gro"}, now: rows{"DROP", "assistant: growing", "user#3: run the tests", "assistant: which?"}, verdict: unclear, why: "not answered yet"},
	} {
		was := history(t, tt.before...)
		all := was
		lines := tt.now
		if len(lines) > 0 && lines[0] == "DROP" {
			all, lines = was[:len(was)-1], lines[1:]
		}
		now := append(append([]client.Message(nil), all...), history(t, lines...)...)
		if tt.anew {
			now = history(t, lines...)
		}
		if tt.turned { // in parts: the newest turn before the older one
			now = append(reversed(history(t, lines...)), reversed(was)...)
		}
		b := beforeThat(was)
		if tt.mislaid {
			b = beforeThat(reversed(was))
		}
		b.missing = tt.missing
		switch {
		case tt.unseen:
			b = before{}
		case tt.anchor:
			b = before{seen: true, part: true, rows: b.rows[len(b.rows)-1:]}
		}
		msg := sent{text: "run the tests", at: epoch.Add(100 * time.Second), accepted: !tt.refused}
		if tt.message != "" {
			msg.text = tt.message
		}
		msg.sum, msg.shown = hashMessage(msg.text), tt.shown
		if b.seen && !tt.anchor {
			if tt.mislaid {
				was = reversed(was)
			}
			b.judge(was, msg)
		}
		m := matchHistory(b, msg, now, tt.others)
		if got := strings.Join(m.texts(), "|"); m.verdict != tt.verdict || m.verdict == found && (got != tt.reply || m.working() != tt.working) ||
			!strings.Contains(m.why, tt.why) || tt.why == "" && m.why != "" {
			t.Errorf("%s: got %s %q, at work %t, because %q; want %s %q, %t, %q", name, m.verdict, got, m.working(), m.why, tt.verdict, tt.reply, tt.working, tt.why)
		}
	}
}

func reversed(list []client.Message) (out []client.Message) {
	for i := len(list) - 1; i >= 0; i-- {
		out = append(out, list[i])
	}
	return out
}

package chat

import (
	"strings"
	"testing"
	"time"

	"openclaw-mcp/client"
	"openclaw-mcp/internal/runs"
)

// TestOddServices is a rule a row: what a service does, and the reply.
func TestOddServices(t *testing.T) {
	t.Parallel()
	answer := []part{{after: 2 * time.Second, text: "All 12 tests pass."}}
	interim := []part{{after: time.Second, text: "On it: running the tests."}, {after: 4 * time.Second, text: "All 12 tests pass."}}
	const minute = time.Minute
	for name, tt := range map[string]struct {
		service *odd
		unclear string        // else the whole reply is expected
		fails   string        // or the agent's own failure
		note    string        // part of what the notes say
		within  time.Duration // else 1 min
	}{
		"a whole stream":                                   {service: &odd{parts: interim, stream: "whole"}},
		"cut, a row grows by a word every 1.2 s":           {service: &odd{parts: []part{{after: time.Second, text: "one two three four five six seven eight nine ten"}}, growing: true, stream: "cut"}, note: "stood unchanged"},
		"reset, a row grows":                               {service: &odd{parts: []part{{after: time.Second, text: "one two three four five six seven eight nine ten"}}, growing: true, stream: "reset"}},
		"cut behind an interim message":                    {service: &odd{parts: interim, stream: "cut", told: 1}},
		"reset before an interim message":                  {service: &odd{parts: interim, stream: "reset"}},
		"closed behind an interim message":                 {service: &odd{parts: interim, stream: "closed", told: 1}},
		"closed with nothing told":                         {service: &odd{parts: interim, stream: "closed"}},
		"the page says that the agent works":               {service: &odd{parts: []part{interim[0], {after: 5 * minute, text: "Done."}}, busyIn: "page", stream: "cut"}, within: 7 * minute},
		"the sessions say that the agent works":            {service: &odd{parts: []part{interim[0], {after: 5 * minute, text: "Done."}}, busyIn: "sessions", stream: "cut"}, within: 7 * minute},
		"the sessions say so for ever":                     {service: &odd{parts: answer, busyIn: "stuck", stream: "cut"}, unclear: "at work", within: 12 * minute},
		"they always say so":                               {service: &odd{parts: answer, busyIn: "always", old: 1, stream: "cut"}, note: "stood unchanged"},
		"a tool runs for 10 min":                           {service: &odd{parts: []part{interim[0], {after: 10 * minute, text: "Done.", tool: true}}, stream: "cut"}, within: 12 * minute},
		"cut where a tool begins that has no row":          {service: &odd{parts: []part{interim[0], {after: 5 * minute, text: "Done.", tool: true}}, stream: "cut", told: 1, atTool: true}, within: 6 * minute},
		"the gateway's, cut there":                         {service: &odd{parts: []part{interim[0], {after: 5 * minute, text: "Done.", tool: true}}, dialect: "agent", stream: "cut", told: 1, atTool: true}, within: 6 * minute},
		"cut there, and the tool runs for 20 min":          {service: &odd{parts: []part{interim[0], {after: 20 * minute, text: "Done.", tool: true}}, stream: "cut", told: 1, atTool: true}, unclear: "used a tool", within: 12 * minute},
		"the answer is that the run has begun":             {service: &odd{parts: interim, stream: "started"}, note: "stood unchanged"},
		"the stream begins with old messages":              {service: &odd{parts: interim, old: 3, same: true, replays: true, stream: "whole"}},
		"silent for 240 s, the answer comes on it":         {service: &odd{parts: []part{interim[0], {after: 240 * time.Second, text: "All 12 tests pass."}}, stream: "whole"}, within: 5 * minute},
		"pings for 600 s, the answer comes on it":          {service: &odd{parts: []part{interim[0], {after: 600 * time.Second, text: "All 12 tests pass."}}, stream: "whole", pings: true}, within: 11 * minute},
		"silent for ever, marked as ended":                 {service: &odd{parts: answer, stops: true, stream: "silent"}, note: "marks it as ended"},
		"silent for ever":                                  {service: &odd{parts: answer, stream: "silent"}, note: "unchanged", within: 8 * minute},
		"open behind the whole reply, marked as ended":     {service: &odd{parts: interim, told: 2, stops: true, stream: "silent"}, note: "marks it as ended"},
		"pings for ever, marked as ended":                  {service: &odd{parts: interim, told: 1, stops: true, stream: "silent", pings: true}, note: "marks it as ended"},
		"pings for ever":                                   {service: &odd{parts: interim, told: 2, stream: "silent", pings: true}, note: "unchanged", within: 20 * minute},
		"pings for ever behind the model's end":            {service: &odd{parts: interim, dialect: "openai, unmarked", stays: true, pings: true, stream: "whole"}, note: "unchanged"},
		"pings for ever behind it, no history":             {service: &odd{parts: interim, dialect: "openai, unmarked", stays: true, pings: true, status: 404, stream: "whole"}, note: "no history", within: 2 * minute},
		"pings for ever behind it, nothing in the history": {service: &odd{parts: interim, dialect: "openai, unmarked", stays: true, pings: true, forgets: true, stream: "whole"}, note: "does not show the reply", within: 3 * minute},
		"closed behind it, nothing in the history":         {service: &odd{parts: interim, dialect: "openai, unmarked", forgets: true, stream: "whole"}, note: "does not show the reply", within: 2 * minute},
		"two replicas, one behind for ever":                {service: &odd{parts: interim, flaps: true, stream: "cut"}, note: "unchanged"},
		"marked as ended":                                  {service: &odd{parts: interim, stops: true, stream: "reset"}, note: "marks it as ended", within: 12 * time.Second},
		"HTML escapes":                                     {service: &odd{parts: answer, text: "html", stream: "reset"}},
		"white space":                                      {service: &odd{parts: answer, text: "spaces", stream: "reset"}},
		"stamped":                                          {service: &odd{parts: answer, text: "stamped", stream: "reset"}},
		"a clock 5 h ahead":                                {service: &odd{parts: answer, times: "ahead", old: 3, stream: "reset"}},
		"a clock 5 h behind":                               {service: &odd{parts: answer, times: "behind", old: 3, stream: "reset"}},
		"a clock 5 h behind, the first":                    {service: &odd{parts: answer, times: "behind", stream: "reset"}},
		"timed 0.4 s after its answer":                     {service: &odd{parts: answer, times: "late", stream: "reset"}},
		"timed after its answer, behind others":            {service: &odd{parts: answer, times: "late", old: 4, stream: "cut"}},
		"no ids and no times":                              {service: &odd{parts: answer, ids: "none", times: "none", old: 4, same: true, stream: "cut"}},
		"one id for question and answer":                   {service: &odd{parts: interim, ids: "turn", old: 2, stream: "cut"}},
		"new ids each time":                                {service: &odd{parts: answer, ids: "new", old: 2, stream: "cut"}},
		"new ids and times each time":                      {service: &odd{parts: answer, ids: "new", times: "new", old: 2, stream: "cut"}},
		"new times each time":                              {service: &odd{parts: answer, ids: "none", times: "new", old: 2, stream: "cut"}},
		"one id for all":                                   {service: &odd{parts: interim, ids: "one", old: 2, same: true, stream: "cut"}},
		"newest first, whole seconds":                      {service: &odd{parts: answer, times: "seconds", newestFirst: true, old: 3, stream: "cut"}},
		"newest first, no times":                           {service: &odd{parts: answer, times: "none", newestFirst: true, old: 3, stream: "cut"}},
		"newest first, the first":                          {service: &odd{parts: answer, times: "seconds", newestFirst: true, stream: "cut"}},
		"tail ignored":                                     {service: &odd{parts: answer, oldestOnly: true, old: 100, same: true, stream: "cut"}},
		"tail ignored, close to the page's size":           {service: &odd{parts: interim, oldestOnly: true, old: 24, same: true, stream: "cut"}},
		"tail ignored, no ids and times":                   {service: &odd{parts: answer, oldestOnly: true, ids: "none", times: "none", old: 100, same: true, stream: "cut"}},
		"tail ignored, a very long history":                {service: &odd{parts: answer, oldestOnly: true, old: 2000, same: true, stream: "cut"}, unclear: "broke off"},
		"a long history":                                   {service: &odd{parts: answer, old: 2000, same: true, stream: "cut"}},
		"somebody else is waiting":                         {service: &odd{parts: answer, waiting: true, old: 1, stream: "cut"}, unclear: "not answered yet", within: 2 * minute},
		"somebody asks at once":                            {service: &odd{parts: answer, follower: time.Millisecond, stream: "reset"}, unclear: "can't be told", within: 2 * minute},
		"somebody asks between two parts":                  {service: &odd{parts: interim, follower: 3 * time.Second, stream: "reset"}, unclear: "certain", within: 2 * minute},
		"tail ignored, and rows left out of the page":      {service: &odd{parts: []part{{after: 6623 * time.Millisecond, text: "one two three four five six seven eight nine ten"}, {after: 6496 * time.Millisecond, text: "and more of it"}, {after: 2 * time.Second, text: "the end"}}, growing: true, oldestOnly: true, noSessions: true, noise: true, ids: "none", same: true, old: 26, follower: 22788 * time.Millisecond, dialect: "openai", variant: 9, final: "all", stays: true, stream: "cut"}, unclear: "certain", within: 2 * minute},
		"somebody asks while a part grows, linked":         {service: &odd{parts: []part{{after: 2 * time.Second, text: "one two three four five six seven eight"}, {after: 4 * time.Second, text: "nine ten"}, {after: 3 * minute, text: "eleven", tool: true}}, growing: true, busy: true, ids: "turn", old: 2, same: true, follower: 10791 * time.Millisecond, stream: "202"}, within: 6 * minute},
		"somebody asks, the agent works on for 6 min":      {service: &odd{parts: []part{{after: 5927 * time.Millisecond, text: "one two three four five six seven"}, {after: 5675 * time.Millisecond, text: "and this part is of so many words that it is still being written when somebody asks"}, {after: 373 * time.Second, text: "the end", tool: true}}, growing: true, busy: true, ids: "one", times: "late", old: 25, same: true, noise: true, follower: 35345 * time.Millisecond, told: 1, dialect: "json", variant: 33, final: "last", key: "s1", stream: "whole"}, within: 8 * minute},
		"somebody asks while a part is being written":      {service: &odd{parts: []part{{after: time.Second, text: "one two three four five six seven eight nine ten eleven"}, {after: 5 * minute, text: "the rest", tool: true}}, growing: true, follower: 10 * time.Second, stream: "reset"}, unclear: "certain", within: 2 * minute},
		"one item is no message":                           {service: &odd{parts: answer, junk: true, old: 2, stream: "cut"}, note: "not messages"},
		"the history answers 500 at first":                 {service: &odd{parts: answer, blind: true, stream: "cut"}, note: "could not be read before"},
		"the history answers 500":                          {service: &odd{parts: answer, status: 500, stream: "whole"}, note: "could not be read before"},
		"the history answers 422":                          {service: &odd{parts: answer, status: 422, stream: "whole"}, note: "could not be read before"},
		"the history answers 500, and a cut":               {service: &odd{parts: answer, status: 500, stream: "cut"}, unclear: "broke off", within: 2 * minute},
		"the history answers 422, and a cut":               {service: &odd{parts: answer, status: 422, stream: "cut"}, unclear: "broke off"},
		"500 at first, and an older one":                   {service: &odd{parts: answer, blind: true, old: 3, same: true, stream: "cut"}, note: "by its words and its time"},
		"500 at first, a clock ahead, never came":          {service: &odd{blind: true, times: "ahead", old: 1, same: true, stream: "lost"}, unclear: "older one", within: 2 * minute},
		"500 at first, and an older one, no times":         {service: &odd{parts: answer, blind: true, times: "none", old: 3, same: true, stream: "cut"}, unclear: "more than once", within: 2 * minute},
		"never arrived":                                    {service: &odd{stream: "lost", old: 3, same: true}, unclear: "may or may not have arrived"},
		"no list of sessions":                              {service: &odd{parts: answer, noSessions: true, stream: "whole"}},
		"200, queued":                                      {service: &odd{parts: interim, stream: "queued"}, note: "session's history"},
		"200, queued, the first of a session":              {service: &odd{parts: interim, stream: "queued", noSessions: true}},
		"200, queued, marked as ended":                     {service: &odd{parts: interim, stops: true, stream: "queued"}, within: 12 * time.Second},
		"200, queued, and it fails":                        {service: &odd{parts: interim, stops: true, fails: "out of credits", stream: "queued"}, fails: "out of credits"},
		"202 with a message":                               {service: &odd{parts: interim, stream: "202"}},
		"202 with nothing":                                 {service: &odd{parts: interim, stream: "202 empty"}},
		"202, a tool runs for 10 min":                      {service: &odd{parts: []part{interim[0], {after: 10 * minute, text: "Done.", tool: true}}, stream: "202"}, within: 12 * minute},
		"202, nothing to say":                              {service: &odd{parts: []part{{after: time.Second, text: "NO_REPLY"}}, stream: "202"}, note: "chose not to answer"},
		"a web page":                                       {service: &odd{parts: answer, stream: "page"}, fails: "Log in"},
		"plain text":                                       {service: &odd{parts: interim, dialect: "plain", stream: "whole"}},
		"JSON, whole":                                      {service: &odd{parts: interim, dialect: "json", stream: "whole"}},
		"gzip that nobody asked for":                       {service: &odd{parts: interim, encoding: "gzip", stream: "whole"}},
		"br that nobody asked for, cut":                    {service: &odd{parts: interim, encoding: "br", told: 1, stream: "cut"}},
		"chat events, the pieces come twice":               {service: &odd{parts: answer, dialect: "chat", variant: 3, final: "all", twice: true, stream: "whole"}},
		"throttled texts, and an end without one":          {service: &odd{parts: interim, dialect: "chat", variant: 6, throttles: true, stream: "whole"}},
		"short pieces come twice, and an end without text": {service: &odd{parts: []part{{after: time.Second, text: "OK"}}, dialect: "both", variant: 17, final: "all", twice: true, stream: "whole"}},
		"a tag that the final text lacks":                  {service: &odd{parts: interim, tagged: true, final: "all", stream: "whole"}},
		"the final is the last message alone":              {service: &odd{parts: interim, final: "last", stream: "whole"}},
		"success is the word false":                        {service: &odd{parts: answer, dialect: "author", fails: "out of credits", stream: "whole"}, fails: "out of credits"},
		"somebody's run comes first":                       {service: &odd{parts: answer, waiting: true, relays: true, dialect: "agent", stream: "whole"}, unclear: "not answered yet", within: 2 * minute},
		"an end is all that comes":                         {service: &odd{parts: answer, dialect: "final", final: "all", stream: "whole"}, within: 3 * time.Second},
		"an end is all that comes, on a stream that stays": {service: &odd{parts: answer, dialect: "final", final: "all", stays: true, stream: "whole"}, within: 5 * time.Second},
		"… and there is no history":                        {service: &odd{parts: answer, dialect: "final", final: "all", stays: true, status: 404, stream: "whole"}, unclear: "broke off", within: 2 * minute},
		"an older run's end, then ours":                    {service: &odd{parts: answer, old: 1, before: "end", dialect: "final", final: "all", stream: "whole"}, within: 5 * time.Second},
		"an older run's end comes first":                   {service: &odd{parts: interim, old: 1, before: "end", dialect: "chat", stream: "whole"}},
		"an older run's end comes first, agent events":     {service: &odd{parts: interim, old: 1, before: "end", dialect: "agent", stream: "whole"}},
		"an older run's end comes first, both":             {service: &odd{parts: interim, old: 1, before: "end", dialect: "both", stream: "whole"}},
		"an older run's failure comes first":               {service: &odd{parts: interim, old: 1, before: "fail", dialect: "chat", stream: "whole"}},
		"a failure is all that comes":                      {service: &odd{parts: answer, fails: "out of credits", dialect: "final", stays: true, stream: "whole"}, fails: "out of credits", within: 2 * minute},
		"an older run's end comes first, ours is named":    {service: &odd{parts: interim, old: 1, before: "end", acked: true, dialect: "chat", stream: "whole"}},
		"an older run's end comes first, then a cut":       {service: &odd{parts: answer, old: 1, before: "end", dialect: "final", stream: "cut"}},
		"an older run's end comes first, no history":       {service: &odd{parts: interim, before: "end", status: 404, dialect: "chat", stream: "whole"}, unclear: "broke off", within: 2 * minute},
		"somebody's run comes first, runs named":           {service: &odd{parts: answer, waiting: true, relays: true, ids: "run", dialect: "agent", stream: "whole"}},
		"somebody's run comes first, ours is acknowledged": {service: &odd{parts: answer, waiting: true, relays: true, acked: true, dialect: "chat", stream: "whole"}},
		"somebody is waiting, the stream is ours":          {service: &odd{parts: answer, waiting: true, dialect: "chat", stream: "whole"}},
		"somebody is waiting, the turn tells":              {service: &odd{parts: answer, waiting: true, ids: "turn", stream: "reset"}},
		"somebody is waiting, the words tell":              {service: &odd{parts: interim, waiting: true, told: 1, stream: "cut"}},
		"somebody asks at once, runs named":                {service: &odd{parts: answer, follower: time.Millisecond, ids: "run", stream: "reset"}},
		"nothing to say, somebody is waiting":              {service: &odd{parts: []part{{after: time.Second, text: "NO_REPLY"}}, waiting: true, relays: true, ids: "run", dialect: "agent", stream: "whole"}, note: "chose not to answer"},
		"nothing to say":                                   {service: &odd{parts: []part{{after: time.Second, text: "NO_REPLY"}}, stream: "reset"}, note: "chose not to answer"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := tt.service
			o.try(t, func(t *testing.T, u *runs.Update, took time.Duration) {
				notes := strings.Join(u.Notes, "\n")
				want := o.said()
				if client.IsSilent(want) {
					want = ""
				}
				switch {
				case tt.fails != "":
					if u.Status != runs.StatusFailed || !strings.Contains(u.Err.Error(), tt.fails) {
						t.Errorf("got %s %q, %v; want it to fail: %s", u.Status, u.Text, u.Err, tt.fails)
					}
				case tt.unclear == "" && (u.Status != runs.StatusCompleted || u.Text != want):
					t.Errorf("got %s %q, %v, notes %q; want %q", u.Status, u.Text, u.Err, notes, want)
				case tt.unclear != "" && (u.Status != runs.StatusFailed || outcome(u.Err) != client.OutcomeUnknown || !strings.Contains(u.Err.Error(), tt.unclear)):
					t.Errorf("got %s %q, %v, notes %q; want it to be unclear: %s", u.Status, u.Text, u.Err, notes, tt.unclear)
				}
				if !strings.Contains(notes, tt.note) {
					t.Errorf("the notes are %q, want %q among them", notes, tt.note)
				}
				if limit := max(tt.within, minute); took > limit {
					t.Errorf("it took %s", took)
				}
				var posts string
				o.locked(func() { posts = strings.Join(o.posts, " ") })
				if o.noSessions && posts != " s1" {
					t.Errorf("the messages went to the sessions %q", posts)
				}
			})
		})
	}
}

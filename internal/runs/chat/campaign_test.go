//go:build e2e

package chat

import (
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"openclaw-mcp/client"
	"openclaw-mcp/internal/runs"
	"openclaw-mcp/internal/runs/runstest"
)

var (
	campaignChats = flag.Int("chats", manyChats(), "chats of the random campaign")
	campaignSeed  = flag.Uint64("seed", 1, "seed of the random campaign")
	campaignOnly  = flag.Int("only", -1, "the one chat of the campaign to have")
)

func manyChats() int {
	if runstest.Thorough {
		return 300
	}
	return 60
}

// pick gives one of some values, the first as often as all others together.
func pick[T any](rnd *rand.Rand, usual T, others ...T) T {
	if rnd.IntN(2) == 0 {
		return usual
	}
	return others[rnd.IntN(len(others))]
}

// rarely is true once in n times.
func rarely(rnd *rand.Rand, n int) bool { return rnd.IntN(n) == 0 }

// gatewayDialects are those whose events name their run.
var gatewayDialects = []string{"chat", "agent", "both", "final"}

// phrases are texts that a reader may take for something else than text.
var phrases = []string{
	`{"name":"x"}`, `{"error":"disk full"}`, `Error: no such file`, "[DONE]", "NO_REPLY is a word", "a & b &lt; c", "größer 🦞 狐", "OK", "OK",
	"- one\n- two", "```\ncode\n```", "data: x", "<b>bold</b>", "null", "event: done", "Message queued", `["a","b"]`, "1. first", `say "so"`,
}

// randomService mixes oddities. The one thing that it leaves out is an agent
// that pauses behind a remark for longer than a reply has to stand still, with
// nothing in the history to say that it works on: nobody could tell.
func randomService(rnd *rand.Rand) *odd {
	names := slices.Sorted(maps.Keys(dialects))
	o := &odd{
		growing: rarely(rnd, 3), stops: rarely(rnd, 2),
		ids: pick(rnd, "", "none", "turn", "one", "run"), times: pick(rnd, "", "none", "seconds", "ahead", "behind", "late"),
		text: pick(rnd, "", "html", "spaces", "stamped"), newestFirst: rarely(rnd, 4), junk: rarely(rnd, 4),
		blind: rarely(rnd, 16), status: pick(rnd, 0, 0, 0, 0, 0, 0, 404, 422, 500),
		noSessions: rarely(rnd, 4), same: rarely(rnd, 2),
		old: pick(rnd, rnd.IntN(5), 0, 24, 25, 26, 60, 120), waiting: rarely(rnd, 8),
		stream:  pick(rnd, "whole", "cut", "cut", "closed", "silent", "reset", "queued", "202", "202 empty", "lost", "page"),
		dialect: names[1+rnd.IntN(len(names)-1)], variant: rnd.IntN(36), final: pick(rnd, "all", "", "last"),
		key: pick(rnd, "", "s1", "-", "main"), acked: rarely(rnd, 3), relays: rarely(rnd, 2), stays: rarely(rnd, 3), noise: rarely(rnd, 3),
		twice: rarely(rnd, 6), tagged: rarely(rnd, 6), encoding: pick(rnd, "", "", "", "gzip", "br"), seed: rnd.Uint64(),
	}
	o.busy, o.inTurn = o.growing && rarely(rnd, 2), rarely(rnd, 4)
	if rarely(rnd, 4) {
		o.lags = time.Duration(rnd.IntN(3000)) * time.Millisecond
	}
	o.oldestOnly = !o.newestFirst && rarely(rnd, 8)
	for i := range 1 + rnd.IntN(3) {
		text := make([]string, 1+rnd.IntN(8))
		for k := range text {
			if text[k] = fmt.Sprintf("w%d", rnd.IntN(1000)); rarely(rnd, 5) {
				text[k] = phrases[rnd.IntN(len(phrases))]
			}
		}
		p := part{after: time.Duration(200+rnd.IntN(6500)) * time.Millisecond, text: fmt.Sprintf("part %d: %s.", i, strings.Join(text, " "))}
		if rarely(rnd, 12) {
			p.text = "OK" // whatever was said before
		}
		if p.tool = rarely(rnd, 3); p.tool {
			p.after = time.Duration(rnd.IntN(600)) * time.Second
		}
		p.after = max(p.after-o.lags, 0)
		o.parts = append(o.parts, p)
	}
	if rarely(rnd, 25) {
		o.parts = []part{{after: time.Second, text: "NO_REPLY"}}
	}
	if rarely(rnd, 10) && (o.stops || o.stream == "whole") && !dialects[o.dialect].whole {
		o.fails = "the model is overloaded"
		// Where another run ends first, the stream is left, and the history has to tell.
		o.stops = o.stops || o.dialect == "final"
	}
	if dialects[o.dialect].whole && o.stream == "closed" {
		o.stream = "cut" // nobody could tell it from the whole
	}
	// Only where events name their run does a service pass on those of others, and
	// only a stream of events stays open behind its end.
	o.relays = o.relays && slices.Contains(gatewayDialects, o.dialect)
	o.stays = o.stays && dialects[o.dialect].kind == ""
	o.told = rnd.IntN(len(o.parts) + 1)
	if o.dialect == "final" {
		o.final = "all" // as the gateway's is; of less, nobody could tell
	}
	if slices.Contains(gatewayDialects, o.dialect) && rarely(rnd, 6) {
		o.before = pick(rnd, "end", "fail")
	}
	if rarely(rnd, 6) {
		o.follower = time.Duration(1+rnd.IntN(40_000)) * time.Millisecond
	}
	return o
}

// TestCampaign has chats with services of random oddities. A reply that is
// called complete is what the agent said: always. Others are honest about it,
// and none keeps the next message waiting for ever.
func TestCampaign(t *testing.T) {
	var mu sync.Mutex
	counts, unclear := map[string]int{}, map[string]int{}
	var longest time.Duration
	t.Run("chats", func(t *testing.T) {
		slots := make(chan struct{}, 8)
		var wg sync.WaitGroup
		for i := range *campaignChats {
			if *campaignOnly >= 0 && i != *campaignOnly {
				continue
			}
			slots <- struct{}{}
			wg.Go(func() {
				defer func() { <-slots }()
				o := randomService(rand.New(rand.NewPCG(*campaignSeed, uint64(i))))
				t.Run(fmt.Sprint(i), func(t *testing.T) {
					o.try(t, func(t *testing.T, u *runs.Update, took time.Duration) {
						what := judge(o, u)
						mu.Lock()
						defer mu.Unlock()
						counts[what]++
						longest = max(longest, took)
						if what == "unclear" {
							why := o.hides()
							unclear[why]++
							if why == "" {
								t.Logf("unclear: %q, %v, notes %q; the agent said %q\n%s", u.Text, u.Err, u.Notes, o.said(), describeOdd(o))
							}
						}
						if what == "wrong" || *campaignOnly >= 0 {
							t.Errorf("%s after %s: got %s %q, %v, notes %q; the agent said %q\n%s", what, took, u.Status, u.Text, u.Err, u.Notes, o.said(), describeOdd(o))
						}
					})
				})
			})
		}
		wg.Wait()
	})
	t.Logf("%d chats: %v, the longest took %s; unclear: %v", *campaignChats, counts, longest, unclear)
	if n := unclear[""]; n > *campaignChats/100 {
		t.Errorf("%d replies were called unclear that were not", n)
	}
}

// judge compares a run with what the agent said.
func judge(o *odd, u *runs.Update) string {
	notes := strings.Join(u.Notes, "\n")
	came := o.stream != "lost" && o.stream != "page"
	silent := client.IsSilent(o.said())
	switch {
	case u.Status == runs.StatusFailed && !came:
		return "right"
	case u.Status == runs.StatusFailed && o.fails != "" && u.Err != nil && strings.Contains(u.Err.Error(), o.fails):
		return "right"
	case u.Status == runs.StatusFailed:
		return "unclear"
	case came && strings.Contains(notes, "may be incomplete") && (strings.HasPrefix(bare(o.said()), bare(u.Text)) || o.twice && strings.HasPrefix(bare(u.Text), bare(o.said()))):
		return "said to be incomplete"
	case !came || o.fails != "":
		return "wrong"
	case sameWords(u.Text, o.said()) && !silent, silent && u.Text == "" && strings.Contains(notes, client.NoteSilent):
		return "right"
	}
	return "wrong"
}

// hides tells why nobody could have found the reply, "" if it was there to be
// found.
func (o *odd) hides() string {
	gateway := slices.Contains(gatewayDialects, o.dialect)
	linked := o.ids == "turn" || o.ids == "run"
	words := len(bare(o.brought)) >= tellingLen && (o.acked || !gateway)
	switch {
	case o.stream == "whole" && !gateway:
		return ""
	case o.status != 0:
		return "no history"
	case o.blind && slices.Contains([]string{"none", "ahead", "behind"}, o.times):
		return "the history was not seen before, and its times say nothing"
	case o.newestFirst && (o.times == "late" || o.times == "ahead") && o.old <= 1:
		return "nothing tells that the newest come first"
	case (o.waiting || o.blind) && !linked && !words:
		return "somebody was waiting before"
	case o.follower > 0 && !linked && !(words && o.stops):
		return "somebody asked behind"
	}
	return ""
}

func describeOdd(o *odd) string {
	return fmt.Sprintf("parts %+v\nfails %q, growing %t, busy %t, stops %t, lags %s, ids %q, times %q, text %q, newest first %t, oldest only %t, junk %t, blind %t, status %d\n"+
		"no sessions %t, old %d, same %t, waiting %t, follower %s, stream %q, told %d, dialect %q, variant %d, final %q, key %q, acked %t, relays %t, stays %t, noise %t, before %q, twice %t, tagged %t, encoding %q",
		o.parts, o.fails, o.growing, o.busy, o.stops, o.lags, o.ids, o.times, o.text, o.newestFirst, o.oldestOnly, o.junk, o.blind, o.status,
		o.noSessions, o.old, o.same, o.waiting, o.follower, o.stream, o.told, o.dialect, o.variant, o.final, o.key, o.acked, o.relays, o.stays, o.noise, o.before, o.twice, o.tagged, o.encoding)
}

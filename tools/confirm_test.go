package tools

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"

	"openclaw-mcp/internal/fleet"
	"openclaw-mcp/internal/runs"
)

func confirmRequest(policy ConfirmPolicy, c *Confirmer, tool, principal string, x Exchange) *request {
	if c == nil {
		c = NewConfirmer(policy)
	}
	return &request{
		Deps:     &Deps{Confirm: c, Principal: func(context.Context) string { return principal }},
		Services: &Services{Fleet: confirmFleet, Runs: &runs.Manager{Config: runs.Config{APIKey: "key"}}},
		tool:     &Tool{Spec: Spec{Name: tool}}, exchange: x,
	}
}

// confirmFleet is what the processes of the tests share.
var confirmFleet = fleet.Alone()

// tokenOf finds the token in the text that offers it.
func tokenOf(t *testing.T, err error) string {
	t.Helper()
	var u *unconfirmedError
	if !errors.As(err, &u) {
		t.Fatalf("got %v, want a call that has to be confirmed", err)
	}
	_, rest, _ := strings.Cut(u.text, `confirm: "`)
	token, _, ok := strings.Cut(rest, `"`)
	if !ok {
		t.Fatalf("no token in %q", u.text)
	}
	return token
}

func TestConfirmToken(t *testing.T) {
	ctx := t.Context()
	r := confirmRequest(ConfirmAsk, nil, "reboot_instance", "a", Exchange{})
	token := tokenOf(t, r.confirm(ctx, "It reboots x.", "x", ""))
	if err := r.confirm(ctx, "It reboots y.", "y", token); err == nil {
		t.Error("a token of one call confirms another")
	}
	if err := confirmRequest("", r.Confirm, "shutdown_instance", "a", Exchange{}).confirm(ctx, "It reboots x.", "x", token); err == nil {
		t.Error("a token of one tool confirms another")
	}
	if err := confirmRequest("", r.Confirm, "reboot_instance", "b", Exchange{}).confirm(ctx, "It reboots x.", "x", token); err == nil {
		t.Error("a token of one caller confirms another's call")
	}
	if err := r.confirm(ctx, "It reboots x.", "x", token); err != nil {
		t.Errorf("the right token: %v", err)
	}
	if err := r.confirm(ctx, "It reboots x.", "x", token); err == nil {
		t.Error("a token is good twice")
	}
	for _, spelled := range []string{" " + token, token + "\n", token[:5] + "\n" + token[5:], token[:9] + "\r\n" + token[9:] + "\r"} {
		if err := r.confirm(ctx, "It reboots x.", "x", spelled); err == nil {
			t.Errorf("spelled %q, the token is good again", spelled)
		}
	}
	for _, forged := range []string{"x", "AAAA", token + "A", strings.ToUpper(token)} {
		if err := r.confirm(ctx, "It reboots x.", "x", forged); err == nil {
			t.Errorf("forged token %q is good", forged)
		}
	}
}

func TestConfirmByUser(t *testing.T) {
	ctx := t.Context()
	r := confirmRequest(ConfirmAsk, nil, "reboot_instance", "a", Exchange{CanAsk: true})
	var u *unconfirmedError
	if err := r.confirm(ctx, "It reboots x.", "x", ""); !errors.As(err, &u) || u.ask == nil || !strings.Contains(u.ask.Text, "It reboots x.") {
		t.Fatalf("got %v, want a question", err)
	}
	state := u.ask.State
	answered := func(yes bool, state string) error {
		return confirmRequest("", r.Confirm, "reboot_instance", "a", Exchange{CanAsk: true, Answer: &Answer{Yes: yes, State: state}}).confirm(ctx, "It reboots x.", "x", "")
	}
	// A client that did not ask, or whose user did not answer, leaves the model to ask.
	token := tokenOf(t, answered(false, state))
	if err := answered(true, "forged"); err == nil {
		t.Error("a yes to a question that was never asked is good")
	}
	if err := answered(true, state); err != nil {
		t.Errorf("a yes: %v", err)
	}
	if err := answered(true, state); err == nil {
		t.Error("a yes is good twice")
	}
	if err := r.confirm(ctx, "It reboots x.", "x", token); err != nil {
		t.Errorf("the token after a decline: %v", err)
	}
}

// A decline is the user's word: no token comes with it, and none that was given before
// undoes it.
func TestConfirmDeclined(t *testing.T) {
	ctx := t.Context()
	c := NewConfirmer(ConfirmAsk)
	token := tokenOf(t, confirmRequest("", c, "reboot_instance", "a", Exchange{}).confirm(ctx, "It reboots x.", "x", ""))
	for _, confirm := range []string{"", token} {
		r := confirmRequest("", c, "reboot_instance", "a", Exchange{CanAsk: true, Answer: &Answer{Declined: true, State: token}})
		err := r.confirm(ctx, "It reboots x.", "x", confirm)
		var u *unconfirmedError
		if !errors.As(err, &u) || u.ask != nil || !strings.Contains(u.text, "declined by the user. Nothing was done.") ||
			strings.Contains(u.text, "confirm:") || strings.Contains(u.text, token) {
			t.Errorf("with confirm %q: %v", confirm, err)
		}
	}
	r := confirmRequest("", c, "reboot_instance", "a", Exchange{CanAsk: true, Answer: &Answer{Yes: true, State: token}})
	if err := r.confirm(ctx, "It reboots x.", "x", ""); !errors.Is(err, errConfirmUsed) {
		t.Errorf("a yes after the no: %v", err)
	}
}

// What the user is told may leave the instance out; what the confirmation is bound to may not.
func TestConfirmIsExact(t *testing.T) {
	ctx := t.Context()
	r := confirmRequest(ConfirmAsk, nil, "reboot_instance", "a", Exchange{})
	token := tokenOf(t, r.confirm(ctx, "It reboots the instance.", "x", ""))
	if err := r.confirm(ctx, "It reboots the instance.", "y", token); err == nil {
		t.Error("a token for one instance confirms the reboot of another")
	}
	if err := r.confirm(ctx, "It reboots instance x.", "x", token); err != nil {
		t.Errorf("in other words: %v", err)
	}
}

// What the client brings of its user's answer.
func TestAnswers(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]Answer{
		`{"action":"accept","content":{"confirm":true}}`: {Yes: true}, `{"action":"accept","content":{"confirm":false}}`: {Declined: true},
		`{"action":"decline"}`: {Declined: true}, `{"action":"decline","content":{"confirm":true}}`: {Declined: true},
		`{"action":"cancel"}`: {}, `{"action":"accept"}`: {}, `{"action":"accept","content":{"confirm":"yes"}}`: {}, `{"action":"perhaps"}`: {}, `[]`: {},
	} {
		var answer mcp.InputResponse
		_ = answer.UnmarshalJSON([]byte(raw))
		if got := answerOf(server.ElicitationResponse(mcp.InputResponses{confirmID: answer}, confirmID), confirmID); *got != want {
			t.Errorf("%s: got %+v, want %+v", raw, *got, want)
		}
	}
	for raw, want := range map[string]Answer{`{"action":"accept"}`: {Yes: true}, `{"action":"decline"}`: {Declined: true}, `{"action":"cancel"}`: {}} {
		var answer mcp.InputResponse
		_ = answer.UnmarshalJSON([]byte(raw))
		if got := answerOf(server.ElicitationResponse(mcp.InputResponses{pageID: answer}, pageID), pageID); *got != want {
			t.Errorf("a page, %s: got %+v, want %+v", raw, *got, want)
		}
	}
}

func TestConfirmPolicies(t *testing.T) {
	if err := confirmRequest(ConfirmAllow, nil, "t", "a", Exchange{}).confirm(t.Context(), "It.", "it", ""); err != nil {
		t.Errorf("allow: %v", err)
	}
	if err := confirmRequest(ConfirmDeny, nil, "t", "a", Exchange{CanAsk: true}).confirm(t.Context(), "It.", "it", ""); !errors.Is(err, errDenied) {
		t.Errorf("deny: %v", err)
	}
}

// A page asks its person under every policy that lets anything through.
func TestConfirmAtAPage(t *testing.T) {
	ctx := t.Context()
	for _, policy := range []ConfirmPolicy{ConfirmAsk, ConfirmAllow} {
		r := confirmRequest(policy, nil, "reboot_by_hand", "a", Exchange{CanAsk: true})
		token, err := r.askPerson(ctx, "It reboots x.", "")
		if err != nil || token == "" {
			t.Fatalf("%s: %q, %v", policy, token, err)
		}
		if err := confirmRequest("", r.Confirm, "reboot_instance", "a", Exchange{}).confirm(ctx, "It reboots x.", "x", token); policy == ConfirmAsk && err == nil {
			t.Errorf("%s: a page's token confirms what the model calls", policy)
		}
		if _, err := r.askPerson(ctx, "It reboots y.", token); err == nil {
			t.Errorf("%s: a token of one question is a yes to another", policy)
		}
		if again, err := r.askPerson(ctx, "It reboots x.", token); err != nil || again != "" {
			t.Errorf("%s: the yes: %q, %v", policy, again, err)
		}
		if _, err := r.askPerson(ctx, "It reboots x.", token); err == nil {
			t.Errorf("%s: a yes is good twice", policy)
		}
	}
	if _, err := confirmRequest(ConfirmDeny, nil, "reboot_by_hand", "a", Exchange{}).askPerson(ctx, "It reboots x.", ""); !errors.Is(err, errDenied) {
		t.Errorf("deny: %v", err)
	}
}

func TestConfirmTokenExpires(t *testing.T) {
	c, key := NewConfirmer(ConfirmAsk), []byte("key")
	b := []byte{0, 0, 0, 1, 'n', 'o', 'n', 'c', 'e', '1', '2', '3'} // 1970
	old := encodeToken(append(b, signConfirmation(key, "s", b)...))
	if err := c.redeem(t.Context(), confirmFleet, key, "s", old); err == nil || !strings.Contains(err.Error(), "expired") {
		t.Errorf("got %v", err)
	}
	fresh := newConfirmation(key, "s")
	c.used["other"], c.swept = time.Now().Add(-time.Minute), time.Now().Add(-2*time.Minute)
	if err := c.redeem(t.Context(), confirmFleet, key, "s", fresh); err != nil {
		t.Error(err)
	}
	if _, kept := c.used["other"]; kept {
		t.Error("expired tokens are kept")
	}
}

// away is a fleet whose engine can't be reached until a time.
type away struct {
	fleet.Fleet
	until time.Time
}

func (f away) Create(ctx context.Context, name string, value []byte) (fleet.Fact, bool, error) {
	if time.Now().Before(f.until) {
		return fleet.Fact{}, false, fleet.ErrAway
	}
	return f.Fleet.Create(ctx, name, value)
}

// A confirmation is good in any process of the caller's, once in all of them; while
// these can't agree, once in each.
func TestConfirmElsewhere(t *testing.T) {
	ctx := t.Context()
	at := func(c *Confirmer, f fleet.Fleet, key string) *request {
		r := confirmRequest("", c, "reboot_instance", "a", Exchange{})
		r.Fleet, r.Runs.Config.APIKey = f, key
		return r
	}
	one, two := NewConfirmer(ConfirmAsk), NewConfirmer(ConfirmAsk)
	token := tokenOf(t, at(one, confirmFleet, "key").confirm(ctx, "It reboots x.", "x", ""))
	if err := at(two, confirmFleet, "another key").confirm(ctx, "It reboots x.", "x", token); err == nil {
		t.Error("a token is good under another key")
	}
	if err := at(two, confirmFleet, "key").confirm(ctx, "It reboots x.", "x", token); err != nil {
		t.Errorf("in another process: %v", err)
	}
	for _, c := range []*Confirmer{one, two, NewConfirmer(ConfirmAsk)} {
		if err := at(c, confirmFleet, "key").confirm(ctx, "It reboots x.", "x", token); err == nil || !strings.Contains(err.Error(), "used before") {
			t.Errorf("a second time: %v", err)
		}
	}
	for name, lasts := range map[string]time.Duration{"while the processes can't agree": time.Hour, "until they can": awayPatience / 2} {
		synctest.Test(t, func(t *testing.T) {
			f := away{confirmFleet, time.Now().Add(lasts)}
			token := tokenOf(t, at(one, f, "key").confirm(t.Context(), "It reboots x.", "x", ""))
			for i, c := range []*Confirmer{one, two} {
				good := i == 0 || lasts == time.Hour
				if err := at(c, f, "key").confirm(t.Context(), "It reboots x.", "x", token); (err == nil) != good {
					t.Errorf("%s, process %d: %v", name, i, err)
				}
				if err := at(c, f, "key").confirm(t.Context(), "It reboots x.", "x", token); err == nil {
					t.Errorf("%s, process %d took a token twice", name, i)
				}
			}
		})
	}
}

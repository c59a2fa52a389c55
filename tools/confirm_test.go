package tools

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
)

func confirmRequest(policy ConfirmPolicy, c *Confirmer, tool, principal string, x Exchange) *request {
	if c == nil {
		c = NewConfirmer(policy)
	}
	return &request{
		Deps: &Deps{Confirm: c, Principal: func(context.Context) string { return principal }},
		tool: &Tool{Spec: Spec{Name: tool}}, exchange: x,
	}
}

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
	token := tokenOf(t, r.confirm(ctx, "It reboots x.", ""))
	if err := r.confirm(ctx, "It reboots y.", token); err == nil {
		t.Error("a token of one call confirms another")
	}
	if err := confirmRequest("", r.Confirm, "shutdown_instance", "a", Exchange{}).confirm(ctx, "It reboots x.", token); err == nil {
		t.Error("a token of one tool confirms another")
	}
	if err := confirmRequest("", r.Confirm, "reboot_instance", "b", Exchange{}).confirm(ctx, "It reboots x.", token); err == nil {
		t.Error("a token of one caller confirms another's call")
	}
	if err := r.confirm(ctx, "It reboots x.", token); err != nil {
		t.Errorf("the right token: %v", err)
	}
	if err := r.confirm(ctx, "It reboots x.", token); err == nil {
		t.Error("a token is good twice")
	}
	for _, forged := range []string{"x", "AAAA", token + "A", strings.ToUpper(token)} {
		if err := r.confirm(ctx, "It reboots x.", forged); err == nil {
			t.Errorf("forged token %q is good", forged)
		}
	}
}

func TestConfirmByUser(t *testing.T) {
	ctx := t.Context()
	r := confirmRequest(ConfirmAsk, nil, "reboot_instance", "a", Exchange{CanAsk: true})
	var u *unconfirmedError
	if err := r.confirm(ctx, "It reboots x.", ""); !errors.As(err, &u) || u.ask == nil || !strings.Contains(u.ask.Text, "It reboots x.") {
		t.Fatalf("got %v, want a question", err)
	}
	state := u.ask.State
	answered := func(yes bool, state string) error {
		return confirmRequest("", r.Confirm, "reboot_instance", "a", Exchange{CanAsk: true, Answer: &Answer{Yes: yes, State: state}}).confirm(ctx, "It reboots x.", "")
	}
	// A decline is not the last word: the client may decline by itself.
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
	if err := r.confirm(ctx, "It reboots x.", token); err != nil {
		t.Errorf("the token after a decline: %v", err)
	}
}

func TestConfirmPolicies(t *testing.T) {
	if err := confirmRequest(ConfirmAllow, nil, "t", "a", Exchange{}).confirm(t.Context(), "It.", ""); err != nil {
		t.Errorf("allow: %v", err)
	}
	if err := confirmRequest(ConfirmDeny, nil, "t", "a", Exchange{CanAsk: true}).confirm(t.Context(), "It.", ""); !errors.Is(err, errDenied) {
		t.Errorf("deny: %v", err)
	}
}

func TestConfirmTokenExpires(t *testing.T) {
	c := NewConfirmer(ConfirmAsk)
	b := []byte{0, 0, 0, 1, 'n', 'o', 'n', 'c', 'e', '1', '2', '3'} // 1970
	old := encodeToken(append(b, c.sign("s", b)...))
	if err := c.redeem("s", old); err == nil || !strings.Contains(err.Error(), "expired") {
		t.Errorf("got %v", err)
	}
	fresh := c.token("s")
	c.used["other"] = time.Now().Add(-time.Minute)
	if err := c.redeem("s", fresh); err != nil {
		t.Error(err)
	}
	if _, kept := c.used["other"]; kept {
		t.Error("expired tokens are kept")
	}
}

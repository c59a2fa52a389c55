package text

import (
	"fmt"
	"strings"
	"testing"
)

func TestSecret(t *testing.T) {
	const key = "sk_live_0123456789"
	secret := NewSecret(key)
	for s, want := range map[string]struct {
		hidden, open string
		begun, ended int
	}{
		"a " + key + key + " b":      {"a ****** b", "a ****** b", 0, 0},
		"a " + key + key[:9]:         {"a ***" + key[:9], "a ***", 9, 0},
		"a sk_":                      {"a sk_", "a sk_", 0, 0},
		key[9:] + " b sk_l":          {key[9:] + " b sk_l", key[9:] + " b ", 4, 9},
		"789 é":                      {"789 é", "789 é", 0, 0},
		"":                           {},
		key[1:] + " " + key[:17]:     {key[1:] + " " + key[:17], key[1:] + " ", 17, 17},
		"sk_live_sk_live_" + key[:8]: {"sk_live_sk_live_sk_live_", "sk_live_sk_live_", 8, 0},
	} {
		if hidden, open := secret.Hide(s), secret.HideOpen(s); hidden != want.hidden || open != want.open || secret.Begun(s) != want.begun || secret.Ended(s) != want.ended {
			t.Errorf("%q: %q, %q, %d, %d", s, hidden, open, secret.Begun(s), secret.Ended(s))
		}
		if secret.In(s) != strings.Contains(s, key) {
			t.Errorf("%q: is it in there?", s)
		}
		if none := NewSecret("short"); none.In(s+"short") || none.HideOpen(s) != s || none.Begun(s)+none.Ended(s) != 0 {
			t.Errorf("%q: a word is masked", s)
		}
	}
	if said := fmt.Sprintf("%+v %#v", Masked{Secret: secret}, Masked{Secret: secret}); strings.Contains(said, key) {
		t.Errorf("it prints as %s", said)
	}
}

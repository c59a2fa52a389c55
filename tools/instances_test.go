package tools

import (
	"fmt"
	"strings"
	"testing"

	"openclaw-mcp/internal/emulator/emulatortest"
)

// A program finds the instances without reading the text.
func TestInstanceFacts(t *testing.T) {
	t.Parallel()
	b := newBench(t, emulatortest.Options{})
	other, err := b.srv.AddInstance("key")
	if err != nil {
		t.Fatal(err)
	}
	facts := b.say("list_instances", nil).facts
	all, _ := facts["instances"].([]any)
	for i, id := range []string{b.id, other} {
		if i >= len(all) || !strings.Contains(fmt.Sprint(all), "id:"+id+" state:ready status:ready") {
			t.Errorf("the facts are %v, without %s", facts, id)
		}
	}
	if facts["more"] != false {
		t.Errorf("there are more: %v", facts)
	}
	one, _ := b.say("get_instance", args{"instance": other}).facts["instance"].(map[string]any)
	if one["id"] != other || one["status"] != "ready" {
		t.Errorf("the facts of one: %v", one)
	}
}

// A confirmation names the instance only where there are several. It is for that one alone all
// the same.
func TestConfirmationNamesTheInstance(t *testing.T) {
	t.Parallel()
	b := newBench(t, emulatortest.Options{})
	b.deps.Confirm = NewConfirmer(ConfirmAsk)
	b.put("f", "x")
	asks := func(name string, a args) string {
		t.Helper()
		r := b.say(name, a)
		if !strings.Contains(r.text, "needs a confirmation") {
			t.Fatalf("%s: %s", name, r.text)
		}
		return r.text
	}
	_, token, _ := strings.Cut(asks("shutdown_instance", nil), `confirm: "`)
	token, _, _ = strings.Cut(token, `"`)
	for name, a := range map[string]args{
		"reboot_instance": {}, "shutdown_instance": {}, "manage_files": {"action": "delete", "path": "/workspace/f"},
	} {
		if text := asks(name, a); strings.Contains(text, b.id) || strings.Contains(text, "instance .") {
			t.Errorf("%s names the only instance: %s", name, text)
		}
	}
	other, err := b.srv.AddInstance("key")
	if err != nil {
		t.Fatal(err)
	}
	b.say("list_instances", nil)
	for name, a := range map[string]args{
		"reboot_instance": {"instance": b.id}, "manage_files": {"action": "delete", "path": "/workspace/f", "instance": b.id},
	} {
		if text := asks(name, a); !strings.Contains(text, "instance "+b.id) {
			t.Errorf("%s does not say which of two: %s", name, text)
		}
	}
	if r := b.say("shutdown_instance", args{"instance": other, "confirm": token}); !r.isErr || !strings.Contains(r.text, "not the confirmation of this very call") {
		t.Errorf("a token for one instance confirms for another: %s", r.text)
	}
	if r := b.say("shutdown_instance", args{"instance": b.id, "confirm": token}); r.isErr {
		t.Errorf("the token for this one, where there are two by now: %s", r.text)
	}
}

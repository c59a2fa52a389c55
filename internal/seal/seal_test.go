package seal

import (
	"encoding/base64"
	"strings"
	"testing"
)

func sealer(t testing.TB, secret, purpose, principal, prefix string) *Sealer {
	t.Helper()
	s, err := New([]byte(secret), purpose, principal, prefix, 100)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSeal(t *testing.T) {
	s := sealer(t, "secret", "test v1", "alice", "x_")
	text := s.Seal([]byte("plain"))
	if plain, ok := sealer(t, "secret", "test v1", "alice", "x_").Open(" " + text + "\n"); !ok || string(plain) != "plain" {
		t.Errorf("got %q, %v", plain, ok)
	}
	if text == s.Seal([]byte("plain")) || !strings.HasPrefix(text, "x_") || strings.Contains(text, "plain") {
		t.Errorf("sealed is %s", text)
	}
	for name, other := range map[string]*Sealer{
		"secret": sealer(t, "other", "test v1", "alice", "x_"), "purpose": sealer(t, "secret", "test v2", "alice", "x_"),
		"principal": sealer(t, "secret", "test v1", "bob", "x_"), "prefix": sealer(t, "secret", "test v1", "alice", "y_"),
	} {
		if plain, ok := other.Open(text); ok {
			t.Errorf("another %s opens it: %q", name, plain)
		}
	}
	for i := range len(text) {
		forged := []byte(text)
		forged[i] ^= 1
		if _, ok := s.Open(string(forged)); ok {
			t.Errorf("changed at %d, it opens", i)
		}
		if _, ok := s.Open(text[:i]); ok {
			t.Errorf("cut at %d, it opens", i)
		}
	}
	if _, ok := s.Open("x_" + base64.RawURLEncoding.EncodeToString(make([]byte, 90))); ok {
		t.Error("a long text opens")
	}
	if _, ok := s.Open(s.Seal(make([]byte, 100))); ok {
		t.Error("a text beyond the limit opens")
	}
}

func TestSealBytes(t *testing.T) {
	s := sealer(t, "secret", "test v1", "alice", "")
	sealed := s.SealBytes([]byte("plain"), "here")
	if plain, ok := sealer(t, "secret", "test v1", "alice", "").OpenBytes(sealed, "here"); !ok || string(plain) != "plain" {
		t.Errorf("got %q, %v", plain, ok)
	}
	if _, ok := s.OpenBytes(sealed, "there"); ok {
		t.Error("it opens elsewhere")
	}
	// "al" + "icehere" is not "alice" + "here".
	if _, ok := sealer(t, "secret", "test v1", "al", "").OpenBytes(sealed, "icehere"); ok {
		t.Error("it opens for another principal")
	}
	for i := range sealed {
		sealed[i] ^= 1
		if _, ok := s.OpenBytes(sealed, "here"); ok {
			t.Errorf("changed at %d, it opens", i)
		}
		sealed[i] ^= 1
	}
	if _, ok := s.OpenBytes(s.SealBytes(make([]byte, 100), ""), ""); ok {
		t.Error("more than the limit opens")
	}
}

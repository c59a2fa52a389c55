package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// verifier runs the C program, which shares no code with what signs here.
func verifier(t *testing.T, stdin string, args ...string) error {
	t.Helper()
	cmd := exec.Command("minisign", args...)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Logf("minisign %v: %v\n%s", args, err, out)
	}
	return err
}

// What is signed with a key of minisign's own making is verified by minisign, and
// nothing else is.
func TestSignatureIsMinisigns(t *testing.T) {
	for _, password := range []string{"", "correct horse"} {
		dir := t.TempDir()
		secret, public, file := filepath.Join(dir, "key"), filepath.Join(dir, "key.pub"), filepath.Join(dir, "SHA256SUMS")
		make := []string{"-G", "-p", public, "-s", secret}
		if password == "" {
			make = append(make, "-W")
		}
		if err := verifier(t, password+"\n"+password+"\n", make...); err != nil {
			t.Fatal("minisign makes no key: ", err)
		}
		if err := os.WriteFile(file, []byte("abc  file\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		env := func(key, password string) func(string) string {
			return func(name string) string {
				return map[string]string{"SIGNING_KEY": key, "SIGNING_PASSWORD": password}[name]
			}
		}
		if err := run([]string{file}, "openclaw-mcp 1.2.3", public, env(secret, password)); err != nil {
			t.Fatal(err)
		}
		if err := verifier(t, "", "-V", "-p", public, "-m", file); err != nil {
			t.Error("a good signature is refused")
		}
		if password != "" { // which costs a gigabyte and seconds each time
			if err := run([]string{file}, "", public, env(secret, password+"x")); err == nil {
				t.Error("a wrong password opens the key")
			}
			continue
		}
		// Another key, and another content.
		for name, args := range map[string][3]string{
			"no such key": {secret + "x", password, public}, "no public key": {secret, password, public + "x"},
		} {
			if err := run([]string{file}, "", args[2], env(args[0], args[1])); err == nil {
				t.Errorf("%s: it was signed", name)
			}
		}
		if err := os.WriteFile(file, []byte("abd  file\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := verifier(t, "", "-V", "-p", public, "-m", file); err == nil {
			t.Error("another content passes")
		}
		// A key for this once is not the owner's.
		if err := run([]string{file}, "test", "", env("", "")); err != nil {
			t.Fatal(err)
		}
		if err := verifier(t, "", "-V", "-p", filepath.Join(dir, "minisign.pub"), "-m", file); err != nil {
			t.Error("the signature of a key for this once is refused")
		}
		if err := verifier(t, "", "-V", "-p", public, "-m", file); err == nil {
			t.Error("it passes for the owner's")
		}
		if err := run([]string{file}, "", filepath.Join(dir, "minisign.pub"), env(secret, password)); err == nil {
			t.Error("a secret key that does not fit the public one was taken")
		}
	}
}

//go:build unix

package transfers

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"openclaw-mcp/internal/emulator/emulatortest"
	"openclaw-mcp/internal/runs"
	"openclaw-mcp/internal/sandbox"
)

// hostileNames lead out of a folder, or nowhere good.
var hostileNames = []string{
	"..", "../evil", "a/../../evil", "/etc/evil", "//evil", "a//b", "./../evil", "a/./../..", "a/", ".",
	strings.Repeat("x", 256), strings.Repeat("y/", 3000) + "z", stagePrefix + "x", "a/" + stagePrefix + "x/y", "nul\x00name",
}

func TestTransferNames(t *testing.T) {
	for _, name := range hostileNames {
		if checkName(name) == nil {
			t.Errorf("%q is taken for a good name", name)
		}
	}
	for _, name := range []string{"a", "-rf", "a b/c\nd", "..a", "...", "ünï", "con", "C:\\x", strings.Repeat("x", 255)} {
		if err := checkName(name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	for _, c := range []struct {
		name, target string
		stays        bool
	}{
		{"a", "b", true}, {"a", "./b", true}, {"x/a", "../b", true}, {"x/y/a", "../../b/c", true}, {"x/a", "..", true},
		{"a", "..", false}, {"a", "../a", false}, {"x/a", "../../b", false}, {"a", "/b", false}, {"a", "b/../c", false},
		{"x/a", "../b/../c", false}, {"a", "", false}, {"a", "./../b", false}, {"x/a", ".././b", true}, {"a", "b\x00", false},
	} {
		if got := linkStays(c.name, c.target); got != c.stays {
			t.Errorf("%s -> %s: %v", c.name, c.target, got)
		}
	}
}

func TestTransferCaseCollisions(t *testing.T) {
	names := []string{"A/x", "a/X", "b", "ß", "B", "c"}
	for fold, want := range map[bool]string{true: "A/x b ß c", false: "A/x a/X b ß B c"} {
		d := &downloading{transfer: &transfer{s: &Service{}, failed: map[string]bool{}}, dst: &tree{}, root: t.TempDir()}
		var entries []entry
		for _, n := range names {
			entries = append(entries, entry{name: n})
		}
		var got []string
		for _, e := range d.refuseFolded(entries, fold) {
			got = append(got, e.name)
		}
		if strings.Join(got, " ") != want || d.now.Failed.Count != len(names)-len(got) {
			t.Errorf("fold %v: %q, %+v", fold, got, d.now.Failed)
		}
	}
}

// An instance that lies about its names writes nothing outside of the
// destination, and what is honest beside it arrives.
func TestTransferHostileInstance(t *testing.T) {
	t.Parallel()
	octal := func(names ...string) string {
		var b strings.Builder
		for _, c := range []byte(strings.Join(names, "\x00") + "\x00") {
			b.WriteString("\\" + string([]byte{'0' + c>>6, '0' + c>>3&7, '0' + c&7}))
		}
		return b.String()
	}
	names := slices.DeleteFunc(slices.Clone(hostileNames), func(n string) bool { return strings.ContainsRune(n, 0) })
	list := octal(slices.Concat([]string{"d/up", "../made", ""}, []string{""}, names, []string{"honest", "d/up/pwned", "honest/below", "missing", ""},
		[]string{"esc", "../outside\n", "d/up2", "../../outside\n", "d/l", "..\n", "d/l/x", "../honest\n", ""}, []string{"fifo", ""})...)
	const report = `say list $(($(wc -c <"$stage/list")))`
	proxy := &requests{rewrite: func(command string) string {
		return strings.ReplaceAll(command, report, `printf '`+list+`' >"$stage/list"; `+report)
	}}
	if !strings.Contains(sandbox.Text("transfer_tree"), report) {
		t.Fatalf("the script has no line %s", report)
	}
	m := startMover(t, emulatortest.Options{}, proxy.proxy)
	plant(t, m.Srv.Workspace(m.ID), map[string]item{"d/honest": file("1"), "d/d/up/pwned": file("2"), "evil": file("e"), "d/etc/evil": file("e"), "d/a/b": file("e"), "d/x/evil": file("e")})
	before := survey(t, m.root)
	u := m.settle(m.begin(runs.KindDownload, "in/dst", "/workspace/d"))
	if u.Status != runs.StatusFailed || moved(u).Files != 3 || moved(u).Skipped.Count != 3 {
		t.Errorf("%s, %v, %+v", u.Status, u.Err, moved(u))
	}
	want := maps.Clone(before)
	maps.Copy(want, survey(t, m.root))
	maps.DeleteFunc(want, func(name, _ string) bool { return strings.HasPrefix(name, "in/dst/") })
	for name := range want {
		if name != "in" && name != "in/dst" {
			t.Errorf("%q was made", name)
		}
	}
	got := survey(t, m.local("in/dst"))
	for name := range got {
		if !slices.Contains([]string{"honest", "d", "d/up", "d/up/pwned", "d/l"}, name) {
			t.Errorf("%q was made in the destination", name)
		}
	}
	for _, s := range moved(u).Failed.Some {
		if strings.ContainsAny(s, "\n\x00") || len(s) > 1000 {
			t.Errorf("a name is reported as it is: %q", s)
		}
	}
}

// Should a bad name get past the checks, the root still holds.
func TestTransferRootHolds(t *testing.T) {
	t.Parallel()
	m := startMover(t, emulatortest.Options{}, nil)
	outside := t.TempDir()
	plant(t, m.local("dst"), map[string]item{"out": {target: outside}, "up": {target: ".."}})
	h := runs.NewState(runs.KindDownload, m.ID)
	d := &downloading{transfer: m.m.files.newTransfer(m.m.NewLive(h), state{Kind: h.Kind, ID: h.ID, Local: m.local("dst"), Remote: "/workspace"}), made: map[string]bool{".": true}}
	if err := d.openDestination(false); err != nil {
		t.Fatal(err)
	}
	defer d.dst.Close()
	d.mkStage()
	defer d.dst.RemoveAll(d.local)
	before := survey(t, m.root)
	for _, name := range []string{"../evil", "/evil", "a/../../evil", "out/evil", "up/evil", "out", "../dst2/x", outside + "/evil"} {
		e := entry{name: name, size: 1, sum: hashBytes([]byte("x"))}
		d.write(e, []byte("x"))
		d.link(entry{name: name, kind: kindLink, target: "x"})
		_ = d.mkdir(name)
	}
	if got := survey(t, outside); len(got) > 0 {
		t.Errorf("outside is %q", got)
	}
	after := survey(t, m.root)
	inside := func(name, _ string) bool { return name == "dst" || strings.HasPrefix(name, "dst/") } // whose time may change
	maps.DeleteFunc(after, inside)
	maps.DeleteFunc(before, inside)
	same(t, after, before)
}

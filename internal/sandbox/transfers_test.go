//go:build !windows

package sandbox

import (
	"archive/tar"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestTransferScripts runs the scripts of uploads and downloads.
func TestTransferScripts(t *testing.T) {
	inShells(t, func(t *testing.T, w *world) {
		with := func(p Params) Params {
			p["stage"], p["remote"] = "/workspace/.openclaw-mcp-0123456789abcdef", "/workspace/far"
			return p
		}
		stage := filepath.Join(w.workspace, ".openclaw-mcp-0123456789abcdef")
		if r := w.run("transfer_probe", with(Params{"keep": 100})); r.Verb != "none" || !strings.Contains(strings.Join(r.Words, " "), "base64") {
			t.Errorf("got %v", r)
		}
		w.reports("ok", "transfer_stage", with(Params{}))

		// An archive, with tar and as a script.
		var archive bytes.Buffer
		tw := tar.NewWriter(&archive)
		for name, content := range map[string]string{"./-x": "1", "./sub/y\nz": "22"} {
			if err := tw.WriteHeader(&tar.Header{Name: name, Mode: 0o755, Size: int64(len(content))}); err != nil {
				t.Fatal(err)
			}
			_, _ = tw.Write([]byte(content))
		}
		_ = tw.Close()
		unpack := func(body []byte, keep bool, script int, place string) Params {
			return with(Params{"name": "arch", "text": Encode(body), "sum": sumOf(string(body)), "keep": keep, "zip": false, "script": script, "place": Text(place)})
		}
		w.reports("ok", "transfer_unpack", unpack(archive.Bytes(), false, 0, "transfer_place"))
		w.holds("far/-x", "1")
		w.holds("far/sub/y\nz", "22")
		made := "folder empty\nlink . l -x\nfile sub made 0 3 644 -\n"
		if r := w.reports("ok", "transfer_unpack", unpack([]byte(made+"abc"), true, len(made), "transfer_make")); len(r.Part(0)) != 0 {
			t.Errorf("not done: %q", r.Part(0))
		}
		w.holds("far/sub/made", "abc")
		if target, err := os.Readlink(w.workspace + "/far/l"); err != nil || target != "-x" {
			t.Errorf("the link leads to %q, %v", target, err)
		}
		if r := w.reports("ok", "transfer_unpack", unpack([]byte(made+"abc"), true, len(made), "transfer_make")); string(r.Part(0)) != "E./l\x00E./sub/made\x00" {
			t.Errorf("not done: %q", r.Part(0))
		}

		// A large file, in parts.
		for i, part := range []string{"aaaa", "bb"} {
			w.put(fmt.Sprintf("%s/k.4.%d", stage, i), Encode([]byte(part)))
		}
		if r := w.reports("parts", "transfer_parts", with(Params{"stem": "k.4"})); !strings.Contains(string(r.Part(0)), "k.4.1") {
			t.Errorf("got %q", r.Part(0))
		}
		w.reports("ok", "transfer_join", with(Params{"stem": "k.4", "to": "k.new", "first": 0, "end": 2, "size": 4}))
		finish := with(Params{"names": Words("sub", "big one"), "key": "k", "sum": sumOf("aaaabb"), "mode": "755", "time": "200102030405.06", "keep": true})
		w.reports("ok", "transfer_finish", finish)
		w.reports("ok", "transfer_finish", finish) // its answer was lost
		w.holds("far/sub/big one", "aaaabb")
		w.put(stage+"/k.new", "other")
		w.reports("again", "transfer_finish", finish)
		w.reports("ok", "transfer_put", with(Params{"name": "t", "text": "it's"}))
		w.holds(stage+"/t", "it's")
		if r := w.run("transfer_seen", with(Params{"names": Words("./sub/big one"), "odd": false})); !strings.Contains(string(r.Part(0)), "\n755 981173106 ./sub/big one\n") {
			t.Errorf("got %q", r.Parts)
		}
		r0 := w.reports("ok", "transfer_mode", with(Params{"names": Words("444", "-", "sub/big one", "600", "200102030405.07", "./-x",
			"750", "200102030405.08", "./sub/", "755", "-", "./-x/", "755", "-", "./none", "755", "-", "./l")}))
		if string(r0.Part(0)) != "./-x\x00./none\x00./l\x00" {
			t.Errorf("not done: %q", r0.Part(0))
		}
		for _, odd := range []bool{false, true} {
			if r := w.reports("seen", "transfer_folders", with(Params{"names": Words("./sub"), "odd": odd})); !strings.HasPrefix(string(r.Part(0)), "750 981173108") {
				t.Errorf("got %q", r.Part(0))
			}
		}

		names := Words("./-x", "./sub", "./none", "./l", "./sub/big one")
		for _, odd := range []bool{false, true} {
			r := w.run("transfer_seen", with(Params{"names": names, "odd": odd}))
			if r.Verb != "seen" || r.Word(0) != "fdnlf" || !strings.Contains(string(r.Part(0)), sumOf("aaaabb")) ||
				!strings.Contains(string(r.Part(0)), "600 981173107") || !strings.Contains(string(r.Part(0)), "444 981173106") {
				t.Errorf("odd %v: got %v, %q", odd, r, r.Parts)
			}
		}

		// The way back.
		r := w.run("transfer_tree", with(Params{"git": false}))
		list, err := os.ReadFile(stage + "/list")
		if err != nil || r.Verb != "list" || r.Number(0) != int64(len(list)) || !strings.Contains(string(list), "./sub/y\nz\x00") || !strings.Contains(string(list), "./l\x00-x\n\x00") {
			t.Errorf("got %v, %q, %v", r, list, err)
		}
		if r := w.reports("data", "transfer_slice", with(Params{"names": "", "k": 0, "size": 1 << 20, "dd": false})); !bytes.Equal(r.Part(0), list) {
			t.Errorf("got %q", r.Parts)
		}
		for _, dd := range []bool{false, true} {
			if r := w.reports("data", "transfer_slice", with(Params{"names": Words("./sub/big one"), "k": 1, "size": 4, "dd": dd})); string(r.Part(0)) != "bb" {
				t.Errorf("dd %v: got %q", dd, r.Parts)
			}
		}
		if r := w.reports("data", "transfer_cat", with(Params{"names": Words("./-x", "./sub/y\nz"), "zip": false})); string(r.Part(0)) != "122" {
			t.Errorf("got %q", r.Parts)
		}
		single := with(Params{})
		single["remote"], single["single"] = "/workspace/far/sub/big one", true
		w.reports("file f 6 "+sumOf("aaaabb")+" 444 981173106", "transfer_single", single)
		w.reports("ok", "transfer_clean", with(Params{}))
		if _, err := os.Stat(stage); !os.IsNotExist(err) {
			t.Errorf("the temporary files are there: %v", err)
		}
	})
}

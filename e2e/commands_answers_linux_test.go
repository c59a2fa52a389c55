//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// shells are the ones that a service may run commands in.
var shells = map[string][]string{"dash": {"dash"}, "busybox": {"busybox", "sh"}, "bash": {"bash"}}

func eachShell(t *testing.T, test func(t *testing.T, f *fake, up *upstream)) {
	for name, shell := range shells {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := exec.LookPath(shell[0]); err != nil {
				t.Fatal(err)
			}
			f, up := newFake(t, shell...)
			test(t, f, up)
		})
	}
}

// ways are the ways in which a command can be run and its result read.
var ways = map[string]params{"default": {}, "attached": {"timeout_seconds": 20}, "background": {"background": true}, "no wait": {"wait_seconds": 0}}

// execute runs a command in one of the ways and waits for its end.
func (s *session) execute(t testing.TB, way params, command string) result {
	t.Helper()
	args := params{"command": command}
	maps.Copy(args, way)
	r := s.call(t, "exec_command", args)
	out, errOut := r.str("stdout"), r.str("stderr")
	for r.str("status") == "running" || r.Data["more"] == true {
		r = s.call(t, "wait_run", params{"runs": []string{r.str("run")}}).run(0)
		out, errOut = out+r.str("stdout"), errOut+r.str("stderr")
	}
	if r.Data != nil {
		r.Data["stdout"], r.Data["stderr"] = out, errOut
	}
	return r
}

// A command's exit code is its own, whatever its words are like.
func TestExitCodeIsTheCommands(t *testing.T) {
	t.Parallel()
	const command = `echo tried; echo "Error: the container web is not running" >&2; exit 1`
	check := func(t *testing.T, s *session) {
		for name, way := range ways {
			r := s.execute(t, way, command)
			if r.str("status") != "completed" || !strings.Contains(r.Text, "exit code 1") || r.str("stdout") != "tried\n" ||
				!strings.Contains(r.str("stderr"), "container web is not running") || strings.Contains(r.Text, "efused") || strings.Contains(r.Text, "safe") {
				t.Errorf("%s: got %s", name, r.Text)
			}
		}
	}
	eachShell(t, func(t *testing.T, f *fake, up *upstream) { check(t, connect(t, up.env())) })
	t.Run("no scripts", func(t *testing.T) {
		t.Parallel()
		f, up := newFake(t)
		f.run = func(ctx context.Context, c string) params {
			return params{"stdout": "tried\n", "stderr": "Error: the container web is not running\n", "exit_code": 1}
		}
		s := connect(t, up.env())
		for _, name := range []string{"default", "attached"} {
			r := s.execute(t, ways[name], command)
			if r.str("status") != "completed" || !strings.Contains(r.Text, "exit code 1") || strings.Contains(r.Text, "efused") {
				t.Errorf("%s: got %s", name, r.Text)
			}
		}
	})
}

// However long the service takes to answer, a call is back in time.
func TestSlowExec(t *testing.T) {
	t.Parallel()
	for _, way := range []string{"default", "no wait", "background"} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			f, up := newFake(t)
			f.run = func(ctx context.Context, c string) params {
				select {
				case <-time.After(12 * time.Second):
				case <-ctx.Done():
				}
				return f.sh(context.WithoutCancel(ctx), c)
			}
			s := connect(t, up.env("OPENCLAW_MCP_SOFT_DEADLINE=4s"))
			args := params{"command": "echo once >>ran; echo the result"}
			maps.Copy(args, ways[way])
			began := time.Now()
			r := s.call(t, "exec_command", args)
			took := time.Since(began)
			if took > 9*time.Second || r.str("status") != "running" || r.str("run") == "" {
				t.Fatalf("after %s: %s", took, r.Text)
			}
			for n := 0; r.str("status") == "running"; n++ {
				if n > 30 {
					t.Fatalf("no result; the last answer is %s", r.Text)
				}
				began = time.Now()
				r = s.call(t, "wait_run", params{"runs": []string{r.str("run")}}).run(0)
				if took := time.Since(began); took > 9*time.Second {
					t.Errorf("wait_run took %s", took)
				}
			}
			if r.str("status") != "completed" || !strings.Contains(r.Text, "the result") || !strings.Contains(r.Text, "exit code 0") {
				t.Errorf("got %s", r.Text)
			}
			if ran := f.sh(t.Context(), "cat ran")["stdout"]; ran != "once\n" {
				t.Errorf("ran %q", ran)
			}
		})
	}
}

// A progress bar is its last state.
func TestProgressBar(t *testing.T) {
	t.Parallel()
	const bar = `i=0; echo before; while [ $i -lt 3000 ]; do i=$((i+1)); printf 'Downloading packages: %d of 3000\r' $i; done; printf '\nafter\n'`
	eachShell(t, func(t *testing.T, f *fake, up *upstream) {
		s := connect(t, up.env())
		for _, name := range []string{"default", "attached", "background"} {
			way := ways[name]
			r := s.execute(t, way, bar)
			// A call that ends in between may show where the bar stood then.
			got := r.str("stdout")
			if !strings.HasPrefix(got, "before\n") || !strings.HasSuffix(got, "Downloading packages: 3000 of 3000\nafter\n") || strings.Count(got, "of 3000") > 10 {
				t.Errorf("%s: got %q, %s", name, shorten(got, 1000), shorten(r.Text, 1500))
			}
			if !strings.Contains(r.Text, "raw: true") {
				t.Errorf("%s: how to read all of it is not said: %s", name, shorten(r.Text, 1500))
			}
		}
		raw := s.ok(t, "exec_command", params{"command": `printf '1\r2\r3\n'`, "raw": true})
		if raw.str("stdout") != "1\r2\r3\n" {
			t.Errorf("raw: %q", raw.str("stdout"))
		}
	})
}

// What the shell says of a command counts its lines, and names no file of ours.
func TestErrorLines(t *testing.T) {
	t.Parallel()
	eachShell(t, func(t *testing.T, f *fake, up *upstream) {
		s := connect(t, up.env())
		for _, name := range []string{"default", "attached"} {
			way := ways[name]
			for _, cwd := range []string{"", f.root} {
				args := params{}
				maps.Copy(args, way)
				if cwd != "" {
					args["cwd"] = cwd
				}
				for _, command := range []string{"true\ntrue\nno-such-command-here", "true\ntrue\n)"} {
					want := f.sh(t.Context(), command)
					r := s.execute(t, args, command)
					if got := strings.TrimSpace(r.str("stderr")); got != strings.TrimSpace(fmt.Sprint(want["stderr"])) || strings.Contains(r.Text, "/tmp/openclaw-mcp") {
						t.Errorf("%s, cwd %q, %q: got %s\nwant %v", name, cwd, command, r.Text, want)
					}
				}
			}
		}
	})
}

// Services change white space on its way out.
func TestExecChangesWhiteSpace(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(string) string{
		"trimmed":          strings.TrimSpace,
		"CRLF":             func(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") },
		"trimmed CRLF":     func(s string) string { return strings.ReplaceAll(strings.TrimSpace(s), "\n", "\r\n") },
		"no blank lines":   func(s string) string { return strings.ReplaceAll(strings.TrimSpace(s), "\n\n", "\n") },
		"one more newline": func(s string) string { return s + "\n" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, up := newFake(t)
			f.run = func(ctx context.Context, c string) params {
				a := f.sh(ctx, c)
				a["stdout"], a["stderr"] = change(a["stdout"].(string)), change(a["stderr"].(string))
				return a
			}
			s := connect(t, up.env())
			s.ok(t, "write_file", params{"path": "/workspace/a.txt", "content": "one\n\n\ntwo\n\n"})
			s.ok(t, "write_file", params{"path": "/workspace/a.txt", "content": "three\r\n", "mode": "append"})
			s.ok(t, "edit_file", params{"path": "/workspace/a.txt", "old_text": "two", "new_text": "2"})
			s.ok(t, "write_file", params{"path": "/workspace/b.txt", "content": strings.Repeat("long line\n", 20000), "mode": "create"})
			s.ok(t, "edit_file", params{"path": "/workspace/b.txt", "old_text": "long line\n", "new_text": "l\n", "replace_all": true})
			if got := f.sh(t.Context(), "cat a.txt; wc -c <b.txt")["stdout"]; got != "one\n\n\n2\n\nthree\r\n40000\n" {
				t.Errorf("got %q", got)
			}
			if r := s.ok(t, "list_files", params{"depth": 3}); !strings.Contains(r.Text, "a.txt") {
				t.Errorf("got %s", r.Text)
			}
			r := s.ok(t, "exec_command", params{"command": "echo 1; sleep 4; echo 2"})
			if r.str("stdout") != "1\n2\n" {
				t.Errorf("got %q", r.str("stdout"))
			}
		})
	}
}

// aside gives a shell with a small /tmp of its own, in which something was done before.
func aside(t testing.TB, before string) []string {
	t.Helper()
	shell := []string{"unshare", "-m", "sh", "-c", "mount -t tmpfs -o size=16k tmpfs /tmp || exit 99\n" + before + "\nshift; exec sh \"$@\"", "sh"}
	if err := exec.Command(shell[0], append(shell[1:], "-c", "-c", "true")...).Run(); err != nil {
		t.Skip("no file system can be mounted here: ", err)
	}
	return append(shell, "-c")
}

// Where a command can't have files of its own it runs the plain way, and the result
// says so; where nothing helps, the result says why.
func TestSandboxInNeed(t *testing.T) {
	t.Parallel()
	t.Run("tmp is full", func(t *testing.T) {
		t.Parallel()
		f, up := newFake(t)
		f.shell = aside(t, "head -c 20000 /dev/zero >/tmp/filler 2>/dev/null")
		f.root = "/var/tmp"
		s := connect(t, up.env())
		for name, way := range ways {
			r := s.execute(t, way, "echo done; exit 3")
			if r.str("stdout") != "done\n" || !strings.Contains(r.Text, "exit code 3") {
				t.Errorf("%s: got %s", name, r.Text)
			}
			if name == "default" && !strings.Contains(r.Text, "could not be detached") {
				t.Errorf("%s: nothing is said: %s", name, r.Text)
			}
		}
	})
	t.Run("files in the way", func(t *testing.T) {
		t.Parallel()
		f, up := newFake(t)
		f.shell = aside(t, `for n in "" .1 .2 .3; do : >"/tmp/openclaw-mcp-$(id -u)$n"; done`)
		f.root = "/var/tmp"
		s := connect(t, up.env())
		r := s.execute(t, params{}, "echo done; exit 3")
		if r.str("stdout") != "done\n" || !strings.Contains(r.Text, "exit code 3") || !strings.Contains(r.Text, "is in the way") {
			t.Errorf("got %s", r.Text)
		}
	})
	t.Run("quotes", func(t *testing.T) {
		t.Parallel()
		_, up := newFake(t)
		s := connect(t, up.env())
		for _, quote := range []string{"'", `"`, `'"`, "`", `\`} {
			text := strings.Repeat(quote, 50<<10/len(quote))
			command := "cat >q <<'END'\n" + text + "\nEND\nwc -c <q"
			for _, name := range []string{"default", "attached"} {
				way := ways[name]
				r := s.execute(t, way, command)
				if strings.TrimSpace(r.str("stdout")) != fmt.Sprint(len(text)+1) {
					t.Errorf("%s, %s: got %s", quote, name, shorten(r.Text, 1000))
				}
			}
		}
	})
	t.Run("short commands alone", func(t *testing.T) {
		t.Parallel()
		for name, refuse := range map[string]func(w http.ResponseWriter){
			"413": func(w http.ResponseWriter) { answerJSON(w, 413, params{"message": "Payload too large"}) },
			"400": func(w http.ResponseWriter) {
				answerJSON(w, 400, params{"message": "command must be at most 8192 characters"})
			},
			"422": func(w http.ResponseWriter) {
				answerJSON(w, 422, params{"detail": []params{{"loc": []string{"body", "command"}, "msg": "String should have at most 8192 characters"}}})
			},
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				f, up := newFake(t)
				f.take = func(w http.ResponseWriter, r *http.Request, e string) bool {
					var in struct{ Command string }
					if e != "POST terminal/exec" || json.NewDecoder(r.Body).Decode(&in) == nil && len(in.Command) <= 8192 {
						return false
					}
					refuse(w)
					return true
				}
				s := connect(t, up.env())
				r := s.ok(t, "exec_command", params{"command": "echo short"})
				if r.str("stdout") != "short\n" {
					t.Errorf("got %s", r.Text)
				}
				for _, name := range []string{"default", "attached", "background"} {
					way := ways[name]
					r := s.execute(t, way, "echo "+strings.Repeat("x", 4000)+" | wc -c")
					if strings.TrimSpace(r.str("stdout")) != "4001" || !strings.Contains(r.Text, "exit code 0") {
						t.Errorf("%s: got %s", name, shorten(r.Text, 1000))
					}
					r = s.execute(t, way, ": "+strings.Repeat("y", 9000))
					if !r.IsError && r.str("status") != "failed" || !strings.Contains(r.Text, "nothing") || !strings.Contains(r.Text, "write_file") {
						t.Errorf("%s: too long: got %s", name, shorten(r.Text, 1000))
					}
				}
				s.ok(t, "write_file", params{"path": "/workspace/f", "content": strings.Repeat("a line\n", 5000)})
				s.ok(t, "edit_file", params{"path": "/workspace/f", "old_text": "a line\n", "new_text": "a longer line\n", "replace_all": true})
				s.ok(t, "write_file", params{"path": "/workspace/f", "content": strings.Repeat("b", 5000), "mode": "append"})
				if got := f.sh(t.Context(), "wc -c <f")["stdout"]; got != "75000\n" {
					t.Errorf("the file has %s bytes", got)
				}
			})
		}
	})
}

// Who named no instance is not sent to one of several from memory.
func TestWhichInstance(t *testing.T) {
	t.Parallel()
	f, up := newFake(t)
	var two atomic.Bool
	f.list = func() []params {
		list := []params{{"id": "i1", "status": "ready"}}
		if two.Load() {
			list = append(list, params{"id": "i-new", "status": "ready"})
		}
		return list
	}
	s := connect(t, up.env())
	s.ok(t, "send_chat_message", params{"message": "hello"})
	s.ok(t, "list_files", nil)
	two.Store(true) // somebody else made one
	for _, c := range []struct {
		tool string
		args params
	}{
		{"exec_command", params{"command": "touch ran"}},
		{"shutdown_instance", nil},
		{"reboot_instance", nil},
		{"write_file", params{"path": "/workspace/x", "content": "x"}},
		{"manage_files", params{"action": "delete", "path": "/workspace/x"}},
	} {
		r := s.call(t, c.tool, c.args)
		if !r.IsError || !strings.Contains(r.Text, "several instances are ready: i1 (ready), i-new (ready)") {
			t.Errorf("%s: got %s", c.tool, r.Text)
		}
	}
	for _, e := range []string{"POST terminal/exec", "POST shutdown", "POST reboot", "POST files/write"} {
		if n := f.count(e); e != "POST terminal/exec" && n != 0 {
			t.Errorf("%s was sent %d times", e, n)
		}
	}

	two.Store(false)
	s.ok(t, "send_chat_message", params{"message": "hello again"})
	two.Store(true)
	s.ok(t, "create_instance", nil)
	for _, tool := range []string{"send_chat_message", "list_chat_sessions", "create_chat_session", "list_files", "get_instance"} {
		args := params{}
		if tool == "send_chat_message" {
			args["message"] = "to whom?"
		}
		if r := s.call(t, tool, args); !r.IsError || !strings.Contains(r.Text, "i1 (ready), i-new (ready)") {
			t.Errorf("%s: got %s", tool, r.Text)
		}
	}
	if f.sent("to whom?") != 0 {
		t.Error("the message was sent")
	}
}

// A stopped instance is to be rebooted first; one that is not stopped is not.
func TestStoppedInstance(t *testing.T) {
	t.Parallel()
	for name, refuse := range map[string]func(w http.ResponseWriter){
		"409": func(w http.ResponseWriter) { answerJSON(w, 409, params{"error": "Instance not running"}) },
		"503": func(w http.ResponseWriter) { answerJSON(w, 503, params{"message": "Sandbox unavailable"}) },
		"502": func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(502)
			_, _ = w.Write([]byte("<html><title>502 Bad Gateway</title></html>"))
		},
		"404": func(w http.ResponseWriter) { answerJSON(w, 404, params{"message": "Sandbox not found"}) },
		"200": func(w http.ResponseWriter) { answerJSON(w, 200, params{"error": "Instance is not running"}) },
		"exit": func(w http.ResponseWriter) {
			answerJSON(w, 200, params{"stdout": "", "stderr": "sandbox is not running", "exit_code": 1})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, up := newFake(t)
			var status atomic.Value
			status.Store("stopped")
			f.list = func() []params { return []params{{"id": "i1", "status": status.Load()}} }
			f.take = func(w http.ResponseWriter, r *http.Request, e string) bool {
				switch e {
				case "GET instances", "GET {id}", "GET status", "POST reboot", "POST shutdown":
					return false
				}
				if name == "exit" && e != "POST terminal/exec" {
					answerJSON(w, 409, params{"error": "not running"})
					return true
				}
				refuse(w)
				return true
			}
			s := connect(t, up.env("OPENCLAW_MCP_SOFT_DEADLINE=10s"))
			tools := map[string]params{
				"send_chat_message": {"message": "hi"}, "read_chat_history": nil, "list_chat_sessions": nil, "create_chat_session": nil,
				"exec_command": {"command": "true"}, "open_terminal": nil, "list_files": nil, "search_files": {"pattern": "x"},
				"read_file": {"path": "/workspace/a"}, "write_file": {"path": "/workspace/a", "content": "a"},
				"edit_file": {"path": "/workspace/a", "old_text": "a", "new_text": "b"}, "make_directory": {"path": "/workspace/d"},
				"manage_files":    {"action": "delete", "path": "/workspace/a"},
				"take_screenshot": nil,
			}
			for tool, args := range tools {
				if s.tools[tool] == nil {
					t.Errorf("there is no %s", tool)
					continue
				}
				if r := s.call(t, tool, args); !strings.Contains(r.Text, "reboot_instance first") {
					t.Errorf("%s: got %s", tool, r.Text)
				}
			}
			status.Store("ready")
			for tool, args := range tools {
				if r := s.call(t, tool, args); strings.Contains(r.Text, "reboot_instance first") {
					t.Errorf("ready, %s: got %s", tool, r.Text)
				}
			}
		})
	}
}

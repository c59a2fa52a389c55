//go:build e2e

package tasks

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"
)

// job is something that somebody wants done.
type job struct {
	name    string
	prepare func(*desk)
	agent   func(*desk) (answer string)
	check   func(*desk, string)
	limits  limits
}

// limits are what a job may take: an agent that needs more has been misled by a text.
type limits struct{ calls, wrong, characters int }

var jobs = []job{
	{
		name: "find the largest log",
		prepare: func(d *desk) {
			for i := range 40 {
				d.put(fmt.Sprintf("var/log/service-%02d/current.log", i), strings.Repeat("line\n", 10+i*7%31))
			}
			d.put("var/log/service-17/old/rotated.log", strings.Repeat("a longer line\n", 500))
			d.put("var/log/service-18/core.bin", strings.Repeat("x", 100_000))
		},
		agent: func(d *desk) string {
			return d.find(`(?m)^(\S+\.log)  \d+ bytes`, d.call("list_files", "path=/workspace/var/log", "glob=**/*.log", "sort=size", "limit=1"))
		},
		check: func(d *desk, answer string) {
			if answer != "service-17/old/rotated.log" {
				d.Errorf("the answer is %q", answer)
			}
		},
		limits: limits{1, 0, 420},
	},
	{
		name: "fix two bugs and prove it",
		prepare: func(d *desk) {
			d.put("calc/calc.sh", "#!/bin/sh\n# adds or multiplies two numbers\ncase $1 in\n  add) echo $(($2 - $3)) ;;\n  mul) echo $(($2 * $3 + 1)) ;;\n  *) echo 'add or mul?' >&2; exit 2 ;;\nesac\n")
			d.put("calc/test.sh", "#!/bin/sh\ncd \"$(dirname \"$0\")\" || exit 1\nfailed=0\nexpect() { got=$(sh calc.sh $2 $3 $4); [ \"$got\" = \"$1\" ] || { echo \"$2 $3 $4: got $got, want $1\" >&2; failed=1; }; }\nexpect 5 add 2 3\nexpect 0 add 4 -4\nexpect 6 mul 2 3\n[ $failed = 0 ] && echo all passed\nexit $failed\n")
		},
		agent: func(d *desk) string {
			failing, err := d.try("exec_command", "command=sh test.sh", "cwd=/workspace/calc")
			if err == nil { // it ends as its command did
				d.Fatalf("the tests pass before: %s", failing)
			}
			d.find(`(add 2 3: got -1, want 5)`, failing)
			source := d.call("read_file", "path=calc/calc.sh")
			d.call("edit_file", "path=calc/calc.sh", "old_text="+d.find(`(\$\(\(\$2 - \$3\)\))`, source), "new_text=$(($2 + $3))")
			d.call("edit_file", "path=calc/calc.sh", "old_text="+d.find(`( \+ 1\)\))`, source), "new_text=))")
			return d.call("exec_command", "command=sh test.sh", "cwd=/workspace/calc")
		},
		check: func(d *desk, answer string) {
			if out, err := d.shell("sh calc/test.sh"); err != nil || !strings.Contains(answer, "all passed") {
				d.Errorf("%v: %s; the proof: %s", err, out, answer)
			}
		},
		limits: limits{5, 0, 1400},
	},
	{
		name: "rename across files",
		prepare: func(d *desk) {
			for i := range 6 {
				d.put(fmt.Sprintf("src/part%d.py", i), fmt.Sprintf("def part%d():\n    return fetch_rows(%d)\n", i, i))
			}
			d.put("src/rows.py", "def fetch_rows(n):\n    return list(range(n))\n\n\ndef prefetch_rows_later(n):\n    return n\n")
			d.put("README.md", "Call fetch_rows for rows.\n")
		},
		agent: func(d *desk) string {
			found := d.call("search_files", "pattern=\\bfetch_rows\\b", "regex=true")
			d.find(`(8 matches in 8 files)`, found)
			d.call("exec_command", "command=grep -rlw fetch_rows . | xargs sed -i 's/\\bfetch_rows\\b/load_rows/g'")
			return d.call("search_files", "pattern=\\bfetch_rows\\b", "regex=true")
		},
		check: func(d *desk, answer string) {
			out, _ := d.shell("grep -rw load_rows . | wc -l; grep -rw fetch_rows . | wc -l; grep -c prefetch_rows_later src/rows.py")
			if strings.Join(strings.Fields(out), " ") != "8 0 1" || !strings.Contains(answer, "0 matches") {
				d.Errorf("%q, %s", out, answer)
			}
		},
		limits: limits{3, 0, 1300},
	},
	{
		name: "recover a cut download",
		prepare: func(d *desk) {
			whole := strings.Repeat("0123456789abcdef\n", 40_000)
			d.put("mirror/set.dat", whole)
			d.put("set.dat", whole[:271_828])
			d.put("set.dat.sha256", fmt.Sprintf("%x  set.dat\n", sha256.Sum256([]byte(whole))))
		},
		agent: func(d *desk) string {
			has := d.find(`set\.dat  (\d+) bytes`, d.call("list_files", "glob=set.dat"))
			return d.call("exec_command", "command=tail -c +$(("+has+" + 1)) mirror/set.dat >>set.dat && sha256sum -c set.dat.sha256")
		},
		check: func(d *desk, answer string) {
			if out, err := d.shell("cmp set.dat mirror/set.dat"); err != nil || !strings.Contains(answer, "set.dat: OK") {
				d.Errorf("%v: %s; %s", err, out, answer)
			}
		},
		limits: limits{2, 0, 340},
	},
	{
		name: "follow a long build",
		prepare: func(d *desk) {
			d.put("build.sh", "for i in $(seq 1 40); do echo \"step $i of 40\"; [ $((i % 9)) != 0 ] || echo \"warning: step $i is slow\" >&2; sleep 0.1; done\nmkdir -p out && echo artefact >out/app\necho built\n")
		},
		agent: func(d *desk) string {
			all := d.call("exec_command", "command=sh build.sh", "background=true")
			for strings.Contains(all, "status: running") {
				run := d.find(`wait_run \{"runs":\["([^"]+)"\]\}`, all)
				more := d.call("wait_run", "runs="+run)
				all = all[:strings.LastIndex(all, "[status: running")] + more
			}
			return fmt.Sprint(strings.Count(all, "warning:"))
		},
		check: func(d *desk, answer string) {
			if answer != "4" || d.file("out/app") != "artefact\n" {
				d.Errorf("the answer is %s", answer)
			}
		},
		limits: limits{4, 0, 1700},
	},
	{
		name: "find the last error in a large log",
		prepare: func(d *desk) {
			var b strings.Builder
			for i := range 150_000 {
				if i%10_007 == 0 {
					fmt.Fprintf(&b, "%06d ERROR disk %d is full\n", i, i%13)
				} else {
					fmt.Fprintf(&b, "%06d info all is well\n", i)
				}
			}
			d.put("app.log", b.String())
		},
		agent: func(d *desk) string {
			return d.find(`(?m)^(\d{6} ERROR .*)$`, d.call("exec_command", "command=grep ERROR app.log | tail -1"))
		},
		check: func(d *desk, answer string) {
			if answer != "140098 ERROR disk 10 is full" {
				d.Errorf("the answer is %q", answer)
			}
		},
		limits: limits{1, 0, 130},
	},
	{
		name: "change what somebody else has changed",
		prepare: func(d *desk) {
			d.put("config.ini", "[server]\nport = 80\nhost = example.org\n")
		},
		agent: func(d *desk) string {
			read := d.call("read_file", "path=config.ini", "hash=true")
			hash := d.find(`sha256 ([0-9a-f]{64})`, read)
			d.put("config.ini", "[server]\nport = 80\nhost = example.com\n") // the other
			refused, err := d.try("write_file", "path=config.ini", "if_match="+hash, "content="+strings.Replace(strings.Split(read, "[/")[0], "80", "8080", 1))
			if err == nil {
				d.Fatalf("the other's change is lost: %s", refused)
			}
			d.call("read_file", "path=config.ini")
			return d.call("edit_file", "path=config.ini", "old_text=port = 80", "new_text=port = 8080")
		},
		check: func(d *desk, _ string) {
			if got := d.file("config.ini"); got != "[server]\nport = 8080\nhost = example.com\n" {
				d.Errorf("it holds %q", got)
			}
		},
		limits: limits{4, 1, 1200},
	},
	{
		name: "delete what is built, and nothing else",
		prepare: func(d *desk) {
			d.put("project/src/main.c", "int main() { return 0; }\n")
			d.put("project/build/main.o", "object\n")
			d.put("project/build/deps/x.d", "x\n")
		},
		agent: func(d *desk) string {
			asked, err := d.try("manage_files", "action=delete", "path=project/build", "recursive=true")
			if err == nil {
				d.Fatalf("nobody was asked: %s", asked)
			}
			return d.call("manage_files", "action=delete", "path=project/build", "recursive=true", d.find(`pass (--yes)`, asked))
		},
		check: func(d *desk, _ string) {
			if out, _ := d.shell("find project -type f"); strings.TrimSpace(out) != "project/src/main.c" {
				d.Errorf("there is %q", out)
			}
		},
		limits: limits{2, 1, 480},
	},
	{
		name: "have the instance's agent do it",
		prepare: func(d *desk) {
			d.put("people.csv", "name,age\nAda,36\nBob,41\nEve,29\n")
		},
		agent: func(d *desk) string {
			session := d.find(`session (\S+)`, d.call("create_chat_session", "title=People"))
			d.call("send_chat_message", "session="+session, "message=run: tail -n +2 people.csv | sort -t, -k2 -n | head -1 | cut -d, -f1 >youngest.txt; cat youngest.txt")
			return d.call("read_chat_history", "session="+session, "limit=1")
		},
		check: func(d *desk, answer string) {
			if d.file("youngest.txt") != "Eve\n" || !strings.Contains(answer, "Eve") {
				d.Errorf("the answer is %s", answer)
			}
		},
		limits: limits{3, 0, 1500}, // half of it is for notes that a slow machine adds
	},
	{
		name: "open a file whose name is almost known",
		prepare: func(d *desk) {
			d.put("docs/handbook/deployment.md", "# Deployment\n\nThe port is 8443.\n")
			d.put("docs/handbook/development.md", "# Development\n")
		},
		agent: func(d *desk) string {
			text, err := d.try("read_file", "path=docs/handbook/deploymnet.md")
			if err != nil { // the error names the file that is meant, or the agent has to look for it
				name := "/workspace/docs/handbook/deployment.md"
				if !strings.Contains(text, "has deployment.md") {
					name = d.find(`(\S*deployment\.md)`, d.call("list_files", "path=docs", "glob=**/*.md"))
					name = "docs/" + strings.TrimPrefix(name, "/workspace/docs/")
				}
				text = d.call("read_file", "path="+name)
			}
			return d.find(`port is (\d+)`, text)
		},
		check: func(d *desk, answer string) {
			if answer != "8443" {
				d.Errorf("the answer is %s", answer)
			}
		},
		limits: limits{2, 1, 600},
	},
}

func TestJobs(t *testing.T) {
	t.Parallel()
	for _, j := range jobs {
		t.Run(j.name, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t)
			j.prepare(d)
			answer := j.agent(d)
			j.check(d, answer)
			t.Logf("%d calls, %d of them wrong, %d characters sent, %d read", d.calls, d.wrong, d.sent, d.got)
			if l := j.limits; d.calls > l.calls || d.wrong > l.wrong || d.sent+d.got > l.characters {
				t.Errorf("it took %d calls, %d of them wrong, and %d characters; it may take %+v", d.calls, d.wrong, d.sent+d.got, l)
			}
		})
	}
}

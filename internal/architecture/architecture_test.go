// Package architecture holds the rules of the whole tree: who may import whom, who
// may touch the process, what every exported name must have.
package architecture

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// source is a file of the module.
type source struct {
	path, dir string // dir is "." for the root
	text      []byte
	ast       *ast.File // nil for what is not Go
}

func (s source) isTest() bool { return strings.HasSuffix(s.path, "_test.go") }

// readSources reads all that belongs to the module.
func readSources(t *testing.T, set *token.FileSet) []source {
	t.Helper()
	var all []source
	const root = "../.."
	err := filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, file)
		if err != nil {
			return err
		}
		name = filepath.ToSlash(name)
		if d.IsDir() {
			if name != "." && strings.HasPrefix(d.Name(), ".") && d.Name() != ".ci" && d.Name() != ".github" ||
				slices.Contains([]string{"node_modules", "bin", "dist"}, d.Name()) {
				return filepath.SkipDir
			}
			return nil
		}
		if !d.Type().IsRegular() || name == ".git" { // a file in a worktree
			return nil
		}
		s := source{path: name, dir: path.Dir(name)}
		if s.text, err = os.ReadFile(file); err != nil {
			return err
		}
		if path.Ext(name) == ".go" {
			if s.ast, err = parser.ParseFile(set, name, s.text, parser.ParseComments|parser.SkipObjectResolution); err != nil {
				return err
			}
		}
		all = append(all, s)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 100 {
		t.Fatalf("only %d files: these are not all", len(all))
	}
	return all
}

// module is the module's path with a slash: the owner may change it.
func module(t *testing.T, all []source) string {
	t.Helper()
	for _, s := range all {
		if s.path == "go.mod" {
			line, _, _ := strings.Cut(string(s.text), "\n")
			return strings.TrimPrefix(line, "module ") + "/"
		}
	}
	t.Fatal("no go.mod")
	return ""
}

// mayImport says which packages of ours each may import, besides the leaves:
// imports point down. A package that is not here needs a decision, and then a line.
var mayImport = map[string][]string{
	".":               {"internal/cli"},
	"internal/cli":    {"client", "tools", "internal/config", "internal/doctor", "internal/install", "internal/keyfile", "internal/observe", "internal/server"},
	"internal/server": {"client", "tools", "resources", "prompts", "transport", "internal/apps", "internal/auth", "internal/config", "internal/desktops", "internal/emulator", "internal/fleet", "internal/observe", "internal/runs", "internal/transfers", "internal/terminals"},
	"internal/config": {"client", "tools", "internal/keyfile"}, // their names are what it checks
	"internal/doctor": {"client"},

	"tools":                  {"internal/fleet", "internal/runs", "internal/transfers", "internal/sandbox", "internal/desktops", "internal/terminals", "client"},
	"resources":              {"internal/runs", "internal/sandbox", "client"},
	"prompts":                {"internal/runs", "client"},
	"internal/runs":          {"internal/fleet", "client"},
	"internal/runs/chat":     {"internal/runs", "internal/fleet", "client"},
	"internal/runs/command":  {"internal/runs", "internal/fleet", "internal/sandbox", "client"},
	"internal/runs/create":   {"internal/runs", "client"},
	"internal/runs/runstest": {"internal/runs", "internal/fleet", "internal/emulator", "client"},
	"internal/transfers":     {"internal/runs", "internal/sandbox", "client"},
	"internal/sandbox":       {"client"},
	"internal/desktops":      {"internal/fleet", "internal/owner", "internal/rfb", "client"},
	"internal/terminals":     {"internal/fleet", "internal/owner", "internal/sandbox", "client"},
	"internal/owner":         {"internal/fleet", "client"},
	"client":                 {"internal/rfb"},
	"internal/rfb":           {},

	"transport":                {"internal/fleet"}, // nothing of the domain
	"internal/observe":         {},
	"internal/install":         {"internal/keyfile"},
	"internal/keyfile":         {},
	"internal/fleet":           {},
	"internal/fleet/files":     {"internal/fleet"},
	"internal/fleet/natsfleet": {"internal/fleet"},
	"internal/apps":            {},
	"internal/auth":            {},
	"internal/emulator":        nil, // not even leaves: it shares nothing with the client

	// Leaves.
	"internal/filewatch": nil,
	"internal/keys":      {},
	"internal/hand":      nil,
	"internal/loopback":  nil,
	"internal/nearest":   nil,
	"internal/pattern":   nil,
	"internal/seal":      nil,
	"internal/secret":    nil,
	"internal/text":      nil,

	// For tests.
	"internal/architecture":          {},
	"internal/golden":                {},
	"internal/emulator/emulatortest": {"internal/emulator"},
	"internal/rfb/rfbtest":           {},
	"internal/fleet/fleettest":       {"internal/fleet"},
	"docs":                           {"tools", "internal/config"},
	"e2e":                            {"client", "transport", "internal/config", "internal/observe", "prompts", "tools"}, // drives the built binary
	"e2e/conformance":                {"transport"},
	"e2e/program":                    {},
	"e2e/tasks":                      {},                                                                     // drives the built binary
	"e2e/hostile":                    {},                                                                     // drives the built binary
	"e2e/chaos":                      {"internal/fleet", "internal/fleet/files", "internal/fleet/natsfleet"}, // drives the built binary, and looks for facts that are left
	"e2e/go":                         {},                                                                     // a module of its own
	"packaging/check":                {},                                                                     // a module of its own
	"examples/go":                    {},                                                                     // a module of its own
	"packaging/check/sign":           {},
	"bench":                          {}, // measures the binary from outside
	"bench/bare":                     {}, // a bare mcp-go server, to compare with
}

// leaves are small packages that import nothing of ours, for anybody's use.
var leaves = []string{"internal/filewatch", "internal/hand", "internal/keyfile", "internal/keys", "internal/loopback", "internal/nearest", "internal/pattern", "internal/seal", "internal/secret", "internal/text"}

// programs are the files that touch the process.
var programs = []string{"main.go", "bench/bare/main.go", "examples/go/main.go", "packaging/check/sign/main.go"}

// testMayImport says what tests may import besides: the real service's stand-in, and
// the terminal that shows what a program draws.
var testMayImport = []string{"internal/fleet", "internal/emulator", "internal/emulator/emulatortest", "internal/fleet/fleettest", "internal/golden", "internal/rfb/rfbtest", "internal/runs/runstest", "internal/terminals", "e2e/program"}

// withoutMCP are the packages that know nothing of the protocol.
var withoutMCP = []string{"client", "internal/rfb", "internal/desktops", "internal/terminals", "internal/runs", "internal/runs/chat", "internal/runs/command", "internal/runs/create", "internal/transfers", "internal/sandbox", "internal/fleet", "internal/fleet/files", "internal/fleet/natsfleet", "internal/install", "internal/doctor", "internal/auth", "internal/apps", "internal/emulator", "internal/emulator/emulatortest"}

func TestArchitectureImports(t *testing.T) {
	t.Parallel()
	all := readSources(t, token.NewFileSet())
	module := module(t, all)
	for _, s := range all {
		if s.ast == nil {
			continue
		}
		allowed, known := mayImport[s.dir]
		if !known {
			t.Errorf("%s: the package %s is not in the rules of this test", s.path, s.dir)
			continue
		}
		for _, spec := range s.ast.Imports {
			name, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			if ours, ok := strings.CutPrefix(name, module); ok {
				inTest := s.isTest() && (slices.Contains(testMayImport, ours) || ours == s.dir || strings.HasPrefix(ours, s.dir+"/"))
				// A package may import what is below one that it may import.
				ok := allowed != nil && slices.Contains(leaves, ours) || slices.ContainsFunc(allowed, func(a string) bool { return ours == a || strings.HasPrefix(ours, a+"/") })
				if !ok && !inTest {
					t.Errorf("%s imports %s; %s may import %v", s.path, ours, s.dir, allowed)
				}
			}
			if strings.HasPrefix(name, "github.com/mark3labs/mcp-go/") && slices.Contains(withoutMCP, s.dir) {
				t.Errorf("%s imports mcp-go; %s is to know nothing of MCP", s.path, s.dir)
			}
			if strings.HasPrefix(name, "github.com/nats-io/") && s.dir != "internal/fleet/natsfleet" {
				t.Errorf("%s imports %s; only internal/fleet/natsfleet is to know of NATS", s.path, name)
			}
		}
	}
}

// mayRead lists who may read variables: on Windows no program runs without some
// of them.
var mayRead = []string{"internal/emulator/process_windows.go"}

// Standard output carries the protocol, and main.go alone touches the process.
func TestArchitectureProcess(t *testing.T) {
	t.Parallel()
	set := token.NewFileSet()
	forbidden := map[string][]string{
		"os":  {"Stdout", "Stdin", "Stderr", "Args", "Exit", "Getenv", "LookupEnv", "Environ", "Setenv"},
		"fmt": {"Print", "Printf", "Println", "Scan", "Scanf", "Scanln"},
		"log": {"Print", "Printf", "Println", "Fatal", "Fatalf", "Fatalln", "Panic", "Panicf", "Panicln", "Default", "SetOutput"},
	}
	for _, s := range readSources(t, set) {
		if s.ast == nil || s.isTest() || slices.Contains(programs, s.path) {
			continue
		}
		ast.Inspect(s.ast, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.SelectorExpr:
				if slices.Contains(mayRead, s.path) && strings.Contains(strings.ToLower(n.Sel.Name), "env") {
					return true
				}
				if pkg, ok := n.X.(*ast.Ident); ok && slices.Contains(forbidden[pkg.Name], n.Sel.Name) {
					t.Errorf("%s: %s.%s is for the files in programs alone", set.Position(n.Pos()), pkg.Name, n.Sel.Name)
				}
			case *ast.CallExpr:
				if f, ok := n.Fun.(*ast.Ident); ok && (f.Name == "print" || f.Name == "println") {
					t.Errorf("%s: %s writes to standard error, past the log", set.Position(n.Pos()), f.Name)
				}
			case *ast.FuncDecl:
				if n.Recv == nil && n.Name.Name == "init" {
					t.Errorf("%s: wiring is done by hand, not by init", set.Position(n.Pos()))
				}
			}
			return true
		})
	}
}

// What is compiled while the program runs is a caller's, and bounded in one place; or the
// operator's, who may do as he likes.
func TestArchitecturePatterns(t *testing.T) {
	t.Parallel()
	for _, s := range readSources(t, token.NewFileSet()) {
		if s.ast != nil && !s.isTest() && !slices.Contains([]string{"internal/pattern", "internal/config"}, s.dir) && bytes.Contains(s.text, []byte("regexp.Compile(")) {
			t.Errorf("%s compiles a pattern: internal/pattern does, and bounds it", s.path)
		}
	}
}

// Every exported identifier says what it is.
func TestArchitectureDocs(t *testing.T) {
	t.Parallel()
	set := token.NewFileSet()
	packages := map[string]bool{}
	for _, s := range readSources(t, set) {
		if s.ast == nil || s.isTest() {
			continue
		}
		packages[s.dir] = packages[s.dir] || s.ast.Doc != nil
		for _, d := range s.ast.Decls {
			for _, name := range undocumented(d) {
				t.Errorf("%s: %s has no comment", set.Position(d.Pos()), name)
			}
		}
	}
	for dir, documented := range packages {
		if !documented {
			t.Errorf("package %s has no comment", dir)
		}
	}
}

// undocumented gives the exported names of a declaration that lack a comment. A
// comment on a group speaks for its constants and variables, and a comment at
// the end of a line for that line.
func undocumented(d ast.Decl) (names []string) {
	switch d := d.(type) {
	case *ast.FuncDecl:
		if d.Doc == nil && d.Name.IsExported() && (d.Recv == nil || receiver(d).IsExported()) && !wellKnown[d.Name.Name] {
			names = append(names, d.Name.Name)
		}
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			switch spec := spec.(type) {
			case *ast.TypeSpec:
				if spec.Name.IsExported() && d.Doc == nil && spec.Doc == nil {
					names = append(names, spec.Name.Name)
				}
			case *ast.ValueSpec:
				for _, name := range spec.Names {
					if name.IsExported() && d.Doc == nil && spec.Doc == nil && spec.Comment == nil {
						names = append(names, name.Name)
					}
				}
			}
		}
	}
	return names
}

// wellKnown are methods whose names and interfaces say it all.
var wellKnown = map[string]bool{"Error": true, "Unwrap": true, "String": true, "Write": true, "Read": true, "Close": true,
	"Header": true, "WriteHeader": true, "Flush": true}

func receiver(d *ast.FuncDecl) *ast.Ident {
	typ := d.Recv.List[0].Type
	for {
		switch t := typ.(type) {
		case *ast.StarExpr:
			typ = t.X
		case *ast.IndexExpr:
			typ = t.X
		case *ast.Ident:
			return t
		default:
			return ast.NewIdent("_")
		}
	}
}

func TestArchitectureFiles(t *testing.T) {
	t.Parallel()
	const longest = 500
	// Put together here, so that this file does not hold them.
	forbidden := []string{"/" + "work/", ".." + "/shared", "contract" + ".md"}
	for _, s := range readSources(t, token.NewFileSet()) {
		if s.path == "go.mod" && bytes.Contains(s.text, []byte("replace ")) {
			t.Error("go.mod has a replace: nobody could go install this")
		}
		if s.ast != nil && !s.isTest() {
			if n := bytes.Count(s.text, []byte("\n")); n > longest {
				t.Errorf("%s has %d lines, more than %d: split it", s.path, n, longest)
			}
		}
		for i, line := range bytes.Split(s.text, []byte("\n")) {
			for _, word := range forbidden {
				if bytes.Contains(line, []byte(word)) {
					t.Errorf("%s:%d names %q, which only its author's machine has", s.path, i+1, word)
				}
			}
			if s.ast != nil && bytes.HasPrefix(line, []byte("<<<<<<<")) {
				t.Errorf("%s:%d is an unmerged conflict", s.path, i+1)
			}
		}
	}
}

// The owner's addresses are set in one file. README.md has what is made of them.
func TestArchitectureOwner(t *testing.T) {
	t.Parallel()
	all := readSources(t, token.NewFileSet())
	const file = "packaging/owner.env"
	var addresses [][]byte
	for _, s := range all {
		if s.path != file {
			continue
		}
		for line := range strings.Lines(string(s.text)) {
			name, value, ok := strings.Cut(strings.TrimSpace(line), "=")
			// One word, such as the image's name at first, is no address.
			if ok && !strings.HasPrefix(name, "#") && name != "MODULE" && strings.ContainsAny(value, "/.@") {
				addresses = append(addresses, []byte(strings.Trim(value, `"`)))
			}
		}
	}
	if len(addresses) < 4 {
		t.Fatalf("%s has only the addresses %s", file, addresses)
	}
	for _, s := range all {
		if s.path == file || s.path == "README.md" || strings.HasPrefix(s.path, "packaging/kubernetes/") {
			continue
		}
		for _, address := range addresses {
			if bytes.Contains(s.text, address) {
				t.Errorf("%s names %s, which belongs into %s alone", s.path, address, file)
			}
		}
	}
}

// The rules' own test: they find what they are for.
func TestArchitectureRulesWork(t *testing.T) {
	t.Parallel()
	const text = "package p\nfunc F() {}\ntype T int\nfunc (t *T) M() {}\nconst C = 1\nvar (\n\tV = 1 // said\n\tW = 2\n)\n"
	f, err := parser.ParseFile(token.NewFileSet(), "p.go", text, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, d := range f.Decls {
		got = append(got, undocumented(d)...)
	}
	if want := "[F T M C W]"; fmt.Sprint(got) != want {
		t.Errorf("undocumented finds %v, want %s", got, want)
	}
}

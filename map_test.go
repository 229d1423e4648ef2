package kabench_test

import (
	"fmt"
	"go/ast"
	"go/doc"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// maps of the house: the documents whose paths and functions must exist.
var mapFiles = []string{"docs/architecture.md", "CONTRIBUTING.md"}

var (
	named   = regexp.MustCompile("`([\\w./-]+\\.go):([\\w.]+)`")                      // `dialers/client.go:Client.Start`
	pathed  = regexp.MustCompile("`([\\w./-]+(?:/|\\.(?:go|md|yaml|txtar|js|txt)))`") // `dialers/pool/`, `prose_test.go`
	invited = regexp.MustCompile(`(?:^|/)NAME\b`)                                     // a file to be written
	section = regexp.MustCompile(`(?s)(<!-- rooms -->\n).*(<!-- /rooms -->)`)
)

// TestMapNamesWhatExists: every file, and every function, type, variable or
// constant of a file, that a map names is there.
func TestMapNamesWhatExists(t *testing.T) {
	for _, file := range mapFiles {
		text := read(t, file)
		for _, m := range named.FindAllStringSubmatch(text, -1) {
			if _, err := os.Stat(m[1]); err != nil {
				t.Errorf("%s names %s: there is no such file", file, m[0])
			} else if !slices.Contains(declared(t, m[1]), m[2]) {
				t.Errorf("%s names %s: the file declares no %s", file, m[0], m[2])
			}
		}
		for _, m := range pathed.FindAllStringSubmatch(text, -1) {
			if invited.MatchString(m[1]) {
				continue
			}
			if _, err := os.Stat(m[1]); err != nil {
				t.Errorf("%s names %s: there is no such path", file, m[0])
			}
		}
	}
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// declared lists what a file declares at its top level: functions, methods as
// Type.Method, types, variables and constants.
func declared(t *testing.T, file string) (names []string) {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range parsed.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			name := d.Name.Name
			if d.Recv != nil {
				name = receiver(d.Recv.List[0].Type) + "." + name
			}
			names = append(names, name)
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				switch spec := spec.(type) {
				case *ast.TypeSpec:
					names = append(names, spec.Name.Name)
				case *ast.ValueSpec:
					for _, n := range spec.Names {
						names = append(names, n.Name)
					}
				}
			}
		}
	}
	return names
}

func receiver(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.StarExpr:
		return receiver(e.X)
	case *ast.IndexExpr:
		return receiver(e.X)
	case *ast.Ident:
		return e.Name
	}
	return ""
}

// TestMapHasEveryRoom: docs/architecture.md has the table of rooms with what each
// does, from its package comment, and what it may import, from rooms_test.go.
//
//	KABENCH_MAP=write go test -run TestMap .   writes the table
func TestMapHasEveryRoom(t *testing.T) {
	const file = "docs/architecture.md"
	text := read(t, file)
	if !section.MatchString(text) {
		t.Fatalf("%s has no place for the table of rooms", file)
	}
	want := section.ReplaceAllStringFunc(text, func(string) string {
		return "<!-- rooms -->\n" + tableOfRooms(t) + "<!-- /rooms -->"
	})
	switch {
	case text == want:
	case os.Getenv("KABENCH_MAP") == "write":
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	default:
		t.Errorf("the table of rooms in %s is not that of rooms_test.go and of the package comments: run KABENCH_MAP=write go test -run TestMap .", file)
	}
}

func tableOfRooms(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	b.WriteString("| room | what it does | may import |\n| --- | --- | --- |\n")
	public, internal := []string{}, []string{}
	for _, name := range slices.Sorted(maps.Keys(rooms)) {
		if strings.HasPrefix(name, "internal/") {
			internal = append(internal, name)
		} else {
			public = append(public, name)
		}
	}
	for _, name := range append(public, internal...) {
		may := slices.Sorted(slices.Values(rooms[name].may))
		for i, m := range may {
			may[i] = "`" + roomName(m) + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", roomName(name), task(t, name), strings.Join(may, ", "))
	}
	return b.String()
}

func roomName(name string) string {
	if name == "." {
		return "kabench"
	}
	return name
}

// packageComment begins with what it describes.
var packageComment = regexp.MustCompile(`^(Package|Command) \w+ `)

// links of a package comment, as [Server], are names.
var docLink = regexp.MustCompile(`\[([\w.]+)\]`)

// task is the first sentence of the room's package comment, without its subject.
func task(t *testing.T, room string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(room, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments|parser.PackageClauseOnly)
		if err != nil {
			t.Fatal(err)
		}
		if parsed.Doc == nil {
			continue
		}
		text := docLink.ReplaceAllString(new(doc.Package).Synopsis(parsed.Doc.Text()), "$1")
		return strings.TrimRight(packageComment.ReplaceAllString(text, ""), ".:")
	}
	t.Errorf("the room %s has no package comment", room)
	return ""
}

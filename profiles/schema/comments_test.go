package schema

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/kabench/kabench/internal/strictyaml"
)

// module is the path that the packages of this module begin with.
const module = "github.com/kabench/kabench/"

// comments are the comments of a package's types: what a type is, what its fields are, and
// what each of its constants stands for.
type comments struct {
	types  map[string]string
	fields map[string]map[string]string // by type and field
	values map[string][]constant        // by type, in their order
}

// A constant is one of a type's values.
type constant struct{ name, comment string }

// A reader reads the comments of packages from their source.
type reader struct {
	t    *testing.T
	read map[string]comments // by the path of the package
}

// of returns the comments of the package that declares typ.
func (r *reader) of(typ reflect.Type) comments {
	r.t.Helper()
	path := typ.PkgPath()
	if known, found := r.read[path]; found {
		return known
	}
	c := comments{map[string]string{}, map[string]map[string]string{}, map[string][]constant{}}
	r.read[path] = c
	folder, own := strings.CutPrefix(path, module)
	if !own {
		return c
	}
	files, err := filepath.Glob(filepath.Join("..", "..", filepath.FromSlash(folder), "*.go"))
	if err != nil {
		r.t.Fatal(err)
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
		if err != nil {
			r.t.Fatal(err)
		}
		for _, d := range parsed.Decls {
			if g, ok := d.(*ast.GenDecl); ok {
				c.declared(g)
			}
		}
	}
	return c
}

func (c comments) declared(g *ast.GenDecl) {
	typed := "" // constants without a type repeat the one before them
	for _, spec := range g.Specs {
		switch spec := spec.(type) {
		case *ast.TypeSpec:
			c.types[spec.Name.Name] = text(g.Doc, spec.Doc)
			if s, ok := spec.Type.(*ast.StructType); ok {
				c.fields[spec.Name.Name] = fieldsOf(s)
			}
		case *ast.ValueSpec:
			if g.Tok != token.CONST {
				continue
			}
			if named, ok := spec.Type.(*ast.Ident); ok {
				typed = named.Name
			}
			if len(spec.Values) > 0 && spec.Type == nil {
				typed = ""
			}
			if typed != "" {
				c.values[typed] = append(c.values[typed], constant{spec.Names[0].Name, text(spec.Doc, spec.Comment)})
			}
		}
	}
}

// fieldsOf returns the comment of each field. A field without one of its own shares that of
// the fields above it, if it is named there: "MaxRequests and MaxLifetime end a connection".
func fieldsOf(s *ast.StructType) map[string]string {
	all, above := map[string]string{}, ""
	for _, f := range s.Fields.List {
		own := text(f.Doc, f.Comment)
		if f.Doc != nil {
			above = text(f.Doc)
		}
		for _, name := range f.Names {
			switch {
			case f.Doc == nil && regexp.MustCompile(`\b`+name.Name+`\b`).MatchString(above):
				all[name.Name] = strings.TrimSpace(above + "\n" + own)
			default:
				all[name.Name] = own
			}
		}
	}
	return all
}

func text(groups ...*ast.CommentGroup) string {
	var texts []string
	for _, g := range groups {
		if t := strings.TrimSpace(g.Text()); t != "" {
			texts = append(texts, strings.Join(strings.Fields(t), " "))
		}
	}
	return strings.Join(texts, " ")
}

var (
	goReference = regexp.MustCompile(`[;,]? ?(?:[Ss]ee (?:the function )?)?\b[a-z]+\.[A-Z]\w+(?:\.[A-Z]\w+)?`)
	docLink     = regexp.MustCompile(`\[(\w+)\]`)
	goName      = regexp.MustCompile(`\b[A-Z]\w*\b`)
)

// inYAML rewrites a comment of owner for a reader of YAML: names of fields become keys, and
// those of constants become their words.
func inYAML(comment string, owner reflect.Type, words map[string]string) string {
	comment = goReference.ReplaceAllString(comment, "")
	comment = docLink.ReplaceAllString(comment, "$1")
	return goName.ReplaceAllStringFunc(comment, func(word string) string {
		if f, found := owner.FieldByName(word); found {
			if key, _ := strictyaml.FieldKey(f); key != "" && key != "-" {
				return key
			}
		}
		if known, found := words[word]; found {
			return known
		}
		return word
	})
}

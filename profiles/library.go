package profiles

import (
	"embed"
	"errors"
	"io/fs"
	"path"
	"reflect"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"github.com/kabench/kabench/dialers/pool"
)

//go:embed examples/*.yaml incidents/*.yaml pools/*.yaml
var library embed.FS

// Embedded is a profile or a pool that comes with kabench.
type Embedded struct {
	Name     string
	Question string // of a pool: what it is
	Source   string
	Text     string // the YAML, comments and all
}

// Profiles lists the example profiles, by name.
func Profiles() []Embedded { return shelf("examples") }

// Incidents lists the incidents, by name.
func Incidents() []Embedded { return shelf("incidents") }

// Pools lists the pool presets, by name.
func Pools() []Embedded { return shelf("pools") }

// Find is the example profile or incident of that name; see NotFound.
func Find(name string) (Embedded, bool) {
	e, err := pick("profile", name, append(Profiles(), Incidents()...))
	return e, err == nil
}

// NotFound is the error to give when Find found no profile of that name: it has
// the nearest name and lists all.
func NotFound(name string) error {
	_, err := pick("profile", name, append(Profiles(), Incidents()...))
	return err
}

// LoadPool is a pool preset, or the pool in a YAML file: its parameters alone,
// or a document with them under `pool:`, which a profile is too. What they
// leave out is pool.Default's.
func LoadPool(nameOrFile string) (pool.Policy, error) {
	preset, notPreset := pick("pool", nameOrFile, Pools())
	if notPreset == nil {
		return parsePool(nameOrFile, []byte(preset.Text))
	}
	data, err := readFile(nameOrFile)
	if errors.Is(err, fs.ErrNotExist) {
		return pool.Policy{}, notPreset
	}
	if err != nil {
		return pool.Policy{}, err
	}
	return parsePool(nameOrFile, data)
}

func pick(what, name string, all []Embedded) (Embedded, error) {
	names := make([]string, len(all))
	for i, e := range all {
		if e.Name == name {
			return e, nil
		}
		names[i] = e.Name
	}
	return Embedded{}, notFound(what, name, names)
}

// poolDocument is a pool with what is said about it.
type poolDocument struct {
	Name   string      `yaml:"name"`
	What   string      `yaml:"what"`
	Source string      `yaml:"source"`
	Pool   pool.Policy `yaml:"pool"`
}

func parsePool(name string, data []byte) (pool.Policy, error) {
	policy := pool.Default()
	d := newDecoder(policy)
	d.source, d.lined = name, true
	section := ""
	if n := d.parseDocument(data); n != nil && hasKey(n, "pool") {
		section = "pool"
		if !hasKey(n, "load") {
			document := poolDocument{Pool: policy}
			d.defaults = reflect.ValueOf(document)
			d.decode("", n, reflect.ValueOf(&document).Elem())
			policy = document.Pool
		} else {
			whole := Default()
			d.defaults = reflect.ValueOf(Default())
			d.decode("", n, reflect.ValueOf(&whole).Elem())
			policy = whole.Pool
		}
	} else if n != nil {
		d.decode("", n, reflect.ValueOf(&policy).Elem())
	} else if len(d.errs) == 0 {
		d.bad("", nil, "is empty; write the pool's parameters")
	}
	refused := d.errs
	for _, c := range under(section, policy.Validate()) {
		if !refused.touch(c.Path) {
			d.errs = append(d.errs, d.located(c, name))
		}
	}
	return policy, d.errs.asError()
}

func hasKey(n ast.Node, key string) bool {
	m, ok := n.(*ast.MappingNode)
	if !ok {
		return false
	}
	for _, pair := range m.Values {
		if isScalar(pair.Key) && pair.Key.GetToken().Value == key {
			return true
		}
	}
	return false
}

// shelf reads one folder of the library. That each file is named after what is
// in it, and loads, is held by a test.
func shelf(folder string) []Embedded {
	files, _ := fs.Glob(library, folder+"/*.yaml") // the pattern is well formed
	var all []Embedded
	for _, file := range files {
		text, _ := library.ReadFile(file) // it is there: it was just listed
		e := Embedded{Name: strings.TrimSuffix(path.Base(file), ".yaml"), Text: string(text)}
		e.Question, e.Source = about(e.Text)
		all = append(all, e)
	}
	return all
}

// about is what a text of the library says it asks or is, and where it is from.
func about(text string) (question, source string) {
	var d decoder
	n, _ := d.parse("", text).(*ast.MappingNode)
	if n == nil {
		return "", ""
	}
	for _, pair := range n.Values {
		value, _ := d.scalar("", pair.Value)
		switch pair.Key.GetToken().Value {
		case "question", "what":
			question = value
		case "source":
			source = value
		}
	}
	return question, source
}

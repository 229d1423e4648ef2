package profiles

import (
	"embed"
	"errors"
	"io/fs"
	"path"
	"reflect"
	"slices"
	"strings"
	"sync"

	"github.com/goccy/go-yaml/ast"

	"github.com/kabench/kabench/internal/enum"
	"github.com/kabench/kabench/internal/strictyaml"
)

//go:embed examples/*.yaml incidents/*.yaml pools/*.yaml servers/*.yaml
var library embed.FS

// NewIncident is the YAML of an incident to start from.
//
//go:embed template.yaml
var NewIncident string

// Embedded is a profile that comes with kabench.
type Embedded struct {
	Name     string
	Question string
	Source   string
	Group    Group
	Text     string // the YAML, comments and all
}

// Group is where the cause of an incident lies, and so who can end it.
type Group uint8

// The groups, in the order in which lists have them. NoGroup is for profiles that are no
// incidents of the library.
const (
	NoGroup  Group = iota
	Timers         // the timers of client, server and load balancer do not agree
	Server         // the server ends connections or responses
	Pool           // the pool has no connection, or the machine no port
	Caller         // the program that calls the pool
	Between        // what carries packets between client and server: balancers, firewalls, NAT
	Deploys        // servers come, go or move
	Protocol       // what HTTP and TCP cost, and what their rules demand
)

var groupNames = enum.Names[Group]{"", "timers", "server", "pool", "caller", "between", "deploys", "protocol"}

var groupTitles = [...]string{
	"Others", "Idle timers that do not agree", "The server", "The pool and the ports", "The caller's own", "The network between", "Deploys and scaling",
	"What HTTP and TCP cost and demand",
}

func (g Group) String() string                   { return groupNames.Text(g) }
func (g Group) MarshalText() ([]byte, error)     { return groupNames.Marshal(g) }
func (g *Group) UnmarshalText(text []byte) error { return groupNames.Unmarshal(text, g) }

// Title returns the group in words, as the heading of a list.
func (g Group) Title() string { return groupTitles[g] }

// Groups lists the groups that incidents of the library are in.
func Groups() []Group { return []Group{Timers, Server, Pool, Caller, Between, Deploys, Protocol} }

// Profiles lists the example profiles, by name.
func Profiles() []Embedded { return shelf("examples") }

// Incidents lists the incidents, by name.
func Incidents() []Embedded { return shelf("incidents") }

// NeedsNetwork reports whether p, or one of its remedies, runs in a private
// network.
func (p *Profile) NeedsNetwork() bool {
	if p.Network != nil {
		return true
	}
	for _, r := range p.Remedies {
		if changed, err := p.With(r); err == nil && changed.Network != nil {
			return true
		}
	}
	return false
}

// Find returns the example profile or incident of that name.
func Find(name string) (Embedded, bool) {
	e, err := pick("profile", name, append(Profiles(), Incidents()...))
	return e, err == nil
}

// NotFound returns the error to give if Find does not know the name. It contains the
// nearest name, or says which commands list all names.
func NotFound(name string) error {
	_, err := pick("profile", name, append(Profiles(), Incidents()...))
	return err
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

// partOfDocument decodes a part of a profile, such as a pool. The file may hold the
// part alone (decoded into part), a document with the part under key (decoded into
// document, a pointer to a value of the type of d's defaults), or a whole profile
// (passed to fromProfile). It returns the path of the part within the file.
func (d *decoder) partOfDocument(source string, data []byte, key string, part, document any, fromProfile func(*Profile)) (section string) {
	d.Source, d.Lined = source, true
	n := d.Document(data)
	switch {
	case n == nil && len(d.Errs) == 0:
		d.Complain("", nil, "is empty; write the %s's parameters", key)
	case n == nil:
	case strictyaml.HasKey(n, "load"):
		whole := Default()
		d.Defaults = reflect.ValueOf(Default())
		d.Decode("", n, reflect.ValueOf(&whole).Elem())
		fromProfile(&whole)
		if key == "lab" {
			return "target.lab"
		}
		return key
	case strictyaml.HasKey(n, key):
		d.Decode("", n, reflect.ValueOf(document).Elem())
		return key
	default:
		v := reflect.ValueOf(part).Elem()
		d.Defaults = reflect.ValueOf(v.Interface())
		d.Decode("", n, v)
	}
	return ""
}

// fileText returns a file of the library, or "" if there is none.
func fileText(folder, name string) string {
	text, err := library.ReadFile(folder + "/" + name + ".yaml")
	if err != nil {
		return ""
	}
	return string(text)
}

// shelf reads one folder of the library. A test checks that each file loads and is
// named after its content.
func shelf(folder string) []Embedded {
	var all []Embedded
	for _, name := range filesIn(folder) {
		e := Embedded{Name: name, Text: fileText(folder, name)}
		about(&e)
		all = append(all, e)
	}
	return all
}

// filesIn lists the files of one folder of the library by name, without ".yaml".
func filesIn(folder string) []string {
	files, _ := fs.Glob(library, folder+"/*.yaml") // the pattern is well formed
	for i, file := range files {
		files[i] = strings.TrimSuffix(path.Base(file), ".yaml")
	}
	slices.Sort(files)
	return files
}

// about sets the question, the source and the group to those in e's text.
func about(e *Embedded) {
	var d strictyaml.Decoder
	n, _ := d.Document([]byte(e.Text)).(*ast.MappingNode)
	if n == nil {
		return
	}
	for _, pair := range n.Values {
		value, _ := d.Scalar("", pair.Value)
		switch pair.Key.GetToken().Value {
		case "question":
			e.Question = value
		case "source":
			e.Source = value
		case "group":
			_ = e.Group.UnmarshalText([]byte(value)) // a test checks that each file loads
		}
	}
}

// presets is a folder of the library whose files each hold a T.
type presets[T named] struct {
	kind, folder string
	parse        func(source string, data []byte) (T, error)
	all          func() []T                  // by name
	named        func(name string) (T, bool) // the one whose file has the name
}

// named has a name, which comes first, and perhaps further names.
type named interface{ names() []string }

func presetsIn[T named](kind, folder string, parse func(string, []byte) (T, error)) presets[T] {
	// Each is parsed at most once: all of them together take longer than a short run.
	parsed := sync.OnceValue(func() map[string]func() T {
		files := map[string]func() T{}
		for _, name := range filesIn(folder) {
			files[name] = sync.OnceValue(func() T {
				p, _ := parse(name, []byte(fileText(folder, name))) // a test checks that it loads
				return p
			})
		}
		return files
	})
	return presets[T]{
		kind: kind, folder: folder, parse: parse,
		all: sync.OnceValue(func() []T {
			var all []T
			for _, name := range filesIn(folder) {
				all = append(all, parsed()[name]())
			}
			return all
		}),
		named: func(name string) (found T, ok bool) {
			if read, ok := parsed()[name]; ok {
				return read(), true
			}
			return found, false
		},
	}
}

// find returns the preset that has the name. A file is named after the first name of its
// preset; only for the other names must all be read.
func (s presets[T]) find(name string) (found T, ok bool) {
	if name == "" {
		return found, false
	}
	if p, ok := s.named(name); ok {
		return p, true
	}
	for _, p := range s.all() {
		if slices.Contains(p.names(), name) {
			return p, true
		}
	}
	return found, false
}

// known lists the first names of all presets.
func (s presets[T]) known() (names []string) {
	for _, p := range s.all() {
		names = append(names, p.names()[0])
	}
	return names
}

// read returns the preset of that name, or the one in that file.
func (s presets[T]) read(nameOrFile string) (T, error) {
	p, found := s.find(nameOrFile)
	if found {
		return p, nil
	}
	data, err := readFile(nameOrFile)
	if errors.Is(err, fs.ErrNotExist) {
		return p, notFound(s.kind, nameOrFile, s.known())
	}
	if err != nil {
		return p, err
	}
	return s.parse(nameOrFile, data)
}

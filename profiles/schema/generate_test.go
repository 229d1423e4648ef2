package schema

import (
	"encoding"
	"encoding/json"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/jsonschema-go/jsonschema"

	"github.com/kabench/kabench/dialers/pool"
	"github.com/kabench/kabench/generator"
	"github.com/kabench/kabench/internal/strictyaml"
	"github.com/kabench/kabench/profiles"
	"github.com/kabench/kabench/profiles/matrix"
	"github.com/kabench/kabench/profiles/script"
)

// A maker makes the schema of one file. It follows the rules of strictyaml.Decoder, which no
// library that makes schemas of Go types can know: what a null, a number in quotes and the
// name of a preset stand for.
type maker struct {
	comments *reader
	words    map[string]string             // of constants, by name
	sections map[string]*jsonschema.Schema // by name
	named    map[reflect.Type]string
}

// makeSchema makes the schema of a kind of file.
func makeSchema(t *testing.T, kind string) []byte {
	t.Helper()
	m := &maker{comments: &reader{t, map[string]comments{}}, words: map[string]string{"NoCap": "none"}}
	m.whole(kind) // for the words
	root := m.whole(kind)
	root.Schema, root.ID, root.Title, root.Description = "http://json-schema.org/draft-07/schema#", "urn:kabench:"+kind, "kabench "+kind, About(kind)
	root.Definitions = m.sections
	text, err := json.MarshalIndent(root, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	text = shortList.ReplaceAllFunc(text, func(list []byte) []byte { return []byte(strings.Join(strings.Fields(string(list)), " ")) })
	return append(text, '\n')
}

// shortList is a list of words without spaces, which needs no more than a line.
var shortList = regexp.MustCompile(`\[\s+(?:"[^" ]*"|null)(?:,\s+(?:"[^" ]*"|null))*\s+\]`)

func (m *maker) whole(kind string) *jsonschema.Schema {
	m.sections, m.named = map[string]*jsonschema.Schema{}, map[reflect.Type]string{}
	profile := func() *jsonschema.Schema { return m.section(reflect.TypeFor[profiles.Profile]()) }
	switch kind {
	case "profile":
		return m.fields(reflect.TypeFor[profiles.Profile]())
	case "matrix":
		return m.fields(reflect.TypeFor[matrix.Matrix]())
	case "pool":
		return either("load", profile(), either("pool", m.section(reflect.TypeFor[profiles.Preset]()), m.section(reflect.TypeFor[pool.Policy]())))
	default:
		return either("load", profile(), either("lab", m.section(reflect.TypeFor[profiles.ServerPreset]()), m.section(reflect.TypeFor[script.Server]())))
	}
}

// either is for a file that is read as one thing if it has a key, and else as another.
func either(key string, with, without *jsonschema.Schema) *jsonschema.Schema {
	return &jsonschema.Schema{If: &jsonschema.Schema{Type: "object", Required: []string{key}}, Then: with, Else: without}
}

// defaults are the values that the fields of a section have if they are left out. Other
// sections begin with zeros.
var defaults = map[reflect.Type]any{
	reflect.TypeFor[generator.Load]():  generator.Default(),
	reflect.TypeFor[pool.Policy]():     pool.Default(),
	reflect.TypeFor[profiles.Target](): profiles.Default().Target,
}

// section refers to the schema of a struct, which it makes once.
func (m *maker) section(t reflect.Type) *jsonschema.Schema {
	name, found := m.named[t]
	if !found {
		name = strings.ToLower(t.Name())
		if _, taken := m.sections[name]; taken {
			name = t.PkgPath()[strings.LastIndexByte(t.PkgPath(), '/')+1:] + "_" + name
		}
		m.named[t], m.sections[name] = name, nil
		m.sections[name] = m.fields(t)
	}
	return &jsonschema.Schema{Ref: "#/definitions/" + name}
}

// fields makes the schema of a struct.
func (m *maker) fields(t reflect.Type) *jsonschema.Schema {
	usual := reflect.Zero(t)
	if known, found := defaults[t]; found {
		usual = reflect.ValueOf(known)
	}
	s := &jsonschema.Schema{Types: []string{"object", "null"}, Properties: map[string]*jsonschema.Schema{}, AdditionalProperties: refuse()}
	for f := range strictyaml.FieldsOf(t) {
		key, _ := strictyaml.FieldKey(f)
		if key == "-" {
			continue
		}
		owner := t
		for _, i := range f.Index[:len(f.Index)-1] {
			owner = owner.Field(i).Type
		}
		one := m.value(f.Type)
		if f.Tag.Get("none") != "" {
			one = capped()
		}
		one.Description = strings.TrimSpace(m.about(f, owner) + "\n\n" + m.meanings(f.Type))
		if value, err := usual.FieldByIndexErr(f.Index); err == nil && one.Default == nil {
			one.Default = usually(f, value)
		}
		s.Properties[key] = one
		s.PropertyOrder = append(s.PropertyOrder, key)
	}
	if names := presetsOf(t); names != nil {
		s.Properties[strictyaml.PresetKey] = &jsonschema.Schema{Enum: names, Description: "the preset that the section begins with"}
		s.PropertyOrder = append([]string{strictyaml.PresetKey}, s.PropertyOrder...)
		return &jsonschema.Schema{AnyOf: []*jsonschema.Schema{{Enum: names, Description: "a preset"}, s}}
	}
	return s
}

// refuse is the schema that nothing fits.
func refuse() *jsonschema.Schema { return &jsonschema.Schema{Not: &jsonschema.Schema{}} }

// presetsOf lists the presets that a section of type t can begin with.
func presetsOf(t reflect.Type) (names []any) {
	switch t {
	case reflect.TypeFor[pool.Policy]():
		for _, p := range profiles.Pools() {
			names = append(names, p.Name)
			for _, also := range p.Also {
				names = append(names, also)
			}
		}
	case reflect.TypeFor[script.Server](), reflect.TypeFor[profiles.ServerFacts]():
		for _, p := range profiles.Servers() {
			names = append(names, p.Name)
			for _, also := range p.Also {
				names = append(names, also)
			}
		}
	}
	return names
}

// about is the comment of a field, or else of its type.
func (m *maker) about(f reflect.StructField, owner reflect.Type) string {
	said := m.comments.of(owner).fields[owner.Name()][f.Name]
	if t := pointedTo(f.Type); said == "" && t.PkgPath() != "time" {
		key, _ := strictyaml.FieldKey(f)
		said, owner = m.comments.of(t).types[t.Name()], t
		if strings.HasPrefix(said, t.Name()+" ") {
			said = key + strings.TrimPrefix(said, t.Name())
		}
		if t.Kind() != reflect.Struct {
			owner = reflect.TypeFor[struct{}]()
		}
	}
	return inYAML(said, owner, m.words)
}

// meanings are the words of an enumeration with what each stands for.
func (m *maker) meanings(t reflect.Type) string {
	if t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	words := wordsOf(t)
	constants := m.comments.of(t).values[t.Name()]
	var lines []string
	for i, word := range words {
		if i >= len(constants) {
			break
		}
		m.words[constants[i].name] = word
		if constants[i].comment != "" {
			lines = append(lines, word+": "+inYAML(constants[i].comment, reflect.TypeFor[struct{}](), m.words))
		}
	}
	return strings.Join(lines, "\n")
}

// usually is the default of a field as JSON; nil if that says nothing.
func usually(f reflect.StructField, v reflect.Value) json.RawMessage {
	var value any
	switch {
	case f.Type == reflect.TypeFor[generator.Rate](), v.Kind() == reflect.String && v.Len() == 0, v.Kind() == reflect.Pointer, v.Kind() == reflect.Map,
		f.Type == reflect.TypeFor[time.Time](), v.Kind() == reflect.Array, strictyaml.IsSection(v.Type()):
		return nil
	case f.Tag.Get("none") != "" && v.CanInt() && v.Int() == pool.NoCap:
		value = "none"
	case v.Kind() == reflect.Bool:
		value = v.Bool()
	case v.Type() == reflect.TypeFor[time.Duration]():
		value = v.Interface().(time.Duration).String()
	default:
		value = v.Interface()
		if form, ok := value.(interface{ MarshalYAML() (any, error) }); ok {
			value, _ = form.MarshalYAML()
		}
		if text, ok := value.(encoding.TextMarshaler); ok {
			b, err := text.MarshalText()
			if err != nil || len(b) == 0 {
				return nil
			}
			value = string(b)
		}
		if list := reflect.ValueOf(value); list.Kind() == reflect.Slice && list.Len() == 0 {
			return nil
		}
	}
	text, err := json.Marshal(value)
	if err != nil {
		return nil
	}
	return text
}

func pointedTo(t reflect.Type) reflect.Type {
	if t.Kind() == reflect.Pointer {
		return t.Elem()
	}
	return t
}

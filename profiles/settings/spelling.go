package settings

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/kabench/kabench/dialers/pool"
	"github.com/kabench/kabench/internal/nearest"
	"github.com/kabench/kabench/internal/strictyaml"
)

// Spellings are the settings of a client: the ways to set each field of a pool, by the
// field's name in `pool:`. The first way is the usual one.
type Spellings map[string][]Spelling

// Spelling is one way to set a field in a client, or the word that there is none. It has
// either Set or Instead.
type Spelling struct {
	// In is where it is written: Java, a JVM option, nginx.conf, ...
	In string `yaml:"in" json:"in"`
	// Set is what to write. In braces stands the value in one of the Forms, as {ms}, or
	// the value of another field of the pool, as {max_idle_all.n}.
	Set string `yaml:"set,omitempty" json:"set,omitempty"`
	// Values has the client's words for single values, by the value as in a profile.
	// They replace the braces: 0s: infinite, none: -1, lifo: LIFO. The word of Other
	// stands for all values that have none of their own; an empty word says that the
	// setting cannot say the value.
	Values map[string]string `yaml:"values,omitempty" json:"values,omitempty"`
	// Note says what else the setting does.
	Note string `yaml:"note,omitempty" json:"note,omitempty"`
	// Instead says that there is no such setting, and what the client's users do.
	Instead  string `yaml:"instead,omitempty" json:"instead,omitempty"`
	Versions string `yaml:"versions" json:"versions"` // the client's versions that have it
	Source   string `yaml:"source" json:"source"`     // the file, page or setting that says so
	// Unchecked says that kabench's authors have not read the source themselves.
	Unchecked bool `yaml:"unchecked,omitempty" json:"unchecked,omitempty"`
}

// Other is the key of Values for a value that is not among them.
const Other = "other"

// placeholder is a value in braces: a form, or a field and a form.
var placeholder = regexp.MustCompile(`\{(?:([a-z_]+)\.)?([a-z]+)\}`)

// Validate returns every complaint about s, joined, or nil. Each begins with the path
// of the field within `settings:`.
func (s Spellings) Validate() error {
	var errs []error
	for _, field := range slices.Sorted(maps.Keys(s)) {
		if _, known := fieldOf(pool.Default(), field); !known {
			errs = append(errs, fmt.Errorf("%s: %s", field, unknownField(field)))
			continue
		}
		if len(s[field]) == 0 {
			errs = append(errs, fmt.Errorf("%s: is empty; give one way to set it, or say with `instead` that there is none", field))
		}
		for i, one := range s[field] {
			for _, err := range one.check(field) {
				errs = append(errs, fmt.Errorf("%s.%d.%w", field, i, err))
			}
		}
	}
	return errors.Join(errs...)
}

// unknownField is the complaint about a field that pools do not have.
func unknownField(name string) string {
	if near := nearest.Name(name, poolFields()); near != "" {
		return "is no field of a pool; did you mean " + near + "?"
	}
	return "is no field of a pool; docs/profiles.md lists them under pool"
}

// check lists what is wrong with the spelling of a field.
func (s Spelling) check(field string) (errs []error) {
	bad := func(key, format string, args ...any) {
		errs = append(errs, fmt.Errorf("%s: %w", key, fmt.Errorf(format, args...)))
	}
	for _, must := range []struct{ key, text string }{{"in", s.In}, {"versions", s.Versions}, {"source", s.Source}} {
		if strings.TrimSpace(must.text) == "" {
			bad(must.key, "is missing")
		}
	}
	switch {
	case s.Set == "" && s.Instead == "":
		bad("set", "is missing; write what sets the field, or say with instead that nothing does")
	case s.Set != "" && s.Instead != "":
		bad("instead", "contradicts set; remove one")
	case s.Set == "" && len(s.Values) > 0:
		bad("values", "has no effect without set; remove it")
	case s.Set != "":
		s.checkSet(field, bad)
	}
	return errs
}

// checkSet complains about the placeholders of Set, and about Values.
func (s Spelling) checkSet(field string, bad func(key, format string, args ...any)) {
	own := 0
	for _, m := range placeholder.FindAllStringSubmatch(s.Set, -1) {
		of, name := m[1], m[2]
		if of == "" {
			of, own = field, own+1
		}
		v, known := fieldOf(pool.Default(), of)
		f, isForm := Forms[name]
		switch {
		case !known:
			bad("set", "%s: %s %s", m[0], of, unknownField(of))
		case !isForm:
			bad("set", "%s is not known; write one of %s", m[0], strings.Join(formsFor(v), ", "))
		case !f.fits(v):
			bad("set", "%s does not fit %s; write one of %s", m[0], of, strings.Join(formsFor(v), ", "))
		case name == "value" && len(s.Values) == 0:
			bad("set", "{value} needs values: the client's word for each value")
		}
	}
	if own == 0 {
		bad("set", "holds no value; write a value in braces, as %s", strings.Join(formsFor(mustField(field)), " or "))
	}
	for _, key := range slices.Sorted(maps.Keys(s.Values)) {
		if key == Other {
			continue
		}
		if _, err := parsed(pool.Default(), field, key); err != nil {
			bad("values."+key, "%v", err)
		}
	}
}

// fieldOf returns a field of a policy.
func fieldOf(p pool.Policy, name string) (v reflect.Value, known bool) {
	index, known := strictyaml.FieldNamed(reflect.TypeFor[pool.Policy](), name)
	if !known {
		return v, false
	}
	return reflect.ValueOf(p).FieldByIndex(index), true
}

func mustField(name string) reflect.Value {
	v, _ := fieldOf(pool.Default(), name)
	return v
}

// Fields are the fields of s in the order in which a profile has them.
func (s Spellings) Fields() []string {
	var fields []string
	for _, name := range poolFields() {
		if len(s[name]) > 0 {
			fields = append(fields, name)
		}
	}
	return fields
}

func poolFields() []string { return strictyaml.KeysOf(reflect.TypeFor[pool.Policy]()) }

// parsed returns the policy with one field changed to a value as in a profile.
func parsed(p pool.Policy, field, value string) (pool.Policy, error) {
	d := strictyaml.NewDecoder(pool.Default())
	d.Source = "value"
	d.Set(reflect.ValueOf(&p).Elem(), field, value)
	if len(d.Errs) > 0 {
		return p, errors.New(d.Errs[0].Text)
	}
	return p, nil
}

// textOf is a field's value as in a profile: 4s, none, lifo, [lease, timer].
func textOf(v reflect.Value, field string) string {
	if v.CanInt() && v.Type() != reflect.TypeFor[time.Duration]() && v.Int() == pool.NoCap && hasNone(field) {
		return "none"
	}
	return strictyaml.ValueText(v)
}

// hasNone reports whether the field is a cap that may be none.
func hasNone(field string) bool {
	index, known := strictyaml.FieldNamed(reflect.TypeFor[pool.Policy](), field)
	return known && reflect.TypeFor[pool.Policy]().FieldByIndex(index).Tag.Get("none") != ""
}

package schema

import (
	"encoding"
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"time"

	"github.com/google/jsonschema-go/jsonschema"

	"github.com/kabench/kabench/dialers/pool"
	"github.com/kabench/kabench/generator"
	"github.com/kabench/kabench/generator/limit"
	"github.com/kabench/kabench/profiles"
	"github.com/kabench/kabench/profiles/matrix"
	"github.com/kabench/kabench/profiles/network"
	"github.com/kabench/kabench/profiles/script"
	"github.com/kabench/kabench/profiles/settings"
)

// The patterns are those of the types' UnmarshalText, and never stricter. Patterns of JSON
// Schema have no flag for upper and lower case.
const (
	oneDuration = `([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)`
	duration    = `[+-]?(0|(` + oneDuration + `)+)`
	number      = `[+-]?(([0-9][0-9_]*(\.[0-9_]*)?|\.[0-9][0-9_]*)([eE][+-]?[0-9_]+)?|0[xX][0-9a-fA-F_.]+([pP][+-]?[0-9_]+)?)`
	whole       = `[+-]?[0-9]+`
	natural     = `[0-9]+`
	truth       = `[tT][rR][uU][eE]|[fF][aA][lL][sS][eE]`
)

// A single value is read from its text, quoted or not. So a string may look like a number,
// and a number may be a string. null resets a field.
func single(pattern string, types ...string) *jsonschema.Schema {
	s := &jsonschema.Schema{Types: append(append([]string{"string"}, types...), "null")}
	if pattern != "" {
		s.Pattern = "^(" + pattern + ")$"
	}
	return s
}

func anyText() *jsonschema.Schema { return single("", "number", "boolean") }

// capped is for a whole number for which none stands for no cap.
func capped() *jsonschema.Schema { return single("none|"+whole, "integer") }

// length is for a time, which only as 0 may be without a unit. Editors show the messages;
// other readers of the schema pass over keywords that are not of JSON Schema.
func length(pattern, how string) *jsonschema.Schema {
	s := single(pattern, "number")
	s.Extra = map[string]any{"patternErrorMessage": how}
	s.If = &jsonschema.Schema{Type: "number"}
	s.Then = &jsonschema.Schema{Const: jsonschema.Ptr[any](0), Extra: map[string]any{"errorMessage": how}}
	return s
}

// value makes the schema of a field's type, without a description.
func (m *maker) value(t reflect.Type) *jsonschema.Schema {
	if s := m.special(t); s != nil {
		return s
	}
	if words := wordsOf(t); words != nil {
		return oneOf(words)
	}
	if reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()) {
		panic(fmt.Sprintf("%v has a text of its own; give it a pattern in special", t))
	}
	switch t.Kind() {
	case reflect.Pointer:
		return m.value(t.Elem())
	case reflect.Struct:
		return &jsonschema.Schema{AllOf: []*jsonschema.Schema{m.section(t)}} // beside $ref nothing counts in this draft
	case reflect.Map:
		return &jsonschema.Schema{Types: []string{"object", "null"}, AdditionalProperties: m.value(t.Elem())}
	case reflect.Slice:
		return &jsonschema.Schema{Types: []string{"array", "null"}, Items: m.value(t.Elem())}
	case reflect.Array:
		return &jsonschema.Schema{Types: []string{"array", "null"}, Items: m.value(t.Elem()), MinItems: jsonschema.Ptr(t.Len()), MaxItems: jsonschema.Ptr(t.Len())}
	case reflect.String:
		return anyText()
	case reflect.Bool:
		return single(truth, "boolean")
	case reflect.Float64:
		return single(number, "number")
	case reflect.Uint16, reflect.Uint64:
		s := single(natural, "integer")
		s.Minimum = jsonschema.Ptr(0.0)
		if t.Kind() == reflect.Uint16 {
			s.Maximum = jsonschema.Ptr(65535.0)
		}
		return s
	case reflect.Int, reflect.Int64:
		return single(whole, "integer")
	}
	panic(fmt.Sprintf("%v has no schema", t))
}

// special makes the schemas of types with a text or a YAML form of their own.
func (m *maker) special(t reflect.Type) *jsonschema.Schema {
	switch t {
	case reflect.TypeFor[time.Duration]():
		return length(duration, "a time needs a unit (ns, us, ms, s, m or h), as in 250ms or 1m30s")
	case reflect.TypeFor[script.Delay]():
		return length(`\s*(`+duration+`|uniform\s+`+duration+`\s+`+duration+`|exp\s+`+duration+`|normal\s+`+duration+`\s+`+duration+`)\s*`, `write a time with its unit, as 20ms, or "uniform 10ms 30ms", "exp 20ms" or "normal 20ms 5ms"`)
	case reflect.TypeFor[script.AfterFIN]():
		return single(`\s*(closed|drain\s+` + duration + `)\s*`)
	case reflect.TypeFor[script.FaultOn]():
		return single(`all|fresh|reused|\s*every\s+\+?[0-9]+\s*`)
	case reflect.TypeFor[network.Flags]():
		return single(`[FSRP.AU]*`)
	case reflect.TypeFor[netip.Prefix]():
		return single(`([0-9a-fA-F.:]+/[0-9]+)?`)
	case reflect.TypeFor[time.Time]():
		return single(`[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt].*`)
	case reflect.TypeFor[generator.Rate]():
		s := single(number+"(/[smh])?", "number")
		s.ExclusiveMinimum = jsonschema.Ptr(0.0)
		return s
	case reflect.TypeFor[generator.Arrivals]():
		return &jsonschema.Schema{AnyOf: []*jsonschema.Schema{oneOf(wordsOf(reflect.TypeFor[generator.Process]())), m.section(t)}}
	case reflect.TypeFor[limit.Limit]():
		return &jsonschema.Schema{AnyOf: []*jsonschema.Schema{oneOf(wordsOf(reflect.TypeFor[limit.Algorithm]())), m.section(t)}}
	case reflect.TypeFor[generator.Trace](), reflect.TypeFor[profiles.Limit]():
		return &jsonschema.Schema{AnyOf: []*jsonschema.Schema{anyText(), m.section(t)}}
	case reflect.TypeFor[pool.Expiry](), reflect.TypeFor[pool.After]():
		words := oneOf(setWords(t))
		return &jsonschema.Schema{AnyOf: []*jsonschema.Schema{words, {Type: "array", Items: words}}}
	case reflect.TypeFor[profiles.Names](), reflect.TypeFor[pool.Methods]():
		return &jsonschema.Schema{AnyOf: []*jsonschema.Schema{anyText(), {Type: "array", Items: anyText()}}}
	case reflect.TypeFor[script.Moments]():
		return &jsonschema.Schema{AnyOf: []*jsonschema.Schema{anyText(), {Type: "object", AdditionalProperties: anyText()}}}
	case reflect.TypeFor[matrix.Axes]():
		return &jsonschema.Schema{Type: "object", AdditionalProperties: &jsonschema.Schema{Type: "array", MinItems: jsonschema.Ptr(1)}}
	case reflect.TypeFor[settings.Spellings]():
		return &jsonschema.Schema{Types: []string{"object", "null"}, AdditionalProperties: m.value(t.Elem())}
	}
	return nil
}

// oneOf is for the words of an enumeration, and for null, which resets a field.
func oneOf(words []string) *jsonschema.Schema {
	s := &jsonschema.Schema{}
	for _, word := range words {
		s.Enum = append(s.Enum, word)
	}
	s.Enum = append(s.Enum, nil)
	return s
}

// wordsOf lists the words of an enumeration in the order of its values; nil if t is none.
func wordsOf(t reflect.Type) (words []string) {
	if t.Kind() != reflect.Uint8 || !reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()) || t == reflect.TypeFor[network.Flags]() {
		return setWords(t)
	}
	for i := range 256 {
		v := reflect.New(t)
		v.Elem().SetUint(uint64(i))
		word := v.Interface().(fmt.Stringer).String()
		if strings.HasPrefix(word, "unknown(") {
			break
		}
		words = append(words, word)
	}
	return words
}

// setWords lists the words of the members of a set, and of those that stand for several.
func setWords(t reflect.Type) (words []string) {
	switch t {
	case reflect.TypeFor[pool.Expiry]():
		return pool.Expiry(0xff).Names()
	case reflect.TypeFor[pool.After]():
		return append(pool.After(0xff).Names(), "partial")
	}
	return nil
}

package strictyaml

import (
	"encoding"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Extra is a key that a top-level section begins with and that is no field of the
// section's struct. An empty Value is left out.
type Extra struct{ Section, Key, Value string }

// Marshal writes a struct as YAML. It leaves out only what is empty and optional.
func Marshal(v any, extra Extra) ([]byte, error) {
	e := encoder{extra: extra}
	if err := e.fields("", reflect.ValueOf(v)); err != nil {
		return nil, err
	}
	return []byte(e.text.String()), nil
}

// ValueText returns a value as Marshal writes it, on one line.
func ValueText(v reflect.Value) string {
	e := encoder{}
	if err := e.pair("", "x", v); err != nil {
		return fmt.Sprint(v)
	}
	return strings.Join(strings.Fields(strings.TrimPrefix(e.text.String(), "x:")), " ")
}

// An encoder writes YAML that every reader reads as the same text: it quotes what
// could be read as something else. (The library's own encoder does not; it writes
// a tab, for example, so that it reads back as nothing.)
type encoder struct {
	text  strings.Builder
	extra Extra
}

// fields writes the fields of a struct, each at the given indentation.
func (e *encoder) fields(indent string, v reflect.Value) error {
	for field := range FieldsOf(v.Type()) {
		name, omitEmpty := FieldKey(field)
		f := v.FieldByIndex(field.Index)
		if f.Kind() == reflect.Map && f.Len() == 0 || omitEmpty && f.IsZero() {
			continue
		}
		if err := e.pair(indent, name, f); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// pair writes one key with its value.
func (e *encoder) pair(indent, key string, v reflect.Value) error {
	e.text.WriteString(indent + key + ":")
	if form, ok := v.Interface().(interface{ MarshalYAML() (any, error) }); ok {
		plain, err := form.MarshalYAML()
		if err != nil {
			return err
		}
		v = reflect.ValueOf(plain)
	}
	if v.Kind() == reflect.Pointer {
		v = v.Elem() // a nil one is left out: it is optional
	}
	text, single, err := scalarText(v)
	switch {
	case err != nil:
		return err
	case single:
		e.text.WriteString(" " + text + "\n")
		return nil
	}
	switch v.Kind() {
	case reflect.Struct:
		within := encoder{}
		if e.extra.Value != "" && indent == "" && key == e.extra.Section {
			within.text.WriteString("  " + e.extra.Key + ": " + textOf(e.extra.Value) + "\n")
		}
		if err := within.fields(indent+"  ", v); err != nil {
			return err
		}
		if within.text.Len() == 0 {
			e.text.WriteString(" {}\n")
			return nil
		}
		e.text.WriteString("\n" + within.text.String())
		return nil
	case reflect.Map:
		e.text.WriteString("\n")
		for _, k := range slices.SortedFunc(slices.Values(v.MapKeys()), func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) }) {
			if err := e.pair(indent+"  ", textOf(k.String()), v.MapIndex(k)); err != nil {
				return err
			}
		}
		return nil
	case reflect.Slice, reflect.Array:
		return e.list(indent, v)
	}
	return fmt.Errorf("%v cannot be written", v.Type())
}

// list writes single values in one line and structs in blocks.
func (e *encoder) list(indent string, v reflect.Value) error {
	if v.Len() == 0 || v.Type().Elem().Kind() != reflect.Struct {
		var texts []string
		for i := range v.Len() {
			text, single, err := scalarText(v.Index(i))
			if err != nil || !single {
				return fmt.Errorf("%v cannot be written: %v", v.Type(), err)
			}
			texts = append(texts, text)
		}
		e.text.WriteString(" [" + strings.Join(texts, ", ") + "]\n")
		return nil
	}
	e.text.WriteString("\n")
	for i := range v.Len() {
		item := encoder{}
		if err := item.fields(indent+"    ", v.Index(i)); err != nil {
			return err
		}
		text := strings.TrimPrefix(item.text.String(), indent+"    ")
		if text == "" {
			text = "{}\n"
		}
		e.text.WriteString(indent + "  - " + text)
	}
	return nil
}

// scalarText returns a single value as YAML; single is false if v is a list or a mapping.
func scalarText(v reflect.Value) (text string, single bool, err error) {
	switch value := v.Interface().(type) {
	case time.Duration:
		return value.String(), true, nil
	case encoding.TextMarshaler:
		text, err := value.MarshalText()
		return plainOrQuoted(string(text), plainValue), true, err
	}
	switch {
	case v.Kind() == reflect.String:
		return textOf(v.String()), true, nil
	case v.Kind() == reflect.Bool:
		return strconv.FormatBool(v.Bool()), true, nil
	case v.CanInt():
		return strconv.FormatInt(v.Int(), 10), true, nil
	case v.CanUint():
		return strconv.FormatUint(v.Uint(), 10), true, nil
	case v.CanFloat():
		return strconv.FormatFloat(v.Float(), 'g', -1, 64), true, nil
	}
	return "", false, nil
}

var (
	// plainText is text that needs no quotes.
	plainText = regexp.MustCompile(`^(https?://)?[A-Za-z][A-Za-z0-9_./-]*( [A-Za-z0-9_./-]+)*$`)
	// plainValue is the same for the text of values that are read as text
	// whatever they look like: 400/s, 20ms.
	plainValue = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_./+-]*( [A-Za-z0-9_./-]+)*$`)
	// reserved words mean something else to one YAML reader or another.
	reserved = regexp.MustCompile(`^(?i:null|true|false|yes|no|on|off|y|n|nan|inf)$`)
)

func textOf(s string) string { return plainOrQuoted(s, plainText) }

func plainOrQuoted(s string, plain *regexp.Regexp) string {
	if plain.MatchString(s) && !reserved.MatchString(s) {
		return s
	}
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteString(`\` + string(r))
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case r < 0x20 || r >= 0x7f && r < 0xa0 || r == 0x2028 || r == 0x2029 || r == 0xfeff || r == 0xfffd:
			fmt.Fprintf(&b, `\u%04X`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

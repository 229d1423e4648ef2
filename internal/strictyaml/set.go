package strictyaml

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml/ast"
)

// SetFlag begins the Source of a field that a flag has set.
const SetFlag = "--set "

// Set changes the field of v at a dotted path. The value is YAML; a string field
// takes the text literally unless it is quoted; null resets the field to its
// default and takes an entry out of a map. v may be half changed after a
// complaint.
func (d *Decoder) Set(v reflect.Value, path, value string) { d.setWithin(v, path, "", path, value) }

// IsNullText reports whether value is one of the forms of YAML's null.
func IsNullText(value string) bool {
	return value == "null" || value == "Null" || value == "NULL" || value == "~"
}

// setWithin follows rest from v, which is the value at done, and sets the field at
// its end.
func (d *Decoder) setWithin(v reflect.Value, path, done, rest, value string) {
	if v.Kind() == reflect.Pointer && rest != "" {
		if v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
		}
		v = v.Elem()
	}
	if rest == "" {
		d.Remember(path)
		d.setValue(path, v, value)
		return
	}
	key, after, _ := strings.Cut(rest, ".")
	switch {
	case IsSection(v.Type()):
		i, known := FieldNamed(v.Type(), key)
		if !known {
			d.Complain(path, nil, "%s", d.unknownKey(v.Type(), done, key, done))
			return
		}
		d.setWithin(v.FieldByIndex(i), path, Join(done, key), after, value)
	case v.Kind() == reflect.Map && IsNullText(value) && v.Type() != d.NullText: // whose nulls are for later
		d.Remember(path)
		if !v.IsNil() {
			v.SetMapIndex(reflect.ValueOf(rest), reflect.Value{})
		}
	case v.Kind() == reflect.Map: // a key may have dots
		elem := reflect.New(v.Type().Elem()).Elem()
		d.Remember(path)
		d.setValue(path, elem, value)
		if v.IsNil() {
			v.Set(reflect.MakeMap(v.Type()))
		}
		v.SetMapIndex(reflect.ValueOf(rest), elem)
	case v.Kind() == reflect.Slice || v.Kind() == reflect.Array:
		i, err := strconv.Atoi(key)
		if err != nil || i < 0 || i >= v.Len() {
			d.Complain(path, nil, "%s has no element %q; it has %d, counted from 0", done, key, v.Len())
			return
		}
		d.setWithin(v.Index(i), path, Join(done, key), after, value)
	default:
		d.Complain(path, nil, "%s is a single value, without fields of its own", done)
	}
}

func (d *Decoder) setValue(path string, v reflect.Value, value string) {
	if v.Kind() == reflect.String && !quoted(value) {
		v.SetString(value)
		return
	}
	before := len(d.Errs)
	if n := d.parse(path, value); len(d.Errs) == before {
		d.Decode(path, n, v)
	}
}

// quoted reports whether a text is a YAML string in quotes.
func quoted(value string) bool {
	if len(value) < 2 || value[0] != '"' && value[0] != '\'' || value[len(value)-1] != value[0] {
		return false
	}
	var trial Decoder
	n := trial.parse("", value)
	if n == nil || len(trial.Errs) > 0 {
		return false
	}
	text, ok := trial.Scalar("", n)
	return ok && text != value
}

// Remember notes that path was set by Source, and forgets the places within it.
func (d *Decoder) Remember(path string) {
	for old := range d.Places {
		if strings.HasPrefix(old, path+".") {
			delete(d.Places, old)
		}
	}
	d.Places[path] = d.mark(nil)
}

// Shorten cuts a value so that a complaint stays on one line.
func Shorten(value string) string {
	if i := strings.IndexByte(value, '\n'); i >= 0 {
		value = value[:i] + "..."
	}
	const most = 80
	if utf8.RuneCountInString(value) > most {
		value = fmt.Sprintf("%.*s...", most, value)
	}
	return value
}

// SetText returns n as the text that Set takes for it.
func (d *Decoder) SetText(path string, n ast.Node) (string, bool) {
	switch n := n.(type) {
	case nil:
		d.Complain(path, nil, "has no value")
		return "", false
	case *ast.AnchorNode, *ast.AliasNode, *ast.MergeKeyNode, *ast.TagNode:
		d.Complain(path, placeOf(n), "anchors, aliases and tags are not supported; write the value out")
		return "", false
	case *ast.NullNode:
		return "null", true
	case *ast.MappingNode, *ast.MappingValueNode, *ast.SequenceNode:
		return n.String(), true
	}
	return d.Scalar(path, n)
}

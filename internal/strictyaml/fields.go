package strictyaml

import (
	"encoding"
	"fmt"
	"iter"
	"reflect"
	"strings"

	"github.com/kabench/kabench/internal/nearest"
)

// FieldKey returns the key of a struct field in YAML, and whether an empty value
// is left out.
func FieldKey(f reflect.StructField) (name string, omitEmpty bool) {
	name, rest, _ := strings.Cut(f.Tag.Get("yaml"), ",")
	return name, rest == "omitempty"
}

// FieldsOf yields the fields of a struct that have keys. The fields of an inline
// struct are among them; each Index is for reflect.Value.FieldByIndex.
func FieldsOf(t reflect.Type) iter.Seq[reflect.StructField] {
	return func(yield func(reflect.StructField) bool) {
		for i := range t.NumField() {
			f := t.Field(i)
			if f.Tag.Get("yaml") == "" {
				continue // not of the document
			}
			if !isInline(f) {
				if !yield(f) {
					return
				}
				continue
			}
			for within := range FieldsOf(f.Type) {
				within.Index = append([]int{i}, within.Index...)
				if !yield(within) {
					return
				}
			}
		}
	}
}

func isInline(f reflect.StructField) bool { return f.Tag.Get("yaml") == ",inline" }

// FieldNamed returns the index of the field with that key, for
// reflect.Value.FieldByIndex.
func FieldNamed(t reflect.Type, key string) (index []int, known bool) {
	for f := range FieldsOf(t) {
		if name, _ := FieldKey(f); name == key {
			return f.Index, true
		}
	}
	return nil, false
}

// FieldAt returns the field of v at a dotted path, and v itself for "". A path
// into a nil pointer or a map finds nothing.
func FieldAt(v reflect.Value, path string) (field reflect.Value, found bool) {
	if path == "" {
		return v, true
	}
	for key := range strings.SplitSeq(path, ".") {
		if v.Kind() == reflect.Pointer {
			v = v.Elem()
		}
		if v.Kind() != reflect.Struct {
			return reflect.Value{}, false
		}
		i, known := FieldNamed(v.Type(), key)
		if !known {
			return reflect.Value{}, false
		}
		v = v.FieldByIndex(i)
	}
	return v, true
}

// fieldTypeAt returns the struct field at a dotted path from v. There is none where
// the path leads into a list, a map or a nil pointer.
func fieldTypeAt(v reflect.Value, path string) (field reflect.StructField, found bool) {
	section, key := "", path
	if i := strings.LastIndexByte(path, '.'); i >= 0 {
		section, key = path[:i], path[i+1:]
	}
	v, found = FieldAt(v, section)
	if found && v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	if !found || v.Kind() != reflect.Struct {
		return field, false
	}
	i, known := FieldNamed(v.Type(), key)
	if !known {
		return field, false
	}
	return v.Type().FieldByIndex(i), true
}

// KeysOf lists the keys of a struct.
func KeysOf(t reflect.Type) []string {
	var keys []string
	for f := range FieldsOf(t) {
		name, _ := FieldKey(f)
		keys = append(keys, name)
	}
	return keys
}

var textType = reflect.TypeFor[encoding.TextUnmarshaler]()

// IsSection reports whether values of t are mappings with keys of their own.
func IsSection(t reflect.Type) bool {
	return t.Kind() == reflect.Struct && !reflect.PointerTo(t).Implements(textType)
}

// PathsOf lists the paths of all fields of t and of the structs within it.
func PathsOf(t reflect.Type, prefix string) []string {
	var paths []string
	for f := range FieldsOf(t) {
		name, _ := FieldKey(f)
		name = Join(prefix, name)
		paths = append(paths, name)
		within := f.Type
		if within.Kind() == reflect.Pointer {
			within = within.Elem()
		}
		if IsSection(within) {
			paths = append(paths, PathsOf(within, name)...)
		}
	}
	return paths
}

// unknownKey returns the complaint about a key that the struct t at path section
// does not have. It names the key that was probably meant, here or elsewhere, or
// all keys of t. A key of t is shown with the section named shown before it.
func (d *Decoder) unknownKey(t reflect.Type, section, key, shown string) string {
	if near := nearest.Name(key, KeysOf(t)); near != "" {
		return fmt.Sprintf("unknown key; did you mean %s?", Join(shown, near))
	}
	for _, path := range d.Elsewhere {
		if path != Join(section, key) && strings.HasSuffix("."+path, "."+key) {
			return fmt.Sprintf("unknown key here; did you mean %s?", path)
		}
	}
	return "unknown key; the keys here are " + strings.Join(KeysOf(t), ", ")
}

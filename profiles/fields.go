package profiles

import (
	"encoding"
	"fmt"
	"iter"
	"reflect"
	"slices"
	"strings"

	"github.com/kabench/kabench/internal/nearest"
)

// fieldName is the key of a struct field in YAML, and whether it is left out
// when it is empty.
func fieldName(f reflect.StructField) (name string, omitEmpty bool) {
	name, rest, _ := strings.Cut(f.Tag.Get("yaml"), ",")
	return name, rest == "omitempty"
}

// fieldsOf yields the fields of a struct that have keys: those of a struct that
// is inline are keys beside the others. The fields' indices are for FieldByIndex.
func fieldsOf(t reflect.Type) iter.Seq[reflect.StructField] {
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
			for within := range fieldsOf(f.Type) {
				within.Index = append([]int{i}, within.Index...)
				if !yield(within) {
					return
				}
			}
		}
	}
}

func isInline(f reflect.StructField) bool { return f.Tag.Get("yaml") == ",inline" }

func fieldNamed(t reflect.Type, key string) (index []int, known bool) {
	for f := range fieldsOf(t) {
		if name, _ := fieldName(f); name == key {
			return f.Index, true
		}
	}
	return nil, false
}

// fieldAt is the field of v at a dotted path, v itself for "". There is none
// where the path leads into a nil pointer or a map.
func fieldAt(v reflect.Value, path string) (field reflect.Value, found bool) {
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
		i, known := fieldNamed(v.Type(), key)
		if !known {
			return reflect.Value{}, false
		}
		v = v.FieldByIndex(i)
	}
	return v, true
}

func keysOf(t reflect.Type) []string {
	var keys []string
	for f := range fieldsOf(t) {
		name, _ := fieldName(f)
		keys = append(keys, name)
	}
	return keys
}

var textType = reflect.TypeFor[encoding.TextUnmarshaler]()

// isSection reports whether values of t are mappings with keys of their own.
func isSection(t reflect.Type) bool {
	return t.Kind() == reflect.Struct && !reflect.PointerTo(t).Implements(textType)
}

// pathsOf lists the paths of all fields of t and of the structs within it.
func pathsOf(t reflect.Type, prefix string) []string {
	var paths []string
	for f := range fieldsOf(t) {
		name, _ := fieldName(f)
		name = join(prefix, name)
		paths = append(paths, name)
		within := f.Type
		if within.Kind() == reflect.Pointer {
			within = within.Elem()
		}
		if isSection(within) {
			paths = append(paths, pathsOf(within, name)...)
		}
	}
	return paths
}

var profilePaths = pathsOf(reflect.TypeFor[Profile](), "")

// Fields are the paths of all fields of a profile, as --set takes them.
func Fields() []string { return slices.Clone(profilePaths) }

// unknownKey is the complaint about a key that the struct t at path section
// does not have: with the key that was meant, here or elsewhere, or with all
// that would do. The key meant is told with the section named shown in front.
func unknownKey(t reflect.Type, section, key, shown string) string {
	if near := nearest.Name(key, keysOf(t)); near != "" {
		return fmt.Sprintf("unknown key; did you mean %s?", join(shown, near))
	}
	for _, path := range profilePaths {
		if path != join(section, key) && strings.HasSuffix("."+path, "."+key) {
			return fmt.Sprintf("unknown key here; did you mean %s?", path)
		}
	}
	return "unknown key; the keys here are " + strings.Join(keysOf(t), ", ")
}

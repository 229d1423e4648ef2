package strictyaml

import (
	"reflect"

	"github.com/goccy/go-yaml/ast"
)

// PresetKey is the key with which a mapping begins with a preset's values. The
// preset's name alone stands for the whole mapping.
const PresetKey = "preset"

// beginWith sets v, the field at path, to the preset that n is the name of or
// names with PresetKey. It reports whether n is only a name, so that nothing is
// left to decode.
func (d *Decoder) beginWith(path string, n ast.Node, v reflect.Value) (done bool) {
	named := n
	if !IsScalar(n) {
		if named = Member(n, PresetKey); named == nil {
			return false
		}
	}
	if !d.mayBegin(v.Type()) {
		return false
	}
	if !IsScalar(named) {
		d.Complain(Join(path, PresetKey), placeOf(named), "give the name of a preset, or remove it")
		return false
	}
	value, _, err := d.Preset(v.Type(), named.GetToken().Value)
	if err != nil {
		d.Complain(path, placeOf(named), "%v", err)
		return IsScalar(n)
	}
	v.Set(value)
	return IsScalar(n)
}

// mayBegin reports whether values of t may begin with a preset.
func (d *Decoder) mayBegin(t reflect.Type) bool {
	if d.Preset == nil {
		return false
	}
	_, may, _ := d.Preset(t, "")
	return may
}

package strictyaml

import (
	"reflect"
)

// Clone returns a copy of v that shares nothing changeable with it.
func Clone[T any](v T) T {
	unshare(reflect.ValueOf(&v).Elem())
	return v
}

// unshare gives v, which is a copy, its own lists, maps and pointed-to values. It
// leaves unexported fields alone: their types do not change them.
func unshare(v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				unshare(v.Field(i))
			}
		}
	case reflect.Pointer:
		if !v.IsNil() {
			own := reflect.New(v.Type().Elem())
			own.Elem().Set(v.Elem())
			unshare(own.Elem())
			v.Set(own)
		}
	case reflect.Slice:
		if !v.IsNil() {
			own := reflect.MakeSlice(v.Type(), v.Len(), v.Len())
			reflect.Copy(own, v)
			for i := range own.Len() {
				unshare(own.Index(i))
			}
			v.Set(own)
		}
	case reflect.Map:
		if !v.IsNil() {
			own := reflect.MakeMapWithSize(v.Type(), v.Len())
			for entries := v.MapRange(); entries.Next(); {
				value := reflect.New(v.Type().Elem()).Elem()
				value.Set(entries.Value())
				unshare(value)
				own.SetMapIndex(entries.Key(), value)
			}
			v.Set(own)
		}
	}
}

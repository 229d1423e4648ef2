package conform

import (
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/kabench/kabench/dialers/external"
	"github.com/kabench/kabench/dialers/pool"
	"github.com/kabench/kabench/internal/strictyaml"
)

// Settings returns how a client with the pool of its defaults is set to have another
// pool: for each field that differs, the client's own setting that means the same. The
// error names the fields that the driver has no setting for.
func Settings(hello external.Hello, defaults, wanted pool.Policy) (map[string]any, error) {
	settings := map[string]any{}
	var missing []string
	a, b := reflect.ValueOf(defaults), reflect.ValueOf(wanted)
	for f := range strictyaml.FieldsOf(a.Type()) {
		was, is := a.FieldByIndex(f.Index), b.FieldByIndex(f.Index)
		if strictyaml.ValueText(was) == strictyaml.ValueText(is) {
			continue
		}
		name, _ := strictyaml.FieldKey(f)
		s, found := hello.ForPool(name)
		if !found {
			missing = append(missing, name)
			continue
		}
		settings[s.Name] = settingValue(s, is)
	}
	if len(missing) > 0 {
		return nil, fmt.Errorf("%s has no setting for %s", hello.Client, strings.Join(missing, ", "))
	}
	return settings, nil
}

// settingValue is a pool's value as the driver takes it; nil for none.
func settingValue(s external.Setting, v reflect.Value) any {
	switch v := v.Interface().(type) {
	case time.Duration:
		if v == 0 {
			return nil
		}
		return v
	case int:
		if v == pool.NoCap {
			return nil
		}
		return v
	case bool:
		return v
	}
	word := strictyaml.ValueText(v)
	if theirs, found := s.Words[word]; found {
		return theirs
	}
	return word
}

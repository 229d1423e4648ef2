package settings

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kabench/kabench/dialers/pool"
	"github.com/kabench/kabench/internal/nearest"
	"github.com/kabench/kabench/internal/strictyaml"
	"github.com/kabench/kabench/results"
)

// A Driver is a real client in a process of its own, and what can be set on it.
type Driver struct {
	Client string // its name, for texts
	Has    []results.DriverSetting
}

// For returns the client's setting that means the same as a field of a pool.
func (d Driver) For(field string) (results.DriverSetting, bool) {
	i := slices.IndexFunc(d.Has, func(s results.DriverSetting) bool { return s.Pool == field && field != "" })
	if i < 0 {
		return results.DriverSetting{}, false
	}
	return d.Has[i], true
}

// Named returns the client's setting of that name. The error names those that it has.
func (d Driver) Named(name string) (results.DriverSetting, error) {
	names := make([]string, len(d.Has))
	for i, s := range d.Has {
		if s.Name == name {
			return s, nil
		}
		names[i] = s.Name
	}
	if len(names) == 0 {
		return results.DriverSetting{}, fmt.Errorf("%s has no settings; remove it", d.Client)
	}
	near := nearest.Name(name, names)
	if near != "" {
		near = "did you mean " + near + "? "
	}
	return results.DriverSetting{}, fmt.Errorf("%s has no setting %s; %sit has %s", d.Client, name, near, strings.Join(names, ", "))
}

// OfPool returns the client's setting for a field of the pool p, and the value in the
// client's words: a time.Duration, a number, a bool, a text, or nil for no limit. The error
// says that the client has no such setting, or that the setting cannot say the value.
func (d Driver) OfPool(p pool.Policy, field string) (results.DriverSetting, any, error) {
	s, found := d.For(field)
	if !found {
		return s, nil, &NoSettingError{Client: d.Client, Field: field, Has: d.forPool()}
	}
	v, known := fieldOf(p, field)
	if !known {
		return s, nil, fmt.Errorf("%s names pool.%s, which is no field of a pool; correct the driver", s.Name, field)
	}
	value, ok := ofPool(s, v)
	if !ok {
		return s, nil, fmt.Errorf("%s has no word for pool.%s: %s in its setting %s%s", d.Client, field, strictyaml.ValueText(v), s.Name, allowed(s))
	}
	return s, value, nil
}

// forPool lists the fields of a pool that the client has settings for.
func (d Driver) forPool() (fields []string) {
	for _, s := range d.Has {
		if s.Pool != "" && !slices.Contains(fields, "pool."+s.Pool) {
			fields = append(fields, "pool."+s.Pool)
		}
	}
	slices.Sort(fields)
	return fields
}

// NoSettingError says that a client has no setting for a field of a pool.
type NoSettingError struct {
	Client, Field string
	Has           []string // the fields that it has settings for
}

func (e *NoSettingError) Error() string {
	if len(e.Has) == 0 {
		return fmt.Sprintf("%s has no setting for %s, nor for any other field of the pool", e.Client, e.Field)
	}
	return fmt.Sprintf("%s has no setting for %s; it has those for %s", e.Client, e.Field, strings.Join(e.Has, ", "))
}

// ofPool returns the value v of a field of a pool as s takes it; false if s has no word
// for it.
func ofPool(s results.DriverSetting, v reflect.Value) (any, bool) {
	duration, isDuration := v.Interface().(time.Duration)
	number := v.Kind() == reflect.Int && v.Type().PkgPath() == ""
	text := strictyaml.ValueText(v)
	if word, found := s.Words[text]; found && s.Kind == KindText {
		return word, true
	}
	switch {
	case s.Kind == KindDuration && isDuration:
		if duration == 0 {
			return nil, true // off
		}
		return duration, true
	case s.Kind == KindCount && number:
		if v.Int() == pool.NoCap {
			return nil, true
		}
		return v.Int(), true
	case s.Kind == KindBool && v.Kind() == reflect.Bool:
		return v.Bool(), true
	case s.Kind == KindBool && number: // keepAlive, for pool.max_idle
		return v.Int() != 0, true
	case s.Kind == KindBool && isDuration:
		return duration != 0, true
	case s.Kind == KindText:
		return text, slices.Contains(s.Values, text)
	}
	return nil, false
}

// The kinds of a driver's settings.
const (
	KindDuration = "duration"
	KindCount    = "count"
	KindBool     = "bool"
	KindText     = "text"
)

// noLimit are the words for a limit that a client shall not have.
var noLimit = []string{"none", "null", "off", "~"}

// Value reads what a user wrote for the client's own setting of that name: a duration with
// its unit, a number, true or false, a word, or none for no limit. The error says what the
// setting takes.
func (d Driver) Value(name, text string) (any, error) {
	s, err := d.Named(name)
	if err != nil {
		return nil, err
	}
	if word, found := s.Words[text]; found && s.Kind == KindText {
		return word, nil
	}
	free := len(s.Values)+len(s.Words) == 0 && text != "null"
	if s.Kind == KindText && (free || slices.Contains(s.Values, text) || slices.Contains(slices.Collect(maps.Values(s.Words)), text)) {
		return text, nil
	}
	if slices.Contains(noLimit, strings.ToLower(text)) {
		return nil, nil
	}
	wrong := func(takes string) (any, error) {
		return nil, fmt.Errorf("%q: %s takes %s%s", text, name, takes, allowed(s))
	}
	switch s.Kind {
	case KindDuration:
		v, err := time.ParseDuration(text)
		if err != nil || v < 0 {
			return wrong(`a time with its unit, as 250ms or 4s, or none`)
		}
		return v, nil
	case KindCount:
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return wrong("a whole number, or none")
		}
		return n, nil
	case KindBool:
		switch strings.ToLower(text) {
		case "true", "false":
			return strings.EqualFold(text, "true"), nil
		}
		return wrong("true or false")
	case KindText:
		return wrong("a word")
	}
	return nil, fmt.Errorf("%s is of a kind that kabench does not know (%s); correct the driver", name, s.Kind)
}

// allowed lists the words that a setting takes; "" if it takes any.
func allowed(s results.DriverSetting) string {
	words := slices.Concat(s.Values, slices.Sorted(maps.Keys(s.Words)))
	if s.Kind != KindText || len(words) == 0 {
		return ""
	}
	return " (" + strings.Join(slices.Compact(words), ", ") + ")"
}

// Text writes a value that is sent to a client, for people: "4s", "none", "LIFO".
func Text(value any) string {
	switch v := value.(type) {
	case nil:
		return "none"
	case time.Duration:
		return v.String()
	}
	return fmt.Sprint(value)
}

// Spelled writes the pool's fields of a change, as a remedy's, by the client's own
// settings. lacks are the paths of those that it has no setting for, with the reasons.
func (d Driver) Spelled(p pool.Policy, change map[string]string) (list []results.ClientSetting, lacks []string, why []string) {
	changed, paths := Change(p, change)
	for _, path := range paths {
		s, value, err := d.OfPool(changed, strings.TrimPrefix(path, "pool."))
		if err != nil {
			lacks, why = append(lacks, path), append(why, err.Error())
			continue
		}
		list = append(list, results.ClientSetting{
			Client: d.Client, Path: path, Value: Text(value), In: "driver.settings", Text: s.Name + ": " + Text(value),
		})
	}
	return list, lacks, why
}

// Fields lists the fields of a pool in their order.
func Fields() []string { return poolFields() }

// Same reports whether a field has the same value in both policies.
func Same(a, b pool.Policy, field string) bool {
	v, known := fieldOf(a, field)
	w, _ := fieldOf(b, field)
	return known && strictyaml.ValueText(v) == strictyaml.ValueText(w)
}

package kit

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// check says whether every value sent is for a setting that there is, and of its kind.
// Nil is "no limit" or "off", which New may refuse.
func check(settings []Setting, values map[string]any) error {
	for name, v := range values {
		i := slices.IndexFunc(settings, func(s Setting) bool { return s.Name == name })
		if i < 0 {
			return &Refused{name, "there is no such setting; there are " + names(settings)}
		}
		if err := settings[i].check(v); err != nil {
			return err
		}
	}
	return nil
}

func (s Setting) check(v any) error {
	if v == nil {
		return nil
	}
	n, number := v.(float64)
	switch s.Kind {
	case "duration":
		if !number || n < 0 {
			return &Refused{s.Name, "it takes milliseconds, 0 or more, or null"}
		}
	case "count":
		if !number || n < 0 || n != math.Trunc(n) || n > math.MaxInt32 {
			return &Refused{s.Name, "it takes a whole number from 0 to 2147483647, or null"}
		}
	case "bool":
		if _, ok := v.(bool); !ok {
			return &Refused{s.Name, "it takes true or false"}
		}
	case "text":
		text, ok := v.(string)
		if !ok {
			return &Refused{s.Name, "it takes a text"}
		}
		if len(s.Values) > 0 && !slices.Contains(s.Values, text) {
			return &Refused{s.Name, fmt.Sprintf("it takes %s, not %q", strings.Join(s.Values, ", "), text)}
		}
	}
	return nil
}

func names(settings []Setting) string {
	var all []string
	for _, s := range settings {
		all = append(all, s.Name)
	}
	return strings.Join(all, ", ")
}

func milliseconds(ms float64) time.Duration { return time.Duration(ms * float64(time.Millisecond)) }

// Has reports whether a value was sent for the setting, null included.
func (c Config) Has(name string) bool { _, ok := c.values[name]; return ok }

// Null reports whether null was sent: no limit, or off.
func (c Config) Null(name string) bool { v, ok := c.values[name]; return ok && v == nil }

// Duration is the value sent, none if it was null, or byDefault if nothing was sent.
func (c Config) Duration(name string, byDefault, none time.Duration) time.Duration {
	switch v := c.values[name].(type) {
	case float64:
		return milliseconds(v)
	default:
		if c.Has(name) {
			return none
		}
		return byDefault
	}
}

// Count is the value sent, none if it was null, or byDefault if nothing was sent.
func (c Config) Count(name string, byDefault, none int) int {
	switch v := c.values[name].(type) {
	case float64:
		return int(v)
	default:
		if c.Has(name) {
			return none
		}
		return byDefault
	}
}

// Bool is the value sent, false if it was null, or byDefault if nothing was sent.
func (c Config) Bool(name string, byDefault bool) bool {
	switch v := c.values[name].(type) {
	case bool:
		return v
	default:
		return byDefault && !c.Has(name)
	}
}

// Text is the value sent, none if it was null, or byDefault if nothing was sent.
func (c Config) Text(name, byDefault, none string) string {
	switch v := c.values[name].(type) {
	case string:
		return v
	default:
		if c.Has(name) {
			return none
		}
		return byDefault
	}
}

package profiles

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf8"
)

// setFlag begins the source of what a flag has set.
const setFlag = "--set "

// Set changes the field of p at a dotted path: `load.rate`, `target.headers.X-A`,
// `remedies.0.cost`. The value is YAML, in which null resets a field to what it
// is in Default and takes a header or an expectation out, but for a field of text,
// which takes it as it is unless it is quoted. A pool, a lab, server and via may be
// named: `pool` set to a preset or a file is what --pool does, and `target.lab` set
// to one serves as that server does. On an error,
// which begins with `--set path=value`, p is as before. Set does not validate.
func Set(p *Profile, path, value string) error {
	d := newDecoder(Default())
	d.set(p, path, value)
	return WithoutSecrets(d.errs.asError(), path+"="+value)
}

// setArgument applies path=value, the argument of --set.
func (d *decoder) setArgument(p *Profile, argument string) {
	path, value, found := strings.Cut(argument, "=")
	if !found || path == "" {
		d.errs = append(d.errs, Complaint{Source: setFlag + argument, Text: "say which field and what: --set path=value"})
		return
	}
	d.set(p, path, value)
}

// set changes p, or complains and leaves it as it was.
func (d *decoder) set(p *Profile, path, value string) {
	d.source, d.lined = setFlag+path+"="+shorten(value), false
	if !utf8.ValidString(value) || !utf8.ValidString(path) {
		d.bad(path, nil, "is not UTF-8 text")
		return
	}
	path = withoutBasedOn(path)
	if path == "pool" && isName(value) {
		preset, err := readPool(value)
		if err != nil {
			d.bad(path, nil, "%v", err)
			return
		}
		p.Pool, p.Preset = preset.Pool, preset.Base
		d.remember(path)
		return
	}
	if path == "target.lab" && isName(value) {
		script, err := LoadServer(value)
		if err != nil {
			d.bad(path, nil, "%v", err)
			return
		}
		p.Target.Lab = &script
		d.remember(path)
		return
	}
	changed, before := p.Clone(), len(d.errs)
	delete(d.at, "preset") // what was said before was looked at
	d.preset, d.based = "", false
	d.setWithin(reflect.ValueOf(changed).Elem(), path, "", path, value)
	if path == "pool" && nullText[value] {
		changed.Preset = ""
	}
	d.label(changed)
	if len(d.errs) == before {
		*p = *changed
	}
}

// nullText is the forms of YAML's null.
var nullText = map[string]bool{"null": true, "Null": true, "NULL": true, "~": true}

// isName reports whether the value of a pool or a lab is a preset's or a file's
// name and not the pool or lab itself.
func isName(value string) bool {
	return value != "" && !nullText[value] && !strings.ContainsAny(value, "{\n") && !strings.Contains(value+" ", ": ")
}

// setWithin follows rest from v, the value at done, and sets what it leads to.
func (d *decoder) setWithin(v reflect.Value, path, done, rest, value string) {
	if v.Kind() == reflect.Pointer && rest != "" {
		if v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
		}
		v = v.Elem()
	}
	if rest == "" {
		d.remember(path)
		d.setValue(path, v, value)
		return
	}
	key, after, _ := strings.Cut(rest, ".")
	switch {
	case isSection(v.Type()):
		i, known := fieldNamed(v.Type(), key)
		if !known {
			d.bad(path, nil, "%s", unknownKey(v.Type(), done, key, done))
			return
		}
		d.setWithin(v.FieldByIndex(i), path, join(done, key), after, value)
	case v.Kind() == reflect.Map && nullText[value] && v.Type() != reflect.TypeFor[Changes](): // whose nulls are for later
		d.remember(path)
		if !v.IsNil() {
			v.SetMapIndex(reflect.ValueOf(rest), reflect.Value{})
		}
	case v.Kind() == reflect.Map: // a key may have dots
		elem := reflect.New(v.Type().Elem()).Elem()
		d.remember(path)
		d.setValue(path, elem, value)
		if v.IsNil() {
			v.Set(reflect.MakeMap(v.Type()))
		}
		v.SetMapIndex(reflect.ValueOf(rest), elem)
	case v.Kind() == reflect.Slice || v.Kind() == reflect.Array:
		i, err := strconv.Atoi(key)
		if err != nil || i < 0 || i >= v.Len() {
			d.bad(path, nil, "%s has no element %q; it has %d, counted from 0", done, key, v.Len())
			return
		}
		d.setWithin(v.Index(i), path, join(done, key), after, value)
	default:
		d.bad(path, nil, "%s is a single value, without fields of its own", done)
	}
}

func (d *decoder) setValue(path string, v reflect.Value, value string) {
	if v.Kind() == reflect.String && !quoted(value) {
		v.SetString(value)
		return
	}
	before := len(d.errs)
	if n := d.parse(path, value); len(d.errs) == before {
		d.decode(path, n, v)
	}
}

// quoted reports whether a text is a YAML string in quotes.
func quoted(value string) bool {
	if len(value) < 2 || value[0] != '"' && value[0] != '\'' || value[len(value)-1] != value[0] {
		return false
	}
	var trial decoder
	n := trial.parse("", value)
	if n == nil || len(trial.errs) > 0 {
		return false
	}
	text, ok := trial.scalar("", n)
	return ok && text != value
}

// remember notes that path was set here and forgets what was set within it.
func (d *decoder) remember(path string) {
	for old := range d.at {
		if strings.HasPrefix(old, path+".") {
			delete(d.at, old)
		}
	}
	d.at[path] = d.mark(nil)
}

// shorten keeps a complaint on one line.
func shorten(value string) string {
	if i := strings.IndexByte(value, '\n'); i >= 0 {
		value = value[:i] + "..."
	}
	const most = 80
	if utf8.RuneCountInString(value) > most {
		value = fmt.Sprintf("%.*s...", most, value)
	}
	return value
}

package redact

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"

	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/record"
)

// ownFields are the fields of documents whose texts kabench or the profile's author
// wrote, or that are names of settings. In these fields a word that only looks like
// the name of a host stays.
var ownFields = map[string]bool{
	"Schema": true, "Version": true, "Name": true, "Question": true, "Incident": true, "Remedy": true, "Title": true,
	"Verdict": true, "Answer": true, "More": true, "Value": true, "Label": true, "Note": true, "Arm": true, "A": true, "B": true,
	"Path": true, "Want": true, "Seen": true, "Says": true, "Client": true, "Cannot": true, "Change": true, "Axes": true,
	"Sysctls": true, "GoVersion": true, "Counters": true, "Hosts": true, "Measures": true, "Method": true, "EffectName": true,
	"Class": true, "Lacks": true, "Available": true, "Runtime": true, "Gauges": true,
	"Short": true, "Do": true, "SVG": true, "Command": true, "Summary": true, "Evictions": true, "Struck": true, "Flags": true, "Outcome": true, "Failed": true,
}

// Document returns a copy of v with every text redacted by r. v is a document or a
// value that was made from one. Of a profile, the copy keeps only the sections in
// shownOfProfile.
func Document[T any](r *Redactor, v T) T {
	c := r.copy(reflect.ValueOf(&v).Elem(), true)
	return c.Interface().(T)
}

// clientSettings are words of kabench's own presets, with the addresses of examples.
var clientSettings = reflect.TypeFor[[]results.ClientSetting]()

// driverSettings are a real client's settings by their names, as Dialer.Timeout.
var driverSettings = reflect.TypeFor[map[string]any]()

// driverSeen has a user's command for a name.
var driverSeen = reflect.TypeFor[results.DriverSeen]()

var rawJSON = reflect.TypeFor[json.RawMessage]()

// hasText reports whether values of t can hold text.
func hasText(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.String, reflect.Interface, reflect.Map, reflect.Struct:
		return true
	case reflect.Slice:
		return t == rawJSON || hasText(t.Elem())
	case reflect.Array, reflect.Pointer:
		return hasText(t.Elem())
	}
	return false
}

// copy returns a redacted copy of v. A value that cannot hold text is returned as
// it is. foreign says that a server or a system may have written the texts in v.
func (r *Redactor) copy(v reflect.Value, foreign bool) reflect.Value {
	if !hasText(v.Type()) {
		return v
	}
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface, reflect.Slice, reflect.Map:
		if v.IsNil() {
			return v
		}
	}
	c := reflect.New(v.Type()).Elem()
	switch v.Kind() {
	case reflect.String:
		c.SetString(r.text(v.String(), foreign))
	case reflect.Pointer:
		p := reflect.New(v.Type().Elem())
		p.Elem().Set(r.copy(v.Elem(), foreign))
		return p
	case reflect.Interface:
		c.Set(r.copy(v.Elem(), foreign))
	case reflect.Struct:
		r.copyFields(c, v, foreign)
	case reflect.Slice:
		if v.Type() == rawJSON {
			return reflect.ValueOf(r.profile(v.Bytes()))
		}
		c.Set(reflect.MakeSlice(v.Type(), v.Len(), v.Len()))
		r.copyElements(c, v, foreign)
	case reflect.Array:
		r.copyElements(c, v, foreign)
	case reflect.Map:
		c.Set(reflect.MakeMapWithSize(v.Type(), v.Len()))
		r.copyEntries(c, v, foreign)
	}
	return c
}

// copyFields sets c to a redacted copy of the struct v.
func (r *Redactor) copyFields(c, v reflect.Value, foreign bool) {
	c.Set(v) // with the fields that are not exported, such as the time in a time.Time
	if host, ok := v.Interface().(results.Host); ok {
		host.Kernel, _, _ = strings.Cut(host.Kernel, "-") // the rest may contain a name that its builder chose
		c.Set(reflect.ValueOf(host))
		v = c
	}
	if agent, ok := v.Interface().(results.Agent); ok && !r.ShowHosts {
		agent.Network = "" // it identifies the machine
		c.Set(reflect.ValueOf(agent))
		v = c
	}
	for i := range v.NumField() {
		f := v.Type().Field(i)
		switch {
		case !f.IsExported():
		case f.Name == "Dir" && f.Type.Kind() == reflect.String:
			if !r.ShowHosts && v.Field(i).Len() > 0 {
				c.Field(i).SetString("(path)") // no pattern recognizes a relative path
			}
		default:
			own := ownFields[f.Name] && (f.Name != "Name" || v.Type() != driverSeen) || f.Type == clientSettings || f.Type == driverSettings
			c.Field(i).Set(r.copy(v.Field(i), foreign && !own))
			if f.Type == driverSettings {
				r.copyValues(c.Field(i), foreign)
			}
		}
	}
}

// copyValues redacts the values of the map c, and leaves its keys as they are.
func (r *Redactor) copyValues(c reflect.Value, foreign bool) {
	keys := c.MapKeys()
	slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
	for _, key := range keys {
		c.SetMapIndex(key, r.copy(c.MapIndex(key), foreign))
	}
}

// copyElements sets the elements of c to redacted copies of the elements of v.
// Both are slices or arrays of the same length.
func (r *Redactor) copyElements(c, v reflect.Value, foreign bool) {
	for i := range v.Len() {
		c.Index(i).Set(r.copy(v.Index(i), foreign))
	}
}

// copyEntries adds redacted copies of the entries of the map v to the map c. It
// sorts the keys, so that hosts get the same numbers each time.
func (r *Redactor) copyEntries(c, v reflect.Value, foreign bool) {
	keys := v.MapKeys()
	if v.Type().Key().Kind() == reflect.String {
		slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
	}
	for _, key := range keys {
		c.SetMapIndex(r.copy(key, foreign), r.copy(v.MapIndex(key), foreign))
	}
}

// shownOfProfile are the sections of a profile that do not reveal where it was run.
var shownOfProfile = []string{"name", "question", "client", "load", "pool", "preset", "scale", "source"}

func (r *Redactor) profile(raw json.RawMessage) json.RawMessage {
	var all map[string]any
	if json.Unmarshal(raw, &all) != nil {
		return nil
	}
	shown := map[string]any{}
	for _, section := range shownOfProfile {
		if v, found := all[section]; found {
			shown[section] = r.texts(v)
		}
	}
	text, err := json.Marshal(shown)
	if err != nil {
		return nil
	}
	return text
}

// texts applies Text to every text in v, which was decoded from JSON.
func (r *Redactor) texts(v any) any {
	switch v := v.(type) {
	case string:
		return r.Text(v)
	case []any:
		for i := range v {
			v[i] = r.texts(v[i])
		}
	case map[string]any:
		for key := range v {
			v[key] = r.texts(v[key])
		}
	}
	return v
}

// Archive returns a redacted copy of k. It also removes the paths of k and of its runs
// from all texts.
func (r *Redactor) Archive(k *record.Archive) *record.Archive {
	r.learnPath(k.Path)
	for _, run := range k.Runs {
		r.Learn(run.Run)
		if run.Dir != nil {
			r.learnPath(run.Dir.Path())
		}
	}
	r.learnArms(k.Comparison)
	c := *k
	c.Run, c.Reproduction, c.Comparison = Document(r, k.Run), Document(r, k.Reproduction), Document(r, k.Comparison)
	c.Notes = Document(r, k.Notes)
	c.Runs = make([]record.ArchivedRun, len(k.Runs))
	for i, run := range k.Runs {
		run.Name, run.Change, run.Excluded, run.Run = r.Text(run.Name), changeOf(r, run.Change), r.Foreign(run.Excluded), Document(r, run.Run)
		c.Runs[i] = run // the texts in run.Dir are never shown
	}
	return &c
}

func changeOf(r *Redactor, change map[string]string) map[string]string {
	if change == nil {
		return nil
	}
	shown := map[string]string{}
	for path, value := range change {
		shown[path] = r.Text(value)
	}
	return shown
}

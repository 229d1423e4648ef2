package settings

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kabench/kabench/dialers/pool"
	"github.com/kabench/kabench/results"
)

// Spell writes one field of a pool in the client's words, in each way that s lists. The
// path is that of a profile, as pool.idle_timeout; the value is the pool's. There is
// none if s does not list the field.
func (s Spellings) Spell(p pool.Policy, path string) []results.ClientSetting {
	field := strings.TrimPrefix(path, "pool.")
	v, known := fieldOf(p, field)
	if !known {
		return nil
	}
	var list, refused []results.ClientSetting
	for _, one := range s[field] {
		out := results.ClientSetting{
			Path: "pool." + field, Value: textOf(v, field), In: one.In, Note: one.Note, Instead: one.Instead,
			Versions: one.Versions, Source: one.Source, Unchecked: one.Unchecked,
		}
		if one.Set != "" {
			out.Text, out.Value, out.Instead = one.write(p, field)
		}
		if one.Set != "" && out.Text == "" {
			out.Note = ""
			refused = append(refused, out)
			continue
		}
		list = append(list, out)
	}
	if !slices.ContainsFunc(list, func(s results.ClientSetting) bool { return s.Text != "" }) {
		list = append(refused, list...) // no way can say the value
	}
	return list
}

// write returns Set with its values filled in, and the value that it then sets. If
// Set cannot say the value, it returns no text and the reason.
func (s Spelling) write(p pool.Policy, field string) (text, value, why string) {
	v, _ := fieldOf(p, field)
	value = textOf(v, field)
	var reasons []string
	text = placeholder.ReplaceAllStringFunc(s.Set, func(found string) string {
		m := placeholder.FindStringSubmatch(found)
		if m[1] != "" {
			written, _, reason := writeValue(p, m[1], m[2])
			reasons = append(reasons, reason)
			return written
		}
		if word, special := s.Values[value]; special {
			if word == "" {
				reasons = append(reasons, cannotSay(value))
			}
			return word
		}
		if word, any := s.Values[Other]; any && m[2] == "value" {
			return word
		}
		written, took, reason := writeValue(p, field, m[2])
		value, reasons = took, append(reasons, reason)
		return written
	})
	reasons = slices.DeleteFunc(reasons, func(r string) bool { return r == "" })
	if why = strings.Join(slices.Compact(reasons), "; "); why != "" {
		return "", value, why
	}
	return text, value, ""
}

// writeValue returns a field's value in a form, and the value that this says: a
// duration may be shortened. It returns a reason if the form cannot say the value.
func writeValue(p pool.Policy, field, form string) (text, value, why string) {
	v, _ := fieldOf(p, field)
	value = textOf(v, field)
	f := Forms[form]
	if f.text == nil {
		if form == "n" && value != "none" {
			return fmt.Sprint(v.Int()), value, ""
		}
		return "", value, cannotSay(value)
	}
	d := time.Duration(v.Int())
	if d == 0 {
		return "", value, "this setting cannot say off; leave it out if that is the client's default"
	}
	whole := d / f.Unit * f.Unit
	if whole == 0 {
		return "", value, fmt.Sprintf("this setting counts in steps of %v and cannot say %v; the shortest time is %v", f.Unit, d, f.Unit)
	}
	return f.text(whole), whole.String(), ""
}

func cannotSay(value string) string {
	return fmt.Sprintf("this setting has no word for %s; leave it out if that is the client's default", value)
}

// Change returns the policy with the fields that a change of a profile names, as
// {"pool.idle_timeout": "4s"}, and the paths of these fields in the order of the pool's
// fields. It leaves out what is not of the pool and what does not parse.
func Change(p pool.Policy, change map[string]string) (changed pool.Policy, paths []string) {
	for _, field := range poolFields() {
		value, given := change["pool."+field]
		if !given {
			continue
		}
		next, err := parsed(p, field, value)
		if err != nil {
			continue
		}
		p, paths = next, append(paths, "pool."+field)
	}
	return p, paths
}

package profiles

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"github.com/kabench/kabench/dialers/pool"
	"github.com/kabench/kabench/profiles/script"
)

// basedOn is the key with which a pool, a lab and facts of a server begin with a
// preset's values; the preset's name alone stands for the whole.
const basedOn = "preset"

// base is the preset's value for a field of type t: a pool's, a server's script,
// or what is known of a server. False for other types.
func base(t reflect.Type, name string) (v reflect.Value, is bool, err error) {
	switch t {
	case reflect.TypeFor[pool.Policy]():
		p, found := FindPool(name)
		if !found {
			return v, true, notFound("pool", name, pools.known())
		}
		policy := p.Pool
		policy.Resend = slices.Clone(policy.Resend)
		return reflect.ValueOf(policy), true, nil
	case reflect.TypeFor[script.Server](), reflect.TypeFor[ServerFacts]():
		p, found := FindServer(name)
		if !found {
			return v, true, notFound("server", name, servers.known())
		}
		if t == reflect.TypeFor[script.Server]() {
			return reflect.ValueOf(p.Lab), true, nil
		}
		facts := p.Facts
		facts.Take(p.Lab)
		return reflect.ValueOf(facts), true, nil
	}
	return v, false, nil
}

// beginWith sets v, the field at path, to the preset that n is the name of or
// names with the key preset. It reports whether n is a name and all is done.
func (d *decoder) beginWith(path string, n ast.Node, v reflect.Value) (done bool) {
	named := n
	if !isScalar(n) {
		if named = memberOf(n, basedOn); named == nil {
			return false
		}
	}
	if !isBasedOn(v.Type(), basedOn) {
		return false
	}
	if !isScalar(named) {
		d.bad(join(path, basedOn), placeOf(named), "give the name of a preset, or remove it")
		return false
	}
	name := named.GetToken().Value
	value, _, err := base(v.Type(), name)
	if err != nil {
		d.bad(path, placeOf(named), "%v", err)
		return isScalar(n)
	}
	v.Set(value)
	if v.Type() == reflect.TypeFor[pool.Policy]() {
		found, _ := FindPool(name)
		d.preset, d.based = found.Name, true
	}
	return isScalar(n)
}

// isBasedOn reports whether a key of a t at some path is not its own but names
// the preset it begins with.
func isBasedOn(t reflect.Type, key string) bool {
	if key != basedOn {
		return false
	}
	_, is, _ := base(t, "")
	return is
}

// memberOf is the value of a key of a mapping; nil if there is none.
func memberOf(n ast.Node, key string) ast.Node {
	var values []*ast.MappingValueNode
	switch n := n.(type) {
	case *ast.MappingNode:
		values = n.Values
	case *ast.MappingValueNode:
		values = []*ast.MappingValueNode{n}
	}
	for _, pair := range values {
		if isScalar(pair.Key) && pair.Key.GetToken().Value == key {
			return pair.Value
		}
	}
	return nil
}

// mostPaths bounds how many fields a complaint names.
const mostPaths = 4

// label gives p the preset that its pool began with, and refuses one that only
// labels a pool.
func (d *decoder) label(p *Profile) {
	labelled := p.Preset
	if d.based {
		p.Preset = d.preset
	}
	m, said := d.at["preset"]
	found, known := FindPool(labelled)
	switch {
	case !said || labelled == "" || !known || labelled == p.Preset && d.based:
		return // an unknown one is complained about by complaints
	case d.based && found.Name == p.Preset:
		return
	case d.based:
		d.errs = append(d.errs, Complaint{m.source, m.line, m.column, "preset", fmt.Sprintf("the pool is %s and not %s; remove this line", p.Preset, labelled)})
		return
	}
	changed := Overrides(p)
	if len(changed) == 0 {
		p.Preset = found.Name
		return
	}
	var paths []string
	for _, c := range changed {
		paths = append(paths, c.Path)
	}
	if n := len(paths); n > mostPaths {
		paths = append(paths[:mostPaths:mostPaths], fmt.Sprintf("%d others", n-mostPaths))
	}
	d.errs = append(d.errs, Complaint{m.source, m.line, m.column, "preset", fmt.Sprintf(
		"it only labels the pool, which is not that of %s: it differs in %s; write the name into the pool, as pool: %s, or pool: {preset: %s, %s: ...} with what you change (--set pool=%s)",
		found.Name, listOf(paths), found.Name, found.Name, strings.TrimPrefix(paths[0], "pool."), found.Name)})
}

// Override is a field of a pool that differs from the preset it began with.
type Override struct {
	Path   string // as in --set
	Preset string // the preset's value, as YAML
	Run    string // the pool's
}

// Overrides are the fields in which p's pool differs from its preset's, in their
// order; none without a preset.
func Overrides(p *Profile) []Override {
	preset, found := FindPool(p.Preset)
	if !found {
		return nil
	}
	var all []Override
	theirs, ours := reflect.ValueOf(preset.Pool), reflect.ValueOf(p.Pool)
	for f := range fieldsOf(theirs.Type()) {
		name, _ := fieldName(f)
		a, b := valueText(theirs.FieldByIndex(f.Index)), valueText(ours.FieldByIndex(f.Index))
		if a != b {
			all = append(all, Override{join("pool", name), a, b})
		}
	}
	return all
}

// valueText is a value as the profile writes it, on one line.
func valueText(v reflect.Value) string {
	e := encoder{}
	if err := e.pair("", "x", v); err != nil {
		return fmt.Sprint(v)
	}
	return strings.Join(strings.Fields(strings.TrimPrefix(e.text.String(), "x:")), " ")
}

// takesPreset are the paths that take a preset's name.
var takesPreset = map[string]bool{"pool": true, "target.lab": true, "server": true, "via": true}

// withoutBasedOn is the path of the section that path names the preset of:
// pool.preset sets pool.
func withoutBasedOn(path string) string {
	if section, found := strings.CutSuffix(path, "."+basedOn); found && takesPreset[section] {
		return section
	}
	return path
}

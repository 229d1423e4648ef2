package profiles

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/kabench/kabench/dialers/pool"
	"github.com/kabench/kabench/internal/strictyaml"
	"github.com/kabench/kabench/profiles/script"
)

// A Complaint is one thing wrong with a profile, and how to mend it. Its fields
// are Source (a file or a flag), Line and Column (from 1; 0: not known), Path (of
// the field, as --set takes it) and Text.
type Complaint = strictyaml.Complaint

// Errors is everything wrong with a profile: a list of Complaint.
type Errors = strictyaml.Errors

// A decoder reads profiles and parts of them. A pool, a lab and facts about a server
// may begin with a preset.
type decoder struct {
	*strictyaml.Decoder
	preset string   // the preset that the pool began with
	based  bool     // the pool began with a preset
	notes  []string // warnings about files that a setting named
}

// newDecoder makes a decoder of fields of a value such as defaults.
func newDecoder(defaults any) *decoder {
	d := &decoder{Decoder: strictyaml.NewDecoder(defaults)}
	d.Preset, d.NullText, d.Elsewhere = d.presetValue, reflect.TypeFor[Changes](), profilePaths
	return d
}

// warnings lists the fields that were written in an old spelling.
func (d *decoder) warnings() []string {
	list := slices.Clone(d.notes)
	for _, w := range d.Warnings {
		list = append(list, w.Error())
	}
	return list
}

var profilePaths = strictyaml.PathsOf(reflect.TypeFor[Profile](), "")

// Fields lists the paths of all fields of a profile, as --set takes them.
func Fields() []string { return slices.Clone(profilePaths) }

// presetValue is strictyaml.Decoder.Preset. It returns the preset's value for a pool,
// for a server's script or for facts about a server.
func (d *decoder) presetValue(t reflect.Type, name string) (v reflect.Value, may bool, err error) {
	switch t {
	case reflect.TypeFor[pool.Policy]():
		p, found := FindPool(name)
		if !found {
			return v, true, notFound("pool", name, pools.known())
		}
		d.preset, d.based = p.Name, true
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

// mostPaths bounds how many fields a complaint lists.
const mostPaths = 4

// label sets p.Preset to the preset that p's pool began with. It refuses a preset that
// only labels the pool, without giving it its values.
func (d *decoder) label(p *Profile) {
	labelled := p.Preset
	if d.based {
		p.Preset = d.preset
	}
	m, said := d.Places["preset"]
	found, known := FindPool(labelled)
	switch {
	case !said || labelled == "" || !known || labelled == p.Preset && d.based:
		return // complaints() reports an unknown one
	case d.based && found.Name == p.Preset:
		return
	case d.based:
		d.Errs = append(d.Errs, Complaint{Source: m.Source, Line: m.Line, Column: m.Column, Path: "preset", Text: fmt.Sprintf("the pool is %s and not %s; remove this line", p.Preset, labelled)})
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
	d.Errs = append(d.Errs, Complaint{Source: m.Source, Line: m.Line, Column: m.Column, Path: "preset", Text: fmt.Sprintf(
		"it names %s, but the pool differs from it in %s; write the name into the pool, as pool: %s, or pool: {preset: %s, %s: ...} with your changes (--set pool=%s)",
		found.Name, strings.Join(paths, ", "), found.Name, found.Name, strings.TrimPrefix(paths[0], "pool."), found.Name)})
}

// takesPreset are the paths of the fields that take a preset's name.
var takesPreset = map[string]bool{"pool": true, "target.lab": true, "server": true, "via": true}

// withoutPresetKey turns the path of a preset's name into that of the section that it
// fills: pool.preset sets pool.
func withoutPresetKey(path string) string {
	if section, found := strings.CutSuffix(path, "."+strictyaml.PresetKey); found && takesPreset[section] {
		return section
	}
	return path
}

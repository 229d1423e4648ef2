package profiles

import (
	"reflect"
	"slices"

	"github.com/kabench/kabench/dialers/pool"
	"github.com/kabench/kabench/internal/strictyaml"
)

// Preset is the pool of a real client, made in one of its ways, as a policy:
// what a file of the library holds, and what --pool takes.
type Preset struct {
	Name string   `yaml:"name"`
	Also []string `yaml:"also,omitempty"` // other names it goes by
	What string   `yaml:"what"`
	// Client is the family whose words its log would use: reactor-netty, go,
	// apache-hc4, ...; empty for kabench's own default.
	Client   string `yaml:"client,omitempty"`
	Versions string `yaml:"versions"` // it holds for
	// References says where the value of each parameter is from: the file in
	// the client's repository, its setting or its documentation.
	References map[string]string `yaml:"references,omitempty"`
	// Cannot is what the client does and a policy cannot express.
	Cannot []string    `yaml:"cannot,omitempty"`
	Pool   pool.Policy `yaml:"pool"`
	// Base is the preset that Pool began with, in a file; see Profile.Preset.
	Base string
	// Warnings are what was understood although it is written in an old spelling.
	Warnings []string
}

func (p Preset) names() []string { return append([]string{p.Name}, p.Also...) }

var pools presets[Preset]

func init() { pools = presetsIn("pool", "pools", parsePreset) } // whose pools may name one another

// Pools lists the presets, by name. They are the caller's to read, not to
// change.
func Pools() []Preset { return slices.Clone(pools.all()) }

// FindPool is the preset of that name.
func FindPool(name string) (Preset, bool) { return pools.find(name) }

// Text is the preset's YAML, comments and all; empty for one that is not of the
// library.
func (p Preset) Text() string { return fileText(pools.folder, p.Name) }

// LoadPool is a pool preset, or the pool in a YAML file: its parameters alone,
// or a document with them under `pool:`, which a profile is too. What they
// leave out is pool.Default's.
func LoadPool(nameOrFile string) (pool.Policy, error) {
	p, err := readPool(nameOrFile)
	return p.Pool, err
}

// readPool is LoadPool with the preset's name: that of the preset, or of the one
// that the file's pool began with.
func readPool(nameOrFile string) (Preset, error) {
	p, err := pools.read(nameOrFile)
	if _, found := FindPool(nameOrFile); found {
		p.Base = p.Name
	}
	p.Pool.Resend = slices.Clone(p.Pool.Resend) // the caller may change it
	return p, err
}

// parsePreset reads a pool: its parameters alone, a preset, or a profile.
func parsePreset(source string, data []byte) (Preset, error) {
	p := Preset{Pool: pool.Default()}
	d := newDecoder(p)
	section := d.partOfDocument(source, data, "pool", &p.Pool, &p, func(whole *Profile) {
		d.label(whole)
		p.Pool, d.preset = whole.Pool, whole.Preset
		if _, said := d.Places["pool"]; !said {
			d.Complain("pool", nil, "is not there, so the profile has no pool of its own; give pool, or name a preset ('kabench pools' lists them)")
		}
	})
	p.Base, p.Warnings = d.preset, d.warnings()
	refused := d.Errs
	for _, c := range strictyaml.Under(section, p.Pool.Validate()) {
		if !refused.Touch(c.Path) {
			d.Errs = append(d.Errs, d.Located(c, source))
		}
	}
	return p, WithoutSecrets(d.Errs.Err(), string(data))
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
	for f := range strictyaml.FieldsOf(theirs.Type()) {
		name, _ := strictyaml.FieldKey(f)
		a, b := strictyaml.ValueText(theirs.FieldByIndex(f.Index)), strictyaml.ValueText(ours.FieldByIndex(f.Index))
		if a != b {
			all = append(all, Override{strictyaml.Join("pool", name), a, b})
		}
	}
	return all
}

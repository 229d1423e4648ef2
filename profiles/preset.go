package profiles

import (
	"slices"

	"github.com/kabench/kabench/dialers/pool"
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
}

func (p Preset) names() []string { return append([]string{p.Name}, p.Also...) }

var pools = presetsIn("pool", "pools", parsePreset)

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
	p, err := pools.read(nameOrFile)
	p.Pool.Resend = slices.Clone(p.Pool.Resend) // the caller may change it
	return p.Pool, err
}

// parsePreset reads a pool: its parameters alone, a preset, or a profile.
func parsePreset(source string, data []byte) (Preset, error) {
	p := Preset{Pool: pool.Default()}
	d := newDecoder(p)
	section := d.partOfDocument(source, data, "pool", &p.Pool, &p, func(whole *Profile) { p.Pool = whole.Pool })
	refused := d.errs
	for _, c := range under(section, p.Pool.Validate()) {
		if !refused.touch(c.Path) {
			d.errs = append(d.errs, d.located(c, source))
		}
	}
	return p, WithoutSecrets(d.errs.asError(), string(data))
}

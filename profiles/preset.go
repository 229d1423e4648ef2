package profiles

import (
	"errors"
	"path"
	"reflect"
	"slices"
	"strings"

	"github.com/kabench/kabench/dialers/pool"
	"github.com/kabench/kabench/internal/strictyaml"
	"github.com/kabench/kabench/profiles/settings"
)

// Preset is the pool of a real client, in one of the ways to configure it, as a
// policy. It is the content of a file in the library, and what --pool takes.
type Preset struct {
	Name string   `yaml:"name"`           // what --pool takes
	Also []string `yaml:"also,omitempty"` // other names of the same preset
	What string   `yaml:"what"`           // the client, and how its pool is made
	// Client is the family of clients whose log texts apply: reactor-netty, go,
	// apache-hc4, ... It is empty for kabench's own default.
	Client   string `yaml:"client,omitempty"`
	Versions string `yaml:"versions"` // the client's versions that behave so
	// Run are the versions of the client that 'kabench conform' has played beside the
	// preset. It is empty if the values were only read.
	Run []string `yaml:"run,omitempty"`
	// References says where the value of each parameter comes from: a file in the
	// client's repository, a setting or its documentation.
	References map[string]string `yaml:"references,omitempty"`
	// Cannot lists what the client does and a policy cannot express.
	Cannot Limits `yaml:"cannot,omitempty"`
	// Settings are the client's own settings for fields of the pool. SettingsOf names the
	// preset that has them, if several presets are of one client.
	Settings   settings.Spellings `yaml:"settings,omitempty"`
	SettingsOf string             `yaml:"settings_of,omitempty"`
	Pool       pool.Policy        `yaml:"pool"`
	// Base is the preset that Pool began with; see Profile.Preset.
	Base string
	// Warnings lists the fields that are written in an old spelling.
	Warnings []string
}

func (p Preset) names() []string { return append([]string{p.Name}, p.Also...) }

var pools presets[Preset]

func init() { pools = presetsIn("pool", "pools", parsePreset) } // in init, because pools may name one another

// Pools lists the presets by name. The caller must not change them.
func Pools() []Preset { return slices.Clone(pools.all()) }

// FindPool returns the preset of that name.
func FindPool(name string) (Preset, bool) { return pools.find(name) }

// Text returns the preset's YAML with its comments; "" if the preset is not in the
// library. The settings of SettingsOf are written out.
func (p Preset) Text() string {
	text := fileText(pools.folder, p.Name)
	own, _, found := strings.Cut(text, "settings_of:")
	if !found {
		return text
	}
	_, theirs, _ := strings.Cut(fileText(pools.folder, p.SettingsOf), "\nsettings:")
	return own + "settings:" + theirs
}

// LoadPool returns the pool of a preset or of a YAML file. The file may hold the
// pool's parameters alone, or a document with them under `pool:`, such as a profile.
// Parameters that it leaves out are pool.Default's.
func LoadPool(nameOrFile string) (pool.Policy, error) {
	p, err := ReadPool(nameOrFile)
	return p.Pool, err
}

// ReadPool returns the preset of that name, or the pool in that file with the name of
// the preset that it began with.
func ReadPool(nameOrFile string) (Preset, error) {
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
	for _, c := range append(strictyaml.Under(section, p.Pool.Validate()), strictyaml.Under("settings", p.Settings.Validate())...) {
		if !refused.Touch(c.Path) {
			d.Errs = append(d.Errs, d.Located(c, source))
		}
	}
	if text := p.wrongSettingsOf(); text != "" {
		d.Errs = append(d.Errs, d.Located(Complaint{Path: "settings_of", Text: text}, source))
	}
	return p, WithoutSecrets(d.Errs.Err(), string(data))
}

// wrongSettingsOf is the complaint about SettingsOf, or "".
func (p Preset) wrongSettingsOf() string {
	switch {
	case p.SettingsOf != "" && len(p.Settings) > 0:
		return "contradicts settings; remove one"
	case p.SettingsOf != "" && !strings.Contains(fileText(pools.folder, p.SettingsOf), "\nsettings:"):
		return "there is no preset " + p.SettingsOf + " with settings; 'kabench pools' lists the presets"
	}
	return ""
}

// Override is a field of a pool that differs from the preset that the pool began with.
type Override struct {
	Path   string // as in --set
	Preset string // the preset's value, as YAML
	Run    string // the pool's value, as YAML
}

// Overrides lists the fields in which p's pool differs from its preset, in the order
// of the fields. There are none without a preset.
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

// Limit is something that a client does and its preset cannot express. In YAML it is a
// text, or a text with the stories of 'kabench conform' in which it shows:
//
//	cannot:
//	  - a FIN is seen only when the event loop runs
//	  - {what: a response cut within its headers is taken for a whole one, stories: [cut-headers-*]}
type Limit struct {
	What string `yaml:"what"` // in words
	// Stories are names of stories in which the client and the preset differ for this
	// reason. A * stands for any characters.
	Stories []string `yaml:"stories,omitempty"`
}

// Limits are all that a preset says it cannot express.
type Limits []Limit

// Texts lists what the limits are.
func (l Limits) Texts() []string {
	var texts []string
	for _, one := range l {
		texts = append(texts, one.What)
	}
	return texts
}

// Of returns the limit that explains a difference in a story.
func (l Limits) Of(story string) (Limit, bool) {
	for _, one := range l {
		for _, pattern := range one.Stories {
			if fits, err := path.Match(pattern, story); err == nil && fits {
				return one, true
			}
		}
	}
	return Limit{}, false
}

// UnmarshalYAML reads a text, or a text with stories.
func (l *Limit) UnmarshalYAML(decode func(any) error) error {
	var text string
	if decode(&text) == nil {
		*l = Limit{What: text}
		return nil
	}
	type whole Limit
	var w whole
	if err := decode(&w); err != nil {
		return err
	}
	if w.What == "" {
		return errors.New("says nothing; give what, a text")
	}
	for _, pattern := range w.Stories {
		if _, err := path.Match(pattern, ""); err != nil {
			return errors.New(pattern + " is not a pattern; write a story's name, with * for any characters")
		}
	}
	*l = Limit(w)
	return nil
}

// MarshalYAML writes a limit without stories as its text.
func (l Limit) MarshalYAML() (any, error) {
	if len(l.Stories) == 0 {
		return l.What, nil
	}
	type whole Limit
	return whole(l), nil
}

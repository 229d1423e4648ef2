package profiles

import (
	"slices"

	"github.com/kabench/kabench/internal/strictyaml"
	"github.com/kabench/kabench/profiles/script"
)

// ServerPreset is a real server, or the side of a proxy or load balancer that
// clients see, as a script of the lab: what a file of the library holds, and
// what `kabench lab --as` takes.
type ServerPreset struct {
	Name     string   `yaml:"name"`
	Also     []string `yaml:"also,omitempty"` // other names it goes by
	What     string   `yaml:"what"`
	Versions string   `yaml:"versions"` // it holds for
	// References says where each value is from, by its path: lab.idle_timeout.
	References map[string]string `yaml:"references,omitempty"`
	// Cannot is what the server does and the lab cannot.
	Cannot []string      `yaml:"cannot,omitempty"`
	Lab    script.Server `yaml:"lab"`
	// Facts is what is known of it beyond the script: what its limits are, and
	// that it forgets connections silently.
	Facts ServerFacts `yaml:"facts,omitempty"`
}

func (p ServerPreset) names() []string { return append([]string{p.Name}, p.Also...) }

var servers presets[ServerPreset]

func init() { servers = presetsIn("server", "servers", parseServer) } // whose labs may name one another

// Servers lists the server presets, by name. They are the caller's to read,
// not to change.
func Servers() []ServerPreset { return slices.Clone(servers.all()) }

// FindServer is the server preset of that name.
func FindServer(name string) (ServerPreset, bool) { return servers.find(name) }

// Text is the preset's YAML, comments and all; empty for one that is not of the
// library.
func (p ServerPreset) Text() string { return fileText(servers.folder, p.Name) }

// ReadServer is a server preset, or the one in a YAML file: the lab's settings
// alone, a document with them under `lab:`, or a profile with target.lab.
func ReadServer(nameOrFile string) (ServerPreset, error) { return servers.read(nameOrFile) }

// LoadServer is the script of ReadServer's server.
func LoadServer(nameOrFile string) (script.Server, error) {
	p, err := ReadServer(nameOrFile)
	return p.Lab, err
}

// parseServer reads a server: the lab's settings alone, a preset, or a profile.
func parseServer(source string, data []byte) (ServerPreset, error) {
	var p ServerPreset
	d, facts := newDecoder(p), "facts"
	section := d.partOfDocument(source, data, "lab", &p.Lab, &p, func(whole *Profile) {
		p.Name, p.What, p.Facts, facts = whole.Name, whole.Question, whole.Server, "server"
		if whole.Target.Lab == nil {
			d.Complain("target.lab", nil, "is not there, so the profile has no server of its own; give target.lab")
			return
		}
		p.Lab = *whole.Target.Lab
	})
	refused := d.Errs
	for _, c := range append(strictyaml.Under(section, p.Lab.Validate()), strictyaml.Under(facts, p.Facts.Validate())...) {
		if !refused.Touch(c.Path) {
			d.Errs = append(d.Errs, d.Located(c, source))
		}
	}
	return p, WithoutSecrets(d.Errs.Err(), string(data))
}

package profiles

import (
	"errors"
	"io/fs"
	"slices"
	"sync"

	"github.com/kabench/kabench/internal/lab"
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
	Cannot []string   `yaml:"cannot,omitempty"`
	Lab    lab.Config `yaml:"lab"`
	// Facts is what is known of it beyond the script: what its limits are, and
	// that it forgets connections silently.
	Facts ServerFacts `yaml:"facts,omitempty"`
}

const serverShelf = "servers"

// Servers lists the server presets, by name. They are the caller's to read,
// not to change.
func Servers() []ServerPreset { return slices.Clone(serverPresets()) }

var serverPresets = sync.OnceValue(func() []ServerPreset {
	var all []ServerPreset
	for _, e := range shelf(serverShelf) {
		p, _ := parseServer(e.Name, []byte(e.Text)) // a test holds that it loads
		all = append(all, p)
	}
	return all
})

// FindServer is the server preset of that name.
func FindServer(name string) (ServerPreset, bool) {
	for _, p := range serverPresets() {
		if p.Name == name || slices.Contains(p.Also, name) {
			return p, true
		}
	}
	return ServerPreset{}, false
}

// Text is the preset's YAML, comments and all; empty for one that is not of the
// library.
func (p ServerPreset) Text() string { return fileText(serverShelf, p.Name) }

// ReadServer is a server preset, or the one in a YAML file: the lab's settings
// alone, a document with them under `lab:`, or a profile with target.lab.
func ReadServer(nameOrFile string) (ServerPreset, error) {
	if p, found := FindServer(nameOrFile); found {
		return p, nil
	}
	data, err := readFile(nameOrFile)
	if errors.Is(err, fs.ErrNotExist) {
		var names []string
		for _, p := range serverPresets() {
			names = append(names, p.Name)
		}
		return ServerPreset{}, notFound("server", nameOrFile, names)
	}
	if err != nil {
		return ServerPreset{}, err
	}
	return parseServer(nameOrFile, data)
}

// LoadServer is the script of ReadServer's server.
func LoadServer(nameOrFile string) (lab.Config, error) {
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
			d.bad("target.lab", nil, "is not there, so the profile has no server of its own; give target.lab")
			return
		}
		p.Lab = *whole.Target.Lab
	})
	refused := d.errs
	for _, c := range append(under(section, p.Lab.Validate()), under(facts, p.Facts.Validate())...) {
		if !refused.touch(c.Path) {
			d.errs = append(d.errs, d.located(c, source))
		}
	}
	return p, d.errs.asError()
}

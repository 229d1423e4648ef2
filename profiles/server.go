package profiles

import (
	"fmt"
	"slices"
	"time"

	"github.com/kabench/kabench/internal/strictyaml"
	"github.com/kabench/kabench/profiles/script"
)

// ServerPreset is a real server, or the client's side of a proxy or load balancer, as
// a script of the lab. It is the content of a file in the library, and what `kabench
// lab --as` takes.
type ServerPreset struct {
	Name string   `yaml:"name"`           // what lab --as takes
	Also []string `yaml:"also,omitempty"` // other names of the same preset
	What string   `yaml:"what"`           // the server, in words
	// OnTheWay says that it lies between clients and servers: what --via takes.
	OnTheWay bool   `yaml:"on_the_way,omitempty"`
	Versions string `yaml:"versions"` // the server's versions that behave so
	// References says where each value comes from, by its path: lab.idle_timeout.
	References map[string]string `yaml:"references,omitempty"`
	// Cannot lists what the server does and the lab cannot.
	Cannot []string      `yaml:"cannot,omitempty"`
	Lab    script.Server `yaml:"lab"`
	// Facts describes the server beyond the script: its limits, and whether it forgets
	// connections silently.
	Facts ServerFacts `yaml:"facts,omitempty"`
	// Measured is what a measurement of this server found; nil for a preset.
	Measured *Measured `yaml:"measured,omitempty"`
}

// Measured is how a server was measured, and how exact the measurement is. `kabench
// probe` and `kabench autopsy` write it.
type Measured struct {
	URL  string    `yaml:"url"`  // what was measured
	From string    `yaml:"from"` // probe or autopsy
	At   time.Time `yaml:"at"`   // when
	// IdleMin, IdleMedian and IdleMax are of the times from the response to the close, of
	// Closes connections. IdleLow and IdleHigh are the 95 % interval of the median.
	Closes     int           `yaml:"closes"`
	IdleMin    time.Duration `yaml:"idle_min,omitempty"`
	IdleLow    time.Duration `yaml:"idle_low,omitempty"`
	IdleMedian time.Duration `yaml:"idle_median,omitempty"`
	IdleHigh   time.Duration `yaml:"idle_high,omitempty"`
	IdleMax    time.Duration `yaml:"idle_max,omitempty"`
	// Idle are these times in order; of more than 40, as many that stand for them. IdleSlack
	// is by how much they may be late, because the machine that measured was.
	Idle      []time.Duration `yaml:"idle,omitempty"`
	IdleSlack time.Duration   `yaml:"idle_slack,omitempty"`
	// LongerThan: no idle connection was closed within this time.
	LongerThan time.Duration `yaml:"longer_than,omitempty"`
	Close      string        `yaml:"close,omitempty"` // fin, rst or close_notify
	// RoundTrip is the median of TCP handshakes, Response from request to response.
	// RoundTripMax and ResponseMax are the longest.
	RoundTrip    time.Duration `yaml:"round_trip,omitempty"`
	RoundTripMax time.Duration `yaml:"round_trip_max,omitempty"`
	Response     time.Duration `yaml:"response,omitempty"`
	ResponseMax  time.Duration `yaml:"response_max,omitempty"`
}

// complaints are about the section measured.
func (m *Measured) complaints() Errors {
	if m == nil {
		return nil
	}
	negative := func(list ...time.Duration) bool {
		return slices.ContainsFunc(list, func(d time.Duration) bool { return d < 0 })
	}
	return broken("measured",
		rule{m.Closes < 0, "closes", fmt.Sprintf("%d is negative", m.Closes)},
		rule{negative(m.IdleMin, m.IdleLow, m.IdleMedian, m.IdleHigh, m.IdleMax), "idle_min", "the times of closes are negative; want 0 or more"},
		rule{m.IdleMin > m.IdleMedian || m.IdleMedian > m.IdleMax, "idle_median", fmt.Sprintf("%v is not between idle_min (%v) and idle_max (%v)", m.IdleMedian, m.IdleMin, m.IdleMax)},
		rule{negative(m.Idle...), "idle", "has a negative time; want 0 or more"},
		rule{negative(m.IdleSlack), "idle_slack", fmt.Sprintf("%v is negative", m.IdleSlack)},
		rule{negative(m.LongerThan), "longer_than", fmt.Sprintf("%v is negative", m.LongerThan)},
		rule{negative(m.RoundTrip, m.RoundTripMax), "round_trip", "is negative; want 0 or more"},
		rule{negative(m.Response, m.ResponseMax), "response", "is negative; want 0 or more"},
	)
}

func (p ServerPreset) names() []string { return append([]string{p.Name}, p.Also...) }

var servers presets[ServerPreset]

func init() { servers = presetsIn("server", "servers", parseServer) } // in init, because labs may name one another

// Servers lists the server presets by name. The caller must not change them.
func Servers() []ServerPreset { return slices.Clone(servers.all()) }

// FindServer returns the server preset of that name.
func FindServer(name string) (ServerPreset, bool) { return servers.find(name) }

// Text returns the preset's YAML with its comments; "" if the preset is not in the
// library.
func (p ServerPreset) Text() string { return fileText(servers.folder, p.Name) }

// ReadServer returns a server preset, or the server in a YAML file: the lab's settings
// alone, a document with them under `lab:`, or a profile with target.lab.
func ReadServer(nameOrFile string) (ServerPreset, error) { return servers.read(nameOrFile) }

// LoadServer returns the script of a server preset or file.
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
	for _, c := range slices.Concat(strictyaml.Under(section, p.Lab.Validate()), strictyaml.Under(facts, p.Facts.Validate()), p.Measured.complaints()) {
		if !refused.Touch(c.Path) {
			d.Errs = append(d.Errs, d.Located(c, source))
		}
	}
	return p, WithoutSecrets(d.Errs.Err(), string(data))
}

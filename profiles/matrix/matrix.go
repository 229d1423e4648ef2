package matrix

import (
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"

	"github.com/kabench/kabench/internal/strictyaml"
	"github.com/kabench/kabench/profiles"
)

// Matrix is a comparison to make: a profile, and the fields that take one value after
// another. It is what `kabench compare` reads from a file.
type Matrix struct {
	Profile  string           `yaml:"profile"`  // a name, or a file relative to the matrix file's directory
	Name     string           `yaml:"name"`     // of the comparison; "": the profile's
	Question string           `yaml:"question"` // what the comparison answers; "": the profile's
	Set      profiles.Changes `yaml:"set"`      // for all arms
	Axes     Axes             `yaml:"axes"`
	Repeats  int              `yaml:"repeats"`   // how often each arm is run
	Seed     uint64           `yaml:"seed"`      // of the order of runs; 0: a new one
	CoolDown time.Duration    `yaml:"cool_down"` // the longest wait between two runs, until no TIME_WAIT sockets are left
	// Has contains the keys that were given, for fields whose zero value does not show
	// it.
	Has map[string]bool `yaml:"-"`

	file string `yaml:"-"` // the file it was read from
}

// Axes are fields with their values, in the order in which they were given.
type Axes []Axis

// Axis is one field of the profile and its values, as --set takes them.
type Axis struct {
	Path   string
	Values []string
	// Sources say where each value was given, for complaints: "matrix.yaml:4:22".
	Sources []string
	// Paths are the fields that the values are for, if they are not all for Path: a pool and
	// a driver are both kinds of client. nil: Path.
	Paths []string
}

// Load reads a matrix. name stands for the data in complaints. The error is an Errors.
// Load does not check whether the paths and values fit the profile; Plan does.
func Load(name string, data []byte) (*Matrix, error) {
	m := &Matrix{Has: map[string]bool{}, file: name}
	d := decoder{strictyaml.NewDecoder(Matrix{})}
	d.NullText = reflect.TypeFor[profiles.Changes]()
	d.Source, d.Lined = name, true
	n := d.Document(data)
	if n == nil && len(d.Errs) == 0 {
		d.Complain("", nil, "is empty; it needs a profile and axes")
	}
	if n == nil {
		return nil, profiles.WithoutSecrets(d.Errs.Err(), string(data))
	}
	for key, value := range d.Pairs("", n) {
		m.Has[key.Value] = true
		switch i, known := strictyaml.FieldNamed(reflect.TypeFor[Matrix](), key.Value); {
		case !known || key.Value == "-":
			d.Complain(key.Value, key, "unknown key; the keys of a matrix are %s", matrixKeys)
		case key.Value == "axes":
			m.Axes = d.axes(key, value)
		default:
			d.Decode(key.Value, value, reflect.ValueOf(m).Elem().FieldByIndex(i))
		}
	}
	for _, c := range m.complaints() {
		if !d.Errs.Touch(c.Path) {
			d.Errs = append(d.Errs, d.Located(c, name))
		}
	}
	if len(d.Errs) > 0 {
		return nil, profiles.WithoutSecrets(d.Errs, string(data))
	}
	return m, nil
}

var matrixKeys = strings.Join(strictyaml.KeysOf(reflect.TypeFor[Matrix]())[:8], ", ") // without Has

func (m *Matrix) complaints() (list profiles.Errors) {
	if m.Profile == "" {
		list = append(list, profiles.Complaint{Path: "profile", Text: "which profile? name one ('kabench profiles' and 'kabench incidents' list some) or its file"})
	}
	if _, known := profiles.Find(m.Profile); m.Profile != "" && !known && !strings.ContainsAny(m.Profile, `./\`) {
		list = append(list, profiles.Complaint{Path: "profile", Text: profiles.NotFound(m.Profile).Error()})
	}
	if len(m.Axes) == 0 {
		list = append(list, profiles.Complaint{Path: "axes", Text: "which fields differ? for example pool.idle_timeout: [0, 3s]"})
	}
	if m.Has["repeats"] && m.Repeats < 1 {
		list = append(list, profiles.Complaint{Path: "repeats", Text: fmt.Sprintf("%d is not at least 1", m.Repeats)})
	}
	if m.CoolDown < 0 {
		list = append(list, profiles.Complaint{Path: "cool_down", Text: fmt.Sprintf("%v is below 0", m.CoolDown)})
	}
	return list
}

// A decoder reads a matrix.
type decoder struct{ *strictyaml.Decoder }

// axes reads the mapping of paths to lists of values.
func (d decoder) axes(key *token.Token, n ast.Node) (axes Axes) {
	for path, value := range d.Pairs("axes", n) {
		at := strictyaml.Join("axes", path.Value)
		list, ok := value.(*ast.SequenceNode)
		if !ok {
			d.Complain(at, path, "is %s; a list of values belongs here, as [0, 3s]", strictyaml.Describe(value))
			continue
		}
		axis := Axis{Path: path.Value}
		for _, element := range list.Values {
			text, ok := d.SetText(at, element)
			if !ok {
				continue
			}
			m := d.MarkOf(element)
			axis.Values = append(axis.Values, text)
			axis.Sources = append(axis.Sources, fmt.Sprintf("%s:%d:%d", m.Source, m.Line, m.Column))
		}
		if len(list.Values) == 0 {
			d.Complain(at, path, "has no values; give some, as [0, 3s]")
		}
		axes = append(axes, axis)
	}
	return axes
}

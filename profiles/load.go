package profiles

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"

	"github.com/kabench/kabench/internal/nearest"
	"github.com/kabench/kabench/internal/strictyaml"
)

// Load reads a profile onto Default, applies sets, each of the form path=value, and
// validates the result. name stands for the data in complaints. Empty data makes a
// profile from sets alone. The error is an Errors with all complaints.
func Load(name string, data []byte, sets []string) (*Profile, error) {
	p := Default()
	d := newDecoder(Default())
	d.Source, d.Lined = name, true
	d.document(data, reflect.ValueOf(&p).Elem())
	d.label(&p)
	for _, set := range sets {
		d.setArgument(&p, set)
	}
	// A field that was refused is not reported again as missing.
	refused := d.Errs
	for _, c := range p.complaints() {
		if !refused.Touch(c.Path) {
			d.Errs = append(d.Errs, d.Located(c, name))
		}
	}
	if len(d.Errs) > 0 {
		return nil, WithoutSecrets(d.Errs, append(slices.Clone(sets), string(data))...)
	}
	p.Warnings = d.warnings()
	if p.Client == ClientExternal {
		embedded, found := Find(name)
		p.Given = d.given(&p, found && embedded.Text == string(data))
	}
	return &p, nil
}

// LoadFile loads the profile in a file.
func LoadFile(path string, sets []string) (*Profile, error) {
	data, err := readFile(path)
	if err != nil {
		return nil, err
	}
	return Load(path, data, sets)
}

// Open loads the profile of that name in the library, or the one in that file, and
// applies sets, each of the form path=value. "" makes a profile from sets alone.
func Open(nameOrFile string, sets []string) (*Profile, error) {
	switch {
	case nameOrFile == "":
		return Load("", nil, sets)
	case IsFile(nameOrFile):
		if data, err := os.ReadFile(nameOrFile); err == nil && IsMatrix(data) {
			return nil, fmt.Errorf("%s is a matrix of settings, not a profile: kabench compare %s", nameOrFile, nameOrFile)
		}
		return LoadFile(nameOrFile, sets)
	}
	embedded, found := Find(nameOrFile)
	if !found {
		return nil, NotFound(nameOrFile)
	}
	return Load(embedded.Name, []byte(embedded.Text), sets)
}

// IsFile reports whether nameOrFile is a file's path: it contains a dot or a slash.
// Otherwise it is a name.
func IsFile(nameOrFile string) bool { return strings.ContainsAny(nameOrFile, `./\`) }

// IsMatrix reports whether a YAML text is a matrix and not a profile: it has the key
// axes or profile.
func IsMatrix(data []byte) bool {
	var d strictyaml.Decoder
	n := d.Document(data)
	return n != nil && (strictyaml.HasKey(n, "axes") || strictyaml.HasKey(n, "profile"))
}

// readFile reads a file up to strictyaml.MaxSize bytes, and one byte more if it is
// larger.
func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, strictyaml.MaxSize+1))
	if err != nil {
		return nil, err // an *fs.PathError, which names the file
	}
	return data, nil
}

// document decodes the one document in data to v.
func (d *decoder) document(data []byte, v reflect.Value) {
	if n := d.Document(data); n != nil {
		d.Decode("", n, v)
	}
}

// notFound returns the error for a name that is not among names.
func notFound(what, name string, names []string) error {
	hint := "known are " + strings.Join(names, ", ")
	if list, found := map[string]string{"profile": "'kabench profiles' and 'kabench incidents' list", "pool": "'kabench pools' lists", "server": "'kabench servers' lists"}[what]; found {
		hint = list + " them"
	}
	if near := nearest.Name(name, names); near != "" {
		hint = fmt.Sprintf("did you mean %s?", near) // a list of all names would hide the nearest one
	}
	return errors.New(what + " " + name + ": no such name or file; " + hint)
}

// Marshal writes p as YAML. It leaves out only what is empty and optional, so that a
// valid p loads back to the same profile. Redact p first to remove secrets.
func Marshal(p *Profile) ([]byte, error) {
	bare := *p
	bare.Preset = "" // it is written as a key of the pool
	return strictyaml.Marshal(bare, strictyaml.Extra{Section: "pool", Key: strictyaml.PresetKey, Value: p.Preset})
}

// MarshalJSON writes what Marshal writes, as JSON.
func (p Profile) MarshalJSON() ([]byte, error) {
	text, err := Marshal(&p)
	if err != nil {
		return nil, err
	}
	var document map[string]any
	if err := yaml.Unmarshal(text, &document); err != nil {
		return nil, err
	}
	return json.Marshal(document)
}

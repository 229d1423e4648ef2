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

// Load reads a profile onto Default, applies sets, each of the form path=value,
// and validates the outcome. The name stands for the data in complaints; empty
// data is a profile made of sets alone. The error is an Errors with every
// complaint there is.
func Load(name string, data []byte, sets []string) (*Profile, error) {
	p := Default()
	d := newDecoder(Default())
	d.Source, d.Lined = name, true
	d.document(data, reflect.ValueOf(&p).Elem())
	d.label(&p)
	for _, set := range sets {
		d.setArgument(&p, set)
	}
	// What was refused is not complained about again for being absent.
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
	return &p, nil
}

// LoadFile is Load of a file.
func LoadFile(path string, sets []string) (*Profile, error) {
	data, err := readFile(path)
	if err != nil {
		return nil, err
	}
	return Load(path, data, sets)
}

// readFile reads a file of at most strictyaml.MaxSize bytes.
func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, strictyaml.MaxSize+1))
	if err != nil {
		return nil, err // an *fs.PathError: it names the file
	}
	return data, nil
}

// document decodes the one document in data to v.
func (d *decoder) document(data []byte, v reflect.Value) {
	if n := d.Document(data); n != nil {
		d.Decode("", n, v)
	}
}

// notFound is the error for a name that is none of names.
func notFound(what, name string, names []string) error {
	hint := "known are " + strings.Join(names, ", ")
	if list, found := map[string]string{"profile": "'kabench profiles' and 'kabench incidents' list", "pool": "'kabench pools' lists", "server": "'kabench servers' lists"}[what]; found {
		hint = list + " them"
	}
	if near := nearest.Name(name, names); near != "" {
		hint = fmt.Sprintf("did you mean %s?", near) // the whole list would bury it
	}
	return errors.New(what + " " + name + ": no such name or file; " + hint)
}

// Marshal writes p as YAML with nothing left out but what is empty and
// optional. A valid p loads back to the same; see also Redact.
func Marshal(p *Profile) ([]byte, error) {
	bare := *p
	bare.Preset = "" // the pool has it
	return strictyaml.Marshal(bare, strictyaml.Extra{Section: "pool", Key: strictyaml.PresetKey, Value: p.Preset})
}

// MarshalJSON is what Marshal writes, as JSON.
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

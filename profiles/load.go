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
	"time"

	"github.com/goccy/go-yaml"

	"github.com/kabench/kabench/generator"
	"github.com/kabench/kabench/internal/nearest"
	"github.com/kabench/kabench/internal/strictyaml"
	"github.com/kabench/kabench/profiles/trace"
)

// Load reads a profile onto Default, applies sets, each of the form path=value, and
// validates the result. A log that the load names is read (load.trace). name stands for the data in complaints. Empty data makes a
// profile from sets alone. The error is an Errors with all complaints.
func Load(name string, data []byte, sets []string) (*Profile, error) {
	p, d, err := load(name, data, sets)
	if err != nil || !p.Load.Trace.Set() {
		return p, err
	}
	if err := p.readTrace(); err != nil {
		return nil, WithoutSecrets(Errors{d.Located(Complaint{Path: "load.trace", Text: err.Error()}, name)}, append(slices.Clone(sets), string(data))...)
	}
	return p, nil
}

// LoadSent is Load for a profile that somebody else has sent: it reads no log. See
// TakeTrace.
func LoadSent(name string, data []byte) (*Profile, error) {
	p, _, err := load(name, data, nil)
	return p, err
}

func load(name string, data []byte, sets []string) (*Profile, *decoder, error) {
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
		return nil, nil, WithoutSecrets(d.Errs, append(slices.Clone(sets), string(data))...)
	}
	p.Warnings = d.warnings()
	if p.Client == ClientExternal {
		embedded, found := Find(name)
		p.Given = d.given(&p, found && embedded.Text == string(data))
	}
	return &p, d, nil
}

// TakeTrace reads the log that p's load names. It changes nothing else of p.
func (p *Profile) TakeTrace() error {
	times, notes, err := trace.Read(p.Load.Trace)
	if err != nil {
		return err
	}
	p.Load.Times = times
	for _, note := range notes {
		if note = "load.trace: " + note; !slices.Contains(p.Warnings, note) {
			p.Warnings = append(p.Warnings, note)
		}
	}
	return nil
}

// SentTrace gives a profile that is sent to others its log: the times of the requests that it
// sends, and no more. p then names it in the format of the file returned.
func (p *Profile) SentTrace() ([]byte, error) {
	data, err := trace.Packed(p.Load)
	p.Load.Trace = generator.Trace{File: p.Load.Trace.File, Format: "requests", Speed: p.Load.Trace.Speed}
	return data, err
}

// readTrace reads the log that p's load names. The load lasts no longer than the log.
func (p *Profile) readTrace() error {
	if err := p.TakeTrace(); err != nil {
		return err
	}
	l := &p.Load
	lasts := l.Times.Length()
	switch left := lasts - l.WarmUp; {
	case left <= 0:
		return fmt.Errorf("%s has requests for %v only, and load.warm_up (%v) takes them all; shorten it", l.Trace.File, lasts.Round(time.Millisecond), l.WarmUp)
	case l.Duration == 0 && l.Count == 0:
		l.Duration = left
	case l.Duration > left:
		p.Warnings = append(p.Warnings, fmt.Sprintf("load.duration: %v is longer than %s, which lasts %v; the run ends with it", l.Duration, l.Trace.File, lasts.Round(time.Millisecond)))
		l.Duration = left
	}
	return nil
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
	// A list of all names would hide the nearest ones.
	if some := containing(name, names); len(some) > 0 && len(some) <= 8 {
		hint = fmt.Sprintf("did you mean %s?", strings.Join(some, ", or "))
	} else if near := nearest.Name(name, names); near != "" {
		hint = fmt.Sprintf("did you mean %s?", near)
	}
	return errors.New(what + " " + name + ": no such name or file; " + hint)
}

// containing returns the names that contain a word of at least three characters.
func containing(word string, names []string) (some []string) {
	for _, name := range names {
		if len(word) >= 3 && strings.Contains(name, strings.ToLower(word)) {
			some = append(some, name)
		}
	}
	return some
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

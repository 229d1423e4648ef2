package profiles

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml/ast"
	"github.com/kabench/kabench/internal/nearest"
)

// maxSize bounds the text of a profile, in bytes. A body that is larger belongs
// in a target file.
const maxSize = 64 << 10

// Load reads a profile onto Default, applies sets, each of the form path=value,
// and validates the outcome. The name stands for the data in complaints; empty
// data is a profile made of sets alone. The error is an Errors with every
// complaint there is.
func Load(name string, data []byte, sets []string) (*Profile, error) {
	p := Default()
	d := newDecoder(Default())
	d.source, d.lined = name, true
	d.document(data, reflect.ValueOf(&p).Elem())
	d.label(&p)
	for _, set := range sets {
		d.setArgument(&p, set)
	}
	// What was refused is not complained about again for being absent.
	refused := d.errs
	for _, c := range p.complaints() {
		if !refused.touch(c.Path) {
			d.errs = append(d.errs, d.located(c, name))
		}
	}
	if len(d.errs) > 0 {
		return nil, WithoutSecrets(d.errs, append(slices.Clone(sets), string(data))...)
	}
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

// readFile reads a file of at most maxSize bytes.
func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxSize+1))
	if err != nil {
		return nil, err // an *fs.PathError: it names the file
	}
	return data, nil
}

// document decodes the one document in data to v.
func (d *decoder) document(data []byte, v reflect.Value) {
	if n := d.parseDocument(data); n != nil {
		d.decode("", n, v)
	}
}

// parseDocument is the one document in data; nil, after a complaint if there is
// cause for one, when there is none.
func (d *decoder) parseDocument(data []byte) ast.Node {
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	switch {
	case len(data) > maxSize:
		d.bad("", nil, "longer than %d bytes; put large bodies into a target file (target.file)", maxSize)
		return nil
	case !utf8.Valid(data):
		d.bad("", nil, "not UTF-8 text")
		return nil
	}
	return d.parse("", string(data))
}

// located adds to a complaint where its field was set, or the nearest section
// around it; the file as a whole when neither is in it.
func (d *decoder) located(c Complaint, file string) Complaint {
	for path := c.Path; path != ""; {
		if m, found := d.at[path]; found {
			c.Source, c.Line, c.Column = m.source, m.line, m.column
			return c
		}
		path = path[:max(strings.LastIndexByte(path, '.'), 0)]
	}
	c.Source = file
	return c
}

// touch reports whether e complains about the field at path, a section around
// it or a field within it, or about the whole.
func (e Errors) touch(path string) bool {
	for _, c := range e {
		if c.Path == "" || c.Path == path || strings.HasPrefix(path, c.Path+".") || strings.HasPrefix(c.Path, path+".") {
			return true
		}
	}
	return false
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

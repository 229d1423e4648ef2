package profiles

import (
	"errors"
	"io/fs"
	"slices"
	"sync"
)

// presets is a folder of the library whose files each hold a T.
type presets[T named] struct {
	kind, folder string
	parse        func(source string, data []byte) (T, error)
	all          func() []T // by name
}

// named has a name, which comes first, and perhaps further names.
type named interface{ names() []string }

func presetsIn[T named](kind, folder string, parse func(string, []byte) (T, error)) presets[T] {
	return presets[T]{kind, folder, parse, sync.OnceValue(func() []T {
		var all []T
		for _, e := range shelf(folder) {
			p, _ := parse(e.Name, []byte(e.Text)) // a test checks that it loads
			all = append(all, p)
		}
		return all
	})}
}

func (s presets[T]) find(name string) (found T, ok bool) {
	for _, p := range s.all() {
		if slices.Contains(p.names(), name) {
			return p, true
		}
	}
	return found, false
}

// known lists the first names of all presets.
func (s presets[T]) known() (names []string) {
	for _, p := range s.all() {
		names = append(names, p.names()[0])
	}
	return names
}

// read returns the preset of that name, or the one in that file.
func (s presets[T]) read(nameOrFile string) (T, error) {
	p, found := s.find(nameOrFile)
	if found {
		return p, nil
	}
	data, err := readFile(nameOrFile)
	if errors.Is(err, fs.ErrNotExist) {
		return p, notFound(s.kind, nameOrFile, s.known())
	}
	if err != nil {
		return p, err
	}
	return s.parse(nameOrFile, data)
}

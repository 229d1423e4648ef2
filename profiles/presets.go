package profiles

import (
	"errors"
	"io/fs"
	"slices"
	"sync"
)

// presets is a folder of the library in which each file holds a T.
type presets[T named] struct {
	kind, folder string
	parse        func(source string, data []byte) (T, error)
	all          func() []T // by name
}

// named is what has a name, which comes first, and maybe others it goes by.
type named interface{ names() []string }

func presetsIn[T named](kind, folder string, parse func(string, []byte) (T, error)) presets[T] {
	return presets[T]{kind, folder, parse, sync.OnceValue(func() []T {
		var all []T
		for _, e := range shelf(folder) {
			p, _ := parse(e.Name, []byte(e.Text)) // a test holds that it loads
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

// known are the names of all.
func (s presets[T]) known() (names []string) {
	for _, p := range s.all() {
		names = append(names, p.names()[0])
	}
	return names
}

// read is the preset of that name, or what is in the file.
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

package drivers

import (
	"embed"
	"fmt"
	"io/fs"
	"os/exec"
	"path"
	"slices"
	"strings"

	"github.com/kabench/kabench/dialers/external"
	"github.com/kabench/kabench/internal/nearest"
)

// sources are the sources of all drivers, in a folder for each language.
//
//go:embed */*
var sources embed.FS

// Language says with which tools a driver is built, and how it is started.
type Language string

const (
	Java   Language = "Java"
	Node   Language = "Node.js"
	Python Language = "Python"
	Ruby   Language = "Ruby"
	Rust   Language = "Rust"
	Go     Language = "Go"
)

// Entry describes a driver and, as data, how it is built.
type Entry struct {
	Name     string   // what users write, as reactor-netty
	Client   string   // the client's name, as Reactor Netty
	Version  string   // the client's version; empty if the machine has its own, as the JDK's client and nginx
	Language Language // of the driver
	Preset   []string // the pool presets that imitate the client, the one of its defaults first
	Note     string   // a sentence for users, or empty
	// Settings are the settings, by the client's own names, with which the client is what a
	// preset imitates, for presets that its settings for fields of the pool do not tell.
	Settings map[string]map[string]any

	// Sources are the files of the driver, named by their paths in this package:
	// java/kit/Kit.java. A file keeps its base name in the directory where it is built, except
	// as "from=to": node/undici.json=package.json.
	Sources []string
	// From has the sources; nil: this package. Programs that are not drivers can so be built as drivers are.
	From fs.FS
	// Main is what is started: the class for Java, the script for Node.js, Python and Ruby,
	// the name of the binary for Rust. Go needs none.
	Main string
	// Args follow Main on the command line.
	Args []string
	// Env is added to the environment of the driver.
	Env []string
	// Flags are for the runtime, before Main: of the JVM, node, python or ruby.
	Flags []string
	// Pins are packages with exact versions, for Java: group:artifact:version. Maven takes
	// what they depend on at the versions that their own descriptions name. The other
	// languages have a file of their own for it among Sources: package.json and
	// package-lock.json, requirements.txt, Cargo.toml, go.mod and go.sum.
	Pins []string
	// Tools are needed on this machine beside those of the language: names from tools.go.
	Tools []string
}

// All returns the drivers, by language.
func All() []Entry {
	return slices.Concat(javaDrivers, nodeDrivers, pythonDrivers, rubyDrivers, rustDrivers, goDrivers, proxyDrivers)
}

// Find returns the driver with this name. Its error names the nearest.
func Find(name string) (Entry, error) {
	all := All()
	names := make([]string, len(all))
	for i, e := range all {
		if e.Name == name {
			return e, nil
		}
		names[i] = e.Name
	}
	hint := "'kabench driver list' shows all"
	if near := nearest.Name(name, names); near != "" {
		hint = fmt.Sprintf("did you mean %s? %s", near, hint)
	}
	return Entry{}, fmt.Errorf("there is no driver %s; %s", name, hint)
}

// Command returns the command of a driver by its name or its command line: what users give as
// NAME|COMMAND. A driver of kabench's own must be built; the error is a [*NotBuiltError] if it
// is not. A single word that is neither a driver nor a program gets the error of [Find].
func Command(text string) (external.Command, error) {
	e, unknown := Find(text)
	if unknown == nil {
		c, built := e.Built()
		if !built {
			return c, &NotBuiltError{e.Name}
		}
		return c, nil
	}
	c, err := external.ParseCommand(text)
	if err == nil && len(c.Argv) == 1 {
		_, none := exec.LookPath(c.Argv[0])
		switch {
		case none == nil:
		case strings.ContainsRune(c.Argv[0], '/'): // a path is no name with a typo
			return c, fmt.Errorf("the driver %s cannot be started: %w", c.Argv[0], none)
		default:
			return c, unknown
		}
	}
	return c, err
}

// file is a source of a driver.
type file struct {
	name string // where it is built
	data []byte
}

// files reads the sources of the driver.
func (e Entry) files() ([]file, error) {
	in := e.From
	if in == nil {
		in = sources
	}
	files := make([]file, 0, len(e.Sources))
	for _, s := range e.Sources {
		from, to, renamed := strings.Cut(s, "=")
		if !renamed {
			to = path.Base(from)
		}
		data, err := fs.ReadFile(in, from)
		if err != nil {
			return nil, fmt.Errorf("driver %s: source %s: %w", e.Name, from, err)
		}
		files = append(files, file{to, data})
	}
	return files, nil
}

// has says whether the driver has a source that is built under this name.
func (e Entry) has(name string) bool {
	return slices.ContainsFunc(e.Sources, func(s string) bool {
		from, to, renamed := strings.Cut(s, "=")
		return renamed && to == name || !renamed && path.Base(from) == name
	})
}

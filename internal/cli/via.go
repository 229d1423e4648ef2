package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/kabench/kabench/internal/usage"
	"github.com/kabench/kabench/internal/way"
	"github.com/kabench/kabench/profiles"
)

// Via is the flag --via: what lies on the way between client and server.
type Via struct{ Name string }

// Flag adds --via to f.
func (v *Via) Flag(f *pflag.FlagSet, text string) { f.Var((*viaValue)(v), "via", text) }

// viaValue refuses a second --via: a section via describes one device, and the last one given
// would silently take the place of the others.
type viaValue Via

func (v *viaValue) String() string { return v.Name }
func (v *viaValue) Type() string   { return "string" }

func (v *viaValue) Set(name string) error {
	if v.Name != "" {
		return &usage.Twice{Flag: "via", First: v.Name, Second: name, Why: "it names the one device on the way"}
	}
	v.Name = name
	return nil
}

// Before returns the sets that the profile is loaded with: with --via, those of the section
// via change what it names, and not the profile's.
func (v *Via) Before(sets []string) []string {
	if v.Name == "" {
		return sets
	}
	return slices.DeleteFunc(slices.Clone(sets), func(set string) bool { return aboutVia(set) })
}

func aboutVia(set string) bool {
	return strings.HasPrefix(set, "via.") || strings.HasPrefix(set, "via=")
}

// Describe writes what --via names into p's section via, and then applies those of the sets
// that are about it. Without --via it does nothing.
func (v *Via) Describe(p *profiles.Profile, sets []string) error {
	if v.Name == "" {
		return nil
	}
	preset, err := profiles.ReadServer(v.Name)
	if err != nil {
		return fmt.Errorf("--via %w", err)
	}
	p.Via = preset.Facts
	p.Via.Take(preset.Lab)
	for _, set := range sets {
		if !aboutVia(set) {
			continue
		}
		path, value, _ := strings.Cut(set, "=")
		if path == "via.idle_timeout" {
			p.Via.IdleForEver = false
		}
		if err := profiles.Set(p, path, value); err != nil {
			return err
		}
	}
	return p.ValidateFacts()
}

// Play puts what --via names before p's server, so that a run meets it, and says what the real
// one does and this one does not. Without --via it does nothing.
func (v *Via) Play(s *Streams, p *profiles.Profile) error {
	unlike, err := v.Put(p)
	for _, text := range unlike {
		fmt.Fprintf(s.Err, "unlike the real %s: %s\n", v.Name, text)
	}
	if err == nil && v.Name != "" {
		if err = p.Validate(); err != nil {
			err = fmt.Errorf("--via %s: %w", v.Name, err)
		}
	}
	return err
}

// Put is Play without a word, for a profile that need not be whole.
func (v *Via) Put(p *profiles.Profile) (unlike []string, err error) {
	if v.Name == "" {
		return nil, nil
	}
	if unlike, err = way.Put(p); err != nil {
		return nil, fmt.Errorf("--via %s cannot be played here: %w", v.Name, err)
	}
	return unlike, nil
}

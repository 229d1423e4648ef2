package external

import (
	"errors"
	"fmt"
)

// Protocol is the version of the protocol that this package speaks.
const Protocol = 1

// Hello is how a driver describes itself when it begins.
type Hello struct {
	Protocol int       `json:"protocol"`
	Driver   string    `json:"driver"`  // such as reactor-netty
	Client   string    `json:"client"`  // such as Reactor Netty
	Version  string    `json:"version"` // of the client
	Runtime  string    `json:"runtime"` // such as Java 17.0.17
	Settings []Setting `json:"settings"`
	Gauges   []string  `json:"gauges"`
}

// Setting is something that a driver can set on its client.
type Setting struct {
	Name    string `json:"name"` // as the client spells it
	Kind    Kind   `json:"kind"`
	Default any    `json:"default"` // the client's own; nil: off, or no limit
	// Pool is the field of a profile's pool section that means the same, such as
	// idle_timeout; "": there is none.
	Pool   string   `json:"pool,omitempty"`
	Values []string `json:"values,omitempty"` // of a text: the allowed ones; none: any
	// Words maps kabench's words for the pool's field to the client's, where they
	// differ: lifo to LIFO.
	Words map[string]string `json:"words,omitempty"`
}

// Kind is the kind of a setting's value.
type Kind string

// The kinds. With any of them nil means "off" or "no limit".
const (
	KindDuration Kind = "duration" // milliseconds, may be fractional
	KindCount    Kind = "count"    // a whole number
	KindBool     Kind = "bool"
	KindText     Kind = "text"
)

// Setting returns the setting with this name.
func (h *Hello) Setting(name string) (Setting, bool) {
	for _, s := range h.Settings {
		if s.Name == name {
			return s, true
		}
	}
	return Setting{}, false
}

// ForPool returns the setting that means the same as a field of a profile's pool
// section, such as idle_timeout.
func (h *Hello) ForPool(field string) (Setting, bool) {
	for _, s := range h.Settings {
		if s.Pool == field && field != "" {
			return s, true
		}
	}
	return Setting{}, false
}

// check says what is wrong with a hello, as a clause after the driver's name.
func (h *Hello) check() error {
	switch {
	case h.Protocol != Protocol:
		return fmt.Errorf("speaks protocol %d, and kabench speaks %d", h.Protocol, Protocol)
	case h.Driver == "" || h.Client == "":
		return errors.New(`says hello without "driver" or "client"`)
	}
	seen := map[string]bool{}
	for _, s := range h.Settings {
		switch s.Kind {
		case KindDuration, KindCount, KindBool, KindText:
		default:
			return fmt.Errorf("has the setting %q of the unknown kind %q; the kinds are duration, count, bool and text", s.Name, s.Kind)
		}
		if s.Name == "" || seen[s.Name] {
			return fmt.Errorf("names the setting %q twice, or has one without a name", s.Name)
		}
		seen[s.Name] = true
	}
	return nil
}

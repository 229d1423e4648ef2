package script

import (
	"errors"
	"fmt"
	"time"

	"github.com/kabench/kabench/internal/enum"
)

// Link is the script of a link, a round trip between client and server on one
// machine: the `target.link:` section of a profile.
type Link struct {
	// Delay is how long every byte, FIN and RST travels in one direction: half of a
	// round trip.
	Delay time.Duration `yaml:"delay"`
	// IdleTimeout makes the link a device that ends or forgets a connection on which no byte
	// has passed for so long; 0: never. AtExpiry says how: Fin, Reset or ResetNext. A link
	// does not see TCP keep-alive probes, so that they do not count.
	IdleTimeout time.Duration `yaml:"idle_timeout,omitempty"`
	AtExpiry    Expiry        `yaml:"at_expiry,omitempty"`
}

// Expiry is what a device on the way does with a connection that was idle for too long.
type Expiry uint8

const (
	ExpiryUnknown Expiry = iota
	Fin                  // closes both ends in order
	Reset                // sends a RST to both ends
	ResetNext            // forgets it without a word; the next packet is answered with a RST
	Drop                 // forgets it without a word; what still comes is dropped
	Reroute              // forgets it without a word; the next packet goes to another backend, which resets it
)

var expiryNames = enum.Names[Expiry]{"unknown", "fin", "rst", "rst_next", "drop", "reroute"}

func (e Expiry) String() string                   { return expiryNames.Text(e) }
func (e Expiry) MarshalText() ([]byte, error)     { return expiryNames.Marshal(e) }
func (e *Expiry) UnmarshalText(text []byte) error { return expiryNames.Unmarshal(text, e) }

// Known reports whether e is one of the constants.
func (e Expiry) Known() bool { return expiryNames.Known(e) }

// Silent reports whether neither end hears of it at that moment.
func (e Expiry) Silent() bool { return e == ResetNext || e == Drop || e == Reroute }

// Validate returns every complaint about l, joined; nil when there is none.
func (l Link) Validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if l.Delay < 0 || l.Delay > maxDelay {
		bad("delay: %v is not between 0 and %v", l.Delay, maxDelay)
	}
	switch {
	case l.IdleTimeout < 0:
		bad("idle_timeout: %v is negative (0 means never)", l.IdleTimeout)
	case !l.AtExpiry.Known():
		bad("at_expiry: %v", l.AtExpiry)
	case l.AtExpiry == Drop || l.AtExpiry == Reroute:
		bad("at_expiry: a link cannot %v: its kernel acknowledges what it gets; set rst_next, or put the device into a network, network.links.0.flows", l.AtExpiry)
	case l.IdleTimeout > 0 && l.AtExpiry == ExpiryUnknown:
		bad("at_expiry: say what happens after idle_timeout: fin, rst or rst_next")
	case l.IdleTimeout == 0 && l.AtExpiry != ExpiryUnknown:
		bad("at_expiry: has no effect without idle_timeout; set it or remove this")
	}
	return errors.Join(errs...)
}

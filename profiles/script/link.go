package script

import (
	"fmt"
	"time"
)

// Link is the script of a link, a round trip between client and server on one
// machine: the `target.link:` section of a profile.
type Link struct {
	// Delay is how long every byte, FIN and RST travels in one direction: half of a
	// round trip.
	Delay time.Duration `yaml:"delay"`
}

// Validate returns what is wrong with l; nil when nothing is.
func (l Link) Validate() error {
	if l.Delay < 0 || l.Delay > maxDelay {
		return fmt.Errorf("delay: %v is not between 0 and %v", l.Delay, maxDelay)
	}
	return nil
}

package script

import (
	"fmt"
	"time"
)

// Link is a Link: the `target.link:` section of a profile.
type Link struct {
	// Delay is how long every byte, FIN and RST travels, one way: half of a
	// round trip.
	Delay time.Duration `yaml:"delay"`
}

// Validate says what is wrong with c; nil when nothing is.
func (l Link) Validate() error {
	if l.Delay < 0 || l.Delay > maxDelay {
		return fmt.Errorf("delay: %v is not between 0 and %v", l.Delay, maxDelay)
	}
	return nil
}

package cli

import (
	"fmt"
	"strings"

	"github.com/kabench/kabench/dialers/external/drivers"
	"github.com/kabench/kabench/profiles"
)

// ForDriver prepares o for a real client, if o.Sets name a driver. What to expect of the
// client is computed for the preset that imitates it, or for o.Pool. The error says that
// there is no such driver or preset. It starts nothing.
func (o *Aiming) ForDriver() error {
	p, err := profiles.LoadToCheck(append([]string{"target.url=" + o.Target}, o.Sets...))
	if err != nil || p.Driver == nil {
		return nil // CheckSets says what is wrong
	}
	o.oneClient = true
	named := o.Pool != "" || o.setsPool()
	if p.Driver.Command != "" {
		if !named {
			return fmt.Errorf("--driver %s: kabench does not know the pool of this client, from which the traffic and what to expect are computed; add --pool NAME, the preset that is nearest ('kabench pools' lists them), or --pool FILE", profiles.Redact(*p).Driver)
		}
		return nil
	}
	entry, err := drivers.Find(p.Driver.Name)
	if err != nil {
		return fmt.Errorf("--driver: %w", err)
	}
	if _, err := drivers.Command(entry.Name); err != nil { // not built; found before the target is measured
		return err
	}
	switch {
	case named:
	case len(entry.Preset) == 0:
		return fmt.Errorf("--driver %s: no preset imitates this client, from which the traffic and what to expect are computed; add --pool NAME, the preset that is nearest ('kabench pools' lists them), or --pool FILE", entry.Name)
	default:
		o.Pool = entry.Preset[0]
	}
	return nil
}

// setsPool reports whether a --set gives the whole pool.
func (o *Aiming) setsPool() bool {
	for _, change := range o.Sets {
		if path, _, _ := strings.Cut(change, "="); path == "pool" || path == "pool.preset" {
			return true
		}
	}
	return false
}

// playedFor names the pool for which p was planned.
func (o *Aiming) playedFor(p *profiles.Profile) string {
	switch {
	case !o.oneClient:
		return ""
	case p.Preset == "":
		return o.Pool
	}
	return p.Preset
}

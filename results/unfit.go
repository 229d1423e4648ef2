package results

import "fmt"

// Unfit is why k should not be shown to others as a result: one of its runs is
// invalid, was cut off or stopped by a signal; "" if it may. What an abort_when
// stopped is a result.
func (k *Kept) Unfit() string {
	switch {
	case k.Reproduction != nil:
		for _, r := range k.Runs {
			if why := r.Run.unfit(); why != "" {
				return fmt.Sprintf("its run %q %s", r.Name, why)
			}
		}
		return ""
	case k.Comparison != nil:
		return k.Comparison.unfit()
	}
	if why := k.Run.unfit(); why != "" {
		return "it " + why
	}
	return ""
}

func (c *Comparison) unfit() string {
	if c.Interrupted {
		return "it was interrupted"
	}
	for _, arm := range c.Arms {
		if arm.Runs == 0 {
			return fmt.Sprintf("%q has no valid run", arm.Name)
		}
	}
	return ""
}

func (run *Run) unfit() string {
	switch {
	case run == nil:
		return "was not made"
	case !run.Complete:
		return "was cut off"
	case run.Interrupted && run.Stopped == nil:
		return "was interrupted"
	case !run.Valid:
		return "is invalid"
	}
	return ""
}

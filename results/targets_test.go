package results

import (
	"fmt"
	"testing"
)

// With many targets only a few have their own figures, and the sum of the figures
// covers all targets.
func TestByTargetIsBounded(t *testing.T) {
	var names []string
	for i := range 1000 {
		names = append(names, fmt.Sprintf("GET http://h/%d", i))
	}
	by := NewByTarget(names)
	for i := range names {
		e := done(0)
		e.Target = i
		by.Observe(e)
	}
	var run Run
	by.Fill(&run)
	last := run.Targets[len(run.Targets)-1]
	if len(run.Targets) != maxTargets+1 || last.Target != OtherTargets || last.Started != 1000-maxTargets {
		t.Errorf("%d targets, the last %+v", len(run.Targets), last)
	}
}

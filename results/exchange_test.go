package results

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestStaleAtLeaseIsCounted: of the failures whose socket was looked at, those
// whose peer had ended it before; merged tallies add up.
func TestStaleAtLeaseIsCounted(t *testing.T) {
	dead := looked(1)
	dead.AtLease.State = "CLOSE_WAIT"
	tally := tallied([]*Exchange{done(0), dead, looked(2), stale(3)})
	tally.Merge(tallied([]*Exchange{looked(4)}))
	run := filled(tally, 0)
	want := Outcome{Phase: PhaseBeforeResponse, Cause: CauseFIN, Reused: true, Count: 4, Looked: 3, Stale: 1, Example: errEOF.Error()}
	if diff := cmp.Diff(want, run.Outcomes[1]); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestAnotherAttemptIsAnotherConnection: what the kernel said is of the attempt
// before.
func TestAnotherAttemptIsAnotherConnection(t *testing.T) {
	e := looked(1)
	e.Again()
	if e.AtLease != nil || e.AtFailure != nil {
		t.Errorf("%+v, %+v", e.AtLease, e.AtFailure)
	}
}

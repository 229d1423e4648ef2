package results

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestStaleAtLeaseIsCounted: a Tally counts the failures whose socket was checked when
// leased, and those whose peer had ended the connection before. Merge adds them up.
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

// TestAnotherAttemptIsAnotherConnection: Again removes the TCP_INFO, because it
// describes the connection of the previous attempt.
func TestAnotherAttemptIsAnotherConnection(t *testing.T) {
	e := looked(1)
	e.Again()
	if e.AtLease != nil || e.AtFailure != nil {
		t.Errorf("%+v, %+v", e.AtLease, e.AtFailure)
	}
}

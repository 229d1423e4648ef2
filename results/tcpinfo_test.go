package results

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestBadTCPInfo(t *testing.T) {
	for text, say := range map[string]string{
		`{"lease":{"rtt":1}}`:                                                `tcp: state: "" is none of TCP's`,
		`{"failure":{"state":"established"}}`:                                "is none of TCP's",
		`{"lease":{"state":"CLOSE","rtt":-1}}`:                               "-1 is out of the range of times",
		`{"lease":{"state":"CLOSE","since_sent":9223372036854775807}}`:       "is out of the range of times",
		`{"failure":{"state":"CLOSE","unacked":4294967296}}`:                 "4294967296 is out of the range of segments",
		`{"lease":{"state":"CLOSE"},"failure":{"state":"CLOSE","acked":-2}}`: "a number of bytes is negative",
	} {
		var e Exchange
		err := readLine([]byte(`{"phase":"before_response","tcp":`+text+`}`), &e)
		if err == nil || !strings.Contains(err.Error(), say) {
			t.Errorf("%s: %v, want %q", text, err, say)
		}
	}
}

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

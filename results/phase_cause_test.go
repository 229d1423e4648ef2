package results

import (
	"testing"
)

func TestEveryPhaseAndCauseHasAName(t *testing.T) {
	if len(phaseNames) != NumPhases || len(causeNames) != NumCauses {
		t.Errorf("%d names for %d phases, %d for %d causes", len(phaseNames), NumPhases, len(causeNames), NumCauses)
	}
}

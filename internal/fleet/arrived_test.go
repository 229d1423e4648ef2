package fleet

import (
	"testing"
	"time"
)

// The line of a collection has the time left only if the size of all results is known.
func TestTimeLeftOfACollection(t *testing.T) {
	for want, test := range map[string]struct {
		incoming map[int]*incoming
		took     time.Duration
	}{
		"collecting 0 of 2, 30 MB, about 11 s left": {map[int]*incoming{0: {have: 10e6, size: 40e6}, 1: {have: 20e6, size: 20e6}}, 10 * time.Second},
		"collecting 0 of 2, 10 MB":                  {map[int]*incoming{0: {have: 10e6, size: 40e6}}, 10 * time.Second},
		"collecting 0 of 2, 11 MB":                  {map[int]*incoming{0: {have: 10e6, size: 40e6}, 1: {have: 1e6, size: 2e6}}, time.Second},
		"collecting 0 of 2, 0 MB":                   {nil, time.Minute},
	} {
		s := &sending{state: &state{Seats: []*seat{{}, {}}}, incoming: test.incoming}
		if got := s.arrived(0, test.took); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

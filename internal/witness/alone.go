package witness

import (
	"time"

	"github.com/kabench/kabench/dialers/external"
)

// Alone is a witness where packets cannot be watched: servers of kabench's own, and the
// requests that they read. Each must follow its requests: call its Follow before the first
// one. All statements are inferred.
type Alone []Stories

var _ external.Witness = Alone(nil)

// Saw implements external.Witness. Connections are numbered in the order in which their
// server accepted them; those of several servers are kept apart. If no server has read a
// request, Seen is false: it may have been on a connection that was closed meanwhile.
func (a Alone) Saw(seq uint64, epoch time.Time) external.Sight {
	id := idOf(seq)
	sight := external.Sight{}
	for i, s := range a {
		for _, f := range s.Find(id) {
			one := storyAlone(f, epoch)
			one.Conn = (f.Story-1)*uint64(len(a)) + uint64(i) + 1
			sight.Seen = true
			sight.Attempts = append(sight.Attempts, one)
		}
	}
	sortAttempts(sight.Attempts)
	return sight
}

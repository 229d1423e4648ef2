package witness

import (
	"fmt"
	"time"

	"github.com/kabench/kabench/dialers/external"
)

// Alone is a witness where packets cannot be watched: servers of kabench's own, which tell
// what they read. A request that did not arrive is on no connection for them, and what
// they say of others is inferred.
type Alone []Stories

// Saw implements external.Witness.
func (a Alone) Saw(seq uint64, epoch time.Time) external.Sight {
	sight := external.Sight{Seen: true}
	id := fmt.Sprintf("%020d", seq)
	for _, s := range a {
		for _, found := range s.Find(id) {
			sight.Attempts = append(sight.Attempts, storyAlone(found, epoch))
		}
	}
	return sight
}

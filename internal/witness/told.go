package witness

import (
	"time"

	"github.com/kabench/kabench/dialers/external"
)

// Told is a witness that sees no packets: it has the stories of kabench's own servers and
// nothing else. It is for machines where a packet socket is not allowed. If no server has
// read a request, Seen is false. All that it says is inferred.
type Told struct{ stories []Stories }

var _ external.Witness = (*Told)(nil)

// Hear returns a witness that has these servers' stories. They must follow their requests.
func Hear(stories ...Stories) *Told { return &Told{stories} }

// Saw implements external.Witness. Connections are numbered in the order in which their
// server accepted them; those of several servers are kept apart.
func (t *Told) Saw(seq uint64, epoch time.Time) external.Sight {
	id := idOf(seq)
	sight := external.Sight{}
	for i, s := range t.stories {
		for _, f := range s.Find(id) {
			a := storyAlone(f, epoch)
			a.Conn = (f.Story-1)*uint64(len(t.stories)) + uint64(i) + 1
			sight.Seen = true
			sight.Attempts = append(sight.Attempts, a)
		}
	}
	sortAttempts(sight.Attempts)
	return sight
}

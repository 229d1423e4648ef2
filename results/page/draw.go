package page

import (
	"fmt"

	"github.com/kabench/kabench/results"
)

// Race draws the last packets of a connection as an SVG picture, for pages that other
// rooms make. label says what it shows, for those who cannot see it.
func Race(e results.Evidence, label string) string { return raceOf(e, false).svg(label) }

// FirstRace returns the picture of a failure of the run, as SVG, and what it shows: of the
// first one whose packets were seen, else of the first one drawn from its stamps. "" if no
// failure is drawn.
func (r *Run) FirstRace() (svg, caption string) {
	for _, packets := range [...]bool{true, false} {
		for _, lane := range r.Lifelines.Lanes {
			for _, x := range lane.Exchanges {
				if x.Race != "" && x.Packets == packets {
					return x.Race, fmt.Sprintf("Request %d on connection %d: %s", x.Seq, lane.Conn, x.Outcome)
				}
			}
		}
	}
	return "", ""
}

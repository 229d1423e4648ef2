package page

import "github.com/kabench/kabench/results"

// Race draws the last packets of a connection as an SVG picture, for pages that other
// rooms make. label says what it shows, for those who cannot see it.
func Race(e results.Evidence, label string) string { return raceOf(e, false).svg(label) }

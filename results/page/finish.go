package page

import "github.com/kabench/kabench/results"

// Finish ends a live run: its document doc replaces the live counts. The caller must
// not change doc afterwards.
func (g *Gatherer) Finish(doc *results.Run) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.doc, g.live = doc, false
}

package page

import "github.com/kabench/kabench/results"

// Finish ends a live run: doc is its document, and what was counted while it went
// on gives way to it. Doc is not to be changed after it.
func (g *Gatherer) Finish(doc *results.Run) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.doc, g.live = doc, false
}

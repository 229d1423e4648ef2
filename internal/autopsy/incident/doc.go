// Package incident makes a profile from a verdict: the server with its measured timers as
// the lab's, the pool and the load as the capture shows them, so that a run shows the same
// failures again.
package incident

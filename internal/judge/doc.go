// Package judge decides whether a run is valid, adds what a reader must know about it, and
// says what the runs of an incident showed. It reads documents and
// nothing else, so that a run which has just ended and one that was rebuilt from its
// record are judged alike and in the same words.
package judge

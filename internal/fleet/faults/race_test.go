//go:build race

package faults

// raceDetector reports whether the tests were built with the race detector.
const raceDetector = true

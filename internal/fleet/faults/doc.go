// Package faults tests a fleet as it runs: real processes on links with delay and with clocks
// that are wrong, which are killed at random moments. It has nothing except tests.
package faults

// Package expect checks what a run must show.
//
// An expectation maps a path in the results, such as failures.before_response, to
// a condition, such as "< 1%". [Check] reports the value of each path and whether it
// meets the condition; [Validate] reports, before a run, the paths and conditions
// that make no sense. A condition may name other runs: the incident that a remedy
// must clear, or an earlier run as the baseline. [References] holds these runs.
// [ParseAbort] reads the conditions under which a run is stopped early.
//
// [Lookup] finds the value at a path. docs/results.md lists the paths.
package expect

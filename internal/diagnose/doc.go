// Package diagnose decides what is done about a log line: which incidents can be its cause, in
// which order they are tried on the server, and with which pool. It also says what the
// outcome means. It is pure: others explain, measure and run.
package diagnose

// Package generator decides when each request is due and keeps to it, whatever
// the answers do.
//
// A [Schedule] is the due times of a run, in order; it never looks at a clock.
// [Open] starts each request when it is due, counts what it could not start,
// and never waits for an answer to start the next. An [Engine] performs them.
package generator

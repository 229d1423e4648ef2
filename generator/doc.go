// Package generator decides when each request is due and keeps to it, whatever the
// responses do.
//
// A [Schedule] is the due times of a run, in order. It never looks at a clock;
// [Load.Schedule] makes one. [Open] starts each request when it is due, counts the
// requests that it could not start, and never waits for a response before it starts the
// next. An [Engine] performs them: a dialers.Client is one, and [Each] makes one of
// anything that performs a single exchange.
package generator

// Package collectors watches a run while it happens. A [Recorder] sees every
// exchange when it is over and adds it up; a [Sampler] looks ten times a
// second at the pool, the sockets towards the target and kabench itself. Both
// hold a bounded amount of memory however long the run is, and both fill their
// part of a results.Run at its end.
package collectors

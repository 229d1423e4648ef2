// Package collectors watches a run while it happens.
//
// A [Recorder] adds up every exchange when it is over. A [Sampler] looks ten times a second
// at the pool, the sockets towards the target and kabench itself. A [ScheduleWatch] shows
// how well the run kept to its schedule, a [PortGuard] stops a run that would leave other
// programs without ports, and a [Tracer] writes the lives of connections.
//
// Most of them are a generator.Observer. Each needs a bounded amount of memory, however
// long the run is, and its method Fill sets its part of a results.Run at the end.
package collectors

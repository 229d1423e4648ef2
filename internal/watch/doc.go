// Package watch says what happens to the connections of a service that runs, from what the
// kernel, the service's own gauges and packets show of them. It is pure: layers in rooms below
// it look at the machine, and give it looks, events, gauges and segments.
package watch

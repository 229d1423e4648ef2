// Package capacity compares what a profile may ask of this machine, open files and
// ephemeral ports, with what the machine has, before any traffic.
package capacity

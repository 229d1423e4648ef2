// Package machine asks the system for what agents and their controller need from it: which
// network a process has, and a process that outlives another one's Ctrl-C.
package machine

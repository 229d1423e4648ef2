// Command bench measures kabench beside other load generators and writes a
// table:
//
//	go run ./internal/bench --repeats 5 --out table.md --json raw.json
//
// Every tool runs in its own process and sends to the same recording server, which
// runs in another one. That server measures the rates, lags and connections of the
// tables, and not the tool: a starved generator may send half its load and report
// full success. The CPU time of a tool is the time that the system charged to its
// process, start and end included.
//
// The lag of a run is how late its requests reached the server, compared with an
// ideal schedule of constant rate; see [lateness]. Client and server share the
// machine, so the times contain the server's wake-up, which is the same for all tools.
//
// Tools run in turn, in a new random order for each block of a scenario, and the
// blocks are repeated, so that other load of the machine affects all tools alike.
// Traffic is bounded in time and number and never leaves the loopback device.
package main

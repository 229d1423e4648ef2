// Command bench measures kabench beside other load generators and writes a
// table:
//
//	go run ./internal/bench --repeats 5 --out table.md --json raw.json
//
// Every tool is a process of its own and sends to the same recording server,
// which is another one. What a table says of rate, lag and connections was seen
// by that server, and not by the tool: a starved generator may send half its
// load and report full success. The CPU time of a tool is what the system
// charged to its process, start and end included.
//
// The lag of a run is how late its requests reached the server against an ideal
// schedule of constant rate; see [lateness]. Client and server share the machine,
// so the times contain the server's waking up, the same for all.
//
// Tools run in turn, in an order drawn anew for each block of a scenario, and the
// blocks are repeated: what else the machine does then falls on all of them.
// Traffic is bounded in time and number and never leaves the loopback device.
package main

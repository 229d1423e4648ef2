// Command bench measures kabench beside other load generators and writes a
// table:
//
//	go run ./internal/bench --repeats 5 --out table.md --json raw.json
//
// Every tool runs in a process of its own and sends to the same recording server, which
// is another process. Rate, lag and connections in a table are those that the server
// saw, because a generator without enough CPU may send half of its load and report full
// success. The CPU time of a tool is the one that the system counted for its process,
// from start to end.
//
// The lag of a run is how late its requests reached the server, compared with an ideal
// schedule of constant rate; see [lateness]. Client and server share the machine, so the
// lag includes the time in which the server wakes. This is the same for all tools.
//
// Tools run one after the other. A scenario is repeated in blocks with a new random
// order each, so that other load on the machine affects all tools. Traffic is limited in
// time and number and stays on the loopback device.
package main

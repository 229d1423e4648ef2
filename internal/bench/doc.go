// Command bench measures kabench beside other load generators and writes a
// table:
//
//	go run ./internal/bench --repeats 5 --out table.md --json raw.json
//
// With --docs FILE it also replaces the tables of a document, between their marks. The
// scenario hour is measured only if --scenarios names it.
//
// Bench builds tools that are Go modules or Rust crates, and installs Debian packages, at
// exact versions; see tools and the flag --no-install. It takes wrk, wrk2 and h2load from
// PATH if they are there. wrk2 is in no registry: build github.com/giltene/wrk2 with make
// and put it in PATH as wrk2. A tool that is missing is named in the report.
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
// Over TLS the same server, in the same loop, decrypts and encrypts by crypto/tls; only
// handshakes have goroutines.
//
// Tools run one after the other. A scenario is repeated in blocks with a new random
// order each, so that other load on the machine affects all tools. Traffic is limited in
// time and number and stays on the loopback device.
package main

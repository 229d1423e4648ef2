package script_test

import (
	"fmt"
	"time"

	"github.com/kabench/kabench/profiles/script"
)

// A server that closes idle connections after five seconds and responds after a
// random delay. Validate names every mistake with its field.
func Example() {
	server := script.Server{IdleTimeout: 5 * time.Second, Body: 100, Chunked: true, Status: 204}
	server.Delay, _ = script.ParseDelay("uniform 10ms 30ms")
	fmt.Println("delay:", server.Delay)
	fmt.Println(server.Validate())
	// Output:
	// delay: uniform 10ms 30ms
	// status: a response with status 204 has no body; remove body and chunked
}

package dialers_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"syscall"
	"time"

	"github.com/kabench/kabench/dialers"
	"github.com/kabench/kabench/dialers/pool"
	"github.com/kabench/kabench/results"
)

// Two exchanges, one after the other: the second one has the first one's
// connection.
func ExampleClient() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "hello") }))
	defer server.Close()
	request, err := dialers.NewRequest("GET", server.URL, nil, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	policy := pool.Default()
	policy.IdleTimeout = 30 * time.Second
	client, err := dialers.NewClient(dialers.Config{Policy: policy, Requests: []*dialers.Request{request}, Timeout: 5 * time.Second})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()
	for seq := range uint64(2) {
		e := &results.Exchange{}
		e.Reset(seq, 0)
		client.Do(context.Background(), e)
		fmt.Printf("%v, status %d, use %d of connection %d\n", e.Phase, e.Status, e.Use, e.Conn)
	}
	fmt.Println(client.Stats())

	// Output:
	// done, status 200, use 1 of connection 1
	// done, status 200, use 2 of connection 1
	// idle 1, leased 0, dialing 0, pending 0
}

// A policy that contradicts itself is an error, and so is one that is out of range.
func ExampleNewClient() {
	policy := pool.Default()
	policy.ProbeAfter = time.Second
	_, err := dialers.NewClient(dialers.Config{Policy: policy})
	fmt.Println(err)

	// Output:
	// the pool's policy is not valid: probe_after: has no effect, because liveness is events; set liveness: probe or remove it
}

// The same end of a connection has another phase and another cause when it comes
// in another place.
func ExampleClassify() {
	sent := dialers.Facts{HeadWritten: true, Written: true}
	for _, seen := range []func(*dialers.Facts){
		func(f *dialers.Facts) { f.Read = io.EOF },
		func(f *dialers.Facts) { f.Read = syscall.ECONNRESET },
		func(f *dialers.Facts) { f.Bytes, f.Read = 17, io.EOF },
		func(f *dialers.Facts) { f.Bytes, f.HeadRead, f.Length, f.Read = 90, true, 100, io.EOF },
		func(f *dialers.Facts) { f.Bytes, f.HeadRead, f.Length, f.Complete = 190, true, 100, true },
	} {
		facts := sent
		seen(&facts)
		phase, cause := dialers.Classify(facts)
		fmt.Printf("%v %v\n", phase, cause)
	}

	// Output:
	// before_response fin
	// before_response rst
	// response_headers fin
	// during_response truncated
	// done
}

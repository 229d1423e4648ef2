// This program is not part of kabench's module: it uses kabench as a library. It sends
// bursts through a pool of two connections to a server that closes idle connections after
// 100 ms, and prints how many requests failed in each phase, and why.
package main

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/kabench/kabench"
	"github.com/kabench/kabench/dialers/pool"
	"github.com/kabench/kabench/generator"
	"github.com/kabench/kabench/profiles"
)

func main() {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		time.Sleep(5 * time.Millisecond)
		fmt.Fprintln(w, "hello")
	}))
	server.Config.IdleTimeout = 100 * time.Millisecond
	server.Start()
	defer server.Close()

	p := profiles.Default()
	p.Target.URL = server.URL
	p.Load.Rate, p.Load.Count, p.Load.MaxLag = 1000, 60, 0
	p.Load.Arrivals = generator.Arrivals{Process: generator.Burst, On: 10 * time.Millisecond, Off: 150 * time.Millisecond}
	p.Pool.MaxConns, p.Pool.PendingMax = 2, 4 // beyond two requests and four that wait, a request fails
	p.Pool.Liveness = pool.None               // a connection that the server closed is used all the same

	run, err := kabench.Run(context.Background(), &p, kabench.Options{})
	if err != nil {
		log.Fatal(err)
	}
	for _, o := range run.Outcomes {
		fmt.Printf("%v / %v: %d of %d\n", o.Phase, o.Cause, o.Count, run.Counts.Started)
	}
}

// Command proxies drives a reverse proxy as the client under test: nginx, HAProxy or
// Envoy, as this machine has it. It starts the proxy with the target as its upstream,
// hands each request to it on a connection of its own, and reports what the proxy
// responds, with the words of the proxy's log where the proxy failed.
package main

import (
	"fmt"
	"os"

	"github.com/kabench/kabench/dialers/external/drivers/golang/kit"
)

// software is one proxy: how it is described, configured and understood.
type software interface {
	describe() (kit.Driver, error) // all but New
	// configure writes the configuration of a proxy for one upstream into its place, and
	// returns the command that runs the proxy in the foreground.
	configure(place, kit.Config) ([]string, error)
	// ours says whether a response is of the proxy itself, not of the server.
	ours(exchange) bool
	// words finds the words of the log about an exchange that failed; nil if there are none.
	words(exchange, *journal) error
	// gauges reads the figures of a running proxy.
	gauges(place) map[string]float64
}

func main() {
	all := map[string]software{"nginx": &nginx{}, "haproxy": &haproxy{}, "envoy": &envoy{}}
	if len(os.Args) != 2 || all[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: proxies nginx|haproxy|envoy")
		os.Exit(2)
	}
	s := all[os.Args[1]]
	d, err := s.describe()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	d.New = func(c kit.Config) (kit.Client, error) { return newClient(s, d.Name, c) }
	kit.Run(d)
}

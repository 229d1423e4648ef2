package sandbox_test

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/kabench/kabench/profiles/network"

	"github.com/kabench/kabench/internal/sandbox"
)

// A program that needs the sandbox runs itself again in one, makes its network
// there, and keeps the record of it.
func Example() {
	if !sandbox.Inside() {
		code, err := sandbox.Reexec(context.Background(), os.Args, sandbox.Stdio{In: os.Stdin, Out: os.Stdout, Err: os.Stderr})
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 2
		}
		os.Exit(code)
	}
	network, err := sandbox.Start(network.Config{
		Hosts: []network.Host{{Name: "server"}},
		Links: []network.Link{{
			Between:    [2]string{network.ClientName, "server"},
			Conditions: network.Conditions{Delay: 5 * time.Millisecond},
		}},
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	defer network.Close()
	ln, err := network.Host("server").Listen(context.Background(), "tcp4", ":80")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	defer ln.Close()
	// ... serve on ln, dial network.Addr("server") ...
	if err := network.WriteFile("packets.pcapng"); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
}

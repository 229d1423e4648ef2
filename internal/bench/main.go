package main

import (
	"fmt"
	"os"
	"os/signal"
)

func main() {
	if len(os.Args) == 2 && os.Args[1] == serveCommand {
		os.Exit(serveMain())
	}
}

// serveMain is this program as the recording server. An interrupt from the
// terminal reaches it too and is not for it: it goes when bench has gone.
func serveMain() int {
	signal.Ignore(os.Interrupt)
	srv, err := newServer()
	if err == nil {
		err = serve(srv, os.Stdin, os.Stdout)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "bench: recording server: %v\n", err)
		return 1
	}
	return 0
}

package main

import (
	"context"
	"fmt"
	"os/signal"
	"time"

	"github.com/spf13/cobra"

	"github.com/kabench/kabench"
	"github.com/kabench/kabench/internal/live"
	"github.com/kabench/kabench/internal/usage"
)

// liveOptions are the flags that ask for a page that shows the run.
type liveOptions struct {
	at   string // "": none
	stay time.Duration
}

func (o *liveOptions) flags(c *cobra.Command) {
	c.Flags().StringVar(&o.at, "live", "", "serve the report while the run goes on, as :8080 for this machine alone or :0 for any free port; with a host, as 0.0.0.0:8080, for others too")
	c.Flags().DurationVar(&o.stay, "live-stay", 0, "with --live: serve the last state so long, until Ctrl-C; 0: until open pages have it")
}

// livePage is an open one. The zero livePage is none.
type livePage struct {
	server *live.Server
	stay   time.Duration
}

// open begins to serve the page, if one is asked for, and says where. The feed
// is nil without one.
func (o *liveOptions) open(command string, s *streams, bare bool) (kabench.Feed, livePage, error) {
	switch {
	case o.at == "" && o.stay != 0:
		return nil, livePage{}, usage.Errorf(command, "--live-stay is for --live, which is not given")
	case o.at == "":
		return nil, livePage{}, nil
	case o.stay < 0:
		return nil, livePage{}, usage.Errorf(command, "--live-stay %v is negative", o.stay)
	case bare:
		return nil, livePage{}, usage.Errorf(command, "--no-instruments watches nothing, and --live would show nothing; give one")
	}
	feed := live.NewFeed()
	server, err := live.Start(o.at, feed)
	if err != nil {
		return nil, livePage{}, fmt.Errorf("--live: %w", err)
	}
	fmt.Fprintf(s.err, "live: %s\n", server.URL())
	if !server.Alone() {
		fmt.Fprintln(s.err, "kabench: whoever can reach this machine can read the live report: --live :PORT is for this machine alone")
	}
	return feed, livePage{server, o.stay}, nil
}

// close ends the serving: see live.Server.Close. Who has stopped the run does
// not want to wait for --live-stay, and an interrupt ends the waiting.
func (p livePage) close(ctx context.Context, s *streams, stopped <-chan struct{}) {
	if p.server == nil {
		return
	}
	ctx, cancel := signal.NotifyContext(ctx, kabench.StopSignals()...)
	defer cancel()
	stay := p.stay
	select {
	case <-stopped:
		stay = 0
	default:
	}
	if stay > 0 {
		fmt.Fprintf(s.err, "live: %s for another %v (Ctrl-C ends it)\n", p.server.URL(), stay)
	}
	p.server.Close(ctx, stay)
}

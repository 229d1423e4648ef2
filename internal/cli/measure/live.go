package measure

import (
	"context"
	"fmt"
	"os/signal"
	"time"

	"github.com/spf13/cobra"

	"github.com/kabench/kabench"
	"github.com/kabench/kabench/internal/cli"
	"github.com/kabench/kabench/internal/live"
	"github.com/kabench/kabench/internal/usage"
)

// liveOptions holds the flags of the page that shows a run while it goes on.
type liveOptions struct {
	at   string // "": none
	stay time.Duration
}

func (o *liveOptions) flags(c *cobra.Command) {
	c.Flags().StringVar(&o.at, "live", "", "serve the report during the run: :8080 for this machine only, :0 for any free port, HOST:PORT (0.0.0.0:8080) for other machines too")
	c.Flags().DurationVar(&o.stay, "live-stay", 0, "with --live: how long to serve the final report after the run, until Ctrl-C; 0: until the open pages have loaded it")
}

// livePage is a page that is being served. The zero livePage does nothing.
type livePage struct {
	server *live.Server
	stay   time.Duration
}

// open serves the page if --live asks for it, and prints its address. Otherwise the feed is
// nil.
func (o *liveOptions) open(command string, s *cli.Streams, bare bool) (kabench.Feed, livePage, error) {
	switch {
	case o.at == "" && o.stay != 0:
		return nil, livePage{}, usage.Errorf(command, "--live-stay needs --live")
	case o.at == "":
		return nil, livePage{}, nil
	case o.stay < 0:
		return nil, livePage{}, usage.Errorf(command, "--live-stay %v: want 0 or more", o.stay)
	case bare:
		return nil, livePage{}, usage.Errorf(command, "--no-instruments and --live contradict each other: without measuring there is nothing to show")
	}
	feed := live.NewFeed()
	server, err := live.Start(o.at, feed)
	if err != nil {
		return nil, livePage{}, fmt.Errorf("--live: %w", err)
	}
	fmt.Fprintf(s.Errors, "live: %s\n", server.URL())
	if !server.Alone() {
		fmt.Fprintln(s.Err, "kabench: everyone who can reach this machine can read the live report; --live :PORT serves it to this machine only")
	}
	return feed, livePage{server, o.stay}, nil
}

// close stops serving the page: see live.Server.Close. It does not wait for --live-stay if
// the run was stopped by a signal, and another signal ends the wait.
func (p livePage) close(ctx context.Context, s *cli.Streams, stopped <-chan struct{}) {
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
		fmt.Fprintf(s.Err, "live: %s for another %v; press Ctrl-C to stop\n", p.server.URL(), stay)
	}
	p.server.Close(ctx, stay)
}

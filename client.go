package kabench

import (
	"context"
	"time"

	"github.com/kabench/kabench/dialers"
	"github.com/kabench/kabench/generator"
	"github.com/kabench/kabench/internal/poll"
	"github.com/kabench/kabench/internal/target"
	"github.com/kabench/kabench/profiles"
	"github.com/kabench/kabench/results"
)

// client performs the exchanges and counts its connections.
type client interface {
	generator.Engine
	Stats() dialers.Stats
	Fill(*results.Run)
	Close()
}

// makeClient makes p's client of t. real is its driver, if it is a real client.
func makeClient(p *profiles.Profile, t *target.Target, real *outsider, trace func(dialers.TraceEvent)) (client, error) {
	if real != nil {
		return newExternalClient(p, t, real, trace)
	}
	if p.Client != profiles.ClientStock {
		c, err := dialers.NewClient(dialers.Config{Policy: p.Pool, Dialer: t.Dialer, Requests: t.Requests, Timeout: p.Load.Timeout})
		if err != nil {
			return nil, err
		}
		c.Tracer = trace
		return c, nil
	}
	poller, err := poll.New()
	if err != nil {
		return nil, err
	}
	stock := dialers.NewStock(t.Dialer, t.Requests, p.Load.Timeout)
	stock.Tracer = trace
	return &stockClient{generator.Each{Doer: stock, Clock: &exactClock{poller, make([]poll.Event, poll.MaxEvents)}}, stock, poller}, nil
}

// stockClient is dialers.Stock with a goroutine for each exchange, as net/http
// wants it.
type stockClient struct {
	generator.Each
	*dialers.Stock
	poller *poll.Poller
}

// Begin implements generator.Engine.
func (c *stockClient) Begin(ctx context.Context, epoch time.Time, over func(*results.Exchange)) {
	c.Stock.Begin(epoch)
	c.Each.Begin(ctx, epoch, over)
}

func (c *stockClient) Close() {
	c.Stock.Close()
	c.poller.Close()
}

// exactClock is a Poller that waits for the time and for no sockets.
type exactClock struct {
	*poll.Poller
	room []poll.Event
}

func (c *exactClock) Wait(d time.Duration) { c.Poller.Wait(c.room, d) }

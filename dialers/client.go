package dialers

import (
	"context"
	"time"

	"github.com/kabench/kabench/results"
)

// Client performs exchanges over a Pool. It never re-sends a request.
type Client struct {
	Pool     *Pool
	Requests []*Request    // Exchange.Target chooses one
	Timeout  time.Duration // from due to done; 0: none
}

// Do performs e and stamps it. When ctx is done the exchange is given up and
// ends as CauseAborted.
func (c *Client) Do(ctx context.Context, e *results.Exchange) {
	req := c.Requests[e.Target]
	facts := c.perform(ctx, req, e)
	e.Done = c.Pool.now()
	e.Phase, e.Cause = Classify(facts)
	e.Err = errorBehind(e.Cause, facts)
}

func (c *Client) perform(ctx context.Context, req *Request, e *results.Exchange) (facts Facts) {
	var deadline time.Time
	if c.Timeout > 0 {
		deadline = c.Pool.epoch.Add(e.Due + c.Timeout)
	}
	conn, err := c.Pool.acquire(ctx, req.origin, e, deadline)
	if err != nil {
		facts.Aborted = ctx.Err() != nil
		if _, dialing := err.(*DialError); dialing {
			facts.Dial = err
		} else {
			facts.Acquire = err
		}
		return facts
	}
	facts, reason := conn.roundTrip(ctx, req, e, deadline)
	c.Pool.release(conn, reason)
	return facts
}

// errorBehind is the error that says most about how an exchange failed; nil when
// it did not.
func errorBehind(cause results.Cause, f Facts) error {
	switch cause {
	case results.CauseNone:
		return nil
	case results.CauseAborted:
		return context.Canceled // what was seen is our own doing
	}
	for _, err := range []error{f.Acquire, f.Dial, f.Write, f.Read, f.Parse} {
		if err != nil {
			return err
		}
	}
	return nil
}

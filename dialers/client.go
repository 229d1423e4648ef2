package dialers

import (
	"context"
	"time"

	"github.com/kabench/kabench/dialers/pool"
	"github.com/kabench/kabench/results"
)

// Client performs exchanges over a Pool. It sends a request again only as the
// policy's resend rules say, and every attempt that came to nothing is in
// Exchange.Tries.
type Client struct {
	Pool     *Pool
	Requests []*Request    // Exchange.Target chooses one
	Timeout  time.Duration // from due to done; 0: none
}

// Do performs e and stamps it. When ctx is done the exchange is given up and
// ends as CauseAborted.
func (c *Client) Do(ctx context.Context, e *results.Exchange) {
	req := c.Requests[e.Target]
	var deadline time.Time
	if c.Timeout > 0 {
		deadline = c.Pool.epoch.Add(e.Due + c.Timeout)
	}
	want := wish{safe: req.method == "GET"}
	done := false // the server may have carried the request out already
	for before := 0; ; before++ {
		end := c.perform(ctx, req, want, e, deadline)
		sent := end.facts.HeadWritten
		e.Twice = e.Twice || done && sent && !pool.Idempotent(req.method)
		done = done || sent
		e.Done = c.Pool.now()
		e.Phase, e.Cause = Classify(end.facts)
		e.Err = errorBehind(e.Cause, end.facts)
		rule, again := c.resend(req, e, end, before)
		if !again {
			c.hangUpOn(e)
			return
		}
		e.Again()
		want.fresh = rule.Path == pool.PathFresh
	}
}

// perform makes one attempt at req.
func (c *Client) perform(ctx context.Context, req *Request, want wish, e *results.Exchange, deadline time.Time) (result end) {
	conn, err := c.Pool.acquire(ctx, req.origin, want, e, deadline)
	if err != nil {
		result.facts.Aborted = ctx.Err() != nil
		if _, dialing := err.(*DialError); dialing {
			result.facts.Dial = err
		} else {
			result.facts.Acquire = err
		}
		return result
	}
	result = conn.roundTrip(ctx, req, e, deadline)
	conn.shard.release(conn, result.reason, result.hint)
	return result
}

// hangUpOn makes e what its caller sees when a reused connection failed it
// before a response and the policy tells no more than that.
func (c *Client) hangUpOn(e *results.Exchange) {
	hangs := c.Pool.policy.ResendElse == pool.ElseHangup && e.Failed() && e.Cause != results.CauseTimeout
	if hangs && e.Reused() && e.Phase <= results.PhaseBeforeResponse {
		e.Phase, e.Cause = results.PhaseBeforeResponse, results.CauseFIN
	}
}

// resend is the rule by which e, which has just failed, is attempted again.
func (c *Client) resend(req *Request, e *results.Exchange, end end, before int) (pool.ResendRule, bool) {
	after := pointOf(e, end)
	if after == 0 {
		return pool.ResendRule{}, false
	}
	return c.Pool.policy.ResendBy(pool.Attempt{
		Method: req.method, HasBody: len(req.bytes) > req.head, IdempotencyKey: req.hasKey,
		Reused: e.Reused(), After: after, Before: before,
	})
}

// pointOf is how far an attempt had come when its connection failed it; 0 when
// it did not fail, or for a reason that no pool answers by sending again: no
// connection, a timeout, an answer that is not HTTP, the end of the run.
func pointOf(e *results.Exchange, end end) pool.After {
	reset := e.Cause == results.CauseRST || e.Cause == results.CausePipe
	closed := e.Cause == results.CauseFIN || e.Cause == results.CauseCloseNotify || e.Cause == results.CauseTruncated
	switch {
	case !reset && !closed || e.Conn == 0:
		return 0
	case end.unsent:
		return pool.AfterUnsent
	case e.Phase == results.PhaseDuringResponse:
		return pool.AfterBody
	case e.Phase == results.PhaseResponseHeaders:
		return pool.AfterPartial
	case reset:
		return pool.AfterRST
	}
	return pool.AfterEOF
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

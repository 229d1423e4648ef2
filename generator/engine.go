package generator

import (
	"context"
	"time"

	"github.com/kabench/kabench/internal/poll"
	"github.com/kabench/kabench/results"
)

// An Engine performs the exchanges of an open loop, on the loop's goroutine or
// on others of its own.
type Engine interface {
	// Begin comes first, and once. Stamps are offsets from epoch. When ctx is done the
	// Engine gives up the exchanges in flight, which end as CauseAborted. It calls over
	// once for every exchange that was started, when the exchange is over and has its
	// Phase, Cause and Done. It may call over from any goroutine, but not from within
	// Start. over may call Start.
	Begin(ctx context.Context, epoch time.Time, over func(*results.Exchange))
	// Start begins e. It must be quick, because no other exchange starts meanwhile.
	Start(e *results.Exchange)
	// Wait lets exchanges continue until the offset until; Forever is no limit. It may
	// return sooner, and does when woken.
	Wait(until time.Duration)
	// Wake makes the current Wait, or otherwise the next one, return at once. It may
	// be called from any goroutine.
	Wake()
}

// Forever is an offset that never comes.
const Forever time.Duration = -1

// A Doer performs one exchange and stamps it as it goes. It returns when the
// exchange is over, however it ended, with Phase, Cause and Done set. When ctx
// is done it gives up and ends the exchange as CauseAborted.
type Doer interface {
	Do(ctx context.Context, e *results.Exchange)
}

// A Clock lets time pass until it is woken.
type Clock interface {
	// Wait returns when d has passed; a d of Forever never does. It may return
	// sooner, and does when woken.
	Wait(d time.Duration)
	// Wake makes the current Wait, or otherwise the next one, return at once. It may
	// be called from any goroutine.
	Wake()
}

// Each is an Engine with a goroutine for each exchange.
type Each struct {
	Doer  Doer
	Clock Clock // nil: Go's timers, which wake about half a millisecond late on Linux

	ctx   context.Context
	epoch time.Time
	over  func(*results.Exchange)
}

// timers is the Clock of Go's timers.
type timers struct{ *poll.Clock }

func (t timers) Wait(d time.Duration) { t.Clock.Wait(nil, d) }

// Begin implements Engine.
func (g *Each) Begin(ctx context.Context, epoch time.Time, over func(*results.Exchange)) {
	g.ctx, g.epoch, g.over = ctx, epoch, over
	if g.Clock == nil {
		g.Clock = timers{poll.NewClock()}
	}
}

// Start implements Engine.
func (g *Each) Start(e *results.Exchange) {
	go func() {
		g.Doer.Do(g.ctx, e)
		g.over(e)
	}()
}

// Wait implements Engine.
func (g *Each) Wait(until time.Duration) {
	d := Forever
	if until != Forever {
		d = max(until-time.Since(g.epoch), 0)
	}
	g.Clock.Wait(d)
}

// Wake implements Engine.
func (g *Each) Wake() { g.Clock.Wake() }

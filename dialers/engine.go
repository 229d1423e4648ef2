package dialers

import (
	"context"
	"sync"
	"time"

	"github.com/kabench/kabench/internal/poll"
	"github.com/kabench/kabench/internal/transport"
)

// engine is what the loop of a Client waits for: sockets, timers, and what other
// goroutines have done. It is a transport.Loop.
type engine struct {
	poller   *poll.Poller
	events   []poll.Event
	lastPoll time.Duration // when the poller was last asked
	closings transport.Closings

	inbox    inbox
	running  sync.WaitGroup // the other goroutines
	ctx      context.Context
	cancel   context.CancelFunc // ends what they do
	turns    transport.Turns    // of TLS handshakes
	sessions sessions           // of TLS, for later connections
	names    nameCache          // looked up, for later connections

	// Guarded by Client.mu.
	tokens         tokens
	exchangeTimers timers // exchanges, by Config.Timeout
	responseTimers timers // exchanges that wait for a response, by response_timeout
	continueTimers timers // exchanges that hold their body back, by continueTimeout
	dialTimers     timers // dials, by the Dialer's Timeout
}

func newEngine() (*engine, error) {
	poller, err := poll.New()
	if err != nil {
		return nil, err
	}
	g := &engine{poller: poller, events: make([]poll.Event, poll.MaxEvents), turns: transport.NewTurns()}
	g.ctx, g.cancel = context.WithCancel(context.Background())
	return g, nil
}

// Go implements transport.Loop.
func (g *engine) Go(f func()) { g.running.Go(f) }

// Post implements transport.Loop.
func (g *engine) Post(f func()) {
	g.inbox.put(f)
	g.poller.Wake()
}

// Watch implements transport.Loop.
func (g *engine) Watch(fd int, l transport.Listener) (uint64, error) {
	token := g.tokens.take(l)
	return token, g.poller.Add(fd, token)
}

// wait waits until something happens or d has passed, and returns the number of events. It
// returns at once if there was time to close sockets.
func (g *engine) wait(now, d time.Duration) int {
	if !g.closings.Tend(now) {
		return g.poller.Wait(g.events, d)
	}
	n := g.poller.Wait(g.events, 0)
	if n == 0 {
		g.closings.Now()
	}
	return n
}

// Forget implements transport.Loop.
func (g *engine) Forget(token uint64) { g.tokens.release(token) }

// until is a context for a goroutine that gives up at the deadline, or only when
// the Client is closed if the deadline is zero.
func (g *engine) until(deadline time.Time) (context.Context, context.CancelFunc) {
	if deadline.IsZero() {
		return context.WithCancel(g.ctx)
	}
	return context.WithDeadline(g.ctx, deadline)
}

// expire fires the timers whose moment has come, and calls then after each.
func (g *engine) expire(now time.Duration, then func()) {
	g.responseTimers.expire(now, then)
	g.exchangeTimers.expire(now, then)
	g.continueTimers.expire(now, then)
	g.dialTimers.expire(now, then)
}

// nextTimer calls sooner with the first moment of each kind of timer.
func (g *engine) nextTimer(sooner func(at time.Duration, any bool)) {
	sooner(g.responseTimers.next())
	sooner(g.exchangeTimers.next())
	sooner(g.continueTimers.next())
	sooner(g.dialTimers.next())
}

// doLoop calls Wait for Client.Do, on a goroutine, because no open loop does.
type doLoop struct {
	once sync.Once
	quit chan struct{} // nil: it has not begun
	gone chan struct{}
}

// begin calls wait until stop, on a goroutine.
func (l *doLoop) begin(wait func()) {
	l.once.Do(func() {
		l.quit, l.gone = make(chan struct{}), make(chan struct{})
		go func() {
			defer close(l.gone)
			for {
				select {
				case <-l.quit:
					return
				default:
					wait()
				}
			}
		}()
	})
}

// stop ends the loop, if it has begun. wake makes wait return.
func (l *doLoop) stop(wake func()) {
	if l.quit != nil {
		close(l.quit)
		wake()
		<-l.gone
	}
}

// inbox holds what goroutines leave for the loop.
type inbox struct {
	mu   sync.Mutex
	left []func()
}

func (b *inbox) put(f func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.left = append(b.left, f)
}

// take runs what was left, in order, and calls then after each.
func (b *inbox) take(then func()) {
	b.mu.Lock()
	left := b.left
	b.left = nil
	b.mu.Unlock()
	for _, f := range left {
		f()
		then()
	}
}

package external

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/kabench/kabench/dialers"
)

// Conversation speaks with a driver request by request, without a run: to check
// its behaviour. It must be ended before an Engine uses the driver.
type Conversation struct {
	driver  *Driver
	answers chan Answer

	mu     sync.Mutex
	sent   map[uint64]time.Duration // guarded by mu: when, from the driver's base; kept, so that a second answer is known
	twice  map[uint64]bool          // guarded by mu: those that were answered
	gauged []map[string]float64     // guarded by mu
	gone   chan string
}

// Answer is what a driver said about a request. Times are offsets from the start of the
// driver, on our clock; Called is wrong by at most Wrong.
type Answer struct {
	Seq    uint64
	Status int
	Bytes  int64
	Err    *Error

	Sent, Called, Came time.Duration
	Wrong              time.Duration
	Lag                time.Duration // from received to called, by the driver's clock
	Took               time.Duration // from called to finished, by the driver's clock
	Fault              Fault         // what is wrong with the answer; "": nothing
	Why                string        // of Fault
}

// Converse begins a conversation. The driver must be configured.
func (d *Driver) Converse() *Conversation {
	c := &Conversation{
		driver: d, answers: make(chan Answer, 1<<16), gone: make(chan string, 1),
		sent: map[uint64]time.Duration{}, twice: map[uint64]bool{},
	}
	d.receive(c)
	return c
}

// End ends the conversation.
func (c *Conversation) End() { c.driver.receive(nil) }

// Prepared is a request, prepared to be dispatched many times.
type Prepared struct{ dispatch }

// Prepare prepares a request.
func Prepare(p dialers.Parts) Prepared { return Prepared{newDispatch(p)} }

// Dispatch sends a request to the driver. Each number is used once. It does not wait.
func (c *Conversation) Dispatch(seq uint64, p Prepared) error {
	frame := p.appendTo(nil, seq)
	c.mu.Lock()
	c.sent[seq] = time.Since(c.driver.base)
	c.mu.Unlock()
	return c.Raw(frame)
}

// Raw sends bytes as they are.
func (c *Conversation) Raw(frames []byte) error {
	if err := c.driver.process.In.Send(frames); err != nil {
		return c.driver.broken(err)
	}
	return nil
}

// ErrNoAnswer is a driver that has not answered in time.
var ErrNoAnswer = errors.New("there was no done")

// Next returns the next answer, or what is wrong if there is none in time.
func (c *Conversation) Next(within time.Duration) (Answer, error) {
	select {
	case a := <-c.answers:
		return a, nil
	default:
	}
	if within <= 0 {
		return Answer{}, ErrNoAnswer
	}
	timer := time.NewTimer(within)
	defer timer.Stop()
	select {
	case a := <-c.answers:
		return a, nil
	case why := <-c.gone:
		c.gone <- why
		return Answer{}, fmt.Errorf("the driver %s", why)
	case <-timer.C:
		return Answer{}, ErrNoAnswer
	}
}

// Gauges returns the gauges since the last call.
func (c *Conversation) Gauges() []map[string]float64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	g := c.gauged
	c.gauged = nil
	return g
}

// done implements receiver.
func (c *Conversation) done(a *answer, came time.Duration) bool {
	if *a.Seq >= warmUpSeqs { // the warm-up's, given up; they are few, so they are no flood
		return false
	}
	c.mu.Lock()
	sent, known := c.sent[*a.Seq]
	again := c.twice[*a.Seq]
	c.twice[*a.Seq] = known
	c.mu.Unlock()
	out := Answer{Seq: *a.Seq, Status: a.Status, Bytes: a.Bytes, Err: a.Error, Sent: sent, Came: came}
	out.Lag, out.Took = time.Duration(*a.Called-*a.Received), time.Duration(*a.Finished-*a.Called)
	out.Called, out.Wrong = c.driver.clock.ours(*a.Called)
	switch {
	case !known:
		out.Fault, out.Why = FaultUnsent, fmt.Sprintf("done for number %d, which was not dispatched", out.Seq)
	case again:
		out.Fault, out.Why = FaultTwice, fmt.Sprintf("done for number %d, which was over", out.Seq)
	default:
		if lie, _ := c.driver.impossible(a, sent, came); lie != "" {
			out.Fault, out.Why = FaultTimes, lie
		}
	}
	select {
	case c.answers <- out:
	default: // more than anybody asked for
		return false
	}
	return known && !again
}

// gauges implements receiver.
func (c *Conversation) gauges(values map[string]float64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.gauged = append(c.gauged, values)
}

// ended implements receiver.
func (c *Conversation) ended(why string) {
	select {
	case c.gone <- why:
	default:
	}
}

// Faults counts what the driver did so far that it may not, as name and example.
func (d *Driver) Faults() map[string]string {
	all := map[string]string{}
	for _, f := range d.faults.list() {
		all[f.Name] = f.Example
	}
	return all
}

// Bye says bye, and reports what was wrong with how the driver ended: it must say bye,
// and exit with 0 within 5 s.
func (d *Driver) Bye() error {
	for len(d.replies) > 0 {
		<-d.replies
	}
	err := d.Close()
	if err != nil {
		return err
	}
	for {
		select {
		case f := <-d.replies:
			if f.Type == "bye" {
				return nil
			}
		default:
			return fmt.Errorf("the driver %s ended without saying bye", d.Name())
		}
	}
}

// Hangup closes the driver's stdin without a word, and reports what was wrong with how
// the driver ended: it must exit within 5 s.
func (d *Driver) Hangup() error {
	d.mu.Lock()
	d.closing = true
	d.mu.Unlock()
	d.process.In.Close()
	if !d.process.Within(d.limits.bye) {
		d.process.End(d.limits.term)
		<-d.over
		return fmt.Errorf("the driver %s did not end within %v of the end of its stdin, and was ended", d.Name(), d.limits.bye)
	}
	<-d.over
	return nil
}

// Now is the time on the clock of an Answer's times.
func (c *Conversation) Now() time.Duration { return time.Since(c.driver.base) }

package check

import (
	"fmt"
	"time"

	"github.com/kabench/kabench/dialers/external"
	"github.com/kabench/kabench/results"
)

// What a driver is measured at.
const (
	lagRate  = 400.0 // per second
	lagFor   = 3 * time.Second
	lagLimit = time.Millisecond // p99 from received to called
	fastRate = 5000.0
	fastMany = 10_000
	warmFor  = 3 * time.Second // a JIT compiles what it sees often
	tickTime = time.Millisecond
	onTime   = 20 * time.Millisecond // a call this late or later is not held
)

// loads measures how late the driver calls its client.
func (k *checking) loads() {
	if k.options.LagFor < 0 {
		return
	}
	lag, many := k.options.LagFor, k.options.Requests
	if lag == 0 {
		lag = lagFor
	}
	if many == 0 {
		many = fastMany
	}
	k.end()
	err := k.driver.Configure(k.ctx, external.Config{})
	if err == nil {
		_, err = k.driver.WarmUp(k.ctx, external.WarmUp{Most: warmFor})
	}
	var at results.Quantiles
	var late results.Quantiles
	if err == nil {
		at, late, _, err = k.load(lagRate, int(lagRate*lag.Seconds()))
	}
	k.report.LagP99, k.report.LateP99 = at.P99, late.P99
	says := fmt.Sprintf("p99 %s from received to called, %s from handed over to called, after a warm-up", short(at.P99), short(late.P99))
	if err == nil && at.P99 > lagLimit.Seconds() && !k.options.Slow {
		err = fmt.Errorf("%s; the limit is %v from received to called", says, lagLimit)
	}
	k.rule("lag at 400/s", err, "stamp received and call the client at once: no queue, lock, or new thread pool in between; or this machine is busy", says)
	if err := k.ctx.Err(); err != nil {
		return
	}
	at, late, took, err := k.load(fastRate, many)
	k.report.FastAsked, k.report.FastLateP99 = fastRate, late.P99
	if took > 0 {
		k.report.FastHeld = float64(late.Count) / took.Seconds()
	}
	k.rule("rate", err, "read and write frames faster, or say in the driver's documentation which rate it holds",
		fmt.Sprintf("of %.0f/s for %s, %.0f/s were called less than %v late (p99 %s)", fastRate, short(float64(many)/fastRate), k.report.FastHeld, onTime, short(late.P99)))
}

// short writes seconds with a unit.
func short(seconds float64) string {
	d := time.Duration(seconds * float64(time.Second))
	switch {
	case d < 10*time.Millisecond:
		return d.Round(time.Microsecond).String()
	default:
		return d.Round(time.Millisecond / 10).String()
	}
}

// load sends many requests at a rate and measures how late they were called. took is how
// long it was from the first dispatch to the last call on time, and late.Count how many
// were on time.
func (k *checking) load(rate float64, many int) (lag, late results.Quantiles, took time.Duration, err error) {
	if err := k.begin(external.Config{}); err != nil {
		return lag, late, 0, err
	}
	defer k.end()
	request := external.Prepare(parts("GET", k.server.url+"/", nil, 0))
	var lags, lates results.Durations
	held := uint64(0)
	sent, answered := 0, 0
	began := time.Now()
	begin := k.talk.Now()
	last := begin
	take := func(within time.Duration) error {
		a, err := k.talk.Next(within)
		if err != nil {
			return err
		}
		answered++
		k.noteFault(a)
		lags.Add(a.Lag)
		behind := max(a.Called-a.Sent, 0)
		lates.Add(behind)
		if behind < onTime {
			held++
		}
		last = max(last, a.Called)
		return nil
	}
	ticker := time.NewTicker(tickTime)
	defer ticker.Stop()
	for sent < many && k.ctx.Err() == nil {
		<-ticker.C
		for due := min(int(rate*time.Since(began).Seconds()), many); sent < due; sent++ {
			if err := k.talk.Dispatch(k.next(), request); err != nil {
				return lag, late, 0, err
			}
		}
		for take(0) == nil {
		}
	}
	for answered < sent {
		if err := take(replyTime); err != nil {
			return lag, late, 0, fmt.Errorf("after %d of %d answers: %w", answered, sent, err)
		}
	}
	lag, late = lags.Quantiles(), lates.Quantiles()
	late.Count = held
	return lag, late, last - begin, nil
}

package conform

import (
	"fmt"
	"time"
)

// machine watches whether this machine lets programs run when they want to.
type machine struct {
	quit chan struct{}
	most chan time.Duration
}

// lookEvery is how often the machine is asked.
const lookEvery = 5 * time.Millisecond

func watchMachine() machine {
	m := machine{make(chan struct{}), make(chan time.Duration, 1)}
	go func() {
		tick := time.NewTicker(lookEvery)
		defer tick.Stop()
		var most time.Duration
		last := time.Now()
		for {
			select {
			case <-m.quit:
				m.most <- most
				return
			case <-tick.C:
				now := time.Now()
				most = max(most, now.Sub(last)-lookEvery)
				last = now
			}
		}
	}()
	return m
}

// stop returns the longest time for which a program that wanted to run did not.
func (m machine) stop() time.Duration {
	close(m.quit)
	return <-m.most
}

// disturbed says how the machine disturbed a play, or "".
func (s Story) disturbed(stalled, started, server time.Duration) string {
	for _, one := range []struct {
		what string
		late time.Duration
	}{
		{"the machine did not run kabench for", stalled},
		{"a request was started late by", started},
		{"the story's server was late by", server},
	} {
		if one.late > s.Slack {
			return fmt.Sprintf("%s %v", one.what, one.late.Round(time.Millisecond))
		}
	}
	return ""
}

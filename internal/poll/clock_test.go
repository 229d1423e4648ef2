package poll

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := NewClock()
		defer c.Close()
		begin := time.Now()
		c.Wait(nil, time.Minute)
		if d := time.Since(begin); d != time.Minute {
			t.Errorf("a wait of a minute took %v", d)
		}
		go func() {
			time.Sleep(time.Second)
			c.Wake()
			c.Wake() // one is as good as two
		}()
		for _, d := range []time.Duration{Forever, time.Hour} {
			begin = time.Now()
			c.Wait(nil, d)
			if took := time.Since(begin); took > time.Second {
				t.Errorf("woken, a wait of %v took %v", d, took)
			}
			c.Wake()
		}
		c.Wait(nil, 0)
		c.Wait(nil, time.Nanosecond)
	})
}

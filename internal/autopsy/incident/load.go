package incident

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/kabench/kabench/internal/autopsy"
	"github.com/kabench/kabench/internal/evidence"
)

// Bounds of a load that is taken from a capture. Beyond them the traffic is planned
// instead.
const (
	fewRequests  = 20
	mostRequests = 20_000
	mostRate     = 1000
	longest      = time.Minute // or four idle timeouts, if they take longer
	leastBursts  = 3
)

// load is the offered load that a capture shows.
type load struct {
	rate        float64       // in a burst, or of all
	on          time.Duration // 0: there are no bursts
	off, offMax time.Duration
	lasts       time.Duration
}

// fitted finds the load in the times of requests, in order. A silence counts as one if it
// is longer than half of the server's idle timeout: shorter ones do not matter to it. ok
// is false if there are too few requests, or too many for a run.
func fitted(list []autopsy.Request, idle evidence.Timer) (l load, ok bool) {
	if len(list) < fewRequests {
		return load{}, false
	}
	all := list[len(list)-1].Sent - list[0].Sent
	l.lasts = max(min(all, max(longest, 4*idle.Max)), time.Second)
	l.rate = float64(len(list)-1) / max(all, time.Millisecond).Seconds()
	silence := max(idle.Min/2, 20*time.Millisecond)
	var gaps []time.Duration
	var within time.Duration // all bursts
	begin := 0
	for i := 1; i <= len(list); i++ {
		if i < len(list) && list[i].Sent-list[i-1].Sent < silence {
			continue
		}
		within += list[i-1].Sent - list[begin].Sent
		if i < len(list) {
			gaps = append(gaps, list[i].Sent-list[i-1].Sent)
		}
		begin = i
	}
	bursts := len(gaps) + 1
	if bursts >= leastBursts && len(list) >= 2*bursts && within > 0 {
		l.rate = float64(len(list)-bursts) / within.Seconds()
		between := time.Duration(float64(time.Second) / l.rate) // two requests
		l.on = fine(within/time.Duration(bursts) + between)
		slices.Sort(gaps)
		l.off = fine(max(gaps[len(gaps)/10]-between, time.Millisecond))
		l.offMax = max(fine(gaps[len(gaps)-1-len(gaps)/10]-between), l.off)
	}
	return l, l.rate <= mostRate && l.mean()*l.lasts.Seconds() <= mostRequests
}

// mean is the mean rate.
func (l load) mean() float64 {
	if l.on == 0 {
		return l.rate
	}
	return l.rate * l.on.Seconds() / (l.on + (l.off+l.offMax)/2).Seconds()
}

// sets returns the load as --set has it.
func (l load) sets() []string {
	arrivals := "poisson"
	if l.on > 0 {
		arrivals = fmt.Sprintf("{process: burst, on: %v, off: %v, off_max: %v, within: poisson}", l.on, l.off, l.offMax)
	}
	return []string{
		"load.rate=" + strconv.FormatFloat(digits(l.rate), 'f', -1, 64) + "/s",
		"load.arrivals=" + arrivals,
		"load.duration=" + l.lasts.Round(100*time.Millisecond).String(),
	}
}

// String says what the load is.
func (l load) String() string {
	if l.on == 0 {
		return fmt.Sprintf("%.3g requests/s at random times", l.rate)
	}
	return fmt.Sprintf("bursts of %v at %.3g/s, after silences of %v to %v", l.on, l.rate, l.off, l.offMax)
}

// digits returns x with about three significant digits.
func digits(x float64) float64 {
	if x >= 100 {
		return math.Round(x)
	}
	scale := math.Pow(10, 2-math.Floor(math.Log10(x)))
	return math.Round(x*scale) / scale
}

// fine returns d to a tenth of a millisecond, which a profile can show.
func fine(d time.Duration) time.Duration {
	return max(d.Round(100*time.Microsecond), 100*time.Microsecond)
}

package autopsypage

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/kabench/kabench/internal/autopsy"
	"github.com/kabench/kabench/internal/chart"
	"github.com/kabench/kabench/internal/evidence"
)

// Bounds of a picture.
const (
	maxDots    = 500 // of a row
	maxFailed  = 40  // connections
	maxTypical = 10
)

// closesChart draws after which idle time the server closed connections, and after which
// idle time requests failed or got a response.
func closesChart(d Document) *chart.Chart {
	var closes, failed, served []float64
	for i := range d.Seen.Connections {
		if idle, ok := idleBeforeClose(&d.Seen.Connections[i]); ok {
			closes = append(closes, idle.Seconds())
		}
	}
	for _, r := range d.Seen.Requests {
		switch {
		case r.Idle == evidence.NotSeen || r.Nth < 2:
		case r.Failed:
			failed = append(failed, r.Idle.Seconds())
		default:
			served = append(served, r.Idle.Seconds())
		}
	}
	all := slices.Sorted(slices.Values(append(slices.Clone(closes), failed...)))
	if len(all) == 0 {
		return nil
	}
	first, last := all[len(all)/50], all[len(all)-1-len(all)/50]
	margin := max((last-first)*0.6, 0.004)
	a := chart.Axis{From: max(first-margin, 0), To: last + margin}
	served = slices.DeleteFunc(served, func(v float64) bool { return v < a.From || v > a.To })
	c := chart.New("seconds since the response")
	c.Says = fmt.Sprintf("%d idle connections were closed by the server; %d requests on idle connections failed.", len(closes), len(failed))
	y := c.Top
	for _, row := range []struct {
		name, class, says string
		times             []float64
	}{
		{"closes", "close", "closed", closes}, {"failed", "late nothing", "failed", failed}, {"got a response", "late response", "a response", served},
	} {
		if len(row.times) == 0 {
			continue
		}
		y += chart.RowHeight
		c.Row(y, row.name)
		for i, v := range sampled(row.times, maxDots) {
			class := row.class
			if v < a.From || v > a.To {
				class = "outside"
			}
			c.Dot(a.X(v), y+float64(i%5-2)*4, class, fmt.Sprintf("%s after %.6f s", row.says, v))
		}
	}
	c.End(a, y+chart.RowHeight*0.7)
	if t := d.Verdict.Servers[0].Facts.Idle; t.Known() {
		c.Median(a, t.Low.Seconds(), t.Median.Seconds(), t.High.Seconds())
	}
	return c
}

// idleBeforeClose is how long a connection had been idle when the server closed it.
func idleBeforeClose(c *autopsy.Lifeline) (time.Duration, bool) {
	n := len(c.Exchanges)
	if c.Close.By != evidence.ByServer || c.Close.At == evidence.NotSeen || n == 0 {
		return 0, false
	}
	idle := c.Close.At - c.Exchanges[n-1].Done
	return idle, idle >= 0
}

// sampled returns at most n of the values, evenly chosen in the order of size.
func sampled(list []float64, n int) []float64 {
	list = slices.Sorted(slices.Values(list))
	if len(list) <= n {
		return list
	}
	out := make([]float64, n)
	for i := range out {
		out[i] = list[i*(len(list)-1)/(n-1)]
	}
	return out
}

// chosen returns the connections that are drawn: those with a failed request, and a few
// others.
func chosen(d Document) (list []autopsy.Lifeline) {
	failed, typical := 0, 0
	for _, c := range d.Seen.Connections {
		switch {
		case len(c.Unanswered) > 0 && failed < maxFailed:
			failed++
			list = append(list, c)
		case len(c.Unanswered) == 0 && c.Requests > 1 && typical < maxTypical:
			typical++
			list = append(list, c)
		}
	}
	slices.SortStableFunc(list, func(a, b autopsy.Lifeline) int { return int(a.Since - b.Since) })
	return list
}

// livesChart draws connections from their first segment to their end.
func livesChart(d Document) *chart.Chart {
	seen := chosen(d)
	if len(seen) == 0 {
		return nil
	}
	const height = 14.0
	from, to := seen[0].Since, seen[0].Until
	for _, one := range seen {
		to = max(to, endOf(&one))
	}
	a := chart.Axis{From: from.Seconds(), To: max(to, from+time.Millisecond).Seconds()}
	c := chart.New("seconds since the beginning")
	c.Says = fmt.Sprintf("The life of %d connections: a line is an open connection, a dot on it a request, and the mark at its end shows how it was closed.", len(seen))
	for i := range seen {
		one := &seen[i]
		y := c.Top + float64(i+1)*height
		c.Row(y, "#"+strconv.Itoa(one.Number))
		end := endOf(one)
		c.Line(a.X(one.Since.Seconds()), a.X(end.Seconds()), y, "open")
		for _, e := range one.Exchanges {
			if e.Sent != evidence.NotSeen {
				c.Dot(a.X(e.Sent.Seconds()), y, "sent", "request after "+exact(e.Sent))
			}
		}
		if one.Close.At != evidence.NotSeen {
			class := "end " + one.Close.How.String()
			c.Dot(a.X(end.Seconds()), y, class, fmt.Sprintf("%v by the %v after %s", one.Close.How, one.Close.By, exact(end)))
		}
		for _, u := range one.Unanswered {
			if u.Sent != evidence.NotSeen {
				c.Dot(a.X(u.Sent.Seconds()), y, "late nothing", fmt.Sprintf("request without a response after %s: %v", exact(u.Sent), u.Met))
			}
		}
	}
	c.End(a, c.Top+float64(len(seen)+1)*height)
	return c
}

// endOf is when a connection was closed, or seen last.
func endOf(c *autopsy.Lifeline) time.Duration {
	if c.Close.At != evidence.NotSeen {
		return c.Close.At
	}
	return c.Until
}

// exact prints a time to a tenth of a millisecond.
func exact(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', 4, 64) + " s" }

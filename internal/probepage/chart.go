package probepage

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/kabench/kabench/internal/chart"
	"github.com/kabench/kabench/internal/evidence"
	"github.com/kabench/kabench/internal/probe"
)

// outcomes are the rows below the closes, in their order.
var outcomes = []struct{ met, label string }{
	{"response", "got a response"}, {"408", "got a 408"}, {"fin", "met a FIN"}, {"close_notify", "met close_notify"}, {"rst", "met an RST"}, {"silent", "met silence"}, {"nothing", "got nothing"},
}

// closesChart draws when idle connections were closed, and what late requests met.
func closesChart(f probe.Found) *chart.Chart {
	if len(f.Idle) == 0 {
		return nil
	}
	idle := slices.Sorted(slices.Values(f.Idle))
	first, last := idle[0], idle[len(idle)-1]
	margin := max((last-first)*0.6, 0.004)
	a := chart.Axis{From: max(first-margin, 0), To: last + margin}
	c := chart.New("seconds since the response")
	c.Says = fmt.Sprintf("%d idle connections were closed after %.4f to %.4f seconds.", len(idle), first, last)
	y := c.Top + chart.RowHeight
	c.Row(y, "closes")
	for i, v := range idle {
		c.Dot(a.X(v), y+float64(i%5-2)*4, "close", fmt.Sprintf("closed after %.6f s", v))
	}
	y += chart.RowHeight
	for _, o := range outcomes {
		n := 0
		for _, l := range f.Late {
			if l.Met != o.met {
				continue
			}
			if n++; n == 1 {
				y += chart.RowHeight
				c.Row(y, o.label)
			}
			c.Dot(a.X(l.Idle), y, lateClass(a, l), fmt.Sprintf("sent after %.6f s", l.Idle))
		}
	}
	if len(f.Late) > 0 {
		c.Says += " The rows below show what requests met that were sent about then; a ring at an edge lies outside the picture."
	}
	c.End(a, y+chart.RowHeight*0.7)
	if t := f.Server.Idle; t.Known() {
		c.Median(a, t.Low.Seconds(), t.Median.Seconds(), t.High.Seconds())
	}
	return c
}

// lateClass is the look of a late request.
func lateClass(a chart.Axis, l probe.LateRequest) string {
	class := "late " + l.Met
	if l.Idle < a.From || l.Idle > a.To {
		class += " outside"
	}
	return class
}

// livesChart draws each connection from its opening to its end.
func livesChart(seen []evidence.Connection, took float64) *chart.Chart {
	if len(seen) == 0 || took <= 0 {
		return nil
	}
	const height = 9.0
	a := chart.Axis{From: 0, To: took}
	c := chart.New("seconds since the start")
	c.Says = fmt.Sprintf("The life of %d connections: a line is an open connection, a dot on it a request, and the mark at its end shows how the server closed it.", len(seen))
	for i, conn := range seen {
		y := c.Top + float64(i+1)*height
		end, class := conn.Until, "ours"
		if conn.Close.At != evidence.NotSeen {
			end, class = conn.Close.At, conn.Close.How.String()
		}
		c.Line(a.X(conn.Opened.Seconds()), a.X(end.Seconds()), y, "open")
		for _, e := range conn.Exchanges {
			if e.Sent != evidence.NotSeen {
				c.Dot(a.X(e.Sent.Seconds()), y, "sent", "request after "+exact(e.Sent))
			}
		}
		if conn.Half != evidence.NotSeen {
			c.Dot(a.X(conn.Half.Seconds()), y, "half", "half a request head after "+exact(conn.Half))
		}
		if class != "ours" {
			c.Dot(a.X(end.Seconds()), y, "end "+class, class+" after "+exact(end))
		}
	}
	c.End(a, c.Top+float64(len(seen)+1)*height)
	return c
}

// exact prints a time to a tenth of a millisecond.
func exact(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', 4, 64) + " s" }

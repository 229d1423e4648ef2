package watching

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/kabench/kabench/internal/autopsy"
	"github.com/kabench/kabench/internal/autopsypage"
	"github.com/kabench/kabench/internal/chart"
	"github.com/kabench/kabench/internal/cli"
	"github.com/kabench/kabench/internal/serving"
	"github.com/kabench/kabench/internal/watch"
	"github.com/kabench/kabench/results"
)

// writePage writes the page of a document.
func (d *session) writePage(w io.Writer, doc *Document) error {
	return autopsypage.Write(w, d.pageDocument(doc))
}

func (d *session) pageDocument(doc *Document) autopsypage.Document {
	p := autopsypage.Document{
		Verdict: doc.Verdict.Verdict, Advice: doc.Verdict.Advice(), Version: doc.Version, Command: "watch", What: d.title(),
		Pictures: []autopsypage.Picture{
			{
				Title: "Idle before the close, by side", Chart: idleChart(doc),
				How: "Each dot is a connection: how long it had carried no data when one side closed it. If the server's dots come before the client's, the server closes connections that the pool still keeps.",
			},
			{
				Title: "The pool against its sockets", Chart: poolChart(d.w.Series().Points),
				How: "The number of sockets over time, and below them what the pool's gauges say. Each row has its own scale, up to the number beside its name.",
			},
		},
		Parts: []autopsypage.Part{{Title: "The connections", Says: doc.watched()}, {Title: "Layers", Says: append(watch.Layers(d.seesNow()), doc.Cost.sentence())}},
	}
	live := autopsy.Live{Connections: d.ring.Connections()}
	if len(doc.Verdict.Servers) > 0 {
		p.Seen = live.Gathered(doc.Verdict.Servers[0].Address)
	}
	return p
}

func (d *session) seesNow() []watch.Sees {
	if d.sees != nil {
		return d.sees
	}
	return d.layers.sees()
}

// maxDots bounds the dots of a row.
const maxDots = 500

// idleChart draws the idle times before closes, a row for each side.
func idleChart(doc *Document) *chart.Chart {
	first, last := 1e18, 0.0
	for _, one := range doc.Idle {
		n := len(one.Times)
		first, last = min(first, one.Times[n/50]), max(last, one.Times[n-1-n/50])
	}
	if last == 0 {
		return nil
	}
	margin := max((last-first)*0.1, 0.01)
	a := chart.Axis{From: max(first-margin, 0), To: last + margin}
	c := chart.New("seconds without data before the close")
	c.Says = "Idle times of connections before the close, by the side that closed first."
	y := c.Top
	for _, side := range []string{"server", "client", "middle", "nobody"} {
		one, ok := doc.Idle[side]
		if !ok {
			continue
		}
		y += chart.RowHeight
		c.Row(y, fmt.Sprintf("%s: %d", side, one.Count))
		class := "close"
		if side == "client" {
			class = "sent"
		}
		step := max(1, len(one.Times)/maxDots)
		for i := 0; i < len(one.Times); i += step {
			v := one.Times[i]
			shape := class
			if v < a.From || v > a.To {
				shape = "outside"
			}
			c.Dot(a.X(v), y+float64(i/step%5-2)*4, shape, fmt.Sprintf("closed by the %s after %.3f s", side, v))
		}
	}
	c.End(a, y+chart.RowHeight*0.7)
	return c
}

// maxCurve bounds the points of a curve.
const maxCurve = 400

// poolChart draws the sockets and the gauges over time.
func poolChart(points []watch.Point) *chart.Chart {
	if len(points) < 2 {
		return nil
	}
	step := max(1, len(points)/maxCurve)
	a := chart.Axis{From: points[0].At, To: points[len(points)-1].At}
	c := chart.New("seconds since the beginning")
	c.Says = "The number of sockets by state, and the pool's gauges, over time."
	y := c.Top
	for _, row := range []struct {
		name, class string
		of          func(*watch.Point) float64
	}{
		{"idle", "curve", func(p *watch.Point) float64 { return float64(p.Idle) }},
		{"leased", "curve", func(p *watch.Point) float64 { return float64(p.Leased) }},
		{"stale", "curve bad", func(p *watch.Point) float64 { return float64(p.Stale) }},
		{"accepted", "curve", func(p *watch.Point) float64 { return float64(p.Accepted) }},
		{"TIME_WAIT", "curve soft", func(p *watch.Point) float64 { return float64(p.TimeWait[0] + p.TimeWait[1]) }},
		{"gauge idle", "curve soft", func(p *watch.Point) float64 { return p.SaysIdle }},
		{"gauge leased", "curve soft", func(p *watch.Point) float64 { return p.SaysLease }},
		{"gauge pending", "curve bad", func(p *watch.Point) float64 { return p.Pending }},
		{"failures", "curve bad", func(p *watch.Point) float64 { return float64(p.Failures) }},
	} {
		var times, values []float64
		most := 0.0
		for i := 0; i < len(points); i += step {
			v := row.of(&points[i])
			if v < 0 {
				continue
			}
			times, values, most = append(times, points[i].At), append(values, v), max(most, v)
		}
		if most == 0 {
			continue
		}
		y += chart.RowHeight
		c.Row(y-chart.RowHeight/3, row.name+" "+strconv.FormatFloat(most, 'f', -1, 64))
		c.Curve(a, y, most, times, values, row.class, fmt.Sprintf("%s, at most %s", row.name, results.FormatThree(most)))
	}
	if y == c.Top {
		return nil
	}
	c.End(a, y+chart.RowHeight*0.4)
	return c
}

// livePage serves the page while the watch goes on. A nil livePage does nothing.
type livePage struct {
	place  *serving.Place
	http   *http.Server
	asks   chan chan []byte
	over   chan struct{} // closed when last is there
	last   []byte
	served chan struct{}
}

// serve serves the page if --live asks for it, and prints its address.
func (o *options) serve(s *cli.Streams) (*livePage, error) {
	if o.live == "" {
		return nil, nil
	}
	place, err := serving.Listen(o.live)
	if err != nil {
		return nil, fmt.Errorf("--live: %w", err)
	}
	p := &livePage{place: place, asks: make(chan chan []byte), over: make(chan struct{}), served: make(chan struct{})}
	p.http = &http.Server{Handler: http.HandlerFunc(p.page), ReadTimeout: 5 * time.Second, WriteTimeout: time.Minute, MaxHeaderBytes: 16 << 10}
	go func() {
		defer close(p.served)
		_ = p.http.Serve(place) // returns when it is closed
	}()
	fmt.Fprintf(s.Errors, "live: %s\n", place.URL())
	if !place.Alone() {
		fmt.Fprintln(s.Err, "kabench: everyone who can reach this machine can read the live report; --live :PORT serves it to this machine only")
	}
	return p, nil
}

func (p *livePage) page(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	switch {
	case !p.place.Welcome(r.Host):
		http.Error(w, "this server is "+p.place.URL()+" and does not serve other names", http.StatusMisdirectedRequest)
		return
	case r.Method != http.MethodGet:
		h.Set("Allow", http.MethodGet)
		http.Error(w, "only GET is allowed here", http.StatusMethodNotAllowed)
		return
	case r.URL.Path != "/":
		http.Error(w, "there is no such page; the report is at "+p.place.URL(), http.StatusNotFound)
		return
	}
	h.Set("Content-Type", "text/html; charset=utf-8")
	answer := make(chan []byte, 1)
	select {
	case p.asks <- answer:
		_, _ = w.Write(<-answer)
	case <-p.over:
		_, _ = w.Write(p.last)
	case <-r.Context().Done():
	}
}

// asked gets the questions for the page as it is now.
func (p *livePage) asked() <-chan chan []byte {
	if p == nil {
		return nil
	}
	return p.asks
}

// final gives the last page to those that ask from now on.
func (p *livePage) final(page func() []byte) {
	if p != nil {
		p.last = page()
		close(p.over)
	}
}

// close stops serving, a little later, so that an open page gets the last one.
func (p *livePage) close(ctx context.Context) {
	if p == nil {
		return
	}
	select {
	case <-time.After(newerAfter + time.Second):
	case <-ctx.Done():
	}
	ending, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if p.http.Shutdown(ending) != nil {
		_ = p.http.Close()
	}
	<-p.served
}

// newerAfter is how often an open page asks for a newer one, as the page itself says.
const newerAfter = 3 * time.Second

// pageNow is the page as it is now, made at most once in a second.
func (d *session) pageNow() []byte {
	if d.drawn == nil || time.Since(d.drawnAt) > time.Second {
		doc, err := d.document("")
		if err == nil {
			d.drawn, d.drawnAt = d.drawPage(doc, true), time.Now()
		}
	}
	return d.drawn
}

func (d *session) drawPage(doc *Document, newer bool) []byte {
	p := d.pageDocument(doc)
	p.Newer = newer
	var b bytes.Buffer
	if err := autopsypage.Write(&b, p); err != nil {
		return []byte("the page cannot be drawn: " + err.Error())
	}
	return b.Bytes()
}

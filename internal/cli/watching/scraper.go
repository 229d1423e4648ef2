package watching

import (
	"context"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/kabench/kabench/internal/watch"
	"github.com/kabench/kabench/internal/watch/gauges"
)

// scraper asks for the gauges beside the looks: an endpoint that is slow delays none.
type scraper struct {
	reader *gauges.Reader
	every  time.Duration
	stop   context.CancelFunc
	done   chan struct{}
	ready  chan struct{} // has an element after a read

	mu         sync.Mutex
	list       []watch.Gauges // guarded by mu; not taken yet
	none       bool           // guarded by mu; the newest read has no gauge
	complaints []string       // guarded by mu
	saw        watch.Sees     // guarded by mu
}

// scrape begins to ask. The error is about the URL. dial connects from the network namespace
// of the service; nil: from here.
func scrape(url string, every time.Duration, began time.Time, dial func(ctx context.Context, network, address string) (net.Conn, error)) (*scraper, error) {
	reader, err := gauges.New(url, began, dial)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	p := &scraper{reader: reader, every: every, stop: cancel, done: make(chan struct{}), ready: make(chan struct{}, 1), saw: reader.Sees()}
	go p.run(ctx)
	return p, nil
}

func (p *scraper) run(ctx context.Context) {
	defer close(p.done)
	tick := time.NewTicker(p.every)
	defer tick.Stop()
	for {
		list, complaints := p.reader.Read(ctx)
		p.mu.Lock()
		if ctx.Err() == nil {
			p.none = len(list) == 0
			p.list, p.complaints, p.saw = append(p.list, list...), append(p.complaints, complaints...), p.reader.Sees()
		}
		p.mu.Unlock()
		select {
		case p.ready <- struct{}{}: // so that a look follows at once, to be compared
		default:
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// take gives w the gauges that were read since the last call, and returns new complaints.
func (p *scraper) take(w *watch.Watch) (complaints []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range p.list {
		w.Gauges(&p.list[i])
	}
	if p.none {
		w.NoGauges()
	}
	complaints = p.complaints
	p.list, p.complaints = nil, nil
	return complaints
}

func (p *scraper) sees() watch.Sees {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.saw
}

// scraped gets an element after each read; nil without gauges.
func (p *scraper) scraped() <-chan struct{} {
	if p == nil {
		return nil
	}
	return p.ready
}

func (p *scraper) close() {
	p.stop()
	<-p.done
	_ = p.reader.Close()
}

// presets are the pool presets of the clients that gauges name.
var presets = []struct{ gauge, preset string }{
	{"Reactor Netty", "reactor-netty"}, {"Apache HttpClient", "apache-hc5"}, {"OkHttp", "okhttp"}, {"undici", "undici"}, {"Jetty", "jetty-httpclient"},
	{"Envoy", "envoy"}, {".NET", "dotnet-socketshttphandler"},
}

// clientOf guesses the client's preset from the names of the pools; "": it is not known.
func clientOf(pools string) string {
	for _, one := range presets {
		if strings.Contains(pools, one.gauge) {
			return one.preset
		}
	}
	return ""
}

package external

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/kabench/kabench/dialers"
	"github.com/kabench/kabench/results"
)

// warmUpSeqs is where the numbers of a warm-up's requests begin: beyond those of any
// run, and small enough for a driver that has only floating-point numbers.
const warmUpSeqs = 1 << 52

// The defaults of WarmUp.
const (
	WarmUpRequests = 3000
	WarmUpTime     = 4 * time.Second

	warmUpRate     = 1000
	warmUpTick     = 2 * time.Millisecond
	warmUpInFlight = 64 // more would wait for each other while nothing is compiled yet
)

// WarmUp lets the driver send requests to a server of kabench's own on loopback, so that
// a JIT has compiled what a run needs. Configure the driver before, and again after: it
// then begins the run with an empty pool. The error says why nothing could be sent.
func (d *Driver) WarmUp(ctx context.Context, w WarmUp) (WarmedUp, error) {
	if w.Requests < 0 {
		return WarmedUp{}, nil
	}
	if w.Requests == 0 {
		w.Requests = WarmUpRequests
	}
	if w.Most <= 0 {
		w.Most = WarmUpTime
	}
	if w.Rate <= 0 {
		w.Rate = warmUpRate
	}
	url, closeServer, err := warmUpServer()
	if err != nil {
		return WarmedUp{}, fmt.Errorf("the server for the driver's warm-up: %w", err)
	}
	defer closeServer()
	request, err := dialers.NewRequest(http.MethodGet, url, nil, nil)
	if err != nil {
		return WarmedUp{}, err
	}
	run := &warming{dispatch: newDispatch(request.Parts()), gone: make(chan string, 1), back: make(chan bool, w.Requests)}
	began := time.Now()
	d.receive(run)
	defer d.receive(nil)
	done, err := run.send(ctx, d, w, began)
	done.Took = time.Since(began)
	d.warmed = &results.DriverWarmUp{Requests: uint64(done.Requests), Failed: uint64(done.Failed), Seconds: done.Took.Seconds()}
	return done, err
}

// warmUpServer serves what is asked at once, and keeps connections.
func warmUpServer() (url string, closeServer func(), err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte("ok\n"))
	}), ReadHeaderTimeout: WarmUpTime * 10}
	go func() { _ = s.Serve(l) }()
	return "http://" + l.Addr().String() + "/", func() { _ = s.Close() }, nil
}

// warming receives what the driver says in a warm-up.
type warming struct {
	dispatch dispatch
	back     chan bool // one for each done: whether there was a response
	gone     chan string
}

func (w *warming) done(a *answer, _ time.Duration) bool {
	select {
	case w.back <- a.Error == nil && a.Status == http.StatusOK:
		return true
	default:
		return false // more than were sent
	}
}

func (w *warming) gauges(map[string]float64) {}

func (w *warming) ended(why string) {
	select {
	case w.gone <- why:
	default:
	}
}

// send sends the requests of a warm-up, and waits for what they came to.
func (w *warming) send(ctx context.Context, d *Driver, bounds WarmUp, began time.Time) (WarmedUp, error) {
	var did WarmedUp
	back := 0
	ticker := time.NewTicker(warmUpTick)
	defer ticker.Stop()
	end := time.NewTimer(bounds.Most)
	defer end.Stop()
	var frames []byte
	for back < bounds.Requests {
		select {
		case ok := <-w.back:
			back++
			if !ok {
				did.Failed++
			}
			continue
		case <-ticker.C:
		case <-end.C:
			return did, nil
		case why := <-w.gone:
			return did, fmt.Errorf("during its warm-up, the driver %s %s", d.Name(), why)
		case <-ctx.Done():
			return did, context.Cause(ctx)
		}
		frames = frames[:0]
		due := min(int(bounds.Rate*time.Since(began).Seconds()), bounds.Requests, back+warmUpInFlight)
		for ; did.Requests < due; did.Requests++ {
			frames = w.dispatch.appendTo(frames, warmUpSeqs+uint64(did.Requests))
		}
		if len(frames) > 0 {
			if err := d.process.In.Send(frames); err != nil {
				return did, fmt.Errorf("during the warm-up of the driver %s: %w", d.Name(), d.broken(err))
			}
		}
	}
	return did, nil
}

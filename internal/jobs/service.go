package main

import (
	"io"
	"log"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"time"
)

// service says how a server behaves. Delays are log-normal.
type service struct {
	median time.Duration
	spread float64 // standard deviation of the logarithm of a delay
	fails  float64 // share of requests, 0 to 1, whose connection ends without a response
}

// usual is the unchanged service: its 99th percentile is about 95 ms, and one request in two
// hundred fails.
var usual = service{median: 60 * time.Millisecond, spread: 0.2, fails: 0.005}

// kind is what a job tests.
type kind struct {
	name  string
	path  string // the condition that must not be met; "": the service is the same, and none may fail
	alter func(*options, service) service
}

var kinds = []kind{
	{"same", "", func(_ *options, s service) service { return s }},
	{"failing", "failures.rate", func(o *options, s service) service { s.fails += o.fails; return s }},
	{"slower", "response.p99", func(o *options, s service) service {
		s.median = time.Duration(float64(s.median) * o.slower)
		return s
	}},
}

// serve starts a server for each kind, on a free port, and returns their URLs by the names of
// the kinds.
func (o *options) serve() (urls map[string]string, stop func(), err error) {
	urls = map[string]string{}
	var servers []*http.Server
	stop = func() {
		for _, s := range servers {
			s.Close()
		}
	}
	for i, k := range kinds {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			stop()
			return nil, nil, err
		}
		s := &http.Server{Handler: k.alter(o, o.service).handler(o.seed, uint64(i)), ErrorLog: log.New(io.Discard, "", 0), ReadHeaderTimeout: time.Minute}
		servers = append(servers, s)
		go s.Serve(listener)
		urls[k.name] = "http://" + listener.Addr().String() + "/"
	}
	return urls, stop, nil
}

// handler responds as s says. What it draws follows from the seed; which request gets it
// depends on their order.
func (s service) handler(seed, stream uint64) http.Handler {
	random := rand.New(rand.NewPCG(seed, 2+stream))
	var mu sync.Mutex // guards random
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		delay := time.Duration(float64(s.median) * math.Exp(s.spread*random.NormFloat64()))
		fails := random.Float64() < s.fails
		mu.Unlock()
		select {
		case <-time.After(delay):
		case <-r.Context().Done():
		}
		if fails {
			panic(http.ErrAbortHandler) // the connection ends without a response
		}
		io.WriteString(w, "ok")
	})
}

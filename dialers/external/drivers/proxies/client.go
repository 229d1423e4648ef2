package main

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/kabench/kabench/dialers/external/drivers/golang/kit"
)

// client performs requests through a proxy for each origin.
type client struct {
	software software
	name     string
	config   kit.Config

	mu      sync.Mutex
	running map[string]*running // by origin
	closed  bool
}

// newClient starts the proxies of the origins that are known; one of another origin is
// started by the first request for it, which waits for it.
func newClient(s software, name string, c kit.Config) (kit.Client, error) {
	client := &client{software: s, name: name, config: c, running: map[string]*running{}}
	for _, origin := range c.Origins {
		u, err := url.Parse(origin)
		if err != nil {
			return nil, err
		}
		if _, err := client.proxyFor(u); err != nil {
			client.Close()
			return nil, err
		}
	}
	if len(c.Origins) == 0 { // so that a configuration that the proxy refuses is refused now
		u := &url.URL{Scheme: "http", Host: "127.0.0.1:1"}
		if _, err := client.proxyFor(u); err != nil {
			return nil, err
		}
		client.stopAll()
	}
	return client, nil
}

// proxyFor returns the proxy whose upstream is the origin of u.
func (c *client) proxyFor(u *url.URL) (*running, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, errors.New("the driver is ending")
	}
	origin := u.Scheme + "://" + u.Host
	if r := c.running[origin]; r != nil {
		return r, nil
	}
	r, err := launch(c.software, c.name, u, c.config)
	if err != nil {
		return nil, err
	}
	c.running[origin] = r
	return r, nil
}

func (c *client) Do(r kit.Request) kit.Response {
	u, err := url.Parse(r.URL)
	if err != nil {
		return kit.Response{Err: err}
	}
	proxy, err := c.proxyFor(u)
	if err != nil {
		return kit.Response{Err: err}
	}
	mark := proxy.journal.mark()
	x := proxy.sessions.perform(r, u, c.config.Timeout)
	x.mark = mark
	response := kit.Response{Status: x.status, Bytes: x.bytes, Finished: kit.Now()}
	switch {
	case errors.Is(x.err, os.ErrDeadlineExceeded):
		response.Err = &kit.Failure{Class: "timeout", Text: fmt.Sprintf("no whole response of %s within %v", c.name, c.config.Timeout)}
	case x.err != nil || c.software.ours(x): // its own response is beside the error
		response.Err = c.failure(x, proxy.journal)
	}
	return response
}

// failure is the error of an exchange that the proxy failed: the proxy's log, or what its
// client sees where the log is silent.
func (c *client) failure(x exchange, j *journal) error {
	if err := c.software.words(x, j); err != nil {
		return err
	}
	switch {
	case x.err != nil && x.status == 0:
		return &kit.Failure{Class: c.name, Text: c.name + " closed its client's connection without a response", Cause: x.err}
	case x.err != nil:
		return &kit.Failure{Class: c.name, Text: fmt.Sprintf("%s closed its client's connection within a response of status %d", c.name, x.status), Cause: x.err}
	default:
		return &kit.Failure{Class: c.name, Text: fmt.Sprintf("%s responded with %s", c.name, strings.TrimSpace(x.line))}
	}
}

func (c *client) Gauges() map[string]float64 {
	c.mu.Lock()
	var all []*running
	for _, r := range c.running {
		all = append(all, r)
	}
	c.mu.Unlock()
	sum := map[string]float64{"active": 0, "idle": 0, "pending": 0}
	for _, r := range all {
		values := c.software.gauges(r.place)
		if values == nil {
			return nil
		}
		for name, v := range values {
			sum[name] += v
		}
	}
	return sum
}

func (c *client) Close() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.stopAll()
}

func (c *client) stopAll() {
	c.mu.Lock()
	all := c.running
	c.running = map[string]*running{}
	c.mu.Unlock()
	for _, r := range all {
		r.stop()
	}
}

// inMilliseconds writes a duration as nginx and HAProxy read it, the shortest being 1 ms.
func inMilliseconds(d time.Duration) string {
	return fmt.Sprintf("%dms", max(1, d.Milliseconds()))
}

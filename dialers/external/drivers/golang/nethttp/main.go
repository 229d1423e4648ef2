// Command nethttp drives Go's net/http: http.Client over a clone of
// http.DefaultTransport, as a program has it that sets nothing else.
package main

import (
	"bytes"
	"crypto/tls"
	"io"
	"math"
	"net"
	"net/http"
	"runtime"
	"strings"
	"time"

	"github.com/kabench/kabench/dialers/external/drivers/golang/kit"
)

// The names are those of the fields of http.Transport and net.Dialer, and the defaults
// those of http.DefaultTransport.
var settings = []kit.Setting{
	{Name: "MaxConnsPerHost", Kind: "count", Pool: "max_conns"},
	{Name: "MaxIdleConns", Kind: "count", Default: 100, Pool: "max_idle_all"},
	{Name: "MaxIdleConnsPerHost", Kind: "count", Default: http.DefaultMaxIdleConnsPerHost, Pool: "max_idle"},
	{Name: "IdleConnTimeout", Kind: "duration", Default: 90_000, Pool: "idle_timeout"},
	{Name: "ResponseHeaderTimeout", Kind: "duration", Pool: "response_timeout"},
	{Name: "Dialer.Timeout", Kind: "duration", Default: 30_000, Pool: "connect_timeout"},
	{Name: "TLSHandshakeTimeout", Kind: "duration", Default: 10_000},
	{Name: "ExpectContinueTimeout", Kind: "duration", Default: 1_000},
	{Name: "DisableKeepAlives", Kind: "bool", Default: false},
	{Name: "DisableCompression", Kind: "bool", Default: false},
	{Name: "ForceAttemptHTTP2", Kind: "bool", Default: true},
}

func main() {
	kit.Run(kit.Driver{Name: "go", Client: "Go net/http", Version: strings.TrimPrefix(runtime.Version(), "go"),
		Settings: settings, New: newClient})
}

type client struct {
	http      *http.Client
	transport *http.Transport
}

func newClient(c kit.Config) (kit.Client, error) {
	if c.Has("MaxIdleConns") && !c.Null("MaxIdleConns") && c.Count("MaxIdleConns", 0, 0) == 0 {
		return nil, &kit.Refused{Setting: "MaxIdleConns", Text: "0 is no limit to Go; give 1 or more, null for no limit, or set DisableKeepAlives"}
	}
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.Proxy = nil
	dialer := &net.Dialer{Timeout: c.Duration("Dialer.Timeout", 30*time.Second, 0), KeepAlive: 30 * time.Second}
	t.DialContext = dialer.DialContext
	t.MaxConnsPerHost = c.Count("MaxConnsPerHost", 0, 0)
	t.MaxIdleConns = c.Count("MaxIdleConns", t.MaxIdleConns, 0)
	t.MaxIdleConnsPerHost = c.Count("MaxIdleConnsPerHost", http.DefaultMaxIdleConnsPerHost, math.MaxInt)
	if t.MaxIdleConnsPerHost == 0 {
		t.MaxIdleConnsPerHost = -1 // Go's own word for none: its 0 is the default of 2
	}
	t.IdleConnTimeout = c.Duration("IdleConnTimeout", t.IdleConnTimeout, 0)
	t.ResponseHeaderTimeout = c.Duration("ResponseHeaderTimeout", 0, 0)
	t.TLSHandshakeTimeout = c.Duration("TLSHandshakeTimeout", t.TLSHandshakeTimeout, 0)
	t.ExpectContinueTimeout = c.Duration("ExpectContinueTimeout", t.ExpectContinueTimeout, 0)
	t.DisableKeepAlives = c.Bool("DisableKeepAlives", false)
	t.DisableCompression = c.Bool("DisableCompression", false)
	t.ForceAttemptHTTP2 = c.Bool("ForceAttemptHTTP2", true)
	if c.Insecure {
		t.TLSClientConfig = &tls.Config{InsecureSkipVerify: true}
	}
	asIs := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &client{&http.Client{Transport: t, Timeout: c.Timeout, CheckRedirect: asIs}, t}, nil
}

func (c *client) Do(r kit.Request) kit.Response {
	var body io.Reader
	if r.Body > 0 {
		body = bytes.NewReader(bytes.Repeat([]byte{'x'}, r.Body))
	}
	request, err := http.NewRequest(r.Method, r.URL, body)
	if err != nil {
		return kit.Response{Err: err}
	}
	for _, h := range r.Headers {
		if strings.EqualFold(h[0], "Host") {
			request.Host = h[1]
			continue
		}
		request.Header.Add(h[0], h[1])
	}
	response, err := c.http.Do(request)
	if err != nil {
		return kit.Response{Err: err}
	}
	defer response.Body.Close()
	n, err := io.Copy(io.Discard, response.Body)
	return kit.Response{Status: response.StatusCode, Bytes: n, Err: err}
}

func (c *client) Gauges() map[string]float64 { return nil }

func (c *client) Close() { c.transport.CloseIdleConnections() }

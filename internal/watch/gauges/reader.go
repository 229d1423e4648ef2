package gauges

import (
	"context"
	"errors"
	"fmt"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/kabench/kabench/internal/watch"
)

// limit is the longest time that a read takes.
const limit = 3 * time.Second

// Reader reads an endpoint. It is not safe for concurrent use.
type Reader struct {
	url    *url.URL
	began  time.Time
	client *http.Client
	said   map[string]bool
	sees   watch.Sees
}

// mostSaid bounds how many different complaints a Reader makes.
const mostSaid = 200

// New makes a Reader of the endpoint at a URL; times of gauges are since began. dial connects,
// as from another network namespace; nil: from here. The error says what is wrong with the URL.
func New(endpoint string, began time.Time, dial func(ctx context.Context, network, address string) (net.Conn, error)) (*Reader, error) {
	u, err := url.Parse(endpoint)
	switch {
	case err != nil:
		return nil, errors.New("the URL of the metrics cannot be read; want http://HOST:PORT/PATH") // the parser's error has all of it, a password too
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return nil, fmt.Errorf("the URL of the metrics %s: want http://HOST:PORT/PATH", plain(u))
	}
	if u.Path == "" {
		u.Path = "/metrics"
	}
	return &Reader{
		url: u, began: began, said: map[string]bool{},
		sees: watch.Sees{Layer: watch.Pools, Lacks: "it was not read yet"},
		client: &http.Client{
			Transport:     &http.Transport{DialContext: dial, MaxIdleConns: 1, MaxResponseHeaderBytes: 64 << 10},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}

// plain is a URL without a password and a query.
func plain(u *url.URL) string {
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}

// Close closes the connection to the endpoint.
func (r *Reader) Close() error {
	r.client.CloseIdleConnections()
	return nil
}

// Read reads the gauges of all pools, in 3 s at most, and returns complaints that it did not
// make before. After a failed read it has no gauges; the next one may succeed.
func (r *Reader) Read(ctx context.Context) (list []watch.Gauges, complaints []string) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	list, complaints, err := r.read(ctx)
	at := time.Since(r.began)
	for i := range list {
		list[i].At = at
	}
	r.sees.On = err == nil && len(list) > 0
	r.sees.Says, r.sees.Lacks = "", ""
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		err = fmt.Errorf("it does not answer in %v", limit)
	case err == nil && len(list) == 0:
		err = errors.New("it has no gauge of a pool that kabench knows; internal/watch/gauges/names.txt has their names")
	}
	var news []string
	for _, c := range complaints {
		name, _, _ := strings.Cut(c, " ") // of the metric: its values may differ each time
		news = append(news, r.news(name, c)...)
	}
	if err != nil {
		r.sees.Lacks = fmt.Sprintf("%s: %v", plain(r.url), err)
		return list, append(news, r.news(err.Error(), err.Error())...)
	}
	r.sees.Says = "idle, leased and pending as one pool says"
	if len(list) > 1 {
		r.sees.Says = fmt.Sprintf("idle, leased and pending as %d pools say", len(list))
	}
	return list, news
}

// Sees says what the last read saw.
func (r *Reader) Sees() watch.Sees { return r.sees }

// news returns a complaint with the endpoint, if there was none about the same before.
func (r *Reader) news(about, complaint string) []string {
	if r.said[about] || len(r.said) >= mostSaid {
		return nil
	}
	r.said[about] = true
	return []string{fmt.Sprintf("metrics at %s: %s", plain(r.url), complaint)}
}

func (r *Reader) read(ctx context.Context) ([]watch.Gauges, []string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, r.url.String(), nil)
	if err != nil {
		return nil, nil, errors.New("the URL cannot be asked for")
	}
	request.Header.Set("Accept", "text/plain;version=0.0.4, application/openmetrics-text;version=1.0.0;q=0.5")
	response, err := r.client.Do(request)
	if err != nil {
		var detail *url.Error
		if errors.As(err, &detail) {
			err = detail.Err // without the URL, which may have a password
		}
		return nil, nil, err
	}
	defer response.Body.Close()
	kind, _, _ := mime.ParseMediaType(response.Header.Get("Content-Type"))
	switch to, _ := response.Location(); {
	case to != nil:
		return nil, nil, fmt.Errorf("it redirects to %s; give that URL", plain(to))
	case response.StatusCode != http.StatusOK:
		return nil, nil, fmt.Errorf("it answers %s", response.Status)
	case kind == "text/html" || strings.HasSuffix(kind, "json") || strings.HasSuffix(kind, "xml"):
		return nil, nil, fmt.Errorf("it answers %s, which is no format of metrics; the path is often /metrics or /actuator/prometheus", kind)
	}
	return parse(response.Body, known)
}
